//! The bridge with a server of the test, over plain connections.

use std::time::Duration;

use agentos_agent_common::plain::Plain;
use agentos_guest::fd;
use serde_json::{Value, json};

use super::bridge::{Bridge, Limits, Server};

#[path = "../../../../tests/src/mcp.rs"]
#[allow(unreachable_pub, dead_code, reason = "the end-to-end tests share it")]
mod mcp;

use mcp::Mcp;

/// What tells a hang.
const HANG: i32 = 20_000;

/// A client of a bridge that runs.
struct Client {
    to: Option<fd::Owned>,
    from: fd::Owned,
    bytes: Vec<u8>,
    bridge: Option<std::thread::JoinHandle<std::io::Result<()>>>,
}

impl Client {
    fn new(url: String, limits: Limits) -> Self {
        let (theirs, to) = fd::pipe(true).unwrap();
        let (from, says) = fd::pipe(true).unwrap();
        let bridge = std::thread::spawn(move || {
            let server = Server { url, grant: None };
            Bridge::new(Box::new(Plain), server, limits, theirs.raw(), says.raw()).run()
        });
        Client { to: Some(to), from, bytes: Vec::new(), bridge: Some(bridge) }
    }

    /// One that has begun a session.
    fn ready(mcp: &Mcp, limits: Limits) -> Self {
        let mut client = Client::new(mcp.url(), limits);
        client.send(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}}));
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        assert_eq!(client.next()["result"]["serverInfo"]["name"], "test");
        client
    }

    fn send(&self, message: &Value) {
        self.line(&message.to_string());
    }

    fn line(&self, line: &str) {
        fd::write_all(self.to.as_ref().unwrap().raw(), format!("{line}\n").as_bytes()).unwrap();
    }

    fn call(&self, id: u32, tool: &str) {
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool}}));
    }

    fn next(&mut self) -> Value {
        loop {
            if let Some(at) = self.bytes.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.bytes.drain(..=at).collect();
                return serde_json::from_slice(&line).unwrap();
            }
            assert!(fd::wait_readable(self.from.raw(), HANG).unwrap(), "the bridge is silent");
            let mut part = [0; 4096];
            let n = fd::read(self.from.raw(), &mut part).unwrap();
            assert!(n > 0, "the bridge has ended");
            self.bytes.extend_from_slice(&part[..n]);
        }
    }

    /// The next that answers a request, or fails it.
    fn answer(&mut self) -> Value {
        loop {
            let message = self.next();
            if message.get("method").is_none() {
                return message;
            }
        }
    }

    /// The text of a call's result, or the message of its error.
    fn result(&mut self, id: u32) -> String {
        let answer = self.answer();
        assert_eq!(answer["id"], id, "{answer}");
        let text = answer["result"]["content"][0]["text"].as_str().or(answer["error"]["message"].as_str());
        text.unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// Ends its input, and waits for the end of the bridge.
    fn end(mut self) {
        self.to = None;
        self.bridge.take().unwrap().join().unwrap().unwrap();
    }
}

fn eventually(what: &str, is_true: impl Fn() -> bool) {
    for _ in 0..2000 {
        if is_true() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("not so: {what}");
}

#[test]
fn a_session_begins_is_used_and_ends() {
    let mcp = Mcp::start("");
    let mut client = Client::ready(&mcp, Limits::default());
    client.send(&json!({"jsonrpc": "2.0", "id": "list", "method": "tools/list"}));
    assert_eq!(client.answer()["result"]["tools"][0]["name"], "plain");
    client.call(1, "plain");
    assert_eq!(client.result(1), "as JSON");
    client.call(2, "events");
    assert_eq!(client.next()["method"], "notifications/progress");
    let asked = client.next();
    assert_eq!((&asked["method"], &asked["id"]), (&json!("ping"), &json!("of-server")));
    client.send(&json!({"jsonrpc": "2.0", "id": "of-server", "result": {}}));
    assert_eq!(client.result(2), "as an event");
    eventually("the stream is open", || mcp.listening() == 1);
    mcp.say(&json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}));
    assert_eq!(client.next()["method"], "notifications/tools/list_changed");
    client.end();
    assert_eq!((mcp.sessions(), mcp.count("DELETE")), (0, 1));
    let calls = mcp.calls();
    assert_eq!(calls[0].header("mcp-session-id"), None);
    assert_eq!(calls[0].header("accept"), Some("application/json, text/event-stream"));
    assert!(calls[1..].iter().all(|call| call.header("mcp-session-id") == Some("session-1")
        && call.header("mcp-protocol-version") == Some("2025-06-18")));
    assert!(calls.iter().any(|call| call.body == json!({"jsonrpc": "2.0", "id": "of-server", "result": {}})));
}

#[test]
fn several_requests_are_under_way_and_one_that_is_cancelled_is_let_go() {
    let mcp = Mcp::start("");
    let mut client = Client::ready(&mcp, Limits { requests: 3, ..Limits::default() });
    client.call(1, "never");
    client.call(2, "never");
    client.call(3, "plain");
    assert_eq!(client.result(3), "as JSON");
    client.call(4, "never");
    client.call(5, "plain");
    assert!(client.result(5).contains("3 requests"), "no more than the limit");
    for id in [1, 2, 4] {
        let params = json!({"requestId": id, "reason": "enough"});
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}));
    }
    client.call(6, "plain");
    assert_eq!(client.result(6), "as JSON");
    eventually("they are given up", || mcp.given_up() == 3);
    let told = || mcp.calls().iter().filter(|call| call.body["method"] == "notifications/cancelled").count();
    eventually("the server is told", || told() == 3);
    client.end();
}

#[test]
fn a_stream_that_breaks_off_is_gone_on_with_where_it_can_be() {
    let mcp = Mcp::start("");
    let mut client = Client::ready(&mcp, Limits::default());
    client.call(7, "cut");
    assert_eq!(client.result(7), "and gone on with");
    let resumed = mcp.calls().into_iter().find(|call| call.header("last-event-id").is_some()).unwrap();
    assert_eq!((resumed.method.as_str(), resumed.header("last-event-id")), ("GET", Some("cut-7")));
    client.call(8, "lost");
    assert!(!client.result(8).is_empty());
    client.end();
}

#[test]
fn what_a_server_does_wrong_is_an_error_of_its_request() {
    let mcp = Mcp::start("");
    let limits = Limits { request: Duration::from_millis(300), ..Limits::default() };
    let mut client = Client::ready(&mcp, limits);
    client.call(1, "error");
    assert_eq!(client.result(1), "the MCP server answered HTTP 500; it said: <p>it  broke</p>");
    client.call(2, "never");
    assert!(client.result(2).contains("did not answer within"));
    client.call(3, "forget");
    assert_eq!(client.result(3), "forgotten");
    client.call(4, "plain");
    assert!(client.result(4).contains("HTTP 404"), "its session is over");
    client.end();

    let mut client = Client::ready(&mcp, Limits { message: 1 << 20, ..Limits::default() });
    client.call(1, "huge");
    assert!(client.result(1).contains("more than 1048576 bytes"));
    client.line(&"x".repeat(2 << 20));
    assert!(client.answer()["error"]["message"].as_str().unwrap().contains("more than 1048576 bytes"));
    client.line("nonsense");
    assert_eq!(client.answer()["error"]["message"], "a line that is no message");
    client.line(r#"[{"jsonrpc":"2.0","id":5,"method":"x"},{"jsonrpc":"2.0","id":6,"method":"y"}]"#);
    // This server knows no batches: none of the two is left without an answer.
    assert_eq!((client.answer()["id"].clone(), client.answer()["id"].clone()), (json!(5), json!(6)));
    client.end();

    let mut client = Client::new(Mcp::start("Bearer x").url(), Limits::default());
    client.send(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize"}));
    let refused = client.result(0);
    assert!(refused.contains("HTTP 401") && refused.ends_with("; it said: who are you?"), "{refused}");
    client.end();

    let mut client = Client::new("http://127.0.0.1:1/mcp".to_owned(), Limits::default());
    client.send(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize"}));
    assert!(client.result(0).contains("cannot be asked"));
    client.end();
}

#[test]
fn command_lines_are_checked() {
    let server = |arguments: &[&str]| super::server(arguments);
    assert_eq!(server(&["https://a.example/mcp"]).unwrap().grant, None);
    assert_eq!(server(&["--grant", "x-1", "http://a.example"]).unwrap().grant.as_deref(), Some("x-1"));
    for wrong in [&[][..], &["a"], &["--grant", "x"], &["--grant", "x y", "http://a"], &["http://a", "b"]] {
        assert!(server(wrong).is_err(), "{wrong:?}");
    }
}
