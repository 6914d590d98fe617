//! Five fields, exactly as crontab(5) has them, put into the dialect of the crate `cron`. That one counts days of the week
//! from 1 and wants both day fields to match, so each field is resolved to its numbers here, and two restricted day fields
//! become two schedules.

use super::{DAY_OF_MONTH, DAY_OF_WEEK, HOUR, MINUTE, MONTH};

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// What a field may hold.
struct Field {
    name: &'static str,
    low: u32,
    /// Below 64: sets are bits of a number.
    high: u32,
    /// Names of the values from `low` on.
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: MINUTE, low: 0, high: 59, names: &[] },
    Field { name: HOUR, low: 0, high: 23, names: &[] },
    Field { name: DAY_OF_MONTH, low: 1, high: 31, names: &[] },
    Field { name: MONTH, low: 1, high: 12, names: &MONTHS },
    Field { name: DAY_OF_WEEK, low: 0, high: 7, names: &DAYS },
];

/// Names for five fields.
pub(super) fn nickname(word: &str) -> Result<Vec<::cron::Schedule>, String> {
    match word {
        "@hourly" => parse(["0", "*", "*", "*", "*"]),
        "@daily" | "@midnight" => parse(["0", "0", "*", "*", "*"]),
        "@weekly" => parse(["0", "0", "*", "*", "0"]),
        "@monthly" => parse(["0", "0", "1", "*", "*"]),
        "@yearly" | "@annually" => parse(["0", "0", "1", "1", "*"]),
        "@reboot" => {
            Err("a machine has no reboot; run it after `create` instead, or schedule a moment".to_owned())
        }
        _ => {
            Err("is none of @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually".to_owned())
        }
    }
}

pub(super) fn parse(texts: [&str; 5]) -> Result<Vec<::cron::Schedule>, String> {
    let [minute, hour, day, month, weekday] = FIELDS;
    let [minute_text, hour_text, day_text, month_text, weekday_text] = texts;
    let minutes = list(minute.set(minute_text)?, 0);
    let hours = list(hour.set(hour_text)?, 0);
    let days = list(day.set(day_text)?, 0);
    let months = list(month.set(month_text)?, 0);
    let weekdays = weekday.set(weekday_text)?;
    // 7 is Sunday too.
    let weekdays = list((weekdays | (weekdays >> 7)) & 0x7f, 1);
    let cron = |days: &str, weekdays: &str| {
        ::cron::Schedule::try_from(format!("0 {minutes} {hours} {days} {months} {weekdays}"))
            .map_err(|error| error.to_string())
    };
    // A field that begins with a star, `*/2` too, restricts nothing by itself: both must match then.
    match day_text.starts_with('*') || weekday_text.starts_with('*') {
        true => Ok(vec![cron(&days, &weekdays)?]),
        false => Ok(vec![cron(&days, "*")?, cron("*", &weekdays)?]),
    }
}

/// Numbers of a set, each with something added.
fn list(set: u64, add: u32) -> String {
    let numbers: Vec<String> =
        (0..u64::BITS).filter(|n| (set >> n) & 1 == 1).map(|n| (n + add).to_string()).collect();
    numbers.join(",")
}

impl Field {
    /// The values of a list such as `1,5-7,*/10`.
    fn set(&self, text: &str) -> Result<u64, String> {
        let mut set = 0;
        for item in text.split(',') {
            let (span, step) = match item.split_once('/') {
                None => (item, None),
                Some((span, step)) => (span, Some(self.step(step)?)),
            };
            let (low, high) = match span.split_once('-') {
                _ if span == "*" => (self.low, self.high),
                Some((low, high)) => (self.value(low)?, self.value(high)?),
                None if step.is_some() => {
                    return Err(format!("{}: {item:?}: a step follows `*` or a range", self.name));
                }
                None => {
                    let value = self.value(span)?;
                    (value, value)
                }
            };
            if low > high {
                return Err(format!("{}: {item:?}: a range goes from low to high", self.name));
            }
            set |= (low..=high).step_by(step.unwrap_or(1)).fold(0, |set, value| set | (1 << value));
        }
        Ok(set)
    }

    fn step(&self, text: &str) -> Result<usize, String> {
        let step = if digits(text) { text.parse().ok() } else { None };
        step.filter(|step| *step > 0).ok_or_else(|| format!("{}: {text:?} is no step", self.name))
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        let named = self.names.iter().zip(self.low..).find(|(name, _)| name.eq_ignore_ascii_case(text));
        let number = || if digits(text) { text.parse().ok() } else { None };
        let value = named.map(|(_, value)| value).or_else(number);
        value.filter(|value| (self.low..=self.high).contains(value)).ok_or_else(|| {
            let names = match self.names {
                [first, .., last] => format!(", or {first} to {last}"),
                _ => String::new(),
            };
            format!("{}: {text:?} is not {} to {}{names}", self.name, self.low, self.high)
        })
    }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
