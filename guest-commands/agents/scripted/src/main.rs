//! The program `agentos-scripted`: the agent on stdin and stdout. Everything it does is in the library.

fn main() {
    let status = match agentos_scripted::Agent::new(0, 1).run() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("agentos-scripted: {error}");
            1
        }
    };
    agentos_guest::process::exit(status);
}
