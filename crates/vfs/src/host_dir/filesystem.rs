//! [`FileSystem`] for [`HostDir`]: each call goes through the gate. What it does is in `inner`.

use std::sync::Arc;

use rustix::fs::AtFlags;

use super::HostDir;
use super::descend::descend;
use super::inner::Inner;
use super::table::Pinned;
use crate::{
    Access, Attr, Descent, DirEntry, Errno, FileSystem, FsStat, Ino, InodePin, Link, Name, NameBuf, NewKind,
    NewNode, OpenFile, RenameFlags, Reply, Result, SetAttr, Steps,
};

/// A name that can move to another thread; one that is too long fails there as it would here.
fn own(name: &Name) -> Result<NameBuf> {
    NameBuf::new(name)
}

/// A directory that may not be read can still hold synced files.
fn unless_unreadable(synced: Result<()>) -> Result<()> {
    match synced {
        Err(Errno::EACCES) => Ok(()),
        other => other,
    }
}

/// Keeps a number and its directory handle.
struct Held {
    inner: Arc<Inner>,
    ino: Ino,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.inner.table.lock().unpin(self.ino);
    }
}

impl HostDir {
    fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Arc<Inner>) -> Result<T> + Send + 'static,
    ) -> Reply<'_, T> {
        if self.inner.gate.is_inline() {
            return Reply::Now(call(&self.inner));
        }
        let inner = self.inner.clone();
        self.inner.gate.run(move || call(&inner))
    }

    /// A call after which a path may lead elsewhere: it waits as long as somebody relies on them.
    fn turn<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Arc<Inner>) -> Result<T> + Send + 'static,
    ) -> Reply<'_, T> {
        if let Some(turning) = self.inner.steady.try_turn() {
            return self.run(move |inner| {
                let done = call(inner);
                drop(turning);
                done
            });
        }
        Reply::later(async move {
            let turning = self.inner.steady.turn().await;
            let done = self.run(move |inner| {
                let done = call(inner);
                drop(turning);
                done
            });
            done.await
        })
    }
}

impl FileSystem for HostDir {
    fn type_name(&self) -> &str {
        "hostdir"
    }

    fn root(&self) -> Ino {
        self.inner.root()
    }

    fn lookup(&self, dir: Ino, name: &Name) -> Reply<'_, Attr> {
        let name = own(name);
        self.run(move |inner| inner.lookup(dir, &name?))
    }

    fn descend(&self, dir: Ino, steps: Steps<'_>) -> Option<Descent> {
        // Where calls may hang they must not be made on the thread of a guest.
        if self.inner.gate.is_inline() { descend(&self.inner, dir, steps) } else { None }
    }

    fn parent(&self, dir: Ino) -> Reply<'_, Ino> {
        Reply::Now(self.inner.table.lock().place(dir).map(|place| place.parent))
    }

    fn name_of(&self, dir: Ino) -> Reply<'_, Option<(Ino, NameBuf)>> {
        let mut table = self.inner.table.lock();
        if dir == table.root() {
            return Reply::Now(Ok(None));
        }
        Reply::Now(table.place(dir).map(|place| Some((place.parent, place.name))))
    }

    fn getattr(&self, ino: Ino) -> Reply<'_, Attr> {
        self.run(move |inner| inner.getattr(ino))
    }

    fn setattr(&self, ino: Ino, change: &SetAttr) -> Reply<'_, Attr> {
        let change = *change;
        self.run(move |inner| inner.setattr(ino, &change))
    }

    fn readlink(&self, ino: Ino, _pid: u32) -> Reply<'_, Link> {
        self.run(move |inner| inner.readlink(ino))
    }

    fn create(&self, dir: Ino, name: &Name, node: &NewNode) -> Reply<'_, Attr> {
        let (name, node) = (own(name), node.clone());
        if matches!(node.kind, NewKind::Symlink(_)) {
            return self.turn(move |inner| inner.create(dir, &name?, &node));
        }
        self.run(move |inner| inner.create(dir, &name?, &node))
    }

    fn link(&self, ino: Ino, dir: Ino, name: &Name) -> Reply<'_, Attr> {
        let name = own(name);
        self.turn(move |inner| inner.link(ino, dir, &name?))
    }

    fn unlink(&self, dir: Ino, name: &Name) -> Reply<'_, ()> {
        let name = own(name);
        self.run(move |inner| inner.remove(dir, &name?, AtFlags::empty()))
    }

    fn rmdir(&self, dir: Ino, name: &Name) -> Reply<'_, ()> {
        let name = own(name);
        self.run(move |inner| inner.remove(dir, &name?, AtFlags::REMOVEDIR))
    }

    fn rename(
        &self,
        from_dir: Ino,
        from: &Name,
        to_dir: Ino,
        to: &Name,
        flags: RenameFlags,
    ) -> Reply<'_, ()> {
        let (from, to) = (own(from), own(to));
        self.turn(move |inner| inner.rename(from_dir, &from?, to_dir, &to?, flags))
    }

    fn readdir(&self, dir: Ino) -> Reply<'_, Vec<DirEntry>> {
        self.run(move |inner| inner.readdir(dir))
    }

    fn open(&self, ino: Ino, access: Access) -> Reply<'_, Arc<dyn OpenFile>> {
        self.run(move |inner| inner.open(ino, access).map(|file| file as Arc<dyn OpenFile>))
    }

    fn pin(&self, ino: Ino) -> InodePin {
        let pinned = self.inner.table.lock().pin(ino, &self.inner.slots);
        let Some(pinned) = pinned else { return InodePin::none() };
        if pinned == Pinned::ToOpen {
            // A directory is held open, so that it can be removed or moved by the host meanwhile.
            let inner = self.inner.clone();
            self.inner.gate.spawn(move || drop(inner.dir(ino)));
        }
        InodePin::new(Held { inner: self.inner.clone(), ino })
    }

    fn statfs(&self) -> Reply<'_, FsStat> {
        self.run(|inner| inner.statfs())
    }

    fn sync(&self) -> Reply<'_, ()> {
        let inner = self.inner.clone();
        self.inner.syncs.run(move || unless_unreadable(inner.sync()))
    }

    fn sync_dir(&self, dir: Ino) -> Reply<'_, ()> {
        let inner = self.inner.clone();
        self.inner.syncs.run(move || unless_unreadable(inner.sync_dir(dir)))
    }

    fn read_only(&self) -> bool {
        self.inner.read_only
    }
}
