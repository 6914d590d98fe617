//! The interface of a file system that runs in this program and is mounted in a VM.
//! It knows nothing of the wire.

use std::path::Path;

use agentos_abi::Errno;
use agentos_protocol::message::FileKind;
use futures_util::future::BoxFuture;

/// What a driver's method returns.
pub type DriverFuture<'a, T> = BoxFuture<'a, Result<T, Errno>>;

/// Attributes of a driver's file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DriverStat {
    /// Type.
    pub kind: FileKind,
    /// A number that stays the same while the file exists; 0: one is made from the path.
    pub ino: u64,
    /// Permission bits, `0o7777`.
    pub mode: u32,
    /// Hard links.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Last access, milliseconds since 1970 UTC.
    pub atime_ms: f64,
    /// Last change of the content.
    pub mtime_ms: f64,
    /// Last change of the inode.
    pub ctime_ms: f64,
    /// Creation.
    pub birthtime_ms: f64,
}

impl DriverStat {
    /// A regular file of the VM's user, 0644.
    #[must_use]
    pub const fn file(size: u64) -> Self {
        DriverStat {
            kind: FileKind::File,
            ino: 0,
            mode: 0o644,
            nlink: 1,
            uid: 1000,
            gid: 1000,
            size,
            atime_ms: 0.0,
            mtime_ms: 0.0,
            ctime_ms: 0.0,
            birthtime_ms: 0.0,
        }
    }

    /// A directory of the VM's user, 0755.
    #[must_use]
    pub const fn directory() -> Self {
        DriverStat { kind: FileKind::Directory, mode: 0o755, nlink: 2, ..DriverStat::file(0) }
    }
}

/// An entry of a driver's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriverDirEntry {
    /// Name, without `/`.
    pub name: Vec<u8>,
    /// Type.
    pub kind: FileKind,
    /// As [`DriverStat::ino`].
    pub ino: u64,
}

fn read_only<T: Send + 'static>() -> DriverFuture<'static, T> {
    Box::pin(std::future::ready(Err(Errno::EROFS)))
}

/// A file system in this program. Paths are absolute in the driver's own tree and normalised; symbolic links and `..` were
/// resolved before. Errors reach the guest as they are. A driver that only reads needs the first three methods.
///
/// The methods are called on threads of this library, several at a time.
///
/// ```
/// use std::path::Path;
/// use agentos::{DriverDirEntry, DriverFuture, DriverStat, Errno, FileType, VirtualFileSystem};
///
/// /// One file, `/now`.
/// struct Clock;
/// const TEXT: &[u8] = b"noon\n";
///
/// impl VirtualFileSystem for Clock {
///     fn stat<'a>(&'a self, path: &'a Path) -> DriverFuture<'a, DriverStat> {
///         Box::pin(async move {
///             match path.to_str() {
///                 Some("/") => Ok(DriverStat::directory()),
///                 Some("/now") => Ok(DriverStat::file(TEXT.len() as u64)),
///                 _ => Err(Errno::ENOENT),
///             }
///         })
///     }
///     fn read_dir<'a>(&'a self, _: &'a Path) -> DriverFuture<'a, Vec<DriverDirEntry>> {
///         Box::pin(async { Ok(vec![DriverDirEntry { name: b"now".to_vec(), kind: FileType::File, ino: 0 }]) })
///     }
///     fn read<'a>(&'a self, _: &'a Path, offset: u64, len: usize) -> DriverFuture<'a, Vec<u8>> {
///         Box::pin(async move { Ok(TEXT.iter().copied().skip(offset as usize).take(len).collect()) })
///     }
/// }
/// ```
pub trait VirtualFileSystem: Send + Sync + 'static {
    /// Attributes of a path; a symbolic link is not followed. ENOENT.
    fn stat<'a>(&'a self, path: &'a Path) -> DriverFuture<'a, DriverStat>;

    /// Entries of a directory, without `.` and `..`. ENOTDIR.
    fn read_dir<'a>(&'a self, path: &'a Path) -> DriverFuture<'a, Vec<DriverDirEntry>>;

    /// Reads from a regular file; fewer bytes than asked only at its end.
    fn read<'a>(&'a self, path: &'a Path, offset: u64, len: usize) -> DriverFuture<'a, Vec<u8>>;

    /// Writes all of `data` at `offset`, or at the end. EROFS unless implemented; so are all that follow.
    fn write<'a>(&'a self, path: &'a Path, offset: Option<u64>, data: Vec<u8>) -> DriverFuture<'a, ()> {
        let _ = (path, offset, data);
        read_only()
    }

    /// Makes an empty regular file. EEXIST.
    fn create<'a>(&'a self, path: &'a Path, mode: u32) -> DriverFuture<'a, DriverStat> {
        let _ = (path, mode);
        read_only()
    }

    /// Makes a directory. EEXIST.
    fn mkdir<'a>(&'a self, path: &'a Path, mode: u32) -> DriverFuture<'a, DriverStat> {
        let _ = (path, mode);
        read_only()
    }

    /// Removes what is no directory. EISDIR.
    fn remove_file<'a>(&'a self, path: &'a Path) -> DriverFuture<'a, ()> {
        let _ = path;
        read_only()
    }

    /// Removes an empty directory. ENOTEMPTY.
    fn remove_dir<'a>(&'a self, path: &'a Path) -> DriverFuture<'a, ()> {
        let _ = path;
        read_only()
    }

    /// Moves a name; replaces what is there, or EEXIST with `no_replace`.
    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path, no_replace: bool) -> DriverFuture<'a, ()> {
        let _ = (from, to, no_replace);
        read_only()
    }

    /// Gives a file a further name. EPERM if there are none.
    fn link<'a>(&'a self, from: &'a Path, to: &'a Path) -> DriverFuture<'a, ()> {
        let _ = (from, to);
        read_only()
    }

    /// Makes a symbolic link at `path` that holds `target`.
    fn symlink<'a>(&'a self, target: &'a Path, path: &'a Path) -> DriverFuture<'a, DriverStat> {
        let _ = (target, path);
        read_only()
    }

    /// What a symbolic link holds. EINVAL unless implemented.
    fn read_link<'a>(&'a self, path: &'a Path) -> DriverFuture<'a, Vec<u8>> {
        let _ = path;
        Box::pin(std::future::ready(Err(Errno::EINVAL)))
    }

    /// Sets the length of a regular file.
    fn truncate<'a>(&'a self, path: &'a Path, size: u64) -> DriverFuture<'a, ()> {
        let _ = (path, size);
        read_only()
    }

    /// Sets the permission bits.
    fn chmod<'a>(&'a self, path: &'a Path, mode: u32) -> DriverFuture<'a, ()> {
        let _ = (path, mode);
        read_only()
    }

    /// Sets owner and group.
    fn chown<'a>(&'a self, path: &'a Path, uid: u32, gid: u32) -> DriverFuture<'a, ()> {
        let _ = (path, uid, gid);
        read_only()
    }

    /// Sets times, milliseconds since 1970 UTC; `None` leaves one as it is.
    fn utimes<'a>(
        &'a self,
        path: &'a Path,
        atime_ms: Option<f64>,
        mtime_ms: Option<f64>,
    ) -> DriverFuture<'a, ()> {
        let _ = (path, atime_ms, mtime_ms);
        read_only()
    }
}
