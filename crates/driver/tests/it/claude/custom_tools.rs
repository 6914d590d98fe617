//! Tools of the host, which the vendor calls over its control messages.

use agentos_driver::boot::CustomToolSpec;
use agentos_driver::event::{Body, ContentBlock, CustomTool, TurnStatus};
use agentos_driver::{Command, Order, StartInput};
use serde_json::{Value, json};

use super::play::{
    DONE, Session, answer, can_use, execution, init, prompt, question, ready, rest, result, say, start,
    start_with, status, tool, tool_result, whole, withdrawn,
};

const TOOL: &str = "mcp__host__look_up";

fn with_tool() -> StartInput {
    let mut execution = execution(json!({}));
    let Value::Object(input_schema) =
        json!({ "type": "object", "properties": { "word": { "type": "string" } } })
    else {
        panic!("not an object");
    };
    let (name, description) = ("look_up".to_owned(), "Looks a word up.".to_owned());
    execution.custom_tools = vec![CustomToolSpec { name, description, input_schema }];
    StartInput::new(execution)
}

fn rpc(request_id: &str, message: Value) -> Value {
    question(request_id, json!({ "subtype": "mcp_message", "server_name": "host", "message": message }))
}

fn call(request_id: &str, id: u64) -> Value {
    rpc(
        request_id,
        json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": { "name": "look_up", "arguments": { "word": "owl" }, "_meta": { "claudecode/toolUseId": "t" } } }),
    )
}

async fn called(session: &mut Session) -> CustomTool {
    let event = session.log.until(|body| matches!(body, Body::CustomToolRequested(_))).await;
    let Body::CustomToolRequested(call) = event.body else { panic!("not a call") };
    call
}

#[tokio::test(start_paused = true)]
async fn a_tool_of_the_host_is_listed_allowed_called_and_answered() {
    let mut session = start_with(with_tool(), |mut side| async move {
        let initialize = ready(&mut side).await;
        assert_eq!(initialize["request"]["sdkMcpServers"], json!(["host"]));
        let said = |said: Value| said["response"]["mcp_response"].clone();
        let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2024-11-05" } });
        say(&mut side, &[rpc("1", hello)]).await;
        let hello = said(answer(&mut side).await);
        assert_eq!((&hello["id"], &hello["result"]["protocolVersion"]), (&json!(0), &json!("2024-11-05")));
        say(&mut side, &[rpc("2", json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))]).await;
        assert_eq!(said(answer(&mut side).await), json!({ "jsonrpc": "2.0", "result": {} }));
        say(&mut side, &[rpc("3", json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }))]).await;
        let listed = said(answer(&mut side).await);
        assert_eq!(listed["result"]["tools"][0]["name"], "look_up");
        assert_eq!(listed["result"]["tools"][0]["inputSchema"]["type"], "object");
        say(&mut side, &[rpc("4", json!({ "jsonrpc": "2.0", "id": 2, "method": "x/new" }))]).await;
        assert_eq!(said(answer(&mut side).await)["error"]["code"], -32601);
        let other = json!({ "subtype": "mcp_message", "server_name": "other", "message": { "id": 1 } });
        say(&mut side, &[question("5", other)]).await;
        assert_eq!(answer(&mut side).await["subtype"], "error");

        prompt(&mut side).await;
        let input = json!({ "word": "owl" });
        say(&mut side, &[init(), whole("m", tool("t", TOOL, input.clone())), can_use("R1", "t", TOOL, input)]).await;
        assert_eq!(answer(&mut side).await["response"]["behavior"], "allow");
        say(&mut side, &[call("R2", 7)]).await;
        let reply = said(answer(&mut side).await);
        assert_eq!(reply["id"], 7);
        assert_eq!(
            reply["result"],
            json!({ "content": [{ "type": "text", "text": "a bird" }], "isError": false })
        );
        say(&mut side, &[tool_result("t", "a bird", false), result(0.5)]).await;
        rest(&mut side).await
    })
    .await;
    let (_, done) = session.begin("go");
    let call = called(&mut session).await;
    assert_eq!((call.item_id.as_str(), call.name.as_str()), ("t", "look_up"));
    assert_eq!(Value::Object(call.input), json!({ "word": "owl" }));
    let content = vec![ContentBlock::text("a bird")];
    let order = Order::CustomToolResolve { request_id: call.request_id, content, is_error: false };
    session.kernel.dispatch(Command::of(order)).await;
    assert_eq!(session.ended().await.status, TurnStatus::Completed);
    done.await.unwrap();
    let log = session.stop().await;
    assert!(
        !log.kinds().iter().any(|kind| kind.starts_with("permission")),
        "what the host gives is not asked for"
    );
    assert_eq!(status(&log, "t").as_deref(), Some("Completed"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_the_vendor_takes_back_is_cancelled_and_not_answered() {
    let mut session = start_with(with_tool(), |mut side| async move {
        ready(&mut side).await;
        prompt(&mut side).await;
        let of = |id: &str, call: &str| whole(id, tool(call, TOOL, json!({})));
        say(&mut side, &[init(), of("m", "t"), call("R1", 7)]).await;
        let cancels =
            json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 7 } });
        say(&mut side, &[rpc("R2", cancels)]).await;
        assert_eq!(answer(&mut side).await["request_id"], "R2");
        say(&mut side, &[of("n", "u"), call("R3", 8), withdrawn("R3"), result(0.5)]).await;
        assert!(side.recv().await.is_none());
        DONE
    })
    .await;
    assert_eq!(session.turn("go").await.status, TurnStatus::Completed);
    let log = session.stop().await;
    let reasons: Vec<String> = log
        .events
        .iter()
        .filter_map(|event| match &event.body {
            Body::CustomToolResolved(closed) => Some(format!("{:?}", closed.reason)),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, ["Cancelled", "Cancelled"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_belongs_to_no_item_gets_one() {
    let mut session = start_with(with_tool(), |mut side| async move {
        ready(&mut side).await;
        prompt(&mut side).await;
        say(&mut side, &[init(), call("R1", 7)]).await;
        let said = answer(&mut side).await;
        assert_eq!(said["response"]["mcp_response"]["result"]["isError"], true);
        say(&mut side, &[result(0.5)]).await;
        rest(&mut side).await
    })
    .await;
    let (_, done) = session.begin("go");
    let call = called(&mut session).await;
    let order = Order::CustomToolResolve { request_id: call.request_id, content: vec![], is_error: true };
    session.kernel.dispatch(Command::of(order)).await;
    session.ended().await;
    done.await.unwrap();
    let log = session.stop().await;
    assert_eq!(status(&log, &call.item_id).as_deref(), Some("Failed"));
}

#[tokio::test(start_paused = true)]
async fn without_tools_of_the_host_there_is_no_server() {
    let session = start(|mut side| async move {
        let initialize = ready(&mut side).await;
        assert!(initialize["request"].get("sdkMcpServers").is_none());
        say(&mut side, &[rpc("1", json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }))]).await;
        assert_eq!(answer(&mut side).await["subtype"], "error");
        rest(&mut side).await
    })
    .await;
    session.stop().await;
}
