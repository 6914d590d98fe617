//! A bounded connection for the Agent Client Protocol: JSON-RPC 2.0 over any byte stream, with a peer that is not trusted.
//! It deliberately knows nothing of VMs, processes, files or sessions: the embedder hands it the two streams, tells it
//! when the process behind them ended, and kills the process when the connection says so. What the messages mean is
//! the affair of the [`Incoming`](connection::Incoming) handler.
//!
//! The layers, from the bytes up:
//!
//! | module | for |
//! |---|---|
//! | [`mod@line`] | splitting a byte stream into lines of limited length |
//! | [`envelope`] | JSON-RPC 2.0 messages, parsed no deeper than the envelope |
//! | [`connection`] | one reader, one writer, tables of open ids, timeouts |
//! | [`schema`] | the types of ACP |
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use agentos_acp::{Closure, Limits, Timeouts};
//! use agentos_acp::connection::{Connection, Incoming, IncomingRequest, Outcome};
//! use serde_json::{json, value::RawValue};
//!
//! /// Refuses what the agent asks, and hears what it says.
//! struct Deaf;
//!
//! impl Incoming for Deaf {
//!     async fn notification(&self, method: &str, _: Option<Box<RawValue>>) -> bool {
//!         method == "session/update"
//!     }
//!     async fn request(&self, request: IncomingRequest) -> bool {
//!         drop(request.responder);
//!         false
//!     }
//!     async fn responded(&self, _: &str, _: Option<&str>, _: &mut Outcome) {}
//!     fn closed(&self, _: &Closure) {}
//! }
//!
//! # async fn demo<R, W>(stdout: R, stdin: W) -> Result<(), agentos_acp::Error>
//! # where R: tokio::io::AsyncRead + Send + Unpin + 'static, W: tokio::io::AsyncWrite + Send + Unpin + 'static {
//! let agent = Connection::spawn(stdout, stdin, Arc::new(Deaf), Limits::default(), Timeouts::default());
//! let hello = agent.request("initialize", None, &json!({"protocolVersion": 1}), Duration::from_secs(30)).await?;
//! println!("{hello}");
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]

pub mod connection;
pub mod envelope;
mod error;
mod limits;
pub mod line;
mod mend;
mod text;

pub use agent_client_protocol_schema::v1 as schema;
pub use error::{Closure, Error, ExitStatus, Fatal};
pub use limits::{Limits, Timeouts};
