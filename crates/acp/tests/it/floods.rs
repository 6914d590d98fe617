//! Agents that send without end what is of no use: each is given up soon, with an error that says what it did.

use std::time::Duration;

use agentos_acp::{Closure, Error, ExitStatus, Fatal, Limits};
use serde_json::{Value, json};

use crate::agent::{FakeAgent, ask, pair, update};

/// Sends `chunk` until nobody reads it any more.
async fn flood(agent: &mut FakeAgent, chunk: &[u8]) {
    let end = tokio::time::timeout(Duration::from_secs(20), async { while agent.try_raw(chunk).await {} });
    end.await.expect("the agent's output is closed");
}

#[tokio::test(start_paused = true)]
async fn every_flood_ends_soon_and_is_named() {
    let stray = r#"{"jsonrpc":"2.0","id":77,"result":{}}"#;
    let unknown = r#"{"jsonrpc":"2.0","id":"q","method":"_x/y"}"#;
    let note = r#"{"jsonrpc":"2.0","method":"_x/y"}"#;
    let file = r#"{"jsonrpc":"2.0","id":1,"method":"fs/read_text_file","params":{}}"#;
    let withdrawn = r#"{"jsonrpc":"2.0","method":"$/cancel_request","params":{"requestId":5}}"#;
    let large = format!(r#"{{"jsonrpc":"2.0","method":"_x/y","params":"{}"}}"#, "x".repeat(1 << 20));
    for (line, words) in [
        ("this is not JSON", "20 lines in a row that are not JSON"),
        (r#"{"jsonrpc":"2.0","#, "not JSON"),
        ("\u{0}\u{1b}[2J", "not JSON"),
        ("{}", "20 lines in a row that are no JSON-RPC messages"),
        (r#"{"level":"info","msg":"starting"}"#, "no JSON-RPC messages"),
        ("[]", "no JSON-RPC messages"),
        (r#"{"jsonrpc":"2.0","id":1}"#, "no JSON-RPC messages"),
        ("7\nx", "20 lines"),
        (stray, "200 lines without a useful message, the last an answer to no open request"),
        (unknown, "200 lines without a useful message, the last a request that was refused"),
        (file, "the last a request that was refused"),
        (note, "10000 lines without a useful message, the last a notification"),
        (withdrawn, "10000 lines"),
        ("", "10000 lines without a useful message, the last an empty line"),
        (&update("other", "x"), "10000 lines"),
        (&update("s", ""), "10000 lines"),
        (&large, "bytes without a useful message"),
        // A valid message between is no excuse if it is of no use itself.
        (&format!("x\n{note}"), "10000 lines"),
        (&format!("{{}}\n{note}"), "10000 lines"),
    ] {
        let (connection, mut agent) = pair(Limits::default());
        let begun = tokio::time::Instant::now();
        let running = ask(&connection, "session/prompt");
        agent.expect("session/prompt").await;
        flood(&mut agent, format!("{line}\n").repeat(10).as_bytes()).await;
        let error = running.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Fatal(_)), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{error}: {:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_useful_forgives_what_is_not() {
    let (_connection, mut agent) = pair(Limits::default());
    for round in 0..30 {
        agent.raw(&b"debug\n".repeat(19)).await;
        agent.raw(&b"{\"jsonrpc\":\"2.0\",\"method\":\"_x/y\"}\n\n".repeat(2000)).await;
        agent.raw(&b"{\"jsonrpc\":\"2.0\",\"id\":77,\"result\":1}\n".repeat(199)).await;
        agent.say(&round.to_string()).await;
    }
    agent.hear("29").await;
}

#[tokio::test(start_paused = true)]
async fn a_line_of_a_hundred_megabytes_is_not_kept() {
    let (connection, mut agent) = pair(Limits::default());
    let mut sent = 0;
    while sent < 100 << 20 && agent.try_raw(&[b'x'; 64 << 10]).await {
        sent += 64 << 10;
    }
    assert!(sent <= 9 << 20, "{sent} bytes were read");
    assert_eq!(connection.closed().await, Closure::Fatal(Fatal::LineTooLong { limit: 8 << 20 }));
}

#[tokio::test(start_paused = true)]
async fn what_fails_with_an_agent_that_is_given_up_fails_after_its_end_is_known() {
    let (connection, mut agent) = pair(Limits::default());
    let mut running = ask(&connection, "session/prompt");
    agent.expect("session/prompt").await;
    let begun = tokio::time::Instant::now();
    agent.raw(&b"{}\n".repeat(20)).await;
    assert_eq!(connection.closed().await, Closure::Fatal(Fatal::NotMessages { lines: 20 }));
    assert!(tokio::time::timeout(Duration::from_millis(500), &mut running).await.is_err());
    connection.exited(ExitStatus { code: None, signal: Some(9) });
    let error = running.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Fatal(Fatal::NotMessages { .. })), "{error:?}");
    assert_eq!(begun.elapsed(), Duration::from_millis(500));
    // An embedder that never tells is not waited for long.
    let (connection, mut agent) = pair(Limits::default());
    agent.raw(&b"{}\n".repeat(20)).await;
    connection.closed().await;
    let error = ask(&connection, "session/prompt").await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Fatal(Fatal::NotMessages { .. })), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn whatever_an_agent_writes_can_be_read_as_json() {
    let (_connection, mut agent) = pair(Limits::default());
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
        let params = format!(
            r#"{{"sessionId":"s","update":{{"sessionUpdate":"agent_message_chunk","content":{{"type":"text","text":"a"}},"_meta":{{"x":{extra}}}}}}}"#
        );
        agent
            .raw(
                format!("{{\"jsonrpc\":\"2.0\",\"method\":\"session/update\",\"params\":{params}}}\n")
                    .as_bytes(),
            )
            .await;
        let heard = agent.heard.recv().await.unwrap();
        let read = serde_json::from_str::<Value>(&heard);
        assert!(read.is_ok(), "{read:?}: {heard}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_agents_error_carries_no_terminal_escapes_into_ours() {
    let (connection, mut agent) = pair(Limits::default());
    let asked = ask(&connection, "_x");
    let request = agent.expect("_x").await;
    let message = format!("\u{1b}[2J{}", "x".repeat(100_000));
    let answer = json!({"jsonrpc": "2.0", "id": request["id"], "error": {"code": 1, "message": message}});
    agent.raw(format!("{answer}\n").as_bytes()).await;
    let text = asked.await.unwrap().unwrap_err().to_string();
    assert!(text.len() < 5000 && !text.contains('\u{1b}'), "{text}");
}

#[tokio::test(start_paused = true)]
async fn limits_can_be_set() {
    let (connection, mut agent) = pair(Limits { garbage_lines: 1, ..Limits::default() });
    agent.raw(b"x\n").await;
    assert_eq!(connection.closed().await, Closure::Fatal(Fatal::Garbage { lines: 1 }));
}
