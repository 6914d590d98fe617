//! Tools of the host: what there is, and calls. It reads no JSON: what goes in and comes out is text.

use std::{fmt, io};

use agentos_abi::Errno;
pub use agentos_abi::tools::{TOOL_INPUT_MAX, TOOL_NAME_MAX, TOOL_REPLY_MAX};

use crate::sys;

/// Why a call gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolError {
    /// `ENOENT` no such tool, `EACCES` it may not be called, `EINVAL` the input does not match the schema, `E2BIG` it is too long,
    /// `EAGAIN` too many calls, `ETIMEDOUT` no answer in time, `EPROTO` the answer is of no use, `EIO` the tool failed.
    pub errno: Errno,
    /// One sentence for people.
    pub message: String,
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ToolError {}

/// All toolkits, as JSON: `[{name, description, tools: [{name, description, inputSchema, timeoutMs}]}]`.
///
/// # Errors
/// `ENOSYS` outside of a VM.
pub fn list() -> io::Result<Vec<u8>> {
    sys::tool_list()
}

/// Calls a tool with a JSON input and waits for its JSON result.
///
/// # Errors
/// The failure, told in words; `EINTR` when a caught signal arrived; `ENOSYS` outside of a VM.
pub fn call(kit: &str, tool: &str, input: &[u8]) -> Result<Vec<u8>, ToolError> {
    sys::tool_call(kit.as_bytes(), tool.as_bytes(), input).map_err(|(errno, message)| {
        let message = match message.is_empty() {
            true => errno.message().to_owned(),
            false => String::from_utf8_lossy(&message).into_owned(),
        };
        ToolError { errno, message }
    })
}
