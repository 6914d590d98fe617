//! Turns of Codex: what the app server says becomes the events of a turn, and what it asks is asked.

use agentos_driver::command::Decision;
use agentos_driver::event::{Body, ContentBlock, InputOutcome};
use agentos_driver::{Fate, Input, Order, State};
use serde_json::{Value, json};

use super::codex_vendor::{
    Server, Session, THREAD, all, cancelled_items, command, input, payload, resuming, statuses,
};

#[tokio::test]
async fn a_text_turn_has_its_thoughts_its_message_and_its_usage() {
    let mut session = Session::start(|side| async {
        let mut server = Server::ready(side).await;
        let asked = server.turn("U1").await;
        let expected = json!({ "threadId": THREAD, "input": [{ "type": "text", "text": "hello", "text_elements": [] }] });
        assert_eq!(asked["params"], expected);
        server.item("U1", "started", json!({ "type": "userMessage", "id": "i1", "content": [] })).await;
        server.item("U1", "completed", json!({ "type": "userMessage", "id": "i1" })).await;
        server.item("U1", "started", json!({ "type": "reasoning", "id": "rs", "summary": [], "content": [] })).await;
        let delta = json!({ "turnId": "U1", "itemId": "rs", "delta": "Hm", "summaryIndex": 0 });
        server.say("item/reasoning/summaryTextDelta", delta).await;
        let delta = json!({ "turnId": "U1", "itemId": "rs", "delta": "long", "contentIndex": 0 });
        server.say("item/reasoning/textDelta", delta).await;
        let thought = json!({ "type": "reasoning", "id": "rs", "summary": ["Hm"], "content": ["long"] });
        server.item("U1", "completed", thought).await;
        server.message("U1", "m", "Hello").await;
        server.used("U1", 1).await;
        let again = json!({ "type": "agentMessage", "id": "m", "text": "Hello" });
        let turn = json!({ "id": "U1", "status": "completed", "error": null, "items": [again] });
        server.say("turn/completed", json!({ "turn": turn })).await;
        server.rest().await;
    })
    .await;
    let update = session.run("hello").await;
    assert_eq!(update.status, Fate::Completed);
    let ended = session.ended().await;
    assert_eq!((&ended["status"], &ended["stopReason"]), (&json!("completed"), &json!("end_turn")));
    let expected = [
        "session.started",
        "session.resume.updated",
        "session.info.updated",
        "turn.started",
        "item.started",
        "item.completed",
        "item.started",
        "item.completed",
        "usage.updated",
        "turn.completed",
    ];
    assert_eq!(session.log.kinds(), expected);
    let events = session.finish().await;
    let info = &all(&events, "session.info.updated")[0];
    assert_eq!(info, &json!({ "model": "m", "cwd": "/workspace", "vendorVersion": "0.169.0" }));
    let items = all(&events, "item.completed");
    assert_eq!(items[0]["item"]["summary"], json!(["Hm"]));
    assert_eq!(items[1]["item"]["content"], json!([{ "type": "text", "text": "Hello" }]));
    let usage = &all(&events, "usage.updated")[0];
    assert_eq!((&usage["inputTokens"], &usage["basis"]), (&json!(11), &json!("inclusive")));
    assert_eq!(usage.get("costAmount"), None);
    let mut streams: Vec<Value> =
        all(&events, "item.delta").iter().map(|delta| delta["stream"].clone()).collect();
    // Those that follow each other may be joined.
    streams.dedup();
    assert_eq!(streams, ["reasoning_summary", "reasoning", "text"]);
    let native =
        events.iter().find(|event| matches!(event.body, Body::ItemDelta(_))).unwrap().native.clone().unwrap();
    assert_eq!((native.provider.as_str(), native.item_id.as_deref()), ("openai-app-server", Some("rs")));
    assert_eq!((native.thread_id.as_deref(), native.turn_id.as_deref()), (Some(THREAD), Some("U1")));
}

#[tokio::test]
async fn a_command_runs_only_after_it_was_allowed_and_nobody_is_asked_any_more() {
    for (decision, expected) in [(Decision::AllowOnce, "accept"), (Decision::AllowAlways, "acceptForSession")]
    {
        let mut session = Session::start(move |side| async move {
            let mut server = Server::ready(side).await;
            server.turn("U1").await;
            server.command_asks("U1", "c", json!(0)).await;
            assert_eq!(server.recv().await, json!({ "id": 0, "result": { "decision": expected } }));
            server.resolved(json!(0)).await;
            let delta = json!({ "turnId": "U1", "itemId": "c", "delta": "hi\n" });
            server.say("item/commandExecution/outputDelta", delta).await;
            server.item("U1", "completed", command("c", "completed", json!(0))).await;
            server.completes("U1").await;
            server.rest().await;
        })
        .await;
        session.begin("run");
        let asked = session.permission().await;
        assert_eq!((asked.title.as_str(), asked.item_id.as_deref()), ("Run a command", Some("c")));
        assert_eq!(asked.description.as_deref(), Some("outside"));
        assert_eq!(asked.detail.as_ref().unwrap()["command"], json!("touch /out"));
        assert_eq!(statuses(&session.log.events, "command"), ["pending"]);
        assert_eq!(session.kernel.state(), State::NeedsApproval);
        session.decide(&asked, decision, None).await;
        session.ended().await;
        let events = session.finish().await;
        assert_eq!(statuses(&events, "command"), ["pending", "running", "completed"]);
        let resolved = events.iter().position(|event| matches!(event.body, Body::PermissionResolved(_)));
        let running = events.iter().position(|event| matches!(event.body, Body::ItemUpdated(_)));
        assert!(resolved < running, "{resolved:?} {running:?}");
        let item = &all(&events, "item.completed")[0]["item"];
        assert_eq!((&item["output"], &item["exitCode"]), (&json!("hi\n"), &json!(0)));
    }
}

#[tokio::test]
async fn a_command_that_nobody_is_asked_about_runs_by_its_first_output_or_its_result() {
    let mut session = Session::start(|side| async {
        let mut server = Server::ready(side).await;
        server.turn("U1").await;
        server.item("U1", "started", command("a", "inProgress", Value::Null)).await;
        let delta = json!({ "turnId": "U1", "itemId": "a", "delta": "o" });
        server.say("item/commandExecution/outputDelta", delta).await;
        server.item("U1", "completed", command("a", "completed", Value::Null)).await;
        server.item("U1", "started", command("b", "inProgress", Value::Null)).await;
        server.item("U1", "completed", command("b", "failed", json!(2))).await;
        server.completes("U1").await;
        server.rest().await;
    })
    .await;
    session.begin("run");
    session.ended().await;
    let events = session.finish().await;
    let expected = ["pending", "running", "completed", "pending", "running", "failed"];
    assert_eq!(statuses(&events, "command"), expected);
    // What was streamed stays, though the last word leaves it out.
    assert_eq!(all(&events, "item.completed")[0]["item"]["output"], json!("o"));
}

#[tokio::test]
async fn a_refused_command_is_declined_and_never_runs() {
    let mut session = Session::start(|side| async {
        let mut server = Server::ready(side).await;
        server.turn("U1").await;
        server.command_asks("U1", "c", json!("req-1")).await;
        assert_eq!(server.recv().await, json!({ "id": "req-1", "result": { "decision": "decline" } }));
        server.resolved(json!("req-1")).await;
        server.item("U1", "completed", command("c", "declined", Value::Null)).await;
        server.message("U1", "m", "As you wish.").await;
        server.completes("U1").await;
        server.rest().await;
    })
    .await;
    session.begin("run");
    let asked = session.permission().await;
    session.decide(&asked, Decision::RejectOnce, None).await;
    assert_eq!(session.ended().await["status"], "completed");
    let events = session.finish().await;
    assert_eq!(statuses(&events, "command"), ["pending", "declined"]);
}

#[tokio::test]
async fn two_commands_that_are_asked_about_run_each_by_its_own_answer() {
    let mut session = Session::start(|side| async {
        let mut server = Server::ready(side).await;
        server.turn("U1").await;
        server.command_asks("U1", "a", json!(0)).await;
        server.command_asks("U1", "b", json!(1)).await;
        for _ in 0..2 {
            let answer = server.recv().await;
            assert_eq!(answer["result"]["decision"], if answer["id"] == 0 { "accept" } else { "decline" });
        }
        server.say("serverRequest/resolved", json!({ "requestId": 0 })).await;
        server.resolved(json!(1)).await;
        server.item("U1", "completed", command("a", "completed", json!(0))).await;
        server.item("U1", "completed", command("b", "declined", Value::Null)).await;
        server.completes("U1").await;
        server.rest().await;
    })
    .await;
    session.begin("run");
    let first = session.permission().await;
    let second = session.permission().await;
    assert_eq!((first.item_id.as_deref(), second.item_id.as_deref()), (Some("a"), Some("b")));
    session.decide(&second, Decision::RejectOnce, None).await;
    assert_eq!(session.kernel.state(), State::NeedsApproval);
    session.decide(&first, Decision::AllowOnce, None).await;
    session.ended().await;
    let events = session.finish().await;
    assert_eq!(statuses(&events, "command"), ["pending", "pending", "running", "completed", "declined"]);
}

#[tokio::test]
async fn a_permission_that_the_vendor_withdraws_is_cancelled_and_not_answered() {
    let mut session = Session::start(|side| async {
        let mut server = Server::ready(side).await;
        server.turn("U1").await;
        server.command_asks("U1", "c", json!(0)).await;
        server.asked("turn/steer").await;
        server.resolved(json!(0)).await;
        server.item("U1", "completed", command("c", "declined", Value::Null)).await;
        server.completes("U1").await;
        assert_eq!(server.rest().await, Vec::<Value>::new());
    })
    .await;
    let (run_id, _) = session.begin("run");
    session.permission().await;
    // Something to hear, so that the vendor knows that the question is open.
    let kernel = session.kernel.clone();
    let steer = agentos_driver::Command::of(Order::TurnSteer { run_id, input: Input::text("more") });
    tokio::spawn(async move { kernel.dispatch(steer).await });
    session.ended().await;
    let events = session.finish().await;
    assert_eq!(all(&events, "permission.resolved")[0]["outcome"], "cancelled");
}

#[tokio::test]
async fn other_approvals_are_asked_and_answered_in_their_own_words() {
    let permissions = json!({ "network": { "enabled": true } });
    let rows = [
        (
            "item/fileChange/requestApproval",
            json!({ "turnId": "U1", "itemId": "f", "reason": "r" }),
            "acceptForSession",
            json!({ "decision": "acceptForSession" }),
        ),
        (
            "item/permissions/requestApproval",
            json!({ "turnId": "U1", "itemId": "p", "permissions": permissions }),
            "acceptForSession",
            json!({ "permissions": permissions, "scope": "session" }),
        ),
        (
            "execCommandApproval",
            json!({ "conversationId": THREAD, "callId": "x", "command": ["ls"] }),
            "accept",
            json!({ "decision": "approved" }),
        ),
        (
            "applyPatchApproval",
            json!({ "conversationId": THREAD, "callId": "x", "fileChanges": {} }),
            "decline",
            json!({ "decision": { "denied": { "rejection": "rejected" } } }),
        ),
        (
            "mcpServer/elicitation/request",
            json!({ "turnId": null, "serverName": "s", "message": "Call it?",
                "_meta": { "codex_approval_kind": "mcp_tool_call" } }),
            "accept",
            json!({ "action": "accept", "content": {}, "_meta": null }),
        ),
    ];
    let (methods, answers): (Vec<_>, Vec<_>) = rows
        .iter()
        .map(|(method, params, option, answer)| ((*method, params.clone()), (*option, answer.clone())))
        .unzip();
    let expected = answers.clone();
    let mut session = Session::start(move |side| {
        let (methods, expected) = (methods.clone(), expected.clone());
        async move {
            let mut server = Server::ready(side).await;
            server.turn("U1").await;
            for (n, ((method, params), (_, answer))) in methods.into_iter().zip(expected).enumerate() {
                server.ask(json!(n), method, params).await;
                assert_eq!(server.recv().await, json!({ "id": n, "result": answer }), "{method}");
            }
            server.completes("U1").await;
            server.rest().await;
        }
    })
    .await;
    session.begin("run");
    for (option, _) in answers {
        let asked = session.permission().await;
        let decision = match option {
            "accept" => Decision::AllowOnce,
            "acceptForSession" => Decision::AllowAlways,
            _ => Decision::RejectOnce,
        };
        session.decide(&asked, decision, Some(option)).await;
    }
    session.ended().await;
    session.finish().await;
}

#[tokio::test]
async fn the_user_is_asked_and_a_tool_of_the_host_is_called() {
    let mut session = Session::start(|side| async {
        let mut server = Server::ready(side).await;
        server.turn("U1").await;
        let questions =
            json!([{ "id": "q", "header": "h", "question": "Which?", "options": [{ "label": "a" }] }]);
        let params = json!({ "turnId": "U1", "itemId": "none", "questions": questions });
        server.ask(json!(0), "item/tool/requestUserInput", params).await;
        let answer = json!({ "id": 0, "result": { "answers": { "q": { "answers": ["a"] } } } });
        assert_eq!(server.recv().await, answer);
        let call = |status: &str, content: Value| {
            json!({ "type": "dynamicToolCall", "id": "t", "tool": "weather", "arguments": { "city": "Bonn" },
                "status": status, "contentItems": content, "success": content.is_array().then_some(true) })
        };
        server.item("U1", "started", call("inProgress", Value::Null)).await;
        let params =
            json!({ "turnId": "U1", "callId": "t", "tool": "weather", "arguments": { "city": "Bonn" } });
        server.ask(json!(1), "item/tool/call", params).await;
        let content = json!([{ "type": "inputText", "text": "rain" }]);
        let answer = json!({ "id": 1, "result": { "contentItems": content, "success": true } });
        assert_eq!(server.recv().await, answer);
        server.item("U1", "completed", call("completed", content)).await;
        // One whose item the vendor leaves out.
        let params = json!({ "turnId": "U1", "callId": "u", "tool": "weather", "arguments": {} });
        server.ask(json!(2), "item/tool/call", params).await;
        assert_eq!(server.recv().await["result"]["success"], json!(false));
        server.completes("U1").await;
        server.rest().await;
    })
    .await;
    session.begin("run");
    let asked = session.log.until(|body| matches!(body, Body::InputRequested(_))).await;
    let answers = json!({ "q": "a" }).as_object().cloned().unwrap();
    let request_id = payload(&asked)["requestId"].as_str().unwrap().to_owned();
    let outcome = InputOutcome::Answered { answers };
    session.order(Order::InputResolve { request_id, outcome }).await;
    for (text, is_error) in [("rain", false), ("no city", true)] {
        let called = session.log.until(|body| matches!(body, Body::CustomToolRequested(_))).await;
        let Body::CustomToolRequested(called) = called.body else { unreachable!() };
        assert_eq!(called.name, "weather");
        let (request_id, content) = (called.request_id, vec![ContentBlock::text(text)]);
        session.order(Order::CustomToolResolve { request_id, content, is_error }).await;
    }
    session.ended().await;
    let events = session.finish().await;
    let expected = ["pending", "running", "completed", "pending", "running", "completed"];
    assert_eq!(statuses(&events, "tool_call"), expected);
    assert_eq!(
        all(&events, "item.completed")[0]["item"]["output"],
        json!([{ "type": "text", "text": "rain" }])
    );
}

#[tokio::test]
async fn what_is_not_served_is_answered_with_an_error_and_what_is_unknown_is_reported_once() {
    let mut session = Session::start(|side| async {
        let mut server = Server::ready(side).await;
        server.turn("U1").await;
        for id in [json!(0), json!("b")] {
            server.ask(id.clone(), "attestation/generate", json!({ "secret": "s" })).await;
            let answer = server.recv().await;
            assert_eq!((&answer["id"], &answer["error"]["code"]), (&id, &json!(-32000)));
            server.say("weather/changed", json!({ "secret": "s" })).await;
            server.say("account/rateLimits/updated", json!({})).await;
        }
        for line in ["{", "7", "", "[]", r#"{"id":99,"result":{}}"#, "{\"method\":7}", "\u{1}"] {
            server.side.send_line(line).await;
        }
        server.message("U1", "m", "Hello").await;
        server.completes("U1").await;
        server.rest().await;
    })
    .await;
    assert_eq!(session.run("run").await.status, Fate::Completed);
    session.ended().await;
    let events = session.finish().await;
    let ignored: Vec<String> = all(&events, "diagnostic.reported")
        .iter()
        .map(|diagnostic| {
            assert_eq!(diagnostic["code"], "driver.vendor_message_ignored");
            assert!(!diagnostic.to_string().contains("\"s\""));
            diagnostic["message"].as_str().unwrap().to_owned()
        })
        .collect();
    let expected = [
        "request attestation/generate",
        "notification weather/changed",
        "a line that is no JSON",
        "a line that is no object",
        "a line that is no object",
        "a response that nobody waits for",
        "a message whose method is no string",
        "a line that is no JSON",
    ];
    assert_eq!(ignored, expected);
}

#[tokio::test]
async fn a_line_that_is_too_long_is_skipped_and_the_turn_goes_on() {
    let mut session = Session::start(|side| async {
        let mut server = Server::ready(side).await;
        server.turn("U1").await;
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..33 {
            server.side.send_bytes(&piece).await;
        }
        server.side.send_line("").await;
        // One that is long, but not too long.
        server.message("U1", "m", &"y".repeat(2 << 20)).await;
        server.completes("U1").await;
        server.rest().await;
    })
    .await;
    session.begin("run");
    session.ended().await;
    let events = session.finish().await;
    assert_eq!(all(&events, "diagnostic.reported")[0]["message"], "a line that is too long");
    let text = all(&events, "item.completed")[0]["item"]["content"][0]["text"].as_str().unwrap().len();
    assert_eq!(text, 2 << 20);
}

#[tokio::test]
async fn changed_files_are_told_once_the_change_is_made() {
    let mut session = Session::start(|side| async {
        let mut server = Server::ready(side).await;
        server.turn("U1").await;
        let change = |status: &str, diff: &str| {
            json!({ "type": "fileChange", "id": "f", "status": status, "changes": [
                { "path": "/w/a", "kind": { "type": "add" }, "diff": diff },
                { "path": "/w/b", "kind": { "type": "delete" }, "diff": "" },
            ] })
        };
        server.item("U1", "started", change("inProgress", "+")).await;
        let patch = json!({ "turnId": "U1", "itemId": "f", "changes": [{ "path": "/w/a", "kind": { "type": "add" } }] });
        server.say("item/fileChange/patchUpdated", patch).await;
        server.item("U1", "completed", change("completed", "+x")).await;
        let mut failed = change("failed", "+x");
        failed["id"] = json!("g");
        server.item("U1", "completed", failed).await;
        let steps = json!([{ "step": "one", "status": "completed" }, { "step": "two", "status": "inProgress" }]);
        server.say("turn/plan/updated", json!({ "turnId": "U1", "plan": [steps[0]] })).await;
        server.say("turn/plan/updated", json!({ "turnId": "U1", "plan": steps })).await;
        server.say("thread/compacted", json!({ "turnId": "U1" })).await;
        server.completes("U1").await;
        server.rest().await;
    })
    .await;
    session.begin("run");
    session.ended().await;
    let events = session.finish().await;
    let changes = json!([
        { "path": "/w/a", "change": "upsert", "itemId": "f" },
        { "path": "/w/b", "change": "delete", "itemId": "f" },
    ]);
    assert_eq!(all(&events, "file.changed"), [json!({ "changes": changes })]);
    assert_eq!(statuses(&events, "file_change"), ["pending", "running", "completed", "running", "failed"]);
    assert_eq!(statuses(&events, "x_compaction"), ["running", "completed"]);
    let plan =
        all(&events, "item.completed").into_iter().find(|item| item["item"]["kind"] == "plan").unwrap();
    assert_eq!(
        (&plan["item"]["status"], &plan["item"]["entries"][1]["status"]),
        (&json!("completed"), &json!("in_progress"))
    );
}

#[tokio::test]
async fn a_turn_can_be_told_more_and_settings_hold_for_the_turns_that_follow() {
    let mut session = Session::start(|side| async {
        let mut server = Server::ready(side).await;
        let asked = server.turn("U1").await;
        assert_eq!(asked["params"]["effort"], "high");
        let steer = server.answer("turn/steer", json!({})).await;
        assert_eq!(
            (&steer["params"]["expectedTurnId"], &steer["params"]["input"][0]["text"]),
            (&json!("U1"), &json!("more"))
        );
        server.completes("U1").await;
        server.rest().await;
    })
    .await;
    let set = |config_id: &str, value: Value| Order::ConfigSet { config_id: config_id.to_owned(), value };
    assert_eq!(session.order(set("effort", json!("high"))).await.status, Fate::Completed);
    assert_eq!(session.order(set("color", json!("red"))).await.status, Fate::Failed);
    let (run_id, _) = session.begin("run");
    session.log.until(|body| matches!(body, Body::TurnStarted { .. })).await;
    let steer = || Order::TurnSteer { run_id, input: Input::text("more") };
    // Until the vendor has told its id of the turn there is nothing to be told.
    while session.order(steer()).await.status != Fate::Completed {
        tokio::task::yield_now().await;
    }
    session.ended().await;
    let events = session.finish().await;
    let options = json!([{ "id": "effort", "name": "Reasoning effort", "value": "high" }]);
    assert_eq!(all(&events, "session.config.updated")[0]["options"], options);
}

#[tokio::test]
async fn usage_is_that_of_each_turn_also_after_a_resume() {
    let play = |side| async {
        let mut server = Server::ready(side).await;
        server.turn("U1").await;
        server.used("U1", 1).await;
        server.used("U1", 2).await;
        server.used("U1", 2).await;
        server.completes("U1").await;
        server.turn("U2").await;
        server.used("U2", 3).await;
        server.completes("U2").await;
        server.rest().await;
    };
    let mut session = Session::start(play).await;
    for _ in 0..2 {
        session.run("run").await;
        session.ended().await;
    }
    let totals = |events: &[agentos_driver::Event]| -> Vec<u64> {
        all(events, "usage.updated").iter().map(|usage| usage["totalTokens"].as_u64().unwrap() / 18).collect()
    };
    let events = session.finish().await;
    assert_eq!(totals(&events).last(), Some(&1));
    assert_eq!(totals(&events).into_iter().max(), Some(2));

    let resumed = |side| async {
        let mut server = Server::ready(side).await;
        // Told once more, of a turn that is long over.
        server.used("U2", 3).await;
        server.turn("U3").await;
        server.used("U3", 4).await;
        server.used("U2", 4).await;
        server.completes("U3").await;
        server.rest().await;
    };
    let mut session = Session::with(resuming(), resumed).await;
    session.run("run").await;
    session.ended().await;
    let events = session.finish().await;
    assert_eq!(totals(&events), [1]);
    assert_eq!(all(&events, "session.started")[0]["resumed"], json!(true));
    assert_eq!(cancelled_items(&events), 0);
    assert_eq!(input().resume, None);
}
