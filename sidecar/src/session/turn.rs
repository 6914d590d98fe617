//! Prompts of a session, one after another, and their cancel. What an agent does within a turn is its own affair.
//!
//! Cancelling the call of a prompt that still queues takes it back; of the one that runs, it cancels the turn. A cancel
//! of the session ends the running turn and takes every queued prompt back.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use agentos_acp::schema::ContentBlock;
use agentos_acp::{CancelOutcome, PromptOutcome, StopReason};
use agentos_protocol::WireError;
use agentos_protocol::message::{JsonText, PromptReply};
use tokio::sync::OwnedSemaphorePermit;

use super::entry::Session;
use super::errors::{invalid, limit};

/// Prompts that wait behind the running one.
const QUEUED: usize = 64;

impl Session {
    /// Runs one turn.
    pub(crate) async fn prompt(self: Arc<Self>, content: JsonText) -> Result<PromptReply, WireError> {
        let blocks: Vec<ContentBlock> = content.parse().map_err(|e| invalid(format!("content: {e}")))?;
        if blocks.is_empty() {
            return Err(invalid("the prompt has no content"));
        }
        let cancels = self.cancels.load(Ordering::SeqCst);
        let permit = self.queue().await?;
        // Declared first, so dropped last: after the prompt itself.
        let mut running = Running { session: Arc::clone(&self), permit: Some(permit), armed: false };
        if self.cancels.load(Ordering::SeqCst) == cancels {
            self.turn_begins().await;
        }
        let mut turn = pin!(self.agent.peer.prompt(&self.inner, blocks));
        let outcome = poll_fn(|cx| {
            if running.armed {
                return turn.as_mut().poll(cx).map(Some);
            }
            let _neither_between = self.beginning.lock();
            if self.cancels.load(Ordering::SeqCst) != cancels {
                return Poll::Ready(None);
            }
            running.armed = true;
            turn.as_mut().poll(cx).map(Some)
        })
        .await;
        running.armed = false;
        match outcome {
            Some(outcome) => outcome.map(reply).map_err(|e| self.failed(e)),
            None => Ok(taken_back()),
        }
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
        gate.acquire_owned().await.map_err(|_| self.failed(agentos_acp::Error::Closed))
    }

    /// Cancels the running turn and takes queued prompts back. An agent ends its tools itself when it is told; one that
    /// goes on regardless is killed with everything it started, and its turn counts as cancelled.
    pub(crate) async fn cancel(&self) -> Result<(), WireError> {
        {
            let _neither_between = self.beginning.lock();
            self.cancels.fetch_add(1, Ordering::SeqCst);
        }
        match self.agent.peer.cancel(&self.inner).await {
            Ok(CancelOutcome::MustKill) => self.agent.kill(),
            Ok(CancelOutcome::Idle | CancelOutcome::Stopped) => {}
            // Whatever ran has ended with its agent.
            Err(_) if self.is_over() => {}
            Err(error) => return Err(self.failed(error)),
        }
        Ok(())
    }

    /// The same, carried through when the caller goes.
    pub(crate) async fn cancel_through(self: Arc<Self>) -> Result<(), WireError> {
        let of = Arc::clone(&self);
        let done = self.agent.detached(async move { of.cancel().await }).await;
        done.unwrap_or_else(|| Err(self.failed(agentos_acp::Error::Closed)))
    }
}

/// A place in the queue.
struct Place<'a>(&'a Session);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A prompt that may run: abandoned while it does, its turn is cancelled before the next one begins.
struct Running {
    session: Arc<Session>,
    permit: Option<OwnedSemaphorePermit>,
    armed: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let (session, permit) = (Arc::clone(&self.session), self.permit.take());
        self.session.agent.spawn(async move {
            // Not the cancel of the session: prompts of others that queue stay.
            if let Ok(CancelOutcome::MustKill) = session.agent.peer.cancel(&session.inner).await {
                session.agent.kill();
            }
            drop(permit);
        });
    }
}

fn taken_back() -> PromptReply {
    PromptReply { stop_reason: "cancelled".to_owned(), ..PromptReply::default() }
}

fn reply(outcome: PromptOutcome) -> PromptReply {
    let stop_reason = match &outcome.stop_reason {
        StopReason::EndTurn => "end_turn",
        StopReason::MaxTokens => "max_tokens",
        StopReason::MaxTurnRequests => "max_turn_requests",
        StopReason::Refusal => "refusal",
        StopReason::Cancelled => "cancelled",
        StopReason::Other(other) => other,
    };
    PromptReply {
        stop_reason: stop_reason.to_owned(),
        text: outcome.text,
        usage: outcome.usage.and_then(|usage| serde_json::to_string(&usage).ok()).map(JsonText),
        response: outcome.response.map(|raw| JsonText(raw.get().to_owned())).unwrap_or_default(),
    }
}
