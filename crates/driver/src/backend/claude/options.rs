//! How Claude Code is started: its options, its arguments, its environment. It starts nothing.
//!
//! `execution.providerOptions` is put over the options that follow from the execution, member by member; `null` takes a
//! member back to its default:
//!
//! | option | default | for |
//! |---|---|---|
//! | `model` | `execution.model` | `--model` |
//! | `permissionMode` | `default` | `default`, `acceptEdits`, `plan`, `bypassPermissions` |
//! | `partialMessages` | true | whether messages are streamed |
//! | `systemPrompt` | none | instead of the vendor's own instructions |
//! | `appendSystemPrompt` | `execution.profilePrompt` | beside them; skills are added |
//! | `mcpServers` | the active ones of the session | by name, in the vendor's form |
//! | `allowedTools`, `disallowedTools` | none | rules of the vendor |
//! | `maxTurns` | none | rounds of a turn |
//! | `additionalDirectories` | those of the session | `--add-dir` |
//! | `settingSources` | none | which settings files it reads |
//! | `askAlways` | false | ask for every tool, also for those that the vendor allows by itself |
//! | `subagents` | true | whether what subagents do becomes items |
//! | `env` | none | more variables |
//! | `extraArgs` | none | more flags, by name without `--`; `""` for one without a value |

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::translate::MODES;
use crate::ErrorInfo;
use crate::backend::options::{self, malformed};
use crate::boot::{CLAUDE_EXECUTABLE, Execution};
use crate::ports::MaterializedSkill;
use crate::process::LaunchSpec;

/// Variables that keep the vendor from doing what nobody asked for.
const QUIET: &[&str] = &[
    "DISABLE_AUTOUPDATER",
    "DISABLE_TELEMETRY",
    "DISABLE_ERROR_REPORTING",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
];

/// The options of a session.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct Options {
    pub(super) model: String,
    pub(super) permission_mode: String,
    partial_messages: bool,
    system_prompt: Option<String>,
    append_system_prompt: String,
    pub(super) mcp_servers: Map<String, Value>,
    allowed_tools: Vec<String>,
    disallowed_tools: Vec<String>,
    max_turns: Option<u32>,
    additional_directories: Vec<String>,
    setting_sources: Vec<String>,
    pub(super) ask_always: bool,
    pub(super) subagents: bool,
    env: BTreeMap<String, String>,
    extra_args: BTreeMap<String, String>,
}

/// The servers that can be used, in the vendor's form, each with its grant. The grant is written out: whether the vendor
/// puts variables into headers differs by version.
fn servers(execution: &Execution) -> Map<String, Value> {
    let with_grant = options::usable(execution).map(|usable| {
        let mut config = json!({ "type": "http", "url": usable.url });
        if let Some(grant) = usable.grant {
            config["headers"] = json!({ "Authorization": format!("Bearer {grant}") });
        }
        (usable.server.name.clone(), config)
    });
    with_grant.collect()
}

/// The skills that are there, and the text that lists them.
pub(super) type Skills<'a> = (&'a [MaterializedSkill], Option<&'a str>);

impl Options {
    /// Those of an execution.
    ///
    /// # Errors
    /// `driver.provider_options_malformed`: one of its own is of a wrong type.
    pub(super) fn of(execution: &Execution) -> Result<Self, ErrorInfo> {
        let defaults = json!({
            "model": execution.model,
            "permissionMode": "default",
            "partialMessages": true,
            "appendSystemPrompt": execution.profile_prompt,
            "mcpServers": servers(execution),
            "additionalDirectories": execution.session.additional_directories,
            "subagents": true,
        });
        let mut given = execution.provider_options.clone();
        given.retain(|_, value| !value.is_null());
        let mut all = defaults;
        options::merge(&mut all, &Value::Object(given));
        let options: Options = serde_json::from_value(all).map_err(malformed)?;
        if !MODES.iter().any(|(mode, _)| *mode == options.permission_mode) {
            return Err(malformed(format!("permissionMode: there is no mode {}", options.permission_mode)));
        }
        let flag = |name: &str| {
            !name.is_empty()
                && !name.starts_with('-')
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if let Some(name) = options.extra_args.keys().find(|name| !flag(name)) {
            return Err(malformed(format!("extraArgs: {name} is no flag")));
        }
        Ok(options)
    }

    /// A name for the server of the host's own tools that no other server has.
    pub(super) fn host_server(&self) -> String {
        let names = (0..=self.mcp_servers.len()).map(|n| match n {
            0 => "host".to_owned(),
            n => format!("host{n}"),
        });
        let mut free = names.filter(|name| !self.mcp_servers.contains_key(name));
        free.next().unwrap_or_else(|| "host".to_owned())
    }

    /// What is to be started.
    pub(super) fn launch(
        &self,
        execution: &Execution,
        model: &str,
        mode: &str,
        resume: Option<&str>,
        told: Skills<'_>,
    ) -> LaunchSpec {
        let variables = &execution.environment.variables;
        let program = variables.get(CLAUDE_EXECUTABLE).filter(|path| !path.is_empty());
        LaunchSpec {
            program: program.map_or("claude", String::as_str).to_owned(),
            args: self.args(model, mode, resume, told),
            env: self.env(execution),
            cwd: execution.session.cwd.clone(),
        }
    }

    /// What comes from outside is in one argument with its flag, so that it is never taken for a flag itself.
    fn args(&self, model: &str, mode: &str, resume: Option<&str>, told: Skills<'_>) -> Vec<String> {
        let fixed = ["--output-format", "stream-json", "--verbose", "--input-format", "stream-json"];
        let mut args: Vec<String> = fixed.map(str::to_owned).to_vec();
        if self.partial_messages {
            args.push("--include-partial-messages".to_owned());
        }
        args.extend(["--permission-prompt-tool", "stdio"].map(str::to_owned));
        let mut with = |flag: &str, value: &str| args.push(format!("--{flag}={value}"));
        with("permission-mode", mode);
        if !model.is_empty() {
            with("model", model);
        }
        if let Some(prompt) = &self.system_prompt {
            with("system-prompt", prompt);
        }
        let (skills, catalog) = told;
        let beside = options::guide(&self.append_system_prompt, skills, catalog);
        if !beside.is_empty() {
            with("append-system-prompt", &beside);
        }
        if let Some(session) = resume {
            with("resume", session);
        }
        if !self.mcp_servers.is_empty() {
            with("mcp-config", &json!({ "mcpServers": self.mcp_servers }).to_string());
        }
        for (flag, names) in
            [("allowedTools", &self.allowed_tools), ("disallowedTools", &self.disallowed_tools)]
        {
            if !names.is_empty() {
                with(flag, &names.join(","));
            }
        }
        if let Some(most) = self.max_turns {
            with("max-turns", &most.to_string());
        }
        for directory in &self.additional_directories {
            with("add-dir", directory);
        }
        with("setting-sources", &self.setting_sources.join(","));
        // Servers of settings files are none of ours.
        args.push("--strict-mcp-config".to_owned());
        for (name, value) in &self.extra_args {
            args.push(if value.is_empty() { format!("--{name}") } else { format!("--{name}={value}") });
        }
        args
    }

    fn env(&self, execution: &Execution) -> BTreeMap<String, String> {
        let mut env = BTreeMap::new();
        for name in QUIET {
            env.insert((*name).to_owned(), "1".to_owned());
        }
        env.insert("CLAUDE_CODE_ENTRYPOINT".to_owned(), "agentos-driver".to_owned());
        // Where it keeps its transcripts, by which it resumes.
        let home = &execution.session.context.home_path;
        if !home.is_empty() {
            env.insert("CLAUDE_CONFIG_DIR".to_owned(), home.clone());
        }
        env.extend(options::variables(&execution.environment.variables, &self.env));
        // With it the program takes itself for a child of another.
        env.remove("CLAUDECODE");
        env
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::McpServer;

    fn execution(options: Value) -> Execution {
        let Value::Object(provider_options) = options else { panic!("not an object") };
        let mut execution = Execution { provider_options, model: "m".to_owned(), ..Execution::default() };
        execution.session.cwd = "/work".to_owned();
        execution
    }

    fn launch(execution: &Execution) -> LaunchSpec {
        let options = Options::of(execution).unwrap();
        options.launch(execution, &options.model, &options.permission_mode, None, (&[], None))
    }

    #[test]
    fn what_comes_from_outside_is_never_a_flag_of_its_own() {
        let mut execution = execution(json!({ "extraArgs": { "max-thinking-tokens": "--x" } }));
        execution.profile_prompt = "--dangerously".to_owned();
        execution.session.additional_directories = vec!["--dir".to_owned()];
        let options = Options::of(&execution).unwrap();
        let args = options.launch(&execution, "--model", "default", Some("--session"), (&[], None)).args;
        for value in ["--dangerously", "--dir", "--model", "--session", "--x"] {
            assert!(!args.iter().any(|arg| arg == value), "{args:?}");
            assert!(args.iter().any(|arg| arg.ends_with(&format!("={value}"))), "{value}: {args:?}");
        }
    }

    #[test]
    fn arguments_follow_from_the_execution() {
        let mut execution = execution(json!({}));
        execution.profile_prompt = "Be kind.".to_owned();
        let spec = launch(&execution);
        assert_eq!((spec.program.as_str(), spec.cwd.as_str()), ("claude", "/work"));
        assert_eq!(
            spec.args,
            [
                "--output-format",
                "stream-json",
                "--verbose",
                "--input-format",
                "stream-json",
                "--include-partial-messages",
                "--permission-prompt-tool",
                "stdio",
                "--permission-mode=default",
                "--model=m",
                "--append-system-prompt=Be kind.",
                "--setting-sources=",
                "--strict-mcp-config",
            ]
        );
    }

    #[test]
    fn options_of_the_host_go_over_those_of_the_execution() {
        let execution = execution(json!({
            "model": "other",
            "partialMessages": false,
            "systemPrompt": "Only this.",
            "maxTurns": 3,
            "allowedTools": ["Read", "Grep"],
            "permissionMode": null,
        }));
        let args = launch(&execution).args;
        for arg in
            ["--model=other", "--system-prompt=Only this.", "--max-turns=3", "--allowedTools=Read,Grep"]
        {
            assert!(args.iter().any(|a| a == arg), "{arg}: {args:?}");
        }
        assert!(!args.iter().any(|arg| arg == "--include-partial-messages"));
    }

    #[test]
    fn options_of_a_wrong_type_are_refused() {
        for options in [
            json!({ "maxTurns": "many" }),
            json!({ "permissionMode": "anything" }),
            json!({ "extraArgs": { "--x": "" } }),
            json!({ "maxturns": 3 }),
        ] {
            let error = Options::of(&execution(options)).unwrap_err();
            assert_eq!(error.code, "driver.provider_options_malformed");
        }
    }

    #[test]
    fn the_vendor_gets_no_variable_of_the_driver() {
        let mut execution = execution(json!({ "env": { "MORE": "1", "AGENT_DRIVER_Y": "2" } }));
        for (name, value) in [
            (CLAUDE_EXECUTABLE, "/opt/claude"),
            ("AGENT_DRIVER_X", "secret"),
            ("CLAUDECODE", "1"),
            ("ANTHROPIC_API_KEY", "key"),
            ("DISABLE_TELEMETRY", "0"),
        ] {
            execution.environment.variables.insert(name.to_owned(), value.to_owned());
        }
        execution.session.context.home_path = "/home/s".to_owned();
        let spec = launch(&execution);
        assert_eq!(spec.program, "/opt/claude");
        let names: Vec<&str> = spec.env.keys().map(String::as_str).collect();
        assert!(!names.iter().any(|name| name.starts_with("AGENT_DRIVER_") || *name == "CLAUDECODE"));
        for (name, value) in [
            ("ANTHROPIC_API_KEY", "key"),
            ("CLAUDE_CONFIG_DIR", "/home/s"),
            ("DISABLE_AUTOUPDATER", "1"),
            ("DISABLE_TELEMETRY", "0"),
            ("MORE", "1"),
        ] {
            assert_eq!(spec.env.get(name).map(String::as_str), Some(value), "{name}");
        }
    }

    #[test]
    fn servers_that_are_active_are_passed_on_with_their_grants() {
        let mut execution = execution(json!({}));
        let server = |name: &str, state: &str, grant: &str| McpServer {
            name: name.to_owned(),
            authorization_state: state.to_owned(),
            proxy_url: Some(format!("https://proxy/{name}")),
            proxy_grant_id: Some(grant.to_owned()),
            ..McpServer::default()
        };
        execution.session.mcp_servers =
            vec![server("off", "expired", "a"), server("one", "active", "b"), server("host", "active", "c")];
        execution.environment.variables.insert("AGENT_DRIVER_MCP_TOKEN_1".to_owned(), "given".to_owned());
        let options = Options::of(&execution).unwrap();
        assert_eq!(
            Value::Object(options.mcp_servers.clone()),
            json!({
                "one": { "type": "http", "url": "https://proxy/one", "headers": { "Authorization": "Bearer b" } },
                "host": { "type": "http", "url": "https://proxy/host", "headers": { "Authorization": "Bearer given" } },
            })
        );
        assert_eq!(options.host_server(), "host1");
    }
}
