//! What the kernel asks of a backend, and what a backend may ask of the kernel. A backend translates one vendor's
//! protocol; it decides nothing about turns, permissions and order.

pub mod acp;
pub mod claude;
pub mod codex;
mod options;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use ulid::Ulid;

use crate::boot::Execution;
use crate::command::{AccessSnapshot, Input, McpExecute};
use crate::event::{
    Body, ContentBlock, CustomTool, Draft, InputOutcome, InputRequest, Item, ItemStatus, RawMessage,
    StopReason,
};
use crate::kernel::Link;
use crate::ports::{MaterializedSkill, McpOutput, PermissionDecision, PermissionRequest, Ports};
use crate::{ErrorInfo, Registry, ResumeRef, Runtime};

/// How the vendor's turn ended.
#[derive(Clone, Debug, PartialEq)]
pub enum TurnOutcome {
    /// By itself.
    Completed {
        /// Why: `end_turn`, `max_tokens`, `refusal`.
        stop_reason: StopReason,
    },
    /// As it was asked to.
    Cancelled,
    /// With an error; the vendor is still there.
    Failed {
        /// What went wrong.
        error: ErrorInfo,
        /// `error` or `max_turns`.
        stop_reason: StopReason,
    },
    /// The vendor is gone.
    Lost {
        /// How it ended.
        error: ErrorInfo,
    },
}

/// What the host said to a call of one of its tools.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomToolAnswer {
    /// What the tool says.
    pub content: Vec<ContentBlock>,
    /// Whether that is an error.
    pub is_error: bool,
    /// Nobody wants the answer any more: it is not sent to the vendor.
    pub cancelled: bool,
}

/// A vendor and its session in the vendor's own words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Description {
    /// Its own id of the session.
    pub session_id: Option<String>,
    /// What it can do.
    pub capabilities: Option<Value>,
    /// Who it is.
    pub info: Option<Value>,
    /// Its modes, the current one among them.
    pub modes: Option<Value>,
    /// Its models, the current one among them, where they are no options.
    pub models: Option<Value>,
    /// Its options.
    pub config_options: Vec<Value>,
}

/// What a backend works with. Clones share the session.
#[derive(Clone, Debug)]
pub struct Context {
    pub(crate) link: Arc<Link>,
    /// What is to be run.
    pub execution: Arc<Execution>,
    /// The ports of the host.
    pub ports: Ports,
}

impl Context {
    /// Emits an event. Waits where nobody takes events, so that the vendor is not read any further. What belongs to a turn
    /// that is not the one that runs is dropped.
    pub async fn emit(&self, draft: Draft) {
        self.link.emit(draft).await;
    }

    /// Whether the vendor's messages are wanted beside what is made of them.
    #[must_use]
    pub fn native_messages(&self) -> bool {
        self.link.settings.native_messages
    }

    /// What the vendor answered to a turn, which goes with its end.
    pub fn answered(&self, turn: Ulid, answer: Arc<RawMessage>) {
        if let Some(of) = self.link.locked().session.turn.as_mut().filter(|of| of.id == turn) {
            of.answer = Some(answer);
        }
    }

    /// Emits an event of the session as a whole.
    pub async fn session(&self, body: Body) {
        self.emit(Draft::of_session(body)).await;
    }

    /// Whether an item of the turn that runs began and has not ended.
    #[must_use]
    pub fn is_open(&self, item_id: &str) -> bool {
        self.link.is_open(item_id)
    }

    /// Ends an item of the turn that runs as it was last seen, with this status. Nothing if it is not open.
    pub async fn close(&self, item_id: &str, status: ItemStatus) {
        self.link.close(item_id, status).await;
    }

    /// An item of the turn that runs, as it was last seen.
    #[must_use]
    pub fn item(&self, item_id: &str) -> Option<Item> {
        self.link.item(item_id)
    }

    /// Asks whether the vendor may. Ends in any case: with an answer, a refusal after the timeout, or as cancelled.
    pub async fn permission(&self, request: PermissionRequest) -> PermissionDecision {
        self.link.permission(request).await
    }

    /// Asks the user. The request id is the vendor's; the kernel makes it unique.
    pub async fn ask(&self, turn: Ulid, request: InputRequest) -> InputOutcome {
        self.link.ask(turn, request).await
    }

    /// Calls a tool of the host.
    pub async fn custom_tool(&self, turn: Ulid, call: CustomTool) -> CustomToolAnswer {
        self.link.custom_tool(turn, call).await
    }

    /// The vendor's process ended though no turn runs.
    pub fn lost(&self, error: ErrorInfo) {
        self.link.lost(error);
    }

    /// Notes by what the session can be resumed, and emits it if it is another than before.
    pub async fn resumable(&self, reference: ResumeRef, cost_total: Option<f64>) {
        self.link.resumable(reference, cost_total).await;
    }

    /// The skills that are there for the agent, when the backend is started.
    #[must_use]
    pub fn skills(&self) -> &[MaterializedSkill] {
        self.link.skills.get().map_or(&[], |came| &came.skills)
    }

    /// The text that lists them, by its path, if there is one.
    #[must_use]
    pub fn skill_catalog(&self) -> Option<&str> {
        self.link.skills.get()?.catalog.as_deref()
    }

    /// By what the session can be resumed now, with what it had cost by then.
    #[must_use]
    pub fn resume_ref(&self) -> (Option<ResumeRef>, Option<f64>) {
        self.link.resume_ref()
    }
}

/// One vendor's protocol. Each call ends by itself in bounded time, but for [`Backend::handle_input`], which ends with the
/// vendor's turn.
pub trait Backend: Send + Sync {
    /// Whose it is.
    fn runtime(&self) -> Runtime;

    /// Starts the vendor, and creates its session or resumes the one of [`Context::resume_ref`]. Says by what it can be
    /// resumed as soon as that is known. Called again after the vendor was lost or killed.
    fn start<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<(), ErrorInfo>>;

    /// Runs a turn, and returns when the vendor's own turn has ended. It emits neither `turn.started` nor
    /// `turn.completed`: the kernel does.
    fn handle_input<'a>(
        &'a self,
        cx: &'a Context,
        input: &'a Input,
        turn: Ulid,
    ) -> BoxFuture<'a, TurnOutcome>;

    /// Whether [`Input::native`] goes to the vendor.
    fn takes_native(&self) -> bool {
        false
    }

    /// Asks the vendor to interrupt the turn. Does not wait for the end of it. Once is enough, more does no harm.
    fn cancel<'a>(&'a self, cx: &'a Context, turn: Ulid, reason: &'a str) -> BoxFuture<'a, ()>;

    /// Kills the vendor at once, without asking. A turn that runs ends with [`TurnOutcome::Lost`].
    fn kill<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, ()>;

    /// Says more to a turn that runs.
    fn steer<'a>(
        &'a self,
        cx: &'a Context,
        input: &'a Input,
        turn: Ulid,
    ) -> BoxFuture<'a, Result<(), ErrorInfo>> {
        let _ = (cx, input, turn);
        Box::pin(async { Err(ErrorInfo::new(crate::error::UNSUPPORTED, "the backend cannot steer a turn")) })
    }

    /// Changes a setting of the vendor.
    fn config_set<'a>(
        &'a self,
        cx: &'a Context,
        config_id: &'a str,
        value: &'a Value,
    ) -> BoxFuture<'a, Result<(), ErrorInfo>> {
        let _ = (cx, config_id, value);
        Box::pin(async { Err(ErrorInfo::new(crate::error::UNSUPPORTED, "the backend has no settings")) })
    }

    /// The vendor and its session in the vendor's own words.
    fn describe(&self) -> Option<Description> {
        None
    }

    /// Sends a request to the vendor as it is.
    fn native_request<'a>(
        &'a self,
        cx: &'a Context,
        method: &'a str,
        params: &'a Value,
    ) -> BoxFuture<'a, Result<Box<RawValue>, ErrorInfo>> {
        let _ = (cx, method, params);
        Box::pin(async {
            Err(ErrorInfo::new(crate::error::UNSUPPORTED, "the backend takes no requests as they are"))
        })
    }

    /// Sends a notification to the vendor as it is.
    fn native_notification<'a>(
        &'a self,
        cx: &'a Context,
        method: &'a str,
        params: &'a Value,
    ) -> BoxFuture<'a, Result<(), ErrorInfo>> {
        let _ = (cx, method, params);
        Box::pin(async {
            let text = "the backend takes no notifications as they are";
            Err(ErrorInfo::new(crate::error::UNSUPPORTED, text))
        })
    }

    /// Calls a tool of an MCP server.
    fn mcp_execute<'a>(
        &'a self,
        cx: &'a Context,
        call: &'a McpExecute,
    ) -> BoxFuture<'a, Result<McpOutput, ErrorInfo>> {
        Box::pin(async move { cx.ports.mcp.execute(call).await })
    }

    /// What the session may use is this from now on.
    fn refresh_access<'a>(
        &'a self,
        cx: &'a Context,
        snapshot: &'a AccessSnapshot,
    ) -> BoxFuture<'a, Result<(), ErrorInfo>> {
        let _ = (cx, snapshot);
        Box::pin(async { Ok(()) })
    }

    /// Ends the vendor: closes its input, waits 2 s, SIGTERM, 2 s, SIGKILL, 1 s.
    fn stop<'a>(&'a self, cx: &'a Context, reason: &'a str) -> BoxFuture<'a, ()>;
}

/// All backends there are.
#[must_use]
pub fn registry() -> Registry {
    let mut registry = Registry::new();
    for descriptor in [claude::descriptor(), codex::descriptor(), acp::descriptor()] {
        let registered = registry.register(descriptor);
        debug_assert!(registered.is_ok(), "{registered:?}");
    }
    registry
}

/// What a vendor sent that is not understood: its type alone, never its content.
#[must_use]
pub fn ignored(what: impl Into<String>) -> Body {
    use crate::event::{Diagnostic, DiagnosticSource, Severity};
    Body::DiagnosticReported(Diagnostic {
        code: "driver.vendor_message_ignored".to_owned(),
        message: what.into(),
        severity: Severity::Debug,
        source: DiagnosticSource::Backend,
        reason: None,
        details: Map::new(),
    })
}
