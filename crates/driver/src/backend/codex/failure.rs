//! Errors of the vendor's turn: what kind, whether the same may go well another time, and how the turn ends by it.

use serde_json::Value;

use super::wire;
use crate::ErrorInfo;
use crate::backend::TurnOutcome;
use crate::event::{Body, DiagnosticSource, Severity, StopReason};

/// The code of a turn that failed.
pub(super) const TURN_FAILED: &str = "openai.turn_failed";

/// An error of a turn.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    /// The vendor's word for it: the set is open.
    kind: String,
    /// The status of the HTTP response behind it.
    http_status: Option<u64>,
    message: String,
}

/// What follows from a kind of error: whether to try again, and the type of error that the hosted API has for it.
fn consequence(kind: &str) -> (bool, &'static str) {
    match kind {
        "serverOverloaded" => (true, "model_overloaded_error"),
        "internalServerError"
        | "httpConnectionFailed"
        | "responseStreamConnectionFailed"
        | "responseStreamDisconnected"
        | "responseTooManyFailedAttempts" => (true, "model_request_failed_error"),
        "rateLimitExceeded" | "flexUnavailable" => (true, "model_rate_limited_error"),
        "usageLimitExceeded" | "sessionBudgetExceeded" => (false, "billing_error"),
        "contextWindowExceeded" => (false, "compaction_limit_reached_error"),
        "unauthorized" | "badRequest" | "modelNotFound" | "sandboxError" => {
            (false, "model_request_failed_error")
        }
        _ => (false, "unknown_error"),
    }
}

impl Failure {
    /// Reads the `error` of a notification or a turn. The kind is a string, or the only member of an object.
    pub(super) fn read(error: &Value) -> Self {
        let info = error.get("codexErrorInfo").unwrap_or(&Value::Null);
        let (kind, http_status) = match info {
            Value::String(kind) => (kind.as_str(), None),
            Value::Object(members) => match members.iter().next() {
                Some((kind, inner)) => (kind.as_str(), inner.get("httpStatusCode").and_then(Value::as_u64)),
                None => ("other", None),
            },
            _ => ("other", None),
        };
        Failure {
            kind: wire::cut(kind, 64).to_owned(),
            http_status,
            message: wire::message_of(error).unwrap_or_else(|| "the agent's turn failed".to_owned()),
        }
    }

    /// One that the vendor gave only a message for.
    pub(super) fn of(message: &str) -> Self {
        Failure { kind: "other".to_owned(), http_status: None, message: message.to_owned() }
    }

    /// How a turn ends by it.
    pub(super) fn outcome(self) -> TurnOutcome {
        if self.is_refusal() {
            return TurnOutcome::Completed { stop_reason: StopReason::Refusal };
        }
        let (retryable, error_type) = consequence(&self.kind);
        let mut error = ErrorInfo::new(TURN_FAILED, self.message);
        error.retryable = retryable;
        let mut error = error.with("codexErrorInfo", self.kind).with("errorType", error_type);
        if let Some(status) = self.http_status {
            error = error.with("httpStatusCode", status);
        }
        TurnOutcome::Failed { error, stop_reason: StopReason::Error }
    }

    /// Whether it is the model that does not want to.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.kind.as_str(), "cyberPolicy" | "misalignmentPolicyViolation")
    }

    /// That the vendor tries again by itself.
    pub(super) fn will_retry(&self) -> Body {
        let text = format!("a request to the model failed and is tried again: {}", self.kind);
        Body::diagnostic("openai.will_retry", Severity::Info, DiagnosticSource::Backend, text)
    }

    /// Why a turn ended as a refusal.
    pub(super) fn refused(&self) -> Body {
        let text = format!("the turn was refused: {}", self.kind);
        Body::diagnostic("openai.refused", Severity::Info, DiagnosticSource::Backend, text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_may_go_well_another_time_is_told_by_kind() {
        let rows: &[(&str, bool, &str)] = &[
            ("serverOverloaded", true, "model_overloaded_error"),
            ("internalServerError", true, "model_request_failed_error"),
            ("httpConnectionFailed", true, "model_request_failed_error"),
            ("responseStreamConnectionFailed", true, "model_request_failed_error"),
            ("responseStreamDisconnected", true, "model_request_failed_error"),
            ("responseTooManyFailedAttempts", true, "model_request_failed_error"),
            ("rateLimitExceeded", true, "model_rate_limited_error"),
            ("flexUnavailable", true, "model_rate_limited_error"),
            ("usageLimitExceeded", false, "billing_error"),
            ("sessionBudgetExceeded", false, "billing_error"),
            ("contextWindowExceeded", false, "compaction_limit_reached_error"),
            ("unauthorized", false, "model_request_failed_error"),
            ("badRequest", false, "model_request_failed_error"),
            ("other", false, "unknown_error"),
            ("ofALaterVersion", false, "unknown_error"),
        ];
        for (kind, retryable, error_type) in rows {
            for info in [json!(kind), json!({ *kind: { "httpStatusCode": 503 } })] {
                let failure = Failure::read(&json!({ "message": "m", "codexErrorInfo": info }));
                let TurnOutcome::Failed { error, stop_reason } = failure.outcome() else { panic!("{kind}") };
                assert_eq!((error.code.as_str(), error.message.as_str()), (TURN_FAILED, "m"));
                assert_eq!((error.retryable, stop_reason), (*retryable, StopReason::Error), "{kind}");
                assert_eq!(error.details["codexErrorInfo"], json!(kind));
                assert_eq!(error.details["errorType"], json!(error_type));
                let status = info.is_object().then_some(json!(503));
                assert_eq!(error.details.get("httpStatusCode"), status.as_ref());
            }
        }
    }

    #[test]
    fn a_policy_of_the_model_is_a_refusal_and_no_error() {
        for kind in ["cyberPolicy", "misalignmentPolicyViolation"] {
            let outcome = Failure::read(&json!({ "codexErrorInfo": kind })).outcome();
            assert_eq!(outcome, TurnOutcome::Completed { stop_reason: StopReason::Refusal });
        }
    }

    #[test]
    fn an_error_of_any_shape_is_one() {
        for error in [
            json!(null),
            json!({}),
            json!({"codexErrorInfo": {}}),
            json!({"codexErrorInfo": 7, "message": []}),
        ] {
            assert_eq!(Failure::read(&error), Failure::of("the agent's turn failed"));
        }
    }
}
