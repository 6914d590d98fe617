//! `clear` and `reset`: an empty screen, and a terminal as it was at first. Of `reset` it has no terminal mappings.

use crate::terminfo::Terminal;
use agentos_guest::fd;
use agentos_guest::tty::{self, When, cc, iflag, lflag, oflag};
use std::ffi::OsString;

const CLEAR: &str = "\
Usage: clear [options]

Options:
  -T TERM     use this instead of $TERM
  -V          print curses-version
  -x          do not try to clear scrollback
";

const RESET: &str = "\
Usage: reset [options] [terminal]

Options:
  -c          set control characters
  -I          no initialization strings
  -Q          do not output control key settings
  -q          display term only, do no changes
  -r          display term on stderr
  -s          output TERM set command
  -V          print curses-version
  -w          set window-size (it is known always)
";

/// Which of the strings for a beginning are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    Init,
    Reset,
}

/// Writes what empties the screen, and what has scrolled away; the status.
pub(crate) fn write(t: Terminal, scrollback: bool) -> i32 {
    let Some(mut text) = t.text("clear") else { return 1 };
    if scrollback && let Some(more) = t.text("E3") {
        text.extend_from_slice(&more);
    }
    i32::from(fd::write_all(1, &text).is_err())
}

/// The descriptor of a terminal among the standard ones.
fn terminal() -> Option<u32> {
    [2, 1, 0].into_iter().find(|fd| tty::isatty(*fd))
}

/// Whether there is a terminal to be set.
pub(crate) fn at_terminal() -> bool {
    terminal().is_some() || tty::controlling().is_ok()
}

/// Says that there is no terminal.
pub(crate) fn no_terminal(name: &str) -> i32 {
    crate::say(name, "terminal attributes: No such device or address\n");
    10
}

/// Brings attributes and screen to their beginning; the status.
pub(crate) fn begin(name: &str, t: Terminal, how: Begin) -> i32 {
    sane();
    let part = |n: char| {
        let own = t.text(&format!("rs{n}")).filter(|_| how == Begin::Reset);
        own.or_else(|| t.text(&format!("is{n}"))).unwrap_or_default()
    };
    let mut text = [part('1'), part('2')].concat();
    text.extend(t.text("mgc").unwrap_or_default());
    text.extend(part('3'));
    if name == "reset" && !text.is_empty() {
        text.push(b'\r');
    }
    let out = if name == "reset" { 2 } else { 1 };
    i32::from(fd::write_all(out, &text).is_err())
}

/// Attributes with which lines can be typed.
fn sane() {
    let Some(fd) = terminal() else { return };
    if let Ok(mut t) = tty::tcgetattr(fd) {
        t.iflag |= iflag::ICRNL | iflag::BRKINT | iflag::IXON;
        t.oflag |= oflag::OPOST | oflag::ONLCR;
        t.lflag |= lflag::ISIG | lflag::ICANON | lflag::ECHO | lflag::ECHOE | lflag::ECHOK | lflag::IEXTEN;
        (t.cc[cc::VINTR], t.cc[cc::VQUIT], t.cc[cc::VEOF], t.cc[cc::VSUSP]) = (3, 28, 4, 26);
        (t.cc[cc::VERASE], t.cc[cc::VKILL]) = (127, 21);
        // A terminal that refuses stays as it is.
        let _ = tty::tcsetattr(fd, When::Drain, &t);
    }
}

pub(crate) fn main(name: &str, args: &[OsString]) -> i32 {
    let clear = name == "clear";
    let usage = if clear { CLEAR } else { RESET };
    let mut term = std::env::var("TERM").ok().filter(|t| !t.is_empty());
    let (mut scrollback, mut strings, mut only_name, mut tell, mut export) =
        (true, true, false, false, false);
    let mut words = args.iter().map(|a| a.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        match word.as_str() {
            "--help" => {
                print!("{usage}");
                return 0;
            }
            "-V" | "--version" => {
                println!("{name} (agentos-screen) {}", env!("CARGO_PKG_VERSION"));
                return 0;
            }
            _ if word.len() < 2 || !word.starts_with('-') => {
                if clear {
                    eprint!("{usage}");
                    return 1;
                }
                term = Some(word);
                continue;
            }
            _ => {}
        }
        for (i, letter) in word.char_indices().skip(1) {
            match letter {
                'x' if clear => scrollback = false,
                'T' if clear => {
                    let rest = word[i + 1..].to_owned();
                    let Some(value) = Some(rest).filter(|r| !r.is_empty()).or_else(|| words.next()) else {
                        crate::say(name, "option requires an argument -- 'T'");
                        eprint!("{usage}");
                        return 1;
                    };
                    term = Some(value);
                    break;
                }
                // Control characters and the size are set anyway; nothing is told of the keys.
                'c' | 'w' | 'Q' if !clear => {}
                'I' if !clear => strings = false,
                'q' if !clear => only_name = true,
                'r' if !clear => tell = true,
                's' if !clear => export = true,
                other => {
                    crate::say(name, format_args!("invalid option -- '{other}'"));
                    eprint!("{usage}");
                    return 1;
                }
            }
        }
    }
    if !clear && !at_terminal() {
        return no_terminal(name);
    }
    let Some(term) = term else {
        if clear {
            eprintln!("TERM environment variable not set.");
        } else {
            crate::say(name, "unknown terminal type unknown");
        }
        return 1;
    };
    let Some(t) = Terminal::find(&term) else {
        if clear {
            eprintln!("'{term}': unknown terminal type.");
        } else {
            crate::say(name, format_args!("unknown terminal type {term}"));
        }
        return 1;
    };
    if clear {
        return write(t, scrollback);
    }
    if only_name {
        println!("{term}");
        return 0;
    }
    if strings {
        begin(name, t, Begin::Reset);
    } else {
        sane();
    }
    if tell {
        eprintln!("Terminal type is {term}.");
    }
    if export {
        println!("TERM={term};");
    }
    0
}
