//! Messages of the app server: JSON-RPC 2.0 without the `jsonrpc` member. Here a line becomes a message and members are
//! read, whatever is in them; what a method means is not known here.

use serde_json::{Map, Value, json};

/// The code of what we cannot answer.
const UNSUPPORTED: i64 = -32000;
/// The longest text of an error that is passed on, in bytes.
const MAX_MESSAGE: usize = 4096;
/// The longest id or name that is taken for one, in bytes.
const MAX_NAME: usize = 512;

/// An error of the vendor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RpcError {
    pub(super) code: i64,
    pub(super) message: String,
}

/// A message of the vendor.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Incoming {
    /// To a request of ours.
    Response { id: u64, answer: Result<Value, RpcError> },
    /// A request of its own. Its ids are numbers from 0 or strings, and have nothing to do with ours.
    Request { id: Value, method: String, params: Value },
    /// Something that happened.
    Notification { method: String, params: Value },
    /// None of these: what it is, without its content.
    Other(&'static str),
}

/// Reads a line.
pub(super) fn parse(line: &[u8]) -> Incoming {
    match serde_json::from_slice(line) {
        Ok(Value::Object(message)) => classify(message),
        Ok(_) => Incoming::Other("a line that is no object"),
        Err(_) => Incoming::Other("a line that is no JSON"),
    }
}

fn classify(mut message: Map<String, Value>) -> Incoming {
    let id = message.remove("id");
    let params = message.remove("params").unwrap_or(Value::Null);
    match (message.remove("method"), id) {
        (Some(Value::String(method)), None) => Incoming::Notification { method, params },
        (Some(Value::String(method)), Some(id)) => match &id {
            Value::Number(_) => Incoming::Request { id, method, params },
            Value::String(text) if text.len() <= MAX_NAME => Incoming::Request { id, method, params },
            _ => Incoming::Other("a request whose id is neither a number nor a string"),
        },
        (Some(_), _) => Incoming::Other("a message whose method is no string"),
        (None, Some(id)) => match (id.as_u64(), message.remove("error"), message.remove("result")) {
            (None, ..) => Incoming::Other("a response with an id that is not ours"),
            (Some(id), Some(error), _) if !error.is_null() => {
                Incoming::Response { id, answer: Err(rpc_error(&error)) }
            }
            (Some(id), _, result) => Incoming::Response { id, answer: Ok(result.unwrap_or(Value::Null)) },
        },
        (None, None) => Incoming::Other("a message with neither method nor id"),
    }
}

fn rpc_error(error: &Value) -> RpcError {
    let code = error.get("code").and_then(Value::as_i64).unwrap_or(0);
    RpcError { code, message: message_of(error).unwrap_or_else(|| "the agent gave no reason".to_owned()) }
}

/// A request of ours.
pub(super) fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({ "id": id, "method": method, "params": params })
}

/// A notification of ours.
pub(super) fn notification(method: &str) -> Value {
    json!({ "method": method })
}

/// The answer to a request of the vendor.
pub(super) fn reply(id: &Value, result: &Value) -> Value {
    json!({ "id": id, "result": result })
}

/// The answer to a request that we do not serve.
pub(super) fn refuse(id: &Value, message: &str) -> Value {
    json!({ "id": id, "error": { "code": UNSUPPORTED, "message": message } })
}

/// A member that is text.
pub(super) fn text<'a>(of: &'a Value, name: &str) -> Option<&'a str> {
    of.get(name)?.as_str()
}

/// A member that is text; empty if it is not.
pub(super) fn text_or_empty(of: &Value, name: &str) -> String {
    text(of, name).unwrap_or_default().to_owned()
}

/// A member that names something: text, neither empty nor too long.
pub(super) fn name<'a>(of: &'a Value, name: &str) -> Option<&'a str> {
    text(of, name).filter(|text| !text.is_empty() && text.len() <= MAX_NAME)
}

/// The elements of a member that is a list; none if it is not.
pub(super) fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A member that is an object.
pub(super) fn object(of: &Value, name: &str) -> Option<Map<String, Value>> {
    of.get(name)?.as_object().cloned()
}

/// A member that is a small number, as indexes are.
pub(super) fn index(of: &Value, name: &str) -> u32 {
    of.get(name).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

/// What an error says, cut where it gets too long.
pub(super) fn message_of(error: &Value) -> Option<String> {
    let message = text(error, "message").filter(|text| !text.is_empty())?;
    Some(cut(message, MAX_MESSAGE).to_owned())
}

/// The beginning of a text, at most so many bytes.
pub(super) fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Incoming {
        parse(text.as_bytes())
    }

    #[test]
    fn the_presence_of_an_id_tells_requests_from_notifications() {
        let request = read(r#"{"id":0,"method":"a","params":{"x":1}}"#);
        assert_eq!(
            request,
            Incoming::Request { id: json!(0), method: "a".into(), params: json!({ "x": 1 }) }
        );
        assert!(
            matches!(read(r#"{"id":"s","method":"a"}"#), Incoming::Request { id, .. } if id == json!("s"))
        );
        let notification = read(r#"{"method":"a","emittedAtMs":1}"#);
        assert_eq!(notification, Incoming::Notification { method: "a".into(), params: Value::Null });
        assert_eq!(read(r#"{"id":3}"#), Incoming::Response { id: 3, answer: Ok(Value::Null) });
        assert_eq!(
            read(r#"{"id":3,"result":{},"error":null}"#),
            Incoming::Response { id: 3, answer: Ok(json!({})) }
        );
        let failed = read(r#"{"id":3,"error":{"code":-32600,"message":"no"}}"#);
        let error = RpcError { code: -32600, message: "no".into() };
        assert_eq!(failed, Incoming::Response { id: 3, answer: Err(error) });
    }

    #[test]
    fn what_is_no_message_is_told_by_what_it_is() {
        let strange = [
            "",
            "7",
            "null",
            "[]",
            "{",
            "{}",
            r#"{"id":null,"method":"a"}"#,
            r#"{"id":[],"method":"a"}"#,
            r#"{"method":7}"#,
            r#"{"id":1.5}"#,
            r#"{"id":-1,"result":1}"#,
            r#"{"id":"ours"}"#,
            "\u{0}",
        ];
        for line in strange {
            assert!(matches!(read(line), Incoming::Other(_)), "{line}");
        }
        assert!(matches!(parse(b"\xff\xfe"), Incoming::Other(_)));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(read(&deep), Incoming::Other(_)));
    }

    #[test]
    fn members_of_any_type_are_read_without_harm() {
        for value in [Value::Null, json!(1e308), json!("x"), json!([1]), json!({"a": {"b": []}})] {
            assert_eq!((text(&value, "q"), index(&value, "q")), (None, 0));
            assert!(list(&value, "a").is_empty() && object(&value, "q").is_none());
        }
        assert_eq!(index(&json!({ "n": u64::MAX }), "n"), 0);
        assert_eq!(cut("aäb", 2), "a");
        assert_eq!(name(&json!({ "n": "" }), "n"), None);
    }
}
