//! The format strings of hexdump: `iterations/bytes "text %conversion"`, repeated. Conversions are those of printf(3) and
//! `%_a`, `%_A`, `%_c`, `%_p`, `%_u`. Colours are not here.

use std::fmt::Write as _;

/// The most bytes that one line of a dump may take.
const LARGEST: usize = 1 << 20;

/// What a conversion shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Text alone.
    Text,
    /// Whole numbers: the letter of printf.
    Number(char),
    /// Floating point.
    Float(char),
    /// A byte as it is.
    Char,
    /// A byte, or its C escape, or three octal digits.
    Escaped,
    /// A byte, or a dot.
    Dotted,
    /// A byte, or the name of the control character.
    Named,
    /// A string.
    Text0,
    /// The offset of the line.
    Offset(char),
    /// The offset of the end of the input, once.
    End(char),
}

/// One conversion with the text around it.
pub(super) struct Piece {
    before: String,
    flags: String,
    width: usize,
    precision: Option<usize>,
    pub(super) what: What,
    bytes: usize,
    pub(super) after: String,
}

/// `iterations/bytes "…"`.
pub(super) struct Unit {
    times: usize,
    /// Whether the number of times was written.
    fixed: bool,
    pub(super) pieces: Vec<Piece>,
}

impl Unit {
    fn bytes(&self) -> usize {
        self.pieces.iter().map(|p| p.bytes).sum()
    }
}

/// One format string.
pub(super) struct Block {
    pub(super) units: Vec<Unit>,
}

const CONTROLS: [&str; 32] = [
    "nul", "soh", "stx", "etx", "eot", "enq", "ack", "bel", "bs", "ht", "lf", "vt", "ff", "cr", "so", "si",
    "dle", "dc1", "dc2", "dc3", "dc4", "nak", "syn", "etb", "can", "em", "sub", "esc", "fs", "gs", "rs",
    "us",
];

/// Reads one format string.
pub(super) fn parse(text: &str) -> Result<Block, String> {
    let bad = || format!("bad format {{{text}}}");
    let mut units = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let digits = |s: &str| s.find(|c: char| !c.is_ascii_digit()).unwrap_or(s.len());
        let (mut times, mut fixed) = (1, false);
        let n = digits(rest);
        if n > 0 {
            times = rest[..n].parse().map_err(|_| bad())?;
            fixed = true;
            rest = rest[n..].trim_start();
        }
        let mut bytes = None;
        if let Some(tail) = rest.strip_prefix('/') {
            let tail = tail.trim_start();
            let n = digits(tail);
            bytes = Some(tail[..n].parse::<usize>().map_err(|_| bad())?);
            rest = tail[n..].trim_start();
        }
        let body = rest.strip_prefix('"').ok_or_else(bad)?;
        let end = body.find('"').ok_or_else(bad)?;
        let pieces = pieces(&unescape(&body[..end]), bytes)?;
        rest = body[end + 1..].trim_start();
        let unit = Unit { times, fixed, pieces };
        if unit.bytes().checked_mul(times).is_none_or(|n| n > LARGEST) || times > LARGEST {
            return Err(bad());
        }
        units.push(unit);
    }
    Ok(Block { units })
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('a') => out.push('\x07'),
            Some('b') => out.push('\x08'),
            Some('f') => out.push('\x0c'),
            Some('v') => out.push('\x0b'),
            Some('0') => out.push('\0'),
            Some(c) => out.push(c),
            None => out.push('\\'),
        }
    }
    out
}

fn pieces(text: &str, bytes: Option<usize>) -> Result<Vec<Piece>, String> {
    let mut list: Vec<Piece> = Vec::new();
    let mut before = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            before.push(c);
            continue;
        }
        if chars.peek() == Some(&'%') {
            chars.next();
            before.push('%');
            continue;
        }
        let (mut flags, mut width, mut precision) = (String::new(), String::new(), None::<String>);
        while let Some(c) = chars.next_if(|c| "-+ 0#".contains(*c)) {
            flags.push(c);
        }
        while let Some(c) = chars.next_if(char::is_ascii_digit) {
            width.push(c);
        }
        if chars.next_if_eq(&'.').is_some() {
            let mut digits = String::new();
            while let Some(c) = chars.next_if(char::is_ascii_digit) {
                digits.push(c);
            }
            precision = Some(digits);
        }
        let precision = precision.map(|p| p.parse::<usize>().unwrap_or(0).min(4096));
        let unknown = |s: String| format!("bad conversion character %{s}");
        let (what, usual) = match chars.next() {
            Some('c') => (What::Char, 1),
            Some(c @ ('d' | 'i' | 'o' | 'u' | 'x' | 'X')) => (What::Number(c), 4),
            Some(c @ ('e' | 'E' | 'f' | 'g' | 'G')) => (What::Float(c), 8),
            Some('s') => match bytes.or(precision) {
                Some(n) => (What::Text0, n),
                None => return Err("%s requires a precision or a byte count".into()),
            },
            Some('_') => match chars.next() {
                Some(a @ ('a' | 'A')) => match chars.next() {
                    Some(radix @ ('d' | 'o' | 'x')) if a == 'a' => (What::Offset(radix), 0),
                    Some(radix @ ('d' | 'o' | 'x')) => (What::End(radix), 0),
                    _ => return Err(unknown(format!("_{a}"))),
                },
                Some('c') => (What::Escaped, 1),
                Some('p') => (What::Dotted, 1),
                Some('u') => (What::Named, 1),
                other => return Err(unknown(format!("_{}", other.map_or(String::new(), String::from)))),
            },
            other => return Err(unknown(other.map_or(String::new(), String::from))),
        };
        let takes = match what {
            What::Offset(_) | What::End(_) => 0,
            What::Number(_) => match bytes {
                None | Some(0) => usual,
                Some(n @ (1 | 2 | 4 | 8)) => n,
                Some(_) => {
                    return Err(format!("bad byte count for conversion character {}", conversion(what)));
                }
            },
            What::Float(_) => match bytes {
                None | Some(0) => usual,
                Some(n @ (4 | 8)) => n,
                Some(_) => {
                    return Err(format!("bad byte count for conversion character {}", conversion(what)));
                }
            },
            What::Text0 => bytes.filter(|n| *n > 0).unwrap_or(usual),
            _ => match bytes {
                None | Some(0 | 1) => 1,
                Some(_) => {
                    return Err(format!("bad byte count for conversion character {}", conversion(what)));
                }
            },
        };
        let width = width.parse::<usize>().unwrap_or(0).min(4096);
        let before = std::mem::take(&mut before);
        list.push(Piece { before, flags, width, precision, what, bytes: takes, after: String::new() });
    }
    match list.last_mut() {
        Some(last) => last.after = before,
        None => list.push(Piece {
            before,
            flags: String::new(),
            width: 0,
            precision: None,
            what: What::Text,
            // Text with a count passes over as many bytes.
            bytes: bytes.unwrap_or(0),
            after: String::new(),
        }),
    }
    Ok(list)
}

fn conversion(what: What) -> String {
    match what {
        What::Number(c) | What::Float(c) => format!("%{c}"),
        What::Escaped => "%_c".into(),
        What::Dotted => "%_p".into(),
        What::Named => "%_u".into(),
        _ => "%c".into(),
    }
}

impl Block {
    /// How many bytes a line takes.
    pub(super) fn size(&self) -> usize {
        self.units.iter().map(|u| u.bytes() * u.times).sum()
    }

    /// Repeats the last unit, if its times were not written, so that the whole line is used.
    pub(super) fn grow(&mut self, size: usize) {
        let own = self.size();
        if let Some(last) = self.units.last_mut() {
            let bytes = last.bytes();
            if !last.fixed && bytes > 0 && own < size {
                last.times += (size - own) / bytes;
            }
        }
    }

    /// Shows one line: `n` bytes of it are input.
    pub(super) fn show(&self, line: &[u8], n: usize, at: u64, out: &mut Vec<u8>) {
        let mut used = 0;
        for unit in &self.units {
            if unit.pieces.iter().any(|p| matches!(p.what, What::End(_))) {
                continue;
            }
            for time in 0..unit.times {
                for (i, piece) in unit.pieces.iter().enumerate() {
                    let data = line.get(used..used + piece.bytes).unwrap_or(&[]);
                    out.extend_from_slice(piece.before.as_bytes());
                    if piece.bytes > 0 && used >= n {
                        // Nothing was read there: blanks.
                        piece.pad("", out);
                    } else {
                        piece.value(data, at, out);
                    }
                    // Blanks after the last of several times are left out.
                    let last = time + 1 == unit.times && unit.times > 1 && i + 1 == unit.pieces.len();
                    let after = if last { piece.after.trim_end_matches([' ', '\t']) } else { &piece.after };
                    out.extend_from_slice(after.as_bytes());
                    used += piece.bytes;
                }
            }
        }
    }
}

impl Piece {
    fn pad(&self, text: &str, out: &mut Vec<u8>) {
        let width = text.chars().count();
        let fill = std::iter::repeat_n(b' ', self.width.saturating_sub(width));
        if self.flags.contains('-') {
            out.extend_from_slice(text.as_bytes());
            out.extend(fill);
        } else {
            out.extend(fill);
            out.extend_from_slice(text.as_bytes());
        }
    }

    fn number(&self, negative: bool, digits: &str, out: &mut Vec<u8>) {
        let sign = match negative {
            true => "-",
            false if self.flags.contains('+') => "+",
            false if self.flags.contains(' ') => " ",
            false => "",
        };
        let mut digits = digits.to_owned();
        let least = match self.precision {
            Some(p) => p,
            None if self.flags.contains('0') && !self.flags.contains('-') => {
                self.width.saturating_sub(sign.len())
            }
            None => 0,
        };
        if digits.len() < least {
            digits.insert_str(0, &"0".repeat(least - digits.len()));
        }
        self.pad(&format!("{sign}{digits}"), out);
    }

    /// The offset before and with the text before it.
    pub(super) fn offset(&self, at: u64, radix: char, out: &mut Vec<u8>) {
        out.extend_from_slice(self.before.as_bytes());
        self.place(at, radix, out);
    }

    fn place(&self, at: u64, radix: char, out: &mut Vec<u8>) {
        let digits = match radix {
            'x' => format!("{at:x}"),
            'o' => format!("{at:o}"),
            _ => at.to_string(),
        };
        self.number(false, &digits, out);
    }

    fn value(&self, data: &[u8], at: u64, out: &mut Vec<u8>) {
        let raw = data.iter().rev().fold(0_u64, |v, b| v << 8 | u64::from(*b));
        let byte = data.first().copied().unwrap_or(0);
        match self.what {
            What::Text | What::End(_) => {}
            What::Offset(radix) => self.place(at, radix, out),
            What::Number('d' | 'i') => {
                let shift = 64 - 8 * data.len().clamp(1, 8);
                let signed = (raw << shift).cast_signed() >> shift;
                self.number(signed < 0, &signed.unsigned_abs().to_string(), out);
            }
            What::Number(c) => {
                let mut digits = String::new();
                // Writing to a String cannot fail.
                let _ = match c {
                    'o' => write!(digits, "{raw:o}"),
                    'x' => write!(digits, "{raw:x}"),
                    'X' => write!(digits, "{raw:X}"),
                    _ => write!(digits, "{raw}"),
                };
                if self.flags.contains('#') && raw != 0 && c != 'u' {
                    digits.insert_str(
                        0,
                        if c == 'o' {
                            "0"
                        } else if c == 'X' {
                            "0X"
                        } else {
                            "0x"
                        },
                    );
                }
                self.number(false, &digits, out);
            }
            What::Float(c) => {
                let value =
                    if data.len() == 4 { f64::from(f32::from_bits(raw as u32)) } else { f64::from_bits(raw) };
                self.pad(&float(value, c, self.precision.unwrap_or(6)), out);
            }
            What::Char => self.pad(&char::from(byte).to_string(), out),
            What::Text0 => {
                let end = data.iter().position(|b| *b == 0).unwrap_or(data.len());
                let end = self.precision.map_or(end, |p| p.min(end));
                self.pad(&String::from_utf8_lossy(&data[..end]), out);
            }
            What::Dotted => {
                let c = if (0x20..0x7f).contains(&byte) { char::from(byte) } else { '.' };
                self.pad(c.encode_utf8(&mut [0; 4]), out);
            }
            What::Escaped => {
                let text = match byte {
                    0 => "\\0".into(),
                    7 => "\\a".into(),
                    8 => "\\b".into(),
                    12 => "\\f".into(),
                    10 => "\\n".into(),
                    13 => "\\r".into(),
                    9 => "\\t".into(),
                    11 => "\\v".into(),
                    0x20..0x7f => char::from(byte).to_string(),
                    b => format!("{b:03o}"),
                };
                self.pad(&text, out);
            }
            What::Named => {
                let text = match byte {
                    b if usize::from(b) < CONTROLS.len() => CONTROLS[usize::from(b)].into(),
                    127 => "del".into(),
                    0x20..0x7f => char::from(byte).to_string(),
                    b => format!("{b:02x}"),
                };
                self.pad(&text, out);
            }
        }
    }
}

/// A number as printf writes it with `%e`, `%f` and `%g`.
fn float(value: f64, conversion: char, precision: usize) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "nan".into()
        } else if value > 0.0 {
            "inf".into()
        } else {
            "-inf".into()
        };
    }
    let exponent_form = |precision: usize| {
        let text = format!("{value:.precision$e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |d| ('-', d));
        format!("{mantissa}e{sign}{digits:0>2}")
    };
    let text = match conversion.to_ascii_lowercase() {
        'f' => format!("{value:.precision$}"),
        'e' => exponent_form(precision),
        _ => {
            let precision = precision.max(1);
            let exponent = if value == 0.0 { 0 } else { value.abs().log10().floor() as i64 };
            let text = if exponent < -4 || exponent >= precision as i64 {
                exponent_form(precision - 1)
            } else {
                format!("{value:.*}", usize::try_from(precision as i64 - 1 - exponent).unwrap_or(0))
            };
            match text.split_once('e') {
                Some((m, e)) if m.contains('.') => {
                    format!("{}e{e}", m.trim_end_matches('0').trim_end_matches('.'))
                }
                None if text.contains('.') => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                _ => text,
            }
        }
    };
    if conversion.is_ascii_uppercase() { text.to_uppercase() } else { text }
}
