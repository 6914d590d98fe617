//! Turns, commands and the end of a session, with a backend that the test plays.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agentos_driver::backend::TurnOutcome;
use agentos_driver::boot::Execution;
use agentos_driver::command::{AccessSnapshot, McpExecute};
use agentos_driver::event::{Body, Draft, Item, ItemKind, ItemStatus, StopReason, TurnStatus};
use agentos_driver::ports::{Access, Pending};
use agentos_driver::{
    Command, ErrorInfo, Fate, Input, Kernel, Order, Ports, ResumeRef, Runtime, StartInput, State,
};
use serde_json::json;
use ulid::Ulid;

use crate::fake::{Called, Session, Setup, done, exited, input, no_process, session, settle};

fn is_end(body: &Body) -> bool {
    matches!(body, Body::TurnCompleted(_))
}

fn tool(id: &str, status: ItemStatus) -> Item {
    let kind = json!({"kind": "tool_call", "name": "Bash", "input": {}});
    Item::new(id, status, serde_json::from_value::<ItemKind>(kind).unwrap())
}

async fn end_of_turn(session: &mut Session) -> (TurnStatus, StopReason, Option<String>) {
    let event = session.log().until(is_end).await;
    let Body::TurnCompleted(end) = event.body else { unreachable!() };
    (end.status, end.stop_reason, end.error.map(|error| error.code))
}

#[tokio::test]
async fn a_turn_begins_and_ends_once_around_all_it_has() {
    let mut session = session().await;
    session.next(|cx, turn| async move {
        cx.emit(Draft::of_turn(turn, Body::ItemStarted { item: tool("t", ItemStatus::Pending) })).await;
        cx.emit(Draft::of_turn(turn, Body::ItemStarted { item: Item::message("m", vec![]) })).await;
        done()
    });
    let turn = Ulid::generate();
    let update = session.kernel.dispatch(input(turn)).await;
    assert_eq!((update.status, update.result), (Fate::Completed, Some(json!({"requestId": "r"}))));
    end_of_turn(&mut session).await;
    assert_eq!(
        session.log().kinds(),
        [
            "session.started",
            "turn.started",
            "item.started",
            "item.started",
            "item.completed",
            "item.completed",
            "turn.completed"
        ]
    );
    let events = &session.log().events;
    let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..=7).collect::<Vec<u64>>());
    assert!(events[1..].iter().all(|event| event.turn_id == Some(turn)));
    assert_eq!(session.kernel.state(), State::Ready);
}

#[tokio::test]
async fn how_a_turn_ends_is_said_once() {
    let failed = || ErrorInfo::retryable("vendor.overloaded", "later");
    let table: Vec<(TurnOutcome, bool, TurnStatus, StopReason, Option<&str>)> = vec![
        (done(), false, TurnStatus::Completed, StopReason::EndTurn, None),
        (
            TurnOutcome::Completed { stop_reason: StopReason::Refusal },
            false,
            TurnStatus::Completed,
            StopReason::Refusal,
            None,
        ),
        (TurnOutcome::Cancelled, false, TurnStatus::Cancelled, StopReason::Cancelled, None),
        (
            TurnOutcome::Failed { error: failed(), stop_reason: StopReason::MaxTurns },
            false,
            TurnStatus::Failed,
            StopReason::MaxTurns,
            Some("vendor.overloaded"),
        ),
        (
            TurnOutcome::Lost { error: exited() },
            false,
            TurnStatus::Failed,
            StopReason::Error,
            Some("driver.backend_exited"),
        ),
        // After a cancel whatever the vendor says is one, but for a turn that had ended by then.
        (done(), true, TurnStatus::Completed, StopReason::EndTurn, None),
        (
            TurnOutcome::Failed { error: failed(), stop_reason: StopReason::Error },
            true,
            TurnStatus::Cancelled,
            StopReason::Cancelled,
            None,
        ),
        (TurnOutcome::Lost { error: exited() }, true, TurnStatus::Cancelled, StopReason::Cancelled, None),
    ];
    for (outcome, cancelled, status, stop_reason, code) in table {
        let mut session = session().await;
        let fake = Arc::clone(&session.fake);
        let say = outcome.clone();
        session.next(move |_, _| async move {
            if cancelled {
                fake.cancelled.notified().await;
            }
            say
        });
        let fate = session.begin(Ulid::generate());
        session.log().until(|body| matches!(body, Body::TurnStarted { .. })).await;
        if cancelled {
            session.kernel.cancel("enough").await.unwrap();
        }
        let ended = end_of_turn(&mut session).await;
        assert_eq!(ended, (status, stop_reason, code.map(str::to_owned)), "{outcome:?}");
        let fate = fate.await.unwrap();
        assert_eq!(fate.status == Fate::Failed, status == TurnStatus::Failed, "{outcome:?}");
        // The session lives on, and says nothing twice.
        assert_eq!(session.kernel.until(|state| state == State::Ready).await, State::Ready);
        session.next_ends();
        session.kernel.dispatch(input(Ulid::generate())).await;
        end_of_turn(&mut session).await;
        let ends = session.log().kinds().iter().filter(|kind| *kind == "turn.completed").count();
        assert_eq!(ends, 2, "{outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_does_not_end_a_cancelled_turn_is_killed_and_started_anew() {
    let mut session = session().await;
    session.next(|_, _| std::future::pending());
    let fate = session.begin(Ulid::generate());
    settle().await;
    session.kernel.cancel("enough").await.unwrap();
    assert_eq!(fate.await.unwrap().status, Fate::Completed);
    assert_eq!(end_of_turn(&mut session).await.0, TurnStatus::Cancelled);
    assert_eq!(session.kernel.until(|state| state == State::Ready).await, State::Ready);
    let called = session.called();
    assert_eq!(called, [Called::Start, Called::Cancel("enough".into()), Called::Kill, Called::Start]);
}

#[tokio::test]
async fn a_vendor_that_is_lost_is_started_once_more_and_given_up_if_that_does_not_help() {
    let fails = || Err(ErrorInfo::new("vendor.missing", "not there"));
    let mut session = Setup { starts: vec![Ok(()), fails()], ..Setup::default() }.start().await;
    session.next(|_, _| async { TurnOutcome::Lost { error: exited() } });
    session.kernel.dispatch(input(Ulid::generate())).await;
    assert_eq!(session.kernel.state(), State::Failed);
    session.log().to_end().await;
    let kinds = session.log().kinds();
    assert_eq!(kinds[kinds.len() - 2..], ["turn.completed", "session.ended"]);
    let last = session.log().events.last().unwrap().body.clone();
    assert!(matches!(last, Body::SessionEnded(end) if end.error.as_ref().unwrap().code == "vendor.missing"));
    // Nothing is run any more, and everything is answered.
    let update = session.kernel.dispatch(input(Ulid::generate())).await;
    assert_eq!(update.error.unwrap().code, "driver.command_rejected.stopping");
}

#[tokio::test]
async fn a_vendor_that_goes_away_while_nothing_runs_is_started_anew_but_not_for_ever() {
    let mut session = session().await;
    let cx = session.fake.context.lock().clone().unwrap();
    for _ in 0..2 {
        cx.lost(exited());
        session
            .log()
            .until(|body| matches!(body, Body::DiagnosticReported(d) if d.code == "driver.backend_restarted"))
            .await;
    }
    cx.lost(exited());
    session.log().to_end().await;
    assert_eq!(session.kernel.state(), State::Failed);
    assert_eq!(session.called().iter().filter(|call| **call == Called::Start).count(), 3);
}

#[tokio::test]
async fn a_session_whose_backend_does_not_start_says_why_and_ends() {
    let mut session =
        Setup { starts: vec![Err(ErrorInfo::new("vendor.missing", "not there"))], ..Setup::default() }
            .start()
            .await;
    assert_eq!(session.kernel.state(), State::Failed);
    session.log().to_end().await;
    assert_eq!(session.log().kinds(), ["session.ended"]);
}

#[tokio::test]
async fn a_resume_reference_of_another_runtime_is_refused() {
    let resume = Some(ResumeRef::new(Runtime::Claude, "s"));
    let input = StartInput { resume, ..StartInput::new(Execution::default()) };
    let descriptor = agentos_driver::registry::Descriptor {
        id: "fake",
        runtime: Runtime::Acp,
        aliases: vec![],
        capabilities: vec![],
        required_ports: vec![],
        unsupported_gaps: vec![],
        create: Arc::new(|_, _| panic!("it is not made")),
    };
    let refused = Kernel::start(Arc::new(descriptor), Ports::new(no_process()), input).await;
    assert_eq!(refused.unwrap_err().code, "resume.refused");
}

#[tokio::test]
async fn the_first_event_says_that_the_session_has_started() {
    // The reference is known while the backend starts.
    let mut session = Setup { resumable: Some("s".to_owned()), ..Setup::default() }.start().await;
    session.kernel.stop("done").await.unwrap();
    session.log().to_end().await;
    assert_eq!(session.log().kinds(), ["session.started", "session.resume.updated", "session.ended"]);
    // One that does not start says all the same what it knew.
    let starts = vec![Err(ErrorInfo::new("vendor.missing", "not there"))];
    let mut session = Setup { resumable: Some("s".to_owned()), starts, ..Setup::default() }.start().await;
    session.log().to_end().await;
    assert_eq!(session.log().kinds(), ["session.resume.updated", "session.ended"]);
}

#[tokio::test]
async fn events_go_on_where_the_host_left_off() {
    let input = StartInput { next_seq: 42, ..StartInput::new(Execution::default()) };
    let mut session = Setup { input: Some(input), ..Setup::default() }.start().await;
    let first = session.log().until(|_| true).await;
    assert_eq!(first.seq, 42);
    assert_eq!(session.kernel.next_seq(), 43);
    assert!(session.kernel.events().is_none(), "events are handed over once");
}

#[tokio::test]
async fn a_command_is_run_once() {
    let mut session = session().await;
    session.next_ends();
    let command = input(Ulid::generate());
    let (a, b) =
        tokio::join!(session.kernel.dispatch(command.clone()), session.kernel.dispatch(command.clone()));
    assert_eq!(a, b);
    assert_eq!(session.kernel.dispatch(command).await, a);
    end_of_turn(&mut session).await;
    assert_eq!(session.log().kinds().iter().filter(|kind| *kind == "turn.started").count(), 1);
}

#[tokio::test]
async fn a_command_goes_on_when_its_caller_goes() {
    let mut session = session().await;
    session.next_waits();
    let fate = session.begin(Ulid::generate());
    session.log().until(|body| matches!(body, Body::TurnStarted { .. })).await;
    fate.abort();
    settle().await;
    assert_eq!(session.kernel.state(), State::Running);
    session.kernel.cancel("enough").await.unwrap();
    assert_eq!(end_of_turn(&mut session).await.0, TurnStatus::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn input_waits_for_a_turn_that_is_ending_and_for_no_other() {
    let mut session = session().await;
    session.next_waits();
    session.begin(Ulid::generate());
    session.log().until(|body| matches!(body, Body::TurnStarted { .. })).await;
    let refused = session.kernel.dispatch(input(Ulid::generate())).await;
    assert_eq!(refused.error.unwrap().code, "driver.command_rejected.not_ready");
    // One that ends takes the next at once.
    let kernel = session.kernel.clone();
    let cancel = tokio::spawn(async move { kernel.cancel("enough").await });
    session.next_ends();
    settle().await;
    let update = session.kernel.dispatch(input(Ulid::generate())).await;
    assert_eq!(update.status, Fate::Completed);
    cancel.await.unwrap().unwrap();
}

#[tokio::test]
async fn cancel_without_a_turn_is_done_and_says_nothing() {
    let mut session = session().await;
    session.kernel.cancel("nothing").await.unwrap();
    let other = Order::TurnCancel { run_id: Some(Ulid::generate()), reason: None };
    assert_eq!(session.kernel.dispatch(Command::of(other)).await.status, Fate::Completed);
    session.kernel.stop("done").await.unwrap();
    session.log().to_end().await;
    assert_eq!(session.log().kinds(), ["session.started", "session.ended"]);
}

#[tokio::test]
async fn stop_ends_the_turn_and_then_the_session() {
    let mut session = session().await;
    session.next_waits();
    let fate = session.begin(Ulid::generate());
    session.log().until(|body| matches!(body, Body::TurnStarted { .. })).await;
    session.kernel.stop("enough").await.unwrap();
    assert_eq!(fate.await.unwrap().status, Fate::Completed);
    session.log().to_end().await;
    let kinds = session.log().kinds();
    assert_eq!(kinds[kinds.len() - 2..], ["turn.completed", "session.ended"]);
    assert_eq!(session.kernel.state(), State::Stopped);
    // What is left of it once it has ended is put down in any case.
    let called: Vec<Called> = session.called().into_iter().filter(|call| *call != Called::Kill).collect();
    assert_eq!(called[called.len() - 2..], [Called::Cancel("enough".into()), Called::Stop("enough".into())]);
    assert_eq!(called.iter().filter(|call| **call == Called::Start).count(), 1);
    // Again it is done already.
    assert!(session.kernel.stop("again").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn stop_ends_a_session_whose_vendor_does_nothing() {
    let mut session = session().await;
    session.next(|cx, turn| async move {
        cx.emit(Draft::of_turn(turn, Body::ItemStarted { item: tool("t", ItemStatus::Running) })).await;
        std::future::pending().await
    });
    session.begin(Ulid::generate());
    session.log().until(|body| matches!(body, Body::ItemStarted { .. })).await;
    session.kernel.stop("enough").await.unwrap();
    session.log().to_end().await;
    let kinds = session.log().kinds();
    assert_eq!(kinds[kinds.len() - 3..], ["item.completed", "turn.completed", "session.ended"]);
}

#[tokio::test]
async fn what_comes_late_or_of_another_turn_is_left_out() {
    let mut session = session().await;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    session.next(move |cx, turn| async move {
        let _ = sender.send((cx, turn));
        done()
    });
    session.kernel.dispatch(input(Ulid::generate())).await;
    let (cx, turn) = receiver.await.unwrap();
    cx.emit(Draft::of_turn(turn, Body::ItemStarted { item: Item::message("late", vec![]) })).await;
    cx.emit(Draft::of_session(Body::ItemStarted { item: Item::message("of no turn", vec![]) })).await;
    session.next(move |cx, _| async move {
        cx.emit(Draft::of_turn(turn, Body::ItemStarted { item: Item::message("of the last", vec![]) })).await;
        done()
    });
    session.kernel.dispatch(input(Ulid::generate())).await;
    session.kernel.stop("done").await.unwrap();
    session.log().to_end().await;
    assert!(!session.log().kinds().iter().any(|kind| kind.starts_with("item")), "{}", session.log().text());
}

#[derive(Default)]
struct Seen(AtomicBool);

impl Access for Seen {
    fn refresh<'a>(&'a self, _: &'a AccessSnapshot) -> Pending<'a, ()> {
        self.0.store(true, Ordering::SeqCst);
        Box::pin(async { Ok(()) })
    }
}

/// A log of the host, which looks at the session while it is told.
#[derive(Default)]
struct Told {
    lines: parking_lot::Mutex<Vec<String>>,
    kernel: parking_lot::Mutex<Option<Kernel>>,
}

impl agentos_driver::ports::Logger for Told {
    fn log(
        &self,
        _: agentos_driver::event::Severity,
        message: &str,
        _: &serde_json::Map<String, serde_json::Value>,
    ) {
        let state = self.kernel.lock().as_ref().map(Kernel::state);
        self.lines.lock().push(format!("{message} {state:?}"));
    }
}

#[tokio::test]
async fn diagnostics_go_to_the_log_of_the_host_too() {
    let told = Arc::new(Told::default());
    let ports = Ports { logger: told.clone(), ..Ports::new(no_process()) };
    let session = Setup { ports: Some(ports), ..Setup::default() }.start().await;
    *told.kernel.lock() = Some(session.kernel.clone());
    let set = Order::ConfigSet { config_id: "x".into(), value: json!("y") };
    session.kernel.dispatch(Command::of(set)).await;
    assert_eq!(*told.lines.lock(), ["the backend has no settings Some(Ready)"]);
    told.kernel.lock().take();
}

#[tokio::test]
async fn there_is_an_end_to_how_many_commands_are_under_way() {
    struct Never;
    impl Access for Never {
        fn refresh<'a>(&'a self, _: &'a AccessSnapshot) -> Pending<'a, ()> {
            Box::pin(std::future::pending())
        }
    }
    let ports = Ports { access: Arc::new(Never), ..Ports::new(no_process()) };
    let session = Setup { ports: Some(ports), ..Setup::default() }.start().await;
    let mut waiting = Vec::new();
    for _ in 0..4096 {
        let refresh = Order::AccessRefresh { access_snapshot: AccessSnapshot::default() };
        let mut update = Box::pin(session.kernel.dispatch(Command::of(refresh)));
        assert!(futures_util::poll!(&mut update).is_pending());
        waiting.push(update);
    }
    let set = Command::of(Order::TurnCancel { run_id: None, reason: None });
    let refused = session.kernel.dispatch(set).await.error.unwrap();
    assert!(refused.retryable && refused.code == "driver.command_rejected.not_ready", "{refused}");
}

#[tokio::test]
async fn other_commands_have_their_results_and_errors() {
    let access = Arc::new(Seen::default());
    let ports = Ports { access: access.clone(), ..Ports::new(no_process()) };
    let session = Setup { ports: Some(ports), ..Setup::default() }.start().await;
    let of = async |order| session.kernel.dispatch(Command::of(order)).await;
    let refreshed = of(Order::AccessRefresh { access_snapshot: AccessSnapshot::default() }).await;
    assert_eq!(refreshed.result, Some(json!({"entryCount": 0})));
    assert!(access.0.load(Ordering::SeqCst));
    let call = McpExecute { arguments_json: "{}".into(), ..McpExecute::default() };
    assert_eq!(of(Order::McpExecute(call.clone())).await.error.unwrap().code, "driver.port_not_configured");
    let wrong = McpExecute { arguments_json: "[".into(), ..call };
    assert_eq!(of(Order::McpExecute(wrong)).await.error.unwrap().code, "driver.command_rejected.malformed");
    let set = Order::ConfigSet { config_id: "model".into(), value: json!("m") };
    assert_eq!(of(set).await.error.unwrap().code, "driver.command_rejected.unsupported");
    let steer = Order::TurnSteer { run_id: Ulid::generate(), input: Input::text("more") };
    assert_eq!(of(steer).await.error.unwrap().code, "driver.command_rejected.not_ready");
    let empty = Order::InputStart {
        request_id: "r".into(),
        run_id: Ulid::generate(),
        input: Input::default(),
        access_snapshot: None,
    };
    assert_eq!(of(empty).await.error.unwrap().code, "driver.command_rejected.malformed");
    let input = Input { attachment_ids: Some(vec!["a".into()]), ..Input::text("look") };
    let attached =
        Order::InputStart { request_id: "r".into(), run_id: Ulid::generate(), input, access_snapshot: None };
    assert_eq!(of(attached).await.error.unwrap().code, "driver.command_rejected.unsupported");
    let native = json!({"_meta": {}}).as_object().cloned().unwrap();
    let input = Input { native, ..Input::text("look") };
    let further =
        Order::InputStart { request_id: "r".into(), run_id: Ulid::generate(), input, access_snapshot: None };
    assert_eq!(of(further).await.error.unwrap().code, "driver.command_rejected.unsupported");
    let nobody = Order::InputResolve {
        request_id: "x".into(),
        outcome: agentos_driver::event::InputOutcome::Declined,
    };
    assert_eq!(of(nobody).await.result, Some(json!({"resolved": false})));
    assert_eq!(session.kernel.state(), State::Ready);
}

#[tokio::test]
async fn the_last_handle_takes_everything_with_it() {
    let mut session = session().await;
    session.next(|cx, turn| async move {
        // Nobody takes events: it waits for room, until nobody will.
        for n in 0..30_000 {
            cx.emit(Draft::of_turn(
                turn,
                Body::ItemCompleted { item: tool(&n.to_string(), ItemStatus::Completed) },
            ))
            .await;
        }
        done()
    });
    let fate = session.begin(Ulid::generate());
    settle().await;
    fate.abort();
    let mut log = session.log.take().unwrap();
    drop(session);
    // What was kept is still there, then it ends.
    tokio::time::timeout(Duration::from_secs(30), log.to_end()).await.unwrap();
    assert!(log.events.len() > 100);
}
