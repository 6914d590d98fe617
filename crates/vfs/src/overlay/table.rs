//! Which inode of the overlay is which inode of its layers, and by which name it was found. Nodes are bounded; what must
//! not be forgotten (copies of lower inodes) is bounded by the inodes of the upper.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::tree::Held;
use crate::{Errno, FileType, Ino, NameBuf, Result, Tree};

/// Nodes remembered; unpinned ones without known children are forgotten beyond it, oldest first.
const MAX_NODES: usize = 32_768;
/// Lower numbers below this keep their value, with the layer above it; larger ones are hashed.
const OWN: u32 = 56;

/// An inode of a layer: 0 is the upper, the lowers follow, top first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Source {
    pub(crate) layer: usize,
    pub(crate) ino: Ino,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) parent: Ino,
    /// The name it was last seen under; `None` once that was removed.
    pub(crate) name: Option<Box<[u8]>>,
    pub(crate) kind: FileType,
    pub(crate) upper: Option<Ino>,
    /// Lower directories merged into this one, top first; of other inodes the one they come from, until copied.
    pub(crate) lowers: Vec<Source>,
    /// A directory that was removed while somebody is in it.
    pub(crate) removed: bool,
    /// Subdirectories of the lowers that no entry of the upper covers, once counted.
    pub(crate) lower_subdirs: Option<u32>,
    children: u32,
    pins: u32,
    used: u64,
}

/// A lower inode that lives in the upper now, or lost names.
#[derive(Default)]
struct Changed {
    copy: Option<Held>,
    /// Names left.
    links: u32,
}

pub(crate) struct Table {
    nodes: HashMap<Ino, Node>,
    /// By number of the overlay.
    changed: HashMap<Ino, Changed>,
    /// Numbers of copies by their number in the upper.
    copies: HashMap<Ino, Ino>,
    hasher: RandomState,
    clock: u64,
    pub(crate) root: Ino,
}

impl Table {
    pub(crate) fn new(upper: Ino, lowers: Vec<Source>) -> Self {
        let mut table = Table {
            nodes: HashMap::new(),
            changed: HashMap::new(),
            copies: HashMap::new(),
            hasher: RandomState::new(),
            clock: 0,
            root: 0,
        };
        table.root = table.number(Source { layer: 0, ino: upper });
        let root = Node {
            parent: table.root,
            name: None,
            kind: FileType::Directory,
            upper: Some(upper),
            lowers,
            removed: false,
            lower_subdirs: None,
            children: 0,
            pins: 1,
            used: 0,
        };
        table.nodes.insert(table.root, root);
        table
    }

    /// The table of a copy whose upper is `upper`: every inode keeps its number there. What nobody can find by name is left out.
    pub(crate) fn fork(&self, upper: &Tree) -> Table {
        let found = |ino: Ino, node: &Node| ino == self.root || (node.name.is_some() && !node.removed);
        let mut nodes: HashMap<Ino, Node> = self
            .nodes
            .iter()
            .filter(|(ino, node)| found(**ino, node))
            .map(|(ino, node)| {
                (*ino, Node { children: 0, pins: u32::from(*ino == self.root), ..node.clone() })
            })
            .collect();
        for (ino, node) in &self.nodes {
            if *ino != self.root
                && nodes.contains_key(ino)
                && let Some(parent) = nodes.get_mut(&node.parent)
            {
                parent.children += 1;
            }
        }
        let (mut changed, mut copies) = (HashMap::new(), HashMap::new());
        for (ino, old) in &self.changed {
            let copy = match &old.copy {
                Some(held) => match upper.hold(held.ino()) {
                    Ok(held) => Some(held),
                    // It has no name in the upper, and no layer keeps such a file.
                    Err(_) => {
                        nodes.remove(ino);
                        continue;
                    }
                },
                None => None,
            };
            copies.extend(copy.as_ref().map(|held| (held.ino(), *ino)));
            changed.insert(*ino, Changed { copy, links: old.links });
        }
        Table { nodes, changed, copies, hasher: self.hasher.clone(), clock: self.clock, root: self.root }
    }

    /// The number of an inode: that of its origin, so that copying it up changes nothing.
    pub(crate) fn number(&self, source: Source) -> Ino {
        if source.layer == 0
            && let Some(&ino) = self.copies.get(&source.ino)
        {
            return ino;
        }
        if source.ino >> OWN == 0 {
            return (source.layer as Ino) << OWN | source.ino;
        }
        self.hasher.hash_one(source) | 1 << 63
    }

    pub(crate) fn node(&mut self, ino: Ino) -> Result<Node> {
        self.node_mut(ino).cloned()
    }

    pub(crate) fn node_mut(&mut self, ino: Ino) -> Result<&mut Node> {
        self.clock += 1;
        let node = self.nodes.get_mut(&ino).ok_or(Errno::ESTALE)?;
        node.used = self.clock;
        Ok(node)
    }

    /// Notes what a name leads to.
    pub(crate) fn seen(
        &mut self,
        parent: Ino,
        name: &[u8],
        kind: FileType,
        upper: Option<Ino>,
        lowers: Vec<Source>,
    ) -> Result<Ino> {
        let first = upper.map(|ino| Source { layer: 0, ino }).or(lowers.first().copied());
        let ino = self.number(first.ok_or(Errno::ENOENT)?);
        let copied = self.changed.get(&ino).and_then(|changed| changed.copy.as_ref()).map(Held::ino);
        let upper = upper.or(copied);
        self.clock += 1;
        let (used, known) = (self.clock, self.nodes.len());
        match self.nodes.get_mut(&ino) {
            Some(node) => {
                node.used = used;
                node.kind = kind;
                node.upper = upper;
                node.lowers = lowers;
                self.place(ino, parent, Some(name));
            }
            // Directories with known children are not forgotten: a chain of them must end somewhere.
            None if known >= 2 * MAX_NODES => return Err(Errno::ENOMEM),
            None => {
                self.nodes.get_mut(&parent).ok_or(Errno::ESTALE)?.children += 1;
                let node = Node {
                    parent,
                    name: Some(name.into()),
                    kind,
                    upper,
                    lowers,
                    removed: false,
                    lower_subdirs: None,
                    children: 0,
                    pins: 0,
                    used,
                };
                self.nodes.insert(ino, node);
                if self.nodes.len() > MAX_NODES {
                    self.forget_old();
                }
            }
        }
        Ok(ino)
    }

    /// An inode is found under another name now, or under none that is known.
    pub(crate) fn place(&mut self, ino: Ino, parent: Ino, name: Option<&[u8]>) {
        let Some(node) = self.nodes.get_mut(&ino) else { return };
        node.name = name.map(Box::from);
        let old = std::mem::replace(&mut node.parent, parent);
        if old != parent {
            if let Some(old) = self.nodes.get_mut(&old) {
                old.children -= 1;
            }
            if let Some(new) = self.nodes.get_mut(&parent) {
                new.children += 1;
            }
        }
    }

    pub(crate) fn place_of(&mut self, ino: Ino) -> Result<Option<(Ino, NameBuf)>> {
        if ino == self.root {
            return Ok(None);
        }
        let node = self.node_mut(ino)?;
        let name = node.name.as_ref().ok_or(Errno::ENOENT)?;
        Ok(Some((node.parent, NameBuf::new(name)?)))
    }

    /// Whether `ino` is `ancestor` or lies below it.
    pub(crate) fn is_within(&self, mut ino: Ino, ancestor: Ino) -> bool {
        while ino != ancestor {
            match self.nodes.get(&ino) {
                Some(node) if ino != self.root => ino = node.parent,
                _ => return false,
            }
        }
        true
    }

    /// A lower inode was copied up; `links` are the names it has in the lower.
    pub(crate) fn copied(&mut self, ino: Ino, copy: Held, links: u32) {
        self.copies.insert(copy.ino(), ino);
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.upper = Some(copy.ino());
            if node.kind != FileType::Directory {
                node.lowers.clear();
            }
        }
        self.changed.entry(ino).or_insert(Changed { copy: None, links }).copy = Some(copy);
    }

    /// The link count of an inode whose layers do not know it.
    pub(crate) fn links(&self, ino: Ino) -> Option<u32> {
        self.changed.get(&ino).map(|changed| changed.links)
    }

    /// Books a name more of a copy.
    pub(crate) fn linked(&mut self, ino: Ino) {
        if let Some(changed) = self.changed.get_mut(&ino) {
            changed.links += 1;
        }
    }

    /// A name of an inode was removed; `links` are the names it had in the layer it is in.
    pub(crate) fn unlinked(&mut self, ino: Ino, parent: Ino, name: &[u8], links: u32) {
        let Some(node) = self.nodes.get_mut(&ino) else { return };
        if node.parent == parent && node.name.as_deref() == Some(name) {
            node.name = None;
        }
        node.removed |= node.kind == FileType::Directory;
        // An inode of the upper alone counts its names itself.
        if node.upper.is_none() || self.changed.contains_key(&ino) {
            let changed = self.changed.entry(ino).or_insert(Changed { copy: None, links });
            changed.links =
                if node.kind == FileType::Directory { 0 } else { changed.links.saturating_sub(1) };
        }
        self.forget_if_gone(ino);
    }

    pub(crate) fn pin(&mut self, ino: Ino) -> bool {
        self.nodes.get_mut(&ino).map(|node| node.pins += 1).is_some()
    }

    #[must_use = "the copy must be dropped outside of the lock"]
    pub(crate) fn unpin(&mut self, ino: Ino) -> Option<Held> {
        self.nodes.get_mut(&ino)?.pins -= 1;
        self.forget_if_gone(ino)
    }

    /// Forgets the copy of an inode without names that nobody holds.
    fn forget_if_gone(&mut self, ino: Ino) -> Option<Held> {
        let pins = self.nodes.get(&ino).map_or(0, |node| node.pins);
        if pins > 0 || self.changed.get(&ino).is_none_or(|changed| changed.links > 0) {
            return None;
        }
        let copy = self.changed.remove(&ino)?.copy?;
        self.copies.remove(&copy.ino());
        Some(copy)
    }

    fn forget_old(&mut self) {
        let mut idle: Vec<(u64, Ino)> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.pins == 0 && node.children == 0)
            .map(|(ino, node)| (node.used, *ino))
            .collect();
        idle.sort_unstable();
        for (_, ino) in &idle[..idle.len().div_ceil(2)] {
            if let Some(node) = self.nodes.remove(ino)
                && let Some(parent) = self.nodes.get_mut(&node.parent)
            {
                parent.children -= 1;
            }
        }
    }
}
