//! Sizes as GNU writes and reads them: `10K`, `5MB`, and the rounded-up human form. It holds no block-size environment
//! variables.

use std::cmp::Ordering;

/// A count with an optional multiplier suffix: `b` 512, `kB` 1000, `K`/`KiB` 1024, and so on up to `E`.
///
/// `None`: not a number, or too large to count.
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, suffix) = text.split_at(digits);
    let number: u64 = if number.is_empty() && !suffix.is_empty() { 1 } else { number.parse().ok()? };
    number.checked_mul(multiplier(suffix)?)
}

/// What a suffix multiplies by.
pub fn multiplier(suffix: &str) -> Option<u64> {
    match suffix {
        "" => return Some(1),
        "b" => return Some(512),
        _ => {}
    }
    let mut chars = suffix.chars();
    let power = "KMGTPE".find(chars.next()?.to_ascii_uppercase())? as u32 + 1;
    match chars.as_str() {
        "" | "iB" => 1024_u64.checked_pow(power),
        "B" => 1000_u64.checked_pow(power),
        _ => None,
    }
}

/// The size in at most three digits and a unit, rounded up (`1.5K`, `23M`); `base` is 1024 or 1000.
pub fn human(bytes: u64, base: u64) -> String {
    if bytes < base {
        return bytes.to_string();
    }
    let units = if base == 1000 { ['k', 'M', 'G', 'T', 'P', 'E'] } else { ['K', 'M', 'G', 'T', 'P', 'E'] };
    let mut unit = u128::from(base);
    for (i, letter) in units.iter().enumerate() {
        let tenths = (u128::from(bytes) * 10).div_ceil(unit);
        match tenths.cmp(&100) {
            Ordering::Less => return format!("{}.{}{letter}", tenths / 10, tenths % 10),
            _ => {
                let whole = u128::from(bytes).div_ceil(unit);
                if whole < u128::from(base) || i == units.len() - 1 {
                    return format!("{whole}{letter}");
                }
            }
        }
        unit *= u128::from(base);
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::{human, parse_size};

    #[test]
    fn sizes() {
        for (text, want) in [
            ("10", Some(10)),
            ("2b", Some(1024)),
            ("1K", Some(1024)),
            ("1kB", Some(1000)),
            ("3MiB", Some(3 << 20)),
            ("K", Some(1024)),
            ("", None),
            ("x", None),
            ("1Kx", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(parse_size(text), want, "{text}");
        }
        for (bytes, want) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.0K"),
            (1025, "1.1K"),
            (10239, "10K"),
            (10240, "10K"),
            (1 << 20, "1.0M"),
            (1023 * 1024 + 1, "1.0M"),
            (1500 * 1024, "1.5M"),
        ] {
            assert_eq!(human(bytes, 1024), want, "{bytes}");
        }
        assert_eq!(human(1_500_000, 1000), "1.5M");
    }
}
