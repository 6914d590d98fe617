//! Re-records the cases of shell and commands with the programs of this host, and shows what has drifted. The tests, which
//! replay them with our programs, need none of those.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use agentos_cases::{Case, Cases, Commands, Oracle, Outcome, Shells};

/// The bash that results of the shell are recorded from.
const VERSION: &str = "5.2";

/// What came out of a recording.
#[derive(Default)]
struct Tally {
    cases: usize,
    drifted: usize,
    differing: usize,
    /// What could not be recorded, and why.
    failed: Vec<String>,
}

/// Records every file of cases, or only those whose names are given; `--check` writes nothing.
pub(crate) fn record(root: &Path, arguments: &[&str]) -> ExitCode {
    let check = arguments.contains(&"--check");
    let names: Vec<_> = arguments.iter().filter(|a| !a.starts_with("--")).collect();
    let files = files(root, &names);
    if files.is_empty() {
        eprintln!("record: no such file of cases in guest-commands");
        return ExitCode::FAILURE;
    }
    let mut tally = Tally::default();
    for (name, path) in files {
        if let Err(message) = file(&name, &path, check, &mut tally) {
            tally.failed.push(format!("{name}: {message}"));
        }
    }
    let Tally { cases, drifted, differing, failed } = tally;
    println!("{cases} cases, {differing} of them with a known difference");
    if drifted > 0 {
        println!("{drifted} cases drifted{}", if check { "" } else { "; the files hold the new results" });
    }
    for message in &failed {
        eprintln!("record: {message}");
    }
    if failed.is_empty() && (drifted == 0 || !check) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// All files of cases with their names, such as `tools/grep`; they are in `tests/cases` and `tests/scripts` of the crates.
pub(crate) fn files(root: &Path, names: &[&&str]) -> Vec<(String, PathBuf)> {
    let mut files = Vec::new();
    for room in entries(&root.join("guest-commands")) {
        for folder in ["tests/cases", "tests/scripts"] {
            for path in entries(&room.join(folder)) {
                let stem = |path: &Path| path.file_stem().unwrap_or_default().display().to_string();
                let (short, long) = (stem(&path), format!("{}/{}", stem(&room), stem(&path)));
                if path.extension().is_some_and(|e| e == "cases")
                    && (names.is_empty() || names.iter().any(|n| **n == short || **n == long))
                {
                    files.push((long, path));
                }
            }
        }
    }
    files
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.sort();
    found
}

fn file(name: &str, path: &Path, check: bool, tally: &mut Tally) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut all = Cases::parse(&text);
    let programs = scratch("programs")?;
    if all.bash.is_some() {
        all.bash = Some(bash_version()?);
        for shell in ["bash", "sh"] {
            link(Path::new("/bin/bash"), &programs.join(shell))?;
        }
        let shells = Shells { folder: &programs };
        cases(name, &mut all.cases, tally, |case, dir| shells.run(case, dir));
    } else {
        host_commands(&programs, &mut all.oracles)?;
        let setup = all.setup.clone();
        let commands = Commands { folder: &programs, others: "", shells: Path::new("/bin"), setup: &setup };
        cases(name, &mut all.cases, tally, |case, dir| commands.run(case, dir));
    }
    let _ = fs::remove_dir_all(&programs);
    let now = all.print();
    if Cases::parse(&now) != all {
        return Err("an output has a line that looks like a part of the file".to_owned());
    }
    if !check && now != text {
        fs::write(path, now).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

fn cases(
    file: &str,
    cases: &mut [Case],
    tally: &mut Tally,
    run: impl Fn(&Case, &Path) -> std::io::Result<Outcome>,
) {
    let mut names = BTreeSet::new();
    for case in cases {
        tally.cases += 1;
        tally.differing += usize::from(case.differs.is_some());
        if !names.insert(case.name.clone()) {
            tally.failed.push(format!("{file}: {}: there are two of that name", case.name));
        }
        match outcome(case, &run) {
            Ok(found) => {
                if !case.recorded.holds(&found) {
                    tally.drifted += 1;
                    println!("{file}: {}\n  was {:?}\n  is  {found:?}", case.name, case.recorded);
                }
                case.recorded = found;
            }
            Err(message) => tally.failed.push(format!("{file}: {}: {message}", case.name)),
        }
    }
}

/// Runs it twice: what differs then cannot be recorded, but the standard error, which may show process ids.
fn outcome(case: &Case, run: impl Fn(&Case, &Path) -> std::io::Result<Outcome>) -> Result<Outcome, String> {
    let once = || {
        let dir = scratch("case")?;
        let outcome = run(case, &dir).map_err(|e| e.to_string());
        let _ = fs::remove_dir_all(&dir);
        outcome
    };
    let (first, second) = (once()?, once()?);
    if (first.status, &first.stdout) != (second.status, &second.stdout) {
        return Err(format!("is not the same twice: {first:?}, {second:?}"));
    }
    let stderr = if first.stderr == second.stderr { first.stderr } else { None };
    Ok(Outcome { stderr, ..first })
}

/// Links all programs in `PATH` into a folder, the oracles by the names that scripts use, and asks those for their version.
fn host_commands(folder: &Path, oracles: &mut [Oracle]) -> Result<(), String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    for program in std::env::split_paths(&path).flat_map(|dir| entries(&dir)) {
        let executable =
            fs::metadata(&program).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
        let name = folder.join(program.file_name().unwrap_or_default());
        if executable && name.symlink_metadata().is_err() {
            link(&program, &name)?;
        }
    }
    for Oracle { name, program, version } in oracles {
        let here = folder.join(&program);
        let Ok(target) = fs::read_link(&here) else {
            return Err(format!("its oracle {program} is not on this host; nothing is recorded"));
        };
        if name != program {
            let _ = fs::remove_file(folder.join(&name));
            link(&target, &folder.join(&name))?;
        }
        let output = Command::new(&here).arg("--version").output().map_err(|e| format!("{program}: {e}"))?;
        let text = [output.stdout, output.stderr].concat();
        *version = String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned();
    }
    Ok(())
}

fn link(to: &Path, from: &Path) -> Result<(), String> {
    symlink(to, from).map_err(|e| format!("{}: {e}", from.display()))
}

fn scratch(what: &str) -> Result<PathBuf, String> {
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
