//! The bounded event store of one session: numbered, re-readable from any cursor still kept, with back-pressure for
//! readers that must not miss anything. It does not persist; what it dropped is gone, and it says so.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::SystemTime,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::event::{Draft, Event};

/// Events our own calls may add beyond the limit while a lossless subscriber is behind. They are few (prompts,
/// answers, the end of a turn), and their authors must not wait for a consumer.
const RESERVE: usize = 256;

/// Subscriptions with lossless delivery at once.
const MAX_LOSSLESS: usize = 64;

/// The cursor points at events that are no longer kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("events before {oldest} are no longer kept (asked for {asked})")]
pub struct CursorExpired {
    /// The cursor given.
    pub asked: u64,
    /// The oldest event still kept.
    pub oldest: u64,
}

/// What happens to a subscriber that is slower than the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The agent waits: nothing is dropped before this subscriber has taken it.
    Lossless,
    /// Events are dropped; the subscriber gets [`CursorExpired`] and may go on from `oldest`.
    Lossy,
}

#[derive(Debug)]
struct State {
    events: VecDeque<Arc<Event>>,
    /// Number of the next event.
    next: u64,
    bytes: usize,
    /// Next event wanted by each lossless subscription.
    lossless: HashMap<u64, u64>,
    next_subscription: u64,
    closed: bool,
}

impl State {
    fn oldest(&self) -> u64 {
        self.next - self.events.len() as u64
    }
}

#[derive(Debug)]
struct Shared {
    max_events: usize,
    max_bytes: usize,
    state: Mutex<State>,
    /// Something was added, or the log was closed.
    added: Notify,
    /// A lossless subscriber moved or left.
    taken: Notify,
}

/// The events of one session. Clones share the store.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use agentos_acp::{Delivery, EventLog};
/// let log = EventLog::new(1024, 16 << 20);
/// let mut subscription = log.subscribe(0, Delivery::Lossless)?;
/// log.close();
/// assert!(subscription.next().await?.is_none());
/// # Ok::<(), agentos_acp::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct EventLog {
    shared: Arc<Shared>,
}

impl EventLog {
    /// An empty log that keeps at most `max_events` events and `max_bytes` bytes of them.
    #[must_use]
    pub fn new(max_events: usize, max_bytes: usize) -> Self {
        let state = State {
            events: VecDeque::new(),
            next: 0,
            bytes: 0,
            lossless: HashMap::new(),
            next_subscription: 0,
            closed: false,
        };
        Self {
            shared: Arc::new(Shared {
                max_events: max_events.max(1),
                max_bytes,
                state: Mutex::new(state),
                added: Notify::new(),
                taken: Notify::new(),
            }),
        }
    }

    /// Stores an event and returns its number. Waits while the event would push out one that a lossless subscriber
    /// has not taken: that is how a slow consumer slows the agent down. Returns `None` once the log is closed.
    pub async fn publish(&self, draft: Draft) -> Option<u64> {
        let event = make(draft);
        let mut event = Some(event);
        self.with_room(event.as_ref().map_or(0, Event::cost), |shared, state| {
            event.take().map(|event| shared.append(state, event))
        })
        .await
        .flatten()
    }

    /// Waits until an event of this payload could be stored without pushing out one that a lossless subscriber needs.
    pub(crate) async fn room_for(&self, draft: &Draft) {
        self.with_room(draft.cost(), |_, _| ()).await;
    }

    /// Runs `then` as soon as there is room for `cost` bytes; `None` once the log is closed.
    async fn with_room<T>(&self, cost: usize, mut then: impl FnMut(&Shared, &mut State) -> T) -> Option<T> {
        let mut attempt = || {
            let mut state = self.shared.state.lock();
            if state.closed {
                return Some(None);
            }
            self.shared.make_room(&mut state, cost, 0).then(|| Some(then(&self.shared, &mut state)))
        };
        // Nearly always there is room, and nothing to be registered.
        if let Some(done) = attempt() {
            return done;
        }
        loop {
            let taken = self.shared.taken.notified();
            tokio::pin!(taken);
            taken.as_mut().enable();
            if let Some(done) = attempt() {
                return done;
            }
            taken.await;
        }
    }

    /// Stores an event without waiting. A lossless subscriber that is behind keeps its events as long as a small
    /// reserve lasts; beyond it even such a subscriber gets [`CursorExpired`].
    pub(crate) fn publish_now(&self, draft: Draft) -> Option<u64> {
        let event = make(draft);
        let mut state = self.shared.state.lock();
        if state.closed {
            return None;
        }
        if !self.shared.make_room(&mut state, event.cost(), RESERVE) {
            self.shared.evict(&mut state, event.cost(), RESERVE);
        }
        Some(self.shared.append(&mut state, event))
    }

    /// Up to `max` events from the cursor `from` (the number of the first event wanted). Never waits; an empty list
    /// means there is nothing newer yet.
    ///
    /// # Errors
    /// [`CursorExpired`] if `from` is older than the oldest event kept.
    pub fn read(&self, from: u64, max: usize) -> Result<Vec<Arc<Event>>, CursorExpired> {
        let state = self.shared.state.lock();
        let oldest = state.oldest();
        let skip = from.checked_sub(oldest).ok_or(CursorExpired { asked: from, oldest })?;
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        Ok(state.events.iter().skip(skip).take(max).cloned().collect())
    }

    /// The numbers of the oldest event kept and of the next event to come.
    #[must_use]
    pub fn range(&self) -> std::ops::Range<u64> {
        let state = self.shared.state.lock();
        state.oldest()..state.next
    }

    /// Events from the cursor `from` on, as they come.
    ///
    /// # Errors
    /// [`CursorExpired`] if `from` is older than the oldest event kept; [`Limit`](crate::Error::Limit) if there are
    /// too many lossless subscriptions.
    pub fn subscribe(&self, from: u64, delivery: Delivery) -> Result<Subscription, crate::Error> {
        let mut state = self.shared.state.lock();
        let oldest = state.oldest();
        if from < oldest {
            return Err(CursorExpired { asked: from, oldest }.into());
        }
        let id = match delivery {
            Delivery::Lossy => None,
            Delivery::Lossless => {
                let used = state.lossless.len() + 1;
                if used > MAX_LOSSLESS {
                    return Err(crate::Error::Limit {
                        name: "subscriptions",
                        configured: MAX_LOSSLESS,
                        used,
                    });
                }
                let id = state.next_subscription;
                state.next_subscription += 1;
                state.lossless.insert(id, from);
                Some(id)
            }
        };
        Ok(Subscription { shared: Arc::clone(&self.shared), position: from, id })
    }

    /// No event will follow. Subscriptions end after the last one.
    pub fn close(&self) {
        self.shared.state.lock().closed = true;
        self.shared.added.notify_waiters();
        self.shared.taken.notify_waiters();
    }
}

fn make(draft: Draft) -> Event {
    let Draft { direction, method, payload, kind } = draft;
    Event { seq: 0, at: SystemTime::now(), direction, method, payload, kind }
}

impl Shared {
    fn full(&self, state: &State, cost: usize, reserve: usize) -> bool {
        !state.events.is_empty()
            && (state.events.len() >= self.max_events + reserve
                || state.bytes + cost > self.max_bytes + self.max_bytes / 4 * usize::from(reserve > 0))
    }

    /// Drops the oldest events until one of `cost` fits; stops at the first that a lossless subscriber still needs.
    /// Whatever `reserve` allows, events nobody waits for are kept to the plain limit only.
    fn make_room(&self, state: &mut State, cost: usize, reserve: usize) -> bool {
        let needed = state.lossless.values().min().copied().unwrap_or(u64::MAX);
        while self.full(state, cost, 0) && state.oldest() < needed {
            self.drop_oldest(state);
        }
        !self.full(state, cost, reserve)
    }

    fn evict(&self, state: &mut State, cost: usize, reserve: usize) {
        while self.full(state, cost, reserve) {
            self.drop_oldest(state);
        }
    }

    fn drop_oldest(&self, state: &mut State) {
        if let Some(old) = state.events.pop_front() {
            state.bytes -= old.cost();
        }
    }

    fn append(&self, state: &mut State, mut event: Event) -> u64 {
        event.seq = state.next;
        state.next += 1;
        state.bytes += event.cost();
        let seq = event.seq;
        state.events.push_back(Arc::new(event));
        self.added.notify_waiters();
        seq
    }
}

/// A reader of an [`EventLog`]. Dropping it releases what it held back.
#[derive(Debug)]
pub struct Subscription {
    shared: Arc<Shared>,
    position: u64,
    /// Key in the table of lossless subscriptions.
    id: Option<u64>,
}

impl Subscription {
    /// The next event; `None` once the log is closed and read to its end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`CursorExpired`] if the event was dropped first; go on with [`seek`](Self::seek) to `oldest`.
    pub async fn next(&mut self) -> Result<Option<Arc<Event>>, CursorExpired> {
        // A reader that is behind finds the next one at once, and registers nothing.
        if let Some(next) = self.ready()? {
            return Ok(next);
        }
        let shared = Arc::clone(&self.shared);
        loop {
            let added = shared.added.notified();
            tokio::pin!(added);
            added.as_mut().enable();
            if let Some(next) = self.ready()? {
                return Ok(next);
            }
            added.await;
        }
    }

    /// The next event, or the end (`Some(None)`), if it is there: never waits.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn ready(&mut self) -> Result<Option<Option<Arc<Event>>>, CursorExpired> {
        let mut state = self.shared.state.lock();
        let oldest = state.oldest();
        let index =
            self.position.checked_sub(oldest).ok_or(CursorExpired { asked: self.position, oldest })?;
        let event = usize::try_from(index).ok().and_then(|index| state.events.get(index).cloned());
        let Some(event) = event else { return Ok(state.closed.then_some(None)) };
        self.position += 1;
        if let Some(id) = self.id {
            state.lossless.insert(id, self.position);
            drop(state);
            self.shared.taken.notify_waiters();
        }
        Ok(Some(Some(event)))
    }

    /// The cursor: the number of the next event this subscription returns.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Moves the cursor; a position that is not kept shows at the next [`next`](Self::next).
    pub fn seek(&mut self, position: u64) {
        self.position = position;
        if let Some(id) = self.id {
            self.shared.state.lock().lossless.insert(id, position);
            self.shared.taken.notify_waiters();
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.shared.state.lock().lossless.remove(&id);
            self.shared.taken.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::event::{Direction, EventKind};

    fn draft(bytes: usize) -> Draft {
        Draft::of(Direction::FromAgent, "session/update", &"x".repeat(bytes), EventKind::Update)
    }

    async fn fill(log: &EventLog, count: usize) {
        for _ in 0..count {
            log.publish(draft(1)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_dropped_cursor_is_a_clear_error() {
        let log = EventLog::new(4, 1 << 20);
        fill(&log, 10).await;
        assert_eq!(log.range(), 6..10);
        assert_eq!(log.read(2, 10).unwrap_err(), CursorExpired { asked: 2, oldest: 6 });
        let seqs: Vec<u64> = log.read(7, 10).unwrap().iter().map(|e| e.seq).collect();
        assert_eq!(seqs, [7, 8, 9]);
        assert!(log.read(10, 10).unwrap().is_empty());
        assert!(log.read(u64::MAX, 10).unwrap().is_empty());
        assert!(log.subscribe(5, Delivery::Lossy).is_err());
    }

    #[tokio::test]
    async fn bytes_are_limited_too() {
        let log = EventLog::new(1000, 10_000);
        for _ in 0..100 {
            log.publish(draft(1000)).await.unwrap();
        }
        assert!(log.range().end - log.range().start < 10);
        // One event over the whole budget still gets through, alone.
        log.publish(draft(50_000)).await.unwrap();
        assert_eq!(log.range(), 100..101);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lossless_subscriber_holds_the_publisher_back() {
        let log = EventLog::new(4, 1 << 20);
        let mut slow = log.subscribe(0, Delivery::Lossless).unwrap();
        fill(&log, 4).await;
        assert!(timeout(Duration::from_secs(1), log.publish(draft(1))).await.is_err());
        assert_eq!(slow.next().await.unwrap().unwrap().seq, 0);
        fill(&log, 1).await;
        assert!(timeout(Duration::from_secs(1), log.publish(draft(1))).await.is_err());
        drop(slow);
        fill(&log, 5).await;
        assert_eq!(log.range(), 6..10);
    }

    #[tokio::test]
    async fn a_lossy_subscriber_is_told_what_it_missed() {
        let log = EventLog::new(4, 1 << 20);
        let mut lossy = log.subscribe(0, Delivery::Lossy).unwrap();
        fill(&log, 6).await;
        assert_eq!(lossy.next().await.unwrap_err(), CursorExpired { asked: 0, oldest: 2 });
        lossy.seek(2);
        assert_eq!(lossy.next().await.unwrap().unwrap().seq, 2);
    }

    #[tokio::test]
    async fn what_is_ready_is_given_without_waiting_and_makes_room() {
        let log = EventLog::new(4, 1 << 20);
        let mut reader = log.subscribe(0, Delivery::Lossless).unwrap();
        assert!(reader.ready().unwrap().is_none(), "nothing yet");
        fill(&log, 2).await;
        for seq in 0..2 {
            assert_eq!(reader.ready().unwrap().unwrap().unwrap().seq, seq);
        }
        assert!(reader.ready().unwrap().is_none());
        fill(&log, 4).await;
        assert_eq!(log.range(), 2..6);
        reader.seek(6);
        log.close();
        assert!(reader.ready().unwrap().unwrap().is_none(), "the end");
    }

    #[tokio::test]
    async fn our_own_events_use_a_reserve_that_ends() {
        let log = EventLog::new(4, 1 << 20);
        let mut slow = log.subscribe(0, Delivery::Lossless).unwrap();
        fill(&log, 4).await;
        for _ in 0..RESERVE {
            log.publish_now(draft(1)).unwrap();
        }
        assert_eq!(log.range().start, 0);
        log.publish_now(draft(1)).unwrap();
        assert_eq!(log.range().start, 1);
        assert_eq!(slow.next().await.unwrap_err(), CursorExpired { asked: 0, oldest: 1 });
    }

    #[tokio::test]
    async fn closing_ends_subscriptions_after_the_last_event() {
        let log = EventLog::new(4, 1 << 20);
        let mut all = log.subscribe(0, Delivery::Lossless).unwrap();
        fill(&log, 2).await;
        log.close();
        assert!(all.next().await.unwrap().is_some());
        assert!(all.next().await.unwrap().is_some());
        assert!(all.next().await.unwrap().is_none());
        assert_eq!(log.publish(draft(1)).await, None);
    }
}
