//! Commands: output as it comes, limits, time. The tools for files are tested beside their code.

use serde_json::{Value, json};

use crate::agent::{Bench, end, results};

fn bash(bench: &mut Bench, input: Value) -> (bool, String) {
    let all = bench.script(json!({"calls": [{"tool": "bash", "input": input}]}));
    assert_eq!(end(&all), "end_turn");
    results(&all).pop().unwrap()
}

#[test]
fn commands_tell_how_they_ended() {
    let mut bench = Bench::new();
    for (command, ok, want) in [
        ("echo out; echo err >&2", true, "out\nerr\n"),
        ("printf x; exit 3", false, "x\n[exit status 3]"),
        ("kill -9 $$", false, "[killed by SIGKILL]"),
        ("cat", true, ""),
        ("pwd", true, &format!("{}\n", bench.cwd().display())),
        ("printf 'a\\377b'", true, "a\u{fffd}b\n"),
    ] {
        assert_eq!(bash(&mut bench, json!({"command": command})), (ok, want.to_owned()), "{command}");
    }
    let (ok, text) = bash(&mut bench, json!({"command": "echo begin; sleep 60", "timeout": 1}));
    assert_eq!((ok, text.as_str()), (false, "begin\n[killed after 1 s]"));
    assert_eq!(bash(&mut bench, json!({"command": "a\0b"})), (false, "command has a NUL in it".to_owned()));
}

#[test]
fn a_flood_of_output_keeps_its_ends() {
    let mut bench = Bench::new();
    let (ok, text) = bash(
        &mut bench,
        json!({"command": "echo first; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo last"}),
    );
    assert!(ok && text.starts_with("first\n") && text.ends_with("\nlast\n"));
    assert!(text.len() < 31_000 && text.contains("bytes left out"));
}

#[test]
fn output_is_shown_while_a_command_runs() {
    let mut bench = Bench::new();
    let gate = bench.cwd().join("gate");
    bench.client.set("mode", "bypass");
    let command = format!("echo waiting; while [ ! -e {} ]; do sleep 0.05; done; echo over", gate.display());
    let script = json!({"calls": [{"tool": "bash", "input": {"command": command}}]});
    let id = bench.client.prompt(&crate::agent::prompt(&script));
    loop {
        let update = bench.client.recv()["params"]["update"].clone();
        if update["status"] == "in_progress" && update["content"][0]["content"]["text"] == "waiting\n" {
            break;
        }
    }
    std::fs::write(gate, "").unwrap();
    assert_eq!(results(&bench.client.rest(id, "")), [(true, "waiting\nover\n".to_owned())]);
}

#[test]
fn a_change_is_shown_as_a_difference() {
    let mut bench = Bench::new();
    let all = bench.script(json!({"calls": [{"tool": "write", "input": {"path": "a/b", "content": "x\n"}}]}));
    let shown = crate::agent::finals(&all);
    let path = bench.cwd().join("a/b");
    let diff = json!([{"type": "diff", "path": path, "oldText": null, "newText": "x\n"}]);
    assert_eq!(shown[0]["content"], diff);
    let first =
        all.iter().map(|m| &m["params"]["update"]).find(|u| u["sessionUpdate"] == "tool_call").unwrap();
    assert_eq!((&first["kind"], &first["locations"]), (&json!("edit"), &json!([{"path": path}])));
}
