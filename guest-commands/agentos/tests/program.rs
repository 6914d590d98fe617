//! The program as it is outside of a machine, where nobody has tools: it says so.

use std::process::{Command, Stdio};

#[test]
fn outside_of_a_machine_there_are_no_tools() {
    for (args, status, said) in [
        (&["--help"][..], 1, "only there in a machine"),
        (&["list-tools"], 1, "only there in a machine"),
        (&["kit", "tool"], 1, "only there in a machine"),
        (&["mcp"], 1, "only there in a machine"),
        (&["mcp-remote"], 2, "one URL is wanted"),
        // Without a client there is nothing to bridge.
        (&["mcp-remote", "http://127.0.0.1:1/"], 0, ""),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agentos"));
        let output = command.args(args).stdin(Stdio::null()).output().expect("the program runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {stderr}");
        assert!(stderr.contains(said) && output.stdout.is_empty(), "{args:?}: {stderr}");
    }
}
