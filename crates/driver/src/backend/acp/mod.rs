//! Any agent that speaks the Agent Client Protocol, version 1. The wire is that of `agentos-acp`; here is what its messages
//! mean for a session. Turns, permissions and order are the kernel's.
//!
//! | file | for |
//! |---|---|
//! | `options` | how the agent is started |
//! | `agent` | one process of it, from start to end |
//! | `inbox` | what it sends, in order |
//! | `handshake` | from its start to its session |
//! | `translate` | updates as events |
//! | `questions` | permissions and questions |
//! | `prompt`, `settings` | what it is told |
//! | `files`, `terminals`, `client` | files and programs that it may use, if it may |

mod agent;
mod client;
mod files;
mod handshake;
mod inbox;
mod member;
mod options;
mod prompt;
mod questions;
mod settings;
mod terminals;
mod translate;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use agentos_acp::Limits;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::Value;
use serde_json::value::RawValue;
use ulid::Ulid;

use super::{Backend, Context, Description, TurnOutcome};
use crate::command::Input;
use crate::error::BACKEND_EXITED;
use crate::event::{Body, DiagnosticSource, Severity, StopReason};
use crate::registry::{Capability, Descriptor, Port};
use crate::{ErrorInfo, Runtime};
use agent::Agent;
use options::Options;

/// Whose events they are.
const PROVIDER: &str = "acp-fallback";
/// Settings that an agent is told again when it is started anew.
const MAX_SET: usize = 64;
/// The agent answered a prompt with an error.
const TURN_FAILED: &str = "acp.turn_failed";

/// What an agent can do.
#[derive(Clone, Debug, Default, PartialEq)]
struct Capabilities {
    image: bool,
    audio: bool,
    embedded_context: bool,
    mcp_http: bool,
    mcp_sse: bool,
    load: bool,
    resume: bool,
    close: bool,
    additional_directories: bool,
    system_prompt: bool,
}

impl Capabilities {
    /// Reads `agentCapabilities`; what is not there is not supported.
    fn of(all: &Value) -> Self {
        let none = Value::Null;
        let prompt = all.get("promptCapabilities").unwrap_or(&none);
        let session = all.get("sessionCapabilities").unwrap_or(&none);
        Capabilities {
            image: member::is_there(prompt, "image"),
            audio: member::is_there(prompt, "audio"),
            embedded_context: member::is_there(prompt, "embeddedContext"),
            mcp_http: member::is_there(all.get("mcpCapabilities").unwrap_or(&none), "http"),
            mcp_sse: member::is_there(all.get("mcpCapabilities").unwrap_or(&none), "sse"),
            load: member::is_there(all, "loadSession"),
            resume: member::is_there(session, "resume"),
            close: member::is_there(session, "close"),
            additional_directories: member::is_there(session, "additionalDirectories"),
            system_prompt: member::is_there(session, "systemPrompt"),
        }
    }
}

/// How much an agent is trusted, and how long it may take: what depends on where it runs and not on the session.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Bounds of the wire.
    pub limits: Limits,
    /// How long `initialize` may take.
    pub initialize: Duration,
    /// How long `session/new`, `load` and `resume` may take.
    pub session: Duration,
    /// Whether somebody fills in the forms of `elicitation/create`; if not, agents are not told that they may ask.
    pub elicitation: bool,
}

impl Default for Profile {
    /// A line that cannot be used is skipped, a flood of them is not; agents take their time.
    fn default() -> Self {
        let limits = Limits {
            line_bytes: 16 << 20,
            skip_long_lines: true,
            garbage_lines: 1000,
            useless_bytes: 512 << 20,
            write_queue_bytes: 32 << 20,
            ..Limits::default()
        };
        let (initialize, session) = (Duration::from_secs(60), Duration::from_secs(100));
        Profile { limits, initialize, session, elicitation: true }
    }
}

impl Profile {
    /// For agents that are not trusted and run in a machine: the limits of the protocol's own page, and no forms.
    #[must_use]
    pub fn guest() -> Self {
        let (initialize, session) = (Duration::from_secs(30), Duration::from_secs(60));
        Profile { limits: Limits::default(), initialize, session, elicitation: false }
    }
}

/// The backend for agents that speak ACP.
#[must_use]
pub fn descriptor() -> Descriptor {
    descriptor_with(Profile::default())
}

/// The same for agents of a kind.
#[must_use]
pub fn descriptor_with(profile: Profile) -> Descriptor {
    let profile = Arc::new(profile);
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
        "config_set",
    ];
    let mut capabilities: Vec<Capability> = can.into_iter().map(Capability::supported).collect();
    capabilities.extend(["custom_tool_execute", "turn_steer"].map(Capability::unsupported));
    Descriptor {
        id: PROVIDER,
        runtime: Runtime::Acp,
        aliases: vec!["acp"],
        capabilities,
        required_ports: vec![
            Port::EventSink,
            Port::Logger,
            Port::Permission,
            Port::Mcp,
            Port::Skill,
            Port::File,
            Port::HostIntegration,
        ],
        unsupported_gaps: vec![
            "tools of the host: offer them by an MCP server",
            "resume of agents that can neither resume nor load a session",
        ],
        create: Arc::new(move |execution, _| {
            Ok(Arc::new(Acp::new(Options::of(execution)?, Arc::clone(&profile))))
        }),
    }
}

/// One session of an ACP agent.
#[derive(Debug)]
struct Acp {
    options: Options,
    profile: Arc<Profile>,
    /// The process that runs now.
    agent: Mutex<Option<Arc<Agent>>>,
    /// A session was begun that has not heard its guide.
    guide_due: Arc<AtomicBool>,
    /// What the host has set: an agent that is started anew is told again.
    set: Mutex<BTreeMap<String, Value>>,
}

impl Acp {
    fn new(options: Options, profile: Arc<Profile>) -> Self {
        Acp { options, profile, agent: Mutex::new(None), guide_due: Arc::default(), set: Mutex::default() }
    }

    fn current(&self) -> Option<Arc<Agent>> {
        self.agent.lock().clone()
    }

    /// An agent that is started anew is told this setting again.
    fn remember(&self, name: &str, value: &Value) {
        let mut set = self.set.lock();
        if set.len() < MAX_SET || set.contains_key(name) {
            set.insert(name.to_owned(), value.clone());
        }
    }

    async fn begin(&self, cx: &Context) -> Result<(), ErrorInfo> {
        let old = self.agent.lock().take();
        if let Some(old) = old {
            old.discard().await;
        }
        let guide = prompt::guide(cx);
        let agent =
            Arc::new(Agent::launch(cx, &self.options, &self.profile, Arc::clone(&self.guide_due)).await?);
        // From now on it can be killed.
        *self.agent.lock() = Some(Arc::clone(&agent));
        let opened = handshake::open(&agent, cx, &self.options, &self.profile, guide).await;
        if let Err(error) = opened {
            self.agent.lock().take_if(|now| Arc::ptr_eq(now, &agent));
            agent.discard().await;
            return Err(agent.with_end(error).await);
        }
        let set = self.set.lock().clone();
        for (name, value) in set {
            if let Err(error) = agent.set(&name, &value).await {
                let text = format!("{name} is not what it was set to: {}", error.message);
                let (severity, source) = (Severity::Warn, DiagnosticSource::Backend);
                cx.session(Body::diagnostic("acp.setting_lost", severity, source, text)).await;
            }
        }
        Ok(())
    }
}

impl Backend for Acp {
    fn runtime(&self) -> Runtime {
        Runtime::Acp
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
        Box::pin(async move {
            let Some(agent) = self.current() else {
                return TurnOutcome::Lost {
                    error: ErrorInfo::retryable(BACKEND_EXITED, "the agent does not run"),
                };
            };
            match prompt::blocks(&input.given(), &agent.capabilities()) {
                Ok(blocks) => agent.prompt(turn, blocks, &input.native).await,
                Err(error) => TurnOutcome::Failed { error, stop_reason: StopReason::Error },
            }
        })
    }

    fn takes_native(&self) -> bool {
        true
    }

    fn cancel<'a>(&'a self, _: &'a Context, turn: Ulid, _: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Some(agent) = self.current() {
                agent.cancel(turn).await;
            }
        })
    }

    fn kill<'a>(&'a self, _: &'a Context) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Some(agent) = self.current() {
                agent.kill().await;
            }
        })
    }

    fn config_set<'a>(
        &'a self,
        _: &'a Context,
        config_id: &'a str,
        value: &'a Value,
    ) -> BoxFuture<'a, Result<(), ErrorInfo>> {
        Box::pin(async move {
            match self.current() {
                Some(agent) => {
                    agent.set(config_id, value).await?;
                    self.remember(config_id, value);
                    Ok(())
                }
                None => Err(ErrorInfo::retryable(BACKEND_EXITED, "the agent does not run")),
            }
        })
    }

    fn describe(&self) -> Option<Description> {
        self.current().map(|agent| agent.describe())
    }

    fn native_request<'a>(
        &'a self,
        _: &'a Context,
        method: &'a str,
        params: &'a Value,
    ) -> BoxFuture<'a, Result<Box<RawValue>, ErrorInfo>> {
        Box::pin(async move {
            match self.current() {
                Some(agent) => {
                    let answer = agent.native_request(method, params).await?;
                    let (name, value) = match method {
                        "session/set_config_option" => (member::text(params, "configId"), "value"),
                        "session/set_mode" => (Some("mode"), "modeId"),
                        "session/set_model" => (Some("model"), "modelId"),
                        _ => (None, ""),
                    };
                    if let (Some(name), Some(value)) = (name, params.get(value)) {
                        self.remember(name, value);
                    }
                    Ok(answer)
                }
                None => Err(ErrorInfo::retryable(BACKEND_EXITED, "the agent does not run")),
            }
        })
    }

    fn native_notification<'a>(
        &'a self,
        _: &'a Context,
        method: &'a str,
        params: &'a Value,
    ) -> BoxFuture<'a, Result<(), ErrorInfo>> {
        Box::pin(async move {
            match self.current() {
                Some(agent) => agent.native_notification(method, params).await,
                None => Err(ErrorInfo::retryable(BACKEND_EXITED, "the agent does not run")),
            }
        })
    }

    fn stop<'a>(&'a self, _: &'a Context, _: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let agent = self.agent.lock().take();
            if let Some(agent) = agent {
                agent.stop().await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_advertised_is_not_supported() {
        assert_eq!(Capabilities::of(&Value::Null), Capabilities::default());
        let some = Capabilities::of(&json!({
            "loadSession": true, "promptCapabilities": {"image": true, "audio": false},
            "sessionCapabilities": {"resume": {}, "close": null, "list": {}}, "mcpCapabilities": 7,
        }));
        let expected = Capabilities { load: true, image: true, resume: true, ..Capabilities::default() };
        assert_eq!(some, expected);
    }

    #[test]
    fn the_descriptor_can_be_registered() {
        let mut registry = crate::Registry::new();
        registry.register(descriptor()).unwrap();
        assert!(registry.find("acp-fallback", Runtime::Acp).is_ok());
        assert!(registry.find("acp-fallback", Runtime::Claude).is_err());
    }
}
