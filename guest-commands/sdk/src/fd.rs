//! Raw descriptors: pipes, duplicates, flags, open with POSIX flags. Ordinary file work belongs to std.

use crate::sys;
use agentos_abi::fd::{AT_FDCWD, CLOEXEC, F_GETFD, F_GETFL, F_SETFD, F_SETFL};
pub use agentos_abi::fd::{
    F_GETLK, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_RDLCK, F_SETLK, F_SETLKW, F_UNLCK, F_WRLCK, O_APPEND,
    O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_TRUNC,
    O_WRONLY,
};
pub use agentos_abi::layout::RecordLock;
use std::ffi::OsStr;
use std::io::{self, SeekFrom};

/// A descriptor that closes when dropped.
#[derive(Debug)]
pub struct Owned(u32);

impl Owned {
    /// Takes over a descriptor number.
    #[must_use]
    pub fn from_raw(fd: u32) -> Self {
        Owned(fd)
    }

    /// Its number.
    #[must_use]
    pub fn raw(&self) -> u32 {
        self.0
    }

    /// Closes it, and tells what of the written a file system could not keep: some store it only now.
    pub fn close(self) -> io::Result<()> {
        sys::close(self.into_raw())
    }

    /// Its number, no longer closed on drop.
    #[must_use]
    pub fn into_raw(self) -> u32 {
        let fd = self.0;
        std::mem::forget(self);
        fd
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = sys::close(self.0);
    }
}

impl io::Read for Owned {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        sys::read(self.0, buf)
    }
}

impl io::Write for Owned {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        sys::write(self.0, buf)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A pipe: the reading and the writing end.
///
/// # Errors
/// `EMFILE`: too many descriptors.
pub fn pipe(cloexec: bool) -> io::Result<(Owned, Owned)> {
    let (r, w) = sys::pipe(u32::from(cloexec) * CLOEXEC)?;
    Ok((Owned(r), Owned(w)))
}

/// The lowest free number from `at_least` on, made a duplicate of `fd`.
///
/// # Errors
/// `EBADF`, `EMFILE`.
pub fn dup(fd: u32, at_least: u32, cloexec: bool) -> io::Result<u32> {
    sys::dup(fd, at_least, u32::from(cloexec) * CLOEXEC)
}

/// Makes `to` a duplicate of `fd`, closing what it was.
///
/// # Errors
/// `EBADF`.
pub fn dup2(fd: u32, to: u32, cloexec: bool) -> io::Result<()> {
    sys::dup2(fd, to, u32::from(cloexec) * CLOEXEC)
}

/// Closes a descriptor.
///
/// # Errors
/// `EBADF`.
pub fn close(fd: u32) -> io::Result<()> {
    sys::close(fd)
}

/// Whether `fd` closes on exec.
///
/// # Errors
/// `EBADF`.
pub fn cloexec(fd: u32) -> io::Result<bool> {
    Ok(sys::fcntl(fd, F_GETFD, 0)? & CLOEXEC != 0)
}

/// Sets whether `fd` closes on exec.
///
/// # Errors
/// `EBADF`.
pub fn set_cloexec(fd: u32, yes: bool) -> io::Result<()> {
    sys::fcntl(fd, F_SETFD, u32::from(yes) * CLOEXEC).map(drop)
}

/// The status flags: access mode, `O_APPEND`, `O_NONBLOCK`.
///
/// # Errors
/// `EBADF`.
pub fn status_flags(fd: u32) -> io::Result<u32> {
    sys::fcntl(fd, F_GETFL, 0)
}

/// Sets the status flags; only `O_APPEND` and `O_NONBLOCK` can change.
///
/// # Errors
/// `EBADF`.
pub fn set_status_flags(fd: u32, flags: u32) -> io::Result<()> {
    sys::fcntl(fd, F_SETFL, flags).map(drop)
}

/// Whether `fd` is open.
#[must_use]
pub fn is_open(fd: u32) -> bool {
    sys::fcntl(fd, F_GETFD, 0).is_ok()
}

/// Whether `fd` is a terminal.
#[must_use]
pub fn isatty(fd: u32) -> bool {
    sys::isatty(fd)
}

/// Opens a file with the `O_*` flags of this module; `mode` is used when the file is created.
///
/// # Errors
/// Those of open(2).
pub fn open(path: impl AsRef<OsStr>, flags: u32, mode: u32) -> io::Result<u32> {
    sys::open(AT_FDCWD, path.as_ref().as_encoded_bytes(), flags, mode)
}

/// Reads once; 0 is the end.
///
/// # Errors
/// Those of read(2); `EINTR` when a caught signal arrived first.
pub fn read(fd: u32, buf: &mut [u8]) -> io::Result<usize> {
    sys::read(fd, buf)
}

/// Writes once.
///
/// # Errors
/// Those of write(2).
pub fn write(fd: u32, buf: &[u8]) -> io::Result<usize> {
    sys::write(fd, buf)
}

/// Writes everything, going on after signals.
///
/// # Errors
/// Those of write(2), except `EINTR`.
pub fn write_all(fd: u32, mut buf: &[u8]) -> io::Result<()> {
    while !buf.is_empty() {
        match sys::write(fd, buf) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => buf = &buf[n..],
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// How much [`read_to_end`] asks for at once: at first, and at most.
const CHUNK: usize = 2048;
const MAX_CHUNK: usize = 256 << 10;

/// Reads up to the end, going on after signals.
///
/// # Errors
/// Those of read(2), except `EINTR`.
pub fn read_to_end(fd: u32) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut filled = 0;
    loop {
        // Little at first, as most output is short, then as much again as there is already.
        if out.len() - filled < CHUNK {
            out.resize(filled + filled.clamp(CHUNK, MAX_CHUNK), 0);
        }
        match sys::read(fd, &mut out[filled..]) {
            Ok(0) => {
                out.truncate(filled);
                return Ok(out);
            }
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Moves the position of an open file and returns it, counted from the start.
///
/// # Errors
/// `ESPIPE`: it has no position. `EINVAL`: before the start.
pub fn seek(fd: u32, to: SeekFrom) -> io::Result<u64> {
    sys::seek(fd, to)
}

/// Makes an open file this long; what is added reads as zeros.
///
/// # Errors
/// Those of ftruncate(2).
pub fn set_len(fd: u32, len: u64) -> io::Result<()> {
    sys::set_len(fd, len)
}

/// Waits until what was written to an open file is kept; `data`: its attributes need not be.
///
/// # Errors
/// Those of fsync(2); `EINVAL`: nothing is ever kept of such a file.
pub fn sync(fd: u32, data: bool) -> io::Result<()> {
    sys::sync(fd, data)
}

/// Waits until `fd` can be read (or is at its end), at most `timeout_ms` milliseconds; negative: without end.
///
/// # Errors
/// `EINTR`: a caught signal arrived first.
pub fn wait_readable(fd: u32, timeout_ms: i32) -> io::Result<bool> {
    sys::poll_read(fd, timeout_ms)
}

/// Waits until one of several can be read or is at its end, at most `timeout_ms` milliseconds (negative: without end), and tells
/// for each whether it can.
///
/// # Errors
/// `EINTR`: a caught signal arrived first.
///
/// ```
/// use agentos_guest::fd;
/// let (from, to) = fd::pipe(true)?;
/// let (other, _to_other) = fd::pipe(true)?;
/// fd::write_all(to.raw(), b"x")?;
/// assert_eq!(fd::wait_any_readable(&[other.raw(), from.raw()], -1)?, [false, true]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wait_any_readable(fds: &[u32], timeout_ms: i32) -> io::Result<Vec<bool>> {
    sys::poll_read_any(fds, timeout_ms)
}

/// Locks or unlocks a file with the `LOCK_*` numbers of flock(2).
///
/// # Errors
/// `EAGAIN`: locked by another, with `LOCK_NB`.
pub fn flock(fd: u32, op: u32) -> io::Result<()> {
    sys::flock(fd, op)
}

/// Asks for, takes or gives up a record lock with the `F_*` numbers of fcntl(2); `EINTR` may end a wait. What comes back is the
/// lock in the way for the commands that ask, with the type `F_UNLCK` if there is none; else what was given.
///
/// # Errors
/// `EAGAIN`: locked by another, without waiting. `EDEADLK`: the wait would have no end. `EBADF`: not open for this. `EINVAL`,
/// `EOVERFLOW`: no such range.
pub fn record_lock(fd: u32, cmd: u32, lock: &RecordLock) -> io::Result<RecordLock> {
    sys::record_lock(fd, cmd, lock)
}

/// Waits until all that was written anywhere is kept, as sync(2).
pub fn sync_all() {
    sys::sync_all();
}

/// Waits until all that was written to the file system of `fd` is kept, as syncfs(2).
///
/// # Errors
/// `EIO`, `ENOSPC`: something could not be written.
pub fn syncfs(fd: u32) -> io::Result<()> {
    sys::syncfs(fd)
}

/// The open descriptors, in order.
///
/// # Errors
/// None in a VM.
pub fn list_fds() -> io::Result<Vec<u32>> {
    sys::list_fds()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_locks_and_syncs() {
        let folder = std::env::temp_dir().join(format!("agentos-fd-{}", std::process::id()));
        let file = || Owned::from_raw(open(&folder, O_RDWR | O_CREAT | O_CLOEXEC, 0o600).unwrap());
        let (a, b) = (file(), file());
        std::fs::remove_file(&folder).unwrap();
        let lock = RecordLock { kind: F_WRLCK, start: 10, len: 5, ..RecordLock::default() };
        assert_eq!(record_lock(a.raw(), F_OFD_SETLK, &lock).unwrap(), lock);
        let refused = record_lock(b.raw(), F_OFD_SETLK, &RecordLock { kind: F_RDLCK, ..lock });
        assert_eq!(crate::errno_of(&refused.unwrap_err()), Some(crate::Errno::EAGAIN));
        let asked = RecordLock { kind: F_RDLCK, start: 0, len: 0, ..lock };
        assert_eq!(record_lock(b.raw(), F_OFD_GETLK, &asked).unwrap(), RecordLock { pid: -1, ..lock });
        record_lock(a.raw(), F_OFD_SETLK, &RecordLock { kind: F_UNLCK, ..lock }).unwrap();
        assert_eq!(record_lock(b.raw(), F_GETLK, &asked).unwrap().kind, F_UNLCK);
        syncfs(b.raw()).unwrap();
        sync(b.raw(), true).unwrap();
    }

    #[test]
    fn dup_flags_and_pipe() {
        let (r, w) = pipe(true).unwrap();
        assert!(cloexec(r.raw()).unwrap());
        let high = Owned::from_raw(dup(w.raw(), 50, false).unwrap());
        assert!(high.raw() >= 50 && !cloexec(high.raw()).unwrap());
        assert!(list_fds().unwrap().contains(&high.raw()));
        write_all(high.raw(), b"x").unwrap();
        assert!(wait_readable(r.raw(), 1000).unwrap());
        drop((high, w));
        assert_eq!(read_to_end(r.raw()).unwrap(), b"x");
        assert_eq!(
            seek(r.raw(), SeekFrom::Current(0)).map_err(|e| crate::errno_of(&e)),
            Err(Some(crate::Errno::ESPIPE))
        );
        // A number that no other test gets in between.
        let gone = dup(r.raw(), 200, true).unwrap();
        close(gone).unwrap();
        assert!(!is_open(gone));
    }
}
