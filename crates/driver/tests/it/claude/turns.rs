//! Turns: text, thoughts, tools, errors, what they use and cost.

use agentos_driver::event::{Body, ItemKind, ItemStatus, StopReason, Stream, TurnStatus, Usage, text_of};
use agentos_driver::{StartInput, State};
use serde_json::json;

use super::play::{
    DONE, block_start, diagnostics, execution, init, items, message_start, message_stop, prompt, ready, rest,
    result, say, simple, start, start_with, text, text_delta, tool, tool_result, whole,
};

fn usages(log: &agentos_driver::testing::Log) -> Vec<Usage> {
    let all = log.events.iter().filter_map(|event| match &event.body {
        Body::UsageUpdated(usage) => Some(usage.clone()),
        _ => None,
    });
    all.collect()
}

#[tokio::test(start_paused = true)]
async fn a_text_is_streamed_and_ends_as_it_was_said_whole() {
    let mut session = start(|mut side| async move {
        ready(&mut side).await;
        assert_eq!(prompt(&mut side).await.as_deref(), Some("hello"));
        let thought = json!({ "type": "thinking", "thinking": "hm", "signature": "c2ln" });
        say(
            &mut side,
            &[
                init(),
                message_start("m"),
                block_start(0, json!({ "type": "thinking", "thinking": "", "signature": "" })),
                whole("m", thought),
                block_start(1, text("")),
                text_delta(1, "Hel"),
                text_delta(1, "lo"),
                whole("m", text("Hello.")),
                message_stop(),
                result(0.5),
            ],
        )
        .await;
        rest(&mut side).await
    })
    .await;
    let ended = session.turn("hello").await;
    assert_eq!((ended.status, ended.stop_reason), (TurnStatus::Completed, StopReason::EndTurn));
    let log = session.stop().await;
    assert_eq!(
        log.kinds(),
        [
            "session.started",
            "session.config.updated",
            "turn.started",
            "session.resume.updated",
            "session.info.updated",
            "model_request.started",
            "item.started",
            "item.completed",
            "item.started",
            "item.completed",
            "model_request.completed",
            "session.resume.updated",
            "usage.updated",
            "turn.completed",
            "session.ended",
        ]
    );
    let deltas: Vec<(Stream, u64, &str)> = log
        .events
        .iter()
        .filter_map(|event| match &event.body {
            Body::ItemDelta(delta) => Some((delta.stream, delta.offset, delta.delta.as_str())),
            _ => None,
        })
        .collect();
    assert!(deltas == [(Stream::Text, 0, "Hello")] || deltas.len() == 2, "{deltas:?}");
    let items = items(&log);
    assert!(matches!(&items[0].kind, ItemKind::Reasoning { content, .. } if content == &["hm"]));
    assert!(matches!(&items[1].kind, ItemKind::Message { content, .. } if text_of(content) == "Hello."));
}

#[tokio::test(start_paused = true)]
async fn without_partial_messages_nothing_is_missing() {
    let input = StartInput::new(execution(json!({ "partialMessages": false })));
    let mut session = start_with(input, |mut side| async move {
        assert!(!side.spec.args.iter().any(|arg| arg == "--include-partial-messages"));
        ready(&mut side).await;
        prompt(&mut side).await;
        say(
            &mut side,
            &[
                init(),
                whole("m", json!({ "type": "thinking", "thinking": "hm" })),
                whole("m", text("I look.")),
                whole("m", tool("t", "Read", json!({ "file_path": "/a" }))),
                tool_result("t", "content", false),
                whole("n", text("Done.")),
                result(0.5),
            ],
        )
        .await;
        rest(&mut side).await
    })
    .await;
    session.turn("look").await;
    let log = session.stop().await;
    let items: Vec<(String, ItemStatus)> =
        items(&log).into_iter().map(|item| (item.item_id, item.status)).collect();
    let completed = |id: &str| (id.to_owned(), ItemStatus::Completed);
    assert_eq!(items, [completed("m:0"), completed("m:1"), completed("t"), completed("n:0")]);
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_the_model_fails_the_turn_and_not_the_session() {
    let mut session = start(|mut side| async move {
        ready(&mut side).await;
        prompt(&mut side).await;
        let mut fault = whole("x", text("API Error: overloaded"));
        fault["message"]["model"] = "<synthetic>".into();
        fault["error"] = "overloaded".into();
        let mut failed = result(0.5);
        failed["is_error"] = true.into();
        failed["api_error_status"] = 529.into();
        failed["result"] = "API Error: overloaded".into();
        say(&mut side, &[init(), fault, failed]).await;
        prompt(&mut side).await;
        say(&mut side, &[init(), whole("m", text("Hello")), result(1.0)]).await;
        rest(&mut side).await
    })
    .await;
    let ended = session.turn("one").await;
    let error = ended.error.unwrap();
    assert_eq!((ended.status, error.code.as_str()), (TurnStatus::Failed, "claude.api_error"));
    assert!(error.retryable);
    assert_eq!(error.details["vendorError"], "overloaded");
    assert_eq!(session.turn("two").await.status, TurnStatus::Completed);
    let log = session.stop().await;
    assert_eq!(items(&log).len(), 1, "the fault is no message of the agent");
}

#[tokio::test(start_paused = true)]
async fn limits_of_the_vendor_end_a_turn_as_limits() {
    let mut session = start(|mut side| async move {
        ready(&mut side).await;
        prompt(&mut side).await;
        let limit = json!({ "type": "result", "subtype": "error_max_turns", "is_error": true, "errors": ["too long"] });
        say(&mut side, &[init(), limit]).await;
        rest(&mut side).await
    })
    .await;
    let ended = session.turn("one").await;
    assert_eq!((ended.status, ended.stop_reason), (TurnStatus::Failed, StopReason::MaxTurns));
    let error = ended.error.unwrap();
    assert_eq!((error.code.as_str(), error.message.as_str()), ("claude.error_max_turns", "too long"));
    session.stop().await;
}

#[tokio::test(start_paused = true)]
async fn cost_is_that_of_the_turn_also_across_processes() {
    let mut session = start(|mut side| async move {
        ready(&mut side).await;
        let totals: &[f64] = if side.start == 0 { &[0.000171, 0.000513, 0.000855] } else { &[0.001197] };
        for (n, total) in totals.iter().enumerate() {
            prompt(&mut side).await;
            let id = format!("m{}-{n}", side.start);
            say(&mut side, &[init(), whole(&id, text("Hello")), result(*total)]).await;
        }
        if side.start == 0 {
            // The fourth turn loses the process.
            prompt(&mut side).await;
            return super::play::FELL;
        }
        rest(&mut side).await
    })
    .await;
    for _ in 0..3 {
        assert_eq!(session.turn("hello").await.status, TurnStatus::Completed);
    }
    assert_eq!(session.turn("fall").await.status, TurnStatus::Failed);
    session.kernel.until(|state| state == State::Ready).await;
    assert_eq!(session.turn("hello").await.status, TurnStatus::Completed);
    assert_eq!(session.kernel.resume_ref().1, Some(0.001197));
    let second = &session.launcher.launched()[1];
    assert!(second.args.iter().any(|arg| arg == "--resume=S1"), "{:?}", second.args);
    let log = session.stop().await;
    let costs: Vec<Option<f64>> = usages(&log).iter().map(|usage| usage.cost_amount).collect();
    assert_eq!(costs, [Some(0.000171), Some(0.000342), Some(0.000342), Some(0.000342)]);
    let usage = &usages(&log)[0];
    assert_eq!(
        (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.total_tokens),
        (12, 9, 3, 24)
    );
}

#[tokio::test(start_paused = true)]
async fn a_resumed_session_counts_from_the_stored_total() {
    let mut input = StartInput::new(execution(json!({})));
    input.resume = Some(agentos_driver::ResumeRef::new(agentos_driver::Runtime::Claude, "S1"));
    input.cost_total = Some(0.25);
    let mut session = start_with(input, |side| async move {
        assert!(side.spec.args.iter().any(|arg| arg == "--resume=S1"));
        simple(side).await
    })
    .await;
    session.turn("hello").await;
    let log = session.stop().await;
    assert_eq!(usages(&log)[0].cost_amount, Some(0.75));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_understood_is_left_out_and_named() {
    let mut session = start(|mut side| async move {
        ready(&mut side).await;
        prompt(&mut side).await;
        say(&mut side, &[init()]).await;
        for line in ["{not json", "[1,2]", "7", "\"text\"", "", "{\"type\":\"x_new\",\"secret\":\"s3cret\"}"]
        {
            side.send_line(line).await;
        }
        side.send_bytes(b"{\"type\":\"assistant\",\"message\":\"\xff\"}\n").await;
        say(
            &mut side,
            &[
                json!({ "type": "system", "subtype": "x_newer" }),
                json!({ "no": "type" }),
                json!({ "type": "keep_alive" }),
                json!({ "type": "rate_limit_event", "x": 1 }),
                json!({ "type": "control_response", "response": { "request_id": "unknown" } }),
                json!({ "type": "control_cancel_request", "request_id": "unknown" }),
                json!({ "type": "system", "subtype": "api_retry", "attempt": 2, "error_status": 529 }),
                whole("m", text("Hello")),
                result(0.5),
            ],
        )
        .await;
        rest(&mut side).await
    })
    .await;
    assert_eq!(session.turn("hello").await.status, TurnStatus::Completed);
    let log = session.stop().await;
    let said = diagnostics(&log);
    let of = |text: &str| said.iter().filter(|line| line.contains(text)).count();
    assert_eq!(of("no JSON object"), 5, "{said:?}");
    assert_eq!(
        (of("x_new"), of("x_newer"), of("without a type"), of("claude.api_retry")),
        (2, 1, 1, 1),
        "{said:?}"
    );
    assert!(!log.text().contains("s3cret"), "types are named, contents never");
}

#[tokio::test(start_paused = true)]
async fn a_line_without_an_end_is_skipped() {
    let mut session = start(|mut side| async move {
        ready(&mut side).await;
        prompt(&mut side).await;
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..33 {
            side.send_bytes(&piece).await;
        }
        side.send_line("").await;
        say(&mut side, &[init(), whole("m", text("Hello")), result(0.5)]).await;
        rest(&mut side).await
    })
    .await;
    assert_eq!(session.turn("hello").await.status, TurnStatus::Completed);
    let log = session.stop().await;
    assert!(diagnostics(&log).iter().any(|line| line.contains("too long")));
}

#[tokio::test(start_paused = true)]
async fn what_comes_before_and_after_a_turn_belongs_to_none() {
    let mut session = start(|mut side| async move {
        ready(&mut side).await;
        say(&mut side, &[message_start("early"), block_start(0, text("e")), whole("early", text("early"))])
            .await;
        prompt(&mut side).await;
        say(&mut side, &[init(), whole("m", text("Hello")), result(0.5)]).await;
        say(&mut side, &[whole("late", text("late")), tool_result("t", "late", false), result(0.75)]).await;
        prompt(&mut side).await;
        say(&mut side, &[init(), whole("n", text("Hello")), result(1.0)]).await;
        rest(&mut side).await
    })
    .await;
    // The early messages are read before the turn begins.
    let early = |body: &Body| matches!(body, Body::DiagnosticReported(of) if of.message.contains("outside of a turn"));
    session.log.until(early).await;
    session.turn("one").await;
    // And the late ones before the next one does.
    let late = |body: &Body| matches!(body, Body::SessionResumeUpdated(of) if of.cost_total == Some(0.75));
    if !session.log.events.iter().any(|event| late(&event.body)) {
        session.log.until(late).await;
    }
    session.turn("two").await;
    let log = session.stop().await;
    let ids: Vec<String> = items(&log).into_iter().map(|item| item.item_id).collect();
    assert_eq!(ids, ["m:0", "n:0"]);
    assert_eq!(usages(&log)[1].cost_amount, Some(0.25), "what the late turn cost is not that of the next");
}

#[tokio::test(start_paused = true)]
async fn what_a_subagent_does_is_beside_the_main_message() {
    let mut session = start(|mut side| async move {
        ready(&mut side).await;
        prompt(&mut side).await;
        let of = |mut message: serde_json::Value| {
            message["parent_tool_use_id"] = "task".into();
            message
        };
        say(
            &mut side,
            &[
                init(),
                whole("m", tool("task", "Task", json!({ "prompt": "look" }))),
                of(json!({ "type": "user", "message": { "content": [{ "type": "text", "text": "look" }] } })),
                of(whole("n", tool("inner", "Read", json!({ "file_path": "/a" })))),
                of(tool_result("inner", "content", false)),
                of(whole("n", text("found"))),
                tool_result("task", "found", false),
                whole("o", text("Done.")),
                result(0.5),
            ],
        )
        .await;
        rest(&mut side).await
    })
    .await;
    session.turn("look").await;
    let log = session.stop().await;
    let items: Vec<(String, Option<String>)> =
        items(&log).into_iter().map(|item| (item.item_id, item.parent_item_id)).collect();
    let of = |id: &str, parent: Option<&str>| (id.to_owned(), parent.map(str::to_owned));
    assert_eq!(
        items,
        [of("inner", Some("task")), of("n:1", Some("task")), of("task", None), of("o:0", None)]
    );
}

#[tokio::test(start_paused = true)]
async fn compaction_and_files_are_events_of_their_own() {
    let mut session = start(|mut side| async move {
        ready(&mut side).await;
        prompt(&mut side).await;
        say(
            &mut side,
            &[
                init(),
                json!({ "type": "system", "subtype": "compact_boundary", "compact_metadata": { "trigger": "auto", "pre_tokens": 9 } }),
                json!({ "type": "system", "subtype": "files_persisted", "files": [{ "filename": "a.txt" }, { "x": 1 }] }),
                result(0.5),
            ],
        )
        .await;
        assert_eq!(rest(&mut side).await, DONE);
        DONE
    })
    .await;
    session.turn("go").await;
    let log = session.stop().await;
    let items = items(&log);
    assert!(
        matches!(&items[0].kind, ItemKind::Other { kind, fields } if kind == "x_compaction" && fields["preTokens"] == 9)
    );
    let paths: Vec<&str> = log
        .events
        .iter()
        .filter_map(|event| match &event.body {
            Body::FileChanged { changes } => Some(changes[0].path.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(paths, ["/work/a.txt"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_the_vendor_tries_again_leaves_nothing_open() {
    let mut session = start(|mut side| async move {
        ready(&mut side).await;
        prompt(&mut side).await;
        say(
            &mut side,
            &[
                init(),
                message_start("m"),
                block_start(0, text("")),
                text_delta(0, "Hel"),
                block_start(1, tool("t", "Bash", json!({}))),
                json!({ "type": "system", "subtype": "api_retry", "attempt": 1 }),
                message_start("n"),
                block_start(0, text("")),
                whole("n", text("Hello")),
                message_stop(),
                result(0.5),
            ],
        )
        .await;
        rest(&mut side).await
    })
    .await;
    session.turn("hello").await;
    let log = session.stop().await;
    let items: Vec<(String, ItemStatus)> =
        items(&log).into_iter().map(|item| (item.item_id, item.status)).collect();
    assert_eq!(
        items,
        [
            ("m:0".to_owned(), ItemStatus::Cancelled),
            ("t".to_owned(), ItemStatus::Cancelled),
            ("n:0".to_owned(), ItemStatus::Completed),
        ]
    );
    let requests: Vec<Option<bool>> = log
        .events
        .iter()
        .filter_map(|event| match &event.body {
            Body::ModelRequestCompleted(request) => Some(request.is_error),
            _ => None,
        })
        .collect();
    assert_eq!(requests, [Some(true), Some(false)]);
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_is_told_to_the_host_which_may_keep_it_to_itself() {
    struct Heard(std::sync::Arc<std::sync::atomic::AtomicUsize>);
    impl agentos_driver::ports::Files for Heard {
        fn report_changed<'a>(
            &'a self,
            change: &'a agentos_driver::event::ChangedFile,
        ) -> agentos_driver::ports::Pending<'a, bool> {
            assert_eq!((change.path.as_str(), change.item_id.as_deref()), ("/work/a.txt", Some("t")));
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Box::pin(async { Ok(false) })
        }
    }
    let heard = std::sync::Arc::default();
    let with = |mut ports: agentos_driver::Ports| {
        ports.files = std::sync::Arc::new(Heard(std::sync::Arc::clone(&heard)));
        ports
    };
    let mut session =
        super::play::start_on(StartInput::new(execution(json!({}))), with, |mut side| async move {
            ready(&mut side).await;
            prompt(&mut side).await;
            let write = tool("t", "Write", json!({ "file_path": "/work/a.txt", "content": "hi" }));
            say(&mut side, &[init(), whole("m", write), tool_result("t", "ok", false), result(0.5)]).await;
            rest(&mut side).await
        })
        .await;
    session.turn("go").await;
    let log = session.stop().await;
    assert_eq!(heard.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert!(!log.kinds().iter().any(|kind| kind == "file.changed"));
}
