//! A session as a value: the methods of [`AgentOs`] without the id.
//! Dropping it does not end the session.

use agentos_protocol::message::PermissionReply;

use super::{
    PermissionRequests, PromptInput, PromptOptions, PromptResult, SessionEventStream, SessionInitData,
};
use crate::error::Result;
use crate::vm::AgentOs;

/// A session.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its id.
    pub session_id: String,
    /// What the agent said of itself when it was made.
    pub init: SessionInitData,
    os: AgentOs,
}

impl Session {
    pub(super) fn new(os: AgentOs, init: SessionInitData) -> Self {
        Session { session_id: init.session_id.clone(), init, os }
    }

    /// [`AgentOs::prompt`].
    ///
    /// # Errors
    /// As there.
    pub async fn prompt(&self, prompt: impl Into<PromptInput>) -> Result<PromptResult> {
        self.os.prompt(&self.session_id, prompt).await
    }

    /// [`AgentOs::prompt_with`].
    ///
    /// # Errors
    /// As there.
    pub async fn prompt_with(
        &self,
        prompt: impl Into<PromptInput>,
        options: PromptOptions,
    ) -> Result<PromptResult> {
        self.os.prompt_with(&self.session_id, prompt, options).await
    }

    /// [`AgentOs::on_session_event`].
    ///
    /// # Errors
    /// As there.
    pub async fn events(&self, from_cursor: Option<u64>) -> Result<SessionEventStream> {
        self.os.on_session_event(&self.session_id, from_cursor).await
    }

    /// [`AgentOs::on_permission_request`].
    ///
    /// # Errors
    /// As there.
    pub async fn permission_requests(&self) -> Result<PermissionRequests> {
        self.os.on_permission_request(&self.session_id).await
    }

    /// [`AgentOs::respond_permission`].
    ///
    /// # Errors
    /// As there.
    pub async fn respond_permission(
        &self,
        permission_id: impl Into<String>,
        reply: PermissionReply,
    ) -> Result<()> {
        self.os.respond_permission(&self.session_id, permission_id, reply).await
    }

    /// [`AgentOs::respond_permission_with`].
    ///
    /// # Errors
    /// As there.
    pub async fn respond_permission_with(
        &self,
        permission_id: impl Into<String>,
        option_id: impl Into<String>,
    ) -> Result<()> {
        self.os.respond_permission_with(&self.session_id, permission_id, option_id).await
    }

    /// [`AgentOs::cancel_session`].
    ///
    /// # Errors
    /// As there.
    pub async fn cancel(&self) -> Result<()> {
        self.os.cancel_session(&self.session_id).await
    }

    /// [`AgentOs::close_session`].
    ///
    /// # Errors
    /// As there.
    pub async fn close(&self) -> Result<()> {
        self.os.close_session(&self.session_id).await
    }

    /// [`AgentOs::destroy_session`].
    ///
    /// # Errors
    /// As there.
    pub async fn destroy(&self) -> Result<()> {
        self.os.destroy_session(&self.session_id).await
    }
}
