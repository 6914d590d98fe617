//! A recorded session of Codex, played once more: whole, cut at every line, and with members nobody knows.

use std::sync::Arc;

use agentos_driver::command::Decision;
use agentos_driver::event::Body;
use agentos_driver::testing::{Recording, VendorSide};
use agentos_driver::{Event, State};
use serde_json::{Value, json};

use super::codex_vendor::{Server, Session, all, check, statuses};

const RECORDING: &str = include_str!("../data/codex-text-and-approval-accept.jsonl");

/// The messages of a recording, with whether they are of the vendor.
pub(crate) fn messages() -> Vec<(bool, Value)> {
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        (line["dir"] == "agent->host", line["msg"].clone())
    };
    RECORDING.lines().map(line).collect()
}

/// Plays the vendor's side: at most `cut` of its own messages. The texts and options of what the host says may differ.
async fn play(mut side: VendorSide, messages: Vec<(bool, Value)>, cut: usize) {
    let mut left = cut;
    for (is_vendor, message) in messages {
        if is_vendor {
            if left == 0 {
                return;
            }
            left -= 1;
            side.send(message).await;
            continue;
        }
        let Some(said) = side.recv().await else { return };
        assert_eq!((said.get("id"), said.get("method")), (message.get("id"), message.get("method")));
        assert_eq!(said.get("result"), message.get("result"));
    }
    while side.recv().await.is_some() {}
}

/// A vendor that has nothing to say.
async fn quiet(side: VendorSide) {
    let mut server = Server::ready(side).await;
    while let Some(asked) = server.side.recv().await {
        if asked["method"] == "turn/start" {
            server.side.send(json!({ "id": asked["id"], "result": { "turn": { "id": "Q" } } })).await;
            server.completes("Q").await;
        }
    }
}

/// Both turns of the recording, with what was answered in it, and the log of that.
async fn replay(messages: Vec<(bool, Value)>, cut: usize) -> (Vec<Event>, Vec<Value>) {
    let mut session = Session::start(move |side| {
        let messages = messages.clone();
        async move { if side.start == 0 { play(side, messages, cut).await } else { quiet(side).await } }
    })
    .await;
    if session.kernel.state() == State::Failed {
        session.log.to_end().await;
        check(&session.log.events);
        return (session.log.events, Vec::new());
    }
    for text in ["hello", "RUNTOOL please"] {
        // One that went away since the turn before is started anew first.
        let (_, turn) = session.begin(text);
        let event = session
            .log
            .until(|body| matches!(body, Body::PermissionRequested(_) | Body::TurnCompleted(_)))
            .await;
        if let Body::PermissionRequested(request) = &event.body {
            let order = agentos_driver::Order::PermissionResolve {
                request_id: request.request_id.clone(),
                decision: Decision::AllowOnce,
                option_id: None,
                message: None,
            };
            session.order(order).await;
            session.log.until(|body| matches!(body, Body::TurnCompleted(_))).await;
        }
        turn.await.unwrap();
    }
    session.kernel.stop("test").await.unwrap();
    session.log.to_end().await;
    check(&session.log.events);
    let text = session.log.normalised();
    (session.log.events, text)
}

#[tokio::test]
async fn a_recorded_session_becomes_the_events_of_its_turns() {
    let (events, _) = replay(messages(), usize::MAX).await;
    assert!(all(&events, "turn.completed").iter().all(|turn| turn["status"] == "completed"));
    assert_eq!(statuses(&events, "reasoning"), ["running", "completed", "running", "completed"]);
    assert_eq!(statuses(&events, "message"), ["running", "completed", "running", "completed"]);
    assert_eq!(statuses(&events, "command"), ["pending", "running", "completed"]);
    let deltas: String = all(&events, "item.delta")
        .iter()
        .filter(|delta| delta["stream"] == "text")
        .map(|delta| delta["delta"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(deltas, "Hello from fake model.".repeat(2));
    let mut usage = std::collections::BTreeMap::new();
    for update in all(&events, "usage.updated") {
        usage.insert(update["turnId"].to_string(), update["totalTokens"].clone());
    }
    let mut totals: Vec<u64> = usage.values().filter_map(Value::as_u64).collect();
    totals.sort_unstable();
    assert_eq!(totals, [18, 36]);
    let info = &all(&events, "session.info.updated")[0];
    assert_eq!((&info["model"], &info["vendorVersion"]), (&json!("fake-model"), &json!("0.169.0")));
    let order: Vec<&str> = events
        .iter()
        .filter_map(|event| match &event.body {
            Body::PermissionRequested(_) => Some("asked"),
            Body::PermissionResolved(_) => Some("answered"),
            Body::ItemUpdated(patch) if patch.patch.get("status") == Some(&json!("running")) => Some("runs"),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["asked", "answered", "runs"]);
}

#[tokio::test]
async fn the_backend_says_what_the_recorded_host_said() {
    let recording = Recording::parse(RECORDING).unwrap();
    let descriptor = Arc::new(agentos_driver::backend::codex::descriptor());
    let replayed = agentos_driver::testing::replay(&recording, descriptor, |_| ()).await.unwrap();
    assert_eq!(replayed.differences, Vec::<String>::new());
    check(&replayed.events);
    assert_eq!(all(&replayed.events, "turn.completed").len(), 2);
}

#[tokio::test]
async fn a_process_that_ends_at_any_line_ends_its_turn_and_no_more() {
    let sent = messages().iter().filter(|(is_vendor, _)| *is_vendor).count();
    // Which turn is running after so many lines: by what was seen of starts and ends.
    for cut in 0..sent {
        let (events, _) = replay(messages(), cut).await;
        let seen: Vec<Value> =
            messages().into_iter().filter(|(is, _)| *is).take(cut).map(|(_, m)| m).collect();
        let turns = all(&events, "turn.completed");
        if events.iter().any(|event| matches!(event.body, Body::SessionStarted(_))) {
            assert_eq!(turns.len(), 2, "after {cut} lines");
            let failed: Vec<&Value> = turns.iter().filter(|turn| turn["status"] == "failed").collect();
            assert_eq!(
                failed.len(),
                usize::from(has_begun(&seen) || !failed.is_empty()),
                "after {cut} lines"
            );
            for turn in failed {
                assert_eq!(turn["error"]["code"], "driver.backend_exited", "after {cut} lines");
            }
        } else {
            let ended = all(&events, "session.ended");
            assert_eq!(ended[0]["error"]["code"], "driver.backend_exited", "after {cut} lines");
        }
    }
}

/// Whether a turn has begun and has not ended.
fn has_begun(seen: &[Value]) -> bool {
    let begun = seen.iter().filter(|message| message["result"]["turn"].is_object()).count();
    let ended = seen.iter().filter(|message| message["method"] == "turn/completed").count();
    begun > ended
}

/// Adds members that nobody knows to every object but maps whose names mean something.
fn pollute(value: &mut Value, n: &mut u32) {
    match value {
        Value::Object(members) => {
            for value in members.values_mut() {
                pollute(value, n);
            }
            *n += 1;
            members.insert(format!("zz{n}"), json!({ "unknown": [*n, null, { "deep": true }] }));
            members.insert(format!("aa{n}"), json!("unknown"));
        }
        Value::Array(all) => all.iter_mut().for_each(|value| pollute(value, n)),
        _ => {}
    }
}

#[tokio::test]
async fn members_that_nobody_knows_change_nothing() {
    let (_, plain) = replay(messages(), usize::MAX).await;
    let mut polluted = messages();
    let mut n = 0;
    for (is_vendor, message) in &mut polluted {
        // A decision with a value is one member by name: another would be another decision.
        let decisions = message.pointer("/params/availableDecisions").cloned();
        if *is_vendor {
            pollute(message, &mut n);
        }
        if let (Some(decisions), Some(place)) = (decisions, message.pointer_mut("/params/availableDecisions"))
        {
            *place = decisions;
        }
    }
    let (_, same) = replay(polluted, usize::MAX).await;
    let text = |log: &[Value]| log.iter().map(Value::to_string).collect::<Vec<_>>();
    // Which deltas are joined is a matter of time.
    let settled = |log: &[Value]| -> Vec<String> {
        text(log)
            .into_iter()
            .filter(|line| !line.contains("item.delta") && !line.contains("usage.updated"))
            .map(|line| unnumbered(&line))
            .collect()
    };
    assert!(n > 100);
    assert_eq!(settled(&plain), settled(&same));
}

/// Without the number of an event, which depends on what was joined.
fn unnumbered(line: &str) -> String {
    let mut value: Value = serde_json::from_str(line).unwrap();
    let members = value.as_object_mut().unwrap();
    members.remove("seq");
    members.remove("id");
    value.to_string()
}
