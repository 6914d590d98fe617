//! The `agentos` command line: machines, programs and agents in them, and the sidecar itself. It holds no logic of a
//! machine: everything goes through the public client.

#![forbid(unsafe_code)]

mod agents;
mod args;
mod batch;
mod doctor;
mod exec;
mod machine;
mod progress;
mod run;

use std::process::ExitCode;

use args::{Cli, Command};
use clap::Parser;

fn main() -> ExitCode {
    agentos::sidecar::init();
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == "sidecar") {
        // The sidecar reads its own arguments: a client of another version may start it.
        let rest: Vec<_> = arguments.collect();
        if !rest.iter().any(|a| a == "--help" || a == "-h") {
            return agentos_sidecar::main(rest);
        }
    }
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("agentos: start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Run(args) => run::run(args).await,
            Command::Exec(args) => exec::exec(args).await,
            Command::Batch(args) => batch::batch(args).await,
            Command::Agents(args) => agents::agents(args).await,
            Command::Doctor(args) => doctor::doctor(&args).await,
            Command::Sidecar { .. } => Ok(ExitCode::SUCCESS),
        }
    });
    // A read of standard input that never returns must not keep the process.
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
        Err(report) => {
            eprintln!("agentos: {report:?}");
            ExitCode::FAILURE
        }
    }
}
