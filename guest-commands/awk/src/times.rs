//! Times: systime, strftime, mktime, in the zone of `TZ`.

use crate::error::Result;
use crate::value::{Str, Value};
use crate::vm::Vm;
use agentos_tz::Zone;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

/// How gawk writes a date unless told otherwise.
const FORMAT: &str = "%a %b %e %H:%M:%S %Z %Y";

/// The years that are reckoned with: further ones are outside every calendar.
const MAX_YEAR: i64 = 1_000_000;

/// Seconds since 1970.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

/// Days since 1970 of a date; months may be out of range.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let months = year * 12 + month - 1;
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year + day - 1 - 719_468
}

impl Vm {
    fn zone(&mut self, utc: bool) -> Rc<Zone> {
        if utc {
            return Zone::kept(Some("UTC0"), None);
        }
        let variable = |name: &str| std::env::var(name).ok();
        Zone::kept(variable("TZ").as_deref(), variable("TZDIR").as_deref())
    }

    /// strftime([format [, seconds [, utc]]]).
    pub(crate) fn strftime(&mut self, args: &[Value]) -> Result<Value> {
        let format = match args.first() {
            Some(format) => String::from_utf8_lossy(&self.str(format)).into_owned(),
            None => FORMAT.to_owned(),
        };
        let seconds = args.get(1).map_or_else(now, Value::num).floor();
        let limit = (MAX_YEAR * 366 * 86_400) as f64;
        let zone = self.zone(args.get(2).is_some_and(Value::truth));
        let text = agentos_tz::format(&format, seconds.clamp(-limit, limit) as i64, None, &zone);
        Ok(Value::Str(Str::from_vec(text.into_bytes())))
    }

    /// mktime("YYYY MM DD HH MM SS [DST]"), -1 for what is no date.
    pub(crate) fn mktime(&mut self, date: &[u8], utc: bool) -> f64 {
        let date = String::from_utf8_lossy(date).into_owned();
        let parts: Vec<i64> = date.split_whitespace().map_while(|word| word.parse().ok()).collect();
        let [year, month, day, hour, minute, second, ..] = parts[..] else { return -1.0 };
        if parts.iter().any(|part| part.abs() > MAX_YEAR) {
            return -1.0;
        }
        let local = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
        let zone = self.zone(utc);
        // The offset that holds a little earlier or later, whichever leads back to this date.
        let offset = |at: i64| {
            let text = agentos_tz::format("%z", at, None, &zone);
            let number: i64 = text.parse().unwrap_or(0);
            (number / 100 * 60 + number % 100) * 60
        };
        let (before, after) = (offset(local - 86_400), offset(local + 86_400));
        let summer_first = parts.get(6) == Some(&0);
        let order = if summer_first { [before.min(after), before.max(after)] } else { [before, after] };
        let fitting = order.into_iter().find(|o| offset(local - o) == *o);
        (local - fitting.unwrap_or(before)) as f64
    }
}
