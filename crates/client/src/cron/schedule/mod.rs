//! When a job runs: cron expressions of five to seven fields, their nicknames, and moments. It knows no clock: it is asked
//! what comes after a moment. Everything is UTC, as the clock of a machine is, so a change to or from summer time on the
//! host moves nothing, skips nothing and repeats nothing.

mod crontab;
mod extended;
mod moment;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Utc};

use crate::error::{Error, Result};

/// Bytes of the longest schedule.
const LONGEST: usize = 1024;
/// The last year in which an expression of cron has a time.
const LAST_YEAR: i32 = 2100;

/// A schedule, as [`crate::CronJobOptions::schedule`] takes it.
///
/// | form | meaning |
/// |---|---|
/// | `minute hour day-of-month month day-of-week` | as crontab(5): 0 and 7 are Sunday; of two restricted day fields one must match; a field that begins with `*` is not restricted |
/// | `second minute hour day-of-month month day-of-week [year]` | as the crate `cron`: 1 to 7 are Sunday to Saturday, both day fields must match, `?` is `*` |
/// | `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly`, `@annually` | as crontab(5) |
/// | `2027-01-31T09:30:00+01:00` | ISO 8601: once, at this moment; without an offset it is UTC |
///
/// Fields are UTC. Expressions have no times after the year 2100.
///
/// ```
/// use agentos::cron::Schedule;
/// let weekdays: Schedule = "30 9 * * mon-fri".parse()?;
/// let saturday = "2026-11-28T00:00:00Z".parse().unwrap();
/// assert_eq!(weekdays.next_after(saturday).unwrap().to_rfc3339(), "2026-11-30T09:30:00+00:00");
/// # Ok::<(), agentos::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Schedule {
    text: String,
    times: Times,
}

#[derive(Clone, Debug)]
enum Times {
    /// The times of any of these; there are two when one of two day fields is enough.
    Any(Vec<::cron::Schedule>),
    Once(DateTime<Utc>),
}

impl Schedule {
    /// Reads a schedule.
    ///
    /// # Errors
    /// [`Error::InvalidSchedule`] with what is wrong; also for one that has no time at all, such as 30 February.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |reason: String| Error::InvalidSchedule { schedule: text.to_owned(), reason };
        if text.len() > LONGEST {
            let schedule = text.chars().take(40).chain(['…']).collect();
            return Err(Error::InvalidSchedule { schedule, reason: format!("longer than {LONGEST} bytes") });
        }
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let times = match *fields.as_slice() {
            [word] if word.starts_with('@') => crontab::nickname(word).map(Times::Any),
            [word] if word.starts_with(|c: char| c.is_ascii_digit()) => moment::parse(word).map(Times::Once),
            [zone, ..] if zone.contains('=') => {
                Err("has a variable in front; all fields are UTC, and only a moment may have an offset".into())
            }
            [minute, hour, day, month, weekday] => {
                crontab::parse([minute, hour, day, month, weekday]).map(Times::Any)
            }
            [_, _, _, _, _, _] | [_, _, _, _, _, _, _] => {
                extended::parse(&fields).map(|all| Times::Any(vec![all]))
            }
            _ => Err(format!(
                "has {} fields; a schedule is 5, 6 or 7 fields of cron, such a name as @daily, or a moment in ISO 8601",
                fields.len()
            )),
        }
        .map_err(invalid)?;
        let schedule = Schedule { text: text.to_owned(), times };
        match schedule.next_after(DateTime::UNIX_EPOCH).is_some() || matches!(schedule.times, Times::Once(_))
        {
            true => Ok(schedule),
            false => Err(invalid("no day ever matches it".to_owned())),
        }
    }

    /// The first time after a moment, if there is one.
    #[must_use]
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match &self.times {
            Times::Once(at) => Some(*at).filter(|at| *at > after),
            Times::Any(_) if after.year() > LAST_YEAR => None,
            Times::Any(all) => {
                let after = after.max(DateTime::UNIX_EPOCH);
                all.iter().filter_map(|one| one.after(&after).next()).min()
            }
        }
    }

    /// The moment of a schedule that is one.
    pub(super) const fn once(&self) -> Option<DateTime<Utc>> {
        match self.times {
            Times::Once(at) => Some(at),
            Times::Any(_) => None,
        }
    }

    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Schedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Schedule::parse(text)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Names of the fields, for people.
const SECOND: &str = "second";
const MINUTE: &str = "minute";
const HOUR: &str = "hour";
const DAY_OF_MONTH: &str = "day of month";
const MONTH: &str = "month";
const DAY_OF_WEEK: &str = "day of week";
const YEAR: &str = "year";
