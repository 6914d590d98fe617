//! One thing that happened in a session, as consumers see it: who said it, the ACP method, the raw JSON. It keeps
//! nothing decoded, so that its size is the size of its payload.

use std::time::SystemTime;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{permission::PermissionId, update::Update};

/// Who caused an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// A message of the agent.
    FromAgent,
    /// A message of ours to the agent.
    ToAgent,
    /// Something the peer noticed itself; its method starts with `agentos/`.
    Local,
}

/// What an event is about, for consumers that do not want to look at the JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// `session/update`; see [`Event::update`].
    Update,
    /// `session/prompt`: a turn began. The payload holds `prompt`.
    PromptSent {
        /// Number of the turn, from 0.
        turn: u64,
    },
    /// `agentos/turn_ended`: payload `{turn, stopReason?, error?, usage?, closedToolCalls: [{toolCallId, status}]}`.
    TurnEnded {
        /// Number of the turn.
        turn: u64,
    },
    /// `session/request_permission`: waits for an answer. The payload is the agent's.
    PermissionRequested {
        /// Answer with this id.
        id: PermissionId,
    },
    /// The answer to a permission request: payload `{permissionId, outcome, reason}`, outcome as in ACP.
    PermissionResolved {
        /// Which.
        id: PermissionId,
    },
    /// `session/cancel` was sent.
    CancelSent,
    /// A mode, option or model was changed by us; the method says which, the payload is the parameters.
    Configured,
    /// `agentos/stalled`: no message of the agent for a long time during a prompt; payload `{turn, idleMs}`.
    Stalled,
    /// `agentos/agent_closed`: the last event of a session; payload `{reason, code?, signal?, stderrTail?}`.
    Closed,
}

/// One numbered event of a session.
#[derive(Debug)]
pub struct Event {
    /// Its number in the session, from 0 without gaps.
    pub seq: u64,
    /// When it was stored.
    pub at: SystemTime,
    /// Who caused it.
    pub direction: Direction,
    /// The ACP method, or `agentos/…` for local events.
    pub method: Box<str>,
    /// The parameters as they were sent, or the payload described at [`EventKind`].
    pub payload: Box<RawValue>,
    /// What it is about.
    pub kind: EventKind,
}

impl Event {
    /// The update of a `session/update` event; `None` for other events.
    #[must_use]
    pub fn update(&self) -> Option<Update> {
        (self.kind == EventKind::Update).then(|| Update::from_params(&self.payload))
    }

    /// What the event counts against the byte limit: its texts plus a flat share for the record.
    #[must_use]
    pub fn cost(&self) -> usize {
        cost(&self.method, &self.payload)
    }
}

fn cost(method: &str, payload: &RawValue) -> usize {
    payload.get().len() + method.len() + 128
}

/// An event that has no number yet.
#[derive(Debug)]
pub struct Draft {
    pub(crate) direction: Direction,
    pub(crate) method: Box<str>,
    pub(crate) payload: Box<RawValue>,
    pub(crate) kind: EventKind,
}

impl Draft {
    /// A draft with the given payload.
    #[must_use]
    pub fn new(direction: Direction, method: &str, payload: Box<RawValue>, kind: EventKind) -> Self {
        Self { direction, method: method.into(), payload, kind }
    }

    /// See [`Event::cost`].
    pub(crate) fn cost(&self) -> usize {
        cost(&self.method, &self.payload)
    }

    /// A draft whose payload is written as JSON here; `null` if it cannot be.
    pub(crate) fn of(direction: Direction, method: &str, payload: &impl Serialize, kind: EventKind) -> Self {
        let payload = serde_json::value::to_raw_value(payload).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Self::new(direction, method, payload, kind)
    }
}
