//! The program `agentos-coder`: the agent on stdin and stdout, with its model from the environment and requests by the
//! host. Everything it does is in the library.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use agentos_agent_common::http::Machine;
use agentos_coder::{Agent, Settings};

fn main() {
    // An MCP server that ends while it is written to is an error of that write.
    let _ = agentos_guest::signal::ignore(agentos_guest::Signal::SIGPIPE);
    let settings = Settings::from_env(|name| std::env::var(name).ok());
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
    let status = match Agent::new(0, 1, Box::new(Machine), settings, &home).run() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("agentos-coder: {error}");
            1
        }
    };
    agentos_guest::process::exit(status);
}
