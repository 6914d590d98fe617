//! Tools of the vendor: their arguments, whether they run, what they answer. A tool has ended only when its result is
//! known; that its arguments are complete says nothing about that.

use serde_json::{Map, Value};
use ulid::Ulid;

use super::{Effect, Translator, Turn, of_turn, session};
use crate::backend::claude::wire::{Recent, blocks, flag, list, object, text, word};
use crate::backend::ignored;
use crate::event::{Body, ChangedFile, FileChange, Item, ItemKind, ItemPatch, ItemStatus, Location};

/// Tools of a turn that are remembered.
const TOOLS: usize = 8192;

/// A call of a tool.
#[derive(Debug)]
struct Tool {
    item_id: String,
    /// As the vendor calls it.
    name: String,
    title: Option<String>,
    parent: Option<String>,
    input: Map<String, Value>,
    status: ItemStatus,
    /// Somebody refused it.
    denied: bool,
    /// Its server has taken the call.
    taken: bool,
}

/// The tools of a turn, by the vendor's ids.
#[derive(Debug)]
pub(super) struct Tools(Recent<Tool>);

impl Default for Tools {
    fn default() -> Self {
        Tools(Recent::new(TOOLS))
    }
}

/// The server and the tool of a name such as `mcp__server__tool`.
pub(in crate::backend::claude) fn server(name: &str) -> Option<(&str, &str)> {
    let (server, tool) = name.strip_prefix("mcp__")?.split_once("__")?;
    (!server.is_empty() && !tool.is_empty()).then_some((server, tool))
}

/// What sort of tool it is, in the words of ACP.
pub(in crate::backend::claude) fn sort(name: &str) -> &'static str {
    match name {
        "Read" | "NotebookRead" | "LS" => "read",
        "Edit" | "MultiEdit" | "Write" | "NotebookEdit" => "edit",
        "Glob" | "Grep" => "search",
        "Bash" | "BashOutput" | "KillShell" | "KillBash" => "execute",
        "Task" | "Agent" | "TodoWrite" => "think",
        "WebFetch" | "WebSearch" => "fetch",
        "ExitPlanMode" | "EnterPlanMode" => "switch_mode",
        _ => "other",
    }
}

/// The file that a tool is about.
pub(in crate::backend::claude) fn file(input: &Map<String, Value>) -> Option<&str> {
    let names = ["file_path", "notebook_path", "path"];
    names.iter().find_map(|name| input.get(*name).and_then(Value::as_str)).filter(|path| !path.is_empty())
}

impl Tool {
    fn item(&self, host_server: &str) -> Item {
        let of_server = server(&self.name);
        let name = of_server.map_or(self.name.as_str(), |(_, tool)| tool);
        let server = of_server.map(|(server, _)| server).filter(|server| *server != host_server);
        let kind = ItemKind::ToolCall {
            name: name.to_owned(),
            title: self.title.clone(),
            tool_kind: Some(sort(&self.name).to_owned()),
            server: server.map(str::to_owned),
            input: self.input.clone(),
            output: None,
            raw_output: None,
            is_error: None,
            locations: file(&self.input).map(|path| vec![Location { path: path.to_owned(), line: None }]),
        };
        let mut item = Item::new(self.item_id.clone(), self.status, kind);
        item.parent_item_id.clone_from(&self.parent);
        item
    }
}

fn started(turn: Ulid, item: Item) -> Effect {
    of_turn(turn, Body::ItemStarted { item })
}

fn updated(turn: Ulid, item_id: &str, patch: Map<String, Value>) -> Effect {
    let patch = ItemPatch { item_id: item_id.to_owned(), patch };
    of_turn(turn, Body::ItemUpdated(patch))
}

/// A tool that runs from now on; nothing if it did already.
fn running(turn: Ulid, tool: &mut Tool) -> Option<Effect> {
    if tool.status != ItemStatus::Pending {
        return None;
    }
    tool.status = ItemStatus::Running;
    let patch = [("status".to_owned(), Value::from("running"))].into_iter().collect();
    Some(updated(turn, &tool.item_id, patch))
}

impl Turn {
    fn tool(&mut self, id: &str, item_id: &str, name: &str, parent: Option<&str>) -> (&mut Tool, bool) {
        let known = self.tools.0.get(id).is_some();
        let tool = self.tools.0.entry(id, || Tool {
            item_id: item_id.to_owned(),
            name: name.to_owned(),
            title: None,
            parent: parent.map(str::to_owned),
            input: Map::new(),
            status: ItemStatus::Pending,
            denied: false,
            taken: false,
        });
        (tool, !known)
    }
}

impl Translator {
    /// The model begins to write the arguments of a tool.
    pub(super) fn tool_begun(
        &mut self,
        block: &Value,
        item_id: String,
        parent: Option<String>,
        effects: &mut Vec<Effect>,
    ) {
        let (Some(turn), Some(id)) = (&mut self.turn, word(block, "id")) else { return };
        let of = turn.id;
        let (tool, new) = turn.tool(id, &item_id, text(block, "name").unwrap_or_default(), parent.as_deref());
        if new {
            effects.push(started(of, tool.item(&self.host_server)));
        }
    }

    /// The arguments of a tool are complete.
    pub(super) fn tool_whole(
        &mut self,
        block: &Value,
        item_id: String,
        parent: Option<String>,
        effects: &mut Vec<Effect>,
    ) {
        let (Some(turn), Some(id)) = (&mut self.turn, word(block, "id")) else { return };
        let of = turn.id;
        let (tool, new) = turn.tool(id, &item_id, text(block, "name").unwrap_or_default(), parent.as_deref());
        if tool.status.is_terminal() {
            return;
        }
        tool.input = object(block, "input");
        if tool.parent.is_none() {
            tool.parent = parent;
        }
        let item = tool.item(&self.host_server);
        effects.push(if new { started(of, item) } else { whole(of, &item) });
    }

    /// The vendor asks whether a tool may run. Its item is there from then on, whatever came before. The id of the item.
    pub(in crate::backend::claude) fn asked(
        &mut self,
        id: &str,
        name: &str,
        input: &Map<String, Value>,
        title: Option<&str>,
    ) -> (Option<String>, Vec<Effect>) {
        let Some(turn) = &mut self.turn else { return (None, Vec::new()) };
        let (of, item_id) = (turn.id, self.names.of(id, turn.id));
        let (tool, new) = turn.tool(id, &item_id, name, None);
        if tool.status.is_terminal() {
            return (None, Vec::new());
        }
        if let Some(title) = title {
            tool.title = Some(title.to_owned());
        }
        if tool.input.is_empty() {
            tool.input.clone_from(input);
        }
        let item = tool.item(&self.host_server);
        let effects = if new {
            vec![started(of, item)]
        } else if let Some(title) = title {
            vec![updated(of, &item_id, [("title".to_owned(), title.into())].into_iter().collect())]
        } else {
            Vec::new()
        };
        (Some(item_id), effects)
    }

    /// A tool may run, and will.
    pub(in crate::backend::claude) fn allowed(&mut self, id: &str) -> Option<Effect> {
        let turn = self.turn.as_mut()?;
        running(turn.id, turn.tools.0.get_mut(id)?)
    }

    /// A tool may not run.
    pub(in crate::backend::claude) fn denied(&mut self, id: &str) {
        if let Some(tool) = self.turn.as_mut().and_then(|turn| turn.tools.0.get_mut(id)) {
            tool.denied = true;
        }
    }

    /// The server of the host is called: by which call of the model. Its turn, the id of its item, and whether that began
    /// here and ends here too.
    pub(in crate::backend::claude) fn taken(
        &mut self,
        id: Option<&str>,
        tool: &str,
        input: &Map<String, Value>,
    ) -> Option<(Ulid, String, bool, Vec<Effect>)> {
        let name = format!("mcp__{}__{tool}", self.host_server);
        let turn = self.turn.as_mut()?;
        let of = turn.id;
        let waits = |call: &Tool| !call.taken && !call.status.is_terminal() && call.name == name;
        let known = id.and_then(|id| turn.tools.0.get(id)).filter(|call| waits(call));
        let item_id = known.map(|call| call.item_id.clone()).or_else(|| {
            let mut calls: Vec<&Tool> = turn.tools.0.values().filter(|call| waits(call)).collect();
            calls.sort_by_key(|call| call.input != *input);
            calls.first().map(|call| call.item_id.clone())
        });
        let (item_id, own) = match item_id {
            Some(item_id) => (item_id, false),
            None => (turn.messages.own_id(of), true),
        };
        let mut effects = Vec::new();
        if own {
            let (call, _) = turn.tool(&item_id, &item_id, &name, None);
            call.input.clone_from(input);
            effects.push(started(of, call.item(&self.host_server)));
        }
        let call = turn.tools.0.find_mut(|call| call.item_id == item_id)?;
        call.taken = true;
        effects.extend(running(of, call));
        Some((of, item_id, own, effects))
    }

    pub(super) fn tool_progress(&mut self, message: &Value, effects: &mut Vec<Effect>) {
        if let Some(effect) = word(message, "tool_use_id").and_then(|id| self.allowed(id)) {
            effects.push(effect);
        }
    }

    /// Results of tools. Texts beside them are the vendor's own: nobody said them.
    pub(super) fn user(&mut self, line: &Value, effects: &mut Vec<Effect>) {
        let Some(of) = line.get("message") else { return };
        // Of a subagent whose messages are left out, a tool may be known because it was asked for.
        let hidden = self.thread(line).is_none();
        let known = |result: &Value| {
            let tools = self.turn.as_ref().map(|turn| &turn.tools.0);
            tools.zip(word(result, "tool_use_id")).is_some_and(|(tools, id)| tools.get(id).is_some())
        };
        let results: Vec<&Value> = list(of, "content")
            .filter(|block| text(block, "type").is_some_and(|name| name.ends_with("tool_result")))
            .filter(|block| !hidden || known(block))
            .collect();
        if self.turn.is_none() && !results.is_empty() {
            effects.push(session(ignored("the result of a tool outside of a turn")));
            return;
        }
        // The raw result does not say of which tool it is.
        let raw = line.get("tool_use_result").filter(|raw| results.len() == 1 && !raw.is_null());
        for result in results {
            let id = word(result, "tool_use_id");
            let meta = list(line, "tool_result_meta").find(|meta| id.is_some() && word(meta, "id") == id);
            self.tool_result(result, raw, meta, effects);
        }
    }

    /// A tool has ended.
    pub(super) fn tool_result(
        &mut self,
        result: &Value,
        raw: Option<&Value>,
        meta: Option<&Value>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(turn) = &mut self.turn else { return };
        let (of, unwanted) = (turn.id, turn.unwanted);
        let known = word(result, "tool_use_id").and_then(|id| turn.tools.0.get_mut(id));
        let Some(tool) = known else {
            effects.push(session(ignored("the result of a tool that is not known")));
            return;
        };
        if tool.status.is_terminal() {
            return;
        }
        let is_error = flag(result, "is_error");
        let not_run = meta.and_then(|meta| word(meta, "non_execution_kind"));
        let decision = meta.and_then(|meta| meta.get("permission_decision"));
        let rejected =
            matches!(decision.and_then(|decision| word(decision, "decision")), Some("reject" | "deny"))
                || matches!(not_run, Some("permission-rule" | "user-rejected"));
        let how = match (is_error, unwanted, rejected || tool.denied) {
            (false, ..) => ItemStatus::Completed,
            (true, true, _) => ItemStatus::Cancelled,
            (true, false, true) => ItemStatus::Declined,
            (true, false, false) => ItemStatus::Failed,
        };
        let ran = matches!(how, ItemStatus::Completed | ItemStatus::Failed) && not_run.is_none();
        if ran {
            effects.extend(running(of, tool));
        }
        tool.status = how;
        let mut item = tool.item(&self.host_server).ended(how);
        if let ItemKind::ToolCall { output, raw_output, is_error: error, .. } = &mut item.kind {
            *output = Some(blocks(result.get("content")));
            *raw_output = raw.cloned();
            *error = Some(is_error);
        }
        let edited = (how == ItemStatus::Completed && sort(&tool.name) == "edit")
            .then(|| file(&tool.input).map(str::to_owned))
            .flatten();
        let item_id = tool.item_id.clone();
        effects.push(of_turn(of, Body::ItemCompleted { item }));
        if let Some(path) = edited {
            let (path, change) = (self.path(&path), FileChange::Upsert);
            effects.push(Effect::Files(of, vec![ChangedFile { path, change, item_id: Some(item_id) }]));
        }
    }
}

/// What is new once the arguments are complete.
fn whole(turn: Ulid, item: &Item) -> Effect {
    let members = match serde_json::to_value(item) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let new = ["input", "locations", "parentItemId", "status"];
    let patch = members.into_iter().filter(|(name, _)| new.contains(&name.as_str())).collect();
    updated(turn, &item.item_id, patch)
}
