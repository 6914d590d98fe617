//! What an agent asks before it goes on: permissions, and forms for the user. Each is asked in a task of its own; the answer
//! goes back only if somebody still wants it.

use std::sync::Arc;
use std::time::Duration;

use agentos_acp::connection::Responder;
use agentos_acp::envelope::code;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use super::inbox::{Inbox, OfTurn};
use super::member;
use crate::event::Body;
use crate::event::{
    DiagnosticSource, InputOutcome, InputRequest, PermissionKind, PermissionOption, Question, RawMessage,
    Severity,
};
use crate::ports::{PermissionDecision, PermissionRequest};

/// Most options of a permission, and most questions of a form.
const MAX: usize = 64;
/// How long an answer waits for `session/cancel` to go first.
const TOLD: Duration = Duration::from_secs(10);

fn cancelled() -> Value {
    json!({"outcome": {"outcome": "cancelled"}})
}

fn options(params: &Value) -> Vec<PermissionOption> {
    let option = |option: &Value| {
        let kind = option.get("kind").cloned().unwrap_or_default();
        Some(PermissionOption {
            option_id: member::text(option, "optionId")?.to_owned(),
            kind: serde_json::from_value(kind).unwrap_or_else(|_| PermissionKind::Other(String::new())),
            name: member::text(option, "name").unwrap_or_default().to_owned(),
        })
    };
    member::list(params, "options").iter().take(MAX).filter_map(option).collect()
}

/// What a permission asks.
fn request(turn: Ulid, item_id: Option<String>, params: &Value) -> PermissionRequest {
    let call = params.get("toolCall").unwrap_or(&Value::Null);
    let kind = member::text(call, "kind");
    let input = call.get("rawInput").and_then(Value::as_object).cloned();
    let line = input.as_ref().and_then(|input| input.get("command")?.as_str().map(str::to_owned));
    let title = member::text(call, "title").filter(|title| !title.is_empty());
    let detail = match (line, kind) {
        (Some(command), _) => json!({"type": "command", "command": command}),
        (None, Some("edit" | "delete" | "move")) => {
            let diffs = member::list(call, "content")
                .iter()
                .filter(|entry| member::text(entry, "type") == Some("diff"));
            let paths: Vec<&str> = diffs.filter_map(|diff| member::text(diff, "path")).collect();
            json!({"type": "file_change", "paths": paths})
        }
        (None, _) => json!({"type": "tool_call", "input": input}),
    };
    PermissionRequest {
        // The agent's id is only unique among its open requests.
        request_id: Ulid::generate().to_string(),
        item_id,
        turn_id: turn,
        title: title.or(kind).unwrap_or("The agent asks for permission").to_owned(),
        description: None,
        detail: detail.as_object().cloned(),
        tool_kind: kind.map(str::to_owned),
        tool_name: member::text(call, "name").map(str::to_owned),
        input,
        options: options(params),
        raw: None,
    }
}

/// Waits until the agent has heard that its turn is cancelled: an answer before that would be one to a turn that goes on.
async fn after_cancel(turn: &OfTurn) {
    let told = async {
        tokio::select! {
            () = turn.told.cancelled() => {}
            () = turn.ended.cancelled() => {}
        }
    };
    let _ = tokio::time::timeout(TOLD, told).await;
}

/// What keeps a question from being asked at all; it is answered then.
async fn room(inbox: &Inbox, responder: Responder) -> Option<(Responder, tokio::sync::OwnedSemaphorePermit)> {
    match Arc::clone(&inbox.questions).try_acquire_owned() {
        Ok(room) => Some((responder, room)),
        Err(_) => {
            responder.error(code::INTERNAL_ERROR, "too many open questions").await;
            None
        }
    }
}

/// `session/request_permission`. False if it was refused.
pub(super) async fn permission(
    inbox: &Arc<Inbox>,
    params: Value,
    raw: Option<Arc<RawMessage>>,
    responder: Responder,
) -> bool {
    let call = params.get("toolCall").filter(|call| call.is_object());
    let Some(call) = call.cloned() else {
        responder.error(code::INVALID_PARAMS, "no tool call").await;
        return false;
    };
    let Some(turn) = inbox.turn() else {
        inbox.report("session/request_permission outside of a turn").await;
        responder.ok(&cancelled()).await;
        return false;
    };
    let Some((responder, room)) = room(inbox, responder).await else { return false };
    let (steps, item_id) = {
        let mut state = inbox.state.lock();
        state.translator.as_mut().map(|of| of.permission(&call, &**inbox)).unwrap_or_default()
    };
    // The item before the question.
    inbox.play(steps).await;
    let request = PermissionRequest { raw, ..request(turn.id, item_id, &params) };
    let inbox = Arc::clone(inbox);
    tokio::spawn(async move {
        let _room = room;
        let offered = request.options.clone();
        let withdrawn = responder.cancel_token();
        let decision = tokio::select! {
            decision = inbox.cx.permission(request) => decision,
            () = withdrawn.cancelled() => {
                return responder.error(code::REQUEST_CANCELLED, "request cancelled").await;
            }
            () = inbox.retired.cancelled() => return,
        };
        if decision.cancelled {
            after_cancel(&turn).await;
            return responder.ok(&cancelled()).await;
        }
        if !decision.allow
            && let Some(id) = member::text(&call, "toolCallId")
            && let Some(translator) = &mut inbox.state.lock().translator
        {
            translator.declined(id);
        }
        let chosen = chosen(&offered, &decision);
        if decision.allow && chosen.is_none() {
            let text =
                "the agent offers no option that allows just this: its question is answered as cancelled";
            let (severity, source) = (Severity::Warn, DiagnosticSource::Permission);
            inbox.cx.session(Body::diagnostic("acp.no_such_option", severity, source, text)).await;
        }
        let answer = match chosen {
            Some(id) => json!({"outcome": {"outcome": "selected", "optionId": id}}),
            None => cancelled(),
        };
        responder.ok(&answer).await;
    });
    true
}

/// The option that a decision means: one that was offered, or none.
fn chosen<'a>(offered: &'a [PermissionOption], decision: &PermissionDecision) -> Option<&'a str> {
    let wanted = decision.option_id.as_deref()?;
    offered.iter().map(|option| option.option_id.as_str()).find(|id| *id == wanted)
}

/// The questions of a form.
fn questions(schema: &Value) -> Vec<Question> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Vec::new() };
    let question = |(id, of): (&String, &Value)| {
        let titled = ["title", "description"].iter().find_map(|name| member::text(of, name));
        let mut choices: Vec<String> =
            member::list(of, "enum").iter().filter_map(|value| value.as_str().map(str::to_owned)).collect();
        choices.extend(
            member::list(of, "oneOf").iter().filter_map(|one| member::text(one, "const").map(str::to_owned)),
        );
        if member::text(of, "type") == Some("boolean") {
            choices = vec!["true".to_owned(), "false".to_owned()];
        }
        choices.truncate(MAX);
        Question {
            id: id.clone(),
            prompt: titled.unwrap_or(id).to_owned(),
            options: (!choices.is_empty()).then_some(choices),
            secret: (member::text(of, "format") == Some("password")).then_some(true),
            free_form: None,
        }
    };
    properties.iter().take(MAX).map(question).collect()
}

/// The answers as the form wants them: a text becomes what its property is.
fn content(schema: &Value, answers: Map<String, Value>) -> Map<String, Value> {
    let typed = |(id, answer): (String, Value)| {
        let of = schema.get("properties")?.get(&id)?;
        let text = answer.as_str().map(str::trim);
        let value = match (member::text(of, "type"), text) {
            (Some("boolean"), Some(text)) => text.parse::<bool>().ok()?.into(),
            (Some("integer"), Some(text)) => text.parse::<i64>().ok()?.into(),
            (Some("number"), Some(text)) => text.parse::<f64>().ok()?.into(),
            (Some("array"), Some(text)) => json!([text]),
            _ => answer,
        };
        Some((id, value))
    };
    answers.into_iter().filter_map(typed).collect()
}

/// `elicitation/create`: a form becomes questions to the user; anything else is declined. False if it was refused.
pub(super) async fn elicitation(inbox: &Arc<Inbox>, params: Value, responder: Responder) -> bool {
    let schema = params.get("requestedSchema").cloned().unwrap_or_default();
    let questions = questions(&schema);
    let form = member::text(&params, "mode") == Some("form") && !questions.is_empty();
    let (true, Some(turn)) = (form, inbox.turn()) else {
        responder.ok(&json!({"action": "decline"})).await;
        return true;
    };
    let Some((responder, room)) = room(inbox, responder).await else { return false };
    let call = member::text(&params, "toolCallId");
    let item_id = call.and_then(|id| inbox.state.lock().translator.as_ref()?.item_of(id));
    let request = InputRequest {
        request_id: Ulid::generate().to_string(),
        item_id,
        title: member::text(&params, "message").map(str::to_owned),
        questions,
        expires_at: None,
    };
    let inbox = Arc::clone(inbox);
    tokio::spawn(async move {
        let _room = room;
        let withdrawn: CancellationToken = responder.cancel_token();
        let outcome = tokio::select! {
            outcome = inbox.cx.ask(turn.id, request) => outcome,
            () = withdrawn.cancelled() => {
                return responder.error(code::REQUEST_CANCELLED, "request cancelled").await;
            }
            () = inbox.retired.cancelled() => return,
        };
        let answer = match outcome {
            InputOutcome::Answered { answers } => {
                json!({"action": "accept", "content": content(&schema, answers)})
            }
            InputOutcome::Declined => json!({"action": "decline"}),
            InputOutcome::Cancelled => {
                after_cancel(&turn).await;
                json!({"action": "cancel"})
            }
        };
        responder.ok(&answer).await;
    });
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(allow: bool, option: Option<&str>) -> PermissionDecision {
        PermissionDecision {
            allow,
            always: false,
            option_id: option.map(str::to_owned),
            message: None,
            cancelled: false,
        }
    }

    #[test]
    fn an_answer_is_one_that_was_offered() {
        let offered = options(&json!({"options": [
            {"optionId": "a", "kind": "allow_once", "name": "Allow"}, {"optionId": "b", "kind": 7}, {"name": "no id"}, 3,
        ]}));
        assert_eq!(offered.len(), 2);
        assert_eq!(offered[1].kind, PermissionKind::Other(String::new()));
        assert_eq!(chosen(&offered, &decision(true, Some("a"))), Some("a"));
        assert_eq!(chosen(&offered, &decision(true, Some("c"))), None);
        assert_eq!(chosen(&offered, &decision(false, None)), None);
    }

    #[test]
    fn a_question_says_what_it_is_about() {
        let of = |call: Value| request(Ulid::generate(), None, &json!({"toolCall": call}));
        let command = of(
            json!({"toolCallId": "1", "title": "Run ls", "kind": "execute", "rawInput": {"command": "ls"}}),
        );
        assert_eq!(Value::from(command.detail.unwrap()), json!({"type": "command", "command": "ls"}));
        let edit = of(json!({"kind": "edit", "content": [{"type": "diff", "path": "/a"}, 7]}));
        assert_eq!(Value::from(edit.detail.unwrap()), json!({"type": "file_change", "paths": ["/a"]}));
        assert_eq!((edit.title.as_str(), edit.tool_kind.as_deref()), ("edit", Some("edit")));
        assert_eq!(of(json!({"title": 3, "rawInput": []})).title, "The agent asks for permission");
    }

    #[test]
    fn a_form_is_asked_and_answered_in_its_types() {
        let schema = json!({"properties": {
            "name": {"type": "string", "title": "Your name"}, "many": {"type": "integer"}, "sure": {"type": "boolean"},
            "color": {"type": "string", "enum": ["red", "blue", 3]}, "odd": 7,
        }});
        let asked = questions(&schema);
        let options: Vec<usize> = asked.iter().map(|q| q.options.as_ref().map_or(0, Vec::len)).collect();
        assert_eq!((asked.len(), options.iter().sum::<usize>()), (5, 4));
        let answers = json!({"name": " x", "many": "7", "sure": "true", "color": "red", "else": 1});
        let Value::Object(answers) = answers else { panic!() };
        let expected = json!({"name": " x", "many": 7, "sure": true, "color": "red"});
        assert_eq!(Value::Object(content(&schema, answers)), expected);
        for wrong in [json!(null), json!({"properties": []}), json!([])] {
            assert!(questions(&wrong).is_empty());
        }
    }
}
