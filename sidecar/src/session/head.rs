//! What is kept of a session besides its events: all that is needed to go on with it in another process.

use std::collections::BTreeMap;

use agentos_driver::ResumeRef;
use agentos_protocol::message::AgentConfig;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The newest form of heads.
const VERSION: u32 = 1;

/// How a session is begun, and begun again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Setup {
    /// The agent, as it was registered.
    pub(crate) agent: AgentConfig,
    /// Where it works; absolute.
    pub(crate) cwd: String,
    /// Where it may work, too; absolute.
    #[serde(default)]
    pub(crate) additional_directories: Vec<String>,
    /// Variables beyond those of the machine.
    pub(crate) env: BTreeMap<String, String>,
    /// MCP servers in the form of ACP.
    pub(crate) mcp_servers: Vec<Value>,
    /// What the agent is told besides its own instructions.
    pub(crate) instructions: String,
    /// The model that was asked for.
    #[serde(default)]
    pub(crate) model: Option<String>,
    /// The mode that was asked for.
    #[serde(default)]
    pub(crate) mode: Option<String>,
    /// `_meta` of the client, for the request that opens the session.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) meta: Map<String, Value>,
}

/// What is kept of a session.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Head {
    version: u32,
    /// How it is begun.
    pub(crate) setup: Setup,
    /// When it was made, milliseconds since 1970 UTC.
    pub(crate) created_ms: u64,
    /// Its title, if the agent gave one.
    #[serde(default)]
    pub(crate) title: Option<String>,
    /// By what the agent can go on with it.
    #[serde(default)]
    pub(crate) resume: Option<ResumeRef>,
    /// What it had cost by then, as the agent counts.
    #[serde(default)]
    pub(crate) cost_total: Option<f64>,
    /// The agent does not know what was said before: the next prompt tells it.
    #[serde(default)]
    pub(crate) history_due: bool,
    /// Its client closed it, or it came to an end that was no accident.
    #[serde(default)]
    pub(crate) ended: bool,
}

impl Head {
    /// Of a new session.
    pub(crate) fn new(setup: Setup, created_ms: u64) -> Self {
        Head { version: VERSION, setup, created_ms, ..Head::default() }
    }

    /// Reads one; the error says what is wrong with it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let head: Head = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if head.version > VERSION {
            return Err(format!("written in form {}, this version knows up to {VERSION}", head.version));
        }
        Ok(head)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_back_and_those_of_later_versions_refused() {
        let meta = [("a".to_owned(), 1.into())].into_iter().collect();
        let setup = Setup { cwd: "/workspace".into(), model: Some("m".into()), meta, ..Setup::default() };
        let head = Head::new(setup, 5);
        let again = Head::parse(&head.bytes()).unwrap();
        assert_eq!((again.created_ms, again.setup.model.as_deref()), (5, Some("m")));
        assert_eq!(again.setup.meta["a"], 1);
        let later = String::from_utf8(head.bytes()).unwrap().replace("\"version\":1", "\"version\":2");
        assert!(Head::parse(later.as_bytes()).unwrap_err().contains("form 2"));
        assert!(Head::parse(b"{}").is_err());
    }
}
