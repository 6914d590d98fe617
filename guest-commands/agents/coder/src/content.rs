//! What a prompt is made of: blocks of ACP as the history has them.

use agentos_agent_common::rpc::{Failure, INVALID_PARAMS};
use serde_json::Value;

use crate::history::Block;

/// Images that every API takes.
const IMAGES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/// Largest image, in bytes of base64.
const MAX_IMAGE: usize = 6 << 20;

/// All text of a prompt, in bytes.
const MAX_TEXT: usize = 2 << 20;

/// Blocks of a prompt.
const MAX_BLOCKS: usize = 256;

/// Reads the blocks of a prompt.
pub(crate) fn read(blocks: &Value) -> Result<Vec<Block>, Failure> {
    let invalid = |why: &'static str| Failure::new(INVALID_PARAMS, why);
    let blocks = blocks.as_array().ok_or_else(|| invalid("prompt must be a list"))?;
    if blocks.len() > MAX_BLOCKS {
        return Err(invalid("a prompt has at most 256 blocks"));
    }
    let blocks = blocks.iter().map(block).collect::<Result<Vec<_>, _>>()?;
    let text = blocks.iter().map(|block| if let Block::Text(text) = block { text.len() } else { 0 });
    if text.sum::<usize>() > MAX_TEXT {
        return Err(invalid("the prompt has more than 2 MiB of text; put it into files"));
    }
    let empty = |block: &Block| matches!(block, Block::Text(text) if text.trim().is_empty());
    if blocks.iter().all(empty) {
        return Err(invalid("the prompt is empty"));
    }
    Ok(blocks)
}

fn block(block: &Value) -> Result<Block, Failure> {
    let invalid = |why: &'static str| Err(Failure::new(INVALID_PARAMS, why));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match block["type"].as_str() {
        Some("text") => Ok(Block::Text(text(&block["text"]))),
        Some("resource_link") => {
            Ok(Block::Text(format!("The user points at {} ({})", text(&block["uri"]), text(&block["name"]))))
        }
        Some("resource") => {
            let resource = &block["resource"];
            let uri = text(&resource["uri"]);
            match (&resource["text"], resource["mimeType"].as_str(), &resource["blob"]) {
                (Value::String(text), ..) => {
                    Ok(Block::Text(format!("<attached uri={uri:?}>\n{text}\n</attached>")))
                }
                (_, Some(mime), Value::String(data)) if IMAGES.contains(&mime) => image(mime, data),
                _ => invalid("a resource that is no text and no image cannot be shown to a model"),
            }
        }
        Some("image") => match (block["mimeType"].as_str(), block["data"].as_str()) {
            (Some(mime), Some(data)) if IMAGES.contains(&mime) => image(mime, data),
            _ => invalid("an image has data, and is image/png, image/jpeg, image/gif or image/webp"),
        },
        _ => invalid("prompts take text, image, resource_link and resource"),
    }
}

fn image(mime: &str, data: &str) -> Result<Block, Failure> {
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    if data.len() > MAX_IMAGE || data.is_empty() || !data.bytes().all(base64) {
        return Err(Failure::new(INVALID_PARAMS, "an image is base64 of at most 6 MiB"));
    }
    Ok(Block::Image { mime: mime.to_owned(), data: data.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blocks_are_read() {
        let blocks = read(&json!([
            {"type": "text", "text": "look"},
            {"type": "image", "mimeType": "image/png", "data": "QQ=="},
            {"type": "resource_link", "uri": "file:///a", "name": "a"},
            {"type": "resource", "resource": {"uri": "file:///b", "text": "inside"}},
            {"type": "resource", "resource": {"uri": "file:///c", "mimeType": "image/gif", "blob": "QQ=="}},
        ]))
        .unwrap();
        let image = |mime: &str| Block::Image { mime: mime.into(), data: "QQ==".into() };
        let text = |text: &str| Block::Text(text.into());
        assert_eq!(
            blocks,
            [
                text("look"),
                image("image/png"),
                text("The user points at file:///a (a)"),
                text("<attached uri=\"file:///b\">\ninside\n</attached>"),
                image("image/gif"),
            ]
        );
        for (bad, want) in [
            (json!("x"), "a list"),
            (json!([]), "empty"),
            (json!([{"type": "text", "text": " "}]), "empty"),
            (json!([{"type": "audio", "data": "", "mimeType": "audio/wav"}]), "prompts take"),
            (json!([{"type": "image", "data": "QQ==", "mimeType": "image/tiff"}]), "image/png"),
            (json!([{"type": "image", "data": "?", "mimeType": "image/png"}]), "base64"),
            (json!([{"type": "resource", "resource": {"uri": "x", "blob": "QQ=="}}]), "no text and no image"),
            (json!([{"type": "text", "text": "x".repeat(MAX_TEXT + 1)}]), "2 MiB"),
            (json!(vec![json!({"type": "text", "text": "x"}); 257]), "256 blocks"),
        ] {
            let failure = read(&bad).unwrap_err();
            assert!(failure.0 == INVALID_PARAMS && failure.1.contains(want), "{failure:?}");
        }
    }
}
