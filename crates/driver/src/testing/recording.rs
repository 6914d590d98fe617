//! Recordings of what a host and a vendor said to each other, one JSON object per line, and what each line is in the
//! vendor's protocol. Two forms are read: `{"dir": "host->agent" | "agent->host", "msg": …}` with `{"argv": […]}` where a
//! process begins, and `{"t": ms, "dir": "c2a" | "a2c" | "stderr" | "note", "msg": …}`.

use serde_json::Value;

use crate::command::{Decision, Input};
use crate::event::{ContentBlock, InputOutcome};
use crate::{ErrorInfo, ResumeRef, Runtime};

/// One line of a recording.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A process begins, with these arguments.
    Begins(Vec<String>),
    /// The host says this.
    Host(Value),
    /// The vendor says this.
    Vendor(Value),
}

/// A recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Whose protocol it is.
    pub runtime: Runtime,
    /// Its lines.
    pub entries: Vec<Entry>,
}

/// What a message is to the one who waits for it: its kind, and by what an answer finds its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A request or a notification of a name.
    Named(String),
    /// The answer to the request of this id.
    Answer(String),
}

/// What the vendor asked, as far as the question can be found again among those that are open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The vendor's id of it.
    pub(super) id: String,
    /// The vendor's id of the item that it is about.
    pub(super) item: Option<String>,
}

/// What a host does, to say what it said in the recording.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Act {
    /// It begins a turn.
    Input(Input),
    /// It ends the turn.
    Cancel,
    /// It answers a permission; `ends_turn`: and has the turn end.
    Permission {
        request: Asked,
        decision: Decision,
        option_id: Option<String>,
        message: Option<String>,
        ends_turn: bool,
    },
    /// It answers a question.
    Question { request: Asked, outcome: InputOutcome },
    /// A tool of it answers.
    Tool { request: Asked, content: Vec<ContentBlock>, is_error: bool },
}

/// An id as text: ids of either type are told apart.
pub(super) fn id_text(id: &Value) -> String {
    id.to_string()
}

fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path).and_then(Value::as_str)
}

impl Recording {
    /// Reads a recording. Lines that are neither host's nor vendor's are left out.
    ///
    /// # Errors
    /// `recording.malformed`: the line, and what is wrong with it.
    pub fn parse(recording: &str) -> Result<Self, ErrorInfo> {
        let wrong =
            |n: usize, why: &str| ErrorInfo::new("recording.malformed", format!("line {}: {why}", n + 1));
        let mut entries = Vec::new();
        for (n, line) in recording.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let mut value: Value =
                serde_json::from_str(line).map_err(|error| wrong(n, &error.to_string()))?;
            if let Some(argv) = value.get("argv") {
                let argv = serde_json::from_value(argv.clone())
                    .map_err(|_| wrong(n, "argv: not a list of strings"))?;
                entries.push(Entry::Begins(argv));
                continue;
            }
            let dir = text(&value, "/dir").ok_or_else(|| wrong(n, "dir: missing"))?.to_owned();
            let message = value.get_mut("msg").map(Value::take);
            match (dir.as_str(), message) {
                ("host->agent" | "c2a", Some(message)) => entries.push(Entry::Host(message)),
                ("agent->host" | "a2c", Some(message)) => entries.push(Entry::Vendor(message)),
                ("stderr" | "note", _) => {}
                (_, None) => return Err(wrong(n, "msg: missing")),
                (other, _) => return Err(wrong(n, &format!("dir: {other:?} is unknown"))),
            }
        }
        let said = entries.iter().filter_map(|entry| match entry {
            Entry::Host(message) | Entry::Vendor(message) => Some(message),
            Entry::Begins(_) => None,
        });
        let runtime = said
            .filter_map(|message| match () {
                () if message.get("jsonrpc").is_some() => Some(Runtime::Acp),
                () if message.get("type").is_some() => Some(Runtime::Claude),
                () if message.get("method").is_some() => Some(Runtime::OpenAi),
                () => None,
            })
            .next();
        let runtime =
            runtime.ok_or_else(|| ErrorInfo::new("recording.malformed", "it is of no known protocol"))?;
        Ok(Recording { runtime, entries })
    }

    /// Where the session worked.
    #[must_use]
    pub fn cwd(&self) -> &str {
        let cwds = self.entries.iter().filter_map(|entry| match entry {
            Entry::Host(message) => text(message, "/params/cwd"),
            Entry::Vendor(message) => text(message, "/cwd"),
            Entry::Begins(_) => None,
        });
        cwds.into_iter().find(|cwd| cwd.starts_with('/')).unwrap_or("/workspace")
    }

    /// What the session resumed when it began.
    #[must_use]
    pub fn resumes(&self) -> Option<ResumeRef> {
        for (n, entry) in self.entries.iter().enumerate() {
            match entry {
                // Processes after the first one go on with what that left.
                Entry::Begins(_) if n > 0 => return None,
                Entry::Begins(argv) => {
                    let joined = argv.iter().find_map(|arg| arg.strip_prefix("--resume="));
                    let apart = argv.iter().position(|arg| arg == "--resume").and_then(|at| argv.get(at + 1));
                    if let Some(id) = joined.or(apart.map(String::as_str)) {
                        return Some(ResumeRef::new(self.runtime, id));
                    }
                }
                Entry::Host(message) => match text(message, "/method") {
                    Some("thread/resume") => {
                        return text(message, "/params/threadId").map(|id| ResumeRef::new(self.runtime, id));
                    }
                    Some("session/load" | "session/resume") => {
                        return text(message, "/params/sessionId").map(|id| ResumeRef::new(self.runtime, id));
                    }
                    Some("session/new" | "thread/start") => return None,
                    _ => {}
                },
                Entry::Vendor(_) => {}
            }
        }
        None
    }

    /// The login that the host used.
    pub(super) fn login(&self) -> Option<&str> {
        self.entries.iter().find_map(|entry| match entry {
            Entry::Host(message) if text(message, "/method") == Some("authenticate") => {
                text(message, "/params/methodId")
            }
            _ => None,
        })
    }

    /// Whether a host begins a process with this message.
    pub(super) fn begins_process(&self, message: &Value) -> bool {
        matches!(self.key(message), Key::Named(name) if matches!(name.as_str(), "initialize" | "control initialize"))
    }

    /// What is said to a host that begins a process of which the recording has no beginning.
    pub(super) fn welcome(&self, message: &Value) -> Option<Value> {
        let begins = self.runtime == Runtime::Claude && self.begins_process(message);
        begins.then(|| self.done(message)).flatten()
    }

    /// The answer that a request was done.
    pub(super) fn done(&self, message: &Value) -> Option<Value> {
        let id = self.request_id(message)?;
        Some(match self.runtime {
            Runtime::Claude => serde_json::json!({"type": "control_response", "response": {
                "subtype": "success", "request_id": id, "response": {}
            }}),
            Runtime::OpenAi => serde_json::json!({"id": id, "result": {}}),
            Runtime::Acp => serde_json::json!({"jsonrpc": "2.0", "id": id, "result": {}}),
        })
    }

    /// What a message is.
    pub(super) fn key(&self, message: &Value) -> Key {
        if self.runtime == Runtime::Claude {
            return match text(message, "/type") {
                Some("control_response") => {
                    Key::Answer(id_text(message.pointer("/response/request_id").unwrap_or(&Value::Null)))
                }
                Some("control_request") => {
                    Key::Named(format!("control {}", text(message, "/request/subtype").unwrap_or_default()))
                }
                other => Key::Named(other.unwrap_or_default().to_owned()),
            };
        }
        match text(message, "/method") {
            Some(method) => Key::Named(method.to_owned()),
            None => Key::Answer(id_text(message.get("id").unwrap_or(&Value::Null))),
        }
    }

    /// The id of a request.
    pub(super) fn request_id<'a>(&self, message: &'a Value) -> Option<&'a Value> {
        match self.runtime {
            Runtime::Claude if text(message, "/type") == Some("control_request") => message.get("request_id"),
            Runtime::Claude => None,
            _ => message.get("method").and_then(|_| message.get("id")),
        }
    }

    /// Whether the vendor asks the host's user with this.
    pub(super) fn asks(&self, message: &Value) -> bool {
        let Key::Named(name) = self.key(message) else { return false };
        name == "control can_use_tool"
            || name == "session/request_permission"
            || name.ends_with("/requestApproval")
    }

    /// The same answer to the request of another id.
    pub(super) fn readdressed(&self, mut answer: Value, id: Value) -> Value {
        let place = match self.runtime {
            Runtime::Claude => answer.pointer_mut("/response/request_id"),
            _ => answer.get_mut("id"),
        };
        if let Some(place) = place {
            *place = id;
        }
        answer
    }

    /// What is said to a request that the recording does not have.
    pub(super) fn refusal(&self, id: &Value) -> Value {
        match self.runtime {
            Runtime::Claude => serde_json::json!({"type": "control_response", "response": {
                "subtype": "error", "request_id": id, "error": "not in the recording", "error_code": "unsupported_request"
            }}),
            Runtime::OpenAi => {
                serde_json::json!({"id": id, "error": {"code": -32601, "message": "not in the recording"}})
            }
            Runtime::Acp => serde_json::json!({
                "jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "not in the recording"}
            }),
        }
    }

    /// Whether a backend says this by itself, whatever the host does.
    pub(super) fn is_handshake(key: &Key) -> bool {
        matches!(key, Key::Named(name) if matches!(name.as_str(),
            "control initialize" | "initialize" | "initialized" | "authenticate" | "thread/start" | "thread/resume"
            | "session/new" | "session/load" | "session/resume"))
    }

    /// What a host does, to say this; `request` is what it answers. Nothing for what it does not do itself.
    pub(super) fn act(&self, message: &Value, request: Option<&Value>) -> Option<Act> {
        match self.runtime {
            Runtime::Claude => claude(message, request),
            Runtime::OpenAi => codex(message, request),
            Runtime::Acp => acp(message, request),
        }
    }
}

fn blocks(content: &Value) -> Vec<ContentBlock> {
    match content {
        Value::String(text) => vec![ContentBlock::text(text.clone())],
        other => serde_json::from_value(other.clone()).unwrap_or_default(),
    }
}

fn input(content: &Value) -> Input {
    let content = blocks(content);
    let text = crate::event::text_of(&content);
    Input { text, content: Some(content.into_iter().map(Into::into).collect()), ..Input::default() }
}

fn answers(content: Option<&Value>) -> InputOutcome {
    match content.and_then(Value::as_object) {
        Some(answers) => InputOutcome::Answered { answers: answers.clone() },
        None => InputOutcome::Declined,
    }
}

/// The answers to the questions of a tool, by the names that they have here.
fn claude_answers(request: &Value, said: Option<&Value>) -> InputOutcome {
    let given = said.and_then(|said| said.pointer("/updatedInput/answers")).and_then(Value::as_object);
    let Some(given) = given else { return InputOutcome::Declined };
    let questions = request.pointer("/request/input/questions").and_then(Value::as_array);
    let answers = questions.into_iter().flatten().enumerate().filter_map(|(n, question)| {
        Some((format!("q{n}"), given.get(text(question, "/question")?)?.clone()))
    });
    InputOutcome::Answered { answers: answers.collect() }
}

fn claude(message: &Value, request: Option<&Value>) -> Option<Act> {
    match text(message, "/type")? {
        "user" => Some(Act::Input(input(message.pointer("/message/content")?))),
        "control_request" => (text(message, "/request/subtype")? == "interrupt").then_some(Act::Cancel),
        "control_response" => {
            let (request, said) = (request?, message.pointer("/response/response"));
            let id = Asked {
                id: text(request, "/request_id")?.to_owned(),
                item: text(request, "/request/tool_use_id").map(str::to_owned),
            };
            match text(request, "/request/subtype")? {
                "can_use_tool" if text(request, "/request/tool_name") == Some("AskUserQuestion") => {
                    Some(Act::Question { request: id, outcome: claude_answers(request, said) })
                }
                "can_use_tool" => {
                    let allowed = said.and_then(|said| text(said, "/behavior")) == Some("allow");
                    let always = said.is_some_and(|said| said.get("updatedPermissions").is_some());
                    let decision = match (allowed, always) {
                        (true, true) => Decision::AllowAlways,
                        (true, false) => Decision::AllowOnce,
                        (false, _) => Decision::RejectOnce,
                    };
                    let message = said.and_then(|said| text(said, "/message")).map(str::to_owned);
                    let ends_turn = said.and_then(|said| said.get("interrupt")) == Some(&Value::Bool(true));
                    Some(Act::Permission { request: id, decision, option_id: None, message, ends_turn })
                }
                "elicitation" | "request_user_dialog" => {
                    let result = said.and_then(|said| said.get("result"));
                    let outcome = match result {
                        Some(result) if !result.is_object() => {
                            let answer = [("answer".to_owned(), result.clone())];
                            InputOutcome::Answered { answers: answer.into_iter().collect() }
                        }
                        result => answers(result.or_else(|| said.and_then(|said| said.get("content")))),
                    };
                    Some(Act::Question { request: id, outcome })
                }
                "mcp_message" if text(request, "/request/message/method") == Some("tools/call") => {
                    let result = said?.pointer("/mcp_response/result")?;
                    let is_error = result.get("isError").and_then(Value::as_bool).unwrap_or_default();
                    Some(Act::Tool { request: id, content: blocks(result.get("content")?), is_error })
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn codex(message: &Value, request: Option<&Value>) -> Option<Act> {
    match text(message, "/method") {
        Some("turn/start") => return Some(Act::Input(input(message.pointer("/params/input")?))),
        Some("turn/interrupt") => return Some(Act::Cancel),
        Some(_) => return None,
        None => {}
    }
    let request = request?;
    let id = Asked {
        id: id_text(request.get("id")?),
        item: ["/params/itemId", "/params/callId"]
            .iter()
            .find_map(|path| text(request, path))
            .map(str::to_owned),
    };
    let result = message.get("result");
    let method = text(request, "/method")?;
    if method.ends_with("/requestApproval") || matches!(method, "execCommandApproval" | "applyPatchApproval")
    {
        let said = result.and_then(|result| result.get("decision"));
        let granted = result.and_then(|result| result.get("permissions")).and_then(Value::as_object);
        // Decisions that are none of the usual ones are chosen by their names.
        let named = said.and_then(Value::as_object).and_then(|said| said.keys().next());
        let named = named.filter(|name| *name != "denied").cloned();
        let cancels = matches!(said.and_then(Value::as_str), Some("cancel" | "abort"));
        let option_id = if cancels { Some("cancel".to_owned()) } else { named };
        let decision = match (said.and_then(Value::as_str), said, granted) {
            (Some("accept" | "approved"), ..) => Decision::AllowOnce,
            (Some("acceptForSession" | "approved_for_session"), ..) => Decision::AllowAlways,
            (None, Some(Value::Object(said)), _) if !said.contains_key("denied") => Decision::AllowAlways,
            (None, None, Some(granted)) if !granted.is_empty() => {
                let session = result.and_then(|result| text(result, "/scope")) == Some("session");
                if session { Decision::AllowAlways } else { Decision::AllowOnce }
            }
            _ => Decision::RejectOnce,
        };
        return Some(Act::Permission { request: id, decision, option_id, message: None, ends_turn: false });
    }
    match method {
        "item/tool/requestUserInput" => {
            let outcome = answers(result.and_then(|result| result.get("answers")));
            Some(Act::Question { request: id, outcome })
        }
        "mcpServer/elicitation/request" => {
            let outcome = answers(result.and_then(|result| result.get("content")));
            Some(Act::Question { request: id, outcome })
        }
        "item/tool/call" => {
            let items = result?.get("contentItems")?.as_array()?;
            let texts = items.iter().filter_map(|item| text(item, "/text"));
            let is_error = result?.get("success").and_then(Value::as_bool) == Some(false);
            Some(Act::Tool { request: id, content: texts.map(ContentBlock::text).collect(), is_error })
        }
        _ => None,
    }
}

fn acp(message: &Value, request: Option<&Value>) -> Option<Act> {
    match text(message, "/method") {
        Some("session/prompt") => return Some(Act::Input(input(message.pointer("/params/prompt")?))),
        Some("session/cancel") => return Some(Act::Cancel),
        Some(_) => return None,
        None => {}
    }
    let request = request?;
    let id = Asked {
        id: id_text(request.get("id")?),
        item: ["/params/toolCall/toolCallId", "/params/toolCallId"]
            .iter()
            .find_map(|path| text(request, path))
            .map(str::to_owned),
    };
    match text(request, "/method")? {
        "session/request_permission" => {
            let chosen = text(message, "/result/outcome/optionId");
            let options = request.pointer("/params/options").and_then(Value::as_array);
            let option = options.into_iter().flatten().find(|option| text(option, "/optionId") == chosen);
            let kind = option.and_then(|option| text(option, "/kind"));
            let decision = match (chosen, kind) {
                (_, Some("allow_always")) => Decision::AllowAlways,
                (_, Some("allow_once")) => Decision::AllowOnce,
                (_, Some("reject_always")) => Decision::RejectAlways,
                _ => Decision::RejectOnce,
            };
            // Where all are of one kind, the name says which it is.
            let name = option.and_then(|option| text(option, "/name")).unwrap_or_default().to_lowercase();
            let decision = if matches!(name.as_str(), "no" | "deny" | "reject" | "cancel" | "block") {
                Decision::RejectOnce
            } else {
                decision
            };
            Some(Act::Permission {
                request: id,
                decision,
                option_id: chosen.map(str::to_owned),
                message: None,
                ends_turn: false,
            })
        }
        "elicitation/create" => {
            Some(Act::Question { request: id, outcome: answers(message.pointer("/result/content")) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_the_protocol_is_told() {
        let claude = "{\"argv\":[\"claude\",\"--resume\",\"S\"]}\n\n{\"dir\":\"host->agent\",\"msg\":{\"type\":\"user\"}}";
        let claude = Recording::parse(claude).unwrap();
        assert_eq!((claude.runtime, claude.entries.len(), claude.cwd()), (Runtime::Claude, 2, "/workspace"));
        assert_eq!(claude.resumes().unwrap().value, "S");
        let acp = "{\"t\":1,\"dir\":\"note\",\"msg\":\"x\"}\n{\"t\":2,\"dir\":\"c2a\",\"msg\":{\"jsonrpc\":\"2.0\",\"id\":1,\
                   \"method\":\"session/new\",\"params\":{\"cwd\":\"/w\"}}}";
        let acp = Recording::parse(acp).unwrap();
        assert_eq!((acp.runtime, acp.entries.len(), acp.cwd(), acp.resumes()), (Runtime::Acp, 1, "/w", None));
        let codex =
            Recording::parse("{\"dir\":\"host->agent\",\"msg\":{\"method\":\"initialized\"}}").unwrap();
        assert_eq!(codex.runtime, Runtime::OpenAi);
        for wrong in
            ["", "{", "{\"dir\":\"x\",\"msg\":1}", "{\"dir\":\"c2a\"}", "{\"dir\":\"c2a\",\"msg\":7}"]
        {
            assert!(Recording::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
