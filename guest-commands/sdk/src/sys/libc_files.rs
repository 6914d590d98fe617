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

/// Which of these can be read or are at their end, within the time.
pub(crate) fn poll_read_any(fds: &[u32], timeout_ms: i32) -> io::Result<Vec<bool>> {
    let entry = |fd: &u32| libc::pollfd { fd: *fd as i32, events: libc::POLLIN, revents: 0 };
    let mut set: Vec<libc::pollfd> = fds.iter().map(entry).collect();
    // SAFETY: `set` is a live array of the stated length.
    let ready = unsafe { libc::poll(set.as_mut_ptr(), set.len() as libc::nfds_t, timeout_ms) };
    // Hang-ups and errors show at the read.
    if ready < 0 { Err(io::Error::last_os_error()) } else { Ok(set.iter().map(|e| e.revents != 0).collect()) }
}
