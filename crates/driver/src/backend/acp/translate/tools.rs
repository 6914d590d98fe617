//! Tool calls of a turn: each mention of one is a patch, and the first creates it, whatever message that is in. It says what
//! the item is; what is emitted is decided by its caller and the kernel.

use std::collections::HashMap;

use serde_json::{Map, Value};
use ulid::Ulid;

use super::member;
use crate::event::{ChangedFile, ContentBlock, FileChange, Item, ItemKind, ItemStatus, Location};

/// Most calls of a turn that are known at once.
const MAX: usize = 1024;
/// The longest id of a call.
const MAX_ID: usize = 1024;
/// Most bytes of what a call writes that are kept.
const MAX_OUTPUT: usize = 8 << 20;

/// The longest line of a shell, in bytes; a longer one is a call like any other.
const MAX_LINE: usize = 64 << 10;
/// Most bytes that open calls have together, about: what comes then is left out.
const MAX_WEIGHT: usize = 64 << 20;

/// What was written to a terminal of ours, and the status of its program.
pub(in super::super) type TerminalOutput = (String, Option<i32>);

/// Who knows terminals.
pub(in super::super) trait Terminals {
    /// What was written to one; nothing if it is unknown.
    fn output(&self, terminal_id: &str) -> Option<TerminalOutput>;
}

/// No terminals.
#[cfg(test)]
pub(super) struct NoTerminals;

#[cfg(test)]
impl Terminals for NoTerminals {
    fn output(&self, _: &str) -> Option<TerminalOutput> {
        None
    }
}

/// One call.
#[derive(Debug)]
pub(super) struct Tool {
    pub(super) item_id: String,
    /// A line of a shell; fixed with the first mention, as the kind of an item is.
    command: Option<String>,
    cwd: String,
    name: Option<String>,
    title: Option<String>,
    kind: Option<String>,
    status: ItemStatus,
    input: Option<Value>,
    content: Vec<Value>,
    raw_output: Option<Value>,
    locations: Option<Vec<Location>>,
    parent: Option<String>,
    /// Written to a terminal that the agent keeps itself.
    written: String,
    exit_code: Option<i32>,
    /// About how many bytes it has.
    weight: usize,
    /// Somebody refused it.
    pub(super) declined: bool,
}

/// What a mention of a call leads to.
#[derive(Debug, Default)]
pub(super) struct Mention {
    /// The call began with it.
    pub(super) first: bool,
    /// The item, if it can have changed.
    pub(super) item: Option<Item>,
    /// What was written since.
    pub(super) delta: Option<String>,
    /// Files that the call has changed, now that it is complete.
    pub(super) changed: Vec<ChangedFile>,
}

/// The calls of a turn, by the agent's ids.
#[derive(Debug, Default)]
pub(super) struct Tools {
    calls: HashMap<String, Tool>,
    /// In the order they began.
    order: Vec<String>,
    /// About how many bytes those that are open have.
    weight: usize,
}

/// A block of content of a tool as an event has it.
fn block(entry: &Value) -> Option<ContentBlock> {
    serde_json::from_value(entry.get("content")?.clone()).ok()
}

fn object(value: &Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members.clone(),
        other => [("value".to_owned(), other.clone())].into_iter().collect(),
    }
}

impl Tool {
    fn new(item_id: String) -> Self {
        Tool {
            item_id,
            command: None,
            cwd: String::new(),
            name: None,
            title: None,
            kind: None,
            status: ItemStatus::Pending,
            input: None,
            content: Vec::new(),
            raw_output: None,
            locations: None,
            parent: None,
            written: String::new(),
            exit_code: None,
            weight: 0,
            declined: false,
        }
    }

    /// Puts a mention over what is known. Absent and null keep, arrays replace. Gives what was written.
    fn patch(&mut self, update: &Value) -> Option<String> {
        let set = |to: &mut Option<String>, name: &str| {
            if let Some(text) = member::text(update, name) {
                *to = Some(text.to_owned());
            }
        };
        set(&mut self.title, "title");
        set(&mut self.kind, "kind");
        set(&mut self.name, "name");
        let claude = update.get("_meta").and_then(|meta| meta.get("claudeCode"));
        if let Some(name) = claude.and_then(|claude| member::text(claude, "toolName")) {
            self.name = Some(name.to_owned());
        }
        match member::text(update, "status") {
            Some("in_progress") => self.status = ItemStatus::Running,
            Some("completed") => self.status = ItemStatus::Completed,
            Some("failed" | "cancelled") if self.declined => self.status = ItemStatus::Declined,
            Some("failed") => self.status = ItemStatus::Failed,
            Some("cancelled") => self.status = ItemStatus::Cancelled,
            // Back to pending is no news, nor is a status nobody knows.
            _ => {}
        }
        if let Some(content) = update.get("content").and_then(Value::as_array) {
            self.content.clone_from(content);
        }
        if let Some(input) = update.get("rawInput").filter(|input| !input.is_null()) {
            self.input = Some(input.clone());
        }
        if let Some(output) = update.get("rawOutput").filter(|output| !output.is_null()) {
            self.raw_output = Some(output.clone());
        }
        if let Some(locations) = update.get("locations").and_then(Value::as_array) {
            let location = |value: &Value| {
                let line = member::count(value, "line").and_then(|line| u32::try_from(line).ok());
                Some(Location { path: member::text(value, "path")?.to_owned(), line })
            };
            self.locations = Some(locations.iter().filter_map(location).collect());
        }
        let meta = update.get("_meta")?;
        if let Some(exit) = meta.get("terminal_exit") {
            self.exit_code =
                exit.get("exit_code").and_then(Value::as_i64).and_then(|code| i32::try_from(code).ok());
        }
        let data = member::text(meta.get("terminal_output")?, "data").filter(|data| !data.is_empty())?;
        if self.written.len() + data.len() <= MAX_OUTPUT {
            self.written.push_str(data);
        }
        Some(data.to_owned())
    }

    /// Lets go of what it has said.
    fn forget(&mut self) {
        (self.input, self.raw_output, self.locations, self.weight) = (None, None, None, 0);
        (self.title, self.name) = (None, None);
        self.content.clear();
        self.written.clear();
    }

    fn weigh(&self) -> usize {
        let parts = self.content.iter().chain(&self.input).chain(&self.raw_output);
        let texts = [&self.title, &self.name, &self.kind].into_iter().flatten().map(String::len);
        let paths = self.locations.iter().flatten().map(|location| 64 + location.path.len());
        self.written.len() + parts.map(member::weight).chain(texts).chain(paths).sum::<usize>()
    }

    /// Whether it is a line of a shell, which its first mention decides. Agents that show a terminal of their own write the
    /// line into the title.
    fn decide(&mut self, update: &Value, cwd: &str) {
        if self.kind.as_deref() != Some("execute") {
            return;
        }
        let input = self.input.as_ref();
        let info = update.get("_meta").and_then(|meta| meta.get("terminal_info"));
        let line = input.and_then(|input| member::text(input, "command"));
        let line = line.or(info.and(self.title.as_deref())).filter(|line| line.len() <= MAX_LINE);
        self.command = line.map(str::to_owned);
        let given = input.and_then(|input| member::text(input, "cwd"));
        let given = given.or_else(|| info.and_then(|info| member::text(info, "cwd")));
        given.unwrap_or(cwd).clone_into(&mut self.cwd);
    }

    fn text(&self, terminals: &dyn Terminals) -> Option<String> {
        if !self.written.is_empty() {
            return Some(self.written.clone());
        }
        let mut all = String::new();
        for entry in &self.content {
            match member::text(entry, "terminalId").and_then(|id| terminals.output(id)) {
                Some((output, _)) => all.push_str(&output),
                None => {
                    if let Some(ContentBlock::Text { text }) = block(entry) {
                        all.push_str(&text);
                    }
                }
            }
        }
        let raw = || {
            let raw = self.raw_output.as_ref()?;
            let named = ["output", "stdout"].iter().find_map(|name| member::text(raw, name));
            named.or_else(|| raw.as_str()).map(str::to_owned)
        };
        if all.is_empty() { raw() } else { Some(all) }
    }

    fn exit(&self, terminals: &dyn Terminals) -> Option<i32> {
        let raw = || {
            let raw = self.raw_output.as_ref()?;
            let code = ["exitCode", "exit_code"].iter().find_map(|name| raw.get(name)?.as_i64())?;
            i32::try_from(code).ok()
        };
        let ours =
            || self.content.iter().find_map(|entry| terminals.output(member::text(entry, "terminalId")?)?.1);
        self.exit_code.or_else(raw).or_else(ours)
    }

    fn blocks(&self, terminals: &dyn Terminals) -> Option<Vec<ContentBlock>> {
        let mut all = Vec::new();
        for entry in &self.content {
            match member::text(entry, "type") {
                Some("content") => all.extend(block(entry)),
                Some("terminal") if self.status.is_terminal() => {
                    let output = member::text(entry, "terminalId").and_then(|id| terminals.output(id));
                    let text = output.map_or_else(|| self.written.clone(), |(text, _)| text);
                    all.extend((!text.is_empty()).then(|| ContentBlock::text(text)));
                }
                _ => {}
            }
        }
        (!all.is_empty()).then_some(all)
    }

    fn item(&self, terminals: &dyn Terminals) -> Item {
        let ended = self.status.is_terminal();
        let kind = match &self.command {
            Some(first) => {
                let line = self.input.as_ref().and_then(|input| member::text(input, "command"));
                let output = if ended { self.text(terminals) } else { None };
                let written = (!self.written.is_empty()).then(|| self.written.clone());
                ItemKind::Command {
                    command: line.unwrap_or(first).to_owned(),
                    cwd: self.cwd.clone(),
                    output: output.or(written),
                    exit_code: if ended { self.exit(terminals) } else { None },
                    duration_ms: None,
                }
            }
            None => ItemKind::ToolCall {
                name: [&self.name, &self.title, &self.kind]
                    .into_iter()
                    .find_map(|name| name.clone().filter(|name| !name.is_empty()))
                    .unwrap_or_else(|| "tool".to_owned()),
                title: self.title.clone(),
                tool_kind: self.kind.clone(),
                server: None,
                input: self.input.as_ref().map(object).unwrap_or_default(),
                output: self.blocks(terminals),
                raw_output: self.raw_output.clone(),
                is_error: ended.then(|| self.status != ItemStatus::Completed),
                locations: self.locations.clone(),
            },
        };
        let mut item = Item::new(self.item_id.clone(), self.status, kind);
        item.parent_item_id.clone_from(&self.parent);
        item
    }

    /// The files that it has changed.
    fn changed(&self) -> Vec<ChangedFile> {
        if self.status != ItemStatus::Completed {
            return Vec::new();
        }
        let diffs = self.content.iter().filter(|entry| member::text(entry, "type") == Some("diff"));
        let change =
            if self.kind.as_deref() == Some("delete") { FileChange::Delete } else { FileChange::Upsert };
        diffs
            .filter_map(|diff| member::text(diff, "path"))
            .map(|path| ChangedFile { path: path.to_owned(), change, item_id: Some(self.item_id.clone()) })
            .collect()
    }
}

impl Tools {
    /// Makes room for one more: an ended call has nothing left to say.
    fn room(&mut self) -> bool {
        if self.calls.len() < MAX {
            return true;
        }
        let ended = |id: &String| self.calls.get(id).is_some_and(|tool| tool.status.is_terminal());
        let Some(at) = self.order.iter().position(ended) else { return false };
        let id = self.order.remove(at);
        self.calls.remove(&id);
        true
    }

    /// Takes in a mention of a call; nothing if it cannot be one.
    pub(super) fn mention(
        &mut self,
        turn: Ulid,
        update: &Value,
        cwd: &str,
        terminals: &dyn Terminals,
    ) -> Option<Mention> {
        let id = member::text(update, "toolCallId").filter(|id| !id.is_empty() && id.len() <= MAX_ID)?;
        let first = !self.calls.contains_key(id);
        if first {
            if !self.room() {
                return None;
            }
            self.order.push(id.to_owned());
        }
        let claude = update.get("_meta").and_then(|meta| meta.get("claudeCode"));
        let parent =
            claude.and_then(|claude| member::text(claude, "parentToolUseId")).filter(|parent| *parent != id);
        let parent = parent.and_then(|parent| Some(self.calls.get(parent)?.item_id.clone()));
        let tool = self.calls.entry(id.to_owned()).or_insert_with(|| Tool::new(format!("{turn}:{id}")));
        if tool.status.is_terminal() {
            return Some(Mention::default());
        }
        tool.parent = tool.parent.take().or(parent);
        let delta = tool.patch(update);
        if first {
            tool.decide(update, cwd);
        }
        self.weight -= tool.weight;
        tool.weight = tool.weigh();
        if self.weight + tool.weight > MAX_WEIGHT {
            tool.forget();
        }
        let (item, changed) = (Some(tool.item(terminals)), tool.changed());
        if tool.status.is_terminal() {
            tool.forget();
        }
        self.weight += tool.weight;
        Some(Mention { first, item, delta, changed })
    }

    /// The call of an id.
    pub(super) fn get(&self, id: &str) -> Option<&Tool> {
        self.calls.get(id)
    }

    /// Somebody refused it.
    pub(super) fn declined(&mut self, id: &str) {
        if let Some(tool) = self.calls.get_mut(id) {
            tool.declined = true;
        }
    }

    /// What is left of refused calls of which the agent never spoke again.
    pub(super) fn refused(&mut self, terminals: &dyn Terminals) -> Vec<Item> {
        let open = self.calls.values_mut().filter(|tool| tool.declined && !tool.status.is_terminal());
        let mut items: Vec<Item> = open
            .map(|tool| {
                tool.status = ItemStatus::Declined;
                tool.item(terminals)
            })
            .collect();
        items.sort_by(|a, b| a.item_id.cmp(&b.item_id));
        items
    }
}
