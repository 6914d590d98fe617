//! Jobs: what runs, what is told, what overlaps, and how they end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use agentos_protocol::message::Request;
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::Semaphore;

use super::{Fake, soon, vm_with};
use crate::cron::{MAX_CRON_EVENTS, MAX_CRON_JOBS, MAX_CRON_RUNS, VirtualScheduleDriver};
use crate::{
    AgentOs, AgentOsConfig, CronAction, CronEvent, CronEventStream, CronJobOptions, CronOverlap, Error,
    ScheduleDriver, ScheduleEntry, ScheduleHandle,
};

fn at(text: &str) -> DateTime<Utc> {
    format!("2027-03-01T{text}Z").parse().unwrap()
}

/// A machine at noon.
async fn virtual_vm() -> (AgentOs, Arc<Fake>, Arc<VirtualScheduleDriver>) {
    let driver = Arc::new(VirtualScheduleDriver::new(at("12:00:00")));
    let (os, fake) = vm_with(AgentOsConfig::builder().schedule_driver(driver.clone()).build()).await;
    (os, fake, driver)
}

const HOUR: Duration = Duration::from_secs(3600);

/// A driver that calls when it is told to.
#[derive(Default)]
struct Manual {
    entries: Mutex<Vec<ScheduleEntry>>,
    cancelled: Mutex<Vec<String>>,
    disposed: AtomicBool,
}

impl Manual {
    fn call(&self, id: &str) -> BoxFuture<'static, ()> {
        let callback = self.entries.lock().iter().rev().find(|e| e.id == id).unwrap().callback.clone();
        callback()
    }
}

impl ScheduleDriver for Manual {
    fn schedule(&self, entry: ScheduleEntry) -> ScheduleHandle {
        let id = entry.id.clone();
        self.entries.lock().push(entry);
        ScheduleHandle { id }
    }

    fn cancel(&self, handle: &ScheduleHandle) {
        self.cancelled.lock().push(handle.id.clone());
    }

    fn dispose(&self) {
        self.disposed.store(true, Ordering::SeqCst);
    }

    fn now(&self) -> DateTime<Utc> {
        at("12:00:00")
    }
}

async fn manual_vm() -> (AgentOs, Arc<Fake>, Arc<Manual>) {
    let driver = Arc::new(Manual::default());
    let (os, fake) = vm_with(AgentOsConfig::builder().schedule_driver(driver.clone()).build()).await;
    (os, fake, driver)
}

/// Work that begins, and ends when it is let.
#[derive(Clone)]
struct Gate {
    begun: Arc<Semaphore>,
    open: Arc<Semaphore>,
    runs: Arc<AtomicUsize>,
}

impl Gate {
    fn new() -> Gate {
        let closed = || Arc::new(Semaphore::new(0));
        Gate { begun: closed(), open: closed(), runs: Arc::default() }
    }

    fn action(&self) -> CronAction {
        let gate = self.clone();
        CronAction::callback(move || {
            let gate = gate.clone();
            async move {
                gate.runs.fetch_add(1, Ordering::SeqCst);
                gate.begun.add_permits(1);
                gate.open.acquire().await.unwrap().forget();
                Ok(())
            }
        })
    }

    async fn begun(&self) {
        soon(self.begun.acquire()).await.unwrap().forget();
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }
}

fn job(id: &str, schedule: &str, action: CronAction) -> CronJobOptions {
    CronJobOptions { id: Some(id.into()), ..CronJobOptions::new(schedule, action) }
}

fn nothing() -> CronAction {
    CronAction::callback(|| async { Ok(()) })
}

fn exec(command: &str, args: &[&str]) -> CronAction {
    CronAction::Exec { command: command.into(), args: args.iter().map(|&arg| arg.to_owned()).collect() }
}

fn session(prompt: &str) -> CronAction {
    CronAction::Session { agent_type: "pi".into(), prompt: prompt.into(), options: Default::default() }
}

async fn next(events: &mut CronEventStream) -> CronEvent {
    soon(events.next()).await.unwrap()
}

/// The next event that is an error.
async fn error(events: &mut CronEventStream) -> String {
    loop {
        if let CronEvent::Error { error, .. } = next(events).await {
            return error;
        }
    }
}

#[tokio::test]
async fn a_run_is_counted_told_and_listed() {
    let (os, _fake, time) = virtual_vm().await;
    let mut events = os.cron_events();
    let runs = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&runs);
    let action = CronAction::callback(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        async { Ok(()) }
    });
    os.schedule_cron(job("tick", "*/20 * * * *", action)).await.unwrap();
    let listed = || async { os.list_cron_jobs().await.unwrap().pop().unwrap() };
    let before = listed().await;
    assert_eq!((before.run_count, before.last_run, before.next_run), (0, None, Some(at("12:20:00"))));

    assert_eq!(soon(time.advance(HOUR)).await, 3);
    assert_eq!(runs.load(Ordering::SeqCst), 3);
    let after = listed().await;
    assert_eq!((after.run_count, after.running), (3, false));
    assert_eq!((after.last_run, after.next_run), (Some(at("13:00:00")), Some(at("13:20:00"))));
    for expected in ["12:20:00", "12:40:00", "13:00:00"].map(at) {
        assert_eq!(next(&mut events).await, CronEvent::Fire { job_id: "tick".into(), time: expected });
        match next(&mut events).await {
            CronEvent::Complete { job_id, time, .. } => {
                assert_eq!((job_id.as_str(), time), ("tick", expected))
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn jobs_and_events_are_json() {
    let (os, _fake, _time) = virtual_vm().await;
    os.schedule_cron(job("a", "0 13 * * *", session("hi"))).await.unwrap();
    os.schedule_cron(job("b", "@hourly", exec("ls", &["-l"]))).await.unwrap();
    let options = CronJobOptions { overlap: CronOverlap::Queue, ..job("c", "2027-04-01", nothing()) };
    os.schedule_cron(options).await.unwrap();
    let jobs = os.list_cron_jobs().await.unwrap();
    let none = json!(null);
    let expected = json!([
        {
            "id": "a", "schedule": "0 13 * * *", "overlap": "allow", "lastRun": none,
            "nextRun": "2027-03-01T13:00:00Z", "runCount": 0, "running": false,
            "action": { "type": "session", "agentType": "pi", "prompt": [{ "type": "text", "text": "hi" }] },
        },
        {
            "id": "b", "schedule": "@hourly", "overlap": "allow", "lastRun": none,
            "nextRun": "2027-03-01T13:00:00Z", "runCount": 0, "running": false,
            "action": { "type": "exec", "command": "ls", "args": ["-l"] },
        },
        {
            "id": "c", "schedule": "2027-04-01", "overlap": "queue", "lastRun": none,
            "nextRun": "2027-04-01T00:00:00Z", "runCount": 0, "running": false, "action": { "type": "callback" },
        },
    ]);
    assert_eq!(serde_json::to_value(&jobs).unwrap(), expected);
    let duration = Duration::from_millis(1500);
    let event = CronEvent::Complete { job_id: "a".into(), time: at("12:00:00"), duration };
    let expected =
        json!({ "type": "complete", "jobId": "a", "time": "2027-03-01T12:00:00Z", "durationMs": 1500 });
    assert_eq!(serde_json::to_value(&event).unwrap(), expected);
    assert_eq!(serde_json::from_value::<CronEvent>(expected).unwrap(), event);
}

#[tokio::test]
async fn ids_are_unique_and_made_if_none_is_given() {
    let (os, _fake, _time) = virtual_vm().await;
    os.schedule_cron(job("cron-2", "@hourly", nothing())).await.unwrap();
    let made = os.schedule_cron(CronJobOptions::new("@daily", nothing())).await.unwrap();
    assert_eq!(made.id, "cron-3", "the other is taken");
    for id in ["cron-2", "cron-3", "", &"x".repeat(256)] {
        let refused = os.schedule_cron(job(id, "@hourly", nothing())).await.unwrap_err();
        assert!(matches!(refused, Error::InvalidRequest { .. }), "{id}: {refused:?}");
    }
    made.cancel().await.unwrap();
    assert!(matches!(made.cancel().await, Err(Error::CronJobNotFound { id }) if id == "cron-3"));
    os.schedule_cron(job("cron-3", "@hourly", nothing())).await.unwrap();
    assert_eq!(os.list_cron_jobs().await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_number_of_jobs_is_bounded() {
    let (os, _fake, time) = virtual_vm().await;
    os.schedule_cron(CronJobOptions::new("2027-03-01T12:30:00Z", nothing())).await.unwrap();
    for _ in 1..MAX_CRON_JOBS {
        os.schedule_cron(CronJobOptions::new("@yearly", nothing())).await.unwrap();
    }
    match os.schedule_cron(CronJobOptions::new("@yearly", nothing())).await.unwrap_err() {
        Error::Limit { name, configured, used, .. } => {
            assert_eq!((name.as_str(), configured, used), ("cronJobs", 256, 256));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(soon(time.advance(HOUR)).await, 1);
    os.schedule_cron(CronJobOptions::new("@yearly", nothing())).await.unwrap();
}

#[tokio::test]
async fn what_can_never_run_is_refused() {
    let (os, _fake, _time) = virtual_vm().await;
    for schedule in
        ["2027-03-01T12:00:00Z", "2027-03-01T12:30:00+01:00", "1999-12-31", "0 0 0 1 1 * 2020-2026"]
    {
        let refused = os.schedule_cron(CronJobOptions::new(schedule, nothing())).await.unwrap_err();
        assert!(matches!(&refused, Error::PastSchedule { schedule: s } if s == schedule), "{refused:?}");
    }
    for schedule in ["0 0 30 2 *", "@reboot", "* * * *", "soon"] {
        let refused = os.schedule_cron(CronJobOptions::new(schedule, nothing())).await.unwrap_err();
        assert!(matches!(&refused, Error::InvalidSchedule { .. }), "{refused:?}");
    }
    let options = crate::CreateSessionOptions { cwd: Some("here".into()), ..Default::default() };
    let relative = CronAction::Session { agent_type: "pi".into(), prompt: "hi".into(), options };
    let no_prompt = CronAction::Session {
        agent_type: "pi".into(),
        prompt: Vec::new().into(),
        options: Default::default(),
    };
    for action in [exec("", &[]), relative, no_prompt] {
        let refused = os.schedule_cron(CronJobOptions::new("@daily", action)).await;
        assert!(matches!(refused, Err(Error::InvalidRequest { .. } | Error::PathNotAbsolute { .. })));
    }
    assert!(os.list_cron_jobs().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_moment_is_one_run_and_the_job_is_gone() {
    let (os, _fake, time) = virtual_vm().await;
    let mut events = os.cron_events();
    let once = os.schedule_cron(job("once", "2027-03-01T12:30:00.5Z", nothing())).await.unwrap();
    let years = os.schedule_cron(job("years", "0 0 0 1 1 * 2028-2029", nothing())).await.unwrap();
    assert_eq!(soon(time.advance(HOUR)).await, 1);
    let when = at("12:30:00.5");
    assert_eq!(next(&mut events).await, CronEvent::Fire { job_id: "once".into(), time: when });
    assert!(matches!(next(&mut events).await, CronEvent::Complete { .. }));
    assert!(matches!(once.cancel().await, Err(Error::CronJobNotFound { .. })));
    assert_eq!(soon(time.advance_to("2035-01-01T00:00:00Z".parse().unwrap())).await, 2);
    assert!(matches!(years.cancel().await, Err(Error::CronJobNotFound { .. })));
    assert!(os.list_cron_jobs().await.unwrap().is_empty());
}

#[tokio::test]
async fn with_skip_a_time_during_a_run_is_nothing() {
    let (os, _fake, driver) = manual_vm().await;
    let gate = Gate::new();
    let options = CronJobOptions { overlap: CronOverlap::Skip, ..job("a", "@hourly", gate.action()) };
    os.schedule_cron(options).await.unwrap();
    let first = tokio::spawn(driver.call("a"));
    gate.begun().await;
    soon(driver.call("a")).await;
    let listed = os.list_cron_jobs().await.unwrap().pop().unwrap();
    assert_eq!((listed.run_count, listed.running), (1, true));
    gate.open.add_permits(2);
    soon(first).await.unwrap();
    assert_eq!(gate.runs(), 1);
    soon(driver.call("a")).await;
    assert_eq!(gate.runs(), 2, "the next one counts");
}

#[tokio::test]
async fn with_queue_any_number_of_times_is_one_more_run() {
    let (os, _fake, driver) = manual_vm().await;
    let mut events = os.cron_events();
    let gate = Gate::new();
    let options = CronJobOptions { overlap: CronOverlap::Queue, ..job("a", "@hourly", gate.action()) };
    os.schedule_cron(options).await.unwrap();
    let first = tokio::spawn(driver.call("a"));
    gate.begun().await;
    for _ in 0..5 {
        soon(driver.call("a")).await;
    }
    assert_eq!(gate.runs(), 1, "they do not run side by side");
    gate.open.add_permits(1);
    gate.begun().await;
    gate.open.add_permits(1);
    soon(first).await.unwrap();
    assert_eq!(gate.runs(), 2);
    let listed = os.list_cron_jobs().await.unwrap().pop().unwrap();
    assert_eq!((listed.run_count, listed.running), (2, false));
    for _ in 0..2 {
        assert!(matches!(next(&mut events).await, CronEvent::Fire { .. }));
        assert!(matches!(next(&mut events).await, CronEvent::Complete { .. }));
    }
}

#[tokio::test]
async fn with_allow_runs_overlap_up_to_a_limit_that_is_told() {
    let (os, _fake, driver) = manual_vm().await;
    let mut events = os.cron_events();
    let gate = Gate::new();
    os.schedule_cron(job("a", "@hourly", gate.action())).await.unwrap();
    let runs: Vec<_> = (0..MAX_CRON_RUNS).map(|_| tokio::spawn(driver.call("a"))).collect();
    for _ in &runs {
        gate.begun().await;
    }
    soon(driver.call("a")).await;
    assert_eq!(gate.runs(), MAX_CRON_RUNS);
    assert!(error(&mut events).await.contains("cronRuns"));
    gate.open.add_permits(MAX_CRON_RUNS + 1);
    for run in runs {
        soon(run).await.unwrap();
    }
    soon(driver.call("a")).await;
    assert_eq!(gate.runs(), MAX_CRON_RUNS + 1);
}

#[tokio::test]
async fn a_callback_that_fails_or_panics_is_an_event_and_the_job_goes_on() {
    let (os, _fake, time) = virtual_vm().await;
    let mut events = os.cron_events();
    let n = AtomicUsize::new(0);
    let action = CronAction::callback(move || {
        let n = n.fetch_add(1, Ordering::SeqCst);
        assert!(n != 0, "before it waits");
        async move {
            match n {
                1 => panic!("number {n}"),
                2 => Err("no disk left".to_owned()),
                _ => Ok(()),
            }
        }
    });
    os.schedule_cron(job("a", "*/15 * * * *", action)).await.unwrap();
    assert_eq!(soon(time.advance(HOUR)).await, 4);
    for expected in ["it panicked: before it waits", "it panicked: number 1", "no disk left"] {
        assert_eq!(error(&mut events).await, expected);
    }
    assert!(matches!(next(&mut events).await, CronEvent::Fire { .. }));
    assert!(matches!(next(&mut events).await, CronEvent::Complete { .. }));
    assert!(!os.list_cron_jobs().await.unwrap()[0].running);
}

#[tokio::test]
async fn a_program_that_fails_is_an_event_with_its_last_words() {
    let (os, _fake, driver) = manual_vm().await;
    let mut events = os.cron_events();
    for (id, action) in [
        ("good", exec("echo", &["much"])),
        ("quiet", exec("exit", &["7"])),
        ("loud", exec("complain", &["no", "room"])),
        ("nowhere", exec("nowhere", &[])),
    ] {
        os.schedule_cron(job(id, "@hourly", action)).await.unwrap();
    }
    soon(driver.call("good")).await;
    assert!(matches!(next(&mut events).await, CronEvent::Fire { .. }));
    assert!(matches!(next(&mut events).await, CronEvent::Complete { .. }));
    for (id, expected) in [("quiet", "status 7"), ("loud", "status 3: no room"), ("nowhere", "exec: no such")]
    {
        soon(driver.call(id)).await;
        let said = error(&mut events).await;
        assert!(said.starts_with(expected), "{id}: {said}");
    }
}

#[tokio::test]
async fn a_session_is_made_prompted_and_always_closed() {
    let (os, fake, driver) = manual_vm().await;
    let mut events = os.cron_events();
    os.schedule_cron(job("good", "@hourly", session("hi"))).await.unwrap();
    os.schedule_cron(job("bad", "@hourly", session("fail"))).await.unwrap();
    soon(driver.call("good")).await;
    assert!(matches!(next(&mut events).await, CronEvent::Fire { .. }));
    assert!(matches!(next(&mut events).await, CronEvent::Complete { .. }));
    soon(driver.call("bad")).await;
    assert_eq!(error(&mut events).await, "the agent gave up");
    let one = ["session.create", "session.prompt", "session.close"];
    assert_eq!(fake.methods()[1..], [one, one].concat());
}

#[tokio::test]
async fn after_a_cancel_nothing_begins_and_what_runs_goes_on() {
    let (os, _fake, driver) = manual_vm().await;
    let mut events = os.cron_events();
    let gate = Gate::new();
    let options = CronJobOptions { overlap: CronOverlap::Queue, ..job("a", "@hourly", gate.action()) };
    let handle = os.schedule_cron(options).await.unwrap();
    let first = tokio::spawn(driver.call("a"));
    gate.begun().await;
    soon(driver.call("a")).await;
    handle.cancel().await.unwrap();
    assert_eq!(*driver.cancelled.lock(), ["a"]);
    // A driver that is late.
    soon(driver.call("a")).await;
    gate.open.add_permits(1);
    soon(first).await.unwrap();
    assert_eq!(gate.runs(), 1, "the deferred one does not begin");
    assert!(matches!(next(&mut events).await, CronEvent::Fire { .. }));
    assert!(matches!(next(&mut events).await, CronEvent::Complete { .. }));
}

#[tokio::test]
async fn dispose_ends_cron_first_and_closes_the_sessions_of_runs() {
    let (os, fake, driver) = manual_vm().await;
    let mut events = os.cron_events();
    os.schedule_cron(job("a", "@hourly", session("wait"))).await.unwrap();
    os.schedule_cron(job("b", "@hourly", nothing())).await.unwrap();
    let run = tokio::spawn(driver.call("a"));
    soon(async {
        while fake.kept.lock().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let (first, second) = soon(async { tokio::join!(os.dispose(), os.dispose()) }).await;
    first.unwrap();
    second.unwrap();
    soon(run).await.unwrap();
    let methods = fake.methods();
    assert_eq!(methods[1..], ["session.create", "session.prompt", "session.close", "vm.dispose"]);
    assert_eq!(*driver.cancelled.lock(), ["a", "b"]);
    assert!(driver.disposed.load(Ordering::SeqCst));
    assert!(matches!(next(&mut events).await, CronEvent::Fire { .. }));
    assert!(error(&mut events).await.starts_with("cancelled"));
    assert_eq!(soon(events.next()).await, None);
    assert_eq!(soon(events.next()).await, None);

    soon(driver.call("b")).await;
    assert!(matches!(os.schedule_cron(job("c", "@hourly", nothing())).await, Err(Error::Disposed)));
    assert!(matches!(os.list_cron_jobs().await, Err(Error::Disposed)));
    assert!(matches!(os.cancel_cron_job("b").await, Err(Error::Disposed)));
    assert_eq!(soon(os.cron_events().next()).await, None);
    assert_eq!(fake.methods().len(), methods.len());
}

/// Takes its time to be dropped.
struct Slow(Arc<AtomicBool>);

impl Drop for Slow {
    fn drop(&mut self) {
        std::thread::sleep(Duration::from_millis(100));
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn after_dispose_no_run_is_under_way() {
    let (os, fake, driver) = manual_vm().await;
    let (gate, over) = (Gate::new(), Arc::new(AtomicBool::new(false)));
    let (begun, dropped) = (Arc::clone(&gate.begun), Arc::clone(&over));
    let action = CronAction::callback(move || {
        let (begun, slow) = (Arc::clone(&begun), Slow(Arc::clone(&dropped)));
        async move {
            begun.add_permits(1);
            std::future::pending::<()>().await;
            drop(slow);
            Ok(())
        }
    });
    os.schedule_cron(job("a", "@hourly", action)).await.unwrap();
    let run = tokio::spawn(driver.call("a"));
    gate.begun().await;
    soon(os.dispose()).await.unwrap();
    assert!(over.load(Ordering::SeqCst));
    assert_eq!(fake.methods(), ["vm.create", "vm.dispose"]);
    soon(run).await.unwrap();
}

/// Waits for the end of the machine.
async fn disposed(fake: &Fake) {
    soon(async {
        while fake.methods().last() != Some(&"vm.dispose") {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_run_may_dispose_its_own_machine() {
    let (os, fake, driver) = manual_vm().await;
    let own = os.clone();
    let action = CronAction::callback(move || {
        let own = own.clone();
        async move { own.dispose().await.map_err(|error| error.to_string()) }
    });
    os.schedule_cron(job("a", "@hourly", action)).await.unwrap();
    soon(driver.call("a")).await;
    disposed(&fake).await;
}

#[tokio::test]
async fn a_run_alone_keeps_no_machine() {
    let (os, fake, driver) = manual_vm().await;
    os.schedule_cron(job("a", "@hourly", session("wait"))).await.unwrap();
    let run = tokio::spawn(driver.call("a"));
    soon(async {
        while fake.kept.lock().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    drop(os);
    disposed(&fake).await;
    soon(run).await.unwrap();
    assert!(fake.methods().contains(&"session.close"));
    assert!(driver.disposed.load(Ordering::SeqCst));
    soon(driver.call("a")).await;
}

#[tokio::test]
async fn a_reader_that_is_slow_is_told_what_it_missed() {
    let (os, _fake, time) = virtual_vm().await;
    let mut events = os.cron_events();
    os.schedule_cron(job("a", "* * * * *", nothing())).await.unwrap();
    assert_eq!(soon(time.advance(3 * HOUR)).await, 180);
    let most = MAX_CRON_EVENTS as u64;
    assert_eq!(next(&mut events).await, CronEvent::Missed { count: 360 - most });
    for _ in 0..MAX_CRON_EVENTS {
        assert!(!matches!(next(&mut events).await, CronEvent::Missed { .. }));
    }
    soon(os.dispose()).await.unwrap();
    assert_eq!(soon(events.next()).await, None);
}

#[tokio::test]
async fn a_fork_has_no_jobs_and_shares_the_driver() {
    let (os, fake, driver) = manual_vm().await;
    os.schedule_cron(job("a", "@hourly", exec("echo", &["parent"]))).await.unwrap();
    let fork = soon(os.fork()).await.unwrap();
    assert!(fork.list_cron_jobs().await.unwrap().is_empty());
    fork.schedule_cron(job("a", "@hourly", exec("echo", &["fork"]))).await.unwrap();
    for (id, vm) in [("a", "vm-1"), ("machine-2/a", "vm-2")] {
        soon(driver.call(id)).await;
        let last = fake.calls.lock().last().cloned();
        assert!(matches!(&last, Some(Request::Exec(call)) if call.vm_id == vm), "{id}: {last:?}");
    }
    soon(os.dispose()).await.unwrap();
    assert!(!driver.disposed.load(Ordering::SeqCst), "the fork still has it");
    soon(driver.call("machine-2/a")).await;
    soon(fork.dispose()).await.unwrap();
    assert!(driver.disposed.load(Ordering::SeqCst));
}

#[tokio::test]
async fn machines_share_a_driver_until_the_last_is_gone() {
    let (first, _fake, time) = virtual_vm().await;
    let (second, _other) = vm_with(AgentOsConfig::builder().schedule_driver(time.clone()).build()).await;
    for os in [&first, &second] {
        os.schedule_cron(job("a", "@hourly", nothing())).await.unwrap();
    }
    assert_eq!(soon(time.advance(HOUR)).await, 2);
    soon(first.dispose()).await.unwrap();
    assert_eq!(soon(time.advance(HOUR)).await, 1);
    soon(second.dispose()).await.unwrap();
    assert_eq!(soon(time.advance(HOUR)).await, 0);
    let (third, _another) = vm_with(AgentOsConfig::builder().schedule_driver(time.clone()).build()).await;
    third.schedule_cron(job("a", "@hourly", nothing())).await.unwrap();
    assert_eq!(soon(time.advance(HOUR)).await, 1, "a driver can be used again");
}

#[tokio::test]
async fn in_virtual_time_two_that_advance_overlap() {
    let (os, _fake, time) = virtual_vm().await;
    let gate = Gate::new();
    let options = CronJobOptions { overlap: CronOverlap::Queue, ..job("a", "*/15 * * * *", gate.action()) };
    os.schedule_cron(options).await.unwrap();
    let first = tokio::spawn({
        let time = Arc::clone(&time);
        async move { time.advance_to(at("12:15:00")).await }
    });
    gate.begun().await;
    assert_eq!(soon(time.advance_to(at("13:00:00"))).await, 3, "they are deferred, as one");
    gate.open.add_permits(2);
    assert_eq!(soon(first).await.unwrap(), 1);
    assert_eq!(gate.runs(), 2);
    assert_eq!(time.now(), at("13:00:00"));
    assert_eq!(soon(time.advance_to(at("12:00:00"))).await, 0, "time does not go back");
    assert_eq!(time.now(), at("13:00:00"));
}

#[tokio::test]
async fn without_a_driver_jobs_run_in_real_time() {
    let (os, _fake) = super::vm().await;
    let gate = Gate::new();
    os.schedule_cron(CronJobOptions::new("* * * * * *", gate.action())).await.unwrap();
    gate.begun().await;
    soon(os.dispose()).await.unwrap();
}
