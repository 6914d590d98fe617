//! OpenAI's Responses (`POST …/responses`, `stream: true`). Nothing is kept at the vendor's: the whole history is sent.

use serde_json::{Value, json};

use super::{Decoder, Delta, Draft, Query, Stop, Usage, draft::Open, fault::Fault, number, parse};
use crate::history::{Block, Item, Piece};

pub(super) fn body(query: &Query<'_>) -> Value {
    let mut input: Vec<Value> = Vec::new();
    for item in query.items {
        match item {
            Item::User(blocks) => {
                let content: Vec<_> = blocks.iter().map(block).collect();
                input.push(json!({"type": "message", "role": "user", "content": content}));
            }
            Item::Assistant(pieces) => input.extend(pieces.iter().filter_map(piece)),
            Item::Results(results) => input.extend(results.iter().map(|outcome| {
                // There is no other sign of a failure.
                let text = if outcome.ok { outcome.text.clone() } else { format!("Error: {}", outcome.text) };
                json!({"type": "function_call_output", "call_id": outcome.call, "output": text})
            })),
        }
    }
    let mut body = json!({
        "model": query.model,
        "stream": true,
        "store": false,
        "instructions": query.system,
        "input": input,
    });
    if let Some(most) = query.max_tokens {
        body["max_output_tokens"] = json!(most);
    }
    if !query.tools.is_empty() {
        let tool = |tool: &super::Tool| {
            json!({
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.schema,
                "strict": false,
            })
        };
        body["tools"] = query.tools.iter().map(tool).collect();
    }
    body
}

fn block(block: &Block) -> Value {
    match block {
        Block::Text(text) => json!({"type": "input_text", "text": text}),
        Block::Image { mime, data } => {
            json!({"type": "input_image", "image_url": format!("data:{mime};base64,{data}")})
        }
    }
}

fn piece(piece: &Piece) -> Option<Value> {
    match piece {
        Piece::Text(text) => {
            let content = json!([{"type": "output_text", "text": text}]);
            Some(json!({"type": "message", "role": "assistant", "content": content}))
        }
        Piece::Call(call) => {
            let arguments = call.input.to_string();
            Some(
                json!({"type": "function_call", "call_id": call.id, "name": call.name, "arguments": arguments}),
            )
        }
        // Thoughts are kept at the vendor's, and so not at all.
        Piece::Thought { .. } => None,
    }
}

/// Reads the events of one answer.
#[derive(Debug, Default)]
pub(super) struct Reader {
    draft: Draft,
    usage: Usage,
    stop: Option<Stop>,
}

impl Reader {
    /// A whole item: what did not come in pieces is taken from it.
    fn item(&mut self, index: u64, item: &Value) -> Result<Vec<Delta>, Fault> {
        let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
        match item["type"].as_str() {
            Some("function_call") => {
                let make = || Open::Call { id: text("call_id"), name: text("name"), input: String::new() };
                let whole = text("arguments");
                if let Open::Call { input, .. } = self.draft.piece(index, make)?
                    && input.is_empty()
                {
                    self.draft.input(index, &whole)?;
                }
                Ok(Vec::new())
            }
            Some("message") if matches!(self.draft.get(index), None | Some(Open::Text(_))) => {
                let known = matches!(self.draft.get(index), Some(Open::Text(text)) if !text.is_empty());
                if known {
                    return Ok(Vec::new());
                }
                let parts = item["content"].as_array().map(Vec::as_slice).unwrap_or_default();
                let part =
                    |part: &Value| part["text"].as_str().or(part["refusal"].as_str()).map(str::to_owned);
                let text: String = parts.iter().filter_map(part).collect();
                self.draft.text(index, &text)?;
                Ok(if text.is_empty() { Vec::new() } else { vec![Delta::Text(text)] })
            }
            _ => Ok(Vec::new()),
        }
    }

    fn end(&mut self, response: &Value, stop: Stop) {
        let usage = &response["usage"];
        let cached = number(&usage["input_tokens_details"]["cached_tokens"]);
        self.usage = Usage {
            input: number(&usage["input_tokens"]).saturating_sub(cached),
            output: number(&usage["output_tokens"]),
            cache_read: cached,
            cache_write: 0,
            thought: number(&usage["output_tokens_details"]["reasoning_tokens"]),
        };
        self.stop = Some(stop);
    }
}

impl Decoder for Reader {
    fn event(&mut self, data: &str) -> Result<Vec<Delta>, Fault> {
        if data.trim() == "[DONE]" {
            return Ok(Vec::new());
        }
        let event = parse(data)?;
        let index = number(&event["output_index"]);
        let more = event["delta"].as_str().unwrap_or_default();
        match event["type"].as_str() {
            Some("response.output_item.added" | "response.output_item.done") => {
                return self.item(index, &event["item"]);
            }
            Some("response.output_text.delta" | "response.refusal.delta") if !more.is_empty() => {
                self.draft.text(index, more)?;
                return Ok(vec![Delta::Text(more.to_owned())]);
            }
            Some("response.reasoning_summary_text.delta" | "response.reasoning_text.delta")
                if !more.is_empty() =>
            {
                self.draft.grow(more.len())?;
                return Ok(vec![Delta::Thought(more.to_owned())]);
            }
            Some("response.function_call_arguments.delta") => self.draft.input(index, more)?,
            Some("response.completed") => self.end(&event["response"], Stop::End),
            Some("response.incomplete") => {
                let filtered = event["response"]["incomplete_details"]["reason"] == "content_filter";
                self.end(&event["response"], if filtered { Stop::Refusal } else { Stop::Length });
            }
            Some("response.failed") => return Err(Fault::of_event(&event["response"]["error"])),
            Some("error") => {
                let error = if event["error"].is_object() { &event["error"] } else { &event };
                return Err(Fault::of_event(error));
            }
            _ => {}
        }
        Ok(Vec::new())
    }

    fn is_over(&self) -> bool {
        self.stop.is_some()
    }

    fn draft(&mut self) -> &mut Draft {
        &mut self.draft
    }

    fn finish(&mut self) -> Option<(Stop, Usage)> {
        self.stop.map(|stop| (stop, self.usage))
    }
}
