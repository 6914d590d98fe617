//! Anything that an app server might say: the kernel's promises hold, and nothing panics.

use std::sync::Arc;
use std::time::Duration;

use agentos_driver::Order;
use agentos_driver::command::Decision;
use agentos_driver::event::Body;
use agentos_driver::testing::VendorSide;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::codex_recording::messages;
use super::codex_vendor::{Server, Session, THREAD, all, check, input};

const METHODS: &[&str] = &[
    "item/started",
    "item/completed",
    "item/agentMessage/delta",
    "item/reasoning/textDelta",
    "item/reasoning/summaryTextDelta",
    "item/commandExecution/outputDelta",
    "item/commandExecution/requestApproval",
    "item/fileChange/requestApproval",
    "item/fileChange/patchUpdated",
    "item/permissions/requestApproval",
    "item/tool/requestUserInput",
    "item/tool/call",
    "mcpServer/elicitation/request",
    "execCommandApproval",
    "turn/plan/updated",
    "turn/started",
    "turn/completed",
    "thread/compacted",
    "thread/status/changed",
    "thread/tokenUsage/updated",
    "serverRequest/resolved",
    "error",
    "weather/changed",
];
const NAMES: &[&str] = &[
    "id",
    "type",
    "item",
    "itemId",
    "turnId",
    "turn",
    "threadId",
    "delta",
    "status",
    "activeFlags",
    "requestId",
    "command",
    "cwd",
    "text",
    "changes",
    "path",
    "kind",
    "tool",
    "arguments",
    "callId",
    "questions",
    "plan",
    "error",
    "codexErrorInfo",
    "willRetry",
    "tokenUsage",
    "total",
    "last",
    "inputTokens",
    "summaryIndex",
    "requestedSchema",
    "properties",
    "availableDecisions",
    "permissions",
    "method",
    "params",
    "result",
    "message",
];
const WORDS: &[&str] = &[
    "U1",
    "U2",
    THREAD,
    "a",
    "b",
    "agentMessage",
    "reasoning",
    "commandExecution",
    "fileChange",
    "mcpToolCall",
    "dynamicToolCall",
    "webSearch",
    "plan",
    "active",
    "idle",
    "completed",
    "failed",
    "declined",
    "inProgress",
    "interrupted",
    "waitingOnApproval",
    "",
];

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0u64..3).prop_map(Value::from),
        select(WORDS).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((select(NAMES), inner), 0..6).prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

/// An item with the members that most have.
fn any_item() -> impl Strategy<Value = Value> {
    (select(WORDS), select(WORDS), any_value()).prop_map(|(kind, id, more)| {
        let mut item = more.as_object().cloned().unwrap_or_default();
        item.insert("type".to_owned(), json!(kind));
        item.insert("id".to_owned(), json!(id));
        for (name, value) in [("text", "t"), ("command", "ls"), ("tool", "x")] {
            item.entry(name).or_insert(json!(value));
        }
        Value::Object(item)
    })
}

/// A message with the form of one, mostly of the turn that runs. One member in eight is anything.
fn any_message() -> impl Strategy<Value = Value> {
    let kept = prop::collection::vec(prop::bool::weighted(0.875), 6);
    let params = (any_value(), any_item(), select(WORDS), select(WORDS), kept);
    let params = params.prop_map(|(more, item, name, turn, kept)| {
        let mut params = more.as_object().cloned().unwrap_or_default();
        let usual = [
            ("turnId", json!(if turn.len() > 2 { "U1" } else { turn })),
            ("threadId", json!(THREAD)),
            ("item", item),
            ("itemId", json!(name)),
            ("callId", json!(name)),
            ("delta", json!("text")),
        ];
        for ((member, value), is_kept) in usual.into_iter().zip(kept) {
            if is_kept {
                params.insert(member.to_owned(), value);
            }
        }
        Value::Object(params)
    });
    let id = prop_oneof![8 => (0u64..12).prop_map(Value::from), 1 => any_value()];
    (select(METHODS), params, id, prop::bool::weighted(0.05)).prop_map(|(method, params, id, odd)| {
        let mut message = json!({ "method": method, "params": params });
        let asks = ["request", "Approval", "tool/call"].iter().any(|part| method.contains(part));
        if asks != odd {
            message["id"] = id;
        }
        message
    })
}

/// The values within a value, counted from the outside.
fn within<'a>(value: &'a mut Value, n: &mut usize) -> Option<&'a mut Value> {
    if *n == 0 {
        return Some(value);
    }
    *n -= 1;
    match value {
        Value::Object(members) => members.values_mut().find_map(|value| within(value, n)),
        Value::Array(all) => all.iter_mut().find_map(|value| within(value, n)),
        _ => None,
    }
}

/// A recorded message in which one value is another.
fn mutated() -> impl Strategy<Value = Value> {
    let recorded: Vec<Value> =
        messages().into_iter().filter(|(is, _)| *is).map(|(_, message)| message).collect();
    (select(recorded), 0usize..40, any_value()).prop_map(|(mut message, mut n, other)| {
        if let Some(place) = within(&mut message, &mut n) {
            *place = other;
        }
        let text = message.to_string();
        // Those of the recording's ids that count, as the vendor of this test has them.
        let text = text.replace("01a1fa10-1889-7d01-b482-7bea6ec044cc", "U1");
        let text = text.replace("01a1fa10-192e-7221-9c45-f58e7b454144", "U1");
        let text = text.replace("01a1fa10-1847-78b0-b000-86f2530f232f", THREAD);
        serde_json::from_str(&text).unwrap()
    })
}

fn any_line() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => any_message().prop_map(|message| message.to_string()),
        4 => mutated().prop_map(|message| message.to_string()),
        1 => any_value().prop_map(|value| value.to_string()),
        1 => ".{0,40}".prop_map(|line| line.replace('\n', " ")),
    ]
}

/// Says all of it within a turn, and ends the turn, if none of it did.
async fn say(side: VendorSide, lines: Arc<Vec<String>>, early: usize) {
    let start = side.start;
    let mut server = Server::ready(side).await;
    if start > 0 {
        server.rest().await;
        return;
    }
    let asked = server.asked("turn/start").await;
    for (n, line) in lines.iter().enumerate() {
        if n == early {
            server.side.send(json!({ "id": asked["id"], "result": { "turn": { "id": "U1" } } })).await;
        }
        server.side.send_line(line).await;
        // Passes when nobody has anything to do: what was asked is asked.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    if early >= lines.len() {
        server.side.send(json!({ "id": asked["id"], "result": { "turn": { "id": "U1" } } })).await;
    }
    server.completes("U1").await;
    server.rest().await;
}

async fn session(lines: Vec<String>, early: usize) {
    let lines = Arc::new(lines);
    let mut session = Session::with(input(), move |side| say(side, Arc::clone(&lines), early)).await;
    let (_, mut turn) = session.begin("run");
    let late = tokio::time::sleep(Duration::from_secs(20));
    tokio::pin!(late);
    let mut answers = [Decision::AllowOnce, Decision::RejectOnce, Decision::AllowAlways].into_iter().cycle();
    loop {
        let asked = session.log.until(|body| matches!(body, Body::PermissionRequested(_)));
        let event = tokio::select! {
            _ = &mut turn => break,
            // A turn whose id was never told the right way ends by a cancel.
            () = &mut late => {
                session.kernel.cancel("too long").await.unwrap();
                break;
            }
            event = asked => event,
        };
        let Body::PermissionRequested(request) = event.body else { continue };
        // Every third one is left open.
        if let Some(decision) = answers.next().filter(|decision| *decision != Decision::AllowAlways) {
            let (request_id, option_id, message) = (request.request_id, None, None);
            session.order(Order::PermissionResolve { request_id, decision, option_id, message }).await;
        }
    }
    session.kernel.stop("test").await.unwrap();
    session.log.to_end().await;
    let events = &session.log.events;
    check(events);
    assert_eq!(all(events, "turn.completed").len(), all(events, "turn.started").len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_vendor_says_the_log_keeps_its_promises(
        lines in prop::collection::vec(any_line(), 0..40),
        early in 0usize..40,
    ) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(session(lines, early));
    }
}
