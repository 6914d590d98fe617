//! The tool of an MCP server: found, called, missed; servers that misbehave; when servers start and end.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{self, Client, finals, is_gone, outline};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

/// A server that can be found and called, as commands of the shell by method.
const INIT: &str = r#"answer '{"protocolVersion":"2024-11-05","capabilities":{"tools":{}},"serverInfo":{"name":"w","version":"1"}}'"#;
const LIST: &str =
    r#"answer '{"tools":[{"name":"other"},{"name":"get_weather","inputSchema":{"type":"object"}}]}'"#;
const NONE: &str = r#"answer '{"tools":[{"name":"other"}]}'"#;
const CALL: &str = r#"text "sunny in Paris""#;

/// A server as a script: what it does for each method, and for what else comes.
fn script(init: &str, list: &str, call: &str, other: &str) -> String {
    format!(
        r#"
answer() {{ printf '%s\n' '{{"jsonrpc":"2.0","id":'"$id"',"result":'"$1"'}}'; }}
error() {{ printf '%s\n' '{{"jsonrpc":"2.0","id":'"$id"',"error":'"$1"'}}'; }}
text() {{ answer '{{"content":[{{"type":"text","text":"'"$1"'"}}]}}'; }}
while read -r line; do
    id=${{line#*'"id":'}}
    id=${{id%%[,\}}]*}}
    case $line in
    *'"method":"initialize"'*) {init} ;;
    *'"method":"tools/list"'*) {list} ;;
    *'"method":"tools/call"'*) {call} ;;
    *) {other} ;;
    esac
done
"#
    )
}

fn server(name: &str, script: &str) -> Value {
    json!({"name": name, "command": "/bin/sh", "args": ["-c", script], "env": []})
}

fn client(servers: &[Value]) -> Client {
    client::with_servers(json!(servers), LONG)
}

fn play(client: &mut Client) -> Vec<Value> {
    client.run("scenario:custom_tool")
}

/// The only message of a turn that ends well.
fn said(all: &[Value]) -> String {
    let lines = outline(all);
    assert_eq!(lines.last().unwrap(), "end_turn");
    let mut says = lines.iter().filter_map(|line| line.strip_prefix("say "));
    let said = says.next().unwrap().to_owned();
    assert_eq!(says.next(), None);
    said
}

/// What is said with one server that is this script.
fn with(script: &str) -> String {
    said(&play(&mut client(&[server("w", script)])))
}

#[test]
fn the_result_of_the_tool_is_in_the_answer() {
    let mut client = client(&[server("w", &script(INIT, LIST, CALL, ":"))]);
    for _ in 0..2 {
        let all = play(&mut client);
        assert_eq!(
            outline(&all),
            [
                "call pending",
                "call in_progress",
                "call completed",
                "say get_weather answered: sunny in Paris",
                "end_turn"
            ]
        );
        let shown = &all[0]["params"]["update"];
        assert_eq!((&shown["title"], &shown["kind"]), (&json!("get_weather"), &json!("other")));
        assert_eq!(shown["rawInput"], json!({"city": "Paris"}));
        let end = &finals(&all)[0];
        assert_eq!(end["rawOutput"], json!({"content": [{"type": "text", "text": "sunny in Paris"}]}));
        assert_eq!(end["content"][0]["content"]["text"], "sunny in Paris");
    }
    client.finish().unwrap();
}

#[test]
fn the_server_is_told_what_the_protocol_wants_in_its_order() {
    let keep = r#"seen="$seen $line""#;
    let other = format!("{keep}; case $line in *'\"result\":{{}}'*|*-32601*) ponged=$((ponged + 1)) ;; esac");
    // It wants to know something itself before it answers.
    let call = format!(
        r#"{keep}
        echo '{{"jsonrpc":"2.0","method":"notifications/message","params":{{}}}}'
        echo '{{"jsonrpc":"2.0","id":"p","method":"ping"}}'; read -r pong
        echo '{{"jsonrpc":"2.0","id":"r","method":"roots/list"}}'; read -r roots
        printf '%s\n' "$seen" "$pong" "$roots" >"$OUT"
        text "$WHERE""#
    );
    let script = script(&format!("{keep}; {INIT}"), &format!("{keep}; {LIST}"), &call, &other);
    let out = std::env::temp_dir().join(format!("scripted-mcp-{}", std::process::id()));
    let env = json!([{"name": "OUT", "value": out}, {"name": "WHERE", "value": "here"}]);
    let server = json!({"name": "w", "command": "sh", "args": ["-c", script], "env": env});
    assert_eq!(said(&play(&mut client(&[server]))), "get_weather answered: here");
    let told = std::fs::read_to_string(&out).unwrap();
    std::fs::remove_file(&out).unwrap();
    let mut lines = told.lines();
    let seen: Vec<Value> = serde_json::Deserializer::from_str(lines.next().unwrap())
        .into_iter()
        .map(|message| message.unwrap())
        .collect();
    let methods: Vec<_> = seen.iter().map(|message| message["method"].as_str().unwrap()).collect();
    assert_eq!(methods, ["initialize", "notifications/initialized", "tools/list", "tools/call"]);
    assert_eq!(seen[0]["params"]["protocolVersion"], "2025-06-18");
    assert_eq!(seen[0]["params"]["clientInfo"]["name"], "scripted");
    assert!(seen[1].get("id").is_none());
    assert_eq!(seen[3]["params"], json!({"name": "get_weather", "arguments": {"city": "Paris"}}));
    let mut answer = || serde_json::from_str::<Value>(lines.next().unwrap()).unwrap();
    assert_eq!(answer(), json!({"jsonrpc": "2.0", "id": "p", "result": {}}));
    assert_eq!(answer()["error"]["code"], -32601);
}

#[test]
fn the_tool_is_found_on_a_later_page_and_a_later_server() {
    let pages = r#"case $line in
        *'"cursor":"two"'*) answer '{"tools":[{"name":"get_weather"}]}' ;;
        *) answer '{"tools":[{"name":"other"}],"nextCursor":"two"}' ;;
    esac"#;
    let without = r#"error '{"code":-32601,"message":"no tools"}'"#;
    let mut client = client(&[
        server("a", &script(INIT, NONE, "text wrong", ":")),
        server("b", &script(INIT, without, "text wrong", ":")),
        server("c", "exit 3"),
        server("d", &script(INIT, pages, CALL, ":")),
    ]);
    assert_eq!(said(&play(&mut client)), "get_weather answered: sunny in Paris");
}

#[test]
fn a_tool_that_fails_is_a_call_that_failed() {
    let error = r#"answer '{"content":[{"type":"text","text":"no such city"}],"isError":true}'"#;
    let refused = r#"error '{"code":-32602,"message":"bad city"}'"#;
    for (call, said) in [(error, "no such city"), (refused, "bad city")] {
        let all = play(&mut client(&[server("w", &script(INIT, LIST, call, ":"))]));
        let said = format!("say get_weather failed: {said}");
        assert_eq!(outline(&all), ["call pending", "call in_progress", "call failed", &said, "end_turn"]);
    }
}

#[test]
fn a_tool_that_no_server_has_is_said_to_be_missing() {
    assert_eq!(said(&play(&mut client::new())), "no MCP server has the tool get_weather");
    let none = server("w", &script(INIT, NONE, CALL, ":"));
    let all = play(&mut client(&[none.clone(), none]));
    assert_eq!(outline(&all), ["say no MCP server has the tool get_weather", "end_turn"]);
}

#[test]
fn a_server_that_is_of_no_use_is_said_to_be() {
    let flood = "yes '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}'";
    for (script, why) in [
        ("exit 3".to_owned(), "ended"),
        ("kill -9 $$".to_owned(), "ended"),
        ("echo this is no message; sleep 1000".to_owned(), "sent a line that is no message"),
        ("echo '[]'".to_owned(), "sent a line that is no message"),
        ("head -c 2000000 /dev/zero | tr '\\0' x; echo".to_owned(), "sent a line of more than 1 MiB"),
        (flood.to_owned(), "does not read what it is sent"),
        (script(r#"error '{"code":1,"message":"not now"}'"#, LIST, CALL, ":"), "refused initialize: not now"),
        (script("answer null", LIST, CALL, ":"), "answered initialize with nothing"),
        (script(INIT, "answer null", CALL, ":"), "answered tools/list without tools"),
        (
            script(INIT, r#"answer '{"tools":[],"nextCursor":"x"}'"#, CALL, ":"),
            "has more than 64 pages of tools",
        ),
        (
            script(r#"id=null; error '{"code":-32700,"message":"what"}'"#, LIST, CALL, ":"),
            "did not understand: what",
        ),
    ] {
        let want = format!("no MCP server has the tool get_weather; MCP server \"w\" {why}");
        assert_eq!(with(&script), want, "{script}");
    }
    let missing = json!({"name": "w", "command": "/no/such/program", "args": [], "env": []});
    assert_eq!(
        said(&play(&mut client(&[missing]))),
        "no MCP server has the tool get_weather; MCP server \"w\" cannot be started: No such file or directory"
    );
}

#[test]
fn a_server_that_is_lost_in_a_call_is_started_anew_for_the_next() {
    let file = std::env::temp_dir().join(format!("scripted-lost-{}", std::process::id()));
    let call = format!("if [ -e {0} ]; then {CALL}; else : >{0}; exit 1; fi", file.display());
    let mut client = client(&[server("w", &script(INIT, LIST, &call, ":"))]);
    let all = play(&mut client);
    assert_eq!(
        outline(&all),
        [
            "call pending",
            "call in_progress",
            "call failed",
            "say get_weather failed: MCP server \"w\" ended",
            "end_turn"
        ]
    );
    assert_eq!(finals(&all)[0]["content"][0]["content"]["text"], "MCP server \"w\" ended");
    assert_eq!(said(&play(&mut client)), "get_weather answered: sunny in Paris");
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn a_server_that_does_not_answer_fails_the_turn() {
    let short = Duration::from_millis(1);
    let silent = "say MCP server \"w\" did not answer in time";
    let mut client = client::with_servers(json!([server("w", "sleep 1000")]), short);
    for _ in 0..2 {
        let all = play(&mut client);
        assert_eq!(outline(&all), [silent, "error"]);
        let error = json!({"code": -32603, "message": "an MCP server did not answer in time"});
        assert_eq!(all[1]["error"], error);
    }
    assert_eq!(outline(&client.run("scenario:text")), ["say hello from agent", "end_turn"]);
    // Long enough to be found on a slow machine; the call never ends.
    let second = Duration::from_secs(5);
    let mut client =
        client::with_servers(json!([server("w", &script(INIT, LIST, "sleep 1000", ":"))]), second);
    let all = play(&mut client);
    assert_eq!(outline(&all), ["call pending", "call in_progress", "call failed", silent, "error"]);
}

#[test]
fn a_call_is_cancelled_and_its_server_told() {
    let call = r#"calls=$((calls + 1)); if [ $calls = 1 ]; then first=$id; else text "$told"; fi"#;
    // The answer to the call that was given up comes late, and is nobody's.
    let other = r#"case $line in *notifications/cancelled*) id=$first; text late; told="told of ${line#*requestId}" ;; esac"#;
    let other = other.replace("${line#*requestId}", "$first");
    let mut client = client(&[server("w", &script(INIT, LIST, call, &other))]);
    let id = client.prompt("scenario:custom_tool");
    client.recv();
    assert_eq!(outline(&[client.recv()]), ["call in_progress"]);
    client.cancel();
    let all = client.rest(id, "");
    assert_eq!(outline(&all), ["call failed", "cancelled"]);
    assert_eq!(finals(&all)[0]["content"][0]["content"]["text"], "cancelled");
    assert_eq!(said(&play(&mut client)), "get_weather answered: told of 3");
}

#[test]
fn a_turn_that_waits_for_a_server_to_start_is_cancelled() {
    let file = std::env::temp_dir().join(format!("scripted-start-{}", std::process::id()));
    let mut client = client(&[server("w", &format!("echo $$ >{}; exec sleep 1000", file.display()))]);
    let id = client.prompt("scenario:custom_tool");
    let pid = loop {
        match std::fs::read_to_string(&file).unwrap_or_default().trim().parse::<i32>() {
            Ok(pid) => break pid,
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    client.cancel();
    assert_eq!(outline(&client.rest(id, "")), ["cancelled"]);
    assert!(is_gone(pid));
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn servers_start_at_first_need_and_end_with_their_session() {
    let calls = r#"calls=$((calls + 1)); text "$$ $calls""#;
    let polite = server("w", &script(INIT, LIST, calls, ":"));
    let stubborn =
        format!("trap '' TERM; sleep 1000 & {}; while :; do sleep 1; done", script(INIT, LIST, calls, ":"));
    for server in [polite, server("w", &stubborn)] {
        for close in [true, false] {
            let mut client = client(std::slice::from_ref(&server));
            let mut turn = || -> Vec<i32> {
                let said = said(&play(&mut client));
                said.split_whitespace().filter_map(|word| word.parse().ok()).collect()
            };
            let (first, second) = (turn(), turn());
            assert_eq!((first[0], first[1], second[1]), (second[0], 1, 2), "one server for both turns");
            if close {
                let session = json!({"sessionId": client.session});
                assert_eq!(client.call("session/close", session)["result"], json!({}));
            } else {
                client.finish().unwrap();
            }
            assert!(is_gone(first[0]));
        }
    }
}
