//! One session: where its commands run and whether they need permission. It runs nothing.

use serde_json::{Value, json};

/// The only config option.
pub(crate) const PERMISSION: &str = "permission";

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) cwd: String,
    /// `permission` is `ask`.
    pub(crate) asks: bool,
    /// The user once answered `allow_always`.
    pub(crate) allowed: bool,
    pub(crate) calls: u64,
    pub(crate) messages: u64,
}

impl Session {
    pub(crate) fn new(id: String, cwd: String) -> Self {
        Self { id, cwd, asks: true, allowed: false, calls: 0, messages: 0 }
    }

    pub(crate) fn needs_permission(&self) -> bool {
        self.asks && !self.allowed
    }

    /// Sets the permission option; false for a value it does not have. Asking again forgets an `allow_always`.
    pub(crate) fn set_permission(&mut self, value: &str) -> bool {
        match value {
            "ask" => (self.asks, self.allowed) = (true, false),
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
