//! The app server as tests play it, sessions over it, and what holds for every log.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;

use agentos_driver::command::Decision;
use agentos_driver::event::{Body, Event, ItemStatus, Permission};
use agentos_driver::process::Exit;
use agentos_driver::testing::{Log, ScriptedLauncher, VendorSide};
use agentos_driver::{
    Command, CommandUpdate, Input, Kernel, Order, Ports, ResumeRef, Runtime, StartInput, backend,
};
use serde_json::{Value, json};
use ulid::Ulid;

pub(crate) const THREAD: &str = "T1";

/// A session and what it says.
pub(crate) struct Session {
    pub(crate) kernel: Kernel,
    pub(crate) log: Log,
    pub(crate) launcher: ScriptedLauncher,
}

/// What a session of a test begins with.
pub(crate) fn input() -> StartInput {
    let execution = json!({ "session": { "cwd": "/workspace" }, "provider": "openai" });
    StartInput::new(serde_json::from_value(execution).unwrap())
}

/// The same, with a thread to be resumed.
pub(crate) fn resuming() -> StartInput {
    StartInput { resume: Some(ResumeRef::new(Runtime::OpenAi, THREAD)), ..input() }
}

impl Session {
    pub(crate) async fn start<F>(play: impl Fn(VendorSide) -> F + Send + Sync + 'static) -> Session
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Session::with(input(), play).await
    }

    pub(crate) async fn with<F>(
        input: StartInput,
        play: impl Fn(VendorSide) -> F + Send + Sync + 'static,
    ) -> Session
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let launcher = ScriptedLauncher::new(move |side| {
            let life = play(side);
            async move {
                life.await;
                Exit { code: Some(0), signal: None }
            }
        });
        let ports = Ports::new(Arc::new(launcher.clone()));
        let kernel = Kernel::start(Arc::new(backend::codex::descriptor()), ports, input).await.unwrap();
        let log = Log::new(kernel.events().unwrap());
        Session { kernel, log, launcher }
    }

    /// Begins a turn; its fate comes when it has ended.
    pub(crate) fn begin(&self, text: &str) -> (Ulid, tokio::task::JoinHandle<CommandUpdate>) {
        let run_id = Ulid::generate();
        let order = Order::InputStart {
            request_id: "r".to_owned(),
            run_id,
            input: Input::text(text),
            access_snapshot: None,
        };
        let kernel = self.kernel.clone();
        (run_id, tokio::spawn(async move { kernel.dispatch(Command::of(order)).await }))
    }

    /// Runs a turn to its end.
    pub(crate) async fn run(&self, text: &str) -> CommandUpdate {
        self.begin(text).1.await.unwrap()
    }

    pub(crate) async fn order(&self, order: Order) -> CommandUpdate {
        self.kernel.dispatch(Command::of(order)).await
    }

    /// Waits for a permission.
    pub(crate) async fn permission(&mut self) -> Permission {
        let event = self.log.until(|body| matches!(body, Body::PermissionRequested(_))).await;
        let Body::PermissionRequested(permission) = event.body else { unreachable!() };
        permission
    }

    pub(crate) async fn decide(&self, request: &Permission, decision: Decision, option: Option<&str>) {
        let order = Order::PermissionResolve {
            request_id: request.request_id.clone(),
            decision,
            option_id: option.map(str::to_owned),
            message: None,
        };
        let update = self.order(order).await;
        assert_eq!(update.result, Some(json!({ "resolved": true })));
    }

    /// Waits for the end of a turn, and gives it.
    pub(crate) async fn ended(&mut self) -> Value {
        let event = self.log.until(|body| matches!(body, Body::TurnCompleted(_))).await;
        payload(&event)
    }

    /// Ends the session, and checks all that it said.
    pub(crate) async fn finish(mut self) -> Vec<Event> {
        self.kernel.stop("test").await.unwrap();
        self.log.to_end().await;
        check(&self.log.events);
        self.log.events
    }
}

pub(crate) fn payload(event: &Event) -> Value {
    serde_json::to_value(&event.body).unwrap()["payload"].clone()
}

/// The payloads of all events of a kind.
pub(crate) fn all(events: &[Event], kind: &str) -> Vec<Value> {
    let values = events.iter().map(|event| serde_json::to_value(&event.body).unwrap());
    values.filter(|value| value["kind"] == kind).map(|value| value["payload"].clone()).collect()
}

/// What happened to the items of a kind: each status that was told.
pub(crate) fn statuses(events: &[Event], kind: &str) -> Vec<String> {
    let mut ids = HashSet::new();
    let mut statuses = Vec::new();
    for event in events {
        let value = payload(event);
        match &event.body {
            Body::ItemStarted { .. } if value["item"]["kind"] == kind => {
                ids.insert(value["item"]["itemId"].clone());
                statuses.push(value["item"]["status"].as_str().unwrap().to_owned());
            }
            Body::ItemUpdated(patch) if ids.contains(&value["itemId"]) => {
                statuses.extend(patch.patch.get("status").map(|status| status.as_str().unwrap().to_owned()));
            }
            Body::ItemCompleted { .. } if ids.contains(&value["item"]["itemId"]) => {
                statuses.push(value["item"]["status"].as_str().unwrap().to_owned());
            }
            _ => {}
        }
    }
    statuses
}

/// What holds for the log of every session, whatever a vendor does.
pub(crate) fn check(events: &[Event]) {
    let mut turn: Option<Ulid> = None;
    let mut turns = HashSet::new();
    let mut open: HashMap<String, HashMap<String, u64>> = HashMap::new();
    let mut begun = HashSet::new();
    let mut questions = HashSet::new();
    let mut last = 0;
    for (n, event) in events.iter().enumerate() {
        assert!(event.seq > last, "numbers go up");
        last = event.seq;
        if event.turn_id.is_some() {
            let begins = matches!(event.body, Body::TurnStarted { .. });
            assert!(begins || event.turn_id == turn, "{event:?} is not of the turn that runs");
        }
        match &event.body {
            Body::TurnStarted { .. } => {
                assert_eq!(turn, None, "one turn at a time");
                turn = event.turn_id;
                assert!(turns.insert(turn), "a turn begins once");
            }
            Body::TurnCompleted(_) => {
                assert!(open.is_empty(), "open at the end of the turn: {open:?}");
                assert!(questions.is_empty(), "asked at the end of the turn: {questions:?}");
                assert!(turn.take().is_some());
            }
            Body::ItemStarted { item } => {
                assert!(begun.insert(item.item_id.clone()), "{} begins once", item.item_id);
                assert!(!item.status.is_terminal());
                open.insert(item.item_id.clone(), HashMap::new());
            }
            Body::ItemUpdated(patch) => assert!(open.contains_key(&patch.item_id)),
            Body::ItemDelta(delta) => {
                let texts = open.get_mut(&delta.item_id).expect("a delta of an open item");
                let offset = texts.entry(format!("{:?} {:?}", delta.stream, delta.index)).or_default();
                assert_eq!(*offset, delta.offset);
                *offset += delta.delta.len() as u64;
            }
            Body::ItemCompleted { item } => {
                assert!(open.remove(&item.item_id).is_some(), "{} ends once", item.item_id);
                assert!(item.status.is_terminal() && item.completed_at.is_some());
            }
            Body::PermissionRequested(Permission { request_id, item_id, .. }) => {
                assert!(item_id.as_ref().is_none_or(|item| begun.contains(item)), "asked before its item");
                assert!(questions.insert(request_id.clone()));
            }
            Body::InputRequested(request) => assert!(questions.insert(request.request_id.clone())),
            Body::CustomToolRequested(call) => assert!(questions.insert(call.request_id.clone())),
            Body::PermissionResolved(resolved) => assert!(questions.remove(&resolved.request_id)),
            Body::InputResolved(resolved) => assert!(questions.remove(&resolved.request_id)),
            Body::CustomToolResolved(resolved) => assert!(questions.remove(&resolved.request_id)),
            Body::SessionEnded(_) => assert_eq!(n, events.len() - 1, "nothing follows the end"),
            _ => {}
        }
    }
    assert_eq!(turn, None, "a turn that never ended");
}

/// Whether no item was left without an end of its own, but those that a cancel ended.
pub(crate) fn cancelled_items(events: &[Event]) -> usize {
    let ended =
        |body: &Body| matches!(body, Body::ItemCompleted { item } if item.status == ItemStatus::Cancelled);
    events.iter().filter(|event| ended(&event.body)).count()
}

/// The app server, with the messages that it sends all the time.
pub(crate) struct Server {
    pub(crate) side: VendorSide,
}

impl Server {
    /// Does what comes before the first turn.
    pub(crate) async fn ready(side: VendorSide) -> Server {
        let mut server = Server { side };
        server.answer("initialize", json!({ "userAgent": "x" })).await;
        assert_eq!(server.side.recv().await.unwrap(), json!({ "method": "initialized" }));
        let asked = server.side.recv().await.unwrap();
        let method = asked["method"].as_str().unwrap();
        assert!(matches!(method, "thread/start" | "thread/resume"), "{asked}");
        let thread = json!({ "id": THREAD, "cliVersion": "0.169.0", "cwd": "/workspace" });
        server.side.send(json!({ "id": asked["id"], "result": { "thread": thread, "model": "m" } })).await;
        server
    }

    pub(crate) async fn recv(&mut self) -> Value {
        self.side.recv().await.expect("the backend says more")
    }

    /// Takes a request of this method, and gives it.
    pub(crate) async fn asked(&mut self, method: &str) -> Value {
        let asked = self.recv().await;
        assert_eq!(asked["method"], method, "{asked}");
        asked
    }

    /// Answers a request of this method.
    pub(crate) async fn answer(&mut self, method: &str, result: Value) -> Value {
        let asked = self.asked(method).await;
        self.side.send(json!({ "id": asked["id"], "result": result })).await;
        asked
    }

    /// Begins a turn of this id.
    pub(crate) async fn turn(&mut self, id: &str) -> Value {
        let turn = json!({ "turn": { "id": id, "status": "inProgress", "items": [] } });
        let asked = self.answer("turn/start", turn).await;
        self.status(json!({ "type": "active", "activeFlags": [] })).await;
        self.say("turn/started", json!({ "turn": { "id": id, "status": "inProgress" } })).await;
        asked
    }

    pub(crate) async fn say(&mut self, method: &str, mut params: Value) {
        params["threadId"] = json!(THREAD);
        self.side.send(json!({ "method": method, "params": params, "emittedAtMs": 1 })).await;
    }

    pub(crate) async fn ask(&mut self, id: Value, method: &str, mut params: Value) {
        params["threadId"] = json!(THREAD);
        self.side.send(json!({ "method": method, "id": id, "params": params })).await;
    }

    pub(crate) async fn status(&mut self, status: Value) {
        self.say("thread/status/changed", json!({ "status": status })).await;
    }

    pub(crate) async fn item(&mut self, turn: &str, what: &str, item: Value) {
        self.say(&format!("item/{what}"), json!({ "turnId": turn, "item": item })).await;
    }

    /// A command that somebody is asked about.
    pub(crate) async fn command_asks(&mut self, turn: &str, item: &str, id: Value) {
        self.status(json!({ "type": "active", "activeFlags": ["waitingOnApproval"] })).await;
        self.item(turn, "started", command(item, "inProgress", Value::Null)).await;
        let params = json!({ "turnId": turn, "itemId": item, "command": "touch /out", "cwd": "/workspace",
            "reason": "outside", "availableDecisions": ["accept", "cancel"] });
        self.ask(id, "item/commandExecution/requestApproval", params).await;
    }

    /// That a request is answered, and that nobody is asked any more.
    pub(crate) async fn resolved(&mut self, id: Value) {
        self.say("serverRequest/resolved", json!({ "requestId": id })).await;
        self.status(json!({ "type": "active", "activeFlags": [] })).await;
    }

    pub(crate) async fn message(&mut self, turn: &str, item: &str, text: &str) {
        let of = |text: &str| json!({ "type": "agentMessage", "id": item, "text": text, "phase": null });
        self.item(turn, "started", of("")).await;
        let (a, b) = text.split_at(text.len() / 2);
        for delta in [a, b] {
            let params = json!({ "turnId": turn, "itemId": item, "delta": delta });
            self.say("item/agentMessage/delta", params).await;
        }
        self.item(turn, "completed", of(text)).await;
    }

    /// What the turn and the thread have used, in requests of 18 tokens.
    pub(crate) async fn used(&mut self, turn: &str, total: u64) {
        let count = |n: u64| {
            json!({ "totalTokens": 18 * n, "inputTokens": 11 * n, "cachedInputTokens": 2 * n,
                "cacheWriteInputTokens": 0, "outputTokens": 7 * n, "reasoningOutputTokens": 3 * n })
        };
        let usage = json!({ "total": count(total), "last": count(1), "modelContextWindow": 1000 });
        self.say("thread/tokenUsage/updated", json!({ "turnId": turn, "tokenUsage": usage })).await;
    }

    pub(crate) async fn ends(&mut self, turn: &str, status: &str, error: Value) {
        self.status(json!({ "type": "idle" })).await;
        let turn = json!({ "id": turn, "status": status, "error": error, "items": [] });
        self.say("turn/completed", json!({ "turn": turn })).await;
    }

    pub(crate) async fn completes(&mut self, turn: &str) {
        self.ends(turn, "completed", Value::Null).await;
    }

    /// Reads to the end of its input, as it does when it is stopped, and gives what was said.
    pub(crate) async fn rest(&mut self) -> Vec<Value> {
        let mut said = Vec::new();
        while let Some(more) = self.side.recv().await {
            said.push(more);
        }
        said
    }
}

pub(crate) fn command(item: &str, status: &str, exit_code: Value) -> Value {
    json!({ "type": "commandExecution", "id": item, "command": "touch /out", "cwd": "/workspace", "status": status,
        "aggregatedOutput": if exit_code.is_null() { Value::Null } else { json!("hi\n") }, "exitCode": exit_code })
}
