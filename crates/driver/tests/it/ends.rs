//! Ends of sessions that nobody planned: hosts that do not answer, vendors that are still being started, sinks that fail at
//! the last moment. The vendor's process never outlives its session, and the last event is the last.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agentos_driver::command::AccessSnapshot;
use agentos_driver::event::{Body, Event};
use agentos_driver::ports::{Access, EventSink, Pending};
use agentos_driver::{Command, CommandUpdate, ErrorInfo, Fate, Order, Ports, State};
use parking_lot::Mutex;
use tokio::sync::Notify;
use ulid::Ulid;

use crate::fake::{Called, Setup, no_process, session, settle};

/// A host that does not answer.
struct Deaf;

impl EventSink for Deaf {
    fn push_events(&self, _: Vec<Arc<Event>>) -> Pending<'_, u64> {
        Box::pin(std::future::pending())
    }

    fn command_update(&self, _: CommandUpdate) -> Pending<'_, ()> {
        Box::pin(std::future::pending())
    }
}

impl Access for Deaf {
    fn refresh<'a>(&'a self, _: &'a AccessSnapshot) -> Pending<'a, ()> {
        Box::pin(std::future::pending())
    }
}

fn deaf() -> Ports {
    Ports { event_sink: Some(Arc::new(Deaf)), access: Arc::new(Deaf), ..Ports::new(no_process()) }
}

#[tokio::test(start_paused = true)]
async fn the_vendor_is_killed_when_nobody_holds_the_session_though_the_host_does_not_answer() {
    let session = Setup { ports: Some(deaf()), ..Setup::default() }.start().await;
    let kernel = session.kernel.clone();
    let waits = tokio::spawn(async move {
        let refresh = Order::AccessRefresh { access_snapshot: AccessSnapshot::default() };
        kernel.dispatch(Command::of(refresh)).await
    });
    settle().await;
    // Whoever waits for a command holds the session too.
    waits.abort();
    settle().await;
    let crate::fake::Session { kernel, mut calls, fake, .. } = session;
    drop((kernel, fake));
    let called = async {
        let mut all = Vec::new();
        while let Some(call) = calls.recv().await {
            all.push(call);
        }
        all
    };
    let called = tokio::time::timeout(Duration::from_secs(60), called).await.unwrap();
    assert_eq!(called, [Called::Start, Called::Kill, Called::Dropped], "nothing of it is left");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_host_that_does_not_answer_ends_with_the_session() {
    let session = Setup { ports: Some(deaf()), ..Setup::default() }.start().await;
    let kernel = session.kernel.clone();
    let refresh = Order::AccessRefresh { access_snapshot: AccessSnapshot::default() };
    let waits = tokio::spawn(async move { kernel.dispatch(Command::of(refresh)).await });
    settle().await;
    session.kernel.stop("enough").await.unwrap();
    let update = waits.await.unwrap();
    assert_eq!(update.error.unwrap().code, "driver.command_rejected.stopping");
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_comes_after_the_stop_is_put_down() {
    let gate = Arc::new(Notify::new());
    let opens = Arc::clone(&gate);
    let source: Arc<Stopper> = Arc::default();
    let ports = Ports { command_source: Some(source.clone()), ..Ports::new(no_process()) };
    // The command to stop comes while the vendor is being started.
    let begun = tokio::spawn(async move {
        Setup { ports: Some(ports), gate: Some(gate), ..Setup::default() }.start().await
    });
    settle().await;
    source.0.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(30)).await;
    opens.notify_one();
    let mut session = begun.await.unwrap();
    assert_eq!(session.kernel.until(|_| false).await, State::Stopped);
    settle().await;
    let called = session.called();
    assert_eq!(called[..2], [Called::Start, Called::Stop("enough".into())]);
    assert!(called[2..].contains(&Called::Kill), "{called:?}");
}

/// Says stop when it is told to.
#[derive(Default)]
struct Stopper(AtomicBool);

impl agentos_driver::ports::CommandSource for Stopper {
    fn next_command(&self) -> Pending<'_, Option<Result<Command, agentos_driver::Malformed>>> {
        let now = self.0.swap(false, Ordering::SeqCst);
        let stop = Command::of(Order::SessionStop { reason: "enough".into() });
        Box::pin(async move { Ok(now.then_some(Ok(stop))) })
    }
}

/// A sink that fails once, at each event of a kind.
#[derive(Default)]
struct FailsAtTheEnd {
    events: Mutex<Vec<Event>>,
    failed: AtomicBool,
}

impl EventSink for FailsAtTheEnd {
    fn push_events(&self, events: Vec<Arc<Event>>) -> Pending<'_, u64> {
        let last = events.iter().any(|event| matches!(event.body, Body::SessionEnded(_)));
        Box::pin(async move {
            if last && !self.failed.swap(true, Ordering::SeqCst) {
                return Err(ErrorInfo::retryable("host.busy", "later"));
            }
            let seq = events.last().map_or(0, |event| event.seq);
            self.events.lock().extend(events.into_iter().map(Arc::unwrap_or_clone));
            Ok(seq)
        })
    }

    fn command_update(&self, _: CommandUpdate) -> Pending<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_event_reaches_a_sink_that_fails_at_it_also_if_the_session_failed() {
    for starts in [vec![], vec![Err(ErrorInfo::new("vendor.missing", "not there"))]] {
        let fails = !starts.is_empty();
        let sink: Arc<FailsAtTheEnd> = Arc::default();
        let ports = Ports { event_sink: Some(sink.clone()), ..Ports::new(no_process()) };
        let session = Setup { ports: Some(ports), starts, ..Setup::default() }.start().await;
        if !fails {
            session.kernel.stop("done").await.unwrap();
        }
        assert_eq!(session.kernel.state(), if fails { State::Failed } else { State::Stopped });
        let last = sink.events.lock().last().map(|event| event.body.clone());
        assert!(matches!(last, Some(Body::SessionEnded(_))), "{last:?}");
    }
}

#[tokio::test]
async fn nothing_is_said_after_the_last_event() {
    let mut session = session().await;
    session.next_waits();
    session.begin(Ulid::generate());
    session.log().until(|body| matches!(body, Body::TurnStarted { .. })).await;
    let kernel = session.kernel.clone();
    // Commands that fail while it stops, each of which would be told.
    let rejected = tokio::spawn(async move {
        for _ in 0..200 {
            let set = Order::ConfigSet { config_id: "x".into(), value: "y".into() };
            kernel.dispatch(Command::of(set)).await;
            tokio::task::yield_now().await;
        }
    });
    session.kernel.stop("enough").await.unwrap();
    rejected.await.unwrap();
    session.log().to_end().await;
    let last = session.log().events.last().unwrap().body.clone();
    assert!(matches!(last, Body::SessionEnded(_)), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn input_that_was_cancelled_before_it_began_does_not_begin() {
    let mut session = session().await;
    session.next_waits();
    let (first, second) = (Ulid::generate(), Ulid::generate());
    session.begin(first);
    session.log().until(|body| matches!(body, Body::TurnStarted { .. })).await;
    let cancel = |id| Command::of(Order::TurnCancel { run_id: Some(id), reason: None });
    // The first is ending, the second waits for that, and is taken back.
    session.next(|_, _| async { panic!("it began") });
    session.fake.hold.store(true, Ordering::SeqCst);
    let (kernel, of) = (session.kernel.clone(), cancel(first));
    let ends = tokio::spawn(async move { kernel.dispatch(of).await });
    settle().await;
    let waits = session.begin(second);
    settle().await;
    assert_eq!(session.kernel.dispatch(cancel(second)).await.status, Fate::Completed);
    session.fake.hold.store(false, Ordering::SeqCst);
    session.fake.cancelled.notify_one();
    assert_eq!(ends.await.unwrap().status, Fate::Completed);
    let update = waits.await.unwrap();
    assert_eq!(
        (update.status, update.error.unwrap().code.as_str()),
        (Fate::Cancelled, "driver.command_cancelled")
    );
}
