//! The figures that bound an agent: sizes, counts and times. They are data only; the layers that own the tables and
//! the waits enforce them.

use std::time::Duration;

/// Sizes and counts an untrusted agent cannot exceed. Every field has a default that real agents stay far below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest line in bytes, in both directions (default 8 MiB). A longer line from the agent is fatal.
    pub line_bytes: usize,
    /// Whether a longer line is skipped instead (default no); it counts as a line that is no message.
    pub skip_long_lines: bool,
    /// Whether what is skipped is answered with −32600 without an id (default no): it may be a request that a program waits for
    /// without a limit.
    pub answer_long_lines: bool,
    /// Lines in a row that are no JSON-RPC messages before the agent is given up (default 20).
    pub garbage_lines: u32,
    /// Requests that have to be refused and answers to no open request, without a useful message between, before the
    /// agent is given up (default 200). The refusals of so many fit into a pipe that nobody reads.
    pub refused_messages: u32,
    /// Lines of any kind without a useful message between before the agent is given up (default 10,000). Generous, since
    /// agents may send notifications of their own, and still soon reached by a flood.
    pub useless_lines: u32,
    /// The same in bytes (default 32 MiB).
    pub useless_bytes: usize,
    /// Requests of the agent that may be open at once (default 64); at the limit reading stops.
    pub incoming_requests: usize,
    /// Requests of ours that may be open at once (default 256).
    pub outgoing_requests: usize,
    /// Messages queued for the agent's stdin (default 64).
    pub write_queue: usize,
    /// Bytes queued for the agent's stdin (default 16 MiB).
    pub write_queue_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line_bytes: 8 << 20,
            skip_long_lines: false,
            answer_long_lines: false,
            garbage_lines: 20,
            refused_messages: 200,
            useless_lines: 10_000,
            useless_bytes: 32 << 20,
            incoming_requests: 64,
            outgoing_requests: 256,
            write_queue: 64,
            write_queue_bytes: 16 << 20,
        }
    }
}

impl Limits {
    /// Longest string id (JSON-RPC id, session id) accepted, in bytes.
    pub const MAX_ID_BYTES: usize = 256;
    /// Deepest nesting of one JSON message.
    pub const MAX_JSON_DEPTH: usize = 128;
}

/// How long what has no time-out of its own may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// One write to the agent's stdin without progress (default 30 s); then the agent must be killed.
    pub write: Duration,
    /// After end of file, how long to wait for [`Connection::exited`](crate::connection::Connection::exited) before
    /// reporting an exit without a status (default 2 s); likewise from the exit to the end of its output.
    pub exit_status: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { write: Duration::from_secs(30), exit_status: Duration::from_secs(2) }
    }
}
