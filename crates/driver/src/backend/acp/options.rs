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
//! | `meta` | `_meta` of the request that opens the session |

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::ErrorInfo;
use crate::boot::Execution;
use crate::process::LaunchSpec;

/// Variables of the driver itself, which no agent gets.
const OWN: &str = "AGENT_DRIVER_";

/// An option or a variable that cannot be used.
pub(super) const BAD_OPTIONS: &str = "acp.bad_options";

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
    /// `_meta` of the request that opens the session.
    pub(super) meta: Map<String, Value>,
}

/// Puts a value over another, objects member by member.
fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (name, value) in over {
                merge(base.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => base.clone_from(over),
    }
}

fn bad(what: impl Into<String>) -> ErrorInfo {
    ErrorInfo::new(BAD_OPTIONS, what)
}

impl Options {
    /// Reads them.
    ///
    /// # Errors
    /// `acp.bad_options`: no command, or a value of a wrong type.
    pub(super) fn of(execution: &Execution) -> Result<Self, ErrorInfo> {
        let variables = &execution.environment.variables;
        let set = |name: &str| variables.get(&format!("{OWN}{name}")).filter(|value| !value.is_empty());
        let args: Value = match set("ACP_ARGS") {
            Some(text) => serde_json::from_str(text)
                .map_err(|_| bad("AGENT_DRIVER_ACP_ARGS is no JSON array of strings"))?,
            None => json!([]),
        };
        let mut all = json!({
            "command": set("ACP_COMMAND"),
            "args": args,
            "env": {},
            "authMethod": set("ACP_AUTH_METHOD"),
            "clientFiles": false,
            "resumeFallback": null,
            "meta": {},
        });
        for (name, value) in &execution.provider_options {
            merge(&mut all[name.as_str()], value);
        }
        let program = match &all["command"] {
            Value::String(program) if !program.is_empty() => program.clone(),
            _ => {
                return Err(bad(
                    "no ACP agent: AGENT_DRIVER_ACP_COMMAND and provider option `command` are not set",
                ));
            }
        };
        let args: Vec<String> = serde_json::from_value(all["args"].take())
            .map_err(|_| bad("the arguments of the agent are no array of strings"))?;
        let more: BTreeMap<String, String> = serde_json::from_value(all["env"].take())
            .map_err(|_| bad("provider option `env` is no object of strings"))?;
        let mut env = variables.clone();
        env.extend(more);
        env.retain(|name, _| !name.starts_with(OWN));
        let auth_method = match &all["authMethod"] {
            Value::Null => None,
            Value::String(id) => Some(id.clone()),
            _ => return Err(bad("provider option `authMethod` is no string")),
        };
        let client_files = match &all["clientFiles"] {
            Value::Null => false,
            Value::Bool(on) => *on,
            _ => return Err(bad("provider option `clientFiles` is no boolean")),
        };
        let meta = match all["meta"].take() {
            Value::Null => Map::new(),
            Value::Object(meta) => meta,
            _ => return Err(bad("provider option `meta` is no object")),
        };
        Ok(Options {
            launch: LaunchSpec { program, args, env, cwd: execution.session.cwd.clone() },
            auth_method,
            client_files,
            new_if_lost: all["resumeFallback"].as_str() == Some("new"),
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
            "meta": {"a": {"b": 1}}, "unknown": [1],
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
        for (variables, options) in [
            (vec![], json!({})),
            (vec![command, ("AGENT_DRIVER_ACP_ARGS", "--acp")], json!({})),
            (vec![command, ("AGENT_DRIVER_ACP_ARGS", "{}")], json!({})),
            (vec![command], json!({"args": [1]})),
            (vec![command], json!({"env": {"A": 1}})),
            (vec![command], json!({"clientFiles": "yes"})),
            (vec![command], json!({"command": 7})),
            (vec![command], json!({"authMethod": {}})),
            (vec![command], json!({"meta": []})),
        ] {
            let refused = Options::of(&execution(&variables, options.clone())).unwrap_err();
            assert_eq!(refused.code, BAD_OPTIONS, "{options}");
        }
    }

    #[test]
    fn merging_is_deep() {
        let mut base = json!({"a": {"b": 1, "c": 2}, "d": [1]});
        merge(&mut base, &json!({"a": {"c": 3}, "d": [2], "e": null}));
        assert_eq!(base, json!({"a": {"b": 1, "c": 3}, "d": [2], "e": null}));
    }
}
