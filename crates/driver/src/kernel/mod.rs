//! The kernel: it owns one session from its start to its end. Commands come in, events go out, and a backend does in
//! between what a vendor's protocol wants. What a turn, a question and an end are is decided here and nowhere else.

mod broker;
mod dispatch;
mod items;
mod link;
mod outbox;
mod pump;
mod run;
mod skills;
mod state;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use ulid::Ulid;

pub(crate) use link::Link;
pub use state::State;

use crate::backend::{Backend, Context, Description};
use crate::boot::Execution;
use crate::command::{Command, CommandUpdate, Fate, Order};
use crate::event::{Body, Diagnostic, Draft, Event};
use crate::ports::Ports;
use crate::registry::Descriptor;
use crate::{ErrorInfo, ResumeRef};
use dispatch::Fates;
use link::Settings;
use outbox::Outbox;
use state::{Phase, Session};

/// How long a question stays open unless told otherwise.
pub const PERMISSION_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a vendor may take to end a cancelled turn unless told otherwise.
pub const CANCEL_GRACE: Duration = Duration::from_secs(10);
/// How long the start of a backend may take.
pub const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How long the skills of a session may take before it goes on without them.
pub const SKILLS_TIMEOUT: Duration = Duration::from_secs(120);

/// What a session begins with.
#[derive(Clone, Debug)]
pub struct StartInput {
    /// Its id.
    pub session_id: Ulid,
    /// What is to be run.
    pub execution: Execution,
    /// What to resume, instead of what the execution says.
    pub resume: Option<ResumeRef>,
    /// What the session had cost by then, as the vendor counts.
    pub cost_total: Option<f64>,
    /// The number of its first event: one more than that of the last one that the host has.
    pub next_seq: u64,
    /// The trace that it belongs to.
    pub trace_id: Option<String>,
    /// How long a question stays open; nothing: for ever.
    pub permission_timeout: Option<Duration>,
    /// How long a vendor may take to end a cancelled turn.
    pub cancel_grace: Duration,
    /// Whether anybody answers questions; if not, permissions are refused at once.
    pub interactive: bool,
    /// Whether the vendor's messages are wanted beside what is made of them; see [`RawMessage`](crate::event::RawMessage).
    pub native_messages: bool,
    /// Most events that are pushed at once.
    pub batch: usize,
}

impl StartInput {
    /// A new session with the defaults.
    #[must_use]
    pub fn new(execution: Execution) -> Self {
        StartInput {
            session_id: Ulid::generate(),
            execution,
            resume: None,
            cost_total: None,
            next_seq: 1,
            trace_id: None,
            permission_timeout: Some(PERMISSION_TIMEOUT),
            cancel_grace: CANCEL_GRACE,
            interactive: true,
            native_messages: false,
            batch: 64,
        }
    }
}

pub(crate) struct Shared {
    pub(crate) link: Arc<Link>,
    pub(crate) cx: Context,
    pub(crate) backend: Arc<dyn Backend>,
    descriptor: Arc<Descriptor>,
    fates: Mutex<Fates>,
    /// Told when the turn that runs is to end.
    pub(crate) cancels: watch::Sender<u64>,
    /// The session is over: what still waits ends.
    pub(crate) over: CancellationToken,
    tasks: TaskTracker,
    batch: usize,
    taken: Mutex<bool>,
}

/// A session. Clones share it; when the last one is dropped the vendor's process is killed.
#[derive(Clone)]
pub struct Kernel {
    shared: Arc<Shared>,
    /// Ends the session's tasks with the last handle.
    _last: Arc<Last>,
}

struct Last(Arc<Shared>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.over.cancel();
        self.0.link.outbox.close();
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernel").field("state", &self.state()).finish_non_exhaustive()
    }
}

/// The events of a session; they are handed over once.
#[derive(Debug)]
pub struct Events {
    link: Arc<Link>,
}

impl Events {
    /// The next event; nothing once the session has ended.
    pub async fn next(&mut self) -> Option<Event> {
        self.link.outbox.next().await
    }
}

impl Kernel {
    /// Makes a session and starts its backend. The session is there also if that fails: its events say why, and it is
    /// [`State::Failed`] then. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// What was given cannot be a session: a resume reference of another runtime (`resume.refused`), a backend that cannot
    /// be made, something that the policy forbids.
    pub async fn start(
        descriptor: Arc<Descriptor>,
        ports: Ports,
        input: StartInput,
    ) -> Result<Kernel, ErrorInfo> {
        for capability in &descriptor.capabilities {
            if capability.status == crate::registry::Support::Supported {
                ports.policy.assert_supported(&capability.id, descriptor.id)?;
            }
        }
        let resume = input.resume.or_else(|| input.execution.session.native_resume_ref.clone());
        if let Some(reference) = resume.as_ref().filter(|reference| !reference.fits(descriptor.runtime)) {
            let message = format!(
                "a session of {} cannot be resumed by {} of {}",
                descriptor.runtime.id(),
                reference.kind,
                reference.runtime_id
            );
            return Err(ErrorInfo::new(crate::error::RESUME_REFUSED, message));
        }
        let backend = (descriptor.create)(&input.execution, &ports)?;
        let session = Session {
            phase: Phase::Starting,
            turn: None,
            pending: HashMap::new(),
            open: HashMap::new(),
            used: HashMap::new(),
            resume,
            cost_total: input.cost_total,
            restarts: 0,
            held: Some(Vec::new()),
        };
        let outbox = Outbox::new(input.session_id, input.trace_id, input.next_seq);
        let settings = Settings {
            permission_timeout: input.permission_timeout,
            cancel_grace: input.cancel_grace,
            interactive: input.interactive,
            native_messages: input.native_messages,
        };
        let link = Arc::new(Link::new(session, outbox, ports.clone(), settings));
        let cx = Context { link: Arc::clone(&link), execution: Arc::new(input.execution), ports };
        let shared = Arc::new(Shared {
            link,
            cx,
            backend,
            descriptor,
            fates: Mutex::default(),
            cancels: watch::Sender::new(0),
            over: CancellationToken::new(),
            tasks: TaskTracker::new(),
            batch: input.batch.max(1),
            taken: Mutex::new(false),
        });
        let kernel = Kernel { _last: Arc::new(Last(Arc::clone(&shared))), shared };
        kernel.shared.spawn_last();
        kernel.shared.spawn_pumps();
        kernel.shared.begin().await;
        kernel.shared.spawn_watch();
        Ok(kernel)
    }

    /// Where the session is.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared.link.locked().session.state()
    }

    /// Waits until the session is in a state for which `is` holds; the last state if that never comes.
    pub async fn until(&self, is: impl Fn(State) -> bool) -> State {
        let mut states = self.shared.link.states();
        let reached = states.wait_for(|state| is(*state) || state.is_terminal()).await;
        reached.map_or(State::Stopped, |state| *state)
    }

    /// The turn that runs.
    #[must_use]
    pub fn turn(&self) -> Option<Ulid> {
        self.shared.link.locked().session.turn.as_ref().map(|turn| turn.id)
    }

    /// Waits until the session has ended, and its last events have had their time to reach the event sink.
    pub async fn ended(&self) {
        self.shared.over.cancelled().await;
    }

    /// Emits a diagnostic of what only the host knows, such as how the session is reached. Nothing once the session has ended.
    pub fn report(&self, diagnostic: Diagnostic) {
        self.shared.link.locked().push(Draft::of_session(Body::DiagnosticReported(diagnostic)));
    }

    /// By what the session can be resumed now, with what it had cost by then.
    #[must_use]
    pub fn resume_ref(&self) -> (Option<ResumeRef>, Option<f64>) {
        self.shared.link.resume_ref()
    }

    /// The number that the next event has.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.shared.link.outbox.next_seq()
    }

    /// The events, for a host without an event sink. Nothing for the second one who asks, or beside a sink.
    #[must_use]
    pub fn events(&self) -> Option<Events> {
        let mut taken = self.shared.taken.lock();
        if *taken || self.shared.cx.ports.event_sink.is_some() {
            return None;
        }
        *taken = true;
        Some(Events { link: Arc::clone(&self.shared.link) })
    }

    /// The process of the vendor and its session, as the vendor itself describes them; nothing if it does not.
    #[must_use]
    pub fn describe(&self) -> Option<Description> {
        self.shared.backend.describe()
    }

    /// Sends a request to the vendor as it is, and gives its answer as it is.
    ///
    /// # Errors
    /// `driver.command_rejected.unsupported` of a backend that has no such requests;
    /// [`BACKEND_EXITED`](crate::error::BACKEND_EXITED) while no vendor runs; what the vendor answered, with `rpcCode` and `rpcData` in the details.
    pub async fn native_request(&self, method: &str, params: &Value) -> Result<Box<RawValue>, ErrorInfo> {
        self.shared.backend.native_request(&self.shared.cx, method, params).await
    }

    /// Sends a notification to the vendor as it is.
    ///
    /// # Errors
    /// Those of [`native_request`](Self::native_request), but for an answer.
    pub async fn native_notification(&self, method: &str, params: &Value) -> Result<(), ErrorInfo> {
        self.shared.backend.native_notification(&self.shared.cx, method, params).await
    }

    /// Runs a command, and gives what became of it once that is settled. It goes on if the caller goes. A command that was
    /// settled before is not run again: its fate is given once more.
    pub async fn dispatch(&self, command: Command) -> CommandUpdate {
        self.shared.dispatch(command).await
    }

    /// Ends the turn that runs, and waits for its end.
    ///
    /// # Errors
    /// That of the command.
    pub async fn cancel(&self, reason: &str) -> Result<(), ErrorInfo> {
        let order = Order::TurnCancel { run_id: None, reason: Some(reason.to_owned()) };
        done(self.dispatch(Command::of(order)).await)
    }

    /// Ends the agent and all that is here of the session, but not the session: there is no `session.ended`, and another kernel
    /// can go on with it. A turn that runs is cancelled. Nothing if it is ending already.
    pub async fn suspend(&self, reason: &str) {
        self.shared.suspend(reason).await;
    }

    /// Ends the session, and waits for its end.
    ///
    /// # Errors
    /// That of the command.
    pub async fn stop(&self, reason: &str) -> Result<(), ErrorInfo> {
        done(self.dispatch(Command::of(Order::SessionStop { reason: reason.to_owned() })).await)
    }
}

fn done(update: CommandUpdate) -> Result<(), ErrorInfo> {
    match (update.status, update.error) {
        (Fate::Completed, _) => Ok(()),
        (_, Some(error)) => Err(error),
        (status, None) => Err(ErrorInfo::new("driver.command_failed", format!("{status:?}"))),
    }
}
