//! Regular expressions of `--grep` and its like: POSIX basic ones by default. The engine is the regex crate's.

use regex::bytes::{Regex as Engine, RegexBuilder};

/// A compiled expression.
pub(crate) struct Regex(Engine);

/// A basic expression in the syntax of the engine.
fn from_basic(pattern: &str) -> String {
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    let mut start = true;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('(' | '{' | '|')) => {
                    out.push(c);
                    start = c != '{';
                    continue;
                }
                Some(c @ (')' | '}' | '+' | '?')) => out.push(c),
                Some(c) => out.extend(['\\', c]),
                None => out.push_str("\\\\"),
            },
            '(' | ')' | '{' | '}' | '|' | '+' | '?' => out.extend(['\\', c]),
            '*' if start => out.push_str("\\*"),
            '^' if !start => out.push_str("\\^"),
            '[' => set(&mut out, &mut chars),
            c => out.push(c),
        }
        start = c == '^' && start;
    }
    out
}

fn set(out: &mut String, chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    out.push('[');
    if chars.peek() == Some(&'^') {
        out.extend(chars.next());
    }
    let mut first = true;
    while let Some(c) = chars.next() {
        match c {
            ']' if !first => {
                out.push(']');
                return;
            }
            '[' if matches!(chars.peek(), Some(':')) => {
                out.push('[');
                while let Some(c) = chars.next() {
                    out.push(c);
                    if c == ':' && chars.peek() == Some(&']') {
                        out.extend(chars.next());
                        break;
                    }
                }
            }
            '\\' | '[' | ']' | '&' | '~' => out.extend(['\\', c]),
            c => out.push(c),
        }
        first = false;
    }
}

impl Regex {
    /// Compiles a basic (or extended) expression.
    pub(crate) fn new(pattern: &str, extended: bool, fold: bool) -> Result<Regex, String> {
        let pattern = if extended { pattern.to_owned() } else { from_basic(pattern) };
        RegexBuilder::new(&pattern)
            .case_insensitive(fold)
            .multi_line(true)
            .size_limit(1 << 22)
            .build()
            .map(Regex)
            .map_err(|e| e.to_string())
    }

    /// Compiles fixed text.
    pub(crate) fn fixed(text: &str, fold: bool) -> Result<Regex, String> {
        Regex::new(&regex::escape(text), true, fold)
    }

    /// The first match from a place on.
    pub(crate) fn find(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        self.0.find_at(text, from).map(|m| (m.start(), m.end()))
    }

    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }
}
