//! What a bridge has to know of the messages that it carries; the rest of them passes as it is.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// The code of errors that the bridge gives in place of the server: the first of those that JSON-RPC leaves to servers.
const SERVER_ERROR: i64 = -32000;
/// Bytes of what a server said that an error repeats.
const PIECE: usize = 300;
/// Longest version of the protocol.
const VERSION: usize = 32;

/// One message.
#[derive(Debug, PartialEq)]
pub(super) struct Message {
    /// On one line.
    pub(super) text: String,
    /// Its method; answers have none.
    pub(super) method: Option<String>,
    /// The id of a request or an answer.
    pub(super) id: Option<Value>,
    /// The request that it cancels.
    pub(super) cancels: Option<Value>,
    /// The version of the protocol that an answer to `initialize` settles.
    pub(super) version: Option<String>,
}

#[derive(Deserialize)]
struct Probe<'a> {
    #[serde(default)]
    id: Option<Value>,
    #[serde(default)]
    method: Option<String>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Within {
    #[serde(default)]
    request_id: Option<Value>,
    #[serde(default)]
    protocol_version: Option<String>,
}

impl Message {
    /// Whether it wants an answer.
    pub(super) fn is_request(&self) -> bool {
        self.method.is_some() && self.id.is_some()
    }

    /// Whether it answers this request.
    pub(super) fn answers(&self, id: &Value) -> bool {
        self.method.is_none() && self.id.as_ref() == Some(id)
    }

    fn of(raw: &RawValue) -> Option<Self> {
        let probe: Probe<'_> = serde_json::from_str(raw.get()).ok()?;
        let within =
            |raw: Option<&RawValue>| raw.and_then(|raw| serde_json::from_str::<Within>(raw.get()).ok());
        let cancels = match probe.method.as_deref() {
            Some("notifications/cancelled") => within(probe.params).and_then(|params| params.request_id),
            _ => None,
        };
        let version = within(probe.result).and_then(|result| result.protocol_version);
        // It goes into a header.
        let version =
            version.filter(|text| text.len() <= VERSION && text.bytes().all(|byte| byte.is_ascii_graphic()));
        // Between the tokens of JSON only; in texts they are escaped.
        let text = raw.get().replace(['\n', '\r'], " ");
        Some(Message { text, method: probe.method, id: probe.id, cancels, version })
    }
}

/// The messages in a text: one, or those of a batch. `None` if it is neither.
pub(super) fn read(text: &str) -> Option<Vec<Message>> {
    if text.trim_start().starts_with('[') {
        let all: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        return all.into_iter().map(Message::of).collect();
    }
    let one: &RawValue = serde_json::from_str(text).ok()?;
    Some(vec![Message::of(one)?])
}

/// The answer to a request that the server has not answered; `data` says more to programs.
pub(super) fn failed(id: &Value, why: &str, data: &Value) -> String {
    let error = json!({"code": SERVER_ERROR, "message": why, "data": data});
    json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string()
}

/// What a server said, cut and on one line.
pub(super) fn piece(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let plain = plain.trim();
    plain[..plain.floor_char_boundary(PIECE)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart_and_stay_as_they_are() {
        let one = |text: &str| read(text).unwrap().remove(0);
        let request = one("{\"jsonrpc\":\"2.0\",\r\n \"id\":1.0, \"method\":\"m\", \"x\": 1e999}");
        assert!(request.is_request() && !request.answers(&json!(1.0)));
        assert_eq!(request.text, "{\"jsonrpc\":\"2.0\",   \"id\":1.0, \"method\":\"m\", \"x\": 1e999}");
        let answer = one(r#"{"id":"a","result":{"protocolVersion":"2025-06-18"}}"#);
        assert!(answer.answers(&json!("a")) && answer.version.as_deref() == Some("2025-06-18"));
        assert_eq!(one(r#"{"id":1,"result":{"protocolVersion":"a\nb"}}"#).version, None);
        let cancel = one(r#"{"method":"notifications/cancelled","params":{"requestId":7}}"#);
        assert_eq!((cancel.cancels.clone(), cancel.is_request()), (Some(json!(7)), false));
        assert_eq!(one(r#"{"method":"other","params":[1]}"#).cancels, None);
        let batch = read(r#" [{"id":1,"result":{}}, {"method":"n"}]"#).unwrap();
        assert_eq!(
            batch.iter().map(|m| m.text.as_str()).collect::<Vec<_>>(),
            [r#"{"id":1,"result":{}}"#, r#"{"method":"n"}"#]
        );
        for wrong in ["", "{", "1", "[1]", "\"x\"", &"[".repeat(100_000)] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_a_server_said_is_cut_and_plain() {
        assert_eq!(piece(b" <h1>\x1b[31mno\r\n</h1>\xff "), "<h1> [31mno  </h1>\u{fffd}");
        assert_eq!(piece("ä".repeat(PIECE).as_bytes()).len(), PIECE);
    }
}
