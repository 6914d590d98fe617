//! Making a session: from the request of a client to an agent that is ready for prompts.
//! Every step that fails leaves no process behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use agentos_abi::fd::O_RDONLY;
use agentos_kernel::Errno;
use agentos_kernel::sys::At;
use agentos_protocol::WireError;
use agentos_protocol::message::{CreateSession, SessionInitData, SessionOptions};

use super::{Session, errors, launch, start};
use crate::config::variable;
use crate::errors::{bad_path, failed};
use crate::vm::Vm;

/// Most bytes read of the OS instructions.
const INSTRUCTIONS: usize = 2 << 20;

/// Starts an agent and a session with it. Dropping the future, like an error, kills the agent.
pub(crate) async fn create(vm: Arc<Vm>, request: CreateSession) -> Result<SessionInitData, WireError> {
    let CreateSession { agent_type, options, .. } = request;
    let config = vm.sessions.agents.get(&agent_type)?;
    let mcp_servers = start::mcp_servers(options.mcp_servers.as_ref())?;
    let path = match &options.cwd {
        Some(path) => start::directory(&vm.cwd, path.as_ref()).map_err(|e| bad_path(&e, path))?,
        None => vm.cwd.clone(),
    };
    let cwd = String::from_utf8(path.as_bytes().to_vec())
        .map_err(|_| errors::invalid("the working directory of an agent must be UTF-8"))?;
    let mut env: Vec<Vec<u8>> = Vec::new();
    for (field, variables) in [("agent.env", &config.env), ("env", &options.env)] {
        for (name, value) in variables {
            env.push(variable(field, name, value)?);
        }
    }
    let env = merged(vm.kernel().env(), env);
    let _place = vm.sessions.place(&vm.id)?;
    let directory = vm.directory(Some(path.as_bytes())).await?;
    let instructions = os_instructions(&vm, &config.prepare_instructions, &options).await?;
    let id = format!("session-{}", vm.host.next_id());
    let (agent, starting) = launch::launch(&vm, &config, env, directory).await?;
    let SessionOptions { model, mode, .. } = options;
    let setup = start::Setup { cwd, mcp_servers, instructions, model, mode };
    let session = start::start(id, agent_type, &agent, setup).await?;
    vm.checkpoint_turns(&session);
    let described = session.describe()?;
    vm.sessions.add(&vm.id, &session)?;
    starting.keep();
    Ok(described)
}

impl Vm {
    /// Makes a checkpoint before each turn, if the configuration says so.
    fn checkpoint_turns(self: &Arc<Self>, session: &Arc<Session>) {
        if !self.config.turn_checkpoints {
            return;
        }
        let (vm, id) = (Arc::downgrade(self), session.id.clone());
        session.before_each_turn(Box::new(move |number| {
            let (vm, name) = (vm.clone(), format!("{id}/turn-{number}"));
            Box::pin(async move {
                // Looking for what the one before it keeps may take a while.
                let made = tokio::task::spawn_blocking(move || {
                    let Some(vm) = vm.upgrade() else { return Ok(()) };
                    vm.checkpoints.make(&vm.kernel().namespace, name, true).map(drop)
                });
                // Without room for one the turn goes on all the same.
                match made.await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "no checkpoint before this turn"),
                    Err(error) => tracing::error!(%error, "no checkpoint before this turn"),
                }
            })
        }));
    }
}

/// Variables of the VM, then those added; the last of a name counts, and stays alone.
fn merged(base: &[Vec<u8>], added: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut all = BTreeMap::new();
    for variable in base.iter().cloned().chain(added) {
        let name = variable.split(|b| *b == b'=').next().unwrap_or_default().to_vec();
        all.insert(name, variable);
    }
    all.into_values().collect()
}

async fn os_instructions(
    vm: &Vm,
    prepare: &Option<String>,
    options: &SessionOptions,
) -> Result<String, WireError> {
    let os = if options.skip_os_instructions { None } else { read_instructions(vm).await? };
    Ok(start::instructions([prepare.as_deref(), os.as_deref(), options.additional_instructions.as_deref()]))
}

/// The OS instructions of the VM; `None` if it has none.
async fn read_instructions(vm: &Vm) -> Result<Option<String>, WireError> {
    const PATH: &str = "/etc/agentos/instructions.md";
    let kernel = vm.kernel();
    let fail = |errno| failed(errno, "read", PATH);
    let file = match kernel.open(&kernel.host(), None, At::Cwd(PATH.as_bytes()), O_RDONLY, 0).await {
        Ok(file) => file,
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
        Err(errno) => return Err(fail(errno)),
    };
    let mut text = Vec::new();
    let mut buf = vec![0; 16 << 10];
    while text.len() < INSTRUCTIONS {
        match kernel.pread(&file, &mut buf, text.len() as u64).await.map_err(fail)? {
            0 => break,
            n => text.extend_from_slice(&buf[..n]),
        }
    }
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}
