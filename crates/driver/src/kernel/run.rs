//! The life of a session: its start, its turns one after the other, what happens when the vendor goes away, its end.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ulid::Ulid;

use super::state::{Phase, Turn};
use super::{START_TIMEOUT, Shared};
use crate::ErrorInfo;
use crate::backend::TurnOutcome;
use crate::command::Input;
use crate::event::{
    Body, Diagnostic, DiagnosticSource, Draft, Ended, ItemStatus, Severity, Started, StopReason,
    TurnCompleted, TurnStatus, now,
};

/// How long after it was killed a vendor's turn may still run.
const AFTER_KILL: Duration = Duration::from_secs(5);
/// How long a turn has to end when the session is stopped.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// How long a backend may take to stop: longer than it should.
const STOP_BACKEND: Duration = Duration::from_secs(8);
/// How long the last events may take to the host.
const FLUSH: Duration = Duration::from_secs(5);
/// How long to ask a vendor to interrupt may take.
const ASK_CANCEL: Duration = Duration::from_secs(5);
/// The code of input that was taken back before it began.
pub(super) const CANCELLED: &str = "driver.command_cancelled";
/// Starts in a row, after each of which the vendor went away before a turn ended.
const MAX_RESTARTS: u32 = 2;

/// A future that must end in its time.
async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, future).await.ok()
}

impl Shared {
    fn report(&self, code: &str, severity: Severity, message: impl Into<String>, error: Option<&ErrorInfo>) {
        let diagnostic = Diagnostic {
            code: code.to_owned(),
            message: message.into(),
            severity,
            source: DiagnosticSource::Backend,
            reason: None,
            details: error.map(|error| error.details.clone().into_iter().collect()).unwrap_or_default(),
        };
        self.link.locked().push(Draft::of_session(Body::DiagnosticReported(diagnostic)));
    }

    /// Starts the backend, within its time.
    async fn start_backend(&self) -> Result<(), ErrorInfo> {
        let start = self.backend.start(&self.cx);
        match within(START_TIMEOUT, start).await {
            Some(started) => started,
            None => {
                let text = format!("the agent was not ready after {} s", START_TIMEOUT.as_secs());
                Err(ErrorInfo::retryable("driver.start_timed_out", text))
            }
        }
    }

    /// The first start.
    pub(super) async fn begin(&self) {
        let resumed = self.link.resume_ref().0.is_some();
        let start = async {
            self.bring_skills().await;
            // It may have been stopped meanwhile: then nothing is started any more.
            let goes_on = self.link.locked().session.phase == Phase::Starting;
            if goes_on { Some(self.start_backend().await) } else { None }
        };
        let started = tokio::select! {
            biased;
            () = self.over.cancelled() => None,
            started = start => started,
        };
        let Some(started) = started else { return self.put_down().await };
        match started {
            Ok(()) => {
                let stopped = {
                    let mut locked = self.link.locked();
                    // It may have been stopped meanwhile.
                    let stopped = locked.session.phase != Phase::Starting;
                    if !stopped {
                        let started = Draft::of_session(Body::SessionStarted(Started {
                            runtime: self.descriptor.runtime.id().to_owned(),
                            transport: self.descriptor.id.to_owned(),
                            resumed,
                            capabilities: self.descriptor.capabilities.clone(),
                        }));
                        locked.release(Some(started));
                        locked.session.go(Phase::Ready);
                    }
                    stopped
                };
                if stopped {
                    self.put_down().await;
                }
            }
            Err(error) => {
                if error.code == crate::error::RESUME_LOST {
                    self.report(&error.code, Severity::Error, error.message.clone(), Some(&error));
                }
                self.fail(Phase::Starting, "backend.start_failed", error).await;
            }
        }
    }

    /// Kills what was started for a session that has ended, or is about to.
    pub(super) async fn put_down(&self) {
        within(STOP_BACKEND, self.backend.kill(&self.cx)).await;
    }

    /// The end that nobody asked for, of a session that is in this phase; one that is not is ended by somebody else.
    async fn fail(&self, from: Phase, reason: &str, error: ErrorInfo) {
        let ours = {
            let mut locked = self.link.locked();
            // From here on no turn begins.
            locked.session.phase == from && locked.session.go(Phase::Stopping)
        };
        if ours { self.give_up(reason, error).await } else { self.put_down().await }
    }

    /// The end of a session in which no turn begins any more.
    async fn give_up(&self, reason: &str, error: ErrorInfo) {
        self.put_down().await;
        let turn = self.link.locked().session.turn.as_ref().map(|turn| turn.id);
        if let Some(id) = turn {
            let _ = self.end_turn(id, TurnOutcome::Lost { error: error.clone() });
        }
        self.end(Ended { reason: reason.to_owned(), error: Some(error) }, Phase::Failed).await;
    }

    /// The last event, after which there is none, and the time for it to reach the host.
    async fn end(&self, ended: Ended, phase: Phase) {
        {
            let mut locked = self.link.locked();
            locked.close_all();
            locked.release(None);
            locked.push(Draft::of_session(Body::SessionEnded(ended)));
            // Under the lock: nobody says anything after it.
            self.link.outbox.close();
            locked.session.go(phase);
        }
        if self.cx.ports.event_sink.is_some() {
            within(FLUSH, self.link.outbox.flushed()).await;
        }
        self.over.cancel();
    }

    /// Starts the backend anew after the vendor went away. The turn that ran has ended by then. Nothing if the session is not
    /// where it was any more: then somebody else saw to it. One that was killed on purpose is not held against it.
    async fn restart(&self, from: Phase, error: &ErrorInfo, on_purpose: bool) {
        let again = {
            let mut locked = self.link.locked();
            if locked.session.phase != from || locked.session.turn.is_some() {
                return;
            }
            locked.session.restarts += u32::from(!on_purpose);
            let again = locked.session.restarts <= MAX_RESTARTS;
            locked.session.go(if again { Phase::Starting } else { Phase::Stopping });
            again
        };
        self.report(&error.code, Severity::Warn, error.message.clone(), Some(error));
        if !again {
            return self.give_up("backend.exited", error.clone()).await;
        }
        let started = tokio::select! {
            biased;
            () = self.over.cancelled() => return self.put_down().await,
            started = self.start_backend() => started,
        };
        match started {
            Ok(()) => {
                let stopped = {
                    let mut locked = self.link.locked();
                    locked.session.phase != Phase::Starting || !locked.session.go(Phase::Ready)
                };
                if stopped {
                    return self.put_down().await;
                }
                self.report("driver.backend_restarted", Severity::Info, "the agent was started anew", None);
                // It may be gone again already.
                self.link.lost.notify_one();
            }
            Err(error) => self.fail(Phase::Starting, "backend.exited", error).await,
        }
    }

    /// Ends what the session has outside of it, once it is over: also if nobody holds it any more.
    pub(super) fn spawn_last(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        self.tasks.spawn(async move {
            shared.over.cancelled().await;
            shared.put_down().await;
        });
    }

    /// Watches for a vendor that goes away while no turn runs.
    pub(super) fn spawn_watch(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        self.tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = shared.link.lost.notified() => {}
                    () = shared.over.cancelled() => return,
                }
                let idle = shared.link.locked().session.phase == Phase::Ready;
                // A turn that runs hears of it by itself. One whose end is known already does not: it asks again here
                // once it has ended.
                if idle && let Some(error) = shared.link.take_loss() {
                    shared.restart(Phase::Ready, &error, false).await;
                }
            }
        });
    }

    /// Runs a turn whose place was taken: it returns when the turn has ended and the next one can begin.
    pub(super) async fn turn(&self, input: &Input, id: Ulid) -> Result<(), ErrorInfo> {
        let (outcome, killed) = self.outcome(input, id).await;
        let lost = match &outcome {
            TurnOutcome::Lost { error } => Some(error.clone()),
            _ if killed => Some(ErrorInfo::retryable(
                crate::error::BACKEND_EXITED,
                "the agent did not end its turn when it was asked to, and was killed",
            )),
            _ => None,
        };
        let result = self.end_turn(id, outcome);
        // What ended with the session is not started again.
        match lost {
            Some(error) => {
                self.link.take_loss();
                self.restart(Phase::Running, &error, killed).await;
            }
            None => {
                let mut locked = self.link.locked();
                if locked.session.phase == Phase::Running {
                    locked.session.restarts = 0;
                    locked.session.go(Phase::Ready);
                }
                drop(locked);
                self.link.lost.notify_one();
            }
        }
        result
    }

    /// What the vendor's turn came to, and whether the vendor had to be killed.
    async fn outcome(&self, input: &Input, id: Ulid) -> (TurnOutcome, bool) {
        let mut cancels = self.cancels.subscribe();
        let mut turn = pin!(self.backend.handle_input(&self.cx, input, id));
        let cancelled = || {
            let locked = self.link.locked();
            locked.session.turn.as_ref().and_then(|turn| turn.cancelled.clone())
        };
        let reason = loop {
            if let Some(reason) = cancelled() {
                break reason;
            }
            tokio::select! {
                outcome = &mut turn => return (outcome, false),
                _ = cancels.changed() => {}
                () = self.over.cancelled() => break "the session is over".to_owned(),
            }
        };
        let stopping = self.link.locked().session.phase == Phase::Stopping || self.over.is_cancelled();
        let grace = if stopping {
            STOP_GRACE.min(self.link.settings.cancel_grace)
        } else {
            self.link.settings.cancel_grace
        };
        let asked = async {
            within(ASK_CANCEL, self.backend.cancel(&self.cx, id, &reason)).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            outcome = &mut turn => return (outcome, false),
            () = asked => {}
            () = tokio::time::sleep(grace) => {}
        }
        within(ASK_CANCEL, self.backend.kill(&self.cx)).await;
        let gone = TurnOutcome::Cancelled;
        (within(AFTER_KILL, turn).await.unwrap_or(gone), true)
    }

    /// Ends a turn: its questions, its items, itself.
    fn end_turn(&self, id: Ulid, outcome: TurnOutcome) -> Result<(), ErrorInfo> {
        let mut locked = self.link.locked();
        let was_cancelled = locked.session.turn.as_ref().is_some_and(|turn| turn.cancelled.is_some());
        let (status, stop_reason, error) = match outcome {
            TurnOutcome::Completed { stop_reason } => (TurnStatus::Completed, stop_reason, None),
            // Whatever a vendor says after it was asked to end.
            TurnOutcome::Cancelled => (TurnStatus::Cancelled, StopReason::Cancelled, None),
            _ if was_cancelled => (TurnStatus::Cancelled, StopReason::Cancelled, None),
            TurnOutcome::Failed { error, stop_reason } => (TurnStatus::Failed, stop_reason, Some(error)),
            TurnOutcome::Lost { error } => (TurnStatus::Failed, StopReason::Error, Some(error)),
        };
        locked.close_all();
        let how = match status {
            TurnStatus::Completed => ItemStatus::Completed,
            TurnStatus::Cancelled => ItemStatus::Cancelled,
            TurnStatus::Failed => ItemStatus::Failed,
        };
        let Some(mut turn) = locked.session.turn.take_if(|turn| turn.id == id) else { return Ok(()) };
        for body in turn.items.close_all(how) {
            locked.push(Draft::of_turn(id, body));
        }
        let duration_ms = u64::try_from(turn.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let completed = TurnCompleted { status, stop_reason, error: error.clone(), duration_ms };
        locked.push(Draft::of_turn(id, Body::TurnCompleted(completed)).raw(turn.answer.take()));
        locked.tell_dropped();
        match error {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Takes the place of the turn that runs, if it is free. An error if somebody has taken the input back.
    pub(super) fn take_turn(&self, id: Ulid) -> Result<bool, ErrorInfo> {
        let mut locked = self.link.locked();
        if locked.session.pending.get(&id).copied().unwrap_or_default() {
            return Err(ErrorInfo::new(CANCELLED, "it was cancelled before it began"));
        }
        if locked.session.phase != Phase::Ready || !locked.session.go(Phase::Running) {
            return Ok(false);
        }
        let (began, items) = (Instant::now(), super::items::Items::default());
        locked.session.turn = Some(Turn { id, began, cancelled: None, items, answer: None });
        locked.push(Draft::of_turn(id, Body::TurnStarted { started_at: now() }));
        Ok(true)
    }

    /// Wants a turn to end: its questions are closed, and the vendor is asked. Input that has not begun is taken back. Which
    /// turn it was that runs.
    pub(super) fn cancel_turn(&self, id: Option<Ulid>, reason: &str) -> Option<Ulid> {
        let mut locked = self.link.locked();
        let Some(turn) = locked.session.turn.as_mut().filter(|turn| id.is_none_or(|id| turn.id == id)) else {
            // Who names none means what would have run.
            let nothing_runs = locked.session.turn.is_none();
            for (pending, cancelled) in &mut locked.session.pending {
                *cancelled |= id.map_or(nothing_runs, |id| *pending == id);
            }
            return None;
        };
        let id = turn.id;
        if turn.cancelled.is_none() {
            turn.cancelled = Some(reason.to_owned());
            locked.close_all();
        }
        drop(locked);
        self.cancels.send_modify(|count| *count += 1);
        Some(id)
    }

    /// Waits until this turn does not run any more.
    pub(super) async fn ended(&self, id: Ulid) {
        let mut states = self.link.states();
        let runs = || self.link.locked().session.turn.as_ref().is_some_and(|turn| turn.id == id);
        while runs() {
            tokio::select! {
                changed = states.changed() => if changed.is_err() { return },
                // The end of a turn that is followed by the end of the session changes no state.
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
    }

    /// Ends what of the session is here, and not the session: somebody else goes on with it. A turn that runs is cancelled, the
    /// vendor is killed, and the host has all events when this returns, unless it takes longer than it may.
    pub(super) async fn suspend(&self, reason: &str) {
        {
            let mut locked = self.link.locked();
            if matches!(locked.session.phase, Phase::Stopping | Phase::Stopped | Phase::Failed) {
                return;
            }
            locked.session.go(Phase::Stopping);
        }
        if let Some(id) = self.cancel_turn(None, reason) {
            within(STOP_GRACE + ASK_CANCEL + AFTER_KILL, self.ended(id)).await;
        }
        self.put_down().await;
        let turn = self.link.locked().session.turn.as_ref().map(|turn| turn.id);
        if let Some(id) = turn {
            let _ = self.end_turn(id, TurnOutcome::Cancelled);
        }
        {
            let mut locked = self.link.locked();
            locked.close_all();
            locked.release(None);
            self.link.outbox.close();
            locked.session.go(Phase::Stopped);
        }
        if self.cx.ports.event_sink.is_some() {
            within(FLUSH, self.link.outbox.flushed()).await;
        }
        self.over.cancel();
    }

    /// The end that somebody asked for.
    pub(super) async fn stop(&self, reason: &str) -> Result<(), ErrorInfo> {
        {
            let mut locked = self.link.locked();
            if matches!(locked.session.phase, Phase::Stopping | Phase::Stopped | Phase::Failed) {
                return Ok(());
            }
            locked.session.go(Phase::Stopping);
        }
        if let Some(id) = self.cancel_turn(None, reason) {
            within(STOP_GRACE + ASK_CANCEL + AFTER_KILL, self.ended(id)).await;
        }
        within(STOP_BACKEND, self.backend.stop(&self.cx, reason)).await;
        // A turn that does not end even now ends here.
        let turn = self.link.locked().session.turn.as_ref().map(|turn| turn.id);
        if let Some(id) = turn {
            let _ = self.end_turn(id, TurnOutcome::Cancelled);
        }
        self.end(Ended { reason: reason.to_owned(), error: None }, Phase::Stopped).await;
        Ok(())
    }
}
