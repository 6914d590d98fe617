//! Permissions: what an agent asks goes to the editor as it came, and exactly the option that is chosen there goes back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use agentos::{PermissionReply, SessionEvent};
use agentos_acp::Error;
use agentos_acp::connection::Outcome;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::bridge::{Bridge, Open};
use super::editor::begin;

/// More than any session waits for an answer: it says itself when it no longer does.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Questions of a session that are open, by id.
#[derive(Default)]
pub(super) struct Asked(Mutex<HashMap<String, CancellationToken>>);

impl Asked {
    /// A question is asked; nothing if it is already.
    fn open(&self, id: &str) -> Option<CancellationToken> {
        let mut open = self.0.lock();
        if open.contains_key(id) {
            return None;
        }
        let token = CancellationToken::new();
        open.insert(id.to_owned(), token.clone());
        Some(token)
    }

    /// Nobody wants an answer any more.
    pub(super) fn close(&self, id: &str) {
        if let Some(token) = self.0.lock().remove(id) {
            token.cancel();
        }
    }

    /// The same for all.
    pub(super) fn close_all(&self) {
        for (_, token) in self.0.lock().drain() {
            token.cancel();
        }
    }
}

/// Takes what we added to the agent's question out of it: the id of the permission.
fn take_id(params: &mut Value) -> Option<String> {
    let members = params.as_object_mut()?;
    let meta = members.get_mut("_meta")?.as_object_mut()?;
    let id = meta.remove("agentos")?.get("permissionId")?.as_str()?.to_owned();
    if meta.is_empty() {
        members.remove("_meta");
    }
    Some(id)
}

/// The option that the editor chose, if it is one that was offered.
fn chosen(params: &Value, answer: &Value) -> Option<String> {
    let outcome = answer.get("outcome")?;
    if outcome.get("outcome")?.as_str() != Some("selected") {
        return None;
    }
    let id = outcome.get("optionId")?.as_str()?;
    let offered = params.get("options")?.as_array()?;
    offered
        .iter()
        .any(|option| option.get("optionId").and_then(Value::as_str) == Some(id))
        .then(|| id.to_owned())
}

impl Bridge {
    /// Asks the editor. When nobody waits for the answer any more, the question is taken back.
    pub(super) fn ask(self: &Arc<Self>, open: &Arc<Open>, event: SessionEvent) {
        let mut params = event.params;
        let Some(id) = take_id(&mut params) else { return };
        let Some(token) = open.asked.open(&id) else { return };
        params["sessionId"] = json!(open.id);
        let (bridge, open) = (Arc::clone(self), Arc::clone(open));
        begin(async move {
            let answer: Outcome = tokio::select! {
                biased;
                answer = bridge.connection.request("session/request_permission", None, &params, PATIENCE) => answer,
                // The editor hears of it as the request is dropped.
                () = token.cancelled() => return,
            };
            let answer = match answer {
                Ok(answer) => serde_json::from_str::<Value>(answer.get()).ok(),
                Err(Error::Rpc { .. } | Error::NotSupported { .. } | Error::Timeout { .. }) => None,
                // The editor has gone, and everything ends: that is no answer.
                Err(_) => return,
            };
            let option = answer.and_then(|answer| chosen(&params, &answer));
            // It may have been closed meanwhile, by its time or the end of its turn.
            let _ = match option {
                Some(option) => bridge.os.respond_permission_with(&open.id, &id, option).await,
                None => bridge.os.respond_permission(&open.id, &id, PermissionReply::Reject).await,
            };
            open.asked.close(&id);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_added_is_taken_out() {
        let mut params = json!({"toolCall": {}, "_meta": {"agentos": {"permissionId": "p"}, "x": 1}});
        assert_eq!(take_id(&mut params).as_deref(), Some("p"));
        assert_eq!(params, json!({"toolCall": {}, "_meta": {"x": 1}}));
        let mut params = json!({"_meta": {"agentos": {"permissionId": "p"}}});
        assert_eq!(take_id(&mut params).as_deref(), Some("p"));
        assert_eq!(params, json!({}));
        assert_eq!(take_id(&mut json!({"_meta": {}})), None);
    }

    #[test]
    fn an_answer_is_one_that_was_offered() {
        let params = json!({"options": [{"optionId": "a"}, {"optionId": "b"}]});
        let said = |outcome: Value| chosen(&params, &json!({ "outcome": outcome }));
        assert_eq!(said(json!({"outcome": "selected", "optionId": "b"})).as_deref(), Some("b"));
        for refused in [
            json!({"outcome": "selected", "optionId": "c"}),
            json!({"outcome": "cancelled"}),
            json!({"outcome": "cancelled", "optionId": "a"}),
            json!("selected"),
        ] {
            assert_eq!(said(refused), None);
        }
        assert_eq!(chosen(&params, &json!(null)), None);
    }
}
