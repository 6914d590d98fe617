//! Items of the vendor's threads as items of events. What is in an item is read here; when it begins and ends is not
//! decided here.

use serde_json::{Map, Value, json};

use super::wire;
use crate::event::{
    Change, ChangedFile, ContentBlock, Edit, FileChange, Item, ItemKind, ItemStatus, PlanEntry, Role,
};

/// Members that every item has, or whose names events use themselves.
const OWN: &[&str] = &[
    "id",
    "type",
    "status",
    "kind",
    "itemId",
    "parentItemId",
    "startedAt",
    "completedAt",
    "startedAtMs",
    "completedAtMs",
];

/// The vendor's type of an item.
pub(super) fn type_of(item: &Value) -> &str {
    wire::name(item, "type").unwrap_or("unknown")
}

/// Whether it only repeats what we said.
pub(super) fn is_echo(item: &Value) -> bool {
    matches!(type_of(item), "userMessage" | "hookPrompt")
}

/// Whether its beginning does not mean that it runs: somebody may be asked first.
pub(super) fn waits(item: &Value) -> bool {
    matches!(type_of(item), "commandExecution" | "fileChange" | "mcpToolCall" | "dynamicToolCall")
}

/// What an item is; nothing if too little of it is there.
pub(super) fn kind(item: &Value) -> Option<ItemKind> {
    let text = |name: &str| wire::text_or_empty(item, name);
    Some(match type_of(item) {
        "agentMessage" => ItemKind::Message {
            role: Role::Agent,
            content: blocks_of(wire::text(item, "text")?),
            phase: wire::text(item, "phase").map(str::to_owned),
        },
        "reasoning" => {
            ItemKind::Reasoning { summary: texts(item, "summary"), content: texts(item, "content") }
        }
        "plan" => ItemKind::Plan { entries: entries_of_text(&text("text")) },
        "commandExecution" => ItemKind::Command {
            command: wire::text(item, "command")?.to_owned(),
            cwd: text("cwd"),
            output: wire::text(item, "aggregatedOutput").map(str::to_owned),
            exit_code: item.get("exitCode").and_then(Value::as_i64).and_then(|n| i32::try_from(n).ok()),
            duration_ms: item.get("durationMs").and_then(Value::as_u64),
        },
        "fileChange" => ItemKind::FileChange { changes: edits(item) },
        "mcpToolCall" => mcp_call(item)?,
        "dynamicToolCall" => dynamic_call(item)?,
        other => ItemKind::Other { kind: format!("x_{}", snake(other)), fields: rest(item) },
    })
}

/// How an item ended. A command by its status, if the vendor does not say.
pub(super) fn ended(item: &Value) -> ItemStatus {
    let went_wrong = item.get("exitCode").and_then(Value::as_i64).is_some_and(|code| code != 0)
        || item.get("success").and_then(Value::as_bool) == Some(false)
        || (type_of(item) == "mcpToolCall" && item.get("error").is_some_and(|error| !error.is_null()));
    match wire::text(item, "status") {
        Some("failed" | "errored") => ItemStatus::Failed,
        Some("declined") => ItemStatus::Declined,
        Some("cancelled" | "interrupted") => ItemStatus::Cancelled,
        // Said to be at its end and to be still at it: nobody knows its result.
        Some("inProgress") if waits(item) => ItemStatus::Failed,
        _ if went_wrong => ItemStatus::Failed,
        _ => ItemStatus::Completed,
    }
}

/// The last word on an item, with what was seen of it where the vendor leaves that out.
pub(super) fn complete(item: &mut Item, seen: Option<&Item>) {
    let Some(seen) = seen else { return };
    match (&mut item.kind, &seen.kind) {
        (ItemKind::Command { output, .. }, ItemKind::Command { output: Some(written), .. }) => {
            output.get_or_insert_with(|| written.clone());
        }
        (
            ItemKind::Reasoning { summary, content },
            ItemKind::Reasoning { summary: in_short, content: at_length },
        ) if summary.is_empty() && content.is_empty() => {
            summary.clone_from(in_short);
            content.clone_from(at_length);
        }
        _ => {}
    }
}

/// The files that a finished change of files has changed.
pub(super) fn changed(kind: &ItemKind, item: &Value, item_id: &str) -> Vec<ChangedFile> {
    let ItemKind::FileChange { changes } = kind else { return Vec::new() };
    let file =
        |path: &str, change| ChangedFile { path: path.to_owned(), change, item_id: Some(item_id.to_owned()) };
    let mut files: Vec<ChangedFile> = changes
        .iter()
        .map(|edit| {
            let gone = edit.change == Change::Delete;
            file(&edit.path, if gone { FileChange::Delete } else { FileChange::Upsert })
        })
        .collect();
    // One that was moved is gone from where it was.
    for change in wire::list(item, "changes") {
        let moved = change
            .get("kind")
            .and_then(|kind| wire::text(kind, "move_path").or(wire::text(kind, "movePath")));
        if let (Some(to), Some(from)) = (moved.filter(|to| !to.is_empty()), wire::text(change, "path")) {
            files.retain(|file| file.path != from);
            files.push(file(from, FileChange::Delete));
            files.push(file(to, FileChange::Upsert));
        }
    }
    files
}

/// The changes of an item or a patch.
pub(super) fn edits(of: &Value) -> Vec<Edit> {
    let edit = |change: &Value| {
        // An object with a type, or the type alone.
        let kind = change.get("kind").unwrap_or(&Value::Null);
        let word = kind.as_str().or(wire::text(kind, "type")).unwrap_or("update");
        Some(Edit {
            path: wire::text(change, "path").filter(|path| !path.is_empty())?.to_owned(),
            change: match word {
                "add" => Change::Add,
                "delete" => Change::Delete,
                _ => Change::Update,
            },
            diff: wire::text(change, "diff").map(str::to_owned),
        })
    };
    wire::list(of, "changes").iter().filter_map(edit).collect()
}

/// The steps of a plan.
pub(super) fn entries(params: &Value) -> Vec<PlanEntry> {
    let entry = |step: &Value| {
        Some(PlanEntry {
            content: wire::text(step, "step")?.to_owned(),
            priority: None,
            status: match wire::text(step, "status") {
                Some("inProgress") => "in_progress",
                Some("completed") => "completed",
                _ => "pending",
            }
            .to_owned(),
        })
    };
    wire::list(params, "plan").iter().filter_map(entry).collect()
}

/// The input of a call of a tool, which should be an object.
pub(super) fn arguments(of: &Value) -> Map<String, Value> {
    match of.get("arguments") {
        Some(Value::Object(members)) => members.clone(),
        None | Some(Value::Null) => Map::new(),
        Some(other) => Map::from_iter([("value".to_owned(), other.clone())]),
    }
}

/// The name of a tool of ours, as it was declared.
pub(super) fn tool_name(of: &Value) -> String {
    wire::text_or_empty(of, "tool")
}

fn entries_of_text(text: &str) -> Vec<PlanEntry> {
    if text.is_empty() {
        return Vec::new();
    }
    vec![PlanEntry { content: text.to_owned(), priority: None, status: "pending".to_owned() }]
}

fn blocks_of(text: &str) -> Vec<ContentBlock> {
    if text.is_empty() { Vec::new() } else { vec![ContentBlock::text(text)] }
}

fn texts(item: &Value, name: &str) -> Vec<String> {
    let part = |part: &Value| part.as_str().or(wire::text(part, "text")).map(str::to_owned);
    wire::list(item, name).iter().filter_map(part).collect()
}

fn mcp_call(item: &Value) -> Option<ItemKind> {
    let result = item.get("result").filter(|result| !result.is_null());
    let error = item.get("error").filter(|error| !error.is_null());
    let said = result.map(|result| wire::list(result, "content").iter().map(block).collect::<Vec<_>>());
    let output = said.or(error.and_then(wire::message_of).map(|text| vec![ContentBlock::text(text)]));
    Some(ItemKind::ToolCall {
        name: wire::text(item, "tool")?.to_owned(),
        title: None,
        tool_kind: None,
        server: wire::text(item, "server").map(str::to_owned),
        input: arguments(item),
        is_error: output.is_some().then_some(error.is_some() || ended_badly(result)),
        output,
        raw_output: result
            .and_then(|result| result.get("structuredContent"))
            .filter(|raw| !raw.is_null())
            .cloned(),
        locations: None,
    })
}

fn ended_badly(result: Option<&Value>) -> bool {
    result.and_then(|result| result.get("isError")).and_then(Value::as_bool).unwrap_or(false)
}

fn dynamic_call(item: &Value) -> Option<ItemKind> {
    let said = item.get("contentItems").and_then(Value::as_array);
    Some(ItemKind::ToolCall {
        name: wire::text(item, "tool")?.to_owned(),
        title: None,
        tool_kind: None,
        server: wire::text(item, "namespace").map(str::to_owned),
        input: arguments(item),
        output: said.map(|items| items.iter().map(content_item).collect()),
        raw_output: None,
        is_error: item.get("success").and_then(Value::as_bool).map(|well| !well),
        locations: None,
    })
}

/// A block of content of a tool of an MCP server.
fn block(block: &Value) -> ContentBlock {
    match serde_json::from_value(block.clone()) {
        Ok(block) => block,
        Err(_) => ContentBlock::text(block.to_string()),
    }
}

/// A block of content of a tool of ours, as the vendor writes it.
fn content_item(item: &Value) -> ContentBlock {
    match wire::text(item, "type") {
        Some("inputText") => ContentBlock::text(wire::text_or_empty(item, "text")),
        Some("inputImage") => ContentBlock::Image {
            mime_type: "image/*".to_owned(),
            data: None,
            uri: Some(wire::text_or_empty(item, "imageUrl")),
        },
        _ => block(item),
    }
}

/// A block of content as the answer of a tool of ours.
pub(super) fn as_content_item(block: &ContentBlock) -> Value {
    let text = |text: &str| json!({ "type": "inputText", "text": text });
    match block {
        ContentBlock::Text { text: said } => text(said),
        ContentBlock::Image { mime_type, data, uri } => match (data, uri) {
            (Some(data), _) => {
                json!({ "type": "inputImage", "imageUrl": format!("data:{mime_type};base64,{data}") })
            }
            (None, Some(uri)) => json!({ "type": "inputImage", "imageUrl": uri }),
            (None, None) => text(""),
        },
        ContentBlock::Audio { mime_type, data } => {
            json!({ "type": "inputAudio", "audioUrl": format!("data:{mime_type};base64,{data}") })
        }
        other => text(&plain(other)),
    }
}

/// A block of content as text, for what takes nothing else.
pub(super) fn plain(block: &ContentBlock) -> String {
    match block {
        ContentBlock::Text { text } => text.clone(),
        ContentBlock::ResourceLink { uri, name, .. } => format!("{name}: {uri}"),
        ContentBlock::Resource { resource } => match &resource.text {
            Some(text) => format!("{}:\n{text}", resource.uri),
            None => resource.uri.clone(),
        },
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

/// `webSearch` as `web_search`.
fn snake(name: &str) -> String {
    let name = match name {
        "contextCompaction" => "compaction",
        other => other,
    };
    let mut snake = String::new();
    for c in name.chars().filter(|c| c.is_alphanumeric() || *c == '_').take(64) {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

fn rest(item: &Value) -> Map<String, Value> {
    let members = item.as_object().cloned().unwrap_or_default();
    members.into_iter().filter(|(name, value)| !OWN.contains(&name.as_str()) && !value.is_null()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_event(item: Value) -> Value {
        let kind = kind(&item).unwrap();
        let event = Item::new("i", ItemStatus::Running, kind);
        let mut value = serde_json::to_value(event).unwrap();
        let members = value.as_object_mut().unwrap();
        for name in ["itemId", "status", "startedAt"] {
            members.remove(name).unwrap();
        }
        value
    }

    #[test]
    fn items_keep_what_the_vendor_says_of_them() {
        let rows = [
            (
                json!({"type": "agentMessage", "id": "m", "text": "hi", "phase": "final_answer", "more": 1}),
                json!({"kind": "message", "role": "agent", "content": [{"type": "text", "text": "hi"}], "phase": "final_answer"}),
            ),
            (
                json!({"type": "reasoning", "summary": ["a", 7, {"text": "b"}], "content": null}),
                json!({"kind": "reasoning", "summary": ["a", "b"], "content": []}),
            ),
            (
                json!({"type": "commandExecution", "command": "ls", "cwd": "/w", "aggregatedOutput": "o", "exitCode": 3, "durationMs": 4}),
                json!({"kind": "command", "command": "ls", "cwd": "/w", "output": "o", "exitCode": 3, "durationMs": 4}),
            ),
            (
                json!({"type": "fileChange", "changes": [{"path": "/a", "kind": {"type": "add"}, "diff": "+x"}, {"path": "/b", "kind": "delete"}, {"kind": "add"}, 7]}),
                json!({"kind": "file_change", "changes": [{"path": "/a", "change": "add", "diff": "+x"}, {"path": "/b", "change": "delete"}]}),
            ),
            (
                json!({"type": "mcpToolCall", "server": "s", "tool": "t", "arguments": {"a": 1}, "result": {"content": [{"type": "text", "text": "r"}], "structuredContent": {"b": 2}}, "error": null}),
                json!({"kind": "tool_call", "name": "t", "server": "s", "input": {"a": 1}, "output": [{"type": "text", "text": "r"}], "rawOutput": {"b": 2}, "isError": false}),
            ),
            (
                json!({"type": "mcpToolCall", "server": "s", "tool": "t", "arguments": [1], "error": {"message": "no"}}),
                json!({"kind": "tool_call", "name": "t", "server": "s", "input": {"value": [1]}, "output": [{"type": "text", "text": "no"}], "isError": true}),
            ),
            (
                json!({"type": "dynamicToolCall", "tool": "t", "arguments": null, "contentItems": [{"type": "inputText", "text": "r"}, {"type": "inputImage", "imageUrl": "u"}], "success": true}),
                json!({"kind": "tool_call", "name": "t", "input": {}, "output": [{"type": "text", "text": "r"}, {"type": "image", "mimeType": "image/*", "uri": "u"}], "isError": false}),
            ),
            (
                json!({"type": "webSearch", "id": "w", "query": "q", "action": null, "status": "inProgress"}),
                json!({"kind": "x_web_search", "query": "q"}),
            ),
            (json!({"type": "contextCompaction", "id": "c"}), json!({"kind": "x_compaction"})),
            (
                json!({"type": "ofALaterVersion", "kind": 7, "itemId": 8}),
                json!({"kind": "x_of_a_later_version"}),
            ),
            (
                json!({"type": "plan", "text": "first"}),
                json!({"kind": "plan", "entries": [{"content": "first", "status": "pending"}]}),
            ),
        ];
        for (item, expected) in rows {
            assert_eq!(as_event(item.clone()), expected, "{item}");
        }
        for item in [
            json!({"type": "agentMessage"}),
            json!({"type": "commandExecution", "command": 7}),
            json!({"type": "mcpToolCall"}),
        ] {
            assert_eq!(kind(&item), None, "{item}");
        }
        assert!(kind(&json!(7)).is_some_and(|kind| matches!(kind, ItemKind::Other { .. })));
    }

    #[test]
    fn the_end_of_an_item_is_what_its_result_says() {
        use ItemStatus::{Cancelled, Completed, Declined, Failed};
        let rows = [
            (json!({"type": "commandExecution", "status": "completed", "exitCode": 0}), Completed),
            (json!({"type": "commandExecution", "status": "completed", "exitCode": null}), Completed),
            (json!({"type": "commandExecution", "status": "completed", "exitCode": 2}), Failed),
            (json!({"type": "commandExecution", "status": "failed", "exitCode": 0}), Failed),
            (json!({"type": "commandExecution", "status": "declined"}), Declined),
            (json!({"type": "commandExecution", "status": "inProgress"}), Failed),
            (json!({"type": "fileChange", "status": "completed"}), Completed),
            (json!({"type": "mcpToolCall", "status": "completed", "error": {"message": "no"}}), Failed),
            (json!({"type": "dynamicToolCall", "status": "completed", "success": false}), Failed),
            (json!({"type": "webSearch", "status": "interrupted"}), Cancelled),
            (json!({"type": "agentMessage"}), Completed),
        ];
        for (item, expected) in rows {
            assert_eq!(ended(&item), expected, "{item}");
        }
    }

    #[test]
    fn a_moved_file_is_gone_where_it_was_and_there_where_it_is() {
        let item = json!({"type": "fileChange", "changes": [
            {"path": "/a", "kind": {"type": "update", "move_path": "/b"}},
            {"path": "/c", "kind": {"type": "update", "move_path": null}},
            {"path": "/d", "kind": {"type": "delete"}},
        ]});
        let files = changed(&kind(&item).unwrap(), &item, "i");
        let files: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.change)).collect();
        use FileChange::{Delete, Upsert};
        assert_eq!(files, [("/c", Upsert), ("/d", Delete), ("/a", Delete), ("/b", Upsert)]);
    }

    #[test]
    fn what_was_streamed_stays_where_the_last_word_leaves_it_out() {
        let of = |item: Value| Item::new("i", ItemStatus::Completed, kind(&item).unwrap());
        let seen = of(json!({"type": "commandExecution", "command": "ls", "aggregatedOutput": "streamed"}));
        for (written, expected) in [(Value::Null, "streamed"), (json!("all"), "all")] {
            let mut last =
                of(json!({"type": "commandExecution", "command": "ls", "aggregatedOutput": written}));
            complete(&mut last, Some(&seen));
            assert!(
                matches!(&last.kind, ItemKind::Command { output: Some(output), .. } if output == expected)
            );
        }
        let thought = of(json!({"type": "reasoning", "content": ["long"]}));
        let mut last = of(json!({"type": "reasoning", "summary": [], "content": []}));
        complete(&mut last, Some(&thought));
        assert_eq!(last.kind, thought.kind);
    }
}
