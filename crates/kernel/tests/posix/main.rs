//! What system calls on files answer: a table of cases that holds for every root file system, and for Linux itself, which
//! keeps the table honest. The cases are in `cases/`, their language in `language.rs`. Terminals, pipes and processes are
//! tested elsewhere.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub, reason = "a test program")]

mod backends;
mod language;
mod linux;
mod ours;
mod run;
mod system;

use backends::{BACKENDS, LINUX, Place};
use language::Case;

/// Fewer would mean that a file of cases is not read.
const AT_LEAST: usize = 466;
/// Those that need no owners, devices and mounts: what runs where the host rules, or without the superuser.
const PLAIN: usize = 300;

/// Runs every case against one backend and tells all that failed. Of so many must be run what the table does not leave out.
fn check(name: &str, least: usize, make: &dyn Fn() -> Box<dyn Place>) {
    let cases = language::all();
    assert!(cases.len() >= AT_LEAST, "{} cases", cases.len());
    let (mut failed, mut not_run) = (Vec::new(), 0);
    for case in &cases {
        match run_one(case, name, make) {
            Ok(true) => {}
            Ok(false) => not_run += 1,
            Err(why) => failed.push(format!("{} ({}): {why}", case.title, case.place)),
        }
    }
    assert!(cases.len() - not_run >= least, "{name}: {not_run} of {} cases were not run", cases.len());
    println!("{name}: {} cases, {not_run} of them not run here", cases.len());
    assert!(
        failed.is_empty(),
        "{name}, {} of {} cases failed:\n{}",
        failed.len(),
        cases.len(),
        failed.join("\n")
    );
}

fn run_one(case: &Case, name: &str, make: &dyn Fn() -> Box<dyn Place>) -> Result<bool, String> {
    if case.not_on(name).is_some() {
        return Ok(false);
    }
    run::run(case, name, make().as_mut())
}

fn check_backend(name: &str) {
    let backend = BACKENDS.iter().find(|backend| backend.name == name).unwrap();
    let least = if name.contains("host") { PLAIN } else { AT_LEAST };
    check(name, least, &backend.make);
}

#[test]
fn memory() {
    check_backend("memory");
}

#[test]
fn durable() {
    check_backend("durable");
}

#[test]
fn overlay() {
    check_backend("overlay");
}

#[test]
fn overlay_of_host() {
    check_backend("overlay_of_host");
}

#[test]
fn host_dir() {
    check_backend("host_dir");
}

/// The oracle. Users other than that of the test, absolute paths and mounts need the superuser: without, such cases are
/// counted as not run.
#[test]
fn linux() {
    let all = || {
        let mounts = linux::own_mounts();
        let least = if mounts { AT_LEAST } else { PLAIN };
        check(LINUX, least, &|| Box::new(linux::Linux::new(mounts)));
    };
    // On a thread of its own, whose mounts are gone when it ends.
    if let Err(failed) = std::thread::spawn(all).join() {
        std::panic::resume_unwind(failed);
    }
}

#[test]
fn every_backend_is_tested() {
    let tested = ["memory", "overlay", "overlay_of_host", "host_dir", "durable"];
    assert!(BACKENDS.iter().all(|backend| tested.contains(&backend.name)));
}
