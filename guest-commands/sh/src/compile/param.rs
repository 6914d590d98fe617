//! Takes `${…}` apart. It looks no variable up.

use super::word::{self, Mode};
use super::{Result, index};
use crate::arith::Arith;
use crate::ir::{Anchor, CaseChange, Name, Op, Param, Subscript, Word};
use crate::source::skip::Skipper;
use crate::symbols::sym;
use std::rc::Rc;

/// The expansion `$text` without braces.
pub(super) fn plain(text: &str) -> Param {
    Param { name: name(text), index: None, indirect: false, braced: false, op: Op::None, raw: Rc::from(text) }
}

fn name(text: &str) -> Name {
    match text {
        "@" => Name::At,
        "*" => Name::Star,
        "#" => Name::Count,
        "?" => Name::Status,
        "-" => Name::Flags,
        "$" => Name::Pid,
        "!" => Name::LastBackground,
        "0" => Name::Zero,
        _ => match text.parse() {
            Ok(n) => Name::Positional(n),
            Err(_) => Name::Var(sym(text)),
        },
    }
}

/// Length of the parameter at the start of `text`; 0 if there is none.
fn name_len(text: &str) -> usize {
    let b = text.as_bytes();
    match b.first() {
        Some(c) if c.is_ascii_digit() => b.iter().take_while(|c| c.is_ascii_digit()).count(),
        Some(b'@' | b'*' | b'#' | b'?' | b'-' | b'$' | b'!') => 1,
        _ => crate::text::name_len(b),
    }
}

/// An expansion that is wrong.
pub(super) fn wrong(text: &str) -> Param {
    Param {
        name: Name::Zero,
        index: None,
        indirect: false,
        braced: true,
        op: Op::Transform(0),
        raw: Rc::from(text),
    }
}

/// The expansion `${text}`. A wrong one is reported when it is expanded, as bash does: its operation is then
/// [`Op::Transform`] with 0, or with 1 if only the letter is unknown. `mode` is that of a word that stands for a value.
pub(super) fn parse(text: &str, line: u32, mode: Mode, depth: u32) -> Result<Param> {
    let raw: Rc<str> = Rc::from(text);
    if let Some(rest) = text.strip_prefix('#')
        && !rest.is_empty()
    {
        let len = name_len(rest);
        let Some((subscript, used)) = subscript(&rest[len..], line)? else { return Ok(wrong(text)) };
        if len > 0 && len + used == rest.len() {
            return Ok(Param {
                name: name(&rest[..len]),
                index: subscript,
                indirect: false,
                braced: true,
                op: Op::Length,
                raw,
            });
        }
    }
    let mut rest = text;
    let mut indirect = false;
    if let Some(after) = text.strip_prefix('!')
        && name_len(after) > 0
        && !after.starts_with(['-', '$', '!'])
        && !(crate::source::posix() && after.starts_with(['#', '?']))
    {
        indirect = true;
        rest = after;
    }
    let len = name_len(rest);
    if len == 0 || text == "#=" {
        return Ok(wrong(text));
    }
    let parameter = name(&rest[..len]);
    rest = &rest[len..];
    if indirect && matches!(rest, "*" | "@") && matches!(parameter, Name::Var(_)) {
        return Ok(Param {
            name: parameter,
            index: None,
            indirect: false,
            braced: true,
            op: Op::Names { star: rest == "*" },
            raw,
        });
    }
    let Some((at, used)) = subscript(rest, line)? else { return Ok(wrong(text)) };
    rest = &rest[used..];
    if indirect && rest.is_empty() && matches!(at, Some(Subscript::At | Subscript::Star)) {
        return Ok(Param { name: parameter, index: at, indirect: false, braced: true, op: Op::Keys, raw });
    }
    match operation(rest, line, mode, depth)? {
        Some(op) => Ok(Param { name: parameter, index: at, indirect, braced: true, op, raw }),
        None => Ok(wrong(text)),
    }
}

/// The subscript at the start of `text` and its length; `None` if it is empty.
fn subscript(text: &str, line: u32) -> Result<Option<(Option<Subscript>, usize)>> {
    if !text.starts_with('[') {
        return Ok(Some((None, 0)));
    }
    let end = Skipper::new(text).balanced(1, b'[', b']')?;
    let subscript = match &text[1..end - 1] {
        "@" => Subscript::At,
        "*" => Subscript::Star,
        "" => return Ok(None),
        inner => Subscript::Index(index(inner, line)?),
    };
    Ok(Some((Some(subscript), end)))
}

/// The operation that `rest` writes; `None` if it is wrong.
fn operation(rest: &str, line: u32, mode: Mode, depth: u32) -> Result<Option<Op>> {
    let value = |text: &str| word::parse_at(text, line, mode, depth);
    let pattern = |text: &str| word::parse_at(text, line, Mode::Word, depth);
    let b = rest.as_bytes();
    let Some(first) = b.first().copied() else { return Ok(Some(Op::None)) };
    let second = b.get(1).copied().unwrap_or(0);
    Ok(Some(match first {
        b':' if matches!(second, b'-' | b'=' | b'?' | b'+') => {
            Op::Test { colon: true, kind: second, word: value(&rest[2..])? }
        }
        b'-' | b'=' | b'?' | b'+' => Op::Test { colon: false, kind: first, word: value(&rest[1..])? },
        b':' => {
            let (offset, length) = split_substring(&rest[1..]);
            Op::Substring {
                offset: Arith::new(offset, line)?,
                length: length.map(|l| Arith::new(l, line)).transpose()?,
            }
        }
        b'#' if second == b'#' => Op::RemovePrefix { longest: true, pattern: pattern(&rest[2..])? },
        b'#' => Op::RemovePrefix { longest: false, pattern: pattern(&rest[1..])? },
        b'%' if second == b'%' => Op::RemoveSuffix { longest: true, pattern: pattern(&rest[2..])? },
        b'%' => Op::RemoveSuffix { longest: false, pattern: pattern(&rest[1..])? },
        b'/' => {
            let (all, anchor, from) = match second {
                b'/' => (true, Anchor::Anywhere, 2),
                b'#' => (false, Anchor::Start, 2),
                b'%' => (false, Anchor::End, 2),
                _ => (false, Anchor::Anywhere, 1),
            };
            let (from, to) = split_replacement(&rest[from..], anchor != Anchor::Anywhere);
            // After the sign of an anchor `~` is no longer at the start.
            let from = match from.strip_prefix('~') {
                Some(rest) if anchor != Anchor::Anywhere => pattern(&format!("\\~{rest}"))?,
                _ => pattern(from)?,
            };
            Op::Replace { all, anchor, pattern: from, with: replacement(to, line, depth)? }
        }
        b'^' | b',' | b'~' => {
            let all = second == first;
            let tail = &rest[if all { 2 } else { 1 }..];
            let upper = match first {
                b'^' => CaseChange::Upper,
                b',' => CaseChange::Lower,
                _ => CaseChange::Toggle,
            };
            Op::Case { upper, all, pattern: if tail.is_empty() { None } else { Some(pattern(tail)?) } }
        }
        b'@' if b.len() == 2 && b"QEPAaULuKk".contains(&second) => Op::Transform(second),
        b'@' => Op::Transform(1),
        _ => return Ok(None),
    }))
}

/// The replacement of `${x/…/…}`: quotes work in it even within double quotes.
fn replacement(text: &str, line: u32, depth: u32) -> Result<Word> {
    word::parse_at(text, line, Mode::Word, depth)
}

/// Pattern and replacement; an anchored pattern may be empty.
fn split_replacement(text: &str, anchored: bool) -> (&str, &str) {
    let s = Skipper::new(text);
    let mut i = 0;
    while i < s.b.len() {
        i = match s.b[i] {
            b'/' if i > 0 || anchored => return (&text[..i], &text[i + 1..]),
            b'\\' => i + 2,
            b'\'' => s.single(i).unwrap_or(i + 1),
            b'"' => s.double(i).unwrap_or(i + 1),
            b'$' => s.dollar(i, false).unwrap_or(i + 1),
            b'`' => s.backquote(i).unwrap_or(i + 1),
            b'[' => match s.balanced(i + 1, b'[', b']') {
                Ok(end) if s.b[i..end].contains(&b'/') => end,
                _ => i + 1,
            },
            _ => i + 1,
        };
    }
    (text, "")
}

fn split_substring(text: &str) -> (&str, Option<&str>) {
    let s = Skipper::new(text);
    let (mut i, mut ternary) = (0, 0u32);
    while i < s.b.len() {
        i = match s.b[i] {
            b'?' => {
                ternary += 1;
                i + 1
            }
            b':' if ternary > 0 => {
                ternary -= 1;
                i + 1
            }
            b':' => return (&text[..i], Some(&text[i + 1..])),
            b'$' => s.dollar(i, false).unwrap_or(i + 1),
            b'(' => s.balanced(i + 1, b'(', b')').unwrap_or(i + 1),
            b'[' => s.balanced(i + 1, b'[', b']').unwrap_or(i + 1),
            _ => i + 1,
        };
    }
    (text, None)
}
