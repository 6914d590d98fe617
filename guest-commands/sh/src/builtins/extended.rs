//! Numbers with a mantissa of 64 bits, which bash's printf computes with: read from text and written as decimal digits,
//! both exactly. They know no arithmetic.

use std::cmp::Ordering;

/// A natural number: its digits to the base 2^32, the lowest first, none of the highest being 0.
#[derive(Clone, PartialEq, Eq)]
struct Natural(Vec<u32>);

impl Natural {
    fn new(mut n: u64) -> Self {
        let mut words = Vec::new();
        while n > 0 {
            words.push(n as u32);
            n >>= 32;
        }
        Natural(words)
    }

    fn trimmed(mut self) -> Self {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }

    fn bits(&self) -> usize {
        self.0.last().map_or(0, |top| self.0.len() * 32 - top.leading_zeros() as usize)
    }

    /// `self * by + add`.
    fn scale(&mut self, by: u32, add: u32) {
        let mut carry = u64::from(add);
        for word in &mut self.0 {
            let n = u64::from(*word) * u64::from(by) + carry;
            *word = n as u32;
            carry = n >> 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    fn times_power(mut self, base: u32, mut exponent: u32) -> Self {
        // The largest power of 5 or 10 that is one digit.
        let (step, power) = if base == 5 { (13, 1_220_703_125) } else { (9, 1_000_000_000) };
        while exponent >= step {
            self.scale(power, 0);
            exponent -= step;
        }
        for _ in 0..exponent {
            self.scale(base, 0);
        }
        self
    }

    fn shifted(&self, by: usize) -> Self {
        let mut words = vec![0; by / 32];
        let low = by % 32;
        let mut carry = 0u64;
        for word in &self.0 {
            let n = u64::from(*word) << low | carry;
            words.push(n as u32);
            carry = n >> 32;
        }
        words.push(carry as u32);
        Natural(words).trimmed()
    }

    fn compare(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }

    /// `self - other`, which is not larger.
    fn minus(&mut self, other: &Self) {
        let mut borrow = 0i64;
        for (i, word) in self.0.iter_mut().enumerate() {
            let n = i64::from(*word) - i64::from(other.0.get(i).copied().unwrap_or(0)) + borrow;
            *word = n as u32;
            borrow = n >> 32;
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    /// The decimal digits; none for 0.
    fn digits(mut self) -> Vec<u8> {
        let mut parts = Vec::new();
        while !self.0.is_empty() {
            let mut rest = 0u64;
            for word in self.0.iter_mut().rev() {
                let n = rest << 32 | u64::from(*word);
                *word = (n / 1_000_000_000) as u32;
                rest = n % 1_000_000_000;
            }
            self = self.trimmed();
            parts.push(rest);
        }
        let Some(first) = parts.pop() else { return Vec::new() };
        let mut text = first.to_string();
        for part in parts.iter().rev() {
            text += &format!("{part:09}");
        }
        text.into_bytes()
    }
}

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Nan,
    Infinite,
    /// Mantissa times 2 to the power; the highest bit of a mantissa that is not 0 is set.
    Finite(u64, i32),
}

/// What was read: the number, whether it is negative, how long its text is, whether it was too large.
pub(super) struct Parsed {
    pub(super) number: Number,
    pub(super) negative: bool,
    pub(super) len: usize,
    pub(super) range: bool,
}

/// How many digits are read exactly; of the rest only counts whether they are 0.
const MAX_DIGITS: usize = 800;
/// Powers of ten beyond this are too large, or nothing.
const MAX_POWER: i64 = 5000;

/// Mantissa and exponent of `n * 2^exponent` with 64 bits, half to even. `more`: the number is a little larger.
fn round(n: u128, exponent: i32, more: bool) -> Number {
    if n == 0 {
        return Number::Finite(0, 0);
    }
    let bits = 128 - n.leading_zeros() as i32;
    let drop = bits - 64;
    if drop <= 0 {
        return Number::Finite((n as u64) << -drop, exponent + drop);
    }
    let mut mantissa = n >> drop;
    let rest = n & ((1 << drop) - 1);
    let half = 1 << (drop - 1);
    if rest > half || rest == half && (more || mantissa & 1 == 1) {
        mantissa += 1;
    }
    if mantissa >> 64 != 0 {
        return Number::Finite(1 << 63, exponent + drop + 1);
    }
    Number::Finite(mantissa as u64, exponent + drop)
}

/// Reads the number at the start of text, as strtold(3) does but without blanks.
pub(super) fn parse(text: &str) -> Parsed {
    let b = text.as_bytes();
    let negative = b.first() == Some(&b'-');
    let sign = usize::from(matches!(b.first(), Some(b'-' | b'+')));
    let rest = &b[sign..];
    let starts = |word: &[u8]| rest.len() >= word.len() && rest[..word.len()].eq_ignore_ascii_case(word);
    let done =
        |number, len| Parsed { number, negative, len: if len == 0 { 0 } else { len + sign }, range: false };
    if starts(b"infinity") {
        return done(Number::Infinite, 8);
    }
    if starts(b"inf") {
        return done(Number::Infinite, 3);
    }
    if starts(b"nan") {
        return done(Number::Nan, 3);
    }
    let hex = starts(b"0x") && rest.get(2).is_some_and(|c| c.is_ascii_hexdigit() || *c == b'.');
    let mut parsed = if hex { hexadecimal(rest) } else { decimal(rest) };
    parsed.negative = negative;
    if parsed.len > 0 {
        parsed.len += sign;
    }
    if let Number::Finite(m, e) = parsed.number
        && m != 0
        && e > 16_384 - 64
    {
        parsed.number = Number::Infinite;
        parsed.range = true;
    }
    parsed
}

/// An exponent after its letter: its value and the length of the text with the letter.
fn exponent(b: &[u8]) -> (i64, usize) {
    let sign = usize::from(matches!(b.get(1), Some(b'-' | b'+')));
    let digits = b[1..].iter().skip(sign).take_while(|c| c.is_ascii_digit()).count();
    if digits == 0 {
        return (0, 0);
    }
    let n =
        b[1 + sign..1 + sign + digits].iter().fold(0i64, |n, d| (n * 10 + i64::from(d - b'0')).min(1 << 20));
    (if b.get(1) == Some(&b'-') { -n } else { n }, 1 + sign + digits)
}

fn hexadecimal(b: &[u8]) -> Parsed {
    let (mut n, mut scale, mut at, mut point, mut more) = (0u128, 0i64, 2, false, false);
    while let Some(c) = b.get(at) {
        match (*c as char).to_digit(16) {
            Some(d) if n >> 120 == 0 => {
                n = n << 4 | u128::from(d);
                scale -= if point { 4 } else { 0 };
            }
            Some(d) => {
                more |= d != 0;
                scale += if point { 0 } else { 4 };
            }
            None if *c == b'.' && !point => point = true,
            None => break,
        }
        at += 1;
    }
    if matches!(b.get(at), Some(b'p' | b'P')) {
        let (power, len) = exponent(&b[at..]);
        scale += power;
        at += len;
    }
    let scale = scale.clamp(-40_000, 40_000) as i32;
    Parsed { number: round(n, scale, more), negative: false, len: at, range: false }
}

fn decimal(b: &[u8]) -> Parsed {
    let mut n = Natural(Vec::new());
    let (mut count, mut power, mut at, mut point, mut some, mut more) = (0, 0i64, 0, false, false, false);
    while let Some(c) = b.get(at) {
        match c {
            b'0'..=b'9' => {
                some = true;
                if count < MAX_DIGITS {
                    n.scale(10, u32::from(c - b'0'));
                    count += usize::from(!n.0.is_empty());
                    power -= i64::from(point);
                } else {
                    more |= *c != b'0';
                    power += i64::from(!point);
                }
            }
            b'.' if !point => point = true,
            _ => break,
        }
        at += 1;
    }
    let mut parsed = Parsed { number: Number::Finite(0, 0), negative: false, len: 0, range: false };
    if !some {
        return parsed;
    }
    if matches!(b.get(at), Some(b'e' | b'E')) {
        let (given, len) = exponent(&b[at..]);
        power += given;
        at += len;
    }
    parsed.len = at;
    if n.0.is_empty() {
        return parsed;
    }
    if power + count as i64 > MAX_POWER {
        parsed.number = Number::Infinite;
        parsed.range = true;
        return parsed;
    }
    if power < -MAX_POWER - MAX_DIGITS as i64 {
        parsed.range = true;
        return parsed;
    }
    let size = power.unsigned_abs() as u32;
    let (above, below) = if power >= 0 {
        (n.times_power(10, size), Natural::new(1))
    } else {
        (n, Natural::new(1).times_power(10, size))
    };
    // A quotient of 66 or 67 bits.
    let shift = 66 + below.bits() as i64 - above.bits() as i64;
    let (mut rest, divisor) = if shift >= 0 {
        (above.shifted(shift as usize), below)
    } else {
        (above, below.shifted(shift.unsigned_abs() as usize))
    };
    let mut quotient = 0u128;
    for bit in (0..68).rev() {
        let part = divisor.shifted(bit);
        if rest.compare(&part) != Ordering::Less {
            rest.minus(&part);
            quotient |= 1 << bit;
        }
    }
    parsed.number = round(quotient, -shift as i32, more || !rest.0.is_empty());
    parsed
}

/// Decimal digits of a number without a zero at their start: `0.ddd` times 10 to the power of `point`.
pub(super) struct Digits {
    pub(super) digits: Vec<u8>,
    pub(super) point: i64,
}

impl Digits {
    /// All digits of a number.
    pub(super) fn new(mantissa: u64, exponent: i32) -> Self {
        if mantissa == 0 {
            return Digits { digits: Vec::new(), point: 0 };
        }
        let zeros = mantissa.trailing_zeros();
        let (mantissa, exponent) = (Natural::new(mantissa >> zeros), exponent + zeros as i32);
        let (digits, below) = match u32::try_from(exponent) {
            Ok(up) => (mantissa.shifted(up as usize).digits(), 0),
            Err(_) => (mantissa.times_power(5, exponent.unsigned_abs()).digits(), exponent.unsigned_abs()),
        };
        Digits { point: digits.len() as i64 - i64::from(below), digits }
    }

    /// Keeps so many digits from the first on; rounds half to even.
    pub(super) fn rounded(mut self, keep: i64) -> Self {
        let Ok(keep) = usize::try_from(keep) else {
            return Digits { digits: Vec::new(), point: 0 };
        };
        if keep >= self.digits.len() {
            return self;
        }
        let rest = self.digits.split_off(keep);
        let odd = self.digits.last().is_some_and(|d| d % 2 == 1);
        let tie = rest[0] == b'5' && rest[1..].iter().all(|d| *d == b'0');
        if rest[0] < b'5' || tie && !odd {
            return self;
        }
        for digit in self.digits.iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                return self;
            }
            *digit = b'0';
        }
        self.digits.insert(0, b'1');
        self.digits.truncate(keep.max(1));
        self.point += 1;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{Digits, Number, parse};

    #[test]
    fn text_is_read_and_written_exactly() {
        let Number::Finite(m, e) = parse("0.1").number else { panic!("no number") };
        assert_eq!(m, 0xcccc_cccc_cccc_cccd);
        let digits = Digits::new(m, e).rounded(30);
        assert_eq!(digits.digits, b"100000000000000000001355252716");
        assert_eq!(digits.point, 0);
        assert_eq!(parse("1e").len, 1);
        assert_eq!(parse("-0x1p3").number, Number::Finite(1 << 63, -60));
        assert!(parse("1e5000").range);
        assert_eq!(parse("x").len, 0);
    }
}
