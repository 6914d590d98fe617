//! `xargs`: builds command lines from standard input and runs them, several at a time with `-P`. What it asks (`-p`) is
//! answered at the terminal.

use crate::context::{Cx, End, Outcome, open_input};
use crate::options::Order;
use crate::os::{OsStrExt, os_owned};
use crate::quote::{quote, quotef};
use agentos_guest::process::{self, Stdio, WaitFor, WaitStatus};
use agentos_guest::{Errno, errno_of, strerror};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};

const SPEC: &[&str] = &[
    "0,null",
    "a,arg-file=",
    "d,delimiter=",
    "E=",
    "e,eof=?",
    "I=",
    "i,replace=?",
    "L=",
    "l,max-lines=?",
    "n,max-args=",
    "P,max-procs=",
    "p,interactive",
    "process-slot-var=",
    "r,no-run-if-empty",
    "s,max-chars=",
    "t,verbose",
    "x,exit",
    "o,open-tty",
];
const HELP: &str = "{} [OPTION]... COMMAND [INITIAL-ARGS]...
Run COMMAND with arguments INITIAL-ARGS and more arguments read from input.
  -0, --null                items are separated by a null, not whitespace
  -a, --arg-file=FILE       read arguments from FILE, not standard input
  -d, --delimiter=CHAR      items in input stream are separated by CHAR
  -E END                    set logical EOF string
  -e, --eof[=END]           the same; none if END is not given
  -I R                      replace R in INITIAL-ARGS with names read from input
  -i, --replace[=R]         the same; R is {} if not given
  -L N                      use at most N non-blank input lines per command line
  -l, --max-lines[=N]       the same; N is 1 if not given
  -n, --max-args=N          use at most N arguments per command line
  -P, --max-procs=N         run at most N processes at a time
  -p, --interactive         prompt before running commands
      --process-slot-var=VAR  set environment variable VAR in child processes to their number of those at a time
  -r, --no-run-if-empty     if there are no arguments, then do not run COMMAND
  -s, --max-chars=N         limit length of command line to N
  -t, --verbose             print commands before executing them
  -x, --exit                exit if the size (see -s) is exceeded";

/// The most bytes of one command line, as GNU takes them, and of one item.
const MAX_LINE: usize = 128 * 1024;
/// More children at a time than a VM should have.
const MAX_PROCS: usize = 256;

struct Xargs {
    template: Vec<OsString>,
    replace: Option<Vec<u8>>,
    max_args: usize,
    max_lines: usize,
    max_chars: usize,
    procs: usize,
    verbose: bool,
    ask: bool,
    exit: bool,
    /// The variable that tells a child its slot.
    slot_var: Option<OsString>,
    /// Who is in which slot.
    slots: Vec<Option<process::Pid>>,
    null_stdin: bool,
    running: usize,
    /// A child's status was 1-125.
    failed: bool,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, args, Order::StopAtOperand, HELP)?;
    let mut x = Xargs {
        template: parsed.operands.clone(),
        replace: None,
        max_args: usize::MAX,
        max_lines: usize::MAX,
        max_chars: MAX_LINE,
        procs: 1,
        verbose: false,
        ask: false,
        exit: false,
        slot_var: None,
        slots: Vec::new(),
        null_stdin: true,
        running: 0,
        failed: false,
    };
    if x.template.is_empty() {
        x.template.push("echo".into());
    }
    let mut split = Split::Words;
    let mut file = OsString::from("-");
    let mut eof = None;
    let mut run_empty = true;
    for opt in &parsed.opts {
        let number = |least: usize| {
            let text = opt.text();
            let name = opt.id.chars().next().unwrap_or('?');
            let letter = match opt.id {
                "max-lines" => 'l',
                "max-args" => 'n',
                "max-procs" => 'P',
                "max-chars" => 's',
                _ => name,
            };
            match text.parse::<i64>() {
                Ok(n) if usize::try_from(n).is_ok_and(|n| n >= least) => Ok(n as usize),
                Ok(_) => {
                    let why = format!("value {text} for -{letter} option should be >= {least}");
                    Err(End::Usage(1, why))
                }
                Err(_) => Err(End::Usage(1, format!("invalid number \"{text}\" for -{letter} option"))),
            }
        };
        match opt.id {
            "null" => split = Split::Delimiter(0),
            "arg-file" => {
                file = opt.arg().to_owned();
                x.null_stdin = false;
            }
            "delimiter" => split = Split::Delimiter(delimiter(&opt.text())?),
            "E" | "eof" => eof = Some(opt.arg().as_bytes().to_vec()).filter(|e| !e.is_empty()),
            "I" | "replace" => {
                let text = opt.arg().as_bytes();
                x.replace = Some(if opt.value.is_none() { b"{}".to_vec() } else { text.to_vec() });
                x.max_args = usize::MAX;
                x.max_lines = usize::MAX;
            }
            "interactive" => (x.ask, x.verbose) = (true, true),
            "process-slot-var" => x.slot_var = Some(opt.arg().to_owned()),
            "max-lines" if opt.value.is_none() => {
                x.max_lines = 1;
                x.max_args = usize::MAX;
                x.replace = None;
            }
            "L" | "max-lines" => {
                x.max_lines = number(1)?;
                x.max_args = usize::MAX;
                x.replace = None;
            }
            "max-args" => {
                let n = number(1)?;
                // GNU: -n 1 does not undo -I.
                if !(n == 1 && x.replace.is_some()) {
                    x.max_args = n;
                    x.max_lines = usize::MAX;
                    x.replace = None;
                }
            }
            "max-procs" => {
                x.procs = match number(0)? {
                    0 => MAX_PROCS,
                    n => n.min(MAX_PROCS),
                }
            }
            "no-run-if-empty" => run_empty = false,
            "max-chars" => x.max_chars = number(1)?.min(MAX_LINE),
            "verbose" => x.verbose = true,
            "open-tty" => return Err(cx.usage("option '--open-tty' is not supported here")),
            _ => x.exit = true,
        }
    }
    if x.replace.is_some() {
        x.exit = true;
        if matches!(split, Split::Words) {
            split = Split::Lines;
        }
    }
    let input = match open_input(&file) {
        Ok(input) => input,
        Err(error) => {
            let why = strerror(&error);
            return Err(End::Failure(1, format!("Cannot open input file {}: {why}", quote(&file))));
        }
    };
    let mut items = Items { input: BufReader::with_capacity(16 * 1024, input), split, eof, ended: false };
    let result = x.run(cx, &mut items, run_empty);
    let drained = x.wait_all(cx);
    result.and(drained)?;
    Ok(if x.failed { 123 } else { 0 })
}

fn delimiter(text: &str) -> Result<u8, End> {
    let bytes = text.as_bytes();
    match bytes {
        [one] => Ok(*one),
        [b'\\', letter] => match letter {
            b'n' => Ok(b'\n'),
            b't' => Ok(b'\t'),
            b'0' => Ok(0),
            b'r' => Ok(b'\r'),
            b'a' => Ok(7),
            b'b' => Ok(8),
            b'f' => Ok(12),
            b'v' => Ok(11),
            b'\\' => Ok(b'\\'),
            other => Err(End::Usage(
                1,
                format!(
                    "Invalid escape sequence \\{} in input delimiter specification {text}.",
                    char::from(*other)
                ),
            )),
        },
        [b'\\', b'x', hex @ ..] => {
            let hex = String::from_utf8_lossy(hex).into_owned();
            u8::from_str_radix(&hex, 16).map_err(|_| bad_delimiter(text))
        }
        [b'\\', b'0', octal @ ..] => {
            let octal = String::from_utf8_lossy(octal).into_owned();
            u8::from_str_radix(&octal, 8).map_err(|_| bad_delimiter(text))
        }
        _ => Err(bad_delimiter(text)),
    }
}

fn bad_delimiter(text: &str) -> End {
    End::Usage(
        1,
        format!(
            "Invalid input delimiter specification {text}: the delimiter must be either a single character or an escape sequence starting with \\."
        ),
    )
}

#[derive(Clone, Copy)]
enum Split {
    /// By blanks and newlines, with quotes and backslash.
    Words,
    /// By newlines, leading blanks dropped, with quotes and backslash (`-I`).
    Lines,
    /// By this byte, nothing else special.
    Delimiter(u8),
}

struct Items<R> {
    input: R,
    split: Split,
    eof: Option<Vec<u8>>,
    ended: bool,
}

/// One item, and whether it is the last of its input line.
struct Item {
    text: Vec<u8>,
    ends_line: bool,
}

impl<R: Read> Items<R> {
    fn byte(&mut self) -> Result<Option<u8>, End> {
        let mut one = [0];
        loop {
            match self.input.read(&mut one) {
                Ok(0) => return Ok(None),
                Ok(_) => return Ok(Some(one[0])),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(End::Failure(1, format!("read error: {}", strerror(&e)))),
            }
        }
    }

    fn next(&mut self) -> Result<Option<Item>, End> {
        if self.ended {
            return Ok(None);
        }
        let item = match self.split {
            Split::Delimiter(end) => self.delimited(end)?,
            split => self.word(matches!(split, Split::Lines))?,
        };
        if item.as_ref().is_none_or(|item| Some(&item.text) == self.eof.as_ref()) {
            self.ended = true;
            return Ok(None);
        }
        Ok(item)
    }

    fn delimited(&mut self, end: u8) -> Result<Option<Item>, End> {
        let mut text = Vec::new();
        loop {
            match self.byte()? {
                None if text.is_empty() => return Ok(None),
                None => break,
                Some(b) if b == end => break,
                Some(b) => push(&mut text, b)?,
            }
        }
        Ok(Some(Item { text, ends_line: true }))
    }

    fn word(&mut self, whole_line: bool) -> Result<Option<Item>, End> {
        let mut text = Vec::new();
        let mut started = false;
        let mut quote = None;
        loop {
            let Some(b) = self.byte()? else {
                if let Some(open) = quote {
                    return Err(unmatched(open));
                }
                return Ok(started.then_some(Item { text, ends_line: true }));
            };
            match (b, quote) {
                (b'\n', Some(open)) => return Err(unmatched(open)),
                (b, Some(open)) if b == open => quote = None,
                (b, Some(_)) => push(&mut text, b)?,
                (b'\'' | b'"', None) => {
                    quote = Some(b);
                    started = true;
                }
                (b'\\', None) => {
                    if let Some(b) = self.byte()? {
                        push(&mut text, b)?;
                    }
                    started = true;
                }
                (b'\n', None) if started => return Ok(Some(Item { text, ends_line: true })),
                (b'\n', None) => {}
                (b' ' | b'\t', None) if !started => {}
                (b' ' | b'\t', None) if !whole_line => {
                    // A trailing blank continues the line for -L.
                    return Ok(Some(Item { text, ends_line: false }));
                }
                (b, None) => {
                    started = true;
                    push(&mut text, b)?;
                }
            }
        }
    }
}

fn unmatched(open: u8) -> End {
    let kind = if open == b'"' { "double" } else { "single" };
    End::Failure(
        1,
        format!(
            "unmatched {kind} quote; by default quotes are special to xargs unless you use the -0 option"
        ),
    )
}

fn push(text: &mut Vec<u8>, b: u8) -> Result<(), End> {
    if text.len() >= MAX_LINE {
        return Err(End::Failure(1, "argument line too long".to_owned()));
    }
    text.push(b);
    Ok(())
}

impl Xargs {
    fn run<R: Read>(&mut self, cx: &mut Cx, items: &mut Items<R>, run_empty: bool) -> Result<(), End> {
        if let Some(pattern) = self.replace.clone() {
            while let Some(item) = items.next()? {
                let argv: Vec<OsString> = self
                    .template
                    .iter()
                    .map(|word| os_owned(replace(word.as_bytes(), &pattern, &item.text)))
                    .collect();
                if cost(&argv) > self.max_chars {
                    return Err(End::Failure(1, "argument list too long".to_owned()));
                }
                self.start(cx, argv)?;
            }
            return Ok(());
        }
        let base = cost(&self.template);
        let mut argv = self.template.clone();
        let (mut size, mut count, mut lines, mut any) = (base, 0, 0, false);
        while let Some(item) = items.next()? {
            any = true;
            let more = item.text.len() + 1;
            if base + more > self.max_chars {
                return Err(End::Failure(1, "argument line too long".to_owned()));
            }
            if count > 0 && size + more > self.max_chars {
                if self.exit && (self.max_args != usize::MAX || self.max_lines != usize::MAX) {
                    return Err(End::Failure(1, "argument list too long".to_owned()));
                }
                self.start(cx, std::mem::replace(&mut argv, self.template.clone()))?;
                (size, count, lines) = (base, 0, 0);
            }
            argv.push(os_owned(item.text));
            size += more;
            count += 1;
            lines += usize::from(item.ends_line);
            if count >= self.max_args || lines >= self.max_lines {
                self.start(cx, std::mem::replace(&mut argv, self.template.clone()))?;
                (size, count, lines) = (base, 0, 0);
            }
        }
        if count > 0 || (!any && run_empty) {
            self.start(cx, argv)?;
        }
        Ok(())
    }

    fn start(&mut self, cx: &mut Cx, argv: Vec<OsString>) -> Result<(), End> {
        while self.running >= self.procs {
            self.wait_one(cx)?;
        }
        if self.verbose {
            let words: Vec<String> = argv.iter().map(|w| quotef(w)).collect();
            eprint!("{}", words.join(" "));
            if self.ask && !confirmed()? {
                return Ok(());
            }
            if !self.ask {
                eprintln!();
            }
        }
        let mut command = process::Command::new(&argv[0]);
        let slot = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if let Some(name) = &self.slot_var {
            command.env(name, slot.to_string());
        }
        command.args(&argv[1..]).search_path(true);
        if self.null_stdin {
            command.stdin(Stdio::Null);
        }
        match command.spawn() {
            Ok(child) => {
                self.running += 1;
                if self.slot_var.is_some() {
                    self.slots.resize(self.slots.len().max(slot + 1), None);
                    self.slots[slot] = Some(child.id());
                }
                if self.procs == 1 { self.wait_one(cx) } else { Ok(()) }
            }
            Err(error) => {
                let status = if errno_of(&error) == Some(Errno::ENOENT) { 127 } else { 126 };
                Err(End::Failure(status, format!("{}: {}", argv[0].to_string_lossy(), strerror(&error))))
            }
        }
    }

    fn wait_one(&mut self, cx: &mut Cx) -> Result<(), End> {
        let waited = match process::wait(WaitFor::Any) {
            Ok(waited) => waited,
            Err(error) if errno_of(&error) == Some(Errno::EINTR) => return Ok(()),
            Err(error) => {
                return Err(End::Failure(
                    1,
                    format!("error waiting for child process: {}", strerror(&error)),
                ));
            }
        };
        self.running = self.running.saturating_sub(1);
        self.slots.iter_mut().filter(|slot| **slot == Some(waited.pid)).for_each(|slot| *slot = None);
        let name = self.template[0].to_string_lossy().into_owned();
        match waited.status {
            WaitStatus::Exited(255) => {
                Err(End::Failure(124, format!("{name}: exited with status 255; aborting")))
            }
            WaitStatus::Signaled(sig) => {
                Err(End::Failure(125, format!("{name}: terminated by signal {sig}")))
            }
            WaitStatus::Exited(0) => Ok(()),
            _ => {
                self.failed = true;
                cx.status = cx.status.max(123);
                Ok(())
            }
        }
    }

    fn wait_all(&mut self, cx: &mut Cx) -> Result<(), End> {
        let mut result = Ok(());
        while self.running > 0 {
            let left = self.running;
            let one = self.wait_one(cx);
            if self.running == left {
                // Nobody left to wait for.
                return result.and(one);
            }
            result = result.and(one);
        }
        result
    }
}

/// `?...`, and whether the answer at the terminal is a yes.
fn confirmed() -> Result<bool, End> {
    let failed = |error: std::io::Error| {
        End::Failure(1, format!("failed to open /dev/tty for reading: {}", strerror(&error)))
    };
    let terminal = std::fs::File::open("/dev/tty").map_err(failed)?;
    eprint!("?...");
    let mut answer = Vec::new();
    BufReader::new(terminal).read_until(b'\n', &mut answer).map_err(failed)?;
    Ok(matches!(answer.first(), Some(b'y' | b'Y')))
}

fn cost(argv: &[OsString]) -> usize {
    argv.iter().map(|word| word.len() + 1).sum()
}

fn replace(word: &[u8], pattern: &[u8], with: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = word;
    while !pattern.is_empty() {
        let Some(at) = memchr::memmem::find(rest, pattern) else { break };
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(with);
        rest = &rest[at + pattern.len()..];
    }
    out.extend_from_slice(rest);
    out
}
