//! What a session says: events in one order, numbered, each a whole. Backends write [`Draft`]s; only the kernel makes an
//! [`Event`] of one.

mod body;
mod content;
mod given;
mod item;
mod usage;

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use ulid::Ulid;

pub use body::{
    Body, ChangedFile, ClosedCall, Command, ConfigChoice, ConfigOption, CustomTool, Delta, Diagnostic,
    DiagnosticSource, Ended, FileChange, InputOutcome, InputRequest, InputResolved, ItemPatch, ModelRequest,
    Outcome, Path, Permission, PermissionDetail, PermissionKind, PermissionOption, PermissionReason,
    PermissionResolved, Phase, Question, ResolveReason, ResumeUpdate, SessionInfo, Severity, Started,
    StopReason, Stream, Timing, TurnCompleted, TurnStatus, Verdict,
};
pub use content::{ContentBlock, Resource, text_of};
pub use given::GivenBlock;
pub use item::{Change, Edit, Item, ItemKind, ItemStatus, Location, PlanEntry, Role};
pub use usage::{Basis, Usage};

use crate::ErrorInfo;

/// The version of events, agreed on once in `hello`.
pub const SCHEMA_VERSION: u32 = 2;

/// A moment as events write it: RFC 3339, UTC, milliseconds.
pub type Time = DateTime<Utc>;

/// Now, in milliseconds.
#[must_use]
pub fn now() -> Time {
    Utc::now().trunc_subsecs(3)
}

/// Writes a [`Time`] with exactly three digits after the second.
pub(crate) mod millis {
    use chrono::{DateTime, SecondsFormat, Utc};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(time: &DateTime<Utc>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<DateTime<Utc>, D::Error> {
        DateTime::<Utc>::deserialize(from)
    }
}

/// The same for one that may be absent.
pub(crate) mod maybe_millis {
    use chrono::{DateTime, SecondsFormat, Utc};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(time: &Option<DateTime<Utc>>, to: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => to.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true)),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DateTime<Utc>>, D::Error> {
        Option::<DateTime<Utc>>::deserialize(from)
    }
}

/// Where an event comes from, in the words of the vendor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Native {
    /// The backend, such as `claude-agent-sdk`.
    pub provider: String,
    /// The vendor's name of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_name: Option<String>,
    /// Its id of the item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_id: Option<String>,
    /// Its id of the session or thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
    /// Its id of the turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<String>,
    /// Its id of a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Its own number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// The version of its protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol_version: Option<String>,
}

/// The kind of an event that is nothing but a message of the vendor, for hosts that want those; see [`RawMessage`].
pub const NATIVE_MESSAGE: &str = "x_native.message";

/// A message of the vendor as it came, beside what was made of it. Only sessions that want it have it
/// ([`StartInput::native_messages`](crate::StartInput)); it is no part of the event's JSON.
#[derive(Clone, Debug)]
pub struct RawMessage {
    /// The method of a request or notification; of an answer, that of what it answers.
    pub method: Box<str>,
    /// Its parameters, or the result of an answer.
    pub params: Box<RawValue>,
}

impl PartialEq for RawMessage {
    fn eq(&self, other: &Self) -> bool {
        self.method == other.method && self.params.get() == other.params.get()
    }
}

impl RawMessage {
    /// One of this method.
    #[must_use]
    pub fn new(method: &str, params: Box<RawValue>) -> Arc<Self> {
        Arc::new(RawMessage { method: method.into(), params })
    }

    /// Of a line of the vendor as it came: its name, and the whole of it or only its parameters.
    pub(crate) fn of_line(line: &[u8], name: &str, member: Option<&str>) -> Option<Arc<Self>> {
        let text = std::str::from_utf8(line).ok()?;
        let params = match member {
            None => serde_json::from_str::<Box<RawValue>>(text).ok()?,
            Some(member) => {
                let mut members: std::collections::BTreeMap<String, &RawValue> =
                    serde_json::from_str(text).ok()?;
                members.remove(member).map_or_else(|| RawValue::NULL.to_owned(), ToOwned::to_owned)
            }
        };
        Some(Self::new(name, params))
    }

    /// An event that is nothing but this message.
    pub(crate) fn alone(self: Arc<Self>, turn_id: Option<Ulid>) -> Draft {
        let body = Body::Other { kind: NATIVE_MESSAGE.to_owned(), payload: Map::new() };
        Draft { turn_id, body, native: None, raw: Some(self) }
    }
}

/// An event before it has its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The turn it belongs to: that of the `input.start`.
    pub turn_id: Option<Ulid>,
    /// What happened.
    pub body: Body,
    /// In the vendor's words.
    pub native: Option<Native>,
    /// The message that it comes from.
    pub raw: Option<Arc<RawMessage>>,
}

impl Draft {
    /// Of the session as a whole.
    #[must_use]
    pub fn of_session(body: Body) -> Self {
        Draft { turn_id: None, body, native: None, raw: None }
    }

    /// Of a turn.
    #[must_use]
    pub fn of_turn(turn_id: Ulid, body: Body) -> Self {
        Draft { turn_id: Some(turn_id), body, native: None, raw: None }
    }

    /// With the message that it comes from.
    #[must_use]
    pub fn raw(mut self, raw: Option<Arc<RawMessage>>) -> Self {
        self.raw = raw;
        self
    }

    /// With its origin.
    #[must_use]
    pub fn native(mut self, native: Native) -> Self {
        self.native = Some(native);
        self
    }
}

/// An event of a session.
///
/// ```
/// use agentos_driver::event::{Body, Event};
/// let json = r#"{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","seq":7,"sessionId":"01ARZ3NDEKTSV4RRFFQ69G5FAV",
///     "at":"2026-01-02T03:04:05.678Z","kind":"x_weather","payload":{"sky":"grey"}}"#;
/// let event: Event = serde_json::from_str(json)?;
/// // What this version does not know goes through as it came.
/// assert!(matches!(&event.body, Body::Other { kind, .. } if kind == "x_weather"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Unique; by it duplicates are told.
    pub id: Ulid,
    /// From 1 in its session, and one more each time; joined events leave holes.
    pub seq: u64,
    /// The session.
    pub session_id: Ulid,
    /// The turn, on all that belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<Ulid>,
    /// When.
    #[serde(with = "millis")]
    pub at: Time,
    /// `kind` and `payload`.
    #[serde(flatten)]
    pub body: Body,
    /// In the vendor's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native: Option<Native>,
    /// The trace that the session belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Opaque.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<Map<String, Value>>,
    /// The message that it comes from, if the session wants those.
    #[serde(skip)]
    pub raw: Option<Arc<RawMessage>>,
}

impl Event {
    /// Whether it may be lost: never, if it is the only place of a message that is wanted.
    #[must_use]
    pub fn delivery(&self) -> DeliveryClass {
        if self.raw.is_some() { DeliveryClass::Lossless } else { self.body.delivery() }
    }
}

/// Whether an event may be lost on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryClass {
    /// Never.
    Lossless,
    /// If there is no room: a snapshot comes later.
    BestEffort,
}

/// Who may see an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Everyone in the session.
    Participant,
    /// Its owner, for finding faults.
    OwnerDebug,
}

impl Body {
    /// Whether it may be lost.
    #[must_use]
    pub fn delivery(&self) -> DeliveryClass {
        match self {
            Body::ItemDelta(_) => DeliveryClass::BestEffort,
            _ => DeliveryClass::Lossless,
        }
    }

    /// Who may see it.
    #[must_use]
    pub fn visibility(&self) -> Visibility {
        match self {
            Body::DiagnosticReported(_) | Body::TimingRecorded(_) => Visibility::OwnerDebug,
            _ => Visibility::Participant,
        }
    }

    /// A diagnostic.
    #[must_use]
    pub fn diagnostic(
        code: &str,
        severity: Severity,
        source: DiagnosticSource,
        message: impl Into<String>,
    ) -> Self {
        Body::DiagnosticReported(Diagnostic {
            code: code.to_owned(),
            message: message.into(),
            severity,
            source,
            reason: None,
            details: Map::new(),
        })
    }
}

/// An error in an event.
pub type EventError = ErrorInfo;
