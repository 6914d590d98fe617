//! Whether a tool may run: `can_use_tool`.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::connection::Connection;
use super::super::translate::{file, server, sort};
use super::super::wire::{list, object, shortened, text, word};
use super::{Answer, dialog};
use crate::event::{PermissionDetail, PermissionKind, PermissionOption};
use crate::ports::PermissionRequest;

/// What the model is told of a refusal that says nothing itself.
const REFUSED: &str = "The user refused this.";
/// The longest title, in bytes.
const TITLE: usize = 1024;

/// Asks whether a tool may run.
pub(super) async fn answer(connection: Arc<Connection>, request_id: String, request: Value) -> Answer {
    let name = text(&request, "tool_name").unwrap_or_default();
    let input = object(&request, "input");
    let id = word(&request, "tool_use_id");
    let allow = |more: Value| {
        let mut allowed = json!({ "behavior": "allow", "updatedInput": input });
        if let (Some(allowed), Value::Object(more)) = (allowed.as_object_mut(), more) {
            allowed.extend(more);
        }
        Some(Ok(allowed))
    };
    let deny = |message: &str| Some(Ok(json!({ "behavior": "deny", "message": message })));
    let Some(turn_id) = connection.state.lock().turn() else { return deny("No turn runs.") };
    let title = word(&request, "title").map(|title| shortened(title, TITLE));
    let (item_id, effects) = match id {
        Some(id) => connection.state.lock().asked(id, name, &input, title.as_deref()),
        None => (None, Vec::new()),
    };
    connection.perform(effects).await;
    let runs = || async {
        let effect = id.and_then(|id| connection.state.lock().allowed(id));
        connection.perform(effect.into_iter().collect()).await;
    };
    // What the host has given it, it may use.
    if connection.tools.owns(name) {
        runs().await;
        return allow(Value::Null);
    }
    // The item is there unless there are too many.
    let item_id = item_id.filter(|id| connection.cx.is_open(id));
    if name == dialog::QUESTION_TOOL
        && let Some(asked) = dialog::questions(&input)
    {
        let asked = dialog::ask_user(&connection, turn_id, request_id, item_id, asked).await;
        return match asked {
            dialog::Asked::Answered(answers) => {
                runs().await;
                let mut input = input.clone();
                input.insert("answers".to_owned(), answers);
                allow(json!({ "updatedInput": input }))
            }
            dialog::Asked::Declined => {
                refuse(&connection, id);
                deny("The user does not want to answer.")
            }
            dialog::Asked::Cancelled => None,
        };
    }
    let always = updates(&request);
    let display = word(&request, "display_name").unwrap_or(name);
    let decision = connection
        .cx
        .permission(PermissionRequest {
            request_id,
            item_id,
            turn_id,
            title: title.unwrap_or_else(|| shortened(display, TITLE)),
            description: word(&request, "description").map(str::to_owned),
            detail: Some(detail(&connection, name, &input, &request)),
            tool_kind: Some(sort(name).to_owned()),
            tool_name: Some(name.to_owned()),
            input: Some(input.clone()),
            options: if always.is_empty() { Vec::new() } else { options() },
            raw: None,
        })
        .await;
    if decision.cancelled {
        return None;
    }
    if !decision.allow {
        refuse(&connection, id);
        return deny(decision.message.as_deref().filter(|text| !text.is_empty()).unwrap_or(REFUSED));
    }
    runs().await;
    if decision.always { allow(json!({ "updatedPermissions": always })) } else { allow(Value::Null) }
}

fn refuse(connection: &Connection, id: Option<&str>) {
    if let Some(id) = id {
        connection.state.lock().denied(id);
    }
}

fn options() -> Vec<PermissionOption> {
    let option = |id: &str, kind, name: &str| PermissionOption {
        option_id: id.to_owned(),
        kind,
        name: name.to_owned(),
    };
    vec![
        option("allow_once", PermissionKind::AllowOnce, "Allow once"),
        option("allow_always", PermissionKind::AllowAlways, "Allow always"),
        option("reject_once", PermissionKind::RejectOnce, "Reject once"),
    ]
}

/// What the vendor is told so that it does not ask for the like again: of what it suggests, the rules that allow, and
/// directories. Another mode allows more than was asked for: it is taken only where nothing else is suggested. All of it
/// holds for the session; no settings file is changed.
fn updates(request: &Value) -> Vec<Value> {
    let of_type = |kinds: &[&str]| -> Vec<Value> {
        list(request, "permission_suggestions")
            .filter(|of| text(of, "type").is_some_and(|kind| kinds.contains(&kind)))
            .filter(|of| text(of, "behavior").is_none_or(|behavior| behavior == "allow"))
            .filter(|of| text(of, "mode").is_none_or(|mode| mode == "acceptEdits"))
            .filter_map(Value::as_object)
            .map(|of| {
                let mut of = of.clone();
                of.insert("destination".to_owned(), "session".into());
                Value::Object(of)
            })
            .collect()
    };
    let narrow = of_type(&["addRules", "addDirectories"]);
    if narrow.is_empty() { of_type(&["setMode"]) } else { narrow }
}

fn detail(
    connection: &Connection,
    name: &str,
    input: &Map<String, Value>,
    request: &Value,
) -> PermissionDetail {
    let mut detail = Map::new();
    let mut put = |name: &str, value: Value| {
        detail.insert(name.to_owned(), value);
    };
    let command = input.get("command").and_then(Value::as_str).filter(|_| name == "Bash");
    let path = file(input).filter(|_| sort(name) == "edit");
    match (command, path) {
        (Some(command), _) => {
            put("type", "command".into());
            put("command", command.into());
            put("cwd", connection.cx.execution.session.cwd.clone().into());
        }
        (None, Some(path)) => {
            put("type", "file_change".into());
            put("path", path.into());
        }
        (None, None) => {
            put("type", "tool_call".into());
            let of_server = server(name);
            put("name", of_server.map_or(name, |(_, tool)| tool).into());
            if let Some((server, _)) = of_server {
                put("server", server.into());
            }
        }
    }
    put("input", Value::Object(input.clone()));
    for (from, to) in [("blocked_path", "blockedPath"), ("decision_reason", "reason")] {
        if let Some(value) = word(request, from) {
            put(to, value.into());
        }
    }
    detail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allow_always_allows_what_was_asked_for_and_changes_no_settings_file() {
        let rule = json!({ "type": "addRules", "behavior": "allow", "destination": "localSettings",
            "rules": [{ "toolName": "Bash", "ruleContent": "ls" }] });
        let mode = json!({ "type": "setMode", "mode": "acceptEdits", "destination": "session" });
        let bypass = json!({ "type": "setMode", "mode": "bypassPermissions", "destination": "session" });
        let deny = json!({ "type": "addRules", "behavior": "deny", "rules": [] });
        let of = |all: &[&Value]| updates(&json!({ "permission_suggestions": all }));
        let mut narrow = rule.clone();
        narrow["destination"] = "session".into();
        assert_eq!(of(&[&rule, &mode]), [narrow]);
        assert_eq!(of(&[&mode]), std::slice::from_ref(&mode));
        assert!(of(&[&bypass, &deny]).is_empty());
        assert!(updates(&json!({ "permission_suggestions": [1, "a", null] })).is_empty());
        assert!(updates(&json!({})).is_empty());
    }
}
