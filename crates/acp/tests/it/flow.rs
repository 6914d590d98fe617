//! Prompts, queueing, cancel, the end of the process.

use std::time::Duration;

use agentos_acp::{
    CancelOutcome, Closure, Delivery, Error, EventKind, ExitStatus, Fatal, Limits, PeerOptions,
    PermissionReply, StopReason, Timeouts,
};
use serde_json::{Value, json};

use crate::agent::{event, names, ready};

const ALLOW: &[(&str, &str)] = &[("Allow", "allow_once"), ("Reject", "reject_once")];

#[tokio::test(start_paused = true)]
async fn a_turn_collects_text_and_closes_tool_calls() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    agent.say("before the turn").await;
    let log = peer.events("s").unwrap();
    event(&log, |e| e.kind == EventKind::Update).await;
    let serve = async {
        let prompt = agent.expect("session/prompt").await;
        assert_eq!(prompt["params"]["prompt"], json!([{"type": "text", "text": "hi"}]));
        agent.say("one").await;
        agent.say("").await;
        agent.update(json!({"sessionUpdate": "future_kind", "x": 1})).await;
        agent
            .update(json!({"sessionUpdate": "tool_call_update", "toolCallId": "t", "status": "in_progress"}))
            .await;
        agent.say("two").await;
        agent.answer(&prompt, json!({"stopReason": "sunset", "usage": {"totalTokens": 5}})).await;
        agent.say("after the turn").await;
    };
    let (outcome, ()) = tokio::join!(peer.prompt("s", vec!["hi".into()]), serve);
    let outcome = outcome.unwrap();
    assert_eq!(outcome.text, "one\n\ntwo");
    assert_eq!(outcome.stop_reason, StopReason::Other("sunset".to_owned()));
    assert_eq!(outcome.usage.unwrap().total_tokens, Some(5));
    let ended = event(&log, |e| e.kind == EventKind::TurnEnded { turn: 0 }).await;
    let payload: Value = serde_json::from_str(ended.payload.get()).unwrap();
    assert_eq!(payload["closedToolCalls"], json!([{"toolCallId": "t", "status": "failed"}]));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        names(&log),
        [
            "agent_message_chunk",
            "session/prompt",
            "agent_message_chunk",
            "future_kind",
            "tool_call_update",
            "agent_message_chunk",
            "agentos/turn_ended",
            "agent_message_chunk",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn prompts_queue_and_a_dropped_one_leaves_the_queue() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    let spawn = |text: &'static str| {
        let peer = peer.clone();
        tokio::spawn(async move { peer.prompt("s", vec![text.into()]).await.unwrap().text })
    };
    let first = spawn("1");
    let one = agent.expect("session/prompt").await;
    let second = spawn("2");
    tokio::task::yield_now().await;
    let third = spawn("3");
    tokio::task::yield_now().await;
    second.abort();
    agent.say("a").await;
    agent.answer(&one, json!({"stopReason": "end_turn"})).await;
    let next = agent.expect("session/prompt").await;
    assert_eq!(next["params"]["prompt"][0]["text"], "3");
    agent.say("c").await;
    agent.answer(&next, json!({"stopReason": "end_turn"})).await;
    assert_eq!((first.await.unwrap(), third.await.unwrap()), ("a".to_owned(), "c".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn cancel_answers_open_permissions_and_empties_the_queue() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    let running = tokio::spawn({
        let peer = peer.clone();
        async move { peer.prompt("s", vec!["1".into()]).await }
    });
    let prompt = agent.expect("session/prompt").await;
    let queued = tokio::spawn({
        let peer = peer.clone();
        async move { peer.prompt("s", vec!["2".into()]).await }
    });
    tokio::task::yield_now().await;
    agent.ask(json!("p"), ALLOW).await;
    let log = peer.events("s").unwrap();
    let asked = event(&log, |e| matches!(e.kind, EventKind::PermissionRequested { .. })).await;
    let serve = async {
        agent.expect("session/cancel").await;
        let outcome = agent.recv().await;
        assert_eq!(
            outcome,
            json!({"jsonrpc": "2.0", "id": "p", "result": {"outcome": {"outcome": "cancelled"}}})
        );
        // Asked while the cancel runs: refused at once.
        agent.ask(json!(7), ALLOW).await;
        assert_eq!(agent.recv().await["result"]["outcome"]["outcome"], "cancelled");
        agent.fail(&prompt, -32603).await;
    };
    let (cancelled, ()) = tokio::join!(peer.cancel("s"), serve);
    assert_eq!(cancelled.unwrap(), CancelOutcome::Stopped);
    assert_eq!(running.await.unwrap().unwrap().stop_reason, StopReason::Cancelled);
    assert_eq!(queued.await.unwrap().unwrap().stop_reason, StopReason::Cancelled);
    let EventKind::PermissionRequested { id } = asked.kind else { unreachable!() };
    let late = peer.respond_permission("s", id, PermissionReply::Once).await;
    assert!(matches!(late, Err(Error::UnknownPermission(_))));
}

#[tokio::test(start_paused = true)]
async fn cancel_without_a_prompt_sends_nothing() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    assert_eq!(peer.cancel("s").await.unwrap(), CancelOutcome::Idle);
    let probe = tokio::join!(peer.raw_request("_probe", json!({})), async {
        let request = agent.expect("_probe").await;
        agent.answer(&request, json!(1)).await;
    });
    assert_eq!(probe.0.unwrap().get(), "1");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_ignores_cancel_must_be_killed_after_five_seconds() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    let running = tokio::spawn({
        let peer = peer.clone();
        async move { peer.prompt("s", vec!["1".into()]).await }
    });
    agent.expect("session/prompt").await;
    agent.say("partial").await;
    agent.update(json!({"sessionUpdate": "tool_call", "toolCallId": "t", "title": "t"})).await;
    let log = peer.events("s").unwrap();
    event(&log, |e| e.payload.get().contains("tool_call")).await;
    let before = tokio::time::Instant::now();
    assert_eq!(peer.cancel("s").await.unwrap(), CancelOutcome::MustKill);
    assert_eq!(before.elapsed(), Duration::from_secs(5));
    let outcome = running.await.unwrap().unwrap();
    assert_eq!((outcome.stop_reason, outcome.text.as_str()), (StopReason::Cancelled, "partial"));
    assert_eq!(peer.closed().await, Closure::Fatal(Fatal::CancelIgnored { after: Duration::from_secs(5) }));
    let ended = event(&log, |e| matches!(e.kind, EventKind::TurnEnded { .. })).await;
    assert!(ended.payload.get().contains(r#"[{"toolCallId":"t","status":"cancelled"}]"#));
    event(&log, |e| e.kind == EventKind::Closed).await;
    assert_eq!(names(&log).last().map(String::as_str), Some("agentos/agent_closed"));
}

#[tokio::test(start_paused = true)]
async fn a_killed_agent_fails_everything_with_its_exit() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    let running = tokio::spawn({
        let peer = peer.clone();
        async move { peer.prompt("s", vec!["1".into()]).await }
    });
    agent.expect("session/prompt").await;
    let queued = tokio::spawn({
        let peer = peer.clone();
        async move { peer.prompt("s", vec!["2".into()]).await }
    });
    let other = tokio::spawn({
        let peer = peer.clone();
        async move { peer.raw_request("_x", json!({})).await }
    });
    agent.expect("_x").await;
    peer.stderr(b"panic: \x1b[31mboom\n");
    peer.exited(ExitStatus { code: None, signal: Some(9) });
    agent.say("last words").await;
    drop(agent);
    for error in [
        running.await.unwrap().unwrap_err(),
        queued.await.unwrap().unwrap_err(),
        other.await.unwrap().unwrap_err(),
        peer.prompt("s", vec!["3".into()]).await.unwrap_err(),
    ] {
        let Error::AgentExited(exit) = error else { panic!("{error:?}") };
        assert_eq!((exit.code, exit.signal, exit.stderr_tail.as_str()), (None, Some(9), "panic: [31mboom\n"));
    }
    let log = peer.events("s").unwrap();
    assert_eq!(
        names(&log),
        ["session/prompt", "agent_message_chunk", "agentos/turn_ended", "agentos/agent_closed"]
    );
}

#[tokio::test(start_paused = true)]
async fn end_of_file_without_a_status_is_an_exit_too() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    agent.close_output().await;
    let Closure::Exited(exit) = peer.closed().await else { panic!() };
    assert_eq!((exit.code, exit.signal), (None, None));
}

#[tokio::test(start_paused = true)]
async fn an_exit_ends_the_connection_even_if_the_pipe_stays_open() {
    let (peer, _agent) = ready(PeerOptions::default()).await;
    peer.exited(ExitStatus { code: Some(3), signal: None });
    let Closure::Exited(exit) = peer.closed().await else { panic!() };
    assert_eq!(exit.code, Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_silent_turn_is_reported_once() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    // Silence before the turn does not count.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let running = tokio::spawn({
        let peer = peer.clone();
        async move { peer.prompt("s", vec!["1".into()]).await }
    });
    let prompt = agent.expect("session/prompt").await;
    let log = peer.events("s").unwrap();
    tokio::time::sleep(Duration::from_secs(599)).await;
    assert_eq!(names(&log), ["session/prompt"]);
    tokio::time::sleep(Duration::from_secs(3601)).await;
    assert_eq!(names(&log), ["session/prompt", "agentos/stalled"]);
    agent.answer(&prompt, json!({"stopReason": "end_turn"})).await;
    assert_eq!(running.await.unwrap().unwrap().stop_reason, StopReason::EndTurn);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_peer_closes_the_agents_stdin() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    drop(peer);
    assert!(agent.eof().await);
}

#[tokio::test(start_paused = true)]
async fn closing_stdin_lets_the_agent_finish() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    peer.close_stdin();
    assert!(agent.eof().await);
    agent.say("bye").await;
    event(&peer.events("s").unwrap(), |e| e.payload.get().contains("bye")).await;
    assert!(matches!(peer.prompt("s", vec!["x".into()]).await, Err(Error::Closed)));
}

#[tokio::test(start_paused = true)]
async fn a_stalled_turn_can_be_cancelled() {
    let timeouts = Timeouts { cancel_stalled: true, ..Timeouts::default() };
    let (peer, mut agent) = ready(PeerOptions { timeouts, ..PeerOptions::default() }).await;
    let (outcome, ()) = tokio::join!(peer.prompt("s", vec!["1".into()]), async {
        let prompt = agent.expect("session/prompt").await;
        agent.expect("session/cancel").await;
        agent.answer(&prompt, json!({"stopReason": "cancelled"})).await;
    });
    assert_eq!(outcome.unwrap().stop_reason, StopReason::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_held_back_by_a_slow_consumer_can_be_cancelled_unsent() {
    let limits = Limits { events: 2, ..Limits::default() };
    let (peer, mut agent) = ready(PeerOptions { limits, ..PeerOptions::default() }).await;
    let log = peer.events("s").unwrap();
    let slow = log.subscribe(0, Delivery::Lossless).unwrap();
    agent.say("a").await;
    agent.say("b").await;
    event(&log, |e| e.seq == 1).await;
    let held = tokio::spawn({
        let peer = peer.clone();
        async move { peer.prompt("s", vec!["1".into()]).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(peer.cancel("s").await.unwrap(), CancelOutcome::Stopped);
    drop(slow);
    assert_eq!(held.await.unwrap().unwrap().stop_reason, StopReason::Cancelled);
    let (next, ()) = tokio::join!(peer.prompt("s", vec!["2".into()]), async {
        let prompt = agent.expect("session/prompt").await;
        assert_eq!(prompt["params"]["prompt"][0]["text"], "2");
        agent.answer(&prompt, json!({"stopReason": "end_turn"})).await;
    });
    assert_eq!(next.unwrap().stop_reason, StopReason::EndTurn);
}

#[tokio::test(start_paused = true)]
async fn closing_a_session_ends_its_turn_and_its_queue() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    let spawn = |text: &'static str| {
        let peer = peer.clone();
        tokio::spawn(async move { peer.prompt("s", vec![text.into()]).await })
    };
    let running = spawn("1");
    let prompt = agent.expect("session/prompt").await;
    let queued = spawn("2");
    tokio::task::yield_now().await;
    let (closed, ()) = tokio::join!(peer.close_session("s"), async {
        agent.expect("session/cancel").await;
        agent.answer(&prompt, json!({"stopReason": "cancelled"})).await;
        let close = agent.expect("session/close").await;
        agent.answer(&close, json!({})).await;
    });
    closed.unwrap();
    assert_eq!(running.await.unwrap().unwrap().stop_reason, StopReason::Cancelled);
    assert_eq!(queued.await.unwrap().unwrap().stop_reason, StopReason::Cancelled);
    assert!(matches!(peer.prompt("s", vec!["3".into()]).await, Err(Error::UnknownSession { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_turn_may_end_with_any_error_of_the_agent() {
    for code in [-32603, -32601, -32800, 7] {
        let (peer, mut agent) = ready(PeerOptions::default()).await;
        let (outcome, ()) = tokio::join!(peer.prompt("s", vec!["1".into()]), async {
            let prompt = agent.expect("session/prompt").await;
            let (cancelled, ()) = tokio::join!(peer.cancel("s"), async {
                agent.expect("session/cancel").await;
                agent.fail(&prompt, code).await;
            });
            assert_eq!(cancelled.unwrap(), CancelOutcome::Stopped);
        });
        assert_eq!(outcome.unwrap().stop_reason, StopReason::Cancelled, "{code}");
    }
}
