//! Single file operations of a guest, on the root of the VM and on a host directory, against the same calls on the host.

use std::path::Path;

use agentos::{AgentOsConfig, BatchWriteEntry, MountConfig};
use rustix::fs::{CWD, Mode, OFlags, RawDir, openat, stat};

use super::{Rows, put};
use crate::failure::{Result, within};
use crate::guest::{self, Operation};
use crate::native;
use crate::rig::{Rig, STEP, exec_argv, install, timed};
use crate::sample::{Measure, US, measure};

const FILES: u32 = 1_000;

/// Rows of a directory: name, operation, times in one go, of which the start of the program is a small part.
type Plan = [(&'static str, Operation, u32); 3];

const PLANS: [(&str, Plan); 2] = [
    (
        "/srv/bench/files",
        [
            ("stat_root", Operation::Stat, 100_000),
            ("open_root", Operation::Open, 50_000),
            ("readdir_root", Operation::Readdir, 200),
        ],
    ),
    (
        "/mnt/bench/host",
        [
            ("stat_host_dir", Operation::Stat, 50_000),
            ("open_host_dir", Operation::Open, 20_000),
            ("readdir_host_dir", Operation::Readdir, 100),
        ],
    ),
];

/// Reads all names of a directory, as the guest program does: into one buffer, and nothing is made of them.
fn list(directory: &Path) -> std::io::Result<()> {
    let directory = openat(CWD, directory, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
    let mut buffer = Vec::with_capacity(128 << 10);
    let mut entries = RawDir::new(directory, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        entry?;
    }
    Ok(())
}

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let host = rig.scratch().join("files");
    std::fs::create_dir(&host)?;
    let shared = host.to_string_lossy().into_owned();
    let os = rig
        .vm_with(
            AgentOsConfig::builder().mount(MountConfig::host_dir("/mnt/bench/host", shared, false)).build(),
        )
        .await?;
    let name = |i: u32| format!("f{i:03}");
    let entry = |i| BatchWriteEntry { path: format!("/srv/bench/files/{}", name(i)), content: b"x".to_vec() };
    let written =
        within("write files", STEP, async { Result::Ok(os.write_files((0..FILES).map(entry)).await) });
    for one in written.await? {
        one.result?;
    }
    let paths: Vec<_> = (0..FILES).map(|i| host.join(name(i))).collect();
    for path in &paths {
        std::fs::write(path, "x")?;
    }
    for (directory, plan) in PLANS {
        for (row, operation, times) in plan {
            let program = format!("/tmp/{row}");
            install(&os, &program, &guest::looper(operation, directory, times)?).await?;
            let ours = async || timed(exec_argv(&os, &[&program])).await;
            let mut native = || {
                native::timed(|| {
                    for path in paths.iter().cycle().take(times as usize) {
                        match operation {
                            Operation::Stat => {
                                stat(path)?;
                            }
                            Operation::Open => drop(openat(CWD, path, OFlags::RDONLY, Mode::empty())?),
                            Operation::Readdir => list(&host)?,
                        }
                    }
                    Ok(())
                })
            };
            let m = Measure::new(row, US).per(f64::from(times)).heavy();
            let m = Measure { budget: std::time::Duration::from_secs(2), ..m };
            let measured = measure(m, ours, Some(&mut native)).await;
            put(rows, row, measured);
        }
    }
    Ok(())
}
