//! One session: its agent, its events, and what is known of it.
//! Turns are in `turn`, their events in `events`.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agentos_acp::schema::{SessionConfigOption, SessionConfigOptionCategory, SessionConfigOptionValue};
use agentos_acp::{EventLog, SessionView, Subscription};
use agentos_protocol::WireError;
use agentos_protocol::message::{
    JsonText, PermissionReply, SessionConfigReply, SessionEventPage, SessionInfo, SessionInitData, code,
};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::agent::Agent;
use super::errors::{invalid, wire};
use super::events::{self, permission_id};

/// How long cancel and `session/close` may take before the process is ended without them.
const GRACE: Duration = Duration::from_secs(7);

/// What is done before each turn; it is given the turn's number, from 1.
pub(super) type BeforeTurn = Box<dyn Fn(u64) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A session. It stays after its agent ended, for its events and the reason.
pub(crate) struct Session {
    pub(crate) id: String,
    pub(super) agent: Arc<Agent>,
    /// The agent's own id of it.
    pub(super) inner: String,
    pub(super) log: EventLog,
    agent_type: String,
    cwd: String,
    created: Duration,
    closed: AtomicBool,
    /// One prompt at a time, in order.
    pub(super) gate: Arc<Semaphore>,
    pub(super) queued: AtomicUsize,
    /// Counts cancels: prompts queued before one do not run after it.
    pub(super) cancels: AtomicU64,
    /// A prompt begins, or a cancel counts: never both.
    pub(super) beginning: Mutex<()>,
    /// Prompts that began.
    turns: AtomicU64,
    before_turn: OnceLock<BeforeTurn>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("agent_type", &self.agent_type)
            .finish_non_exhaustive()
    }
}

fn text(json: serde_json::Result<String>) -> Option<JsonText> {
    json.ok().map(JsonText)
}

impl Session {
    pub(super) fn new(
        id: String,
        agent_type: String,
        cwd: String,
        inner: String,
        agent: Arc<Agent>,
        log: EventLog,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            agent,
            inner,
            log,
            agent_type,
            cwd,
            created: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            closed: AtomicBool::new(false),
            gate: Arc::new(Semaphore::new(1)),
            queued: AtomicUsize::new(0),
            cancels: AtomicU64::new(0),
            beginning: Mutex::new(()),
            turns: AtomicU64::new(0),
            before_turn: OnceLock::new(),
        })
    }

    /// Has `work` done before each turn, which begins when it is over.
    pub(super) fn before_each_turn(&self, work: BeforeTurn) {
        // Set once, when the session is made.
        let _ = self.before_turn.set(work);
    }

    /// A turn begins.
    pub(super) async fn turn_begins(&self) {
        let number = self.turns.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(work) = self.before_turn.get() {
            work(number).await;
        }
    }

    /// The agent is gone, or was told to go.
    pub(super) fn is_over(&self) -> bool {
        self.agent.is_over()
    }

    /// The client closed it: it is no longer listed.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(super) fn failed(&self, error: agentos_acp::Error) -> WireError {
        wire(&self.id, &self.agent, error)
    }

    fn view(&self) -> Result<SessionView, WireError> {
        self.agent.peer.session(&self.inner).map_err(|e| self.failed(e))
    }

    /// As it is now, for a listing.
    pub(crate) fn info(&self) -> SessionInfo {
        let view = self.agent.peer.session(&self.inner).unwrap_or_default();
        let status = match (self.is_over(), view.running_turn) {
            (true, _) => "ended",
            (false, Some(_)) => "running",
            (false, None) => "idle",
        };
        SessionInfo {
            session_id: self.id.clone(),
            agent_type: self.agent_type.clone(),
            status: status.to_owned(),
            created_ms: u64::try_from(self.created.as_millis()).unwrap_or(u64::MAX),
            title: view.title,
        }
    }

    /// As it is now, in the agent's words.
    pub(crate) fn describe(&self) -> Result<SessionInitData, WireError> {
        let view = self.view()?;
        let profile = self.agent.peer.profile().map_err(|e| self.failed(e))?;
        let profile: Value = serde_json::from_str(profile.raw.get()).unwrap_or_default();
        let said = |member: &str| profile.get(member).filter(|v| !v.is_null()).map(JsonText::new);
        let options = &view.config_options;
        Ok(SessionInitData {
            session_id: self.id.clone(),
            agent_type: self.agent_type.clone(),
            agent_session_id: self.inner.clone(),
            pid: self.agent.pid(),
            cwd: self.cwd.clone(),
            modes: view.modes.as_ref().and_then(|modes| text(serde_json::to_string(modes))),
            models: view.models.as_ref().and_then(|models| text(serde_json::to_string(models))),
            config_options: if options.is_empty() { None } else { text(serde_json::to_string(options)) },
            capabilities: said("agentCapabilities"),
            agent_info: said("agentInfo"),
        })
    }

    /// A page of its events.
    pub(crate) fn page(
        &self,
        since: u64,
        method: Option<&str>,
        limit: Option<u32>,
    ) -> Result<SessionEventPage, WireError> {
        events::page(&self.log, since, method, limit)
    }

    /// Its events after `seq`, and the number of the last one so far.
    pub(crate) fn subscribe(&self, seq: u64) -> Result<(Subscription, u64), WireError> {
        events::subscribe(&self.log, seq)
    }

    /// Answers a permission request.
    pub(crate) async fn respond(&self, permission: &str, reply: PermissionReply) -> Result<(), WireError> {
        let id = permission_id(permission).filter(|_| !self.is_over());
        let unknown = || WireError::not_found(code::PERMISSION_REQUEST_NOT_FOUND, permission);
        let id = id.ok_or_else(unknown)?;
        let reply = match reply {
            PermissionReply::Once => agentos_acp::PermissionReply::Once,
            PermissionReply::Always => agentos_acp::PermissionReply::Always,
            PermissionReply::Reject => agentos_acp::PermissionReply::Reject,
        };
        self.agent.peer.respond_permission(&self.inner, id, reply).await.map_err(|e| self.failed(e))
    }

    pub(crate) async fn set_mode(&self, mode: &str) -> Result<(), WireError> {
        self.agent.peer.set_mode(&self.inner, mode).await.map_err(|e| self.failed(e))
    }

    pub(crate) async fn set_model(&self, model: &str) -> Result<(), WireError> {
        self.agent.peer.set_model(&self.inner, model).await.map_err(|e| self.failed(e))
    }

    /// Sets an option by its id, or the one of a category; gives all options back, as the agent now has them.
    pub(crate) async fn set_option(
        &self,
        name: &str,
        category: bool,
        value: &JsonText,
    ) -> Result<SessionConfigReply, WireError> {
        let value = match value.parse::<Value>() {
            Ok(Value::String(id)) => SessionConfigOptionValue::value_id(id),
            Ok(Value::Bool(value)) => SessionConfigOptionValue::boolean(value),
            _ => return Err(invalid("value: neither a JSON string nor a boolean")),
        };
        let peer = &self.agent.peer;
        match (category, name, &value) {
            // Agents without such an option list their thinking levels as modes.
            (true, "thought_level", SessionConfigOptionValue::ValueId { value }) => {
                peer.set_thought_level(&self.inner, &value.0).await.map_err(|e| self.failed(e))?;
            }
            (true, ..) => {
                let id = of_category(&self.view()?.config_options, name).ok_or_else(|| {
                    WireError::new(code::UNSUPPORTED, format!("the agent has no option of category {name}"))
                })?;
                peer.set_config_option(&self.inner, &id, value).await.map_err(|e| self.failed(e))?;
            }
            (false, ..) => {
                peer.set_config_option(&self.inner, name, value).await.map_err(|e| self.failed(e))?;
            }
        }
        let options = text(serde_json::to_string(&self.view()?.config_options));
        Ok(SessionConfigReply { config_options: options.unwrap_or_default() })
    }

    /// Sends a request of the client as it is. `sessionId` becomes the agent's own id where it is missing or ours.
    pub(crate) async fn raw(&self, method: &str, params: &JsonText) -> Result<JsonText, WireError> {
        if method == "session/delete" {
            return Err(invalid("session/delete cannot be sent raw: destroy the session"));
        }
        let mut params: Value = params.parse().map_err(|e| invalid(format!("params: {e}")))?;
        if params.is_null() {
            params = Value::Object(serde_json::Map::new());
        }
        if let Some(members) = params.as_object_mut() {
            let id = members.entry("sessionId").or_insert(Value::Null);
            if id.is_null() || *id == *self.id {
                *id = Value::String(self.inner.clone());
            }
        }
        let result = self.agent.peer.raw_request(method, params).await.map_err(|e| self.failed(e))?;
        Ok(JsonText(result.get().to_owned()))
    }

    /// Kills the agent with everything it started, and waits for it a limited time.
    pub(crate) async fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.agent.close().await;
    }

    /// Ends it in good order: cancel, `session/close` where the agent has it, end of input, SIGTERM, SIGKILL.
    pub(crate) async fn end(&self) {
        let peer = &self.agent.peer;
        let closes = peer
            .profile()
            .is_ok_and(|profile| profile.response.agent_capabilities.session_capabilities.close.is_some());
        let farewell = async {
            // Errors say that the agent is gone or does not want to: what follows ends it in any case.
            if closes {
                let _ = peer.close_session(&self.inner).await;
            } else {
                let _ = self.cancel().await;
            }
        };
        if !self.is_over() {
            let _ = tokio::time::timeout(GRACE, farewell).await;
            self.agent.end().await;
        }
        self.close().await;
    }
}

fn of_category(options: &[SessionConfigOption], name: &str) -> Option<String> {
    let wanted = match name {
        "mode" => SessionConfigOptionCategory::Mode,
        "model" => SessionConfigOptionCategory::Model,
        "model_config" => SessionConfigOptionCategory::ModelConfig,
        "thought_level" => SessionConfigOptionCategory::ThoughtLevel,
        other => SessionConfigOptionCategory::Other(other.to_owned()),
    };
    options.iter().find(|o| o.category.as_ref() == Some(&wanted)).map(|o| o.id.to_string())
}
