//! Looking files up in a VM that has a thousand checkpoints, against the same in one that has none, in turn.

use agentos::{AgentOs, BatchWriteEntry};

use super::Rows;
use crate::failure::{Result, within};
use crate::guest::{self, Operation};
use crate::rig::{Rig, STEP, exec_argv, install, timed};
use crate::row::Row;

const CHECKPOINTS: u32 = 1_000;
const FILES: u32 = 1_000;
const DIRECTORY: &str = "/srv/bench/files";
const PROGRAM: &str = "/tmp/looper";
/// Look-ups of a sample, of which the start of the program is a small part.
const TIMES: u32 = 100_000;
const SAMPLES: usize = 30;

async fn filled(rig: &Rig) -> Result<AgentOs> {
    let os = rig.vm().await?;
    let entry = |i| BatchWriteEntry { path: format!("{DIRECTORY}/f{i:03}"), content: b"before".to_vec() };
    let written =
        within("write files", STEP, async { Result::Ok(os.write_files((0..FILES).map(entry)).await) });
    for one in written.await? {
        one.result?;
    }
    install(&os, PROGRAM, &guest::looper(Operation::Stat, DIRECTORY, TIMES)?).await?;
    Ok(os)
}

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let (os, fresh) = (filled(rig).await?, filled(rig).await?);
    let mut made = Vec::new();
    for n in 0..CHECKPOINTS {
        let path = format!("{DIRECTORY}/f{:03}", n % FILES);
        within("write", STEP, os.write_file(&path, n.to_string())).await?;
        let took = within("checkpoint", STEP, timed(os.checkpoint(format!("c{n}")))).await?;
        made.push(took.as_secs_f64() * 1e6);
    }
    rows.push(Row::measured("checkpoint", "us", &made, &[]));
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    for n in 0..SAMPLES {
        let took = within("look-ups", STEP, timed(exec_argv(&os, &[PROGRAM]))).await?;
        let other = within("look-ups", STEP, timed(exec_argv(&fresh, &[PROGRAM]))).await?;
        // The first are a warm-up.
        if n >= 3 {
            ours.push(took.as_secs_f64() * 1e6 / f64::from(TIMES));
            others.push(other.as_secs_f64() * 1e6 / f64::from(TIMES));
        }
    }
    let row = Row::measured("stat_after_checkpoints", "us", &ours, &others);
    rows.push(row.note("compared with a VM without checkpoints"));
    within("dispose", STEP, os.dispose()).await?;
    within("dispose", STEP, fresh.dispose()).await
}
