//! Which inode number is which name in which directory, bounded. It opens nothing.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

use smallvec::SmallVec;

use super::file::HostFile;
use super::slots::{Slot, Slots};
use crate::{Errno, FileType, Ino, NameBuf, Result};

/// By numbers of the host, which no guest chooses.
type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Inodes remembered per mount; unpinned ones without known children are forgotten beyond it, oldest first.
const MAX_NODES: usize = 65_536;
/// Directory handles kept open per mount.
const MAX_HANDLES: usize = 64;
/// The deepest directory, in components: longer chains are refused.
const MAX_DEPTH: usize = 4096;
/// Numbers of the mount's own device are used as they are below this; all others come from a counter above it.
const FOREIGN: Ino = 1 << 62;

/// An inode of the host: device and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
}

/// What changes when the host lets others open a file, or nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) mode: u32,
    pub(crate) ctime: (i64, u64),
}

struct Node {
    parent: Ino,
    name: Box<[u8]>,
    identity: Identity,
    kind: FileType,
    /// As of the last look.
    stamp: Stamp,
    /// Nodes that name this one as their parent.
    children: u32,
    pins: u32,
    /// The right to keep the handle while the node is pinned.
    slot: Option<Slot>,
    used: u64,
    handle: Option<Arc<OwnedFd>>,
}

/// Where an inode was last seen, and what it was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) parent: Ino,
    pub(crate) name: NameBuf,
    pub(crate) identity: Identity,
    pub(crate) kind: FileType,
    pub(crate) stamp: Stamp,
}

/// A step of the way from an open directory to another.
pub(crate) struct Step {
    pub(crate) ino: Ino,
    pub(crate) name: NameBuf,
    pub(crate) identity: Identity,
}

/// What a pin has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pinned {
    /// Open the directory, whose handle is then kept.
    ToOpen,
    /// Nothing: its handle is there, or there is no room for one.
    AsItIs,
}

/// The table of one mount.
pub(crate) struct Table {
    root: Ino,
    dev: u64,
    nodes: Map<Ino, Node>,
    /// Numbers of inodes on other devices, or too large to be used as they are.
    foreign: Map<Identity, Ino>,
    next_foreign: Ino,
    handles: usize,
    clock: u64,
    /// Open files, so that an unlinked one is still found by its number.
    files: Map<Ino, SmallVec<[Weak<HostFile>; 1]>>,
}

impl Table {
    pub(crate) fn new(identity: Identity, handle: Arc<OwnedFd>) -> Self {
        let mut table = Table {
            root: 0,
            dev: identity.dev,
            nodes: Map::default(),
            foreign: Map::default(),
            next_foreign: FOREIGN,
            handles: 0,
            clock: 0,
            files: Map::default(),
        };
        table.root = table.number(identity);
        // One pin for ever: the root is never forgotten.
        let root = Node {
            parent: table.root,
            name: Box::default(),
            identity,
            kind: FileType::Directory,
            stamp: Stamp::default(),
            children: 0,
            pins: 1,
            slot: None,
            used: 0,
            handle: Some(handle),
        };
        table.nodes.insert(table.root, root);
        table
    }

    pub(crate) fn root(&self) -> Ino {
        self.root
    }

    /// The number of a host inode; stable on the device of the mount.
    pub(crate) fn number(&mut self, identity: Identity) -> Ino {
        if identity.dev == self.dev && identity.ino < FOREIGN {
            return identity.ino;
        }
        if let Some(&ino) = self.foreign.get(&identity) {
            return ino;
        }
        // Numbers handed out without a node (readdir) are not remembered beyond the next look-up of the same name.
        self.next_foreign += 1;
        self.next_foreign
    }

    /// Notes where an inode was just seen.
    pub(crate) fn seen(
        &mut self,
        parent: Ino,
        name: &[u8],
        identity: Identity,
        kind: FileType,
    ) -> Result<Ino> {
        let ino = self.number(identity);
        self.clock += 1;
        if ino == self.root {
            // A directory of the host that is bound into itself; its own `..` would lead astray.
            return Err(Errno::ELOOP);
        }
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.used = self.clock;
            node.kind = kind;
            if node.parent != parent || *node.name != *name {
                self.relocate(ino, parent, name)?;
            }
            return Ok(ino);
        }
        if self.nodes.len() >= 2 * MAX_NODES {
            // Directories with known children are not forgotten: a chain of them must end somewhere.
            return Err(Errno::ENOMEM);
        }
        let Some(holder) = self.nodes.get_mut(&parent) else { return Err(Errno::ESTALE) };
        holder.children += 1;
        holder.used = self.clock;
        let used = self.clock;
        self.nodes.insert(
            ino,
            Node {
                parent,
                name: name.into(),
                identity,
                kind,
                stamp: Stamp::default(),
                children: 0,
                pins: 0,
                slot: None,
                used,
                handle: None,
            },
        );
        if identity.dev != self.dev || identity.ino >= FOREIGN {
            self.foreign.insert(identity, ino);
        }
        if self.nodes.len() > MAX_NODES {
            self.forget_old();
        }
        Ok(ino)
    }

    /// Notes what an inode looked like that was just seen.
    pub(crate) fn looked(&mut self, ino: Ino, stamp: Stamp) {
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.stamp = stamp;
        }
    }

    /// An inode has another name now: moved by the host or the guest, or seen under another hard link.
    fn relocate(&mut self, ino: Ino, parent: Ino, name: &[u8]) -> Result<()> {
        // A parent chain noted before the host moved directories may close a circle: then it is out of date.
        let mut above = parent;
        for _ in 0..MAX_DEPTH {
            if above == ino {
                self.drop_handle(parent);
                return Err(Errno::ESTALE);
            }
            if above == self.root {
                break;
            }
            above = self.nodes.get(&above).ok_or(Errno::ESTALE)?.parent;
        }
        self.nodes.get_mut(&parent).ok_or(Errno::ESTALE)?.children += 1;
        let node = self.nodes.get_mut(&ino).ok_or(Errno::ESTALE)?;
        let old = std::mem::replace(&mut node.parent, parent);
        node.name = name.into();
        if let Some(old) = self.nodes.get_mut(&old) {
            old.children -= 1;
        }
        Ok(())
    }

    /// The guest renamed an inode that may be known.
    pub(crate) fn moved(&mut self, identity: Identity, parent: Ino, name: &[u8]) {
        let ino = self.number(identity);
        if self.nodes.contains_key(&ino) {
            // On a circle the old place stays and answers ESTALE from now on.
            let _ = self.relocate(ino, parent, name);
        }
    }

    fn drop_handle(&mut self, ino: Ino) {
        if ino != self.root
            && let Some(node) = self.nodes.get_mut(&ino)
            && node.slot.is_none()
            && node.handle.take().is_some()
        {
            self.handles -= 1;
        }
    }

    /// Where an inode was last seen. ESTALE when it was forgotten.
    pub(crate) fn place(&mut self, ino: Ino) -> Result<Place> {
        self.clock += 1;
        let node = self.nodes.get_mut(&ino).ok_or(Errno::ESTALE)?;
        node.used = self.clock;
        let (parent, identity, kind, stamp) = (node.parent, node.identity, node.kind, node.stamp);
        Ok(Place { parent, name: NameBuf::new(&node.name)?, identity, kind, stamp })
    }

    /// Where an inode was last seen, and the handle of that directory, if it is open.
    pub(crate) fn place_and_handle(&mut self, ino: Ino) -> Result<(Place, Option<Arc<OwnedFd>>)> {
        let place = self.place(ino)?;
        let handle = self.handle(place.parent);
        Ok((place, handle))
    }

    /// The handle of a directory, if it is open.
    pub(crate) fn handle(&mut self, ino: Ino) -> Option<Arc<OwnedFd>> {
        self.clock += 1;
        let node = self.nodes.get_mut(&ino)?;
        node.used = self.clock;
        node.handle.clone()
    }

    /// The nearest open directory on the way to `ino`, and the steps from there, last first.
    pub(crate) fn way(&mut self, ino: Ino) -> Result<(Arc<OwnedFd>, Vec<Step>)> {
        let mut steps = Vec::new();
        let mut at = ino;
        self.clock += 1;
        while steps.len() < MAX_DEPTH {
            let node = self.nodes.get_mut(&at).ok_or(Errno::ESTALE)?;
            node.used = self.clock;
            if let Some(handle) = &node.handle {
                return Ok((handle.clone(), steps));
            }
            steps.push(Step { ino: at, name: NameBuf::new(&node.name)?, identity: node.identity });
            at = node.parent;
        }
        Err(Errno::ESTALE)
    }

    /// Keeps an open directory.
    pub(crate) fn keep(&mut self, ino: Ino, handle: &Arc<OwnedFd>) {
        let Some(node) = self.nodes.get_mut(&ino) else { return };
        if node.handle.replace(handle.clone()).is_none() {
            self.handles += 1;
        }
        if self.handles > MAX_HANDLES {
            let root = self.root;
            let mut open: Vec<(u64, Ino)> = self
                .nodes
                .iter()
                .filter(|(ino, node)| **ino != root && node.handle.is_some() && node.slot.is_none())
                .map(|(ino, node)| (node.used, *ino))
                .collect();
            open.sort_unstable();
            for (_, ino) in &open[..open.len() / 2] {
                self.drop_handle(*ino);
            }
        }
    }

    /// Keeps a number, and its handle while a slot is free: without one the number stays, and the directory is found
    /// by its name as an unpinned one is. `None` when the number was forgotten.
    pub(crate) fn pin(&mut self, ino: Ino, slots: &Slots) -> Option<Pinned> {
        let root = self.root;
        let node = self.nodes.get_mut(&ino)?;
        node.pins += 1;
        if node.slot.is_none() && ino != root {
            node.slot = slots.take().ok();
        }
        let to_open = node.slot.is_some() && node.handle.is_none();
        Some(if to_open { Pinned::ToOpen } else { Pinned::AsItIs })
    }

    pub(crate) fn unpin(&mut self, ino: Ino) {
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.pins -= 1;
            if node.pins == 0 {
                node.slot = None;
                if self.handles > MAX_HANDLES {
                    self.drop_handle(ino);
                }
            }
        }
    }

    /// Forgets the older half of what may be forgotten.
    fn forget_old(&mut self) {
        let mut idle: Vec<(u64, Ino)> = self
            .nodes
            .iter()
            .filter(|(ino, node)| node.pins == 0 && node.children == 0 && !self.files.contains_key(ino))
            .map(|(ino, node)| (node.used, *ino))
            .collect();
        idle.sort_unstable();
        for (_, ino) in &idle[..idle.len() / 2] {
            self.drop_handle(*ino);
            if let Some(node) = self.nodes.remove(ino) {
                self.foreign.remove(&node.identity);
                if let Some(parent) = self.nodes.get_mut(&node.parent) {
                    parent.children -= 1;
                }
            }
        }
    }

    pub(crate) fn opened(&mut self, ino: Ino, file: &Arc<HostFile>) {
        self.files.entry(ino).or_default().push(Arc::downgrade(file));
    }

    /// A file was closed; its `Arc` is gone already.
    pub(crate) fn closed(&mut self, ino: Ino) {
        if let Some(files) = self.files.get_mut(&ino) {
            files.retain(|file| file.strong_count() > 0);
            if files.is_empty() {
                self.files.remove(&ino);
            }
        }
    }

    pub(crate) fn has_open_files(&self) -> bool {
        !self.files.is_empty()
    }

    /// All open files of an inode. They must not be dropped while the table is locked: their end takes the lock.
    pub(crate) fn open_files(&mut self, identity: Identity) -> SmallVec<[Arc<HostFile>; 1]> {
        let ino = self.number(identity);
        self.files.get(&ino).map(|files| files.iter().filter_map(Weak::upgrade).collect()).unwrap_or_default()
    }

    pub(crate) fn open_file(&self, ino: Ino) -> Option<Arc<HostFile>> {
        self.files.get(&ino)?.iter().find_map(Weak::upgrade)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let handle = Arc::new(OwnedFd::from(tempfile::tempfile().unwrap()));
        Table::new(Identity { dev: 1, ino: 2 }, handle)
    }

    #[test]
    fn the_table_is_bounded_and_keeps_what_is_pinned() {
        let mut table = table();
        let pinned = table.seen(2, b"pinned", Identity { dev: 1, ino: 10 }, FileType::Directory).unwrap();
        assert_eq!(table.pin(pinned, &Slots::new()), Some(Pinned::ToOpen));
        for n in 0..3 * MAX_NODES as u64 {
            table
                .seen(
                    pinned,
                    format!("{n}").as_bytes(),
                    Identity { dev: 1, ino: 100 + n },
                    FileType::Directory,
                )
                .unwrap();
        }
        assert!(table.nodes.len() <= MAX_NODES + 1);
        assert!(table.place(pinned).is_ok());
        assert_eq!(table.place(100), Err(Errno::ESTALE));
        let children = table.nodes.values().filter(|node| node.parent == pinned).count();
        assert_eq!(table.nodes[&pinned].children as usize, children);
    }

    #[test]
    fn handles_of_pinned_directories_are_bounded() {
        let mut table = table();
        let slots = Slots::of(1, &Arc::new(super::super::slots::Free::new(1)));
        let handle = Arc::new(OwnedFd::from(tempfile::tempfile().unwrap()));
        let dirs: Vec<Ino> = (0..3 * MAX_HANDLES as u64)
            .map(|n| {
                table
                    .seen(2, format!("{n}").as_bytes(), Identity { dev: 1, ino: 10 + n }, FileType::Directory)
                    .unwrap()
            })
            .collect();
        assert_eq!(table.pin(dirs[0], &slots), Some(Pinned::ToOpen));
        assert_eq!(table.pin(dirs[0], &slots), Some(Pinned::ToOpen), "pinned twice, but held once");
        for &dir in &dirs[1..] {
            assert_eq!(table.pin(dir, &slots), Some(Pinned::AsItIs));
        }
        for &dir in &dirs {
            table.keep(dir, &handle);
        }
        assert!(table.nodes[&dirs[0]].handle.is_some(), "the handle of a held directory was closed");
        let open = table.nodes.values().filter(|node| node.handle.is_some()).count();
        assert!(open <= MAX_HANDLES + 2, "{open} handles are open");
        table.unpin(dirs[0]);
        assert_eq!(slots.take().err(), Some(Errno::ENFILE), "it is still pinned once");
        table.unpin(dirs[0]);
        assert!(slots.take().is_ok());
    }

    #[test]
    fn directories_of_other_devices_get_numbers_of_their_own() {
        let mut table = table();
        let own = table.seen(2, b"own", Identity { dev: 1, ino: 7 }, FileType::Directory).unwrap();
        let other = table.seen(2, b"other", Identity { dev: 9, ino: 7 }, FileType::Directory).unwrap();
        assert_ne!(own, other);
        assert_eq!(table.seen(2, b"other", Identity { dev: 9, ino: 7 }, FileType::Directory), Ok(other));
    }

    #[test]
    fn a_circle_of_moved_directories_is_stale() {
        let mut table = table();
        let a = table.seen(2, b"a", Identity { dev: 1, ino: 3 }, FileType::Directory).unwrap();
        let b = table.seen(a, b"b", Identity { dev: 1, ino: 4 }, FileType::Directory).unwrap();
        assert_eq!(table.seen(b, b"a", Identity { dev: 1, ino: 3 }, FileType::Directory), Err(Errno::ESTALE));
        assert_eq!(table.seen(2, b"b", Identity { dev: 1, ino: 4 }, FileType::Directory), Ok(b));
        assert_eq!(table.seen(b, b"a", Identity { dev: 1, ino: 3 }, FileType::Directory), Ok(a));
    }
}
