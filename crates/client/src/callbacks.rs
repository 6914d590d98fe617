//! Running code of the program that the sidecar calls back: apart from the wire, where it may block and panic, and not without end.

use std::any::Any;
use std::sync::Arc;

use agentos_protocol::Responder;
use agentos_protocol::message::{WireError, code};
use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, watch};

use crate::wire;

/// Callbacks of one owner that run at once: those that have been given up and do not end count too.
const RUNNING: usize = 256;

/// Callbacks that have an owner. When that is gone, those that run are given up.
pub(crate) struct Callbacks {
    places: Arc<Semaphore>,
    /// Told at the end.
    gone: watch::Sender<()>,
}

impl Callbacks {
    pub(crate) fn new() -> Self {
        Callbacks { places: Arc::new(Semaphore::new(RUNNING)), gone: watch::channel(()).0 }
    }

    /// Gives up those that run.
    pub(crate) fn end(&self) {
        self.gone.send_replace(());
    }

    /// Runs code of the program on a thread of its own: it may block, and must stop nobody then. It is let go when its caller
    /// does not wait any more; a thread that is blocked keeps its place until it ends.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        responder: Responder,
        begin: impl FnOnce() -> BoxFuture<'static, T> + Send + 'static,
        end: impl FnOnce(Responder, Result<T, Box<dyn Any + Send>>) + Send + 'static,
    ) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let message = format!("{RUNNING} callbacks have not ended; try again later");
            return responder.error(&WireError::new(code::BUSY, message));
        };
        let Ok(threads) = wire::callbacks() else {
            return responder.error(&WireError::new(code::INTERNAL, "cannot start threads"));
        };
        let mut gone = self.gone.subscribe();
        let cancelled = responder.cancelled().clone();
        let given_up = cancelled.clone();
        let work = threads.spawn_blocking(move || {
            let _place = place;
            threads.block_on(given_up.run_until_cancelled(async move { begin().await }))
        });
        threads.spawn(async move {
            let done = tokio::select! {
                done = work => done,
                () = cancelled.cancelled() => return,
                // The caller is told that nobody answered.
                _ = gone.changed() => return,
            };
            match done {
                Ok(Some(value)) => end(responder, Ok(value)),
                // Given up: nobody reads an answer.
                Ok(None) => {}
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => end(responder, Err(panic)),
                    Err(error) => responder.error(&WireError::new(code::INTERNAL, error.to_string())),
                },
            }
        });
    }
}

/// The words of a panic, for the log of this program.
pub(crate) fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}
