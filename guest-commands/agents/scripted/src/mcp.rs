//! The messages of the Model Context Protocol that the agent sends and reads, as a client that only calls tools. It
//! starts no server and waits for none.

use serde_json::{Value, json};

use crate::rpc::METHOD_NOT_FOUND;

/// The version asked for; whatever the server answers is taken.
const VERSION: &str = "2025-06-18";

/// Longest cursor that is repeated to a server, in bytes.
const MAX_CURSOR: usize = 2048;

/// Longest explanation of a server that is repeated, in bytes.
const MAX_WHY: usize = 1024;

/// One page of a server's tools.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// The tool is on it.
    Found,
    /// There is another page, under this cursor.
    More(String),
    /// It was the last one.
    Last,
}

/// The parameters of `initialize`.
pub(crate) fn initialize() -> Value {
    json!({
        "protocolVersion": VERSION,
        "capabilities": {},
        "clientInfo": {"name": "scripted", "title": "Scripted agent", "version": env!("CARGO_PKG_VERSION")},
    })
}

/// The parameters of `tools/list`.
pub(crate) fn list(cursor: Option<&str>) -> Value {
    cursor.map_or_else(|| json!({}), |cursor| json!({"cursor": cursor}))
}

/// Looks for a tool in an answer to `tools/list`; an error says why it cannot be read.
pub(crate) fn page(answer: Result<Value, Value>, tool: &str) -> Result<Page, String> {
    let page = match answer {
        Ok(page) => page,
        // A server without tools.
        Err(error) if error["code"] == METHOD_NOT_FOUND => return Ok(Page::Last),
        Err(error) => return Err(format!("refused tools/list: {}", why(&error))),
    };
    let tools = page["tools"].as_array().ok_or("answered tools/list without tools")?;
    if tools.iter().any(|each| each["name"] == tool) {
        return Ok(Page::Found);
    }
    match page["nextCursor"].as_str() {
        None => Ok(Page::Last),
        Some(cursor) if cursor.len() > MAX_CURSOR => Err("sent a cursor that is too long".to_owned()),
        Some(cursor) => Ok(Page::More(cursor.to_owned())),
    }
}

/// Whether an answer to `tools/call` is good, and its text: that of its text blocks, or else its structured content.
pub(crate) fn result(result: &Value) -> (bool, String) {
    let blocks = result["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    let texts: Vec<&str> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
    let text = match result.get("structuredContent") {
        Some(structured) if texts.is_empty() => structured.to_string(),
        _ => texts.join("\n"),
    };
    (result["isError"] != true, text)
}

/// What an error object says.
pub(crate) fn why(error: &Value) -> String {
    let text = error["message"].as_str().unwrap_or("an error without a message");
    text[..text.floor_char_boundary(MAX_WHY)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_searched() {
        let found = json!({"tools": [{"name": "a"}, {"name": "b"}], "nextCursor": "x"});
        assert_eq!(page(Ok(found.clone()), "b"), Ok(Page::Found));
        assert_eq!(page(Ok(found), "c"), Ok(Page::More("x".to_owned())));
        assert_eq!(page(Ok(json!({"tools": [{"name": "bb"}]})), "b"), Ok(Page::Last));
        assert_eq!(page(Ok(json!({"tools": [1, null], "nextCursor": null})), "b"), Ok(Page::Last));
        assert_eq!(page(Err(json!({"code": -32601, "message": "no"})), "b"), Ok(Page::Last));
        for (answer, want) in [
            (Err(json!({"code": 1, "message": "busy"})), "refused tools/list: busy"),
            (Err(json!("x")), "refused tools/list: an error without a message"),
            (Ok(json!(null)), "answered tools/list without tools"),
            (Ok(json!({"tools": {}})), "answered tools/list without tools"),
            (
                Ok(json!({"tools": [], "nextCursor": "x".repeat(MAX_CURSOR + 1)})),
                "sent a cursor that is too long",
            ),
        ] {
            assert_eq!(page(answer, "b"), Err(want.to_owned()));
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
