//! Taking a snapshot of a VM that has 100 MB in 1,000 files more than the base: the tar to its last byte, and such a tar as the
//! lower layer of a new VM.

use std::time::Instant;

use agentos::{AgentOsConfig, RootFilesystemConfig, RootLowerInput, SnapshotOptions};
use tokio::io::AsyncReadExt;

use super::Rows;
use crate::failure::{Failure, Result, within};
use crate::rig::{Rig, STEP, exec};
use crate::row::Row;

/// Snapshots timed one after the other.
const TIMES: usize = 12;
/// Of which so many are a warm-up.
const WARM: usize = 2;

const FILES: &str = "mkdir /tmp/files && cd /tmp/files && head -c 100000000 /dev/urandom | split -b 100000 -a 4 -d - f && ls | wc -l";

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let os = rig.vm_with(AgentOsConfig::default()).await?;
    let made = exec(&os, FILES).await?;
    if made.stdout.trim() != "1000" {
        return Err(Failure::wrong(format!("files: {made:?}")));
    }
    let mut tar = Vec::new();
    let mut times = Vec::new();
    for n in 0..TIMES {
        tar.clear();
        let started = Instant::now();
        let read = async {
            let mut reader = os.export_root_filesystem(SnapshotOptions::default()).await?;
            reader.read_to_end(&mut tar).await?;
            Ok::<_, Failure>(())
        };
        within("snapshot", STEP, read).await?;
        if n >= WARM {
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    if tar.len() < 100_000_000 {
        return Err(Failure::wrong(format!("the snapshot has {} bytes", tar.len())));
    }
    rows.push(Row::measured("snapshot_export", "ms", &times, &[]));
    within("dispose", STEP, os.dispose()).await?;

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("snapshot.tar");
    std::fs::write(&file, &tar)?;
    let lower = RootLowerInput::snapshot_file(file.to_string_lossy());
    let root = RootFilesystemConfig { lowers: vec![lower], ..Default::default() };
    let mut times = Vec::new();
    for n in 0..TIMES {
        let config = AgentOsConfig::builder().root_filesystem(root.clone()).build();
        let started = Instant::now();
        let os = rig.vm_with(config).await?;
        if n >= WARM {
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        within("dispose", STEP, os.dispose()).await?;
    }
    rows.push(Row::measured("snapshot_import", "ms", &times, &[]));
    Ok(())
}
