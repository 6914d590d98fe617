//! `numfmt`: numbers with units from and to plain ones, as arguments or in the fields of lines. There is no grouping: the
//! locales of the VM have none.

mod number;

use super::cut::list_of_fields;
use crate::context::{Cx, Descriptor, End, Outcome};
use crate::lines::Lines;
use crate::options::{Order, Parsed};
use crate::os::{OsStrExt, os};
use crate::quote::quote;
use agentos_guest::strerror;
use number::{Number, Round, Scale, Wrong};
use std::ffi::{OsStr, OsString};

const SPEC: &[&str] = &[
    "d,delimiter=",
    "debug",
    "field=",
    "format=",
    "from=",
    "from-unit=",
    "grouping",
    "header=?",
    "invalid=",
    "padding=",
    "round=",
    "suffix=",
    "to=",
    "to-unit=",
    "z,zero-terminated",
];
const HELP: &str = "{} [OPTION]... [NUMBER]...
Reformat NUMBER(s), or the numbers from standard input if none are specified.
      --debug              print warnings about invalid input
  -d, --delimiter=X        use X instead of whitespace for field delimiter
      --field=FIELDS       replace the numbers in these input fields (default=1)
      --format=FORMAT      use printf style floating-point FORMAT
      --from=UNIT          auto-scale input numbers to UNITs; default is 'none'
      --from-unit=N        specify the input unit size (instead of the default 1)
      --grouping           use locale-defined grouping of digits (the locales here have none)
      --header[=N]         print (without converting) the first N header lines (1 if not specified)
      --invalid=MODE       failure mode for invalid numbers: abort, fail, warn, ignore
      --padding=N          pad the output to N characters; right-aligned if positive, else left-aligned
      --round=METHOD       up, down, from-zero (default), towards-zero, nearest
      --suffix=SUFFIX      add SUFFIX to output numbers, and accept optional SUFFIX in input numbers
      --to=UNIT            auto-scale output numbers to UNITs: none, si, iec, iec-i
      --to-unit=N          the output unit size (instead of the default 1)
  -z, --zero-terminated    line delimiter is NUL, not newline";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Invalid {
    Abort,
    Fail,
    Warn,
    Ignore,
}

struct Options {
    from: Scale,
    to: Scale,
    from_unit: u64,
    to_unit: u64,
    round: Round,
    invalid: Invalid,
    padding: Option<i64>,
    zeros: bool,
    precision: Option<usize>,
    before: Vec<u8>,
    after: Vec<u8>,
    suffix: Vec<u8>,
    delimiter: Option<u8>,
    fields: Vec<(u64, u64)>,
    header: u64,
    end: u8,
}

/// Wider than this is no column.
const MOST_PADDING: i64 = 1 << 20;

fn fail(message: impl Into<String>) -> End {
    End::Failure(1, message.into())
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let o = options(cx, &parsed)?;
    if !parsed.operands.is_empty() {
        for operand in &parsed.operands {
            o.line(cx, operand.as_bytes())?;
        }
        return Ok(0);
    }
    let mut lines = Lines::new(Box::new(Descriptor(0)), o.end);
    let mut number = 0;
    loop {
        match lines.advance() {
            Ok(true) => {}
            Ok(false) => return Ok(0),
            Err(error) => return Err(fail(format!("error reading input: {}", strerror(&error)))),
        }
        number += 1;
        if number <= o.header {
            cx.put(lines.whole())?;
        } else {
            o.line(cx, lines.line())?;
        }
    }
}

fn options(cx: &Cx, parsed: &Parsed) -> Result<Options, End> {
    let mut o = Options {
        from: Scale::None,
        to: Scale::None,
        from_unit: 1,
        to_unit: 1,
        round: Round::FromZero,
        invalid: Invalid::Abort,
        padding: None,
        zeros: false,
        precision: None,
        before: Vec::new(),
        after: Vec::new(),
        suffix: Vec::new(),
        delimiter: None,
        fields: vec![(1, 1)],
        header: 0,
        end: b'\n',
    };
    let (mut grouping, mut format, mut debug, mut fields) = (false, None, false, false);
    for opt in &parsed.opts {
        match opt.id {
            "delimiter" => match opt.arg().as_bytes() {
                [one] => o.delimiter = Some(*one),
                _ => return Err(fail("the delimiter must be a single character")),
            },
            "debug" => debug = true,
            "field" => {
                if std::mem::replace(&mut fields, true) {
                    return Err(cx.usage("multiple field specifications"));
                }
                o.fields = if opt.arg() == "-" {
                    vec![(1, u64::MAX)]
                } else {
                    list_of_fields(opt.arg()).map_err(|message| cx.usage(message))?
                };
            }
            "format" => format = Some(opt.arg().to_owned()),
            "from" => {
                let words: &[&[&str]] = &[&["none"], &["auto"], &["si"], &["iec"], &["iec-i"]];
                let scales = [Scale::None, Scale::Auto, Scale::Si, Scale::Iec, Scale::IecI];
                o.from = scales[cx.keyword("--from", opt.arg(), words)?];
            }
            "to" => {
                let words: &[&[&str]] = &[&["none"], &["si"], &["iec"], &["iec-i"]];
                let scales = [Scale::None, Scale::Si, Scale::Iec, Scale::IecI];
                o.to = scales[cx.keyword("--to", opt.arg(), words)?];
            }
            "from-unit" => o.from_unit = unit(opt.arg())?,
            "to-unit" => o.to_unit = unit(opt.arg())?,
            "grouping" => grouping = true,
            "header" => {
                o.header = match &opt.value {
                    None => 1,
                    Some(text) => match text.to_string_lossy().parse() {
                        Ok(lines @ 1..) => lines,
                        _ => return Err(fail(format!("invalid header value {}", quote(text)))),
                    },
                };
            }
            "invalid" => {
                let words: &[&[&str]] = &[&["abort"], &["fail"], &["warn"], &["ignore"]];
                let modes = [Invalid::Abort, Invalid::Fail, Invalid::Warn, Invalid::Ignore];
                o.invalid = modes[cx.keyword("--invalid", opt.arg(), words)?];
            }
            "padding" => match opt.text().parse::<i64>() {
                Ok(width) if width != 0 => o.padding = Some(width.clamp(-MOST_PADDING, MOST_PADDING)),
                _ => return Err(fail(format!("invalid padding value {}", quote(opt.arg())))),
            },
            "round" => {
                let words: &[&[&str]] =
                    &[&["up"], &["down"], &["from-zero"], &["towards-zero"], &["nearest"]];
                let ways = [Round::Up, Round::Down, Round::FromZero, Round::TowardsZero, Round::Nearest];
                o.round = ways[cx.keyword("--round", opt.arg(), words)?];
            }
            "suffix" => o.suffix = opt.arg().as_bytes().to_vec(),
            _ => o.end = 0,
        }
    }
    if let Some(format) = &format {
        if grouping {
            return Err(fail("--grouping cannot be combined with --format"));
        }
        grouping = o.read_format(format)?;
    }
    if grouping && o.to != Scale::None {
        return Err(fail("grouping cannot be combined with --to"));
    }
    if debug {
        if o.from == Scale::None
            && o.to == Scale::None
            && !grouping
            && o.padding.is_none()
            && format.is_none()
        {
            eprintln!("{}: no conversion option specified", cx.name);
        }
        if grouping {
            eprintln!("{}: grouping has no effect in this locale", cx.name);
        }
        if o.header > 0 && !parsed.operands.is_empty() {
            eprintln!("{}: --header ignored with command-line input", cx.name);
        }
    }
    Ok(o)
}

/// The size of a unit: `K` is 1000 and `Ki` 1024.
fn unit(text: &OsStr) -> Result<u64, End> {
    let shown = text.to_string_lossy();
    let digits = shown.bytes().take_while(u8::is_ascii_digit).count();
    let number: Option<u64> =
        if digits == 0 && !shown.is_empty() { Some(1) } else { shown[..digits].parse().ok() };
    let suffix = &shown[digits..];
    let factor = match suffix.as_bytes() {
        [] => Some(1),
        [letter, rest @ ..] => {
            let power = b"KMGTPEZY".iter().position(|unit| unit == letter).map(|at| at as u32 + 1);
            power.and_then(|power| match rest {
                [] => 1000_u64.checked_pow(power),
                b"i" => 1024_u64.checked_pow(power),
                _ => None,
            })
        }
    };
    let size = number.zip(factor).and_then(|(a, b)| a.checked_mul(b)).filter(|size| *size > 0);
    size.ok_or_else(|| fail(format!("invalid unit size: {}", quote(text))))
}

impl Options {
    /// Takes the parts of a format; whether it asks for groups.
    fn read_format(&mut self, text: &OsStr) -> Result<bool, End> {
        let bytes = text.as_bytes();
        let shown = quote(text);
        let mut i = 0;
        let literal = |i: &mut usize| {
            let mut out = Vec::new();
            while let Some(b) = bytes.get(*i) {
                if *b == b'%' {
                    if bytes.get(*i + 1) != Some(&b'%') {
                        break;
                    }
                    *i += 1;
                }
                out.push(*b);
                *i += 1;
            }
            out
        };
        self.before = literal(&mut i);
        if i == bytes.len() {
            return Err(fail(format!("format {shown} has no % directive")));
        }
        i += 1;
        let mut grouping = false;
        while let Some(flag) = bytes.get(i).filter(|b| b" '0".contains(b)) {
            grouping |= *flag == b'\'';
            self.zeros |= *flag == b'0';
            i += 1;
        }
        let left = bytes.get(i) == Some(&b'-');
        i += usize::from(left);
        let start = i;
        let mut width = 0_i64;
        while let Some(b) = bytes.get(i).filter(|b| b.is_ascii_digit()) {
            width = (width * 10 + i64::from(b - b'0')).min(MOST_PADDING);
            i += 1;
        }
        if i > start && width != 0 {
            self.padding = Some(if left { -width } else { width });
        }
        if i == bytes.len() {
            return Err(fail(format!("format {shown} ends in %")));
        }
        if bytes[i] == b'.' {
            i += 1;
            let start = i;
            while bytes.get(i).is_some_and(u8::is_ascii_digit) {
                i += 1;
            }
            let digits = std::str::from_utf8(&bytes[start..i]).unwrap_or_default();
            let places: usize = if digits.is_empty() { 0 } else { digits.parse().unwrap_or(usize::MAX) };
            if places > 4096 {
                return Err(fail(format!("invalid precision in format {shown}")));
            }
            self.precision = Some(places);
        }
        if bytes.get(i) != Some(&b'f') {
            let wanted = "directive must be %[0]['][-][N][.][N]f";
            return Err(fail(format!("invalid format {shown}, {wanted}")));
        }
        i += 1;
        self.after = literal(&mut i);
        if i < bytes.len() {
            return Err(fail(format!("format {shown} has too many % directives")));
        }
        Ok(grouping)
    }

    fn selects(&self, field: u64) -> bool {
        self.fields.iter().any(|(first, last)| (*first..=*last).contains(&field))
    }

    fn line(&self, cx: &mut Cx, line: &[u8]) -> Result<(), End> {
        let mut rest = line;
        let mut field = 0;
        loop {
            field += 1;
            let end = match self.delimiter {
                Some(delimiter) => memchr::memchr(delimiter, rest).unwrap_or(rest.len()),
                None => {
                    let blank = |b: &u8| matches!(b, b' ' | b'\t' | b'\n');
                    let start = rest.iter().take_while(|b| blank(b)).count();
                    start + rest[start..].iter().take_while(|b| !blank(b)).count()
                }
            };
            let text = &rest[..end];
            if self.selects(field) {
                self.field(cx, text, field)?;
            } else {
                cx.put(text)?;
            }
            if end == rest.len() {
                break;
            }
            cx.put(&[self.delimiter.unwrap_or(b' ')])?;
            rest = &rest[end + 1..];
        }
        cx.put(&[self.end])
    }

    fn field(&self, cx: &mut Cx, text: &[u8], field: u64) -> Result<(), End> {
        match self.convert(text, field) {
            Ok(out) => cx.put(&out),
            Err(message) => {
                match self.invalid {
                    Invalid::Abort => return Err(End::Failure(2, message)),
                    Invalid::Fail => {
                        cx.say(message);
                        cx.status = 2;
                    }
                    Invalid::Warn => cx.say(message),
                    Invalid::Ignore => {}
                }
                cx.put(text)
            }
        }
    }

    fn convert(&self, text: &[u8], field: u64) -> Result<Vec<u8>, String> {
        let plain = match text.strip_suffix(&self.suffix[..]) {
            Some(short) if !short.is_empty() => short,
            _ => text,
        };
        let trimmed = plain.trim_ascii_start();
        let shown = quote(os(trimmed));
        let (number, rest) = number::read(plain, self.from).map_err(|wrong| match wrong {
            Wrong::Number => format!("invalid number: {shown}"),
            Wrong::Suffix => format!("invalid suffix in input: {shown}"),
            Wrong::Forbidden => {
                format!("rejecting suffix in input: {shown} (consider using --from)")
            }
            Wrong::MissingI => format!("missing 'i' suffix in input: {shown} (e.g Ki/Mi/Gi)"),
            Wrong::TooLarge => format!("value too large to be converted: {shown}"),
        })?;
        if !rest.is_empty() {
            return Err(format!("invalid suffix in input {shown}: {}", quote(os(rest))));
        }
        let number = number.scaled(self.from_unit, self.to_unit);
        let Some(digits) = number.text(self.to, self.precision, self.round) else {
            return Err(self.too_large(&number));
        };
        let mut body = digits.into_bytes();
        body.extend_from_slice(&self.suffix);
        // Without another width a number keeps the place that it had, if it stood in a column.
        let column = plain.len() != trimmed.len() || field > 1;
        let width = match self.padding {
            Some(width) => width,
            None if self.delimiter.is_none() && column => text.len() as i64,
            None => 0,
        };
        let missing = usize::try_from(width.abs()).unwrap_or(0).saturating_sub(body.len());
        let mut out = self.before.clone();
        if width < 0 {
            out.extend_from_slice(&body);
            out.resize(out.len() + missing, b' ');
        } else if self.zeros {
            let sign = usize::from(body.first() == Some(&b'-'));
            out.extend_from_slice(&body[..sign]);
            out.resize(out.len() + missing, b'0');
            out.extend_from_slice(&body[sign..]);
        } else {
            out.resize(out.len() + missing, b' ');
            out.extend_from_slice(&body);
        }
        out.extend_from_slice(&self.after);
        Ok(out)
    }

    fn too_large(&self, number: &Number) -> String {
        let spec = crate::float::Spec { conversion: b'g', ..Default::default() };
        let size = spec.write(number.about());
        let places = self.precision.unwrap_or(number.places);
        if self.to != Scale::None {
            format!("value too large to be printed: '{size}' (cannot handle values > 999Y)")
        } else if places > 0 {
            format!("value/precision too large to be printed: '{size}/{places}' (consider using --to)")
        } else {
            format!("value too large to be printed: '{size}' (consider using --to)")
        }
    }
}
