//! Agent sessions of a VM: agents are guest processes that speak the Agent Client Protocol on their standard streams,
//! one process per session. The protocol itself is in `agentos-acp`; what a session means beyond one agent process is
//! not decided here.

mod agent;
mod agents;
mod create;
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

use agentos_protocol::WireError;
use agentos_protocol::message::{AgentConfig, AgentList, AgentRegistryEntry, SessionList};
use parking_lot::Mutex;

pub(crate) use agents::Agents;
pub(crate) use create::create;
pub(crate) use entry::Session;
pub(crate) use events::follow;

use crate::errors::no_vm;
use crate::vm::Vm;

/// Sessions of one VM whose agents run.
const LIVE: usize = 64;
/// Ended sessions that are kept for their events; the oldest go first.
const ENDED_KEPT: usize = 64;

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
            return Err(errors::limit("sessions", LIVE, used));
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
        let AgentConfig { id, acp_adapter, agent_package, .. } = agent;
        agents.push(AgentRegistryEntry { id, acp_adapter, agent_package, installed });
    }
    Ok(AgentList { agents })
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
