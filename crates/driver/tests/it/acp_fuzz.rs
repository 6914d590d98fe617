//! An ACP agent that sends anything: any JSON, and recorded messages with pieces changed. Nothing panics, and every log is in
//! order.

use agentos_driver::StartInput;
use agentos_driver::event::TurnStatus;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::acp_agent::{SESSION, execution, of_kind, start};
use super::acp_recordings::recording;

/// Any JSON, with names and values that the protocol uses.
fn anything() -> impl Strategy<Value = Value> {
    let names = "(sessionUpdate|update|sessionId|content|toolCallId|toolCall|options|status|type|text|_meta|cost|amount|x)";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        Just(json!(u64::MAX)),
        "(tool_call|tool_call_update|plan|usage_update|completed|in_progress|failed|s1|c1|text|[a-z\\x00-\\x1f€]{0,6})"
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(names, inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Puts a value at some place of another.
fn put(at: &mut Value, path: &[usize], new: &Value) {
    let Some((first, rest)) = path.split_first() else {
        at.clone_from(new);
        return;
    };
    match at {
        Value::Object(members) if !members.is_empty() => {
            let n = first % members.len();
            if let Some(member) = members.values_mut().nth(n) {
                put(member, rest, new);
            }
        }
        Value::Array(all) if !all.is_empty() => {
            let n = first % all.len();
            put(&mut all[n], rest, new);
        }
        other => other.clone_from(new),
    }
}

/// The messages of all recorded agents, as if they were of the session here.
fn recorded() -> Vec<Value> {
    let all = ["bash-tool-call", "permission-allow", "cancel"].into_iter().flat_map(recording);
    let mut messages: Vec<Value> = all.filter(|line| line.of_agent).map(|line| line.message).collect();
    for message in &mut messages {
        if message["params"]["sessionId"].is_string() {
            message["params"]["sessionId"] = SESSION.into();
        }
    }
    messages
}

/// A message that an agent could send.
fn message() -> impl Strategy<Value = Value> {
    let recorded = recorded();
    let changed = (
        prop::sample::select(recorded),
        prop::option::of((prop::collection::vec(any::<usize>(), 0..7), anything())),
    )
        .prop_map(|(mut message, change)| {
            if let Some((path, new)) = change {
                put(&mut message, &path, &new);
            }
            message
        });
    let update = anything().prop_map(|update| {
        json!({"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": SESSION, "update": update}})
    });
    let kinds = "(tool_call|tool_call_update|plan|usage_update|agent_message_chunk|agent_thought_chunk|compaction_update\
        |config_option_update|available_commands_update|notice|current_mode_update)";
    let of_kind = (kinds, prop::collection::btree_map("(toolCallId|content|status|entries|cost|messageId|rawInput|_meta|locations|compactionId)", anything(), 0..5))
        .prop_map(|(kind, members)| {
            let mut update = Value::Object(members.into_iter().collect());
            update["sessionUpdate"] = kind.into();
            json!({"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": SESSION, "update": update}})
        });
    let methods = "(session/request_permission|elicitation/create|fs/read_text_file|x)";
    let request = (any::<u16>(), methods, anything()).prop_map(|(id, method, mut params)| {
        if params.is_object() {
            params["sessionId"] = SESSION.into();
        }
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
    });
    prop_oneof![3 => changed, 2 => update, 3 => of_kind, 1 => request, 1 => anything()]
}

async fn turn(messages: Vec<Value>) {
    let mut rig = start(StartInput::new(execution()), move |mut agent| {
        let messages = messages.clone();
        async move {
            agent.open(json!({})).await;
            let prompt = agent.expect("session/prompt").await;
            for message in messages {
                agent.side.send(message).await;
            }
            agent.end_turn(&prompt).await;
            agent.rest().await
        }
    })
    .await;
    let end = rig.turn("go").await;
    // A message may have been an answer to the prompt.
    assert!(end.status != TurnStatus::Failed || end.error.is_some());
    assert_eq!(rig.launcher.launched().len(), 1);
    let events = rig.stop().await;
    assert_eq!(of_kind(&events, "turn.completed").len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_agent_that_sends_anything_leaves_a_log_in_order(messages in prop::collection::vec(message(), 0..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(turn(messages));
    }
}
