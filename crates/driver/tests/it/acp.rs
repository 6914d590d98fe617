//! Turns of an ACP agent: what it says, does, asks and costs, and how they end.

use std::sync::Arc;
use std::time::Duration;

use agentos_driver::command::Decision;
use agentos_driver::event::{Body, InputOutcome, ItemStatus, StopReason, TurnStatus};
use agentos_driver::process::Exit;
use agentos_driver::{Command, Fate, Order, StartInput};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::acp_agent::{Agent, SESSION, ended_items, execution, ignored, of_kind, start};

fn new() -> StartInput {
    StartInput::new(execution())
}

fn call(id: &str, status: &str) -> Value {
    json!({"sessionUpdate": "tool_call", "toolCallId": id, "title": "Write", "kind": "edit", "status": status})
}

fn call_update(id: &str, status: &str) -> Value {
    json!({"sessionUpdate": "tool_call_update", "toolCallId": id, "status": status})
}

#[tokio::test(start_paused = true)]
async fn a_text_turn_has_thoughts_and_a_message() {
    let mut rig = start(new(), |mut agent| async move {
        agent.open(json!({})).await;
        let prompt = agent.expect("session/prompt").await;
        assert_eq!(
            prompt["params"],
            json!({"sessionId": SESSION, "prompt": [{"type": "text", "text": "hi"}]})
        );
        let thought =
            json!({"sessionUpdate": "agent_thought_chunk", "content": {"type": "text", "text": "hm"}});
        agent.update(thought).await;
        for part in ["", "Hel", "lo"] {
            agent.say(part).await;
        }
        agent.end_turn(&prompt).await;
        agent.rest().await
    })
    .await;
    let end = rig.turn("hi").await;
    assert_eq!((end.status, end.stop_reason), (TurnStatus::Completed, StopReason::EndTurn));
    let events = rig.stop().await;
    let items = ended_items(&events);
    assert_eq!(items.len(), 2);
    assert_eq!((&items[0]["kind"], &items[0]["content"]), (&json!("reasoning"), &json!(["hm"])));
    assert_eq!(items[1]["content"], json!([{"type": "text", "text": "Hello"}]));
    let info = &of_kind(&events, "session.info.updated")[0];
    assert_eq!((&info["vendorVersion"], &info["cwd"]), (&json!("1.2"), &json!("/w")));
    let resume = &of_kind(&events, "session.resume.updated")[0]["ref"];
    assert_eq!(resume, &json!({"kind": "acp_session_id", "runtimeId": "acp-fallback", "value": SESSION}));
}

/// A turn with one tool for which the agent asks; gives the agent's answer by what it says at last.
async fn asks(mut agent: Agent) -> Exit {
    agent.open(json!({})).await;
    let prompt = agent.expect("session/prompt").await;
    agent.update(call("c1", "pending")).await;
    agent.ask_permission(&json!(7), "c1").await;
    let answer = agent.answered(&json!(7)).await;
    let allowed = answer["outcome"] == json!({"outcome": "selected", "optionId": "yes"});
    if allowed {
        agent.update(call_update("c1", "in_progress")).await;
        let diff = json!([{"type": "diff", "path": "/w/a", "newText": "x"}]);
        let mut done = call_update("c1", "completed");
        done["content"] = diff;
        agent.update(done).await;
    } else {
        assert_eq!(answer["outcome"], json!({"outcome": "selected", "optionId": "no"}));
        agent.update(call_update("c1", "failed")).await;
    }
    agent.say(if allowed { "done" } else { "refused" }).await;
    agent.end_turn(&prompt).await;
    agent.rest().await
}

#[tokio::test(start_paused = true)]
async fn a_tool_is_completed_only_after_it_was_allowed_and_its_result_came() {
    let mut rig = start(new(), asks).await;
    let fate = rig.input("write");
    rig.decide(Decision::AllowOnce).await;
    assert_eq!(rig.turn_end().await.status, TurnStatus::Completed);
    assert_eq!(fate.await.unwrap().status, Fate::Completed);
    let kinds = rig.log.kinds();
    let place =
        |kind: &str| kinds.iter().position(|of| of == kind).unwrap_or_else(|| panic!("{kind}: {kinds:?}"));
    assert!(place("item.started") < place("permission.requested"));
    assert!(place("permission.resolved") < place("item.updated"));
    assert!(place("item.updated") < place("item.completed"));
    let events = rig.stop().await;
    let items = ended_items(&events);
    assert_eq!((&items[0]["name"], &items[0]["status"]), (&json!("Write"), &json!("completed")));
    let changed = &of_kind(&events, "file.changed")[0]["changes"][0];
    assert_eq!((&changed["path"], &changed["change"]), (&json!("/w/a"), &json!("upsert")));
    // The backend asks, the broker says so: once each.
    assert_eq!(of_kind(&events, "permission.requested").len(), 1);
    assert_eq!(of_kind(&events, "permission.resolved").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_was_refused_is_declined_and_the_turn_goes_on() {
    let mut rig = start(new(), asks).await;
    let fate = rig.input("write");
    rig.decide(Decision::RejectOnce).await;
    assert_eq!(rig.turn_end().await.status, TurnStatus::Completed);
    fate.await.unwrap();
    let events = rig.stop().await;
    let items = ended_items(&events);
    assert_eq!((&items[0]["status"], &items[0]["isError"]), (&json!("declined"), &json!(true)));
    assert_eq!(items[1]["content"][0]["text"], json!("refused"));
    assert!(of_kind(&events, "file.changed").is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_an_option_to_refuse_the_answer_is_cancelled() {
    let mut rig = start(new(), |mut agent| async move {
        agent.open(json!({})).await;
        let prompt = agent.expect("session/prompt").await;
        // The question is the first mention of its tool.
        let options = json!([{"optionId": "yes", "name": "Allow", "kind": "allow_once"}]);
        let params = json!({"toolCall": {"toolCallId": "c1", "title": "Write"}, "options": options});
        agent.ask(&json!("q"), "session/request_permission", params).await;
        assert_eq!(agent.answered(&json!("q")).await, json!({"outcome": {"outcome": "cancelled"}}));
        agent.end_turn(&prompt).await;
        agent.rest().await
    })
    .await;
    let fate = rig.input("write");
    rig.decide(Decision::RejectOnce).await;
    rig.turn_end().await;
    fate.await.unwrap();
    let items = ended_items(&rig.stop().await);
    assert_eq!((items.len(), &items[0]["status"]), (1, &json!("declined")));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_taken_back_is_closed_and_the_turn_goes_on() {
    let asked = Arc::new(Notify::new());
    let told = Arc::clone(&asked);
    let mut rig = start(new(), move |mut agent| {
        let asked = Arc::clone(&told);
        async move {
            agent.open(json!({})).await;
            let prompt = agent.expect("session/prompt").await;
            agent.ask_permission(&json!(1), "c1").await;
            asked.notified().await;
            let params = json!({"requestId": 1});
            agent.side.send(json!({"jsonrpc": "2.0", "method": "$/cancel_request", "params": params})).await;
            assert_eq!(agent.answered(&json!(1)).await["code"], json!(-32800));
            agent.end_turn(&prompt).await;
            agent.rest().await
        }
    })
    .await;
    let fate = rig.input("write");
    rig.log.until(|body| matches!(body, Body::PermissionRequested(_))).await;
    asked.notify_one();
    assert_eq!(rig.turn_end().await.status, TurnStatus::Completed);
    fate.await.unwrap();
    let resolved = &of_kind(&rig.stop().await, "permission.resolved")[0];
    assert_eq!((&resolved["outcome"], &resolved["decision"]), (&json!("cancelled"), &json!("reject")));
}

#[tokio::test(start_paused = true)]
async fn the_agent_hears_of_a_cancel_before_its_question_is_answered() {
    let mut rig = start(new(), |mut agent| async move {
        agent.open(json!({})).await;
        let prompt = agent.expect("session/prompt").await;
        agent.update(call("c1", "in_progress")).await;
        agent.ask_permission(&json!(7), "c1").await;
        assert_eq!(agent.expect("session/cancel").await["params"], json!({"sessionId": SESSION}));
        assert_eq!(agent.answered(&json!(7)).await, json!({"outcome": {"outcome": "cancelled"}}));
        // Asked again after the cancel: nobody is bothered.
        agent.ask_permission(&json!(8), "c2").await;
        assert_eq!(agent.answered(&json!(8)).await, json!({"outcome": {"outcome": "cancelled"}}));
        // Whatever it says now.
        agent.refuse(&prompt, -32603, "aborted").await;
        let prompt = agent.expect("session/prompt").await;
        agent.say("again").await;
        agent.end_turn(&prompt).await;
        agent.rest().await
    })
    .await;
    let fate = rig.input("write");
    rig.log.until(|body| matches!(body, Body::PermissionRequested(_))).await;
    rig.kernel.cancel("enough").await.unwrap();
    let end = rig.turn_end().await;
    assert_eq!(
        (end.status, end.stop_reason, end.error),
        (TurnStatus::Cancelled, StopReason::Cancelled, None)
    );
    fate.await.unwrap();
    assert_eq!(rig.turn("go on").await.status, TurnStatus::Completed);
    assert_eq!(rig.launcher.launched().len(), 1);
    let events = rig.stop().await;
    assert_eq!(of_kind(&events, "permission.requested").len(), 1);
    let items = ended_items(&events);
    assert_eq!(items[0]["status"], json!("cancelled"));
    assert_eq!(items.last().unwrap()["content"][0]["text"], json!("again"));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_ignores_a_cancel_is_killed_and_its_session_loaded_again() {
    let mut rig = start(new(), |mut agent| async move {
        if agent.side.start == 0 {
            agent.open(json!({"loadSession": true})).await;
            agent.expect("session/prompt").await;
            agent.say("a").await;
            return agent.rest().await;
        }
        agent.initialize(json!({"loadSession": true})).await;
        let load = agent.expect("session/load").await;
        assert_eq!(load["params"]["sessionId"], json!(SESSION));
        agent.say("history").await;
        agent.update(call("old", "completed")).await;
        agent.answer(&load, json!({})).await;
        let prompt = agent.expect("session/prompt").await;
        agent.say("b").await;
        agent.end_turn(&prompt).await;
        agent.rest().await
    })
    .await;
    let fate = rig.input("one");
    rig.log.until(|body| matches!(body, Body::ItemDelta(_))).await;
    rig.kernel.cancel("enough").await.unwrap();
    assert_eq!(rig.turn_end().await.status, TurnStatus::Cancelled);
    fate.await.unwrap();
    assert_eq!(rig.turn("two").await.status, TurnStatus::Completed);
    assert_eq!(rig.launcher.launched().len(), 2);
    let text = |item: &Value| item["content"][0]["text"].as_str().unwrap_or_default().to_owned();
    let said: Vec<String> = ended_items(&rig.stop().await).iter().map(text).collect();
    assert_eq!(said, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn how_a_prompt_is_answered_is_how_the_turn_ends() {
    let answers = [
        (json!({"result": {"stopReason": "max_tokens"}}), TurnStatus::Completed, StopReason::MaxTokens, ""),
        (json!({"result": {"stopReason": "refusal"}}), TurnStatus::Completed, StopReason::Refusal, ""),
        (json!({"result": {"stopReason": "sunset"}}), TurnStatus::Completed, StopReason::EndTurn, ""),
        (json!({"result": {"stopReason": "cancelled"}}), TurnStatus::Cancelled, StopReason::Cancelled, ""),
        (
            json!({"result": {"stopReason": "max_turn_requests"}}),
            TurnStatus::Failed,
            StopReason::MaxTurns,
            "acp.max_turn_requests",
        ),
        (json!({"result": []}), TurnStatus::Failed, StopReason::Error, "acp.turn_failed"),
        (
            json!({"error": {"code": -32603, "message": "overloaded"}}),
            TurnStatus::Failed,
            StopReason::Error,
            "acp.turn_failed",
        ),
        (
            json!({"error": {"code": -32000, "message": "log in"}}),
            TurnStatus::Failed,
            StopReason::Error,
            "acp.auth_required",
        ),
    ];
    let played = answers.clone();
    let mut rig = start(new(), move |mut agent| {
        let answers = played.clone();
        async move {
            agent.open(json!({})).await;
            for (answer, ..) in answers {
                let prompt = agent.expect("session/prompt").await;
                agent.update(call(&prompt["id"].to_string(), "in_progress")).await;
                let mut message = answer;
                message["jsonrpc"] = "2.0".into();
                message["id"] = prompt["id"].clone();
                agent.side.send(message).await;
            }
            agent.rest().await
        }
    })
    .await;
    for (answer, status, reason, code) in answers {
        let end = rig.turn("go").await;
        assert_eq!((end.status, end.stop_reason), (status, reason), "{answer}");
        assert_eq!(end.error.map(|error| error.code).unwrap_or_default(), code, "{answer}");
    }
    // A failed turn is not the end of the session: one process ran them all, and each left a tool open.
    assert_eq!(rig.launcher.launched().len(), 1);
    let items = ended_items(&rig.stop().await);
    assert_eq!(items.len(), 8);
    assert!(
        items.iter().all(|item| item["status"] == json!("failed") || item["status"] == json!("cancelled"))
    );
}

#[tokio::test(start_paused = true)]
async fn cost_is_told_by_turn_and_its_total_kept_for_resuming() {
    let mut rig = start(new(), |mut agent| async move {
        agent.open(json!({})).await;
        for total in [0.000171, 0.000513, 0.000855] {
            let prompt = agent.expect("session/prompt").await;
            let cost = json!({"amount": total, "currency": "USD"});
            agent
                .update(json!({"sessionUpdate": "usage_update", "used": 9, "size": 100, "cost": cost}))
                .await;
            let usage = json!({"inputTokens": 5, "outputTokens": 2, "totalTokens": 7});
            agent.answer(&prompt, json!({"stopReason": "end_turn", "usage": usage})).await;
        }
        agent.rest().await
    })
    .await;
    let mut costs = Vec::new();
    for _ in 0..3 {
        rig.turn("go").await;
        let usage = of_kind(&rig.log.events, "usage.updated").pop().unwrap();
        costs.push(usage["costAmount"].as_f64().unwrap());
        assert_eq!((&usage["contextUsed"], &usage["totalTokens"]), (&json!(9), &json!(7)));
    }
    assert_eq!(costs, [0.000171, 0.000342, 0.000342]);
    let events = rig.stop().await;
    let resume = of_kind(&events, "session.resume.updated");
    assert_eq!((resume.len(), &resume[3]["costTotal"]), (4, &json!(0.000855)));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_understood_is_reported_by_its_type_and_the_turn_goes_on() {
    let mut rig = start(new(), |mut agent| async move {
        agent.open(json!({})).await;
        agent.say("too early").await;
        let prompt = agent.expect("session/prompt").await;
        agent.update(json!({"sessionUpdate": "x_new", "secret": "s3cret"})).await;
        agent.update(json!(["s3cret"])).await;
        agent.side.send_line("{\"s3cret").await;
        agent.side.send_line("s3cret is no JSON").await;
        agent.side.send_line("").await;
        agent.side.send(json!({"jsonrpc": "2.0", "method": "_own", "params": {}})).await;
        agent.side.send(json!({"jsonrpc": "2.0", "method": "else", "params": "s3cret"})).await;
        let foreign = json!({"sessionId": "other", "update": {"sessionUpdate": "plan"}});
        agent.side.send(json!({"jsonrpc": "2.0", "method": "session/update", "params": foreign})).await;
        // Longer than any line may be.
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..17 {
            agent.side.send_bytes(&piece).await;
        }
        agent.side.send_line("").await;
        let stray = json!({"jsonrpc": "2.0", "id": 999, "result": {"stopReason": "end_turn"}});
        agent.side.send(stray).await;
        agent.ask(&json!(1), "fs/read_text_file", json!({"path": "/etc/passwd"})).await;
        agent.say("ok").await;
        agent.end_turn(&prompt).await;
        agent.say("too late").await;
        // Two refusals: of the line that was none, and of the file.
        let mut codes = Vec::new();
        for _ in 0..2 {
            codes.push(agent.side.recv().await.unwrap()["error"]["code"].clone());
        }
        assert_eq!(codes, [json!(-32700), json!(-32601)]);
        let prompt = agent.expect("session/prompt").await;
        agent.end_turn(&prompt).await;
        agent.rest().await
    })
    .await;
    assert_eq!(rig.turn("go").await.status, TurnStatus::Completed);
    assert_eq!(rig.turn("go").await.status, TurnStatus::Completed);
    let events = rig.stop().await;
    let items = ended_items(&events);
    assert_eq!((items.len(), &items[0]["content"][0]["text"]), (1, &json!("ok")));
    let ignored = ignored(&events);
    for what in [
        "outside of a turn",
        "x_new",
        "without an update",
        "not JSON",
        "notification else",
        "another session",
        "too long",
        "request fs/read_text_file",
    ] {
        assert!(ignored.iter().any(|line| line.contains(what)), "{what}: {ignored:?}");
    }
    assert!(!ignored.join(" ").contains("s3cret"), "{ignored:?}");
}

#[tokio::test(start_paused = true)]
async fn a_form_is_asked_of_the_user_and_anything_else_declined() {
    let mut rig = start(new(), |mut agent| async move {
        agent.open(json!({})).await;
        let prompt = agent.expect("session/prompt").await;
        let schema =
            json!({"type": "object", "properties": {"n": {"type": "integer", "title": "How many?"}}});
        let form = json!({"mode": "form", "message": "Tell me", "requestedSchema": schema});
        agent.ask(&json!(1), "elicitation/create", form).await;
        assert_eq!(agent.answered(&json!(1)).await, json!({"action": "accept", "content": {"n": 7}}));
        agent.ask(&json!(2), "elicitation/create", json!({"mode": "url", "url": "https://a"})).await;
        assert_eq!(agent.answered(&json!(2)).await, json!({"action": "decline"}));
        agent.end_turn(&prompt).await;
        agent.rest().await
    })
    .await;
    let fate = rig.input("go");
    let event = rig.log.until(|body| matches!(body, Body::InputRequested(_))).await;
    let Body::InputRequested(asked) = event.body else { unreachable!() };
    assert_eq!((asked.title.as_deref(), asked.questions[0].prompt.as_str()), (Some("Tell me"), "How many?"));
    let answers = json!({"n": "7"}).as_object().cloned().unwrap();
    let outcome = InputOutcome::Answered { answers };
    let order = Order::InputResolve { request_id: asked.request_id, outcome };
    assert_eq!(rig.kernel.dispatch(Command::of(order)).await.status, Fate::Completed);
    assert_eq!(rig.turn_end().await.status, TurnStatus::Completed);
    fate.await.unwrap();
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_goes_away_between_turns_is_started_again() {
    let mut rig = start(new(), |mut agent| async move {
        let can = json!({"sessionCapabilities": {"resume": {}}});
        if agent.side.start == 0 {
            agent.open(can).await;
            agent.side.log("out of memory").await;
            // Its session is ready by then.
            tokio::time::sleep(Duration::from_secs(1)).await;
            return Exit { code: Some(9), signal: None };
        }
        agent.initialize(can).await;
        let resume = agent.expect("session/resume").await;
        agent.answer(&resume, json!({})).await;
        let prompt = agent.expect("session/prompt").await;
        agent.end_turn(&prompt).await;
        agent.rest().await
    })
    .await;
    let restarted =
        |body: &Body| matches!(body, Body::DiagnosticReported(of) if of.code == "driver.backend_restarted");
    rig.log.until(restarted).await;
    assert_eq!(rig.turn("go").await.status, TurnStatus::Completed);
    let events = rig.stop().await;
    let exited = of_kind(&events, "diagnostic.reported");
    let exited = exited.iter().find(|of| of["code"] == json!("driver.backend_exited")).unwrap();
    assert_eq!(
        (&exited["details"]["exitCode"], &exited["details"]["stderr"]),
        (&json!(9), &json!("out of memory"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_is_closed_where_that_is_offered_and_the_process_ended() {
    let rig = start(new(), |mut agent| async move {
        agent.open(json!({"sessionCapabilities": {"close": {}}})).await;
        let close = agent.expect("session/close").await;
        assert_eq!(close["params"], json!({"sessionId": SESSION}));
        agent.answer(&close, json!({})).await;
        assert_eq!(agent.side.recv_line().await, None);
        // It does not end by itself.
        agent.side.terminated().await;
        Exit { code: None, signal: Some(15) }
    })
    .await;
    let events = rig.stop().await;
    assert_eq!(of_kind(&events, "session.ended")[0]["reason"], json!("test"));
    assert!(
        !of_kind(&events, "diagnostic.reported")
            .iter()
            .any(|of| of["code"] == json!("driver.backend_exited"))
    );
}

#[tokio::test(start_paused = true)]
async fn the_status_of_an_item_never_goes_back() {
    let mut rig = start(new(), |mut agent| async move {
        agent.open(json!({})).await;
        let prompt = agent.expect("session/prompt").await;
        for status in ["in_progress", "pending", "in_progress", "completed", "in_progress", "failed"] {
            agent.update(call_update("c1", status)).await;
        }
        agent.end_turn(&prompt).await;
        agent.rest().await
    })
    .await;
    rig.turn("go").await;
    let events = rig.stop().await;
    let started = events.iter().find_map(|event| match &event.body {
        Body::ItemStarted { item } => Some(item.status),
        _ => None,
    });
    assert_eq!(started, Some(ItemStatus::Running));
    assert!(of_kind(&events, "item.updated").is_empty());
    let items = ended_items(&events);
    assert_eq!((items.len(), &items[0]["status"]), (1, &json!("completed")));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_floods_with_what_is_nothing_is_given_up() {
    let mut rig = start(new(), |mut agent| async move {
        let can = json!({"loadSession": true});
        if agent.side.start > 0 {
            agent.initialize(can).await;
            let load = agent.expect("session/load").await;
            agent.answer(&load, json!({})).await;
            return agent.rest().await;
        }
        agent.open(can).await;
        agent.expect("session/prompt").await;
        while agent.side.send_line("x").await {}
        std::future::pending().await
    })
    .await;
    let end = rig.turn("go").await;
    assert_eq!((end.status, end.error.unwrap().code.as_str()), (TurnStatus::Failed, "driver.backend_exited"));
    assert_eq!(rig.launcher.launched().len(), 2);
    let reports = ignored(&rig.stop().await).len();
    assert!((1..=256).contains(&reports), "{reports}");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_silent_for_long_is_told_of_but_not_while_somebody_is_asked() {
    for asks in [false, true] {
        let mut rig = start(StartInput { permission_timeout: None, ..new() }, move |mut agent| async move {
            agent.open(json!({})).await;
            let prompt = agent.expect("session/prompt").await;
            if asks {
                agent.ask_permission(&json!(1), "c1").await;
            }
            tokio::time::sleep(Duration::from_secs(1500)).await;
            if asks {
                agent.answered(&json!(1)).await;
            }
            agent.end_turn(&prompt).await;
            agent.rest().await
        })
        .await;
        let fate = rig.input("go");
        tokio::time::sleep(Duration::from_secs(1490)).await;
        if asks {
            rig.decide(Decision::AllowOnce).await;
        }
        assert_eq!(rig.turn_end().await.status, TurnStatus::Completed);
        fate.await.unwrap();
        let told = of_kind(&rig.stop().await, "diagnostic.reported");
        assert_eq!(told.iter().filter(|of| of["code"] == json!("acp.silent")).count(), usize::from(!asks));
    }
}

/// Tells when it is dropped.
struct Gone(Option<tokio::sync::oneshot::Sender<()>>);

impl Drop for Gone {
    fn drop(&mut self) {
        if let Some(told) = self.0.take() {
            let _ = told.send(());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_dropped_takes_its_process_along_whatever_is_asked() {
    let (told, gone) = tokio::sync::oneshot::channel();
    let told = Arc::new(std::sync::Mutex::new(Some(told)));
    let mut rig = start(StartInput { permission_timeout: None, ..new() }, move |mut agent| {
        let told = told.lock().unwrap().take();
        async move {
            let _gone = Gone(told);
            agent.open(json!({})).await;
            agent.expect("session/prompt").await;
            agent.ask_permission(&json!(1), "c1").await;
            std::future::pending().await
        }
    })
    .await;
    let fate = rig.input("go");
    rig.log.until(|body| matches!(body, Body::PermissionRequested(_))).await;
    fate.abort();
    drop(rig);
    let ended = tokio::time::timeout(Duration::from_secs(30), gone).await;
    assert!(matches!(ended, Ok(Ok(()))), "the process goes on");
}
