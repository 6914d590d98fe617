//! A set of wakers, for state that any number of tasks may wait for. It never forgets a waiter.
//!
//! A waiter that gave up cannot be told from one that still waits, so there is a bound, at which all are woken and those
//! that still wait come back. It is above what can wait at once: processes have fewer slots, and a connection fewer calls.

use std::collections::HashSet;
use std::task::{Context, Waker};

/// Up to this many are compared one by one, without an index.
const FEW: usize = 16;

/// The bound.
const MOST: usize = 8192;

/// Tells wakers apart as [`Waker::will_wake`] does.
type Key = (usize, usize);

fn key(waker: &Waker) -> Key {
    (waker.data().addr(), std::ptr::from_ref(waker.vtable()).addr())
}

#[derive(Debug, Default)]
pub(super) struct Wakers {
    list: Vec<Waker>,
    /// Those in the list, if they are more than a few.
    index: HashSet<Key>,
}

impl Wakers {
    pub(super) fn add(&mut self, cx: &Context<'_>) {
        let waker = cx.waker();
        if self.list.len() < FEW {
            if !self.list.iter().any(|w| w.will_wake(waker)) {
                self.list.push(waker.clone());
            }
            return;
        }
        if self.index.is_empty() {
            self.index.extend(self.list.iter().map(key));
        }
        if self.index.contains(&key(waker)) {
            return;
        }
        if self.list.len() >= MOST {
            wake(self.take());
        }
        self.index.insert(key(waker));
        self.list.push(waker.clone());
    }

    /// The wakers, to be woken after the lock around them is released.
    pub(super) fn take(&mut self) -> Vec<Waker> {
        self.index.clear();
        std::mem::take(&mut self.list)
    }
}

pub(super) fn wake(wakers: Vec<Waker>) {
    for waker in wakers {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Waiter(AtomicUsize);

    impl Wake for Waiter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn waiters(count: usize) -> Vec<Arc<Waiter>> {
        (0..count).map(|_| Arc::default()).collect()
    }

    fn add(wakers: &mut Wakers, waiter: &Arc<Waiter>) {
        wakers.add(&Context::from_waker(&Waker::from(Arc::clone(waiter))));
    }

    #[test]
    fn each_is_woken_once_however_often_it_asks() {
        for count in [1, FEW, FEW + 1, 200, MOST] {
            let mut wakers = Wakers::default();
            let all = waiters(count);
            for _ in 0..3 {
                all.iter().for_each(|waiter| add(&mut wakers, waiter));
            }
            assert!(all.iter().all(|w| w.0.load(Ordering::Relaxed) == 0), "{count}: nobody early");
            wake(wakers.take());
            assert!(all.iter().all(|w| w.0.load(Ordering::Relaxed) == 1), "{count}");
            assert!(wakers.take().is_empty());
        }
    }

    #[test]
    fn those_that_gave_up_do_not_pile_up_and_the_others_are_woken_to_come_back() {
        let mut wakers = Wakers::default();
        let stays = Arc::default();
        add(&mut wakers, &stays);
        for _ in 0..MOST {
            add(&mut wakers, &Arc::default());
            assert!(wakers.list.len() <= MOST);
        }
        assert_eq!(stays.0.load(Ordering::Relaxed), 1);
        add(&mut wakers, &stays);
        wake(wakers.take());
        assert_eq!(stays.0.load(Ordering::Relaxed), 2);
    }
}
