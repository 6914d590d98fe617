//! Which backends there are, what they can do and what they need of a host.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::backend::Backend;
use crate::boot::Execution;
use crate::ports::Ports;

/// The runtime of a session: whose agent it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Runtime {
    /// Claude Code.
    #[serde(rename = "claude-agent-sdk")]
    Claude,
    /// Codex.
    #[serde(rename = "openai-runtime")]
    OpenAi,
    /// Any agent that speaks ACP.
    #[serde(rename = "acp-fallback")]
    Acp,
}

impl Runtime {
    /// As the wire has it.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Runtime::Claude => "claude-agent-sdk",
            Runtime::OpenAi => "openai-runtime",
            Runtime::Acp => "acp-fallback",
        }
    }

    /// The kind of its resume references.
    #[must_use]
    pub fn resume_kind(self) -> &'static str {
        match self {
            Runtime::Claude => "claude_session_id",
            Runtime::OpenAi => "openai_thread_id",
            Runtime::Acp => "acp_session_id",
        }
    }
}

/// By what a vendor finds a session again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResumeRef {
    /// Such as `claude_session_id`; it must fit the runtime.
    pub kind: String,
    /// The runtime.
    pub runtime_id: String,
    /// The vendor's id; not empty.
    pub value: String,
}

impl ResumeRef {
    /// A reference of a runtime.
    pub fn new(runtime: Runtime, value: impl Into<String>) -> Self {
        let (kind, runtime_id) = (runtime.resume_kind().to_owned(), runtime.id().to_owned());
        ResumeRef { kind, runtime_id, value: value.into() }
    }

    /// Whether it is one of this runtime.
    #[must_use]
    pub fn fits(&self, runtime: Runtime) -> bool {
        self.kind == runtime.resume_kind() && self.runtime_id == runtime.id() && !self.value.is_empty()
    }
}

/// Whether a backend can do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    /// It can.
    Supported,
    /// It cannot.
    Unsupported,
}

/// Something that a backend can do, or cannot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Capability {
    /// Such as `turn_cancel`.
    pub id: String,
    /// Whether.
    pub status: Support,
    /// Which version of it.
    pub version: u32,
    /// More.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Map<String, Value>>,
}

impl Capability {
    /// It can.
    #[must_use]
    pub fn supported(id: &str) -> Self {
        Capability { id: id.to_owned(), status: Support::Supported, version: 1, details: None }
    }

    /// It cannot.
    #[must_use]
    pub fn unsupported(id: &str) -> Self {
        Capability { status: Support::Unsupported, ..Capability::supported(id) }
    }
}

/// A port that a backend needs of its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Where events go.
    EventSink,
    /// Where logs go.
    Logger,
    /// Who answers permissions.
    Permission,
    /// Who calls tools of MCP servers.
    Mcp,
    /// Who has skills.
    Skill,
    /// Who hears of changed files.
    File,
    /// Who knows the session's place in the host.
    HostIntegration,
}

/// Makes a backend for a session.
pub type Create = Arc<dyn Fn(&Execution, &Ports) -> Result<Arc<dyn Backend>, crate::ErrorInfo> + Send + Sync>;

/// A backend that can be had.
#[derive(Clone)]
pub struct Descriptor {
    /// Its transport, by which it is found.
    pub id: &'static str,
    /// Its runtime.
    pub runtime: Runtime,
    /// Other names of it.
    pub aliases: Vec<&'static str>,
    /// What it can do.
    pub capabilities: Vec<Capability>,
    /// The ports it makes use of, for hosts to see: each has a default, so none can be missing.
    pub required_ports: Vec<Port>,
    /// What it cannot do, in words, for hosts to see.
    pub unsupported_gaps: Vec<&'static str>,
    /// Makes one.
    pub create: Create,
}

impl std::fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Descriptor")
            .field("id", &self.id)
            .field("runtime", &self.runtime)
            .finish_non_exhaustive()
    }
}

/// Why a backend is not to be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Another has the name already.
    #[error("backend {name} is registered already")]
    Duplicate {
        /// The id or alias.
        name: String,
    },
    /// There is none.
    #[error("there is no backend for transport {transport}; there are: {known}")]
    Unknown {
        /// What was asked for.
        transport: String,
        /// What there is.
        known: String,
    },
    /// The runtime is that of another.
    #[error("transport {transport} is of runtime {expected}, not {found}")]
    Runtime {
        /// What was asked for.
        transport: String,
        /// Its runtime.
        expected: &'static str,
        /// The one that was given.
        found: &'static str,
    },
}

/// The backends there are.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    by_name: BTreeMap<String, Arc<Descriptor>>,
}

impl Registry {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Registry::default()
    }

    /// Adds one.
    ///
    /// # Errors
    /// [`RegistryError::Duplicate`]: its id or an alias is taken, also by itself.
    pub fn register(&mut self, descriptor: Descriptor) -> Result<(), RegistryError> {
        let descriptor = Arc::new(descriptor);
        let mut names: Vec<&str> = vec![descriptor.id];
        names.extend(&descriptor.aliases);
        for (n, name) in names.iter().enumerate() {
            if self.by_name.contains_key(*name) || names.iter().take(n).any(|other| other == name) {
                return Err(RegistryError::Duplicate { name: (*name).to_owned() });
            }
        }
        for name in names {
            self.by_name.insert(name.to_owned(), Arc::clone(&descriptor));
        }
        Ok(())
    }

    /// The backend of a transport.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`], [`RegistryError::Runtime`].
    pub fn find(&self, transport: &str, runtime: Runtime) -> Result<&Arc<Descriptor>, RegistryError> {
        let Some(descriptor) = self.by_name.get(transport) else {
            let known: Vec<&str> = self.descriptors().map(|d| d.id).collect();
            return Err(RegistryError::Unknown { transport: transport.to_owned(), known: known.join(", ") });
        };
        if descriptor.runtime != runtime {
            return Err(RegistryError::Runtime {
                transport: transport.to_owned(),
                expected: descriptor.runtime.id(),
                found: runtime.id(),
            });
        }
        Ok(descriptor)
    }

    /// All of them, each once.
    pub fn descriptors(&self) -> impl Iterator<Item = &Arc<Descriptor>> {
        self.by_name
            .iter()
            .filter(|(name, descriptor)| *name == descriptor.id)
            .map(|(_, descriptor)| descriptor)
    }
}
