//! Times as decimal seconds since 1970, as extended headers of tar write them; exact to the nanosecond.

use agentos_vfs::Timespec;

const NANOS: u32 = 1_000_000_000;

/// `12.5`, `-0.25`, `7`.
pub(crate) fn text(time: Timespec) -> String {
    let Timespec { secs, nanos } = time;
    let (sign, secs, nanos) = match (secs < 0, nanos) {
        (true, 0) => ("-", secs.unsigned_abs(), 0),
        // Nanoseconds count upwards from the second before.
        (true, nanos) => ("-", secs.unsigned_abs() - 1, NANOS - nanos),
        (false, nanos) => ("", secs.unsigned_abs(), nanos),
    };
    if nanos == 0 {
        return format!("{sign}{secs}");
    }
    format!("{sign}{secs}.{}", format!("{nanos:09}").trim_end_matches('0'))
}

/// The time of such a text; digits beyond nanoseconds are cut. `None` if it is none.
pub(crate) fn parse(text: &str) -> Option<Timespec> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let secs: i64 = whole.parse().ok()?;
    let nine: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanos: u32 = nine.parse().ok()?;
    Some(match (negative, nanos) {
        (false, nanos) => Timespec { secs, nanos },
        (true, 0) => Timespec { secs: -secs, nanos: 0 },
        (true, nanos) => Timespec { secs: -secs - 1, nanos: NANOS - nanos },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_are_decimal() {
        for (secs, nanos, expected) in [
            (0, 0, "0"),
            (12, 500_000_000, "12.5"),
            (1, 1, "1.000000001"),
            (-1, 750_000_000, "-0.25"),
            (-7, 0, "-7"),
        ] {
            assert_eq!(text(Timespec { secs, nanos }), expected);
        }
        for wrong in ["", "-", "1e3", "+1", "1.x", " 1", "99999999999999999999"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(parse("1.1234567899"), Some(Timespec { secs: 1, nanos: 123_456_789 }));
    }

    proptest! {
        #[test]
        fn times_come_back(secs in -(1_i64 << 40)..1 << 40, nanos in 0..NANOS) {
            let time = Timespec { secs, nanos };
            prop_assert_eq!(parse(&text(time)), Some(time));
        }
    }
}
