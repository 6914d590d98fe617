//! What an agent is told: the blocks of a prompt as far as it can take them, and the guide that a session begins with. It
//! converts no pictures and no sound.

use serde_json::{Value, json};

use super::Capabilities;
use crate::ErrorInfo;
use crate::backend::Context;
use crate::backend::options;
use crate::event::ContentBlock;

/// Content that the agent cannot take.
pub(super) const UNSUPPORTED_CONTENT: &str = "acp.unsupported_content";

/// The blocks of a prompt, each as the agent can take it: an embedded file becomes text where that is not supported.
///
/// # Errors
/// `acp.unsupported_content`: a picture, sound or bytes for an agent that takes none.
pub(super) fn blocks(input: &[ContentBlock], can: &Capabilities) -> Result<Vec<Value>, ErrorInfo> {
    input.iter().map(|block| degrade(block, can)).collect()
}

fn degrade(block: &ContentBlock, can: &Capabilities) -> Result<Value, ErrorInfo> {
    let missing = |what: &str| {
        Err(ErrorInfo::new(UNSUPPORTED_CONTENT, format!("the agent does not take {what} in prompts")))
    };
    match block {
        // Its bytes are elsewhere: the agent is told where.
        ContentBlock::Image { data: None, uri: Some(uri), mime_type } => {
            Ok(json!({"type": "resource_link", "uri": uri, "name": uri, "mimeType": mime_type}))
        }
        ContentBlock::Image { data: None, .. } => missing("pictures without content"),
        ContentBlock::Image { .. } if !can.image => missing("pictures"),
        ContentBlock::Audio { .. } if !can.audio => missing("sound"),
        ContentBlock::Resource { resource } if !can.embedded_context => match &resource.text {
            Some(text) => Ok(json!({"type": "text", "text": format!("{}\n{text}", resource.uri)})),
            None => missing("embedded files that are not text"),
        },
        other => serde_json::to_value(other).map_err(|error| {
            ErrorInfo::new(UNSUPPORTED_CONTENT, format!("a block cannot be written: {error}"))
        }),
    }
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
            let block: ContentBlock = serde_json::from_value(value.clone()).unwrap();
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
}
