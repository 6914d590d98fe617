//! Tools of this program that guests call: finding them, running them apart, and what becomes of their results. Inputs have been
//! checked before; what the guest is told of a failure is decided here.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use agentos_protocol::Responder;
use agentos_protocol::message::{AskTool, AskToolReply, CallTool, JsonText, ToolResult, WireError, code};
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::{Semaphore, watch};

use crate::config::{OnToolRequest, ToolCallback, ToolKit, ToolRequest, ToolRequestCallback};
use crate::wire;

/// Callbacks of a configuration that run at once: those that have been given up and do not end count too.
const RUNNING: usize = 256;
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
    places: Arc<Semaphore>,
    /// Closed when the last VM is gone: it ends the calls that are under way.
    gone: watch::Sender<()>,
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
            places: Arc::new(Semaphore::new(RUNNING)),
            gone: watch::channel(()).0,
        })
    }

    /// Ends the calls that are under way.
    pub(crate) fn end(&self) {
        self.gone.send_replace(());
    }

    /// Calls a tool.
    pub(crate) fn call(&self, call: CallTool, responder: Responder) {
        let CallTool { tool_kit, tool, input, .. } = call;
        let name = format!("{tool_kit}:{tool}");
        let (execute, input) = match (self.tools.get(&(tool_kit, tool)), input.parse::<Value>()) {
            (Some(execute), Ok(input)) => (Arc::clone(execute), input),
            _ => return responder.error(&failed(format!("there is no tool {name} that takes this input"))),
        };
        self.run(
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
        self.run(
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

    /// Runs code of the program on a thread of its own: it may block, and must stop nobody then. It is let go when its caller
    /// does not wait any more; a thread that is blocked keeps its place until it ends.
    fn run<T: Send + 'static>(
        &self,
        responder: Responder,
        begin: impl FnOnce() -> BoxFuture<'static, T> + Send + 'static,
        end: impl FnOnce(Responder, Result<T, Box<dyn Any + Send>>) + Send + 'static,
    ) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let message = format!("{RUNNING} callbacks of tools have not ended; try again later");
            return responder.error(&WireError::new(code::BUSY, message));
        };
        let Ok(threads) = wire::callbacks() else {
            return responder.error(&WireError::new(code::INTERNAL, "cannot start threads"));
        };
        let mut gone = self.gone.subscribe();
        let cancelled = responder.cancelled().clone();
        let given_up = cancelled.clone();
        let work = threads.spawn_blocking(move || {
            let _place = place;
            threads.block_on(given_up.run_until_cancelled(async move { begin().await }))
        });
        threads.spawn(async move {
            let done = tokio::select! {
                done = work => done,
                () = cancelled.cancelled() => return,
                // The caller is told that nobody answered.
                _ = gone.changed() => return,
            };
            match done {
                Ok(Some(value)) => end(responder, Ok(value)),
                // Given up: nobody reads an answer.
                Ok(None) => {}
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => end(responder, Err(panic)),
                    Err(error) => responder.error(&WireError::new(code::INTERNAL, error.to_string())),
                },
            }
        });
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

/// The words of a panic, for the log of this program.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
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
