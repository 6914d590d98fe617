//! `agentos shell`: a terminal in a machine on the terminal of this command, its status as ours.

use std::io::IsTerminal;
use std::process::ExitCode;

use agentos::{ConnectTerminalOptions, Errno, Error, OpenShellOptions, TerminalPolicy};
use miette::{IntoDiagnostic, Result};

use crate::args::ShellArgs;
use crate::save::Save;
use crate::{machine, output};

/// Statuses of a program that could not be started, as of a shell.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;
/// Added to the number of the signal that ended us.
const SIGNALLED: u8 = 128;

pub(crate) async fn shell(args: ShellArgs) -> Result<ExitCode> {
    if !std::io::stdin().is_terminal() {
        return Err(miette::miette!(
            help = "run it from a terminal, or use `agentos exec -- sh` to pipe bytes through a shell",
            "standard input is not a terminal"
        ));
    }
    let mut config = machine::config(&args.machine)?;
    let save = Save::of(&args.machine)?;
    let mut env = if args.clear_env { std::mem::take(&mut config.env) } else { Default::default() };
    if let Some(term) = config.env.get("TERM") {
        // One that was given is not replaced by that of this terminal.
        env.insert("TERM".to_owned(), term.clone());
    }
    let mut program = args.program.into_iter();
    let shell = OpenShellOptions {
        command: program.next(),
        args: program.collect(),
        env,
        clear_env: args.clear_env,
        cwd: args.cwd,
        ..OpenShellOptions::default()
    };
    let policy = TerminalPolicy {
        title: args.allow_title,
        clipboard: args.allow_clipboard,
        answers: args.allow_answers,
    };
    let sidecar = machine::sidecar().await?;
    let os = machine::create(&sidecar, config).await?;
    match os.connect_terminal(ConnectTerminalOptions { shell, policy }).await {
        Ok(status) => {
            if let Some(save) = save {
                save.save(&os).await?;
            }
            Ok(ExitCode::from(u8::try_from(status.exit_code).unwrap_or(u8::MAX)))
        }
        // As a shell would report it of us. The machine ends with us.
        Err(Error::Interrupted { signal }) => Ok(ExitCode::from(SIGNALLED.saturating_add(signal as u8))),
        Err(error) => match &error {
            // As for `exec`: it could not be started.
            Error::Kernel { errno, operation, .. } if operation == "exec" => {
                output::report(&miette::miette!("{error}"));
                Ok(ExitCode::from(if *errno == Errno::ENOENT { NOT_FOUND } else { NOT_EXECUTABLE }))
            }
            _ => Err(error).into_diagnostic(),
        },
    }
}
