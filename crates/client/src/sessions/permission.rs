//! Permission requests of agents: those still open, then new ones, and the answers.
//! What an unanswered request becomes is decided in the sidecar.

use std::collections::VecDeque;

use agentos_protocol::message::{PermissionReply, RespondPermission};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{SessionEvent, SessionEventStream};
use crate::error::Result;
use crate::vm::AgentOs;

const REQUEST: &str = "session/request_permission";
const RESOLVED: &str = "_agentos/permission_resolved";

/// An agent asks.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PermissionRequest {
    /// Its id, for [`AgentOs::respond_permission`].
    pub permission_id: String,
    /// The session.
    pub session_id: String,
    /// ACP `toolCall`: what it wants to do.
    pub tool_call: Value,
    /// ACP `options`: the answers the agent offers.
    pub options: Vec<PermissionOption>,
    /// The whole parameters.
    pub params: Value,
}

/// An answer that an agent offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PermissionOption {
    /// Its id.
    pub option_id: String,
    /// Text for a person.
    #[serde(default)]
    pub name: String,
    /// `allow_once`, `allow_always`, `reject_once`, `reject_always`; agents do not always use it well.
    #[serde(default)]
    pub kind: String,
}

/// Permission requests of a session.
#[derive(Debug)]
pub struct PermissionRequests {
    session_id: String,
    events: SessionEventStream,
    /// Requests of the past that were not answered when last looked.
    open: VecDeque<PermissionRequest>,
    last_past: u64,
}

impl PermissionRequests {
    /// The next request; `None` when the session is destroyed.
    pub async fn next(&mut self) -> Option<Result<PermissionRequest>> {
        loop {
            if self.last_past == 0
                && let Some(open) = self.open.pop_front()
            {
                return Some(Ok(open));
            }
            let event = match self.events.next().await? {
                Ok(event) => event,
                Err(error) => return Some(Err(error)),
            };
            if event.method == RESOLVED {
                let id = event.params.get("permissionId").and_then(Value::as_str);
                self.open.retain(|request| Some(request.permission_id.as_str()) != id);
            }
            let seq = event.seq;
            self.open.extend(request(&self.session_id, event));
            if seq >= self.last_past {
                // The past is over: what is open in it is given out, and then each as it comes.
                self.last_past = 0;
            }
        }
    }
}

fn request(session_id: &str, event: SessionEvent) -> Option<PermissionRequest> {
    if event.method != REQUEST {
        return None;
    }
    let id = event.params.pointer("/_meta/agentos/permissionId").and_then(Value::as_str);
    let Some(id) = id else {
        tracing::warn!(seq = event.seq, "a permission request without an id is left out");
        return None;
    };
    let options = event.params.get("options").cloned().unwrap_or_default();
    Some(PermissionRequest {
        permission_id: id.to_owned(),
        session_id: session_id.to_owned(),
        tool_call: event.params.get("toolCall").cloned().unwrap_or_default(),
        options: serde_json::from_value(options).unwrap_or_default(),
        params: event.params,
    })
}

impl AgentOs {
    /// Permission requests of a session: those still open, then new ones.
    ///
    /// # Errors
    /// [`crate::Error::SessionNotFound`].
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs, id: String) -> Result<(), agentos::Error> {
    /// use agentos::PermissionReply;
    /// let mut requests = os.on_permission_request(&id).await?;
    /// while let Some(request) = requests.next().await {
    ///     os.respond_permission(&id, request?.permission_id, PermissionReply::Once).await?;
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn on_permission_request(&self, session_id: impl Into<String>) -> Result<PermissionRequests> {
        let session_id = session_id.into();
        let events = self.on_session_event(session_id.clone(), None).await?;
        let last_past = events.last_seq();
        Ok(PermissionRequests { session_id, events, open: VecDeque::new(), last_past })
    }

    /// Answers a permission request.
    ///
    /// # Errors
    /// [`crate::Error::PermissionRequestNotFound`] if it was answered or its turn ended.
    pub async fn respond_permission(
        &self,
        session_id: impl Into<String>,
        permission_id: impl Into<String>,
        reply: PermissionReply,
    ) -> Result<()> {
        self.respond(session_id.into(), permission_id.into(), Some(reply), None).await
    }

    /// Answers a permission request with exactly this one of the [`PermissionRequest::options`].
    ///
    /// # Errors
    /// As [`AgentOs::respond_permission`]. An option that was not offered counts as a refusal.
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs, request: agentos::PermissionRequest) -> Result<(), agentos::Error> {
    /// if let Some(option) = request.options.iter().find(|option| option.name == "Only in this folder") {
    ///     os.respond_permission_with(&request.session_id, &request.permission_id, &option.option_id).await?;
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn respond_permission_with(
        &self,
        session_id: impl Into<String>,
        permission_id: impl Into<String>,
        option_id: impl Into<String>,
    ) -> Result<()> {
        self.respond(session_id.into(), permission_id.into(), None, Some(option_id.into())).await
    }

    async fn respond(
        &self,
        session_id: String,
        permission_id: String,
        reply: Option<PermissionReply>,
        option_id: Option<String>,
    ) -> Result<()> {
        let vm_id = self.vm.id();
        self.vm.call(&RespondPermission { vm_id, session_id, permission_id, reply, option_id }).await?;
        Ok(())
    }
}
