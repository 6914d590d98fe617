//! `tput`: sequences and sizes of a terminal, out of the table of terminals. The way to say what is wrong, and the statuses, are those of ncurses.

use crate::clear::{self, Begin};
use crate::terminfo::{self, Terminal, Value};
use agentos_guest::{fd, tty};
use std::ffi::OsString;

const USAGE: &str = "\
Usage: tput [options] [command]

Options:
  -S <<       read commands from standard input
  -T TERM     use this instead of $TERM
  -V          print curses-version
  -x          do not try to clear scrollback

Commands:
  clear       clear the screen
  init        initialize the terminal
  reset       reinitialize the terminal
  capname     unlike clear/init/reset, print value for capability \"capname\"
";

fn usage() -> i32 {
    eprint!("{USAGE}");
    2
}

/// A word as a parameter.
fn number(word: &str) -> i64 {
    word.parse().unwrap_or(0)
}

/// What the environment or the window says.
fn size(variable: &str, of_window: fn(tty::Winsize) -> u16, usual: Option<Value>) -> i64 {
    let set = std::env::var(variable).ok().and_then(|v| v.parse().ok()).filter(|n| *n > 0);
    let window = || (0..3).rev().find_map(|fd| tty::tcgetwinsize(fd).ok()).map(of_window).filter(|n| *n > 0);
    set.or_else(|| window().map(i64::from)).unwrap_or(match usual {
        Some(Value::Number(n)) if n > 0 => n,
        _ if variable == "LINES" => 24,
        _ => 80,
    })
}

/// Writes what the words ask for; the status, and how many of them were used.
fn one(t: Terminal, words: &[&str], scrollback: bool) -> (i32, usize) {
    let name = words[0];
    let write = |bytes: &[u8]| i32::from(fd::write_all(1, bytes).is_err());
    match name {
        "clear" => return (2 * clear::write(t, scrollback), 1),
        "init" | "reset" => {
            let begin = if name == "init" { Begin::Init } else { Begin::Reset };
            return (clear::begin("tput", t, begin), 1);
        }
        "longname" => return (write(t.long_name().as_bytes()), 1),
        "cols" => {
            let n = size("COLUMNS", |s| s.cols, t.get("cols"));
            return (write(format!("{n}\n").as_bytes()), 1);
        }
        "lines" => {
            let n = size("LINES", |s| s.rows, t.get("lines"));
            return (write(format!("{n}\n").as_bytes()), 1);
        }
        _ => {}
    }
    match t.get(name) {
        None => {
            crate::say("tput", format_args!("unknown terminfo capability '{name}'"));
            (4, 1)
        }
        Some(Value::Flag(has)) => (i32::from(!has), 1),
        Some(Value::Number(n)) => (write(format!("{n}\n").as_bytes()), 1),
        Some(Value::Absent) => (1, 1),
        Some(Value::Text(text)) => {
            let given = terminfo::parameters(&text).min(words.len() - 1);
            let values: Vec<i64> = words[1..=given].iter().map(|w| number(w)).collect();
            let text = if given == 0 { text } else { terminfo::expand(&text, &values) };
            (write(&text), 1 + given)
        }
    }
}

pub(crate) fn main(args: &[OsString]) -> i32 {
    let words: Vec<String> = args.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let mut term = std::env::var("TERM").ok().filter(|t| !t.is_empty());
    let (mut script, mut scrollback) = (false, true);
    let mut at = 0;
    while let Some(word) = words.get(at).filter(|w| w.len() > 1 && w.starts_with('-')) {
        at += 1;
        match word.as_str() {
            "--" => break,
            "--help" => {
                print!("{USAGE}");
                return 0;
            }
            "--version" => {
                println!("tput (agentos-screen) {}", env!("CARGO_PKG_VERSION"));
                return 0;
            }
            _ => {}
        }
        for (i, letter) in word.char_indices().skip(1) {
            match letter {
                'S' => script = true,
                'x' => scrollback = false,
                'V' => {
                    println!("tput (agentos-screen) {}", env!("CARGO_PKG_VERSION"));
                    return 0;
                }
                'T' => {
                    let rest = &word[i + 1..];
                    if rest.is_empty() {
                        let Some(value) = words.get(at) else {
                            crate::say("tput", "option requires an argument -- 'T'");
                            return usage();
                        };
                        term = Some(value.clone());
                        at += 1;
                    } else {
                        term = Some(rest.to_owned());
                    }
                    break;
                }
                other => {
                    crate::say("tput", format_args!("invalid option -- '{other}'"));
                    return usage();
                }
            }
        }
    }
    let rest: Vec<&str> = words[at..].iter().map(String::as_str).collect();
    let Some(term) = term else {
        crate::say("tput", "No value for $TERM and no -T specified");
        return 2;
    };
    if !script && rest.is_empty() {
        return usage();
    }
    if !script && matches!(rest[0], "init" | "reset") && !clear::at_terminal() {
        return clear::no_terminal("tput");
    }
    let Some(t) = Terminal::find(&term) else {
        crate::say("tput", format_args!("unknown terminal \"{term}\""));
        return 3;
    };
    if !script {
        return run(t, &rest, scrollback);
    }
    let text = fd::read_to_end(0).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut wrong = 0;
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match run(t, &words, scrollback) {
            0 => {}
            1 => wrong += 1,
            status => return status,
        }
    }
    if wrong == 0 { 0 } else { (4 + wrong).min(255) }
}

/// Capabilities one after the other, up to the first that fails.
fn run(t: Terminal, words: &[&str], scrollback: bool) -> i32 {
    let mut at = 0;
    while at < words.len() {
        let (status, used) = one(t, &words[at..], scrollback);
        if status != 0 {
            return status;
        }
        at += used;
    }
    0
}
