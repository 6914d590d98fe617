//! Moments in ISO 8601: a calendar date with a time of day, in the extended or the basic form, with an offset or without.
//! Weeks, days of the year and dates of less than a day are not taken.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

const FORMS: [&str; 4] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y%m%dT%H%M%S%.f", "%Y%m%dT%H%M"];

/// Reads a moment. Without an offset it is UTC; a date alone is its first moment.
pub(super) fn parse(text: &str) -> Result<DateTime<Utc>, String> {
    read(text).ok_or_else(|| {
        "is no moment in ISO 8601, such as 2027-01-31T09:30:00Z or 2027-01-31T10:30+01:00".to_owned()
    })
}

fn read(text: &str) -> Option<DateTime<Utc>> {
    let text = text.to_ascii_uppercase();
    let Some(time_at) = text.find('T') else {
        let date = NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()?;
        return Some(date.and_time(NaiveTime::MIN).and_utc());
    };
    let offset_at = text.get(time_at..)?.find(['Z', '+', '-']).map_or(text.len(), |at| time_at + at);
    let (local, offset) = text.split_at_checked(offset_at)?;
    let local = FORMS.iter().find_map(|form| NaiveDateTime::parse_from_str(local, form).ok())?;
    local.checked_sub_signed(minutes_east(offset)?).map(|utc| utc.and_utc())
}

/// `Z`, `+01`, `+0130`, `+01:30`, or nothing.
fn minutes_east(text: &str) -> Option<TimeDelta> {
    if matches!(text, "" | "Z") {
        return Some(TimeDelta::zero());
    }
    let (sign, rest) = text.split_at_checked(1)?;
    let (hours, rest) = rest.split_at_checked(2)?;
    let minutes = match rest {
        "" => "0",
        _ => rest.strip_prefix(':').unwrap_or(rest),
    };
    if rest.len() > 3 || !(hours.bytes().chain(minutes.bytes())).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    let east = TimeDelta::minutes(hours * 60 + minutes);
    let sane = hours < 24 && minutes < 60 && (rest.is_empty() || rest.trim_start_matches(':').len() == 2);
    sane.then_some(if sign == "-" { -east } else { east })
}
