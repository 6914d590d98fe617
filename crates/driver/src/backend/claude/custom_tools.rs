//! The host's own tools, as an MCP server that lives in the control messages: Claude Code is its client. A call waits for
//! the host's answer; what a tool does is the host's affair.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::connection::Connection;
use super::questions::Answer;
use super::wire::{object, text, word};
use crate::boot::CustomToolSpec;
use crate::event::{ContentBlock, CustomTool, ItemStatus};

/// The version of MCP that is spoken if the client names none.
const MCP: &str = "2025-06-18";
/// The member by which the client says which call of the model it is.
const TOOL_USE: &str = "claudecode/toolUseId";

/// The tools of the host.
pub(super) struct HostTools {
    server: String,
    tools: Vec<CustomToolSpec>,
}

impl HostTools {
    pub(super) fn new(server: String, tools: &[CustomToolSpec]) -> Self {
        HostTools { server, tools: tools.to_vec() }
    }

    /// The servers that `initialize` names.
    pub(super) fn servers(&self) -> Vec<&str> {
        if self.tools.is_empty() { Vec::new() } else { vec![&self.server] }
    }

    /// Whether a tool is one of them, by the vendor's name.
    pub(super) fn owns(&self, name: &str) -> bool {
        let of = super::translate::server(name).filter(|(server, _)| *server == self.server);
        of.is_some_and(|(_, tool)| self.has(tool))
    }

    fn has(&self, tool: &str) -> bool {
        self.tools.iter().any(|of| of.name == tool)
    }

    fn listed(&self) -> Vec<Value> {
        let listed = self.tools.iter().map(|tool| {
            let mut schema = tool.input_schema.clone();
            schema.entry("type").or_insert_with(|| "object".into());
            json!({ "name": tool.name, "description": tool.description, "inputSchema": schema })
        });
        listed.collect()
    }
}

/// The id of a call, in MCP.
pub(super) fn call_id(request: &Value) -> Option<Value> {
    let message = request.get("message").filter(|_| text(request, "subtype") == Some("mcp_message"))?;
    message.get("id").filter(|id| !id.is_null()).cloned()
}

/// The call that this message takes back.
pub(super) fn cancelled(request: &Value) -> Option<&Value> {
    let message = request.get("message")?;
    let cancels = text(message, "method") == Some("notifications/cancelled");
    message.get("params").filter(|_| cancels)?.get("requestId")
}

fn reply(rpc: &Value) -> Answer {
    Some(Ok(json!({ "mcp_response": rpc })))
}

/// Answers a message of the client.
pub(super) async fn answer(connection: Arc<Connection>, request_id: String, request: Value) -> Answer {
    let tools = Arc::clone(&connection.tools);
    if text(&request, "server_name") != Some(tools.server.as_str()) || tools.tools.is_empty() {
        return Some(Err("there is no such server".to_owned()));
    }
    let message = request.get("message").unwrap_or(&Value::Null);
    let method = text(message, "method").unwrap_or_default();
    let Some(id) = message.get("id").filter(|id| !id.is_null()) else {
        return reply(&json!({ "jsonrpc": "2.0", "result": {} }));
    };
    let params = message.get("params").unwrap_or(&Value::Null);
    let result = match method {
        "initialize" => json!({
            "protocolVersion": word(params, "protocolVersion").unwrap_or(MCP),
            "capabilities": { "tools": {} },
            "serverInfo": { "name": tools.server, "version": env!("CARGO_PKG_VERSION") },
        }),
        "ping" => json!({}),
        "tools/list" => json!({ "tools": tools.listed() }),
        "tools/call" => {
            let name = text(params, "name").unwrap_or_default();
            if !tools.has(name) {
                return reply(&failed(id, -32602, "there is no such tool"));
            }
            call(&connection, request_id, name, params).await?
        }
        _ => return reply(&failed(id, -32601, "there is no such method")),
    };
    reply(&json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}

fn failed(id: &Value, code: i32, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

/// Calls a tool; nothing if nobody wants its answer any more.
async fn call(connection: &Arc<Connection>, request_id: String, name: &str, params: &Value) -> Option<Value> {
    let input = object(params, "arguments");
    let tool_use = params.get("_meta").and_then(|meta| word(meta, TOOL_USE));
    let taken = connection.state.lock().taken(tool_use, name, &input);
    let Some((turn, item_id, own, effects)) = taken else {
        return Some(said(&[ContentBlock::text("No turn runs.")], true));
    };
    connection.perform(effects).await;
    let call = CustomTool { request_id, item_id: item_id.clone(), name: name.to_owned(), input };
    let answer = connection.cx.custom_tool(turn, call).await;
    if own {
        let how = match (answer.cancelled, answer.is_error) {
            (true, _) => ItemStatus::Cancelled,
            (false, true) => ItemStatus::Failed,
            (false, false) => ItemStatus::Completed,
        };
        connection.cx.close(&item_id, how).await;
    }
    (!answer.cancelled).then(|| said(&answer.content, answer.is_error))
}

fn said(content: &[ContentBlock], is_error: bool) -> Value {
    let content: Vec<Value> = content.iter().map(block).collect();
    json!({ "content": content, "isError": is_error })
}

/// A block as MCP has it: the same but for pictures, which it has by their bytes only.
fn block(of: &ContentBlock) -> Value {
    match of {
        ContentBlock::Image { mime_type, data: None, uri } => {
            let uri = uri.as_deref().unwrap_or_default();
            json!({ "type": "resource_link", "uri": uri, "name": uri, "mimeType": mime_type })
        }
        ContentBlock::Image { mime_type, data: Some(data), .. } => {
            json!({ "type": "image", "mimeType": mime_type, "data": data })
        }
        other => serde_json::to_value(other).unwrap_or_else(|_| Value::Object(Map::new())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_one_of_the_host_by_its_server_and_name() {
        let spec = CustomToolSpec { name: "look_up".to_owned(), ..CustomToolSpec::default() };
        let tools = HostTools::new("host".to_owned(), &[spec]);
        assert!(tools.owns("mcp__host__look_up"));
        for other in ["look_up", "mcp__other__look_up", "mcp__host__other", "mcp__host", "mcp__", ""] {
            assert!(!tools.owns(other), "{other}");
        }
        let listed = tools.listed();
        assert_eq!(listed[0]["inputSchema"], json!({ "type": "object" }));
    }

    #[test]
    fn what_a_tool_says_is_in_the_form_of_mcp() {
        let image = |data: Option<&str>, uri: Option<&str>| ContentBlock::Image {
            mime_type: "image/png".to_owned(),
            data: data.map(str::to_owned),
            uri: uri.map(str::to_owned),
        };
        assert_eq!(
            said(
                &[ContentBlock::text("hi"), image(Some("aGk="), None), image(None, Some("file:///a"))],
                false
            ),
            json!({ "isError": false, "content": [
                { "type": "text", "text": "hi" },
                { "type": "image", "mimeType": "image/png", "data": "aGk=" },
                { "type": "resource_link", "uri": "file:///a", "name": "file:///a", "mimeType": "image/png" },
            ] })
        );
    }
}
