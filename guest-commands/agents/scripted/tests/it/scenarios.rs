//! Scenarios without tool servers: the turns are known beforehand, to the letter.

use serde_json::{Value, json};

use crate::client::{self, Client, finals, outline};

fn text(client: &mut Client, answer: &str) -> Vec<String> {
    let id = client.prompt("scenario:tool_ask");
    outline(&client.rest(id, answer))
}

const ALLOWED: [&str; 6] =
    ["call pending", "ask", "call in_progress", "call completed", "say the command ran", "end_turn"];
const DENIED: [&str; 5] = ["call pending", "ask", "call failed", "say the command was denied", "end_turn"];

/// A turn of `scenario:tool_ask` in which nobody is asked.
fn unasked(turn: &[&'static str]) -> Vec<&'static str> {
    turn.iter().copied().filter(|line| *line != "ask").collect()
}

#[test]
fn the_first_text_of_a_prompt_decides() {
    let mut client = client::new();
    let hello = ["say hello from agent", "end_turn"];
    for _ in 0..2 {
        assert_eq!(outline(&client.run("scenario:text")), hello);
    }
    assert_eq!(outline(&client.run("\n  scenario:text \n")), hello);
    let session = client.session.clone();
    let mut of = |blocks: Value| {
        let id = client.request("session/prompt", json!({"sessionId": session, "prompt": blocks}));
        outline(&client.rest(id, "allow_once"))
    };
    let block = |text: &str| json!({"type": "text", "text": text});
    let link = json!({"type": "resource_link", "uri": "file:///a", "name": "a"});
    assert_eq!(of(json!([link, block("scenario:text"), block("more")])), hello);
    let later = of(json!([block("more"), block("scenario:text")]));
    assert_eq!(later[..2], ["say You said: more", "say You said: scenario:text"]);
    let image = json!([block("scenario:text"), {"type": "image", "data": "", "mimeType": "image/png"}]);
    assert_eq!(of(image), ["error"]);
    assert_eq!(outline(&client.run("scenario:text please"))[0], "say You said: scenario:text please");
}

#[test]
fn an_unknown_scenario_is_answered_with_those_there_are() {
    let mut client = client::new();
    for name in ["scenario:x", "scenario:", "scenario:TEXT"] {
        let all = outline(&client.run(name));
        assert_eq!(all.len(), 2);
        assert_eq!(all[1], "end_turn");
        for known in ["text", "tool_ask", "custom_tool", "slow", "error"] {
            assert!(all[0].contains(&format!("scenario:{known}")), "{all:?}");
        }
    }
}

#[test]
fn a_tool_that_asks_runs_only_if_it_is_allowed() {
    let mut client = client::new();
    for _ in 0..2 {
        let all = client.run("scenario:tool_ask");
        assert_eq!(outline(&all), ALLOWED);
        let shown = &all[0]["params"]["update"];
        assert_eq!(
            (&shown["kind"], &shown["rawInput"]),
            (&json!("execute"), &json!({"command": "echo scenario"}))
        );
        let options = all[1]["params"]["options"].as_array().unwrap();
        let kinds: Vec<_> = options.iter().map(|option| option["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["allow_once", "allow_always", "reject_once", "reject_always"]);
        let end = &finals(&all)[0];
        assert_eq!(end["rawOutput"], json!({"exitCode": 0, "output": "scenario\n"}));
        assert_eq!(end["content"][0]["content"]["text"], "scenario\n");
        let id = client.prompt("scenario:tool_ask");
        let all = client.rest(id, "reject_once");
        assert_eq!(outline(&all), DENIED);
        assert_eq!(finals(&all)[0]["content"][0]["content"]["text"], "rejected by user");
    }
    assert_eq!(text(&mut client, "cancelled"), DENIED, "nobody was there to answer");
}

#[test]
fn an_answer_for_always_holds_for_its_session() {
    for (option, turn) in [("allow_always", &ALLOWED[..]), ("reject_always", &DENIED[..])] {
        let mut client = client::new();
        assert_eq!(text(&mut client, option), turn);
        assert_eq!(text(&mut client, ""), unasked(turn));
        assert_eq!(text(&mut client, ""), unasked(turn));
        // Other commands ask no more either.
        assert!(!outline(&client.run("```sh\ntrue\n```")).contains(&"ask".to_owned()));
        let new = client.call("session/new", json!({"cwd": "/", "mcpServers": []}));
        let first =
            std::mem::replace(&mut client.session, new["result"]["sessionId"].as_str().unwrap().into());
        assert_eq!(text(&mut client, "allow_once"), ALLOWED, "{option} in another session");
        client.session = first;
        let params = json!({"sessionId": client.session, "configId": "permission", "value": "ask"});
        client.call("session/set_config_option", params);
        assert_eq!(text(&mut client, "allow_once"), ALLOWED, "asking again after {option}");
    }
}

#[test]
fn a_tool_whose_turn_is_cancelled_while_it_asks_has_failed() {
    let mut client = client::new();
    for _ in 0..2 {
        let id = client.prompt("scenario:tool_ask");
        client.recv();
        let asked = client.recv();
        client.cancel();
        client.permit(&asked, "cancelled");
        let all = client.rest(id, "");
        assert_eq!(outline(&all), ["call failed", "cancelled"]);
        assert_eq!(finals(&all)[0]["content"][0]["content"]["text"], "cancelled");
    }
    assert_eq!(text(&mut client, "allow_once"), ALLOWED);
}

#[test]
fn a_tool_that_cannot_run_is_said_to_have_failed() {
    let mut client = client::in_directory("/no/such/directory");
    assert_eq!(
        text(&mut client, "allow_once"),
        ["call pending", "ask", "call in_progress", "call failed", "say the command failed", "end_turn"]
    );
}

#[test]
fn slow_says_one_thing_and_runs_until_it_is_cancelled() {
    let mut client = client::new();
    for _ in 0..2 {
        let id = client.prompt("scenario:slow");
        assert_eq!(outline(&[client.recv()]), ["say running until cancelled"]);
        // Nothing more comes by itself, and the agent hears what is asked.
        assert!(client.call("session/list", json!({}))["result"].is_object());
        client.cancel();
        assert_eq!(outline(&client.rest(id, "")), ["cancelled"]);
    }
    let id = client.prompt("scenario:slow");
    client.recv();
    client.notify("$/cancel_request", json!({"requestId": id}));
    assert_eq!(client.rest(id, "")[0]["error"]["code"], -32800);
    assert_eq!(outline(&client.run("scenario:text")), ["say hello from agent", "end_turn"]);
    client.prompt("scenario:slow");
    client.recv();
    client.finish().unwrap();
}

#[test]
fn error_fails_the_turn_and_not_the_session() {
    let mut client = client::new();
    for _ in 0..2 {
        let all = client.run("scenario:error");
        assert_eq!(outline(&all), ["say about to fail", "error"]);
        let error = json!({"code": -32603, "message": "the scenario failed, as it was told to"});
        assert_eq!(all[1]["error"], error);
        assert_eq!(outline(&client.run("scenario:text")), ["say hello from agent", "end_turn"]);
    }
}
