//! One MCP server of a session: a program that is started at first need, spoken to over pipes, and ended. Agents decide
//! what is said.

use std::{
    io,
    time::{Duration, Instant},
};

use agentos_guest::{
    Signal, fd,
    process::{Child, Command, Stdio},
    signal,
};
use serde_json::{Value, json};

use crate::{
    input::{Input, Line},
    mcp,
    rpc::{self, Failure, INVALID_PARAMS, METHOD_NOT_FOUND, Message},
};

/// Servers of one session.
const MAX_SERVERS: usize = 64;

/// Longest name of a server, in bytes.
const MAX_NAME: usize = 256;

/// Longest line of a server, in bytes.
const MAX_LINE: usize = 1 << 20;

/// From the end of its input to SIGTERM, and from there to SIGKILL.
const GRACE: Duration = Duration::from_millis(300);

/// How often the end of a server is looked for.
const LOOK: Duration = Duration::from_millis(5);

/// A server that `session/new` named.
#[derive(Debug)]
pub struct Server {
    /// For messages, and for names of tools.
    pub name: String,
    command: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    /// While it runs.
    pub connection: Option<Connection>,
}

impl Server {
    /// Reads `mcpServers` in ACP's form.
    ///
    /// # Errors
    /// What is wrong with them, for the client.
    pub fn read_all(servers: &Value) -> Result<Vec<Self>, Failure> {
        let servers = servers.as_array().ok_or(Failure::new(INVALID_PARAMS, "mcpServers must be a list"))?;
        if servers.len() > MAX_SERVERS {
            return Err(Failure::new(INVALID_PARAMS, "too many MCP servers"));
        }
        servers.iter().map(Self::read).collect()
    }

    fn read(server: &Value) -> Result<Self, Failure> {
        if server.get("type").is_some_and(|kind| kind != "stdio") {
            // Nobody should believe that it is used.
            return Err(Failure::new(INVALID_PARAMS, "this agent speaks to MCP servers on stdio only"));
        }
        let invalid = || {
            Failure::new(
                INVALID_PARAMS,
                "an MCP server is {name, command, args, env}, env a list of {name, value}",
            )
        };
        let text = |value: &Value| value.as_str().filter(|text| !text.contains('\0')).map(str::to_owned);
        let list = |key: &str| match server.get(key) {
            None => Some(Vec::new()),
            Some(list) => list.as_array().cloned(),
        };
        let pair = |pair: &Value| {
            let name = text(&pair["name"]).filter(|name| !name.is_empty() && !name.contains('='));
            name.zip(text(&pair["value"]))
        };
        let args = list("args").and_then(|args| args.iter().map(text).collect());
        let env = list("env").and_then(|env| env.iter().map(pair).collect());
        Ok(Self {
            name: text(&server["name"]).filter(|name| name.len() <= MAX_NAME).ok_or_else(invalid)?,
            command: text(&server["command"]).filter(|command| !command.is_empty()).ok_or_else(invalid)?,
            args: args.ok_or_else(invalid)?,
            env: env.ok_or_else(invalid)?,
            connection: None,
        })
    }

    /// Starts it.
    ///
    /// # Errors
    /// Why not, for the user.
    pub fn start(&mut self, cwd: &str) -> Result<&mut Connection, String> {
        match Connection::start(self, cwd) {
            Ok(connection) => Ok(self.connection.insert(connection)),
            Err(error) => Err(format!("cannot be started: {}", agentos_guest::strerror(&error))),
        }
    }
}

/// A server that runs. Dropped, it is killed; [`end`] lets it end by itself.
#[derive(Debug)]
pub struct Connection {
    child: Child,
    stdout: Option<fd::Owned>,
    input: Input,
    requests: u64,
}

impl Connection {
    fn start(server: &Server, cwd: &str) -> io::Result<Self> {
        let (stdout, theirs) = fd::pipe(true)?;
        let mut command = Command::new(&server.command);
        command
            .args(&server.args)
            .current_dir(cwd)
            .process_group(0)
            .reset_signals(true)
            .search_path(true)
            .stdin(Stdio::Piped)
            .stdout(Stdio::Fd(theirs.raw()))
            .stderr(Stdio::Null);
        for (name, value) in &server.env {
            command.env(name, value);
        }
        let child = command.spawn()?;
        let input = Input::new(stdout.raw(), MAX_LINE);
        let connection = Self { child, stdout: Some(stdout), input, requests: 0 };
        if let Some(stdin) = &connection.child.stdin {
            // A server that reads nothing must not stop the agent.
            fd::set_status_flags(stdin.raw(), fd::status_flags(stdin.raw())? | fd::O_NONBLOCK)?;
        }
        Ok(connection)
    }

    /// Sends a message. Little is ever under way, so a pipe that is full is that of a server that does not read.
    ///
    /// # Errors
    /// What the server did, for the user.
    pub fn send(&mut self, message: &Value) -> Result<(), String> {
        let line = format!("{message}\n");
        let Some(stdin) = &self.child.stdin else { return Ok(()) };
        loop {
            return match fd::write(stdin.raw(), line.as_bytes()) {
                Ok(written) if written == line.len() => Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // What it said before it ended tells more; the end shows when that is read.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                _ => Err("does not read what it is sent".to_owned()),
            };
        }
    }

    /// Sends a request and returns its id.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn ask(&mut self, method: &str, params: Value) -> Result<u64, String> {
        self.requests += 1;
        self.send(&rpc::request(self.requests, method, params))?;
        Ok(self.requests)
    }

    /// The id of the last request.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.requests
    }

    /// The descriptor to wait for.
    #[must_use]
    pub fn wants(&self) -> Option<u32> {
        self.input.wants()
    }

    /// Reads once; called when the descriptor can be read.
    ///
    /// # Errors
    /// What the server did, for the user.
    pub fn fill(&mut self) -> Result<(), String> {
        self.input.fill().map_err(|error| format!("cannot be read: {}", agentos_guest::strerror(&error)))
    }

    /// The answer to the request `id`, if it has come; `Err` in it is an error object. Requests of the server are answered
    /// on the way.
    ///
    /// # Errors
    /// What the server did, for the user.
    pub fn answer(&mut self, id: u64) -> Result<Option<Result<Value, Value>>, String> {
        while let Some(message) = self.next()? {
            match message {
                Message::Response { id: of, result } if of == id => return Ok(Some(result)),
                Message::Response { id: Value::Null, result: Err(error) } => {
                    return Err(format!("did not understand: {}", mcp::why(&error)));
                }
                Message::Request { id, method, .. } => {
                    let nothing = match method.as_str() {
                        "ping" => Ok(json!({})),
                        _ => Err(Failure::new(METHOD_NOT_FOUND, "method not found")),
                    };
                    self.send(&rpc::answer(id, nothing))?;
                }
                // An answer to a call that was cancelled, or something to know.
                Message::Response { .. } | Message::Notification { .. } | Message::Malformed(_) => {}
            }
        }
        Ok(None)
    }

    /// The next message that has come; an error says what came in its place.
    fn next(&mut self) -> Result<Option<Message>, String> {
        match self.input.pop() {
            Some(Line::Text(line)) => match rpc::parse(&line) {
                Message::Malformed(_) => Err("sent a line that is no message".to_owned()),
                message => Ok(Some(message)),
            },
            Some(Line::TooLong) => Err("sent a line of more than 1 MiB".to_owned()),
            None if self.input.ended => Err("ended".to_owned()),
            None => Ok(None),
        }
    }

    /// Whether it has ended, or nothing can be known about it any more.
    fn is_over(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    fn signal_group(&self, what: Signal) {
        if let Ok(pgid) = i32::try_from(self.child.id()) {
            let _ = signal::kill(-pgid, Some(what));
        }
    }
}

impl Drop for Connection {
    /// Neither the server nor what it started in its group outlives the agent's interest in it.
    fn drop(&mut self) {
        self.signal_group(Signal::SIGKILL);
        if !self.is_over() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Ends servers: their input ends, then comes SIGTERM, then SIGKILL; all of them at once, within twice [`GRACE`].
pub fn end(servers: impl IntoIterator<Item = Server>) {
    let mut all: Vec<_> = servers.into_iter().filter_map(|server| server.connection).collect();
    for connection in &mut all {
        connection.child.stdin = None;
        // One that is writing must not wait for a reader.
        connection.stdout = None;
    }
    for signal in [Some(Signal::SIGTERM), None] {
        let until = Instant::now() + GRACE;
        loop {
            all.retain_mut(|connection| !connection.is_over());
            if all.is_empty() {
                return;
            }
            if Instant::now() >= until {
                break;
            }
            std::thread::sleep(LOOK);
        }
        for connection in &all {
            signal.inspect(|signal| connection.signal_group(*signal));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_in_the_form_of_acp() {
        let all = json!([
            {"name": "a", "command": "/bin/a", "args": ["-x"], "env": [{"name": "K", "value": "v=1"}]},
            {"type": "stdio", "name": "b", "command": "b"},
        ]);
        let servers = Server::read_all(&all).unwrap();
        assert_eq!((servers[0].command.as_str(), servers[0].args.as_slice()), ("/bin/a", &["-x".into()][..]));
        assert_eq!(servers[0].env, [("K".to_owned(), "v=1".to_owned())]);
        assert_eq!((servers[1].name.as_str(), servers[1].env.len()), ("b", 0));
        let good = json!({"name": "a", "command": "/bin/a", "args": [], "env": []});
        for (key, value) in [
            ("name", json!(null)),
            ("name", json!("x".repeat(MAX_NAME + 1))),
            ("command", json!("")),
            ("command", json!("a\0b")),
            ("args", json!("x")),
            ("args", json!([1])),
            ("args", json!(["\0"])),
            ("env", json!({"K": "v"})),
            ("env", json!([{"name": "", "value": ""}])),
            ("env", json!([{"name": "A=B", "value": ""}])),
            ("env", json!([{"name": "A"}])),
            ("type", json!("http")),
            ("type", json!("sse")),
        ] {
            let mut bad = good.clone();
            bad[key] = value;
            assert_eq!(Server::read_all(&json!([bad])).unwrap_err().0, INVALID_PARAMS, "{key}");
        }
        assert!(Server::read_all(&json!({})).is_err());
        assert!(Server::read_all(&json!(vec![good.clone(); MAX_SERVERS])).is_ok());
        assert!(Server::read_all(&json!(vec![good; MAX_SERVERS + 1])).is_err());
    }
}
