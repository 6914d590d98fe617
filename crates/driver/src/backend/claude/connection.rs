//! One process of Claude Code, from its start to its end: who reads it, what we have asked it, which turn waits for it.
//! What its messages mean is the translator's affair, what its questions mean that of [`super::questions`].

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::AsyncRead;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use super::custom_tools::HostTools;
use super::questions::{self, Questions};
use super::translate::{Effect, Translator};
use super::wire;
use crate::backend::{Context, TurnOutcome, ignored};
use crate::error::BACKEND_EXITED;
use crate::event::{Body, ChangedFile, Draft, RawMessage};
use crate::process::{Line, Lines, Vendor};
use crate::{ErrorInfo, ResumeRef, Runtime};

/// How long the vendor may take to answer a request.
const ANSWER: Duration = Duration::from_secs(30);
/// How long an interrupt may take before the next turn is begun all the same.
const INTERRUPT: Duration = Duration::from_secs(2);
/// How long a process may go on after the end of its output, and its output after its own end.
const LINGER: Duration = Duration::from_secs(2);
/// How long the host may take to hear of a changed file.
const FILES: Duration = Duration::from_secs(5);
/// Requests that wait for an answer.
const ASKED: usize = 64;
/// Statuses with which a shell says that there is no such program.
const NO_PROGRAM: [i32; 2] = [126, 127];

/// What the process writes.
pub(super) type Output = Lines<Box<dyn AsyncRead + Send + Unpin>>;

type Answer = Result<Value, ErrorInfo>;

/// The turn that waits for its end.
#[derive(Default)]
struct Waiting {
    turn: Option<oneshot::Sender<TurnOutcome>>,
    /// The process is ready for turns: its end is reported.
    ready: bool,
    /// The process has ended.
    over: Option<ErrorInfo>,
}

/// A process and what goes on with it.
pub(super) struct Connection {
    pub(super) cx: Context,
    pub(super) state: Arc<Mutex<Translator>>,
    pub(super) tools: Arc<HostTools>,
    pub(super) questions: Questions,
    vendor: Vendor,
    asked: Mutex<HashMap<String, oneshot::Sender<Answer>>>,
    numbers: AtomicU64,
    waiting: Mutex<Waiting>,
    interrupted: Mutex<Option<oneshot::Receiver<Answer>>>,
    /// Its end is on purpose.
    quiet: AtomicBool,
    over: CancellationToken,
    reader: Mutex<Option<JoinHandle<()>>>,
}

fn gone() -> ErrorInfo {
    ErrorInfo::retryable(BACKEND_EXITED, "the agent's process has ended")
}

impl Connection {
    /// Begins to read a process.
    pub(super) fn open(
        cx: &Context,
        state: &Arc<Mutex<Translator>>,
        tools: &Arc<HostTools>,
        vendor: Vendor,
        output: Output,
    ) -> Arc<Self> {
        let connection = Arc::new(Connection {
            cx: cx.clone(),
            state: Arc::clone(state),
            tools: Arc::clone(tools),
            questions: Questions::default(),
            vendor,
            asked: Mutex::default(),
            numbers: AtomicU64::new(0),
            waiting: Mutex::default(),
            interrupted: Mutex::default(),
            quiet: AtomicBool::new(false),
            over: CancellationToken::new(),
            reader: Mutex::default(),
        });
        let reading = Arc::clone(&connection).read(output);
        *connection.reader.lock() = Some(tokio::spawn(reading));
        connection
    }

    async fn read(self: Arc<Self>, mut output: Output) {
        {
            let mut gone = pin!(async {
                self.vendor.exited().await;
                tokio::time::sleep(LINGER).await;
            });
            loop {
                let line = tokio::select! {
                    biased;
                    line = output.next() => line,
                    // Another process may hold its output open.
                    () = &mut gone => break,
                };
                match line {
                    Ok(Some(Line::Text(text))) => match serde_json::from_slice(&text) {
                        Ok(message @ Value::Object(_)) => {
                            let raw = self.raw(&text, &message);
                            self.receive(message, raw).await;
                        }
                        _ => self.cx.session(ignored("a line that is no JSON object")).await,
                    },
                    Ok(Some(Line::TooLong)) => self.cx.session(ignored("a line that is too long")).await,
                    Ok(None) | Err(_) => break,
                }
            }
        }
        self.finish().await;
    }

    /// A message as it came, for a host that wants those. Its name is its type.
    fn raw(&self, line: &[u8], message: &Value) -> Option<Arc<RawMessage>> {
        let name = wire::text(message, "type").filter(|_| self.cx.native_messages())?;
        // Answers to what we asked say nothing of the session.
        (name != "control_response").then(|| RawMessage::of_line(line, name, None)).flatten()
    }

    /// The message goes with the first event that is made of it. Questions are told in the kernel's own words, so theirs goes alone.
    async fn receive(self: &Arc<Self>, message: Value, raw: Option<Arc<RawMessage>>) {
        match wire::text(&message, "type") {
            Some("control_request") => {
                self.alone(raw).await;
                questions::begin(self, &message).await;
            }
            Some("control_cancel_request") => {
                self.alone(raw).await;
                if let Some(id) = wire::word(&message, "request_id") {
                    self.questions.withdraw(id).await;
                }
            }
            Some("control_response") => self.answered(&message),
            _ => {
                let mut effects = self.state.lock().message(&message);
                let first = effects.iter_mut().find_map(|effect| match effect {
                    Effect::Emit(draft) if !matches!(draft.body, Body::DiagnosticReported(_)) => Some(draft),
                    _ => None,
                });
                match first {
                    Some(draft) => draft.raw = raw,
                    None => self.alone(raw).await,
                }
                self.perform(effects).await;
            }
        }
    }

    /// Tells a message of which no event is made.
    async fn alone(&self, raw: Option<Arc<RawMessage>>) {
        if let Some(raw) = raw {
            let turn = self.state.lock().turn();
            self.cx.emit(raw.alone(turn)).await;
        }
    }

    /// Does what a message came to.
    pub(super) async fn perform(self: &Arc<Self>, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Emit(draft) => self.cx.emit(*draft).await,
                Effect::Close(item_id, status) => self.cx.close(&item_id, status).await,
                Effect::Files(turn, changes) => self.files(turn, changes).await,
                Effect::Resumable(session, total) => {
                    self.cx.resumable(ResumeRef::new(Runtime::Claude, session), total).await;
                }
                Effect::Interrupt => {
                    let connection = Arc::clone(self);
                    soon(async move { connection.interrupt().await });
                }
                Effect::Ended(outcome) => {
                    self.questions.withdraw_all().await;
                    self.end(outcome);
                }
            }
        }
    }

    /// Tells the host of changed files, and all others of those that it does not keep to itself.
    async fn files(&self, turn: Ulid, changes: Vec<ChangedFile>) {
        let mut told = Vec::new();
        for change in changes {
            let heard = tokio::time::timeout(FILES, self.cx.ports.files.report_changed(&change)).await;
            if !matches!(heard, Ok(Ok(false))) {
                told.push(change);
            }
        }
        if !told.is_empty() {
            self.cx.emit(Draft::of_turn(turn, Body::FileChanged { changes: told })).await;
        }
    }

    fn end(&self, outcome: TurnOutcome) {
        if let Some(turn) = self.waiting.lock().turn.take() {
            let _ = turn.send(outcome);
        }
    }

    /// The output has ended, and with it the process.
    async fn finish(self: &Arc<Self>) {
        if tokio::time::timeout(LINGER, self.vendor.exited()).await.is_err() {
            self.vendor.kill();
        }
        let error = self.exit_error().await;
        self.questions.withdraw_all().await;
        let effects = self.state.lock().ended();
        self.perform(effects).await;
        let (turn, ready) = {
            let mut waiting = self.waiting.lock();
            waiting.over = Some(error.clone());
            (waiting.turn.take(), waiting.ready)
        };
        self.over.cancel();
        self.asked.lock().clear();
        match turn {
            Some(turn) => {
                let _ = turn.send(TurnOutcome::Lost { error });
            }
            None if ready && !self.quiet.load(Ordering::Relaxed) => self.cx.lost(error),
            None => {}
        }
    }

    async fn exit_error(&self) -> ErrorInfo {
        let exit = self.vendor.exited().await;
        let refused = exit.code.is_some_and(|code| code != 0 && !NO_PROGRAM.contains(&code));
        if !self.quiet.load(Ordering::Relaxed) {
            let mut state = self.state.lock();
            if (refused || state.lost().is_some())
                && let Some(error) = state.lose()
            {
                return error.with("exitCode", exit.code).with("stderr", self.vendor.stderr());
            }
        }
        self.vendor.exit_error().await
    }

    /// Writes a message.
    pub(super) async fn send(&self, message: &Value) -> bool {
        self.vendor.send(message).await.is_ok()
    }

    /// Answers a request of the vendor.
    pub(super) async fn respond(&self, id: &str, answer: Result<Value, String>) {
        // One that takes no more input has no use for it.
        let _ = self.send(&wire::control_response(id, answer)).await;
    }

    async fn ask(&self, request: &Value) -> Result<(String, oneshot::Receiver<Answer>), ErrorInfo> {
        let id = format!("c{}", self.numbers.fetch_add(1, Ordering::Relaxed) + 1);
        let (sender, receiver) = oneshot::channel();
        {
            let mut asked = self.asked.lock();
            if asked.len() >= ASKED {
                return Err(ErrorInfo::retryable(
                    "claude.busy",
                    "the agent has not answered earlier requests",
                ));
            }
            asked.insert(id.clone(), sender);
        }
        if self.send(&wire::control_request(&id, request)).await {
            return Ok((id, receiver));
        }
        self.asked.lock().remove(&id);
        Err(gone())
    }

    /// Asks the vendor, and waits for its answer.
    ///
    /// # Errors
    /// `claude.request_refused` with what the vendor says; that it has ended, or did not answer in time.
    pub(super) async fn request(&self, request: &Value, limit: Option<Duration>) -> Answer {
        let (id, answer) = self.ask(request).await?;
        tokio::select! {
            answer = answer => answer.unwrap_or_else(|_| Err(gone())),
            () = self.over.cancelled() => Err(gone()),
            () = tokio::time::sleep(limit.unwrap_or(ANSWER)) => {
                self.asked.lock().remove(&id);
                Err(ErrorInfo::retryable("claude.request_timed_out", "the agent did not answer in time"))
            }
        }
    }

    fn answered(&self, message: &Value) {
        let Some(response) = message.get("response") else { return };
        let asked = wire::word(response, "request_id").and_then(|id| self.asked.lock().remove(id));
        let Some(asked) = asked else { return };
        let answer = if wire::text(response, "subtype") == Some("success") {
            Ok(response.get("response").cloned().unwrap_or_default())
        } else {
            let text = wire::word(response, "error").unwrap_or("the agent refused");
            let mut error = ErrorInfo::new("claude.request_refused", wire::shortened(text, 4096));
            if let Some(code) = wire::word(response, "error_code") {
                error.details.insert("errorCode".to_owned(), wire::shortened(code, 128).into());
            }
            Err(error)
        };
        let _ = asked.send(answer);
    }

    /// Asks the vendor to interrupt. Its answer is waited for before the next turn.
    pub(super) async fn interrupt(&self) {
        if let Ok((_, answer)) = self.ask(&serde_json::json!({ "subtype": "interrupt" })).await {
            *self.interrupted.lock() = Some(answer);
        }
    }

    /// Waits for the answer to an interrupt, so that it is not the next turn that is interrupted.
    pub(super) async fn calm(&self) {
        let interrupted = self.interrupted.lock().take();
        if let Some(answer) = interrupted {
            let _ = tokio::time::timeout(INTERRUPT, answer).await;
        }
    }

    /// The process is ready for turns.
    ///
    /// # Errors
    /// It has ended.
    pub(super) fn ready(&self) -> Result<(), ErrorInfo> {
        let mut waiting = self.waiting.lock();
        waiting.ready = true;
        waiting.over.clone().map_or(Ok(()), Err)
    }

    /// Waits for the end of a turn, which is then begun.
    ///
    /// # Errors
    /// The process has ended.
    pub(super) fn wait(&self) -> Result<oneshot::Receiver<TurnOutcome>, ErrorInfo> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting.lock();
        if let Some(error) = &waiting.over {
            return Err(error.clone());
        }
        waiting.turn = Some(sender);
        Ok(receiver)
    }

    /// Waits until the process has ended, and gives why.
    pub(super) async fn ended(&self) -> ErrorInfo {
        self.over.cancelled().await;
        self.waiting.lock().over.clone().unwrap_or_else(gone)
    }

    /// Kills the process. Its end is not reported; a turn that waits hears of it.
    pub(super) fn kill(&self) {
        self.quiet.store(true, Ordering::Relaxed);
        self.vendor.kill();
    }

    /// Ends the process in bounded time. Its end is not reported.
    pub(super) async fn stop(&self) {
        self.quiet.store(true, Ordering::Relaxed);
        self.vendor.stop().await;
    }

    /// Ends all that goes on with it: what it may still have written goes nowhere.
    pub(super) async fn retire(&self) {
        self.kill();
        let reader = self.reader.lock().take();
        if let Some(reader) = reader {
            reader.abort();
            let _ = reader.await;
        }
        self.questions.withdraw_all().await;
        self.waiting.lock().over.get_or_insert_with(gone);
        self.over.cancel();
        self.end(TurnOutcome::Lost { error: gone() });
    }

    /// The same without waiting.
    pub(super) fn abandon(&self) {
        self.kill();
        if let Some(reader) = self.reader.lock().take() {
            reader.abort();
        }
        self.questions.abandon();
        self.over.cancel();
    }
}

/// Does something that mostly is done at once, and in a task what is not: the reader never waits for the vendor to read.
pub(super) fn soon(work: impl Future<Output = ()> + Send + 'static) {
    let mut work = work.boxed();
    if (&mut work).now_or_never().is_none() {
        tokio::spawn(work);
    }
}
