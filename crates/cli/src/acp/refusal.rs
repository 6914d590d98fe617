//! Errors of the machine as the editor gets them. What the agent itself said goes on with its own code and data.

use agentos::{AgentFailure, Error};
use agentos_acp::envelope::{RpcError, code};
use serde_json::{Value, json};

/// An error of a call that is ours.
pub(super) fn refusal(error: &Error) -> RpcError {
    match error {
        Error::SessionNotFound { .. } => RpcError::new(code::NOT_FOUND, error.to_string()),
        Error::Agent { message, failure } => of_agent(message, failure),
        Error::InvalidRequest { .. }
        | Error::InvalidConfig { .. }
        | Error::Unsupported { .. }
        | Error::PathNotAbsolute { .. }
        | Error::PathNotNormalized { .. } => RpcError::new(code::INVALID_PARAMS, error.to_string()),
        Error::Cancelled { .. } => RpcError::new(code::REQUEST_CANCELLED, error.to_string()),
        _ => RpcError::new(code::INTERNAL_ERROR, error.to_string()),
    }
}

/// An error of a request that only goes through us.
pub(super) fn of_passed(error: &Error, method: &str) -> RpcError {
    match error {
        Error::Unsupported { .. } => {
            RpcError::new(code::METHOD_NOT_FOUND, format!("the agent has no {}", shown(method)))
        }
        _ => refusal(error),
    }
}

/// A name of the editor's choice, in a text of ours.
pub(super) fn shown(name: &str) -> &str {
    &name[..name.floor_char_boundary(64)]
}

fn of_agent(message: &str, failure: &AgentFailure) -> RpcError {
    if let Some(said) = failure.rpc_code {
        let data = failure.rpc_data.as_ref().and_then(|data| data.parse::<Value>().ok());
        return RpcError { code: said, message: message.to_owned(), data };
    }
    let mut data = json!({});
    for (name, value) in [("exitCode", json!(failure.exit_code)), ("signal", json!(failure.signal))] {
        if !value.is_null() {
            data[name] = value;
        }
    }
    if !failure.last_stderr.is_empty() {
        data["stderr"] = json!(failure.last_stderr);
    }
    let data = data.as_object().is_some_and(|data| !data.is_empty()).then_some(data);
    RpcError { code: code::INTERNAL_ERROR, message: message.to_owned(), data }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_agent_said_keeps_its_code_and_data() {
        let failure = AgentFailure { rpc_code: Some(-32000), ..AgentFailure::default() };
        let said = refusal(&Error::Agent { message: "log in".into(), failure: Box::new(failure) });
        assert_eq!((said.code, said.message.as_str(), said.data), (code::AUTH_REQUIRED, "log in", None));
        let failure =
            AgentFailure { exit_code: Some(3), last_stderr: "no key".into(), ..AgentFailure::default() };
        let ended = refusal(&Error::Agent { message: "ended".into(), failure: Box::new(failure) });
        assert_eq!(
            (ended.code, ended.data.unwrap()),
            (code::INTERNAL_ERROR, json!({"exitCode": 3, "stderr": "no key"}))
        );
    }

    #[test]
    fn what_an_agent_does_not_have_depends_on_who_asked_for_it() {
        let error = Error::Unsupported { message: "no sse".into() };
        assert_eq!(refusal(&error).code, code::INVALID_PARAMS);
        let passed = of_passed(&error, &"é".repeat(50));
        assert_eq!(passed.code, code::METHOD_NOT_FOUND);
        assert_eq!(passed.message.chars().filter(|c| *c == 'é').count(), 32);
    }
}
