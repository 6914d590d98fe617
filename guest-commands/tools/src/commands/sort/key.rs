//! Sort keys: which part of a line each of them is, and how two lines compare by all of them. It reads no command line.

use super::number::{Decimal, float_rank, is_blank, month, unblank};
use super::version;
use md5::{Digest, Md5};
use std::cmp::Ordering;

/// What `-d` and `-i` leave out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ignore {
    #[default]
    Nothing,
    /// All but letters, digits and blanks.
    Punctuation,
    /// What cannot be printed.
    Control,
}

impl Ignore {
    fn drops(self, b: u8) -> bool {
        match self {
            Ignore::Nothing => false,
            Ignore::Punctuation => !b.is_ascii_alphanumeric() && !is_blank(b),
            Ignore::Control => !matches!(b, b' '..=b'~'),
        }
    }
}

/// How keys are ordered: the letters of an option or after a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Manner {
    pub(super) ignore: Ignore,
    pub(super) fold: bool,
    pub(super) start_blanks: bool,
    pub(super) end_blanks: bool,
    pub(super) general: bool,
    pub(super) human: bool,
    pub(super) month: bool,
    pub(super) numeric: bool,
    pub(super) random: bool,
    pub(super) version: bool,
    pub(super) reverse: bool,
}

impl Manner {
    /// Nothing is said but the direction.
    pub(super) fn is_default(&self) -> bool {
        Manner { reverse: false, ..*self } == Manner::default()
    }

    pub(super) fn is_number(&self) -> bool {
        self.numeric || self.general || self.human
    }

    /// How many orders that exclude each other are asked for.
    pub(super) fn kinds(&self) -> u8 {
        [
            self.numeric,
            self.general,
            self.human,
            self.month,
            self.version || self.random || self.ignore != Ignore::Nothing,
        ]
        .iter()
        .map(|set| u8::from(*set))
        .sum()
    }

    /// The letters, as in messages.
    pub(super) fn letters(&self) -> String {
        [
            (self.start_blanks || self.end_blanks, 'b'),
            (self.ignore == Ignore::Punctuation, 'd'),
            (self.fold, 'f'),
            (self.general, 'g'),
            (self.human, 'h'),
            (self.ignore == Ignore::Control, 'i'),
            (self.month, 'M'),
            (self.numeric, 'n'),
            (self.random, 'R'),
            (self.reverse, 'r'),
            (self.version, 'V'),
        ]
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, letter)| letter)
        .collect()
    }
}

/// One key: from a field and byte to a field and byte, all counted from 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) start_field: usize,
    pub(super) start_byte: usize,
    /// The last field, none for the end of the line.
    pub(super) end_field: Option<usize>,
    /// Bytes of the last field that belong to the key, 0 for all.
    pub(super) end_byte: usize,
    pub(super) order: Manner,
}

impl Key {
    /// The whole line.
    pub(super) fn whole(order: Manner) -> Key {
        Key { start_field: 0, start_byte: 0, end_field: None, end_byte: 0, order }
    }

    /// Where the key is in a line.
    pub(super) fn range(&self, line: &[u8], tab: Option<u8>) -> (usize, usize) {
        let start = self.start(line, tab);
        (start, self.end(line, tab).max(start))
    }

    fn start(&self, line: &[u8], tab: Option<u8>) -> usize {
        let mut at = 0;
        for _ in 0..self.start_field {
            if at >= line.len() {
                break;
            }
            at = skip_field(line, at, tab);
            if tab.is_some() && at < line.len() {
                at += 1;
            }
        }
        if self.order.start_blanks {
            at = skip_blanks(line, at);
        }
        at.saturating_add(self.start_byte).min(line.len())
    }

    fn end(&self, line: &[u8], tab: Option<u8>) -> usize {
        let Some(field) = self.end_field else { return line.len() };
        let mut left = if self.end_byte == 0 { field.saturating_add(1) } else { field };
        let mut at = 0;
        while at < line.len() && left > 0 {
            left -= 1;
            at = skip_field(line, at, tab);
            if tab.is_some() && at < line.len() && (left > 0 || self.end_byte > 0) {
                at += 1;
            }
        }
        if self.end_byte > 0 {
            if self.order.end_blanks {
                at = skip_blanks(line, at);
            }
            at = at.saturating_add(self.end_byte).min(line.len());
        }
        at
    }
}

fn skip_blanks(line: &[u8], at: usize) -> usize {
    at + line[at..].iter().take_while(|b| is_blank(**b)).count()
}

/// The end of the field that begins at `at`; without a separator the blanks before it belong to it.
fn skip_field(line: &[u8], at: usize, tab: Option<u8>) -> usize {
    match tab {
        Some(tab) => memchr::memchr(tab, &line[at..]).map_or(line.len(), |found| at + found),
        None => {
            let at = skip_blanks(line, at);
            at + line[at..].iter().take_while(|b| !is_blank(**b)).count()
        }
    }
}

/// How lines are ordered.
pub(super) struct Rules {
    pub(super) keys: Vec<Key>,
    /// The direction of the last resort.
    pub(super) reverse: bool,
    pub(super) unique: bool,
    pub(super) stable: bool,
    pub(super) tab: Option<u8>,
    /// What makes the order of `-R`.
    pub(super) salt: [u8; 16],
    /// The locale is not the C locale, in which `-R` gives another order.
    pub(super) localized: bool,
}

impl Rules {
    /// Compares two lines.
    pub(super) fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        for key in &self.keys {
            let order = self.by_key(key, a, b);
            if order.is_ne() {
                return if key.order.reverse { order.reverse() } else { order };
            }
        }
        if !self.keys.is_empty() && (self.unique || self.stable) {
            return Ordering::Equal;
        }
        if self.reverse { b.cmp(a) } else { a.cmp(b) }
    }

    fn by_key(&self, key: &Key, a: &[u8], b: &[u8]) -> Ordering {
        let (from, to) = key.range(a, self.tab);
        let a = &a[from..to];
        let (from, to) = key.range(b, self.tab);
        let b = &b[from..to];
        let how = &key.order;
        if how.numeric {
            return Decimal::read(unblank(a)).compare(&Decimal::read(unblank(b)));
        }
        if how.general {
            return float_rank(a).cmp(&float_rank(b));
        }
        if how.human {
            let (a, b) = (unblank(a), unblank(b));
            let (left, right) = (Decimal::read(a), Decimal::read(b));
            return left.unit(a).cmp(&right.unit(b)).then_with(|| left.compare(&right));
        }
        if how.month {
            return month(unblank(a)).cmp(&month(unblank(b)));
        }
        if how.random || how.version {
            let (a, b) = (normal(a, how), normal(b, how));
            return if how.random {
                self.digest(&a).cmp(&self.digest(&b)).then_with(|| a.cmp(&b))
            } else {
                version::compare(&a, &b)
            };
        }
        if how.ignore == Ignore::Nothing && !how.fold {
            return a.cmp(b);
        }
        kept(a, how).cmp(kept(b, how))
    }

    fn digest(&self, text: &[u8]) -> [u8; 16] {
        let mut hash = Md5::new();
        hash.update(self.salt);
        hash.update(text);
        if self.localized {
            hash.update([0]);
        }
        hash.finalize().into()
    }

    /// A number that orders lines as their first key does, or says nothing by being the same.
    pub(super) fn rank(&self, line: &[u8]) -> u64 {
        let Some(key) = self.keys.first() else {
            let rank = first_bytes(line.iter().copied());
            return if self.reverse { !rank } else { rank };
        };
        let (from, to) = key.range(line, self.tab);
        let text = &line[from..to];
        let how = &key.order;
        let rank = if how.numeric {
            Decimal::read(unblank(text)).rank(i64::MAX) as u64 ^ (1 << 63)
        } else if how.general {
            float_rank(text)
        } else if how.human {
            let text = unblank(text);
            let number = Decimal::read(text);
            let size = i64::from(number.unit(text)) * (1 << 58) + number.rank((1 << 58) - 1);
            size as u64 ^ (1 << 63)
        } else if how.month {
            u64::from(month(unblank(text)))
        } else if how.random {
            first_bytes(self.digest(&normal(text, how)).into_iter())
        } else if how.version {
            0
        } else {
            first_bytes(kept(text, how))
        };
        if how.reverse { !rank } else { rank }
    }
}

/// The bytes that count, as they count.
fn kept<'a>(text: &'a [u8], how: &'a Manner) -> impl Iterator<Item = u8> + 'a {
    let fold = how.fold;
    text.iter()
        .filter(|b| !how.ignore.drops(**b))
        .map(move |b| if fold { b.to_ascii_uppercase() } else { *b })
}

fn normal<'a>(text: &'a [u8], how: &'a Manner) -> std::borrow::Cow<'a, [u8]> {
    if how.ignore == Ignore::Nothing && !how.fold {
        text.into()
    } else {
        kept(text, how).collect::<Vec<u8>>().into()
    }
}

fn first_bytes(bytes: impl Iterator<Item = u8>) -> u64 {
    let mut eight = [0; 8];
    for (place, b) in eight.iter_mut().zip(bytes) {
        *place = b;
    }
    u64::from_be_bytes(eight)
}
