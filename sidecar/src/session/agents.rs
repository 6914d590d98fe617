//! The agents a VM knows: those known everywhere and those its client registered.
//! It starts none.

use std::collections::BTreeMap;

use agentos_protocol::WireError;
use agentos_protocol::message::{AgentConfig, code};
use parking_lot::Mutex;

use super::errors::limit;
use crate::config::variable;

/// Agents of one VM.
const MOST: usize = 256;
/// Longest id.
const ID: usize = 64;
/// All texts of one agent together, bytes.
const TEXT: usize = 64 << 10;

/// Agents every VM knows: id, program that speaks ACP, package behind it, command and arguments.
const KNOWN: &[(&str, &str, &str, &str, &[&str])] = &[
    ("claude", "claude-code-acp", "@anthropic-ai/claude-agent-sdk", "claude-code-acp", &[]),
    ("codex", "codex-acp", "@zed-industries/codex-acp", "codex-acp", &[]),
    ("opencode", "opencode", "opencode-ai", "opencode", &["acp"]),
    ("pi", "pi-acp", "@mariozechner/pi-coding-agent", "pi-acp", &[]),
    ("pi-cli", "pi-acp", "@mariozechner/pi-coding-agent", "pi-acp", &[]),
    ("scripted", "agentos-scripted", "agentos-scripted", "/bin/agentos-scripted", &[]),
];

/// The registry of one VM.
pub(crate) struct Agents(Mutex<BTreeMap<String, AgentConfig>>);

impl Agents {
    pub(crate) fn new() -> Self {
        let known = KNOWN.iter().map(|(id, adapter, package, command, args)| {
            let agent = AgentConfig {
                id: (*id).to_owned(),
                acp_adapter: (*adapter).to_owned(),
                agent_package: (*package).to_owned(),
                command: Some((*command).to_owned()),
                args: args.iter().map(|a| (*a).to_owned()).collect(),
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
        assert_eq!(refused(|a| a.args = vec!["x".into(), "\0".into()]), "args[1]");
        assert_eq!(refused(|a| drop(a.env.insert("A=".into(), String::new()))), "env.A=");
        assert_eq!(refused(|a| a.prepare_instructions = Some("x".repeat(TEXT))), "id");
    }

    #[test]
    fn agents_are_replaced_and_bounded() {
        let agents = Agents::new();
        let ids: Vec<_> = agents.list().into_iter().map(|a| a.id).collect();
        assert_eq!(ids, ["claude", "codex", "opencode", "pi", "pi-cli", "scripted"]);
        for n in 0..MOST - KNOWN.len() {
            agents.register(agent(&format!("a{n}"))).unwrap();
        }
        assert_eq!(agents.register(agent("b")).unwrap_err().code, code::LIMIT);
        agents.register(AgentConfig { command: Some("/p".into()), ..agent("a0") }).unwrap();
        assert_eq!(program(&agents.get("a0").unwrap()), "/p");
        assert_eq!(agents.get("b").unwrap_err().code, code::AGENT_NOT_FOUND);
    }

    #[test]
    fn the_adapter_names_the_program() {
        let of = |adapter: &str| AgentConfig { acp_adapter: adapter.into(), ..AgentConfig::default() };
        assert_eq!(program(&of("pi-acp")), "pi-acp");
        assert_eq!(program(&of("@scope/pi-acp")), "pi-acp");
        assert_eq!(program(&of("/opt/pi-acp")), "/opt/pi-acp");
    }
}
