//! What a tree does as the upper of an overlay: whiteouts, opaque directories, inodes that come from below. A whiteout is
//! a character device of number 0, as on Linux. Each call is one step that happens whole or not at all.

use super::inode::{Body, Entry, Homes, Inode, entry_charge};
use super::state::State;
use super::{Held, Tree};
use crate::layer::Meta;
use crate::{Attr, Errno, FileType, Ino, NewKind, NewNode, RenameFlags, Result, Timespec};

/// The device number of a whiteout.
const WHITEOUT: u64 = 0;

/// Whether an inode of an upper tree hides a name.
pub(crate) fn is_whiteout(attr: &Attr) -> bool {
    attr.kind == FileType::CharDevice && attr.rdev == WHITEOUT
}

fn whiteout_node() -> NewNode {
    NewNode { kind: NewKind::CharDevice(WHITEOUT), perm: 0, uid: 0, gid: 0 }
}

impl State {
    fn hides(&self, dir: Ino, name: &[u8]) -> bool {
        let Ok(entry) = self.entry(dir, name) else { return false };
        matches!(self.get(entry.ino).map(|inode| &inode.body), Ok(Body::CharDevice(WHITEOUT)))
    }

    fn put_whiteout(&mut self, dir: Ino, name: &[u8]) -> Result<()> {
        self.create(dir, name, &whiteout_node(), Body::CharDevice(WHITEOUT)).map(|_| ())
    }

    /// Runs `change` with the whiteout of a name out of the way, and puts it back if that fails.
    fn over<T>(
        &mut self,
        dir: Ino,
        name: &[u8],
        change: impl FnOnce(&mut Self, bool) -> Result<T>,
    ) -> Result<T> {
        if !self.hides(dir, name) {
            return change(self, false);
        }
        self.unlink(dir, name)?;
        let result = change(self, true);
        if result.is_err() {
            // It fits where it just was.
            self.put_whiteout(dir, name)?;
        }
        result
    }

    fn set_opaque(&mut self, ino: Ino) -> Result<()> {
        self.edit_dir(ino, |inode| {
            let Body::Directory(dir) = &mut inode.body else { return None };
            dir.opaque = true;
            Some(())
        })
    }

    /// Removes the whiteouts of a directory; whatever else is in it makes ENOTEMPTY.
    fn clear(&mut self, dir: Ino) -> Result<()> {
        let names: Vec<_> = self.dir(dir)?.entries.keys().cloned().collect();
        if names.iter().any(|name| !self.hides(dir, name)) {
            return Err(Errno::ENOTEMPTY);
        }
        names.iter().try_for_each(|name| self.unlink(dir, name))
    }

    /// Whether removing a name of an inode gives an inode back: that one, or a whiteout in it.
    fn frees(&self, ino: Ino) -> Result<bool> {
        let inode = self.get(ino)?;
        Ok(match &inode.body {
            Body::Directory(dir) => !dir.entries.is_empty() || !self.pins.held(ino),
            _ => inode.nlink == 1 && !self.pins.held(ino),
        })
    }

    /// Runs `change` so that it does not show in the times of a directory.
    fn unseen<T>(&mut self, dir: Ino, change: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let meta = Meta::of(self.get(dir)?);
        let value = change(self)?;
        self.edit(dir, |inode| meta.put(inode))?;
        Ok(value)
    }
}

impl Tree {
    pub(crate) fn is_opaque(&self, dir: Ino) -> bool {
        self.0.state.read().dir(dir).is_ok_and(|dir| dir.opaque)
    }

    pub(crate) fn make_opaque(&self, dir: Ino) -> Result<()> {
        self.0.state.write().set_opaque(dir)
    }

    /// Bytes that may still be written: of its own, or of the account, whichever are fewer.
    pub(crate) fn bytes_left(&self) -> u64 {
        let (usage, limits) = self.0.state.read().account();
        limits.bytes.saturating_sub(usage.bytes)
    }

    /// A copy of a lower inode under its name, with its times.
    pub(crate) fn adopt(&self, dir: Ino, name: &[u8], meta: &Meta, body: Body) -> Result<Held> {
        let mut state = self.0.state.write();
        let node = NewNode { kind: NewKind::Regular, perm: meta.perm, uid: meta.uid, gid: meta.gid };
        let ino = state.unseen(dir, |state| state.create(dir, name, &node, body))?.ino;
        state.edit(ino, |inode| meta.put(inode))?;
        Ok(self.0.pin(ino))
    }

    /// A copy of a lower inode that has lost its name.
    pub(crate) fn adopt_orphan(&self, meta: &Meta, body: Body) -> Result<Held> {
        let mut state = self.0.state.write();
        let now = Timespec::default();
        let mut inode = Inode {
            perm: 0,
            uid: 0,
            gid: 0,
            nlink: 0,
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
            homes: Homes::None,
            body,
        };
        meta.put(&mut inode);
        state.room(inode.charge(), 1)?;
        let ino = state.insert(inode);
        let held = self.0.pin(ino);
        state.unlinked(ino);
        Ok(held)
    }

    /// Gives a copied inode the further name it has in the lower, unless it is there; nothing changes to the eye.
    pub(crate) fn adopt_name(&self, ino: Ino, dir: Ino, name: &[u8]) -> Result<()> {
        let mut state = self.0.state.write();
        if state.entry(dir, name).is_ok() {
            return Ok(());
        }
        let meta = Meta::of(state.get(ino)?);
        state.unseen(dir, |state| state.link_any(ino, dir, name))?;
        state.edit(ino, |inode| meta.put(inode))
    }

    /// Creates; a directory in place of a whiteout hides what is below.
    pub(crate) fn create_over(&self, dir: Ino, name: &[u8], node: &NewNode) -> Result<Attr> {
        let mut state = self.0.state.write();
        state.over(dir, name, |state, hidden| {
            let attr = state.create(dir, name, node, Body::from(&node.kind))?;
            if hidden && attr.kind == FileType::Directory {
                state.set_opaque(attr.ino)?;
            }
            Ok(attr)
        })
    }

    /// Links, also an inode whose only names are in the lower.
    pub(crate) fn link_over(&self, ino: Ino, dir: Ino, name: &[u8]) -> Result<Attr> {
        self.0.state.write().over(dir, name, |state, _| state.link_any(ino, dir, name))
    }

    /// Removes a name of the upper, if it is there, and hides that of the lower, if `hide`.
    pub(crate) fn remove_over(&self, dir: Ino, name: &[u8], hide: bool) -> Result<()> {
        let mut state = self.0.state.write();
        let entry = match state.entry(dir, name) {
            Ok(entry) => entry,
            Err(Errno::ENOENT) if hide => return state.put_whiteout(dir, name),
            Err(Errno::ENOENT) => return Ok(()),
            Err(error) => return Err(error),
        };
        if hide {
            // The whiteout has the bytes of the name, but an inode only if one goes.
            let freed = state.frees(entry.ino)?;
            state.room(0, u64::from(!freed))?;
        }
        if entry.kind == FileType::Directory {
            state.clear(entry.ino)?;
            state.rmdir(dir, name)?;
        } else {
            state.unlink(dir, name)?;
        }
        if hide { state.put_whiteout(dir, name) } else { Ok(()) }
    }

    /// Renames, leaves a whiteout behind if `hide`, and makes moved directories opaque: all they hold is in the upper.
    pub(crate) fn rename_over(
        &self,
        from: (Ino, &[u8]),
        to: (Ino, &[u8]),
        flags: RenameFlags,
        hide: bool,
    ) -> Result<()> {
        let mut state = self.0.state.write();
        if hide {
            state.room(entry_charge(from.1).max(entry_charge(to.1)), 1)?;
        }
        let moved = [state.entry(from.0, from.1).ok(), state.entry(to.0, to.1).ok()];
        if let (Some(Entry { ino, kind: FileType::Directory }), false) = (moved[1], flags.exchange) {
            state.clear(ino)?;
        }
        state.over(to.0, to.1, |state, _| state.rename(from.0, from.1, to.0, to.1, flags))?;
        for entry in moved.into_iter().flatten() {
            // The replaced directory is gone.
            if entry.kind == FileType::Directory && state.get(entry.ino).is_ok() {
                state.set_opaque(entry.ino)?;
            }
        }
        if hide { state.put_whiteout(from.0, from.1) } else { Ok(()) }
    }
}
