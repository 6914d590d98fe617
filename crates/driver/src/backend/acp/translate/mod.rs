//! What an agent says, as events: a state machine over the updates of one session, fed in their order. It sends nothing,
//! waits for nothing and knows no process.

mod costs;
mod text;
mod tools;

use std::collections::HashMap;

use serde_json::{Map, Value};
use ulid::Ulid;

pub(super) use tools::{TerminalOutput, Terminals};

use super::settings::Settings;
use super::{PROVIDER, TURN_FAILED, member};
use crate::ErrorInfo;
use crate::backend::{TurnOutcome, ignored};
use crate::event::{
    Basis, Body, ChangedFile, Command, Delta, Diagnostic, DiagnosticSource, Draft, Item, ItemKind,
    ItemStatus, Native, PlanEntry, SessionInfo, Severity, StopReason, Stream, Usage,
};
use costs::{Costs, Said};
use text::{Texts, Voice};
use tools::Tools;

/// Most commands and steps of a plan.
const MAX: usize = 1024;
/// Most compactions of a turn.
const MAX_COMPACTIONS: usize = 64;
/// Most bytes of the summary of one, about.
const MAX_SUMMARY: usize = 1 << 20;

/// What is to be done with what an agent said.
#[derive(Debug)]
pub(super) enum Step {
    /// An event.
    Emit(Box<Draft>),
    /// Files that a tool has changed, of a turn.
    Changed(Ulid, Vec<ChangedFile>),
    /// What the session has cost until now.
    Cost(f64),
}

impl Step {
    fn emit(draft: Draft) -> Self {
        Step::Emit(Box::new(draft))
    }
}

/// What a turn has said so far.
#[derive(Debug)]
struct Turn {
    id: Ulid,
    texts: Texts,
    tools: Tools,
    plan: bool,
    compactions: HashMap<String, Map<String, Value>>,
    usage: Usage,
}

/// The state of a session.
#[derive(Debug)]
pub(super) struct Translator {
    session_id: String,
    cwd: String,
    turn: Option<Turn>,
    /// History is being replayed: it is not said again.
    pub(super) replaying: bool,
    pub(super) settings: Settings,
    costs: Costs,
}

impl Translator {
    /// Of a session that works in `cwd`, and had cost this much; nothing if nobody knows.
    pub(super) fn new(session_id: &str, cwd: &str, cost: Option<f64>) -> Self {
        Translator {
            session_id: session_id.to_owned(),
            cwd: cwd.to_owned(),
            turn: None,
            replaying: false,
            settings: Settings::default(),
            costs: Costs::new(cost),
        }
    }

    fn native(&self, event: &str, item: Option<&str>) -> Native {
        Native {
            provider: PROVIDER.to_owned(),
            event_name: Some(event.to_owned()),
            item_id: item.map(str::to_owned),
            thread_id: Some(self.session_id.clone()),
            protocol_version: Some("1".to_owned()),
            ..Native::default()
        }
    }

    fn session(&self, event: &str, body: Body) -> Step {
        Step::emit(Draft::of_session(body).native(self.native(event, None)))
    }

    /// A turn begins with the next prompt.
    pub(super) fn begin_turn(&mut self, id: Ulid) {
        let (texts, tools, compactions) = (Texts::default(), Tools::default(), HashMap::new());
        let usage = Usage { turn_id: id, ..Usage::default() };
        self.turn = Some(Turn { id, texts, tools, plan: false, compactions, usage });
    }

    /// The prompt was answered, or will not be. The kernel closes what is still open.
    pub(super) fn end_turn(&mut self, result: Option<&Value>, terminals: &dyn Terminals) -> Vec<Step> {
        let Some(mut turn) = self.turn.take() else { return Vec::new() };
        let native = self.native("session/prompt", None);
        let mut steps = Vec::new();
        let mut emit = |body| steps.push(Step::emit(Draft::of_turn(turn.id, body).native(native.clone())));
        if let Some(body) = turn.texts.close() {
            emit(body);
        }
        for item in turn.tools.refused(terminals) {
            emit(Body::ItemCompleted { item });
        }
        if let Some(used) = result.and_then(|result| result.get("usage")).filter(|used| used.is_object()) {
            count(&mut turn.usage, used);
            emit(Body::UsageUpdated(turn.usage.clone()));
        }
        steps.extend(self.costs.end_turn().map(Step::Cost));
        steps
    }

    /// The result of opening the session.
    pub(super) fn opened(&mut self, result: &Value) -> Vec<Step> {
        self.replaying = false;
        self.settings.adopt(result);
        self.configured("session/new")
    }

    /// Settings as they now are.
    pub(super) fn configured(&self, event: &str) -> Vec<Step> {
        self.settings.body().map(|body| self.session(event, body)).into_iter().collect()
    }

    /// The item of a permission, which is begun if nobody has mentioned it. Nothing if the question is about no tool: pi
    /// asks with ids of its own that no tool ever has.
    pub(super) fn permission(
        &mut self,
        call: &Value,
        terminals: &dyn Terminals,
    ) -> (Vec<Step>, Option<String>) {
        let Some(id) = member::text(call, "toolCallId").filter(|id| !id.starts_with("pi-ui-")) else {
            return (Vec::new(), None);
        };
        let steps = self.tool("session/request_permission", call, terminals);
        let item = self.turn.as_ref().and_then(|turn| turn.tools.get(id)).map(|tool| tool.item_id.clone());
        (steps, item)
    }

    /// Somebody refused a call.
    pub(super) fn declined(&mut self, call_id: &str) {
        if let Some(turn) = &mut self.turn {
            turn.tools.declined(call_id);
        }
    }

    /// The item of a call.
    pub(super) fn item_of(&self, call_id: &str) -> Option<String> {
        Some(self.turn.as_ref()?.tools.get(call_id)?.item_id.clone())
    }

    /// An update of the session.
    pub(super) fn update(&mut self, update: &Value, terminals: &dyn Terminals) -> Vec<Step> {
        let Some(kind) = member::text(update, "sessionUpdate") else {
            return vec![Step::emit(Draft::of_session(ignored("session/update without a kind")))];
        };
        match kind {
            "user_message_chunk" => Vec::new(),
            "available_commands_update" => vec![self.session(kind, commands(update))],
            "current_mode_update" => {
                let Some(mode) = member::text(update, "currentModeId") else { return Vec::new() };
                self.settings.mode(mode);
                self.configured(kind)
            }
            "config_option_update" => {
                if self.settings.replace(update) {
                    self.configured(kind)
                } else {
                    Vec::new()
                }
            }
            "session_info_update" => {
                let Some(title) = member::text(update, "title") else { return Vec::new() };
                let info = SessionInfo { title: Some(title.to_owned()), ..SessionInfo::default() };
                vec![self.session(kind, Body::SessionInfoUpdated(info))]
            }
            "usage_update" => self.usage(update),
            _ if self.replaying => Vec::new(),
            "notice" => vec![self.session(kind, notice(update))],
            "agent_message_chunk" => self.chunk(kind, Voice::Message, update),
            "agent_thought_chunk" => self.chunk(kind, Voice::Thought, update),
            "tool_call" | "tool_call_update" => self.tool(kind, update, terminals),
            "plan" => self.plan(kind, update),
            "compaction_update" => self.compaction(kind, update),
            "compaction_summary_chunk" => Vec::new(),
            other => {
                let what = format!("session/update {}", member::printable(other, 64));
                vec![Step::emit(Draft::of_session(ignored(what)))]
            }
        }
    }

    /// What belongs to a turn came while none runs.
    fn late(kind: &str) -> Vec<Step> {
        vec![Step::emit(Draft::of_session(ignored(format!("session/update {kind} outside of a turn"))))]
    }

    fn of_turn(&self, turn: Ulid, kind: &str, item: Option<&str>, bodies: Vec<Body>) -> Vec<Step> {
        let native = self.native(kind, item);
        let draft = |body| Step::emit(Draft::of_turn(turn, body).native(native.clone()));
        bodies.into_iter().map(draft).collect()
    }

    fn chunk(&mut self, kind: &str, voice: Voice, update: &Value) -> Vec<Step> {
        let Some(turn) = &mut self.turn else { return Self::late(kind) };
        let (id, bodies) = (turn.id, turn.texts.chunk(turn.id, voice, update));
        self.of_turn(id, kind, member::text(update, "messageId"), bodies)
    }

    fn tool(&mut self, kind: &str, update: &Value, terminals: &dyn Terminals) -> Vec<Step> {
        let Some(turn) = &mut self.turn else { return Self::late(kind) };
        let Some(mention) = turn.tools.mention(turn.id, update, &self.cwd, terminals) else {
            return vec![Step::emit(Draft::of_session(ignored(format!("{kind} without a call"))))];
        };
        let mut bodies: Vec<Body> = Vec::new();
        let Some(mut item) = mention.item else { return Vec::new() };
        bodies.extend(if mention.first { turn.texts.close() } else { turn.texts.interrupt() });
        let ended = item.status.is_terminal();
        let delta = mention.delta.map(|delta| {
            let (item_id, stream) = (item.item_id.clone(), Stream::Output);
            Body::ItemDelta(Delta { item_id, stream, index: None, delta, offset: 0 })
        });
        match (delta, mention.first) {
            (Some(delta), false) => {
                bodies.push(delta);
                bodies.push(if ended { Body::ItemCompleted { item } } else { Body::ItemStarted { item } });
            }
            (Some(delta), true) if !ended => {
                if let ItemKind::Command { output, .. } = &mut item.kind {
                    *output = None;
                }
                bodies.extend([Body::ItemStarted { item }, delta]);
            }
            // Said again it is an update of what has changed.
            _ => bodies.push(if ended { Body::ItemCompleted { item } } else { Body::ItemStarted { item } }),
        }
        let id = turn.id;
        let mut steps = self.of_turn(id, kind, member::text(update, "toolCallId"), bodies);
        if !mention.changed.is_empty() {
            steps.push(Step::Changed(id, mention.changed));
        }
        steps
    }

    fn plan(&mut self, kind: &str, update: &Value) -> Vec<Step> {
        let Some(turn) = &mut self.turn else { return Self::late(kind) };
        let entry = |entry: &Value| {
            Some(PlanEntry {
                content: member::text(entry, "content")?.to_owned(),
                priority: member::text(entry, "priority").map(str::to_owned),
                status: member::text(entry, "status").unwrap_or("pending").to_owned(),
            })
        };
        let entries: Vec<PlanEntry> =
            member::list(update, "entries").iter().take(MAX).filter_map(entry).collect();
        let first = !std::mem::replace(&mut turn.plan, true);
        let mut bodies: Vec<Body> = Vec::new();
        bodies.extend(if first { turn.texts.close() } else { turn.texts.interrupt() });
        let item = Item::new(format!("{}:plan", turn.id), ItemStatus::Running, ItemKind::Plan { entries });
        bodies.push(Body::ItemStarted { item });
        let id = turn.id;
        self.of_turn(id, kind, None, bodies)
    }

    fn compaction(&mut self, kind: &str, update: &Value) -> Vec<Step> {
        let Some(turn) = &mut self.turn else { return Self::late(kind) };
        let Some(id) = member::text(update, "compactionId").filter(|id| id.len() <= MAX) else {
            return Vec::new();
        };
        let first = !turn.compactions.contains_key(id);
        if first && turn.compactions.len() >= MAX_COMPACTIONS {
            return Vec::new();
        }
        let fields = turn.compactions.entry(id.to_owned()).or_default();
        for name in ["summary", "error"] {
            match update.get(name) {
                Some(Value::Null) => drop(fields.remove(name)),
                Some(value) if member::weight(value) <= MAX_SUMMARY => {
                    drop(fields.insert(name.to_owned(), value.clone()));
                }
                _ => {}
            }
        }
        let status = match member::text(update, "status") {
            Some("completed") => ItemStatus::Completed,
            Some("failed") => ItemStatus::Failed,
            Some("cancelled") => ItemStatus::Cancelled,
            _ => ItemStatus::Running,
        };
        let kind_of = ItemKind::Other { kind: "x_compaction".to_owned(), fields: fields.clone() };
        let item = Item::new(format!("{}:compaction-{id}", turn.id), status, kind_of);
        let mut bodies: Vec<Body> = Vec::new();
        bodies.extend(if first { turn.texts.close() } else { turn.texts.interrupt() });
        bodies.push(if status.is_terminal() {
            Body::ItemCompleted { item }
        } else {
            Body::ItemStarted { item }
        });
        let turn = turn.id;
        self.of_turn(turn, kind, Some(id), bodies)
    }

    fn usage(&mut self, update: &Value) -> Vec<Step> {
        let said =
            update.get("cost").map_or(Said::Nothing, |cost| self.costs.report(cost, self.turn.is_some()));
        let mut steps = Vec::new();
        if said == Said::Reset {
            let text = "the agent reports less cost than before, or in another currency";
            let (severity, source) = (Severity::Warn, DiagnosticSource::Backend);
            steps.push(
                self.session("usage_update", Body::diagnostic("acp.cost_reset", severity, source, text)),
            );
        }
        let Some(turn) = &mut self.turn else { return steps };
        let usage = &mut turn.usage;
        usage.context_used = member::count(update, "used").or(usage.context_used);
        usage.context_window = member::count(update, "size").or(usage.context_window);
        match said {
            Said::Turn(amount, currency) => {
                (usage.cost_amount, usage.cost_currency) = (Some(amount), currency);
            }
            Said::Reset => (usage.cost_amount, usage.cost_currency) = (None, None),
            Said::Nothing => {}
        }
        let (id, body) = (turn.id, Body::UsageUpdated(usage.clone()));
        steps.extend(self.of_turn(id, "usage_update", None, vec![body]));
        steps
    }
}

/// Tokens of the answer to a prompt.
fn count(usage: &mut Usage, used: &Value) {
    let of = |name| member::count(used, name);
    usage.input_tokens = of("inputTokens").unwrap_or_default();
    usage.output_tokens = of("outputTokens").unwrap_or_default();
    usage.cache_read_tokens = of("cachedReadTokens").unwrap_or_default();
    usage.cache_write_tokens = of("cachedWriteTokens").unwrap_or_default();
    usage.reasoning_tokens = of("thoughtTokens");
    let plain = usage.input_tokens.saturating_add(usage.output_tokens);
    let cached = usage.cache_read_tokens.saturating_add(usage.cache_write_tokens);
    usage.total_tokens = of("totalTokens").unwrap_or_else(|| plain.saturating_add(cached));
    // The protocol does not say whether the input counts what came from the cache; the sum does.
    usage.basis = if cached > 0 && usage.total_tokens == plain { Basis::Inclusive } else { Basis::Exclusive };
}

fn commands(update: &Value) -> Body {
    let command = |command: &Value| {
        let name = member::text(command, "name")?.to_owned();
        Some(Command { name, description: member::text(command, "description").map(str::to_owned) })
    };
    let all = member::list(update, "availableCommands").iter().take(MAX).filter_map(command).collect();
    Body::SessionCommandsUpdated { commands: all }
}

fn notice(update: &Value) -> Body {
    let severity = match member::text(update, "severity") {
        Some("error") => Severity::Error,
        Some("warning") => Severity::Warn,
        _ => Severity::Info,
    };
    Body::DiagnosticReported(Diagnostic {
        code: "acp.notice".to_owned(),
        message: member::printable(member::text(update, "title").unwrap_or_default(), 1024),
        severity,
        source: DiagnosticSource::Backend,
        reason: None,
        details: Map::new(),
    })
}

/// How the answer to a prompt ends its turn.
pub(super) fn outcome(result: &Value) -> TurnOutcome {
    let stop_reason = match member::text(result, "stopReason") {
        Some("max_tokens") => StopReason::MaxTokens,
        Some("refusal") => StopReason::Refusal,
        Some("cancelled") => return TurnOutcome::Cancelled,
        Some("max_turn_requests") => {
            let text = "the agent reached its limit of requests to the model";
            let error = ErrorInfo::new("acp.max_turn_requests", text);
            return TurnOutcome::Failed { error, stop_reason: StopReason::MaxTurns };
        }
        Some(_) => StopReason::EndTurn,
        None => {
            let error = ErrorInfo::new(TURN_FAILED, "the agent did not say how its turn ended");
            return TurnOutcome::Failed { error, stop_reason: StopReason::Error };
        }
    };
    TurnOutcome::Completed { stop_reason }
}

#[cfg(test)]
mod tests;
