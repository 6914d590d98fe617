//! The client's side of a connection, for tests of agents: the agent is on a thread of its own.
//!
//! What does not go as it should fails the test by a panic.

use std::time::{Duration, Instant};

use agent_client_protocol_schema::v1::{
    NewSessionResponse, ReadTextFileRequest, RequestPermissionRequest, SessionNotification,
    WriteTextFileRequest,
};
use agentos_guest::{fd, signal};
use serde_json::{Value, json};

/// Longest wait for a message.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client with one session.
#[derive(Debug)]
pub struct Client {
    to_agent: Option<fd::Owned>,
    from_agent: fd::Owned,
    buffer: Vec<u8>,
    next_id: u64,
    agent: Option<std::thread::JoinHandle<std::io::Result<()>>>,
    /// Id of the session.
    pub session: String,
}

impl Client {
    /// A client of an agent that reads and writes these descriptors and was told nothing yet.
    pub fn of(agent: impl FnOnce(u32, u32) -> std::io::Result<()> + Send + 'static) -> Self {
        let (input, to_agent) = fd::pipe(true).unwrap();
        let (from_agent, output) = fd::pipe(true).unwrap();
        let agent = std::thread::spawn(move || {
            let result = agent(input.raw(), output.raw());
            drop((input, output));
            result
        });
        Self {
            to_agent: Some(to_agent),
            from_agent,
            buffer: Vec::new(),
            next_id: 0,
            agent: Some(agent),
            session: String::new(),
        }
    }

    /// Initializes the agent with these capabilities and makes a session.
    pub fn start(&mut self, capabilities: Value, cwd: &str, servers: Value) -> Value {
        let params = json!({"protocolVersion": 1, "clientCapabilities": capabilities});
        let init = self.call("initialize", params);
        serde_json::from_value::<agent_client_protocol_schema::v1::InitializeResponse>(
            init["result"].clone(),
        )
        .unwrap();
        let new = self.call("session/new", json!({"cwd": cwd, "mcpServers": servers}));
        if let Some(session) = new["result"]["sessionId"].as_str() {
            self.session = session.to_owned();
            let result: NewSessionResponse = serde_json::from_value(new["result"].clone()).unwrap();
            // Options that it does not understand are left out by the schema.
            let known = result.config_options.map_or(0, |options| options.len());
            assert_eq!(known, new["result"]["configOptions"].as_array().map_or(0, Vec::len));
            assert_eq!(result.modes.is_some(), new["result"]["modes"].is_object());
        }
        new
    }

    /// Sends bytes.
    pub fn raw(&mut self, bytes: &[u8]) {
        fd::write_all(self.to_agent.as_ref().unwrap().raw(), bytes).unwrap();
    }

    /// Sends a message.
    pub fn send(&mut self, message: &Value) {
        self.raw(format!("{message}\n").as_bytes());
    }

    /// Sends a request and returns its id.
    pub fn request(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    /// Sends a notification.
    pub fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// The next message, which has to be valid ACP; `None` at the end.
    pub fn try_recv(&mut self) -> Option<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=at).collect();
                assert!(line.len() < 8 << 20, "a line of {} bytes", line.len());
                let message: Value = serde_json::from_slice(&line).unwrap();
                check(&message);
                return Some(message);
            }
            let left = deadline.saturating_duration_since(Instant::now()).as_millis();
            assert!(
                fd::wait_readable(self.from_agent.raw(), i32::try_from(left).unwrap()).unwrap(),
                "no message in time"
            );
            let mut chunk = [0; 65536];
            match fd::read(self.from_agent.raw(), &mut chunk).unwrap() {
                0 => return None,
                n => self.buffer.extend_from_slice(&chunk[..n]),
            }
        }
    }

    /// The next message.
    pub fn recv(&mut self) -> Value {
        self.try_recv().expect("a message")
    }

    /// Sends a request and returns its answer, which has to be the next message.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params);
        let answer = self.recv();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// Sends a prompt and returns the id of the request.
    pub fn prompt(&mut self, text: &str) -> u64 {
        let params = json!({"sessionId": self.session, "prompt": [{"type": "text", "text": text}]});
        self.request("session/prompt", params)
    }

    /// A prompt with all its updates, everything allowed once; the answer comes last.
    pub fn run(&mut self, text: &str) -> Vec<Value> {
        let id = self.prompt(text);
        self.rest(id, "allow_once")
    }

    /// Messages up to the answer to `id`, permissions answered with `option`.
    pub fn rest(&mut self, id: u64, option: &str) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let message = self.recv();
            if message["method"] == "session/request_permission" {
                self.permit(&message, option);
            }
            let last = message["method"].is_null() && message["id"] == id;
            all.push(message);
            if last {
                return all;
            }
        }
    }

    /// Answers a permission request with an option, or with `cancelled`.
    pub fn permit(&mut self, request: &Value, option: &str) {
        let outcome = match option {
            "cancelled" => json!({"outcome": "cancelled"}),
            option => json!({"outcome": "selected", "optionId": option}),
        };
        self.answer(request, Ok(json!({"outcome": outcome})));
    }

    /// Answers a request with a result or an error object.
    pub fn answer(&mut self, request: &Value, outcome: Result<Value, Value>) {
        let (member, value) = match outcome {
            Ok(result) => ("result", result),
            Err(error) => ("error", error),
        };
        self.send(&json!({"jsonrpc": "2.0", "id": request["id"], member: value}));
    }

    /// Cancels the turn.
    pub fn cancel(&mut self) {
        let params = json!({"sessionId": self.session});
        self.notify("session/cancel", params);
    }

    /// Sets a config option of the session.
    pub fn set(&mut self, option: &str, value: &str) {
        let params = json!({"sessionId": self.session, "configId": option, "value": value});
        assert!(self.call("session/set_config_option", params)["result"].is_object());
    }

    /// Closes the agent's input and waits for its end.
    pub fn finish(mut self) -> std::io::Result<()> {
        drop(self.to_agent.take());
        while self.try_recv().is_some() {}
        self.agent.take().unwrap().join().unwrap()
    }
}

fn check(message: &Value) {
    match message["method"].as_str() {
        Some("session/update") => {
            serde_json::from_value::<SessionNotification>(message["params"].clone()).unwrap();
        }
        Some("session/request_permission") => {
            serde_json::from_value::<RequestPermissionRequest>(message["params"].clone()).unwrap();
        }
        Some("fs/read_text_file") => {
            serde_json::from_value::<ReadTextFileRequest>(message["params"].clone()).unwrap();
        }
        Some("fs/write_text_file") => {
            serde_json::from_value::<WriteTextFileRequest>(message["params"].clone()).unwrap();
        }
        Some(other) => panic!("unexpected {other}"),
        None => {}
    }
}

/// One word per message: the kind of an update with the status or text, the outcome of the turn.
pub fn outline(messages: &[Value]) -> Vec<String> {
    let mut lines: Vec<String> = messages
        .iter()
        .map(|message| {
            let update = &message["params"]["update"];
            match update["sessionUpdate"].as_str() {
                Some("agent_message_chunk") => format!("say {}", update["content"]["text"].as_str().unwrap()),
                Some(_) => format!("call {}", update["status"].as_str().unwrap()),
                None if message["method"] == "session/request_permission" => "ask".to_owned(),
                None => message["result"]["stopReason"].as_str().unwrap_or("error").to_owned(),
            }
        })
        .collect();
    // How often live output is shown depends on time.
    lines.dedup_by(|a, b| a == b && a == "call in_progress");
    lines
}

/// Whether the process is gone or a zombie whose parent has not looked yet.
pub fn is_gone(pid: i32) -> bool {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if signal::kill(pid, None).is_err() || state.contains(") Z") {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// The final updates of the tool calls.
pub fn finals(messages: &[Value]) -> Vec<Value> {
    let updates = messages.iter().map(|message| &message["params"]["update"]);
    updates.filter(|u| u["status"] == "completed" || u["status"] == "failed").cloned().collect()
}
