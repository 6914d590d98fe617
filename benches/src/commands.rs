//! Rows that run the same command on both sides.
//! Both must write equally much; a row that compares different work says so.

use std::path::Path;

use agentos::AgentOs;

use crate::failure::Result;
use crate::native;
use crate::rig::{exec_argv_in, exec_in};
use crate::row::Row;
use crate::sample::{Measure, measure};

/// The command of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work<'a> {
    /// A program and its arguments, by the same name on both sides.
    Argv(&'a [&'a str]),
    /// A shell line, and the native shell that runs it.
    Shell(&'a str, &'a str),
}

impl Work<'_> {
    async fn ours(self, os: &AgentOs, cwd: &str) -> Result<Vec<u8>> {
        let done = match self {
            Work::Argv(argv) => exec_argv_in(os, argv, Some(cwd)).await?,
            Work::Shell(line, _) => exec_in(os, line, Some(cwd)).await?,
        };
        Ok(done.stdout_raw.unwrap_or(done.stdout.into_bytes()))
    }

    fn native(self, cwd: &Path) -> Result<native::Ran> {
        match self {
            Work::Argv(argv) => native::run(argv, cwd),
            Work::Shell(line, shell) => native::run(&[shell, "-c", line], cwd),
        }
    }
}

/// Measures a command in the directories `guest` and `host`.
pub(crate) async fn compare(
    os: &AgentOs,
    m: Measure,
    work: Work<'_>,
    guest: &str,
    host: &Path,
) -> Result<Row> {
    let mut written = [0; 2];
    let [ours_wrote, native_wrote] = &mut written;
    let ours = async || {
        let begin = std::time::Instant::now();
        let stdout = work.ours(os, guest).await?;
        let took = begin.elapsed();
        *ours_wrote = stdout.len();
        Ok(took)
    };
    let mut native = || {
        let ran = work.native(host)?;
        *native_wrote = ran.stdout.len();
        Ok(ran.took)
    };
    let row = measure(m, ours, Some(&mut native)).await?;
    let [ours, native] = written;
    Ok(match row.native_p50 {
        Some(_) if ours != native => row.note(format!("output differs: {ours} bytes, native {native}")),
        _ => row,
    })
}
