//! One prompt: its steps in order, or its scenario, and its answer. Tool calls are made in [`tool`](crate::tool); what the
//! client says meanwhile is handled by the [`agent`](crate::agent).

use std::{io, time::Duration};

use agentos_agent_common::{
    rpc::{self, CANCELLED, Failure, INVALID_PARAMS, INVALID_REQUEST},
    turn::{Cancel, Turn},
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    agent::Agent,
    scenario::Scenario,
    script::{Step, steps},
    tool::Outcome,
};

/// Steps without a command after which the client is heard. Commands hear it while they run.
const HEAR: usize = 32;

/// Commands per prompt.
const MAX_COMMANDS: usize = 1000;

/// Prose repeated in an answer, in bytes.
const QUOTED: usize = 1024;

/// What a prompt asks for.
enum Work {
    Steps(Vec<Step>),
    /// `None`: one that there is not.
    Scenario(Option<Scenario>),
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
        let work = match self.prepare(params) {
            Ok(work) => work,
            Err(failure) => return self.send(&rpc::answer(request, Err(failure))),
        };
        let session = params["sessionId"].as_str().unwrap_or_default().to_owned();
        self.turn = Some(Turn::new(session, request));
        let failure = match work {
            Work::Steps(steps) => self.run_steps(&steps).map(|()| None)?,
            Work::Scenario(scenario) => self.play(scenario)?,
        };
        let Some(turn) = self.turn.take() else { return Ok(()) };
        let outcome = match (turn.cancelled, failure) {
            (None, None) => Ok(json!({"stopReason": "end_turn"})),
            (None, Some(failure)) => Err(failure),
            (Some(Cancel::Session), _) => Ok(json!({"stopReason": "cancelled"})),
            (Some(Cancel::Request), _) => Err(Failure::new(CANCELLED, "request cancelled")),
        };
        self.send(&rpc::answer(turn.request, outcome))?;
        if !turn.closing.is_empty() {
            self.end_session(&turn.session);
        }
        for id in turn.closing {
            self.send(&rpc::answer(id, Ok(json!({}))))?;
        }
        Ok(())
    }

    fn run_steps(&mut self, steps: &[Step]) -> io::Result<()> {
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
                Step::Command(command) => match self.run_command(command)? {
                    Outcome::Ok => tally.ok += 1,
                    Outcome::Failed => tally.failed += 1,
                    Outcome::Rejected => tally.rejected += 1,
                    Outcome::Stopped => {}
                },
            }
            if number % HEAR == HEAR - 1 {
                self.wait(None, Some(Duration::ZERO))?;
            }
        }
        if !self.is_cancelled() {
            self.say(&tally.summary())?;
        }
        Ok(())
    }

    fn prepare(&mut self, params: &Value) -> Result<Work, Failure> {
        self.session(params)?;
        if self.turn.is_some() {
            return Err(Failure::new(INVALID_REQUEST, "a prompt is running"));
        }
        let blocks =
            params["prompt"].as_array().ok_or(Failure::new(INVALID_PARAMS, "prompt must be a list"))?;
        let mut all = Vec::new();
        let mut first = None;
        for block in blocks {
            match block["type"].as_str() {
                Some("text") => {
                    let text = block["text"].as_str().unwrap_or_default();
                    first.get_or_insert(text);
                    all.extend(steps(text));
                }
                Some("resource_link") => {
                    all.push(Step::Prose(block["uri"].as_str().unwrap_or_default().to_owned()));
                }
                // A file that is attached is not an instruction: its blocks are not run.
                Some("resource") => {
                    all.push(Step::Prose(block["resource"]["uri"].as_str().unwrap_or_default().to_owned()));
                }
                _ => {
                    return Err(Failure::new(
                        INVALID_PARAMS,
                        "prompts take text, resource_link and resource",
                    ));
                }
            }
        }
        if let Some(scenario) = first.and_then(Scenario::named) {
            return Ok(Work::Scenario(scenario));
        }
        if all.iter().filter(|step| matches!(step, Step::Command(_))).count() > MAX_COMMANDS {
            return Err(Failure::new(INVALID_PARAMS, "too many commands in one prompt"));
        }
        Ok(Work::Steps(all))
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.turn.as_ref().is_none_or(|turn| turn.cancelled.is_some())
    }

    pub(crate) fn update(&mut self, update: Value) -> io::Result<()> {
        let session = self.turn.as_ref().map(|turn| turn.session.clone()).unwrap_or_default();
        self.send(&rpc::notification("session/update", json!({"sessionId": session, "update": update})))
    }

    pub(crate) fn say(&mut self, text: &str) -> io::Result<()> {
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
