//! How calls, streams and connections fail.
//! Errors of an operation itself are [`WireError`]s and are carried, not made, here.

use crate::frame::FrameError;
use crate::message::{DecodeError, EncodeError, WireError};
use crate::version::VersionMismatch;

/// Codes of a stream reset that are no WASI errno.
pub mod reset_code {
    /// The producer was dropped without a word.
    pub const ABANDONED: u32 = 0xffff_0001;
    /// The call that the stream belonged to was cancelled.
    pub const CANCELLED: u32 = 0xffff_0002;
    /// The VM or session it came from is gone.
    pub const GONE: u32 = 0xffff_0003;
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionLost {
    /// The other side closed the socket, or its process ended.
    #[error("the other side closed the connection")]
    Closed,
    /// The other side said why it closes.
    #[error("the other side ended the connection: {0}")]
    Goodbye(WireError),
    /// The socket failed.
    #[error("the connection failed: {message}")]
    Io {
        /// The operating system's words.
        message: String,
    },
    /// The other side sent something that the protocol does not allow.
    #[error("protocol violation: {message}")]
    Protocol {
        /// What.
        message: String,
    },
    /// The other side does not read: this many bytes wait for it.
    #[error("the other side does not read: {waiting} bytes wait")]
    Stuck {
        /// Bytes.
        waiting: usize,
    },
    /// This side closed it.
    #[error("the connection is closed")]
    Local,
}

impl From<FrameError> for ConnectionLost {
    fn from(error: FrameError) -> Self {
        ConnectionLost::Protocol { message: error.to_string() }
    }
}

impl From<std::io::Error> for ConnectionLost {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset => ConnectionLost::Closed,
            _ => ConnectionLost::Io { message: error.to_string() },
        }
    }
}

/// Why a call gave no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The other side answered with an error.
    #[error(transparent)]
    Remote(#[from] WireError),
    /// Too many calls are under way on this connection.
    #[error("{calls} calls are under way already")]
    Busy {
        /// The limit.
        calls: usize,
    },
    /// Too many streams are open on this connection.
    #[error("{streams} streams are open already")]
    TooManyStreams {
        /// The limit.
        streams: usize,
    },
    /// The call is larger than a frame may be.
    #[error("the message has {len} bytes, more than a frame of {max}")]
    TooLong {
        /// Bytes of the call.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The call cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The reply cannot be understood.
    #[error("the reply cannot be understood: {0}")]
    Decode(#[from] DecodeError),
    /// The connection ended first.
    #[error(transparent)]
    Lost(#[from] ConnectionLost),
}

/// Why a stream gives or takes no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The consumer wants no more.
    #[error("the reader closed the stream")]
    Closed,
    /// `finish` or `reset` was called.
    #[error("the stream is finished")]
    Finished,
    /// The producer gave up.
    #[error("the stream was reset with code {code}")]
    Reset {
        /// A WASI errno, or one of [`reset_code`].
        code: u32,
    },
    /// The number is in use, zero, or not the other side's to give.
    #[error("stream id {id} cannot be used")]
    BadId {
        /// The number.
        id: u32,
    },
    /// Too many streams are open on this connection.
    #[error("{streams} streams are open already")]
    TooMany {
        /// The limit.
        streams: usize,
    },
    /// A record that cannot be understood.
    #[error("malformed record: {message}")]
    Record {
        /// What is wrong.
        message: String,
    },
    /// The connection ended.
    #[error(transparent)]
    Lost(#[from] ConnectionLost),
}

impl From<StreamError> for std::io::Error {
    fn from(error: StreamError) -> Self {
        use std::io::ErrorKind;
        let kind = match &error {
            StreamError::Closed | StreamError::Finished => ErrorKind::BrokenPipe,
            StreamError::Reset { .. } => ErrorKind::ConnectionAborted,
            StreamError::BadId { .. } | StreamError::Record { .. } => ErrorKind::InvalidData,
            StreamError::TooMany { .. } => ErrorKind::QuotaExceeded,
            StreamError::Lost(_) => ErrorKind::ConnectionReset,
        };
        std::io::Error::new(kind, error)
    }
}

/// Why a connection did not come about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The protocols do not fit.
    #[error(transparent)]
    Version(#[from] VersionMismatch),
    /// The other side takes the same role.
    #[error("both sides are the {0}")]
    SameRole(crate::version::Role),
    /// The other side did not say Hello in time.
    #[error("no answer to the handshake within {0:?}")]
    Timeout(std::time::Duration),
    /// The connection ended or broke the protocol.
    #[error(transparent)]
    Lost(#[from] ConnectionLost),
}

impl From<std::io::Error> for HandshakeError {
    fn from(error: std::io::Error) -> Self {
        HandshakeError::Lost(error.into())
    }
}
