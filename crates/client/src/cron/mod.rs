//! Jobs that a machine runs by a schedule: a prompt to an agent, a program, a function of this program. They live as long as
//! the machine and are kept nowhere: a program that starts anew schedules them anew.
//!
//! [`Schedule`] says when, a [`crate::ScheduleDriver`] watches the time ([`TimerScheduleDriver`], or
//! [`VirtualScheduleDriver`] in tests), and what a due time means while a run is under way is decided in `room`.

mod action;
mod events;
mod lease;
mod options;
mod room;
mod schedule;
mod table;
mod timer;
mod virtual_time;

pub use chrono::{DateTime, Utc};
pub use events::{CronEvent, CronEventStream};
pub use options::{CronAction, CronActionInfo, CronCallback, CronJobInfo, CronJobOptions, CronOverlap};
pub(crate) use room::Cron;
pub use room::{MAX_CRON_EVENTS, MAX_CRON_JOBS, MAX_CRON_RUNS};
pub use schedule::Schedule;
#[cfg(test)]
pub(crate) use timer::Clock;
pub use timer::TimerScheduleDriver;
pub use virtual_time::VirtualScheduleDriver;

use crate::error::Result;
use crate::vm::AgentOs;

/// A job that was scheduled. Dropping it does not cancel the job.
#[derive(Clone, Debug)]
pub struct CronJobHandle {
    /// Id of the job.
    pub id: String,
    os: AgentOs,
}

impl CronJobHandle {
    /// [`AgentOs::cancel_cron_job`].
    ///
    /// # Errors
    /// As there.
    pub async fn cancel(&self) -> Result<()> {
        self.os.cancel_cron_job(&self.id).await
    }
}

impl AgentOs {
    /// Runs something by a schedule, until it is cancelled or the machine ends. A job whose last time has passed is forgotten
    /// when its run ends.
    ///
    /// # Errors
    /// [`crate::Error::InvalidSchedule`]; [`crate::Error::PastSchedule`] if no time is left;
    /// [`crate::Error::InvalidRequest`] for an id that is taken, empty or longer than 255 bytes, and for an action that can
    /// never work; [`crate::Error::Limit`] (`cronJobs`, [`MAX_CRON_JOBS`]); [`crate::Error::Disposed`].
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs) -> Result<(), agentos::Error> {
    /// use agentos::{CronAction, CronEvent, CronJobOptions, CronOverlap};
    /// let mut events = os.cron_events();
    /// let job = os.schedule_cron(CronJobOptions {
    ///     id: Some("review".into()),
    ///     schedule: "0 9 * * mon-fri".into(),
    ///     action: CronAction::Session {
    ///         agent_type: "pi".into(),
    ///         prompt: "Review what changed since yesterday".into(),
    ///         options: Default::default(),
    ///     },
    ///     overlap: CronOverlap::Skip,
    /// }).await?;
    /// while let Some(event) = events.next().await {
    ///     if let CronEvent::Error { job_id, error, .. } = event {
    ///         println!("{job_id}: {error}");
    ///         job.cancel().await?;
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn schedule_cron(&self, options: CronJobOptions) -> Result<CronJobHandle> {
        let id = self.vm.cron.schedule(&self.vm, options)?;
        Ok(CronJobHandle { id, os: self.clone() })
    }

    /// The jobs, in the order in which they were scheduled.
    ///
    /// # Errors
    /// [`crate::Error::Disposed`].
    pub async fn list_cron_jobs(&self) -> Result<Vec<CronJobInfo>> {
        self.vm.cron.list()
    }

    /// Runs a job no more and forgets it. A run that is under way goes on to its end; a deferred one does not begin.
    ///
    /// # Errors
    /// [`crate::Error::CronJobNotFound`]; [`crate::Error::Disposed`].
    pub async fn cancel_cron_job(&self, id: impl AsRef<str>) -> Result<()> {
        self.vm.cron.cancel(id.as_ref())
    }

    /// What jobs do from now on: runs that begin, end and fail. [`MAX_CRON_EVENTS`] wait for a reader; one that is slower is
    /// told how many it missed. The stream ends with the machine.
    #[must_use]
    pub fn cron_events(&self) -> CronEventStream {
        self.vm.cron.events()
    }
}
