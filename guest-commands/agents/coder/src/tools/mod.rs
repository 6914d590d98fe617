//! The tools that the model is offered, and their input. How a call is shown, asked for and run is in
//! [`call`](crate::call).

pub(crate) mod disk;
mod edit;
pub(crate) mod files;
pub(crate) mod offer;
pub(crate) mod search;

use serde_json::Value;

/// What a tool did.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Shown {
    /// For the model, and the client.
    pub(crate) text: String,
    /// For the client in place of the text.
    pub(crate) diff: Option<Value>,
}

impl From<String> for Shown {
    fn from(text: String) -> Self {
        Self { text, diff: None }
    }
}

/// The outcome of a tool; an error is for the model too.
pub(crate) type Done = Result<Shown, String>;

/// A text of the input.
pub(crate) fn text<'a>(input: &'a Value, name: &str) -> Result<&'a str, String> {
    match &input[name] {
        Value::String(text) => Ok(text),
        Value::Null => Err(format!("{name} is missing")),
        _ => Err(format!("{name} must be a text")),
    }
}

/// A number of the input that may be missing.
pub(crate) fn number(input: &Value, name: &str) -> Result<Option<u64>, String> {
    match &input[name] {
        Value::Null => Ok(None),
        value => value.as_u64().map(Some).ok_or_else(|| format!("{name} must be a number, at least 0")),
    }
}

/// A switch of the input, off if it is missing.
pub(crate) fn flag(input: &Value, name: &str) -> Result<bool, String> {
    match &input[name] {
        Value::Null => Ok(false),
        value => value.as_bool().ok_or_else(|| format!("{name} must be true or false")),
    }
}
