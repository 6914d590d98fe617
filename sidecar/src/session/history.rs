//! What was said in a session so far, as a text for an agent that has lost it.

use std::collections::VecDeque;

use agentos_driver::event::{ContentBlock, Item, ItemKind, Role, text_of};
use serde::Deserialize;

use super::log::{Entry, EventLog};

/// The longest text, in bytes; what is older is left out.
const MOST: usize = 48 << 10;
/// The longest that one message contributes.
const MESSAGE: usize = 16 << 10;

#[derive(Deserialize)]
struct Prompt {
    prompt: Vec<ContentBlock>,
}

#[derive(Deserialize)]
struct Completed {
    item: Item,
}

/// Who said what, if the event is that.
fn said(entry: &Entry) -> Option<(&'static str, String)> {
    match &*entry.kind {
        "turn.started" => {
            let prompt: Prompt = serde_json::from_str(entry.params.get()).ok()?;
            Some(("User", text_of(&prompt.prompt)))
        }
        "item.completed" => {
            let Completed { item } = serde_json::from_str(entry.payload().get()).ok()?;
            match item.kind {
                ItemKind::Message { role: Role::Agent, content, .. } => Some(("Agent", text_of(&content))),
                ItemKind::Command { command, exit_code, .. } => {
                    let status = exit_code.map_or(String::new(), |code| format!(" (status {code})"));
                    Some(("Agent ran", format!("{command}{status}")))
                }
                ItemKind::ToolCall { name, title, .. } => Some(("Agent used", title.unwrap_or(name))),
                _ => None,
            }
        }
        _ => None,
    }
}

/// What a prompt begins with whose agent does not know what was said before; nothing if nothing was.
pub(super) fn offered(log: &EventLog) -> Option<ContentBlock> {
    let mut parts: VecDeque<String> = VecDeque::new();
    let (mut bytes, mut left_out) = (0, false);
    let read = log.read(0, |entry| {
        if let Some((who, text)) = said(entry).filter(|(_, text)| !text.trim().is_empty()) {
            let text = text.trim();
            let part = format!("{who}: {}", &text[..text.floor_char_boundary(MESSAGE)]);
            bytes += part.len();
            parts.push_back(part);
            while bytes > MOST {
                let Some(old) = parts.pop_front() else { break };
                bytes -= old.len();
                left_out = true;
            }
        }
        true
    });
    if let Err(error) = read {
        tracing::warn!(%error, "an agent is not told all that was said before");
    }
    if parts.is_empty() {
        return None;
    }
    let parts: Vec<String> = parts.into();
    let more = if left_out { " (its last part)" } else { "" };
    Some(ContentBlock::text(format!(
        "This session goes on after an interruption. What was said and done in it before{more}:\n\n{}\n\n\
         The next message follows.",
        parts.join("\n\n")
    )))
}
