//! The connections of a host, one after the other: hello, ready, signs of life, commands; and how long a session waits for the
//! next one when one is lost.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Map, json};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use ulid::Ulid;

use super::control::{ANSWER, Connected, Control};
use super::hello::{Heartbeat, Hello, Ready, Welcome, next_command};
use super::rpc::{CallError, FromHost, NO_METHOD, Peer};
use super::wire::Wire;
use crate::boot::BootPayload;
use crate::event::{Diagnostic, DiagnosticSource, Severity, now};
use crate::{Command, ErrorInfo, Kernel};

/// How long the first connection is waited for.
pub const FIRST: Duration = Duration::from_secs(30);
/// How long the next one is waited for, when one is lost.
pub const AGAIN: Duration = Duration::from_secs(60);
/// How long until a host that has no command is asked again.
const POLL: Duration = Duration::from_millis(250);
/// How long until a host that fails is asked again.
const RETRY: Duration = Duration::from_secs(5);
/// How long the end of a connection may take to be told.
const CLOSE: Duration = Duration::from_secs(2);
/// As WebSocket has it: the other side does not keep to the protocol.
const PROTOCOL: u16 = 1002;

/// As WebSocket has it: the other side does what it may not.
const POLICY: u16 = 1008;

/// Why this side ends a connection.
struct Refusal {
    code: u16,
    why: &'static str,
}

/// Why no connection comes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoMore {
    /// There was none in time.
    Late,
    /// There can be none.
    Closed,
}

/// What is said on every connection.
pub(super) struct Connections {
    pub(super) control: Arc<Control>,
    pub(super) payload: Arc<BootPayload>,
    pub(super) hello: Hello,
    /// The session, once there is one.
    pub(super) session: OnceLock<Kernel>,
    /// The backend was started.
    pub(super) started: watch::Sender<bool>,
}

impl Connections {
    /// Serves one connection after the other, until none comes any more.
    pub(super) async fn serve_all(&self, mut all: mpsc::Receiver<Wire>) -> NoMore {
        let mut limit = FIRST;
        loop {
            let wire = match timeout(limit, all.recv()).await {
                Ok(Some(wire)) => wire,
                Ok(None) => return NoMore::Closed,
                Err(_) => return NoMore::Late,
            };
            self.serve(wire).await;
            self.lost();
            limit = AGAIN;
        }
    }

    async fn serve(&self, wire: Wire) {
        let Wire { mut from_host, to_host } = wire;
        let peer = Arc::new(Peer::new(to_host));
        let pinged = Notify::new();
        let reads = async {
            while let Some(text) = from_host.recv().await {
                match peer.take(&text).await {
                    Some(FromHost::Command(said, id)) => match (self.control.said(*said), id) {
                        (true, Some(id)) => peer.accept(id).await,
                        (true, None) => {}
                        (false, Some(id)) => peer.put_off(id).await,
                        // It cannot be told, and must not be lost without a word.
                        (false, None) => return Some(Refusal { code: POLICY, why: "too many commands" }),
                    },
                    Some(FromHost::Ping) => pinged.notify_one(),
                    None => {}
                }
            }
            None
        };
        let refused = tokio::select! {
            refused = reads => refused,
            () = peer.gone() => None,
            error = self.talk(&peer, &pinged) => {
                self.control.log(Severity::Error, &error.to_string());
                Some(Refusal { code: PROTOCOL, why: "hello failed" })
            }
        };
        self.control.set(None);
        if let Some(Refusal { code, why }) = refused {
            self.control.log(Severity::Warn, &format!("the control connection is closed: {why}"));
            peer.close(code, why, CLOSE).await;
        }
        peer.leave();
    }

    /// Says that a connection is gone, if the session goes on without it.
    fn lost(&self) {
        let Some(session) = self.session.get().filter(|session| !session.state().is_terminal()) else {
            return self.control.log(Severity::Info, "the control connection is gone");
        };
        session.report(Diagnostic {
            code: "driver.transport_disconnected".to_owned(),
            message: "the control connection is gone; the session waits for the next one".to_owned(),
            severity: Severity::Warn,
            source: DiagnosticSource::Transport,
            reason: None,
            details: Map::new(),
        });
    }

    /// Says all there is to be said by itself; it returns only with the reason to end the connection.
    async fn talk(&self, peer: &Arc<Peer>, pinged: &Notify) -> ErrorInfo {
        let answer = match peer.call("hello", &self.hello, Some(ANSWER)).await {
            Ok(answer) => answer,
            Err(error) => return ErrorInfo::retryable("control.hello_failed", format!("hello: {error}")),
        };
        let welcome = match Welcome::of(answer, &self.payload) {
            Ok(welcome) => welcome,
            Err(error) => return error,
        };
        // What was never said cannot have been heard: to go on would leave a hole.
        let next = self.session.get().map_or(u64::MAX, Kernel::next_seq);
        if welcome.next_seq.is_some_and(|wanted| wanted > next) {
            let text = format!("answer to hello: nextSeq: the next event of the session is {next}");
            return ErrorInfo::new("control.hello_malformed", text);
        }
        self.control.set(Some(Connected { peer: Arc::clone(peer), welcome }));
        // The sender is here: it cannot be gone.
        let _ = self.started.subscribe().wait_for(|started| *started).await;
        let id: Ulid = self.payload.driver_instance_id;
        let ready = Ready { at: now(), driver_instance_id: id, pid: std::process::id() };
        if let Err(error) = peer.call("ready", &ready, Some(ANSWER)).await {
            self.control.log(Severity::Warn, &format!("ready: {error}"));
        }
        tokio::join!(self.beat(peer, welcome, pinged), self.ask_for_commands(peer));
        std::future::pending().await
    }

    /// Signs of life, while the connection is there.
    async fn beat(&self, peer: &Peer, welcome: Welcome, pinged: &Notify) {
        let mut ticks = interval(Duration::from_millis(welcome.heartbeat_ms));
        // A host that is slow gets none more than it wanted.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let reason = tokio::select! {
                _ = ticks.tick() => "interval",
                () = pinged.notified() => "ping",
            };
            let beat = Heartbeat { at: now(), pid: std::process::id(), reason };
            match peer.call("heartbeat", &beat, Some(ANSWER)).await {
                Ok(answer) if answer.get("ok").and_then(serde_json::Value::as_bool) == Some(false) => {
                    self.control.log(Severity::Warn, "the host is not content with the heartbeat");
                }
                Ok(_) => {}
                Err(CallError::Gone) => return,
                Err(error) => self.control.log(Severity::Warn, &format!("heartbeat: {error}")),
            }
        }
    }

    /// Has commands sent, or asks for them if the host cannot send them by itself.
    async fn ask_for_commands(&self, peer: &Peer) {
        match peer.call("watchCommands", &json!({}), Some(ANSWER)).await {
            Ok(_) | Err(CallError::Gone) => return,
            Err(CallError::Refused { code: NO_METHOD, .. }) => {}
            // It may have understood: a command that comes twice is run once.
            Err(error) => self.control.log(Severity::Warn, &format!("watchCommands: {error}")),
        }
        loop {
            match peer.call("nextCommand", &json!({}), None).await {
                Ok(answer) => match next_command(&answer) {
                    Some(command) => {
                        let text = serde_json::to_string(command).unwrap_or_default();
                        self.control.given(Command::parse(&text)).await;
                    }
                    None => sleep(POLL).await,
                },
                Err(CallError::Gone) => return,
                Err(error) => {
                    self.control.log(Severity::Warn, &format!("nextCommand: {error}"));
                    sleep(RETRY).await;
                }
            }
        }
    }
}
