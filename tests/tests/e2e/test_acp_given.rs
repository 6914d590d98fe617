//! What an editor says that only it and the agent know: `agentos acp` hands it on as it came. The agent here writes down what it
//! hears.

use std::path::Path;

use agentos_tests::editor::Editor;
use agentos_tests::{eventually, watched};
use serde_json::{Value, json};

/// A directory with an agent `pi-acp` that writes down each line that it reads, and then says the part of this number.
fn agent(folder: &Path, parts: &[Value]) -> [String; 2] {
    for (n, part) in parts.iter().enumerate() {
        let text = if part.is_null() { String::new() } else { format!("{part}\n") };
        std::fs::write(folder.join(format!("part-{n}")), text).unwrap();
    }
    let script = format!(
        "#!/bin/sh\nn=0\nwhile read -r line; do\n    printf '%s\\n' \"$line\" >> /heard/lines\n    [ $n -lt {} ] && cat /heard/part-$n\n    n=$((n+1))\ndone\n",
        parts.len()
    );
    let program = folder.join("pi-acp");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    [format!("{}:/heard", folder.display()), "PATH=/heard:/usr/local/bin:/usr/bin:/bin".to_owned()]
}

/// The parameters of what the agent has heard by this method, in their order.
fn heard(folder: &Path, method: &str) -> Vec<Value> {
    let lines = std::fs::read_to_string(folder.join("lines")).unwrap_or_default();
    let messages = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages.filter(|message| message["method"] == method).map(|message| message["params"].clone()).collect()
}

fn refusal(answer: &Value) -> (i64, &str) {
    (
        answer["error"]["code"].as_i64().unwrap_or_default(),
        answer["error"]["message"].as_str().unwrap_or_default(),
    )
}

fn result(id: u64, result: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": result})
}

#[test]
fn what_the_editor_says_reaches_the_agent_as_it_came() {
    watched(async || {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("heard");
        std::fs::create_dir(&folder).unwrap();
        let can = json!({"loadSession": true, "promptCapabilities": {"embeddedContext": true}});
        let parts = [
            result(0, json!({"protocolVersion": 1, "agentCapabilities": can})),
            result(1, json!({"sessionId": "inner"})),
            result(2, json!({"stopReason": "end_turn"})),
        ];
        let [mount, path] = agent(&folder, &parts);
        let store = scratch.path().join("store");
        let args = [
            "--agent",
            "pi",
            "--no-mount",
            "--mount",
            &mount,
            "--env",
            &path,
            "--persist",
            store.to_str().unwrap(),
        ];
        let blocks = json!([
            {"type": "text", "text": "hi", "annotations": {"audience": ["assistant"], "priority": 0.5, "_meta": {"a": 1}},
                "_meta": {"deep": {"er": [null]}}, "ofTomorrow": true},
            {"type": "resource_link", "uri": "file:///a", "name": "a", "title": "A", "description": "of a", "_meta": {"b": 1}},
            {"type": "resource", "resource": {"uri": "file:///b", "text": "b", "_meta": {"line": 3}, "ofTomorrow": 1}},
        ]);
        let (mut editor, _) = Editor::introduced(&args, json!({})).await;
        // One of these is not the last word: what we say goes before what the editor says.
        let meta = json!({"traceparent": "00-1", "agentos": "of the editor"});
        let params = json!({"cwd": "/workspace", "mcpServers": [], "_meta": meta});
        let new = editor.call("session/new", params).await;
        let session = new["result"]["sessionId"].as_str().unwrap_or_else(|| panic!("{new}")).to_owned();
        let told = heard(&folder, "session/new").pop().unwrap();
        assert_eq!(told["_meta"]["traceparent"], "00-1");
        assert!(told["_meta"]["agentos"]["instructions"].is_string(), "{told}");
        let params = json!({"sessionId": session, "prompt": blocks, "_meta": {"traceparent": "00-2"}, "messageId": "m"});
        let answer = editor.call("session/prompt", params).await;
        assert_eq!(answer["result"]["stopReason"], "end_turn", "{answer}");
        let mut told = heard(&folder, "session/prompt").pop().unwrap();
        let said = told.as_object_mut().unwrap().remove("prompt").unwrap();
        assert_eq!(told, json!({"sessionId": "inner", "_meta": {"traceparent": "00-2"}, "messageId": "m"}));
        // The instructions are ours, and go before it.
        let said = said.as_array().unwrap();
        assert_eq!(json!(said[said.len() - 3..]), blocks);
        editor.notify("_acme/note", json!({"sessionId": session, "n": 1})).await;
        editor.notify("_acme/note", json!({"sessionId": "of nobody"})).await;
        let note = || {
            let notes = heard(&folder, "_acme/note");
            assert!(notes.len() < 2, "{notes:?}");
            notes.into_iter().next()
        };
        eventually("the agent has heard it", async || note().is_some()).await;
        assert_eq!(note(), Some(json!({"sessionId": "inner", "n": 1})));
        // What is too much is said, and sent to nobody.
        let much = json!({"x": "y".repeat(64 << 10)});
        for (method, named) in [("session/prompt", "params: "), ("session/new", "meta: ")] {
            let params = json!({"sessionId": session, "cwd": "/workspace", "mcpServers": [], "_meta": much,
                "prompt": [{"type": "text", "text": "x"}]});
            let answer = editor.call(method, params).await;
            let (code, text) = refusal(&answer);
            assert!(code == -32602 && text.contains(named) && text.contains("65536"), "{method}: {answer}");
        }
        editor.finish().await;

        // In another life: the prompt is told as it was, and the agent hears what is said now.
        let (mut editor, _) = Editor::introduced(&args, json!({})).await;
        let params = |n: u64| json!({"sessionId": session, "cwd": "/workspace", "mcpServers": [], "_meta": {"load": n}});
        let id = editor.request("session/load", params(1)).await;
        let all = editor.rest(id, "").await;
        let chunks = all.iter().map(|message| &message["params"]["update"]);
        let chunks = chunks.filter(|update| update["sessionUpdate"] == "user_message_chunk");
        assert_eq!(json!(chunks.map(|update| update["content"].clone()).collect::<Vec<_>>()), blocks);
        let told = heard(&folder, "session/load").pop().unwrap();
        assert_eq!(
            (&told["_meta"]["load"], &told["_meta"]["traceparent"]),
            (&json!(1), &Value::Null),
            "{told}"
        );
        // It runs by now.
        assert!(editor.call("session/resume", params(2)).await["result"].is_object());
        assert_eq!(heard(&folder, "session/load").len(), 1);
        editor.finish().await;
    });
}
