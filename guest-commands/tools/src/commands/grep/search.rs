//! Searches one file and prints what was found. Which files are searched is decided elsewhere.

use super::colors::Colors;
use super::finder::Finder;
use super::{Binary, Config, Show};
use crate::context::{Cx, Descriptor, End};
use crate::os::OsStrExt;
use agentos_guest::strerror;
use grep_matcher::LineTerminator;
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkMatch};
use std::ffi::OsStr;
use std::io::{self, Read};

/// The least width of numbers before a tab.
const INITIAL_TAB_WIDTH: usize = 2;
/// How much of a file is looked at for NUL bytes before it is searched, as GNU's buffer.
const PEEK: usize = 32 * 1024;

/// One run of grep over its files.
pub(crate) struct Run<'a> {
    cx: &'a mut Cx,
    config: &'a Config,
    matcher: &'a Finder,
    searcher: Searcher,
    /// The beginning of each file in turn.
    head: Vec<u8>,
    failed: bool,
    found: bool,
    /// A group of lines has been printed: the next one is separated from it.
    grouped: bool,
}

impl<'a> Run<'a> {
    pub(crate) fn new(cx: &'a mut Cx, config: &'a Config, matcher: &'a Finder) -> Run<'a> {
        let mut builder = SearcherBuilder::new();
        builder
            .line_terminator(LineTerminator::byte(config.line_end))
            .invert_match(config.invert)
            .line_number(config.numbers)
            .before_context(config.before)
            .after_context(config.after)
            .max_matches(config.max)
            .bom_sniffing(false)
            // A line longer than this is more than a VM's process has memory for.
            .heap_limit(Some(256 << 20))
            .binary_detection(BinaryDetection::none());
        Run {
            cx,
            config,
            matcher,
            searcher: builder.build(),
            head: vec![0; PEEK],
            failed: false,
            found: false,
            grouped: false,
        }
    }

    /// Whether a file could not be read.
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    /// Whether no further file can change the outcome (`-q`).
    pub(crate) fn done(&self) -> bool {
        self.config.show == Show::Nothing && self.found
    }

    pub(crate) fn silent(&self) -> bool {
        self.config.silent
    }

    pub(crate) fn say(&mut self, message: String) {
        self.cx.say(message);
    }

    /// Tells that a file cannot be read.
    pub(crate) fn fail(&mut self, path: &OsStr, error: &io::Error) {
        self.failed = true;
        if !self.config.silent {
            self.cx.say(format_args!("{}: {}", path.to_string_lossy(), strerror(error)));
        }
    }

    /// Searches standard input.
    pub(crate) fn stdin(&mut self) -> Result<bool, End> {
        let label = self.config.label.clone();
        self.reader(Descriptor(0), false, &label)
    }

    /// Searches a file.
    pub(crate) fn file(&mut self, path: &OsStr, regular: bool) -> Result<bool, End> {
        self.named_file(path, path, regular)
    }

    /// Searches a file that is shown under another name; `regular`: it is not one that may be waited for.
    pub(crate) fn named_file(&mut self, path: &OsStr, shown: &OsStr, regular: bool) -> Result<bool, End> {
        match std::fs::File::open(path) {
            Ok(file) => self.reader(file, regular, shown),
            Err(error) => {
                self.fail(shown, &error);
                Ok(false)
            }
        }
    }

    fn reader(&mut self, mut input: impl Read, regular: bool, shown: &OsStr) -> Result<bool, End> {
        if self.config.max == Some(0) {
            return Ok(false);
        }
        let mut buf = std::mem::take(&mut self.head);
        let found = self.with_head(&mut input, regular, shown, &mut buf);
        self.head = buf;
        found
    }

    fn with_head(
        &mut self,
        input: &mut impl Read,
        regular: bool,
        shown: &OsStr,
        buf: &mut [u8],
    ) -> Result<bool, End> {
        let (mut n, mut whole, mut again) = (0, false, regular);
        while n < buf.len() {
            match input.read(&mut buf[n..]) {
                Ok(0) => {
                    whole = true;
                    break;
                }
                Ok(more) => n += more,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.fail(shown, &error);
                    return Ok(false);
                }
            }
            // A second read shows the end of a short file; of a pipe, it would wait for what may never come.
            if !std::mem::take(&mut again) {
                break;
            }
        }
        let head = &buf[..n];
        let binary = self.config.binary != Binary::Text
            && self.config.line_end != 0
            && memchr::memchr(0, head).is_some();
        if binary && self.config.binary == Binary::Skip {
            return Ok(false);
        }
        let mut sink = Printer {
            cx: self.cx,
            config: self.config,
            matcher: self.matcher,
            shown,
            binary,
            reported: false,
            selected: 0,
            grouped: &mut self.grouped,
            in_file: false,
            next: 0,
        };
        let result = if whole {
            self.searcher.search_slice(self.matcher, head, &mut sink)
        } else {
            self.searcher.search_reader(self.matcher, head.chain(input), &mut sink)
        };
        let selected = sink.selected;
        match result {
            Ok(()) => {}
            Err(Stop::Output(end)) => return Err(end),
            Err(Stop::Read(error)) => {
                self.fail(shown, &error);
            }
        }
        self.found |= selected > 0;
        self.summary(shown, selected)?;
        Ok(selected > 0)
    }

    /// What `-c` and `-L` say of a file without selected lines.
    pub(crate) fn nothing_in(&mut self, shown: &OsStr) -> Result<(), End> {
        self.summary(shown, 0)
    }

    fn summary(&mut self, shown: &OsStr, selected: u64) -> Result<(), End> {
        let listed = match self.config.show {
            Show::Count => {
                if self.config.names {
                    put_name(self.cx, self.config, shown, b':')?;
                }
                return self.cx.print(format_args!("{selected}\n"));
            }
            Show::NamesWith => selected > 0,
            Show::NamesWithout => selected == 0,
            _ => false,
        };
        if listed {
            put_colored(self.cx, self.config, shown.as_bytes(), |c| &c.file)?;
            self.cx.put(if self.config.null_names { b"\0" } else { b"\n" })?;
        }
        if self.config.line_buffered { self.cx.flush() } else { Ok(()) }
    }
}

fn put_name(cx: &mut Cx, config: &Config, shown: &OsStr, mark: u8) -> Result<(), End> {
    put_colored(cx, config, shown.as_bytes(), |c| &c.file)?;
    if config.null_names { cx.put(b"\0") } else { put_colored(cx, config, &[mark], |c| &c.separator) }
}

/// Writes text in one of the colours, if there are colours.
fn put_colored(
    cx: &mut Cx,
    config: &Config,
    text: &[u8],
    color: impl Fn(&Colors) -> &[u8],
) -> Result<(), End> {
    match &config.colors {
        Some(colors) => {
            let mut out = Vec::new();
            colors.paint(color(colors), text, &mut out);
            cx.put(&out)
        }
        None => cx.put(text),
    }
}

/// Why a search stops early.
enum Stop {
    Output(End),
    Read(io::Error),
}

impl grep_searcher::SinkError for Stop {
    fn error_message<T: std::fmt::Display>(message: T) -> Self {
        Stop::Read(io::Error::other(message.to_string()))
    }

    fn error_io(error: io::Error) -> Self {
        Stop::Read(error)
    }
}

impl From<End> for Stop {
    fn from(end: End) -> Stop {
        Stop::Output(end)
    }
}

struct Printer<'r> {
    cx: &'r mut Cx,
    config: &'r Config,
    matcher: &'r Finder,
    shown: &'r OsStr,
    binary: bool,
    reported: bool,
    selected: u64,
    grouped: &'r mut bool,
    in_file: bool,
    /// Where the line after the last selected one begins.
    next: u64,
}

impl Printer<'_> {
    fn prefix(&mut self, number: Option<u64>, offset: u64, mark: u8, filled: bool) -> Result<(), End> {
        let Printer { cx, config, .. } = self;
        if config.names {
            put_name(cx, config, self.shown, mark)?;
        }
        // So that tabs of the lines are where they would be without the numbers.
        let width = if config.initial_tab { INITIAL_TAB_WIDTH } else { 0 };
        let number = number.filter(|_| config.numbers);
        if let Some(number) = number {
            put_colored(cx, config, format!("{number:width$}").as_bytes(), |c| &c.line_number)?;
            put_colored(cx, config, &[mark], |c| &c.separator)?;
        }
        if config.offsets {
            put_colored(cx, config, format!("{offset:width$}").as_bytes(), |c| &c.byte_offset)?;
            put_colored(cx, config, &[mark], |c| &c.separator)?;
        }
        if config.initial_tab && filled && (config.names || number.is_some() || config.offsets) {
            cx.put(b"\t")?;
        }
        Ok(())
    }

    /// The line with its matches in their colour.
    fn painted(&self, colors: &Colors, text: &[u8], mark: u8) -> Vec<u8> {
        let selected = mark == b':';
        let matching = selected != self.config.invert;
        let (line, found) = match (selected != (self.config.invert && colors.reverse), selected) {
            (true, true) => (&colors.selected_line, &colors.selected_match),
            (true, false) => (&colors.selected_line, &colors.context_match),
            (false, true) => (&colors.context_line, &colors.selected_match),
            (false, false) => (&colors.context_line, &colors.context_match),
        };
        let mut out = Vec::new();
        let (mut done, mut at) = (0, 0);
        while matching && !found.is_empty() {
            // What takes too many steps is not coloured; that it matches has been found before.
            let Ok(Some((start, end))) = self.matcher.place(text, at) else { break };
            if start < end {
                colors.paint(line, &text[done..start], &mut out);
                colors.paint(found, &text[start..end], &mut out);
                done = end;
            }
            at = if start < end { end } else { end + 1 };
        }
        colors.paint(line, &text[done..], &mut out);
        out
    }

    fn line(&mut self, bytes: &[u8], number: Option<u64>, offset: u64, mark: u8) -> Result<(), End> {
        self.separate()?;
        let text = bytes.strip_suffix(&[self.config.line_end]).unwrap_or(bytes);
        self.prefix(number, offset, mark, !text.is_empty())?;
        match &self.config.colors {
            None => self.cx.put(bytes)?,
            Some(colors) => {
                let mut out = if self.config.show == Show::Parts {
                    let mut out = Vec::new();
                    let color = if mark == b':' { &colors.selected_match } else { &colors.context_match };
                    colors.paint(color, text, &mut out);
                    out
                } else {
                    self.painted(colors, text, mark)
                };
                out.extend_from_slice(&bytes[text.len()..]);
                self.cx.put(&out)?;
            }
        }
        if bytes.last() != Some(&self.config.line_end) {
            self.cx.put(&[self.config.line_end])?;
        }
        if self.config.line_buffered { self.cx.flush() } else { Ok(()) }
    }

    /// The line between groups of different files; those within a file the searcher tells of.
    fn separate(&mut self) -> Result<(), End> {
        if !self.in_file {
            self.in_file = true;
            if *self.grouped {
                self.separator()?;
            }
            *self.grouped = self.config.grouped;
        }
        Ok(())
    }

    fn separator(&mut self) -> Result<(), End> {
        if let Some(text) = &self.config.separator {
            put_colored(self.cx, self.config, text, |c| &c.separator)?;
            self.cx.put(b"\n")?;
        }
        Ok(())
    }

    /// The parts of a line that match, one on each line.
    fn parts(&mut self, bytes: &[u8], number: Option<u64>, offset: u64, mark: u8) -> Result<(), End> {
        self.separate()?;
        let text = bytes.strip_suffix(&[self.config.line_end]).unwrap_or(bytes);
        let mut at = 0;
        // Lines that take too many steps have been told of when they were searched.
        while let Ok(Some((start, end))) = self.matcher.place(text, at) {
            if start < end {
                self.line(&text[start..end], number, offset + start as u64, mark)?;
            }
            at = if start < end { end } else { end + 1 };
        }
        Ok(())
    }

    /// Whether the line may be shown; else the file is reported as binary, once.
    fn is_text(&mut self, bytes: &[u8]) -> Result<bool, End> {
        if self.config.binary == Binary::Text {
            return Ok(true);
        }
        self.binary |= std::str::from_utf8(bytes).is_err();
        if self.binary && !self.reported {
            self.reported = true;
            let name = self.shown.to_string_lossy().into_owned();
            self.cx.say(format_args!("{name}: binary file matches"));
        }
        Ok(!self.binary)
    }
}

impl Sink for Printer<'_> {
    type Error = Stop;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> Result<bool, Stop> {
        self.selected += 1;
        match self.config.show {
            Show::Count => return Ok(true),
            Show::NamesWith | Show::NamesWithout | Show::Nothing => return Ok(false),
            Show::Lines | Show::Parts => {}
        }
        let (bytes, number, offset) = (found.bytes(), found.line_number(), found.absolute_byte_offset());
        if !self.is_text(bytes)? {
            return Ok(false);
        }
        // Where no line stands around another, the searcher tells of no groups.
        if self.config.grouped
            && self.config.before + self.config.after == 0
            && self.in_file
            && offset != self.next
        {
            self.separator()?;
        }
        self.next = offset + bytes.len() as u64;
        match (self.config.show, self.config.invert) {
            (Show::Lines, _) => self.line(bytes, number, offset, b':')?,
            (_, false) => self.parts(bytes, number, offset, b':')?,
            // A selected line has no part that matches.
            (_, true) => self.separate()?,
        }
        Ok(true)
    }

    fn context(&mut self, _: &Searcher, context: &SinkContext<'_>) -> Result<bool, Stop> {
        if self.is_text(context.bytes())? {
            let (number, offset) = (context.line_number(), context.absolute_byte_offset());
            match (self.config.show, self.config.invert) {
                (Show::Lines, _) => self.line(context.bytes(), number, offset, b'-')?,
                // The lines around those that do not match are those that do.
                (_, true) => self.parts(context.bytes(), number, offset, b'-')?,
                (_, false) => self.separate()?,
            }
        }
        Ok(!self.binary)
    }

    fn context_break(&mut self, _: &Searcher) -> Result<bool, Stop> {
        if self.in_file {
            self.separator()?;
        }
        Ok(true)
    }
}
