//! What a host gives an ACP agent that only the two of them know: members of blocks, of prompts and of notifications.

use agentos_driver::event::TurnStatus;
use agentos_driver::{Command, Fate, Order, StartInput, State};
use serde_json::{Value, json};
use ulid::Ulid;

use super::acp_agent::{Rig, SESSION, ended_items, execution, start};

/// Begins a turn as a host does that writes JSON.
fn given(input: &Value) -> Order {
    let order = json!({"kind": "input.start", "commandId": "c", "requestId": "r", "runId": Ulid::generate(), "input": input});
    Command::parse(&order.to_string()).unwrap().order
}

async fn turn(rig: &mut Rig, input: &Value) {
    let fate = rig.send(given(input));
    assert_eq!(rig.turn_end().await.status, TurnStatus::Completed);
    assert_eq!(fate.await.unwrap().status, Fate::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_reaches_the_agent_as_it_was_given() {
    let blocks = json!([
        {"type": "text", "text": "hi", "annotations": {"audience": ["assistant"], "of_tomorrow": {"a": [null]}}},
        {"type": "resource_link", "uri": "file:///a", "name": "a", "title": "A", "description": "of a", "_meta": {"x": 1}},
        {"type": "resource", "resource": {"uri": "file:///b", "text": "b", "_meta": {"line": 3}}, "_meta": null},
        {"type": "x_hologram", "depth": 3},
    ]);
    let native = json!({"_meta": {"trace": {"id": "t"}}, "messageId": "m", "_acme": [1]});
    let (expected, further) = (blocks.clone(), native.clone());
    let mut input = execution();
    input.profile_prompt = "Be brief.".to_owned();
    let mut rig = start(StartInput::new(input), move |mut agent| {
        let (mut blocks, mut params) = (expected.clone(), further.clone());
        async move {
            agent.open(json!({"promptCapabilities": {"embeddedContext": true}})).await;
            // The guide is ours, and is nowhere but before it.
            blocks.as_array_mut().unwrap().insert(0, json!({"type": "text", "text": "Be brief."}));
            params["sessionId"] = SESSION.into();
            params["prompt"] = blocks;
            let prompt = agent.expect("session/prompt").await;
            assert_eq!(prompt["params"], params);
            // What an agent says is read as before.
            let content = json!({"type": "text", "text": "a", "annotations": {"priority": 1}});
            agent.update(json!({"sessionUpdate": "agent_message_chunk", "content": content})).await;
            agent.end_turn(&prompt).await;
            let prompt = agent.expect("session/prompt").await;
            let plain = json!([{"type": "text", "text": "again"}]);
            assert_eq!(prompt["params"], json!({"sessionId": SESSION, "prompt": plain}));
            agent.end_turn(&prompt).await;
            agent.rest().await
        }
    })
    .await;
    turn(&mut rig, &json!({"content": blocks, "native": native})).await;
    turn(&mut rig, &json!({"text": "again"})).await;
    let items = ended_items(&rig.stop().await);
    assert_eq!(items[0]["content"], json!([{"type": "text", "text": "a"}]));
}

#[tokio::test(start_paused = true)]
async fn members_that_cannot_be_passed_on_are_refused_by_their_name() {
    let rig = start(StartInput::new(execution()), |mut agent| async move {
        agent.open(json!({})).await;
        assert_eq!(agent.expect("_acme/note").await["params"], json!({"a": 1}));
        agent.rest().await
    })
    .await;
    for (native, why) in [
        (json!({"sessionId": "other"}), "input.native.sessionId"),
        (json!({"prompt": []}), "input.native.prompt"),
        (json!({"_meta": {"x": "y".repeat(64 << 10)}}), "65536"),
    ] {
        let order = json!({"kind": "input.start", "commandId": "c", "requestId": "r", "runId": Ulid::generate(),
            "input": {"text": "hi", "native": native}});
        let error = Command::parse(&order.to_string()).unwrap_err().error;
        assert!(error.message.contains(why), "{error}");
    }
    assert_eq!(rig.kernel.state(), State::Ready);
    rig.kernel.native_notification("_acme/note", &json!({"a": 1})).await.unwrap();
    rig.stop().await;
}
