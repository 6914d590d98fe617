//! File attributes that std lacks on wasip1: modes, owners, times, FIFOs, file system figures. It does not read or write files.

use crate::sys;
use agentos_abi::fd::{AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW};
pub use agentos_abi::fd::{F_OK, R_OK, UTIME_NOW, UTIME_OMIT, W_OK, X_OK};
use agentos_abi::fd::{S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK};
pub use agentos_abi::layout::{Stat, StatFs};
use std::ffi::OsStr;
use std::io;

/// What kind of file a mode tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A FIFO or pipe.
    Fifo,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A socket.
    Socket,
    /// None of these.
    Other,
}

/// The kind of file that `mode` (a [`Stat::mode`]) tells of.
#[must_use]
pub fn file_type(mode: u32) -> FileType {
    match mode & S_IFMT {
        S_IFREG => FileType::File,
        S_IFDIR => FileType::Dir,
        S_IFLNK => FileType::Symlink,
        S_IFIFO => FileType::Fifo,
        S_IFCHR => FileType::CharDevice,
        S_IFBLK => FileType::BlockDevice,
        S_IFSOCK => FileType::Socket,
        _ => FileType::Other,
    }
}

fn bytes<P: AsRef<OsStr> + ?Sized>(path: &P) -> &[u8] {
    path.as_ref().as_encoded_bytes()
}

/// Attributes of a file, following symbolic links.
///
/// # Errors
/// Those of stat(2).
///
/// ```
/// use agentos_guest::fs::{FileType, file_type, stat};
/// assert_eq!(file_type(stat("/")?.mode), FileType::Dir);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn stat(path: impl AsRef<OsStr>) -> io::Result<Stat> {
    sys::stat(AT_FDCWD, bytes(&path), 0)
}

/// Attributes of a file, of a symbolic link itself.
///
/// # Errors
/// Those of lstat(2).
pub fn lstat(path: impl AsRef<OsStr>) -> io::Result<Stat> {
    sys::stat(AT_FDCWD, bytes(&path), AT_SYMLINK_NOFOLLOW)
}

/// Attributes of an open file.
///
/// # Errors
/// `EBADF`.
pub fn fstat(fd: u32) -> io::Result<Stat> {
    sys::stat(fd as i32, b"", AT_EMPTY_PATH)
}

/// Sets the permission bits.
///
/// # Errors
/// Those of chmod(2).
pub fn chmod(path: impl AsRef<OsStr>, mode: u32) -> io::Result<()> {
    sys::chmod(bytes(&path), mode)
}

/// Sets the permission bits of an open file.
///
/// # Errors
/// Those of fchmod(2).
pub fn fchmod(fd: u32, mode: u32) -> io::Result<()> {
    sys::fchmod(fd, mode)
}

/// Sets owner and group; `None` leaves one as it is.
///
/// # Errors
/// Those of chown(2).
pub fn chown(path: impl AsRef<OsStr>, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    sys::chown(bytes(&path), uid.unwrap_or(u32::MAX), gid.unwrap_or(u32::MAX), 0)
}

/// Sets owner and group of a symbolic link itself; `None` leaves one as it is.
///
/// # Errors
/// Those of lchown(2).
pub fn lchown(path: impl AsRef<OsStr>, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    sys::chown(bytes(&path), uid.unwrap_or(u32::MAX), gid.unwrap_or(u32::MAX), AT_SYMLINK_NOFOLLOW)
}

/// Sets owner and group of an open file; `None` leaves one as it is.
///
/// # Errors
/// Those of fchown(2).
pub fn fchown(fd: u32, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    sys::fchown(fd, uid.unwrap_or(u32::MAX), gid.unwrap_or(u32::MAX))
}

/// Whether the effective user may do what `mode` (a sum of [`R_OK`], [`W_OK`], [`X_OK`]) says.
///
/// # Errors
/// `EACCES`: no. Those of access(2) otherwise.
pub fn access(path: impl AsRef<OsStr>, mode: u32) -> io::Result<()> {
    sys::access(bytes(&path), mode)
}

/// Makes a FIFO.
///
/// # Errors
/// Those of mkfifo(3).
pub fn mkfifo(path: impl AsRef<OsStr>, mode: u32) -> io::Result<()> {
    sys::mkfifo(bytes(&path), mode)
}

/// Makes a directory with a mode that the umask applies to.
///
/// # Errors
/// Those of mkdir(2).
pub fn mkdir(path: impl AsRef<OsStr>, mode: u32) -> io::Result<()> {
    sys::mkdir(bytes(&path), mode)
}

/// Figures of the file system that holds `path`.
///
/// # Errors
/// Those of statfs(2).
pub fn statfs(path: impl AsRef<OsStr>) -> io::Result<StatFs> {
    sys::statfs(bytes(&path))
}

/// Sets access and modification time as (seconds, nanoseconds); the nanoseconds may be [`UTIME_NOW`] or [`UTIME_OMIT`].
///
/// # Errors
/// Those of utimensat(2).
pub fn utimens(
    path: impl AsRef<OsStr>,
    atime: (i64, i64),
    mtime: (i64, i64),
    follow: bool,
) -> io::Result<()> {
    sys::utimens(bytes(&path), atime, mtime, if follow { 0 } else { AT_SYMLINK_NOFOLLOW })
}

/// Sets the mask of permission bits that new files do not get; returns the old one.
pub fn umask(mask: u32) -> u32 {
    sys::umask(mask)
}
