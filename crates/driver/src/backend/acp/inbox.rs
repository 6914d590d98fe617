//! What an agent sends, taken in order by the one task that reads it: updates become events before the next line is read,
//! and what can wait is answered by a task of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use agentos_acp::Closure;
use agentos_acp::connection::{Incoming, IncomingRequest, Outcome, Responder};
use agentos_acp::envelope::code;
use parking_lot::Mutex;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use super::client::ClientSide;
use super::translate::{Step, TerminalOutput, Terminals, Translator, outcome};
use super::{TURN_FAILED, member, questions};
use crate::backend::{Context, TurnOutcome, ignored};
use crate::error::BACKEND_EXITED;
use crate::event::{Body, Draft, RawMessage, StopReason};
use crate::process::Vendor;
use crate::{ErrorInfo, ResumeRef, Runtime};

/// Updates that are kept until the session they are of is known.
const MAX_EARLY: usize = 64;
/// The longest of them, in bytes: commands and modes are short.
const MAX_EARLY_BYTES: usize = 64 << 10;
/// Reports of what was not understood, of one process; more are not worth reading.
const MAX_REPORTS: u32 = 256;
/// Questions that are open at once.
const MAX_QUESTIONS: usize = 16;
/// How long a port of the host may take to hear of changed files.
const PORT: Duration = Duration::from_secs(5);

/// The turn that runs.
pub(super) struct Running {
    pub(super) id: Ulid,
    done: Option<oneshot::Sender<TurnOutcome>>,
    /// `session/prompt` is on its way.
    pub(super) sent: bool,
    /// Somebody wants it to end.
    pub(super) cancelled: bool,
    /// `session/cancel` is on its way; answers to questions wait for it.
    pub(super) told: CancellationToken,
    /// It is over.
    ended: CancellationToken,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) session: Option<String>,
    pub(super) translator: Option<Translator>,
    pub(super) turn: Option<Running>,
    /// The turn that somebody wanted to end before it began.
    pub(super) cancelled_early: Option<Ulid>,
    /// `session/new` waits for its answer: updates may come before it.
    pub(super) opening: bool,
    early: Vec<Value>,
    /// The session is open: a loss is to be told.
    pub(super) ready: bool,
    /// Nothing more comes.
    pub(super) closed: bool,
}

/// One process of an agent, as its messages see it.
pub(super) struct Inbox {
    pub(super) cx: Context,
    pub(super) vendor: Vendor,
    pub(super) state: Mutex<State>,
    /// What comes from now on is of no interest.
    pub(super) retired: CancellationToken,
    /// Files and programs that it may use.
    pub(super) client: Option<Arc<ClientSide>>,
    pub(super) questions: Arc<Semaphore>,
    reports: AtomicU32,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").field("vendor", &self.vendor).finish_non_exhaustive()
    }
}

impl Terminals for Inbox {
    fn output(&self, terminal_id: &str) -> Option<TerminalOutput> {
        self.client.as_ref()?.terminals()?.seen(terminal_id)
    }
}

impl Running {
    /// The outcome is for `done`.
    fn new(id: Ulid, done: oneshot::Sender<TurnOutcome>) -> Self {
        let (told, ended) = (CancellationToken::new(), CancellationToken::new());
        Running { id, done: Some(done), sent: false, cancelled: false, told, ended }
    }

    fn finish(&mut self, outcome: TurnOutcome) {
        if let Some(done) = self.done.take() {
            let _ = done.send(outcome);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

/// A turn as a question of it sees it.
#[derive(Clone, Debug)]
pub(super) struct OfTurn {
    pub(super) id: Ulid,
    pub(super) told: CancellationToken,
    pub(super) ended: CancellationToken,
}

impl Inbox {
    pub(super) fn new(cx: Context, vendor: Vendor, client: Option<Arc<ClientSide>>) -> Self {
        Inbox {
            cx,
            vendor,
            state: Mutex::default(),
            retired: CancellationToken::new(),
            client,
            questions: Arc::new(Semaphore::new(MAX_QUESTIONS)),
            reports: AtomicU32::new(0),
        }
    }

    /// A session of this id is about to be opened.
    pub(super) fn expect(&self, session: Option<&str>, cost: Option<f64>) {
        let cwd = &self.cx.execution.session.cwd;
        let mut state = self.state.lock();
        state.opening = session.is_none();
        state.early.clear();
        state.session = session.map(str::to_owned);
        state.translator = session.map(|id| {
            let mut translator = Translator::new(id, cwd, cost);
            translator.replaying = true;
            translator
        });
    }

    /// A turn begins; nothing if the process has ended.
    pub(super) fn begin(&self, id: Ulid) -> Option<oneshot::Receiver<TurnOutcome>> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        if state.closed || !state.ready {
            return None;
        }
        if let Some(translator) = &mut state.translator {
            translator.begin_turn(id);
        }
        let mut turn = Running::new(id, sender);
        turn.cancelled = state.cancelled_early.take() == Some(id);
        state.turn = Some(turn);
        Some(receiver)
    }

    /// A turn is over for whoever began it.
    pub(super) fn forget(&self, id: Ulid) {
        let mut state = self.state.lock();
        if state.turn.as_ref().is_some_and(|turn| turn.id == id) {
            state.turn = None;
            if let Some(translator) = &mut state.translator {
                translator.end_turn(None, self);
            }
        }
    }

    /// The turn that runs.
    pub(super) fn turn(&self) -> Option<OfTurn> {
        let state = self.state.lock();
        let turn = state.turn.as_ref()?;
        let (told, ended) = (turn.told.clone(), turn.ended.clone());
        Some(OfTurn { id: turn.id, told, ended })
    }

    /// Whether somebody wants a turn to end.
    pub(super) fn is_cancelled(&self, id: Ulid) -> bool {
        self.state.lock().turn.as_ref().is_some_and(|turn| turn.id == id && turn.cancelled)
    }

    /// Whether somebody is being asked.
    pub(super) fn is_asking(&self) -> bool {
        self.questions.available_permits() < MAX_QUESTIONS
    }

    /// Whether a message is about our session.
    pub(super) fn is_ours(&self, params: &Value) -> bool {
        let state = self.state.lock();
        state.session.is_some() && member::text(params, "sessionId") == state.session.as_deref()
    }

    /// Says that something was not understood, if that was not said too often.
    pub(super) async fn report(&self, what: impl Into<String>) {
        let count = self.reports.fetch_add(1, Ordering::Relaxed);
        if count < MAX_REPORTS && !self.retired.is_cancelled() {
            self.cx.session(ignored(what)).await;
        }
    }

    /// A message as it came, for a host that wants those.
    pub(super) fn raw(&self, method: &str, params: Option<Box<RawValue>>) -> Option<Arc<RawMessage>> {
        let params = params.filter(|_| self.cx.native_messages())?;
        Some(RawMessage::new(method, params))
    }

    /// Does what is to be done about a message, in order; the message goes with the first event that is made of it.
    pub(super) async fn play_of(&self, mut steps: Vec<Step>, raw: Option<Arc<RawMessage>>) {
        let Some(raw) = raw else { return self.play(steps).await };
        let first = steps.iter_mut().find_map(|step| match step {
            Step::Emit(draft) if !matches!(draft.body, Body::DiagnosticReported(_)) => Some(draft),
            _ => None,
        });
        match first {
            Some(draft) => draft.raw = Some(raw),
            None => {
                let turn = self.turn().map(|turn| turn.id);
                if !self.retired.is_cancelled() {
                    self.cx.emit(raw.alone(turn)).await;
                }
            }
        }
        self.play(steps).await;
    }

    /// Does what is to be done, in order.
    pub(super) async fn play(&self, steps: Vec<Step>) {
        for step in steps {
            if self.retired.is_cancelled() {
                return;
            }
            match step {
                Step::Emit(draft) => match draft.body {
                    Body::DiagnosticReported(what) if what.code == "driver.vendor_message_ignored" => {
                        self.report(what.message).await;
                    }
                    _ => self.cx.emit(*draft).await,
                },
                Step::Changed(turn, changes) => {
                    let mut told = Vec::new();
                    for change in changes {
                        let heard =
                            tokio::time::timeout(PORT, self.cx.ports.files.report_changed(&change)).await;
                        if !matches!(heard, Ok(Ok(false))) {
                            told.push(change);
                        }
                    }
                    if !told.is_empty() {
                        self.cx.emit(Draft::of_turn(turn, Body::FileChanged { changes: told })).await;
                    }
                }
                Step::Cost(total) => {
                    let session = self.state.lock().session.clone();
                    if let Some(id) = session {
                        self.cx.resumable(ResumeRef::new(Runtime::Acp, id), Some(total)).await;
                    }
                }
            }
        }
    }

    /// What is to be done about an update, which had this many bytes; and whether it is news and no history.
    fn updated(&self, params: &Value, bytes: usize) -> Result<(Vec<Step>, bool), &'static str> {
        let Some(update) = params.get("update").filter(|update| update.is_object()) else {
            return Err("session/update without an update");
        };
        let mut state = self.state.lock();
        if state.opening && member::text(params, "sessionId").is_some() {
            if state.early.len() < MAX_EARLY && bytes <= MAX_EARLY_BYTES {
                state.early.push(params.clone());
            }
            return Ok((Vec::new(), false));
        }
        if state.session.is_none() || member::text(params, "sessionId") != state.session.as_deref() {
            return Err("session/update of another session");
        }
        let Some(translator) = state.translator.as_mut() else { return Ok((Vec::new(), false)) };
        let news = !translator.replaying;
        Ok((translator.update(update, self), news))
    }

    /// The session is open: what is to be done about that, and then about each update that came before.
    fn opened(&self, result: &Value) -> Vec<(Vec<Step>, Option<Arc<RawMessage>>)> {
        let mut state = self.state.lock();
        if state.opening {
            let Some(id) = member::text(result, "sessionId").filter(|id| !id.is_empty()) else {
                return Vec::new();
            };
            state.opening = false;
            state.session = Some(id.to_owned());
            let cwd = &self.cx.execution.session.cwd;
            state.translator = Some(Translator::new(id, cwd, Some(0.0)));
        }
        let early = std::mem::take(&mut state.early);
        let session = state.session.clone();
        let Some(translator) = &mut state.translator else { return Vec::new() };
        let mut all = vec![(translator.opened(result), None)];
        for params in early.iter().filter(|params| member::text(params, "sessionId") == session.as_deref()) {
            if let Some(update) = params.get("update") {
                let raw = serde_json::value::to_raw_value(params).ok();
                all.push((translator.update(update, self), self.raw("session/update", raw)));
            }
        }
        all
    }

    /// A setting was changed to a value.
    fn set(&self, method: &str, value: &str, answer: &Value) -> Vec<Step> {
        let mut state = self.state.lock();
        let Some(translator) = &mut state.translator else { return Vec::new() };
        translator.settings.changed(method, value, answer);
        translator.configured(method)
    }

    /// A prompt was answered: its last events, then its outcome.
    async fn answered(&self, id: Ulid, answer: &Outcome) {
        if let Some(raw) = self.raw("session/prompt", answer.as_ref().ok().cloned()) {
            self.cx.answered(id, raw);
        }
        let (steps, result) = {
            let mut state = self.state.lock();
            let Some(turn) = state.turn.as_ref().filter(|turn| turn.id == id) else { return };
            let cancelled = turn.cancelled;
            let value = answer.as_ref().ok().and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
            let result = match (answer, &value) {
                // Whatever an agent says to a cancelled prompt, it has been cancelled.
                _ if cancelled => TurnOutcome::Cancelled,
                (Ok(_), value) => outcome(value.as_ref().unwrap_or(&Value::Null)),
                (Err(error), _) => {
                    let error = super::agent::error_info(error, TURN_FAILED);
                    TurnOutcome::Failed { error, stop_reason: StopReason::Error }
                }
            };
            let translator = state.translator.as_mut();
            (translator.map(|of| of.end_turn(value.as_ref(), self)).unwrap_or_default(), result)
        };
        self.play(steps).await;
        let mut state = self.state.lock();
        if let Some(mut turn) = state.turn.take_if(|turn| turn.id == id) {
            turn.finish(result);
        }
    }

    /// The process has ended or is of no use any more.
    async fn lost(&self, why: Option<String>, turn: Option<Running>, told: bool) {
        self.vendor.kill();
        let exit = self.vendor.exit_error().await;
        let error = match why {
            Some(why) => ErrorInfo { details: exit.details, ..ErrorInfo::retryable(BACKEND_EXITED, why) },
            None => exit,
        };
        match turn {
            Some(mut turn) => turn.finish(TurnOutcome::Lost { error }),
            None if told && !self.retired.is_cancelled() => self.cx.lost(error),
            None => {}
        }
    }
}

/// The handler of a connection: the inbox, as it is shared.
#[derive(Debug)]
pub(super) struct Handler(pub(super) Arc<Inbox>);

fn value(params: Option<&RawValue>) -> Value {
    params.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// Answers with an error; false, as it was refused.
async fn refuse(responder: Responder, code: i64, message: &str) -> bool {
    responder.error(code, message).await;
    false
}

impl Incoming for Handler {
    async fn notification(&self, method: &str, params: Option<Box<RawValue>>) -> bool {
        let inbox = &self.0;
        if inbox.retired.is_cancelled() {
            return true;
        }
        let bytes = params.as_ref().map_or(0, |raw| raw.get().len());
        match method {
            "session/update" => match inbox.updated(&value(params.as_deref()), bytes) {
                Ok((steps, news)) => {
                    let raw = inbox.raw(method, params.filter(|_| news));
                    inbox.play_of(steps, raw).await;
                    true
                }
                Err(what) => {
                    inbox.report(what).await;
                    false
                }
            },
            // Our questions end when they are answered; notifications with `_` are agents' own.
            "elicitation/complete" => true,
            own if own.starts_with('_') => {
                // What is nested too deeply to be read could not be read by whoever gets it, either.
                let readable =
                    params.as_deref().is_none_or(|raw| serde_json::from_str::<Value>(raw.get()).is_ok());
                if let Some(raw) = inbox.raw(own, params).filter(|_| readable) {
                    inbox.cx.emit(raw.alone(inbox.turn().map(|turn| turn.id))).await;
                }
                // It means nothing here: a flood of them is one.
                false
            }
            other => {
                inbox.report(format!("notification {}", member::printable(other, 64))).await;
                false
            }
        }
    }

    async fn request(&self, request: IncomingRequest) -> bool {
        let inbox = &self.0;
        let IncomingRequest { method, params, responder } = request;
        if inbox.retired.is_cancelled() {
            return refuse(responder, code::INTERNAL_ERROR, "the session has ended").await;
        }
        let read = value(params.as_deref());
        let raw = inbox.raw(&method, params);
        let params = read;
        let known = matches!(method.as_str(), "session/request_permission" | "elicitation/create");
        let client = inbox.client.as_ref().filter(|client| client.serves(&method));
        if !known && client.is_none() {
            inbox.report(format!("request {}", member::printable(&method, 64))).await;
            return refuse(responder, code::METHOD_NOT_FOUND, "method not found").await;
        }
        if !inbox.is_ours(&params) {
            return refuse(responder, code::INVALID_PARAMS, "no such session").await;
        }
        match (method.as_str(), client) {
            ("session/request_permission", _) => questions::permission(inbox, params, raw, responder).await,
            ("elicitation/create", _) => questions::elicitation(inbox, params, responder).await,
            (_, Some(client)) => {
                super::client::serve(Arc::clone(inbox), Arc::clone(client), method, params, responder);
                true
            }
            _ => refuse(responder, code::METHOD_NOT_FOUND, "method not found").await,
        }
    }

    async fn responded(&self, method: &str, context: Option<&str>, outcome: &mut Outcome) {
        let inbox = &self.0;
        if inbox.retired.is_cancelled() {
            return;
        }
        match (method, &*outcome) {
            ("session/new" | "session/load" | "session/resume", Ok(raw)) => {
                let result = serde_json::from_str(raw.get()).unwrap_or_default();
                for (steps, raw) in inbox.opened(&result) {
                    inbox.play_of(steps, raw).await;
                }
            }
            ("session/set_config_option" | "session/set_mode" | "session/set_model", Ok(raw)) => {
                let answer = serde_json::from_str(raw.get()).unwrap_or_default();
                inbox.play(inbox.set(method, context.unwrap_or_default(), &answer)).await;
            }
            ("session/prompt", answer) => {
                if let Some(turn) = context.and_then(|id| Ulid::from_string(id).ok()) {
                    inbox.answered(turn, answer).await;
                }
            }
            _ => {}
        }
    }

    async fn ignored(&self, what: &'static str) {
        self.0.report(what).await;
    }

    fn closed(&self, closure: &Closure) {
        let inbox = Arc::clone(&self.0);
        let (turn, ready) = {
            let mut state = inbox.state.lock();
            state.closed = true;
            (state.turn.take(), state.ready)
        };
        let why = match closure {
            Closure::Fatal(fatal) => Some(fatal.to_string()),
            Closure::Exited(end) if end.code.is_none() && end.signal.is_none() => {
                Some("the agent closed its output".to_owned())
            }
            Closure::Exited(_) | Closure::Dropped => None,
        };
        tokio::spawn(async move { inbox.lost(why, turn, ready).await });
    }
}
