//! MCP servers of a session that are elsewhere. Agents get them as programs of the machine, which ask through its way out;
//! headers of such a server stay with the host, in memory only.

use std::collections::BTreeMap;
use std::sync::Arc;

use agentos_base_snapshot::TOOLS_PROGRAM;
use agentos_egress::{GrantSource, Granted};
use agentos_protocol::WireError;
use serde_json::{Value, json};
use ulid::Ulid;
use zeroize::Zeroizing;

use super::entry::Record;
use crate::vm::Vm;

/// Headers of servers, by their place in the list.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Headers(BTreeMap<usize, Vec<(String, Zeroizing<String>)>>);

impl Headers {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Takes the values of all headers out of servers in ACP's form. What is left may be stored.
pub(super) fn split(servers: &mut [Value]) -> Result<Headers, WireError> {
    let mut headers = Headers::default();
    for (n, server) in servers.iter_mut().enumerate() {
        match server.get("type").and_then(Value::as_str) {
            None | Some("stdio") => continue,
            Some("http") => {}
            Some("sse") => {
                let reason = "is the transport of 2024-11-05 (HTTP with SSE), which is not there; give the server's \
                              endpoint for streamable HTTP, with the type http";
                return Err(WireError::invalid_config(format!("mcpServers[{n}].type"), reason));
            }
            Some(_) => {
                return Err(WireError::invalid_config(
                    format!("mcpServers[{n}].type"),
                    "is neither stdio nor http",
                ));
            }
        }
        let mut taken = Vec::new();
        for header in server.get_mut("headers").and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(header) = header.as_object_mut() else { continue };
            if let Some(Value::String(value)) = header.remove("value") {
                let name = header.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
                taken.push((name, Zeroizing::new(value)));
            }
        }
        if !taken.is_empty() {
            headers.0.insert(n, taken);
        }
    }
    Ok(headers)
}

/// The servers of a session as its agent is to have them, and what allows them to be reached.
pub(super) fn bridged(vm: &Arc<Vm>, record: &Record) -> Result<(Vec<Value>, Vec<Granted>), WireError> {
    let listed = record.head.lock().setup.mcp_servers.clone();
    let headers = record.headers.lock();
    let (mut servers, mut grants) = (Vec::new(), Vec::new());
    for (n, server) in listed.into_iter().enumerate() {
        if server.get("type").and_then(Value::as_str) != Some("http") {
            servers.push(server);
            continue;
        }
        let refuse =
            |field: &str, reason: &str| WireError::invalid_config(format!("mcpServers[{n}]{field}"), reason);
        if vm.root.bundled.is_none() {
            let reason = "a server elsewhere is reached by the program `agentos` of the bundled base, which this root is without";
            return Err(refuse("", reason));
        }
        let text = |member: &str| server.get(member).and_then(Value::as_str).unwrap_or_default();
        let known = headers.0.get(&n).map(Vec::as_slice).unwrap_or_default();
        let named = server.get("headers").and_then(Value::as_array).map_or(0, Vec::len);
        if known.len() != named {
            let reason = "headers are not stored, and this process does not know them: give the session its servers again \
                          when it is resumed";
            return Err(refuse(".headers", reason));
        }
        let source = GrantSource { url: text("url").to_owned(), headers: known.to_vec() };
        let grant = Ulid::generate().to_string();
        let granted = vm.way_out().grant(grant.clone(), source);
        grants.push(granted.map_err(|refusal| refuse(&format!(".{}", refusal.path), &refusal.reason))?);
        servers.push(json!({
            "name": text("name"),
            "command": format!("/bin/{TOOLS_PROGRAM}"),
            "args": ["mcp-remote", "--grant", grant, text("url")],
            "env": [],
        }));
    }
    Ok((servers, grants))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_servers_has_no_secret() {
        let mut servers = vec![
            json!({"name": "l", "command": "/bin/s", "args": [], "env": [{"name": "A", "value": "1"}]}),
            json!({"type": "http", "name": "r", "url": "https://h/", "headers": [{"name": "A", "value": "hunter2"}]}),
            json!({"type": "http", "name": "s", "url": "https://h/", "headers": []}),
        ];
        let headers = split(&mut servers).unwrap();
        assert!(!json!(servers).to_string().contains("hunter2"));
        assert_eq!(headers.0.keys().collect::<Vec<_>>(), [&1]);
        assert_eq!(headers.0[&1], [("A".to_owned(), Zeroizing::new("hunter2".to_owned()))]);
        assert!(split(&mut servers).unwrap().is_empty());
        for kind in ["sse", "other"] {
            let refused = split(&mut [json!({"type": kind, "name": "r", "url": "https://h/"})]);
            let path = refused.err().and_then(|error| error.details?.config).map(|issue| issue.path);
            assert_eq!(path.as_deref(), Some("mcpServers[0].type"));
        }
    }
}
