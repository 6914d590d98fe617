//! find over ten thousand files in a hundred directories.

use agentos::BatchWriteEntry;

use super::{Rows, put};
use crate::commands::{Work, compare};
use crate::failure::{Result, within};
use crate::rig::{Rig, STEP};
use crate::sample::{MS, Measure};

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let os = rig.vm().await?;
    let names: Vec<String> = (0..10_000).map(|i| format!("d{:02}/f{:02}.txt", i / 100, i % 100)).collect();
    let host = rig.scratch().join("tree");
    for name in &names {
        let path = host.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, "x")?;
    }
    let entry = |name: &String| BatchWriteEntry { path: format!("/tmp/tree/{name}"), content: b"x".to_vec() };
    let written = within("write 10,000 files", STEP, async {
        Result::Ok(os.write_files(names.iter().map(entry)).await)
    });
    for one in written.await? {
        one.result?;
    }
    let work = Work::Argv(&["find", ".", "-name", "*.txt"]);
    let row = compare(&os, Measure::new("find_10000", MS), work, "/tmp/tree", &host).await;
    put(rows, "find_10000", row);
    Ok(())
}
