//! Runs the recorded cases: scripts with the output and status that bash 5.2 gave. It needs no bash.
//! `cargo xtask record` writes the results; `agentos-cases` says how the files look.

use std::path::{Path, PathBuf};
use std::process::Command;

use agentos_cases::{Cases, Shells};

/// A directory in which `sh` and `bash` are the shell under test.
fn shells() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bin");
    std::fs::create_dir_all(&dir).unwrap();
    for name in ["sh", "bash"] {
        // Another test of this binary may be making the same link.
        let _ = std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_sh"), dir.join(name));
    }
    dir
}

/// Runs every case of a file in an empty directory of its own.
fn check(file: &str) {
    let shells = shells();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(file);
    let all = Cases::parse(&std::fs::read_to_string(&path).unwrap());
    assert!(!all.cases.is_empty(), "{file} holds cases");
    // One after the other: some wait for times, and files run beside each other already.
    let wrong = agentos_cases::check(&path, &all, Path::new(env!("CARGO_TARGET_TMPDIR")), 1, |case, dir| {
        Shells { folder: &shells }.run(case, dir)
    });
    assert!(wrong.is_empty(), "{wrong}");
}

/// What `shopt`, `set` and levels of compatibility change.
#[test]
fn options() {
    check("options.cases");
}

/// What counts in characters, and in bytes in the `C` locale.
#[test]
fn locales() {
    check("locale.cases");
}

#[test]
fn basics() {
    check("basics.cases");
}

#[test]
fn expansions() {
    check("expand.cases");
}

#[test]
fn scripts() {
    check("more.cases");
}

#[test]
fn syntax() {
    check("syntax.cases");
}

#[test]
fn language() {
    check("language.cases");
}

#[test]
fn builtins() {
    check("builtins.cases");
}

/// Redirections at low limits, files shared with programs, constants, and what ends `sh` but not `bash`.
#[test]
fn descriptors_and_errors() {
    check("descriptors.cases");
}

#[test]
fn corners() {
    check("corners.cases");
}

/// The history, completion, keys, and what POSIX mode changes.
#[test]
fn history() {
    check("history.cases");
}

#[test]
fn running() {
    check("running.cases");
}

#[test]
fn idioms() {
    check("idioms.cases");
}

/// Jobs, traps, the call stack, coprocesses, the trace.
#[test]
fn processes() {
    check("processes.cases");
}

/// Quotes, here-documents, line numbers, the last argument, printed functions.
#[test]
fn words() {
    check("words.cases");
}

/// Times in the zones of `TZ`.
#[test]
fn zones() {
    check("zones.cases");
}

/// Where the shell differs from bash, and why. A case that does not differ any more is to be moved.
#[test]
fn known_differences() {
    check("differences.cases");
}

/// The script that the shell has to get right in a VM, too.
#[test]
fn acceptance() {
    let script = r#"yes | head -3; timeout 1 sleep 5; echo $?; (exit 3) | cat; echo ${PIPESTATUS[0]}; sleep 0.2 & wait
        exec 3>o; cat /etc/passwd >&3; trap "exit 9" TERM; (sleep 0.2; kill -TERM $$) & while :; do :; done"#;
    let output = Command::new(shells().join("sh"))
        .args(["-c", script])
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(9));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "y\ny\ny\n124\n3\n");
    let copied = std::fs::read(Path::new(env!("CARGO_TARGET_TMPDIR")).join("o")).unwrap();
    assert_eq!(copied, std::fs::read("/etc/passwd").unwrap());
}

/// Text that no command is: each has to end with an error, soon, and without a panic.
#[test]
fn wrong_text_is_an_error() {
    let many = |text: &str| text.repeat(3000);
    let texts = [
        "echo $(cat <<E\nin doc\n)".to_owned(),
        "if true; then".to_owned(),
        "case x in".to_owned(),
        "echo \"abc".to_owned(),
        "a=(1 2".to_owned(),
        "[[ a == ".to_owned(),
        "echo ${x".to_owned(),
        "echo $((1+".to_owned(),
        ")".to_owned(),
        "f() {".to_owned(),
        many("("),
        many("$("),
        many("{ "),
        many("if true; then "),
        many("${x:-"),
        format!("echo $(({} 1 {}))", many("("), many(")")),
    ];
    for text in texts {
        let output = Command::new(shells().join("sh")).args(["-c", &text]).output().unwrap();
        let status = output.status.code();
        assert!(matches!(status, Some(1 | 2 | 127)), "{:?}: {status:?}", text.get(..40).unwrap_or(&text));
        assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
    }
}

#[test]
fn usage() {
    check("usage.cases");
}
