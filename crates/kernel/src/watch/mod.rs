//! Who watches which paths, and what is told to whom. It knows paths only; they are found in `sys::watch`, and only when
//! somebody watches.

mod queue;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use agentos_vfs::{Ino, NameBuf};
use parking_lot::{Mutex, RwLock};

use crate::{LimitHit, Limits, Observer, Warning};
use queue::Queue;

/// Files whose last move is remembered: a write through a descriptor that was open meanwhile is told by the new name.
const MOST_MOVED: usize = 1024;

/// What happened at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It came to be: made, linked, or moved here from where the watch does not reach.
    Created,
    /// Its content changed.
    Modified,
    /// It is gone: removed, or moved to where the watch does not reach.
    Removed,
    /// It was moved here, in place of what was here before.
    Renamed {
        /// Where it was.
        from: Arc<[u8]>,
    },
    /// Mode, owner or times changed.
    Attributes,
    /// Changes were left out: whoever watches has to look at everything below the watched path anew.
    Overflow,
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The canonical path.
    pub path: Arc<[u8]>,
    /// What happened.
    pub kind: ChangeKind,
    /// It is (or was) a directory.
    pub is_dir: bool,
}

/// All watches of a VM.
pub(crate) struct Watches {
    /// How many there are, so that one load tells that there are none.
    count: AtomicUsize,
    list: RwLock<List>,
    /// By mount and inode: the directory and the name that files were moved to.
    moved: Mutex<HashMap<(u64, Ino), (Ino, NameBuf)>>,
    most: u32,
    queue_bytes: u32,
    warning: Warning,
    observer: Option<Arc<dyn Observer>>,
}

#[derive(Default)]
struct List {
    queues: Vec<Arc<Queue>>,
    closed: bool,
}

/// A watch; it ends when it is dropped.
pub struct Watch {
    queue: Arc<Queue>,
    watches: Weak<Watches>,
}

impl Watches {
    pub(crate) fn new(limits: &Limits, observer: Option<&Arc<dyn Observer>>) -> Arc<Self> {
        Arc::new(Watches {
            count: AtomicUsize::new(0),
            list: RwLock::default(),
            moved: Mutex::default(),
            most: limits.watches,
            queue_bytes: limits.watch_queue_bytes,
            warning: Warning::new(observer, "watches", u64::from(limits.watches)),
            observer: observer.cloned(),
        })
    }

    /// Whether anybody watches anything.
    pub(crate) fn any(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Watches `path`, which is canonical. `Ok(None)`: the VM ends.
    pub(crate) fn add(self: &Arc<Self>, path: Vec<u8>, recursive: bool) -> Result<Option<Watch>, LimitHit> {
        let mut list = self.list.write();
        if list.closed {
            return Ok(None);
        }
        let used = list.queues.len() as u64;
        if used >= u64::from(self.most) {
            let configured = u64::from(self.most);
            return Err(LimitHit { name: "watches", configured, used, requested: 1 });
        }
        let bytes = u64::from(self.queue_bytes);
        let warning = Warning::new(self.observer.as_ref(), "watchQueueBytes", bytes);
        let queue = Arc::new(Queue::new(path, recursive, bytes, warning));
        list.queues.push(Arc::clone(&queue));
        self.counted(&list);
        Ok(Some(Watch { queue, watches: Arc::downgrade(self) }))
    }

    fn counted(&self, list: &List) {
        self.count.store(list.queues.len(), Ordering::SeqCst);
        self.warning.uses(list.queues.len() as u64);
        if list.queues.is_empty() {
            *self.moved.lock() = HashMap::new();
        }
    }

    /// Remembers where a file was moved to.
    pub(crate) fn remember(&self, mount: u64, ino: Ino, dir: Ino, name: &[u8]) {
        let mut moved = self.moved.lock();
        if moved.len() >= MOST_MOVED
            && let Some(one) = moved.keys().next().copied()
        {
            moved.remove(&one);
        }
        if let Ok(name) = NameBuf::new(name) {
            moved.insert((mount, ino), (dir, name));
        }
    }

    /// Where a file was last moved to, if that is remembered.
    pub(crate) fn whereabouts(&self, mount: u64, ino: Ino) -> Option<(Ino, NameBuf)> {
        self.moved.lock().get(&(mount, ino)).cloned()
    }

    fn remove(&self, queue: &Arc<Queue>) {
        let mut list = self.list.write();
        list.queues.retain(|other| !Arc::ptr_eq(other, queue));
        self.counted(&list);
    }

    /// Tells of a change of one path.
    pub(crate) fn changed(&self, path: &Arc<[u8]>, kind: &ChangeKind, is_dir: bool) {
        for queue in self.list.read().queues.iter().filter(|queue| queue.covers(path)) {
            queue.push(Change { path: Arc::clone(path), kind: kind.clone(), is_dir });
        }
    }

    /// Tells of a move.
    pub(crate) fn moved(&self, from: &Arc<[u8]>, to: &Arc<[u8]>, is_dir: bool) {
        let change = |path: &Arc<[u8]>, kind| Change { path: Arc::clone(path), kind, is_dir };
        for queue in &self.list.read().queues {
            match (queue.covers(from), queue.covers(to)) {
                (true, true) => queue.push(change(to, ChangeKind::Renamed { from: Arc::clone(from) })),
                (true, false) => queue.push(change(from, ChangeKind::Removed)),
                (false, true) => queue.push(change(to, ChangeKind::Created)),
                (false, false) if is_dir && (queue.is_below(from) || queue.is_below(to)) => queue.overflow(),
                (false, false) => {}
            }
        }
    }

    /// Tells everyone who watches something at, above or below `path` to look anew.
    pub(crate) fn rescan(&self, path: &[u8]) {
        for queue in &self.list.read().queues {
            if queue.covers(path) || queue.is_below(path) || queue.reaches(path) {
                queue.overflow();
            }
        }
    }

    /// Ends all watches, for ever.
    pub(crate) fn close(&self) {
        let mut list = self.list.write();
        list.closed = true;
        for queue in list.queues.drain(..) {
            queue.close();
        }
        self.counted(&list);
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        self.close();
    }
}

impl Watch {
    /// The canonical path that is watched.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        self.queue.root()
    }

    /// Adds up to `most` changes to `into`, waiting for one; false when the VM ends and there are no more.
    pub async fn next(&mut self, most: usize, into: &mut Vec<Change>) -> bool {
        self.queue.next(most, into).await
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(watches) = self.watches.upgrade() {
            watches.remove(&self.queue);
        }
    }
}

#[cfg(test)]
mod tests;
