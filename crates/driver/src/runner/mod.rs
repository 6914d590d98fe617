//! The process runner: one session from its boot payload to its end, driven by a host over a control connection. What carries
//! the connection, and what tells this process to stop, is its caller's: here are messages. It starts nothing before it is run,
//! and opens nothing at all.
//!
//! | file | for |
//! |---|---|
//! | `wire` | a connection: messages in both directions; lines of JSON |
//! | `rpc` | calls and answers on one connection |
//! | `hello` | the words that are said |
//! | `connections` | one connection after the other |
//! | `control` | the host as the session's ports see it, with or without a connection |
//! | `fates`, `logs` | what waits until the host has it |
//! | `secrets` | what is not told |

mod connections;
mod control;
mod fates;
mod hello;
mod logs;
mod rpc;
mod secrets;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

pub use connections::{AGAIN, FIRST};
pub use secrets::same_secret;
pub use wire::{Carrier, MAX_MESSAGE, QUEUE, STUCK, ToHost, Wire, carry_lines};

use crate::boot::{BootPayload, PAYLOAD, PAYLOAD_FILE, PREFIX};
use crate::event::Severity;
use crate::kernel::StartInput;
use crate::ports::HostSnapshot;
use crate::registry::Descriptor;
use crate::{ErrorInfo, Kernel, Ports, State};
use connections::{Connections, NoMore};
use control::Control;
use hello::Hello;
use logs::Logs;
use secrets::Secrets;

/// The variable that says how much is logged: `debug`, `info`, `warn` or `error`.
pub const LOG: &str = "AGENT_DRIVER_LOG";

/// How long fates and logs may take to the host when the session has ended.
const FLUSH: Duration = Duration::from_secs(5);
/// How long the end of the connection may take to be told.
const CLOSE: Duration = Duration::from_secs(2);
/// As WebSocket has it: all went as it should.
const NORMAL: u16 = 1000;
/// As WebSocket has it: something here failed.
const FAILED: u16 = 1011;

/// What is to be run.
pub struct Setup {
    /// What the driver was told.
    pub payload: BootPayload,
    /// The backend.
    pub descriptor: Arc<Descriptor>,
    /// What the backend works with. Where events, commands and logs go, and who knows the host, is the runner's.
    pub ports: Ports,
    /// The least that is logged.
    pub level: Severity,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The payload has secrets.
        f.debug_struct("Setup").field("descriptor", &self.descriptor).finish_non_exhaustive()
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// Why, as the last event of the session says.
    pub reason: String,
    /// What went wrong, if something did.
    pub error: Option<ErrorInfo>,
}

/// Finds the backend of a payload, with the driver's own variables taken over where the payload does not have them. What the
/// backend would refuse is refused here.
///
/// # Errors
/// No such backend, or one of another runtime; a log level that is none; what the backend cannot use.
pub fn prepare(
    mut payload: BootPayload,
    mut variables: BTreeMap<String, String>,
    ports: Ports,
) -> Result<Setup, ErrorInfo> {
    let level = match variables.remove(LOG).as_deref() {
        None | Some("" | "info") => Severity::Info,
        Some("debug") => Severity::Debug,
        Some("warn") => Severity::Warn,
        Some("error") => Severity::Error,
        Some(other) => {
            let text = format!("{LOG}: {other:?} is none of debug, info, warn, error");
            return Err(ErrorInfo::new("boot.malformed", text));
        }
    };
    let own = variables
        .into_iter()
        .filter(|(name, _)| name.starts_with(PREFIX) && name != PAYLOAD && name != PAYLOAD_FILE);
    for (name, value) in own {
        payload.execution.environment.variables.entry(name).or_insert(value);
    }
    let registry = crate::backend::registry();
    let found = registry.find(&payload.runtime_transport, payload.runtime);
    let descriptor = found.map_err(|error| ErrorInfo::new("boot.malformed", error.to_string()))?.clone();
    // It is made once more when the host is there; making one starts nothing.
    (descriptor.create)(&payload.execution, &ports)?;
    Ok(Setup { payload, descriptor, ports, level })
}

/// Runs a session: waits for the host, starts the backend, and goes on until the session has ended and the host has heard of it.
/// Connections come one after the other through `connections`; no more can come once that is closed. What comes through `stops`
/// is a reason to stop, such as `signal.term`.
///
/// # Errors
/// `control.no_connection`: no host came in time. What the session cannot begin with.
pub async fn run(
    setup: Setup,
    connections: mpsc::Receiver<Wire>,
    mut stops: mpsc::Receiver<String>,
) -> Result<Ending, ErrorInfo> {
    let Setup { payload, descriptor, mut ports, level } = setup;
    let start = payload.start_input()?;
    let logs = Arc::new(Logs::new(level, Secrets::of(&payload)));
    let control = Arc::new(Control::new(Arc::clone(&logs), snapshot(&payload)));
    let hello = Hello::new(descriptor.runtime, descriptor.capabilities.clone());
    let all = Arc::new(Connections {
        control: Arc::clone(&control),
        payload: Arc::new(payload),
        hello,
        session: OnceLock::new(),
        started: watch::Sender::new(false),
    });
    let serving = Arc::clone(&all);
    let mut serving =
        AbortOnDropHandle::new(tokio::spawn(async move { serving.serve_all(connections).await }));
    let (fates, lines) = (Arc::clone(&control), Arc::clone(&control));
    let _fates = AbortOnDropHandle::new(tokio::spawn(async move { fates.deliver_fates().await }));
    let _lines = AbortOnDropHandle::new(tokio::spawn(async move { lines.deliver_logs().await }));

    let welcome = tokio::select! {
        connected = control.connected() => connected.welcome,
        why = &mut serving => return Err(nobody(why.unwrap_or(NoMore::Closed))),
        Some(reason) = stops.recv() => return Ok(Ending { reason, error: None }),
    };
    let input =
        StartInput { next_seq: welcome.next_seq.unwrap_or(start.next_seq), batch: welcome.batch, ..start };
    ports.event_sink = Some(control.clone());
    ports.command_source = Some(control.clone());
    ports.host_integration = control.clone();
    ports.logger = logs.clone();
    let told = control.clone();
    let (mut lost, mut told_all) = (false, false);
    // It never ends: what stops the session does so through its commands, also while it is being started.
    let mut stopping = std::pin::pin!(async {
        loop {
            tokio::select! {
                reason = stops.recv(), if !told_all => match reason {
                    Some(reason) => told.stop(&reason),
                    None => told_all = true,
                },
                _ = &mut serving, if !lost => {
                    lost = true;
                    told.abandoned.cancel();
                    told.stop("connection.lost");
                }
                else => std::future::pending::<()>().await,
            }
        }
    });
    let started = tokio::select! {
        started = Kernel::start(descriptor, ports, input) => started,
        () = &mut stopping => return Err(nobody(NoMore::Closed)),
    };
    let session = match started {
        Ok(session) => session,
        Err(error) => {
            control.log(Severity::Error, &format!("driver.runtime_failed: {error}"));
            end(&control, FAILED, "the session cannot begin").await;
            return Err(error);
        }
    };
    let _ = all.session.set(session.clone());
    if !session.state().is_terminal() {
        all.started.send_replace(true);
    }
    tokio::select! {
        () = session.ended() => {}
        () = &mut stopping => {}
    }
    end(&control, NORMAL, "the session has ended").await;
    let last = control.ended();
    let failed = session.state() == State::Failed;
    let unheard = if failed { "session.failed" } else { "session.stop" };
    let reason = last.as_ref().map_or(unheard, |ended| ended.reason.as_str()).to_owned();
    let mut error = last.and_then(|ended| ended.error);
    if failed && error.is_none() {
        error = Some(ErrorInfo::new("driver.runtime_failed", "the session failed"));
    }
    if error.is_none() && reason == "connection.lost" {
        error = Some(nobody(NoMore::Late));
    }
    // What is said outside has no secrets either.
    let error = error.map(|error| ErrorInfo { message: logs.hide(&error.message), ..error });
    Ok(Ending { reason, error })
}

/// Gives fates and logs their time to reach the host, and ends the connection.
async fn end(control: &Control, code: u16, reason: &'static str) {
    let flushed = async {
        tokio::select! {
            biased;
            () = control.abandoned.cancelled() => {}
            () = control.refuse_commands() => {}
            ((), ()) = async { tokio::join!(control.fates.settled(), control.logs.flushed()) } => {}
        }
    };
    let _ = timeout(FLUSH, flushed).await;
    if let Some(connected) = control.current() {
        connected.peer.close(code, reason, CLOSE).await;
    }
}

fn nobody(why: NoMore) -> ErrorInfo {
    let text = match why {
        NoMore::Late => "no host connected in time, or the one that was there did not come back",
        NoMore::Closed => "the control connection ended, and there can be no other",
    };
    ErrorInfo::retryable("control.no_connection", text)
}

fn snapshot(payload: &BootPayload) -> HostSnapshot {
    let members = |value: Result<Value, serde_json::Error>| match value {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    HostSnapshot {
        config_revision: members(serde_json::to_value(&payload.execution.config_revision)),
        session_context: members(serde_json::to_value(&payload.execution.session.context)),
    }
}

#[cfg(test)]
fn tests_payload() -> BootPayload {
    let id = "01ARZ3NDEKTSV4RRFFQ69G5FAW";
    let payload = serde_json::json!({
        "protocolVersion": 1, "driverInstanceId": id, "sandboxId": id, "driverGeneration": 0,
        "bootToken": "boot-token", "driverControlPort": 20000, "heartbeatIntervalMs": 250, "traceparent": "00-x",
        "runtime": "acp-fallback", "runtimeTransport": "acp-fallback",
        "execution": {
            "configRevision": {"agentId": id, "environmentId": id, "environmentRevisionId": id, "sessionId": id},
            "environment": {"variables": {"SOME_API_KEY": "sk-12345678", "SHORT_KEY": "a"}},
            "model": "m", "provider": "p", "session": {"cwd": "/", "mcpServers": [
                {"name": "m", "authorizationState": "active", "proxyUrl": "http://p", "proxyGrantId": "grant-one"}]},
        },
    });
    BootPayload::parse(&payload.to_string()).unwrap()
}
