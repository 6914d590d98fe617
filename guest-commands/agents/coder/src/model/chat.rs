//! OpenAI's Chat Completions (`POST …/chat/completions`, `stream: true`), and endpoints that are compatible with them.

use serde_json::{Value, json};

use super::{Decoder, Delta, Draft, Query, Stop, Usage, draft::Open, fault::Fault, number, parse};
use crate::history::{Block, Call, Item, Piece};

const API: &str = "openai-chat";

/// Numbers of the pieces of an answer: the API numbers calls only.
const THOUGHT: u64 = 0;
const TEXT: u64 = 1;
const CALLS: u64 = 2;

/// The request; `own`: the endpoint is OpenAI's, whose newer models refuse the old name of a limit that is the only one
/// elsewhere.
pub(super) fn body(query: &Query<'_>, own: bool) -> Value {
    let mut messages = vec![json!({"role": "system", "content": query.system})];
    for item in query.items {
        match item {
            Item::User(blocks) => messages.push(json!({"role": "user", "content": content(blocks)})),
            Item::Assistant(pieces) => messages.extend(assistant(pieces)),
            Item::Results(results) => messages.extend(results.iter().map(|outcome| {
                // There is no other sign of a failure.
                let text = if outcome.ok { outcome.text.clone() } else { format!("Error: {}", outcome.text) };
                json!({"role": "tool", "tool_call_id": outcome.call, "content": text})
            })),
        }
    }
    let mut body = json!({
        "model": query.model,
        "stream": true,
        "stream_options": {"include_usage": true},
        "messages": messages,
    });
    if let Some(most) = query.max_tokens {
        body[if own { "max_completion_tokens" } else { "max_tokens" }] = json!(most);
    }
    if !query.tools.is_empty() {
        let tool = |tool: &super::Tool| {
            let function =
                json!({"name": tool.name, "description": tool.description, "parameters": tool.schema});
            json!({"type": "function", "function": function})
        };
        body["tools"] = query.tools.iter().map(tool).collect();
    }
    body
}

/// A text where that is all: some endpoints know nothing else.
fn content(blocks: &[Block]) -> Value {
    if blocks.iter().all(|block| matches!(block, Block::Text(_))) {
        let texts = blocks.iter().filter_map(|block| match block {
            Block::Text(text) => Some(text.as_str()),
            Block::Image { .. } => None,
        });
        return json!(texts.collect::<Vec<_>>().join("\n"));
    }
    let part = |block: &Block| match block {
        Block::Text(text) => json!({"type": "text", "text": text}),
        Block::Image { mime, data } => {
            json!({"type": "image_url", "image_url": {"url": format!("data:{mime};base64,{data}")}})
        }
    };
    blocks.iter().map(part).collect()
}

fn assistant(pieces: &[Piece]) -> Option<Value> {
    let text = crate::history::text(pieces);
    let mut message = json!({"role": "assistant", "content": text});
    let call = |call: &Call| {
        let function = json!({"name": call.name, "arguments": call.input.to_string()});
        json!({"id": call.id, "type": "function", "function": function})
    };
    let calls: Vec<_> = crate::history::calls(pieces).map(call).collect();
    if calls.is_empty() && text.is_empty() {
        return None;
    }
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
        if text.is_empty() {
            message["content"] = Value::Null;
        }
        // Endpoints that tell thoughts want them back with the calls that they led to.
        for piece in pieces {
            if let Piece::Thought { api, raw } = piece
                && api == API
                && let Some((key, thought)) = raw.as_object().and_then(|raw| raw.iter().next())
            {
                message[key] = thought.clone();
            }
        }
    }
    Some(message)
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
    fn call(&mut self, position: usize, call: &Value) -> Result<(), Fault> {
        let index = call["index"].as_u64().unwrap_or(position as u64);
        let number = index.saturating_add(CALLS);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (more_id, more_name) = (text(&call["id"]), text(&call["function"]["name"]));
        self.draft.grow(more_id.len() + more_name.len())?;
        let make = || Open::Call { id: String::new(), name: String::new(), input: String::new() };
        if let Open::Call { id, name, .. } = self.draft.piece(number, make)? {
            // Once, though some endpoints repeat them in every piece.
            if id.is_empty() {
                *id = more_id;
            }
            if name.is_empty() {
                *name = more_name;
            }
        }
        match &call["function"]["arguments"] {
            Value::String(more) => self.draft.input(number, more),
            Value::Object(whole) => self.draft.input(number, &json!(whole).to_string()),
            _ => Ok(()),
        }
    }

    fn thought(&mut self, key: &str, more: &str) -> Result<(), Fault> {
        self.draft.grow(more.len())?;
        let make = || Open::Thought { api: API, raw: json!({}) };
        if let Open::Thought { raw, .. } = self.draft.piece(THOUGHT, make)? {
            let all = format!("{}{more}", raw[key].as_str().unwrap_or_default());
            raw[key] = json!(all);
        }
        Ok(())
    }

    fn count(&mut self, usage: &Value) {
        let cached = number(&usage["prompt_tokens_details"]["cached_tokens"]);
        self.usage = Usage {
            input: number(&usage["prompt_tokens"]).saturating_sub(cached),
            output: number(&usage["completion_tokens"]),
            cache_read: cached,
            cache_write: 0,
            thought: number(&usage["completion_tokens_details"]["reasoning_tokens"]),
        };
    }
}

impl Decoder for Reader {
    fn event(&mut self, data: &str) -> Result<Vec<Delta>, Fault> {
        if data.trim() == "[DONE]" {
            self.over = true;
            return Ok(Vec::new());
        }
        let event = parse(data)?;
        if event.get("error").is_some_and(|error| !error.is_null()) {
            return Err(Fault::of_event(&event["error"]));
        }
        if event["usage"].is_object() {
            self.count(&event["usage"]);
        }
        let choice = &event["choices"][0];
        let mut deltas = Vec::new();
        let change = &choice["delta"];
        for key in ["reasoning_content", "reasoning"] {
            if let Some(more) = change[key].as_str().filter(|more| !more.is_empty()) {
                self.thought(key, more)?;
                deltas.push(Delta::Thought(more.to_owned()));
                // One of them: some endpoints tell the same under both names.
                break;
            }
        }
        for key in ["content", "refusal"] {
            if let Some(more) = change[key].as_str().filter(|more| !more.is_empty()) {
                self.draft.text(TEXT, more)?;
                deltas.push(Delta::Text(more.to_owned()));
            }
        }
        for (position, call) in change["tool_calls"].as_array().into_iter().flatten().enumerate() {
            self.call(position, call)?;
        }
        self.stop = match choice["finish_reason"].as_str() {
            None => self.stop,
            Some("length") => Some(Stop::Length),
            Some("content_filter") => Some(Stop::Refusal),
            Some(_) => Some(Stop::End),
        };
        Ok(deltas)
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn draft(&mut self) -> &mut Draft {
        &mut self.draft
    }

    fn finish(&mut self) -> Option<(Stop, Usage)> {
        // Not all endpoints send the last line.
        self.stop.map(|stop| (stop, self.usage))
    }
}
