//! `seq`: numbers from one to another. Decimal numbers are added exactly; others, and those of `-f`, as floating-point numbers.

use crate::context::{Cx, End, Outcome};
use crate::float::{MOST, Spec};
use crate::options::Order;
use crate::os::OsStrExt;
use crate::quote::quote;
use std::ffi::{OsStr, OsString};

const SPEC: &[&str] = &["f,format=", "s,separator=", "w,equal-width"];
const HELP: &str = "{} [OPTION]... LAST
  or:  {} [OPTION]... FIRST LAST
  or:  {} [OPTION]... FIRST INCREMENT LAST
Print numbers from FIRST to LAST, in steps of INCREMENT.
  -f, --format=FORMAT      use printf style floating-point FORMAT
  -s, --separator=STRING   use STRING to separate numbers (default: \\n)
  -w, --equal-width        equalize width by padding with leading zeroes";

/// A number as it was written.
#[derive(Clone, Copy, Debug)]
struct Operand {
    value: f64,
    /// Digits and places after the point, if it is a decimal number that fits.
    exact: Option<(i128, usize)>,
    negative: bool,
    width: usize,
    /// None if it is not a decimal number.
    precision: Option<usize>,
}

/// Places after the point, beyond which numbers are not added exactly.
const MOST_PLACES: usize = 18;

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    // A negative number is no option.
    let mut first = 0;
    while let Some(word) = args.get(first).map(|arg| arg.as_bytes()) {
        if word == b"--" || !word.starts_with(b"-") || matches!(word.get(1), None | Some(b'.' | b'0'..=b'9'))
        {
            break;
        }
        let alone =
            |long: &str| word.len() > 2 && word.starts_with(b"--") && long.as_bytes().starts_with(&word[2..]);
        let letters = !word.starts_with(b"--")
            && word[1..].iter().position(|b| matches!(b, b'f' | b's')).is_some_and(|at| at + 2 == word.len());
        first += if letters || alone("format") || alone("separator") { 2 } else { 1 };
    }
    let (options, operands) = args.split_at(first.min(args.len()));
    let mut parsed = cx.parse(SPEC, options, Order::Permute, HELP)?;
    parsed
        .operands
        .extend(operands.iter().skip(usize::from(operands.first().is_some_and(|w| w == "--"))).cloned());
    let (mut format, mut separator, mut equal) = (None, b"\n".to_vec(), false);
    for opt in &parsed.opts {
        match opt.id {
            "format" => format = Some(opt.arg().to_owned()),
            "separator" => separator = opt.arg().as_bytes().to_vec(),
            _ => equal = true,
        }
    }
    if parsed.operands.is_empty() {
        return Err(cx.missing_operand());
    }
    if let Some(extra) = parsed.operands.get(3) {
        return Err(cx.usage(format!("extra operand {}", quote(extra))));
    }
    let format = match &format {
        Some(text) => Some(read_format(text)?),
        None => None,
    };
    if format.is_some() && equal {
        return Err(cx.usage("format string may not be specified when printing equal width strings"));
    }
    let one = Operand { value: 1.0, exact: Some((1, 0)), negative: false, width: 1, precision: Some(0) };
    let mut numbers = Vec::new();
    for (i, text) in parsed.operands.iter().enumerate() {
        let number = operand(cx, text)?;
        if parsed.operands.len() == 3 && i == 1 && number.value == 0.0 {
            return Err(cx.usage(format!("invalid Zero increment value: {}", quote(text))));
        }
        numbers.push(number);
    }
    let (from, step, to) = match numbers[..] {
        [to] => (one, one, to),
        [from, to] => (from, one, to),
        _ => (numbers[0], numbers[1], numbers[2]),
    };
    let shown = match format {
        Some(format) => format,
        None => default_format(from, step, to, equal),
    };
    let exact = match (from.exact, step.exact, to.exact) {
        (Some(a), Some(b), Some(c)) if shown.spec.conversion == b'f' && !shown.given => Exact::new(a, b, c),
        (Some(a), Some(b), None) if to.value.is_infinite() && !shown.given => {
            Exact::new(a, b, (0, 0)).map(|exact| Exact { to: None, ..exact })
        }
        _ => None,
    };
    match exact {
        Some(exact) => exact.run(cx, from, &shown, &separator, to.value),
        None => floats(cx, from, step, to, &shown, &separator),
    }
}

fn operand(cx: &Cx, text: &OsStr) -> Result<Operand, End> {
    let shown = text.to_string_lossy();
    let word = shown.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let word = word.strip_prefix('+').unwrap_or(word);
    let invalid = || cx.usage(format!("invalid floating point argument: {}", quote(text)));
    if word.starts_with(['+', ' ']) {
        return Err(invalid());
    }
    let (value, end) = super::sort::float(word.as_bytes()).ok_or_else(invalid)?;
    if value.is_nan() {
        let what = quote(OsStr::new("not-a-number"));
        return Err(cx.usage(format!("invalid {what} argument: {}", quote(text))));
    }
    let named = word.trim_start_matches('-').starts_with(['i', 'I']);
    if end != word.len() || word.starts_with("+-") {
        return Err(invalid());
    }
    let negative = word.starts_with('-');
    let mut number = Operand { value, exact: None, negative, width: word.len(), precision: None };
    if named || word.contains(['x', 'X']) {
        if !named && !word.contains(['.', 'p', 'P']) {
            number.precision = Some(0);
            // A whole number in hexadecimal digits.
            number.exact = (value.abs() < 2_f64.powi(53)).then_some((value as i128, 0));
            number.width = value.abs().to_string().len() + usize::from(negative);
        }
        return Ok(number);
    }
    let (digits, exponent) = match word.find(['e', 'E']) {
        Some(at) => (&word[..at], word[at + 1..].parse::<i64>().map_err(|_| invalid())?),
        None => (word, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain_whole = whole.trim_start_matches(['-', '+']);
    // Places that the exponent takes away are none, and those that it makes are there.
    let places = fraction.len() as i64 - exponent;
    let precision = places.max(0) as usize;
    if precision > MOST {
        return Err(invalid());
    }
    number.precision = Some(precision);
    let whole_digits = (plain_whole.len() as i64 + exponent).max(1) as usize;
    number.width =
        whole_digits.min(MOST) + usize::from(negative) + if precision > 0 { precision + 1 } else { 0 };
    let all: Option<i128> = format!("{plain_whole}{fraction}").parse().ok();
    number.exact = all
        .and_then(|all| {
            let grown = u32::try_from(-places).ok().filter(|n| *n < 39);
            if places >= 0 { Some(all) } else { all.checked_mul(10_i128.checked_pow(grown?)?) }
        })
        .filter(|_| precision <= MOST_PLACES)
        .map(|all| (if negative { -all } else { all }, precision));
    Ok(number)
}

/// A format with what stands around its number.
struct Format {
    before: Vec<u8>,
    spec: Spec,
    after: Vec<u8>,
    given: bool,
}

fn read_format(text: &OsStr) -> Result<Format, End> {
    let bytes = text.as_bytes();
    let shown = quote(text);
    let fail = |what: String| End::Failure(1, format!("format {shown} {what}"));
    let mut parts = [Vec::new(), Vec::new()];
    let mut spec = None;
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] != b'%' {
            parts[usize::from(spec.is_some())].push(bytes[i]);
            i += 1;
            continue;
        }
        i += 1;
        if bytes.get(i) == Some(&b'%') {
            parts[usize::from(spec.is_some())].push(b'%');
            i += 1;
            continue;
        }
        if spec.is_some() {
            return Err(fail("has too many % directives".to_owned()));
        }
        let mut new = Spec::default();
        while let Some(flag) = bytes.get(i).filter(|b| b"-+#0 '".contains(b)) {
            match flag {
                b'-' => new.left = true,
                b'+' => new.plus = true,
                b'#' => new.point = true,
                b'0' => new.zeros = true,
                b' ' => new.blank = true,
                _ => {}
            }
            i += 1;
        }
        while let Some(b) = bytes.get(i).filter(|b| b.is_ascii_digit()) {
            new.width = (new.width * 10 + usize::from(b - b'0')).min(MOST);
            i += 1;
        }
        if bytes.get(i) == Some(&b'.') {
            i += 1;
            let mut digits = 0;
            while let Some(b) = bytes.get(i).filter(|b| b.is_ascii_digit()) {
                digits = (digits * 10 + usize::from(b - b'0')).min(MOST);
                i += 1;
            }
            new.precision = Some(digits);
        }
        i += usize::from(bytes.get(i) == Some(&b'L'));
        match bytes.get(i) {
            None => return Err(fail("ends in %".to_owned())),
            Some(letter) if b"efgaEFGA".contains(letter) => new.conversion = *letter,
            Some(other) => return Err(fail(format!("has unknown %{} directive", char::from(*other)))),
        }
        i += 1;
        spec = Some(new);
    }
    let Some(spec) = spec else { return Err(fail("has no % directive".to_owned())) };
    let [before, after] = parts;
    Ok(Format { before, spec, after, given: true })
}

fn default_format(from: Operand, step: Operand, to: Operand, equal: bool) -> Format {
    let mut spec = Spec { conversion: b'g', ..Spec::default() };
    if let (Some(a), Some(b)) = (from.precision, step.precision) {
        let precision = a.max(b);
        if let Some(last) = to.precision {
            (spec.conversion, spec.precision) = (b'f', Some(precision));
            if equal {
                // The widths without what is after the point, which is the same for all.
                let whole = |o: Operand, places: usize| o.width - if places > 0 { places + 1 } else { 0 };
                let point = if precision > 0 { precision + 1 } else { 0 };
                spec.width = whole(from, a).max(whole(to, last)) + point;
                spec.zeros = true;
            }
        } else if to.value.is_infinite() {
            (spec.conversion, spec.precision) = (b'f', Some(precision));
        }
    }
    Format { before: Vec::new(), spec, after: Vec::new(), given: false }
}

/// Numbers with the same places after the point.
struct Exact {
    from: i128,
    step: i128,
    /// None for no end.
    to: Option<i128>,
    places: usize,
}

impl Exact {
    fn new(from: (i128, usize), step: (i128, usize), to: (i128, usize)) -> Option<Exact> {
        let places = from.1.max(step.1).max(to.1);
        let scaled = |(digits, own): (i128, usize)| {
            digits.checked_mul(10_i128.checked_pow(u32::try_from(places - own).ok()?)?)
        };
        Some(Exact { from: scaled(from)?, step: scaled(step)?, to: Some(scaled(to)?), places })
    }

    fn run(self, cx: &mut Cx, first: Operand, shown: &Format, separator: &[u8], end: f64) -> Outcome {
        let precision = shown.spec.precision.unwrap_or(0);
        let mut now = self.from;
        let mut any = false;
        let mut text = Vec::new();
        let past = |now: i128| match self.to {
            Some(to) if self.step > 0 => now > to,
            Some(to) => now < to,
            None => (self.step > 0) == (end < 0.0),
        };
        while !past(now) {
            if any {
                cx.put(separator)?;
            }
            // `-0` stays what it is as long as nothing is added.
            let negative = now < 0 || (!any && now == 0 && first.negative);
            any = true;
            text.clear();
            let size = now.unsigned_abs() / 10_u128.pow((self.places - precision.min(self.places)) as u32);
            digits(size, precision, &mut text);
            if shown.spec.width == 0 {
                if negative {
                    cx.put(b"-")?;
                }
                cx.put(&text)?;
            } else {
                let body = String::from_utf8_lossy(&text);
                let filled = shown.spec.fill(negative, &body, true);
                cx.put(filled.as_bytes())?;
            }
            let Some(next) = now.checked_add(self.step) else { break };
            now = next;
        }
        if any {
            cx.put(b"\n")?;
        }
        Ok(0)
    }
}

/// A number with a point before its last places.
fn digits(number: u128, places: usize, out: &mut Vec<u8>) {
    if let (Ok(mut small), 0) = (u64::try_from(number), places) {
        let mut buf = [0; 20];
        let mut at = buf.len();
        loop {
            at -= 1;
            buf[at] = b'0' + (small % 10) as u8;
            small /= 10;
            if small == 0 {
                break;
            }
        }
        out.extend_from_slice(&buf[at..]);
        return;
    }
    let text = format!("{number:0width$}", width = places + 1);
    let (whole, fraction) = text.split_at(text.len() - places);
    out.extend_from_slice(whole.as_bytes());
    if places > 0 {
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    }
}

fn floats(
    cx: &mut Cx,
    from: Operand,
    step: Operand,
    to: Operand,
    shown: &Format,
    separator: &[u8],
) -> Outcome {
    let mut any = false;
    let mut count = 0_u64;
    loop {
        // A product is nearer to the number than a sum of many.
        let now = match (from.exact, step.exact) {
            (Some((a, places)), Some((b, others))) => {
                let most = places.max(others) as u32;
                let scale = |n: i128, own: usize| n.checked_mul(10_i128.checked_pow(most - own as u32)?);
                let sum = scale(a, places)
                    .zip(scale(b, others))
                    .and_then(|(a, b)| b.checked_mul(i128::from(count))?.checked_add(a));
                sum.map_or(from.value + step.value * count as f64, |sum| {
                    sum as f64 / 10_f64.powi(most as i32)
                })
            }
            _ => from.value + step.value * count as f64,
        };
        if if step.value < 0.0 { now < to.value } else { now > to.value } {
            break;
        }
        if any {
            cx.put(separator)?;
        }
        any = true;
        cx.put(&shown.before)?;
        cx.put(shown.spec.write(now).as_bytes())?;
        cx.put(&shown.after)?;
        count += 1;
    }
    if any {
        cx.put(b"\n")?;
    }
    Ok(0)
}
