//! `read`. Input is taken byte by byte where the descriptor may be shared with other programs.

use super::getopt;
use crate::expand::ifs::Ifs;
use crate::input::Input;
use crate::interactive::repl::Line;
use crate::interactive::terminal::{Terminal, Wishes};
use crate::shell::{Flow, Run, Shell};
use crate::symbols::{self, sym};
use crate::vars::{READONLY, Value};
use agentos_guest::signal::{self, Disposition};
use agentos_guest::tty::{self, Termios, When, lflag};
use agentos_guest::{Errno, Signal, errno_of, fd};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

struct Options {
    raw: bool,
    delimiter: u8,
    count: Option<usize>,
    exact: bool,
    array: Option<String>,
    timeout: Option<f64>,
    /// Every byte is a character.
    bytes: bool,
    from: u32,
    /// The line is edited at the terminal, and begins with a text.
    edited: bool,
    text: String,
    prompt: String,
    silent: bool,
}

/// Where bytes come from.
enum Source {
    Plain(Box<Input>),
    /// Lines that are edited, and what is not read yet of the last.
    Edited(Box<Terminal>, VecDeque<u8>),
}

/// A terminal that does not show what is typed, for as long as this lives.
struct Silent(u32, Termios);

impl Silent {
    fn enter(from: u32) -> Option<Self> {
        let former = tty::tcgetattr(from).ok()?;
        let mut silent = former;
        silent.lflag &= !lflag::ECHO;
        tty::tcsetattr(from, When::Drain, &silent).ok()?;
        Some(Silent(from, former))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // It may be hung up.
        let _ = tty::tcsetattr(self.0, When::Drain, &self.1);
    }
}

enum End {
    Delimiter,
    Count,
    File,
    TimedOut,
    Signal(i32),
    /// A trap left what was running.
    Left(Flow),
}

impl Shell {
    /// A line of standard input without its newline, for `select`.
    pub(crate) fn read_line(&mut self) -> Option<String> {
        let mut input = Input::new(0);
        let mut bytes = Vec::new();
        loop {
            match input.next() {
                Ok(None) => {
                    return if bytes.is_empty() { None } else { Some(crate::text::from_bytes(bytes)) };
                }
                Ok(Some(b'\n')) => return Some(crate::text::from_bytes(bytes)),
                Ok(Some(byte)) => bytes.push(byte),
                Err(error) if errno_of(&error) == Some(Errno::EINTR) => {}
                Err(_) => return None,
            }
        }
    }
}

pub(super) fn read(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let mut o = Options {
        raw: false,
        delimiter: b'\n',
        count: None,
        exact: false,
        array: None,
        timeout: None,
        bytes: false,
        from: 0,
        edited: false,
        text: String::new(),
        prompt: String::new(),
        silent: false,
    };
    let mut options = getopt::Options::new(args);
    let mut prompt = None;
    loop {
        match options.next(sh, "ersa:d:i:n:N:p:t:u:") {
            Ok(Some(('r', _))) => o.raw = true,
            Ok(Some(('s', _))) => o.silent = true,
            Ok(Some(('e', _))) => o.edited = true,
            Ok(Some(('p', value))) => prompt = value,
            Ok(Some((letter, Some(value)))) => {
                if !option(sh, &mut o, letter, value) {
                    return Ok(1);
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(status) => return Ok(status),
        }
    }
    let names = options.rest();
    let first = names.first().filter(|_| o.array.is_none());
    if let Some(bad) = first.filter(|name| !is_target(name)) {
        return Ok(sh.complain("read", &format!("`{bad}': not a valid identifier")));
    }
    if o.timeout.is_none() {
        let variable = sh.vars.get(sym("TMOUT"));
        o.timeout = variable.and_then(|text| seconds(&text)).filter(|t| *t > 0.0);
    } else if o.timeout == Some(0.0) {
        return Ok(i32::from(!fd::wait_readable(o.from, 0).unwrap_or(false)));
    }
    o.edited &= fd::isatty(o.from);
    if o.edited {
        o.prompt = prompt.unwrap_or_default().to_owned();
        sh.flush();
    } else if let Some(prompt) = prompt.filter(|_| fd::isatty(o.from)) {
        sh.flush();
        sh.write_error(prompt);
    }
    let hidden = if o.silent { Silent::enter(o.from) } else { None };
    o.bytes = sh.bytes_count();
    let (bytes, end) = input(sh, &o);
    drop(hidden);
    if !fd::is_open(o.from) {
        return Ok(1);
    }
    if !assign(sh, &o, names, &characters(&bytes))? {
        return Ok(1);
    }
    Ok(match end {
        End::Delimiter | End::Count => 0,
        End::File => 1,
        End::TimedOut => 142,
        End::Signal(n) => 128 + n,
        End::Left(flow) => return Err(flow),
    })
}

/// What a signal that was caught comes to: its trap runs and the reading goes on, but in POSIX mode that ends.
fn interrupted(sh: &mut Shell) -> Option<End> {
    let signal = sh.caught()?;
    if sh.opts.posix {
        return Some(End::Signal(i32::from(signal.raw())));
    }
    sh.poll_traps().err().map(End::Left)
}

/// Whether text names a variable or an element of an array.
pub(super) fn is_target(text: &str) -> bool {
    match text.split_once('[') {
        Some((name, index)) => crate::text::is_name(name) && index.len() > 1 && index.ends_with(']'),
        None => crate::text::is_name(text),
    }
}

/// A time in seconds: digits with an optional fraction. Nothing at all is 0.
fn seconds(text: &str) -> Option<f64> {
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !plain(whole.strip_prefix('+').unwrap_or(whole)) || !plain(fraction) {
        return None;
    }
    if whole.is_empty() && fraction.is_empty() {
        Some(0.0)
    } else {
        format!("0{whole}.{fraction}0").parse().ok()
    }
}

fn option(sh: &mut Shell, o: &mut Options, letter: char, value: &str) -> bool {
    let wrong = match letter {
        'd' => {
            o.delimiter = crate::text::to_bytes(value).first().copied().unwrap_or(0);
            None
        }
        'i' => {
            value.clone_into(&mut o.text);
            None
        }
        'n' | 'N' => {
            o.exact = letter == 'N';
            o.count = getopt::number(value).and_then(|n| usize::try_from(n).ok());
            o.count.is_none().then_some("invalid number")
        }
        'a' => {
            o.array = Some(value.to_owned());
            None
        }
        't' => {
            o.timeout = seconds(value);
            o.timeout.is_none().then_some("invalid timeout specification")
        }
        'u' => match getopt::number(value).and_then(|n| u32::try_from(n).ok()) {
            None => Some("invalid file descriptor specification"),
            Some(n) => {
                o.from = n;
                (!fd::is_open(n)).then_some("invalid file descriptor: Bad file descriptor")
            }
        },
        _ => None,
    };
    if let Some(wrong) = wrong {
        sh.complain("read", &format!("{value}: {wrong}"));
    }
    wrong.is_none()
}

/// What edited lines come to instead of bytes.
fn edited_line(sh: &mut Shell, o: &Options, terminal: &mut Terminal, wishes: Wishes) -> Result<Vec<u8>, End> {
    // Without a person at the shell, the interrupt would end it with the terminal as it is while a line is edited.
    let lent = !sh.session.active
        && !sh.traps.signals.contains_key(&Signal::SIGINT)
        && !sh.traps.is_hard(Signal::SIGINT);
    let former = if lent { signal::set(Signal::SIGINT, Disposition::Catch).ok() } else { None };
    let line = terminal.read_wished(sh, &o.prompt, wishes);
    if let Some(former) = former {
        let _ = signal::set(Signal::SIGINT, former);
        sh.traps.forget(Signal::SIGINT);
        if line == Line::Interrupted
            && let Err(flow) = sh.end_by(Signal::SIGINT)
        {
            return Err(End::Left(flow));
        }
    }
    match line {
        Line::Text(text) => Ok(crate::text::to_bytes(&text).to_vec()),
        Line::Interrupted => {
            sh.status = 130;
            Err(End::Left(Flow::Discard))
        }
        Line::End => Err(End::File),
        Line::TimedOut => Err(End::TimedOut),
    }
}

/// Reads; each byte comes with whether a backslash quoted it.
fn input(sh: &mut Shell, o: &Options) -> (Vec<(u8, bool)>, End) {
    let deadline = o.timeout.map(|t| Instant::now() + Duration::from_secs_f64(t.min(1e9)));
    let mut out: Vec<(u8, bool)> = Vec::new();
    let mut escaped = false;
    let mut chars = 0;
    let mut source = match o.edited {
        true => {
            sh.begin_editing();
            Source::Edited(Box::new(Terminal::on(o.from)), VecDeque::new())
        }
        false => Source::Plain(Box::new(Input::new(o.from))),
    };
    loop {
        if o.count.is_some_and(|n| chars >= n) {
            return (out, End::Count);
        }
        let next = match &mut source {
            Source::Edited(terminal, line) => {
                if line.is_empty() {
                    let wishes = Wishes {
                        text: if out.is_empty() { o.text.clone() } else { String::new() },
                        count: o.count.map(|n| n - chars),
                        delimiter: (o.delimiter != b'\n' && !o.exact).then_some(o.delimiter),
                        deadline,
                        exact: o.exact,
                        plain: true,
                        hidden: o.silent,
                    };
                    match edited_line(sh, o, terminal, wishes) {
                        Ok(bytes) => line.extend(bytes),
                        Err(end) => return (out, end),
                    }
                    // The return key ends the line, whatever it is called.
                    if o.delimiter != b'\n'
                        && let Some(last @ b'\n') = line.back_mut()
                    {
                        *last = o.delimiter;
                    }
                }
                Ok(line.pop_front())
            }
            Source::Plain(plain) => {
                if let Some(deadline) = deadline
                    && !plain.holds()
                {
                    let left = deadline.saturating_duration_since(Instant::now());
                    match fd::wait_readable(o.from, i32::try_from(left.as_millis()).unwrap_or(i32::MAX)) {
                        Ok(true) => {}
                        Ok(false) => return (out, End::TimedOut),
                        Err(_) => {
                            if let Some(end) = interrupted(sh) {
                                return (out, end);
                            }
                            continue;
                        }
                    }
                }
                plain.next()
            }
        };
        let b = match next {
            Ok(None) => return (out, End::File),
            Ok(Some(byte)) => byte,
            Err(error) if errno_of(&error) == Some(Errno::EINTR) => {
                if let Some(end) = interrupted(sh) {
                    return (out, end);
                }
                continue;
            }
            Err(error) => {
                sh.complain("read", &format!("read error: {}: {}", o.from, agentos_guest::strerror(&error)));
                return (out, End::File);
            }
        };
        if escaped {
            escaped = false;
            if b != b'\n' {
                out.push((b, true));
                chars += 1;
            }
            continue;
        }
        if b == b'\\' && !o.raw {
            escaped = true;
            continue;
        }
        if b == o.delimiter && !o.exact {
            return (out, End::Delimiter);
        }
        if b != 0 {
            // Only the first byte of a character counts.
            chars += usize::from(o.bytes || b & 0xc0 != 0x80);
            out.push((b, false));
        }
        if o.count.is_some_and(|n| chars >= n) && b >= 0xc0 && !o.bytes {
            // The rest of the last character.
            let more = match b {
                0xc0..=0xdf => 1,
                0xe0..=0xef => 2,
                _ => 3,
            };
            for _ in 0..more {
                let byte = match &mut source {
                    Source::Plain(plain) => plain.next().ok().flatten(),
                    Source::Edited(_, line) => line.pop_front(),
                };
                out.extend(byte.map(|byte| (byte, false)));
            }
        }
    }
}

/// The characters of some bytes, each with whether a backslash quoted it.
fn characters(bytes: &[(u8, bool)]) -> Vec<(char, bool)> {
    let text = crate::text::from_bytes(bytes.iter().map(|(b, _)| *b).collect());
    let mut at = 0;
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        out.push((c, bytes.get(at).is_some_and(|(_, quoted)| *quoted)));
        at += crate::text::to_bytes(c.encode_utf8(&mut [0; 4])).len();
    }
    out
}

fn whole(chars: &[(char, bool)]) -> String {
    chars.iter().map(|(c, _)| *c).collect()
}

/// Takes words off the front of a line.
struct Splitter<'a> {
    rest: &'a [(char, bool)],
    ifs: Ifs,
}

impl Splitter<'_> {
    fn separates(&self, (c, quoted): (char, bool)) -> bool {
        !quoted && self.ifs.has(c)
    }

    fn is_blank(&self, c: (char, bool)) -> bool {
        matches!(c.0, ' ' | '\t' | '\n') && self.separates(c)
    }

    fn skip_blanks(&mut self) {
        while self.rest.first().is_some_and(|c| self.is_blank(*c)) {
            self.rest = &self.rest[1..];
        }
    }

    /// The next word; the separators after it are skipped.
    fn word(&mut self) -> String {
        let len = self.rest.iter().position(|c| self.separates(*c)).unwrap_or(self.rest.len());
        let word = whole(&self.rest[..len]);
        self.rest = &self.rest[len..];
        let Some(first) = self.rest.first().copied() else { return word };
        self.rest = &self.rest[1..];
        self.skip_blanks();
        let more = self.rest.first().is_some_and(|c| self.separates(*c));
        if self.is_blank(first) && more {
            self.rest = &self.rest[1..];
            self.skip_blanks();
        }
        word
    }

    /// What is left: one word without its separators, or else all but the blanks at the end.
    fn last(&mut self) -> String {
        let all = self.rest;
        let word = self.word();
        if self.rest.is_empty() {
            return word;
        }
        let end = all.iter().rposition(|c| !self.is_blank(*c)).map_or(0, |at| at + 1);
        whole(&all[..end])
    }
}

/// Assigns what was read; false if that failed, which is reported.
fn assign(sh: &mut Shell, o: &Options, names: &[String], input: &[(char, bool)]) -> Result<bool, Flow> {
    let ifs = if o.exact { Ifs::new("") } else { sh.ifs() };
    let mut line = Splitter { rest: input, ifs };
    if let Some(array) = &o.array {
        if !crate::text::is_name(array) {
            sh.complain("read", &format!("`{array}': not a valid identifier"));
            return Ok(false);
        }
        let name = sh.vars.resolve(sym(array));
        if sh.vars.is_assoc(name) {
            sh.complain("read", &format!("{array}: not an indexed array"));
            return Ok(false);
        }
        if sh.vars.flags(name) & READONLY != 0 {
            sh.error(&format!("{array}: readonly variable"));
            return Ok(false);
        }
        sh.vars.put(name, Value::Array(BTreeMap::new()));
        line.skip_blanks();
        let mut at = 0;
        while !line.rest.is_empty() {
            let word = line.word();
            if !assigned(sh.set_element(name, crate::vars::Key::Number(at), word, false))? {
                return Ok(false);
            }
            at += 1;
        }
        return Ok(true);
    }
    if names.is_empty() {
        return assigned(sh.set(symbols::REPLY, whole(input)));
    }
    line.skip_blanks();
    for (i, name) in names.iter().enumerate() {
        if !is_target(name) {
            sh.complain("read", &format!("`{name}': not a valid identifier"));
            return Ok(false);
        }
        let value = match () {
            () if line.rest.is_empty() => String::new(),
            () if i + 1 < names.len() => line.word(),
            () => line.last(),
        };
        if !assigned(sh.assign_text(name, value))? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn assigned(result: Run) -> Result<bool, Flow> {
    super::assigned(result).map(|status| status == 0)
}
