//! The agent's side of an ACP session, driven message by message by a test, and the session beside it.

use std::sync::Arc;

use agentos_driver::boot::Execution;
use agentos_driver::command::Decision;
use agentos_driver::event::{Body, Event, TurnCompleted};
use agentos_driver::process::Exit;
use agentos_driver::testing::{Log, ScriptedLauncher, VendorSide};
use agentos_driver::{Command, CommandUpdate, Fate, Input, Kernel, Order, Ports, StartInput, backend};
use serde_json::{Value, json};
use ulid::Ulid;

/// The session that fake agents have.
pub(crate) const SESSION: &str = "s1";

/// An agent.
pub(crate) struct Agent {
    pub(crate) side: VendorSide,
}

impl Agent {
    /// The next message, which must be of this method.
    pub(crate) async fn expect(&mut self, method: &str) -> Value {
        let message = self.side.recv().await.unwrap_or_else(|| panic!("the input ended before {method}"));
        assert_eq!(message["method"], json!(method), "{message}");
        assert_eq!(message["jsonrpc"], json!("2.0"));
        message
    }

    /// The answer to a request of the agent's: its result, or its error.
    pub(crate) async fn answered(&mut self, id: &Value) -> Value {
        let message = self.side.recv().await.expect("an answer");
        assert_eq!(&message["id"], id, "{message}");
        assert!(message.get("method").is_none(), "{message}");
        message.get("result").or(message.get("error")).cloned().expect("a result or an error")
    }

    pub(crate) async fn answer(&mut self, request: &Value, result: Value) {
        self.side.send(json!({"jsonrpc": "2.0", "id": request["id"], "result": result})).await;
    }

    pub(crate) async fn refuse(&mut self, request: &Value, code: i64, message: &str) {
        let error = json!({"code": code, "message": message});
        self.side.send(json!({"jsonrpc": "2.0", "id": request["id"], "error": error})).await;
    }

    /// An update of the session.
    pub(crate) async fn update(&mut self, update: Value) {
        let params = json!({"sessionId": SESSION, "update": update});
        self.side.send(json!({"jsonrpc": "2.0", "method": "session/update", "params": params})).await;
    }

    pub(crate) async fn say(&mut self, text: &str) {
        let content = json!({"type": "text", "text": text});
        self.update(json!({"sessionUpdate": "agent_message_chunk", "content": content})).await;
    }

    /// A request of the agent's, of its session.
    pub(crate) async fn ask(&mut self, id: &Value, method: &str, mut params: Value) {
        params["sessionId"] = SESSION.into();
        self.side.send(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await;
    }

    /// Asks whether it may, with an option to allow and one to reject.
    pub(crate) async fn ask_permission(&mut self, id: &Value, call: &str) {
        let options = json!([
            {"optionId": "yes", "name": "Allow", "kind": "allow_once"},
            {"optionId": "no", "name": "Reject", "kind": "reject_once"},
        ]);
        let params = json!({"toolCall": {"toolCallId": call}, "options": options});
        self.ask(id, "session/request_permission", params).await;
    }

    /// The start of every session: gives what `initialize` said.
    pub(crate) async fn initialize(&mut self, capabilities: Value) -> Value {
        let initialize = self.expect("initialize").await;
        let info = json!({"name": "fake", "version": "1.2"});
        let answer = json!({"protocolVersion": 1, "agentCapabilities": capabilities, "agentInfo": info,
            "authMethods": [{"id": "key", "name": "Key"}, {"id": "term", "name": "Terminal", "type": "terminal"}]});
        self.answer(&initialize, answer).await;
        initialize
    }

    /// A new session; gives what `session/new` said.
    pub(crate) async fn open(&mut self, capabilities: Value) -> Value {
        self.initialize(capabilities).await;
        let new = self.expect("session/new").await;
        self.answer(&new, json!({"sessionId": SESSION})).await;
        new
    }

    /// Ends a turn.
    pub(crate) async fn end_turn(&mut self, prompt: &Value) {
        self.answer(prompt, json!({"stopReason": "end_turn"})).await;
    }

    /// Runs until its input ends.
    pub(crate) async fn rest(mut self) -> Exit {
        while self.side.recv_line().await.is_some() {}
        Exit { code: Some(0), signal: None }
    }
}

/// A session and what it says.
pub(crate) struct Rig {
    pub(crate) kernel: Kernel,
    pub(crate) log: Log,
    pub(crate) launcher: ScriptedLauncher,
}

/// What a session of a fake agent runs.
pub(crate) fn execution() -> Execution {
    let mut execution = Execution::default();
    execution.environment.variables.insert("AGENT_DRIVER_ACP_COMMAND".to_owned(), "fake-agent".to_owned());
    execution.session.cwd = "/w".to_owned();
    execution
}

/// A session with each process of the agent played by `play`.
pub(crate) async fn start<F>(
    input: StartInput,
    play: impl Fn(Agent) -> F + Clone + Send + Sync + 'static,
) -> Rig
where
    F: Future<Output = Exit> + Send + 'static,
{
    let launcher = ScriptedLauncher::new(move |side| play(Agent { side }));
    start_with(input, Ports::new(Arc::new(launcher.clone())), launcher).await
}

/// The same with the ports given.
pub(crate) async fn start_with(input: StartInput, ports: Ports, launcher: ScriptedLauncher) -> Rig {
    let kernel = Kernel::start(Arc::new(backend::acp::descriptor()), ports, input).await.expect("a session");
    let log = Log::new(kernel.events().expect("the events"));
    Rig { kernel, log, launcher }
}

impl Rig {
    /// Begins a turn; its fate comes from the task.
    pub(crate) fn input(&self, text: &str) -> tokio::task::JoinHandle<CommandUpdate> {
        let input = Input::text(text);
        self.send(Order::InputStart {
            request_id: "r".to_owned(),
            run_id: Ulid::generate(),
            input,
            access_snapshot: None,
        })
    }

    pub(crate) fn send(&self, order: Order) -> tokio::task::JoinHandle<CommandUpdate> {
        let kernel = self.kernel.clone();
        tokio::spawn(async move { kernel.dispatch(Command::of(order)).await })
    }

    /// Runs a turn to its end, and gives that.
    pub(crate) async fn turn(&mut self, text: &str) -> TurnCompleted {
        let fate = self.input(text);
        let end = self.turn_end().await;
        fate.await.unwrap();
        end
    }

    /// The end of the turn that runs.
    pub(crate) async fn turn_end(&mut self) -> TurnCompleted {
        let event = self.log.until(|body| matches!(body, Body::TurnCompleted(_))).await;
        let Body::TurnCompleted(end) = event.body else { unreachable!() };
        end
    }

    /// Waits for a permission and answers it.
    pub(crate) async fn decide(&mut self, decision: Decision) {
        let event = self.log.until(|body| matches!(body, Body::PermissionRequested(_))).await;
        let Body::PermissionRequested(permission) = event.body else { unreachable!() };
        let order = Order::PermissionResolve {
            request_id: permission.request_id,
            decision,
            option_id: None,
            message: None,
        };
        assert_eq!(self.kernel.dispatch(Command::of(order)).await.status, Fate::Completed);
    }

    /// Ends the session and takes its last events, which must be in order.
    pub(crate) async fn stop(mut self) -> Vec<Event> {
        self.kernel.stop("test").await.expect("a stop");
        self.log.to_end().await;
        in_order(&self.log.events);
        self.log.events
    }
}

/// Events as JSON of kind and payload, of one kind.
pub(crate) fn of_kind(events: &[Event], kind: &str) -> Vec<Value> {
    let all = events.iter().map(|event| serde_json::to_value(&event.body).unwrap());
    all.filter(|body| body["kind"] == json!(kind)).map(|body| body["payload"].clone()).collect()
}

/// The items as they ended.
pub(crate) fn ended_items(events: &[Event]) -> Vec<Value> {
    of_kind(events, "item.completed").into_iter().map(|payload| payload["item"].clone()).collect()
}

/// What was ignored.
pub(crate) fn ignored(events: &[Event]) -> Vec<String> {
    let all = of_kind(events, "diagnostic.reported").into_iter();
    all.filter(|of| of["code"] == json!("driver.vendor_message_ignored"))
        .map(|of| of["message"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// What holds of every log: one end per turn, one beginning and one end per item, each before the end of its turn; a
/// question after the item that waits, and closed with its turn; nothing after the end.
pub(crate) fn in_order(events: &[Event]) {
    use std::collections::HashSet;
    let (mut turn, mut turns) = (None, HashSet::new());
    let (mut open, mut seen) = (HashSet::new(), HashSet::new());
    let mut asked = HashSet::new();
    for (n, event) in events.iter().enumerate() {
        if event.turn_id.is_some() && !matches!(event.body, Body::TurnStarted { .. }) {
            assert_eq!(event.turn_id, turn, "outside of its turn: {event:?}");
        }
        match &event.body {
            Body::TurnStarted { .. } => {
                assert_eq!(turn, None, "two turns at once");
                turn = event.turn_id;
                assert!(turns.insert(turn.expect("an id")));
            }
            Body::TurnCompleted(_) => {
                assert!(open.is_empty(), "open at the end of the turn: {open:?}");
                assert!(asked.is_empty(), "asked at the end of the turn: {asked:?}");
                turn = None;
            }
            Body::ItemStarted { item } => {
                assert!(seen.insert(item.item_id.clone()), "begun twice: {item:?}");
                assert!(!item.status.is_terminal());
                open.insert(item.item_id.clone());
            }
            Body::ItemUpdated(patch) => assert!(open.contains(&patch.item_id), "not open: {patch:?}"),
            Body::ItemDelta(delta) => assert!(open.contains(&delta.item_id), "not open: {delta:?}"),
            Body::ItemCompleted { item } => {
                assert!(open.remove(&item.item_id), "not open: {item:?}");
                assert!(item.status.is_terminal());
            }
            Body::PermissionRequested(permission) => {
                if let Some(item) = &permission.item_id {
                    assert!(seen.contains(item), "asked before its item: {permission:?}");
                }
                assert!(asked.insert(permission.request_id.clone()));
            }
            Body::PermissionResolved(resolved) => assert!(asked.remove(&resolved.request_id)),
            Body::SessionEnded(_) => assert_eq!(n, events.len() - 1, "something after the end"),
            _ => {}
        }
    }
    assert_eq!(turn, None, "a turn without an end");
}
