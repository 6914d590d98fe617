//! Runs the recorded sessions: keys that a person types in a pager, and the screen that results. The terminal is real,
//! its screen a model.
//!
//! A case is `### name`, `--- arguments` (the program first), `--- file` and its lines, `--- keys` and a line of keys per step
//! (`\r`, `\e`, `\xNN` and `\\` stand for what they do in C; `{size ROWS COLUMNS}` is a step, too), `--- screen`
//! and its lines, `--- cursor row column`.

mod model;

use agentos_guest::process::{self, WaitFor};
use agentos_guest::tty::{self, Winsize};
use agentos_guest::{Signal, fd, signal};
use model::Model;
use std::path::Path;
use std::time::{Duration, Instant};

const COLUMNS: u16 = 40;
const ROWS: u16 = 8;
/// How long the program is silent before it has answered, milliseconds.
const SILENCE_MS: i32 = 120;
/// How long it may take to begin.
const BEGIN_MS: i32 = 5000;
const LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug, Default)]
struct Case {
    name: String,
    arguments: Vec<String>,
    file: Vec<String>,
    keys: Vec<String>,
    screen: Vec<String>,
    cursor: Option<(usize, usize)>,
}

fn parse(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut part = "";
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("### ") {
            cases.push(Case { name: name.into(), ..Case::default() });
            continue;
        }
        let case = cases.last_mut().expect("a file begins with ###");
        if let Some(what) = line.strip_prefix("--- ") {
            let (name, rest) = what.split_once(' ').unwrap_or((what, ""));
            part = name;
            match name {
                "cursor" => {
                    let (row, column) = rest.split_once(' ').expect("row and column");
                    case.cursor = Some((row.parse().expect("a row"), column.parse().expect("a column")));
                }
                "arguments" => case.arguments = rest.split(' ').map(str::to_owned).collect(),
                _ => {}
            }
            continue;
        }
        match part {
            "file" => case.file.push(line.into()),
            "keys" => case.keys.push(line.into()),
            "screen" => case.screen.push(line.into()),
            other => panic!("a line in {other:?}: {line}"),
        }
    }
    cases
}

fn unescape(line: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let (byte, used) = match rest.as_bytes()[at + 1] {
            b'r' => (b'\r', 2),
            b'e' => (0x1b, 2),
            b'\\' => (b'\\', 2),
            b'x' => (u8::from_str_radix(&rest[at + 2..at + 4], 16).expect("two digits"), 4),
            other => panic!("an unknown escape: {}", char::from(other)),
        };
        out.push(byte);
        rest = &rest[at + used..];
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

/// Shows what the program writes: once it has begun, until it is silent.
fn read(master: u32, model: &mut Model, patience: i32) {
    let begin = Instant::now();
    let mut patience = patience;
    let mut rest = Vec::new();
    let mut buffer = [0; 4096];
    while begin.elapsed() < LIMIT && fd::wait_readable(master, patience).unwrap_or(false) {
        match fd::read(master, &mut buffer) {
            Ok(n) if n > 0 => rest.extend_from_slice(&buffer[..n]),
            _ => break,
        }
        patience = SILENCE_MS;
    }
    model.feed(&String::from_utf8_lossy(&rest));
}

fn run(case: &Case, home: &Path) -> Result<(), String> {
    std::fs::create_dir_all(home).expect("a directory");
    let file = home.join("f");
    std::fs::write(&file, case.file.iter().map(|l| format!("{l}\n")).collect::<String>()).expect("the file");
    let (master, slave) = tty::openpty().expect("a pair of terminals");
    let size = |rows, cols| Winsize { rows, cols, ..Winsize::default() };
    tty::tcsetwinsize(master.raw(), size(ROWS, COLUMNS)).expect("a size");
    let env: Vec<String> =
        ["PATH=/usr/bin:/bin", "TERM=xterm", "SHELL=/bin/sh", "LC_ALL=C.UTF-8"].map(str::to_owned).into();
    let (input, output) = (slave.raw(), master.raw());
    let pid = process::fork_call(|| {
        let terminal = || -> std::io::Result<()> {
            process::setsid()?;
            for number in 0..3 {
                fd::dup2(input, number, false)?;
            }
            tty::tcsetctty(0)?;
            agentos_guest::env::set_current_dir(home)
        };
        if terminal().is_ok() {
            let mut argv = case.arguments.clone();
            argv.push("f".into());
            let _ = process::exec(env!("CARGO_BIN_EXE_agentos-screen"), &argv, Some(&env), false);
        }
        127
    })
    .expect("a child");
    drop(slave);
    let mut model = Model::new(COLUMNS.into(), ROWS.into());
    read(output, &mut model, BEGIN_MS);
    for keys in &case.keys {
        let words: Vec<&str> = keys.trim_matches(['{', '}']).split(' ').collect();
        match words[..] {
            ["size", rows, columns] => {
                let (rows, columns) = (rows.parse().expect("rows"), columns.parse().expect("columns"));
                model.resize(columns, rows);
                tty::tcsetwinsize(output, size(rows as u16, columns as u16)).expect("a size");
            }
            _ => fd::write_all(output, &unescape(keys)).expect("keys are taken"),
        }
        read(output, &mut model, SILENCE_MS * 4);
    }
    let _ = signal::kill(pid as i32, Some(Signal::SIGKILL));
    let _ = process::wait(WaitFor::Pid(pid));
    let found = (model.text(), (model.row, model.column));
    let wanted = (case.screen.clone(), case.cursor.expect("a cursor"));
    if found == wanted {
        Ok(())
    } else {
        Err(format!("{}:\n  expected {wanted:?}\n  got      {found:?}\n", case.name))
    }
}

#[test]
fn sessions() {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screen-home");
    let cases = parse(include_str!("sessions.keys"));
    assert!(cases.len() > 5);
    let wrong: Vec<String> =
        cases.iter().enumerate().filter_map(|(i, case)| run(case, &home.join(i.to_string())).err()).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
