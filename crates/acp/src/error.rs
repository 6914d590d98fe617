//! What can go wrong between us and an agent, as one enum with stable codes. It does not decide what to do about it;
//! only [`Fatal`] carries a demand: the embedder has to kill the process.

use std::time::Duration;

use crate::{
    envelope::RpcError,
    log::CursorExpired,
    permission::{PermissionId, PermissionReply},
    schema::AuthMethod,
    text::printable,
};

/// Bytes of an agent's message that are repeated in ours; the whole of it is in the error object.
const MESSAGE: usize = 4 << 10;

/// How the agent's process ended, as the embedder knows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExitStatus {
    /// Exit code, if it exited by itself.
    pub code: Option<i32>,
    /// Signal number, if a signal ended it.
    pub signal: Option<i32>,
}

/// How the agent's process ended, with the last of what it wrote to stderr.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentExit {
    /// Exit code, if it exited by itself and the embedder reported it.
    pub code: Option<i32>,
    /// Signal number, if a signal ended it.
    pub signal: Option<i32>,
    /// The end of its stderr, without control characters other than newline and tab.
    pub stderr_tail: String,
}

/// Why the peer gave the agent up. The connection is dead and the process has to be killed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// A line longer than the limit.
    #[error("the agent sent a line longer than {limit} bytes")]
    LineTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// Too many lines in a row that were not JSON.
    #[error("the agent sent {lines} lines in a row that are not JSON")]
    Garbage {
        /// How many.
        lines: u32,
    },
    /// Too many lines in a row that were JSON, but no messages.
    #[error("the agent sent {lines} lines in a row that are no JSON-RPC messages")]
    NotMessages {
        /// How many.
        lines: u32,
    },
    /// Too many lines without a useful message between them.
    #[error("the agent sent {lines} lines without a useful message, the last {last}")]
    Useless {
        /// How many.
        lines: u32,
        /// What the last of them was.
        last: &'static str,
    },
    /// Too many bytes without a useful message between them.
    #[error("the agent sent {bytes} bytes without a useful message, the last {last}")]
    UselessBytes {
        /// How many.
        bytes: usize,
        /// What the last of the lines was.
        last: &'static str,
    },
    /// The agent did not answer what it has to answer before it can be of use.
    #[error("the agent did not answer {method} within {after:?}")]
    NeverAnswered {
        /// The method: `initialize` or `session/new`.
        method: &'static str,
        /// How long we waited.
        after: Duration,
    },
    /// The agent did not read its stdin.
    #[error("the agent has not read its input for {after:?}")]
    WriteStuck {
        /// How long the write made no progress.
        after: Duration,
    },
    /// The prompt had no result after `session/cancel`.
    #[error("the agent did not end its turn within {after:?} of being cancelled")]
    CancelIgnored {
        /// How long we waited.
        after: Duration,
    },
    /// The agent speaks another version of the protocol.
    #[error("the agent speaks protocol version {offered}, only 1 is supported")]
    UnsupportedProtocolVersion {
        /// The version it offered.
        offered: String,
    },
    /// Reading its stdout failed.
    #[error("reading from the agent failed: {reason}")]
    Io {
        /// The operating system's text.
        reason: String,
    },
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closure {
    /// The agent's output ended, or the embedder reported its exit.
    Exited(AgentExit),
    /// The peer gave it up: kill the process.
    Fatal(Fatal),
    /// Our side was dropped.
    Dropped,
}

impl From<Closure> for Error {
    fn from(closure: Closure) -> Self {
        match closure {
            Closure::Exited(exit) => Self::AgentExited(exit),
            Closure::Fatal(fatal) => Self::Fatal(fatal),
            Closure::Dropped => Self::Closed,
        }
    }
}

/// Failure of an operation on an agent.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The agent answered with an error that has no variant of its own.
    #[error("the agent answered {method} with error {}: {}", error.code, printable(&error.message, MESSAGE))]
    Rpc {
        /// The method called.
        method: String,
        /// Its error object.
        error: Box<RpcError>,
    },
    /// The agent does not know the method (−32601), or did not offer what it needs.
    #[error("the agent does not support {what}")]
    NotSupported {
        /// The method or capability.
        what: String,
    },
    /// The agent wants a login first (−32000).
    #[error("the agent requires authentication ({} methods offered)", methods.len())]
    AuthRequired {
        /// The ways it offered in `initialize`.
        methods: Vec<AuthMethod>,
    },
    /// No answer in time. The request has been cancelled and its answer, if it comes, is dropped.
    #[error("the agent did not answer {method} within {after:?}")]
    Timeout {
        /// The method called.
        method: String,
        /// The time allowed.
        after: Duration,
    },
    /// The agent's process ended.
    #[error("the agent exited (code {:?}, signal {:?})", .0.code, .0.signal)]
    AgentExited(AgentExit),
    /// The peer gave the agent up; its process has to be killed.
    #[error(transparent)]
    Fatal(#[from] Fatal),
    /// The connection was closed from our side.
    #[error("the connection to the agent is closed")]
    Closed,
    /// The agent's answer is not what ACP says it should be.
    #[error("the agent's answer to {method} is not valid: {reason}")]
    InvalidAnswer {
        /// The method called.
        method: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The operation needs `initialize` first.
    #[error("the agent is not initialized")]
    NotInitialized,
    /// No session of that id on this connection.
    #[error("no session {session_id:?} on this connection")]
    UnknownSession {
        /// The id asked for.
        session_id: String,
    },
    /// A limit of ours was reached.
    #[error("limit {name} reached: {used} of {configured}")]
    Limit {
        /// The field of [`Limits`](crate::Limits).
        name: &'static str,
        /// Its value.
        configured: usize,
        /// What was needed.
        used: usize,
    },
    /// The method has a call of its own and must not be sent raw.
    #[error("{method} cannot be sent raw: it has a call of its own")]
    Reserved {
        /// The method.
        method: String,
    },
    /// No open permission request of that id; it may have been answered or timed out.
    #[error("no open permission request {}", .0.0)]
    UnknownPermission(PermissionId),
    /// None of the offered options clearly means the reply; answer with an option id instead.
    #[error("none of the offered options clearly means {reply:?}: {offered:?}")]
    NoSuchOption {
        /// The reply wanted.
        reply: PermissionReply,
        /// Ids and names of the options offered.
        offered: Vec<(String, String)>,
    },
    /// The events asked for are no longer kept.
    #[error(transparent)]
    CursorExpired(#[from] CursorExpired),
    /// A parameter of ours could not be written as JSON.
    #[error("the parameters of {method} cannot be written as JSON: {reason}")]
    Encode {
        /// The method.
        method: String,
        /// Why.
        reason: String,
    },
}

impl Error {
    /// A short stable name of the variant, for wires and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rpc { .. } => "agent_error",
            Self::NotSupported { .. } => "not_supported",
            Self::AuthRequired { .. } => "auth_required",
            Self::Timeout { .. } => "timeout",
            Self::AgentExited(_) => "agent_exited",
            Self::Fatal(Fatal::LineTooLong { .. }) => "line_too_long",
            Self::Fatal(Fatal::Garbage { .. }) => "garbage",
            Self::Fatal(Fatal::NotMessages { .. }) => "not_messages",
            Self::Fatal(Fatal::Useless { .. } | Fatal::UselessBytes { .. }) => "useless",
            Self::Fatal(Fatal::NeverAnswered { .. }) => "never_answered",
            Self::Fatal(Fatal::WriteStuck { .. }) => "write_stuck",
            Self::Fatal(Fatal::CancelIgnored { .. }) => "cancel_ignored",
            Self::Fatal(Fatal::UnsupportedProtocolVersion { .. }) => "unsupported_protocol_version",
            Self::Fatal(Fatal::Io { .. }) => "io",
            Self::Closed => "closed",
            Self::InvalidAnswer { .. } => "invalid_answer",
            Self::NotInitialized => "not_initialized",
            Self::UnknownSession { .. } => "unknown_session",
            Self::Limit { .. } => "limit",
            Self::Reserved { .. } => "reserved_method",
            Self::UnknownPermission(_) => "unknown_permission",
            Self::NoSuchOption { .. } => "no_such_option",
            Self::CursorExpired(_) => "cursor_expired",
            Self::Encode { .. } => "encode",
        }
    }
}
