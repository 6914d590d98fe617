//! What a file system of the embedding program implements: calls on paths. It knows no inode numbers.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::{Access, Errno, FileType, Result, Timespec};

/// The attributes a driver tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtualStat {
    /// Type.
    pub kind: FileType,
    /// Permission bits, `0o7777`.
    pub perm: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Hard links.
    pub nlink: u32,
    /// Bytes.
    pub size: u64,
    /// Last access.
    pub atime: Timespec,
    /// Last change of the content.
    pub mtime: Timespec,
    /// Last change of the inode.
    pub ctime: Timespec,
    /// Creation.
    pub btime: Timespec,
}

/// A file system by path, relative to its mount: `/` is the mount point, `/a/b` below it. Paths are normalised and
/// symbolic links in them resolved already; a driver never follows one.
///
/// Errors are POSIX numbers and reach the guest as they are. Whatever a driver does not answer in time is ETIMEDOUT.
pub trait PathDriver: Send + Sync + 'static {
    /// The attributes; of a symbolic link itself. ENOENT, ENOTDIR.
    fn lstat<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<VirtualStat>>;

    /// The names in a directory and their types. ENOENT, ENOTDIR.
    fn read_dir<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Vec<(String, FileType)>>>;

    /// Up to `len` bytes from `offset`; empty only at the end.
    fn read<'a>(&'a self, path: &'a str, offset: u64, len: usize) -> BoxFuture<'a, Result<Vec<u8>>>;

    /// Writes all of `data`, extending the file with zeros if needed.
    fn write<'a>(&'a self, path: &'a str, offset: u64, data: Vec<u8>) -> BoxFuture<'a, Result<()>>;

    /// An empty file. EEXIST when there is anything.
    fn create_file<'a>(&'a self, path: &'a str, perm: u32) -> BoxFuture<'a, Result<()>>;

    /// An empty directory. EEXIST.
    fn mkdir<'a>(&'a self, path: &'a str, perm: u32) -> BoxFuture<'a, Result<()>>;

    /// Removes what is no directory. ENOENT, EISDIR.
    fn unlink<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Removes an empty directory. ENOENT, ENOTDIR, ENOTEMPTY.
    fn rmdir<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Moves, replacing the target as rename(2). EISDIR, ENOTDIR, ENOTEMPTY.
    fn rename<'a>(&'a self, from: &'a str, to: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Cuts, or extends with zeros.
    fn truncate<'a>(&'a self, path: &'a str, size: u64) -> BoxFuture<'a, Result<()>>;

    /// A further name. EPERM where there are no hard links.
    fn link<'a>(&'a self, existing: &'a str, new: &'a str) -> BoxFuture<'a, Result<()>> {
        let _ = (existing, new);
        refuse(Errno::EPERM)
    }

    /// A symbolic link at `path`. EPERM where there are none.
    fn symlink<'a>(&'a self, target: &'a str, path: &'a str) -> BoxFuture<'a, Result<()>> {
        let _ = (target, path);
        refuse(Errno::EPERM)
    }

    /// The target of a symbolic link. EINVAL when it is none.
    fn read_link<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<String>> {
        let _ = path;
        refuse(Errno::EINVAL)
    }

    /// Sets the permission bits.
    fn chmod<'a>(&'a self, path: &'a str, perm: u32) -> BoxFuture<'a, Result<()>> {
        let _ = (path, perm);
        refuse(Errno::EPERM)
    }

    /// Sets the owner.
    fn chown<'a>(&'a self, path: &'a str, uid: u32, gid: u32) -> BoxFuture<'a, Result<()>> {
        let _ = (path, uid, gid);
        refuse(Errno::EPERM)
    }

    /// Sets the times.
    fn utimes<'a>(&'a self, path: &'a str, atime: Timespec, mtime: Timespec) -> BoxFuture<'a, Result<()>> {
        let _ = (path, atime, mtime);
        refuse(Errno::EPERM)
    }

    /// Whether files are opened with [`PathDriver::open`]; otherwise their content goes by path.
    fn keeps_open_files(&self) -> bool {
        false
    }

    /// A file to read or write through the handle, for drivers that must know when it is closed, or keep what is
    /// written until then. ENOENT, EISDIR.
    fn open<'a>(&'a self, path: &'a str, access: Access) -> BoxFuture<'a, Result<Arc<dyn DriverHandle>>> {
        let _ = (path, access);
        refuse(Errno::ENOTSUP)
    }

    /// Everything written reached its destination, also of files that are closed.
    fn sync(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

/// An open file of a driver that keeps them. Whether it may be read or written is checked before.
pub trait DriverHandle: Send + Sync + 'static {
    /// The attributes now.
    fn stat(&self) -> BoxFuture<'_, Result<VirtualStat>>;

    /// Up to `len` bytes from `offset`; empty only at the end.
    fn read(&self, offset: u64, len: usize) -> BoxFuture<'_, Result<Vec<u8>>>;

    /// Writes all of `data` at `offset`, or at the end; returns where that ends.
    fn write(&self, offset: Option<u64>, data: Vec<u8>) -> BoxFuture<'_, Result<u64>>;

    /// Cuts, or extends with zeros.
    fn truncate(&self, size: u64) -> BoxFuture<'_, Result<()>>;

    /// What was written reached its destination: for close(2) and fsync(2).
    fn flush(&self) -> BoxFuture<'_, Result<()>>;
}

fn refuse<'a, T: Send + 'a>(errno: Errno) -> BoxFuture<'a, Result<T>> {
    Box::pin(async move { Err(errno) })
}
