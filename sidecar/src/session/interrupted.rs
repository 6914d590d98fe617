//! The end of a turn that the end of its process cut off: what it left open in the log is closed, so that each turn has one
//! end whatever happened.

use std::collections::BTreeMap;

use agentos_driver::ErrorInfo;
use agentos_driver::event::{
    Body, Delta, Event, Item, ItemKind, ItemStatus, Outcome, PermissionReason, PermissionResolved,
    StopReason, Stream, TurnCompleted, TurnStatus, Verdict, now,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use ulid::Ulid;

use super::log::{Draft, Entry, EventLog, ReadError};
use super::sink::{Turns, draft};

/// Why such a turn failed.
pub(super) const INTERRUPTED: &str = "agentos.interrupted";

#[derive(Deserialize)]
struct OfItem {
    item: Item,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfRequest {
    request_id: String,
}

fn payload<T: DeserializeOwned>(entry: &Entry) -> Option<T> {
    serde_json::from_str(entry.payload().get()).ok()
}

/// What is open after the events of a turn.
#[derive(Default)]
struct Open {
    /// In the order of their ids, with the text that came of each.
    items: BTreeMap<String, (Item, String)>,
    questions: Vec<String>,
}

impl Open {
    fn after(entries: &[Entry]) -> Self {
        let mut open = Open::default();
        for entry in entries {
            match &*entry.kind {
                "item.started" => {
                    if let Some(OfItem { item }) = payload(entry) {
                        open.items.insert(item.item_id.clone(), (item, String::new()));
                    }
                }
                "item.delta" => {
                    let delta: Option<Delta> = payload(entry);
                    if let Some(delta) = delta.filter(|delta| delta.stream == Stream::Text)
                        && let Some((_, text)) = open.items.get_mut(&delta.item_id)
                    {
                        text.push_str(&delta.delta);
                    }
                }
                "item.completed" => {
                    if let Some(OfItem { item }) = payload(entry) {
                        open.items.remove(&item.item_id);
                    }
                }
                "permission.requested" => {
                    open.questions.extend(payload(entry).map(|OfRequest { request_id }| request_id));
                }
                "permission.resolved" => {
                    if let Some(OfRequest { request_id }) = payload(entry) {
                        open.questions.retain(|open| *open != request_id);
                    }
                }
                _ => {}
            }
        }
        open
    }
}

/// Closes the last turn of a log, if it has no end.
pub(super) async fn close_open(log: &EventLog) -> Result<(), ReadError> {
    let tail = log.back_to(|entry| matches!(&*entry.kind, "turn.started" | "turn.completed"))?;
    let Some((first, turn)) = tail
        .first()
        .filter(|first| &*first.kind == "turn.started")
        .and_then(|first| Some((first, first.turn?)))
    else {
        return Ok(());
    };
    let open = Open::after(&tail);
    let mut bodies = Vec::new();
    for request_id in open.questions {
        bodies.push(Body::PermissionResolved(PermissionResolved {
            request_id,
            outcome: Outcome::Cancelled,
            option_id: None,
            decision: Verdict::Reject,
            reason: PermissionReason::Cancelled,
            message: None,
        }));
    }
    for (mut item, text) in open.items.into_values() {
        item.status = ItemStatus::Failed;
        item.completed_at = Some(now());
        if let (ItemKind::Message { content, .. }, false) = (&mut item.kind, text.is_empty()) {
            *content = vec![agentos_driver::event::ContentBlock::text(text)];
        }
        bodies.push(Body::ItemCompleted { item });
    }
    let duration_ms = tail.last().map_or(0, |last| last.time_ms.saturating_sub(first.time_ms));
    let text = "the process that ran the session came to an end during this turn";
    bodies.push(Body::TurnCompleted(TurnCompleted {
        status: TurnStatus::Failed,
        stop_reason: StopReason::Error,
        error: Some(ErrorInfo::retryable(INTERRUPTED, text)),
        duration_ms,
    }));
    let turns = Turns::default();
    let drafts: Vec<Draft> = bodies.into_iter().map(|body| draft(&event(turn, body), &turns)).collect();
    Ok(log.append(drafts).await?)
}

fn event(turn: Ulid, body: Body) -> Event {
    Event {
        id: Ulid::generate(),
        seq: 0,
        session_id: Ulid::nil(),
        turn_id: Some(turn),
        at: now(),
        body,
        native: None,
        trace_id: None,
        meta: None,
        raw: None,
    }
}

#[cfg(test)]
mod tests {
    use agentos_store::sessions::SessionLogs;
    use serde_json::json;

    use super::*;

    fn of(turn: Ulid, kind: &str, payload: &serde_json::Value) -> Draft {
        let body: Body = serde_json::from_value(json!({"kind": kind, "payload": payload})).unwrap();
        draft(&event(turn, body), &Turns::default())
    }

    #[tokio::test]
    async fn each_turn_has_one_end_and_what_it_left_open_is_closed_before_it() {
        let scratch = tempfile::tempdir().unwrap();
        let logs = SessionLogs::open(scratch.path()).unwrap();
        let log = EventLog::new(Some(logs.create("a", b"{}").unwrap()));
        close_open(&log).await.unwrap();
        assert_eq!(log.range(), 1..1);
        let (first, second) = (Ulid::generate(), Ulid::generate());
        let at = "2026-01-02T03:04:05.678Z";
        let message = json!({"item": {"itemId": "m", "kind": "message", "status": "running", "role": "agent",
            "content": [], "startedAt": at}});
        let delta = |offset: u64, text: &str| json!({"itemId": "m", "stream": "text", "delta": text, "offset": offset});
        let asked = json!({"requestId": "q", "title": "May I?", "options": []});
        let done = json!({"status": "completed", "stopReason": "end_turn", "durationMs": 1});
        let drafts = vec![
            of(first, "turn.started", &json!({"startedAt": at})),
            of(first, "turn.completed", &done),
            of(second, "turn.started", &json!({"startedAt": at})),
            of(second, "item.started", &message),
            of(second, "item.delta", &delta(0, "ab")),
            of(second, "item.delta", &delta(2, "c")),
            of(second, "permission.requested", &asked),
        ];
        log.append(drafts).await.unwrap();
        for _ in 0..2 {
            close_open(&log).await.unwrap();
        }
        let mut kinds = Vec::new();
        let mut text = String::new();
        log.read(7, |entry| {
            assert_eq!(entry.turn, Some(second));
            kinds.push(entry.kind.to_string());
            text.push_str(entry.payload().get());
            true
        })
        .unwrap();
        assert_eq!(kinds, ["permission.resolved", "item.completed", "turn.completed"]);
        assert!(text.contains("\"abc\"") && text.contains(INTERRUPTED), "{text}");
    }
}
