//! What an agent speaks, and how one of each kind is started. What comes of its messages is the driver's affair.

use std::collections::BTreeMap;

use agentos_driver::backend::{acp, claude, codex};
use agentos_driver::boot::{CLAUDE_EXECUTABLE, CODEX_EXECUTABLE, Execution};
use agentos_driver::registry::Descriptor;
use agentos_protocol::message::AgentConfig;
use serde_json::{Map, Value, json};

use super::agents;
use super::head::Setup;

/// The variable that says where Codex keeps its state.
pub(super) const CODEX_HOME: &str = "CODEX_HOME";

/// What an agent speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// The Agent Client Protocol.
    Acp,
    /// Stream-json, of Claude Code.
    Claude,
    /// The app server's JSON-RPC, of Codex.
    Codex,
}

impl Protocol {
    /// That of an agent; else what it could be.
    pub(super) fn of(agent: &AgentConfig) -> Result<Self, String> {
        match agent.backend.as_deref() {
            None | Some("acp-fallback") => Ok(Protocol::Acp),
            Some("claude-agent-sdk") => Ok(Protocol::Claude),
            Some("openai-app-server") => Ok(Protocol::Codex),
            Some(_) => Err("there are acp-fallback, claude-agent-sdk and openai-app-server".to_owned()),
        }
    }

    /// Its backend.
    pub(super) fn descriptor(self, profile: acp::Profile) -> Descriptor {
        match self {
            Protocol::Acp => acp::descriptor_with(profile),
            Protocol::Claude => claude::descriptor(),
            Protocol::Codex => codex::descriptor(),
        }
    }

    /// The backend's name of a setting.
    pub(super) fn setting(self, name: &str) -> &str {
        match (self, name) {
            (Protocol::Claude, "mode") => "permission_mode",
            (Protocol::Codex, "mode") => "approvalPolicy",
            (Protocol::Codex, "thought_level") => "effort",
            (_, name) => name,
        }
    }

    /// Adds what an agent's variables need besides those of the machine: Codex wants its state in a directory that is there.
    pub(super) fn complete(self, of_machine: &[Vec<u8>], env: &mut BTreeMap<String, String>) {
        if self == Protocol::Codex && !env.contains_key(CODEX_HOME) {
            let home = of_machine.iter().find_map(|variable| variable.strip_prefix(b"HOME="));
            let home = home.map(String::from_utf8_lossy).unwrap_or_default();
            env.insert(CODEX_HOME.to_owned(), format!("{}/.codex", home.trim_end_matches('/')));
        }
    }

    /// Says what is to be run, for one that does not speak ACP. Its program is started with the agent's own arguments first.
    pub(super) fn fill(self, execution: &mut Execution, setup: &Setup, servers: &[Value]) {
        let program = agents::program(&setup.agent).to_owned();
        let mut options = Map::new();
        options.insert("env".to_owned(), json!(setup.env));
        let name = match self {
            Protocol::Acp => return,
            Protocol::Claude => {
                let local = |server: Value| json!({"type": "stdio", "command": server["command"], "args": server["args"], "env": server["env"]});
                let named = by_name(servers).into_iter().map(|(name, server)| (name, local(server)));
                options.insert("mcpServers".to_owned(), Value::Object(named.collect()));
                CLAUDE_EXECUTABLE
            }
            Protocol::Codex => {
                if !servers.is_empty() {
                    options.insert("thread".to_owned(), json!({"config": {"mcp_servers": by_name(servers)}}));
                }
                CODEX_EXECUTABLE
            }
        };
        execution.environment.variables.insert(name.to_owned(), program);
        execution.provider_options = options;
    }
}

/// Servers on stdio in the form that both vendors have: by name, variables as a map.
fn by_name(servers: &[Value]) -> Map<String, Value> {
    let text = |value: &Value, member: &str| {
        value.get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let variables = |server: &Value| -> Map<String, Value> {
        let pairs = server.get("env").and_then(Value::as_array).into_iter().flatten();
        pairs.map(|pair| (text(pair, "name"), text(pair, "value").into())).collect()
    };
    let form = |server: &Value| json!({"command": text(server, "command"), "args": server.get("args").cloned().unwrap_or_else(|| json!([])), "env": variables(server)});
    servers.iter().map(|server| (text(server, "name"), form(server))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(backend: &str) -> Setup {
        let mut setup = Setup { env: [("A".to_owned(), "1".to_owned())].into(), ..Setup::default() };
        setup.agent.backend = Some(backend.to_owned());
        setup.agent.command = Some("/opt/agent".to_owned());
        setup
    }

    #[test]
    fn programs_and_servers_take_the_form_of_their_vendor() {
        let servers =
            [json!({"name": "s", "command": "/bin/s", "args": ["-x"], "env": [{"name": "K", "value": "v"}]})];
        let of = |backend: &str| {
            let setup = setup(backend);
            let protocol = Protocol::of(&setup.agent).unwrap();
            let mut execution = Execution::default();
            protocol.fill(&mut execution, &setup, &servers);
            // What a backend does not take it refuses here.
            (protocol.descriptor(acp::Profile::guest()).create)(
                &execution,
                &agentos_driver::Ports::new(std::sync::Arc::new(Nobody)),
            )
            .map(drop)
            .unwrap();
            execution
        };
        let claude = of("claude-agent-sdk");
        assert_eq!(claude.environment.variables[CLAUDE_EXECUTABLE], "/opt/agent");
        let server = json!({"type": "stdio", "command": "/bin/s", "args": ["-x"], "env": {"K": "v"}});
        assert_eq!(claude.provider_options["mcpServers"], json!({"s": server}));
        assert_eq!(claude.provider_options["env"], json!({"A": "1"}));
        let codex = of("openai-app-server");
        let server = json!({"command": "/bin/s", "args": ["-x"], "env": {"K": "v"}});
        assert_eq!(codex.provider_options["thread"]["config"]["mcp_servers"], json!({"s": server}));
        let with = |protocol: Protocol, mut env: BTreeMap<String, String>| {
            protocol.complete(&[b"HOME=/home/u".to_vec()], &mut env);
            env.remove(CODEX_HOME)
        };
        assert_eq!(with(Protocol::Codex, BTreeMap::new()).as_deref(), Some("/home/u/.codex"));
        assert_eq!(
            with(Protocol::Codex, [(CODEX_HOME.to_owned(), "/x".to_owned())].into()).as_deref(),
            Some("/x")
        );
        assert_eq!(with(Protocol::Claude, BTreeMap::new()), None);
        assert!(Protocol::of(&setup("other").agent).unwrap_err().contains("claude-agent-sdk"));
    }

    struct Nobody;

    impl agentos_driver::process::Launcher for Nobody {
        fn launch(
            &self,
            _: agentos_driver::process::LaunchSpec,
        ) -> futures_util::future::BoxFuture<
            '_,
            Result<agentos_driver::process::Launched, agentos_driver::ErrorInfo>,
        > {
            Box::pin(async { Err(agentos_driver::ErrorInfo::new("test.nobody", "nothing is started")) })
        }
    }
}
