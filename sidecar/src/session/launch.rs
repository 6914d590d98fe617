//! Starting an agent as a guest process of a VM: as the VM's user, in a session and job of its own.
//! It does not speak to it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use agentos_driver::ErrorInfo;
use agentos_driver::process::{Exit, LaunchSpec, Launched, Launcher, ProcessHandle, Signal as Told};
use agentos_executor::{Invocation, Launch, LoadError};
use agentos_kernel::{Description, Kernel, Pid, Signal, WaitStatus};
use agentos_protocol::WireError;
use agentos_protocol::message::AgentConfig;
use agentos_vfs::Location;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use super::protocol::Protocol;
use super::{agents, pipe};
use crate::errors;
use crate::vm::Vm;

/// The code of an agent whose program cannot be started.
pub(super) const NOT_STARTED: &str = "agentos.agent_not_started";

/// The process of an agent that runs now, whichever that is.
pub(super) trait Guest: Send + Sync {
    /// Its pid; 0 before it has one.
    fn pid(&self) -> u32;

    /// SIGKILL to it and every descendant.
    fn kill(&self);
}

/// A job of the guest. Dropped, it is killed.
struct GuestJob {
    kernel: Arc<Kernel>,
    pid: OnceLock<Pid>,
    killed: AtomicBool,
    exit: watch::Sender<Option<Exit>>,
}

impl GuestJob {
    fn started(&self, pid: Pid) {
        let _ = self.pid.set(pid);
        // Killed before it had a pid.
        if self.killed.load(Ordering::SeqCst) {
            self.kernel.kill_job(pid);
        }
    }

    fn kill(&self) {
        self.killed.store(true, Ordering::SeqCst);
        if let Some(pid) = self.pid.get() {
            self.kernel.kill_job(*pid);
        }
    }
}

/// The driver's hold on a job.
struct Handle(Arc<GuestJob>);

impl ProcessHandle for Handle {
    fn signal(&self, signal: Told) {
        match (signal, self.0.pid.get()) {
            (Told::Terminate, Some(pid)) => {
                self.0.kernel.host_kill(*pid, Signal::SIGTERM, true);
            }
            (Told::Terminate, None) => {}
            (Told::Kill, _) => self.0.kill(),
        }
    }

    fn wait(&self) -> BoxFuture<'_, Exit> {
        let mut exit = self.0.exit.subscribe();
        Box::pin(async move {
            let ended = exit.wait_for(Option::is_some).await;
            ended.ok().and_then(|exit| *exit).unwrap_or_default()
        })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.kill();
    }
}

fn status_of(status: WaitStatus) -> Exit {
    match status {
        WaitStatus::Exited(code) => Exit { code: Some(i32::from(code)), signal: None },
        WaitStatus::Signaled(signal) => Exit { code: None, signal: Some(i32::from(signal)) },
        WaitStatus::Stopped(_) | WaitStatus::Continued => Exit::default(),
    }
}

/// Starts the agents of one session in its machine.
pub(super) struct GuestLauncher {
    vm: Weak<Vm>,
    agent: AgentConfig,
    /// The last one that was started.
    job: Mutex<Option<Arc<GuestJob>>>,
}

impl GuestLauncher {
    pub(super) fn new(vm: &Arc<Vm>, agent: AgentConfig) -> Arc<Self> {
        Arc::new(GuestLauncher { vm: Arc::downgrade(vm), agent, job: Mutex::default() })
    }

    async fn start(&self, spec: LaunchSpec) -> Result<Launched, ErrorInfo> {
        let gone = || ErrorInfo::new(NOT_STARTED, "the machine is gone");
        let vm = self.vm.upgrade().ok_or_else(gone)?;
        let cwd = vm.directory(Some(spec.cwd.as_bytes())).await;
        let cwd = cwd.map_err(|error| ErrorInfo::new(NOT_STARTED, error.message))?;
        let path = spec.program.into_bytes();
        let mut argv = vec![path.clone()];
        // In ACP there are none but these, and the backend knows them.
        if Protocol::of(&self.agent) != Ok(Protocol::Acp) {
            argv.extend(self.agent.args.iter().map(|arg| arg.clone().into_bytes()));
        }
        argv.extend(spec.args.into_iter().map(String::into_bytes));
        let env = Arc::new(merged(vm.kernel().env(), &spec.env));
        let invocation = Invocation { path, search: true, argv, env };
        let (stdin, input) = pipe::to_guest();
        let (stdout, output) = pipe::from_guest();
        let (stderr, error) = pipe::from_guest();
        let stdio = [
            Description::host_reader(input),
            Description::host_writer(output),
            Description::host_writer(error),
        ];
        let job = Arc::new(GuestJob {
            kernel: Arc::clone(vm.kernel()),
            pid: OnceLock::new(),
            killed: AtomicBool::new(false),
            exit: watch::Sender::new(None),
        });
        *self.job.lock() = Some(Arc::clone(&job));
        let handle = Handle(Arc::clone(&job));
        let (tell, told) = oneshot::channel();
        let (of_start, of_end) = (Arc::clone(&job), job);
        vm.machine.launch(
            Launch { invocation, cwd, stdio, cpu_limit_ns: 0, agent: true, controlling: false },
            move |started| {
                let _ = tell.send(started.map(|process| of_start.started(process.pid)));
            },
            move |_, info| {
                // Tools that it left running.
                of_end.kill();
                of_end.exit.send_replace(Some(status_of(info.status)));
            },
        );
        match told.await {
            Ok(Ok(())) => Ok(Launched {
                stdin: Box::new(stdin),
                stdout: Box::new(stdout),
                stderr: Box::new(stderr),
                handle: Box::new(handle),
            }),
            Ok(Err(error)) => Err(not_started(&self.agent, &error)),
            Err(_) => Err(gone()),
        }
    }
}

impl Launcher for GuestLauncher {
    fn launch(&self, spec: LaunchSpec) -> BoxFuture<'_, Result<Launched, ErrorInfo>> {
        Box::pin(self.start(spec))
    }
}

impl Guest for GuestLauncher {
    fn pid(&self) -> u32 {
        self.job.lock().as_ref().and_then(|job| job.pid.get().map(|pid| pid.0)).unwrap_or_default()
    }

    fn kill(&self) {
        if let Some(job) = &*self.job.lock() {
            job.kill();
        }
    }
}

/// Variables of the VM, then those added; the last of a name counts, and stays alone.
fn merged(base: &[Vec<u8>], added: &BTreeMap<String, String>) -> Vec<Vec<u8>> {
    let added = added.iter().map(|(name, value)| format!("{name}={value}").into_bytes());
    let mut all = BTreeMap::new();
    for variable in base.iter().cloned().chain(added) {
        let name = variable.split(|b| *b == b'=').next().unwrap_or_default().to_vec();
        all.insert(name, variable);
    }
    all.into_values().collect()
}

/// Whether the program of an agent is in the VM and its user may execute it.
pub(crate) async fn installed(vm: &Vm, agent: &AgentConfig, cwd: &Location) -> bool {
    let program = agents::program(agent).as_bytes();
    let kernel = vm.kernel();
    if program.contains(&b'/') {
        return kernel.executable(None, cwd, program).await.is_ok();
    }
    let path = kernel.env().iter().find_map(|v| v.strip_prefix(b"PATH=")).map(<[u8]>::to_vec);
    for directory in path.unwrap_or_default().split(|b| *b == b':').filter(|d| !d.is_empty()) {
        let file = [directory, b"/", program].concat();
        if kernel.executable(None, cwd, &file).await.is_ok() {
            return true;
        }
    }
    false
}

/// Why an agent cannot be started, and what is missing.
fn not_started(config: &AgentConfig, error: &LoadError) -> ErrorInfo {
    let AgentConfig { id, agent_package, .. } = config;
    let program = agents::program(config);
    let message = match error {
        LoadError::NotFound { .. } => {
            let package = match agent_package.as_str() {
                "" => String::new(),
                package => format!(" (package {package})"),
            };
            format!(
                "agent {id} is not installed: its program {program}{package} is not in the VM; mount it on PATH or \
                 register the agent with another command"
            )
        }
        other => format!("agent {id} cannot be started: {other}"),
    };
    let info = ErrorInfo::new(NOT_STARTED, message);
    match error {
        // Limits and refusals of the kernel have a form of their own on the wire.
        LoadError::Kernel(_) => {
            info.with("wire", serde_json::to_string(&errors::load(error)).unwrap_or_default())
        }
        _ => info.with("exitCode", error.shell_status()).with("agent", id.as_str()),
    }
}

/// The error of the kernel for which an agent was not started, as the wire has it.
pub(super) fn of_kernel(error: &ErrorInfo) -> Option<WireError> {
    let wire = error.details.get("wire")?.as_str()?;
    serde_json::from_str(wire).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let config = super::super::agents::Agents::new().get("pi").unwrap();
        let error = not_started(&config, &LoadError::NotFound { program: "pi-acp".into() });
        assert!(error.message.contains("agent pi is not installed"), "{error}");
        assert!(error.message.contains("pi-acp (package @mariozechner/pi-coding-agent)"), "{error}");
        assert_eq!(error.details["exitCode"], 127);
    }

    #[test]
    fn the_last_variable_of_a_name_counts() {
        let base = [b"A=1".to_vec(), b"PATH=/bin".to_vec(), b"A=2".to_vec()];
        let added = [("PATH".to_owned(), "/x".to_owned()), ("B".to_owned(), String::new())].into();
        assert_eq!(merged(&base, &added), [b"A=2".to_vec(), b"B=".to_vec(), b"PATH=/x".to_vec()]);
    }

    #[test]
    fn statuses() {
        assert_eq!(status_of(WaitStatus::Exited(3)), Exit { code: Some(3), signal: None });
        assert_eq!(status_of(WaitStatus::Signaled(9)), Exit { code: None, signal: Some(9) });
    }
}
