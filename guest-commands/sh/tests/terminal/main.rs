//! Runs the recorded sessions: keys that a person types at the shell, and the screen that results. The terminal is real,
//! its screen a model. It needs no bash; the screens are those that bash 5.2 with readline shows.
//!
//! A case is `### name`, a line of keys per step (`\r`, `\e`, `\xNN` and `\\` stand for what they do in C), `--- screen`, the
//! lines of the screen, and `--- cursor row column`.

mod model;

use agentos_guest::process::{self, WaitFor};
use agentos_guest::tty::{self, Winsize};
use agentos_guest::{Signal, fd, signal};
use model::Model;
use std::path::Path;
use std::time::{Duration, Instant};

const COLUMNS: u16 = 40;
const ROWS: u16 = 12;
/// How long the shell is silent before it has answered, milliseconds.
const SILENCE_MS: i32 = 150;
/// How long it may take to begin.
const BEGIN_MS: i32 = 5000;
const LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug, Default)]
struct Case {
    name: String,
    keys: Vec<Vec<u8>>,
    screen: Vec<String>,
    cursor: (usize, usize),
}

fn parse(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut on_screen = false;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("### ") {
            cases.push(Case { name: name.into(), ..Case::default() });
            on_screen = false;
            continue;
        }
        let case = cases.last_mut().expect("a file begins with ###");
        if line == "--- screen" {
            on_screen = true;
        } else if let Some(place) = line.strip_prefix("--- cursor ") {
            let (row, column) = place.split_once(' ').expect("row and column");
            case.cursor = (row.parse().expect("a row"), column.parse().expect("a column"));
        } else if on_screen {
            case.screen.push(line.into());
        } else {
            case.keys.push(unescape(line));
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

/// Shows what the shell writes: once it has begun, until it is silent.
fn read(master: u32, model: &mut Model, rest: &mut Vec<u8>) {
    let begin = Instant::now();
    let mut patience = BEGIN_MS;
    let mut buffer = [0; 4096];
    while begin.elapsed() < LIMIT && fd::wait_readable(master, patience).unwrap_or(false) {
        match fd::read(master, &mut buffer) {
            Ok(n) if n > 0 => rest.extend_from_slice(&buffer[..n]),
            _ => break,
        }
        patience = SILENCE_MS;
    }
    model.feed(&String::from_utf8_lossy(rest));
    rest.clear();
}

fn run(case: &Case, home: &Path) -> (Vec<String>, (usize, usize)) {
    let (master, slave) = tty::openpty().expect("a pair of terminals");
    let size = Winsize { rows: ROWS, cols: COLUMNS, ..Winsize::default() };
    tty::tcsetwinsize(master.raw(), size).expect("a size");
    let env: Vec<String> = [
        "PATH=/usr/bin:/bin",
        "TERM=xterm",
        "PS1=$ ",
        "HISTFILE=",
        "LC_ALL=C.UTF-8",
        &format!("HOME={}", home.display()),
    ]
    .map(str::to_owned)
    .into();
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
            let argv = ["bash", "--norc", "--noprofile"].map(str::to_owned);
            let _ = process::exec(env!("CARGO_BIN_EXE_sh"), &argv, Some(&env), false);
        }
        127
    })
    .expect("a child");
    drop(slave);
    let mut model = Model::new(COLUMNS.into(), ROWS.into());
    let mut rest = Vec::new();
    read(output, &mut model, &mut rest);
    for keys in &case.keys {
        fd::write_all(output, keys).expect("keys are taken");
        read(output, &mut model, &mut rest);
    }
    let _ = signal::kill(pid as i32, Some(Signal::SIGKILL));
    let _ = process::wait(WaitFor::Pid(pid));
    (model.text(), (model.row, model.column))
}

#[test]
fn sessions() {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("home");
    std::fs::create_dir_all(home.join("place")).unwrap();
    std::fs::write(home.join("plan b"), "").unwrap();
    let cases = parse(include_str!("sessions.keys"));
    assert!(cases.len() > 15);
    let mut wrong = Vec::new();
    for case in &cases {
        let found = run(case, &home);
        if found != (case.screen.clone(), case.cursor) {
            let wanted = (&case.screen, case.cursor);
            wrong.push(format!("{}:\n  expected {wanted:?}\n  got      {found:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
