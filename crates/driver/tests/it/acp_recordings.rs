//! Recorded sessions of real ACP agents, replayed: as they are, with members nobody knows, and cut at every line.

use agentos_driver::command::Decision;
use agentos_driver::event::{Body, Event, TurnCompleted, TurnStatus};
use agentos_driver::process::Exit;
use agentos_driver::testing::VendorSide;
use agentos_driver::{Command, Order, StartInput, State};
use serde_json::{Value, json};

use super::acp_agent::{Agent, Rig, ended_items, execution, in_order, of_kind, start};

/// A line of a recording.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Of the agent; else of the client.
    pub(crate) of_agent: bool,
    pub(crate) message: Value,
}

/// The messages of a recording.
pub(crate) fn recording(name: &str) -> Vec<Line> {
    let path = format!("{}/tests/data/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .filter_map(|line| {
            let of_agent = match line["dir"].as_str()? {
                "a2c" => true,
                "c2a" => false,
                _ => return None,
            };
            Some(Line { of_agent, message: line["msg"].clone() })
        })
        .collect()
}

/// Plays the agent of a recording: waits for each line of the client and compares what it is, not its texts.
pub(crate) async fn replay(side: &mut VendorSide, lines: &[Line]) {
    let mut ids: Vec<(Value, Value)> = Vec::new();
    for Line { of_agent, message } in lines {
        if !of_agent {
            let got = side.recv().await.unwrap_or_else(|| panic!("the input ended before {message}"));
            assert_eq!(got.get("method"), message.get("method"), "{got}");
            assert_eq!(got.get("result"), message.get("result"), "{got}");
            match message.get("method") {
                Some(_) => ids.extend(message.get("id").map(|id| (id.clone(), got["id"].clone()))),
                None => assert_eq!(got["id"], message["id"]),
            }
            continue;
        }
        let mut message = message.clone();
        if message.get("method").is_none()
            && let Some((_, id)) = ids.iter().find(|(recorded, _)| *recorded == message["id"])
        {
            message["id"] = id.clone();
        }
        if !side.send(message).await {
            return;
        }
    }
}

const ALL: [&str; 3] = ["bash-tool-call", "permission-allow", "cancel"];

/// Does what the client of the recording does, as far as the session goes. How the turn ended, if one began.
async fn drive(rig: &mut Rig, name: &str) -> Option<TurnCompleted> {
    if rig.kernel.state() != State::Ready {
        return None;
    }
    let fate = rig.input("go");
    let mut end = None;
    while end.is_none() {
        let event = rig.log.until(|body| {
            matches!(body, Body::TurnCompleted(_) | Body::PermissionRequested(_) | Body::ItemUpdated(_))
        });
        match event.await.body {
            Body::TurnCompleted(of) => end = Some(of),
            Body::PermissionRequested(of) => {
                let decision = Decision::AllowOnce;
                let order = Order::PermissionResolve {
                    request_id: of.request_id,
                    decision,
                    option_id: None,
                    message: None,
                };
                rig.kernel.dispatch(Command::of(order)).await;
            }
            _ if name == "cancel" => drop(rig.send(Order::TurnCancel { run_id: None, reason: None })),
            _ => {}
        }
    }
    fate.await.unwrap();
    end
}

/// Replays a whole recording.
async fn whole(name: &'static str, lines: Vec<Line>) -> (TurnCompleted, Vec<Event>) {
    let mut rig = start(StartInput::new(execution()), move |mut agent| {
        let lines = lines.clone();
        async move {
            replay(&mut agent.side, &lines).await;
            agent.rest().await
        }
    })
    .await;
    let end = drive(&mut rig, name).await.expect("a turn");
    assert_eq!(rig.launcher.launched().len(), 1);
    (end, rig.stop().await)
}

#[tokio::test(start_paused = true)]
async fn a_tool_call_with_streamed_input() {
    let (end, events) = whole("bash-tool-call", recording("bash-tool-call")).await;
    assert_eq!(end.status, TurnStatus::Completed);
    let items = ended_items(&events);
    assert_eq!(items.len(), 2);
    let tool = &items[0];
    assert_eq!(
        (&tool["kind"], &tool["name"], &tool["status"]),
        (&json!("tool_call"), &json!("bash"), &json!("completed"))
    );
    assert_eq!(tool["input"], json!({"command": "echo hello-from-tool; ls"}));
    assert!(tool["output"][0]["text"].as_str().unwrap().starts_with("hello-from-tool\n"));
    assert_eq!(items[1]["content"][0]["text"], json!("The command printed hello-from-tool."));
    assert_eq!(of_kind(&events, "session.commands.updated")[0]["commands"].as_array().unwrap().len(), 8);
    let config = &of_kind(&events, "session.config.updated")[0];
    assert_eq!((&config["modeId"], config["options"].as_array().unwrap().len()), (&json!("off"), 2));
    assert_eq!(of_kind(&events, "session.info.updated")[0]["model"], json!("mock/mock-model"));
}

#[tokio::test(start_paused = true)]
async fn a_permission_that_is_about_no_tool_and_whose_options_are_all_alike() {
    let (end, events) = whole("permission-allow", recording("permission-allow")).await;
    assert_eq!(end.status, TurnStatus::Completed);
    let asked = &of_kind(&events, "permission.requested")[0];
    assert_eq!((asked.get("itemId"), asked["options"].as_array().unwrap().len()), (None, 2));
    assert_eq!(of_kind(&events, "permission.resolved")[0]["optionId"], json!("choice-0"));
    let items = ended_items(&events);
    assert_eq!(items.len(), 2);
    let command = &items[0];
    assert_eq!((&command["kind"], &command["status"]), (&json!("command"), &json!("completed")));
    assert_eq!(command["command"], json!("mkdir -p junk && rm -rf junk && echo removed"));
    assert_eq!(
        (&command["output"], &command["exitCode"], &command["cwd"]),
        (&json!("removed\n"), &json!(0), &json!("/workspace"))
    );
    let usage = of_kind(&events, "usage.updated").pop().unwrap();
    assert_eq!((&usage["contextUsed"], &usage["contextWindow"]), (&json!(120), &json!(128_000)));
    assert_eq!(usage.get("costAmount"), None);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_during_a_command() {
    let (end, events) = whole("cancel", recording("cancel")).await;
    assert_eq!((end.status, end.error), (TurnStatus::Cancelled, None));
    let items = ended_items(&events);
    assert_eq!(items.len(), 1);
    assert_eq!((&items[0]["status"], &items[0]["exitCode"]), (&json!("failed"), &json!(1)));
    assert_eq!(items[0]["output"], json!("Command aborted"));
}

/// Members that nobody knows, in every object but those that are handed through as they are.
fn with_more(value: &Value, seed: &mut u64) -> Value {
    match value {
        Value::Object(members) => {
            let through = ["rawInput", "rawOutput"];
            let mut more: serde_json::Map<String, Value> = members
                .iter()
                .map(|(name, value)| {
                    let same = through.contains(&name.as_str());
                    (name.clone(), if same { value.clone() } else { with_more(value, seed) })
                })
                .collect();
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let extra = match *seed >> 61 {
                0 => json!(null),
                1 => json!({"type": "text", "id": 0, "status": "failed"}),
                2 => json!([[], {}, 1e300]),
                3 => json!(true),
                4 => json!("\u{0}\u{2028}"),
                _ => json!(*seed),
            };
            more.insert(format!("x{}", *seed >> 40), extra);
            Value::Object(more)
        }
        Value::Array(all) => Value::Array(all.iter().map(|value| with_more(value, seed)).collect()),
        other => other.clone(),
    }
}

/// Takes out what differs from run to run.
fn without_chance(value: &mut Value, turn: &str) {
    match value {
        Value::Object(members) => {
            for name in ["startedAt", "completedAt", "durationMs", "expiresAt", "requestId"] {
                members.remove(name);
            }
            members.values_mut().for_each(|value| without_chance(value, turn));
        }
        Value::Array(all) => all.iter_mut().for_each(|value| without_chance(value, turn)),
        Value::String(text) => *text = text.replace(turn, "<turn>"),
        _ => {}
    }
}

/// What a log says, without what depends on how fast it was read: deltas and updates join.
fn digest(events: &[Event]) -> Vec<Value> {
    let turn = events.iter().find_map(|event| event.turn_id).expect("a turn").to_string();
    let lasting = events.iter().filter(|event| {
        !matches!(event.body, Body::ItemDelta(_) | Body::ItemUpdated(_) | Body::UsageUpdated(_))
    });
    let value = |event: &Event| {
        let mut value = serde_json::to_value(&event.body).unwrap();
        without_chance(&mut value, &turn);
        value
    };
    lasting.map(value).collect()
}

#[tokio::test(start_paused = true)]
async fn members_that_nobody_knows_change_nothing() {
    for name in ALL {
        let (_, plain) = whole(name, recording(name)).await;
        for mut seed in [1, 77, 4711] {
            let mut lines = recording(name);
            for line in lines.iter_mut().filter(|line| line.of_agent) {
                line.message = with_more(&line.message, &mut seed);
            }
            let (_, more) = whole(name, lines).await;
            assert_eq!(digest(&more), digest(&plain), "{name}");
        }
    }
}

/// An agent of which the last session is lost once it is asked for it.
async fn loads(mut agent: Agent) -> Exit {
    agent.initialize(json!({"loadSession": true})).await;
    let load = agent.expect("session/load").await;
    agent.answer(&load, json!({})).await;
    agent.rest().await
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_exits_at_any_line_ends_its_turn_once_and_is_started_again() {
    for name in ALL {
        let all = recording(name);
        let opened = all
            .iter()
            .filter(|line| line.of_agent)
            .position(|line| line.message["result"]["sessionId"].is_string());
        assert!(opened.is_some());
        for cut in 0..all.len() {
            let lines = all[..cut].to_vec();
            let mut rig = start(StartInput::new(execution()), move |mut agent| {
                let lines = lines.clone();
                async move {
                    if agent.side.start > 0 {
                        return loads(agent).await;
                    }
                    replay(&mut agent.side, &lines).await;
                    Exit { code: Some(70), signal: None }
                }
            })
            .await;
            // The end between turns is told a moment later.
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            if rig.launcher.launched().len() == 1 && rig.kernel.state() == State::Ready {
                let end = drive(&mut rig, name).await.expect("a turn");
                let answered = all[..cut].iter().any(|line| line.message["result"]["stopReason"].is_string());
                match (&end.status, answered) {
                    (TurnStatus::Failed, false) => {
                        let error = end.error.expect("an error");
                        assert_eq!(
                            (error.code.as_str(), &error.details["exitCode"]),
                            ("driver.backend_exited", &json!(70))
                        );
                    }
                    (TurnStatus::Cancelled, _) => assert_eq!(name, "cancel"),
                    (status, _) => assert!(answered, "{name} {cut}: {status:?}"),
                }
                rig.kernel.until(|state| state == State::Ready).await;
            }
            if rig.kernel.state() == State::Failed {
                rig.log.to_end().await;
                let ended = of_kind(&rig.log.events, "session.ended");
                assert_eq!(ended[0]["error"]["code"], json!("driver.backend_exited"), "{name} {cut}");
                in_order(&rig.log.events);
                continue;
            }
            assert_eq!(rig.kernel.state(), State::Ready, "{name} {cut}");
            let events = rig.stop().await;
            assert!(of_kind(&events, "turn.completed").len() <= 1);
        }
    }
}
