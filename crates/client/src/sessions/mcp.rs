//! MCP servers for an agent.
//! It starts none: the agent does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// An MCP server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
pub enum McpServerConfig {
    /// A program in the VM that speaks on stdio.
    Local {
        /// Name for the agent; the file name of the command if empty.
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
    /// A server reached by streamable HTTP, through the host: it is allowed to the session, and its headers are seen by no guest.
    Remote {
        /// Name for the agent; the host if empty.
        #[serde(default)]
        name: String,
        /// Where.
        url: String,
        /// Headers of every request.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// A server as ACP describes it, for what the other two cannot say.
    Acp {
        /// An `McpServer` of ACP; it goes to the agent as it is.
        server: Value,
    },
}

/// Without values of headers.
impl std::fmt::Debug for McpServerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            McpServerConfig::Local { name, command, args, env } => f
                .debug_struct("Local")
                .field("name", name)
                .field("command", command)
                .field("args", args)
                .field("env", env)
                .finish(),
            McpServerConfig::Remote { name, url, headers } => {
                let names: Vec<&String> = headers.keys().collect();
                f.debug_struct("Remote")
                    .field("name", name)
                    .field("url", url)
                    .field("headers", &names)
                    .finish()
            }
            McpServerConfig::Acp { .. } => {
                f.debug_struct("Acp").field("name", &self.name()).finish_non_exhaustive()
            }
        }
    }
}

fn pairs<N: Into<String>, V: Into<String>>(
    pairs: impl IntoIterator<Item = (N, V)>,
) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// The last part of a command.
fn of_command(command: &str) -> String {
    let file = command.rsplit('/').find(|part| !part.is_empty()).unwrap_or(command);
    file.to_owned()
}

/// The host of a URL, without user and port.
fn of_url(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let host = match host.split_once(']') {
        Some((address, _)) => address.trim_start_matches('['),
        None => host.split(':').next().unwrap_or(host),
    };
    if host.is_empty() { url.to_owned() } else { host.to_owned() }
}

impl McpServerConfig {
    /// A program in the VM that speaks on stdio; its name is the file name of the command.
    ///
    /// ```
    /// use agentos::McpServerConfig;
    /// let server = McpServerConfig::local("/usr/bin/notes", ["--stdio"], [("NOTES", "/workspace/notes")]);
    /// assert_eq!(server.name(), "notes");
    /// ```
    pub fn local<A: Into<String>, N: Into<String>, V: Into<String>>(
        command: impl Into<String>,
        args: impl IntoIterator<Item = A>,
        env: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let command = command.into();
        McpServerConfig::Local {
            name: of_command(&command),
            command,
            args: args.into_iter().map(Into::into).collect(),
            env: pairs(env),
        }
    }

    /// A server reached by HTTP; its name is the host.
    ///
    /// ```
    /// use agentos::McpServerConfig;
    /// let server = McpServerConfig::remote("https://mcp.example.com:8080/v1", [("Authorization", "Bearer x")]);
    /// assert_eq!(server.name(), "mcp.example.com");
    /// ```
    pub fn remote<N: Into<String>, V: Into<String>>(
        url: impl Into<String>,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let url = url.into();
        McpServerConfig::Remote { name: of_url(&url), url, headers: pairs(headers) }
    }

    /// The name for the agent: as given, else derived.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            McpServerConfig::Local { name, .. } | McpServerConfig::Remote { name, .. }
                if !name.is_empty() =>
            {
                name.clone()
            }
            McpServerConfig::Local { command, .. } => of_command(command),
            McpServerConfig::Remote { url, .. } => of_url(url),
            McpServerConfig::Acp { server } => {
                server.get("name").and_then(Value::as_str).unwrap_or_default().to_owned()
            }
        }
    }

    /// All in ACP's form; of servers of one name, all but the first get a number, for agents tell them apart by it.
    pub(super) fn all_to_acp(servers: &[Self]) -> Value {
        let mut names = std::collections::BTreeSet::new();
        let mut unique = |name: String| {
            let numbered = (2_u64..).map(|n| format!("{name}-{n}"));
            let free = std::iter::once(name.clone()).chain(numbered).find(|name| !names.contains(name));
            let free = free.unwrap_or(name);
            names.insert(free.clone());
            free
        };
        let to_acp = |server: &Self| match server {
            McpServerConfig::Acp { server } => server.clone(),
            named => named.to_acp(&unique(named.name())),
        };
        servers.iter().map(to_acp).collect()
    }

    /// ACP's form: stdio servers are untagged, names and values are pairs.
    fn to_acp(&self, name: &str) -> Value {
        let pairs = |map: &BTreeMap<String, String>| -> Vec<Value> {
            map.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
        };
        match self {
            McpServerConfig::Local { command, args, env, .. } => {
                json!({ "name": name, "command": command, "args": args, "env": pairs(env) })
            }
            McpServerConfig::Remote { url, headers, .. } => {
                json!({ "type": "http", "name": name, "url": url, "headers": pairs(headers) })
            }
            McpServerConfig::Acp { server } => server.clone(),
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
        assert_eq!(McpServerConfig::all_to_acp(&[local]), json!([acp]));
        let remote: McpServerConfig =
            serde_json::from_str(r#"{"type": "remote", "name": "n", "url": "u"}"#).unwrap();
        let acp = json!([{ "type": "http", "name": "n", "url": "u", "headers": [] }]);
        assert_eq!(McpServerConfig::all_to_acp(&[remote]), acp);
        let secret = McpServerConfig::remote("https://h/", [("Authorization", "hunter2")]);
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert!(
            serde_json::from_str::<McpServerConfig>(r#"{"type": "remote", "url": "u", "x": 1}"#).is_err()
        );
    }

    #[test]
    fn what_is_in_the_form_of_acp_stays_as_it_is() {
        let acp = json!({ "type": "sse", "name": "n", "url": "u", "headers": [], "_meta": { "a": 1 } });
        let servers = [McpServerConfig::Acp { server: acp.clone() }];
        assert!(!format!("{servers:?}").contains("headers"));
        assert_eq!((servers[0].name().as_str(), McpServerConfig::all_to_acp(&servers)), ("n", json!([acp])));
    }

    #[test]
    fn names_are_derived_and_unique() {
        let none = || std::iter::empty::<(String, String)>();
        let no_args: [&str; 0] = [];
        for (command, name) in [("notes", "notes"), ("/usr/bin/notes", "notes"), ("./bin/notes/", "notes")] {
            assert_eq!(McpServerConfig::local(command, no_args, none()).name(), name);
        }
        for (url, name) in [
            ("https://a.example/x", "a.example"),
            ("http://me:secret@a.example:80?q", "a.example"),
            ("http://[::1]:8080/", "::1"),
            ("a.example", "a.example"),
            ("http://", "http://"),
        ] {
            assert_eq!(McpServerConfig::remote(url, none()).name(), name);
        }
        let servers =
            ["/a/srv", "/b/srv", "srv-2", "srv"].map(|c| McpServerConfig::local(c, no_args, none()));
        let acp = McpServerConfig::all_to_acp(&servers);
        let names: Vec<&str> = acp.as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["srv", "srv-2", "srv-2-2", "srv-3"]);
    }
}
