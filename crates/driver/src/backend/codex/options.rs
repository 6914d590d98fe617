//! How the app server is started and what it is told at first. Everything here can be overridden by
//! `execution.providerOptions`, an object with these members, each merged deep into what is made here:
//!
//! | member | what |
//! |---|---|
//! | `args` | arguments of the program, instead of `["app-server"]` |
//! | `env` | more variables of its environment: strings |
//! | `initialize` | parameters of `initialize` |
//! | `thread` | parameters of `thread/start` and `thread/resume`: `sandbox`, `approvalPolicy`, `config`, … |
//! | `turn` | parameters of every `turn/start`: `effort`, `sandboxPolicy`, … |
//!
//! Nothing is read from the environment or the disk of this process.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::items;
use crate::boot::{Execution, McpServer};
use crate::command::Input;
use crate::event::ContentBlock;
use crate::ports::MaterializedSkill;
use crate::process::LaunchSpec;

/// Names of variables that are for the driver alone.
const OURS: &str = "AGENT_DRIVER_";
/// Variables by which grants for MCP servers reach the vendor: never through a file.
const TOKEN: &str = "AGENT_DRIVER_MCP_TOKEN_";

/// Puts `over` into `base`, member by member.
fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (name, value) in over {
                merge(base.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

/// What the host overrides.
fn overridden(execution: &Execution, name: &str, mut base: Value) -> Value {
    if let Some(over) = execution.provider_options.get(name) {
        merge(&mut base, over);
    }
    base
}

/// The MCP servers that can be used, with their addresses, in order: the order gives each its variable.
fn servers(execution: &Execution) -> impl Iterator<Item = (usize, &McpServer, &str)> {
    let active =
        execution.session.mcp_servers.iter().filter_map(|server| Some((server, server.active_url()?)));
    active.enumerate().map(|(n, (server, url))| (n, server, url))
}

/// The MCP servers that cannot be used, with the reason.
pub(super) fn skipped(execution: &Execution) -> impl Iterator<Item = (&str, &str)> {
    let skipped = execution.session.mcp_servers.iter().filter(|server| server.active_url().is_none());
    skipped.map(|server| (server.name.as_str(), server.authorization_state.as_str()))
}

/// How the program is started. Its state, `CODEX_HOME`, is beside the session unless the host says where; the directory is
/// the host's to make.
pub(super) fn launch(execution: &Execution) -> LaunchSpec {
    let variables = &execution.environment.variables;
    let program = variables.get("AGENT_DRIVER_CODEX_EXECUTABLE").filter(|path| !path.is_empty());
    let cwd = match execution.session.cwd.as_str() {
        "" => "/",
        cwd => cwd,
    };
    let mut env: BTreeMap<String, String> = variables
        .iter()
        .filter(|(name, _)| !name.starts_with(OURS))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect();
    let state = || format!("{}/.state/{}", cwd.trim_end_matches('/'), crate::Runtime::OpenAi.id());
    env.entry("CODEX_HOME".to_owned()).or_insert_with(state);
    for (n, server, _) in servers(execution) {
        let name = format!("{TOKEN}{n}");
        if let Some(grant) = variables.get(&name).or(server.proxy_grant_id.as_ref()) {
            env.insert(name, grant.clone());
        }
    }
    if let Some(Value::Object(more)) = execution.provider_options.get("env") {
        for (name, value) in more {
            if let Some(value) = value.as_str().filter(|_| !name.starts_with(OURS)) {
                env.insert(name.clone(), value.to_owned());
            }
        }
    }
    let args = overridden(execution, "args", json!(["app-server"]));
    let args = args.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let program = program.map_or("codex", String::as_str).to_owned();
    LaunchSpec { program, args, env, cwd: cwd.to_owned() }
}

/// Parameters of `initialize`.
pub(super) fn initialize(execution: &Execution) -> Value {
    let ours = json!({
        "clientInfo": { "name": "agent-driver", "title": "agent-driver", "version": env!("CARGO_PKG_VERSION") },
        "capabilities": { "experimentalApi": true, "requestAttestation": false },
    });
    overridden(execution, "initialize", ours)
}

/// Skills that are there, and where they are listed.
type Skills<'a> = (&'a [MaterializedSkill], Option<&'a str>);

/// What the agent is told besides its own instructions.
fn instructions(execution: &Execution, (skills, catalog): Skills<'_>) -> String {
    let mut text = execution.profile_prompt.clone();
    if skills.is_empty() {
        return text;
    }
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str("Skills are there for you. Read the file of one before you use it:\n");
    for skill in skills {
        text.push_str(&format!("- {}: {}\n", skill.skill_name, skill.skill_markdown_path));
    }
    if let Some(catalog) = catalog {
        text.push_str(&format!("All of them are listed in {catalog}\n"));
    }
    text
}

/// Parameters of `thread/start`, or with the id of a thread those of `thread/resume`. The sandbox is that of the machine
/// around the vendor, so it is given none of its own.
pub(super) fn thread(execution: &Execution, skills: Skills<'_>, resume: Option<&str>) -> Value {
    let mut ours = json!({
        "cwd": if execution.session.cwd.is_empty() { "/" } else { &execution.session.cwd },
        "approvalPolicy": "on-request",
        "sandbox": "danger-full-access",
    });
    let mut set = |name: &str, value: Value| {
        if let Some(members) = ours.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
    };
    if !execution.model.is_empty() {
        set("model", json!(execution.model));
    }
    // The vendor's own is its default, which its configuration may have changed.
    if !matches!(execution.provider.as_str(), "" | "openai") {
        set("modelProvider", json!(execution.provider));
    }
    let instructions = instructions(execution, skills);
    if !instructions.is_empty() {
        set("developerInstructions", json!(instructions));
    }
    let mut config = Map::new();
    let servers: Map<String, Value> = servers(execution)
        .map(|(n, server, url)| {
            (server.name.clone(), json!({ "url": url, "bearer_token_env_var": format!("{TOKEN}{n}") }))
        })
        .collect();
    if !servers.is_empty() {
        config.insert("mcp_servers".to_owned(), Value::Object(servers));
    }
    if !execution.session.additional_directories.is_empty() {
        let roots = json!({ "writable_roots": execution.session.additional_directories });
        config.insert("sandbox_workspace_write".to_owned(), roots);
    }
    if !config.is_empty() {
        set("config", Value::Object(config));
    }
    match resume {
        Some(thread) => {
            set("threadId", json!(thread));
            set("excludeTurns", json!(true));
        }
        None if !execution.custom_tools.is_empty() => {
            let tool = |tool: &crate::boot::CustomToolSpec| {
                json!({ "type": "function", "name": tool.name, "description": tool.description,
                    "inputSchema": tool.input_schema })
            };
            set("dynamicTools", execution.custom_tools.iter().map(tool).collect());
        }
        None => {}
    }
    overridden(execution, "thread", ours)
}

/// Parameters of `turn/start`, with the settings that were changed since the thread began.
pub(super) fn turn(
    execution: &Execution,
    thread: &str,
    input: &Input,
    settings: &Map<String, Value>,
) -> Value {
    let mut ours = overridden(execution, "turn", json!({}));
    merge(&mut ours, &Value::Object(settings.clone()));
    merge(&mut ours, &json!({ "threadId": thread, "input": blocks(input) }));
    ours
}

/// Input in the vendor's form. It takes text and pictures; anything else becomes text.
pub(super) fn blocks(input: &Input) -> Value {
    let text = |text: &str| json!({ "type": "text", "text": text, "text_elements": [] });
    let block = |block: &ContentBlock| match block {
        ContentBlock::Image { mime_type, data: Some(data), .. } => {
            json!({ "type": "image", "url": format!("data:{mime_type};base64,{data}") })
        }
        ContentBlock::Image { uri: Some(uri), .. } => match uri.strip_prefix("file://") {
            Some(path) => json!({ "type": "localImage", "path": path }),
            None => json!({ "type": "image", "url": uri }),
        },
        ContentBlock::Audio { mime_type, .. } => text(&format!("[sound of type {mime_type} was left out]")),
        other => text(&items::plain(other)),
    };
    input.blocks().iter().map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn execution(json: Value) -> Execution {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_child_gets_grants_by_name_and_nothing_else_of_the_driver() {
        let execution = execution(json!({
            "environment": {"variables": {
                "AGENT_DRIVER_CODEX_EXECUTABLE": "/opt/codex", "AGENT_DRIVER_LOG": "debug", "OPENAI_API_KEY": "k",
            }},
            "session": {"cwd": "/workspace/se/1", "mcpServers": [
                {"name": "off", "authorizationState": "expired", "proxyUrl": "http://p/0"},
                {"name": "on", "authorizationState": "active", "proxyUrl": "http://p/1", "proxyGrantId": "g1"},
            ]},
            "providerOptions": {"env": {"RUST_LOG": "warn", "AGENT_DRIVER_LOG": "x", "BAD": 7}},
        }));
        let spec = launch(&execution);
        assert_eq!((spec.program.as_str(), spec.cwd.as_str()), ("/opt/codex", "/workspace/se/1"));
        assert_eq!(spec.args, ["app-server"]);
        let env: Vec<(&str, &str)> = spec.env.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let expected = [
            ("AGENT_DRIVER_MCP_TOKEN_0", "g1"),
            ("CODEX_HOME", "/workspace/se/1/.state/openai-runtime"),
            ("OPENAI_API_KEY", "k"),
            ("RUST_LOG", "warn"),
        ];
        assert_eq!(env, expected);
        assert_eq!(skipped(&execution).collect::<Vec<_>>(), [("off", "expired")]);
        let thread = thread(&execution, (&[], None), None);
        let server = json!({"on": {"url": "http://p/1", "bearer_token_env_var": "AGENT_DRIVER_MCP_TOKEN_0"}});
        assert_eq!(thread["config"]["mcp_servers"], server);
    }

    #[test]
    fn options_of_the_host_go_last_and_deep() {
        let execution = execution(json!({
            "model": "m", "provider": "proxy", "profilePrompt": "Be kind.",
            "session": {"cwd": "/w", "additionalDirectories": ["/more"]},
            "customTools": [{"name": "t", "description": "d", "inputSchema": {"type": "object"}}],
            "providerOptions": {
                "args": ["-c", "x=1", "app-server"],
                "initialize": {"capabilities": {"experimentalApi": false}},
                "thread": {"sandbox": "read-only", "config": {"sandbox_workspace_write": {"network_access": true}}},
                "turn": {"effort": "low"},
            },
        }));
        assert_eq!(launch(&execution).args, ["-c", "x=1", "app-server"]);
        let capabilities = json!({"experimentalApi": false, "requestAttestation": false});
        assert_eq!(initialize(&execution)["capabilities"], capabilities);
        let skill = MaterializedSkill {
            skill_id: "s".into(),
            skill_name: "maps".into(),
            mount_path: "/s".into(),
            skill_markdown_path: "/s/SKILL.md".into(),
            snapshot_id: "1".into(),
        };
        let mut started = thread(&execution, (&[skill], Some("/s/README.md")), None);
        let told = started.as_object_mut().unwrap().remove("developerInstructions").unwrap();
        let told = told.as_str().unwrap();
        assert!(
            told.starts_with("Be kind.")
                && told.contains("- maps: /s/SKILL.md")
                && told.contains("/s/README.md"),
            "{told}"
        );
        let expected = json!({
            "cwd": "/w", "approvalPolicy": "on-request", "sandbox": "read-only", "model": "m", "modelProvider": "proxy",
            "config": {"sandbox_workspace_write": {"writable_roots": ["/more"], "network_access": true}},
            "dynamicTools": [{"type": "function", "name": "t", "description": "d", "inputSchema": {"type": "object"}}],
        });
        assert_eq!(started, expected);
        let resumed = thread(&execution, (&[], None), Some("T"));
        assert_eq!((&resumed["threadId"], &resumed["excludeTurns"]), (&json!("T"), &json!(true)));
        assert_eq!(resumed.get("dynamicTools"), None);
        let settings = Map::from_iter([("effort".to_owned(), json!("high"))]);
        let turn = turn(&execution, "T", &Input::text("hi"), &settings);
        let text = json!([{"type": "text", "text": "hi", "text_elements": []}]);
        assert_eq!(turn, json!({"threadId": "T", "input": text, "effort": "high"}));
    }

    #[test]
    fn input_is_text_and_pictures() {
        let content = json!([
            {"type": "text", "text": "a"},
            {"type": "image", "mimeType": "image/png", "data": "AA"},
            {"type": "image", "mimeType": "image/png", "uri": "file:///p.png"},
            {"type": "image", "mimeType": "image/png", "uri": "https://x/p.png"},
            {"type": "audio", "mimeType": "audio/wav", "data": "BB"},
            {"type": "resource_link", "uri": "file:///r", "name": "r"},
        ]);
        let input = Input { content: Some(serde_json::from_value(content).unwrap()), ..Input::default() };
        let expected = json!([
            {"type": "text", "text": "a", "text_elements": []},
            {"type": "image", "url": "data:image/png;base64,AA"},
            {"type": "localImage", "path": "/p.png"},
            {"type": "image", "url": "https://x/p.png"},
            {"type": "text", "text": "[sound of type audio/wav was left out]", "text_elements": []},
            {"type": "text", "text": "r: file:///r", "text_elements": []},
        ]);
        assert_eq!(blocks(&input), expected);
    }
}
