//! Messages and thoughts: chunks put together to items. It decides where one ends and the next begins.

use serde_json::Value;
use ulid::Ulid;

use super::member;
use crate::event::{Body, ContentBlock, Delta, Item, ItemKind, ItemPatch, ItemStatus, Stream};

/// Most bytes of a message that are kept for its end.
const MAX_TEXT: usize = 8 << 20;
/// Most blocks of a message.
const MAX_BLOCKS: usize = 4096;

/// Whose words they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    /// Said.
    Message,
    /// Thought.
    Thought,
}

/// What is being written.
#[derive(Debug)]
struct Open {
    item_id: String,
    voice: Voice,
    /// The agent's id of it.
    message_id: Option<String>,
    content: Vec<ContentBlock>,
    bytes: usize,
}

/// The texts of a turn.
#[derive(Debug, Default)]
pub(super) struct Texts {
    open: Option<Open>,
    /// How many there were.
    count: u64,
}

impl Open {
    fn item(&self) -> Item {
        let kind = match self.voice {
            Voice::Message => {
                return Item::message(self.item_id.clone(), self.content.clone());
            }
            Voice::Thought => ItemKind::Reasoning {
                summary: Vec::new(),
                content: vec![crate::event::text_of(&self.content)],
            },
        };
        Item::new(self.item_id.clone(), ItemStatus::Running, kind)
    }

    fn push(&mut self, block: ContentBlock) -> Body {
        let ContentBlock::Text { text } = block else {
            if self.content.len() < MAX_BLOCKS {
                self.content.push(block);
            }
            let content = serde_json::to_value(&self.content).unwrap_or_default();
            let patch = [("content".to_owned(), content)].into_iter().collect();
            return Body::ItemUpdated(ItemPatch { item_id: self.item_id.clone(), patch });
        };
        self.bytes += text.len();
        if self.bytes <= MAX_TEXT {
            match self.content.last_mut() {
                Some(ContentBlock::Text { text: last }) => last.push_str(&text),
                _ => self.content.push(ContentBlock::text(text.clone())),
            }
        }
        let stream = if self.voice == Voice::Message { Stream::Text } else { Stream::Reasoning };
        Body::ItemDelta(Delta { item_id: self.item_id.clone(), stream, index: None, delta: text, offset: 0 })
    }
}

impl Texts {
    /// A chunk came.
    pub(super) fn chunk(&mut self, turn: Ulid, voice: Voice, update: &Value) -> Vec<Body> {
        let content = update.get("content").filter(|content| content.is_object());
        let Some(block) =
            content.and_then(|content| serde_json::from_value::<ContentBlock>(content.clone()).ok())
        else {
            return Vec::new();
        };
        // Thoughts are text alone.
        let text = match &block {
            ContentBlock::Text { text } => Some(text),
            _ if voice == Voice::Thought => return Vec::new(),
            _ => None,
        };
        if text.is_some_and(String::is_empty) {
            return Vec::new();
        }
        let message_id = member::text(update, "messageId");
        let goes_on = |open: &Open| open.voice == voice && open.message_id.as_deref() == message_id;
        let mut bodies = Vec::new();
        if !self.open.as_ref().is_some_and(goes_on) {
            bodies.extend(self.close());
            let name = if voice == Voice::Message { "message" } else { "thought" };
            self.count += 1;
            let open = Open {
                item_id: format!("{turn}:{name}-{}", self.count),
                voice,
                message_id: message_id.map(str::to_owned),
                content: Vec::new(),
                bytes: 0,
            };
            let begun = match voice {
                Voice::Message => open.item(),
                Voice::Thought => Item::new(
                    open.item_id.clone(),
                    ItemStatus::Running,
                    ItemKind::Reasoning { summary: Vec::new(), content: Vec::new() },
                ),
            };
            bodies.push(Body::ItemStarted { item: begun });
            self.open = Some(open);
        }
        if let Some(open) = &mut self.open {
            bodies.push(open.push(block));
        }
        bodies
    }

    /// Another item began.
    pub(super) fn close(&mut self) -> Option<Body> {
        let open = self.open.take()?;
        Some(Body::ItemCompleted { item: open.item().ended(ItemStatus::Completed) })
    }

    /// Something else of the turn came: only a text that the agent gave an id goes on after it.
    pub(super) fn interrupt(&mut self) -> Option<Body> {
        if self.open.as_ref()?.message_id.is_some() { None } else { self.close() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chunk(text: &str, id: Option<&str>) -> Value {
        json!({"content": {"type": "text", "text": text}, "messageId": id})
    }

    fn texts(bodies: &[Body]) -> Vec<String> {
        let text = |body: &Body| match body {
            Body::ItemStarted { .. } => Some("(".to_owned()),
            Body::ItemDelta(delta) => Some(delta.delta.clone()),
            Body::ItemUpdated(_) => Some("*".to_owned()),
            Body::ItemCompleted { item } => match &item.kind {
                ItemKind::Message { content, .. } => Some(format!("{})", crate::event::text_of(content))),
                ItemKind::Reasoning { content, .. } => Some(format!("{})", content.concat())),
                _ => None,
            },
            _ => None,
        };
        bodies.iter().filter_map(text).collect()
    }

    #[test]
    fn a_text_ends_where_another_begins() {
        use Voice::{Message, Thought};
        let (mut texts_of, turn) = (Texts::default(), Ulid::generate());
        let mut all = Vec::new();
        all.extend(texts_of.chunk(turn, Thought, &chunk("hm", None)));
        all.extend(texts_of.chunk(turn, Message, &chunk("", None)));
        all.extend(texts_of.chunk(turn, Message, &chunk("a", None)));
        all.extend(texts_of.chunk(turn, Message, &chunk("b", None)));
        all.extend(texts_of.interrupt());
        all.extend(texts_of.chunk(turn, Message, &chunk("c", None)));
        all.extend(texts_of.chunk(turn, Message, &chunk("d", Some("1"))));
        all.extend(texts_of.interrupt());
        all.extend(texts_of.chunk(turn, Message, &chunk("e", Some("1"))));
        all.extend(texts_of.close());
        all.extend(texts_of.close());
        assert_eq!(texts(&all).concat(), "(hmhm)(abab)(cc)(dede)");
        let ids: std::collections::HashSet<_> = all.iter().filter_map(Body::item_id).collect();
        assert_eq!(ids.len(), 4);
    }

    #[test]
    fn other_content_is_part_of_its_message() {
        let (mut texts_of, turn) = (Texts::default(), Ulid::generate());
        let image = json!({"content": {"type": "image", "mimeType": "image/png", "data": "AA=="}});
        let mut all = texts_of.chunk(turn, Voice::Message, &chunk("a", None));
        all.extend(texts_of.chunk(turn, Voice::Message, &image));
        all.extend(texts_of.chunk(turn, Voice::Message, &chunk("b", None)));
        all.extend(texts_of.chunk(turn, Voice::Thought, &image));
        for wrong in [json!({}), json!({"content": 7}), json!(null), json!({"content": []})] {
            all.extend(texts_of.chunk(turn, Voice::Message, &wrong));
        }
        let Some(Body::ItemCompleted { item }) = texts_of.close() else { panic!() };
        let ItemKind::Message { content, .. } = item.kind else { panic!() };
        assert_eq!((texts(&all).concat().as_str(), content.len()), ("(a*b", 3));
    }
}
