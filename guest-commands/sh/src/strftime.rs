//! Dates as strftime(3) writes them in the C locale. Of time zones it knows UTC and fixed offsets in the form of POSIX; it
//! reads no zone files.

/// The widest field: a format cannot make the shell fill its memory.
const MAX_WIDTH: usize = 1024;

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A time zone without daylight saving time.
#[derive(Debug, PartialEq, Eq)]
struct Zone {
    name: String,
    /// Seconds east of Greenwich.
    offset: i64,
}

impl Zone {
    /// The zone of the text of `TZ`, `NAME[+-]h[:m[:s]]`; UTC if it is anything else.
    fn new(tz: &str) -> Self {
        Zone::parse(tz.strip_prefix(':').unwrap_or(tz))
            .unwrap_or_else(|| Zone { name: "UTC".into(), offset: 0 })
    }

    fn parse(tz: &str) -> Option<Self> {
        let (name, rest) = match tz.strip_prefix('<') {
            Some(quoted) => quoted.split_once('>')?,
            None => tz.split_at(tz.find(|c: char| !c.is_ascii_alphabetic())?),
        };
        let (sign, digits) = match rest.strip_prefix('-') {
            Some(digits) => (1, digits),
            None => (-1, rest.strip_prefix('+').unwrap_or(rest)),
        };
        let mut offset = 0;
        let mut unit = 3600;
        for part in digits.splitn(3, ':') {
            // What follows the digits would be the rule of a summer time.
            let part = part.split(|c: char| !c.is_ascii_digit()).next().filter(|p| !p.is_empty())?;
            offset += part.parse::<i64>().ok().filter(|n| *n < 168)? * unit;
            unit /= 60;
        }
        (name.len() >= 3).then(|| Zone { name: name.to_owned(), offset: sign * offset })
    }
}

/// A moment, taken apart.
struct Date {
    year: i64,
    /// From 0.
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    /// From Sunday, 0.
    weekday: i64,
    /// From 0.
    yearday: i64,
    /// Seconds since 1970.
    epoch: i64,
}

impl Date {
    fn new(epoch: i64, offset: i64) -> Self {
        let local = epoch.saturating_add(offset);
        let (days, time) = (local.div_euclid(86_400), local.rem_euclid(86_400));
        // Civil date from days since 1970 (proleptic Gregorian calendar), in years that begin in March.
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = (from_march + 2) % 12;
        let year = year_of_era + era * 400 + i64::from(month < 2);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let yearday = if month < 2 { day_of_year - 306 } else { day_of_year + 59 + i64::from(leap) };
        Date {
            year,
            month,
            day: day_of_year - (153 * from_march + 2) / 5 + 1,
            hour: time / 3600,
            minute: time / 60 % 60,
            second: time % 60,
            weekday: (days + 4).rem_euclid(7),
            yearday,
            epoch,
        }
    }

    fn hour12(&self) -> i64 {
        (self.hour + 11) % 12 + 1
    }

    /// Year and week of ISO 8601.
    fn iso(&self) -> (i64, i64) {
        let monday = (self.weekday + 6) % 7;
        let week = (self.yearday - monday + 10) / 7;
        if week < 1 {
            return (self.year - 1, weeks(self.year - 1));
        }
        if week > weeks(self.year) { (self.year + 1, 1) } else { (self.year, week) }
    }
}

/// How many weeks a year of ISO 8601 has.
fn weeks(year: i64) -> i64 {
    // The weekday of 31 December; a year that ends, or whose former ends, so has 53.
    let last = |y: i64| (y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400)).rem_euclid(7);
    52 + i64::from(last(year) == 4 || last(year - 1) == 3)
}

/// The date of a moment, in seconds since 1970, in the zone of the text of `TZ`.
pub(crate) fn format(format: &str, seconds: i64, tz: &str) -> String {
    let zone = Zone::new(tz);
    let date = Date::new(seconds, zone.offset);
    let mut out = String::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let spec = &rest[at..];
        rest = &spec[directive(spec, &date, &zone, &mut out)..];
    }
    out.push_str(rest);
    out
}

/// Writes what the directive at the start of `spec` stands for; returns its length.
fn directive(spec: &str, date: &Date, zone: &Zone, out: &mut String) -> usize {
    let flags = spec[1..].len() - spec[1..].trim_start_matches(['_', '-', '0', '^', '#']).len();
    let digits = &spec[1 + flags..];
    let width = digits.len() - digits.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let mut at = 1 + flags + width;
    if spec[at..].starts_with(['E', 'O']) {
        at += 1;
    }
    let text = spec[at..].chars().next().and_then(|c| Some((c, conversion(c, date, zone)?)));
    let Some((letter, (text, digits, fill))) = text else {
        // No conversion: as it stands.
        let len = at + spec[at..].chars().next().map_or(0, char::len_utf8);
        out.push_str(&spec[..len]);
        return len;
    };
    let flag = |wanted: char| spec[1..=flags].contains(wanted);
    let fill = match () {
        () if flag('-') => None,
        () if flag('_') => Some(' '),
        () if flag('0') => Some('0'),
        () => Some(fill),
    };
    let wanted: usize = spec[1 + flags..1 + flags + width].parse().unwrap_or(0);
    let wanted = wanted.max(digits).min(MAX_WIDTH);
    if let Some(fill) = fill {
        out.extend(std::iter::repeat_n(fill, wanted.saturating_sub(text.chars().count())));
    }
    match () {
        () if flag('^') => out.push_str(&text.to_uppercase()),
        () if flag('#') && matches!(letter, 'p' | 'Z') => out.push_str(&text.to_lowercase()),
        () if flag('#') => out.push_str(&text.to_uppercase()),
        () => out.push_str(&text),
    }
    at + letter.len_utf8()
}

/// What a conversion stands for, how wide it is at least, and what it is filled with.
fn conversion(letter: char, date: &Date, zone: &Zone) -> Option<(String, usize, char)> {
    let again = |f: &str| {
        let mut out = String::new();
        let mut rest = f;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            rest = &rest[at + directive(&rest[at..], date, zone, &mut out)..];
        }
        Some((out + rest, 0, ' '))
    };
    let number = |n: i64, digits: usize| Some((n.to_string(), digits, '0'));
    let text = |t: &str| Some((t.to_owned(), 0, ' '));
    let day = DAYS[date.weekday as usize % 7];
    let month = MONTHS[date.month as usize % 12];
    match letter {
        'a' => text(&day[..3]),
        'A' => text(day),
        'b' | 'h' => text(&month[..3]),
        'B' => text(month),
        'c' => again("%a %b %e %H:%M:%S %Y"),
        'C' => number(date.year.div_euclid(100), 2),
        'd' => number(date.day, 2),
        'D' | 'x' => again("%m/%d/%y"),
        'e' => Some((date.day.to_string(), 2, ' ')),
        'F' => again("%Y-%m-%d"),
        'g' => number(date.iso().0.rem_euclid(100), 2),
        'G' => number(date.iso().0, 4),
        'H' => number(date.hour, 2),
        'I' => number(date.hour12(), 2),
        'j' => number(date.yearday + 1, 3),
        'k' => Some((date.hour.to_string(), 2, ' ')),
        'l' => Some((date.hour12().to_string(), 2, ' ')),
        'm' => number(date.month + 1, 2),
        'M' => number(date.minute, 2),
        'n' => text("\n"),
        'p' => text(if date.hour < 12 { "AM" } else { "PM" }),
        'P' => text(if date.hour < 12 { "am" } else { "pm" }),
        'r' => again("%I:%M:%S %p"),
        'R' => again("%H:%M"),
        's' => number(date.epoch, 1),
        'S' => number(date.second, 2),
        't' => text("\t"),
        'T' | 'X' => again("%H:%M:%S"),
        'u' => number((date.weekday + 6) % 7 + 1, 1),
        'U' => number((date.yearday + 7 - date.weekday) / 7, 2),
        'V' => number(date.iso().1, 2),
        'w' => number(date.weekday, 1),
        'W' => number((date.yearday + 7 - (date.weekday + 6) % 7) / 7, 2),
        'y' => number(date.year.rem_euclid(100), 2),
        'Y' => number(date.year, 1),
        'z' => {
            let (sign, minutes) = (if zone.offset < 0 { '-' } else { '+' }, zone.offset.abs() / 60);
            text(&format!("{sign}{:02}{:02}", minutes / 60, minutes % 60))
        }
        'Z' => text(&zone.name),
        '%' => text("%"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions() {
        for (wanted, expected) in [
            ("%c", "Tue Nov  7 23:33:25 2023"),
            ("%F %T|%D %X", "2023-11-07 23:33:25|11/07/23 23:33:25"),
            ("%a %A %b %B", "Tue Tuesday Nov November"),
            ("%I:%M %p|%l|%-I|%P", "11:33 PM|11|11|pm"),
            ("%j %U %V %W %u %w %G-%g", "311 45 45 45 2 2 2023-23"),
            ("%_d|%-d|%10d|%^a|%#p|%Ey|%e", " 7|7|0000000007|TUE|pm|23| 7"),
            ("100%|%%|%N|%E|é%q", "100%|%|%N|%E|é%q"),
            ("%s %z %Z", "1699400005 +0000 UTC"),
        ] {
            assert_eq!(format(wanted, 1_699_400_005, ""), expected, "{wanted}");
        }
    }

    #[test]
    fn days_and_zones() {
        for (seconds, tz, wanted) in [
            (0, "", "1970-01-01 00:00:00 001 4 01"),
            (951_782_400, "", "2000-02-29 00:00:00 060 2 09"),
            (1_609_459_199, "", "2020-12-31 23:59:59 366 4 53"),
            (1_609_459_200, "", "2021-01-01 00:00:00 001 5 53"),
            (-1, "UTC0", "1969-12-31 23:59:59 365 3 01"),
            (0, "XYZ-3:30", "1970-01-01 03:30:00 001 4 01"),
            (0, "<-05>5", "1969-12-31 19:00:00 365 3 01"),
            (0, "nonsense", "1970-01-01 00:00:00 001 4 01"),
        ] {
            assert_eq!(format("%F %T %j %w %V", seconds, tz), wanted, "{seconds} {tz}");
        }
    }
}
