//! Agents that send garbage, answer late or twice, or never read.

use std::time::Duration;

use agentos_acp::{Closure, Error, Fatal, Limits};
use serde_json::json;

use crate::agent::{ask, pair};

#[tokio::test(start_paused = true)]
async fn a_line_over_the_limit_is_fatal() {
    let (connection, mut agent) = pair(Limits { line_bytes: 10_000, ..Limits::default() });
    agent.raw(&[b'x'; 30_000]).await;
    let fatal = Fatal::LineTooLong { limit: 10_000 };
    assert_eq!(connection.closed().await, Closure::Fatal(fatal.clone()));
    match ask(&connection, "m").await.unwrap().unwrap_err() {
        Error::Fatal(said) => assert_eq!(said, fatal),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn garbage_is_skipped_until_there_are_twenty_lines_in_a_row() {
    let (connection, mut agent) = pair(Limits::default());
    for round in ["a", "b", "c"] {
        agent.raw(&b"debug: \x1b[2J\xff\n".repeat(19)).await;
        agent.say(round).await;
        agent.hear(round).await;
    }
    agent.raw(&b"debug\n".repeat(20)).await;
    assert_eq!(connection.closed().await, Closure::Fatal(Fatal::Garbage { lines: 20 }));
}

#[tokio::test(start_paused = true)]
async fn malformed_messages_get_the_right_errors_and_hurt_nobody() {
    let (connection, mut agent) = pair(Limits::default());
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
        (r#"{"jsonrpc":"2.0","id":null,"method":"terminal/create"}"#, json!(null), -32601),
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
        r#"{"jsonrpc":"2.0","method":"$/cancel_request","params":{"requestId":12}}"#,
        r#"{"jsonrpc":"2.0","method":7}"#,
    ] {
        agent.raw(format!("{line}\n").as_bytes()).await;
    }
    let probe = ask(&connection, "_probe");
    let request = agent.expect("_probe").await;
    agent.answer(&request, json!("alive")).await;
    assert_eq!(probe.await.unwrap().unwrap().get(), "\"alive\"");
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_dropped() {
    let (connection, mut agent) = pair(Limits::default());
    let error = ask(&connection, "_late").await.unwrap().unwrap_err();
    assert!(matches!(&error, Error::Timeout { method, after } if method == "_late" && after.as_secs() == 30));
    let request = agent.expect("_late").await;
    agent.expect("$/cancel_request").await;
    agent.answer(&request, json!("late")).await;
    let probe = ask(&connection, "_probe");
    let request = agent.expect("_probe").await;
    agent.answer(&request, json!(1)).await;
    assert_eq!(probe.await.unwrap().unwrap().get(), "1");
}

#[tokio::test(start_paused = true)]
async fn a_second_answer_changes_nothing() {
    let (connection, mut agent) = pair(Limits::default());
    let first = ask(&connection, "m");
    let one = agent.expect("m").await;
    for answer in ["a", "b", "c"] {
        agent.answer(&one, json!(answer)).await;
    }
    assert_eq!(first.await.unwrap().unwrap().get(), "\"a\"");
    let second = ask(&connection, "m");
    let two = agent.expect("m").await;
    agent.answer(&one, json!("d")).await;
    agent.answer(&two, json!("e")).await;
    assert_eq!(second.await.unwrap().unwrap().get(), "\"e\"");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_read_is_given_up_after_thirty_seconds() {
    let (connection, _agent) = pair(Limits::default());
    let before = tokio::time::Instant::now();
    let big = "x".repeat(200_000);
    let sent = tokio::spawn({
        let connection = connection.clone();
        async move { connection.request("m", None, &big, Duration::from_secs(600)).await }
    });
    let stuck = Fatal::WriteStuck { after: Duration::from_secs(30) };
    assert_eq!(connection.closed().await, Closure::Fatal(stuck.clone()));
    assert_eq!(before.elapsed(), Duration::from_secs(30));
    assert!(matches!(sent.await.unwrap(), Err(Error::Fatal(fatal)) if fatal == stuck));
}

#[tokio::test(start_paused = true)]
async fn messages_over_the_limit_are_refused_on_our_side() {
    let (connection, mut agent) = pair(Limits { line_bytes: 10_000, ..Limits::default() });
    let big = "x".repeat(20_000);
    let refused = connection.request("m", None, &big, Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(refused, Error::Limit { name: "line_bytes", configured: 10_000, .. }), "{refused:?}");
    assert!(connection.notify("n", &big).await.is_err());
    connection.notify("n", &json!({})).await.unwrap();
    agent.expect("n").await;
}

#[tokio::test(start_paused = true)]
async fn half_a_line_is_waited_for_and_its_end_is_the_end() {
    let (connection, mut agent) = pair(Limits::default());
    let line = crate::agent::update("s", "whole");
    agent.raw(&line.as_bytes()[..40]).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    agent.raw(&line.as_bytes()[40..]).await;
    agent.raw(b"\n{\"jsonrpc\":\"2.0\",\"id\":1,\"resu").await;
    agent.close_output();
    assert!(matches!(connection.closed().await, Closure::Exited(_)));
    agent.hear("whole").await;
}
