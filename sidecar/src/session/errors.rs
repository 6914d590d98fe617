//! Failures of agents as the wire carries them.
//! It decides no policy: every error of the peer has one code.

use agentos_acp::{AgentExit, Error};
use agentos_kernel::Signal;
use agentos_protocol::WireError;
use agentos_protocol::message::{AgentFailure, ErrorDetails, JsonText, LimitInfo, code};

use super::agent::Agent;
use super::events::permission_name;

/// POSIX name of a signal number.
pub(crate) fn signal_name(number: i32) -> Option<String> {
    u8::try_from(number).ok().and_then(Signal::from_raw).map(|signal| signal.name().to_owned())
}

/// A request that makes no sense.
pub(crate) fn invalid(message: impl Into<String>) -> WireError {
    WireError::new(code::INVALID_REQUEST, message)
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

/// An error of the peer about a session.
pub(crate) fn wire(session_id: &str, agent: &Agent, error: Error) -> WireError {
    let message = error.to_string();
    match error {
        Error::Rpc { error, .. } => {
            let failure = AgentFailure {
                rpc_code: Some(error.code),
                rpc_data: error.data.as_ref().map(JsonText::new),
                ..agent.failure()
            };
            WireError::agent(message, failure)
        }
        Error::NotSupported { .. } => WireError::new(code::UNSUPPORTED, message),
        Error::AuthRequired { methods } => {
            let methods = serde_json::to_string(&methods).ok().map(JsonText);
            let failure = AgentFailure { rpc_code: Some(-32000), rpc_data: methods, ..agent.failure() };
            WireError::agent(message, failure)
        }
        Error::Timeout { .. } => WireError::new(code::TIMEOUT, message)
            .with(ErrorDetails { agent: Some(agent.failure()), ..ErrorDetails::default() }),
        Error::AgentExited(exit) => exited(&exit),
        Error::Fatal(_) | Error::InvalidAnswer { .. } => WireError::agent(message, agent.failure()),
        Error::Closed => WireError::agent("the session is closed", agent.failure()),
        Error::UnknownSession { .. } => no_session(session_id),
        Error::Limit { name, configured, used } => limit(name, configured, used.saturating_sub(1)),
        Error::UnknownPermission(id) => {
            WireError::not_found(code::PERMISSION_REQUEST_NOT_FOUND, permission_name(id))
        }
        Error::Reserved { .. } | Error::NoSuchOption { .. } | Error::CursorExpired(_) => invalid(message),
        _ => WireError::new(code::INTERNAL, message),
    }
}

/// The end of an agent, told in a sentence.
fn exited(exit: &AgentExit) -> WireError {
    let signal = exit.signal.and_then(signal_name);
    let how = match (exit.code, &signal) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("was ended by {signal}"),
        (None, None) => "closed its output".to_owned(),
    };
    let last = exit.stderr_tail.trim_end();
    let said = last.lines().last().map_or(String::new(), |line| format!(": {line}"));
    let failure = AgentFailure {
        exit_code: exit.code,
        signal,
        last_stderr: last_bytes(&exit.stderr_tail, 8 << 10).to_owned(),
        ..AgentFailure::default()
    };
    WireError::agent(format!("the agent {how}{said}"), failure)
}

/// The end of a text, at most `most` bytes.
fn last_bytes(text: &str, most: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(most))..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_agent_is_told_with_its_last_words() {
        let exit = AgentExit { code: Some(3), signal: None, stderr_tail: "a\nno key\n".into() };
        let error = exited(&exit);
        assert_eq!(error.code, code::AGENT);
        assert_eq!(error.message, "the agent exited with status 3: no key");
        let failure = error.details.unwrap().agent.unwrap();
        assert_eq!((failure.exit_code, failure.last_stderr.as_str()), (Some(3), "a\nno key\n"));
        let killed = exited(&AgentExit { code: None, signal: Some(9), stderr_tail: String::new() });
        assert_eq!(killed.message, "the agent was ended by SIGKILL");
        assert_eq!(killed.details.unwrap().agent.unwrap().signal.as_deref(), Some("SIGKILL"));
    }

    #[test]
    fn texts_are_cut_at_characters() {
        assert_eq!(last_bytes("aüb", 2), "b");
        assert_eq!(last_bytes("ab", 9), "ab");
    }
}
