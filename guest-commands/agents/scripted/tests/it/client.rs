//! Agents with one session, for a client of the tests.

use std::time::Duration;

pub(crate) use agentos_agent_common::client::{Client, finals, is_gone, outline};
use agentos_scripted::Agent;
use serde_json::{Value, json};

/// An agent with one session in `/`.
pub(crate) fn new() -> Client {
    in_directory("/")
}

pub(crate) fn in_directory(cwd: &str) -> Client {
    let mut client = bare();
    client.start(json!({}), cwd, json!([]));
    client
}

/// An agent with one session that has these MCP servers, each of which may take `patience`.
pub(crate) fn with_servers(servers: Value, patience: Duration) -> Client {
    let mut client = Client::of(move |input, output| Agent::new(input, output).patience(patience).run());
    client.start(json!({}), "/", servers);
    client
}

/// An agent that was told nothing yet.
pub(crate) fn bare() -> Client {
    Client::of(|input, output| Agent::new(input, output).run())
}
