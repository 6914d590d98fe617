//! Failures of agents and their kernels as the wire carries them.
//! It decides no policy: every error has one code.

use agentos_driver::ErrorInfo;
use agentos_driver::error::{MALFORMED, NOT_READY, STOPPING, UNSUPPORTED};
use agentos_kernel::Signal;
use agentos_protocol::WireError;
use agentos_protocol::message::{AgentFailure, JsonText, LimitInfo, code};
use serde_json::Value;

use super::launch::{NOT_STARTED, of_kernel};
use super::log::ReadError;

/// Bytes of an agent's last words that a message repeats.
const LAST_LINE: usize = 512;

/// POSIX name of a signal number.
pub(crate) fn signal_name(number: i32) -> Option<String> {
    u8::try_from(number).ok().and_then(Signal::from_raw).map(|signal| signal.name().to_owned())
}

/// A request that makes no sense.
pub(crate) fn invalid(message: impl Into<String>) -> WireError {
    WireError::new(code::INVALID_REQUEST, message)
}

/// Something that the agent does not have.
pub(crate) fn unsupported(message: impl Into<String>) -> WireError {
    WireError::new(code::UNSUPPORTED, message)
}

/// A session that is not there.
pub(crate) fn no_session(id: &str) -> WireError {
    WireError::not_found(code::SESSION_NOT_FOUND, id)
}

/// One more than there may be.
pub(crate) fn limit(name: &str, configured: usize, used: usize) -> WireError {
    let (configured, used) = (configured as u64, used as u64);
    WireError::limit(LimitInfo { name: name.to_owned(), configured, used, requested: 1 })
}

/// An error of a read.
pub(crate) fn unread(error: &ReadError) -> WireError {
    match error {
        ReadError::Expired { .. } | ReadError::Ahead { .. } | ReadError::Crowded => {
            invalid(error.to_string())
        }
        ReadError::Store(_) | ReadError::Foreign(_) => WireError::new(code::INTERNAL, error.to_string()),
    }
}

/// What an error says of the agent's end and last words.
fn failure(error: &ErrorInfo) -> AgentFailure {
    let number = |name: &str| error.details.get(name).and_then(Value::as_i64);
    let text = |name: &str| error.details.get(name).and_then(Value::as_str);
    let small = |name: &str| number(name).and_then(|number| i32::try_from(number).ok());
    AgentFailure {
        exit_code: small("exitCode"),
        signal: small("signal").and_then(signal_name),
        last_stderr: text("stderr").unwrap_or_default().to_owned(),
        rpc_code: number("rpcCode"),
        rpc_data: text("rpcData").map(|data| JsonText(data.to_owned())),
    }
}

/// The message of an error with the last line that the agent logged, if it says how the agent ended.
fn told(error: &ErrorInfo, failure: &AgentFailure) -> String {
    let last = failure.last_stderr.trim_end().lines().last().unwrap_or_default();
    let last = &last[..last.floor_char_boundary(LAST_LINE)];
    if last.is_empty() || error.message.contains(last) {
        error.message.clone()
    } else {
        format!("{}: {last}", error.message)
    }
}

/// An error of a session as the wire has it.
pub(crate) fn wire(error: &ErrorInfo) -> WireError {
    if let Some(wire) = of_kernel(error) {
        return wire;
    }
    match error.code.as_str() {
        UNSUPPORTED => unsupported(error.message.clone()),
        MALFORMED | "acp.unsupported_content" | "driver.provider_options_malformed" => {
            invalid(error.message.clone())
        }
        NOT_READY => WireError::new(code::BUSY, error.message.clone()),
        STOPPING => WireError::agent("the session is closed", AgentFailure::default()),
        NOT_STARTED => {
            let mut wire = WireError::agent(error.message.clone(), failure(error));
            if let Some(details) = &mut wire.details {
                details.resource = error.details.get("agent").and_then(Value::as_str).map(str::to_owned);
            }
            wire
        }
        _ => {
            let failure = failure(error);
            WireError::agent(told(error, &failure), failure)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_agent_is_told_with_its_last_words() {
        let exit = ErrorInfo::retryable("driver.backend_exited", "the agent's process ended with status 3")
            .with("exitCode", 3)
            .with("signal", Value::Null)
            .with("stderr", "a\nno key\n");
        let error = wire(&exit);
        assert_eq!(error.code, code::AGENT);
        assert_eq!(error.message, "the agent's process ended with status 3: no key");
        let failure = error.details.unwrap().agent.unwrap();
        assert_eq!((failure.exit_code, failure.last_stderr.as_str()), (Some(3), "a\nno key\n"));
        let killed = wire(&ErrorInfo::new("driver.backend_exited", "killed").with("signal", 9));
        assert_eq!(killed.details.unwrap().agent.unwrap().signal.as_deref(), Some("SIGKILL"));
        let refused =
            ErrorInfo::new("acp.config_refused", "no").with("rpcCode", -32602).with("rpcData", "{\"a\":1}");
        let failure = wire(&refused).details.unwrap().agent.unwrap();
        assert_eq!((failure.rpc_code, failure.rpc_data.unwrap().0.as_str()), (Some(-32602), "{\"a\":1}"));
    }

    #[test]
    fn what_is_no_fault_of_the_agent_has_a_code_of_its_own() {
        assert_eq!(wire(&ErrorInfo::new(UNSUPPORTED, "x")).code, code::UNSUPPORTED);
        assert_eq!(wire(&ErrorInfo::new(MALFORMED, "x")).code, code::INVALID_REQUEST);
        assert_eq!(wire(&ErrorInfo::retryable(NOT_READY, "x")).code, code::BUSY);
    }
}
