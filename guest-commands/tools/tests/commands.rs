//! Runs every case of `tests/cases/*.case` against the native build of the multicall program.
//!
//! A case is a POSIX shell script whose PATH holds our commands only; expected output and status were recorded from
//! GNU tools. Format: `### name`, the script, then `--- stdout`, `--- stderr` and `--- status N` sections. A `$B` in a
//! script is the folder of the commands, for names that are shell builtins. Parts of a system that natively cannot be
//! the same everywhere (times, pids, owners) are not asked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(Default)]
struct Case {
    name: String,
    script: String,
    stdout: String,
    stderr: String,
    status: i32,
}

fn read_cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut section = "";
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("### ") {
            cases.push(Case { name: name.to_owned(), ..Case::default() });
            section = "script";
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        // Nothing else that begins like this is a section: diff writes such lines.
        match line.strip_prefix("--- ") {
            Some("stdout") => {
                section = "stdout";
                continue;
            }
            Some("stderr") => {
                section = "stderr";
                continue;
            }
            Some(kind) if kind.starts_with("status ") => {
                section = "end";
                case.status = kind["status ".len()..].parse().expect("a status is a number");
                continue;
            }
            _ => {}
        }
        let text = match section {
            "script" => &mut case.script,
            "stdout" => &mut case.stdout,
            "stderr" => &mut case.stderr,
            _ => continue,
        };
        // `\` at the end of a line of output: the output had no newline there.
        match line.strip_suffix('\\').filter(|_| section != "script") {
            Some(line) => text.push_str(line),
            None => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    cases
}

/// What output looks like in a case file: bytes that are not plain text in hexadecimal.
fn visible(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' | '\t' => out.push(c),
                c if c.is_control() => out.push_str(&format!("<{:02x}>", c as u32)),
                c => out.push(c),
            }
        }
        for b in chunk.invalid() {
            out.push_str(&format!("<{b:02x}>"));
        }
    }
    out
}

fn command_folder(root: &Path) -> PathBuf {
    let bin = root.join("bin");
    fs::create_dir(&bin).unwrap();
    for name in agentos_tools::command_names() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_agentos-tools"), bin.join(name)).unwrap();
    }
    bin
}

fn run(case: &Case, bin: &Path, work: &Path) -> Result<(), String> {
    fs::create_dir(work).unwrap();
    let output = Command::new("/bin/sh")
        .arg("-c")
        .arg(&case.script)
        .current_dir(work)
        .env_clear()
        .env("PATH", bin)
        .env("B", bin)
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let status = output.status.code().unwrap_or(-1);
    let (stdout, stderr) = (visible(&output.stdout), visible(&output.stderr));
    let mut wrong = String::new();
    if stdout != case.stdout {
        wrong += &format!("stdout: want\n{}got\n{stdout}", case.stdout);
    }
    if stderr != case.stderr {
        wrong += &format!("stderr: want\n{}got\n{stderr}", case.stderr);
    }
    if status != case.status {
        wrong += &format!("status: want {} got {status}\nstderr: {stderr}", case.status);
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("### {}\n{}{wrong}", case.name, case.script)) }
}

#[test]
fn commands_do_what_gnu_does() {
    let root = std::env::temp_dir().join(format!("agentos-tools-{}", std::process::id()));
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root).unwrap();
    let bin = command_folder(&root);
    let mut files: Vec<PathBuf> = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut wrong = Vec::new();
    let mut count = 0;
    for file in &files {
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        for case in read_cases(&fs::read_to_string(file).unwrap()) {
            count += 1;
            if let Err(why) = run(&case, &bin, &root.join(format!("w{count}"))) {
                wrong.push(format!("{stem}: {why}"));
            }
        }
    }
    fs::remove_dir_all(&root).unwrap();
    assert!(wrong.is_empty(), "{} of {count} cases fail:\n\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(count >= 120, "only {count} cases were found");
}
