//! Permissions, questions to the user, tools of the host: each is asked once, answered once, and in order with its item.

use std::sync::Arc;
use std::time::Duration;

use agentos_driver::backend::{Context, CustomToolAnswer};
use agentos_driver::boot::Execution;
use agentos_driver::command::Decision;
use agentos_driver::event::{
    Body, ContentBlock, CustomTool, Draft, InputOutcome, InputRequest, Item, ItemStatus, Outcome,
    PermissionKind, PermissionOption, PermissionReason, Question, ResolveReason, Verdict,
};
use agentos_driver::ports::{PermissionDecision, PermissionRequest, Policy, PolicyDecision};
use agentos_driver::{Command, Order, Ports, StartInput, State};
use serde_json::json;
use tokio::sync::oneshot;
use ulid::Ulid;

use crate::fake::{Session, Setup, done, input, no_process, session};

fn request(turn: Ulid, id: &str) -> PermissionRequest {
    PermissionRequest {
        request_id: id.to_owned(),
        item_id: Some("m".to_owned()),
        turn_id: turn,
        title: "May I?".to_owned(),
        description: None,
        detail: None,
        tool_kind: None,
        tool_name: None,
        input: None,
        options: vec![],
        raw: None,
    }
}

/// A turn that asks, and what it was told.
fn asks(
    session: &Session,
    ask: impl FnOnce(PermissionRequest) -> PermissionRequest + Send + 'static,
) -> oneshot::Receiver<PermissionDecision> {
    let (told, answer) = oneshot::channel();
    session.next(move |cx, turn| async move {
        cx.emit(Draft::of_turn(turn, Body::ItemStarted { item: Item::message("m", vec![]) })).await;
        let decision = cx.permission(ask(request(turn, "p"))).await;
        let _ = told.send(decision);
        done()
    });
    answer
}

async fn requested(session: &mut Session) -> String {
    let event = session.log().until(|body| matches!(body, Body::PermissionRequested(_))).await;
    let Body::PermissionRequested(permission) = event.body else { unreachable!() };
    permission.request_id
}

async fn resolved(session: &mut Session) -> (Outcome, Verdict, PermissionReason, Option<String>) {
    let event = session.log().until(|body| matches!(body, Body::PermissionResolved(_))).await;
    let Body::PermissionResolved(end) = event.body else { unreachable!() };
    (end.outcome, end.decision, end.reason, end.option_id)
}

async fn answer(
    session: &Session,
    id: &str,
    decision: Decision,
    option_id: Option<&str>,
) -> serde_json::Value {
    let order = Order::PermissionResolve {
        request_id: id.to_owned(),
        decision,
        option_id: option_id.map(str::to_owned),
        message: Some("because".to_owned()),
    };
    session.kernel.dispatch(Command::of(order)).await.result.unwrap()
}

#[tokio::test]
async fn a_permission_is_answered_once_and_the_vendor_is_told() {
    for (decision, allow) in [(Decision::AllowOnce, true), (Decision::RejectOnce, false)] {
        let mut session = session().await;
        let told = asks(&session, |request| request);
        let fate = session.begin(Ulid::generate());
        let id = requested(&mut session).await;
        assert_eq!(session.kernel.state(), State::NeedsApproval);
        assert_eq!(answer(&session, &id, decision.clone(), None).await, json!({"resolved": true}));
        assert_eq!(answer(&session, &id, decision, None).await, json!({"resolved": false}));
        let told = told.await.unwrap();
        assert_eq!(
            (told.allow, told.cancelled, told.option_id),
            (allow, false, None),
            "the options were the kernel's"
        );
        assert_eq!(told.message.as_deref(), Some("because"));
        let (outcome, verdict, reason, option) = resolved(&mut session).await;
        let (expected, why, chosen) = if allow {
            (Verdict::Allow, PermissionReason::Approved, "allow_once")
        } else {
            (Verdict::Reject, PermissionReason::Rejected, "reject_once")
        };
        assert_eq!(
            (outcome, verdict, reason, option.as_deref()),
            (Outcome::Selected, expected, why, Some(chosen))
        );
        fate.await.unwrap();
        let kinds = session.log().kinds();
        assert_eq!(kinds[2..5], ["item.started", "permission.requested", "permission.resolved"]);
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_a_refusal() {
    let options = || {
        let option = |id: &str, kind| PermissionOption { option_id: id.into(), kind, name: id.into() };
        vec![option("yes", PermissionKind::AllowOnce), option("no", PermissionKind::RejectOnce)]
    };
    for (decision, option) in [
        (Decision::Other("maybe".into()), None),
        (Decision::AllowOnce, Some("other")),
        (Decision::AllowOnce, Some("no")),
    ] {
        let mut session = session().await;
        let told = asks(&session, move |request| PermissionRequest { options: options(), ..request });
        session.begin(Ulid::generate());
        let id = requested(&mut session).await;
        answer(&session, &id, decision, option).await;
        assert!(!told.await.unwrap().allow);
        assert_eq!(resolved(&mut session).await.2, PermissionReason::Rejected);
    }
}

#[tokio::test]
async fn cancel_closes_what_is_open_and_nothing_is_asked_after_it() {
    let mut session = session().await;
    let (told, decision) = oneshot::channel();
    session.next(move |cx, turn| async move {
        let first = cx.permission(request(turn, "p")).await;
        let second = cx.permission(request(turn, "q")).await;
        let _ = told.send((first, second));
        done()
    });
    let fate = session.begin(Ulid::generate());
    let id = requested(&mut session).await;
    session.kernel.cancel("enough").await.unwrap();
    let (first, second) = decision.await.unwrap();
    assert!(first.cancelled && second.cancelled && !first.allow && !second.allow);
    assert_eq!(answer(&session, &id, Decision::AllowOnce, None).await, json!({"resolved": false}));
    let (outcome, verdict, reason, _) = resolved(&mut session).await;
    assert_eq!(
        (outcome, verdict, reason),
        (Outcome::Cancelled, Verdict::Reject, PermissionReason::Cancelled)
    );
    fate.await.unwrap();
    session.log().until(|body| matches!(body, Body::TurnCompleted(_))).await;
    let asked = session.log().kinds().iter().filter(|kind| *kind == "permission.requested").count();
    assert_eq!(asked, 1);
}

#[tokio::test(start_paused = true)]
async fn a_permission_that_nobody_answers_is_refused_in_its_time_or_waits_for_ever() {
    let mut session = session().await;
    let told = asks(&session, |request| request);
    session.begin(Ulid::generate());
    assert!(!told.await.unwrap().allow);
    let (outcome, _, reason, _) = resolved(&mut session).await;
    assert_eq!((outcome, reason), (Outcome::TimedOut, PermissionReason::TimedOut));

    let input = StartInput { permission_timeout: None, ..StartInput::new(Execution::default()) };
    let mut session = Setup { input: Some(input), ..Setup::default() }.start().await;
    let told = asks(&session, |request| request);
    session.begin(Ulid::generate());
    let id = requested(&mut session).await;
    tokio::time::sleep(Duration::from_secs(9 * 24 * 3600)).await;
    answer(&session, &id, Decision::AllowOnce, None).await;
    assert!(told.await.unwrap().allow);
}

#[tokio::test]
async fn several_questions_are_open_at_once_and_ids_that_repeat_are_told_apart() {
    let mut session = session().await;
    let (told, decisions) = oneshot::channel();
    session.next(move |cx, turn| async move {
        let ask = |cx: Context| async move { cx.permission(request(turn, "same")).await.allow };
        let _ = told.send(tokio::join!(ask(cx.clone()), ask(cx.clone()), ask(cx)));
        done()
    });
    session.begin(Ulid::generate());
    let ids = [requested(&mut session).await, requested(&mut session).await, requested(&mut session).await];
    assert_eq!(ids, ["same", "same-2", "same-3"]);
    answer(&session, &ids[1], Decision::AllowOnce, None).await;
    assert_eq!(session.kernel.state(), State::NeedsApproval, "two are open");
    answer(&session, &ids[0], Decision::RejectOnce, None).await;
    answer(&session, &ids[2], Decision::RejectOnce, None).await;
    assert_eq!(decisions.await.unwrap(), (false, true, false));
}

#[tokio::test]
async fn there_is_an_end_to_how_many_are_open() {
    let mut session = session().await;
    let (told, refused) = oneshot::channel();
    session.next(move |cx, turn| async move {
        let mut open = tokio::task::JoinSet::new();
        for n in 0..65 {
            let cx = cx.clone();
            open.spawn(async move { cx.permission(request(turn, &n.to_string())).await });
        }
        let _ = told.send(open.join_next().await.unwrap().unwrap());
        done()
    });
    let fate = session.begin(Ulid::generate());
    let refused = refused.await.unwrap();
    assert!(!refused.allow && !refused.cancelled && refused.message.unwrap().contains("64"));
    // Those that asked are gone, and their questions with them.
    fate.await.unwrap();
    session.log().until(|body| matches!(body, Body::TurnCompleted(_))).await;
    let of =
        |session: &mut Session, kind: &str| session.log().kinds().iter().filter(|one| *one == kind).count();
    assert_eq!((of(&mut session, "permission.requested"), of(&mut session, "permission.resolved")), (64, 64));
}

struct Says(PolicyDecision);

impl Policy for Says {
    fn decide(&self, _: &PermissionRequest) -> PolicyDecision {
        self.0.clone()
    }
}

#[tokio::test]
async fn a_policy_decides_without_a_word() {
    for (says, allow) in
        [(PolicyDecision::Allow, true), (PolicyDecision::Reject { message: "no".to_owned() }, false)]
    {
        let ports = Ports { policy: Arc::new(Says(says)), ..Ports::new(no_process()) };
        let mut session = Setup { ports: Some(ports), ..Setup::default() }.start().await;
        let told = asks(&session, |request| request);
        session.kernel.dispatch(input(Ulid::generate())).await;
        assert_eq!(told.await.unwrap().allow, allow);
        session.kernel.stop("done").await.unwrap();
        session.log().to_end().await;
        assert!(!session.log().kinds().iter().any(|kind| kind.starts_with("permission")));
    }
}

#[tokio::test]
async fn a_cancelled_turn_is_allowed_nothing_more_whatever_the_policy() {
    let ports = Ports { policy: Arc::new(Says(PolicyDecision::Allow)), ..Ports::new(no_process()) };
    let session = Setup { ports: Some(ports), ..Setup::default() }.start().await;
    let (told, decision) = oneshot::channel();
    let fake = Arc::clone(&session.fake);
    session.next(move |cx, turn| async move {
        fake.cancelled.notified().await;
        let _ = told.send(cx.permission(request(turn, "p")).await);
        done()
    });
    let fate = session.begin(Ulid::generate());
    session.kernel.until(|state| state == State::Running).await;
    session.kernel.cancel("enough").await.unwrap();
    let told = decision.await.unwrap();
    assert!(!told.allow && told.cancelled);
    fate.await.unwrap();
}

#[tokio::test]
async fn an_id_is_never_that_of_two_questions() {
    let mut session = session().await;
    session.next(|cx, turn| async move {
        for id in ["a-2", "a", "a", "a-2", ""] {
            cx.permission(request(turn, id)).await;
        }
        cx.permission(request(turn, &"x".repeat(1000))).await;
        done()
    });
    session.begin(Ulid::generate());
    let mut ids = std::collections::HashSet::new();
    for _ in 0..6 {
        let id = requested(&mut session).await;
        assert!(id.len() <= 140 && ids.insert(id.clone()), "{id}");
        answer(&session, &id, Decision::RejectOnce, None).await;
    }
}

#[tokio::test]
async fn where_nobody_answers_permissions_are_refused_at_once() {
    let input = StartInput { interactive: false, ..StartInput::new(Execution::default()) };
    let session = Setup { input: Some(input), ..Setup::default() }.start().await;
    let told = asks(&session, |request| request);
    session.kernel.dispatch(crate::fake::input(Ulid::generate())).await;
    assert!(!told.await.unwrap().allow);
}

#[tokio::test]
async fn the_user_is_asked_and_answers() {
    let mut session = session().await;
    let (told, answer) = oneshot::channel();
    session.next(move |cx, turn| async move {
        let question = Question { id: "q".into(), prompt: "Which?".into(), ..Question::default() };
        let request = InputRequest {
            request_id: "i".into(),
            item_id: None,
            title: None,
            questions: vec![question],
            expires_at: None,
        };
        let _ = told.send(cx.ask(turn, request).await);
        done()
    });
    session.begin(Ulid::generate());
    session.log().until(|body| matches!(body, Body::InputRequested(_))).await;
    assert_eq!(session.kernel.state(), State::NeedsApproval);
    let answers = json!({"q": "this"}).as_object().cloned().unwrap();
    let outcome = InputOutcome::Answered { answers };
    // An answer of another kind is none.
    let wrong = Order::CustomToolResolve { request_id: "i".into(), content: vec![], is_error: false };
    assert_eq!(session.kernel.dispatch(Command::of(wrong)).await.result, Some(json!({"resolved": false})));
    let right = Order::InputResolve { request_id: "i".into(), outcome: outcome.clone() };
    assert_eq!(session.kernel.dispatch(Command::of(right)).await.result, Some(json!({"resolved": true})));
    assert_eq!(answer.await.unwrap(), outcome);
    session.log().until(|body| matches!(body, Body::InputResolved(_))).await;
}

/// A turn that calls a tool of the host, and what it was told.
fn calls(session: &Session) -> oneshot::Receiver<CustomToolAnswer> {
    let (told, answer) = oneshot::channel();
    session.next(move |cx, turn| async move {
        let call = CustomTool {
            request_id: "c".into(),
            item_id: "t".into(),
            name: "get_weather".into(),
            input: json!({"city": "Paris"}).as_object().cloned().unwrap(),
        };
        cx.emit(Draft::of_turn(turn, Body::ItemStarted { item: Item::message("t", vec![]) })).await;
        let said = cx.custom_tool(turn, call).await;
        cx.close("t", if said.is_error { ItemStatus::Failed } else { ItemStatus::Completed }).await;
        let _ = told.send(said);
        done()
    });
    answer
}

async fn closed(session: &mut Session) -> (bool, ResolveReason) {
    let event = session.log().until(|body| matches!(body, Body::CustomToolResolved(_))).await;
    let Body::CustomToolResolved(closed) = event.body else { unreachable!() };
    (closed.is_error, closed.reason)
}

#[tokio::test]
async fn a_tool_of_the_host_is_called_and_answers() {
    let mut session = session().await;
    let said = calls(&session);
    session.begin(Ulid::generate());
    session.log().until(|body| matches!(body, Body::CustomToolRequested(_))).await;
    let content = vec![ContentBlock::text("sunny")];
    let order =
        Order::CustomToolResolve { request_id: "c".into(), content: content.clone(), is_error: false };
    session.kernel.dispatch(Command::of(order)).await;
    assert_eq!(said.await.unwrap(), CustomToolAnswer { content, is_error: false, cancelled: false });
    assert_eq!(closed(&mut session).await, (false, ResolveReason::Answered));
}

#[tokio::test(start_paused = true)]
async fn a_tool_of_the_host_that_does_not_answer_is_given_up() {
    let mut session = session().await;
    let said = calls(&session);
    session.begin(Ulid::generate());
    let said = said.await.unwrap();
    assert!(said.is_error && !said.cancelled);
    assert_eq!(closed(&mut session).await, (true, ResolveReason::TimedOut));
}
