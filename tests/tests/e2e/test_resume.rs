//! Sessions that outlive their agent, their machine and their sidecar: no event is lost or doubled, each turn has one end, and
//! the session goes on.

use std::path::Path;
use std::sync::Arc;

use agentos::{
    AgentConfig, AgentOs, AgentOsConfig, AgentOsSidecar, AgentOsSidecarConfig, CreateSessionOptions, Error,
    PersistenceConfig, Session, SessionEvent,
};
use agentos_tests::{Sidecar, eventually, kill_sidecar, live_processes, watched};
use serde_json::json;

static SIDECAR: Sidecar = Sidecar::new();

fn places(scratch: &Path) -> [PersistenceConfig; 2] {
    let path = |name: &str| scratch.join(name).to_str().unwrap().to_owned();
    [
        PersistenceConfig::Directory { path: path("state") },
        PersistenceConfig::Sqlite { path: path("state.db") },
    ]
}

async fn kept(sidecar: &Arc<AgentOsSidecar>, place: &PersistenceConfig) -> AgentOs {
    let config = AgentOsConfig {
        persistence: Some(place.clone()),
        sidecar: Some(AgentOsSidecarConfig::Explicit { handle: Arc::clone(sidecar) }),
        ..AgentOsConfig::default()
    };
    AgentOs::create(config).await.unwrap()
}

async fn session(os: &AgentOs) -> Session {
    let session = os.create_session("scripted", CreateSessionOptions::default()).await.unwrap();
    let params = json!({ "configId": "permission", "value": "never" });
    os.raw_send(&session.session_id, "session/set_config_option", params).await.unwrap();
    session
}

async fn all(os: &AgentOs, id: &str) -> Vec<SessionEvent> {
    os.get_session_events(id, Default::default()).await.unwrap()
}

fn count(events: &[SessionEvent], kind: &str) -> usize {
    events.iter().filter(|event| event.kind == kind).count()
}

#[track_caller]
fn without_a_gap(events: &[SessionEvent]) {
    let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>());
}

#[test]
fn a_sidecar_that_is_killed_in_a_turn_loses_no_event_and_doubles_none() {
    watched(async || {
        let scratch = tempfile::tempdir().unwrap();
        for place in places(scratch.path()) {
            let sidecar = Sidecar::start().await;
            let os = kept(&sidecar, &place).await;
            let session = session(&os).await;
            let id = session.session_id.clone();
            session.prompt("the first").await.unwrap();
            let mut events = session.events(None).await.unwrap();
            let mut seen = Vec::new();
            let turn = {
                let session = session.clone();
                let line = "```sh\ni=0; while :; do i=$((i+1)); echo line $i; done\n```";
                tokio::spawn(async move { session.prompt(line).await })
            };
            // Far into the second turn, while it talks.
            while seen.iter().filter(|event: &&SessionEvent| event.method == "session/update").count() < 100 {
                seen.push(events.next().await.unwrap().unwrap());
            }
            kill_sidecar(&sidecar).await;
            assert!(turn.await.unwrap().is_err());
            while let Some(Ok(event)) = events.next().await {
                seen.push(event);
            }

            let sidecar = Sidecar::start().await;
            let os = kept(&sidecar, &place).await;
            let listed = os.list_sessions().await.unwrap();
            assert_eq!((listed.len(), listed[0].status.as_str()), (1, "suspended"));
            assert_eq!(listed[0].session_id, id);
            let stored = all(&os, &id).await;
            without_a_gap(&stored);
            assert_eq!(stored[..seen.len()], seen[..], "what was shown was stored");
            assert_eq!((count(&stored, "turn.started"), count(&stored, "turn.completed")), (2, 2));
            let end = stored.last().unwrap();
            assert_eq!((end.kind.as_str(), &end.params["status"]), ("turn.completed", &json!("failed")));
            assert_eq!(end.params["error"]["code"], "agentos.interrupted");
            let open = count(&stored, "item.started") - count(&stored, "item.completed");
            assert_eq!(open, 0, "what was open is closed");
            let refused = os.prompt(&id, "x").await.unwrap_err();
            assert!(refused.to_string().contains("resume"), "{refused}");

            // From where a reader was, it goes on.
            let mut live = os.on_session_event(&id, Some(seen.len() as u64)).await.unwrap();
            let session = os.resume_session(&id).await.unwrap();
            assert!(session.init.agent_session_id.starts_with("scripted-"));
            assert_eq!(session.prompt("scenario:text").await.unwrap().text, "hello from agent");
            let now = all(&os, &id).await;
            without_a_gap(&now);
            assert_eq!(now[..stored.len()], stored[..]);
            for event in &now[seen.len()..] {
                assert_eq!(live.next().await.unwrap().unwrap(), *event);
            }
            let resumed = now.iter().rfind(|event| event.kind == "session.started").unwrap();
            assert_eq!(resumed.params["resumed"], json!(true));
            assert_eq!(count(&now, "turn.completed"), 3);

            // A machine that is disposed of suspends its sessions; those that were closed stay closed.
            os.dispose().await.unwrap();
            let os = kept(&sidecar, &place).await;
            assert_eq!(os.list_sessions().await.unwrap()[0].status, "suspended");
            os.resume_session(&id).await.unwrap().close().await.unwrap();
            assert!(os.list_sessions().await.unwrap().is_empty());
            without_a_gap(&all(&os, &id).await);
            os.destroy_session(&id).await.unwrap();
            os.dispose().await.unwrap();
            let os = kept(&sidecar, &place).await;
            let gone = os.resume_session(&id).await.unwrap_err();
            assert!(matches!(gone, Error::SessionNotFound { .. }), "{gone:?}");
            os.dispose().await.unwrap();
        }
    });
}

/// An agent that remembers nothing, cannot go on with a session, and repeats what it was prompted with.
const FORGETFUL: &str = r#"
answer() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"; }
while read -r line; do
    id=${line#*'"id":'}
    id=${id%%,*}
    case $line in
    *'"method":"initialize"'*) answer '{"protocolVersion":1}' ;;
    *'"method":"session/new"'*) answer '{"sessionId":"s"}' ;;
    *'"method":"session/prompt"'*)
        printf '%s\n' "$line" >> /tmp/prompts
        update='{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"noted"}}'
        printf '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","update":%s}}\n' "$update"
        answer '{"stopReason":"end_turn"}' ;;
    esac
done
"#;

#[test]
fn an_agent_that_cannot_go_on_is_told_what_was_said_before() {
    SIDECAR.test(async |os| {
        os.register_agent(AgentConfig {
            id: "forgetful".into(),
            acp_adapter: "sh".into(),
            command: Some("sh".into()),
            args: vec!["-c".into(), FORGETFUL.into()],
            ..AgentConfig::default()
        })
        .await
        .unwrap();
        let session = os.create_session("forgetful", CreateSessionOptions::default()).await.unwrap();
        assert_eq!(session.prompt("my name is Ada").await.unwrap().text, "noted");
        session.close().await.unwrap();
        assert!(session.prompt("x").await.is_err());
        let session = os.resume_session(&session.session_id).await.unwrap();
        session.prompt("what is my name?").await.unwrap();
        session.prompt("and now?").await.unwrap();
        let prompts = String::from_utf8(os.read_file("/tmp/prompts").await.unwrap()).unwrap();
        let prompts: Vec<&str> = prompts.lines().collect();
        assert_eq!(prompts.len(), 3);
        assert!(
            prompts[1].contains("User: my name is Ada") && prompts[1].contains("Agent: noted"),
            "{prompts:?}"
        );
        assert!(prompts[1].contains("what is my name?"));
        assert!(!prompts[2].contains("Ada"), "it is told once");
        let events = all(os, &session.session_id).await;
        without_a_gap(&events);
        assert_eq!(count(&events, "turn.completed"), 3);
        session.destroy().await.unwrap();
    });
}

#[test]
fn an_agent_that_dies_is_started_anew_and_its_session_goes_on() {
    SIDECAR.test(async |os| {
        let session = session(os).await;
        let first = session.init.pid;
        os.kill_process(first).await.unwrap();
        eventually("it is there again", async || {
            os.describe_session(&session.session_id).await.is_ok_and(|now| now.pid != first)
        })
        .await;
        assert_eq!(session.prompt("scenario:text").await.unwrap().text, "hello from agent");
        session.close().await.unwrap();
        eventually("nothing is left", async || live_processes(os).await.is_empty()).await;
    });
}
