//! Tools of the client: what a VM is told of them, and the callbacks that call them. Checking inputs is the sidecar's.

use serde::{Deserialize, Serialize};

use super::JsonText;

/// The tools of a VM.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ToolsSpec {
    /// Names them in callbacks; the client chose it.
    pub tools_id: u64,
    /// The toolkits.
    pub kits: Vec<ToolKitSpec>,
    /// The client answers [`AskTool`].
    pub asks: bool,
    /// How long an answer to [`AskTool`] may take, milliseconds; then it is no.
    pub ask_timeout_ms: u64,
}

/// A toolkit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ToolKitSpec {
    /// `[a-z0-9-]+`.
    pub name: String,
    /// At most 200 characters.
    pub description: String,
    /// The tools.
    pub tools: Vec<ToolSpec>,
}

/// A tool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ToolSpec {
    /// `[a-z0-9-]+`.
    pub name: String,
    /// At most 200 characters.
    pub description: String,
    /// JSON schema of its input.
    pub input_schema: JsonText,
    /// Time for a call, milliseconds; absent: 30,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// Calls a tool. A failure of the tool is an error with code `tool`, whose message is for the guest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CallTool {
    /// [`ToolsSpec::tools_id`].
    pub tools_id: u64,
    /// The toolkit.
    pub tool_kit: String,
    /// The tool.
    pub tool: String,
    /// Its input, which fits its schema.
    pub input: JsonText,
}

/// What a tool gave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ToolResult {
    /// The result.
    pub result: JsonText,
}

/// Asks whether a tool may be called, where the permission tree says `ask`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AskTool {
    /// [`ToolsSpec::tools_id`].
    pub tools_id: u64,
    /// The toolkit.
    pub tool_kit: String,
    /// The tool.
    pub tool: String,
    /// Its input, which fits its schema.
    pub input: JsonText,
}

/// The answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AskToolReply {
    /// Whether it may.
    pub allowed: bool,
}
