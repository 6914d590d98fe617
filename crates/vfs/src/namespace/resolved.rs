//! Where a path led: to an inode, to nothing, or to an open descriptor.

use super::{Location, Namespace};
use crate::{Attr, Errno, NameBuf, Result};

/// What the last component of a path was. rmdir, unlink and rename refuse some of them (EINVAL, ENOTEMPTY, EBUSY).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// A name.
    Name,
    /// `.`.
    Dot,
    /// `..`.
    DotDot,
    /// None at all: the path was `/`.
    Root,
}

/// A path that leads to an inode.
#[derive(Clone, Debug)]
pub struct Found {
    /// The inode; the root of the mount where something is mounted.
    pub location: Location,
    /// Its attributes.
    pub attr: Attr,
    /// Its directory and its name there, when the last component was a name.
    pub parent: Option<(Location, NameBuf)>,
    /// What the last component was.
    pub last: Last,
    /// The path ended in `/`; the inode then is a directory.
    pub trailing_slash: bool,
    /// Neither a link nor `..` was followed: where the walk began and the names of the path, one after the other, are the
    /// canonical path.
    pub straight: bool,
}

impl Found {
    /// Whether something is mounted exactly here (as seen from the directory that holds the name).
    #[must_use]
    pub fn is_mount_point(&self) -> bool {
        self.parent.as_ref().is_some_and(|(parent, _)| parent.mount.id != self.location.mount.id)
    }
}

/// A path whose last component does not exist; all before it does.
#[derive(Clone, Debug)]
pub struct Missing {
    /// The directory in which it could be created.
    pub parent: Location,
    /// The attributes of that directory.
    pub parent_attr: Attr,
    /// The name.
    pub name: NameBuf,
    /// The path ended in `/`: only a directory may be created.
    pub trailing_slash: bool,
    /// As in [`Found`].
    pub straight: bool,
}

/// A path that leads to an open descriptor: `/proc/self/fd/3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The process.
    pub pid: u32,
    /// Its descriptor.
    pub fd: u32,
    /// What follows and must be walked from there; empty when the link was the last component.
    pub rest: Vec<u8>,
    /// The path ended in `/`.
    pub trailing_slash: bool,
}

/// Where a path led.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// To an inode.
    Found(Found),
    /// To nothing, in a directory that exists.
    Missing(Missing),
    /// To an open descriptor.
    Descriptor(Descriptor),
}

impl Resolved {
    /// The inode, or ENOENT. A descriptor is ELOOP, as for a caller that cannot follow it.
    pub fn found(self) -> Result<Found> {
        match self {
            Resolved::Found(found) => Ok(found),
            Resolved::Missing(_) => Err(Errno::ENOENT),
            Resolved::Descriptor(_) => Err(Errno::ELOOP),
        }
    }

    /// Whether the path ended in `/`.
    #[must_use]
    pub fn trailing_slash(&self) -> bool {
        match self {
            Resolved::Found(found) => found.trailing_slash,
            Resolved::Missing(missing) => missing.trailing_slash,
            Resolved::Descriptor(descriptor) => descriptor.trailing_slash,
        }
    }

    /// The canonical absolute path, built now from the directory it is in: no symbolic link, no `..`. This is what
    /// permission rules are matched on. `None` for a descriptor.
    pub async fn path(&self, ns: &Namespace) -> Result<Option<Vec<u8>>> {
        match self {
            Resolved::Found(Found { parent: Some((parent, name)), .. })
            | Resolved::Missing(Missing { parent, name, .. }) => {
                ns.path_of_entry(parent, name).await.map(Some)
            }
            Resolved::Found(found) => ns.path_of(&found.location).await.map(Some),
            Resolved::Descriptor(_) => Ok(None),
        }
    }
}
