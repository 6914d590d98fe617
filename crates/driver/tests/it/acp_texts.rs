//! Texts of the host's port: an agent is told of those that there are, and asks for them.

use std::sync::{Arc, Mutex};

use agentos_driver::event::{ChangedFile, TurnStatus};
use agentos_driver::ports::{Files, Pending, ServedTexts, TEXT_NOT_FOUND, TextRead};
use agentos_driver::process::Exit;
use agentos_driver::testing::ScriptedLauncher;
use agentos_driver::{ErrorInfo, Ports, StartInput};
use serde_json::{Value, json};

use super::acp_agent::{Agent, Rig, SESSION, execution, of_kind, start_with};

/// Texts of a host; what became of them.
struct Texts {
    served: ServedTexts,
    said: Mutex<Vec<String>>,
}

impl Files for Texts {
    fn report_changed<'a>(&'a self, _: &'a ChangedFile) -> Pending<'a, bool> {
        Box::pin(async { Ok(true) })
    }

    fn texts(&self) -> ServedTexts {
        self.served
    }

    fn read_text<'a>(&'a self, read: &'a TextRead) -> Pending<'a, String> {
        Box::pin(async move {
            self.said.lock().unwrap().push(format!("{read:?}"));
            match read.path.as_str() {
                "/there" => Ok("text".to_owned()),
                "/slow" => std::future::pending().await,
                "/none" => Err(ErrorInfo::new(TEXT_NOT_FOUND, "no such text")),
                _ => Err(ErrorInfo::new("host.broken", "out of order")),
            }
        })
    }

    fn write_text<'a>(&'a self, path: &'a str, text: &'a str) -> Pending<'a, ()> {
        Box::pin(async move {
            self.said.lock().unwrap().push(format!("{path} {text}"));
            Ok(())
        })
    }
}

async fn rig<F>(
    served: ServedTexts,
    play: impl Fn(Agent) -> F + Clone + Send + Sync + 'static,
) -> (Rig, Arc<Texts>)
where
    F: Future<Output = Exit> + Send + 'static,
{
    let texts = Arc::new(Texts { served, said: Mutex::default() });
    let launcher = ScriptedLauncher::new(move |side| play(Agent { side }));
    let mut ports = Ports::new(Arc::new(launcher.clone()));
    ports.files = Arc::<Texts>::clone(&texts);
    (start_with(StartInput::new(execution()), ports, launcher).await, texts)
}

/// Opens the session; what the agent is told of files and terminals.
async fn open(agent: &mut Agent) -> [Value; 3] {
    let initialize = agent.initialize(json!({})).await;
    let can = &initialize["params"]["clientCapabilities"];
    let told = [&can["fs"]["readTextFile"], &can["fs"]["writeTextFile"], &can["terminal"]].map(Clone::clone);
    let new = agent.expect("session/new").await;
    agent.answer(&new, json!({"sessionId": SESSION})).await;
    told
}

#[tokio::test(start_paused = true)]
async fn an_agent_reads_and_writes_what_the_host_has_in_hand() {
    let (mut rig, texts) = rig(ServedTexts { read: true, write: true }, |mut agent| async move {
        assert_eq!(open(&mut agent).await, [true, true, false].map(Value::from));
        let prompt = agent.expect("session/prompt").await;
        agent.ask(&json!(1), "fs/read_text_file", json!({"path": "/there", "line": 3, "limit": 2})).await;
        assert_eq!(agent.answered(&json!(1)).await, json!({"content": "text"}));
        agent.ask(&json!(2), "fs/write_text_file", json!({"path": "/a", "content": "b"})).await;
        assert_eq!(agent.answered(&json!(2)).await, json!({}));
        for (n, path, code) in [(3, "/none", -32002), (4, "/other", -32603), (5, "/slow", -32603)] {
            agent.ask(&json!(n), "fs/read_text_file", json!({"path": path})).await;
            if path == "/slow" {
                for _ in 0..2 {
                    tokio::time::sleep(std::time::Duration::from_secs(16)).await;
                    agent.say("waiting").await;
                }
            }
            let refused = agent.answered(&json!(n)).await;
            assert_eq!(refused["code"], code, "{refused}");
            assert_eq!(refused["data"].get("uri").is_some(), path == "/none");
        }
        agent.ask(&json!(6), "terminal/create", json!({"command": "ls"})).await;
        assert_eq!(agent.answered(&json!(6)).await["code"], -32601);
        agent.end_turn(&prompt).await;
        agent.rest().await
    })
    .await;
    assert_eq!(rig.turn("go").await.status, TurnStatus::Completed);
    let events = rig.stop().await;
    assert_eq!(of_kind(&events, "file.changed")[0]["changes"][0]["path"], "/a");
    let said = texts.said.lock().unwrap();
    assert!(
        said[0].contains("/there") && said[0].contains("Some(3)") && said[0].contains("Some(2)"),
        "{said:?}"
    );
    assert_eq!(said[1], "/a b");
}

#[tokio::test(start_paused = true)]
async fn what_the_host_does_not_have_is_no_method() {
    for (served, told) in [
        (ServedTexts { read: true, write: false }, [true, false, false]),
        (ServedTexts { read: false, write: true }, [false, true, false]),
        (ServedTexts::default(), [false, false, false]),
    ] {
        let (mut rig, _) = rig(served, move |mut agent| async move {
            assert_eq!(open(&mut agent).await, told.map(Value::from));
            let prompt = agent.expect("session/prompt").await;
            for (n, method, there) in [(1, "fs/read_text_file", told[0]), (2, "fs/write_text_file", told[1])]
            {
                agent.ask(&json!(n), method, json!({"path": "/there", "content": "c"})).await;
                let answer = agent.answered(&json!(n)).await;
                assert_eq!(answer["code"] == -32601, !there, "{method}: {answer}");
            }
            agent.end_turn(&prompt).await;
            agent.rest().await
        })
        .await;
        assert_eq!(rig.turn("go").await.status, TurnStatus::Completed);
        rig.stop().await;
    }
}
