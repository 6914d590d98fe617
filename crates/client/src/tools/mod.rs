//! Tools of this program that guests call: finding them, and what becomes of their results. Inputs have been
//! checked before; what the guest is told of a failure is decided here.

use std::collections::HashMap;
use std::sync::Arc;

use agentos_protocol::Responder;
use agentos_protocol::message::{AskTool, AskToolReply, CallTool, JsonText, ToolResult, WireError, code};
use serde_json::Value;

use crate::callbacks::{Callbacks, words};
use crate::config::{OnToolRequest, ToolCallback, ToolKit, ToolRequest, ToolRequestCallback};

/// Most bytes of a result.
const RESULT: usize = 1 << 20;
/// Most bytes of a failure's message.
const MESSAGE: usize = 64 << 10;
/// How deep a result may be: what is deeper no parser of the guest reads.
const DEPTH: usize = 100;

/// The tools of a configuration, for the VM that was made of it and its forks.
pub(crate) struct ToolHost {
    tools: HashMap<(String, String), ToolCallback>,
    on_request: Option<ToolRequestCallback>,
    callbacks: Callbacks,
}

impl ToolHost {
    pub(crate) fn new(kits: Vec<ToolKit>, on_request: Option<OnToolRequest>) -> Arc<Self> {
        let of = |kit: ToolKit| {
            let name = kit.name;
            kit.tools.into_iter().map(move |tool| ((name.clone(), tool.name), tool.execute))
        };
        Arc::new(ToolHost {
            tools: kits.into_iter().flat_map(of).collect(),
            on_request: on_request.map(|OnToolRequest(callback)| callback),
            callbacks: Callbacks::new(),
        })
    }

    /// Ends the calls that are under way.
    pub(crate) fn end(&self) {
        self.callbacks.end();
    }

    /// Calls a tool.
    pub(crate) fn call(&self, call: CallTool, responder: Responder) {
        let CallTool { tool_kit, tool, input, .. } = call;
        let name = format!("{tool_kit}:{tool}");
        let (execute, input) = match (self.tools.get(&(tool_kit, tool)), input.parse::<Value>()) {
            (Some(execute), Ok(input)) => (Arc::clone(execute), input),
            _ => return responder.error(&failed(format!("there is no tool {name} that takes this input"))),
        };
        self.callbacks.run(
            responder,
            move || execute(input),
            move |responder, done| {
                let reply = match done {
                    Ok(Ok(value)) => text(&value).map(|result| ToolResult { result }).map_err(failed),
                    Ok(Err(message)) => Err(failed(message)),
                    Err(panic) => {
                        tracing::error!(tool = %name, panic = words(&*panic), "the callback of a tool panicked");
                        Err(failed("the callback of the tool panicked".to_owned()))
                    }
                };
                responder.reply::<CallTool>(reply);
            },
        );
    }

    /// Asks whether a tool may be called.
    pub(crate) fn ask(&self, ask: AskTool, responder: Responder) {
        let AskTool { tool_kit, tool, input, .. } = ask;
        let (Some(on_request), Ok(input)) = (&self.on_request, input.parse::<Value>()) else {
            return responder.error(&WireError::new(code::INVALID_REQUEST, "nobody is there to be asked"));
        };
        let on_request = Arc::clone(on_request);
        let request = ToolRequest::new(tool_kit, tool, input);
        self.callbacks.run(
            responder,
            move || on_request(request),
            |responder, done| {
                let allowed = done.unwrap_or_else(|panic| {
                    tracing::error!(panic = words(&*panic), "the callback of `on_tool_request` panicked");
                    false
                });
                responder.reply::<AskTool>(Ok(AskToolReply { allowed }));
            },
        );
    }
}

/// What a guest is told.
fn failed(mut message: String) -> WireError {
    message.truncate(message.floor_char_boundary(MESSAGE));
    WireError::new(code::TOOL, if message.is_empty() { "the tool failed".to_owned() } else { message })
}

/// A result as it is sent.
fn text(value: &Value) -> Result<JsonText, String> {
    if !within(value, DEPTH) {
        return Err(format!("the result of the tool is nested deeper than {DEPTH}"));
    }
    let text = value.to_string();
    if text.len() > RESULT {
        return Err(format!("the result of the tool has {} bytes; {RESULT} are allowed", text.len()));
    }
    Ok(JsonText(text))
}

fn within(value: &Value, depth: usize) -> bool {
    let Some(below) = depth.checked_sub(1) else { return false };
    match value {
        Value::Array(all) => all.iter().all(|value| within(value, below)),
        Value::Object(all) => all.values().all(|value| within(value, below)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn results_are_bounded_in_length_and_depth() {
        assert_eq!(text(&json!({"a": [1]})).unwrap().0, r#"{"a":[1]}"#);
        let long = text(&json!("x".repeat(RESULT))).unwrap_err();
        assert!(long.contains("has 1048578 bytes"), "{long}");
        assert!(text(&json!("x".repeat(RESULT - 2))).is_ok());
        let nested = |depth: usize| (1..depth).fold(json!(1), |inner, _| json!([inner]));
        assert!(text(&nested(DEPTH)).is_ok());
        assert!(text(&nested(DEPTH + 1)).unwrap_err().contains("nested deeper"));
    }

    #[test]
    fn failures_say_something_and_not_too_much() {
        assert_eq!(failed(String::new()).message, "the tool failed");
        assert_eq!(failed("ä".repeat(MESSAGE)).message.len(), MESSAGE);
        assert_eq!(failed("no".into()).code, code::TOOL);
    }
}
