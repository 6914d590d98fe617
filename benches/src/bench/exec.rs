//! Running short programs through the client and the sidecar, against fork and exec with pipes.

use std::path::Path;

use super::{Rows, put};
use crate::commands::{Work, compare};
use crate::failure::Result;
use crate::native;
use crate::rig::{Rig, exec, timed};
use crate::sample::{MS, Measure, measure};

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let os = rig.vm().await?;
    let root = Path::new("/");
    for (name, work) in [
        ("exec_true", Work::Argv(&["true"])),
        ("sh_echo", Work::Shell("echo hi", "dash")),
        ("sh_ls_wc", Work::Shell("ls / | wc -l", "dash")),
    ] {
        put(rows, name, compare(&os, Measure::new(name, MS), work, "/", root).await);
    }
    let ours = async || {
        timed(async {
            for _ in 0..200 {
                exec(&os, "echo i").await?;
            }
            Result::Ok(())
        })
        .await
    };
    let mut native = || {
        let mut took = std::time::Duration::ZERO;
        for _ in 0..200 {
            took += native::run(&["dash", "-c", "echo i"], root)?.took;
        }
        Ok(took)
    };
    let row = measure(Measure::new("exec_200", MS).heavy(), ours, Some(&mut native)).await;
    put(rows, "exec_200", row);
    Ok(())
}
