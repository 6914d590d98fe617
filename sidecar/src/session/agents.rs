//! The agents a VM knows: those known everywhere and those its client registered.
//! It starts none.

use std::collections::BTreeMap;

use agentos_protocol::WireError;
use agentos_protocol::message::{AgentConfig, code};
use parking_lot::Mutex;

use super::errors::limit;
use super::protocol::Protocol;
use crate::config::variable;

/// Agents of one VM.
const MOST: usize = 256;
/// Longest id.
const ID: usize = 64;
/// All texts of one agent together, bytes.
const TEXT: usize = 64 << 10;

/// An agent that every VM knows.
struct Known {
    id: &'static str,
    /// Program that speaks ACP.
    adapter: &'static str,
    /// Package behind it.
    package: &'static str,
    command: &'static str,
    args: &'static [&'static str],
    /// Packages of npm that bring it, in versions that go together; none: it is in the base.
    npm: &'static [&'static str],
}

const KNOWN: &[Known] = &[
    Known {
        id: "claude",
        adapter: "claude-code-acp",
        package: "@anthropic-ai/claude-agent-sdk",
        command: "claude-code-acp",
        args: &[],
        npm: &["@zed-industries/claude-code-acp@0.16.2"],
    },
    Known {
        id: "coder",
        adapter: "agentos-coder",
        package: "agentos-coder",
        command: "/bin/agentos-coder",
        args: &[],
        npm: &[],
    },
    Known {
        id: "codex",
        adapter: "codex-acp",
        package: "@zed-industries/codex-acp",
        command: "codex-acp",
        args: &[],
        npm: &["@zed-industries/codex-acp@0.16.0"],
    },
    Known {
        id: "opencode",
        adapter: "opencode",
        package: "opencode-ai",
        command: "opencode",
        args: &["acp"],
        npm: &["opencode-ai@1.18"],
    },
    Known {
        id: "pi",
        adapter: "pi-acp",
        package: "@mariozechner/pi-coding-agent",
        command: "pi-acp",
        args: &[],
        npm: &["@mariozechner/pi-coding-agent@0.73.1", "pi-acp@0.0.23"],
    },
    Known {
        id: "pi-cli",
        adapter: "pi-acp",
        package: "@mariozechner/pi-coding-agent",
        command: "pi-acp",
        args: &[],
        npm: &["@mariozechner/pi-coding-agent@0.73.1", "pi-acp@0.0.23"],
    },
    Known {
        id: "scripted",
        adapter: "agentos-scripted",
        package: "agentos-scripted",
        command: "/bin/agentos-scripted",
        args: &[],
        npm: &[],
    },
];

/// Where an agent comes from, and what to do to have it.
pub(crate) fn origin(agent: &AgentConfig) -> (&'static str, Option<String>) {
    let same = |known: &&Known| known.id == agent.id && agent.command.as_deref() == Some(known.command);
    match KNOWN.iter().find(same) {
        Some(known) if known.npm.is_empty() => ("bundled", None),
        Some(known) => {
            let packages = known.npm.join(" ");
            let program = known.command;
            let how = format!(
                "npm install --prefix DIR {packages}; mount DIR at /opt/agents and set PATH so that \
                 /opt/agents/node_modules/.bin/{program} is found; it needs node in the machine, which is still to come"
            );
            ("npm", Some(how))
        }
        None => {
            let program = program(agent);
            let how = format!(
                "bring {program} into the machine: mount its directory, and name it by its path or on PATH"
            );
            ("registered", Some(how))
        }
    }
}

/// The registry of one VM.
pub(crate) struct Agents(Mutex<BTreeMap<String, AgentConfig>>);

impl Agents {
    pub(crate) fn new() -> Self {
        let known = KNOWN.iter().map(|known| {
            let agent = AgentConfig {
                id: known.id.to_owned(),
                acp_adapter: known.adapter.to_owned(),
                agent_package: known.package.to_owned(),
                command: Some(known.command.to_owned()),
                args: known.args.iter().map(|arg| (*arg).to_owned()).collect(),
                ..AgentConfig::default()
            };
            (agent.id.clone(), agent)
        });
        Self(Mutex::new(known.collect()))
    }

    /// Takes an agent in, in place of one of the same id.
    pub(crate) fn register(&self, agent: AgentConfig) -> Result<(), WireError> {
        check(&agent)?;
        let mut all = self.0.lock();
        if all.len() >= MOST && !all.contains_key(&agent.id) {
            return Err(limit("agents", MOST, all.len()));
        }
        all.insert(agent.id.clone(), agent);
        Ok(())
    }

    /// The agent of this id.
    pub(crate) fn get(&self, id: &str) -> Result<AgentConfig, WireError> {
        let found = self.0.lock().get(id).cloned();
        found.ok_or_else(|| WireError::not_found(code::AGENT_NOT_FOUND, shown(id)))
    }

    /// All, by id.
    pub(crate) fn list(&self) -> Vec<AgentConfig> {
        self.0.lock().values().cloned().collect()
    }
}

/// An id of a request, short enough for an error.
fn shown(id: &str) -> &str {
    &id[..id.floor_char_boundary(ID)]
}

/// The program of an agent: its command, or its adapter without the scope of the package.
pub(crate) fn program(agent: &AgentConfig) -> &str {
    match &agent.command {
        Some(command) => command,
        None if agent.acp_adapter.starts_with('@') => {
            agent.acp_adapter.split_once('/').map_or("", |(_, name)| name)
        }
        None => &agent.acp_adapter,
    }
}

fn check(agent: &AgentConfig) -> Result<(), WireError> {
    let refuse = |field: &str, reason: String| Err(WireError::invalid_config(field, reason));
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if agent.id.is_empty() || agent.id.len() > ID || !agent.id.chars().all(valid) {
        return refuse("id", format!("1 to {ID} letters, digits, '-', '_' and '.'"));
    }
    if let Err(reason) = Protocol::of(agent) {
        return refuse("backend", reason);
    }
    if program(agent).is_empty() {
        return refuse("command", "neither command nor acpAdapter names a program".into());
    }
    if program(agent).contains('\0') {
        return refuse("command", "must not contain NUL".into());
    }
    for (n, arg) in agent.args.iter().enumerate() {
        if arg.contains('\0') {
            return refuse(&format!("args[{n}]"), "must not contain NUL".into());
        }
    }
    for (name, value) in &agent.env {
        variable("env", name, value)?;
    }
    let text = agent.acp_adapter.len()
        + agent.agent_package.len()
        + agent.command.as_ref().map_or(0, String::len)
        + agent.args.iter().map(|arg| arg.len() + 1).sum::<usize>()
        + agent.env.iter().map(|(name, value)| name.len() + value.len() + 2).sum::<usize>()
        + agent.prepare_instructions.as_ref().map_or(0, String::len);
    if text > TEXT {
        return refuse("id", format!("the agent has {text} bytes of text; {TEXT} are allowed"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(id: &str) -> AgentConfig {
        AgentConfig { id: id.into(), acp_adapter: "prog".into(), ..AgentConfig::default() }
    }

    fn refused(change: impl FnOnce(&mut AgentConfig)) -> String {
        let mut agent = agent("a");
        change(&mut agent);
        match Agents::new().register(agent) {
            Ok(()) => String::new(),
            Err(error) => error.details.unwrap().config.unwrap().path,
        }
    }

    #[test]
    fn refusals_name_the_field() {
        assert_eq!(refused(|_| ()), "");
        assert_eq!(refused(|a| a.id = String::new()), "id");
        assert_eq!(refused(|a| a.id = "a b".into()), "id");
        assert_eq!(refused(|a| a.id = "a".repeat(65)), "id");
        assert_eq!(refused(|a| a.acp_adapter = String::new()), "command");
        assert_eq!(refused(|a| a.acp_adapter = "@scope".into()), "command");
        assert_eq!(refused(|a| a.command = Some("a\0".into())), "command");
        assert_eq!(refused(|a| a.backend = Some("claude-agent-sdk".into())), "");
        assert_eq!(refused(|a| a.backend = Some("other".into())), "backend");
        assert_eq!(refused(|a| a.args = vec!["x".into(), "\0".into()]), "args[1]");
        assert_eq!(refused(|a| drop(a.env.insert("A=".into(), String::new()))), "env.A=");
        assert_eq!(refused(|a| a.prepare_instructions = Some("x".repeat(TEXT))), "id");
    }

    #[test]
    fn agents_are_replaced_and_bounded() {
        let agents = Agents::new();
        let ids: Vec<_> = agents.list().into_iter().map(|a| a.id).collect();
        assert_eq!(ids, ["claude", "coder", "codex", "opencode", "pi", "pi-cli", "scripted"]);
        for n in 0..MOST - KNOWN.len() {
            agents.register(agent(&format!("a{n}"))).unwrap();
        }
        assert_eq!(agents.register(agent("b")).unwrap_err().code, code::LIMIT);
        agents.register(AgentConfig { command: Some("/p".into()), ..agent("a0") }).unwrap();
        assert_eq!(program(&agents.get("a0").unwrap()), "/p");
        assert_eq!(agents.get("b").unwrap_err().code, code::AGENT_NOT_FOUND);
    }

    #[test]
    fn each_agent_says_where_it_comes_from() {
        let agents = Agents::new();
        let of = |id: &str| origin(&agents.get(id).unwrap());
        assert_eq!(of("scripted"), ("bundled", None));
        let (source, how) = of("pi");
        assert_eq!(source, "npm");
        assert!(how.unwrap().contains("pi-acp@0.0.23"));
        agents.register(agent("pi")).unwrap();
        assert_eq!(of("pi").0, "registered");
    }

    #[test]
    fn the_adapter_names_the_program() {
        let of = |adapter: &str| AgentConfig { acp_adapter: adapter.into(), ..AgentConfig::default() };
        assert_eq!(program(&of("pi-acp")), "pi-acp");
        assert_eq!(program(&of("@scope/pi-acp")), "pi-acp");
        assert_eq!(program(&of("/opt/pi-acp")), "/opt/pi-acp");
    }
}
