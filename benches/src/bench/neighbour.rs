//! What a VM feels of another one that takes all it can get: fifty shells that spin, four programs that fill memory.

use std::time::{Duration, Instant};

use agentos::{AgentOs, SpawnOptions, SpawnStdin};

use super::Rows;
use crate::failure::{Failure, Result, within};
use crate::guest;
use crate::rig::{Rig, STEP, exec_argv, install, timed};
use crate::row::Row;

const SPINNERS: usize = 50;
const FILLERS: usize = 4;
const BUDGET: Duration = Duration::from_secs(6);

async fn start(os: &AgentOs, command: &str, args: &[&str]) -> Result<()> {
    let options = SpawnOptions { stdin: SpawnStdin::Null, ..SpawnOptions::default() };
    within(command, STEP, os.spawn(command, args.iter().copied(), options)).await.map(|_| ())
}

async fn alive(os: &AgentOs) -> Result<usize> {
    let all = within("list processes", STEP, os.list_processes()).await?;
    Ok(all.iter().filter(|p| p.exit_code.is_none()).count())
}

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let (noisy, quiet) = (rig.vm().await?, rig.vm().await?);
    within("write", STEP, quiet.write_file("/tmp/small", [7; 1024])).await?;
    install(&noisy, "/tmp/filler", &guest::filler()?).await?;
    let before = rig.process.rss()?;
    for _ in 0..FILLERS {
        start(&noisy, "/tmp/filler", &[]).await?;
    }
    for _ in 0..SPINNERS {
        start(&noisy, "sh", &["-c", "while :; do :; done"]).await?;
    }
    // The figures count only while all of them run and the memory is really filled.
    let begin = Instant::now();
    while rig.process.rss()? < before + FILLERS as u64 * u64::from(guest::FILLED) {
        if begin.elapsed() > STEP / 2 {
            return Err(Failure::wrong("the memory fillers have not filled their memory"));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    let (mut execs, mut reads) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    while begin.elapsed() < BUDGET {
        execs.push(timed(exec_argv(&quiet, &["true"])).await?.as_secs_f64() * 1e3);
        let read = within("read beside a noisy VM", STEP, quiet.read_file("/tmp/small"));
        reads.push(timed(read).await?.as_secs_f64() * 1e3);
    }
    let running = alive(&noisy).await?;
    if running != SPINNERS + FILLERS {
        return Err(Failure::wrong(format!("{running} of {} noisy processes run", SPINNERS + FILLERS)));
    }
    rows.push(Row::measured("neighbour_exec", "ms", &execs, &[]));
    rows.push(Row::measured("neighbour_read", "ms", &reads, &[]));
    let killed = timed(within("dispose of the noisy VM", STEP, noisy.dispose())).await?;
    rows.push(Row::value("neighbour_kill", "ms", killed.as_secs_f64() * 1e3));
    Ok(())
}
