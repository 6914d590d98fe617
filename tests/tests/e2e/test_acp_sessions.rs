//! Sessions of `agentos acp`: what is loaded is told once more, what is resumed is not; lists and ends; agents of recordings,
//! whose messages have to arrive as they were.

use std::path::Path;

use agentos_tests::editor::{Editor, kinds, said};
use agentos_tests::watched;
use serde_json::{Value, json};

const RECORDINGS: [(&str, &str); 3] = [
    ("bash-tool-call", include_str!("../../data/acp/bash-tool-call.jsonl")),
    ("cancel", include_str!("../../data/acp/cancel.jsonl")),
    ("permission-allow", include_str!("../../data/acp/permission-allow.jsonl")),
];

fn code(answer: &Value) -> i64 {
    answer["error"]["code"].as_i64().unwrap_or_default()
}

fn ids(answer: &Value) -> Vec<&str> {
    let sessions = answer["result"]["sessions"].as_array().unwrap_or_else(|| panic!("{answer}"));
    sessions.iter().map(|session| session["sessionId"].as_str().unwrap()).collect()
}

/// What is shown of a history: who says what, and what became of tools.
fn outline(messages: &[Value]) -> Vec<String> {
    let mut lines = Vec::new();
    for update in messages.iter().map(|message| &message["params"]["update"]) {
        match update["sessionUpdate"].as_str() {
            Some("user_message_chunk") => {
                lines.push(format!("user: {}", update["content"]["text"].as_str().unwrap()))
            }
            Some("agent_message_chunk") => {
                lines.push(format!("agent: {}", update["content"]["text"].as_str().unwrap()))
            }
            Some("tool_call_update") if update["status"] == "completed" || update["status"] == "failed" => {
                lines.push(format!("tool: {}", update["status"].as_str().unwrap()));
            }
            _ => {}
        }
    }
    lines
}

#[test]
fn a_session_is_loaded_and_resumed_after_a_restart() {
    watched(async || {
        let scratch = tempfile::tempdir().unwrap();
        let store = scratch.path().join("store");
        let args = ["--agent", "scripted", "--no-mount", "--persist", store.to_str().unwrap()];
        let (mut editor, _) = Editor::introduced(&args, json!({})).await;
        let session = editor.session("/tmp").await;
        editor.run(&session, "scenario:text", "").await;
        editor.run(&session, "scenario:tool_ask", "allow_once").await;
        let begun = chrono::Utc::now().timestamp_millis();
        // The end comes in a turn, with a question open.
        editor.prompt(&session, "scenario:tool_ask").await;
        while editor.recv().await["method"] != "session/request_permission" {}
        editor.finish().await;

        let (mut editor, _) = Editor::introduced(&args, json!({})).await;
        let mut listed = editor.call("session/list", json!({})).await;
        let updated = listed["result"]["sessions"][0]["updatedAt"].take();
        let updated: chrono::DateTime<chrono::Utc> = updated.as_str().unwrap().parse().unwrap();
        assert!(updated.timestamp_millis() >= begun && updated <= chrono::Utc::now(), "{updated}");
        let only = json!([{"sessionId": session, "cwd": "/tmp", "updatedAt": null}]);
        assert_eq!(listed["result"]["sessions"], only, "nothing of a probe");
        let early = editor.call("session/prompt", json!({"sessionId": session, "prompt": [{}]})).await;
        assert_eq!(code(&early), -32002);
        let params = json!({"sessionId": session, "cwd": "/tmp", "mcpServers": []});
        let id = editor.request("session/load", params.clone()).await;
        let all = editor.rest(id, "").await;
        let told = [
            "user: scenario:text",
            "agent: hello from agent",
            "user: scenario:tool_ask",
            "tool: completed",
            "agent: the command ran",
            "user: scenario:tool_ask",
            "tool: failed",
        ];
        assert_eq!(outline(&all), told);
        assert!(all[..all.len() - 1].iter().all(|message| message["params"]["sessionId"] == *session));
        assert!(all.last().unwrap()["result"]["configOptions"].is_array());
        assert_eq!(said(&editor.run(&session, "scenario:text", "").await), "hello from agent");
        // Once more, while it runs.
        let id = editor.request("session/load", params.clone()).await;
        assert_eq!(outline(&editor.rest(id, "").await).len(), told.len() + 2);
        assert_eq!(
            said(&editor.run(&session, "scenario:text", "").await),
            "hello from agent",
            "and not twice"
        );
        editor.finish().await;

        let (mut editor, _) = Editor::introduced(&args, json!({})).await;
        let id = editor.request("session/resume", params).await;
        let all = editor.rest(id, "").await;
        assert!(outline(&all).is_empty() && all.last().unwrap()["result"].is_object(), "{all:?}");
        assert_eq!(said(&editor.run(&session, "scenario:text", "").await), "hello from agent");
        editor.finish().await;
    });
}

#[test]
fn sessions_are_listed_closed_and_deleted() {
    watched(async || {
        let args = ["--agent", "scripted", "--no-mount"];
        let (mut editor, _) = Editor::introduced(&args, json!({})).await;
        let first = editor.session("/tmp").await;
        let second = editor.session("/workspace").await;
        // The newest first, as far as the clock can tell.
        let mut both = [first.as_str(), &second];
        both.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(ids(&editor.call("session/list", json!({})).await), both);
        assert_eq!(ids(&editor.call("session/list", json!({"cursor": both[0]})).await), [both[1]]);
        assert_eq!(ids(&editor.call("session/list", json!({"cwd": "/tmp/"})).await), [&first]);
        // Closed in a turn, which ends first.
        editor.run(&first, "scenario:text", "").await;
        let prompt = editor.prompt(&first, "scenario:slow").await;
        editor.update("agent_message_chunk").await;
        let close = editor.request("session/close", json!({"sessionId": first})).await;
        let all = editor.rest(close, "").await;
        let ended =
            all.iter().find(|message| message["method"].is_null() && message["id"] == prompt).unwrap();
        assert_eq!(ended["result"]["stopReason"], "cancelled", "{ended}");
        assert_eq!(ids(&editor.call("session/list", json!({})).await).len(), 2, "it can be loaded");
        let refused = editor.call("session/prompt", json!({"sessionId": first, "prompt": [{}]})).await;
        assert_eq!(code(&refused), -32002);
        let mut params = json!({"sessionId": first, "cwd": "/tmp", "mcpServers": []});
        let id = editor.request("session/load", params.clone()).await;
        let told = [
            "user: scenario:text",
            "agent: hello from agent",
            "user: scenario:slow",
            "agent: running until cancelled",
        ];
        assert_eq!(outline(&editor.rest(id, "").await), told);
        assert_eq!(said(&editor.run(&first, "scenario:text", "").await), "hello from agent");
        // Only where it was begun, and as it was begun.
        params["cwd"] = json!("/workspace");
        assert_eq!(code(&editor.call("session/resume", params.clone()).await), -32602);
        params["cwd"] = json!("/tmp");
        params["mcpServers"] = json!([{"name": "n", "command": "/bin/true", "args": [], "env": []}]);
        assert_eq!(code(&editor.call("session/resume", params.clone()).await), -32602);
        params.as_object_mut().unwrap().remove("mcpServers");
        assert_eq!(code(&editor.call("session/load", params).await), -32602);
        assert!(editor.call("session/delete", json!({"sessionId": first})).await["result"].is_object());
        assert_eq!(ids(&editor.call("session/list", json!({})).await), [&second]);
        for method in ["session/delete", "session/close", "session/load", "session/resume"] {
            let params = json!({"sessionId": first, "cwd": "/tmp", "mcpServers": []});
            assert_eq!(code(&editor.call(method, params).await), -32002, "{method}");
        }
        editor.finish().await;
    });
}

#[test]
fn a_mode_that_was_set_holds_for_who_goes_on() {
    watched(async || {
        // It is not asked for anything.
        let model = ["--base-url", "http://127.0.0.1:9/v1", "--api", "openai-chat", "--model", "m"];
        let args = [&["--agent", "coder", "--no-mount"][..], &model].concat();
        let (mut editor, _) = Editor::introduced(&args, json!({})).await;
        let session = editor.session("/workspace").await;
        let set = editor.call("session/set_mode", json!({"sessionId": session, "modeId": "plan"})).await;
        assert!(set["result"].is_object(), "{set}");
        editor.call("session/close", json!({"sessionId": session})).await;
        let params = json!({"sessionId": session, "cwd": "/workspace", "mcpServers": []});
        let loaded = editor.call("session/load", params).await;
        assert_eq!(loaded["result"]["modes"]["currentModeId"], "plan", "{loaded}");
        editor.finish().await;
    });
}

/// A directory with an agent `pi-acp` that says what these parts hold, each once it has read a line.
fn recorded(folder: &Path, parts: &[String]) -> [String; 2] {
    for (n, part) in parts.iter().enumerate() {
        std::fs::write(folder.join(format!("part-{n}")), part).unwrap();
    }
    let script = format!(
        "#!/bin/sh\nn=0\nwhile read -r line; do\n    [ $n -lt {} ] && cat /recorded/part-$n\n    n=$((n+1))\ndone\n",
        parts.len()
    );
    let program = folder.join("pi-acp");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    [format!("{}:/recorded:ro", folder.display()), "PATH=/recorded:/usr/local/bin:/usr/bin:/bin".to_owned()]
}

async fn as_recorded(parts: &[String], capabilities: Value) -> (tempfile::TempDir, Editor, Value) {
    let folder = tempfile::tempdir().unwrap();
    let [mount, path] = recorded(folder.path(), parts);
    let args = ["--agent", "pi", "--no-mount", "--mount", &mount, "--env", &path];
    let (editor, answer) = Editor::introduced(&args, capabilities).await;
    (folder, editor, answer)
}

/// A session whose agent sends a notice in its turn, with an editor that does not know them and with one that does.
pub(crate) async fn notices() -> [Vec<Value>; 2] {
    let update = |update: Value| {
        let params = json!({"sessionId": "s", "update": update});
        json!({"jsonrpc": "2.0", "method": "session/update", "params": params})
    };
    let notice = update(json!({"sessionUpdate": "notice", "severity": "info", "title": "x"}));
    let parts = [
        format!("{}\n", json!({"jsonrpc": "2.0", "id": 0, "result": {"protocolVersion": 1}})),
        format!("{}\n", json!({"jsonrpc": "2.0", "id": 1, "result": {"sessionId": "s"}})),
        format!("{notice}\n{}\n", json!({"jsonrpc": "2.0", "id": 2, "result": {"stopReason": "end_turn"}})),
    ];
    let mut both = Vec::new();
    for capabilities in [json!({}), json!({"session": {"notices": {}}})] {
        let (_folder, mut editor, _) = as_recorded(&parts, capabilities).await;
        let session = editor.session("/workspace").await;
        both.push(editor.run(&session, "x", "").await);
        editor.finish().await;
    }
    both.try_into().unwrap()
}

#[test]
fn recorded_agents_are_passed_on_as_they_spoke() {
    watched(async || {
        for (name, recording) in RECORDINGS {
            replay(name, recording).await;
        }
    });
}

/// Plays the agent of a recording, and its client at the other end of us.
async fn replay(name: &str, recording: &str) {
    let lines = recording.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<(String, Value)> =
        lines.map(|line| (line["dir"].as_str().unwrap().to_owned(), line["msg"].clone())).collect();
    let mut parts: Vec<String> = Vec::new();
    for (dir, message) in &lines {
        match dir.as_str() {
            "c2a" => parts.push(String::new()),
            "a2c" => parts.last_mut().unwrap().push_str(&format!("{message}\n")),
            _ => {}
        }
    }
    let said_by = |wanted: &str| {
        let said = lines.iter().filter(|(dir, _)| dir == wanted).map(|(_, message)| message.clone());
        said.collect::<Vec<Value>>().into_iter()
    };
    let capabilities = said_by("c2a").next().unwrap()["params"]["clientCapabilities"].clone();
    let (_folder, mut editor, answer) = as_recorded(&parts, capabilities).await;
    let inner = said_by("a2c")
        .find(|message| message["id"] == 0 && message["result"]["agentCapabilities"].is_object());
    let inner = inner.unwrap();
    let can = &inner["result"]["agentCapabilities"];
    assert_eq!(answer["agentCapabilities"]["promptCapabilities"], can["promptCapabilities"], "{name}");
    let new = editor.call("session/new", json!({"cwd": "/workspace", "mcpServers": []})).await;
    let session = new["result"]["sessionId"].as_str().unwrap().to_owned();
    let own = said_by("a2c").find(|message| message["id"] == 1).unwrap()["result"].clone();
    assert_ne!(own["sessionId"], *session, "ids of the agent stay inside");
    for member in ["models", "modes", "configOptions"] {
        assert_eq!(new["result"].get(member), own.get(member), "{name}: {member}");
    }
    let expected: Vec<Value> = said_by("a2c")
        .filter(|message| !message["method"].is_null())
        .map(|mut message| {
            message["params"]["sessionId"] = json!(session);
            message["params"].clone()
        })
        .collect();
    let prompt = said_by("c2a").find(|message| message["method"] == "session/prompt").unwrap();
    let blocks = prompt["params"]["prompt"].clone();
    let id = editor.request("session/prompt", json!({"sessionId": session, "prompt": blocks})).await;
    let mut heard = Vec::new();
    let end = loop {
        let message = editor.recv().await;
        if message["method"].is_null() {
            assert_eq!(message["id"], id);
            break message;
        }
        if message["method"] == "session/request_permission" {
            editor.permit(&message, "choice-0").await;
        }
        heard.push(message["params"].clone());
        let update = &message["params"]["update"];
        if name == "cancel" && update["status"] == "in_progress" && update["_meta"].is_object() {
            editor.notify("session/cancel", json!({"sessionId": session})).await;
        }
    };
    let wanted = said_by("a2c").last().unwrap();
    assert_eq!(end["result"], wanted["result"], "{name}");
    assert_eq!(heard, expected, "{name}");
    assert!(!kinds(&[json!({"params": heard[0]})]).is_empty());
    editor.finish().await;
}
