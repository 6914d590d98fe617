//! Rules of a zone in the form of POSIX: `EST5EDT,M3.2.0,M11.1.0`, `<+03>-3`. Both the value of `TZ` and the last line of a
//! zone file have it. What cannot be read is left out as glibc does, which never refuses a text.

use std::fmt;

use crate::Kind;
use crate::calendar::{Date, is_leap, month_days, new_year, weekday};

/// A standard time and perhaps a summer time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    standard: Kind,
    summer: Option<Summer>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Summer {
    kind: Kind,
    start: Change,
    end: Change,
}

/// When to change, each year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    day: Day,
    /// Seconds after midnight of the time until then; may be negative or beyond the day.
    time: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Day {
    /// `Jn`, from 1; 29 February is not counted.
    Julian(i64),
    /// `n`, from 0.
    Zero(i64),
    /// `Mmonth.week.weekday`; week 5 is the last.
    Month(i64, i64, i64),
}

impl Change {
    const fn month(month: i64, week: i64) -> Self {
        Change { day: Day::Month(month, week, 0), time: 7200 }
    }

    /// In seconds since 1970 of the clock that runs until then.
    fn of(self, year: i64) -> i64 {
        let first = new_year(year);
        let day = match self.day {
            Day::Julian(n) => first + n - 1 + i64::from(n >= 60 && is_leap(year)),
            Day::Zero(n) => first + n,
            Day::Month(month, week, day) => {
                let month = (month - 1).clamp(0, 11) as usize;
                let start = first + (0..month).map(|m| month_days(year, m)).sum::<i64>();
                let mut at = (day - weekday(start)).rem_euclid(7) + 7 * (week - 1);
                while at >= month_days(year, month) {
                    at -= 7;
                }
                start + at
            }
        };
        day.saturating_mul(86_400).saturating_add(self.time)
    }
}

impl Rule {
    /// The rules of a text; UTC where it is none.
    pub(crate) fn new(text: &str) -> Self {
        let mut rest = Rest(text);
        let name = rest.name();
        let offset = name.as_ref().and_then(|_| rest.offset());
        let name = name.unwrap_or_default();
        let Some(offset) = offset else {
            return Rule { standard: Kind { offset: 0, name }, summer: None };
        };
        let standard = Kind { offset, name };
        if rest.0.is_empty() {
            return Rule { standard, summer: None };
        }
        let name = rest.name();
        let kind = Kind {
            offset: name.as_ref().and_then(|_| rest.offset()).unwrap_or(offset + 3600),
            name: name.clone().unwrap_or_default(),
        };
        let changes = rest.change(Change::month(3, 2)).zip(rest.change(Change::month(11, 1)));
        match (name, changes) {
            (None, _) => Rule { standard, summer: None },
            // A summer without an end.
            (Some(_), None) => Rule { standard: kind, summer: None },
            (Some(_), Some((start, end))) => Rule { standard, summer: Some(Summer { kind, start, end }) },
        }
    }

    pub(crate) fn standard(&self) -> Kind {
        self.standard.clone()
    }

    /// What holds at this moment, in seconds since 1970.
    pub(crate) fn at(&self, seconds: i64) -> &Kind {
        let Some(summer) = &self.summer else { return &self.standard };
        let year = Date::new(seconds, self.standard.offset).year;
        let start = summer.start.of(year).saturating_sub(self.standard.offset);
        let end = summer.end.of(year).saturating_sub(summer.kind.offset);
        // South of the equator the summer is the rest of the year.
        let inside =
            if start <= end { (start..end).contains(&seconds) } else { !(end..start).contains(&seconds) };
        if inside { &summer.kind } else { &self.standard }
    }
}

/// What has not been read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn take(&mut self, prefix: char) -> bool {
        self.0.strip_prefix(prefix).map(|rest| self.0 = rest).is_some()
    }

    /// As many characters as are wanted.
    fn run(&mut self, wanted: fn(char) -> bool) -> &'a str {
        let (run, rest) = self.0.split_at(self.0.find(|c| !wanted(c)).unwrap_or(self.0.len()));
        self.0 = rest;
        run
    }

    fn name(&mut self) -> Option<String> {
        let before = self.0;
        let mut name = self.run(|c| c.is_ascii_alphabetic());
        if name.len() < 3 {
            self.0 = before;
            if !self.take('<') {
                return None;
            }
            name = self.run(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-'));
            if name.len() < 3 || !self.take('>') {
                self.0 = before;
                return None;
            }
        }
        Some(name.to_owned())
    }

    /// A number of a few digits; larger ones are all the same.
    fn number(&mut self) -> Option<i64> {
        let digits = self.run(|c| c.is_ascii_digit());
        (!digits.is_empty()).then(|| digits.parse().unwrap_or(9999).min(9999))
    }

    /// `h[:m[:s]]` in seconds, hours up to a limit.
    fn clock(&mut self, hours: i64) -> Option<i64> {
        let mut seconds = self.number()?.min(hours) * 3600;
        for unit in [60, 1] {
            let before = self.0;
            match self.take(':').then(|| self.number()).flatten() {
                Some(n) => seconds += n.min(59) * unit,
                None => {
                    self.0 = before;
                    break;
                }
            }
        }
        Some(seconds)
    }

    /// The distance from UTC, which POSIX counts to the west.
    fn offset(&mut self) -> Option<i64> {
        let west = !self.take('-');
        if west {
            let _ = self.take('+');
        }
        self.clock(24).map(|s| if west { -s } else { s })
    }

    fn change(&mut self, default: Change) -> Option<Change> {
        let _ = self.take(',');
        let day = if self.0.is_empty() {
            default.day
        } else if self.take('M') {
            let month = self.number().filter(|n| (1..=12).contains(n))?;
            let week = self.take('.').then(|| self.number()).flatten().filter(|n| (1..=5).contains(n))?;
            let day = self.take('.').then(|| self.number()).flatten().filter(|n| *n <= 6)?;
            Day::Month(month, week, day)
        } else if self.take('J') {
            Day::Julian(self.number().filter(|n| (1..=365).contains(n))?)
        } else {
            Day::Zero(self.number().filter(|n| *n <= 365)?)
        };
        let mut time = default.time;
        if self.take('/') {
            let negative = self.take('-');
            time = self.clock(167).unwrap_or(0);
            if negative {
                time = -time;
            }
        } else if !self.0.is_empty() && !self.0.starts_with(',') {
            return None;
        }
        Some(Change { day, time })
    }
}

/// The whole form, which strict readers take too.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = |f: &mut fmt::Formatter<'_>, seconds: i64| {
            let sign = if seconds < 0 { "-" } else { "" };
            let s = seconds.abs();
            write!(f, "{sign}{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
        };
        let kind = |f: &mut fmt::Formatter<'_>, kind: &Kind| {
            write!(f, "<{}>", if kind.name.is_empty() { "UTC" } else { &kind.name })?;
            clock(f, -kind.offset)
        };
        kind(f, &self.standard)?;
        let Some(summer) = &self.summer else { return Ok(()) };
        kind(f, &summer.kind)?;
        for change in [summer.start, summer.end] {
            match change.day {
                Day::Julian(n) => write!(f, ",J{n}/")?,
                Day::Zero(n) => write!(f, ",{n}/")?,
                Day::Month(month, week, day) => write!(f, ",M{month}.{week}.{day}/")?,
            }
            clock(f, change.time)?;
        }
        Ok(())
    }
}
