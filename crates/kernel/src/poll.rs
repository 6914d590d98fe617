//! Waiting for several descriptors and a point in time at once, as poll(2) does.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::{Description, Errno, Interest, Interrupt, Kernel, Process, Result};

/// One descriptor to wait for.
pub struct PollTarget {
    /// The description.
    pub file: Arc<Description>,
    /// What for.
    pub interest: Interest,
}

/// What a wait found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PollOutcome {
    /// Per target: bytes that are there or fit, and whether the other end is gone; `None` when it is not ready.
    pub ready: Vec<Option<(usize, bool)>>,
    /// The time was over.
    pub timed_out: bool,
}

impl Kernel {
    /// Waits until a target is ready or `timeout` is over (`None`: no limit). EINTR when a signal has to be acted on.
    pub async fn poll(
        &self,
        process: &Process,
        targets: &[PollTarget],
        timeout: Option<Duration>,
    ) -> Result<PollOutcome> {
        let deadline =
            timeout.map(|t| tokio::time::Instant::now() + t.min(Duration::from_secs(365 * 24 * 3600)));
        // The timer is made only when the wait really begins.
        let mut timer = pin!(None::<tokio::time::Sleep>);
        let mut waited = false;
        let outcome = poll_fn(|cx| {
            let mut ready = Vec::with_capacity(targets.len());
            for target in targets {
                ready.push(match target.file.poll_ready(cx, target.interest) {
                    Poll::Ready(bytes) => Some((bytes, target.file.hung_up())),
                    Poll::Pending => None,
                });
            }
            waited = true;
            if ready.iter().any(Option::is_some) {
                return Poll::Ready(Ok(PollOutcome { ready, timed_out: false }));
            }
            if timeout == Some(Duration::ZERO) {
                return Poll::Ready(Ok(PollOutcome { ready, timed_out: true }));
            }
            if let Some(deadline) = deadline {
                if timer.is_none() {
                    timer.set(Some(tokio::time::sleep_until(deadline)));
                }
                if let Some(sleep) = timer.as_mut().as_pin_mut()
                    && sleep.poll(cx).is_ready()
                {
                    return Poll::Ready(Ok(PollOutcome { ready, timed_out: true }));
                }
            }
            process.on_interrupt(cx.waker());
            match process.pending_interrupt() {
                Some(Interrupt::Terminate(_) | Interrupt::Caught) => Poll::Ready(Err(Errno::EINTR)),
                Some(Interrupt::Stopped) | None => Poll::Pending,
            }
        });
        let mut outcome = pin!(outcome);
        poll_fn(|cx| {
            let result = outcome.as_mut().poll(cx);
            if result.is_ready() {
                for target in targets {
                    target.file.leave(cx.waker());
                }
                process.off_interrupt(cx.waker());
            }
            result
        })
        .await
    }
}
