//! The sidecar as a program of its own; `agentos sidecar` is the same.

use std::process::ExitCode;

fn main() -> ExitCode {
    agentos_sidecar::main(std::env::args_os().skip(1))
}
