//! Making, listing and ending sessions.
//! What happens in one is in the other files of this folder.

use std::collections::{BTreeMap, HashSet};

use agentos_protocol::message::{
    CancelSession, ClientFilesSpec, CloseSession, CreateSession, DescribeSession, DestroySession, JsonText,
    ListSessions, ResumeSession, SessionInfo, SessionOptions, WirePath,
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{McpServerConfig, Session, parse};
use crate::error::Result;
use crate::path::guest_path;
use crate::sidecar::TextsLease;
use crate::text_files::{SessionFiles, TextHost};
use crate::vm::AgentOs;
use crate::wire::on_wire;

/// Sessions whose files are kept before it is looked whether they are still known.
const TEXTS: usize = 128;

/// Options of [`AgentOs::create_session`].
#[derive(Clone, Debug, Default)]
pub struct CreateSessionOptions {
    /// Working directory; the VM's.
    pub cwd: Option<String>,
    /// Further directories that the agent may work in; it hears of them if it takes such.
    pub additional_directories: Vec<String>,
    /// Added to the environment of the agent.
    pub env: BTreeMap<String, String>,
    /// MCP servers for the agent.
    pub mcp_servers: Vec<McpServerConfig>,
    /// Leave the OS instructions out.
    pub skip_os_instructions: bool,
    /// Appended to the OS instructions.
    pub additional_instructions: Option<String>,
    /// Model to set at the start.
    pub model: Option<String>,
    /// Mode to set at the start.
    pub mode: Option<String>,
    /// Files of this program, where the agent asks its client for them; else it uses those of the machine as any program does.
    /// Agents that speak ACP only.
    pub client_files: Option<SessionFiles>,
    /// `_meta` of the request that opens the session (ACP `session/new`, `session/load`, `session/resume`), at most 64 KiB as
    /// JSON. Members that are put there by Agent OS (`systemPrompt`, `agentos`) go before those of the same name. For agents that
    /// speak ACP; an error for others.
    pub meta: Option<Map<String, Value>>,
}

/// What changes when a session is gone on with ([`AgentOs::resume_session_with`]); what is left out stays as it was.
#[derive(Clone, Debug, Default)]
pub struct ResumeSessionOptions {
    /// MCP servers for the agent.
    pub mcp_servers: Option<Vec<McpServerConfig>>,
    /// Further directories that the agent may work in.
    pub additional_directories: Option<Vec<String>>,
    /// Files of this program. An agent that was started without cannot get them while it runs.
    pub client_files: Option<SessionFiles>,
    /// As [`CreateSessionOptions::meta`], from now on. A session that runs is not opened, so its agent is not told.
    pub meta: Option<Map<String, Value>>,
}

fn object(members: Option<Map<String, Value>>) -> Option<JsonText> {
    members.map(|members| JsonText::new(&Value::Object(members)))
}

fn guest_paths(paths: Vec<String>) -> Result<Vec<WirePath>> {
    paths.into_iter().map(guest_path).collect()
}

/// A session and what its agent said of itself; JSON as in ACP.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SessionInitData {
    /// Its id.
    pub session_id: String,
    /// Id of the agent.
    pub agent_type: String,
    /// The agent's own id of the session.
    pub agent_session_id: String,
    /// Process of the agent.
    pub pid: u32,
    /// Working directory.
    pub cwd: String,
    /// ACP `modes`.
    pub modes: Option<Value>,
    /// ACP `models` (legacy).
    pub models: Option<Value>,
    /// ACP `configOptions`.
    pub config_options: Option<Value>,
    /// ACP `agentCapabilities`.
    pub capabilities: Option<Value>,
    /// ACP `agentInfo`.
    pub agent_info: Option<Value>,
}

impl SessionInitData {
    fn new(data: agentos_protocol::message::SessionInitData) -> Result<Self> {
        let json = |what: &str, text: Option<JsonText>| text.map(|text| parse(what, &text)).transpose();
        Ok(SessionInitData {
            session_id: data.session_id,
            agent_type: data.agent_type,
            agent_session_id: data.agent_session_id,
            pid: data.pid,
            cwd: data.cwd,
            modes: json("modes", data.modes)?,
            models: json("models", data.models)?,
            config_options: json("configOptions", data.config_options)?,
            capabilities: json("agentCapabilities", data.capabilities)?,
            agent_info: json("agentInfo", data.agent_info)?,
        })
    }
}

impl AgentOs {
    /// Has files of this program answered for, and says what the sidecar is told of them.
    fn texts(&self, files: Option<SessionFiles>) -> Result<(Option<TextsLease>, Option<ClientFilesSpec>)> {
        let Some(files) = files else { return Ok((None, None)) };
        let (lease, spec) = self.vm.open()?.add_texts(TextHost::new(files));
        Ok((Some(lease), Some(spec)))
    }

    /// Keeps files as long as their session is known.
    async fn keep_texts(&self, session_id: &str, texts: Option<TextsLease>) {
        let Some(texts) = texts else { return };
        let (before, old) = {
            let mut all = self.vm.texts.lock();
            // Sessions that are made from here on may be missing in the list.
            let many = all.len() >= TEXTS;
            let old: HashSet<String> = all.keys().filter(|_| many).cloned().collect();
            (all.insert(session_id.to_owned(), texts), old)
        };
        drop(before);
        let known = ListSessions { vm_id: self.vm.id(), closed: true };
        if !old.is_empty()
            && let Ok(known) = self.vm.call(&known).await
        {
            let known: HashSet<String> = known.sessions.into_iter().map(|known| known.session_id).collect();
            let is_known = |id: &String| known.contains(id) || !old.contains(id) || *id == *session_id;
            let forgotten: Vec<TextsLease> =
                self.vm.texts.lock().extract_if(|id, _| !is_known(id)).map(|(_, texts)| texts).collect();
            // Not under the lock: the program's own may do anything when they go.
            drop(forgotten);
        }
    }

    /// Starts an agent in the VM and a session with it. If the future is dropped first, nothing is left of either.
    ///
    /// # Errors
    /// [`crate::Error::AgentNotFound`]; [`crate::Error::Agent`] if it exits or refuses; [`crate::Error::Timeout`].
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs) -> Result<(), agentos::Error> {
    /// let session = os.create_session("pi", Default::default()).await?;
    /// let turn = session.prompt("Write a haiku into haiku.txt").await?;
    /// println!("{} ({})", turn.text, turn.stop_reason);
    /// session.destroy().await?;
    /// # Ok(()) }
    /// ```
    pub async fn create_session(
        &self,
        agent_type: impl Into<String>,
        options: CreateSessionOptions,
    ) -> Result<Session> {
        let mcp_servers = match options.mcp_servers.is_empty() {
            true => None,
            false => Some(JsonText::new(&McpServerConfig::all_to_acp(&options.mcp_servers))),
        };
        let (texts, client_files) = self.texts(options.client_files)?;
        let options = SessionOptions {
            cwd: options.cwd.map(guest_path).transpose()?,
            additional_directories: guest_paths(options.additional_directories)?,
            env: options.env,
            mcp_servers,
            skip_os_instructions: options.skip_os_instructions,
            additional_instructions: options.additional_instructions,
            model: options.model,
            mode: options.mode,
            client_files,
            meta: object(options.meta),
        };
        let call = CreateSession { vm_id: self.vm.id(), agent_type: agent_type.into(), options };
        let vm_id = self.vm.id();
        let undo = move |made: agentos_protocol::message::SessionInitData| CloseSession {
            vm_id,
            session_id: made.session_id,
        };
        let made = self.vm.make(&call, undo).await?;
        let session_id = made.session_id.clone();
        self.keep_texts(&session_id, texts).await;
        match SessionInitData::new(made) {
            Ok(init) => Ok(Session::new(self.clone(), init)),
            Err(error) => {
                let texts = self.vm.texts.lock().remove(&session_id);
                drop(texts);
                let _ = self.close_session(session_id).await;
                Err(error)
            }
        }
    }

    /// The sessions of the VM that were not closed, in the order they were made.
    ///
    /// # Errors
    /// [`crate::Error::Disposed`].
    pub async fn list_sessions(&self) -> Result<Vec<SessionInfo>> {
        Ok(self.vm.call(&ListSessions { vm_id: self.vm.id(), closed: false }).await?.sessions)
    }

    /// The sessions of the VM that can be read or gone on with, those that were closed too (`ended`), in the order they were
    /// made.
    ///
    /// # Errors
    /// [`crate::Error::Disposed`].
    pub async fn list_all_sessions(&self) -> Result<Vec<SessionInfo>> {
        Ok(self.vm.call(&ListSessions { vm_id: self.vm.id(), closed: true }).await?.sessions)
    }

    /// What is known of a session, as it is now.
    ///
    /// # Errors
    /// [`crate::Error::SessionNotFound`].
    pub async fn describe_session(&self, session_id: impl Into<String>) -> Result<SessionInitData> {
        let call = DescribeSession { vm_id: self.vm.id(), session_id: session_id.into() };
        SessionInitData::new(self.vm.call(&call).await?)
    }

    /// Cancels the running turn, whose prompt returns with stop reason `cancelled`; without one nothing happens.
    ///
    /// # Errors
    /// [`crate::Error::SessionNotFound`].
    pub async fn cancel_session(&self, session_id: impl Into<String>) -> Result<()> {
        self.vm.call(&CancelSession { vm_id: self.vm.id(), session_id: session_id.into() }).await?;
        Ok(())
    }

    /// Kills the agent of a session. Its events stay readable.
    ///
    /// # Errors
    /// [`crate::Error::SessionNotFound`].
    pub async fn close_session(&self, session_id: impl Into<String>) -> Result<()> {
        self.vm.call(&CloseSession { vm_id: self.vm.id(), session_id: session_id.into() }).await?;
        Ok(())
    }

    /// Goes on with a session whose agent does not run any more: one that was stored by an earlier life of the machine
    /// (`persistence`), that was closed, or whose agent came to grief. The agent goes on with its own session where it can;
    /// else it begins a new one, and is told with the next prompt what was said before. Events go on with the next number. One
    /// that runs is only described.
    ///
    /// # Errors
    /// [`crate::Error::SessionNotFound`]; those of [`AgentOs::create_session`].
    ///
    /// ```no_run
    /// # async fn f(config: agentos::AgentOsConfig) -> Result<(), agentos::Error> {
    /// let os = agentos::AgentOs::create(config).await?;
    /// for stored in os.list_sessions().await?.iter().filter(|session| session.status == "suspended") {
    ///     let session = os.resume_session(&stored.session_id).await?;
    ///     println!("{}", session.prompt("Where were we?").await?.text);
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn resume_session(&self, session_id: impl Into<String>) -> Result<Session> {
        self.resume_session_with(session_id, ResumeSessionOptions::default()).await
    }

    /// As [`resume_session`](Self::resume_session), with something of the session changed. Headers of MCP servers are not
    /// stored: after the end of the sidecar that knew them the servers have to be given again.
    ///
    /// # Errors
    /// Those of [`resume_session`](Self::resume_session); [`crate::Error::InvalidRequest`] for other servers or directories of
    /// a session that runs.
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs, id: &str, token: &str) -> Result<(), agentos::Error> {
    /// use agentos::{McpServerConfig, ResumeSessionOptions};
    /// let server = McpServerConfig::remote("https://mcp.example.com/mcp", [("Authorization", format!("Bearer {token}"))]);
    /// let options = ResumeSessionOptions { mcp_servers: Some(vec![server]), ..ResumeSessionOptions::default() };
    /// let session = os.resume_session_with(id, options).await?;
    /// # Ok(()) }
    /// ```
    pub async fn resume_session_with(
        &self,
        session_id: impl Into<String>,
        options: ResumeSessionOptions,
    ) -> Result<Session> {
        let (texts, client_files) = self.texts(options.client_files)?;
        let call = ResumeSession {
            vm_id: self.vm.id(),
            session_id: session_id.into(),
            mcp_servers: options
                .mcp_servers
                .map(|servers| JsonText::new(&McpServerConfig::all_to_acp(&servers))),
            additional_directories: options.additional_directories.map(guest_paths).transpose()?,
            client_files,
            meta: object(options.meta),
        };
        let os = self.clone();
        // It is gone on with, also if the caller looks away; so are its files.
        on_wire(async move {
            let init = SessionInitData::new(os.vm.call(&call).await?)?;
            os.keep_texts(&init.session_id, texts).await;
            Ok(Session::new(os, init))
        })
        .await
    }

    /// Ends a session gracefully and forgets it.
    ///
    /// # Errors
    /// [`crate::Error::SessionNotFound`].
    pub async fn destroy_session(&self, session_id: impl Into<String>) -> Result<()> {
        let session_id = session_id.into();
        let call = DestroySession { vm_id: self.vm.id(), session_id };
        self.vm.call(&call).await?;
        let texts = self.vm.texts.lock().remove(&call.session_id);
        drop(texts);
        Ok(())
    }
}
