//! What an editor wants of an agent: prompts and their cancel, settings, requests of extensions.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use agentos::{PromptOptions, PromptResult};
use agentos_acp::envelope::{RpcError, code};
use agentos_acp::schema::ContentBlock;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::bridge::{Bridge, Open};
use super::params::{Params, invalid};
use super::refusal::{of_passed, refusal};
use crate::output;

/// Prompts that are not answered yet. Less than the requests that may be open: others must find room beside them.
const PROMPTS: usize = 48;

/// How long the last answers of a session may take that has ended.
const ANSWERED: Duration = Duration::from_secs(10);

/// A prompt among those that are not answered.
struct Place<'a> {
    all: &'a AtomicUsize,
    open: &'a Open,
}

impl<'a> Place<'a> {
    fn of(all: &'a AtomicUsize, open: &'a Open) -> Result<Self, RpcError> {
        let before = all.fetch_add(1, Ordering::SeqCst);
        open.prompts.send_modify(|prompts| *prompts += 1);
        let place = Place { all, open };
        if before >= PROMPTS {
            return Err(RpcError::new(
                code::INTERNAL_ERROR,
                format!("{before} prompts are open: wait for one"),
            ));
        }
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::SeqCst);
        self.open.prompts.send_modify(|prompts| *prompts -= 1);
    }
}

impl Bridge {
    /// `session/prompt`: its result comes after all that the agent said in its turn.
    pub(super) async fn prompt(&self, mut params: Params) -> Result<Value, RpcError> {
        let open = self.open(&params)?;
        let blocks = match params.0.remove("prompt") {
            Some(Value::Array(blocks)) if !blocks.is_empty() => blocks,
            _ => return Err(invalid("prompt: must be an array with content")),
        };
        // It is told once more when the session is loaded, and has to be what it is said to be.
        for block in &blocks {
            serde_json::from_value::<ContentBlock>(block.clone())
                .map_err(|error| invalid(format!("prompt: {error}")))?;
        }
        params.0.remove("sessionId");
        // All that is left is for the agent.
        let options = PromptOptions { params: params.0 };
        let _place = Place::of(&self.prompts, &open)?;
        let over = CancellationToken::new();
        let before = std::mem::replace(&mut *open.last_prompt.lock(), over.clone());
        let _over = over.drop_guard();
        let result = self.os.prompt_with(&open.id, blocks, options).await;
        self.caught_up(&open).await;
        before.cancelled().await;
        Ok(result_of(result.map_err(|error| refusal(&error))?))
    }

    /// Waits until the prompts of a session are answered, but not for long.
    pub(super) async fn answered(&self, open: &Open) {
        let mut prompts = open.prompts.subscribe();
        let _ = tokio::time::timeout(ANSWERED, prompts.wait_for(|prompts| *prompts == 0)).await;
    }

    /// Waits until the editor has all that was said so far.
    async fn caught_up(&self, open: &Open) {
        let mut seen = open.seen.subscribe();
        let from = *seen.borrow_and_update();
        // What is not there any more needs no waiting for.
        let Ok(last) = self.last_seq(&open.id, from).await else { return };
        let mut over = open.over.clone();
        loop {
            tokio::select! {
                _ = seen.wait_for(|seen| *seen >= last) => return,
                () = over.cancelled() => {}
            }
            // It may be loaded once more just now, and be followed from there.
            let _one = self.opening.lock().await;
            match self.sessions.lock().get(&open.id) {
                Some(now) if !now.over.is_cancelled() => over = now.over.clone(),
                _ => return,
            }
        }
    }

    /// Number of the last event of a session; `from` is that of one that there was.
    async fn last_seq(&self, id: &str, from: u64) -> Result<u64, RpcError> {
        let events = self.os.on_session_event(id, Some(from)).await;
        events.map(|events| events.last_seq()).map_err(|error| refusal(&error))
    }

    /// `session/cancel`.
    pub(super) async fn cancel(&self, open: &Open) {
        // Without a turn there is nothing to cancel, and a session that is gone has none.
        let _ = self.os.cancel_session(&open.id).await;
    }

    /// A notification of an extension, as it is. It has no answer: the editor does not hear if the agent cannot take it.
    pub(super) async fn hand_on(&self, open: &Open, method: &str, params: Params) {
        let Ok(_place) = self.telling.try_acquire() else {
            output::note(
                "agentos: the agent does not take notifications as fast as the editor sends them; one is left out",
            );
            return;
        };
        let _ = self.os.raw_notify(&open.id, method, Value::Object(params.0)).await;
    }

    /// A request that goes to the agent as it is; the session's id in it is the agent's own then.
    pub(super) async fn pass(&self, method: &str, params: Params) -> Result<Value, RpcError> {
        let extension = method.starts_with('_');
        let open = match self.open(&params) {
            // Of an agent for each session, which is meant?
            Err(_) if extension && !params.0.contains_key("sessionId") => {
                let text = "a request of an extension goes to the agent of its sessionId, which is missing";
                return Err(invalid(text));
            }
            open => open?,
        };
        let result = self.os.raw_send(&open.id, method, Value::Object(params.0)).await;
        let mut result = result.map_err(|error| of_passed(&error, method))?;
        if let Some(members) = result.as_object_mut() {
            if members.contains_key("sessionId") {
                members.insert("sessionId".to_owned(), json!(open.id));
            }
            if !extension {
                self.client.fit(members);
            }
        }
        Ok(result)
    }
}

/// The result of a prompt as the agent gave it; but one that was cancelled says so.
fn result_of(result: PromptResult) -> Value {
    let mut said = result.response;
    if !said.is_object() {
        said = json!({});
    }
    if result.stop_reason == "cancelled" || said.get("stopReason").is_none() {
        said["stopReason"] = json!(result.stop_reason);
    }
    said
}
