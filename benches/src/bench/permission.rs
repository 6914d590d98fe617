//! What a permission tree of 1,000 rules adds to an open of a file: the same program in a machine with the tree and in one
//! without, in turn.

use agentos::{
    AgentOsConfig, BatchWriteEntry, PermissionMode, PermissionRule, PermissionRules, PermissionScope,
    Permissions,
};

use super::Rows;
use crate::failure::{Result, within};
use crate::guest::{self, Operation};
use crate::rig::{Rig, STEP, exec_argv, install, timed};
use crate::row::Row;

/// Rounds of both machines.
const ROUNDS: usize = 15;
/// Opens of a round.
const TIMES: u32 = 50_000;
const FILES: usize = 1_000;

/// Rules as people write them: files, directories and suffixes, some of them where the files are that are opened.
fn tree() -> Permissions {
    let rule = |n: usize| {
        let path = match n % 4 {
            0 => format!("/home/agentos/project{n}/**"),
            1 => format!("/srv/bench/files/secret{n}"),
            2 => format!("/srv/data{n}/*.key"),
            _ => format!("/etc/service{n}/conf.d/*"),
        };
        let operations = Some(vec!["read".to_owned(), "write".to_owned()]);
        PermissionRule { mode: PermissionMode::Deny, operations, paths: Some(vec![path]), patterns: None }
    };
    let fs = PermissionRules { default: Some(PermissionMode::Allow), rules: (0..1_000).map(rule).collect() };
    Permissions { fs: Some(PermissionScope::Rules(fs)), ..Permissions::default() }
}

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let free = rig.vm().await?;
    let guarded = rig.vm_with(AgentOsConfig::builder().permissions(tree()).build()).await?;
    for os in [&free, &guarded] {
        let entry = |i| BatchWriteEntry { path: format!("/srv/bench/files/f{i:03}"), content: b"x".to_vec() };
        let written =
            within("write files", STEP, async { Result::Ok(os.write_files((0..FILES).map(entry)).await) });
        for one in written.await? {
            one.result?;
        }
        install(os, "/tmp/open", &guest::looper(Operation::Open, "/srv/bench/files", TIMES)?).await?;
    }
    let mut added = Vec::with_capacity(ROUNDS);
    // The first round is a warm-up.
    for round in 0..=ROUNDS {
        let without = timed(exec_argv(&free, &["/tmp/open"])).await?;
        let with = timed(exec_argv(&guarded, &["/tmp/open"])).await?;
        if round > 0 {
            added.push((with.as_secs_f64() - without.as_secs_f64()) * 1e9 / f64::from(TIMES));
        }
    }
    rows.push(Row::measured("permission_check", "ns", &added, &[]));
    Ok(())
}
