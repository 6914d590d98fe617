//! Masks a script for the grammar: the insides of words, here-documents, `[[ ]]` and `(( ))` become single private-use
//! characters, and text ends after one complete command. It builds no tree; that is the grammar's work.
//!
//! The grammar (brush-parser) joins the tokens of an expansion with single blanks and rejects some of what bash accepts
//! inside words. Masked, a word reaches it as one opaque token and comes back byte for byte.

use super::SyntaxError;
use super::skip::{Skip, Skipper};
use std::collections::HashMap;

/// The first mask character; one per segment from there.
const FIRST: u32 = 0xf0000;
const LIMIT: usize = 0x1_fe00;
/// How many compound commands may be open at once: the grammar recurses into each.
const MAX_OPEN: usize = 80;
/// Marks the variable of a `select`, which the grammar sees as `for`.
pub(crate) const SELECT_MARK: char = '\u{e000}';
/// Descriptor numbers from here on stand for `{name}`.
pub(crate) const NAMED_FD: i32 = 1_000_000;

/// What a mask character stands for.
#[derive(Debug, Clone)]
pub(crate) enum Segment {
    /// Text of a word, as written.
    Raw(String),
    /// A here-document.
    Here { body: String, expand: bool },
    /// The inside of `[[ ]]`.
    Cond(String),
    /// The inside of `(( ))`, or a part of it.
    Arith(String),
    /// The elements of an array assignment.
    Array(String),
}

/// A masked unit.
#[derive(Debug, Default)]
pub(crate) struct Masked {
    pub(crate) text: String,
    pub(crate) segments: Vec<Segment>,
    /// Line of the source for each line of `text`.
    pub(crate) lines: Vec<u32>,
    /// Names of `{name}` descriptors.
    pub(crate) named_fds: Vec<String>,
}

impl Masked {
    /// The segment that `c` stands for.
    pub(crate) fn segment(&self, c: char) -> Option<&Segment> {
        (c as u32).checked_sub(FIRST).and_then(|i| self.segments.get(i as usize))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Word,
    In,
    Pattern,
    Body,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    If,
    /// Of `for` and `select`: the body has not begun.
    ForHead,
    /// A body in braces.
    ForBrace,
    Loop,
    Brace,
    Paren,
    Case(Case),
}

struct Pending {
    delimiter: String,
    strip: bool,
    segment: usize,
}

/// What the next word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Any,
    Target,
    ForName,
    SelectName,
    ForIn,
    FunctionName,
}

pub(crate) struct Masker<'a> {
    s: Skipper<'a>,
    i: usize,
    line: u32,
    nested: bool,
    extglob: bool,
    aliases: Option<&'a HashMap<String, String>>,
    /// Aliases that are not replaced again before a position.
    active: &'a [(usize, String)],
    /// A word that follows only blanks from here may be an alias wherever it stands.
    alias_next: Option<usize>,
    out: Masked,
    stack: Vec<Frame>,
    pending: Vec<Pending>,
    command: bool,
    open_end: bool,
    expect: Expect,
    prev_open: bool,
    unfinished: Vec<String>,
}

impl<'a> Masker<'a> {
    pub(crate) fn new(src: &'a str, start: usize, line: u32) -> Self {
        Masker {
            s: Skipper::new(src),
            i: start,
            line,
            nested: false,
            extglob: false,
            aliases: None,
            active: &[],
            alias_next: None,
            out: Masked { lines: vec![line], ..Masked::default() },
            stack: Vec::new(),
            pending: Vec::new(),
            command: true,
            open_end: false,
            expect: Expect::Any,
            prev_open: false,
            unfinished: Vec::new(),
        }
    }

    pub(crate) fn extglob(mut self, yes: bool) -> Self {
        self.extglob = yes;
        self
    }

    pub(crate) fn aliases(
        mut self,
        aliases: Option<&'a HashMap<String, String>>,
        active: &'a [(usize, String)],
        next: Option<usize>,
    ) -> Self {
        self.aliases = aliases;
        self.active = active;
        self.alias_next = next;
        self
    }

    /// Whether the word at `start` is an alias to be replaced.
    fn is_alias(&self, text: &str, start: usize) -> bool {
        let follows = |from: usize| start >= from && self.s.src[from..start].trim().is_empty();
        let place = self.command || self.alias_next.is_some_and(follows);
        place
            && self.aliases.is_some_and(|aliases| aliases.contains_key(text))
            && !self.active.iter().any(|(end, name)| start < *end && name == text)
    }

    pub(super) fn nested(s: Skipper<'a>, start: usize) -> Result<Self, SyntaxError> {
        let mut masker = Masker::new(s.src, start, 0);
        masker.s = s;
        masker.nested = true;
        Ok(masker)
    }

    /// Past the `)` that ends nested commands.
    pub(super) fn find_close(mut self) -> Skip {
        self.run(0)?;
        Ok(self.i)
    }

    /// Masks one unit: up to the newline that ends a complete command, passing over the first `skip` such newlines.
    /// Returns the unit, the position after it and the line there.
    pub(crate) fn unit(mut self, skip: usize) -> Result<(Masked, usize, u32), SyntaxError> {
        self.run(skip)?;
        Ok((self.out, self.i, self.line))
    }

    /// The delimiters of here-documents that the text leaves open.
    pub(crate) fn open_delimiters(mut self) -> Vec<String> {
        // The failure is what brought the caller here.
        let _ = self.run(0);
        self.unfinished.into_iter().collect()
    }

    fn mask(&mut self, segment: Segment) -> Result<(), SyntaxError> {
        let index = self.out.segments.len();
        if index >= LIMIT {
            return Err(SyntaxError::Wrong("command too long".into(), self.line));
        }
        if let Segment::Raw(text) | Segment::Cond(text) | Segment::Arith(text) | Segment::Array(text) =
            &segment
        {
            self.line += text.bytes().filter(|b| *b == b'\n').count() as u32;
        }
        if !self.nested {
            self.out.segments.push(segment);
            self.out.text.extend(char::from_u32(FIRST + index as u32));
        }
        Ok(())
    }

    fn emit(&mut self, text: &str) {
        if !self.nested {
            self.out.text.push_str(text);
        }
    }

    fn newline(&mut self) {
        self.line += 1;
        self.i += 1;
        self.emit("\n");
        if !self.nested {
            self.out.lines.push(self.line);
        }
    }

    fn run(&mut self, mut skip: usize) -> Result<(), SyntaxError> {
        let mut seen = false;
        loop {
            let c = self.s.at(self.i);
            if self.stack.len() > MAX_OPEN {
                return Err(SyntaxError::Wrong("commands nest too deeply".into(), self.line));
            }
            match c {
                0 if self.i >= self.s.b.len() => return self.end(),
                b' ' | b'\t' | b'\r' if c != b'\r' || self.s.at(self.i + 1) == b'\n' => {
                    self.i += 1;
                    self.emit(" ");
                    continue;
                }
                b'\\' if self.s.at(self.i + 1) == b'\n' => {
                    self.i += 2;
                    self.line += 1;
                    continue;
                }
                b'#' => {
                    self.i = self.s.b[self.i..]
                        .iter()
                        .position(|b| *b == b'\n')
                        .map_or(self.s.b.len(), |n| self.i + n);
                    continue;
                }
                b'\n' => {
                    self.newline();
                    self.read_here_documents()?;
                    if !self.nested && self.stack.is_empty() && !self.open_end && (seen || skip == 0) {
                        if skip == 0 {
                            return Ok(());
                        }
                        skip -= 1;
                    }
                    if self.expect != Expect::ForIn {
                        self.expect = Expect::Any;
                    }
                    self.command = true;
                    continue;
                }
                b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>' => {
                    if self.operator(c)? {
                        return Ok(());
                    }
                }
                _ => self.word()?,
            }
            seen = true;
        }
    }

    fn end(&mut self) -> Result<(), SyntaxError> {
        if self.nested {
            return Err(SyntaxError::Incomplete("unexpected EOF while looking for matching `)'".into()));
        }
        if !self.stack.is_empty() || self.open_end {
            return Err(SyntaxError::Incomplete("syntax error: unexpected end of file".into()));
        }
        if !self.pending.is_empty() {
            self.unfinished = self.pending.drain(..).map(|p| p.delimiter).collect();
            return Err(SyntaxError::Incomplete("here-document delimited by end-of-file".into()));
        }
        Ok(())
    }

    /// Handles the operator at the cursor; true when it closed nested commands.
    fn operator(&mut self, c: u8) -> Result<bool, SyntaxError> {
        let (n1, n2) = (self.s.at(self.i + 1), self.s.at(self.i + 2));
        self.open_end = false;
        let was_open = std::mem::take(&mut self.prev_open);
        let mut closed = false;
        let text = match (c, n1, n2) {
            (b';', b';', b'&') => ";;&",
            (b';', b';', _) => ";;",
            (b';', b'&', _) => ";&",
            (b';', ..) => ";",
            (b'&', b'>', b'>') => "&>>",
            (b'&', b'>', _) => "&>",
            (b'&', b'&', _) => "&&",
            (b'&', ..) => "&",
            (b'|', b'|', _) => "||",
            (b'|', b'&', _) => "|&",
            (b'|', ..) => "|",
            (b'<' | b'>', b'(', _) => {
                self.word()?;
                return Ok(false);
            }
            (b'<', b'<', b'<') => "<<<",
            (b'<', b'<', _) => {
                self.here_document(n2 == b'-')?;
                return Ok(false);
            }
            (b'<', b'&', _) => "<&",
            (b'<', b'>', _) => "<>",
            (b'<', ..) => "<",
            (b'>', b'>', _) => ">>",
            (b'>', b'&', _) => ">&",
            (b'>', b'|', _) => ">|",
            (b'>', ..) => ">",
            (b'(', b'(', _)
                if self.command || self.expect == Expect::ForIn || self.expect == Expect::ForName =>
            {
                if let Ok(end) = self.s.arithmetic(self.i + 2) {
                    return self.arithmetic(end).map(|()| false);
                }
                "("
            }
            (b'(', ..) => "(",
            _ => ")",
        };
        match text {
            ";;" | ";&" | ";;&" => {
                if let Some(Frame::Case(case)) = self.stack.last_mut() {
                    *case = Case::Pattern;
                }
                self.command = true;
            }
            "(" => {
                if !matches!(self.stack.last(), Some(Frame::Case(Case::Pattern))) {
                    self.stack.push(Frame::Paren);
                    self.prev_open = true;
                }
                self.command = true;
                self.expect = Expect::Any;
            }
            ")" => match self.stack.last_mut() {
                Some(Frame::Paren) => {
                    self.stack.pop();
                    self.command = true;
                    closed = true;
                }
                Some(Frame::Case(case)) => {
                    *case = Case::Body;
                    self.command = true;
                }
                _ if self.nested => {
                    self.i += 1;
                    return Ok(true);
                }
                _ => {}
            },
            ";" | "&" => {
                self.command = true;
                self.expect = Expect::Any;
            }
            "&&" | "||" | "|" | "|&" => {
                self.command = !matches!(self.stack.last(), Some(Frame::Case(Case::Pattern)));
                self.open_end = true;
            }
            _ => self.expect = Expect::Target,
        }
        self.i += text.len();
        self.emit(text);
        // The grammar takes `( ( … ) )` for arithmetic; a separator between the closing parentheses tells it apart.
        let rest = self.s.src[self.i..].trim_start_matches([' ', '\t']);
        if closed && !was_open && rest.starts_with(')') {
            self.emit(" ;");
        }
        Ok(false)
    }

    /// `(( … ))`, or the head of `for (( … ))`, which ends at `end`.
    fn arithmetic(&mut self, end: usize) -> Result<(), SyntaxError> {
        let text = &self.s.src[self.i + 2..end - 2];
        let is_for = matches!(self.expect, Expect::ForName | Expect::ForIn);
        self.i = end;
        self.emit("((");
        if is_for {
            let parts: Vec<&str> = split_semicolons(text);
            let last = parts.len() - 1;
            for (n, part) in parts.into_iter().enumerate() {
                if !part.trim().is_empty() {
                    self.mask(Segment::Arith(part.to_owned()))?;
                }
                if n < last {
                    self.emit(" ; ");
                }
            }
        } else {
            self.mask(Segment::Arith(text.to_owned()))?;
        }
        self.emit("))");
        self.expect = Expect::Any;
        self.command = is_for;
        Ok(())
    }

    fn here_document(&mut self, strip: bool) -> Result<(), SyntaxError> {
        self.i += if strip { 3 } else { 2 };
        while matches!(self.s.at(self.i), b' ' | b'\t') {
            self.i += 1;
        }
        let start = self.i;
        while !matches!(
            self.s.at(self.i),
            0 | b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')'
        ) {
            self.i = match self.s.at(self.i) {
                b'\\' => self.i + 2,
                b'\'' => self.s.single(self.i)?,
                b'"' => self.s.double(self.i)?,
                _ => self.i + 1,
            };
        }
        self.i = self.i.min(self.s.b.len());
        let raw = self.s.src.get(start..self.i).unwrap_or_default();
        if raw.is_empty() {
            return Err(SyntaxError::Wrong("syntax error near unexpected token `newline'".into(), self.line));
        }
        let expand = !raw.contains(['\'', '"', '\\']);
        let delimiter = if expand { raw.to_owned() } else { raw.replace(['\'', '"', '\\'], "") };
        self.emit("<");
        let segment = self.out.segments.len();
        self.mask(Segment::Here { body: String::new(), expand })?;
        self.pending.push(Pending { delimiter, strip, segment });
        Ok(())
    }

    /// After a newline: takes the bodies that were announced on the line.
    fn read_here_documents(&mut self) -> Result<(), SyntaxError> {
        let mut queue = std::mem::take(&mut self.pending).into_iter();
        while let Some(pending) = queue.next() {
            let mut body = String::new();
            let expand =
                matches!(self.out.segments.get(pending.segment), Some(Segment::Here { expand: true, .. }));
            loop {
                let rest = &self.s.src[self.i..];
                if rest.is_empty() {
                    self.unfinished = std::iter::once(pending).chain(queue).map(|p| p.delimiter).collect();
                    return Err(SyntaxError::Incomplete("here-document delimited by end-of-file".into()));
                }
                let mut line = rest.split_inclusive('\n').next().unwrap_or(rest);
                self.i += line.len();
                self.line += 1;
                if pending.strip {
                    line = line.trim_start_matches('\t');
                }
                let ends = line.strip_suffix('\n').unwrap_or(line) == pending.delimiter;
                if ends && !(expand && body.ends_with("\\\n") && !body.ends_with("\\\\\n")) {
                    break;
                }
                body.push_str(line);
            }
            if let Some(Segment::Here { body: slot, .. }) = self.out.segments.get_mut(pending.segment) {
                *slot = body;
            }
            if let Some(last) = self.out.lines.last_mut() {
                *last = self.line;
            }
        }
        Ok(())
    }

    fn word(&mut self) -> Result<(), SyntaxError> {
        let start = self.i;
        let begin = self.out.text.len();
        self.open_end = false;
        self.prev_open = false;
        let mut plain = true;
        let mut scanned = start;
        loop {
            let c = self.s.at(self.i);
            let end = match c {
                0 if self.i >= self.s.b.len() => break,
                b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b')' => break,
                b'\r' if self.s.at(self.i + 1) == b'\n' => break,
                b'<' | b'>'
                    if self.s.at(self.i + 1) == b'('
                        && (self.i == start || self.s.at(self.i - 1) == b'=') =>
                {
                    self.s.command(self.i + 2)?
                }
                b'<' | b'>' => break,
                b'\\' if self.s.at(self.i + 1) == b'\n' => {
                    self.emit(&self.s.src[scanned..self.i]);
                    self.i += 2;
                    self.line += 1;
                    scanned = self.i;
                    plain = false;
                    continue;
                }
                b'\\' if self.i + 1 >= self.s.b.len() => self.i + 1,
                b'\\' => self.s.char_end(self.i + 1),
                b'\'' => self.s.single(self.i)?,
                b'"' => self.s.double(self.i)?,
                b'`' => self.s.backquote(self.i)?,
                b'$' => self.s.dollar(self.i, false)?,
                b'(' => {
                    let before = if self.i > start { self.s.at(self.i - 1) } else { 0 };
                    if is_assignment(&self.s.src[start..self.i]) {
                        let end = self.s.balanced(self.i + 1, b'(', b')')?;
                        self.emit(&self.s.src[scanned..self.i]);
                        self.mask(Segment::Array(self.s.src[self.i + 1..end - 1].to_owned()))?;
                        self.i = end;
                        scanned = end;
                        plain = false;
                        continue;
                    }
                    if matches!(before, b'@' | b'?' | b'*' | b'+') || before == b'!' && self.extglob {
                        self.s.balanced(self.i + 1, b'(', b')')?
                    } else {
                        break;
                    }
                }
                b'[' if self.i > start && crate::text::is_name(&self.s.src[start..self.i]) => {
                    match self.s.balanced(self.i + 1, b'[', b']') {
                        Ok(end) if self.s.at(end) == b'=' || self.s.b[end..].starts_with(b"+=") => {
                            self.i += 1;
                            if end - 1 == self.i {
                                continue;
                            }
                            end - 1
                        }
                        _ => {
                            self.i += 1;
                            continue;
                        }
                    }
                }
                // Private-use characters of the script itself must not be taken for masks.
                0xf3 => self.s.char_end(self.i),
                _ => {
                    self.i += 1;
                    continue;
                }
            };
            self.emit(&self.s.src[scanned..self.i]);
            self.mask(Segment::Raw(self.s.src[self.i..end].to_owned()))?;
            self.i = end;
            scanned = end;
            plain = false;
        }
        self.emit(&self.s.src[scanned..self.i]);
        self.after_word(start, begin, plain)
    }

    /// Decides what the word that began at `start` (in the masked text at `begin`) means for what follows.
    fn after_word(&mut self, start: usize, begin: usize, plain: bool) -> Result<(), SyntaxError> {
        let text = &self.s.src[start..self.i];
        if plain && matches!(self.s.at(self.i), b'<' | b'>') && !self.nested {
            if text.bytes().all(|b| b.is_ascii_digit()) {
                // The grammar cannot hold larger numbers; no table of descriptors is as long.
                if text.len() > 5 {
                    self.out.text.truncate(begin);
                    self.out.text.push_str("99999");
                }
                return Ok(());
            }
            if let Some(name) = text.strip_prefix('{').and_then(|t| t.strip_suffix('}'))
                && crate::text::is_name(name)
            {
                self.out.text.truncate(begin);
                self.out.text.push_str(&(NAMED_FD as usize + self.out.named_fds.len()).to_string());
                self.out.named_fds.push(name.to_owned());
                return Ok(());
            }
        }
        match std::mem::replace(&mut self.expect, Expect::Any) {
            Expect::Target => return Ok(()),
            Expect::FunctionName => {
                self.command = true;
                return Ok(());
            }
            expect @ (Expect::ForName | Expect::SelectName) => {
                if expect == Expect::SelectName && !self.nested {
                    self.out.text.insert(begin, SELECT_MARK);
                }
                self.expect = Expect::ForIn;
                self.command = true;
                return Ok(());
            }
            Expect::ForIn if text == "in" => {
                self.command = false;
                return Ok(());
            }
            Expect::ForIn | Expect::Any => {}
        }
        if let Some(Frame::Case(case)) = self.stack.last_mut()
            && *case != Case::Body
        {
            match *case {
                Case::Word => *case = Case::In,
                Case::In if text == "in" => *case = Case::Pattern,
                Case::Pattern if text == "esac" && plain => {
                    self.stack.pop();
                    self.command = true;
                    return Ok(());
                }
                _ => {}
            }
            self.command = false;
            return Ok(());
        }
        if plain && self.aliases.is_some() && self.is_alias(text, start) {
            return Err(SyntaxError::Alias(start..self.i));
        }
        if !(plain && self.command) {
            self.command = false;
            return Ok(());
        }
        self.reserved(text, begin)
    }

    fn replace_frame(&mut self, frame: Frame) {
        if let Some(last) = self.stack.last_mut() {
            *last = frame;
        }
    }

    /// Writes another word instead of the one that began at `begin` in the masked text.
    fn replace_word(&mut self, begin: usize, word: &str) {
        if !self.nested {
            self.out.text.truncate(begin);
            self.out.text.push_str(word);
        }
    }

    fn reserved(&mut self, text: &str, begin: usize) -> Result<(), SyntaxError> {
        match text {
            "if" => self.stack.push(Frame::If),
            "while" | "until" => self.stack.push(Frame::Loop),
            "for" => {
                self.stack.push(Frame::ForHead);
                self.expect = Expect::ForName;
            }
            "select" => {
                self.stack.push(Frame::ForHead);
                self.expect = Expect::SelectName;
                self.replace_word(begin, "for");
            }
            "case" => {
                self.stack.push(Frame::Case(Case::Word));
                self.command = false;
            }
            "do" if self.stack.last() == Some(&Frame::ForHead) => self.replace_frame(Frame::Loop),
            // `for … { … }`, which is in no standard: the grammar gets `do` and `done`.
            "{" if self.stack.last() == Some(&Frame::ForHead) => {
                self.replace_frame(Frame::ForBrace);
                self.replace_word(begin, "do");
            }
            "}" if self.stack.last() == Some(&Frame::ForBrace) => {
                self.stack.pop();
                self.replace_word(begin, "done");
            }
            "{" => self.stack.push(Frame::Brace),
            "function" => self.expect = Expect::FunctionName,
            "fi" if self.stack.last() == Some(&Frame::If) => drop(self.stack.pop()),
            "done" if self.stack.last() == Some(&Frame::Loop) => drop(self.stack.pop()),
            "}" if self.stack.last() == Some(&Frame::Brace) => drop(self.stack.pop()),
            "esac" if matches!(self.stack.last(), Some(Frame::Case(_))) => {
                self.stack.pop();
                // A last item without `;;` makes the grammar read the whole body twice, at every level of nesting.
                if !self.nested {
                    self.out.text.insert_str(begin, ";; ");
                }
            }
            "then" | "else" | "elif" | "do" | "!" | "time" | "coproc" => {}
            "[[" => {
                let end = self.find_cond_end()?;
                let inner = self.s.src[self.i..end].to_owned();
                // The grammar wants a compound command as the body of a function.
                let wrap = self.out.text[..begin].trim_end().ends_with("()");
                if !self.nested {
                    self.out.text.truncate(begin);
                }
                self.emit(if wrap { "{ [[ -n " } else { "[[ -n " });
                self.mask(Segment::Cond(inner))?;
                self.emit(if wrap { " ]]; }" } else { " ]]" });
                self.i = end + 2;
                self.command = false;
            }
            _ => self.command = false,
        }
        Ok(())
    }

    /// Where the `]]` is that ends the test beginning at the cursor.
    fn find_cond_end(&self) -> Skip {
        let mut i = self.i;
        loop {
            match self.s.at(i) {
                0 if i >= self.s.b.len() => {
                    return Err(SyntaxError::Incomplete("unexpected EOF while looking for `]]'".into()));
                }
                b'\\' => i += 2,
                b'\'' => i = self.s.single(i)?,
                b'"' => i = self.s.double(i)?,
                b'`' => i = self.s.backquote(i)?,
                b'$' => i = self.s.dollar(i, false)?,
                b']' if self.s.at(i + 1) == b']'
                    && matches!(self.s.at(i - 1), b' ' | b'\t' | b'\n')
                    && matches!(
                        self.s.at(i + 2),
                        0 | b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b')' | b'<' | b'>'
                    ) =>
                {
                    return Ok(i);
                }
                _ => i += 1,
            }
        }
    }
}

/// Whether a word begun so is an assignment that may go on with `(`.
fn is_assignment(text: &str) -> bool {
    let Some(left) = text.strip_suffix('=') else { return false };
    let left = left.strip_suffix('+').unwrap_or(left);
    let name = left.split('[').next().unwrap_or(left);
    crate::text::is_name(name) && (name.len() == left.len() || left.ends_with(']'))
}

fn split_semicolons(text: &str) -> Vec<&str> {
    let s = Skipper::new(text);
    let (mut parts, mut from, mut i) = (Vec::new(), 0, 0);
    while i < s.b.len() {
        i = match s.b[i] {
            b';' => {
                parts.push(&text[from..i]);
                from = i + 1;
                i + 1
            }
            b'$' => s.dollar(i, false).unwrap_or(i + 1),
            b'"' => s.double(i).unwrap_or(i + 1),
            _ => i + 1,
        };
    }
    parts.push(&text[from..]);
    parts
}
