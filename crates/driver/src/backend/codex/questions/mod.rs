//! Requests of the vendor: who is asked what, and the answer in the vendor's words. It asks nobody itself.

mod forms;

use serde_json::{Map, Value, json};
use ulid::Ulid;

use super::{items, wire};
use crate::backend::CustomToolAnswer;
use crate::event::{CustomTool, InputRequest, PermissionKind, PermissionOption};
use crate::ports::{PermissionDecision, PermissionRequest};

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// May this command run?
    Command,
    /// May these files be changed?
    FileChange,
    /// May this turn do more than its sandbox allows?
    Permissions,
    /// The first of these, as older versions ask it.
    LegacyCommand,
    /// The second of these, as older versions ask it.
    LegacyPatch,
    /// What does the user say?
    UserInput,
    /// What does a tool of the host say?
    Tool,
    /// What does the user say to an MCP server? Or: may a tool of one be called?
    Elicitation,
}

/// How an answer leaves the item that waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may run.
    Allowed,
    /// It will not.
    Refused,
    /// Its result is this.
    Told,
    /// None of these.
    Said,
}

/// A request that somebody is asked about.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ask {
    /// The vendor's id of it.
    pub(super) id: Value,
    pub(super) subject: Subject,
    pub(super) run: Ulid,
    /// The item that waits, by our id.
    pub(super) item_id: Option<String>,
    pub(super) params: Value,
}

/// What is asked, in the words of the kernel.
#[derive(Debug)]
pub(super) enum Asked {
    Permission(Box<PermissionRequest>),
    Input(InputRequest),
    Tool(CustomTool),
}

/// The subject of a method; nothing if we do not serve it.
pub(super) fn subject(method: &str) -> Option<Subject> {
    Some(match method {
        "item/commandExecution/requestApproval" => Subject::Command,
        "item/fileChange/requestApproval" => Subject::FileChange,
        "item/permissions/requestApproval" => Subject::Permissions,
        "execCommandApproval" => Subject::LegacyCommand,
        "applyPatchApproval" => Subject::LegacyPatch,
        "item/tool/requestUserInput" => Subject::UserInput,
        "item/tool/call" => Subject::Tool,
        "mcpServer/elicitation/request" => Subject::Elicitation,
        _ => return None,
    })
}

impl Subject {
    /// The member that names the item.
    pub(super) fn item_member(self) -> &'static str {
        match self {
            Subject::Tool | Subject::LegacyCommand | Subject::LegacyPatch => "callId",
            _ => "itemId",
        }
    }

    /// The item that a request is about, for one that comes before its item.
    pub(super) fn item(self, params: &Value) -> Option<Value> {
        match self {
            Subject::Command => Some(json!({
                "type": "commandExecution",
                "command": wire::text_or_empty(params, "command"),
                "cwd": wire::text_or_empty(params, "cwd"),
            })),
            Subject::FileChange => Some(json!({ "type": "fileChange", "changes": [] })),
            Subject::Tool => Some(json!({
                "type": "dynamicToolCall",
                "tool": items::tool_name(params),
                "namespace": params.get("namespace"),
                "arguments": params.get("arguments"),
            })),
            _ => None,
        }
    }

    /// The answer where nobody is asked.
    pub(super) fn refusal(self) -> Value {
        match self {
            Subject::Command | Subject::FileChange => json!({ "decision": "decline" }),
            Subject::Permissions => json!({ "permissions": {}, "scope": "turn" }),
            Subject::LegacyCommand | Subject::LegacyPatch => denied("no turn runs"),
            Subject::UserInput => json!({ "answers": {} }),
            Subject::Tool => json!({ "contentItems": [], "success": false }),
            Subject::Elicitation => json!({ "action": "decline", "content": null, "_meta": null }),
        }
    }
}

fn denied(why: &str) -> Value {
    json!({ "decision": { "denied": { "rejection": why } } })
}

fn option(id: &str, kind: PermissionKind, name: &str) -> PermissionOption {
    PermissionOption { option_id: id.to_owned(), kind, name: name.to_owned() }
}

/// The decisions with a value of their own that the vendor proposes, by name.
fn amendments(params: &Value) -> impl Iterator<Item = (&String, &Value)> {
    wire::list(params, "availableDecisions").iter().filter_map(|decision| {
        let (name, _) = decision.as_object().filter(|members| members.len() == 1)?.iter().next()?;
        Some((name, decision))
    })
}

impl Ask {
    /// By this it is known while it is open.
    pub(super) fn key(id: &Value) -> String {
        id.to_string()
    }

    /// What the kernel is asked. Its ids are made here: those of the vendor begin anew with each process.
    pub(super) fn asked(&self) -> Asked {
        let request_id = Ulid::generate().to_string();
        match self.subject {
            Subject::UserInput => Asked::Input(InputRequest {
                request_id,
                item_id: self.item_id.clone(),
                title: None,
                questions: self.questions(),
                expires_at: None,
            }),
            Subject::Tool => Asked::Tool(CustomTool {
                request_id,
                item_id: self.item_id.clone().unwrap_or_default(),
                name: items::tool_name(&self.params),
                input: items::arguments(&self.params),
            }),
            Subject::Elicitation if !self.is_tool_approval() => Asked::Input(InputRequest {
                request_id,
                item_id: None,
                title: wire::text(&self.params, "message").map(str::to_owned),
                questions: self.form(),
                expires_at: None,
            }),
            _ => Asked::Permission(Box::new(self.permission(request_id))),
        }
    }

    /// Whether the vendor asks on its own, before it calls a tool of an MCP server, and not for the server.
    fn is_tool_approval(&self) -> bool {
        self.params.pointer("/_meta/codex_approval_kind").and_then(Value::as_str) == Some("mcp_tool_call")
    }

    fn permission(&self, request_id: String) -> PermissionRequest {
        let params = &self.params;
        let (title, kind, tool, detail) = match self.subject {
            Subject::Command | Subject::LegacyCommand => ("Run a command", "execute", "shell", "command"),
            Subject::FileChange | Subject::LegacyPatch => {
                ("Change files", "edit", "apply_patch", "file_change")
            }
            Subject::Permissions => ("Give more permissions", "other", "request_permissions", "permissions"),
            _ => ("Call a tool of an MCP server", "other", "mcp_tool_call", "tool_call"),
        };
        let mut input = Map::new();
        for name in [
            "command",
            "cwd",
            "grantRoot",
            "fileChanges",
            "permissions",
            "networkApprovalContext",
            "serverName",
        ] {
            if let Some(value) = params.get(name).filter(|value| !value.is_null()) {
                input.insert(name.to_owned(), value.clone());
            }
        }
        let mut details = input.clone();
        details.insert("type".to_owned(), detail.into());
        let reason = wire::text(params, "reason").or(wire::text(params, "message"));
        PermissionRequest {
            request_id,
            item_id: self.item_id.clone(),
            turn_id: self.run,
            title: title.to_owned(),
            description: reason.map(str::to_owned),
            detail: Some(details),
            tool_kind: Some(kind.to_owned()),
            tool_name: Some(tool.to_owned()),
            input: Some(input),
            options: self.options(),
            raw: None,
        }
    }

    fn options(&self) -> Vec<PermissionOption> {
        use PermissionKind::{AllowAlways, AllowOnce, Other, RejectAlways, RejectOnce};
        let mut options = vec![option("accept", AllowOnce, "Allow once")];
        if self.subject != Subject::Elicitation {
            options.push(option("acceptForSession", AllowAlways, "Allow for this session"));
        }
        options.push(option("decline", RejectOnce, "Reject"));
        if !matches!(self.subject, Subject::Permissions | Subject::Elicitation) {
            // No decision means it by itself: it ends the turn.
            options.push(option("cancel", Other("x_cancel_turn".to_owned()), "Reject and end the turn"));
        }
        for (name, decision) in amendments(&self.params).take(8) {
            let denies = decision.pointer("/applyNetworkPolicyAmendment/network_policy_amendment/action")
                == Some(&json!("deny"));
            let (kind, text) = match name.as_str() {
                "acceptWithExecpolicyAmendment" => (AllowAlways, "Allow, and commands like it"),
                "applyNetworkPolicyAmendment" if denies => (RejectAlways, "Reject this host from now on"),
                "applyNetworkPolicyAmendment" => (AllowAlways, "Allow this host from now on"),
                _ => continue,
            };
            let id = if denies { format!("{name}:deny") } else { name.clone() };
            if options.iter().all(|other| other.option_id != id) {
                options.push(option(&id, kind, text));
            }
        }
        options
    }

    /// The answer to the vendor.
    pub(super) fn decided(&self, decision: &PermissionDecision) -> (Verdict, Value) {
        let verdict = if decision.allow { Verdict::Allowed } else { Verdict::Refused };
        let chosen = decision.option_id.as_deref();
        let for_session = decision.allow && (decision.always || chosen == Some("acceptForSession"));
        let ends_turn = !decision.allow && chosen == Some("cancel");
        let answer = match self.subject {
            Subject::LegacyCommand | Subject::LegacyPatch => match (decision.allow, for_session, ends_turn) {
                (true, true, _) => json!({ "decision": "approved_for_session" }),
                (true, false, _) => json!({ "decision": "approved" }),
                (false, _, true) => json!({ "decision": "abort" }),
                (false, _, false) => denied(decision.message.as_deref().unwrap_or("rejected")),
            },
            Subject::Permissions if decision.allow => json!({
                "permissions": wire::object(&self.params, "permissions").unwrap_or_default(),
                "scope": if for_session { "session" } else { "turn" },
            }),
            Subject::Elicitation if decision.allow => {
                json!({ "action": "accept", "content": {}, "_meta": null })
            }
            Subject::Permissions | Subject::Elicitation => self.subject.refusal(),
            _ => {
                let amendment = amendments(&self.params).find(|(name, _)| {
                    chosen.is_some_and(|chosen| chosen.split(':').next() == Some(name.as_str()))
                        && self.options().iter().any(|option| chosen == Some(option.option_id.as_str()))
                });
                match (amendment, decision.allow) {
                    (Some((_, decision)), _) => json!({ "decision": decision }),
                    (None, true) if for_session => json!({ "decision": "acceptForSession" }),
                    (None, true) => json!({ "decision": "accept" }),
                    (None, false) if ends_turn => json!({ "decision": "cancel" }),
                    (None, false) => json!({ "decision": "decline" }),
                }
            }
        };
        (verdict, answer)
    }

    /// What a tool of the host said, for the vendor; nothing if nobody wants it any more.
    pub(super) fn told(answer: &CustomToolAnswer) -> Option<(Verdict, Value)> {
        if answer.cancelled {
            return None;
        }
        let content: Vec<Value> = answer.content.iter().map(items::as_content_item).collect();
        Some((Verdict::Told, json!({ "contentItems": content, "success": !answer.is_error })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ContentBlock;

    fn ask(subject: Subject, params: Value) -> Ask {
        Ask { id: json!(0), subject, run: Ulid::nil(), item_id: None, params }
    }

    fn decide(allow: bool, always: bool, option_id: Option<&str>) -> PermissionDecision {
        PermissionDecision {
            allow,
            always,
            option_id: option_id.map(str::to_owned),
            message: None,
            cancelled: false,
        }
    }

    #[test]
    fn decisions_are_told_in_the_words_of_each_request() {
        let amendment = json!({"acceptWithExecpolicyAmendment": {"execpolicy_amendment": ["touch"]}});
        let deny = json!({"applyNetworkPolicyAmendment": {"network_policy_amendment": {"host": "h", "action": "deny"}}});
        let command =
            json!({"availableDecisions": ["accept", amendment, deny, "cancel", 7, {"a": 1, "b": 2}]});
        let asked = json!({"permissions": {"network": {"enabled": true}}});
        use Subject::{Command, Elicitation, FileChange, LegacyCommand, LegacyPatch, Permissions};
        let (once, always, no) =
            (decide(true, false, None), decide(true, true, None), decide(false, false, None));
        let stop = decide(false, false, Some("cancel"));
        let rows = [
            (Command, &command, &once, json!({"decision": "accept"})),
            (Command, &command, &always, json!({"decision": "acceptForSession"})),
            (Command, &command, &no, json!({"decision": "decline"})),
            (Command, &command, &stop, json!({"decision": "cancel"})),
            (
                Command,
                &command,
                &decide(true, true, Some("acceptWithExecpolicyAmendment")),
                json!({ "decision": amendment }),
            ),
            (
                Command,
                &command,
                &decide(false, false, Some("applyNetworkPolicyAmendment:deny")),
                json!({ "decision": deny }),
            ),
            (FileChange, &asked, &once, json!({"decision": "accept"})),
            (FileChange, &asked, &no, json!({"decision": "decline"})),
            (
                Permissions,
                &asked,
                &once,
                json!({"permissions": {"network": {"enabled": true}}, "scope": "turn"}),
            ),
            (
                Permissions,
                &asked,
                &always,
                json!({"permissions": {"network": {"enabled": true}}, "scope": "session"}),
            ),
            (Permissions, &asked, &no, json!({"permissions": {}, "scope": "turn"})),
            (LegacyCommand, &asked, &once, json!({"decision": "approved"})),
            (LegacyCommand, &asked, &always, json!({"decision": "approved_for_session"})),
            (LegacyPatch, &asked, &no, json!({"decision": {"denied": {"rejection": "rejected"}}})),
            (LegacyPatch, &asked, &stop, json!({"decision": "abort"})),
            (Elicitation, &asked, &once, json!({"action": "accept", "content": {}, "_meta": null})),
            (Elicitation, &asked, &no, json!({"action": "decline", "content": null, "_meta": null})),
        ];
        for (subject, params, decision, expected) in rows {
            let (verdict, answer) = ask(subject, params.clone()).decided(decision);
            assert_eq!(answer, expected, "{subject:?} {decision:?}");
            assert_eq!(verdict == Verdict::Allowed, decision.allow);
        }
    }

    #[test]
    fn what_the_vendor_proposes_is_offered_and_nothing_else() {
        let ids =
            |ask: &Ask| -> Vec<String> { ask.options().into_iter().map(|option| option.option_id).collect() };
        let plain = ask(Subject::Command, json!({"availableDecisions": "accept"}));
        assert_eq!(ids(&plain), ["accept", "acceptForSession", "decline", "cancel"]);
        let proposed = json!({"availableDecisions": [
            {"acceptWithExecpolicyAmendment": {}}, {"acceptWithExecpolicyAmendment": {}}, {"ofALaterVersion": 1}
        ]});
        let more = ask(Subject::Command, proposed);
        assert_eq!(
            ids(&more),
            ["accept", "acceptForSession", "decline", "cancel", "acceptWithExecpolicyAmendment"]
        );
        // An answer that was not offered is none.
        let odd = more.decided(&decide(true, false, Some("ofALaterVersion"))).1;
        assert_eq!(odd, json!({"decision": "accept"}));
    }

    #[test]
    fn the_answer_of_a_tool_of_the_host_keeps_its_kinds() {
        let answer = CustomToolAnswer {
            content: vec![
                ContentBlock::text("t"),
                ContentBlock::Image { mime_type: "image/png".into(), data: Some("AA".into()), uri: None },
                ContentBlock::Audio { mime_type: "audio/wav".into(), data: "BB".into() },
            ],
            is_error: false,
            cancelled: false,
        };
        let (_, told) = Ask::told(&answer).unwrap();
        let expected = json!({"success": true, "contentItems": [
            {"type": "inputText", "text": "t"},
            {"type": "inputImage", "imageUrl": "data:image/png;base64,AA"},
            {"type": "inputAudio", "audioUrl": "data:audio/wav;base64,BB"},
        ]});
        assert_eq!(told, expected);
        assert_eq!(Ask::told(&CustomToolAnswer { cancelled: true, ..answer }), None);
    }
}
