//! `top`: the processes that use the machine most, once or again and again. It has no windows, colours or saved settings.

mod options;
mod table;

use crate::terminal::{Event, Key, Terminal};
use crate::text;
use agentos_guest::{Signal, fd, signal, tty};
use options::Options;
use std::ffi::OsString;
use std::io;
use std::time::{Duration, Instant};
use table::Table;

const KEYS: &str = "\
Help for Interactive Commands

  q          leave
  SPACE      look again at once
  P M N T    sort by CPU, memory, pid, time;  R turns the order round
  c          whole command lines
  i          only what is busy
  d s        another delay
  k          send a signal to a process
  u          only the processes of a user
  n          how many processes are shown
  UP DOWN    scroll

Press any key to continue";

pub(crate) fn main(args: &[OsString]) -> i32 {
    let mut o = match Options::parse(args) {
        Ok(Some(o)) => o,
        Ok(None) => return 0,
        Err(message) => {
            crate::say("top", message);
            return 1;
        }
    };
    if o.batch {
        return batch(&o);
    }
    if std::env::var_os("TERM").is_none_or(|t| t.is_empty()) {
        eprintln!("TERM environment variable not set.");
        return 1;
    }
    if !tty::isatty(0) {
        crate::say("top", "failed tty get");
        return 1;
    }
    match Terminal::open(false) {
        Ok(mut t) => {
            let status = watch(&mut o, &mut t);
            t.leave();
            println!();
            status
        }
        Err(_) => {
            crate::say("top", "failed tty get");
            1
        }
    }
}

/// How wide a line is at most.
const WIDEST: usize = 512;

fn batch(o: &Options) -> i32 {
    let width = o.width.unwrap_or_else(|| {
        std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok()).filter(|n| *n > 2).unwrap_or(80)
    });
    let mut table = Table::new();
    let mut round = 0;
    loop {
        table.look(o);
        let mut out = String::new();
        for line in table.lines(o, width, usize::MAX, 0) {
            out.push_str(line.trim_end_matches('\n'));
            out.push('\n');
        }
        round += 1;
        let last = o.rounds.is_some_and(|n| round >= n);
        if !last {
            out.push('\n');
        }
        match fd::write_all(1, out.as_bytes()) {
            Ok(()) => {}
            Err(_) => return 1,
        }
        if last {
            return 0;
        }
        std::thread::sleep(o.delay);
    }
}

/// Shows the processes until it is left.
fn watch(o: &mut Options, t: &mut Terminal) -> i32 {
    let mut table = Table::new();
    let (mut round, mut from) = (0u64, 0usize);
    let mut message = String::new();
    table.look(o);
    loop {
        if show(o, t, &table, &message, from).is_err() {
            return 1;
        }
        message.clear();
        round += 1;
        let end = Instant::now() + o.delay;
        if o.rounds.is_some_and(|n| round >= n) {
            return 0;
        }
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match t.event(i32::try_from(left.as_millis()).unwrap_or(i32::MAX)) {
                Event::Timeout => {
                    table.look(o);
                    break;
                }
                Event::Resize => {}
                Event::Interrupt | Event::Hangup | Event::Key(Key::Char('q')) => return 0,
                Event::Key(Key::Char(' ' | '\r' | '\n')) => {
                    table.look(o);
                    break;
                }
                Event::Key(Key::Down) => from = (from + 1).min(table.count().saturating_sub(1)),
                Event::Key(Key::Up) => from = from.saturating_sub(1),
                Event::Key(Key::PageDown) => from = (from + t.rows / 2).min(table.count().saturating_sub(1)),
                Event::Key(Key::PageUp) => from = from.saturating_sub(t.rows / 2),
                Event::Key(Key::Home) => from = 0,
                Event::Key(Key::Char(c)) => {
                    message = key(c, o, t, &mut table, from);
                    if c == '\x0c' {
                        t.refresh();
                    }
                }
                Event::Key(_) => {}
            }
            if show(o, t, &table, &message, from).is_err() {
                return 1;
            }
            message.clear();
        }
    }
}

/// What a letter does; what is said of it.
fn key(c: char, o: &mut Options, t: &mut Terminal, table: &mut Table, from: usize) -> String {
    match c {
        'P' => o.sort = "%CPU",
        'M' => o.sort = "%MEM",
        'N' => o.sort = "PID",
        'T' => o.sort = "TIME+",
        'R' => o.backward = !o.backward,
        'c' => o.command_line = !o.command_line,
        'i' => o.busy_only = !o.busy_only,
        'h' | '?' => {
            let mut rows: Vec<String> = KEYS.lines().map(|l| text::cut(l, t.cols)).collect();
            rows.resize(t.rows, String::new());
            // A terminal that is gone shows itself at the next key.
            let _ = t.draw(&rows, (t.rows - 1, 0));
            while matches!(t.event(-1), Event::Resize) {}
        }
        'd' | 's' => {
            let question = format!("Change delay from {:.1} to ", o.delay.as_secs_f64());
            if let Some(answer) = ask(o, t, table, from, &question) {
                match options::delay(&answer) {
                    Some(delay) => o.delay = delay.max(Duration::from_millis(100)),
                    None => return "Unacceptable floating point".into(),
                }
            }
        }
        'u' => {
            let Some(answer) = ask(o, t, table, from, "Which user (blank for all) ") else {
                return String::new();
            };
            if answer.is_empty() {
                o.user = None;
            } else {
                match options::user(&answer) {
                    Some(uid) => o.user = Some(uid),
                    None => return "Invalid user".into(),
                }
            }
        }
        'n' | '#' => {
            if let Some(answer) = ask(o, t, table, from, "Maximum tasks = 0 is unlimited. Change to ") {
                match answer.parse() {
                    Ok(0) => o.most = usize::MAX,
                    Ok(n) => o.most = n,
                    Err(_) => return "Unacceptable integer".into(),
                }
            }
        }
        'k' if o.secure => return "Unavailable in secure mode".into(),
        'k' => return kill(o, t, table, from),
        '\x0c' => {}
        _ => return "Unknown command - try 'h' for help".into(),
    }
    table.look(o);
    String::new()
}

fn kill(o: &Options, t: &mut Terminal, table: &Table, from: usize) -> String {
    let first = table.first(o);
    let question = format!("PID to signal/kill [default pid = {first}] ");
    let Some(answer) = ask(o, t, table, from, &question) else { return String::new() };
    let pid = if answer.is_empty() { Ok(first) } else { answer.parse::<u32>() };
    let Some(pid) = pid.ok().and_then(|p| i32::try_from(p).ok()).filter(|p| *p > 0) else {
        return "Unacceptable integer".into();
    };
    let question = format!("Send pid {pid} signal [15/sigterm] ");
    let Some(answer) = ask(o, t, table, from, &question) else { return String::new() };
    let wanted = if answer.is_empty() { Some(Signal::SIGTERM) } else { options::signal(&answer) };
    let Some(wanted) = wanted else { return "Invalid signal".into() };
    match signal::kill(pid, Some(wanted)) {
        Ok(()) => String::new(),
        Err(e) => {
            format!("Failed signal pid '{pid}' with '{}': {}", wanted as u8, agentos_guest::strerror(&e))
        }
    }
}

/// Asks for a line above the table; `None`: it was given up.
fn ask(o: &Options, t: &mut Terminal, table: &Table, from: usize, question: &str) -> Option<String> {
    let mut answer = String::new();
    loop {
        if show(o, t, table, &format!("{question}{answer}"), from).is_err() {
            return None;
        }
        match t.event(-1) {
            Event::Key(Key::Char('\r' | '\n')) => return Some(answer.trim().to_owned()),
            Event::Key(Key::Char('\x7f' | '\x08')) => {
                answer.pop();
            }
            Event::Key(Key::Char('\x15')) => answer.clear(),
            Event::Key(Key::Char('\x1b')) | Event::Interrupt | Event::Hangup => return None,
            Event::Key(Key::Char(c)) if !c.is_control() && answer.len() < 64 => answer.push(c),
            _ => {}
        }
    }
}

fn show(o: &Options, t: &mut Terminal, table: &Table, message: &str, from: usize) -> io::Result<()> {
    let mut rows: Vec<String> = Vec::new();
    let room = t.rows.saturating_sub(table::HEAD + 1);
    for (i, line) in table.lines(o, t.cols, room, from).into_iter().enumerate() {
        let line = text::cut(&line, t.cols);
        rows.push(match i {
            i if i + 2 == table::HEAD => text::cut(message, t.cols.saturating_sub(1)),
            i if i + 1 == table::HEAD => format!("\x1b[7m{line:<width$}\x1b[27m", width = t.cols),
            _ => line,
        });
    }
    rows.resize(t.rows, String::new());
    let column = message.chars().count();
    t.draw(&rows, (table::HEAD - 2, column))
}
