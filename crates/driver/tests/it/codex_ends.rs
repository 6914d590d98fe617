//! How turns and sessions of Codex end: by a cancel, an error, the end of the process, or at the wrong moment.

use agentos_driver::command::Decision;
use agentos_driver::event::Body;
use agentos_driver::{Fate, Order, StartInput, State};
use serde_json::{Value, json};

use super::codex_vendor::{
    Server, Session, THREAD, all, cancelled_items, check, command, input, payload, resuming, statuses,
};

fn failure(kind: &str) -> Value {
    json!({ "message": "it broke", "codexErrorInfo": kind, "additionalDetails": null })
}

#[tokio::test]
async fn a_cancel_with_an_open_permission_interrupts_answers_nothing_and_leaves_the_next_turn_alone() {
    let mut session = Session::start(|side| async {
        let mut server = Server::ready(side).await;
        server.turn("U1").await;
        server.command_asks("U1", "c", json!(0)).await;
        let asked = server.asked("turn/interrupt").await;
        assert_eq!(asked["params"], json!({ "threadId": THREAD, "turnId": "U1" }));
        server.used("U1", 1).await;
        server.side.send(json!({ "id": asked["id"], "result": {} })).await;
        server.ends("U1", "interrupted", Value::Null).await;
        let next = server.asked("turn/start").await;
        // Late, and of the turn before.
        server.say("serverRequest/resolved", json!({ "requestId": 0 })).await;
        server.item("U1", "completed", command("c", "completed", json!(0))).await;
        server
            .ask(json!(1), "item/commandExecution/requestApproval", json!({ "turnId": "U1", "itemId": "c" }))
            .await;
        server.ends("U1", "interrupted", Value::Null).await;
        server.side.send(json!({ "id": next["id"], "result": { "turn": { "id": "U2" } } })).await;
        server.message("U2", "m", "Hello").await;
        server.completes("U2").await;
        assert_eq!(server.rest().await, Vec::<Value>::new());
    })
    .await;
    let (_, turn) = session.begin("run");
    session.permission().await;
    session.kernel.cancel("enough").await.unwrap();
    turn.await.unwrap();
    let ended = session.ended().await;
    assert_eq!((&ended["status"], &ended["stopReason"]), (&json!("cancelled"), &json!("cancelled")));
    assert_eq!(session.run("next").await.status, Fate::Completed);
    let events = session.finish().await;
    assert_eq!(statuses(&events, "command"), ["pending", "cancelled"]);
    assert_eq!((cancelled_items(&events), all(&events, "permission.requested").len()), (1, 1));
    assert_eq!(all(&events, "turn.completed")[1]["status"], "completed");
    assert_eq!(all(&events, "usage.updated").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_before_the_turn_has_an_id_interrupts_as_soon_as_it_has_one() {
    let mut session = Session::start(|side| async {
        let mut server = Server::ready(side).await;
        let asked = server.asked("turn/start").await;
        server.say("thread/name/updated", json!({ "threadName": "begun" })).await;
        // Passes only when nobody has anything to do: the cancel is known by then.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        server.side.send(json!({ "id": asked["id"], "result": { "turn": { "id": "U1" } } })).await;
        let interrupt = server.asked("turn/interrupt").await;
        // It has not begun the turn: it is asked once more when it has.
        let error = json!({ "code": -32600, "message": "no active turn" });
        server.side.send(json!({ "id": interrupt["id"], "error": error })).await;
        server.say("turn/started", json!({ "turn": { "id": "U1" } })).await;
        server.answer("turn/interrupt", json!({})).await;
        server.ends("U1", "interrupted", Value::Null).await;
        server.rest().await;
    })
    .await;
    let (_, turn) = session.begin("run");
    session.log.until(|body| matches!(body, Body::SessionInfoUpdated(info) if info.title.is_some())).await;
    session.kernel.cancel("enough").await.unwrap();
    turn.await.unwrap();
    assert_eq!(session.ended().await["status"], "cancelled");
    session.finish().await;
}

#[tokio::test]
async fn a_turn_that_ended_before_the_interrupt_arrived_is_completed() {
    let mut session = Session::start(|side| async {
        let mut server = Server::ready(side).await;
        server.turn("U1").await;
        server.message("U1", "m", "Hello").await;
        let asked = server.asked("turn/interrupt").await;
        server.completes("U1").await;
        let error = json!({ "code": -32600, "message": "no active turn" });
        server.side.send(json!({ "id": asked["id"], "error": error })).await;
        server.rest().await;
    })
    .await;
    session.begin("run");
    session.log.until(|body| matches!(body, Body::ItemCompleted { .. })).await;
    session.kernel.cancel("enough").await.unwrap();
    assert_eq!(session.ended().await["status"], "completed");
    session.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_does_not_end_a_cancelled_turn_is_killed_and_started_anew() {
    let mut session = Session::start(|side| async {
        let start = side.start;
        let mut server = Server::ready(side).await;
        server.turn("U1").await;
        if start == 0 {
            server.asked("turn/interrupt").await;
            server.item("U1", "started", command("c", "inProgress", Value::Null)).await;
            std::future::pending::<()>().await;
        }
        server.completes("U1").await;
        server.rest().await;
    })
    .await;
    session.begin("run");
    session.log.until(|body| matches!(body, Body::TurnStarted { .. })).await;
    session.kernel.cancel("enough").await.unwrap();
    assert_eq!(session.ended().await["status"], "cancelled");
    session
        .log
        .until(|body| matches!(body, Body::DiagnosticReported(d) if d.code == "driver.backend_restarted"))
        .await;
    assert_eq!(session.run("next").await.status, Fate::Completed);
    assert_eq!(session.launcher.launched().len(), 2);
    session.finish().await;
}

#[tokio::test]
async fn three_signals_of_an_error_are_one_failure_and_the_session_goes_on() {
    let mut session = Session::start(|side| async {
        let mut server = Server::ready(side).await;
        server.turn("U1").await;
        let retry =
            json!({ "turnId": "U1", "willRetry": true, "error": failure("responseStreamDisconnected") });
        server.say("error", retry).await;
        server.status(json!({ "type": "systemError" })).await;
        let error = json!({ "turnId": "U1", "willRetry": false, "error": failure("internalServerError") });
        server.say("error", error).await;
        server.ends("U1", "failed", failure("internalServerError")).await;
        server.turn("U2").await;
        server.completes("U2").await;
        server.rest().await;
    })
    .await;
    let update = session.run("run").await;
    assert_eq!((update.status, update.error.unwrap().code.as_str()), (Fate::Failed, "openai.turn_failed"));
    let ended = session.ended().await;
    let error = &ended["error"];
    assert_eq!((&ended["status"], &error["retryable"]), (&json!("failed"), &json!(true)));
    assert_eq!(error["details"]["codexErrorInfo"], "internalServerError");
    assert_eq!(session.kernel.state(), State::Ready);
    assert_eq!(session.run("next").await.status, Fate::Completed);
    let events = session.finish().await;
    assert_eq!(all(&events, "turn.completed").len(), 2);
    let retried = all(&events, "diagnostic.reported");
    assert!(retried.iter().any(|d| d["code"] == "openai.will_retry"), "{retried:?}");
}

#[tokio::test(start_paused = true)]
async fn an_error_that_no_end_of_the_turn_follows_is_the_end_after_five_seconds() {
    let mut session = Session::start(|side| async {
        let mut server = Server::ready(side).await;
        server.turn("U1").await;
        server.item("U1", "started", command("c", "inProgress", Value::Null)).await;
        let error = json!({ "turnId": "U1", "willRetry": false, "error": failure("usageLimitExceeded") });
        server.say("error", error).await;
        server.asked("turn/start").await;
        // Late, while the next turn is being started.
        server.ends("U1", "failed", failure("usageLimitExceeded")).await;
        std::future::pending::<()>().await;
    })
    .await;
    let before = tokio::time::Instant::now();
    session.begin("run");
    let ended = session.ended().await;
    assert!(before.elapsed() >= std::time::Duration::from_secs(5));
    assert_eq!((&ended["status"], &ended["error"]["retryable"]), (&json!("failed"), &json!(false)));
    let (_, next) = session.begin("next");
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert!(!next.is_finished(), "the late end is not that of the next turn");
    session.kernel.stop("test").await.unwrap();
    session.log.to_end().await;
    check(&session.log.events);
}

#[tokio::test]
async fn a_refusal_of_the_model_is_no_error_and_a_refused_start_is_one() {
    let mut session = Session::start(|side| async {
        let mut server = Server::ready(side).await;
        server.turn("U1").await;
        server.ends("U1", "failed", failure("cyberPolicy")).await;
        let asked = server.asked("turn/start").await;
        let error = json!({ "code": -32600, "message": "not now" });
        server.side.send(json!({ "id": asked["id"], "error": error })).await;
        server.rest().await;
    })
    .await;
    session.run("run").await;
    let ended = session.ended().await;
    assert_eq!((&ended["status"], &ended["stopReason"]), (&json!("completed"), &json!("refusal")));
    session.run("run").await;
    let ended = session.ended().await;
    assert_eq!((&ended["status"], &ended["error"]["message"]), (&json!("failed"), &json!("not now")));
    session.finish().await;
}

#[tokio::test]
async fn what_comes_before_the_answer_to_the_start_of_a_turn_is_of_that_turn() {
    for told in [false, true] {
        let mut session = Session::start(move |side| async move {
            let mut server = Server::ready(side).await;
            let asked = server.asked("turn/start").await;
            server.command_asks("U1", "c", json!(0)).await;
            if told {
                server.say("turn/started", json!({ "turn": { "id": "U1" } })).await;
                assert_eq!(server.recv().await["result"]["decision"], "accept");
            }
            let answer = json!({ "id": asked["id"], "result": { "turn": { "id": "U1" } } });
            server.side.send(answer.clone()).await;
            if !told {
                assert_eq!(server.recv().await["result"]["decision"], "accept");
            }
            server.resolved(json!(0)).await;
            server.item("U1", "completed", command("c", "completed", json!(0))).await;
            server.completes("U1").await;
            // One whose answer comes last of all.
            let asked = server.asked("turn/start").await;
            server.say("turn/started", json!({ "turn": { "id": "U2" } })).await;
            server.message("U2", "m", "Hello").await;
            server.completes("U2").await;
            server.side.send(json!({ "id": asked["id"], "result": { "turn": { "id": "U2" } } })).await;
            server.turn("U3").await;
            server.completes("U3").await;
            server.rest().await;
        })
        .await;
        session.begin("run");
        let asked = session.permission().await;
        session.decide(&asked, Decision::AllowOnce, None).await;
        session.ended().await;
        for _ in 0..2 {
            assert_eq!(session.run("next").await.status, Fate::Completed);
        }
        let events = session.finish().await;
        assert_eq!(statuses(&events, "command"), ["pending", "running", "completed"]);
        assert_eq!(statuses(&events, "message"), ["running", "completed"]);
    }
}

#[tokio::test]
async fn more_early_messages_than_there_is_room_for_lose_nothing() {
    let mut session = Session::start(|side| async {
        let mut server = Server::ready(side).await;
        let asked = server.asked("turn/start").await;
        server.item("U1", "started", json!({ "type": "agentMessage", "id": "m", "text": "" })).await;
        for _ in 0..1000 {
            server
                .say("item/agentMessage/delta", json!({ "turnId": "U1", "itemId": "m", "delta": "ab" }))
                .await;
        }
        server.side.send(json!({ "id": asked["id"], "result": { "turn": { "id": "U1" } } })).await;
        server.completes("U1").await;
        server.rest().await;
    })
    .await;
    session.begin("run");
    session.ended().await;
    let events = session.finish().await;
    let text = &all(&events, "item.completed")[0]["item"]["content"][0]["text"];
    assert_eq!(text.as_str().unwrap(), "ab".repeat(1000));
}

#[tokio::test]
async fn threads_beside_ours_are_left_out_but_their_approvals_are_asked() {
    let mut session = Session::start(|side| async {
        let mut server = Server::ready(side).await;
        server.turn("U1").await;
        let aside = |method: &str, params: Value| json!({ "method": method, "params": params });
        let item = json!({ "type": "agentMessage", "id": "x", "text": "other" });
        let completed = json!({ "threadId": "T2", "turnId": "V1", "item": item });
        server.side.send(aside("item/completed", completed)).await;
        let ended = json!({ "threadId": "T2", "turn": { "id": "V1", "status": "completed" } });
        server.side.send(aside("turn/completed", ended)).await;
        let params = json!({ "threadId": "T2", "turnId": "V1", "itemId": "c", "command": "ls" });
        let asked = json!({ "id": 5, "method": "item/commandExecution/requestApproval", "params": params });
        server.side.send(asked).await;
        assert_eq!(server.recv().await, json!({ "id": 5, "result": { "decision": "accept" } }));
        server.completes("U1").await;
        server.rest().await;
    })
    .await;
    session.begin("run");
    let asked = session.permission().await;
    assert_eq!(asked.item_id, None);
    session.decide(&asked, Decision::AllowOnce, None).await;
    session.ended().await;
    let events = session.finish().await;
    assert!(all(&events, "item.started").is_empty());
}

#[tokio::test]
async fn ids_that_the_vendor_uses_again_are_unique_in_the_session() {
    let mut session = Session::start(|side| async {
        let mut server = Server::ready(side).await;
        for turn in ["U1", "U2"] {
            server.turn(turn).await;
            server.command_asks(turn, "c", json!(0)).await;
            assert_eq!(server.recv().await, json!({ "id": 0, "result": { "decision": "accept" } }));
            server.resolved(json!(0)).await;
            server.item(turn, "completed", command("c", "completed", json!(0))).await;
            server.completes(turn).await;
        }
        server.rest().await;
    })
    .await;
    let mut requests = Vec::new();
    for expected in ["c", "U2:c"] {
        session.begin("run");
        let asked = session.permission().await;
        assert_eq!(asked.item_id.as_deref(), Some(expected));
        session.decide(&asked, Decision::AllowOnce, None).await;
        session.ended().await;
        requests.push(asked.request_id);
        session.kernel.until(|state| state == State::Ready).await;
    }
    assert!(requests[0] != requests[1] && requests[1].len() == 26, "{requests:?}");
    session.finish().await;
}

#[tokio::test]
async fn the_end_of_the_process_ends_the_turn_and_the_thread_is_resumed_once() {
    let mut session = Session::start(|side| async {
        let start = side.start;
        let mut server = Server::ready(side).await;
        if start == 0 {
            server.turn("U1").await;
            server.command_asks("U1", "c", json!(0)).await;
            server.side.log("no memory left\n").await;
            return;
        }
        server.turn("U2").await;
        server.message("U2", "m", "Hello").await;
        server.completes("U2").await;
        server.rest().await;
    })
    .await;
    let update = session.run("run").await;
    assert_eq!(update.error.unwrap().code, "driver.backend_exited");
    let ended = session.ended().await;
    assert_eq!((&ended["status"], &ended["error"]["retryable"]), (&json!("failed"), &json!(true)));
    assert_eq!(ended["error"]["details"]["stderr"], "no memory left\n");
    assert_eq!(session.run("next").await.status, Fate::Completed);
    let events = session.finish().await;
    assert_eq!(statuses(&events, "command"), ["pending", "failed"]);
    assert_eq!(all(&events, "permission.resolved")[0]["reason"], "cancelled");
    // The reference is the same: it was told once.
    let references = all(&events, "session.resume.updated");
    let reference = json!({ "kind": "openai_thread_id", "runtimeId": "openai-runtime", "value": THREAD });
    assert_eq!(references, [json!({ "ref": reference })]);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_while_no_turn_runs_is_started_anew_even_if_the_thread_was_never_kept() {
    let mut session = Session::start(|side| async {
        let start = side.start;
        if start == 0 {
            let _server = Server::ready(side).await;
            // Passes only when nobody has anything to do: the session is ready by then.
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            return;
        }
        let mut server = Server { side };
        server.answer("initialize", json!({})).await;
        server.recv().await;
        let asked = server.asked("thread/resume").await;
        assert_eq!(
            (&asked["params"]["threadId"], &asked["params"]["excludeTurns"]),
            (&json!(THREAD), &json!(true))
        );
        let error = json!({ "code": -32600, "message": "no rollout found" });
        server.side.send(json!({ "id": asked["id"], "error": error })).await;
        server.answer("thread/start", json!({ "thread": { "id": "T9" } })).await;
        server.rest().await;
    })
    .await;
    session
        .log
        .until(|body| matches!(body, Body::DiagnosticReported(d) if d.code == "driver.backend_restarted"))
        .await;
    assert_eq!(session.kernel.resume_ref().0.unwrap().value, "T9");
    session.finish().await;
}

#[tokio::test]
async fn a_thread_that_the_vendor_does_not_know_any_more_is_lost() {
    let mut session = Session::with(resuming(), |side| async {
        let mut server = Server { side };
        server.answer("initialize", json!({})).await;
        server.recv().await;
        let asked = server.asked("thread/resume").await;
        let error = json!({ "code": -32600, "message": "no rollout found" });
        server.side.send(json!({ "id": asked["id"], "error": error })).await;
        server.rest().await;
    })
    .await;
    assert_eq!(session.kernel.state(), State::Failed);
    session.log.to_end().await;
    assert_eq!(payload(session.log.events.last().unwrap())["error"]["code"], "resume.lost");
    assert_eq!(session.launcher.launched().len(), 1);
    check(&session.log.events);
}

#[tokio::test]
async fn a_vendor_that_ends_before_it_is_ready_fails_the_session() {
    for after in 0..3 {
        let mut session = Session::start(move |side| async move {
            let mut server = Server { side };
            if after > 0 {
                server.answer("initialize", json!({})).await;
            }
            if after > 1 {
                server.recv().await;
                server.asked("thread/start").await;
            }
        })
        .await;
        assert_eq!(session.kernel.state(), State::Failed, "{after}");
        session.log.to_end().await;
        assert_eq!(payload(session.log.events.last().unwrap())["error"]["code"], "driver.backend_exited");
    }
    for answer in
        [json!({ "result": {} }), json!({ "result": { "thread": { "id": 7 } } }), json!({ "error": 7 })]
    {
        let expected = answer.clone();
        let mut session = Session::start(move |side| {
            let mut answer = answer.clone();
            async move {
                let mut server = Server { side };
                server.answer("initialize", json!(null)).await;
                server.recv().await;
                answer["id"] = server.asked("thread/start").await["id"].clone();
                server.side.send(answer).await;
                server.rest().await;
            }
        })
        .await;
        session.log.to_end().await;
        let error = payload(session.log.events.last().unwrap())["error"]["code"].clone();
        assert_eq!(error, "openai.start_failed", "{expected}");
    }
}

#[tokio::test]
async fn a_session_that_is_stopped_within_a_turn_ends_both_and_reports_no_loss() {
    let mut session = Session::start(|side| async {
        let mut server = Server::ready(side).await;
        server.turn("U1").await;
        server.command_asks("U1", "c", json!(0)).await;
        let asked = server.asked("turn/interrupt").await;
        server.side.send(json!({ "id": asked["id"], "result": {} })).await;
        server.ends("U1", "interrupted", Value::Null).await;
        assert_eq!(server.rest().await, Vec::<Value>::new());
    })
    .await;
    session.begin("run");
    session.permission().await;
    let stopped = session.order(Order::SessionStop { reason: "done".to_owned() }).await;
    assert_eq!(stopped.status, Fate::Completed);
    session.log.to_end().await;
    let events = &session.log.events;
    check(events);
    assert_eq!(all(events, "turn.completed")[0]["status"], "cancelled");
    assert_eq!(payload(events.last().unwrap()), json!({ "reason": "done" }));
    assert!(all(events, "diagnostic.reported").iter().all(|d| d["code"] != "driver.backend_exited"));
    assert_eq!(session.launcher.launched().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_permission_that_nobody_answers_is_declined() {
    let input = StartInput { permission_timeout: Some(std::time::Duration::from_secs(3)), ..input() };
    let mut session = Session::with(input, |side| async {
        let mut server = Server::ready(side).await;
        server.turn("U1").await;
        server.command_asks("U1", "c", json!(0)).await;
        assert_eq!(server.recv().await, json!({ "id": 0, "result": { "decision": "decline" } }));
        server.resolved(json!(0)).await;
        server.item("U1", "completed", command("c", "declined", Value::Null)).await;
        server.completes("U1").await;
        server.rest().await;
    })
    .await;
    session.begin("run");
    assert_eq!(session.ended().await["status"], "completed");
    let events = session.finish().await;
    assert_eq!(all(&events, "permission.resolved")[0]["reason"], "timed_out");
}
