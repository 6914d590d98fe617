//! What the vendor says of the session as a whole: its id, its model, its settings, what happens beside the turns.

use serde_json::{Value, json};

use super::{Effect, Translator, diagnostic, of_turn, session};
use crate::ErrorInfo;
use crate::backend::claude::wire::{count, list, shortened, text, word};
use crate::backend::ignored;
use crate::error::RESUME_LOST;
use crate::event::{
    Body, ChangedFile, Command, ConfigChoice, ConfigOption, FileChange, Item, ItemKind, ItemStatus,
    SessionInfo, Severity,
};

/// Modes of permission, and their names.
pub(in crate::backend::claude) const MODES: &[(&str, &str)] = &[
    ("default", "Ask"),
    ("acceptEdits", "Accept edits"),
    ("plan", "Plan"),
    ("bypassPermissions", "Allow all"),
];
/// Most models and commands that are passed on.
const MANY: usize = 512;

/// Settings that can be changed while the session runs. They outlive processes.
#[derive(Clone, Debug, Default)]
pub(in crate::backend::claude) struct Settings {
    /// The model; empty: the vendor's choice.
    pub(in crate::backend::claude) model: String,
    /// The mode of permission.
    pub(in crate::backend::claude) mode: String,
    models: Vec<ConfigChoice>,
    info: SessionInfo,
    /// MCP servers and how they are.
    servers: Vec<(String, String)>,
    /// As it was last emitted.
    told: Option<Body>,
}

impl Settings {
    pub(in crate::backend::claude) fn new(model: &str, mode: &str) -> Self {
        Settings { model: model.to_owned(), mode: mode.to_owned(), ..Settings::default() }
    }

    fn body(&self) -> Body {
        let model = if self.model.is_empty() { "default" } else { &self.model };
        let modes = MODES.iter().map(|(value, name)| choice(value, name)).collect();
        let options = vec![
            ConfigOption {
                id: "model".to_owned(),
                name: "Model".to_owned(),
                value: json!(model),
                choices: (!self.models.is_empty()).then(|| self.models.clone()),
            },
            ConfigOption {
                id: "permission_mode".to_owned(),
                name: "Permission mode".to_owned(),
                value: json!(self.mode),
                choices: Some(modes),
            },
        ];
        Body::SessionConfigUpdated { options, mode_id: Some(self.mode.clone()) }
    }
}

fn choice(value: &str, name: &str) -> ConfigChoice {
    ConfigChoice { value: value.to_owned(), name: name.to_owned() }
}

impl Translator {
    /// The settings as they are.
    pub(in crate::backend::claude) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The session that the vendor does not know any more.
    pub(in crate::backend::claude) fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }

    /// Says that a process which was to resume a session and never did has no such session.
    pub(in crate::backend::claude) fn lose(&mut self) -> Option<ErrorInfo> {
        if self.process.begun {
            return None;
        }
        self.lost = Some(self.process.resuming.clone()?);
        Some(ErrorInfo::new(RESUME_LOST, "the agent does not know the session any more"))
    }

    /// The settings after a change; nothing if they are the same.
    pub(in crate::backend::claude) fn set(&mut self, model: Option<&str>, mode: Option<&str>) -> Vec<Body> {
        if let Some(model) = model {
            self.settings.model = model.to_owned();
        }
        if let Some(mode) = mode {
            self.settings.mode = mode.to_owned();
        }
        let body = self.settings.body();
        if self.settings.told.as_ref() == Some(&body) {
            return Vec::new();
        }
        self.settings.told = Some(body.clone());
        vec![body]
    }

    /// What the vendor answers to the first request.
    pub(in crate::backend::claude) fn initialized(&mut self, answer: &Value) -> Vec<Body> {
        let owned = |value: &Value, name| word(value, name).map(|text| shortened(text, 4096));
        let mut bodies = Vec::new();
        let commands: Vec<Command> = list(answer, "commands")
            .take(MANY)
            .filter_map(|command| {
                Some(Command { name: owned(command, "name")?, description: owned(command, "description") })
            })
            .collect();
        if !commands.is_empty() {
            bodies.push(Body::SessionCommandsUpdated { commands });
        }
        let models = list(answer, "models").take(MANY).filter_map(|model| {
            let value = owned(model, "value")?;
            let name = owned(model, "displayName").unwrap_or_else(|| value.clone());
            Some(ConfigChoice { value, name })
        });
        self.settings.models = models.collect();
        bodies.extend(self.set(None, word(answer, "current_permission_mode")));
        let mut info = self.settings.info.clone();
        info.vendor_version = owned(answer, "claude_code_version").or(info.vendor_version);
        bodies.extend(self.info(info));
        bodies
    }

    fn info(&mut self, info: SessionInfo) -> Option<Body> {
        if info == self.settings.info {
            return None;
        }
        self.settings.info = info.clone();
        Some(Body::SessionInfoUpdated(info))
    }

    /// The id of the session is in every message; a process has but one.
    pub(super) fn identify(&mut self, kind: &str, message: &Value) -> Vec<Effect> {
        let Some(id) = word(message, "session_id") else { return Vec::new() };
        // What refuses to resume has a session of its own that is not worth keeping.
        if kind == "result" && !self.process.begun || self.process.session.as_deref() == Some(id) {
            return Vec::new();
        }
        if self.process.session.is_some() {
            return vec![session(ignored(format!("another session id in a message of type {kind}")))];
        }
        self.process.session = Some(id.to_owned());
        vec![Effect::Resumable(id.to_owned(), None)]
    }

    pub(super) fn system(&mut self, subtype: &str, message: &Value, effects: &mut Vec<Effect>) {
        match subtype {
            "init" => self.init(message, effects),
            "status" => {
                if let Some(mode) = word(message, "permissionMode") {
                    effects.extend(self.set(None, Some(mode)).into_iter().map(session));
                }
            }
            "api_retry" => effects.push(session(retried(message))),
            "compact_boundary" => self.compacted(message, effects),
            "files_persisted" => self.persisted(message, effects),
            "permission_denied" => {
                if let Some(id) = word(message, "tool_use_id") {
                    self.denied(id);
                }
            }
            "thinking_tokens" | "session_state_changed" | "local_command_output" => {}
            other if other.starts_with("hook_") || other.starts_with("task_") => {}
            other => {
                effects.push(session(ignored(format!("system message of type {}", shortened(other, 64)))))
            }
        }
    }

    fn init(&mut self, message: &Value, effects: &mut Vec<Effect>) {
        self.process.begun = true;
        let owned = |name| word(message, name).map(str::to_owned);
        let tools: Vec<String> =
            list(message, "tools").filter_map(Value::as_str).take(4 * MANY).map(str::to_owned).collect();
        let known = self.settings.info.clone();
        let info = SessionInfo {
            model: owned("model").or(known.model),
            title: known.title,
            cwd: owned("cwd").or(known.cwd),
            tools: if tools.is_empty() { known.tools } else { Some(tools) },
            vendor_version: owned("claude_code_version").or(known.vendor_version),
        };
        effects.extend(self.info(info).map(session));
        self.servers(message, effects);
        if let Some(mode) = word(message, "permissionMode") {
            effects.extend(self.set(None, Some(mode)).into_iter().map(session));
        }
    }

    /// Servers that the vendor cannot use, each once as long as it is so.
    fn servers(&mut self, message: &Value, effects: &mut Vec<Effect>) {
        let servers = list(message, "mcp_servers").take(MANY).filter_map(|server| {
            Some((shortened(word(server, "name")?, 256), shortened(word(server, "status")?, 64)))
        });
        let servers: Vec<(String, String)> = servers.collect();
        let fine = |status: &str| matches!(status, "connected" | "pending");
        for server in servers.iter().filter(|server| !fine(&server.1)) {
            if !self.settings.servers.contains(server) {
                let text = "the agent cannot use an MCP server";
                let mut of = diagnostic("mcp.server_unavailable", Severity::Warn, text);
                of.reason = Some(server.1.clone());
                of.details.insert("name".to_owned(), server.0.clone().into());
                effects.push(session(Body::DiagnosticReported(of)));
            }
        }
        self.settings.servers = servers;
    }

    fn compacted(&mut self, message: &Value, effects: &mut Vec<Effect>) {
        let Some(turn) = &mut self.turn else { return };
        let mut fields = serde_json::Map::new();
        if let Some(of) = message.get("compact_metadata") {
            for (from, to) in [("pre_tokens", "preTokens"), ("post_tokens", "postTokens")] {
                if let Some(tokens) = count(of, from) {
                    fields.insert(to.to_owned(), tokens.into());
                }
            }
            if let Some(trigger) = text(of, "trigger") {
                fields.insert("trigger".to_owned(), shortened(trigger, 64).into());
            }
        }
        let kind = ItemKind::Other { kind: "x_compaction".to_owned(), fields };
        let item = Item::new(turn.messages.own_id(turn.id), ItemStatus::Running, kind);
        effects.push(of_turn(turn.id, Body::ItemStarted { item: item.clone() }));
        let item = item.ended(ItemStatus::Completed);
        effects.push(of_turn(turn.id, Body::ItemCompleted { item }));
    }

    fn persisted(&mut self, message: &Value, effects: &mut Vec<Effect>) {
        let Some(turn) = &self.turn else { return };
        let changes: Vec<ChangedFile> = list(message, "files")
            .filter_map(|file| word(file, "filename"))
            .take(MANY)
            .map(|path| ChangedFile { path: self.path(path), change: FileChange::Upsert, item_id: None })
            .collect();
        if !changes.is_empty() {
            effects.push(Effect::Files(turn.id, changes));
        }
    }

    /// A path from the root.
    pub(super) fn path(&self, path: &str) -> String {
        match &self.settings.info.cwd {
            Some(cwd) if !path.starts_with('/') => format!("{}/{path}", cwd.trim_end_matches('/')),
            _ => path.to_owned(),
        }
    }
}

fn retried(message: &Value) -> Body {
    let mut of = diagnostic("claude.api_retry", Severity::Info, "the request to the model is tried again");
    for (from, to) in [
        ("attempt", "attempt"),
        ("max_retries", "maxRetries"),
        ("retry_delay_ms", "retryDelayMs"),
        ("error_status", "errorStatus"),
    ] {
        if let Some(value) = message.get(from).filter(|value| value.is_number()) {
            of.details.insert(to.to_owned(), value.clone());
        }
    }
    Body::DiagnosticReported(of)
}
