//! The command line from start to end: a process, a sidecar, a VM, a program. Images are on disk already.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{Rows, put};
use crate::failure::{Failure, Result};
use crate::native;
use crate::rig::{Rig, program};
use crate::sample::{MS, Measure, measure};

pub(crate) async fn run(_: &Rig, rows: &mut Rows) -> Result<()> {
    let path = program()?;
    let ours = async || -> Result<Duration> {
        let begin = Instant::now();
        let mut command = tokio::process::Command::new(&path);
        command.args(["exec", "--", "true"]).stdin(Stdio::null()).kill_on_drop(true);
        let done = command.output().await?;
        let took = begin.elapsed();
        match done.status.code() {
            Some(0) => Ok(took),
            code => {
                let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
                Err(Failure::status("agentos exec -- true", code.unwrap_or(-1), &stderr))
            }
        }
    };
    let mut native = || Ok(native::run(&["true"], std::path::Path::new("/"))?.took);
    let row = measure(Measure::new("cli_exec_true", MS), ours, Some(&mut native)).await;
    put(rows, "cli_exec_true", row);
    Ok(())
}
