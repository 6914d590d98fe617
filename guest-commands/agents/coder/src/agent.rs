//! The agent's side of the connection: what each message of the client does. Prompts are run in [`turn`](crate::turn).

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use agentos_agent_common::{
    http::Http,
    rpc::{
        self, Failure, INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, Message, NOT_FOUND,
    },
    server::{self, Server},
    turn::{Cancel, Turn},
    wire::Wire,
};
use agentos_guest::{Signal, signal};
use serde_json::{Value, json};

use crate::{
    Settings, editor, instructions,
    session::{Session, Work},
    store::{self, Header, Store},
};

/// How long an MCP server may take to start and list its tools.
const PATIENCE: Duration = Duration::from_secs(30);

/// The first wait before a request is made again.
const BACKOFF: Duration = Duration::from_secs(1);

/// Sessions that are open at once.
const MAX_SESSIONS: usize = 16;

/// The agent on a pair of descriptors.
pub struct Agent {
    wire: Wire,
    pub(crate) http: Box<dyn Http>,
    /// Or what is missing in them.
    pub(crate) settings: Result<Settings, String>,
    /// Where sessions are kept.
    pub(crate) folder: PathBuf,
    pub(crate) sessions: BTreeMap<String, Session>,
    created: u64,
    /// The prompt that is running.
    pub(crate) turn: Option<Turn>,
    /// Whether the client knows `compaction_update`.
    pub(crate) compactions: bool,
    /// What the client does with files.
    pub(crate) files_of_client: bool,
    pub(crate) patience: Duration,
    /// How long the client may take with a file.
    pub(crate) file_patience: Duration,
    pub(crate) backoff: Duration,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Agent {
    /// An agent that reads `input` and writes `output`, neither of which is closed; asks models over `http` as the
    /// `settings` say (without them it says at `session/new` what is missing); and keeps its sessions below `home`.
    #[must_use]
    pub fn new(
        input: u32,
        output: u32,
        http: Box<dyn Http>,
        settings: Result<Settings, String>,
        home: &Path,
    ) -> Self {
        Self {
            wire: Wire::new(input, output),
            http,
            settings,
            folder: store::folder(home),
            sessions: BTreeMap::new(),
            created: 0,
            turn: None,
            compactions: false,
            files_of_client: false,
            patience: PATIENCE,
            file_patience: editor::PATIENCE,
            backoff: BACKOFF,
        }
    }

    /// Gives MCP servers this time to start and list their tools instead of 30 s.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Gives the client this time to read or write a file instead of 60 s.
    #[must_use]
    pub fn file_patience(self, file_patience: Duration) -> Self {
        Self { file_patience, ..self }
    }

    /// Waits this long before a request is made again for the first time, instead of 1 s.
    #[must_use]
    pub fn backoff(self, backoff: Duration) -> Self {
        Self { backoff, ..self }
    }

    /// Serves the client until its end of file. What runs then is killed; MCP servers are ended.
    ///
    /// # Errors
    /// A descriptor that fails.
    pub fn run(&mut self) -> io::Result<()> {
        loop {
            self.handle_messages()?;
            if self.wire.ended() {
                let sessions = std::mem::take(&mut self.sessions);
                end(sessions.into_values().filter_map(|session| session.work));
                return self.wire.flush();
            }
            self.wait(None, None)?;
        }
    }

    /// Waits for the client, for `other`, or for the time given, and takes in what the client said. True if `other`
    /// can be read.
    pub(crate) fn wait(&mut self, other: Option<u32>, timeout: Option<Duration>) -> io::Result<bool> {
        if self.turn.is_some() && self.wire.has_messages() {
            // They came together with the prompt, and may be its cancel: heard before anything is waited for.
            self.handle_messages()?;
            return Ok(false);
        }
        let ready = self.wire.wait(other, timeout)?;
        if self.turn.is_some() {
            self.handle_messages()?;
            if self.wire.ended() {
                self.cancel_turn(Cancel::Session);
            }
        }
        Ok(ready)
    }

    fn handle_messages(&mut self) -> io::Result<()> {
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
            "session/close" => match self.session(params).map(|(id, _)| id) {
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
            "initialize" => {
                let capabilities = &params["clientCapabilities"];
                self.compactions = capabilities["session"]["compaction"].is_object();
                self.files_of_client = editor::offered(&capabilities["fs"]);
                Ok(initialize())
            }
            "authenticate" => Ok(json!({})),
            "session/new" => self.new_session(params),
            "session/load" => self.load_session(params, true)?,
            "session/resume" => self.load_session(params, false)?,
            "session/list" => self.list(params),
            "session/set_mode" => self.session(params).and_then(|(_, session)| {
                let mode = params["modeId"].as_str().unwrap_or_default();
                session.set_mode(mode).map_err(|why| Failure::new(INVALID_PARAMS, why))?;
                Ok(json!({}))
            }),
            "session/set_config_option" => self.set_config_option(params),
            _ => Err(Failure::new(METHOD_NOT_FOUND, "method not found")),
        };
        self.send(&rpc::answer(id, outcome))
    }

    fn notification(&mut self, method: &str, params: &Value) {
        match (method, &self.turn) {
            ("session/cancel", Some(turn)) if params["sessionId"] == *turn.session => {
                self.cancel_turn(Cancel::Session);
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

    pub(crate) fn is_cancelled(&self) -> bool {
        self.turn.as_ref().is_none_or(|turn| turn.cancelled.is_some())
    }

    /// What every request that opens a session has: a directory, servers, and a model to ask.
    fn opening(&self, params: &Value) -> Result<(String, Vec<Server>, Settings), Failure> {
        let cwd = params["cwd"].as_str().filter(|cwd| Path::new(cwd).has_root() && cwd.len() <= 4096);
        let cwd = cwd.ok_or(Failure::new(INVALID_PARAMS, "cwd must be an absolute path"))?;
        let none = json!([]);
        let servers = Server::read_all(params.get("mcpServers").unwrap_or(&none))?;
        let settings = self.settings.clone().map_err(|missing| Failure::new(INTERNAL_ERROR, missing))?;
        if self.sessions.len() >= MAX_SESSIONS {
            return Err(Failure::new(INVALID_REQUEST, "too many sessions are open; close one"));
        }
        Ok((cwd.to_owned(), servers, settings))
    }

    fn new_session(&mut self, params: &Value) -> Result<Value, Failure> {
        let (cwd, servers, settings) = self.opening(params)?;
        // Time and pid tell agents apart that keep their sessions in one place.
        let id = format!("coder-{:x}-{}-{}", store::now_ms(), agentos_guest::process::id(), self.created);
        self.created += 1;
        let header = Header { version: 1, id: id.clone(), cwd, title: String::new() };
        let model = settings.models.first().cloned().unwrap_or_default();
        let session = Session::new(header, instructions::of_host(params), servers, model);
        let result = opened(&session, &settings, Some(&id));
        self.sessions.insert(id, session);
        Ok(result)
    }

    /// Opens a session of a file; with `replay` the client is told what was said.
    fn load_session(&mut self, params: &Value, replay: bool) -> io::Result<Result<Value, Failure>> {
        let opening = match self.opening(params) {
            Ok(opening) => opening,
            Err(failure) => return Ok(Err(failure)),
        };
        let (cwd, servers, settings) = opening;
        let id = params["sessionId"].as_str().unwrap_or_default().to_owned();
        if self.sessions.contains_key(&id) {
            return Ok(Err(Failure::new(INVALID_REQUEST, "the session is open already")));
        }
        let (file, loaded) = match Store::open(&self.folder, &id) {
            Ok(Some((_, loaded))) if loaded.header.id != id => {
                return Ok(Err(Failure::new(NOT_FOUND, "no such session")));
            }
            Ok(Some(found)) => found,
            Ok(None) => return Ok(Err(Failure::new(NOT_FOUND, "no such session"))),
            Err(why) => return Ok(Err(Failure::new(INTERNAL_ERROR, why))),
        };
        let model = settings.models.first().cloned().unwrap_or_default();
        let said = loaded.said.clone();
        let host = instructions::of_host(params);
        let mut session = Session::of_file(loaded, file, cwd, host, servers, model);
        if let Some(work) = &mut session.work {
            if replay {
                self.replay(&id, work, &said)?;
            } else {
                crate::replay::count(work, &said);
            }
        }
        let result = opened(&session, &settings, None);
        self.sessions.insert(id, session);
        Ok(Ok(result))
    }

    pub(crate) fn end_session(&mut self, id: &str) {
        if let Some(work) = self.sessions.remove(id).and_then(|session| session.work) {
            end([work]);
        }
    }

    fn list(&self, params: &Value) -> Result<Value, Failure> {
        let wanted = params["cwd"].as_str();
        let skip = match &params["cursor"] {
            Value::Null => 0,
            cursor => cursor
                .as_str()
                .and_then(|cursor| cursor.parse().ok())
                .ok_or(Failure::new(INVALID_PARAMS, "no such cursor"))?,
        };
        let (page, more) = store::list(&self.folder, wanted, skip);
        let mut sessions: Vec<Value> = page
            .iter()
            .map(|listed| {
                json!({
                    "sessionId": listed.header.id,
                    "cwd": listed.header.cwd,
                    "title": listed.header.title,
                    "updatedAt": store::iso(listed.updated),
                })
            })
            .collect();
        if skip == 0 {
            // Those without a prompt have no file yet.
            let fresh = self.sessions.iter().filter(|(_, session)| {
                session.work.as_ref().is_some_and(|work| work.store.is_none())
                    && wanted.is_none_or(|cwd| cwd == session.cwd)
            });
            sessions.extend(fresh.map(|(id, session)| json!({"sessionId": id, "cwd": session.cwd})));
        }
        let mut result = json!({"sessions": sessions});
        if more {
            result["nextCursor"] = json!((skip + page.len()).to_string());
        }
        Ok(result)
    }

    fn set_config_option(&mut self, params: &Value) -> Result<Value, Failure> {
        let settings = self.settings.clone().map_err(|missing| Failure::new(INTERNAL_ERROR, missing))?;
        let (_, session) = self.session(params)?;
        let option = params["configId"].as_str().unwrap_or_default();
        session.set(option, &params["value"]).map_err(|why| Failure::new(INVALID_PARAMS, why))?;
        Ok(json!({"configOptions": session.options(&settings)}))
    }

    pub(crate) fn session(&mut self, params: &Value) -> Result<(String, &mut Session), Failure> {
        let id = params["sessionId"].as_str().ok_or(Failure::new(INVALID_PARAMS, "sessionId is missing"))?;
        let session = self.sessions.get_mut(id).ok_or(Failure::new(NOT_FOUND, "no such session"))?;
        Ok((id.to_owned(), session))
    }

    /// The session of the running turn.
    pub(crate) fn current(&mut self) -> Option<&mut Session> {
        self.turn.as_ref().and_then(|turn| self.sessions.get_mut(&turn.session))
    }

    /// Queues a message; it is written at the latest when the agent waits for something.
    pub(crate) fn send(&mut self, message: &Value) -> io::Result<()> {
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

    /// Whether a line of the client was too long since this was last asked.
    pub(crate) fn has_skipped(&mut self) -> bool {
        self.wire.has_skipped()
    }

    /// Tells the client something of a session.
    pub(crate) fn tell(&mut self, session: &str, update: Value) -> io::Result<()> {
        self.send(&rpc::notification("session/update", json!({"sessionId": session, "update": update})))
    }

    /// Tells the client something of the running turn.
    pub(crate) fn update(&mut self, update: Value) -> io::Result<()> {
        let session = self.turn.as_ref().map(|turn| turn.session.clone()).unwrap_or_default();
        self.tell(&session, update)
    }

    /// Tells the user something that is not the model's.
    pub(crate) fn think(&mut self, text: &str) -> io::Result<()> {
        let content = json!({"type": "text", "text": text});
        self.update(json!({"sessionUpdate": "agent_thought_chunk", "content": content}))
    }
}

/// Ends what sessions left running.
fn end(works: impl IntoIterator<Item = Work>) {
    let mut servers = Vec::new();
    for work in works {
        for group in work.left {
            if let Ok(group) = i32::try_from(group) {
                let _ = signal::kill(-group, Some(Signal::SIGKILL));
            }
        }
        servers.extend(work.servers);
    }
    server::end(servers);
}

fn opened(session: &Session, settings: &Settings, id: Option<&str>) -> Value {
    let mut result = json!({"modes": session.modes(), "configOptions": session.options(settings)});
    if let Some(id) = id {
        result["sessionId"] = json!(id);
    }
    result
}

fn initialize() -> Value {
    // Version 1 is answered to whatever the client offers: it is the only one.
    json!({
        "protocolVersion": 1,
        "agentCapabilities": {
            "loadSession": true,
            "promptCapabilities": {"image": true, "audio": false, "embeddedContext": true},
            "mcpCapabilities": {"http": false, "sse": false},
            "sessionCapabilities": {"list": {}, "resume": {}, "close": {}},
        },
        "authMethods": [],
        "agentInfo": {"name": "coder", "title": "Coder", "version": env!("CARGO_PKG_VERSION")},
    })
}
