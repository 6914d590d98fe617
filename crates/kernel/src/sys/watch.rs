//! watch: making one, and telling of changes. It costs the calls that change something one load while nobody watches.
//!
//! A change is told after it was made, by the path that it had then. Two processes that change one file at the same time
//! may be told of in either order: an event says where to look, not what is there.

use std::sync::Arc;

use agentos_vfs::{FileType, Found, Location, Reply};

use super::walk::{At, Who};
use crate::watch::{ChangeKind, Watch};
use crate::{Description, Kernel, KernelError};

/// Tells watchers, when there are any. A macro with a box, so that the futures of the calls stay as small as they are.
macro_rules! note {
    ($kernel:expr, $call:ident($($arg:expr),* $(,)?)) => {
        if $kernel.watches.any() {
            Box::pin($kernel.$call($($arg),*)).await;
        }
    };
}

pub(super) use note;

impl Kernel {
    /// Watches a path that exists, links followed: itself and what lies directly in it, or all below. It is the path that is
    /// watched: what is moved there later, too.
    pub async fn watch(&self, who: &Who, at: At<'_>, recursive: bool) -> Result<Watch, KernelError> {
        let fail = |errno| KernelError::failed(errno, "watch", at.path());
        let found = self.found(who, at, true).await.map_err(fail)?;
        let path = match (&found.parent, found.attr.kind) {
            (Some((dir, name)), _) => self.namespace.path_of_entry(dir, name).await,
            (None, FileType::Directory) => self.namespace.path_of(&found.location).await,
            (None, _) => Err(crate::Errno::EINVAL),
        };
        let watch = self.watches.add(path.map_err(fail)?, recursive).map_err(KernelError::Limit)?;
        watch.ok_or(KernelError::Disposed)
    }

    /// Whoever watches something at, above or below this path has to look anew: something was mounted there or unmounted, or
    /// what is there was replaced as a whole.
    pub fn rescan(&self, path: &[u8]) {
        if self.watches.any() {
            self.watches.rescan(path);
        }
    }

    /// Tells of a change of `name` in `dir`.
    pub(super) async fn note_entry(&self, dir: &Location, name: &[u8], kind: ChangeKind, is_dir: bool) {
        // A directory that is gone meanwhile has no path any more, and its own end was told.
        if let Ok(path) = self.namespace.path_of_entry(dir, name).await {
            self.watches.changed(&Arc::from(path), &kind, is_dir);
        }
    }

    /// Tells of a change of what a path led to.
    pub(super) async fn note_found(&self, found: &Found, kind: ChangeKind) {
        let is_dir = found.attr.kind == FileType::Directory;
        match &found.parent {
            Some((dir, name)) => self.note_entry(dir, name, kind, is_dir).await,
            None if is_dir => self.note_directory(&found.location, kind).await,
            None => {}
        }
    }

    async fn note_directory(&self, dir: &Location, kind: ChangeKind) {
        if let Ok(path) = self.namespace.path_of(dir).await {
            self.watches.changed(&Arc::from(path), &kind, true);
        }
    }

    /// Tells of a change through an open file, by the name it was opened with or moved to since.
    pub(super) async fn note_file(&self, file: &Description, kind: ChangeKind) {
        let Some(location) = file.location() else { return };
        let Some((dir, name)) = file.entry() else {
            if matches!(file.kind(), crate::FileKind::Directory(_)) {
                self.note_directory(location, kind).await;
            }
            return;
        };
        let is_it = |name: &[u8], dir: u64| match location.mount.fs.lookup(dir, name) {
            Reply::Now(found) => found.is_ok_and(|attr| attr.ino == location.ino),
            // Not worth a question to somebody far away for every write.
            Reply::Later(_) => true,
        };
        if is_it(name, dir.ino) {
            return self.note_entry(dir, name, kind, false).await;
        }
        if let Some((ino, name)) = self.watches.whereabouts(location.mount.id, location.ino)
            && is_it(&name, ino)
        {
            let dir = Location { mount: Arc::clone(&location.mount), ino };
            self.note_entry(&dir, &name, kind, false).await;
        }
    }

    /// Tells of a move of `from` to `to`.
    pub(super) async fn note_move(&self, from: (&Location, &[u8]), to: (&Location, &[u8]), moved: &Found) {
        let is_dir = moved.attr.kind == FileType::Directory;
        if !is_dir {
            self.watches.remember(moved.location.mount.id, moved.location.ino, to.0.ino, to.1);
        }
        let old = self.namespace.path_of_entry(from.0, from.1).await;
        let new = self.namespace.path_of_entry(to.0, to.1).await;
        if let (Ok(old), Ok(new)) = (old, new) {
            self.watches.moved(&Arc::from(old), &Arc::from(new), is_dir);
        }
    }
}
