//! The scenarios of the `scripted` agent, through the public client: what docs/scripted.md promises, to the letter.
//! What servers of tools do wrong is tested in the agent's own tests.

use agentos::{AgentOs, CreateSessionOptions, Error, McpServerConfig, PermissionReply, Session};
use agentos_tests::mcp::WEATHER;
use agentos_tests::{Sidecar, eventually, live_processes};
use serde_json::{Value, json};

static SIDECAR: Sidecar = Sidecar::new();

async fn session(os: &AgentOs) -> Session {
    os.create_session("scripted", CreateSessionOptions::default()).await.unwrap()
}

/// A session with the server of the weather.
async fn with_weather(os: &AgentOs, before: &str) -> Session {
    os.write_file("/tmp/weather", WEATHER).await.unwrap();
    let server = McpServerConfig::local("/bin/sh", ["/tmp/weather"], [("BEFORE", before)]);
    let options = CreateSessionOptions { mcp_servers: vec![server], ..Default::default() };
    os.create_session("scripted", options).await.unwrap()
}

/// The last event of a session.
async fn last(os: &AgentOs, session: &Session) -> u64 {
    let events = os.get_session_events(&session.session_id, Default::default()).await.unwrap();
    events.last().map_or(0, |event| event.seq)
}

/// The updates after an event: messages as their text, tool calls as their status.
async fn updates(os: &AgentOs, session: &Session, after: u64) -> Vec<Value> {
    let events = os.get_session_events(&session.session_id, Default::default()).await.unwrap();
    let new = events.iter().filter(|event| event.seq > after);
    new.filter_map(|event| event.params.get("update").cloned()).collect()
}

/// What a turn shows, one word per update.
fn outline(updates: &[Value]) -> Vec<String> {
    let mut lines: Vec<String> = updates
        .iter()
        .filter_map(|update| match update["sessionUpdate"].as_str()? {
            "agent_message_chunk" => Some(format!("say {}", update["content"]["text"].as_str()?)),
            "tool_call" | "tool_call_update" => Some(format!("call {}", update["status"].as_str()?)),
            _ => None,
        })
        .collect();
    // How often live output is shown depends on time.
    lines.dedup_by(|a, b| a == b && a == "call in_progress");
    lines
}

/// A turn to its end: what it shows, and why it stopped.
async fn play(os: &AgentOs, session: &Session, scenario: &str) -> (Vec<String>, String) {
    let before = last(os, session).await;
    let turn = session.prompt(scenario).await.unwrap();
    (outline(&updates(os, session, before).await), turn.stop_reason)
}

/// Waits until the running turn says `text`, or a tool call of it has this status.
async fn until(os: &AgentOs, session: &Session, after: u64, line: &str) {
    eventually(line, async || outline(&updates(os, session, after).await).iter().any(|each| each == line))
        .await;
}

#[test]
fn text_is_answered_with_one_message() {
    SIDECAR.test(async |os| {
        let session = session(os).await;
        for prompt in ["scenario:text", "  scenario:text\n"] {
            let turn = session.prompt(prompt).await.unwrap();
            assert_eq!((turn.text.as_str(), turn.stop_reason.as_str()), ("hello from agent", "end_turn"));
        }
        session.close().await.unwrap();
    });
}

#[test]
fn an_unknown_scenario_is_answered_with_those_there_are() {
    SIDECAR.test(async |os| {
        let session = session(os).await;
        let turn = session.prompt("scenario:x").await.unwrap();
        assert_eq!(
            turn.text,
            "unknown scenario; there are scenario:text, scenario:tool_ask, scenario:custom_tool, scenario:slow \
             and scenario:error"
        );
        assert_eq!(turn.stop_reason, "end_turn");
        session.close().await.unwrap();
    });
}

#[test]
fn tool_ask_runs_its_command_only_if_it_is_allowed() {
    SIDECAR.test(async |os| {
        let session = session(os).await;
        let mut requests = session.permission_requests().await.unwrap();
        let run = ["call pending", "call in_progress", "call completed", "say the command ran"];
        let denied = ["call pending", "call failed", "say the command was denied"];
        for (reply, want) in [
            (PermissionReply::Once, &run[..]),
            (PermissionReply::Reject, &denied[..]),
            (PermissionReply::Once, &run[..]),
            (PermissionReply::Reject, &denied[..]),
            (PermissionReply::Always, &run[..]),
        ] {
            let before = last(os, &session).await;
            let (turn, ()) = tokio::join!(session.prompt("scenario:tool_ask"), async {
                let request = requests.next().await.unwrap().unwrap();
                assert_eq!(request.tool_call["rawInput"], json!({"command": "echo scenario"}));
                assert_eq!(request.tool_call["kind"], "execute");
                let kinds: Vec<&str> = request.options.iter().map(|option| option.kind.as_str()).collect();
                assert_eq!(kinds, ["allow_once", "allow_always", "reject_once", "reject_always"]);
                session.respond_permission(request.permission_id, reply).await.unwrap();
            });
            assert_eq!(turn.unwrap().stop_reason, "end_turn");
            let updates = updates(os, &session, before).await;
            assert_eq!(outline(&updates), want);
            let text = &updates[updates.len() - 2]["content"][0]["content"]["text"];
            assert_eq!(text, if want == run { "scenario\n" } else { "rejected by user" });
        }
        // Allowed for always: nobody is asked, and nobody answers.
        assert_eq!(
            play(os, &session, "scenario:tool_ask").await,
            (run.map(str::to_owned).to_vec(), "end_turn".into())
        );
        session.close().await.unwrap();
    });
}

#[test]
fn tool_ask_fails_its_call_when_it_is_cancelled_while_it_asks() {
    SIDECAR.test(async |os| {
        let session = session(os).await;
        let mut requests = session.permission_requests().await.unwrap();
        for _ in 0..2 {
            let before = last(os, &session).await;
            let (turn, ()) = tokio::join!(session.prompt("scenario:tool_ask"), async {
                requests.next().await.unwrap().unwrap();
                session.cancel().await.unwrap();
            });
            assert_eq!(turn.unwrap().stop_reason, "cancelled");
            assert_eq!(outline(&updates(os, &session, before).await), ["call pending", "call failed"]);
        }
        session.close().await.unwrap();
    });
}

#[test]
fn slow_runs_until_it_is_cancelled() {
    SIDECAR.test(async |os| {
        let session = session(os).await;
        for _ in 0..2 {
            let before = last(os, &session).await;
            let (turn, ()) = tokio::join!(session.prompt("scenario:slow"), async {
                until(os, &session, before, "say running until cancelled").await;
                session.cancel().await.unwrap();
            });
            let turn = turn.unwrap();
            assert_eq!(
                (turn.stop_reason.as_str(), turn.text.as_str()),
                ("cancelled", "running until cancelled")
            );
        }
        assert_eq!(session.prompt("scenario:text").await.unwrap().text, "hello from agent");
        // The end of the session is an end too.
        let before = last(os, &session).await;
        let (_, ()) = tokio::join!(session.prompt("scenario:slow"), async {
            until(os, &session, before, "say running until cancelled").await;
            session.close().await.unwrap();
        });
    });
}

#[test]
fn error_fails_the_turn_and_not_the_session() {
    SIDECAR.test(async |os| {
        let session = session(os).await;
        for _ in 0..2 {
            let before = last(os, &session).await;
            match session.prompt("scenario:error").await.unwrap_err() {
                Error::Agent { message, failure } => {
                    assert_eq!(failure.rpc_code, Some(-32603), "{message}");
                    assert!(message.contains("the scenario failed, as it was told to"), "{message}");
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(outline(&updates(os, &session, before).await), ["say about to fail"]);
            assert_eq!(session.prompt("scenario:text").await.unwrap().text, "hello from agent");
        }
        session.close().await.unwrap();
    });
}

#[test]
fn custom_tool_answers_with_what_the_tool_said() {
    SIDECAR.test(async |os| {
        let session = with_weather(os, "").await;
        let agent = live_processes(os).await.len();
        for call in 1..=2 {
            let before = last(os, &session).await;
            let turn = session.prompt("scenario:custom_tool").await.unwrap();
            assert_eq!(turn.stop_reason, "end_turn");
            let text = format!("sunny in Paris, call {call}");
            assert_eq!(turn.text, format!("get_weather answered: {text}"));
            let updates = updates(os, &session, before).await;
            assert_eq!(outline(&updates)[..3], ["call pending", "call in_progress", "call completed"]);
            assert_eq!(updates[0]["title"], "get_weather");
            assert_eq!(updates[0]["rawInput"], json!({"city": "Paris"}));
            assert_eq!(updates[2]["rawOutput"]["content"][0]["text"], text);
            eventually("one server stays", async || live_processes(os).await.len() == agent + 1).await;
        }
        session.close().await.unwrap();
        eventually("the server ends with its session", async || live_processes(os).await.is_empty()).await;
    });
}

#[test]
fn custom_tool_is_cancelled_while_it_waits() {
    SIDECAR.test(async |os| {
        let session = with_weather(os, "until [ -e /tmp/go ]; do sleep 0.01; done").await;
        let before = last(os, &session).await;
        let (turn, ()) = tokio::join!(session.prompt("scenario:custom_tool"), async {
            until(os, &session, before, "call in_progress").await;
            session.cancel().await.unwrap();
        });
        assert_eq!(turn.unwrap().stop_reason, "cancelled");
        let shown = outline(&updates(os, &session, before).await);
        assert_eq!(shown, ["call pending", "call in_progress", "call failed"]);
        os.write_file("/tmp/go", "").await.unwrap();
        // The late answer to the first call is not taken for that to the second.
        let turn = session.prompt("scenario:custom_tool").await.unwrap();
        assert_eq!(turn.text, "get_weather answered: sunny in Paris, call 2");
        session.close().await.unwrap();
    });
}

#[test]
fn custom_tool_says_what_is_missing() {
    SIDECAR.test(async |os| {
        let without = session(os).await;
        let none = "no MCP server has the tool get_weather";
        assert_eq!(
            play(os, &without, "scenario:custom_tool").await,
            (vec![format!("say {none}")], "end_turn".into())
        );
        without.close().await.unwrap();
        let server = |command: &str| {
            let nothing = std::iter::empty::<(String, String)>();
            McpServerConfig::local("/bin/sh", ["-c", command], nothing)
        };
        for (command, why) in [("exit 3", "ended"), ("echo hello; cat", "sent a line that is no message")] {
            let options = CreateSessionOptions { mcp_servers: vec![server(command)], ..Default::default() };
            let session = os.create_session("scripted", options).await.unwrap();
            for _ in 0..2 {
                let turn = session.prompt("scenario:custom_tool").await.unwrap();
                assert_eq!(turn.text, format!("{none}; MCP server \"sh\" {why}"));
            }
            session.close().await.unwrap();
        }
    });
}
