//! `stty`: shows and sets the attributes of a terminal. What the settings are called and mean is in `modes`.

mod modes;

use crate::context::{Cx, End, Outcome};
use crate::os::{OsStrExt, os};
use crate::quote::{quote, quotef};
use agentos_guest::fd::{self, Owned};
use agentos_guest::tty::{self, NCCS, Termios, VDISABLE, When, Winsize, lflag};
use agentos_guest::{strerror, tty::cc};
use modes::{CHARACTERS, Group, MODES, SPEEDS};
use std::ffi::{OsStr, OsString};
use std::fmt::Write;

/// Control characters in the output of `-g`: as many as the C library has.
const SAVED: usize = 32;

const HELP: &str = "{} [-F DEVICE] [SETTING]...
  or:  {} [-F DEVICE] [-a | -g]
Print or change the settings of a terminal.  With no SETTING, print what differs from stty sane.
  -a, --all          print all settings in a readable form
  -g, --save         print all settings in a form that stty takes
  -F, --file=DEVICE  use DEVICE instead of standard input
Settings: [-]NAME of a flag, CHAR ^X, sane, raw, cooked, cbreak, nl, ek, rows N, cols N, size, speed, min N, time N";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Changed,
    All,
    Saved,
}

struct Terminal {
    fd: u32,
    name: String,
    _opened: Option<Owned>,
}

impl Terminal {
    fn open(device: Option<&OsStr>) -> Result<Self, End> {
        let Some(path) = device else {
            return Ok(Terminal { fd: 0, name: "'standard input'".to_owned(), _opened: None });
        };
        let name = quotef(path);
        // Without waiting for a modem line, as a program that only sets things must.
        match fd::open(path, fd::O_RDONLY | fd::O_NONBLOCK | fd::O_NOCTTY, 0) {
            Ok(number) => Ok(Terminal { fd: number, name, _opened: Some(Owned::from_raw(number)) }),
            Err(error) => Err(End::Failure(1, format!("{name}: {}", strerror(&error)))),
        }
    }

    fn failed(&self, error: &std::io::Error) -> End {
        End::Failure(1, format!("{}: {}", self.name, strerror(error)))
    }
}

/// `stty`.
pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let (mut style, mut device, mut settings) = (Style::Changed, None, Vec::new());
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let next = match arg.as_bytes() {
            b"-a" | b"--all" => Style::All,
            b"-g" | b"--save" => Style::Saved,
            b"-F" | b"--file" => {
                let missing = || cx.usage("option requires an argument -- 'F'");
                device = Some(rest.next().ok_or_else(missing)?.as_os_str());
                continue;
            }
            b"--help" | b"--version" => {
                cx.parse(&[], std::slice::from_ref(arg), crate::options::Order::Permute, HELP)?;
                continue;
            }
            bytes => {
                if let Some(path) = bytes.strip_prefix(b"--file=").or_else(|| bytes.strip_prefix(b"-F")) {
                    device = Some(os(path));
                } else {
                    settings.push(arg.to_string_lossy().into_owned());
                }
                continue;
            }
        };
        if style != Style::Changed && style != next {
            let message = "the options for verbose and stty-readable output styles are\nmutually exclusive";
            return Err(End::Failure(1, message.to_owned()));
        }
        style = next;
    }
    if style != Style::Changed && !settings.is_empty() {
        return Err(End::Failure(1, "when specifying an output style, modes may not be set".to_owned()));
    }
    let terminal = Terminal::open(device)?;
    let termios = tty::tcgetattr(terminal.fd).map_err(|e| terminal.failed(&e))?;
    if settings.is_empty() {
        show(cx, &terminal, &termios, style)?;
        return Ok(0);
    }
    let wanted = apply(cx, &terminal, termios, &settings)?;
    if wanted != termios {
        tty::tcsetattr(terminal.fd, When::Drain, &wanted).map_err(|e| terminal.failed(&e))?;
    }
    Ok(0)
}

// --- setting

fn apply(cx: &mut Cx, terminal: &Terminal, mut to: Termios, settings: &[String]) -> Result<Termios, End> {
    let mut rest = settings.iter();
    while let Some(word) = rest.next() {
        if modes::apply(&mut to, word) {
            continue;
        }
        let mut value = || {
            let missing = || cx.usage(format!("missing argument to {}", quote(OsStr::new(word))));
            rest.next().ok_or_else(missing)
        };
        if let Some((_, which, _)) = CHARACTERS.iter().find(|(name, ..)| name == word) {
            let value = value()?;
            to.cc[*which] = if matches!(*which, cc::VMIN | cc::VTIME) {
                number(value)?.try_into().map_err(|_| invalid(value))?
            } else {
                character(value).ok_or_else(|| invalid(value))?
            };
            continue;
        }
        match word.as_str() {
            "rows" | "cols" | "columns" => {
                let n = value()?;
                let n = u16::try_from(number(n)?).map_err(|_| invalid(n))?;
                let now = tty::tcgetwinsize(terminal.fd).map_err(|e| terminal.failed(&e))?;
                let size =
                    if word == "rows" { Winsize { rows: n, ..now } } else { Winsize { cols: n, ..now } };
                tty::tcsetwinsize(terminal.fd, size).map_err(|e| terminal.failed(&e))?;
            }
            "size" => {
                let size = tty::tcgetwinsize(terminal.fd).map_err(|e| terminal.failed(&e))?;
                cx.print(format_args!("{} {}\n", size.rows, size.cols))?;
            }
            "speed" => cx.print(format_args!("{}\n", modes::speed(&to)))?,
            "ispeed" | "ospeed" => {
                let n = value()?;
                set_speed(&mut to, n).ok_or_else(|| invalid(n))?;
            }
            // There is one line discipline.
            "line" => drop(number(value()?)?),
            _ => {
                let known = set_speed(&mut to, word).is_some() || restore(&mut to, word).is_some();
                if !known {
                    return Err(cx.usage(format!("invalid argument {}", quote(OsStr::new(word)))));
                }
            }
        }
    }
    Ok(to)
}

fn invalid(value: &str) -> End {
    End::Failure(1, format!("invalid integer argument: {}", quote(OsStr::new(value))))
}

/// A number as C writes it.
fn number(text: &str) -> Result<u32, End> {
    let parsed = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => u32::from_str_radix(&text[2..], 16),
        [b'0', _, ..] => u32::from_str_radix(text, 8),
        _ => text.parse(),
    };
    parsed.map_err(|_| invalid(text))
}

/// A control character: `^X`, `^-` or `undef` for none, itself, or its number.
fn character(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [] => Some(VDISABLE),
        [one] => Some(*one),
        b"^-" | b"undef" => Some(VDISABLE),
        b"^?" => Some(0x7f),
        [b'^', one] => Some(one & 0x1f),
        _ => number(text).ok()?.try_into().ok(),
    }
}

fn set_speed(to: &mut Termios, text: &str) -> Option<()> {
    let (_, bits) = SPEEDS.iter().find(|(speed, _)| text.parse() == Ok(*speed))?;
    to.cflag = to.cflag & !tty::cflag::CBAUD | bits;
    Some(())
}

/// What `-g` printed.
fn restore(to: &mut Termios, text: &str) -> Option<()> {
    let words: Option<Vec<u32>> = text.split(':').map(|w| u32::from_str_radix(w, 16).ok()).collect();
    let words = words.filter(|w| w.len() >= 4 + NCCS && w.len() <= 4 + SAVED)?;
    (to.iflag, to.oflag, to.cflag, to.lflag) = (words[0], words[1], words[2], words[3]);
    for (slot, word) in to.cc.iter_mut().zip(&words[4..]) {
        *slot = u8::try_from(*word).ok()?;
    }
    Some(())
}

// --- showing

/// Words that are broken into lines as wide as the window.
struct Lines {
    text: String,
    column: usize,
    width: usize,
}

impl Lines {
    fn word(&mut self, word: &str) {
        if self.column > 0 {
            if self.width.saturating_sub(self.column) < word.len() {
                self.end();
            } else {
                self.text.push(' ');
                self.column += 1;
            }
        }
        self.text.push_str(word);
        self.column += word.len();
    }

    fn end(&mut self) {
        self.text.push('\n');
        self.column = 0;
    }
}

fn visible(byte: u8) -> String {
    match byte {
        VDISABLE => "<undef>".to_owned(),
        0x80.. => format!("M-{}", visible_ascii(byte & 0x7f)),
        _ => visible_ascii(byte),
    }
}

fn visible_ascii(byte: u8) -> String {
    if byte.is_ascii_control() {
        format!("^{}", char::from(byte ^ 0x40))
    } else {
        char::from(byte).to_string()
    }
}

fn show(cx: &mut Cx, terminal: &Terminal, termios: &Termios, style: Style) -> Result<(), End> {
    if style == Style::Saved {
        let mut line = String::new();
        for word in [termios.iflag, termios.oflag, termios.cflag, termios.lflag] {
            let _ = write!(line, "{word:x}:");
        }
        let more = std::iter::repeat_n(0, SAVED - NCCS);
        let characters: Vec<String> =
            termios.cc.iter().copied().chain(more).map(|c| format!("{c:x}")).collect();
        return cx.print(format_args!("{line}{}\n", characters.join(":")));
    }
    let size = tty::tcgetwinsize(terminal.fd).ok();
    let width = tty::tcgetwinsize(1).ok().filter(|s| s.cols > 0).map_or(80, |s| usize::from(s.cols));
    let mut lines = Lines { text: String::new(), column: 0, width };
    lines.word(&format!("speed {} baud;", modes::speed(termios)));
    let all = style == Style::All;
    if let Some(size) = size.filter(|_| all) {
        lines.word(&format!("rows {}; columns {};", size.rows, size.cols));
    }
    lines.word("line = 0;");
    lines.end();
    for (name, which, sane) in CHARACTERS.iter().filter(|(_, w, _)| !matches!(*w, cc::VMIN | cc::VTIME)) {
        if all || termios.cc[*which] != *sane {
            lines.word(&format!("{name} = {};", visible(termios.cc[*which])));
        }
    }
    if all || termios.lflag & lflag::ICANON == 0 {
        lines.word(&format!("min = {}; time = {};", termios.cc[cc::VMIN], termios.cc[cc::VTIME]));
    }
    if lines.column > 0 {
        lines.end();
    }
    for group in [Group::Control, Group::Input, Group::Output, Group::Local] {
        for mode in MODES.iter().filter(|m| m.group == group) {
            let on = mode.is_on(termios);
            if mode.mask == 0 && (all || mode.sane == Some(!on)) {
                lines.word(&if on { mode.name.to_owned() } else { format!("-{}", mode.name) });
            } else if mode.mask != 0 && on && (all || mode.sane == Some(false)) {
                lines.word(mode.name);
            }
        }
        if lines.column > 0 {
            lines.end();
        }
    }
    cx.print(format_args!("{}", lines.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_and_saved_settings() {
        for (text, byte) in
            [("^C", 3), ("^?", 0x7f), ("^-", 0), ("undef", 0), ("x", b'x'), ("0x1b", 0x1b), ("033", 0x1b)]
        {
            assert_eq!(character(text), Some(byte), "{text}");
        }
        assert_eq!(character("300"), None);
        let mut termios = Termios::default();
        let saved = "500:5:bf:8a3b:3:1c:7f:15:4:0:1:0:11:13:1a:0:12:f:17:16:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0";
        assert_eq!(restore(&mut termios, saved), Some(()));
        assert_eq!((termios.iflag, termios.cc[cc::VWERASE]), (0x500, 0x17));
        assert_eq!(restore(&mut termios, "1:2"), None);
    }

    #[test]
    fn raw_and_sane_are_each_others_end() {
        let mut termios = Termios::default();
        for word in ["sane", "raw", "-echo", "sane"] {
            assert!(modes::apply(&mut termios, word));
        }
        assert!(MODES.iter().all(|m| m.sane.is_none_or(|sane| m.is_on(&termios) == sane)));
        assert!(!modes::apply(&mut termios, "-rows"));
    }
}
