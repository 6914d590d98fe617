//! `--word-diff`: the words that changed inside of changed lines. Which lines changed is found elsewhere.

use crate::error::put;
use crate::regex::Regex;
use crate::textdiff::{self, GREEN, RED, RESET};

/// How changed words are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `[-old-]{+new+}`
    Plain,
    Color,
    /// Each piece on a line of its own.
    Porcelain,
}

/// What `--word-diff` was given.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    pub(crate) kind: Kind,
    /// What a word is; all that is no white space if it is not given.
    pub(crate) regex: Option<String>,
}

type Span = (usize, usize);

fn words(text: &[u8], regex: Option<&Regex>) -> Vec<Span> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        match regex {
            Some(regex) => match regex.find(text, at) {
                Some((start, end)) if end > start => {
                    // A word ends with its line.
                    let end = text[start..end].iter().position(|b| *b == b'\n').map_or(end, |n| start + n);
                    if end > start {
                        out.push((start, end));
                    }
                    at = end.max(start + 1);
                }
                Some((start, _)) => at = start + 1,
                None => break,
            },
            None => {
                let Some(skip) = text[at..].iter().position(|b| !b.is_ascii_whitespace()) else { break };
                let start = at + skip;
                let len =
                    text[start..].iter().position(u8::is_ascii_whitespace).unwrap_or(text.len() - start);
                out.push((start, start + len));
                at = start + len;
            }
        }
    }
    out
}

impl Words {
    fn piece(&self, text: &[u8], sign: u8, color: bool) {
        let (before, after): (&[u8], &[u8]) = match (self.kind, sign) {
            (Kind::Plain, b'-') => (b"[-", b"-]"),
            (Kind::Plain, b'+') => (b"{+", b"+}"),
            (Kind::Porcelain, b'-') => (b"-", b"\n"),
            (Kind::Porcelain, b'+') => (b"+", b"\n"),
            (Kind::Porcelain, _) => (b" ", b"\n"),
            _ => (b"", b""),
        };
        let paint = match sign {
            b'-' if color => RED,
            b'+' if color => GREEN,
            _ => "",
        };
        for (at, line) in text.split(|b| *b == b'\n').enumerate() {
            if at > 0 {
                put(if self.kind == Kind::Porcelain { b"~\n" } else { b"\n" });
            }
            if line.is_empty() {
                continue;
            }
            put(paint.as_bytes());
            put(&[before, line, after].concat());
            if !paint.is_empty() {
                put(RESET.as_bytes());
            }
        }
    }

    /// A line that did not change.
    pub(crate) fn context(&self, line: &[u8], color: bool) {
        let body = line.strip_suffix(b"\n").unwrap_or(line);
        if self.kind == Kind::Porcelain {
            put(&[b" ", body, b"\n~\n"].concat());
            return;
        }
        put(body);
        if color && !body.is_empty() {
            put(RESET.as_bytes());
        }
        put(b"\n");
    }

    /// Lines that changed.
    pub(crate) fn change(&self, old: &[&[u8]], new: &[&[u8]], color: bool) {
        let join = |lines: &[&[u8]]| {
            let mut text = lines.concat();
            if !text.is_empty() && !text.ends_with(b"\n") {
                text.push(b'\n');
            }
            text
        };
        let (old, new) = (join(old), join(new));
        if new.is_empty() {
            self.piece(&old, b'-', color);
            return;
        }
        let regex = self.regex.as_ref().and_then(|r| Regex::new(r, true, false).ok());
        let (a, b) = (words(&old, regex.as_ref()), words(&new, regex.as_ref()));
        let texts = |text: &[u8], spans: &[Span]| -> Vec<Vec<u8>> {
            spans.iter().map(|(s, e)| text[*s..*e].to_vec()).collect()
        };
        let (at, bt) = (texts(&old, &a), texts(&new, &b));
        let (ar, br): (Vec<&[u8]>, Vec<&[u8]>) =
            (at.iter().map(|w| &w[..]).collect(), bt.iter().map(|w| &w[..]).collect());
        let span = |spans: &[Span], start: usize, end: usize| -> Span {
            if start < end {
                return (spans[start].0, spans[end - 1].1);
            }
            let place = if start == 0 { 0 } else { spans[start - 1].1 };
            (place, place)
        };
        let mut shown = 0;
        for hunk in textdiff::plain_hunks(&ar, &br) {
            let minus = span(&a, hunk.old.start, hunk.old.end);
            let plus = span(&b, hunk.new.start, hunk.new.end);
            if shown < plus.0 {
                self.piece(&new[shown..plus.0], b' ', color);
            }
            if minus.0 < minus.1 {
                self.piece(&old[minus.0..minus.1], b'-', color);
            }
            if plus.0 < plus.1 {
                self.piece(&new[plus.0..plus.1], b'+', color);
            }
            shown = plus.1;
        }
        if shown < new.len() {
            self.piece(&new[shown..], b' ', color);
        }
    }
}

/// What an option asks for. `None`: words are not compared.
pub(crate) fn kind(name: &str) -> Option<Option<Kind>> {
    match name {
        "plain" => Some(Some(Kind::Plain)),
        "color" => Some(Some(Kind::Color)),
        "porcelain" => Some(Some(Kind::Porcelain)),
        "none" => Some(None),
        _ => None,
    }
}

/// Whether an expression can be used.
pub(crate) fn is_regex(text: &str) -> bool {
    Regex::new(text, true, false).is_ok()
}
