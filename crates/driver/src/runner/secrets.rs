//! What must not be told: the token of the control connection, the grants of MCP servers, and what variables hold whose
//! names say that it is secret. How two tokens are compared, and how texts are told without them.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::boot::{BootPayload, PREFIX};

/// What stands for a secret.
const HIDDEN: &str = "[redacted]";
/// Variables with these in their names are secret.
const NAMES: &[&str] = &["TOKEN", "KEY", "SECRET", "PASSWORD", "CREDENTIAL"];
/// Values of variables that are shorter are found everywhere and are no secrets.
const SHORTEST: usize = 8;

/// Whether two secrets are the same. How long that takes says nothing of either.
#[must_use]
pub fn same_secret(one: &str, other: &str) -> bool {
    let (one, other) = (Sha256::digest(one.as_bytes()), Sha256::digest(other.as_bytes()));
    one.as_slice().ct_eq(other.as_slice()).into()
}

/// Texts that are taken out of what is told.
pub(super) struct Secrets {
    /// Longest first: one may be a part of another.
    texts: Vec<String>,
}

impl Secrets {
    pub(super) fn of(payload: &BootPayload) -> Self {
        let execution = &payload.execution;
        let grants = execution.session.mcp_servers.iter().filter_map(|server| server.proxy_grant_id.clone());
        let mut texts: Vec<String> = std::iter::once(payload.boot_token.clone()).chain(grants).collect();
        for (name, value) in &execution.environment.variables {
            let grant = name.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with("MCP_TOKEN_"));
            let upper = name.to_uppercase();
            let secret = NAMES.iter().any(|part| upper.contains(part)) && value.len() >= SHORTEST;
            if grant || secret {
                texts.push(value.clone());
            }
        }
        texts.retain(|text| !text.is_empty());
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        texts.dedup();
        Secrets { texts }
    }

    pub(super) fn hide(&self, text: &str) -> String {
        self.texts.iter().fold(text.to_owned(), |text, secret| {
            if text.contains(secret.as_str()) { text.replace(secret.as_str(), HIDDEN) } else { text }
        })
    }

    pub(super) fn hide_in(&self, members: &Map<String, Value>) -> Map<String, Value> {
        members.iter().map(|(name, value)| (self.hide(name), self.hide_value(value))).collect()
    }

    fn hide_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.hide(text)),
            Value::Array(all) => Value::Array(all.iter().map(|value| self.hide_value(value)).collect()),
            Value::Object(members) => Value::Object(self.hide_in(members)),
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_the_same_or_not() {
        assert!(same_secret("a token", "a token"));
        for other in ["", "a toke", "a token ", "A token", "b token"] {
            assert!(!same_secret("a token", other), "{other:?}");
        }
    }

    #[test]
    fn the_longer_secret_is_hidden_first_and_in_all_that_nests() {
        let secrets = Secrets { texts: vec!["abcdef".to_owned(), "abc".to_owned()] };
        assert_eq!(secrets.hide("x abcdef abc"), "x [redacted] [redacted]");
        let members = json!({"a": ["abc", {"b": "1abc2"}], "n": 7}).as_object().cloned().unwrap();
        let hidden = Value::Object(secrets.hide_in(&members));
        assert_eq!(hidden, json!({"a": ["[redacted]", {"b": "1[redacted]2"}], "n": 7}));
    }
}
