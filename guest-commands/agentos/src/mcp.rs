//! The MCP server: the protocol is rmcp's. Each call runs in a child of its own, so that several can wait at once and one that
//! is cancelled ends: its child is killed, and the host lets the tool go.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};

use agentos_guest::process::{self, WaitFor, fork_call};
use agentos_guest::tools::TOOL_REPLY_MAX;
use agentos_guest::{Signal, fd, signal};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool as McpTool,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::{ErrorData, ServerHandler, ServiceExt};
use serde_json::Value;

use crate::kit::{Host, Kit, Machine};
use crate::names;
use crate::reactor::{Input, Output, Reactor};

/// Longest line of a client, bytes: an input of a tool and what is around it.
const MAX_LINE: usize = 2 << 20;
/// Calls at once. The host has a limit of its own for all.
const MOST_CALLS: usize = 64;
/// Bytes of a page of tools, as long as there is more than one on it.
const PAGE: usize = 256 << 10;

/// A tool as it is offered.
struct Offered {
    kit: String,
    tool: String,
    told: McpTool,
    /// Bytes that it takes in a list.
    size: usize,
}

/// Calls under way, and who waits for their end.
#[derive(Default)]
struct Calls {
    count: AtomicUsize,
    end: Mutex<Option<Waker>>,
}

impl Calls {
    /// Whether there are none; else the waker is told when there are.
    fn idle(&self, cx: &mut Context<'_>) -> bool {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        self.count.load(Ordering::SeqCst) == 0
    }

    fn begin(self: &Arc<Self>) -> Option<Call> {
        let place = self.count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| {
            (count < MOST_CALLS).then_some(count + 1)
        });
        place.ok().map(|_| Call(Arc::clone(self)))
    }
}

/// The place of a call.
struct Call(Arc<Calls>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::SeqCst);
        let waker = self.0.end.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A child that is killed unless it ends by itself.
struct Child(process::Pid);

impl Drop for Child {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.0) {
            // It may have ended: then there is only its status to take.
            let _ = signal::kill(pid, Some(Signal::SIGKILL));
        }
        let _ = process::wait(WaitFor::Pid(self.0));
    }
}

struct Server {
    reactor: Reactor,
    calls: Arc<Calls>,
    /// Sorted by name.
    tools: Vec<Offered>,
}

/// Serves until the end of standard input.
pub(crate) fn serve(kits: &[Kit]) -> Result<(), String> {
    let tools = offered(kits)?;
    let served = Reactor::run(|reactor| async move {
        let calls = Arc::new(Calls::default());
        let under_way = Arc::clone(&calls);
        let input = Input::new(reactor.clone(), move |cx: &mut Context<'_>| under_way.idle(cx));
        let transport = AsyncRwTransport::new_server(input, Output).with_max_line_length(MAX_LINE);
        match (Server { reactor, calls, tools }).serve(transport).await {
            Ok(running) => running.waiting().await.map(|_| ()).map_err(|error| error.to_string()),
            // A client that came and said nothing is no failure.
            Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    });
    served.map_err(|error| format!("cannot wait for input: {error}"))?
}

fn offered(kits: &[Kit]) -> Result<Vec<Offered>, String> {
    let offer = |(name, (kit, tool)): (String, (&Kit, &crate::kit::Tool))| {
        let mut schema = tool.input_schema.as_object().cloned().unwrap_or_default();
        // The protocol wants it said.
        schema.entry("type").or_insert_with(|| "object".into());
        let told = McpTool::new(name, tool.description.clone(), Arc::new(schema));
        let size = serde_json::to_string(&told).map_err(|error| error.to_string())?.len();
        Ok(Offered { kit: kit.name.clone(), tool: tool.name.clone(), told, size })
    };
    names::of_mcp(kits).into_iter().map(offer).collect()
}

impl Server {
    /// Calls a tool in a child, which is killed when this is dropped.
    async fn call(&self, kit: &str, tool: &str, input: &str) -> Result<String, String> {
        let _place = self.calls.begin().ok_or_else(|| format!("there are {MOST_CALLS} calls under way"))?;
        let failed =
            |what: &str, error: std::io::Error| format!("{what}: {}", agentos_guest::strerror(&error));
        let (from, to) = fd::pipe(true).map_err(|error| failed("cannot make a pipe", error))?;
        let writer = to.raw();
        let pid = fork_call(|| {
            let (mark, text) = match Machine.call(kit, tool, input) {
                Ok(result) => (b'+', result),
                Err(error) => (b'-', error.message),
            };
            let mut reply = vec![mark];
            reply.extend_from_slice(text.as_bytes());
            i32::from(fd::write_all(writer, &reply).is_err())
        });
        let child = Child(pid.map_err(|error| failed("cannot start the call", error))?);
        drop(to);
        let reply = self.reactor.read_to_end(&from, TOOL_REPLY_MAX + 1).await;
        drop(child);
        let reply = reply.map_err(|error| failed("the call gave no result", error))?;
        match reply.split_first() {
            Some((b'+', result)) => Ok(String::from_utf8_lossy(result).into_owned()),
            Some((_, message)) => Err(String::from_utf8_lossy(message).into_owned()),
            None => Err("the call was killed".to_owned()),
        }
    }

    fn page(&self, cursor: Option<&str>) -> Result<ListToolsResult, ErrorData> {
        let begin: usize = match cursor {
            None => 0,
            Some(cursor) => cursor
                .parse()
                .ok()
                .filter(|at| (1..self.tools.len()).contains(at))
                .ok_or_else(|| ErrorData::invalid_params("no such cursor", None))?,
        };
        let mut bytes = 0;
        let fits = |offered: &&Offered| {
            let first = bytes == 0;
            bytes += offered.size;
            first || bytes <= PAGE
        };
        let tools: Vec<McpTool> =
            self.tools.iter().skip(begin).take_while(fits).map(|offered| offered.told.clone()).collect();
        let end = begin + tools.len();
        let mut page = ListToolsResult::with_all_items(tools);
        page.next_cursor = (end < self.tools.len()).then(|| end.to_string());
        Ok(page)
    }
}

/// What a call gave, as the protocol says it.
fn result(answer: Result<String, String>) -> CallToolResult {
    let text = match answer {
        Ok(text) => text,
        Err(message) => return CallToolResult::error(vec![ContentBlock::text(message)]),
    };
    match serde_json::from_str(&text) {
        Ok(Value::String(words)) => CallToolResult::success(vec![ContentBlock::text(words)]),
        Ok(value @ Value::Object(_)) => {
            let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
            result.structured_content = Some(value);
            result
        }
        _ => CallToolResult::success(vec![ContentBlock::text(text)]),
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("agentos", env!("CARGO_PKG_VERSION")))
            .with_instructions(
                "Tools of the host of this machine. They are also commands: `agentos list-tools`.",
            )
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        self.page(request.and_then(|page| page.cursor).as_deref())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let name: &Cow<'_, str> = &request.name;
        let at = self.tools.binary_search_by(|offered| offered.told.name.as_ref().cmp(name.as_ref()));
        let offered = at.ok().and_then(|at| self.tools.get(at));
        let offered = offered.ok_or_else(|| ErrorData::invalid_params(format!("no tool {name:?}"), None))?;
        let input = Value::Object(request.arguments.unwrap_or_default()).to_string();
        let call = self.call(&offered.kit, &offered.tool, &input);
        match context.ct.run_until_cancelled(call).await {
            Some(answer) => Ok(result(answer).into()),
            // Whoever cancelled reads no answer.
            None => Err(ErrorData::internal_error("cancelled", None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn server(count: usize, description: &str) -> Server {
        let tool = |n| crate::kit::Tool {
            name: format!("t{n:03}"),
            description: description.to_owned(),
            input_schema: json!({"properties": {}}),
            timeout_ms: 1,
        };
        let kits =
            [Kit { name: "k".into(), description: String::new(), tools: (0..count).map(tool).collect() }];
        let (reactor, calls) = Default::default();
        Server { reactor, calls, tools: offered(&kits).unwrap() }
    }

    #[test]
    fn pages_have_all_tools_once() {
        let server = server(100, &"x".repeat(20_000));
        let (mut names, mut cursor, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = server.page(cursor.as_deref()).unwrap();
            names.extend(page.tools.iter().map(|tool| tool.name.to_string()));
            assert_eq!(page.tools[0].input_schema["type"], "object");
            pages += 1;
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(pages, 8);
        assert_eq!(names, (0..100).map(|n| format!("t{n:03}")).collect::<Vec<_>>());
        for cursor in ["0", "100", "-1", "x", ""] {
            assert!(server.page(Some(cursor)).is_err(), "{cursor:?}");
        }
        let none = super::tests::server(0, "");
        assert!(none.page(None).unwrap().tools.is_empty());
    }

    /// What a server in a child says to these lines; its status.
    fn spoken(lines: &[Value]) -> (Vec<Value>, i32) {
        let kits = [Kit {
            name: "k".into(),
            description: String::new(),
            tools: vec![crate::kit::Tool {
                name: "get-it".into(),
                description: "Gets it.".into(),
                input_schema: json!({}),
                timeout_ms: 1,
            }],
        }];
        let (said, to_server) = fd::pipe(true).unwrap();
        let (from_server, says) = fd::pipe(true).unwrap();
        let pid = fork_call(|| {
            let moved = fd::dup2(said.raw(), 0, false).and_then(|()| fd::dup2(says.raw(), 1, false));
            // Else its own copies would keep the pipes open.
            let closed = [to_server.raw(), from_server.raw(), said.raw(), says.raw()].map(fd::close);
            let served = moved.is_ok() && closed.iter().all(Result::is_ok) && serve(&kits).is_ok();
            i32::from(!served)
        })
        .unwrap();
        drop((said, says));
        for line in lines {
            fd::write_all(to_server.raw(), format!("{line}\n").as_bytes()).unwrap();
        }
        drop(to_server);
        let out = fd::read_to_end(from_server.raw()).unwrap();
        let status = process::wait(WaitFor::Pid(pid)).unwrap().status;
        let answers = out.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        let status = i32::from(status != process::WaitStatus::Exited(0));
        (answers.map(|line| serde_json::from_slice(line).unwrap()).collect(), status)
    }

    #[test]
    fn a_conversation_is_answered_to_its_end() {
        let request = |id: u32, method: &str, params: Value| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        let call = |id, name: &str| request(id, "tools/call", json!({"name": name, "arguments": {}}));
        let (answers, status) = spoken(&[
            request(0, "initialize", hello),
            json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
            request(1, "tools/list", json!({})),
            call(2, "get_it"),
            call(3, "get-it"),
            request(4, "ping", json!({})),
            json!([request(5, "ping", json!({}))]),
            call(6, "get_it"),
        ]);
        let by_id = |id: u32| answers.iter().find(|answer| answer["id"] == id).unwrap();
        assert_eq!(status, 0);
        assert_eq!(by_id(0)["result"]["protocolVersion"], "2025-06-18");
        assert_eq!(by_id(1)["result"]["tools"][0]["name"], "get_it");
        // There is no host to be asked here.
        for id in [2, 6] {
            assert_eq!(by_id(id)["result"]["isError"], true);
        }
        assert_eq!(by_id(3)["error"]["code"], -32602);
        assert_eq!(by_id(4)["result"], json!({}));
        assert!(answers.iter().any(|answer| answer["error"]["code"] == -32600));
        assert_eq!(spoken(&[]), (vec![], 0));
    }

    #[test]
    fn results_are_text_and_structure() {
        let shown = |answer| serde_json::to_value(result(answer)).unwrap();
        let ok = |text: &str| shown(Ok(text.to_owned()));
        assert_eq!(ok(r#""words""#)["content"][0]["text"], "words");
        assert_eq!(ok("[1]")["content"][0]["text"], "[1]");
        assert_eq!(ok(r#"{"a":1}"#)["structuredContent"], json!({"a": 1}));
        assert_eq!(ok(r#"{"a":1}"#)["content"][0]["text"], r#"{"a":1}"#);
        let failed = shown(Err("no".to_owned()));
        assert_eq!((&failed["isError"], &failed["content"][0]["text"]), (&json!(true), &json!("no")));
    }

    #[test]
    fn calls_are_bounded_and_their_end_is_told() {
        let calls = Arc::new(Calls::default());
        let held: Vec<_> = (0..MOST_CALLS).map(|_| calls.begin().unwrap()).collect();
        assert!(calls.begin().is_none());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(!calls.idle(&mut cx));
        drop(held);
        assert!(calls.idle(&mut cx));
    }
}
