//! Replaying whole files in tests, with programs of ours. It never records.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::format::{Case, Cases, Outcome};
use crate::run::Commands;

/// Where the scripts of a replay find commands that are not under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// Nowhere.
    None,
    /// On the host.
    Host,
}

/// Replays all files `*.cases` of a folder of the calling crate, or one file. `programs` are paths of programs, each with
/// the names that it has in scripts.
///
/// # Panics
/// With all cases that fail.
pub fn replay(cases: &str, programs: &[(&str, &[&str])], others: Others) {
    let root = scratch("replay");
    let bin = root.join("bin");
    fs::create_dir(&bin).expect("the folder of commands");
    for (program, names) in programs {
        for name in *names {
            symlink(program, bin.join(name)).expect("the link of a command");
        }
    }
    // If the shell is under test, it also runs the scripts.
    let shells = if bin.join("bash").exists() { bin.clone() } else { PathBuf::from("/bin") };
    let others = if others == Others::Host { ":/usr/local/bin:/usr/bin:/bin" } else { "" };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut wrong = String::new();
    for file in files(Path::new(cases)) {
        let all = read(&file);
        let commands = Commands { folder: &bin, others, shells: &shells, setup: &all.setup };
        wrong += &check(&file, &all, &root, threads, |case, dir| commands.run(case, dir));
    }
    let _ = fs::remove_dir_all(&root);
    assert!(wrong.is_empty(), "{wrong}");
}

fn read(file: &Path) -> Cases {
    let all = Cases::parse(&fs::read_to_string(file).expect("a file of cases"));
    assert!(!all.cases.is_empty(), "{} holds cases", file.display());
    all
}

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry of the folder").path())
        .filter(|path| path.extension().is_some_and(|e| e == "cases"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} holds files of cases", path.display());
    files
}

/// A new directory.
fn scratch(what: &str) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("agentos-{what}-{}-{number}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a directory for the cases");
    dir
}

/// Runs the cases of `file`, each in an empty directory below `root`, and says what is not as it was recorded. A known
/// difference that is none any more is wrong, too.
pub fn check(
    file: &Path,
    all: &Cases,
    root: &Path,
    threads: usize,
    run: impl Fn(&Case, &Path) -> std::io::Result<Outcome> + Sync,
) -> String {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let stem = file.file_stem().unwrap_or_default().display().to_string();
    let one = |number: usize, case: &Case| {
        let dir = root.join(format!("{stem}-{number}"));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("the directory of a case");
        let found = run(case, &dir);
        let _ = fs::remove_dir_all(&dir);
        match found {
            Ok(found) => case.wrong(&found),
            Err(error) => Some(format!("### {}\n{}{error}\n", case.name, case.script)),
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((number, case)) = {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    all.cases.get(number).map(|case| (number, case))
                } {
                    if let Some(text) = one(number, case) {
                        wrong.lock().expect("no thread panics with it").push((number, text));
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().expect("no thread panics with it");
    wrong.sort();
    if wrong.is_empty() {
        return String::new();
    }
    let texts: Vec<_> = wrong.into_iter().map(|(_, text)| text).collect();
    format!("{} of {} cases of {stem}:\n\n{}\n", texts.len(), all.cases.len(), texts.join("\n"))
}

impl Case {
    /// What is wrong with what came out of it; nothing if it is as recorded, or differs as the case says.
    #[must_use]
    pub fn wrong(&self, found: &Outcome) -> Option<String> {
        let expected = self.differs.as_ref().map_or(&self.recorded, |(_, outcome)| outcome);
        if !expected.holds(found) {
            Some(format!("### {}\n{}{}", self.name, self.script, difference(expected, found)))
        } else if self.differs.is_some() && self.recorded.holds(found) {
            Some(format!("### {}\ndoes not differ any more\n", self.name))
        } else {
            None
        }
    }
}

fn difference(expected: &Outcome, found: &Outcome) -> String {
    let mut text = String::new();
    if expected.stdout != found.stdout {
        text += &format!("--- stdout: want\n{}--- got\n{}", expected.stdout, found.stdout);
    }
    if let (Some(want), Some(got)) = (&expected.stderr, &found.stderr)
        && want != got
    {
        text += &format!("--- stderr: want\n{want}--- got\n{got}");
    }
    if expected.status != found.status {
        text += &format!("--- status: want {}, got {}\n", expected.status, found.status);
        if expected.stderr.is_none() || expected.stderr == found.stderr {
            text += found.stderr.as_deref().unwrap_or_default();
        }
    }
    text
}
