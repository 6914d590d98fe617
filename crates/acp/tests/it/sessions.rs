//! Versions, capabilities, session results, modes, options and models.

use agentos_acp::{
    CloseOutcome, Closure, Error, Fatal, LoadSession, NewSession, PeerOptions,
    schema::{ContentBlock, ImageContent, McpServer, McpServerHttp},
};
use serde_json::{Value, json};

use crate::agent::{names, pair, ready, ready_with};

async fn initialize_with(version: Value) -> (Result<(), Error>, Closure) {
    let (peer, mut agent) = pair(PeerOptions::default());
    let (result, ()) = tokio::join!(peer.initialize(), async {
        let request = agent.expect("initialize").await;
        assert_eq!(
            request["params"]["clientCapabilities"],
            json!({
                "fs": {"readTextFile": false, "writeTextFile": false},
                "terminal": false,
                "session": {"compaction": {}, "configOptions": {"boolean": {}}, "notices": {}},
                "auth": {"terminal": false},
            })
        );
        assert_eq!(request["params"]["protocolVersion"], 1);
        agent.answer(&request, json!({"protocolVersion": version})).await;
    });
    if result.is_ok() {
        drop(agent);
    }
    (result.map(drop), peer.closed().await)
}

#[tokio::test(start_paused = true)]
async fn only_protocol_version_1_is_accepted() {
    assert!(initialize_with(json!(1)).await.0.is_ok());
    for other in [json!(2), json!(0), json!("1"), json!(1.5), Value::Null] {
        let (result, closure) = initialize_with(other.clone()).await;
        assert_eq!(result.unwrap_err().code(), "unsupported_protocol_version", "{other}");
        assert!(matches!(closure, Closure::Fatal(Fatal::UnsupportedProtocolVersion { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_works_before_initialize() {
    let (peer, _agent) = pair(PeerOptions::default());
    let error = peer.new_session(NewSession::in_directory("/")).await.unwrap_err();
    assert!(matches!(error, Error::NotInitialized));
}

#[tokio::test(start_paused = true)]
async fn one_session_per_process_and_no_foreign_ids() {
    let (peer, mut agent) = ready(PeerOptions::default()).await;
    let error = peer.new_session(NewSession::in_directory("/")).await.unwrap_err();
    assert!(matches!(error, Error::Limit { name: "sessions", configured: 1, used: 2 }), "{error}");
    let update = json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "x"}});
    let params = json!({"sessionId": "foreign", "update": update});
    agent.send(json!({"jsonrpc": "2.0", "method": "session/update", "params": params})).await;
    let params = json!({"sessionId": "foreign", "toolCall": {"toolCallId": "t"}, "options": []});
    agent
        .send(json!({"jsonrpc": "2.0", "id": 0, "method": "session/request_permission", "params": params}))
        .await;
    assert_eq!(agent.recv().await["error"]["code"], -32602);
    assert!(names(&peer.events("s").unwrap()).is_empty());
    assert!(matches!(peer.events("foreign"), Err(Error::UnknownSession { .. })));
}

#[tokio::test(start_paused = true)]
async fn authentication_is_reported_with_the_methods() {
    let (peer, mut agent) = pair(PeerOptions::default());
    let (result, ()) = tokio::join!(
        async {
            peer.initialize().await.unwrap();
            peer.new_session(NewSession::in_directory("/w")).await
        },
        async {
            let request = agent.expect("initialize").await;
            agent
                .answer(
                    &request,
                    json!({"protocolVersion": 1, "authMethods": [{"id": "key", "name": "Key"}]}),
                )
                .await;
            let request = agent.expect("session/new").await;
            agent.fail(&request, -32000).await;
        }
    );
    let Err(Error::AuthRequired { methods }) = result else { panic!() };
    assert_eq!(methods.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn capabilities_are_checked_before_use() {
    let (peer, _agent) = ready(PeerOptions {
        limits: agentos_acp::Limits { sessions: 2, ..Default::default() },
        ..Default::default()
    })
    .await;
    let image = ContentBlock::Image(ImageContent::new("", "image/png"));
    assert!(matches!(peer.prompt("s", vec![image]).await, Err(Error::NotSupported { .. })));
    let mut new = NewSession::in_directory("/w");
    new.mcp_servers = vec![McpServer::Http(McpServerHttp::new("tools", "http://localhost/"))];
    let error = peer.new_session(new).await.unwrap_err();
    assert_eq!(error.to_string(), "the agent does not support MCP over http, which server tools needs");
    let mut new = NewSession::in_directory("/w");
    new.additional_directories = vec!["/x".to_owned()];
    assert!(matches!(peer.new_session(new).await, Err(Error::NotSupported { .. })));
    let load =
        LoadSession { session_id: "old".into(), setup: NewSession::in_directory("/w"), replay_history: true };
    assert!(matches!(peer.load_session(load).await, Err(Error::NotSupported { .. })));
    for method in ["session/prompt", "session/new", "initialize", "$/cancel_request"] {
        assert!(matches!(peer.raw_request(method, json!({})).await, Err(Error::Reserved { .. })));
    }
}

/// History comes before the result of `session/load`; consumers that have it can do without.
async fn load(replay_history: bool) -> Vec<String> {
    let (peer, mut agent) = pair(PeerOptions::default());
    let load = LoadSession { session_id: "s".into(), setup: NewSession::in_directory("/w"), replay_history };
    let (result, ()) = tokio::join!(
        async {
            peer.initialize().await.unwrap();
            peer.load_session(load).await
        },
        async {
            let request = agent.expect("initialize").await;
            agent
                .answer(&request, json!({"protocolVersion": 1, "agentCapabilities": {"loadSession": true}}))
                .await;
            let request = agent.expect("session/load").await;
            assert_eq!(request["params"], json!({"sessionId": "s", "cwd": "/w", "mcpServers": []}));
            agent.say("history").await;
            agent.answer(&request, json!({"modes": {"currentModeId": "a", "availableModes": []}})).await;
            agent.update(json!({"sessionUpdate": "usage_update", "used": 1, "size": 2})).await;
        }
    );
    assert_eq!(result.unwrap().modes.unwrap().current_mode_id.to_string(), "a");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    names(&peer.events("s").unwrap())
}

#[tokio::test(start_paused = true)]
async fn load_replays_history_or_not() {
    assert_eq!(load(true).await, ["agent_message_chunk", "usage_update"]);
    assert_eq!(load(false).await, ["usage_update"]);
}

#[tokio::test(start_paused = true)]
async fn resume_is_preferred_and_a_failed_one_leaves_no_session() {
    let (peer, mut agent) = pair(PeerOptions::default());
    let load =
        LoadSession { session_id: "s".into(), setup: NewSession::in_directory("/w"), replay_history: true };
    let capabilities = json!({"loadSession": true, "sessionCapabilities": {"resume": {}}});
    let (result, ()) = tokio::join!(
        async {
            peer.initialize().await.unwrap();
            peer.load_session(load).await
        },
        async {
            let request = agent.expect("initialize").await;
            agent.answer(&request, json!({"protocolVersion": 1, "agentCapabilities": capabilities})).await;
            let request = agent.expect("session/resume").await;
            agent.fail(&request, -32002).await;
        }
    );
    assert!(matches!(result, Err(Error::Rpc { .. })));
    assert!(peer.session_ids().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_model_is_set_by_option_or_the_legacy_way() {
    let models = json!({"currentModelId": "a", "availableModels": [{"modelId": "a", "name": "A", "description": null}, {"modelId": "b"}]});
    let (peer, mut agent) =
        ready_with(PeerOptions::default(), json!({}), json!({"sessionId": "s", "models": models})).await;
    let (result, ()) = tokio::join!(peer.set_model("s", "b"), async {
        let request = agent.expect("session/set_model").await;
        assert_eq!(request["params"], json!({"sessionId": "s", "modelId": "b"}));
        agent.answer(&request, json!({})).await;
    });
    result.unwrap();
    assert_eq!(peer.session("s").unwrap().models.unwrap().current_model_id, "b");
    let (result, ()) = tokio::join!(peer.set_model("s", "c"), async {
        let request = agent.expect("session/set_model").await;
        agent.fail(&request, -32601).await;
    });
    assert!(matches!(result, Err(Error::NotSupported { .. })));

    let option = |value: &str| json!({"id": "m", "name": "Model", "category": "model", "type": "select", "currentValue": value, "options": [{"value": "a", "name": "A"}]});
    let session =
        json!({"sessionId": "s", "models": models, "configOptions": [option("a"), {"broken": true}]});
    let (peer, mut agent) = ready_with(PeerOptions::default(), json!({}), session).await;
    let (result, ()) = tokio::join!(peer.set_model("s", "b"), async {
        let request = agent.expect("session/set_config_option").await;
        assert_eq!(request["params"], json!({"sessionId": "s", "configId": "m", "value": "b"}));
        // The agent has the last word.
        agent.answer(&request, json!({"configOptions": [option("off")]})).await;
    });
    result.unwrap();
    let options = serde_json::to_value(peer.session("s").unwrap().config_options).unwrap();
    assert_eq!(options[0]["currentValue"], "off");

    let (peer, _agent) = ready(PeerOptions::default()).await;
    assert!(matches!(peer.set_model("s", "b").await, Err(Error::NotSupported { .. })));
    assert!(matches!(peer.set_mode("s", "b").await, Err(Error::NotSupported { .. })));
}

#[tokio::test(start_paused = true)]
async fn thinking_levels_may_be_modes() {
    let modes = json!({"currentModeId": "off", "availableModes": [{"id": "off", "name": "Off"}, {"id": "high", "name": "High"}]});
    let (peer, mut agent) =
        ready_with(PeerOptions::default(), json!({}), json!({"sessionId": "s", "modes": modes})).await;
    let (result, ()) = tokio::join!(peer.set_thought_level("s", "high"), async {
        let request = agent.expect("session/set_mode").await;
        assert_eq!(request["params"], json!({"sessionId": "s", "modeId": "high"}));
        agent.answer(&request, json!({})).await;
    });
    result.unwrap();
    assert_eq!(peer.session("s").unwrap().modes.unwrap().current_mode_id.to_string(), "high");
    assert!(matches!(peer.set_thought_level("s", "cosmic").await, Err(Error::NotSupported { .. })));
}

#[tokio::test(start_paused = true)]
async fn closing_is_emulated_where_the_agent_cannot() {
    for (code, want) in [(None, CloseOutcome::Closed), (Some(-32601), CloseOutcome::Forgotten { last: true })]
    {
        let (peer, mut agent) = ready(PeerOptions::default()).await;
        let log = peer.events("s").unwrap();
        let (result, ()) = tokio::join!(peer.close_session("s"), async {
            let request = agent.expect("session/close").await;
            match code {
                Some(code) => agent.fail(&request, code).await,
                None => agent.answer(&request, json!({})).await,
            }
        });
        assert_eq!(result.unwrap(), want);
        assert!(peer.session_ids().is_empty());
        assert_eq!(names(&log), ["agentos/agent_closed"]);
    }
}
