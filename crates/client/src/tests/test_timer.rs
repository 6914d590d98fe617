//! The schedule driver of real time, with a clock that can be set and tokio's paused time. What a jump means is tested with
//! the table of entries; here it is that the driver looks at the clock again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use crate::cron::{Clock, TimerScheduleDriver};
use crate::{ScheduleDriver, ScheduleEntry};

/// Goes with the time of tokio, from a moment on, and can be set.
#[derive(Clone)]
struct TestClock {
    start: Instant,
    time: Arc<Mutex<DateTime<Utc>>>,
}

impl TestClock {
    fn set(&self, by: TimeDelta) {
        *self.time.lock() += by;
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        *self.time.lock() + self.start.elapsed()
    }
}

struct Timer {
    driver: TimerScheduleDriver,
    clock: TestClock,
    runs: Arc<AtomicUsize>,
}

impl Timer {
    fn at(time: &str) -> Timer {
        let time = format!("2027-03-01T{time}Z").parse().unwrap();
        let clock = TestClock { start: Instant::now(), time: Arc::new(Mutex::new(time)) };
        let driver = TimerScheduleDriver::with(Box::new(clock.clone()), Some(Handle::current()));
        Timer { driver, clock, runs: Arc::default() }
    }

    fn schedule(&self, schedule: &str) -> crate::ScheduleHandle {
        let runs = Arc::clone(&self.runs);
        let callback = Arc::new(move || {
            runs.fetch_add(1, Ordering::SeqCst);
            async {}.boxed()
        });
        self.driver.schedule(ScheduleEntry { id: schedule.into(), schedule: schedule.into(), callback })
    }

    /// Runs so far, this much later.
    async fn runs_after(&self, seconds: u64) -> usize {
        sleep(Duration::from_secs(seconds)).await;
        self.runs.load(Ordering::SeqCst)
    }
}

#[tokio::test(start_paused = true)]
async fn it_runs_at_its_times() {
    let timer = Timer::at("12:00:30");
    let handle = timer.schedule("*/10 * * * *");
    timer.schedule("2027-03-01T12:15:00Z");
    assert_eq!(timer.runs_after(569).await, 0);
    assert_eq!(timer.runs_after(2).await, 1, "12:10");
    assert_eq!(timer.driver.next_run(&handle), Some("2027-03-01T12:20:00Z".parse().unwrap()));
    assert_eq!(timer.runs_after(300).await, 2, "the moment");
    assert_eq!(timer.runs_after(24 * 3600).await, 2 + 6 * 24);
}

#[tokio::test(start_paused = true)]
async fn times_that_a_jump_forward_missed_are_one_run_within_a_minute() {
    let timer = Timer::at("12:00:00");
    timer.schedule("*/30 * * * *");
    assert_eq!(timer.runs_after(1).await, 0);
    timer.clock.set(TimeDelta::hours(3));
    assert_eq!(timer.runs_after(61).await, 1, "for all of 12:30 to 15:00");
    assert_eq!(timer.runs_after(28 * 60).await, 1);
    assert_eq!(timer.runs_after(60).await, 2, "15:30");
}

#[tokio::test(start_paused = true)]
async fn after_a_jump_back_no_time_is_run_for_again() {
    let timer = Timer::at("12:29:00");
    timer.schedule("*/30 * * * *");
    assert_eq!(timer.runs_after(61).await, 1, "12:30");
    timer.clock.set(TimeDelta::minutes(-20));
    assert_eq!(timer.runs_after(25 * 60).await, 1, "12:30 has come again");
    assert_eq!(timer.runs_after(26 * 60).await, 2, "13:00");
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_panics_or_hangs_stops_no_other() {
    let timer = Timer::at("12:00:00");
    let entry = |id: &str, callback| ScheduleEntry { id: id.into(), schedule: "* * * * *".into(), callback };
    timer.driver.schedule(entry("panics", Arc::new(|| panic!("on purpose"))));
    timer.driver.schedule(entry("hangs", Arc::new(|| std::future::pending().boxed())));
    timer.schedule("* * * * *");
    assert_eq!(timer.runs_after(5 * 60 + 1).await, 5);
}

#[tokio::test(start_paused = true)]
async fn what_is_cancelled_or_disposed_runs_no_more() {
    let timer = Timer::at("12:00:00");
    let handle = timer.schedule("* * * * *");
    timer.schedule("30 * * * *");
    assert_eq!(timer.runs_after(61).await, 1);
    timer.driver.cancel(&handle);
    assert_eq!(timer.runs_after(20 * 60).await, 1);
    assert_eq!(timer.runs_after(10 * 60).await, 2, "the other one");
    timer.driver.dispose();
    assert_eq!(timer.runs_after(2 * 3600).await, 2);
    timer.schedule("0 0 * * *");
    assert_eq!(timer.runs_after(24 * 3600).await, 3, "it can be used again");
}
