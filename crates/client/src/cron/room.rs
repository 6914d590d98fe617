//! The jobs of a machine: which there are, which run, and what a due time means while one runs. It tells no time and does
//! none of the work: a schedule driver calls it, and `action` does what is to be done.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};

use super::action::perform;
use super::lease::DriverLease;
use super::{
    CronAction, CronEvent, CronEventStream, CronJobInfo, CronJobOptions, CronOverlap, Schedule,
    TimerScheduleDriver,
};
use crate::config::{ScheduleDriver, ScheduleEntry, ScheduleHandle};
use crate::error::{Error, Result};
use crate::vm::{AgentOs, Vm};
use crate::wire;

/// Most jobs of a machine; the next is [`Error::Limit`] (`cronJobs`).
pub const MAX_CRON_JOBS: usize = 256;
/// Most runs of one job at once with [`CronOverlap::Allow`]; the next is left out, with an error event (`cronRuns`).
pub const MAX_CRON_RUNS: usize = 16;
/// Events that wait for a reader of [`AgentOs::cron_events`]; beyond them the oldest are left out.
pub const MAX_CRON_EVENTS: usize = 256;

/// Bytes of the longest id.
const LONGEST_ID: usize = 255;
/// What runs may take to end when the machine is disposed. They are cancelled, and close their sessions.
const STOP_WAIT: Duration = Duration::from_secs(20);

/// The jobs of a machine.
pub(crate) struct Cron {
    /// In front of ids in the driver, if another machine had it before.
    prefix: String,
    /// The driver of the configuration.
    given: Option<Arc<dyn ScheduleDriver>>,
    state: Mutex<State>,
    /// Held while a job comes or goes here and in the driver: one that comes anew under the id of one that goes is not
    /// taken for it. Runs do not need it.
    order: Mutex<()>,
    stop: watch::Sender<bool>,
    /// Tasks that run.
    runs: watch::Sender<usize>,
}

struct State {
    /// None once it is stopped.
    lease: Option<Arc<DriverLease>>,
    /// In the order in which they came.
    jobs: Vec<Job>,
    /// Numbers given out; ids may come again, these do not.
    serial: u64,
    /// Made for the first reader.
    events: Option<broadcast::Sender<CronEvent>>,
}

struct Job {
    serial: u64,
    id: String,
    schedule: Arc<Schedule>,
    action: Arc<CronAction>,
    overlap: CronOverlap,
    /// Unless the driver is just being told.
    handle: Option<ScheduleHandle>,
    last_run: Option<DateTime<Utc>>,
    run_count: u64,
    running: usize,
    /// One more is to run when that one ends.
    deferred: bool,
}

/// A task that runs, counted until it is dropped.
struct Run {
    vm: Arc<Vm>,
    serial: u64,
    job_id: String,
    action: Arc<CronAction>,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.vm.cron.runs.send_modify(|runs| *runs -= 1);
    }
}

impl Cron {
    /// For a machine. Without a driver it has a timer of its own.
    pub(crate) fn new(given: Option<Arc<dyn ScheduleDriver>>) -> Self {
        let lease = match &given {
            Some(driver) => DriverLease::of(driver),
            None => DriverLease::new(Arc::new(TimerScheduleDriver::new())),
        };
        let prefix = lease.prefix();
        let state = State { lease: Some(lease), jobs: Vec::new(), serial: 0, events: None };
        let (stop, runs) = (watch::Sender::new(false), watch::Sender::new(0));
        Cron { prefix, given, state: Mutex::new(state), order: Mutex::default(), stop, runs }
    }

    /// For a fork, which has the driver and none of the jobs.
    pub(crate) fn fork(&self) -> Self {
        Cron::new(self.given.clone())
    }

    fn lease(&self) -> Option<Arc<DriverLease>> {
        self.state.lock().lease.clone()
    }

    fn now(&self) -> DateTime<Utc> {
        self.lease().map_or_else(Utc::now, |lease| lease.driver.now())
    }

    /// Adds a job and returns its id.
    pub(super) fn schedule(&self, vm: &Arc<Vm>, options: CronJobOptions) -> Result<String> {
        let CronJobOptions { id, schedule: text, action, overlap } = options;
        wire::callbacks()?;
        let schedule = Arc::new(Schedule::parse(&text)?);
        action.check()?;
        let _order = self.order.lock();
        let lease = self.lease().ok_or(Error::Disposed)?;
        if schedule.next_after(lease.driver.now()).is_none() {
            return Err(Error::PastSchedule { schedule: text });
        }
        let (serial, id) = {
            let mut state = self.state.lock();
            let id = state.admit(id)?;
            state.serial += 1;
            let (serial, action) = (state.serial, Arc::new(action));
            let job = Job {
                serial,
                id: id.clone(),
                schedule,
                action,
                overlap,
                handle: None,
                last_run: None,
                run_count: 0,
                running: 0,
                deferred: false,
            };
            state.jobs.push(job);
            (serial, id)
        };
        let weak = Arc::downgrade(vm);
        let callback = Arc::new(move || fire(weak.clone(), serial).boxed());
        let entry = ScheduleEntry { id: format!("{}{id}", self.prefix), schedule: text, callback };
        let handle = lease.driver.schedule(entry);
        if let Some(job) = self.state.lock().job(serial) {
            job.handle = Some(handle);
        }
        Ok(id)
    }

    /// Runs a job no more. What runs goes on to its end; what was deferred does not begin.
    pub(super) fn cancel(&self, id: &str) -> Result<()> {
        let order = self.order.lock();
        let (job, lease) = {
            let mut state = self.state.lock();
            let lease = state.lease.clone().ok_or(Error::Disposed)?;
            let at = state.jobs.iter().position(|job| job.id == id);
            let at = at.ok_or_else(|| Error::CronJobNotFound { id: id.to_owned() })?;
            (state.jobs.remove(at), lease)
        };
        if let Some(handle) = &job.handle {
            lease.driver.cancel(handle);
        }
        // What the callback of a job holds may be dropped with it; not under a lock.
        drop(order);
        Ok(())
    }

    pub(super) fn list(&self) -> Result<Vec<CronJobInfo>> {
        let (lease, jobs) = {
            let state = self.state.lock();
            let lease = state.lease.clone().ok_or(Error::Disposed)?;
            let told = |job: &Job| (job.info(), Arc::clone(&job.schedule), job.handle.clone());
            (lease, state.jobs.iter().map(told).collect::<Vec<_>>())
        };
        let now = lease.driver.now();
        let next = |handle: Option<ScheduleHandle>| handle.and_then(|handle| lease.driver.next_run(&handle));
        let all = jobs.into_iter().map(|(info, schedule, handle)| CronJobInfo {
            next_run: next(handle).or_else(|| schedule.next_after(now)),
            ..info
        });
        Ok(all.collect())
    }

    pub(super) fn events(&self) -> CronEventStream {
        let mut state = self.state.lock();
        if state.lease.is_none() {
            return CronEventStream::new(None);
        }
        let sender = state.events.get_or_insert_with(|| broadcast::Sender::new(MAX_CRON_EVENTS));
        CronEventStream::new(Some(sender.subscribe()))
    }

    fn tell(&self, event: CronEvent) {
        if let Some(events) = &self.state.lock().events {
            // Nobody may be listening.
            let _ = events.send(event);
        }
    }

    /// From now on no run begins; those under way are told to end.
    pub(crate) fn stop_now(&self) {
        let order = self.order.lock();
        let (lease, jobs) = {
            let mut state = self.state.lock();
            (state.lease.take(), std::mem::take(&mut state.jobs))
        };
        let Some(lease) = lease else { return };
        for handle in jobs.iter().filter_map(|job| job.handle.as_ref()) {
            lease.driver.cancel(handle);
        }
        self.stop.send_replace(true);
        drop(order);
    }

    /// Nothing runs.
    pub(crate) fn is_idle(&self) -> bool {
        *self.runs.borrow() == 0
    }

    /// Waits until nothing runs any more, after [`Cron::stop_now`].
    pub(crate) async fn stopped(&self) {
        let mut runs = self.runs.subscribe();
        let Ok(late) = wire::sleep(STOP_WAIT) else { return };
        tokio::select! {
            _ = runs.wait_for(|runs| *runs == 0) => {}
            () = late => tracing::warn!("a run of cron does not end; it is left"),
        }
    }

    /// Readers get what there is, and then the end.
    pub(crate) fn end_events(&self) {
        self.state.lock().events = None;
    }

    /// What a time of a job comes to: a run, or nothing.
    fn begin(vm: &Arc<Vm>, serial: u64) -> Option<Run> {
        let cron = &vm.cron;
        let now = cron.now();
        let mut state = cron.state.lock();
        let job = state.job(serial)?;
        match job.overlap {
            CronOverlap::Allow if job.running >= MAX_CRON_RUNS => {
                let (configured, used) = (MAX_CRON_RUNS as u64, job.running as u64);
                let error = Error::Limit { name: "cronRuns".to_owned(), configured, used, requested: 1 };
                let (job_id, error) = (job.id.clone(), error.to_string());
                drop(state);
                cron.tell(CronEvent::Error { job_id, time: now, error });
                return None;
            }
            CronOverlap::Skip if job.running > 0 => return None,
            CronOverlap::Queue if job.running > 0 => {
                job.deferred = true;
                return None;
            }
            _ => {}
        }
        job.running += 1;
        job.count(now);
        let (job_id, action) = (job.id.clone(), Arc::clone(&job.action));
        // Under the lock, so that whoever stops finds every run that has begun.
        cron.runs.send_modify(|runs| *runs += 1);
        drop(state);
        cron.tell(CronEvent::Fire { job_id: job_id.clone(), time: now });
        Some(Run { vm: Arc::clone(vm), serial, job_id, action })
    }

    /// A run has ended. True if the deferred one takes its place.
    fn end(&self, serial: u64, now: DateTime<Utc>) -> bool {
        let mut state = self.state.lock();
        let Some(job) = state.job(serial) else { return false };
        if std::mem::take(&mut job.deferred) {
            job.count(now);
            return true;
        }
        job.running -= 1;
        // One that is over makes room. The driver knows as well.
        let over =
            job.running == 0 && job.schedule.next_after(now.max(job.last_run.unwrap_or(now))).is_none();
        if over {
            state.jobs.retain(|job| job.serial != serial);
        }
        false
    }
}

impl State {
    fn job(&mut self, serial: u64) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|job| job.serial == serial)
    }

    /// The id of one more job.
    fn admit(&self, id: Option<String>) -> Result<String> {
        let used = self.jobs.len();
        if used >= MAX_CRON_JOBS {
            let (configured, used) = (MAX_CRON_JOBS as u64, used as u64);
            return Err(Error::Limit { name: "cronJobs".to_owned(), configured, used, requested: 1 });
        }
        let taken = |id: &str| self.jobs.iter().any(|job| job.id == id);
        let wrong = |message: String| Err(Error::InvalidRequest { message });
        match id {
            Some(id) if id.is_empty() || id.len() > LONGEST_ID => {
                wrong(format!("the id of a cron job has 1 to {LONGEST_ID} bytes"))
            }
            Some(id) if taken(&id) => wrong(format!("there is a cron job {id:?}")),
            Some(id) => Ok(id),
            // Some of these may be taken by whoever names jobs so.
            None => {
                let free = (self.serial + 1..).map(|n| format!("cron-{n}")).find(|id| !taken(id));
                Ok(free.unwrap_or_default())
            }
        }
    }
}

impl Job {
    fn count(&mut self, now: DateTime<Utc>) {
        self.last_run = Some(now);
        self.run_count += 1;
    }

    /// All but when it runs next.
    fn info(&self) -> CronJobInfo {
        CronJobInfo {
            id: self.id.clone(),
            schedule: self.schedule.as_str().to_owned(),
            action: self.action.info(),
            overlap: self.overlap,
            last_run: self.last_run,
            next_run: None,
            run_count: self.run_count,
            running: self.running > 0,
        }
    }
}

/// What a driver calls. It ends when the run does, and the deferred one after it.
async fn fire(vm: Weak<Vm>, serial: u64) {
    let Some(run) = vm.upgrade().and_then(|vm| Cron::begin(&vm, serial)) else { return };
    // A task of its own: a driver that drops this future does not end the run halfway.
    if let Ok(callbacks) = wire::callbacks() {
        let _ = callbacks.spawn(all(run)).await;
    }
}

async fn all(run: Run) {
    let Run { vm, serial, job_id, action } = &run;
    let os = AgentOs::unowned(Arc::clone(vm));
    let cron = &vm.cron;
    loop {
        let begun = Instant::now();
        let outcome = perform(&os, action, cron.stop.subscribe()).await;
        let (job_id, time, duration) = (job_id.clone(), cron.now(), begun.elapsed());
        let again = cron.end(*serial, time);
        cron.tell(match outcome {
            Ok(()) => CronEvent::Complete { job_id: job_id.clone(), time, duration },
            Err(error) => CronEvent::Error { job_id: job_id.clone(), time, error },
        });
        if !again {
            return;
        }
        cron.tell(CronEvent::Fire { job_id, time });
    }
}
