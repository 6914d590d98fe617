//! Replays of recorded runs of real agents: the fake agent says what they said, and the peer has to say what the
//! recording client said, up to its capabilities and name.

use agentos_acp::{EventKind, NewSession, PeerOptions, PermissionReply, PromptOutcome, StopReason};
use serde_json::Value;

use crate::agent::{FakeAgent, event, names, pair};

fn messages(recording: &str) -> Vec<(String, Value)> {
    recording
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| (line["dir"].as_str().unwrap().to_owned(), line["msg"].clone()))
        .collect()
}

/// Plays the agent's side; compares the other.
async fn play(mut agent: FakeAgent, messages: Vec<(String, Value)>) {
    for (dir, message) in messages {
        match dir.as_str() {
            "a2c" => agent.send(message).await,
            "c2a" => {
                let mut said = agent.recv().await;
                if message["method"] == "initialize" {
                    said["params"]["clientCapabilities"] = message["params"]["clientCapabilities"].clone();
                    said["params"]["clientInfo"] = message["params"]["clientInfo"].clone();
                }
                assert_eq!(said, message);
            }
            _ => {}
        }
    }
}

/// Runs a recording with the prompt it contains; `cancel` waits for a running tool and cancels.
async fn replay(recording: &str, cancel: bool) -> (PromptOutcome, Vec<String>, agentos_acp::SessionView) {
    let messages = messages(recording);
    let prompt = messages.iter().find(|(_, m)| m["method"] == "session/prompt").unwrap();
    let prompt = serde_json::from_value(prompt.1["params"]["prompt"].clone()).unwrap();
    let (peer, agent) = pair(PeerOptions::default());
    let agent = tokio::spawn(play(agent, messages));
    peer.initialize().await.unwrap();
    let init = peer.new_session(NewSession::in_directory("/workspace")).await.unwrap();
    assert_eq!(init.models.as_ref().unwrap().current_model_id, "mock/mock-model");
    let id = init.session_id;
    let log = peer.events(&id).unwrap();
    let answering = tokio::spawn({
        let (peer, id, log) = (peer.clone(), id.clone(), log.clone());
        async move {
            let asked = event(&log, |e| matches!(e.kind, EventKind::PermissionRequested { .. })).await;
            let EventKind::PermissionRequested { id: permission } = asked.kind else { unreachable!() };
            peer.respond_permission(&id, permission, PermissionReply::Once).await.unwrap();
        }
    });
    if cancel {
        let (peer, id, log) = (peer.clone(), id.clone(), log.clone());
        tokio::spawn(async move {
            event(&log, |e| e.payload.get().contains(r#""status":"in_progress","_meta":{}"#)).await;
            peer.cancel(&id).await.unwrap();
        });
    }
    let outcome = peer.prompt(&id, prompt).await.unwrap();
    agent.await.unwrap();
    answering.abort();
    let view = peer.session(&id).unwrap();
    (outcome, names(&log), view)
}

#[tokio::test]
async fn bash_tool_call() {
    let (outcome, events, view) = replay(include_str!("../data/bash-tool-call.jsonl"), false).await;
    assert_eq!(outcome.text, "The command printed hello-from-tool.");
    assert_eq!(outcome.stop_reason, StopReason::EndTurn);
    assert_eq!(view.tool_calls.len(), 1);
    assert_eq!(view.tool_calls[0].status, agentos_acp::schema::ToolCallStatus::Completed);
    assert_eq!(view.commands.len(), 8);
    assert_eq!(view.modes.unwrap().available_modes.len(), 6);
    assert_eq!(events.iter().filter(|e| *e == "tool_call_update").count(), 9);
    assert_eq!(events.iter().filter(|e| *e == "agent_message_chunk").count(), 4);
    assert!(events.contains(&"session_info_update".to_owned()));
}

#[tokio::test]
async fn permission_allow() {
    let (outcome, events, view) = replay(include_str!("../data/permission-allow.jsonl"), false).await;
    assert_eq!(outcome.text, "Handled the dangerous command.");
    assert_eq!(outcome.stop_reason, StopReason::EndTurn);
    assert!(view.permissions.is_empty());
    assert_eq!(view.config_options.len(), 2);
    assert_eq!(view.usage.unwrap().used, 120);
    assert_eq!(events.iter().filter(|e| *e == "session/request_permission").count(), 2);
    assert_eq!(view.tool_calls[0].status, agentos_acp::schema::ToolCallStatus::Completed);
}

#[tokio::test]
async fn cancel() {
    let (outcome, events, view) = replay(include_str!("../data/cancel.jsonl"), true).await;
    assert_eq!(outcome.stop_reason, StopReason::Cancelled);
    assert_eq!(outcome.text, "");
    assert_eq!(view.tool_calls[0].status, agentos_acp::schema::ToolCallStatus::Failed);
    let at = |name: &str| events.iter().position(|e| e == name).unwrap();
    assert!(at("session/cancel") < at("agentos/turn_ended"));
}
