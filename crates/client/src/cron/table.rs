//! The entries of a schedule driver and when each is due next. It has no clock and runs nothing: it is told the time, and
//! gives out what is due. What a clock that jumps does to schedules is decided here.

use chrono::{DateTime, Utc};

use super::Schedule;
use crate::config::{ScheduleCallback, ScheduleEntry};

#[derive(Default)]
pub(super) struct Table {
    /// In the order in which they came.
    entries: Vec<Planned>,
}

struct Planned {
    id: String,
    schedule: Schedule,
    callback: ScheduleCallback,
    /// The time it ran for last: it never runs for this one, or one before, again.
    fired: DateTime<Utc>,
    /// What was up to here is not made up for.
    seen: DateTime<Utc>,
    next: Option<DateTime<Utc>>,
}

impl Planned {
    fn plan(&mut self) {
        self.next = self.schedule.next_after(self.fired.max(self.seen));
    }
}

/// What becomes of times that have passed.
#[derive(Clone, Copy)]
pub(super) enum Missed {
    /// However many there were, they are one run.
    Once,
    /// Each is a run.
    Each,
}

impl Table {
    /// Takes an entry in, in place of one with its id. A moment that has passed is due at once.
    pub(super) fn insert(&mut self, entry: ScheduleEntry, schedule: Schedule, now: DateTime<Utc>) {
        let ScheduleEntry { id, callback, .. } = entry;
        self.remove(&id);
        let next = schedule.once().or_else(|| schedule.next_after(now));
        let fired = DateTime::<Utc>::MIN_UTC;
        self.entries.push(Planned { id, schedule, callback, fired, seen: now, next });
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.entries.retain(|entry| entry.id != id);
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    /// The time of the next one.
    pub(super) fn earliest(&self) -> Option<DateTime<Utc>> {
        self.entries.iter().filter_map(|entry| entry.next).min()
    }

    /// When an entry is due.
    pub(super) fn next(&self, id: &str) -> Option<DateTime<Utc>> {
        self.entries.iter().find(|entry| entry.id == id)?.next
    }

    /// The clock says `now`. If it was set back, what has not run yet is due again at its time; what has run is not.
    pub(super) fn look(&mut self, now: DateTime<Utc>) {
        for entry in self.entries.iter_mut().filter(|entry| entry.seen > now) {
            entry.seen = now;
            entry.plan();
        }
    }

    /// Gives out one of those that are due at `now`, the earliest first and of one time the oldest, and plans its next time.
    /// One that has no next time is forgotten.
    pub(super) fn take(
        &mut self,
        now: DateTime<Utc>,
        missed: Missed,
    ) -> Option<(DateTime<Utc>, ScheduleCallback)> {
        let due = |entry: &Planned| entry.next.filter(|next| *next <= now);
        let (at, time) = (self.entries.iter().enumerate())
            .filter_map(|(at, entry)| Some((at, due(entry)?)))
            .min_by_key(|(_, time)| *time)?;
        let entry = self.entries.get_mut(at)?;
        entry.fired = time;
        entry.seen = match missed {
            Missed::Once => now,
            Missed::Each => time,
        };
        entry.plan();
        let callback = entry.callback.clone();
        if entry.next.is_none() {
            self.entries.remove(at);
        }
        Some((time, callback))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2027-03-{text}Z").parse().unwrap()
    }

    fn table(schedule: &str, now: &str) -> Table {
        let mut table = Table::default();
        add(&mut table, "a", schedule, now);
        table
    }

    fn add(table: &mut Table, id: &str, schedule: &str, now: &str) {
        let callback: ScheduleCallback = Arc::new(|| async {}.boxed());
        let entry = ScheduleEntry { id: id.into(), schedule: schedule.into(), callback };
        table.insert(entry, schedule.parse().unwrap(), at(now));
    }

    /// The times that runs are for, after a look at the clock.
    fn fire(table: &mut Table, now: &str) -> Vec<DateTime<Utc>> {
        table.look(at(now));
        std::iter::from_fn(|| table.take(at(now), Missed::Once)).map(|(time, _)| time).collect()
    }

    #[test]
    fn each_time_is_one_run() {
        let mut table = table("*/5 * * * *", "01T00:00:00");
        assert_eq!(table.next("a"), Some(at("01T00:05:00")), "not for the moment it began in");
        assert!(fire(&mut table, "01T00:04:59").is_empty());
        assert_eq!(fire(&mut table, "01T00:05:00"), [at("01T00:05:00")]);
        assert!(fire(&mut table, "01T00:05:00").is_empty());
        assert!(fire(&mut table, "01T00:09:59").is_empty());
        assert_eq!(fire(&mut table, "01T00:10:01"), [at("01T00:10:00")], "a moment late");
        assert_eq!(table.earliest(), Some(at("01T00:15:00")));
    }

    #[test]
    fn after_a_jump_forward_what_was_missed_is_one_run() {
        let mut table = table("*/5 * * * *", "01T00:00:00");
        assert_eq!(fire(&mut table, "08T12:01:00").len(), 1, "a week of them");
        assert!(fire(&mut table, "08T12:01:01").is_empty());
        assert_eq!(fire(&mut table, "08T12:05:00"), [at("08T12:05:00")]);
    }

    #[test]
    fn after_a_jump_back_no_time_is_a_run_again() {
        let mut table = table("*/5 * * * *", "01T00:00:00");
        assert_eq!(fire(&mut table, "01T00:05:00").len(), 1);
        assert_eq!(fire(&mut table, "01T00:10:00").len(), 1);
        assert!(fire(&mut table, "01T00:01:00").is_empty());
        assert!(fire(&mut table, "01T00:05:00").is_empty());
        assert!(fire(&mut table, "01T00:10:30").is_empty());
        assert_eq!(fire(&mut table, "01T00:15:00"), [at("01T00:15:00")]);
    }

    #[test]
    fn a_jump_forward_that_is_taken_back_stops_nothing() {
        let mut table = table("*/5 * * * *", "01T00:00:00");
        assert_eq!(fire(&mut table, "01T00:05:00").len(), 1);
        assert_eq!(fire(&mut table, "28T00:00:00"), [at("01T00:10:00")], "for the first that was missed");
        assert!(fire(&mut table, "01T00:06:00").is_empty());
        assert!(fire(&mut table, "01T00:10:00").is_empty(), "this one has run");
        assert_eq!(fire(&mut table, "01T00:15:00"), [at("01T00:15:00")], "not only in four weeks");
    }

    #[test]
    fn a_jump_back_before_the_first_run_loses_nothing() {
        let mut table = table("0 12 * * *", "02T13:00:00");
        assert_eq!(table.earliest(), Some(at("03T12:00:00")));
        assert!(fire(&mut table, "02T11:00:00").is_empty());
        assert_eq!(fire(&mut table, "02T12:00:00"), [at("02T12:00:00")]);
    }

    #[test]
    fn a_moment_is_one_run_and_is_forgotten() {
        let mut table = table("2027-03-05T10:00:00Z", "01T00:00:00");
        assert!(fire(&mut table, "05T09:59:59").is_empty());
        assert_eq!(fire(&mut table, "06T00:00:00"), [at("05T10:00:00")], "late");
        assert_eq!(table.earliest(), None);
        assert!(fire(&mut table, "05T09:00:00").is_empty());
        assert!(fire(&mut table, "07T00:00:00").is_empty());
        add(&mut table, "b", "2027-03-05T10:00:00Z", "05T10:00:00");
        assert_eq!(fire(&mut table, "05T10:00:00").len(), 1, "it passed while it was taken in");
    }

    #[test]
    fn what_is_due_comes_in_order() {
        let mut table = table("30 10 * * *", "01T00:00:00");
        add(&mut table, "b", "20 10 * * *", "01T00:00:00");
        add(&mut table, "c", "30 10 * * *", "01T00:00:00");
        let (first, second) = (at("01T10:20:00"), at("01T10:30:00"));
        assert_eq!(fire(&mut table, "01T11:00:00"), [first, second, second]);
        table.remove("b");
        assert_eq!(table.earliest(), Some(at("02T10:30:00")));
        add(&mut table, "a", "0 9 * * *", "01T11:00:00");
        assert_eq!(table.entries.len(), 2, "in place of the one before");
    }

    #[test]
    fn in_virtual_time_each_missed_one_is_a_run() {
        let mut table = table("@hourly", "01T00:00:00");
        let now = at("01T03:30:00");
        let times = std::iter::from_fn(|| table.take(now, Missed::Each)).map(|(time, _)| time);
        assert_eq!(times.collect::<Vec<_>>(), [at("01T01:00:00"), at("01T02:00:00"), at("01T03:00:00")]);
    }
}
