//! Whether tools may run: what the vendor asks, and what it is told.

use std::sync::Arc;

use agentos_driver::StartInput;
use agentos_driver::command::Decision;
use agentos_driver::event::{Body, TurnStatus};
use agentos_driver::ports::{PermissionRequest, Policy, PolicyDecision};
use serde_json::{Value, json};

use super::play::{
    Session, answer, can_use, execution, impatient, init, prompt, question, ready, rest, result, say, start,
    start_on, start_with, status, text, tool, tool_result, whole, withdrawn,
};

const SUGGESTED: &str = r#"[
    { "type": "addRules", "behavior": "allow", "destination": "localSettings", "rules": [{ "toolName": "Bash" }] },
    { "type": "setMode", "mode": "acceptEdits", "destination": "session" }]"#;

fn ls() -> Value {
    json!({ "command": "ls" })
}

/// A turn with one tool that is asked for; the answer is checked by the test.
async fn asking(result_of: impl Fn(&Value) -> Value + Send + Sync + Copy + 'static) -> Session {
    start_with(impatient(), move |mut side| async move {
        ready(&mut side).await;
        prompt(&mut side).await;
        let mut asked = can_use("R1", "t", "Bash", ls());
        asked["request"]["permission_suggestions"] = serde_json::from_str(SUGGESTED).unwrap();
        say(&mut side, &[init(), whole("m", tool("t", "Bash", ls())), asked]).await;
        let said = answer(&mut side).await;
        assert_eq!((&said["subtype"], &said["request_id"]), (&json!("success"), &json!("R1")));
        say(&mut side, &[result_of(&said["response"]), whole("n", text("Done.")), result(0.5)]).await;
        rest(&mut side).await
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_is_allowed_runs_and_ends_with_its_result() {
    let mut session = asking(|said| {
        assert_eq!(*said, json!({ "behavior": "allow", "updatedInput": { "command": "ls" } }));
        tool_result("t", "hi", false)
    })
    .await;
    let (_, done) = session.begin("go");
    let id = session.asked().await;
    assert_eq!(
        session.decide(&id, Decision::AllowOnce, None).await.result,
        Some(json!({ "resolved": true }))
    );
    assert_eq!(session.ended().await.status, TurnStatus::Completed);
    done.await.unwrap();
    let log = session.stop().await;
    let of: Vec<&Body> = log.events.iter().map(|event| &event.body).collect();
    let place = |is: &dyn Fn(&Body) -> bool| of.iter().position(|body| is(body)).unwrap();
    let asked =
        place(&|body| matches!(body, Body::PermissionRequested(of) if of.item_id.as_deref() == Some("t")));
    let running = place(
        &|body| matches!(body, Body::ItemUpdated(of) if of.patch.get("status") == Some(&json!("running"))),
    );
    let ended = place(&|body| matches!(body, Body::ItemCompleted { item } if item.item_id == "t"));
    assert!(asked < running && running < ended);
    let Body::PermissionRequested(permission) = of[asked] else { panic!("not a permission") };
    let detail = permission.detail.clone().unwrap();
    assert_eq!((&detail["type"], &detail["command"]), (&json!("command"), &json!("ls")));
    assert_eq!(permission.options.len(), 3);
    assert_eq!(status(&log, "t").as_deref(), Some("Completed"));
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_is_refused_is_declined_and_the_turn_goes_on() {
    let mut session = asking(|said| {
        assert_eq!(*said, json!({ "behavior": "deny", "message": "not now" }));
        tool_result("t", "not now", true)
    })
    .await;
    let (_, done) = session.begin("go");
    let id = session.asked().await;
    session.decide(&id, Decision::RejectOnce, Some("not now")).await;
    assert_eq!(session.ended().await.status, TurnStatus::Completed);
    done.await.unwrap();
    let log = session.stop().await;
    assert_eq!(status(&log, "t").as_deref(), Some("Declined"));
    let ran = log.events.iter().any(
        |event| matches!(&event.body, Body::ItemUpdated(of) if of.patch.get("status") == Some(&json!("running"))),
    );
    assert!(!ran);
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_is_always_allowed_is_so_for_this_session_only() {
    let mut session = asking(|said| {
        let rule = json!({ "type": "addRules", "behavior": "allow", "destination": "session",
            "rules": [{ "toolName": "Bash" }] });
        assert_eq!(said["updatedPermissions"], json!([rule]));
        tool_result("t", "hi", false)
    })
    .await;
    let (_, done) = session.begin("go");
    let id = session.asked().await;
    session.decide(&id, Decision::AllowAlways, None).await;
    assert_eq!(session.ended().await.status, TurnStatus::Completed);
    done.await.unwrap();
    session.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_who_answers_in_time_is_a_refusal() {
    let mut session = asking(|said| {
        assert_eq!(said["behavior"], "deny");
        tool_result("t", "no", true)
    })
    .await;
    assert_eq!(session.turn("go").await.status, TurnStatus::Completed);
    let log = session.stop().await;
    assert_eq!(status(&log, "t").as_deref(), Some("Declined"));
}

struct Fixed(PolicyDecision);

impl Policy for Fixed {
    fn decide(&self, _: &PermissionRequest) -> PolicyDecision {
        self.0.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_policy_decides_is_not_asked() {
    for (decision, behavior) in
        [(PolicyDecision::Allow, "allow"), (PolicyDecision::Reject { message: "never".to_owned() }, "deny")]
    {
        let with = move |mut ports: agentos_driver::Ports| {
            ports.policy = Arc::new(Fixed(decision.clone()));
            ports
        };
        let mut session = start_on(StartInput::new(execution(json!({}))), with, move |mut side| async move {
            ready(&mut side).await;
            prompt(&mut side).await;
            say(&mut side, &[init(), whole("m", tool("t", "Bash", ls())), can_use("R1", "t", "Bash", ls())])
                .await;
            let said = answer(&mut side).await;
            assert_eq!(said["response"]["behavior"], behavior);
            say(&mut side, &[tool_result("t", "x", behavior == "deny"), result(0.5)]).await;
            rest(&mut side).await
        })
        .await;
        assert_eq!(session.turn("go").await.status, TurnStatus::Completed);
        let log = session.stop().await;
        assert!(!log.kinds().iter().any(|kind| kind.starts_with("permission")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_that_the_vendor_takes_back_is_not_answered() {
    let mut session = start(|mut side| async move {
        ready(&mut side).await;
        prompt(&mut side).await;
        say(
            &mut side,
            &[
                init(),
                whole("m", tool("t", "Bash", ls())),
                can_use("R1", "t", "Bash", ls()),
                withdrawn("R1"),
                tool_result("t", "hi", false),
                result(0.5),
            ],
        )
        .await;
        assert!(side.recv().await.is_none(), "nothing was answered");
        super::play::DONE
    })
    .await;
    assert_eq!(session.turn("go").await.status, TurnStatus::Completed);
    let log = session.stop().await;
    let resolved = log.events.iter().find_map(|event| match &event.body {
        Body::PermissionResolved(of) => Some(format!("{:?}", of.outcome)),
        _ => None,
    });
    assert_eq!(resolved.as_deref(), Some("Cancelled"));
}

#[tokio::test(start_paused = true)]
async fn several_questions_wait_beside_each_other() {
    let mut session = start(|mut side| async move {
        ready(&mut side).await;
        prompt(&mut side).await;
        say(&mut side, &[init()]).await;
        for n in 0..3 {
            let id = format!("t{n}");
            say(
                &mut side,
                &[whole("m", tool(&id, "Bash", ls())), can_use(&format!("R{n}"), &id, "Bash", ls())],
            )
            .await;
        }
        // What is said meanwhile is read.
        say(&mut side, &[whole("n", text("waiting"))]).await;
        for n in [2, 0, 1] {
            assert_eq!(answer(&mut side).await["request_id"], json!(format!("R{n}")));
            say(&mut side, &[tool_result(&format!("t{n}"), "hi", false)]).await;
        }
        say(&mut side, &[result(0.5)]).await;
        rest(&mut side).await
    })
    .await;
    let (_, done) = session.begin("go");
    let mut asked = Vec::new();
    for _ in 0..3 {
        asked.push(session.asked().await);
    }
    session.log.until(|body| matches!(body, Body::ItemCompleted { item } if item.item_id == "n:0")).await;
    for n in [2, 0, 1] {
        session.decide(&asked[n], Decision::AllowOnce, None).await;
        session.log.until(|body| matches!(body, Body::ItemCompleted { .. })).await;
    }
    session.ended().await;
    done.await.unwrap();
    session.stop().await;
}

#[tokio::test(start_paused = true)]
async fn more_questions_than_there_is_room_for_are_refused() {
    let mut session = start(|mut side| async move {
        ready(&mut side).await;
        prompt(&mut side).await;
        say(&mut side, &[init()]).await;
        for n in 0..65 {
            let id = format!("t{n}");
            say(
                &mut side,
                &[whole("m", tool(&id, "Bash", ls())), can_use(&format!("R{n}"), &id, "Bash", ls())],
            )
            .await;
        }
        let said = answer(&mut side).await;
        assert_eq!((&said["request_id"], &said["subtype"]), (&json!("R64"), &json!("error")));
        say(&mut side, &[result(0.5)]).await;
        rest(&mut side).await
    })
    .await;
    assert_eq!(session.turn("go").await.status, TurnStatus::Completed);
    session.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_tool_whose_item_was_never_said_has_one_before_it_is_asked_for() {
    let mut session = start(|mut side| async move {
        ready(&mut side).await;
        prompt(&mut side).await;
        say(&mut side, &[init(), can_use("R1", "t", "Bash", ls())]).await;
        assert_eq!(answer(&mut side).await["response"]["behavior"], "allow");
        say(&mut side, &[whole("m", tool("t", "Bash", ls())), tool_result("t", "hi", false), result(0.5)])
            .await;
        rest(&mut side).await
    })
    .await;
    let (_, done) = session.begin("go");
    let id = session.asked().await;
    session.decide(&id, Decision::AllowOnce, None).await;
    session.ended().await;
    done.await.unwrap();
    let log = session.stop().await;
    assert_eq!(status(&log, "t").as_deref(), Some("Completed"));
}

#[tokio::test(start_paused = true)]
async fn with_the_hook_every_tool_is_asked_for() {
    let input = StartInput::new(execution(json!({ "askAlways": true })));
    let mut session = start_with(input, |mut side| async move {
        let initialize = ready(&mut side).await;
        assert_eq!(initialize["request"]["hooks"]["PreToolUse"][0]["hookCallbackIds"], json!(["h0"]));
        prompt(&mut side).await;
        let hook = |id: &str, callback: &str| {
            question(id, json!({ "subtype": "hook_callback", "callback_id": callback, "input": {} }))
        };
        say(&mut side, &[init(), hook("H1", "h0"), hook("H2", "other")]).await;
        let said = answer(&mut side).await;
        assert_eq!(said["response"]["hookSpecificOutput"]["permissionDecision"], "ask");
        assert_eq!(answer(&mut side).await["response"], json!({}));
        say(&mut side, &[question("X", json!({ "subtype": "x_new" }))]).await;
        let said = answer(&mut side).await;
        assert_eq!((&said["subtype"], &said["error"]), (&json!("error"), &json!("unsupported")));
        say(&mut side, &[result(0.5)]).await;
        rest(&mut side).await
    })
    .await;
    assert_eq!(session.turn("go").await.status, TurnStatus::Completed);
    session.stop().await;
}

#[tokio::test(start_paused = true)]
async fn outside_of_a_turn_nothing_may_run() {
    let session = start(|mut side| async move {
        ready(&mut side).await;
        say(&mut side, &[can_use("R1", "t", "Bash", ls())]).await;
        let said = answer(&mut side).await;
        assert_eq!(said["response"]["behavior"], "deny");
        rest(&mut side).await
    })
    .await;
    let log = session.stop().await;
    assert!(!log.kinds().iter().any(|kind| kind.starts_with("permission")));
}

#[tokio::test(start_paused = true)]
async fn a_tool_of_a_subagent_that_is_left_out_is_asked_for_and_ends_all_the_same() {
    let input = StartInput::new(execution(json!({ "subagents": false })));
    let mut session = start_with(input, |mut side| async move {
        ready(&mut side).await;
        prompt(&mut side).await;
        let of = |mut message: Value| {
            message["parent_tool_use_id"] = "task".into();
            message
        };
        say(
            &mut side,
            &[
                init(),
                whole("m", tool("task", "Task", json!({}))),
                of(whole("n", text("hidden"))),
                of(whole("n", tool("t", "Bash", ls()))),
                can_use("R1", "t", "Bash", ls()),
            ],
        )
        .await;
        assert_eq!(answer(&mut side).await["response"]["behavior"], "allow");
        say(&mut side, &[of(tool_result("t", "hi", false)), tool_result("task", "done", false), result(0.5)])
            .await;
        rest(&mut side).await
    })
    .await;
    let (_, done) = session.begin("go");
    let id = session.asked().await;
    session.decide(&id, Decision::AllowOnce, None).await;
    session.ended().await;
    done.await.unwrap();
    let log = session.stop().await;
    let ids: Vec<String> = super::play::items(&log).into_iter().map(|item| item.item_id).collect();
    assert_eq!(ids, ["t", "task"]);
    assert_eq!(status(&log, "t").as_deref(), Some("Completed"));
}

#[tokio::test(start_paused = true)]
async fn a_mode_that_the_vendor_changes_is_told() {
    let mut session = start(|mut side| async move {
        ready(&mut side).await;
        prompt(&mut side).await;
        let status = json!({ "type": "system", "subtype": "status", "permissionMode": "acceptEdits" });
        say(&mut side, &[init(), status, result(0.5)]).await;
        rest(&mut side).await
    })
    .await;
    session.turn("go").await;
    let log = session.stop().await;
    let modes: Vec<String> = log
        .events
        .iter()
        .filter_map(|event| match &event.body {
            Body::SessionConfigUpdated { mode_id, .. } => mode_id.clone(),
            _ => None,
        })
        .collect();
    assert_eq!(modes, ["default", "acceptEdits"]);
}
