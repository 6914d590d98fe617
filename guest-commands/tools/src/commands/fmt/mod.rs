//! `fmt`: fills and joins the lines of paragraphs so that they are of about one width. Columns are bytes, and a paragraph that
//! is too long is formatted in pieces.

mod breaks;

use crate::context::{Cx, End, Outcome, open_input};
use crate::options::{Order, parse};
use crate::os::{OsStrExt, os_owned};
use crate::quote::{quote, quoteaf};
use agentos_guest::strerror;
use breaks::{Measures, Word};
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};

const SPEC: &[&str] = &[
    "c,crown-margin",
    "p,prefix=",
    "s,split-only",
    "t,tagged-paragraph",
    "u,uniform-spacing",
    "w,width=",
    "g,goal=",
];
const HELP: &str = "{} [-WIDTH] [OPTION]... [FILE]...
Reformat each paragraph in the FILE(s), writing to standard output.
  -c, --crown-margin      preserve indentation of first two lines
  -p, --prefix=STRING     reformat only lines beginning with STRING, reattaching the prefix to reformatted lines
  -s, --split-only        split long lines, but do not refill
  -t, --tagged-paragraph  indentation of first line different from second
  -u, --uniform-spacing   one space between words, two after sentences
  -w, --width=WIDTH       maximum line width (default of 75 columns)
  -g, --goal=WIDTH        goal width (default of 93% of width)";

/// What a paragraph may hold before it is cut.
const MOST_BYTES: usize = 5000;
const MOST_WORDS: usize = 1000;
const MOST_WIDTH: i64 = 2500;
/// The indent of a tagged paragraph whose first lines do not show it.
const TAG_INDENT: i64 = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Crown,
    Tagged,
    Split,
}

struct Options {
    style: Style,
    uniform: bool,
    /// The prefix without blanks around it, their number before it, and its length with those after it.
    prefix: Vec<u8>,
    lead: i64,
    full: i64,
    goal: i64,
    most: i64,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let mut args = args.to_vec();
    if let Some([b'-', digits @ ..]) = args.first().map(|arg| arg.as_bytes())
        && digits.first().is_some_and(u8::is_ascii_digit)
    {
        args[0] = os_owned([b"-w", digits].concat());
    }
    if let Err(message) = parse(SPEC, &args, Order::Permute)
        && let Some(digit) = message.strip_prefix("invalid option -- '").and_then(|m| m.chars().next())
        && digit.is_ascii_digit()
    {
        let what = "-WIDTH is recognized only when it is the first\noption; use -w N instead";
        return Err(cx.usage(format!("invalid option -- {digit}; {what}")));
    }
    let parsed = cx.parse(SPEC, &args, Order::Permute, HELP)?;
    let (mut crown, mut tagged, mut split, mut uniform) = (false, false, false, false);
    let (mut width, mut goal, mut prefix) = (None, None, Vec::new());
    for opt in &parsed.opts {
        match opt.id {
            "crown-margin" => crown = true,
            "tagged-paragraph" => tagged = true,
            "split-only" => split = true,
            "uniform-spacing" => uniform = true,
            "prefix" => prefix = opt.arg().as_bytes().to_vec(),
            "width" => width = Some(opt.arg().to_owned()),
            _ => goal = Some(opt.arg().to_owned()),
        }
    }
    let mut most = 75;
    if let Some(width) = &width {
        most = measure(width, MOST_WIDTH)?;
    }
    let goal = match &goal {
        Some(goal) => {
            let goal = measure(goal, most)?;
            if width.is_none() {
                most = goal + 10;
            }
            goal
        }
        None => most * 187 / 200,
    };
    let lead = prefix.iter().take_while(|b| **b == b' ').count();
    prefix.drain(..lead);
    let full = prefix.len() as i64;
    prefix.truncate(prefix.iter().rposition(|b| *b != b' ').map_or(0, |at| at + 1));
    // What keeps more of the text as it is comes first.
    let style = match (split, crown, tagged) {
        (true, ..) => Style::Split,
        (_, true, _) => Style::Crown,
        (_, _, true) => Style::Tagged,
        _ => Style::Plain,
    };
    let options = Options { style, uniform, prefix, lead: lead as i64, full, goal, most };
    let stdin = [OsString::from("-")];
    let files = if parsed.operands.is_empty() { &stdin[..] } else { &parsed.operands[..] };
    for file in files {
        match open_input(file) {
            Ok(input) => {
                let mut text = Text::new(&options, input);
                text.format(cx)?;
                if text.failed.is_some() {
                    cx.warn("read error");
                }
            }
            Err(error) => {
                cx.warn(format_args!("cannot open {} for reading: {}", quoteaf(file), strerror(&error)));
            }
        }
    }
    Ok(0)
}

fn measure(text: &OsStr, most: i64) -> Result<i64, End> {
    let digits = text.to_string_lossy().trim_start().trim_start_matches('+').to_owned();
    let invalid = |why: &str| End::Failure(1, format!("invalid width: {}{why}", quote(text)));
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid(""));
    }
    match digits.parse::<i64>() {
        Ok(number) if number <= most => Ok(number),
        Ok(_) => Err(invalid(": Numerical result out of range")),
        Err(_) => Err(invalid(": Value too large for defined data type")),
    }
}

/// A file on its way through the formatter.
struct Text<'a> {
    o: &'a Options,
    input: Box<dyn Read>,
    buffer: Vec<u8>,
    at: usize,
    failed: Option<io::Error>,
    /// Tabs came before words: indents are made of them too.
    tabs: bool,
    /// The column of what is read next.
    column: i64,
    out_column: i64,
    prefix_indent: i64,
    next_prefix_indent: i64,
    first_indent: i64,
    other_indent: i64,
    last_line: i64,
    words: Vec<Word>,
    held: usize,
}

impl<'a> Text<'a> {
    fn new(o: &'a Options, input: Box<dyn Read>) -> Text<'a> {
        Text {
            o,
            input,
            buffer: Vec::new(),
            at: 0,
            failed: None,
            tabs: false,
            column: 0,
            out_column: 0,
            prefix_indent: 0,
            next_prefix_indent: 0,
            first_indent: 0,
            other_indent: 0,
            last_line: 0,
            words: Vec::new(),
            held: 0,
        }
    }

    fn byte(&mut self) -> Option<u8> {
        while self.at == self.buffer.len() {
            if self.failed.is_some() {
                return None;
            }
            self.buffer.resize(32 * 1024, 0);
            self.at = 0;
            match self.input.read(&mut self.buffer) {
                Ok(n) => {
                    self.buffer.truncate(n);
                    if n == 0 {
                        return None;
                    }
                }
                Err(error) => {
                    self.buffer.clear();
                    if error.kind() != io::ErrorKind::Interrupted {
                        self.failed = Some(error);
                    }
                }
            }
        }
        self.at += 1;
        Some(self.buffer[self.at - 1])
    }

    fn format(&mut self, cx: &mut Cx) -> Result<(), End> {
        let mut next = self.line_start();
        while let Some(after) = self.paragraph(cx, next)? {
            next = after;
            let lines = breaks::best(&self.words, &self.measures());
            self.put(cx, &lines, self.words.len())?;
        }
        Ok(())
    }

    fn measures(&self) -> Measures {
        Measures {
            goal: self.o.goal,
            most: self.o.most,
            first_indent: self.first_indent,
            other_indent: self.other_indent,
            last_line: self.last_line,
        }
    }

    /// Passes blanks, beginning with `b`; gives what comes after them.
    fn blanks(&mut self, mut b: Option<u8>) -> Option<u8> {
        loop {
            match b {
                Some(b' ') => self.column += 1,
                Some(b'\t') => {
                    self.tabs = true;
                    self.column = (self.column / 8 + 1) * 8;
                }
                other => return other,
            }
            b = self.byte();
        }
    }

    /// Passes the indent and the prefix of a line.
    fn line_start(&mut self) -> Option<u8> {
        self.column = 0;
        let first = self.byte();
        let mut b = self.blanks(first);
        if self.o.prefix.is_empty() {
            self.next_prefix_indent = self.o.lead.min(self.column);
            return b;
        }
        self.next_prefix_indent = self.column;
        for wanted in &self.o.prefix {
            if b != Some(*wanted) {
                return b;
            }
            self.column += 1;
            b = self.byte();
        }
        self.blanks(b)
    }

    /// Whether a line that has begun with `b` is one of the paragraph so far.
    fn continues(&self, b: Option<u8>) -> bool {
        self.next_prefix_indent == self.prefix_indent
            && self.column >= self.next_prefix_indent + self.o.full
            && !matches!(b, Some(b'\n') | None)
    }

    /// Copies what belongs to no paragraph and reads the next one; gives what comes after it, unless there is none.
    fn paragraph(&mut self, cx: &mut Cx, mut b: Option<u8>) -> Result<Option<Option<u8>>, End> {
        self.last_line = 0;
        while matches!(b, Some(b'\n') | None)
            || self.next_prefix_indent < self.o.lead
            || self.column < self.next_prefix_indent + self.o.full
        {
            b = self.copy_rest(cx, b)?;
            if b.is_none() {
                return Ok(None);
            }
            cx.put(b"\n")?;
            b = self.line_start();
        }
        self.prefix_indent = self.next_prefix_indent;
        self.first_indent = self.column;
        self.words.clear();
        self.held = 0;
        b = self.line(cx, b)?;
        let same = self.continues(b);
        self.set_other_indent(same);
        let more = match self.o.style {
            Style::Split => false,
            Style::Tagged => self.column != self.first_indent,
            Style::Crown => true,
            Style::Plain => self.column == self.other_indent,
        };
        if more && same {
            loop {
                b = self.line(cx, b)?;
                if !self.continues(b) || self.column != self.other_indent {
                    break;
                }
            }
        }
        if let Some(word) = self.words.last_mut() {
            (word.period, word.last) = (true, true);
        }
        Ok(Some(b))
    }

    fn set_other_indent(&mut self, same: bool) {
        self.other_indent = match self.o.style {
            Style::Crown if same => self.column,
            Style::Tagged if same && self.column != self.first_indent => self.column,
            // With one line there is nothing to go by, but the paragraph must look like a tagged one.
            Style::Tagged if self.other_indent == self.first_indent => {
                if self.first_indent == 0 {
                    TAG_INDENT
                } else {
                    0
                }
            }
            Style::Tagged => self.other_indent,
            _ => self.first_indent,
        };
    }

    /// Copies a line that is not formatted; gives its end.
    fn copy_rest(&mut self, cx: &mut Cx, mut b: Option<u8>) -> Result<Option<u8>, End> {
        self.out_column = 0;
        let ends = matches!(b, Some(b'\n') | None);
        if self.column > self.next_prefix_indent || !ends {
            self.space(cx, self.next_prefix_indent)?;
            let shown = usize::try_from(self.column - self.out_column).unwrap_or(0).min(self.o.prefix.len());
            cx.put(&self.o.prefix[..shown])?;
            self.out_column += shown as i64;
            if !ends {
                self.space(cx, self.column - self.out_column)?;
            }
            if b.is_none() && self.column >= self.next_prefix_indent + self.o.prefix.len() as i64 {
                cx.put(b"\n")?;
            }
        }
        while let Some(byte) = b {
            if byte == b'\n' {
                break;
            }
            cx.put(&[byte])?;
            b = self.byte();
        }
        Ok(b)
    }

    /// Reads the words of a line; gives what the next line begins with.
    fn line(&mut self, cx: &mut Cx, mut b: Option<u8>) -> Result<Option<u8>, End> {
        loop {
            let mut text = Vec::new();
            let mut first = true;
            while let Some(byte) = b {
                // White space that is no blank ends a word and begins the next.
                if matches!(byte, b' ' | b'\t'..=b'\r') && !first {
                    break;
                }
                first = false;
                if self.held == MOST_BYTES {
                    self.make_room(cx, &mut text)?;
                }
                text.push(byte);
                self.held += 1;
                b = self.byte();
            }
            self.column += text.len() as i64;
            let mut word = Word::new(text);
            let before = self.column;
            b = self.blanks(b);
            word.space = self.column - before;
            let ends = matches!(b, Some(b'\n') | None);
            word.last = b.is_none() || (word.period && (b == Some(b'\n') || word.space > 1));
            if ends || self.o.uniform {
                word.space = if word.last { 2 } else { 1 };
            }
            if self.words.len() == MOST_WORDS - 2 {
                self.set_other_indent(true);
                self.flush(cx)?;
            }
            self.words.push(word);
            if ends {
                return Ok(self.line_start());
            }
        }
    }

    /// Formats what is held, so that more can be; a word that is too long alone is written as it is.
    fn make_room(&mut self, cx: &mut Cx, text: &mut Vec<u8>) -> Result<(), End> {
        self.set_other_indent(true);
        if self.words.is_empty() {
            cx.put(text)?;
            text.clear();
            self.held = 0;
            return Ok(());
        }
        self.flush(cx)
    }

    fn flush(&mut self, cx: &mut Cx) -> Result<(), End> {
        let lines = breaks::best(&self.words, &self.measures());
        let end = breaks::cut(&lines);
        self.put(cx, &lines, end)?;
        let gone: usize = self.words.drain(..end).map(|word| word.text.len()).sum();
        self.held -= gone;
        Ok(())
    }

    /// Writes the lines from the first word to the word `end`.
    fn put(&mut self, cx: &mut Cx, lines: &[breaks::Line], end: usize) -> Result<(), End> {
        let (mut start, mut indent) = (0, self.first_indent);
        while start < end {
            let next = lines[start].next;
            self.out_column = 0;
            self.space(cx, self.prefix_indent)?;
            cx.put(&self.o.prefix)?;
            self.out_column += self.o.prefix.len() as i64;
            self.space(cx, indent - self.out_column)?;
            for i in start..next {
                cx.put(&self.words[i].text)?;
                self.out_column += self.words[i].text.len() as i64;
                if i + 1 < next {
                    self.space(cx, self.words[i].space)?;
                }
            }
            self.last_line = self.out_column;
            cx.put(b"\n")?;
            (start, indent) = (next, self.other_indent);
        }
        Ok(())
    }

    fn space(&mut self, cx: &mut Cx, columns: i64) -> Result<(), End> {
        let target = self.out_column + columns;
        if self.tabs {
            let last_stop = target / 8 * 8;
            if self.out_column + 1 < last_stop {
                while self.out_column < last_stop {
                    cx.put(b"\t")?;
                    self.out_column = (self.out_column / 8 + 1) * 8;
                }
            }
        }
        while self.out_column < target {
            cx.put(b" ")?;
            self.out_column += 1;
        }
        Ok(())
    }
}
