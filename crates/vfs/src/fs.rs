//! The contract of a file system: names by inode, data by open file.
//!
//! Like the vnode interface of a Unix kernel: path walking, mounts and symbolic links are done above it
//! (`Namespace`), so a file system never sees a path.

use std::sync::Arc;

use crate::{
    Attr, Errno, FileContent, FileType, Ino, InodePin, Listing, Location, NameBuf, Quota, Reply, Result,
    SetAttr, TreeLimits, Usage,
};

/// One component of a path: bytes, no `/`, not empty, at most 255 bytes. `.` and `..` never reach a file system.
pub type Name = [u8];

/// What to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewKind {
    /// An empty regular file.
    Regular,
    /// An empty directory.
    Directory,
    /// A symbolic link to this target.
    Symlink(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A character device of this number.
    CharDevice(u64),
    /// A block device of this number.
    BlockDevice(u64),
    /// A socket.
    Socket,
}

/// A new inode: type, permission bits (umask already applied) and owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNode {
    /// Type.
    pub kind: NewKind,
    /// Permission bits, `0o7777`.
    pub perm: u32,
    /// Owner. A set-group-id directory overrides the group, as POSIX allows.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// An entry of a directory, without `.` and `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// Inode number.
    pub ino: Ino,
    /// Type.
    pub kind: FileType,
    /// Name.
    pub name: Box<[u8]>,
}

/// Where a symbolic link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// To this path.
    Path(Vec<u8>),
    /// To an open descriptor of the calling process (`/proc/self/fd/N`); the bytes are what readlink(2) shows.
    Descriptor {
        /// The process.
        pid: u32,
        /// Its descriptor.
        fd: u32,
        /// What readlink(2) shows.
        shown: Vec<u8>,
    },
    /// To this directory, which may have no path any more (`/proc/self/cwd`).
    Directory {
        /// The directory.
        place: Location,
        /// What readlink(2) shows.
        shown: Vec<u8>,
    },
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// It will be read.
    pub read: bool,
    /// It will be written.
    pub write: bool,
}

/// Options of rename, as of renameat2(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RenameFlags {
    /// Fail with EEXIST if the target exists.
    pub no_replace: bool,
    /// Swap both.
    pub exchange: bool,
}

/// What statfs(2) tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FsStat {
    /// Bytes of a block.
    pub block_size: u64,
    /// Blocks in all.
    pub blocks: u64,
    /// Free blocks.
    pub blocks_free: u64,
    /// Inodes in all.
    pub inodes: u64,
    /// Free inodes.
    pub inodes_free: u64,
}

/// What [`FileSystem::descend`] goes along.
#[derive(Clone, Copy)]
pub struct Steps<'a> {
    /// The path.
    pub path: &'a [u8],
    /// Where the first component begins; there is no slash.
    pub at: usize,
    /// The attributes of the first directory, if it was looked at just now.
    pub start: Option<Attr>,
    /// Asked at every directory before a name is looked up in it.
    pub may_search: &'a dyn Fn(&Attr) -> Result<()>,
    /// Whether something is mounted on a directory.
    pub covered: &'a dyn Fn(Ino) -> bool,
}

impl<'a> Steps<'a> {
    /// The component at `at`, and where the next one begins: at the end of the path if it is the last.
    #[must_use]
    pub(crate) fn component(&self, at: usize) -> (&'a [u8], usize) {
        let rest = &self.path[at..];
        let len = memchr::memchr(b'/', rest).unwrap_or(rest.len());
        let slashes = rest[len..].iter().take_while(|&&byte| byte == b'/').count();
        (&rest[..len], at + len + slashes)
    }
}

/// How far [`FileSystem::descend`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descent {
    /// The directory it came to.
    pub dir: Ino,
    /// Where in the path the component begins that is to be looked up in `dir`.
    pub at: usize,
    /// What it found there.
    pub reached: Reached,
}

/// Where [`FileSystem::descend`] stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// Before a component that it does not look up; these are the attributes of the directory.
    Directory(Attr),
    /// At a name that is not there; these are the attributes of the directory.
    Missing(Attr),
    /// At a component that it does not go through: a link, a directory on which something is mounted, or no directory at
    /// all though the path goes on.
    Entry {
        /// The attributes of the directory.
        directory: Attr,
        /// Those of the component.
        entry: Attr,
    },
    /// At the last component, whose attributes these are: no link, and nothing is mounted on it.
    Last(Attr),
}

/// A tree of inodes.
///
/// Every call takes inode numbers that an earlier call of the same file system returned. A number stays valid while the
/// inode is linked or open; a file system that must look inodes up again (host directory, driver) answers ESTALE when
/// it cannot. Errors are exact POSIX numbers. Permission bits are **not** checked here: the kernel does.
pub trait FileSystem: Send + Sync + 'static {
    /// The type as `/proc/mounts` shows it, such as `tmpfs`.
    fn type_name(&self) -> &str;

    /// The root directory.
    fn root(&self) -> Ino;

    /// The inode of this name. ENOENT, ENOTDIR.
    fn lookup(&self, dir: Ino, name: &Name) -> Reply<'_, Attr>;

    /// Looks up as many components as lead down through directories: a short cut for
    /// file systems that answer at once, and need one lock or fewer system calls for all of them. It stops at a link, a
    /// missing name and a directory on which something is mounted (`covered`), and before `.`, `..` and what is in a
    /// directory in which `may_search` refuses to look; the caller goes on from there with single look-ups. `None`: not
    /// even the first directory was looked at.
    fn descend(&self, dir: Ino, steps: Steps<'_>) -> Option<Descent> {
        let _ = (dir, steps);
        None
    }

    /// The parent of a directory; the root is its own.
    fn parent(&self, dir: Ino) -> Reply<'_, Ino>;

    /// The attributes.
    fn getattr(&self, ino: Ino) -> Reply<'_, Attr>;

    /// Changes attributes and returns the new ones. EROFS, EISDIR for the size of a directory, EINVAL, EFBIG, ENOSPC.
    fn setattr(&self, ino: Ino, change: &SetAttr) -> Reply<'_, Attr>;

    /// The target of a symbolic link, on behalf of process `pid` (only `/proc` cares). EINVAL if it is none.
    fn readlink(&self, ino: Ino, pid: u32) -> Reply<'_, Link>;

    /// Creates an inode. EEXIST, ENOENT (the directory is gone), ENOTDIR, EROFS, ENOSPC, EDQUOT, ENAMETOOLONG.
    fn create(&self, dir: Ino, name: &Name, node: &NewNode) -> Reply<'_, Attr>;

    /// A further name of an inode that is not a directory. EEXIST, EPERM, EMLINK.
    fn link(&self, ino: Ino, dir: Ino, name: &Name) -> Reply<'_, Attr>;

    /// Removes a name that is not a directory (EISDIR). Open files stay readable.
    fn unlink(&self, dir: Ino, name: &Name) -> Reply<'_, ()>;

    /// Removes an empty directory. ENOTDIR, ENOTEMPTY.
    fn rmdir(&self, dir: Ino, name: &Name) -> Reply<'_, ()>;

    /// Moves a name, replacing the target as rename(2) does: EISDIR, ENOTDIR, ENOTEMPTY, EINVAL (into itself); nothing
    /// happens when both names are the same inode.
    fn rename(&self, from_dir: Ino, from: &Name, to_dir: Ino, to: &Name, flags: RenameFlags)
    -> Reply<'_, ()>;

    /// All entries, in a stable order.
    fn readdir(&self, dir: Ino) -> Reply<'_, Vec<DirEntry>>;

    /// The same to read in pieces, as it is now: of a directory in memory it is not a copy.
    fn listing(&self, dir: Ino) -> Reply<'_, Listing> {
        match self.readdir(dir) {
            Reply::Now(entries) => Reply::Now(entries.map(Listing::from)),
            Reply::Later(entries) => Reply::later(async move { entries.await.map(Listing::from) }),
        }
    }

    /// Opens a regular file; the inode lives until the last open file is dropped.
    fn open(&self, ino: Ino, access: Access) -> Reply<'_, Arc<dyn OpenFile>>;

    /// The parent of a directory and its name there; `None` for the root. ENOENT when it was removed.
    ///
    /// The default looks the number up in the parent's entries; file systems that know the name answer at once.
    fn name_of(&self, dir: Ino) -> Reply<'_, Option<(Ino, NameBuf)>> {
        if dir == self.root() {
            return Reply::Now(Ok(None));
        }
        Reply::later(async move {
            let parent = self.parent(dir).await?;
            let entries = self.readdir(parent).await?;
            let entry = entries.iter().find(|entry| entry.ino == dir).ok_or(Errno::ENOENT)?;
            Ok(Some((parent, NameBuf::new(&entry.name)?)))
        })
    }

    /// Keeps `ino` valid while the guard lives: an unlinked inode stays, a number of a bounded table is not forgotten.
    /// For working directories, open directories and open FIFOs.
    fn pin(&self, ino: Ino) -> InodePin {
        let _ = ino;
        InodePin::none()
    }

    /// The content of a regular file by reference, if the file system holds it in memory.
    fn content(&self, ino: Ino) -> Option<FileContent> {
        let _ = ino;
        None
    }

    /// A file system that starts as this one is now and goes its own way, where that costs next to nothing. `None`: there
    /// is only one of it.
    fn fork(&self) -> Option<Arc<dyn FileSystem>> {
        None
    }

    /// The tree behind it, of which layers can be taken and that can be [restored](crate::Tree::restore), if that is all
    /// there is behind it.
    fn tree(&self) -> Option<&crate::Tree> {
        None
    }

    /// From now on its content in memory counts in this account, also what is there already. File systems that hold none
    /// do nothing.
    fn share(&self, quota: &Arc<Quota>) {
        let _ = quota;
    }

    /// What it holds in memory and may hold; `None` where that is not its own business. Of several limits the one that is
    /// nearest.
    fn account(&self) -> Option<(Usage, TreeLimits)> {
        None
    }

    /// Space and inodes.
    fn statfs(&self) -> Reply<'_, FsStat>;

    /// Everything reached stable storage, where there is any.
    fn sync(&self) -> Reply<'_, ()> {
        Reply::Now(Ok(()))
    }

    /// The entries of a directory reached stable storage, where there is any: fsync(2) of a directory.
    ///
    /// The default syncs all; file systems that can sync less do.
    fn sync_dir(&self, dir: Ino) -> Reply<'_, ()> {
        let _ = dir;
        self.sync()
    }

    /// Whether every change fails with EROFS.
    fn read_only(&self) -> bool {
        false
    }
}

/// An open regular file.
pub trait OpenFile: Send + Sync + 'static {
    /// The attributes now.
    fn getattr(&self) -> Reply<'_, Attr>;

    /// Changes attributes.
    fn setattr(&self, change: &SetAttr) -> Reply<'_, Attr>;

    /// Reads at `offset`; fewer bytes than asked only at the end of the file; 0 at or behind it.
    fn read_at<'a>(&'a self, buf: &'a mut [u8], offset: u64) -> Reply<'a, usize>;

    /// Writes all of `data` at `offset`, extending the file with a hole if needed; fewer only when space ran out after
    /// some bytes. Times change, set-id bits are dropped.
    fn write_at<'a>(&'a self, data: &'a [u8], offset: u64) -> Reply<'a, usize>;

    /// Writes at the end, atomically against other appends. Returns bytes written and the new end.
    fn append<'a>(&'a self, data: &'a [u8]) -> Reply<'a, (usize, u64)>;

    /// Data (and attributes unless `data_only`) reached stable storage.
    fn sync(&self, data_only: bool) -> Reply<'_, ()>;

    /// Whether this file is open for writing in a file system that keeps what is written until it is closed.
    fn writes_back(&self) -> bool {
        false
    }

    /// What close(2) waits for, and its error, where [`OpenFile::writes_back`]. It may come more than once, and not at all
    /// when the process is killed.
    fn flush(&self) -> Reply<'_, ()> {
        Reply::Now(Ok(()))
    }
}
