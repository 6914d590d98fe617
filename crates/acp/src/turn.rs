//! One prompt turn: the agent's text, its tool calls, and how it ended. It only collects; it sends nothing.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    schema::{ContentBlock, SessionUpdate, ToolCallStatus, ToolKind},
    text::shorten,
};

/// Longest title kept per tool call, in bytes.
const TITLE: usize = 1024;

/// Why a turn ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The agent is done.
    EndTurn,
    /// The model's token limit.
    MaxTokens,
    /// The agent's own limit of model requests.
    MaxTurnRequests,
    /// The model refused.
    Refusal,
    /// Cancelled by us.
    Cancelled,
    /// A reason this version does not know; treat it as [`EndTurn`](Self::EndTurn).
    #[serde(untagged)]
    Other(String),
}

impl StopReason {
    fn parse(text: &str) -> Self {
        match text {
            "end_turn" => Self::EndTurn,
            "max_tokens" => Self::MaxTokens,
            "max_turn_requests" => Self::MaxTurnRequests,
            "refusal" => Self::Refusal,
            "cancelled" => Self::Cancelled,
            other => Self::Other(shorten(other, 256).to_owned()),
        }
    }
}

/// Tokens a turn used, as far as the agent says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TurnUsage {
    /// Sum of all.
    pub total_tokens: Option<u64>,
    /// Sent to the model.
    pub input_tokens: Option<u64>,
    /// Written by the model.
    pub output_tokens: Option<u64>,
    /// Of those, thoughts.
    pub thought_tokens: Option<u64>,
    /// Read from the model's cache.
    pub cached_read_tokens: Option<u64>,
    /// Written to the model's cache.
    pub cached_write_tokens: Option<u64>,
}

/// How a turn ended.
#[derive(Debug, Clone)]
pub struct PromptOutcome {
    /// Number of the turn in its session, from 0.
    pub turn: u64,
    /// The agent's messages of this turn, one blank line between two messages.
    pub text: String,
    /// Whether `text` was cut at the limit; the events have the rest.
    pub text_truncated: bool,
    /// Why it ended.
    pub stop_reason: StopReason,
    /// Tokens used, if the agent says.
    pub usage: Option<TurnUsage>,
    /// The agent's raw result, with its `_meta`; `None` if it was cancelled without one.
    pub response: Option<Box<RawValue>>,
}

/// A tool call as far as it is tracked; its content is in the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCallView {
    /// The agent's id.
    pub id: String,
    /// At most 1 KiB.
    pub title: String,
    /// What kind of tool.
    pub kind: ToolKind,
    /// As last reported; at the end of a turn every open call becomes failed.
    pub status: ToolCallStatus,
}

impl ToolCallView {
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.status, ToolCallStatus::Pending | ToolCallStatus::InProgress)
    }
}

/// The tool calls of a turn, by upsert: the first mention of an id creates it, whatever message it is in.
#[derive(Debug, Default)]
pub(crate) struct ToolCalls(Vec<ToolCallView>);

impl ToolCalls {
    fn entry(&mut self, id: &str, limit: usize) -> Option<&mut ToolCallView> {
        if let Some(at) = self.0.iter().rposition(|call| call.id == id) {
            return self.0.get_mut(at);
        }
        if id.len() > TITLE {
            return None;
        }
        if self.0.len() >= limit.max(1) {
            // A closed call has nothing left to track.
            let at = self.0.iter().position(|call| !call.is_open())?;
            self.0.remove(at);
        }
        self.0.push(ToolCallView {
            id: id.to_owned(),
            title: String::new(),
            kind: ToolKind::default(),
            status: ToolCallStatus::default(),
        });
        self.0.last_mut()
    }

    pub(crate) fn apply(&mut self, update: &SessionUpdate, limit: usize) {
        match update {
            SessionUpdate::ToolCall(call) => {
                if let Some(view) = self.entry(&call.tool_call_id.0, limit) {
                    shorten(&call.title, TITLE).clone_into(&mut view.title);
                    view.kind = call.kind;
                    view.status = call.status;
                }
            }
            SessionUpdate::ToolCallUpdate(update) => {
                if let Some(view) = self.entry(&update.tool_call_id.0, limit) {
                    if let Some(title) = &update.fields.title {
                        shorten(title, TITLE).clone_into(&mut view.title);
                    }
                    view.kind = update.fields.kind.unwrap_or(view.kind);
                    view.status = update.fields.status.unwrap_or(view.status);
                }
            }
            _ => {}
        }
    }

    /// Closes every open call and returns them.
    pub(crate) fn close(&mut self) -> Vec<ToolCallView> {
        let open = self.0.iter_mut().filter(|call| call.is_open());
        open.map(|call| {
            call.status = ToolCallStatus::Failed;
            call.clone()
        })
        .collect()
    }

    pub(crate) fn views(&self) -> Vec<ToolCallView> {
        self.0.clone()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The agent's messages of a turn.
#[derive(Debug, Default)]
pub(crate) struct TurnText {
    text: String,
    truncated: bool,
    /// Id of the message being appended to.
    message: Option<String>,
    /// Something else came since the last chunk.
    interrupted: bool,
}

impl TurnText {
    /// Takes in one update. Status updates (usage, title, commands) do not interrupt a message.
    pub(crate) fn apply(&mut self, update: &SessionUpdate, limit: usize) {
        match update {
            SessionUpdate::AgentMessageChunk(chunk) => {
                let id = chunk.message_id.as_ref().map(|id| shorten(&id.0, 256).to_owned());
                if !self.text.is_empty() && (self.interrupted || id != self.message) {
                    self.push("\n\n", limit);
                }
                self.interrupted = false;
                self.message = id;
                if let ContentBlock::Text(text) = &chunk.content {
                    self.push(&text.text, limit);
                }
            }
            SessionUpdate::AgentThoughtChunk(_)
            | SessionUpdate::UserMessageChunk(_)
            | SessionUpdate::ToolCall(_)
            | SessionUpdate::ToolCallUpdate(_)
            | SessionUpdate::Plan(_) => self.interrupted = true,
            _ => {}
        }
    }

    fn push(&mut self, text: &str, limit: usize) {
        let kept = shorten(text, limit.saturating_sub(self.text.len()));
        self.truncated |= kept.len() < text.len();
        self.text.push_str(kept);
    }
}

/// What a prompt's raw result says; members of a wrong type count as absent.
pub(crate) fn outcome(
    turn: u64,
    text: TurnText,
    response: Option<Box<RawValue>>,
    cancelled: bool,
) -> PromptOutcome {
    let value: serde_json::Value =
        response.as_deref().and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let stop_reason = match value.get("stopReason").and_then(|reason| reason.as_str()) {
        // An agent that reports something else after a cancel has still been cancelled.
        _ if cancelled => StopReason::Cancelled,
        Some(reason) => StopReason::parse(reason),
        None => StopReason::Other(String::new()),
    };
    let usage = value.get("usage").and_then(|usage| TurnUsage::deserialize(usage).ok());
    PromptOutcome { turn, text: text.text, text_truncated: text.truncated, stop_reason, usage, response }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn update(value: serde_json::Value) -> SessionUpdate {
        serde_json::from_value(value).unwrap()
    }

    fn chunk(text: &str, id: Option<&str>) -> SessionUpdate {
        update(
            json!({"sessionUpdate": "agent_message_chunk", "messageId": id, "content": {"type": "text", "text": text}}),
        )
    }

    #[test]
    fn messages_are_told_apart() {
        let mut text = TurnText::default();
        let usage = update(json!({"sessionUpdate": "usage_update", "used": 1, "size": 2}));
        let tool = update(json!({"sessionUpdate": "tool_call", "toolCallId": "a", "title": "t"}));
        for step in [
            chunk("a", None),
            usage,
            chunk("b", None),
            tool,
            chunk("c", None),
            chunk("d", Some("2")),
            chunk("e", Some("2")),
        ] {
            text.apply(&step, 1000);
        }
        assert_eq!(text.text, "ab\n\nc\n\nde");
    }

    #[test]
    fn text_is_bounded() {
        let mut text = TurnText::default();
        for _ in 0..100 {
            text.apply(&chunk("äää", None), 10);
        }
        assert_eq!((text.text.as_str(), text.truncated), ("äääää", true));
    }

    #[test]
    fn tool_calls_are_upserted_bounded_and_closed() {
        let mut calls = ToolCalls::default();
        let mention = |id: &str, status: &str| {
            update(json!({"sessionUpdate": "tool_call_update", "toolCallId": id, "status": status}))
        };
        calls.apply(&mention("early", "in_progress"), 3);
        let full =
            json!({"sessionUpdate": "tool_call", "toolCallId": "early", "title": "T", "status": "completed"});
        calls.apply(&update(full), 3);
        calls.apply(&mention("b", "pending"), 3);
        calls.apply(&mention("c", "in_progress"), 3);
        calls.apply(&mention("d", "in_progress"), 3);
        calls.apply(&mention("e", "in_progress"), 3);
        let ids: Vec<_> = calls.views().into_iter().map(|c| c.id).collect();
        assert_eq!(ids, ["b", "c", "d"]);
        assert_eq!(calls.close().len(), 3);
        assert!(calls.views().iter().all(|c| c.status == ToolCallStatus::Failed));
    }

    #[test]
    fn stop_reasons() {
        let of = |json: &str, cancelled| {
            let raw = RawValue::from_string(json.to_owned()).unwrap();
            outcome(0, TurnText::default(), Some(raw), cancelled).stop_reason
        };
        assert_eq!(of(r#"{"stopReason":"refusal"}"#, false), StopReason::Refusal);
        assert_eq!(of(r#"{"stopReason":"sunset"}"#, false), StopReason::Other("sunset".to_owned()));
        assert_eq!(of(r#"{"stopReason":"end_turn"}"#, true), StopReason::Cancelled);
        assert_eq!(of("[]", false), StopReason::Other(String::new()));
        assert_eq!(serde_json::to_value(StopReason::EndTurn).unwrap(), "end_turn");
        assert_eq!(serde_json::to_value(StopReason::Other("x".into())).unwrap(), "x");
    }

    #[test]
    fn usage_is_read_leniently() {
        let raw = RawValue::from_string(r#"{"stopReason":"end_turn","usage":{"totalTokens":3}}"#.to_owned())
            .unwrap();
        let usage = outcome(0, TurnText::default(), Some(raw), false).usage.unwrap();
        assert_eq!((usage.total_tokens, usage.input_tokens), (Some(3), None));
    }
}
