//! Subshells of a shell with a heap: by a copy of the process, and in the process where the body is builtin.

use std::time::Duration;

use agentos::{AgentOs, AgentOsConfig, VmLimits};

use super::{Rows, put};
use crate::failure::Result;
use crate::native;
use crate::rig::{Rig, exec, timed};
use crate::sample::{MS, Measure, measure};

const TIMES: u32 = 100;

/// A script whose variable has 16 bytes doubled so often, and which then runs `body` so often.
fn script(doubled: u32, body: &str, times: u32) -> String {
    let grow = "x=$x$x; ".repeat(doubled as usize);
    format!("x=aaaaaaaaaaaaaaaa; {grow} i=0; while [ $i -lt {times} ]; do {body}; i=$((i+1)); done")
}

/// What the body takes: the script with it less the script without a turn.
async fn turns(os: &AgentOs, with: &str, without: &str) -> Result<Duration> {
    let all = timed(exec(os, with)).await?;
    Ok(all.saturating_sub(timed(exec(os, without)).await?))
}

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    // The heap of the second is beyond what a process may have by default.
    let limits = VmLimits { process_memory: 1 << 30, ..VmLimits::default() };
    let os = rig.vm_with(AgentOsConfig::builder().limits(limits).build()).await?;
    for (name, doubled, body, heap) in [
        ("fork_call", 17, "( : )", "a variable of 2 MiB"),
        ("builtin_substitution", 23, "y=$(echo a)", "a variable of 128 MiB"),
    ] {
        let (with, without) = (script(doubled, body, TIMES), script(doubled, body, 0));
        let ours = async || turns(&os, &with, &without).await;
        let root = std::path::Path::new("/");
        let mut native = || {
            let all = native::run(&["dash", "-c", &with], root)?.took;
            Ok(all.saturating_sub(native::run(&["dash", "-c", &without], root)?.took))
        };
        let m = Measure::new(name, MS).per(f64::from(TIMES)).heavy();
        let row = measure(m, ours, Some(&mut native)).await;
        put(
            rows,
            name,
            row.map(|row| if row.note.is_none() { row.note(format!("the shell holds {heap}")) } else { row }),
        );
    }
    Ok(())
}
