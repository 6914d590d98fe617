//! The kinds of events and what each carries. All unions are open: what is not known is kept and passed on.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Item, Time, Usage, maybe_millis, millis};
use crate::{Capability, ErrorInfo, ResumeRef};

/// `kind` and `payload` of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "payload")]
pub enum Body {
    /// The backend is there.
    #[serde(rename = "session.started")]
    SessionStarted(Started),
    /// What the vendor says of the session.
    #[serde(rename = "session.info.updated")]
    SessionInfoUpdated(SessionInfo),
    /// Settings, as they now are.
    #[serde(rename = "session.config.updated")]
    SessionConfigUpdated {
        /// All of them.
        options: Vec<ConfigOption>,
        /// The mode.
        #[serde(rename = "modeId", default, skip_serializing_if = "Option::is_none")]
        mode_id: Option<String>,
    },
    /// Commands that a prompt may begin with, as they now are.
    #[serde(rename = "session.commands.updated")]
    SessionCommandsUpdated {
        /// All of them.
        commands: Vec<Command>,
    },
    /// By what the session can be resumed.
    #[serde(rename = "session.resume.updated")]
    SessionResumeUpdated(ResumeUpdate),
    /// The last event of a log.
    #[serde(rename = "session.ended")]
    SessionEnded(Ended),
    /// What the turn has used so far.
    #[serde(rename = "usage.updated")]
    UsageUpdated(Usage),
    /// A turn begins.
    #[serde(rename = "turn.started")]
    TurnStarted {
        /// When.
        #[serde(rename = "startedAt", with = "millis")]
        started_at: Time,
    },
    /// It ended; nothing of it follows.
    #[serde(rename = "turn.completed")]
    TurnCompleted(TurnCompleted),
    /// An item begins.
    #[serde(rename = "item.started")]
    ItemStarted {
        /// As it is.
        item: Item,
    },
    /// Some members of an item are others now.
    #[serde(rename = "item.updated")]
    ItemUpdated(ItemPatch),
    /// More of a text of an item.
    #[serde(rename = "item.delta")]
    ItemDelta(Delta),
    /// An item ended: the final word on it.
    #[serde(rename = "item.completed")]
    ItemCompleted {
        /// As it is.
        item: Item,
    },
    /// The vendor asks whether it may.
    #[serde(rename = "permission.requested")]
    PermissionRequested(Permission),
    /// It was answered.
    #[serde(rename = "permission.resolved")]
    PermissionResolved(PermissionResolved),
    /// The vendor asks the user.
    #[serde(rename = "input.requested")]
    InputRequested(InputRequest),
    /// It was answered.
    #[serde(rename = "input.resolved")]
    InputResolved(InputResolved),
    /// A tool of the host is called.
    #[serde(rename = "custom_tool.requested")]
    CustomToolRequested(CustomTool),
    /// It was answered.
    #[serde(rename = "custom_tool.resolved")]
    CustomToolResolved(ClosedCall),
    /// The vendor asks its model.
    #[serde(rename = "model_request.started")]
    ModelRequestStarted(ModelRequest),
    /// The model answered.
    #[serde(rename = "model_request.completed")]
    ModelRequestCompleted(ModelRequest),
    /// Files are others now.
    #[serde(rename = "file.changed")]
    FileChanged {
        /// Which.
        changes: Vec<ChangedFile>,
    },
    /// For finding faults; it changes no state.
    #[serde(rename = "diagnostic.reported")]
    DiagnosticReported(Diagnostic),
    /// How long something took.
    #[serde(rename = "timing.recorded")]
    TimingRecorded(Timing),
    /// A kind of an implementation (`x_…`) or of a later version.
    #[serde(untagged)]
    Other {
        /// Its name.
        kind: String,
        /// What it carries.
        #[serde(default)]
        payload: Map<String, Value>,
    },
}

impl Body {
    /// The item that it is about.
    #[must_use]
    pub fn item_id(&self) -> Option<&str> {
        match self {
            Body::ItemStarted { item } | Body::ItemCompleted { item } => Some(&item.item_id),
            Body::ItemUpdated(patch) => Some(&patch.item_id),
            Body::ItemDelta(delta) => Some(&delta.item_id),
            _ => None,
        }
    }
}

/// What runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Started {
    /// Its runtime.
    pub runtime: String,
    /// How it is spoken to.
    pub transport: String,
    /// Whether it goes on with an earlier session of the vendor.
    pub resumed: bool,
    /// What it can do.
    pub capabilities: Vec<Capability>,
}

/// What the vendor says of the session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionInfo {
    /// The model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// A title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its working directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Names of its tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<String>>,
    /// The version of the vendor's program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor_version: Option<String>,
}

/// A setting.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfigOption {
    /// Its id.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it is: a string or a boolean.
    pub value: Value,
    /// What it can be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choices: Option<Vec<ConfigChoice>>,
}

/// What a setting can be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfigChoice {
    /// The value.
    pub value: String,
    /// For people.
    pub name: String,
}

/// A command that a prompt may begin with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Command {
    /// Its name, without the slash.
    pub name: String,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// By what a session can be resumed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResumeUpdate {
    /// The newest reference.
    #[serde(rename = "ref")]
    pub reference: ResumeRef,
    /// What the session has cost until now, as the vendor counts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_total: Option<f64>,
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// Such as `session.stop`.
    pub reason: String,
    /// What went wrong, if that was why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorInfo>,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnStatus {
    /// By itself.
    Completed,
    /// It was cancelled.
    Cancelled,
    /// With an error.
    Failed,
}

/// Why the vendor stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It is done.
    EndTurn,
    /// The model's limit of tokens.
    MaxTokens,
    /// The vendor's limit of rounds.
    MaxTurns,
    /// The model refused.
    Refusal,
    /// It was cancelled.
    Cancelled,
    /// An error.
    Error,
}

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TurnCompleted {
    /// How.
    pub status: TurnStatus,
    /// Why.
    pub stop_reason: StopReason,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorInfo>,
    /// How long it took.
    pub duration_ms: u64,
}

/// Members of an item that are others now; of each, the last one holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemPatch {
    /// The item.
    pub item_id: String,
    /// The members.
    pub patch: Map<String, Value>,
}

/// Which text of an item grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// That of a message.
    Text,
    /// Thoughts.
    Reasoning,
    /// Thoughts in short.
    ReasoningSummary,
    /// What a command writes.
    Output,
    /// The JSON that a tool is called with.
    Arguments,
}

/// More of a text of an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delta {
    /// The item.
    pub item_id: String,
    /// Which of its texts.
    pub stream: Stream,
    /// Which part of that text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// The text.
    pub delta: String,
    /// Where in the text it belongs, in bytes: who sees a hole waits for the snapshot.
    pub offset: u64,
}

/// What an option of a permission does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PermissionKind {
    /// Allow this.
    AllowOnce,
    /// Allow this and its like.
    AllowAlways,
    /// Refuse this.
    RejectOnce,
    /// Refuse this and its like.
    RejectAlways,
    /// Something else.
    #[serde(untagged)]
    Other(String),
}

impl PermissionKind {
    /// Whether it allows.
    #[must_use]
    pub fn allows(&self) -> bool {
        matches!(self, PermissionKind::AllowOnce | PermissionKind::AllowAlways)
    }
}

/// An answer that a permission offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PermissionOption {
    /// Its id.
    pub option_id: String,
    /// What it does.
    pub kind: PermissionKind,
    /// For people.
    pub name: String,
}

/// What a permission is about, by type: `command`, `file_change`, `tool_call`, `permissions`, `x_…`.
pub type PermissionDetail = Map<String, Value>;

/// The vendor asks whether it may.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Permission {
    /// Unique in the session.
    pub request_id: String,
    /// The item that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item_id: Option<String>,
    /// For people.
    pub title: String,
    /// More of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_name: Option<String>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<PermissionDetail>,
    /// What can be answered.
    pub options: Vec<PermissionOption>,
    /// When it counts as refused.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "maybe_millis")]
    pub expires_at: Option<Time>,
}

/// How a question was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// By an answer.
    Selected,
    /// Nobody wants an answer any more.
    Cancelled,
    /// Nobody answered.
    TimedOut,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may.
    Allow,
    /// It may not.
    Reject,
}

/// Why it was decided so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PermissionReason {
    /// Somebody said yes.
    Approved,
    /// Somebody said no, or what nobody understood.
    Rejected,
    /// The turn or the session ended.
    Cancelled,
    /// Nobody answered.
    TimedOut,
}

/// How a permission was closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PermissionResolved {
    /// The request.
    pub request_id: String,
    /// How.
    pub outcome: Outcome,
    /// Which answer was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub option_id: Option<String>,
    /// What that means.
    pub decision: Verdict,
    /// Why.
    pub reason: PermissionReason,
    /// For the vendor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// One question of an [`InputRequest`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Question {
    /// Its id: the key of the answer.
    pub id: String,
    /// What is asked.
    pub prompt: String,
    /// What can be chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<String>>,
    /// Whether the answer must not be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<bool>,
    /// Whether another answer will do as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_form: Option<bool>,
}

/// The vendor asks the user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InputRequest {
    /// Unique in the session.
    pub request_id: String,
    /// The item that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item_id: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The questions.
    pub questions: Vec<Question>,
    /// When it counts as declined.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "maybe_millis")]
    pub expires_at: Option<Time>,
}

/// What the user said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum InputOutcome {
    /// Answers, by the ids of the questions.
    Answered {
        /// The answers.
        answers: Map<String, Value>,
    },
    /// They do not want to.
    Declined,
    /// Nobody wants an answer any more.
    Cancelled,
}

/// How an [`InputRequest`] was closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InputResolved {
    /// The request.
    pub request_id: String,
    /// How.
    pub outcome: InputOutcome,
}

/// A tool of the host is called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomTool {
    /// Unique in the session.
    pub request_id: String,
    /// The item of the call.
    pub item_id: String,
    /// The tool.
    pub name: String,
    /// What it is called with.
    pub input: Map<String, Value>,
}

/// Why a call of a tool of the host ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolveReason {
    /// The host answered.
    Answered,
    /// The turn or the session ended.
    Cancelled,
    /// The host did not answer.
    TimedOut,
}

/// A call of a tool of the host ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClosedCall {
    /// The request.
    pub request_id: String,
    /// Whether the answer is an error.
    pub is_error: bool,
    /// Why.
    pub reason: ResolveReason,
}

/// A request to the model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ModelRequest {
    /// Its id.
    pub request_id: String,
    /// Whether it failed; only at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_error: Option<bool>,
    /// What it used; only at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Map<String, Value>>,
}

/// Whether a file is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileChange {
    /// It is new or changed.
    Upsert,
    /// It is gone.
    Delete,
}

/// A file that is another now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangedFile {
    /// Which.
    pub path: String,
    /// How.
    pub change: FileChange,
    /// By which item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item_id: Option<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// For who looks closely.
    Debug,
    /// Worth knowing.
    Info,
    /// Something was mended.
    Warn,
    /// Something failed.
    Error,
}

/// Who reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiagnosticSource {
    /// The kernel.
    Core,
    /// The broker of permissions.
    Permission,
    /// The runner.
    Process,
    /// The connection to the host.
    Transport,
    /// The backend.
    Backend,
}

/// Something for finding faults: no secrets, no prompts, no content of files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnostic {
    /// Such as `driver.command_failed`.
    pub code: String,
    /// For people.
    pub message: String,
    /// How bad.
    pub severity: Severity,
    /// Who says so.
    pub source: DiagnosticSource,
    /// In one word, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// More, by name.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
}

/// Whether something was ready before it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    /// It was not.
    Cold,
    /// It was made ready ahead.
    Prewarm,
    /// It was used before.
    Warm,
    /// Nobody knows.
    Unknown,
}

/// A part of a [`Timing`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// How long.
    pub duration_ms: u64,
}

/// How long something took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Timing {
    /// What.
    pub stage: String,
    /// Whether it was ready.
    pub path: Path,
    /// When it began, milliseconds since 1970.
    pub started_at_ms: u64,
    /// When it ended.
    pub completed_at_ms: u64,
    /// In all.
    pub total_ms: u64,
    /// In parts.
    pub phases: Vec<Phase>,
}
