//! Sessions: prompts, events over pages and streams, and permission requests that are still open.

use std::time::Duration;

use agentos_protocol::message::{CreateSession, JsonText, Request, SessionEventRecord, SessionInitData};
use serde_json::json;

use super::{soon, vm};
use crate::{Error, GetSessionEventsOptions};

fn event(seq: u64, method: &str, params: serde_json::Value) -> SessionEventRecord {
    SessionEventRecord {
        seq,
        time_ms: 5,
        method: method.into(),
        params: JsonText::new(&params),
        ..SessionEventRecord::default()
    }
}

fn ask(seq: u64, id: &str) -> SessionEventRecord {
    let options = json!([{ "optionId": "o", "name": "Yes", "kind": "allow_once" }]);
    event(
        seq,
        "session/request_permission",
        json!({ "options": options, "toolCall": { "toolCallId": "t" }, "_meta": { "agentos": { "permissionId": id } } }),
    )
}

#[tokio::test]
async fn a_turn() {
    let (os, _fake) = vm().await;
    let session = soon(os.create_session("pi", Default::default())).await.unwrap();
    assert_eq!((session.session_id.as_str(), session.init.agent_type.as_str()), ("s1", "pi"));
    assert_eq!(session.init.modes.as_ref().unwrap()["currentModeId"], "a");
    let turn = soon(session.prompt("hi")).await.unwrap();
    let content: serde_json::Value = serde_json::from_str(&turn.text).unwrap();
    assert_eq!(content, json!([{ "type": "text", "text": "hi" }]));
    assert_eq!((turn.stop_reason.as_str(), &turn.response["stopReason"]), ("end_turn", &json!("end_turn")));
    assert!(matches!(os.prompt("s1", vec![]).await, Err(Error::InvalidRequest { .. })));
    assert!(matches!(soon(session.destroy()).await, Err(Error::SessionNotFound { .. })));
}

#[tokio::test]
async fn events_come_from_any_cursor() {
    let (os, fake) = vm().await;
    *fake.events.lock() = (1..=7).map(|seq| event(seq, "session/update", json!({ "n": seq }))).collect();
    let all = soon(os.get_session_events("s1", Default::default())).await.unwrap();
    assert_eq!(all.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7], "over four pages");
    let some = GetSessionEventsOptions { since: 3, limit: Some(3), ..Default::default() };
    let some = soon(os.get_session_events("s1", some)).await.unwrap();
    assert_eq!(some.iter().map(|e| e.seq).collect::<Vec<_>>(), [4, 5, 6]);
    let mut stream = soon(os.on_session_event("s1", Some(5))).await.unwrap();
    assert_eq!(soon(stream.next()).await.unwrap().unwrap().params, json!({ "n": 6 }));
    assert_eq!(soon(stream.next()).await.unwrap().unwrap().seq, 7);
    assert!(soon(stream.next()).await.is_none());
}

#[tokio::test]
async fn only_open_permission_requests_are_given_out() {
    let (os, fake) = vm().await;
    *fake.events.lock() = vec![
        ask(1, "answered"),
        ask(2, "open"),
        event(3, "_agentos/permission_resolved", json!({ "permissionId": "answered" })),
        event(4, "session/update", json!({})),
        ask(5, "new"),
    ];
    let mut requests = soon(os.on_permission_request("s1")).await.unwrap();
    let first = soon(requests.next()).await.unwrap().unwrap();
    assert_eq!((first.permission_id.as_str(), first.options[0].kind.as_str()), ("open", "allow_once"));
    assert_eq!(first.tool_call["toolCallId"], "t");
    assert_eq!(soon(requests.next()).await.unwrap().unwrap().permission_id, "new");
    assert!(soon(requests.next()).await.is_none());
}

#[tokio::test]
async fn a_dropped_create_leaves_no_session() {
    let (os, fake) = vm().await;
    let dropped =
        tokio::time::timeout(Duration::from_millis(50), os.create_session("slow", Default::default())).await;
    assert!(dropped.is_err());
    let responder = fake.kept.lock().pop().unwrap();
    soon(responder.cancelled().cancelled()).await;
    // The reply was under way.
    let init = SessionInitData { session_id: "late".into(), ..SessionInitData::default() };
    responder.reply::<CreateSession>(Ok(init));
    soon(async {
        while !matches!(fake.calls.lock().last(), Some(Request::CloseSession(c)) if c.session_id == "late") {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}
