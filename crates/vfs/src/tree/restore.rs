//! Making a tree again what it was when a layer was taken of it, while files are open in it. The layer is not changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Tree;
use super::inode::{Body, Directory, Homes};
use super::state::{Frozen, State};
use crate::{Ino, Layer, Timespec};

/// Numbers for [`Tree::line`].
pub(super) fn next_line() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Tree {
    /// What this tree and its copies have in common: a layer of one of them can be restored in another that was copied
    /// after the layer was taken. No other trees of this process have this number.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.0.line
    }

    /// A tree that starts as this one is now and goes its own way; limits, line and seal are the same. O(1).
    #[must_use]
    pub fn copy(&self) -> Tree {
        let (frozen, limits) = {
            let state = self.0.state.read();
            (state.freeze(), state.limits)
        };
        let copy = Tree::of_line(frozen, limits, self.0.line);
        if self.sealed() {
            copy.seal();
        }
        copy
    }

    /// Becomes again what `layer` is, which was taken of this tree, or of one before it was copied to be this one (see
    /// [`Tree::line`]).
    ///
    /// Files that are open and in the layer have its content from now on. What is open, or somebody's working directory,
    /// and not in the layer is unlinked: it can be read and written until it is closed. Numbers of inodes are never used
    /// again. The cost is that of the open files, not of the tree.
    ///
    /// ```
    /// use agentos_vfs::Tree;
    /// let tree = Tree::new();
    /// tree.put_file("/a", 0o644, 0, 0, "old")?;
    /// let before = tree.freeze();
    /// tree.put_file("/a", 0o644, 0, 0, "new")?;
    /// tree.put_file("/b", 0o644, 0, 0, "")?;
    /// tree.restore(&before);
    /// assert_eq!(tree.read_file("/a")?, b"old");
    /// assert!(tree.ino_at("/b").is_err());
    /// # Ok::<(), agentos_vfs::Errno>(())
    /// ```
    pub fn restore(&self, layer: &Layer) {
        let old = {
            let mut state = self.0.state.write();
            state.restore(&layer.0)
        };
        // What nobody holds any more is freed without the lock.
        drop(old);
    }
}

impl State {
    /// Returns what was there before.
    fn restore(&mut self, layer: &Frozen) -> Frozen {
        let mut next = layer.clone();
        next.next = next.next.max(self.tree.next);
        let old = std::mem::replace(&mut self.tree, next);
        let now = Timespec::now();
        // What was unlinked since the layer was taken has its names again.
        self.orphans.retain(|ino, _| !self.tree.table.contains_key(ino));
        for ino in self.pins.all() {
            if !self.tree.table.contains_key(&ino)
                && let Some(node) = old.table.get(&ino)
            {
                let mut inode = node.0.as_ref().clone();
                (inode.nlink, inode.homes, inode.ctime) = (0, Homes::None, now);
                if let Body::Directory(dir) = &mut inode.body {
                    // What was in it is gone as well, or lies where it lay.
                    *dir = Directory { name: dir.name.clone(), ..Directory::default() };
                }
                self.orphans.insert(ino, Arc::new(inode));
            }
        }
        self.count_orphans();
        old
    }
}

/// What a layer keeps that a newer one of the same tree does not have, in bytes: what it costs to keep it as well.
/// Chunks of files that both share are not counted. The cost is that of the difference.
pub(crate) fn only_in(layer: &Frozen, newer: &Frozen) -> u64 {
    use imbl::ordmap::DiffItem;
    /// About what an inode and its place in the table take.
    const INODE: u64 = 512;
    let mut bytes = 0;
    for item in layer.table.diff(&newer.table) {
        let (ino, other): (&Ino, _) = match item {
            DiffItem::Add(..) => continue,
            DiffItem::Remove(ino, _) => (ino, None),
            DiffItem::Update { old: (ino, _), new: (_, node) } => (ino, Some(&node.0.body)),
        };
        let Some(inode) = layer.get(*ino) else { continue };
        bytes += INODE;
        bytes += match (&inode.body, other) {
            (Body::Regular(content), Some(Body::Regular(other))) => content.unshared(other),
            (Body::Directory(dir), Some(Body::Directory(other))) => dir
                .entries
                .diff(&other.entries)
                .map(|item| match item {
                    DiffItem::Add(..) => 0,
                    DiffItem::Remove(name, _) | DiffItem::Update { old: (name, _), .. } => {
                        super::inode::entry_charge(name)
                    }
                })
                .sum(),
            (Body::Directory(dir), _) => {
                dir.entries.keys().map(|name| super::inode::entry_charge(name)).sum()
            }
            _ => inode.charge(),
        };
    }
    bytes
}
