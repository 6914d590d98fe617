//! Making a layer of another and a difference. It trusts the order of the changes, not that they fit.

use std::collections::HashMap;

use super::change::{ChangeKind, LayerDiff, Meta};
use crate::tree::{Body, Content, Directory, Frozen, ROOT, State};
use crate::{Errno, FileType, Ino, Layer, NewKind, NewNode, Result, TreeLimits};

/// A change that does not fit the layer it is applied to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("change of {path:?} cannot be applied: {errno}")]
pub struct ApplyError {
    /// The path of the change.
    pub path: String,
    /// Why: ENOENT for a missing directory, ENOTDIR for a file in its place, EINVAL for a path that is none.
    pub errno: Errno,
}

impl LayerDiff {
    /// `base` with these changes. Times are exactly those of the changes; directories that no change mentions keep theirs.
    pub fn apply(&self, base: &Layer) -> std::result::Result<Layer, ApplyError> {
        let limits = TreeLimits { bytes: u64::MAX, inodes: u64::MAX };
        let mut state = State::new(Frozen::clone(&base.0), limits, Default::default());
        // What creating and removing names does to the times of directories is undone at the end.
        let mut metas = HashMap::new();
        for change in &self.changes {
            apply(&mut state, &mut metas, &change.path, &change.kind).map_err(|errno| {
                let path = String::from_utf8_lossy(&change.path).into_owned();
                ApplyError { path, errno }
            })?;
        }
        for (ino, meta) in metas {
            // Directories that a later change removed have nothing to restore.
            let _ = state.edit(ino, |inode| meta.put(inode));
        }
        Ok(Layer(std::sync::Arc::new(state.freeze())))
    }
}

/// The attributes an inode shall have at the end, by number.
pub(super) type Metas = HashMap<Ino, Meta>;

pub(super) fn find(state: &State, path: &[u8]) -> Result<Ino> {
    path.split(|&byte| byte == b'/')
        .filter(|part| !part.is_empty())
        .try_fold(ROOT, |dir, part| state.entry(dir, part).map(|entry| entry.ino))
}

pub(super) fn apply(state: &mut State, metas: &mut Metas, path: &[u8], kind: &ChangeKind) -> Result<()> {
    if path == b"/" {
        return match kind {
            ChangeKind::Directory { .. } => directory(state, metas, ROOT, kind),
            _ => Err(Errno::EINVAL),
        };
    }
    let slash = path.iter().rposition(|&byte| byte == b'/').ok_or(Errno::EINVAL)?;
    let (dir, name) = (find(state, &path[..slash])?, &path[slash + 1..]);
    metas.entry(dir).or_insert(Meta::of(state.get(dir)?));
    let known = match state.entry(dir, name) {
        Ok(entry) => Some(entry),
        Err(Errno::ENOENT) => None,
        Err(error) => return Err(error),
    };
    let (meta, body) = match kind {
        ChangeKind::Removed => return remove(state, dir, name),
        ChangeKind::HardLink { target } => {
            let ino = find(state, target)?;
            let meta = Meta::of(state.get(ino)?);
            metas.entry(ino).or_insert(meta);
            if known.is_some() {
                remove(state, dir, name)?;
            }
            return state.link(ino, dir, name).map(|_| ());
        }
        ChangeKind::Directory { meta, .. } => {
            if let Some(entry) = known
                && entry.kind == FileType::Directory
            {
                return directory(state, metas, entry.ino, kind);
            }
            (meta, Body::Directory(Directory::default()))
        }
        ChangeKind::Regular { meta, content } => (meta, Body::Regular(Content::clone(&content.0))),
        ChangeKind::Symlink { meta, target } => (meta, Body::Symlink(target[..].into())),
        ChangeKind::CharDevice { meta, rdev } => (meta, Body::CharDevice(*rdev)),
        ChangeKind::BlockDevice { meta, rdev } => (meta, Body::BlockDevice(*rdev)),
        ChangeKind::Fifo { meta } => (meta, Body::Fifo),
        ChangeKind::Socket { meta } => (meta, Body::Socket),
    };
    if known.is_some() {
        remove(state, dir, name)?;
    }
    let node = NewNode { kind: NewKind::Regular, perm: meta.perm, uid: meta.uid, gid: meta.gid };
    let ino = state.create(dir, name, &node, body)?.ino;
    metas.insert(ino, *meta);
    match kind {
        ChangeKind::Directory { .. } => directory(state, metas, ino, kind),
        _ => Ok(()),
    }
}

fn directory(state: &mut State, metas: &mut Metas, ino: Ino, kind: &ChangeKind) -> Result<()> {
    let ChangeKind::Directory { meta, opaque, hides_lower } = kind else { return Err(Errno::EINVAL) };
    if *opaque {
        let names: Vec<_> = state.dir(ino)?.entries.keys().cloned().collect();
        for name in names {
            remove(state, ino, &name)?;
        }
    }
    metas.insert(ino, *meta);
    state.edit_dir(ino, |inode| {
        let Body::Directory(dir) = &mut inode.body else { return None };
        dir.opaque = *hides_lower;
        Some(())
    })
}

/// Removes a name and all below it; deepest first, without recursion.
pub(super) fn remove(state: &mut State, dir: Ino, name: &[u8]) -> Result<()> {
    let entry = state.entry(dir, name)?;
    if entry.kind != FileType::Directory {
        return state.unlink(dir, name);
    }
    let mut todo = vec![entry.ino];
    while let Some(&at) = todo.last() {
        let first = state.dir(at)?.entries.iter().next().map(|(name, entry)| (name.clone(), *entry));
        match first {
            Some((_, entry))
                if entry.kind == FileType::Directory && !state.dir(entry.ino)?.entries.is_empty() =>
            {
                todo.push(entry.ino);
            }
            Some((name, entry)) if entry.kind == FileType::Directory => state.rmdir(at, &name)?,
            Some((name, _)) => state.unlink(at, &name)?,
            None => {
                todo.pop();
            }
        }
    }
    state.rmdir(dir, name)
}
