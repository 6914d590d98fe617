//! Messages of the model, block by block. With partial messages a block is streamed and then said whole; without them it
//! is only said whole. Whole blocks have no number: they are counted for each message.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};
use ulid::Ulid;

use super::{Effect, Translator, of_turn, session};
use crate::backend::claude::wire::{Recent, count, flag, list, object, text, word};
use crate::backend::ignored;
use crate::event::{Body, ContentBlock, Delta, Item, ItemKind, ItemStatus, ModelRequest, Stream};

/// Messages of a turn that are remembered.
const MESSAGES: usize = 4096;
/// Threads of a turn: the main one and those of subagents.
const THREADS: usize = 1024;
/// Blocks of one message.
const BLOCKS: usize = 4096;

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Tool,
    Other,
}

fn kind(block: &Value) -> Kind {
    match text(block, "type") {
        Some("text") => Kind::Text,
        Some("thinking") => Kind::Thinking,
        Some("tool_use" | "server_tool_use" | "mcp_tool_use") => Kind::Tool,
        _ => Kind::Other,
    }
}

#[derive(Debug)]
struct Block {
    kind: Kind,
    item_id: String,
    /// It was said whole.
    whole: bool,
}

#[derive(Debug)]
struct Message {
    id: String,
    blocks: BTreeMap<u64, Block>,
    /// The number of the next block that is said whole.
    next: u64,
    /// The tool whose subagent speaks.
    parent: Option<String>,
    /// What the request used, while the message is streamed.
    usage: Option<Map<String, Value>>,
}

/// The messages of a turn.
#[derive(Debug)]
pub(super) struct Messages {
    by_id: Recent<Message>,
    /// What is streamed now, by thread.
    streamed: HashMap<Option<String>, String>,
    own: u64,
}

impl Default for Messages {
    fn default() -> Self {
        Messages { by_id: Recent::new(MESSAGES), streamed: HashMap::new(), own: 0 }
    }
}

impl Messages {
    /// An id where the vendor has none.
    pub(super) fn own_id(&mut self, turn: Ulid) -> String {
        self.own += 1;
        format!("{turn}:{}", self.own)
    }

    /// The requests to the model that go on have come to nothing. What was begun with them ends with the turn.
    pub(super) fn give_up(&mut self, turn: Ulid) -> Vec<Effect> {
        let mut ids: Vec<String> = std::mem::take(&mut self.streamed).into_values().collect();
        ids.sort_unstable();
        let requests = ids.iter().filter_map(|id| self.by_id.get_mut(id)?.request_ended(turn, true));
        requests.collect()
    }

    /// The message of a thread is complete, or will never be.
    fn stop(&mut self, turn: Ulid, thread: &Option<String>, broken: bool) -> Vec<Effect> {
        let streamed = self.streamed.remove(thread);
        let Some(message) = streamed.and_then(|id| self.by_id.get_mut(&id)) else { return Vec::new() };
        let mut effects = Vec::new();
        // What was never said whole: an empty block, or one that was cut off. A tool whose arguments are not complete
        // never runs.
        let how = if broken { ItemStatus::Cancelled } else { ItemStatus::Completed };
        for block in message.blocks.values_mut().filter(|block| !block.whole) {
            block.whole = true;
            match block.kind {
                Kind::Text | Kind::Thinking => effects.push(Effect::Close(block.item_id.clone(), how)),
                Kind::Tool if broken => {
                    effects.push(Effect::Close(block.item_id.clone(), ItemStatus::Cancelled));
                }
                Kind::Tool | Kind::Other => {}
            }
        }
        effects.extend(message.request_ended(turn, broken));
        effects
    }
}

impl Message {
    /// The request to the model has ended; nothing if it had already.
    fn request_ended(&mut self, turn: Ulid, is_error: bool) -> Option<Effect> {
        let usage = counted(&self.usage.take()?);
        let request = ModelRequest { request_id: self.id.clone(), is_error: Some(is_error), usage };
        Some(of_turn(turn, Body::ModelRequestCompleted(request)))
    }

    /// The place of a block that is said whole: that of the streamed one it is the whole of. Blocks with nothing in them
    /// may be streamed and never said.
    fn place(&mut self, of: Kind) -> u64 {
        let streamed = self.blocks.range(self.next..).find(|(_, block)| block.kind == of && !block.whole);
        let place = match streamed {
            Some((&place, _)) => place,
            None => (self.next..).find(|place| !self.blocks.contains_key(place)).unwrap_or(self.next),
        };
        self.next = place.saturating_add(1);
        place
    }

    fn item_id(&self, place: u64) -> String {
        format!("{}:{place}", self.id)
    }
}

/// What an item of text or thoughts begins or ends with.
fn item(kind: Kind, item_id: String, content: Option<&str>, parent: Option<String>) -> Item {
    let mut item = match kind {
        Kind::Thinking => {
            let content = content.map(str::to_owned).into_iter().collect();
            let kind = ItemKind::Reasoning { summary: Vec::new(), content };
            Item::new(item_id, ItemStatus::Running, kind)
        }
        _ => Item::message(item_id, content.map(ContentBlock::text).into_iter().collect()),
    };
    item.parent_item_id = parent;
    item
}

impl Translator {
    /// Whose thread a message belongs to; nothing if it is that of a subagent whose messages are left out.
    pub(super) fn thread(&self, message: &Value) -> Option<Option<String>> {
        let parent = word(message, "parent_tool_use_id").map(str::to_owned);
        (parent.is_none() || self.subagents).then_some(parent)
    }

    /// A part of a message that is being written.
    pub(super) fn stream(&mut self, message: &Value, effects: &mut Vec<Effect>) {
        let Some(thread) = self.thread(message) else { return };
        let Some(event) = message.get("event") else { return };
        let Some(turn) = &mut self.turn else { return };
        let (id, messages) = (turn.id, &mut turn.messages);
        match text(event, "type").unwrap_or_default() {
            "message_start" => {
                effects.extend(messages.stop(id, &thread, true));
                self.message_start(thread, event, effects);
            }
            "content_block_start" => self.block_start(&thread, event, effects),
            "content_block_delta" => self.block_delta(&thread, event, effects),
            "message_delta" => {
                let streamed = messages.streamed.get(&thread).and_then(|id| messages.by_id.get_mut(id));
                if let Some(usage) = streamed.and_then(|message| message.usage.as_mut()) {
                    usage.extend(object(event, "usage").into_iter().filter(|(_, of)| !of.is_null()));
                }
            }
            "message_stop" => {
                let main = thread.is_none();
                let streamed = messages.streamed.get(&thread).and_then(|id| messages.by_id.get(id));
                if let Some(usage) = streamed.and_then(|message| message.usage.as_ref()).filter(|_| main) {
                    turn.context_used = context(usage).or(turn.context_used);
                }
                effects.extend(messages.stop(id, &thread, false));
            }
            "content_block_stop" | "ping" => {}
            other => {
                let other = crate::backend::claude::wire::shortened(other, 64);
                effects.push(session(ignored(format!("stream event of type {other}"))));
            }
        }
    }

    fn message_start(&mut self, thread: Option<String>, event: &Value, effects: &mut Vec<Effect>) {
        let Some(turn) = &mut self.turn else { return };
        if turn.messages.streamed.len() >= THREADS {
            return;
        }
        let of = event.get("message").unwrap_or(&Value::Null);
        let vendor_id = match word(of, "id") {
            Some(id) => id.to_owned(),
            None => turn.messages.own_id(turn.id),
        };
        let id = self.names.of(&vendor_id, turn.id);
        let parent = parent(&mut self.names, turn.id, &thread);
        let message = Message {
            id: id.clone(),
            blocks: BTreeMap::new(),
            next: 0,
            parent,
            usage: Some(object(of, "usage")),
        };
        let entry = turn.messages.by_id.entry(&vendor_id, || message);
        entry.usage.get_or_insert_with(|| object(of, "usage"));
        turn.messages.streamed.insert(thread, vendor_id);
        let request = ModelRequest { request_id: id, ..ModelRequest::default() };
        effects.push(of_turn(turn.id, Body::ModelRequestStarted(request)));
    }

    fn block_start(&mut self, thread: &Option<String>, event: &Value, effects: &mut Vec<Effect>) {
        let (Some(place), Some(block)) = (count(event, "index"), event.get("content_block")) else { return };
        let Some(turn) = &mut self.turn else { return };
        let messages = &mut turn.messages;
        let streamed = messages.streamed.get(thread).and_then(|id| messages.by_id.get_mut(id));
        let Some(message) = streamed else { return };
        if message.blocks.contains_key(&place) || place >= BLOCKS as u64 {
            return;
        }
        let (of, mut item_id) = (kind(block), message.item_id(place));
        let parent = message.parent.clone();
        if of == Kind::Tool {
            let Some(id) = word(block, "id") else { return };
            item_id = self.names.of(id, turn.id);
        }
        message.blocks.insert(place, Block { kind: of, item_id: item_id.clone(), whole: false });
        match of {
            Kind::Text | Kind::Thinking => {
                let item = item(of, item_id.clone(), None, parent);
                effects.push(of_turn(turn.id, Body::ItemStarted { item }));
                let (member, stream) = texts(of);
                if let Some(delta) = word(block, member) {
                    effects.push(grown(turn.id, item_id, stream, delta));
                }
            }
            Kind::Tool => self.tool_begun(block, item_id, parent, effects),
            Kind::Other => {}
        }
    }

    fn block_delta(&mut self, thread: &Option<String>, event: &Value, effects: &mut Vec<Effect>) {
        let (Some(place), Some(delta)) = (count(event, "index"), event.get("delta")) else { return };
        let Some(turn) = &self.turn else { return };
        let messages = &turn.messages;
        let streamed = messages.streamed.get(thread).and_then(|id| messages.by_id.get(id));
        let Some(block) = streamed.and_then(|message| message.blocks.get(&place)) else { return };
        let (stream, more) = match (block.kind, text(delta, "type")) {
            (Kind::Text, Some("text_delta")) => (Stream::Text, word(delta, "text")),
            (Kind::Thinking, Some("thinking_delta")) => (Stream::Reasoning, word(delta, "thinking")),
            (Kind::Tool, Some("input_json_delta")) => (Stream::Arguments, word(delta, "partial_json")),
            _ => return,
        };
        if let Some(more) = more {
            effects.push(grown(turn.id, block.item_id.clone(), stream, more));
        }
    }

    /// A block that is whole; there may be several in a line.
    pub(super) fn assistant(&mut self, line: &Value, effects: &mut Vec<Effect>) {
        let Some(thread) = self.thread(line) else { return };
        let of = line.get("message").unwrap_or(&Value::Null);
        let Some(turn) = &mut self.turn else {
            effects.push(session(ignored("a message of type assistant outside of a turn")));
            return;
        };
        // A fault of the model is said as a message of its own making; the result says it again.
        if let Some(error) = word(line, "error").filter(|_| text(of, "model") == Some("<synthetic>")) {
            turn.error = Some(crate::backend::claude::wire::shortened(error, 128));
            return;
        }
        let vendor_id = match word(of, "id") {
            Some(id) => id.to_owned(),
            None => turn.messages.own_id(turn.id),
        };
        if thread.is_none() {
            turn.context_used =
                of.get("usage").and_then(Value::as_object).and_then(context).or(turn.context_used);
        }
        let aborted = flag(line, "aborted") || flag(of, "aborted");
        for block in list(of, "content") {
            self.whole(&vendor_id, &thread, block, aborted, effects);
        }
    }

    fn whole(
        &mut self,
        vendor_id: &str,
        thread: &Option<String>,
        block: &Value,
        aborted: bool,
        effects: &mut Vec<Effect>,
    ) {
        if text(block, "type").is_some_and(|name| name.ends_with("tool_result")) {
            return self.tool_result(block, None, None, effects);
        }
        let Some(turn) = &mut self.turn else { return };
        let (id, parent) = (self.names.of(vendor_id, turn.id), parent(&mut self.names, turn.id, thread));
        let message = turn.messages.by_id.entry(vendor_id, || Message {
            id,
            blocks: BTreeMap::new(),
            next: 0,
            parent: parent.clone(),
            usage: None,
        });
        let of = kind(block);
        let place = message.place(of);
        let mut item_id = message.item_id(place);
        if of == Kind::Tool {
            let Some(id) = word(block, "id") else { return };
            item_id = self.names.of(id, turn.id);
        }
        let streamed = message.blocks.contains_key(&place);
        if streamed || place < BLOCKS as u64 {
            message.blocks.insert(place, Block { kind: of, item_id: item_id.clone(), whole: true });
        }
        match of {
            Kind::Text | Kind::Thinking => {
                let said = text(block, texts(of).0).unwrap_or_default();
                // There is nothing to see in thoughts that are kept back.
                if said.is_empty() && !streamed {
                    return;
                }
                let how = if aborted { ItemStatus::Cancelled } else { ItemStatus::Completed };
                let content = Some(said).filter(|said| !said.is_empty());
                let item = item(of, item_id, content, parent).ended(how);
                effects.push(of_turn(turn.id, Body::ItemCompleted { item }));
            }
            Kind::Tool => self.tool_whole(block, item_id, parent, effects),
            Kind::Other => {}
        }
    }
}

/// The member and the stream of a text.
fn texts(of: Kind) -> (&'static str, Stream) {
    if of == Kind::Thinking { ("thinking", Stream::Reasoning) } else { ("text", Stream::Text) }
}

fn grown(turn: Ulid, item_id: String, stream: Stream, delta: &str) -> Effect {
    let delta = Delta { item_id, stream, index: None, delta: delta.to_owned(), offset: 0 };
    of_turn(turn, Body::ItemDelta(delta))
}

/// The item of the tool whose subagent speaks.
fn parent(names: &mut super::Names, turn: Ulid, thread: &Option<String>) -> Option<String> {
    thread.as_deref().map(|id| names.of(id, turn))
}

/// What a request used, in the words of [`crate::event::Usage`].
fn counted(usage: &Map<String, Value>) -> Option<Map<String, Value>> {
    let names = [
        ("input_tokens", "inputTokens"),
        ("output_tokens", "outputTokens"),
        ("cache_read_input_tokens", "cacheReadTokens"),
        ("cache_creation_input_tokens", "cacheWriteTokens"),
    ];
    let counts =
        names.into_iter().filter_map(|(from, to)| Some((to.to_owned(), usage.get(from)?.as_u64()?.into())));
    let counts: Map<String, Value> = counts.collect();
    (!counts.is_empty()).then_some(counts)
}

/// Tokens that a request left in the window of the model.
fn context(usage: &Map<String, Value>) -> Option<u64> {
    let names = ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"];
    let counts = names.iter().filter_map(|name| usage.get(*name).and_then(Value::as_u64));
    let sum = counts.fold(0_u64, u64::saturating_add);
    (sum > 0).then_some(sum)
}
