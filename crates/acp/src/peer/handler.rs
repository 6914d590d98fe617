//! What the agent sends, applied to the sessions: updates, permission requests, answers that must take effect before
//! the next line. Requests for files and terminals are refused, since they are not advertised.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use serde_json::value::RawValue;

use super::session::Session;
use crate::{
    Closure, Error, Limits, Timeouts, Update,
    connection::{Incoming, IncomingRequest, Outcome},
    envelope::code,
    event::{Direction, Draft, EventKind},
    schema::{ContentBlock, SessionUpdate},
    text::loggable,
    update::Params,
};

/// The peer's state that the reading task changes.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
    sessions: Mutex<HashMap<Arc<str>, Arc<Session>>>,
    /// Sessions being created; they count against the limit.
    pub(super) creating: AtomicUsize,
    pub(super) next_permission: AtomicU64,
    foreign_logged: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("sessions", &self.session_ids()).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(limits: Limits, timeouts: Timeouts) -> Self {
        Self {
            limits,
            timeouts,
            sessions: Mutex::default(),
            creating: AtomicUsize::new(0),
            next_permission: AtomicU64::new(0),
            foreign_logged: AtomicBool::new(false),
        }
    }

    pub(super) fn session(&self, id: &str) -> Result<Arc<Session>, Error> {
        let found = self.sessions.lock().get(id).cloned();
        found.ok_or_else(|| Error::UnknownSession { session_id: loggable(id) })
    }

    pub(super) fn session_ids(&self) -> Vec<String> {
        self.sessions.lock().keys().map(ToString::to_string).collect()
    }

    /// Fails if the id is taken.
    pub(super) fn add_session(&self, id: &str) -> Result<Arc<Session>, &'static str> {
        if id.is_empty() || id.len() > Limits::MAX_ID_BYTES {
            return Err("the session id is empty or too long");
        }
        let mut sessions = self.sessions.lock();
        if sessions.contains_key(id) {
            return Err("the session id is already in use");
        }
        let session = Arc::new(Session::new(id, &self.limits));
        sessions.insert(Arc::clone(&session.id), Arc::clone(&session));
        Ok(session)
    }

    pub(super) fn remove_session(&self, id: &str) -> Option<Arc<Session>> {
        self.sessions.lock().remove(id)
    }

    /// Tells whether the update was of use.
    async fn update(&self, params: Option<Box<RawValue>>) -> bool {
        let Some(params) = params else { return false };
        let Ok(Params { session_id, update }) = serde_json::from_str(params.get()) else {
            tracing::debug!("session/update without a session id or an update dropped");
            return false;
        };
        let Ok(session) = self.session(&session_id) else {
            if !self.foreign_logged.swap(true, Ordering::Relaxed) {
                tracing::warn!(session = %loggable(&session_id), "updates of sessions that are not ours are dropped");
            }
            return false;
        };
        if let Update::Known(update) = Update::decode(update) {
            if let SessionUpdate::AgentMessageChunk(chunk) | SessionUpdate::AgentThoughtChunk(chunk) =
                &*update
                && matches!(&chunk.content, ContentBlock::Text(text) if text.text.is_empty())
            {
                return false;
            }
            session.apply(*update, &self.limits);
        }
        if !session.state.lock().muted {
            session
                .log
                .publish(Draft::new(Direction::FromAgent, "session/update", params, EventKind::Update))
                .await;
        }
        true
    }
}

impl Incoming for Shared {
    async fn notification(&self, method: &str, params: Option<Box<RawValue>>) -> bool {
        if method == "session/update" {
            return self.update(params).await;
        }
        tracing::debug!(method = %loggable(method), "notification ignored");
        false
    }

    async fn request(&self, request: IncomingRequest) -> bool {
        match request.method.as_str() {
            "session/request_permission" => {
                self.permission_requested(request.params, request.responder).await
            }
            _ => {
                request.responder.error(code::METHOD_NOT_FOUND, "method not found").await;
                false
            }
        }
    }

    async fn responded(&self, method: &str, context: Option<&str>, outcome: &mut Outcome) {
        match (method, context) {
            ("session/prompt", Some(id)) => {
                let Ok(session) = self.session(id) else { return };
                let result = match outcome {
                    Ok(raw) => Ok(Some(raw.clone())),
                    Err(error) => Err(error.clone()),
                };
                // Nobody waits for what a turn that is over has asked.
                session.cancel_permissions().await;
                session.finish_turn(None, result);
            }
            ("session/new", _) => {
                // The session must be known before the next line, which may be an update of it.
                if let Ok(raw) = outcome
                    && let Err(reason) = self.created(raw)
                {
                    *outcome =
                        Err(Error::InvalidAnswer { method: method.to_owned(), reason: reason.to_owned() });
                }
            }
            ("session/load" | "session/resume", Some(id)) => {
                if let (Ok(session), Ok(raw)) = (self.session(id), outcome) {
                    session.adopt(raw);
                    session.state.lock().muted = false;
                }
            }
            _ => {}
        }
    }

    fn closed(&self, closure: &Closure) {
        let sessions: Vec<_> = self.sessions.lock().values().cloned().collect();
        for session in sessions {
            session.disconnect(closure);
        }
    }
}
