//! What can go wrong between us and an agent, as one enum with stable codes. It does not decide what to do about it;
//! only [`Fatal`] carries a demand: the embedder has to kill the process.

use std::time::Duration;

use crate::{envelope::RpcError, text::printable};

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

/// Why the agent was given up. The connection is dead and the process has to be killed.
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
    /// The agent did not read its stdin.
    #[error("the agent has not read its input for {after:?}")]
    WriteStuck {
        /// How long the write made no progress.
        after: Duration,
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
    Exited(ExitStatus),
    /// It was given up: kill the process.
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
    AgentExited(ExitStatus),
    /// The agent was given up; its process has to be killed.
    #[error(transparent)]
    Fatal(#[from] Fatal),
    /// The connection was closed from our side.
    #[error("the connection to the agent is closed")]
    Closed,
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
    /// A parameter of ours could not be written as JSON.
    #[error("the parameters of {method} cannot be written as JSON: {reason}")]
    Encode {
        /// The method.
        method: String,
        /// Why.
        reason: String,
    },
}
