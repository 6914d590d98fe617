//! Prompt content cut to what an agent can take: a resource becomes text where embedded context is not supported. It
//! converts no images and no audio.

use crate::{
    Error,
    schema::{ContentBlock, EmbeddedResourceResource, PromptCapabilities, TextContent},
};

/// Degrades or refuses each block by the agent's capabilities.
pub(super) fn degrade(
    blocks: Vec<ContentBlock>,
    capabilities: &PromptCapabilities,
) -> Result<Vec<ContentBlock>, Error> {
    blocks.into_iter().map(|block| degrade_one(block, capabilities)).collect()
}

fn degrade_one(block: ContentBlock, capabilities: &PromptCapabilities) -> Result<ContentBlock, Error> {
    let missing = |what: &str| Err(Error::NotSupported { what: what.to_owned() });
    match block {
        ContentBlock::Image(_) if !capabilities.image => missing("images in prompts"),
        ContentBlock::Audio(_) if !capabilities.audio => missing("audio in prompts"),
        ContentBlock::Resource(resource) if !capabilities.embedded_context => match resource.resource {
            EmbeddedResourceResource::TextResourceContents(text) => {
                Ok(ContentBlock::Text(TextContent::new(format!("{}\n{}", text.uri, text.text))))
            }
            _ => missing("binary resources in prompts"),
        },
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn content_is_degraded_or_refused() {
        let text = json!({"type": "text", "text": "a"});
        let link = json!({"type": "resource_link", "uri": "file:///a", "name": "a"});
        let resource = json!({"type": "resource", "resource": {"uri": "file:///a", "text": "body"}});
        let blob = json!({"type": "resource", "resource": {"uri": "file:///a", "blob": "AA=="}});
        let image = json!({"type": "image", "data": "", "mimeType": "image/png"});
        let run = |value: &serde_json::Value, capabilities: &PromptCapabilities| {
            let block = serde_json::from_value(value.clone()).unwrap();
            degrade(vec![block], capabilities).ok().map(|blocks| serde_json::to_value(&blocks[0]).unwrap())
        };
        let none = PromptCapabilities::new();
        let all = PromptCapabilities::new().image(true).audio(true).embedded_context(true);
        for same in [&text, &link] {
            assert_eq!(run(same, &none).as_ref(), Some(same));
        }
        assert_eq!(run(&resource, &none), Some(json!({"type": "text", "text": "file:///a\nbody"})));
        assert_eq!(run(&blob, &none), None);
        assert_eq!(run(&image, &none), None);
        for same in [&resource, &blob, &image] {
            assert_eq!(run(same, &all).as_ref(), Some(same));
        }
    }
}
