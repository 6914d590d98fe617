//! The `agentos` command line: machines, programs and agents in them, and the sidecar itself. It holds no logic of a
//! machine: everything goes through the public client.

#![forbid(unsafe_code)]

mod acp;
mod agents;
mod args;
mod batch;
mod choice;
mod doctor;
mod driver;
mod exec;
mod lines;
mod machine;
mod output;
mod progress;
mod run;
mod save;
mod shell;

use std::ffi::OsString;
use std::process::ExitCode;

use args::{Cli, Command};
use clap::Parser;
use clap::error::ErrorKind;

/// Status of `exec` and `shell` when the program could not be run for a reason outside of it, as of timeout(1).
const NOT_RUN: u8 = 125;
/// Status of a command whose output nobody reads: that of SIGPIPE.
const READER_GONE: u8 = 128 + 13;
/// Status of wrong arguments, as of clap.
const USAGE: u8 = 2;

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
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) if error.kind() == ErrorKind::InvalidUtf8 => {
            output::note(&format!("error: {}", args::not_utf8(&arguments)));
            return ExitCode::from(USAGE);
        }
        Err(error) => error.exit(),
    };
    let failure = match &cli.command {
        Command::Exec(_) | Command::Shell(_) => ExitCode::from(NOT_RUN),
        _ => ExitCode::FAILURE,
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::note(&format!("agentos: start: {error}"));
            return failure;
        }
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Run(args) => run::run(args).await,
            Command::Exec(args) => exec::exec(args).await,
            Command::Shell(args) => shell::shell(args).await,
            Command::Batch(args) => batch::batch(args).await,
            Command::Acp(args) => acp::acp(args).await,
            Command::Agents(args) => agents::agents(args).await,
            Command::Doctor(args) => doctor::doctor(&args).await,
            Command::Driver(args) => driver::driver(args).await,
            Command::Sidecar { .. } => Ok(ExitCode::SUCCESS),
        }
    });
    // A read of standard input that never returns must not keep the process.
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
        Err(report) if report.is::<output::ReaderGone>() => ExitCode::from(READER_GONE),
        Err(report) => {
            output::report(&report);
            failure
        }
    }
}
