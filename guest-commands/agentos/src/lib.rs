//! The command `agentos`: tools of the host as commands, and as an MCP server on standard input and output; MCP servers elsewhere as
//! such. What a tool does,
//! and whether its input fits its schema, is the host's business.

#![forbid(unsafe_code)]

mod flags;
mod help;
mod kit;
mod mcp;
mod names;
mod reactor;
mod remote;
mod run;
mod schema;

pub use run::main;
