//! A remote MCP server as one on standard input and output: lines of JSON-RPC become requests over HTTP (the streamable
//! transport of 2025-03-26 and 2025-06-18), and their answers lines. The host makes the requests, and puts in what the server
//! wants to know of who asks.

mod bridge;
mod exchange;
mod message;
#[cfg(test)]
mod tests;

use agentos_agent_common::http::Machine;

use self::bridge::{Bridge, Limits, Server};

/// Longest name of a grant, bytes.
const GRANT: usize = 128;

/// Reads the arguments and serves until the end of standard input; an error is that of a wrong command line.
pub(crate) fn serve(arguments: &[&str]) -> Result<Result<(), String>, String> {
    let server = server(arguments)?;
    // A client that reads no more is an error of the write, so that the server hears of the end.
    let _ = agentos_guest::signal::ignore(agentos_guest::Signal::SIGPIPE);
    let served = Bridge::new(Box::new(Machine), server, Limits::default(), 0, 1).run();
    Ok(served.map_err(|error| agentos_guest::strerror(&error).to_string()))
}

fn server(arguments: &[&str]) -> Result<Server, String> {
    let (grant, url) = match arguments {
        ["--grant", grant, url] => (Some((*grant).to_owned()), url),
        [url] => (None, url),
        _ => return Err("mcp-remote: one URL is wanted; see --help".to_owned()),
    };
    if grant.as_ref().is_some_and(|grant| {
        grant.is_empty() || grant.len() > GRANT || !grant.bytes().all(|byte| byte.is_ascii_graphic())
    }) {
        return Err("mcp-remote: --grant is no name of a grant".to_owned());
    }
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(format!("mcp-remote: {url:?} does not begin with http:// or https://"));
    }
    Ok(Server { url: (*url).to_owned(), grant })
}
