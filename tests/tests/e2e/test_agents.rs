//! Agents that are missing or misbehave: the error says what happened, and nothing is left.
//! An agent that never answers is tested in `crates/acp`, where time can be turned.

use agentos::{AgentConfig, AgentOs, CreateSessionOptions, Error};
use agentos_tests::{Sidecar, eventually, live_processes};

static SIDECAR: Sidecar = Sidecar::new();

/// An agent that is this script.
async fn agent(os: &AgentOs, script: &str) -> Error {
    os.register_agent(AgentConfig {
        id: "bad".into(),
        acp_adapter: "sh".into(),
        command: Some("sh".into()),
        args: vec!["-c".into(), script.into()],
        ..AgentConfig::default()
    })
    .await
    .unwrap();
    let error = os.create_session("bad", CreateSessionOptions::default()).await.map(|_| ()).unwrap_err();
    eventually("nothing is left of it", async || live_processes(os).await.is_empty()).await;
    assert!(os.list_sessions().await.unwrap().is_empty(), "{script}");
    error
}

#[test]
fn bundled_agents_are_listed_and_unknown_ones_refused() {
    SIDECAR.test(async |os| {
        let agents = os.list_agents().await.unwrap();
        let of = |id: &str| agents.iter().find(|a| a.id == id).unwrap_or_else(|| panic!("{id}: {agents:?}"));
        assert!(of("scripted").installed);
        for id in ["pi", "pi-cli", "opencode", "claude", "codex"] {
            assert!(!of(id).acp_adapter.is_empty());
        }
        let refused =
            os.create_session("nobody", CreateSessionOptions::default()).await.map(|_| ()).unwrap_err();
        assert!(matches!(&refused, Error::AgentNotFound { agent } if agent == "nobody"), "{refused:?}");
    });
}

#[test]
fn an_agent_that_dies_at_once_leaves_its_status_and_last_words() {
    SIDECAR.test(async |os| {
        match agent(os, "echo oops >&2; exit 3").await {
            Error::Agent { failure, message } => {
                assert_eq!(failure.exit_code, Some(3), "{message}");
                assert!(failure.last_stderr.contains("oops"), "{failure:?}");
            }
            other => panic!("{other:?}"),
        }
        match agent(os, "echo killed >&2; kill -KILL $$").await {
            Error::Agent { failure, .. } => {
                assert_eq!(failure.signal.as_deref(), Some("SIGKILL"), "{failure:?}");
                assert!(failure.last_stderr.contains("killed"));
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn an_agent_that_talks_nonsense_is_ended() {
    SIDECAR.test(async |os| {
        for script in [
            "while :; do echo this is not JSON; done",
            "head -c 1000000 /dev/urandom; echo last >&2; exit 4",
            "echo '{}'; exit 4",
        ] {
            let error = agent(os, script).await;
            assert!(matches!(error, Error::Agent { .. }), "{script}: {error:?}");
        }
    });
}

#[test]
fn an_agent_that_floods_without_an_end_of_line_is_ended() {
    SIDECAR.test(async |os| {
        let error = agent(os, "yes | tr -d '\\n'").await;
        assert!(matches!(error, Error::Agent { .. } | Error::Limit { .. }), "{error:?}");
        let error = agent(os, "yes | tr -d '\\n' >&2 & sleep 1; exit 5").await;
        match error {
            Error::Agent { failure, .. } => {
                assert_eq!(failure.exit_code, Some(5));
                assert!(failure.last_stderr.len() < 1 << 20);
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn an_agent_that_is_no_program_is_an_error_that_names_it() {
    SIDECAR.test(async |os| {
        let config = AgentConfig {
            id: "missing".into(),
            acp_adapter: "no-such-adapter".into(),
            ..AgentConfig::default()
        };
        os.register_agent(config).await.unwrap();
        assert!(os.list_agents().await.unwrap().iter().any(|a| a.id == "missing" && !a.installed));
        let error =
            os.create_session("missing", CreateSessionOptions::default()).await.map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("no-such-adapter"), "{error:?}");
    });
}

#[test]
fn an_agent_that_dies_in_a_turn_ends_the_turn_with_its_last_words() {
    SIDECAR.test(async |os| {
        let session = os.create_session("scripted", CreateSessionOptions::default()).await.unwrap();
        let mut requests = session.permission_requests().await.unwrap();
        let (turn, ()) = tokio::join!(session.prompt("```sh\ntrue\n```"), async {
            requests.next().await.unwrap().unwrap();
            os.kill_process(session.init.pid).await.unwrap();
        });
        match turn.unwrap_err() {
            Error::Agent { failure, .. } => {
                assert_eq!(failure.signal.as_deref(), Some("SIGKILL"), "{failure:?}")
            }
            other => panic!("{other:?}"),
        }
        eventually("nothing is left", async || live_processes(os).await.is_empty()).await;
        session.destroy().await.unwrap();
    });
}
