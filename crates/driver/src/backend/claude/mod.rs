//! Claude Code by its stream-json protocol: one process for a whole session, turns one after the other. It decides
//! nothing about turns, permissions and order: the kernel does.
//!
//! | file | for |
//! |---|---|
//! | `options` | how it is started |
//! | `connection` | a process: who reads it, what it was asked, who waits for it |
//! | `translate` | what it says, as events |
//! | `questions`, `custom_tools` | what it asks us |
//! | `wire` | the shapes of its messages |

mod connection;
mod custom_tools;
mod options;
mod questions;
mod translate;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::{Value, json};
use ulid::Ulid;

use crate::backend::{Backend, Context, TurnOutcome};
use crate::boot::Execution;
use crate::command::Input;
use crate::error::{BACKEND_EXITED, MALFORMED, RESUME_LOST, UNSUPPORTED};
use crate::event::{Body, Severity};
use crate::ports::Ports;
use crate::process::Vendor;
use crate::registry::{Capability, Descriptor, Port};
use crate::{ErrorInfo, Runtime};

use connection::Connection;
use custom_tools::HostTools;
use options::Options;
use translate::{Settings, Translator};

/// How long the vendor may take to be ready.
const HANDSHAKE: Duration = Duration::from_secs(60);
/// How long a vendor that takes no more input may take to end.
const EXIT: Duration = Duration::from_secs(5);

/// The backend, for a registry.
#[must_use]
pub fn descriptor() -> Descriptor {
    let can = [
        "input_start",
        "session_stop",
        "turn_cancel",
        "text_stream",
        "thinking_stream",
        "tool_stream",
        "file_change",
        "mcp_execute",
        "usage",
        "visible_activity",
        "native_resume",
        "permission_request",
        "custom_tool_execute",
        "config_set",
    ];
    let mut capabilities: Vec<Capability> = can.map(Capability::supported).to_vec();
    capabilities.push(Capability::unsupported("turn_steer"));
    Descriptor {
        id: "claude-agent-sdk",
        runtime: Runtime::Claude,
        aliases: vec!["claude"],
        capabilities,
        required_ports: vec![Port::EventSink, Port::Logger, Port::Permission, Port::Mcp, Port::Skill],
        unsupported_gaps: vec![
            "what is said to a turn that runs waits for the next one",
            "files that a shell command changes are not reported",
            "sound in a prompt becomes a note",
            "the grants of MCP servers are in the arguments of the process",
        ],
        create: Arc::new(|execution: &Execution, _: &Ports| {
            Ok(Arc::new(Claude::new(execution)?) as Arc<dyn Backend>)
        }),
    }
}

/// The backend of one session.
struct Claude {
    options: Options,
    state: Arc<Mutex<Translator>>,
    tools: Arc<HostTools>,
    connection: Mutex<Option<Arc<Connection>>>,
}

impl Drop for Claude {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.get_mut().take() {
            connection.abandon();
        }
    }
}

fn resume_lost() -> ErrorInfo {
    ErrorInfo::new(RESUME_LOST, "the agent does not know the session any more")
}

fn gone() -> ErrorInfo {
    ErrorInfo::retryable(BACKEND_EXITED, "the agent does not run")
}

impl Claude {
    fn new(execution: &Execution) -> Result<Self, ErrorInfo> {
        let options = Options::of(execution)?;
        let settings = Settings::new(&options.model, &options.permission_mode);
        let server = options.host_server();
        Ok(Claude {
            state: Arc::new(Mutex::new(Translator::new(options.subagents, &server, settings))),
            tools: Arc::new(HostTools::new(server, &execution.custom_tools)),
            options,
            connection: Mutex::default(),
        })
    }

    fn connection(&self) -> Option<Arc<Connection>> {
        self.connection.lock().clone()
    }

    /// Says which servers are left out.
    async fn skipped(&self, cx: &Context) {
        for server in super::options::left_out(&cx.execution) {
            let mut of =
                translate::diagnostic("mcp.server_skipped", Severity::Info, "an MCP server cannot be used");
            of.reason = Some(server.authorization_state.clone());
            of.details.insert("serverId".to_owned(), server.server_id.clone().into());
            of.details.insert("name".to_owned(), server.name.clone().into());
            cx.session(Body::DiagnosticReported(of)).await;
        }
    }

    async fn begin(&self, cx: &Context) -> Result<(), ErrorInfo> {
        let earlier = self.connection.lock().take();
        match &earlier {
            Some(earlier) => earlier.retire().await,
            None => self.skipped(cx).await,
        }
        let (reference, total) = cx.resume_ref();
        let resume = reference.map(|reference| reference.value);
        let settings = {
            let mut state = self.state.lock();
            if resume.is_some() && state.lost() == resume.as_deref() {
                return Err(resume_lost());
            }
            state.process(resume.clone(), total);
            state.settings().clone()
        };
        let spec = self.options.launch(
            &cx.execution,
            &settings.model,
            &settings.mode,
            resume.as_deref(),
            (cx.skills(), cx.skill_catalog()),
        );
        let (vendor, output) = Vendor::launch(&*cx.ports.launcher, spec).await?;
        let connection = Connection::open(cx, &self.state, &self.tools, vendor, output);
        *self.connection.lock() = Some(Arc::clone(&connection));
        let mut initialize =
            json!({ "subtype": "initialize", "hooks": questions::hooks(self.options.ask_always) });
        let servers = self.tools.servers();
        if !servers.is_empty() {
            initialize["sdkMcpServers"] = json!(servers);
        }
        let answer = tokio::select! {
            biased;
            answer = connection.request(&initialize, Some(HANDSHAKE)) => answer,
            error = connection.ended() => Err(error),
        };
        let answer = match answer {
            Ok(answer) => answer,
            // That it ended says less than how it ended.
            Err(error) if error.code == BACKEND_EXITED => {
                let ended = tokio::time::timeout(EXIT, connection.ended()).await;
                connection.kill();
                return Err(ended.unwrap_or(error));
            }
            Err(error) => {
                connection.kill();
                return Err(error);
            }
        };
        let bodies = self.state.lock().initialized(&answer);
        for body in bodies {
            cx.session(body).await;
        }
        connection.ready()
    }

    async fn input(&self, input: &Input, turn: Ulid) -> TurnOutcome {
        let Some(connection) = self.connection() else { return TurnOutcome::Lost { error: gone() } };
        connection.calm().await;
        if !self.state.lock().begin(turn) {
            return TurnOutcome::Cancelled;
        }
        let ended = match connection.wait() {
            Ok(ended) => ended,
            Err(error) => return TurnOutcome::Lost { error },
        };
        let mut ended = ended;
        if !connection.send(&wire::user(&input.blocks())).await {
            // It reads no more: it is about to end, or of no use.
            if let Ok(outcome) = tokio::time::timeout(EXIT, &mut ended).await {
                return outcome.unwrap_or_else(|_| TurnOutcome::Lost { error: gone() });
            }
            connection.kill();
        }
        ended.await.unwrap_or_else(|_| TurnOutcome::Lost { error: gone() })
    }

    async fn set(&self, cx: &Context, id: &str, value: &Value) -> Result<(), ErrorInfo> {
        let Some(text) = value.as_str() else {
            return Err(ErrorInfo::new(MALFORMED, "value: not a string"));
        };
        let connection = self.connection().ok_or_else(gone)?;
        let bodies = match id {
            "model" => {
                let request = match text {
                    "" | "default" => json!({ "subtype": "set_model" }),
                    model => json!({ "subtype": "set_model", "model": model }),
                };
                connection.request(&request, None).await?;
                self.state.lock().set(Some(text), None)
            }
            "permission_mode" => {
                let request = json!({ "subtype": "set_permission_mode", "mode": text });
                let answer = connection.request(&request, None).await?;
                self.state.lock().set(None, Some(wire::word(&answer, "mode").unwrap_or(text)))
            }
            other => return Err(ErrorInfo::new(UNSUPPORTED, format!("there is no setting {other}"))),
        };
        for body in bodies {
            cx.session(body).await;
        }
        Ok(())
    }
}

impl Backend for Claude {
    fn runtime(&self) -> Runtime {
        Runtime::Claude
    }

    fn start<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<(), ErrorInfo>> {
        Box::pin(self.begin(cx))
    }

    fn handle_input<'a>(
        &'a self,
        _: &'a Context,
        input: &'a Input,
        turn: Ulid,
    ) -> BoxFuture<'a, TurnOutcome> {
        Box::pin(self.input(input, turn))
    }

    fn cancel<'a>(&'a self, _: &'a Context, turn: Ulid, _: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let interrupt = self.state.lock().cancel(turn);
            if let Some(connection) = self.connection().filter(|_| interrupt) {
                connection.interrupt().await;
            }
        })
    }

    fn kill<'a>(&'a self, _: &'a Context) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Some(connection) = self.connection() {
                connection.kill();
            }
        })
    }

    fn config_set<'a>(
        &'a self,
        cx: &'a Context,
        config_id: &'a str,
        value: &'a Value,
    ) -> BoxFuture<'a, Result<(), ErrorInfo>> {
        Box::pin(self.set(cx, config_id, value))
    }

    fn stop<'a>(&'a self, _: &'a Context, _: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let connection = self.connection();
            if let Some(connection) = connection {
                connection.stop().await;
                connection.retire().await;
            }
        })
    }
}
