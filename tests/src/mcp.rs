//! An MCP server for tests: streamable HTTP on the loopback, with tools that answer in every way the transport knows, and in some
//! that it does not.
//!
//! Only std and `serde_json` are used, so that tests of guest programs can share the file.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

/// A script for `sh` that is an MCP server with the tool `get_weather`, which counts its calls and runs `$BEFORE` in each.
pub const WEATHER: &str = r#"
calls=0
answer() { printf '%s\n' "$line" | jq -c "$@"; }
while read -r line; do
    case $(answer -r .method) in
    initialize)
        answer '{jsonrpc, id, result: {protocolVersion: .params.protocolVersion, capabilities: {tools: {}},
            serverInfo: {name: "weather", version: "1"}}}'
        ;;
    tools/list)
        answer '{jsonrpc, id, result: {tools: [{name: "get_weather", inputSchema: {type: "object"}}]}}'
        ;;
    tools/call)
        calls=$((calls + 1))
        eval "$BEFORE"
        answer --arg calls "$calls" '{jsonrpc, id, result: {content: [{type: "text",
            text: ("sunny in " + .params.arguments.city + ", call " + $calls)}]}}'
        ;;
    esac
done
"#;

/// A request as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; null if there is none.
    pub body: Value,
}

impl Call {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<Call>,
    /// Sessions that began and were not ended.
    sessions: Vec<String>,
    begun: usize,
    /// What is to be said on the streams that listen.
    said: Vec<String>,
    /// Those that listen.
    listening: usize,
    /// Requests without an answer whose client went.
    given_up: usize,
}

/// A server on a port of its own, as long as the test process lives.
#[derive(Debug, Clone)]
pub struct Mcp {
    port: u16,
    /// The value of `authorization` that it wants.
    key: String,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Mcp {
    /// A server that has begun to listen; it wants this value of `authorization`, or none if that is empty.
    ///
    /// # Panics
    /// If there is no port.
    #[must_use]
    pub fn start(key: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let port = listener.local_addr().expect("it is bound").port();
        let mcp = Mcp { port, key: key.to_owned(), state: Arc::default() };
        let served = mcp.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mcp = served.clone();
                // A client that gives up early is what some tests are about.
                std::thread::spawn(move || {
                    let _ = mcp.serve(&stream);
                    let _ = stream.shutdown(Shutdown::Both);
                });
            }
        });
        mcp
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    /// What came, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// How many came with this method of HTTP.
    #[must_use]
    pub fn count(&self, method: &str) -> usize {
        self.state().calls.iter().filter(|call| call.method == method).count()
    }

    /// Sessions that were not ended.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.state().sessions.len()
    }

    /// Streams on which it can say something by itself.
    #[must_use]
    pub fn listening(&self) -> usize {
        self.state().listening
    }

    /// Requests that it did not answer and that were given up.
    #[must_use]
    pub fn given_up(&self) -> usize {
        self.state().given_up
    }

    /// Says something by itself.
    pub fn say(&self, message: &Value) {
        self.state().said.push(message.to_string());
        self.state.1.notify_all();
    }

    fn serve(&self, stream: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut words = line.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let mut body = vec![0; length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)];
        reader.read_exact(&mut body)?;
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let call = Call { method, path, headers, body };
        self.state().calls.push(call.clone());
        self.answer(&call, stream)
    }

    fn answer(&self, call: &Call, mut stream: &TcpStream) -> std::io::Result<()> {
        let has_key = self.key.is_empty() || call.header("authorization") == Some(&self.key);
        if !has_key {
            return plain(stream, "401 Unauthorized", "text/plain", "who\tare you?");
        }
        if call.path != "/mcp" {
            return plain(stream, "200 OK", "text/plain", "something else");
        }
        if call.body["method"] == "initialize" {
            let session = {
                let mut state = self.state();
                state.begun += 1;
                let session = format!("session-{}", state.begun);
                state.sessions.push(session.clone());
                session
            };
            let result = json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                "serverInfo": {"name": "test", "version": "1"}});
            let body = json!({"jsonrpc": "2.0", "id": call.body["id"], "result": result}).to_string();
            return write!(
                stream,
                "HTTP/1.1 200 OK\r\nMcp-Session-Id: {session}\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
        }
        let session = call.header("mcp-session-id").unwrap_or_default();
        if !self.state().sessions.iter().any(|known| known == session) {
            return plain(stream, "404 Not Found", "text/plain", "no such session");
        }
        if call.header("mcp-protocol-version") != Some("2025-06-18") {
            return plain(stream, "400 Bad Request", "text/plain", "which version?");
        }
        match call.method.as_str() {
            "DELETE" => {
                self.state().sessions.retain(|known| known != session);
                plain(stream, "204 No Content", "text/plain", "")
            }
            "GET" => self.listen(call, stream),
            _ => self.message(call, session, stream),
        }
    }

    fn listen(&self, call: &Call, stream: &TcpStream) -> std::io::Result<()> {
        begin(stream)?;
        if let Some(id) = call.header("last-event-id").and_then(|id| id.strip_prefix("cut-")) {
            event(stream, "", &result(&id.parse().unwrap_or_default(), "and gone on with"))?;
            return end(stream);
        }
        self.state().listening += 1;
        let mut told = 0;
        let told = loop {
            let state = self.state();
            let wait = std::time::Duration::from_millis(20);
            let (state, _) = self.state.1.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner);
            let said = state.said.get(told).cloned();
            drop(state);
            // A comment shows whether somebody is there.
            let written = match &said {
                Some(said) => chunk(stream, &format!("data: {said}\n\n")),
                None => chunk(stream, ":\n"),
            };
            told += usize::from(said.is_some());
            if written.is_err() {
                break written;
            }
        };
        self.state().listening -= 1;
        told
    }

    fn message(&self, call: &Call, session: &str, mut stream: &TcpStream) -> std::io::Result<()> {
        let id = &call.body["id"];
        let answer = |text: &str| result(id, text).to_string();
        let json = |text: &str| plain(stream, "200 OK", "application/json; charset=utf-8", text);
        let progress =
            json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}});
        let tool = call.body["params"]["name"].as_str().unwrap_or_default();
        match (call.body["method"].as_str().unwrap_or_default(), tool) {
            ("", _) => plain(stream, "202 Accepted", "text/plain", ""),
            (method, _) if method.starts_with("notifications/") => {
                plain(stream, "202 Accepted", "text/plain", "")
            }
            ("tools/list", _) => {
                let tools: Vec<Value> = ["plain", "events", "cut", "lost", "never", "error", "huge", "forget", "get_weather"]
                    .iter()
                    .map(|name| json!({"name": name, "description": "For tests.", "inputSchema": {"type": "object"}}))
                    .collect();
                begin(stream)?;
                event(stream, "", &json!({"jsonrpc": "2.0", "id": id, "result": {"tools": tools}}))?;
                end(stream)
            }
            ("tools/call", "plain") => json(&answer("as JSON").replace(',', ",\n ")),
            ("tools/call", "get_weather") => json(&answer("Sunny")),
            ("tools/call", "events") => {
                begin(stream)?;
                event(stream, "", &progress)?;
                event(stream, "", &json!({"jsonrpc": "2.0", "id": "of-server", "method": "ping"}))?;
                event(stream, "", &result(id, "as an event"))?;
                end(stream)
            }
            ("tools/call", "cut") => {
                begin(stream)?;
                chunk(stream, "retry: 10\n")?;
                event(stream, &format!("cut-{id}"), &progress)
            }
            ("tools/call", "lost") => {
                begin(stream)?;
                event(stream, "", &progress)
            }
            ("tools/call", "never") => {
                let _ = stream.read(&mut [0; 64]);
                self.state().given_up += 1;
                Ok(())
            }
            ("tools/call", "error") => {
                plain(stream, "500 Internal Server Error", "text/html", "<p>it\n broke</p>")
            }
            ("tools/call", "huge") => json(&answer(&"x".repeat(9 << 20))),
            ("tools/call", "forget") => {
                self.state().sessions.retain(|known| known != session);
                json(&answer("forgotten"))
            }
            _ => json(
                &json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no"}}).to_string(),
            ),
        }
    }
}

fn result(id: &Value, text: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": text}]}})
}

fn plain(mut stream: &TcpStream, status: &str, media: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\ncontent-type: {media}\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn begin(mut stream: &TcpStream) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
}

fn chunk(mut stream: &TcpStream, text: &str) -> std::io::Result<()> {
    write!(stream, "{:x}\r\n{text}\r\n", text.len())
}

fn event(stream: &TcpStream, id: &str, message: &Value) -> std::io::Result<()> {
    let id = if id.is_empty() { String::new() } else { format!("id: {id}\n") };
    chunk(stream, &format!("event: message\n{id}data: {message}\n\n"))
}

fn end(mut stream: &TcpStream) -> std::io::Result<()> {
    write!(stream, "0\r\n\r\n")
}
