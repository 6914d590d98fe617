//! `printf`.

use super::echo::expand_escapes;
use crate::compile::word::escape;
use crate::shell::{Flow, Shell};

/// The widest field: a format cannot make the shell fill its memory.
const MAX_WIDTH: usize = 1 << 20;

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
    let mut rest = &args[1..];
    let mut variable = None;
    loop {
        match rest.first().map(String::as_str) {
            Some("-v") => {
                variable = rest.get(1).cloned();
                rest = rest.get(2..).unwrap_or_default();
            }
            Some("--") => {
                rest = &rest[1..];
                break;
            }
            Some(option) if option.starts_with("-v") && option.len() > 2 => {
                variable = Some(option[2..].to_owned());
                rest = &rest[1..];
            }
            _ => break,
        }
    }
    let Some(format) = rest.first() else {
        sh.complain("printf", "usage: printf [-v var] format [arguments]");
        return Ok(2);
    };
    let format = crate::text::to_bytes(format).into_owned();
    let mut list = Args { list: &rest[1..], at: 0, status: 0 };
    let mut out = Vec::new();
    loop {
        let before = list.at;
        if !one_pass(sh, &format, &mut list, &mut out) || list.at >= list.list.len() || list.at == before {
            break;
        }
    }
    match variable {
        Some(name) => {
            let text = crate::text::from_bytes(out);
            list.status = list.status.max(super::assigned(sh.assign_text(&name, text))?);
        }
        None => sh.out.extend_from_slice(&out),
    }
    Ok(list.status)
}

/// Goes through the format once; false when output ends for good.
fn one_pass(sh: &mut Shell, f: &[u8], args: &mut Args<'_>, out: &mut Vec<u8>) -> bool {
    let mut i = 0;
    while i < f.len() {
        match f[i] {
            b'\\' if i + 1 < f.len() => i += escape(&f[i..], out, false),
            b'%' if f.get(i + 1) == Some(&b'%') => {
                out.push(b'%');
                i += 2;
            }
            b'%' => match directive(sh, f, i + 1, args, out) {
                Some(next) => i = next,
                None => return false,
            },
            b => {
                out.push(b);
                i += 1;
            }
        }
    }
    true
}

/// Prints the directive at `i`; the position after it, or `None` when output ends.
fn directive(
    sh: &mut Shell,
    f: &[u8],
    mut i: usize,
    args: &mut Args<'_>,
    out: &mut Vec<u8>,
) -> Option<usize> {
    let mut spec = Spec::default();
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
    let number = |i: &mut usize, args: &mut Args<'_>| -> i64 {
        if f.get(*i) == Some(&b'*') {
            *i += 1;
            return args.next().and_then(|a| a.trim().parse().ok()).unwrap_or(0);
        }
        let mut n = 0i64;
        while let Some(d) = f.get(*i).filter(|b| b.is_ascii_digit()) {
            n = (n * 10 + i64::from(d - b'0')).min(MAX_WIDTH as i64);
            *i += 1;
        }
        n
    };
    let width = number(&mut i, args);
    spec.minus |= width < 0;
    spec.width = (width.unsigned_abs() as usize).min(MAX_WIDTH);
    if f.get(i) == Some(&b'.') {
        i += 1;
        let precision = number(&mut i, args);
        spec.precision = usize::try_from(precision).ok().map(|p| p.min(MAX_WIDTH));
    }
    while f.get(i).is_some_and(|b| b"lhjztLq".contains(b)) && f.get(i) != Some(&b'q') {
        i += 1;
    }
    let Some(conversion) = f.get(i).copied() else {
        sh.complain("printf", "`%': missing format character");
        args.status = 1;
        return None;
    };
    i += 1;
    match conversion {
        b's' => {
            let text = args.next().unwrap_or_default();
            let text: String = match spec.precision {
                Some(p) => text.chars().take(p).collect(),
                None => text.to_owned(),
            };
            pad_text(out, &text, &spec);
        }
        b'c' => {
            let text: String = args.next().unwrap_or_default().chars().take(1).collect();
            pad_text(out, &text, &spec);
        }
        b'b' => {
            let mut bytes = Vec::new();
            let goes_on = expand_escapes(&crate::text::to_bytes(args.next().unwrap_or_default()), &mut bytes);
            pad_text(out, &crate::text::from_bytes(bytes), &spec);
            if !goes_on {
                return None;
            }
        }
        b'q' | b'Q' => {
            let text = shell_quote(args.next().unwrap_or_default());
            pad_text(out, &text, &spec);
        }
        b'd' | b'i' | b'u' | b'o' | b'x' | b'X' => {
            let n = integer(sh, args);
            pad_integer(out, n, conversion, &spec);
        }
        b'e' | b'E' | b'f' | b'F' | b'g' | b'G' | b'a' | b'A' => {
            let n = float(sh, args);
            pad_number(out, &format_float(n, conversion, &spec), n.is_sign_negative() && !n.is_nan(), &spec);
        }
        b'(' => {
            // `%(format)T`: the only date the shell prints itself is seconds since 1970.
            let end = f[i..].iter().position(|b| *b == b')').map(|n| i + n);
            let format = end.map_or(String::new(), |end| String::from_utf8_lossy(&f[i..end]).into_owned());
            let seconds = match args.next().and_then(|a| a.parse::<i64>().ok()) {
                Some(n) if n >= 0 => n,
                _ => std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .map_or(0, |d| d.as_secs() as i64),
            };
            let format = if format.is_empty() { "%X" } else { &format };
            pad_text(out, &sh.date(format, seconds), &spec);
            i = end.map_or(f.len(), |end| (end + 2).min(f.len()));
        }
        other => {
            sh.complain("printf", &format!("`{}': invalid format character", other as char));
            args.status = 1;
            return None;
        }
    }
    Some(i)
}

fn pad_text(out: &mut Vec<u8>, text: &str, spec: &Spec) {
    let bytes = crate::text::to_bytes(text);
    // Bash counts bytes here.
    let fill = spec.width.saturating_sub(bytes.len());
    if !spec.minus {
        out.resize(out.len() + fill, b' ');
    }
    out.extend_from_slice(&bytes);
    if spec.minus {
        out.resize(out.len() + fill, b' ');
    }
}

fn pad_integer(out: &mut Vec<u8>, n: i64, conversion: u8, spec: &Spec) {
    let mut digits = match conversion {
        b'd' | b'i' => n.unsigned_abs().to_string(),
        b'u' => (n as u64).to_string(),
        b'o' => format!("{:o}", n as u64),
        b'x' => format!("{:x}", n as u64),
        _ => format!("{:X}", n as u64),
    };
    if let Some(precision) = spec.precision {
        digits = if precision == 0 && n == 0 { String::new() } else { format!("{digits:0>precision$}") };
    }
    if spec.alternate && n != 0 {
        match conversion {
            b'o' => digits.insert(0, '0'),
            b'x' => digits.insert_str(0, "0x"),
            b'X' => digits.insert_str(0, "0X"),
            _ => {}
        }
    }
    let signed = matches!(conversion, b'd' | b'i');
    let spec = Spec {
        plus: spec.plus && signed,
        space: spec.space && signed,
        zero: spec.zero && spec.precision.is_none(),
        ..*spec
    };
    pad_number(out, &digits, signed && n < 0, &spec);
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
    let zero = spec.zero && !spec.minus && digits.bytes().any(|b| b.is_ascii_digit());
    if !spec.minus && !zero {
        out.resize(out.len() + fill, b' ');
    }
    out.extend_from_slice(sign.as_bytes());
    if zero {
        let prefix = if digits.starts_with("0x") || digits.starts_with("0X") { 2 } else { 0 };
        out.extend_from_slice(&digits.as_bytes()[..prefix]);
        out.resize(out.len() + fill, b'0');
        out.extend_from_slice(&digits.as_bytes()[prefix..]);
    } else {
        out.extend_from_slice(digits.as_bytes());
    }
    if spec.minus {
        out.resize(out.len() + fill, b' ');
    }
}

fn integer(sh: &mut Shell, args: &mut Args<'_>) -> i64 {
    let Some(text) = args.next() else { return 0 };
    if let Some(quoted) = text.strip_prefix(['\'', '"']) {
        return quoted.chars().next().map_or(0, |c| i64::from(c as u32));
    }
    let trimmed = text.trim_start();
    let (negative, digits) = match trimmed.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let (radix, digits, given) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..], true),
        [b'0', _, ..] => (8, &digits[1..], true),
        _ => (10, digits, false),
    };
    let len = digits.bytes().take_while(|b| (*b as char).is_digit(radix)).count();
    if len < digits.len() || len == 0 && !given && !text.is_empty() {
        sh.complain("printf", &format!("{text}: invalid number"));
        args.status = 1;
    }
    if text.is_empty() {
        return 0;
    }
    let n = match i128::from_str_radix(&digits[..len], radix) {
        Ok(n) => n,
        Err(_) if len == 0 => 0,
        Err(_) => i128::MAX,
    };
    let n = if negative { -n } else { n };
    if n > i128::from(u64::MAX) || n < i128::from(i64::MIN) {
        return if negative { i64::MIN } else { i64::MAX };
    }
    n as i64
}

fn float(sh: &mut Shell, args: &mut Args<'_>) -> f64 {
    let Some(text) = args.next() else { return 0.0 };
    if let Some(quoted) = text.strip_prefix(['\'', '"']) {
        return quoted.chars().next().map_or(0.0, |c| f64::from(c as u32));
    }
    let text = text.trim();
    if let Some(hex) = text.strip_prefix("0x")
        && let Ok(n) = i64::from_str_radix(hex, 16)
    {
        return n as f64;
    }
    text.parse().unwrap_or_else(|_| {
        if !text.is_empty() {
            sh.complain("printf", &format!("{text}: invalid number"));
            args.status = 1;
        }
        let end = text.bytes().take_while(|b| b.is_ascii_digit() || b".-+".contains(b)).count();
        text[..end].parse().unwrap_or(0.0)
    })
}

/// The digits of a number as C's printf writes them, without a sign.
fn format_float(n: f64, conversion: u8, spec: &Spec) -> String {
    let upper = conversion.is_ascii_uppercase();
    let n = n.abs();
    let text = if n.is_nan() {
        "nan".to_owned()
    } else if n.is_infinite() {
        "inf".to_owned()
    } else {
        let precision = spec.precision.unwrap_or(6);
        match conversion.to_ascii_lowercase() {
            b'f' => format!("{n:.precision$}"),
            b'e' => exponent(n, precision),
            _ => {
                let significant = precision.max(1);
                let text = exponent(n, significant - 1);
                let power: i32 = text.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
                if power < -4 || power >= significant as i32 {
                    match text.split_once('e') {
                        Some((digits, e)) if !spec.alternate => format!("{}e{e}", trim_zeros(digits)),
                        _ => text,
                    }
                } else {
                    let decimals = (significant as i32 - 1 - power).max(0) as usize;
                    let text = format!("{n:.decimals$}");
                    if spec.alternate { text } else { trim_zeros(&text).to_owned() }
                }
            }
        }
    };
    if upper { text.to_uppercase() } else { text }
}

fn exponent(n: f64, precision: usize) -> String {
    let text = format!("{n:.precision$e}");
    match text.split_once('e') {
        Some((digits, e)) => {
            let power: i32 = e.parse().unwrap_or(0);
            format!("{digits}e{}{:02}", if power < 0 { '-' } else { '+' }, power.abs())
        }
        None => text,
    }
}

fn trim_zeros(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// Text quoted with backslashes, as `%q` prints it.
pub(crate) fn shell_quote(text: &str) -> String {
    if text.is_empty() {
        return "''".into();
    }
    if text.chars().any(char::is_control) {
        return crate::expand_ansi_quote(text);
    }
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        let plain = c.is_alphanumeric()
            || "_-./:=@%+".contains(c)
            || !c.is_ascii()
            || (c == '~' || c == '#') && i > 0;
        if !plain {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
