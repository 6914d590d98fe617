//! Questions of the vendor and who answers them: permissions, questions to the user, calls of tools of the host. Each is
//! closed once: by an answer, the end of its turn, or its time. No one else emits their events.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::oneshot;
use ulid::Ulid;

use super::link::{Link, Locked};
use crate::backend::CustomToolAnswer;
use crate::command::Decision;
use crate::event::{
    Body, ClosedCall, ContentBlock, CustomTool, Diagnostic, DiagnosticSource, Draft, InputOutcome,
    InputRequest, InputResolved, Outcome, Permission, PermissionKind, PermissionOption, PermissionReason,
    PermissionResolved, ResolveReason, Severity, Verdict, now,
};
use crate::ports::{PermissionDecision, PermissionRequest, PolicyDecision};

/// Most questions that are open at once.
const MAX_OPEN: usize = 64;
/// Most ids of questions that are remembered; after that all are made here.
const MAX_USED: usize = 4096;
/// The longest id of a vendor that is taken over, in bytes.
const MAX_ID: usize = 128;

/// What a question waits for.
pub(crate) enum Waiting {
    Permission { options: Vec<PermissionOption>, offered: bool, answer: oneshot::Sender<PermissionDecision> },
    Input { answer: oneshot::Sender<InputOutcome> },
    CustomTool { answer: oneshot::Sender<CustomToolAnswer> },
}

/// A question that nobody has answered yet.
pub(crate) struct Interaction {
    turn: Ulid,
    waiting: Waiting,
}

/// How a question is closed.
pub(crate) enum Close {
    Decided { decision: Decision, option_id: Option<String>, message: Option<String> },
    Answered(InputOutcome),
    ToolSaid { content: Vec<ContentBlock>, is_error: bool },
    Cancelled,
    TimedOut,
}

fn refused(message: Option<String>, cancelled: bool) -> PermissionDecision {
    PermissionDecision { allow: false, always: false, option_id: None, message, cancelled }
}

fn no_tool(message: &str, cancelled: bool) -> CustomToolAnswer {
    CustomToolAnswer { content: vec![ContentBlock::text(message)], is_error: true, cancelled }
}

/// What the name of an option says, for vendors that give all the same kind.
fn says(name: &str) -> Option<bool> {
    let name = name.trim().to_lowercase();
    let word = |words: &[&str]| name.split(|c: char| !c.is_alphanumeric()).any(|part| words.contains(&part));
    let (no, yes) = (
        word(&["no", "deny", "denied", "block", "cancel", "reject", "refuse", "don", "never"]),
        word(&["yes", "allow", "ok", "okay", "approve", "accept", "proceed"]),
    );
    match (yes, no) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        _ => None,
    }
}

/// Which option a decision means. An error if that cannot be told.
fn choose(
    options: &[PermissionOption],
    decision: &Decision,
    option_id: Option<&str>,
) -> Result<(bool, bool, Option<String>), &'static str> {
    use PermissionKind::{AllowAlways, AllowOnce, RejectAlways, RejectOnce};
    let kinds_alike = options.len() > 1 && options.iter().all(|option| option.kind == AllowOnce);
    if *decision == Decision::Selected {
        let id = option_id.ok_or("no option is selected")?;
        let option = options.iter().find(|option| option.option_id == id).ok_or("the option is unknown")?;
        // Where the kinds say nothing the name does, and else whoever chose it knows what it means.
        let allow = match kinds_alike {
            true => says(&option.name).unwrap_or(true),
            false => option.kind.allows(),
        };
        return Ok((allow, option.kind == AllowAlways, Some(id.to_owned())));
    }
    // In the order of preference: never more than what was decided.
    let (allow, kinds): (bool, &[PermissionKind]) = match decision {
        Decision::AllowOnce => (true, &[AllowOnce]),
        Decision::AllowAlways => (true, &[AllowAlways, AllowOnce]),
        Decision::RejectOnce => (false, &[RejectOnce]),
        Decision::RejectAlways => (false, &[RejectAlways, RejectOnce]),
        Decision::Selected | Decision::Other(_) => return Err("the decision is unknown"),
    };
    if let Some(id) = option_id {
        let option = options.iter().find(|option| option.option_id == id).ok_or("the option is unknown")?;
        let allows = if kinds_alike { says(&option.name) } else { Some(option.kind.allows()) };
        // Of kinds that say nothing, with a name that says nothing, whoever chose it knows what it means.
        if allows.is_some_and(|allows| allows != allow) {
            return Err("the option is not what was decided");
        }
        return Ok((allow, option.kind == AllowAlways, Some(id.to_owned())));
    }
    if kinds_alike {
        let mut named = options.iter().filter(|option| says(&option.name) == Some(allow));
        return match (named.next(), named.next(), allow) {
            (Some(option), None, _) => Ok((allow, false, Some(option.option_id.clone()))),
            (_, _, false) => Ok((false, false, None)),
            _ => Err("no option can be told to be the one"),
        };
    }
    let chosen = kinds.iter().find_map(|kind| options.iter().find(|option| option.kind == *kind));
    let always = chosen.is_some_and(|option| option.kind == AllowAlways);
    Ok((allow, always, chosen.map(|option| option.option_id.clone())))
}

impl Locked<'_> {
    /// A place for a question of a turn: an id that none had before. Nothing if the turn is over or too many are open.
    fn place(&mut self, turn: Ulid, id: &str) -> Option<String> {
        let runs = self.session.turn.as_ref().is_some_and(|of| of.id == turn && of.cancelled.is_none());
        if !runs || self.session.open.len() >= MAX_OPEN {
            return None;
        }
        // An id that was used before would let a late answer meet another question.
        let fresh = || Ulid::generate().to_string();
        let mut unique = if id.is_empty() || id.len() > MAX_ID { fresh() } else { id.to_owned() };
        if let Some(uses) = self.session.used.get_mut(&unique) {
            *uses += 1;
            unique = format!("{unique}-{uses}");
        }
        if self.session.used.contains_key(&unique) || self.session.used.len() >= MAX_USED {
            unique = fresh();
        }
        if self.session.used.len() < MAX_USED {
            self.session.used.insert(unique.clone(), 1);
        }
        Some(unique)
    }

    /// Closes a question by an answer of its kind; whether there was one.
    pub(crate) fn answer(&mut self, request_id: &str, close: Close) -> bool {
        let fits = matches!(
            (self.session.open.get(request_id).map(|open| &open.waiting), &close),
            (Some(Waiting::Permission { .. }), Close::Decided { .. })
                | (Some(Waiting::Input { .. }), Close::Answered(_))
                | (Some(Waiting::CustomTool { .. }), Close::ToolSaid { .. })
        );
        fits && self.close(request_id, close)
    }

    /// Closes a question; whether there was one.
    pub(crate) fn close(&mut self, request_id: &str, close: Close) -> bool {
        let Some(Interaction { turn, waiting }) = self.session.open.remove(request_id) else { return false };
        let request_id = request_id.to_owned();
        match waiting {
            Waiting::Permission { options, offered, answer } => {
                let (decision, outcome, reason) = self.decide(&request_id, &options, close);
                self.push(Draft::of_turn(
                    turn,
                    Body::PermissionResolved(PermissionResolved {
                        request_id,
                        outcome,
                        option_id: decision.option_id.clone(),
                        decision: if decision.allow { Verdict::Allow } else { Verdict::Reject },
                        reason,
                        message: decision.message.clone(),
                    }),
                ));
                // The vendor never heard of options that the kernel made up.
                let option_id = if offered { decision.option_id } else { None };
                let _ = answer.send(PermissionDecision { option_id, ..decision });
            }
            Waiting::Input { answer } => {
                let outcome = match close {
                    Close::Answered(outcome) => outcome,
                    Close::Cancelled => InputOutcome::Cancelled,
                    _ => InputOutcome::Declined,
                };
                let resolved = InputResolved { request_id, outcome: outcome.clone() };
                self.push(Draft::of_turn(turn, Body::InputResolved(resolved)));
                let _ = answer.send(outcome);
            }
            Waiting::CustomTool { answer } => {
                let (said, reason) = match close {
                    Close::ToolSaid { content, is_error } => {
                        (CustomToolAnswer { content, is_error, cancelled: false }, ResolveReason::Answered)
                    }
                    Close::TimedOut => {
                        (no_tool("the tool did not answer in time", false), ResolveReason::TimedOut)
                    }
                    _ => (no_tool("cancelled", true), ResolveReason::Cancelled),
                };
                let closed = ClosedCall { request_id, is_error: said.is_error, reason };
                self.push(Draft::of_turn(turn, Body::CustomToolResolved(closed)));
                let _ = answer.send(said);
            }
        }
        true
    }

    fn decide(
        &mut self,
        request_id: &str,
        options: &[PermissionOption],
        close: Close,
    ) -> (PermissionDecision, Outcome, PermissionReason) {
        match close {
            Close::Decided { decision, option_id, message } => {
                match choose(options, &decision, option_id.as_deref()) {
                    Ok((allow, always, option_id)) => {
                        let reason =
                            if allow { PermissionReason::Approved } else { PermissionReason::Rejected };
                        let decision =
                            PermissionDecision { allow, always, option_id, message, cancelled: false };
                        (decision, Outcome::Selected, reason)
                    }
                    Err(why) => {
                        self.diagnose(
                            "driver.command_failed",
                            Severity::Warn,
                            DiagnosticSource::Permission,
                            why,
                            request_id,
                        );
                        (refused(message, false), Outcome::Selected, PermissionReason::Rejected)
                    }
                }
            }
            Close::TimedOut => {
                let text = "nobody answered in time";
                self.diagnose(
                    "permission.timed_out",
                    Severity::Warn,
                    DiagnosticSource::Permission,
                    text,
                    request_id,
                );
                (refused(Some(text.to_owned()), false), Outcome::TimedOut, PermissionReason::TimedOut)
            }
            _ => {
                let text = "nobody wants an answer any more";
                self.diagnose(
                    "permission.cancelled",
                    Severity::Info,
                    DiagnosticSource::Permission,
                    text,
                    request_id,
                );
                (refused(None, true), Outcome::Cancelled, PermissionReason::Cancelled)
            }
        }
    }

    fn diagnose(
        &mut self,
        code: &str,
        severity: Severity,
        source: DiagnosticSource,
        text: &str,
        request_id: &str,
    ) {
        let details: Map<String, Value> = [("requestId".to_owned(), request_id.into())].into_iter().collect();
        let (code, message) = (code.to_owned(), text.to_owned());
        let diagnostic = Diagnostic { code, message, severity, source, reason: None, details };
        self.push(Draft::of_session(Body::DiagnosticReported(diagnostic)));
    }

    /// Closes all questions.
    pub(crate) fn close_all(&mut self) {
        let mut ids: Vec<String> = self.session.open.keys().cloned().collect();
        ids.sort_unstable();
        for id in ids {
            self.close(&id, Close::Cancelled);
        }
    }
}

/// Closes a question whose asker went away.
struct Asked<'a> {
    link: &'a Link,
    id: String,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.link.locked().close(&self.id, Close::Cancelled);
    }
}

impl Link {
    /// Waits for the answer, but not for ever.
    async fn answer<T>(
        &self,
        id: String,
        answer: oneshot::Receiver<T>,
        limit: Option<Duration>,
    ) -> Option<T> {
        let asked = Asked { link: self, id };
        let mut answer = answer;
        if let Some(limit) = limit {
            tokio::select! {
                answer = &mut answer => return answer.ok(),
                () = tokio::time::sleep(limit) => {
                    self.locked().close(&asked.id, Close::TimedOut);
                }
            }
        }
        answer.await.ok()
    }

    fn expires(&self) -> Option<crate::event::Time> {
        let limit = chrono::Duration::from_std(self.settings.permission_timeout?).ok()?;
        now().checked_add_signed(limit)
    }

    pub(crate) async fn permission(&self, request: PermissionRequest) -> PermissionDecision {
        // Where nobody takes events, nobody can be asked.
        self.outbox.room().await;
        let decided = self.ports.policy.decide(&request);
        if let (Some(raw), true) =
            (&request.raw, decided != PolicyDecision::Ask || !self.settings.interactive)
        {
            self.locked().push(Arc::clone(raw).alone(Some(request.turn_id)));
        }
        // Whatever anybody allows, a turn that is over or cancelled may nothing more.
        if !self.locked().runs(request.turn_id) {
            return refused(None, true);
        }
        match decided {
            PolicyDecision::Allow => {
                let PermissionRequest { options, .. } = request;
                let chosen =
                    choose(&options, &Decision::AllowOnce, None).ok().and_then(|(.., option)| option);
                return PermissionDecision { allow: true, option_id: chosen, ..refused(None, false) };
            }
            PolicyDecision::Reject { message } => return refused_by(&request, message),
            PolicyDecision::Ask if !self.settings.interactive => {
                return refused_by(&request, "this session answers no permissions".to_owned());
            }
            PolicyDecision::Ask => {}
        }
        let (sender, receiver) = oneshot::channel();
        let id = {
            let mut locked = self.locked();
            let Some(id) = locked.place(request.turn_id, &request.request_id) else {
                let ended = !locked.runs(request.turn_id);
                let message =
                    if ended { None } else { Some(format!("more than {MAX_OPEN} questions are open")) };
                return refused(message, ended);
            };
            let offered = !request.options.is_empty();
            let options = if offered { request.options } else { made_up() };
            let waiting = Waiting::Permission { options: options.clone(), offered, answer: sender };
            locked.session.open.insert(id.clone(), Interaction { turn: request.turn_id, waiting });
            let asked = Body::PermissionRequested(Permission {
                request_id: id.clone(),
                item_id: request.item_id,
                title: request.title,
                description: request.description,
                tool_name: request.tool_name,
                detail: request.detail,
                options,
                expires_at: self.expires(),
            });
            locked.push(Draft::of_turn(request.turn_id, asked).raw(request.raw));
            id
        };
        let answer = self.answer(id, receiver, self.settings.permission_timeout).await;
        answer.unwrap_or_else(|| refused(None, true))
    }

    pub(crate) async fn ask(&self, turn: Ulid, mut request: InputRequest) -> InputOutcome {
        if !self.settings.interactive {
            return InputOutcome::Declined;
        }
        self.outbox.room().await;
        let (sender, receiver) = oneshot::channel();
        let id = {
            let mut locked = self.locked();
            let Some(id) = locked.place(turn, &request.request_id) else {
                return if locked.runs(turn) { InputOutcome::Declined } else { InputOutcome::Cancelled };
            };
            locked
                .session
                .open
                .insert(id.clone(), Interaction { turn, waiting: Waiting::Input { answer: sender } });
            request.request_id.clone_from(&id);
            request.expires_at = self.expires();
            locked.push(Draft::of_turn(turn, Body::InputRequested(request)));
            id
        };
        let answer = self.answer(id, receiver, self.settings.permission_timeout).await;
        answer.unwrap_or(InputOutcome::Cancelled)
    }

    pub(crate) async fn custom_tool(&self, turn: Ulid, mut call: CustomTool) -> CustomToolAnswer {
        self.outbox.room().await;
        let (sender, receiver) = oneshot::channel();
        let id = {
            let mut locked = self.locked();
            let Some(id) = locked.place(turn, &call.request_id) else {
                let ended = !locked.runs(turn);
                return no_tool(if ended { "cancelled" } else { "too many calls are open" }, ended);
            };
            locked
                .session
                .open
                .insert(id.clone(), Interaction { turn, waiting: Waiting::CustomTool { answer: sender } });
            call.request_id.clone_from(&id);
            locked.push(Draft::of_turn(turn, Body::CustomToolRequested(call)));
            id
        };
        let answer = self.answer(id, receiver, self.settings.permission_timeout).await;
        answer.unwrap_or_else(|| no_tool("cancelled", true))
    }
}

/// The options of a vendor that offers none.
fn made_up() -> Vec<PermissionOption> {
    let option =
        |id: &str, kind, name: &str| PermissionOption { option_id: id.into(), kind, name: name.into() };
    vec![
        option("allow_once", PermissionKind::AllowOnce, "Allow once"),
        option("reject_once", PermissionKind::RejectOnce, "Reject once"),
    ]
}

/// A refusal without asking.
fn refused_by(request: &PermissionRequest, message: String) -> PermissionDecision {
    let chosen = choose(&request.options, &Decision::RejectOnce, None).ok().and_then(|(.., option)| option);
    PermissionDecision { option_id: chosen, ..refused(Some(message), false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(id: &str, kind: PermissionKind, name: &str) -> PermissionOption {
        PermissionOption { option_id: id.to_owned(), kind, name: name.to_owned() }
    }

    #[test]
    fn a_decision_is_never_more_than_what_was_decided() {
        use PermissionKind::{AllowAlways, AllowOnce, RejectOnce};
        let all = [
            option("always", AllowAlways, "Always"),
            option("once", AllowOnce, "Once"),
            option("no", RejectOnce, "No"),
        ];
        let of = |decision: &Decision, id| choose(&all, decision, id);
        let some = |id: &str| Some(id.to_owned());
        assert_eq!(of(&Decision::AllowOnce, None), Ok((true, false, some("once"))));
        assert_eq!(of(&Decision::AllowAlways, None), Ok((true, true, some("always"))));
        assert_eq!(of(&Decision::RejectAlways, None), Ok((false, false, some("no"))));
        assert_eq!(of(&Decision::AllowOnce, Some("always")), Ok((true, true, some("always"))));
        assert!(of(&Decision::RejectOnce, Some("once")).is_err());
        assert!(of(&Decision::AllowOnce, Some("other")).is_err());
        assert!(of(&Decision::Other("maybe".into()), None).is_err());
        let only = [option("always", AllowAlways, "Always")];
        assert_eq!(choose(&only, &Decision::AllowOnce, None), Ok((true, false, None)));
    }

    #[test]
    fn where_all_options_are_of_one_kind_their_names_count() {
        let of = |names: &[&str]| -> Vec<PermissionOption> {
            names.iter().map(|name| option(name, PermissionKind::AllowOnce, name)).collect()
        };
        let pi = of(&["Yes", "No"]);
        assert_eq!(choose(&pi, &Decision::AllowOnce, None).unwrap().2.as_deref(), Some("Yes"));
        assert_eq!(choose(&pi, &Decision::RejectOnce, None).unwrap().2.as_deref(), Some("No"));
        assert!(choose(&pi, &Decision::AllowOnce, Some("No")).is_err(), "the name says the opposite");
        let vague = of(&["Left", "Right"]);
        assert!(choose(&vague, &Decision::AllowOnce, None).is_err());
        assert_eq!(choose(&vague, &Decision::RejectOnce, None), Ok((false, false, None)));
        assert!(choose(&vague, &Decision::AllowOnce, Some("Left")).is_ok());
    }

    #[test]
    fn an_option_that_is_selected_is_the_one_that_is_answered() {
        use PermissionKind::{AllowAlways, AllowOnce, RejectAlways};
        let of = |options: &[PermissionOption], id| choose(options, &Decision::Selected, id);
        let some = |id: &str| Some(id.to_owned());
        let all = [
            option("once", AllowOnce, "Once"),
            option("project", AllowAlways, "In this project"),
            option("user", AllowAlways, "Everywhere"),
            option("never", RejectAlways, "Never"),
        ];
        assert_eq!(of(&all, Some("user")), Ok((true, true, some("user"))));
        assert_eq!(of(&all, Some("never")), Ok((false, false, some("never"))));
        assert!(of(&all, Some("other")).is_err() && of(&all, None).is_err());
        let pi = [option("0", AllowOnce, "Yes"), option("1", AllowOnce, "No")];
        assert_eq!(of(&pi, Some("1")), Ok((false, false, some("1"))), "the kind says the opposite");
    }
}
