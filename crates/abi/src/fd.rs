//! Flags of the descriptor and file calls.

/// `pipe`, `dup`, `open`: the descriptor closes on exec.
pub const CLOEXEC: u32 = 1;
/// `pipe`: reads and writes return EAGAIN instead of waiting.
pub const NONBLOCK: u32 = 2;

/// `fcntl`: get the descriptor flags ([`CLOEXEC`]).
pub const F_GETFD: u32 = 1;
/// `fcntl`: set the descriptor flags.
pub const F_SETFD: u32 = 2;
/// `fcntl`: get the status flags ([`O_APPEND`], [`O_NONBLOCK`], access mode).
pub const F_GETFL: u32 = 3;
/// `fcntl`: set the status flags; only [`O_APPEND`] and [`O_NONBLOCK`] can change.
pub const F_SETFL: u32 = 4;

/// Access mode: read only. The access modes and `O_*` values are those of Linux on x86-64.
pub const O_RDONLY: u32 = 0;
/// Access mode: write only.
pub const O_WRONLY: u32 = 1;
/// Access mode: read and write.
pub const O_RDWR: u32 = 2;
/// Mask of the access mode.
pub const O_ACCMODE: u32 = 3;
/// Create the file if it does not exist.
pub const O_CREAT: u32 = 0o100;
/// With [`O_CREAT`]: fail with EEXIST if it exists.
pub const O_EXCL: u32 = 0o200;
/// A terminal that is opened does not become the controlling one.
pub const O_NOCTTY: u32 = 0o400;
/// Truncate to length 0.
pub const O_TRUNC: u32 = 0o1000;
/// Every write goes to the end.
pub const O_APPEND: u32 = 0o2000;
/// Do not wait in read, write or open.
pub const O_NONBLOCK: u32 = 0o4000;
/// A write returns when its data are on stable storage.
pub const O_DSYNC: u32 = 0o10_000;
/// A write returns when its data and attributes are on stable storage; contains [`O_DSYNC`].
pub const O_SYNC: u32 = 0o4_010_000;
/// Fail with ENOTDIR unless a directory.
pub const O_DIRECTORY: u32 = 0o200_000;
/// Fail with ELOOP if the last component is a symbolic link.
pub const O_NOFOLLOW: u32 = 0o400_000;
/// The descriptor closes on exec.
pub const O_CLOEXEC: u32 = 0o2_000_000;

/// The directory argument that means the working directory of the process.
pub const AT_FDCWD: i32 = -100;
/// `stat`, `chown`, `utimens`: act on a symbolic link itself.
pub const AT_SYMLINK_NOFOLLOW: u32 = 1;
/// `stat`: an empty path means the directory argument itself (fstat).
pub const AT_EMPTY_PATH: u32 = 2;

/// `access`: the file exists.
pub const F_OK: u32 = 0;
/// `access`: may be executed (searched).
pub const X_OK: u32 = 1;
/// `access`: may be written.
pub const W_OK: u32 = 2;
/// `access`: may be read.
pub const R_OK: u32 = 4;

/// `flock`: shared lock.
pub const LOCK_SH: u32 = 1;
/// `flock`: exclusive lock.
pub const LOCK_EX: u32 = 2;
/// `flock`: do not wait, fail with EAGAIN.
pub const LOCK_NB: u32 = 4;
/// `flock`: unlock.
pub const LOCK_UN: u32 = 8;

/// `record_lock`: which lock of another owner is in the way of this one.
pub const F_GETLK: u32 = 5;
/// `record_lock`: lock or unlock without waiting. The commands and types are those of Linux.
pub const F_SETLK: u32 = 6;
/// `record_lock`: the same, waiting.
pub const F_SETLKW: u32 = 7;
/// As [`F_GETLK`], for a lock that belongs to the open file description and not to the process.
pub const F_OFD_GETLK: u32 = 36;
/// As [`F_SETLK`], for the open file description.
pub const F_OFD_SETLK: u32 = 37;
/// As [`F_SETLKW`], for the open file description.
pub const F_OFD_SETLKW: u32 = 38;

/// Type of a [`RecordLock`](crate::layout::RecordLock): shared.
pub const F_RDLCK: u32 = 0;
/// Type of a record lock: exclusive.
pub const F_WRLCK: u32 = 1;
/// Type of a record lock: none.
pub const F_UNLCK: u32 = 2;

/// `record_lock`: from the start of the file.
pub const SEEK_SET: u32 = 0;
/// `record_lock`: from the offset of the descriptor.
pub const SEEK_CUR: u32 = 1;
/// `record_lock`: from the end of the file.
pub const SEEK_END: u32 = 2;

/// `utimens`: leave this time as it is (in the nanosecond field).
pub const UTIME_OMIT: i64 = -2;
/// `utimens`: set this time to now (in the nanosecond field).
pub const UTIME_NOW: i64 = -1;

/// File type bits of a mode, as in `st_mode`.
pub const S_IFMT: u32 = 0o170_000;
/// Socket.
pub const S_IFSOCK: u32 = 0o140_000;
/// Symbolic link.
pub const S_IFLNK: u32 = 0o120_000;
/// Regular file.
pub const S_IFREG: u32 = 0o100_000;
/// Block device.
pub const S_IFBLK: u32 = 0o060_000;
/// Directory.
pub const S_IFDIR: u32 = 0o040_000;
/// Character device.
pub const S_IFCHR: u32 = 0o020_000;
/// FIFO.
pub const S_IFIFO: u32 = 0o010_000;
