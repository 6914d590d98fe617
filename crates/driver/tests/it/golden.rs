//! Recordings of real vendors, played once more: the event logs are those that are kept beside them, and hold what holds for
//! every session.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use agentos_driver::backend::registry;
use agentos_driver::event::{Body, Event, ItemStatus};
use agentos_driver::testing::{Recording, Replayed, normalised, replay};
use serde_json::Value;

const RECORDINGS: [&str; 5] = [
    "claude-text-and-tool-allow",
    "codex-text-and-approval-accept",
    "bash-tool-call",
    "permission-allow",
    "cancel",
];

pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

pub(crate) async fn played(recording: &Recording) -> Replayed {
    let registry = registry();
    let descriptor = registry.descriptors().find(|d| d.runtime == recording.runtime).unwrap().clone();
    replay(recording, descriptor, |_| {}).await.unwrap()
}

fn recording(name: &str) -> Recording {
    Recording::parse(&std::fs::read_to_string(data(&format!("{name}.jsonl"))).unwrap()).unwrap()
}

/// What holds for the events of any session.
pub(crate) fn holds(events: &[Event]) {
    let mut open: HashMap<String, ItemStatus> = HashMap::new();
    let (mut asked, mut ended): (HashSet<String>, HashSet<String>) = (HashSet::new(), HashSet::new());
    let (mut turn, mut last) = (None, 0);
    for event in events {
        assert!(event.seq > last, "{event:?}");
        last = event.seq;
        match &event.body {
            Body::TurnStarted { .. } => {
                assert!(turn.is_none(), "two turns at once");
                turn = event.turn_id;
            }
            Body::TurnCompleted(_) => {
                assert_eq!(turn.take(), event.turn_id);
                assert!(open.is_empty() && asked.is_empty(), "{open:?} {asked:?}");
            }
            Body::ItemStarted { item } => {
                assert!(!ended.contains(&item.item_id), "{item:?} begins anew");
                assert!(open.insert(item.item_id.clone(), item.status).is_none(), "{item:?} begins twice");
            }
            Body::ItemUpdated(patch) => assert!(open.contains_key(&patch.item_id)),
            Body::ItemDelta(delta) => assert!(open.contains_key(&delta.item_id)),
            Body::ItemCompleted { item } => {
                assert!(item.status.is_terminal() && open.remove(&item.item_id).is_some(), "{item:?}");
                assert!(ended.insert(item.item_id.clone()));
            }
            Body::PermissionRequested(permission) => {
                let item = permission.item_id.as_ref();
                assert!(item.is_none_or(|item| open.contains_key(item)), "{permission:?} before its item");
                assert!(asked.insert(permission.request_id.clone()));
            }
            Body::PermissionResolved(end) => assert!(asked.remove(&end.request_id)),
            _ => {}
        }
        let of_turn =
            matches!(event.body, Body::ItemStarted { .. } | Body::UsageUpdated(_) | Body::ItemDelta(_));
        assert!(!of_turn || (event.turn_id.is_some() && event.turn_id == turn), "{event:?}");
    }
    assert!(turn.is_none());
    assert!(matches!(events.last().map(|event| &event.body), Some(Body::SessionEnded(_))));
}

/// Joined deltas differ in number from run to run, and diagnostics of what was ignored say nothing of the session.
fn comparable(events: &[Event]) -> Vec<Value> {
    let kept: Vec<Event> = events
        .iter()
        .filter(|event| !matches!(event.body, Body::ItemDelta(_) | Body::DiagnosticReported(_)))
        .cloned()
        .collect();
    let mut lines = normalised(&kept);
    for line in &mut lines {
        if let Some(members) = line.as_object_mut() {
            members.remove("seq");
        }
    }
    lines
}

#[tokio::test(start_paused = true)]
async fn the_event_logs_of_recordings_are_those_that_are_kept() {
    // To keep what comes out now: AGENTOS_KEEP_GOLDEN=1 cargo test -p agentos-driver golden
    let keep = std::env::var_os("AGENTOS_KEEP_GOLDEN").is_some();
    for name in RECORDINGS {
        let replayed = played(&recording(name)).await;
        holds(&replayed.events);
        let lines: Vec<String> = comparable(&replayed.events).iter().map(Value::to_string).collect();
        let text = lines.join("\n") + "\n";
        let file = data(&format!("{name}.events.jsonl"));
        if keep {
            std::fs::write(&file, &text).unwrap();
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        for (n, (is, should)) in text.lines().zip(kept.lines()).enumerate() {
            assert_eq!(is, should, "{name}, line {}", n + 1);
        }
        assert_eq!(text.lines().count(), kept.lines().count(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_runs_give_the_same_log() {
    for name in RECORDINGS {
        let recording = recording(name);
        let (one, two) = (played(&recording).await, played(&recording).await);
        assert_eq!(comparable(&one.events), comparable(&two.events), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_recording_that_is_cut_anywhere_gives_a_log_that_holds() {
    for name in RECORDINGS {
        let whole = recording(name);
        for cut in 1..whole.entries.len() {
            let mut cut_off = whole.clone();
            cut_off.entries.truncate(cut);
            // A turn that has no end in what is left is one whose vendor went away.
            holds(&played(&cut_off).await.events);
        }
    }
}
