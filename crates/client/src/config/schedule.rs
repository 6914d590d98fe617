//! The interface of what runs schedules, so that tests can bring a virtual clock.
//! The schedules themselves are not here.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

/// Called when a schedule is due.
pub type ScheduleCallback = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Something to run.
#[derive(Clone)]
pub struct ScheduleEntry {
    /// Its id, unique in the driver.
    pub id: String,
    /// Cron expression or time stamp.
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

/// Runs schedules.
pub trait ScheduleDriver: Send + Sync {
    /// Begins to run an entry.
    fn schedule(&self, entry: ScheduleEntry) -> ScheduleHandle;
    /// Runs an entry no more.
    fn cancel(&self, handle: &ScheduleHandle);
    /// Runs nothing any more.
    fn dispose(&self);
}

impl fmt::Debug for dyn ScheduleDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScheduleDriver")
    }
}
