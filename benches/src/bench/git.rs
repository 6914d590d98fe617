//! git status in a repository of five thousand files, each made by the git of its side.

use agentos::BatchWriteEntry;

use super::{Rows, put};
use crate::commands::{Work, compare};
use crate::failure::{Result, within};
use crate::native;
use crate::rig::{Rig, STEP, exec_in};
use crate::sample::{MS, Measure};

/// Makes a repository of what is in the directory.
const COMMIT: &str = "git init -q . && git config user.name a && git config user.email a@b && git add . && git commit -q -m all";

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let os = rig.vm().await?;
    let names: Vec<String> = (0..5_000).map(|i| format!("d{:02}/f{:02}.txt", i / 100, i % 100)).collect();
    let host = rig.scratch().join("repository");
    for name in &names {
        let path = host.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, name)?;
    }
    let entry = |name: &String| BatchWriteEntry {
        path: format!("/tmp/repository/{name}"),
        content: name.as_bytes().to_vec(),
    };
    let written = within("write 5,000 files", STEP, async {
        Result::Ok(os.write_files(names.iter().map(entry)).await)
    });
    for one in written.await? {
        one.result?;
    }
    native::run(&["dash", "-c", COMMIT], &host)?;
    exec_in(&os, COMMIT, Some("/tmp/repository")).await?;
    let work = Work::Argv(&["git", "status", "--porcelain"]);
    let row = compare(&os, Measure::new("git_status", MS), work, "/tmp/repository", &host).await;
    put(rows, "git_status", row);
    Ok(())
}
