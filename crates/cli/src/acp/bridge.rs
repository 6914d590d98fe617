//! What is between an editor and the sessions of a machine: which there are, and who answers what.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use agentos::{AgentOs, SessionEventStream, SessionFiles};
use agentos_acp::connection::Connection;
use agentos_acp::envelope::{RpcError, code};
use miette::{IntoDiagnostic, Result};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::ask::Asked;
use super::boot::Booted;
use super::client::Client;
use super::directories::Directories;
use super::files;
use super::params::Params;
use super::refusal::shown;
use crate::save::Save;

/// Methods that are answered, besides those of extensions.
const METHODS: [&str; 11] = [
    "authenticate",
    "session/new",
    "session/load",
    "session/resume",
    "session/list",
    "session/close",
    "session/delete",
    "session/prompt",
    "session/set_mode",
    "session/set_config_option",
    "session/set_model",
];

/// Notifications that may be on their way to agents at once.
const TELLING: usize = 64;

/// A session that the editor has opened.
pub(super) struct Open {
    pub(super) id: String,
    /// Number of the last event that went to the editor.
    pub(super) seen: watch::Sender<u64>,
    /// Its events are no longer wanted from here.
    pub(super) stop: CancellationToken,
    /// None of them comes from here any more.
    pub(super) over: CancellationToken,
    /// The end of the last prompt: each is answered after the one before it.
    pub(super) last_prompt: Arc<Mutex<CancellationToken>>,
    /// Its prompts that are not answered yet.
    pub(super) prompts: watch::Sender<usize>,
    /// Questions that the editor has not answered.
    pub(super) asked: Arc<Asked>,
}

impl Open {
    /// `seen` is the number of the last event that the editor need not get.
    pub(super) fn new(id: &str, seen: u64) -> Arc<Self> {
        let none = CancellationToken::new();
        none.cancel();
        Arc::new(Open {
            id: id.to_owned(),
            seen: watch::Sender::new(seen),
            stop: CancellationToken::new(),
            over: CancellationToken::new(),
            last_prompt: Arc::new(Mutex::new(none)),
            prompts: watch::Sender::new(0),
            asked: Arc::default(),
        })
    }

    /// The same session, followed anew: what is asked and not answered is of both.
    pub(super) fn again(&self) -> Arc<Self> {
        Arc::new(Open {
            id: self.id.clone(),
            seen: self.seen.clone(),
            stop: CancellationToken::new(),
            over: CancellationToken::new(),
            last_prompt: Arc::clone(&self.last_prompt),
            prompts: self.prompts.clone(),
            asked: Arc::clone(&self.asked),
        })
    }
}

/// A result, and the session whose events follow it.
pub(super) struct Answer {
    pub(super) result: Value,
    pub(super) follow: Option<(Arc<Open>, SessionEventStream)>,
}

impl From<Value> for Answer {
    fn from(result: Value) -> Self {
        Answer { result, follow: None }
    }
}

/// An editor and a machine.
pub(super) struct Bridge {
    pub(super) os: AgentOs,
    pub(super) agent: String,
    pub(super) model: Option<String>,
    /// The agent hears of further directories by itself.
    pub(super) takes_directories: bool,
    pub(super) connection: Connection,
    pub(super) client: Client,
    pub(super) directories: Arc<Directories>,
    /// Those that the editor has open, if agents are to ask it for them.
    pub(super) files: Option<SessionFiles>,
    /// By id.
    pub(super) sessions: Mutex<HashMap<String, Arc<Open>>>,
    /// A session is loaded or resumed by one at a time.
    pub(super) opening: tokio::sync::Mutex<()>,
    /// Prompts that are not answered yet.
    pub(super) prompts: AtomicUsize,
    /// Room for notifications that are on their way to agents.
    pub(super) telling: Semaphore,
    /// The sidecar has ended, and the machine with it.
    pub(super) lost: CancellationToken,
    save: Option<Save>,
}

/// What `initialize` is answered.
pub(super) fn introduction(booted: &Booted) -> Value {
    let of_agent = |name: &str| {
        let can = booted.capabilities.as_ref().and_then(|can| can.get(name)).filter(|can| can.is_object());
        can.cloned().unwrap_or_else(|| json!({}))
    };
    // The machine carries what such servers say, whatever its agent speaks.
    let servers = json!({ "http": true, "sse": false });
    json!({
        "protocolVersion": 1,
        "agentCapabilities": {
            "loadSession": true,
            "promptCapabilities": of_agent("promptCapabilities"),
            "mcpCapabilities": servers,
            "sessionCapabilities": {
                "list": {},
                "delete": {},
                "resume": {},
                "close": {},
                "additionalDirectories": {},
            },
        },
        "authMethods": [],
        "agentInfo": {
            "name": "agentos",
            "title": format!("Agent OS: {}", booted.agent),
            "version": env!("CARGO_PKG_VERSION"),
        },
        "_meta": {"agentos": {"agent": booted.agent, "agentInfo": booted.agent_info}},
    })
}

impl Bridge {
    pub(super) fn new(
        booted: Booted,
        connection: Connection,
        client: Client,
        lost: CancellationToken,
    ) -> Arc<Self> {
        let Booted { os, agent, model, capabilities, directories, editor_files, save, .. } = booted;
        let files = files::of_editor(client, editor_files, &agent, &connection, &directories);
        let takes =
            capabilities.as_ref().and_then(|can| can.pointer("/sessionCapabilities/additionalDirectories"));
        Arc::new(Bridge {
            os,
            agent,
            model,
            takes_directories: takes.is_some_and(Value::is_object),
            connection,
            client,
            directories,
            files,
            sessions: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            prompts: AtomicUsize::new(0),
            telling: Semaphore::new(TELLING),
            lost,
            save,
        })
    }

    /// Whether there is an answer to a method.
    pub(super) fn knows(method: &str) -> bool {
        METHODS.contains(&method) || method.starts_with('_')
    }

    /// Answers a request. What is for the agent is sent before this first waits for anything.
    pub(super) async fn answer(
        self: &Arc<Self>,
        method: &str,
        params: Option<&RawValue>,
    ) -> Result<Answer, RpcError> {
        let params = Params::read(params)?;
        match method {
            "session/prompt" => self.prompt(params).await.map(Answer::from),
            "session/new" => self.new_session(&params).await,
            "session/load" => self.load(&params).await,
            "session/resume" => self.resume(&params).await,
            "session/list" => self.list(&params).await.map(Answer::from),
            "session/close" => self.close(&params).await.map(Answer::from),
            "session/delete" => self.delete(&params).await.map(Answer::from),
            "authenticate" => {
                let asked = params.text("methodId")?;
                let text = format!("there is no way to authenticate named {}: none is needed", shown(asked));
                Err(RpcError::new(code::INVALID_PARAMS, text))
            }
            _ => self.pass(method, params).await.map(Answer::from),
        }
    }

    /// The session that parameters name; it has to be open.
    pub(super) fn open(&self, params: &Params) -> Result<Arc<Open>, RpcError> {
        let id = params.text("sessionId")?;
        self.sessions.lock().get(id).cloned().ok_or_else(|| {
            let text = format!("no session {} is open: load or resume it first", shown(id));
            RpcError::new(code::NOT_FOUND, text)
        })
    }

    /// Ends the sessions and the machine. Those that are stored can be gone on with.
    pub(super) async fn end(&self) -> Result<()> {
        for open in self.sessions.lock().drain() {
            open.1.stop.cancel();
        }
        let saved = match &self.save {
            Some(save) => save.save(&self.os).await,
            None => Ok(()),
        };
        self.os.dispose().await.into_diagnostic()?;
        saved
    }
}
