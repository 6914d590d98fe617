//! Events of a session as the wire carries them: pages of them, and a stream that goes on.

use agentos_protocol::WireError;
use agentos_protocol::message::{JsonText, SessionEventPage, SessionEventRecord};
use agentos_protocol::mux::RecordWriter;

use super::entry::Session;
use super::errors::unread;
use super::log::{Entry, EventLog, Subscription};

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

/// An event for the wire.
pub(crate) fn record(entry: &Entry) -> SessionEventRecord {
    SessionEventRecord {
        seq: entry.seq,
        time_ms: entry.time_ms,
        method: entry.method.to_string(),
        params: JsonText(entry.params.get().to_owned()),
        kind: entry.kind.to_string(),
        turn_id: entry.turn.map(|turn| turn.to_string()),
        payload: entry.payload.as_ref().map(|payload| JsonText(payload.get().to_owned())),
    }
}

impl Session {
    /// A page of its events.
    pub(crate) async fn page(
        &self,
        since: u64,
        method: Option<&str>,
        limit: Option<u32>,
    ) -> Result<SessionEventPage, WireError> {
        self.settle().await;
        page(&self.record.log, since, method, limit)
    }

    /// Its events after `seq`, and the number of the last one so far.
    pub(crate) async fn subscribe(&self, seq: u64) -> Result<(Subscription, u64), WireError> {
        self.settle().await;
        self.record.log.subscribe(seq).map_err(|error| unread(&error))
    }
}

/// A page of the events that are kept.
fn page(
    log: &EventLog,
    since: u64,
    wanted: Option<&str>,
    limit: Option<u32>,
) -> Result<SessionEventPage, WireError> {
    let most = limit.map_or(PAGE_EVENTS, |limit| PAGE_EVENTS.min(limit as usize));
    let mut page = SessionEventPage::default();
    let mut bytes = 0;
    let read = log.read(since, |entry| {
        if wanted.is_some_and(|wanted| *entry.method != *wanted) {
            return true;
        }
        let cost = entry.cost();
        if page.events.len() >= most || (bytes + cost > PAGE_BYTES && !page.events.is_empty()) {
            page.more = true;
            return false;
        }
        bytes += cost;
        page.events.push(record(entry));
        true
    });
    read.map_err(|error| unread(&error))?;
    Ok(page)
}

/// Sends events until there are no more, or the client looks away. Those that are there go out in one write.
pub(crate) async fn follow(mut events: Subscription, records: RecordWriter<SessionEventRecord>) {
    let mut taken = Vec::with_capacity(BATCH_EVENTS);
    loop {
        let next = tokio::select! {
            next = events.next(BATCH_EVENTS, BATCH_BYTES, &mut taken) => next,
            _ = records.stream().closed() => return,
        };
        let ended = next.is_ok() && taken.is_empty();
        let batch: Vec<SessionEventRecord> = taken.drain(..).map(|entry| record(&entry)).collect();
        if !batch.is_empty() && records.send_all(&batch).await.is_err() {
            return;
        }
        if let Err(error) = next {
            tracing::warn!(%error, "a stream of events ends early");
            return records.stream().reset(EXPIRED);
        }
        if ended {
            return records.stream().finish();
        }
    }
}
