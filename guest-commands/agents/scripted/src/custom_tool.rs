//! The scenario `custom_tool`: the tool `get_weather` of whichever MCP server of the session has it. Messages are read in
//! [`mcp`], servers started and ended in [`server`](agentos_agent_common::server).

use std::{io, time::Instant};

use agentos_agent_common::{
    mcp,
    rpc::{self, Failure, INTERNAL_ERROR},
    server::{Connection, Server},
};
use serde_json::{Value, json};

use crate::{agent::Agent, tool::CANCELLED};

/// The tool that is called.
const TOOL: &str = "get_weather";

/// What is said when no server has it.
const NO_TOOL: &str = "no MCP server has the tool get_weather";

/// What a turn fails with whose server does not answer.
const SILENT: &str = "an MCP server did not answer in time";

/// Most pages of tools of one server.
const MAX_PAGES: usize = 64;

/// Why a server gave no answer.
#[derive(Debug)]
enum Trouble {
    /// The connection to the client failed.
    Client(io::Error),
    /// The turn was cancelled.
    Cancelled,
    /// There was none in time.
    Silent,
    /// The server is of no use any more: what it did.
    Broken(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Client(error)
    }
}

impl From<String> for Trouble {
    fn from(why: String) -> Self {
        Self::Broken(why)
    }
}

impl Agent {
    /// Plays the scenario; the result is what the turn fails with.
    pub(crate) fn custom_tool(&mut self) -> io::Result<Option<Failure>> {
        let Some(session) = self.turn.as_ref().and_then(|turn| self.sessions.get_mut(&turn.session)) else {
            return Ok(None);
        };
        let cwd = session.cwd.clone();
        let mut servers = std::mem::take(&mut session.servers);
        let outcome = self.with_servers(&mut servers, &cwd);
        // A session that is being closed is still there: its answer follows the turn's.
        if let Some(session) = self.turn.as_ref().and_then(|turn| self.sessions.get_mut(&turn.session)) {
            session.servers = servers;
        }
        outcome
    }

    fn with_servers(&mut self, servers: &mut [Server], cwd: &str) -> io::Result<Option<Failure>> {
        let mut none = NO_TOOL.to_owned();
        for server in servers {
            match self.has_tool(server, cwd) {
                Ok(true) => return self.call_tool(server),
                Ok(false) => {}
                Err(trouble) => {
                    server.connection = None;
                    match trouble {
                        Trouble::Client(error) => return Err(error),
                        Trouble::Cancelled => return Ok(None),
                        Trouble::Silent => {
                            self.say(&silent(server))?;
                            return Ok(Some(Failure::new(INTERNAL_ERROR, SILENT)));
                        }
                        // Another one may have the tool.
                        Trouble::Broken(why) => none.push_str(&format!("; {}", broken(server, &why))),
                    }
                }
            }
        }
        self.say(&none)?;
        Ok(None)
    }

    /// Starts a server if it does not run, and looks through its tools.
    fn has_tool(&mut self, server: &mut Server, cwd: &str) -> Result<bool, Trouble> {
        let until = Instant::now() + self.patience;
        let connection = match &mut server.connection {
            Some(connection) => connection,
            None => {
                let connection = server.start(cwd)?;
                match self.exchange(
                    connection,
                    "initialize",
                    mcp::initialize("scripted", "Scripted agent"),
                    until,
                )? {
                    Ok(result) if result.is_object() => {}
                    Ok(_) => return Err(Trouble::Broken("answered initialize with nothing".to_owned())),
                    Err(error) => {
                        return Err(Trouble::Broken(format!("refused initialize: {}", mcp::why(&error))));
                    }
                }
                connection.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
                connection
            }
        };
        let mut cursor = None;
        for _ in 0..MAX_PAGES {
            let params = mcp::list(cursor.as_deref());
            let page = mcp::page(self.exchange(connection, "tools/list", params, until)?)?;
            if page.tools.iter().any(|tool| tool["name"] == TOOL) {
                return Ok(true);
            }
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(false),
            }
        }
        Err(Trouble::Broken(format!("has more than {MAX_PAGES} pages of tools")))
    }

    fn call_tool(&mut self, server: &mut Server) -> io::Result<Option<Failure>> {
        let arguments = json!({"city": "Paris"});
        let Some(call) = self.show(TOOL, "other", arguments.clone())? else { return Ok(None) };
        let Some(connection) = &mut server.connection else { return Ok(None) };
        self.begin(&call)?;
        let until = Instant::now() + self.patience;
        let params = json!({"name": TOOL, "arguments": arguments});
        let trouble = match self.exchange(connection, "tools/call", params, until) {
            Ok(answer) => {
                let (ok, text, raw) = match answer {
                    Ok(result) => {
                        let (ok, text) = mcp::result(&result);
                        (ok, text, result)
                    }
                    Err(error) => (false, mcp::why(&error), error),
                };
                self.end(&call, ok, &text, Some(raw))?;
                self.say(&format!("{TOOL} {}: {text}", if ok { "answered" } else { "failed" }))?;
                return Ok(None);
            }
            Err(trouble) => trouble,
        };
        match trouble {
            Trouble::Client(error) => Err(error),
            Trouble::Cancelled => {
                let params = json!({"requestId": connection.asked(), "reason": "the turn was cancelled"});
                if connection.send(&rpc::notification("notifications/cancelled", params)).is_err() {
                    server.connection = None;
                }
                self.fail(&call, CANCELLED)?;
                Ok(None)
            }
            Trouble::Silent => {
                server.connection = None;
                let why = silent(server);
                self.fail(&call, &why)?;
                self.say(&why)?;
                Ok(Some(Failure::new(INTERNAL_ERROR, SILENT)))
            }
            Trouble::Broken(why) => {
                server.connection = None;
                let why = broken(server, &why);
                self.fail(&call, &why)?;
                self.say(&format!("{TOOL} failed: {why}"))?;
                Ok(None)
            }
        }
    }

    /// Asks a server and waits for its answer, hearing the client meanwhile. `Ok(Err(…))` is an error object.
    fn exchange(
        &mut self,
        connection: &mut Connection,
        method: &str,
        params: Value,
        until: Instant,
    ) -> Result<Result<Value, Value>, Trouble> {
        let id = connection.ask(method, params)?;
        loop {
            if self.is_cancelled() {
                return Err(Trouble::Cancelled);
            }
            if let Some(answer) = connection.answer(id)? {
                return Ok(answer);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Trouble::Silent);
            }
            if self.wait(connection.wants(), Some(left))? {
                connection.fill()?;
            }
        }
    }
}

fn broken(server: &Server, why: &str) -> String {
    format!("MCP server {:?} {why}", server.name)
}

fn silent(server: &Server) -> String {
    broken(server, "did not answer in time")
}
