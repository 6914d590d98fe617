//! An open regular file of a tree. It keeps the inode alive, not its names.

use std::sync::atomic::Ordering;

use super::Held;
use crate::{Attr, Errno, OpenFile, Reply, SetAttr};

pub(crate) struct TreeFile {
    pub(crate) held: Held,
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl OpenFile for TreeFile {
    fn getattr(&self) -> Reply<'_, Attr> {
        let state = self.held.tree.state.read();
        Reply::Now(state.get(self.held.ino).map(|inode| inode.attr(self.held.ino)))
    }

    fn setattr(&self, change: &SetAttr) -> Reply<'_, Attr> {
        Reply::Now(self.held.tree.state.write().setattr(self.held.ino, change))
    }

    fn read_at<'a>(&'a self, buf: &'a mut [u8], offset: u64) -> Reply<'a, usize> {
        if !self.read {
            return Reply::Now(Err(Errno::EBADF));
        }
        // Bound first: as a temporary of the `match` the guard would still be held when the time is written.
        let result = self.held.tree.state.read().read(self.held.ino, buf, offset);
        let sealed = || self.held.tree.sealed.load(Ordering::Relaxed);
        Reply::Now(match result {
            Ok((n, true)) if !sealed() => self.held.tree.state.write().touch_atime(self.held.ino).map(|()| n),
            Ok((n, _)) => Ok(n),
            Err(error) => Err(error),
        })
    }

    fn write_at<'a>(&'a self, data: &'a [u8], offset: u64) -> Reply<'a, usize> {
        if !self.write {
            return Reply::Now(Err(Errno::EBADF));
        }
        Reply::Now(self.held.tree.state.write().write(self.held.ino, data, offset))
    }

    fn append<'a>(&'a self, data: &'a [u8]) -> Reply<'a, (usize, u64)> {
        if !self.write {
            return Reply::Now(Err(Errno::EBADF));
        }
        Reply::Now(self.held.tree.state.write().append(self.held.ino, data))
    }

    fn sync(&self, _data_only: bool) -> Reply<'_, ()> {
        self.held.tree.sync()
    }
}
