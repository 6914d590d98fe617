//! The messages of the Model Context Protocol that the agent sends and reads, as a client that only calls tools. It
//! starts no server and waits for none.

use serde_json::{Value, json};

use crate::rpc::METHOD_NOT_FOUND;

/// The version that is asked for; whatever the server answers is taken.
const VERSION: &str = "2025-06-18";

/// Longest cursor that is repeated to a server, in bytes.
const MAX_CURSOR: usize = 2048;

/// Longest explanation of a server that is repeated, in bytes.
const MAX_WHY: usize = 1024;

/// One page of a server's tools.
#[derive(Debug, Default, PartialEq)]
pub struct Page {
    /// The tools, as the server describes them.
    pub tools: Vec<Value>,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
}

/// The parameters of `initialize`, from an agent of this name and title.
#[must_use]
pub fn initialize(name: &str, title: &str) -> Value {
    json!({
        "protocolVersion": VERSION,
        "capabilities": {},
        "clientInfo": {"name": name, "title": title, "version": env!("CARGO_PKG_VERSION")},
    })
}

/// The parameters of `tools/list`.
#[must_use]
pub fn list(cursor: Option<&str>) -> Value {
    cursor.map_or_else(|| json!({}), |cursor| json!({"cursor": cursor}))
}

/// Reads an answer to `tools/list`.
///
/// # Errors
/// Why it cannot be read, for the user.
pub fn page(answer: Result<Value, Value>) -> Result<Page, String> {
    let mut page = match answer {
        Ok(page) => page,
        // A server without tools.
        Err(error) if error["code"] == METHOD_NOT_FOUND => return Ok(Page::default()),
        Err(error) => return Err(format!("refused tools/list: {}", why(&error))),
    };
    let Some(Value::Array(tools)) = page.get_mut("tools").map(Value::take) else {
        return Err("answered tools/list without tools".to_owned());
    };
    match page["nextCursor"].as_str() {
        Some(cursor) if cursor.len() > MAX_CURSOR => Err("sent a cursor that is too long".to_owned()),
        next => Ok(Page { tools, next: next.map(str::to_owned) }),
    }
}

/// Whether an answer to `tools/call` is good, and its text: that of its text blocks, or else its structured content.
#[must_use]
pub fn result(result: &Value) -> (bool, String) {
    let blocks = result["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    let texts: Vec<&str> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
    let text = match result.get("structuredContent") {
        Some(structured) if texts.is_empty() => structured.to_string(),
        _ => texts.join("\n"),
    };
    (result["isError"] != true, text)
}

/// What an error object says, cut to what one reads.
#[must_use]
pub fn why(error: &Value) -> String {
    let text = error["message"].as_str().unwrap_or("an error without a message");
    text[..text.floor_char_boundary(MAX_WHY)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read() {
        let first = json!({"tools": [{"name": "a"}, 1], "nextCursor": "x"});
        let tools = vec![json!({"name": "a"}), json!(1)];
        assert_eq!(page(Ok(first)), Ok(Page { tools, next: Some("x".to_owned()) }));
        let empty = Ok(Page::default());
        assert_eq!(page(Ok(json!({"tools": [], "nextCursor": null}))), empty);
        assert_eq!(page(Err(json!({"code": -32601, "message": "no"}))), empty);
        for (answer, want) in [
            (Err(json!({"code": 1, "message": "busy"})), "refused tools/list: busy"),
            (Err(json!("x")), "refused tools/list: an error without a message"),
            (Ok(json!(null)), "answered tools/list without tools"),
            (Ok(json!("x")), "answered tools/list without tools"),
            (Ok(json!([1])), "answered tools/list without tools"),
            (Ok(json!({"tools": {}})), "answered tools/list without tools"),
            (
                Ok(json!({"tools": [], "nextCursor": "x".repeat(MAX_CURSOR + 1)})),
                "sent a cursor that is too long",
            ),
        ] {
            assert_eq!(page(answer), Err(want.to_owned()));
        }
        assert_eq!(list(None), json!({}));
        assert_eq!(list(Some("x")), json!({"cursor": "x"}));
    }

    #[test]
    fn results_are_their_texts_or_their_structure() {
        let text = |text: &str| json!({"type": "text", "text": text});
        for (from, ok, want) in [
            (json!({"content": [text("a"), {"type": "image", "data": ""}, text("b")]}), true, "a\nb"),
            (json!({"content": [text("a")], "isError": true}), false, "a"),
            (json!({"content": [text("a")], "structuredContent": {"t": 1}}), true, "a"),
            (json!({"content": [], "structuredContent": {"t": 1}, "isError": false}), true, "{\"t\":1}"),
            (json!({}), true, ""),
            (json!(null), true, ""),
        ] {
            assert_eq!(result(&from), (ok, want.to_owned()), "{from}");
        }
        assert_eq!(why(&json!({"message": "ä".repeat(MAX_WHY)})).len(), MAX_WHY);
    }
}
