//! A backend that a test plays: it says what it is called for, and ends turns as it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use agentos_driver::backend::{Backend, Context, TurnOutcome};
use agentos_driver::boot::Execution;
use agentos_driver::event::StopReason;
use agentos_driver::process::{Exit, Launcher};
use agentos_driver::registry::{Capability, Descriptor};
use agentos_driver::testing::{Log, ScriptedLauncher};
use agentos_driver::{ErrorInfo, Input, Kernel, Ports, ResumeRef, Runtime, StartInput};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use ulid::Ulid;

pub(crate) type Turn = Box<dyn FnOnce(Context, Ulid) -> BoxFuture<'static, TurnOutcome> + Send>;

/// What the backend was called for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Called {
    Start,
    Cancel(String),
    Kill,
    Stop(String),
    Dropped,
}

pub(crate) struct Fake {
    pub(crate) calls: mpsc::Sender<Called>,
    /// How starts end: the first one first; without any they go well.
    pub(crate) starts: Mutex<Vec<Result<(), ErrorInfo>>>,
    /// What turns do.
    pub(crate) turns: tokio::sync::Mutex<mpsc::Receiver<Turn>>,
    /// Ends what waits for a cancel.
    pub(crate) cancelled: Notify,
    pub(crate) killed: Notify,
    pub(crate) started: AtomicUsize,
    pub(crate) context: Mutex<Option<Context>>,
    /// The reference of the session, said when it starts.
    pub(crate) resumable: Option<String>,
    /// Starts wait for this.
    pub(crate) gate: Option<Arc<Notify>>,
    /// A cancel is not passed on.
    pub(crate) hold: AtomicBool,
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = self.calls.try_send(Called::Dropped);
    }
}

impl Backend for Fake {
    fn runtime(&self) -> Runtime {
        Runtime::Acp
    }

    fn start<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<(), ErrorInfo>> {
        Box::pin(async move {
            *self.context.lock() = Some(cx.clone());
            self.started.fetch_add(1, Ordering::SeqCst);
            let _ = self.calls.try_send(Called::Start);
            if let Some(gate) = &self.gate {
                gate.notified().await;
            }
            if let Some(id) = &self.resumable {
                cx.resumable(ResumeRef::new(Runtime::Acp, id.clone()), None).await;
            }
            let mut starts = self.starts.lock();
            if starts.is_empty() { Ok(()) } else { starts.remove(0) }
        })
    }

    fn handle_input<'a>(&'a self, cx: &'a Context, _: &'a Input, turn: Ulid) -> BoxFuture<'a, TurnOutcome> {
        Box::pin(async move {
            let Some(play) = self.turns.lock().await.recv().await else { return TurnOutcome::Cancelled };
            tokio::select! {
                outcome = play(cx.clone(), turn) => outcome,
                () = self.killed.notified() => TurnOutcome::Lost { error: exited() },
            }
        })
    }

    fn cancel<'a>(&'a self, _: &'a Context, _: Ulid, reason: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let _ = self.calls.try_send(Called::Cancel(reason.to_owned()));
            if !self.hold.load(Ordering::SeqCst) {
                self.cancelled.notify_one();
            }
        })
    }

    fn kill<'a>(&'a self, _: &'a Context) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let _ = self.calls.try_send(Called::Kill);
            self.killed.notify_one();
        })
    }

    fn stop<'a>(&'a self, _: &'a Context, reason: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let _ = self.calls.try_send(Called::Stop(reason.to_owned()));
        })
    }
}

pub(crate) fn exited() -> ErrorInfo {
    ErrorInfo::retryable(agentos_driver::error::BACKEND_EXITED, "it ended")
}

/// A session with a fake backend.
pub(crate) struct Session {
    pub(crate) kernel: Kernel,
    pub(crate) log: Option<Log>,
    pub(crate) fake: Arc<Fake>,
    pub(crate) calls: mpsc::Receiver<Called>,
    turns: mpsc::Sender<Turn>,
}

pub(crate) fn no_process() -> Arc<dyn Launcher> {
    Arc::new(ScriptedLauncher::new(|_| async { Exit::default() }))
}

#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) starts: Vec<Result<(), ErrorInfo>>,
    pub(crate) ports: Option<Ports>,
    pub(crate) input: Option<StartInput>,
    pub(crate) resumable: Option<String>,
    pub(crate) gate: Option<Arc<Notify>>,
}

pub(crate) async fn session() -> Session {
    Setup::default().start().await
}

impl Setup {
    pub(crate) async fn start(self) -> Session {
        let (calls, called) = mpsc::channel(64);
        let (turns, plays) = mpsc::channel(64);
        let fake = Arc::new(Fake {
            calls,
            starts: Mutex::new(self.starts),
            turns: tokio::sync::Mutex::new(plays),
            cancelled: Notify::new(),
            killed: Notify::new(),
            started: AtomicUsize::new(0),
            context: Mutex::new(None),
            resumable: self.resumable,
            gate: self.gate,
            hold: AtomicBool::new(false),
        });
        let backend = Arc::clone(&fake);
        let descriptor = Descriptor {
            id: "fake",
            runtime: Runtime::Acp,
            aliases: vec![],
            capabilities: vec![Capability::supported("input_start")],
            required_ports: vec![],
            unsupported_gaps: vec![],
            create: Arc::new(move |_: &Execution, _: &Ports| Ok(backend.clone() as Arc<dyn Backend>)),
        };
        let ports = self.ports.unwrap_or_else(|| Ports::new(no_process()));
        let input = self.input.unwrap_or_else(|| StartInput::new(Execution::default()));
        let kernel = Kernel::start(Arc::new(descriptor), ports, input).await.unwrap();
        let log = kernel.events().map(Log::new);
        Session { kernel, log, fake, calls: called, turns }
    }
}

impl Session {
    /// What the next turn does.
    pub(crate) fn next<F>(&self, play: impl FnOnce(Context, Ulid) -> F + Send + 'static)
    where
        F: Future<Output = TurnOutcome> + Send + 'static,
    {
        let play: Turn = Box::new(move |cx, turn| Box::pin(play(cx, turn)));
        assert!(self.turns.try_send(play).is_ok());
    }

    /// The next turn ends at once.
    pub(crate) fn next_ends(&self) {
        self.next(|_, _| async { done() });
    }

    /// The next turn ends when it is cancelled.
    pub(crate) fn next_waits(&self) {
        let fake = Arc::clone(&self.fake);
        self.next(move |_, _| async move {
            fake.cancelled.notified().await;
            TurnOutcome::Cancelled
        });
    }

    pub(crate) fn log(&mut self) -> &mut Log {
        self.log.as_mut().unwrap()
    }

    pub(crate) fn called(&mut self) -> Vec<Called> {
        std::iter::from_fn(|| self.calls.try_recv().ok()).collect()
    }

    /// Begins a turn; its fate comes later.
    pub(crate) fn begin(&self, id: Ulid) -> tokio::task::JoinHandle<agentos_driver::CommandUpdate> {
        let kernel = self.kernel.clone();
        tokio::spawn(async move { kernel.dispatch(input(id)).await })
    }
}

pub(crate) fn done() -> TurnOutcome {
    TurnOutcome::Completed { stop_reason: StopReason::EndTurn }
}

pub(crate) fn input(id: Ulid) -> agentos_driver::Command {
    agentos_driver::Command::of(agentos_driver::Order::InputStart {
        request_id: "r".to_owned(),
        run_id: id,
        input: Input::text("hello"),
        access_snapshot: None,
    })
}

/// Lets everything that can happen now happen.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}
