//! The shapes of Claude Code's stream-json: how a member is read that may be missing or of any type, and what we write.
//! It keeps no state and knows nothing of turns.

use std::collections::{HashMap, VecDeque};

use serde_json::{Map, Value, json};

use crate::event::ContentBlock;

/// A member that is text.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

/// A member that is text with something in it.
pub(super) fn word<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    text(value, name).filter(|text| !text.is_empty())
}

/// A member that is an object; an empty one if it is none.
pub(super) fn object(value: &Value, name: &str) -> Map<String, Value> {
    value.get(name).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The members of a list; none if it is none.
pub(super) fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// A member that is a count. What is negative or no number is none.
pub(super) fn count(value: &Value, name: &str) -> Option<u64> {
    value.get(name).and_then(Value::as_u64)
}

/// A member that is true.
pub(super) fn flag(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// At most this many bytes of a text, cut between characters.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// A map that forgets what was put in first when it is full.
#[derive(Debug)]
pub(super) struct Recent<V> {
    by_name: HashMap<String, V>,
    order: VecDeque<String>,
    most: usize,
}

impl<V> Recent<V> {
    pub(super) fn new(most: usize) -> Self {
        Recent { by_name: HashMap::new(), order: VecDeque::new(), most }
    }

    pub(super) fn get(&self, name: &str) -> Option<&V> {
        self.by_name.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        self.by_name.get_mut(name)
    }

    /// The value of a name, made if it is new.
    pub(super) fn entry(&mut self, name: &str, make: impl FnOnce() -> V) -> &mut V {
        if !self.by_name.contains_key(name) {
            if self.order.len() >= self.most
                && let Some(oldest) = self.order.pop_front()
            {
                self.by_name.remove(&oldest);
            }
            self.order.push_back(name.to_owned());
        }
        self.by_name.entry(name.to_owned()).or_insert_with(make)
    }

    /// The one for which this holds.
    pub(super) fn find_mut(&mut self, is: impl Fn(&V) -> bool) -> Option<&mut V> {
        self.by_name.values_mut().find(|value| is(value))
    }

    /// In the order they were put in.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.order.iter().filter_map(|name| self.by_name.get(name))
    }
}

/// A request of ours.
pub(super) fn control_request(id: &str, request: &Value) -> Value {
    json!({ "type": "control_request", "request_id": id, "request": request })
}

/// Our answer to a request of the vendor.
pub(super) fn control_response(id: &str, answer: Result<Value, String>) -> Value {
    let response = match answer {
        Ok(response) => json!({ "subtype": "success", "request_id": id, "response": response }),
        Err(error) => json!({ "subtype": "error", "request_id": id, "error": error }),
    };
    json!({ "type": "control_response", "response": response })
}

/// What the user says.
pub(super) fn user(blocks: &[ContentBlock]) -> Value {
    let all: Vec<Value> = blocks.iter().map(said).collect();
    let empty = |block: &Value| text(block, "type") == Some("text") && text(block, "text") == Some("");
    let some = all.iter().any(|block| !empty(block));
    // The API refuses texts with nothing in them.
    let content: Vec<Value> = all.into_iter().filter(|block| !some || !empty(block)).collect();
    json!({
        "type": "user",
        "message": { "role": "user", "content": content },
        "parent_tool_use_id": null,
        "session_id": "",
    })
}

/// A block in the form of the Messages API. What the API has no form for becomes a text that says where it is.
fn said(block: &ContentBlock) -> Value {
    let source = |kind: &str, mime: &str, data: &str| json!({ "type": kind, "source": { "type": "base64", "media_type": mime, "data": data } });
    let note = |text: String| json!({ "type": "text", "text": text });
    match block {
        ContentBlock::Text { text } => note(text.clone()),
        ContentBlock::Image { mime_type, data: Some(data), .. } => source("image", mime_type, data),
        ContentBlock::Image { uri: Some(uri), .. } if uri.starts_with("https://") => {
            json!({ "type": "image", "source": { "type": "url", "url": uri } })
        }
        ContentBlock::Image { uri, .. } => note(format!("Image: {}", uri.as_deref().unwrap_or("missing"))),
        ContentBlock::Audio { mime_type, .. } => note(format!("Audio ({mime_type}) that cannot be played")),
        ContentBlock::ResourceLink { uri, name, .. } => note(format!("{name}: {uri}")),
        ContentBlock::Resource { resource } => {
            let mime = resource.mime_type.as_deref().unwrap_or_default();
            match (&resource.text, &resource.blob) {
                (Some(text), _) => json!({
                    "type": "document",
                    "source": { "type": "text", "media_type": "text/plain", "data": text },
                    "title": resource.uri,
                }),
                (None, Some(blob)) if mime.starts_with("image/") => source("image", mime, blob),
                (None, Some(blob)) if mime == "application/pdf" => source("document", mime, blob),
                _ => note(format!("File: {}", resource.uri)),
            }
        }
        ContentBlock::Other(members) => Value::Object(members.clone()),
    }
}

/// Blocks of a result, which is a text or a list.
pub(super) fn blocks(content: Option<&Value>) -> Vec<ContentBlock> {
    match content {
        Some(Value::String(text)) if text.is_empty() => Vec::new(),
        Some(Value::String(text)) => vec![ContentBlock::text(text.clone())],
        Some(Value::Array(all)) => all.iter().filter_map(heard).collect(),
        Some(other @ Value::Object(_)) => heard(other).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn heard(block: &Value) -> Option<ContentBlock> {
    if let Value::String(text) = block {
        return Some(ContentBlock::text(text.clone()));
    }
    let members = block.as_object()?;
    match text(block, "type") {
        Some("text") => Some(ContentBlock::text(text(block, "text").unwrap_or_default())),
        Some("image") => {
            let source = block.get("source")?;
            let owned = |name| text(source, name).map(str::to_owned);
            let mime_type = owned("media_type").unwrap_or_default();
            Some(ContentBlock::Image { mime_type, data: owned("data"), uri: owned("url") })
        }
        _ => Some(ContentBlock::Other(members.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_says_is_in_the_form_of_the_messages_api() {
        let image =
            ContentBlock::Image { mime_type: "image/png".into(), data: Some("aGk=".into()), uri: None };
        let message = user(&[ContentBlock::text(""), ContentBlock::text("look"), image]);
        assert_eq!(
            message["message"]["content"],
            json!([
                { "type": "text", "text": "look" },
                { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "aGk=" } },
            ])
        );
    }

    #[test]
    fn what_a_tool_says_is_text_or_a_list_of_blocks() {
        assert_eq!(blocks(Some(&json!("hi"))), [ContentBlock::text("hi")]);
        assert_eq!(blocks(Some(&json!(""))), []);
        assert_eq!(blocks(Some(&json!(7))), []);
        assert_eq!(blocks(None), []);
        let image = json!({ "type": "image", "source": { "media_type": "image/png", "data": "aGk=" } });
        let expected =
            ContentBlock::Image { mime_type: "image/png".into(), data: Some("aGk=".into()), uri: None };
        assert_eq!(blocks(Some(&json!([image]))), [expected]);
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(shortened("aé", 2), "a");
        assert_eq!(shortened("aé", 3), "aé");
        assert_eq!(shortened("", 3), "");
    }

    #[test]
    fn a_full_map_forgets_what_came_first() {
        let mut recent = Recent::new(2);
        for name in ["a", "b", "a", "c"] {
            recent.entry(name, || name.to_owned());
        }
        assert_eq!(recent.get("a"), None);
        assert_eq!(recent.values().collect::<Vec<_>>(), ["b", "c"]);
    }
}
