//! The interface of what runs schedules, so that tests can bring a virtual clock.
//! The schedules themselves, and the two drivers of this library, are in `cron`.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;

/// Called when a schedule is due. The future ends when the run does; dropping it does not end the run.
pub type ScheduleCallback = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Something to run.
#[derive(Clone)]
pub struct ScheduleEntry {
    /// Its id, unique in the driver: that of the job. Of machines that share a driver, as forks do, all but the first have
    /// `machine-2/` and so on before it.
    pub id: String,
    /// Cron expression or time stamp, checked: [`crate::cron::Schedule`] reads it.
    pub schedule: String,
    /// What to call.
    pub callback: ScheduleCallback,
}

impl fmt::Debug for ScheduleEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScheduleEntry")
            .field("id", &self.id)
            .field("schedule", &self.schedule)
            .finish_non_exhaustive()
    }
}

/// A running schedule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ScheduleHandle {
    /// Id of its entry.
    pub id: String,
}

/// Runs schedules. Machines may share a driver, and forks do; it is disposed with the last of them.
///
/// Its methods must return at once. What a job does while it still runs ([`crate::CronOverlap`]), and how many run at once, is not the
/// driver's affair: it calls back whenever a schedule is due.
pub trait ScheduleDriver: Send + Sync {
    /// Begins to run an entry.
    fn schedule(&self, entry: ScheduleEntry) -> ScheduleHandle;
    /// Runs an entry no more.
    fn cancel(&self, handle: &ScheduleHandle);
    /// Runs none of its entries any more.
    fn dispose(&self);
    /// The time that schedules go by; the host's.
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
    /// When an entry runs next, if the driver knows; without it the schedule is asked.
    fn next_run(&self, handle: &ScheduleHandle) -> Option<DateTime<Utc>> {
        let _ = handle;
        None
    }
}

impl fmt::Debug for dyn ScheduleDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScheduleDriver")
    }
}
