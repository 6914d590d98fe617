//! Items: what a turn is made of. A snapshot of one is authoritative; deltas only make it visible earlier.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ContentBlock, Time, maybe_millis, millis};

/// How far an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemStatus {
    /// Its arguments are complete, it does not run.
    Pending,
    /// It is known to run, or is being written.
    Running,
    /// It ended well: of a tool, its result is known.
    Completed,
    /// It ended badly.
    Failed,
    /// It was refused.
    Declined,
    /// It was cancelled.
    Cancelled,
}

impl ItemStatus {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        !matches!(self, ItemStatus::Pending | ItemStatus::Running)
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The agent.
    Agent,
    /// The user.
    User,
}

/// A step of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanEntry {
    /// What is to be done.
    pub content: String,
    /// `high`, `medium` or `low`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// `pending`, `in_progress` or `completed`.
    pub status: String,
}

/// What happens to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new.
    Add,
    /// It is changed.
    Update,
    /// It goes.
    Delete,
}

/// A change of one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Edit {
    /// Where.
    pub path: String,
    /// What.
    pub change: Change,
    /// As a unified patch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// The file.
    pub path: String,
    /// The line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// What an item is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum ItemKind {
    /// A message.
    Message {
        /// Of whom.
        role: Role,
        /// What it says.
        #[serde(default)]
        content: Vec<ContentBlock>,
        /// Which part of the turn it belongs to, if the vendor says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phase: Option<String>,
    },
    /// Thoughts.
    Reasoning {
        /// In short.
        #[serde(default)]
        summary: Vec<String>,
        /// At length.
        #[serde(default)]
        content: Vec<String>,
    },
    /// A plan.
    Plan {
        /// Its steps.
        #[serde(default)]
        entries: Vec<PlanEntry>,
    },
    /// A command of a shell.
    Command {
        /// Its line.
        command: String,
        /// Where it runs.
        cwd: String,
        /// What it wrote.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<String>,
        /// Its status.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit_code: Option<i32>,
        /// How long it ran.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration_ms: Option<u64>,
    },
    /// Changes of files.
    FileChange {
        /// The files.
        #[serde(default)]
        changes: Vec<Edit>,
    },
    /// A call of a tool.
    ToolCall {
        /// The tool.
        name: String,
        /// For people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// `read`, `edit`, `execute` and so on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tool_kind: Option<String>,
        /// The server of the tool.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        server: Option<String>,
        /// What it is called with.
        #[serde(default)]
        input: Map<String, Value>,
        /// What it answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Vec<ContentBlock>>,
        /// The same in the vendor's form.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        raw_output: Option<Value>,
        /// Whether the answer is an error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        is_error: Option<bool>,
        /// The files it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        locations: Option<Vec<Location>>,
    },
    /// A kind of an implementation (`x_…`) or of a later version.
    #[serde(untagged)]
    Other {
        /// Its name.
        kind: String,
        /// All it has.
        #[serde(flatten)]
        fields: Map<String, Value>,
    },
}

/// An item of a turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Unique in the session.
    pub item_id: String,
    /// How far it is.
    pub status: ItemStatus,
    /// The item that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_item_id: Option<String>,
    /// When it began.
    #[serde(with = "millis")]
    pub started_at: Time,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "maybe_millis")]
    pub completed_at: Option<Time>,
    /// What it is. Last, since an unknown kind takes every member that is left.
    #[serde(flatten)]
    pub kind: ItemKind,
}

impl Item {
    /// An item that begins now.
    #[must_use]
    pub fn new(item_id: impl Into<String>, status: ItemStatus, kind: ItemKind) -> Self {
        let item_id = item_id.into();
        Item { item_id, status, parent_item_id: None, started_at: super::now(), completed_at: None, kind }
    }

    /// The same, ended now.
    #[must_use]
    pub fn ended(mut self, status: ItemStatus) -> Self {
        self.status = status;
        self.completed_at = Some(super::now());
        self
    }

    /// A message of the agent that is being written.
    #[must_use]
    pub fn message(item_id: impl Into<String>, content: Vec<ContentBlock>) -> Self {
        Item::new(item_id, ItemStatus::Running, ItemKind::Message { role: Role::Agent, content, phase: None })
    }
}
