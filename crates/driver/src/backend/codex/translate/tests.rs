//! Cases of the translation that no process is needed for.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::backend::codex::questions::Verdict;
use crate::backend::codex::turn::MAX_ITEMS;

fn notify(translator: &mut Translator, method: &str, params: Value) -> Vec<Step> {
    translator.on(Incoming::Notification { method: method.to_owned(), params }, 10)
}

fn running() -> (Translator, Ulid) {
    let mut translator = Translator::default();
    let run = Ulid::generate();
    translator.begin_thread("T1", true);
    assert!(translator.begin(run));
    translator.started(run, Ok(json!({ "turn": { "id": "U1" } })));
    (translator, run)
}

#[test]
fn a_turn_that_was_cancelled_before_it_began_never_begins() {
    let mut translator = Translator::default();
    translator.begin_thread("T1", true);
    let (first, second) = (Ulid::generate(), Ulid::generate());
    assert_eq!(translator.cancel(first), []);
    assert!(!translator.begin(first));
    assert!(translator.begin(second), "a cancel is of one turn");
}

#[test]
fn a_response_of_a_turn_that_is_over_begins_nothing() {
    let (mut translator, run) = running();
    let ended =
        notify(&mut translator, "turn/completed", json!({ "turn": { "id": "U1", "status": "completed" } }));
    assert!(matches!(&ended[..], [Step::End(of, TurnOutcome::Completed { .. })] if *of == run));
    assert_eq!(translator.started(run, Ok(json!({ "turn": { "id": "U1" } }))), []);
    assert_eq!(translator.native_turn(run), None);
    assert_eq!(translator.give_up(run), []);
}

#[test]
fn requests_of_no_turn_are_refused_and_those_of_one_that_is_over_are_left_alone() {
    let (mut translator, _) = running();
    let ask = |translator: &mut Translator, turn: &str| {
        let params = json!({ "turnId": turn, "itemId": "c" });
        let method = "item/commandExecution/requestApproval".to_owned();
        translator.on(Incoming::Request { id: json!(3), method, params }, 10)
    };
    let refusal = json!({ "id": 3, "result": { "decision": "decline" } });
    assert_eq!(ask(&mut translator, "other"), [Step::Answer(refusal.clone())]);
    notify(&mut translator, "turn/completed", json!({ "turn": { "id": "U1", "status": "completed" } }));
    assert_eq!(ask(&mut translator, "U1"), []);
    assert_eq!(ask(&mut translator, "other"), [Step::Answer(refusal)]);
}

#[test]
fn a_request_before_its_item_begins_it_and_the_item_completes_what_was_guessed() {
    let (mut translator, _) = running();
    let params = json!({ "turnId": "U1", "itemId": "c", "command": "ls", "cwd": "/w" });
    let method = "item/commandExecution/requestApproval".to_owned();
    let steps = translator.on(Incoming::Request { id: json!(0), method, params }, 10);
    assert!(matches!(&steps[..], [Step::Emit(Draft { body: Body::ItemStarted { .. }, .. }), Step::Ask(ask)]
        if ask.item_id.as_deref() == Some("c")));
    let item = json!({ "type": "commandExecution", "id": "c", "command": "ls -l", "cwd": "/w" });
    let started = json!({ "turnId": "U1", "item": item });
    let steps = notify(&mut translator, "item/started", started.clone());
    let [Step::Emit(Draft { body: Body::ItemUpdated(patch), .. })] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!(patch.patch.get("command"), Some(&json!("ls -l")));
    assert_eq!(notify(&mut translator, "item/started", started), []);
}

#[test]
fn an_item_runs_once_the_last_request_for_it_is_allowed_and_no_flag_is_up() {
    let (mut translator, _) = running();
    let ask = |translator: &mut Translator, id: u64| {
        let params = json!({ "turnId": "U1", "itemId": "c", "command": "ls" });
        let method = "item/commandExecution/requestApproval".to_owned();
        translator.on(Incoming::Request { id: json!(id), method, params }, 10)
    };
    let flags = |translator: &mut Translator, flags: Value| {
        let status = json!({ "type": "active", "activeFlags": flags });
        notify(translator, "thread/status/changed", json!({ "status": status }))
    };
    let runs = |steps: &[Step]| matches!(steps, [Step::Emit(Draft { body: Body::ItemUpdated(_), .. })]);
    ask(&mut translator, 0);
    ask(&mut translator, 1);
    assert_eq!(translator.answered("0", Verdict::Allowed), Some(Vec::new()));
    assert!(translator.answered("1", Verdict::Allowed).is_some_and(|steps| runs(&steps)));
    assert_eq!(translator.answered("1", Verdict::Allowed), None, "it was answered");

    let (mut translator, _) = running();
    flags(&mut translator, json!(["waitingOnApproval"]));
    ask(&mut translator, 0);
    assert_eq!(flags(&mut translator, json!([])), [], "somebody is still asked");
    flags(&mut translator, json!(["waitingOnApproval"]));
    assert_eq!(translator.answered("0", Verdict::Allowed), Some(Vec::new()));
    assert!(runs(&flags(&mut translator, json!([]))));
}

#[test]
fn nothing_grows_without_a_limit() {
    let (mut translator, _) = running();
    for n in 0..2 * MAX_ITEMS {
        let item = json!({ "type": "fileChange", "id": n.to_string() });
        notify(&mut translator, "item/started", json!({ "turnId": "U1", "item": item }));
        notify(&mut translator, &format!("unknown/{n}"), json!({}));
        let method = "item/tool/requestUserInput".to_owned();
        translator.on(Incoming::Request { id: json!(n), method, params: json!({ "turnId": "U1" }) }, 10);
    }
    assert_eq!(translator.turn.as_ref().map(|turn| turn.items.len()), Some(MAX_ITEMS));
    assert_eq!((translator.requests.len(), translator.reported.len()), (MAX_REQUESTS, MAX_REPORTED));
    let ended =
        notify(&mut translator, "turn/completed", json!({ "turn": { "id": "U1", "status": "completed" } }));
    let withdrawn = ended.iter().filter(|step| matches!(step, Step::Withdraw(_))).count();
    assert_eq!((withdrawn, translator.requests.len()), (MAX_REQUESTS, 0));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        Just(json!("U1")),
        Just(json!("fileChange")),
    ];
    let names = [
        "turnId", "turn", "id", "item", "itemId", "type", "delta", "status", "changes", "path", "kind",
        "error",
    ];
    leaf.prop_recursive(3, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(prop::sample::select(names.to_vec()), inner, 0..5).prop_map(
                |members| {
                    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
                }
            ),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_message_is_too_strange_for_any_method(params in any_json(), id in any_json()) {
        const METHODS: &[&str] = &[
            "turn/started", "turn/completed", "turn/plan/updated", "error", "thread/tokenUsage/updated",
            "thread/compacted", "thread/status/changed", "thread/name/updated", "serverRequest/resolved",
            "item/started", "item/completed", "item/agentMessage/delta", "item/plan/delta",
            "item/reasoning/textDelta", "item/reasoning/summaryTextDelta", "item/commandExecution/outputDelta",
            "item/fileChange/patchUpdated", "item/mcpToolCall/progress", "item/commandExecution/requestApproval",
            "item/fileChange/requestApproval", "item/permissions/requestApproval", "item/tool/requestUserInput",
            "item/tool/call", "mcpServer/elicitation/request", "execCommandApproval", "applyPatchApproval", "other",
        ];
        let (mut translator, run) = running();
        for method in METHODS {
            let mut steps = notify(&mut translator, method, params.clone());
            let message = Incoming::Request { id: id.clone(), method: (*method).to_owned(), params: params.clone() };
            steps.extend(translator.on(message, 10));
            for step in steps {
                if let Step::Ask(ask) = step {
                    let _ = ask.asked();
                    translator.answered(&Ask::key(&ask.id), Verdict::Allowed);
                }
            }
        }
        translator.cancel(run);
    }
}
