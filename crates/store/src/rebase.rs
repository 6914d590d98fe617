//! Carries what a VM changed to another base, path by path: after an upgrade it keeps its files and gets the new programs.

use std::collections::{HashMap, HashSet};

use agentos_vfs::layer::{Change, ChangeKind, LayerDiff, Meta, diff};
use agentos_vfs::{FileContent, FileSystem, FileType, Ino, Layer, Reply, Timespec, Tree};

use crate::outline::stand_in;

/// `old`, which began as `shape` (of an [`Outline`](crate::outline::Outline)), as if it had begun as `base`. Also tells which
/// files are lost: those of the old base that were moved or changed only in their attributes, and that the new one does not have.
pub(crate) fn rebase(shape: &Layer, old: &Layer, base: &Layer) -> Result<(Layer, Vec<Vec<u8>>), String> {
    let mut carry = Carry {
        paths: paths(shape),
        shape: Tree::from_layer(shape),
        old: Tree::from_layer(old),
        base: Tree::from_layer(base),
        made: HashSet::new(),
        changes: Vec::new(),
        lost: Vec::new(),
    };
    for change in diff(shape, old).changes {
        carry.change(change);
    }
    let changes = LayerDiff { changes: carry.changes };
    let layer = changes.apply(base).map_err(|error| error.to_string())?;
    Ok((layer, carry.lost))
}

struct Carry {
    /// Where the files of the old base were.
    paths: HashMap<Ino, Vec<u8>>,
    shape: Tree,
    old: Tree,
    base: Tree,
    /// What the changes put where the new base has nothing, or something else.
    made: HashSet<Vec<u8>>,
    changes: Vec<Change>,
    lost: Vec<Vec<u8>>,
}

impl Carry {
    fn change(&mut self, Change { path, mut kind }: Change) {
        match &mut kind {
            ChangeKind::Removed => {
                if self.base.ino_at(&path).is_ok() {
                    self.changes.push(Change { path, kind });
                }
                return;
            }
            ChangeKind::HardLink { target } if !self.made.contains(target) && !self.stays(target) => {
                self.lost.push(path);
                return;
            }
            ChangeKind::Regular { meta, content } => {
                if let Some(from) =
                    content.as_shared().and_then(stand_in).and_then(|ino| self.paths.get(&ino))
                {
                    if *from == path && self.only_read(&path, meta) {
                        return;
                    }
                    match content_at(&self.base, from) {
                        Some(new) => *content = new,
                        None => {
                            self.lost.push(path);
                            return;
                        }
                    }
                }
            }
            _ => {}
        }
        self.parents(&path);
        self.made.insert(path.clone());
        self.changes.push(Change { path, kind });
    }

    /// Whether a file of the old base is where it was, and the new one has a file of its type there.
    fn stays(&self, path: &[u8]) -> bool {
        self.shape.ino_at(path) == self.old.ino_at(path)
            && kind_at(&self.base, path) == kind_at(&self.old, path)
    }

    /// Whether a file of the old base is as it was, but that somebody read it.
    fn only_read(&self, path: &[u8], meta: &Meta) -> bool {
        let still = Timespec::default();
        let plain = |meta: Meta| Meta { atime: still, ..meta };
        meta_at(&self.shape, path).is_some_and(|was| plain(was) == plain(*meta))
    }

    /// Makes the directories on the way that the new base does not have.
    fn parents(&mut self, path: &[u8]) {
        for (slash, _) in path.iter().enumerate().skip(1).filter(|&(_, &byte)| byte == b'/') {
            let parent = &path[..slash];
            let there = self.made.contains(parent)
                || kind_at(&self.base, parent).is_some_and(|kind| kind == FileType::Directory);
            if there {
                continue;
            }
            if let Some(meta) = meta_at(&self.old, parent) {
                let kind = ChangeKind::Directory { meta, opaque: false, hides_lower: false };
                self.made.insert(parent.to_vec());
                self.changes.push(Change { path: parent.to_vec(), kind });
            }
        }
    }
}

fn attr_at(tree: &Tree, path: &[u8]) -> Option<agentos_vfs::Attr> {
    match tree.getattr(tree.ino_at(path).ok()?) {
        Reply::Now(attr) => attr.ok(),
        // Trees answer at once.
        Reply::Later(_) => None,
    }
}

fn kind_at(tree: &Tree, path: &[u8]) -> Option<FileType> {
    attr_at(tree, path).map(|attr| attr.kind)
}

fn meta_at(tree: &Tree, path: &[u8]) -> Option<Meta> {
    let attr = attr_at(tree, path)?;
    let agentos_vfs::Attr { perm, uid, gid, atime, mtime, ctime, btime, .. } = attr;
    Some(Meta { perm, uid, gid, atime, mtime, ctime, btime })
}

fn content_at(tree: &Tree, path: &[u8]) -> Option<FileContent> {
    tree.content(tree.ino_at(path).ok()?)
}

/// The path of every file, one for each.
fn paths(layer: &Layer) -> HashMap<Ino, Vec<u8>> {
    let tree = Tree::from_layer(layer);
    let mut paths = HashMap::new();
    let mut todo = vec![(tree.root(), Vec::new())];
    while let Some((dir, path)) = todo.pop() {
        let Reply::Now(Ok(entries)) = tree.readdir(dir) else { continue };
        for entry in entries {
            let path = [&path[..], b"/", &entry.name].concat();
            if entry.kind == FileType::Directory {
                todo.push((entry.ino, path));
            } else {
                paths.entry(entry.ino).or_insert(path);
            }
        }
    }
    paths
}
