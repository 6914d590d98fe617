//! Files of a client that has them open: what is asked of it, what is shown of its answers, and what becomes of calls that
//! it does not answer as it should.

use std::{collections::BTreeMap, path::Path, time::Duration};

use serde_json::{Value, json};

use crate::agent::{Bench, With, end, finals, prompt, results};

pub(crate) const READ: &str = "fs/read_text_file";
pub(crate) const WRITE: &str = "fs/write_text_file";

/// How a client answers a request; `None`: not at all.
pub(crate) type Answer = Option<Result<Value, Value>>;

pub(crate) fn client(read: bool, write: bool) -> Bench {
    patient(read, write, With::default().file_patience)
}

pub(crate) fn patient(read: bool, write: bool, file_patience: Duration) -> Bench {
    let capabilities = json!({"fs": {"readTextFile": read, "writeTextFile": write}});
    let mut bench = Bench::with(With { capabilities, file_patience, ..With::default() });
    bench.client.set("mode", "bypass");
    bench
}

fn call(tool: &str, input: Value) -> Value {
    json!({"tool": tool, "input": input})
}

pub(crate) fn read(path: &str) -> Value {
    call("read", json!({"path": path}))
}

pub(crate) fn write(path: &str, content: &str) -> Value {
    call("write", json!({"path": path, "content": content}))
}

pub(crate) fn edit(path: &str, old: &str, new: &str) -> Value {
    call("edit", json!({"path": path, "old_text": old, "new_text": new, "replace_all": true}))
}

fn error(code: i64, message: &str) -> Answer {
    Some(Err(json!({"code": code, "message": message})))
}

pub(crate) fn content(text: &str) -> Answer {
    Some(Ok(json!({"content": text})))
}

/// Runs calls with a client that answers so; permissions are given.
pub(crate) fn run(
    bench: &mut Bench,
    calls: &[Value],
    mut answer: impl FnMut(&str, &Value) -> Answer,
) -> Vec<Value> {
    let id = bench.client.prompt(&prompt(&json!({"calls": calls})));
    let mut all = Vec::new();
    loop {
        let message = bench.client.recv();
        match message["method"].as_str() {
            Some("session/request_permission") => bench.client.permit(&message, "allow_once"),
            Some(method @ (READ | WRITE)) => {
                assert_eq!(message["params"]["sessionId"], *bench.client.session);
                if let Some(answer) = answer(method, &message["params"]) {
                    bench.client.answer(&message, answer);
                }
            }
            _ => {}
        }
        let last = message["method"].is_null() && message["id"] == id;
        all.push(message);
        if last {
            return all;
        }
    }
}

/// The texts that a client has open.
#[derive(Default)]
struct Buffers(BTreeMap<String, String>);

impl Buffers {
    fn of(cwd: &Path, texts: &[(&str, &str)]) -> Self {
        let path = |name: &str| cwd.join(name).to_str().unwrap().to_owned();
        Self(texts.iter().map(|(name, text)| (path(name), (*text).to_owned())).collect())
    }

    fn answer(&mut self, method: &str, params: &Value) -> Answer {
        let path = params["path"].as_str().unwrap().to_owned();
        assert!(params["line"].is_null() && params["limit"].is_null());
        if method == WRITE {
            self.0.insert(path, params["content"].as_str().unwrap().to_owned());
            return Some(Ok(json!({})));
        }
        self.0.get(&path).map_or_else(|| error(-32002, "Resource not found"), |text| content(text))
    }
}

/// What was asked of the client, in order.
pub(crate) fn asked(messages: &[Value]) -> Vec<&str> {
    let methods = messages.iter().filter_map(|message| message["method"].as_str());
    methods.filter(|method| *method != "session/update").collect()
}

#[test]
fn what_is_not_saved_is_read() {
    let mut bench = client(true, true);
    let cwd = bench.cwd();
    std::fs::write(cwd.join("a"), "saved\n").unwrap();
    std::fs::create_dir(cwd.join("sub")).unwrap();
    let mut buffers = Buffers::of(&cwd, &[("a", "not\nsaved\n"), ("new", "only here\n"), ("empty", "")]);
    let calls = [
        read("a"),
        call("read", json!({"path": "./sub/../a", "offset": 2})),
        read("new"),
        read("empty"),
        read("none"),
        call("grep", json!({"pattern": "saved"})),
    ];
    let all = run(&mut bench, &calls, |method, params| buffers.answer(method, params));
    assert_eq!(end(&all), "end_turn");
    let none = format!("{}: No such file or directory", cwd.join("none").display());
    let want = [
        (true, "     1\tnot\n     2\tsaved\n"),
        (true, "     2\tsaved\n"),
        (true, "     1\tonly here\n"),
        (true, "(the file is empty)"),
        (false, &none),
        // A search sees what is saved.
        (true, "a:1:saved\n"),
    ];
    assert_eq!(results(&all), want.map(|(ok, text)| (ok, text.to_owned())));
    assert_eq!(asked(&all), [READ; 5]);
}

#[test]
fn edits_and_writes_go_to_the_client_and_not_to_the_disk() {
    let mut bench = client(true, true);
    let cwd = bench.cwd();
    std::fs::write(cwd.join("a"), "saved\n").unwrap();
    std::fs::write(cwd.join("gone"), "x\n").unwrap();
    let mut buffers = Buffers::of(&cwd, &[("a", "not saved\n")]);
    let calls = [
        edit("a", "not", "never"),
        edit("a", "saved\n", "written\n"),
        write("dir/new", "one\n"),
        write("dir/new", "two\n"),
        write("gone", "y\n"),
        edit("none", "a", "b"),
    ];
    let all = run(&mut bench, &calls, |method, params| buffers.answer(method, params));
    let path = |name: &str| cwd.join(name).display().to_string();
    let want = [
        (true, format!("changed {} at line 1", path("a"))),
        (true, format!("changed {} at line 1", path("a"))),
        (true, format!("made {} (1 lines)", path("dir/new"))),
        (true, format!("replaced {} (1 lines)", path("dir/new"))),
        // The client says that it is not there.
        (true, format!("made {} (1 lines)", path("gone"))),
        (false, format!("{}: No such file or directory", path("none"))),
    ];
    assert_eq!(results(&all), want);
    let diffs: Vec<_> = finals(&all).iter().map(|update| update["content"][0].clone()).collect();
    let diff = |name: &str, old: Value, new: &str| json!({"type": "diff", "path": path(name), "oldText": old, "newText": new});
    assert_eq!(
        diffs[..5],
        [
            diff("a", json!("not saved\n"), "never saved\n"),
            diff("a", json!("never saved\n"), "never written\n"),
            diff("dir/new", json!(null), "one\n"),
            diff("dir/new", json!("one\n"), "two\n"),
            diff("gone", json!(null), "y\n"),
        ]
    );
    assert_eq!(buffers.0[&path("a")], "never written\n");
    assert_eq!(buffers.0[&path("dir/new")], "two\n");
    // The disk is as it was.
    assert_eq!(std::fs::read_to_string(cwd.join("a")).unwrap(), "saved\n");
    assert_eq!(std::fs::read_to_string(cwd.join("gone")).unwrap(), "x\n");
    assert!(!cwd.join("dir").exists());
}

#[test]
fn a_client_that_does_not_do_both_is_not_asked() {
    for (reads, writes) in [(true, false), (false, true), (false, false)] {
        let mut bench = client(reads, writes);
        let cwd = bench.cwd();
        std::fs::write(cwd.join("a"), "disk\n").unwrap();
        let calls = [read("a"), edit("a", "disk", "changed"), write("b/c", "new\n")];
        let all = run(&mut bench, &calls, |method, _| panic!("{method}"));
        assert!(results(&all).iter().all(|(ok, _)| *ok), "{all:?}");
        assert_eq!(std::fs::read_to_string(cwd.join("a")).unwrap(), "changed\n");
        assert_eq!(std::fs::read_to_string(cwd.join("b/c")).unwrap(), "new\n");
    }
}

#[test]
fn the_user_is_asked_first() {
    let mut bench = client(true, true);
    bench.client.set("mode", "ask");
    let mut buffers = Buffers::of(&bench.cwd(), &[("a", "x\n")]);
    let calls = [edit("a", "x", "y"), write("b", "x\n")];
    let all = run(&mut bench, &calls, |method, params| buffers.answer(method, params));
    let question = "session/request_permission";
    assert_eq!(asked(&all), [question, READ, WRITE, question, READ, WRITE]);
    // What is rejected is not asked of the client.
    let id = bench.client.prompt(&prompt(&json!({"calls": calls})));
    assert_eq!(asked(&bench.client.rest(id, "reject_once")), [question; 2]);
}

#[test]
fn what_is_no_text_on_the_disk_is_not_asked_for() {
    let mut bench = client(true, true);
    let cwd = bench.cwd();
    std::fs::create_dir(cwd.join("dir")).unwrap();
    std::fs::File::create(cwd.join("huge")).unwrap().set_len((10 << 20) + 1).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(cwd.join("fifo")).status().unwrap().success());
    let calls = [
        read("dir"),
        write("dir", ""),
        edit("dir", "a", "b"),
        read("fifo"),
        write("fifo", ""),
        read("huge"),
        read("huge/x"),
    ];
    let all = run(&mut bench, &calls, |method, _| panic!("{method}"));
    let wants = [
        "is a directory; use glob",
        "is a directory",
        "is a directory; use glob",
        "is no regular file",
        "is no regular file",
        "has 10485761 bytes",
        "Not a directory",
    ];
    for ((ok, text), want) in results(&all).iter().zip(wants) {
        assert!(!ok && text.contains(want), "{text}: {want}");
    }
    // It may be replaced, but what it had is not asked for.
    let all = run(&mut bench, &[write("huge", "x")], |method, _| (method == WRITE).then(|| Ok(Value::Null)));
    assert_eq!((results(&all)[0].0, asked(&all)), (true, vec![WRITE]));
    assert!(results(&all)[0].1.starts_with("replaced"));
}

#[test]
fn what_the_client_cannot_is_told_to_the_model() {
    let mut bench = client(true, true);
    let cwd = bench.cwd();
    std::fs::write(cwd.join("a"), "disk\n").unwrap();
    let path = cwd.join("a").display().to_string();
    let flood = format!("no\n{}", "x".repeat(10_000));
    for (answer, want) in [
        (error(-32002, "Resource not found"), format!("{path}: No such file or directory")),
        (error(-32603, "it is locked"), format!("{path}: the client cannot read it: it is locked")),
        (error(-32603, &flood), format!("{path}: the client cannot read it: no {}", "x".repeat(396))),
        (Some(Err(json!(5))), format!("{path}: the client cannot read it: an error without a message")),
        (Some(Ok(json!(null))), format!("{path}: the client answered {READ} without content")),
        (Some(Ok(json!({"content": 5}))), format!("{path}: the client answered {READ} without content")),
        (Some(Ok(json!("text"))), format!("{path}: the client answered {READ} without content")),
        (content("a\0b"), format!("{path} is no text (UTF-8); look at it with bash")),
        (content(&"x".repeat(9 << 20)), format!("{path}: {READ}: the client answered with more than 8 MiB")),
    ] {
        let all = run(&mut bench, &[read("a"), edit("a", "disk", "x")], |_, _| answer.clone());
        assert_eq!(asked(&all), [READ; 2]);
        assert_eq!(all.last().unwrap()["result"]["stopReason"], "end_turn");
        for (ok, text) in results(&all) {
            assert!(!ok && text.starts_with(&want), "{text}");
            assert!(text.len() < path.len() + 450 && !text.contains('\n'), "{text}");
        }
    }
    for (answer, want) in [
        (error(-32603, "disk full"), format!("{path}: the client cannot write it: disk full")),
        (error(-32002, "Resource not found"), format!("{path}: No such file or directory")),
        (
            Some(Ok(json!("done"))),
            format!(
                "{path}: the client answered {WRITE} with what is no answer; it is not known whether it was written"
            ),
        ),
    ] {
        let answer =
            |method: &str, _: &Value| if method == READ { content("open\n") } else { answer.clone() };
        let all = run(&mut bench, &[write("a", "x"), edit("a", "open", "x")], answer);
        assert_eq!(results(&all), [(false, want.clone()), (false, want)]);
    }
    assert_eq!(std::fs::read_to_string(cwd.join("a")).unwrap(), "disk\n");
    // What it has before does not matter where the whole is replaced.
    for answer in [error(-32603, "binary"), content("a\0b"), content(&"x".repeat(9 << 20))] {
        let answer =
            |method: &str, _: &Value| if method == READ { answer.clone() } else { Some(Ok(json!({}))) };
        let all = run(&mut bench, &[write("a", "x")], answer);
        assert_eq!(results(&all), [(true, format!("replaced {path} (1 lines)"))]);
    }
    // A message that the client would not take is not sent.
    let large = "a".repeat(1 << 20);
    let all = run(&mut bench, &[edit("a", "a", "bbbbbbbbbb")], |_, _| content(&large));
    assert_eq!(asked(&all), [READ]);
    assert!(results(&all)[0].1.contains("takes at most 8 MiB at once"));
}

#[test]
fn a_method_that_is_offered_but_not_known_ends_it_for_both() {
    let mut bench = client(true, true);
    let cwd = bench.cwd();
    std::fs::write(cwd.join("a"), "disk\n").unwrap();
    let calls = [read("a"), edit("a", "disk", "changed"), write("b/c", "new\n"), read("none")];
    let all = run(&mut bench, &calls, |_, _| error(-32601, "Method not found"));
    assert_eq!(asked(&all), [READ]);
    let oks: Vec<bool> = results(&all).iter().map(|(ok, _)| *ok).collect();
    assert_eq!(oks, [true, true, true, false]);
    assert_eq!(results(&all)[0].1, "     1\tdisk\n");
    assert_eq!(std::fs::read_to_string(cwd.join("a")).unwrap(), "changed\n");
    assert_eq!(std::fs::read_to_string(cwd.join("b/c")).unwrap(), "new\n");
    assert!(asked(&run(&mut bench, &calls[..1], |method, _| panic!("{method}"))).is_empty());
    // What was read there is not written here.
    let mut bench = client(true, true);
    let cwd = bench.cwd();
    std::fs::write(cwd.join("a"), "disk\n").unwrap();
    let calls = [edit("a", "open", "changed"), edit("a", "disk", "changed")];
    let all = run(&mut bench, &calls, |method, _| match method {
        READ => content("open, not saved\n"),
        _ => error(-32601, "Method not found"),
    });
    let all = results(&all);
    assert!(!all[0].0 && all[0].1.contains("does not write files"), "{}", all[0].1);
    assert!(all[1].0);
    assert_eq!(std::fs::read_to_string(cwd.join("a")).unwrap(), "changed\n");
}
