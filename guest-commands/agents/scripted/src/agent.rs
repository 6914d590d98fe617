//! The agent's side of the connection: what each message of the client does. Prompts are run in
//! [`turn`](crate::turn).

use std::{collections::BTreeMap, io, path::Path, time::Duration};

use agentos_agent_common::{
    rpc::{self, Failure, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, Message, NOT_FOUND},
    server::{self, Server},
    turn::{Cancel, Turn},
    wire::Wire,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::session::{PERMISSION, Session};

/// How long an MCP server may take to start and list its tools, and how long to run one.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sessions at once.
const MAX_SESSIONS: usize = 16;
/// The longest id that can be resumed.
const MAX_ID: usize = 128;

/// The agent on a pair of descriptors.
///
/// ```
/// use agentos_guest::fd;
/// let (input, client_out) = fd::pipe(true)?;
/// let (client_in, output) = fd::pipe(true)?;
/// fd::write_all(client_out.raw(), b"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":1}}\n")?;
/// drop(client_out);
/// agentos_scripted::Agent::new(input.raw(), output.raw()).run()?;
/// drop(output);
/// assert!(String::from_utf8_lossy(&fd::read_to_end(client_in.raw())?).contains("\"protocolVersion\":1"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Agent {
    wire: Wire,
    pub(crate) sessions: BTreeMap<String, Session>,
    created: u64,
    /// The prompt that is running.
    pub(crate) turn: Option<Turn>,
    pub(crate) patience: Duration,
}

impl Agent {
    /// An agent that reads `input` and writes `output`; neither is closed.
    #[must_use]
    pub fn new(input: u32, output: u32) -> Self {
        Self {
            wire: Wire::new(input, output),
            sessions: BTreeMap::new(),
            created: 0,
            turn: None,
            patience: PATIENCE,
        }
    }

    /// Gives MCP servers this time to start and list their tools, and as much to run one, instead of 30 s.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Serves the client until its end of file. A command still running then is killed; MCP servers are ended.
    ///
    /// # Errors
    /// A descriptor that fails.
    pub fn run(&mut self) -> io::Result<()> {
        loop {
            self.handle_lines()?;
            if self.wire.ended() {
                let sessions = std::mem::take(&mut self.sessions);
                server::end(sessions.into_values().flat_map(|session| session.servers));
                return self.flush();
            }
            self.wait(None, None)?;
        }
    }

    /// Waits for the client, for `other`, or for the time given, and takes in what the client said. True if `other`
    /// can be read.
    pub(crate) fn wait(&mut self, other: Option<u32>, timeout: Option<Duration>) -> io::Result<bool> {
        if self.turn.is_some() && self.wire.has_messages() {
            // They came together with the prompt, and may be its cancel: heard before anything is waited for.
            self.handle_lines()?;
            return Ok(false);
        }
        let ready = self.wire.wait(other, timeout)?;
        if self.turn.is_some() {
            self.handle_lines()?;
            if self.wire.ended() {
                self.cancel_turn(Cancel::Session);
            }
        }
        Ok(ready)
    }

    fn handle_lines(&mut self) -> io::Result<()> {
        while let Some(message) = self.wire.receive()? {
            match message {
                Message::Request { id, method, params } => self.request(id, &method, &params)?,
                Message::Notification { method, params } => self.notification(&method, &params),
                Message::Response { id, result } => {
                    if let Some(turn) = &mut self.turn {
                        turn.answered(&id, result);
                    }
                }
                Message::Malformed(_) => {}
            }
        }
        Ok(())
    }

    fn request(&mut self, id: Value, method: &str, params: &Value) -> io::Result<()> {
        let outcome = match method {
            "session/prompt" => return self.prompt(id, params),
            "session/close" => match self.session(params).map(|session| session.id.clone()) {
                Ok(session) => match &mut self.turn {
                    // Running work is cancelled first; the answer follows the turn.
                    Some(turn) if turn.session == session => {
                        turn.closing.push(id);
                        self.cancel_turn(Cancel::Session);
                        return Ok(());
                    }
                    _ => {
                        self.end_session(&session);
                        Ok(json!({}))
                    }
                },
                Err(failure) => Err(failure),
            },
            "initialize" => Ok(initialize()),
            "authenticate" => Ok(json!({})),
            "session/new" => self.new_session(params, None),
            "session/resume" => self.resume(params),
            "session/list" => Ok(self.list(params)),
            "session/set_config_option" => self.set_config_option(params),
            _ => Err(Failure::new(METHOD_NOT_FOUND, "method not found")),
        };
        self.send(&rpc::answer(id, outcome))
    }

    fn notification(&mut self, method: &str, params: &Value) {
        match (method, &self.turn) {
            ("session/cancel", Some(turn)) if params["sessionId"] == *turn.session => {
                self.cancel_turn(Cancel::Session)
            }
            ("$/cancel_request", Some(turn)) if params.get("requestId") == Some(&turn.request) => {
                self.cancel_turn(Cancel::Request);
            }
            // Without a running prompt there is nothing to cancel; the rest is unknown.
            _ => {}
        }
    }

    fn cancel_turn(&mut self, how: Cancel) {
        if let Some(turn) = &mut self.turn {
            turn.cancelled.get_or_insert(how);
        }
    }

    /// Goes on with a session of another process of this agent: there is nothing that it would have to remember.
    fn resume(&mut self, params: &Value) -> Result<Value, Failure> {
        let id = params["sessionId"].as_str().ok_or(Failure::new(INVALID_PARAMS, "sessionId is missing"))?;
        if !id.starts_with("scripted-") || id.len() > MAX_ID || self.sessions.contains_key(id) {
            return Err(Failure::new(NOT_FOUND, "no such session"));
        }
        let mut result = self.new_session(params, Some(id))?;
        result.as_object_mut().and_then(|result| result.remove("sessionId"));
        Ok(result)
    }

    fn new_session(&mut self, params: &Value, resumed: Option<&str>) -> Result<Value, Failure> {
        let cwd = params["cwd"].as_str().filter(|cwd| Path::new(cwd).has_root());
        let cwd = cwd.ok_or(Failure::new(INVALID_PARAMS, "cwd must be an absolute path"))?;
        let servers = Server::read_all(&params["mcpServers"])?;
        if self.sessions.len() >= MAX_SESSIONS {
            return Err(Failure::new(INVALID_REQUEST, "too many sessions"));
        }
        // The pid tells agents of one machine apart.
        let id = match resumed {
            Some(id) => id.to_owned(),
            None => format!("scripted-{}-{}", agentos_guest::process::id(), self.created),
        };
        self.created += 1;
        let session = Session::new(id.clone(), cwd.to_owned(), servers);
        let result = json!({"sessionId": id, "configOptions": session.config_options()});
        self.sessions.insert(id, session);
        Ok(result)
    }

    pub(crate) fn end_session(&mut self, id: &str) {
        if let Some(session) = self.sessions.remove(id) {
            server::end(session.servers);
        }
    }

    fn list(&self, params: &Value) -> Value {
        let wanted = params["cwd"].as_str();
        let sessions = self.sessions.values().filter(|session| wanted.is_none_or(|cwd| cwd == session.cwd));
        let sessions: Vec<_> =
            sessions.map(|session| json!({"sessionId": session.id, "cwd": session.cwd})).collect();
        json!({"sessions": sessions})
    }

    fn set_config_option(&mut self, params: &Value) -> Result<Value, Failure> {
        let session = self.session(params)?;
        if params["configId"] != PERMISSION {
            return Err(Failure::new(INVALID_PARAMS, "no such config option"));
        }
        if !params["value"].as_str().is_some_and(|value| session.set_permission(value)) {
            return Err(Failure::new(INVALID_PARAMS, "permission is ask or never"));
        }
        Ok(json!({"configOptions": session.config_options()}))
    }

    pub(crate) fn session(&mut self, params: &Value) -> Result<&mut Session, Failure> {
        let id = params["sessionId"].as_str().ok_or(Failure::new(INVALID_PARAMS, "sessionId is missing"))?;
        self.sessions.get_mut(id).ok_or(Failure::new(NOT_FOUND, "no such session"))
    }

    /// Queues a message; it is written at the latest when the agent waits for something.
    pub(crate) fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        self.wire.send(message)
    }

    /// Writes what is queued.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.wire.flush()
    }

    /// Sends a request and returns its id.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> io::Result<u64> {
        self.wire.ask(method, params)
    }
}

fn initialize() -> Value {
    // Version 1 is answered to whatever the client offers: it is the only one.
    json!({
        "protocolVersion": 1,
        "agentCapabilities": {
            "loadSession": false,
            "promptCapabilities": {"image": false, "audio": false, "embeddedContext": true},
            "mcpCapabilities": {"http": false, "sse": false},
            "sessionCapabilities": {"list": {}, "close": {}, "resume": {}},
        },
        "authMethods": [],
        "agentInfo": {"name": "scripted", "title": "Scripted agent", "version": env!("CARGO_PKG_VERSION")},
    })
}
