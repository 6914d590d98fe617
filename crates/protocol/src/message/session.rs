//! Agents and their sessions. JSON of the Agent Client Protocol travels as text inside the messages.
//! Turn rules are the Driver Kernel's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ClientFilesSpec, JsonText, StreamId, WirePath};

/// How an agent is started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AgentConfig {
    /// Name in [`CreateSession::agent_type`].
    pub id: String,
    /// Name or package of the program.
    pub acp_adapter: String,
    /// What it speaks: `acp-fallback` (ACP; as if nothing were said), `claude-agent-sdk` (Claude Code's stream-json) or
    /// `openai-app-server` (Codex's JSON-RPC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Package of the agent behind it.
    pub agent_package: String,
    /// Program in the guest; `None`: `acp_adapter` through PATH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Its arguments; those that its backend gives it come after them.
    pub args: Vec<String>,
    /// Added to its environment.
    pub env: BTreeMap<String, String>,
    /// Text put before the OS instructions of its sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepare_instructions: Option<String>,
}

/// Registers an agent for a VM; replaces one of the same id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisterAgent {
    /// The VM.
    pub vm_id: String,
    /// The agent.
    pub agent: AgentConfig,
}

/// Known agents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentList {
    /// By id.
    #[serde(default)]
    pub agents: Vec<AgentRegistryEntry>,
}

/// A known agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AgentRegistryEntry {
    /// Its id.
    pub id: String,
    /// Program that speaks ACP.
    pub acp_adapter: String,
    /// Package behind it.
    pub agent_package: String,
    /// Its program is in the VM.
    pub installed: bool,
    /// Where it comes from: `bundled` with every machine, `npm`, or `registered` by the client.
    pub source: String,
    /// What to do to have it in the VM; nothing for those that are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub install: Option<String>,
}

/// Options of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionOptions {
    /// Working directory; the VM's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<WirePath>,
    /// Further directories that the agent may work in; absolute.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional_directories: Vec<WirePath>,
    /// Added to the environment of the agent.
    pub env: BTreeMap<String, String>,
    /// MCP servers, as a JSON array in ACP's form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcp_servers: Option<JsonText>,
    /// Leave the OS instructions out.
    pub skip_os_instructions: bool,
    /// Appended to the OS instructions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_instructions: Option<String>,
    /// Model to set at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Mode to set at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The client has texts for its agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_files: Option<ClientFilesSpec>,
    /// `_meta` of the request that opens the session, as a JSON object. For agents that speak ACP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<JsonText>,
}

/// Starts an agent and a session in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateSession {
    /// The VM.
    pub vm_id: String,
    /// Id of the agent.
    pub agent_type: String,
    /// Options.
    #[serde(default)]
    pub options: SessionOptions,
}

/// A session and what its agent said of itself. The JSON is ACP's own, unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionInitData {
    /// Its id, ours.
    pub session_id: String,
    /// Id of the agent.
    pub agent_type: String,
    /// The agent's own id of the session.
    pub agent_session_id: String,
    /// Process of the agent.
    pub pid: u32,
    /// Working directory.
    pub cwd: String,
    /// ACP `modes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modes: Option<JsonText>,
    /// ACP `models` (legacy).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<JsonText>,
    /// ACP `configOptions`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_options: Option<JsonText>,
    /// ACP `agentCapabilities`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<JsonText>,
    /// ACP `agentInfo`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_info: Option<JsonText>,
}

/// One turn. Cancelling the call cancels the turn. Prompts of one session queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Prompt {
    /// The VM.
    pub vm_id: String,
    /// The session.
    pub session_id: String,
    /// JSON array of ACP content blocks.
    pub content: JsonText,
    /// Members of `session/prompt` beside `sessionId` and `prompt`, as a JSON object. For agents that speak ACP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<JsonText>,
}

/// End of a turn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PromptReply {
    /// Text of the agent's messages in this turn.
    pub text: String,
    /// ACP stop reason, such as `end_turn`.
    pub stop_reason: String,
    /// Token usage, if the agent told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<JsonText>,
    /// The whole JSON-RPC result.
    pub response: JsonText,
}

/// Sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionList {
    /// In the order they were made.
    #[serde(default)]
    pub sessions: Vec<SessionInfo>,
}

/// A session in a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionInfo {
    /// Its id.
    pub session_id: String,
    /// Id of the agent.
    pub agent_type: String,
    /// `idle`, `running`, `ended`, or `suspended`: stored by an earlier life of the machine, to be resumed.
    pub status: String,
    /// Made, milliseconds since 1970 UTC.
    pub created_ms: u64,
    /// When its last event was, milliseconds since 1970 UTC; when it was made, if there is none.
    pub updated_ms: u64,
    /// Number of its last event; 0: none.
    pub last_seq: u64,
    /// Working directory.
    pub cwd: String,
    /// Further directories that its agent may work in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional_directories: Vec<String>,
    /// Its title, if the agent gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// An event of a session; on a stream each is a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionEventRecord {
    /// Number of the event in its session: 1, 2, 3… without gaps.
    pub seq: u64,
    /// When, milliseconds since 1970 UTC.
    pub time_ms: u64,
    /// ACP method, such as `session/update` or `session/request_permission`; those that are only the Driver Kernel's begin with
    /// `_agentos/`, then their kind with `_` for `.`.
    pub method: String,
    /// Its parameters, unchanged but for one thing: `session/request_permission` has `_meta.agentos.permissionId` added.
    /// Once that request is answered, times out or loses its turn, `_agentos/permission_resolved` with `permissionId` (and
    /// `outcome`) follows, so that a reader knows from the events alone which requests are open.
    pub params: JsonText,
    /// The kind that the Driver Kernel gave it, such as `item.delta`; `x_native.message` if it is nothing but the agent's.
    pub kind: String,
    /// The turn that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<String>,
    /// The Driver Kernel's payload; absent where `params` are it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<JsonText>,
}

/// Begin of an event stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionEventsReply {
    /// `seq` of the last event so far; 0: none.
    pub last_seq: u64,
}

/// Events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionEventPage {
    /// By `seq`.
    pub events: Vec<SessionEventRecord>,
    /// There are more.
    pub more: bool,
}

/// Answer to a permission request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PermissionReply {
    /// Allow this time.
    Once,
    /// Allow from now on.
    Always,
    /// Refuse.
    Reject,
}

/// Configuration options after a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionConfigReply {
    /// JSON array of ACP options, complete.
    pub config_options: JsonText,
}

/// Answer to [`RawSend`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RawSendReply {
    /// The JSON-RPC result.
    pub result: JsonText,
}

/// Asks for the agents known to a VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListAgents {
    /// The VM.
    pub vm_id: String,
}

/// Asks for the sessions of a VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListSessions {
    /// The VM.
    pub vm_id: String,
    /// Those that were closed, too.
    #[serde(default)]
    pub closed: bool,
}

macro_rules! session_calls {
    ($($(#[$meta:meta])* $Name:ident { $($(#[$field_meta:meta])* $field:ident: $ty:ty),* $(,)? })*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
            #[serde(rename_all = "camelCase")]
            pub struct $Name {
                /// The VM.
                pub vm_id: String,
                /// The session.
                pub session_id: String,
                $($(#[$field_meta])* pub $field: $ty,)*
            }
        )*
    };
}

session_calls! {
    /// Cancels the running turn; without one nothing happens.
    CancelSession {}
    /// Kills the agent of a session; its events stay readable.
    CloseSession {}
    /// Ends a session gracefully and forgets it.
    DestroySession {}
    /// Goes on with a session whose agent does not run any more: suspended by the end of its machine, closed, or ended by an
    /// accident. One that runs is only described.
    ResumeSession {
        /// MCP servers from now on, as a JSON array in ACP's form; without it, those there were. One that runs cannot get others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mcp_servers: Option<JsonText>,
        /// Further directories from now on, likewise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        additional_directories: Option<Vec<WirePath>>,
        /// The client has texts for its agent from now on; without it, who had them before. One that was begun without
        /// cannot get them while it runs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_files: Option<ClientFilesSpec>,
        /// `_meta` of the request that opens the session from now on, as a JSON object; without it, that there was. One that runs is
        /// not told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        meta: Option<JsonText>,
    }
    /// What is known of a session, as it is now.
    DescribeSession {}
    /// Sends events on `stream` as records of [`SessionEventRecord`]: first those kept, then live ones, without a gap,
    /// until the session is destroyed (FIN).
    SessionEvents {
        /// Only events after this `seq`; 0: all.
        #[serde(default)]
        from_cursor: u64,
        /// Sidecar → client.
        stream: StreamId,
    }
    /// Kept events.
    GetSessionEvents {
        /// Only events after this `seq`; 0: all.
        #[serde(default)]
        since: u64,
        /// Only of this method.
        #[serde(default)]
        method: Option<String>,
        /// Most events, at most and by default 1000.
        #[serde(default)]
        limit: Option<u32>,
    }
    /// Answers a permission request: by what is meant, or by one of the options that the agent offers.
    RespondPermission {
        /// Its id.
        permission_id: String,
        /// The answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply: Option<PermissionReply>,
        /// Instead of it, the id of an option.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        option_id: Option<String>,
    }
    /// Sets the mode.
    SetSessionMode {
        /// Id of the mode.
        mode_id: String,
    }
    /// Sets the model.
    SetSessionModel {
        /// Id of the model.
        model_id: String,
    }
    /// Sets a configuration option, by id or, with `category`, the one of that category.
    SetSessionConfigOption {
        /// Id of the option, or category.
        config_id: String,
        /// `config_id` is a category, such as `thought_level`.
        #[serde(default)]
        category: bool,
        /// JSON string or boolean.
        value: JsonText,
    }
    /// Sends a JSON-RPC request to the agent as it is. Methods that begin a turn or end the session are refused.
    RawSend {
        /// Method.
        method: String,
        /// Parameters; `sessionId` is filled in if it is missing.
        #[serde(default)]
        params: JsonText,
    }
    /// Sends a JSON-RPC notification to the agent as it is, likewise.
    RawNotify {
        /// Method.
        method: String,
        /// Parameters; `sessionId` is filled in if it is missing.
        #[serde(default)]
        params: JsonText,
    }
}
