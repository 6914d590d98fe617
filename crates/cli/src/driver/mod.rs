//! `agentos driver`: the session layer by itself. It drives an agent beside it for a host that made the sandbox, or plays a
//! recording.
//!
//! | file | for |
//! |---|---|
//! | `boot` | what the driver is told, and out of whose sight that is then |
//! | `server` | who may connect |
//! | `socket` | one WebSocket as a control connection |
//! | `run` | the process: connection, signals, status |
//! | `replay` | recordings |

mod boot;
mod replay;
mod run;
mod server;
mod socket;

use std::process::ExitCode;

use miette::{Report, Result, miette};

use crate::args::{DriverArgs, DriverCommand};

pub(crate) async fn driver(args: DriverArgs) -> Result<ExitCode> {
    match args.command {
        Some(DriverCommand::Replay(args)) => replay::replay(args).await,
        None => run::run(args.stdio, args.handover).await,
    }
}

/// An error of the driver, by its code.
fn report(error: &agentos_driver::ErrorInfo) -> Report {
    miette!("{error}")
}
