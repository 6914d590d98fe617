//! Agents that flood, send garbage, never answer or never read.

use std::time::Duration;

use agentos_acp::{Closure, Delivery, Error, ExitStatus, Fatal, Limits, NewSession, PeerOptions, Timeouts};
use serde_json::json;

use crate::agent::{names, pair, ready};

fn with_limits(limits: Limits) -> PeerOptions {
    PeerOptions { limits, ..PeerOptions::default() }
}

#[tokio::test(start_paused = true)]
async fn a_line_over_the_limit_is_fatal() {
    let (peer, mut agent) = ready(with_limits(Limits { line_bytes: 10_000, ..Limits::default() })).await;
    agent.raw(&[b'x'; 30_000]).await;
    assert_eq!(peer.closed().await, Closure::Fatal(Fatal::LineTooLong { limit: 10_000 }));
    assert_eq!(peer.prompt("s", vec!["a".into()]).await.unwrap_err().code(), "line_too_long");
}

#[tokio::test(start_paused = true)]
async fn garbage_is_skipped_until_there_are_twenty_lines_in_a_row() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    for _ in 0..3 {
        agent.raw(&b"debug: \x1b[2J\xff\n".repeat(19)).await;
        agent.say("ok").await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(names(&peer.events("s").unwrap()).len(), 3);
    agent.raw(&b"debug\n".repeat(20)).await;
    assert_eq!(peer.closed().await, Closure::Fatal(Fatal::Garbage { lines: 20 }));
}

#[tokio::test(start_paused = true)]
async fn malformed_messages_get_the_right_errors_and_hurt_nobody() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    let deep =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{}{}}}"#, "[".repeat(500), "]".repeat(500));
    let long_id = format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"x"}}"#, "i".repeat(300));
    for (line, id, code) in [
        ("[]", json!(null), -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"x"}]"#, json!(null), -32600),
        ("{oops", json!(null), -32700),
        (deep.as_str(), json!(null), -32700),
        (long_id.as_str(), json!(null), -32600),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"x"}"#, json!(null), -32600),
        (r#"{"jsonrpc":"2.0","id":"q","method":[]}"#, json!("q"), -32600),
        (r#"{"jsonrpc":"2.0","id":"q","method":"_ext/x"}"#, json!("q"), -32601),
        (
            r#"{"jsonrpc":"2.0","id":3,"method":"fs/read_text_file","params":{"sessionId":"s","path":"/x"}}"#,
            json!(3),
            -32601,
        ),
        (r#"{"jsonrpc":"2.0","id":null,"method":"terminal/create"}"#, json!(null), -32601),
        (
            r#"{"jsonrpc":"2.0","id":4,"method":"session/request_permission","params":{"sessionId":"s"}}"#,
            json!(4),
            -32602,
        ),
        (r#"{"jsonrpc":"2.0","id":4,"method":"session/request_permission"}"#, json!(4), -32602),
    ] {
        agent.raw(format!("{line}\r\n\n").as_bytes()).await;
        let answer = agent.recv().await;
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&id, &json!(code)), "{line}");
    }
    // Never answered: notifications, answers nobody waits for.
    for line in [
        r#"{"jsonrpc":"2.0","method":"_ext/note"}"#,
        r#"{"jsonrpc":"2.0","id":999,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":"0","result":{}}"#,
        r#"{"jsonrpc":"2.0","method":"session/update"}"#,
        r#"{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","update":5}}"#,
        r#"{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":5}}"#,
        r#"{"jsonrpc":"2.0","method":"$/cancel_request","params":{"requestId":12}}"#,
        r#"{"jsonrpc":"2.0","method":7}"#,
    ] {
        agent.raw(format!("{line}\n").as_bytes()).await;
    }
    let (probe, ()) = tokio::join!(peer.raw_request("_probe", json!({})), async {
        let request = agent.expect("_probe").await;
        agent.answer(&request, json!("alive")).await;
    });
    assert_eq!(probe.unwrap().get(), "\"alive\"");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_never_answers_its_start_is_given_up() {
    let (peer, _agent) = pair(PeerOptions::default());
    let before = tokio::time::Instant::now();
    let (error, ()) = tokio::join!(peer.initialize(), async {
        let closure = peer.closed().await;
        let silent = Fatal::NeverAnswered { method: "initialize", after: Duration::from_secs(30) };
        assert_eq!(closure, Closure::Fatal(silent));
        assert_eq!(before.elapsed(), Duration::from_secs(30));
        peer.exited(ExitStatus { code: None, signal: Some(9) });
    });
    assert_eq!(error.unwrap_err().code(), "never_answered");
    assert_eq!(before.elapsed(), Duration::from_secs(30));
    assert!(matches!(peer.initialize().await, Err(Error::Fatal(_))));

    let (peer, mut agent) = pair(PeerOptions::default());
    let before = tokio::time::Instant::now();
    let start = async {
        peer.initialize().await.unwrap();
        peer.new_session(NewSession::in_directory("/w")).await.unwrap_err()
    };
    let (error, ()) = tokio::join!(start, async {
        let request = agent.expect("initialize").await;
        agent.answer(&request, json!({"protocolVersion": 1})).await;
    });
    assert!(error.to_string().contains("did not answer session/new within 60s"), "{error}");
    assert_eq!(before.elapsed(), Duration::from_secs(62), "nobody told how it ended");
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_dropped() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    let error = peer.raw_request("_late", json!({})).await.unwrap_err();
    assert!(matches!(&error, Error::Timeout { method, after } if method == "_late" && after.as_secs() == 30));
    let request = agent.expect("_late").await;
    agent.expect("$/cancel_request").await;
    agent.answer(&request, json!("late")).await;
    let (probe, ()) = tokio::join!(peer.raw_request("_probe", json!({})), async {
        let request = agent.expect("_probe").await;
        agent.answer(&request, json!(1)).await;
    });
    assert_eq!(probe.unwrap().get(), "1");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_updates_without_a_reader_stay_bounded() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    for n in 0..10_000 {
        agent.say(&format!("{n}")).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let log = peer.events("s").unwrap();
    assert_eq!(log.range(), 10_000 - 1024..10_000);
    assert_eq!(log.read(0, 1).unwrap_err().oldest, 10_000 - 1024);
}

#[tokio::test(start_paused = true)]
async fn a_lossless_subscriber_that_is_behind_stops_the_reading() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    let log = peer.events("s").unwrap();
    let mut slow = log.subscribe(0, Delivery::Lossless).unwrap();
    let flood = tokio::spawn(async move {
        for n in 0..10_000 {
            agent.say(&format!("{n}")).await;
        }
        agent
    });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!flood.is_finished(), "the agent is blocked on its pipe");
    assert_eq!(log.range(), 0..1024);
    for n in 0..10_000 {
        assert_eq!(slow.next().await.unwrap().unwrap().seq, n);
    }
    flood.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_read_is_given_up_after_thirty_seconds() {
    let (peer, _agent) = ready(PeerOptions::default()).await;
    let before = tokio::time::Instant::now();
    let big = "x".repeat(200_000);
    let prompt = tokio::spawn({
        let peer = peer.clone();
        async move { peer.prompt("s", vec![big.as_str().into()]).await }
    });
    assert_eq!(peer.closed().await, Closure::Fatal(Fatal::WriteStuck { after: Duration::from_secs(30) }));
    assert_eq!(before.elapsed(), Duration::from_secs(30));
    assert_eq!(prompt.await.unwrap().unwrap_err().code(), "write_stuck");
}

#[tokio::test(start_paused = true)]
async fn prompts_over_the_limits_are_refused_on_our_side() {
    let limits = Limits { queued_prompts: 2, line_bytes: 10_000, ..Limits::default() };
    let (peer, mut agent) = ready(with_limits(limits)).await;
    let big = "x".repeat(20_000);
    let error = peer.prompt("s", vec![big.as_str().into()]).await.unwrap_err();
    assert!(matches!(error, Error::Limit { name: "line_bytes", .. }));
    let mut running = Vec::new();
    for _ in 0..3 {
        let peer = peer.clone();
        running.push(tokio::spawn(async move { peer.prompt("s", vec!["a".into()]).await }));
        tokio::task::yield_now().await;
    }
    agent.expect("session/prompt").await;
    let refused = peer.prompt("s", vec!["a".into()]).await;
    assert!(matches!(refused, Err(Error::Limit { name: "queued_prompts", configured: 2, used: 3 })));
}

#[tokio::test(start_paused = true)]
async fn javascript_agents_get_more_time() {
    let options = PeerOptions { timeouts: Timeouts::guest_js(), ..PeerOptions::default() };
    let (peer, _agent) = pair(options);
    let before = tokio::time::Instant::now();
    let (error, ()) = tokio::join!(peer.initialize(), async {
        peer.closed().await;
        assert_eq!(before.elapsed(), Duration::from_secs(60));
    });
    assert!(error.is_err());
}
