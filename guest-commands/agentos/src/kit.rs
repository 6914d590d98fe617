//! The toolkits that the host has, as it tells them.

use agentos_guest::{Errno, tools, tools::ToolError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A toolkit.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Kit {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) tools: Vec<Tool>,
}

/// A tool.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) input_schema: Value,
    pub(crate) timeout_ms: u64,
}

/// Who has the tools.
pub(crate) trait Host {
    /// All toolkits.
    fn kits(&self) -> Result<Vec<Kit>, String>;

    /// Calls a tool with a JSON input; the JSON result.
    fn call(&self, kit: &str, tool: &str, input: &str) -> Result<String, ToolError>;
}

/// The host of this machine.
pub(crate) struct Machine;

impl Host for Machine {
    fn kits(&self) -> Result<Vec<Kit>, String> {
        let list = tools::list().map_err(|error| match agentos_guest::errno_of(&error) {
            Some(Errno::ENOSYS) => "tools of the host are only there in a machine of AgentOs".to_owned(),
            _ => format!("cannot list the tools of the host: {}", agentos_guest::strerror(&error)),
        })?;
        serde_json::from_slice(&list).map_err(|error| format!("the host told no list of tools: {error}"))
    }

    fn call(&self, kit: &str, tool: &str, input: &str) -> Result<String, ToolError> {
        let result = tools::call(kit, tool, input.as_bytes())?;
        String::from_utf8(result).map_err(|_| ToolError {
            errno: Errno::EPROTO,
            message: "the host sent a result that is no text".to_owned(),
        })
    }
}
