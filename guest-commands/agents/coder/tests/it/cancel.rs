//! Cancelling: while the model answers, while it is waited for, while a tool runs, while a question is open.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    agent::{APIS, Bench, With, end, is_gone, prompt, results, text},
    model::{Reply, Turn},
};

/// Waits for a message of which this is true.
fn wait_for(bench: &mut Bench, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let message = bench.client.recv();
        assert!(!message["method"].is_null(), "the turn ended: {message}");
        if wanted(&message["params"]) {
            return message;
        }
    }
}

#[test]
fn while_the_model_answers() {
    for (api, _) in APIS {
        let mut bench = Bench::with(With { api, ..With::default() });
        let mut events = bench.events(&Turn { text: "Once upon a time".into(), ..Turn::default() });
        events.truncate(4);
        bench.model.reply(Reply::Hang(events));
        let id = bench.client.prompt("tell me");
        wait_for(&mut bench, |params| params["update"]["sessionUpdate"] == "agent_message_chunk");
        bench.client.cancel();
        assert_eq!(end(&bench.client.rest(id, "")), "cancelled");
        // What was said until then is known in the next turn.
        assert_eq!(end(&bench.client.run("go on")), "end_turn");
        assert!(bench.model.asked()[1].body.to_string().contains("Once upon"), "{api}");
    }
}

#[test]
fn before_the_model_answers() {
    let mut bench = Bench::new();
    bench.model.reply(Reply::Hang(Vec::new()));
    let id = bench.client.prompt("tell me");
    while bench.model.asked().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    bench.client.notify("$/cancel_request", json!({"requestId": id}));
    assert_eq!(bench.client.rest(id, "").last().unwrap()["error"]["code"], -32800);
}

#[test]
fn while_a_request_waits_to_be_made_again() {
    let mut bench = Bench::new();
    bench.model.reply(Reply::Status(529, vec!["retry-after: 100".into()], "{}".into()));
    let id = bench.client.prompt("tell me");
    wait_for(&mut bench, |params| {
        params["update"]["content"]["text"].as_str().is_some_and(|t| t.contains("again in 100"))
    });
    bench.client.cancel();
    assert_eq!(end(&bench.client.rest(id, "")), "cancelled");
    assert_eq!(bench.model.asked().len(), 1);
}

#[test]
fn while_a_command_runs() {
    let mut bench = Bench::new();
    bench.client.set("mode", "bypass");
    let command = "sh -c 'sleep 60 & echo $!; wait' & echo $$; sleep 0.3; echo ready; wait";
    let calls = json!([{"tool": "bash", "input": {"command": command}}, {"tool": "bash", "input": {"command": "echo never"}}]);
    let id = bench.client.prompt(&prompt(&json!({"calls": calls})));
    let shown = |params: &Value| {
        params["update"]["content"][0]["content"]["text"].as_str().unwrap_or_default().to_owned()
    };
    let message = wait_for(&mut bench, |params| shown(params).contains("ready"));
    let pids: Vec<i32> =
        shown(&message["params"]).split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert_eq!(pids.len(), 2);
    bench.client.cancel();
    let all = bench.client.rest(id, "");
    assert_eq!(end(&all), "cancelled");
    assert!(!results(&all)[0].0 && results(&all)[0].1.contains("cancelled by the user"));
    assert!(pids.into_iter().all(is_gone));
    // The model is told in the next turn.
    bench.client.run("go on");
    let last = bench.model.asked().last().unwrap().body.to_string();
    assert!(last.contains("cancelled by the user") && last.contains("ready"));
}

#[test]
fn while_a_question_is_open() {
    let mut bench = Bench::new();
    let call = json!({"tool": "write", "input": {"path": "never", "content": ""}});
    let id = bench.client.prompt(&prompt(&json!({"calls": [call.clone(), call]})));
    let asked = wait_for(&mut bench, |params| params["options"].is_array());
    bench.client.cancel();
    bench.client.permit(&asked, "cancelled");
    let all = bench.client.rest(id, "");
    assert_eq!(end(&all), "cancelled");
    assert!(!results(&all)[0].0 && !bench.cwd().join("never").exists());
}

#[test]
fn one_that_comes_in_one_piece_with_its_prompt() {
    let mut bench = Bench::new();
    let session = bench.client.session.clone();
    let prompt = json!({"jsonrpc": "2.0", "id": 900, "method": "session/prompt",
        "params": {"sessionId": session, "prompt": [{"type": "text", "text": "hi"}]}});
    let cancel = json!({"jsonrpc": "2.0", "method": "session/cancel", "params": {"sessionId": session}});
    bench.client.raw(format!("{prompt}\n{cancel}\n").as_bytes());
    assert_eq!(end(&bench.client.rest(900, "")), "cancelled");
    // Nothing to cancel, and another session's.
    bench.client.cancel();
    bench.client.notify("session/cancel", json!({"sessionId": "other"}));
    let all = bench.client.run("hi");
    assert_eq!((end(&all).as_str(), text(&all).as_str()), ("end_turn", "All done."));
}

#[test]
fn the_client_is_answered_meanwhile_and_closing_cancels() {
    let mut bench = Bench::new();
    bench.client.set("mode", "bypass");
    let calls = json!([{"tool": "bash", "input": {"command": "echo $$; sleep 60"}}]);
    let id = bench.client.prompt(&prompt(&json!({"calls": calls})));
    wait_for(&mut bench, |params| params["update"]["content"][0]["content"]["text"].is_string());
    let params = json!({"sessionId": bench.client.session, "configId": "mode", "value": "ask"});
    assert!(bench.client.call("session/set_config_option", params)["result"].is_object());
    let params = json!({"sessionId": bench.client.session, "prompt": [{"type": "text", "text": "x"}]});
    assert_eq!(bench.client.call("session/prompt", params)["error"]["code"], -32600);
    let close = bench.client.request("session/close", json!({"sessionId": bench.client.session}));
    assert_eq!(end(&bench.client.rest(id, "")), "cancelled");
    assert_eq!(bench.client.recv(), json!({"jsonrpc": "2.0", "id": close, "result": {}}));
}

#[test]
fn the_end_of_the_client_and_of_a_session_end_what_runs() {
    let mut bench = Bench::new();
    let left = |bench: &mut Bench| -> i32 {
        let all = bench.script(
            json!({"calls": [{"tool": "bash", "input": {"command": "sleep 60 >/dev/null 2>&1 & echo $!"}}]}),
        );
        results(&all)[0].1.trim().parse().unwrap()
    };
    // Left behind on purpose, so that a server can be tried; but not for ever.
    let pid = left(&mut bench);
    assert!(agentos_guest::signal::kill(pid, None).is_ok());
    bench.client.call("session/close", json!({"sessionId": bench.client.session}));
    assert!(is_gone(pid));
    let mut other = Bench::new();
    let pid = left(&mut other);
    let calls = json!([{"tool": "bash", "input": {"command": "sleep 61"}}]);
    other.client.prompt(&prompt(&json!({"calls": calls})));
    let unused = other.again();
    let client = std::mem::replace(&mut other.client, unused);
    client.finish().unwrap();
    assert!(is_gone(pid));
}
