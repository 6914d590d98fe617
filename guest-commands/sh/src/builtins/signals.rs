//! `trap` and `kill`.

use crate::shell::{Flow, Shell};
use agentos_guest::Signal;
use std::rc::Rc;

enum Event {
    Exit,
    Err,
    Debug,
    Return,
    Signal(Signal),
}

fn event(text: &str) -> Option<Event> {
    let bare = text.strip_prefix("SIG").unwrap_or(text);
    Some(match bare.to_ascii_uppercase().as_str() {
        "EXIT" | "0" => Event::Exit,
        "ERR" => Event::Err,
        "DEBUG" => Event::Debug,
        "RETURN" => Event::Return,
        _ => Event::Signal(by_text(text)?),
    })
}

fn by_text(text: &str) -> Option<Signal> {
    match text.parse::<u8>() {
        Ok(n) => Signal::from_raw(n),
        Err(_) => Signal::from_name(text),
    }
}

pub(super) fn trap(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let (flags, words) = match super::getopt::flags(sh, args, "lp") {
        Ok(found) => found,
        Err(status) => return Ok(status),
    };
    if flags.contains('l') {
        list_signals(sh);
        return Ok(0);
    }
    let print = words.is_empty() || flags.contains('p');
    if print {
        return Ok(print_traps(sh, words));
    }
    // `trap SIGNAL`, `trap - SIGNAL` and `trap 2 3` reset.
    let first = words[0].as_str();
    let number = first.bytes().all(|b| b.is_ascii_digit()) && !first.is_empty();
    let (action, events) = if words.len() == 1 && event(first).is_some() || number {
        (None, words)
    } else {
        ((first != "-").then_some(first), &words[1..])
    };
    if events.is_empty() {
        return Ok(sh.usage("trap"));
    }
    sh.traps.former.clear();
    let mut status = 0;
    for text in events {
        let rc = action.map(Rc::<str>::from);
        match event(text) {
            Some(Event::Exit) => {
                sh.traps.exit = rc;
                sh.guard_exit();
            }
            Some(Event::Err) => sh.traps.err = rc,
            Some(Event::Debug) => sh.traps.debug = rc,
            Some(Event::Return) => sh.traps.on_return = rc,
            Some(Event::Signal(which)) => sh.set_signal_trap(which, action),
            None => status = sh.complain("trap", &format!("{text}: invalid signal specification")),
        }
    }
    Ok(status)
}

fn print_traps(sh: &mut Shell, only: &[String]) -> i32 {
    // A subshell that has set none yet shows those of its parent, so that `saved=$(trap)` works.
    let lines = if sh.traps.former.is_empty() { sh.traps.lines() } else { sh.traps.former.clone() };
    if only.is_empty() {
        for (_, line) in lines {
            print_trap(sh, &line);
        }
        return 0;
    }
    let mut status = 0;
    for text in only {
        let name = match event(text) {
            Some(Event::Exit) => "EXIT",
            Some(Event::Err) => "ERR",
            Some(Event::Debug) => "DEBUG",
            Some(Event::Return) => "RETURN",
            Some(Event::Signal(which)) => which.name(),
            None => {
                status = sh.complain("trap", &format!("{text}: invalid signal specification"));
                continue;
            }
        };
        if let Some((_, line)) = lines.iter().find(|(own, _)| own == name) {
            print_trap(sh, line);
        }
    }
    status
}

/// Prints the command that makes a trap; POSIX names signals without their prefix.
fn print_trap(sh: &mut Shell, line: &str) {
    match line.rsplit_once(" SIG").filter(|(_, name)| sh.opts.posix && !name.contains('\'')) {
        Some((action, name)) => sh.print(&format!("{action} {name}")),
        None => sh.print(line),
    }
}

/// Lists all signals.
pub(super) fn list_signals(sh: &mut Shell) {
    if sh.opts.posix {
        let names: Vec<String> =
            names().iter().filter_map(|name| name.strip_prefix("SIG")).map(str::to_owned).collect();
        let known: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| !name.starts_with("JUNK")).collect();
        sh.print(&(known.join(" ") + "\n"));
        return;
    }
    // The kernel's list has a gap where the C library keeps two for itself.
    let all = names();
    let numbered: Vec<String> = (1..)
        .zip(all.iter().filter(|name| name.starts_with("SIG")))
        .filter(|(_, name)| !name.starts_with("SIGJUNK"))
        .map(|(number, name)| format!("{number:2}) {name}"))
        .collect();
    for chunk in numbered.chunks(5) {
        // As bash, a tab follows each but the fifth.
        let end = if chunk.len() < 5 { "\t\n" } else { "\n" };
        sh.print(&(chunk.join("\t") + end));
    }
}

/// The names of all events of `trap`, as completion lists them.
pub(crate) fn names() -> Vec<String> {
    let plain = (1..32).filter_map(Signal::from_raw).map(|signal| signal.name().to_owned());
    let odd = [32, 33].map(|n| format!("SIGJUNK({n})"));
    let low = (0..=15).map(|n| if n == 0 { "SIGRTMIN".to_owned() } else { format!("SIGRTMIN+{n}") });
    let high = (0..=14).rev().map(|n| if n == 0 { "SIGRTMAX".to_owned() } else { format!("SIGRTMAX-{n}") });
    let events = ["DEBUG", "ERR", "RETURN"].map(str::to_owned);
    std::iter::once("EXIT".to_owned()).chain(plain).chain(odd).chain(low).chain(high).chain(events).collect()
}
