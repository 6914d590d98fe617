//! MCP servers for an agent.
//! It starts none: the agent does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// An MCP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
pub enum McpServerConfig {
    /// A program in the VM that speaks on stdio.
    Local {
        /// Name for the agent; the command if empty.
        #[serde(default)]
        name: String,
        /// Program.
        command: String,
        /// Arguments.
        #[serde(default)]
        args: Vec<String>,
        /// Added to its environment.
        #[serde(default)]
        env: BTreeMap<String, String>,
    },
    /// A server reached by HTTP.
    Remote {
        /// Name for the agent; the URL if empty.
        #[serde(default)]
        name: String,
        /// Where.
        url: String,
        /// Headers of every request.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
}

impl McpServerConfig {
    /// ACP's form: stdio servers are untagged, names and values are pairs.
    pub(super) fn to_acp(&self) -> Value {
        let pairs = |map: &BTreeMap<String, String>| -> Vec<Value> {
            map.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
        };
        let or = |name: &String, other: &String| if name.is_empty() { other.clone() } else { name.clone() };
        match self {
            McpServerConfig::Local { name, command, args, env } => {
                json!({ "name": or(name, command), "command": command, "args": args, "env": pairs(env) })
            }
            McpServerConfig::Remote { name, url, headers } => {
                json!({ "type": "http", "name": or(name, url), "url": url, "headers": pairs(headers) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_take_the_form_of_acp() {
        let text = r#"{"type": "local", "command": "srv", "args": ["-x"], "env": {"A": "1"}}"#;
        let local: McpServerConfig = serde_json::from_str(text).unwrap();
        let acp = json!({ "name": "srv", "command": "srv", "args": ["-x"], "env": [{ "name": "A", "value": "1" }] });
        assert_eq!(local.to_acp(), acp);
        let remote: McpServerConfig =
            serde_json::from_str(r#"{"type": "remote", "name": "n", "url": "u"}"#).unwrap();
        assert_eq!(remote.to_acp(), json!({ "type": "http", "name": "n", "url": "u", "headers": [] }));
        assert!(
            serde_json::from_str::<McpServerConfig>(r#"{"type": "remote", "url": "u", "x": 1}"#).is_err()
        );
    }
}
