//! Permission requests end to end.

use std::time::Duration;

use agentos_acp::{AgentPeer, Error, EventKind, Limits, PeerOptions, PermissionId, PermissionReply};
use serde_json::{Value, json};

use crate::agent::{FakeAgent, event, names, ready};

const STANDARD: &[(&str, &str)] =
    &[("Allow", "allow_once"), ("Always Allow", "allow_always"), ("Reject", "reject_once")];

async fn asked(peer: &AgentPeer, agent: &mut FakeAgent, id: Value, options: &[(&str, &str)]) -> PermissionId {
    let log = peer.events("s").unwrap();
    let before = log.range().end;
    agent.ask(id, options).await;
    let asked =
        event(&log, |e| e.seq >= before && matches!(e.kind, EventKind::PermissionRequested { .. })).await;
    let EventKind::PermissionRequested { id } = asked.kind else { unreachable!() };
    id
}

async fn outcome(options: &[(&str, &str)], reply: PermissionReply) -> Result<Value, Error> {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    let id = asked(&peer, &mut agent, json!(0), options).await;
    peer.respond_permission("s", id, reply).await?;
    Ok(agent.recv().await["result"]["outcome"].clone())
}

fn selected(option: &str) -> Value {
    json!({"outcome": "selected", "optionId": option})
}

#[tokio::test(start_paused = true)]
async fn replies_select_an_offered_option() {
    for (reply, want) in [
        (PermissionReply::Once, "Allow"),
        (PermissionReply::Always, "Always Allow"),
        (PermissionReply::Reject, "Reject"),
    ] {
        assert_eq!(outcome(STANDARD, reply).await.unwrap(), selected(want));
    }
}

#[tokio::test(start_paused = true)]
async fn where_every_option_is_allow_once_the_name_decides() {
    let pi = &[("No", "allow_once"), ("Yes", "allow_once")];
    assert_eq!(outcome(pi, PermissionReply::Once).await.unwrap(), selected("Yes"));
    assert_eq!(outcome(pi, PermissionReply::Reject).await.unwrap(), selected("No"));
    let unclear = &[("Main", "allow_once"), ("Dev", "allow_once")];
    assert!(matches!(outcome(unclear, PermissionReply::Once).await, Err(Error::NoSuchOption { .. })));
    assert_eq!(outcome(unclear, PermissionReply::Reject).await.unwrap(), json!({"outcome": "cancelled"}));
}

#[tokio::test(start_paused = true)]
async fn an_option_can_be_named_but_not_invented() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    let id = asked(&peer, &mut agent, json!("x"), STANDARD).await;
    assert!(peer.respond_with_option("s", id, Some("Root")).await.is_err());
    peer.respond_with_option("s", id, Some("Always Allow")).await.unwrap();
    let answer = agent.recv().await;
    assert_eq!((&answer["id"], &answer["result"]["outcome"]), (&json!("x"), &selected("Always Allow")));
    assert!(peer.respond_with_option("s", id, None).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn nobody_answers_for_two_minutes() {
    for (options, want) in [
        (STANDARD, selected("Reject")),
        (&[("Yes", "allow_once"), ("No", "allow_once")][..], json!({"outcome": "cancelled"})),
    ] {
        let (peer, mut agent) = ready(PeerOptions::default()).await;
        let before = tokio::time::Instant::now();
        asked(&peer, &mut agent, json!(0), options).await;
        assert_eq!(agent.recv().await["result"]["outcome"], want);
        assert_eq!(before.elapsed(), Duration::from_secs(120));
        assert!(peer.session("s").unwrap().permissions.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn at_most_sixteen_are_open() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    for id in 0..16 {
        asked(&peer, &mut agent, json!(id), STANDARD).await;
    }
    agent.ask(json!(16), STANDARD).await;
    let refused = agent.recv().await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(16), &json!(-32603)));
    let open = peer.session("s").unwrap().permissions;
    assert_eq!(open.len(), 16);
    peer.respond_permission("s", open[3].id, PermissionReply::Once).await.unwrap();
    assert_eq!(agent.recv().await["id"], 3);
    asked(&peer, &mut agent, json!(17), STANDARD).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_open_is_limited_in_bytes_too() {
    let limits = Limits { permission_bytes: 1000, ..Limits::default() };
    let (peer, mut agent) = ready(PeerOptions { limits, ..PeerOptions::default() }).await;
    let long = "x".repeat(200);
    let options = &[(long.as_str(), "allow_once")];
    asked(&peer, &mut agent, json!(0), options).await;
    agent.ask(json!(1), options).await;
    let refused = agent.recv().await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(1), &json!(-32603)));
}

#[tokio::test(start_paused = true)]
async fn the_agent_may_withdraw_its_request() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    asked(&peer, &mut agent, json!("w"), STANDARD).await;
    agent.send(json!({"jsonrpc": "2.0", "method": "$/cancel_request", "params": {"requestId": "w"}})).await;
    let answer = agent.recv().await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!("w"), &json!(-32800)));
    let resolved =
        event(&peer.events("s").unwrap(), |e| matches!(e.kind, EventKind::PermissionResolved { .. })).await;
    assert!(resolved.payload.get().contains("withdrawn"));
}

#[tokio::test(start_paused = true)]
async fn what_a_turn_asked_is_over_with_the_turn() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    let running = tokio::spawn({
        let peer = peer.clone();
        async move { peer.prompt("s", vec!["1".into()]).await }
    });
    let prompt = agent.expect("session/prompt").await;
    let id = asked(&peer, &mut agent, json!("p"), STANDARD).await;
    agent.answer(&prompt, json!({"stopReason": "end_turn"})).await;
    assert_eq!(agent.recv().await["result"]["outcome"], json!({"outcome": "cancelled"}));
    running.await.unwrap().unwrap();
    assert!(peer.session("s").unwrap().permissions.is_empty());
    let late = peer.respond_permission("s", id, PermissionReply::Once).await;
    assert!(matches!(late, Err(Error::UnknownPermission(_))));
    let names = names(&peer.events("s").unwrap());
    let asked = "session/request_permission";
    assert_eq!(names, ["session/prompt", asked, asked, "agentos/turn_ended"]);
    // Asked outside a turn it waits as ever.
    let outside = self::asked(&peer, &mut agent, json!("q"), STANDARD).await;
    peer.respond_permission("s", outside, PermissionReply::Once).await.unwrap();
    assert_eq!(agent.recv().await["result"]["outcome"], selected("Allow"));
}
