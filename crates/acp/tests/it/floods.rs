//! Agents that send without end what is of no use: each is given up soon, with an error that says what it did.

use std::time::Duration;

use agentos_acp::{Closure, Error, EventKind, ExitStatus, Fatal, Limits, PeerOptions, StopReason};
use serde_json::{Value, json};

use crate::agent::{FakeAgent, event, pair, ready};

/// Sends `chunk` until nobody reads it any more.
async fn flood(agent: &mut FakeAgent, chunk: &[u8]) {
    let end = tokio::time::timeout(Duration::from_secs(20), async { while agent.try_raw(chunk).await {} });
    end.await.expect("the agent's output is closed");
}

fn update(session: &str, text: &str) -> String {
    let params = json!({
        "sessionId": session,
        "update": {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}},
    });
    json!({"jsonrpc": "2.0", "method": "session/update", "params": params}).to_string()
}

#[tokio::test(start_paused = true)]
async fn every_flood_ends_soon_and_is_named() {
    let stray = r#"{"jsonrpc":"2.0","id":77,"result":{}}"#;
    let unknown = r#"{"jsonrpc":"2.0","id":"q","method":"_x/y"}"#;
    let note = r#"{"jsonrpc":"2.0","method":"_x/y"}"#;
    let file = r#"{"jsonrpc":"2.0","id":1,"method":"fs/read_text_file","params":{}}"#;
    let withdrawn = r#"{"jsonrpc":"2.0","method":"$/cancel_request","params":{"requestId":5}}"#;
    let large = format!(r#"{{"jsonrpc":"2.0","method":"_x/y","params":"{}"}}"#, "x".repeat(1 << 20));
    for (line, code, words) in [
        ("this is not JSON", "garbage", "20 lines in a row that are not JSON"),
        (r#"{"jsonrpc":"2.0","#, "garbage", "not JSON"),
        ("\u{0}\u{1b}[2J", "garbage", "not JSON"),
        ("{}", "not_messages", "20 lines in a row that are no JSON-RPC messages"),
        (r#"{"level":"info","msg":"starting"}"#, "not_messages", "no JSON-RPC messages"),
        ("[]", "not_messages", "no JSON-RPC messages"),
        (r#"{"jsonrpc":"2.0","id":1}"#, "not_messages", "no JSON-RPC messages"),
        ("7\nx", "garbage", "20 lines"),
        (stray, "useless", "200 lines without a useful message, the last an answer to no open request"),
        (unknown, "useless", "200 lines without a useful message, the last a request that was refused"),
        (file, "useless", "the last a request that was refused"),
        (note, "useless", "10000 lines without a useful message, the last a notification"),
        (withdrawn, "useless", "10000 lines"),
        ("", "useless", "10000 lines without a useful message, the last an empty line"),
        (&update("other", "x"), "useless", "10000 lines"),
        (&update("s", ""), "useless", "10000 lines"),
        (&large, "useless", "bytes without a useful message"),
        // A valid message between is no excuse if it is of no use itself.
        (&format!("x\n{note}"), "useless", "10000 lines"),
        (&format!("{{}}\n{note}"), "useless", "10000 lines"),
    ] {
        let (peer, mut agent) = ready(PeerOptions::default()).await;
        let begun = tokio::time::Instant::now();
        let running = tokio::spawn({
            let peer = peer.clone();
            async move { peer.prompt("s", vec!["1".into()]).await }
        });
        agent.expect("session/prompt").await;
        flood(&mut agent, format!("{line}\n").repeat(10).as_bytes()).await;
        let error = running.await.unwrap().unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{error}: {:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_ends_the_start_too() {
    let (peer, mut agent) = pair(PeerOptions::default());
    let begun = tokio::time::Instant::now();
    let starting = tokio::spawn({
        let peer = peer.clone();
        async move { peer.initialize().await }
    });
    flood(&mut agent, b"{\"level\":\"info\"}\n").await;
    assert_eq!(starting.await.unwrap().unwrap_err().code(), "not_messages");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn what_is_useful_forgives_what_is_not() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    for round in 0..30 {
        agent.raw(&b"debug\n".repeat(19)).await;
        agent.raw(&b"{\"jsonrpc\":\"2.0\",\"method\":\"_x/y\"}\n\n".repeat(2000)).await;
        agent.raw(&b"{\"jsonrpc\":\"2.0\",\"id\":77,\"result\":1}\n".repeat(199)).await;
        agent.say(&round.to_string()).await;
    }
    event(&peer.events("s").unwrap(), |e| e.seq == 29).await;
}

#[tokio::test(start_paused = true)]
async fn a_line_of_a_hundred_megabytes_is_not_kept() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    let mut sent = 0;
    while sent < 100 << 20 && agent.try_raw(&[b'x'; 64 << 10]).await {
        sent += 64 << 10;
    }
    assert!(sent <= 9 << 20, "{sent} bytes were read");
    assert_eq!(peer.closed().await, Closure::Fatal(Fatal::LineTooLong { limit: 8 << 20 }));
}

#[tokio::test(start_paused = true)]
async fn half_a_line_is_waited_for_and_its_end_is_the_end() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    let line = update("s", "whole");
    agent.raw(&line.as_bytes()[..40]).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    agent.raw(&line.as_bytes()[40..]).await;
    agent.raw(b"\n{\"jsonrpc\":\"2.0\",\"id\":1,\"resu").await;
    agent.close_output().await;
    assert!(matches!(peer.closed().await, Closure::Exited(_)));
    event(&peer.events("s").unwrap(), |e| e.payload.get().contains("whole")).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_answer_changes_nothing() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    let spawn = |text: &'static str| {
        let peer = peer.clone();
        tokio::spawn(async move { peer.prompt("s", vec![text.into()]).await })
    };
    let first = spawn("1");
    let one = agent.expect("session/prompt").await;
    for reason in ["end_turn", "refusal", "cancelled"] {
        agent.answer(&one, json!({"stopReason": reason})).await;
    }
    assert_eq!(first.await.unwrap().unwrap().stop_reason, StopReason::EndTurn);
    let second = spawn("2");
    let two = agent.expect("session/prompt").await;
    agent.answer(&one, json!({"stopReason": "refusal"})).await;
    agent.say("two").await;
    agent.answer(&two, json!({"stopReason": "end_turn"})).await;
    let outcome = second.await.unwrap().unwrap();
    assert_eq!((outcome.stop_reason, outcome.text.as_str()), (StopReason::EndTurn, "two"));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_answers_long_after_its_cancel_is_given_up_and_not_heard() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    let running = tokio::spawn({
        let peer = peer.clone();
        async move { peer.prompt("s", vec!["1".into()]).await }
    });
    let prompt = agent.expect("session/prompt").await;
    let (cancelled, ()) = tokio::join!(peer.cancel("s"), async {
        agent.expect("session/cancel").await;
        // What it says meanwhile still counts.
        agent.say("going on").await;
        tokio::time::sleep(Duration::from_secs(6)).await;
        agent.answer(&prompt, json!({"stopReason": "end_turn"})).await;
    });
    assert_eq!(cancelled.unwrap(), agentos_acp::CancelOutcome::MustKill);
    let outcome = running.await.unwrap().unwrap();
    assert_eq!((outcome.stop_reason, outcome.text.as_str()), (StopReason::Cancelled, "going on"));
    let next = peer.prompt("s", vec!["2".into()]).await.unwrap_err();
    assert_eq!(next.code(), "cancel_ignored");
}

#[tokio::test(start_paused = true)]
async fn what_fails_with_an_agent_that_is_given_up_fails_after_its_end_is_known() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    let mut running = tokio::spawn({
        let peer = peer.clone();
        async move { peer.prompt("s", vec!["1".into()]).await }
    });
    agent.expect("session/prompt").await;
    let begun = tokio::time::Instant::now();
    agent.raw(&b"{}\n".repeat(20)).await;
    assert_eq!(peer.closed().await, Closure::Fatal(Fatal::NotMessages { lines: 20 }));
    assert!(tokio::time::timeout(Duration::from_millis(500), &mut running).await.is_err());
    peer.stderr(b"so it ended\n");
    peer.exited(ExitStatus { code: None, signal: Some(9) });
    let error = running.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Fatal(Fatal::NotMessages { .. })), "{error:?}");
    assert_eq!(begun.elapsed(), Duration::from_millis(500));
    event(&peer.events("s").unwrap(), |e| e.kind == EventKind::Closed).await;
    // An embedder that never tells is not waited for long.
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    agent.raw(&b"{}\n".repeat(20)).await;
    peer.closed().await;
    assert_eq!(peer.prompt("s", vec!["1".into()]).await.unwrap_err().code(), "not_messages");
}

#[tokio::test(start_paused = true)]
async fn whatever_an_agent_writes_can_be_read_as_json() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    let deepest = format!("{}{}", "[".repeat(124), "]".repeat(124));
    let extras = [
        "1e400",
        "-1e999",
        &"9".repeat(1000),
        r#""\ud83d""#,
        r#"{"\udc00":"\ud83d\ude00"}"#,
        r#""\u0000\u001b[2J""#,
        &deepest,
    ];
    for extra in extras {
        agent.raw(
            format!(
                r#"{{"jsonrpc":"2.0","method":"session/update","params":{{"sessionId":"s","update":{{"sessionUpdate":"agent_message_chunk","content":{{"type":"text","text":"a"}},"_meta":{{"x":{extra}}}}}}}}}"#
            )
            .as_bytes(),
        )
        .await;
        agent.raw(b"\n").await;
    }
    let log = peer.events("s").unwrap();
    agent.say("last").await;
    event(&log, |e| e.payload.get().contains("last")).await;
    let events = log.read(0, 100).unwrap();
    assert_eq!(events.len(), extras.len() + 1);
    for event in events {
        let read = serde_json::from_str::<Value>(event.payload.get());
        assert!(read.is_ok(), "{read:?}: {}", event.payload.get());
    }
}

#[tokio::test(start_paused = true)]
async fn an_agents_error_carries_no_terminal_escapes_into_ours() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    let (error, ()) = tokio::join!(peer.raw_request("_x", json!({})), async {
        let request = agent.expect("_x").await;
        let message = format!("\u{1b}[2J{}", "x".repeat(100_000));
        let error = json!({"code": 1, "message": message});
        agent.send(json!({"jsonrpc": "2.0", "id": request["id"], "error": error})).await;
    });
    let text = error.unwrap_err().to_string();
    assert!(text.len() < 5000 && !text.contains('\u{1b}'), "{text}");
}

#[tokio::test(start_paused = true)]
async fn limits_can_be_set() {
    let limits = Limits { garbage_lines: 1, ..Limits::default() };
    let (peer, mut agent) = ready(PeerOptions { limits, ..PeerOptions::default() }).await;
    agent.raw(b"x\n").await;
    assert_eq!(peer.closed().await, Closure::Fatal(Fatal::Garbage { lines: 1 }));
}
