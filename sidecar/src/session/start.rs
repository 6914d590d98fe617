//! From a running agent to a session that is ready for prompts: initialize, `session/new`, model and mode.
//! It does not start the process.

use std::sync::Arc;

use agentos_acp::NewSession;
use agentos_acp::schema::McpServer;
use agentos_protocol::WireError;
use agentos_protocol::message::JsonText;
use agentos_vfs::{GuestPath, PathError};

use super::agent::Agent;
use super::entry::Session;
use super::errors::{invalid, wire};

/// MCP servers of one session.
const MCP_SERVERS: usize = 64;

/// What a session is made with.
#[derive(Default)]
pub(crate) struct Setup {
    /// Absolute.
    pub(crate) cwd: String,
    pub(crate) mcp_servers: Vec<McpServer>,
    /// OS instructions and the like; empty: none.
    pub(crate) instructions: String,
    pub(crate) model: Option<String>,
    pub(crate) mode: Option<String>,
}

/// Makes a session of a started agent. On an error the agent is the caller's to kill.
pub(crate) async fn start(
    id: String,
    agent_type: String,
    agent: &Arc<Agent>,
    setup: Setup,
) -> Result<Arc<Session>, WireError> {
    let peer = &agent.peer;
    let failed = |error| wire(&id, agent, error);
    peer.initialize().await.map_err(failed)?;
    let new = NewSession {
        mcp_servers: setup.mcp_servers,
        meta: meta(&setup.instructions),
        ..NewSession::in_directory(&setup.cwd)
    };
    let inner = peer.new_session(new).await.map_err(failed)?.session_id;
    if let Some(model) = &setup.model {
        peer.set_model(&inner, model).await.map_err(failed)?;
    }
    if let Some(mode) = &setup.mode {
        peer.set_mode(&inner, mode).await.map_err(failed)?;
    }
    let log = peer.events(&inner).map_err(failed)?;
    Ok(Session::new(id.clone(), agent_type, setup.cwd, inner, Arc::clone(agent), log))
}

/// Instructions travel in `_meta`, which ACP leaves to the two sides: in the form that Claude's adapters read, and in
/// ours.
fn meta(instructions: &str) -> Option<serde_json::Map<String, serde_json::Value>> {
    if instructions.is_empty() {
        return None;
    }
    let meta = serde_json::json!({
        "systemPrompt": { "append": instructions },
        "agentos": { "instructions": instructions },
    });
    meta.as_object().cloned()
}

/// Reads the MCP servers of a request; they come in ACP's form.
pub(crate) fn mcp_servers(json: Option<&JsonText>) -> Result<Vec<McpServer>, WireError> {
    let Some(json) = json else { return Ok(Vec::new()) };
    let servers: Vec<McpServer> = json.parse().map_err(|e| invalid(format!("mcpServers: {e}")))?;
    if servers.len() > MCP_SERVERS {
        return Err(invalid(format!("more than {MCP_SERVERS} MCP servers")));
    }
    Ok(servers)
}

/// Puts the parts of the instructions together; empty ones are left out.
pub(crate) fn instructions<'a>(parts: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let parts: Vec<_> = parts.into_iter().flatten().map(str::trim).filter(|part| !part.is_empty()).collect();
    parts.join("\n\n")
}

/// The working directory asked for; a relative one counts from the VM's.
pub(crate) fn directory(of_vm: &GuestPath, asked: &[u8]) -> Result<GuestPath, PathError> {
    if asked.starts_with(b"/") { GuestPath::new(asked) } else { of_vm.join(asked) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_joined_and_go_into_meta() {
        let all = instructions([Some("first\n"), None, Some("  "), Some("last")]);
        assert_eq!(all, "first\n\nlast");
        assert_eq!(meta(&all).unwrap()["systemPrompt"]["append"], "first\n\nlast");
        assert!(meta("").is_none());
    }

    #[test]
    fn directories_are_absolute_or_count_from_that_of_the_vm() {
        let of_vm = GuestPath::new("/workspace").unwrap();
        for (asked, path) in [("/tmp/", "/tmp"), ("a/../b", "/workspace/b"), ("", "/workspace"), ("/", "/")] {
            assert_eq!(directory(&of_vm, asked.as_bytes()).unwrap().to_string(), path);
        }
        assert!(directory(&of_vm, b"a\0").is_err());
    }

    #[test]
    fn mcp_servers_are_read_in_the_form_of_acp() {
        let json = r#"[{"name":"l","command":"/bin/s","args":["-x"],"env":[{"name":"A","value":"1"}]},
            {"type":"http","name":"r","url":"http://h/","headers":[]}]"#;
        let servers = mcp_servers(Some(&JsonText(json.into()))).unwrap();
        assert!(matches!(&servers[..], [McpServer::Stdio(_), McpServer::Http(_)]));
        assert!(mcp_servers(None).unwrap().is_empty());
        for wrong in ["{}", "[{}]", "nonsense"] {
            let error = mcp_servers(Some(&JsonText(wrong.into()))).unwrap_err();
            assert!(error.message.starts_with("mcpServers: "), "{error}");
        }
    }
}
