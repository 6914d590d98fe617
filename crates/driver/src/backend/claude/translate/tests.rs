//! The translator alone, message by message.

use serde_json::{Value, json};
use ulid::Ulid;

use super::{Effect, Settings, Translator};
use crate::backend::TurnOutcome;
use crate::event::{Body, ContentBlock, ItemKind, ItemStatus};

/// A translator with a turn that runs.
fn running() -> (Translator, Ulid) {
    let mut translator = Translator::new(true, "host", Settings::new("m", "default"));
    translator.process(None, None);
    let turn = Ulid::generate();
    assert!(translator.begin(turn));
    (translator, turn)
}

/// What each effect is, in short.
fn said(effects: &[Effect]) -> Vec<String> {
    effects.iter().filter_map(short).collect()
}

fn short(effect: &Effect) -> Option<String> {
    let text = |item: &crate::event::Item| {
        let content = match &item.kind {
            ItemKind::Message { content, .. } => crate::event::text_of(content),
            ItemKind::Reasoning { content, .. } => content.concat(),
            ItemKind::ToolCall { name, .. } => name.clone(),
            ItemKind::Other { kind, .. } => kind.clone(),
            _ => String::new(),
        };
        format!("{} {:?} {content}", item.item_id, item.status)
    };
    Some(match effect {
        Effect::Emit(draft) => match &draft.body {
            Body::ItemStarted { item } => format!("started {}", text(item)),
            Body::ItemCompleted { item } => format!("completed {}", text(item)),
            Body::ItemUpdated(patch) => {
                format!("updated {} {}", patch.item_id, Value::from(patch.patch.clone()))
            }
            Body::ItemDelta(delta) => format!("delta {} {}", delta.item_id, delta.delta),
            Body::ModelRequestStarted(_) | Body::ModelRequestCompleted(_) => return None,
            Body::DiagnosticReported(of) => format!("diagnostic {}", of.code),
            other => format!("{other:?}").split(['(', ' ']).next().unwrap_or_default().to_owned(),
        },
        Effect::Close(id, status) => format!("close {id} {status:?}"),
        Effect::Files(_, changes) => format!("files {}", changes[0].path),
        Effect::Resumable(session, total) => format!("resumable {session} {total:?}"),
        Effect::Interrupt => "interrupt".to_owned(),
        Effect::Ended(outcome) => format!("ended {outcome:?}").chars().take(15).collect(),
    })
}

fn event(event: Value) -> Value {
    json!({ "type": "stream_event", "event": event, "parent_tool_use_id": null })
}

fn message_start(id: &str) -> Value {
    event(json!({ "type": "message_start", "message": { "id": id, "usage": { "input_tokens": 1 } } }))
}

fn block_start(index: u64, block: Value) -> Value {
    event(json!({ "type": "content_block_start", "index": index, "content_block": block }))
}

fn whole(id: &str, block: Value) -> Value {
    json!({ "type": "assistant", "message": { "id": id, "content": [block] }, "parent_tool_use_id": null })
}

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

fn tool(id: &str, name: &str, input: Value) -> Value {
    json!({ "type": "tool_use", "id": id, "name": name, "input": input })
}

fn result(id: &str, content: Value, is_error: bool) -> Value {
    let result =
        json!({ "type": "tool_result", "tool_use_id": id, "content": content, "is_error": is_error });
    json!({ "type": "user", "message": { "content": [result] } })
}

fn all(translator: &mut Translator, messages: &[Value]) -> Vec<String> {
    messages.iter().flat_map(|message| said(&translator.message(message))).collect()
}

#[test]
fn whole_blocks_take_the_places_of_the_streamed_ones() {
    let (mut translator, _) = running();
    let said = all(
        &mut translator,
        &[
            message_start("m"),
            block_start(0, json!({ "type": "thinking", "thinking": "" })),
            whole("m", json!({ "type": "thinking", "thinking": "hm" })),
            block_start(1, text("")),
            event(
                json!({ "type": "content_block_delta", "index": 1, "delta": { "type": "text_delta", "text": "Hel" } }),
            ),
            whole("m", text("Hello")),
            event(json!({ "type": "message_stop" })),
            whole("n", text("again")),
        ],
    );
    assert_eq!(
        said,
        [
            "started m:0 Running ",
            "completed m:0 Completed hm",
            "started m:1 Running ",
            "delta m:1 Hel",
            "completed m:1 Completed Hello",
            "completed n:0 Completed again",
        ]
    );
}

#[test]
fn a_block_that_is_streamed_and_never_said_whole_does_not_shift_the_others() {
    let (mut translator, _) = running();
    let said = all(
        &mut translator,
        &[
            message_start("m"),
            block_start(0, text("")),
            block_start(1, tool("t", "Read", json!({}))),
            whole("m", tool("t", "Read", json!({ "file_path": "/a" }))),
            block_start(2, text("")),
            whole("m", text("after")),
            event(json!({ "type": "message_stop" })),
        ],
    );
    assert_eq!(said[3..], ["started m:2 Running ", "completed m:2 Completed after", "close m:0 Completed"]);
}

#[test]
fn a_message_that_is_begun_again_ends_what_was_cut_off() {
    let (mut translator, _) = running();
    let said = all(
        &mut translator,
        &[
            message_start("m"),
            block_start(0, text("")),
            block_start(1, tool("t", "Read", json!({}))),
            message_start("n"),
        ],
    );
    assert_eq!(said[2..], ["close m:0 Cancelled", "close t Cancelled"]);
}

#[test]
fn a_tool_is_completed_only_after_its_result() {
    let (mut translator, _) = running();
    let said = all(
        &mut translator,
        &[
            message_start("m"),
            block_start(0, tool("t", "Bash", json!({}))),
            whole("m", tool("t", "Bash", json!({ "command": "ls" }))),
            event(json!({ "type": "content_block_stop", "index": 0 })),
            event(json!({ "type": "message_stop" })),
            json!({ "type": "tool_progress", "tool_use_id": "t" }),
            json!({ "type": "tool_progress", "tool_use_id": "t" }),
            result("t", json!(""), false),
            result("t", json!("again"), false),
        ],
    );
    assert_eq!(
        said,
        [
            "started t Pending Bash",
            r#"updated t {"status":"pending","input":{"command":"ls"}}"#,
            r#"updated t {"status":"running"}"#,
            "completed t Completed Bash",
        ]
    );
}

#[test]
fn how_a_tool_ended_is_what_its_result_says() {
    let rejected = json!([{ "id": "t", "permission_decision": { "decision": "reject" } }]);
    let rule = json!([{ "id": "t", "non_execution_kind": "permission-rule" }]);
    for (is_error, meta, denied, unwanted, expected) in [
        (false, json!(null), false, false, ItemStatus::Completed),
        (true, json!(null), false, false, ItemStatus::Failed),
        (true, rejected.clone(), false, false, ItemStatus::Declined),
        (true, rule, false, false, ItemStatus::Declined),
        (
            true,
            json!([{ "id": "other", "permission_decision": { "decision": "reject" } }]),
            false,
            false,
            ItemStatus::Failed,
        ),
        (true, json!(7), true, false, ItemStatus::Declined),
        (true, rejected, false, true, ItemStatus::Cancelled),
        (false, json!(null), false, true, ItemStatus::Completed),
    ] {
        let (mut translator, turn) = running();
        translator.message(&whole("m", tool("t", "Bash", json!({}))));
        if denied {
            translator.denied("t");
        }
        if unwanted {
            translator.cancel(turn);
        }
        let mut line = result("t", json!([{ "type": "text", "text": "x" }]), is_error);
        line["tool_result_meta"] = meta.clone();
        let effects = translator.message(&line);
        let Some(Effect::Emit(draft)) = effects.last() else { panic!("{effects:?}") };
        let Body::ItemCompleted { item } = &draft.body else { panic!("{draft:?}") };
        assert_eq!(item.status, expected, "{is_error} {meta} {denied} {unwanted}");
        let ItemKind::ToolCall { output, is_error: error, .. } = &item.kind else { panic!("{item:?}") };
        assert_eq!(output.as_deref(), Some(&[ContentBlock::text("x")][..]));
        assert_eq!(*error, Some(is_error));
        let ran = matches!(expected, ItemStatus::Completed | ItemStatus::Failed);
        assert_eq!(effects.len(), if ran { 2 } else { 1 }, "it ran if it was not refused");
    }
}

#[test]
fn a_file_that_a_tool_wrote_is_reported() {
    let (mut translator, _) = running();
    translator.message(&json!({ "type": "system", "subtype": "init", "cwd": "/work" }));
    translator.message(&whole("m", tool("t", "Write", json!({ "file_path": "a.txt" }))));
    let said = said(&translator.message(&result("t", json!("ok"), false)));
    assert_eq!(said.last().map(String::as_str), Some("files /work/a.txt"));
}

#[test]
fn what_a_subagent_says_belongs_to_its_tool() {
    let (mut translator, _) = running();
    translator.message(&whole("m", tool("t", "Task", json!({}))));
    let mut line = whole("n", text("inner"));
    line["parent_tool_use_id"] = "t".into();
    let effects = translator.message(&line);
    let Some(Effect::Emit(draft)) = effects.first() else { panic!("{effects:?}") };
    let Body::ItemCompleted { item } = &draft.body else { panic!("{draft:?}") };
    assert_eq!((item.item_id.as_str(), item.parent_item_id.as_deref()), ("n:0", Some("t")));

    let mut without = Translator::new(false, "host", Settings::default());
    without.process(None, None);
    without.begin(Ulid::generate());
    assert!(said(&without.message(&line)).is_empty());
}

#[test]
fn subagents_may_stream_beside_the_main_message() {
    let (mut translator, _) = running();
    let of = |mut message: Value| {
        message["parent_tool_use_id"] = "t".into();
        message
    };
    let said = all(
        &mut translator,
        &[
            message_start("m"),
            of(message_start("n")),
            block_start(0, text("")),
            of(block_start(0, text(""))),
            of(whole("n", text("inner"))),
            whole("m", text("outer")),
            of(event(json!({ "type": "message_stop" }))),
            event(json!({ "type": "message_stop" })),
        ],
    );
    assert_eq!(
        said,
        [
            "started m:0 Running ",
            "started n:0 Running ",
            "completed n:0 Completed inner",
            "completed m:0 Completed outer",
        ]
    );
}

#[test]
fn ids_of_another_turn_are_not_used_again() {
    let (mut translator, first) = running();
    translator.message(&whole("m", text("one")));
    translator.message(&json!({ "type": "result", "subtype": "success" }));
    let second = Ulid::generate();
    assert_ne!(first, second);
    translator.begin(second);
    let said = said(&translator.message(&whole("m", text("two"))));
    assert_eq!(said, [format!("completed {second}:m:0 Completed two")]);
}

#[test]
fn a_turn_is_interrupted_once_it_has_begun() {
    let (mut translator, turn) = running();
    assert!(!translator.cancel(turn), "the vendor does not know of it yet");
    let init = json!({ "type": "system", "subtype": "init" });
    assert_eq!(translator.message(&init).iter().filter(|effect| **effect == Effect::Interrupt).count(), 1);
    assert!(!said(&translator.message(&init)).contains(&"interrupt".to_owned()));
    assert!(!translator.cancel(turn), "it was asked already");

    let (mut translator, turn) = running();
    translator.message(&init);
    assert!(translator.cancel(turn));
    assert!(!translator.cancel(turn));

    let next = Ulid::generate();
    translator.message(&json!({ "type": "result", "subtype": "success" }));
    assert!(!translator.cancel(next));
    assert!(!translator.begin(next), "it was cancelled before it was begun");
}

#[test]
fn a_session_that_is_not_known_is_lost_and_its_new_id_is_not_kept() {
    let mut translator = Translator::new(true, "host", Settings::default());
    translator.process(Some("old".to_owned()), None);
    translator.begin(Ulid::generate());
    let refused = json!({ "type": "result", "subtype": "error_during_execution", "is_error": true, "session_id": "new" });
    let effects = translator.message(&refused);
    let [Effect::Ended(TurnOutcome::Lost { error })] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(error.code, crate::error::RESUME_LOST);
    assert_eq!(translator.lost(), Some("old"));
}

#[test]
fn an_error_in_a_session_that_was_resumed_is_no_loss() {
    let mut translator = Translator::new(true, "host", Settings::default());
    translator.process(Some("old".to_owned()), None);
    translator.begin(Ulid::generate());
    translator.message(&json!({ "type": "system", "subtype": "init", "session_id": "old" }));
    let effects = translator.message(&json!({ "type": "result", "subtype": "error_during_execution" }));
    assert!(matches!(&effects[..], [Effect::Ended(TurnOutcome::Failed { .. })]), "{effects:?}");
    assert_eq!(translator.lost(), None);
}

#[test]
fn a_process_has_one_session() {
    let (mut translator, _) = running();
    let init = |id: &str| json!({ "type": "system", "subtype": "init", "session_id": id });
    assert_eq!(said(&translator.message(&init("a"))), ["resumable a None"]);
    assert!(said(&translator.message(&init("a"))).is_empty());
    assert_eq!(said(&translator.message(&init("b"))), ["diagnostic driver.vendor_message_ignored"]);
    translator.process(Some("a".to_owned()), None);
    assert_eq!(said(&translator.message(&init("b"))), ["resumable b None"]);
}

#[test]
fn a_server_that_cannot_be_used_is_told_once() {
    let (mut translator, _) = running();
    let mut told = |status: &str| {
        let servers =
            json!([{ "name": "maps", "status": status }, { "name": "fine", "status": "connected" }, 7]);
        said(&translator.message(&json!({ "type": "system", "subtype": "init", "mcp_servers": servers })))
    };
    assert_eq!(told("failed"), ["diagnostic mcp.server_unavailable"]);
    assert!(told("failed").is_empty());
    assert!(told("connected").is_empty());
    assert_eq!(told("needs-auth"), ["diagnostic mcp.server_unavailable"]);
}

#[test]
fn a_call_of_the_hosts_server_is_that_of_the_model() {
    let (mut translator, turn) = running();
    translator.message(&whole("m", tool("t1", "mcp__host__look", json!({ "a": 1 }))));
    translator.message(&whole("m", tool("t2", "mcp__host__look", json!({ "a": 2 }))));
    let input = |a: u64| json!({ "a": a }).as_object().cloned().unwrap_or_default();
    let mut taken = |id, a| {
        let (of, item, own, _) = translator.taken(id, "look", &input(a)).unwrap();
        assert_eq!(of, turn);
        (item, own)
    };
    assert_eq!(taken(None, 2), ("t2".to_owned(), false));
    assert_eq!(taken(Some("t1"), 9), ("t1".to_owned(), false));
    assert!(taken(None, 3).1, "there is no such call: it has an item of its own");
}

#[test]
fn any_value_anywhere_is_no_reason_to_panic() {
    let odd =
        [json!(null), json!(-1), json!(1e300), json!("x"), json!([[]]), json!({ "a": {} }), json!(u64::MAX)];
    let lines = [
        message_start("m"),
        block_start(0, tool("t", "Bash", json!({}))),
        event(
            json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": "a" } }),
        ),
        event(json!({ "type": "message_delta", "usage": {} })),
        whole("m", tool("t", "Bash", json!({}))),
        result("t", json!([{}]), true),
        json!({ "type": "system", "subtype": "init", "session_id": "s", "tools": [], "model": "m" }),
        json!({ "type": "result", "subtype": "success", "usage": {}, "total_cost_usd": 1.0,
            "modelUsage": {}, "model_usage_since_last_result": {}, "errors": [], "is_error": false }),
    ];
    fn paths(value: &Value, at: &str, found: &mut Vec<String>) {
        found.push(at.to_owned());
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(name, value)| paths(value, &format!("{at}/{name}"), found));
            }
            Value::Array(all) => {
                all.iter().enumerate().for_each(|(n, value)| paths(value, &format!("{at}/{n}"), found));
            }
            _ => {}
        }
    }
    for broken in 0..lines.len() {
        let mut places = Vec::new();
        paths(&lines[broken], "", &mut places);
        for place in places {
            for value in &odd {
                let (mut translator, _) = running();
                let mut ends = 0;
                for (n, line) in lines.iter().enumerate() {
                    let mut line = line.clone();
                    if n == broken
                        && let Some(member) = line.pointer_mut(&place)
                    {
                        *member = value.clone();
                    }
                    let effects = translator.message(&line);
                    ends += effects.iter().filter(|effect| matches!(effect, Effect::Ended(_))).count();
                }
                assert!(ends <= 1);
            }
        }
    }
}
