//! Sessions: kept in files, loaded, resumed, listed, closed; malformed requests.

use serde_json::{Value, json};

use crate::agent::{Bench, end, results, text};

fn kinds(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|m| m["params"]["update"]["sessionUpdate"].as_str().unwrap_or("answer")).collect()
}

#[test]
fn a_session_goes_on_in_another_process() {
    let mut bench = Bench::new();
    let all =
        bench.script(json!({"calls": [{"tool": "bash", "input": {"command": "echo one"}}], "text": "first"}));
    assert_eq!(end(&all), "end_turn");
    let id = bench.client.session.clone();
    let params = json!({"sessionId": id, "cwd": bench.cwd(), "mcpServers": []});
    // As long as it is open here, it is so nowhere else.
    let mut other = bench.again();
    let refused = other.call("session/load", params.clone());
    assert!(refused["error"]["message"].as_str().unwrap().contains("open in another process"));
    bench.client.call("session/close", json!({"sessionId": id}));
    let asked = other.request("session/load", params.clone());
    let all = other.rest(asked, "");
    assert_eq!(kinds(&all), ["user_message_chunk", "tool_call", "agent_message_chunk", "answer"]);
    let call = &all[1]["params"]["update"];
    assert_eq!(
        (&call["status"], &call["content"][0]["content"]["text"]),
        (&json!("completed"), &json!("one\n"))
    );
    let result = &all[3]["result"];
    assert_eq!(result["modes"]["currentModeId"], "ask");
    assert!(other.call("session/load", params.clone())["error"].is_object(), "open already");
    other.session.clone_from(&id);
    let all = other.run("and now");
    assert_eq!(end(&all), "end_turn");
    let history = bench.model.asked().last().unwrap().body["messages"].to_string();
    assert!(history.contains("echo one") && history.contains("first") && history.contains("and now"));
    other.call("session/close", json!({"sessionId": id}));
    // Ids of calls and messages are not used twice.
    let resumed = bench.client.call("session/resume", json!({"sessionId": id, "cwd": bench.cwd()}));
    assert!(resumed["result"]["configOptions"].is_array(), "without history: {resumed}");
    bench.client.session.clone_from(&id);
    let all = bench.script(json!({"calls": [{"tool": "bash", "input": {"command": "echo two"}}]}));
    let ids: Vec<_> = all.iter().filter_map(|m| m["params"]["update"]["toolCallId"].as_str()).collect();
    assert!(ids.iter().all(|id| *id == "call-2"), "{ids:?}");
}

#[test]
fn a_session_that_was_cut_off_is_mended() {
    let mut bench = Bench::new();
    bench.script(json!({"calls": [{"tool": "bash", "input": {"command": "echo one"}}]}));
    let id = bench.client.session.clone();
    bench.client.call("session/close", json!({"sessionId": id}));
    let path = bench.home.join(format!(".coder/sessions/{id}.jsonl"));
    let lines: Vec<String> = std::fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
    let call = lines.iter().position(|line| line.contains("\"call\"")).unwrap();
    // The process died while the command ran, in the middle of a line.
    std::fs::write(&path, format!("{}\n{{\"type\":\"item\",\"it", lines[..=call].join("\n"))).unwrap();
    let mut other = bench.again();
    let asked = other.request("session/load", json!({"sessionId": id, "cwd": bench.cwd(), "mcpServers": []}));
    let all = other.rest(asked, "");
    assert_eq!(all[1]["params"]["update"]["status"], "failed");
    other.session = id;
    assert_eq!(end(&other.run("go on")), "end_turn");
    assert!(bench.model.asked().last().unwrap().body.to_string().contains("it is not known how far it came"));
}

#[test]
fn sessions_are_listed() {
    let mut bench = Bench::new();
    let list = |bench: &mut Bench, params: Value| bench.client.call("session/list", params)["result"].clone();
    assert_eq!(list(&mut bench, json!({}))["sessions"][0]["sessionId"], bench.client.session);
    let all = bench.client.run("\n  Repair the build\nplease");
    let info =
        all.iter().map(|m| &m["params"]["update"]).find(|u| u["sessionUpdate"] == "session_info_update");
    assert_eq!(info.unwrap()["title"], "Repair the build");
    let cwd = bench.cwd();
    let sessions = list(&mut bench, json!({"cwd": cwd}))["sessions"].clone();
    assert_eq!(sessions.as_array().unwrap().len(), 1);
    assert_eq!(sessions[0]["title"], "Repair the build");
    assert!(sessions[0]["updatedAt"].as_str().unwrap().ends_with('Z'));
    assert_eq!(list(&mut bench, json!({"cwd": "/elsewhere"}))["sessions"], json!([]));
    assert_eq!(bench.client.call("session/list", json!({"cursor": "x"}))["error"]["code"], -32602);
}

#[test]
fn a_session_that_cannot_be_kept_is_one_all_the_same() {
    let mut bench = Bench::new();
    std::fs::write(bench.home.join(".coder"), "a file in the way").unwrap();
    let all = bench.client.run("hi");
    assert_eq!((end(&all).as_str(), text(&all).as_str()), ("end_turn", "All done."));
    assert!(crate::agent::thoughts(&all).contains("is not kept"));
}

#[test]
fn malformed_requests_get_the_right_errors() {
    let mut bench = Bench::new();
    let cwd = json!("/tmp");
    for (method, params, code) in [
        ("fs/nothing", json!({}), -32601),
        ("session/prompt", json!([]), -32602),
        ("session/prompt", json!({"sessionId": "x"}), -32002),
        ("session/prompt", json!({"sessionId": bench.client.session, "prompt": "x"}), -32602),
        ("session/new", json!({"cwd": "relative", "mcpServers": []}), -32602),
        ("session/new", json!({"cwd": cwd, "mcpServers": {}}), -32602),
        (
            "session/new",
            json!({"cwd": cwd, "mcpServers": [{"type": "http", "name": "n", "url": "http://x"}]}),
            -32602,
        ),
        ("session/load", json!({"cwd": cwd, "mcpServers": [], "sessionId": "../../etc/passwd"}), -32002),
        ("session/load", json!({"cwd": cwd, "mcpServers": []}), -32002),
        ("session/close", json!({"sessionId": "x"}), -32002),
        ("session/set_mode", json!({"sessionId": "x", "modeId": "ask"}), -32002),
    ] {
        assert_eq!(bench.client.call(method, params.clone())["error"]["code"], code, "{method} {params}");
    }
    for _ in 1..16 {
        assert!(
            bench.client.call("session/new", json!({"cwd": "/tmp", "mcpServers": []}))["result"].is_object()
        );
    }
    assert_eq!(
        bench.client.call("session/new", json!({"cwd": "/tmp", "mcpServers": []}))["error"]["code"],
        -32600
    );
    assert_eq!(end(&bench.client.run("hi")), "end_turn");
}

#[test]
fn sessions_do_not_mix() {
    let mut bench = Bench::new();
    bench.client.run("about apples");
    let first = bench.client.session.clone();
    let new = bench.client.call("session/new", json!({"cwd": "/tmp", "mcpServers": []}));
    bench.client.session = new["result"]["sessionId"].as_str().unwrap().to_owned();
    assert_ne!(bench.client.session, first);
    let all = bench.script(json!({"calls": [{"tool": "bash", "input": {"command": "pwd"}}]}));
    assert_eq!(results(&all)[0].1, "/tmp\n");
    assert!(!bench.model.asked().last().unwrap().body.to_string().contains("apples"));
}
