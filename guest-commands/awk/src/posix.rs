//! Extended regular expressions of POSIX, with GNU's additions, as trees of the matching library. It matches nothing.

use crate::text;
use regex_syntax::hir::{
    Capture, Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Dot, Hir, Look, Repetition,
};
use std::sync::OnceLock;

/// Parentheses inside one another.
const MAX_DEPTH: usize = 200;
/// The largest count of an interval, as in the C library.
const MAX_COUNT: u32 = 0x7fff;
/// Quantifiers behind one item.
const MAX_STACKED: usize = 8;

/// How to read a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    /// Characters are UTF-8, not bytes.
    pub(crate) utf8: bool,
    /// Upper and lower case are the same.
    pub(crate) fold: bool,
}

/// The tree of a pattern; the number of its groups. An error is the C library's text.
pub(crate) fn parse(source: &[u8], mode: Mode) -> Result<(Hir, u32), &'static str> {
    let mut parser = Parser { source, at: 0, mode, groups: 0, depth: 0 };
    let hir = parser.alternation()?;
    if parser.at < source.len() {
        return Err("Unmatched ) or \\)");
    }
    Ok((hir, parser.groups))
}

struct Parser<'a> {
    source: &'a [u8],
    at: usize,
    mode: Mode,
    groups: u32,
    depth: usize,
}

type Parsed<T> = Result<T, &'static str>;

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.source.get(self.at).copied()
    }

    fn alternation(&mut self) -> Parsed<Hir> {
        let mut branches = vec![self.concatenation()?];
        while self.peek() == Some(b'|') {
            self.at += 1;
            branches.push(self.concatenation()?);
        }
        Ok(Hir::alternation(branches))
    }

    fn concatenation(&mut self) -> Parsed<Hir> {
        let mut parts = Vec::new();
        // A quantifier needs something to quantify: without, it is an ordinary character.
        let mut first = true;
        while let Some(b) = self.peek() {
            if b == b'|' || (b == b')' && self.depth > 0) {
                break;
            }
            if b == b')' {
                return Err("Unmatched ) or \\)");
            }
            if b == b'^' || b == b'$' {
                self.at += 1;
                parts.push(Hir::look(if b == b'^' { Look::Start } else { Look::End }));
                first = b == b'^';
                continue;
            }
            let item = if first && matches!(b, b'*' | b'+' | b'?' | b'{') {
                self.at += 1;
                self.literal_byte(b)
            } else {
                self.item(b)?
            };
            first = false;
            parts.push(self.quantified(item)?);
        }
        Ok(Hir::concat(parts))
    }

    fn quantified(&mut self, mut item: Hir) -> Parsed<Hir> {
        let mut stacked = 0;
        loop {
            let (min, max) = match self.peek() {
                Some(b'*') => (0, None),
                Some(b'+') => (1, None),
                Some(b'?') => (0, Some(1)),
                Some(b'{') => match self.interval()? {
                    Some(interval) => interval,
                    None => return Ok(item),
                },
                _ => return Ok(item),
            };
            self.at += 1;
            stacked += 1;
            if stacked > MAX_STACKED {
                return Err("Regular expression too big");
            }
            item = Hir::repetition(Repetition { min, max, greedy: true, sub: Box::new(item) });
        }
    }

    /// The counts of an interval that begins here, `at` then being its closing brace; none if it is ordinary text.
    fn interval(&mut self) -> Parsed<Option<(u32, Option<u32>)>> {
        let rest = &self.source[self.at + 1..];
        let Some(len) = rest.iter().position(|b| *b == b'}') else { return Ok(None) };
        let inside = &rest[..len];
        let number = |digits: &[u8]| -> Option<u32> {
            digits.iter().all(u8::is_ascii_digit).then(|| {
                digits.iter().fold(0u32, |n, d| n.saturating_mul(10).saturating_add(u32::from(d - b'0')))
            })
        };
        let counts = match inside.iter().position(|b| *b == b',') {
            None if inside.is_empty() => None,
            None => number(inside).map(|n| (n, Some(n))),
            Some(comma) => match (number(&inside[..comma]), &inside[comma + 1..]) {
                (Some(min), []) if comma > 0 => Some((min, None)),
                (Some(min), max) if !max.is_empty() => number(max).map(|max| (min, Some(max))),
                _ => None,
            },
        };
        let Some((min, max)) = counts else { return Ok(None) };
        if min > MAX_COUNT || max.is_some_and(|max| max > MAX_COUNT) {
            return Err("Regular expression too big");
        }
        if max.is_some_and(|max| max < min) {
            return Err("Invalid content of \\{\\}");
        }
        self.at += 1 + len;
        Ok(Some((min, max)))
    }

    fn item(&mut self, b: u8) -> Parsed<Hir> {
        match b {
            b'.' => {
                self.at += 1;
                Ok(Hir::dot(if self.mode.utf8 { Dot::AnyChar } else { Dot::AnyByte }))
            }
            b'[' => self.bracket(),
            b'(' => {
                self.at += 1;
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err("Regular expression too big");
                }
                self.groups += 1;
                let index = self.groups;
                let inside = self.alternation()?;
                if self.peek() != Some(b')') {
                    return Err("Unmatched ( or \\(");
                }
                self.at += 1;
                self.depth -= 1;
                Ok(Hir::capture(Capture { index, name: None, sub: Box::new(inside) }))
            }
            b'\\' => self.escape(),
            _ => Ok(self.character()),
        }
    }

    /// The character here, whole.
    fn character(&mut self) -> Hir {
        let len = if self.mode.utf8 { text::step(&self.source[self.at..]) } else { 1 };
        let bytes = &self.source[self.at..self.at + len];
        self.at += len;
        if self.mode.fold
            && let Some(c) = std::str::from_utf8(bytes).ok().and_then(|s| s.chars().next())
        {
            let mut set = Set::new(self.mode);
            set.add(u32::from(c), u32::from(c));
            return set.into_hir(false);
        }
        Hir::literal(bytes)
    }

    fn literal_byte(&self, b: u8) -> Hir {
        if self.mode.fold && b.is_ascii_alphabetic() {
            let mut set = Set::new(self.mode);
            set.add(u32::from(b), u32::from(b));
            return set.into_hir(false);
        }
        Hir::literal([b])
    }

    fn escape(&mut self) -> Parsed<Hir> {
        let Some(&b) = self.source.get(self.at + 1) else {
            return Err("Trailing backslash");
        };
        let class = |name: &[u8], negated: bool| {
            let mut set = Set::new(self.mode);
            set.add_class(name);
            if name == b"alnum" {
                set.add(u32::from('_'), u32::from('_'));
            }
            set.into_hir(negated)
        };
        let hir = match b {
            b'y' => Hir::look(Look::WordAscii),
            b'B' => Hir::look(Look::WordAsciiNegate),
            b'<' => Hir::look(Look::WordStartAscii),
            b'>' => Hir::look(Look::WordEndAscii),
            b'`' => Hir::look(Look::Start),
            b'\'' => Hir::look(Look::End),
            b'w' => class(b"alnum", false),
            b'W' => class(b"alnum", true),
            b's' => class(b"space", false),
            b'S' => class(b"space", true),
            _ => {
                let (byte, len) = escaped_byte(&self.source[self.at + 1..]);
                if let Some(byte) = byte {
                    self.at += 1 + len;
                    return Ok(self.literal_byte(byte));
                }
                self.at += 1;
                return Ok(self.character());
            }
        };
        self.at += 2;
        Ok(hir)
    }

    fn bracket(&mut self) -> Parsed<Hir> {
        const OPEN: &str = "Unmatched [, [^, [:, [., or [=";
        self.at += 1;
        let negated = self.peek() == Some(b'^');
        self.at += usize::from(negated);
        let mut set = Set::new(self.mode);
        let mut first = true;
        loop {
            let Some(b) = self.peek() else {
                return Err(if first { "Invalid regular expression" } else { OPEN });
            };
            if b == b']' && !first {
                self.at += 1;
                return Ok(set.into_hir(negated));
            }
            first = false;
            if b == b'[' && self.source.get(self.at + 1) == Some(&b':') {
                let rest = &self.source[self.at + 2..];
                let Some(len) = memchr::memmem::find(rest, b":]") else { return Err(OPEN) };
                let name = &rest[..len];
                if !name.iter().all(u8::is_ascii_alphabetic) || !set.add_class(name) {
                    return Err("Invalid character class name");
                }
                self.at += len + 4;
                continue;
            }
            let low = self.bracket_end()?.ok_or(OPEN)?;
            let range =
                self.peek() == Some(b'-') && !matches!(self.source.get(self.at + 1), None | Some(b']'));
            if !range {
                set.add(low, low);
                continue;
            }
            self.at += 1;
            let high = self.bracket_end()?.ok_or(OPEN)?;
            if high < low {
                return Err("Invalid range end");
            }
            set.add(low, high);
        }
    }

    /// One end of a range: a character, an escape, `[.x.]` or `[=x=]`.
    fn bracket_end(&mut self) -> Parsed<Option<u32>> {
        let Some(b) = self.peek() else { return Ok(None) };
        if b == b'\\'
            && let Some(rest) = self.source.get(self.at + 1..).filter(|rest| !rest.is_empty())
        {
            let (byte, len) = escaped_byte(rest);
            self.at += 1;
            if let Some(byte) = byte {
                self.at += len;
                return Ok(Some(u32::from(byte)));
            }
            return Ok(Some(self.code()));
        }
        if let (b'[', Some(&kind @ (b'.' | b'='))) = (b, self.source.get(self.at + 1)) {
            self.at += 2;
            let code = if self.at < self.source.len() { self.code() } else { return Ok(None) };
            if self.source.get(self.at..self.at + 2) != Some(&[kind, b']']) {
                return Err("Invalid collation character");
            }
            self.at += 2;
            return Ok(Some(code));
        }
        Ok(Some(self.code()))
    }

    /// The code of the character here, or of its byte.
    fn code(&mut self) -> u32 {
        let rest = &self.source[self.at..];
        let len = if self.mode.utf8 { text::step(rest) } else { 1 };
        self.at += len;
        match std::str::from_utf8(&rest[..len]).ok().and_then(|s| s.chars().next()) {
            Some(c) if self.mode.utf8 => u32::from(c),
            _ => u32::from(rest[0]),
        }
    }
}

/// The byte of an escape sequence and its length, what stands behind the backslash given; none if it is the character itself.
pub(crate) fn escaped_byte(rest: &[u8]) -> (Option<u8>, usize) {
    let byte = match rest[0] {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'v' => 11,
        b'0'..=b'7' => {
            let len = rest.iter().take(3).take_while(|b| matches!(b, b'0'..=b'7')).count();
            let code = rest[..len].iter().fold(0u32, |n, d| n * 8 + u32::from(d - b'0'));
            return (Some(code as u8), len);
        }
        b'x' => {
            let len = rest[1..].iter().take(2).take_while(|b| b.is_ascii_hexdigit()).count();
            if len == 0 {
                return (None, 0);
            }
            let digits = std::str::from_utf8(&rest[1..=len]).unwrap_or("0");
            return (u8::from_str_radix(digits, 16).ok(), len + 1);
        }
        _ => return (None, 0),
    };
    (Some(byte), 1)
}

/// The characters of a bracket expression.
struct Set {
    mode: Mode,
    ranges: Vec<(u32, u32)>,
}

impl Set {
    fn new(mode: Mode) -> Set {
        Set { mode, ranges: Vec::new() }
    }

    fn add(&mut self, low: u32, high: u32) {
        self.ranges.push((low, high));
        if !self.mode.fold {
            return;
        }
        // Scripts with two cases lie low; a range beyond is its own other case.
        for c in (low..=high.min(0x24ff)).filter_map(char::from_u32) {
            for other in [text::lower_char(c), text::upper_char(c)] {
                if other != c && (self.mode.utf8 || c.is_ascii()) {
                    self.ranges.push((u32::from(other), u32::from(other)));
                }
            }
        }
    }

    fn add_class(&mut self, name: &[u8]) -> bool {
        let ascii: &[(u32, u32)] = match name {
            b"alpha" => &[(65, 90), (97, 122)],
            b"digit" => &[(48, 57)],
            b"alnum" => &[(48, 57), (65, 90), (97, 122)],
            b"upper" if self.mode.fold => &[(65, 90), (97, 122)],
            b"lower" if self.mode.fold => &[(65, 90), (97, 122)],
            b"upper" => &[(65, 90)],
            b"lower" => &[(97, 122)],
            b"space" => &[(9, 13), (32, 32)],
            b"blank" => &[(9, 9), (32, 32)],
            b"punct" => &[(33, 47), (58, 64), (91, 96), (123, 126)],
            b"print" => &[(32, 126)],
            b"graph" => &[(33, 126)],
            b"cntrl" => &[(0, 31), (127, 127)],
            b"xdigit" => &[(48, 57), (65, 70), (97, 102)],
            _ => return false,
        };
        self.ranges.extend_from_slice(ascii);
        if self.mode.utf8 {
            match name {
                b"alpha" | b"alnum" => self.ranges.extend_from_slice(letters(0)),
                b"upper" | b"lower" if self.mode.fold => {
                    self.ranges.extend_from_slice(letters(1));
                    self.ranges.extend_from_slice(letters(2));
                }
                b"upper" => self.ranges.extend_from_slice(letters(1)),
                b"lower" => self.ranges.extend_from_slice(letters(2)),
                b"print" | b"graph" => self.ranges.push((0xa0, 0x10_ffff)),
                b"punct" => self.ranges.extend_from_slice(&[
                    (0xa1, 0xa9),
                    (0xab, 0xb4),
                    (0xb6, 0xb9),
                    (0xbb, 0xbf),
                    (0x2010, 0x2027),
                    (0x2030, 0x205e),
                    (0x20a0, 0x20bf),
                    (0x2190, 0x2bff),
                    (0x3001, 0x3004),
                ]),
                b"space" | b"blank" => {
                    self.ranges.extend_from_slice(&[(0x2000, 0x2006), (0x2008, 0x200a), (0x3000, 0x3000)])
                }
                _ => {}
            }
        }
        true
    }

    fn into_hir(self, negated: bool) -> Hir {
        if self.mode.utf8 {
            let ranges = self.ranges.iter().filter_map(|(low, high)| {
                // Halves of pairs are no characters: a range that ends in them ends before or after them.
                let low = char::from_u32(*low).unwrap_or('\u{e000}');
                let high = char::from_u32((*high).min(0x10_ffff)).unwrap_or('\u{d7ff}');
                (low <= high).then(|| ClassUnicodeRange::new(low, high))
            });
            let mut class = ClassUnicode::new(ranges);
            if negated {
                class.negate();
            }
            return Hir::class(Class::Unicode(class));
        }
        let ranges = self
            .ranges
            .iter()
            .filter(|(low, _)| *low < 256)
            .map(|(low, high)| ClassBytesRange::new(*low as u8, (*high).min(255) as u8));
        let mut class = ClassBytes::new(ranges);
        if negated {
            class.negate();
        }
        Hir::class(Class::Bytes(class))
    }
}

/// Letters beyond ASCII: all (0), upper case (1), lower case (2). Looked up once, and only for patterns that name them.
fn letters(which: usize) -> &'static [(u32, u32)] {
    static LETTERS: [OnceLock<Vec<(u32, u32)>>; 3] = [const { OnceLock::new() }; 3];
    LETTERS[which].get_or_init(|| {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        // CJK and what follows is one block of letters for this purpose.
        for c in (0x80..0x3400).filter_map(char::from_u32) {
            let is = match which {
                0 => c.is_alphabetic(),
                1 => c.is_uppercase(),
                _ => c.is_lowercase(),
            };
            let code = u32::from(c);
            match ranges.last_mut() {
                _ if !is => {}
                Some((_, high)) if *high + 1 == code => *high = code,
                _ => ranges.push((code, code)),
            }
        }
        if which == 0 {
            ranges.extend_from_slice(&[(0x3400, 0xd7ff), (0xf900, 0xfaff), (0x2_0000, 0x3_ffff)]);
        }
        ranges
    })
}
