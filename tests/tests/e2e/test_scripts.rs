//! Whole scripts, as agents write them, in a machine: each gives what the host's bash, GNU tools, git and jq gave when it was
//! recorded (`guest-commands/cases/tests/scripts`).

use std::path::Path;

use agentos::{AgentOs, ExecOptions};
use agentos_cases::{Case, Cases, Outcome};
use agentos_tests::Sidecar;

static SIDECAR: Sidecar = Sidecar::new();

async fn run(os: &AgentOs, number: usize, case: &Case, setup: &[String]) -> Outcome {
    let dir = format!("/tmp/case-{number}");
    os.mkdir(&dir, agentos::MkdirOptions::default()).await.unwrap();
    let env = [("HOME", &*dir), ("TMPDIR", &dir), ("TZ", "UTC"), ("LC_ALL", "C.UTF-8")];
    let options = ExecOptions {
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        cwd: Some(dir.clone()),
        ..ExecOptions::default()
    };
    let script = case.with_setup(setup);
    let words = [case.by.name(), "-c", script.trim_end_matches('\n')];
    let result = os.exec_argv(words, options).await.unwrap();
    Outcome::of(result.exit_code, [result.stdout_bytes(), result.stderr_bytes()], &[(&dir, "DIR")])
}

fn check(file: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-commands/cases/tests/scripts");
    let all = Cases::parse(&std::fs::read_to_string(folder.join(file)).unwrap());
    assert!(!all.cases.is_empty(), "{file} holds cases");
    SIDECAR.test(async |os| {
        let mut wrong = Vec::new();
        for (number, case) in all.cases.iter().enumerate() {
            let found = run(os, number, case, &all.setup).await;
            wrong.extend(case.wrong(&found));
        }
        let (few, many) = (wrong.len(), all.cases.len());
        assert!(wrong.is_empty(), "{few} of {many} scripts of {file}:\n\n{}", wrong.join("\n"));
    });
}

#[test]
fn scripts_with_files_and_trees() {
    check("files.cases");
}

#[test]
fn scripts_with_text_and_tables() {
    check("text.cases");
}

#[test]
fn scripts_of_the_shell() {
    check("shell.cases");
}

#[test]
fn lines_as_they_are_typed() {
    check("idioms.cases");
}

#[test]
fn scripts_with_json() {
    check("data.cases");
}

#[test]
fn scripts_with_archives() {
    check("archive.cases");
}

#[test]
fn scripts_with_git() {
    check("git.cases");
}
