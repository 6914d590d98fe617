//! The inode table of a tree and the account of its use. It knows inodes by number only; names are in `names`.

use std::collections::HashMap;
use std::sync::Arc;

use imbl::OrdMap;
use parking_lot::Mutex;

use super::inode::{Body, Directory, Homes, Inode, Node};
use super::quota::Share;
use super::{TreeLimits, Usage};
use crate::{Errno, Ino, Result, Timespec};

/// The number of the root directory.
pub(crate) const ROOT: Ino = 1;

/// How many guards hold an inode, by number.
#[derive(Default)]
pub(crate) struct Pins(Mutex<HashMap<Ino, u32>>);

impl Pins {
    pub(crate) fn add(&self, ino: Ino) {
        *self.0.lock().entry(ino).or_default() += 1;
    }

    /// True when the last guard went.
    pub(crate) fn remove(&self, ino: Ino) -> bool {
        let mut pins = self.0.lock();
        let Some(count) = pins.get_mut(&ino) else { return false };
        *count -= 1;
        if *count == 0 {
            pins.remove(&ino);
            return true;
        }
        false
    }

    pub(super) fn held(&self, ino: Ino) -> bool {
        self.0.lock().contains_key(&ino)
    }

    /// All numbers that are held now.
    pub(super) fn all(&self) -> Vec<Ino> {
        self.0.lock().keys().copied().collect()
    }
}

/// A frozen table: what a layer is.
#[derive(Clone)]
pub(crate) struct Frozen {
    pub(crate) table: OrdMap<Ino, Node>,
    pub(crate) next: Ino,
    pub(crate) usage: Usage,
}

impl Frozen {
    /// A root directory of `root` and mode 755 and nothing in it.
    pub(crate) fn empty() -> Self {
        let now = Timespec::now();
        let root = Inode {
            perm: 0o755,
            uid: 0,
            gid: 0,
            nlink: 2,
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
            homes: Homes::None,
            body: Body::Directory(Directory::default()),
        };
        let table = OrdMap::unit(ROOT, Node(Arc::new(root)));
        Frozen { table, next: ROOT + 1, usage: Usage { bytes: 0, inodes: 1 } }
    }

    pub(crate) fn get(&self, ino: Ino) -> Option<&Inode> {
        self.table.get(&ino).map(|node| &*node.0)
    }
}

/// Called with the usage after each change of it.
pub(crate) type Meter = Box<dyn Fn(Usage) + Send + Sync>;

pub(crate) struct State {
    pub(crate) tree: Frozen,
    /// Unlinked inodes that are still held. They are in no layer.
    pub(crate) orphans: HashMap<Ino, Arc<Inode>>,
    orphan_bytes: u64,
    pub(crate) limits: TreeLimits,
    pub(crate) pins: Arc<Pins>,
    /// Told of every change of the usage.
    pub(crate) meter: Option<Meter>,
    /// What it takes from an account of several trees.
    pub(crate) share: Option<Share>,
}

impl State {
    pub(crate) fn new(tree: Frozen, limits: TreeLimits, pins: Arc<Pins>) -> Self {
        State { tree, orphans: HashMap::new(), orphan_bytes: 0, limits, pins, meter: None, share: None }
    }

    pub(crate) fn get(&self, ino: Ino) -> Result<&Inode> {
        match self.tree.table.get(&ino) {
            Some(node) => Ok(&node.0),
            None => self.orphans.get(&ino).map(|inode| &**inode).ok_or(Errno::ENOENT),
        }
    }

    /// The inode to change; a layer that shares it keeps the old one.
    fn get_mut(&mut self, ino: Ino) -> Result<&mut Inode> {
        // Looking first keeps a miss from unsharing the path to where it would be.
        if self.tree.table.contains_key(&ino) {
            let node = self.tree.table.get_mut(&ino).ok_or(Errno::ENOENT)?;
            return Ok(Arc::make_mut(&mut node.0));
        }
        self.orphans.get_mut(&ino).map(Arc::make_mut).ok_or(Errno::ENOENT)
    }

    /// Changes an inode in a way that keeps its charge.
    pub(crate) fn edit<T>(&mut self, ino: Ino, change: impl FnOnce(&mut Inode) -> T) -> Result<T> {
        self.get_mut(ino).map(change)
    }

    /// Changes an inode and books the difference of its charge.
    pub(crate) fn edit_charged<T>(&mut self, ino: Ino, change: impl FnOnce(&mut Inode) -> T) -> Result<T> {
        let inode = self.get_mut(ino)?;
        let before = inode.charge();
        let value = change(inode);
        let after = inode.charge();
        self.tree.usage.bytes = self.tree.usage.bytes - before + after;
        if self.orphans.contains_key(&ino) {
            self.orphan_bytes = self.orphan_bytes - before + after;
        }
        if before != after {
            self.booked();
        }
        Ok(value)
    }

    pub(crate) fn dir(&self, ino: Ino) -> Result<&Directory> {
        match &self.get(ino)?.body {
            Body::Directory(dir) => Ok(dir),
            _ => Err(Errno::ENOTDIR),
        }
    }

    pub(crate) fn edit_dir<T>(
        &mut self,
        ino: Ino,
        change: impl FnOnce(&mut Inode) -> Option<T>,
    ) -> Result<T> {
        self.edit(ino, change)?.ok_or(Errno::ENOTDIR)
    }

    /// Bytes that may still be charged.
    pub(crate) fn bytes_left(&self) -> u64 {
        self.limits.bytes.saturating_sub(self.tree.usage.bytes)
    }

    /// Bytes that a change may charge which needs at most `most`.
    pub(crate) fn budget(&mut self, most: u64) -> u64 {
        let own = self.bytes_left();
        self.share.as_mut().map_or(own, |share| share.take_some(most.min(own)))
    }

    /// What it holds and may hold: of its limits and of the account, the one that is nearer.
    pub(crate) fn account(&self) -> (Usage, TreeLimits) {
        let (own, limits) = (self.tree.usage, self.limits);
        let Some(share) = &self.share else { return (own, limits) };
        let (all, most) = (share.quota.usage(), share.quota.limits());
        let left = |limit: u64, used: u64| limit.saturating_sub(used);
        let (mut usage, mut nearer) = (own, limits);
        if left(most.bytes, all.bytes) <= left(limits.bytes, own.bytes) {
            (usage.bytes, nearer.bytes) = (all.bytes, most.bytes);
        }
        if left(most.inodes, all.inodes) <= left(limits.inodes, own.inodes) {
            (usage.inodes, nearer.inodes) = (all.inodes, most.inodes);
        }
        (usage, nearer)
    }

    /// ENOSPC unless `bytes` and `inodes` more fit.
    pub(crate) fn room(&mut self, bytes: u64, inodes: u64) -> Result<()> {
        let fits = bytes <= self.bytes_left() && self.tree.usage.inodes + inodes <= self.limits.inodes;
        // What costs nothing always fits, even when a layer came in above the limits.
        if bytes == 0 && inodes == 0 {
            return Ok(());
        }
        let usage = self.tree.usage;
        let shared = |share: &mut Share| share.take(usage, bytes, inodes);
        if fits && self.share.as_mut().is_none_or(shared) { Ok(()) } else { Err(Errno::ENOSPC) }
    }

    pub(crate) fn charge(&mut self, bytes: u64) {
        self.tree.usage.bytes += bytes;
        self.booked();
    }

    fn booked(&self) {
        if let Some(meter) = &self.meter {
            meter(self.tree.usage);
        }
    }

    pub(crate) fn refund(&mut self, bytes: u64) {
        self.tree.usage.bytes -= bytes;
        self.booked();
    }

    pub(crate) fn insert(&mut self, inode: Inode) -> Ino {
        let ino = self.tree.next;
        self.tree.next += 1;
        self.tree.usage.inodes += 1;
        self.tree.usage.bytes += inode.charge();
        self.tree.table.insert(ino, Node(Arc::new(inode)));
        ino
    }

    /// An inode lost its last name: it goes, or stays as an orphan while it is held.
    pub(crate) fn unlinked(&mut self, ino: Ino) {
        let Some(Node(inode)) = self.tree.table.remove(&ino) else { return };
        if self.pins.held(ino) {
            self.orphan_bytes += inode.charge();
            self.orphans.insert(ino, inode);
        } else {
            self.tree.usage.inodes -= 1;
            self.tree.usage.bytes -= inode.charge();
            self.booked();
        }
    }

    /// An orphan is about to get a name.
    pub(crate) fn revive(&mut self, ino: Ino) {
        if let Some(inode) = self.orphans.remove(&ino) {
            self.orphan_bytes -= inode.charge();
            self.tree.table.insert(ino, Node(inode));
        }
    }

    /// The last guard of `ino` went: purges it if it is an orphan.
    pub(crate) fn released(&mut self, ino: Ino) {
        if self.pins.held(ino) {
            return;
        }
        if let Some(inode) = self.orphans.remove(&ino) {
            self.orphan_bytes -= inode.charge();
            self.tree.usage.inodes -= 1;
            self.tree.usage.bytes -= inode.charge();
            self.booked();
        }
    }

    /// Counts what the orphans are charged, after the table became another one in which they are not counted.
    pub(super) fn count_orphans(&mut self) {
        self.orphan_bytes = self.orphans.values().map(|inode| inode.charge()).sum();
        self.tree.usage.bytes += self.orphan_bytes;
        self.tree.usage.inodes += self.orphans.len() as u64;
        self.booked();
    }

    /// The table without the orphans. O(1).
    pub(crate) fn freeze(&self) -> Frozen {
        let mut frozen = self.tree.clone();
        frozen.usage.bytes -= self.orphan_bytes;
        frozen.usage.inodes -= self.orphans.len() as u64;
        frozen
    }
}
