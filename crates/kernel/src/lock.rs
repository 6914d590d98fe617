//! flock(2): advisory locks of open file descriptions on inodes.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use crate::{Errno, Result, Waiters};

/// An inode: mount and inode number.
pub(crate) type FileId = (u64, u64);

#[derive(Default)]
struct Holders {
    shared: u32,
    exclusive: bool,
}

/// All locks of a VM. An inode is in the table only while it is locked.
#[derive(Default)]
pub(crate) struct LockTable {
    locked: Mutex<HashMap<FileId, Holders>>,
    changed: Waiters,
}

/// A lock that a description holds; dropping it unlocks.
pub(crate) struct FileLock {
    table: Weak<LockTable>,
    file: FileId,
    exclusive: bool,
}

impl LockTable {
    /// Takes the lock; EAGAIN if others hold it in a way that excludes ours.
    pub(crate) fn try_lock(self: &Arc<Self>, file: FileId, exclusive: bool) -> Result<FileLock> {
        let mut locked = self.locked.lock();
        let holders = locked.entry(file).or_default();
        if holders.exclusive || (exclusive && holders.shared > 0) {
            return Err(Errno::EAGAIN);
        }
        if exclusive {
            holders.exclusive = true;
        } else {
            holders.shared += 1;
        }
        Ok(FileLock { table: Arc::downgrade(self), file, exclusive })
    }

    /// The same, pending while others hold it.
    pub(crate) fn poll_lock(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        file: FileId,
        exclusive: bool,
    ) -> Poll<Result<FileLock>> {
        self.changed.register(cx.waker());
        match self.try_lock(file, exclusive) {
            Err(Errno::EAGAIN) => Poll::Pending,
            done => Poll::Ready(done),
        }
    }

    /// Files that are locked.
    pub(crate) fn len(&self) -> usize {
        self.locked.lock().len()
    }

    pub(crate) fn leave(&self, waker: &Waker) {
        self.changed.unregister(waker);
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        let Some(table) = self.table.upgrade() else { return };
        let mut locked = table.locked.lock();
        if let Some(holders) = locked.get_mut(&self.file) {
            if self.exclusive {
                holders.exclusive = false;
            } else {
                holders.shared -= 1;
            }
            if !holders.exclusive && holders.shared == 0 {
                locked.remove(&self.file);
            }
        }
        drop(locked);
        table.changed.wake();
    }
}
