//! Event streams over a real connection.

use std::sync::Arc;

use agentos_protocol::Connection;
use agentos_protocol::message::{CancelSession, Prompt, RawSend, Request, SessionEventRecord};
use agentos_protocol::mux::{self, Handler, Limits, RecordReader, RecordWriter, Responder};
use agentos_protocol::version::{Hello, Role};
use serde_json::json;
use tokio::time::timeout;

use super::super::{Session, events::follow};
use super::content;
use super::fake::{SHORT, ready};
use crate::service::sessions::of_session;

struct Nothing;
impl Handler for Nothing {}

/// Answers as the sidecar does, for one session.
struct Serving(Arc<Session>);

impl Handler for Serving {
    fn request(&self, request: Request, responder: Responder) {
        of_session(Arc::clone(&self.0), request, responder);
    }
}

async fn pair() -> (Connection, Connection) {
    pair_with(Arc::new(Nothing)).await
}

async fn pair_with(sidecar: Arc<dyn Handler>) -> (Connection, Connection) {
    let (a, b) = std::os::unix::net::UnixStream::pair().unwrap();
    let (client, sidecar) = tokio::join!(
        mux::connect(a, Hello::new(Role::Client), Arc::new(Nothing), Limits::default()),
        mux::connect(b, Hello::new(Role::Sidecar), sidecar, Limits::default()),
    );
    (client.unwrap(), sidecar.unwrap())
}

/// Events of the session on a stream, as a client reads them.
async fn stream(
    session: &Session,
    pair: &(Connection, Connection),
    cursor: u64,
) -> RecordReader<SessionEventRecord> {
    let stream = pair.0.open_recv().unwrap();
    let records = RecordWriter::new(pair.1.accept_send(stream.id()).unwrap());
    tokio::spawn(follow(session.subscribe(cursor).await.unwrap().0, records));
    RecordReader::new(stream)
}

#[tokio::test]
async fn a_slow_reader_gets_every_event_and_then_the_end() {
    // More than waits between the agent and the log.
    const UPDATES: usize = 20_000;
    const TEXT: usize = 200;
    let (session, mut agent) = ready().await;
    let pair = pair().await;
    let mut events = stream(&session, &pair, 0).await;
    let turn = tokio::spawn(session.clone().prompt(content("go"), None));
    let prompt = agent.expect("session/prompt").await;
    let talking = tokio::spawn(async move {
        for _ in 0..UPDATES {
            agent.say(&"x".repeat(TEXT)).await;
        }
        agent.answer(&prompt, json!({"stopReason": "end_turn"})).await;
        agent
    });
    // Nobody reads: the agent comes to a stop, far from its end.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!talking.is_finished() && !turn.is_finished());
    let mut seq = 0;
    let mut updates = 0;
    while updates < UPDATES {
        let event = timeout(SHORT, events.next()).await.unwrap().unwrap().unwrap();
        seq += 1;
        assert_eq!(event.seq, seq);
        updates += usize::from(event.method == "session/update");
    }
    let mut agent = talking.await.unwrap();
    assert_eq!(turn.await.unwrap().unwrap().text.len(), UPDATES * TEXT);

    // A new stream from a cursor goes on after it; one that is too old is told so.
    let mut later = stream(&session, &pair, seq).await;
    let event = timeout(SHORT, later.next()).await.unwrap().unwrap().unwrap();
    assert_eq!((event.seq, event.method.as_str()), (seq + 1, "_agentos/item_completed"));
    let error = session.subscribe(1).await.err().unwrap();
    assert!(error.message.contains("expired"), "{error}");
    // 0 is whatever is kept.
    let mut kept = stream(&session, &pair, 0).await;
    assert!(timeout(SHORT, kept.next()).await.unwrap().unwrap().unwrap().seq > 1);

    agent.die(Some(0), None);
    let mut kinds = Vec::new();
    while let Some(event) = timeout(SHORT, events.next()).await.unwrap().unwrap() {
        kinds.push(event.kind);
    }
    assert!(kinds.iter().any(|kind| kind == "turn.completed"), "{kinds:?}");
    assert_eq!(kinds.last().unwrap(), "session.ended");
}

#[tokio::test]
async fn a_client_that_looks_away_does_not_stop_the_agent() {
    let (session, mut agent) = ready().await;
    let pair = pair().await;
    let events = stream(&session, &pair, 0).await;
    let turn = tokio::spawn(session.clone().prompt(content("go"), None));
    let prompt = agent.expect("session/prompt").await;
    drop(events);
    for _ in 0..3000 {
        timeout(SHORT, agent.say("x")).await.unwrap();
    }
    agent.answer(&prompt, json!({"stopReason": "end_turn"})).await;
    assert_eq!(timeout(SHORT, turn).await.unwrap().unwrap().unwrap().text.len(), 3000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_were_sent_together_are_begun_in_their_order() {
    let (session, mut agent) = ready().await;
    let (client, _sidecar) = pair_with(Arc::new(Serving(Arc::clone(&session)))).await;
    let (vm_id, session_id) = (String::from("vm"), String::from("ours"));
    let prompt = |text: &str| {
        let (vm_id, session_id) = (vm_id.clone(), session_id.clone());
        let call = Prompt { vm_id, session_id, content: content(text), params: None };
        client.start_call(&call).unwrap()
    };
    for round in 0..20 {
        let texts: Vec<String> = (0..8).map(|n| format!("{round}.{n}")).collect();
        let turns: Vec<_> = texts.iter().map(|text| prompt(text)).collect();
        for (text, turn) in texts.iter().zip(turns) {
            let asked = agent.expect("session/prompt").await;
            assert_eq!(asked["params"]["prompt"][0]["text"], *text);
            agent.answer(&asked, json!({"stopReason": "end_turn"})).await;
            assert_eq!(timeout(SHORT, turn).await.unwrap().unwrap().stop_reason, "end_turn");
        }
        // A cancel right behind its prompts takes both, and nothing of the prompt that follows it.
        let (first, second) = (prompt("a"), prompt("b"));
        let cancel = CancelSession { vm_id: vm_id.clone(), session_id: session_id.clone() };
        let cancel = client.start_call(&cancel).unwrap();
        let third = prompt("c");
        let raw = RawSend {
            vm_id: vm_id.clone(),
            session_id: session_id.clone(),
            method: "_x/y".into(),
            params: Default::default(),
        };
        let raw = client.start_call(&raw).unwrap();
        // The first may be met before the agent has heard of it; if it has heard, it is told.
        let mut cancel = std::pin::pin!(timeout(SHORT, cancel));
        let (mut asked, mut next) = (None, None);
        loop {
            let message = tokio::select! {
                message = agent.recv() => message,
                cancelled = &mut cancel => {
                    cancelled.unwrap().unwrap();
                    break;
                }
            };
            match message["method"].as_str().unwrap() {
                "session/prompt" if message["params"]["prompt"][0]["text"] == "c" => next = Some(message),
                "session/prompt" => {
                    assert_eq!(message["params"]["prompt"][0]["text"], "a");
                    asked = Some(message);
                }
                "session/cancel" => {
                    agent.answer(asked.as_ref().unwrap(), json!({"stopReason": "cancelled"})).await;
                }
                _ => agent.answer(&message, json!({})).await,
            }
        }
        for turn in [first, second] {
            assert_eq!(timeout(SHORT, turn).await.unwrap().unwrap().stop_reason, "cancelled");
        }
        while next.is_none() {
            let message = agent.recv().await;
            if message["method"] == "_x/y" {
                agent.answer(&message, json!({})).await;
            } else {
                assert_eq!(message["params"]["prompt"][0]["text"], "c");
                next = Some(message);
            }
        }
        agent.answer(&next.unwrap(), json!({"stopReason": "end_turn"})).await;
        assert_eq!(timeout(SHORT, third).await.unwrap().unwrap().stop_reason, "end_turn");
        // It may come after the last prompt.
        let mut raw = std::pin::pin!(timeout(SHORT, raw));
        loop {
            tokio::select! {
                answered = &mut raw => break drop(answered.unwrap().unwrap()),
                message = agent.recv() => agent.answer(&message, json!({})).await,
            }
        }
    }
}
