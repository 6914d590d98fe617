//! Recordings that were written by hand, each for something that the recordings of real vendors do not show: what comes of
//! every turn of them, and what the backend said otherwise than their hosts.

use agentos_driver::Runtime;
use agentos_driver::backend::registry;
use agentos_driver::event::{Body, Event};
use agentos_driver::testing::{Entry, Recording, replay};
use serde_json::{Value, json};

use crate::golden::{data, holds, played};

/// Recordings, what comes of their turns, and what the backend did otherwise.
const MADE: &[(&str, &[&str], &[&str])] = &[
    (
        "acp-cancel-answered-first",
        &["cancelled cancelled: <cancelled>, command cancelled; ", "completed end_turn: message completed; "],
        &[],
    ),
    (
        "acp-cancel-asking",
        &["cancelled cancelled: <cancelled>, command failed; ", "completed end_turn: message completed; "],
        &[],
    ),
    (
        "acp-cancel-error",
        &["cancelled cancelled: command cancelled; ", "completed end_turn: message completed; "],
        &[],
    ),
    ("acp-client-served", &["completed end_turn: command completed, message completed; "], &[]),
    ("acp-deny", &["completed end_turn: <selected>, command declined, message completed; "], &[]),
    ("acp-dismissed", &["completed end_turn: <selected>, command declined, message completed; "], &[]),
    ("acp-load", &["completed end_turn: message completed; "], &[]),
    (
        "acp-login-and-question",
        &[r#"completed end_turn: <{"type":"answered","answers":{"colour":"blue"}}>, message completed; "#],
        &[],
    ),
    (
        "acp-permission-first",
        &["completed end_turn: <selected>, command completed, message completed; "],
        &[],
    ),
    (
        "acp-plan-and-cost",
        &[
            "completed end_turn: message completed, plan completed; 0+0 $0.500000",
            "completed end_turn: message completed; 0+0 $0.250000",
        ],
        &[],
    ),
    (
        "acp-prompt-error",
        &["failed error acp.turn_failed: message completed; ", "completed end_turn: message completed; "],
        &[],
    ),
    (
        "acp-refusal-and-late",
        &[
            "completed refusal: command failed; ",
            "failed max_turns acp.max_turn_requests: reasoning completed, message completed, message completed; ",
        ],
        &[],
    ),
    (
        "acp-two-permissions",
        &[
            "completed end_turn: <selected>, command declined, <selected>, command completed, message completed; ",
        ],
        &[],
    ),
    (
        "acp-two-processes",
        &["completed end_turn: message completed; ", "completed end_turn: message completed; "],
        &[],
    ),
    (
        "acp-unended",
        &["completed end_turn: message completed; ", "failed error driver.backend_exited: message failed; "],
        &[],
    ),
    ("claude-cost-per-model", &["completed end_turn: message completed; 12+9 $0.375000"], &[]),
    (
        "claude-deny-and-stop",
        &[
            "cancelled cancelled: <selected>, tool_call cancelled; 12+9 $0.000100",
            "completed end_turn: message completed; 12+9 $0.000100",
        ],
        &[],
    ),
    (
        "claude-hooks",
        &["completed end_turn: <selected>, tool_call completed, message completed; 12+9 $0.000200"],
        &[],
    ),
    ("claude-host-controls", &["completed end_turn: message completed; 12+9 $0.000100"], &[]),
    (
        "claude-host-server",
        &["completed end_turn: tool_call completed, message completed; 12+9 $0.000200"],
        &[],
    ),
    (
        "claude-interrupt-asking",
        &[
            "cancelled cancelled: <cancelled>, tool_call cancelled; 12+9 $0.000100",
            "completed end_turn: message completed; 12+9 $0.000200",
        ],
        &[],
    ),
    (
        "claude-interrupt-idle",
        &[
            "completed end_turn: message completed; 12+9 $0.000100",
            "completed end_turn: message completed; 12+9 $0.000100",
        ],
        &[],
    ),
    (
        "claude-interrupt-streaming",
        &[
            "cancelled cancelled: message cancelled; 12+9 $0.000100",
            "completed end_turn: message completed; 12+9 $0.000100",
        ],
        &[],
    ),
    (
        "claude-interrupt-twice",
        &[
            "cancelled cancelled: message cancelled; 12+9 $0.000100",
            "completed end_turn: message completed; 12+9 $0.000100",
        ],
        &[],
    ),
    (
        "claude-many-tools",
        &[
            "completed end_turn: <selected>, <cancelled>, <selected>, tool_call declined, tool_call completed, tool_call failed, message completed; 12+9 $0.000200",
        ],
        &[],
    ),
    (
        "claude-max-turns",
        &[
            "failed max_turns claude.error_max_turns: tool_call completed; 12+9 $0.000400",
            "completed end_turn: message completed; 12+9 $0.000200",
        ],
        &[],
    ),
    (
        "claude-merged-input",
        &["completed end_turn: message completed; 12+9 $0.000100"],
        &["left out: input of which the vendor made no turn"],
    ),
    (
        "claude-model-error",
        &[
            "failed error claude.api_error: message completed; 0+0 $0.000000",
            "completed end_turn: message completed; 12+9 $0.000200",
        ],
        &[],
    ),
    ("claude-no-initialize", &["completed end_turn: message completed; 12+9 $0.000100"], &[]),
    (
        "claude-no-partial",
        &[
            "completed end_turn: reasoning completed, message completed, <selected>, tool_call completed, message completed; 12+9 $0.000200",
        ],
        &[],
    ),
    (
        "claude-question",
        &[
            r#"completed end_turn: <{"type":"answered","answers":{"q0":"blue"}}>, tool_call completed, message completed; 12+9 $0.000200"#,
        ],
        &[],
    ),
    (
        "claude-queued-input",
        &[
            "completed end_turn: message completed; 12+9 $0.000100",
            "completed end_turn: message completed; 12+9 $0.000200",
        ],
        &[],
    ),
    (
        "claude-result-cost-falls",
        &[
            "completed end_turn: message completed; 12+9",
            "completed end_turn: message completed; 12+9 $0.200000",
            "completed end_turn: message completed; 12+9",
            "completed end_turn: message completed; 12+9 $0.100000",
        ],
        &[],
    ),
    (
        "claude-resumed",
        &[
            "completed end_turn: message completed; 12+9 $0.000171",
            "completed end_turn: message completed; 12+9 $0.000342",
            "completed end_turn: message completed; 12+9 $0.000342",
            "completed end_turn: message completed; 12+9 $0.000342",
        ],
        &[],
    ),
    (
        "claude-subagent",
        &[
            "completed end_turn: <selected>, tool_call completed, message completed, tool_call completed, message completed; 12+9 $0.000200",
        ],
        &[],
    ),
    (
        "claude-three-turns",
        &[
            "completed end_turn: message completed; 12+9 $0.000171",
            "completed end_turn: message completed; 12+9 $0.000342",
            "completed end_turn: message completed; 12+9 $0.000342",
        ],
        &[],
    ),
    (
        "claude-tool-denied",
        &["completed end_turn: <selected>, tool_call declined, message completed; 12+9 $0.000200"],
        &[],
    ),
    (
        "claude-unended",
        &[
            "completed end_turn: message completed; 12+9 $0.000100",
            "failed error driver.backend_exited: tool_call failed; ",
        ],
        &[],
    ),
    (
        "claude-vendor-dies",
        &[
            "failed error driver.backend_exited: tool_call failed; ",
            "completed end_turn: message completed; 12+9 $0.000900",
        ],
        &[],
    ),
    (
        "codex-accept-for-session",
        &["completed end_turn: <selected>, command completed, message completed; 22+14"],
        &[],
    ),
    (
        "codex-cancel-decision",
        &[
            "cancelled cancelled: <selected>, command declined; ",
            "completed end_turn: message completed; 11+7",
        ],
        &[],
    ),
    ("codex-decline", &["completed end_turn: <selected>, command declined, message completed; 11+7"], &[]),
    ("codex-early", &["completed end_turn: message completed; 11+7"], &[]),
    (
        "codex-error",
        &["failed error openai.turn_failed: ; ", "completed end_turn: message completed; 11+7"],
        &[],
    ),
    (
        "codex-file-change",
        &["completed end_turn: <selected>, file_change completed, message completed; 11+7"],
        &[],
    ),
    (
        "codex-host-requests",
        &["completed end_turn: message completed; 11+7", "completed end_turn: message completed; 11+7"],
        &[],
    ),
    ("codex-interrupt-asking", &["cancelled cancelled: <cancelled>, command cancelled; 11+7"], &[]),
    (
        "codex-interrupt-then-turn",
        &[
            "cancelled cancelled: <cancelled>, command cancelled; 11+7",
            "completed end_turn: message completed; 11+7",
        ],
        &[],
    ),
    (
        "codex-interrupt-too-late",
        &["completed end_turn: message completed; ", "completed end_turn: message completed; 11+7"],
        &[],
    ),
    (
        "codex-questions",
        &[
            r#"completed end_turn: <{"type":"answered","answers":{"q1":{"answers":["red"]}}}>, <selected>, <{"type":"answered","answers":{"a":"b"}}>, <selected>, command completed, message completed; 11+7"#,
        ],
        &[],
    ),
    ("codex-resume", &["completed end_turn: message completed; 11+7"], &[]),
    ("codex-steer", &["completed end_turn: message completed; 11+7"], &[]),
    (
        "codex-turn-refused",
        &["failed error openai.turn_failed: ; ", "completed end_turn: message completed; 11+7"],
        &[],
    ),
    (
        "codex-two-approvals",
        &[
            "completed end_turn: <selected>, command declined, <selected>, command completed, message completed; 11+7",
        ],
        &[],
    ),
    (
        "codex-two-processes",
        &["completed end_turn: message completed; 11+7", "completed end_turn: message completed; 11+7"],
        &[],
    ),
    (
        "codex-unended",
        &[
            "completed end_turn: message completed; 11+7",
            "failed error driver.backend_exited: message failed; ",
        ],
        &[],
    ),
];

fn made(name: &str) -> Recording {
    Recording::parse(&std::fs::read_to_string(data(&format!("made/{name}.jsonl"))).unwrap()).unwrap()
}

fn word(value: &Value, path: &str) -> String {
    value.pointer(path).and_then(Value::as_str).unwrap_or("-").to_owned()
}

/// A line for each turn: how it ended, its items as they ended, what was decided, tokens in and out, cost.
fn turns(events: &[Event]) -> Vec<String> {
    let (mut lines, mut parts, mut usage) = (Vec::new(), Vec::new(), String::new());
    for event in events {
        let body = serde_json::to_value(&event.body).unwrap();
        match &event.body {
            Body::ItemCompleted { .. } => {
                parts.push(format!(
                    "{} {}",
                    word(&body, "/payload/item/kind"),
                    word(&body, "/payload/item/status")
                ));
            }
            Body::PermissionResolved(_) => parts.push(format!("<{}>", word(&body, "/payload/outcome"))),
            Body::InputResolved(_) => parts.push(format!("<{}>", body["payload"]["outcome"])),
            Body::UsageUpdated(of) => {
                let cost = of.cost_amount.map(|cost| format!(" ${cost:.6}")).unwrap_or_default();
                usage = format!("{}+{}{cost}", of.input_tokens, of.output_tokens);
            }
            Body::TurnCompleted(end) => {
                let code = end.error.as_ref().map(|error| format!(" {}", error.code)).unwrap_or_default();
                let how = format!("{}{code}", word(&body, "/payload/stopReason"));
                let status = word(&body, "/payload/status");
                lines.push(format!("{status} {how}: {}; {}", parts.join(", "), std::mem::take(&mut usage)));
                parts.clear();
            }
            _ => {}
        }
    }
    lines
}

#[tokio::test(start_paused = true)]
async fn of_every_recording_comes_what_it_shows() {
    for (name, expected, differences) in MADE {
        let replayed = played(&made(name)).await;
        assert_eq!(turns(&replayed.events), *expected, "{name}");
        assert_eq!(replayed.differences, *differences, "{name}");
        holds(&replayed.events);
    }
}

#[test]
fn every_recording_is_in_the_table() {
    let files = std::fs::read_dir(data("made")).unwrap();
    let mut names: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let table: Vec<String> = MADE.iter().map(|(name, ..)| format!("{name}.jsonl")).collect();
    assert_eq!(names, table);
}

#[tokio::test(start_paused = true)]
async fn cut_anywhere_they_give_a_log_that_holds() {
    for (name, ..) in MADE {
        let whole = made(name);
        for cut in 1..whole.entries.len() {
            let mut cut_off = whole.clone();
            cut_off.entries.truncate(cut);
            let replayed = played(&cut_off).await;
            holds(&replayed.events);
            let begun = replayed.events.iter().filter(|event| matches!(event.body, Body::TurnStarted { .. }));
            assert_eq!(begun.count(), turns(&replayed.events).len(), "{name}, {cut}");
        }
    }
}

/// Adds members that no vendor sends to a message and to its parts, but not to what a tool was given: that is shown as it is.
fn stranger(message: &mut Value) {
    const PARTS: [&str; 11] = [
        "",
        "/event",
        "/event/delta",
        "/event/message",
        "/message",
        "/params",
        "/params/item",
        "/params/turn",
        "/params/update",
        "/params/tokenUsage/last",
        "/request",
    ];
    for part in PARTS {
        if let Some(Value::Object(members)) = message.pointer_mut(part) {
            members.insert("zzStranger".to_owned(), json!({"type": "zz", "method": "zz", "id": [1, null]}));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn members_that_nobody_knows_change_nothing() {
    for (name, expected, _) in MADE {
        let mut recording = made(name);
        for entry in &mut recording.entries {
            if let Entry::Vendor(message) = entry {
                stranger(message);
            }
        }
        assert_eq!(turns(&played(&recording).await.events), *expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_nobody_knows_change_nothing() {
    let registry = registry();
    for (name, expected, _) in MADE {
        let mut recording = made(name);
        let unknown = match recording.runtime {
            Runtime::Claude => json!({"type": "brand_new", "subtype": "x"}),
            Runtime::OpenAi => json!({"method": "brand/new", "params": {"threadId": "T-1"}}),
            Runtime::Acp => json!({"jsonrpc": "2.0", "method": "brand/new", "params": {"sessionId": "A-1"}}),
        };
        let entries = std::mem::take(&mut recording.entries).into_iter();
        recording.entries = entries
            .flat_map(|entry| match entry {
                Entry::Vendor(_) => vec![Entry::Vendor(unknown.clone()), entry],
                _ => vec![entry],
            })
            .collect();
        let descriptor = registry.descriptors().find(|d| d.runtime == recording.runtime).unwrap().clone();
        let replayed = replay(&recording, descriptor, |_| {}).await.unwrap();
        assert_eq!(turns(&replayed.events), *expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_begins_in_the_middle_is_an_error() {
    let registry = registry();
    for name in ["codex-decline", "acp-deny"] {
        let mut recording = made(name);
        recording.entries.drain(..4);
        let descriptor = registry.descriptors().find(|d| d.runtime == recording.runtime).unwrap().clone();
        let error = replay(&recording, descriptor, |_| {}).await.unwrap_err();
        assert_eq!(error.code, "recording.incomplete", "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_chunks_are_one_message() {
    for (name, needle) in [
        ("acp-unended", "agent_message_chunk"),
        ("claude-three-turns", "text_delta"),
        ("codex-early", "/delta"),
    ] {
        let mut recording = made(name);
        let at = recording.entries.iter().position(
            |entry| matches!(entry, Entry::Vendor(message) if message.to_string().contains(needle)),
        );
        let (at, chunk) = (at.unwrap(), recording.entries[at.unwrap()].clone());
        recording.entries.splice(at..at, std::iter::repeat_n(chunk, 10_000));
        let replayed = played(&recording).await;
        holds(&replayed.events);
        assert!(turns(&replayed.events)[0].contains("message completed"), "{name}");
        assert!(replayed.differences.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_turn_is_lost_where_all_runs_at_once() {
    // Of these a vendor that goes away is waited for by the clock.
    let ended = || MADE.iter().filter(|(name, ..)| !name.ends_with("-unended"));
    for _ in 0..5 {
        for (name, expected, _) in ended() {
            let replayed = played(&made(name)).await;
            assert_eq!(turns(&replayed.events).len(), expected.len(), "{name}");
        }
    }
}
