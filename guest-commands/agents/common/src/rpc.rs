//! JSON-RPC 2.0 messages as the agent reads and writes them, with its client and with tool servers. It keeps no state.

use std::borrow::Cow;

use serde_json::{Value, json};

/// The line is no JSON, or too long.
pub const PARSE_ERROR: i64 = -32700;
/// Not a request, or not one that can be served now.
pub const INVALID_REQUEST: i64 = -32600;
/// There is no such method.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// The parameters are wrong.
pub const INVALID_PARAMS: i64 = -32602;
/// It failed.
pub const INTERNAL_ERROR: i64 = -32603;
/// There is no such session, or no such file.
pub const NOT_FOUND: i64 = -32002;
/// The client cancelled the request.
pub const CANCELLED: i64 = -32800;

/// An error answer: its code and its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(pub i64, pub Cow<'static, str>);

impl Failure {
    /// An error with one of the codes here.
    pub fn new(code: i64, message: impl Into<Cow<'static, str>>) -> Self {
        Self(code, message.into())
    }
}

/// One message of the other side.
#[derive(Debug, PartialEq)]
pub enum Message {
    /// To be answered.
    Request {
        /// Repeated in the answer.
        id: Value,
        /// Its name.
        method: String,
        /// `null` if there are none.
        params: Value,
    },
    /// Not to be answered.
    Notification {
        /// Its name.
        method: String,
        /// `null` if there are none.
        params: Value,
    },
    /// An answer to a request of ours.
    Response {
        /// That of the request.
        id: Value,
        /// `Err` with the error object.
        result: Result<Value, Value>,
    },
    /// No message; answer with this, unless it is to be ignored.
    Malformed(Option<(Value, Failure)>),
}

/// Parses one line.
#[must_use]
pub fn parse(line: &[u8]) -> Message {
    let invalid =
        |id: Value, why: &'static str| Message::Malformed(Some((id, Failure::new(INVALID_REQUEST, why))));
    let mut object = match serde_json::from_slice(line) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return invalid(Value::Null, "not an object; batches are not supported"),
        Err(_) => return Message::Malformed(Some((Value::Null, Failure::new(PARSE_ERROR, "parse error")))),
    };
    let id = object.remove("id");
    let valid = |id: &Value| match id {
        Value::Null => true,
        Value::Number(n) => n.is_i64(),
        Value::String(text) => text.len() <= 256,
        _ => false,
    };
    if id.as_ref().is_some_and(|id| !valid(id)) {
        return invalid(Value::Null, "the id is no integer or short string");
    }
    let versioned = object.get("jsonrpc").is_some_and(|v| v == "2.0");
    let params = object.remove("params").unwrap_or_default();
    match (object.remove("method"), id) {
        (Some(Value::String(method)), Some(id)) if versioned => Message::Request { id, method, params },
        (Some(Value::String(method)), None) if versioned => Message::Notification { method, params },
        (Some(_), Some(id)) => invalid(id, "not a JSON-RPC 2.0 request"),
        (None, Some(id)) => match (object.remove("error"), object.remove("result")) {
            (None | Some(Value::Null), Some(result)) => Message::Response { id, result: Ok(result) },
            (Some(error), _) => Message::Response { id, result: Err(error) },
            (None, None) => invalid(id, "neither a method nor a result"),
        },
        // Never answer what has no id.
        (_, None) => Message::Malformed(None),
    }
}

/// A request.
#[must_use]
pub fn request(id: u64, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// A notification.
#[must_use]
pub fn notification(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "method": method, "params": params})
}

/// An answer.
#[must_use]
pub fn answer(id: Value, outcome: Result<Value, Failure>) -> Value {
    match outcome {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(Failure(code, message)) => {
            json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart() {
        for (line, want) in [
            (r#"{"jsonrpc":"2.0","id":0,"method":"m"}"#, "Request"),
            (r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#, "Request"),
            (r#"{"jsonrpc":"2.0","method":"m","params":{}}"#, "Notification"),
            (r#"{"jsonrpc":"2.0","id":"a","result":null}"#, "Response"),
            (r#"{"jsonrpc":"2.0","id":"a","error":{}}"#, "Response { id: String(\"a\"), result: Err("),
            (r#"{"jsonrpc":"2.0","id":1,"error":null,"result":2}"#, "Response { id: Number(1), result: Ok("),
            (r#"{"jsonrpc":"2.0","id":1}"#, "Malformed(Some((Number(1), Failure(-32600"),
            (r#"{"id":1,"method":"m"}"#, "Malformed(Some((Number(1), Failure(-32600"),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"m"}"#, "Malformed(Some((Null, Failure(-32600"),
            ("[]", "Malformed(Some((Null, Failure(-32600"),
            ("{", "Malformed(Some((Null, Failure(-32700"),
            (r#"{"jsonrpc":"2.0","method":5}"#, "Malformed(None)"),
        ] {
            let got = format!("{:?}", parse(line.as_bytes()));
            assert!(got.starts_with(want), "{line}: {got}");
        }
        let deep = "[".repeat(100_000);
        assert!(matches!(parse(deep.as_bytes()), Message::Malformed(Some((_, Failure(PARSE_ERROR, _))))));
    }
}
