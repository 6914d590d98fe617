//! Agent sessions of a VM. Each has a Driver Kernel (`agentos-driver`), which decides what turns, questions and ends are, and
//! whose agent is a guest process; here is what a session is besides: its log, its place in the machine, its life over several
//! agents.
//!
//! | file | for |
//! |---|---|
//! | `create`, `start` | making a session and going on with one |
//! | `entry`, `head` | a session, and what is kept of it |
//! | `turn`, `sink` | prompts, and what comes of them |
//! | `log`, `events` | its events, in memory and stored; as the wire has them |
//! | `interrupted`, `history` | what an earlier process left open, what was said before |
//! | `agents`, `launch`, `pipe` | which agents there are, and their processes |
//! | `protocol` | what agents speak, and how those of each kind are started |
//! | `remote` | their MCP servers elsewhere |

mod agents;
mod create;
mod entry;
mod errors;
mod events;
mod head;
mod history;
mod interrupted;
mod launch;
mod log;
mod native;
mod pipe;
mod protocol;
mod remote;
mod sink;
mod start;
#[cfg(test)]
mod tests;
mod texts;
mod turn;

use std::sync::Arc;

use agentos_protocol::WireError;
use agentos_protocol::message::{AgentConfig, AgentList, AgentRegistryEntry, SessionList, code};
use agentos_store::StoreError;
use agentos_store::sessions::{MAX_LOGS, SessionLogs};
use parking_lot::Mutex;

pub(crate) use agents::Agents;
pub(crate) use create::{create, resume};
pub(crate) use entry::Session;
pub(crate) use events::follow;

use self::head::Head;
use self::log::EventLog;
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
        self.sessions.iter().filter(|s| s.is_live()).count()
    }
}

/// The sessions of one VM.
pub(crate) struct Sessions {
    pub(crate) agents: Agents,
    table: Mutex<Table>,
    /// Where their logs are kept, if the machine's files are.
    logs: Option<SessionLogs>,
}

impl Default for Sessions {
    /// Of a machine that starts with none, and keeps none.
    fn default() -> Self {
        Self { agents: Agents::new(), table: Mutex::default(), logs: None }
    }
}

/// A place among the sessions, held while one is made.
struct Place<'a>(&'a Sessions);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.table.lock().starting -= 1;
    }
}

impl Sessions {
    /// Of a machine whose files are kept, with those that an earlier life of it has left.
    pub(crate) fn stored(logs: SessionLogs) -> Result<Self, StoreError> {
        // Ids begin with the moment they were made in, so this is their order.
        let mut sessions = Vec::new();
        for id in logs.list()? {
            let (log, head) = logs.log(&id)?;
            match Head::parse(&head) {
                Ok(mut head) => {
                    // Earlier versions stored the headers of servers as well.
                    let headers = remote::split(&mut head.setup.mcp_servers).unwrap_or_default();
                    let cleaned = !headers.is_empty();
                    let session = Session::new(id, EventLog::new(Some(log)), head, headers);
                    if cleaned {
                        session.record.change(|_| {});
                    }
                    sessions.push(session);
                }
                Err(error) => tracing::warn!(session = %id, %error, "this session is left alone"),
            }
        }
        let table = Table { sessions, ..Table::default() };
        Ok(Self { agents: Agents::new(), table: Mutex::new(table), logs: Some(logs) })
    }

    /// A log for a new session.
    fn new_log(&self, id: &str, head: &Head) -> Result<EventLog, WireError> {
        let kept = self.table.lock().sessions.len();
        if self.logs.is_some() && kept >= MAX_LOGS {
            return Err(errors::limit("storedSessions", MAX_LOGS, kept));
        }
        let log = self.logs.as_ref().map(|logs| logs.create(id, &head.bytes())).transpose();
        let log = log.map_err(|error| WireError::new(code::INTERNAL, format!("sessions: {error}")))?;
        Ok(EventLog::new(log))
    }

    /// Nothing is kept of a session any more.
    fn forget_log(&self, id: &str) {
        if let Some(logs) = &self.logs
            && let Err(error) = logs.remove(id)
        {
            tracing::warn!(session = %id, %error, "the log of a session is left behind");
        }
    }

    /// Sessions whose agents run.
    pub(crate) fn count(&self) -> usize {
        self.table.lock().live()
    }

    /// Ends all agents and waits for them a limited time. No session begins after this. What is stored can be gone on with.
    pub(crate) async fn close_all(&self) {
        let all = {
            let mut table = self.table.lock();
            table.closed = true;
            std::mem::take(&mut table.sessions)
        };
        let stored = self.logs.is_some();
        let ends = all
            .iter()
            .map(async |session| if stored { session.suspend().await } else { session.close().await });
        futures_util::future::join_all(ends).await;
    }

    /// A session by its id.
    pub(crate) fn get(&self, id: &str) -> Result<Arc<Session>, WireError> {
        let table = self.table.lock();
        let found = table.sessions.iter().find(|session| session.id == id).cloned();
        found.ok_or_else(|| errors::no_session(&id[..id.floor_char_boundary(64)]))
    }

    /// Those that were not closed, or all.
    pub(crate) fn list(&self, closed: bool) -> SessionList {
        let table = self.table.lock();
        let sessions = table.sessions.iter().filter(|session| closed || !session.is_closed());
        SessionList { sessions: sessions.map(|session| session.info()).collect() }
    }

    /// Whether it was neither destroyed nor dropped.
    fn has(&self, session: &Arc<Session>) -> bool {
        self.table.lock().sessions.iter().any(|other| Arc::ptr_eq(other, session))
    }

    fn forget(&self, session: &Arc<Session>) {
        self.table.lock().sessions.retain(|other| !Arc::ptr_eq(other, session));
        self.forget_log(&session.id);
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
        // Those whose agents came to grief can be gone on with, where they are stored.
        let stored = self.logs.is_some();
        let over = |session: &Arc<Session>| {
            !session.is_live() && (!stored || session.is_closed()) && session.changing.try_lock().is_ok()
        };
        let mut surplus = table.sessions.iter().filter(|one| over(one)).count().saturating_sub(ENDED_KEPT);
        let mut gone = Vec::new();
        table.sessions.retain(|session| {
            let goes = surplus > 0 && over(session);
            if goes {
                surplus -= 1;
                gone.push(session.id.clone());
            }
            !goes
        });
        table.sessions.push(Arc::clone(session));
        drop(table);
        gone.iter().for_each(|id| self.forget_log(id));
        Ok(())
    }
}

/// The agents a VM knows, and which of them are there.
pub(crate) async fn list_agents(vm: &Vm) -> Result<AgentList, WireError> {
    let cwd = vm.directory(None).await?;
    let mut listed = Vec::new();
    for agent in vm.sessions.agents.list() {
        let installed = launch::installed(vm, &agent, &cwd).await;
        let (source, how) = agents::origin(&agent);
        let (source, install) = (source.to_owned(), how.filter(|_| !installed));
        let AgentConfig { id, acp_adapter, agent_package, .. } = agent;
        listed.push(AgentRegistryEntry { id, acp_adapter, agent_package, installed, source, install });
    }
    Ok(AgentList { agents: listed })
}

/// Ends a session in good order and forgets it; to the end, even if the caller no longer waits for it.
pub(crate) async fn destroy(vm: Arc<Vm>, id: &str) -> Result<(), WireError> {
    let session = vm.sessions.get(id)?;
    let of = Arc::clone(&session);
    let ending = async move {
        let _held = of.end().await;
        vm.sessions.forget(&of);
    };
    let _ = tokio::spawn(ending).await;
    Ok(())
}
