//! A host of a runner: it keeps events, answers calls, and connects again. The agent beside it is a script that speaks ACP.

use std::collections::HashMap;
use std::sync::Arc;

use agentos_driver::boot::BootPayload;
use agentos_driver::process::{Exit, Line, Lines};
use agentos_driver::runner::{Ending, Wire, carry_lines, prepare, run};
use agentos_driver::testing::{ScriptedLauncher, VendorSide};
use agentos_driver::{ErrorInfo, Ports};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt, DuplexStream, ReadHalf, duplex, split};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use ulid::Ulid;

/// What a host may want to say at once.
const SAYS: usize = 8192;
/// What a pipe between host and driver holds.
const PIPE: usize = 64 << 10;

pub(crate) fn payload() -> Value {
    let id = Ulid::generate().to_string();
    json!({
        "protocolVersion": 1, "driverInstanceId": id, "sandboxId": id, "driverGeneration": 0,
        "bootToken": "the-boot-token", "driverControlPort": 20000, "heartbeatIntervalMs": 1000, "traceparent": "00-x",
        "runtime": "acp-fallback", "runtimeTransport": "acp-fallback",
        "execution": {
            "configRevision": {"agentId": id, "environmentId": id, "environmentRevisionId": id, "sessionId": id},
            "environment": {"variables": {"AGENT_DRIVER_ACP_COMMAND": "agent"}}, "model": "m", "provider": "p",
            "session": {"cwd": "/"},
        },
    })
}

/// An agent that says as many words as it is asked for, in messages of their own; `hang` waits for a cancel. `die` ends it.
pub(crate) async fn agent(mut side: VendorSide) -> Exit {
    let (mut hangs, mut said) = (None, 0);
    while let Some(message) = side.recv_at_last().await {
        let answer = |result: Value| json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
        match message["method"].as_str().unwrap_or_default() {
            "initialize" => {
                side.send(answer(json!({"protocolVersion": 1, "agentCapabilities": {}, "authMethods": []})))
                    .await;
            }
            "session/new" => {
                side.send(answer(json!({"sessionId": "s1"}))).await;
            }
            "session/prompt" => {
                let text = message["params"]["prompt"][0]["text"].as_str().unwrap_or_default().to_owned();
                match text.parse::<usize>() {
                    Ok(count) => {
                        for _ in 0..count {
                            said += 1;
                            let update = json!({"sessionUpdate": "tool_call", "toolCallId": format!("t{said}"),
                                "title": "word", "kind": "other", "status": "completed"});
                            let params = json!({"sessionId": "s1", "update": update});
                            side.send(
                                json!({"jsonrpc": "2.0", "method": "session/update", "params": params}),
                            )
                            .await;
                        }
                        side.send(answer(json!({"stopReason": "end_turn"}))).await;
                    }
                    Err(_) if text == "die" => return Exit { code: Some(3), signal: None },
                    Err(_) => hangs = Some(message["id"].clone()),
                }
            }
            "session/cancel" => {
                if let Some(id) = hangs.take() {
                    let result = json!({"stopReason": "cancelled"});
                    side.send(json!({"jsonrpc": "2.0", "id": id, "result": result})).await;
                }
            }
            _ => {}
        }
    }
    Exit { code: Some(0), signal: None }
}

/// How the host answers a call.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Usual,
    Result(Value),
    Error(i64),
    /// As usual, but the answer is lost on its way if it would say anything new.
    Lost,
    Never,
}

/// What the host has heard, on all of its connections.
#[derive(Default)]
pub(crate) struct Heard {
    /// Calls in their order.
    pub(crate) calls: Vec<(String, Value)>,
    /// Events that are kept, each once.
    pub(crate) events: Vec<Value>,
    /// Events that came again.
    pub(crate) again: usize,
    /// What was no call: answers, and the connections that ended as `null`.
    pub(crate) answers: Vec<Value>,
    /// How calls are answered, if not as usual.
    pub(crate) answer: HashMap<String, Answer>,
    /// What a hello is answered besides.
    pub(crate) hello: Value,
}

impl Heard {
    pub(crate) fn of(&self, method: &str) -> Vec<&Value> {
        self.calls.iter().filter(|(name, _)| name == method).map(|(_, params)| params).collect()
    }

    pub(crate) fn kinds(&self) -> Vec<&str> {
        self.events.iter().map(|event| event["kind"].as_str().unwrap()).collect()
    }

    /// How the host heard that a command ended.
    pub(crate) fn fates(&self, command_id: &str) -> Vec<&str> {
        let of = self.of("commandUpdate").into_iter().filter(|update| update["commandId"] == command_id);
        of.map(|update| update["status"].as_str().unwrap()).collect()
    }

    fn next_seq(&self) -> u64 {
        self.events.last().map_or(1, |event| event["seq"].as_u64().unwrap() + 1)
    }

    fn keep(&mut self, params: &Value) -> Value {
        let events = params["events"].as_array().unwrap();
        assert_eq!(params["firstSeq"], events[0]["seq"]);
        assert_eq!(params["lastSeq"], events.last().unwrap()["seq"]);
        for event in events {
            if event["seq"].as_u64().unwrap() < self.next_seq() {
                self.again += 1;
                let same = self.events.iter().any(|kept| kept["id"] == event["id"]);
                assert!(same, "what comes again is the same: {event}");
            } else {
                self.events.push(event.clone());
            }
        }
        json!({"lastSeq": self.next_seq() - 1})
    }

    fn take(&mut self, method: &str, params: &Value) -> Option<Value> {
        self.calls.push((method.to_owned(), params.clone()));
        let usual = match self.answer.get(method).cloned().unwrap_or(Answer::Usual) {
            Answer::Never => return None,
            Answer::Lost => {
                let had = self.events.len();
                let kept = self.keep(params);
                return (self.events.len() == had).then(|| json!({ "result": kept }));
            }
            Answer::Error(code) => return Some(json!({"error": {"code": code, "message": "no"}})),
            Answer::Result(result) => result,
            Answer::Usual => match method {
                "hello" => {
                    let mut answer = json!({"acceptedCapabilities": [], "connectionId": "c", "heartbeatIntervalMs": 1000,
                        "runConfig": {"commandLeaseMs": 1000, "envPolicy": "strict", "eventBatchMaxSize": 64,
                            "organizationPath": "/organization"}, "runId": null});
                    let more = self.hello.as_object().cloned().unwrap_or_default();
                    answer.as_object_mut().unwrap().extend(more);
                    answer
                }
                "pushEvents" => self.keep(params),
                "heartbeat" => json!({"heartbeatCount": 1, "ok": true}),
                _ => json!({}),
            },
        };
        Some(json!({ "result": usual }))
    }
}

/// A runner, and the host that it has.
pub(crate) struct Host {
    pub(crate) heard: Arc<Mutex<Heard>>,
    changed: watch::Sender<()>,
    wires: Option<mpsc::Sender<Wire>>,
    pub(crate) stops: mpsc::Sender<String>,
    pub(crate) run: JoinHandle<Result<Ending, ErrorInfo>>,
}

/// One connection of a host. It ends when this is dropped.
pub(crate) struct Connection {
    says: mpsc::Sender<String>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Host {
    pub(crate) fn new() -> Self {
        Host::with(payload(), ScriptedLauncher::new(agent))
    }

    pub(crate) fn with(payload: Value, launcher: ScriptedLauncher) -> Self {
        let payload = BootPayload::parse(&payload.to_string()).unwrap();
        let setup = prepare(payload, Default::default(), Ports::new(Arc::new(launcher))).unwrap();
        let (wires, connections) = mpsc::channel(1);
        let (stops, told) = mpsc::channel(4);
        let run = tokio::spawn(run(setup, connections, told));
        let heard = Arc::new(Mutex::new(Heard::default()));
        Host { heard, changed: watch::Sender::new(()), wires: Some(wires), stops, run }
    }

    /// No other connection can come after the ones that did.
    pub(crate) fn no_more(&mut self) {
        self.wires = None;
    }

    pub(crate) fn answer(&self, method: &str, answer: Answer) {
        self.heard.lock().answer.insert(method.to_owned(), answer);
    }

    pub(crate) async fn connect(&self) -> Connection {
        let (wire, carrier) = Wire::new();
        let (ours, theirs) = duplex(PIPE);
        let (theirs_read, theirs_write) = split(theirs);
        tokio::spawn(carry_lines(theirs_read, theirs_write, carrier));
        self.wires.as_ref().unwrap().send(wire).await.unwrap();
        let (read, mut write) = split(ours);
        let (says, mut said) = mpsc::channel::<String>(SAYS);
        let reads = tokio::spawn(reads(read, Arc::clone(&self.heard), self.changed.clone(), says.clone()));
        let writes = tokio::spawn(async move {
            while let Some(text) = said.recv().await {
                // The driver may be gone.
                let _ = write.write_all(format!("{text}\n").as_bytes()).await;
            }
        });
        Connection { says, tasks: [reads, writes] }
    }

    /// Waits until the host has heard something.
    pub(crate) async fn until(&self, is: impl Fn(&Heard) -> bool) {
        let mut changed = self.changed.subscribe();
        while !is(&self.heard.lock()) {
            changed.changed().await.unwrap();
        }
    }

    /// Answers to the end of the run.
    pub(crate) async fn end(self, connection: Connection) -> (Result<Ending, ErrorInfo>, Arc<Mutex<Heard>>) {
        let ended = self.run.await.unwrap();
        drop(connection);
        (ended, self.heard)
    }
}

async fn reads(
    read: ReadHalf<DuplexStream>,
    heard: Arc<Mutex<Heard>>,
    changed: watch::Sender<()>,
    says: mpsc::Sender<String>,
) {
    let mut lines = Lines::new(read);
    while let Ok(Some(Line::Text(line))) = lines.next().await {
        let message: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(message["jsonrpc"], "2.0", "{message}");
        let answer = match message["method"].as_str() {
            Some(method) => heard.lock().take(method, &message["params"]),
            None => {
                heard.lock().answers.push(message.clone());
                None
            }
        };
        if let Some(mut answer) = answer {
            answer["jsonrpc"] = "2.0".into();
            answer["id"] = message["id"].clone();
            let _ = says.send(answer.to_string()).await;
        }
        changed.send_replace(());
    }
    heard.lock().answers.push(Value::Null);
    changed.send_replace(());
}

impl Connection {
    pub(crate) async fn say(&self, message: &Value) {
        self.say_text(&message.to_string()).await;
    }

    pub(crate) async fn say_text(&self, text: &str) {
        self.says.send(text.to_owned()).await.unwrap();
    }

    /// A command, and its id.
    pub(crate) async fn command(&self, mut command: Value) -> String {
        let id = Ulid::generate().to_string();
        command["commandId"] = id.clone().into();
        self.say(&json!({"jsonrpc": "2.0", "method": "command", "params": command})).await;
        id
    }

    pub(crate) async fn prompt(&self, text: &str) -> String {
        self.command(prompt(text)).await
    }

    pub(crate) async fn stop(&self) -> String {
        self.command(json!({"kind": "session.stop", "reason": "enough"})).await
    }
}

pub(crate) fn prompt(text: &str) -> Value {
    json!({"kind": "input.start", "requestId": "r", "runId": Ulid::generate().to_string(), "input": {"text": text}})
}
