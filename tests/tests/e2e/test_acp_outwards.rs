//! `agentos acp` as an editor has it: what it offers, turns, permissions, cancels, files, and what is no good input. Sessions that
//! are loaded and listed are in `test_acp_sessions`.

use std::collections::BTreeSet;

use agentos_tests::editor::{Editor, kinds, said};
use agentos_tests::mcp::WEATHER;
use agentos_tests::{eventually, watched};
use serde_json::{Value, json};

const SCRIPTED: [&str; 3] = ["--agent", "scripted", "--no-mount"];

async fn scripted() -> (Editor, String) {
    let (mut editor, _) = Editor::introduced(&SCRIPTED, json!({})).await;
    let session = editor.session("/workspace").await;
    (editor, session)
}

fn block(command: &str) -> String {
    format!("```sh\n{command}\n```")
}

fn error(answer: &Value) -> (i64, &str) {
    (
        answer["error"]["code"].as_i64().unwrap_or_default(),
        answer["error"]["message"].as_str().unwrap_or_default(),
    )
}

#[test]
fn it_introduces_itself_with_what_works() {
    watched(async || {
        let mut editor = Editor::start(&SCRIPTED);
        let early = editor.call("session/new", json!({"cwd": "/workspace", "mcpServers": []})).await;
        assert_eq!(error(&early), (-32600, "initialize first, and wait for its answer"));
        // Whatever version is offered.
        let answer = editor.call("initialize", json!({"protocolVersion": 7})).await;
        let said = &answer["result"];
        assert_eq!((&said["protocolVersion"], &said["agentInfo"]["name"]), (&json!(1), &json!("agentos")));
        let can = &said["agentCapabilities"];
        assert_eq!(can["loadSession"], true);
        assert_eq!(
            can["promptCapabilities"],
            json!({"image": false, "audio": false, "embeddedContext": true})
        );
        assert_eq!(can["mcpCapabilities"], json!({"http": true, "sse": false}));
        for name in ["list", "delete", "resume", "close", "additionalDirectories"] {
            assert!(can["sessionCapabilities"][name].is_object(), "{name}");
        }
        assert_eq!(said["authMethods"], json!([]));
        assert_eq!(said["_meta"]["agentos"]["agentInfo"]["name"], "scripted");
        let again = editor.call("initialize", json!({"protocolVersion": 1})).await;
        assert_eq!(error(&again).0, -32600);
        for (method, code) in [("session/fork", -32601), ("logout", -32601), ("authenticate", -32602)] {
            let params = json!({"sessionId": "x", "cwd": "/", "methodId": "m"});
            assert_eq!(error(&editor.call(method, params).await).0, code, "{method}");
        }
        for (kind, url) in [("sse", "https://h/"), ("http", "nonsense")] {
            let server = json!({"type": kind, "name": "h", "url": url, "headers": []});
            let refused =
                editor.call("session/new", json!({"cwd": "/workspace", "mcpServers": [server]})).await;
            assert_eq!(error(&refused).0, -32602, "{refused}");
        }
        editor.finish().await;
    });
}

#[test]
fn a_turn_comes_in_order_and_ends_with_its_result() {
    watched(async || {
        let (mut editor, session) = scripted().await;
        let all = editor.run(&session, "scenario:text", "").await;
        assert_eq!(said(&all), "hello from agent");
        assert_eq!(all.last().unwrap()["result"]["stopReason"], "end_turn");
        assert!(all[..all.len() - 1].iter().all(|message| message["params"]["sessionId"] == *session));
        let failed = editor.run(&session, "scenario:error", "").await;
        let (code, text) = error(failed.last().unwrap());
        assert_eq!((code, text.contains("as it was told to")), (-32603, true), "{text}");
        assert_eq!(said(&failed), "about to fail", "what was said is said before the error");
        // Two sessions, and prompts that queue.
        let other = editor.session("/tmp").await;
        let ids = [editor.prompt(&session, "one").await, editor.prompt(&session, "two").await];
        let third = editor.prompt(&other, &block("pwd")).await;
        let mut ended = Vec::new();
        let mut pwd = String::new();
        while ended.len() < 3 {
            let message = editor.recv().await;
            if message["method"] == "session/request_permission" {
                assert_eq!(message["params"]["sessionId"], *other);
                editor.permit(&message, "allow_once").await;
            } else if message["method"].is_null() {
                assert_eq!(message["result"]["stopReason"], "end_turn", "{message}");
                ended.push(message["id"].as_u64().unwrap());
            } else if message["params"]["sessionId"] == *other {
                pwd.push_str(&message["params"]["update"]["rawOutput"].to_string());
            }
        }
        assert!(pwd.contains("/tmp"), "{pwd}");
        ended.retain(|id| *id != third);
        assert_eq!(ended, ids, "one after the other");
        editor.finish().await;
    });
}

#[test]
fn permissions_are_answered_by_the_very_option() {
    watched(async || {
        let (mut editor, session) = scripted().await;
        let id = editor.prompt(&session, "scenario:tool_ask").await;
        let ask = loop {
            let message = editor.recv().await;
            if message["method"] == "session/request_permission" {
                break message;
            }
        };
        let members: BTreeSet<&str> = ask["params"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["options", "sessionId", "toolCall"].into(), "nothing is added");
        assert_eq!(ask["params"]["sessionId"], *session);
        editor.permit(&ask, "reject_once").await;
        assert_eq!(said(&editor.rest(id, "").await), "the command was denied");
        // What was not offered, an error and a cancelled outcome count as a refusal.
        for result in [
            json!({"result": {"outcome": {"outcome": "selected", "optionId": "all"}}}),
            json!({"result": {"outcome": {"outcome": "cancelled"}}}),
            json!({"error": {"code": -32601, "message": "what?"}}),
        ] {
            let id = editor.prompt(&session, "scenario:tool_ask").await;
            let ask = loop {
                let message = editor.recv().await;
                if message["method"] == "session/request_permission" {
                    break message;
                }
            };
            let mut answer = json!({"jsonrpc": "2.0", "id": ask["id"]});
            answer.as_object_mut().unwrap().extend(result.as_object().unwrap().clone());
            editor.send(&answer).await;
            assert_eq!(said(&editor.rest(id, "").await), "the command was denied");
        }
        let all = editor.run(&session, "scenario:tool_ask", "allow_once").await;
        assert_eq!(said(&all), "the command ran");
        // Of two that refuse, the one that was chosen: from now on the agent does not ask any more.
        let all = editor.run(&session, "scenario:tool_ask", "reject_always").await;
        assert_eq!(said(&all), "the command was denied");
        let all = editor.run(&session, "scenario:tool_ask", "allow_once").await;
        assert_eq!(said(&all), "the command was denied");
        assert!(all.iter().all(|message| message["method"] != "session/request_permission"));
        editor.finish().await;
    });
}

#[test]
fn a_cancel_ends_the_turn_whatever_it_is_at() {
    watched(async || {
        let (mut editor, session) = scripted().await;
        // Before it has begun.
        let id = editor.prompt(&session, "scenario:slow").await;
        editor.notify("session/cancel", json!({"sessionId": session})).await;
        let all = editor.rest(id, "").await;
        assert_eq!(all.last().unwrap()["result"]["stopReason"], "cancelled", "{all:?}");
        // In a tool.
        let never = json!({"sessionId": session, "configId": "permission", "value": "never"});
        let set = editor.call("session/set_config_option", never).await;
        assert_eq!(set["result"]["configOptions"][0]["currentValue"], "never");
        let id = editor.prompt(&session, &block("sleep 1000")).await;
        while editor.update("tool_call_update").await["status"] != "in_progress" {}
        editor.notify("session/cancel", json!({"sessionId": session})).await;
        let all = editor.rest(id, "").await;
        assert_eq!(all.last().unwrap()["result"]["stopReason"], "cancelled");
        // While the editor is asked: the question is taken back.
        let ask = json!({"sessionId": session, "configId": "permission", "value": "ask"});
        editor.call("session/set_config_option", ask).await;
        let id = editor.prompt(&session, "scenario:tool_ask").await;
        let asked = loop {
            let message = editor.recv().await;
            if message["method"] == "session/request_permission" {
                break message;
            }
        };
        editor.notify("session/cancel", json!({"sessionId": session})).await;
        let all = editor.rest(id, "").await;
        assert_eq!(all.last().unwrap()["result"]["stopReason"], "cancelled");
        let taken_back = match all.into_iter().find(|message| message["method"] == "$/cancel_request") {
            Some(taken_back) => taken_back,
            // It may be a step behind the end of the turn.
            None => editor.recv().await,
        };
        assert_eq!(taken_back["method"], "$/cancel_request");
        assert_eq!(taken_back["params"]["requestId"], asked["id"]);
        // By the request's own id.
        let id = editor.prompt(&session, "scenario:slow").await;
        editor.update("agent_message_chunk").await;
        editor.notify("$/cancel_request", json!({"requestId": id})).await;
        let all = editor.rest(id, "").await;
        assert_eq!(error(all.last().unwrap()).0, -32800);
        // It is of use still, and a cancel of nothing is nothing.
        editor.notify("session/cancel", json!({"sessionId": session})).await;
        editor.notify("session/cancel", json!({"sessionId": "other"})).await;
        assert_eq!(said(&editor.run(&session, "scenario:text", "").await), "hello from agent");
        editor.finish().await;
    });
}

#[test]
fn what_an_agent_refuses_is_refused_in_its_words() {
    watched(async || {
        let (mut editor, session) = scripted().await;
        let wrong = json!({"sessionId": session, "configId": "permission", "value": "maybe"});
        let refused = editor.call("session/set_config_option", wrong).await;
        assert_eq!(error(&refused).0, -32602);
        assert!(error(&refused).1.contains("permission is ask or never"), "{refused}");
        for method in ["session/set_mode", "session/set_model", "_acme/do"] {
            let params = json!({"sessionId": session, "modeId": "m", "modelId": "m"});
            let answer = editor.call(method, params).await;
            assert_eq!(error(&answer), (-32601, format!("the agent has no {method}").as_str()));
        }
        assert_eq!(error(&editor.call("_acme/do", json!({})).await).0, -32602);
        let unknown = editor.call("session/prompt", json!({"sessionId": "s", "prompt": [{}]})).await;
        assert_eq!(error(&unknown).0, -32002);
        for prompt in
            [json!([]), json!("text"), json!([{"type": "image", "mimeType": "image/png", "data": "AA=="}])]
        {
            let answer = editor.call("session/prompt", json!({"sessionId": session, "prompt": prompt})).await;
            assert_eq!(error(&answer).0, -32602, "{answer}");
        }
        editor.finish().await;
    });
}

#[test]
fn the_editors_directory_is_in_the_machine_and_no_more_than_that() {
    watched(async || {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().canonicalize().unwrap();
        let place = |name: &str| root.join(name).to_str().unwrap().to_owned();
        for name in ["project/sub", "further", "mounted", "beside", "home"] {
            std::fs::create_dir_all(place(name)).unwrap();
        }
        std::fs::write(place("project/file"), "before\n").unwrap();
        let mount = format!("{}:/given", place("mounted"));
        let (mut editor, _) =
            Editor::introduced(&["--agent", "scripted", "--mount", &mount], json!({})).await;
        let params =
            json!({"cwd": place("project"), "mcpServers": [], "additionalDirectories": [place("further")]});
        let new = editor.call("session/new", params).await;
        let session = new["result"]["sessionId"].as_str().unwrap().to_owned();
        let script =
            format!("cat file; echo after > file; echo x > {}/new; ls {}", place("further"), root.display());
        let all = editor.run(&session, &block(&script), "allow_once").await;
        let output = all.iter().rfind(|m| !m["params"]["update"]["rawOutput"].is_null()).unwrap().to_string();
        assert!(output.contains("before") && !output.contains("beside"), "{output}");
        assert_eq!(std::fs::read_to_string(place("project/file")).unwrap(), "after\n");
        assert_eq!(std::fs::read_to_string(place("further/new")).unwrap(), "x\n");
        // What is in a directory that is there already, and what --mount gives, is there.
        editor.session(&place("project/sub")).await;
        editor.session("/given").await;
        for (cwd, why) in [
            ("/", "all of the host"),
            ("/etc", "a directory of the system"),
            ("/no/such/place", "No such file"),
            ("relative", "absolute"),
            ("/a/../b", ".."),
        ] {
            let refused = editor.call("session/new", json!({"cwd": cwd, "mcpServers": []})).await;
            let (code, text) = error(&refused);
            assert!(code == -32602 && text.starts_with("cwd: ") && text.contains(why), "{refused}");
        }
        for params in [json!({"cwd": "/given"}), json!({"mcpServers": []}), json!([]), json!({"cwd": 1})] {
            assert_eq!(error(&editor.call("session/new", params).await).0, -32602);
        }
        editor.finish().await;
    });
}

#[test]
fn an_mcp_server_of_the_editor_runs_in_the_machine() {
    watched(async || {
        let (mut editor, _) = Editor::introduced(&SCRIPTED, json!({})).await;
        let server = json!({"name": "weather", "command": "/bin/sh", "args": ["-c", WEATHER], "env": []});
        let new = editor.call("session/new", json!({"cwd": "/workspace", "mcpServers": [server]})).await;
        let session = new["result"]["sessionId"].as_str().unwrap().to_owned();
        let all = editor.run(&session, "scenario:custom_tool", "allow_once").await;
        assert!(said(&all).contains("sunny in Paris, call 1"), "{all:?}");
        editor.finish().await;
    });
}

#[test]
fn bad_input_is_answered_and_passed_over() {
    watched(async || {
        let (mut editor, session) = scripted().await;
        for (line, code) in [
            ("{oops\n", -32700),
            ("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"session/list\"}]\n", -32600),
            ("{\"jsonrpc\":\"1.0\",\"id\":null,\"method\":\"session/list\"}\n", -32600),
            ("{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"session/list\"}\n", -32600),
        ] {
            editor.raw(line.as_bytes()).await;
            let answer = editor.recv().await;
            assert_eq!((error(&answer).0, &answer["id"]), (code, &Value::Null), "{line}");
        }
        editor.raw(b"\n\r\nchatter\n").await;
        editor.notify("of/tomorrow", json!({})).await;
        editor.send(&json!({"jsonrpc": "2.0", "id": 77, "result": {}})).await;
        // A line in two parts, and one that is too long.
        let list = b"{\"jsonrpc\":\"2.0\",\"id\":\"text\",\"method\":\"session/list\",\"params\":{}}\r\n";
        editor.raw(&list[..20]).await;
        editor.raw(&list[20..]).await;
        let answer = editor.recv().await;
        assert_eq!(
            (&answer["id"], answer["result"]["sessions"].as_array().unwrap().len()),
            (&json!("text"), 1)
        );
        editor.raw(&vec![b'x'; 9 << 20]).await;
        editor.raw(b"\n").await;
        let answer = editor.recv().await;
        assert!(error(&answer).1.contains("was skipped"), "{answer}");
        // The id of a request that is open.
        let id = editor.prompt(&session, "scenario:slow").await;
        editor.update("agent_message_chunk").await;
        editor.send(&json!({"jsonrpc": "2.0", "id": id, "method": "session/list", "params": {}})).await;
        let answer = editor.recv().await;
        assert_eq!((error(&answer).0, &answer["id"]), (-32600, &json!(id)));
        editor.notify("session/cancel", json!({"sessionId": session})).await;
        editor.rest(id, "").await;
        assert_eq!(said(&editor.run(&session, "scenario:text", "").await), "hello from agent");
        // An editor that says nothing else is given up.
        editor.raw("nonsense\n".repeat(30).as_bytes()).await;
        while editor.try_recv().await.is_some() {}
        let (status, errors) = editor.status().await;
        assert_eq!(status.code(), Some(1));
        assert!(errors.contains("the editor sent 20 lines in a row"), "{errors}");
    });
}

#[test]
fn it_ends_with_its_editor_and_takes_the_machine_with_it() {
    watched(async || {
        // In the middle of a turn.
        let (mut editor, session) = scripted().await;
        editor.prompt(&session, "scenario:slow").await;
        editor.update("agent_message_chunk").await;
        let child = children(editor.pid());
        assert!(!child.is_empty());
        editor.finish().await;
        gone(&child).await;
        // By a signal.
        let (mut editor, session) = scripted().await;
        editor.prompt(&session, "scenario:slow").await;
        editor.update("agent_message_chunk").await;
        let child = children(editor.pid());
        let pid = rustix::process::Pid::from_raw(editor.pid().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        while editor.try_recv().await.is_some() {}
        editor.finish().await;
        gone(&child).await;
        // Nobody reads it any more.
        let (mut editor, session) = scripted().await;
        let child = children(editor.pid());
        editor.deafen();
        editor.prompt(&session, "scenario:text").await;
        let (status, errors) = editor.ended().await;
        assert_eq!(status.code(), Some(141), "{errors}");
        gone(&child).await;
        // With the machine.
        let (mut editor, session) = scripted().await;
        let id = editor.prompt(&session, "scenario:slow").await;
        editor.update("agent_message_chunk").await;
        for pid in children(editor.pid()) {
            let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        let mut last = Value::Null;
        while let Some(message) = editor.try_recv().await {
            last = message;
        }
        assert!(last.is_null() || last["id"] == id && error(&last).0 == -32603, "{last}");
        let (status, errors) = editor.ended().await;
        assert!(status.code() == Some(1) && errors.contains("the sidecar has ended"), "{status}: {errors}");
        // Before it was introduced.
        Editor::start(&SCRIPTED).finish().await;
    });
}

#[test]
fn without_an_agent_the_editor_is_told_why() {
    watched(async || {
        let mut editor = Editor::start(&["--agent", "pi", "--no-mount"]);
        let answer = editor.call("initialize", json!({"protocolVersion": 1})).await;
        assert_eq!(error(&answer).0, -32603);
        assert!(error(&answer).1.contains("the agent `pi`"), "{answer}");
        assert!(editor.try_recv().await.is_none());
        let (status, errors) = editor.status().await;
        assert_eq!(status.code(), Some(1));
        assert!(errors.contains("the agent `pi`"), "{errors}");
        let mut editor = Editor::start(&["--agent", "coder"]);
        let (status, errors) = editor.status().await;
        assert!(status.code() == Some(1) && errors.contains("has no model"), "{errors}");
    });
}

#[test]
fn kinds_that_an_editor_does_not_know_are_not_sent_to_it() {
    watched(async || {
        let [without, with] = crate::test_acp_sessions::notices().await;
        assert!(!kinds(&without).contains(&"notice"), "{without:?}");
        assert!(kinds(&with).contains(&"notice"), "{with:?}");
    });
}

/// Processes that one has started, from whichever thread.
fn children(of: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{of}/task")).unwrap().flatten();
    let all = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    all.flat_map(|all| all.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>())
        .collect()
}

async fn gone(all: &[u32]) {
    eventually("the sidecar is gone", async || {
        all.iter().all(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        })
    })
    .await;
}
