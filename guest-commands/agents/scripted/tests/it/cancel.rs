//! Cancelling: commands with all their descendants, open permission requests, nothing at all.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{self, Client, finals, is_gone, outline};

/// Waits until the live output of the running command holds a line with pids, and returns them.
fn pids(client: &mut Client) -> Vec<i32> {
    loop {
        let message = client.recv();
        let text = message["params"]["update"]["content"][0]["content"]["text"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if text.ends_with("ready\n") {
            return text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        }
    }
}

#[test]
fn cancel_ends_the_whole_group_of_a_command() {
    let mut client = client::new();
    client.set("permission", "never");
    let id = client.prompt("```sh\nsh -c 'sleep 60 & echo $!; wait' & echo $$; sleep 0.3; echo ready; wait\n```\n```sh\necho never\n```");
    let pids = pids(&mut client);
    assert_eq!(pids.len(), 2);
    let before = Instant::now();
    client.cancel();
    let all = client.rest(id, "");
    assert!(before.elapsed() < Duration::from_secs(3));
    assert_eq!(outline(&all), ["call failed", "cancelled"]);
    assert!(pids.into_iter().all(is_gone));
    // The session is good for another prompt.
    assert_eq!(finals(&client.run("```sh\necho again\n```"))[0]["rawOutput"]["output"], "again\n");
}

#[test]
fn a_command_that_ignores_term_is_killed_after_half_a_second() {
    let mut client = client::new();
    client.set("permission", "never");
    let id = client.prompt("```sh\ntrap '' TERM; sh -c 'echo $$; while :; do sleep 1; done' & echo $$; sleep 0.3; echo ready; while :; do sleep 1; done\n```");
    let pids = pids(&mut client);
    let before = Instant::now();
    client.cancel();
    let all = client.rest(id, "");
    assert!(before.elapsed() >= Duration::from_millis(450) && before.elapsed() < Duration::from_secs(3));
    assert_eq!(finals(&all)[0]["rawOutput"]["signal"], "SIGKILL");
    assert_eq!(all.last().unwrap()["result"]["stopReason"], "cancelled");
    assert!(pids.into_iter().all(is_gone));
}

#[test]
fn cancel_while_a_permission_is_open() {
    let mut client = client::new();
    let id = client.prompt("```sh\ntouch /never\n```");
    client.recv();
    let asked = client.recv();
    client.cancel();
    client.permit(&asked, "cancelled");
    assert_eq!(outline(&client.rest(id, "")), ["call failed", "cancelled"]);
}

#[test]
fn cancel_without_a_prompt_or_of_another_session_is_ignored() {
    let mut client = client::new();
    client.cancel();
    assert_eq!(outline(&client.run("hi")).last().unwrap(), "end_turn");
    let id = client.prompt("```sh\ntrue\n```");
    client.recv();
    let asked = client.recv();
    client.notify("session/cancel", json!({"sessionId": "other"}));
    client.permit(&asked, "allow_once");
    assert_eq!(client.rest(id, "").last().unwrap()["result"]["stopReason"], "end_turn");
}

#[test]
fn a_cancelled_request_is_answered_with_its_own_error() {
    let mut client = client::new();
    client.set("permission", "never");
    let id = client.prompt("```sh\necho ready; sleep 60\n```");
    pids(&mut client);
    client.notify("$/cancel_request", json!({"requestId": id}));
    assert_eq!(client.rest(id, "").last().unwrap()["error"]["code"], -32800);
}

#[test]
fn the_agent_answers_while_a_command_runs() {
    let mut client = client::new();
    client.set("permission", "never");
    let id = client.prompt("```sh\necho ready; sleep 60\n```");
    pids(&mut client);
    let list = client.call("session/list", json!({}));
    assert_eq!(list["result"]["sessions"][0]["sessionId"], *client.session);
    let second = json!({"sessionId": client.session, "prompt": []});
    assert_eq!(client.call("session/prompt", second)["error"]["code"], -32600);
    // Closing cancels first; its answer follows the prompt's.
    let close = json!({"sessionId": client.session});
    let close = client.request("session/close", close);
    assert_eq!(client.rest(id, "").last().unwrap()["result"]["stopReason"], "cancelled");
    assert_eq!(client.recv(), json!({"jsonrpc": "2.0", "id": close, "result": {}}));
    assert_eq!(client.call("session/list", json!({}))["result"]["sessions"], json!([]));
}

#[test]
fn the_end_of_the_client_ends_the_command_and_the_agent() {
    let mut client = client::new();
    client.set("permission", "never");
    client.prompt("```sh\necho $$; echo ready; sleep 60\n```");
    let pids = pids(&mut client);
    let before = Instant::now();
    client.finish().unwrap();
    assert!(before.elapsed() < Duration::from_secs(3));
    assert!(pids.into_iter().all(is_gone));
}

#[test]
fn cancel_is_heard_between_steps_without_commands() {
    let mut client = client::new();
    // In one write, so that both wait for the agent together.
    let prompt = json!({
        "jsonrpc": "2.0", "id": 50, "method": "session/prompt",
        "params": {
            "sessionId": client.session,
            "prompt": [{"type": "text", "text": "word\n```sh\n```\n".repeat(10_000)}],
        },
    });
    let cancel = json!({
        "jsonrpc": "2.0", "method": "session/cancel", "params": {"sessionId": client.session},
    });
    client.raw(format!("{prompt}\n{cancel}\n").as_bytes());
    let mut updates = 0;
    let answer = loop {
        match client.recv() {
            update if update["method"] == "session/update" => updates += 1,
            answer => break answer,
        }
    };
    assert_eq!(answer["result"]["stopReason"], "cancelled");
    assert!(updates < 100, "{updates} messages after a cancel that was there from the beginning");
}

#[test]
fn a_cancel_that_comes_in_one_piece_with_its_prompt_is_heard() {
    // Asks for permission, and would wait for ever.
    let mut client = client::new();
    let session = client.session.clone();
    let text = "```sh\nsleep 1000\n```";
    let prompt = json!({"jsonrpc": "2.0", "id": 900, "method": "session/prompt",
        "params": {"sessionId": session, "prompt": [{"type": "text", "text": text}]}});
    let cancel = json!({"jsonrpc": "2.0", "method": "session/cancel", "params": {"sessionId": session}});
    client.raw(format!("{prompt}\n{cancel}\n").as_bytes());
    loop {
        let message = client.recv();
        if message["id"] == 900 {
            assert_eq!(message["result"]["stopReason"], "cancelled", "{message}");
            break;
        }
    }
}
