//! From the events of a Driver Kernel to those of a session: each goes into the log before anything else comes of it. What
//! turns come to is told to who waits for them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agentos_driver::ErrorInfo;
use agentos_driver::command::CommandUpdate;
use agentos_driver::error::RESUME_LOST;
use agentos_driver::event::{
    Body, Event, ItemKind, NATIVE_MESSAGE, RawMessage, Role, TurnCompleted, Usage, text_of,
};
use agentos_driver::ports::{EventSink, Pending};
use agentos_protocol::message::JsonText;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use ulid::Ulid;

use super::entry::Record;
use super::log::Draft;

/// Text of a turn that is collected for its reply; the rest is only in the events.
const TURN_TEXT: usize = 4 << 20;

/// What a turn came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) completed: TurnCompleted,
    /// Text of the agent's messages.
    pub(crate) text: String,
    pub(crate) usage: Option<Usage>,
    /// What the agent answered to the prompt, as it came.
    pub(crate) answer: Option<Arc<RawMessage>>,
}

struct Awaited {
    prompt: JsonText,
    text: String,
    usage: Option<Usage>,
    tell: oneshot::Sender<Outcome>,
}

/// The turns that somebody waits for.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<Ulid, Awaited>>);

impl Turns {
    /// A turn is about to begin with this prompt; its outcome once it has ended.
    pub(crate) fn expect(&self, id: Ulid, prompt: JsonText) -> oneshot::Receiver<Outcome> {
        let (tell, told) = oneshot::channel();
        self.0.lock().insert(id, Awaited { prompt, text: String::new(), usage: None, tell });
        told
    }

    /// Nobody waits any more.
    pub(crate) fn forget(&self, id: Ulid) {
        self.0.lock().remove(&id);
    }

    fn prompt(&self, id: Ulid) -> Option<JsonText> {
        self.0.lock().get(&id).map(|turn| turn.prompt.clone())
    }

    /// Takes note of what an event says of a turn; what is to be told once the event is in the log.
    fn note(&self, event: &Event) -> Option<(oneshot::Sender<Outcome>, Outcome)> {
        let id = event.turn_id?;
        let mut turns = self.0.lock();
        match &event.body {
            Body::ItemCompleted { item } if item.parent_item_id.is_none() => {
                if let (ItemKind::Message { role: Role::Agent, content, .. }, Some(turn)) =
                    (&item.kind, turns.get_mut(&id))
                {
                    let text = text_of(content);
                    let room = TURN_TEXT.saturating_sub(turn.text.len());
                    turn.text.push_str(&text[..text.floor_char_boundary(room)]);
                }
            }
            Body::UsageUpdated(usage) => {
                if let Some(turn) = turns.get_mut(&id) {
                    turn.usage = Some(usage.clone());
                }
            }
            Body::TurnCompleted(completed) => {
                let Awaited { text, usage, tell, .. } = turns.remove(&id)?;
                let (completed, answer) = (completed.clone(), event.raw.clone());
                return Some((tell, Outcome { completed, text, usage, answer }));
            }
            _ => {}
        }
        None
    }
}

/// Where one life of a Driver Kernel puts its events.
#[derive(Clone)]
pub(crate) struct Sink {
    record: Arc<Record>,
    /// The kernel's number of the last event that is in the log.
    last: Arc<AtomicU64>,
}

impl Sink {
    pub(crate) fn new(record: Arc<Record>) -> Self {
        Sink { record, last: Arc::default() }
    }

    async fn take(&self, events: Vec<Arc<Event>>) -> Result<u64, ErrorInfo> {
        let last = self.last.load(Ordering::Acquire);
        let news: Vec<Arc<Event>> = events.into_iter().filter(|event| event.seq > last).collect();
        let Some(newest) = news.last().map(|event| event.seq) else { return Ok(last) };
        let drafts = news.iter().map(|event| draft(event, &self.record.turns)).collect();
        let stored = self.record.log.append(drafts).await;
        if let Err(error) = &stored {
            // What is not kept is not shown. The session cannot go on without its log.
            self.record.lost_log(error);
            return Err(ErrorInfo::new("agentos.log_failed", error.to_string()));
        }
        self.last.store(newest, Ordering::Release);
        for event in &news {
            self.record.note(event);
            if let Some((tell, outcome)) = self.record.turns.note(event) {
                let _ = tell.send(outcome);
            }
        }
        self.record.noted.send_replace(newest);
        Ok(newest)
    }
}

impl EventSink for Sink {
    fn push_events(&self, events: Vec<Arc<Event>>) -> Pending<'_, u64> {
        if !self.record.log.is_stored() {
            return Box::pin(self.take(events));
        }
        // What is being written is written to its end, whatever becomes of the kernel.
        let of = self.clone();
        Box::pin(async move {
            let taken = tokio::spawn(async move { of.take(events).await }).await;
            taken.unwrap_or_else(|error| Err(ErrorInfo::new("agentos.log_failed", error.to_string())))
        })
    }

    fn command_update(&self, _: CommandUpdate) -> Pending<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// `kind` and `payload` as they are written.
#[derive(serde::Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

/// The kind of an event and what it carries.
fn written(body: &Body) -> (Cow<'static, str>, Box<RawValue>) {
    // Most events are these.
    if let Body::ItemDelta(delta) = body {
        return (Cow::Borrowed("item.delta"), raw(delta));
    }
    let text = serde_json::to_string(body).unwrap_or_default();
    let written: Option<Written<'_>> = serde_json::from_str(&text).ok();
    let kind = written.as_ref().map_or_else(String::new, |written| written.kind.to_string());
    let payload = written.and_then(|written| written.payload).map(ToOwned::to_owned);
    (Cow::Owned(kind), payload.unwrap_or_else(|| raw(&Map::new())))
}

fn raw(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// The method of an event that is no message of the agent.
pub(crate) fn own_method(kind: &str) -> String {
    format!("_agentos/{}", kind.replace('.', "_"))
}

/// An event as the log has it.
pub(super) fn draft(event: &Event, turns: &Turns) -> Draft {
    let (kind, payload) = written(&event.body);
    let kind = &*kind;
    let settles = matches!(
        event.body,
        Body::TurnCompleted(_)
            | Body::PermissionRequested(_)
            | Body::InputRequested(_)
            | Body::CustomToolRequested(_)
            | Body::SessionResumeUpdated(_)
            | Body::SessionEnded(_)
    );
    let (method, params, payload) = match (&event.body, &event.raw) {
        (Body::TurnStarted { .. }, _) => match event.turn_id.and_then(|id| turns.prompt(id)) {
            Some(prompt) => ("session/prompt".to_owned(), prompted(&prompt), Some(payload)),
            None => (own_method(kind), payload, None),
        },
        // Whatever the answer to a prompt says, its end is told by the event.
        (Body::TurnCompleted(_), _) => (own_method(kind), payload, None),
        (Body::PermissionRequested(asked), Some(message)) => {
            let params = answerable(&message.params, &asked.request_id);
            (message.method.to_string(), params, Some(payload))
        }
        (Body::PermissionRequested(asked), None) => {
            ("session/request_permission".to_owned(), as_request(asked), Some(payload))
        }
        (Body::PermissionResolved(resolved), _) => {
            let mut params = members(payload.get());
            params.insert("permissionId".to_owned(), raw(&resolved.request_id));
            (own_method(kind), raw(&params), Some(payload))
        }
        (_, Some(message)) => {
            let payload = (kind != NATIVE_MESSAGE).then_some(payload);
            (message.method.to_string(), message.params.clone(), payload)
        }
        (_, None) => (own_method(kind), payload, None),
    };
    Draft {
        time_ms: u64::try_from(event.at.timestamp_millis()).unwrap_or_default(),
        turn: event.turn_id,
        kind: kind.into(),
        method: method.into(),
        params,
        payload,
        settles,
    }
}

type Members = std::collections::BTreeMap<String, Box<RawValue>>;

fn members(json: &str) -> Members {
    serde_json::from_str(json).unwrap_or_default()
}

fn prompted(prompt: &JsonText) -> Box<RawValue> {
    RawValue::from_string(format!("{{\"prompt\":{}}}", prompt.0)).unwrap_or_else(|_| raw(&Map::new()))
}

/// Adds `_meta.agentos.permissionId`; everything else stays as the agent wrote it.
fn answerable(payload: &RawValue, id: &str) -> Box<RawValue> {
    let mut params = members(payload.get());
    let mut meta = params.get("_meta").map(|meta| members(meta.get())).unwrap_or_default();
    meta.insert("agentos".to_owned(), raw(&json!({ "permissionId": id })));
    params.insert("_meta".to_owned(), raw(&meta));
    raw(&params)
}

/// The question of an agent that does not speak ACP, as ACP would ask it.
fn as_request(asked: &agentos_driver::event::Permission) -> Box<RawValue> {
    raw(&json!({
        "toolCall": {
            "toolCallId": asked.item_id,
            "title": asked.title,
            "name": asked.tool_name,
            "rawInput": asked.detail,
        },
        "options": asked.options,
        "_meta": {"agentos": {"permissionId": asked.request_id}},
    }))
}

/// Whether an event says that the agent has lost the history, and began anew.
pub(crate) fn has_lost_history(event: &Event) -> bool {
    matches!(&event.body, Body::DiagnosticReported(said) if said.code == RESUME_LOST)
}

/// The JSON of the reply to a prompt whose agent does not answer as ACP does.
pub(crate) fn made_up_response(stop_reason: &str) -> Value {
    json!({ "stopReason": stop_reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_request_keeps_what_the_agent_wrote() {
        let raw = RawValue::from_string(r#"{"a":1e400,"_meta":{"x":[1],"agentos":5}}"#.to_owned()).unwrap();
        assert_eq!(
            answerable(&raw, "p3").get(),
            r#"{"_meta":{"agentos":{"permissionId":"p3"},"x":[1]},"a":1e400}"#
        );
        let raw = RawValue::from_string(r#"{"_meta":7}"#.to_owned()).unwrap();
        assert_eq!(answerable(&raw, "p").get(), r#"{"_meta":{"agentos":{"permissionId":"p"}}}"#);
    }

    #[test]
    fn own_events_have_methods_that_acp_leaves_free() {
        assert_eq!(own_method("turn.completed"), "_agentos/turn_completed");
        assert_eq!(own_method("session.info.updated"), "_agentos/session_info_updated");
    }
}
