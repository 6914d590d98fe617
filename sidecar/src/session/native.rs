//! What a client gives an agent that speaks ACP, and that only the two of them know: `_meta` of a session, members of a prompt. It
//! is bounded, and not looked into.

use agentos_protocol::WireError;
use agentos_protocol::message::{AgentConfig, JsonText};
use serde_json::{Map, Value};

use super::errors::invalid;
use super::protocol::Protocol;

/// Most bytes of it, as JSON.
const MOST: usize = 64 << 10;
/// Members of a prompt that are ours.
const OWN: &[&str] = &["sessionId", "prompt"];

/// `_meta` for the request that opens a session; nothing if none is given.
///
/// # Errors
/// It is too large or no object, or the agent could not be told.
pub(super) fn meta(
    agent: &AgentConfig,
    given: Option<&JsonText>,
) -> Result<Option<Map<String, Value>>, WireError> {
    given.map(|given| members("meta", agent, given)).transpose()
}

/// Further members of a prompt.
///
/// # Errors
/// As of [`meta`]; a member that a prompt has anyway.
pub(super) fn params(agent: &AgentConfig, given: Option<&JsonText>) -> Result<Map<String, Value>, WireError> {
    let Some(given) = given else { return Ok(Map::new()) };
    let members = members("params", agent, given)?;
    match OWN.iter().find(|own| members.contains_key(**own)) {
        Some(own) => Err(invalid(format!("params.{own}: it is said by the prompt itself, leave it out"))),
        None => Ok(members),
    }
}

fn members(option: &str, agent: &AgentConfig, given: &JsonText) -> Result<Map<String, Value>, WireError> {
    if given.0.len() > MOST {
        let bytes = given.0.len();
        return Err(invalid(format!("{option}: {bytes} bytes of JSON, at most {MOST} are possible")));
    }
    let members: Map<String, Value> =
        given.parse().map_err(|error| invalid(format!("{option}: no JSON object: {error}")))?;
    if !members.is_empty() && Protocol::of(agent).map_err(invalid)? != Protocol::Acp {
        let text = format!("{option}: the agent `{}` does not speak ACP, and has no place for it", agent.id);
        return Err(invalid(text));
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_passed_on_is_refused_by_its_name() {
        let acp = AgentConfig { id: "a".into(), ..AgentConfig::default() };
        let claude = AgentConfig { backend: Some("claude-agent-sdk".into()), ..acp.clone() };
        let of = |value: Value| JsonText::new(&value);
        let some = of(json!({"_meta": {"a": [1]}}));
        assert_eq!(Value::Object(params(&acp, Some(&some)).unwrap()), json!({"_meta": {"a": [1]}}));
        assert_eq!(meta(&acp, None).unwrap(), None);
        assert!(params(&acp, None).unwrap().is_empty());
        // None are none for everybody.
        assert_eq!(meta(&claude, Some(&of(json!({})))).unwrap(), Some(Map::new()));
        for (agent, given, why) in [
            (&claude, some.clone(), "params: the agent `a` does not speak ACP"),
            (&acp, of(json!([])), "params: no JSON object"),
            (&acp, of(json!({"a": "x".repeat(MOST)})), "params: 65544 bytes"),
            (&acp, of(json!({"sessionId": "x"})), "params.sessionId"),
            (&acp, of(json!({"prompt": []})), "params.prompt"),
        ] {
            let error = params(agent, Some(&given)).unwrap_err();
            assert!(error.message.starts_with(why), "{error}");
        }
        assert!(meta(&claude, Some(&some)).unwrap_err().message.starts_with("meta: the agent"));
    }
}
