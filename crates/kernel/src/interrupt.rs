//! Waiting that a signal ends: every wait of a system call goes through here.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use crate::{Errno, Process, Result, Signal};

/// Why a process has to look up from what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// It must end by this signal.
    Terminate(Signal),
    /// It is stopped until continued.
    Stopped,
    /// A caught signal waits for its handler.
    Caught,
}

/// A wait under way: dropped in the middle, as a killed guest's is, it takes its waker out of every list all the same.
struct Waiting<'a, F: Fn(&Waker)> {
    process: &'a Process,
    leave: &'a F,
    waker: Option<Waker>,
}

impl<F: Fn(&Waker)> Waiting<'_, F> {
    fn begin(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.end();
            self.waker = Some(waker.clone());
        }
    }

    fn end(&mut self) {
        if let Some(waker) = self.waker.take() {
            (self.leave)(&waker);
            self.process.off_interrupt(&waker);
        }
    }
}

impl<F: Fn(&Waker)> Drop for Waiting<'_, F> {
    fn drop(&mut self) {
        self.end();
    }
}

impl Process {
    /// Waits until `poll` is ready, or fails with EINTR when a signal has to be acted on.
    ///
    /// `poll` registers the waker where it waits; `leave` takes it out again.
    pub async fn interruptible<T>(
        &self,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<Result<T>>,
        leave: impl Fn(&Waker),
    ) -> Result<T> {
        let mut waiting = Waiting { process: self, leave: &leave, waker: None };
        poll_fn(|cx| {
            let done = match poll(cx) {
                Poll::Ready(result) => Some(result),
                Poll::Pending => {
                    waiting.begin(cx.waker());
                    self.on_interrupt(cx.waker());
                    match self.pending_interrupt() {
                        Some(Interrupt::Terminate(_) | Interrupt::Caught) => Some(Err(Errno::EINTR)),
                        Some(Interrupt::Stopped) | None => None,
                    }
                }
            };
            match done {
                None => Poll::Pending,
                Some(result) => {
                    // Always: a poll may have registered and then found itself ready. One atomic load when it did not.
                    leave(cx.waker());
                    waiting.end();
                    Poll::Ready(result)
                }
            }
        })
        .await
    }

    /// Waits while the process is stopped. Returns at once when it runs or has to end.
    pub async fn while_stopped(&self) {
        poll_fn(|cx| {
            self.on_interrupt(cx.waker());
            if self.pending_interrupt() == Some(Interrupt::Stopped) {
                Poll::Pending
            } else {
                self.off_interrupt(cx.waker());
                Poll::Ready(())
            }
        })
        .await;
    }
}
