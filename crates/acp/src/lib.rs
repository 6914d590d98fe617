//! A bounded Agent Client Protocol peer: the client side of ACP v1 over any byte stream, for agents that are not
//! trusted. It deliberately knows nothing of VMs, processes or files: the embedder hands it the agent's stdin and
//! stdout, tells it when the process ended, and kills the process when the peer says so.
//!
//! The layers, from the bytes up:
//!
//! | module | for |
//! |---|---|
//! | [`mod@line`] | splitting a byte stream into lines of limited length |
//! | [`envelope`] | JSON-RPC 2.0 messages, parsed no deeper than the envelope |
//! | [`connection`] | one reader, one writer, tables of open ids, timeouts |
//! | [`peer`] | ACP itself: sessions, prompts, cancel, permissions |
//! | [`log`] | what happened in a session, numbered and re-readable |
//!
//! ```
//! use agentos_acp::{AgentPeer, NewSession, PeerOptions};
//! # async fn demo<R, W>(stdout: R, stdin: W) -> Result<(), agentos_acp::Error>
//! # where R: tokio::io::AsyncRead + Send + Unpin + 'static, W: tokio::io::AsyncWrite + Send + Unpin + 'static {
//! let peer = AgentPeer::connect(stdout, stdin, PeerOptions::default());
//! peer.initialize().await?;
//! let session = peer.new_session(NewSession::in_directory("/workspace")).await?.session_id;
//! let outcome = peer.prompt(&session, vec!["say hello".into()]).await?;
//! println!("{} ({:?})", outcome.text, outcome.stop_reason);
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]

pub mod connection;
pub mod envelope;
mod error;
mod event;
mod limits;
pub mod line;
pub mod log;
mod mend;
mod models;
pub mod peer;
pub mod permission;
mod stderr;
mod text;
mod turn;
mod update;

pub use agent_client_protocol_schema::v1 as schema;
pub use error::{AgentExit, Closure, Error, ExitStatus, Fatal};
pub use event::{Direction, Event, EventKind};
pub use limits::{Limits, Timeouts};
pub use log::{CursorExpired, Delivery, EventLog, Subscription};
pub use models::{Model, Models};
pub use peer::{
    AgentPeer, AgentProfile, CancelOutcome, CloseOutcome, LoadSession, NewSession, PeerOptions, SessionInit,
    SessionView,
};
pub use permission::{OpenPermission, PermissionId, PermissionReply};
pub use stderr::StderrTail;
pub use turn::{PromptOutcome, StopReason, ToolCallView, TurnUsage};
pub use update::Update;
