//! `base32`, `base64`, `basenc`: bytes as text and back. What can be decoded of a broken input is written before it is refused.

use crate::context::{Cx, Descriptor, End, Outcome, open_input};
use crate::options::Order;
use crate::quote::{quote, quotef};
use agentos_guest::strerror;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};

const SPEC: &[&str] = &["d,decode", "i,ignore-garbage", "w,wrap="];
const HELP: &str = "{} [OPTION]... [FILE]
Encode or decode FILE, or standard input, to standard output.
  -d, --decode          decode data
  -i, --ignore-garbage  when decoding, ignore non-alphabet characters
  -w, --wrap=COLS       wrap encoded lines after COLS character (default 76), 0 to disable";
const ALL_SPEC: &[&str] = &[
    "base64",
    "base64url",
    "base32",
    "base32hex",
    "base16",
    "base2msbf",
    "base2lsbf",
    "z85",
    "d,decode",
    "i,ignore-garbage",
    "w,wrap=",
];
const ALL_HELP: &str = "{} [OPTION]... [FILE]
Encode or decode FILE, or standard input, to standard output.
      --base64          same as 'base64' program
      --base64url       file- and url-safe base64
      --base32          same as 'base32' program
      --base32hex       extended hex alphabet base32
      --base16          hex encoding
      --base2msbf       bit string with most significant bit first
      --base2lsbf       bit string with least significant bit first
      --z85             ascii85-like encoding; input length must be a multiple of 4, of 5 when decoding
  -d, --decode          decode data
  -i, --ignore-garbage  when decoding, ignore non-alphabet characters
  -w, --wrap=COLS       wrap encoded lines after COLS character (default 76), 0 to disable";

/// A way to write bytes: its digits, how many make a group of how many bytes, and whether a short group is filled up.
struct Code {
    digits: &'static [u8],
    group: usize,
    bytes: usize,
    padded: bool,
    /// The first digit is the lowest.
    low_first: bool,
    /// A group is a number to this base; else its digits are bits.
    z85: bool,
}

const fn code(digits: &'static [u8], group: usize, bytes: usize, padded: bool) -> Code {
    Code { digits, group, bytes, padded, low_first: false, z85: false }
}

const BASE64: Code = code(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 4, 3, true);
const BASE64_URL: Code =
    code(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", 4, 3, true);
const BASE32: Code = code(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 8, 5, true);
const BASE32_HEX: Code = code(b"0123456789ABCDEFGHIJKLMNOPQRSTUV", 8, 5, true);
const BASE16: Code = code(b"0123456789ABCDEF", 2, 1, false);
const BASE2: Code = code(b"01", 8, 1, false);
const BASE2_LOW: Code = Code { low_first: true, ..BASE2 };
const Z85: Code = Code {
    z85: true,
    ..code(
        b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#",
        5,
        4,
        false,
    )
};

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let (spec, help) = if cx.name == "basenc" { (ALL_SPEC, ALL_HELP) } else { (SPEC, HELP) };
    let parsed = cx.parse(spec, args, Order::Permute, help)?;
    let mut code = match cx.name {
        "base32" => Some(BASE32),
        "base64" => Some(BASE64),
        _ => None,
    };
    let (mut decode, mut garbage, mut wrap) = (false, false, 76);
    for opt in &parsed.opts {
        match opt.id {
            "decode" => decode = true,
            "ignore-garbage" => garbage = true,
            "wrap" => wrap = width(opt.arg())?,
            "base64" => code = Some(BASE64),
            "base64url" => code = Some(BASE64_URL),
            "base32" => code = Some(BASE32),
            "base32hex" => code = Some(BASE32_HEX),
            "base16" => code = Some(BASE16),
            "base2msbf" => code = Some(BASE2),
            "base2lsbf" => code = Some(BASE2_LOW),
            _ => code = Some(Z85),
        }
    }
    let Some(code) = code else { return Err(cx.usage("missing encoding type")) };
    if let Some(extra) = parsed.operands.get(1) {
        return Err(cx.usage(format!("extra operand {}", quote(extra))));
    }
    let input: Box<dyn Read> = match parsed.operands.first() {
        None => Box::new(Descriptor(0)),
        Some(name) => {
            open_input(name).map_err(|error| fail(format!("{}: {}", quotef(name), strerror(&error))))?
        }
    };
    if decode { code.decode(cx, input, garbage) } else { code.encode(cx, input, wrap) }
}

fn fail(message: impl Into<String>) -> End {
    End::Failure(1, message.into())
}

/// The width of lines, 0 for one line; one that is too large is none.
fn width(text: &OsStr) -> Result<usize, End> {
    let digits = text.to_string_lossy();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(fail(format!("invalid wrap size: {}", quote(text))));
    }
    Ok(digits.parse().unwrap_or(0))
}

/// Fills the buffer as far as the input goes.
fn fill(input: &mut dyn Read, buf: &mut [u8]) -> Result<usize, End> {
    let mut filled = 0;
    while filled < buf.len() {
        match input.read(&mut buf[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(fail(format!("read error: {}", strerror(&error)))),
        }
    }
    Ok(filled)
}

impl Code {
    /// Bits of a digit.
    fn bits(&self) -> usize {
        self.digits.len().ilog2() as usize
    }

    fn encode(&self, cx: &mut Cx, mut input: Box<dyn Read>, wrap: usize) -> Outcome {
        let mut buf = vec![0; 30 * 1024];
        let mut out = Vec::new();
        let mut column = 0;
        loop {
            let n = fill(&mut *input, &mut buf)?;
            out.clear();
            for group in buf[..n].chunks(self.bytes) {
                self.encode_group(group, &mut out)?;
            }
            if wrap == 0 {
                cx.put(&out)?;
            } else {
                let mut rest = &out[..];
                while !rest.is_empty() {
                    if column == wrap {
                        cx.put(b"\n")?;
                        column = 0;
                    }
                    let (line, after) = rest.split_at(rest.len().min(wrap - column));
                    cx.put(line)?;
                    column += line.len();
                    rest = after;
                }
            }
            if n < buf.len() {
                break;
            }
        }
        if column > 0 {
            cx.put(b"\n")?;
        }
        Ok(0)
    }

    fn encode_group(&self, group: &[u8], out: &mut Vec<u8>) -> Result<(), End> {
        let mut number = group.iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
        if self.z85 {
            if group.len() < self.bytes {
                return Err(fail("invalid input (length must be multiple of 4 characters)"));
            }
            let at = out.len();
            out.resize(at + self.group, 0);
            for place in out[at..].iter_mut().rev() {
                *place = self.digits[(number % 85) as usize];
                number /= 85;
            }
            return Ok(());
        }
        let bits = self.bits();
        if self.low_first {
            out.extend((0..8).map(|i| self.digits[(number >> i & 1) as usize]));
            return Ok(());
        }
        number <<= (self.bytes - group.len()) * 8;
        let used = (group.len() * 8).div_ceil(bits);
        for i in 0..self.group {
            let shift = (self.group - 1 - i) * bits;
            out.push(if i < used {
                self.digits[(number >> shift) as usize % self.digits.len()]
            } else {
                b'='
            });
        }
        Ok(())
    }

    fn decode(&self, cx: &mut Cx, mut input: Box<dyn Read>, garbage: bool) -> Outcome {
        let mut values = [u8::MAX; 256];
        for (value, digit) in (0..).zip(self.digits) {
            values[usize::from(*digit)] = value;
        }
        let mut buf = vec![0; 32 * 1024];
        let mut out = Vec::new();
        let mut group: Vec<u8> = Vec::with_capacity(self.group);
        let invalid = || fail("invalid input");
        loop {
            let n = fill(&mut *input, &mut buf)?;
            out.clear();
            // The digits of the other alphabet spoil all that was read with them.
            let mut bad = self.digits.len() == 64
                && self.digits[62] == b'-'
                && memchr::memchr2(b'+', b'/', &buf[..n]).is_some();
            let taken = if bad { 0 } else { n };
            for b in &buf[..taken] {
                let padding = *b == b'=' && self.padded;
                if *b == b'\n' || (garbage && !padding && values[usize::from(*b)] == u8::MAX) {
                    continue;
                }
                if !padding && values[usize::from(*b)] == u8::MAX {
                    bad = true;
                    break;
                }
                group.push(*b);
                if group.len() == self.group {
                    let whole = self.decode_group(&group, &values, &mut out);
                    if !whole {
                        bad = true;
                        group.clear();
                        break;
                    }
                    group.clear();
                }
            }
            let end = n < buf.len();
            if (end || bad) && !group.is_empty() {
                // Of a group that lacks its end, what is whole in it counts.
                if self.group == 4 {
                    self.decode_group(&group, &values, &mut out);
                }
                bad = true;
            }
            cx.put(&out)?;
            if bad {
                return Err(invalid());
            }
            if end {
                return Ok(0);
            }
        }
    }

    /// Decodes a group as far as it goes; whether it is right.
    fn decode_group(&self, group: &[u8], values: &[u8; 256], out: &mut Vec<u8>) -> bool {
        let digits = group.iter().take_while(|b| **b != b'=' || !self.padded).count();
        let rest = &group[digits..];
        let value = |b: &u8| u64::from(values[usize::from(*b)]);
        if self.z85 {
            let number = group.iter().fold(0_u64, |n, b| n * 85 + value(b));
            let Ok(number) = u32::try_from(number) else { return false };
            out.extend(number.to_be_bytes());
            return true;
        }
        if self.low_first {
            out.push(group.iter().rev().fold(0, |n, b| n << 1 | value(b)) as u8);
            return true;
        }
        let bits = self.bits();
        let whole = digits * bits / 8;
        // So many digits no number of bytes has.
        let possible = digits > 0 && (whole * 8).div_ceil(bits) == digits;
        let padded = rest.iter().all(|b| *b == b'=') && group.len() == self.group;
        if !(possible && padded) && self.group != 4 {
            return false;
        }
        let number = group[..digits].iter().fold(0_u64, |n, b| n << bits | value(b));
        let spare = digits * bits - whole * 8;
        let bytes = (number >> spare).to_be_bytes();
        out.extend_from_slice(&bytes[8 - whole..]);
        possible && padded
    }
}
