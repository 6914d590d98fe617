//! Sessions with the bundled `scripted` agent: updates, permissions, cancelling, events, ends.
//! Agents that misbehave are in `test_agents`.

use std::time::Duration;

use agentos::{
    AgentOs, AgentOsConfig, CreateSessionOptions, Error, GetSessionEventsOptions, McpServerConfig,
    MountConfig, PermissionReply, Session, SessionEvent,
};
use agentos_tests::{Sidecar, eventually, live_processes};
use serde_json::{Value, json};

static SIDECAR: Sidecar = Sidecar::new();

async fn session(os: &AgentOs) -> Session {
    os.create_session("scripted", CreateSessionOptions::default()).await.unwrap()
}

/// Lets commands run without asking.
async fn trust(os: &AgentOs, session: &Session) {
    let params = json!({ "configId": "permission", "value": "never" });
    os.raw_send(&session.session_id, "session/set_config_option", params).await.unwrap();
}

fn block(command: &str) -> String {
    format!("```sh\n{command}\n```")
}

fn update<'a>(event: &'a SessionEvent, kind: &str) -> Option<&'a Value> {
    let update = event.params.get("update")?;
    (update.get("sessionUpdate")? == kind).then_some(update)
}

#[test]
fn a_prompt_is_answered_with_text_and_a_reason() {
    SIDECAR.test(async |os| {
        let session = session(os).await;
        assert_eq!(session.init.agent_type, "scripted");
        assert_eq!(session.init.cwd, "/workspace");
        let turn = session.prompt("hello there").await.unwrap();
        assert_eq!(turn.stop_reason, "end_turn");
        assert!(turn.text.contains("hello there"), "{turn:?}");
        assert_eq!(os.list_sessions().await.unwrap().len(), 1);
        session.close().await.unwrap();
    });
}

#[test]
fn an_update_is_seen_before_its_command_ends() {
    SIDECAR.test(async |os| {
        let session = session(os).await;
        trust(os, &session).await;
        let mut events = session.events(None).await.unwrap();
        let prompt = block("echo begun; until [ -e /tmp/go ]; do sleep 0.01; done; echo over");
        let (turn, ()) = tokio::join!(session.prompt(prompt), async {
            loop {
                let event = events.next().await.unwrap().unwrap();
                if update(&event, "tool_call_update").is_some_and(|u| u.to_string().contains("begun")) {
                    break;
                }
            }
            // Only now can the command end.
            os.write_file("/tmp/go", "").await.unwrap();
        });
        assert_eq!(turn.unwrap().stop_reason, "end_turn");
        session.close().await.unwrap();
    });
}

#[test]
fn a_rejected_edit_leaves_the_file_and_an_allowed_one_changes_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes");
    std::fs::write(&file, "before\n").unwrap();
    let mount = MountConfig::host_dir("/workspace/project", folder.path().to_str().unwrap(), false);
    SIDECAR.test_with(AgentOsConfig::builder().mount(mount).build(), async |os| {
        let session = session(os).await;
        let mut requests = session.permission_requests().await.unwrap();
        for (reply, content, status) in
            [(PermissionReply::Reject, "before\n", "failed"), (PermissionReply::Once, "after\n", "completed")]
        {
            let prompt = block("echo after > project/notes");
            let (turn, ()) = tokio::join!(session.prompt(prompt), async {
                let request = requests.next().await.unwrap().unwrap();
                assert!(request.tool_call.to_string().contains("echo after"), "{request:?}");
                assert!(request.options.iter().any(|o| o.kind == "reject_once"));
                assert_eq!(std::fs::read_to_string(&file).unwrap(), "before\n", "not before the answer");
                session.respond_permission(&request.permission_id, reply).await.unwrap();
                let again = session.respond_permission(&request.permission_id, PermissionReply::Once).await;
                assert!(matches!(again, Err(Error::PermissionRequestNotFound { .. })), "{again:?}");
            });
            assert_eq!(turn.unwrap().stop_reason, "end_turn");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), content);
            let events = os.get_session_events(&session.session_id, Default::default()).await.unwrap();
            let last = events.iter().rev().find_map(|e| update(e, "tool_call_update")).unwrap();
            assert_eq!(last["status"], status, "{last}");
        }
        let (turn, ()) = tokio::join!(session.prompt(block("true")), async {
            let request = requests.next().await.unwrap().unwrap();
            session.respond_permission(request.permission_id, PermissionReply::Always).await.unwrap();
        });
        turn.unwrap();
        // Nobody answers now, since nobody is asked.
        assert_eq!(session.prompt(block("echo free > project/notes")).await.unwrap().stop_reason, "end_turn");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "free\n");
        session.close().await.unwrap();
    });
}

#[test]
fn cancelling_ends_the_turn_and_every_process_of_its_command() {
    SIDECAR.test(async |os| {
        let session = session(os).await;
        trust(os, &session).await;
        let agent = live_processes(os).await.len();
        for command in [
            "sleep 1000",
            "sleep 1000 | sleep 1001 | cat",
            "sleep 1000 & (sleep 1001; :) & wait",
            "trap '' TERM INT; while :; do sleep 0.01; done",
            "while :; do :; done",
        ] {
            let mut events = session.events(None).await.unwrap();
            let last = events.last_seq();
            let (turn, ()) = tokio::join!(session.prompt(block(command)), async {
                loop {
                    let event = events.next().await.unwrap().unwrap();
                    if event.seq > last
                        && update(&event, "tool_call_update").is_some_and(|u| u["status"] == "in_progress")
                    {
                        break;
                    }
                }
                eventually("it runs", async || live_processes(os).await.len() > agent).await;
                session.cancel().await.unwrap();
            });
            assert_eq!(turn.unwrap().stop_reason, "cancelled", "{command}");
            eventually(&format!("nothing is left of {command}"), async || {
                live_processes(os).await.len() == agent
            })
            .await;
        }
        session.cancel().await.unwrap();
        assert_eq!(session.prompt("still there").await.unwrap().stop_reason, "end_turn");
        session.close().await.unwrap();
    });
}

#[test]
fn a_prompt_waits_for_the_one_that_runs_and_a_cancel_takes_both() {
    SIDECAR.test(async |os| {
        let session = session(os).await;
        trust(os, &session).await;
        let agent = live_processes(os).await.len();
        let running = async || eventually("it runs", async || live_processes(os).await.len() > agent).await;
        let first = block("until [ -e /tmp/go ]; do sleep 0.01; done; echo one >> /tmp/order");
        let second = async || {
            running().await;
            let second = session.prompt(block("echo two >> /tmp/order"));
            let (second, ()) = tokio::join!(second, async { os.write_file("/tmp/go", "").await.unwrap() });
            second
        };
        let (first, second) = tokio::join!(session.prompt(first), second());
        assert_eq!(first.unwrap().stop_reason, "end_turn");
        assert_eq!(second.unwrap().stop_reason, "end_turn");
        assert_eq!(os.read_file("/tmp/order").await.unwrap(), b"one\ntwo\n");
        let queued = async || {
            running().await;
            let queued = session.prompt(block("echo three >> /tmp/order"));
            // Long enough for it to queue, in any order of the calls.
            let cancel = async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                session.cancel().await.unwrap();
            };
            tokio::join!(queued, cancel).0
        };
        let (first, queued) = tokio::join!(session.prompt(block("sleep 1000")), queued());
        assert_eq!(first.unwrap().stop_reason, "cancelled");
        assert_eq!(queued.unwrap().stop_reason, "cancelled");
        assert_eq!(os.read_file("/tmp/order").await.unwrap(), b"one\ntwo\n");
        session.close().await.unwrap();
    });
}

#[test]
fn a_cancel_while_a_permission_is_asked_for_ends_the_turn_and_the_question() {
    SIDECAR.test(async |os| {
        let session = session(os).await;
        let mut requests = session.permission_requests().await.unwrap();
        let (turn, request) = tokio::join!(session.prompt(block("echo x > /tmp/x")), async {
            let request = requests.next().await.unwrap().unwrap();
            session.cancel().await.unwrap();
            request
        });
        assert_eq!(turn.unwrap().stop_reason, "cancelled");
        let late = session.respond_permission(request.permission_id, PermissionReply::Once).await;
        assert!(matches!(late, Err(Error::PermissionRequestNotFound { .. })), "{late:?}");
        assert!(os.read_file("/tmp/x").await.is_err());
        assert_eq!(session.prompt("still there").await.unwrap().stop_reason, "end_turn");
        session.close().await.unwrap();
    });
}

#[test]
fn a_dropped_prompt_is_cancelled() {
    SIDECAR.test(async |os| {
        let session = session(os).await;
        trust(os, &session).await;
        let agent = live_processes(os).await.len();
        {
            let prompt = session.prompt(block("sleep 1000"));
            tokio::select! {
                turn = prompt => panic!("{turn:?}"),
                () = eventually("it runs", async || live_processes(os).await.len() > agent) => {}
            }
        }
        eventually("it is ended", async || live_processes(os).await.len() == agent).await;
        assert_eq!(session.prompt("next").await.unwrap().stop_reason, "end_turn");
        session.close().await.unwrap();
    });
}

#[test]
fn events_can_be_read_again_from_any_cursor() {
    SIDECAR.test(async |os| {
        let session = session(os).await;
        trust(os, &session).await;
        let mut live = session.events(None).await.unwrap();
        for i in 0..5 {
            session
                .prompt(format!("prompt {i}\n{}", block(&format!("seq {i} 1000; echo {i}"))))
                .await
                .unwrap();
        }
        let id = &session.session_id;
        let kept = os.get_session_events(id, GetSessionEventsOptions::default()).await.unwrap();
        let mut seen = Vec::new();
        while seen.len() < kept.len() {
            seen.push(live.next().await.unwrap().unwrap());
        }
        assert_eq!(seen, kept);
        let numbers: Vec<u64> = kept.iter().map(|e| e.seq).collect();
        assert_eq!(numbers, (1..=kept.len() as u64).collect::<Vec<_>>(), "without a gap");
        for cursor in [0, 1, kept.len() as u64 / 2, kept.len() as u64 - 1] {
            let mut again = session.events(Some(cursor)).await.unwrap();
            for event in &kept[usize::try_from(cursor).unwrap()..] {
                assert_eq!(again.next().await.unwrap().unwrap(), *event);
            }
        }
        let some = GetSessionEventsOptions { since: 3, limit: Some(4), ..Default::default() };
        assert_eq!(os.get_session_events(id, some).await.unwrap(), kept[3..7]);
        let method = Some("session/update".to_owned());
        let updates = os
            .get_session_events(id, GetSessionEventsOptions { method, ..Default::default() })
            .await
            .unwrap();
        assert!(!updates.is_empty() && updates.iter().all(|e| e.method == "session/update"));
        session.close().await.unwrap();
        let after = os.get_session_events(id, GetSessionEventsOptions::default()).await.unwrap();
        assert_eq!(after[..kept.len()], kept[..], "a closed session can still be read");
    });
}

#[test]
fn closing_kills_and_destroying_forgets() {
    SIDECAR.test(async |os| {
        let session = session(os).await;
        trust(os, &session).await;
        let (turn, ()) = tokio::join!(session.prompt(block("sleep 1000")), async {
            eventually("it runs", async || live_processes(os).await.len() > 1).await;
            session.close().await.unwrap();
        });
        if let Ok(turn) = turn {
            assert_eq!(turn.stop_reason, "cancelled");
        }
        eventually("all is gone", async || live_processes(os).await.is_empty()).await;
        assert!(session.prompt("x").await.is_err());
        assert!(!os.get_session_events(&session.session_id, Default::default()).await.unwrap().is_empty());
        session.destroy().await.unwrap();
        let gone = os.get_session_events(&session.session_id, Default::default()).await;
        assert!(matches!(gone, Err(Error::SessionNotFound { .. })), "{gone:?}");
        assert!(os.list_sessions().await.unwrap().is_empty());

        let graceful = self::session(os).await;
        graceful.prompt("x").await.unwrap();
        let mut events = graceful.events(None).await.unwrap();
        graceful.destroy().await.unwrap();
        while let Some(event) = events.next().await {
            if event.is_err() {
                break;
            }
        }
        assert!(matches!(graceful.prompt("x").await, Err(Error::SessionNotFound { .. })));
        for unknown in [os.prompt("nobody", "x").await.map(|_| ()), os.cancel_session("nobody").await] {
            assert!(matches!(unknown, Err(Error::SessionNotFound { .. })), "{unknown:?}");
        }
    });
}

#[test]
fn sessions_of_a_machine_do_not_mix() {
    SIDECAR.test(async |os| {
        let mut all = Vec::new();
        for i in 0..6 {
            let cwd = format!("/workspace/{i}");
            os.mkdir(&cwd, Default::default()).await.unwrap();
            let env = [("WHO".to_owned(), i.to_string())].into();
            let options = CreateSessionOptions { cwd: Some(cwd), env, ..Default::default() };
            let session = os.create_session("scripted", options).await.unwrap();
            trust(os, &session).await;
            all.push(session);
        }
        let turns = all.iter().enumerate().map(|(i, session)| {
            let session = session.clone();
            tokio::spawn(
                async move { session.prompt(format!("I am {i}\n{}", block("echo $WHO > who"))).await },
            )
        });
        for (i, turn) in turns.collect::<Vec<_>>().into_iter().enumerate() {
            let turn = turn.await.unwrap().unwrap();
            assert!(turn.text.contains(&format!("I am {i}")), "{turn:?}");
            assert_eq!(
                os.read_file(format!("/workspace/{i}/who")).await.unwrap(),
                format!("{i}\n").as_bytes()
            );
        }
        for session in &all {
            session.close().await.unwrap();
        }
    });
}

#[test]
fn prompts_sent_together_run_in_their_order_and_a_cancel_behind_them_takes_both() {
    SIDECAR.test(async |os| {
        let session = session(os).await;
        trust(os, &session).await;
        let mut expected = String::new();
        for round in 0..20 {
            let prompt = |n: u32| session.prompt(block(&format!("echo {round}.{n} >> /tmp/together")));
            let (a, b, c) = tokio::join!(prompt(1), prompt(2), prompt(3));
            for turn in [a, b, c] {
                assert_eq!(turn.unwrap().stop_reason, "end_turn");
            }
            expected.push_str(&format!("{round}.1\n{round}.2\n{round}.3\n"));
        }
        assert_eq!(String::from_utf8(os.read_file("/tmp/together").await.unwrap()).unwrap(), expected);
        for _ in 0..20 {
            let prompt = || session.prompt(block("sleep 1000"));
            let (a, b, cancelled) = tokio::join!(prompt(), prompt(), session.cancel());
            cancelled.unwrap();
            for turn in [a, b] {
                assert_eq!(turn.unwrap().stop_reason, "cancelled");
            }
        }
        assert_eq!(session.prompt("still there").await.unwrap().stop_reason, "end_turn");
        session.close().await.unwrap();
    });
}

#[test]
fn a_dropped_create_leaves_no_session_and_no_agent() {
    SIDECAR.test(async |os| {
        for wait in [0, 1, 2, 5, 10, 20, 40, 80] {
            let create = os.create_session("scripted", CreateSessionOptions::default());
            // The short ones do not get their session.
            if let Ok(made) = tokio::time::timeout(Duration::from_millis(wait), create).await {
                made.unwrap().close().await.unwrap();
            }
        }
        eventually("nothing is left", async || {
            live_processes(os).await.is_empty() && os.list_sessions().await.unwrap().is_empty()
        })
        .await;
    });
}

#[test]
fn an_agent_that_refuses_a_tool_server_says_so() {
    SIDECAR.test(async |os| {
        let none = || std::iter::empty::<(String, String)>();
        let with = |server| CreateSessionOptions { mcp_servers: vec![server], ..Default::default() };
        let no_args: [&str; 0] = [];
        // The client and the sidecar take a name of any length.
        let local = with(McpServerConfig::local("n".repeat(300), no_args, none()));
        match os.create_session("scripted", local).await.unwrap_err() {
            Error::Agent { message, failure } => {
                assert!(message.contains("MCP"), "{message}");
                assert_eq!(failure.rpc_code, Some(-32602));
            }
            other => panic!("{other:?}"),
        }
        eventually("no agent is left", async || live_processes(os).await.is_empty()).await;
    });
}
