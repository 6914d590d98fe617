//! The proleptic Gregorian calendar: days since 1970 to dates and back.

/// A moment, taken apart.
pub(crate) struct Date {
    pub(crate) year: i64,
    /// From 0.
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    /// From Sunday, 0.
    pub(crate) weekday: i64,
    /// From 0.
    pub(crate) yearday: i64,
}

impl Date {
    /// The date of a moment, in seconds since 1970, so many seconds east of Greenwich.
    pub(crate) fn new(epoch: i64, offset: i64) -> Self {
        let local = epoch.saturating_add(offset);
        let (days, time) = (local.div_euclid(86_400), local.rem_euclid(86_400));
        // In years that begin in March.
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = (from_march + 2) % 12;
        let year = year_of_era + era * 400 + i64::from(month < 2);
        let yearday = if month < 2 { day_of_year - 306 } else { day_of_year + 59 + i64::from(is_leap(year)) };
        Date {
            year,
            month,
            day: day_of_year - (153 * from_march + 2) / 5 + 1,
            hour: time / 3600,
            minute: time / 60 % 60,
            second: time % 60,
            weekday: weekday(days),
            yearday,
        }
    }

    pub(crate) fn hour12(&self) -> i64 {
        (self.hour + 11) % 12 + 1
    }

    /// Year and week of ISO 8601.
    pub(crate) fn iso(&self) -> (i64, i64) {
        let monday = (self.weekday + 6) % 7;
        let week = (self.yearday - monday + 10) / 7;
        if week < 1 {
            return (self.year - 1, weeks(self.year - 1));
        }
        if week > weeks(self.year) { (self.year + 1, 1) } else { (self.year, week) }
    }
}

pub(crate) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The weekday of a day since 1970, from Sunday, 0.
pub(crate) fn weekday(days: i64) -> i64 {
    (days + 4).rem_euclid(7)
}

/// Days from 1970 to the first of January of a year.
pub(crate) fn new_year(year: i64) -> i64 {
    let before = year - 1;
    before * 365 + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 719_162
}

/// Days of the months, from 0.
pub(crate) fn month_days(year: i64, month: usize) -> i64 {
    match month {
        1 => 28 + i64::from(is_leap(year)),
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}

/// How many weeks a year of ISO 8601 has.
fn weeks(year: i64) -> i64 {
    // The weekday of 31 December; a year that ends, or whose former ends, so has 53.
    let last = |y: i64| (y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400)).rem_euclid(7);
    52 + i64::from(last(year) == 4 || last(year - 1) == 3)
}
