//! MCP servers of a session that are elsewhere: agents reach them through the host's egress, and nothing in the machine has their
//! headers. What servers do wrong on the wire is tested with the bridge, too.

use std::collections::BTreeMap;

use agentos::{
    AgentOs, AgentOsConfig, AgentOsSidecarConfig, CreateSessionOptions, Error, McpServerConfig, ModelAccess,
    ModelApi, PermissionMode, PermissionScope, Permissions, PersistenceConfig, ResumeSessionOptions, Session,
};
use agentos_tests::mcp::Mcp;
use agentos_tests::model::Model;
use agentos_tests::{Sidecar, bytes_below, eventually, kill_sidecar, sh, watched};
use serde_json::{Value, json};

static SIDECAR: Sidecar = Sidecar::new();

const KEY: &str = "Bearer hunter2-of-the-host";

/// The server as a session gets it, under the name `s`.
fn server(mcp: &Mcp, key: &str) -> McpServerConfig {
    let headers = match key {
        "" => BTreeMap::new(),
        key => BTreeMap::from([("Authorization".to_owned(), key.to_owned())]),
    };
    McpServerConfig::Remote { name: "s".to_owned(), url: mcp.url(), headers }
}

fn with(servers: Vec<McpServerConfig>) -> CreateSessionOptions {
    CreateSessionOptions { mcp_servers: servers, mode: None, ..Default::default() }
}

/// A machine whose model is that of the test, and a session of `coder` with the server.
fn config(model: &Model, mcp: &Mcp) -> AgentOsConfig {
    let mut config = AgentOsConfig::default();
    ModelAccess::new(ModelApi::Anthropic, "mock").base_url(model.url()).apply(&mut config).unwrap();
    config.loopback_exempt_ports.push(mcp.port());
    config
}

async fn coder(os: &AgentOs, mcp: &Mcp, key: &str) -> Session {
    let options = CreateSessionOptions { mode: Some("bypass".to_owned()), ..with(vec![server(mcp, key)]) };
    os.create_session("coder", options).await.unwrap()
}

fn tool(name: &str) -> Value {
    json!({"tool": format!("mcp__s__{name}"), "input": {}})
}

/// The last status and the text of each call of a session, in order.
async fn calls(os: &AgentOs, session: &Session) -> Vec<(String, String)> {
    let events = os.get_session_events(&session.session_id, Default::default()).await.unwrap();
    let (mut order, mut last) = (Vec::new(), BTreeMap::new());
    for update in events.iter().filter_map(|event| event.params.get("update")) {
        let Some(id) = update["toolCallId"].as_str() else { continue };
        if !last.contains_key(id) {
            order.push(id.to_owned());
        }
        let status = update["status"].as_str().unwrap_or_default().to_owned();
        last.insert(id.to_owned(), (status, update["content"].to_string()));
    }
    order.iter().map(|id| last[id].clone()).collect()
}

/// What the bridge says in the machine to the begin of a session, under this grant.
async fn begun(os: &AgentOs, grant: &str, url: &str) -> String {
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {}});
    let grant = if grant.is_empty() { String::new() } else { format!("--grant {grant}") };
    sh(os, &format!("printf '%s\\n' '{hello}' | agentos mcp-remote {grant} {url}")).await.stdout
}

#[test]
fn its_tools_are_called_and_its_headers_stay_with_the_host() {
    let (model, mcp) = (Model::start(), Mcp::start(KEY));
    SIDECAR.test_with(config(&model, &mcp), async |os| {
        let session = coder(os, &mcp, KEY).await;
        let look = "env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' ' '; \
                    grep -rl hunter''2 /etc /tmp /home /workspace /var; true";
        let script = json!({"calls": [tool("plain"), tool("events"), tool("cut"),
            {"tool": "bash", "input": {"command": look}}], "text": "done"});
        assert_eq!(session.prompt(format!("MOCK{script}")).await.unwrap().text, "done");
        let calls = calls(os, &session).await;
        for (call, text) in calls.iter().zip(["as JSON", "as an event", "and gone on with"]) {
            assert!(call.0 == "completed" && call.1.contains(text), "{call:?}");
        }
        let seen = &calls[3].1;
        assert!(seen.contains("mcp-remote") && !seen.contains("hunter2"), "{seen}");
        eventually("it listens", async || mcp.listening() == 1).await;
        let all = mcp.calls();
        assert!(all.len() > 5 && all.iter().all(|call| call.header("authorization") == Some(KEY)), "{all:?}");
        assert!(all.iter().all(|call| call.header("agentos-grant").is_none()));

        // The grant is for the server only, and only those who name it have it.
        let line =
            sh(os, "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -A1 -x -e --grant | tail -1").await;
        let grant = line.stdout.trim().to_owned();
        assert!(begun(os, &grant, &mcp.url()).await.contains("serverInfo"));
        let beside = format!("http://127.0.0.1:{}/other", mcp.port());
        let refused = begun(os, &grant, &beside).await;
        assert!(refused.contains("what lies below it only"), "{refused}");
        for url in [mcp.url(), beside] {
            let refused = begun(os, "", &url).await;
            assert!(refused.contains("egress.allow"), "{refused}");
        }
        assert!(mcp.calls().iter().all(|call| call.path == "/mcp"));

        let before = mcp.sessions();
        session.destroy().await.unwrap();
        let ended = async || mcp.sessions() < before && mcp.listening() == 0;
        eventually("the server is told of the end", ended).await;
        let refused = begun(os, &grant, &mcp.url()).await;
        assert!(refused.contains("is over"), "{refused}");
    });
}

#[test]
fn what_goes_wrong_fails_the_call_and_the_session_goes_on() {
    let (model, mcp) = (Model::start(), Mcp::start(KEY));
    SIDECAR.test_with(config(&model, &mcp), async |os| {
        let session = coder(os, &mcp, KEY).await;
        let script = json!({"calls": [tool("error"), tool("lost"), tool("plain")], "text": "done"});
        assert_eq!(session.prompt(format!("MOCK{script}")).await.unwrap().text, "done");
        let got = calls(os, &session).await;
        assert!(got[0].0 == "failed" && got[0].1.contains("HTTP 500; it said: <p>it  broke</p>"), "{got:?}");
        assert_eq!((got[1].0.as_str(), got[2].0.as_str()), ("failed", "completed"), "{got:?}");
        let script = json!({"calls": [tool("never")]});
        let (turn, ()) = tokio::join!(session.prompt(format!("MOCK{script}")), async {
            let asked = async || mcp.calls().iter().any(|call| call.body["params"]["name"] == "never");
            eventually("the call is under way", asked).await;
            session.cancel().await.unwrap();
        });
        assert_eq!(turn.unwrap().stop_reason, "cancelled");
        let told = async || {
            let cancelled =
                |call: &agentos_tests::mcp::Call| call.body["method"] == "notifications/cancelled";
            mcp.given_up() == 1 && mcp.calls().iter().any(cancelled)
        };
        eventually("the server is told, and the request given up", told).await;
        session.close().await.unwrap();

        let session = coder(os, &mcp, "Bearer wrong").await;
        session.prompt("hello").await.unwrap();
        let events = os.get_session_events(&session.session_id, Default::default()).await.unwrap();
        let said: String =
            events.iter().filter_map(|event| event.params["update"]["content"]["text"].as_str()).collect();
        assert!(said.contains("\"s\" refused initialize: the MCP server answered HTTP 401"), "{said}");
        assert!(said.contains("who are you?"), "{said}");
        session.close().await.unwrap();
    });
}

/// What the scenario of a tool says in a session of `scripted`.
async fn weather(session: &Session) -> String {
    session.prompt("scenario:custom_tool").await.unwrap().text
}

#[test]
fn a_machine_without_a_way_out_has_one_for_the_server_alone() {
    let mcp = Mcp::start(KEY);
    let config = AgentOsConfig { loopback_exempt_ports: vec![mcp.port()], ..AgentOsConfig::default() };
    SIDECAR.test_with(config, async |os| {
        let session = os.create_session("scripted", with(vec![server(&mcp, KEY)])).await.unwrap();
        assert_eq!(weather(&session).await, "get_weather answered: Sunny");
        // A second one with other headers has those.
        let other = os.create_session("scripted", with(vec![server(&mcp, "other")])).await.unwrap();
        let refused = weather(&other).await;
        assert!(refused.contains("HTTP 401"), "{refused}");
        assert_eq!(weather(&session).await, "get_weather answered: Sunny");
        let refused = begun(os, "", &mcp.url()).await;
        assert!(refused.contains("its configuration has no `egress`"), "{refused}");
        other.close().await.unwrap();
        session.close().await.unwrap();
    });
    // Rules of the machine hold for it as for all else.
    let network = Some(PermissionScope::Mode(PermissionMode::Deny));
    let permissions = Some(Permissions { network, ..Permissions::default() });
    let config =
        AgentOsConfig { permissions, loopback_exempt_ports: vec![mcp.port()], ..AgentOsConfig::default() };
    SIDECAR.test_with(config, async |os| {
        let session = os.create_session("scripted", with(vec![server(&mcp, KEY)])).await.unwrap();
        let denied = weather(&session).await;
        assert!(denied.contains("permissions: `network` denies fetch on tcp://127.0.0.1:"), "{denied}");
        session.close().await.unwrap();
    });
}

#[test]
fn a_server_that_cannot_be_reached_is_refused_when_the_session_is_made() {
    SIDECAR.test(async |os| {
        let remote = |url: &str, headers: &[(&str, &str)]| {
            McpServerConfig::remote(url, headers.iter().map(|(name, value)| (*name, *value)))
        };
        let auth = [("Authorization", KEY)];
        for (server, path, reason) in [
            (remote("http://127.0.0.1:1/mcp", &[]), "url", "loopbackExemptPorts"),
            (remote("http://mcp.example/mcp", &auth), "headers", "use https"),
            (remote("https://u:p@mcp.example/mcp", &[]), "url", "use a header"),
            (remote("nonsense", &[]), "url", "http://"),
            (remote("https://mcp.example/mcp", &[("Host", "x")]), "headers[0]", "`host`"),
        ] {
            let local = McpServerConfig::local("/bin/true", [""; 0], [("", ""); 0]);
            let refused =
                os.create_session("scripted", with(vec![local, server])).await.map(drop).unwrap_err();
            let text = refused.to_string();
            assert!(matches!(refused, Error::InvalidConfig { .. }), "{refused:?}");
            assert!(text.contains(&format!("mcpServers[1].{path}")) && text.contains(reason), "{text}");
            assert!(!text.contains("hunter2"));
        }
        assert!(os.list_sessions().await.unwrap().is_empty());
    });
}

#[test]
fn headers_are_not_stored_and_a_session_goes_on_with_new_ones() {
    watched(async || {
        let (mcp, kept) = (Mcp::start(KEY), tempfile::tempdir().unwrap());
        let path = kept.path().join("state").to_str().unwrap().to_owned();
        let machine = async || {
            let sidecar = Sidecar::start().await;
            let config = AgentOsConfig {
                persistence: Some(PersistenceConfig::Directory { path: path.clone() }),
                sidecar: Some(AgentOsSidecarConfig::Explicit { handle: std::sync::Arc::clone(&sidecar) }),
                loopback_exempt_ports: vec![mcp.port()],
                ..AgentOsConfig::default()
            };
            (sidecar, AgentOs::create(config).await.unwrap())
        };
        let (sidecar, os) = machine().await;
        let session = os.create_session("scripted", with(vec![server(&mcp, KEY)])).await.unwrap();
        let id = session.session_id.clone();
        assert_eq!(weather(&session).await, "get_weather answered: Sunny");
        // The process that made it still has them.
        session.close().await.unwrap();
        let session = os.resume_session(&id).await.unwrap();
        assert_eq!(weather(&session).await, "get_weather answered: Sunny");
        let options = ResumeSessionOptions { mcp_servers: Some(Vec::new()), ..Default::default() };
        let refused = os.resume_session_with(&id, options).await.map(drop).unwrap_err();
        assert!(refused.to_string().contains("the session runs"), "{refused}");
        kill_sidecar(&sidecar).await;

        let bytes = bytes_below(kept.path());
        assert!(!bytes.windows(7).any(|window| window == b"hunter2"), "it is on the disk");

        let (sidecar, os) = machine().await;
        let refused = os.resume_session(&id).await.map(drop).unwrap_err().to_string();
        assert!(refused.contains("mcpServers[0].headers") && refused.contains("resumed"), "{refused}");
        let options =
            ResumeSessionOptions { mcp_servers: Some(vec![server(&mcp, KEY)]), ..Default::default() };
        let session = os.resume_session_with(&id, options).await.unwrap();
        assert_eq!(weather(&session).await, "get_weather answered: Sunny");
        os.dispose().await.unwrap();
        kill_sidecar(&sidecar).await;
    });
}
