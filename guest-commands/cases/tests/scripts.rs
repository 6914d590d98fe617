//! Replays whole scripts, as agents write them, with shell and commands of ours and nothing else. The end-to-end tests run
//! the same scripts in a machine. The programs are those that the tests of the workspace build; it builds none itself.

use std::path::Path;

use agentos_cases::{Others, programs, replay};

fn check(file: &str) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Cargo puts the programs of the workspace beside the folder of this test.
    let test = std::env::current_exe().unwrap();
    let target = test.parent().and_then(Path::parent).unwrap();
    let programs = programs(here.parent().unwrap(), target).unwrap();
    let names: Vec<Vec<&str>> =
        programs.iter().map(|p| p.names.iter().map(String::as_str).collect()).collect();
    let links: Vec<_> =
        programs.iter().zip(&names).map(|(p, names)| (p.path.to_str().unwrap(), &names[..])).collect();
    replay(&format!("{}/tests/scripts/{file}.cases", here.display()), &links, Others::None);
}

#[test]
fn files() {
    check("files");
}

#[test]
fn texts() {
    check("text");
}

#[test]
fn shell() {
    check("shell");
}

#[test]
fn data() {
    check("data");
}

#[test]
fn archives() {
    check("archive");
}

#[test]
fn idioms() {
    check("idioms");
}

#[test]
fn git() {
    check("git");
}
