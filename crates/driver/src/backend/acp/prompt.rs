//! What an agent is told: the blocks of a prompt as far as it can take them, and the guide that a session begins with. It
//! converts no pictures and no sound.

use serde_json::{Map, Value, json};

use super::Capabilities;
use crate::ErrorInfo;
use crate::backend::Context;
use crate::backend::options;
use crate::event::{ContentBlock, GivenBlock};

/// Content that the agent cannot take.
pub(super) const UNSUPPORTED_CONTENT: &str = "acp.unsupported_content";

/// The blocks of a prompt as they came. What the agent cannot take is told in another form, if there is one: an embedded file becomes
/// text, and a picture that is elsewhere a link.
///
/// # Errors
/// `acp.unsupported_content`: a picture, sound or bytes for an agent that takes none.
pub(super) fn blocks(input: &[GivenBlock], can: &Capabilities) -> Result<Vec<Value>, ErrorInfo> {
    input.iter().map(|given| degrade(given, can)).collect()
}

fn degrade(given: &GivenBlock, can: &Capabilities) -> Result<Value, ErrorInfo> {
    let missing = |what: &str| {
        Err(ErrorInfo::new(UNSUPPORTED_CONTENT, format!("the agent does not take {what} in prompts")))
    };
    match &given.block {
        // Its bytes are elsewhere: the agent is told where.
        ContentBlock::Image { data: None, uri: Some(uri), mime_type } => {
            let link = json!({"type": "resource_link", "uri": uri, "name": uri, "mimeType": mime_type});
            Ok(instead(given, link))
        }
        ContentBlock::Image { data: None, .. } => missing("pictures without content"),
        ContentBlock::Image { .. } if !can.image => missing("pictures"),
        ContentBlock::Audio { .. } if !can.audio => missing("sound"),
        ContentBlock::Resource { resource } if !can.embedded_context => match &resource.text {
            Some(text) => {
                Ok(instead(given, json!({"type": "text", "text": format!("{}\n{text}", resource.uri)})))
            }
            None => missing("embedded files that are not text"),
        },
        _ => serde_json::to_value(given).map_err(|error| {
            ErrorInfo::new(UNSUPPORTED_CONTENT, format!("a block cannot be written: {error}"))
        }),
    }
}

/// A block that stands for another, with what that one had besides its content: annotations, `_meta` and the like, which every type
/// has. Of an embedded file `_meta` is kept, too.
fn instead(given: &GivenBlock, block: Value) -> Value {
    let mut all = given.more().clone();
    all.remove("data");
    let of_file = match all.remove("resource") {
        Some(Value::Object(mut members)) => members.remove("_meta"),
        _ => None,
    };
    if let Some(Value::Object(of_file)) = of_file
        && let Value::Object(meta) = all.entry("_meta").or_insert_with(|| Value::Object(Map::new()))
    {
        for (name, value) in of_file {
            meta.entry(name).or_insert(value);
        }
    }
    if let Value::Object(members) = block {
        all.extend(members);
    }
    Value::Object(all)
}

/// What the agent is told besides its own instructions; nothing if that is nothing.
pub(super) fn guide(cx: &Context) -> Option<String> {
    let text = options::guide(&cx.execution.profile_prompt, cx.skills(), cx.skill_catalog());
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_degraded_or_refused() {
        let none = Capabilities::default();
        let all =
            Capabilities { image: true, audio: true, embedded_context: true, ..Capabilities::default() };
        let of = |value: &Value, can: &Capabilities| {
            let block: GivenBlock = serde_json::from_value(value.clone()).unwrap();
            blocks(&[block], can).map(|mut blocks| blocks.remove(0)).ok()
        };
        let text = json!({"type": "text", "text": "a"});
        let link = json!({"type": "resource_link", "uri": "file:///a", "name": "a"});
        let unknown = json!({"type": "x_hologram", "depth": 3});
        let image = json!({"type": "image", "mimeType": "image/png", "data": "AA=="});
        let audio = json!({"type": "audio", "mimeType": "audio/wav", "data": "AA=="});
        let file = json!({"type": "resource", "resource": {"uri": "file:///a", "text": "body"}});
        let blob = json!({"type": "resource", "resource": {"uri": "file:///a", "blob": "AA=="}});
        for same in [&text, &link, &unknown] {
            assert_eq!(of(same, &none).as_ref(), Some(same));
        }
        for same in [&image, &audio, &file, &blob] {
            assert_eq!(of(same, &all).as_ref(), Some(same));
        }
        for refused in [&image, &audio, &blob] {
            assert_eq!(of(refused, &none), None, "{refused}");
        }
        assert_eq!(of(&file, &none), Some(json!({"type": "text", "text": "file:///a\nbody"})));
        let elsewhere = json!({"type": "image", "mimeType": "image/png", "uri": "https://a/b"});
        let linked = json!({"type": "resource_link", "uri": "https://a/b", "name": "https://a/b", "mimeType": "image/png"});
        assert_eq!(of(&elsewhere, &none), Some(linked));
    }

    #[test]
    fn what_a_block_has_besides_is_kept_in_any_form() {
        let of = |value: &Value, can: &Capabilities| {
            let given: GivenBlock = serde_json::from_value(value.clone()).unwrap();
            blocks(&[given], can).unwrap().remove(0)
        };
        let none = Capabilities::default();
        let files = Capabilities { embedded_context: true, ..Capabilities::default() };
        let link = json!({"type": "resource_link", "uri": "file:///a", "name": "a", "title": "A", "description": "of a",
            "annotations": {"audience": ["assistant"], "of_tomorrow": [1]}, "_meta": {"x": 1}});
        assert_eq!(of(&link, &none), link);
        let file = json!({"type": "resource", "annotations": {"priority": 1}, "_meta": {"a": 1, "b": 1},
            "resource": {"uri": "file:///a", "text": "body", "lines": [3, 4], "_meta": {"b": 2, "c": 2}}});
        assert_eq!(of(&file, &files), file);
        let text = json!({"type": "text", "text": "file:///a\nbody", "annotations": {"priority": 1},
            "_meta": {"a": 1, "b": 1, "c": 2}});
        assert_eq!(of(&file, &none), text);
        let picture = json!({"type": "image", "mimeType": "image/png", "data": null, "uri": "https://a/b", "name": "mine",
            "_meta": {"x": 1}});
        let linked = json!({"type": "resource_link", "uri": "https://a/b", "name": "https://a/b", "mimeType": "image/png",
            "_meta": {"x": 1}});
        assert_eq!(of(&picture, &none), linked);
    }
}
