//! One call of a tool as the client sees it: shown, asked for, run, ended.

use std::{
    io,
    time::{Duration, Instant},
};

use agentos_agent_common::command::Running;
use agentos_guest::{Signal, process::WaitStatus, signal};
use serde_json::{Value, json};

use crate::{
    agent::Agent,
    client::Heard,
    clip::{Clip, clip},
    editor::Editor,
    history::{Call, Outcome},
    permission::{Grant, Verdict},
    replay::content,
    session::Work,
    tools::{
        self, Done, Shown,
        files::{self, Halt},
        offer::{self, BASH_MAX_TIMEOUT, BASH_TIMEOUT, BuiltIn},
        search::Search,
    },
};

/// Time between two updates with the output of a running command.
const LIVE: Duration = Duration::from_millis(100);

/// Bytes of the output of a command that are kept.
const OUTPUT: usize = 30_000;

/// Bytes of the result of any tool, at most; less where the context is small.
const RESULT: usize = 100_000;

/// Process groups left behind by commands that are remembered.
const MAX_LEFT: usize = 64;

/// What a call has for a result whose turn was cancelled.
pub(crate) const CANCELLED: &str = "cancelled by the user";

/// What a call has for a result that the user rejected.
const REJECTED: &str = "the user rejected this call";

/// How a call ended.
enum End {
    Done(Done),
    /// The turn was cancelled; what there is to show.
    Cancelled(String),
}

impl End {
    fn of_file(outcome: Result<Shown, Halt>) -> io::Result<Self> {
        match outcome {
            Ok(shown) => Ok(Self::Done(Ok(shown))),
            Err(Halt::Failed(why)) => Ok(Self::Done(Err(why))),
            Err(Halt::Cancelled(text)) => Ok(Self::Cancelled(text)),
            Err(Halt::Client(error)) => Err(error),
        }
    }
}

impl Agent {
    /// Makes a call and returns its result for the model.
    pub(crate) fn call(&mut self, work: &mut Work, call: &Call) -> io::Result<Outcome> {
        let outcome = |ok: bool, text: &str| Outcome { call: call.id.clone(), ok, text: text.to_owned() };
        if self.is_cancelled() {
            return Ok(outcome(false, CANCELLED));
        }
        let built_in = BuiltIn::named(&call.name);
        if built_in == Some(BuiltIn::Plan) {
            // A plan is shown as one, not as a call.
            return match call.broken.clone().map_or_else(|| offer::plan(&call.input), Err) {
                Ok(plan) => self.update(plan).map(|()| outcome(true, "the plan is shown")),
                Err(why) => Ok(outcome(false, &why)),
            };
        }
        work.calls += 1;
        let id = format!("call-{}", work.calls);
        let shown = self.show(work, &id, call);
        self.update(shown.clone())?;
        let known = built_in.is_some() || work.remote.iter().any(|remote| remote.tool.name == call.name);
        let end = if let Some(broken) = &call.broken {
            End::Done(Err(broken.clone()))
        } else if !known {
            End::Done(Err(format!("there is no tool {}", call.name)))
        } else {
            match self.permit(&shown, call)? {
                Some(Ok(())) => {
                    self.update(json!({"sessionUpdate": "tool_call_update", "toolCallId": id, "status": "in_progress"}))?;
                    self.flush()?;
                    self.run_tool(work, &id, call)?
                }
                Some(Err(why)) => End::Done(Err(why.to_owned())),
                None => End::Cancelled(String::new()),
            }
        };
        let most = self
            .settings
            .as_ref()
            .map_or(RESULT, |s| RESULT.min(usize::try_from(s.context).unwrap_or(RESULT)));
        let (ok, shown) = match end {
            End::Done(Ok(shown)) => (true, shown),
            End::Done(Err(why)) => (false, why.into()),
            End::Cancelled(text) if text.is_empty() => (false, CANCELLED.to_owned().into()),
            End::Cancelled(text) => (false, format!("{text}\n[{CANCELLED}]").into()),
        };
        let Shown { text, diff } = shown;
        let text = clip(text, most);
        self.update(json!({
            "sessionUpdate": "tool_call_update",
            "toolCallId": id,
            "status": if ok { "completed" } else { "failed" },
            "content": diff.map_or_else(|| content(&text), |diff| json!([diff])),
            "rawOutput": {"output": text},
        }))?;
        // A model that reads nothing may think that nothing was done.
        Ok(outcome(ok, if text.trim().is_empty() { "(no output)" } else { &text }))
    }

    /// The first update of a call.
    fn show(&self, work: &Work, id: &str, call: &Call) -> Value {
        json!({
            "sessionUpdate": "tool_call",
            "toolCallId": id,
            "title": offer::title(&call.name, &call.input),
            "kind": offer::kind(&call.name),
            "status": "pending",
            "locations": offer::locations(&call.name, &call.input, &work.header.cwd),
            "rawInput": call.input,
        })
    }

    /// Whether a call may run; an error in it is for the model, and `None` says that the turn was cancelled.
    fn permit(&mut self, shown: &Value, call: &Call) -> io::Result<Option<Result<(), &'static str>>> {
        let Some(session) = self.current() else { return Ok(None) };
        let grant = match session.grants.verdict(session.mode, &call.name, &call.input) {
            Verdict::Run => return Ok(Some(Ok(()))),
            Verdict::Refuse(why) => return Ok(Some(Err(why))),
            Verdict::Ask(grant) => grant,
        };
        let answer = self.ask_permission(shown, &grant)?;
        Ok(answer.map(|answer| {
            let option =
                (answer["outcome"]["outcome"] == "selected").then(|| answer["outcome"]["optionId"].as_str());
            match option.flatten() {
                Some("allow_once") => Ok(()),
                Some("allow_always") => {
                    if let Some(session) = self.current() {
                        session.grants.add(grant);
                    }
                    Ok(())
                }
                _ => Err(REJECTED),
            }
        }))
    }

    /// The client's answer; `None` if the turn was cancelled first.
    fn ask_permission(&mut self, shown: &Value, grant: &Grant) -> io::Result<Option<Value>> {
        let session = self.turn.as_ref().map(|turn| turn.session.clone()).unwrap_or_default();
        let mut call = shown.clone();
        if let Some(call) = call.as_object_mut() {
            call.remove("sessionUpdate");
        }
        let params = json!({
            "sessionId": session,
            "toolCall": call,
            "options": [
                {"optionId": "allow_once", "name": "Allow", "kind": "allow_once"},
                {"optionId": "allow_always", "name": grant.label(), "kind": "allow_always"},
                {"optionId": "reject_once", "name": "Reject", "kind": "reject_once"},
            ],
        });
        // No limit of our own: the client has one, and its end of file cancels the turn.
        Ok(match self.ask_client("session/request_permission", params, None)? {
            Heard::Cancelled => None,
            // An error counts as a refusal.
            Heard::Answer(answer) => Some(answer.unwrap_or_default()),
            // Without a limit there is no such end.
            Heard::Nothing(_) => Some(Value::Null),
        })
    }

    fn run_tool(&mut self, work: &mut Work, id: &str, call: &Call) -> io::Result<End> {
        let cwd = work.header.cwd.clone();
        let input = &call.input;
        let search = match BuiltIn::named(&call.name) {
            Some(BuiltIn::Bash) => return self.run_command(work, id, input),
            Some(BuiltIn::Read) => return End::of_file(files::read(&mut Editor(self), &cwd, input)),
            Some(BuiltIn::Write) => return End::of_file(files::write(&mut Editor(self), &cwd, input)),
            Some(BuiltIn::Edit) => return End::of_file(files::edit(&mut Editor(self), &cwd, input)),
            Some(BuiltIn::Glob) => Search::glob(&cwd, input),
            Some(BuiltIn::Grep) => Search::grep(&cwd, input),
            Some(BuiltIn::Plan) | None => {
                let done = self.call_remote(work, &call.name, input)?;
                return Ok(done.map_or_else(|| End::Cancelled(String::new()), End::Done));
            }
        };
        let mut search = match search {
            Ok(search) => search,
            Err(why) => return Ok(End::Done(Err(why))),
        };
        loop {
            if let Some(text) = search.step() {
                return Ok(End::Done(Ok(text.into())));
            }
            self.wait(None, Some(Duration::ZERO))?;
            if self.is_cancelled() {
                return Ok(End::Cancelled(String::new()));
            }
        }
    }

    fn run_command(&mut self, work: &mut Work, id: &str, input: &Value) -> io::Result<End> {
        let read = || Ok::<_, String>((tools::text(input, "command")?, tools::number(input, "timeout")?));
        let (command, timeout) = match read() {
            Ok((command, _)) if command.contains('\0') => {
                return Ok(End::Done(Err("command has a NUL in it".to_owned())));
            }
            Ok((command, timeout)) => (command, timeout.unwrap_or(BASH_TIMEOUT).clamp(1, BASH_MAX_TIMEOUT)),
            Err(why) => return Ok(End::Done(Err(why))),
        };
        let mut running = match Running::start(command, &work.header.cwd) {
            Ok(running) => running,
            Err(error) => {
                let why = agentos_guest::strerror(&error);
                return Ok(End::Done(Err(format!("cannot run /bin/sh in {}: {why}", work.header.cwd))));
            }
        };
        let until = Instant::now() + Duration::from_secs(timeout);
        let mut output = Clip::new(OUTPUT);
        let mut late = false;
        // Output that was not shown yet, and when something was last shown.
        let (mut unseen, mut shown) = (false, None::<Instant>);
        let status = loop {
            let live_in = shown.map_or(Duration::ZERO, |at| LIVE.saturating_sub(at.elapsed()));
            if unseen && live_in.is_zero() {
                (unseen, shown) = (false, Some(Instant::now()));
                self.update(json!({
                    "sessionUpdate": "tool_call_update",
                    "toolCallId": id,
                    "status": "in_progress",
                    "content": content(output.text().trim_end_matches(char::REPLACEMENT_CHARACTER)),
                }))?;
            }
            let left = until.saturating_duration_since(Instant::now());
            let mut due = running.due();
            if unseen {
                due = due.min(live_in);
            }
            if !late {
                due = due.min(left);
            }
            if self.wait(running.wants(), Some(due))? {
                unseen |= running.read(|bytes| output.push(bytes));
            }
            if self.is_cancelled() {
                running.stop();
            } else if left.is_zero() && !late {
                late = true;
                running.stop();
            }
            if let Some(status) = running.step() {
                break status;
            }
        };
        leave(work, running.group());
        let mut text = output.text();
        if self.is_cancelled() {
            return Ok(End::Cancelled(text));
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let why = match status {
            _ if late => format!("killed after {timeout} s"),
            WaitStatus::Exited(0) => return Ok(End::Done(Ok(text.into()))),
            WaitStatus::Exited(code) => format!("exit status {code}"),
            WaitStatus::Signaled(number) => match Signal::from_raw(number) {
                Some(signal) => format!("killed by {signal:?}"),
                None => format!("killed by signal {number}"),
            },
            WaitStatus::Stopped(_) | WaitStatus::Continued => "stopped".to_owned(),
        };
        Ok(End::Done(Err(format!("{text}[{why}]"))))
    }
}

/// Remembers a process group that still has members, to end it with the session.
fn leave(work: &mut Work, group: u32) {
    let lives = |group: &u32| i32::try_from(*group).is_ok_and(|group| signal::kill(-group, None).is_ok());
    work.left.retain(lives);
    if !lives(&group) {
        return;
    }
    if work.left.len() < MAX_LEFT {
        work.left.push(group);
    } else if let Ok(group) = i32::try_from(group) {
        // What is not remembered would outlive the session.
        let _ = signal::kill(-group, Some(Signal::SIGKILL));
    }
}
