//! Reads the text of one complete command and cuts it into tokens. Lines are asked for one by one, as they are needed.

use super::scan::{Scan, Skip};
use super::{Dialect, Effect, Report, SyntaxError, alias, known};
use crate::ir::{Here, Subst};
use std::cell::{Cell, OnceCell};
use std::rc::Rc;

/// Gives the next line with its newline, or nothing at the end; the argument tells that a command has begun.
pub(crate) type Source<'s> = dyn FnMut(bool) -> Result<Option<String>, SyntaxError> + 's;

/// How deeply commands may nest: the guest's stack is small.
const MAX_DEPTH: u32 = 500;
/// How much of the stack reading may use: in a VM it has 1 MiB.
const MAX_STACK: usize = if cfg!(target_family = "wasm") { 800 << 10 } else { 4 << 20 };

/// What a token is; what it says is in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Word,
    /// The number before a redirection.
    Number,
    /// The `{name}` before a redirection.
    Named,
    Operator,
    Newline,
    End,
}

/// A token and where it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lexeme {
    pub(super) token: Token,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The reader of one complete command: its text so far, and the position in it.
pub(super) struct Reader<'s> {
    more: &'s mut Source<'s>,
    pub(super) text: String,
    pub(super) at: usize,
    /// Where lines begin, and their numbers.
    lines: Vec<(usize, u32)>,
    next_line: u32,
    ended: bool,
    /// A token was seen: what follows continues a command.
    begun: bool,
    pub(super) dialect: Dialect,
    peeked: Option<Lexeme>,
    /// Whether `name=(` and `name[` begin assignments here.
    pub(super) assignments: Assignments,
    pub(super) extglob: bool,
    /// Here-documents announced on this line.
    pub(super) pending: Vec<Rc<Here>>,
    pub(super) aliases: alias::State,
    pub(super) nesting: u32,
    scan_depth: u32,
    /// How many substitutions were known when the commands began that are being read.
    pub(super) known: usize,
    /// How many command substitutions are open.
    pub(super) substitutions: u32,
    pub(super) warnings: Vec<(u32, String)>,
}

/// Which words may be assignments with a subscript or an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Assignments {
    No,
    /// The arguments of a declaration builtin.
    Arrays,
    /// Before the name of a command.
    Yes,
}

impl<'s> Reader<'s> {
    pub(super) fn new(dialect: Dialect, line: u32, more: &'s mut Source<'s>) -> Self {
        Reader {
            more,
            text: String::new(),
            at: 0,
            lines: Vec::new(),
            next_line: line,
            ended: false,
            begun: false,
            extglob: dialect.extglob,
            dialect,
            peeked: None,
            assignments: Assignments::Yes,
            pending: Vec::new(),
            aliases: alias::State::default(),
            nesting: 0,
            scan_depth: 0,
            known: known::mark(),
            substitutions: 0,
            warnings: Vec::new(),
        }
    }

    /// Counts what is open around, whose stack is in use already.
    pub(super) fn nested(mut self, depth: u32) -> Self {
        self.scan_depth = depth;
        self
    }

    /// Past the commands at the start of the text and the `)` that ends them.
    pub(super) fn substitution_end(mut self) -> Skip {
        self.command(0)
    }

    /// Gets one more line; false at the end.
    pub(super) fn pull(&mut self) -> Result<bool, SyntaxError> {
        if self.ended {
            return Ok(false);
        }
        match (self.more)(self.begun)? {
            Some(line) => {
                self.lines.push((self.text.len(), self.next_line));
                self.next_line += 1;
                if line.contains('\0') {
                    self.text.extend(line.chars().filter(|c| *c != '\0'));
                } else {
                    self.text.push_str(&line);
                }
                // The last line ends like every other one; a backslash there quotes nothing.
                if !line.ends_with(['\n', '\\']) {
                    self.text.push('\n');
                }
                Ok(true)
            }
            None => {
                self.ended = true;
                Ok(false)
            }
        }
    }

    /// The number of the line after those that were read.
    pub(super) fn next_line(&self) -> u32 {
        self.next_line
    }

    /// What is left of the text, if a command ended within it.
    pub(super) fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The line of a position.
    pub(super) fn line_at(&self, at: usize) -> u32 {
        let after = self.lines.partition_point(|(start, _)| *start <= at);
        match after.checked_sub(1).and_then(|i| self.lines.get(i)) {
            Some((_, line)) => *line,
            None => self.next_line,
        }
    }

    /// The line that is being read.
    pub(super) fn line(&self) -> u32 {
        self.lines.last().map_or(self.next_line, |(_, line)| *line)
    }

    /// Replaces a part of the text; what was noted about positions behind it moves along.
    pub(super) fn splice(&mut self, from: usize, to: usize, with: &str) {
        self.text.replace_range(from..to, with);
        let moved = |at: usize| at - (to - from) + with.len();
        for (start, _) in self.lines.iter_mut().rev().take_while(|(start, _)| *start >= to && *start > 0) {
            *start = moved(*start);
        }
        self.aliases.moved(to, moved);
    }

    #[cold]
    fn byte_slowly(&mut self, i: usize) -> Result<u8, SyntaxError> {
        loop {
            match (self.text.as_bytes().get(i), self.text.as_bytes().get(i + 1)) {
                (None, _) => {
                    if !self.pull()? {
                        return Ok(0);
                    }
                }
                (Some(b'\\'), Some(b'\n')) => self.splice(i, i + 2, ""),
                (Some(b), _) => return Ok(*b),
            }
        }
    }

    // --- tokens

    /// The next token, which stays.
    pub(super) fn peek(&mut self) -> Result<Lexeme, SyntaxError> {
        if let Some(lexeme) = self.peeked {
            return Ok(lexeme);
        }
        let lexeme = self.lex()?;
        self.begun |= lexeme.token != Token::Newline;
        self.peeked = Some(lexeme);
        Ok(lexeme)
    }

    /// The next token, which is used up.
    pub(super) fn take(&mut self) -> Result<Lexeme, SyntaxError> {
        let lexeme = self.peek()?;
        self.peeked = None;
        Ok(lexeme)
    }

    /// Goes back to the start of the token that is next, to read it otherwise.
    pub(super) fn again(&mut self) {
        if let Some(lexeme) = self.peeked.take() {
            self.at = lexeme.start;
        }
    }

    /// Goes on at a position.
    pub(super) fn go_to(&mut self, at: usize) {
        self.peeked = None;
        self.at = at;
    }

    pub(super) fn str(&self, lexeme: Lexeme) -> &str {
        self.text.get(lexeme.start..lexeme.end).unwrap_or_default()
    }

    /// Whether the next token is this operator.
    pub(super) fn is(&mut self, operator: &str) -> Result<bool, SyntaxError> {
        let next = self.peek_alias(false)?;
        Ok(next.token == Token::Operator && self.str(next) == operator)
    }

    /// Uses up newlines.
    pub(super) fn newlines(&mut self) -> Result<(), SyntaxError> {
        while self.peek_alias(false)?.token == Token::Newline {
            self.take()?;
        }
        Ok(())
    }

    /// Past blanks and a comment.
    pub(super) fn blanks(&mut self) -> Result<(), SyntaxError> {
        loop {
            match self.byte(self.at)? {
                b' ' | b'\t' => self.at += 1,
                b'#' => {
                    let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
                    self.at += rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
                    return Ok(());
                }
                _ => return Ok(()),
            }
        }
    }

    #[inline(never)]
    fn lex(&mut self) -> Result<Lexeme, SyntaxError> {
        self.blanks()?;
        let start = self.at;
        let (token, len) = match self.byte(start)? {
            0 => (Token::End, 0),
            b'\n' => {
                self.at = start + 1;
                self.read_here_documents()?;
                return Ok(Lexeme { token: Token::Newline, start, end: start + 1 });
            }
            b'(' | b')' => (Token::Operator, 1),
            first @ (b';' | b'&' | b'|' | b'<' | b'>') => match self.operator_len(first, start)? {
                0 => return self.lex_word(start),
                len => (Token::Operator, len),
            },
            _ => return self.lex_word(start),
        };
        self.at = start + len;
        Ok(Lexeme { token, start, end: self.at })
    }

    /// Length of the operator at `i`; 0 if a process substitution begins there.
    fn operator_len(&mut self, first: u8, i: usize) -> Skip {
        let second = self.byte(i + 1)?;
        Ok(match (first, second) {
            (b'<' | b'>', b'(') => 0,
            (b';', b';') => 2 + usize::from(self.byte(i + 2)? == b'&'),
            (b'&', b'>') => 2 + usize::from(self.byte(i + 2)? == b'>'),
            (b'<', b'<') => 2 + usize::from(matches!(self.byte(i + 2)?, b'<' | b'-')),
            (b';' | b'|' | b'<' | b'>', b'&')
            | (b'&', b'&')
            | (b'|', b'|')
            | (b'<', b'>')
            | (b'>', b'>' | b'|') => 2,
            _ => 1,
        })
    }

    fn lex_word(&mut self, start: usize) -> Result<Lexeme, SyntaxError> {
        let end = self.word_end(start)?;
        self.at = end;
        let mut token = Token::Word;
        if matches!(self.text.as_bytes().get(end), Some(b'<' | b'>')) {
            let word = &self.text[start..end];
            if word.bytes().all(|b| b.is_ascii_digit()) {
                token = Token::Number;
            } else if let Some(name) = word.strip_prefix('{').and_then(|w| w.strip_suffix('}'))
                && crate::text::is_name(name.split('[').next().unwrap_or(name))
            {
                token = Token::Named;
            }
        }
        Ok(Lexeme { token, start, end })
    }

    /// Past the word at `start`.
    #[inline(never)]
    fn word_end(&mut self, start: usize) -> Skip {
        let mut i = start;
        loop {
            i = match self.byte(i)? {
                0 | b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b')' => return Ok(i),
                b'<' | b'>' => {
                    if self.byte(i + 1)? != b'(' {
                        return Ok(i);
                    }
                    self.deeper(|s| s.command(i + 2))?
                }
                b'(' => {
                    if self.extglob
                        && i > start
                        && matches!(self.text.as_bytes()[i - 1], b'@' | b'?' | b'*' | b'+' | b'!')
                    {
                        self.balanced(i + 1, '(', ')')?
                    } else if self.assignments != Assignments::No && is_assignment_start(&self.text[start..i])
                    {
                        return self.array_end(i);
                    } else {
                        return Ok(i);
                    }
                }
                b'[' if self.assignments == Assignments::Yes
                    && crate::text::is_name(&self.text[start..i]) =>
                {
                    self.balanced(i + 1, '[', ']')?
                }
                b => self.step(i, b)?,
            };
        }
    }

    /// Past a quote, an expansion or a byte.
    pub(super) fn step(&mut self, i: usize, b: u8) -> Skip {
        match b {
            b'\\' => self.escaped(i),
            b'\'' => self.single(i),
            b'"' => self.double(i),
            b'`' => self.backquote(i),
            b'$' => self.dollar(i, false),
            _ => Ok(i + 1),
        }
    }

    /// Past the elements of an array that begin with the parenthesis at `open`.
    #[inline(never)]
    fn array_end(&mut self, open: usize) -> Skip {
        let before = std::mem::replace(&mut self.assignments, Assignments::No);
        let mut i = open + 1;
        let end = loop {
            match self.byte(i)? {
                b' ' | b'\t' | b'\n' => i += 1,
                b'#' => {
                    let rest = &self.text.as_bytes()[i..];
                    i += rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
                }
                b')' => break i + 1,
                0 => return Err(self.discarding(self.missing(')', open))),
                first @ (b';' | b'&' | b'|' | b'<' | b'>' | b'(') => {
                    let len = if first == b'(' { 1 } else { self.operator_len(first, i)? };
                    if len > 0 {
                        let lexeme = Lexeme { token: Token::Operator, start: i, end: i + len };
                        return Err(self.discarding(self.unexpected(lexeme)));
                    }
                    i = self.word_end(i)?;
                }
                b'[' => i = self.balanced(i + 1, '[', ']')?,
                _ => i = self.word_end(i)?,
            }
        };
        self.assignments = before;
        Ok(end)
    }

    // --- errors

    fn discarding(&self, error: SyntaxError) -> SyntaxError {
        match error {
            SyntaxError::Report(mut report) if self.substitutions == 0 => {
                report.effect = Effect::Discards;
                SyntaxError::Report(report)
            }
            error => error,
        }
    }

    pub(super) fn report(&self, messages: Vec<String>, line: u32) -> SyntaxError {
        SyntaxError::Report(Box::new(Report { messages, line, effect: Effect::Ends }))
    }

    /// What a token is called in messages.
    pub(super) fn token_name(&self, lexeme: Lexeme) -> String {
        match lexeme.token {
            Token::Newline | Token::End => "newline".into(),
            _ => {
                let text = self.str(lexeme);
                if text.chars().any(char::is_control) {
                    crate::expand_ansi_quote(text)
                } else {
                    text.to_owned()
                }
            }
        }
    }

    /// A token that cannot be here.
    #[inline(never)]
    pub(super) fn unexpected(&self, lexeme: Lexeme) -> SyntaxError {
        if lexeme.token == Token::End {
            let message = if self.substitutions > 0 {
                "unexpected EOF while looking for matching `)'".into()
            } else {
                "syntax error: unexpected end of file".into()
            };
            return self.report(vec![message], self.next_line);
        }
        let near = format!("syntax error near unexpected token `{}'", self.token_name(lexeme));
        let messages = vec![near, format!("`{}'", self.line_text(lexeme.start))];
        let effect = if self.substitutions > 0 { Effect::Substitution } else { Effect::Ends };
        SyntaxError::Report(Box::new(Report { messages, line: self.line(), effect }))
    }

    /// The line that is shown with an error.
    pub(super) fn line_text(&self, at: usize) -> &str {
        if let Some(range) = self.aliases.around(at) {
            return self.text.get(range).unwrap_or_default().trim_end();
        }
        let start = self.lines.last().map_or(0, |(start, _)| *start);
        self.text.get(start..).unwrap_or_default().trim_end_matches('\n')
    }

    /// One level deeper, if there is room.
    pub(super) fn enter(&mut self) -> Result<(), SyntaxError> {
        self.nesting += 1;
        if self.nesting > MAX_DEPTH || crate::stack::used() > MAX_STACK {
            return Err(SyntaxError::Wrong("commands nest too deeply".into(), self.line()));
        }
        Ok(())
    }
}

impl Scan for Reader<'_> {
    #[inline]
    fn byte(&mut self, i: usize) -> Result<u8, SyntaxError> {
        match self.text.as_bytes().get(i) {
            Some(b) if *b != b'\\' => Ok(*b),
            _ => self.byte_slowly(i),
        }
    }

    fn raw_byte(&mut self, i: usize) -> Result<u8, SyntaxError> {
        while i >= self.text.len() {
            if !self.pull()? {
                return Ok(0);
            }
        }
        Ok(self.text.as_bytes()[i])
    }

    fn text(&self) -> &str {
        &self.text
    }

    /// Parses the commands of a substitution, which are then known to what takes the word apart.
    #[inline(never)]
    fn command(&mut self, i: usize) -> Skip {
        let peeked = self.peeked.take();
        let (at, pending) = (self.at, std::mem::take(&mut self.pending));
        let (assignments, extglob) = (self.assignments, self.extglob);
        self.assignments = Assignments::Yes;
        self.extglob = self.dialect.extglob;
        self.substitutions += 1;
        // Bash looks for aliases when it runs the commands, except in its POSIX mode.
        let off = !self.dialect.posix;
        self.aliases.off += u32::from(off);
        self.enter()?;
        self.at = i;
        let outer = std::mem::replace(&mut self.known, known::mark());
        let list = self.substitution_list()?;
        let close = self.take()?;
        if self.str(close) != ")" || close.token != Token::Operator {
            return Err(self.unexpected(close));
        }
        self.nesting -= 1;
        self.aliases.off -= u32::from(off);
        self.substitutions -= 1;
        known::forget(self.known);
        self.known = outer;
        if !self.pending.is_empty() {
            let (n, s) = (self.pending.len(), if self.pending.len() == 1 { "" } else { "s" });
            let text = format!("command substitution: {n} unterminated here-document{s}");
            self.warnings.push((self.line(), text));
        }
        let text = Rc::from(&self.text[i..close.start]);
        let parsed = OnceCell::from(Rc::new(list));
        known::add(Rc::new(Subst { text, list: parsed, in_process: Cell::new(None) }));
        self.pending.splice(0..0, pending);
        (self.assignments, self.extglob) = (assignments, extglob);
        self.at = at;
        self.peeked = peeked;
        Ok(close.end)
    }

    fn depth(&mut self) -> &mut u32 {
        &mut self.scan_depth
    }

    fn missing(&self, what: char, from: usize) -> SyntaxError {
        let message = format!("unexpected EOF while looking for matching `{what}'");
        let line = self.line_at(from);
        SyntaxError::Report(Box::new(Report { messages: vec![message], line, effect: Effect::Unclosed }))
    }
}

/// Whether a word that begins so is an assignment that may go on with `(`.
fn is_assignment_start(text: &str) -> bool {
    let Some(left) = text.strip_suffix('=') else { return false };
    let left = left.strip_suffix('+').unwrap_or(left);
    let name = left.split('[').next().unwrap_or(left);
    crate::text::is_name(name) && (name.len() == left.len() || left.ends_with(']'))
}
