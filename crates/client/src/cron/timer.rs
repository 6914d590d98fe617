//! The schedule driver of real time. It sleeps for a while at most and then looks at the clock again, so that a clock that
//! is set, and a computer that was asleep, cost no more than that while. What a jump means is the table's to say.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::Schedule;
use super::table::{Missed, Table};
use crate::config::{ScheduleDriver, ScheduleEntry, ScheduleHandle};
use crate::wire;

/// The longest sleep without a look at the clock.
const LOOK: Duration = Duration::from_secs(60);

/// What tells the time of day.
pub(crate) trait Clock: Send + Sync {
    fn now(&self) -> DateTime<Utc>;
}

struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// Runs schedules by the clock of the host: the driver of a machine that is given none.
///
/// It reads the clock again at least every 60 seconds. When the clock was set forward, or the computer slept, all times that
/// a schedule missed are one run. When it was set back, no run is for a time that another one was for already.
///
/// It waits for no callback: one that takes longer than its period is called while the one before runs. After it was
/// disposed it can be used again.
pub struct TimerScheduleDriver {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Box<dyn Clock>,
    /// Where the loop and the callbacks run; the library's own threads.
    runtime: Option<Handle>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    table: Table,
    /// The loop runs: it does while there is an entry.
    looping: bool,
}

impl Default for TimerScheduleDriver {
    fn default() -> Self {
        TimerScheduleDriver::with(Box::new(WallClock), None)
    }
}

impl TimerScheduleDriver {
    /// A driver with no entry yet.
    #[must_use]
    pub fn new() -> Self {
        TimerScheduleDriver::default()
    }

    pub(crate) fn with(clock: Box<dyn Clock>, runtime: Option<Handle>) -> Self {
        let (state, changed) = (Mutex::default(), Notify::new());
        TimerScheduleDriver { shared: Arc::new(Shared { clock, runtime, state, changed }) }
    }
}

impl ScheduleDriver for TimerScheduleDriver {
    fn schedule(&self, entry: ScheduleEntry) -> ScheduleHandle {
        let handle = ScheduleHandle { id: entry.id.clone() };
        let schedule = match Schedule::parse(&entry.schedule) {
            Ok(schedule) => schedule,
            Err(error) => {
                tracing::error!(id = entry.id, %error, "this entry never runs");
                return handle;
            }
        };
        let runtime = self.shared.runtime.clone().map_or_else(|| wire::callbacks().cloned(), Ok);
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(id = entry.id, %error, "this entry never runs");
                return handle;
            }
        };
        let now = self.shared.clock.now();
        let mut state = self.shared.state.lock();
        state.table.insert(entry, schedule, now);
        if !state.looping {
            state.looping = true;
            runtime.spawn(run(Arc::clone(&self.shared), runtime.clone()));
        }
        drop(state);
        self.shared.changed.notify_one();
        handle
    }

    fn cancel(&self, handle: &ScheduleHandle) {
        self.shared.state.lock().table.remove(&handle.id);
        self.shared.changed.notify_one();
    }

    fn dispose(&self) {
        self.shared.state.lock().table.clear();
        self.shared.changed.notify_one();
    }

    fn now(&self) -> DateTime<Utc> {
        self.shared.clock.now()
    }

    fn next_run(&self, handle: &ScheduleHandle) -> Option<DateTime<Utc>> {
        self.shared.state.lock().table.next(&handle.id)
    }
}

async fn run(shared: Arc<Shared>, runtime: Handle) {
    loop {
        let now = shared.clock.now();
        let wait = {
            let mut state = shared.state.lock();
            state.table.look(now);
            while let Some((_, callback)) = state.table.take(now, Missed::Once) {
                // A task each: one that panics or takes long stops no other.
                runtime.spawn(async move { callback().await });
            }
            let Some(next) = state.table.earliest() else {
                state.looping = false;
                return;
            };
            (next - now).to_std().unwrap_or_default().min(LOOK)
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shared.changed.notified() => {}
        }
    }
}

impl Drop for TimerScheduleDriver {
    fn drop(&mut self) {
        self.dispose();
    }
}

impl fmt::Debug for TimerScheduleDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerScheduleDriver").finish_non_exhaustive()
    }
}
