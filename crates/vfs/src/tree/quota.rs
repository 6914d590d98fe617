//! What several trees may hold together. A tree alone needs none: its own limits are enough, and cost less.
//!
//! A tree takes what a change may need before it makes it and gives the rest back after it, so that no change takes the sum past
//! the limit, whatever the trees do at the same time. What is not asked for is counted all the same, also past the limit: what a
//! tree holds when it joins, and what it holds after it went back to a layer. Then nothing more fits until enough is gone.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::state::State;
use super::{TreeLimits, Usage};

/// An account of bytes and inodes that trees share; see [`FileSystem::share`](crate::FileSystem::share).
pub struct Quota {
    limits: TreeLimits,
    bytes: AtomicU64,
    inodes: AtomicU64,
    meter: Box<dyn Fn(Usage) + Send + Sync>,
}

impl Quota {
    /// An empty account. `meter` is told of its usage after each change, under the lock of a tree: it must be quick and must not
    /// call the tree.
    #[must_use]
    pub fn new(limits: TreeLimits, meter: impl Fn(Usage) + Send + Sync + 'static) -> Arc<Self> {
        let (bytes, inodes) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Quota { limits, bytes, inodes, meter: Box::new(meter) })
    }

    /// What its trees hold.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage { bytes: self.bytes.load(Ordering::Relaxed), inodes: self.inodes.load(Ordering::Relaxed) }
    }

    /// What they may hold.
    #[must_use]
    pub fn limits(&self) -> TreeLimits {
        self.limits
    }

    fn give(&self, back: Usage) {
        self.bytes.fetch_sub(back.bytes, Ordering::Relaxed);
        self.inodes.fetch_sub(back.inodes, Ordering::Relaxed);
    }
}

/// Takes `want` of an account with this limit, or what is left if `less` will do; how much that was.
fn take(account: &AtomicU64, limit: u64, want: u64, less: bool) -> u64 {
    let part = |used: u64| match limit.saturating_sub(used) {
        left if left >= want => want,
        left if less => left,
        _ => 0,
    };
    match account.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| Some(used + part(used))) {
        Ok(before) | Err(before) => part(before),
    }
}

/// In an account, `from` becomes `to`.
fn change(account: &AtomicU64, from: u64, to: u64) {
    if to > from {
        account.fetch_add(to - from, Ordering::Relaxed);
    } else {
        account.fetch_sub(from - to, Ordering::Relaxed);
    }
}

impl fmt::Debug for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quota")
            .field("limits", &self.limits)
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}

/// The part of a tree in an account.
pub(crate) struct Share {
    pub(crate) quota: Arc<Quota>,
    /// What of the tree is not counted.
    free: Usage,
    /// What the tree has taken.
    held: Usage,
}

impl Share {
    pub(super) fn new(quota: &Arc<Quota>, free: Usage) -> Self {
        Share { quota: Arc::clone(quota), free, held: Usage::default() }
    }

    /// What of a tree counts.
    pub(crate) fn counted(&self, usage: Usage) -> Usage {
        Usage {
            bytes: usage.bytes.saturating_sub(self.free.bytes),
            inodes: usage.inodes.saturating_sub(self.free.inodes),
        }
    }

    /// Takes what a tree of this usage lacks for so much more, or nothing. What it gave back since it was last settled is still
    /// taken, and comes first: so a step can take back what it gave.
    pub(super) fn take(&mut self, usage: Usage, bytes: u64, inodes: u64) -> bool {
        let then = self.counted(Usage { bytes: usage.bytes + bytes, inodes: usage.inodes + inodes });
        let bytes = then.bytes.saturating_sub(self.held.bytes);
        let inodes = then.inodes.saturating_sub(self.held.inodes);
        let quota = &self.quota;
        if take(&quota.bytes, quota.limits.bytes, bytes, false) < bytes {
            return false;
        }
        if take(&quota.inodes, quota.limits.inodes, inodes, false) < inodes {
            quota.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.held.bytes += bytes;
        self.held.inodes += inodes;
        true
    }

    /// Takes up to so many bytes for a change; how many it got.
    pub(super) fn take_some(&mut self, bytes: u64) -> u64 {
        let got = take(&self.quota.bytes, self.quota.limits.bytes, bytes, true);
        self.held.bytes += got;
        got
    }

    /// A change is over: the account has what the tree now holds.
    pub(super) fn settle(&mut self, usage: Usage) {
        let now = self.counted(usage);
        if now != self.held {
            change(&self.quota.bytes, self.held.bytes, now.bytes);
            change(&self.quota.inodes, self.held.inodes, now.inodes);
            self.held = now;
        }
        (self.quota.meter)(self.quota.usage());
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.quota.give(self.held);
        (self.quota.meter)(self.quota.usage());
    }
}

/// The state of a tree behind its lock; whoever changed it settles the account.
pub(crate) struct Locked(RwLock<State>);

impl Locked {
    pub(super) fn new(state: State) -> Self {
        Locked(RwLock::new(state))
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read()
    }

    pub(crate) fn write(&self) -> Changing<'_> {
        Changing(self.0.write())
    }
}

/// A tree that is being changed.
pub(crate) struct Changing<'a>(RwLockWriteGuard<'a, State>);

impl Deref for Changing<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl DerefMut for Changing<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.0
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        let State { share, tree, .. } = &mut *self.0;
        if let Some(share) = share {
            share.settle(tree.usage);
        }
    }
}
