//! The host as the session sees it, whichever connection it has just now or none: it takes events and fates, gives commands, and
//! hears logs. What waits for a connection waits here.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::fates::Fates;
use super::hello::{PushEvents, Pushed, Welcome};
use super::logs::Logs;
use super::rpc::{CallError, Peer};
use crate::error::STOPPING;
use crate::event::{Body, Ended, Event, Severity};
use crate::ports::{CommandSource, EventSink, HostIntegration, HostSnapshot, Pending};
use crate::{Command, CommandUpdate, ErrorInfo, Fate, Malformed, Order};

/// How long a host may take to answer.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
/// How long it may take to keep events.
const KEEP: Duration = Duration::from_secs(30);
/// How much of events one push has, about, in bytes; one event may have more.
const PUSH_BYTES: usize = 8 << 20;
/// Commands that wait until the session takes them.
const COMMANDS: usize = 256;
/// Rejected events of one push that are logged.
const MAX_REJECTED: usize = 16;

/// A connection that has said hello.
#[derive(Clone)]
pub(super) struct Connected {
    pub(super) peer: Arc<Peer>,
    pub(super) welcome: Welcome,
}

/// A queue of which this holds both ends, so that it is never closed.
struct Queue<T> {
    add: mpsc::Sender<T>,
    take: tokio::sync::Mutex<mpsc::Receiver<T>>,
}

impl<T> Queue<T> {
    fn new(limit: usize) -> Self {
        let (add, take) = mpsc::channel(limit);
        Queue { add, take: tokio::sync::Mutex::new(take) }
    }
}

type Said = Result<Command, Malformed>;

/// The host, whichever connection it has.
pub(super) struct Control {
    pub(super) logs: Arc<Logs>,
    pub(super) fates: Fates,
    now: watch::Sender<Option<Connected>>,
    /// No host will ever come any more: nothing waits for one.
    pub(super) abandoned: CancellationToken,
    commands: Queue<Said>,
    stops: Queue<Command>,
    /// Why the runner stops the session, if it does.
    stopped: Mutex<Option<String>>,
    /// The last event, once it was on its way.
    ended: Mutex<Option<Ended>>,
    snapshot: HostSnapshot,
}

impl Control {
    pub(super) fn new(logs: Arc<Logs>, snapshot: HostSnapshot) -> Self {
        Control {
            logs,
            fates: Fates::new(),
            now: watch::Sender::new(None),
            abandoned: CancellationToken::new(),
            commands: Queue::new(COMMANDS),
            stops: Queue::new(1),
            stopped: Mutex::new(None),
            ended: Mutex::new(None),
            snapshot,
        }
    }

    /// The connection that there is now, or not.
    pub(super) fn set(&self, connected: Option<Connected>) {
        self.now.send_replace(connected);
    }

    /// The connection that there is now.
    pub(super) fn current(&self) -> Option<Connected> {
        self.now.borrow().clone()
    }

    /// The connection, once there is one.
    pub(super) async fn connected(&self) -> Connected {
        let mut now = self.now.subscribe();
        loop {
            let is_there = |now: &Option<Connected>| now.as_ref().is_some_and(|c| !c.peer.is_gone());
            // The sender is here: it cannot be gone.
            if let Ok(found) = now.wait_for(is_there).await
                && let Some(found) = found.clone()
            {
                return found;
            }
        }
    }

    /// A command of the host; whether there is room for it. Nothing waits here: behind it may be the answer that makes room.
    pub(super) fn said(&self, command: Said) -> bool {
        self.commands.add.try_send(command).is_ok()
    }

    /// A command that the host was asked for. Waits where there is no room.
    pub(super) async fn given(&self, command: Said) {
        let _ = self.commands.add.send(command).await;
    }

    /// The session is to be stopped, whatever the host says. Once is enough.
    pub(super) fn stop(&self, reason: &str) {
        let mut stopped = self.stopped.lock();
        if stopped.is_none() {
            *stopped = Some(reason.to_owned());
            // There is room for the one that there is.
            let _ = self.stops.add.try_send(Command::of(Order::SessionStop { reason: reason.to_owned() }));
        }
    }

    /// How the session ended: as its last event has it, or else as it was stopped.
    pub(super) fn ended(&self) -> Option<Ended> {
        let stopped = || Some(Ended { reason: self.stopped.lock().clone()?, error: None });
        self.ended.lock().clone().or_else(stopped)
    }

    pub(super) fn log(&self, level: Severity, message: &str) {
        self.logs.add(level, message, &Map::new());
    }

    /// Takes fates to the host, one after the other; it never ends.
    pub(super) async fn deliver_fates(&self) {
        loop {
            let update = self.fates.next().await;
            let mut tries = 3;
            loop {
                let connected = self.connected().await;
                match connected.peer.call("commandUpdate", &update, Some(ANSWER)).await {
                    Ok(_) => break,
                    Err(CallError::Gone) => continue,
                    Err(error) => {
                        tries -= 1;
                        if tries == 0 || error != CallError::Late {
                            let text =
                                format!("the fate of command {:?} was not taken: {error}", update.command_id);
                            self.log(Severity::Warn, &text);
                            break;
                        }
                    }
                }
            }
            self.fates.heard();
        }
    }

    /// Takes logs to the host; it never ends. What a host does not take is lost, for it must not become a line of the log.
    pub(super) async fn deliver_logs(&self) {
        loop {
            let batch = self.logs.next().await;
            let mut params = json!({ "logs": batch.lines });
            if batch.dropped > 0 {
                params["dropped"] = batch.dropped.into();
            }
            loop {
                let connected = self.connected().await;
                if connected.peer.call("pushLogs", &params, Some(ANSWER)).await != Err(CallError::Gone) {
                    break;
                }
            }
            self.logs.done();
        }
    }

    /// Refuses the commands that no session takes any more; it never ends.
    pub(super) async fn refuse_commands(&self) {
        let mut take = self.commands.take.lock().await;
        while let Some(said) = take.recv().await {
            let (command_id, error) = match said {
                Ok(command) => (command.command_id, ErrorInfo::new(STOPPING, "the session has ended")),
                Err(malformed) => (malformed.command_id, malformed.error),
            };
            self.fates.opened(None);
            let update = CommandUpdate { command_id, status: Fate::Failed, result: None, error: Some(error) };
            self.fates.add(update).await;
        }
    }

    async fn push(&self, events: Vec<Arc<Event>>) -> Result<u64, ErrorInfo> {
        if let Some(Body::SessionEnded(ended)) = events.last().map(|event| &event.body) {
            *self.ended.lock() = Some(ended.clone());
        }
        loop {
            let Connected { peer, welcome } = tokio::select! {
                connected = self.connected() => connected,
                // There is nobody to keep them for.
                () = self.abandoned.cancelled() => return Ok(events.last().map_or(0, |event| event.seq)),
            };
            // What the host had when this connection began is not said again.
            let had = welcome.next_seq.unwrap_or(1).saturating_sub(1);
            let left = events.iter().filter(|event| event.seq > had);
            let (mut parts, mut bytes, mut seqs) = (Vec::new(), 0, None);
            for event in left.take(welcome.batch) {
                let part = to_raw(event)?;
                if !parts.is_empty() && bytes + part.get().len() > PUSH_BYTES {
                    break;
                }
                bytes += part.get().len();
                parts.push(part);
                seqs = Some((seqs.map_or(event.seq, |(first, _)| first), event.seq));
            }
            let Some((first, last)) = seqs else { return Ok(had) };
            let params = PushEvents { first_seq: first, last_seq: last, events: &parts };
            match peer.call("pushEvents", &params, Some(KEEP)).await {
                Ok(answer) => return self.kept(answer),
                Err(CallError::Gone) => {}
                Err(error) => {
                    self.log(Severity::Warn, &format!("events were not taken: {error}"));
                    return Err(ErrorInfo::retryable("control.push_failed", error.to_string()));
                }
            }
        }
    }

    fn kept(&self, answer: Value) -> Result<u64, ErrorInfo> {
        let pushed: Pushed = serde_json::from_value(answer).map_err(|error| {
            let text = format!("answer to pushEvents: {error}");
            self.log(Severity::Warn, &text);
            ErrorInfo::retryable("control.push_malformed", text)
        })?;
        for rejected in pushed.rejected.iter().take(MAX_REJECTED) {
            let (id, code) = (&rejected.id, &rejected.code);
            self.log(Severity::Warn, &format!("the host rejected event {id:?}: {code:?}"));
        }
        Ok(pushed.last_seq)
    }
}

fn to_raw(event: &Event) -> Result<Box<RawValue>, ErrorInfo> {
    serde_json::value::to_raw_value(event)
        .map_err(|error| ErrorInfo::new("control.push_failed", format!("event {}: {error}", event.seq)))
}

impl EventSink for Control {
    fn push_events(&self, events: Vec<Arc<Event>>) -> Pending<'_, u64> {
        Box::pin(self.push(events))
    }

    fn command_update(&self, update: CommandUpdate) -> Pending<'_, ()> {
        Box::pin(async move {
            self.fates.add(update).await;
            Ok(())
        })
    }
}

impl CommandSource for Control {
    fn next_command(&self) -> Pending<'_, Option<Result<Command, Malformed>>> {
        Box::pin(async move {
            let (mut stops, mut commands) = (self.stops.take.lock().await, self.commands.take.lock().await);
            let of_host = async {
                // Who does not hear of fates may not ask for more of them.
                self.fates.room().await;
                commands.recv().await
            };
            tokio::select! {
                biased;
                Some(stop) = stops.recv() => {
                    self.fates.opened(Some(&stop.command_id));
                    Ok(Some(Ok(stop)))
                }
                Some(said) = of_host => {
                    self.fates.opened(None);
                    Ok(Some(said))
                }
                else => Ok(None),
            }
        })
    }
}

impl HostIntegration for Control {
    fn snapshot(&self) -> Option<HostSnapshot> {
        Some(self.snapshot.clone())
    }
}
