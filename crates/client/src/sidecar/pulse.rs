//! Asking the sidecar for signs of life, so that one that is stuck ends the calls that wait for it.
//! One that ends is noticed without this, by its socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agentos_protocol::Connection;
use agentos_protocol::message::{Ping, WireError, code};

/// How often it is asked, and how long it may take: its answer needs no guest, file or lock.
pub(super) const EVERY: Duration = Duration::from_secs(30);
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Watches until the connection ends; if there is no answer, sets `stuck` and ends it.
pub(super) async fn watch(
    connection: Connection,
    every: Duration,
    patience: Duration,
    stuck: Arc<AtomicBool>,
) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = connection.closed() => return,
        }
        // Any answer will do, an error too: also that this method is not known.
        if tokio::time::timeout(patience, connection.call(&Ping {})).await.is_err() {
            tracing::error!(?patience, "the sidecar does not answer");
            // First the reason, then the end that makes the callers ask for it.
            stuck.store(true, Ordering::Release);
            connection.goodbye(&WireError::new(code::TIMEOUT, "no sign of life"));
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use agentos_protocol::message::Request;
    use agentos_protocol::mux::{Limits, connect};
    use agentos_protocol::version::{Hello, Role};
    use agentos_protocol::{Handler, Responder};

    use super::*;

    struct Nobody;
    impl Handler for Nobody {}

    /// Answers nothing at all.
    #[derive(Default)]
    struct Stuck(parking_lot::Mutex<Vec<Responder>>);
    impl Handler for Stuck {
        fn request(&self, _: Request, responder: Responder) {
            self.0.lock().push(responder);
        }
    }

    /// Whether it was given up; `None`: it is watched on.
    async fn watched(sidecar: impl Handler) -> Option<bool> {
        let (a, b) = UnixStream::pair().unwrap();
        let (client, sidecar) = tokio::join!(
            connect(a, Hello::new(Role::Client), Arc::new(Nobody), Limits::default()),
            connect(b, Hello::new(Role::Sidecar), Arc::new(sidecar), Limits::default()),
        );
        let _sidecar = sidecar.unwrap();
        let (every, patience) = (Duration::from_millis(5), Duration::from_millis(200));
        let stuck = Arc::new(AtomicBool::new(false));
        let watching = watch(client.unwrap(), every, patience, Arc::clone(&stuck));
        tokio::time::timeout(Duration::from_secs(2), watching).await.ok()?;
        Some(stuck.load(Ordering::Acquire))
    }

    #[tokio::test]
    async fn a_stuck_sidecar_is_given_up_and_a_simple_one_is_not() {
        assert_eq!(watched(Stuck::default()).await, Some(true));
        assert_eq!(watched(Nobody).await, None, "an error is an answer, and the watch goes on");
    }
}
