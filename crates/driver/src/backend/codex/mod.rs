//! Codex by its app server: JSON-RPC over the standard streams of one process for the whole session. What can be
//! overridden in `execution.providerOptions` is described in [`options`].

mod connection;
mod failure;
mod items;
pub mod options;
mod questions;
mod requests;
mod tokens;
mod translate;
mod turn;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use ulid::Ulid;

use crate::command::Input;
use crate::error::{NOT_READY, RESUME_LOST, UNSUPPORTED};
use crate::event::{Body, ConfigOption, DiagnosticSource, SessionInfo, Severity};
use crate::registry::{Capability, Descriptor, Port};
use crate::{ErrorInfo, ResumeRef, Runtime};

use super::{Backend, Context, TurnOutcome};
use connection::{CallError, Connection};
use translate::Translator;

/// The name of the backend: its transport.
pub const ID: &str = "openai-app-server";
/// The code of a start that the vendor refused.
const START_FAILED: &str = "openai.start_failed";
/// How long the vendor may take to hear more.
const STEER: Duration = Duration::from_secs(30);
/// Settings that can be changed: parameters of the turns that follow.
const SETTINGS: [(&str, &str); 3] =
    [("model", "Model"), ("effort", "Reasoning effort"), ("approvalPolicy", "When to ask")];

/// The backend, for a registry.
#[must_use]
pub fn descriptor() -> Descriptor {
    let capabilities = [
        "input_start",
        "session_stop",
        "turn_cancel",
        "text_stream",
        "thinking_stream",
        "tool_stream",
        "file_change",
        "permission_request",
        "mcp_execute",
        "usage",
        "visible_activity",
        "native_resume",
        "custom_tool_execute",
        "turn_steer",
        "config_set",
    ];
    Descriptor {
        id: ID,
        runtime: Runtime::OpenAi,
        aliases: vec!["codex-app-server"],
        capabilities: capabilities.into_iter().map(Capability::supported).collect(),
        required_ports: vec![Port::EventSink, Port::Logger, Port::Permission, Port::Mcp, Port::Skill],
        unsupported_gaps: vec![
            "the vendor names no cost",
            "sound is left out of input",
            "tools of the host are declared when a thread begins, and stay as they were when it is resumed",
        ],
        create: Arc::new(|execution, _| {
            options::check(execution)?;
            Ok(Arc::new(Codex::default()) as Arc<dyn Backend>)
        }),
    }
}

/// The backend of one session.
#[derive(Default)]
struct Codex {
    connection: Mutex<Option<Arc<Connection>>>,
    /// A thread that was begun here and that no turn ran in: the vendor may not have kept it.
    unused: Mutex<Option<String>>,
    settings: Mutex<Map<String, Value>>,
}

impl Drop for Codex {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.get_mut() {
            connection.close();
        }
    }
}

fn refused(what: &str, error: CallError) -> ErrorInfo {
    match error {
        CallError::Refused(error) => {
            ErrorInfo::new(START_FAILED, format!("{what}: {}", error.message)).with("code", error.code)
        }
        CallError::Gone(error) => error,
    }
}

impl Codex {
    fn current(&self) -> Option<Arc<Connection>> {
        self.connection.lock().clone()
    }

    async fn begin(&self, cx: &Context) -> Result<(), ErrorInfo> {
        let before = self.current();
        let translator = before.as_ref().map_or_else(Translator::default, |before| {
            before.close();
            before.renewed()
        });
        if before.is_none() {
            for server in super::options::left_out(&cx.execution) {
                let (name, state) = (&server.name, &server.authorization_state);
                let text = format!("the MCP server {name} is left out: {state}");
                let (code, source) = ("mcp.server_skipped", DiagnosticSource::Backend);
                cx.session(Body::diagnostic(code, Severity::Info, source, text)).await;
            }
        }
        let connection = Connection::open(cx, translator).await?;
        *self.connection.lock() = Some(Arc::clone(&connection));
        let initialize = options::initialize(&cx.execution);
        connection.call("initialize", &initialize).await.map_err(|error| refused("initialize", error))?;
        connection.tell("initialized").await;
        self.thread(cx, &connection).await
    }

    /// Begins a thread, or resumes the one of the session.
    async fn thread(&self, cx: &Context, connection: &Connection) -> Result<(), ErrorInfo> {
        let told = (cx.skills(), cx.skill_catalog());
        let resume = cx.resume_ref().0.map(|reference| reference.value);
        let mut is_new = resume.is_none();
        let mut begun = Err(CallError::Gone(ErrorInfo::new(START_FAILED, "no thread")));
        if let Some(thread) = &resume {
            begun =
                connection.call("thread/resume", &options::thread(&cx.execution, told, Some(thread))).await;
            // What nothing was ever said in, nothing is lost with.
            is_new = matches!(begun, Err(CallError::Refused(_))) && *self.unused.lock() == resume;
        }
        if is_new {
            begun = connection.call("thread/start", &options::thread(&cx.execution, told, None)).await;
        }
        let answer = begun.map_err(|error| match (error, is_new) {
            (CallError::Refused(error), false) => {
                let text = format!("the agent cannot resume its thread: {}", error.message);
                ErrorInfo::new(RESUME_LOST, text)
            }
            (error, _) => refused("thread/start", error),
        })?;
        let thread = answer.get("thread").unwrap_or(&Value::Null);
        let Some(id) = wire::name(thread, "id") else {
            return Err(ErrorInfo::new(START_FAILED, "the agent began a thread without an id"));
        };
        if is_new {
            *self.unused.lock() = Some(id.to_owned());
        }
        connection.begin_thread(id, is_new);
        cx.resumable(ResumeRef::new(Runtime::OpenAi, id), None).await;
        let either = |name: &str| wire::text(&answer, name).or(wire::text(thread, name)).map(str::to_owned);
        let info = SessionInfo {
            model: either("model"),
            cwd: either("cwd"),
            vendor_version: wire::text(thread, "cliVersion").map(str::to_owned),
            title: wire::text(thread, "name").map(str::to_owned),
            tools: None,
        };
        cx.session(Body::SessionInfoUpdated(info)).await;
        connection.ready()
    }
}

impl Backend for Codex {
    fn runtime(&self) -> Runtime {
        Runtime::OpenAi
    }

    fn start<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<(), ErrorInfo>> {
        Box::pin(self.begin(cx))
    }

    fn handle_input<'a>(
        &'a self,
        cx: &'a Context,
        input: &'a Input,
        turn: Ulid,
    ) -> BoxFuture<'a, TurnOutcome> {
        Box::pin(async move {
            let Some(connection) = self.current() else {
                let error = ErrorInfo::retryable(crate::error::BACKEND_EXITED, "the agent was not started");
                return TurnOutcome::Lost { error };
            };
            self.unused.lock().take();
            let settings = self.settings.lock().clone();
            connection.turn(cx, turn, input, &settings).await
        })
    }

    fn cancel<'a>(&'a self, cx: &'a Context, turn: Ulid, _reason: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Some(connection) = self.current() {
                connection.cancel(cx, turn).await;
            }
        })
    }

    fn kill<'a>(&'a self, _cx: &'a Context) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Some(connection) = self.current() {
                connection.close();
            }
        })
    }

    fn steer<'a>(
        &'a self,
        _cx: &'a Context,
        input: &'a Input,
        turn: Ulid,
    ) -> BoxFuture<'a, Result<(), ErrorInfo>> {
        Box::pin(async move {
            let native = self.current().and_then(|connection| Some((connection.native(turn)?, connection)));
            let Some(((thread, native), connection)) = native else {
                return Err(ErrorInfo::retryable(NOT_READY, "the agent has not begun the turn yet"));
            };
            let params =
                json!({ "threadId": thread, "expectedTurnId": native, "input": options::blocks(input) });
            match tokio::time::timeout(STEER, connection.call("turn/steer", &params)).await {
                Ok(answer) => answer.map(|_| ()).map_err(|error| refused("turn/steer", error)),
                Err(_) => Err(ErrorInfo::retryable(NOT_READY, "the agent did not answer turn/steer")),
            }
        })
    }

    fn config_set<'a>(
        &'a self,
        cx: &'a Context,
        config_id: &'a str,
        value: &'a Value,
    ) -> BoxFuture<'a, Result<(), ErrorInfo>> {
        Box::pin(async move {
            if !SETTINGS.iter().any(|(id, _)| *id == config_id) || !value.is_string() {
                let text = format!("the backend has no setting {config_id} with such a value");
                return Err(ErrorInfo::new(UNSUPPORTED, text));
            }
            let settings = {
                let mut settings = self.settings.lock();
                settings.insert(config_id.to_owned(), value.clone());
                settings.clone()
            };
            let options = SETTINGS.iter().filter_map(|(id, name)| {
                let value = settings.get(*id)?.clone();
                Some(ConfigOption { id: (*id).to_owned(), name: (*name).to_owned(), value, choices: None })
            });
            cx.session(Body::SessionConfigUpdated { options: options.collect(), mode_id: None }).await;
            Ok(())
        })
    }

    fn stop<'a>(&'a self, _cx: &'a Context, _reason: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Some(connection) = self.current() {
                connection.stop().await;
            }
        })
    }
}
