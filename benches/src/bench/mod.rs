//! The benches: one file each, registered in one table. Each has a sidecar of its own and a time to end in.

mod checkpoints;
mod cli;
mod durable;
mod egress;
mod exec;
mod files;
mod find;
mod fork;
mod git;
mod loops;
mod memory_file;
mod metadata;
mod neighbour;
mod permission;
mod pipe;
mod resident;
mod scale;
mod session;
mod session_events;
mod session_memory;
mod text;
mod vm;
mod vm_fork;
mod vm_snapshot;

use std::pin::Pin;
use std::time::Duration;

use crate::failure::{Failure, Result, within};
use crate::rig::Rig;
use crate::row::Row;

/// Rows so far: they stay when the bench fails later.
pub(crate) type Rows = Vec<Row>;
type Run = for<'a> fn(&'a Rig, &'a mut Rows) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// A bench and the rows it makes.
pub(crate) struct Bench {
    pub(crate) name: &'static str,
    pub(crate) rows: &'static [&'static str],
    limit: Duration,
    run: Run,
}

/// `bench!(module, seconds, [rows])`: its `run`, registered under its name.
macro_rules! bench {
    ($module:ident, $seconds:literal, [$($row:literal),* $(,)?]) => {
        Bench {
            name: stringify!($module),
            rows: &[$($row),*],
            limit: Duration::from_secs($seconds),
            run: |rig, rows| Box::pin($module::run(rig, rows)),
        }
    };
}

/// All, in the order of the report.
pub(crate) const BENCHES: &[Bench] = &[
    bench!(exec, 60, ["exec_true", "sh_echo", "sh_ls_wc", "exec_200"]),
    bench!(pipe, 90, ["pipeline_100", "pipe_throughput"]),
    bench!(vm, 30, ["vm_create", "vm_dispose"]),
    bench!(vm_fork, 60, ["vm_fork", "vm_fork_rss"]),
    bench!(checkpoints, 60, ["checkpoint", "stat_after_checkpoints"]),
    bench!(vm_snapshot, 60, ["snapshot_export", "snapshot_import"]),
    bench!(cli, 30, ["cli_exec_true"]),
    bench!(files, 60, ["read_1k", "write_1k", "read_10m", "write_10m"]),
    bench!(durable, 60, ["durable_sync_100", "durable_sync_4k"]),
    bench!(resident, 30, ["read_100m_rss"]),
    bench!(scale, 90, ["vm_idle_rss", "process_rss", "vms_idle_cpu", "rss_after_1000"]),
    bench!(neighbour, 60, ["neighbour_exec", "neighbour_read", "neighbour_kill"]),
    bench!(fork, 60, ["fork_call", "builtin_substitution"]),
    bench!(loops, 90, ["builtin_loop", "true_loop"]),
    bench!(find, 40, ["find_10000"]),
    bench!(git, 60, ["git_status"]),
    bench!(text, 300, ["sha256sum", "grep_r", "wc_l", "sort", "sed_s", "sed_p", "gzip", "awk"]),
    bench!(
        metadata,
        90,
        ["stat_root", "open_root", "readdir_root", "stat_host_dir", "open_host_dir", "readdir_host_dir"]
    ),
    bench!(permission, 60, ["permission_check"]),
    bench!(memory_file, 60, ["memory_file_read", "memory_file_write"]),
    bench!(egress, 60, ["egress_added"]),
    bench!(session, 40, ["session_create", "prompt_round_trip"]),
    bench!(session_memory, 60, ["session_idle_rss"]),
    bench!(session_events, 60, ["session_events", "session_messages"]),
];

/// Whether the bench of this name makes this row.
pub(crate) fn makes(bench: &str, row: &str) -> bool {
    BENCHES.iter().any(|b| b.name == bench && b.rows.contains(&row))
}

/// The benches that are needed for these names; all of them for none.
pub(crate) fn chosen(only: &[String]) -> Result<Vec<&'static Bench>> {
    let has = |bench: &Bench, name: &str| bench.name == name || bench.rows.contains(&name);
    if let Some(unknown) = only.iter().find(|name| !BENCHES.iter().any(|b| has(b, name))) {
        return Err(Failure::wrong(format!("{unknown}: no such bench or row; see --list")));
    }
    Ok(BENCHES.iter().filter(|b| only.is_empty() || only.iter().any(|name| has(b, name))).collect())
}

/// Runs a bench within its own limit and the time that is `left` for all. Every row of it comes back, with a figure or
/// with the error.
pub(crate) async fn run(bench: &Bench, left: Duration) -> Rows {
    let mut rows = Rows::new();
    let limit = bench.limit.min(left);
    let failed = if limit.is_zero() {
        Some(Failure::wrong("no time was left: the benches before it took too long"))
    } else {
        match within(bench.name, limit, Rig::new()).await {
            Err(failure) => Some(failure),
            Ok(rig) => {
                let measured = within(bench.name, limit, (bench.run)(&rig, &mut rows)).await;
                let ended = rig.end().await;
                measured.and(ended).err()
            }
        }
    };
    for name in bench.rows {
        if !rows.iter().any(|row| row.name == *name) {
            let unknown = Failure::wrong("the bench made no such row");
            rows.push(Row::failed(name, "", failed.as_ref().unwrap_or(&unknown)));
        }
    }
    if let Some(failure) = failed {
        eprintln!("{}: {failure}", bench.name);
    }
    rows
}

/// Puts a row down, or the failure that took its place, so that the next row of the bench is still measured.
pub(crate) fn put(rows: &mut Rows, name: &str, measured: Result<Row>) {
    rows.push(measured.unwrap_or_else(|failure| Row::failed(name, "", &failure)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        let mut names: Vec<&str> = BENCHES.iter().flat_map(|b| b.rows.iter().copied()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert_eq!(chosen(&[]).unwrap().len(), BENCHES.len());
        assert_eq!(chosen(&["sort".to_owned()]).unwrap()[0].name, "text");
        assert!(chosen(&["nothing".to_owned()]).is_err());
    }
}
