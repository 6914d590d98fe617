//! Numbers to text and back, as awk does it: decimal only, the longest prefix counts, whole numbers print all digits.

use crate::format;
use crate::value::Str;

/// The text of a whole number.
pub(crate) fn integer(n: f64) -> Str {
    if n.abs() < 1e15 {
        let mut buf = [0u8; 24];
        let mut at = buf.len();
        let mut rest = n.abs() as u64;
        loop {
            at -= 1;
            buf[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if n < 0.0 {
            at -= 1;
            buf[at] = b'-';
        }
        return Str::new(&buf[at..]);
    }
    Str::from_vec(format!("{n:.0}").into_bytes())
}

/// The text of a number: all digits of a whole one, others by the format `conv`.
#[inline]
pub(crate) fn text(n: f64, conv: &[u8]) -> Str {
    if n == n.trunc() && n.is_finite() {
        integer(n)
    } else if !n.is_finite() {
        Str::from(special(n))
    } else {
        Str::from_vec(format::number(conv, n))
    }
}

/// How gawk writes what is no ordinary number.
pub(crate) fn special(n: f64) -> &'static str {
    if n.is_nan() {
        if n.is_sign_negative() { "-nan" } else { "+nan" }
    } else if n < 0.0 {
        "-inf"
    } else {
        "+inf"
    }
}

/// What the C locale calls white space.
pub(crate) fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t'..=b'\r')
}

/// The number that text begins with, 0 if with none.
#[inline]
pub(crate) fn prefix(text: &[u8]) -> f64 {
    let start = text.iter().position(|b| !is_space(*b)).unwrap_or(text.len());
    scan(&text[start..]).map_or(0.0, |(n, _)| n)
}

/// The number that text is as a whole, blanks around it aside.
#[inline]
pub(crate) fn whole(text: &[u8]) -> Option<f64> {
    let start = text.iter().position(|b| !is_space(*b))?;
    let text = &text[start..];
    // Most text is seen not to be a number by its first byte.
    if !matches!(text[0], b'0'..=b'9' | b'.' | b'+' | b'-') {
        return None;
    }
    let (n, len) = scan(text)?;
    text[len..].iter().all(|b| is_space(*b)).then_some(n)
}

/// The number at the start, and how long it is.
fn scan(text: &[u8]) -> Option<(f64, usize)> {
    let negative = text.first() == Some(&b'-');
    let sign = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let mut at = sign;
    let mut whole = 0u64;
    while let Some(d @ b'0'..=b'9') = text.get(at) {
        if at - sign < 18 {
            whole = whole * 10 + u64::from(d - b'0');
        }
        at += 1;
    }
    let digits = at - sign;
    let more = matches!(text.get(at), Some(b'.' | b'e' | b'E'));
    if !more {
        if digits == 0 {
            return if sign == 1 { named(text) } else { None };
        }
        if digits <= 18 {
            let n = whole as f64;
            return Some((if negative { -n } else { n }, at));
        }
    }
    let mut any = digits > 0;
    if text.get(at) == Some(&b'.') {
        let from = at + 1;
        at = from;
        while matches!(text.get(at), Some(b'0'..=b'9')) {
            at += 1;
        }
        any |= at > from;
        if !any {
            return None;
        }
    }
    if !any {
        return None;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let mut exponent = at + 1;
        if matches!(text.get(exponent), Some(b'+' | b'-')) {
            exponent += 1;
        }
        if matches!(text.get(exponent), Some(b'0'..=b'9')) {
            while matches!(text.get(exponent), Some(b'0'..=b'9')) {
                exponent += 1;
            }
            at = exponent;
        }
    }
    let n = std::str::from_utf8(&text[..at]).ok()?.parse().ok()?;
    Some((n, at))
}

/// `+inf`, `-nan` and their like, which need a sign and nothing behind.
fn named(text: &[u8]) -> Option<(f64, usize)> {
    let word = text.get(1..4)?.to_ascii_lowercase();
    if text.get(4).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_') {
        return None;
    }
    let n = match &word[..] {
        b"inf" => f64::INFINITY,
        b"nan" => f64::NAN.abs(),
        _ => return None,
    };
    Some((if text[0] == b'-' { -n } else { n }, 4))
}

/// As a program's own text writes it: also hexadecimal and octal, as gawk reads them in programs.
pub(crate) fn literal(text: &[u8]) -> f64 {
    let text = std::str::from_utf8(text).unwrap_or("");
    let radix = |digits: &str, radix: u32| {
        digits.chars().fold(0.0, |n, d| n * f64::from(radix) + f64::from(d.to_digit(radix).unwrap_or(0)))
    };
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return radix(hex, 16);
    }
    if text.len() > 1 && text.starts_with('0') && text.bytes().all(|b| matches!(b, b'0'..=b'7')) {
        return radix(text, 8);
    }
    text.parse().unwrap_or(0.0)
}
