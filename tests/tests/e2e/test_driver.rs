//! `agentos driver` as a host has it: the real program beside a real agent, over WebSocket and over standard streams. Prompts,
//! lost connections, strangers, stops and signals.

use std::process::Stdio;

use agentos_tests::{cli, eventually, watched};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::{Error, Message};

/// What no output may show.
const TOKEN: &str = "a token, & secret";
const SESSION: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// A port that was free a moment ago, of those that a driver may listen on.
async fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        if (20_000..=59_999).contains(&port) {
            return port;
        }
    }
}

fn payload(port: u16) -> Value {
    json!({
        "protocolVersion": 1, "driverInstanceId": SESSION, "sandboxId": SESSION, "driverGeneration": 0,
        "bootToken": TOKEN, "driverControlPort": port, "heartbeatIntervalMs": 250, "traceparent": "00-x",
        "runtime": "acp-fallback", "runtimeTransport": "acp-fallback",
        "execution": {
            "configRevision": {"agentId": SESSION, "environmentId": SESSION, "environmentRevisionId": SESSION,
                "sessionId": SESSION},
            "environment": {"variables": {"FOR_THE_AGENT": "yes"}},
            "model": "m", "provider": "p", "session": {"cwd": "/tmp"},
        },
    })
}

fn driver(payload: &Value) -> Command {
    let mut command = cli();
    command.arg("driver").env("AGENT_DRIVER_BOOT_PAYLOAD", payload.to_string());
    command.env("AGENT_DRIVER_ACP_COMMAND", env!("CARGO_BIN_EXE_acp_agent")).env("NOT_FOR_THE_AGENT", "no");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Starts one that listens, and gives what it says on standard error from then on.
async fn listening(payload: &Value) -> (Child, impl Future<Output = String> + use<>) {
    let mut child = driver(payload).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).await.unwrap();
    assert!(line.contains("listening on 127.0.0.1:"), "{line}");
    let rest = async move {
        let mut rest = line;
        stderr.read_to_string(&mut rest).await.unwrap();
        rest
    };
    (child, rest)
}

async fn tcp(port: u16) -> TcpStream {
    TcpSocket::new_v4().unwrap().connect(([127, 0, 0, 1], port).into()).await.unwrap()
}

/// The status that a request for a control connection gets.
async fn status(port: u16, path: &str) -> u16 {
    match client_async(format!("ws://127.0.0.1:{port}{path}"), tcp(port).await).await {
        Ok(_) => 101,
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{path}: {error}"),
    }
}

const PATH: &str = "/driver?token=a%20token%2C%20%26%20secret";

/// A host at the other end of a connection. It keeps events over connections.
struct Host {
    to: mpsc::Sender<String>,
    from: mpsc::Receiver<String>,
    /// With what a WebSocket was closed.
    closed: tokio::task::JoinHandle<Option<u16>>,
}

#[derive(Default)]
struct Kept {
    events: Vec<Value>,
    calls: Vec<(String, Value)>,
}

impl Kept {
    fn settled(&self, id: &str) -> bool {
        self.calls.iter().any(|(name, params)| {
            name == "commandUpdate" && params["commandId"] == id && params["status"] != "accepted"
        })
    }

    /// Whether a turn has ended, also for who reads events alone.
    fn ended(&self, id: &str) -> bool {
        let is = |event: &Value| event["kind"] == "turn.completed" && event["turnId"] == ulid(id);
        self.settled(id) && self.events.iter().any(is)
    }

    fn kinds(&self) -> Vec<&str> {
        self.events.iter().map(|event| event["kind"].as_str().unwrap()).collect()
    }

    fn text(&self) -> String {
        let deltas = self.events.iter().filter(|event| event["kind"] == "item.delta");
        deltas.map(|event| event["payload"]["delta"].as_str().unwrap()).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.closed.abort();
    }
}

impl Host {
    /// Connects, once the one before is gone.
    async fn connect(port: u16) -> Self {
        let mut connected = None;
        eventually("there is a place", async || {
            let tried = client_async(format!("ws://127.0.0.1:{port}{PATH}"), tcp(port).await).await;
            connected = tried.ok();
            connected.is_some()
        })
        .await;
        let (socket, _) = connected.unwrap();
        let (mut write, mut read) = socket.split();
        let (to, mut says) = mpsc::channel::<String>(64);
        let (heard, from) = mpsc::channel(64);
        tokio::spawn(async move {
            while let Some(text) = says.recv().await {
                let _ = write.send(Message::Text(text.into())).await;
            }
        });
        let closed = tokio::spawn(async move {
            while let Some(Ok(message)) = read.next().await {
                match message {
                    Message::Text(text) => {
                        let _ = heard.send(text.as_str().to_owned()).await;
                    }
                    Message::Close(frame) => return frame.map(|frame| frame.code.into()),
                    _ => {}
                }
            }
            None
        });
        Host { to, from, closed }
    }

    fn of_streams(child: &mut Child) -> Self {
        let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (to, mut says) = mpsc::channel::<String>(64);
        let (heard, from) = mpsc::channel(64);
        tokio::spawn(async move {
            while let Some(text) = says.recv().await {
                let _ = stdin.write_all(format!("{text}\n").as_bytes()).await;
            }
        });
        let closed = tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let _ = heard.send(line).await;
            }
            None
        });
        Host { to, from, closed }
    }

    async fn command(&self, id: &str, mut command: Value) {
        command["commandId"] = id.into();
        let message = json!({"jsonrpc": "2.0", "method": "command", "params": command});
        self.to.send(message.to_string()).await.unwrap();
    }

    async fn prompt(&self, id: &str, text: &str) {
        let input =
            json!({"kind": "input.start", "requestId": id, "runId": ulid(id), "input": {"text": text}});
        self.command(id, input).await;
    }

    /// Answers until something is heard, or the other end is gone. With `answers`: events are kept for good.
    async fn until(&mut self, kept: &mut Kept, answers: bool, is: impl Fn(&Kept) -> bool) {
        while !is(kept) {
            let Some(text) = self.from.recv().await else { return };
            let message: Value = serde_json::from_str(&text).unwrap();
            let Some(method) = message["method"].as_str() else { continue };
            let params = &message["params"];
            kept.calls.push((method.to_owned(), params.clone()));
            let next = |kept: &Kept| kept.events.last().map_or(1, |event| event["seq"].as_u64().unwrap() + 1);
            let result = match method {
                "hello" => json!({"driverInstanceId": SESSION, "connectionId": "c", "runId": null,
                    "acceptedCapabilities": [], "heartbeatIntervalMs": 250, "nextSeq": next(kept),
                    "runConfig": {"commandLeaseMs": 1000, "envPolicy": "strict", "eventBatchMaxSize": 8,
                        "organizationPath": "/organization"}}),
                "pushEvents" => {
                    for event in params["events"].as_array().unwrap() {
                        if event["seq"].as_u64().unwrap() >= next(kept) {
                            kept.events.push(event.clone());
                        }
                    }
                    if !answers {
                        continue;
                    }
                    json!({"lastSeq": next(kept) - 1})
                }
                "heartbeat" => json!({"heartbeatCount": 1, "ok": true}),
                _ => json!({}),
            };
            let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
            self.to.send(answer.to_string()).await.unwrap();
        }
    }

    async fn ended(&mut self, kept: &mut Kept, id: &str) {
        self.until(kept, true, |kept| kept.ended(id)).await;
        assert!(kept.ended(id), "the driver is gone: {:?}", kept.calls.last());
    }
}

/// An id of a turn by a short name of digits.
fn ulid(name: &str) -> String {
    format!("{name:0>26}")
}

#[test]
fn a_host_by_websocket_prompts_comes_back_and_stops() {
    watched(async || {
        let port = free_port().await;
        let (mut child, stderr) = listening(&payload(port)).await;
        // Strangers: some say nothing, some half of it, some the wrong thing. None delays the host.
        let mut strangers = Vec::new();
        for n in 0..100 {
            let mut stranger = tcp(port).await;
            if n % 2 == 0 {
                stranger.write_all(b"GET /driver?token=x HTTP/1.1\r\nHost: a\r\n").await.unwrap();
            }
            strangers.push(stranger);
        }
        for (path, answer) in [
            ("/driver?token=wrong", 401),
            ("/driver", 401),
            ("/other", 404),
            ("/?token=a%20token%2C%20%26%20secret", 404),
        ] {
            assert_eq!(status(port, path).await, answer, "{path}");
        }
        let mut kept = Kept::default();
        let mut host = Host::connect(port).await;
        host.until(&mut kept, true, |kept| kept.calls.iter().any(|(name, _)| name == "heartbeat")).await;
        assert_eq!(status(port, PATH).await, 409);
        assert_eq!(status(port, "/driver?token=wrong").await, 401);
        drop(strangers);

        // What the host does not take it gets from the next connection.
        let words: Vec<String> = (0..50).map(|n| format!("word{n}")).collect();
        host.prompt("1", &words.join(" ")).await;
        let before = kept.events.len();
        host.until(&mut kept, false, |kept| kept.events.len() > before).await;
        drop(host);
        let mut host = Host::connect(port).await;
        host.ended(&mut kept, "1").await;
        let numbers: Vec<u64> = kept.events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        let items = |kind: &str| {
            let is = |event: &&Value| {
                event["kind"] == "item.completed" && event["payload"]["item"]["kind"] == kind
            };
            kept.events.iter().filter(is).count()
        };
        assert_eq!(items("tool_call"), 50);
        assert_eq!(kept.text(), words.concat());

        // The agent sees none of what is the driver's.
        let before = kept.text().len();
        host.prompt("2", "environment").await;
        host.ended(&mut kept, "2").await;
        let seen = kept.text().split_off(before);
        assert!(seen.contains("\"FOR_THE_AGENT\"=\"yes\""), "{seen}");
        for hidden in [TOKEN, "AGENT_DRIVER", "bootToken", "\"NOT_FOR_THE_AGENT\"=\"no\""] {
            assert!(!seen.contains(hidden), "{hidden}: {seen}");
        }

        host.command("3", json!({"kind": "session.stop", "reason": "enough"})).await;
        host.until(&mut kept, true, |_| false).await;
        assert_eq!(kept.events.last().unwrap()["payload"]["reason"], "enough");
        assert_eq!((&mut host.closed).await.unwrap(), Some(1000));
        assert_eq!(child.wait().await.unwrap().code(), Some(0));
        let said = format!("{}{}", stderr.await, serde_json::to_string(&kept.calls).unwrap());
        assert!(!said.contains(TOKEN), "{said}");
    });
}

#[test]
fn a_host_by_standard_streams_and_a_signal() {
    watched(async || {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), payload(20_000).to_string()).unwrap();
        let mut command = driver(&json!({}));
        command.env_remove("AGENT_DRIVER_BOOT_PAYLOAD").env("AGENT_DRIVER_BOOT_PAYLOAD_FILE", file.path());
        let mut child = command.arg("--stdio").stdin(Stdio::piped()).spawn().unwrap();
        let mut host = Host::of_streams(&mut child);
        let mut kept = Kept::default();
        host.prompt("1", "hello there").await;
        host.ended(&mut kept, "1").await;
        assert_eq!(kept.text(), "hellothere");
        assert!(!file.path().exists(), "the payload is removed");
        host.prompt("2", "hang").await;
        host.until(&mut kept, true, |kept| {
            kept.kinds().iter().filter(|kind| **kind == "turn.started").count() == 2
        })
        .await;
        signal(&child, rustix::process::Signal::TERM);
        host.until(&mut kept, true, |_| false).await;
        let [.., completed, ended] = &kept.events[..] else { panic!("{:?}", kept.kinds()) };
        assert_eq!(
            (&ended["kind"], &ended["payload"]["reason"]),
            (&json!("session.ended"), &json!("signal.term"))
        );
        assert_eq!(completed["kind"], "turn.completed");
        assert!(kept.settled("2"));
        assert_eq!(child.wait().await.unwrap().code(), Some(0));

        // When the other end goes there can be no other.
        let mut child = driver(&payload(20_000)).arg("--stdio").stdin(Stdio::piped()).spawn().unwrap();
        let mut host = Host::of_streams(&mut child);
        let mut kept = Kept::default();
        host.until(&mut kept, true, |kept| kept.calls.iter().any(|(name, _)| name == "ready")).await;
        drop(host);
        assert_eq!(child.wait().await.unwrap().code(), Some(1));
    });
}

#[test]
fn a_signal_ends_a_driver_that_listens_and_closes_its_host_properly() {
    watched(async || {
        let port = free_port().await;
        let (mut child, _stderr) = listening(&payload(port)).await;
        let mut kept = Kept::default();
        let mut host = Host::connect(port).await;
        host.prompt("1", "hang").await;
        host.until(&mut kept, true, |kept| kept.kinds().contains(&"turn.started")).await;
        signal(&child, rustix::process::Signal::INT);
        host.until(&mut kept, true, |_| false).await;
        assert_eq!(kept.events.last().unwrap()["payload"]["reason"], "signal.int");
        assert_eq!((&mut host.closed).await.unwrap(), Some(1000));
        assert_eq!(child.wait().await.unwrap().code(), Some(0));
        // Nobody has come yet.
        let port = free_port().await;
        let (mut child, _stderr) = listening(&payload(port)).await;
        signal(&child, rustix::process::Signal::TERM);
        assert_eq!(child.wait().await.unwrap().code(), Some(0));
    });
}

#[test]
fn what_a_driver_cannot_begin_with_is_named_and_tells_no_secret() {
    watched(async || {
        let mut wrong = payload(20_000);
        wrong["execution"]["session"]["cwd"] = "tmp".into();
        let mut other = payload(20_000);
        other["runtimeTransport"] = "other".into();
        for (payload, named) in
            [(wrong, "execution.session.cwd"), (other, "other"), (json!({}), "boot payload")]
        {
            let output = driver(&payload).output().await.unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains(named) && !said.contains(TOKEN), "{said}");
            assert!(output.stdout.is_empty());
        }
        let mut command = driver(&json!({}));
        command.env_remove("AGENT_DRIVER_BOOT_PAYLOAD").arg("--stdio");
        let output = command.output().await.unwrap();
        assert!(String::from_utf8_lossy(&output.stderr).contains("--stdio"), "{output:?}");
        // By standard input, and a port that somebody has.
        let port = free_port().await;
        let taken = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let mut command = driver(&json!({}));
        let mut child =
            command.env_remove("AGENT_DRIVER_BOOT_PAYLOAD").stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(payload(port).to_string().as_bytes()).await.unwrap();
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(&format!("127.0.0.1:{port}")) && !said.contains(TOKEN), "{said}");
        drop(taken);
    });
}
