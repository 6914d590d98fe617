//! What kernel and backend share of a session: its state and its way out. All that changes state and emits does both under
//! one lock, so that the order of events is the order of what happened.

use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, watch};
use ulid::Ulid;

use super::outbox::Outbox;
use super::state::{Phase, Session, State};
use crate::event::{Body, Diagnostic, DiagnosticSource, Draft, Item, ItemStatus, ResumeUpdate, Severity};
use crate::ports::{Materialized, Ports};
use crate::{ErrorInfo, ResumeRef};

/// Most events that are held back until a session has started.
const MAX_HELD: usize = 1024;

/// What a session is told once.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How long a question stays open; nothing: for ever.
    pub(crate) permission_timeout: Option<Duration>,
    /// How long a vendor may take to end a cancelled turn.
    pub(crate) cancel_grace: Duration,
    /// Whether anybody answers questions.
    pub(crate) interactive: bool,
    /// Whether the vendor's messages are wanted beside what is made of them.
    pub(crate) native_messages: bool,
}

/// A session, as its kernel and its backend have it.
pub(crate) struct Link {
    session: Mutex<Session>,
    pub(crate) outbox: Outbox,
    pub(crate) ports: Ports,
    pub(crate) settings: Settings,
    /// Its state, for who waits for one.
    state: watch::Sender<State>,
    /// The vendor went away while no turn ran.
    loss: Mutex<Option<ErrorInfo>>,
    pub(crate) lost: Notify,
    /// What came of its skills; nothing before that is known.
    pub(crate) skills: OnceLock<Materialized>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("state", &*self.state.borrow()).finish_non_exhaustive()
    }
}

/// A session while nobody else changes it.
pub(crate) struct Locked<'a> {
    pub(crate) session: MutexGuard<'a, Session>,
    link: &'a Link,
    // Dropped last: the host is told when others can go on.
    logs: Logs<'a>,
}

/// What the host's log is told, once the session is not locked any more.
struct Logs<'a> {
    link: &'a Link,
    lines: Vec<Diagnostic>,
}

impl Drop for Logs<'_> {
    fn drop(&mut self) {
        for line in &self.lines {
            self.link.ports.logger.log(line.severity, &line.message, &line.details);
        }
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let state = self.session.state();
        self.link.state.send_if_modified(|now| std::mem::replace(now, state) != state);
    }
}

impl Locked<'_> {
    /// Emits an event of this moment; before the session has started, once it has.
    pub(crate) fn push(&mut self, draft: Draft) {
        if let Body::DiagnosticReported(diagnostic) = &draft.body {
            self.logs.lines.push(diagnostic.clone());
        }
        if self.session.held.as_ref().is_some_and(|held| held.len() >= MAX_HELD) {
            self.release(None);
        }
        match &mut self.session.held {
            Some(held) => held.push(draft),
            None => self.link.outbox.push(draft),
        }
    }

    /// Emits what was held back: the session has started, or never will.
    pub(crate) fn release(&mut self, first: Option<Draft>) {
        let held = self.session.held.take().unwrap_or_default();
        first.into_iter().chain(held).for_each(|draft| self.link.outbox.push(draft));
    }

    /// Says how many events were dropped, once there is room again.
    pub(crate) fn tell_dropped(&mut self) {
        let dropped = self.link.outbox.take_dropped();
        if dropped > 0 {
            let diagnostic = Diagnostic {
                code: "driver.event_dropped".to_owned(),
                message: format!("{dropped} deltas were dropped: nobody took them"),
                severity: Severity::Warn,
                source: DiagnosticSource::Core,
                reason: None,
                details: [("count".to_owned(), dropped.into())].into_iter().collect(),
            };
            self.push(Draft::of_session(Body::DiagnosticReported(diagnostic)));
        }
    }

    /// Whether this turn runs and nobody wants it to end.
    pub(crate) fn runs(&self, turn: Ulid) -> bool {
        self.session.turn.as_ref().is_some_and(|of| of.id == turn && of.cancelled.is_none())
    }

    /// Emits what a backend says, as it should be said. What is not of the turn that runs is left out.
    fn admit(&mut self, draft: Draft) {
        let Draft { turn_id, body, native, mut raw } = draft;
        match turn_id {
            None if body.item_id().is_none() => {
                if !self.session.phase_is_over() {
                    self.push(Draft { turn_id: None, body, native, raw });
                }
                return;
            }
            None => {}
            Some(id) => {
                if let Some(turn) = self.session.turn.as_mut().filter(|turn| turn.id == id) {
                    let mut native = native;
                    let mut bodies = turn.items.admit(body).into_iter().peekable();
                    while let Some(body) = bodies.next() {
                        let of_this = if bodies.peek().is_some() { native.clone() } else { native.take() };
                        self.link.outbox.push(Draft { turn_id, body, native: of_this, raw: raw.take() });
                    }
                }
            }
        }
        // A message of which nothing came is told all the same, where messages are wanted.
        if let Some(raw) = raw.filter(|_| !self.session.phase_is_over()) {
            self.push(raw.alone(None));
        }
    }
}

impl Session {
    fn phase_is_over(&self) -> bool {
        matches!(self.phase, Phase::Stopped | Phase::Failed)
    }
}

impl Link {
    pub(crate) fn new(session: Session, outbox: Outbox, ports: Ports, settings: Settings) -> Self {
        let state = watch::Sender::new(session.state());
        let session = Mutex::new(session);
        let (loss, lost, skills) = (Mutex::default(), Notify::new(), OnceLock::new());
        Link { session, outbox, ports, settings, state, loss, lost, skills }
    }

    pub(crate) fn locked(&self) -> Locked<'_> {
        Locked { session: self.session.lock(), link: self, logs: Logs { link: self, lines: Vec::new() } }
    }

    /// Its state now and from now on.
    pub(crate) fn states(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub(crate) async fn emit(&self, draft: Draft) {
        self.locked().admit(draft);
        self.outbox.room().await;
        self.locked().tell_dropped();
    }

    pub(crate) fn is_open(&self, item_id: &str) -> bool {
        self.session.lock().turn.as_ref().is_some_and(|turn| turn.items.is_open(item_id))
    }

    pub(crate) fn item(&self, item_id: &str) -> Option<Item> {
        self.session.lock().turn.as_ref().and_then(|turn| turn.items.get(item_id).cloned())
    }

    pub(crate) async fn close(&self, item_id: &str, status: ItemStatus) {
        {
            let mut locked = self.locked();
            let Some(turn) = locked.session.turn.as_mut() else { return };
            let (id, bodies) = (turn.id, turn.items.close(item_id, status));
            for body in bodies {
                locked.push(Draft::of_turn(id, body));
            }
        }
        self.outbox.room().await;
    }

    pub(crate) fn lost(&self, error: ErrorInfo) {
        *self.loss.lock() = Some(error);
        self.lost.notify_one();
    }

    pub(crate) fn take_loss(&self) -> Option<ErrorInfo> {
        self.loss.lock().take()
    }

    pub(crate) fn resume_ref(&self) -> (Option<ResumeRef>, Option<f64>) {
        let session = self.session.lock();
        (session.resume.clone(), session.cost_total)
    }

    pub(crate) async fn resumable(&self, reference: ResumeRef, cost_total: Option<f64>) {
        {
            let mut locked = self.locked();
            let cost_total = cost_total.or(locked.session.cost_total);
            let same =
                locked.session.resume.as_ref() == Some(&reference) && locked.session.cost_total == cost_total;
            if same || reference.value.is_empty() {
                return;
            }
            locked.session.resume = Some(reference.clone());
            locked.session.cost_total = cost_total;
            let update = ResumeUpdate { reference, cost_total };
            locked.push(Draft::of_session(Body::SessionResumeUpdated(update)));
        }
        self.outbox.room().await;
    }
}
