//! An agent's process and the ACP connection to it, as one thing that ends as one thing.
//! It knows neither sessions nor how processes are started.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use agentos_acp::{AgentPeer, Closure, ExitStatus, PeerOptions, StderrTail, Timeouts};
use agentos_protocol::message::AgentFailure;
use parking_lot::Mutex;
use tokio::io::AsyncReadExt;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::pipe::{HostReader, HostWriter};
use crate::connection::begin;

/// Bytes of stderr that an error carries.
const LAST_STDERR: usize = 8 << 10;
/// How long the last of stderr is waited for after the process ended.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long a killed process may take to be gone; more means that the host is overloaded.
const KILL_TIME: Duration = Duration::from_secs(5);

/// What can be done to the process of an agent and all that descends from it.
pub(crate) trait Job: Send + Sync + 'static {
    /// Its pid; 0 before it has one.
    fn pid(&self) -> u32;
    /// SIGTERM to the agent's process group.
    fn terminate(&self);
    /// SIGKILL to every descendant, now and, if it is only about to start, then.
    fn kill(&self);
}

/// An agent.
pub(crate) struct Agent {
    pub(crate) peer: AgentPeer,
    job: Arc<dyn Job>,
    timeouts: Timeouts,
    runtime: Handle,
    stderr: Mutex<StderrTail>,
    stderr_done: CancellationToken,
    exit: OnceLock<ExitStatus>,
    /// The process ended.
    exited: CancellationToken,
    /// The connection is over: nothing more will be said.
    over: CancellationToken,
}

impl Agent {
    /// Connects to an agent that is about to start, by its standard streams. Must be called within a tokio runtime.
    pub(crate) fn connect(
        job: Arc<dyn Job>,
        options: PeerOptions,
        stdin: HostWriter,
        stdout: HostReader,
        mut stderr: HostReader,
    ) -> Arc<Self> {
        let timeouts = options.timeouts.clone();
        let agent = Arc::new(Self {
            peer: AgentPeer::connect(stdout, stdin, options),
            job,
            timeouts,
            runtime: Handle::current(),
            stderr: Mutex::new(StderrTail::new(LAST_STDERR)),
            stderr_done: CancellationToken::new(),
            exit: OnceLock::new(),
            exited: CancellationToken::new(),
            over: CancellationToken::new(),
        });
        // Both tasks end with the process: its end closes the streams.
        let of = Arc::clone(&agent);
        tokio::spawn(async move {
            let mut buf = vec![0; 8 << 10];
            while let Ok(n @ 1..) = stderr.read(&mut buf).await {
                of.stderr.lock().push(&buf[..n]);
                of.peer.stderr(&buf[..n]);
                // A pipe that is never empty must not keep the thread for itself.
                tokio::task::coop::consume_budget().await;
            }
            of.stderr_done.cancel();
        });
        let of = Arc::clone(&agent);
        tokio::spawn(async move {
            let closure = of.peer.closed().await;
            if let Closure::Fatal(fatal) = &closure {
                tracing::warn!(pid = of.pid(), %fatal, "agent given up");
            }
            // Whatever the reason: without its connection the process is of no use, nor are its tools.
            of.job.kill();
            of.over.cancel();
        });
        agent
    }

    /// Pid of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.job.pid()
    }

    /// The process ended with this status. May be called on any thread.
    pub(crate) fn process_ended(self: &Arc<Self>, status: ExitStatus) {
        let _ = self.exit.set(status);
        // Tools that it left running.
        self.job.kill();
        self.exited.cancel();
        let of = Arc::clone(self);
        self.runtime.spawn(async move {
            let _ = tokio::time::timeout(LAST_WORDS, of.stderr_done.cancelled()).await;
            of.peer.exited(status);
        });
    }

    /// Whether it is gone, or its connection is.
    pub(crate) fn is_over(&self) -> bool {
        self.exited.is_cancelled() || self.over.is_cancelled()
    }

    /// Kills it with all its descendants.
    pub(crate) fn kill(&self) {
        self.job.kill();
    }

    /// Kills it and waits, for a limited time, until it is gone and its last events are stored.
    pub(crate) async fn close(&self) {
        self.job.kill();
        self.gone(KILL_TIME).await;
        self.job.kill();
        let _ = tokio::time::timeout(KILL_TIME, self.over.cancelled()).await;
    }

    /// Ends it: closes its stdin, then SIGTERM, then SIGKILL, each after its time.
    pub(crate) async fn end(&self) {
        self.peer.close_stdin();
        if !self.gone(self.timeouts.stdin_close_to_term).await {
            self.job.terminate();
            self.gone(self.timeouts.term_to_kill).await;
        }
        self.close().await;
    }

    async fn gone(&self, within: Duration) -> bool {
        tokio::time::timeout(within, self.exited.cancelled()).await.is_ok()
    }

    /// What is known of its failure.
    pub(crate) fn failure(&self) -> AgentFailure {
        let exit = self.exit.get().copied().unwrap_or_default();
        AgentFailure {
            exit_code: exit.code,
            signal: exit.signal.and_then(super::errors::signal_name),
            last_stderr: self.stderr.lock().text(),
            rpc_code: None,
            rpc_data: None,
        }
    }

    /// Runs to the end whatever becomes of the caller. Begins when it is first polled, not when a task comes to run.
    pub(crate) async fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let mut work = Box::pin(work);
        match begin(work.as_mut()) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => self.runtime.spawn(work).await.ok(),
        }
    }

    /// Runs `work` without anybody waiting for it; from any thread.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }
}

/// An agent whose session is not ready yet: dropping it kills the agent.
pub(crate) struct Starting(Option<Arc<Agent>>);

impl Starting {
    pub(crate) fn new(agent: Arc<Agent>) -> Self {
        Self(Some(agent))
    }

    /// The session is ready.
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(agent) = &self.0 {
            agent.kill();
        }
    }
}
