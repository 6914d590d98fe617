//! The vendor's side in small steps, a session with such a vendor, and what holds for every log.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use agentos_driver::backend::claude::descriptor;
use agentos_driver::boot::Execution;
use agentos_driver::command::Decision;
use agentos_driver::event::{Body, Event, Item, TurnCompleted};
use agentos_driver::process::Exit;
use agentos_driver::testing::{Log, ScriptedLauncher, VendorSide};
use agentos_driver::{Command, CommandUpdate, Input, Kernel, Order, Ports, StartInput};
use futures_util::FutureExt as _;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use ulid::Ulid;

/// The end of a process that was told to end.
pub(super) const DONE: Exit = Exit { code: Some(0), signal: None };
/// The end of one that fell.
pub(super) const FELL: Exit = Exit { code: Some(1), signal: None };

/// A session with a vendor that a test plays.
pub(super) struct Session {
    pub(super) kernel: Kernel,
    pub(super) log: Log,
    pub(super) launcher: ScriptedLauncher,
    _vendors: Vendors,
}

/// How many vendors found something wrong. Dropped, it tells.
#[derive(Default)]
pub(super) struct Vendors(Arc<AtomicUsize>);

impl Drop for Vendors {
    fn drop(&mut self) {
        let broken = self.0.load(Ordering::SeqCst);
        assert!(broken == 0 || std::thread::panicking(), "{broken} vendors found something wrong");
    }
}

/// A session of nothing in particular.
pub(super) async fn start<F>(play: impl Fn(VendorSide) -> F + Send + Sync + 'static) -> Session
where
    F: Future<Output = Exit> + Send + 'static,
{
    start_with(StartInput::new(execution(json!({}))), play).await
}

pub(super) async fn start_with<F>(
    input: StartInput,
    play: impl Fn(VendorSide) -> F + Send + Sync + 'static,
) -> Session
where
    F: Future<Output = Exit> + Send + 'static,
{
    start_on(input, |ports| ports, play).await
}

pub(super) async fn start_on<F>(
    input: StartInput,
    with: impl Fn(Ports) -> Ports,
    play: impl Fn(VendorSide) -> F + Send + Sync + 'static,
) -> Session
where
    F: Future<Output = Exit> + Send + 'static,
{
    let vendors = Vendors::default();
    let count = Arc::clone(&vendors.0);
    let launcher = ScriptedLauncher::new(move |side| {
        let (life, count) = (AssertUnwindSafe(play(side)).catch_unwind(), Arc::clone(&count));
        async move {
            life.await.unwrap_or_else(|_| {
                count.fetch_add(1, Ordering::SeqCst);
                FELL
            })
        }
    });
    let ports = with(Ports::new(Arc::new(launcher.clone())));
    let kernel = Kernel::start(Arc::new(descriptor()), ports, input).await.unwrap();
    let log = Log::new(kernel.events().unwrap());
    Session { kernel, log, launcher, _vendors: vendors }
}

/// What is to be run, with these options of the host.
pub(super) fn execution(options: Value) -> Execution {
    let Value::Object(provider_options) = options else { panic!("not an object") };
    let mut execution = Execution { provider_options, ..Execution::default() };
    execution.session.cwd = "/work".to_owned();
    execution
}

/// A session in which nobody waits long for an answer.
pub(super) fn impatient() -> StartInput {
    let mut input = StartInput::new(execution(json!({})));
    input.permission_timeout = Some(std::time::Duration::from_secs(10));
    input
}

impl Session {
    /// Begins a turn; its command ends with it.
    pub(super) fn begin(&self, text: &str) -> (Ulid, JoinHandle<CommandUpdate>) {
        let (kernel, run_id) = (self.kernel.clone(), Ulid::generate());
        let (request_id, input) = ("r".to_owned(), Input::text(text));
        let order = Order::InputStart { request_id, run_id, input, access_snapshot: None };
        (run_id, tokio::spawn(async move { kernel.dispatch(Command::of(order)).await }))
    }

    /// Runs a turn to its end.
    pub(super) async fn turn(&mut self, text: &str) -> TurnCompleted {
        let (_, done) = self.begin(text);
        let ended = self.ended().await;
        done.await.unwrap();
        ended
    }

    /// Waits for the end of the turn that runs.
    pub(super) async fn ended(&mut self) -> TurnCompleted {
        let event = self.log.until(|body| matches!(body, Body::TurnCompleted(_))).await;
        let Body::TurnCompleted(completed) = event.body else { panic!("not an end") };
        completed
    }

    /// Waits for a question about a permission, and gives its id.
    pub(super) async fn asked(&mut self) -> String {
        let event = self.log.until(|body| matches!(body, Body::PermissionRequested(_))).await;
        let Body::PermissionRequested(permission) = event.body else { panic!("not a permission") };
        permission.request_id
    }

    pub(super) async fn decide(
        &self,
        request_id: &str,
        decision: Decision,
        message: Option<&str>,
    ) -> CommandUpdate {
        let (request_id, message) = (request_id.to_owned(), message.map(str::to_owned));
        let order = Order::PermissionResolve { request_id, decision, option_id: None, message };
        self.kernel.dispatch(Command::of(order)).await
    }

    /// Ends the session, and checks its log.
    pub(super) async fn stop(mut self) -> Log {
        self.kernel.stop("enough").await.unwrap();
        self.log.to_end().await;
        check(&self.log.events);
        self.log
    }
}

/// The items of a log as they ended.
pub(super) fn items(log: &Log) -> Vec<Item> {
    let ended = log.events.iter().filter_map(|event| match &event.body {
        Body::ItemCompleted { item } => Some(item.clone()),
        _ => None,
    });
    ended.collect()
}

/// The status of an item as it ended.
pub(super) fn status(log: &Log, item_id: &str) -> Option<String> {
    let item = items(log).into_iter().find(|item| item.item_id == item_id)?;
    Some(format!("{:?}", item.status))
}

/// The codes of the diagnostics of a log.
pub(super) fn diagnostics(log: &Log) -> Vec<String> {
    let codes = log.events.iter().filter_map(|event| match &event.body {
        Body::DiagnosticReported(of) => Some(format!("{} {}", of.code, of.message)),
        _ => None,
    });
    codes.collect()
}

/// What holds for every log: turns begin and end once, what began in one ends in it, questions come after their items.
pub(super) fn check(events: &[Event]) {
    let (mut begun, mut ended) = (HashSet::new(), HashSet::new());
    let mut open: HashMap<String, Ulid> = HashMap::new();
    let mut items = HashSet::new();
    let mut asked = HashSet::new();
    let mut seq = 0;
    for event in events {
        assert!(event.seq > seq, "numbers grow");
        seq = event.seq;
        if let Some(turn) = event.turn_id {
            assert!(!ended.contains(&turn), "nothing follows the end of a turn: {event:?}");
            let first = begun.insert(turn);
            assert_eq!(first, matches!(event.body, Body::TurnStarted { .. }), "{event:?}");
        }
        match &event.body {
            Body::ItemStarted { item } => {
                assert!(items.insert(item.item_id.clone()), "{} began twice", item.item_id);
                open.insert(item.item_id.clone(), event.turn_id.unwrap());
            }
            Body::ItemCompleted { item } => {
                assert!(item.status.is_terminal());
                assert_eq!(open.remove(&item.item_id), event.turn_id, "{} ends in its turn", item.item_id);
            }
            Body::ItemUpdated(patch) => assert!(open.contains_key(&patch.item_id), "{event:?}"),
            Body::ItemDelta(delta) => assert!(open.contains_key(&delta.item_id), "{event:?}"),
            Body::PermissionRequested(permission) => {
                assert!(asked.insert(permission.request_id.clone()), "an id is used once");
                if let Some(id) = &permission.item_id {
                    assert!(items.contains(id), "the item of a permission is there: {event:?}");
                }
            }
            Body::InputRequested(request) => assert!(asked.insert(request.request_id.clone())),
            Body::CustomToolRequested(call) => {
                assert!(open.contains_key(&call.item_id), "the item of a call is there: {event:?}");
                assert!(asked.insert(call.request_id.clone()));
            }
            Body::PermissionResolved(resolved) => assert!(asked.remove(&resolved.request_id)),
            Body::InputResolved(resolved) => assert!(asked.remove(&resolved.request_id)),
            Body::CustomToolResolved(closed) => assert!(asked.remove(&closed.request_id)),
            Body::TurnCompleted(_) => {
                ended.insert(event.turn_id.unwrap());
                assert!(open.is_empty(), "items are open at the end of a turn: {open:?}");
                assert!(asked.is_empty(), "questions are open at the end of a turn: {asked:?}");
            }
            _ => {}
        }
    }
    assert_eq!(begun, ended, "every turn that began has ended");
}

/// Answers the first request.
pub(super) async fn ready(side: &mut VendorSide) -> Value {
    let message = side.recv().await.unwrap_or_default();
    assert_eq!(message["request"]["subtype"], "initialize", "{message}");
    accept(side, &message, json!({ "commands": [], "models": [] })).await;
    message
}

/// Answers a request of the driver.
pub(super) async fn accept(side: &mut VendorSide, message: &Value, response: Value) {
    let response = json!({ "subtype": "success", "request_id": message["request_id"], "response": response });
    side.send(json!({ "type": "control_response", "response": response })).await;
}

/// The next prompt; nothing at the end of the input.
pub(super) async fn prompt(side: &mut VendorSide) -> Option<String> {
    let message = side.recv().await?;
    assert_eq!(message["type"], "user", "{message}");
    Some(message["message"]["content"][0]["text"].as_str().unwrap_or_default().to_owned())
}

/// The next answer to a question.
pub(super) async fn answer(side: &mut VendorSide) -> Value {
    let message = side.recv().await.unwrap_or_default();
    assert_eq!(message["type"], "control_response", "{message}");
    message["response"].clone()
}

/// Takes an interrupt, and answers it.
pub(super) async fn interrupted(side: &mut VendorSide) {
    let message = side.recv().await.unwrap_or_default();
    assert_eq!(message["request"]["subtype"], "interrupt", "{message}");
    accept(side, &message, json!({ "still_queued": [] })).await;
}

/// Waits for the end of the input.
pub(super) async fn rest(side: &mut VendorSide) -> Exit {
    while side.recv().await.is_some() {}
    DONE
}

/// Says several messages.
pub(super) async fn say(side: &mut VendorSide, messages: &[Value]) {
    for message in messages {
        side.send(message.clone()).await;
    }
}

pub(super) fn init() -> Value {
    json!({ "type": "system", "subtype": "init", "session_id": "S1", "model": "m", "cwd": "/work",
        "tools": ["Bash"], "permissionMode": "default" })
}

fn event(event: Value) -> Value {
    json!({ "type": "stream_event", "event": event, "parent_tool_use_id": null, "session_id": "S1" })
}

pub(super) fn message_start(id: &str) -> Value {
    event(json!({ "type": "message_start", "message": { "id": id, "usage": { "input_tokens": 12 } } }))
}

pub(super) fn block_start(index: u64, block: Value) -> Value {
    event(json!({ "type": "content_block_start", "index": index, "content_block": block }))
}

pub(super) fn text_delta(index: u64, text: &str) -> Value {
    event(
        json!({ "type": "content_block_delta", "index": index, "delta": { "type": "text_delta", "text": text } }),
    )
}

pub(super) fn message_stop() -> Value {
    event(json!({ "type": "message_stop" }))
}

pub(super) fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

pub(super) fn tool(id: &str, name: &str, input: Value) -> Value {
    json!({ "type": "tool_use", "id": id, "name": name, "input": input })
}

/// A block that is whole.
pub(super) fn whole(id: &str, block: Value) -> Value {
    json!({ "type": "assistant", "message": { "id": id, "content": [block] }, "session_id": "S1" })
}

/// A question about a tool.
pub(super) fn can_use(request_id: &str, id: &str, name: &str, input: Value) -> Value {
    let request = json!({ "subtype": "can_use_tool", "tool_name": name, "input": input, "tool_use_id": id });
    question(request_id, request)
}

pub(super) fn question(request_id: &str, request: Value) -> Value {
    json!({ "type": "control_request", "request_id": request_id, "request": request })
}

pub(super) fn withdrawn(request_id: &str) -> Value {
    json!({ "type": "control_cancel_request", "request_id": request_id })
}

pub(super) fn tool_result(id: &str, content: &str, is_error: bool) -> Value {
    let result =
        json!({ "type": "tool_result", "tool_use_id": id, "content": content, "is_error": is_error });
    json!({ "type": "user", "message": { "role": "user", "content": [result] }, "session_id": "S1" })
}

/// The end of a turn, at which the session has cost this.
pub(super) fn result(total: f64) -> Value {
    json!({ "type": "result", "subtype": "success", "is_error": false, "stop_reason": "end_turn",
        "terminal_reason": "completed", "session_id": "S1", "total_cost_usd": total,
        "usage": { "input_tokens": 12, "output_tokens": 9, "cache_read_input_tokens": 3 } })
}

/// The end of a turn that was interrupted.
pub(super) fn aborted() -> Value {
    json!({ "type": "result", "subtype": "error_during_execution", "is_error": true, "session_id": "S1",
        "terminal_reason": "aborted_tools", "errors": ["interrupted"], "total_cost_usd": 0.5,
        "usage": { "input_tokens": 1, "output_tokens": 1 } })
}

/// Answers every prompt with one message.
pub(super) async fn simple(mut side: VendorSide) -> Exit {
    ready(&mut side).await;
    let mut turns = 0;
    while prompt(&mut side).await.is_some() {
        turns += 1;
        let id = format!("m{}-{turns}", side.start);
        say(&mut side, &[init(), whole(&id, text("Hello")), result(f64::from(turns))]).await;
    }
    DONE
}
