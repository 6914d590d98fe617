//! What Claude Code asks us: each question has a task of its own, so that the process is read while somebody thinks. A
//! question that the process takes back ends with its task.

mod dialog;
mod permission;

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::connection::{Connection, soon};
use super::custom_tools;
use super::wire::{shortened, text, word};
use crate::backend::ignored;

/// Questions that are open at once.
const OPEN: usize = 64;
/// The hook by which every tool is asked for.
const HOOK: &str = "h0";

/// An answer for the vendor; nothing if it wants none any more.
pub(super) type Answer = Option<Result<Value, String>>;

struct Question {
    task: JoinHandle<()>,
    /// The id of the call of a tool of the host, in its own protocol.
    call: Option<Value>,
}

/// The questions that are open.
#[derive(Default)]
pub(super) struct Questions(Mutex<HashMap<String, Question>>);

impl Questions {
    /// The vendor takes a question back: its task ends, and with it what it asks of others.
    pub(super) async fn withdraw(&self, id: &str) {
        let question = self.0.lock().remove(id);
        if let Some(question) = question {
            question.task.abort();
            let _ = question.task.await;
        }
    }

    /// The vendor takes back a call of a tool of the host.
    pub(super) async fn withdraw_call(&self, call: &Value) {
        let id = {
            let open = self.0.lock();
            open.iter().find(|(_, question)| question.call.as_ref() == Some(call)).map(|(id, _)| id.clone())
        };
        if let Some(id) = id {
            self.withdraw(&id).await;
        }
    }

    /// Nobody wants an answer any more.
    pub(super) async fn withdraw_all(&self) {
        let mut ids: Vec<String> = self.0.lock().keys().cloned().collect();
        ids.sort_unstable();
        for id in ids {
            self.withdraw(&id).await;
        }
    }

    /// The same without waiting.
    pub(super) fn abandon(&self) {
        for question in self.0.lock().drain() {
            question.1.task.abort();
        }
    }
}

/// What `initialize` has to say for tools that are asked for always.
pub(super) fn hooks(ask_always: bool) -> Value {
    if ask_always {
        json!({ "PreToolUse": [{ "matcher": null, "hookCallbackIds": [HOOK], "timeout": 600 }] })
    } else {
        Value::Null
    }
}

/// Takes a question up.
pub(super) async fn begin(connection: &Arc<Connection>, message: &Value) {
    let Some(id) = word(message, "request_id") else {
        connection.cx.session(ignored("a control_request without an id")).await;
        return;
    };
    let request = message.get("request").cloned().unwrap_or_default();
    let subtype = text(&request, "subtype").unwrap_or_default();
    // The same id again: whoever asked before waits no more.
    connection.questions.withdraw(id).await;
    let call = custom_tools::call_id(&request);
    let asker = Arc::clone(connection);
    let work: BoxFuture<'static, Answer> = match subtype {
        "can_use_tool" => Box::pin(permission::answer(asker, id.to_owned(), request)),
        "mcp_message" => {
            if let Some(call) = custom_tools::cancelled(&request) {
                connection.questions.withdraw_call(call).await;
            }
            Box::pin(custom_tools::answer(asker, id.to_owned(), request))
        }
        "elicitation" => Box::pin(dialog::elicitation(asker, id.to_owned(), request)),
        "request_user_dialog" => Box::pin(dialog::user_dialog(asker, id.to_owned(), request)),
        "hook_callback" => Box::pin(std::future::ready(Some(Ok(hook(&request))))),
        other => {
            let other = shortened(other, 64);
            connection.cx.session(ignored(format!("a control_request of type {other}"))).await;
            Box::pin(std::future::ready(Some(Err("unsupported".to_owned()))))
        }
    };
    let full = connection.questions.0.lock().len() >= OPEN;
    let work = if full {
        Box::pin(std::future::ready(Some(Err("too many questions are open".to_owned()))))
    } else {
        work
    };
    ask(connection, id.to_owned(), call, work, full);
}

/// Answers a question: what can be answered at once is, and what was asked of others is asked before the next message of
/// the vendor is read.
fn ask(
    connection: &Arc<Connection>,
    id: String,
    call: Option<Value>,
    work: BoxFuture<'static, Answer>,
    full: bool,
) {
    let (asker, of) = (Arc::clone(connection), id.clone());
    let mut work = async move {
        if let Some(answer) = work.await {
            asker.respond(&of, answer).await;
        }
        asker.questions.0.lock().remove(&of);
    }
    .boxed();
    if full {
        return soon(work);
    }
    if (&mut work).now_or_never().is_some() {
        return;
    }
    let mut open = connection.questions.0.lock();
    open.insert(id, Question { task: tokio::spawn(work), call });
}

fn hook(request: &Value) -> Value {
    if text(request, "callback_id") == Some(HOOK) {
        json!({ "hookSpecificOutput": { "hookEventName": "PreToolUse", "permissionDecision": "ask" } })
    } else {
        json!({})
    }
}
