//! What a host gives a session: ten ports. Those with a sensible default need not be given.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value};
use ulid::Ulid;

use crate::boot::Execution;
use crate::command::{AccessSnapshot, Command, CommandUpdate, McpExecute};
use crate::event::{ChangedFile, Event, PermissionDetail, PermissionOption, RawMessage, Severity};
use crate::{ErrorInfo, Malformed};

/// An answer that may take its time.
pub type Pending<'a, T> = BoxFuture<'a, Result<T, ErrorInfo>>;

/// Where commands come from, for hosts that are asked and do not call.
pub trait CommandSource: Send + Sync {
    /// The next one; nothing if there is none now: then it is asked again in 250 ms.
    fn next_command(&self) -> Pending<'_, Option<Result<Command, Malformed>>>;
}

/// Where events go.
pub trait EventSink: Send + Sync {
    /// Takes events over, in order. The answer is the number of the last one that is kept for good: what comes after it
    /// is pushed again. An error is no loss either: the same events come again.
    fn push_events(&self, events: Vec<Arc<Event>>) -> Pending<'_, u64>;

    /// What became of a command.
    fn command_update(&self, update: CommandUpdate) -> Pending<'_, ()>;
}

/// What a backend asks before it goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct PermissionRequest {
    /// The vendor's id; the broker makes it unique.
    pub request_id: String,
    /// The item that waits.
    pub item_id: Option<String>,
    /// The turn.
    pub turn_id: Ulid,
    /// For people.
    pub title: String,
    /// More of that.
    pub description: Option<String>,
    /// What it is about: `type` and more.
    pub detail: Option<PermissionDetail>,
    /// `read`, `edit`, `execute` and so on.
    pub tool_kind: Option<String>,
    /// The tool.
    pub tool_name: Option<String>,
    /// What it is to be called with.
    pub input: Option<Map<String, Value>>,
    /// What can be answered; if there is nothing, allow once and reject once.
    pub options: Vec<PermissionOption>,
    /// The message that asks, where messages are wanted.
    pub raw: Option<Arc<RawMessage>>,
}

/// What a backend is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionDecision {
    /// Whether it may.
    pub allow: bool,
    /// Whether that holds for its like too.
    pub always: bool,
    /// The option that was chosen, if the vendor offered any.
    pub option_id: Option<String>,
    /// For the vendor.
    pub message: Option<String>,
    /// Nobody wants the answer any more: it is not sent to the vendor.
    pub cancelled: bool,
}

/// What the policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyDecision {
    /// It may.
    Allow,
    /// It may not.
    Reject {
        /// Why, for the vendor.
        message: String,
    },
    /// Ask.
    Ask,
}

/// Who decides without asking.
pub trait Policy: Send + Sync {
    /// Whether a backend with this capability may be used at all.
    fn assert_supported(&self, capability: &str, subject: &str) -> Result<(), ErrorInfo> {
        let _ = (capability, subject);
        Ok(())
    }

    /// Whether a request is decided at once.
    fn decide(&self, request: &PermissionRequest) -> PolicyDecision {
        let _ = request;
        PolicyDecision::Ask
    }
}

/// Who hears what the session may use, before the backend does.
pub trait Access: Send + Sync {
    /// It is this from now on.
    fn refresh<'a>(&'a self, snapshot: &'a AccessSnapshot) -> Pending<'a, ()>;
}

/// What a tool of an MCP server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpOutput {
    /// Its text.
    pub output_text: String,
}

/// Who calls tools of MCP servers.
pub trait Mcp: Send + Sync {
    /// Calls one.
    fn execute<'a>(&'a self, call: &'a McpExecute) -> Pending<'a, McpOutput>;
}

/// A skill that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaterializedSkill {
    /// Its id.
    pub skill_id: String,
    /// Its name.
    pub skill_name: String,
    /// The directory it is in.
    pub mount_path: String,
    /// Its `SKILL.md`.
    pub skill_markdown_path: String,
    /// Which version of it.
    pub snapshot_id: String,
}

/// A skill that is not there, though the session has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedSkill {
    /// Its id.
    pub skill_id: String,
    /// Its name.
    pub skill_name: String,
    /// Why, in one word: `tombstone`, `no_snapshot`, `download_failed`, `integrity`, `archive_refused` and so on.
    pub reason: String,
    /// Why, for people. No address and nothing that files hold.
    pub message: String,
}

impl SkippedSkill {
    /// Whether that is how the host wants it, and no failure.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        matches!(self.reason.as_str(), "tombstone" | "no_snapshot")
    }
}

/// What came of the skills of a session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Materialized {
    /// Those that are there.
    pub skills: Vec<MaterializedSkill>,
    /// Those that are not.
    pub skipped: Vec<SkippedSkill>,
    /// The text that lists them for the agent, if there is one.
    pub catalog: Option<String>,
    /// Why there is none though there should be.
    pub catalog_error: Option<ErrorInfo>,
}

/// Who has skills.
pub trait Skills: Send + Sync {
    /// Puts the skills of a session where the agent finds them. One that cannot be had does not stop the others: it is
    /// skipped. An error: none of them could even be tried.
    fn materialize<'a>(&'a self, execution: &'a Execution) -> Pending<'a, Materialized>;
}

/// What a host does for agents that ask their client for texts (`fs/read_text_file`, `fs/write_text_file`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServedTexts {
    /// It reads them.
    pub read: bool,
    /// It writes them.
    pub write: bool,
}

/// A text that an agent asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextRead {
    /// Where it is, as the agent says it.
    pub path: String,
    /// The first line that is wanted, from 1.
    pub line: Option<u64>,
    /// How many lines.
    pub limit: Option<u64>,
}

/// There is no such file: the code of an error of [`Files::read_text`].
pub const TEXT_NOT_FOUND: &str = "file.not_found";

/// Who hears of changed files, and has those that are being edited.
pub trait Files: Send + Sync {
    /// A file is another now. The answer says whether `file.changed` is emitted as well.
    fn report_changed<'a>(&'a self, change: &'a ChangedFile) -> Pending<'a, bool>;

    /// Which texts agents may ask for. It holds for as long as an agent runs.
    fn texts(&self) -> ServedTexts {
        ServedTexts::default()
    }

    /// Reads a text as it is for whoever edits it, saved or not; or lines of it. [`TEXT_NOT_FOUND`] if there is none.
    fn read_text<'a>(&'a self, read: &'a TextRead) -> Pending<'a, String> {
        let _ = read;
        not_configured("file")
    }

    /// Writes a text, and the directories that lead there.
    fn write_text<'a>(&'a self, path: &'a str, text: &'a str) -> Pending<'a, ()> {
        let _ = (path, text);
        not_configured("file")
    }
}

/// The place of the session in its host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostSnapshot {
    /// Which configuration it has.
    pub config_revision: Map<String, Value>,
    /// Where and for whom it runs.
    pub session_context: Map<String, Value>,
}

/// Who knows the place of the session in its host.
pub trait HostIntegration: Send + Sync {
    /// As it is now.
    fn snapshot(&self) -> Option<HostSnapshot>;
}

/// Where logs go: each diagnostic of a session, as it is reported. Secrets are taken out by the host.
pub trait Logger: Send + Sync {
    /// One line. It is called where things happen, and must not wait.
    fn log(&self, severity: Severity, message: &str, details: &Map<String, Value>);
}

/// What a host gives a session.
#[derive(Clone)]
pub struct Ports {
    /// Where commands come from; none: they are dispatched.
    pub command_source: Option<Arc<dyn CommandSource>>,
    /// Where events go; none: they are taken from [`Kernel::events`](crate::Kernel::events).
    pub event_sink: Option<Arc<dyn EventSink>>,
    /// Who hears what the session may use.
    pub access: Arc<dyn Access>,
    /// Who calls tools of MCP servers.
    pub mcp: Arc<dyn Mcp>,
    /// Who has skills.
    pub skills: Arc<dyn Skills>,
    /// Who hears of changed files.
    pub files: Arc<dyn Files>,
    /// Who knows the place of the session in its host.
    pub host_integration: Arc<dyn HostIntegration>,
    /// Where logs go.
    pub logger: Arc<dyn Logger>,
    /// Who decides without asking.
    pub policy: Arc<dyn Policy>,
    /// Who starts the vendor's process.
    pub launcher: Arc<dyn crate::process::Launcher>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

/// What a port does that was not given.
#[derive(Clone, Copy, Debug)]
pub struct Default;

fn not_configured<T: Send>(port: &'static str) -> Pending<'static, T> {
    Box::pin(
        async move { Err(ErrorInfo::new("driver.port_not_configured", format!("{port}: not configured"))) },
    )
}

impl Access for Default {
    fn refresh<'a>(&'a self, _: &'a AccessSnapshot) -> Pending<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

impl Mcp for Default {
    fn execute<'a>(&'a self, _: &'a McpExecute) -> Pending<'a, McpOutput> {
        not_configured("mcp")
    }
}

impl Skills for Default {
    fn materialize<'a>(&'a self, execution: &'a Execution) -> Pending<'a, Materialized> {
        if execution.skills.is_empty() {
            Box::pin(async { Ok(Materialized::default()) })
        } else {
            not_configured("skill")
        }
    }
}

impl Files for Default {
    fn report_changed<'a>(&'a self, _: &'a ChangedFile) -> Pending<'a, bool> {
        Box::pin(async { Ok(true) })
    }
}

impl HostIntegration for Default {
    fn snapshot(&self) -> Option<HostSnapshot> {
        None
    }
}

impl Logger for Default {
    fn log(&self, severity: Severity, message: &str, details: &Map<String, Value>) {
        let details = Value::Object(details.clone());
        match severity {
            Severity::Debug => tracing::debug!(%details, "{message}"),
            Severity::Info => tracing::info!(%details, "{message}"),
            Severity::Warn => tracing::warn!(%details, "{message}"),
            Severity::Error => tracing::error!(%details, "{message}"),
        }
    }
}

impl Policy for Default {}

impl Ports {
    /// The defaults, with who starts the vendor's process.
    #[must_use]
    pub fn new(launcher: Arc<dyn crate::process::Launcher>) -> Self {
        let default = Arc::new(Default);
        Ports {
            command_source: None,
            event_sink: None,
            access: default.clone(),
            mcp: default.clone(),
            skills: default.clone(),
            files: default.clone(),
            host_integration: default.clone(),
            logger: default.clone(),
            policy: default,
            launcher,
        }
    }
}
