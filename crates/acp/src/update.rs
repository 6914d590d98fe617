//! The content of a `session/update`: typed where the schema knows the kind, raw where it does not. It never rejects
//! an update: what cannot be decoded is passed on as it came.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::schema::SessionUpdate;

/// Kinds of the stable schema; the typed enum fails on any other, so the tag is looked at first.
const KNOWN: &[&str] = &[
    "user_message_chunk",
    "agent_message_chunk",
    "agent_thought_chunk",
    "tool_call",
    "tool_call_update",
    "plan",
    "available_commands_update",
    "current_mode_update",
    "config_option_update",
    "session_info_update",
    "usage_update",
    "notice",
    "compaction_update",
    "compaction_summary_chunk",
];

/// One update of a session.
#[derive(Debug, Clone)]
pub enum Update {
    /// A kind of the schema.
    Known(Box<SessionUpdate>),
    /// An unknown kind, or a known one with a wrong shape.
    Raw {
        /// `update.sessionUpdate`, if it is a string.
        kind: Option<String>,
        /// The whole `update` member.
        json: Box<RawValue>,
    },
}

/// Parameters of `session/update`, no deeper than needed to route them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Params<'a> {
    #[serde(borrow)]
    pub(crate) session_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) update: &'a RawValue,
}

impl Update {
    /// Decodes an `update` member.
    #[must_use]
    pub fn decode(json: &RawValue) -> Self {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Tag<'a> {
            #[serde(borrow)]
            session_update: Cow<'a, str>,
        }
        let kind = serde_json::from_str::<Tag<'_>>(json.get()).ok().map(|tag| tag.session_update);
        if kind.as_deref().is_some_and(|kind| KNOWN.contains(&kind))
            && let Ok(update) = serde_json::from_str(json.get())
        {
            return Self::Known(Box::new(update));
        }
        Self::Raw { kind: kind.map(Cow::into_owned), json: json.to_owned() }
    }

    /// Decodes the parameters of a `session/update`.
    pub(crate) fn from_params(params: &RawValue) -> Self {
        match serde_json::from_str::<Params<'_>>(params.get()) {
            Ok(params) => Self::decode(params.update),
            Err(_) => Self::Raw { kind: None, json: params.to_owned() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_kinds_and_wrong_shapes_are_kept_raw() {
        for (json, known) in [
            (r#"{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"a"}}"#, true),
            (r#"{"sessionUpdate":"agent_message_chunk","content":7}"#, false),
            (r#"{"sessionUpdate":"plan_update","x":[1,2]}"#, false),
            (r#"{"sessionUpdate":5}"#, false),
            ("[]", false),
            ("null", false),
        ] {
            let raw = RawValue::from_string(json.to_owned()).unwrap();
            match Update::decode(&raw) {
                Update::Known(_) => assert!(known, "{json}"),
                Update::Raw { json: kept, .. } => {
                    assert!(!known, "{json}");
                    assert_eq!(kept.get(), json);
                }
            }
        }
    }
}
