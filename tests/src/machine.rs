//! Machines for tests: each in a sidecar that a module shares, watched so that no test hangs, and left empty.
//! What is done in a machine is the test's own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agentos::{
    AgentOs, AgentOsConfig, AgentOsSidecar, AgentOsSidecarConfig, CreateSidecarOptions, ExecOptions,
    ExecResult, ProcessInfo, ProcessStatus,
};
use tokio::sync::OnceCell;

/// What no test takes; it only tells a hang from a slow machine.
const HANG: Duration = Duration::from_secs(60);
/// What killed processes may take to be gone.
const SOON: Duration = Duration::from_secs(10);

/// A private sidecar that the tests of a module share; started by the first.
#[derive(Debug)]
pub struct Sidecar(OnceCell<Arc<AgentOsSidecar>>);

impl Sidecar {
    /// Not started yet.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it lives in statics")]
    pub const fn new() -> Self {
        Sidecar(OnceCell::const_new())
    }

    /// One for a single test, which may kill it.
    pub async fn start() -> Arc<AgentOsSidecar> {
        // Building the program takes its time, on a fresh clone.
        let binary = tokio::task::spawn_blocking(|| crate::program().to_owned()).await.expect("it is built");
        let options = CreateSidecarOptions { binary: Some(binary) };
        AgentOs::create_sidecar(options).await.expect("a sidecar starts")
    }

    /// The handle.
    pub async fn handle(&self) -> Arc<AgentOsSidecar> {
        Arc::clone(self.0.get_or_init(Sidecar::start).await)
    }

    /// A machine of this configuration.
    pub async fn create(&self, config: AgentOsConfig) -> Result<AgentOs, agentos::Error> {
        let handle = self.handle().await;
        AgentOs::create(AgentOsConfig { sidecar: Some(AgentOsSidecarConfig::Explicit { handle }), ..config })
            .await
    }

    /// Runs a test in a machine of its own, which must be without processes afterwards.
    pub fn test(&self, test: impl AsyncFnOnce(&AgentOs)) {
        self.test_with(AgentOsConfig::default(), test);
    }

    /// The same with a configuration.
    pub fn test_with(&self, config: AgentOsConfig, test: impl AsyncFnOnce(&AgentOs)) {
        // Not under the watch: the first one may build the program and compile its images.
        let runtime = runtime();
        let os = runtime.block_on(self.create(config)).expect("a machine is made");
        watch(&runtime, async {
            test(&os).await;
            eventually("no process is left", async || live_processes(&os).await.is_empty()).await;
            os.dispose().await.expect("the machine is disposed");
        });
        runtime.shutdown_background();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("threads can be started")
}

fn watch(runtime: &tokio::runtime::Runtime, test: impl Future<Output = ()>) {
    let ended = runtime.block_on(async { tokio::time::timeout(HANG, test).await });
    assert!(ended.is_ok(), "the test hangs");
}

/// Runs a test without a machine, or one that makes its own.
pub fn watched(test: impl AsyncFnOnce()) {
    crate::program();
    let runtime = runtime();
    watch(&runtime, test());
    runtime.shutdown_background();
}

/// Processes that run; those that ended and are kept for the listing do not count.
pub async fn live_processes(os: &AgentOs) -> Vec<ProcessInfo> {
    let mut all = os.all_processes().await.expect("processes can be listed");
    all.retain(|process| process.status != ProcessStatus::Exited);
    all
}

/// Waits until something is true, which no event tells.
///
/// # Panics
/// If it does not become true.
pub async fn eventually(what: &str, mut is_true: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !is_true().await {
        assert!(begin.elapsed() < SOON, "not within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A line of shell with no options.
pub async fn sh(os: &AgentOs, line: &str) -> ExecResult {
    os.exec(line, ExecOptions::default()).await.expect("the line is run")
}

/// Kills a sidecar, and waits until it holds no store any more.
///
/// # Panics
/// If it is gone already.
pub async fn kill_sidecar(sidecar: &AgentOsSidecar) {
    let number = sidecar.describe().await.expect("it is there").pid;
    let pid =
        rustix::process::Pid::from_raw(i32::try_from(number).expect("it is there")).expect("it is there");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is there");
    eventually("the sidecar is gone", async || {
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        // One that nobody has waited for has closed its files too.
        stat.rsplit(')').next().is_none_or(|rest| rest.trim().is_empty() || rest.trim().starts_with('Z'))
    })
    .await;
}
