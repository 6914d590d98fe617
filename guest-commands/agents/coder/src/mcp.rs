//! Tools of MCP servers: under which names the model is offered them, and how they are found and called. Servers are
//! started and ended in [`agentos_agent_common::server`].

use std::{
    io,
    time::{Duration, Instant},
};

use agentos_agent_common::{
    mcp, rpc,
    server::{Connection, Server},
};
use serde_json::{Value, json};

use crate::{agent::Agent, model::Tool, session::Work, tools::Shown};

/// Most pages of tools of one server.
const MAX_PAGES: usize = 64;

/// Most tools of all servers; with the built-in ones no more than every API takes.
const MAX_TOOLS: usize = 120;

/// Longest name of a tool that every API takes.
const MAX_NAME: usize = 64;

/// Longest description, and largest schema, in bytes.
const MAX_DESCRIPTION: usize = 4096;
const MAX_SCHEMA: usize = 32 << 10;

/// How much longer than its start a call may take.
const CALL: u32 = 20;

/// A tool of a server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Remote {
    /// As the model knows it.
    pub(crate) tool: Tool,
    /// Position of the server.
    server: usize,
    /// As the server knows it.
    name: String,
}

/// Why a server gave no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The connection to the client failed.
    Client(io::Error),
    /// The turn was cancelled.
    Cancelled,
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

/// A name of `mcp__server__tool` that every API takes and no other tool has.
fn name(server: &str, tool: &str, taken: &[Remote]) -> String {
    let plain = |text: &str| -> String {
        text.chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' })
            .collect()
    };
    let mut base = format!("mcp__{}__{}", plain(server), plain(tool));
    base.truncate(MAX_NAME);
    let mut name = base.clone();
    let mut number = 2;
    while taken.iter().any(|other| other.tool.name == name) {
        let end = format!("_{number}");
        name = format!("{}{end}", &base[..base.len().min(MAX_NAME - end.len())]);
        number += 1;
    }
    name
}

/// A tool as a server describes it; `None` if it cannot be offered.
fn remote(described: &Value, server: usize, of: &str, taken: &[Remote]) -> Option<Remote> {
    let own = described["name"].as_str().filter(|name| !name.is_empty() && name.len() <= 256)?;
    let about = described["description"].as_str().or(described["title"].as_str()).unwrap_or_default();
    let schema = &described["inputSchema"];
    let schema = if schema["type"] == "object" { schema.clone() } else { json!({"type": "object"}) };
    if schema.to_string().len() > MAX_SCHEMA {
        return None;
    }
    let description = about[..about.floor_char_boundary(MAX_DESCRIPTION)].to_owned();
    let tool = Tool { name: name(of, own, taken), description, schema };
    Some(Remote { tool, server, name: own.to_owned() })
}

impl Agent {
    /// Starts the servers that do not run and asks for their tools. Those that are of no use are told to the user.
    pub(crate) fn find_tools(&mut self, work: &mut Work) -> io::Result<()> {
        for position in 0..work.servers.len() {
            if self.is_cancelled() {
                break;
            }
            let server = &mut work.servers[position];
            if server.connection.is_some() {
                continue;
            }
            work.remote.retain(|remote| remote.server != position);
            match self.start_server(server, &work.header.cwd) {
                Ok(tools) => {
                    for described in &tools {
                        if work.remote.len() >= MAX_TOOLS {
                            break;
                        }
                        let known = &work.remote;
                        if let Some(remote) = remote(described, position, &server.name, known) {
                            work.remote.push(remote);
                        }
                    }
                }
                Err(Trouble::Client(error)) => return Err(error),
                Err(Trouble::Cancelled) => server.connection = None,
                Err(Trouble::Broken(why)) => {
                    server.connection = None;
                    let text = format!("MCP server {:?} {why}; its tools are missing\n", server.name);
                    self.think(&text)?;
                }
            }
        }
        Ok(())
    }

    fn start_server(&mut self, server: &mut Server, cwd: &str) -> Result<Vec<Value>, Trouble> {
        let until = Instant::now() + self.patience;
        let connection = server.start(cwd)?;
        match self.exchange(connection, "initialize", mcp::initialize("coder", "Coder"), until)? {
            Ok(result) if result.is_object() => {}
            Ok(_) => return Err(Trouble::Broken("answered initialize with nothing".to_owned())),
            Err(error) => return Err(Trouble::Broken(format!("refused initialize: {}", mcp::why(&error)))),
        }
        connection.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        let mut tools = Vec::new();
        let mut cursor = None;
        for _ in 0..MAX_PAGES {
            let params = mcp::list(cursor.as_deref());
            let page = mcp::page(self.exchange(connection, "tools/list", params, until)?)?;
            tools.extend(page.tools);
            if tools.len() >= MAX_TOOLS {
                break;
            }
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        Ok(tools)
    }

    /// Calls a tool; an error in it is for the model, and `None` says that the turn was cancelled.
    pub(crate) fn call_remote(
        &mut self,
        work: &mut Work,
        tool: &str,
        input: &Value,
    ) -> io::Result<Option<Result<Shown, String>>> {
        let Some(remote) = work.remote.iter().find(|remote| remote.tool.name == tool) else {
            return Ok(Some(Err(format!("there is no tool {tool}"))));
        };
        let params = json!({"name": remote.name, "arguments": input});
        let server = &mut work.servers[remote.server];
        let Some(connection) = &mut server.connection else {
            return Ok(Some(Err(format!(
                "MCP server {:?} is not running; it is started again for the next prompt",
                server.name
            ))));
        };
        let until = Instant::now() + self.patience * CALL;
        let answer = match self.exchange(connection, "tools/call", params, until) {
            Ok(Ok(result)) => match mcp::result(&result) {
                (true, text) => Ok(text.into()),
                (false, text) => Err(text),
            },
            Ok(Err(error)) => Err(mcp::why(&error)),
            Err(Trouble::Client(error)) => return Err(error),
            Err(Trouble::Cancelled) => {
                let params = json!({"requestId": connection.asked(), "reason": "the turn was cancelled"});
                if connection.send(&rpc::notification("notifications/cancelled", params)).is_err() {
                    server.connection = None;
                }
                return Ok(None);
            }
            Err(Trouble::Broken(why)) => {
                server.connection = None;
                Err(format!("MCP server {:?} {why}", server.name))
            }
        };
        Ok(Some(answer))
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
                return Err(Trouble::Broken("did not answer in time".to_owned()));
            }
            if self.wait(connection.wants(), Some(left.min(Duration::from_secs(3600))))? {
                connection.fill()?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_have_names_that_every_api_takes() {
        let described = |name: &str| json!({"name": name, "inputSchema": {"type": "object"}});
        let mut all: Vec<Remote> = Vec::new();
        for own in ["add", "add", "a b", "a.b", &"x".repeat(100), &format!("{}y", "x".repeat(99))] {
            let remote = remote(&described(own), 0, "my notes", &all).unwrap();
            assert_eq!(remote.name, own);
            all.push(remote);
        }
        let names: Vec<&str> = all.iter().map(|remote| remote.tool.name.as_str()).collect();
        assert_eq!(
            names[..4],
            ["mcp__my_notes__add", "mcp__my_notes__add_2", "mcp__my_notes__a_b", "mcp__my_notes__a_b_2"]
        );
        assert!(names[4].len() == MAX_NAME && names[5].len() == MAX_NAME && names[5].ends_with("x_2"));
        assert!(remote(&json!({"name": ""}), 0, "s", &[]).is_none());
        assert!(remote(&json!(5), 0, "s", &[]).is_none());
        let odd = remote(&json!({"name": "a", "inputSchema": []}), 0, "s", &[]).unwrap();
        assert_eq!(odd.tool.schema, json!({"type": "object"}));
        let large = json!({"name": "a", "inputSchema": {"type": "object", "x": "y".repeat(MAX_SCHEMA)}});
        assert!(remote(&large, 0, "s", &[]).is_none());
    }
}
