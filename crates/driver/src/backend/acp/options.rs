//! How an ACP agent is started and spoken to: what the environment of the execution says, with the provider options put
//! over it. It starts nothing.
//!
//! | provider option | meaning |
//! |---|---|
//! | `command`, `args` | the agent's program and its arguments; else `AGENT_DRIVER_ACP_COMMAND` and `AGENT_DRIVER_ACP_ARGS` |
//! | `env` | more variables of its process |
//! | `authMethod` | the login to use, if the agent offers it; else `AGENT_DRIVER_ACP_AUTH_METHOD` |
//! | `clientFiles` | `true`: the agent may read and write files and run programs through the driver |
//! | `resumeFallback` | `"new"`: a session that cannot be resumed is begun anew |
//! | `mcpServers` | more MCP servers, in the protocol's own form |
//! | `meta` | `_meta` of the request that opens the session |

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::ErrorInfo;
use crate::backend::options::{self, malformed};
use crate::boot::{ACP_ARGS, ACP_AUTH_METHOD, ACP_COMMAND, Execution};
use crate::process::LaunchSpec;

/// The options there are.
const OPTIONS: &[&str] =
    &["command", "args", "env", "authMethod", "clientFiles", "resumeFallback", "mcpServers", "meta"];

/// How an agent is started and spoken to.
#[derive(Clone, Debug)]
pub(super) struct Options {
    /// The process.
    pub(super) launch: LaunchSpec,
    /// The login to use.
    pub(super) auth_method: Option<String>,
    /// Whether it may use files and programs through us.
    pub(super) client_files: bool,
    /// Whether a new session stands for one that cannot be resumed.
    pub(super) new_if_lost: bool,
    /// MCP servers besides those of the execution, in the protocol's own form.
    pub(super) mcp_servers: Vec<Value>,
    /// `_meta` of the request that opens the session.
    pub(super) meta: Map<String, Value>,
}

impl Options {
    /// Reads them.
    ///
    /// # Errors
    /// `driver.provider_options_malformed`: no command, an unknown option, a value of a wrong type; tools of the host, which
    /// this backend cannot offer.
    pub(super) fn of(execution: &Execution) -> Result<Self, ErrorInfo> {
        let variables = &execution.environment.variables;
        let set = |name: &str| variables.get(name).filter(|value| !value.is_empty());
        let args: Value = match set(ACP_ARGS) {
            Some(text) => serde_json::from_str(text)
                .map_err(|_| malformed("AGENT_DRIVER_ACP_ARGS is no JSON array of strings"))?,
            None => json!([]),
        };
        options::only(&execution.provider_options, OPTIONS)?;
        if !execution.custom_tools.is_empty() {
            return Err(ErrorInfo::new(
                crate::error::UNSUPPORTED,
                "execution.customTools: an ACP agent cannot be offered tools of the host; give it an MCP server",
            ));
        }
        let mut all = json!({
            "command": set(ACP_COMMAND),
            "args": args,
            "env": {},
            "authMethod": set(ACP_AUTH_METHOD),
            "clientFiles": false,
            "resumeFallback": null,
            "mcpServers": [],
            "meta": {},
        });
        for (name, value) in &execution.provider_options {
            options::merge(&mut all[name.as_str()], value);
        }
        let program = match &all["command"] {
            Value::String(program) if !program.is_empty() => program.clone(),
            _ => {
                return Err(malformed(
                    "no ACP agent: AGENT_DRIVER_ACP_COMMAND and provider option `command` are not set",
                ));
            }
        };
        let args: Vec<String> = serde_json::from_value(all["args"].take())
            .map_err(|_| malformed("the arguments of the agent are no array of strings"))?;
        let more: BTreeMap<String, String> = serde_json::from_value(all["env"].take())
            .map_err(|_| malformed("provider option `env` is no object of strings"))?;
        let env = options::variables(variables, &more);
        let auth_method = match &all["authMethod"] {
            Value::Null => None,
            Value::String(id) => Some(id.clone()),
            _ => return Err(malformed("provider option `authMethod` is no string")),
        };
        let client_files = match &all["clientFiles"] {
            Value::Null => false,
            Value::Bool(on) => *on,
            _ => return Err(malformed("provider option `clientFiles` is no boolean")),
        };
        let new_if_lost = match &all["resumeFallback"] {
            Value::Null => false,
            Value::String(how) if how == "new" => true,
            _ => return Err(malformed("resumeFallback: not \"new\"")),
        };
        let mcp_servers = match all["mcpServers"].take() {
            Value::Null => Vec::new(),
            Value::Array(servers) if servers.iter().all(Value::is_object) => servers,
            _ => return Err(malformed("provider option `mcpServers` is no array of objects")),
        };
        let meta = match all["meta"].take() {
            Value::Null => Map::new(),
            Value::Object(meta) => meta,
            _ => return Err(malformed("provider option `meta` is no object")),
        };
        Ok(Options {
            launch: LaunchSpec { program, args, env, cwd: execution.session.cwd.clone() },
            auth_method,
            client_files,
            new_if_lost,
            mcp_servers,
            meta,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn execution(variables: &[(&str, &str)], options: Value) -> Execution {
        let mut execution = Execution::default();
        for (name, value) in variables {
            execution.environment.variables.insert((*name).to_owned(), (*value).to_owned());
        }
        execution.provider_options = serde_json::from_value(options).unwrap();
        execution
    }

    #[test]
    fn provider_options_go_over_the_environment_and_own_variables_stay_here() {
        let variables = [
            ("AGENT_DRIVER_ACP_COMMAND", "agent"),
            ("AGENT_DRIVER_ACP_ARGS", r#"["--acp"]"#),
            ("AGENT_DRIVER_ACP_AUTH_METHOD", "key"),
            ("API_KEY", "k"),
        ];
        let plain = Options::of(&execution(&variables, json!({}))).unwrap();
        assert_eq!(
            (plain.launch.program.as_str(), plain.launch.args.as_slice()),
            ("agent", &["--acp".to_owned()][..])
        );
        assert_eq!(plain.launch.env.keys().collect::<Vec<_>>(), ["API_KEY"]);
        assert_eq!(plain.auth_method.as_deref(), Some("key"));
        assert!(!plain.client_files && !plain.new_if_lost);
        let over = json!({
            "command": "other", "args": [], "env": {"A": "1"}, "clientFiles": true, "resumeFallback": "new",
            "meta": {"a": {"b": 1}},
        });
        let over = Options::of(&execution(&variables, over)).unwrap();
        assert_eq!((over.launch.program.as_str(), over.launch.args.len()), ("other", 0));
        assert_eq!(over.launch.env.keys().collect::<Vec<_>>(), ["A", "API_KEY"]);
        assert!(over.client_files && over.new_if_lost);
        assert_eq!(Value::Object(over.meta), json!({"a": {"b": 1}}));
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let command = ("AGENT_DRIVER_ACP_COMMAND", "agent");
        for (variables, given) in [
            (vec![], json!({})),
            (vec![command, ("AGENT_DRIVER_ACP_ARGS", "--acp")], json!({})),
            (vec![command, ("AGENT_DRIVER_ACP_ARGS", "{}")], json!({})),
            (vec![command], json!({"args": [1]})),
            (vec![command], json!({"env": {"A": 1}})),
            (vec![command], json!({"clientFiles": "yes"})),
            (vec![command], json!({"command": 7})),
            (vec![command], json!({"authMethod": {}})),
            (vec![command], json!({"meta": []})),
            (vec![command], json!({"resumeFallback": "old"})),
            (vec![command], json!({"unknown": [1]})),
        ] {
            let refused = Options::of(&execution(&variables, given.clone())).unwrap_err();
            assert_eq!(refused.code, options::MALFORMED, "{given}");
        }
    }
}
