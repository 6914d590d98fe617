//! One session: where its commands run, whether they need permission, its tool servers. It runs nothing.

use agentos_agent_common::server::Server;
use serde_json::{Value, json};

/// The only config option.
pub(crate) const PERMISSION: &str = "permission";

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) cwd: String,
    /// `permission` is `ask`.
    pub(crate) asks: bool,
    /// The user once answered `allow_always` (true) or `reject_always` (false).
    pub(crate) always: Option<bool>,
    pub(crate) calls: u64,
    pub(crate) messages: u64,
    pub(crate) servers: Vec<Server>,
}

impl Session {
    pub(crate) fn new(id: String, cwd: String, servers: Vec<Server>) -> Self {
        Self { id, cwd, asks: true, always: None, calls: 0, messages: 0, servers }
    }

    /// Whether calls may run, where that is decided already; `None`: ask.
    pub(crate) fn decided(&self) -> Option<bool> {
        if self.asks { self.always } else { Some(true) }
    }

    /// Sets the permission option; false for a value it does not have. Asking again forgets an answer for always.
    pub(crate) fn set_permission(&mut self, value: &str) -> bool {
        match value {
            "ask" => (self.asks, self.always) = (true, None),
            "never" => self.asks = false,
            _ => return false,
        }
        true
    }

    /// The complete list of config options.
    pub(crate) fn config_options(&self) -> Value {
        json!([{
            "id": PERMISSION,
            "name": "Permission",
            "description": "Whether to ask before each command",
            "type": "select",
            "currentValue": if self.asks { "ask" } else { "never" },
            "options": [
                {"value": "ask", "name": "Ask before each command"},
                {"value": "never", "name": "Never ask"},
            ],
        }])
    }
}
