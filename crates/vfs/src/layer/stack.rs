//! Laying a difference over a layer it was not made for, as images and snapshots ask for. What was made for exactly that
//! layer is applied by [`LayerDiff::apply`], which refuses what does not fit.

use std::collections::HashMap;

use super::apply::{ApplyError, Metas, apply, find, remove};
use super::change::{Change, ChangeKind, LayerDiff, Meta};
use crate::tree::{Body, Directory, Frozen, ROOT, State};
use crate::{Errno, FileType, Layer, NewKind, NewNode, Result, Timespec, TreeLimits};

impl LayerDiff {
    /// `base` with these changes over it, whatever `base` is:
    ///
    /// - what is removed is removed first, and opaque directories and those of `emptied` are emptied first, wherever they
    ///   stand among the changes: all three concern `base` only, as whiteouts of images do;
    /// - what to remove need not be there;
    /// - missing parents are made, with mode 755, of 0:0, with the time 0;
    /// - a later change of a path replaces an earlier one. Directories keep what is in them, unless something that is none
    ///   takes their place.
    ///
    /// Links are never followed.
    ///
    /// ```
    /// use agentos_vfs::layer::{Change, ChangeKind, LayerDiff};
    /// use agentos_vfs::{Layer, Tree};
    /// let lower = Tree::new();
    /// lower.put_file("/etc/motd", 0o644, 0, 0, "hello")?;
    /// let gone = Change { path: b"/etc/motd".to_vec(), kind: ChangeKind::Removed };
    /// let top = LayerDiff { changes: vec![gone] }.lay_over(&lower.freeze(), &[]).unwrap();
    /// assert!(Tree::from_layer(&top).read_file("/etc/motd").is_err());
    /// # Ok::<(), agentos_vfs::Errno>(())
    /// ```
    ///
    /// # Errors
    /// [`ApplyError`] with the path: ENOTDIR when a parent is a file or a link, ENOENT for a hard link to nothing, EPERM for
    /// one to a directory.
    pub fn lay_over(&self, base: &Layer, emptied: &[Vec<u8>]) -> std::result::Result<Layer, ApplyError> {
        let limits = TreeLimits { bytes: u64::MAX, inodes: u64::MAX };
        let mut state = State::new(Frozen::clone(&base.0), limits, Default::default());
        let mut metas = HashMap::new();
        let told =
            |path: &[u8], errno| ApplyError { path: String::from_utf8_lossy(path).into_owned(), errno };
        for path in emptied {
            empty(&mut state, &mut metas, path).map_err(|errno| told(path, errno))?;
        }
        for step in [hide, put] {
            for change in &self.changes {
                step(&mut state, &mut metas, change).map_err(|errno| told(&change.path, errno))?;
            }
        }
        for (ino, meta) in metas {
            // Directories that a later change removed have nothing to restore.
            let _ = state.edit(ino, |inode| meta.put(inode));
        }
        Ok(Layer(std::sync::Arc::new(state.freeze())))
    }
}

fn absent(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::ENOTDIR)
}

/// Removes what a change hides of the base.
fn hide(state: &mut State, metas: &mut Metas, change: &Change) -> Result<()> {
    match &change.kind {
        ChangeKind::Removed => match apply(state, metas, &change.path, &change.kind) {
            Err(errno) if absent(errno) => Ok(()),
            other => other,
        },
        ChangeKind::Directory { opaque: true, .. } => empty(state, metas, &change.path),
        _ => Ok(()),
    }
}

/// Removes all that is in a directory.
fn empty(state: &mut State, metas: &mut Metas, path: &[u8]) -> Result<()> {
    let dir = match find(state, path) {
        Ok(dir) => dir,
        Err(errno) if absent(errno) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    let names: Vec<_> = match state.dir(dir) {
        Ok(directory) => directory.entries.keys().cloned().collect(),
        // It is none in the base, so there is nothing to hide.
        Err(_) => return Ok(()),
    };
    metas.entry(dir).or_insert(Meta::of(state.get(dir)?));
    names.into_iter().try_for_each(|name| remove(state, dir, &name))
}

/// Puts there what a change says is there.
fn put(state: &mut State, metas: &mut Metas, change: &Change) -> Result<()> {
    match &change.kind {
        ChangeKind::Removed => return Ok(()),
        _ if change.path == b"/" => {}
        _ => make_parents(state, metas, &change.path)?,
    }
    match change.kind {
        ChangeKind::Directory { meta, opaque: true, hides_lower } => {
            let kind = ChangeKind::Directory { meta, opaque: false, hides_lower };
            apply(state, metas, &change.path, &kind)
        }
        _ => apply(state, metas, &change.path, &change.kind),
    }
}

fn make_parents(state: &mut State, metas: &mut Metas, path: &[u8]) -> Result<()> {
    let end = path.iter().rposition(|&byte| byte == b'/').ok_or(Errno::EINVAL)?;
    let mut dir = ROOT;
    for part in path[..end].split(|&byte| byte == b'/').filter(|part| !part.is_empty()) {
        dir = match state.entry(dir, part) {
            Ok(entry) if entry.kind == FileType::Directory => entry.ino,
            Ok(_) => return Err(Errno::ENOTDIR),
            Err(Errno::ENOENT) => {
                metas.entry(dir).or_insert(Meta::of(state.get(dir)?));
                let node = NewNode { kind: NewKind::Directory, perm: 0o755, uid: 0, gid: 0 };
                let ino = state.create(dir, part, &node, Body::Directory(Directory::default()))?.ino;
                state.edit(ino, |inode| {
                    let zero = Timespec { secs: 0, nanos: 0 };
                    (inode.atime, inode.mtime, inode.ctime, inode.btime) = (zero, zero, zero, zero);
                })?;
                ino
            }
            Err(error) => return Err(error),
        };
    }
    Ok(())
}
