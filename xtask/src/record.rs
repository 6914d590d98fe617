//! Re-records the cases of the shell with the bash of this host, and shows what has drifted. The tests need no bash.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

#[path = "../../guest-commands/sh/tests/format/mod.rs"]
mod format;

use format::{Case, Cases, Outcome};

/// The bash that results are recorded from.
const VERSION: &str = "5.2";

/// Records every file of cases, or only those whose names are given; `--check` writes nothing.
pub(crate) fn record(root: &Path, arguments: &[&str]) -> ExitCode {
    let check = arguments.contains(&"--check");
    let names: Vec<_> = arguments.iter().filter(|a| !a.starts_with("--")).collect();
    match all(root, &names, check) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(drifted) => {
            println!(
                "{drifted} cases drifted{}",
                if check { "" } else { "; the files hold the new results" }
            );
            if check { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(message) => {
            eprintln!("record: {message}");
            ExitCode::FAILURE
        }
    }
}

fn all(root: &Path, names: &[&&str], check: bool) -> Result<usize, String> {
    let version = bash_version()?;
    let shells = scratch("shells")?;
    for name in ["bash", "sh"] {
        std::os::unix::fs::symlink("/bin/bash", shells.join(name)).map_err(|e| e.to_string())?;
    }
    let folder = root.join("guest-commands/sh/tests/cases");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .map_err(|e| format!("{}: {e}", folder.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "cases"))
        .filter(|path| names.is_empty() || names.iter().any(|n| path.file_stem().is_some_and(|s| s == **n)))
        .collect();
    files.sort();
    if files.is_empty() {
        return Err(format!("no such file of cases in {}", folder.display()));
    }
    let (mut drifted, mut total, mut differing) = (0, 0, 0);
    for path in files {
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut cases = Cases::parse(&text);
        cases.bash = Some(version.clone());
        for case in &mut cases.cases {
            total += 1;
            differing += usize::from(case.differs.is_some());
            let found = outcome(case, &shells)?;
            let stem = path.file_stem().unwrap_or_default().display();
            if !case.recorded.holds(&found) {
                drifted += 1;
                println!("{stem}: {}\n  was {:?}\n  is  {found:?}", case.name, case.recorded);
            }
            case.recorded = found;
        }
        let now = cases.print();
        if !check && now != text {
            fs::write(&path, now).map_err(|e| format!("{}: {e}", path.display()))?;
        }
    }
    let _ = fs::remove_dir_all(&shells);
    println!("{total} cases by bash {version}, {differing} of them with a known difference");
    Ok(drifted)
}

/// Runs it twice: what differs then cannot be recorded, but the standard error, which may show process ids.
fn outcome(case: &Case, shells: &Path) -> Result<Outcome, String> {
    let once = || {
        let dir = scratch("case")?;
        let outcome = format::run(case, shells, &dir).map_err(|e| format!("{}: {e}", case.name));
        let _ = fs::remove_dir_all(&dir);
        outcome
    };
    let (first, second) = (once()?, once()?);
    if (first.status, &first.stdout) != (second.status, &second.stdout) {
        return Err(format!("{}: is not the same twice: {first:?}, {second:?}", case.name));
    }
    let stderr = if first.stderr == second.stderr { first.stderr } else { None };
    Ok(Outcome { stderr, ..first })
}

fn scratch(what: &str) -> Result<std::path::PathBuf, String> {
    let dir = std::env::temp_dir().join(format!("agentos-record-{}-{what}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    Ok(dir)
}

fn bash_version() -> Result<String, String> {
    let output = Command::new("/bin/bash")
        .args(["-c", "echo ${BASH_VERSINFO[0]}.${BASH_VERSINFO[1]}.${BASH_VERSINFO[2]}"])
        .output()
        .map_err(|e| format!("/bin/bash: {e}; install bash {VERSION}"))?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if version.starts_with(&format!("{VERSION}.")) {
        Ok(version)
    } else {
        Err(format!("/bin/bash is version {version}; cases are recorded from {VERSION}"))
    }
}
