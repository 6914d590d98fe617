//! Questions to the user: forms of servers, dialogs of the program, what the model asks.

use agentos_driver::event::{Body, InputOutcome, InputRequest, TurnStatus};
use agentos_driver::{Command, Order};
use serde_json::{Value, json};

use super::play::{
    Session, answer, can_use, impatient, init, prompt, question, ready, rest, result, say, start_with,
};

/// Waits for a question to the user, and answers it.
async fn reply(session: &mut Session, outcome: InputOutcome) -> InputRequest {
    let event = session.log.until(|body| matches!(body, Body::InputRequested(_))).await;
    let Body::InputRequested(request) = event.body else { panic!("not a question") };
    let request_id = request.request_id.clone();
    session.kernel.dispatch(Command::of(Order::InputResolve { request_id, outcome })).await;
    request
}

fn answers(of: Value) -> InputOutcome {
    let Value::Object(answers) = of else { panic!("not an object") };
    InputOutcome::Answered { answers }
}

/// A turn in which one thing is asked, and what is said to it.
async fn one(request: Value, expected: Value) -> Session {
    start_with(impatient(), move |mut side| {
        let (request, expected) = (request.clone(), expected.clone());
        async move {
            ready(&mut side).await;
            prompt(&mut side).await;
            say(&mut side, &[init(), question("R1", request)]).await;
            assert_eq!(answer(&mut side).await["response"], expected);
            say(&mut side, &[result(0.5)]).await;
            rest(&mut side).await
        }
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_form_of_a_server_is_filled_in_by_the_user() {
    let request = json!({ "subtype": "elicitation", "mcp_server_name": "maps", "message": "Where?",
        "requested_schema": { "type": "object", "properties": {
            "city": { "type": "string", "title": "City" }, "sure": { "type": "boolean" } } } });
    let expected = json!({ "action": "accept", "content": { "city": "Bern", "sure": true } });
    let mut session = one(request, expected).await;
    let (_, done) = session.begin("go");
    let asked = reply(&mut session, answers(json!({ "city": "Bern", "sure": "true" }))).await;
    assert_eq!((asked.title.as_deref(), asked.questions.len()), (Some("Where?"), 2));
    assert_eq!(session.ended().await.status, TurnStatus::Completed);
    done.await.unwrap();
    session.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_form_that_nobody_fills_in_is_declined() {
    let request = json!({ "subtype": "elicitation", "message": "Where?" });
    let mut session = one(request, json!({ "action": "decline" })).await;
    assert_eq!(session.turn("go").await.status, TurnStatus::Completed);
    session.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_dialog_of_the_program_is_answered_or_cancelled() {
    let request = json!({ "subtype": "request_user_dialog", "dialog_kind": "choose",
        "payload": { "message": "Which?", "options": ["a", { "label": "b" }] } });
    for (outcome, expected) in [
        (answers(json!({ "answer": "b" })), json!({ "behavior": "completed", "result": "b" })),
        (InputOutcome::Declined, json!({ "behavior": "cancelled" })),
    ] {
        let mut session = one(request.clone(), expected).await;
        let (_, done) = session.begin("go");
        let asked = reply(&mut session, outcome).await;
        assert_eq!(asked.questions[0].prompt, "Which?");
        assert_eq!(asked.questions[0].options.as_deref(), Some(&["a".to_owned(), "b".to_owned()][..]));
        assert_eq!(session.ended().await.status, TurnStatus::Completed);
        done.await.unwrap();
        session.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_model_asks_the_user_is_a_question_and_no_permission() {
    let input =
        json!({ "questions": [{ "question": "Which?", "options": [{ "label": "a" }, { "label": "b" }] }] });
    let request = can_use("R1", "t", "AskUserQuestion", input.clone())["request"].clone();
    let mut updated = input.clone();
    updated["answers"] = json!({ "Which?": "b" });
    let mut session = one(request.clone(), json!({ "behavior": "allow", "updatedInput": updated })).await;
    let (_, done) = session.begin("go");
    let asked = reply(&mut session, answers(json!({ "q0": "b" }))).await;
    assert_eq!(asked.item_id.as_deref(), Some("t"));
    session.ended().await;
    done.await.unwrap();
    let log = session.stop().await;
    assert!(!log.kinds().iter().any(|kind| kind.starts_with("permission")));

    let declined = json!({ "behavior": "deny", "message": "The user does not want to answer." });
    let mut session = one(request, declined).await;
    let (_, done) = session.begin("go");
    reply(&mut session, InputOutcome::Declined).await;
    session.ended().await;
    done.await.unwrap();
    session.stop().await;
}
