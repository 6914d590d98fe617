//! Schedules: tables of expressions and what comes next, and a property that compares with a matcher that is too simple to
//! be wrong.

use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Timelike, Utc};
use proptest::prelude::*;

use crate::Error;
use crate::cron::Schedule;

fn utc(text: &str) -> DateTime<Utc> {
    format!("{text}Z").parse().unwrap()
}

fn check(rows: &[(&str, &str, &str)]) {
    for (schedule, after, expected) in rows {
        let next = Schedule::parse(schedule).unwrap().next_after(utc(after)).unwrap();
        assert_eq!(next, utc(expected), "{schedule} after {after}");
    }
}

fn reason(schedule: &str) -> String {
    match Schedule::parse(schedule) {
        Err(Error::InvalidSchedule { reason, .. }) => reason,
        other => panic!("{schedule}: {other:?}"),
    }
}

#[test]
fn five_fields_are_those_of_crontab() {
    // 27 November 2026 is a Friday.
    check(&[
        ("* * * * *", "2026-11-27T17:15:30", "2026-11-27T17:16:00"),
        ("* * * * *", "2026-12-31T23:59:00", "2027-01-01T00:00:00"),
        ("0 * * * *", "2026-11-27T17:00:00", "2026-11-27T18:00:00"),
        ("5,35 * * * *", "2026-11-27T17:06:00", "2026-11-27T17:35:00"),
        ("*/15 * * * *", "2026-11-27T17:46:00", "2026-11-27T18:00:00"),
        ("10-20/5 * * * *", "2026-11-27T17:20:00", "2026-11-27T18:10:00"),
        ("7-59/13 * * * *", "2026-11-27T17:47:00", "2026-11-27T17:59:00"),
        ("*/7 * * * *", "2026-11-27T17:56:30", "2026-11-27T18:00:00"),
        ("59 23 * * *", "2026-11-27T23:59:00", "2026-11-28T23:59:00"),
        ("0 0 * * *", "2026-02-28T00:00:00", "2026-03-01T00:00:00"),
        ("0 0 * * *", "2028-02-28T00:00:00", "2028-02-29T00:00:00"),
        ("0 9-17 * * *", "2026-11-27T17:00:00", "2026-11-28T09:00:00"),
        ("0 9-17/4 * * *", "2026-11-27T09:00:00", "2026-11-27T13:00:00"),
        ("0 */5 * * *", "2026-11-27T20:00:00", "2026-11-28T00:00:00"),
        ("30 4 1,15 * *", "2026-11-15T04:30:00", "2026-12-01T04:30:00"),
        ("0 0 31 * *", "2026-01-31T00:00:00", "2026-03-31T00:00:00"),
        ("0 0 30 * *", "2026-01-30T12:00:00", "2026-03-30T00:00:00"),
        ("0 0 29 2 *", "2026-11-27T00:00:00", "2028-02-29T00:00:00"),
        ("0 0 29 feb *", "2028-02-28T23:59:59", "2028-02-29T00:00:00"),
        ("0 0 1 */3 *", "2026-11-27T00:00:00", "2027-01-01T00:00:00"),
        ("0 0 1 2-12/5 *", "2026-03-01T00:00:00", "2026-07-01T00:00:00"),
        ("0 12 * jan,JUL *", "2026-02-01T00:00:00", "2026-07-01T12:00:00"),
        ("0 12 * 6-8 *", "2026-08-31T12:00:00", "2027-06-01T12:00:00"),
        ("0 12 31 4-6 *", "2026-04-01T00:00:00", "2026-05-31T12:00:00"),
        ("0 0 * * 0", "2026-11-27T00:00:00", "2026-11-29T00:00:00"),
        ("0 0 * * 7", "2026-11-27T00:00:00", "2026-11-29T00:00:00"),
        ("0 0 * * 0,7", "2026-11-29T00:00:00", "2026-12-06T00:00:00"),
        ("0 0 * * sun", "2026-11-29T00:00:01", "2026-12-06T00:00:00"),
        ("0 0 * * SUN", "2026-11-22T00:00:00", "2026-11-29T00:00:00"),
        ("0 0 * * mon-fri", "2026-11-27T12:00:00", "2026-11-30T00:00:00"),
        ("0 0 * * 1-5", "2026-11-26T12:00:00", "2026-11-27T00:00:00"),
        ("0 0 * * 5-7", "2026-11-28T00:00:00", "2026-11-29T00:00:00"),
        ("0 0 * * 6-7", "2026-11-29T00:00:00", "2026-12-05T00:00:00"),
        ("0 0 * * 0-3", "2026-11-25T00:00:00", "2026-11-29T00:00:00"),
        ("0 0 * * 1-7/2", "2026-11-27T00:00:00", "2026-11-29T00:00:00"),
        ("0 0 * * */2", "2026-11-28T00:00:00", "2026-11-29T00:00:00"),
        ("0 0 * * */7", "2026-11-27T00:00:00", "2026-11-29T00:00:00"),
        ("0 0 * * 0-7", "2026-11-27T00:00:00", "2026-11-28T00:00:00"),
        ("0 0 13 * 5", "2026-11-09T00:00:00", "2026-11-13T00:00:00"),
        ("0 0 13 * 5", "2026-12-11T00:00:00", "2026-12-13T00:00:00"),
        ("0 0 13 * fri", "2026-12-12T00:00:00", "2026-12-13T00:00:00"),
        ("0 0 1,15 * 3", "2026-11-30T00:00:00", "2026-12-01T00:00:00"),
        ("0 0 1,15 * wed", "2026-12-01T00:00:00", "2026-12-02T00:00:00"),
        ("0 0 30 2 1", "2026-02-24T00:00:00", "2027-02-01T00:00:00"),
        ("0 0 31 2,4 mon", "2026-02-23T00:00:00", "2026-04-06T00:00:00"),
        ("0 0 1-31 * 1", "2026-11-27T00:00:00", "2026-11-28T00:00:00"),
        ("0 0 1-7 * 1-7", "2026-11-27T00:00:00", "2026-11-28T00:00:00"),
        ("0 0 */2 * 1", "2026-11-27T00:00:00", "2026-12-07T00:00:00"),
        ("0 0 */10 * 0", "2026-11-27T00:00:00", "2027-01-31T00:00:00"),
        ("0 0 1-7 * */1", "2026-11-27T00:00:00", "2026-12-01T00:00:00"),
        ("0 0 1 * */2", "2026-11-27T00:00:00", "2026-12-01T00:00:00"),
        ("0 0 29 2 */1", "2026-11-27T00:00:00", "2028-02-29T00:00:00"),
        ("0 0 * 2 1", "2026-03-01T00:00:00", "2027-02-01T00:00:00"),
        ("*/20 8-10,20 1-10/3 dec 2-4", "2026-12-01T10:40:00", "2026-12-01T20:00:00"),
        ("0 0 31 12 *", "2026-12-31T00:00:00", "2027-12-31T00:00:00"),
        ("1 1 1 1 *", "2026-01-01T01:01:00", "2027-01-01T01:01:00"),
        ("05 06 07 08 *", "2026-11-27T00:00:00", "2027-08-07T06:05:00"),
        ("*/100 * * * *", "2026-11-27T17:00:00", "2026-11-27T18:00:00"),
        ("0 22 * * 1-5", "2026-11-27T22:00:00", "2026-11-30T22:00:00"),
        ("23 0-20/2 * * *", "2026-11-27T20:23:00", "2026-11-28T00:23:00"),
        ("0 0,12 1 */2 *", "2026-11-01T12:00:00", "2027-01-01T00:00:00"),
        ("0 4 8-14 * *", "2026-11-14T04:00:00", "2026-12-08T04:00:00"),
    ]);
}

#[test]
fn nicknames_are_those_of_crontab() {
    check(&[
        ("@hourly", "2026-11-27T17:00:00", "2026-11-27T18:00:00"),
        ("@daily", "2026-11-27T00:00:00", "2026-11-28T00:00:00"),
        ("@midnight", "2026-12-31T12:00:00", "2027-01-01T00:00:00"),
        ("@weekly", "2026-11-27T00:00:00", "2026-11-29T00:00:00"),
        ("@monthly", "2026-11-01T00:00:00", "2026-12-01T00:00:00"),
        ("@yearly", "2026-01-01T00:00:00", "2027-01-01T00:00:00"),
        (" @annually ", "2026-11-27T00:00:00", "2027-01-01T00:00:00"),
    ]);
    assert!(reason("@reboot").contains("reboot"));
    assert!(reason("@often").contains("@hourly"));
}

#[test]
fn six_and_seven_fields_count_from_sunday_as_one_and_want_both_days() {
    check(&[
        ("* * * * * *", "2026-11-27T17:00:00", "2026-11-27T17:00:01"),
        ("*/10 * * * * *", "2026-11-27T17:59:55", "2026-11-27T18:00:00"),
        ("30 0 12 * * *", "2026-11-27T12:00:30", "2026-11-28T12:00:30"),
        ("0 0 0 * * 1", "2026-11-27T00:00:00", "2026-11-29T00:00:00"),
        ("0 0 0 * * 7", "2026-11-27T00:00:00", "2026-11-28T00:00:00"),
        ("0 0 0 ? * MON-FRI", "2026-11-27T00:00:00", "2026-11-30T00:00:00"),
        ("0 0 0 13 * 6", "2026-11-13T00:00:00", "2027-08-13T00:00:00"),
        ("0 0 0 1 1 * 2030", "2026-11-27T00:00:00", "2030-01-01T00:00:00"),
        ("0 0 0 29 2 ? 2027-2040/1", "2026-11-27T00:00:00", "2028-02-29T00:00:00"),
        ("0 0 6/6 * * *", "2026-11-27T12:00:00", "2026-11-27T18:00:00"),
    ]);
    for (schedule, field) in [
        ("60 * * * * *", "second: \"60\""),
        ("* * 24 * * *", "hour: \"24\""),
        ("* ? * * * *", "minute: \"?\""),
        ("* * * 0 * *", "day of month: \"0\""),
        ("* * * * foo *", "month: \"foo\""),
        ("* * * * * 0", "day of week: \"0\""),
        ("* * * * * * 1969", "year: \"1969\""),
        ("** * * * * *", "second: \"**\""),
        ("*/0 * * * * *", "second: \"*/0\""),
        ("* * * * * mon-", "day of week: \"mon-\""),
    ] {
        assert!(reason(schedule).starts_with(field), "{schedule}: {}", reason(schedule));
    }
}

#[test]
fn what_is_wrong_in_five_fields_is_said() {
    for (schedule, part) in [
        ("60 * * * *", "minute: \"60\" is not 0 to 59"),
        ("* 24 * * *", "hour: \"24\" is not 0 to 23"),
        ("* * 0 * *", "day of month: \"0\" is not 1 to 31"),
        ("* * * 13 *", "month: \"13\" is not 1 to 12, or jan to dec"),
        ("* * * * 8", "day of week: \"8\" is not 0 to 7, or sun to sat"),
        ("* * * * monday", "day of week: \"monday\""),
        ("* * * mon *", "month: \"mon\""),
        ("5/10 * * * *", "minute: \"5/10\": a step follows `*` or a range"),
        ("*/0 * * * *", "minute: \"0\" is no step"),
        ("*/+5 * * * *", "minute: \"+5\" is no step"),
        ("10-5 * * * *", "minute: \"10-5\": a range goes from low to high"),
        ("* * * * sat-sun", "day of week: \"sat-sun\": a range goes from low to high"),
        ("1,,2 * * * *", "minute: \"\""),
        ("-1 * * * *", "minute: \"\""),
        ("? * * * *", "minute: \"?\""),
        ("** * * * *", "minute: \"**\""),
        ("99999999999999999999 * * * *", "minute: "),
        ("0 0 30 2 *", "no day ever matches"),
        ("0 0 31 4,6,9,11 *", "no day ever matches"),
        ("0 0 0 31 2 *", "no day ever matches"),
        ("CRON_TZ=Europe/Berlin 0 9 * * *", "all fields are UTC"),
        ("", "has 0 fields"),
        ("* * * *", "has 4 fields"),
        ("* * * * * * * *", "has 8 fields"),
    ] {
        assert!(reason(schedule).contains(part), "{schedule}: {}", reason(schedule));
    }
    assert!(reason(&"1,".repeat(1000)).contains("longer than"));
}

#[test]
fn moments_are_iso_8601() {
    for (text, expected) in [
        ("2027-01-31T09:30:00Z", "2027-01-31T09:30:00"),
        ("2027-01-31t09:30:00z", "2027-01-31T09:30:00"),
        ("2027-01-31T09:30:00", "2027-01-31T09:30:00"),
        ("2027-01-31T09:30", "2027-01-31T09:30:00"),
        ("2027-01-31", "2027-01-31T00:00:00"),
        ("2027-01-31T09:30:00.250Z", "2027-01-31T09:30:00.250"),
        ("2027-01-31T09:30:00+01:00", "2027-01-31T08:30:00"),
        ("2027-01-31T09:30+0530", "2027-01-31T04:00:00"),
        ("2027-01-01T00:30:00+01", "2026-12-31T23:30:00"),
        ("2027-01-31T09:30:00-08:00", "2027-01-31T17:30:00"),
        ("20270131T093000Z", "2027-01-31T09:30:00"),
        ("20270131T0930", "2027-01-31T09:30:00"),
        ("2028-02-29T00:00:00Z", "2028-02-29T00:00:00"),
    ] {
        let schedule = Schedule::parse(text).unwrap();
        let at = utc(expected);
        assert_eq!(schedule.next_after(at - TimeDelta::milliseconds(1)), Some(at), "{text}");
        assert_eq!(schedule.next_after(at), None, "{text}: once");
    }
    for text in [
        "2027-02-29T00:00:00Z",
        "2027-13-01T00:00:00Z",
        "2027-01-31T25:00:00Z",
        "2027-01-31T09:30:00+25:00",
        "2027-01-31T09:30:00+01:60",
        "2027-01-31T09:30:00+1",
        "2027-01-31T09:30:00+01:0",
        "2027-01-31T09:30:00+01:00:00",
        "2027-01-31T",
        "2027-01-31T09:30:00ZZ",
        "2027",
        "5",
        "2027-01-31T09:30:00+é",
    ] {
        assert!(reason(text).contains("ISO 8601"), "{text}");
    }
}

#[test]
fn there_is_an_end_of_time() {
    let every = Schedule::parse("* * * * *").unwrap();
    assert_eq!(every.next_after(DateTime::<Utc>::MAX_UTC), None);
    assert_eq!(every.next_after(utc("2100-12-31T23:59:00")), None);
    assert_eq!(every.next_after(DateTime::<Utc>::MIN_UTC), Some(utc("1970-01-01T00:01:00")));
    assert_eq!(Schedule::parse("0 0 29 2 *").unwrap().next_after(utc("2096-02-29T00:00:00")), None);
}

/// A field as it is made up; it is written down for the schedule, and matched by itself.
#[derive(Clone, Debug)]
struct Field(Vec<Item>);

#[derive(Clone, Debug)]
enum Item {
    Star(u32),
    One(u32),
    Range(u32, u32, u32),
}

impl Field {
    fn any(low: u32, high: u32) -> impl Strategy<Value = Field> {
        let item = prop_oneof![
            3 => (1..=high + 3).prop_map(Item::Star),
            2 => Just(Item::Star(1)),
            3 => (low..=high).prop_map(Item::One),
            2 => (low..=high, low..=high, 1..=7u32)
                .prop_map(|(a, b, step)| Item::Range(a.min(b), a.max(b), step)),
        ];
        prop::collection::vec(item, 1..=3).prop_map(Field)
    }

    fn text(&self) -> String {
        let item = |item: &Item| match item {
            Item::Star(1) => "*".to_owned(),
            Item::Star(step) => format!("*/{step}"),
            Item::One(value) => value.to_string(),
            Item::Range(low, high, 1) => format!("{low}-{high}"),
            Item::Range(low, high, step) => format!("{low}-{high}/{step}"),
        };
        self.0.iter().map(item).collect::<Vec<_>>().join(",")
    }

    fn has(&self, value: u32, low: u32) -> bool {
        self.0.iter().any(|item| match *item {
            Item::Star(step) => (value - low).is_multiple_of(step),
            Item::One(one) => one == value,
            Item::Range(from, to, step) => {
                from <= value && value <= to && (value - from).is_multiple_of(step)
            }
        })
    }

    fn is_starred(&self) -> bool {
        self.text().starts_with('*')
    }
}

#[derive(Clone, Debug)]
struct Crontab {
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
}

impl Crontab {
    fn any() -> impl Strategy<Value = Crontab> {
        let fields =
            (Field::any(0, 59), Field::any(0, 23), Field::any(1, 31), Field::any(1, 12), Field::any(0, 7));
        fields.prop_map(|(minute, hour, day, month, weekday)| Crontab { minute, hour, day, month, weekday })
    }

    fn text(&self) -> String {
        [&self.minute, &self.hour, &self.day, &self.month, &self.weekday].map(Field::text).join(" ")
    }

    fn has_day(&self, date: NaiveDate) -> bool {
        let day = self.day.has(date.day(), 1);
        let number = date.weekday().num_days_from_sunday();
        let weekday = self.weekday.has(number, 0) || number == 0 && self.weekday.has(7, 0);
        let both = self.day.is_starred() || self.weekday.is_starred();
        self.month.has(date.month(), 1) && if both { day && weekday } else { day || weekday }
    }

    /// The minutes of a day, from its start.
    fn minutes(&self) -> impl Iterator<Item = u32> {
        (0..24 * 60).filter(|n| self.hour.has(n / 60, 0) && self.minute.has(n % 60, 0))
    }
}

proptest! {
    #[test]
    fn the_next_time_matches_and_none_before_it_does(
        crontab in Crontab::any(),
        seconds in 1_577_836_800_i64..2_524_608_000,
    ) {
        let after = DateTime::from_timestamp(seconds, 0).unwrap();
        let text = crontab.text();
        let next = Schedule::parse(&text).ok().and_then(|schedule| schedule.next_after(after));
        // 30 years: a leap day falls on each day of the week within 28.
        let days = (0..30 * 366).filter_map(|n| after.date_naive().checked_add_days(Days::new(n)));
        let expected = days.filter(|day| crontab.has_day(*day)).find_map(|day| {
            let begin = day.and_hms_opt(0, 0, 0).unwrap().and_utc();
            crontab.minutes().map(|n| begin + TimeDelta::minutes(n.into())).find(|time| *time > after)
        });
        prop_assert_eq!(next, expected, "{} after {}", text, after);
        prop_assert!(next.is_none_or(|next| next.second() == 0 && next.nanosecond() == 0));
    }

    #[test]
    fn no_text_panics(text in "[-0-9*/,?@a-zTZ:+=. é]{0,40}") {
        if let Ok(schedule) = Schedule::parse(&text) {
            let _ = schedule.next_after(DateTime::UNIX_EPOCH);
        }
    }
}
