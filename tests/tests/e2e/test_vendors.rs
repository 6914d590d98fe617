//! Agents in a machine that speak a vendor's protocol instead of ACP: scripts that play parts of Claude Code and of Codex. Their
//! sessions have the same events and methods as all others. What the protocols mean in full is tested in `crates/driver`.

use agentos::{
    AgentConfig, AgentOs, AgentOsConfig, CreateSessionOptions, Error, McpServerConfig, PermissionReply,
    PersistenceConfig, PromptOptions, ResumeSessionOptions, Session, SessionEvent,
};
use agentos_tests::{Sidecar, eventually, live_processes};
use serde_json::{Value, json};

static SIDECAR: Sidecar = Sidecar::new();

/// Says a line of JSON in which `'` stands for `"`.
const SAY: &str = r#"
say() { printf '%s\n' "$1" | tr "'" '"'; }
get() { printf '%s\n' "$line" | jq -rc "$1 // empty"; }
printf '%s\n' "$@" > /tmp/arguments
env > /tmp/environment
"#;

/// Claude Code, which asks before a tool, and waits to be interrupted.
const CLAUDE: &str = r#"
result() {
    say "{'type':'result','subtype':'$1','is_error':$2,'session_id':'S1','stop_reason':'end_turn','terminal_reason':'$3','num_turns':1,'usage':{'input_tokens':12,'output_tokens':9}}"
}
says() {
    say "{'type':'assistant','session_id':'S1','message':{'id':'$1','role':'assistant','content':[{'type':'text','text':'$2'}],'usage':{'input_tokens':12,'output_tokens':1}}}"
}
case " $* " in *--resume=*) if [ -e /tmp/forgotten ]; then echo 'No conversation found' >&2; exit 1; fi ;; esac
while read -r line; do
    printf '%s\n' "$line" >> /tmp/heard
    case $(get '.type + " " + (.request.subtype // "")') in
    'control_request interrupt')
        say "{'type':'control_response','response':{'subtype':'success','request_id':'$(get .request_id)','response':{'still_queued':[]}}}"
        result error_during_execution true aborted_streaming ;;
    'control_request '*)
        say "{'type':'control_response','response':{'subtype':'success','request_id':'$(get .request_id)','response':{'models':[],'mode':'$(get .request.mode)'}}}" ;;
    'user '*)
        say "{'type':'system','subtype':'init','session_id':'S1','model':'m','cwd':'/workspace','tools':['Bash'],'permissionMode':'default'}"
        case $(get '.message.content[0].text') in
        *tool*)
            say "{'type':'assistant','session_id':'S1','message':{'id':'m1','role':'assistant','content':[{'type':'tool_use','id':'t1','name':'Bash','input':{'command':'echo hi'}}]}}"
            say "{'type':'control_request','request_id':'q1','request':{'subtype':'can_use_tool','tool_name':'Bash','tool_use_id':'t1','input':{'command':'echo hi'}}}" ;;
        *wait*) says m2 working ;;
        *) says m3 'hello from claude'; result success false completed ;;
        esac ;;
    'control_response '*)
        if [ "$(get .response.response.behavior)" = allow ]; then
            say "{'type':'user','session_id':'S1','message':{'role':'user','content':[{'type':'tool_result','tool_use_id':'t1','content':'hi','is_error':false}]}}"
            says m4 done
        else
            say "{'type':'user','session_id':'S1','message':{'role':'user','content':[{'type':'tool_result','tool_use_id':'t1','content':'refused','is_error':true}]}}"
            says m4 refused
        fi
        result success false completed ;;
    esac
done
"#;

/// Codex, the same.
const CODEX: &str = r#"
item() { say "{'method':'item/$1','params':{'threadId':'T1','turnId':'$turn','item':$2}}"; }
says() {
    item started "{'type':'agentMessage','id':'$1','text':''}"
    say "{'method':'item/agentMessage/delta','params':{'threadId':'T1','turnId':'$turn','itemId':'$1','delta':'$2'}}"
    item completed "{'type':'agentMessage','id':'$1','text':'$2'}"
}
ends() { say "{'method':'turn/completed','params':{'threadId':'T1','turn':{'id':'$turn','status':'$1','items':[]}}}"; }
run() { printf '%s' "{'type':'commandExecution','id':'$turn-c','command':'echo hi','cwd':'/workspace','status':'$1','aggregatedOutput':$2,'exitCode':$3}"; }
turns=0
while read -r line; do
    case $(get .method) in
    initialize) say "{'id':$(get .id),'result':{'userAgent':'x'}}" ;;
    thread/*)
        printf '%s\n' "$line" > /tmp/thread
        say "{'id':$(get .id),'result':{'thread':{'id':'T1'},'model':'m'}}" ;;
    turn/start)
        turns=$((turns + 1)) turn=U$turns
        say "{'id':$(get .id),'result':{'turn':{'id':'$turn','status':'inProgress','items':[]}}}"
        say "{'method':'turn/started','params':{'threadId':'T1','turn':{'id':'$turn','status':'inProgress'}}}"
        case $(get '.params.input[0].text') in
        *tool*)
            item started "$(run inProgress null null)"
            say "{'method':'item/commandExecution/requestApproval','id':0,'params':{'threadId':'T1','turnId':'$turn','itemId':'$turn-c','command':'echo hi','cwd':'/workspace','availableDecisions':['accept','decline']}}" ;;
        *wait*) item started "{'type':'agentMessage','id':'$turn-w','text':''}" ;;
        *) says "$turn-m" 'hello from codex'; ends completed ;;
        esac ;;
    turn/interrupt)
        say "{'id':$(get .id),'result':{}}"
        ends interrupted ;;
    '')
        if [ "$(get .result.decision)" = accept ]; then
            item completed "$(run completed "'hi'" 0)"
            says "$turn-m" done
        else
            item completed "$(run declined null null)"
            says "$turn-m" refused
        fi
        ends completed ;;
    esac
done
"#;

/// The backend, the vendor's script, and what it says.
const VENDORS: [(&str, &str, &str); 2] =
    [("claude-agent-sdk", CLAUDE, "hello from claude"), ("openai-app-server", CODEX, "hello from codex")];

async fn register(os: &AgentOs, backend: &str, script: &str) {
    os.write_file("/opt/vendor", format!("{SAY}{script}")).await.unwrap();
    let agent = AgentConfig {
        id: "vendor".into(),
        acp_adapter: "vendor".into(),
        backend: Some(backend.into()),
        command: Some("/bin/sh".into()),
        args: vec!["/opt/vendor".into()],
        env: [("OF_AGENT".to_owned(), "1".to_owned())].into(),
        ..AgentConfig::default()
    };
    os.register_agent(agent).await.unwrap();
}

async fn begin(os: &AgentOs, backend: &str, script: &str) -> Session {
    register(os, backend, script).await;
    let options = CreateSessionOptions {
        mcp_servers: vec![McpServerConfig::local("/bin/notes", ["--stdio"], [("K", "v")])],
        additional_instructions: Some("Be brief.".into()),
        ..Default::default()
    };
    os.create_session("vendor", options).await.unwrap()
}

async fn all(os: &AgentOs, session: &Session) -> Vec<SessionEvent> {
    os.get_session_events(&session.session_id, Default::default()).await.unwrap()
}

#[test]
fn members_of_requests_of_acp_have_no_place_in_other_protocols() {
    SIDECAR.test(async |os| {
        let members = json!({"_meta": {"a": 1}}).as_object().cloned().unwrap();
        for (backend, script, _) in VENDORS {
            let session = begin(os, backend, script).await;
            let refused = |error: Error, option: &str| {
                let Error::InvalidRequest { message } = error else { panic!("{error:?}") };
                assert!(message.starts_with(option) && message.contains("does not speak ACP"), "{message}");
            };
            let options = PromptOptions { params: members.clone() };
            refused(session.prompt_with("hi", options).await.unwrap_err(), "params: ");
            let options = CreateSessionOptions { meta: Some(members.clone()), ..Default::default() };
            refused(os.create_session("vendor", options).await.unwrap_err(), "meta: ");
            let options = ResumeSessionOptions { meta: Some(members.clone()), ..Default::default() };
            refused(os.resume_session_with(&session.session_id, options).await.unwrap_err(), "meta: ");
            let noted = os.raw_notify(&session.session_id, "_x/y", json!({})).await;
            assert!(matches!(noted, Err(Error::Unsupported { .. })), "{noted:?}");
            session.prompt_with("hi", PromptOptions::default()).await.unwrap();
            session.destroy().await.unwrap();
        }
    });
}

#[test]
fn a_turn_has_the_events_of_every_agent_and_the_messages_of_its_vendor() {
    SIDECAR.test(async |os| {
        for (backend, script, text) in VENDORS {
            let session = begin(os, backend, script).await;
            assert!(session.init.pid > 0);
            let turn = session.prompt("hi").await.unwrap();
            assert_eq!((turn.text.as_str(), turn.stop_reason.as_str()), (text, "end_turn"), "{backend}");
            let events = all(os, &session).await;
            let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
            for kind in ["session.started", "turn.started", "item.completed", "turn.completed"] {
                assert_eq!(kinds.iter().filter(|of| **of == kind).count(), 1, "{backend} {kind}: {kinds:?}");
            }
            let started = events.iter().find(|event| event.kind == "session.started").unwrap();
            assert_eq!(started.kernel_payload()["transport"], backend);
            // Beside that, what the vendor said, as it said it.
            let own: Vec<&str> = events
                .iter()
                .map(|event| event.method.as_str())
                .filter(|method| !method.starts_with("_agentos/"))
                .collect();
            let expected: &[&str] = match backend {
                "claude-agent-sdk" => &["session/prompt", "system", "assistant", "result"],
                _ => &[
                    "session/prompt",
                    "turn/started",
                    "item/started",
                    "item/agentMessage/delta",
                    "item/completed",
                    "turn/completed",
                ],
            };
            assert_eq!(own, expected, "{backend}");
            let said =
                events.iter().find(|event| ["assistant", "item/completed"].contains(&event.method.as_str()));
            assert!(said.unwrap().params.to_string().contains(text));
            // What the agent is started with.
            let arguments = os.read_file("/tmp/arguments").await.unwrap();
            let arguments = String::from_utf8_lossy(&arguments).into_owned();
            let environment = String::from_utf8(os.read_file("/tmp/environment").await.unwrap()).unwrap();
            assert!(
                environment.contains("OF_AGENT=1") && !environment.contains("AGENT_DRIVER_"),
                "{environment}"
            );
            let told = match backend {
                "claude-agent-sdk" => arguments,
                _ => {
                    assert_eq!(arguments, "app-server\n");
                    let state =
                        environment.lines().find_map(|line| line.strip_prefix("CODEX_HOME=")).unwrap();
                    assert!(os.exists(state).await.unwrap(), "{state}");
                    String::from_utf8(os.read_file("/tmp/thread").await.unwrap()).unwrap()
                }
            };
            assert!(
                told.contains("Be brief.") && told.contains("/bin/notes") && told.contains("--stdio"),
                "{told}"
            );
            session.close().await.unwrap();
        }
    });
}

#[test]
fn tools_are_asked_for_and_turns_are_interrupted() {
    SIDECAR.test(async |os| {
        for (backend, script, text) in VENDORS {
            let session = begin(os, backend, script).await;
            let mut requests = session.permission_requests().await.unwrap();
            for (reply, said) in [(PermissionReply::Once, "done"), (PermissionReply::Reject, "refused")] {
                let (turn, ()) = tokio::join!(session.prompt("the tool"), async {
                    let asked = requests.next().await.unwrap().unwrap();
                    assert!(asked.params.to_string().contains("echo hi"), "{asked:?}");
                    session.respond_permission(&asked.permission_id, reply).await.unwrap();
                });
                assert_eq!(turn.unwrap().text, said, "{backend}");
            }
            let items = all(os, &session).await;
            let tools = items.iter().filter(|event| event.kind == "item.completed");
            let statuses: Vec<Value> = tools
                .map(|event| event.kernel_payload()["item"].clone())
                .filter(|item| item["kind"] != "message")
                .map(|item| item["status"].clone())
                .collect();
            assert_eq!(statuses.len(), 2, "{backend}: {statuses:?}");
            assert_eq!(statuses[0], "completed", "{backend}");

            let mut events = session.events(None).await.unwrap();
            let last = events.last_seq();
            let (turn, ()) = tokio::join!(session.prompt("wait"), async {
                loop {
                    let event = events.next().await.unwrap().unwrap();
                    if event.seq > last && event.kind == "item.started" {
                        break;
                    }
                }
                session.cancel().await.unwrap();
            });
            assert_eq!(turn.unwrap().stop_reason, "cancelled", "{backend}");
            assert_eq!(session.prompt("hi").await.unwrap().text, text);
            session.destroy().await.unwrap();
            eventually("nothing is left", async || live_processes(os).await.is_empty()).await;
        }
    });
}

#[test]
fn what_a_backend_does_not_have_is_a_clear_error() {
    SIDECAR.test(async |os| {
        let unknown = AgentConfig {
            id: "x".into(),
            acp_adapter: "x".into(),
            backend: Some("nonsense".into()),
            ..AgentConfig::default()
        };
        let refused = os.register_agent(unknown).await.unwrap_err();
        assert!(
            refused.to_string().contains("acp-fallback, claude-agent-sdk and openai-app-server"),
            "{refused}"
        );
        for (backend, script, text) in VENDORS {
            let session = begin(os, backend, script).await;
            let id = &session.session_id;
            let refused = os.raw_send(id, "anything", json!({})).await.unwrap_err();
            assert!(matches!(refused, Error::Unsupported { .. }), "{backend}: {refused:?}");
            os.set_session_model(id, "other").await.unwrap();
            if backend == "claude-agent-sdk" {
                os.set_session_mode(id, "plan").await.unwrap();
            }
            // It is killed in the middle of its session, and goes on.
            let pid = i32::try_from(session.init.pid).unwrap();
            os.kill_process(session.init.pid).await.unwrap();
            let anew = async || {
                os.resume_session(id).await.is_ok_and(|now| now.init.pid != 0 && now.init.pid as i32 != pid)
            };
            eventually("it is started anew", anew).await;
            assert_eq!(session.prompt("hi").await.unwrap().text, text, "{backend}");
            session.close().await.unwrap();
        }
    });
}

#[test]
fn an_agent_that_has_forgotten_its_session_is_told_what_was_said() {
    let kept = tempfile::tempdir().unwrap();
    let path = kept.path().join("state").to_str().unwrap().to_owned();
    let persistence = Some(PersistenceConfig::Directory { path });
    SIDECAR.test_with(AgentOsConfig { persistence, ..AgentOsConfig::default() }, async |os| {
        let (backend, script, text) = VENDORS[0];
        let session = begin(os, backend, script).await;
        session.prompt("remember the milk").await.unwrap();
        session.close().await.unwrap();
        // It goes on with its own session where it has one.
        let session = os.resume_session(&session.session_id).await.unwrap();
        assert_eq!(session.prompt("hi").await.unwrap().text, text);
        let arguments = String::from_utf8(os.read_file("/tmp/arguments").await.unwrap()).unwrap();
        assert!(arguments.contains("--resume=S1"), "{arguments}");
        session.close().await.unwrap();
        os.write_file("/tmp/forgotten", "").await.unwrap();
        os.write_file("/tmp/heard", "").await.unwrap();
        let session = os.resume_session(&session.session_id).await.unwrap();
        for _ in 0..2 {
            assert_eq!(session.prompt("hi").await.unwrap().text, text);
        }
        let heard = String::from_utf8(os.read_file("/tmp/heard").await.unwrap()).unwrap();
        assert_eq!(heard.matches("remember the milk").count(), 1, "{heard}");
        session.close().await.unwrap();
    });
}
