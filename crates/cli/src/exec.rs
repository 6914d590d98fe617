//! `agentos exec`: one program, standard streams passed through, its status as ours.

use std::process::ExitCode;

use agentos::{Error, ExecOptions};
use miette::{IntoDiagnostic, Result};

use crate::args::ExecArgs;
use crate::machine;
use crate::save::Save;

/// Status of a program that was killed for its time, as of timeout(1).
const TIMED_OUT: u8 = 124;

/// Status of a program that may not be started, as a shell has it.
const NOT_EXECUTABLE: u8 = 126;

pub(crate) async fn exec(args: ExecArgs) -> Result<ExitCode> {
    let mut config = machine::config(&args.machine)?;
    let save = Save::of(&args.machine)?;
    let env = if args.clear_env { std::mem::take(&mut config.env) } else { Default::default() };
    let sidecar = machine::sidecar().await?;
    let os = machine::create(&sidecar, config).await?;
    let options = ExecOptions {
        env,
        clear_env: args.clear_env,
        cwd: args.cwd,
        timeout: args.timeout.filter(|time| !time.is_zero()),
        ..ExecOptions::default()
    };
    let status = os
        .exec_streams(args.program, options, tokio::io::stdin(), tokio::io::stdout(), tokio::io::stderr())
        .await;
    if let Err(denied @ Error::PermissionDenied(_)) = &status {
        eprintln!("agentos: {denied}");
        return Ok(ExitCode::from(NOT_EXECUTABLE));
    }
    let status = status.into_diagnostic()?;
    if let Some(save) = save {
        save.save(&os).await?;
    }
    let code = if status.timed_out { TIMED_OUT } else { u8::try_from(status.exit_code).unwrap_or(255) };
    Ok(ExitCode::from(code))
}
