//! `printf`. How floating-point numbers are read and written is in `extended`.

use super::extended::{self, Digits, Number};
use super::getopt::Options;
use crate::shell::{Flow, Shell};
use std::time::{SystemTime, UNIX_EPOCH};

/// The widest field: a format cannot make the shell fill its memory.
const MAX_WIDTH: usize = 64 << 20;
/// The longest date.
const MAX_DATE: usize = 127;

#[derive(Default)]
struct Spec {
    minus: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

struct Args<'a> {
    list: &'a [String],
    at: usize,
    status: i32,
}

impl<'a> Args<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let arg = self.list.get(self.at).map(String::as_str);
        self.at += 1;
        arg
    }
}

pub(super) fn printf(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let mut options = Options::new(args);
    let mut variable = None;
    loop {
        match options.next(sh, "v:") {
            Ok(Some((_, value))) => variable = value,
            Ok(None) => break,
            Err(status) => return Ok(status),
        }
    }
    if let Some(name) = variable.filter(|name| !super::read::is_target(name)) {
        sh.complain("printf", &format!("`{name}': not a valid identifier"));
        return Ok(2);
    }
    let Some((format, list)) = options.rest().split_first() else { return Ok(sh.usage("printf")) };
    let format = crate::text::to_bytes(format).into_owned();
    let mut list = Args { list, at: 0, status: 0 };
    let mut out = Vec::new();
    loop {
        let before = list.at;
        if !one_pass(sh, &format, &mut list, &mut out)? || list.at >= list.list.len() || list.at == before {
            break;
        }
    }
    match variable {
        Some(name) => {
            let text = crate::text::from_bytes(out.into_iter().filter(|b| *b != 0).collect());
            list.status = list.status.max(super::assigned(sh.assign_text(name, text))?);
        }
        None => sh.out.extend_from_slice(&out),
    }
    Ok(list.status)
}

/// Goes through the format once; false when output ends for good.
fn one_pass(sh: &mut Shell, f: &[u8], args: &mut Args<'_>, out: &mut Vec<u8>) -> Result<bool, Flow> {
    let mut i = 0;
    while i < f.len() {
        match f[i] {
            b'\\' if i + 1 < f.len() => i += escape(sh, &f[i..], out, false),
            b'%' if f.get(i + 1) == Some(&b'%') => {
                out.push(b'%');
                i += 2;
            }
            b'%' => match directive(sh, f, i, args, out)? {
                Some(next) => i = next,
                None => return Ok(false),
            },
            b => {
                out.push(b);
                i += 1;
            }
        }
    }
    Ok(true)
}

/// Decodes the escape at the start of `b`, of a format or of a `%b` argument; how many bytes it takes.
fn escape(sh: &mut Shell, b: &[u8], out: &mut Vec<u8>, argument: bool) -> usize {
    let digits = |from: usize, max: usize, radix: u32| -> (u32, usize) {
        let text = b[from.min(b.len())..].iter().take(max).map_while(|c| (*c as char).to_digit(radix));
        text.fold((0, 0), |(n, len), d| (n * radix + d, len + 1))
    };
    let one = match b.get(1).copied().unwrap_or(b'\\') {
        b'a' => 7,
        b'b' => 8,
        b'e' | b'E' => 27,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'\\' => b'\\',
        c @ (b'\'' | b'"' | b'?') if !argument => c,
        c @ b'0'..=b'7' => {
            let (n, len) = digits(1, if argument && c == b'0' { 4 } else { 3 }, 8);
            out.push(n as u8);
            return 1 + len;
        }
        b'x' => match digits(2, 2, 16) {
            (_, 0) => {
                sh.complain("printf", "missing hex digit for \\x");
                out.push(b'\\');
                return 1;
            }
            (n, len) => {
                out.push(n as u8);
                return 2 + len;
            }
        },
        c @ (b'u' | b'U') => match digits(2, if c == b'u' { 4 } else { 8 }, 16) {
            (_, 0) => {
                sh.complain("printf", &format!("missing unicode digit for \\{}", c as char));
                out.push(b'\\');
                return 1;
            }
            (n, len) => {
                crate::compile::word::push_code(n, out);
                return 2 + len;
            }
        },
        _ => {
            out.push(b'\\');
            return 1;
        }
    };
    out.push(one);
    2
}

/// Decodes an argument of `%b`; false at `\c`, which ends all output.
fn expand(sh: &mut Shell, b: &[u8], out: &mut Vec<u8>) -> bool {
    let mut i = 0;
    while i < b.len() {
        match b[i] {
            b'\\' if b.get(i + 1) == Some(&b'c') => return false,
            b'\\' if i + 1 < b.len() => i += escape(sh, &b[i..], out, true),
            byte => {
                out.push(byte);
                i += 1;
            }
        }
    }
    true
}

/// A width or precision at `i`: digits, or `*` for an argument.
fn count(sh: &mut Shell, f: &[u8], i: &mut usize, args: &mut Args<'_>) -> i64 {
    if f.get(*i) == Some(&b'*') {
        *i += 1;
        return integer(sh, args, true) as i64;
    }
    let mut n = 0i64;
    while let Some(d) = f.get(*i).filter(|b| b.is_ascii_digit()) {
        n = (n * 10 + i64::from(d - b'0')).min(MAX_WIDTH as i64);
        *i += 1;
    }
    n
}

/// Prints the directive at `start`; the position after it, or `None` when output ends.
fn directive(
    sh: &mut Shell,
    f: &[u8],
    start: usize,
    args: &mut Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Option<usize>, Flow> {
    let mut spec = Spec::default();
    let mut i = start + 1;
    while let Some(b) = f.get(i) {
        match b {
            b'-' => spec.minus = true,
            b'+' => spec.plus = true,
            b' ' => spec.space = true,
            b'#' => spec.alternate = true,
            b'0' => spec.zero = true,
            b'\'' => {}
            _ => break,
        }
        i += 1;
    }
    let width = count(sh, f, &mut i, args);
    spec.minus |= width < 0;
    spec.width = width.unsigned_abs().min(MAX_WIDTH as u64) as usize;
    if f.get(i) == Some(&b'.') {
        i += 1;
        let precision = count(sh, f, &mut i, args);
        spec.precision = usize::try_from(precision).ok().map(|p| p.min(MAX_WIDTH));
    }
    while f.get(i).is_some_and(|b| b"hjlLtz".contains(b)) {
        i += 1;
    }
    let Some(conversion) = f.get(i).copied() else {
        let text = crate::text::from_bytes(f[start..].to_vec());
        sh.complain("printf", &format!("`{text}': missing format character"));
        args.status = 1;
        return Ok(None);
    };
    i += 1;
    let cut = |bytes: &[u8]| bytes[..spec.precision.unwrap_or(usize::MAX).min(bytes.len())].to_vec();
    match conversion {
        b's' => {
            let text = cut(&crate::text::to_bytes(args.next().unwrap_or_default()));
            pad(out, &text, &spec);
        }
        b'c' => {
            let text = crate::text::to_bytes(args.next().unwrap_or_default());
            pad(out, &[text.first().copied().unwrap_or(0)], &spec);
        }
        b'b' => {
            let mut bytes = Vec::new();
            let goes_on = expand(sh, &crate::text::to_bytes(args.next().unwrap_or_default()), &mut bytes);
            pad(out, &cut(&bytes), &spec);
            if !goes_on {
                return Ok(None);
            }
        }
        b'q' => pad(out, &cut(&crate::text::to_bytes(&shell_quote(args.next().unwrap_or_default()))), &spec),
        b'Q' => {
            let text = cut(&crate::text::to_bytes(args.next().unwrap_or_default()));
            pad(out, &crate::text::to_bytes(&shell_quote(&crate::text::from_bytes(text))), &spec);
        }
        b'n' => {
            if let Some(name) = args.next().filter(|name| !name.is_empty()) {
                args.status = args.status.max(super::assigned(sh.assign_text(name, out.len().to_string()))?);
            }
        }
        b'd' | b'i' | b'u' | b'o' | b'x' | b'X' => {
            let n = integer(sh, args, matches!(conversion, b'd' | b'i'));
            pad_integer(out, n, conversion, &spec);
        }
        b'e' | b'E' | b'f' | b'F' | b'g' | b'G' | b'a' | b'A' => {
            let (number, negative) = float(sh, args);
            pad_number(out, &format_float(number, conversion, &spec), negative, &spec);
        }
        b'(' => return Ok(Some(date(sh, f, i, args, out, &spec))),
        other => {
            sh.complain(
                "printf",
                &format!("`{}': invalid format character", crate::text::from_bytes(vec![other])),
            );
            args.status = 1;
            return Ok(None);
        }
    }
    Ok(Some(i))
}

/// `%(format)T`; the position after it.
fn date(sh: &mut Shell, f: &[u8], from: usize, args: &mut Args<'_>, out: &mut Vec<u8>, spec: &Spec) -> usize {
    let mut depth = 1;
    let mut end = from;
    while let Some(b) = f.get(end) {
        match b {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        end += 1;
    }
    if f.get(end + 1) != Some(&b'T') {
        let found = crate::text::from_bytes(f.get(end + 1).copied().into_iter().collect());
        sh.complain("printf", &format!("warning: `{found}': invalid time format specification"));
        out.extend_from_slice(b"%(");
        return from;
    }
    let now = SystemTime::now();
    let given = if args.at < args.list.len() { integer(sh, args, true) as i64 } else { -1 };
    let moment = match given {
        -1 => now,
        -2 => now.checked_sub(sh.started.elapsed()).unwrap_or(now),
        _ => UNIX_EPOCH,
    };
    let seconds = match given {
        -2 | -1 => moment.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64),
        seconds => seconds,
    };
    let format = crate::text::from_bytes(f[from..end].to_vec());
    let text = sh.date(if format.is_empty() { "%X" } else { &format }, seconds);
    let mut text = crate::text::to_bytes(&text).into_owned();
    if text.len() > MAX_DATE {
        text.clear();
    }
    text.truncate(spec.precision.unwrap_or(usize::MAX));
    pad(out, &text, spec);
    end + 2
}

fn pad(out: &mut Vec<u8>, bytes: &[u8], spec: &Spec) {
    let fill = spec.width.saturating_sub(bytes.len());
    if !spec.minus {
        out.resize(out.len() + fill, b' ');
    }
    out.extend_from_slice(bytes);
    if spec.minus {
        out.resize(out.len() + fill, b' ');
    }
}

fn pad_integer(out: &mut Vec<u8>, n: u64, conversion: u8, spec: &Spec) {
    let signed = matches!(conversion, b'd' | b'i');
    let mut digits = match conversion {
        b'd' | b'i' => (n as i64).unsigned_abs().to_string(),
        b'u' => n.to_string(),
        b'o' => format!("{n:o}"),
        b'x' => format!("{n:x}"),
        _ => format!("{n:X}"),
    };
    if let Some(precision) = spec.precision {
        let zeros = precision.saturating_sub(digits.len());
        digits = if precision == 0 && n == 0 { String::new() } else { "0".repeat(zeros) + &digits };
    }
    if spec.alternate {
        match conversion {
            b'o' if !digits.starts_with('0') => digits.insert(0, '0'),
            b'x' if n != 0 => digits.insert_str(0, "0x"),
            b'X' if n != 0 => digits.insert_str(0, "0X"),
            _ => {}
        }
    }
    let spec = Spec {
        plus: spec.plus && signed,
        space: spec.space && signed,
        zero: spec.zero && spec.precision.is_none(),
        ..*spec
    };
    pad_number(out, &digits, signed && (n as i64) < 0, &spec);
}

/// Adds the sign and fills up to the width.
fn pad_number(out: &mut Vec<u8>, digits: &str, negative: bool, spec: &Spec) {
    let sign = match (negative, spec.plus, spec.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    };
    let fill = spec.width.saturating_sub(digits.len() + sign.len());
    let zero = spec.zero && !spec.minus && !matches!(digits, "inf" | "nan" | "INF" | "NAN");
    if !spec.minus && !zero {
        out.resize(out.len() + fill, b' ');
    }
    out.extend_from_slice(sign.as_bytes());
    let prefix = if zero && (digits.starts_with("0x") || digits.starts_with("0X")) { 2 } else { 0 };
    out.extend_from_slice(&digits.as_bytes()[..prefix]);
    if zero {
        out.resize(out.len() + fill, b'0');
    }
    out.extend_from_slice(&digits.as_bytes()[prefix..]);
    if spec.minus {
        out.resize(out.len() + fill, b' ');
    }
}

/// Reports an argument that is no number, or not as a whole.
fn wrong_number(sh: &mut Shell, args: &mut Args<'_>, text: &str) {
    let kind = match text.as_bytes() {
        [b'0', d, ..] if d.is_ascii_digit() => "octal number",
        [b'0', b'x', ..] => "hex number",
        _ => "number",
    };
    sh.complain("printf", &format!("{text}: invalid {kind}"));
    args.status = 1;
}

fn out_of_range(sh: &mut Shell, text: &str) {
    sh.complain("printf", &format!("warning: {text}: Numerical result out of range"));
}

/// The value of the character after a quote.
fn character(text: &str) -> Option<u32> {
    let quoted = text.strip_prefix(['\'', '"'])?;
    let bytes = crate::text::to_bytes(quoted);
    match quoted.chars().next() {
        Some(_) if crate::text::bytes_count() => bytes.first().copied().map(u32::from),
        Some(c) if c.len_utf8() == bytes.len().min(c.len_utf8()) && (c as u32) < 0x10_ff80 => Some(c as u32),
        _ => Some(bytes.first().copied().map_or(0, u32::from)),
    }
}

fn integer(sh: &mut Shell, args: &mut Args<'_>, signed: bool) -> u64 {
    let Some(text) = args.next() else { return 0 };
    if let Some(value) = character(text) {
        return u64::from(value);
    }
    let trimmed = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (negative, digits) = match trimmed.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let (radix, skip) = match digits.as_bytes() {
        [b'0', b'x' | b'X', d, ..] if d.is_ascii_hexdigit() => (16, 2),
        [b'0', ..] => (8, 0),
        _ => (10, 0),
    };
    let digits = &digits[skip..];
    let len = digits.bytes().take_while(|b| (*b as char).is_digit(radix)).count();
    if !text.is_empty() && (len < digits.len() || len == 0) {
        wrong_number(sh, args, text);
    }
    let n = match u128::from_str_radix(&digits[..len], radix) {
        Ok(n) => n,
        Err(_) if len == 0 => 0,
        Err(_) => u128::MAX,
    };
    let limit = match (signed, negative) {
        (true, true) => 1 << 63,
        (true, false) => (1 << 63) - 1,
        (false, _) => u128::from(u64::MAX),
    };
    if n > limit {
        out_of_range(sh, text);
        return if signed && negative { i64::MIN as u64 } else { limit as u64 };
    }
    if negative { (n as u64).wrapping_neg() } else { n as u64 }
}

/// A floating-point argument, and whether it is negative.
fn float(sh: &mut Shell, args: &mut Args<'_>) -> (Number, bool) {
    let Some(text) = args.next() else { return (Number::Finite(0, 0), false) };
    if let Some(value) = character(text) {
        return (extended::parse(&value.to_string()).number, false);
    }
    let trimmed = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let parsed = extended::parse(trimmed);
    if !text.is_empty() && parsed.len < trimmed.len().max(1) {
        wrong_number(sh, args, text);
    } else if parsed.range {
        out_of_range(sh, text);
    }
    (parsed.number, parsed.negative)
}

/// The digits of a number as C's printf writes them, without a sign.
fn format_float(number: Number, conversion: u8, spec: &Spec) -> String {
    let (mantissa, exponent) = match number {
        Number::Nan => return if conversion.is_ascii_uppercase() { "NAN" } else { "nan" }.to_owned(),
        Number::Infinite => return if conversion.is_ascii_uppercase() { "INF" } else { "inf" }.to_owned(),
        Number::Finite(mantissa, exponent) => (mantissa, exponent),
    };
    let precision = spec.precision.unwrap_or(6);
    let digits = || Digits::new(mantissa, exponent);
    let text = match conversion.to_ascii_lowercase() {
        b'f' => fixed(digits(), precision, spec.alternate),
        b'e' => scientific(digits(), precision, spec.alternate),
        b'a' => hexadecimal(mantissa, exponent, spec),
        _ => {
            let significant = precision.max(1);
            let rounded = digits().rounded(significant as i64);
            let power = if mantissa == 0 { 0 } else { rounded.point - 1 };
            if power < -4 || power >= significant as i64 {
                let text = scientific(digits(), significant - 1, spec.alternate);
                match text.split_once('e') {
                    Some((digits, e)) if !spec.alternate => format!("{}e{e}", trim_zeros(digits)),
                    _ => text,
                }
            } else {
                let decimals = (significant as i64 - 1 - power).max(0) as usize;
                let text = fixed(digits(), decimals, spec.alternate);
                if spec.alternate { text } else { trim_zeros(&text).to_owned() }
            }
        }
    };
    if conversion.is_ascii_uppercase() { text.to_uppercase() } else { text }
}

fn fixed(all: Digits, precision: usize, point: bool) -> String {
    let keep = all.point.saturating_add(precision as i64);
    let rounded = all.rounded(keep);
    let digit = |at: i64| match usize::try_from(at) {
        Ok(at) => rounded.digits.get(at).map_or('0', |d| *d as char),
        Err(_) => '0',
    };
    let mut text: String =
        if rounded.point > 0 { (0..rounded.point).map(digit).collect() } else { "0".into() };
    if precision > 0 || point {
        text.push('.');
    }
    text.extend((rounded.point..rounded.point.saturating_add(precision as i64)).map(digit));
    text
}

fn scientific(all: Digits, precision: usize, point: bool) -> String {
    let zero = all.digits.is_empty();
    let rounded = all.rounded(precision as i64 + 1);
    let digit = |at: usize| rounded.digits.get(at).map_or('0', |d| *d as char);
    let mut text = digit(0).to_string();
    if precision > 0 || point {
        text.push('.');
    }
    text.extend((1..=precision).map(digit));
    let power = if zero { 0 } else { rounded.point - 1 };
    format!("{text}e{}{:02}", if power < 0 { '-' } else { '+' }, power.abs())
}

fn hexadecimal(mantissa: u64, exponent: i32, spec: &Spec) -> String {
    let mut power = if mantissa == 0 { 0 } else { i64::from(exponent) + 60 };
    let mut mantissa = u128::from(mantissa);
    let mut digits = 15;
    if let Some(precision) = spec.precision.filter(|p| *p < 15) {
        let drop = 4 * (15 - precision) as u32;
        let (rest, half) = (mantissa & ((1 << drop) - 1), 1u128 << (drop - 1));
        mantissa >>= drop;
        if rest > half || rest == half && mantissa & 1 == 1 {
            mantissa += 1;
        }
        if mantissa >> (4 * precision + 4) != 0 {
            mantissa >>= 1;
            power += 1;
        }
        digits = precision;
    }
    let text = format!("{mantissa:0width$x}", width = digits + 1);
    let (whole, fraction) = text.split_at(1);
    let fraction = match spec.precision {
        None => fraction.trim_end_matches('0').to_owned(),
        Some(precision) => fraction.to_owned() + &"0".repeat(precision.saturating_sub(fraction.len())),
    };
    let point = if fraction.is_empty() && !spec.alternate { "" } else { "." };
    format!("0x{whole}{point}{fraction}p{power:+}")
}

fn trim_zeros(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// Text quoted with backslashes, as `%q` prints it.
fn shell_quote(text: &str) -> String {
    if text.is_empty() {
        return "''".into();
    }
    if text.chars().any(crate::expand::is_unprintable) {
        return crate::expand_ansi_quote(text);
    }
    let mut out = String::new();
    let mut before = None;
    for c in text.chars() {
        let special = match c {
            '~' => matches!(before, None | Some('=' | ':')),
            '#' => before.is_none(),
            c => " \t\n|&;()<>!{}*[]?^$,\"'`\\".contains(c),
        };
        if special {
            out.push('\\');
        }
        out.push(c);
        before = Some(c);
    }
    out
}
