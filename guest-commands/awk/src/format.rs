//! printf: one format, its values, bytes out. Which locale counts characters is up to the caller.

use crate::error::{Result, fatal};
use crate::number;
use crate::text;
use crate::value::Value;

/// The widest field and the largest precision, in bytes.
const MAX_FIELD: usize = 64 << 20;
/// No double has more digits behind its point; further ones are zeros.
const MAX_DIGITS: usize = 1100;

/// One conversion of a format.
#[derive(Clone, Copy, Debug, Default)]
struct Spec {
    minus: bool,
    plus: bool,
    space: bool,
    zero: bool,
    alt: bool,
    width: usize,
    precision: Option<usize>,
}

/// What formats need to know about their surroundings.
pub(crate) struct Context<'a> {
    /// `CONVFMT`.
    pub(crate) conv: &'a [u8],
    /// Whether text is UTF-8.
    pub(crate) utf8: bool,
}

/// A number by a format such as `OFMT`.
pub(crate) fn number(format: &[u8], n: f64) -> Vec<u8> {
    if format == b"%.6g" {
        return general(n.abs(), 6, false, false, n.is_sign_negative());
    }
    let mut out = Vec::new();
    let context = Context { conv: b"%.6g", utf8: false };
    // A format of the program that asks for more than the number falls back to its usual text.
    match printf(&mut out, format, &[Value::Num(n)], &context) {
        Ok(()) => out,
        Err(_) => general(n.abs(), 6, false, false, n.is_sign_negative()),
    }
}

/// Writes `values` by `format`.
pub(crate) fn printf(out: &mut Vec<u8>, format: &[u8], values: &[Value], cx: &Context<'_>) -> Result<()> {
    let mut next = 0;
    let mut at = 0;
    while let Some(skip) = memchr::memchr(b'%', &format[at..]) {
        out.extend_from_slice(&format[at..at + skip]);
        at += skip;
        let start = at;
        at += 1;
        let mut spec = Spec::default();
        let mut position = None;
        let digits = format[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits > 0 && format.get(at + digits) == Some(&b'$') {
            position = Some(count(&format[at..at + digits]));
            at += digits + 1;
        }
        while let Some(flag) = format.get(at) {
            match flag {
                b'-' => spec.minus = true,
                b'+' => spec.plus = true,
                b' ' => spec.space = true,
                b'0' => spec.zero = true,
                b'#' => spec.alt = true,
                // The locales that there are group no digits.
                b'\'' => {}
                _ => break,
            }
            at += 1;
        }
        let mut take = |position: Option<usize>, at: usize| -> Result<Value> {
            let index = match position {
                Some(0) => return fatal("argument index with `$' must be > 0"),
                Some(n) => n - 1,
                None => {
                    next += 1;
                    next - 1
                }
            };
            match values.get(index) {
                Some(value) => Ok(value.clone()),
                None => fatal(format!(
                    "not enough arguments to satisfy format string\n\t`{}'\n\t{:width$}^ ran out for this one",
                    String::from_utf8_lossy(format),
                    "",
                    // Under the character that asked.
                    width = at - 1
                )),
            }
        };
        if format.get(at) == Some(&b'*') {
            at += 1;
            let width = take(None, at)?.num();
            spec.minus |= width < 0.0;
            spec.width = width.abs() as usize;
        } else {
            let digits = format[at..].iter().take_while(|b| b.is_ascii_digit()).count();
            spec.width = count(&format[at..at + digits]);
            at += digits;
        }
        if format.get(at) == Some(&b'.') {
            at += 1;
            if format.get(at) == Some(&b'*') {
                at += 1;
                let precision = take(None, at)?.num();
                spec.precision = (precision >= 0.0).then_some(precision as usize);
            } else {
                let negative = format.get(at) == Some(&b'-');
                at += usize::from(negative);
                let digits = format[at..].iter().take_while(|b| b.is_ascii_digit()).count();
                spec.precision = (!negative).then(|| count(&format[at..at + digits]));
                at += digits;
            }
        }
        if spec.width > MAX_FIELD || spec.precision.is_some_and(|p| p > MAX_FIELD) {
            return fatal("printf: field is wider than 64 MiB");
        }
        while matches!(format.get(at), Some(b'h' | b'l' | b'L' | b'q' | b'j' | b't')) {
            at += 1;
        }
        let Some(&conversion) = format.get(at) else {
            out.extend_from_slice(&format[start..]);
            return Ok(());
        };
        at += 1;
        match conversion {
            b'%' => out.push(b'%'),
            b'c' => character(out, &spec, &take(position, at)?, cx),
            b's' => {
                let value = take(position, at)?;
                value.with_bytes(cx.conv, |bytes| {
                    let bytes = match spec.precision {
                        Some(most) => &bytes[..text::offset(bytes, most, cx.utf8)],
                        None => bytes,
                    };
                    pad(out, &spec, bytes, text::length(bytes, cx.utf8));
                });
            }
            b'd' | b'i' | b'u' | b'o' | b'x' | b'X' => {
                let value = take(position, at)?;
                integer(out, &spec, conversion, value.num());
            }
            b'e' | b'E' | b'f' | b'F' | b'g' | b'G' | b'a' | b'A' => {
                let value = take(position, at)?;
                float(out, &spec, conversion, value.num());
            }
            _ => out.extend_from_slice(&format[start..at]),
        }
    }
    out.extend_from_slice(&format[at..]);
    Ok(())
}

/// The number of some digits, too large a one being larger than any limit.
fn count(digits: &[u8]) -> usize {
    digits.iter().fold(0usize, |n, d| n.saturating_mul(10).saturating_add(usize::from(d - b'0')))
}

fn pad(out: &mut Vec<u8>, spec: &Spec, bytes: &[u8], chars: usize) {
    let fill = spec.width.saturating_sub(chars);
    if !spec.minus {
        out.resize(out.len() + fill, b' ');
    }
    out.extend_from_slice(bytes);
    if spec.minus {
        out.resize(out.len() + fill, b' ');
    }
}

fn character(out: &mut Vec<u8>, spec: &Spec, value: &Value, cx: &Context<'_>) {
    let number = match value {
        Value::Num(n) => Some(*n),
        Value::Uninit => Some(0.0),
        Value::Input(_) => value.strict_num(),
        _ => None,
    };
    let Some(n) = number else {
        return value.with_bytes(cx.conv, |bytes| {
            // As a C string does, no text ends in a NUL.
            let bytes = if bytes.is_empty() { b"\0" } else { bytes };
            pad(out, spec, &bytes[..text::offset(bytes, 1, cx.utf8)], 1);
        });
    };
    let code = n as i64;
    let wide = u32::try_from(code).ok().filter(|_| cx.utf8).and_then(char::from_u32);
    match wide {
        Some(c) => pad(out, spec, c.encode_utf8(&mut [0; 4]).as_bytes(), 1),
        None => pad(out, spec, &[code as u8], 1),
    }
}

/// Sign, prefix and digits into a field.
fn numeric(out: &mut Vec<u8>, spec: &Spec, negative: bool, prefix: &str, digits: &[u8], zero: bool) {
    let sign = if negative {
        "-"
    } else if spec.plus {
        "+"
    } else if spec.space {
        " "
    } else {
        ""
    };
    let fill = spec.width.saturating_sub(sign.len() + prefix.len() + digits.len());
    let zeros = zero && spec.zero && !spec.minus;
    if !spec.minus && !zeros {
        out.resize(out.len() + fill, b' ');
    }
    out.extend_from_slice(sign.as_bytes());
    out.extend_from_slice(prefix.as_bytes());
    if zeros {
        out.resize(out.len() + fill, b'0');
    }
    out.extend_from_slice(digits);
    if spec.minus {
        out.resize(out.len() + fill, b' ');
    }
}

fn not_finite(out: &mut Vec<u8>, spec: &Spec, n: f64) {
    let text = number::special(n).as_bytes();
    pad(out, spec, text, text.len());
}

fn integer(out: &mut Vec<u8>, spec: &Spec, conversion: u8, n: f64) {
    if !n.is_finite() {
        return not_finite(out, spec, n);
    }
    let whole = n.trunc();
    // What 64 bits do not hold is written as `%g` does.
    let signed = matches!(conversion, b'd' | b'i');
    if !signed && (whole < -(2f64.powi(63)) || whole >= 2f64.powi(64)) {
        return float(out, spec, b'g', whole);
    }
    let word = if whole < 0.0 { whole as i64 as u64 } else { whole as u64 };
    let mut digits = match conversion {
        b'o' => format!("{word:o}"),
        b'x' => format!("{word:x}"),
        b'X' => format!("{word:X}"),
        b'u' => word.to_string(),
        _ if whole.abs() < 1e18 => (whole.abs() as u64).to_string(),
        _ => format!("{:.0}", whole.abs()),
    };
    if let Some(least) = spec.precision {
        if least == 0 && whole == 0.0 {
            digits.clear();
        }
        if digits.len() < least {
            digits = "0".repeat(least - digits.len()) + &digits;
        }
    }
    let mut prefix = "";
    if spec.alt && whole != 0.0 {
        match conversion {
            b'x' => prefix = "0x",
            b'X' => prefix = "0X",
            b'o' if !digits.starts_with('0') => digits.insert(0, '0'),
            _ => {}
        }
    }
    numeric(out, spec, signed && whole < 0.0, prefix, digits.as_bytes(), spec.precision.is_none());
}

fn float(out: &mut Vec<u8>, spec: &Spec, conversion: u8, n: f64) {
    if !n.is_finite() {
        return not_finite(out, spec, n);
    }
    let upper = conversion.is_ascii_uppercase();
    let size = n.abs();
    let precision = spec.precision.unwrap_or(6);
    let mut digits = match conversion.to_ascii_lowercase() {
        b'f' => fixed(size, precision, spec.alt),
        b'e' => scientific(size, precision, spec.alt),
        b'a' => hexadecimal(size, spec.precision),
        _ => general(size, precision, spec.alt, upper, false),
    };
    if upper {
        digits.make_ascii_uppercase();
    }
    let prefix = match conversion {
        b'a' => "0x",
        b'A' => "0X",
        _ => "",
    };
    numeric(out, spec, n.is_sign_negative(), prefix, &digits, true);
}

fn zeros(digits: &mut Vec<u8>, wanted: usize) {
    if wanted > MAX_DIGITS {
        digits.resize(digits.len() + wanted - MAX_DIGITS, b'0');
    }
}

fn fixed(n: f64, precision: usize, alt: bool) -> Vec<u8> {
    let mut digits = format!("{n:.*}", precision.min(MAX_DIGITS)).into_bytes();
    zeros(&mut digits, precision);
    if alt && precision == 0 {
        digits.push(b'.');
    }
    digits
}

/// Mantissa and exponent of `n` with so many digits behind the point.
fn split_exponent(n: f64, precision: usize) -> (Vec<u8>, i32) {
    let text = format!("{n:.*e}", precision.min(MAX_DIGITS));
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.as_bytes().to_vec(), exponent.parse().unwrap_or(0))
}

fn push_exponent(digits: &mut Vec<u8>, exponent: i32) {
    let sign = if exponent < 0 { '-' } else { '+' };
    digits.extend_from_slice(format!("e{sign}{:02}", exponent.abs()).as_bytes());
}

fn scientific(n: f64, precision: usize, alt: bool) -> Vec<u8> {
    let (mut digits, exponent) = split_exponent(n, precision);
    zeros(&mut digits, precision);
    if alt && precision == 0 {
        digits.push(b'.');
    }
    push_exponent(&mut digits, exponent);
    digits
}

/// `%g`; `negative` puts a sign before it.
fn general(n: f64, precision: usize, alt: bool, upper: bool, negative: bool) -> Vec<u8> {
    let precision = precision.max(1);
    let (mut mantissa, exponent) = split_exponent(n, precision - 1);
    let mut digits = if exponent < -4 || exponent >= precision.min(i32::MAX as usize) as i32 {
        if !alt {
            trim(&mut mantissa);
        }
        push_exponent(&mut mantissa, exponent);
        mantissa
    } else {
        let behind = (precision as i64 - 1 - i64::from(exponent)).max(0) as usize;
        let mut digits = fixed(n, if alt { behind } else { behind.min(MAX_DIGITS) }, alt);
        if !alt {
            trim(&mut digits);
        }
        digits
    };
    if upper {
        digits.make_ascii_uppercase();
    }
    if negative {
        digits.insert(0, b'-');
    }
    digits
}

/// Takes zeros at the end of a fraction away.
fn trim(digits: &mut Vec<u8>) {
    if digits.contains(&b'.') {
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.last() == Some(&b'.') {
            digits.pop();
        }
    }
}

/// `%a` without sign and `0x`, as C writes it for doubles.
fn hexadecimal(n: f64, precision: Option<usize>) -> Vec<u8> {
    let bits = n.to_bits();
    let raw = (bits >> 52 & 0x7ff) as i32;
    let mut mantissa = bits & ((1 << 52) - 1);
    let mut lead = u64::from(raw != 0);
    let exponent = match (raw, mantissa) {
        (0, 0) => 0,
        (0, _) => -1022,
        _ => raw - 1023,
    };
    let mut count = 13;
    if let Some(wanted) = precision.filter(|p| *p < 13) {
        let drop = (13 - wanted) * 4;
        let all = lead << 52 | mantissa;
        let rest = all & ((1 << drop) - 1);
        let half = 1 << (drop - 1);
        let mut kept = all >> drop;
        kept += u64::from(rest > half || rest == half && kept & 1 == 1);
        lead = kept >> (wanted * 4);
        mantissa = kept & ((1u64 << (wanted * 4)) - 1);
        count = wanted;
    }
    let mut fraction = if count == 0 { String::new() } else { format!("{mantissa:0count$x}") };
    match precision {
        None => fraction.truncate(fraction.trim_end_matches('0').len()),
        Some(wanted) => fraction.extend(std::iter::repeat_n('0', wanted.saturating_sub(13))),
    }
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{lead}{point}{fraction}p{exponent:+}").into_bytes()
}
