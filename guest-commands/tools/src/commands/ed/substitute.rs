//! `s` of `ed`: what is replaced by what, how often, and what is shown of it.

use super::address::{Cursor, Range};
use super::command::Shown;
use super::{Ed, Fault, fault};
use crate::context::Cx;
use crate::regex::{Flags, Regex};
use std::rc::Rc;

/// A part of a replacement.
#[derive(Clone)]
enum Piece {
    Text(Vec<u8>),
    /// `&` is the group 0.
    Group(usize),
}

/// The last substitution, which `s` alone repeats.
#[derive(Clone)]
pub(super) struct Substitution {
    regex: Rc<Regex>,
    pieces: Vec<Piece>,
    /// Every match from this one on, or only this.
    all: bool,
    which: usize,
    shown: Shown,
}

impl Ed {
    pub(super) fn substitute(&mut self, cx: &mut Cx, c: &mut Cursor<'_>, range: Range) -> Result<(), Fault> {
        let (from, to) = range.or(self.buffer.dot, self.buffer.dot, self.buffer.last())?;
        let mut job = match c.peek() {
            None | Some(b'g' | b'p' | b'r' | b'l' | b'n' | b'0'..=b'9') => self.repeated(c)?,
            Some(b' ' | b'\\') => return fault("Invalid pattern delimiter"),
            Some(delimiter) => {
                c.at += 1;
                self.fresh(cx, c, delimiter)?
            }
        };
        let shown = job.shown;
        self.substitution = Some(job.clone());
        if self.list.is_none() {
            self.buffer.keep();
        }
        let (mut line, mut left, mut changed) = (from, to + 1 - from, None);
        while left > 0 {
            let text = Rc::clone(&self.buffer.lines[line - 1].text);
            if let Some(new) = job.apply(&text)? {
                let parts: Vec<Rc<[u8]>> = new.split(|b| *b == b'\n').map(Rc::from).collect();
                let count = parts.len();
                self.buffer.delete(line, line);
                self.buffer.insert(line - 1, parts);
                line += count - 1;
                changed = Some(line);
            }
            line += 1;
            left -= 1;
        }
        match changed {
            Some(line) => self.buffer.dot = line,
            None if self.list.is_none() => {
                return fault("No match");
            }
            None => return Ok(()),
        }
        self.show_if(cx, shown, self.buffer.dot)
    }

    /// `s` without a pattern: the last one, with other flags.
    fn repeated(&mut self, c: &mut Cursor<'_>) -> Result<Substitution, Fault> {
        let Some(mut job) = self.substitution.clone() else { return fault("No previous substitution") };
        job.shown = Shown::default();
        loop {
            match c.peek() {
                None => return Ok(job),
                Some(b'g') => job.all = !job.all,
                Some(b'r') => {
                    if let Some(regex) = &self.regex {
                        job.regex = Rc::clone(regex);
                    }
                }
                Some(letter @ (b'p' | b'l' | b'n')) => job.shown.add(letter),
                Some(b'0'..=b'9') => {
                    job.which = count(c)?;
                    job.all = false;
                    continue;
                }
                Some(_) => return fault("Invalid command suffix"),
            }
            c.at += 1;
        }
    }

    fn fresh(&mut self, cx: &mut Cx, c: &mut Cursor<'_>, delimiter: u8) -> Result<Substitution, Fault> {
        if c.peek().is_none() {
            return fault("Missing pattern delimiter");
        }
        let regex = self.pattern(c, delimiter)?;
        if c.at == c.text.len() && c.text.last() != Some(&delimiter) {
            return fault("Missing pattern delimiter");
        }
        let mut shown = Shown::default();
        let (pieces, ended, rest) = self.replacement(cx, c, delimiter)?;
        let mut job = Substitution { regex, pieces, all: false, which: 1, shown };
        // A command that ends before its delimiter shows the line.
        if !ended {
            job.shown.add(b'p');
            return Ok(job);
        }
        let mut flags = Cursor::new(&rest);
        loop {
            match flags.peek() {
                None => break,
                Some(b'g') => job.all = true,
                Some(letter @ (b'p' | b'l' | b'n')) => shown.add(letter),
                Some(b'0'..=b'9') => {
                    job.which = count(&mut flags)?;
                    continue;
                }
                Some(b'I' | b'i') => {
                    job.regex = self.compile(Flags { fold: true, ..Flags::default() })?;
                }
                Some(_) => return fault("Invalid command suffix"),
            }
            flags.at += 1;
        }
        job.shown = shown;
        Ok(job)
    }

    /// The replacement, whether its delimiter ended it, and what follows. A backslash at the end of a line continues it.
    fn replacement(
        &mut self,
        cx: &mut Cx,
        c: &mut Cursor<'_>,
        delimiter: u8,
    ) -> Result<(Vec<Piece>, bool, Vec<u8>), Fault> {
        let mut line = c.rest().to_vec();
        if line.first() == Some(&b'%') && (line.len() == 1 || line[1] == delimiter) {
            let Some(last) = &self.substitution else { return fault("No previous substitution") };
            let rest = line.get(2..).unwrap_or_default().to_vec();
            return Ok((last.pieces.clone(), line.len() > 1, rest));
        }
        let (mut pieces, mut text) = (Vec::new(), Vec::new());
        let mut at = 0;
        loop {
            let Some(b) = line.get(at).copied() else {
                pieces.push(Piece::Text(text));
                return Ok((pieces, false, Vec::new()));
            };
            at += 1;
            if b == delimiter {
                pieces.push(Piece::Text(text));
                return Ok((pieces, true, line[at..].to_vec()));
            }
            match (b, line.get(at).copied()) {
                (b'\\', Some(digit @ b'1'..=b'9')) => {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                    pieces.push(Piece::Group(usize::from(digit - b'0')));
                    at += 1;
                }
                (b'\\', Some(other)) => {
                    text.push(other);
                    at += 1;
                }
                (b'\\', None) => {
                    text.push(b'\n');
                    line = match self.line(cx)? {
                        Some(line) => line,
                        None => return fault("Unexpected end-of-file"),
                    };
                    at = 0;
                }
                (b'&', _) => {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                    pieces.push(Piece::Group(0));
                }
                _ => text.push(b),
            }
        }
    }
}

fn count(c: &mut Cursor<'_>) -> Result<usize, Fault> {
    match c.number() {
        Some(n) if n > 0 => Ok(usize::try_from(n).unwrap_or(usize::MAX)),
        _ => fault("Invalid command suffix"),
    }
}

impl Substitution {
    /// The line with what is replaced in it; none if nothing is.
    fn apply(&mut self, line: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let groups = self.regex.groups();
        if self.pieces.iter().any(|piece| matches!(piece, Piece::Group(n) if *n > groups)) {
            return fault("Invalid back reference");
        }
        let (mut out, mut copied, mut at, mut seen, mut changed) = (Vec::new(), 0, 0, 0, false);
        let mut last_end = None;
        let mut spans = Vec::new();
        while at <= line.len() {
            let found = self.regex.groups_at(line, at, &mut spans);
            let Ok(true) = found else { break };
            let Some(Some((start, end))) = spans.first().copied() else { break };
            // Nothing right after a match is no match.
            if start == end && last_end == Some(start) {
                at = start + 1;
                continue;
            }
            last_end = Some(end);
            seen += 1;
            if seen >= self.which {
                changed = true;
                out.extend(&line[copied..start]);
                for piece in &self.pieces {
                    match piece {
                        Piece::Text(text) => out.extend(text),
                        Piece::Group(n) => {
                            if let Some(Some((a, b))) = spans.get(*n) {
                                out.extend(&line[*a..*b]);
                            }
                        }
                    }
                }
                copied = end;
                if !self.all {
                    break;
                }
            }
            // As GNU has it: it would not get on from there.
            if self.all && changed && end == at && end < line.len() {
                return fault("Infinite substitution loop");
            }
            at = if start == end { end + 1 } else { end };
        }
        out.extend(&line[copied..]);
        Ok(changed.then_some(out))
    }
}
