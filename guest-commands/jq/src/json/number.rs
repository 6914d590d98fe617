//! Numbers as text, in both directions: the shortest digits that read back the same, laid out as jq 1.6 does.

use std::io::Write as _;

/// Appends a number. NaN is null, and infinity the largest number, as JSON has neither.
pub(crate) fn print(out: &mut Vec<u8>, n: f64) {
    if n.is_nan() {
        out.extend_from_slice(b"null");
        return;
    }
    #[allow(clippy::cast_possible_truncation, reason = "checked to be a small whole number")]
    if n.fract() == 0.0 && n.abs() < 1e15 && !(n == 0.0 && n.is_sign_negative()) {
        // Writing to a vector does not fail.
        let _ = write!(out, "{}", n as i64);
        return;
    }
    let n = n.clamp(f64::MIN, f64::MAX);
    let text = format!("{n:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let digits: String = digits.chars().filter(|c| *c != '.').collect();
    // The place of the point, counted from the first digit.
    let point = exponent + 1;
    let count = i32::try_from(digits.len()).unwrap_or(0);
    out.extend_from_slice(sign.as_bytes());
    if point <= -4 || point > count + 15 {
        out.extend_from_slice(&digits.as_bytes()[..1]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits.as_bytes()[1..]);
        }
        let _ = write!(out, "e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
    } else if point <= 0 {
        out.extend_from_slice(b"0.");
        for _ in point..0 {
            out.push(b'0');
        }
        out.extend_from_slice(digits.as_bytes());
    } else {
        let whole = usize::try_from(point).unwrap_or(0);
        if whole >= digits.len() {
            out.extend_from_slice(digits.as_bytes());
            out.resize(out.len() + whole - digits.len(), b'0');
        } else {
            out.extend_from_slice(&digits.as_bytes()[..whole]);
            out.push(b'.');
            out.extend_from_slice(&digits.as_bytes()[whole..]);
        }
    }
}

/// Reads a whole literal.
pub(crate) fn parse(text: &[u8]) -> Option<f64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if !digits.is_empty() && digits.len() <= 15 && digits.iter().all(u8::is_ascii_digit) {
        let n = digits.iter().fold(0u64, |n, d| n * 10 + u64::from(d - b'0'));
        #[allow(clippy::cast_precision_loss, reason = "15 digits are exact")]
        let n = n as f64;
        return Some(if digits.len() < text.len() { -n } else { n });
    }
    if !text.iter().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_laid_out_as_jq_does() {
        for (n, text) in [
            (1.0, "1"),
            (-0.0, "-0"),
            (1e15, "1000000000000000"),
            (1e16, "1e+16"),
            (1.5e16, "15000000000000000"),
            (123_456_789_012_345_678.0, "123456789012345680"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (0.1, "0.1"),
            (-1.5e300, "-1.5e+300"),
            (f64::INFINITY, "1.7976931348623157e+308"),
            (f64::NAN, "null"),
        ] {
            let mut out = Vec::new();
            print(&mut out, n);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
