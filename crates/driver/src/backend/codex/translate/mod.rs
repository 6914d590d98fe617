//! The vendor's messages as steps: what is to be emitted, asked, answered and ended. It is told of everything in the order
//! in which it happened and does none of it itself: no process, no clock, no kernel.

mod asks;
mod lifecycle;
mod methods;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;
use ulid::Ulid;

use super::failure::{Failure, TURN_FAILED};
use super::questions::Ask;
use super::tokens::Meter;
use super::turn::{Names, Over, Turn};
use super::wire::{self, Incoming, RpcError};
use super::{ID, items};
use crate::ErrorInfo;
use crate::backend::{TurnOutcome, ignored};
use crate::event::{Body, ChangedFile, Draft, ItemStatus, Native, SessionInfo, StopReason, Stream};
use methods::{is_of_turn, is_quiet, turn_of};

/// Requests of the vendor that are open at once.
const MAX_REQUESTS: usize = 64;
/// Methods that are reported as unknown, each once.
const MAX_REPORTED: usize = 128;

/// What is to be done, in order.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Emit this.
    Emit(Draft),
    /// End an item, with what was seen of it where this has less.
    Complete(Draft),
    /// End an item as it was last seen.
    Close(String, ItemStatus),
    /// These files are others now.
    Changed(Ulid, Vec<ChangedFile>),
    /// Ask somebody.
    Ask(Ask),
    /// Nobody wants the answer to this request any more.
    Withdraw(String),
    /// Answer a request that nobody is asked about.
    Answer(Value),
    /// Ask the vendor to interrupt its turn.
    Interrupt { run: Ulid, thread: String, turn: String },
    /// The vendor goes on no more: its end of the turn should follow soon.
    Failing(Ulid),
    /// The turn ended.
    End(Ulid, TurnOutcome),
}

/// Whose a message is.
enum Whose {
    /// Of the turn that runs.
    Ours(Ulid),
    /// Of the turn whose id is not known yet, as it seems.
    Early,
    /// Of none that counts.
    Nobody,
}

/// What the vendor's thread is at.
#[derive(Debug, Default)]
pub(super) struct Translator {
    thread: Option<String>,
    turn: Option<Turn>,
    over: Over,
    /// A turn that is to end before it began.
    cancelled: Option<Ulid>,
    names: Names,
    meter: Meter,
    /// Somebody is asked, as the vendor sees it.
    waiting: bool,
    /// The vendor's requests that are open, with the item that waits for each.
    requests: BTreeMap<String, Option<String>>,
    reported: HashSet<String>,
}

impl Translator {
    /// The next process begins: what it says is new, but ids of items stay unique.
    pub(super) fn renewed(&mut self) -> Translator {
        Translator { names: std::mem::take(&mut self.names), ..Translator::default() }
    }

    /// The thread is known.
    pub(super) fn begin_thread(&mut self, thread: &str, is_new: bool) {
        self.thread = Some(thread.to_owned());
        if is_new {
            self.meter.thread(true);
        }
    }

    pub(super) fn thread(&self) -> Option<&str> {
        self.thread.as_deref()
    }

    /// The turn that runs.
    pub(super) fn run(&self) -> Option<Ulid> {
        self.turn.as_ref().map(|turn| turn.run)
    }

    /// The vendor's id of the turn that runs.
    pub(super) fn native_turn(&self, run: Ulid) -> Option<&str> {
        self.turn.as_ref().filter(|turn| turn.run == run)?.native.as_deref()
    }

    /// A turn begins; nothing if it was cancelled before.
    pub(super) fn begin(&mut self, run: Ulid) -> bool {
        self.retire();
        if self.cancelled.take() == Some(run) {
            return false;
        }
        self.meter.turn();
        self.turn = Some(Turn::new(run));
        true
    }

    /// Forgets the turn that runs: what still comes of it is late.
    fn retire(&mut self) {
        if let Some(native) = self.turn.take().and_then(|turn| turn.native) {
            self.over.add(native);
        }
    }

    fn finish(&mut self, outcome: TurnOutcome) -> Vec<Step> {
        let Some(run) = self.turn.as_ref().map(|turn| turn.run) else { return Vec::new() };
        self.retire();
        let open = std::mem::take(&mut self.requests);
        let mut steps: Vec<Step> = open.into_keys().map(Step::Withdraw).collect();
        steps.push(Step::End(run, outcome));
        steps
    }

    /// The answer to `turn/start`.
    pub(super) fn started(&mut self, run: Ulid, answer: Result<Value, RpcError>) -> Vec<Step> {
        if self.turn.as_ref().is_none_or(|turn| turn.run != run) {
            return Vec::new();
        }
        match answer {
            Ok(result) => {
                let turn = result.get("turn").unwrap_or(&Value::Null);
                match wire::name(turn, "id").map(str::to_owned) {
                    Some(id) => self.adopt(&id),
                    None => self.finish(protocol_error("the answer to turn/start has no id of a turn")),
                }
            }
            Err(error) => self.finish(Failure::of(&error.message).outcome()),
        }
    }

    /// The id of the turn that runs is known: what came early is now of this turn, or of none.
    fn adopt(&mut self, id: &str) -> Vec<Step> {
        let Some(turn) = self.turn.as_mut().filter(|turn| turn.native.is_none()) else { return Vec::new() };
        turn.native = Some(id.to_owned());
        let early = turn.take_early();
        let mut steps: Vec<Step> = early.into_iter().flat_map(|message| self.on(message, 0)).collect();
        steps.extend(self.interrupt());
        steps
    }

    /// The turn is to end.
    pub(super) fn cancel(&mut self, run: Ulid) -> Vec<Step> {
        match self.turn.as_mut().filter(|turn| turn.run == run) {
            Some(turn) => {
                turn.cancelled = true;
                self.interrupt().into_iter().collect()
            }
            None => {
                self.cancelled = Some(run);
                Vec::new()
            }
        }
    }

    fn interrupt(&mut self) -> Option<Step> {
        let thread = self.thread.clone()?;
        let turn = self.turn.as_mut()?;
        if !turn.interrupt() {
            return None;
        }
        Some(Step::Interrupt { run: turn.run, thread, turn: turn.native.clone()? })
    }

    /// The vendor refused to interrupt: it has no such turn, any more or yet.
    pub(super) fn not_interrupted(&mut self, run: Ulid) {
        if let Some(turn) = self.turn.as_mut().filter(|turn| turn.run == run) {
            turn.not_interrupted();
        }
    }

    /// The end of a failed turn did not come: the error was it.
    pub(super) fn give_up(&mut self, run: Ulid) -> Vec<Step> {
        match self.turn.as_mut().filter(|turn| turn.run == run).and_then(|turn| turn.error.take()) {
            Some(failure) => self.finish(failure.outcome()),
            None => Vec::new(),
        }
    }

    /// A message of the vendor, and how long it was.
    pub(super) fn on(&mut self, message: Incoming, bytes: usize) -> Vec<Step> {
        match message {
            Incoming::Notification { method, params } => self.notification(method, params, bytes),
            Incoming::Request { id, method, params } => self.request(id, method, params, bytes),
            Incoming::Response { .. } => self.strange("a response that nobody waits for"),
            Incoming::Other(what) => self.strange(what),
        }
    }

    fn strange(&mut self, what: &str) -> Vec<Step> {
        vec![Step::Emit(Draft::of_session(ignored(what)))]
    }

    /// A kind of message that is not known, the first time.
    fn unknown(&mut self, what: &str, method: &str) -> Vec<Step> {
        let method = wire::cut(method, 128);
        if self.reported.len() >= MAX_REPORTED || !self.reported.insert(method.to_owned()) {
            return Vec::new();
        }
        self.strange(&format!("{what} {method}"))
    }

    /// Whether a message is of a thread that the agent began beside ours.
    fn is_aside(&self, params: &Value) -> bool {
        let named = wire::text(params, "threadId").or(wire::text(params, "conversationId"));
        named.is_some_and(|named| self.thread.as_deref().is_some_and(|ours| ours != named))
    }

    fn whose(&self, params: &Value) -> Whose {
        let Some(turn) = &self.turn else { return Whose::Nobody };
        let named = turn_of(params);
        match (&turn.native, named) {
            (Some(native), Some(named)) if native == named => Whose::Ours(turn.run),
            (Some(_), None) => Whose::Ours(turn.run),
            (None, Some(named)) if self.over.has(named) => Whose::Nobody,
            (None, _) => Whose::Early,
            (Some(_), Some(_)) => Whose::Nobody,
        }
    }

    /// Keeps a message of a turn whose id is not known. Only one turn is ever being started: where there is no more room,
    /// the first message names it.
    fn early(&mut self, message: Incoming, bytes: usize) -> Vec<Step> {
        let named = match &message {
            Incoming::Notification { params, .. } | Incoming::Request { params, .. } => {
                turn_of(params).map(str::to_owned)
            }
            _ => None,
        };
        let Some(turn) = self.turn.as_mut() else { return Vec::new() };
        if turn.keep(message, bytes) {
            return Vec::new();
        }
        match named {
            Some(id) => self.adopt(&id),
            None => {
                turn.take_early();
                self.strange("messages of a turn that is not known")
            }
        }
    }

    fn notification(&mut self, method: String, params: Value, bytes: usize) -> Vec<Step> {
        if self.is_aside(&params) {
            return Vec::new();
        }
        match method.as_str() {
            "thread/status/changed" => return self.status(&params),
            "serverRequest/resolved" => return self.resolved(&params),
            "thread/name/updated" => {
                let title = wire::text(&params, "threadName").map(str::to_owned);
                let info = SessionInfo { title, ..SessionInfo::default() };
                return vec![Step::Emit(Draft::of_session(Body::SessionInfoUpdated(info)))];
            }
            "warning" | "configWarning" | "deprecationNotice" => {
                return self.unknown("notification", &method);
            }
            _ if is_quiet(&method) => return Vec::new(),
            _ if !is_of_turn(&method) => return self.unknown("notification", &method),
            _ => {}
        }
        match self.whose(&params) {
            Whose::Ours(run) => self.of_turn(run, &method, &params),
            // It is the first thing said of a turn, and only one is being started.
            Whose::Early if method == "turn/started" => match turn_of(&params).map(str::to_owned) {
                Some(id) => self.adopt(&id),
                None => Vec::new(),
            },
            Whose::Early => self.early(Incoming::Notification { method, params }, bytes),
            Whose::Nobody => {
                if method == "thread/tokenUsage/updated"
                    && let Some(usage) = params.get("tokenUsage")
                {
                    self.meter.other(usage);
                }
                Vec::new()
            }
        }
    }

    /// A notification of the turn that runs.
    fn of_turn(&mut self, run: Ulid, method: &str, params: &Value) -> Vec<Step> {
        let item = params.get("item").unwrap_or(&Value::Null);
        let delta = |stream, index| (stream, index);
        let (stream, index) = match method {
            "turn/started" => return self.interrupt().into_iter().collect(),
            "turn/completed" => return self.ended(run, params),
            "error" => return self.error(run, params),
            "thread/tokenUsage/updated" => {
                let usage = params.get("tokenUsage").unwrap_or(&Value::Null);
                let usage = self.meter.update(run, usage).map(Body::UsageUpdated);
                return usage.map(|body| self.say(run, method, None, body)).into_iter().collect();
            }
            "turn/plan/updated" => return self.plan(run, method, params),
            "thread/compacted" => return self.compacted(run, method),
            "item/started" => return self.item_started(run, method, item),
            "item/completed" => return self.item_ended(run, method, item),
            "item/fileChange/patchUpdated" => {
                let changes = serde_json::to_value(items::edits(params)).unwrap_or_default();
                let patch = [("changes".to_owned(), changes)].into_iter().collect();
                return self.patch(run, method, params, patch);
            }
            "item/agentMessage/delta" => delta(Stream::Text, None),
            "item/plan/delta" => delta(Stream::Text, None),
            "item/reasoning/textDelta" => delta(Stream::Reasoning, Some(wire::index(params, "contentIndex"))),
            "item/reasoning/summaryTextDelta" => {
                delta(Stream::ReasoningSummary, Some(wire::index(params, "summaryIndex")))
            }
            "item/commandExecution/outputDelta" | "item/fileChange/outputDelta" => {
                delta(Stream::Output, None)
            }
            // Whatever else is said of an item: it runs.
            _ => {
                let named = wire::name(params, "itemId").map(str::to_owned);
                return named.and_then(|named| self.runs_unless_asked(&named)).into_iter().collect();
            }
        };
        self.delta(run, method, params, stream, index)
    }

    fn native(&self, method: &str, item: Option<&str>) -> Native {
        Native {
            provider: ID.to_owned(),
            event_name: Some(method.to_owned()),
            item_id: item.map(str::to_owned),
            thread_id: self.thread.clone(),
            turn_id: self.turn.as_ref().and_then(|turn| turn.native.clone()),
            ..Native::default()
        }
    }

    fn say(&self, run: Ulid, method: &str, item: Option<&str>, body: Body) -> Step {
        Step::Emit(Draft::of_turn(run, body).native(self.native(method, item)))
    }

    /// Our id of an item of the turn that runs.
    fn name(&mut self, item: &str) -> String {
        let turn = self.turn.as_ref().and_then(|turn| turn.native.as_deref()).unwrap_or_default();
        self.names.of(item, turn)
    }

    fn error(&mut self, run: Ulid, params: &Value) -> Vec<Step> {
        let failure = Failure::read(params.get("error").unwrap_or(&Value::Null));
        if params.get("willRetry").and_then(Value::as_bool) == Some(true) {
            return vec![self.say(run, "error", None, failure.will_retry())];
        }
        if let Some(turn) = self.turn.as_mut() {
            turn.error = Some(failure);
        }
        vec![Step::Failing(run)]
    }

    fn ended(&mut self, run: Ulid, params: &Value) -> Vec<Step> {
        let ended = params.get("turn").unwrap_or(&Value::Null);
        let mut steps = Vec::new();
        // The last message again, which may never have been told before.
        for item in wire::list(ended, "items").iter().filter(|item| items::type_of(item) == "agentMessage") {
            steps.extend(self.item_ended(run, "turn/completed", item));
        }
        // A tool of ours whose end the vendor leaves out: we know its result.
        let told = self.turn.as_ref().map(|turn| &turn.items).into_iter().flatten();
        let told: Vec<String> = told.filter(|(_, open)| open.told).map(|(_, open)| open.id.clone()).collect();
        steps.extend(told.into_iter().map(|id| Step::Close(id, ItemStatus::Completed)));
        let error = ended.get("error").filter(|error| !error.is_null()).map(Failure::read);
        let remembered = self.turn.as_mut().and_then(|turn| turn.error.take());
        let outcome = match (wire::text(ended, "status"), error) {
            (Some("interrupted"), _) => TurnOutcome::Cancelled,
            (Some("failed"), error) => {
                let failure = error.or(remembered).unwrap_or_else(|| Failure::of("the agent's turn failed"));
                if failure.is_refusal() {
                    steps.push(self.say(run, "turn/completed", None, failure.refused()));
                }
                failure.outcome()
            }
            (Some("completed"), _) | (_, None) => TurnOutcome::Completed { stop_reason: StopReason::EndTurn },
            (_, Some(failure)) => failure.outcome(),
        };
        steps.extend(self.finish(outcome));
        steps
    }

    /// The turn that runs, if any, ends with the process.
    pub(super) fn lost(&mut self, error: ErrorInfo) -> Vec<Step> {
        self.finish(TurnOutcome::Lost { error })
    }
}

/// A vendor that does not keep to its protocol.
fn protocol_error(what: &str) -> TurnOutcome {
    TurnOutcome::Failed { error: ErrorInfo::new(TURN_FAILED, what), stop_reason: StopReason::Error }
}
