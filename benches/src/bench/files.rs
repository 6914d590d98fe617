//! Whole files through the API, against the same on a directory of the host.

use super::{Rows, put};
use crate::failure::{Failure, Result};
use crate::native;
use crate::rig::{Rig, timed};
use crate::sample::{MS, Measure, measure};

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let os = rig.vm().await?;
    for (read, write, size) in [("read_1k", "write_1k", 1 << 10), ("read_10m", "write_10m", 10 << 20)] {
        let content: Vec<u8> = (0..size).map(|i: u32| (i % 251) as u8).collect();
        let host = rig.scratch().join(write);
        let guest = format!("/tmp/{write}");
        let ours = async || timed(os.write_file(&guest, &content)).await;
        let mut native = || native::timed(|| std::fs::write(&host, &content));
        put(rows, write, measure(Measure::new(write, MS), ours, Some(&mut native)).await);
        let ours = async || {
            let mut len = 0;
            let took = timed(async {
                len = os.read_file(&guest).await?.len();
                Result::Ok(())
            })
            .await?;
            if len == content.len() {
                Ok(took)
            } else {
                Err(Failure::wrong(format!("{len} bytes came back")))
            }
        };
        let mut native = || native::timed(|| std::fs::read(&host));
        put(rows, read, measure(Measure::new(read, MS), ours, Some(&mut native)).await);
    }
    Ok(())
}
