//! Replays whole scripts, as agents write them, with shell and commands of ours and nothing else. The end-to-end tests run
//! the same scripts in a machine. The programs are those that the tests of the workspace build; it builds none itself.

use std::path::{Path, PathBuf};

use agentos_cases::{Others, replay};

/// Where cargo puts the programs of the workspace: beside the folder of this test.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(path.exists(), "{} is not built: test the whole workspace, or build it", path.display());
    path
}

fn check(file: &str) {
    let list = include_str!("../../tools/commands.txt");
    let tools: Vec<&str> = list.lines().collect();
    let programs = [("sh", vec!["sh", "bash"]), ("agentos-tools", tools)];
    let paths: Vec<_> = programs.iter().map(|(name, _)| program(name).display().to_string()).collect();
    let programs: Vec<_> =
        paths.iter().zip(&programs).map(|(path, (_, names))| (&**path, &**names)).collect();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts/");
    replay(&format!("{folder}{file}.cases"), &programs, Others::None);
}

#[test]
#[ignore = "waits for awk and patch"]
fn files() {
    check("files");
}

#[test]
#[ignore = "waits for awk, bc, column and xxd"]
fn texts() {
    check("text");
}

#[test]
fn shell() {
    check("shell");
}

#[test]
#[ignore = "waits for jq"]
fn data() {
    check("data");
}

#[test]
#[ignore = "waits for tar, gzip, zstd and zip"]
fn archives() {
    check("archive");
}

#[test]
#[ignore = "waits for git"]
fn git() {
    check("git");
}
