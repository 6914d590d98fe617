//! A bounded-by-use set of wakers: everyone who waits for one condition.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

/// Wakers of all tasks that wait for a condition; [`Waiters::wake`] wakes them all.
///
/// A task registers before it looks at the condition, so that no change is missed. One task counts once however often
/// it registers, and one that stops waiting unregisters, so the set is at most as large as the number of waiting tasks.
#[derive(Default)]
pub struct Waiters {
    any: AtomicBool,
    list: Mutex<Vec<Waker>>,
}

impl Waiters {
    /// Nobody waits.
    #[must_use]
    pub const fn new() -> Self {
        Self { any: AtomicBool::new(false), list: Mutex::new(Vec::new()) }
    }

    /// Adds `waker` unless it is there already.
    pub fn register(&self, waker: &Waker) {
        let mut list = self.list.lock();
        if !list.iter().any(|w| w.will_wake(waker)) {
            list.push(waker.clone());
        }
        self.any.store(true, Ordering::SeqCst);
    }

    /// Takes `waker` out again: a task that no longer waits leaves nothing behind.
    pub fn unregister(&self, waker: &Waker) {
        if self.any.load(Ordering::SeqCst) {
            self.list.lock().retain(|w| !w.will_wake(waker));
        }
    }

    /// Wakes everyone and forgets them.
    pub fn wake(&self) {
        // A waiter registers, then looks at the condition; a waker changes the condition, then comes here. With
        // sequentially consistent order one of the two sees the other.
        std::sync::atomic::fence(Ordering::SeqCst);
        if !self.any.load(Ordering::SeqCst) {
            return;
        }
        let woken = {
            let mut list = self.list.lock();
            self.any.store(false, Ordering::SeqCst);
            std::mem::take(&mut *list)
        };
        for waker in woken {
            waker.wake();
        }
    }
}

impl std::fmt::Debug for Waiters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiters").field("any", &self.any).finish_non_exhaustive()
    }
}
