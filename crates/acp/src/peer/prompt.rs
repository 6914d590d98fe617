//! Prompts, one at a time, and cancelling them. An agent that does not end its turn after a cancel is given up here;
//! killing it is the embedder's part.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    AgentPeer,
    session::{Begun, Session},
};
use crate::{
    Error, Fatal, PromptOutcome, StopReason,
    event::{Direction, Draft, EventKind},
    schema::{CancelNotification, ContentBlock, PromptRequest},
};

/// What a cancel did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelOutcome {
    /// No prompt was running; nothing was sent.
    Idle,
    /// The agent ended its turn.
    Stopped,
    /// The agent did not: it has been given up ([`Fatal::CancelIgnored`]) and must be killed.
    MustKill,
}

impl AgentPeer {
    /// Sends a prompt and waits for the end of the turn. Prompts of one session run one after another, in order.
    /// Dropping the future takes a queued prompt back; a running turn goes on, visible in the events.
    ///
    /// # Errors
    /// [`Error::NotSupported`] for content the agent cannot take, [`Error::AuthRequired`], or whatever ends the turn.
    pub async fn prompt(&self, session_id: &str, prompt: Vec<ContentBlock>) -> Result<PromptOutcome, Error> {
        let session = self.known(session_id)?;
        let prompt = super::content::degrade(
            prompt,
            &self.profile()?.response.agent_capabilities.prompt_capabilities,
        )?;
        let cancels = session.state.lock().cancels;
        let gate = match Arc::clone(&session.gate).try_acquire_owned() {
            Ok(gate) => Some(gate),
            Err(_) => {
                let _queued = Queued::enter(&session, self.shared.limits.queued_prompts)?;
                Arc::clone(&session.gate).acquire_owned().await.ok()
            }
        };
        let Some(gate) = gate else {
            // The session was closed, or the connection is over.
            self.known(session_id)?;
            return Err(self.closed().await.into());
        };
        if session.state.lock().cancels != cancels {
            return Ok(never_sent());
        }
        let Some(Begun { number: turn, ended, result }) = session.begin_turn(gate) else {
            return Err(Error::UnknownSession { session_id: session_id.to_owned() });
        };
        let abandoned = Abandoned { session: &session, turn, armed: true };
        let request = PromptRequest::new(session_id.to_owned(), prompt);
        let kind = EventKind::PromptSent { turn };
        session.log.publish(Draft::of(Direction::ToAgent, "session/prompt", &request, kind)).await;
        let wire = session.wire.lock().await;
        if session.mark_sent(turn) {
            let sent = self.connection.start("session/prompt", Some(session_id), &request).await;
            match sent {
                Ok(_) => self.watch(Arc::clone(&session), turn, ended),
                Err(error) => session.finish_turn(Some(turn), Err(error)),
            }
        }
        drop(wire);
        abandoned.disarm();
        match result.await {
            Ok(outcome) => outcome.map_err(|error| self.explain(error)),
            Err(_) => Err(self.closed().await.into()),
        }
    }

    /// Cancels the running turn and every queued prompt of the session: `session/cancel`, the outcome `cancelled` to
    /// every open permission request, then at most [`Timeouts::cancel`](crate::Timeouts::cancel) for the result. The
    /// cancelled [`prompt`](Self::prompt) returns [`StopReason::Cancelled`] in every case.
    ///
    /// # Errors
    /// [`Error::UnknownSession`], or the end of the connection.
    pub async fn cancel(&self, session_id: &str) -> Result<CancelOutcome, Error> {
        let session = self.known(session_id)?;
        let (turn, ended, sent, first) = {
            let mut state = session.state.lock();
            state.cancels += 1;
            let Some(turn) = &mut state.turn else { return Ok(CancelOutcome::Idle) };
            (turn.number, turn.ended.clone(), turn.sent, !std::mem::replace(&mut turn.cancelling, true))
        };
        if !sent {
            // Its prompt waits for a slow consumer; the agent has never heard of it.
            session.finish_turn(Some(turn), Ok(None));
            return Ok(CancelOutcome::Stopped);
        }
        let procedure = async {
            if first {
                let notification = CancelNotification::new(session_id.to_owned());
                let draft =
                    Draft::of(Direction::ToAgent, "session/cancel", &notification, EventKind::CancelSent);
                session.log.publish_now(draft);
                let wire = session.wire.lock().await;
                self.connection.notify("session/cancel", &notification).await?;
                drop(wire);
                session.cancel_permissions().await;
            }
            ended.cancelled().await;
            Ok(CancelOutcome::Stopped)
        };
        let after = self.shared.timeouts.cancel;
        if let Ok(outcome) = tokio::time::timeout(after, procedure).await {
            return outcome;
        }
        session.finish_turn(Some(turn), Ok(None));
        self.connection.fail(Fatal::CancelIgnored { after });
        Ok(CancelOutcome::MustKill)
    }

    /// Warns when the agent says nothing for a long time during a turn.
    fn watch(&self, session: Arc<Session>, turn: u64, ended: CancellationToken) {
        let limit = self.shared.timeouts.stall;
        let peer = Self { connection: self.connection.weak(), ..self.clone() };
        tokio::spawn(async move {
            let started = Instant::now();
            let mut warned = false;
            loop {
                let idle = peer.connection.idle().min(started.elapsed());
                if idle >= limit && !warned {
                    tracing::warn!(turn, ?idle, "the agent has been silent");
                    let idle_ms = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
                    let payload = serde_json::json!({"turn": turn, "idleMs": idle_ms});
                    let draft = Draft::of(Direction::Local, "agentos/stalled", &payload, EventKind::Stalled);
                    session.log.publish_now(draft);
                    if peer.shared.timeouts.cancel_stalled {
                        let _ = peer.cancel(&session.id).await;
                        return;
                    }
                }
                warned = idle >= limit;
                let rest = if warned { limit } else { limit.saturating_sub(idle) };
                tokio::select! {
                    () = ended.cancelled() => return,
                    () = tokio::time::sleep(rest.max(Duration::from_millis(1))) => {}
                }
            }
        });
    }
}

/// The outcome of a prompt that was cancelled while it was queued.
fn never_sent() -> PromptOutcome {
    PromptOutcome {
        turn: u64::MAX,
        text: String::new(),
        text_truncated: false,
        stop_reason: StopReason::Cancelled,
        usage: None,
        response: None::<Box<RawValue>>,
    }
}

/// A place in the queue of a session.
struct Queued<'a>(&'a Session);

impl<'a> Queued<'a> {
    fn enter(session: &'a Session, configured: usize) -> Result<Self, Error> {
        let used = session.queued.fetch_add(1, Ordering::AcqRel) + 1;
        let queued = Self(session);
        if used > configured {
            return Err(Error::Limit { name: "queued_prompts", configured, used });
        }
        Ok(queued)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Ends a turn whose prompt was dropped before it was sent, so that the next one can go.
struct Abandoned<'a> {
    session: &'a Session,
    turn: u64,
    armed: bool,
}

impl Abandoned<'_> {
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.session.finish_turn(Some(self.turn), Err(Error::Closed));
        }
    }
}
