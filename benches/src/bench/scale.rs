//! A thousand VMs with a process in each: memory of one, processor time of all, and what is left when they are gone.

use std::time::{Duration, Instant};

use agentos::{AgentOs, SpawnOptions, SpawnStdin};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Rows, put};
use crate::failure::{Failure, Result, within};
use crate::host::cpu_between;
use crate::rig::{Rig, STEP};
use crate::row::Row;

const COUNT: usize = 1_000;
/// Requests under way at a time.
const AT_ONCE: usize = 8;
/// How long processor time is counted.
const IDLE: Duration = Duration::from_secs(5);

async fn create(rig: &Rig) -> Result<Vec<AgentOs>> {
    let one = |_| rig.vm();
    within("create 1,000 VMs", STEP, stream::iter(0..COUNT).map(one).buffer_unordered(AT_ONCE).try_collect())
        .await
}

async fn populate(vms: &[AgentOs]) -> Result<()> {
    let one = async |os: &AgentOs| {
        let options = SpawnOptions { stdin: SpawnStdin::Null, ..SpawnOptions::default() };
        os.spawn("sleep", ["100000"], options).await.map(|_| ())
    };
    let all = stream::iter(vms).map(one).buffer_unordered(AT_ONCE).try_collect::<()>();
    within("start 1,000 processes", STEP, all).await?;
    // Until each has come to its sleep.
    tokio::time::sleep(Duration::from_millis(500)).await;
    Ok(())
}

async fn dispose(vms: Vec<AgentOs>) -> Result<()> {
    let one = async |os: &AgentOs| os.dispose().await;
    let all = stream::iter(&vms).map(one).buffer_unordered(AT_ONCE).try_collect::<()>();
    within("dispose 1,000 VMs", STEP, all).await
}

/// Bytes by which memory grew, in KB for each of [`COUNT`]. Growth of nothing at all is a measurement that failed.
fn each(name: &str, more: u64, less: u64) -> Result<Row> {
    let grown = more.checked_sub(less).filter(|grown| *grown > 0);
    let grown = grown.ok_or_else(|| Failure::wrong(format!("memory went from {less} to {more} bytes")))?;
    Ok(Row::value(name, "KB", grown as f64 / 1024.0 / COUNT as f64))
}

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let settle = Duration::from_secs(5);
    // The first round, in a sidecar that has no freed memory to give out again: what one costs is seen only here.
    let fresh = rig.process.settled_rss(settle).await?;
    let vms = create(rig).await?;
    let with_vms = rig.process.settled_rss(settle).await?;
    put(rows, "vm_idle_rss", each("vm_idle_rss", with_vms, fresh));

    let (before, begin) = (rig.process.cpu()?, Instant::now());
    tokio::time::sleep(IDLE).await;
    let spent = cpu_between(&before, &rig.process.cpu()?);
    let percent = spent.as_secs_f64() / begin.elapsed().as_secs_f64() * 100.0;
    rows.push(Row::value("vms_idle_cpu", "%", percent).note("1,000 VMs, of one processor"));

    populate(&vms).await?;
    let with_processes = rig.process.rss()?;
    put(rows, "process_rss", each("process_rss", with_processes, with_vms));
    dispose(vms).await?;

    // The second round against the end of the first: what is left each time would add up.
    let start = rig.process.settled_rss(settle).await?;
    let vms = create(rig).await?;
    populate(&vms).await?;
    dispose(vms).await?;
    let end = rig.process.settled_rss(settle).await?;
    let mb = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    rows.push(Row::value("rss_after_1000", "x", end as f64 / start as f64).note(format!(
        "{:.1} MB fresh, {:.1} MB after one round, {:.1} MB after two",
        mb(fresh),
        mb(start),
        mb(end)
    )));
    Ok(())
}
