//! Creating, loading, resuming and closing sessions. It reads what every agent sends in session results, including
//! the legacy `models`, and checks capabilities before it uses them.

use std::sync::atomic::Ordering;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{AgentPeer, handler::Shared, session::Session};
use crate::{
    Closure, Error, Limits, Models,
    event::{Direction, Draft, EventKind},
    schema::{
        CloseSessionRequest, LoadSessionRequest, McpServer, NewSessionRequest, ResumeSessionRequest,
        SessionConfigOption, SessionModeState,
    },
};

/// What a new session is made with.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Absolute path in the agent's file system.
    pub cwd: String,
    /// More directories, absolute; only for agents that support it.
    pub additional_directories: Vec<String>,
    /// Tool servers. Those of type http and sse only for agents that support them.
    pub mcp_servers: Vec<McpServer>,
    /// Passed on as `_meta`.
    pub meta: Option<serde_json::Map<String, serde_json::Value>>,
}

impl NewSession {
    /// A session in `cwd` and nothing else.
    #[must_use]
    pub fn in_directory(cwd: &str) -> Self {
        Self { cwd: cwd.to_owned(), additional_directories: Vec::new(), mcp_servers: Vec::new(), meta: None }
    }
}

/// A stored session to go on with.
#[derive(Debug, Clone)]
pub struct LoadSession {
    /// Its id at the agent.
    pub session_id: String,
    /// The rest as for a new one.
    pub setup: NewSession,
    /// Whether the replayed history goes into the events; not wanted where consumers have it already.
    pub replay_history: bool,
}

/// A session that is ready for prompts.
#[derive(Debug, Clone)]
pub struct SessionInit {
    /// Its id at the agent.
    pub session_id: String,
    /// Modes, if any.
    pub modes: Option<SessionModeState>,
    /// Config options; empty if none.
    pub config_options: Vec<SessionConfigOption>,
    /// Legacy models.
    pub models: Option<Models>,
    /// The agent's result as it came.
    pub raw: Box<RawValue>,
}

/// How a session was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseOutcome {
    /// The agent closed it.
    Closed,
    /// The agent cannot close sessions; it was only forgotten. If it was the last one, end the process.
    Forgotten {
        /// Whether no session is left.
        last: bool,
    },
}

/// The members of session results that are read; each may be absent or of a wrong shape.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members {
    #[serde(default)]
    modes: Option<serde_json::Value>,
    #[serde(default)]
    config_options: Option<Vec<serde_json::Value>>,
}

impl Session {
    /// Takes over modes, options and models of a session result.
    pub(super) fn adopt(&self, raw: &RawValue) {
        let Ok(result) = serde_json::from_str::<Members>(raw.get()) else { return };
        let mut state = self.state.lock();
        state.view.modes = result.modes.and_then(|modes| serde_json::from_value(modes).ok());
        state.view.config_options = result
            .config_options
            .unwrap_or_default()
            .into_iter()
            .filter_map(|option| serde_json::from_value(option).ok())
            .collect();
        state.view.models = Models::from_result(raw);
    }

    /// The connection is over: ends the turn, drops open permissions, closes the log.
    pub(super) fn disconnect(&self, closure: &Closure) {
        let error = Error::from(closure.clone());
        let payload = match closure {
            Closure::Exited(exit) => serde_json::json!({
                "reason": error.code(),
                "code": exit.code,
                "signal": exit.signal,
                "stderrTail": exit.stderr_tail,
            }),
            Closure::Fatal(_) | Closure::Dropped => {
                serde_json::json!({"reason": error.code(), "message": error.to_string()})
            }
        };
        let permissions = {
            let mut state = self.state.lock();
            state.closed = true;
            std::mem::take(&mut state.permissions)
        };
        for pending in permissions.into_values() {
            pending.resolved.cancel();
        }
        self.finish_turn(None, Err(error));
        self.log.publish_now(Draft::of(
            Direction::Local,
            "agentos/agent_closed",
            &payload,
            EventKind::Closed,
        ));
        self.log.close();
        // Queued prompts must not wait for a turn that cannot come.
        self.gate.close();
    }
}

impl Shared {
    /// A `session/new` was answered.
    pub(super) fn created(&self, raw: &RawValue) -> Result<(), &'static str> {
        let session = self.add_session(&session_id(raw).ok_or("no session id")?)?;
        session.adopt(raw);
        Ok(())
    }
}

fn session_id(raw: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Created {
        session_id: String,
    }
    serde_json::from_str::<Created>(raw.get()).ok().map(|created| created.session_id)
}

/// A place among the sessions, held while one is created.
struct Reserved<'a>(&'a Shared);

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.0.creating.fetch_sub(1, Ordering::AcqRel);
    }
}

impl AgentPeer {
    /// Starts a session. `mcpServers` is always sent, as ACP demands.
    ///
    /// # Errors
    /// [`Error::AuthRequired`], [`Error::NotSupported`], [`Error::Limit`], or whatever ends the request. An agent that
    /// does not answer for its first session is given up: [`Fatal::NeverAnswered`](crate::Fatal::NeverAnswered).
    pub async fn new_session(&self, new: NewSession) -> Result<SessionInit, Error> {
        const METHOD: &str = "session/new";
        self.check_setup(&new)?;
        let _reserved = self.reserve()?;
        let request = NewSessionRequest::new(new.cwd)
            .mcp_servers(new.mcp_servers)
            .additional_directories(new.additional_directories.into_iter().map(Into::into).collect())
            .meta(new.meta);
        let raw = match self.session_request(METHOD, None, &request).await {
            // Without any session the agent is of no use.
            answer if self.shared.session_ids().is_empty() => self.or_give_up(METHOD, answer).await?,
            answer => answer?,
        };
        let id = session_id(&raw).ok_or_else(|| Error::InvalidAnswer {
            method: METHOD.to_owned(),
            reason: "no session id".to_owned(),
        })?;
        self.ready(&id, raw)
    }

    /// Goes on with a stored session: `session/resume` where the agent has it, else `session/load`.
    ///
    /// # Errors
    /// As [`new_session`](Self::new_session); [`Error::NotSupported`] if the agent has neither.
    pub async fn load_session(&self, load: LoadSession) -> Result<SessionInit, Error> {
        self.check_setup(&load.setup)?;
        let capabilities = self.profile()?.response.agent_capabilities;
        let resume = capabilities.session_capabilities.resume.is_some();
        if !resume && !capabilities.load_session {
            return Err(Error::NotSupported { what: "session/load".to_owned() });
        }
        let _reserved = self.reserve()?;
        let id = load.session_id;
        let method = if resume { "session/resume" } else { "session/load" };
        // Known before the request: the history comes before the result.
        let session = self.shared.add_session(&id).map_err(|reason| Error::InvalidAnswer {
            method: method.to_owned(),
            reason: reason.to_owned(),
        })?;
        session.state.lock().muted = !load.replay_history;
        let guard = Unloaded { shared: &self.shared, id: Some(&id) };
        let NewSession { cwd, additional_directories, mcp_servers, meta } = load.setup;
        let directories = additional_directories.into_iter().map(Into::into).collect();
        let raw = if resume {
            let request = ResumeSessionRequest::new(id.clone(), cwd)
                .mcp_servers(mcp_servers)
                .additional_directories(directories)
                .meta(meta);
            self.session_request(method, Some(&id), &request).await?
        } else {
            let request = LoadSessionRequest::new(id.clone(), cwd)
                .mcp_servers(mcp_servers)
                .additional_directories(directories)
                .meta(meta);
            self.session_request(method, Some(&id), &request).await?
        };
        guard.keep();
        self.ready(&id, raw)
    }

    /// Ends a session: cancels what runs, then `session/close`. An agent that does not know the method merely has
    /// the session forgotten.
    ///
    /// # Errors
    /// [`Error::UnknownSession`], or whatever ends the request; the session is forgotten in any case.
    pub async fn close_session(&self, session_id: &str) -> Result<CloseOutcome, Error> {
        let session = self.known(session_id)?;
        let cancelled = self.cancel(session_id).await;
        let outcome = match cancelled {
            Err(error) => Err(error),
            Ok(_) => {
                self.request("session/close", None, &CloseSessionRequest::new(session_id.to_owned())).await
            }
        };
        self.shared.remove_session(session_id);
        session.disconnect(&Closure::Dropped);
        match outcome {
            Ok(_) => Ok(CloseOutcome::Closed),
            Err(Error::NotSupported { .. }) => {
                Ok(CloseOutcome::Forgotten { last: self.shared.session_ids().is_empty() })
            }
            Err(error) => Err(error),
        }
    }

    async fn session_request<P>(
        &self,
        method: &str,
        context: Option<&str>,
        request: &P,
    ) -> Result<Box<RawValue>, Error>
    where
        P: serde::Serialize + Sync,
    {
        let timeout = self.options.timeouts.session;
        self.connection.request(method, context, request, timeout).await.map_err(|error| self.explain(error))
    }

    fn ready(&self, id: &str, raw: Box<RawValue>) -> Result<SessionInit, Error> {
        let view = self.known(id)?.view();
        Ok(SessionInit {
            session_id: id.to_owned(),
            modes: view.modes,
            config_options: view.config_options,
            models: view.models,
            raw,
        })
    }

    fn check_setup(&self, setup: &NewSession) -> Result<(), Error> {
        let capabilities = self.profile()?.response.agent_capabilities;
        let missing = |what: &str| Err(Error::NotSupported { what: what.to_owned() });
        if !setup.additional_directories.is_empty()
            && capabilities.session_capabilities.additional_directories.is_none()
        {
            return missing("additionalDirectories");
        }
        for server in &setup.mcp_servers {
            match server {
                McpServer::Http(server) if !capabilities.mcp_capabilities.http => {
                    return missing(&format!("MCP over http, which server {} needs", server.name));
                }
                McpServer::Sse(server) if !capabilities.mcp_capabilities.sse => {
                    return missing(&format!("MCP over sse, which server {} needs", server.name));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn reserve(&self) -> Result<Reserved<'_>, Error> {
        let configured = self.shared.limits.sessions.clamp(1, Limits::MAX_SESSIONS);
        let creating = self.shared.creating.fetch_add(1, Ordering::AcqRel) + 1;
        let reserved = Reserved(&self.shared);
        let used = self.shared.session_ids().len() + creating;
        if used > configured {
            return Err(Error::Limit { name: "sessions", configured, used });
        }
        Ok(reserved)
    }
}

/// Forgets a session whose load failed or was abandoned.
struct Unloaded<'a> {
    shared: &'a Shared,
    id: Option<&'a str>,
}

impl Unloaded<'_> {
    fn keep(mut self) {
        self.id = None;
    }
}

impl Drop for Unloaded<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.id.and_then(|id| self.shared.remove_session(id)) {
            session.log.close();
        }
    }
}
