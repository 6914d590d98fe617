//! Events of a session as the wire carries them: numbered from 1, with permission requests that can be answered.
//! The store behind them is the peer's log.

use std::collections::BTreeMap;

use agentos_acp::{
    CursorExpired, Delivery, Direction, Event, EventKind, EventLog, PermissionId, Subscription,
};
use agentos_protocol::WireError;
use agentos_protocol::message::{JsonText, SessionEventPage, SessionEventRecord};
use agentos_protocol::mux::RecordWriter;
use serde_json::value::RawValue;

use super::errors::{invalid, limit};

/// Most events of a page.
const PAGE_EVENTS: usize = 1000;
/// Parameters of a page, bytes; one event may be larger.
const PAGE_BYTES: usize = 4 << 20;
/// Most events sent in one write.
const BATCH_EVENTS: usize = 64;
/// Bytes after which no further event is added to a write.
const BATCH_BYTES: usize = 64 << 10;
/// Code of a stream whose events were dropped before its reader took them.
const EXPIRED: u32 = 1;

/// The name of a permission request on the wire.
pub(crate) fn permission_name(id: PermissionId) -> String {
    format!("permission-{}", id.0)
}

/// The permission request of a name.
pub(crate) fn permission_id(name: &str) -> Option<PermissionId> {
    let number = name.strip_prefix("permission-")?;
    let id = PermissionId(number.parse().ok()?);
    (permission_name(id) == name).then_some(id)
}

/// An event for the wire. The log counts from 0, the wire from 1.
pub(crate) fn record(event: &Event) -> SessionEventRecord {
    let since = event.at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let params = match event.kind {
        EventKind::PermissionRequested { id } => answerable(&event.payload, id),
        EventKind::PermissionResolved { id } => resolved(&event.payload, id),
        _ => event.payload.get().to_owned(),
    };
    SessionEventRecord {
        seq: event.seq + 1,
        time_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        method: method(event),
        params: JsonText(params),
    }
}

fn method(event: &Event) -> String {
    match (&event.kind, event.direction) {
        (EventKind::PermissionResolved { .. }, _) => "_agentos/permission_resolved".to_owned(),
        // ACP leaves methods beginning with `_` to others.
        (_, Direction::Local) => format!("_{}", event.method),
        _ => event.method.to_string(),
    }
}

type Members = BTreeMap<String, Box<RawValue>>;

fn members(json: &str) -> Members {
    serde_json::from_str(json).unwrap_or_default()
}

fn raw(json: Result<String, serde_json::Error>) -> Box<RawValue> {
    json.and_then(RawValue::from_string).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// Adds `_meta.agentos.permissionId`; everything else stays as the agent wrote it.
fn answerable(payload: &RawValue, id: PermissionId) -> String {
    let mut params = members(payload.get());
    let mut meta = params.get("_meta").map(|meta| members(meta.get())).unwrap_or_default();
    let ours = serde_json::json!({ "permissionId": permission_name(id) });
    meta.insert("agentos".to_owned(), raw(Ok(ours.to_string())));
    params.insert("_meta".to_owned(), raw(serde_json::to_string(&meta)));
    raw(serde_json::to_string(&params)).get().to_owned()
}

/// Names the request as [`answerable`] does.
fn resolved(payload: &RawValue, id: PermissionId) -> String {
    let mut params = members(payload.get());
    params.insert("permissionId".to_owned(), raw(serde_json::to_string(&permission_name(id))));
    raw(serde_json::to_string(&params)).get().to_owned()
}

/// Where in the log to begin after the event `seq` of the wire. 0 is the oldest event that is kept; any other cursor
/// must still be kept, so that nothing is left out unnoticed.
pub(crate) fn position(log: &EventLog, seq: u64) -> Result<u64, WireError> {
    let kept = log.range();
    if seq == 0 {
        return Ok(kept.start);
    }
    if seq > kept.end {
        return Err(invalid(format!("there is no event {seq}: the last is {}", kept.end)));
    }
    if seq < kept.start {
        return Err(expired(CursorExpired { asked: seq, oldest: kept.start }));
    }
    Ok(seq)
}

fn expired(error: CursorExpired) -> WireError {
    let oldest = error.oldest + 1;
    invalid(format!("cursor {} has expired: the oldest event that is kept is {oldest}", error.asked))
}

/// A page of the events that are kept.
pub(crate) fn page(
    log: &EventLog,
    since: u64,
    wanted: Option<&str>,
    limit: Option<u32>,
) -> Result<SessionEventPage, WireError> {
    let most = limit.map_or(PAGE_EVENTS, |limit| PAGE_EVENTS.min(limit as usize));
    let mut page = SessionEventPage::default();
    let mut bytes = 0;
    for event in log.read(position(log, since)?, usize::MAX).map_err(expired)? {
        if wanted.is_some_and(|wanted| method(&event) != wanted) {
            continue;
        }
        let cost = event.cost();
        if page.events.len() >= most || (bytes + cost > PAGE_BYTES && !page.events.is_empty()) {
            page.more = true;
            break;
        }
        bytes += cost;
        page.events.push(record(&event));
    }
    Ok(page)
}

/// Live events after `seq`, and the number of the last one so far. Until it is dropped, nothing it has not given out is
/// dropped: a slow reader stops its own agent, and nobody else.
pub(crate) fn subscribe(log: &EventLog, seq: u64) -> Result<(Subscription, u64), WireError> {
    loop {
        match log.subscribe(position(log, seq)?, Delivery::Lossless) {
            Ok(subscription) => return Ok((subscription, log.range().end)),
            // Dropped since its position was looked up; 0 means whatever is kept.
            Err(agentos_acp::Error::CursorExpired(_)) if seq == 0 => {}
            Err(agentos_acp::Error::CursorExpired(error)) => return Err(expired(error)),
            Err(agentos_acp::Error::Limit { name, configured, used }) => {
                return Err(limit(name, configured, used.saturating_sub(1)));
            }
            Err(other) => return Err(invalid(other.to_string())),
        }
    }
}

/// Sends events until there are no more, or the client looks away. Those that are there go out in one write.
pub(crate) async fn follow(mut events: Subscription, records: RecordWriter<SessionEventRecord>) {
    let mut batch = Vec::new();
    loop {
        let mut next = tokio::select! {
            next = events.next() => next,
            _ = records.stream().closed() => return,
        };
        let mut bytes = 0;
        while let Ok(Some(event)) = &next {
            bytes += event.cost();
            batch.push(record(event));
            if batch.len() >= BATCH_EVENTS || bytes >= BATCH_BYTES {
                break;
            }
            match events.ready() {
                Ok(Some(ready)) => next = Ok(ready),
                Ok(None) => break,
                Err(expired) => next = Err(expired),
            }
        }
        if !batch.is_empty() && records.send_all(&batch).await.is_err() {
            return;
        }
        batch.clear();
        match next {
            Ok(Some(_)) => {}
            Ok(None) => return records.stream().finish(),
            Err(_) => return records.stream().reset(EXPIRED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permission_names_are_read_strictly() {
        assert_eq!(permission_id("permission-7"), Some(PermissionId(7)));
        for name in ["7", "permission-", "permission-07", "permission-+7", "permission-x"] {
            assert_eq!(permission_id(name), None, "{name}");
        }
    }

    #[test]
    fn a_permission_request_keeps_what_the_agent_wrote() {
        let raw = RawValue::from_string(r#"{"a":1e400,"_meta":{"x":[1],"agentos":5}}"#.to_owned()).unwrap();
        assert_eq!(
            answerable(&raw, PermissionId(3)),
            r#"{"_meta":{"agentos":{"permissionId":"permission-3"},"x":[1]},"a":1e400}"#
        );
        let raw = RawValue::from_string(r#"{"_meta":7}"#.to_owned()).unwrap();
        assert_eq!(
            answerable(&raw, PermissionId(0)),
            r#"{"_meta":{"agentos":{"permissionId":"permission-0"}}}"#
        );
    }

    #[test]
    fn cursors_of_an_empty_log() {
        let log = EventLog::new(4, 1 << 20);
        assert_eq!(position(&log, 0).unwrap(), 0);
        assert!(position(&log, 1).unwrap_err().message.contains("no event 1"));
        assert!(page(&log, 0, None, None).unwrap().events.is_empty());
    }
}
