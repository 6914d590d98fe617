//! Events on their way to the host: numbered, in order, bounded, and kept until the host has them. It knows nothing of
//! what they mean but which may be lost and which can be joined.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use ulid::Ulid;

use crate::event::{Body, DeliveryClass, Delta, Draft, Event, now};

/// Most events that are kept.
pub(crate) const MAX_EVENTS: usize = 10_000;
/// Most bytes that they may have.
pub(crate) const MAX_BYTES: usize = 16 << 20;
/// The longest text that joined deltas have.
const MAX_DELTA: usize = 64 << 10;
/// What an event has besides its texts, about.
const BASE: usize = 200;

struct Kept {
    /// Shared with the host, once it was handed out.
    event: Arc<Event>,
    bytes: usize,
}

struct Inner {
    next_seq: u64,
    queue: VecDeque<Kept>,
    /// Of the queue, those that were handed out and not yet acknowledged.
    sent: usize,
    /// The highest number that was ever handed out: up to there nothing is changed any more.
    handed: u64,
    bytes: usize,
    /// Dropped since it was last told.
    dropped: u64,
    /// Nothing is added any more.
    closed: bool,
}

/// The events of a session that the host does not have yet.
pub(crate) struct Outbox {
    session_id: Ulid,
    trace_id: Option<String>,
    inner: Mutex<Inner>,
    /// Something was added.
    added: Notify,
    /// Something was taken.
    taken: Notify,
}

/// The text in an event, about: what its size depends on.
fn size(body: &Body) -> usize {
    match body {
        Body::ItemDelta(delta) => BASE + delta.delta.len(),
        other => {
            let mut counted = Counted(0);
            let written = serde_json::to_writer(&mut counted, other);
            BASE + written.map_or(0, |()| counted.0)
        }
    }
}

/// Counts bytes that are written.
struct Counted(usize);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Inner {
    fn is_full(&self) -> bool {
        self.queue.len() >= MAX_EVENTS || self.bytes >= MAX_BYTES
    }

    /// Joins an event to the last one, if that was not handed out and can be joined.
    fn join(&mut self, event: Event) -> Option<Event> {
        if self.queue.len() <= self.sent {
            return Some(event);
        }
        let Some(last) = self.queue.back_mut() else { return Some(event) };
        if last.event.seq <= self.handed
            || last.event.turn_id != event.turn_id
            || last.event.native.is_some() != event.native.is_some()
            || last.event.raw.is_some()
            || event.raw.is_some()
        {
            return Some(event);
        }
        let (id, seq, at) = (event.id, event.seq, event.at);
        // Nobody else has it: it was not handed out.
        let Some(joined) = Arc::get_mut(&mut last.event) else { return Some(event) };
        match (&mut joined.body, event.body) {
            (Body::ItemDelta(a), Body::ItemDelta(b)) if continues(a, &b) => {
                self.bytes += b.delta.len();
                last.bytes += b.delta.len();
                a.delta.push_str(&b.delta);
            }
            (Body::ItemUpdated(a), Body::ItemUpdated(b)) if a.item_id == b.item_id => {
                a.patch.extend(b.patch);
                let bytes = size(&joined.body);
                self.bytes = self.bytes + bytes - last.bytes;
                last.bytes = bytes;
            }
            (Body::UsageUpdated(a), Body::UsageUpdated(b)) if a.turn_id == b.turn_id => *a = b,
            (_, body) => return Some(Event { body, ..event }),
        }
        // A joined event is the later one.
        (joined.id, joined.seq, joined.at) = (id, seq, at);
        joined.native = event.native;
        None
    }

    /// Drops what may be dropped, of what was not handed out.
    fn shed(&mut self) {
        let (mut n, sent) = (0, self.sent);
        let (mut bytes, mut dropped) = (0, 0);
        self.queue.retain(|kept| {
            let lossless = n < sent || kept.event.delivery() == DeliveryClass::Lossless;
            n += 1;
            if !lossless {
                bytes += kept.bytes;
                dropped += 1;
            }
            lossless
        });
        self.bytes -= bytes;
        self.dropped += dropped;
    }
}

fn continues(a: &Delta, b: &Delta) -> bool {
    a.item_id == b.item_id
        && a.stream == b.stream
        && a.index == b.index
        && a.offset + a.delta.len() as u64 == b.offset
        && a.delta.len() + b.delta.len() <= MAX_DELTA
}

impl Outbox {
    pub(crate) fn new(session_id: Ulid, trace_id: Option<String>, next_seq: u64) -> Self {
        let inner = Inner {
            next_seq: next_seq.max(1),
            queue: VecDeque::new(),
            sent: 0,
            handed: 0,
            bytes: 0,
            dropped: 0,
            closed: false,
        };
        let (added, taken) = (Notify::new(), Notify::new());
        Outbox { session_id, trace_id, inner: Mutex::new(inner), added, taken }
    }

    /// Adds an event. It never waits; whoever can wait does so afterwards, in [`Outbox::room`].
    pub(crate) fn push(&self, draft: Draft) {
        let mut inner = self.inner.lock();
        if inner.closed {
            return;
        }
        if inner.is_full() {
            inner.shed();
            let droppable = draft.raw.is_none() && draft.body.delivery() == DeliveryClass::BestEffort;
            if inner.is_full() && droppable {
                inner.dropped += 1;
                return;
            }
        }
        let event = Event {
            id: Ulid::generate(),
            seq: inner.next_seq,
            session_id: self.session_id,
            turn_id: draft.turn_id,
            at: now(),
            body: draft.body,
            native: draft.native,
            trace_id: self.trace_id.clone(),
            meta: None,
            raw: draft.raw,
        };
        inner.next_seq += 1;
        if let Some(event) = inner.join(event) {
            let bytes = size(&event.body) + event.raw.as_ref().map_or(0, |raw| raw.params.get().len());
            inner.bytes += bytes;
            inner.queue.push_back(Kept { event: Arc::new(event), bytes });
        }
        drop(inner);
        self.added.notify_waiters();
    }

    /// Nothing is added after this.
    pub(crate) fn close(&self) {
        self.inner.lock().closed = true;
        self.added.notify_waiters();
        self.taken.notify_waiters();
    }

    /// Waits while it is full.
    pub(crate) async fn room(&self) {
        loop {
            let taken = self.taken.notified();
            tokio::pin!(taken);
            taken.as_mut().enable();
            {
                let inner = self.inner.lock();
                if !inner.is_full() || inner.closed {
                    return;
                }
            }
            taken.await;
        }
    }

    /// How many events were dropped since this was last asked.
    pub(crate) fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.inner.lock().dropped)
    }

    /// The number that the next event has.
    pub(crate) fn next_seq(&self) -> u64 {
        self.inner.lock().next_seq
    }

    /// Waits until there is something that was not handed out: whether there is. Nothing comes any more if not.
    pub(crate) async fn wait(&self) -> bool {
        loop {
            let added = self.added.notified();
            tokio::pin!(added);
            added.as_mut().enable();
            {
                let inner = self.inner.lock();
                if inner.queue.len() > inner.sent {
                    return true;
                }
                if inner.closed {
                    return false;
                }
            }
            added.await;
        }
    }

    /// Whether only deltas wait, which may wait a little longer.
    pub(crate) fn can_wait(&self, most: usize) -> bool {
        let inner = self.inner.lock();
        let waiting = inner.queue.iter().skip(inner.sent);
        !inner.closed
            && inner.queue.len() - inner.sent < most
            && waiting.into_iter().all(|kept| kept.event.delivery() == DeliveryClass::BestEffort)
    }

    /// Hands out the next ones, at most `most`; they stay until they are acknowledged.
    pub(crate) fn batch(&self, most: usize) -> Vec<Arc<Event>> {
        let mut inner = self.inner.lock();
        let waiting = inner.queue.iter().skip(inner.sent);
        let batch: Vec<Arc<Event>> = waiting.take(most).map(|kept| Arc::clone(&kept.event)).collect();
        inner.sent += batch.len();
        inner.handed = batch.last().map_or(inner.handed, |event| inner.handed.max(event.seq));
        batch
    }

    /// The host has all up to `seq`; whether that is more than before.
    pub(crate) fn acknowledge(&self, seq: u64) -> bool {
        let mut inner = self.inner.lock();
        let before = inner.queue.len();
        while inner.sent > 0 && inner.queue.front().is_some_and(|kept| kept.event.seq <= seq) {
            inner.sent -= 1;
            if let Some(kept) = inner.queue.pop_front() {
                inner.bytes -= kept.bytes;
            }
        }
        let more = inner.queue.len() < before;
        drop(inner);
        self.taken.notify_waiters();
        more
    }

    /// What was handed out and not acknowledged is handed out again.
    pub(crate) fn again(&self) {
        self.inner.lock().sent = 0;
    }

    /// The next event, handed over for good.
    pub(crate) async fn next(&self) -> Option<Event> {
        if !self.wait().await {
            return None;
        }
        let event = {
            let mut inner = self.inner.lock();
            let kept = inner.queue.pop_front()?;
            inner.bytes -= kept.bytes;
            kept.event
        };
        self.taken.notify_waiters();
        Some(Arc::unwrap_or_clone(event))
    }

    /// Waits until the host has all.
    pub(crate) async fn flushed(&self) {
        loop {
            let taken = self.taken.notified();
            tokio::pin!(taken);
            taken.as_mut().enable();
            if self.inner.lock().queue.is_empty() {
                return;
            }
            taken.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Item, ItemPatch, Stream, Usage};

    fn outbox() -> Outbox {
        Outbox::new(Ulid::generate(), None, 5)
    }

    fn delta(item: &str, offset: u64, text: &str) -> Draft {
        Draft::of_session(Body::ItemDelta(Delta {
            item_id: item.to_owned(),
            stream: Stream::Text,
            index: None,
            delta: text.to_owned(),
            offset,
        }))
    }

    fn started(item: &str) -> Draft {
        Draft::of_session(Body::ItemStarted { item: Item::message(item, vec![]) })
    }

    fn kinds(events: &[Arc<Event>]) -> Vec<(u64, String)> {
        let text = |event: &Event| match &event.body {
            Body::ItemDelta(delta) => delta.delta.clone(),
            other => other.item_id().unwrap_or("-").to_owned(),
        };
        events.iter().map(|event| (event.seq, text(event))).collect()
    }

    #[test]
    fn only_neighbours_are_joined_and_the_later_number_holds() {
        let outbox = outbox();
        for draft in [
            started("a"),
            delta("a", 0, "x"),
            delta("a", 1, "y"),
            delta("b", 0, "z"),
            delta("a", 2, "w"),
            // A hole: one before it was lost.
            delta("a", 9, "v"),
        ] {
            outbox.push(draft);
        }
        let all = outbox.batch(100);
        let of = |seq, text: &str| (seq, text.to_owned());
        assert_eq!(kinds(&all), [of(5, "a"), of(7, "xy"), of(8, "z"), of(9, "w"), of(10, "v")]);
        // What was handed out is not changed any more.
        outbox.push(delta("a", 10, "u"));
        assert_eq!(kinds(&outbox.batch(100)), [of(11, "u")]);
    }

    #[test]
    fn updates_and_usage_are_joined() {
        let outbox = outbox();
        let patch = |name: &str, value: u64| {
            let patch = [(name.to_owned(), value.into())].into_iter().collect();
            Draft::of_session(Body::ItemUpdated(ItemPatch { item_id: "a".into(), patch }))
        };
        let usage = |output_tokens| {
            Draft::of_session(Body::UsageUpdated(Usage { output_tokens, ..Usage::default() }))
        };
        for draft in [patch("a", 1), patch("b", 2), patch("a", 3), usage(1), usage(2)] {
            outbox.push(draft);
        }
        let all = outbox.batch(100);
        assert_eq!(all.len(), 2);
        let Body::ItemUpdated(joined) = &all[0].body else { panic!("{all:?}") };
        assert_eq!(serde_json::to_string(&joined.patch).unwrap(), r#"{"a":3,"b":2}"#);
        assert!(matches!(&all[1].body, Body::UsageUpdated(usage) if usage.output_tokens == 2));
    }

    #[test]
    fn what_is_not_acknowledged_comes_again() {
        let outbox = outbox();
        for n in 0..5 {
            outbox.push(started(&n.to_string()));
        }
        assert_eq!(outbox.batch(3).len(), 3);
        outbox.acknowledge(6);
        outbox.again();
        assert_eq!(kinds(&outbox.batch(9)).iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [7, 8, 9]);
        // What the host may have already is not joined with what follows.
        outbox.push(delta("a", 0, "x"));
        outbox.batch(9);
        outbox.again();
        outbox.push(delta("a", 1, "y"));
        assert_eq!(kinds(&outbox.batch(9)).iter().filter(|(_, text)| text == "x" || text == "y").count(), 2);
        outbox.acknowledge(u64::MAX);
        // An answer about what was never handed out takes nothing away.
        outbox.push(started("x"));
        outbox.acknowledge(99);
        assert_eq!(outbox.batch(9).len(), 1);
    }

    #[tokio::test]
    async fn a_full_one_drops_deltas_and_makes_who_can_wait_wait() {
        let outbox = outbox();
        for n in 0..MAX_EVENTS {
            // No two are neighbours of one text.
            outbox.push(delta(&n.to_string(), 0, "x"));
        }
        outbox.push(started("lossless"));
        assert_eq!(outbox.take_dropped(), MAX_EVENTS as u64);
        assert_eq!(outbox.batch(9).len(), 1);
        for n in 1..MAX_EVENTS {
            outbox.push(started(&n.to_string()));
        }
        let full = tokio::time::timeout(std::time::Duration::from_millis(20), outbox.room()).await;
        assert!(full.is_err(), "it is full and nobody waits");
        outbox.push(delta("late", 0, "x"));
        outbox.push(started("nothing lossless is dropped"));
        assert_eq!(outbox.take_dropped(), 1);
        outbox.acknowledge(u64::MAX);
        let all = outbox.batch(2 * MAX_EVENTS);
        assert_eq!(all.len(), MAX_EVENTS);
        outbox.acknowledge(u64::MAX);
        outbox.room().await;
        outbox.flushed().await;
    }

    #[tokio::test]
    async fn the_end_is_told() {
        let outbox = outbox();
        outbox.push(started("a"));
        outbox.close();
        outbox.push(started("b"));
        assert_eq!(outbox.next().await.map(|event| event.seq), Some(5));
        assert!(outbox.next().await.is_none());
        outbox.room().await;
    }
}
