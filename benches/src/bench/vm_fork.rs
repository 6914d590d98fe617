//! Forking a VM whose files fill memory: 1 GB in 10,000 files. Time of a fork, and memory of one that is kept.

use std::time::{Duration, Instant};

use agentos::{AgentOsConfig, VmLimits};

use super::Rows;
use crate::failure::{Result, within};
use crate::rig::{Rig, STEP, exec};
use crate::row::Row;

/// Forks timed one after the other.
const FORKS: usize = 300;
/// Forks kept at once.
const KEPT: usize = 200;
/// How long the memory of the sidecar may take to settle.
const SETTLE: Duration = Duration::from_secs(5);

const FILES: &str = "mkdir /tmp/files && cd /tmp/files && for d in $(seq 10); do mkdir $d && \
    head -c 107374000 /dev/zero | split -b 107374 -a 4 -d - $d/f || exit 1; done; find . -type f | wc -l";

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let limits = VmLimits { filesystem_bytes: 2 << 30, ..VmLimits::default() };
    let os = rig.vm_with(AgentOsConfig::builder().limits(limits).build()).await?;
    let made = exec(&os, FILES).await?;
    if made.stdout.trim() != "10000" {
        return Err(crate::failure::Failure::wrong(format!("files: {made:?}")));
    }
    let mut times = Vec::new();
    for n in 0..FORKS {
        let started = Instant::now();
        let fork = within("fork", STEP, os.fork()).await?;
        let time = started.elapsed();
        within("dispose", STEP, fork.dispose()).await?;
        // The first are a warm-up.
        if n >= 20 {
            times.push(time.as_secs_f64() * 1e3);
        }
    }
    rows.push(Row::measured("vm_fork", "ms", &times, &[]));

    let before = rig.process.settled_rss(SETTLE).await?;
    let mut kept = Vec::new();
    for _ in 0..KEPT {
        kept.push(within("fork", STEP, os.fork()).await?);
    }
    let after = rig.process.settled_rss(SETTLE).await?;
    let each = after.saturating_sub(before) as f64 / KEPT as f64 / 1024.0;
    rows.push(Row::value("vm_fork_rss", "KB", each));
    for fork in kept {
        within("dispose", STEP, fork.dispose()).await?;
    }
    within("dispose", STEP, os.dispose()).await
}
