//! Processes: their start, their end, who comes after them, their settings.

use std::time::Duration;

use agentos_driver::error::{BACKEND_EXITED, RESUME_LOST, RESUME_REFUSED};
use agentos_driver::event::{Body, TurnStatus};
use agentos_driver::{Command, Fate, Kernel, Order, Ports, ResumeRef, Runtime, StartInput, State};
use serde_json::{Value, json};

use super::play::{
    DONE, FELL, Session, accept, execution, init, prompt, ready, rest, result, say, simple, start,
    start_with, text, whole,
};

fn resuming(value: &str) -> StartInput {
    let mut input = StartInput::new(execution(json!({})));
    input.resume = Some(ResumeRef::new(Runtime::Claude, value));
    input
}

/// Why a session ended.
fn end(session: &Session) -> (String, String) {
    let ended = session.log.events.iter().find_map(|event| match &event.body {
        Body::SessionEnded(ended) => Some(ended.clone()),
        _ => None,
    });
    let error = ended.and_then(|ended| ended.error).unwrap();
    (error.code.clone(), error.details.get("stderr").and_then(Value::as_str).unwrap_or_default().to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_ends_at_once_fails_the_session_with_what_it_logged() {
    let mut session = start(|mut side| async move {
        side.log("no key").await;
        FELL
    })
    .await;
    assert_eq!(session.kernel.state(), State::Failed);
    session.log.to_end().await;
    assert_eq!(end(&session), (BACKEND_EXITED.to_owned(), "no key".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_says_nothing_is_not_waited_for_without_end() {
    let mut session = start(|mut side| async move {
        side.recv().await;
        std::future::pending::<()>().await;
        DONE
    })
    .await;
    assert_eq!(session.kernel.state(), State::Failed);
    session.log.to_end().await;
    assert_eq!(end(&session).0, "claude.request_timed_out");
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_refuses_to_begin_fails_the_session() {
    let mut session = start(|mut side| async move {
        let message = side.recv().await.unwrap();
        let response = json!({ "subtype": "error", "request_id": message["request_id"], "error": "no" });
        say(&mut side, &[json!({ "type": "control_response", "response": response })]).await;
        rest(&mut side).await
    })
    .await;
    session.log.to_end().await;
    assert_eq!(end(&session).0, "claude.request_refused");
}

#[tokio::test(start_paused = true)]
async fn options_that_are_wrong_are_an_error_before_anything_starts() {
    let launcher = agentos_driver::testing::ScriptedLauncher::new(|_| async { DONE });
    let ports = Ports::new(std::sync::Arc::new(launcher.clone()));
    let descriptor = std::sync::Arc::new(agentos_driver::backend::claude::descriptor());
    let input = StartInput::new(execution(json!({ "maxTurns": "many" })));
    let error = Kernel::start(descriptor.clone(), ports.clone(), input).await.unwrap_err();
    assert_eq!(error.code, "driver.provider_options_malformed");
    let mut input = StartInput::new(execution(json!({})));
    input.resume = Some(ResumeRef::new(Runtime::OpenAi, "T1"));
    let error = Kernel::start(descriptor, ports, input).await.unwrap_err();
    assert_eq!(error.code, RESUME_REFUSED);
    assert!(launcher.launched().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_resumed_session_that_the_vendor_does_not_know_is_lost() {
    let mut session = start_with(resuming("S1"), |mut side| async move {
        side.log("No conversation found").await;
        FELL
    })
    .await;
    session.log.to_end().await;
    assert_eq!(end(&session), (RESUME_LOST.to_owned(), "No conversation found".to_owned()));
    assert_eq!(session.launcher.launched().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_resumed_session_that_is_refused_at_its_first_turn_is_lost() {
    let mut session = start_with(resuming("S1"), |mut side| async move {
        ready(&mut side).await;
        prompt(&mut side).await;
        let refused = json!({ "type": "result", "subtype": "error_during_execution", "is_error": true,
            "session_id": "other", "num_turns": 0, "errors": ["No conversation found"] });
        say(&mut side, &[refused]).await;
        rest(&mut side).await
    })
    .await;
    let ended = session.turn("hello").await;
    assert_eq!((ended.status, ended.error.unwrap().code.as_str()), (TurnStatus::Failed, RESUME_LOST));
    session.log.to_end().await;
    assert_eq!(end(&session).0, RESUME_LOST);
    assert_eq!(session.launcher.launched().len(), 1, "it is not tried again");
    assert_eq!(session.kernel.resume_ref().0.unwrap().value, "S1", "the id of the refusal is not kept");
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_falls_in_a_turn_is_started_again_and_resumes() {
    let mut session = start(|mut side| async move {
        if side.start > 0 {
            assert!(side.spec.args.iter().any(|arg| arg == "--resume=S1"));
            return simple(side).await;
        }
        ready(&mut side).await;
        prompt(&mut side).await;
        say(&mut side, &[init(), whole("m", text("Hello"))]).await;
        side.log("out of memory").await;
        FELL
    })
    .await;
    let ended = session.turn("one").await;
    let error = ended.error.unwrap();
    assert_eq!(
        (ended.status, error.code.as_str(), error.retryable),
        (TurnStatus::Failed, BACKEND_EXITED, true)
    );
    assert_eq!(error.details["stderr"], "out of memory");
    session.kernel.until(|state| state == State::Ready).await;
    assert_eq!(session.turn("two").await.status, TurnStatus::Completed);
    session.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_falls_between_turns_is_started_again() {
    let mut session = start(|mut side| async move {
        if side.start > 0 {
            return simple(side).await;
        }
        ready(&mut side).await;
        prompt(&mut side).await;
        say(&mut side, &[init(), whole("m", text("Hello")), result(0.5)]).await;
        FELL
    })
    .await;
    assert_eq!(session.turn("one").await.status, TurnStatus::Completed);
    let restarted =
        |body: &Body| matches!(body, Body::DiagnosticReported(of) if of.code == "driver.backend_restarted");
    session.log.until(restarted).await;
    assert_eq!(session.turn("two").await.status, TurnStatus::Completed);
    session.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_closes_its_output_and_lives_on_is_ended() {
    let mut session = start(|side| async move {
        if side.start > 0 {
            return simple(side).await;
        }
        // Its streams end, it does not.
        drop(side);
        std::future::pending::<()>().await;
        DONE
    })
    .await;
    session.log.to_end().await;
    assert_eq!(session.kernel.state(), State::Failed);
    assert_eq!(end(&session).0, BACKEND_EXITED);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_session_is_the_end_of_its_input_and_no_loss() {
    let (told, heard) = tokio::sync::watch::channel(false);
    let mut session = start(move |mut side| {
        let told = told.clone();
        async move {
            ready(&mut side).await;
            prompt(&mut side).await;
            say(&mut side, &[init(), whole("m", text("Hello")), result(0.5)]).await;
            let end = rest(&mut side).await;
            told.send_replace(true);
            end
        }
    })
    .await;
    session.turn("hello").await;
    let log = session.stop().await;
    assert!(*heard.borrow());
    assert!(!log.text().contains(BACKEND_EXITED));
    assert_eq!(log.kinds().last().map(String::as_str), Some("session.ended"));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_dropped_takes_its_vendor_with_it() {
    struct Alive(tokio::sync::watch::Sender<bool>);
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.send_replace(false);
        }
    }
    let (told, mut heard) = tokio::sync::watch::channel(true);
    let session = start(move |mut side| {
        let alive = Alive(told.clone());
        async move {
            let _alive = alive;
            ready(&mut side).await;
            std::future::pending::<()>().await;
            DONE
        }
    })
    .await;
    let Session { kernel, log, .. } = session;
    drop((kernel, log));
    let ended = tokio::time::timeout(Duration::from_secs(60), heard.wait_for(|alive| !alive));
    assert!(ended.await.is_ok());
}

async fn set(session: &Session, config_id: &str, value: Value) -> agentos_driver::CommandUpdate {
    let config_id = config_id.to_owned();
    session.kernel.dispatch(Command::of(Order::ConfigSet { config_id, value })).await
}

#[tokio::test(start_paused = true)]
async fn settings_are_changed_in_the_running_vendor_and_kept_for_the_next() {
    let mut session = start(|mut side| async move {
        if side.start > 0 {
            for arg in ["--model=better", "--permission-mode=plan"] {
                assert!(side.spec.args.iter().any(|of| of == arg), "{arg}");
            }
            return simple(side).await;
        }
        ready(&mut side).await;
        let message = side.recv().await.unwrap();
        assert_eq!(message["request"], json!({ "subtype": "set_model", "model": "better" }));
        accept(&mut side, &message, json!({})).await;
        let message = side.recv().await.unwrap();
        assert_eq!(message["request"], json!({ "subtype": "set_permission_mode", "mode": "plan" }));
        accept(&mut side, &message, json!({ "mode": "plan" })).await;
        let message = side.recv().await.unwrap();
        let response = json!({ "subtype": "error", "request_id": message["request_id"], "error": "no such model",
            "error_code": "check_rejected" });
        say(&mut side, &[json!({ "type": "control_response", "response": response })]).await;
        prompt(&mut side).await;
        FELL
    })
    .await;
    assert_eq!(set(&session, "model", json!("better")).await.status, Fate::Completed);
    assert_eq!(set(&session, "permission_mode", json!("plan")).await.status, Fate::Completed);
    let refused = set(&session, "model", json!("none")).await;
    assert_eq!((refused.status, refused.error.unwrap().message.as_str()), (Fate::Failed, "no such model"));
    assert_eq!(set(&session, "colour", json!("red")).await.status, Fate::Failed);
    assert_eq!(set(&session, "model", json!(true)).await.status, Fate::Failed);
    assert_eq!(session.turn("fall").await.status, TurnStatus::Failed);
    session.kernel.until(|state| state == State::Ready).await;
    assert_eq!(session.turn("hello").await.status, TurnStatus::Completed);
    let log = session.stop().await;
    let values: Vec<Value> = log
        .events
        .iter()
        .filter_map(|event| match &event.body {
            Body::SessionConfigUpdated { options, .. } => {
                Some(options.iter().map(|option| option.value.clone()).collect())
            }
            _ => None,
        })
        .collect();
    let last = if values.last() == Some(&json!(["better", "default"])) {
        values.len() - 2
    } else {
        values.len() - 1
    };
    assert_eq!(
        values[..3],
        [json!(["default", "default"]), json!(["better", "default"]), json!(["better", "plan"])]
    );
    assert_eq!(values[last], json!(["better", "plan"]));
}

#[tokio::test(start_paused = true)]
async fn what_the_vendor_can_do_is_told_once() {
    let session = start(|mut side| async move {
        let message = side.recv().await.unwrap();
        let said = json!({ "commands": [{ "name": "compact", "description": "Shorter" }, { "x": 1 }],
            "models": [{ "value": "default", "displayName": "Default" }], "claude_code_version": "2.1.329",
            "current_permission_mode": "acceptEdits" });
        accept(&mut side, &message, said).await;
        rest(&mut side).await
    })
    .await;
    let log = session.stop().await;
    let text = log.text();
    for part in [
        r#""name":"compact""#,
        r#""value":"acceptEdits""#,
        r#""vendorVersion":"2.1.329""#,
        r#""name":"Default""#,
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_resumed_vendor_that_ends_before_it_began_its_first_turn_has_lost_the_session() {
    let mut session = start_with(resuming("S1"), |mut side| async move {
        ready(&mut side).await;
        prompt(&mut side).await;
        side.log("No conversation found").await;
        FELL
    })
    .await;
    assert_eq!(session.turn("hello").await.error.unwrap().code, RESUME_LOST);
    session.log.to_end().await;
    assert_eq!(end(&session).0, RESUME_LOST);
    assert_eq!(session.launcher.launched().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_resumed_vendor_that_is_killed_has_lost_nothing() {
    let mut session = start_with(resuming("S1"), |mut side| async move {
        if side.start > 0 {
            return simple(side).await;
        }
        ready(&mut side).await;
        prompt(&mut side).await;
        agentos_driver::process::Exit { code: None, signal: Some(9) }
    })
    .await;
    assert_eq!(session.turn("hello").await.error.unwrap().code, BACKEND_EXITED);
    session.kernel.until(|state| state == State::Ready).await;
    assert_eq!(session.turn("hello").await.status, TurnStatus::Completed);
    session.stop().await;
}

#[test]
fn the_backend_is_found_by_its_transport_and_says_what_it_can_do() {
    let mut registry = agentos_driver::Registry::new();
    registry.register(agentos_driver::backend::claude::descriptor()).unwrap();
    let found = registry.find("claude-agent-sdk", Runtime::Claude).unwrap();
    let supported = |id: &str| {
        let of = found.capabilities.iter().find(|capability| capability.id == id).unwrap();
        of.status == agentos_driver::registry::Support::Supported
    };
    for id in ["input_start", "permission_request", "thinking_stream", "custom_tool_execute", "native_resume"]
    {
        assert!(supported(id), "{id}");
    }
    assert!(!supported("turn_steer"));
    assert!(registry.find("claude-agent-sdk", Runtime::OpenAi).is_err());
}

#[tokio::test(start_paused = true)]
async fn skills_are_named_to_the_vendor_and_their_lack_is_told() {
    struct Fixed(bool);
    impl agentos_driver::ports::Skills for Fixed {
        fn materialize<'a>(
            &'a self,
            _: &'a agentos_driver::boot::Execution,
        ) -> agentos_driver::ports::Pending<'a, agentos_driver::ports::Materialized> {
            Box::pin(async {
                if !self.0 {
                    return Err(agentos_driver::ErrorInfo::new("x", "no room"));
                }
                let skill = agentos_driver::ports::MaterializedSkill {
                    skill_id: "s".to_owned(),
                    skill_name: "Maps".to_owned(),
                    mount_path: "/m".to_owned(),
                    skill_markdown_path: "/m/SKILL.md".to_owned(),
                    snapshot_id: "1".to_owned(),
                };
                Ok(agentos_driver::ports::Materialized { skills: vec![skill], ..Default::default() })
            })
        }
    }
    for there in [true, false] {
        let with = move |mut ports: Ports| {
            ports.skills = std::sync::Arc::new(Fixed(there));
            ports
        };
        let session = super::play::start_on(StartInput::new(execution(json!({}))), with, simple).await;
        let args = session.launcher.launched()[0].args.clone();
        assert_eq!(args.iter().any(|arg| arg.contains("/m/SKILL.md")), there, "{args:?}");
        let log = session.stop().await;
        let skipped = super::play::diagnostics(&log).iter().any(|line| line.starts_with("skill.failed"));
        assert_eq!(skipped, !there);
    }
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_ended_is_gone_also_if_another_holds_its_output() {
    let mut session = start(|mut side| async move {
        if side.start > 0 {
            return simple(side).await;
        }
        ready(&mut side).await;
        prompt(&mut side).await;
        say(&mut side, &[init()]).await;
        tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(side);
        });
        FELL
    })
    .await;
    assert_eq!(session.turn("one").await.error.unwrap().code, BACKEND_EXITED);
    session.kernel.until(|state| state == State::Ready).await;
    assert_eq!(session.turn("two").await.status, TurnStatus::Completed);
    session.stop().await;
}
