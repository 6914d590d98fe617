//! `tr`: translates, squeezes or deletes bytes of standard input. The sets are read here, in GNU's words for what is wrong with
//! them; characters are bytes whatever the locale.

use crate::context::{Cx, Descriptor, End, Outcome};
use crate::options::Order;
use crate::os::{OsStrExt, os};
use crate::quote::quote;
use agentos_guest::strerror;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};

const SPEC: &[&str] = &["c,complement", "C", "d,delete", "s,squeeze-repeats", "t,truncate-set1"];
const HELP: &str = "{} [OPTION]... STRING1 [STRING2]
Translate, squeeze, and/or delete characters from standard input, writing to standard output.
  -c, -C, --complement    use the complement of STRING1
  -d, --delete            delete characters in STRING1, do not translate
  -s, --squeeze-repeats   replace each sequence of a repeated character of the last STRING by one
  -t, --truncate-set1     first truncate STRING1 to length of STRING2
STRINGs hold characters, \\NNN, \\\\ \\a \\b \\f \\n \\r \\t \\v, CHAR1-CHAR2, [CHAR*], [CHAR*REPEAT], [:CLASS:] and [=CHAR=].";

/// A part of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Char(u8),
    Range(u8, u8),
    Class(&'static str),
    Same(u8),
    /// A byte so many times; none for as many as are needed.
    Repeat(u8, Option<usize>),
}

type Test = fn(&u8) -> bool;

const CLASSES: &[(&str, Test)] = &[
    ("alnum", u8::is_ascii_alphanumeric),
    ("alpha", u8::is_ascii_alphabetic),
    ("blank", |b| matches!(b, b' ' | b'\t')),
    ("cntrl", u8::is_ascii_control),
    ("digit", u8::is_ascii_digit),
    ("graph", u8::is_ascii_graphic),
    ("lower", u8::is_ascii_lowercase),
    ("print", |b| matches!(b, b' '..=b'~')),
    ("punct", u8::is_ascii_punctuation),
    ("space", |b| matches!(b, b' ' | b'\t'..=b'\r')),
    ("upper", u8::is_ascii_uppercase),
    ("xdigit", u8::is_ascii_hexdigit),
];

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, args, Order::StopAtOperand, HELP)?;
    let (mut complement, mut delete, mut squeeze, mut truncate) = (false, false, false, false);
    for opt in &parsed.opts {
        match opt.id {
            "complement" | "C" => complement = true,
            "delete" => delete = true,
            "squeeze-repeats" => squeeze = true,
            _ => truncate = true,
        }
    }
    let sets = &parsed.operands;
    let least = if delete == squeeze { 2 } else { 1 };
    let most = if delete && !squeeze { 1 } else { 2 };
    if sets.len() < least {
        let Some(last) = sets.last() else { return Err(cx.missing_operand()) };
        let when = if squeeze { "both deleting and squeezing repeats" } else { "translating" };
        let message =
            format!("missing operand after {}\nTwo strings must be given when {when}.", quote(last));
        return Err(cx.usage(message));
    }
    if let Some(extra) = sets.get(most) {
        let mut message = format!("extra operand {}", quote(extra));
        if sets.len() == 2 {
            message += "\nOnly one string may be given when deleting without squeezing repeats.";
        }
        return Err(cx.usage(message));
    }
    let first = parts(cx, &sets[0])?;
    let second = match sets.get(1) {
        Some(set) => Some(parts(cx, set)?),
        None => None,
    };
    if first.iter().any(|part| matches!(part, Part::Repeat(_, None))) {
        return Err(fail("the [c*] repeat construct may not appear in string1"));
    }
    let mut from = bytes(&first, 0);
    if complement {
        from = (0..=u8::MAX).filter(|b| !from.contains(b)).collect();
    }
    let mut work = Work { map: None, delete: None, squeeze: None };
    match second {
        Some(second) => {
            if second.iter().filter(|part| matches!(part, Part::Repeat(_, None))).count() > 1 {
                return Err(fail("only one [c*] repeat construct may appear in string2"));
            }
            let to = bytes(&second, from.len());
            if delete {
                if second.iter().any(|part| matches!(part, Part::Repeat(_, None))) {
                    return Err(fail("the [c*] construct may appear in string2 only when translating"));
                }
                work.delete = Some(table(&from));
            } else {
                let classes = complement && first.iter().any(|part| matches!(part, Part::Class(_)));
                work.map = Some(map(&first, &second, from, &to, truncate, (complement, classes))?);
            }
            work.squeeze = squeeze.then(|| table(&to));
        }
        None if delete => work.delete = Some(table(&from)),
        None => work.squeeze = Some(table(&from)),
    }
    work.run(cx)
}

fn fail(message: impl Into<String>) -> End {
    End::Failure(1, message.into())
}

/// A set without its escapes, each byte with whether it was escaped.
fn unescape(cx: &mut Cx, set: &OsStr) -> Vec<(u8, bool)> {
    let text = set.as_bytes();
    let mut out = Vec::new();
    let mut i = 0;
    while i < text.len() {
        if text[i] != b'\\' {
            out.push((text[i], false));
            i += 1;
            continue;
        }
        let Some(letter) = text.get(i + 1) else {
            cx.say("warning: an unescaped backslash at end of string is not portable");
            out.push((b'\\', false));
            break;
        };
        i += 2;
        let byte = match letter {
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 11,
            b'0'..=b'7' => {
                let digits = text[i..].iter().take(2).take_while(|b| matches!(b, b'0'..=b'7')).count();
                let value = |digits: usize| {
                    text[i - 1..i + digits].iter().fold(0_u32, |n, b| n * 8 + u32::from(b - b'0'))
                };
                let mut used = digits;
                if value(digits) > 255 {
                    used = 1;
                    let shown = String::from_utf8_lossy(&text[i - 1..i + 2]);
                    let rest = char::from(text[i + 1]);
                    cx.say(format_args!(
                        "warning: the ambiguous octal escape \\{shown} is being\n\tinterpreted as the 2-byte sequence \\0{}, {rest}",
                        &shown[..2]
                    ));
                }
                let byte = value(used) as u8;
                i += used;
                byte
            }
            other => *other,
        };
        out.push((byte, true));
    }
    out
}

/// Reads a set.
fn parts(cx: &mut Cx, set: &OsStr) -> Result<Vec<Part>, End> {
    let text = unescape(cx, set);
    let is = |at: usize, b: u8| text.get(at) == Some(&(b, false));
    let plain = |from: usize, to: usize| text[from..to].iter().map(|(b, _)| *b).collect::<Vec<u8>>();
    let mut out = Vec::new();
    let mut i = 0;
    while i < text.len() {
        // The last two bytes are nothing but themselves.
        if i + 2 >= text.len() {
            out.push(Part::Char(text[i].0));
            i += 1;
            continue;
        }
        if is(i, b'[') {
            let kind = text[i + 1];
            if matches!(kind, (b':' | b'=', false))
                && let Some(end) = (i + 2..text.len() - 1).find(|at| is(*at, kind.0) && is(*at + 1, b']'))
            {
                let name = plain(i + 2, end);
                let part = bracketed(kind.0, &name);
                // What looks like a repetition of `:` or `=` is one.
                if let Ok(part) = part {
                    out.push(part);
                    i = end + 2;
                    continue;
                } else if !repeats(&text, i + 2) {
                    return Err(part.err().unwrap_or_else(|| fail("")));
                }
            }
            if is(i + 2, b'*') {
                let end = (i + 3..text.len()).take_while(|at| !text[*at].1).find(|at| text[*at].0 == b']');
                if let Some(end) = end {
                    let digits = plain(i + 3, end);
                    out.push(Part::Repeat(text[i + 1].0, count(&digits)?));
                    i = end + 1;
                    continue;
                }
            }
        }
        if is(i + 1, b'-') {
            let (first, last) = (text[i].0, text[i + 2].0);
            if first > last {
                let (first, last) = (printable(first), printable(last));
                return Err(fail(format!(
                    "range-endpoints of '{first}-{last}' are in reverse collating sequence order"
                )));
            }
            out.push(Part::Range(first, last));
            i += 3;
        } else {
            out.push(Part::Char(text[i].0));
            i += 1;
        }
    }
    Ok(out)
}

fn printable(b: u8) -> String {
    if matches!(b, b' '..=b'~') { char::from(b).to_string() } else { format!("\\{b:03o}") }
}

fn bracketed(kind: u8, name: &[u8]) -> Result<Part, End> {
    let shown = os(name);
    match (kind, name) {
        (b':', []) => Err(fail("missing character class name '[::]'")),
        (_, []) => Err(fail("missing equivalence class character '[==]'")),
        (b':', _) => match CLASSES.iter().find(|(known, _)| known.as_bytes() == name) {
            Some((known, _)) => Ok(Part::Class(known)),
            None => Err(fail(format!("invalid character class {}", quote(shown)))),
        },
        (_, [one]) => Ok(Part::Same(*one)),
        _ => Err(fail(format!(
            "{}: equivalence class operand must be a single character",
            String::from_utf8_lossy(name)
        ))),
    }
}

/// Whether a star, digits and a bracket follow.
fn repeats(text: &[(u8, bool)], at: usize) -> bool {
    if text.get(at) != Some(&(b'*', false)) {
        return false;
    }
    let digits = text[at + 1..].iter().take_while(|(b, _)| b.is_ascii_digit()).count();
    text.get(at + 1 + digits) == Some(&(b']', false))
}

/// The count of a repetition: octal after a zero; nothing and zero are as many as are needed.
fn count(digits: &[u8]) -> Result<Option<usize>, End> {
    let base = if digits.first() == Some(&b'0') { 8 } else { 10 };
    let value = digits.iter().try_fold(0_usize, |n, b| {
        let digit = char::from(*b).to_digit(base)?;
        n.checked_mul(base as usize)?.checked_add(digit as usize)
    });
    match value {
        // What is beyond all bytes fills no more than they.
        Some(value) => Ok((value > 0).then_some(value.min(1 << 16))),
        None => Err(fail(format!("invalid repeat count {} in [c*n] construct", quote(os(digits))))),
    }
}

/// The bytes of a set; `wanted` is how many there are to be if the set has a part of any length.
fn bytes(parts: &[Part], wanted: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut gap = None;
    for part in parts {
        match part {
            Part::Char(b) | Part::Same(b) => out.push(*b),
            Part::Range(first, last) => out.extend(*first..=*last),
            Part::Class(name) => {
                let test = CLASSES.iter().find(|(known, _)| known == name).map(|(_, test)| test);
                out.extend((0..=u8::MAX).filter(|b| test.is_some_and(|test| test(b))));
            }
            Part::Repeat(b, Some(count)) => out.resize(out.len() + count, *b),
            Part::Repeat(b, None) => gap = Some((out.len(), *b)),
        }
    }
    if let Some((at, b)) = gap {
        let missing = wanted.saturating_sub(out.len());
        out.splice(at..at, std::iter::repeat_n(b, missing));
    }
    out
}

fn table(bytes: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    for b in bytes {
        table[usize::from(*b)] = true;
    }
    table
}

/// Where each part begins among the bytes of its set, if it is a class of letters of one case.
fn cases(parts: &[Part], wanted: usize) -> Vec<usize> {
    let mut out = Vec::new();
    let mut at = 0;
    let fixed: usize = parts.iter().map(|part| bytes(std::slice::from_ref(part), 0).len()).sum();
    for part in parts {
        if matches!(part, Part::Class("upper" | "lower")) {
            out.push(at);
        }
        at += match part {
            Part::Repeat(_, None) => wanted.saturating_sub(fixed),
            part => bytes(std::slice::from_ref(part), 0).len(),
        };
    }
    out
}

fn map(
    first: &[Part],
    second: &[Part],
    mut from: Vec<u8>,
    to: &[u8],
    truncate: bool,
    (complement, classes): (bool, bool),
) -> Result<[u8; 256], End> {
    if second.iter().any(|part| matches!(part, Part::Same(_))) {
        return Err(fail("[=c=] expressions may not appear in string2 when translating"));
    }
    if second.iter().any(|part| matches!(part, Part::Class(name) if !matches!(*name, "upper" | "lower"))) {
        return Err(fail(
            "when translating, the only character classes that may appear in\nstring2 are 'upper' and 'lower'",
        ));
    }
    if !complement {
        let known = cases(first, 0);
        if cases(second, from.len()).iter().any(|at| !known.contains(at)) {
            return Err(fail("misaligned [:upper:] and/or [:lower:] construct"));
        }
    }
    if from.len() > to.len() {
        if truncate {
            from.truncate(to.len());
        } else if to.is_empty() {
            return Err(fail("when not truncating set1, string2 must be non-empty"));
        } else if matches!(second.last(), Some(Part::Class(_))) {
            return Err(fail(
                "when translating with string1 longer than string2,\nthe latter string must not end with a character class",
            ));
        }
    }
    if classes && (to.len() > from.len() || to.iter().any(|b| *b != to[0])) {
        return Err(fail(
            "when translating with complemented character classes,\nstring2 must map all characters in the domain to one",
        ));
    }
    let mut map: [u8; 256] = std::array::from_fn(|i| i as u8);
    for (i, b) in from.iter().enumerate() {
        if let Some(new) = to.get(i).or(to.last()) {
            map[usize::from(*b)] = *new;
        }
    }
    Ok(map)
}

/// What is done with each byte.
struct Work {
    map: Option<[u8; 256]>,
    delete: Option<[bool; 256]>,
    squeeze: Option<[bool; 256]>,
}

impl Work {
    fn run(&self, cx: &mut Cx) -> Outcome {
        let mut buf = vec![0; 64 * 1024];
        let mut last: Option<u8> = None;
        loop {
            let n = match Descriptor(0).read(&mut buf) {
                Ok(0) => return Ok(0),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(fail(format!("read error: {}", strerror(&error)))),
            };
            let mut kept = n;
            if let Some(gone) = &self.delete {
                kept = 0;
                for i in 0..n {
                    let b = buf[i];
                    buf[kept] = b;
                    kept += usize::from(!gone[usize::from(b)]);
                }
            }
            if let Some(map) = &self.map {
                for b in &mut buf[..kept] {
                    *b = map[usize::from(*b)];
                }
            }
            if let Some(single) = &self.squeeze {
                let all = kept;
                kept = 0;
                for i in 0..all {
                    let b = buf[i];
                    buf[kept] = b;
                    kept += usize::from(last != Some(b) || !single[usize::from(b)]);
                    last = Some(b);
                }
            }
            cx.put(&buf[..kept])?;
        }
    }
}
