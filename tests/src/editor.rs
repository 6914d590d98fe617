//! An editor for tests of `agentos acp`: the real program at the other end of pipes. Each message of it has to be valid by the
//! protocol's own types, and its answers by the method that they are for.

use std::collections::{BTreeMap, HashMap};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use agent_client_protocol_schema::v1 as schema;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::task::JoinHandle;

/// Longest wait for a message; it only tells a hang.
const PATIENCE: Duration = Duration::from_secs(50);

/// An editor and the agent that it has started.
#[derive(Debug)]
pub struct Editor {
    child: Child,
    to: Option<ChildStdin>,
    from: Option<BufReader<ChildStdout>>,
    errors: JoinHandle<String>,
    next: u64,
    /// Methods of requests that are not answered.
    open: HashMap<u64, String>,
    /// Files that it has open: it answers for them by itself.
    pub files: BTreeMap<String, String>,
    /// What it was asked for of files: method and path.
    pub asked: Vec<String>,
}

fn valid<T: DeserializeOwned>(value: &Value) {
    if let Err(error) = serde_json::from_value::<T>(value.clone()) {
        panic!("{error}: {value}");
    }
}

fn check_result(method: &str, result: &Value) {
    match method {
        "initialize" => valid::<schema::InitializeResponse>(result),
        "session/new" => valid::<schema::NewSessionResponse>(result),
        "session/load" => valid::<schema::LoadSessionResponse>(result),
        "session/resume" => valid::<schema::ResumeSessionResponse>(result),
        "session/list" => valid::<schema::ListSessionsResponse>(result),
        "session/close" => valid::<schema::CloseSessionResponse>(result),
        "session/delete" => valid::<schema::DeleteSessionResponse>(result),
        "session/prompt" => valid::<schema::PromptResponse>(result),
        "session/set_mode" => valid::<schema::SetSessionModeResponse>(result),
        "session/set_config_option" => valid::<schema::SetSessionConfigOptionResponse>(result),
        _ => {}
    }
}

impl Editor {
    /// Starts `agentos acp` with these arguments.
    ///
    /// # Panics
    /// As all methods, if something does not go as it should.
    #[must_use]
    pub fn start(args: &[&str]) -> Self {
        let mut command = crate::cli();
        command.arg("acp").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut stderr = child.stderr.take().expect("a pipe");
        let errors = tokio::spawn(async move {
            let mut all = Vec::new();
            let _ = stderr.read_to_end(&mut all).await;
            String::from_utf8_lossy(&all).into_owned()
        });
        Editor {
            to: child.stdin.take(),
            from: child.stdout.take().map(BufReader::new),
            child,
            errors,
            next: 0,
            open: HashMap::new(),
            files: BTreeMap::new(),
            asked: Vec::new(),
        }
    }

    /// The same, introduced as an editor that can do this; gives what was answered.
    pub async fn introduced(args: &[&str], capabilities: Value) -> (Self, Value) {
        let mut editor = Self::start(args);
        let params = json!({"protocolVersion": 1, "clientCapabilities": capabilities});
        let answer = editor.call("initialize", params).await;
        (editor, answer["result"].clone())
    }

    /// Sends bytes.
    pub async fn raw(&mut self, bytes: &[u8]) {
        self.to.as_mut().expect("its input is open").write_all(bytes).await.expect("it reads");
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &Value) {
        self.raw(format!("{message}\n").as_bytes()).await;
    }

    /// Sends a request; its id.
    pub async fn request(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next;
        self.next += 1;
        self.open.insert(id, method.to_owned());
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await;
        id
    }

    /// Sends a notification.
    pub async fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params})).await;
    }

    /// The next message, but for those about files; `None` at the end.
    pub async fn try_recv(&mut self) -> Option<Value> {
        loop {
            let message = self.any().await?;
            match message["method"].as_str() {
                Some(method) if method.starts_with("fs/") => {
                    let method = method.to_owned();
                    self.of_files(&method, &message).await;
                }
                _ => return Some(message),
            }
        }
    }

    /// Answers for a file.
    async fn of_files(&mut self, method: &str, message: &Value) {
        let path = message["params"]["path"].as_str().expect("a path").to_owned();
        self.asked.push(format!("{method} {path}"));
        let result = match method {
            "fs/read_text_file" => {
                valid::<schema::ReadTextFileRequest>(&message["params"]);
                self.files.get(&path).map(|text| json!({"content": text}))
            }
            _ => {
                valid::<schema::WriteTextFileRequest>(&message["params"]);
                let text = message["params"]["content"].as_str().expect("a text").to_owned();
                self.files.get_mut(&path).map(|file| {
                    *file = text;
                    json!({})
                })
            }
        };
        let mut answer = json!({"jsonrpc": "2.0", "id": message["id"]});
        match result {
            Some(result) => answer["result"] = result,
            None => answer["error"] = json!({"code": -32002, "message": "it is not open here"}),
        }
        self.send(&answer).await;
    }

    /// The next message, whatever it is.
    async fn any(&mut self) -> Option<Value> {
        let mut line = String::new();
        let from = self.from.as_mut().expect("it is read");
        let read = tokio::time::timeout(PATIENCE, from.read_line(&mut line)).await;
        if read.expect("a message in time").expect("text") == 0 {
            return None;
        }
        let message: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        match message["method"].as_str() {
            Some("session/update") => {
                // Its own kinds may be of tomorrow.
                if message["params"]["update"]["sessionUpdate"]
                    .as_str()
                    .is_none_or(|kind| !kind.starts_with('_'))
                {
                    valid::<schema::SessionNotification>(&message["params"]);
                }
            }
            Some("session/request_permission") => {
                valid::<schema::RequestPermissionRequest>(&message["params"])
            }
            Some("$/cancel_request") => valid::<schema::CancelRequestNotification>(&message["params"]),
            Some(own) => assert!(own.starts_with('_') || own.starts_with("fs/"), "{line}"),
            None => {
                let method = message["id"].as_u64().and_then(|id| self.open.remove(&id)).unwrap_or_default();
                if let Some(result) = message.get("result") {
                    check_result(&method, result);
                } else {
                    valid::<schema::Error>(&message["error"]);
                }
            }
        }
        Some(message)
    }

    /// The next message.
    pub async fn recv(&mut self) -> Value {
        match self.try_recv().await {
            Some(message) => message,
            None => panic!("it has ended: {}", self.status().await.1),
        }
    }

    /// All messages up to the answer to a request, which comes last. Permissions are answered with the option.
    pub async fn rest(&mut self, id: u64, option: &str) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let message = self.recv().await;
            if message["method"] == "session/request_permission" {
                self.permit(&message, option).await;
            }
            let last = message["method"].is_null() && message["id"] == id;
            all.push(message);
            if last {
                return all;
            }
        }
    }

    /// Sends a request; its answer. What comes before is dropped.
    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params).await;
        self.rest(id, "").await.pop().expect("an answer")
    }

    /// A new session; its id.
    pub async fn session(&mut self, cwd: &str) -> String {
        let new = self.call("session/new", json!({"cwd": cwd, "mcpServers": []})).await;
        new["result"]["sessionId"].as_str().unwrap_or_else(|| panic!("{new}")).to_owned()
    }

    /// Sends a prompt; the id of the request.
    pub async fn prompt(&mut self, session: &str, text: &str) -> u64 {
        let params = json!({"sessionId": session, "prompt": [{"type": "text", "text": text}]});
        self.request("session/prompt", params).await
    }

    /// Runs a prompt to its end; all messages.
    pub async fn run(&mut self, session: &str, text: &str, option: &str) -> Vec<Value> {
        let id = self.prompt(session, text).await;
        self.rest(id, option).await
    }

    /// Answers a permission request with an option.
    pub async fn permit(&mut self, request: &Value, option: &str) {
        let outcome = json!({"outcome": {"outcome": "selected", "optionId": option}});
        self.send(&json!({"jsonrpc": "2.0", "id": request["id"], "result": outcome})).await;
    }

    /// Waits for an update of this kind.
    pub async fn update(&mut self, kind: &str) -> Value {
        loop {
            let message = self.recv().await;
            if message["params"]["update"]["sessionUpdate"] == kind {
                return message["params"]["update"].clone();
            }
        }
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Reads it no more.
    pub fn deafen(&mut self) {
        self.from.take();
    }

    /// Ends its input and waits for its end: the status, and what it said on standard error.
    pub async fn status(&mut self) -> (ExitStatus, String) {
        self.to.take();
        self.ended().await
    }

    /// Waits for its end, though its input stays open.
    pub async fn ended(&mut self) -> (ExitStatus, String) {
        let status =
            tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("a status");
        let errors = std::mem::replace(&mut self.errors, tokio::spawn(async { String::new() }));
        (status, errors.await.expect("text"))
    }

    /// Ends its input and waits for its end, which has to be a good one.
    pub async fn finish(mut self) {
        let (status, errors) = self.status().await;
        assert!(status.success(), "{status}: {errors}");
    }
}

/// The texts of the agent's messages.
#[must_use]
pub fn said(messages: &[Value]) -> String {
    let chunks = messages.iter().map(|message| &message["params"]["update"]);
    let chunks = chunks.filter(|update| update["sessionUpdate"] == "agent_message_chunk");
    chunks.map(|update| update["content"]["text"].as_str().unwrap_or_default()).collect()
}

/// The kinds of updates.
#[must_use]
pub fn kinds(messages: &[Value]) -> Vec<&str> {
    messages.iter().filter_map(|message| message["params"]["update"]["sessionUpdate"].as_str()).collect()
}
