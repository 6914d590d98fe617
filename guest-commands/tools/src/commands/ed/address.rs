//! Addresses of `ed`: numbers, `.`, `$`, marks, searches and what is added to them, up to two of them before a command.

use super::{Ed, Fault, fault};
use crate::regex::{Flags, Regex, Syntax};
use std::rc::Rc;

/// A command line and how far it is read.
pub(super) struct Cursor<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8]) -> Cursor<'a> {
        Cursor { text, at: 0 }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.at += usize::from(byte.is_some());
        byte
    }

    pub(super) fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        let rest = &self.text[self.at..];
        self.at = self.text.len();
        rest
    }

    pub(super) fn number(&mut self) -> Option<i64> {
        let start = self.at;
        let mut value: i64 = 0;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            value = value.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
            self.at += 1;
        }
        (self.at > start).then_some(value)
    }
}

/// The addresses of a command.
#[derive(Clone, Copy)]
pub(super) struct Range {
    /// How many were given, at most 2.
    pub(super) count: usize,
    pub(super) first: usize,
    pub(super) second: usize,
}

impl Range {
    /// Both lines, or these where none was given; they must exist and be in order.
    pub(super) fn or(self, first: usize, second: usize, last: usize) -> Result<(usize, usize), Fault> {
        let (a, b) = if self.count > 0 { (self.first, self.second) } else { (first, second) };
        if a > b || a < 1 || b > last { fault("Invalid address") } else { Ok((a, b)) }
    }

    /// The last line, or this one.
    pub(super) fn line(self, usual: usize) -> usize {
        if self.count > 0 { self.second } else { usual }
    }
}

impl Ed {
    pub(super) fn addresses(&mut self, c: &mut Cursor<'_>) -> Result<Range, Fault> {
        let mut list: Vec<usize> = Vec::new();
        // What a missing second address means.
        let mut open: Option<usize> = None;
        loop {
            let found = self.address(c)?;
            match c.peek() {
                Some(mark @ (b',' | b';')) => {
                    c.at += 1;
                    let usual = open.unwrap_or(if mark == b',' { 1 } else { self.buffer.dot });
                    list.push(found.unwrap_or(usual));
                    open = Some(found.or(open).unwrap_or(self.buffer.last()));
                    if mark == b';'
                        && let Some(line) = found
                    {
                        self.buffer.dot = line;
                    }
                }
                Some(b'%') if found.is_none() && list.is_empty() => {
                    c.at += 1;
                    list.extend([1, self.buffer.last()]);
                    c.blanks();
                    break;
                }
                _ => {
                    list.extend(found.or(open));
                    break;
                }
            }
        }
        Ok(match list[..] {
            [] => Range { count: 0, first: self.buffer.dot, second: self.buffer.dot },
            [only] => Range { count: 1, first: only, second: only },
            [.., first, second] => Range { count: 2, first, second },
        })
    }

    /// One address.
    pub(super) fn address(&mut self, c: &mut Cursor<'_>) -> Result<Option<usize>, Fault> {
        c.blanks();
        let (dot, last) = (self.buffer.dot as i64, self.buffer.last() as i64);
        let mut line = match c.peek() {
            Some(b'0'..=b'9') => c.number(),
            Some(b'.') => {
                c.at += 1;
                Some(dot)
            }
            Some(b'$') => {
                c.at += 1;
                Some(last)
            }
            Some(b'\'') => {
                c.at += 1;
                match c.next() {
                    Some(letter @ b'a'..=b'z') => match self.buffer.marked(letter) {
                        Some(line) => Some(line as i64),
                        None => return fault("Invalid address"),
                    },
                    _ => return fault("Invalid mark character"),
                }
            }
            Some(delimiter @ (b'/' | b'?')) => {
                c.at += 1;
                let regex = self.pattern(c, delimiter)?;
                Some(self.search(&regex, delimiter == b'/')? as i64)
            }
            _ => None,
        };
        loop {
            c.blanks();
            match c.peek() {
                Some(sign @ (b'+' | b'-')) => {
                    c.at += 1;
                    let by = c.number().unwrap_or(1);
                    let from = line.unwrap_or(dot);
                    line = Some(if sign == b'+' { from.saturating_add(by) } else { from.saturating_sub(by) });
                }
                Some(b'0'..=b'9') if line.is_some() => {
                    let by = c.number().unwrap_or(0);
                    line = line.map(|from| from.saturating_add(by));
                }
                _ => break,
            }
        }
        match line {
            None => Ok(None),
            Some(line) if (0..=last).contains(&line) => Ok(Some(line as usize)),
            Some(_) => fault("Invalid address"),
        }
    }

    /// The next line that fits, all around the text.
    fn search(&mut self, regex: &Regex, forward: bool) -> Result<usize, Fault> {
        let last = self.buffer.last();
        let mut line = self.buffer.dot;
        for _ in 0..last {
            line = match (forward, line) {
                (true, line) if line >= last => 1,
                (true, line) => line + 1,
                (false, 0 | 1) => last,
                (false, line) => line - 1,
            };
            if regex.is_match(&self.buffer.lines[line - 1].text).unwrap_or(false) {
                return Ok(line);
            }
        }
        fault("No match")
    }

    /// Reads a pattern up to its delimiter or the end of the line. An empty one is the last again.
    pub(super) fn pattern(&mut self, c: &mut Cursor<'_>, delimiter: u8) -> Result<Rc<Regex>, Fault> {
        let mut text = Vec::new();
        loop {
            match c.next() {
                None => break,
                Some(b) if b == delimiter => break,
                Some(b'\\') => {
                    let Some(after) = c.next() else { return fault("Trailing backslash (\\)") };
                    if after != delimiter {
                        text.push(b'\\');
                    }
                    text.push(after);
                }
                Some(b'[') => {
                    text.push(b'[');
                    self.list(c, &mut text)?;
                }
                Some(b) => text.push(b),
            }
        }
        let mut flags = Flags::default();
        if c.text.get(c.at.wrapping_sub(1)) == Some(&delimiter) && c.peek() == Some(b'I') {
            c.at += 1;
            flags.fold = true;
        }
        if text.is_empty() {
            return match &self.regex {
                Some(regex) => Ok(Rc::clone(regex)),
                None => fault("No previous pattern"),
            };
        }
        self.source = text;
        self.compile(flags)
    }

    /// Compiles the last pattern, anew where flags come after it.
    pub(super) fn compile(&mut self, flags: Flags) -> Result<Rc<Regex>, Fault> {
        let syntax = if self.extended { Syntax::Extended } else { Syntax::Basic };
        let regex = Rc::new(Regex::new(&self.source, syntax, flags).map_err(Fault::Message)?);
        self.regex = Some(Rc::clone(&regex));
        Ok(regex)
    }

    /// The rest of a list in brackets, in which a delimiter is a character like others.
    fn list(&self, c: &mut Cursor<'_>, text: &mut Vec<u8>) -> Result<(), Fault> {
        if c.peek() == Some(b'^') {
            text.extend(c.next());
        }
        if c.peek() == Some(b']') {
            text.extend(c.next());
        }
        loop {
            let Some(b) = c.next() else { return fault("Unbalanced brackets ([])") };
            text.push(b);
            if b == b']' {
                return Ok(());
            }
            if b == b'['
                && let Some(kind @ (b':' | b'.' | b'=')) = c.peek()
            {
                text.extend(c.next());
                loop {
                    let Some(b) = c.next() else { return fault("Unbalanced brackets ([])") };
                    text.push(b);
                    if b == kind && c.peek() == Some(b']') {
                        text.extend(c.next());
                        break;
                    }
                }
            }
        }
    }
}
