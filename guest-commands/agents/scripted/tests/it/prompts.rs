//! Prompts: what is run, asked and reported.

use serde_json::json;

use crate::client::{self, finals, outline};

#[test]
fn commands_are_run_in_order_and_reported() {
    let mut client = client::new();
    let all = client.run("Hello.\n```sh\necho one; echo two >&2; pwd\n```\n```sh\nexit 3\n```\nBye.");
    assert_eq!(
        outline(&all),
        [
            "say You said: Hello.",
            "call pending",
            "ask",
            "call in_progress",
            "call completed",
            "call pending",
            "ask",
            "call in_progress",
            "call failed",
            "say You said: Bye.",
            "say ran 2 commands: 1 ok, 1 failed",
            "end_turn",
        ]
    );
    assert_eq!(all[1]["params"]["update"]["rawInput"], json!({"command": "echo one; echo two >&2; pwd"}));
    assert_eq!(all[1]["params"]["update"]["kind"], "execute");
    let ends = finals(&all);
    assert_eq!(ends[0]["rawOutput"], json!({"exitCode": 0, "output": "one\ntwo\n/\n"}));
    assert_eq!(ends[0]["content"][0]["content"]["text"], "one\ntwo\n/\n");
    assert_eq!(ends[1]["rawOutput"], json!({"exitCode": 3, "output": ""}));
    assert_ne!(ends[0]["toolCallId"], ends[1]["toolCallId"]);
    client.finish().unwrap();
}

#[test]
fn a_rejected_command_is_not_run_and_the_rest_goes_on() {
    let dir = std::env::temp_dir().join(format!("scripted-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let mut client = client::in_directory(dir.to_str().unwrap());
    for (option, why) in [
        ("reject_once", "rejected by user"),
        ("cancelled", "rejected by user"),
        ("invented", "rejected by user"),
    ] {
        let id = client.prompt("```sh\ntouch ran\n```");
        let all = client.rest(id, option);
        assert_eq!(finals(&all)[0]["content"][0]["content"]["text"], why);
        assert_eq!(
            outline(&all),
            [
                "call pending",
                "ask",
                "call failed",
                "say ran 0 commands: 0 ok, 0 failed, 1 rejected",
                "end_turn"
            ]
        );
        assert!(!dir.join("ran").exists());
    }
    let all = client.run("```sh\ntouch ran\n```");
    assert_eq!(finals(&all)[0]["status"], "completed");
    assert!(dir.join("ran").exists());
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn allow_always_and_the_option_never_stop_the_questions() {
    let mut client = client::new();
    let two = "```sh\ntrue\n```\n```sh\ntrue\n```";
    let asked = |all: &[serde_json::Value]| outline(all).iter().filter(|line| *line == "ask").count();
    let id = client.prompt(two);
    assert_eq!(asked(&client.rest(id, "allow_always")), 1);
    assert_eq!(asked(&client.run(two)), 0);

    let mut client = client::new();
    assert_eq!(asked(&client.run(two)), 2);
    client.set("permission", "never");
    assert_eq!(asked(&client.run(two)), 0);
}

#[test]
fn output_is_shown_while_the_command_runs() {
    let mut client = client::new();
    client.set("permission", "never");
    let path = std::env::temp_dir().join(format!("scripted-go-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    // The command waits for a file that is only made once its first output has been seen.
    let id = client.prompt(&format!(
        "```sh\necho first; while ! [ -e {0} ]; do sleep 0.05; done; echo last\n```",
        path.display()
    ));
    loop {
        let update = client.recv()["params"]["update"].clone();
        if update["content"][0]["content"]["text"] == "first\n" {
            assert_eq!(update["status"], "in_progress");
            break;
        }
    }
    std::fs::write(&path, "").unwrap();
    let all = client.rest(id, "");
    assert_eq!(finals(&all)[0]["rawOutput"]["output"], "first\nlast\n");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_flood_of_output_is_cut_in_front() {
    let mut client = client::new();
    client.set("permission", "never");
    let all = client
        .run("```sh\ni=0; while [ $i -lt 3000 ]; do printf '%01000d' $i; i=$((i+1)); done; printf END\n```");
    let end = &finals(&all)[0];
    let output = end["rawOutput"]["output"].as_str().unwrap();
    assert_eq!(output.len(), 1 << 20);
    assert!(output.ends_with("2999END"));
    assert_eq!(end["rawOutput"]["truncated"], true);
}

#[test]
fn a_command_killed_by_a_signal_and_one_that_cannot_start_have_failed() {
    let mut client = client::in_directory("/no/such/directory");
    client.set("permission", "never");
    let all = client.run("```sh\ntrue\n```");
    let why = finals(&all)[0]["content"][0]["content"]["text"].as_str().unwrap().to_owned();
    assert!(why.contains("No such file or directory"), "{why}");
    let mut client = client::new();
    client.set("permission", "never");
    let all = client.run("```sh\necho dying; kill -9 $$\n```");
    assert_eq!(
        finals(&all)[0]["rawOutput"],
        json!({"exitCode": null, "signal": "SIGKILL", "output": "dying\n"})
    );
    assert!(outline(&all).contains(&"say ran 1 command: 0 ok, 1 failed".to_owned()));
}

#[test]
fn a_command_reads_nothing_of_the_connection_and_may_leave_something_behind() {
    let mut client = client::new();
    client.set("permission", "never");
    let before = std::time::Instant::now();
    let all = client.run("```sh\ncat; sleep 30 & echo done\n```");
    assert!(before.elapsed() < std::time::Duration::from_secs(10));
    assert_eq!(finals(&all)[0]["rawOutput"], json!({"exitCode": 0, "output": "done\n"}));
}

#[test]
fn other_content_is_taken_or_refused() {
    let mut client = client::new();
    let session = client.session.clone();
    let blocks = json!([
        {"type": "resource_link", "uri": "file:///a", "name": "a"},
        {"type": "resource", "resource": {"uri": "file:///b", "text": "```sh\ntouch /never\n```"}},
    ]);
    let id = client.request("session/prompt", json!({"sessionId": session, "prompt": blocks}));
    let all = client.rest(id, "allow_once");
    assert_eq!(
        outline(&all),
        [
            "say You said: file:///a",
            "say You said: file:///b",
            "say ran 0 commands: 0 ok, 0 failed",
            "end_turn"
        ]
    );
    let image = json!([{"type": "image", "data": "", "mimeType": "image/png"}]);
    let refused = client.call("session/prompt", json!({"sessionId": session, "prompt": image}));
    assert_eq!(refused["error"]["code"], -32602);
}

#[test]
fn thousands_of_messages_come_complete_and_in_order() {
    const COUNT: usize = 5_000;
    let mut client = client::new();
    let messages = client.run(&"word\n```sh\n```\n".repeat(COUNT));
    let ids: Vec<_> = messages
        .iter()
        .filter_map(|m| m["params"]["update"]["messageId"].as_str().map(ToOwned::to_owned))
        .collect();
    let want: Vec<_> = (1..=COUNT + 1).map(|n| format!("message-{n}")).collect();
    assert_eq!(ids, want, "the last one sums up");
}
