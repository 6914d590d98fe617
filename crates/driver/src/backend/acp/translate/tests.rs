//! Updates as an agent sends them, and what becomes of them.

use serde_json::json;

use super::tools::NoTerminals;
use super::*;
use crate::event::FileChange;

fn translator() -> (Translator, Ulid) {
    let mut translator = Translator::new("s", "/w", Some(0.0));
    let turn = Ulid::generate();
    translator.begin_turn(turn);
    (translator, turn)
}

/// The events of some updates, as JSON of kind and payload.
fn events(translator: &mut Translator, updates: &[Value]) -> Vec<Value> {
    let steps = updates.iter().flat_map(|update| translator.update(update, &NoTerminals)).collect::<Vec<_>>();
    shown(&steps)
}

fn shown(steps: &[Step]) -> Vec<Value> {
    let of = |step: &Step| match step {
        Step::Emit(draft) => serde_json::to_value(&draft.body).unwrap(),
        Step::Changed(_, changes) => json!({"changed": changes}),
        Step::Cost(total) => json!({"cost": total}),
    };
    steps.iter().map(of).collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["kind"].as_str().unwrap_or("step")).collect()
}

#[test]
fn a_command_is_a_tool_of_kind_execute_with_a_line() {
    let (mut of, turn) = translator();
    let seen = events(
        &mut of,
        &[
            json!({"sessionUpdate": "tool_call", "toolCallId": "c", "title": "Run ls", "kind": "execute",
                "status": "pending", "rawInput": {"command": "ls", "cwd": "/tmp"}}),
            json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "status": "in_progress", "title": null}),
            json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "status": "completed",
                "content": [{"type": "content", "content": {"type": "text", "text": "a b"}}], "rawOutput": {"exitCode": 0}}),
            json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "status": "in_progress"}),
        ],
    );
    assert_eq!(kinds(&seen), ["item.started", "item.started", "item.completed"]);
    let item = &seen[2]["payload"]["item"];
    assert_eq!(
        (&item["kind"], &item["command"], &item["cwd"]),
        (&json!("command"), &json!("ls"), &json!("/tmp"))
    );
    assert_eq!((&item["output"], &item["exitCode"]), (&json!("a b"), &json!(0)));
    assert_eq!(item["itemId"], json!(format!("{turn}:c")));
    assert_eq!(
        (&seen[0]["payload"]["item"]["status"], &seen[1]["payload"]["item"]["status"]),
        (&json!("pending"), &json!("running"))
    );
}

#[test]
fn an_agent_with_a_terminal_of_its_own_writes_into_its_command() {
    let (mut of, _) = translator();
    let seen = events(
        &mut of,
        &[
            json!({"sessionUpdate": "tool_call", "toolCallId": "c", "title": "echo hi", "kind": "execute",
                "content": [{"type": "terminal", "terminalId": "c"}], "_meta": {"terminal_info": {"cwd": "/x"}}}),
            json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "status": "in_progress",
                "_meta": {"terminal_output": {"data": "hi\n"}}}),
            json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "status": "completed",
                "_meta": {"terminal_exit": {"exit_code": 7}}}),
        ],
    );
    assert_eq!(kinds(&seen), ["item.started", "item.delta", "item.started", "item.completed"]);
    assert_eq!(
        (&seen[1]["payload"]["stream"], &seen[1]["payload"]["delta"]),
        (&json!("output"), &json!("hi\n"))
    );
    let item = &seen[3]["payload"]["item"];
    assert_eq!(
        (&item["command"], &item["output"], &item["exitCode"]),
        (&json!("echo hi"), &json!("hi\n"), &json!(7))
    );
}

#[test]
fn the_first_mention_begins_a_call_whatever_it_is() {
    let (mut of, turn) = translator();
    let early = json!({"sessionUpdate": "tool_call_update", "toolCallId": "a", "status": "in_progress", "title": "T",
        "rawInput": [1], "locations": [{"path": "/f", "line": 3}, 9]});
    let seen = events(&mut of, &[early]);
    let item = &seen[0]["payload"]["item"];
    assert_eq!(
        (&item["status"], &item["name"], &item["input"]),
        (&json!("running"), &json!("T"), &json!({"value": [1]}))
    );
    assert_eq!(item["locations"], json!([{"path": "/f", "line": 3}]));
    let (steps, id) = of.permission(&json!({"toolCallId": "b", "title": "Write"}), &NoTerminals);
    assert_eq!((kinds(&shown(&steps)), id), (vec!["item.started"], Some(format!("{turn}:b"))));
    let (steps, id) = of.permission(&json!({"toolCallId": "pi-ui-1", "title": "Sure?"}), &NoTerminals);
    assert!(steps.is_empty() && id.is_none());
    // Refused and never heard of again.
    of.declined("b");
    let end = shown(&of.end_turn(None, &NoTerminals));
    assert_eq!(end.len(), 1);
    assert_eq!(end[0]["payload"]["item"]["status"], json!("declined"));
}

#[test]
fn a_refused_call_that_fails_is_declined() {
    let (mut of, _) = translator();
    events(&mut of, &[json!({"sessionUpdate": "tool_call", "toolCallId": "a", "title": "T"})]);
    of.declined("a");
    let seen = events(
        &mut of,
        &[json!({"sessionUpdate": "tool_call_update", "toolCallId": "a", "status": "failed"})],
    );
    assert_eq!(seen[0]["payload"]["item"]["status"], json!("declined"));
}

#[test]
fn a_diff_of_a_completed_call_is_a_changed_file() {
    let (mut of, turn) = translator();
    let diff = json!([{"type": "diff", "path": "/w/a", "newText": "x"}, {"type": "diff"}, 3]);
    let of_status = |id: &str, status: &str| json!({"sessionUpdate": "tool_call", "toolCallId": id, "kind": "edit", "status": status, "content": diff});
    let steps = of.update(&of_status("a", "completed"), &NoTerminals);
    let Some(Step::Changed(of_turn, changes)) = steps.last() else { panic!("{steps:?}") };
    assert_eq!((*of_turn, changes.len(), changes[0].change), (turn, 1, FileChange::Upsert));
    for (id, status) in [("b", "failed"), ("c", "in_progress")] {
        let steps = of.update(&of_status(id, status), &NoTerminals);
        assert!(!steps.iter().any(|step| matches!(step, Step::Changed(..))), "{status}");
    }
}

#[test]
fn a_plan_is_replaced_and_ends_what_was_being_said() {
    let (mut of, _) = translator();
    let chunk = json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "a"}});
    let plan = |content: &str| json!({"sessionUpdate": "plan", "entries": [{"content": content, "priority": "high", "status": "pending"}, 3]});
    let seen = events(&mut of, &[chunk.clone(), plan("x"), plan("y"), chunk]);
    let expected = [
        "item.started",
        "item.delta",
        "item.completed",
        "item.started",
        "item.started",
        "item.started",
        "item.delta",
    ];
    assert_eq!(kinds(&seen), expected);
    assert_eq!(
        seen[4]["payload"]["item"]["entries"],
        json!([{"content": "y", "priority": "high", "status": "pending"}])
    );
}

#[test]
fn usage_is_of_the_turn_and_cost_a_difference() {
    let (mut of, _) = translator();
    let usage = |amount: f64| json!({"sessionUpdate": "usage_update", "used": 5, "size": 100, "cost": {"amount": amount, "currency": "USD"}});
    let seen = events(&mut of, &[usage(0.5), usage(0.75)]);
    assert_eq!(
        (&seen[1]["payload"]["costAmount"], &seen[1]["payload"]["contextWindow"]),
        (&json!(0.75), &json!(100))
    );
    let result =
        json!({"usage": {"inputTokens": 10, "outputTokens": 2, "cachedReadTokens": 4, "totalTokens": 12}});
    let end = shown(&of.end_turn(Some(&result), &NoTerminals));
    assert_eq!(
        (&end[0]["payload"]["inputTokens"], &end[0]["payload"]["basis"]),
        (&json!(10), &json!("inclusive"))
    );
    assert_eq!(end[1], json!({"cost": 0.75}));
    of.begin_turn(Ulid::generate());
    let seen = events(&mut of, &[usage(1.0), usage(0.25)]);
    assert_eq!(seen[0]["payload"]["costAmount"], json!(0.25));
    assert_eq!(seen[1]["payload"]["code"], json!("acp.cost_reset"));
    assert_eq!(seen[2]["payload"].get("costAmount"), None);
}

#[test]
fn compactions_notices_and_states_of_the_session() {
    let (mut of, _) = translator();
    let seen = events(
        &mut of,
        &[
            json!({"sessionUpdate": "compaction_update", "compactionId": "k", "status": "in_progress"}),
            json!({"sessionUpdate": "compaction_update", "compactionId": "k", "status": "completed", "summary": []}),
            json!({"sessionUpdate": "notice", "severity": "warning", "title": "slow\u{1b}[2J"}),
            json!({"sessionUpdate": "available_commands_update", "availableCommands": [{"name": "go"}, 7]}),
            json!({"sessionUpdate": "current_mode_update", "currentModeId": "plan"}),
            json!({"sessionUpdate": "config_option_update", "configOptions": [{"id": "a", "currentValue": true}]}),
            json!({"sessionUpdate": "session_info_update", "title": "T"}),
            json!({"sessionUpdate": "session_info_update", "_meta": {}}),
            json!({"sessionUpdate": "user_message_chunk", "content": {"type": "text", "text": "me"}}),
            json!({"sessionUpdate": "x_new", "secret": 1}),
            json!({"sessionUpdate": 7}),
        ],
    );
    let expected = [
        "item.started",
        "item.completed",
        "diagnostic.reported",
        "session.commands.updated",
        "session.config.updated",
        "session.config.updated",
        "session.info.updated",
        "diagnostic.reported",
        "diagnostic.reported",
    ];
    assert_eq!(kinds(&seen), expected);
    assert_eq!(seen[0]["payload"]["item"]["kind"], json!("x_compaction"));
    assert_eq!(
        (&seen[2]["payload"]["severity"], &seen[2]["payload"]["message"]),
        (&json!("warn"), &json!("slow [2J"))
    );
    assert!(!seen[7].to_string().contains("secret"));
}

#[test]
fn history_and_what_comes_between_turns_are_no_part_of_a_turn() {
    let mut of = Translator::new("s", "/w", None);
    of.replaying = true;
    let chunk = json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "old"}});
    let tool = json!({"sessionUpdate": "tool_call", "toolCallId": "a", "title": "T"});
    let commands = json!({"sessionUpdate": "available_commands_update", "availableCommands": []});
    let seen = events(&mut of, &[chunk.clone(), tool.clone(), commands]);
    assert_eq!(kinds(&seen), ["session.commands.updated"]);
    of.opened(&json!({}));
    let seen = events(&mut of, &[chunk, tool]);
    assert_eq!(kinds(&seen), ["diagnostic.reported", "diagnostic.reported"]);
    assert!(!seen[0].to_string().contains("old"));
}

#[test]
fn each_stop_reason_has_its_outcome() {
    let of = |reason: Value| outcome(&json!({"stopReason": reason}));
    assert_eq!(of(json!("end_turn")), TurnOutcome::Completed { stop_reason: StopReason::EndTurn });
    assert_eq!(of(json!("max_tokens")), TurnOutcome::Completed { stop_reason: StopReason::MaxTokens });
    assert_eq!(of(json!("refusal")), TurnOutcome::Completed { stop_reason: StopReason::Refusal });
    assert_eq!(of(json!("sunset")), TurnOutcome::Completed { stop_reason: StopReason::EndTurn });
    assert_eq!(of(json!("cancelled")), TurnOutcome::Cancelled);
    assert!(matches!(
        of(json!("max_turn_requests")),
        TurnOutcome::Failed { stop_reason: StopReason::MaxTurns, .. }
    ));
    assert!(matches!(of(json!(3)), TurnOutcome::Failed { stop_reason: StopReason::Error, .. }));
}

#[test]
fn calls_that_are_left_open_cannot_fill_the_memory() {
    let (mut of, _) = translator();
    let large = "x".repeat(8 << 20);
    for n in 0..20 {
        let update =
            json!({"sessionUpdate": "tool_call", "toolCallId": n.to_string(), "rawInput": {"text": large}});
        let seen = events(&mut of, &[update]);
        let kept = seen[0]["payload"]["item"]["input"].get("text").is_some();
        assert_eq!(kept, n < 7, "{n}");
    }
    // One that ends makes room.
    events(
        &mut of,
        &[json!({"sessionUpdate": "tool_call_update", "toolCallId": "0", "status": "completed"})],
    );
    let seen = events(
        &mut of,
        &[json!({"sessionUpdate": "tool_call", "toolCallId": "new", "rawInput": {"text": large}})],
    );
    assert!(seen[0]["payload"]["item"]["input"].get("text").is_some());
}
