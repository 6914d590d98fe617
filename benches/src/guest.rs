//! Small guest programs for what no command does: filling memory, and tight loops of one file operation.
//! They check every result: a loop that fails ends with status 1 and is no figure.

use crate::failure::{Failure, Result};

/// Bytes that a filler writes, again and again; below the 256 MiB that a process may use.
pub(crate) const FILLED: u32 = 200 << 20;

/// One file operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// stat(2) of a file.
    Stat,
    /// open(2) for reading, and close(2).
    Open,
    /// All names of the directory: open, read to the end, close.
    Readdir,
}

fn compile(text: &str) -> Result<Vec<u8>> {
    wat::parse_str(text).map_err(|e| Failure::wrong(format!("guest program: {e}")))
}

/// Fills [`FILLED`] bytes of its memory in a loop without end.
pub(crate) fn filler() -> Result<Vec<u8>> {
    let pages = FILLED >> 16;
    compile(&format!(
        r#"(module
          (memory (export "memory") 1)
          (func (export "_start") (local $byte i32)
            (if (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)) (then unreachable))
            (loop $again
              (local.set $byte (i32.add (local.get $byte) (i32.const 1)))
              (memory.fill (i32.const 65536) (local.get $byte) (i32.const {FILLED}))
              (br $again))))"#
    ))
}

/// Does `operation` `times` times below `directory`, an absolute path; files are named `f000` to `f999` in turn.
///
/// The call of `agentos_v1` makes it a program of our ABI, with the same path look-up as every bundled command.
pub(crate) fn looper(operation: Operation, directory: &str, times: u32) -> Result<Vec<u8>> {
    let directory = directory.trim_start_matches('/');
    let digits = 64 + directory.len() + "/f".len();
    let (dir_len, path_len) = (directory.len(), directory.len() + "/f000".len());
    // Rights: fd_read and fd_readdir. The open descriptor is stored at 16.
    let open = |len: usize, flags: u32| {
        format!(
            "(call $check (call $open (i32.const 3) (i32.const 1) (i32.const 64) (i32.const {len})
               (i32.const {flags}) (i64.const 16386) (i64.const 0) (i32.const 0) (i32.const 16)))"
        )
    };
    let close = "(call $check (call $close (i32.load (i32.const 16))))";
    let body = match operation {
        Operation::Stat => format!(
            "(call $check (call $stat (i32.const 3) (i32.const 1) (i32.const 64) (i32.const {path_len})
               (i32.const 512)))"
        ),
        Operation::Open => format!("{}{close}", open(path_len, 0)),
        // A page that is not full is the last one; its buffer of 128 KiB holds 1,000 short names.
        Operation::Readdir => format!(
            "{}
            (call $check (call $readdir (i32.load (i32.const 16)) (i32.const 65536) (i32.const 131072)
               (i64.const 0) (i32.const 20)))
            (if (i32.lt_u (i32.load (i32.const 20)) (i32.const 28000)) (then unreachable))
            (if (i32.ge_u (i32.load (i32.const 20)) (i32.const 131072)) (then unreachable))
            {close}",
            open(dir_len, 2)
        ),
    };
    compile(&format!(
        r#"(module
          (import "wasi_snapshot_preview1" "path_filestat_get"
            (func $stat (param i32 i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_readdir"
            (func $readdir (param i32 i32 i32 i64 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (import "agentos_v1" "getpid" (func $getpid (result i32)))
          (memory (export "memory") 4)
          (data (i32.const 64) "{directory}/f000")
          (func $check (param $errno i32)
            (if (local.get $errno) (then (call $exit (i32.const 1)))))
          (func $digit (param $at i32) (param $number i32)
            (i32.store8 (local.get $at)
              (i32.add (i32.const 48) (i32.rem_u (local.get $number) (i32.const 10)))))
          (func (export "_start") (local $i i32)
            (drop (call $getpid))
            (loop $again
              (call $digit (i32.const {a}) (i32.div_u (local.get $i) (i32.const 100)))
              (call $digit (i32.const {b}) (i32.div_u (local.get $i) (i32.const 10)))
              (call $digit (i32.const {c}) (local.get $i))
              {body}
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (br_if $again (i32.lt_u (local.get $i) (i32.const {times}))))))"#,
        a = digits,
        b = digits + 1,
        c = digits + 2,
    ))
}

/// Makes `path`, an absolute path, and appends `size` bytes to it `times` times, each followed by fdatasync(2).
pub(crate) fn syncer(path: &str, size: u32, times: u32) -> Result<Vec<u8>> {
    let path = path.trim_start_matches('/');
    let len = path.len();
    // Flags: create and truncate; rights: fd_write and fd_datasync. The open descriptor is stored at 16, what is written at 32.
    compile(&format!(
        r#"(module
          (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_datasync" (func $sync (param i32) (result i32)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (import "agentos_v1" "getpid" (func $getpid (result i32)))
          (memory (export "memory") 4)
          (data (i32.const 64) "{path}")
          (func $check (param $errno i32)
            (if (local.get $errno) (then (call $exit (i32.const 1)))))
          (func (export "_start") (local $i i32)
            (drop (call $getpid))
            (i32.store (i32.const 32) (i32.const 65536))
            (i32.store (i32.const 36) (i32.const {size}))
            (call $check (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const {len})
               (i32.const 9) (i64.const 65) (i64.const 0) (i32.const 0) (i32.const 16)))
            (loop $again
              (call $check (call $write (i32.load (i32.const 16)) (i32.const 32) (i32.const 1) (i32.const 20)))
              (if (i32.ne (i32.load (i32.const 20)) (i32.const {size})) (then unreachable))
              (call $check (call $sync (i32.load (i32.const 16))))
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (br_if $again (i32.lt_u (local.get $i) (i32.const {times}))))))"#
    ))
}

/// Makes a GET request for `url` `times` times, one after the other, and reads each answer to its end.
pub(crate) fn fetcher(url: &str, times: u32) -> Result<Vec<u8>> {
    let items: [&[u8]; agentos_abi::http::REQUEST_ITEMS] = [b"GET", url.as_bytes(), b"", b"", &[0; 4]];
    let mut request = Vec::new();
    for item in items {
        let len = u32::try_from(item.len()).map_err(|_| Failure::wrong("a URL that is too long"))?;
        request.extend_from_slice(&len.to_le_bytes());
        request.extend_from_slice(item);
    }
    let len = request.len();
    let data: String = request.iter().map(|byte| format!("\\{byte:02x}")).collect();
    // The descriptor is stored at 16, how much was read at 20, the buffer at 32. The last byte of an answer is the kind of its
    // last frame, which has no payload.
    let end = agentos_abi::http::Kind::End as u8;
    compile(&format!(
        r#"(module
          (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (import "agentos_v1" "http_fetch" (func $fetch (param i32 i32 i32) (result i32)))
          (memory (export "memory") 2)
          (data (i32.const 64) "{data}")
          (func $check (param $errno i32)
            (if (local.get $errno) (then (call $exit (i32.const 1)))))
          (func (export "_start") (local $i i32) (local $last i32)
            (i32.store (i32.const 32) (i32.const 65536))
            (i32.store (i32.const 36) (i32.const 65536))
            (loop $again
              (call $check (call $fetch (i32.const 64) (i32.const {len}) (i32.const 16)))
              (loop $more
                (call $check (call $read (i32.load (i32.const 16)) (i32.const 32) (i32.const 1) (i32.const 20)))
                (if (i32.load (i32.const 20))
                  (then
                    (local.set $last (i32.load8_u offset=65535 (i32.load (i32.const 20))))
                    (br $more))))
              (call $check (i32.ne (local.get $last) (i32.const {end})))
              (call $check (call $close (i32.load (i32.const 16))))
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (br_if $again (i32.lt_u (local.get $i) (i32.const {times}))))))"#
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_modules() {
        assert_eq!(filler().unwrap()[..4], *b"\0asm");
        assert_eq!(syncer("/tmp/f", 100, 10).unwrap()[..4], *b"\0asm");
        assert_eq!(fetcher("http://127.0.0.1:1/", 10).unwrap()[..4], *b"\0asm");
        for operation in [Operation::Stat, Operation::Open, Operation::Readdir] {
            assert_eq!(looper(operation, "/bench/files", 10).unwrap()[..4], *b"\0asm");
        }
    }
}
