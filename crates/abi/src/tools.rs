//! Limits of calls of tools of the host.

/// Most bytes of the JSON input of a call; more is E2BIG.
pub const TOOL_INPUT_MAX: usize = 1 << 20;

/// Most bytes of a result, or of the message that stands in its place. The buffer of a call must have as many.
pub const TOOL_REPLY_MAX: usize = 1 << 20;

/// Most bytes of the name of a toolkit or tool.
pub const TOOL_NAME_MAX: usize = 63;
