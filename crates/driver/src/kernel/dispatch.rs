//! Commands: each is run once, and its fate is known for as long as it may be asked for. What takes long runs in a task
//! of its own, so that answers and cancels never wait behind it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::Shared;
use super::broker::Close;
use super::run::CANCELLED;
use super::state::{Phase, State};
use crate::ErrorInfo;
use crate::command::{Command, CommandUpdate, Fate, Order};
use crate::error::{NOT_READY, STOPPING, UNSUPPORTED};
use crate::event::{Body, Diagnostic, DiagnosticSource, Draft, Severity};

/// Commands whose fate is remembered.
const REMEMBERED: usize = 1024;
/// Commands that may be under way at once; the next is refused.
const MAX_PENDING: usize = 4096;
/// How long input waits for the turn before it to end.
const TURN_ENDS: Duration = Duration::from_secs(2);

pub(super) type Settled = watch::Receiver<Option<CommandUpdate>>;

/// The fates of commands.
#[derive(Default)]
pub(super) struct Fates {
    known: HashMap<String, Settled>,
    order: VecDeque<String>,
}

impl Fates {
    /// Whether there is room for one more: forgetting what was settled makes room for nothing that still runs.
    fn is_full(&self) -> bool {
        self.order.len() >= MAX_PENDING
    }

    /// The fate of a command that was seen before, or who tells that of a new one.
    fn of(&mut self, command_id: &str) -> Result<Settled, watch::Sender<Option<CommandUpdate>>> {
        if let Some(known) = self.known.get(command_id) {
            return Ok(known.clone());
        }
        if self.order.len() >= REMEMBERED
            && let Some(oldest) = self.order.iter().position(|id| {
                // One that still runs is not forgotten.
                self.known.get(id).is_none_or(|fate| fate.borrow().is_some())
            })
            && let Some(id) = self.order.remove(oldest)
        {
            self.known.remove(&id);
        }
        let (sender, receiver) = watch::channel(None);
        self.known.insert(command_id.to_owned(), receiver);
        self.order.push_back(command_id.to_owned());
        Err(sender)
    }
}

type Answer = Result<Option<Value>, ErrorInfo>;

impl Shared {
    pub(super) async fn dispatch(self: &Arc<Self>, command: Command) -> CommandUpdate {
        let id = command.command_id.clone();
        settled(self.accept(command), id).await
    }

    /// Takes a command on, and gives where its fate will be. It goes on whoever waits for that. A cancel that is accepted
    /// after an input meets it, however their tasks are run.
    pub(super) fn accept(self: &Arc<Self>, command: Command) -> Settled {
        let fate = {
            let mut fates = self.fates.lock();
            if fates.is_full() && !fates.known.contains_key(&command.command_id) {
                let error = ErrorInfo::retryable(NOT_READY, format!("{MAX_PENDING} commands are under way"));
                let (command_id, status) = (command.command_id, Fate::Failed);
                let refused = CommandUpdate { command_id, status, result: None, error: Some(error) };
                return watch::channel(Some(refused)).1;
            }
            fates.of(&command.command_id)
        };
        match fate {
            Ok(known) => known,
            Err(tell) => {
                let settled = tell.subscribe();
                if let Order::InputStart { run_id, .. } = &command.order {
                    self.link.locked().session.pending.insert(*run_id, false);
                }
                let shared = Arc::clone(self);
                self.tasks.spawn(async move {
                    let update = shared.run(command).await;
                    let _ = tell.send(Some(update));
                });
                settled
            }
        }
    }

    /// Refuses what the backend would not pass on.
    fn has_place_for(&self, order: &Order) -> Result<(), ErrorInfo> {
        match order {
            Order::InputStart { input, .. } | Order::TurnSteer { input, .. }
                if !input.native.is_empty() && !self.backend.takes_native() =>
            {
                let text = "input.native: the vendor's prompts have no further members";
                Err(ErrorInfo::new(UNSUPPORTED, text))
            }
            _ => Ok(()),
        }
    }

    async fn run(self: &Arc<Self>, command: Command) -> CommandUpdate {
        let (kind, command_id) = (command.order.kind(), command.command_id.clone());
        let run_id = match &command.order {
            Order::InputStart { run_id, .. } => Some(*run_id),
            _ => None,
        };
        // These end by themselves, and end what they wait for.
        let ends = matches!(
            command.order,
            Order::InputStart { .. } | Order::TurnCancel { .. } | Order::SessionStop { .. }
        );
        let answer = match command.check().and_then(|()| self.has_place_for(&command.order)) {
            Ok(()) if ends => self.order(command.order).await,
            Ok(()) => tokio::select! {
                answer = self.order(command.order) => answer,
                () = self.over.cancelled() => Err(ErrorInfo::new(STOPPING, "the session ended")),
            },
            Err(error) => Err(error),
        };
        if let Some(run_id) = run_id {
            self.link.locked().session.pending.remove(&run_id);
        }
        match answer {
            Ok(result) => CommandUpdate { command_id, status: Fate::Completed, result, error: None },
            Err(error) => {
                self.command_failed(&command_id, kind, &error);
                let status = if error.code == CANCELLED { Fate::Cancelled } else { Fate::Failed };
                CommandUpdate { command_id, status, result: None, error: Some(error) }
            }
        }
    }

    fn command_failed(&self, command_id: &str, kind: &str, error: &ErrorInfo) {
        let code = if kind == "mcp.execute" { "driver.mcp_execute_failed" } else { "driver.command_failed" };
        let mut details = Map::new();
        details.insert("commandId".to_owned(), command_id.into());
        details.insert("commandKind".to_owned(), kind.into());
        details.insert("code".to_owned(), error.code.clone().into());
        let diagnostic = Diagnostic {
            code: code.to_owned(),
            message: error.message.clone(),
            severity: Severity::Warn,
            source: DiagnosticSource::Core,
            reason: None,
            details,
        };
        self.link.locked().push(Draft::of_session(Body::DiagnosticReported(diagnostic)));
    }

    /// Runs a command, whatever its fate.
    async fn order(self: &Arc<Self>, order: Order) -> Answer {
        let state = self.link.locked().session.state();
        if let (Order::SessionStop { reason }, false) =
            (&order, state == State::Stopping || state.is_terminal())
        {
            return self.stop(reason).await.map(|()| None);
        }
        match state {
            State::Stopping | State::Stopped | State::Failed => {
                return Err(ErrorInfo::new(STOPPING, "the session is being stopped, or has ended"));
            }
            State::Starting if !matches!(order, Order::InputStart { .. }) => {
                return Err(ErrorInfo::retryable(NOT_READY, "the agent is being started"));
            }
            _ => {}
        }
        match order {
            Order::InputStart { request_id, run_id, input, access_snapshot } => {
                if let Some(snapshot) = access_snapshot {
                    tokio::select! {
                        refreshed = self.refresh(&snapshot) => refreshed?,
                        () = self.over.cancelled() => return Err(ErrorInfo::new(STOPPING, "the session ended")),
                    }
                }
                self.free_place(run_id).await?;
                let ended = self.turn(&input, run_id).await;
                match ended {
                    Ok(()) => Ok(Some(json!({ "requestId": request_id }))),
                    Err(error) => Err(error),
                }
            }
            Order::TurnCancel { run_id, reason } => {
                if let Some(id) = self.cancel_turn(run_id, reason.as_deref().unwrap_or("turn.cancel")) {
                    self.ended(id).await;
                }
                Ok(None)
            }
            Order::TurnSteer { run_id, input } => {
                if !self.link.locked().runs(run_id) {
                    return Err(ErrorInfo::new(NOT_READY, format!("turn {run_id} does not run")));
                }
                self.backend.steer(&self.cx, &input, run_id).await.map(|()| None)
            }
            Order::PermissionResolve { request_id, decision, option_id, message } => {
                self.resolve(&request_id, Close::Decided { decision, option_id, message })
            }
            Order::InputResolve { request_id, outcome } => {
                self.resolve(&request_id, Close::Answered(outcome))
            }
            Order::CustomToolResolve { request_id, content, is_error } => {
                self.resolve(&request_id, Close::ToolSaid { content, is_error })
            }
            Order::McpExecute(call) => {
                let output = self.backend.mcp_execute(&self.cx, &call).await?;
                Ok(Some(json!({
                    "requestId": call.request_id,
                    "serverId": call.server_id,
                    "toolName": call.tool_name,
                    "outputText": output.output_text,
                })))
            }
            Order::AccessRefresh { access_snapshot } => {
                self.refresh(&access_snapshot).await?;
                Ok(Some(json!({ "entryCount": access_snapshot.entries.len() })))
            }
            Order::ConfigSet { config_id, value } => {
                self.backend.config_set(&self.cx, &config_id, &value).await.map(|()| None)
            }
            Order::SessionStop { .. } => Ok(None),
        }
    }

    fn resolve(&self, request_id: &str, close: Close) -> Answer {
        let resolved = self.link.locked().answer(request_id, close);
        Ok(Some(json!({ "resolved": resolved })))
    }

    async fn refresh(&self, snapshot: &crate::command::AccessSnapshot) -> Result<(), ErrorInfo> {
        self.cx.ports.access.refresh(snapshot).await?;
        self.backend.refresh_access(&self.cx, snapshot).await
    }

    /// Takes the place of the turn that runs; waits a little for one that is ending.
    async fn free_place(&self, run_id: ulid::Ulid) -> Result<(), ErrorInfo> {
        let mut states = self.link.states();
        let taken = async {
            loop {
                if self.take_turn(run_id)? {
                    return Ok(());
                }
                let (ending, over) = {
                    let locked = self.link.locked();
                    let ending = locked.session.phase == Phase::Starting
                        || locked.session.turn.as_ref().is_none_or(|turn| turn.cancelled.is_some());
                    (ending, locked.session.state().is_terminal() || locked.session.phase == Phase::Stopping)
                };
                if over {
                    return Err(ErrorInfo::new(STOPPING, "the session is being stopped, or has ended"));
                }
                if !ending || states.changed().await.is_err() {
                    return Err(ErrorInfo::retryable(NOT_READY, "another turn runs"));
                }
            }
        };
        let in_time = tokio::time::timeout(TURN_ENDS, taken).await;
        in_time.unwrap_or_else(|_| {
            let text = "the agent is being started, or the turn before does not end";
            Err(ErrorInfo::retryable(NOT_READY, text))
        })
    }
}

/// What became of a command, once that is known.
pub(super) async fn settled(mut fate: Settled, command_id: String) -> CommandUpdate {
    let update = fate.wait_for(Option::is_some).await.ok().and_then(|update| update.clone());
    update.unwrap_or_else(|| {
        let error = ErrorInfo::new(STOPPING, "the session ended");
        CommandUpdate { command_id, status: Fate::Failed, result: None, error: Some(error) }
    })
}
