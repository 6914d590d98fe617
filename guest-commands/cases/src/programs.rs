//! Which programs the guest workspace builds, and the names under which each is a command. Programs of agents are none.

use std::fs;
use std::path::{Path, PathBuf};

/// A program and its commands.
#[derive(Clone, Debug)]
pub struct Program {
    /// The native build.
    pub path: PathBuf,
    /// The names of the commands.
    pub names: Vec<String>,
}

/// The programs of the crates in `guests`, as they are built in `target` (`…/debug`). A crate with a `commands.txt` makes the
/// commands that it lists, another one that of its own name; `sh` is `bash`, too.
///
/// # Errors
/// The name of a program that is not built.
pub fn programs(guests: &Path, target: &Path) -> Result<Vec<Program>, String> {
    let mut crates: Vec<PathBuf> = fs::read_dir(guests)
        .map_err(|e| format!("{}: {e}", guests.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("src/main.rs").exists())
        .collect();
    crates.sort();
    let mut found = Vec::new();
    for room in crates {
        let name = room.file_name().unwrap_or_default().display().to_string();
        let names = match fs::read_to_string(room.join("commands.txt")) {
            Ok(list) => list.split_whitespace().map(str::to_owned).collect(),
            Err(_) if name == "sh" => vec!["sh".to_owned(), "bash".to_owned()],
            Err(_) => vec![name.clone()],
        };
        let candidates = [target.join(format!("agentos-{name}")), target.join(&name)];
        let Some(path) = candidates.into_iter().find(|path| path.is_file()) else {
            return Err(format!(
                "the program of guest-commands/{name} is not in {}; build or test the whole workspace of guests",
                target.display()
            ));
        };
        found.push(Program { path, names });
    }
    Ok(found)
}
