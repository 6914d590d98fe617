//! The replacement of matches in the pattern space. What follows a replacement (`p`, `w`, `e`) is the executor's.

use super::script::{Case, Part, Substitute};
use crate::regex::{Regex, Span, TooHard};

/// Buffers that are used again for every line.
#[derive(Default)]
pub(super) struct Replacer {
    out: Vec<u8>,
    groups: Vec<Option<Span>>,
}

impl Replacer {
    /// Replaces what `s` says in `space`; whether anything was.
    pub(super) fn replace(
        &mut self,
        s: &Substitute,
        regex: &Regex,
        space: &mut Vec<u8>,
    ) -> Result<bool, TooHard> {
        let Replacer { out, groups } = self;
        let (mut start, mut copied, mut count) = (0, 0, 0);
        let mut last_end = None;
        let mut done = false;
        loop {
            let found = if s.grouped {
                regex.groups_at(space, start, groups)?.then(|| groups.first().copied().flatten()).flatten()
            } else {
                let found = regex.find_at(space, start)?;
                groups.clear();
                groups.push(found);
                found
            };
            let Some((from, to)) = found else { break };
            // After a match, nothing is not found once more at its end.
            let counts = from != to || last_end != Some(from);
            if counts {
                count += 1;
                if count >= s.number {
                    if !done {
                        out.clear();
                        done = true;
                    }
                    out.extend_from_slice(&space[copied..from]);
                    put(out, &s.replacement, space, groups);
                    copied = to;
                    if !s.global {
                        break;
                    }
                }
            }
            last_end = Some(to);
            start = if from == to { to + character(&space[to..]) } else { to };
            if start > space.len() {
                break;
            }
        }
        if done {
            out.extend_from_slice(&space[copied..]);
            std::mem::swap(out, space);
        }
        Ok(done)
    }
}

/// The length of the first character, at least 1.
fn character(text: &[u8]) -> usize {
    let len = match text.first() {
        Some(0xf0..) => 4,
        Some(0xe0..) => 3,
        Some(0xc0..) => 2,
        _ => 1,
    };
    if std::str::from_utf8(text.get(..len).unwrap_or_default()).is_ok() { len } else { 1 }
}

fn put(out: &mut Vec<u8>, parts: &[Part], space: &[u8], groups: &[Option<Span>]) {
    let (mut whole, mut one) = (None, None);
    for part in parts {
        let text = match part {
            Part::Text(text) => text.as_slice(),
            Part::Group(n) => match groups.get(*n).copied().flatten() {
                Some((from, to)) => &space[from..to],
                None => continue,
            },
            Part::Case(case) => {
                match case {
                    Case::End => (whole, one) = (None, None),
                    Case::Upper | Case::Lower => whole = Some(*case),
                    Case::UpperOne | Case::LowerOne => one = Some(*case),
                }
                continue;
            }
        };
        if whole.is_none() && one.is_none() {
            out.extend_from_slice(text);
        } else {
            put_in_case(out, text, whole, &mut one);
        }
    }
}

fn put_in_case(out: &mut Vec<u8>, text: &[u8], whole: Option<Case>, one: &mut Option<Case>) {
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            let mut buf = [0; 4];
            let mut push = |c: char| out.extend_from_slice(c.encode_utf8(&mut buf).as_bytes());
            // Letters without one letter of the other case stay.
            match one.take().or(whole) {
                Some(Case::Upper | Case::UpperOne) if c.to_uppercase().count() == 1 => {
                    c.to_uppercase().for_each(&mut push)
                }
                Some(Case::Lower | Case::LowerOne) if c.to_lowercase().count() == 1 => {
                    c.to_lowercase().for_each(&mut push)
                }
                _ => push(c),
            }
        }
        out.extend_from_slice(chunk.invalid());
    }
}
