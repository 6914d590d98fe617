//! Dates: what people write (`2 days ago`, ISO, RFC 2822, seconds) and how git shows them. It knows the local zone from agentos-tz.

use crate::oid::zone_text;
use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// Days since 1970 of a date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month, day of days since 1970.
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

fn local() -> std::rc::Rc<agentos_tz::Zone> {
    let tz = std::env::var("TZ").ok();
    agentos_tz::Zone::kept(tz.as_deref(), None)
}

/// Minutes east of Greenwich here at a moment.
pub(crate) fn local_zone(time: i64) -> i32 {
    agentos_tz::format("%z", time, None, &local()).parse::<i32>().map_or(0, |z| z / 100 * 60 + z % 100)
}

/// Now, and the local zone.
pub(crate) fn now() -> (i64, i32) {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64);
    (time, local_zone(time))
}

/// How dates are shown (`--date`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) kind: Kind,
    pub(crate) local: bool,
}

/// The form of a date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Normal,
    Relative,
    Short,
    Iso,
    IsoStrict,
    Rfc,
    Raw,
    Unix,
    Human,
    Format(String),
}

impl Style {
    pub(crate) fn parse(name: &str) -> Option<Style> {
        if let Some(format) = name.strip_prefix("format:") {
            return Some(Style { kind: Kind::Format(format.to_owned()), local: false });
        }
        if let Some(format) = name.strip_prefix("format-local:") {
            return Some(Style { kind: Kind::Format(format.to_owned()), local: true });
        }
        if name == "local" {
            return Some(Style { kind: Kind::Normal, local: true });
        }
        let (name, local) = name.strip_suffix("-local").map_or((name, false), |n| (n, true));
        let kind = match name {
            "default" | "normal" => Kind::Normal,
            "relative" => Kind::Relative,
            "short" => Kind::Short,
            "iso" | "iso8601" => Kind::Iso,
            "iso-strict" | "iso8601-strict" => Kind::IsoStrict,
            "rfc" | "rfc2822" => Kind::Rfc,
            "raw" => Kind::Raw,
            "unix" => Kind::Unix,
            "human" => Kind::Human,
            _ => return None,
        };
        Some(Style { kind, local })
    }

    /// A moment in a zone (minutes).
    pub(crate) fn show(&self, time: i64, zone: i32) -> String {
        let zone = if self.local { local_zone(time) } else { zone };
        let at = time + i64::from(zone) * 60;
        let (day, second) = (at.div_euclid(86_400), at.rem_euclid(86_400));
        let (y, m, d) = civil(day);
        let (h, min, s) = (second / 3600, second / 60 % 60, second % 60);
        let weekday = DAYS[(day + 4).rem_euclid(7) as usize];
        let month = MONTHS[(m - 1) as usize];
        let z = zone_text(zone);
        match &self.kind {
            Kind::Normal if self.local => format!("{weekday} {month} {d} {h:02}:{min:02}:{s:02} {y}"),
            Kind::Normal => format!("{weekday} {month} {d} {h:02}:{min:02}:{s:02} {y} {z}"),
            Kind::Short => format!("{y:04}-{m:02}-{d:02}"),
            Kind::Iso => format!("{y:04}-{m:02}-{d:02} {h:02}:{min:02}:{s:02} {z}"),
            Kind::IsoStrict if zone == 0 => format!("{y:04}-{m:02}-{d:02}T{h:02}:{min:02}:{s:02}Z"),
            Kind::IsoStrict => {
                format!("{y:04}-{m:02}-{d:02}T{h:02}:{min:02}:{s:02}{}:{}", &z[..3], &z[3..])
            }
            Kind::Rfc => format!("{weekday}, {d} {month} {y} {h:02}:{min:02}:{s:02} {z}"),
            Kind::Raw => format!("{time} {z}"),
            Kind::Unix => time.to_string(),
            Kind::Relative => relative(time, now().0),
            Kind::Human => self.human(time, zone),
            Kind::Format(format) => {
                let text = format.replace("%z", &z).replace("%Z", "").replace("%s", &time.to_string());
                agentos_tz::format(&text, at, None, &agentos_tz::Zone::new(Some("UTC0"), None))
            }
        }
    }

    fn human(&self, time: i64, zone: i32) -> String {
        let (now, here) = now();
        let at = time + i64::from(zone) * 60;
        let (y, m, d) = civil(at.div_euclid(86_400));
        let (ny, nm, nd) = civil((now + i64::from(here) * 60).div_euclid(86_400));
        let second = at.rem_euclid(86_400);
        let (h, min) = (second / 3600, second / 60 % 60);
        let weekday = DAYS[(at.div_euclid(86_400) + 4).rem_euclid(7) as usize];
        let month = MONTHS[(m - 1) as usize];
        let away = if zone == here { String::new() } else { format!(" {}", zone_text(zone)) };
        if (y, m, d) == (ny, nm, nd) || now - time < 86_400 {
            return relative(time, now);
        }
        if y != ny {
            return format!("{month} {d} {y}");
        }
        if now - time < 5 * 86_400 {
            return format!("{weekday} {h:02}:{min:02}{away}");
        }
        format!("{weekday} {month} {d} {h:02}:{min:02}{away}")
    }
}

/// `3 days ago`
pub(crate) fn relative(time: i64, now: i64) -> String {
    if time > now {
        return "in the future".to_owned();
    }
    let plural = |n: i64, what: &str| format!("{n} {what}{} ago", if n == 1 { "" } else { "s" });
    let mut diff = now - time;
    if diff < 90 {
        return plural(diff, "second");
    }
    diff = (diff + 30) / 60;
    if diff < 90 {
        return plural(diff, "minute");
    }
    diff = (diff + 30) / 60;
    if diff < 36 {
        return plural(diff, "hour");
    }
    diff = (diff + 12) / 24;
    if diff < 14 {
        return plural(diff, "day");
    }
    if diff < 70 {
        return plural((diff + 3) / 7, "week");
    }
    if diff < 365 {
        return plural((diff + 15) / 30, "month");
    }
    if diff < 1825 {
        let months = (diff * 12 * 2 + 365) / (365 * 2);
        let (years, months) = (months / 12, months % 12);
        let y = format!("{years} year{}", if years == 1 { "" } else { "s" });
        return if months == 0 {
            format!("{y} ago")
        } else {
            format!("{y}, {months} month{} ago", if months == 1 { "" } else { "s" })
        };
    }
    plural((diff + 183) / 365, "year")
}

/// `+0100`, `-05:30`, `Z`
fn parse_zone(text: &str) -> Option<i32> {
    if matches!(text, "Z" | "z" | "UTC" | "GMT" | "utc" | "gmt") {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: String = text[1..].chars().filter(|c| *c != ':').collect();
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: i32 = digits.parse().ok()?;
    match digits.len() {
        1 | 2 => Some(sign * number * 60),
        3 | 4 => Some(sign * (number / 100 * 60 + number % 100)),
        _ => None,
    }
}

fn clock(text: &str) -> Option<(i64, i64, i64)> {
    let mut parts = text.split(':');
    let h: i64 = parts.next()?.parse().ok()?;
    let m: i64 = parts.next()?.parse().ok()?;
    let s: i64 = match parts.next() {
        Some(s) => s.split('.').next()?.parse().ok()?,
        None => 0,
    };
    (parts.next().is_none() && h < 25 && m < 60 && s <= 60).then_some((h, m, s))
}

/// A date in one of the forms that are dates by themselves: `@seconds zone`, `seconds zone`, ISO 8601, RFC 2822, git's own.
pub(crate) fn parse(text: &str) -> Option<(i64, i32)> {
    let text = text.trim();
    let words: Vec<&str> = text.split_whitespace().collect();
    if let Some(first) = words.first()
        && let Ok(seconds) = first.strip_prefix('@').unwrap_or(first).parse::<i64>()
        && (first.starts_with('@') || seconds > 100_000_000)
        && words.len() <= 2
    {
        let zone = words.get(1).map_or(Some(0), |z| parse_zone(z))?;
        return Some((seconds, zone));
    }
    let (mut date, mut time, mut zone) = (None, None, None);
    let (mut year, mut month, mut day) = (None, None, None);
    let spaced = text.replace(',', " ");
    for word in spaced.split_whitespace() {
        let mut word = word;
        if let Some((d, t)) = word.split_once('T')
            && let Some(found) = numeric_date(d)
        {
            date = Some(found);
            word = t;
        }
        if let Some(found) = numeric_date(word) {
            date = Some(found);
            continue;
        }
        if word.contains(':') && word.as_bytes()[0].is_ascii_digit() {
            let end = word.find(['+', '-', 'Z']).unwrap_or(word.len());
            time = Some(clock(&word[..end])?);
            if end < word.len() {
                zone = Some(parse_zone(&word[end..])?);
            }
            continue;
        }
        if let Some(found) = parse_zone(word)
            && time.is_some()
        {
            zone = Some(found);
            continue;
        }
        let lower = word.to_ascii_lowercase();
        if lower.len() >= 3
            && let Some(m) = MONTHS.iter().position(|m| lower.starts_with(&m.to_ascii_lowercase()))
        {
            month = Some(m as i64 + 1);
            continue;
        }
        if lower.len() >= 3 && DAYS.iter().any(|d| lower.starts_with(&d.to_ascii_lowercase())) {
            continue;
        }
        let number: i64 = word.parse().ok()?;
        if number > 31 { year = Some(number) } else { day = Some(number) }
    }
    let (y, m, d) = match date {
        Some(date) => date,
        None => (year?, month?, day?),
    };
    let (h, min, s) = time.unwrap_or_else(|| {
        // A date alone is that day at the time of now.
        let (now, zone) = now();
        let s = (now + i64::from(zone) * 60).rem_euclid(86_400);
        (s / 3600, s / 60 % 60, s % 60)
    });
    let naive = days(y, m, d) * 86_400 + h * 3600 + min * 60 + s;
    let zone = zone.unwrap_or_else(|| local_zone(naive - i64::from(local_zone(naive)) * 60));
    Some((naive - i64::from(zone) * 60, zone))
}

fn numeric_date(word: &str) -> Option<(i64, i64, i64)> {
    let sep = ['-', '/', '.'].into_iter().find(|s| word.contains(*s))?;
    let parts: Vec<i64> = word.split(sep).map(str::parse).collect::<Result<_, _>>().ok()?;
    let [a, b, c] = parts[..] else { return None };
    let (y, m, d) = if a > 31 {
        (a, b, c)
    } else if sep == '.' || a > 12 {
        (c, b, a)
    } else {
        (c, a, b)
    };
    ((1..=12).contains(&m) && (1..=31).contains(&d) && y >= 1970).then_some((y, m, d))
}

/// A moment as people say it, for `--since` and the like: what [`parse`] takes, or `yesterday`, `2 weeks ago`, `noon`.
pub(crate) fn approximate(text: &str) -> i64 {
    if let Some((time, _)) = parse(text) {
        return time;
    }
    let (now, zone) = now();
    let mut time = now;
    let mut number: i64 = 1;
    let lower = text.to_ascii_lowercase().replace(['.', ',', '_'], " ");
    for word in lower.split_whitespace() {
        if let Some((h, m, s)) = clock(word) {
            let day = (time + i64::from(zone) * 60).div_euclid(86_400) * 86_400;
            time = day + h * 3600 + m * 60 + s - i64::from(zone) * 60;
            continue;
        }
        if let Ok(n) = word.parse::<i64>() {
            number = n;
            continue;
        }
        if let Some((y, m, d)) = numeric_date(word) {
            let second = (time + i64::from(zone) * 60).rem_euclid(86_400);
            time = days(y, m, d) * 86_400 + second - i64::from(zone) * 60;
            continue;
        }
        let unit = word.strip_suffix('s').unwrap_or(word);
        let at_day = |h: i64| {
            let day = (time + i64::from(zone) * 60).div_euclid(86_400) * 86_400;
            day + h * 3600 - i64::from(zone) * 60
        };
        match unit {
            "second" | "sec" => time -= number,
            "minute" | "min" => time -= number * 60,
            "hour" => time -= number * 3600,
            "day" => time -= number * 86_400,
            "week" => time -= number * 7 * 86_400,
            "month" | "year" => {
                let months = if unit == "year" { number * 12 } else { number };
                let here = time + i64::from(zone) * 60;
                let (y, m, d) = civil(here.div_euclid(86_400));
                let total = y * 12 + m - 1 - months;
                let back = days(total.div_euclid(12), total.rem_euclid(12) + 1, d);
                time = back * 86_400 + here.rem_euclid(86_400) - i64::from(zone) * 60;
            }
            "yesterday" => time -= 86_400,
            "midnight" => time = at_day(0),
            "noon" => time = at_day(12),
            "tea" => time = at_day(17),
            "never" => return 0,
            "a" | "an" | "one" | "last" => number = 1,
            "two" => number = 2,
            "three" => number = 3,
            "four" => number = 4,
            "five" => number = 5,
            "six" => number = 6,
            "seven" => number = 7,
            "eight" => number = 8,
            "nine" => number = 9,
            "ten" => number = 10,
            _ => {
                if let Some(wanted) =
                    DAYS.iter().position(|d| word.len() >= 3 && word.starts_with(&d.to_ascii_lowercase()))
                {
                    let today = (time + i64::from(zone) * 60).div_euclid(86_400);
                    let weekday = (today + 4).rem_euclid(7);
                    let back = (weekday - wanted as i64).rem_euclid(7);
                    time -= if back == 0 { 7 } else { back } * 86_400;
                }
            }
        }
    }
    time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_understood_in_many_forms() {
        for (text, want) in [
            ("1700000000 +0100", (1_700_000_000, 60)),
            ("@5 -0230", (5, -150)),
            ("2023-11-14T22:13:20Z", (1_700_000_000, 0)),
            ("2023-11-14 22:13:20 +0000", (1_700_000_000, 0)),
            ("Tue, 14 Nov 2023 23:13:20 +0100", (1_700_000_000, 60)),
            ("Tue Nov 14 22:13:20 2023 +0000", (1_700_000_000, 0)),
        ] {
            assert_eq!(parse(text), Some(want), "{text}");
        }
        assert_eq!(parse("nonsense"), None);
    }

    #[test]
    fn dates_are_shown_in_many_forms() {
        for (style, want) in [
            ("default", "Tue Nov 14 23:13:20 2023 +0100"),
            ("iso", "2023-11-14 23:13:20 +0100"),
            ("iso-strict", "2023-11-14T23:13:20+01:00"),
            ("short", "2023-11-14"),
            ("rfc", "Tue, 14 Nov 2023 23:13:20 +0100"),
            ("raw", "1700000000 +0100"),
            ("format:%Y/%m/%d %H", "2023/11/14 23"),
        ] {
            assert_eq!(Style::parse(style).unwrap().show(1_700_000_000, 60), want, "{style}");
        }
    }
}
