//! Questions to the user: those of MCP servers (`elicitation`), those of the program itself (`request_user_dialog`), and
//! those that the model asks by a tool.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use ulid::Ulid;

use super::super::connection::Connection;
use super::super::wire::{flag, list, object, shortened, text, word};
use super::Answer;
use crate::event::{InputOutcome, InputRequest, Question};

/// The tool by which the model asks the user.
pub(super) const QUESTION_TOOL: &str = "AskUserQuestion";
/// Questions of one request, and choices of a question.
const MANY: usize = 64;
/// The longest text that is shown, in bytes.
const TEXT: usize = 16 << 10;

/// What the user said to the model's questions.
pub(super) enum Asked {
    /// Answers, by the texts of the questions.
    Answered(Value),
    Declined,
    Cancelled,
}

/// A question of the model.
pub(super) struct Asking {
    prompt: String,
    options: Vec<String>,
}

/// The questions that the tool is called with; nothing if there are none.
pub(super) fn questions(input: &Map<String, Value>) -> Option<Vec<Asking>> {
    let all = input.get("questions")?.as_array()?;
    let asking = all.iter().take(MANY).filter_map(|question| {
        let prompt = word(question, "question")?.to_owned();
        let options = list(question, "options").filter_map(|option| word(option, "label")).take(MANY);
        Some(Asking { prompt, options: options.map(str::to_owned).collect() })
    });
    let asking: Vec<Asking> = asking.collect();
    (!asking.is_empty()).then_some(asking)
}

/// Asks what the model wants to know.
pub(super) async fn ask_user(
    connection: &Connection,
    turn: Ulid,
    request_id: String,
    item_id: Option<String>,
    asking: Vec<Asking>,
) -> Asked {
    let questions = asking.iter().enumerate().map(|(n, asking)| Question {
        id: format!("q{n}"),
        prompt: shortened(&asking.prompt, TEXT),
        options: (!asking.options.is_empty()).then(|| asking.options.clone()),
        free_form: Some(true),
        secret: None,
    });
    let questions = questions.collect();
    let request = InputRequest { request_id, item_id, title: None, questions, expires_at: None };
    match connection.cx.ask(turn, request).await {
        InputOutcome::Answered { answers } => {
            let said = asking.iter().enumerate().filter_map(|(n, asking)| {
                Some((asking.prompt.clone(), Value::from(spoken(answers.get(&format!("q{n}"))?))))
            });
            Asked::Answered(Value::Object(said.collect()))
        }
        InputOutcome::Declined => Asked::Declined,
        InputOutcome::Cancelled => Asked::Cancelled,
    }
}

/// An answer as text: several choices one after the other.
fn spoken(answer: &Value) -> String {
    match answer {
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(spoken).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A server asks the user.
pub(super) async fn elicitation(connection: Arc<Connection>, request_id: String, request: Value) -> Answer {
    let decline = || Some(Ok(json!({ "action": "decline" })));
    let Some(turn) = connection.state.lock().turn() else { return decline() };
    let message = shortened(text(&request, "message").unwrap_or_default(), TEXT);
    let schema = request.get("requested_schema").cloned().unwrap_or_default();
    let mut questions = form(&schema);
    let address = word(&request, "url");
    if questions.is_empty() {
        let prompt = address.map_or_else(|| message.clone(), |url| format!("{message}\n{url}"));
        let options = Some(vec!["accept".to_owned()]);
        questions.push(Question { id: "answer".to_owned(), prompt, options, ..Question::default() });
    }
    let item_id = None;
    let request = InputRequest { request_id, item_id, title: Some(message), questions, expires_at: None };
    match connection.cx.ask(turn, request).await {
        InputOutcome::Answered { answers } => {
            Some(Ok(json!({ "action": "accept", "content": filled(&schema, &answers) })))
        }
        InputOutcome::Declined => decline(),
        InputOutcome::Cancelled => None,
    }
}

/// The questions of a form.
fn form(schema: &Value) -> Vec<Question> {
    let fields = object(schema, "properties");
    let questions = fields.iter().take(MANY).map(|(id, field)| {
        let title = word(field, "title").unwrap_or(id);
        let prompt = match word(field, "description") {
            Some(more) => format!("{title}: {more}"),
            None => title.to_owned(),
        };
        let mut options: Vec<String> =
            list(field, "enum").filter_map(Value::as_str).take(MANY).map(str::to_owned).collect();
        if text(field, "type") == Some("boolean") {
            options = vec!["true".to_owned(), "false".to_owned()];
        }
        Question {
            id: id.clone(),
            prompt: shortened(&prompt, TEXT),
            free_form: Some(options.is_empty()),
            options: (!options.is_empty()).then_some(options),
            secret: (text(field, "format") == Some("password") || flag(field, "writeOnly")).then_some(true),
        }
    });
    questions.collect()
}

/// The answers in the types that the form wants, without what it does not ask for.
fn filled(schema: &Value, answers: &Map<String, Value>) -> Value {
    let fields = object(schema, "properties");
    let said = answers.iter().filter_map(|(id, answer)| {
        let kind = text(fields.get(id)?, "type").unwrap_or_default();
        let answer = match (kind, answer) {
            ("boolean", Value::String(said)) => said.parse().map_or(answer.clone(), Value::Bool),
            ("number", Value::String(said)) => said.parse::<f64>().map_or(answer.clone(), Value::from),
            ("integer", Value::String(said)) => said.parse::<i64>().map_or(answer.clone(), Value::from),
            _ => answer.clone(),
        };
        Some((id.clone(), answer))
    });
    Value::Object(said.collect())
}

/// The program asks the user.
pub(super) async fn user_dialog(connection: Arc<Connection>, request_id: String, request: Value) -> Answer {
    let decline = || Some(Ok(json!({ "behavior": "cancelled" })));
    let Some(turn) = connection.state.lock().turn() else { return decline() };
    let kind = word(&request, "dialog_kind").unwrap_or("dialog");
    let payload = request.get("payload").unwrap_or(&Value::Null);
    let said = ["message", "title", "prompt", "question"].iter().find_map(|name| word(payload, name));
    let options: Vec<String> = list(payload, "options")
        .filter_map(|option| option.as_str().or_else(|| word(option, "label")))
        .take(MANY)
        .map(str::to_owned)
        .collect();
    let question = Question {
        id: "answer".to_owned(),
        prompt: shortened(said.unwrap_or(kind), TEXT),
        free_form: Some(options.is_empty()),
        options: (!options.is_empty()).then_some(options),
        secret: None,
    };
    let item_id = word(&request, "tool_use_id").filter(|id| connection.cx.is_open(id)).map(str::to_owned);
    let title = Some(shortened(kind, TEXT));
    let asked = InputRequest { request_id, item_id, title, questions: vec![question], expires_at: None };
    match connection.cx.ask(turn, asked).await {
        InputOutcome::Answered { mut answers } => {
            let result = answers.remove("answer").unwrap_or(Value::Object(answers));
            Some(Ok(json!({ "behavior": "completed", "result": result })))
        }
        InputOutcome::Declined => decline(),
        InputOutcome::Cancelled => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_filled_in_its_own_types() {
        let schema = json!({ "properties": {
            "sure": { "type": "boolean" }, "many": { "type": "integer" }, "much": { "type": "number" },
            "colour": { "type": "string", "enum": ["red", "green"], "title": "Colour" },
        } });
        let questions = form(&schema);
        let of = |id: &str| questions.iter().find(|question| question.id == id).unwrap();
        assert_eq!(of("colour").options.as_deref(), Some(&["red".to_owned(), "green".to_owned()][..]));
        assert_eq!((of("many").options.as_ref(), of("many").free_form), (None, Some(true)));
        let Value::Object(answers) =
            json!({ "sure": "true", "many": "3", "much": "x", "colour": "red", "other": 1 })
        else {
            panic!("not an object");
        };
        assert_eq!(
            filled(&schema, &answers),
            json!({ "sure": true, "many": 3, "much": "x", "colour": "red" })
        );
    }

    #[test]
    fn several_choices_are_one_answer() {
        assert_eq!(spoken(&json!(["a", "b"])), "a, b");
        assert_eq!(spoken(&json!("a")), "a");
        assert_eq!(spoken(&json!(1)), "1");
    }
}
