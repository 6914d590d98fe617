//! The bundled agent `coder`, through the public client: a model server of the test is asked through the host's egress. What
//! endpoints do wrong is tested in the agent's own tests.

use std::process::Stdio;

use agentos::{
    AgentOs, AgentOsConfig, CreateSessionOptions, Error, ModelAccess, ModelApi, MountConfig, PermissionReply,
    Session, SessionEvent,
};
use agentos_tests::model::{Model, Reply};
use agentos_tests::{Sidecar, cli, eventually, live_processes, sh, watched};
use serde_json::{Value, json};

static SIDECAR: Sidecar = Sidecar::new();

const KEY: &str = "sk-of-the-host";

/// A machine that may ask the model of the test.
fn config(model: &Model, api: ModelApi) -> AgentOsConfig {
    let mut config = AgentOsConfig::default();
    ModelAccess::new(api, "mock").base_url(model.url()).key(KEY).apply(&mut config).unwrap();
    config
}

async fn session(os: &AgentOs, mode: &str) -> Session {
    let options = CreateSessionOptions { mode: Some(mode.to_owned()), ..Default::default() };
    os.create_session("coder", options).await.unwrap()
}

fn prompt(script: &Value) -> String {
    format!("Do it. MOCK{script}")
}

fn bash(command: &str) -> Value {
    json!({"tool": "bash", "input": {"command": command}})
}

fn update(event: &SessionEvent) -> &Value {
    event.params.get("update").unwrap_or(&Value::Null)
}

/// The outputs of all calls of a session, in order.
async fn outputs(os: &AgentOs, session: &Session) -> Vec<String> {
    let events = os.get_session_events(&session.session_id, Default::default()).await.unwrap();
    let outputs = events.iter().filter_map(|event| update(event)["rawOutput"]["output"].as_str());
    outputs.map(str::to_owned).collect()
}

#[test]
fn a_test_that_fails_in_a_mounted_repository_is_repaired() {
    for (api, header, value) in [
        (ModelApi::Anthropic, "x-api-key", KEY.to_owned()),
        (ModelApi::OpenAiChat, "authorization", format!("Bearer {KEY}")),
        (ModelApi::OpenAiResponses, "authorization", format!("Bearer {KEY}")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("add.sh"), "echo $(($1 - $2))\n").unwrap();
        std::fs::write(folder.path().join("test.sh"), "[ \"$(sh add.sh 2 3)\" = 5 ] && echo passed\n")
            .unwrap();
        let model = Model::start();
        let mut config = config(&model, api);
        config.mounts.push(MountConfig::host_dir("/workspace/repo", folder.path().to_str().unwrap(), false));
        SIDECAR.test_with(config, async |os| {
            let options = CreateSessionOptions {
                cwd: Some("/workspace/repo".to_owned()),
                mode: Some("bypass".to_owned()),
                ..Default::default()
            };
            let session = os.create_session("coder", options).await.unwrap();
            let calls = json!([
                bash("sh test.sh"),
                {"tool": "grep", "input": {"pattern": "echo \\$", "glob": "*.sh"}},
                {"tool": "read", "input": {"path": "add.sh"}},
                {"tool": "edit", "input": {"path": "add.sh", "old_text": "$1 - $2", "new_text": "$1 + $2"}},
                bash("sh test.sh"),
                bash("env; cat /proc/*/environ"),
            ]);
            let text = "The sign was wrong; the test passes now.";
            let turn = session.prompt(prompt(&json!({"calls": calls, "text": text}))).await.unwrap();
            assert_eq!((turn.stop_reason.as_str(), turn.text.as_str()), ("end_turn", text));
            let outputs = outputs(os, &session).await;
            assert_eq!(outputs[0], "[exit status 1]");
            assert_eq!(outputs[1], "add.sh:1:echo $(($1 - $2))\n");
            assert_eq!(outputs[4], "passed\n");
            assert_eq!(std::fs::read_to_string(folder.path().join("add.sh")).unwrap(), "echo $(($1 + $2))\n");
            // The key is in the requests, and nowhere in the machine.
            let asked = model.asked();
            assert_eq!(asked.len(), 7);
            assert!(asked.iter().all(|asked| asked.header(header) == Some(value.as_str())), "{asked:?}");
            assert!(outputs[5].contains("AGENTOS_MODEL=mock") && !outputs[5].contains(KEY));
            session.close().await.unwrap();
        });
    }
}

#[test]
fn a_cancel_leaves_no_process_and_no_request() {
    let model = Model::start();
    SIDECAR.test_with(config(&model, ModelApi::Anthropic), async |os| {
        let session = session(os, "bypass").await;
        let agent = live_processes(os).await.len();
        for command in [
            "echo ready; sleep 1000",
            "echo ready; sleep 1000 & (sleep 1001; :) & wait",
            "trap '' TERM INT; echo ready; while :; do sleep 0.01; done",
        ] {
            let mut events = session.events(None).await.unwrap();
            let last = events.last_seq();
            let (turn, ()) = tokio::join!(session.prompt(prompt(&json!({"calls": [bash(command)]}))), async {
                loop {
                    let event = events.next().await.unwrap().unwrap();
                    let text = &update(&event)["content"][0]["content"]["text"];
                    if event.seq > last && text == "ready\n" {
                        break;
                    }
                }
                session.cancel().await.unwrap();
            });
            assert_eq!(turn.unwrap().stop_reason, "cancelled", "{command}");
            let left = async || live_processes(os).await.len() == agent;
            eventually(&format!("nothing is left of {command}"), left).await;
        }
        // While the model answers.
        let begun = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Once"}});
        model.reply(Reply::Hang(vec![begun.to_string()]));
        let mut events = session.events(None).await.unwrap();
        let last = events.last_seq();
        let (turn, ()) = tokio::join!(session.prompt("tell me"), async {
            loop {
                let event = events.next().await.unwrap().unwrap();
                if event.seq > last && update(&event)["sessionUpdate"] == "agent_message_chunk" {
                    break;
                }
            }
            session.cancel().await.unwrap();
        });
        assert_eq!(turn.unwrap().stop_reason, "cancelled");
        assert_eq!(session.prompt("still there").await.unwrap().text, "All done.");
        session.close().await.unwrap();
    });
}

#[test]
fn what_the_user_rejects_is_not_done() {
    let model = Model::start();
    SIDECAR.test_with(config(&model, ModelApi::Anthropic), async |os| {
        let session = session(os, "ask").await;
        let mut requests = session.permission_requests().await.unwrap();
        let write = json!({"tool": "write", "input": {"path": "made", "content": "x"}});
        for (reply, made) in [(PermissionReply::Reject, false), (PermissionReply::Once, true)] {
            let (turn, ()) = tokio::join!(session.prompt(prompt(&json!({"calls": [write]}))), async {
                let request = requests.next().await.unwrap().unwrap();
                session.respond_permission(&request.permission_id, reply).await.unwrap();
            });
            assert_eq!(turn.unwrap().stop_reason, "end_turn");
            assert_eq!(os.exists("/workspace/made").await.unwrap(), made);
        }
        session.close().await.unwrap();
    });
}

#[test]
fn a_machine_without_a_model_or_a_way_to_it_says_so() {
    SIDECAR.test(async |os| {
        let refused = os.create_session("coder", CreateSessionOptions::default()).await.map(drop);
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("AGENTOS_MODEL_API"), "{refused}");
    });
    let model = Model::start();
    let mut closed = config(&model, ModelApi::Anthropic);
    (closed.egress, closed.secrets, closed.loopback_exempt_ports) = (None, Default::default(), Vec::new());
    SIDECAR.test_with(closed, async |os| {
        let session = session(os, "ask").await;
        let failed = session.prompt("hi").await.unwrap_err();
        assert!(matches!(failed, Error::Agent { .. }), "{failed:?}");
        assert!(failed.to_string().contains("may not be reached (denied)"), "{failed}");
        session.close().await.unwrap();
    });
    assert!(model.asked().is_empty());
}

#[test]
fn a_session_is_kept_in_the_machine() {
    let model = Model::start();
    SIDECAR.test_with(config(&model, ModelApi::OpenAiChat), async |os| {
        let session = session(os, "bypass").await;
        session.prompt(prompt(&json!({"calls": [bash("echo one")], "text": "first"}))).await.unwrap();
        let agent = session.init.agent_session_id.clone();
        session.close().await.unwrap();
        let kept = sh(os, &format!("cat $HOME/.coder/sessions/{agent}.jsonl")).await.stdout;
        assert!(kept.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{kept}");
        assert!(kept.contains("echo one") && kept.contains("first") && !kept.contains(KEY));
    });
}

#[test]
fn run_takes_a_model_that_is_configured() {
    watched(async || {
        let model = Model::start();
        let folder = tempfile::tempdir().unwrap();
        let mount = format!("{}:/p", folder.path().display());
        let script = prompt(&json!({"calls": [bash("echo made > /p/f")], "text": "It is made."}));
        let args = ["run", "--mount", &mount, "--permission", "once", "--model", "mock", &script];
        let output = cli()
            .args(args)
            .env("OPENAI_BASE_URL", model.url())
            .env("OPENAI_API_KEY", KEY)
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let (seen, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && seen.contains("It is made."), "{seen}{said}");
        assert!(
            said.contains("agent coder with mock of") && said.contains("OPENAI_API_KEY is set"),
            "{said}"
        );
        assert_eq!(std::fs::read_to_string(folder.path().join("f")).unwrap(), "made\n");
        assert_eq!(model.asked()[0].header("authorization"), Some(format!("Bearer {KEY}").as_str()));
        let output = cli().args(["run", "hello"]).stdin(Stdio::null()).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("agent scripted, which has no model, as none is configured"), "{said}");
    });
}
