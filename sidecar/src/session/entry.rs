//! One session: what is kept of it, and the Driver Kernel that runs it while its agent lives. Turns are in `turn`, the way
//! into a kernel in `boot`, what its events mean in `sink`.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use agentos_driver::command::{Decision, Order};
use agentos_driver::error::RESUME_LOST;
use agentos_driver::event::{Body, Event};
use agentos_driver::{Command, ErrorInfo, Kernel, State};
use agentos_egress::Granted;
use agentos_protocol::WireError;
use agentos_protocol::message::{
    JsonText, PermissionReply, SessionConfigReply, SessionInfo, SessionInitData, code,
};
use agentos_store::StoreError;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use ulid::Ulid;

use super::errors::{invalid, unsupported, wire};
use super::head::Head;
use super::interrupted::close_open;
use super::launch::Guest;
use super::log::EventLog;
use super::protocol::Protocol;
use super::remote::Headers;
use super::sink::{Turns, has_lost_history};
use super::texts::ClientFiles;

/// How long the end of a session that is killed may take.
const KILL_TIME: Duration = Duration::from_secs(12);
/// Methods that begin or end something the kernel has to know of.
const RESERVED: &[&str] = &[
    "initialize",
    "authenticate",
    "logout",
    "session/new",
    "session/load",
    "session/resume",
    "session/fork",
    "session/prompt",
    "session/cancel",
    "session/close",
    "session/delete",
];

/// What is done before each turn; it is given the turn's number, from 1.
pub(super) type BeforeTurn = Box<dyn Fn(u64) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What is kept of a session, whether its agent runs or not.
pub(crate) struct Record {
    pub(super) log: EventLog,
    pub(super) turns: Turns,
    pub(super) head: Mutex<Head>,
    /// Why it ended, if that was an accident.
    pub(super) failure: Mutex<Option<ErrorInfo>>,
    /// Its log takes no more.
    pub(super) broken: CancellationToken,
    /// Of its MCP servers elsewhere.
    pub(super) headers: Mutex<Headers>,
    /// What allows those to be reached, as long as its agent runs.
    pub(super) grants: Mutex<Vec<Granted>>,
    /// The number of the last event that was taken note of.
    pub(super) noted: watch::Sender<u64>,
    /// The client that has texts for its agent.
    pub(super) client_files: Mutex<Option<ClientFiles>>,
}

impl Record {
    pub(super) fn new(log: EventLog, head: Head, headers: Headers) -> Self {
        Record {
            log,
            turns: Turns::default(),
            head: Mutex::new(head),
            failure: Mutex::default(),
            broken: CancellationToken::new(),
            headers: Mutex::new(headers),
            grants: Mutex::default(),
            noted: watch::Sender::new(0),
            client_files: Mutex::default(),
        }
    }

    /// Takes note of what an event in the log says of the session.
    pub(super) fn note(&self, event: &Event) {
        match &event.body {
            Body::SessionResumeUpdated(update) => self.change(|head| {
                head.resume = Some(update.reference.clone());
                head.cost_total = update.cost_total;
            }),
            Body::SessionInfoUpdated(info) if info.title.is_some() => {
                self.change(|head| head.title.clone_from(&info.title));
            }
            Body::SessionEnded(ended) => {
                self.failure.lock().clone_from(&ended.error);
                self.grants.lock().clear();
                self.log.end();
            }
            Body::DiagnosticReported(_) if has_lost_history(event) => {
                self.change(|head| head.history_due = true);
            }
            _ => {}
        }
    }

    /// Changes what is kept.
    pub(super) fn change(&self, change: impl FnOnce(&mut Head)) {
        let bytes = {
            let mut head = self.head.lock();
            change(&mut head);
            head.bytes()
        };
        if let Err(error) = self.log.set_head(&bytes) {
            tracing::warn!(%error, "what is kept of a session is older than it should be");
        }
    }

    /// Whether an agent that does not know its session any more is to begin a new one, which is told what was said before. Agents
    /// that speak ACP do that by themselves.
    pub(super) fn begins_anew(&self) -> bool {
        let lost = self.failure.lock().as_ref().is_some_and(|error| error.code == RESUME_LOST);
        let begins = lost && self.head.lock().resume.is_some();
        if begins {
            self.change(|head| (head.resume, head.history_due) = (None, true));
        }
        begins
    }

    /// Events cannot be kept any more.
    pub(super) fn lost_log(&self, error: &StoreError) {
        tracing::error!(%error, "the log of a session cannot be written: the session is ended");
        let text = format!("its events cannot be kept any more: {error}");
        *self.failure.lock() = Some(ErrorInfo::new("agentos.log_failed", text));
        self.grants.lock().clear();
        self.broken.cancel();
    }
}

/// A kernel and the agent's process behind it.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) kernel: Kernel,
    pub(super) guest: Arc<dyn Guest>,
    /// Ends who watches over its log.
    pub(super) _watch: Arc<DropGuard>,
}

/// A session. It stays after its agent ended, for its events and the reason.
pub(crate) struct Session {
    pub(crate) id: String,
    pub(super) record: Arc<Record>,
    pub(super) live: Mutex<Option<Live>>,
    /// It is begun or ended by one at a time.
    pub(super) changing: tokio::sync::Mutex<()>,
    closed: AtomicBool,
    /// One prompt at a time, in order.
    pub(super) gate: Arc<Semaphore>,
    pub(super) queued: AtomicUsize,
    /// Counts cancels: prompts queued before one do not run after it.
    pub(super) cancels: AtomicU64,
    /// The turn that somebody waits for. A prompt begins, or a cancel counts: never both.
    pub(super) beginning: Mutex<Option<Ulid>>,
    /// Prompts that began.
    turns: AtomicU64,
    before_turn: OnceLock<BeforeTurn>,
    /// What an earlier process left open is closed.
    pub(super) settled: tokio::sync::OnceCell<()>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(id: String, log: EventLog, head: Head, headers: Headers) -> Arc<Self> {
        let closed = head.ended;
        if closed {
            log.end();
        }
        Arc::new(Session {
            id,
            record: Arc::new(Record::new(log, head, headers)),
            live: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            closed: AtomicBool::new(closed),
            gate: Arc::new(Semaphore::new(1)),
            queued: AtomicUsize::new(0),
            cancels: AtomicU64::new(0),
            beginning: Mutex::default(),
            turns: AtomicU64::new(0),
            before_turn: OnceLock::new(),
            settled: tokio::sync::OnceCell::new(),
        })
    }

    /// Closes what an earlier process left open, once, before anybody reads on.
    pub(super) async fn settle(&self) {
        if self.live.lock().is_some() || !self.record.log.is_stored() {
            return;
        }
        // What there is can be read all the same.
        if let Err(error) = self.settled.get_or_try_init(|| close_open(&self.record.log)).await {
            tracing::warn!(session = %self.id, %error, "a turn that was cut off has no end");
        }
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

    /// Its agent runs, or is being started anew.
    pub(super) fn is_live(&self) -> bool {
        self.live.lock().as_ref().is_some_and(|live| !live.kernel.state().is_terminal())
    }

    /// The client closed it: it is no longer listed.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// It goes on.
    pub(super) fn reopen(&self) {
        self.closed.store(false, Ordering::SeqCst);
        if self.record.head.lock().ended {
            self.record.change(|head| head.ended = false);
        }
    }

    /// An error of its kernel or agent, as the wire has it.
    pub(super) fn failed(&self, error: &ErrorInfo) -> WireError {
        wire(error)
    }

    /// Why nothing can be done with it.
    pub(super) fn gone(&self) -> WireError {
        let failure = self.record.failure.lock().clone();
        match failure {
            Some(error) => self.failed(&error),
            None if self.record.log.is_stored() && !self.is_closed() => {
                invalid("the session is suspended: resume it")
            }
            None => WireError::agent("the session is closed", Default::default()),
        }
    }

    /// Its kernel.
    pub(super) fn kernel(&self) -> Result<Kernel, WireError> {
        let live = self.live.lock().as_ref().map(|live| live.kernel.clone());
        live.filter(|kernel| !kernel.state().is_terminal()).ok_or_else(|| self.gone())
    }

    /// As it is now, for a listing.
    pub(crate) fn info(&self) -> SessionInfo {
        let state = self.live.lock().as_ref().map(|live| live.kernel.state());
        let status = match state {
            Some(State::Running | State::NeedsApproval) => "running",
            Some(State::Starting | State::Ready) => "idle",
            Some(State::Stopping | State::Stopped | State::Failed) => "ended",
            None if self.is_closed() || !self.record.log.is_stored() => "ended",
            None => "suspended",
        };
        // Before the lock: it may have to be read.
        let updated_ms = self.record.log.last_ms();
        let head = self.record.head.lock();
        SessionInfo {
            session_id: self.id.clone(),
            agent_type: head.setup.agent.id.clone(),
            status: status.to_owned(),
            created_ms: head.created_ms,
            updated_ms: updated_ms.unwrap_or(head.created_ms),
            last_seq: self.record.log.range().end.saturating_sub(1),
            cwd: head.setup.cwd.clone(),
            additional_directories: head.setup.additional_directories.clone(),
            title: head.title.clone(),
        }
    }

    /// As it is now, in the agent's words.
    pub(crate) fn describe(&self) -> Result<SessionInitData, WireError> {
        let kernel = self.kernel()?;
        let pid = self.live.lock().as_ref().map_or(0, |live| live.guest.pid());
        let said = kernel.describe().unwrap_or_default();
        let native = kernel.resume_ref().0.map(|reference| reference.value);
        let json = |value: Option<&Value>| value.map(JsonText::new);
        let head = self.record.head.lock();
        Ok(SessionInitData {
            session_id: self.id.clone(),
            agent_type: head.setup.agent.id.clone(),
            agent_session_id: said.session_id.or(native).unwrap_or_default(),
            pid,
            cwd: head.setup.cwd.clone(),
            modes: json(said.modes.as_ref()),
            models: json(said.models.as_ref()),
            config_options: (!said.config_options.is_empty())
                .then(|| JsonText::new(&Value::Array(said.config_options.clone()))),
            capabilities: json(said.capabilities.as_ref()),
            agent_info: json(said.info.as_ref()),
        })
    }

    /// Answers a permission request: by what is meant, or by one of its options.
    pub(crate) async fn respond(
        &self,
        permission: &str,
        reply: Option<PermissionReply>,
        option_id: Option<String>,
    ) -> Result<(), WireError> {
        let unknown = || WireError::not_found(code::PERMISSION_REQUEST_NOT_FOUND, permission);
        let decision = match (reply, &option_id) {
            (Some(PermissionReply::Once), None) => Decision::AllowOnce,
            (Some(PermissionReply::Always), None) => Decision::AllowAlways,
            (Some(PermissionReply::Reject), None) => Decision::RejectOnce,
            (None, Some(_)) => Decision::Selected,
            _ => return Err(invalid("a permission is answered by either a reply or an option")),
        };
        let kernel = self.kernel().map_err(|_| unknown())?;
        let order = Order::PermissionResolve {
            request_id: permission.to_owned(),
            decision,
            option_id,
            message: None,
        };
        let update = kernel.dispatch(Command::of(order)).await;
        let resolved = update.result.and_then(|result| result.get("resolved")?.as_bool());
        if resolved == Some(true) { Ok(()) } else { Err(unknown()) }
    }

    /// Sets a setting by its id or category: `mode`, `model`, `thought_level` and what else the agent has.
    pub(crate) async fn set(&self, name: &str, value: Value) -> Result<(), WireError> {
        let said = value.as_str().map(str::to_owned);
        let protocol = Protocol::of(&self.record.head.lock().setup.agent).map_err(invalid)?;
        let order = Order::ConfigSet { config_id: protocol.setting(name).to_owned(), value };
        let update = self.kernel()?.dispatch(Command::of(order)).await;
        if let Some(error) = update.error {
            return Err(self.failed(&error));
        }
        self.keep(name, said);
        Ok(())
    }

    /// A mode or model that was set holds for the agents that go on with the session, too.
    fn keep(&self, name: &str, value: Option<String>) {
        match (name, value) {
            ("mode", Some(value)) => self.record.change(|head| head.setup.mode = Some(value)),
            ("model", Some(value)) => self.record.change(|head| head.setup.model = Some(value)),
            _ => {}
        }
    }

    /// Sets an option by its id, or the one of a category; gives all options back, as the agent now has them.
    pub(crate) async fn set_option(
        &self,
        name: &str,
        category: bool,
        value: &JsonText,
    ) -> Result<SessionConfigReply, WireError> {
        let value: Value = value.parse().map_err(|error| invalid(format!("value: {error}")))?;
        if !value.is_string() && !value.is_boolean() {
            return Err(invalid("value: neither a JSON string nor a boolean"));
        }
        let said = self.kernel()?.describe().unwrap_or_default();
        let is = |option: &&Value, member: &str, text: &str| {
            option.get(member).and_then(Value::as_str).is_some_and(|is| is == text)
        };
        let of_category = said.config_options.iter().find(|option| is(option, "category", name));
        match (category, of_category) {
            (true, Some(option)) => {
                let id = option.get("id").and_then(Value::as_str).unwrap_or(name).to_owned();
                self.set(&id, value).await?;
            }
            // Agents without such an option list their thinking levels as modes.
            (true, None) if name == "thought_level" && has_mode(said.modes.as_ref(), &value) => {
                self.set("mode", value).await?;
            }
            (true, None) => {
                return Err(unsupported(format!("the agent has no option of category {name}")));
            }
            (false, _) => self.set(name, value).await?,
        }
        let options = self.kernel()?.describe().unwrap_or_default().config_options;
        Ok(SessionConfigReply { config_options: JsonText::new(&Value::Array(options)) })
    }

    /// A message of the client as it goes to the agent: `sessionId` becomes the agent's own id where it is missing or ours.
    fn raw_params(&self, kernel: &Kernel, method: &str, params: &JsonText) -> Result<Value, WireError> {
        if method.starts_with("$/") {
            return Err(invalid(format!(
                "{method} cannot be sent raw: it is about our own messages to the agent"
            )));
        }
        if RESERVED.contains(&method) {
            return Err(invalid(format!("{method} cannot be sent raw: there is a method for it")));
        }
        let mut params: Value = params.parse().map_err(|e| invalid(format!("params: {e}")))?;
        if params.is_null() {
            params = Value::Object(serde_json::Map::new());
        }
        if let Some(members) = params.as_object_mut() {
            let id = members.entry("sessionId").or_insert(Value::Null);
            if id.is_null() || *id == *self.id {
                let own = kernel.describe().and_then(|said| said.session_id).unwrap_or_default();
                *id = Value::String(own);
            }
        }
        Ok(params)
    }

    /// Sends a notification of the client as it is.
    pub(crate) async fn raw_notify(&self, method: &str, params: &JsonText) -> Result<(), WireError> {
        let kernel = self.kernel()?;
        let params = self.raw_params(&kernel, method, params)?;
        kernel.native_notification(method, &params).await.map_err(|e| self.failed(&e))
    }

    /// Sends a request of the client as it is.
    pub(crate) async fn raw(&self, method: &str, params: &JsonText) -> Result<JsonText, WireError> {
        let kernel = self.kernel()?;
        let params = self.raw_params(&kernel, method, params)?;
        let result = kernel.native_request(method, &params).await.map_err(|e| self.failed(&e))?;
        let text = |name: &str| params.get(name).and_then(Value::as_str).map(str::to_owned);
        match method {
            "session/set_mode" => self.keep("mode", text("modeId")),
            "session/set_model" => self.keep("model", text("modelId")),
            "session/set_config_option" => self.keep(&text("configId").unwrap_or_default(), text("value")),
            _ => {}
        }
        Ok(JsonText(result.get().to_owned()))
    }

    /// Kills the agent with everything it started, and waits for it a limited time.
    pub(crate) async fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        let _one = self.changing.lock().await;
        let live = self.live.lock().clone();
        if let Some(Live { kernel, guest, .. }) = live {
            let killed = async {
                // Only a session that is ending takes the end of its agent for what it is.
                kernel.until(|state| matches!(state, State::Stopping)).await;
                guest.kill();
            };
            let ended = async { tokio::join!(kernel.stop("session.closed"), killed) };
            let _ = tokio::time::timeout(KILL_TIME, ended).await;
            guest.kill();
        }
        self.ended();
    }

    /// Ends it in good order: cancel, `session/close` where the agent has it, end of input, SIGTERM, SIGKILL. Nobody begins it
    /// anew while the answer is held.
    pub(crate) async fn end(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.closed.store(true, Ordering::SeqCst);
        let one = self.changing.lock().await;
        let live = self.live.lock().clone();
        if let Some(Live { kernel, guest, .. }) = live {
            let _ = tokio::time::timeout(KILL_TIME, kernel.stop("session.destroyed")).await;
            guest.kill();
        }
        self.ended();
        one
    }

    /// Ends its agent, but not it: what is stored can be gone on with.
    pub(crate) async fn suspend(&self) {
        let _one = self.changing.lock().await;
        let live = self.live.lock().take();
        if let Some(Live { kernel, guest, .. }) = live {
            let suspended = kernel.suspend("the machine is disposed of");
            let _ = tokio::time::timeout(KILL_TIME, suspended).await;
            guest.kill();
        }
        self.record.grants.lock().clear();
        self.record.log.end();
    }

    fn ended(&self) {
        self.record.grants.lock().clear();
        self.record.log.end();
        self.record.change(|head| head.ended = true);
    }
}

fn has_mode(modes: Option<&Value>, wanted: &Value) -> bool {
    let modes = modes.and_then(|modes| modes.get("availableModes")?.as_array());
    modes.is_some_and(|modes| modes.iter().any(|mode| mode.get("id") == Some(wanted)))
}
