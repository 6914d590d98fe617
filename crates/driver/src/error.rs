//! Errors as events and fates of commands carry them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An error: a code for programs, a message for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{code}: {message}")]
pub struct ErrorInfo {
    /// Such as `driver.backend_exited`.
    pub code: String,
    /// For people.
    pub message: String,
    /// Whether the same may go well another time.
    #[serde(default)]
    pub retryable: bool,
    /// More, by name: strings, numbers, booleans or null.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, Value>,
}

impl ErrorInfo {
    /// An error that stays.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        ErrorInfo { code: code.into(), message: message.into(), retryable: false, details: BTreeMap::new() }
    }

    /// One that may go away.
    pub fn retryable(code: impl Into<String>, message: impl Into<String>) -> Self {
        ErrorInfo { retryable: true, ..ErrorInfo::new(code, message) }
    }

    /// With one more detail.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}

/// The process of the vendor ended.
pub const BACKEND_EXITED: &str = "driver.backend_exited";
/// A command came at a time when it cannot be run.
pub const NOT_READY: &str = "driver.command_rejected.not_ready";
/// A command came after `session.stop`.
pub const STOPPING: &str = "driver.command_rejected.stopping";
/// The backend cannot do it.
pub const UNSUPPORTED: &str = "driver.command_rejected.unsupported";
/// A command of an unknown kind, or with a wrong member.
pub const MALFORMED: &str = "driver.command_rejected.malformed";
/// A resume reference that does not fit the runtime.
pub const RESUME_REFUSED: &str = "resume.refused";
/// The vendor does not know the session any more.
pub const RESUME_LOST: &str = "resume.lost";
