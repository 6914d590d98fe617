//! A schedule driver whose time stands still until it is moved, for tests and examples: a year of runs takes as long as the
//! runs themselves.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;

use super::Schedule;
use super::table::{Missed, Table};
use crate::config::{ScheduleDriver, ScheduleEntry, ScheduleHandle};

/// Runs schedules in virtual time, which only [`VirtualScheduleDriver::advance`] and
/// [`VirtualScheduleDriver::advance_to`] move. They run what becomes due in the order of time, one after the other, and
/// wait for each; meanwhile it is the time that the run is for. Every time is a run: none is left out.
///
/// Two that advance at once share what is due: that way runs overlap. After it was disposed it can be used again.
///
/// ```no_run
/// # async fn f() -> Result<(), agentos::Error> {
/// use std::{sync::Arc, time::Duration};
/// use agentos::{AgentOs, AgentOsConfig, CronAction, CronJobOptions};
/// use agentos::cron::VirtualScheduleDriver;
///
/// let time = Arc::new(VirtualScheduleDriver::new("2027-01-01T00:00:00Z".parse().unwrap()));
/// let os = AgentOs::create(AgentOsConfig::builder().schedule_driver(time.clone()).build()).await?;
/// let action = CronAction::Exec { command: "date".into(), args: vec![] };
/// os.schedule_cron(CronJobOptions::new("@hourly", action)).await?;
/// assert_eq!(time.advance(Duration::from_secs(86_400)).await, 24);
/// # Ok(()) }
/// ```
pub struct VirtualScheduleDriver {
    state: Mutex<State>,
}

struct State {
    now: DateTime<Utc>,
    table: Table,
}

impl VirtualScheduleDriver {
    /// A driver whose time is `start`.
    #[must_use]
    pub fn new(start: DateTime<Utc>) -> Self {
        VirtualScheduleDriver { state: Mutex::new(State { now: start, table: Table::default() }) }
    }

    /// Moves the time on by this much and runs what becomes due. Returns how many callbacks were called.
    pub async fn advance(&self, by: Duration) -> usize {
        let by = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
        let to = ScheduleDriver::now(self).checked_add_signed(by).unwrap_or(DateTime::<Utc>::MAX_UTC);
        self.advance_to(to).await
    }

    /// Moves the time on to this moment and runs what becomes due, at this moment too. Time never goes back: a moment that
    /// has passed changes nothing. Returns how many callbacks were called.
    pub async fn advance_to(&self, to: DateTime<Utc>) -> usize {
        let mut called = 0;
        while let Some(callback) = self.take(to) {
            callback().await;
            called += 1;
        }
        called
    }

    fn take(&self, to: DateTime<Utc>) -> Option<crate::config::ScheduleCallback> {
        let mut state = self.state.lock();
        let due = state.table.take(to, Missed::Each);
        let time = due.as_ref().map_or(to, |(time, _)| *time);
        state.now = state.now.max(time);
        due.map(|(_, callback)| callback)
    }
}

impl ScheduleDriver for VirtualScheduleDriver {
    fn schedule(&self, entry: ScheduleEntry) -> ScheduleHandle {
        let handle = ScheduleHandle { id: entry.id.clone() };
        let mut state = self.state.lock();
        match Schedule::parse(&entry.schedule) {
            Ok(schedule) => {
                let now = state.now;
                state.table.insert(entry, schedule, now);
            }
            Err(error) => tracing::error!(id = entry.id, %error, "this entry never runs"),
        }
        handle
    }

    fn cancel(&self, handle: &ScheduleHandle) {
        self.state.lock().table.remove(&handle.id);
    }

    fn dispose(&self) {
        self.state.lock().table.clear();
    }

    fn now(&self) -> DateTime<Utc> {
        self.state.lock().now
    }

    fn next_run(&self, handle: &ScheduleHandle) -> Option<DateTime<Utc>> {
        self.state.lock().table.next(&handle.id)
    }
}

impl fmt::Debug for VirtualScheduleDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualScheduleDriver")
            .field("now", &ScheduleDriver::now(self))
            .finish_non_exhaustive()
    }
}
