//! Tools of MCP servers on stdio: offered, asked for, called, and what becomes of servers that do not work.

use serde_json::{Value, json};

use crate::agent::{Bench, With, end, prompt, results, thoughts};

/// A server with the tools `add` and `fail`; `$MODE` makes it useless.
const NOTES: &str = r#"
while read -r line; do
    id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
    case $line in
    *'"method":"initialize"'*)
        [ "$MODE" = dead ] && exit 1
        [ "$MODE" = nonsense ] && echo nonsense && continue
        echo '{"jsonrpc":"2.0","id":'$id',"result":{"protocolVersion":"2025-06-18","capabilities":{}}}' ;;
    *'"method":"tools/list"'*)
        echo '{"jsonrpc":"2.0","id":'$id',"result":{"tools":[{"name":"add","description":"Adds a note","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}}},{"name":"fail"},{"name":"die"},{"name":"hang"}]}}' ;;
    *'"name":"add"'*)
        echo '{"jsonrpc":"2.0","id":'$id',"result":{"content":[{"type":"text","text":"added: '$(printf '%s' "$line" | sed -n 's/.*"text":"\([a-z]*\)".*/\1/p')'"}]}}' ;;
    *'"name":"fail"'*)
        echo '{"jsonrpc":"2.0","id":'$id',"result":{"content":[{"type":"text","text":"disk full"}],"isError":true}}' ;;
    *'"name":"die"'*) exit 1 ;;
    *'"name":"hang"'*) : > hanging ;;
    *'"method":"notifications/cancelled"'*) : > told ;;
    esac
done
"#;

fn server(name: &str, mode: &str) -> Value {
    json!({"name": name, "command": "sh", "args": ["-c", NOTES], "env": [{"name": "MODE", "value": mode}]})
}

fn call(tool: &str, text: &str) -> Value {
    json!({"tool": tool, "input": {"text": text}})
}

#[test]
fn tools_of_servers_are_offered_and_called() {
    let mut bench = Bench::with(With { servers: json!([server("my notes", "")]), ..With::default() });
    let calls = json!([call("mcp__my_notes__add", "milk"), call("mcp__my_notes__fail", "x")]);
    let id = bench.client.prompt(&prompt(&json!({"calls": calls})));
    let all = bench.client.rest(id, "allow_once");
    assert_eq!(end(&all), "end_turn");
    assert_eq!(results(&all), [(true, "added: milk".to_owned()), (false, "disk full".to_owned())]);
    let questions = all.iter().filter(|message| message["method"] == "session/request_permission");
    assert_eq!(questions.count(), 2);
    let tools = bench.model.asked()[0].body["tools"].as_array().unwrap().clone();
    let add = tools.iter().find(|tool| tool["name"] == "mcp__my_notes__add").unwrap();
    assert_eq!(
        (&add["description"], &add["input_schema"]["properties"]["text"]["type"]),
        (&json!("Adds a note"), &json!("string"))
    );
    assert_eq!(tools.len(), 7 + 4);
}

#[test]
fn servers_that_do_not_work_are_told_and_the_rest_goes_on() {
    let servers = json!([
        server("dead", "dead"),
        server("odd", "nonsense"),
        {"name": "none", "command": "/no/such/program", "args": [], "env": []},
        server("good", ""),
    ]);
    let mut bench = Bench::with(With { servers, ..With::default() });
    let all = bench.script(json!({"calls": [call("mcp__good__add", "milk")]}));
    assert_eq!((end(&all).as_str(), results(&all)[0].0), ("end_turn", true));
    let told = thoughts(&all);
    for want in [
        "\"dead\" ended",
        "\"odd\" sent a line that is no message",
        "\"none\" cannot be started: No such file",
    ] {
        assert!(told.contains(want), "{told}");
    }
    // One that dies in a call is started again for the next prompt.
    let all = bench.script(json!({"calls": [call("mcp__good__die", "x"), call("mcp__good__add", "x")]}));
    assert!(results(&all)[0].1.contains("\"good\" ended") && results(&all)[1].1.contains("is not running"));
    let all = bench.script(json!({"calls": [call("mcp__good__add", "eggs")]}));
    assert_eq!(results(&all), [(true, "added: eggs".to_owned())]);
}

#[test]
fn a_call_that_is_cancelled_is_told_to_its_server() {
    let mut bench = Bench::with(With { servers: json!([server("s", "")]), ..With::default() });
    bench.client.set("mode", "bypass");
    let there = |bench: &Bench, name: &str| {
        while !bench.cwd().join(name).exists() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    };
    let id = bench.client.prompt(&prompt(&json!({"calls": [call("mcp__s__hang", "x")]})));
    there(&bench, "hanging");
    bench.client.cancel();
    assert_eq!(end(&bench.client.rest(id, "")), "cancelled");
    there(&bench, "told");
    // The server is good for more.
    let all = bench.script(json!({"calls": [call("mcp__s__add", "milk")]}));
    assert_eq!(results(&all), [(true, "added: milk".to_owned())]);
}
