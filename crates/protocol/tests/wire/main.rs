//! What the wire promises: frames, messages, versions, calls and streams, over real socket pairs.
//! It does not test the client or the sidecar.
#![allow(clippy::unwrap_used)]

mod test_calls;
mod test_frames;
mod test_messages;
mod test_streams;
mod test_versions;

use std::os::unix::net::UnixStream;
use std::sync::Arc;

use agentos_protocol::Connection;
use agentos_protocol::mux::{Handler, Limits, connect};
use agentos_protocol::version::{Hello, Role};

/// A connected pair: client and sidecar.
async fn pair(client: impl Handler, sidecar: impl Handler, limits: Limits) -> (Connection, Connection) {
    let (a, b) = UnixStream::pair().unwrap();
    let (client, sidecar) = tokio::join!(
        connect(a, Hello::new(Role::Client), Arc::new(client), limits),
        connect(b, Hello::new(Role::Sidecar), Arc::new(sidecar), limits),
    );
    (client.unwrap(), sidecar.unwrap())
}

/// A handler that knows nothing.
struct Nobody;
impl Handler for Nobody {}

/// Every wait of a test ends.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(std::time::Duration::from_secs(20), future).await.expect("ends in time")
}
