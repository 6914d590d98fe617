//! A recording as a host could have made it that has one turn after the other, as the kernel has them. Nothing that the
//! vendor said is moved.

use std::collections::VecDeque;

use serde_json::Value;

use super::recording::{Act, Entry, Recording};
use crate::{ErrorInfo, Runtime};

/// A recording in turns.
pub(super) struct InTurns {
    pub(super) recording: Recording,
    /// Inputs of which the vendor made no turn of their own.
    pub(super) left_out: usize,
}

/// What is known while a recording is read.
#[derive(Default)]
struct Reading {
    entries: Vec<Entry>,
    /// Input that came while a turn ran.
    waiting: VecDeque<Value>,
    runs: bool,
    cancelled: bool,
    /// The id of the request that began the turn.
    prompt: Option<Value>,
    /// Where the input of this turn is, if it was moved and the vendor has said nothing since.
    moved: Option<usize>,
    /// Where the host dismissed a question, if the vendor has said nothing since.
    dismissed: Option<usize>,
}

impl Reading {
    fn begin(&mut self, input: &Value) {
        (self.runs, self.cancelled) = (true, false);
        self.prompt = input.get("id").cloned();
        (self.moved, self.dismissed) = (None, None);
    }

    fn end(&mut self) {
        (self.runs, self.moved, self.dismissed) = (false, None, None);
    }

    fn host(&mut self, recording: &Recording, message: &Value) {
        if recording.begins_process(message) {
            self.end();
        }
        let entry = Entry::Host(message.clone());
        match recording.act(message, None) {
            Some(Act::Input(_)) if self.runs => return self.waiting.push_back(message.clone()),
            Some(Act::Input(_)) => self.begin(message),
            Some(Act::Cancel) => {
                // Codex may refuse the first one.
                let again = self.cancelled && recording.runtime != Runtime::OpenAi;
                if !self.runs || again {
                    return;
                }
                self.cancelled = true;
                // Questions are dismissed by the cancel.
                if let Some(at) = self.dismissed.take() {
                    return self.entries.insert(at, entry);
                }
            }
            _ => {
                let outcome = message.pointer("/result/outcome/outcome").and_then(Value::as_str);
                if outcome == Some("cancelled") {
                    self.dismissed = self.dismissed.or(Some(self.entries.len()));
                }
            }
        }
        self.entries.push(entry);
    }

    fn vendor(&mut self, recording: &Recording, message: &Value) {
        (self.moved, self.dismissed) = (None, None);
        self.entries.push(Entry::Vendor(message.clone()));
        if !self.runs || !ends_turn(recording, message, self.prompt.as_ref()) {
            return;
        }
        self.end();
        if let Some(next) = self.waiting.pop_front() {
            self.begin(&next);
            self.moved = Some(self.entries.len());
            self.entries.push(Entry::Host(next));
        }
    }
}

/// Whether the vendor ends a turn with this message; `prompt` is the id of the request that began it.
fn ends_turn(recording: &Recording, message: &Value, prompt: Option<&Value>) -> bool {
    let named = |name: &str| message.get("method").and_then(Value::as_str) == Some(name);
    let answers = message.get("method").is_none() && prompt.is_some() && message.get("id") == prompt;
    match recording.runtime {
        Runtime::Claude => message.get("type").and_then(Value::as_str) == Some("result"),
        Runtime::OpenAi => named("turn/completed") || (answers && message.get("error").is_some()),
        Runtime::Acp => answers,
    }
}

/// Input that came during a turn comes after it, or not at all where the vendor made no turn of it. Cancels of nothing
/// are left out, and those of what is cancelled already. An answer that only says that the turn is cancelled comes after
/// the cancel.
///
/// # Errors
/// `recording.incomplete`: it does not begin where its first process does.
pub(super) fn in_turns(recording: &Recording) -> Result<InTurns, ErrorInfo> {
    let mut reading = Reading::default();
    // Claude Code needs no greeting.
    let mut greeted = recording.runtime == Runtime::Claude;
    for entry in &recording.entries {
        match entry {
            Entry::Begins(_) => {
                reading.end();
                reading.entries.push(entry.clone());
            }
            Entry::Host(message) => {
                greeted |= recording.begins_process(message);
                if !greeted && matches!(recording.act(message, None), Some(Act::Input(_))) {
                    return Err(ErrorInfo::new(
                        "recording.incomplete",
                        "it does not begin with `initialize`: what its session is cannot be told",
                    ));
                }
                reading.host(recording, message);
            }
            Entry::Vendor(message) => reading.vendor(recording, message),
        }
    }
    let Reading { mut entries, waiting, moved, .. } = reading;
    let mut left_out = waiting.len();
    if let Some(at) = moved.filter(|at| *at < entries.len()) {
        entries.remove(at);
        left_out += 1;
    }
    Ok(InTurns { recording: Recording { runtime: recording.runtime, entries }, left_out })
}
