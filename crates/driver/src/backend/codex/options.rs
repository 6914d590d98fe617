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
use crate::ErrorInfo;
use crate::backend::options::{self, malformed};
use crate::boot::{CODEX_EXECUTABLE, Execution};
use crate::command::Input;
use crate::event::ContentBlock;
use crate::ports::MaterializedSkill;
use crate::process::LaunchSpec;

/// The options there are.
const OPTIONS: &[&str] = &["args", "env", "initialize", "thread", "turn"];

/// What the host overrides.
fn overridden(execution: &Execution, name: &str, mut base: Value) -> Value {
    if let Some(over) = execution.provider_options.get(name) {
        options::merge(&mut base, over);
    }
    base
}

/// Refuses options that are not there or of a wrong type.
///
/// # Errors
/// `driver.provider_options_malformed`, which names the option.
pub(super) fn check(execution: &Execution) -> Result<(), ErrorInfo> {
    let given = &execution.provider_options;
    options::only(given, OPTIONS)?;
    let strings = |value: &Value| value.as_array().is_some_and(|all| all.iter().all(Value::is_string));
    let is_wrong = |name: &&str| given.get(*name).is_some_and(|value| !value.is_object());
    if let Some(name) = ["initialize", "thread", "turn"].into_iter().find(is_wrong) {
        return Err(malformed(format!("{name}: no object")));
    }
    if given.get("args").is_some_and(|args| !strings(args)) {
        return Err(malformed("args: no list of strings"));
    }
    more(execution).map(drop)
}

/// The variables of the option `env`.
fn more(execution: &Execution) -> Result<BTreeMap<String, String>, ErrorInfo> {
    let given = execution.provider_options.get("env").cloned().unwrap_or_else(|| json!({}));
    serde_json::from_value(given).map_err(|error| malformed(format!("env: {error}")))
}

/// How the program is started. Its state, `CODEX_HOME`, is beside the session unless the host says where; the directory is
/// the host's to make.
pub(super) fn launch(execution: &Execution) -> LaunchSpec {
    let variables = &execution.environment.variables;
    let program = variables.get(CODEX_EXECUTABLE).filter(|path| !path.is_empty());
    let cwd = match execution.session.cwd.as_str() {
        "" => "/",
        cwd => cwd,
    };
    // What is wrong with them was said when the backend was made.
    let mut env = options::variables(variables, &more(execution).unwrap_or_default());
    let state = || format!("{}/.state/{}", cwd.trim_end_matches('/'), crate::Runtime::OpenAi.id());
    env.entry("CODEX_HOME".to_owned()).or_insert_with(state);
    for usable in options::usable(execution) {
        if let Some(grant) = usable.grant {
            env.insert(usable.variable, grant.to_owned());
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

/// Parameters of `thread/start`, or with the id of a thread those of `thread/resume`. The sandbox is that of the machine
/// around the vendor, so it is given none of its own.
pub(super) fn thread(execution: &Execution, (skills, catalog): Skills<'_>, resume: Option<&str>) -> Value {
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
    let instructions = options::guide(&execution.profile_prompt, skills, catalog);
    if !instructions.is_empty() {
        set("developerInstructions", json!(instructions));
    }
    let mut config = Map::new();
    let servers: Map<String, Value> = options::usable(execution)
        .map(|usable| {
            let config = json!({ "url": usable.url, "bearer_token_env_var": usable.variable });
            (usable.server.name.clone(), config)
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
    options::merge(&mut ours, &Value::Object(settings.clone()));
    options::merge(&mut ours, &json!({ "threadId": thread, "input": blocks(input) }));
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
            "providerOptions": {"env": {"RUST_LOG": "warn", "AGENT_DRIVER_LOG": "x"}},
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
        let thread = thread(&execution, (&[], None), None);
        let server = json!({"on": {"url": "http://p/1", "bearer_token_env_var": "AGENT_DRIVER_MCP_TOKEN_0"}});
        assert_eq!(thread["config"]["mcp_servers"], server);
    }

    #[test]
    fn options_that_cannot_be_used_are_refused() {
        for given in [
            json!({"env": {"BAD": 7}}),
            json!({"args": "app-server"}),
            json!({"args": [1]}),
            json!({"thread": "read-only"}),
            json!({"sandbox": "read-only"}),
        ] {
            let error = check(&execution(json!({ "providerOptions": given.clone() }))).unwrap_err();
            assert_eq!(error.code, options::MALFORMED, "{given}");
        }
        assert!(check(&execution(json!({"providerOptions": {"turn": {"effort": "low"}}}))).is_ok());
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
