//! Turns that somebody ends.

use agentos_driver::event::{Body, StopReason, TurnStatus};
use agentos_driver::{StartInput, State};
use serde_json::json;

use super::play::{
    DONE, aborted, can_use, execution, init, interrupted, items, prompt, ready, rest, result, say, simple,
    start, start_with, status, text, tool, tool_result, whole, withdrawn,
};

#[tokio::test(start_paused = true)]
async fn a_cancel_with_an_open_question_answers_it_to_nobody() {
    let mut session = start(|mut side| async move {
        ready(&mut side).await;
        prompt(&mut side).await;
        let input = json!({ "command": "ls" });
        say(&mut side, &[init(), whole("m", tool("t", "Bash", input.clone())), can_use("R1", "t", "Bash", input)]).await;
        // The next thing that is said is the interrupt, and no answer.
        interrupted(&mut side).await;
        let mut refused = tool_result("t", "interrupted", true);
        refused["tool_result_meta"] = json!([{ "id": "t", "non_execution_kind": "user-rejected" }]);
        let synthetic = json!({ "type": "user", "message": { "content": [{ "type": "text", "text": "[interrupted]" }] } });
        say(&mut side, &[withdrawn("R1"), refused, synthetic, aborted()]).await;
        // It is of use for the next turn.
        assert!(prompt(&mut side).await.is_some());
        say(&mut side, &[init(), whole("n", text("Hello")), result(1.0)]).await;
        rest(&mut side).await
    })
    .await;
    let (_, done) = session.begin("one");
    session.asked().await;
    let kernel = session.kernel.clone();
    let cancelling = tokio::spawn(async move { kernel.cancel("enough").await });
    let ended = session.ended().await;
    assert_eq!((ended.status, ended.stop_reason), (TurnStatus::Cancelled, StopReason::Cancelled));
    cancelling.await.unwrap().unwrap();
    done.await.unwrap();
    assert_eq!(session.turn("two").await.status, TurnStatus::Completed);
    assert_eq!(session.launcher.launched().len(), 1);
    let log = session.stop().await;
    assert_eq!(status(&log, "t").as_deref(), Some("Cancelled"));
    let ids: Vec<String> = items(&log).into_iter().map(|item| item.item_id).collect();
    assert_eq!(ids, ["t", "n:0"], "nobody said the synthetic text");
    let costs = log
        .events
        .iter()
        .filter(|event| matches!(&event.body, Body::UsageUpdated(of) if of.cost_amount == Some(0.5)));
    assert_eq!(costs.count(), 2, "a cancelled turn has its cost");
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_ended_before_it_was_interrupted_is_completed() {
    let mut session = start(|mut side| async move {
        ready(&mut side).await;
        prompt(&mut side).await;
        say(&mut side, &[init(), whole("m", text("Hello"))]).await;
        let interrupt = side.recv().await.unwrap();
        assert_eq!(interrupt["request"]["subtype"], "interrupt");
        say(&mut side, &[result(0.5)]).await;
        // Until it has answered, it is given nothing that it could interrupt by mistake.
        let early = tokio::time::timeout(std::time::Duration::from_secs(1), side.recv_line()).await;
        assert!(early.is_err(), "{early:?}");
        super::play::accept(&mut side, &interrupt, json!({ "still_queued": [] })).await;
        prompt(&mut side).await;
        say(&mut side, &[init(), whole("n", text("Hello")), result(1.0)]).await;
        rest(&mut side).await
    })
    .await;
    let (_, done) = session.begin("one");
    session.log.until(|body| matches!(body, Body::ItemCompleted { .. })).await;
    session.kernel.cancel("enough").await.unwrap();
    assert_eq!(session.ended().await.status, TurnStatus::Completed);
    done.await.unwrap();
    assert_eq!(session.turn("two").await.status, TurnStatus::Completed);
    session.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_turn_is_interrupted_only_once_the_vendor_has_begun_with_it() {
    let mut session = start(|mut side| async move {
        ready(&mut side).await;
        prompt(&mut side).await;
        // It takes its time: meanwhile nothing is asked of it, for it would not know of what.
        let early = tokio::time::timeout(std::time::Duration::from_secs(3), side.recv_line()).await;
        assert!(early.is_err(), "{early:?}");
        say(&mut side, &[init()]).await;
        interrupted(&mut side).await;
        say(&mut side, &[aborted()]).await;
        rest(&mut side).await
    })
    .await;
    let (_, done) = session.begin("one");
    session.log.until(|body| matches!(body, Body::TurnStarted { .. })).await;
    session.kernel.cancel("enough").await.unwrap();
    assert_eq!(session.ended().await.status, TurnStatus::Cancelled);
    done.await.unwrap();
    session.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_does_not_end_its_turn_is_replaced_and_what_it_says_later_goes_nowhere() {
    let mut session = start(|mut side| async move {
        if side.start > 0 {
            assert!(side.spec.args.iter().any(|arg| arg == "--resume=S1"));
            return simple(side).await;
        }
        ready(&mut side).await;
        prompt(&mut side).await;
        say(&mut side, &[init(), whole("m", text("Hello")), whole("m", tool("t", "Bash", json!({})))]).await;
        interrupted(&mut side).await;
        std::future::pending::<()>().await;
        DONE
    })
    .await;
    let (_, done) = session.begin("one");
    session.log.until(|body| matches!(body, Body::ItemStarted { item } if item.item_id == "t")).await;
    session.kernel.cancel("enough").await.unwrap();
    assert_eq!(session.ended().await.status, TurnStatus::Cancelled);
    done.await.unwrap();
    session.kernel.until(|state| state == State::Ready).await;
    assert_eq!(session.turn("two").await.status, TurnStatus::Completed);
    assert_eq!(session.launcher.launched().len(), 2);
    let log = session.stop().await;
    assert_eq!(status(&log, "t").as_deref(), Some("Cancelled"));
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_the_middle_of_a_turn_ends_it_first() {
    let mut input = StartInput::new(execution(json!({})));
    input.permission_timeout = None;
    let mut session = start_with(input, |mut side| async move {
        ready(&mut side).await;
        prompt(&mut side).await;
        say(
            &mut side,
            &[init(), whole("m", tool("t", "Bash", json!({}))), can_use("R1", "t", "Bash", json!({}))],
        )
        .await;
        interrupted(&mut side).await;
        say(&mut side, &[aborted()]).await;
        rest(&mut side).await
    })
    .await;
    let (_, done) = session.begin("one");
    session.asked().await;
    let log = session.stop().await;
    done.await.unwrap();
    let kinds = log.kinds();
    assert_eq!(kinds.iter().filter(|kind| *kind == "turn.completed").count(), 1);
    assert_eq!(kinds.last().map(String::as_str), Some("session.ended"));
    assert_eq!(status(&log, "t").as_deref(), Some("Cancelled"));
}
