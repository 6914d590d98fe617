//! flock(2): advisory locks of open file descriptions on inodes. Those of fcntl(2) are in `records`; the two know nothing of each
//! other, as in Linux.

mod ranges;
mod records;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

pub(crate) use ranges::{LAST, Range};
pub use records::RECORD_LOCKS;
pub(crate) use records::{DescriptionLocks, Owner, RecordTable, Request};

use crate::{Errno, Pid, Result, Waiters};

/// An inode: mount and inode number.
pub(crate) type FileId = (u64, u64);

/// The locks that an open file description holds.
#[derive(Default)]
pub(crate) struct HeldLocks {
    pub(crate) file: Option<FileLock>,
    pub(crate) records: Option<DescriptionLocks>,
}

#[derive(Default)]
struct Holders {
    /// How many locks were taken by which process, for `/proc/locks`: one at most if exclusive.
    taken: BTreeMap<Pid, u32>,
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
    pid: Pid,
}

impl LockTable {
    /// Takes the lock for what process `pid` has open; EAGAIN if others hold it in a way that excludes ours.
    pub(crate) fn try_lock(self: &Arc<Self>, file: FileId, pid: Pid, exclusive: bool) -> Result<FileLock> {
        let mut locked = self.locked.lock();
        let holders = locked.entry(file).or_default();
        if holders.exclusive || (exclusive && !holders.taken.is_empty()) {
            return Err(Errno::EAGAIN);
        }
        holders.exclusive = exclusive;
        *holders.taken.entry(pid).or_default() += 1;
        Ok(FileLock { table: Arc::downgrade(self), file, pid })
    }

    /// The same, pending while others hold it.
    pub(crate) fn poll_lock(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        file: FileId,
        pid: Pid,
        exclusive: bool,
    ) -> Poll<Result<FileLock>> {
        self.changed.register(cx.waker());
        match self.try_lock(file, pid, exclusive) {
            Err(Errno::EAGAIN) => Poll::Pending,
            done => Poll::Ready(done),
        }
    }

    /// Files that are locked.
    pub(crate) fn len(&self) -> usize {
        self.locked.lock().len()
    }

    /// Tells each lock: file, process, whether it is exclusive, and how many of these there are.
    pub(crate) fn each(&self, mut tell: impl FnMut(FileId, Pid, bool, u32)) {
        let locked = self.locked.lock();
        let mut files: Vec<_> = locked.iter().collect();
        files.sort_unstable_by_key(|(file, _)| **file);
        for (file, holders) in files {
            for (pid, count) in &holders.taken {
                tell(*file, *pid, holders.exclusive, *count);
            }
        }
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
            if let Some(count) = holders.taken.get_mut(&self.pid) {
                *count -= 1;
                if *count == 0 {
                    holders.taken.remove(&self.pid);
                }
            }
            if holders.taken.is_empty() {
                locked.remove(&self.file);
            }
        }
        drop(locked);
        table.changed.wake();
    }
}
