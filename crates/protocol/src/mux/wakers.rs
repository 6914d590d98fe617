//! A small set of wakers, for state that several tasks may wait for.
//! It never forgets a waiter: at its bound the oldest is woken early instead.

use std::task::{Context, Waker};

const MOST: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Wakers(Vec<Waker>);

impl Wakers {
    pub(super) fn add(&mut self, cx: &Context<'_>) {
        if self.0.iter().any(|w| w.will_wake(cx.waker())) {
            return;
        }
        if self.0.len() >= MOST {
            self.0.remove(0).wake();
        }
        self.0.push(cx.waker().clone());
    }

    /// The wakers, to be woken after the lock around them is released.
    pub(super) fn take(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.0)
    }
}

pub(super) fn wake(wakers: Vec<Waker>) {
    for waker in wakers {
        waker.wake();
    }
}
