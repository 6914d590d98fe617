//! The one place that talks to the system: the host's imports on wasm, libc on a Linux host.
//!
//! It holds no policy: every function is one call with safe types; the modules above give them their shape. Both
//! backends offer the same functions, so nothing above this module is conditional.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::*;

#[cfg(target_os = "wasi")]
mod wasm;
#[cfg(target_os = "wasi")]
pub(crate) use wasm::*;

mod libc_files;
pub(crate) use libc_files::*;

#[cfg(target_os = "wasi")]
mod wasm_files;

#[cfg(target_os = "wasi")]
mod wasm_tty;
#[cfg(target_os = "wasi")]
pub(crate) use wasm_tty::*;

#[cfg(unix)]
mod unix_files;

#[cfg(unix)]
mod unix_tty;
#[cfg(unix)]
pub(crate) use unix_tty::*;

/// What `spawn` needs. Strings are bytes without NUL.
#[derive(Debug)]
pub(crate) struct SpawnArgs<'a> {
    pub(crate) path: &'a [u8],
    pub(crate) argv: &'a [&'a [u8]],
    /// `KEY=value` each; `None`: what the caller was started with.
    pub(crate) env: Option<&'a [&'a [u8]]>,
    pub(crate) cwd: Option<&'a [u8]>,
    /// Child descriptor, parent descriptor or `FD_CLOSE`.
    pub(crate) fds: &'a [(u32, u32)],
    pub(crate) pgid: i32,
    pub(crate) flags: u32,
}

/// A child's work.
pub(crate) type Entry<'a> = Box<dyn FnOnce() -> i32 + 'a>;

/// Empties the buffers of Rust's and C's stdio, so that a child does not write them again.
pub(crate) fn flush_stdio() {
    use std::io::Write as _;
    // Nobody is left to hear of a failure: the descriptor may be closed or its reader gone.
    let _ = std::io::stdout().flush();
    flush_c();
}
