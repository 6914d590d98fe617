//! Dates of file times in UTC and in fixed offsets of `TZ` (`UTC0`, `EST5`). Zones with a history belong to `date`.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970 UTC, now.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

/// Days since 1970 as year, month, day (proleptic Gregorian).
fn civil(days: i64) -> (i64, u32, u32) {
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": eras of 400 years beginning on 1 March.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = (doy - (153 * mp + 2) / 5 + 1) as u32;
    let month = if mp < 10 { mp + 3 } else { mp - 9 } as u32;
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}

/// Seconds east of UTC, out of a `TZ` such as `EST5` or `<+03>-3`; zones by name count as UTC.
fn offset() -> i64 {
    let Ok(tz) = std::env::var("TZ") else { return 0 };
    let rest = match tz.strip_prefix('<') {
        Some(rest) => rest.split_once('>').map_or("", |(_, rest)| rest),
        None => tz.trim_start_matches(|c: char| c.is_ascii_alphabetic()),
    };
    let (sign, rest) = match rest.strip_prefix('-') {
        Some(rest) => (1, rest),
        None => (-1, rest.strip_prefix('+').unwrap_or(rest)),
    };
    let mut parts = rest.split(':').map(str::parse::<i64>);
    match (parts.next(), parts.next()) {
        (Some(Ok(hours)), minutes) if hours <= 24 => {
            sign * (hours * 3600 + minutes.and_then(Result::ok).unwrap_or(0) * 60)
        }
        _ => 0,
    }
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// The moment by a format of `%Y %m %d %e %b %H %M %S %N %z %s %a %F %T`; other directives stay as they are.
pub(crate) fn format(sec: i64, nsec: u32, format: &str) -> String {
    let offset = offset();
    let local = sec.saturating_add(offset);
    let (year, month, day) = civil(local.div_euclid(86_400));
    let second = local.rem_euclid(86_400);
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let Some(directive) = chars.next() else { break };
        // Writing to a String cannot fail.
        let _ = match directive {
            'Y' => write!(out, "{year}"),
            'm' => write!(out, "{month:02}"),
            'd' => write!(out, "{day:02}"),
            'e' => write!(out, "{day:2}"),
            'b' => write!(out, "{}", MONTHS[month as usize - 1]),
            'a' => write!(out, "{}", DAYS[local.div_euclid(86_400).rem_euclid(7) as usize]),
            'H' => write!(out, "{:02}", second / 3600),
            'M' => write!(out, "{:02}", second / 60 % 60),
            'S' => write!(out, "{:02}", second % 60),
            'N' => write!(out, "{nsec:09}"),
            's' => write!(out, "{sec}"),
            'F' => write!(out, "{year}-{month:02}-{day:02}"),
            'T' => write!(out, "{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60),
            'z' => {
                let (sign, o) = if offset < 0 { ('-', -offset) } else { ('+', offset) };
                write!(out, "{sign}{:02}{:02}", o / 3600, o / 60 % 60)
            }
            other => write!(out, "%{other}"),
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::format;

    #[test]
    fn dates() {
        for (sec, want) in [
            (0, "1970-01-01 00:00:00 Thu"),
            (951_782_400, "2000-02-29 00:00:00 Tue"),
            (-1, "1969-12-31 23:59:59 Wed"),
            (4_107_542_399, "2100-02-28 23:59:59 Sun"),
        ] {
            assert_eq!(format(sec, 0, "%F %T %a"), want);
        }
    }
}
