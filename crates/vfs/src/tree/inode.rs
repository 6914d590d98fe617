//! An inode of a tree as it is stored and shared between layers. It does not know its number.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::OrdMap;

use super::content::Content;
use crate::{Attr, FileType, Ino, Timespec};

/// What one entry of a directory is charged, on top of its name.
const ENTRY: u64 = 64;

/// What an entry of this name is charged.
pub(crate) fn entry_charge(name: &[u8]) -> u64 {
    ENTRY + name.len() as u64
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) ino: Ino,
    pub(crate) kind: FileType,
}

#[derive(Clone, Default)]
pub(crate) struct Directory {
    pub(crate) entries: OrdMap<Arc<[u8]>, Entry>,
    /// Its own name in its parent; empty for the root.
    pub(crate) name: Arc<[u8]>,
    pub(crate) subdirs: u32,
    /// As the upper of an overlay: hides the lower directories of the same path.
    pub(crate) opaque: bool,
}

#[derive(Clone)]
pub(crate) enum Body {
    Regular(Content),
    Directory(Directory),
    Symlink(Arc<[u8]>),
    CharDevice(u64),
    BlockDevice(u64),
    Fifo,
    Socket,
}

/// The directories that hold the names of an inode: the way from a changed inode to its paths.
#[derive(Clone)]
pub(crate) enum Homes {
    None,
    One(Ino),
    /// Several links: how many in which directory.
    Many(BTreeMap<Ino, u32>),
}

impl Homes {
    pub(crate) fn add(&mut self, dir: Ino) {
        match self {
            Homes::None => *self = Homes::One(dir),
            Homes::One(first) => {
                let mut map = BTreeMap::from([(*first, 1)]);
                *map.entry(dir).or_default() += 1;
                *self = Homes::Many(map);
            }
            Homes::Many(map) => *map.entry(dir).or_default() += 1,
        }
    }

    pub(crate) fn remove(&mut self, dir: Ino) {
        match self {
            Homes::None => {}
            Homes::One(_) => *self = Homes::None,
            Homes::Many(map) => {
                if let Some(count) = map.get_mut(&dir) {
                    *count -= 1;
                    if *count == 0 {
                        map.remove(&dir);
                    }
                }
                let mut left = map.iter();
                if let (Some((&dir, 1)), None) = (left.next(), left.next()) {
                    *self = Homes::One(dir);
                }
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Ino> {
        let (one, many) = match self {
            Homes::None => (None, None),
            Homes::One(dir) => (Some(*dir), None),
            Homes::Many(map) => (None, Some(map.keys().copied())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// The only home, as directories have.
    pub(crate) fn one(&self) -> Option<Ino> {
        self.iter().next()
    }
}

#[derive(Clone)]
pub(crate) struct Inode {
    pub(crate) perm: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) nlink: u32,
    pub(crate) atime: Timespec,
    pub(crate) mtime: Timespec,
    pub(crate) ctime: Timespec,
    pub(crate) btime: Timespec,
    pub(crate) homes: Homes,
    pub(crate) body: Body,
}

impl Inode {
    pub(crate) fn kind(&self) -> FileType {
        match &self.body {
            Body::Regular(_) => FileType::Regular,
            Body::Directory(_) => FileType::Directory,
            Body::Symlink(_) => FileType::Symlink,
            Body::CharDevice(_) => FileType::CharDevice,
            Body::BlockDevice(_) => FileType::BlockDevice,
            Body::Fifo => FileType::Fifo,
            Body::Socket => FileType::Socket,
        }
    }

    /// What the inode itself counts against the limit; its names are charged to their directories.
    pub(crate) fn charge(&self) -> u64 {
        match &self.body {
            Body::Regular(content) => content.charge(),
            Body::Symlink(target) => target.len() as u64,
            _ => 0,
        }
    }

    pub(crate) fn attr(&self, ino: Ino) -> Attr {
        let (size, blocks, rdev) = match &self.body {
            Body::Regular(content) => (content.size(), content.charge().div_ceil(512), 0),
            Body::Directory(_) => (4096, 8, 0),
            Body::Symlink(target) => (target.len() as u64, 0, 0),
            Body::CharDevice(rdev) | Body::BlockDevice(rdev) => (0, 0, *rdev),
            Body::Fifo | Body::Socket => (0, 0, 0),
        };
        Attr {
            ino,
            kind: self.kind(),
            perm: self.perm,
            nlink: self.nlink,
            uid: self.uid,
            gid: self.gid,
            rdev,
            size,
            blocks,
            atime: self.atime,
            mtime: self.mtime,
            ctime: self.ctime,
            btime: self.btime,
        }
    }

    /// A change of the content: times, and the set-id bits go, as Linux does for every write.
    pub(crate) fn modified(&mut self, now: Timespec) {
        self.mtime = now;
        self.ctime = now;
        self.drop_set_ids();
    }

    /// Clears set-user-id, and set-group-id where the group may execute (otherwise it once meant mandatory locking).
    pub(crate) fn drop_set_ids(&mut self) {
        self.perm &= !0o4000;
        if self.perm & 0o010 != 0 {
            self.perm &= !0o2000;
        }
    }

    /// Whether reading must move atime (relatime: once after each change, and once a day).
    pub(crate) fn atime_is_old(&self, now: Timespec) -> bool {
        const DAY: i64 = 24 * 60 * 60;
        self.atime <= self.mtime
            || self.atime <= self.ctime
            || now.secs.saturating_sub(self.atime.secs) >= DAY
    }
}

/// A place in the inode table; equal when it is the same inode in memory, so that comparing maps costs nothing.
#[derive(Clone)]
pub(crate) struct Node(pub(crate) Arc<Inode>);

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
