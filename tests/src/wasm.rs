//! Guest programs of a few instructions, written as WebAssembly text.
//! Real guests are in `guest-commands`.

/// A WASI preview 1 command whose `_start` has this body. `$exit` is `proc_exit`, `$write` is `fd_write`; the memory
/// holds `data` from address 64.
///
/// # Panics
/// If the text is no WebAssembly.
#[must_use]
pub fn module(body: &str, data: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 64) "{data}")
            (func (export "_start") {body}))"#
    );
    assemble(&text)
}

/// A whole module.
///
/// # Panics
/// If the text is no WebAssembly.
#[must_use]
pub fn assemble(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the text of a test is WebAssembly")
}
