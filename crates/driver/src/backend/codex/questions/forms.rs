//! Questions to the user, and forms of MCP servers: their fields as questions, and answers in the types of the fields.

use serde_json::{Map, Value, json};

use super::{Ask, Subject, Verdict};
use crate::backend::codex::wire;
use crate::event::{InputOutcome, Question};

/// Most questions of one request.
const MAX_QUESTIONS: usize = 32;
/// The question of a form without fields.
const CONFIRM: &str = "confirm";

impl Ask {
    pub(super) fn questions(&self) -> Vec<Question> {
        let question = |question: &Value| {
            let options: Vec<String> = wire::list(question, "options")
                .iter()
                .filter_map(|option| option.as_str().or(wire::text(option, "label")).map(str::to_owned))
                .collect();
            let is = |name: &str| question.get(name).and_then(Value::as_bool).unwrap_or(false);
            Some(Question {
                id: wire::name(question, "id")?.to_owned(),
                prompt: wire::text_or_empty(question, "question"),
                free_form: Some(options.is_empty() || is("isOther")),
                options: (!options.is_empty()).then_some(options),
                secret: is("isSecret").then_some(true),
            })
        };
        wire::list(&self.params, "questions").iter().filter_map(question).take(MAX_QUESTIONS).collect()
    }

    /// The fields of a form, by name.
    pub(super) fn fields(&self) -> Map<String, Value> {
        let schema = self.params.get("requestedSchema").unwrap_or(&Value::Null);
        wire::object(schema, "properties").unwrap_or_default().into_iter().take(MAX_QUESTIONS).collect()
    }

    pub(super) fn form(&self) -> Vec<Question> {
        let question = |(id, field): (String, Value)| {
            let choices: Vec<String> = match field.get("type").and_then(Value::as_str) {
                Some("boolean") => vec!["true".to_owned(), "false".to_owned()],
                _ => wire::list(&field, "enum").iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            };
            let prompt = wire::text(&field, "description").or(wire::text(&field, "title")).unwrap_or(&id);
            Question {
                prompt: prompt.to_owned(),
                free_form: Some(choices.is_empty()),
                options: (!choices.is_empty()).then_some(choices),
                secret: None,
                id,
            }
        };
        let fields = self.fields();
        if fields.is_empty() {
            // Nothing to fill in: yes or no.
            let prompt = wire::text(&self.params, "url").or(wire::text(&self.params, "message"));
            return vec![Question {
                id: CONFIRM.to_owned(),
                prompt: prompt.unwrap_or("Accept?").to_owned(),
                options: Some(vec!["accept".to_owned(), "decline".to_owned()]),
                secret: None,
                free_form: Some(false),
            }];
        }
        fields.into_iter().map(question).collect()
    }

    /// What the user said, for the vendor; nothing if nobody wants it any more.
    pub(in super::super) fn said(&self, outcome: &InputOutcome) -> Option<(Verdict, Value)> {
        let answers = match outcome {
            InputOutcome::Cancelled => return None,
            InputOutcome::Declined => return Some((Verdict::Said, self.subject.refusal())),
            InputOutcome::Answered { answers } => answers,
        };
        let answer = if self.subject == Subject::Elicitation {
            let fields = self.fields();
            if fields.is_empty() && answers.get(CONFIRM).is_some_and(|said| strings(said) == ["decline"]) {
                return Some((Verdict::Said, self.subject.refusal()));
            }
            let known =
                answers.iter().filter_map(|(id, said)| Some((id.clone(), typed(fields.get(id)?, said))));
            json!({ "action": "accept", "content": Value::Object(known.collect()), "_meta": null })
        } else {
            let all = answers.iter().map(|(id, said)| (id.clone(), json!({ "answers": strings(said) })));
            json!({ "answers": Value::Object(all.collect()) })
        };
        Some((Verdict::Said, answer))
    }
}

/// An answer as a list of strings.
fn strings(said: &Value) -> Vec<String> {
    match said {
        Value::String(text) => vec![text.clone()],
        Value::Array(all) => all.iter().flat_map(strings).collect(),
        Value::Object(members) => members.get("answers").map(strings).unwrap_or_default(),
        Value::Null => Vec::new(),
        other => vec![other.to_string()],
    }
}

/// An answer in the type of its field.
fn typed(field: &Value, said: &Value) -> Value {
    let text = match said {
        Value::String(text) => text.as_str(),
        Value::Array(all) if wire::text(field, "type") != Some("array") => {
            all.first().and_then(Value::as_str).unwrap_or_default()
        }
        other => return other.clone(),
    };
    match wire::text(field, "type") {
        Some("boolean" | "integer" | "number") => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        Some("array") => json!([text]),
        _ => json!(text),
    }
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;
    use crate::backend::codex::questions::Asked;

    fn ask(subject: Subject, params: Value) -> Ask {
        Ask { id: json!(0), subject, run: Ulid::nil(), item_id: None, params }
    }

    #[test]
    fn answers_of_the_user_get_the_form_that_was_asked_for() {
        let questions = json!({"questions": [
            {"id": "a", "question": "Which?", "options": [{"label": "x"}, {"label": "y"}], "isOther": false},
            {"id": "b", "question": "Key?", "isSecret": true, "options": null},
            {"question": "without an id"}, 7,
        ]});
        let user = ask(Subject::UserInput, questions);
        let Asked::Input(request) = user.asked() else { panic!() };
        let asked = serde_json::to_value(&request.questions).unwrap();
        assert_eq!(
            asked,
            json!([
                {"id": "a", "prompt": "Which?", "options": ["x", "y"], "freeForm": false},
                {"id": "b", "prompt": "Key?", "secret": true, "freeForm": true},
            ])
        );
        let answers = json!({"a": "x", "b": ["k", 7]}).as_object().cloned().unwrap();
        let (_, answer) = user.said(&InputOutcome::Answered { answers }).unwrap();
        assert_eq!(answer, json!({"answers": {"a": {"answers": ["x"]}, "b": {"answers": ["k", "7"]}}}));
        assert_eq!(user.said(&InputOutcome::Declined).unwrap().1, json!({"answers": {}}));
        assert_eq!(user.said(&InputOutcome::Cancelled), None);
    }

    #[test]
    fn a_form_of_an_mcp_server_is_asked_by_field_and_without_fields_it_is_yes_or_no() {
        let form = ask(
            Subject::Elicitation,
            json!({"message": "More?", "requestedSchema": {"properties": {
                "n": {"type": "integer", "description": "How many"}, "ok": {"type": "boolean"}, "s": {"enum": ["p", "q"]},
            }}}),
        );
        let Asked::Input(request) = form.asked() else { panic!() };
        assert_eq!(request.title.as_deref(), Some("More?"));
        let prompts: Vec<&str> = request.questions.iter().map(|question| question.prompt.as_str()).collect();
        assert_eq!(prompts, ["How many", "ok", "s"]);
        let answers = json!({"n": "3", "ok": "true", "s": ["p"], "other": 1}).as_object().cloned().unwrap();
        let (_, answer) = form.said(&InputOutcome::Answered { answers }).unwrap();
        assert_eq!(answer["content"], json!({"n": 3, "ok": true, "s": "p"}));
        let bare =
            ask(Subject::Elicitation, json!({"message": "Sure?", "requestedSchema": {"properties": {}}}));
        let Asked::Input(request) = bare.asked() else { panic!() };
        assert_eq!((request.questions.len(), request.questions[0].prompt.as_str()), (1, "Sure?"));
        for (said, action) in [("accept", "accept"), ("decline", "decline")] {
            let answers = json!({"confirm": said}).as_object().cloned().unwrap();
            let (_, answer) = bare.said(&InputOutcome::Answered { answers }).unwrap();
            assert_eq!(answer["action"], action);
        }
        let meta = json!({"message": "Call it?", "_meta": {"codex_approval_kind": "mcp_tool_call"}});
        let Asked::Permission(request) = ask(Subject::Elicitation, meta).asked() else { panic!() };
        assert_eq!(request.description.as_deref(), Some("Call it?"));
    }
}
