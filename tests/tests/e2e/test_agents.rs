//! Agents that are missing or misbehave: the error says what happened, and nothing is left.
//! What takes minutes, such as a permission that nobody answers, is tested in `crates/driver`, where time can be turned.

use std::time::{Duration, Instant};

use agentos::{AgentConfig, AgentFailure, AgentOs, CreateSessionOptions, Error, Session};
use agentos_tests::{Sidecar, eventually, live_processes};

static SIDECAR: Sidecar = Sidecar::new();

/// Tells the VM of an agent `bad` that is this script.
async fn register(os: &AgentOs, script: &str) {
    os.register_agent(AgentConfig {
        id: "bad".into(),
        acp_adapter: "sh".into(),
        command: Some("sh".into()),
        args: vec!["-c".into(), script.into()],
        ..AgentConfig::default()
    })
    .await
    .unwrap();
}

/// How a session with an agent fails that is this script.
async fn agent(os: &AgentOs, script: &str) -> Error {
    register(os, script).await;
    let error = os.create_session("bad", CreateSessionOptions::default()).await.map(|_| ()).unwrap_err();
    eventually("nothing is left of it", async || live_processes(os).await.is_empty()).await;
    assert!(os.list_sessions().await.unwrap().is_empty(), "{script}");
    error
}

/// A session with an agent that answers as it should until a prompt comes: then it runs `prompt`, and after the end of
/// its input `end`.
async fn speaking(os: &AgentOs, prompt: &str, end: &str) -> Session {
    let script = format!(
        r#"
answer() {{ echo '{{"jsonrpc":"2.0","id":'"$id"',"result":'"$1"'}}'; }}
update() {{ echo '{{"jsonrpc":"2.0","method":"session/update","params":{{"sessionId":"s","update":'"$1"'}}}}'; }}
while read -r line; do
    id=${{line#*'"id":'}}
    id=${{id%%,*}}
    case $line in
    *'"method":"initialize"'*) answer '{{"protocolVersion":1}}' ;;
    *'"method":"session/new"'*) answer '{{"sessionId":"s"}}' ;;
    *'"method":"session/prompt"'*) {prompt} ;;
    esac
done
{end}
"#
    );
    register(os, &script).await;
    os.create_session("bad", CreateSessionOptions::default()).await.unwrap()
}

/// The failure of an agent, and what is said of it.
fn failure<T: std::fmt::Debug>(outcome: Result<T, Error>) -> (String, AgentFailure) {
    match outcome {
        Err(Error::Agent { message, failure }) => (message, *failure),
        other => panic!("{other:?}"),
    }
}

#[test]
fn bundled_agents_are_listed_and_unknown_ones_refused() {
    SIDECAR.test(async |os| {
        let agents = os.list_agents().await.unwrap();
        let of = |id: &str| agents.iter().find(|a| a.id == id).unwrap_or_else(|| panic!("{id}: {agents:?}"));
        assert!(of("scripted").installed && of("coder").installed);
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
        for script in ["head -c 1000000 /dev/urandom; echo last >&2; exit 4", "echo '{}'; exit 4"] {
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
        // It is started anew, and the session goes on.
        assert_eq!(session.prompt("scenario:text").await.unwrap().text, "hello from agent");
        session.destroy().await.unwrap();
        eventually("nothing is left", async || live_processes(os).await.is_empty()).await;
    });
}

/// Lines that an agent may send for ever, and what is said of each.
const FLOODS: [(&str, &str); 6] = [
    ("this is not JSON", "20 lines in a row that are not JSON"),
    (r#"{"level":"info","msg":"ready"}"#, "20 lines in a row that are no JSON-RPC messages"),
    (r#"{"jsonrpc":"2.0","method":"_x/y"}"#, "the last a notification that means nothing here"),
    (r#"{"jsonrpc":"2.0","id":99,"result":{}}"#, "the last an answer to no open request"),
    (r#"{"jsonrpc":"2.0","id":1,"method":"_x/y"}"#, "the last a request that was refused"),
    ("", "the last an empty line"),
];

#[test]
fn an_agent_that_floods_is_ended_soon_and_the_error_says_with_what() {
    SIDECAR.test(async |os| {
        for (line, words) in FLOODS {
            let begun = Instant::now();
            let error = agent(os, &format!("echo begun >&2; yes '{line}'")).await;
            let (message, failure) = failure(Err::<(), _>(error));
            assert!(message.contains(words), "{line}: {message}");
            assert!(failure.last_stderr.contains("begun"), "{line}: {failure:?}");
            assert!(failure.signal.is_some() || failure.exit_code.is_some(), "{line}: {failure:?}");
            assert!(begun.elapsed() < Duration::from_secs(10), "{line}: {:?}", begun.elapsed());
        }
    });
}

#[test]
fn an_agent_that_floods_in_a_turn_ends_the_turn() {
    SIDECAR.test(async |os| {
        for (line, words) in [FLOODS[1], FLOODS[2]] {
            let session = speaking(os, &format!("echo begun >&2; yes '{line}'"), "").await;
            let begun = Instant::now();
            let (message, failure) = failure(session.prompt("x").await);
            assert!(message.contains(words), "{message}");
            assert!(failure.last_stderr.contains("begun"), "{failure:?}");
            // Killed, or ended before that by the pipe that nobody reads.
            let ended = failure.signal.as_deref() == Some("SIGKILL") || failure.exit_code == Some(141);
            assert!(ended, "{failure:?}");
            assert!(begun.elapsed() < Duration::from_secs(10), "{line}: {:?}", begun.elapsed());
            session.destroy().await.unwrap();
            eventually("nothing is left", async || live_processes(os).await.is_empty()).await;
        }
    });
}

#[test]
fn an_agent_that_never_answers_is_ended_after_thirty_seconds() {
    SIDECAR.test(async |os| {
        let begun = Instant::now();
        let error = agent(os, "echo waiting for a model >&2; sleep 1000").await;
        let (message, failure) = failure(Err::<(), _>(error));
        assert!(message.contains("initialize within 30s"), "{message}");
        assert!(failure.last_stderr.contains("waiting for a model"), "{failure:?}");
        assert_eq!(failure.signal.as_deref(), Some("SIGKILL"), "{failure:?}");
        assert!((30..40).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    });
}

#[test]
fn an_agent_that_exits_in_a_turn_leaves_its_status_and_last_words() {
    SIDECAR.test(async |os| {
        let session = speaking(os, "echo no model >&2; exit 7", "").await;
        let (message, failure) = failure(session.prompt("x").await);
        assert_eq!(failure.exit_code, Some(7), "{message}");
        assert!(message.contains("no model") && failure.last_stderr.contains("no model"), "{message}");
        session.destroy().await.unwrap();
    });
}

#[test]
fn an_agent_that_closes_its_output_and_lives_on_is_ended() {
    SIDECAR.test(async |os| {
        let session = speaking(os, "echo bye >&2; exec >&-; sleep 1000", "").await;
        let begun = Instant::now();
        let (message, failure) = failure(session.prompt("x").await);
        assert!(message.contains("closed its output"), "{message}");
        assert!(failure.last_stderr.contains("bye"), "{failure:?}");
        assert!(begun.elapsed() < Duration::from_secs(10));
        session.destroy().await.unwrap();
        eventually("nothing is left", async || live_processes(os).await.is_empty()).await;
    });
}

#[test]
fn an_agent_that_does_not_hear_a_cancel_is_ended_and_its_turn_counts_as_cancelled() {
    SIDECAR.test(async |os| {
        let session = speaking(os, "sleep 1000", "").await;
        let begun = Instant::now();
        let (turn, ()) = tokio::join!(session.prompt("x"), async {
            eventually("it runs", async || live_processes(os).await.len() > 1).await;
            session.cancel().await.unwrap();
        });
        assert_eq!(turn.unwrap().stop_reason, "cancelled");
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        session.destroy().await.unwrap();
        eventually("nothing is left", async || live_processes(os).await.is_empty()).await;
    });
}

#[test]
fn an_agent_that_ignores_the_end_of_its_input_and_sigterm_is_killed() {
    SIDECAR.test(async |os| {
        let done = r#"answer '{"stopReason":"end_turn"}'"#;
        let session = speaking(os, done, "trap '' TERM; while :; do sleep 1; done").await;
        assert_eq!(session.prompt("x").await.unwrap().stop_reason, "end_turn");
        let begun = Instant::now();
        session.destroy().await.unwrap();
        // 1.5 s for the end of its input, 3 s for SIGTERM.
        assert!((4..15).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
        assert!(live_processes(os).await.is_empty());
    });
}

#[test]
fn a_flood_on_stderr_and_values_that_nobody_can_read_hurt_no_turn() {
    SIDECAR.test(async |os| {
        let chunk = r#"{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"a\ud83d"},"_meta":{"x":1e400}}"#;
        let prompt = format!(
            "head -c 1000000 /dev/zero | tr '\\0' e >&2; printf '\\377' >&2; update '{chunk}'; \
             answer '{{\"stopReason\":\"end_turn\"}}'"
        );
        let session = speaking(os, &prompt, "").await;
        for _ in 0..2 {
            let turn = session.prompt("x").await.unwrap();
            assert_eq!((turn.stop_reason.as_str(), turn.text.as_str()), ("end_turn", "a\u{fffd}"));
        }
        let events = os.get_session_events(&session.session_id, Default::default()).await.unwrap();
        assert_eq!(events.iter().filter(|e| e.params["update"]["_meta"]["x"].is_null()).count(), events.len());
        let mut live = session.events(None).await.unwrap();
        for event in &events {
            assert_eq!(live.next().await.unwrap().unwrap(), *event);
        }
        session.destroy().await.unwrap();
    });
}
