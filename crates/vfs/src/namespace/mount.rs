//! A mounted file system, and a place in one. The table of them is in `table`.

use std::fmt;
use std::sync::Arc;

use super::GuestPath;
use crate::{Attr, FileSystem, Ino, InodePin, Result};

/// A file system at its place in a namespace.
pub struct Mount {
    /// Unique in its namespace, never used again.
    pub id: u64,
    /// What is mounted, as `/proc/mounts` shows it in its first column.
    pub source: String,
    /// The file system.
    pub fs: Arc<dyn FileSystem>,
    /// Mounted read-only, whatever the file system allows.
    pub read_only: bool,
    /// Where, as it was asked for.
    pub path: GuestPath,
    /// The directory it covers; `None` for the first root.
    pub(crate) at: Option<(Location, InodePin)>,
}

impl Mount {
    /// The directory that it covers; `None` for the first root.
    #[must_use]
    pub fn place(&self) -> Option<&Location> {
        self.at.as_ref().map(|(at, _)| at)
    }

    /// The mount that the directory it covers is in; `None` for the first root.
    #[must_use]
    pub fn parent_id(&self) -> Option<u64> {
        self.place().map(|at| at.mount.id)
    }

    /// Whether changes fail with EROFS, by the mount or by its file system.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only || self.fs.read_only()
    }
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mount({} {} on {:?})", self.id, self.fs.type_name(), self.path)
    }
}

/// How to mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountOptions {
    /// Shown in `/proc/mounts`; the type of the file system when empty.
    pub source: String,
    /// Refuse changes with EROFS.
    pub read_only: bool,
}

/// An inode of a mounted file system. It does not keep the inode alive: see [`Location::pin`].
#[derive(Clone)]
pub struct Location {
    /// The mount.
    pub mount: Arc<Mount>,
    /// The inode.
    pub ino: Ino,
}

impl Location {
    /// The attributes now.
    pub async fn getattr(&self) -> Result<Attr> {
        self.mount.fs.getattr(self.ino).await
    }

    /// Keeps the inode valid; working directories and open directories hold one.
    pub fn pin(&self) -> InodePin {
        self.mount.fs.pin(self.ino)
    }

    /// Whether it is the root of its mount.
    #[must_use]
    pub fn is_mount_root(&self) -> bool {
        self.ino == self.mount.fs.root()
    }
}

impl PartialEq for Location {
    fn eq(&self, other: &Self) -> bool {
        self.ino == other.ino && self.mount.id == other.mount.id
    }
}

impl Eq for Location {}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}#{}", self.mount, self.ino)
    }
}
