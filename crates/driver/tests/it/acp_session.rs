//! How a session of an ACP agent begins, is resumed and set up, and what the agent may do with files.

use std::sync::Arc;

use agentos_driver::boot::McpServer;
use agentos_driver::event::{Body, ContentBlock, TurnStatus};
use agentos_driver::ports::{
    HostIntegration, HostSnapshot, Materialized, MaterializedSkill, Pending, Skills,
};
use agentos_driver::process::Exit;
use agentos_driver::testing::ScriptedLauncher;
use agentos_driver::{Command, Fate, Input, Order, Ports, ResumeRef, Runtime, StartInput, State};
use serde_json::{Map, Value, json};
use ulid::Ulid;

use super::acp_agent::{Agent, Rig, SESSION, ended_items, execution, ignored, of_kind, start, start_with};

fn with_options(options: Value) -> StartInput {
    let mut execution = execution();
    execution.provider_options = options.as_object().cloned().unwrap();
    StartInput::new(execution)
}

fn resumed(options: Value, cost: Option<f64>) -> StartInput {
    let resume = Some(ResumeRef::new(Runtime::Acp, "old"));
    StartInput { resume, cost_total: cost, ..with_options(options) }
}

/// Why a session could not be begun.
async fn failure(rig: &mut Rig) -> String {
    assert_eq!(rig.kernel.state(), State::Failed);
    rig.log.to_end().await;
    let ended = of_kind(&rig.log.events, "session.ended").pop().unwrap();
    ended["error"]["code"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn the_process_gets_the_variables_but_not_those_of_the_driver() {
    let mut input = with_options(json!({"args": ["--acp"], "env": {"B": "2"}}));
    input.execution.environment.variables.insert("A".to_owned(), "1".to_owned());
    let rig = start(input, |mut agent| async move {
        let initialize = agent.initialize(json!({})).await;
        let can = &initialize["params"]["clientCapabilities"];
        assert_eq!((&can["fs"]["readTextFile"], &can["terminal"]), (&json!(false), &json!(false)));
        let new = agent.expect("session/new").await;
        assert_eq!(new["params"], json!({"cwd": "/w", "mcpServers": []}));
        agent.answer(&new, json!({"sessionId": SESSION})).await;
        agent.rest().await
    })
    .await;
    let spec = rig.launcher.launched().remove(0);
    assert_eq!(
        (spec.program.as_str(), spec.args.as_slice(), spec.cwd.as_str()),
        ("fake-agent", &["--acp".to_owned()][..], "/w")
    );
    let env: Vec<(&str, &str)> =
        spec.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(env, [("A", "1"), ("B", "2")]);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_of_another_version_or_without_an_answer_is_no_session() {
    for (answer, code) in [
        (json!({"protocolVersion": 2}), "acp.unsupported_protocol_version"),
        (json!([]), "acp.unsupported_protocol_version"),
        (json!(null), "acp.timed_out"),
    ] {
        let mut rig = start(with_options(json!({})), move |mut agent| {
            let answer = answer.clone();
            async move {
                let initialize = agent.expect("initialize").await;
                if !answer.is_null() {
                    agent.answer(&initialize, answer).await;
                }
                std::future::pending().await
            }
        })
        .await;
        assert_eq!(failure(&mut rig).await, code);
    }
    let mut rig = start(with_options(json!({})), |_| async { Exit { code: Some(127), signal: None } }).await;
    assert_eq!(failure(&mut rig).await, "driver.backend_exited");
}

#[tokio::test(start_paused = true)]
async fn a_login_is_used_if_it_is_offered_and_needs_no_terminal() {
    for (wanted, used) in [("key", true), ("term", false), ("other", false)] {
        let rig = start(with_options(json!({"authMethod": wanted})), move |mut agent| async move {
            agent.initialize(json!({})).await;
            if used {
                let login = agent.expect("authenticate").await;
                assert_eq!(login["params"], json!({"methodId": "key"}));
                agent.answer(&login, json!({})).await;
            }
            let new = agent.expect("session/new").await;
            agent.answer(&new, json!({"sessionId": SESSION})).await;
            agent.rest().await
        })
        .await;
        let warned = of_kind(&rig.stop().await, "diagnostic.reported");
        assert_eq!(warned.iter().any(|of| of["code"] == json!("acp.auth_method_unknown")), !used, "{wanted}");
    }
    let mut rig = start(with_options(json!({})), |mut agent| async move {
        agent.initialize(json!({})).await;
        let new = agent.expect("session/new").await;
        agent.refuse(&new, -32000, "log in").await;
        agent.rest().await
    })
    .await;
    assert_eq!(failure(&mut rig).await, "acp.auth_required");
    let error = &of_kind(&rig.log.events, "session.ended")[0]["error"];
    assert_eq!(error["details"]["authMethods"], json!("key term"));
}

#[tokio::test(start_paused = true)]
async fn resuming_is_preferred_to_loading_and_costs_go_on() {
    for (can, methods) in [
        (json!({"loadSession": true, "sessionCapabilities": {"resume": {}}}), vec!["session/resume"]),
        (json!({"loadSession": true}), vec!["session/load"]),
    ] {
        let mut rig = start(resumed(json!({}), Some(1.0)), move |mut agent| {
            let (can, methods) = (can.clone(), methods.clone());
            async move {
                agent.initialize(can).await;
                for method in methods {
                    let open = agent.expect(method).await;
                    let params = json!({"sessionId": "old", "cwd": "/w", "mcpServers": []});
                    assert_eq!(open["params"], params);
                    let chunk = json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "history"}});
                    let update = json!({"sessionId": "old", "update": chunk});
                    agent.side.send(json!({"jsonrpc": "2.0", "method": "session/update", "params": update})).await;
                    agent.answer(&open, json!({"modes": {"currentModeId": "code"}})).await;
                }
                let prompt = agent.expect("session/prompt").await;
                assert_eq!(prompt["params"]["sessionId"], json!("old"));
                let cost = json!({"sessionUpdate": "usage_update", "cost": {"amount": 1.5}});
                let update = json!({"sessionId": "old", "update": cost});
                agent.side.send(json!({"jsonrpc": "2.0", "method": "session/update", "params": update})).await;
                agent.end_turn(&prompt).await;
                agent.rest().await
            }
        })
        .await;
        assert_eq!(rig.turn("go on").await.status, TurnStatus::Completed);
        let events = rig.stop().await;
        // What was said before is neither said again nor a surprise.
        assert!(ended_items(&events).is_empty() && ignored(&events).is_empty());
        assert_eq!(of_kind(&events, "session.started")[0]["resumed"], json!(true));
        assert_eq!(of_kind(&events, "usage.updated")[0]["costAmount"], json!(0.5));
        assert_eq!(of_kind(&events, "session.config.updated")[0]["modeId"], json!("code"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_lost_is_only_begun_anew_if_that_is_wanted() {
    async fn play(mut agent: Agent, can: Value) -> Exit {
        agent.initialize(can.clone()).await;
        if can["loadSession"] == json!(true) {
            let load = agent.expect("session/load").await;
            agent.refuse(&load, -32002, "no such session").await;
        }
        let new = agent.expect("session/new").await;
        agent.answer(&new, json!({"sessionId": SESSION})).await;
        agent.rest().await
    }
    for can in [json!({}), json!({"loadSession": true})] {
        let of = can.clone();
        let mut rig = start(resumed(json!({}), None), move |mut agent| {
            let can = of.clone();
            async move {
                agent.initialize(can.clone()).await;
                if can["loadSession"] == json!(true) {
                    let load = agent.expect("session/load").await;
                    agent.refuse(&load, -32002, "no such session").await;
                }
                assert_eq!(agent.side.recv().await, None);
                Exit::default()
            }
        })
        .await;
        assert_eq!(failure(&mut rig).await, "resume.lost");
        let of = can.clone();
        let options = json!({"resumeFallback": "new"});
        let rig = start(resumed(options, None), move |agent| play(agent, of.clone())).await;
        assert_eq!(rig.kernel.state(), State::Ready);
        let events = rig.stop().await;
        assert_eq!(of_kind(&events, "session.resume.updated")[0]["ref"]["value"], json!(SESSION));
        assert!(of_kind(&events, "diagnostic.reported").iter().any(|of| of["code"] == json!("resume.lost")));
    }
}

#[tokio::test(start_paused = true)]
async fn updates_before_the_id_of_a_new_session_are_not_lost() {
    let rig = start(with_options(json!({})), |mut agent| async move {
        agent.initialize(json!({})).await;
        let new = agent.expect("session/new").await;
        agent
            .update(
                json!({"sessionUpdate": "available_commands_update", "availableCommands": [{"name": "go"}]}),
            )
            .await;
        agent.answer(&new, json!({"sessionId": SESSION})).await;
        agent.rest().await
    })
    .await;
    let commands = of_kind(&rig.stop().await, "session.commands.updated");
    assert_eq!(commands, [json!({"commands": [{"name": "go"}]})]);
}

fn server(name: &str, state: &str) -> McpServer {
    McpServer {
        name: name.to_owned(),
        authorization_state: state.to_owned(),
        proxy_grant_id: Some("grant".to_owned()),
        proxy_url: Some(format!("http://proxy/{name}")),
        ..McpServer::default()
    }
}

#[tokio::test(start_paused = true)]
async fn mcp_servers_and_directories_are_given_if_the_agent_takes_them() {
    let mut input = with_options(json!({"meta": {"k": 1}}));
    input.execution.session.mcp_servers = vec![server("a", "active"), server("b", "expired")];
    input.execution.session.additional_directories = vec!["/more".to_owned()];
    let can =
        json!({"mcpCapabilities": {"http": true}, "sessionCapabilities": {"additionalDirectories": {}}});
    let rig = start(input.clone(), move |mut agent| {
        let can = can.clone();
        async move {
            let new = agent.open(can).await;
            let headers = json!([{"name": "Authorization", "value": "Bearer grant"}]);
            let servers = json!([{"type": "http", "name": "a", "url": "http://proxy/a", "headers": headers}]);
            let expected = json!({"cwd": "/w", "mcpServers": servers, "additionalDirectories": ["/more"], "_meta": {"k": 1}});
            assert_eq!(new["params"], expected);
            agent.rest().await
        }
    })
    .await;
    assert_eq!(rig.kernel.state(), State::Ready);
    rig.stop().await;
    let mut rig = start(input, |mut agent| async move {
        agent.initialize(json!({})).await;
        agent.rest().await
    })
    .await;
    assert_eq!(failure(&mut rig).await, "acp.mcp_unsupported");
}

struct Guide;

impl Skills for Guide {
    fn materialize<'a>(&'a self, _: &'a agentos_driver::boot::Execution) -> Pending<'a, Materialized> {
        let skill = MaterializedSkill {
            skill_id: "1".to_owned(),
            skill_name: "pdf".to_owned(),
            mount_path: "/skills/pdf".to_owned(),
            skill_markdown_path: "/skills/pdf/SKILL.md".to_owned(),
            snapshot_id: "2".to_owned(),
        };
        Box::pin(async { Ok(Materialized { skills: vec![skill], ..Materialized::default() }) })
    }
}

impl HostIntegration for Guide {
    fn snapshot(&self) -> Option<HostSnapshot> {
        let config_revision: Map<String, Value> = [("agentId".to_owned(), json!("a"))].into_iter().collect();
        Some(HostSnapshot { config_revision, session_context: Map::new() })
    }
}

#[tokio::test(start_paused = true)]
async fn the_guide_is_a_system_prompt_or_else_goes_before_the_first_prompt() {
    for system in [true, false] {
        let mut input = with_options(json!({}));
        input.execution.profile_prompt = "Be brief.".to_owned();
        let launcher = ScriptedLauncher::new(move |side| async move {
            let mut agent = Agent { side };
            let text = "Be brief.\n\nSkills you can use; read a skill's file before you use it:\n- pdf: /skills/pdf/SKILL.md";
            let block = json!({"type": "text", "text": text});
            let can = if system { json!({"sessionCapabilities": {"systemPrompt": {}}}) } else { json!({}) };
            let new = agent.open(can).await;
            assert_eq!(new["params"]["_meta"]["host"]["configRevision"], json!({"agentId": "a"}));
            let prompt = new["params"].get("systemPrompt").cloned();
            assert_eq!(prompt, system.then(|| json!({"mode": "append", "content": [block]})));
            for n in 0..2 {
                let prompt = agent.expect("session/prompt").await;
                let mut blocks = vec![json!({"type": "text", "text": "hi"})];
                if !system && n == 0 {
                    blocks.insert(0, block.clone());
                }
                assert_eq!(prompt["params"]["prompt"], json!(blocks));
                agent.end_turn(&prompt).await;
            }
            agent.rest().await
        });
        let mut ports = Ports::new(Arc::new(launcher.clone()));
        (ports.skills, ports.host_integration) = (Arc::new(Guide), Arc::new(Guide));
        let mut rig = start_with(input, ports, launcher).await;
        for _ in 0..2 {
            assert_eq!(rig.turn("hi").await.status, TurnStatus::Completed);
        }
        rig.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_guide_that_no_prompt_took_along_is_not_lost_with_the_process() {
    let mut input = with_options(json!({}));
    input.execution.profile_prompt = "Be brief.".to_owned();
    let mut rig = start(input, |mut agent| async move {
        let can = json!({"sessionCapabilities": {"resume": {}}});
        if agent.side.start == 0 {
            agent.open(can).await;
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            return Exit { code: Some(1), signal: None };
        }
        agent.initialize(can).await;
        let resume = agent.expect("session/resume").await;
        agent.answer(&resume, json!({})).await;
        for blocks in [2, 1] {
            let prompt = agent.expect("session/prompt").await;
            assert_eq!(prompt["params"]["prompt"].as_array().unwrap().len(), blocks);
            agent.end_turn(&prompt).await;
        }
        agent.rest().await
    })
    .await;
    let restarted =
        |body: &Body| matches!(body, Body::DiagnosticReported(of) if of.code == "driver.backend_restarted");
    rig.log.until(restarted).await;
    for _ in 0..2 {
        assert_eq!(rig.turn("hi").await.status, TurnStatus::Completed);
    }
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_picture_for_an_agent_that_takes_none_fails_the_turn_alone() {
    let mut rig = start(with_options(json!({})), |mut agent| async move {
        agent.open(json!({})).await;
        let prompt = agent.expect("session/prompt").await;
        assert_eq!(prompt["params"]["prompt"][0]["text"], json!("hi"));
        agent.end_turn(&prompt).await;
        agent.rest().await
    })
    .await;
    let image =
        ContentBlock::Image { mime_type: "image/png".to_owned(), data: Some("AA==".to_owned()), uri: None };
    let input = Input { content: Some(vec![image.into()]), ..Input::default() };
    let run_id = Ulid::generate();
    let order = Order::InputStart { request_id: "r".to_owned(), run_id, input, access_snapshot: None };
    let fate = rig.send(order);
    let end = rig.turn_end().await;
    assert_eq!(end.error.unwrap().code, "acp.unsupported_content");
    assert_eq!(fate.await.unwrap().status, Fate::Failed);
    assert_eq!(rig.turn("hi").await.status, TurnStatus::Completed);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn settings_are_changed_by_what_the_agent_has_for_them() {
    let mut input = with_options(json!({}));
    input.execution.model = "big".to_owned();
    let mut rig = start(input, |mut agent| async move {
        agent.initialize(json!({})).await;
        let new = agent.expect("session/new").await;
        let option = |value: &str| {
            json!([{"id": "m", "category": "model", "name": "Model", "currentValue": value,
            "options": [{"value": "p/small"}, {"value": "p/big"}]}])
        };
        let modes = json!({"currentModeId": "ask", "availableModes": [{"id": "ask"}, {"id": "code"}]});
        agent
            .answer(&new, json!({"sessionId": SESSION, "configOptions": option("p/small"), "modes": modes}))
            .await;
        let set = agent.expect("session/set_config_option").await;
        assert_eq!(set["params"], json!({"sessionId": SESSION, "configId": "m", "value": "p/big"}));
        agent.answer(&set, json!({"configOptions": option("p/big")})).await;
        let mode = agent.expect("session/set_mode").await;
        assert_eq!(mode["params"], json!({"sessionId": SESSION, "modeId": "code"}));
        agent.answer(&mode, json!({})).await;
        let mode = agent.expect("session/set_mode").await;
        agent.refuse(&mode, -32602, "no such mode").await;
        agent.rest().await
    })
    .await;
    let set = |name: &str, value: &str| Order::ConfigSet { config_id: name.to_owned(), value: json!(value) };
    assert_eq!(rig.kernel.dispatch(Command::of(set("mode", "code"))).await.status, Fate::Completed);
    assert_eq!(rig.kernel.dispatch(Command::of(set("mode", "fly"))).await.status, Fate::Failed);
    assert_eq!(rig.kernel.dispatch(Command::of(set("color", "red"))).await.status, Fate::Failed);
    rig.log.until(|body| matches!(body, Body::SessionStarted(_))).await;
    let events = rig.stop().await;
    let config = of_kind(&events, "session.config.updated");
    assert_eq!(config.last().unwrap()["modeId"], json!("code"));
    assert_eq!(config.last().unwrap()["options"][0]["value"], json!("p/big"));
    assert_eq!(of_kind(&events, "session.info.updated")[0]["model"], json!("p/big"));
}

#[tokio::test]
async fn files_and_programs_are_served_if_that_is_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let cwd = std::fs::canonicalize(directory.path()).unwrap().to_str().unwrap().to_owned();
    let mut input = with_options(json!({"clientFiles": true}));
    input.execution.session.cwd.clone_from(&cwd);
    let path = format!("{cwd}/new/a.txt");
    let (of, written) = (cwd.clone(), path.clone());
    let mut rig = start(input, move |mut agent| {
        let (cwd, path) = (of.clone(), written.clone());
        async move {
            if agent.side.spec.program == "make" {
                assert_eq!((&agent.side.spec.args, &agent.side.spec.cwd), (&vec!["all".to_owned()], &cwd));
                agent.side.send_line("built").await;
                return Exit { code: Some(0), signal: None };
            }
            let initialize = agent.initialize(json!({})).await;
            let can = &initialize["params"]["clientCapabilities"];
            assert_eq!((&can["fs"]["writeTextFile"], &can["terminal"]), (&json!(true), &json!(true)));
            let new = agent.expect("session/new").await;
            agent.answer(&new, json!({"sessionId": SESSION})).await;
            let prompt = agent.expect("session/prompt").await;
            agent.ask(&json!(1), "fs/write_text_file", json!({"path": path, "content": "x\ny\n"})).await;
            assert_eq!(agent.answered(&json!(1)).await, json!({}));
            agent.ask(&json!(2), "fs/read_text_file", json!({"path": path, "line": 2})).await;
            assert_eq!(agent.answered(&json!(2)).await, json!({"content": "y\n"}));
            agent.ask(&json!(3), "fs/read_text_file", json!({"path": "/etc/passwd"})).await;
            assert_eq!(agent.answered(&json!(3)).await["code"], json!(-32602));
            let none = format!("{cwd}/none");
            agent.ask(&json!(8), "fs/read_text_file", json!({"path": none})).await;
            let missing = agent.answered(&json!(8)).await;
            assert_eq!((&missing["code"], &missing["data"]["uri"]), (&json!(-32002), &json!(none)));
            agent.ask(&json!(4), "terminal/create", json!({"command": "make", "args": ["all"]})).await;
            let terminal = agent.answered(&json!(4)).await;
            agent.ask(&json!(5), "terminal/wait_for_exit", terminal.clone()).await;
            assert_eq!(agent.answered(&json!(5)).await["exitCode"], json!(0));
            let content = json!([{"type": "terminal", "terminalId": terminal["terminalId"]}]);
            agent
                .update(json!({"sessionUpdate": "tool_call", "toolCallId": "c", "kind": "execute",
                "rawInput": {"command": "make all"}, "content": content}))
                .await;
            agent.ask(&json!(6), "terminal/release", terminal).await;
            assert_eq!(agent.answered(&json!(6)).await, json!({}));
            agent
                .update(
                    json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "status": "completed"}),
                )
                .await;
            // Of a session that is not ours.
            let foreign = json!({"sessionId": "other", "path": path});
            agent
                .side
                .send(json!({"jsonrpc": "2.0", "id": 7, "method": "fs/read_text_file", "params": foreign}))
                .await;
            assert_eq!(agent.answered(&json!(7)).await["code"], json!(-32602));
            agent.end_turn(&prompt).await;
            agent.rest().await
        }
    })
    .await;
    assert_eq!(rig.turn("go").await.status, TurnStatus::Completed);
    let events = rig.stop().await;
    assert_eq!(of_kind(&events, "file.changed")[0]["changes"][0]["path"], json!(path));
    let item = &ended_items(&events)[0];
    assert_eq!((&item["output"], &item["exitCode"]), (&json!("built\n"), &json!(0)));
}
