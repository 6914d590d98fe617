//! Dates: broken down times as jq has them (months from 0, fractions of seconds), and their text.

use super::Table;
use crate::ops::{Outcome, Stop, fail};
use crate::value::Value;
use agentos_tz::Zone;

pub(super) const TABLE: Table = &[
    ("now", 0, |_, _, _| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Ok(Value::Num(now.map_or(0.0, |d| d.as_secs_f64())))
    }),
    ("gmtime", 0, |_, v, _| match v {
        Value::Num(n) => broken_down(n, &utc()),
        _ => fail("gmtime() requires numeric inputs"),
    }),
    ("localtime", 0, |_, v, _| match v {
        Value::Num(n) => broken_down(n, &local()),
        _ => fail("localtime() requires numeric inputs"),
    }),
    ("mktime", 0, |_, v, _| {
        if !matches!(v, Value::Arr(_)) {
            return fail("mktime requires array inputs");
        }
        seconds(&v, "mktime").map(whole)
    }),
    ("strftime", 1, |_, v, args| written(&v, &args[0], &utc(), "strftime/1")),
    ("strflocaltime", 1, |_, v, args| written(&v, &args[0], &local(), "strflocaltime/1")),
    ("strptime", 1, |_, v, args| match (&v, &args[0]) {
        (Value::Str(text), Value::Str(format)) => match Reading::new(text, format) {
            Some(reading) => Ok(reading.broken_down()),
            None => fail(format!("date \"{text}\" does not match format \"{format}\"")),
        },
        (Value::Str(_), _) => fail("strptime/1 requires a string format"),
        _ => fail("strptime/1 requires string inputs and arguments"),
    }),
];

fn utc() -> std::rc::Rc<Zone> {
    Zone::kept(Some("UTC0"), None)
}

fn local() -> std::rc::Rc<Zone> {
    let variable = |name: &str| std::env::var(name).ok();
    Zone::kept(variable("TZ").as_deref(), variable("TZDIR").as_deref())
}

#[allow(clippy::cast_precision_loss, reason = "seconds are far below 2^53")]
fn whole(n: i64) -> Value {
    Value::Num(n as f64)
}

/// Days since 1970 of a date of the Gregorian calendar; the month counts from 1.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn broken_down(n: f64, zone: &Zone) -> Outcome {
    if n.is_nan() || n.abs() >= 1e13 {
        return fail("error converting number of seconds since epoch to datetime");
    }
    #[allow(clippy::cast_possible_truncation, reason = "checked")]
    let secs = n.floor() as i64;
    let text = agentos_tz::format("%Y %m %d %H %M %S %w %j", secs, None, zone);
    let fields: Vec<f64> = text.split(' ').map(|f| f.parse().unwrap_or(0.0)).collect();
    let adjusted = |i: usize, by: f64| Value::Num(fields.get(i).copied().unwrap_or(0.0) + by);
    Ok(vec![
        adjusted(0, 0.0),
        adjusted(1, -1.0),
        adjusted(2, 0.0),
        adjusted(3, 0.0),
        adjusted(4, 0.0),
        adjusted(5, n - n.floor()),
        adjusted(6, 0.0),
        adjusted(7, -1.0),
    ]
    .into())
}

/// Seconds since 1970 of a broken down time in UTC.
fn seconds(v: &Value, who: &str) -> Result<i64, Stop> {
    let Value::Arr(list) = v else { return fail(format!("{who} requires parsed datetime inputs")) };
    let mut fields = [0i64; 6];
    if list.len() < 6 {
        return fail(format!("{who} requires parsed datetime inputs"));
    }
    for (field, item) in fields.iter_mut().zip(list.iter()) {
        match item {
            #[allow(clippy::cast_possible_truncation, reason = "bounded")]
            Value::Num(n) => *field = n.clamp(-1e10, 1e10) as i64,
            _ => return fail(format!("{who} requires parsed datetime inputs")),
        }
    }
    let [year, month, day, hour, minute, second] = fields;
    let (year, month) = (year + month.div_euclid(12), month.rem_euclid(12) + 1);
    Ok(days(year, month, 1) * 86_400 + (day - 1) * 86_400 + hour * 3600 + minute * 60 + second)
}

fn written(v: &Value, format: &Value, zone: &Zone, who: &str) -> Outcome {
    let Value::Str(format) = format else { return fail(format!("{who} requires a string format")) };
    match v {
        Value::Num(n) if n.abs() < 1e13 => {
            #[allow(clippy::cast_possible_truncation, reason = "checked")]
            let secs = n.floor() as i64;
            Ok(agentos_tz::format(format, secs, None, zone).into())
        }
        Value::Arr(_) => {
            let secs = seconds(v, who)?;
            Ok(agentos_tz::format(format, secs, None, zone).into())
        }
        _ => fail(format!("{who} requires parsed datetime inputs")),
    }
}

/// A date as strptime(3) reads it.
#[derive(Default)]
struct Reading<'a> {
    rest: &'a str,
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    yearday: Option<i64>,
    afternoon: Option<bool>,
    epoch: Option<i64>,
}

const DAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

impl<'a> Reading<'a> {
    fn new(text: &'a str, format: &str) -> Option<Self> {
        let mut reading = Reading { rest: text, year: 1900, month: 1, ..Reading::default() };
        reading.read(format, 0)?;
        reading.rest.is_empty().then_some(reading)
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn number(&mut self, digits: usize, from: i64, to: i64) -> Option<i64> {
        self.blanks();
        let length = self.rest.bytes().take(digits).take_while(u8::is_ascii_digit).count();
        let n = self.rest[..length].parse().ok()?;
        self.rest = &self.rest[length..];
        (from..=to).contains(&n).then_some(n)
    }

    fn word(&mut self, words: &[&str]) -> Option<i64> {
        for (i, word) in words.iter().enumerate() {
            for length in [word.len(), 3] {
                if self.rest.get(..length).is_some_and(|w| w.eq_ignore_ascii_case(&word[..length])) {
                    self.rest = &self.rest[length..];
                    return i64::try_from(i).ok();
                }
            }
        }
        None
    }

    fn read(&mut self, format: &str, depth: u32) -> Option<()> {
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c.is_ascii_whitespace() {
                self.blanks();
                continue;
            }
            if c != '%' {
                self.rest = self.rest.strip_prefix(c)?;
                continue;
            }
            let mut directive = chars.next()?;
            while matches!(directive, 'E' | 'O' | '-' | '_' | '0' | '^' | '#') {
                directive = chars.next()?;
            }
            let whole = match directive {
                'T' => "%H:%M:%S",
                'D' => "%m/%d/%y",
                'F' => "%Y-%m-%d",
                'R' => "%H:%M",
                'r' => "%I:%M:%S %p",
                'c' => "%a %b %e %H:%M:%S %Y",
                'x' => "%m/%d/%y",
                'X' => "%H:%M:%S",
                _ => "",
            };
            if !whole.is_empty() && depth == 0 {
                self.read(whole, 1)?;
                continue;
            }
            self.field(directive)?;
        }
        Some(())
    }

    fn field(&mut self, directive: char) -> Option<()> {
        match directive {
            'Y' => self.year = self.number(4, 0, 9999)?,
            'y' => {
                let n = self.number(2, 0, 99)?;
                self.year = if n < 69 { 2000 + n } else { 1900 + n };
            }
            'm' => self.month = self.number(2, 1, 12)?,
            'd' | 'e' => self.day = self.number(2, 1, 31)?,
            'H' | 'k' => self.hour = self.number(2, 0, 23)?,
            'I' | 'l' => self.hour = self.number(2, 1, 12)? % 12,
            'M' => self.minute = self.number(2, 0, 59)?,
            'S' => self.second = self.number(2, 0, 61)?,
            'j' => self.yearday = Some(self.number(3, 1, 366)? - 1),
            'p' | 'P' => {
                let half = self.rest.get(..2)?.to_ascii_lowercase();
                self.afternoon = Some(match half.as_str() {
                    "am" => false,
                    "pm" => true,
                    _ => return None,
                });
                self.rest = &self.rest[2..];
            }
            'a' | 'A' => {
                self.word(&DAYS)?;
            }
            'b' | 'B' | 'h' => self.month = self.word(&MONTHS)? + 1,
            'u' => {
                self.number(1, 1, 7)?;
            }
            'w' => {
                self.number(1, 0, 6)?;
            }
            'U' | 'W' | 'V' => {
                self.number(2, 0, 53)?;
            }
            's' => self.epoch = Some(self.number(12, 0, i64::MAX)?),
            'Z' => {
                self.blanks();
                self.rest = self.rest.trim_start_matches(|c: char| !c.is_ascii_whitespace());
            }
            'z' => {
                self.blanks();
                if let Some(rest) = self.rest.strip_prefix('Z') {
                    self.rest = rest;
                    return Some(());
                }
                self.rest = self.rest.strip_prefix(['+', '-'])?;
                self.number(2, 0, 14)?;
                self.rest = self.rest.strip_prefix(':').unwrap_or(self.rest);
                if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
                    self.number(2, 0, 59)?;
                }
            }
            'n' | 't' => self.blanks(),
            '%' => self.rest = self.rest.strip_prefix('%')?,
            _ => return None,
        }
        Some(())
    }

    fn broken_down(mut self) -> Value {
        if let Some(epoch) = self.epoch {
            #[allow(clippy::cast_precision_loss, reason = "seconds are far below 2^53")]
            return broken_down(epoch as f64, &utc()).unwrap_or_default();
        }
        if self.afternoon == Some(true) {
            self.hour += 12;
        }
        let first = days(self.year, 1, 1);
        if let (Some(yearday), 0) = (self.yearday, self.day) {
            let text = agentos_tz::format("%m %d", (first + yearday) * 86_400, None, &utc());
            let mut fields = text.split(' ').map(|f| f.parse().unwrap_or(1));
            self.month = fields.next().unwrap_or(1);
            self.day = fields.next().unwrap_or(1);
        }
        let day = days(self.year, self.month, self.day.max(1));
        let list = [
            self.year,
            self.month - 1,
            self.day,
            self.hour,
            self.minute,
            self.second,
            (day + 4).rem_euclid(7),
            day - first,
        ];
        list.into_iter().map(whole).collect()
    }
}
