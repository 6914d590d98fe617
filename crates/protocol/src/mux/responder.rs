//! The duty to answer a call, exactly once.
//! It does not choose the answer; dropped without one it sends an `internal` error, so that no caller waits for ever.

use std::sync::Arc;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, Inner};
use crate::frame::{FLAG_ERROR, Kind, MAX_CONTROL};
use crate::message::{Call, WireError, code, encode};
use crate::version::Role;

/// Answers a call. The answer is written straight to the socket by the thread that gives it.
#[must_use = "a call must be answered"]
pub struct Responder {
    inner: Arc<Inner>,
    id: u32,
    token: CancellationToken,
    open: bool,
}

impl std::fmt::Debug for Responder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Responder").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Responder {
    pub(super) fn new(inner: Arc<Inner>, id: u32, token: CancellationToken) -> Self {
        Responder { inner, id, token, open: true }
    }

    /// The connection the call came by, to accept the streams it names.
    #[must_use]
    pub fn connection(&self) -> Connection {
        Connection { inner: Arc::clone(&self.inner) }
    }

    /// Cancelled when the caller no longer waits or the connection ends. The call should still be answered.
    #[must_use]
    pub fn cancelled(&self) -> &CancellationToken {
        &self.token
    }

    /// Answers. If the connection ended the answer is dropped.
    pub fn reply<C: Call>(self, result: Result<C::Reply, WireError>) {
        match result {
            Ok(reply) => self.send_value(&reply),
            Err(error) => self.error(&error),
        }
    }

    /// Answers with an error.
    pub fn error(mut self, error: &WireError) {
        self.send_error(error);
    }

    /// Answers a call that was never entered into the table; its number may belong to another one.
    pub(super) fn refuse(mut self, error: &WireError) {
        self.open = false;
        self.write(FLAG_ERROR, &encode(error).unwrap_or_default());
    }

    /// Answers that this side does not know the method or cannot do it.
    pub fn unsupported(self, method: &str) {
        self.error(&WireError::new(code::UNSUPPORTED, format!("{method} is not supported by this version")));
    }

    fn send_value<T: Serialize>(mut self, value: &T) {
        match encode(value) {
            Ok(payload) if payload.len() <= MAX_CONTROL => self.send(0, &payload),
            Ok(payload) => {
                let message =
                    format!("the reply has {} bytes, more than a frame of {MAX_CONTROL}", payload.len());
                self.send_error(&WireError::new(code::INTERNAL, message));
            }
            Err(error) => self.send_error(&WireError::new(code::INTERNAL, error.to_string())),
        }
    }

    fn send_error(&mut self, error: &WireError) {
        match encode(error) {
            Ok(payload) if payload.len() <= MAX_CONTROL => self.send(FLAG_ERROR, &payload),
            _ => {
                let short = WireError::new(code::INTERNAL, "the error is too long to be sent");
                self.send(FLAG_ERROR, &encode(&short).unwrap_or_default());
            }
        }
    }

    fn send(&mut self, flags: u8, payload: &[u8]) {
        if !std::mem::replace(&mut self.open, false) {
            return;
        }
        self.inner.table.lock().incoming.remove(&self.id);
        self.write(flags, payload);
    }

    fn write(&self, flags: u8, payload: &[u8]) {
        let kind = match self.inner.role {
            Role::Client => Kind::CallbackReply,
            Role::Sidecar => Kind::Response,
        };
        // If it cannot be sent the connection ended, and the caller knows.
        let _ = self.inner.send(kind, flags, self.id, payload);
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if self.open {
            self.send_error(&WireError::new(code::INTERNAL, "the call was dropped without an answer"));
        }
    }
}
