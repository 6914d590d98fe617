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

impl Process {
    /// Waits until `poll` is ready, or fails with EINTR when a signal has to be acted on.
    ///
    /// `poll` registers the waker where it waits; `leave` takes it out again.
    pub async fn interruptible<T>(
        &self,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<Result<T>>,
        leave: impl Fn(&Waker),
    ) -> Result<T> {
        let mut waited = false;
        poll_fn(|cx| {
            let done = match poll(cx) {
                Poll::Ready(result) => Some(result),
                Poll::Pending => {
                    waited = true;
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
                    if waited {
                        self.off_interrupt(cx.waker());
                    }
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
