//! Formats of lines and groups (`--changed-group-format`, `--line-format` and their kin), and `-D`, which is one of them.

use super::lines::Change;
use super::look::Look;
use super::print::Side;
use crate::context::{Cx, End};
use crate::os::OsStrExt;
use crate::quote::quote_plain;
use std::ffi::OsStr;

/// How deep conditions are followed.
const MOST_NESTED: usize = 50;
/// The widest number.
const MOST_WIDE: usize = 4096;

/// The formats that were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Formats {
    /// Of groups: unchanged, old, new, changed.
    groups: [Option<Vec<u8>>; 4],
    /// Of lines: unchanged, old, new.
    lines: [Option<Vec<u8>>; 3],
}

/// Groups of unchanged lines, of the lines of one file, of both.
const UNCHANGED: usize = 0;
const OLD: usize = 1;
const NEW: usize = 2;
const CHANGED: usize = 3;

fn set(cx: &Cx, place: &mut Option<Vec<u8>>, option: &str, text: &OsStr) -> Result<(), End> {
    match place {
        Some(there) if there != text.as_bytes() => {
            Err(cx.usage(format!("conflicting {option} option value {}", quote_plain(text))))
        }
        _ => {
            *place = Some(text.as_bytes().to_vec());
            Ok(())
        }
    }
}

impl Formats {
    /// Takes one of the options.
    pub(super) fn option(&mut self, cx: &Cx, option: &'static str, text: &OsStr) -> Result<(), End> {
        let shown = format!("--{option}");
        let kinds = ["unchanged", "old", "new", "changed"];
        let kind = kinds.iter().position(|kind| option.split('-').next() == Some(*kind));
        if option == "line-format" {
            for place in &mut self.lines {
                set(cx, place, &shown, text)?;
            }
            Ok(())
        } else if option.ends_with("-line-format") {
            set(cx, &mut self.lines[kind.unwrap_or(UNCHANGED)], &shown, text)
        } else {
            set(cx, &mut self.groups[kind.unwrap_or(UNCHANGED)], &shown, text)
        }
    }

    /// `-D NAME`.
    pub(super) fn ifdef(&mut self, cx: &Cx, name: &OsStr) -> Result<(), End> {
        let name = name.to_string_lossy().replace('%', "%%");
        let forms = [
            "%=".to_owned(),
            format!("#ifndef {name}\n%<#endif /* ! {name} */\n"),
            format!("#ifdef {name}\n%>#endif /* {name} */\n"),
            format!("#ifndef {name}\n%<#else /* {name} */\n%>#endif /* {name} */\n"),
        ];
        for (place, form) in self.groups.iter_mut().zip(forms) {
            set(cx, place, "-D", OsStr::new(&form))?;
        }
        Ok(())
    }

    /// Whether equal files give nothing.
    pub(super) fn silent_if_equal(&self) -> bool {
        let unchanged = &self.groups[UNCHANGED];
        let empty = |text: &Option<Vec<u8>>| text.as_ref().is_some_and(Vec::is_empty);
        let lines_only = unchanged.as_ref().is_none_or(|t| t == b"%=");
        empty(unchanged) || (lines_only && empty(&self.lines[UNCHANGED]))
    }
}

/// The places of a group: first and last line plus one, of both files.
#[derive(Clone, Copy)]
struct Group {
    old: (usize, usize),
    new: (usize, usize),
}

struct Writer<'a, 'b> {
    look: &'a Look,
    lines: [&'a [u8]; 3],
    old: &'a Side<'b>,
    new: &'a Side<'b>,
}

/// Writes both files as the formats say; whether a change counts.
pub(super) fn print(
    cx: &mut Cx,
    formats: &Formats,
    look: &Look,
    old: &Side<'_>,
    new: &Side<'_>,
    changes: &[Change],
) -> Result<bool, End> {
    // What is given for changed groups also holds for those of one file.
    let given = |list: &[usize], usual: &[u8]| {
        let found = list.iter().find_map(|i| formats.groups[*i].clone());
        found.unwrap_or_else(|| usual.to_vec())
    };
    let (gone, come) = (given(&[OLD, CHANGED], b"%<"), given(&[NEW, CHANGED], b"%>"));
    let both = given(&[CHANGED], &[&gone[..], &come[..]].concat());
    let same = given(&[UNCHANGED], b"%=");
    let lines = [UNCHANGED, OLD, NEW].map(|i| formats.lines[i].as_deref().unwrap_or(b"%l\n"));
    let writer = Writer { look, lines, old, new };
    let mut at = (0, 0);
    let mut any = false;
    for change in changes.iter().filter(|c| !c.ignore) {
        any = true;
        writer.unchanged(cx, &same, at, (change.old.0, change.new.0))?;
        let form = match (change.old.0 < change.old.1, change.new.0 < change.new.1) {
            (true, true) => &both,
            (true, false) => &gone,
            _ => &come,
        };
        writer.group(cx, form, Group { old: change.old, new: change.new }, 0)?;
        at = (change.old.1, change.new.1);
    }
    writer.unchanged(cx, &same, at, (old.lines.len(), new.lines.len()))?;
    Ok(any)
}

impl Writer<'_, '_> {
    fn unchanged(
        &self,
        cx: &mut Cx,
        form: &[u8],
        from: (usize, usize),
        to: (usize, usize),
    ) -> Result<(), End> {
        if from.0 < to.0 || from.1 < to.1 {
            self.group(cx, form, Group { old: (from.0, to.0), new: (from.1, to.1) }, 0)?;
        }
        Ok(())
    }

    fn group(&self, cx: &mut Cx, form: &[u8], group: Group, depth: usize) -> Result<(), End> {
        let mut rest = form;
        while let Some(at) = memchr::memchr(b'%', rest) {
            cx.put(&rest[..at])?;
            let after = &rest[at + 1..];
            let side = match after.first() {
                Some(b'<') => Some((self.old, group.old, OLD)),
                Some(b'=') => Some((self.old, group.old, UNCHANGED)),
                Some(b'>') => Some((self.new, group.new, NEW)),
                _ => None,
            };
            if let Some((side, (from, to), kind)) = side {
                for (i, line) in side.lines[from..to].iter().enumerate() {
                    self.line(cx, self.lines[kind], line, from + i + 1)?;
                }
                rest = &after[1..];
            } else if let (true, Some((yes, left))) =
                (depth < MOST_NESTED, after.strip_prefix(b"(").and_then(|text| condition(text, group)))
            {
                self.group(cx, yes, group, depth + 1)?;
                rest = left;
            } else if let Some((text, left)) = escape(after) {
                cx.put(&[text])?;
                rest = left;
            } else if let Some((number, left)) = number(after, |letter| value(letter, group)) {
                cx.put(&number)?;
                rest = left;
            } else {
                cx.put(b"%")?;
                rest = after;
            }
        }
        cx.put(rest)
    }

    fn line(&self, cx: &mut Cx, form: &[u8], line: &[u8], at: usize) -> Result<(), End> {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let mut rest = form;
        while let Some(percent) = memchr::memchr(b'%', rest) {
            cx.put(&rest[..percent])?;
            let after = &rest[percent + 1..];
            match after.first() {
                Some(b'l') => {
                    self.look.text(cx, text)?;
                    rest = &after[1..];
                }
                Some(b'L') => {
                    self.look.text(cx, text)?;
                    cx.put(&line[text.len()..])?;
                    rest = &after[1..];
                }
                _ => {
                    if let Some((byte, left)) = escape(after) {
                        cx.put(&[byte])?;
                        rest = left;
                    } else if let Some((number, left)) =
                        number(after, |letter| (letter == b'n').then_some(at))
                    {
                        cx.put(&number)?;
                        rest = left;
                    } else {
                        cx.put(b"%")?;
                        rest = after;
                    }
                }
            }
        }
        cx.put(rest)
    }
}

/// `%`, `c'C'` and `c'\OOO'`: the byte that is meant, and what follows.
fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    if let Some(rest) = text.strip_prefix(b"%") {
        return Some((b'%', rest));
    }
    let inner = text.strip_prefix(b"c'")?;
    match inner {
        [b'\\', digits @ ..] => {
            let end = digits.iter().position(|b| *b == b'\'').filter(|n| (1..=3).contains(n))?;
            let value = u16::from_str_radix(std::str::from_utf8(&digits[..end]).ok()?, 8).ok()?;
            Some((value as u8, &digits[end + 1..]))
        }
        [byte, b'\'', rest @ ..] if *byte != b'\'' => Some((*byte, rest)),
        _ => None,
    }
}

/// What a letter of a group stands for.
fn value(letter: u8, group: Group) -> Option<usize> {
    let (from, to) = if letter.is_ascii_lowercase() { group.old } else { group.new };
    Some(match letter.to_ascii_lowercase() {
        b'e' => from,
        b'f' => from + 1,
        b'l' => to,
        b'm' => to + 1,
        b'n' => to - from,
        _ => return None,
    })
}

/// `[-][WIDTH][.DIGITS]{doxX}LETTER`: the number as text, and what follows.
fn number(text: &[u8], value: impl Fn(u8) -> Option<usize>) -> Option<(Vec<u8>, &[u8])> {
    let (mut left, mut zero) = (false, false);
    let mut rest = text;
    while let [flag @ (b'-' | b'0' | b'\''), more @ ..] = rest {
        match flag {
            b'-' => left = true,
            b'0' => zero = true,
            // The C locale groups no digits.
            _ => {}
        }
        rest = more;
    }
    let digits = |text: &mut &[u8]| {
        let n = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
        let number = std::str::from_utf8(&text[..n]).ok().and_then(|t| t.parse::<usize>().ok()).unwrap_or(0);
        *text = &text[n..];
        number.min(MOST_WIDE)
    };
    let width = digits(&mut rest);
    let mut least = 1;
    if let Some(mut more) = rest.strip_prefix(b".") {
        least = digits(&mut more);
        zero = false;
        rest = more;
    }
    let [kind, letter, after @ ..] = rest else { return None };
    let n = value(*letter)?;
    let shown = match kind {
        b'd' => format!("{n:0least$}"),
        b'o' => format!("{n:0least$o}"),
        b'x' => format!("{n:0least$x}"),
        b'X' => format!("{n:0least$X}"),
        _ => return None,
    };
    let padded = match (left, zero) {
        (true, _) => format!("{shown:<width$}"),
        (_, true) => format!("{shown:0>width$}"),
        _ => format!("{shown:>width$}"),
    };
    Some((padded.into_bytes(), after))
}

/// `A=B?T:E)`: the format that is chosen, and what follows the parenthesis.
fn condition(text: &[u8], group: Group) -> Option<(&[u8], &[u8])> {
    let operand = |text: &mut &[u8]| -> Option<usize> {
        let first = *text.first()?;
        if first.is_ascii_digit() {
            let n = text.iter().position(|b| !b.is_ascii_digit())?;
            let number = std::str::from_utf8(&text[..n]).ok()?.parse().ok();
            *text = &text[n..];
            return number;
        }
        *text = &text[1..];
        value(first, group)
    };
    let mut rest = text;
    let a = operand(&mut rest)?;
    rest = rest.strip_prefix(b"=")?;
    let b = operand(&mut rest)?;
    rest = rest.strip_prefix(b"?")?;
    let (yes, more) = until(rest, b':')?;
    let (no, after) = until(more, b')')?;
    Some((if a == b { yes } else { no }, after))
}

/// The text up to `end` outside of parentheses opened by `%(`, and what follows it.
fn until(text: &[u8], end: u8) -> Option<(&[u8], &[u8])> {
    let (mut i, mut open) = (0, 0usize);
    while let Some(b) = text.get(i) {
        if *b == end && open == 0 {
            return Some((&text[..i], &text[i + 1..]));
        }
        match b {
            b'%' if text.get(i + 1) == Some(&b'(') => {
                open += 1;
                i += 1;
            }
            b'%' if text[i + 1..].starts_with(b"c'") => i += 3,
            b'%' => i += 1,
            b')' => open = open.saturating_sub(1),
            _ => {}
        }
        i += 1;
    }
    None
}
