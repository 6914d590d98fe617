//! How text is split into fields: `FS`, `FIELDWIDTHS`, `FPAT`, and the same for split.

use crate::error::{Result, fatal};
use crate::posix::Mode;
use crate::regex::{Regex, Store};
use crate::text;
use std::rc::Rc;

/// What separates fields, or makes them.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Runs of blanks and newlines; those at the ends do not count.
    Blank,
    /// One byte.
    Byte(u8),
    /// Matches of an expression.
    Regex(Rc<Regex>),
    /// Nothing: each character is a field.
    Chars,
    /// Characters to skip and to take; none: all the rest.
    Widths(Vec<(usize, Option<usize>)>),
    /// Fields are matches.
    Pattern(Rc<Regex>),
}

/// A way to split.
#[derive(Clone, Debug)]
pub(crate) struct Splitter {
    pub(crate) kind: Kind,
    /// Newlines separate too.
    newline: bool,
    utf8: bool,
}

/// Blanks between fields.
fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n')
}

impl Splitter {
    /// Of this kind.
    pub(crate) fn new(kind: Kind, utf8: bool) -> Splitter {
        Splitter { kind, newline: false, utf8 }
    }

    /// By the value of `FS`; `newline`: records are paragraphs.
    pub(crate) fn by_fs(fs: &[u8], newline: bool, mode: Mode, store: &mut Store) -> Result<Splitter> {
        let kind = match fs {
            b" " => Kind::Blank,
            b"" => Kind::Chars,
            [b] => Kind::Byte(*b),
            _ if newline => {
                let both = [b"(", fs, b")|\n"].concat();
                Kind::Regex(store.get(&both, mode)?)
            }
            _ => Kind::Regex(store.get(fs, mode)?),
        };
        Ok(Splitter { kind, newline, utf8: mode.utf8 })
    }

    /// By the value of `FIELDWIDTHS`: numbers with an optional `skip:` before each, a `*` at the end for the rest.
    pub(crate) fn by_widths(widths: &[u8], utf8: bool) -> Result<Splitter> {
        let widths = String::from_utf8_lossy(widths).into_owned();
        let mut list = Vec::new();
        for (at, word) in widths.split_whitespace().enumerate() {
            let (skip, width) = word.split_once(':').unwrap_or(("0", word));
            let width = if width == "*" { Ok(None) } else { width.parse().map(Some) };
            match (skip.parse(), width) {
                (Ok(skip), Ok(width)) if width != Some(0) => list.push((skip, width)),
                _ => {
                    return fatal(format!("invalid FIELDWIDTHS value, for field {}, near `{word}'", at + 1));
                }
            }
        }
        Ok(Splitter::new(Kind::Widths(list), utf8))
    }

    /// Finds fields from `at` on, until there are `wanted`. Returns where to go on, or none if there are no more.
    pub(crate) fn split(
        &self,
        text: &[u8],
        mut at: usize,
        wanted: usize,
        parts: &mut Vec<(usize, usize)>,
    ) -> Option<usize> {
        match &self.kind {
            Kind::Blank => loop {
                while at < text.len() && is_blank(text[at]) {
                    at += 1;
                }
                if at == text.len() {
                    return None;
                }
                if parts.len() >= wanted {
                    return Some(at);
                }
                let from = at;
                while at < text.len() && !is_blank(text[at]) {
                    at += 1;
                }
                parts.push((from, at));
            },
            Kind::Byte(b) => {
                if text.is_empty() {
                    return None;
                }
                loop {
                    if parts.len() >= wanted {
                        return Some(at);
                    }
                    let rest = &text[at..];
                    let found = if self.newline {
                        memchr::memchr2(*b, b'\n', rest)
                    } else {
                        memchr::memchr(*b, rest)
                    };
                    let Some(len) = found else {
                        parts.push((at, text.len()));
                        return None;
                    };
                    parts.push((at, at + len));
                    at += len + 1;
                }
            }
            _ => {
                self.split_all(text, &mut |from, to, _| parts.push((from, to)));
                None
            }
        }
    }

    /// Finds all fields: start, end, and where the separator behind ends.
    pub(crate) fn split_all(&self, text: &[u8], found: &mut dyn FnMut(usize, usize, usize)) {
        if text.is_empty() {
            return;
        }
        match &self.kind {
            Kind::Blank => {
                let mut at = text.iter().take_while(|b| is_blank(**b)).count();
                while at < text.len() {
                    let end = text[at..].iter().position(|b| is_blank(*b)).map_or(text.len(), |len| at + len);
                    let next = end + text[end..].iter().take_while(|b| is_blank(**b)).count();
                    found(at, end, next);
                    at = next;
                }
            }
            Kind::Byte(_) => {
                let mut parts = Vec::new();
                self.split(text, 0, usize::MAX, &mut parts);
                for (from, to) in parts {
                    found(from, to, (to + 1).min(text.len()));
                }
            }
            Kind::Regex(regex) => {
                let (mut from, mut search) = (0, 0);
                while search < text.len() {
                    let Some((start, end)) = regex.find(text, search) else { break };
                    // An empty match separates nothing.
                    if end == start {
                        search = start + if start < text.len() { text::step(&text[start..]) } else { 1 };
                        continue;
                    }
                    found(from, start, end);
                    (from, search) = (end, end);
                }
                found(from, text.len(), text.len());
            }
            Kind::Chars => {
                let mut at = 0;
                while at < text.len() {
                    let len = if self.utf8 { text::step(&text[at..]) } else { 1 };
                    found(at, at + len, at + len);
                    at += len;
                }
            }
            Kind::Widths(widths) => {
                let mut at = 0;
                for (skip, width) in widths {
                    at += text::offset(&text[at..], *skip, self.utf8);
                    if at >= text.len() {
                        return;
                    }
                    let len =
                        width.map_or(text.len() - at, |width| text::offset(&text[at..], width, self.utf8));
                    found(at, at + len, at + len);
                    at += len;
                }
            }
            Kind::Pattern(regex) => {
                let mut at = 0;
                // An empty match counts where no other match has just ended.
                let mut last_end = None;
                while at <= text.len() {
                    let Some((start, end)) = regex.find(text, at) else { return };
                    if end > start || last_end != Some(start) {
                        found(start, end, end);
                    }
                    last_end = Some(end);
                    at = if end > start {
                        end
                    } else if end < text.len() {
                        end + text::step(&text[end..])
                    } else {
                        return;
                    };
                }
            }
        }
    }
}
