//! What goes wrong between the agent and an endpoint, and whether trying again may help.

use std::time::Duration;

use serde_json::Value;

/// Longest message of an endpoint that is repeated, in bytes.
const MAX_MESSAGE: usize = 1000;

/// An answer that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// For the user, after the name of the endpoint.
    pub(crate) message: String,
    /// Whether the same request may go well later.
    pub(crate) again: bool,
    /// When, if the endpoint said it.
    pub(crate) after: Option<Duration>,
    /// The history is too long for the model.
    pub(crate) too_long: bool,
    /// The endpoint does not take what is in the request.
    pub(crate) refused: bool,
}

impl Fault {
    /// The request would fail again.
    pub(crate) fn fatal(message: impl Into<String>) -> Self {
        Self { message: message.into(), again: false, after: None, too_long: false, refused: false }
    }

    /// The answer came broken.
    pub(crate) fn broken(message: impl Into<String>) -> Self {
        Self { again: true, ..Self::fatal(message) }
    }

    /// From a status that is not 200, with headers and the body as far as it came.
    pub(crate) fn of_status(status: u16, headers: &[(String, String)], body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let error = serde_json::from_str::<Value>(&text).unwrap_or_default();
        let (said, code) = match &error["error"] {
            Value::String(text) => (text.as_str(), ""),
            error => (error["message"].as_str().unwrap_or(text.trim()), code_of(error)),
        };
        let said = short(said);
        let advice = match status {
            401 | 403 => {
                ". The key is put into requests by the host: look at the credentials of the machine's egress policy"
            }
            404 => ". Look at AGENTOS_MODEL_BASE_URL, AGENTOS_MODEL_API and AGENTOS_MODEL",
            _ => "",
        };
        let said = if said.is_empty() { "nothing".to_owned() } else { said };
        // An account without money does not get any by waiting.
        let again = matches!(status, 408 | 409 | 425 | 429 | 500..=599) && code != "insufficient_quota";
        let mut fault = Self { again, ..Self::fatal(format!("answered {status}: {said}{advice}")) };
        fault.after = if again { retry_after(headers) } else { None };
        fault.refused = matches!(status, 400 | 413 | 422);
        fault.too_long = fault.refused && speaks_of_length(code, &text);
        fault
    }

    /// From an error within a stream.
    pub(crate) fn of_event(error: &Value) -> Self {
        let (said, code) = match error {
            Value::String(text) => (text.as_str(), ""),
            error => (error["message"].as_str().unwrap_or("no reason"), code_of(error)),
        };
        let kind = [code, error["type"].as_str().unwrap_or_default()];
        let again = kind.iter().any(|kind| {
            ["overloaded", "rate_limit", "server_error", "api_error", "timeout", "unavailable"]
                .iter()
                .any(|word| kind.contains(word))
        });
        let message = format!("broke the answer off with an error: {}", short(said));
        Self { again, too_long: speaks_of_length(code, said), ..Self::fatal(message) }
    }

    /// From a request or an answer that failed on the way; `code` is that of the host.
    pub(crate) fn of_transport(code: &str, message: &str) -> Self {
        let again = !matches!(code, "denied" | "blocked_address" | "too_large" | "invalid" | "unsupported");
        let what = if again { "was not reached or lost" } else { "may not be reached" };
        Self { again, ..Self::fatal(format!("{what} ({code}): {}", short(message))) }
    }
}

fn code_of(error: &Value) -> &str {
    error["code"].as_str().or(error["type"].as_str()).unwrap_or_default()
}

fn short(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_MESSAGE)].to_owned()
}

/// Whether an error is that of a history that is too long; every endpoint has words of its own for that.
fn speaks_of_length(code: &str, text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    code == "context_length_exceeded"
        || ["prompt is too long", "context length", "context_length", "context window", "too many tokens"]
            .iter()
            .any(|words| text.contains(words))
}

/// The wait that an endpoint asks for; dates are not read.
fn retry_after(headers: &[(String, String)]) -> Option<Duration> {
    let header = |name: &str| {
        headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).and_then(|(_, v)| v.trim().parse().ok())
    };
    let seconds = header("retry-after-ms").map(|ms: f64| ms / 1000.0).or_else(|| header("retry-after"))?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn statuses_say_whether_to_try_again() {
        let headers = |value: &str| vec![("Retry-After".to_owned(), value.to_owned())];
        for (status, body, again, too_long, want) in [
            (
                401,
                r#"{"error":{"message":"bad key"}}"#,
                false,
                false,
                "answered 401: bad key. The key is put",
            ),
            (403, "", false, false, "answered 403: nothing. The key"),
            (404, "no", false, false, "AGENTOS_MODEL"),
            (400, r#"{"error":{"type":"x","message":"prompt is too long: 5 > 4"}}"#, false, true, "too long"),
            (400, r#"{"error":{"code":"context_length_exceeded"}}"#, false, true, "400"),
            (400, r#"{"error":"odd"}"#, false, false, "answered 400: odd"),
            (429, r#"{"error":{"code":"insufficient_quota","message":"pay"}}"#, false, false, "pay"),
            (429, "{}", true, false, "answered 429: {}"),
            (500, "<html>", true, false, "500"),
            (529, r#"{"error":{"type":"overloaded_error","message":"busy"}}"#, true, false, "busy"),
        ] {
            let fault = Fault::of_status(status, &headers("7"), body.as_bytes());
            assert_eq!((fault.again, fault.too_long), (again, too_long), "{status} {body}");
            assert!(fault.message.contains(want), "{}", fault.message);
            assert_eq!(fault.after, again.then(|| Duration::from_secs(7)));
        }
        for (value, want) in [
            ("1.5", Some(1500)),
            ("0", Some(0)),
            ("-1", None),
            ("nan", None),
            ("1e300", None),
            ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ] {
            assert_eq!(retry_after(&headers(value)), want.map(Duration::from_millis), "{value}");
        }
        let ms = [("retry-after-ms".to_owned(), "20".to_owned())];
        assert_eq!(retry_after(&ms), Some(Duration::from_millis(20)));
        assert!(Fault::of_status(500, &[], &[b'x'; 100_000]).message.len() < 1100);
    }

    #[test]
    fn errors_of_streams_and_of_the_way() {
        for (error, again) in [
            (json!({"type": "overloaded_error", "message": "m"}), true),
            (json!({"code": "rate_limit_exceeded", "message": "m"}), true),
            (json!({"type": "invalid_request_error", "message": "m"}), false),
            (json!("m"), false),
        ] {
            let fault = Fault::of_event(&error);
            assert_eq!(fault.again, again, "{error}");
            assert!(fault.message.ends_with(": m"));
        }
        assert!(Fault::of_transport("connect", "refused").again);
        let denied = Fault::of_transport("denied", "allow it");
        assert!(!denied.again && denied.message.contains("allow it"));
    }
}
