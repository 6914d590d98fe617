//! The history of a session, told once more to an editor that loads it: what was prompted and what the agent said of it. What
//! was of the moment is left out, and what a lost agent left open is closed.

use std::collections::BTreeSet;
use std::sync::Arc;

use agentos::{Error, SessionEvent, SessionEventStream};
use agentos_acp::envelope::{RpcError, code};
use serde_json::{Value, json};

use super::bridge::{Bridge, Open};

/// Tool calls that are remembered as open.
const OPEN_CALLS: usize = 1024;

/// Where the telling is.
#[derive(Debug, Default)]
struct History {
    /// The turn whose prompt was told.
    turn: Option<String>,
    /// Tool calls that have no end yet.
    open: BTreeSet<String>,
}

fn update(update: Value) -> Value {
    json!({ "update": update })
}

impl History {
    /// The updates that stand for an event, without the session's id.
    fn updates(&mut self, event: &SessionEvent) -> Vec<Value> {
        match event.method.as_str() {
            "session/prompt" => {
                self.turn.clone_from(&event.turn_id);
                let blocks = event.params.get("prompt").and_then(Value::as_array);
                let chunk = |block: &Value| {
                    update(json!({ "sessionUpdate": "user_message_chunk", "content": block }))
                };
                blocks.into_iter().flatten().map(chunk).collect()
            }
            "session/update" => {
                let said = event.params.get("update").unwrap_or(&Value::Null);
                let text = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default();
                match text("sessionUpdate") {
                    // A notice is of its moment.
                    "notice" => return Vec::new(),
                    // An agent that repeats what it was told: it is told already.
                    "user_message_chunk" if self.turn.is_some() && self.turn == event.turn_id => {
                        return Vec::new();
                    }
                    "tool_call" | "tool_call_update" => {
                        let id = text("toolCallId");
                        match text("status") {
                            "completed" | "failed" => {
                                self.open.remove(id);
                            }
                            "" if !self.open.contains(id) && text("sessionUpdate") != "tool_call" => {}
                            _ if self.open.len() < OPEN_CALLS => {
                                self.open.insert(id.to_owned());
                            }
                            _ => {}
                        }
                    }
                    _ => {}
                }
                vec![event.params.clone()]
            }
            _ if event.kind == "turn.completed" => {
                self.turn = None;
                let failed = |id: String| {
                    update(
                        json!({ "sessionUpdate": "tool_call_update", "toolCallId": id, "status": "failed" }),
                    )
                };
                std::mem::take(&mut self.open).into_iter().map(failed).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Bridge {
    /// Tells what there was when `events` were opened. What comes after `live_from` is no history yet: a question in it is asked.
    pub(super) async fn replay(
        self: &Arc<Self>,
        open: &Arc<Open>,
        events: &mut SessionEventStream,
        live_from: u64,
    ) -> Result<(), RpcError> {
        let last = events.last_seq();
        let mut history = History::default();
        let mut seq = 0;
        while seq < last {
            let event = match events.next().await {
                Some(Ok(event)) => event,
                Some(Err(error @ Error::SidecarExited { .. })) => {
                    return Err(RpcError::new(code::INTERNAL_ERROR, format!("its history: {error}")));
                }
                // One that cannot be read has its number all the same, and hides none of the others.
                Some(Err(_)) => {
                    seq += 1;
                    continue;
                }
                None => break,
            };
            seq = event.seq;
            for update in history.updates(&event) {
                self.update(open, update).await;
            }
            if seq > live_from && event.method != "session/update" {
                self.tell(open, event).await;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(method: &str, kind: &str, params: Value) -> SessionEvent {
        let turn = "t";
        serde_json::from_value(json!({
            "seq": 1, "timeMs": 0, "method": method, "params": params, "kind": kind, "turnId": turn,
        }))
        .unwrap()
    }

    #[test]
    fn a_turn_is_told_as_it_was_and_left_closed() {
        let said = |update: Value| {
            event("session/update", "x", json!({"sessionId": "inner", "update": update, "_meta": {"a": 1}}))
        };
        let mut history = History::default();
        let mut told = Vec::new();
        for event in [
            event("_agentos/session_started", "session.started", json!({})),
            event("session/prompt", "turn.started", json!({"prompt": [{"type": "text", "text": "hi"}]})),
            said(json!({"sessionUpdate": "user_message_chunk", "content": {"type": "text", "text": "hi"}})),
            said(json!({"sessionUpdate": "tool_call", "toolCallId": "a", "status": "pending"})),
            said(json!({"sessionUpdate": "tool_call", "toolCallId": "b"})),
            said(json!({"sessionUpdate": "tool_call_update", "toolCallId": "a", "status": "completed"})),
            said(json!({"sessionUpdate": "notice", "severity": "info", "title": "x"})),
            said(json!({"sessionUpdate": "of_tomorrow"})),
            event("_agentos/turn_completed", "turn.completed", json!({})),
        ] {
            told.extend(history.updates(&event));
        }
        let kinds: Vec<&str> =
            told.iter().map(|told| told["update"]["sessionUpdate"].as_str().unwrap()).collect();
        let want = [
            "user_message_chunk",
            "tool_call",
            "tool_call",
            "tool_call_update",
            "of_tomorrow",
            "tool_call_update",
        ];
        assert_eq!(kinds, want);
        assert_eq!(told[4]["_meta"], json!({"a": 1}), "as it came");
        assert_eq!(
            told[5]["update"],
            json!({"sessionUpdate": "tool_call_update", "toolCallId": "b", "status": "failed"})
        );
    }
}
