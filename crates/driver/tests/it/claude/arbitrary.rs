//! A vendor that says anything: no panic, and every log is whole.

use std::sync::Arc;

use agentos_driver::command::Decision;
use agentos_driver::event::Body;
use agentos_driver::{StartInput, State};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::play::{DONE, check, execution, prompt, ready, start_with};
use super::recording::recording;

/// Any value, not too deep.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z_]{0,8}".prop_map(Value::from),
        prop_oneof![Just("text"), Just("tool_use"), Just("tool_result"), Just("m"), Just("t")]
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// The name of a member: one that means something, or none.
fn name() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "type",
        "subtype",
        "message",
        "content",
        "event",
        "index",
        "delta",
        "id",
        "request_id",
        "request",
        "tool_use_id",
        "parent_tool_use_id",
        "session_id",
        "usage",
        "text",
        "input",
        "name",
        "response",
    ]);
    prop_oneof![known.prop_map(str::to_owned), "[a-z]{1,4}"]
}

/// How a line is changed.
#[derive(Clone, Debug)]
enum Change {
    /// As it is.
    Same,
    /// Left out.
    Missing,
    /// Said twice.
    Twice,
    /// A member somewhere is another.
    Member(usize, Value),
    /// Something else altogether.
    Other(Value),
    /// Not even JSON.
    Text(String),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => Just(Change::Same),
        1 => Just(Change::Missing),
        1 => Just(Change::Twice),
        3 => (any::<usize>(), value()).prop_map(|(place, value)| Change::Member(place, value)),
        1 => value().prop_map(Change::Other),
        1 => "[ -~]{0,40}".prop_map(Change::Text),
    ]
}

fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), found));
        }
        Value::Array(all) => {
            all.iter().enumerate().for_each(|(n, value)| places(value, &format!("{at}/{n}"), found));
        }
        _ => {}
    }
}

/// What is sent instead of a line.
fn changed(line: &Value, change: &Change) -> Vec<String> {
    match change {
        Change::Same => vec![line.to_string()],
        Change::Missing => Vec::new(),
        Change::Twice => vec![line.to_string(), line.to_string()],
        Change::Member(place, value) => {
            let mut all = Vec::new();
            places(line, "", &mut all);
            let mut line = line.clone();
            if let Some(member) = line.pointer_mut(&all[place % all.len()]) {
                *member = value.clone();
            }
            vec![line.to_string()]
        }
        Change::Other(value) => vec![value.to_string()],
        Change::Text(text) => vec![text.clone()],
    }
}

/// A session in which the vendor says these lines to the first prompt, and then ends; the next process is well.
async fn session(lines: Vec<String>) {
    let lines = Arc::new(lines);
    let mut session = start_with(StartInput::new(execution(json!({}))), move |mut side| {
        let lines = Arc::clone(&lines);
        async move {
            if side.start > 0 {
                return super::play::simple(side).await;
            }
            ready(&mut side).await;
            prompt(&mut side).await;
            for line in lines.iter() {
                side.send_line(line).await;
            }
            DONE
        }
    })
    .await;
    let (_, done) = session.begin("hello");
    loop {
        let event = session
            .log
            .until(|body| matches!(body, Body::PermissionRequested(_) | Body::TurnCompleted(_)))
            .await;
        match event.body {
            Body::PermissionRequested(of) => {
                session.decide(&of.request_id, Decision::AllowOnce, None).await;
            }
            _ => break,
        }
    }
    done.await.unwrap();
    session.kernel.until(|state| state == State::Ready).await;
    session.kernel.stop("enough").await.unwrap();
    session.log.to_end().await;
    check(&session.log.events);
    let ends = session.log.kinds().iter().filter(|kind| *kind == "turn.completed").count();
    assert_eq!(ends, 1);
}

fn run(lines: Vec<String>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(session(lines));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_recording_with_faults_is_still_told_as_a_whole(changes in prop::collection::vec(change(), 64)) {
        let vendor = recording().into_iter().filter(|line| line.of_vendor).map(|line| line.message);
        // Without the answer to `initialize`, which the session has had.
        let lines = vendor.skip(1).zip(&changes).flat_map(|(line, change)| changed(&line, change));
        run(lines.collect());
    }

    #[test]
    fn any_values_at_all_are_no_reason_to_panic(values in prop::collection::vec(value(), 0..32)) {
        run(values.iter().map(Value::to_string).collect());
    }
}
