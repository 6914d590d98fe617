//! Prompts of a session, one after another, and their cancel. What a turn is, is the Driver Kernel's affair.
//!
//! Cancelling the call of a prompt that still queues takes it back; of the one that runs, it cancels the turn. A cancel
//! of the session ends the running turn and takes every queued prompt back.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use agentos_driver::command::{CommandUpdate, Input, Order};
use agentos_driver::event::{GivenBlock, StopReason, TurnStatus};
use agentos_driver::{Command, ErrorInfo, State};
use agentos_protocol::WireError;
use agentos_protocol::message::{JsonText, PromptReply, code};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use ulid::Ulid;

use super::entry::Session;
use super::errors::{invalid, limit};
use super::sink::{Outcome, made_up_response};
use super::{history, native};
use crate::connection::begin;

/// Prompts that wait behind the running one.
const QUEUED: usize = 64;
/// How long what was said before a prompt may take to be taken note of, as where nobody reads.
const NOTED: Duration = Duration::from_secs(5);
/// How long an agent that is being started anew is waited for.
const READY: Duration = Duration::from_secs(130);
/// How long the end of a turn may take to the log.
const LOGGED: Duration = Duration::from_secs(30);
/// The code of input that was taken back before it began.
const CANCELLED: &str = "driver.command_cancelled";

impl Session {
    /// Runs one turn.
    pub(crate) async fn prompt(
        self: Arc<Self>,
        content: JsonText,
        params: Option<JsonText>,
    ) -> Result<PromptReply, WireError> {
        let blocks: Vec<GivenBlock> = content.parse().map_err(|e| invalid(format!("content: {e}")))?;
        if blocks.is_empty() {
            return Err(invalid("the prompt has no content"));
        }
        let native = native::params(&self.record.head.lock().setup.agent, params.as_ref())?;
        let cancels = self.cancels.load(Ordering::SeqCst);
        let permit = self.queue().await?;
        let kernel = self.kernel()?;
        let id = Ulid::generate();
        // Declared first, so dropped last: after the prompt itself.
        let mut running = Running {
            session: Arc::clone(&self),
            permit: Some(permit),
            id,
            armed: false,
            runtime: Handle::current(),
        };
        if self.cancels.load(Ordering::SeqCst) == cancels {
            self.turn_begins().await;
        }
        // The agent may be on its way back after an accident.
        let ready = kernel.until(|state| state == State::Ready);
        match tokio::time::timeout(READY, ready).await {
            Ok(State::Ready) => {}
            Ok(_) => return Err(self.gone()),
            Err(_) => return Err(WireError::new(code::TIMEOUT, "the agent is still being started")),
        }
        // Among what the kernel has said by now may be that the agent has forgotten all.
        let said = kernel.next_seq().saturating_sub(1);
        let mut noted = self.record.noted.subscribe();
        let _ = tokio::time::timeout(NOTED, noted.wait_for(|noted| *noted >= said)).await;
        let mut blocks = blocks;
        let history_due = self.record.head.lock().history_due;
        if history_due {
            // All of a stored log is read.
            let log = self.record.log.clone();
            let said = tokio::task::spawn_blocking(move || history::offered(&log)).await;
            blocks.splice(0..0, said.ok().flatten().map(GivenBlock::from));
        }
        let told = self.record.turns.expect(id, content);
        let _expected = Expected { session: &self, id };
        let input = Input { content: Some(blocks), native, ..Input::default() };
        let order =
            Order::InputStart { request_id: id.to_string(), run_id: id, input, access_snapshot: None };
        let mut turn = pin!(kernel.dispatch(Command::of(order)));
        let first = poll_fn(|cx| {
            let mut beginning = self.beginning.lock();
            if self.cancels.load(Ordering::SeqCst) != cancels {
                return Poll::Ready(None);
            }
            // From here on the kernel knows of it, and a cancel meets it there.
            *beginning = Some(id);
            running.armed = true;
            Poll::Ready(Some(turn.as_mut().poll(cx)))
        })
        .await;
        let outcome = match first {
            None => return Ok(taken_back()),
            Some(Poll::Ready(update)) => self.outcome(update, told).await,
            Some(Poll::Pending) => self.wait(turn, told).await,
        };
        running.armed = false;
        let outcome = outcome?;
        // An agent that has answered has heard it, and so has one that ended its turn without an answer of that kind.
        let heard =
            |outcome: &Outcome| outcome.answer.is_some() || outcome.completed.status == TurnStatus::Completed;
        if history_due && outcome.as_ref().is_some_and(heard) {
            self.record.change(|head| head.history_due = false);
        }
        match outcome {
            Some(outcome) => self.reply(outcome),
            None => Ok(taken_back()),
        }
    }

    /// Waits until the turn has ended, as the log has it; nothing if it was taken back before it began.
    async fn wait(
        &self,
        turn: impl Future<Output = CommandUpdate>,
        mut told: oneshot::Receiver<Outcome>,
    ) -> Result<Option<Outcome>, WireError> {
        let update = tokio::select! {
            biased;
            // The command ends only once the next one can begin: after an accident, once the agent is back.
            Ok(outcome) = &mut told => return Ok(Some(outcome)),
            update = turn => update,
        };
        self.outcome(update, told).await
    }

    /// The same once the command has ended.
    async fn outcome(
        &self,
        update: CommandUpdate,
        told: oneshot::Receiver<Outcome>,
    ) -> Result<Option<Outcome>, WireError> {
        use agentos_driver::error::{MALFORMED, NOT_READY, STOPPING};
        match &update.error {
            Some(error) if error.code == CANCELLED => return Ok(None),
            Some(error) if [MALFORMED, NOT_READY, STOPPING].contains(&error.code.as_str()) => {
                let failure = self.record.failure.lock().clone();
                return Err(self.failed(&failure.unwrap_or_else(|| error.clone())));
            }
            _ => {}
        }
        match tokio::time::timeout(LOGGED, told).await {
            Ok(Ok(outcome)) => Ok(Some(outcome)),
            _ => Err(self.gone()),
        }
    }

    fn reply(&self, outcome: Outcome) -> Result<PromptReply, WireError> {
        let Outcome { completed, text, usage, answer } = outcome;
        if completed.status == TurnStatus::Failed {
            let unknown = || ErrorInfo::new("driver.turn_failed", "the turn failed");
            return Err(self.failed(&completed.error.unwrap_or_else(unknown)));
        }
        let answer = answer.map(|answer| answer.params.get().to_owned());
        let said: Value =
            answer.as_deref().and_then(|answer| serde_json::from_str(answer).ok()).unwrap_or_default();
        let named = said.get("stopReason").and_then(Value::as_str);
        let stop_reason = match (&completed.status, named) {
            (TurnStatus::Cancelled, _) => "cancelled".to_owned(),
            (_, Some(named)) => named.to_owned(),
            (_, None) => reason(&completed.stop_reason),
        };
        let counted = usage.and_then(|usage| serde_json::to_string(&usage).ok()).map(JsonText);
        let usage = said.get("usage").filter(|usage| usage.is_object()).map(JsonText::new).or(counted);
        let response = answer.map_or_else(|| JsonText::new(&made_up_response(&stop_reason)), JsonText);
        Ok(PromptReply { stop_reason, text, usage, response })
    }

    async fn queue(&self) -> Result<OwnedSemaphorePermit, WireError> {
        let gate = Arc::clone(&self.gate);
        if let Ok(permit) = Arc::clone(&gate).try_acquire_owned() {
            return Ok(permit);
        }
        let used = self.queued.fetch_add(1, Ordering::SeqCst);
        let _place = Place(self);
        if used >= QUEUED {
            return Err(limit("queuedPrompts", QUEUED, used));
        }
        gate.acquire_owned().await.map_err(|_| self.gone())
    }

    /// Cancels the running turn and takes queued prompts back. An agent ends its tools itself when it is told; one that
    /// goes on regardless is killed with everything it started, and its turn counts as cancelled.
    pub(crate) async fn cancel(&self) -> Result<(), WireError> {
        let running = {
            let beginning = self.beginning.lock();
            self.cancels.fetch_add(1, Ordering::SeqCst);
            *beginning
        };
        // Whatever ran has ended with its agent.
        let (Some(run_id), Ok(kernel)) = (running, self.kernel()) else { return Ok(()) };
        let order = Order::TurnCancel { run_id: Some(run_id), reason: Some("session.cancel".to_owned()) };
        match kernel.dispatch(Command::of(order)).await.error {
            Some(error) if self.is_live() && error.code != agentos_driver::error::NOT_READY => {
                Err(self.failed(&error))
            }
            _ => Ok(()),
        }
    }

    /// The same, carried through when the caller goes. It begins when it is first polled, not when a task comes to run.
    pub(crate) async fn cancel_through(self: Arc<Self>) -> Result<(), WireError> {
        let of = Arc::clone(&self);
        let mut work = Box::pin(async move { of.cancel().await });
        match begin(work.as_mut()) {
            Poll::Ready(done) => done,
            Poll::Pending => tokio::spawn(work).await.unwrap_or_else(|_| Err(self.gone())),
        }
    }
}

fn reason(reason: &StopReason) -> String {
    match reason {
        // In the words of ACP.
        StopReason::MaxTurns => "max_turn_requests".to_owned(),
        other => serde_json::to_value(other)
            .ok()
            .and_then(|name| name.as_str().map(str::to_owned))
            .unwrap_or_default(),
    }
}

/// A place in the queue.
struct Place<'a>(&'a Session);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A turn whose outcome is waited for.
struct Expected<'a> {
    session: &'a Session,
    id: Ulid,
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.session.record.turns.forget(self.id);
        self.session.beginning.lock().take_if(|id| *id == self.id);
    }
}

/// A prompt that may run: abandoned while it does, its turn is cancelled before the next one begins.
struct Running {
    session: Arc<Session>,
    permit: Option<OwnedSemaphorePermit>,
    id: Ulid,
    armed: bool,
    runtime: Handle,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let (session, permit, id) = (Arc::clone(&self.session), self.permit.take(), self.id);
        self.runtime.spawn(async move {
            // Not the cancel of the session: prompts of others that queue stay.
            if let Ok(kernel) = session.kernel() {
                let order = Order::TurnCancel {
                    run_id: Some(id),
                    reason: Some("the prompt was abandoned".to_owned()),
                };
                kernel.dispatch(Command::of(order)).await;
            }
            drop(permit);
        });
    }
}

fn taken_back() -> PromptReply {
    PromptReply {
        stop_reason: "cancelled".to_owned(),
        response: JsonText::new(&made_up_response("cancelled")),
        ..PromptReply::default()
    }
}
