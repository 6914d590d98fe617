//! Syncing in a machine whose files are kept, against the same on a directory of the host: a log that grows by small pieces, and
//! 4 KB at a time.

use std::io::Write;
use std::path::Path;

use agentos::{AgentOsConfig, PersistenceConfig};

use super::Rows;
use crate::failure::{Failure, Result, within};
use crate::rig::{Rig, STEP, exec_argv, install, timed};
use crate::row::Row;
use crate::{guest, native};

/// Synced writes in one run; what starting the program takes is a hundredth of it.
const WRITES: u32 = 200;
const RUNS: usize = 7;

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let state = rig.scratch().join("state");
    let path = state.to_str().ok_or_else(|| Failure::wrong("the directory is not UTF-8"))?.to_owned();
    let kept = AgentOsConfig::builder().persistence(PersistenceConfig::Directory { path }).build();
    let os = rig.vm_with(kept).await?;
    for (name, size) in [("durable_sync_100", 100), ("durable_sync_4k", 4096)] {
        let program = format!("/tmp/{name}");
        install(&os, &program, &guest::syncer(&format!("/tmp/{name}.out"), size, WRITES)?).await?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for n in 0..RUNS {
            let our = timed(exec_argv(&os, &[&program])).await?;
            let native = native::timed(|| native_syncs(&rig.scratch().join(name), size))?;
            // The first is a warm-up.
            if n > 0 {
                let each = |took: std::time::Duration| took.as_secs_f64() * 1e3 / f64::from(WRITES);
                ours.push(each(our));
                theirs.push(each(native));
            }
        }
        rows.push(Row::measured(name, "ms", &ours, &theirs));
    }
    within("dispose", STEP, os.dispose()).await
}

fn native_syncs(path: &Path, size: u32) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    for _ in 0..WRITES {
        file.write_all(&vec![0; size as usize])?;
        file.sync_data()?;
    }
    Ok(())
}
