//! What the agent of a session says, passed on as it is said. Only the session's id is another.

use std::sync::Arc;

use agentos::{Error, SessionEvent, SessionEventStream};
use serde_json::{Value, json};

use super::bridge::{Bridge, Open};
use crate::output;

/// The beginning of what is the machine's and no agent's.
const OURS: &str = "_agentos/";

impl Bridge {
    /// Passes on all that comes, until the session ends or nobody wants it.
    pub(super) async fn follow(self: Arc<Self>, open: Arc<Open>, mut events: SessionEventStream) {
        let _over = open.over.clone().drop_guard();
        let mut unread = false;
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = open.stop.cancelled() => return,
            };
            match event {
                Some(Ok(event)) => {
                    let seq = event.seq;
                    self.tell(&open, event).await;
                    open.seen.send_replace(seq);
                }
                Some(Err(Error::SidecarExited { .. })) => {
                    self.lost.cancel();
                    break;
                }
                Some(Err(error)) => {
                    // The log has no gaps: this was the next one.
                    open.seen.send_modify(|seen| *seen += 1);
                    // Once is enough: an agent could go on with it.
                    if !std::mem::replace(&mut unread, true) {
                        output::note(&format!(
                            "agentos: an event of session {} is left out: {error}",
                            open.id
                        ));
                    }
                }
                None => break,
            }
        }
        open.asked.close_all();
    }

    /// Passes on what one event says to an editor.
    pub(super) async fn tell(self: &Arc<Self>, open: &Arc<Open>, event: SessionEvent) {
        match event.method.as_str() {
            "session/update" => self.update(open, event.params).await,
            "session/request_permission" => self.ask(open, event),
            "_agentos/permission_resolved" => {
                if let Some(id) = event.params.get("permissionId").and_then(Value::as_str) {
                    open.asked.close(id);
                }
            }
            own if own.starts_with('_') && !own.starts_with(OURS) => {
                let mut params = event.params;
                if let Some(id) = params.get_mut("sessionId") {
                    *id = json!(open.id);
                }
                self.notify(own, &params).await;
            }
            _ => {}
        }
    }

    /// Passes on an update, if the editor takes its kind.
    pub(super) async fn update(&self, open: &Open, mut params: Value) {
        let kind = params.pointer("/update/sessionUpdate").and_then(Value::as_str).unwrap_or_default();
        if !self.client.takes(kind) {
            return;
        }
        if kind == "config_option_update"
            && let Some(update) = params.get_mut("update").and_then(Value::as_object_mut)
        {
            self.client.fit(update);
        }
        if params.is_object() {
            params["sessionId"] = json!(open.id);
            self.notify("session/update", &params).await;
        }
    }

    async fn notify(&self, method: &str, params: &Value) {
        // Without a connection everything ends; a message over its limits is one that no agent may send either.
        let _ = self.connection.notify(method, params).await;
    }
}
