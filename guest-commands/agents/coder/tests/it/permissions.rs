//! What is asked, what modes allow, and what an answer for always is for.

use serde_json::{Value, json};

use crate::agent::{Bench, end, prompt, results};

/// The requests for permission: title, and the names of the options.
fn asked(messages: &[Value]) -> Vec<(String, Vec<String>)> {
    let requests = messages.iter().filter(|message| message["method"] == "session/request_permission");
    let names = |params: &Value| {
        params["options"].as_array().unwrap().iter().map(|o| o["name"].as_str().unwrap().to_owned()).collect()
    };
    let one = |message: &Value| {
        let params = &message["params"];
        (params["toolCall"]["title"].as_str().unwrap().to_owned(), names(params))
    };
    requests.map(one).collect()
}

fn bash(command: &str) -> Value {
    json!({"tool": "bash", "input": {"command": command}})
}

fn write(path: &str) -> Value {
    json!({"tool": "write", "input": {"path": path, "content": "x\n"}})
}

/// Runs calls, and answers every question in the same way.
fn run(bench: &mut Bench, calls: &[Value], answer: &str) -> Vec<Value> {
    let id = bench.client.prompt(&prompt(&json!({"calls": calls})));
    bench.client.rest(id, answer)
}

#[test]
fn a_call_that_is_rejected_is_not_made_and_the_model_knows() {
    let mut bench = Bench::new();
    for answer in ["reject_once", "cancelled", "nonsense"] {
        let all = run(
            &mut bench,
            &[write("a"), bash("touch b"), json!({"tool": "glob", "input": {"pattern": "*"}})],
            answer,
        );
        assert_eq!(end(&all), "end_turn");
        let names: Vec<_> = asked(&all).into_iter().map(|(title, _)| title).collect();
        assert_eq!(names, ["write a", "touch b"]);
        let rejected = (false, "the user rejected this call".to_owned());
        assert_eq!(results(&all), [rejected.clone(), rejected, (true, "no file matches\n".to_owned())]);
    }
    assert!(bench.model.asked().last().unwrap().body.to_string().contains("rejected this call"));
}

#[test]
fn an_answer_for_always_is_for_what_it_says() {
    let mut bench = Bench::new();
    let all = run(
        &mut bench,
        &[bash("git status"), bash("git status --short"), bash("git status; ls")],
        "allow_always",
    );
    let asked_now = asked(&all);
    assert_eq!(asked_now.len(), 2);
    assert_eq!(asked_now[0].1, ["Allow", "Always allow `git status …`", "Reject"]);
    assert_eq!(asked_now[1].1[1], "Always allow this very command");
    let all = run(
        &mut bench,
        &[
            write("a"),
            write("b"),
            json!({"tool": "edit", "input": {"path": "a", "old_text": "x", "new_text": "y"}}),
        ],
        "allow_always",
    );
    assert_eq!(asked(&all).len(), 1);
    assert_eq!(asked(&all)[0].1[1], "Always allow changes of files");
    assert!(results(&all).iter().all(|(ok, _)| *ok));
    // For this session only.
    let params = json!({"cwd": bench.cwd(), "mcpServers": []});
    bench.client.session =
        bench.client.call("session/new", params)["result"]["sessionId"].as_str().unwrap().to_owned();
    assert_eq!(asked(&run(&mut bench, &[write("c")], "allow_once")).len(), 1);
}

#[test]
fn modes_are_set_in_both_ways() {
    let mut bench = Bench::new();
    let session = bench.client.session.clone();
    let mode = |bench: &mut Bench, mode: &str| {
        bench.client.call("session/set_mode", json!({"sessionId": session, "modeId": mode}))
    };
    let calls = [write("a"), bash("echo hi")];
    for (name, questions, done) in [
        ("ask", 2, [true, true]),
        ("accept-edits", 1, [true, true]),
        ("bypass", 0, [true, true]),
        ("plan", 0, [false, false]),
    ] {
        assert_eq!(mode(&mut bench, name)["result"], json!({}));
        let all = run(&mut bench, &calls, "allow_once");
        assert_eq!(asked(&all).len(), questions, "{name}");
        let oks: Vec<bool> = results(&all).into_iter().map(|(ok, _)| ok).collect();
        assert_eq!(oks, done, "{name}");
        assert_eq!(
            bench.model.asked().last().unwrap().body["system"].to_string().contains("in plan mode"),
            name == "plan"
        );
    }
    assert_eq!(mode(&mut bench, "yolo")["error"]["code"], -32602);
    let options = bench
        .client
        .call("session/set_config_option", json!({"sessionId": session, "configId": "mode", "value": "ask"}));
    assert_eq!(options["result"]["configOptions"][0]["currentValue"], "ask");
    // Any model that the endpoint may know.
    let options = bench.client.call(
        "session/set_config_option",
        json!({"sessionId": session, "configId": "model", "value": "huge"}),
    );
    let model = &options["result"]["configOptions"][1];
    assert_eq!((&model["currentValue"], model["options"].as_array().unwrap().len()), (&json!("huge"), 3));
    bench.client.run("hi");
    assert_eq!(bench.model.asked().last().unwrap().body["model"], "huge");
    for (id, value) in
        [("mode", json!("x")), ("mode", json!(true)), ("model", json!("")), ("color", json!("x"))]
    {
        let params = json!({"sessionId": session, "configId": id, "value": value});
        assert_eq!(bench.client.call("session/set_config_option", params)["error"]["code"], -32602);
    }
}
