//! The agents a VM knows.
//! Their programs are in the VM; this is only their registry.

pub use agentos_protocol::message::{AgentConfig, AgentRegistryEntry};
use agentos_protocol::message::{ListAgents, RegisterAgent};

use crate::error::{Error, Result};
use crate::vm::AgentOs;

impl AgentOs {
    /// Makes an agent known to this VM; replaces one of the same id.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`].
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs) -> Result<(), agentos::Error> {
    /// use agentos::AgentConfig;
    /// os.register_agent(AgentConfig {
    ///     id: "mine".into(),
    ///     acp_adapter: "my-agent".into(),
    ///     command: Some("/workspace/my-agent.wasm".into()),
    ///     ..AgentConfig::default()
    /// }).await?;
    /// # Ok(()) }
    /// ```
    pub async fn register_agent(&self, agent: AgentConfig) -> Result<()> {
        if agent.id.is_empty() {
            return Err(Error::config("id", "must not be empty"));
        }
        self.vm.call(&RegisterAgent { vm_id: self.vm.id(), agent }).await?;
        Ok(())
    }

    /// The agents this VM knows, by id.
    ///
    /// # Errors
    /// [`Error::Disposed`].
    pub async fn list_agents(&self) -> Result<Vec<AgentRegistryEntry>> {
        Ok(self.vm.call(&ListAgents { vm_id: self.vm.id() }).await?.agents)
    }
}
