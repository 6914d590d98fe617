//! Items of the turn that runs: their beginnings, what is written to them, and their ends.

use serde_json::{Map, Value};
use ulid::Ulid;

use super::{Step, Translator};
use crate::backend::codex::turn::{MAX_ITEMS, Open};
use crate::backend::codex::{items, wire};
use crate::event::{Body, Delta, Draft, Item, ItemKind, ItemPatch, ItemStatus, Stream};

impl Translator {
    pub(super) fn item_started(&mut self, run: Ulid, method: &str, item: &Value) -> Vec<Step> {
        if items::is_echo(item) {
            return Vec::new();
        }
        let (Some(named), Some(kind)) = (wire::name(item, "id").map(str::to_owned), items::kind(item)) else {
            return self.unknown("an item without its members:", items::type_of(item));
        };
        let Some(turn) = self.turn.as_mut() else { return Vec::new() };
        turn.compacted |= items::type_of(item) == "contextCompaction";
        if let Some(open) = turn.items.get_mut(&named) {
            // What a request has told of it is made complete; what was said twice says nothing.
            if !std::mem::take(&mut open.guessed) {
                return Vec::new();
            }
            let item_id = open.id.clone();
            let Ok(Value::Object(mut patch)) = serde_json::to_value(&kind) else { return Vec::new() };
            patch.remove("kind");
            return vec![self.say(
                run,
                method,
                Some(&named),
                Body::ItemUpdated(ItemPatch { item_id, patch }),
            )];
        }
        let waits = items::waits(item);
        self.begin_item(run, method, &named, kind, waits, false)
    }

    pub(super) fn begin_item(
        &mut self,
        run: Ulid,
        method: &str,
        named: &str,
        kind: ItemKind,
        pending: bool,
        guessed: bool,
    ) -> Vec<Step> {
        let id = self.name(named);
        let Some(turn) = self.turn.as_mut().filter(|turn| turn.items.len() < MAX_ITEMS) else {
            return Vec::new();
        };
        turn.items.insert(named.to_owned(), Open { id: id.clone(), pending, guessed, ..Open::default() });
        let status = if pending { ItemStatus::Pending } else { ItemStatus::Running };
        vec![self.say(run, method, Some(named), Body::ItemStarted { item: Item::new(id, status, kind) })]
    }

    pub(super) fn item_ended(&mut self, run: Ulid, method: &str, item: &Value) -> Vec<Step> {
        let Some(named) = wire::name(item, "id").map(str::to_owned).filter(|_| !items::is_echo(item)) else {
            return Vec::new();
        };
        let id = self.name(&named);
        let status = items::ended(item);
        let mut steps = Vec::new();
        // A result is the proof that it ran.
        if matches!(status, ItemStatus::Completed | ItemStatus::Failed) {
            steps.extend(self.runs(&named));
        }
        if let Some(turn) = self.turn.as_mut() {
            turn.items.remove(&named);
            turn.compacted |= items::type_of(item) == "contextCompaction";
        }
        let Some(kind) = items::kind(item) else {
            steps.push(Step::Close(id, status));
            return steps;
        };
        let files =
            if status == ItemStatus::Completed { items::changed(&kind, item, &id) } else { Vec::new() };
        let body = Body::ItemCompleted { item: Item::new(id, status, kind).ended(status) };
        let draft = Draft::of_turn(run, body).native(self.native(method, Some(&named)));
        steps.push(Step::Complete(draft));
        if !files.is_empty() {
            steps.push(Step::Changed(run, files));
        }
        steps
    }

    /// An item is known to run. Nothing if that was known, or it was refused.
    pub(super) fn runs(&mut self, named: &str) -> Option<Step> {
        let turn = self.turn.as_mut()?;
        let open = turn.items.get_mut(named).filter(|open| open.pending && !open.refused)?;
        open.pending = false;
        let (item_id, run) = (open.id.clone(), turn.run);
        let patch = Map::from_iter([("status".to_owned(), Value::from("running"))]);
        Some(self.say(run, "item/running", Some(named), Body::ItemUpdated(ItemPatch { item_id, patch })))
    }

    /// The same, but for one that somebody is still asked about.
    pub(super) fn runs_unless_asked(&mut self, named: &str) -> Option<Step> {
        let asked = self.requests.values().any(|item| item.as_deref() == Some(named));
        if asked { None } else { self.runs(named) }
    }

    pub(super) fn patch(
        &mut self,
        run: Ulid,
        method: &str,
        params: &Value,
        patch: Map<String, Value>,
    ) -> Vec<Step> {
        let Some(named) = wire::name(params, "itemId") else { return Vec::new() };
        let Some(open) = self.turn.as_ref().and_then(|turn| turn.items.get(named)) else { return Vec::new() };
        let item_id = open.id.clone();
        vec![self.say(run, method, Some(named), Body::ItemUpdated(ItemPatch { item_id, patch }))]
    }

    pub(super) fn delta(
        &mut self,
        run: Ulid,
        method: &str,
        params: &Value,
        stream: Stream,
        index: Option<u32>,
    ) -> Vec<Step> {
        let (Some(named), Some(delta)) =
            (wire::name(params, "itemId").map(str::to_owned), wire::text(params, "delta"))
        else {
            return self.unknown("a delta without its members:", method);
        };
        let mut steps = Vec::new();
        let is_open = self.turn.as_ref().is_some_and(|turn| turn.items.contains_key(&named));
        if !is_open {
            // The beginning was left out: what is written shows what it is.
            let kind = match method {
                "item/agentMessage/delta" => Item::message("", Vec::new()).kind,
                "item/plan/delta" => ItemKind::Plan { entries: Vec::new() },
                "item/reasoning/textDelta" | "item/reasoning/summaryTextDelta" => {
                    ItemKind::Reasoning { summary: Vec::new(), content: Vec::new() }
                }
                _ => return steps,
            };
            steps.extend(self.begin_item(run, method, &named, kind, false, false));
        }
        if stream == Stream::Output {
            steps.extend(self.runs_unless_asked(&named));
        }
        let item_id = self.name(&named);
        let delta = Delta { item_id, stream, index, delta: delta.to_owned(), offset: 0 };
        steps.push(self.say(run, method, Some(&named), Body::ItemDelta(delta)));
        steps
    }

    /// The plan of a turn is one item, which ends with the turn.
    pub(super) fn plan(&mut self, run: Ulid, method: &str, params: &Value) -> Vec<Step> {
        let entries = items::entries(params);
        let item_id = self.name("turn-plan");
        let Some(turn) = self.turn.as_mut() else { return Vec::new() };
        if !std::mem::replace(&mut turn.plan, true) {
            let item = Item::new(item_id, ItemStatus::Running, ItemKind::Plan { entries });
            return vec![self.say(run, method, None, Body::ItemStarted { item })];
        }
        let entries = serde_json::to_value(entries).unwrap_or_default();
        let patch = Map::from_iter([("entries".to_owned(), entries)]);
        vec![self.say(run, method, None, Body::ItemUpdated(ItemPatch { item_id, patch }))]
    }

    /// Older versions tell of a compaction only so; newer ones also by an item.
    pub(super) fn compacted(&mut self, run: Ulid, method: &str) -> Vec<Step> {
        let item_id = self.name("turn-compaction");
        let Some(turn) = self.turn.as_mut() else { return Vec::new() };
        if std::mem::replace(&mut turn.compacted, true) {
            return Vec::new();
        }
        let kind = ItemKind::Other { kind: "x_compaction".to_owned(), fields: Map::new() };
        let item = Item::new(item_id, ItemStatus::Completed, kind).ended(ItemStatus::Completed);
        vec![self.say(run, method, None, Body::ItemCompleted { item })]
    }
}
