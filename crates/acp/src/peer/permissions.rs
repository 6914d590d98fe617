//! Open permission requests: asked, answered, withdrawn, timed out. Which option a reply means is decided in
//! [`permission`](crate::permission).

use std::sync::{Arc, atomic::Ordering};

use serde_json::value::RawValue;

use super::{
    AgentPeer,
    handler::Shared,
    session::{Pending, Session},
};
use crate::{
    Error, OpenPermission, PermissionId, PermissionReply,
    connection::Responder,
    envelope::code,
    event::{Direction, Draft, EventKind},
    permission::{choose, on_timeout},
    schema::{
        RequestPermissionOutcome, RequestPermissionRequest, RequestPermissionResponse,
        SelectedPermissionOutcome,
    },
};

/// How a request was resolved; becomes `reason` in its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Answered,
    TimedOut,
    TurnCancelled,
    Withdrawn,
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::TimedOut => "timeout",
            Self::TurnCancelled => "turn_cancelled",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl Shared {
    /// Puts the request on the table, or refuses it: then false.
    pub(super) async fn permission_requested(
        &self,
        params: Option<Box<RawValue>>,
        responder: Responder,
    ) -> bool {
        let parsed = params.and_then(|raw| {
            let request = serde_json::from_str::<RequestPermissionRequest>(raw.get()).ok()?;
            Some((raw, request))
        });
        let Some((raw, request)) = parsed else {
            responder.error(code::INVALID_PARAMS, "not the parameters of session/request_permission").await;
            return false;
        };
        let Ok(session) = self.session(&request.session_id.0) else {
            responder.error(code::INVALID_PARAMS, "no such session").await;
            return false;
        };
        let bytes = raw.get().len();
        let id = PermissionId(self.next_permission.fetch_add(1, Ordering::Relaxed));
        let withdrawn = responder.cancel_token();
        let resolved = tokio_util::sync::CancellationToken::new();
        let draft = Draft::new(
            Direction::FromAgent,
            "session/request_permission",
            raw,
            EventKind::PermissionRequested { id },
        );
        session.log.room_for(&draft).await;
        let refused = {
            let mut state = session.state.lock();
            if state.turn.as_ref().is_some_and(|turn| turn.cancelling) {
                Some((responder, true))
            } else if state.permissions.len() >= self.limits.permissions
                || state.permissions.values().map(|open| open.bytes).sum::<usize>() + bytes
                    > self.limits.permission_bytes
            {
                Some((responder, false))
            } else {
                let open = OpenPermission { id, request };
                state.permissions.insert(id, Pending { open, bytes, responder, resolved: resolved.clone() });
                // Under the lock: nobody can resolve it before the event that announces it.
                session.log.publish_now(draft);
                None
            }
        };
        match refused {
            Some((responder, true)) => {
                responder.ok(&RequestPermissionResponse::new(RequestPermissionOutcome::Cancelled)).await;
                return false;
            }
            Some((responder, false)) => {
                responder.error(code::INTERNAL_ERROR, "too many open permission requests").await;
                return false;
            }
            None => {}
        }
        let timeout = self.timeouts.permission;
        tokio::spawn({
            let session = Arc::clone(&session);
            async move {
                tokio::select! {
                    () = resolved.cancelled() => {}
                    () = withdrawn.cancelled() => session.resolve(id, None, Reason::Withdrawn).await,
                    () = tokio::time::sleep(timeout) => session.resolve_by_timeout(id).await,
                }
            }
        });
        true
    }
}

impl Session {
    /// Answers with an option, or with the outcome `cancelled`. Does nothing if it is no longer open.
    pub(super) async fn resolve(&self, id: PermissionId, option: Option<String>, reason: Reason) {
        let Some(pending) = self.state.lock().permissions.remove(&id) else { return };
        pending.resolved.cancel();
        let outcome = match option {
            Some(option) => RequestPermissionOutcome::Selected(SelectedPermissionOutcome::new(option)),
            None => RequestPermissionOutcome::Cancelled,
        };
        // The event first: whoever sees what the agent does with the answer has seen the answer.
        let payload = serde_json::json!({"permissionId": id.0, "outcome": outcome, "reason": reason.name()});
        let kind = EventKind::PermissionResolved { id };
        self.log.publish_now(Draft::of(Direction::ToAgent, "session/request_permission", &payload, kind));
        if reason == Reason::Withdrawn {
            pending.responder.error(code::REQUEST_CANCELLED, "request cancelled").await;
        } else {
            pending.responder.ok(&RequestPermissionResponse::new(outcome)).await;
        }
    }

    async fn resolve_by_timeout(&self, id: PermissionId) {
        let option = {
            let state = self.state.lock();
            let Some(pending) = state.permissions.get(&id) else { return };
            on_timeout(&pending.open.request.options).map(|option| option.option_id.to_string())
        };
        self.resolve(id, option, Reason::TimedOut).await;
    }

    /// Answers all with `cancelled`, as a cancelled turn demands.
    pub(super) async fn cancel_permissions(&self) {
        let ids: Vec<_> = self.state.lock().permissions.keys().copied().collect();
        for id in ids {
            self.resolve(id, None, Reason::TurnCancelled).await;
        }
    }
}

impl AgentPeer {
    /// Answers a permission request. The option is chosen by the rules of [`choose`]; where the agent offers no
    /// refusal, [`Reject`](PermissionReply::Reject) becomes the outcome `cancelled`.
    ///
    /// # Errors
    /// [`Error::UnknownPermission`] if it is not open; [`Error::NoSuchOption`] if no option clearly means the reply:
    /// it then stays open, to be answered with [`respond_with_option`](Self::respond_with_option).
    pub async fn respond_permission(
        &self,
        session_id: &str,
        id: PermissionId,
        reply: PermissionReply,
    ) -> Result<(), Error> {
        let session = self.known(session_id)?;
        let option = {
            let state = session.state.lock();
            let pending = state.permissions.get(&id).ok_or(Error::UnknownPermission(id))?;
            let options = &pending.open.request.options;
            match choose(options, reply) {
                Some(option) => Some(option.option_id.to_string()),
                None if reply == PermissionReply::Reject => None,
                None => {
                    let offered = options.iter().map(|o| (o.option_id.to_string(), o.name.clone())).collect();
                    return Err(Error::NoSuchOption { reply, offered });
                }
            }
        };
        session.resolve(id, option, Reason::Answered).await;
        Ok(())
    }

    /// Answers a permission request with one of its options, or with the outcome `cancelled`.
    ///
    /// # Errors
    /// [`Error::UnknownPermission`] if it is not open or has no such option.
    pub async fn respond_with_option(
        &self,
        session_id: &str,
        id: PermissionId,
        option_id: Option<&str>,
    ) -> Result<(), Error> {
        let session = self.known(session_id)?;
        {
            let state = session.state.lock();
            let pending = state.permissions.get(&id).ok_or(Error::UnknownPermission(id))?;
            let mut offered = pending.open.request.options.iter();
            if option_id.is_some_and(|wanted| !offered.any(|option| *option.option_id.0 == *wanted)) {
                return Err(Error::UnknownPermission(id));
            }
        }
        session.resolve(id, option_id.map(str::to_owned), Reason::Answered).await;
        Ok(())
    }
}
