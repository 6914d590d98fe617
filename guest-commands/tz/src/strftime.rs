//! Dates as strftime(3) writes them in the C locale, and the fractions of a second that GNU's commands add.

use crate::calendar::Date;
use crate::{Kind, Zone};

/// The widest field: a format cannot make the shell fill its memory.
const MAX_WIDTH: usize = 1024;

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
/// The names of the months.
pub const MONTHS: [&str; 12] = [
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

/// A moment in a zone.
struct Moment<'a> {
    date: Date,
    /// Seconds since 1970.
    epoch: i64,
    /// For `%N`, which strftime(3) does not have.
    nanoseconds: Option<u32>,
    kind: &'a Kind,
}

/// The date of a moment, in seconds since 1970, in a zone. With nanoseconds there is also `%N`.
#[must_use]
pub fn format(format: &str, seconds: i64, nanoseconds: Option<u32>, zone: &Zone) -> String {
    let kind = zone.at(seconds);
    let moment = Moment { date: Date::new(seconds, kind.offset), epoch: seconds, nanoseconds, kind };
    let mut out = String::new();
    moment.write(format, &mut out);
    out
}

impl Moment<'_> {
    fn write(&self, format: &str, out: &mut String) {
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            rest = &rest[at + self.directive(&rest[at..], out)..];
        }
        out.push_str(rest);
    }

    /// Writes what the directive at the start of `spec` stands for; returns its length.
    fn directive(&self, spec: &str, out: &mut String) -> usize {
        let flags = spec[1..].len() - spec[1..].trim_start_matches(['_', '-', '0', '^', '#']).len();
        let digits = &spec[1 + flags..];
        let width = digits.len() - digits.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let mut at = 1 + flags + width;
        if spec[at..].starts_with(['E', 'O']) {
            at += 1;
        }
        let wanted: usize = spec[1 + flags..1 + flags + width].parse().unwrap_or(0);
        if spec[at..].starts_with('N')
            && let Some(nanoseconds) = self.nanoseconds
        {
            let digits = format!("{nanoseconds:09}");
            out.push_str(&digits[..if wanted == 0 { 9 } else { wanted.min(9) }]);
            return at + 1;
        }
        let text = spec[at..].chars().next().and_then(|c| Some((c, self.conversion(c)?)));
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
    fn conversion(&self, letter: char) -> Option<(String, usize, char)> {
        let date = &self.date;
        let again = |f: &str| {
            let mut out = String::new();
            self.write(f, &mut out);
            Some((out, 0, ' '))
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
            's' => number(self.epoch, 1),
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
                let (sign, minutes) =
                    (if self.kind.offset < 0 { '-' } else { '+' }, self.kind.offset.abs() / 60);
                text(&format!("{sign}{:02}{:02}", minutes / 60, minutes % 60))
            }
            'Z' => text(&self.kind.name),
            '%' => text("%"),
            _ => None,
        }
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
            assert_eq!(format(wanted, 1_699_400_005, None, &Zone::new(Some(""), None)), expected, "{wanted}");
        }
    }

    #[test]
    fn fractions() {
        let utc = Zone::new(Some(""), None);
        for (wanted, expected) in
            [("%N", "000001234"), ("%3N|%T.%6N", "000|00:00:00.000001"), ("%99N", "000001234")]
        {
            assert_eq!(format(wanted, 0, Some(1234), &utc), expected, "{wanted}");
        }
    }
}
