//! What differs between two moments, file by file. How it is shown is not its business.

use std::collections::BTreeMap;

use agentos_protocol::WireError;
use agentos_protocol::message::{ChangeKind as Kind, FileChange, LimitInfo};
use agentos_vfs::layer::{ChangeKind, diff_within};
use agentos_vfs::{
    Attr, FileContent, FileSystem, FileType, GuestPath, Ino, Layer, Link, Namespace, Reply, Tree,
};

use super::{Trees, trees};
use crate::service::tree::kind;

/// Bytes of all paths of a difference: a chain of n directories has paths of n² bytes.
const MOST_PATHS: usize = 128 << 20;

/// A file at one of the moments.
#[derive(Clone)]
pub(crate) struct Side {
    pub(crate) attr: Attr,
    tree: Tree,
}

impl Side {
    /// What is in it: bytes of a file, target of a link; nothing else has any.
    pub(crate) fn content(&self) -> FileContent {
        match self.attr.kind {
            FileType::Regular => self.tree.content(self.attr.ino).unwrap_or_default(),
            FileType::Symlink => match self.tree.readlink(self.attr.ino, 0) {
                Reply::Now(Ok(Link::Path(target))) => FileContent::from(bytes::Bytes::from(target)),
                _ => FileContent::default(),
            },
            _ => FileContent::default(),
        }
    }

    fn differs(&self, other: &Side) -> bool {
        let what = |attr: &Attr| (attr.kind, attr.perm, attr.uid, attr.gid, attr.rdev);
        what(&self.attr) != what(&other.attr) || self.content() != other.content()
    }
}

/// A file that differs.
pub(crate) struct Changed {
    /// Where it is, or was if it is gone.
    pub(crate) path: Vec<u8>,
    /// Where it was, if that is another place.
    pub(crate) old_path: Option<Vec<u8>>,
    /// As it was.
    pub(crate) old: Option<Side>,
    /// As it is.
    pub(crate) new: Option<Side>,
}

impl Changed {
    /// As it travels.
    pub(crate) fn record(&self) -> FileChange {
        let (old, new) = (self.old.as_ref().map(|side| &side.attr), self.new.as_ref().map(|side| &side.attr));
        let change = match (old, new) {
            (None, _) => Kind::Added,
            (_, None) => Kind::Deleted,
            _ if self.old_path.is_some() => Kind::Renamed,
            _ => Kind::Modified,
        };
        let now = new.or(old);
        FileChange {
            path: self.path.clone().into(),
            change,
            kind: now.map(|attr| kind(attr.kind)).unwrap_or_default(),
            old_kind: match (old, new) {
                (Some(old), Some(new)) if old.kind != new.kind => Some(kind(old.kind)),
                _ => None,
            },
            old_path: self.old_path.clone().map(Into::into),
            old_mode: old.map(|attr| attr.perm),
            mode: new.map(|attr| attr.perm),
            old_size: old.map(|attr| attr.size),
            size: new.map(|attr| attr.size),
        }
    }
}

/// What differs, by path. Only trees that are there at both moments and are mounted now are compared; of those, only what
/// changed is looked at. With `within`, paths count from that directory, and what is not in it is left out.
pub(crate) fn changes(
    namespace: &Namespace,
    from: &Trees,
    to: &Trees,
    within: Option<&GuestPath>,
) -> Result<Vec<Changed>, WireError> {
    let mut all = Vec::new();
    let mut room = Room(MOST_PATHS);
    for (mount, tree) in trees(namespace) {
        if let (Some(from), Some(to)) = (from.get(tree.line()), to.get(tree.line())) {
            all.extend(of_tree(mount.path.as_bytes(), from, to, &mut room)?);
        }
    }
    if let Some(within) = within {
        all.retain_mut(|changed| {
            let Some(path) = below(within, &changed.path) else { return false };
            changed.path = path;
            // What came from elsewhere is new here.
            match changed.old_path.take().map(|old| below(within, &old)) {
                Some(None) => changed.old = None,
                Some(old) => changed.old_path = old,
                None => {}
            }
            true
        });
    }
    all.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(all)
}

/// The path from `directory` on, if it is in it; it begins with `/`.
fn below(directory: &GuestPath, path: &[u8]) -> Option<Vec<u8>> {
    if directory.as_bytes() == b"/" {
        return Some(path.to_vec());
    }
    path.strip_prefix(directory.as_bytes()).filter(|rest| rest.starts_with(b"/")).map(<[u8]>::to_vec)
}

/// What paths may still take.
struct Room(usize);

impl Room {
    fn take(&mut self, path: &[u8]) -> Result<(), WireError> {
        self.0 = self.0.checked_sub(path.len()).ok_or_else(too_long)?;
        Ok(())
    }
}

fn too_long() -> WireError {
    let (name, configured) = ("diffPathBytes".to_owned(), MOST_PATHS as u64);
    WireError::limit(LimitInfo { name, configured, used: configured, requested: 1 })
}

/// The files of a tree on one side, by path.
type Files = BTreeMap<Vec<u8>, Side>;

fn of_tree(prefix: &[u8], from: &Layer, to: &Layer, room: &mut Room) -> Result<Vec<Changed>, WireError> {
    let prefix = prefix.strip_suffix(b"/").unwrap_or(prefix);
    let (before, after) = (Tree::from_layer(from), Tree::from_layer(to));
    let (mut old, mut new): (Files, Files) = Default::default();
    for change in diff_within(from, to, room.0).map_err(|_| too_long())?.changes {
        let path = if change.path == b"/" { Vec::new() } else { change.path };
        // A directory that stays is no reason to look at what is in it.
        let stays = matches!(change.kind, ChangeKind::Directory { opaque: false, .. });
        if let Ok(ino) = before.ino_at(&path) {
            collect(&before, ino, &path, !stays, &mut old, room)?;
        }
        if !matches!(change.kind, ChangeKind::Removed)
            && let Ok(ino) = after.ino_at(&path)
        {
            collect(&after, ino, &path, false, &mut new, room)?;
        }
    }
    // A file that is at another path now has kept its number; one with several names may have lost one of them only.
    let mut moved: BTreeMap<Ino, Vec<u8>> = BTreeMap::new();
    for (path, side) in &old {
        if !new.contains_key(path) {
            moved.insert(side.attr.ino, path.clone());
        }
    }
    let place = |path: Vec<u8>| {
        let path = [prefix, &path].concat();
        if path.is_empty() { b"/".to_vec() } else { path }
    };
    let mut all = Vec::new();
    for (path, side) in new {
        let was = old.remove(&path);
        let (was, old_path) = match was {
            Some(was) => (Some(was), None),
            None => match moved.remove(&side.attr.ino) {
                Some(from) => (old.remove(&from), Some(from)),
                None => (None, None),
            },
        };
        if old_path.is_none() && was.as_ref().is_some_and(|was| !was.differs(&side)) {
            continue;
        }
        let old_path = old_path.map(place);
        all.push(Changed { path: place(path), old_path, old: was, new: Some(side) });
    }
    all.extend(old.into_iter().map(|(path, side)| Changed {
        path: place(path),
        old_path: None,
        old: Some(side),
        new: None,
    }));
    Ok(all)
}

/// Notes a file, and with `deep` all that is below it.
fn collect(
    tree: &Tree,
    ino: Ino,
    path: &[u8],
    deep: bool,
    into: &mut Files,
    room: &mut Room,
) -> Result<(), WireError> {
    room.take(path)?;
    let mut todo = vec![(ino, path.to_vec())];
    while let Some((ino, path)) = todo.pop() {
        let Reply::Now(Ok(attr)) = tree.getattr(ino) else { continue };
        if deep
            && attr.kind == FileType::Directory
            && let Reply::Now(Ok(entries)) = tree.readdir(ino)
        {
            for entry in entries {
                let path = [&path[..], b"/", &entry.name[..]].concat();
                // What waits counts as well: a directory may be wide where it is deep.
                room.take(&path)?;
                todo.push((entry.ino, path));
            }
        }
        into.insert(path, Side { attr, tree: tree.clone() });
    }
    Ok(())
}
