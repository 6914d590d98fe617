//! sub, gsub and gensub.

use crate::error::Result;
use crate::regex::Regex;
use crate::text;
use crate::value::{Str, Value};
use crate::vm::Vm;

/// Appends the replacement for `matched`: `&` stands for it, a backslash before `&` or itself quotes.
fn replacement(out: &mut Vec<u8>, by: &[u8], matched: &[u8]) {
    let mut at = 0;
    while let Some(skip) = memchr::memchr2(b'\\', b'&', &by[at..]) {
        out.extend_from_slice(&by[at..at + skip]);
        at += skip;
        if by[at] == b'&' {
            out.extend_from_slice(matched);
            at += 1;
            continue;
        }
        match by.get(at + 1) {
            Some(b'&') => {
                out.push(b'&');
                at += 2;
            }
            // Two backslashes before `&`: one of them, and the match.
            Some(b'\\') if by.get(at + 2) == Some(&b'&') => {
                out.push(b'\\');
                out.extend_from_slice(matched);
                at += 3;
            }
            // Three: one of them, and the character.
            Some(b'\\') if by[at + 1..].starts_with(b"\\\\&") => {
                out.extend_from_slice(b"\\&");
                at += 4;
            }
            _ => {
                out.push(b'\\');
                at += 1;
            }
        }
    }
    out.extend_from_slice(&by[at..]);
}

/// Calls `each` for matches from left to right until it says to stop: gsub's, where an empty match counts only if no
/// other has just ended.
fn matches(regex: &Regex, text: &[u8], mut each: impl FnMut(usize, usize) -> bool) {
    let (mut at, mut last_end) = (0, None);
    while at <= text.len() {
        let Some((from, to)) = regex.find(text, at) else { return };
        let counts = to > from || last_end != Some(from);
        if counts && !each(from, to) {
            return;
        }
        last_end = Some(to);
        at = if to > from {
            to
        } else if to < text.len() {
            to + text::step(&text[to..])
        } else {
            return;
        };
    }
}

impl Vm {
    /// What sub or gsub makes of a text, and how many times; nothing if never.
    pub(crate) fn substitute(
        &mut self,
        regex: &Value,
        by: &Value,
        target: &[u8],
        all: bool,
    ) -> Result<Option<(Vec<u8>, usize)>> {
        let regex = self.regex(regex)?;
        let by = self.str(by);
        let plain = memchr::memchr2(b'\\', b'&', &by).is_none();
        let (mut out, mut done, mut count) = (Vec::new(), 0, 0);
        matches(&regex, target, |from, to| {
            out.extend_from_slice(&target[done..from]);
            if plain {
                out.extend_from_slice(&by);
            } else {
                replacement(&mut out, &by, &target[from..to]);
            }
            done = to;
            count += 1;
            all
        });
        if count == 0 {
            return Ok(None);
        }
        out.extend_from_slice(&target[done..]);
        Ok(Some((out, count)))
    }

    /// gensub(regexp, replacement, how [, target]).
    pub(crate) fn gensub(&mut self, args: &[Value]) -> Result<Value> {
        let regex = self.regex(&args[0])?;
        let by = self.str(&args[1]);
        let how = self.str(&args[2]);
        let all = matches!(how.first(), Some(b'g' | b'G'));
        let which = if all { 0 } else { (args[2].num() as usize).max(1) };
        let target = match args.get(3) {
            Some(target) => self.str(target),
            None => Str::new(self.record.text(&self.ofs, &self.conv)),
        };
        let (mut out, mut done, mut count) = (Vec::new(), 0, 0);
        matches(&regex, &target, |from, to| {
            count += 1;
            if !all && count != which {
                return true;
            }
            out.extend_from_slice(&target[done..from]);
            done = to;
            let groups = if memchr::memchr(b'\\', &by).is_some() {
                regex.groups(&target, (from, to))
            } else {
                Vec::new()
            };
            let mut at = 0;
            while at < by.len() {
                match (by[at], by.get(at + 1)) {
                    (b'&', _) => out.extend_from_slice(&target[from..to]),
                    (b'\\', Some(b'0')) => {
                        out.extend_from_slice(&target[from..to]);
                        at += 1;
                    }
                    (b'\\', Some(digit @ b'1'..=b'9')) => {
                        if let Some(Some((from, to))) = groups.get(usize::from(digit - b'1')) {
                            out.extend_from_slice(&target[*from..*to]);
                        }
                        at += 1;
                    }
                    (b'\\', Some(other @ (b'&' | b'\\'))) => {
                        out.push(*other);
                        at += 1;
                    }
                    (other, _) => out.push(other),
                }
                at += 1;
            }
            all
        });
        out.extend_from_slice(&target[done..]);
        Ok(Value::Str(Str::from_vec(out)))
    }
}
