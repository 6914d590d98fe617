//! Agent sessions of a VM: agents are guest processes that speak the Agent Client Protocol on their standard streams,
//! one process per session. The protocol itself is in `agentos-acp`; what a session means beyond one agent process is
//! not decided here.

mod agent;
mod agents;
mod entry;
mod errors;
mod events;
mod launch;
mod pipe;
mod start;
#[cfg(test)]
mod tests;
mod turn;

use std::sync::Arc;

use agentos_abi::fd::O_RDONLY;
use agentos_kernel::Errno;
use agentos_kernel::sys::At;
use agentos_protocol::WireError;
use agentos_protocol::message::{
    AgentList, AgentRegistryEntry, CreateSession, LimitInfo, SessionInitData, SessionList, SessionOptions,
};
use agentos_vfs::GuestPath;
use parking_lot::Mutex;

pub(crate) use agents::Agents;
pub(crate) use entry::Session;
pub(crate) use events::follow;

use crate::config::variable;
use crate::errors::{failed, no_vm};
use crate::vm::Vm;

/// Sessions of one VM whose agents run.
const LIVE: usize = 64;
/// Ended sessions that are kept for their events; the oldest go first.
const ENDED_KEPT: usize = 64;
/// Most bytes read of the OS instructions.
const INSTRUCTIONS: usize = 2 << 20;

#[derive(Default)]
struct Table {
    /// In the order they were made.
    sessions: Vec<Arc<Session>>,
    /// Sessions being made; they count.
    starting: usize,
    /// The VM is going: no new ones.
    closed: bool,
}

impl Table {
    fn live(&self) -> usize {
        self.sessions.iter().filter(|s| !s.is_over()).count()
    }
}

/// The sessions of one VM.
pub(crate) struct Sessions {
    pub(crate) agents: Agents,
    table: Mutex<Table>,
}

/// A place among the sessions, held while one is made.
struct Place<'a>(&'a Sessions);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.table.lock().starting -= 1;
    }
}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self { agents: Agents::new(), table: Mutex::default() }
    }

    /// Sessions whose agents run.
    pub(crate) fn count(&self) -> usize {
        self.table.lock().live()
    }

    /// Kills all agents and waits for them a limited time. No session begins after this.
    pub(crate) async fn close_all(&self) {
        let all = {
            let mut table = self.table.lock();
            table.closed = true;
            std::mem::take(&mut table.sessions)
        };
        futures_util::future::join_all(all.iter().map(|session| session.close())).await;
    }

    /// A session by its id.
    pub(crate) fn get(&self, id: &str) -> Result<Arc<Session>, WireError> {
        let table = self.table.lock();
        let found = table.sessions.iter().find(|session| session.id == id).cloned();
        found.ok_or_else(|| errors::no_session(&id[..id.floor_char_boundary(64)]))
    }

    /// Those that were not closed.
    pub(crate) fn list(&self) -> SessionList {
        let table = self.table.lock();
        SessionList { sessions: table.sessions.iter().filter(|s| !s.is_closed()).map(|s| s.info()).collect() }
    }

    fn forget(&self, session: &Arc<Session>) {
        self.table.lock().sessions.retain(|other| !Arc::ptr_eq(other, session));
    }

    fn place(&self, vm: &str) -> Result<Place<'_>, WireError> {
        let mut table = self.table.lock();
        if table.closed {
            return Err(no_vm(vm));
        }
        let used = table.live() + table.starting;
        if used >= LIVE {
            let (configured, used) = (LIVE as u64, used as u64);
            let name = "sessions".to_owned();
            return Err(WireError::limit(LimitInfo { name, configured, used, requested: 1 }));
        }
        table.starting += 1;
        Ok(Place(self))
    }

    fn add(&self, vm: &str, session: &Arc<Session>) -> Result<(), WireError> {
        let mut table = self.table.lock();
        if table.closed {
            return Err(no_vm(vm));
        }
        let mut surplus = (table.sessions.len() - table.live()).saturating_sub(ENDED_KEPT);
        table.sessions.retain(|session| {
            let goes = surplus > 0 && session.is_over();
            surplus -= usize::from(goes);
            !goes
        });
        table.sessions.push(Arc::clone(session));
        Ok(())
    }
}

/// The agents a VM knows, and which of them are there.
pub(crate) async fn list_agents(vm: &Vm) -> Result<AgentList, WireError> {
    let cwd = vm.directory(None).await?;
    let mut agents = Vec::new();
    for agent in vm.sessions.agents.list() {
        let installed = launch::installed(vm, &agent, &cwd).await;
        let agentos_protocol::message::AgentConfig { id, acp_adapter, agent_package, .. } = agent;
        agents.push(AgentRegistryEntry { id, acp_adapter, agent_package, installed });
    }
    Ok(AgentList { agents })
}

/// Starts an agent and a session with it. Dropping the future, like an error, kills the agent.
pub(crate) async fn create(vm: Arc<Vm>, request: CreateSession) -> Result<SessionInitData, WireError> {
    let CreateSession { agent_type, options, .. } = request;
    let config = vm.sessions.agents.get(&agent_type)?;
    let mcp_servers = start::mcp_servers(options.mcp_servers.as_ref())?;
    let path = match &options.cwd {
        Some(path) => vm.cwd.join(path).map_err(|e| crate::errors::bad_path(&e, path))?,
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
    let described = session.describe()?;
    vm.sessions.add(&vm.id, &session)?;
    starting.keep();
    Ok(described)
}

/// Ends a session in good order and forgets it; to the end, even if the caller no longer waits for it.
pub(crate) async fn destroy(vm: Arc<Vm>, id: &str) -> Result<(), WireError> {
    let session = vm.sessions.get(id)?;
    let of = Arc::clone(&session);
    let ending = async move {
        of.end().await;
        vm.sessions.forget(&of);
    };
    session.agent.detached(ending).await;
    Ok(())
}

/// Variables of the VM, then those added; the last of a name counts, and stays alone.
fn merged(base: &[Vec<u8>], added: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut all = std::collections::BTreeMap::new();
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
    let path = GuestPath::new(PATH).map_err(|e| crate::errors::bad_path(&e, PATH))?;
    let file = match kernel.open(&kernel.host(), None, At::Cwd(path.as_bytes()), O_RDONLY, 0).await {
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
