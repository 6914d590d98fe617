//! Starting an agent as a guest process of a VM: as the VM's user, in a session and job of its own.
//! It does not speak to it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use agentos_acp::{ExitStatus, PeerOptions};
use agentos_executor::{Invocation, Launch, LoadError};
use agentos_kernel::{Description, Kernel, Pid, Signal, WaitStatus};
use agentos_protocol::WireError;
use agentos_protocol::message::{AgentConfig, AgentFailure};
use agentos_vfs::Location;
use tokio::sync::oneshot;

use super::agent::{Agent, Job, Starting};
use super::{agents, pipe};
use crate::errors;
use crate::vm::Vm;

/// A job of the guest.
struct GuestJob {
    kernel: Arc<Kernel>,
    pid: OnceLock<Pid>,
    killed: AtomicBool,
}

impl GuestJob {
    fn started(&self, pid: Pid) {
        let _ = self.pid.set(pid);
        // Killed before it had a pid.
        if self.killed.load(Ordering::SeqCst) {
            self.kernel.kill_job(pid);
        }
    }
}

impl Job for GuestJob {
    fn pid(&self) -> u32 {
        self.pid.get().map_or(0, |pid| pid.0)
    }

    fn terminate(&self) {
        if let Some(pid) = self.pid.get() {
            self.kernel.host_kill(*pid, Signal::SIGTERM, true);
        }
    }

    fn kill(&self) {
        self.killed.store(true, Ordering::SeqCst);
        if let Some(pid) = self.pid.get() {
            self.kernel.kill_job(*pid);
        }
    }
}

fn status_of(status: WaitStatus) -> ExitStatus {
    match status {
        WaitStatus::Exited(code) => ExitStatus { code: Some(i32::from(code)), signal: None },
        WaitStatus::Signaled(signal) => ExitStatus { code: None, signal: Some(i32::from(signal)) },
        WaitStatus::Stopped(_) | WaitStatus::Continued => ExitStatus::default(),
    }
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

/// Starts the program of an agent.
pub(crate) async fn launch(
    vm: &Vm,
    config: &AgentConfig,
    env: Vec<Vec<u8>>,
    cwd: Location,
) -> Result<(Arc<Agent>, Starting), WireError> {
    let path = agents::program(config).as_bytes().to_vec();
    let mut argv = vec![path.clone()];
    argv.extend(config.args.iter().map(|arg| arg.as_bytes().to_vec()));
    let invocation = Invocation { path, search: true, argv, env: Arc::new(env) };
    let (stdin, input) = pipe::to_guest();
    let (stdout, output) = pipe::from_guest();
    let (stderr, error) = pipe::from_guest();
    let stdio =
        [Description::host_reader(input), Description::host_writer(output), Description::host_writer(error)];
    let job = Arc::new(GuestJob {
        kernel: Arc::clone(vm.kernel()),
        pid: OnceLock::new(),
        killed: AtomicBool::new(false),
    });
    let agent = Agent::connect(Arc::<GuestJob>::clone(&job), PeerOptions::default(), stdin, stdout, stderr);
    let starting = Starting::new(Arc::clone(&agent));
    let (tell, told) = oneshot::channel();
    let of_end = Arc::clone(&agent);
    vm.machine.launch(
        Launch { invocation, cwd, stdio, cpu_limit_ns: 0, agent: true, controlling: false },
        move |started| {
            let _ = tell.send(started.map(|process| job.started(process.pid)));
        },
        move |_, info| of_end.process_ended(status_of(info.status)),
    );
    match told.await {
        Ok(Ok(())) => Ok((agent, starting)),
        Ok(Err(error)) => Err(not_started(config, &error)),
        Err(_) => Err(errors::no_vm(&vm.id)),
    }
}

/// Why an agent cannot be started, and what is missing.
fn not_started(config: &AgentConfig, error: &LoadError) -> WireError {
    let AgentConfig { id, agent_package, .. } = config;
    let program = agents::program(config);
    let message = match error {
        LoadError::Kernel(_) => return errors::load(error),
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
    let failure =
        AgentFailure { exit_code: Some(i32::from(error.shell_status())), ..AgentFailure::default() };
    let mut wire = WireError::agent(message, failure);
    if let Some(details) = &mut wire.details {
        details.resource = Some(id.clone());
    }
    wire
}

#[cfg(test)]
mod tests {
    use agentos_protocol::message::code;

    use super::*;

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let config = super::super::agents::Agents::new().get("pi").unwrap();
        let error = not_started(&config, &LoadError::NotFound { program: "pi-acp".into() });
        assert_eq!(error.code, code::AGENT);
        assert!(error.message.contains("agent pi is not installed"), "{error}");
        assert!(error.message.contains("pi-acp (package @mariozechner/pi-coding-agent)"), "{error}");
        assert_eq!(error.details.unwrap().agent.unwrap().exit_code, Some(127));
    }

    #[test]
    fn statuses() {
        assert_eq!(status_of(WaitStatus::Exited(3)), ExitStatus { code: Some(3), signal: None });
        assert_eq!(status_of(WaitStatus::Signaled(9)), ExitStatus { code: None, signal: Some(9) });
    }
}
