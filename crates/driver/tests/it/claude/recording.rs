//! A recorded session: as it was, with members that nobody knows, and cut off at every line.

use std::collections::HashMap;
use std::sync::Arc;

use agentos_driver::command::Decision;
use agentos_driver::error::BACKEND_EXITED;
use agentos_driver::event::{Body, TurnStatus};
use agentos_driver::process::Exit;
use agentos_driver::testing::{Log, VendorSide};
use agentos_driver::{StartInput, State};
use serde_json::{Map, Value, json};

use super::play::{DONE, FELL, Session, check, execution, rest, simple, start_with};

const RECORDING: &str = include_str!("../../data/claude-text-and-tool-allow.jsonl");
/// What the user said in it.
const PROMPTS: [&str; 2] = ["hello", "RUNTOOL please"];

/// A line of a recording.
#[derive(Clone)]
pub(super) struct Recorded {
    pub(super) of_vendor: bool,
    pub(super) message: Value,
}

pub(super) fn recording() -> Vec<Recorded> {
    let lines = RECORDING.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let messages = lines.filter_map(|mut line| {
        let of_vendor = line.get("dir")?.as_str()? == "agent->host";
        Some(Recorded { of_vendor, message: line["msg"].take() })
    });
    messages.collect()
}

/// Plays the vendor of a recording to the line with this number: what the driver says is compared, ids are translated.
async fn play(mut side: VendorSide, lines: Arc<Vec<Recorded>>, end: usize) -> Exit {
    let mut ids: HashMap<String, Value> = HashMap::new();
    for line in lines.iter().take(end) {
        let mut message = line.message.clone();
        if line.of_vendor {
            if let Some(id) = message.pointer_mut("/response/request_id")
                && let Some(of) = id.as_str().and_then(|id| ids.get(id))
            {
                *id = of.clone();
            }
            if !side.send(message).await {
                return DONE;
            }
            continue;
        }
        let Some(said) = side.recv().await else { return DONE };
        assert_eq!(said["type"], message["type"], "{said}");
        match message["type"].as_str() {
            Some("control_request") => {
                ids.insert(message["request_id"].as_str().unwrap().to_owned(), said["request_id"].clone());
                assert_eq!(said["request"], message["request"]);
            }
            Some("control_response") => assert_eq!(said, message),
            _ => assert_eq!(said["message"], message["message"]),
        }
    }
    if end < lines.len() { FELL } else { rest(&mut side).await }
}

async fn session(lines: Vec<Recorded>, end: usize) -> Session {
    let lines = Arc::new(lines);
    let options = json!({ "model": "claude-sonnet-4-5", "systemPrompt": "test" });
    start_with(StartInput::new(execution(options)), move |side| {
        let lines = Arc::clone(&lines);
        async move { if side.start == 0 { play(side, lines, end).await } else { simple(side).await } }
    })
    .await
}

/// Says what was said, allows what is asked for, and gives how the turns ended.
async fn drive(session: &mut Session) -> Vec<(TurnStatus, Option<String>)> {
    let mut ends = Vec::new();
    for prompt in PROMPTS {
        let (_, done) = session.begin(prompt);
        // An answer comes after what the vendor says by itself, so that logs can be compared.
        let mut asked = None;
        loop {
            match session.log.until(|_| true).await.body {
                Body::PermissionRequested(of) => asked = Some(of.request_id),
                Body::ModelRequestCompleted(_) => {
                    if let Some(id) = asked.take() {
                        session.decide(&id, Decision::AllowOnce, None).await;
                    }
                }
                Body::TurnCompleted(of) => {
                    ends.push((of.status, of.error.map(|error| error.code)));
                    break;
                }
                _ => {}
            }
        }
        done.await.unwrap();
        session.kernel.until(|state| state == State::Ready).await;
    }
    ends
}

async fn whole(lines: Vec<Recorded>) -> Log {
    let end = lines.len();
    let mut session = session(lines, end).await;
    let ends = drive(&mut session).await;
    assert_eq!(ends, [(TurnStatus::Completed, None), (TurnStatus::Completed, None)]);
    session.stop().await
}

/// The log without what depends on how much was read at once: deltas are joined, and the ids of events, of which there are
/// fewer then, are not counted.
fn told(log: &Log) -> Vec<Value> {
    let mut lines: Vec<Value> = Vec::new();
    for mut line in log.normalised() {
        if let Some(members) = line.as_object_mut() {
            members.remove("seq");
            members.remove("id");
        }
        if line["kind"] == "item.delta"
            && let Some(last) = lines.last_mut()
            && last["kind"] == "item.delta"
            && last["payload"]["itemId"] == line["payload"]["itemId"]
        {
            let more = line["payload"]["delta"].as_str().unwrap();
            last["payload"]["delta"] = (last["payload"]["delta"].as_str().unwrap().to_owned() + more).into();
            continue;
        }
        lines.push(line);
    }
    let mut numbers = HashMap::new();
    lines.iter_mut().for_each(|line| renumber(line, &mut numbers));
    lines
}

/// Numbers ids in the order in which they come.
fn renumber(value: &mut Value, numbers: &mut HashMap<String, usize>) {
    match value {
        Value::String(id) if id.starts_with("<id") => {
            let next = numbers.len();
            *id = format!("<{}>", numbers.entry(id.clone()).or_insert(next));
        }
        Value::Object(members) => members.values_mut().for_each(|value| renumber(value, numbers)),
        Value::Array(all) => all.iter_mut().for_each(|value| renumber(value, numbers)),
        _ => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_recorded_session_is_told_as_it_was() {
    let log = whole(recording()).await;
    assert_eq!(
        log.kinds()[..22],
        [
            "session.started",
            "session.config.updated",
            "session.info.updated",
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
            "turn.started",
            "model_request.started",
            "item.started",
            "item.updated",
            "permission.requested",
            "model_request.completed",
            "permission.resolved",
        ]
    );
    let costs: Vec<f64> = log
        .events
        .iter()
        .filter_map(|event| match &event.body {
            Body::UsageUpdated(usage) => usage.cost_amount,
            _ => None,
        })
        .collect();
    assert_eq!(costs, [0.000171, 0.000342]);
    let unknown = log.events.iter().filter(
        |event| matches!(&event.body, Body::DiagnosticReported(of) if of.code == "driver.vendor_message_ignored"),
    );
    assert_eq!(unknown.count(), 0, "every message of it is understood");
}

/// Members that are passed on as they are, whatever is in them.
const OPAQUE: [&str; 2] = ["input", "tool_use_result"];

/// Puts members that nobody knows into every object.
fn inject(value: &mut Value, n: &mut u64) {
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                if !OPAQUE.contains(&name.as_str()) {
                    inject(value, n);
                }
            }
            let odd = [
                json!(null),
                json!({ "type": "x" }),
                json!([1, "a"]),
                json!("text"),
                json!(-1.5),
                json!(true),
            ];
            let mut all = Map::new();
            *n += 1;
            all.insert(format!("aa_unknown_{n}"), odd[usize::try_from(*n).unwrap() % odd.len()].clone());
            all.append(members);
            *n += 1;
            all.insert(format!("zz_unknown_{n}"), odd[usize::try_from(*n).unwrap() % odd.len()].clone());
            *members = all;
        }
        Value::Array(all) => all.iter_mut().for_each(|value| inject(value, n)),
        _ => {}
    }
}

#[tokio::test(start_paused = true)]
async fn members_that_nobody_knows_change_nothing() {
    let plain = whole(recording()).await;
    let mut n = 0;
    let mut lines = recording();
    for line in lines.iter_mut().filter(|line| line.of_vendor) {
        inject(&mut line.message, &mut n);
    }
    let injected = whole(lines).await;
    assert_eq!(told(&plain), told(&injected));
}

#[tokio::test(start_paused = true)]
async fn a_recording_that_is_cut_at_any_line_fails_one_turn_and_closes_what_is_open() {
    let lines = recording();
    let ends: Vec<usize> = (0..lines.len()).filter(|n| lines[*n].message["type"] == "result").collect();
    for cut in (0..lines.len()).filter(|n| lines[*n].of_vendor) {
        let mut session = session(lines.clone(), cut).await;
        let failed = |session: &Session| session.kernel.state() == State::Failed;
        if lines[..cut].iter().all(|line| !line.of_vendor) {
            assert!(failed(&session), "it never answered");
            session.log.to_end().await;
            continue;
        }
        let ended = drive(&mut session).await;
        let turn = ends.iter().position(|end| cut <= *end).unwrap();
        for (n, (status, error)) in ended.iter().enumerate() {
            let expected = if n == turn {
                (TurnStatus::Failed, Some(BACKEND_EXITED))
            } else {
                (TurnStatus::Completed, None)
            };
            assert_eq!((*status, error.as_deref()), expected, "turn {n}, cut at line {cut}");
        }
        let log = session.stop().await;
        check(&log.events);
        let completed = log.kinds().iter().filter(|kind| *kind == "turn.completed").count();
        assert_eq!(completed, PROMPTS.len(), "cut at line {cut}");
    }
}
