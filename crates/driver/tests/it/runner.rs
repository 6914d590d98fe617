//! The process runner over a control connection: what is said on it, what a lost one costs, and how a run ends. Time is the
//! test's own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agentos_driver::Ports;
use agentos_driver::boot::BootPayload;
use agentos_driver::event::Severity;
use agentos_driver::process::Exit;
use agentos_driver::runner::{AGAIN, FIRST, prepare};
use agentos_driver::testing::ScriptedLauncher;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::fake::no_process;
use crate::runner_host::{Answer, Heard, Host, payload, prompt};

#[tokio::test(start_paused = true)]
async fn a_session_over_one_connection_from_hello_to_its_end() {
    let host = Host::new();
    let connection = host.connect().await;
    host.until(|heard| !heard.of("watchCommands").is_empty()).await;
    {
        let heard = host.heard.lock();
        let hello = heard.of("hello")[0];
        assert_eq!((&hello["protocolVersion"], &hello["runtime"]), (&json!(1), &json!("acp-fallback")));
        assert_eq!((&hello["pid"], &hello["eventSchemaVersion"]), (&json!(std::process::id()), &json!(2)));
        assert!(
            hello["capabilities"].as_array().unwrap().iter().any(|c| c["id"] == "turn_cancel"),
            "{hello}"
        );
        assert!(hello["startedAt"].is_string() && hello["driverVersion"].is_string(), "{hello}");
        let ready = heard.of("ready")[0];
        assert!(ready["at"].is_string() && ready["driverInstanceId"].is_string(), "{ready}");
        let names: Vec<&str> = heard.calls.iter().map(|(name, _)| name.as_str()).collect();
        let at = |name: &str| names.iter().position(|other| *other == name).unwrap();
        assert!(at("hello") == 0 && at("ready") < at("watchCommands"), "{names:?}");
    }
    let turn = connection.prompt("3").await;
    host.until(|heard| heard.fates(&turn) == ["accepted", "completed"]).await;
    connection.say(&json!({"jsonrpc": "2.0", "id": "p", "method": "ping"})).await;
    host.until(|heard| heard.of("heartbeat").iter().any(|beat| beat["reason"] == "ping")).await;
    let beats =
        |heard: &Heard| heard.of("heartbeat").iter().filter(|beat| beat["reason"] == "interval").count();
    host.until(|heard| beats(heard) > 3).await;
    // What hosts from before may say changes nothing.
    connection.say(&json!({"jsonrpc": "2.0", "id": 7, "method": "completeRun", "params": {}})).await;
    host.until(|heard| heard.answers.contains(&json!({"jsonrpc": "2.0", "id": 7, "result": {}}))).await;
    let stop = connection.stop().await;
    let (ending, heard) = host.end(connection).await;
    let ending = ending.unwrap();
    assert_eq!((ending.reason.as_str(), ending.error), ("enough", None));
    let heard = heard.lock();
    assert_eq!(heard.fates(&stop), ["accepted", "completed"]);
    let kinds = heard.kinds();
    assert_eq!((kinds[0], *kinds.last().unwrap()), ("session.started", "session.ended"));
    assert_eq!(kinds.iter().filter(|kind| **kind == "item.completed").count(), 3);
    // The end of the stop is heard after the last event.
    let last = |name: &str| heard.calls.iter().rposition(|(method, _)| method == name).unwrap();
    assert!(last("commandUpdate") > last("pushEvents"));
    assert_eq!((heard.again, heard.answers.last()), (0, Some(&Value::Null)));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_send_commands_is_asked_for_them() {
    let host = Host::new();
    host.answer("watchCommands", Answer::Error(-32_601));
    let mut command = prompt("1");
    command["commandId"] = "one".into();
    // The same command each time: it is run once.
    host.answer("nextCommand", Answer::Result(json!({ "command": command })));
    let connection = host.connect().await;
    host.until(|heard| heard.fates("one").ends_with(&["completed"])).await;
    host.answer("nextCommand", Answer::Result(json!({"command": null})));
    let asked = host.heard.lock().of("nextCommand").len();
    host.until(|heard| heard.of("nextCommand").len() > asked + 3).await;
    host.stops.send("signal.int".to_owned()).await.unwrap();
    let (ending, heard) = host.end(connection).await;
    assert_eq!(ending.unwrap().reason, "signal.int");
    let turns = heard.lock().kinds().iter().filter(|kind| **kind == "turn.started").count();
    assert_eq!(turns, 1);
}

#[tokio::test(start_paused = true)]
async fn events_that_were_not_acknowledged_come_again_and_none_is_lost_or_doubled() {
    for tells_next in [false, true] {
        let host = Host::new();
        let mut connection = host.connect().await;
        host.until(|heard| !heard.of("watchCommands").is_empty()).await;
        let turn = connection.prompt("300").await;
        for _ in 0..5 {
            let before = host.heard.lock().events.len();
            host.answer("pushEvents", Answer::Lost);
            host.until(|heard| heard.events.len() > before).await;
            drop(connection);
            tokio::time::sleep(AGAIN / 2).await;
            if tells_next {
                let last = host.heard.lock().events.last().unwrap()["seq"].as_u64().unwrap();
                host.heard.lock().hello = json!({"nextSeq": last + 1});
            }
            host.answer("pushEvents", Answer::Usual);
            connection = host.connect().await;
        }
        // Its fate comes over a connection that was not there when it was given.
        host.until(|heard| heard.fates(&turn).ends_with(&["completed"])).await;
        connection.stop().await;
        let (ending, heard) = host.end(connection).await;
        assert_eq!(ending.unwrap().error, None);
        let heard = heard.lock();
        assert_eq!(heard.again == 0, tells_next, "{}", heard.again);
        let numbers: Vec<u64> = heard.events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
        // Nothing was joined: what an agent does as a whole has no deltas.
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
        let kinds = heard.kinds();
        assert_eq!(kinds.iter().filter(|kind| **kind == "item.completed").count(), 300);
        assert!(kinds.contains(&"diagnostic.reported"), "the loss is told: {kinds:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn numbering_goes_on_where_the_host_says_and_batches_are_no_larger() {
    let host = Host::new();
    host.heard.lock().hello = json!({"nextSeq": 41, "runConfig": {"eventBatchMaxSize": 2}});
    let connection = host.connect().await;
    let turn = connection.prompt("20").await;
    host.until(|heard| heard.fates(&turn).ends_with(&["completed"])).await;
    connection.stop().await;
    let (_, heard) = host.end(connection).await;
    let heard = heard.lock();
    assert_eq!(heard.events[0]["seq"], 41);
    assert!(heard.of("pushEvents").iter().all(|push| push["events"].as_array().unwrap().len() <= 2));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_come_or_does_not_come_back_ends_the_run() {
    let host = Host::new();
    let before = Instant::now();
    let error = host.run.await.unwrap().unwrap_err();
    assert_eq!((error.code.as_str(), before.elapsed()), ("control.no_connection", FIRST));

    let mut host = Host::new();
    let connection = host.connect().await;
    let turn = connection.prompt("hang").await;
    host.until(|heard| heard.fates(&turn) == ["accepted"]).await;
    drop(connection);
    let before = Instant::now();
    let ending = (&mut host.run).await.unwrap().unwrap();
    assert_eq!(ending.reason, "connection.lost");
    assert_eq!(ending.error.unwrap().code, "control.no_connection");
    assert!(before.elapsed() >= AGAIN);

    // Over standard streams there is no other connection to wait for.
    let mut host = Host::new();
    let connection = host.connect().await;
    host.no_more();
    host.until(|heard| !heard.of("watchCommands").is_empty()).await;
    drop(connection);
    let before = Instant::now();
    assert_eq!((&mut host.run).await.unwrap().unwrap().reason, "connection.lost");
    assert!(before.elapsed() < AGAIN);
}

#[tokio::test(start_paused = true)]
async fn a_signal_stops_a_session_at_any_time() {
    // Before there is a host.
    let host = Host::new();
    host.stops.send("signal.term".to_owned()).await.unwrap();
    assert_eq!(host.run.await.unwrap().unwrap().reason, "signal.term");
    // While an agent that says nothing is being started, and while a turn runs.
    let silent = ScriptedLauncher::new(|mut side| async move {
        while side.recv_at_last().await.is_some() {}
        Exit::default()
    });
    for (host, starts) in [(Host::with(payload(), silent), false), (Host::new(), true)] {
        let connection = host.connect().await;
        host.until(|heard| !heard.of("hello").is_empty()).await;
        let turn = connection.prompt("hang").await;
        if starts {
            host.until(|heard| heard.kinds().contains(&"turn.started")).await;
        } else {
            host.until(|heard| heard.fates(&turn).ends_with(&["failed"])).await;
        }
        host.stops.send("signal.term".to_owned()).await.unwrap();
        let (ending, heard) = host.end(connection).await;
        assert_eq!((ending.clone().unwrap().reason.as_str(), ending.unwrap().error), ("signal.term", None));
        let heard = heard.lock();
        let last = heard.events.last().unwrap();
        assert_eq!(
            (&last["kind"], &last["payload"]["reason"]),
            (&json!("session.ended"), &json!("signal.term"))
        );
        assert_eq!(heard.of("ready").is_empty(), !starts);
        assert_eq!(heard.kinds().contains(&"turn.completed"), starts);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_fails_says_why_and_so_does_the_run() {
    let dies = ScriptedLauncher::new(|_| async { Exit { code: Some(9), signal: None } });
    let host = Host::with(payload(), dies);
    let connection = host.connect().await;
    let (ending, heard) = host.end(connection).await;
    let ending = ending.unwrap();
    assert_eq!(ending.reason, "backend.start_failed");
    assert!(ending.error.is_some());
    let heard = heard.lock();
    assert_eq!(heard.kinds().last(), Some(&"session.ended"));
    assert!(heard.of("ready").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_hello_that_cannot_be_used_ends_the_connection_and_not_the_run() {
    let host = Host::new();
    for (hello, next) in [
        (Answer::Result(json!({"runConfig": {"eventBatchMaxSize": 0}})), Answer::Error(-32_000)),
        (Answer::Error(-32_000), Answer::Never),
        (Answer::Never, Answer::Usual),
    ] {
        let ends = host.heard.lock().answers.len();
        host.answer("hello", hello);
        let _connection = host.connect().await;
        host.until(|heard| heard.answers.len() > ends).await;
        assert_eq!(host.heard.lock().answers.last(), Some(&Value::Null));
        host.answer("hello", next);
    }
    let connection = host.connect().await;
    host.until(|heard| !heard.of("watchCommands").is_empty()).await;
    // A host that has more than was ever said is that of another session.
    drop(connection);
    host.heard.lock().hello = json!({"nextSeq": 1000});
    let ends = host.heard.lock().answers.len();
    let connection = host.connect().await;
    host.until(|heard| heard.answers.len() > ends).await;
    drop(connection);
    host.heard.lock().hello = Value::Null;
    let connection = host.connect().await;
    connection.stop().await;
    assert_eq!(host.end(connection).await.0.unwrap().error, None);
}

#[tokio::test(start_paused = true)]
async fn nonsense_of_a_host_is_answered_and_changes_nothing() {
    let host = Host::new();
    let connection = host.connect().await;
    host.until(|heard| !heard.of("watchCommands").is_empty()).await;
    let too_long = format!("{{\"x\": \"{}\"}}", "y".repeat(17 << 20));
    let deep = "[".repeat(100_000);
    for (text, code) in [
        ("{", -32_700),
        (deep.as_str(), -32_700),
        (too_long.as_str(), -32_700),
        ("[]", -32_600),
        ("7", -32_600),
        (r#"{"jsonrpc": "2.0"}"#, -32_600),
        (r#"{"jsonrpc": "2.0", "id": 1, "method": "rm"}"#, -32_601),
    ] {
        let before = host.heard.lock().answers.len();
        connection.say_text(text).await;
        host.until(|heard| heard.answers.len() > before).await;
        assert_eq!(host.heard.lock().answers.last().unwrap()["error"]["code"], code, "{:.40}", text);
    }
    // Answers to what was never asked, and errors about nothing, are not answered.
    let before = host.heard.lock().answers.len();
    connection.say(&json!({"jsonrpc": "2.0", "id": 999_999, "result": 1})).await;
    connection.say(&json!({"jsonrpc": "2.0", "id": null, "error": {"code": 1, "message": "?"}})).await;
    let bad = connection.command(json!({"kind": "turn.fly"})).await;
    host.until(|heard| heard.fates(&bad) == ["failed"]).await;
    assert_eq!(host.heard.lock().answers.len(), before);
    connection.stop().await;
    assert_eq!(host.end(connection).await.0.unwrap().error, None);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_commands_whose_fates_nobody_hears_is_put_off_and_what_was_taken_is_told_in_full() {
    let host = Host::new();
    let connection = host.connect().await;
    host.until(|heard| !heard.of("watchCommands").is_empty()).await;
    host.answer("commandUpdate", Answer::Never);
    let count = 3000;
    for n in 0..count {
        let params = json!({"kind": "turn.cancel", "commandId": n.to_string()});
        connection.say(&json!({"jsonrpc": "2.0", "id": n, "method": "command", "params": params})).await;
    }
    host.until(|heard| heard.answers.len() == count).await;
    host.answer("commandUpdate", Answer::Usual);
    let taken: Vec<String> = {
        let heard = host.heard.lock();
        let taken = heard.answers.iter().filter(|answer| answer.get("result").is_some());
        taken.map(|answer| answer["id"].to_string()).collect()
    };
    assert!((500..2000).contains(&taken.len()), "{}", taken.len());
    let completed = |heard: &Heard| {
        heard.of("commandUpdate").iter().filter(|update| update["status"] == "completed").count()
    };
    host.until(|heard| completed(heard) >= taken.len()).await;
    for id in taken {
        assert!(host.heard.lock().fates(&id).ends_with(&["accepted", "completed"]), "{id}");
    }

    // One that does not want to know is let go, and may come back.
    host.answer("commandUpdate", Answer::Never);
    for _ in 0..count {
        connection.command(json!({"kind": "turn.cancel"})).await;
    }
    host.until(|heard| heard.answers.last() == Some(&Value::Null)).await;
    host.answer("commandUpdate", Answer::Usual);
    let connection = host.connect().await;
    // It hears first of those that were taken.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let turn = connection.prompt("1").await;
    host.until(|heard| heard.fates(&turn).ends_with(&["completed"])).await;
    connection.stop().await;
    assert_eq!(host.end(connection).await.0.unwrap().reason, "enough");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_take_events_gets_all_of_them_once_it_does() {
    let host = Host::new();
    let connection = host.connect().await;
    host.until(|heard| !heard.of("watchCommands").is_empty()).await;
    host.answer("pushEvents", Answer::Never);
    // More than are kept: the agent is not read any further.
    let turn = connection.prompt("8000").await;
    host.until(|heard| heard.of("pushEvents").len() > 3).await;
    host.answer("pushEvents", Answer::Error(-32_000));
    let pushes = host.heard.lock().of("pushEvents").len();
    host.until(|heard| heard.of("pushEvents").len() > pushes + 3).await;
    host.answer("pushEvents", Answer::Usual);
    host.until(|heard| heard.fates(&turn).ends_with(&["completed"])).await;
    connection.stop().await;
    let (_, heard) = host.end(connection).await;
    let heard = heard.lock();
    let items = heard.kinds().iter().filter(|kind| **kind == "item.completed").count();
    assert_eq!(items, 8000);
    let logs = serde_json::to_string(&heard.of("pushLogs")).unwrap();
    assert!(logs.contains("events were not taken"), "{logs:.400}");
}

#[tokio::test(start_paused = true)]
async fn heartbeats_that_fail_are_logged_and_end_nothing() {
    let host = Host::new();
    host.answer("heartbeat", Answer::Error(-32_000));
    let connection = host.connect().await;
    host.until(|heard| heard.of("heartbeat").len() > 5).await;
    host.answer("heartbeat", Answer::Never);
    host.until(|heard| heard.of("heartbeat").len() > 8).await;
    let turn = connection.prompt("1").await;
    host.until(|heard| heard.fates(&turn).ends_with(&["completed"])).await;
    connection.stop().await;
    let (_, heard) = host.end(connection).await;
    let logs = serde_json::to_string(&heard.lock().of("pushLogs")).unwrap();
    assert!(
        logs.contains("heartbeat: the host answered with error") && logs.contains("did not answer"),
        "{logs}"
    );
}

#[test]
fn what_cannot_be_run_is_refused_before_anything_is_opened() {
    let prepared = |payload: &Value, variables: &[(&str, &str)]| {
        let payload = BootPayload::parse(&payload.to_string()).unwrap();
        let of = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables: BTreeMap<String, String> = variables.iter().map(of).collect();
        prepare(payload, variables, Ports::new(Arc::clone(&no_process())))
    };
    let setup =
        prepared(&payload(), &[("AGENT_DRIVER_LOG", "warn"), ("AGENT_DRIVER_ACP_ARGS", "[\"--acp\"]")]);
    let setup = setup.unwrap();
    assert_eq!(setup.level, Severity::Warn);
    assert_eq!(setup.payload.execution.environment.variables["AGENT_DRIVER_ACP_ARGS"], "[\"--acp\"]");
    assert!(!format!("{setup:?}").contains("the-boot-token"));
    // What the payload says goes before the driver's own.
    let own = [("AGENT_DRIVER_ACP_COMMAND", "other"), ("AGENT_DRIVER_BOOT_PAYLOAD", "{}")];
    let variables = prepared(&payload(), &own).unwrap().payload.execution.environment.variables;
    assert_eq!(variables["AGENT_DRIVER_ACP_COMMAND"], "agent");
    assert!(!variables.contains_key("AGENT_DRIVER_BOOT_PAYLOAD"));
    for (pointer, value, named) in [
        ("/runtimeTransport", json!("nobody"), "nobody"),
        ("/runtimeTransport", json!("openai-app-server"), "openai-runtime"),
        ("/execution/environment/variables", json!({}), "AGENT_DRIVER_ACP_COMMAND"),
        ("/execution/providerOptions", json!({"colour": 1}), "colour"),
    ] {
        let mut payload = payload();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = if parent.is_empty() { &mut payload } else { payload.pointer_mut(parent).unwrap() };
        parent[name] = value;
        let error = prepared(&payload, &[]).unwrap_err();
        assert!(error.message.contains(named), "{pointer}: {error}");
    }
    let error = prepared(&payload(), &[("AGENT_DRIVER_LOG", "loud")]).unwrap_err();
    assert!(error.message.contains("AGENT_DRIVER_LOG"), "{error}");
}
