//! The descriptor and file calls of the Linux backend. It does not open anything std could open.

use super::unix::{check, check_u32, cstring};
use agentos_abi::fd::{
    AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, CLOEXEC, F_GETFD, F_GETFL, F_SETFD, NONBLOCK, UTIME_OMIT,
};
use agentos_abi::layout::{RecordLock, Stat, StatFs};
use std::io;

fn o_flags(flags: u32) -> libc::c_int {
    (if flags & CLOEXEC != 0 { libc::O_CLOEXEC } else { 0 })
        | (if flags & NONBLOCK != 0 { libc::O_NONBLOCK } else { 0 })
}

pub(crate) fn pipe(flags: u32) -> io::Result<(u32, u32)> {
    let mut ends = [0; 2];
    // SAFETY: the out-pointer is a live array of two.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), o_flags(flags)) })?;
    Ok((ends[0] as u32, ends[1] as u32))
}

pub(crate) fn dup(fd: u32, at_least: u32, flags: u32) -> io::Result<u32> {
    let cmd = if flags & CLOEXEC != 0 { libc::F_DUPFD_CLOEXEC } else { libc::F_DUPFD };
    // SAFETY: takes numbers only.
    check_u32(unsafe { libc::fcntl(fd as i32, cmd, at_least as i32) })
}

pub(crate) fn dup2(fd: u32, to: u32, flags: u32) -> io::Result<()> {
    if fd == to {
        return fcntl(fd, F_SETFD, flags & CLOEXEC).map(drop);
    }
    // SAFETY: takes numbers only.
    check(unsafe { libc::dup3(fd as i32, to as i32, o_flags(flags & CLOEXEC)) })
}

pub(crate) fn fcntl(fd: u32, cmd: u32, arg: u32) -> io::Result<u32> {
    let cmd = match cmd {
        F_GETFD => libc::F_GETFD,
        F_SETFD => libc::F_SETFD,
        F_GETFL => libc::F_GETFL,
        _ => libc::F_SETFL,
    };
    // SAFETY: takes numbers only.
    check_u32(unsafe { libc::fcntl(fd as i32, cmd, arg as i32) })
}

pub(crate) fn flock(fd: u32, op: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::flock(fd as i32, op as i32) })
}

pub(crate) fn record_lock(fd: u32, cmd: u32, lock: &RecordLock) -> io::Result<RecordLock> {
    // SAFETY: an all-zero flock is valid.
    let mut flock: libc::flock = unsafe { std::mem::zeroed() };
    (flock.l_type, flock.l_whence) = (lock.kind as libc::c_short, lock.whence as libc::c_short);
    (flock.l_start, flock.l_len) = (lock.start, lock.len);
    // SAFETY: `flock` is live for the call.
    check(unsafe { libc::fcntl(fd as i32, cmd as i32, &raw mut flock) })?;
    Ok(RecordLock {
        kind: flock.l_type as u32,
        whence: flock.l_whence as u32,
        start: flock.l_start,
        len: flock.l_len,
        pid: flock.l_pid,
    })
}

pub(crate) fn sync_all() {
    // SAFETY: takes nothing.
    unsafe { libc::sync() }
}

pub(crate) fn syncfs(fd: u32) -> io::Result<()> {
    // SAFETY: takes a number only.
    check(unsafe { libc::syncfs(fd as i32) })
}

pub(crate) fn isatty(fd: u32) -> bool {
    // SAFETY: takes numbers only.
    unsafe { libc::isatty(fd as i32) == 1 }
}

pub(crate) fn open(dirfd: i32, path: &[u8], flags: u32, mode: u32) -> io::Result<u32> {
    let path = cstring(path)?;
    // SAFETY: `path` is a live C string.
    check_u32(unsafe { libc::openat(dirfd, path.as_ptr(), flags as i32, mode) })
}

pub(crate) fn list_fds() -> io::Result<Vec<u32>> {
    let names = std::fs::read_dir("/proc/self/fd")?;
    let mut fds: Vec<u32> = names.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok()).collect();
    fds.sort_unstable();
    // The directory's own descriptor is gone by now.
    fds.retain(|fd| fcntl(*fd, F_GETFD, 0).is_ok());
    Ok(fds)
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
    check(unsafe { libc::close(fd as i32) })
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
    let path = cstring(path)?;
    let at = (if flags & AT_SYMLINK_NOFOLLOW != 0 { libc::AT_SYMLINK_NOFOLLOW } else { 0 })
        | (if flags & AT_EMPTY_PATH != 0 { libc::AT_EMPTY_PATH } else { 0 });
    // SAFETY: an all-zero statx is valid.
    let mut x: libc::statx = unsafe { std::mem::zeroed() };
    let wanted = libc::STATX_BASIC_STATS | libc::STATX_BTIME;
    // SAFETY: `path` is a live C string and the out-pointer a live local.
    check(unsafe { libc::statx(dirfd, path.as_ptr(), at, wanted, &raw mut x) })?;
    Ok(Stat {
        dev: libc::makedev(x.stx_dev_major, x.stx_dev_minor),
        ino: x.stx_ino,
        mode: u32::from(x.stx_mode),
        nlink: x.stx_nlink,
        uid: x.stx_uid,
        gid: x.stx_gid,
        rdev: libc::makedev(x.stx_rdev_major, x.stx_rdev_minor),
        size: x.stx_size,
        blocks: x.stx_blocks,
        blksize: x.stx_blksize,
        atime: x.stx_atime.tv_sec,
        atime_nsec: x.stx_atime.tv_nsec,
        mtime: x.stx_mtime.tv_sec,
        mtime_nsec: x.stx_mtime.tv_nsec,
        ctime: x.stx_ctime.tv_sec,
        ctime_nsec: x.stx_ctime.tv_nsec,
        btime: x.stx_btime.tv_sec,
        btime_nsec: x.stx_btime.tv_nsec,
    })
}

pub(crate) fn chmod(path: &[u8], mode: u32) -> io::Result<()> {
    let path = cstring(path)?;
    // SAFETY: `path` is a live C string.
    check(unsafe { libc::chmod(path.as_ptr(), mode) })
}

pub(crate) fn fchmod(fd: u32, mode: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::fchmod(fd as i32, mode) })
}

pub(crate) fn chown(path: &[u8], uid: u32, gid: u32, flags: u32) -> io::Result<()> {
    let path = cstring(path)?;
    let at = if flags & AT_SYMLINK_NOFOLLOW != 0 { libc::AT_SYMLINK_NOFOLLOW } else { 0 };
    // SAFETY: `path` is a live C string.
    check(unsafe { libc::fchownat(libc::AT_FDCWD, path.as_ptr(), uid, gid, at) })
}

pub(crate) fn fchown(fd: u32, uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::fchown(fd as i32, uid, gid) })
}

pub(crate) fn access(path: &[u8], mode: u32) -> io::Result<()> {
    let path = cstring(path)?;
    // The ABI's bits are Linux's, except that it numbers them the same. SAFETY: `path` is a live C string.
    check(unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), mode as i32, libc::AT_EACCESS) })
}

pub(crate) fn mkfifo(path: &[u8], mode: u32) -> io::Result<()> {
    let path = cstring(path)?;
    // SAFETY: `path` is a live C string.
    check(unsafe { libc::mkfifo(path.as_ptr(), mode) })
}

pub(crate) fn mkdir(path: &[u8], mode: u32) -> io::Result<()> {
    let path = cstring(path)?;
    // SAFETY: `path` is a live C string.
    check(unsafe { libc::mkdir(path.as_ptr(), mode) })
}

pub(crate) fn statfs(path: &[u8]) -> io::Result<StatFs> {
    let path = cstring(path)?;
    // SAFETY: an all-zero statvfs is valid.
    let mut s: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: `path` is a live C string and the out-pointer a live local.
    check(unsafe { libc::statvfs(path.as_ptr(), &raw mut s) })?;
    Ok(StatFs {
        bsize: s.f_frsize,
        blocks: s.f_blocks,
        bfree: s.f_bavail,
        files: s.f_files,
        ffree: s.f_ffree,
        namelen: s.f_namemax,
        readonly: u64::from(s.f_flag & libc::ST_RDONLY != 0),
    })
}

pub(crate) fn utimens(path: &[u8], atime: (i64, i64), mtime: (i64, i64), flags: u32) -> io::Result<()> {
    let path = cstring(path)?;
    let time = |(sec, nsec): (i64, i64)| libc::timespec {
        tv_sec: sec,
        tv_nsec: match nsec {
            UTIME_OMIT => libc::UTIME_OMIT,
            n if n < 0 => libc::UTIME_NOW,
            n => n,
        },
    };
    let times = [time(atime), time(mtime)];
    let at = if flags & AT_SYMLINK_NOFOLLOW != 0 { libc::AT_SYMLINK_NOFOLLOW } else { 0 };
    // SAFETY: `path` is a live C string and `times` a live array of two.
    check(unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), times.as_ptr(), at) })
}
