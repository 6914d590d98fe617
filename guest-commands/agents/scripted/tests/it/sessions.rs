//! Everything around prompts: malformed input, sessions, options, recorded clients.

use serde_json::{Value, json};

use crate::client;

#[test]
fn malformed_input_gets_the_right_errors() {
    let mut client = client::new();
    let long = format!("{{\"x\":\"{}\"}}", "y".repeat(9 << 20));
    for (line, id, code) in [
        ("{oops", json!(null), -32700),
        (long.as_str(), json!(null), -32700),
        ("[]", json!(null), -32600),
        (r#"{"jsonrpc":"2.0","id":"a","method":"fs/nothing"}"#, json!("a"), -32601),
        (r#"{"jsonrpc":"2.0","id":null,"method":"session/load"}"#, json!(null), -32601),
        (r#"{"jsonrpc":"2.0","id":9,"method":"session/prompt","params":[]}"#, json!(9), -32602),
        (
            r#"{"jsonrpc":"2.0","id":9,"method":"session/prompt","params":{"sessionId":"x"}}"#,
            json!(9),
            -32002,
        ),
        (
            r#"{"jsonrpc":"2.0","id":9,"method":"session/new","params":{"cwd":"relative","mcpServers":[]}}"#,
            json!(9),
            -32602,
        ),
        (r#"{"jsonrpc":"2.0","id":9,"method":"session/new","params":{"cwd":"/"}}"#, json!(9), -32602),
    ] {
        client.raw(format!("{line}\r\n\n").as_bytes());
        let answer = client.recv();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&id, &json!(code)), "{line:.80}");
    }
    client
        .raw(b"{\"jsonrpc\":\"2.0\",\"method\":\"_ext/x\"}\n{\"jsonrpc\":\"2.0\",\"id\":77,\"result\":{}}\n");
    assert!(client.call("session/list", json!({}))["result"].is_object());
}

#[test]
fn sessions_are_limited_and_kept_apart() {
    let mut client = client::new();
    let mut ids = vec![client.session.clone()];
    for _ in 1..16 {
        let new = client.call("session/new", json!({"cwd": "/tmp", "mcpServers": []}));
        ids.push(new["result"]["sessionId"].as_str().unwrap().to_owned());
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 16);
    let refused = client.call("session/new", json!({"cwd": "/tmp", "mcpServers": []}));
    assert_eq!(refused["error"]["code"], -32600);
    let listed = client.call("session/list", json!({"cwd": "/tmp"}));
    assert_eq!(listed["result"]["sessions"].as_array().unwrap().len(), 15);
    let session = client.session.clone();
    assert_eq!(client.call("session/close", json!({"sessionId": session}))["result"], json!({}));
    assert_eq!(client.call("session/close", json!({"sessionId": session}))["error"]["code"], -32002);
}

#[test]
fn servers_that_would_not_be_used_are_refused() {
    let mut client = client::new();
    for kind in ["http", "sse"] {
        let server = json!({"type": kind, "name": "notes", "url": "http://localhost/", "headers": []});
        let refused = client.call("session/new", json!({"cwd": "/tmp", "mcpServers": [server]}));
        assert_eq!(refused["error"]["code"], -32602);
        assert!(refused["error"]["message"].as_str().unwrap().contains("stdio only"), "{refused}");
    }
    let server = json!({"name": "notes", "command": "/no/such/program", "args": [], "env": []});
    let taken = client.call("session/new", json!({"cwd": "/tmp", "mcpServers": [server]}));
    assert!(taken["result"]["sessionId"].is_string(), "not started before it is needed: {taken}");
}

#[test]
fn options_are_reported_completely() {
    let mut client = client::new();
    let session = client.session.clone();
    let mut set = |id: &str, value: Value| {
        client
            .call("session/set_config_option", json!({"sessionId": session, "configId": id, "value": value}))
    };
    let answer = set("permission", json!("never"));
    let response: agent_client_protocol_schema::v1::SetSessionConfigOptionResponse =
        serde_json::from_value(answer["result"].clone()).unwrap();
    assert_eq!(response.config_options.len(), 1);
    assert_eq!(answer["result"]["configOptions"][0]["currentValue"], "never");
    assert_eq!(set("permission", json!("sometimes"))["error"]["code"], -32602);
    assert_eq!(set("permission", json!(true))["error"]["code"], -32602);
    assert_eq!(set("model", json!("x"))["error"]["code"], -32602);
}

/// What a recorded client sent to another agent is understood by this one.
#[test]
fn recorded_clients_are_served() {
    for recording in [
        include_str!("../../../../../tests/data/acp/bash-tool-call.jsonl"),
        include_str!("../../../../../tests/data/acp/cancel.jsonl"),
        include_str!("../../../../../tests/data/acp/permission-allow.jsonl"),
    ] {
        let mut client = client::bare();
        let mut session = Value::Null;
        let mut answered = Vec::new();
        for line in recording.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let mut message = line["msg"].clone();
            if line["dir"] != "c2a" || message["method"].is_null() {
                continue;
            }
            if !message["params"]["sessionId"].is_null() {
                message["params"]["sessionId"] = session.clone();
            }
            client.send(&message);
            while !message["id"].is_null() {
                let answer = client.recv();
                if answer["id"] == message["id"] {
                    assert!(answer["error"].is_null(), "{answer}");
                    if session.is_null() {
                        session = answer["result"]["sessionId"].clone();
                    }
                    answered.push(message["method"].clone());
                    break;
                }
            }
        }
        assert_eq!(answered, ["initialize", "session/new", "session/prompt"]);
        client.finish().unwrap();
    }
}

#[test]
fn a_session_of_another_process_goes_on_under_its_id() {
    let mut client = client::new();
    let mut resume =
        |id: &str| client.call("session/resume", json!({"sessionId": id, "cwd": "/tmp", "mcpServers": []}));
    for unknown in ["", "other-1-1", &format!("scripted-{}", "1".repeat(200))] {
        assert_eq!(resume(unknown)["error"]["code"], -32002, "{unknown}");
    }
    let resumed = resume("scripted-7-3");
    assert!(resumed["result"]["configOptions"].is_array(), "{resumed}");
    assert_eq!(resume("scripted-7-3")["error"]["code"], -32002, "it is there already");
    client.session = "scripted-7-3".to_owned();
    let all = client.run("scenario:text");
    assert_eq!(all.last().unwrap()["result"]["stopReason"], "end_turn");
}
