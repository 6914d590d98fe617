//! One process of an agent, from its start to its end: requests to it, its turns, and how it goes. What it sends is the
//! affair of the inbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agentos_acp::connection::Connection;
use agentos_acp::{Error, ExitStatus, Timeouts};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};
use ulid::Ulid;

use super::client::ClientSide;
use super::inbox::{Handler, Inbox};
use super::options::Options;
use super::{Capabilities, Profile, TURN_FAILED, member};
use crate::ErrorInfo;
use crate::backend::{Context, Description, TurnOutcome};
use crate::error::{BACKEND_EXITED, NOT_READY, UNSUPPORTED};
use crate::event::{Body, DiagnosticSource, Severity, StopReason};
use crate::process::Vendor;

/// How long `set_*` may take.
const CONTROL: Duration = Duration::from_secs(30);
/// How long `session/close` may take: the process ends anyway.
const CLOSE: Duration = Duration::from_secs(1);
/// How long the news of an end may take once nothing can be sent.
const NEWS: Duration = Duration::from_secs(10);
/// How long the task that reads may take to end.
const READER: Duration = Duration::from_secs(2);
/// How long an agent may say nothing during a turn before that is told.
const SILENCE: Duration = Duration::from_secs(600);
/// Bytes of an agent's message that are passed on.
const MESSAGE: usize = 4 << 10;

/// One process of an agent.
pub(super) struct Agent {
    pub(super) inbox: Arc<Inbox>,
    connection: Connection,
    capabilities: Mutex<Capabilities>,
    /// What it said of itself.
    said: Mutex<Value>,
    /// The guide, until the first prompt takes it along.
    pub(super) guide: Mutex<Option<String>>,
    /// No prompt of the session has taken it along yet, in this process or an earlier one.
    pub(super) guide_due: Arc<AtomicBool>,
    /// Ends the task that waits for its exit.
    _dropped: DropGuard,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Questions that are open hold on to the inbox, and with it to the process.
        self.retire();
        self.inbox.vendor.kill();
    }
}

/// An error of the wire as one of the driver; `code` is for an error that the agent answered.
pub(super) fn error_info(error: &Error, code: &str) -> ErrorInfo {
    match error {
        Error::Rpc { method, error } => {
            let code = if error.code == -32000 { "acp.auth_required" } else { code };
            let info = ErrorInfo::new(code, member::printable(&error.message, MESSAGE))
                .with("method", method.as_str())
                .with("rpcCode", error.code);
            match error.data.as_ref().map(ToString::to_string).filter(|data| data.len() <= MESSAGE) {
                Some(data) => info.with("rpcData", data),
                None => info,
            }
        }
        Error::NotSupported { what } => {
            ErrorInfo::new(UNSUPPORTED, format!("the agent does not support {what}"))
        }
        Error::Timeout { .. } => ErrorInfo::retryable("acp.timed_out", error.to_string()),
        Error::AgentExited(_) | Error::Closed | Error::Fatal(_) => {
            ErrorInfo::retryable(BACKEND_EXITED, error.to_string())
        }
        other => ErrorInfo::new(code, other.to_string()),
    }
}

/// A turn that is given up if whoever waits for it goes away.
struct Waited<'a> {
    inbox: &'a Inbox,
    turn: Ulid,
}

impl Drop for Waited<'_> {
    fn drop(&mut self) {
        self.inbox.forget(self.turn);
    }
}

impl Agent {
    /// Starts one.
    ///
    /// # Errors
    /// Those of the launcher, and of directories that are not there.
    pub(super) async fn launch(
        cx: &Context,
        options: &Options,
        profile: &Profile,
        guide_due: Arc<AtomicBool>,
    ) -> Result<Self, ErrorInfo> {
        let client = match options.client_files {
            true => Some(ClientSide::own(&cx.execution.session, Arc::clone(&cx.ports.launcher))?),
            false => ClientSide::of_port(cx.ports.files.texts()),
        };
        let launcher = &*cx.ports.launcher;
        let (vendor, stdin, stdout) = Vendor::launch_streams(launcher, options.launch.clone()).await?;
        let inbox = Arc::new(Inbox::new(cx.clone(), vendor, client.map(Arc::new)));
        let handler = Arc::new(Handler(Arc::clone(&inbox)));
        let connection =
            Connection::spawn(stdout, stdin, handler, profile.limits.clone(), Timeouts::default());
        let dropped = CancellationToken::new();
        let (of, watched, over) = (Arc::clone(&inbox), connection.clone(), dropped.clone());
        tokio::spawn(async move {
            tokio::select! {
                exit = of.vendor.exited() => watched.exited(ExitStatus { code: exit.code, signal: exit.signal }),
                () = over.cancelled() => {}
            }
        });
        Ok(Agent {
            inbox,
            connection,
            capabilities: Mutex::default(),
            said: Mutex::default(),
            guide: Mutex::default(),
            guide_due,
            _dropped: dropped.drop_guard(),
        })
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        self.capabilities.lock().clone()
    }

    /// Takes over what it said of itself.
    pub(super) fn introduced(&self, said: &Value) {
        *self.capabilities.lock() = Capabilities::of(said.get("agentCapabilities").unwrap_or(&Value::Null));
        *self.said.lock() = said.clone();
    }

    pub(super) fn describe(&self) -> Description {
        let of = |said: &Value, member: &str| said.get(member).filter(|of| !of.is_null()).cloned();
        let (capabilities, info) = {
            let said = self.said.lock();
            (of(&said, "agentCapabilities"), of(&said, "agentInfo"))
        };
        let state = self.inbox.state.lock();
        let (modes, models, config_options) = match &state.translator {
            Some(translator) => {
                let (modes, models, options) = translator.settings.raw();
                (modes, models, options.to_vec())
            }
            None => (None, None, Vec::new()),
        };
        let session_id = state.session.clone();
        Description { session_id, capabilities, info, modes, models, config_options }
    }

    /// Sends a request as it is. Of those that set something the inbox hears, as of its own.
    pub(super) async fn native_request(
        &self,
        method: &str,
        params: &Value,
    ) -> Result<Box<RawValue>, ErrorInfo> {
        let set = ["modeId", "modelId", "value"].iter().find_map(|name| member::text(params, name));
        let answer = self.connection.request(method, set, params, CONTROL).await;
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.explain(&error, "acp.request_refused").await),
        }
    }

    /// Sends a notification as it is.
    pub(super) async fn native_notification(&self, method: &str, params: &Value) -> Result<(), ErrorInfo> {
        match self.connection.notify(method, params).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.explain(&error, "acp.request_refused").await),
        }
    }

    /// Sends a request and gives what was answered.
    pub(super) async fn ask(&self, method: &str, params: &Value, limit: Duration) -> Result<Value, Error> {
        let raw = self.connection.request(method, None, params, limit).await?;
        Ok(serde_json::from_str(raw.get()).unwrap_or_default())
    }

    /// An error of a request as one of the driver: if the process has ended, how.
    pub(super) async fn explain(&self, error: &Error, code: &str) -> ErrorInfo {
        match error {
            Error::AgentExited(_) | Error::Closed => {
                self.inbox.vendor.kill();
                self.inbox.vendor.exit_error().await
            }
            _ => error_info(error, code),
        }
    }

    /// Runs a turn to its end. `more` are further members of the request.
    pub(super) async fn prompt(
        &self,
        turn: Ulid,
        mut blocks: Vec<Value>,
        more: &Map<String, Value>,
    ) -> TurnOutcome {
        let Some(outcome) = self.inbox.begin(turn) else {
            self.inbox.vendor.kill();
            return TurnOutcome::Lost { error: self.inbox.vendor.exit_error().await };
        };
        let _waited = Waited { inbox: &self.inbox, turn };
        if self.inbox.is_cancelled(turn) {
            return TurnOutcome::Cancelled;
        }
        let guide = self.guide.lock().clone();
        if let Some(text) = &guide {
            blocks.insert(0, json!({"type": "text", "text": text}));
        }
        let session = self.inbox.state.lock().session.clone();
        let mut params = more.clone();
        params.insert("sessionId".to_owned(), json!(session));
        params.insert("prompt".to_owned(), Value::Array(blocks));
        match self.connection.start("session/prompt", Some(&turn.to_string()), &params).await {
            Ok(_) => {}
            Err(error @ (Error::Limit { .. } | Error::Encode { .. })) => {
                let error = error_info(&error, TURN_FAILED);
                return TurnOutcome::Failed { error, stop_reason: StopReason::Error };
            }
            Err(error) => {
                let lost = TurnOutcome::Lost { error: error_info(&error, TURN_FAILED) };
                return tokio::time::timeout(NEWS, outcome).await.ok().and_then(Result::ok).unwrap_or(lost);
            }
        }
        // It is part of the conversation now.
        self.guide.lock().take();
        self.guide_due.store(false, Ordering::Relaxed);
        let cancelled = {
            let mut state = self.inbox.state.lock();
            state.turn.as_mut().filter(|running| running.id == turn).is_some_and(|running| {
                running.sent = true;
                running.cancelled
            })
        };
        if cancelled {
            self.tell_cancel(turn).await;
        }
        self.watched(outcome).await
    }

    /// Waits for the end of a turn, and says once if the agent has been silent for long while nobody was asked anything.
    async fn watched(&self, mut outcome: oneshot::Receiver<TurnOutcome>) -> TurnOutcome {
        let gone = || ErrorInfo::retryable(BACKEND_EXITED, "the agent was given up");
        let mut told = false;
        loop {
            if let Ok(outcome) = tokio::time::timeout(SILENCE, &mut outcome).await {
                return outcome.unwrap_or_else(|_| TurnOutcome::Lost { error: gone() });
            }
            if !told && self.connection.idle() >= SILENCE && !self.inbox.is_asking() {
                told = true;
                let (severity, source) = (Severity::Warn, DiagnosticSource::Backend);
                let text = format!("the agent has said nothing for {} s", SILENCE.as_secs());
                self.inbox.cx.session(Body::diagnostic("acp.silent", severity, source, text)).await;
            }
        }
    }

    /// Wants a turn to end: told at once, or as soon as the agent has heard of it.
    pub(super) async fn cancel(&self, turn: Ulid) {
        let sent = {
            let mut state = self.inbox.state.lock();
            match state.turn.as_mut().filter(|running| running.id == turn) {
                Some(running) => {
                    running.cancelled = true;
                    running.sent
                }
                None => {
                    state.cancelled_early = Some(turn);
                    false
                }
            }
        };
        if sent {
            self.tell_cancel(turn).await;
        }
    }

    /// Sends `session/cancel`, once.
    async fn tell_cancel(&self, turn: Ulid) {
        let (told, session) = {
            let state = self.inbox.state.lock();
            let Some(running) = state.turn.as_ref().filter(|running| running.id == turn) else { return };
            (running.told.clone(), state.session.clone())
        };
        if told.is_cancelled() {
            return;
        }
        let _ = self.connection.notify("session/cancel", &json!({"sessionId": session})).await;
        told.cancel();
        if let Some(terminals) = self.inbox.client.as_ref().and_then(|client| client.terminals()) {
            terminals.kill_all();
        }
    }

    /// Changes a setting, and says what holds then.
    pub(super) async fn set(&self, name: &str, value: &Value) -> Result<(), ErrorInfo> {
        let change = {
            let state = self.inbox.state.lock();
            let (Some(session), Some(translator)) = (&state.session, &state.translator) else {
                return Err(ErrorInfo::new(NOT_READY, "the agent has no session yet"));
            };
            translator.settings.change(session, name, value)?
        };
        // What holds then is said by the inbox, in the order of what the agent sends.
        let answer =
            self.connection.request(change.method, Some(&change.value), &change.params, CONTROL).await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) => Err(self.explain(&error, "acp.config_refused").await),
        }
    }

    /// Nothing it does from now on is told.
    fn retire(&self) {
        self.inbox.retired.cancel();
        if let Some(terminals) = self.inbox.client.as_ref().and_then(|client| client.terminals()) {
            terminals.end();
        }
    }

    /// Kills it. A turn that runs ends as lost.
    pub(super) async fn kill(&self) {
        self.retire();
        self.inbox.vendor.kill();
        self.inbox.vendor.exited().await;
    }

    /// Gets rid of it: when this returns, nothing of it is read any more.
    pub(super) async fn discard(&self) {
        self.retire();
        self.inbox.vendor.kill();
        self.connection.end();
        let _ = tokio::time::timeout(READER, self.connection.closed()).await;
    }

    /// An error of the start, with how the process ended and what it logged last. To be called once it has been got rid of.
    pub(super) async fn with_end(&self, mut error: ErrorInfo) -> ErrorInfo {
        if let Ok(end) = tokio::time::timeout(READER, self.inbox.vendor.exit_error()).await {
            for (name, value) in end.details {
                error.details.entry(name).or_insert(value);
            }
        }
        error
    }

    /// Ends it in good order.
    pub(super) async fn stop(&self) {
        let ready = self.inbox.state.lock().ready;
        self.retire();
        if self.capabilities().close && ready {
            let session = self.inbox.state.lock().session.clone();
            let params = json!({"sessionId": session});
            let _ = self.connection.request("session/close", None, &params, CLOSE).await;
        }
        self.connection.close_stdin();
        self.inbox.vendor.stop().await;
        self.connection.end();
    }
}
