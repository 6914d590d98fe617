//! Making and ending a VM in a running sidecar.

use std::time::{Duration, Instant};

use super::Rows;
use crate::failure::{Result, within};
use crate::rig::{Rig, STEP};
use crate::row::Row;

const BUDGET: Duration = Duration::from_secs(3);
const MOST: usize = 5_000;

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let (mut created, mut disposed) = (Vec::new(), Vec::new());
    let mut begin = Instant::now();
    for n in 0..MOST {
        let started = Instant::now();
        let os = rig.vm().await?;
        let made = started.elapsed();
        let started = Instant::now();
        within("dispose", STEP, os.dispose()).await?;
        if n < 20 {
            // Warm-up.
            begin = Instant::now();
            continue;
        }
        created.push(made.as_secs_f64() * 1e3);
        disposed.push(started.elapsed().as_secs_f64() * 1e3);
        if begin.elapsed() > BUDGET {
            break;
        }
    }
    rows.push(Row::measured("vm_create", "ms", &created, &[]));
    rows.push(Row::measured("vm_dispose", "ms", &disposed, &[]));
    Ok(())
}
