//! The client side of ACP v1 towards one agent process: sessions, prompts, cancel, permissions, options. It starts
//! and kills no process, and offers the agent neither files nor terminals: agents inside the VM have their own.

mod config;
mod content;
mod handler;
mod lifecycle;
mod permissions;
mod prompt;
mod session;

use std::sync::Arc;

use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncWrite};

pub use lifecycle::{CloseOutcome, LoadSession, NewSession, SessionInit};
pub use prompt::CancelOutcome;
pub use session::SessionView;

use crate::{
    Closure, Error, EventLog, ExitStatus, Fatal, Limits, Timeouts,
    connection::{Connection, Outcome},
    envelope::code,
    schema::{
        AuthMethod, BooleanConfigOptionCapabilities, ClientCapabilities, ClientSessionCapabilities,
        CompactionCapabilities, Implementation, InitializeRequest, InitializeResponse, NoticeCapabilities,
        SessionConfigOptionsCapabilities,
    },
};
use handler::Shared;
use session::Session;

/// What a peer is made with.
#[derive(Debug, Clone)]
pub struct PeerOptions {
    /// Sizes and counts.
    pub limits: Limits,
    /// Times.
    pub timeouts: Timeouts,
    /// Name and version sent as `clientInfo`.
    pub client_name: String,
    /// See `client_name`.
    pub client_version: String,
}

impl Default for PeerOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            client_name: "agentos".to_owned(),
            client_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// What an agent said about itself in `initialize`.
#[derive(Debug, Clone)]
pub struct AgentProfile {
    /// Typed, with absent capabilities as "not supported".
    pub response: InitializeResponse,
    /// As it came.
    pub raw: Box<RawValue>,
}

/// The client side of one agent process. Clones share it; when the last is dropped, the connection ends.
#[derive(Debug, Clone)]
pub struct AgentPeer {
    connection: Connection,
    shared: Arc<Shared>,
    options: Arc<PeerOptions>,
    profile: Arc<Mutex<Option<AgentProfile>>>,
}

impl AgentPeer {
    /// Takes over an agent's stdout and stdin. Must be called within a tokio runtime.
    pub fn connect<R, W>(stdout: R, stdin: W, options: PeerOptions) -> Self
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let shared = Arc::new(Shared::new(options.limits.clone(), options.timeouts.clone()));
        let (limits, timeouts) = (options.limits.clone(), options.timeouts.clone());
        let connection = Connection::spawn(stdout, stdin, Arc::clone(&shared), limits, timeouts);
        Self { connection, shared, options: Arc::new(options), profile: Arc::default() }
    }

    /// Agrees on protocol version 1. An agent that offers another version, or does not answer in time, is given up.
    ///
    /// # Errors
    /// [`Fatal::UnsupportedProtocolVersion`], [`Fatal::NeverAnswered`], or whatever ends the request.
    pub async fn initialize(&self) -> Result<AgentProfile, Error> {
        const METHOD: &str = "initialize";
        let session = ClientSessionCapabilities::new()
            .config_options(
                SessionConfigOptionsCapabilities::new().boolean(BooleanConfigOptionCapabilities::new()),
            )
            .notices(NoticeCapabilities::new())
            .compaction(CompactionCapabilities::new());
        let info = Implementation::new(self.options.client_name.clone(), self.options.client_version.clone());
        let request = InitializeRequest::new(1.into())
            .client_capabilities(ClientCapabilities::new().session(session))
            .client_info(info);
        let raw = self.connection.request(METHOD, None, &request, self.options.timeouts.initialize).await;
        let raw = self.or_give_up(METHOD, raw).await?;
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            protocol_version: serde_json::Value,
        }
        // Looked at first: the rest of another version's answer may have another shape.
        let version: Version = self.decode(METHOD, &raw)?;
        if version.protocol_version != 1 {
            let offered = crate::text::loggable(&version.protocol_version.to_string());
            return Err(self.connection.give_up(Fatal::UnsupportedProtocolVersion { offered }).await);
        }
        let profile = AgentProfile { response: self.decode(METHOD, &raw)?, raw };
        *self.profile.lock() = Some(profile.clone());
        Ok(profile)
    }

    /// An agent that does not answer in time what everything else depends on is given up.
    async fn or_give_up(&self, method: &'static str, answer: Outcome) -> Outcome {
        match answer {
            Err(Error::Timeout { after, .. }) => {
                Err(self.connection.give_up(Fatal::NeverAnswered { method, after }).await)
            }
            other => other,
        }
    }

    /// What the agent said in `initialize`.
    ///
    /// # Errors
    /// [`Error::NotInitialized`] before that.
    pub fn profile(&self) -> Result<AgentProfile, Error> {
        self.profile.lock().clone().ok_or(Error::NotInitialized)
    }

    /// The events of a session. The log outlives the session and the peer.
    ///
    /// # Errors
    /// [`Error::UnknownSession`].
    pub fn events(&self, session_id: &str) -> Result<EventLog, Error> {
        Ok(self.shared.session(session_id)?.log.clone())
    }

    /// Modes, options, models, tool calls of a session as last reported.
    ///
    /// # Errors
    /// [`Error::UnknownSession`].
    pub fn session(&self, session_id: &str) -> Result<SessionView, Error> {
        Ok(self.shared.session(session_id)?.view())
    }

    /// Ids of the sessions of this connection.
    #[must_use]
    pub fn session_ids(&self) -> Vec<String> {
        self.shared.session_ids()
    }

    /// Sends any request that has no call of its own, for extensions and new methods. Waits like a `set_*` call.
    ///
    /// # Errors
    /// [`Error::Reserved`] for methods that change what the peer keeps track of; the agent's error otherwise.
    pub async fn raw_request(&self, method: &str, params: serde_json::Value) -> Result<Box<RawValue>, Error> {
        const RESERVED: &[&str] = &[
            "initialize",
            "session/new",
            "session/load",
            "session/resume",
            "session/fork",
            "session/prompt",
            "session/cancel",
            "session/close",
        ];
        if RESERVED.contains(&method) || method.starts_with("$/") {
            return Err(Error::Reserved { method: method.to_owned() });
        }
        self.request(method, None, &params).await
    }

    /// A request of the short kind, with errors told apart.
    async fn request<P>(
        &self,
        method: &str,
        session_id: Option<&str>,
        params: &P,
    ) -> Result<Box<RawValue>, Error>
    where
        P: serde::Serialize + ?Sized + Sync,
    {
        let timeout = self.options.timeouts.control;
        self.connection
            .request(method, session_id, params, timeout)
            .await
            .map_err(|error| self.explain(error))
    }

    /// Adds to the stderr kept for error reports.
    pub fn stderr(&self, bytes: &[u8]) {
        self.connection.stderr(bytes);
    }

    /// Tells how the process ended. Everything open then fails with [`Error::AgentExited`].
    pub fn exited(&self, status: ExitStatus) {
        self.connection.exited(status);
    }

    /// Closes the agent's stdin. After [`Timeouts::stdin_close_to_term`] an agent still running wants SIGTERM, after
    /// [`Timeouts::term_to_kill`] more SIGKILL; both are the embedder's to send.
    pub fn close_stdin(&self) {
        self.connection.close_stdin();
    }

    /// Waits for the end of the connection. On [`Closure::Fatal`] the process has to be killed; what is open then fails
    /// as soon as its end was [told](Self::exited), or [`Timeouts::exit_status`] later.
    pub async fn closed(&self) -> Closure {
        self.connection.closed().await
    }

    fn decode<'a, T: Deserialize<'a>>(&self, method: &str, raw: &'a RawValue) -> Result<T, Error> {
        serde_json::from_str(raw.get()).map_err(|e| Error::InvalidAnswer {
            method: method.to_owned(),
            reason: crate::text::loggable(&e.to_string()),
        })
    }

    /// Adds what only the peer knows to an error.
    fn explain(&self, error: Error) -> Error {
        match error {
            Error::Rpc { error, .. } if error.code == code::AUTH_REQUIRED => {
                Error::AuthRequired { methods: self.auth_methods() }
            }
            other => other,
        }
    }

    fn auth_methods(&self) -> Vec<AuthMethod> {
        self.profile.lock().as_ref().map(|p| p.response.auth_methods.clone()).unwrap_or_default()
    }

    fn known(&self, session_id: &str) -> Result<Arc<Session>, Error> {
        self.shared.session(session_id)
    }
}
