//! Executes a script of `sed` on its input, cycle after cycle.

use super::Options;
use super::input::{self, Event, Files, Lines};
use super::output::{Edited, Stream, Target};
use super::replace::Replacer;
use super::script::{Address, Command, Pattern, Range, Script, Substitute, Transliterate, Until, Verb};
use crate::os::{OsStrExt, os};
use crate::regex::{Regex, TooHard};
use agentos_guest::strerror;
use std::ffi::OsString;
use std::io::{self, Read};
use std::rc::Rc;

/// GNU numbers it as an error of the script.
const NO_PREVIOUS: &str = "-e expression #1, char 0: no previous regular expression";
/// The most that the spaces hold: more does not fit the memory of a VM's process.
const MOST: usize = 512 << 20;

/// Why `sed` ends before its input does.
pub(super) enum Stop {
    /// A message and the exit status.
    Failure(String, i32),
    /// Standard output cannot be written.
    Output(io::Error),
}

impl From<TooHard> for Stop {
    fn from(_: TooHard) -> Stop {
        Stop::Failure("regular expression takes too many steps".to_owned(), 4)
    }
}

/// What is written at the end of a cycle.
enum Queued<'s> {
    Text(&'s [u8]),
    File(&'s [u8]),
    Line(Vec<u8>, bool),
}

/// What follows a command.
enum Step {
    Next,
    Jump(usize),
    /// The cycle ends, with or without printing the pattern space.
    EndCycle(bool),
    /// The next cycle begins without reading a line.
    Again,
    /// As `q` and `Q`: print or not, and the status.
    Quit(bool, i32),
}

pub(super) struct Machine<'s> {
    script: &'s Script,
    options: &'s Options,
    files: Files,
    lines: Option<Lines>,
    /// The current file, and whether it is standard input.
    name: OsString,
    from_stdin: bool,
    number: u64,
    space: Vec<u8>,
    /// The line was ended by what ends lines.
    ended: bool,
    hold: Vec<u8>,
    hold_ended: bool,
    queue: Vec<Queued<'s>>,
    replaced: bool,
    last: Pattern,
    out: Stream,
    edited: Option<Edited>,
    targets: Vec<Target>,
    readers: Vec<Option<Lines>>,
    replacer: Replacer,
    end: u8,
    status: i32,
}

impl<'s> Machine<'s> {
    pub(super) fn new(
        script: &'s Script,
        options: &'s Options,
        files: Vec<OsString>,
        targets: Vec<Target>,
    ) -> Machine<'s> {
        let open = |name: &Vec<u8>| {
            let input: Box<dyn Read> = match name.as_slice() {
                b"/dev/stdin" => Box::new(crate::context::Descriptor(0)),
                name => Box::new(std::fs::File::open(os(name)).ok()?),
            };
            Some(Lines::new(input, options.end, true))
        };
        Machine {
            script,
            options,
            files: Files::new(files, options.in_place.is_some()),
            lines: None,
            name: "-".into(),
            from_stdin: false,
            number: 0,
            space: Vec::new(),
            ended: true,
            hold: Vec::new(),
            hold_ended: true,
            queue: Vec::new(),
            replaced: false,
            last: None,
            out: Stream::descriptor(1, options.unbuffered || agentos_guest::fd::isatty(1)),
            edited: None,
            targets,
            readers: script.reads.iter().map(open).collect(),
            replacer: Replacer::default(),
            end: options.end,
            status: 0,
        }
    }

    /// Runs the script to the end of the input; the result is the exit status.
    pub(super) fn run(&mut self) -> Result<i32, Stop> {
        let quiet = self.options.quiet || self.script.quiet;
        let mut again = false;
        self.read_before_lines();
        loop {
            if !std::mem::take(&mut again) {
                self.space.clear();
                if !self.read_line()? {
                    break;
                }
                if self.number == 1 {
                    self.flush_queue()?;
                }
            }
            let step = self.cycle()?;
            let print = match step {
                Step::Quit(print, _) | Step::EndCycle(print) => print,
                Step::Next | Step::Jump(_) => true,
                Step::Again => false,
            };
            if print && !quiet {
                self.print_space()?;
            }
            self.flush_queue()?;
            match step {
                Step::Quit(_, status) => {
                    self.quit()?;
                    self.status = status.max(if status == 0 { self.status } else { 0 });
                    break;
                }
                Step::Again => again = true,
                _ => {}
            }
        }
        for target in &mut self.targets {
            if let Target::Stream(stream) = target {
                stream.flush().map_err(Stop::Output)?;
            }
        }
        self.out.flush().map_err(Stop::Output)?;
        Ok(self.status)
    }

    /// `0r`: files that come before the first line.
    fn read_before_lines(&mut self) {
        for command in &self.script.commands {
            if let (Some(Address::Zero), None, Verb::Read(name)) =
                (&command.from, &command.until, &command.verb)
            {
                self.queue.push(Queued::File(name));
            }
        }
    }

    /// The rest of standard input is given back; that of a file that is edited in place is lost, as with GNU's.
    fn quit(&mut self) -> Result<(), Stop> {
        if self.edited.is_some() {
            return self.close();
        }
        if let Some(lines) = self.lines.as_ref().filter(|_| self.from_stdin) {
            input::give_back(lines);
        }
        Ok(())
    }

    fn stream(&mut self) -> &mut Stream {
        match &mut self.edited {
            Some(edited) => &mut edited.stream,
            None => &mut self.out,
        }
    }

    fn say(&mut self, status: i32, message: &str) {
        // What was written before comes first; a failure is found at the end.
        let _ = self.out.flush();
        eprintln!("sed: {message}");
        self.status = self.status.max(status);
    }

    /// Ends the current file.
    fn close(&mut self) -> Result<(), Stop> {
        self.lines = None;
        if let Some(edited) = self.edited.take() {
            let suffix = self.options.in_place.as_deref();
            edited.finish(suffix).map_err(|message| Stop::Failure(message, 4))?;
        }
        Ok(())
    }

    /// Opens the next file that there is; false after the last.
    fn open(&mut self) -> Result<bool, Stop> {
        loop {
            match self.files.next() {
                None => return Ok(false),
                Some(Event::Fails(message)) => {
                    let status = if message.starts_with("couldn't edit") { 4 } else { 2 };
                    self.say(status, &message)
                }
                Some(Event::Begins(name, input)) => {
                    if self.options.in_place.is_some() {
                        match Edited::begin(&name, self.options) {
                            Ok(edited) => self.edited = Some(edited),
                            Err(message) => return Err(Stop::Failure(message, 4)),
                        }
                    }
                    if self.options.separate {
                        self.number = 0;
                        // A new file begins anew.
                        for command in &self.script.commands {
                            let zero = matches!(command.from, Some(Address::Zero));
                            command.range.set(if zero { Range::Active(None) } else { Range::Inactive });
                        }
                    }
                    self.from_stdin = name == "-";
                    self.name = name;
                    self.lines = Some(Lines::new(input, self.end, !self.options.unbuffered));
                    return Ok(true);
                }
            }
        }
    }

    fn read_error(&mut self, error: &io::Error) -> Stop {
        // What was written before comes first; a failure of it counts less.
        let _ = self.out.flush();
        Stop::Failure(format!("read error on {}: {}", self.name.to_string_lossy(), strerror(error)), 4)
    }

    /// Appends the next line to the pattern space; false at the end of the input.
    fn read_line(&mut self) -> Result<bool, Stop> {
        loop {
            if let Some(lines) = &mut self.lines {
                match lines.read(&mut self.space) {
                    Ok(Some(ended)) => {
                        self.ended = ended;
                        self.number += 1;
                        self.replaced = false;
                        return Ok(true);
                    }
                    Ok(None) => self.close()?,
                    Err(error) => return Err(self.read_error(&error)),
                }
            }
            if !self.open()? {
                return Ok(false);
            }
        }
    }

    /// Whether the current line is the last one.
    fn is_last(&mut self) -> Result<bool, Stop> {
        loop {
            if let Some(lines) = &mut self.lines {
                match lines.more() {
                    Ok(true) => return Ok(false),
                    Ok(false) if self.options.separate => return Ok(true),
                    Ok(false) => self.close()?,
                    Err(error) => return Err(self.read_error(&error)),
                }
            } else if self.options.separate {
                return Ok(true);
            }
            if !self.open()? {
                return Ok(true);
            }
        }
    }

    /// Whether there is no line any more in any file.
    fn at_end(&mut self) -> Result<bool, Stop> {
        if !self.options.separate {
            return self.is_last();
        }
        if self.lines.as_mut().is_some_and(|lines| lines.more().unwrap_or(false)) {
            return Ok(false);
        }
        // Whether another file has a line is found out by reading it.
        Ok(self.files.is_empty())
    }

    fn print_space(&mut self) -> Result<(), Stop> {
        let (ended, end) = (self.ended, self.end);
        let stream = match &mut self.edited {
            Some(edited) => &mut edited.stream,
            None => &mut self.out,
        };
        stream.line(&self.space, ended, end).map_err(Stop::Output)
    }

    fn write_to(&mut self, target: usize, first: bool) -> Result<(), Stop> {
        let upto = if first {
            memchr::memchr(self.end, &self.space).unwrap_or(self.space.len())
        } else {
            self.space.len()
        };
        let ended = self.ended || upto < self.space.len();
        let stream = match &mut self.targets[target] {
            Target::Stream(stream) => stream,
            Target::Output => &mut self.out,
        };
        stream.line(&self.space[..upto], ended, self.end).map_err(Stop::Output)
    }

    /// What the script wrote so far, for whoever reads it next.
    fn flush_all(&mut self) -> Result<(), Stop> {
        for target in &mut self.targets {
            if let Target::Stream(stream) = target {
                stream.flush().map_err(Stop::Output)?;
            }
        }
        self.stream().flush().map_err(Stop::Output)
    }

    fn flush_queue(&mut self) -> Result<(), Stop> {
        for queued in std::mem::take(&mut self.queue) {
            let end = self.end;
            match queued {
                Queued::Text(text) => self.stream().raw(text, end).map_err(Stop::Output)?,
                Queued::Line(mut line, ended) => {
                    line.extend(ended.then_some(end));
                    self.stream().raw(&line, end).map_err(Stop::Output)?;
                }
                Queued::File(name) => {
                    self.flush_all()?;
                    let mut input: Box<dyn Read> = match name {
                        b"/dev/stdin" => Box::new(crate::context::Descriptor(0)),
                        name => match std::fs::File::open(os(name)) {
                            Ok(file) => Box::new(file),
                            // A file that cannot be read is as one that is empty.
                            Err(_) => continue,
                        },
                    };
                    let mut buf = vec![0; 32 * 1024];
                    while let Ok(n @ 1..) = input.read(&mut buf) {
                        self.stream().raw(&buf[..n], end).map_err(Stop::Output)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn regex(&mut self, pattern: &Pattern) -> Result<Rc<Regex>, Stop> {
        match pattern {
            Some(regex) => {
                if !self.last.as_ref().is_some_and(|last| Rc::ptr_eq(last, regex)) {
                    self.last = Some(Rc::clone(regex));
                }
                Ok(Rc::clone(regex))
            }
            None => self.last.clone().ok_or_else(|| Stop::Failure(NO_PREVIOUS.to_owned(), 1)),
        }
    }

    fn matches(&mut self, address: &Address) -> Result<bool, Stop> {
        Ok(match address {
            Address::Line(n) => self.number == *n,
            Address::Step(first, step) => {
                self.number >= *first && (self.number - first).is_multiple_of(*step)
            }
            Address::Last => self.is_last()?,
            Address::Pattern(pattern) => self.regex(pattern)?.is_match(&self.space)?,
            Address::Zero => false,
        })
    }

    fn selected(&mut self, command: &Command) -> Result<bool, Stop> {
        let Some(from) = &command.from else { return Ok(true) };
        let Some(until) = &command.until else { return self.matches(from) };
        match command.range.get() {
            Range::Active(Some(last)) => {
                if self.number >= last {
                    command.range.set(Range::Closed);
                }
                Ok(self.number <= last || self.matches(from)?)
            }
            Range::Active(None) => {
                if let Until::Address(address) = until
                    && self.matches(address)?
                {
                    command.range.set(Range::Closed);
                }
                Ok(true)
            }
            Range::Inactive | Range::Closed => {
                if !self.matches(from)? {
                    return Ok(false);
                }
                let last = match until {
                    Until::Address(Address::Line(n)) => Some(*n),
                    Until::Address(_) => None,
                    Until::Lines(n) => Some(self.number.saturating_add(*n)),
                    Until::Multiple(0) => Some(self.number),
                    Until::Multiple(n) => Some((self.number / n + 1).saturating_mul(*n)),
                };
                // A last line that has passed already: this line only.
                if last.is_none_or(|last| last > self.number) {
                    command.range.set(Range::Active(last));
                } else {
                    command.range.set(Range::Closed);
                }
                Ok(true)
            }
        }
    }

    fn cycle(&mut self) -> Result<Step, Stop> {
        let script = self.script;
        let mut at = 0;
        while let Some(command) = script.commands.get(at) {
            at += 1;
            if self.selected(command)? == command.negated {
                if let Verb::Block(end) = command.verb {
                    at = end;
                }
                continue;
            }
            match self.execute(command)? {
                Step::Next => {}
                Step::Jump(to) => at = to,
                other => return Ok(other),
            }
        }
        Ok(Step::EndCycle(true))
    }

    fn limit(&self) -> Result<(), Stop> {
        if self.space.len() + self.hold.len() > MOST {
            return Err(Stop::Failure("couldn't allocate memory".to_owned(), 4));
        }
        Ok(())
    }

    fn execute(&mut self, command: &'s Command) -> Result<Step, Stop> {
        let end = self.end;
        match &command.verb {
            Verb::Nothing | Verb::Block(_) => {}
            Verb::Equals => {
                let text = format!("{}\n", self.number);
                self.stream().raw(text.as_bytes(), end).map_err(Stop::Output)?;
            }
            Verb::Append(text) => self.queue.push(Queued::Text(text)),
            Verb::Insert(text) => self.stream().raw(text, end).map_err(Stop::Output)?,
            Verb::Change(text) => {
                // In a range the text comes once, at its end.
                let inside = command.until.is_some() && matches!(command.range.get(), Range::Active(_));
                if command.negated || !inside {
                    self.stream().raw(text, end).map_err(Stop::Output)?;
                }
                return Ok(Step::EndCycle(false));
            }
            Verb::Branch(to) => return Ok(Step::Jump(*to)),
            Verb::BranchIf(to) => {
                if std::mem::take(&mut self.replaced) {
                    return Ok(Step::Jump(*to));
                }
            }
            Verb::BranchUnless(to) => {
                if !std::mem::take(&mut self.replaced) {
                    return Ok(Step::Jump(*to));
                }
            }
            Verb::Delete => return Ok(Step::EndCycle(false)),
            Verb::DeleteFirst => match memchr::memchr(end, &self.space) {
                Some(at) => {
                    self.space.drain(..=at);
                    return Ok(Step::Again);
                }
                None => return Ok(Step::EndCycle(false)),
            },
            Verb::Execute(text) => {
                if text.is_empty() {
                    let command = std::mem::take(&mut self.space);
                    self.space = self.shell(&command)?;
                    if self.space.last() == Some(&end) {
                        self.space.pop();
                    }
                } else {
                    let output = self.shell(text)?;
                    self.stream().raw(&output, end).map_err(Stop::Output)?;
                }
            }
            Verb::FileName => {
                let mut name = self.name.as_bytes().to_vec();
                name.push(b'\n');
                self.stream().raw(&name, end).map_err(Stop::Output)?;
            }
            Verb::Get => {
                self.space.clone_from(&self.hold);
                self.ended = self.hold_ended;
            }
            Verb::GetAppend => {
                self.limit()?;
                self.space.push(end);
                self.space.extend_from_slice(&self.hold);
                self.ended = self.hold_ended;
            }
            Verb::Hold => {
                self.hold.clone_from(&self.space);
                self.hold_ended = self.ended;
            }
            Verb::HoldAppend => {
                self.limit()?;
                self.hold.push(end);
                self.hold.extend_from_slice(&self.space);
                self.hold_ended = self.ended;
            }
            Verb::Exchange => {
                std::mem::swap(&mut self.space, &mut self.hold);
                std::mem::swap(&mut self.ended, &mut self.hold_ended);
            }
            Verb::List(width) => {
                let text = listed(&self.space, width.unwrap_or(self.options.line_length), end);
                self.stream().raw(&text, end).map_err(Stop::Output)?;
            }
            Verb::Next => {
                if self.at_end()? {
                    // POSIX: without a next line, nothing more is done, and nothing is printed by GNU in its POSIX mode.
                    return Ok(Step::Quit(!self.options.posix, 0));
                }
                if !(self.options.quiet || self.script.quiet) {
                    self.print_space()?;
                }
                self.flush_queue()?;
                self.space.clear();
                if !self.read_line()? {
                    return Ok(Step::Quit(false, 0));
                }
            }
            Verb::NextAppend => {
                self.limit()?;
                if self.at_end()? {
                    return Ok(Step::Quit(!self.options.posix, 0));
                }
                self.flush_queue()?;
                self.space.push(end);
                let replaced = self.replaced;
                if !self.read_line()? {
                    self.space.pop();
                    return Ok(Step::Quit(true, 0));
                }
                self.replaced = replaced;
            }
            Verb::Print => self.print_space()?,
            Verb::PrintFirst => {
                let upto = memchr::memchr(end, &self.space).unwrap_or(self.space.len());
                let stream = match &mut self.edited {
                    Some(edited) => &mut edited.stream,
                    None => &mut self.out,
                };
                stream.line(&self.space[..upto], true, end).map_err(Stop::Output)?;
            }
            Verb::Quit(status) => return Ok(Step::Quit(true, *status)),
            Verb::QuitSilently(status) => return Ok(Step::Quit(false, *status)),
            Verb::Read(name) => self.queue.push(Queued::File(name)),
            Verb::ReadLine(reader) => {
                let mut line = Vec::new();
                if let Some(lines) = &mut self.readers[*reader]
                    && let Ok(Some(ended)) = lines.read(&mut line)
                {
                    self.queue.push(Queued::Line(line, ended));
                }
            }
            Verb::Substitute(s) => self.substitute(s)?,
            Verb::Write(target) => self.write_to(*target, false)?,
            Verb::WriteFirst(target) => self.write_to(*target, true)?,
            Verb::Transliterate(table) => self.transliterate(table),
            Verb::Zap => self.space.clear(),
        }
        Ok(Step::Next)
    }

    fn substitute(&mut self, s: &Substitute) -> Result<(), Stop> {
        let regex = self.regex(&s.pattern)?;
        if !self.replacer.replace(s, &regex, &mut self.space)? {
            return Ok(());
        }
        self.limit()?;
        self.replaced = true;
        if s.evaluate {
            let command = std::mem::take(&mut self.space);
            self.space = self.shell(&command)?;
            if self.space.last() == Some(&self.end) {
                self.space.pop();
            }
        }
        if s.print {
            self.print_space()?;
        }
        match s.write {
            Some(target) => self.write_to(target, false),
            None => Ok(()),
        }
    }

    fn transliterate(&mut self, table: &Transliterate) {
        match table {
            Transliterate::Bytes(table) => {
                for b in &mut self.space {
                    *b = table[usize::from(*b)];
                }
            }
            Transliterate::Characters(map) => {
                let mut out = Vec::with_capacity(self.space.len());
                for chunk in self.space.utf8_chunks() {
                    let mut buf = [0; 4];
                    for c in chunk.valid().chars() {
                        let c = map.get(&c).copied().unwrap_or(c);
                        out.extend_from_slice(c.encode_utf8(&mut buf).as_bytes());
                    }
                    out.extend_from_slice(chunk.invalid());
                }
                self.space = out;
            }
        }
    }

    /// What a command writes.
    fn shell(&mut self, command: &[u8]) -> Result<Vec<u8>, Stop> {
        self.flush_all()?;
        let mut shell = agentos_guest::process::Command::new("/bin/sh");
        match shell.arg0("sh").arg("-c").arg(os(command)).output() {
            Ok((_, output)) => Ok(output),
            Err(error) => Err(Stop::Failure(format!("couldn't run a command: {}", strerror(&error)), 4)),
        }
    }
}

/// The pattern space as `l` shows it; `width` 0 or 1: in one line.
fn listed(space: &[u8], width: usize, end: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let mut column = 0;
    for &b in space {
        let text: Vec<u8> = match b {
            b'\\' => b"\\\\".to_vec(),
            0x07 => b"\\a".to_vec(),
            0x08 => b"\\b".to_vec(),
            0x0c => b"\\f".to_vec(),
            b'\n' if end != 0 => b"\\n".to_vec(),
            b'\r' => b"\\r".to_vec(),
            b'\t' => b"\\t".to_vec(),
            0x0b => b"\\v".to_vec(),
            b' '..=b'~' => vec![b],
            _ => format!("\\{b:03o}").into_bytes(),
        };
        if width > 0 && column + text.len() > width - 1 {
            out.extend_from_slice(b"\\\n");
            column = 0;
        }
        column += text.len();
        out.extend(text);
    }
    out.extend_from_slice(b"$\n");
    out
}
