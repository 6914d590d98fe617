//! Loops of a shell: of builtins, and of a program each turn.

use std::path::Path;

use super::{Rows, put};
use crate::commands::{Work, compare};
use crate::failure::Result;
use crate::rig::Rig;
use crate::sample::{MS, Measure};

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let os = rig.vm().await?;
    for (name, line) in [
        ("builtin_loop", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo $i"),
        ("true_loop", "i=0; while [ $i -lt 1000 ]; do /bin/true; i=$((i+1)); done; echo $i"),
    ] {
        let m = Measure::new(name, MS).heavy();
        put(rows, name, compare(&os, m, Work::Shell(line, "bash"), "/", Path::new("/")).await);
    }
    Ok(())
}
