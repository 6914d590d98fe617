//! Memory of the sidecar while a large file is read from it: it must pass through, not pile up.

use tokio::io::AsyncReadExt;

use super::Rows;
use crate::failure::{Failure, Result, within};
use crate::rig::{Rig, STEP, exec};
use crate::row::Row;

const SIZE: usize = 100 << 20;

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let os = rig.vm().await?;
    exec(&os, &format!("yes 0123456789abcdef | head -c {SIZE} > /tmp/big")).await?;
    let read = async || -> Result<usize> {
        let mut file = os.open_read("/tmp/big", Default::default()).await?;
        let (mut all, mut buffer) = (0, vec![0; 64 << 10]);
        loop {
            match file.read(&mut buffer).await? {
                0 => return Ok(all),
                n => all += n,
            }
        }
    };
    // What reading once leaves behind is there only once.
    within("read", STEP, os.read_file("/etc/passwd")).await?;
    let before = rig.process.settled_rss(STEP).await?;
    rig.process.reset_peak()?;
    let got = within("read 100 MB", STEP, read()).await?;
    if got != SIZE {
        return Err(Failure::wrong(format!("{got} bytes came back")));
    }
    let grown = rig.process.peak()?.saturating_sub(before);
    rows.push(
        Row::value("read_100m_rss", "MB", grown as f64 / f64::from(1 << 20)).note("peak while it is read"),
    );
    Ok(())
}
