//! The events of one session: numbered from 1 without a gap, kept in memory within limits and, where the machine has a store,
//! in a log there before anybody sees them. It knows nothing of agents.

use std::collections::{HashMap, VecDeque};
use std::iter::Peekable;
use std::sync::Arc;

use agentos_store::StoreError;
use agentos_store::sessions::{Reader, SessionLog};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::Notify;
use ulid::Ulid;

/// Events that are kept in memory, and their bytes.
const KEPT: Bounds = Bounds { events: 16 << 10, bytes: 16 << 20 };
/// The same where older ones can be read from the store.
const RECENT: Bounds = Bounds { events: 256, bytes: 1 << 20 };
/// Subscriptions at once.
const SUBSCRIPTIONS: usize = 64;

/// How much is kept in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

/// An event before it has its number.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) time_ms: u64,
    pub(crate) turn: Option<Ulid>,
    /// The kind that the Driver Kernel gave it.
    pub(crate) kind: Box<str>,
    /// The method of the agent's protocol, or `_agentos/…`.
    pub(crate) method: Box<str>,
    pub(crate) params: Box<RawValue>,
    /// The Driver Kernel's payload, where `params` are the agent's own.
    pub(crate) payload: Option<Box<RawValue>>,
    /// What comes after it must not be seen before it is on stable storage.
    pub(crate) settles: bool,
}

/// An event.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) seq: u64,
    #[serde(rename = "at")]
    pub(crate) time_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) turn: Option<Ulid>,
    pub(crate) kind: Box<str>,
    pub(crate) method: Box<str>,
    pub(crate) params: Box<RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) payload: Option<Box<RawValue>>,
}

impl Entry {
    /// What it counts against the limit: its texts and a flat share.
    pub(crate) fn cost(&self) -> usize {
        let payload = self.payload.as_ref().map_or(0, |payload| payload.get().len());
        self.params.get().len() + payload + self.method.len() + self.kind.len() + 160
    }

    /// The Driver Kernel's payload.
    pub(crate) fn payload(&self) -> &RawValue {
        self.payload.as_deref().unwrap_or(&self.params)
    }
}

/// Why events cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("cursor {asked} has expired: the oldest event that is kept is {oldest}")]
    Expired { asked: u64, oldest: u64 },
    #[error("there is no event {asked}: the last is {last}")]
    Ahead { asked: u64, last: u64 },
    #[error("more than {SUBSCRIPTIONS} subscriptions of one session")]
    Crowded,
    #[error("the log of the session cannot be read: {0}")]
    Store(#[from] StoreError),
    #[error("the log of the session holds something else than events: {0}")]
    Foreign(#[from] serde_json::Error),
}

struct State {
    recent: VecDeque<Arc<Entry>>,
    /// The number of the next event.
    next: u64,
    bytes: usize,
    /// The next event that each subscription wants.
    wanted: HashMap<u64, u64>,
    last_id: u64,
    /// Nothing is added, unless the session is resumed.
    ended: bool,
    /// When the last stored event was, once somebody has asked.
    stored_ms: Option<u64>,
}

impl State {
    /// The number of the oldest event in memory.
    fn recent_first(&self) -> u64 {
        self.next - self.recent.len() as u64
    }
}

struct Shared {
    bounds: Bounds,
    state: Mutex<State>,
    store: Option<Mutex<SessionLog>>,
    /// One adds at a time.
    adding: tokio::sync::Mutex<()>,
    /// Something was added, or the end came.
    added: Notify,
    /// A subscription went on, or away.
    taken: Notify,
}

/// The log. Clones share it.
#[derive(Clone)]
pub(crate) struct EventLog(Arc<Shared>);

impl EventLog {
    pub(crate) fn new(store: Option<SessionLog>) -> Self {
        let bounds = if store.is_some() { RECENT } else { KEPT };
        Self::bounded(store, bounds)
    }

    pub(crate) fn bounded(store: Option<SessionLog>, bounds: Bounds) -> Self {
        let state = State {
            recent: VecDeque::new(),
            next: store.as_ref().map_or(1, SessionLog::next),
            bytes: 0,
            wanted: HashMap::new(),
            last_id: 0,
            ended: false,
            stored_ms: None,
        };
        EventLog(Arc::new(Shared {
            bounds,
            state: Mutex::new(state),
            store: store.map(Mutex::new),
            adding: tokio::sync::Mutex::default(),
            added: Notify::new(),
            taken: Notify::new(),
        }))
    }

    /// Adds events, stored before they can be seen. Without a store it waits while one would push out what a subscription has
    /// not taken: a slow reader stops its own agent.
    pub(crate) async fn append(&self, drafts: Vec<Draft>) -> Result<(), StoreError> {
        let _one = self.0.adding.lock().await;
        let settles = drafts.iter().any(|draft| draft.settles);
        let first = self.0.state.lock().next;
        let entries: Vec<Arc<Entry>> =
            (first..).zip(drafts).map(|(seq, draft)| Arc::new(numbered(seq, draft))).collect();
        self.store(&entries, settles).await?;
        let mut entries = entries.into_iter().peekable();
        self.show(&mut entries);
        while entries.peek().is_some() {
            let taken = self.0.taken.notified();
            tokio::pin!(taken);
            taken.as_mut().enable();
            if self.show(&mut entries) == 0 {
                taken.await;
            }
        }
        Ok(())
    }

    /// Shows the first of some entries, as many as push out nothing that a subscription wants: all where a store has what is
    /// pushed out. How many they were.
    fn show(&self, entries: &mut Peekable<impl Iterator<Item = Arc<Entry>>>) -> usize {
        let mut shown = 0;
        {
            let mut state = self.0.state.lock();
            let wanted = match &self.0.store {
                Some(_) => u64::MAX,
                None => state.wanted.values().min().copied().unwrap_or(u64::MAX),
            };
            while let Some(entry) =
                entries.next_if(|entry| self.0.make_room(&mut state, entry.cost(), wanted))
            {
                state.next = entry.seq + 1;
                state.bytes += entry.cost();
                state.recent.push_back(entry);
                shown += 1;
            }
        }
        if shown > 0 {
            self.0.added.notify_waiters();
        }
        shown
    }

    async fn store(&self, entries: &[Arc<Entry>], settles: bool) -> Result<(), StoreError> {
        let Some(store) = &self.0.store else { return Ok(()) };
        let last = {
            let mut store = store.lock();
            let mut records = Vec::with_capacity(entries.len());
            for entry in entries {
                // Its parts are JSON already.
                records.push((entry.seq, serde_json::to_vec(&**entry).unwrap_or_default()));
            }
            store.append_all(records.iter().map(|(seq, record)| (*seq, record.as_slice())))?;
            if settles { store.last_segment()? } else { None }
        };
        if let Some(file) = last {
            let synced = tokio::task::spawn_blocking(move || file.sync_data()).await;
            let synced = synced.unwrap_or_else(|error| Err(std::io::Error::other(error)));
            synced.map_err(|source| StoreError::Io { path: "the log of a session".into(), source })?;
        }
        Ok(())
    }

    /// The numbers of the oldest event that is kept and of the next one.
    pub(crate) fn range(&self) -> std::ops::Range<u64> {
        let state = self.0.state.lock();
        let first = match &self.0.store {
            Some(store) => store.lock().first(),
            None => state.recent_first(),
        };
        first..state.next
    }

    /// When the last event was, milliseconds since 1970 UTC; nothing if there is none that can be read.
    pub(crate) fn last_ms(&self) -> Option<u64> {
        let next = {
            let state = self.0.state.lock();
            if let Some(last) = state.recent.back() {
                return Some(last.time_ms);
            }
            if state.stored_ms.is_some() {
                return state.stored_ms;
            }
            state.next
        };
        let last = self.entry(next.checked_sub(1).filter(|last| *last > 0)?, &mut None).ok()??;
        self.0.state.lock().stored_ms = Some(last.time_ms);
        Some(last.time_ms)
    }

    /// Where reading begins after event `after`. 0 means the oldest event that is kept; any other cursor must still be kept, so
    /// that nothing is left out unnoticed.
    fn begin(&self, after: u64) -> Result<u64, ReadError> {
        let kept = self.range();
        match after {
            0 => Ok(kept.start),
            _ if after >= kept.end => Err(ReadError::Ahead { asked: after, last: kept.end - 1 }),
            _ if after + 1 < kept.start => Err(ReadError::Expired { asked: after, oldest: kept.start }),
            _ => Ok(after + 1),
        }
    }

    /// Events after `after`, as they come, and the number of the last one so far. Until it is dropped, nothing that it has not
    /// given out is dropped.
    pub(crate) fn subscribe(&self, after: u64) -> Result<(Subscription, u64), ReadError> {
        loop {
            let wanted = self.begin(after)?;
            let mut state = self.0.state.lock();
            if self.0.store.is_none() && wanted < state.recent_first() {
                // Dropped since it was looked up; 0 means whatever is kept.
                if after == 0 {
                    continue;
                }
                return Err(ReadError::Expired { asked: after, oldest: state.recent_first() });
            }
            if state.wanted.len() >= SUBSCRIPTIONS {
                return Err(ReadError::Crowded);
            }
            state.last_id += 1;
            let id = state.last_id;
            state.wanted.insert(id, wanted);
            let last = state.next - 1;
            return Ok((Subscription { log: self.clone(), id, wanted, reader: None }, last));
        }
    }

    /// Events after `after` that are there now, one after the other, until `each` has enough.
    pub(crate) fn read(
        &self,
        after: u64,
        mut each: impl FnMut(&Arc<Entry>) -> bool,
    ) -> Result<(), ReadError> {
        let mut wanted = self.begin(after)?;
        let mut reader = None;
        loop {
            let Some(entry) = self.entry(wanted, &mut reader)? else { return Ok(()) };
            wanted = entry.seq + 1;
            if !each(&entry) {
                return Ok(());
            }
        }
    }

    /// The event of this number, from memory or the store; nothing if it is not there yet.
    fn entry(&self, wanted: u64, reader: &mut Option<Reader>) -> Result<Option<Arc<Entry>>, ReadError> {
        let first = {
            let state = self.0.state.lock();
            if wanted >= state.next {
                return Ok(None);
            }
            let first = state.recent_first();
            if let Some(at) = wanted.checked_sub(first) {
                return Ok(usize::try_from(at).ok().and_then(|at| state.recent.get(at)).cloned());
            }
            first
        };
        let expired = |oldest| ReadError::Expired { asked: wanted.saturating_sub(1), oldest };
        let Some(store) = &self.0.store else { return Err(expired(first)) };
        if reader.as_ref().is_none_or(|reader| reader.wanted() != wanted) {
            *reader = Some(store.lock().reader(wanted - 1)?);
        }
        let Some(record) = reader.as_mut().map(Reader::next_record).transpose()?.flatten() else {
            return Ok(None);
        };
        if record.0 != wanted {
            return Err(expired(record.0));
        }
        Ok(Some(Arc::new(serde_json::from_slice(&record.1)?)))
    }

    /// The newest stored events, back to the last one for which `found` holds; none without a store.
    pub(crate) fn back_to(&self, found: impl Fn(&Entry) -> bool) -> Result<Vec<Entry>, ReadError> {
        let Some(store) = &self.0.store else { return Ok(Vec::new()) };
        let parse = |record: &[u8]| serde_json::from_slice::<Entry>(record);
        let records = store.lock().back_to(|record| parse(record).is_ok_and(|entry| found(&entry)))?;
        records.iter().map(|(_, record)| parse(record).map_err(ReadError::from)).collect()
    }

    /// Another head for the stored log.
    pub(crate) fn set_head(&self, head: &[u8]) -> Result<(), StoreError> {
        self.0.store.as_ref().map_or(Ok(()), |store| store.lock().set_head(head))
    }

    pub(crate) fn is_stored(&self) -> bool {
        self.0.store.is_some()
    }

    /// No event follows, unless the session is resumed. Subscriptions end after the last one.
    pub(crate) fn end(&self) {
        self.0.state.lock().ended = true;
        self.0.added.notify_waiters();
    }

    /// More events follow.
    pub(crate) fn resume(&self) {
        self.0.state.lock().ended = false;
    }
}

fn numbered(seq: u64, draft: Draft) -> Entry {
    let Draft { time_ms, turn, kind, method, params, payload, settles: _ } = draft;
    Entry { seq, time_ms, turn, kind, method, params, payload }
}

impl Shared {
    /// Drops the oldest events until one of `cost` fits, up to the first that is still wanted; whether it fits now.
    fn make_room(&self, state: &mut State, cost: usize, wanted: u64) -> bool {
        let full = |state: &State| {
            !state.recent.is_empty()
                && (state.recent.len() >= self.bounds.events || state.bytes + cost > self.bounds.bytes)
        };
        while full(state) && state.recent_first() < wanted {
            if let Some(old) = state.recent.pop_front() {
                state.bytes -= old.cost();
            }
        }
        !full(state)
    }
}

/// A reader of a log. Dropping it lets go of what it held back.
pub(crate) struct Subscription {
    log: EventLog,
    id: u64,
    wanted: u64,
    reader: Option<Reader>,
}

impl Subscription {
    /// Waits for events and puts those that are there into `out`: at most `most`, and none after those taken have `bytes`.
    /// Without any the end was reached. Dropping the future loses nothing.
    pub(crate) async fn next(
        &mut self,
        most: usize,
        bytes: usize,
        out: &mut Vec<Arc<Entry>>,
    ) -> Result<(), ReadError> {
        let shared = Arc::clone(&self.log.0);
        loop {
            let added = shared.added.notified();
            tokio::pin!(added);
            added.as_mut().enable();
            if self.take(most, bytes, out)? || !out.is_empty() {
                return Ok(());
            }
            added.await;
        }
    }

    /// The next event; `None` after the end.
    #[cfg(test)]
    pub(crate) async fn one(&mut self) -> Option<Arc<Entry>> {
        let mut one = Vec::new();
        self.next(1, usize::MAX, &mut one).await.expect("the event can be read");
        one.pop()
    }

    /// Takes what is there; whether the end was reached.
    fn take(&mut self, most: usize, bytes: usize, out: &mut Vec<Arc<Entry>>) -> Result<bool, ReadError> {
        let mut taken = 0;
        while out.len() < most && taken < bytes {
            let mut state = self.log.0.state.lock();
            let Some(at) = self.wanted.checked_sub(state.recent_first()) else {
                drop(state);
                let Some(entry) = self.log.entry(self.wanted, &mut self.reader)? else { break };
                taken += entry.cost();
                self.wanted = entry.seq + 1;
                out.push(entry);
                continue;
            };
            // Who is in memory needs no file any more.
            self.reader = None;
            let before = out.len();
            let at = usize::try_from(at).unwrap_or(usize::MAX).min(state.recent.len());
            for entry in state.recent.range(at..).take(most - before) {
                if taken >= bytes {
                    break;
                }
                taken += entry.cost();
                self.wanted = entry.seq + 1;
                out.push(Arc::clone(entry));
            }
            state.wanted.insert(self.id, self.wanted);
            if out.is_empty() {
                return Ok(state.ended && self.wanted >= state.next);
            }
            break;
        }
        if self.log.0.store.is_none() && taken > 0 {
            self.log.0.taken.notify_waiters();
        }
        Ok(false)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.log.0.state.lock().wanted.remove(&self.id);
        self.log.0.taken.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agentos_store::sessions::SessionLogs;

    use super::*;

    fn draft(n: u64) -> Draft {
        Draft {
            time_ms: n,
            turn: None,
            kind: "item.delta".into(),
            method: "session/update".into(),
            params: RawValue::from_string(format!("{{\"n\":{n}}}")).unwrap(),
            payload: None,
            settles: n.is_multiple_of(7),
        }
    }

    async fn add(log: &EventLog, numbers: std::ops::Range<u64>) {
        for n in numbers {
            log.append(vec![draft(n)]).await.unwrap();
        }
    }

    fn numbers(log: &EventLog, after: u64) -> Vec<u64> {
        let mut all = Vec::new();
        log.read(after, |entry| {
            assert_eq!(entry.params.get(), format!("{{\"n\":{}}}", entry.seq));
            all.push(entry.seq);
            true
        })
        .unwrap();
        all
    }

    #[tokio::test]
    async fn without_a_store_a_slow_reader_stops_the_writer_and_old_cursors_expire() {
        let log = EventLog::bounded(None, Bounds { events: 4, bytes: 1 << 20 });
        assert!(matches!(log.subscribe(1), Err(ReadError::Ahead { asked: 1, last: 0 })));
        let (mut slow, last) = log.subscribe(0).unwrap();
        assert_eq!(last, 0);
        add(&log, 1..5).await;
        let more = tokio::time::timeout(Duration::from_millis(50), add(&log, 5..6)).await;
        assert!(more.is_err(), "nobody has taken the first");
        assert_eq!(slow.one().await.unwrap().seq, 1);
        add(&log, 5..6).await;
        assert_eq!(numbers(&log, 0), [2, 3, 4, 5]);
        assert_eq!(numbers(&log, 4), [5]);
        drop(slow);
        add(&log, 6..20).await;
        assert!(matches!(log.read(3, |_| true), Err(ReadError::Expired { asked: 3, oldest: 16 })));
        assert!(matches!(log.subscribe(3), Err(ReadError::Expired { .. })));
        let (mut live, last) = log.subscribe(19).unwrap();
        assert_eq!(last, 19);
        log.end();
        assert!(live.one().await.is_none());
    }

    #[tokio::test]
    async fn a_stored_log_keeps_all_and_is_read_over_the_edge_of_memory() {
        let scratch = tempfile::tempdir().unwrap();
        let logs = SessionLogs::open(scratch.path()).unwrap();
        let bounds = Bounds { events: 4, bytes: 1 << 20 };
        let log = EventLog::bounded(Some(logs.create("a", b"{}").unwrap()), bounds);
        let (mut slow, _) = log.subscribe(0).unwrap();
        add(&log, 1..50).await;
        assert_eq!(numbers(&log, 0), (1..50).collect::<Vec<_>>());
        assert_eq!(numbers(&log, 30), (31..50).collect::<Vec<_>>());
        for n in 1..50 {
            assert_eq!(slow.one().await.unwrap().seq, n);
            if n == 20 {
                add(&log, 50..60).await;
            }
        }
        assert_eq!(slow.one().await.unwrap().seq, 50);
        let mut rest = Vec::new();
        slow.next(64, usize::MAX, &mut rest).await.unwrap();
        assert_eq!(rest.iter().map(|entry| entry.seq).collect::<Vec<_>>(), (51..60).collect::<Vec<_>>());
        let (mut anew, _) = log.subscribe(10).unwrap();
        anew.next(5, usize::MAX, &mut Vec::new()).await.unwrap();
        let (mut few, mut two) = (log.subscribe(10).unwrap().0, Vec::new());
        few.next(64, 2 * rest[0].cost(), &mut two).await.unwrap();
        assert_eq!(two.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [11, 12]);
        assert_eq!(anew.one().await.unwrap().seq, 16);
        drop((slow, anew, few, log));
        let log = EventLog::new(Some(logs.log("a").unwrap().0));
        assert_eq!(log.range(), 1..60);
        add(&log, 60..61).await;
        assert_eq!(numbers(&log, 57), [58, 59, 60]);
        let tail = log.back_to(|entry| entry.seq == 58).unwrap();
        assert_eq!(tail.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [58, 59, 60]);
    }

    #[tokio::test]
    async fn an_end_is_the_end_until_the_session_is_resumed() {
        let log = EventLog::new(None);
        add(&log, 1..3).await;
        let (mut live, _) = log.subscribe(0).unwrap();
        log.end();
        assert_eq!(live.one().await.unwrap().seq, 1);
        assert_eq!(live.one().await.unwrap().seq, 2);
        assert!(live.one().await.is_none());
        log.resume();
        add(&log, 3..4).await;
        assert_eq!(live.one().await.unwrap().seq, 3);
    }

    #[test]
    fn too_many_subscriptions_are_refused() {
        let log = EventLog::new(None);
        let all: Vec<_> = (0..SUBSCRIPTIONS).map(|_| log.subscribe(0).unwrap()).collect();
        assert!(matches!(log.subscribe(0), Err(ReadError::Crowded)));
        drop(all);
        assert!(log.subscribe(0).is_ok());
    }
}
