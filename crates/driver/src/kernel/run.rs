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
            started = start => started,
            () = self.over.cancelled() => return,
        };
        let Some(started) = started else { return };
        match started {
            Ok(()) => {
                let mut locked = self.link.locked();
                // It may have been stopped meanwhile.
                if locked.session.phase != Phase::Starting {
                    return;
                }
                let started = Draft::of_session(Body::SessionStarted(Started {
                    runtime: self.descriptor.runtime.id().to_owned(),
                    transport: self.descriptor.id.to_owned(),
                    resumed,
                    capabilities: self.descriptor.capabilities.clone(),
                }));
                locked.release(Some(started));
                locked.session.go(Phase::Ready);
            }
            Err(error) => {
                if error.code == crate::error::RESUME_LOST {
                    self.report(&error.code, Severity::Error, error.message.clone(), Some(&error));
                }
                self.fail("backend.start_failed", error).await;
            }
        }
    }

    /// The end that nobody asked for.
    pub(super) async fn fail(&self, reason: &str, error: ErrorInfo) {
        within(STOP_BACKEND, self.backend.kill(&self.cx)).await;
        {
            let mut locked = self.link.locked();
            if matches!(locked.session.phase, Phase::Stopping | Phase::Stopped | Phase::Failed) {
                return;
            }
            locked.close_all();
            locked.release(None);
            locked.session.go(Phase::Failed);
            locked.push(Draft::of_session(Body::SessionEnded(Ended {
                reason: reason.to_owned(),
                error: Some(error),
            })));
        }
        self.link.outbox.close();
        self.over.cancel();
    }

    /// Starts the backend anew after the vendor went away. The turn that ran has ended by then.
    pub(super) async fn restart(&self, error: &ErrorInfo) {
        self.report(&error.code, Severity::Warn, error.message.clone(), Some(error));
        let again = {
            let mut locked = self.link.locked();
            if !matches!(locked.session.phase, Phase::Ready | Phase::Running) {
                return;
            }
            locked.session.restarts += 1;
            locked.session.restarts <= MAX_RESTARTS && locked.session.go(Phase::Starting)
        };
        if !again {
            return self.fail("backend.exited", error.clone()).await;
        }
        let started = tokio::select! {
            started = self.start_backend() => started,
            () = self.over.cancelled() => return,
        };
        match started {
            Ok(()) => {
                {
                    let mut locked = self.link.locked();
                    if locked.session.phase != Phase::Starting {
                        return;
                    }
                    locked.session.go(Phase::Ready);
                }
                self.report("driver.backend_restarted", Severity::Info, "the agent was started anew", None);
            }
            Err(error) => self.fail("backend.exited", error).await,
        }
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
                    shared.restart(&error).await;
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
        // What ended on purpose, or with the session, is not started again.
        let goes_on = self.link.locked().session.phase == Phase::Running;
        match lost {
            Some(error) if goes_on => {
                self.link.take_loss();
                self.restart(&error).await;
            }
            Some(_) => {}
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
        let Some(mut turn) = locked.session.turn.take() else { return Ok(()) };
        for body in turn.items.close_all(how) {
            locked.push(Draft::of_turn(id, body));
        }
        let duration_ms = u64::try_from(turn.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let completed = TurnCompleted { status, stop_reason, error: error.clone(), duration_ms };
        locked.push(Draft::of_turn(id, Body::TurnCompleted(completed)));
        match error {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Takes the place of the turn that runs, if it is free.
    pub(super) fn take_turn(&self, id: Ulid) -> bool {
        let mut locked = self.link.locked();
        if locked.session.phase != Phase::Ready || !locked.session.go(Phase::Running) {
            return false;
        }
        let (began, items) = (Instant::now(), super::items::Items::default());
        locked.session.turn = Some(Turn { id, began, cancelled: None, items });
        locked.push(Draft::of_turn(id, Body::TurnStarted { started_at: now() }));
        true
    }

    /// Wants the turn that runs to end: its questions are closed, and the vendor is asked. Whether one runs.
    pub(super) fn cancel_turn(&self, id: Option<Ulid>, reason: &str) -> bool {
        let mut locked = self.link.locked();
        let Some(turn) = locked.session.turn.as_mut().filter(|turn| id.is_none_or(|id| turn.id == id)) else {
            return false;
        };
        if turn.cancelled.is_none() {
            turn.cancelled = Some(reason.to_owned());
            locked.close_all();
        }
        drop(locked);
        self.cancels.send_modify(|count| *count += 1);
        true
    }

    /// Waits until no turn runs.
    pub(super) async fn idle(&self) {
        let mut states = self.link.states();
        let busy = || self.link.locked().session.turn.is_some();
        while busy() {
            tokio::select! {
                changed = states.changed() => if changed.is_err() { return },
                // The end of a turn that is followed by the end of the session changes no state.
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
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
        if self.cancel_turn(None, reason) {
            within(STOP_GRACE + ASK_CANCEL + AFTER_KILL, self.idle()).await;
        }
        within(STOP_BACKEND, self.backend.stop(&self.cx, reason)).await;
        {
            // A turn that does not end even now ends here.
            let turn = self.link.locked().session.turn.as_ref().map(|turn| turn.id);
            if let Some(id) = turn {
                let _ = self.end_turn(id, TurnOutcome::Cancelled);
            }
            let mut locked = self.link.locked();
            locked.close_all();
            locked.release(None);
            locked.push(Draft::of_session(Body::SessionEnded(Ended {
                reason: reason.to_owned(),
                error: None,
            })));
            locked.session.go(Phase::Stopped);
        }
        self.link.outbox.close();
        if self.cx.ports.event_sink.is_some() {
            within(FLUSH, self.link.outbox.flushed()).await;
        }
        self.over.cancel();
        Ok(())
    }
}
