//! Calls on open files that both backends make of libc in the same way. What differs is in `unix_files` and `wasm_files`.

use std::io;

pub(crate) fn seek(fd: u32, to: io::SeekFrom) -> io::Result<u64> {
    let (offset, whence) = match to {
        io::SeekFrom::Start(at) => {
            let at = i64::try_from(at).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
            (at, libc::SEEK_SET)
        }
        io::SeekFrom::Current(by) => (by, libc::SEEK_CUR),
        io::SeekFrom::End(by) => (by, libc::SEEK_END),
    };
    // SAFETY: takes numbers only.
    let at = unsafe { libc::lseek(fd as i32, offset, whence) };
    u64::try_from(at).map_err(|_| io::Error::last_os_error())
}

pub(crate) fn set_len(fd: u32, len: u64) -> io::Result<()> {
    let len = i64::try_from(len).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
    // SAFETY: takes numbers only.
    if unsafe { libc::ftruncate(fd as i32, len) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

pub(crate) fn sync(fd: u32, data: bool) -> io::Result<()> {
    // SAFETY: both take a number only.
    let done = unsafe { if data { libc::fdatasync(fd as i32) } else { libc::fsync(fd as i32) } };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
