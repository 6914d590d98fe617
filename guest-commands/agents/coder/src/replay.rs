//! The history of a session that is loaded, as updates for its client.

use std::io;

use serde_json::{Value, json};

use crate::{
    agent::Agent,
    history::{Block, Item, Outcome, Piece, calls},
    session::Work,
    tools::offer::{self, BuiltIn},
};

/// Goes on counting calls and messages where a session stopped, so that ids are not used twice.
pub(crate) fn count(work: &mut Work, said: &[Item]) {
    for item in said {
        if let Item::Assistant(pieces) = item {
            work.messages += 1;
            work.calls += calls(pieces).count() as u64;
        }
    }
}

impl Agent {
    /// Tells the client what was said in a session.
    pub(crate) fn replay(&mut self, session: &str, work: &mut Work, said: &[Item]) -> io::Result<()> {
        for (at, item) in said.iter().enumerate() {
            match item {
                Item::User(blocks) => {
                    for block in blocks {
                        let content = match block {
                            Block::Text(text) => json!({"type": "text", "text": text}),
                            Block::Image { mime, data } => {
                                json!({"type": "image", "mimeType": mime, "data": data})
                            }
                        };
                        self.tell(
                            session,
                            json!({"sessionUpdate": "user_message_chunk", "content": content}),
                        )?;
                    }
                }
                Item::Assistant(pieces) => {
                    let results = match said.get(at + 1) {
                        Some(Item::Results(results)) => results.as_slice(),
                        _ => &[],
                    };
                    work.messages += 1;
                    for piece in pieces {
                        self.replay_piece(session, work, piece, results)?;
                    }
                }
                Item::Results(_) => {}
            }
        }
        Ok(())
    }

    fn replay_piece(
        &mut self,
        session: &str,
        work: &mut Work,
        piece: &Piece,
        results: &[Outcome],
    ) -> io::Result<()> {
        let update = match piece {
            Piece::Text(text) => json!({
                "sessionUpdate": "agent_message_chunk",
                "messageId": format!("message-{}", work.messages),
                "content": {"type": "text", "text": text},
            }),
            Piece::Thought { .. } => return Ok(()),
            Piece::Call(call) => {
                work.calls += 1;
                if BuiltIn::named(&call.name) == Some(BuiltIn::Plan) {
                    match offer::plan(&call.input) {
                        Ok(plan) => plan,
                        Err(_) => return Ok(()),
                    }
                } else {
                    let result = results.iter().find(|result| result.call == call.id);
                    let text = result.map(|result| result.text.as_str()).unwrap_or_default();
                    let ok = result.is_some_and(|result| result.ok);
                    json!({
                        "sessionUpdate": "tool_call",
                        "toolCallId": format!("call-{}", work.calls),
                        "title": offer::title(&call.name, &call.input),
                        "kind": offer::kind(&call.name),
                        "status": if ok { "completed" } else { "failed" },
                        "locations": offer::locations(&call.name, &call.input, &work.header.cwd),
                        "rawInput": call.input,
                        "content": content(text),
                    })
                }
            }
        };
        self.tell(session, update)
    }
}

/// A text as the content of a call.
pub(crate) fn content(text: &str) -> Value {
    if text.is_empty() {
        return json!([]);
    }
    json!([{"type": "content", "content": {"type": "text", "text": text}}])
}
