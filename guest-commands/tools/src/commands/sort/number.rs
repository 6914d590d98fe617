//! The numbers of `-n`, `-g`, `-h` and the months of `-M`: how they are read, how two compare, and a number that orders most of
//! them. It knows no keys.

use std::cmp::Ordering;

/// A decimal number as `-n` reads it: a sign, digits, a point and digits.
pub(super) struct Decimal<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    /// Where the number ends, from where the text began.
    pub(super) end: usize,
    /// There is a digit.
    pub(super) any: bool,
}

/// Blanks before a key or between fields; a newline can stand in a line that ends with NUL.
pub(super) fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n')
}

/// The text without blanks at its beginning.
pub(super) fn unblank(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|b| is_blank(**b)).count()..]
}

impl<'a> Decimal<'a> {
    /// Reads the number at the beginning of `text`, which has no blanks before it.
    pub(super) fn read(text: &'a [u8]) -> Decimal<'a> {
        let sign = usize::from(text.first() == Some(&b'-'));
        let digits = |from: usize| text[from..].iter().take_while(|b| b.is_ascii_digit()).count();
        let whole_end = sign + digits(sign);
        let mut end = whole_end;
        let mut fraction = &text[..0];
        if text.get(end) == Some(&b'.') {
            let count = digits(end + 1);
            fraction = &text[end + 1..end + 1 + count];
            end += 1 + count;
        }
        let any = whole_end > sign || !fraction.is_empty();
        let mut whole = &text[sign..whole_end];
        whole = &whole[whole.iter().take_while(|b| **b == b'0').count()..];
        let used = fraction.iter().rposition(|b| *b != b'0').map_or(0, |at| at + 1);
        fraction = &fraction[..used];
        let negative = sign == 1 && !(whole.is_empty() && fraction.is_empty());
        Decimal { negative, whole, fraction, end, any }
    }

    pub(super) fn compare(&self, other: &Decimal<'_>) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => return Ordering::Greater,
            (true, false) => return Ordering::Less,
            _ => {}
        }
        let size = (self.whole.len().cmp(&other.whole.len()))
            .then_with(|| self.whole.cmp(other.whole))
            .then_with(|| self.fraction.cmp(other.fraction));
        if self.negative { size.reverse() } else { size }
    }

    /// A number that never orders two otherwise than [`Decimal::compare`]: the whole part, as far as `limit`.
    pub(super) fn rank(&self, limit: i64) -> i64 {
        let size = if self.whole.len() > 18 {
            limit
        } else {
            self.whole.iter().fold(0, |n, b| n * 10 + i64::from(b - b'0')).min(limit)
        };
        if self.negative { -size } else { size }
    }

    fn is_zero(&self) -> bool {
        self.whole.is_empty() && self.fraction.is_empty()
    }

    /// The power of the unit after the number, negative for a negative number; nothing has a unit but what has a size.
    pub(super) fn unit(&self, text: &[u8]) -> i32 {
        if self.is_zero() {
            return 0;
        }
        let power = text.get(self.end).map_or(0, |unit| match unit {
            b'K' | b'k' => 1,
            b'M' => 2,
            b'G' => 3,
            b'T' => 4,
            b'P' => 5,
            b'E' => 6,
            b'Z' => 7,
            b'Y' => 8,
            _ => 0,
        });
        if self.negative { -power } else { power }
    }
}

/// The month at the beginning of a text, 0 if it is none.
pub(super) fn month(text: &[u8]) -> u8 {
    let Some(name) = text.first_chunk::<3>() else { return 0 };
    let names = b"JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC";
    let found = names.chunks(3).position(|known| known == name.to_ascii_uppercase());
    found.map_or(0, |at| at as u8 + 1)
}

/// The floating-point number at the beginning of a text as strtod(3) reads it, and where it ends.
pub(in crate::commands) fn float(text: &[u8]) -> Option<(f64, usize)> {
    let start = text.iter().take_while(|b| matches!(b, b' ' | b'\t'..=b'\r')).count();
    let negative = text.get(start) == Some(&b'-');
    let from = start + usize::from(matches!(text.get(start), Some(b'-' | b'+')));
    let rest = &text[from..];
    let word =
        |word: &str| rest.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word.as_bytes()));
    let (value, length) = if word("infinity") {
        (f64::INFINITY, 8)
    } else if word("inf") {
        (f64::INFINITY, 3)
    } else if word("nan") {
        (f64::NAN, 3)
    } else if word("0x") && rest.get(2..).is_some_and(|rest| hexadecimal(rest).is_some()) {
        let (value, length) = hexadecimal(&rest[2..])?;
        (value, length + 2)
    } else {
        let length = decimal_length(rest)?;
        (std::str::from_utf8(&rest[..length]).ok()?.parse().ok()?, length)
    };
    Some((if negative { -value } else { value }, from + length))
}

fn decimal_length(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| text[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let whole = digits(0);
    let mut end = whole;
    let mut fraction = 0;
    if text.get(end) == Some(&b'.') {
        fraction = digits(end + 1);
        end += 1 + fraction;
    }
    if whole + fraction == 0 {
        return None;
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'-' | b'+')));
        let exponent = text.get(end + 1 + sign).map_or(0, |_| digits(end + 1 + sign));
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    Some(end)
}

fn hexadecimal(text: &[u8]) -> Option<(f64, usize)> {
    let (mut value, mut scale, mut at, mut any, mut point) = (0.0, 0, 0, false, false);
    while let Some(b) = text.get(at) {
        if let Some(digit) = char::from(*b).to_digit(16) {
            value = value * 16.0 + f64::from(digit);
            scale -= if point { 4 } else { 0 };
            any = true;
        } else if *b == b'.' && !point {
            point = true;
        } else {
            break;
        }
        at += 1;
    }
    if !any {
        return None;
    }
    if matches!(text.get(at), Some(b'p' | b'P')) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'-' | b'+')));
        let digits =
            text[(at + 1 + sign).min(text.len())..].iter().take_while(|b| b.is_ascii_digit()).count();
        let exponent = std::str::from_utf8(&text[at + 1..at + 1 + sign + digits]).ok();
        if let (Some(exponent), true) = (exponent, digits > 0) {
            scale += exponent.trim_start_matches('+').parse::<i32>().unwrap_or(0);
            at += 1 + sign + digits;
        }
    }
    Some((value * f64::from(scale).exp2(), at))
}

/// A place among all numbers for `-g`: what is no number first, then what is called so, then by size.
pub(super) fn float_rank(text: &[u8]) -> u64 {
    match float(text) {
        None => 0,
        Some((value, _)) if value.is_nan() => 1,
        Some((value, _)) => {
            // Both zeros are one.
            let bits = (value + 0.0).to_bits();
            let ordered = if bits >> 63 == 1 { !bits } else { bits | (1 << 63) };
            ordered.max(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Decimal, float, float_rank, month};
    use std::cmp::Ordering;

    #[test]
    fn numbers_are_ordered() {
        for (a, b) in [("-2", "-1"), ("-1", "-.5"), ("-.5", "x"), ("0", "00.1"), ("9", "10"), ("1.09", "1.1")]
        {
            let (left, right) = (Decimal::read(a.as_bytes()), Decimal::read(b.as_bytes()));
            assert_eq!(left.compare(&right), Ordering::Less, "{a} {b}");
            assert!(left.rank(1 << 60) <= right.rank(1 << 60), "{a} {b}");
        }
        assert_eq!(Decimal::read(b"-0").compare(&Decimal::read(b"")), Ordering::Equal);
        for (a, b) in
            [("x", "nan"), ("nan", "-inf"), ("-inf", "-1e9"), ("-1", "0"), ("0x0f", "16"), ("1e2", "inf")]
        {
            assert!(float_rank(a.as_bytes()) < float_rank(b.as_bytes()), "{a} {b}");
        }
        assert_eq!(float(b" +1.5e2x"), Some((150.0, 7)));
        assert_eq!(float(b"0x1.8p1"), Some((3.0, 7)));
        assert_eq!(float(b"0x"), Some((0.0, 1)));
        assert_eq!(float(b"1e+"), Some((1.0, 1)));
        assert_eq!((month(b"febr"), month(b"fe")), (2, 0));
    }
}
