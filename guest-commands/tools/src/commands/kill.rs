//! `kill`: sends a signal to processes and groups, or lists signals. Job names (`%1`) belong to shells.

use crate::context::{Cx, End, Outcome};
use crate::quote::quote;
use agentos_guest::signal::{self, Signal};
use agentos_guest::strerror;
use std::ffi::{OsStr, OsString};

const HELP: &str = "kill [-s SIGNAL | -SIGNAL] PID...
  or:  kill -l [SIGNAL]...
  or:  kill -t [SIGNAL]...
Send signals to processes, or list signals.
  -s, --signal=SIGNAL, -SIGNAL  specify the name or number of the signal to be sent
  -l, --list                    list signal names, or convert signal names to/from numbers
  -t, --table                   print a table of signal information";

/// A signal operand: a name with or without SIG, a number, `EXIT` or 0.
pub(crate) fn signal_operand(text: &str) -> Option<u8> {
    if let Ok(number) = text.parse::<u8>() {
        return (number == 0 || Signal::from_raw(number).is_some()).then_some(number);
    }
    if text.eq_ignore_ascii_case("EXIT") {
        return Some(0);
    }
    Signal::from_name(text).map(Signal::raw)
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let words: Vec<String> = args.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let mut number = Signal::SIGTERM.raw();
    let mut list = None;
    let mut i = 0;
    let take = |cx: &Cx, text: &str| match signal_operand(text) {
        Some(number) => Ok(number),
        None => Err(cx.usage(format!("{}: invalid signal", quote(OsStr::new(text))))),
    };
    while let Some(word) = words.get(i) {
        i += 1;
        match word.as_str() {
            "--" => break,
            "--help" => {
                cx.print(format_args!("Usage: {HELP}\n"))?;
                return Ok(0);
            }
            "-s" | "--signal" | "-n" => {
                let letter = if word == "--signal" { "" } else { &word[1..] };
                let Some(text) = words.get(i) else {
                    return Err(cx.usage(match letter {
                        "" => "option '--signal' requires an argument".to_owned(),
                        letter => format!("option requires an argument -- '{letter}'"),
                    }));
                };
                number = take(cx, text)?;
                i += 1;
            }
            "-l" | "-L" | "--list" => list = Some(false),
            "-t" | "--table" => list = Some(true),
            _ if word.starts_with("--signal=") => number = take(cx, &word["--signal=".len()..])?,
            _ if word.starts_with("--") => return Err(cx.usage(format!("unrecognized option '{word}'"))),
            _ if word.len() > 1 && word.starts_with('-') && i == 1 => number = take(cx, &word[1..])?,
            _ => {
                i -= 1;
                break;
            }
        }
    }
    let operands = &words[i..];
    if let Some(table) = list {
        return show(cx, table, operands);
    }
    if operands.is_empty() {
        return Err(cx.usage("no process ID specified"));
    }
    for operand in operands {
        let Ok(pid) = operand.parse::<i32>() else {
            cx.warn(format_args!("{}: invalid process id", quote(OsStr::new(operand))));
            continue;
        };
        if let Err(error) = signal::kill(pid, Signal::from_raw(number)) {
            cx.warn(format_args!("({pid}) - {}", strerror(&error)));
        }
    }
    Ok(0)
}

fn show(cx: &mut Cx, table: bool, operands: &[String]) -> Outcome {
    if operands.is_empty() {
        for signal in Signal::ALL {
            put(cx, table, *signal)?;
        }
        return Ok(0);
    }
    for operand in operands {
        // A status of a shell names the signal too: 137 is KILL.
        let number = match operand.parse::<u32>() {
            Ok(status) if status > 128 => signal_operand(&(status & 0x7f).to_string()),
            _ => signal_operand(operand),
        };
        let named = operand.parse::<u32>().is_err();
        match number {
            None => cx.warn(format_args!("{}: invalid signal", quote(OsStr::new(operand)))),
            Some(number) if named && !table => cx.print(format_args!("{number}\n"))?,
            Some(number) => match Signal::from_raw(number) {
                Some(signal) => put(cx, table, signal)?,
                None => cx.put(if table { b" 0 EXIT\n" } else { b"EXIT\n" })?,
            },
        }
    }
    Ok(0)
}

fn put(cx: &mut Cx, table: bool, signal: Signal) -> Result<(), End> {
    let name = &signal.name()[3..];
    if table {
        cx.print(format_args!("{:2} {name:<8} {}\n", signal.raw(), signal.description()))
    } else {
        cx.print(format_args!("{name}\n"))
    }
}
