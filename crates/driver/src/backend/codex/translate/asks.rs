//! What the vendor asks: whom a request is put to, what its answer says of the item that waits for it, and when nobody
//! wants the answer any more.

use serde_json::Value;
use ulid::Ulid;

use super::methods::turn_of;
use super::{MAX_REQUESTS, Step, Translator, Whose};
use crate::backend::codex::items;
use crate::backend::codex::questions::{self, Ask, Subject, Verdict};
use crate::backend::codex::wire::{self, Incoming};

impl Translator {
    /// A request was answered; nothing if nobody wants the answer any more.
    pub(in super::super) fn answered(&mut self, key: &str, verdict: Verdict) -> Option<Vec<Step>> {
        let waits = self.requests.remove(key)?;
        let open = waits.and_then(|item| Some((self.turn.as_mut()?.items.get_mut(&item)?, item)));
        match (open, verdict) {
            (Some((open, _)), Verdict::Refused) => open.refused = true,
            (Some((open, _)), Verdict::Told) => open.told = true,
            (Some((_, item)), Verdict::Allowed) if !self.waiting => {
                return Some(self.runs_unless_asked(&item).into_iter().collect());
            }
            _ => {}
        }
        Some(Vec::new())
    }

    /// A request is not answered, since nobody wants that any more.
    pub(in super::super) fn dropped(&mut self, key: &str) {
        self.requests.remove(key);
    }

    /// That nobody is asked any more shows that what began before runs.
    pub(super) fn status(&mut self, params: &Value) -> Vec<Step> {
        let status = params.get("status").unwrap_or(&Value::Null);
        let active = wire::text(status, "type") == Some("active");
        let waited =
            std::mem::replace(&mut self.waiting, active && !wire::list(status, "activeFlags").is_empty());
        if !active || self.waiting || !waited {
            return Vec::new();
        }
        let open: Vec<String> = match &self.turn {
            Some(turn) if !turn.cancelled => turn.items.keys().cloned().collect(),
            _ => Vec::new(),
        };
        open.iter().filter_map(|named| self.runs_unless_asked(named)).collect()
    }

    /// The vendor has its answer, or wants none any more: by its id, whatever turn it was of.
    pub(super) fn resolved(&mut self, params: &Value) -> Vec<Step> {
        let key = params.get("requestId").map(Ask::key).unwrap_or_default();
        match self.requests.remove(&key) {
            Some(_) => vec![Step::Withdraw(key)],
            None => Vec::new(),
        }
    }

    pub(super) fn request(&mut self, id: Value, method: String, params: Value, bytes: usize) -> Vec<Step> {
        let Some(subject) = questions::subject(&method) else {
            let mut steps = vec![Step::Answer(wire::refuse(&id, "unsupported"))];
            steps.extend(self.unknown("request", &method));
            return steps;
        };
        // A thread beside ours asks as part of the turn that runs; its items are not ours.
        let aside = self.is_aside(&params);
        let whose = match &self.turn {
            Some(turn) if aside => Whose::Ours(turn.run),
            _ => self.whose(&params),
        };
        match whose {
            Whose::Ours(run) => self.ask(run, id, subject, &method, params, aside),
            Whose::Early => self.early(Incoming::Request { id, method, params }, bytes),
            // Of a turn that is over nobody waits for an answer.
            Whose::Nobody if turn_of(&params).is_some_and(|turn| self.over.has(turn)) => Vec::new(),
            Whose::Nobody => vec![Step::Answer(wire::reply(&id, &subject.refusal()))],
        }
    }

    pub(super) fn ask(
        &mut self,
        run: Ulid,
        id: Value,
        subject: Subject,
        method: &str,
        params: Value,
        aside: bool,
    ) -> Vec<Step> {
        let key = Ask::key(&id);
        if self.requests.len() >= MAX_REQUESTS || self.requests.contains_key(&key) {
            return vec![Step::Answer(wire::refuse(&id, "too many requests are open"))];
        }
        let named = wire::name(&params, subject.item_member()).map(str::to_owned).filter(|_| !aside);
        let mut steps = Vec::new();
        if let Some(named) = &named
            && !self.has_item(named)
            && let Some(kind) = subject.item(&params).as_ref().and_then(items::kind)
        {
            steps.extend(self.begin_item(run, method, named, kind, true, true));
        }
        let waits = named.filter(|named| self.has_item(named));
        if subject == Subject::Tool
            && let Some(named) = &waits
        {
            steps.extend(self.runs(named));
        }
        let item_id = waits.as_ref().map(|named| self.name(named));
        self.requests.insert(key, waits);
        steps.push(Step::Ask(Ask { id, subject, run, item_id, params }));
        steps
    }

    pub(super) fn has_item(&self, named: &str) -> bool {
        self.turn.as_ref().is_some_and(|turn| turn.items.contains_key(named))
    }
}
