//! The descriptor and file calls of the wasm backend. It does not open anything std could open.

use super::wasm::{addr, check, out_bytes, out_numbers, out_u32, raw, span};
use agentos_abi::fd::AT_FDCWD;
use agentos_abi::layout::{RecordLock, STAT_SIZE, STATFS_SIZE, Stat, StatFs};
use std::io;

pub(crate) fn pipe(flags: u32) -> io::Result<(u32, u32)> {
    // SAFETY: `out` is a live buffer of two u32.
    let bytes = out_bytes::<8>(|out| unsafe { raw::pipe(flags as i32, out) })?;
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    Ok((word(0), word(4)))
}

pub(crate) fn dup(fd: u32, at_least: u32, flags: u32) -> io::Result<u32> {
    // SAFETY: `out` is a live u32.
    out_u32(|out| unsafe { raw::dup(fd as i32, at_least as i32, flags as i32, out) })
}

pub(crate) fn dup2(fd: u32, to: u32, flags: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { raw::dup2(fd as i32, to as i32, flags as i32) })
}

pub(crate) fn fcntl(fd: u32, cmd: u32, arg: u32) -> io::Result<u32> {
    // SAFETY: `out` is a live u32.
    out_u32(|out| unsafe { raw::fcntl(fd as i32, cmd as i32, arg as i32, out) })
}

pub(crate) fn flock(fd: u32, op: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { raw::flock(fd as i32, op as i32) })
}

pub(crate) fn record_lock(fd: u32, cmd: u32, lock: &RecordLock) -> io::Result<RecordLock> {
    let mut bytes = lock.encode();
    // SAFETY: `bytes` is a live buffer of the size of a RecordLock.
    check(unsafe { raw::record_lock(fd as i32, cmd as i32, addr(&raw mut bytes)) })?;
    // SAFETY: `bytes` is a live local; volatile because the host wrote it behind the compiler's back.
    Ok(RecordLock::decode(&unsafe { (&raw const bytes).read_volatile() }))
}

pub(crate) fn sync_all() {
    // SAFETY: takes nothing. It never fails.
    let _ = unsafe { raw::sync() };
}

pub(crate) fn syncfs(fd: u32) -> io::Result<()> {
    // SAFETY: takes a number only.
    check(unsafe { raw::syncfs(fd as i32) })
}

pub(crate) fn isatty(fd: u32) -> bool {
    // SAFETY: takes numbers only.
    unsafe { raw::isatty(fd as i32) == 0 }
}

pub(crate) fn open(dirfd: i32, path: &[u8], flags: u32, mode: u32) -> io::Result<u32> {
    let (p, len) = span(path);
    // SAFETY: the range is live for the call and `out` a live u32.
    out_u32(|out| unsafe { raw::open(dirfd, p, len, flags as i32, mode as i32, out) })
}

pub(crate) fn list_fds() -> io::Result<Vec<u32>> {
    // SAFETY: the buffer is live and as long as stated, the count a live u32.
    out_numbers(|buf, cap, out| unsafe { raw::list_fds(buf, cap, out) })
}

pub(crate) fn read(fd: u32, buf: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the buffer is live and as long as stated.
    let n = unsafe { libc::read(fd as i32, buf.as_mut_ptr().cast(), buf.len()) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

pub(crate) fn write(fd: u32, buf: &[u8]) -> io::Result<usize> {
    // SAFETY: the buffer is live and as long as stated.
    let n = unsafe { libc::write(fd as i32, buf.as_ptr().cast(), buf.len()) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

pub(crate) fn close(fd: u32) -> io::Result<()> {
    // SAFETY: takes a number only.
    if unsafe { libc::close(fd as i32) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

pub(crate) fn poll_read(fd: u32, timeout_ms: i32) -> io::Result<bool> {
    let mut set = [libc::pollfd { fd: fd as i32, events: libc::POLLIN, revents: 0 }];
    // SAFETY: `set` is a live array of the stated length.
    match unsafe { libc::poll(set.as_mut_ptr(), 1, timeout_ms) } {
        n if n < 0 => Err(io::Error::last_os_error()),
        n => Ok(n > 0),
    }
}

pub(crate) fn stat(dirfd: i32, path: &[u8], flags: u32) -> io::Result<Stat> {
    let (p, len) = span(path);
    // SAFETY: the range is live for the call and `out` a live buffer of the size of a Stat.
    let bytes = out_bytes::<STAT_SIZE>(|out| unsafe { raw::stat(dirfd, p, len, flags as i32, out) })?;
    Ok(Stat::decode(&bytes))
}

pub(crate) fn chmod(path: &[u8], mode: u32) -> io::Result<()> {
    let (p, len) = span(path);
    // SAFETY: the range is live for the call.
    check(unsafe { raw::chmod(AT_FDCWD, p, len, mode as i32, 0) })
}

pub(crate) fn fchmod(fd: u32, mode: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { raw::fchmod(fd as i32, mode as i32) })
}

pub(crate) fn chown(path: &[u8], uid: u32, gid: u32, flags: u32) -> io::Result<()> {
    let (p, len) = span(path);
    // SAFETY: the range is live for the call.
    check(unsafe { raw::chown(AT_FDCWD, p, len, uid as i32, gid as i32, flags as i32) })
}

pub(crate) fn fchown(fd: u32, uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { raw::fchown(fd as i32, uid as i32, gid as i32) })
}

pub(crate) fn access(path: &[u8], mode: u32) -> io::Result<()> {
    let (p, len) = span(path);
    // SAFETY: the range is live for the call.
    check(unsafe { raw::access(AT_FDCWD, p, len, mode as i32) })
}

pub(crate) fn mkfifo(path: &[u8], mode: u32) -> io::Result<()> {
    let (p, len) = span(path);
    // SAFETY: the range is live for the call.
    check(unsafe { raw::mkfifo(AT_FDCWD, p, len, mode as i32) })
}

pub(crate) fn mkdir(path: &[u8], mode: u32) -> io::Result<()> {
    let (p, len) = span(path);
    // SAFETY: the range is live for the call.
    check(unsafe { raw::mkdir(AT_FDCWD, p, len, mode as i32) })
}

pub(crate) fn statfs(path: &[u8]) -> io::Result<StatFs> {
    let (p, len) = span(path);
    // SAFETY: the range is live for the call and `out` a live buffer of the size of a StatFs.
    Ok(StatFs::decode(&out_bytes::<STATFS_SIZE>(|out| unsafe { raw::statfs(p, len, out) })?))
}

pub(crate) fn utimens(path: &[u8], atime: (i64, i64), mtime: (i64, i64), flags: u32) -> io::Result<()> {
    let (p, len) = span(path);
    // SAFETY: the range is live for the call.
    check(unsafe { raw::utimens(AT_FDCWD, p, len, atime.0, atime.1, mtime.0, mtime.1, flags as i32) })
}
