//! What the peer keeps per session: the event log, the running turn, open permissions, and the state the agent
//! reported. It sends nothing.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicUsize},
};

use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, EventLog, Limits, Models, OpenPermission, PermissionId, PromptOutcome, ToolCallView,
    connection::Responder,
    event::{Direction, Draft, EventKind},
    schema::{AvailableCommand, SessionConfigOption, SessionModeState, SessionUpdate, UsageUpdate},
    turn::{ToolCalls, TurnText, outcome},
};

/// A session's state as last reported by the agent.
#[derive(Debug, Clone, Default)]
pub struct SessionView {
    /// Modes, if the agent has any.
    pub modes: Option<SessionModeState>,
    /// Config options; empty if it has none.
    pub config_options: Vec<SessionConfigOption>,
    /// Legacy models; prefer the config option of category `model`.
    pub models: Option<Models>,
    /// Slash commands.
    pub commands: Vec<AvailableCommand>,
    /// Title.
    pub title: Option<String>,
    /// Use of the context window.
    pub usage: Option<UsageUpdate>,
    /// Number of the running turn.
    pub running_turn: Option<u64>,
    /// Tool calls of the running or last turn.
    pub tool_calls: Vec<ToolCallView>,
    /// Permission requests that wait for an answer.
    pub permissions: Vec<OpenPermission>,
}

/// The running turn.
pub(crate) struct Turn {
    pub(crate) number: u64,
    pub(crate) text: TurnText,
    /// `session/prompt` was sent.
    pub(crate) sent: bool,
    /// `session/cancel` was sent.
    pub(crate) cancelling: bool,
    /// Fires when the turn is over.
    pub(crate) ended: CancellationToken,
    done: oneshot::Sender<Result<PromptOutcome, Error>>,
    /// Lets the next queued prompt go when the turn is dropped.
    gate: OwnedSemaphorePermit,
}

/// What the author of a prompt holds of its turn.
pub(crate) struct Begun {
    pub(crate) number: u64,
    pub(crate) ended: CancellationToken,
    pub(crate) result: oneshot::Receiver<Result<PromptOutcome, Error>>,
}

/// A permission request that waits for an answer.
pub(crate) struct Pending {
    pub(crate) open: OpenPermission,
    /// Of its parameters.
    pub(crate) bytes: usize,
    pub(crate) responder: Responder,
    /// Ends its timer.
    pub(crate) resolved: CancellationToken,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) view: SessionView,
    pub(crate) turn: Option<Turn>,
    pub(crate) next_turn: u64,
    pub(crate) tool_calls: ToolCalls,
    pub(crate) permissions: BTreeMap<PermissionId, Pending>,
    /// Counts cancels: prompts queued before one do not run after it.
    pub(crate) cancels: u64,
    /// Nothing more will happen; no turn begins.
    pub(crate) closed: bool,
    /// History is being replayed to consumers that have it already.
    pub(crate) muted: bool,
}

/// One session.
pub(crate) struct Session {
    pub(crate) id: Arc<str>,
    pub(crate) log: EventLog,
    /// One prompt at a time, in order.
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) queued: AtomicUsize,
    pub(crate) state: Mutex<State>,
    /// Keeps `session/cancel` behind the `session/prompt` it is about.
    pub(crate) wire: tokio::sync::Mutex<()>,
}

impl Session {
    pub(crate) fn new(id: &str, limits: &Limits) -> Self {
        Self {
            id: id.into(),
            log: EventLog::new(limits.events, limits.event_bytes),
            gate: Arc::new(Semaphore::new(1)),
            queued: AtomicUsize::new(0),
            state: Mutex::default(),
            wire: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn view(&self) -> SessionView {
        let state = self.state.lock();
        let mut view = state.view.clone();
        view.running_turn = state.turn.as_ref().map(|turn| turn.number);
        view.tool_calls = state.tool_calls.views();
        view.permissions = state.permissions.values().map(|pending| pending.open.clone()).collect();
        view
    }

    /// Begins a turn, unless the session is closed; its result arrives through the receiver.
    pub(crate) fn begin_turn(&self, gate: OwnedSemaphorePermit) -> Option<Begun> {
        let (done, result) = oneshot::channel();
        let ended = CancellationToken::new();
        let mut state = self.state.lock();
        if state.closed {
            return None;
        }
        let number = state.next_turn;
        state.next_turn += 1;
        state.tool_calls.clear();
        let text = TurnText::default();
        state.turn =
            Some(Turn { number, text, sent: false, cancelling: false, ended: ended.clone(), done, gate });
        Some(Begun { number, ended, result })
    }

    /// The prompt of a turn is about to be sent; false if it was cancelled before.
    pub(crate) fn mark_sent(&self, number: u64) -> bool {
        let mut state = self.state.lock();
        let turn = state.turn.as_mut().filter(|turn| turn.number == number);
        turn.map(|turn| turn.sent = true).is_some()
    }

    /// Ends the running turn, if it is the given one (or any): publishes the event, then wakes whoever waits.
    pub(crate) fn finish_turn(&self, only: Option<u64>, result: Result<Option<Box<RawValue>>, Error>) {
        if let Some((draft, ended)) = self.end_turn(only, result) {
            self.log.publish_now(draft);
            drop(ended);
        }
    }

    /// Takes the running turn, if it is the given one (or any), and makes the event that says how it ended.
    fn end_turn(
        &self,
        only: Option<u64>,
        result: Result<Option<Box<RawValue>>, Error>,
    ) -> Option<(Draft, Ended)> {
        let mut state = self.state.lock();
        let mut turn = state.turn.take_if(|turn| only.is_none_or(|only| only == turn.number))?;
        let closed = state.tool_calls.close();
        drop(state);
        let cancelled = turn.cancelling;
        let text = std::mem::take(&mut turn.text);
        let result = match result {
            Ok(response) => Ok(outcome(turn.number, text, response, cancelled)),
            // Some agents answer a cancelled prompt with an error; the end of the process is one all the same.
            Err(Error::Rpc { .. } | Error::NotSupported { .. }) if cancelled => {
                Ok(outcome(turn.number, text, None, true))
            }
            Err(error) => Err(error),
        };
        let closed: Vec<_> = closed
            .iter()
            .map(|call| serde_json::json!({"toolCallId": call.id, "status": if cancelled { "cancelled" } else { "failed" }}))
            .collect();
        let payload = match &result {
            Ok(outcome) => serde_json::json!({
                "turn": turn.number,
                "stopReason": outcome.stop_reason,
                "usage": outcome.usage,
                "closedToolCalls": closed,
            }),
            Err(error) => serde_json::json!({
                "turn": turn.number,
                "error": {"code": error.code(), "message": error.to_string()},
                "closedToolCalls": closed,
            }),
        };
        let kind = EventKind::TurnEnded { turn: turn.number };
        let draft = Draft::of(Direction::Local, "agentos/turn_ended", &payload, kind);
        Some((draft, Ended { turn: Some((turn, result)) }))
    }

    /// Takes in an update before it is published.
    pub(crate) fn apply(&self, update: SessionUpdate, limits: &Limits) {
        let mut state = self.state.lock();
        state.tool_calls.apply(&update, limits.tool_calls);
        if let Some(turn) = &mut state.turn {
            turn.text.apply(&update, limits.turn_text);
        }
        let view = &mut state.view;
        match update {
            SessionUpdate::CurrentModeUpdate(update) => {
                if let Some(modes) = &mut view.modes {
                    modes.current_mode_id = update.current_mode_id;
                }
            }
            SessionUpdate::ConfigOptionUpdate(update) => view.config_options = update.config_options,
            SessionUpdate::AvailableCommandsUpdate(update) => view.commands = update.available_commands,
            SessionUpdate::UsageUpdate(update) => view.usage = Some(update),
            SessionUpdate::SessionInfoUpdate(update) => {
                if let agent_client_protocol_schema::MaybeUndefined::Value(title) = update.title {
                    view.title = Some(title);
                }
            }
            _ => {}
        }
    }
}

/// A turn that is over. Dropping it wakes the waiters and lets the next prompt go.
struct Ended {
    turn: Option<(Turn, Result<PromptOutcome, Error>)>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some((turn, result)) = self.turn.take() {
            // First the gate: who is told that the turn is over may prompt at once, and must not find it shut.
            drop(turn.gate);
            let _ = turn.done.send(result);
            turn.ended.cancel();
        }
    }
}
