//! The texts inside a script of `sed`: a cursor that knows where it is, patterns and replacements between delimiters. What a
//! command does with them is not known here.

use super::script::{Case, Part};
use crate::regex::escaped_byte;

/// A script and how far it has been read.
#[derive(Clone)]
pub(super) struct Source<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Source<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Source<'a> {
        Source { bytes, at: 0 }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let b = self.peek()?;
        self.at += 1;
        Some(b)
    }

    /// Takes the last byte back.
    pub(super) fn back(&mut self) {
        self.at = self.at.saturating_sub(1);
    }

    pub(super) fn advance(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.bytes.len());
    }

    /// The next byte that is no blank.
    pub(super) fn command_letter(mut self) -> Option<u8> {
        self.skip(|b| matches!(b, b' ' | b'\t'));
        self.peek()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    pub(super) fn skip(&mut self, test: impl Fn(u8) -> bool) {
        self.take_while(test);
    }

    pub(super) fn take_while(&mut self, test: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let n = rest.iter().position(|b| !test(*b)).unwrap_or(rest.len());
        self.at += n;
        &rest[..n]
    }

    /// The whole character whose first byte has just been read.
    pub(super) fn character_from(&self, first: u8) -> &'a [u8] {
        let from = self.at - 1;
        let len = match first {
            0xf0.. => 4,
            0xe0.. => 3,
            0xc0.. => 2,
            _ => 1,
        };
        &self.bytes[from..(from + len).min(self.bytes.len())]
    }

    /// How many bytes have been read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The number of the line that is being read.
    pub(super) fn line(&self) -> usize {
        let read = &self.bytes[..self.at];
        let ended = read.iter().filter(|b| **b == b'\n').count();
        ended + usize::from(read.last() != Some(&b'\n'))
    }
}

/// What stands before the delimiter `mark`, backslashes and all; `None` when it never comes.
pub(super) fn raw(s: &mut Source<'_>, mark: u8) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        let b = s.next()?;
        if b == mark {
            return Some(out);
        }
        if b == b'\n' {
            return None;
        }
        out.push(b);
        if b == b'\\' {
            let next = s.next()?;
            // The delimiter loses its backslash; `&` and the like keep theirs.
            if next == mark && next != b'&' {
                out.pop();
            }
            out.push(next);
        }
    }
}

/// A pattern before the delimiter `mark`, which is an ordinary character in a list of characters.
pub(super) fn pattern(s: &mut Source<'_>, mark: u8) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        let b = s.next()?;
        if b == mark {
            return Some(out);
        }
        out.push(b);
        match b {
            b'\\' => {
                let next = s.next()?;
                if next == mark {
                    out.pop();
                }
                out.push(next);
            }
            b'[' => list(s, &mut out)?,
            _ => {}
        }
    }
}

/// The rest of a list of characters, its `]` included.
fn list(s: &mut Source<'_>, out: &mut Vec<u8>) -> Option<()> {
    let mut first = true;
    loop {
        let b = s.next()?;
        out.push(b);
        match b {
            b'^' if first && out.ends_with(b"[^") => continue,
            b']' if !first => return Some(()),
            b'[' if s.peek().is_some_and(|kind| matches!(kind, b':' | b'.' | b'=')) => {
                let kind = s.next()?;
                out.push(kind);
                loop {
                    let b = s.next()?;
                    out.push(b);
                    if b == b']' && out[..out.len() - 1].ends_with(&[kind]) {
                        break;
                    }
                }
            }
            _ => {}
        }
        first = false;
    }
}

/// The characters of a string of `y`.
pub(super) fn characters(text: &[u8], mark: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((&b, tail)) = rest.split_first() {
        rest = tail;
        if b != b'\\' {
            out.push(b);
            continue;
        }
        match escaped_byte(rest) {
            Some((byte, used)) => {
                out.push(byte);
                rest = &rest[used..];
            }
            None => {
                let next = rest.first().copied().unwrap_or(b'\\');
                rest = rest.get(1..).unwrap_or_default();
                debug_assert!(next != mark || mark == b'&');
                out.push(next);
            }
        }
    }
    out
}

/// The parts of a replacement, and the highest group it names.
pub(super) fn replacement(text: &[u8]) -> (Vec<Part>, usize) {
    let mut parts = Vec::new();
    let mut plain = Vec::new();
    let mut most = 0;
    let mut rest = text;
    let mut put = |plain: &mut Vec<u8>, part: Part| {
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(plain)));
        }
        parts.push(part);
    };
    while let Some((&b, tail)) = rest.split_first() {
        rest = tail;
        match b {
            b'&' => put(&mut plain, Part::Group(0)),
            b'\\' => {
                let Some(&next) = rest.first() else {
                    plain.push(b'\\');
                    break;
                };
                let case = match next {
                    b'U' => Some(Case::Upper),
                    b'L' => Some(Case::Lower),
                    b'u' => Some(Case::UpperOne),
                    b'l' => Some(Case::LowerOne),
                    b'E' => Some(Case::End),
                    _ => None,
                };
                if let Some(case) = case {
                    put(&mut plain, Part::Case(case));
                    rest = &rest[1..];
                } else if next.is_ascii_digit() {
                    let group = usize::from(next - b'0');
                    most = most.max(group);
                    put(&mut plain, Part::Group(group));
                    rest = &rest[1..];
                } else if let Some((byte, used)) = escaped_byte(rest) {
                    plain.push(byte);
                    rest = &rest[used..];
                } else {
                    plain.push(next);
                    rest = &rest[1..];
                }
            }
            _ => plain.push(b),
        }
    }
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    (parts, most)
}
