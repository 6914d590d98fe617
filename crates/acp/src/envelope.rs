//! JSON-RPC 2.0 messages, parsed only as deep as the envelope: params and results stay raw JSON. It keeps no state
//! and knows no method.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::{limits::Limits, mend::mend};

/// Codes of JSON-RPC 2.0 and ACP.
pub mod code {
    /// The line is not JSON.
    pub const PARSE_ERROR: i64 = -32700;
    /// JSON, but not a message.
    pub const INVALID_REQUEST: i64 = -32600;
    /// Unknown method.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// Known method, wrong parameters.
    pub const INVALID_PARAMS: i64 = -32602;
    /// The receiver failed.
    pub const INTERNAL_ERROR: i64 = -32603;
    /// ACP: log in first.
    pub const AUTH_REQUIRED: i64 = -32000;
    /// ACP: no such file, session or terminal.
    pub const NOT_FOUND: i64 = -32002;
    /// The request was cancelled by `$/cancel_request`.
    pub const REQUEST_CANCELLED: i64 = -32800;
}

/// A request's id. Its JSON type is part of it: the answer echoes exactly what was sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Id {
    /// `null`
    Null,
    /// An integer.
    Number(i64),
    /// A string of at most 256 bytes.
    Text(Box<str>),
}

impl Id {
    /// Reads an id; `None` if it is of another type, not an integer, or too long.
    #[must_use]
    pub fn from_raw(raw: &RawValue) -> Option<Self> {
        match raw.get() {
            "null" => Some(Self::Null),
            text if text.starts_with('"') => {
                let text: String = serde_json::from_str(text).ok()?;
                (text.len() <= Limits::MAX_ID_BYTES).then(|| Self::Text(text.into()))
            }
            number => number.parse().ok().map(Self::Number),
        }
    }
}

/// A JSON-RPC error object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RpcError {
    /// See [`code`].
    pub code: i64,
    /// For people.
    pub message: String,
    /// Anything more, as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Value>,
}

impl RpcError {
    /// An error without data.
    #[must_use]
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    fn from_raw(raw: &RawValue) -> Self {
        #[derive(Deserialize)]
        struct Wire {
            code: i64,
            #[serde(default)]
            message: Option<String>,
            #[serde(default)]
            data: Option<serde_json::Value>,
        }
        match serde_json::from_str::<Wire>(raw.get()) {
            Ok(Wire { code, message, data }) => Self { code, message: message.unwrap_or_default(), data },
            Err(_) => Self::new(code::INTERNAL_ERROR, "the agent sent a malformed error object"),
        }
    }
}

/// One message.
#[derive(Debug)]
pub enum Message {
    /// Wants an answer.
    Request {
        /// To echo.
        id: Id,
        /// The method.
        method: String,
        /// Its parameters.
        params: Option<Box<RawValue>>,
    },
    /// Wants none.
    Notification {
        /// The method.
        method: String,
        /// Its parameters.
        params: Option<Box<RawValue>>,
    },
    /// An answer.
    Response {
        /// The id of our request.
        id: Id,
        /// Result or error.
        outcome: Result<Box<RawValue>, RpcError>,
    },
}

/// A line that is no message.
#[derive(Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Not JSON, or nested too deep.
    NotJson {
        /// Whether it starts like a JSON object or array, so that the sender may be glad of an answer.
        attempted: bool,
    },
    /// JSON, but no valid request: answer −32600 with this id.
    Invalid {
        /// The id, as far as it could be read.
        id: Id,
        /// Why.
        reason: &'static str,
    },
    /// A notification or answer that makes no sense: never answered.
    Ignore {
        /// Why.
        reason: &'static str,
    },
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    // Keeps `null` apart from an absent member.
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// Parses one line.
///
/// ```
/// use agentos_acp::envelope::{Id, Message, parse};
/// let Ok(Message::Request { id, method, .. }) = parse(br#"{"jsonrpc":"2.0","id":"a","method":"m"}"#) else { panic!() };
/// assert_eq!((id, method.as_str()), (Id::Text("a".into()), "m"));
/// ```
///
/// # Errors
/// [`Malformed`] says how the line is to be treated.
pub fn parse(line: &[u8]) -> Result<Message, Malformed> {
    let first = line.iter().find(|b| !b.is_ascii_whitespace());
    let not_json = Malformed::NotJson { attempted: matches!(first, Some(b'{' | b'[')) };
    let Some(mended) = mend(line) else { return Err(not_json) };
    let line = &*mended;
    if first != Some(&b'{') {
        return match serde_json::from_slice::<serde::de::IgnoredAny>(line) {
            Ok(_) => {
                Err(Malformed::Invalid { id: Id::Null, reason: "not an object; batches are not supported" })
            }
            Err(_) => Err(not_json),
        };
    }
    let envelope: Envelope<'_> = match serde_json::from_slice(line) {
        Ok(envelope) => envelope,
        Err(error) if error.is_data() => {
            return Err(Malformed::Invalid { id: Id::Null, reason: "a member occurs twice" });
        }
        Err(_) => return Err(not_json),
    };
    let id = envelope.id.map(Id::from_raw);
    let versioned = envelope.jsonrpc.is_some_and(|v| v.get() == "\"2.0\"");
    let invalid = |reason| match &id {
        // An id that cannot be read cannot be echoed.
        Some(id) => Malformed::Invalid { id: id.clone().unwrap_or(Id::Null), reason },
        None => Malformed::Ignore { reason },
    };
    let Some(method) = envelope.method else {
        let outcome = match (envelope.result, envelope.error) {
            (_, Some(error)) if error.get() != "null" => Err(RpcError::from_raw(error)),
            (Some(result), _) => Ok(result.to_owned()),
            _ => return Err(invalid("neither a method nor a result")),
        };
        return match id {
            Some(Some(id)) if versioned => Ok(Message::Response { id, outcome }),
            _ => Err(Malformed::Ignore { reason: "an answer without a valid id or version" }),
        };
    };
    if !versioned {
        return Err(invalid("jsonrpc is not \"2.0\""));
    }
    let Ok(method) = serde_json::from_str::<String>(method.get()) else {
        return Err(invalid("the method is not a string"));
    };
    let params = envelope.params.filter(|p| p.get() != "null").map(ToOwned::to_owned);
    match id {
        None => Ok(Message::Notification { method, params }),
        Some(Some(id)) => Ok(Message::Request { id, method, params }),
        Some(None) => {
            Err(Malformed::Invalid { id: Id::Null, reason: "the id is no integer or short string" })
        }
    }
}

#[derive(Serialize)]
struct Call<'a, P: ?Sized> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Id>,
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<&'a P>,
}

#[derive(Serialize)]
struct Answer<'a, R: ?Sized> {
    jsonrpc: &'static str,
    id: &'a Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a R>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a RpcError>,
}

fn line<T: Serialize>(message: &T) -> serde_json::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(message)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// A request (with an id) or a notification (without), newline included.
///
/// # Errors
/// If `params` cannot be written as JSON.
pub fn call<P: Serialize + ?Sized>(
    id: Option<&Id>,
    method: &str,
    params: Option<&P>,
) -> serde_json::Result<Vec<u8>> {
    line(&Call { jsonrpc: "2.0", id, method, params })
}

/// An answer, newline included.
///
/// # Errors
/// If the result cannot be written as JSON.
pub fn answer<R: Serialize + ?Sized>(id: &Id, outcome: Result<&R, &RpcError>) -> serde_json::Result<Vec<u8>> {
    line(&Answer { jsonrpc: "2.0", id, result: outcome.ok(), error: outcome.err() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn describe(line: &str) -> String {
        match parse(line.as_bytes()) {
            Ok(Message::Request { id, method, params }) => {
                format!("request {id:?} {method} {}", params.map_or_else(String::new, |p| p.get().to_owned()))
            }
            Ok(Message::Notification { method, .. }) => format!("notification {method}"),
            Ok(Message::Response { id, outcome: Ok(result) }) => format!("result {id:?} {}", result.get()),
            Ok(Message::Response { id, outcome: Err(e) }) => format!("error {id:?} {}", e.code),
            Err(Malformed::NotJson { attempted }) => format!("not json {attempted}"),
            Err(Malformed::Invalid { id, .. }) => format!("invalid {id:?}"),
            Err(Malformed::Ignore { .. }) => "ignore".to_owned(),
        }
    }

    #[test]
    fn table() {
        let long = "x".repeat(257);
        for (line, want) in [
            (r#"{"jsonrpc":"2.0","id":0,"method":"m","params":{"a":1}}"#, r#"request Number(0) m {"a":1}"#),
            (r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#, "request Null m "),
            (r#"{"jsonrpc":"2.0","id":"0","method":"m","params":null}"#, r#"request Text("0") m "#),
            (r#"{"jsonrpc":"2.0","method":"m","extra":[1]}"#, "notification m"),
            (r#"{"jsonrpc":"2.0","id":1,"result":null}"#, "result Number(1) null"),
            (r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"x"}}"#, "error Number(1) -32601"),
            (r#"{"jsonrpc":"2.0","id":1,"error":"boom"}"#, "error Number(1) -32603"),
            (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":null}"#, "result Number(1) {}"),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"m"}"#, "invalid Null"),
            (r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#, "invalid Null"),
            (r#"{"jsonrpc":"2.0","id":7,"method":3}"#, "invalid Number(7)"),
            (r#"{"jsonrpc":"1.0","id":7,"method":"m"}"#, "invalid Number(7)"),
            (r#"{"jsonrpc":"2.0","id":7}"#, "invalid Number(7)"),
            (r#"{"jsonrpc":"2.0","id":7,"id":8,"method":"m"}"#, "invalid Null"),
            (r#"{"jsonrpc":"2.0","result":{}}"#, "ignore"),
            (r#"{"id":7,"result":{}}"#, "ignore"),
            ("[]", "invalid Null"),
            (r#"[{"jsonrpc":"2.0","id":1,"method":"m"}]"#, "invalid Null"),
            ("3", "invalid Null"),
            ("hello", "not json false"),
            ("{oops", "not json true"),
            ("{\"jsonrpc\":\"2.0\",\"method\":\"\u{0}\"}", "not json true"),
        ] {
            assert_eq!(describe(line), want, "{line}");
        }
        assert_eq!(describe(&format!(r#"{{"jsonrpc":"2.0","id":"{long}","method":"m"}}"#)), "invalid Null");
    }

    #[test]
    fn depth_is_limited_in_raw_members_too() {
        let nested = |n: usize| {
            format!(r#"{{"jsonrpc":"2.0","method":"m","params":{}{}}}"#, "[".repeat(n), "]".repeat(n))
                .into_bytes()
        };
        assert!(parse(&nested(127)).is_ok());
        assert!(matches!(parse(&nested(128)), Err(Malformed::NotJson { attempted: true })));
        assert!(parse(br#"{"jsonrpc":"2.0","method":"[[[[\"{{{"}"#).is_ok());
        assert!(matches!(parse(&nested(1_000_000)), Err(Malformed::NotJson { .. })));
    }

    #[test]
    fn answers_echo_the_type_of_the_id() {
        let text = |id: Id| String::from_utf8(answer(&id, Ok(&1)).unwrap()).unwrap();
        assert_eq!(text(Id::Text("5".into())), "{\"jsonrpc\":\"2.0\",\"id\":\"5\",\"result\":1}\n");
        assert_eq!(text(Id::Number(5)), "{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":1}\n");
        assert_eq!(text(Id::Null), "{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":1}\n");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_judged_without_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn any_json_like_text_is_judged_without_panic(text in "[\\[\\]{}\":,0-9a-z\\\\ ]{0,200}") {
            let _ = parse(text.as_bytes());
        }
    }
}
