//! An agent with a model and a home of its own, for a client of the tests.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

pub(crate) use agentos_agent_common::client::{Client, finals, is_gone};
use agentos_agent_common::plain::Plain;
use agentos_coder::{Agent, Api, Settings};
use serde_json::{Value, json};

use crate::model::{Model, Turn, events};

/// All APIs, with the path of their requests.
pub(crate) const APIS: [(&str, &str); 3] = [
    ("anthropic", "/v1/messages"),
    ("openai-chat", "/v1/chat/completions"),
    ("openai-responses", "/v1/responses"),
];

/// A client, the model that its agent asks, and where both keep files.
pub(crate) struct Bench {
    pub(crate) client: Client,
    pub(crate) model: Model,
    pub(crate) home: PathBuf,
    path: &'static str,
}

/// How an agent is made.
pub(crate) struct With {
    pub(crate) api: &'static str,
    pub(crate) context: u64,
    pub(crate) servers: Value,
    pub(crate) capabilities: Value,
    /// What the client may take with a file.
    pub(crate) file_patience: Duration,
}

impl Default for With {
    fn default() -> Self {
        Self {
            api: "anthropic",
            context: 100_000,
            servers: json!([]),
            capabilities: json!({}),
            file_patience: Duration::from_secs(60),
        }
    }
}

impl Bench {
    /// An agent with one session in a directory of its own.
    pub(crate) fn new() -> Self {
        Self::with(With::default())
    }

    pub(crate) fn with(with: With) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let home = std::env::temp_dir().join(format!("agentos-coder-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&home);
        std::fs::create_dir_all(home.join("work")).unwrap();
        let model = Model::start();
        let mut client = agent_with(&home, settings(&model, with.api, with.context), with.file_patience);
        let cwd = home.join("work");
        let new = client.start(with.capabilities, cwd.to_str().unwrap(), with.servers);
        assert!(new["error"].is_null(), "{new}");
        let path = APIS.iter().find(|(api, _)| *api == with.api).unwrap().1;
        Self { client, model, home, path }
    }

    /// The working directory of the session.
    pub(crate) fn cwd(&self) -> PathBuf {
        self.home.join("work")
    }

    /// The events of an answer.
    pub(crate) fn events(&self, turn: &Turn) -> Vec<String> {
        events(self.path, 0, turn).unwrap()
    }

    /// Runs a script without questions.
    pub(crate) fn script(&mut self, script: Value) -> Vec<Value> {
        self.client.set("mode", "bypass");
        self.client.run(&prompt(&script))
    }

    /// Another agent with the same home and model.
    pub(crate) fn again(&self) -> Client {
        let mut client = agent(&self.home, settings(&self.model, "anthropic", 100_000));
        client.call("initialize", json!({"protocolVersion": 1}));
        client
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

/// A prompt with a script in it.
pub(crate) fn prompt(script: &Value) -> String {
    format!("Do it. MOCK{script}")
}

pub(crate) fn settings(model: &Model, api: &str, context: u64) -> Result<Settings, String> {
    Settings::from_env(|name| match name {
        "AGENTOS_MODEL_API" => Some(api.to_owned()),
        "AGENTOS_MODEL_BASE_URL" => Some(model.url()),
        "AGENTOS_MODEL" => Some("small, large".to_owned()),
        "AGENTOS_MODEL_CONTEXT" => Some(context.to_string()),
        _ => None,
    })
    .inspect(|settings| assert_eq!(settings.api.name(), Api::name(settings.api)))
}

pub(crate) fn agent(home: &Path, settings: Result<Settings, String>) -> Client {
    agent_with(home, settings, With::default().file_patience)
}

fn agent_with(home: &Path, settings: Result<Settings, String>, file_patience: Duration) -> Client {
    let home = home.to_owned();
    Client::of(move |input, output| {
        Agent::new(input, output, Box::new(Plain), settings, &home)
            .backoff(Duration::from_millis(10))
            .patience(Duration::from_secs(5))
            .file_patience(file_patience)
            .run()
    })
}

/// All text that the model said.
pub(crate) fn text(messages: &[Value]) -> String {
    chunks(messages, "agent_message_chunk")
}

/// All that was thought, or said about the turn.
pub(crate) fn thoughts(messages: &[Value]) -> String {
    chunks(messages, "agent_thought_chunk")
}

fn chunks(messages: &[Value], kind: &str) -> String {
    let updates = messages.iter().map(|message| &message["params"]["update"]);
    updates.filter(|u| u["sessionUpdate"] == kind).filter_map(|u| u["content"]["text"].as_str()).collect()
}

/// The answer to the prompt: its stop reason, or the message of its error.
pub(crate) fn end(messages: &[Value]) -> String {
    let answers = messages.iter().filter(|message| message["method"].is_null());
    assert_eq!(answers.count(), 1, "one end");
    let last = messages.last().unwrap();
    let text = last["result"]["stopReason"].as_str().or(last["error"]["message"].as_str());
    text.unwrap_or_else(|| panic!("{last}")).to_owned()
}

/// The results of all calls: whether well, and the text.
pub(crate) fn results(messages: &[Value]) -> Vec<(bool, String)> {
    let one = |update: &Value| {
        let text = update["rawOutput"]["output"].as_str().unwrap_or_default();
        (update["status"] == "completed", text.to_owned())
    };
    finals(messages).iter().map(one).collect()
}
