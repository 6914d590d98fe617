//! One prompt: its steps in order, each command as a tool call with permission, live output and a result. What the
//! client says meanwhile is handled by the [`agent`](crate::agent).

use std::{
    io,
    time::{Duration, Instant},
};

use agentos_guest::{Signal, process::WaitStatus};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    agent::Agent,
    command::Running,
    rpc::{self, CANCELLED, Failure, INVALID_PARAMS, INVALID_REQUEST},
    script::{Step, steps},
};

/// Time between two updates with the output of a running command.
const LIVE: Duration = Duration::from_millis(100);

/// Steps without a command after which the client is heard. Commands hear it while they run.
const HEAR: usize = 32;

/// Commands per prompt.
const MAX_COMMANDS: usize = 1000;

/// Prose repeated in an answer, in bytes.
const QUOTED: usize = 1024;

/// Length of a tool call's title, in bytes.
const TITLE: usize = 80;

/// What cancelled a turn decides how its request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cancel {
    /// `session/cancel`: a result with stop reason `cancelled`.
    Session,
    /// `$/cancel_request`: the error −32800.
    Request,
}

/// What an option of a permission request, or the lack of one, means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Run,
    Rejected,
    /// The turn was cancelled.
    Stop,
}

/// The running prompt, as far as the client's messages change it.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) session: String,
    /// Id of the `session/prompt` request.
    pub(crate) request: Value,
    pub(crate) cancelled: Option<Cancel>,
    /// `session/close` requests to be answered afterwards.
    pub(crate) closing: Vec<Value>,
    /// Id of the open permission request, then its answer.
    awaiting: Option<u64>,
    answer: Option<Value>,
}

impl Turn {
    /// Takes an answer of the client; an error counts as a refusal.
    pub(crate) fn answered(&mut self, id: &Value, result: Option<Value>) {
        if self.awaiting.is_some_and(|awaiting| *id == awaiting) {
            self.awaiting = None;
            self.answer = Some(result.unwrap_or_default());
        }
    }
}

/// How the commands of a turn went.
#[derive(Debug, Default)]
struct Tally {
    ok: usize,
    failed: usize,
    rejected: usize,
}

impl Tally {
    fn summary(&self) -> String {
        let ran = self.ok + self.failed;
        let plural = if ran == 1 { "" } else { "s" };
        let mut text = format!("ran {ran} command{plural}: {} ok, {} failed", self.ok, self.failed);
        if self.rejected > 0 {
            text.push_str(&format!(", {} rejected", self.rejected));
        }
        text
    }
}

/// A tool call being made.
struct Call<'a> {
    id: String,
    title: String,
    command: &'a str,
    cwd: String,
}

/// A piece of a message. Written without a tree of values in between: an answer may have thousands.
#[derive(Serialize)]
struct Notification<'a> {
    jsonrpc: &'a str,
    method: &'a str,
    params: Update<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Update<'a> {
    session_id: &'a str,
    update: Chunk<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Chunk<'a> {
    session_update: &'a str,
    message_id: &'a str,
    content: Text<'a>,
}

#[derive(Serialize)]
struct Text<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    text: &'a str,
}

impl Agent {
    /// Runs a prompt and answers it.
    pub(crate) fn prompt(&mut self, request: Value, params: &Value) -> io::Result<()> {
        let steps = match self.prepare(params) {
            Ok(steps) => steps,
            Err(failure) => return self.send(&rpc::answer(request, Err(failure))),
        };
        let session = params["sessionId"].as_str().unwrap_or_default().to_owned();
        self.turn = Some(Turn {
            session,
            request,
            cancelled: None,
            closing: Vec::new(),
            awaiting: None,
            answer: None,
        });
        let mut tally = Tally::default();
        for (number, step) in steps.iter().enumerate() {
            if self.is_cancelled() {
                break;
            }
            match step {
                Step::Prose(text) => {
                    let quoted = &text[..text.floor_char_boundary(QUOTED)];
                    self.say(&format!("You said: {quoted}"))?;
                }
                Step::Command(command) => self.call(command, &mut tally)?,
            }
            if number % HEAR == HEAR - 1 {
                self.wait(None, Some(Duration::ZERO))?;
            }
        }
        if !self.is_cancelled() {
            self.say(&tally.summary())?;
        }
        let Some(turn) = self.turn.take() else { return Ok(()) };
        let outcome = match turn.cancelled {
            None => Ok(json!({"stopReason": "end_turn"})),
            Some(Cancel::Session) => Ok(json!({"stopReason": "cancelled"})),
            Some(Cancel::Request) => Err(Failure(CANCELLED, "request cancelled")),
        };
        self.send(&rpc::answer(turn.request, outcome))?;
        if !turn.closing.is_empty() {
            self.sessions.remove(&turn.session);
        }
        for id in turn.closing {
            self.send(&rpc::answer(id, Ok(json!({}))))?;
        }
        Ok(())
    }

    fn prepare(&mut self, params: &Value) -> Result<Vec<Step>, Failure> {
        self.session(params)?;
        if self.turn.is_some() {
            return Err(Failure(INVALID_REQUEST, "a prompt is running"));
        }
        let blocks = params["prompt"].as_array().ok_or(Failure(INVALID_PARAMS, "prompt must be a list"))?;
        let mut all = Vec::new();
        for block in blocks {
            match block["type"].as_str() {
                Some("text") => all.extend(steps(block["text"].as_str().unwrap_or_default())),
                Some("resource_link") => {
                    all.push(Step::Prose(block["uri"].as_str().unwrap_or_default().to_owned()));
                }
                // A file that is attached is not an instruction: its blocks are not run.
                Some("resource") => {
                    all.push(Step::Prose(block["resource"]["uri"].as_str().unwrap_or_default().to_owned()));
                }
                _ => return Err(Failure(INVALID_PARAMS, "prompts take text, resource_link and resource")),
            }
        }
        if all.iter().filter(|step| matches!(step, Step::Command(_))).count() > MAX_COMMANDS {
            return Err(Failure(INVALID_PARAMS, "too many commands in one prompt"));
        }
        Ok(all)
    }

    fn is_cancelled(&self) -> bool {
        self.turn.as_ref().is_none_or(|turn| turn.cancelled.is_some())
    }

    fn update(&mut self, update: Value) -> io::Result<()> {
        let session = self.turn.as_ref().map(|turn| turn.session.clone()).unwrap_or_default();
        self.send(&rpc::notification("session/update", json!({"sessionId": session, "update": update})))
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        let Some(session) = self.turn.as_ref().and_then(|turn| self.sessions.get_mut(&turn.session)) else {
            return Ok(());
        };
        session.messages += 1;
        let message_id = format!("message-{}", session.messages);
        let session_id = session.id.clone();
        self.send(&Notification {
            jsonrpc: "2.0",
            method: "session/update",
            params: Update {
                session_id: &session_id,
                update: Chunk {
                    session_update: "agent_message_chunk",
                    message_id: &message_id,
                    content: Text { kind: "text", text },
                },
            },
        })
    }

    fn call(&mut self, command: &str, tally: &mut Tally) -> io::Result<()> {
        let Some(session) = self.turn.as_ref().and_then(|turn| self.sessions.get_mut(&turn.session)) else {
            return Ok(());
        };
        session.calls += 1;
        let first = command.lines().next().unwrap_or_default();
        let title = first[..first.floor_char_boundary(TITLE)].to_owned();
        let call = Call { id: format!("call-{}", session.calls), title, command, cwd: session.cwd.clone() };
        let needs_permission = session.needs_permission();
        self.update(json!({
            "sessionUpdate": "tool_call",
            "toolCallId": call.id,
            "title": call.title,
            "kind": "execute",
            "status": "pending",
            "rawInput": {"command": command},
        }))?;
        let verdict = if needs_permission { self.permission(&call)? } else { Verdict::Run };
        match verdict {
            Verdict::Rejected => {
                tally.rejected += 1;
                self.fail(&call, "rejected by user")
            }
            Verdict::Stop => self.fail(&call, "cancelled"),
            Verdict::Run => {
                if self.execute(&call)? {
                    tally.ok += 1;
                } else {
                    tally.failed += 1;
                }
                Ok(())
            }
        }
    }

    fn permission(&mut self, call: &Call<'_>) -> io::Result<Verdict> {
        let session = self.turn.as_ref().map(|turn| turn.session.clone()).unwrap_or_default();
        let id = self.ask(
            "session/request_permission",
            json!({
                "sessionId": session,
                "toolCall": {
                    "toolCallId": call.id,
                    "title": call.title,
                    "kind": "execute",
                    "status": "pending",
                    "rawInput": {"command": call.command},
                },
                "options": [
                    {"optionId": "allow_once", "name": "Allow", "kind": "allow_once"},
                    {"optionId": "allow_always", "name": "Always allow", "kind": "allow_always"},
                    {"optionId": "reject_once", "name": "Reject", "kind": "reject_once"},
                ],
            }),
        )?;
        if let Some(turn) = &mut self.turn {
            (turn.awaiting, turn.answer) = (Some(id), None);
        }
        loop {
            let Some(turn) = &mut self.turn else { return Ok(Verdict::Stop) };
            if turn.cancelled.is_some() {
                turn.awaiting = None;
                return Ok(Verdict::Stop);
            }
            if let Some(answer) = turn.answer.take() {
                return Ok(match answer["outcome"]["optionId"].as_str() {
                    _ if answer["outcome"]["outcome"] != "selected" => Verdict::Rejected,
                    Some("allow_once") => Verdict::Run,
                    Some("allow_always") => {
                        if let Some(session) = self.sessions.get_mut(&session) {
                            session.allowed = true;
                        }
                        Verdict::Run
                    }
                    _ => Verdict::Rejected,
                });
            }
            // No limit of our own: the client has one, and its end of file cancels the turn.
            self.wait(None, None)?;
        }
    }

    fn fail(&mut self, call: &Call<'_>, why: &str) -> io::Result<()> {
        self.update(json!({
            "sessionUpdate": "tool_call_update",
            "toolCallId": call.id,
            "status": "failed",
            "content": content(why),
        }))
    }

    /// Runs the command; true if it exited with 0.
    fn execute(&mut self, call: &Call<'_>) -> io::Result<bool> {
        let update =
            json!({"sessionUpdate": "tool_call_update", "toolCallId": call.id, "status": "in_progress"});
        self.update(update)?;
        // Shown before it runs, however long its start takes.
        self.flush()?;
        let mut running = match Running::start(call.command, &call.cwd) {
            Ok(running) => running,
            Err(error) => {
                self.fail(
                    call,
                    &format!("cannot run /bin/sh in {}: {}", call.cwd, agentos_guest::strerror(&error)),
                )?;
                return Ok(false);
            }
        };
        // Output that was not shown yet, and when something was last shown.
        let (mut unseen, mut shown) = (false, None::<Instant>);
        let status = loop {
            let live_in = shown.map_or(Duration::ZERO, |at| LIVE.saturating_sub(at.elapsed()));
            if unseen && live_in.is_zero() {
                (unseen, shown) = (false, Some(Instant::now()));
                let text = running.output.live();
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
                unseen |= running.read();
            }
            if self.is_cancelled() {
                running.stop();
            }
            if let Some(status) = running.step() {
                break status;
            }
        };
        let output = running.output.complete();
        let (exit_code, signal) = match status {
            WaitStatus::Exited(code) => (Some(code), None),
            WaitStatus::Signaled(number) => (None, Some(number)),
            WaitStatus::Stopped(_) | WaitStatus::Continued => (None, None),
        };
        let mut raw = json!({"exitCode": exit_code, "output": output});
        if let Some(number) = signal {
            raw["signal"] =
                Signal::from_raw(number).map_or_else(|| json!(number), |signal| json!(format!("{signal:?}")));
        }
        if running.output.truncated {
            raw["truncated"] = json!(true);
        }
        let ok = exit_code == Some(0) && !self.is_cancelled();
        self.update(json!({
            "sessionUpdate": "tool_call_update",
            "toolCallId": call.id,
            "status": if ok { "completed" } else { "failed" },
            "content": content(&output),
            "rawOutput": raw,
        }))?;
        Ok(ok)
    }
}

fn content(text: &str) -> Value {
    if text.is_empty() {
        return json!([]);
    }
    json!([{"type": "content", "content": {"type": "text", "text": text}}])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries() {
        let tally = |ok, failed, rejected| Tally { ok, failed, rejected }.summary();
        assert_eq!(tally(0, 0, 0), "ran 0 commands: 0 ok, 0 failed");
        assert_eq!(tally(1, 0, 0), "ran 1 command: 1 ok, 0 failed");
        assert_eq!(tally(2, 1, 1), "ran 3 commands: 2 ok, 1 failed, 1 rejected");
    }
}
