//! Bytes through pipes: a hundred stages, and two as fast as they go.

use std::path::Path;

use super::{Rows, put};
use crate::commands::{Work, compare};
use crate::failure::{Failure, Result};
use crate::rig::{Rig, exec};
use crate::sample::{MS, Measure, S};

const GIB: u64 = 1 << 30;

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let os = rig.vm().await?;
    let root = Path::new("/");
    let line = format!("head -c {} /dev/zero | {}wc -c", 64 << 20, "cat | ".repeat(100));
    let m = Measure::new("pipeline_100", MS).heavy();
    put(rows, "pipeline_100", compare(&os, m, Work::Shell(&line, "dash"), "/", root).await);
    // What is measured shows no count; it counts only if all bytes arrive.
    let came = exec(&os, &format!("head -c {GIB} /dev/zero | cat | wc -c")).await?.stdout;
    if came.trim() != GIB.to_string() {
        return Err(Failure::wrong(format!("{} bytes arrive, not {GIB}", came.trim())));
    }
    let line = format!("head -c {GIB} /dev/zero | cat > /dev/null");
    let m = Measure::new("pipe_throughput", S).heavy();
    put(rows, "pipe_throughput", compare(&os, m, Work::Shell(&line, "dash"), "/", root).await);
    Ok(())
}
