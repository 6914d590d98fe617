//! Tools of the host that guests may call.
//! Checking their input and calling them is not here.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value;

/// Runs a tool: validated input to result, or a message for the guest.
pub type ToolCallback = Arc<dyn Fn(Value) -> BoxFuture<'static, Result<Value, String>> + Send + Sync>;

/// A named group of tools.
#[derive(Clone, Debug)]
pub struct ToolKit {
    /// `[a-z0-9-]+`.
    pub name: String,
    /// At most 200 characters.
    pub description: String,
    /// The tools.
    pub tools: Vec<HostTool>,
}

/// A tool.
#[derive(Clone)]
pub struct HostTool {
    /// `[a-z0-9-]+`.
    pub name: String,
    /// At most 200 characters.
    pub description: String,
    /// JSON schema of its input.
    pub input_schema: Value,
    /// Time for a call; 30,000.
    pub timeout_ms: Option<u64>,
    /// What it does.
    pub execute: ToolCallback,
}

impl fmt::Debug for HostTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostTool").field("name", &self.name).finish_non_exhaustive()
    }
}
