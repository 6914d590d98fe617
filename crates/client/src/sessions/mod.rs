//! Sessions of agents: making them, prompting, watching, answering, ending.
//! Turn rules are the Driver Kernel's, in the sidecar.

mod config;
mod events;
mod handle;
mod mcp;
mod permission;
mod prompt;
mod rpc;
mod state;

pub use agentos_protocol::message::{PermissionReply, SessionInfo};
pub use config::{CreateSessionOptions, ResumeSessionOptions, SessionInitData};
pub use events::{GetSessionEventsOptions, SessionEvent, SessionEventStream};
pub use handle::Session;
pub use mcp::McpServerConfig;
pub use permission::{PermissionOption, PermissionRequest, PermissionRequests};
pub use prompt::{PromptInput, PromptOptions, PromptResult};
pub use rpc::{JsonRpcError, JsonRpcNotification, JsonRpcRequest, JsonRpcResponse};
pub use state::{AgentCapabilities, AgentInfo, SessionConfigOption, SessionMode, SessionModeState};

use agentos_protocol::message::JsonText;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// JSON of the agent, which may be anything.
fn parse<T: DeserializeOwned>(what: &str, json: &JsonText) -> Result<T> {
    json.parse().map_err(|error| Error::Transport { message: format!("{what}: {error}") })
}
