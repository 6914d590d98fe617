//! One process of the app server: it is read in order by one task, written to by whoever has something to say, and what is
//! to be done by its messages is done here. What they mean is decided elsewhere.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::io::AsyncRead;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;
use ulid::Ulid;

use super::options;
use super::questions::{Ask, Asked, Verdict};
use super::requests::{Requests, Waiter};
use super::translate::{Step, Translator};
use super::wire::{self, Incoming, RpcError};
use crate::ErrorInfo;
use crate::backend::{Context, TurnOutcome, ignored};
use crate::command::Input;
use crate::error::BACKEND_EXITED;
use crate::event::{Body, ChangedFile, Draft, RawMessage};
use crate::process::{Line, Lines, Vendor};

/// How long after an error that it does not go on after a vendor may take to end its turn.
const GIVE_UP: Duration = Duration::from_secs(5);
/// How long a vendor that has closed its output may take to end.
const EXIT: Duration = Duration::from_secs(3);
/// How long what it wrote last is read once it has ended.
const REST: Duration = Duration::from_secs(1);
/// How long the host may take to hear of a changed file.
const REPORT: Duration = Duration::from_secs(5);

/// What the vendor writes.
type Output = Lines<Box<dyn AsyncRead + Send + Unpin>>;

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum CallError {
    /// The vendor says why.
    Refused(RpcError),
    /// The vendor is gone.
    Gone(ErrorInfo),
}

/// Who waits for the end of a turn.
struct Waiting {
    run: Ulid,
    outcome: oneshot::Sender<TurnOutcome>,
    failing: Arc<Notify>,
}

#[derive(Default)]
struct State {
    translator: Translator,
    requests: Requests,
    waiting: Option<Waiting>,
    /// Tasks that ask somebody, by the vendor's request.
    asks: HashMap<String, AbortHandle>,
    reader: Option<AbortHandle>,
    /// The start is over: from now on the end of the process is a loss.
    ready: bool,
    /// It is being stopped: its end is none.
    stopping: bool,
    /// Nothing comes from it or goes to it any more.
    gone: Option<ErrorInfo>,
}

impl State {
    fn on(&mut self, message: Incoming, bytes: usize) -> Vec<Step> {
        let (id, answer) = match message {
            Incoming::Response { id, answer } => (id, answer),
            message => return self.translator.on(message, bytes),
        };
        match self.requests.take(id) {
            Some(Waiter::Call(waits)) => {
                let _ = waits.send(answer);
                Vec::new()
            }
            Some(Waiter::TurnStart(run)) => self.translator.started(run, answer),
            Some(Waiter::Interrupt(run)) => {
                if answer.is_err() {
                    self.translator.not_interrupted(run);
                }
                Vec::new()
            }
            None => self.translator.on(Incoming::Response { id, answer }, bytes),
        }
    }
}

/// A process, from its start to its end.
pub(super) struct Connection {
    vendor: Vendor,
    state: Mutex<State>,
}

fn closed() -> ErrorInfo {
    ErrorInfo::retryable(BACKEND_EXITED, "the agent's process was ended")
}

impl Connection {
    /// Starts one, and reads it from now on.
    pub(super) async fn open(cx: &Context, translator: Translator) -> Result<Arc<Self>, ErrorInfo> {
        let spec = options::launch(&cx.execution);
        let (vendor, lines) = Vendor::launch(cx.ports.launcher.as_ref(), spec).await?;
        let state = Mutex::new(State { translator, ..State::default() });
        let connection = Arc::new(Connection { vendor, state });
        let reader = tokio::spawn(Arc::clone(&connection).read(cx.clone(), lines));
        connection.state.lock().reader = Some(reader.abort_handle());
        Ok(connection)
    }

    /// What the next process needs to know of this one.
    pub(super) fn renewed(&self) -> Translator {
        self.state.lock().translator.renewed()
    }

    /// The thread is there.
    pub(super) fn begin_thread(&self, thread: &str, is_new: bool) {
        self.state.lock().translator.begin_thread(thread, is_new);
    }

    /// It can be worked with from now on, unless it has ended by now.
    pub(super) fn ready(&self) -> Result<(), ErrorInfo> {
        let mut state = self.state.lock();
        state.ready = true;
        state.gone.clone().map_or(Ok(()), Err)
    }

    /// Why nothing can be said to it any more.
    pub(super) fn gone(&self) -> ErrorInfo {
        self.state.lock().gone.clone().unwrap_or_else(closed)
    }

    /// The vendor's ids of its thread and of the turn that runs.
    pub(super) fn native(&self, run: Ulid) -> Option<(String, String)> {
        let state = self.state.lock();
        let turn = state.translator.native_turn(run)?.to_owned();
        Some((state.translator.thread()?.to_owned(), turn))
    }

    /// Tells it something.
    pub(super) async fn tell(&self, method: &str) {
        self.send(&wire::notification(method)).await;
    }

    /// Asks it something, and waits for the answer or its end.
    pub(super) async fn call(&self, method: &str, params: &Value) -> Result<Value, CallError> {
        let (sender, answer) = oneshot::channel();
        let id = {
            let mut state = self.state.lock();
            if let Some(error) = &state.gone {
                return Err(CallError::Gone(error.clone()));
            }
            state.requests.open(Waiter::Call(sender))
        };
        self.send(&wire::request(id, method, params)).await;
        match answer.await {
            Ok(answer) => answer.map_err(CallError::Refused),
            Err(_) => Err(CallError::Gone(self.gone())),
        }
    }

    /// Writes a message. One that takes none any more is of no use, and its end is what is waited for.
    async fn send(&self, message: &Value) {
        if self.vendor.send(message).await.is_err() && !self.state.lock().stopping {
            self.vendor.kill();
        }
    }

    /// Runs a turn to its end.
    pub(super) async fn turn(
        self: &Arc<Self>,
        cx: &Context,
        run: Ulid,
        input: &Input,
        settings: &Map<String, Value>,
    ) -> TurnOutcome {
        let (sender, mut outcome) = oneshot::channel();
        let failing = Arc::new(Notify::new());
        let message = {
            let mut state = self.state.lock();
            let gone = state.gone.clone();
            let (None, Some(thread)) = (&gone, state.translator.thread().map(str::to_owned)) else {
                return TurnOutcome::Lost { error: gone.unwrap_or_else(closed) };
            };
            if !state.translator.begin(run) {
                return TurnOutcome::Cancelled;
            }
            state.waiting = Some(Waiting { run, outcome: sender, failing: Arc::clone(&failing) });
            let id = state.requests.open(Waiter::TurnStart(run));
            wire::request(id, "turn/start", &options::turn(&cx.execution, &thread, input, settings))
        };
        self.send(&message).await;
        let lost = |_| TurnOutcome::Lost { error: self.gone() };
        tokio::select! {
            biased;
            ended = &mut outcome => return ended.unwrap_or_else(lost),
            () = failing.notified() => {}
        }
        if let Ok(ended) = tokio::time::timeout(GIVE_UP, &mut outcome).await {
            return ended.unwrap_or_else(lost);
        }
        let steps = self.state.lock().translator.give_up(run);
        self.perform(cx, steps).await;
        outcome.await.unwrap_or_else(lost)
    }

    /// Asks the vendor to interrupt a turn, now or as soon as it has an id.
    pub(super) async fn cancel(self: &Arc<Self>, cx: &Context, run: Ulid) {
        let steps = self.state.lock().translator.cancel(run);
        self.perform(cx, steps).await;
    }

    /// Does what is to be done, in order.
    fn perform<'a>(self: &'a Arc<Self>, cx: &'a Context, steps: Vec<Step>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            for step in steps {
                match step {
                    Step::Emit(draft) => cx.emit(draft).await,
                    Step::Complete(mut draft) => {
                        if let Body::ItemCompleted { item } = &mut draft.body {
                            let seen = cx.item(&item.item_id);
                            super::items::complete(item, seen.as_ref());
                        }
                        cx.emit(draft).await;
                    }
                    Step::Close(item_id, status) => cx.close(&item_id, status).await,
                    Step::Changed(run, files) => changed(cx, run, files).await,
                    Step::Ask(ask) => self.ask(cx, ask),
                    Step::Withdraw(key) => {
                        let task = self.state.lock().asks.remove(&key);
                        if let Some(task) = task {
                            task.abort();
                        }
                    }
                    Step::Answer(answer) => self.send(&answer).await,
                    Step::Interrupt { run, thread, turn } => {
                        let id = self.state.lock().requests.open(Waiter::Interrupt(run));
                        let params = serde_json::json!({ "threadId": thread, "turnId": turn });
                        self.send(&wire::request(id, "turn/interrupt", &params)).await;
                    }
                    Step::Failing(run) => {
                        let state = self.state.lock();
                        if let Some(waiting) = state.waiting.as_ref().filter(|waiting| waiting.run == run) {
                            waiting.failing.notify_one();
                        }
                    }
                    Step::End(run, outcome) => {
                        let waiting = self.state.lock().waiting.take_if(|waiting| waiting.run == run);
                        if let Some(waiting) = waiting {
                            let _ = waiting.outcome.send(outcome);
                        }
                    }
                }
            }
        })
    }

    /// Asks somebody, in a task of its own: the answer may take long, and the vendor goes on.
    fn ask(self: &Arc<Self>, cx: &Context, ask: Ask) {
        let (connection, cx, key) = (Arc::clone(self), cx.clone(), Ask::key(&ask.id));
        // Held until the task is noted, so that it does not end before.
        let mut state = self.state.lock();
        if state.gone.is_some() {
            return;
        }
        let name = key.clone();
        let task = tokio::spawn(async move {
            let answer = put(&cx, &ask).await;
            connection.answered(&cx, &name, &ask.id, answer).await;
        });
        state.asks.insert(key, task.abort_handle());
    }

    async fn answered(
        self: &Arc<Self>,
        cx: &Context,
        key: &str,
        id: &Value,
        answer: Option<(Verdict, Value)>,
    ) {
        let (steps, result) = {
            let mut state = self.state.lock();
            state.asks.remove(key);
            let Some((verdict, result)) = answer else { return state.translator.dropped(key) };
            let Some(steps) = state.translator.answered(key, verdict) else { return };
            (steps, result)
        };
        // Said before the vendor can say what follows from it.
        self.perform(cx, steps).await;
        self.send(&wire::reply(id, &result)).await;
    }

    async fn read(self: Arc<Self>, cx: Context, mut lines: Output) {
        let over = async {
            self.vendor.exited().await;
            // Something that it started may keep its output open.
            tokio::time::sleep(REST).await;
        };
        tokio::pin!(over);
        loop {
            let line = tokio::select! {
                biased;
                line = lines.next() => line,
                // The line that is being read is given up with all that would come.
                () = &mut over => break,
            };
            match line {
                Ok(Some(Line::Text(line))) => {
                    let message = wire::parse(&line);
                    let raw = raw(&cx, &line, &message);
                    let (mut steps, turn) = {
                        let mut state = self.state.lock();
                        let steps = state.on(message, line.len());
                        (steps, state.translator.run())
                    };
                    if let Some(raw) = raw {
                        with(&cx, &mut steps, raw, turn).await;
                    }
                    self.perform(&cx, steps).await;
                }
                Ok(Some(Line::TooLong)) => cx.session(ignored("a line that is too long")).await,
                Ok(None) | Err(_) => break,
            }
        }
        self.ended(&cx).await;
    }

    /// It has ended, or says nothing any more, which is the same.
    async fn ended(self: &Arc<Self>, cx: &Context) {
        if tokio::time::timeout(EXIT, self.vendor.exited()).await.is_err() {
            self.vendor.kill();
        }
        let error = tokio::time::timeout(EXIT, self.vendor.exit_error()).await;
        let error = error.unwrap_or_else(|_| closed());
        let (steps, is_lost) = {
            let mut state = self.state.lock();
            if state.gone.is_some() {
                return;
            }
            state.gone = Some(error.clone());
            state.requests.clear();
            let steps = state.translator.lost(error.clone());
            // A turn that ran hears of it by its own end.
            let is_lost = state.ready && !state.stopping && steps.is_empty();
            (steps, is_lost)
        };
        self.perform(cx, steps).await;
        if is_lost {
            cx.lost(error);
        }
    }

    /// Ends it in its own time: at most 5 s.
    pub(super) async fn stop(&self) {
        self.state.lock().stopping = true;
        self.vendor.stop().await;
        self.close();
    }

    /// Ends it at once. Nothing that it says is heard any more.
    pub(super) fn close(&self) {
        self.vendor.kill();
        let mut state = self.state.lock();
        state.gone.get_or_insert_with(closed);
        if let Some(reader) = state.reader.take() {
            reader.abort();
        }
        for (_, task) in state.asks.drain() {
            task.abort();
        }
        state.requests.clear();
        state.waiting = None;
    }
}

/// A message as it came, for a host that wants those. Answers to what we asked are none.
fn raw(cx: &Context, line: &[u8], message: &Incoming) -> Option<Arc<RawMessage>> {
    match message {
        Incoming::Notification { method, .. } | Incoming::Request { method, .. } if cx.native_messages() => {
            RawMessage::of_line(line, method, Some("params"))
        }
        _ => None,
    }
}

/// The message goes with the first event that is made of it, or alone. Questions are told in the kernel's own words.
async fn with(cx: &Context, steps: &mut [Step], raw: Arc<RawMessage>, turn: Option<Ulid>) {
    let first = steps.iter_mut().find_map(|step| match step {
        Step::Emit(draft) | Step::Complete(draft) if !matches!(draft.body, Body::DiagnosticReported(_)) => {
            Some(draft)
        }
        _ => None,
    });
    match first {
        Some(draft) => draft.raw = Some(raw),
        None => cx.emit(raw.alone(turn)).await,
    }
}

/// Puts a question, and gives the answer in the vendor's words; nothing if nobody wants it any more.
async fn put(cx: &Context, ask: &Ask) -> Option<(Verdict, Value)> {
    match ask.asked() {
        Asked::Permission(request) => {
            let decision = cx.permission(*request).await;
            (!decision.cancelled).then(|| ask.decided(&decision))
        }
        Asked::Input(request) => ask.said(&cx.ask(ask.run, request).await),
        Asked::Tool(call) => Ask::told(&cx.custom_tool(ask.run, call).await),
    }
}

/// Tells the host which files are others now, and everybody else as far as the host wants that.
async fn changed(cx: &Context, run: Ulid, files: Vec<ChangedFile>) {
    let mut changes = Vec::new();
    for file in files {
        let told = tokio::time::timeout(REPORT, cx.ports.files.report_changed(&file)).await;
        // A host that cannot be told this way is told by the event.
        if !matches!(told, Ok(Ok(false))) {
            changes.push(file);
        }
    }
    if !changes.is_empty() {
        cx.emit(Draft::of_turn(run, Body::FileChanged { changes })).await;
    }
}
