//! What a host asks of a session, and what became of it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use ulid::Ulid;

use crate::ErrorInfo;
use crate::error::{MALFORMED, UNSUPPORTED};
use crate::event::{ContentBlock, GivenBlock, InputOutcome};

/// Most bytes of the further members of an input, as JSON.
const NATIVE: usize = 64 << 10;
/// Members that an input has a place of its own for.
const OWN: &[&str] = &["sessionId", "prompt"];

/// What a turn begins with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The text; not empty unless there is content.
    #[serde(default)]
    pub text: String,
    /// Files of the host by id; refused, since no port knows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment_ids: Option<Vec<String>>,
    /// Content, which goes before the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Vec<GivenBlock>>,
    /// Further members of the vendor's own request for a prompt, such as `_meta` of ACP; refused where there are none.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub native: Map<String, Value>,
}

impl Input {
    /// Text alone.
    pub fn text(text: impl Into<String>) -> Self {
        Input { text: text.into(), ..Input::default() }
    }

    /// What the vendor is to be given: the content, or else the text.
    #[must_use]
    pub fn blocks(&self) -> Vec<ContentBlock> {
        match &self.content {
            Some(content) if !content.is_empty() => content.iter().map(|given| given.block.clone()).collect(),
            _ => vec![ContentBlock::text(self.text.clone())],
        }
    }

    /// The same as it was given, for vendors that may know more of it.
    #[must_use]
    pub fn given(&self) -> Vec<GivenBlock> {
        match &self.content {
            Some(content) if !content.is_empty() => content.clone(),
            _ => vec![ContentBlock::text(self.text.clone()).into()],
        }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.content.as_ref().is_none_or(Vec::is_empty)
    }

    /// Whether the further members can be members beside those that there are.
    fn check_native(&self) -> Result<(), ErrorInfo> {
        if self.native.is_empty() {
            return Ok(());
        }
        let wrong = |what: String| Err(ErrorInfo::new(MALFORMED, format!("input.native{what}")));
        if let Some(own) = OWN.iter().find(|own| self.native.contains_key(**own)) {
            return wrong(format!(".{own}: an input has a place of its own for it"));
        }
        let bytes = serde_json::to_vec(&self.native).map_or(usize::MAX, |json| json.len());
        if bytes > NATIVE {
            return wrong(format!(": {bytes} bytes, at most {NATIVE} are possible"));
        }
        Ok(())
    }
}

/// What a host decides about a permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Allow this.
    AllowOnce,
    /// Refuse this.
    RejectOnce,
    /// Allow this and its like.
    AllowAlways,
    /// Refuse this and its like.
    RejectAlways,
    /// What the option means that is named with it.
    Selected,
    /// Anything else counts as a refusal.
    #[serde(untagged)]
    Other(String),
}

/// A shared space that the session may use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AccessEntry {
    /// `space`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id.
    pub space_id: String,
    /// Where it is.
    pub mount_path: String,
    /// Whether it may be changed.
    pub can_write: bool,
}

/// What the session may use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AccessSnapshot {
    /// All of it.
    pub entries: Vec<AccessEntry>,
}

/// A call of a tool of an MCP server, for the host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct McpExecute {
    /// Its id.
    pub request_id: String,
    /// The server.
    pub server_id: String,
    /// The tool.
    pub tool_name: String,
    /// What it is called with: JSON as text.
    pub arguments_json: String,
}

/// What a host asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase")]
pub enum Order {
    /// Begin a turn; done when it has ended.
    #[serde(rename = "input.start")]
    InputStart {
        /// Its id.
        request_id: String,
        /// The turn.
        run_id: Ulid,
        /// What it begins with.
        input: Input,
        /// What the session may use from now on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        access_snapshot: Option<AccessSnapshot>,
    },
    /// End a turn; done when it has ended.
    #[serde(rename = "turn.cancel")]
    TurnCancel {
        /// Which; the one that runs if it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run_id: Option<Ulid>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Say more to a turn that runs.
    #[serde(rename = "turn.steer")]
    TurnSteer {
        /// Which.
        run_id: Ulid,
        /// What.
        input: Input,
    },
    /// Answer a permission.
    #[serde(rename = "permission.resolve")]
    PermissionResolve {
        /// Which.
        request_id: String,
        /// How.
        decision: Decision,
        /// By which of its options.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        option_id: Option<String>,
        /// For the vendor.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// Answer a question.
    #[serde(rename = "input.resolve")]
    InputResolve {
        /// Which.
        request_id: String,
        /// How.
        outcome: InputOutcome,
    },
    /// Answer a call of a tool of the host.
    #[serde(rename = "custom_tool.resolve")]
    CustomToolResolve {
        /// Which.
        request_id: String,
        /// What the tool says.
        content: Vec<ContentBlock>,
        /// Whether that is an error.
        is_error: bool,
    },
    /// Call a tool of an MCP server.
    #[serde(rename = "mcp.execute")]
    McpExecute(McpExecute),
    /// Change what the session may use.
    #[serde(rename = "access.refresh")]
    AccessRefresh {
        /// To this.
        #[serde(alias = "appAccessSnapshot")]
        access_snapshot: AccessSnapshot,
    },
    /// Change a setting of the vendor.
    #[serde(rename = "config.set")]
    ConfigSet {
        /// Which.
        config_id: String,
        /// To what: a string or a boolean.
        value: Value,
    },
    /// End the session.
    #[serde(rename = "session.stop")]
    SessionStop {
        /// Why.
        reason: String,
    },
}

impl Order {
    /// Its `kind`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Order::InputStart { .. } => "input.start",
            Order::TurnCancel { .. } => "turn.cancel",
            Order::TurnSteer { .. } => "turn.steer",
            Order::PermissionResolve { .. } => "permission.resolve",
            Order::InputResolve { .. } => "input.resolve",
            Order::CustomToolResolve { .. } => "custom_tool.resolve",
            Order::McpExecute(_) => "mcp.execute",
            Order::AccessRefresh { .. } => "access.refresh",
            Order::ConfigSet { .. } => "config.set",
            Order::SessionStop { .. } => "session.stop",
        }
    }
}

/// A command.
///
/// ```
/// use agentos_driver::Command;
/// let json = r#"{"kind":"turn.cancel","commandId":"c1","reason":"enough"}"#;
/// assert_eq!(Command::parse(json)?.order.kind(), "turn.cancel");
/// assert_eq!(Command::parse(r#"{"kind":"turn.fly","commandId":"c2"}"#).unwrap_err().command_id, "c2");
/// # Ok::<(), agentos_driver::Malformed>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Command {
    /// By this duplicates are told; not empty.
    pub command_id: String,
    /// What is asked.
    #[serde(flatten)]
    pub order: Order,
}

/// A command that is none.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{error}")]
pub struct Malformed {
    /// Its id, as far as there is one.
    pub command_id: String,
    /// What is wrong.
    pub error: ErrorInfo,
}

impl Command {
    /// A command of this process, with an id of its own.
    #[must_use]
    pub fn of(order: Order) -> Self {
        Command { command_id: Ulid::generate().to_string(), order }
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`Malformed`], which names the member.
    pub fn parse(json: &str) -> Result<Self, Malformed> {
        let wrong = |command_id: &str, message: String| Malformed {
            command_id: command_id.to_owned(),
            error: ErrorInfo::new(MALFORMED, message),
        };
        let value: Value = serde_json::from_str(json).map_err(|error| wrong("", error.to_string()))?;
        let command_id = value.get("commandId").and_then(Value::as_str).unwrap_or_default().to_owned();
        let command: Command =
            serde_json::from_value(value).map_err(|error| wrong(&command_id, error.to_string()))?;
        command.check().map_err(|error| Malformed { command_id, error })?;
        Ok(command)
    }

    /// What serde does not see.
    pub(crate) fn check(&self) -> Result<(), ErrorInfo> {
        let wrong = |member: &str| Err(ErrorInfo::new(MALFORMED, format!("{member}: must not be empty")));
        if self.command_id.is_empty() {
            return wrong("commandId");
        }
        match &self.order {
            Order::InputStart { input, .. } | Order::TurnSteer { input, .. } if input.is_empty() => {
                wrong("input.text")
            }
            Order::InputStart { input, .. } | Order::TurnSteer { input, .. }
                if input.attachment_ids.as_ref().is_some_and(|ids| !ids.is_empty()) =>
            {
                let text =
                    "attachmentIds: no port knows files of the host by their ids; put them into content";
                Err(ErrorInfo::new(UNSUPPORTED, text))
            }
            Order::InputStart { input, .. } | Order::TurnSteer { input, .. } => input.check_native(),
            Order::McpExecute(call) => match serde_json::from_str::<Map<String, Value>>(&call.arguments_json)
            {
                Ok(_) => Ok(()),
                Err(error) => Err(ErrorInfo::new(MALFORMED, format!("argumentsJson: {error}"))),
            },
            Order::ConfigSet { value, .. } if !(value.is_string() || value.is_boolean()) => {
                Err(ErrorInfo::new(MALFORMED, "value: neither a string nor a boolean"))
            }
            _ => Ok(()),
        }
    }
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is being run.
    Accepted,
    /// It was.
    Completed,
    /// It failed.
    Failed,
    /// It was cancelled.
    Cancelled,
    /// Of the host's own bookkeeping (`queued`, `delivered`, `expired`).
    #[serde(other)]
    OfHost,
}

/// What became of a command: first `accepted`, then one of the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandUpdate {
    /// The command.
    pub command_id: String,
    /// How far it is.
    pub status: Fate,
    /// What it gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorInfo>,
}
