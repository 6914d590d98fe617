//! What differs between two layers, path by path, in a form that can be stored. It holds no inode numbers.

use std::fmt;

use crate::tree::{Body, Inode};
use crate::{Attr, FileContent, Timespec};

/// The attributes of a changed inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits, `0o7777`.
    pub perm: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last access.
    pub atime: Timespec,
    /// Last change of the content.
    pub mtime: Timespec,
    /// Last change of the inode.
    pub ctime: Timespec,
    /// Creation.
    pub btime: Timespec,
}

impl Meta {
    pub(crate) fn of(inode: &Inode) -> Self {
        let Inode { perm, uid, gid, atime, mtime, ctime, btime, .. } = *inode;
        Meta { perm, uid, gid, atime, mtime, ctime, btime }
    }

    pub(crate) fn of_attr(attr: &Attr) -> Self {
        let Attr { perm, uid, gid, atime, mtime, ctime, btime, .. } = *attr;
        Meta { perm, uid, gid, atime, mtime, ctime, btime }
    }

    pub(crate) fn put(self, inode: &mut Inode) {
        let Meta { perm, uid, gid, atime, mtime, ctime, btime } = self;
        (inode.perm, inode.uid, inode.gid) = (perm, uid, gid);
        (inode.atime, inode.mtime, inode.ctime, inode.btime) = (atime, mtime, ctime, btime);
    }
}

/// What is at a path now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Nothing: a whiteout. A directory goes with all below it.
    Removed,
    /// A directory with these attributes.
    Directory {
        /// Its attributes.
        meta: Meta,
        /// Whatever the base has in it is gone; it holds only what follows.
        opaque: bool,
        /// As the upper of an overlay, it hides the lower directories of its path.
        hides_lower: bool,
    },
    /// A regular file, as a whole.
    Regular {
        /// Its attributes.
        meta: Meta,
        /// Its bytes, shared with the layer.
        content: FileContent,
    },
    /// A symbolic link.
    Symlink {
        /// Its attributes.
        meta: Meta,
        /// Its target.
        target: Box<[u8]>,
    },
    /// A character device.
    CharDevice {
        /// Its attributes.
        meta: Meta,
        /// Its number.
        rdev: u64,
    },
    /// A block device.
    BlockDevice {
        /// Its attributes.
        meta: Meta,
        /// Its number.
        rdev: u64,
    },
    /// A named pipe.
    Fifo {
        /// Its attributes.
        meta: Meta,
    },
    /// A socket.
    Socket {
        /// Its attributes.
        meta: Meta,
    },
    /// A further name of what an earlier change put at this path.
    HardLink {
        /// The earlier path.
        target: Vec<u8>,
    },
}

impl ChangeKind {
    pub(crate) fn of(inode: &Inode, opaque: bool) -> Self {
        let meta = Meta::of(inode);
        match &inode.body {
            Body::Regular(content) => ChangeKind::Regular { meta, content: FileContent(content.clone()) },
            Body::Directory(dir) => ChangeKind::Directory { meta, opaque, hides_lower: dir.opaque },
            Body::Symlink(target) => ChangeKind::Symlink { meta, target: Box::from(&target[..]) },
            Body::CharDevice(rdev) => ChangeKind::CharDevice { meta, rdev: *rdev },
            Body::BlockDevice(rdev) => ChangeKind::BlockDevice { meta, rdev: *rdev },
            Body::Fifo => ChangeKind::Fifo { meta },
            Body::Socket => ChangeKind::Socket { meta },
        }
    }
}

/// One path that differs.
#[derive(Clone, PartialEq, Eq)]
pub struct Change {
    /// Absolute; `/` for the root directory itself.
    pub path: Vec<u8>,
    /// What is there now.
    pub kind: ChangeKind,
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", String::from_utf8_lossy(&self.path), self.kind)
    }
}

/// The changes that make one layer of another, parents before children.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerDiff {
    /// The changes, in the order in which they can be applied.
    pub changes: Vec<Change>,
}

impl LayerDiff {
    /// Whether both layers are the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}
