//! Waiting for a client that has files open: cancels, the end of the client, and the end of patience.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    agent::{Bench, end, prompt, results},
    editor::{READ, WRITE, asked, client, content, edit, patient, read, run, write},
};

/// Prompts with calls and returns the id of the prompt and the first request for a file, which is not answered.
fn until_asked(bench: &mut Bench, calls: &[Value], method: &str) -> (u64, Value) {
    let id = bench.client.prompt(&prompt(&json!({"calls": calls})));
    loop {
        let message = bench.client.recv();
        assert!(!message["method"].is_null(), "{message}");
        if message["method"] == method {
            return (id, message);
        }
        if message["method"] == READ {
            bench.client.answer(&message, content("open\n").unwrap());
        }
    }
}

#[test]
fn a_cancel_ends_the_wait() {
    let mut bench = client(true, true);
    let cwd = bench.cwd();
    std::fs::write(cwd.join("a"), "disk\n").unwrap();
    let written = "it is not known whether it was written\n[cancelled by the user]";
    for (calls, method, want) in [
        ([read("a"), write("b", "")], READ, "cancelled by the user"),
        ([edit("a", "open", "x"), write("b", "")], READ, "cancelled by the user"),
        ([edit("a", "open", "x"), write("b", "")], WRITE, written),
        ([write("a", "x"), write("b", "")], WRITE, written),
    ] {
        let (id, open) = until_asked(&mut bench, &calls, method);
        bench.client.cancel();
        let all = bench.client.rest(id, "");
        assert_eq!((end(&all).as_str(), results(&all)), ("cancelled", vec![(false, want.to_owned())]));
        assert!(asked(&all).is_empty());
        // Nobody waits for the answer any more: it is not taken for that to the next request.
        let (id, next) = until_asked(&mut bench, &[read("a")], READ);
        bench.client.answer(&open, content("late\n").unwrap());
        bench.client.answer(&next, content("next\n").unwrap());
        assert_eq!(results(&bench.client.rest(id, "")), [(true, "     1\tnext\n".to_owned())]);
    }
    let (id, _) = until_asked(&mut bench, &[read("a")], READ);
    bench.client.notify("$/cancel_request", json!({"requestId": id}));
    assert_eq!(bench.client.rest(id, "").last().unwrap()["error"]["code"], -32800);
    let (id, _) = until_asked(&mut bench, &[read("a")], READ);
    let close = bench.client.request("session/close", json!({"sessionId": bench.client.session}));
    assert_eq!(end(&bench.client.rest(id, "")), "cancelled");
    assert_eq!(bench.client.recv(), json!({"jsonrpc": "2.0", "id": close, "result": {}}));
    assert_eq!(std::fs::read_to_string(cwd.join("a")).unwrap(), "disk\n");
    assert!(!cwd.join("b").exists());
}

#[test]
fn the_end_of_the_client_ends_the_wait() {
    let mut bench = client(true, true);
    until_asked(&mut bench, &[write("a", "x")], WRITE);
    let unused = bench.again();
    std::mem::replace(&mut bench.client, unused).finish().unwrap();
    assert!(!bench.cwd().join("a").exists());
}

#[test]
fn a_wait_has_an_end() {
    let patience = Duration::from_millis(50);
    let mut bench = patient(true, true, patience);
    let cwd = bench.cwd();
    std::fs::write(cwd.join("a"), "disk\n").unwrap();
    let silent = |bench: &Bench, method: &str| {
        format!("{}: {method}: the client did not answer in 50ms", bench.cwd().join("a").display())
    };
    let calls = [read("a"), edit("a", "disk", "x"), write("a", "x")];
    let all = run(&mut bench, &calls, |_, _| None);
    // Without what was there before, nothing is written.
    assert_eq!(asked(&all), [READ; 3]);
    assert_eq!(end(&all), "end_turn");
    assert_eq!(results(&all), vec![(false, silent(&bench, READ)); 3]);
    // Answers that come too late are ignored.
    for message in all.iter().filter(|message| message["method"] == READ) {
        bench.client.answer(message, content("late\n").unwrap());
    }
    assert_eq!(end(&bench.client.run("hi")), "end_turn");
    assert_eq!(std::fs::read_to_string(cwd.join("a")).unwrap(), "disk\n");
    let mut bench = patient(true, true, patience);
    std::fs::write(bench.cwd().join("a"), "disk\n").unwrap();
    let all = run(&mut bench, &calls[1..], |method, _| (method == READ).then(|| content("disk\n")).flatten());
    assert_eq!(asked(&all), [READ, WRITE, READ, WRITE]);
    let want = format!("{}; it is not known whether it was written", silent(&bench, WRITE));
    assert_eq!(results(&all), vec![(false, want); 2]);
}
