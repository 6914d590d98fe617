//! A fake agent at the other end of a connection, and a handler that finds of use what a session says and nothing else.

use std::{sync::Arc, time::Duration};

use agentos_acp::{
    Closure, Error, Limits, Timeouts,
    connection::{Connection, Incoming, IncomingRequest, Outcome},
    envelope::code,
};
use serde_json::{Value, json, value::RawValue};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines},
    sync::mpsc,
    task::JoinHandle,
};

/// Hears updates of the session `s`; refuses all requests.
struct Handler(mpsc::Sender<String>);

impl Incoming for Handler {
    async fn notification(&self, method: &str, params: Option<Box<RawValue>>) -> bool {
        let Some(params) = params.filter(|_| method == "session/update") else { return false };
        let read: Value = serde_json::from_str(params.get()).unwrap_or_default();
        let of_use = read["sessionId"] == "s" && read["update"]["content"]["text"] != "";
        of_use && self.0.send(params.get().to_owned()).await.is_ok()
    }

    async fn request(&self, request: IncomingRequest) -> bool {
        request.responder.error(code::METHOD_NOT_FOUND, "there is none").await;
        false
    }

    async fn responded(&self, _: &str, _: Option<&str>, _: &mut Outcome) {}

    fn closed(&self, _: &Closure) {}
}

/// The agent's side.
pub(crate) struct FakeAgent {
    output: Option<DuplexStream>,
    input: Lines<BufReader<DuplexStream>>,
    /// The parameters of updates that were heard.
    pub(crate) heard: mpsc::Receiver<String>,
}

/// A connection and its agent.
pub(crate) fn pair(limits: Limits) -> (Connection, FakeAgent) {
    let (stdin, input) = tokio::io::duplex(64 << 10);
    let (output, stdout) = tokio::io::duplex(64 << 10);
    let (hears, heard) = mpsc::channel(1000);
    let connection = Connection::spawn(stdout, stdin, Arc::new(Handler(hears)), limits, Timeouts::default());
    (connection, FakeAgent { output: Some(output), input: BufReader::new(input).lines(), heard })
}

/// Asks the agent something, in a task.
pub(crate) fn ask(connection: &Connection, method: &'static str) -> JoinHandle<Result<Box<RawValue>, Error>> {
    let connection = connection.clone();
    tokio::spawn(async move { connection.request(method, None, &json!({}), Duration::from_secs(30)).await })
}

/// An update of a session with a text.
pub(crate) fn update(session: &str, text: &str) -> String {
    let params = json!({
        "sessionId": session,
        "update": {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}},
    });
    json!({"jsonrpc": "2.0", "method": "session/update", "params": params}).to_string()
}

impl FakeAgent {
    /// Writes bytes; false once nobody reads them.
    pub(crate) async fn try_raw(&mut self, bytes: &[u8]) -> bool {
        match &mut self.output {
            Some(output) => output.write_all(bytes).await.is_ok(),
            None => false,
        }
    }

    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        assert!(self.try_raw(bytes).await, "the output of the agent is closed");
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.raw(format!("{}\n", update("s", text)).as_bytes()).await;
    }

    pub(crate) fn close_output(&mut self) {
        self.output = None;
    }

    /// The next message to the agent.
    pub(crate) async fn recv(&mut self) -> Value {
        serde_json::from_str(&self.input.next_line().await.unwrap().unwrap()).unwrap()
    }

    /// The next message, which has this method.
    pub(crate) async fn expect(&mut self, method: &str) -> Value {
        let message = self.recv().await;
        assert_eq!(message["method"], method, "{message}");
        message
    }

    pub(crate) async fn answer(&mut self, request: &Value, result: Value) {
        let answer = json!({"jsonrpc": "2.0", "id": request["id"], "result": result});
        self.raw(format!("{answer}\n").as_bytes()).await;
    }

    /// Waits for an update with this text.
    pub(crate) async fn hear(&mut self, text: &str) {
        loop {
            let heard = self.heard.recv().await.expect("it is heard");
            if heard.contains(&format!("\"{text}\"")) {
                return;
            }
        }
    }
}
