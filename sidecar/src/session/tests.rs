//! Sessions over the very channels that a guest has, with an agent that the test plays.

mod fake;
mod stream;

use std::time::Duration;

use agentos_protocol::message::{JsonText, PermissionReply, code};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::head::Setup;
use super::start::Bounds;
use fake::{Fake, SHORT, ready, ready_with};

fn content(text: &str) -> JsonText {
    JsonText::new(&json!([{ "type": "text", "text": text }]))
}

/// Times short enough for a test that waits for them to pass.
fn impatient() -> Bounds {
    Bounds { cancel: Duration::from_millis(100), ..Bounds::default() }
}

/// Methods of the agent's messages and of what the kernel says of turns and questions.
async fn methods(session: &super::Session) -> Vec<String> {
    let events = session.page(0, None, None).await.unwrap().events.into_iter();
    let told = events.map(|event| event.method);
    told.filter(|method| {
        !method.starts_with("_agentos/item")
            && !method.starts_with("_agentos/session")
            && method != "_agentos/usage_updated"
    })
    .collect()
}

/// Waits until the session has an event of this method; its parameters.
async fn event(session: &super::Session, method: &str) -> Value {
    let (mut events, _) = session.subscribe(0).await.unwrap();
    let search = async {
        loop {
            let event = events.one().await.expect("the event before the end");
            let record = super::events::record(&event);
            if record.method == method {
                return record.params.parse().unwrap();
            }
        }
    };
    timeout(SHORT, search).await.expect("the event in time")
}

#[tokio::test]
async fn a_turn_with_a_permission_and_updates_before_its_end() {
    let (session, mut agent) = ready().await;
    let described = session.describe().unwrap();
    assert_eq!((described.agent_session_id.as_str(), described.pid), ("inner", 7));
    assert_eq!(described.agent_info.unwrap().parse::<Value>().unwrap()["name"], "fake");

    let turn = tokio::spawn(session.clone().prompt(content("go"), None));
    let prompt = agent.expect("session/prompt").await;
    assert_eq!(prompt["params"]["prompt"][0]["text"], "go");
    assert_eq!(session.info().status, "running");
    agent.say("working").await;
    agent.ask(json!("q"), &[("Allow", "allow_once"), ("Reject", "reject_once")]).await;
    let asked = event(&session, "session/request_permission").await;
    let id = asked["_meta"]["agentos"]["permissionId"].as_str().unwrap().to_owned();
    assert_eq!(asked["options"][0]["name"], "Allow");
    session.respond(&id, Some(PermissionReply::Once), None).await.unwrap();
    let answer = agent.recv().await;
    assert_eq!((&answer["id"], &answer["result"]["outcome"]["optionId"]), (&json!("q"), &json!("Allow")));
    let again = session.respond(&id, Some(PermissionReply::Once), None).await.unwrap_err();
    assert_eq!(again.code, code::PERMISSION_REQUEST_NOT_FOUND);
    assert_eq!(again.details.unwrap().resource, Some(id.clone()));
    agent.say(" done").await;
    agent.answer(&prompt, json!({"stopReason": "end_turn", "usage": {"totalTokens": 5}})).await;

    let reply = timeout(SHORT, turn).await.unwrap().unwrap().unwrap();
    assert_eq!((reply.text.as_str(), reply.stop_reason.as_str()), ("working done", "end_turn"));
    assert_eq!(reply.usage.unwrap().parse::<Value>().unwrap()["totalTokens"], 5);
    assert_eq!(reply.response.parse::<Value>().unwrap()["stopReason"], "end_turn");
    let expected = [
        "session/prompt",
        "session/update",
        "session/request_permission",
        "_agentos/permission_resolved",
        "session/update",
        "_agentos/turn_completed",
    ];
    assert_eq!(methods(&session).await, expected);
    assert_eq!(event(&session, "_agentos/permission_resolved").await["permissionId"], json!(id));
    let all = session.page(0, None, None).await.unwrap().events;
    let of_turn: Vec<_> = all.iter().filter(|event| event.turn_id.is_some()).collect();
    assert_eq!(of_turn.last().unwrap().kind, "turn.completed");
    let page = session.page(1, Some("session/update"), Some(1)).await.unwrap();
    assert_eq!((page.events.len(), page.more), (1, true));
    let first = page.events[0].seq;
    let page = session.page(first, Some("session/update"), None).await.unwrap();
    assert_eq!((page.events.len(), page.more), (1, false));
    let beyond = all.len() as u64 + 1;
    assert_eq!(session.page(beyond, None, None).await.unwrap_err().code, code::INVALID_REQUEST);
    assert_eq!(session.info().status, "idle");
}

#[tokio::test]
async fn a_cancel_ends_the_turn_and_takes_queued_prompts_back() {
    let (session, mut agent) = ready().await;
    let first = tokio::spawn(session.clone().prompt(content("1"), None));
    let prompt = agent.expect("session/prompt").await;
    let second = tokio::spawn(session.clone().prompt(content("2"), None));
    tokio::time::sleep(Duration::from_millis(20)).await;
    let cancel = tokio::spawn(session.clone().cancel_through());
    agent.expect("session/cancel").await;
    agent.answer(&prompt, json!({"stopReason": "cancelled"})).await;
    timeout(SHORT, cancel).await.unwrap().unwrap().unwrap();
    for turn in [first, second] {
        let reply = timeout(SHORT, turn).await.unwrap().unwrap().unwrap();
        assert_eq!(reply.stop_reason, "cancelled");
    }
    // Nothing of the second reached the agent, and the session goes on.
    let third = tokio::spawn(session.clone().prompt(content("3"), None));
    let prompt = agent.expect("session/prompt").await;
    assert_eq!(prompt["params"]["prompt"][0]["text"], "3");
    agent.answer(&prompt, json!({"stopReason": "end_turn"})).await;
    assert_eq!(timeout(SHORT, third).await.unwrap().unwrap().unwrap().stop_reason, "end_turn");
    // Without a turn a cancel does nothing.
    session.cancel().await.unwrap();
}

#[tokio::test]
async fn an_abandoned_prompt_is_cancelled_before_the_next_begins() {
    let (session, mut agent) = ready().await;
    let first = tokio::spawn(session.clone().prompt(content("1"), None));
    let prompt = agent.expect("session/prompt").await;
    let second = tokio::spawn(session.clone().prompt(content("2"), None));
    let third = tokio::spawn(session.clone().prompt(content("3"), None));
    tokio::time::sleep(Duration::from_millis(20)).await;
    // One that queues is taken back, without a word to the agent.
    second.abort();
    first.abort();
    agent.expect("session/cancel").await;
    agent.answer(&prompt, json!({"stopReason": "cancelled"})).await;
    let prompt = agent.expect("session/prompt").await;
    assert_eq!(prompt["params"]["prompt"][0]["text"], "3");
    agent.answer(&prompt, json!({"stopReason": "end_turn"})).await;
    assert_eq!(timeout(SHORT, third).await.unwrap().unwrap().unwrap().stop_reason, "end_turn");
}

#[tokio::test]
async fn an_agent_that_ignores_a_cancel_is_killed() {
    let (session, mut agent) = ready_with(impatient()).await;
    let turn = tokio::spawn(session.clone().prompt(content("1"), None));
    agent.expect("session/prompt").await;
    agent.dies_when_killed();
    session.cancel().await.unwrap();
    assert_eq!(turn.await.unwrap().unwrap().stop_reason, "cancelled");
    assert!(agent.job.is_killed());
    let error = session.clone().prompt(content("2"), None).await.unwrap_err();
    assert_eq!(error.code, code::AGENT);
    assert_eq!(session.info().status, "ended");
}

#[tokio::test]
async fn the_end_of_an_agent_ends_its_turn_with_its_last_words() {
    let (session, mut agent) = ready().await;
    let turn = tokio::spawn(session.clone().prompt(content("1"), None));
    agent.expect("session/prompt").await;
    agent.complain("out of luck\n").await;
    agent.die(Some(3), None);
    let error = turn.await.unwrap().unwrap_err();
    assert!(error.message.contains("status 3: out of luck"), "{error}");
    let failure = error.details.unwrap().agent.unwrap();
    assert_eq!((failure.exit_code, failure.last_stderr.as_str()), (Some(3), "out of luck\n"));
    // It is started anew, which does not go well here.
    let error = session.clone().prompt(content("2"), None).await.unwrap_err();
    assert!(error.message.contains("there is no second agent"), "{error}");
    assert_eq!(session.info().status, "ended");
    // A subscriber gets everything, then the end.
    let (mut events, _) = session.subscribe(0).await.unwrap();
    let mut kinds = Vec::new();
    while let Some(event) = timeout(SHORT, events.one()).await.unwrap() {
        kinds.push(event.kind.to_string());
        assert_eq!(event.seq, kinds.len() as u64);
    }
    assert_eq!(kinds.iter().filter(|kind| *kind == "turn.completed").count(), 1);
    assert_eq!(kinds.last().unwrap(), "session.ended");
}

#[tokio::test]
async fn a_close_kills_and_keeps_the_events() {
    let (session, mut agent) = ready().await;
    let turn = tokio::spawn(session.clone().prompt(content("1"), None));
    agent.expect("session/prompt").await;
    agent.dies_when_killed();
    timeout(SHORT, session.close()).await.unwrap();
    assert_eq!(turn.await.unwrap().unwrap().stop_reason, "cancelled");
    assert!(session.is_closed() && agent.job.is_killed());
    assert_eq!(methods(&session).await[0], "session/prompt");
}

#[tokio::test]
async fn a_graceful_end_says_goodbye_before_it_closes_the_input() {
    let (session, mut agent) = ready().await;
    let ending = tokio::spawn({
        let session = session.clone();
        async move { drop(session.end().await) }
    });
    let close = agent.expect("session/close").await;
    agent.answer(&close, json!({})).await;
    assert!(agent.eof().await);
    assert!(!agent.job.is_terminated());
    agent.die(Some(0), None);
    timeout(SHORT, ending).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_agent_that_does_not_leave_is_terminated_then_killed() {
    let (session, mut agent) = ready_with(impatient()).await;
    let ending = tokio::spawn({
        let session = session.clone();
        async move { drop(session.end().await) }
    });
    let close = agent.expect("session/close").await;
    agent.answer(&close, json!({})).await;
    assert!(agent.eof().await);
    // A process that holds its stdin and does not end is killed in the end.
    agent.dies_when_killed();
    timeout(SHORT, ending).await.unwrap().unwrap();
    assert!(agent.job.is_terminated());
}

#[tokio::test]
async fn an_agent_that_fails_to_start_is_told_with_its_stderr() {
    let (started, mut agent) = Fake::start(Setup::default(), Bounds::default());
    agent.expect("initialize").await;
    agent.complain("no key\n").await;
    agent.die(Some(1), None);
    let error = timeout(SHORT, started).await.unwrap().unwrap().unwrap_err();
    assert!(error.message.contains("status 1") && error.message.contains("no key"), "{error}");
}

#[tokio::test]
async fn a_model_the_agent_does_not_have_is_an_error() {
    let setup = Setup { model: Some("big".into()), ..Default::default() };
    let (started, mut agent) = Fake::start(setup, Bounds::default());
    agent.greet().await;
    let error = timeout(SHORT, started).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.code, code::UNSUPPORTED);
}

#[tokio::test]
async fn instructions_and_raw_requests_reach_the_agent() {
    let setup = Setup { instructions: "be brief".into(), ..Setup::default() };
    let (started, mut agent) = Fake::start(setup, Bounds::default());
    let new = agent.greet().await;
    assert_eq!(new["params"]["_meta"]["agentos"]["instructions"], "be brief");
    let session = timeout(SHORT, started).await.unwrap().unwrap().unwrap();
    let raw = tokio::spawn({
        let session = session.clone();
        async move { session.raw("_x/y", &JsonText::new(&json!({"sessionId": "ours", "a": 1}))).await }
    });
    let request = agent.expect("_x/y").await;
    assert_eq!(request["params"], json!({"sessionId": "inner", "a": 1}));
    agent.answer(&request, json!({"b": 2})).await;
    assert_eq!(raw.await.unwrap().unwrap().0, r#"{"b":2}"#);
    let refused = session.raw("session/prompt", &JsonText::default()).await.unwrap_err();
    assert_eq!(refused.code, code::INVALID_REQUEST);
    let failing = tokio::spawn(async move { session.raw("_x/z", &JsonText::default()).await });
    let request = agent.expect("_x/z").await;
    agent.fail(&request, -32011, "busy").await;
    let failure = failing.await.unwrap().unwrap_err().details.unwrap().agent.unwrap();
    assert_eq!(failure.rpc_code, Some(-32011));
}

#[tokio::test]
async fn what_only_client_and_agent_know_goes_through() {
    let of_client = json!({"trace": {"id": "t"}, "agentos": "mine"});
    let setup = Setup {
        instructions: "be brief".into(),
        meta: of_client.as_object().cloned().unwrap(),
        ..Setup::default()
    };
    let (started, mut agent) = Fake::start(setup, Bounds::default());
    let new = agent.greet().await;
    let told = json!({"trace": {"id": "t"}, "agentos": {"instructions": "be brief"},
        "systemPrompt": {"append": "be brief"}});
    assert_eq!(new["params"]["_meta"], told, "what we say goes before what the client says");
    let session = timeout(SHORT, started).await.unwrap().unwrap().unwrap();
    let block = json!({"type": "text", "text": "go", "annotations": {"priority": 1}, "_meta": {"a": null}});
    let params = JsonText::new(&json!({"_meta": {"turn": 7}, "messageId": "m"}));
    let turn = tokio::spawn(session.clone().prompt(JsonText::new(&json!([block])), Some(params)));
    let prompt = agent.expect("session/prompt").await;
    let said = prompt["params"]["prompt"].as_array().unwrap();
    assert_eq!(said.last(), Some(&block));
    assert_eq!(
        (&prompt["params"]["_meta"], &prompt["params"]["messageId"]),
        (&json!({"turn": 7}), &json!("m"))
    );
    agent.answer(&prompt, json!({"stopReason": "end_turn"})).await;
    timeout(SHORT, turn).await.unwrap().unwrap().unwrap();
    let logged = event(&session, "session/prompt").await;
    assert_eq!(logged["prompt"], json!([block]));
    let params = JsonText::new(&json!({"prompt": []}));
    let refused = session.clone().prompt(content("x"), Some(params)).await.unwrap_err();
    assert_eq!(refused.code, code::INVALID_REQUEST);
    session.raw_notify("_x/y", &JsonText::new(&json!({"sessionId": "ours", "a": 1}))).await.unwrap();
    assert_eq!(agent.expect("_x/y").await["params"], json!({"sessionId": "inner", "a": 1}));
    for method in ["session/cancel", "$/cancel_request"] {
        let refused = session.raw_notify(method, &JsonText::default()).await.unwrap_err();
        assert_eq!(refused.code, code::INVALID_REQUEST);
    }
}
