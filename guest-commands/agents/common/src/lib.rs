//! What the bundled agents share: the connection to their client over ACP, commands in process groups of their own,
//! MCP servers over pipes, and HTTP in parts. It decides nothing about what an agent does.
//!
//! An agent has one thread: while something of its own runs, it waits for that and for the client at once, which is what
//! makes `session/cancel` work.
#![deny(unsafe_code)]

#[cfg(feature = "client")]
pub mod client;
pub mod command;
pub mod http;
pub mod input;
pub mod mcp;
#[cfg(feature = "client")]
pub mod plain;
pub mod poll;
pub mod rpc;
pub mod server;
pub mod sse;
pub mod turn;
pub mod wire;
