//! Anthropic's Messages API (`POST /v1/messages`, `stream: true`).

use serde_json::{Value, json};

use super::{Decoder, Delta, Draft, Query, Stop, Usage, draft::Open, fault::Fault, number, parse};
use crate::history::{Block, Item, Piece};

/// Value of the header `anthropic-version`.
pub(super) const VERSION: &str = "2023-06-01";

const API: &str = "anthropic";

pub(super) fn body(query: &Query<'_>) -> Value {
    let cached = json!({"type": "ephemeral"});
    let mut messages: Vec<Value> = Vec::new();
    for item in query.items {
        let (role, content) = match item {
            Item::User(blocks) => ("user", blocks.iter().filter_map(block).collect()),
            Item::Assistant(pieces) => ("assistant", pieces.iter().filter_map(piece).collect::<Vec<_>>()),
            Item::Results(results) => {
                let result = |o: &crate::history::Outcome| json!({"type": "tool_result", "tool_use_id": o.call, "content": o.text, "is_error": !o.ok});
                ("user", results.iter().map(result).collect())
            }
        };
        match messages.last_mut() {
            _ if content.is_empty() => {}
            // Roles have to take turns.
            Some(last) if last["role"] == role => {
                if let Some(all) = last["content"].as_array_mut() {
                    all.extend(content);
                }
            }
            _ => messages.push(json!({"role": role, "content": content})),
        }
    }
    // What is the same in the next request need not be read again: up to here.
    if let Some(last) = messages.last_mut().and_then(|m| m["content"].as_array_mut()?.last_mut()) {
        last["cache_control"] = cached.clone();
    }
    let mut body = json!({
        "model": query.model,
        "max_tokens": query.max_tokens.unwrap_or(8192),
        "stream": true,
        "system": [{"type": "text", "text": query.system, "cache_control": cached}],
        "messages": messages,
    });
    if !query.tools.is_empty() {
        let tool = |tool: &super::Tool| json!({"name": tool.name, "description": tool.description, "input_schema": tool.schema});
        body["tools"] = query.tools.iter().map(tool).collect();
    }
    body
}

fn block(block: &Block) -> Option<Value> {
    match block {
        // Empty ones are refused.
        Block::Text(text) if text.trim().is_empty() => None,
        Block::Text(text) => Some(json!({"type": "text", "text": text})),
        Block::Image { mime, data } => {
            let source = json!({"type": "base64", "media_type": mime, "data": data});
            Some(json!({"type": "image", "source": source}))
        }
    }
}

fn piece(piece: &Piece) -> Option<Value> {
    match piece {
        Piece::Text(text) if text.trim().is_empty() => None,
        Piece::Text(text) => Some(json!({"type": "text", "text": text})),
        Piece::Call(call) => {
            Some(json!({"type": "tool_use", "id": call.id, "name": call.name, "input": call.input}))
        }
        Piece::Thought { api, raw } => (api == API).then(|| raw.clone()),
    }
}

/// Reads the events of one answer.
#[derive(Debug, Default)]
pub(super) struct Reader {
    draft: Draft,
    usage: Usage,
    stop: Option<Stop>,
    over: bool,
}

impl Reader {
    fn start(&mut self, index: u64, block: &Value) -> Result<Vec<Delta>, Fault> {
        let text = |key: &str| block[key].as_str().unwrap_or_default().to_owned();
        match block["type"].as_str() {
            Some("text") => {
                let text = text("text");
                self.draft.text(index, &text)?;
                return Ok(delta(Delta::Text(text)));
            }
            Some("tool_use") => {
                let input = match &block["input"] {
                    // Comes in pieces.
                    Value::Object(input) if input.is_empty() => String::new(),
                    Value::Null => String::new(),
                    input => input.to_string(),
                };
                self.draft.grow(input.len())?;
                self.draft.piece(index, || Open::Call { id: text("id"), name: text("name"), input })?;
            }
            Some("thinking" | "redacted_thinking") => {
                self.draft.grow(block.to_string().len())?;
                self.draft.piece(index, || Open::Thought { api: API, raw: block.clone() })?;
                return Ok(delta(Delta::Thought(text("thinking"))));
            }
            // Tools of the vendor's side are not asked for.
            _ => {}
        }
        Ok(Vec::new())
    }

    fn grow(&mut self, index: u64, change: &Value) -> Result<Vec<Delta>, Fault> {
        let text = |key: &str| change[key].as_str().unwrap_or_default();
        match change["type"].as_str() {
            Some("text_delta") => {
                self.draft.text(index, text("text"))?;
                return Ok(delta(Delta::Text(text("text").to_owned())));
            }
            Some("input_json_delta") => self.draft.input(index, text("partial_json"))?,
            Some("thinking_delta") => {
                self.add(index, "thinking", text("thinking"))?;
                return Ok(delta(Delta::Thought(text("thinking").to_owned())));
            }
            Some("signature_delta") => self.add(index, "signature", text("signature"))?,
            _ => {}
        }
        Ok(Vec::new())
    }

    /// Adds to a member of a thought.
    fn add(&mut self, index: u64, key: &str, more: &str) -> Result<(), Fault> {
        self.draft.grow(more.len())?;
        if let Some(Open::Thought { raw, .. }) = self.draft.get(index) {
            let all = format!("{}{more}", raw[key].as_str().unwrap_or_default());
            raw[key] = json!(all);
        }
        Ok(())
    }

    fn count(&mut self, usage: &Value) {
        let Self { usage: known, .. } = self;
        for (key, count) in [
            ("input_tokens", &mut known.input),
            ("output_tokens", &mut known.output),
            ("cache_read_input_tokens", &mut known.cache_read),
            ("cache_creation_input_tokens", &mut known.cache_write),
        ] {
            // The last count holds.
            if let Some(tokens) = usage[key].as_u64() {
                *count = tokens;
            }
        }
    }
}

fn delta(delta: Delta) -> Vec<Delta> {
    match &delta {
        Delta::Text(text) | Delta::Thought(text) if text.is_empty() => Vec::new(),
        _ => vec![delta],
    }
}

impl Decoder for Reader {
    fn event(&mut self, data: &str) -> Result<Vec<Delta>, Fault> {
        let event = parse(data)?;
        let index = number(&event["index"]);
        match event["type"].as_str() {
            Some("message_start") => self.count(&event["message"]["usage"]),
            Some("content_block_start") => return self.start(index, &event["content_block"]),
            Some("content_block_delta") => return self.grow(index, &event["delta"]),
            Some("message_delta") => {
                self.count(&event["usage"]);
                self.stop = match event["delta"]["stop_reason"].as_str() {
                    None => self.stop,
                    Some("max_tokens" | "model_context_window_exceeded") => Some(Stop::Length),
                    Some("refusal") => Some(Stop::Refusal),
                    Some(_) => Some(Stop::End),
                };
            }
            Some("message_stop") => self.over = true,
            Some("error") => return Err(Fault::of_event(&event["error"])),
            // `ping`, the end of a block, and what is not known yet.
            _ => {}
        }
        Ok(Vec::new())
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn draft(&mut self) -> &mut Draft {
        &mut self.draft
    }

    fn finish(&mut self) -> Option<(Stop, Usage)> {
        // An end without its reason is none: the answer may miss its last part.
        self.stop.filter(|_| self.over).map(|stop| (stop, self.usage))
    }
}
