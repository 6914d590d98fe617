//! The difference of two layers. Inodes that both share are never looked into, so the cost is that of the directories
//! on the way to what changed; layers without a common past are compared as a whole.

use std::collections::{HashMap, HashSet};

use imbl::ordmap::DiffItem;

use super::change::{Change, ChangeKind, LayerDiff, Meta};
use crate::tree::{Body, Directory, Frozen, Inode, ROOT};
use crate::{FileType, Ino, Layer};

/// What changed from `base` to `top`, so that [`LayerDiff::apply`] on `base` gives `top` but for inode numbers.
///
/// ```
/// use agentos_vfs::{Tree, layer};
/// let tree = Tree::new();
/// tree.put_file("/a", 0o644, 0, 0, "old")?;
/// let base = tree.freeze();
/// tree.put_file("/b", 0o644, 0, 0, "new")?;
/// let diff = layer::diff(&base, &tree.freeze());
/// let paths: Vec<_> = diff.changes.iter().map(|change| &change.path[..]).collect();
/// assert_eq!(paths, [&b"/"[..], b"/b"]);
/// # Ok::<(), agentos_vfs::Errno>(())
/// ```
#[must_use]
pub fn diff(base: &Layer, top: &Layer) -> LayerDiff {
    // Nothing is longer than that.
    diff_within(base, top, usize::MAX).unwrap_or_default()
}

/// The paths of a difference are longer than allowed. A directory chain of depth n has paths of n² bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the paths of what changed have more than {most} bytes together, reached in {path:?}")]
pub struct TooLong {
    /// The bytes that were allowed.
    pub most: usize,
    /// The directory where it was too much, cut to 256 bytes.
    pub path: String,
}

/// As [`diff`], with at most `most` bytes of paths, so that a guest cannot make it take more memory than that.
///
/// # Errors
/// [`TooLong`].
pub fn diff_within(base: &Layer, top: &Layer, most: usize) -> Result<LayerDiff, TooLong> {
    let mut dirty = HashSet::new();
    for item in base.0.table.diff(&top.0.table) {
        match item {
            DiffItem::Add(ino, _) => mark(&mut dirty, &top.0, *ino),
            DiffItem::Remove(ino, _) => mark(&mut dirty, &base.0, *ino),
            DiffItem::Update { old: (ino, _), .. } => {
                mark(&mut dirty, &base.0, *ino);
                mark(&mut dirty, &top.0, *ino);
            }
        }
    }
    loop {
        let mut walk = Walk {
            base: &base.0,
            top: &top.0,
            dirty: &dirty,
            changes: Vec::new(),
            seen: HashMap::new(),
            torn: Vec::new(),
            left: most,
            too_long: None,
        };
        walk.run();
        if let Some(path) = walk.too_long {
            return Err(TooLong { most, path });
        }
        if walk.torn.is_empty() {
            return Ok(LayerDiff { changes: walk.changes });
        }
        // A directory moved and took some names of a file along: all names of it must be told, to keep them together.
        let (torn, _) = (walk.torn, walk.changes);
        for ino in torn {
            dirty.remove(&ino);
            mark(&mut dirty, &top.0, ino);
        }
    }
}

/// Notes an inode and all directories on the way to it.
fn mark(dirty: &mut HashSet<Ino>, layer: &Frozen, ino: Ino) {
    let mut todo = vec![ino];
    // The inode itself may be noted already, with the directories it had in the other layer.
    dirty.remove(&ino);
    while let Some(ino) = todo.pop() {
        if let (true, Some(inode)) = (dirty.insert(ino), layer.get(ino)) {
            todo.extend(inode.homes.iter());
        }
    }
}

struct Walk<'a> {
    base: &'a Frozen,
    top: &'a Frozen,
    dirty: &'a HashSet<Ino>,
    changes: Vec<Change>,
    /// Where an inode with several names was first told.
    seen: HashMap<Ino, Vec<u8>>,
    /// Files told under one name although they did not change.
    torn: Vec<Ino>,
    /// Bytes that further paths may have.
    left: usize,
    /// Where they were used up.
    too_long: Option<String>,
}

enum Task {
    /// Directories that are in both layers.
    Compare(Ino, Vec<u8>),
    /// Something of the top that the base does not have; `opaque` when the base has another directory there.
    Tell { ino: Ino, path: Vec<u8>, opaque: bool },
}

impl Walk<'_> {
    /// Depth first without recursion: the tree may be deeper than the stack.
    fn run(&mut self) {
        let mut todo = vec![Task::Compare(ROOT, Vec::new())];
        while let Some(task) = todo.pop() {
            if self.too_long.is_some() {
                return;
            }
            match task {
                Task::Compare(ino, path) => self.compare(ino, path, &mut todo),
                Task::Tell { ino, path, opaque } => self.tell(ino, path, opaque, &mut todo),
            }
        }
    }

    fn push(&mut self, path: Vec<u8>, kind: ChangeKind) {
        let path = if path.is_empty() { b"/".to_vec() } else { path };
        self.changes.push(Change { path, kind });
    }

    /// The path of a name in a directory; an empty one once they have become too long.
    fn join(&mut self, path: &[u8], name: &[u8]) -> Vec<u8> {
        match self.left.checked_sub(path.len() + 1 + name.len()) {
            Some(left) if self.too_long.is_none() => {
                self.left = left;
                [path, b"/", name].concat()
            }
            _ => {
                let cut = &path[..path.len().min(256)];
                self.too_long.get_or_insert_with(|| String::from_utf8_lossy(cut).into_owned());
                Vec::new()
            }
        }
    }

    fn compare(&mut self, ino: Ino, path: Vec<u8>, todo: &mut Vec<Task>) {
        let (Some((old, old_dir)), Some((new, new_dir))) =
            (directory(self.base, ino), directory(self.top, ino))
        else {
            return;
        };
        if Meta::of(old) != Meta::of(new) || old_dir.opaque != new_dir.opaque {
            self.push(path.clone(), ChangeKind::of(new, false));
        }
        for name in old_dir.entries.keys().filter(|name| !new_dir.entries.contains_key(&***name)) {
            let path = self.join(&path, name);
            self.push(path, ChangeKind::Removed);
        }
        let before = todo.len();
        for (name, entry) in &new_dir.entries {
            let known = old_dir.entries.get(&**name);
            if known == Some(entry) && !self.dirty.contains(&entry.ino) {
                continue;
            }
            let path = self.join(&path, name);
            let is_dir = |kind| kind == FileType::Directory;
            todo.push(match known {
                Some(known) if is_dir(known.kind) && known == entry => Task::Compare(entry.ino, path),
                Some(known) => {
                    Task::Tell { ino: entry.ino, path, opaque: is_dir(known.kind) && is_dir(entry.kind) }
                }
                None => Task::Tell { ino: entry.ino, path, opaque: false },
            });
        }
        todo[before..].reverse();
    }

    fn tell(&mut self, ino: Ino, path: Vec<u8>, opaque: bool, todo: &mut Vec<Task>) {
        let Some(inode) = self.top.get(ino) else { return };
        if let Body::Directory(dir) = &inode.body {
            let before = todo.len();
            for (name, entry) in &dir.entries {
                let path = self.join(&path, name);
                todo.push(Task::Tell { ino: entry.ino, path, opaque: false });
            }
            todo[before..].reverse();
        } else if inode.nlink > 1 {
            if !self.dirty.contains(&ino) {
                self.torn.push(ino);
            }
            if let Some(target) = self.seen.get(&ino) {
                let kind = ChangeKind::HardLink { target: target.clone() };
                return self.push(path, kind);
            }
            self.seen.insert(ino, path.clone());
        }
        self.push(path, ChangeKind::of(inode, opaque));
    }
}

fn directory(layer: &Frozen, ino: Ino) -> Option<(&Inode, &Directory)> {
    let inode = layer.get(ino)?;
    match &inode.body {
        Body::Directory(dir) => Some((inode, dir)),
        _ => None,
    }
}
