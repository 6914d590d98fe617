//! The agent side of a connection, driven line by line by a test.

use std::time::Duration;

use agentos_acp::{AgentPeer, Event, EventKind, EventLog, NewSession, PeerOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines};

/// The far end of the peer's pipes.
pub(crate) struct FakeAgent {
    input: Lines<BufReader<DuplexStream>>,
    output: DuplexStream,
}

/// A peer and the agent it talks to, with pipes of 64 KiB.
pub(crate) fn pair(options: PeerOptions) -> (AgentPeer, FakeAgent) {
    let (stdin, agent_in) = tokio::io::duplex(64 << 10);
    let (agent_out, stdout) = tokio::io::duplex(64 << 10);
    let agent = FakeAgent { input: BufReader::new(agent_in).lines(), output: agent_out };
    (AgentPeer::connect(stdout, stdin, options), agent)
}

/// A peer with one session `s`.
pub(crate) async fn ready(options: PeerOptions) -> (AgentPeer, FakeAgent) {
    ready_with(options, json!({}), json!({"sessionId": "s"})).await
}

/// The same with the agent's capabilities and its session result given.
pub(crate) async fn ready_with(
    options: PeerOptions,
    capabilities: Value,
    session: Value,
) -> (AgentPeer, FakeAgent) {
    let (peer, mut agent) = pair(options);
    let start = async {
        peer.initialize().await.unwrap();
        peer.new_session(NewSession::in_directory("/w")).await.unwrap();
    };
    let serve = async {
        let request = agent.expect("initialize").await;
        agent.answer(&request, json!({"protocolVersion": 1, "agentCapabilities": capabilities})).await;
        let request = agent.expect("session/new").await;
        assert_eq!(request["params"], json!({"cwd": "/w", "mcpServers": []}));
        agent.answer(&request, session).await;
    };
    tokio::join!(start, serve);
    (peer, agent)
}

impl FakeAgent {
    /// The next message of the peer.
    pub(crate) async fn recv(&mut self) -> Value {
        let line = tokio::time::timeout(Duration::from_secs(3600), self.input.next_line()).await;
        serde_json::from_str(&line.expect("a message").unwrap().expect("not the end")).unwrap()
    }

    /// The end of the peer's messages.
    pub(crate) async fn eof(&mut self) -> bool {
        self.input.next_line().await.unwrap().is_none()
    }

    pub(crate) async fn expect(&mut self, method: &str) -> Value {
        let message = self.recv().await;
        assert_eq!(message["method"], method, "{message}");
        message
    }

    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        let _ = self.output.write_all(bytes).await;
    }

    /// False if nobody reads any more.
    pub(crate) async fn try_raw(&mut self, bytes: &[u8]) -> bool {
        self.output.write_all(bytes).await.is_ok()
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.raw(format!("{message}\n").as_bytes()).await;
    }

    pub(crate) async fn answer(&mut self, request: &Value, result: Value) {
        self.send(json!({"jsonrpc": "2.0", "id": request["id"], "result": result})).await;
    }

    pub(crate) async fn fail(&mut self, request: &Value, code: i64) {
        self.send(json!({"jsonrpc": "2.0", "id": request["id"], "error": {"code": code, "message": "no"}}))
            .await;
    }

    pub(crate) async fn update(&mut self, update: Value) {
        let params = json!({"sessionId": "s", "update": update});
        self.send(json!({"jsonrpc": "2.0", "method": "session/update", "params": params})).await;
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.update(
            json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}),
        )
        .await;
    }

    pub(crate) async fn ask(&mut self, id: Value, options: &[(&str, &str)]) {
        let options: Vec<_> = options
            .iter()
            .map(|(name, kind)| json!({"optionId": name, "name": name, "kind": kind}))
            .collect();
        let params = json!({"sessionId": "s", "toolCall": {"toolCallId": "t"}, "options": options});
        self.send(
            json!({"jsonrpc": "2.0", "id": id, "method": "session/request_permission", "params": params}),
        )
        .await;
    }

    /// Closes the agent's stdout only.
    pub(crate) async fn close_output(&mut self) {
        self.output.shutdown().await.unwrap();
    }
}

/// Waits for the first event of a kind, from the start of the log.
pub(crate) async fn event(log: &EventLog, wanted: impl Fn(&Event) -> bool) -> std::sync::Arc<Event> {
    let mut events = log.subscribe(log.range().start, agentos_acp::Delivery::Lossy).unwrap();
    let search = async {
        loop {
            let event = events.next().await.unwrap().expect("the event before the end");
            if wanted(&event) {
                return event;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(3600), search).await.expect("the event in time")
}

/// A short name per event, for comparing sequences.
pub(crate) fn names(log: &EventLog) -> Vec<String> {
    let events = log.read(log.range().start, usize::MAX).unwrap();
    events
        .iter()
        .map(|event| match &event.kind {
            EventKind::Update => {
                let payload: Value = serde_json::from_str(event.payload.get()).unwrap();
                payload["update"]["sessionUpdate"].as_str().unwrap_or("?").to_owned()
            }
            _ => event.method.to_string(),
        })
        .collect()
}
