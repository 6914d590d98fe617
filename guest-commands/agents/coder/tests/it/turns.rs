//! Whole turns with all three APIs: what is asked, shown and answered.

use serde_json::{Value, json};

use crate::{
    agent::{APIS, Bench, With, end, prompt, results, text, thoughts},
    model::{Reply, Turn},
};

#[test]
fn a_bug_is_found_changed_and_tested() {
    for (api, path) in APIS {
        let mut bench = Bench::with(With { api, ..With::default() });
        std::fs::write(bench.cwd().join("add.sh"), "echo $(($1 - $2))\n").unwrap();
        std::fs::write(bench.cwd().join("test.sh"), "[ \"$(sh add.sh 2 3)\" = 5 ] && echo passed\n").unwrap();
        let all = bench.script(json!({
            "calls": [
                {"tool": "bash", "input": {"command": "sh test.sh"}},
                {"tool": "grep", "input": {"pattern": "echo"}},
                {"tool": "read", "input": {"path": "add.sh"}},
                {"tool": "edit", "input": {"path": "add.sh", "old_text": "$1 - $2", "new_text": "$1 + $2"}},
                {"tool": "bash", "input": {"command": "sh test.sh"}},
            ],
            "text": "The sign was wrong; the test passes now.",
        }));
        assert_eq!(
            (end(&all).as_str(), text(&all).as_str()),
            ("end_turn", "The sign was wrong; the test passes now.")
        );
        let results = results(&all);
        assert_eq!(results[0], (false, "[exit status 1]".to_owned()));
        assert_eq!(
            results[1].1,
            "add.sh:1:echo $(($1 - $2))\ntest.sh:1:[ \"$(sh add.sh 2 3)\" = 5 ] && echo passed\n"
        );
        assert_eq!(results[2].1, "     1\techo $(($1 - $2))\n");
        assert!(results[3].0 && results[3].1.ends_with("add.sh at line 1"));
        assert_eq!(results[4], (true, "passed\n".to_owned()));
        let asked = bench.model.asked();
        assert_eq!(asked.len(), 6);
        for request in &asked {
            assert_eq!(request.path, path);
            // The key is the host's business.
            assert!(request.header("authorization").is_none() && request.header("x-api-key").is_none());
            assert_eq!((&request.body["model"], &request.body["stream"]), (&json!("small"), &json!(true)));
        }
        assert_eq!(asked[0].header("anthropic-version").is_some(), api == "anthropic");
        let usage = &all.last().unwrap()["result"]["usage"];
        assert_eq!((&usage["totalTokens"], &usage["outputTokens"]), (&json!(720), &json!(120)));
        let update =
            all.iter().rev().find(|m| m["params"]["update"]["sessionUpdate"] == "usage_update").unwrap();
        assert_eq!(update["params"]["update"]["used"], 120);
        assert_eq!(update["params"]["update"]["size"], 100_000);
    }
}

#[test]
fn several_calls_of_one_answer_are_all_made() {
    for (api, _) in APIS {
        let mut bench = Bench::with(With { api, ..With::default() });
        bench.client.set("mode", "bypass");
        let call = |n: u32| ("bash".to_owned(), json!({"command": format!("echo {n}")}));
        let turn = Turn { text: "Two at once.".into(), calls: vec![call(1), call(2)], ..Turn::default() };
        bench.model.reply(Reply::Events(bench.events(&turn)));
        let all = bench.client.run("go");
        assert_eq!(results(&all), [(true, "1\n".to_owned()), (true, "2\n".to_owned())]);
        assert_eq!(text(&all), "Two at once.All done.");
        // Each text is a message of its own.
        let ids: std::collections::BTreeSet<_> =
            all.iter().filter_map(|m| m["params"]["update"]["messageId"].as_str()).collect();
        assert_eq!(ids.len(), 2);
    }
}

#[test]
fn thoughts_are_shown_and_given_back() {
    let mut bench = Bench::new();
    let script = json!({"thought": "let me see", "calls": [{"tool": "bash", "input": {"command": "true"}}]});
    let all = bench.script(script);
    assert_eq!((thoughts(&all).as_str(), end(&all).as_str()), ("let me see", "end_turn"));
    assert_eq!(results(&all), [(true, String::new())]);
    let second = &bench.model.asked()[1].body["messages"];
    let thought = json!({"type": "thinking", "thinking": "let me see", "signature": "sig"});
    assert_eq!(second[1]["content"][0], thought);
    assert_eq!(second[2]["content"][0]["content"], "(no output)");
}

#[test]
fn what_a_prompt_holds_goes_to_the_model() {
    let mut bench = Bench::new();
    let image = json!({"type": "image", "mimeType": "image/png", "data": "QQ=="});
    let blocks = json!([
        {"type": "text", "text": "look"},
        {"type": "resource", "resource": {"uri": "file:///a", "text": "inside"}},
        {"type": "resource_link", "uri": "file:///b", "name": "b"},
        image,
    ]);
    let params = json!({"sessionId": bench.client.session, "prompt": blocks});
    let id = bench.client.request("session/prompt", params);
    assert_eq!(end(&bench.client.rest(id, "allow_once")), "end_turn");
    let content = bench.model.asked()[0].body["messages"][0]["content"].clone();
    assert!(content[1]["text"].as_str().unwrap().contains("inside"));
    assert_eq!(content[3]["source"]["data"], "QQ==");
    let sound = json!([{"type": "audio", "mimeType": "audio/wav", "data": "QQ=="}]);
    let params = json!({"sessionId": bench.client.session, "prompt": sound});
    assert_eq!(bench.client.call("session/prompt", params)["error"]["code"], -32602);
}

#[test]
fn instructions_of_host_and_project_are_told() {
    let mut bench = Bench::new();
    std::fs::write(bench.cwd().join("AGENTS.md"), "Use tabs.").unwrap();
    let meta = json!({"agentos": {"instructions": "be brief"}});
    let params = json!({"cwd": bench.cwd(), "mcpServers": [], "_meta": meta});
    bench.client.session =
        bench.client.call("session/new", params)["result"]["sessionId"].as_str().unwrap().to_owned();
    bench.client.run("hi");
    let system = bench.model.asked()[0].body["system"][0]["text"].as_str().unwrap().to_owned();
    for part in ["be brief", "Use tabs.", bench.cwd().to_str().unwrap()] {
        assert!(system.contains(part), "{part}");
    }
}

#[test]
fn a_plan_is_shown_as_one() {
    let mut bench = Bench::new();
    let entries =
        json!([{"content": "look", "status": "completed"}, {"content": "change", "status": "pending"}]);
    let all = bench.client.run(&prompt(&json!({"calls": [{"tool": "plan", "input": {"entries": entries}}]})));
    let plans: Vec<&Value> =
        all.iter().map(|m| &m["params"]["update"]).filter(|u| u["sessionUpdate"] == "plan").collect();
    assert_eq!(plans.len(), 1);
    assert_eq!(
        plans[0]["entries"][1],
        json!({"content": "change", "status": "pending", "priority": "medium"})
    );
    assert!(results(&all).is_empty());
}

#[test]
fn the_model_is_told_what_it_did_wrong() {
    let mut bench = Bench::new();
    bench.client.set("mode", "bypass");
    let call = |name: &str| {
        json!({"type": "content_block_start", "index": 0,
        "content_block": {"type": "tool_use", "id": "t", "name": name, "input": {}}})
    };
    let broken = json!({"type": "content_block_delta", "index": 0,
        "delta": {"type": "input_json_delta", "partial_json": "{\"command\": \"ls"}});
    let end_of = [
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
        json!({"type": "message_stop"}),
    ];
    for (events, want) in [
        (vec![call("bash"), broken], "the input is no JSON"),
        (vec![call("fly")], "there is no tool fly"),
        (vec![call("bash")], "command is missing"),
        (vec![call("mcp__a__b")], "there is no tool mcp__a__b"),
    ] {
        let events = events.iter().chain(&end_of).map(Value::to_string).collect();
        bench.model.reply(Reply::Events(events));
        let all = bench.client.run("go");
        assert_eq!(end(&all), "end_turn");
        assert!(!results(&all)[0].0 && results(&all)[0].1.contains(want), "{:?}", results(&all));
    }
}

#[test]
fn answers_that_are_cut_end_the_turn() {
    let mut bench = Bench::new();
    let mut cut = |reason: &str| {
        let turn = Turn { text: "so far".into(), calls: vec![("bash".into(), json!({}))], ..Turn::default() };
        let mut events = bench.events(&turn);
        let last = events.len() - 2;
        events[last] = json!({"type": "message_delta", "delta": {"stop_reason": reason}}).to_string();
        bench.model.reply(Reply::Events(events));
        let all = bench.client.run("go");
        assert!(text(&all).starts_with("so far") && results(&all).is_empty());
        end(&all)
    };
    assert_eq!(cut("max_tokens"), "max_tokens");
    assert_eq!(cut("refusal"), "refusal");
    // The call that was not made is not in the history either.
    assert_eq!(end(&bench.client.run("go on")), "end_turn");
    assert!(!bench.model.asked()[2].body["messages"].to_string().contains("tool_use"));
}

#[test]
fn a_long_conversation_is_summed_up() {
    for knows in [true, false] {
        let capabilities = if knows { json!({"session": {"compaction": {}}}) } else { json!({}) };
        let mut bench = Bench::with(With { context: 10_000, capabilities, ..With::default() });
        bench.client.set("mode", "bypass");
        for (command, tokens) in [("echo one", 100), ("echo two", 8500)] {
            let calls = vec![("bash".to_owned(), json!({"command": command}))];
            bench.model.reply(Reply::Events(bench.events(&Turn { calls, tokens, ..Turn::default() })));
        }
        let all = bench.client.run("Do it.");
        assert_eq!((end(&all).as_str(), text(&all).as_str()), ("end_turn", "All done."));
        let asked = bench.model.asked();
        let summaries: Vec<_> = asked.iter().filter(|asked| asked.body["tools"].is_null()).collect();
        assert_eq!(summaries.len(), 1);
        assert!(summaries[0].body["messages"].to_string().contains("echo one"));
        // After it the model knows the summary and the request, and nothing else.
        let after = asked.iter().position(|asked| asked.body["tools"].is_null()).unwrap() + 1;
        let messages = asked[after].body["messages"].as_array().unwrap();
        let first = messages[0]["content"][0]["text"].as_str().unwrap();
        assert!(first.contains("A summary.") && first.contains("Do it."));
        assert_eq!(messages.len(), 1);
        let updates: Vec<&Value> = all.iter().map(|m| &m["params"]["update"]).collect();
        let states: Vec<_> = updates
            .iter()
            .filter(|u| u["sessionUpdate"] == "compaction_update")
            .map(|u| u["status"].as_str().unwrap())
            .take(2)
            .collect();
        if knows {
            assert_eq!(states, ["in_progress", "completed"]);
        } else {
            assert!(states.is_empty() && thoughts(&all).contains("goes on from a summary"));
        }
    }
}

#[test]
fn a_history_that_the_endpoint_finds_too_long_is_summed_up_once() {
    let mut bench = Bench::new();
    assert_eq!(
        end(&bench.script(json!({"calls": [{"tool": "bash", "input": {"command": "true"}}]}))),
        "end_turn"
    );
    let long = r#"{"error": {"type": "invalid_request_error", "message": "prompt is too long"}}"#;
    bench.model.reply(Reply::Status(400, vec![], long.into()));
    assert_eq!(end(&bench.client.run("more")), "end_turn");
    let asked = bench.model.asked();
    assert!(asked[3].body["tools"].is_null() && !asked[4].body["tools"].is_null());
    // A prompt that is too long by itself cannot be helped.
    for _ in 0..3 {
        bench.model.reply(Reply::Status(400, vec![], long.into()));
    }
    assert!(end(&bench.client.run("more")).contains("prompt is too long"));
}
