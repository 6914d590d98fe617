//! A request of the agent and the one chance to answer it. It does not judge the request.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use super::Inner;
use crate::envelope::{self, Id, RpcError, code};

/// A request of the agent.
#[derive(Debug)]
pub struct IncomingRequest {
    /// The method.
    pub method: String,
    /// Its parameters.
    pub params: Option<Box<RawValue>>,
    /// For the answer.
    pub responder: Responder,
}

/// Answers one request. If it is dropped unanswered, the agent gets −32603.
pub struct Responder {
    pub(super) inner: Arc<Inner>,
    pub(super) id: Option<Id>,
    pub(super) cancelled: CancellationToken,
    pub(super) _slot: OwnedSemaphorePermit,
}

impl std::fmt::Debug for Responder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Responder").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Responder {
    /// Answers with a result. Nothing happens if the connection is over.
    pub async fn ok<T: Serialize + ?Sized>(mut self, result: &T) {
        let Some(line) = self.take(|id| envelope::answer(id, Ok(result))) else { return };
        let _ = self.inner.outbox.send(line).await;
    }

    /// Answers with an error. Nothing happens if the connection is over.
    pub async fn error(self, code: i64, message: &str) {
        self.refuse(&RpcError::new(code, message)).await;
    }

    /// The same with an error that has more to say.
    pub async fn refuse(mut self, error: &RpcError) {
        let Some(line) = self.take(|id| envelope::answer::<()>(id, Err(error))) else { return };
        let _ = self.inner.outbox.send(line).await;
    }

    /// Resolves when the agent withdraws the request with `$/cancel_request`. It still wants an answer: −32800.
    pub fn cancelled(&self) -> WaitForCancellationFuture<'_> {
        self.cancelled.cancelled()
    }

    /// A token for the same, to wait elsewhere.
    #[must_use]
    pub fn cancel_token(&self) -> CancellationToken {
        self.cancelled.clone()
    }

    /// Encodes the answer and takes the id out of the table, so that the agent may use it again.
    fn take(&mut self, encode: impl FnOnce(&Id) -> serde_json::Result<Vec<u8>>) -> Option<Vec<u8>> {
        let id = self.id.take()?;
        self.inner.incoming.lock().remove(&id);
        match encode(&id) {
            Ok(line) if line.len() <= self.inner.limits.line_bytes => Some(line),
            _ => {
                let error = RpcError::new(code::INTERNAL_ERROR, "the answer cannot be sent");
                envelope::answer::<()>(&id, Err(&error)).ok()
            }
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        let error = RpcError::new(code::INTERNAL_ERROR, "not answered");
        if let Some(line) = self.take(|id| envelope::answer::<()>(id, Err(&error))) {
            self.inner.outbox.try_send(line);
        }
    }
}
