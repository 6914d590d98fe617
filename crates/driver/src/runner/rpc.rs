//! JSON-RPC 2.0 over one control connection: calls of the host with their answers, and what the host says by itself. What the
//! methods mean is not known here, but for those that a host may call.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::wire::ToHost;
use crate::{Command, Malformed};

/// The text is no JSON.
const PARSE: i64 = -32_700;
/// It is no request and no answer.
const INVALID: i64 = -32_600;
/// There is no such method.
pub(super) const NO_METHOD: i64 = -32_601;
/// There is no room for it now.
const BUSY: i64 = -32_000;
/// Calls that wait for their answers.
const MAX_WAITING: usize = 64;

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    /// The connection is gone.
    #[error("the connection is gone")]
    Gone,
    /// No answer came in time.
    #[error("the host did not answer in time")]
    Late,
    /// The host's answer is an error.
    #[error("the host answered with error {code}: {message}")]
    Refused {
        /// The code.
        code: i64,
        /// For people.
        message: String,
    },
    /// What was to be said cannot be written as JSON, or too much is waiting.
    #[error("{0}")]
    Unsaid(String),
}

/// What a host says by itself.
#[derive(Debug)]
pub(super) enum FromHost {
    /// A command, and the id of the request that it came with, if the host wants to know that it was taken.
    Command(Box<Result<Command, Malformed>>, Option<Value>),
    /// It asks for a sign of life.
    Ping,
}

#[derive(Serialize)]
struct Request<'a, P> {
    jsonrpc: &'static str,
    id: u64,
    method: &'a str,
    params: &'a P,
}

type Answer = Result<Value, CallError>;

#[derive(Default)]
struct Waiting {
    last: u64,
    calls: HashMap<u64, oneshot::Sender<Answer>>,
}

/// The host at the other end of one connection.
pub(super) struct Peer {
    to_host: mpsc::Sender<ToHost>,
    waiting: Mutex<Waiting>,
    gone: CancellationToken,
}

/// Forgets a call that nobody waits for any more.
struct Forget<'a>(&'a Peer, u64);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.waiting.lock().calls.remove(&self.1);
    }
}

impl Peer {
    pub(super) fn new(to_host: mpsc::Sender<ToHost>) -> Self {
        Peer { to_host, waiting: Mutex::default(), gone: CancellationToken::new() }
    }

    /// Nobody is there any more: all calls end.
    pub(super) fn leave(&self) {
        self.gone.cancel();
    }

    /// Whether nobody is there any more.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.is_cancelled() || self.to_host.is_closed()
    }

    /// Waits until nobody is there any more.
    pub(super) async fn gone(&self) {
        tokio::select! {
            () = self.gone.cancelled() => {}
            () = self.to_host.closed() => {}
        }
    }

    /// Ends the connection, and waits until that has been told, but not longer than `limit`.
    pub(super) async fn close(&self, code: u16, reason: &'static str, limit: Duration) {
        let told = async {
            if self.to_host.send(ToHost::Close { code, reason }).await.is_ok() {
                self.to_host.closed().await;
            }
        };
        let _ = tokio::time::timeout(limit, told).await;
    }

    async fn say(&self, text: String) -> Result<(), CallError> {
        tokio::select! {
            () = self.gone.cancelled() => Err(CallError::Gone),
            sent = self.to_host.send(ToHost::Message(text)) => sent.map_err(|_| CallError::Gone),
        }
    }

    /// Calls a method, and gives the answer. Without a limit it waits as long as the connection is there.
    pub(super) async fn call(
        &self,
        method: &str,
        params: &(impl Serialize + Sync),
        limit: Option<Duration>,
    ) -> Answer {
        let answered = self.answered(method, params);
        match limit {
            Some(limit) => tokio::time::timeout(limit, answered).await.unwrap_or(Err(CallError::Late)),
            None => answered.await,
        }
    }

    async fn answered(&self, method: &str, params: &(impl Serialize + Sync)) -> Answer {
        let (tell, answer) = oneshot::channel();
        let id = {
            let mut waiting = self.waiting.lock();
            if waiting.calls.len() >= MAX_WAITING {
                return Err(CallError::Unsaid(format!("{MAX_WAITING} calls wait for their answers")));
            }
            waiting.last += 1;
            let id = waiting.last;
            waiting.calls.insert(id, tell);
            id
        };
        let _forget = Forget(self, id);
        let text = serde_json::to_string(&Request { jsonrpc: "2.0", id, method, params })
            .map_err(|error| CallError::Unsaid(format!("{method}: {error}")))?;
        self.say(text).await?;
        tokio::select! {
            biased;
            answer = answer => answer.unwrap_or(Err(CallError::Gone)),
            () = self.gone() => Err(CallError::Gone),
        }
    }

    /// Takes a message of the host: an answer goes to who waits for it, and a request is answered.
    pub(super) async fn take(&self, text: &str) -> Option<FromHost> {
        let message: Value = match serde_json::from_str(text) {
            Ok(message) => message,
            Err(_) => {
                self.refuse(Value::Null, PARSE, "no JSON, or longer than 16 MiB").await;
                return None;
            }
        };
        let id = message.get("id").filter(|id| id.is_string() || id.is_number()).cloned();
        let Some(method) = message.get("method").and_then(Value::as_str) else {
            let answer = id.as_ref().and_then(Value::as_u64).zip(answer_of(&message));
            match answer {
                Some((id, answer)) => {
                    let waits = self.waiting.lock().calls.remove(&id);
                    if let Some(waits) = waits {
                        let _ = waits.send(answer);
                    }
                }
                // An error without an id says that something of ours was not understood; answering it would go on for ever.
                None if message.get("error").is_some() => {}
                None => self.refuse(id.unwrap_or(Value::Null), INVALID, "no request and no answer").await,
            }
            return None;
        };
        let said = match method {
            "command" => {
                let params = message.get("params").unwrap_or(&Value::Null);
                return Some(FromHost::Command(Box::new(Command::parse(&params.to_string())), id));
            }
            "ping" => Some(FromHost::Ping),
            // The events say how a run ended: hosts from before that may still say it here.
            "completeRun" | "failRun" => None,
            _ => {
                if let Some(id) = id {
                    self.refuse(id, NO_METHOD, "no such method of a driver").await;
                }
                return None;
            }
        };
        if let Some(id) = id {
            self.accept(id).await;
        }
        said
    }

    /// Answers a request that there is nothing to say about.
    pub(super) async fn accept(&self, id: Value) {
        let _ = self.say(json!({"jsonrpc": "2.0", "id": id, "result": {}}).to_string()).await;
    }

    /// Answers a request for which there is no room.
    pub(super) async fn put_off(&self, id: Value) {
        self.refuse(id, BUSY, "too many commands wait: send it again later").await;
    }

    async fn refuse(&self, id: Value, code: i64, message: &str) {
        let error = json!({"code": code, "message": message});
        let _ = self.say(json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string()).await;
    }
}

/// What a host answered, if the message is an answer.
fn answer_of(message: &Value) -> Option<Answer> {
    if let Some(error) = message.get("error").filter(|error| !error.is_null()) {
        let code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
        let text = error.get("message").and_then(Value::as_str).unwrap_or("no message");
        return Some(Err(CallError::Refused { code, message: text.chars().take(1000).collect() }));
    }
    message.get("result").cloned().map(Ok)
}
