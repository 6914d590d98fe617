//! One tool call as the client sees it: shown, asked for, run as a command, ended. Which calls a prompt makes is decided
//! in [`turn`](crate::turn) and [`scenario`](crate::scenario).

use std::{
    io,
    time::{Duration, Instant},
};

use agentos_agent_common::command::Running;
use agentos_guest::{Signal, process::WaitStatus};
use serde_json::{Value, json};

use crate::{agent::Agent, output::Output};

/// Time between two updates with the output of a running command.
const LIVE: Duration = Duration::from_millis(100);

/// Length of a tool call's title, in bytes.
const TITLE: usize = 80;

/// What a tool call that nobody wants has for content.
pub(crate) const REJECTED: &str = "rejected by user";

/// What a tool call has for content whose turn was cancelled.
pub(crate) const CANCELLED: &str = "cancelled";

/// How a tool call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    Failed,
    Rejected,
    /// The turn was cancelled before it ran.
    Stopped,
}

/// What an option of a permission request, or the lack of one, means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Run,
    Rejected,
    /// The turn was cancelled.
    Stop,
}

/// A tool call being made.
pub(crate) struct Call {
    pub(crate) id: String,
    title: String,
    kind: &'static str,
    raw_input: Value,
}

impl Agent {
    /// Shows a call that nobody has run yet; `None` if there is no session to show it in.
    pub(crate) fn show(
        &mut self,
        title: &str,
        kind: &'static str,
        raw_input: Value,
    ) -> io::Result<Option<Call>> {
        let Some(session) = self.turn.as_ref().and_then(|turn| self.sessions.get_mut(&turn.session)) else {
            return Ok(None);
        };
        session.calls += 1;
        let title = title[..title.floor_char_boundary(TITLE)].to_owned();
        let call = Call { id: format!("call-{}", session.calls), title, kind, raw_input };
        self.update(json!({
            "sessionUpdate": "tool_call",
            "toolCallId": call.id,
            "title": call.title,
            "kind": call.kind,
            "status": "pending",
            "rawInput": call.raw_input,
        }))?;
        Ok(Some(call))
    }

    /// Runs a command of the shell as a tool call, if it may.
    pub(crate) fn run_command(&mut self, command: &str) -> io::Result<Outcome> {
        let first = command.lines().next().unwrap_or_default();
        let Some(call) = self.show(first, "execute", json!({"command": command}))? else {
            return Ok(Outcome::Stopped);
        };
        match self.permission(&call)? {
            Verdict::Rejected => self.fail(&call, REJECTED).map(|()| Outcome::Rejected),
            Verdict::Stop => self.fail(&call, CANCELLED).map(|()| Outcome::Stopped),
            Verdict::Run => self.execute(&call, command),
        }
    }

    fn permission(&mut self, call: &Call) -> io::Result<Verdict> {
        let session = self.turn.as_ref().map(|turn| turn.session.clone()).unwrap_or_default();
        match self.sessions.get(&session).map(|session| session.decided()) {
            Some(Some(true)) => return Ok(Verdict::Run),
            Some(Some(false)) => return Ok(Verdict::Rejected),
            Some(None) => {}
            None => return Ok(Verdict::Stop),
        }
        let id = self.ask(
            "session/request_permission",
            json!({
                "sessionId": session,
                "toolCall": {
                    "toolCallId": call.id,
                    "title": call.title,
                    "kind": call.kind,
                    "status": "pending",
                    "rawInput": call.raw_input,
                },
                "options": [
                    {"optionId": "allow_once", "name": "Allow", "kind": "allow_once"},
                    {"optionId": "allow_always", "name": "Always allow", "kind": "allow_always"},
                    {"optionId": "reject_once", "name": "Reject", "kind": "reject_once"},
                    {"optionId": "reject_always", "name": "Always reject", "kind": "reject_always"},
                ],
            }),
        )?;
        if let Some(turn) = &mut self.turn {
            turn.asked(id);
        }
        loop {
            let Some(turn) = &mut self.turn else { return Ok(Verdict::Stop) };
            if turn.cancelled.is_some() {
                turn.forget();
                return Ok(Verdict::Stop);
            }
            if let Some(answer) = turn.take_answer() {
                // An error counts as a refusal.
                let answer = answer.unwrap_or_default();
                let (verdict, always) = match answer["outcome"]["optionId"].as_str() {
                    _ if answer["outcome"]["outcome"] != "selected" => (Verdict::Rejected, None),
                    Some("allow_once") => (Verdict::Run, None),
                    Some("allow_always") => (Verdict::Run, Some(true)),
                    Some("reject_always") => (Verdict::Rejected, Some(false)),
                    _ => (Verdict::Rejected, None),
                };
                if let Some(session) = self.sessions.get_mut(&session) {
                    session.always = always;
                }
                return Ok(verdict);
            }
            // No limit of our own: the client has one, and its end of file cancels the turn.
            self.wait(None, None)?;
        }
    }

    /// Says that a call is under way, before anything that takes time.
    pub(crate) fn begin(&mut self, call: &Call) -> io::Result<()> {
        let update =
            json!({"sessionUpdate": "tool_call_update", "toolCallId": call.id, "status": "in_progress"});
        self.update(update)?;
        self.flush()
    }

    /// Ends a call with a text and, where there is one, a result as it came.
    pub(crate) fn end(&mut self, call: &Call, ok: bool, text: &str, raw: Option<Value>) -> io::Result<()> {
        let mut update = json!({
            "sessionUpdate": "tool_call_update",
            "toolCallId": call.id,
            "status": if ok { "completed" } else { "failed" },
            "content": content(text),
        });
        if let Some(raw) = raw {
            update["rawOutput"] = raw;
        }
        self.update(update)
    }

    /// Ends a call that came to nothing.
    pub(crate) fn fail(&mut self, call: &Call, why: &str) -> io::Result<()> {
        self.end(call, false, why, None)
    }

    /// Runs the command; it is well if it exited with 0.
    fn execute(&mut self, call: &Call, command: &str) -> io::Result<Outcome> {
        self.begin(call)?;
        let cwd = self.turn.as_ref().and_then(|turn| self.sessions.get(&turn.session));
        let cwd = cwd.map(|session| session.cwd.clone()).unwrap_or_default();
        let mut running = match Running::start(command, &cwd) {
            Ok(running) => running,
            Err(error) => {
                let why = agentos_guest::strerror(&error);
                self.fail(call, &format!("cannot run /bin/sh in {cwd}: {why}"))?;
                return Ok(Outcome::Failed);
            }
        };
        let mut output = Output::default();
        // Output that was not shown yet, and when something was last shown.
        let (mut unseen, mut shown) = (false, None::<Instant>);
        let status = loop {
            let live_in = shown.map_or(Duration::ZERO, |at| LIVE.saturating_sub(at.elapsed()));
            if unseen && live_in.is_zero() {
                (unseen, shown) = (false, Some(Instant::now()));
                let text = output.live();
                self.update(json!({
                    "sessionUpdate": "tool_call_update",
                    "toolCallId": call.id,
                    "status": "in_progress",
                    "content": content(&text),
                }))?;
            }
            let due = running.due();
            let due = if unseen { due.min(live_in) } else { due };
            if self.wait(running.wants(), Some(due))? {
                unseen |= running.read(|bytes| output.push(bytes));
            }
            if self.is_cancelled() {
                running.stop();
            }
            if let Some(status) = running.step() {
                break status;
            }
        };
        let text = output.complete();
        let (exit_code, signal) = match status {
            WaitStatus::Exited(code) => (Some(code), None),
            WaitStatus::Signaled(number) => (None, Some(number)),
            WaitStatus::Stopped(_) | WaitStatus::Continued => (None, None),
        };
        let mut raw = json!({"exitCode": exit_code, "output": text});
        if let Some(number) = signal {
            raw["signal"] =
                Signal::from_raw(number).map_or_else(|| json!(number), |signal| json!(format!("{signal:?}")));
        }
        if output.truncated {
            raw["truncated"] = json!(true);
        }
        let ok = exit_code == Some(0) && !self.is_cancelled();
        self.end(call, ok, &text, Some(raw))?;
        Ok(if ok { Outcome::Ok } else { Outcome::Failed })
    }
}

fn content(text: &str) -> Value {
    if text.is_empty() {
        return json!([]);
    }
    json!([{"type": "content", "content": {"type": "text", "text": text}}])
}
