//! Tools of the host that guests may call. Schemas are checked and inputs held against them by the sidecar; calling them is in
//! [`tools`](crate::tools).

use std::fmt;
use std::sync::Arc;

use agentos_protocol::message::{JsonText, ToolKitSpec, ToolSpec};
use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::error::{Error, Result};

/// Runs a tool: validated input to result, or a message for the guest.
///
/// It runs on a thread of this library, where it may also block. It ends, if it waits, when its caller does or when its time is
/// over. A panic is a failure of the call.
pub type ToolCallback = Arc<dyn Fn(Value) -> BoxFuture<'static, Result<Value, String>> + Send + Sync>;

/// Answers whether a tool may be called, where the permission tree says `ask`.
pub type ToolRequestCallback = Arc<dyn Fn(ToolRequest) -> BoxFuture<'static, bool> + Send + Sync>;

/// A call that the permission tree asks about.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ToolRequest {
    /// The toolkit.
    pub tool_kit: String,
    /// The tool.
    pub tool: String,
    /// Its input, which fits its schema.
    pub input: Value,
}

impl ToolRequest {
    pub(crate) fn new(tool_kit: String, tool: String, input: Value) -> Self {
        ToolRequest { tool_kit, tool, input }
    }
}

/// A named group of tools. In the machine it is the command `agentos NAME`, also `agentos-NAME`.
///
/// ```
/// use std::sync::Arc;
/// use agentos::{AgentOsConfig, HostTool, ToolKit};
/// use serde_json::{Value, json};
///
/// let forecast = HostTool {
///     name: "forecast".into(),
///     description: "The weather of tomorrow".into(),
///     input_schema: json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}),
///     timeout_ms: Some(5_000),
///     execute: Arc::new(|input: Value| {
///         Box::pin(async move { Ok(json!({"city": input["city"], "weather": "sun"})) })
///     }),
/// };
/// let kit = ToolKit { name: "weather".into(), description: "The weather".into(), tools: vec![forecast] };
/// let config = AgentOsConfig::builder().tool_kits(vec![kit]).build();
/// // In the machine: agentos weather forecast --city Paris
/// ```
#[derive(Clone, Debug)]
pub struct ToolKit {
    /// `[a-z0-9-]+`, at most 63 characters.
    pub name: String,
    /// At most 200 characters.
    pub description: String,
    /// The tools, 1 to 256.
    pub tools: Vec<HostTool>,
}

/// A tool.
#[derive(Clone)]
pub struct HostTool {
    /// `[a-z0-9-]+`, at most 63 characters.
    pub name: String,
    /// At most 200 characters.
    pub description: String,
    /// JSON schema of its input, which is an object. Nothing is fetched for a `$ref`; patterns are without look-around and
    /// back-references.
    pub input_schema: Value,
    /// Time for a call, milliseconds; 30,000.
    pub timeout_ms: Option<u64>,
    /// What it does.
    pub execute: ToolCallback,
}

impl fmt::Debug for HostTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostTool").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A [`ToolRequestCallback`] in a configuration, which can be shown.
#[derive(Clone)]
pub struct OnToolRequest(pub ToolRequestCallback);

impl fmt::Debug for OnToolRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnToolRequest")
    }
}

/// Most bytes of all schemas and descriptions: they are sent in one message, and the sidecar takes less.
const BYTES: usize = 4 << 20;

/// The toolkits as they are sent.
pub(super) fn specs(kits: &[ToolKit]) -> Result<Vec<ToolKitSpec>> {
    let mut room = BYTES;
    let mut take = |bytes: usize| {
        room = room.checked_sub(bytes).ok_or_else(|| {
            Error::config("toolKits", "names, descriptions and schemas are too long: 1 MiB is allowed")
        })?;
        Ok::<_, Error>(())
    };
    kits.iter()
        .map(|kit| {
            take(kit.name.len() + kit.description.len())?;
            let tools = kit.tools.iter().map(|tool| {
                let input_schema = JsonText::new(&tool.input_schema);
                take(tool.name.len() + tool.description.len() + input_schema.0.len())?;
                Ok(ToolSpec {
                    name: tool.name.clone(),
                    description: tool.description.clone(),
                    input_schema,
                    timeout_ms: tool.timeout_ms,
                })
            });
            let tools = tools.collect::<Result<_>>()?;
            Ok(ToolKitSpec { name: kit.name.clone(), description: kit.description.clone(), tools })
        })
        .collect()
}
