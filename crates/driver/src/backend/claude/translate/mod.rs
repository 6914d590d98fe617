//! What Claude Code says, as events: a state machine over its messages that starts nothing, waits for nothing and emits
//! nothing itself. Requests that want an answer (`control_request`) are not its affair.

mod blocks;
mod outcome;
mod session;
#[cfg(test)]
mod tests;
mod tools;

use serde_json::Value;
use ulid::Ulid;

use super::wire::{Recent, text, word};
use crate::backend::{TurnOutcome, ignored};
use crate::event::{Body, ChangedFile, Diagnostic, DiagnosticSource, Draft, ItemStatus, Native, Severity};

use blocks::Messages;
use outcome::Cost;
pub(super) use session::{MODES, Settings};
use tools::Tools;
pub(super) use tools::{file, server, sort};

/// Ids of messages and tools that are remembered, so that none of another turn is used again.
const NAMES: usize = 16_384;

/// What is to be done because of a message, in this order.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    /// Emit.
    Emit(Box<Draft>),
    /// End an item as it was last seen, if it is open.
    Close(String, ItemStatus),
    /// Files of this turn are others now.
    Files(Ulid, Vec<ChangedFile>),
    /// Note by what the session can be resumed, and what it has cost.
    Resumable(String, Option<f64>),
    /// Ask the vendor to interrupt.
    Interrupt,
    /// The turn ended.
    Ended(TurnOutcome),
}

/// The turn that runs.
#[derive(Debug)]
struct Turn {
    id: Ulid,
    /// The vendor has begun with it: it can be interrupted.
    begun: bool,
    /// Somebody wants it to end.
    unwanted: bool,
    messages: Messages,
    tools: Tools,
    /// Tokens of the last request of the main thread.
    context_used: Option<u64>,
    /// What the vendor says went wrong with the model.
    error: Option<String>,
}

/// Ids as events have them: those of the vendor, but none twice in a session.
#[derive(Debug)]
struct Names(Recent<Ulid>);

impl Names {
    fn of(&mut self, id: &str, turn: Ulid) -> String {
        let first = *self.0.entry(id, || turn);
        if first == turn { id.to_owned() } else { format!("{turn}:{id}") }
    }
}

/// Which process of the session it is.
#[derive(Debug, Default)]
struct Process {
    /// The session that it was told to resume.
    resuming: Option<String>,
    /// It has begun a turn: it knows the session.
    begun: bool,
    /// The session as it says.
    session: Option<String>,
}

/// The state of a session as its messages show it. It outlives processes.
#[derive(Debug)]
pub(super) struct Translator {
    /// Whether what subagents say becomes items.
    subagents: bool,
    /// The server of the host's own tools.
    host_server: String,
    process: Process,
    names: Names,
    settings: Settings,
    cost: Cost,
    turn: Option<Turn>,
    /// A turn that was cancelled before it was begun.
    unwanted: Option<Ulid>,
    /// A session that the vendor does not know any more.
    lost: Option<String>,
    /// The window of the model, as the last result had it.
    window: Option<u64>,
}

impl Translator {
    pub(super) fn new(subagents: bool, host_server: &str, settings: Settings) -> Self {
        Translator {
            subagents,
            host_server: host_server.to_owned(),
            process: Process::default(),
            names: Names(Recent::new(NAMES)),
            settings,
            cost: Cost::default(),
            turn: None,
            unwanted: None,
            lost: None,
            window: None,
        }
    }

    /// A new process begins, which resumes this session or begins one; `total` is what the session has cost, if known.
    pub(super) fn process(&mut self, resuming: Option<String>, total: Option<f64>) {
        self.cost.process(resuming.is_some(), total);
        self.process = Process { resuming, ..Process::default() };
        self.turn = None;
    }

    /// A turn begins. Not if it was cancelled already.
    pub(super) fn begin(&mut self, id: Ulid) -> bool {
        if self.unwanted.take() == Some(id) {
            return false;
        }
        self.turn = Some(Turn {
            id,
            begun: false,
            unwanted: false,
            messages: Messages::default(),
            tools: Tools::default(),
            context_used: None,
            error: None,
        });
        true
    }

    /// Somebody wants the turn to end. Whether the vendor is to be asked now: one that has not begun yet is asked when it
    /// has.
    pub(super) fn cancel(&mut self, id: Ulid) -> bool {
        match self.turn.as_mut().filter(|turn| turn.id == id) {
            Some(turn) => !std::mem::replace(&mut turn.unwanted, true) && turn.begun,
            None => {
                self.unwanted = Some(id);
                false
            }
        }
    }

    /// The turn that runs.
    pub(super) fn turn(&self) -> Option<Ulid> {
        self.turn.as_ref().map(|turn| turn.id)
    }

    /// The process ended; what it began that is no item ends with it. The turn is over.
    pub(super) fn ended(&mut self) -> Vec<Effect> {
        let effects = self.turn.as_mut().map(|turn| turn.messages.give_up(turn.id)).unwrap_or_default();
        self.turn = None;
        effects
    }

    /// What a message comes to.
    pub(super) fn message(&mut self, message: &Value) -> Vec<Effect> {
        let kind = text(message, "type").unwrap_or_default();
        let detail =
            text(message, "subtype").or_else(|| message.get("event").and_then(|event| text(event, "type")));
        let mut effects = self.identify(kind, message);
        if matches!(
            (kind, detail),
            ("system", Some("init" | "status")) | ("stream_event" | "assistant" | "user", _)
        ) {
            self.begun(&mut effects);
        }
        self.process.begun |= matches!(kind, "stream_event" | "assistant");
        match kind {
            "system" => self.system(detail.unwrap_or_default(), message, &mut effects),
            "stream_event" => self.stream(message, &mut effects),
            "assistant" => self.assistant(message, &mut effects),
            "user" => self.user(message, &mut effects),
            "result" => self.result(message, &mut effects),
            "tool_progress" => self.tool_progress(message, &mut effects),
            "tool_use_summary" | "rate_limit_event" | "auth_status" | "keep_alive" => {}
            "" => effects.push(session(ignored("a message without a type"))),
            other => {
                let text = format!("a message of type {}", super::wire::shortened(other, 64));
                effects.push(session(ignored(text)));
            }
        }
        let native = self.native(kind, detail, message);
        for effect in &mut effects {
            if let Effect::Emit(draft) = effect {
                draft.native = Some(Native { item_id: native_item(&draft.body), ..native.clone() });
            }
        }
        effects
    }

    /// The turn has begun: if somebody wanted it to end meanwhile, now it can be interrupted.
    fn begun(&mut self, effects: &mut Vec<Effect>) {
        if let Some(turn) = &mut self.turn
            && !std::mem::replace(&mut turn.begun, true)
            && turn.unwanted
        {
            effects.push(Effect::Interrupt);
        }
    }

    fn native(&self, kind: &str, detail: Option<&str>, message: &Value) -> Native {
        let name = match detail {
            Some(detail) => format!("{kind}.{detail}"),
            None => kind.to_owned(),
        };
        Native {
            provider: crate::Runtime::Claude.id().to_owned(),
            event_name: Some(super::wire::shortened(&name, 128)),
            thread_id: word(message, "session_id").map(str::to_owned),
            ..Native::default()
        }
    }
}

/// The vendor's id of an item is ours, but for its number in a message and the turn before a name used twice.
fn native_item(body: &Body) -> Option<String> {
    body.item_id().map(str::to_owned)
}

/// An event of the session as a whole.
fn session(body: Body) -> Effect {
    Effect::Emit(Box::new(Draft::of_session(body)))
}

/// An event of a turn.
fn of_turn(turn: Ulid, body: Body) -> Effect {
    Effect::Emit(Box::new(Draft::of_turn(turn, body)))
}

/// A diagnostic of this backend.
pub(super) fn diagnostic(code: &str, severity: Severity, message: impl Into<String>) -> Diagnostic {
    Diagnostic {
        code: code.to_owned(),
        message: message.into(),
        severity,
        source: DiagnosticSource::Backend,
        reason: None,
        details: serde_json::Map::new(),
    }
}
