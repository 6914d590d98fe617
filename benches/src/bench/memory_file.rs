//! Sequential bytes of a file in the VM's memory, by guest commands.

use super::{Rows, put};
use crate::commands::{Work, compare};
use crate::failure::{Failure, Result};
use crate::rig::{Rig, exec};
use crate::sample::{Measure, S};

const SIZE: u32 = 200 << 20;

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let os = rig.vm().await?;
    let host = rig.scratch();
    let make = format!("yes 0123456789abcdef | head -c {SIZE} > big");
    exec(&os, &format!("cd /tmp; {make}")).await?;
    crate::native::run(&["dash", "-c", &make], host)?;
    for (name, line, gigabytes) in [
        ("memory_file_read", "cat big big > /dev/null", f64::from(SIZE) * 2e-9),
        // It reads as much as it writes.
        ("memory_file_write", "cp big written", f64::from(SIZE) * 1e-9),
    ] {
        let m = Measure { unit: crate::sample::Unit("s/GB", S.1), ..Measure::new(name, S) };
        let row = compare(&os, m.per(gigabytes).heavy(), Work::Shell(line, "dash"), "/tmp", host).await;
        put(rows, name, row);
    }
    let sums = exec(&os, "cd /tmp; sha256sum < big; sha256sum < written").await?.stdout;
    if sums.lines().next() != sums.lines().nth(1) {
        rows.retain(|row| row.name != "memory_file_write");
        return Err(Failure::wrong("the copy differs"));
    }
    Ok(())
}
