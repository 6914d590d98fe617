//! CPU time of guests: measured around every poll, and at every epoch within one.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use agentos_kernel::Process;

thread_local! {
    static SLICE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Time since the running guest was last asked, and starts the clock anew.
pub(crate) fn slice_elapsed() -> Duration {
    let now = Instant::now();
    SLICE.with(|slice| slice.replace(Some(now)).map_or(Duration::ZERO, |start| now - start))
}

/// A guest's future that charges its CPU time to the process.
pub(crate) struct Metered<F> {
    future: Pin<Box<F>>,
    process: Arc<Process>,
}

impl<F: Future<Output = ()>> Metered<F> {
    pub(crate) fn new(process: Arc<Process>, future: F) -> Self {
        Self { future: Box::pin(future), process }
    }
}

impl<F: Future<Output = ()>> Future for Metered<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        SLICE.with(|slice| slice.set(Some(Instant::now())));
        let poll = self.future.as_mut().poll(cx);
        let elapsed = SLICE.with(|slice| slice.replace(None)).map_or(Duration::ZERO, |start| start.elapsed());
        self.process.add_cpu(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX));
        poll
    }
}
