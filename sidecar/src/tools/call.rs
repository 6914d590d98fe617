//! A call: its place, the check of its input, the question to the client, and the callback. Each step is a task that ends when the
//! call is dropped.

use std::sync::Arc;
use std::time::Duration;

use agentos_abi::tools::TOOL_REPLY_MAX;
use agentos_kernel::{Errno, ToolCall, ToolFailure, ToolFuture, ToolRun, Tools};
use agentos_protocol::Connection;
use agentos_protocol::message::{AskTool, CallTool, JsonText, ToolsSpec, code};
use agentos_protocol::mux::CallError;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;

use super::{Toolkits, at_place, short};

/// Calls of a VM at once.
const CALLS: usize = 64;
/// Time for the check of an input.
const CHECK_TIME: Duration = Duration::from_secs(10);

/// The tools of one VM.
pub(crate) struct VmTools {
    kits: Arc<Toolkits>,
    connection: Connection,
    tools_id: u64,
    ask_time: Duration,
    places: Arc<Semaphore>,
    runtime: Handle,
}

impl VmTools {
    /// To be called on the runtime of the sidecar.
    pub(crate) fn new(kits: &Arc<Toolkits>, spec: &ToolsSpec, connection: &Connection) -> Self {
        Self {
            kits: Arc::clone(kits),
            connection: connection.clone(),
            tools_id: spec.tools_id,
            ask_time: Duration::from_millis(spec.ask_timeout_ms),
            places: Arc::new(Semaphore::new(CALLS)),
            runtime: Handle::current(),
        }
    }
}

impl Tools for VmTools {
    fn list(&self) -> Arc<[u8]> {
        Arc::clone(&self.kits.list)
    }

    fn begin(&self, call: ToolCall) -> Result<Box<dyn ToolRun>, ToolFailure> {
        let ToolCall { kit, tool, input } = call;
        let Some(compiled) = self.kits.tool(&kit, &tool) else {
            return Err(ToolFailure::new(Errno::ENOENT, format!("there is no tool {kit}:{tool}")));
        };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            ToolFailure::new(Errno::EAGAIN, format!("{CALLS} calls of tools are under way; try again later"))
        })?;
        Ok(Box::new(Run {
            timeout: compiled.timeout,
            kits: Arc::clone(&self.kits),
            connection: self.connection.clone(),
            tools_id: self.tools_id,
            ask_time: self.ask_time,
            runtime: self.runtime.clone(),
            place: Arc::new(place),
            kit,
            tool,
            input: JsonText(input),
        }))
    }
}

struct Run {
    kits: Arc<Toolkits>,
    connection: Connection,
    tools_id: u64,
    ask_time: Duration,
    timeout: Duration,
    runtime: Handle,
    /// Held by the check too, which cannot be stopped once it has begun.
    place: Arc<OwnedSemaphorePermit>,
    kit: String,
    tool: String,
    input: JsonText,
}

impl Run {
    /// Runs a step on the sidecar's runtime: the caller's has no clock. `None` if it took too long.
    async fn step<T: Send + 'static>(
        &self,
        time: Duration,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let task = self.runtime.spawn(async move { tokio::time::timeout(time, work).await.ok() });
        AbortOnDropHandle::new(task).await.ok().flatten()
    }
}

impl ToolRun for Run {
    fn check(&mut self) -> ToolFuture<'_, Result<(), ToolFailure>> {
        Box::pin(async {
            let (kits, place) = (Arc::clone(&self.kits), Arc::clone(&self.place));
            let (kit, tool, input) = (self.kit.clone(), self.tool.clone(), self.input.clone());
            let runtime = self.runtime.clone();
            let check = async move {
                let check = move || {
                    let _place = place;
                    checked(&kits, &kit, &tool, &input)
                };
                runtime.spawn_blocking(check).await
            };
            match self.step(CHECK_TIME, check).await {
                Some(Ok(input)) => {
                    // As it was understood here: a member that is there twice may mean something else to others.
                    self.input = input?;
                    Ok(())
                }
                Some(Err(error)) => {
                    tracing::error!(%error, kit = %self.kit, tool = %self.tool, "the check of an input failed");
                    Err(ToolFailure::new(Errno::EIO, "the check of the input failed"))
                }
                None => Err(ToolFailure::new(Errno::ETIMEDOUT, "the check of the input takes too long")),
            }
        })
    }

    fn ask(&mut self) -> ToolFuture<'_, bool> {
        Box::pin(async {
            let question = AskTool {
                tools_id: self.tools_id,
                tool_kit: self.kit.clone(),
                tool: self.tool.clone(),
                input: self.input.clone(),
            };
            let connection = self.connection.clone();
            match self.step(self.ask_time, async move { connection.call(&question).await }).await {
                Some(Ok(answer)) => answer.allowed,
                Some(Err(error)) => {
                    tracing::info!(%error, kit = %self.kit, tool = %self.tool, "no answer whether a tool may be called");
                    false
                }
                None => false,
            }
        })
    }

    fn run(&mut self) -> ToolFuture<'_, Result<Vec<u8>, ToolFailure>> {
        Box::pin(async {
            let call = CallTool {
                tools_id: self.tools_id,
                tool_kit: std::mem::take(&mut self.kit),
                tool: std::mem::take(&mut self.tool),
                input: std::mem::take(&mut self.input),
            };
            let connection = self.connection.clone();
            match self.step(self.timeout, async move { connection.call(&call).await }).await {
                Some(Ok(reply)) => result(reply.result),
                Some(Err(error)) => Err(failure(&error)),
                None => {
                    let message = format!("the tool did not answer within {:?}", self.timeout);
                    Err(ToolFailure::new(Errno::ETIMEDOUT, message))
                }
            }
        })
    }
}

/// The input, if it fits.
fn checked(kits: &Toolkits, kit: &str, tool: &str, input: &JsonText) -> Result<JsonText, ToolFailure> {
    let invalid = |why: String| ToolFailure::new(Errno::EINVAL, format!("the input {why}"));
    let value: Value = input.parse().map_err(|error| invalid(format!("is no JSON: {error}")))?;
    let Some(compiled) = kits.tool(kit, tool) else {
        return Err(ToolFailure::new(Errno::ENOENT, format!("there is no tool {kit}:{tool}")));
    };
    if !value.is_object() {
        return Err(invalid("is no JSON object".to_owned()));
    }
    if compiled.validator.is_valid(&value) {
        return Ok(JsonText::new(&value));
    }
    let fault = |error: jsonschema::ValidationError<'_>| {
        let place = error.instance_path().to_string();
        format!("{}{}", short(&error.to_string()), at_place(&place))
    };
    // The first fault alone: a list of all may be many times the input.
    let first = compiled.validator.validate(&value).err().map(fault);
    Err(invalid(format!("does not match the schema: {}", first.unwrap_or_default())))
}

fn result(text: JsonText) -> Result<Vec<u8>, ToolFailure> {
    let useless = |why: String| Err(ToolFailure::new(Errno::EPROTO, format!("the result of the tool {why}")));
    if text.0.len() > TOOL_REPLY_MAX {
        return useless(format!("has {} bytes; {TOOL_REPLY_MAX} are allowed", text.0.len()));
    }
    match text.parse::<serde::de::IgnoredAny>() {
        Ok(_) => Ok(text.0.into_bytes()),
        Err(error) => useless(format!("is no JSON: {error}")),
    }
}

fn failure(error: &CallError) -> ToolFailure {
    match error {
        CallError::Remote(error) if error.code == code::TOOL => {
            ToolFailure::new(Errno::EIO, error.message.clone())
        }
        CallError::Remote(error) if error.code == code::BUSY => {
            ToolFailure::new(Errno::EAGAIN, error.message.clone())
        }
        CallError::Busy { .. } => ToolFailure::new(Errno::EAGAIN, "too many calls of the host are under way"),
        CallError::Lost(_) => ToolFailure::new(Errno::EIO, "the program that has the tool is gone"),
        error => {
            tracing::error!(%error, "a call of a tool failed");
            ToolFailure::new(Errno::EIO, "the program that has the tool failed")
        }
    }
}

#[cfg(test)]
mod tests {
    use agentos_protocol::message::{ToolKitSpec, ToolSpec};
    use serde_json::json;

    use super::*;

    #[test]
    fn inputs_are_checked_and_faults_told() {
        let schema = json!({
            "type": "object",
            "properties": {"city": {"type": "string", "minLength": 1}, "next": {"$ref": "#"}},
            "required": ["city"],
            "additionalProperties": false,
        });
        let tool = ToolSpec { name: "t".into(), input_schema: JsonText::new(&schema), ..ToolSpec::default() };
        let kit = ToolKitSpec { name: "k".into(), tools: vec![tool], ..ToolKitSpec::default() };
        let kits = Toolkits::compile(&ToolsSpec { kits: vec![kit], ..ToolsSpec::default() }).unwrap();
        let check = |input: &str| checked(&kits, "k", "t", &JsonText(input.to_owned()));
        assert_eq!(check(r#"{ "city": "" , "city": "Paris" }"#).unwrap().0, r#"{"city":"Paris"}"#);
        for (input, fault) in [
            ("", "is no JSON"),
            ("{", "is no JSON"),
            ("[]", "is no JSON object"),
            ("{}", "\"city\" is a required property"),
            (r#"{"city": 1}"#, "1 is not of type \"string\" at /city"),
            (r#"{"city": "x", "x": 1}"#, "Additional properties"),
            (r#"{"city": "x", "next": {"city": ""}}"#, "at /next/city"),
        ] {
            let failure = check(input).unwrap_err();
            assert_eq!(failure.errno, Errno::EINVAL, "{input}");
            assert!(failure.message.contains(fault), "{input}: {}", failure.message);
        }
        let deep = "[".repeat(100_000);
        assert!(
            check(&format!(r#"{{"city": "x", "next": {deep}"#)).unwrap_err().message.contains("is no JSON")
        );
        assert_eq!(checked(&kits, "k", "u", &JsonText("{}".into())).unwrap_err().errno, Errno::ENOENT);
    }

    #[test]
    fn results_are_json_of_bounded_length() {
        assert_eq!(result(JsonText("[1]".into())).unwrap(), b"[1]");
        for text in ["", "nonsense", &format!("\"{}\"", "x".repeat(TOOL_REPLY_MAX))] {
            assert_eq!(result(JsonText(text.into())).unwrap_err().errno, Errno::EPROTO);
        }
    }
}
