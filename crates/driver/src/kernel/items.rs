//! The items of a turn: each begins once and ends once, whatever a vendor sends, and what is open at the end of the turn
//! is closed. It changes drafts, and emits nothing itself.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::event::{Body, ContentBlock, Delta, Item, ItemKind, ItemPatch, ItemStatus, Stream};

/// Most items of a turn that are open at once; more are left out.
const MAX_OPEN: usize = 1024;
/// Most items of a turn whose end is remembered.
const MAX_CLOSED: usize = 65_536;
/// Most bytes of a text that are kept for the snapshot of an item that never ends by itself.
const MAX_TEXT: usize = 8 << 20;
/// Most parts of a text.
const MAX_PARTS: u32 = 4096;

struct Open {
    item: Item,
    /// Where the next delta of each text belongs.
    offsets: HashMap<(Stream, Option<u32>), u64>,
    text: usize,
}

/// The items of one turn.
#[derive(Default)]
pub(crate) struct Items {
    open: HashMap<String, Open>,
    /// In the order they began.
    order: Vec<String>,
    closed: HashSet<String>,
}

/// The part of a list, made if it is missing.
fn part(parts: &mut Vec<String>, index: Option<u32>) -> Option<&mut String> {
    let index = index.unwrap_or(0) as usize;
    if parts.len() <= index {
        parts.resize(index + 1, String::new());
    }
    parts.get_mut(index)
}

/// Adds a delta to the snapshot.
fn grow(kind: &mut ItemKind, delta: &Delta) {
    match (kind, delta.stream) {
        (ItemKind::Message { content, .. }, Stream::Text) => match content.last_mut() {
            Some(ContentBlock::Text { text }) => text.push_str(&delta.delta),
            _ => content.push(ContentBlock::text(delta.delta.clone())),
        },
        (ItemKind::Reasoning { content, .. }, Stream::Reasoning) => {
            if let Some(part) = part(content, delta.index) {
                part.push_str(&delta.delta);
            }
        }
        (ItemKind::Reasoning { summary, .. }, Stream::ReasoningSummary) => {
            if let Some(part) = part(summary, delta.index) {
                part.push_str(&delta.delta);
            }
        }
        (ItemKind::Command { output, .. }, Stream::Output) => {
            output.get_or_insert_default().push_str(&delta.delta);
        }
        _ => {}
    }
}

/// An item with some members changed; nothing if it is none any more.
fn patched(item: &Item, patch: &ItemPatch) -> Option<Item> {
    let mut value = serde_json::to_value(item).ok()?;
    let members = value.as_object_mut()?;
    for (name, new) in &patch.patch {
        // What an item is called and what it is stays.
        if name == "itemId" || name == "kind" {
            continue;
        }
        if new.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), new.clone());
        }
    }
    let new: Item = serde_json::from_value(value).ok()?;
    // What does not fit its kind would be one of a kind that is not known.
    let unknown = |item: &Item| matches!(item.kind, ItemKind::Other { .. });
    (unknown(&new) == unknown(item)).then_some(new)
}

impl Items {
    /// What is to be emitted for a draft about an item: nothing, the draft as it should be, or a beginning and an end.
    pub(crate) fn admit(&mut self, body: Body) -> Vec<Body> {
        match body {
            Body::ItemStarted { item } => self.begin(item),
            Body::ItemUpdated(patch) => self.update(patch),
            Body::ItemDelta(delta) => self.delta(delta).map(Body::ItemDelta).into_iter().collect(),
            Body::ItemCompleted { item } => self.end(item),
            other => vec![other],
        }
    }

    fn begin(&mut self, mut item: Item) -> Vec<Body> {
        if self.closed.contains(&item.item_id) || self.open.len() >= MAX_OPEN {
            return Vec::new();
        }
        if let Some(open) = self.open.get_mut(&item.item_id) {
            // Said twice: the second one has more to say.
            item.started_at = open.item.started_at;
            let patch = changes(&open.item, &item);
            open.item = item;
            let item_id = open.item.item_id.clone();
            return if patch.is_empty() {
                vec![]
            } else {
                vec![Body::ItemUpdated(ItemPatch { item_id, patch })]
            };
        }
        if item.status.is_terminal() {
            return self.end(item);
        }
        self.order.push(item.item_id.clone());
        let open = Open { item: item.clone(), offsets: HashMap::new(), text: 0 };
        self.open.insert(item.item_id.clone(), open);
        vec![Body::ItemStarted { item }]
    }

    fn update(&mut self, patch: ItemPatch) -> Vec<Body> {
        let Some(open) = self.open.get_mut(&patch.item_id) else { return Vec::new() };
        let Some(item) = patched(&open.item, &patch) else { return Vec::new() };
        if item.status.is_terminal() {
            return self.end(item);
        }
        if item == open.item {
            return Vec::new();
        }
        open.item = item;
        vec![Body::ItemUpdated(patch)]
    }

    fn delta(&mut self, mut delta: Delta) -> Option<Delta> {
        let open = self.open.get_mut(&delta.item_id)?;
        if delta.delta.is_empty() || delta.index.is_some_and(|index| index >= MAX_PARTS) {
            return None;
        }
        let offset = open.offsets.entry((delta.stream, delta.index)).or_default();
        delta.offset = *offset;
        *offset += delta.delta.len() as u64;
        open.text += delta.delta.len();
        if open.text <= MAX_TEXT {
            grow(&mut open.item.kind, &delta);
        }
        Some(delta)
    }

    fn end(&mut self, mut item: Item) -> Vec<Body> {
        if self.closed.contains(&item.item_id) {
            return Vec::new();
        }
        if !item.status.is_terminal() {
            item.status = ItemStatus::Completed;
        }
        item.completed_at.get_or_insert_with(crate::event::now);
        let mut bodies = Vec::new();
        match self.open.remove(&item.item_id) {
            Some(open) => {
                item.started_at = open.item.started_at;
                if item.parent_item_id.is_none() {
                    item.parent_item_id = open.item.parent_item_id;
                }
                self.order.retain(|id| *id != item.item_id);
            }
            None => {
                let mut begun = Item { completed_at: None, ..item.clone() };
                begun.status = ItemStatus::Running;
                bodies.push(Body::ItemStarted { item: begun });
            }
        }
        if self.closed.len() < MAX_CLOSED {
            self.closed.insert(item.item_id.clone());
        }
        bodies.push(Body::ItemCompleted { item });
        bodies
    }

    pub(crate) fn is_open(&self, item_id: &str) -> bool {
        self.open.contains_key(item_id)
    }

    pub(crate) fn get(&self, item_id: &str) -> Option<&Item> {
        self.open.get(item_id).map(|open| &open.item)
    }

    /// Ends an item as it was last seen.
    pub(crate) fn close(&mut self, item_id: &str, status: ItemStatus) -> Vec<Body> {
        match self.open.get(item_id) {
            Some(open) => {
                let item = open.item.clone().ended(status);
                self.end(item)
            }
            None => Vec::new(),
        }
    }

    /// Ends all that are open, the last begun first: what was only written is complete if the turn is, a tool whose
    /// result nobody saw is not.
    pub(crate) fn close_all(&mut self, how: ItemStatus) -> Vec<Body> {
        let mut bodies = Vec::new();
        for id in std::mem::take(&mut self.order).into_iter().rev() {
            let written = |open: &Open| {
                matches!(
                    open.item.kind,
                    ItemKind::Message { .. } | ItemKind::Reasoning { .. } | ItemKind::Plan { .. }
                )
            };
            let status = match (how, self.open.get(&id).is_some_and(written)) {
                (ItemStatus::Completed, true) => ItemStatus::Completed,
                (ItemStatus::Completed, false) => ItemStatus::Failed,
                (how, _) => how,
            };
            bodies.extend(self.close(&id, status));
        }
        bodies
    }
}

/// The members in which two states of an item differ.
fn changes(old: &Item, new: &Item) -> serde_json::Map<String, Value> {
    let members = |item: &Item| match serde_json::to_value(item) {
        Ok(Value::Object(members)) => members,
        _ => serde_json::Map::new(),
    };
    let old = members(old);
    let differs = |(name, value): &(String, Value)| old.get(name) != Some(value) && name != "kind";
    members(new).into_iter().filter(differs).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool(id: &str, status: ItemStatus) -> Item {
        let kind = json!({"kind": "tool_call", "name": "Bash", "input": {}});
        Item::new(id, status, serde_json::from_value(kind).unwrap())
    }

    fn said(bodies: &[Body]) -> Vec<String> {
        let one = |body: &Body| {
            let value = serde_json::to_value(body).unwrap();
            let status = value["payload"]["item"]["status"].as_str().unwrap_or_default().to_owned();
            format!("{} {status}", value["kind"].as_str().unwrap()).trim().to_owned()
        };
        bodies.iter().map(one).collect()
    }

    #[test]
    fn an_item_begins_once_and_ends_once() {
        let mut items = Items::default();
        let begin =
            |items: &mut Items| items.admit(Body::ItemStarted { item: tool("a", ItemStatus::Pending) });
        assert_eq!(said(&begin(&mut items)), ["item.started pending"]);
        assert_eq!(said(&begin(&mut items)), Vec::<String>::new());
        let mut more = tool("a", ItemStatus::Pending);
        more.kind =
            serde_json::from_value(json!({"kind": "tool_call", "name": "Bash", "input": {"x": 1}})).unwrap();
        assert_eq!(said(&items.admit(Body::ItemStarted { item: more })), ["item.updated"]);
        let end =
            |items: &mut Items| items.admit(Body::ItemCompleted { item: tool("a", ItemStatus::Completed) });
        assert_eq!(said(&end(&mut items)), ["item.completed completed"]);
        assert_eq!(said(&end(&mut items)), Vec::<String>::new());
        assert_eq!(said(&begin(&mut items)), Vec::<String>::new());
        // One that is first heard of at its end.
        let late = items.admit(Body::ItemCompleted { item: tool("b", ItemStatus::Failed) });
        assert_eq!(said(&late), ["item.started running", "item.completed failed"]);
    }

    #[test]
    fn patches_and_deltas_make_the_snapshot() {
        let mut items = Items::default();
        items.admit(Body::ItemStarted { item: Item::message("m", vec![]) });
        let delta = |items: &mut Items, text: &str| {
            let delta = Delta {
                item_id: "m".into(),
                stream: Stream::Text,
                index: None,
                delta: text.into(),
                offset: 77,
            };
            items.admit(Body::ItemDelta(delta))
        };
        delta(&mut items, "ä");
        assert!(delta(&mut items, "").is_empty());
        let second = delta(&mut items, "b");
        assert!(matches!(&second[..], [Body::ItemDelta(delta)] if delta.offset == 2), "{second:?}");
        let patch = json!({"itemId": "m", "patch": {"phase": "final", "kind": "plan", "itemId": "x"}});
        items.admit(Body::ItemUpdated(serde_json::from_value(patch).unwrap()));
        let wrong = json!({"itemId": "m", "patch": {"content": 7}});
        assert!(items.admit(Body::ItemUpdated(serde_json::from_value(wrong).unwrap())).is_empty());
        let closed = items.close_all(ItemStatus::Cancelled);
        let value = serde_json::to_value(&closed[0]).unwrap();
        let item = &value["payload"]["item"];
        assert_eq!(item["content"], json!([{"type": "text", "text": "äb"}]));
        assert_eq!(
            (&item["phase"], &item["status"], &item["itemId"]),
            (&json!("final"), &json!("cancelled"), &json!("m"))
        );
    }

    #[test]
    fn at_the_end_of_a_turn_tools_without_a_result_fail() {
        let mut items = Items::default();
        items.admit(Body::ItemStarted { item: Item::message("m", vec![]) });
        items.admit(Body::ItemStarted { item: tool("t", ItemStatus::Running) });
        let closed = items.close_all(ItemStatus::Completed);
        assert_eq!(said(&closed), ["item.completed failed", "item.completed completed"]);
        assert!(items.close_all(ItemStatus::Completed).is_empty());
    }

    #[test]
    fn they_are_bounded() {
        let mut items = Items::default();
        let begun = (0..2 * MAX_OPEN)
            .filter(|n| {
                !items.admit(Body::ItemStarted { item: tool(&n.to_string(), ItemStatus::Pending) }).is_empty()
            })
            .count();
        assert_eq!(begun, MAX_OPEN);
    }
}
