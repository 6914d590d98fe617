//! The connection that both sides use: calls, events and flow-controlled streams over one socket.
//! It does not know what a message means; a [`Handler`] does.
//!
//! ```no_run
//! use agentos_protocol::message::{DescribeSidecar, Request, SidecarInfo};
//! use agentos_protocol::mux::{self, Handler, Responder};
//! use agentos_protocol::version::{Hello, Role};
//! use std::sync::Arc;
//!
//! struct Sidecar;
//! impl Handler for Sidecar {
//!     fn request(&self, request: Request, responder: Responder) {
//!         match request {
//!             Request::DescribeSidecar(_) => responder.reply::<DescribeSidecar>(Ok(SidecarInfo::default())),
//!             other => responder.unsupported(other.method()),
//!         }
//!     }
//! }
//! struct Client;
//! impl Handler for Client {}
//!
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! let (a, b) = std::os::unix::net::UnixStream::pair()?;
//! let (client, sidecar) = tokio::join!(
//!     mux::connect(a, Hello::new(Role::Client), Arc::new(Client), mux::Limits::default()),
//!     mux::connect(b, Hello::new(Role::Sidecar), Arc::new(Sidecar), mux::Limits::default()),
//! );
//! let (client, _sidecar) = (client?, sidecar?);
//! let info = client.call(&DescribeSidecar {}).await?;
//! # Ok(()) }
//! ```

mod call;
mod connection;
mod error;
mod handshake;
mod outgoing;
mod reader;
mod record;
mod recv;
mod responder;
mod send;
mod table;
mod wakers;

pub use call::PendingCall;
pub use connection::{Connection, Handler};
pub use error::{CallError, ConnectionLost, HandshakeError, StreamError, reset_code};
pub use handshake::connect;
pub use record::{MAX_RECORD, RecordReader, RecordWriter};
pub use recv::RecvStream;
pub use responder::Responder;
pub use send::SendStream;

/// Limits of a connection. Both sides must use the same `window`: it is part of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls under way in each direction; one more fails with `busy`.
    pub calls: usize,
    /// Streams open at a time.
    pub streams: usize,
    /// Bytes a producer may send before the consumer has taken them.
    pub window: u32,
    /// Outgoing bytes waiting for the socket at which streams pause.
    pub outgoing_high: usize,
    /// Outgoing bytes at which the peer counts as dead: the connection ends.
    pub outgoing_max: usize,
    /// Time for the handshake.
    pub handshake: std::time::Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            calls: 4096,
            streams: 16_384,
            window: 256 << 10,
            outgoing_high: 1 << 20,
            outgoing_max: 64 << 20,
            handshake: std::time::Duration::from_secs(10),
        }
    }
}
