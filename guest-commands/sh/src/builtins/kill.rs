//! `kill`: its options, lists of signals, and whom a signal goes to. Which jobs there are is `jobs`' business.

use super::getopt;
use super::signals::{list_signals, names};
use crate::shell::{Flow, Shell};
use agentos_guest::{Signal, signal};

pub(super) fn kill(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let mut words = &args[1..];
    let mut list = false;
    let mut given: Option<&str> = None;
    while let Some((option, rest)) = words.split_first().filter(|(word, _)| word.starts_with('-')) {
        match option.as_str() {
            "-l" | "-L" => list = true,
            "-s" | "-n" => {
                let Some(name) = rest.first() else {
                    return Ok(sh.complain("kill", &format!("{option}: option requires an argument")));
                };
                given = Some(name);
                words = &rest[1..];
                continue;
            }
            "-?" => return Ok(sh.usage("kill")),
            "--" => {
                words = rest;
                break;
            }
            // A second one is a process group.
            _ if given.is_some() => break,
            option => {
                let joined = option.strip_prefix("-s").or_else(|| {
                    option
                        .strip_prefix("-n")
                        .filter(|number| number.starts_with(|c: char| c.is_ascii_digit()))
                });
                given = Some(joined.unwrap_or(&option[1..]));
            }
        }
        words = rest;
    }
    if list {
        return Ok(list_some(sh, words));
    }
    let Some(which) = given.map_or(Some(Some(Signal::SIGTERM)), to_send) else {
        let name = given.unwrap_or_default();
        return Ok(sh.complain("kill", &format!("{name}: invalid signal specification")));
    };
    if words.is_empty() {
        return Ok(sh.usage("kill"));
    }
    // What has ended cannot be sent anything.
    sh.reap();
    let mut sent = false;
    for word in words {
        let pids = if word.starts_with('%') {
            match sh.jobs.find(word) {
                Ok(number) => targets(sh, number),
                Err(message) => {
                    sh.complain("kill", &message);
                    continue;
                }
            }
        } else {
            match getopt::number(word).and_then(|pid| i32::try_from(pid).ok()) {
                Some(pid) => vec![pid],
                None if word.is_empty() => {
                    sh.complain("kill", "`': not a pid or valid job spec");
                    continue;
                }
                None => {
                    sh.complain("kill", &format!("{word}: arguments must be process or job IDs"));
                    continue;
                }
            }
        };
        for pid in pids {
            match signal::kill(pid, which) {
                Ok(()) => sent = true,
                Err(error) => {
                    let pid = if word.starts_with('%') { pid.abs() } else { pid };
                    let why = agentos_guest::strerror(&error);
                    sh.complain("kill", &format!("({pid}) - {why}"));
                }
            }
        }
    }
    Ok(i32::from(!sent))
}

/// Prints the numbers of names and the names of numbers; of an exit status, the name of the signal it tells of.
fn list_some(sh: &mut Shell, words: &[String]) -> i32 {
    if words.is_empty() {
        list_signals(sh);
        return 0;
    }
    let names = names();
    let mut status = 0;
    for word in words {
        let line = match getopt::number(word) {
            Some(number) => {
                let number = if number > 128 { number - 128 } else { number };
                let found = usize::try_from(number).ok().filter(|number| *number <= LAST);
                found.and_then(|number| names.get(number)).map(|name| match name.strip_prefix("SIG") {
                    // These have no name of their own.
                    Some(name) if name.starts_with("JUNK") => String::new(),
                    name => format!("{}\n", name.unwrap_or("EXIT")),
                })
            }
            None => named(word).map(|number| format!("{number}\n")),
        };
        match line {
            Some(line) => sh.print(&line),
            None => status = sh.complain("kill", &format!("{word}: invalid signal specification")),
        }
    }
    status
}

/// The largest signal.
const LAST: usize = 64;

/// The number of a signal or an event by its name, with or without `SIG`.
fn named(word: &str) -> Option<usize> {
    let listed = names().iter().position(|name| {
        name.eq_ignore_ascii_case(word)
            || name.strip_prefix("SIG").is_some_and(|short| short.eq_ignore_ascii_case(word))
    });
    // Signals of real time have a second name.
    listed.or_else(|| Signal::from_name(word).map(|signal| usize::from(signal.raw())))
}

/// The signal of a name or number; 0 only checks.
#[expect(clippy::option_option, reason = "no such signal, the null signal, a signal")]
fn to_send(text: &str) -> Option<Option<Signal>> {
    let number = match getopt::number(text) {
        Some(number) => u8::try_from(number).ok()?,
        None => u8::try_from(named(text)?).ok()?,
    };
    if number == 0 { Some(None) } else { Signal::from_raw(number).map(Some) }
}

/// Whom a signal to a job goes to: its group if it has one of its own, else its processes.
fn targets(sh: &mut Shell, number: u32) -> Vec<i32> {
    match sh.jobs.get(number) {
        Some(job) if job.grouped => vec![-(job.leader() as i32)],
        Some(job) => job.processes.iter().filter(|p| p.status.is_none()).map(|p| p.pid as i32).collect(),
        None => Vec::new(),
    }
}
