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
    /// Open permission requests per session (default 16); more are answered with −32603.
    pub permissions: usize,
    /// Bytes of open permission requests per session (default 16 MiB), with the same end.
    pub permission_bytes: usize,
    /// Sessions per agent process (default 1, at most 16).
    pub sessions: usize,
    /// Prompts waiting behind the running one, per session (default 64).
    pub queued_prompts: usize,
    /// Events kept per session (default 1024).
    pub events: usize,
    /// Bytes of events kept per session (default 16 MiB).
    pub event_bytes: usize,
    /// Agent text collected per turn, in bytes (default 4 MiB); the rest is only in the events.
    pub turn_text: usize,
    /// Tool calls tracked per turn (default 1024).
    pub tool_calls: usize,
    /// Bytes of stderr kept (default 64 KiB).
    pub stderr: usize,
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
            permissions: 16,
            permission_bytes: 16 << 20,
            sessions: 1,
            queued_prompts: 64,
            events: 1024,
            event_bytes: 16 << 20,
            turn_text: 4 << 20,
            tool_calls: 1024,
            stderr: 64 << 10,
        }
    }
}

impl Limits {
    /// Most sessions one process may ever have, whatever is configured.
    pub const MAX_SESSIONS: usize = 16;
    /// Longest string id (JSON-RPC id, session id) accepted, in bytes.
    pub const MAX_ID_BYTES: usize = 256;
    /// Deepest nesting of one JSON message.
    pub const MAX_JSON_DEPTH: usize = 128;
}

/// How long each operation may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// `initialize` (default 30 s).
    pub initialize: Duration,
    /// `session/new`, `session/load`, `session/resume` (default 60 s).
    pub session: Duration,
    /// `session/list`, `close`, `delete`, `set_*`, `authenticate` (default 30 s).
    pub control: Duration,
    /// From `session/cancel` to the result of the prompt (default 5 s); then the agent must be killed.
    pub cancel: Duration,
    /// Until an unanswered permission request is refused (default 120 s).
    pub permission: Duration,
    /// Silence during a prompt after which a warning event is published (default 10 min).
    pub stall: Duration,
    /// Whether a stalled prompt is cancelled as well (default no).
    pub cancel_stalled: bool,
    /// One write to the agent's stdin without progress (default 30 s); then the agent must be killed.
    pub write: Duration,
    /// After end of file, how long to wait for [`AgentPeer::exited`](crate::AgentPeer::exited) before reporting an
    /// exit without a status (default 2 s); likewise from the exit to the end of its output.
    pub exit_status: Duration,
    /// For the embedder: from closing stdin to SIGTERM (default 1.5 s).
    pub stdin_close_to_term: Duration,
    /// For the embedder: from SIGTERM to SIGKILL (default 3 s).
    pub term_to_kill: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            initialize: Duration::from_secs(30),
            session: Duration::from_secs(60),
            control: Duration::from_secs(30),
            cancel: Duration::from_secs(5),
            permission: Duration::from_secs(120),
            stall: Duration::from_secs(600),
            cancel_stalled: false,
            write: Duration::from_secs(30),
            exit_status: Duration::from_secs(2),
            stdin_close_to_term: Duration::from_millis(1500),
            term_to_kill: Duration::from_secs(3),
        }
    }
}

impl Timeouts {
    /// For JavaScript agents interpreted inside the guest: twice the time to start.
    #[must_use]
    pub fn guest_js() -> Self {
        Self { initialize: Duration::from_secs(60), session: Duration::from_secs(120), ..Self::default() }
    }
}
