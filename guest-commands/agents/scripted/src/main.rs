//! The program `agentos-scripted`: the agent on stdin and stdout. Everything it does is in the library.

fn main() {
    // An MCP server that ends while it is written to is an error of that write.
    let _ = agentos_guest::signal::ignore(agentos_guest::Signal::SIGPIPE);
    let status = match agentos_scripted::Agent::new(0, 1).run() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("agentos-scripted: {error}");
            1
        }
    };
    agentos_guest::process::exit(status);
}
