//! The connection: the handle that both sides hold, and the rules of its end.
//! Reading is in `reader`, writing in `outgoing`.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::call::PendingCall;
use super::error::{CallError, ConnectionLost, StreamError};
use super::outgoing::{Outgoing, SendFailed};
use super::recv::{RecvState, RecvStream};
use super::responder::Responder;
use super::send::{SendState, SendStream};
use super::table::Table;
use super::{Limits, wakers::wake};
use crate::frame::{Kind, MAX_CONTROL};
use crate::message::{Call, Callback, Event, Request, WireError, code, encode, encode_named};
use crate::version::{Hello, Role};

/// What a side does with what it is told.
///
/// The methods are called by the task that reads the socket, in the order of arrival: they must not block, and hand longer
/// work to a task of their own. A stream that a request names must be accepted (see [`Responder::connection`]) before the
/// method returns, because its first bytes may follow right behind.
pub trait Handler: Send + Sync + 'static {
    /// A request of the client.
    fn request(&self, request: Request, responder: Responder) {
        responder.unsupported(request.method());
    }

    /// A callback of the sidecar.
    fn callback(&self, callback: Callback, responder: Responder) {
        responder.unsupported(callback.method());
    }

    /// An event.
    fn event(&self, event: Event) {
        let _ = event;
    }

    /// The connection ended; called once, by a task of its own, after every call and stream was ended.
    fn closed(&self, reason: &ConnectionLost) {
        let _ = reason;
    }
}

/// A connection. Clones are the same connection; it stays open until [`Connection::close`], or until the other side goes.
#[derive(Clone)]
pub struct Connection {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) role: Role,
    pub(super) peer: Hello,
    pub(super) limits: Limits,
    pub(super) outgoing: Outgoing,
    pub(super) table: Mutex<Table>,
    pub(super) handler: Arc<dyn Handler>,
    /// Cancelled at the end: the reader and the writer stop.
    pub(super) ended: CancellationToken,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("role", &self.inner.role).finish_non_exhaustive()
    }
}

impl Connection {
    /// What the other side said of itself.
    #[must_use]
    pub fn peer(&self) -> &Hello {
        &self.inner.peer
    }

    /// Its limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// Why it ended, if it has.
    #[must_use]
    pub fn lost(&self) -> Option<ConnectionLost> {
        self.inner.table.lock().lost.clone()
    }

    /// Ends when the connection does.
    pub async fn closed(&self) -> ConnectionLost {
        self.inner.ended.cancelled().await;
        self.lost().unwrap_or(ConnectionLost::Local)
    }

    /// Sends a call and waits for its reply. Dropping the future cancels the call.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call<C: Call>(&self, call: &C) -> Result<C::Reply, CallError> {
        self.start_call(call)?.await
    }

    /// Sends a call at once; the reply comes by the returned future. Use it where a stream named by the call is written
    /// to before the reply.
    ///
    /// # Errors
    /// [`CallError`] if it cannot be sent.
    pub fn start_call<C: Call>(&self, call: &C) -> Result<PendingCall<C>, CallError> {
        let payload = encode_named(C::METHOD, call)?;
        if payload.len() > MAX_CONTROL {
            return Err(CallError::TooLong { len: payload.len(), max: MAX_CONTROL });
        }
        let (slot, reply) = tokio::sync::oneshot::channel();
        let id = {
            let mut table = self.inner.table.lock();
            if let Some(lost) = &table.lost {
                return Err(lost.clone().into());
            }
            if table.calls.len() >= self.inner.limits.calls {
                return Err(CallError::Busy { calls: self.inner.limits.calls });
            }
            let id = table.next_call();
            table.calls.insert(id, slot);
            id
        };
        let kind = match self.inner.role {
            Role::Client => Kind::Request,
            Role::Sidecar => Kind::Callback,
        };
        let pending = PendingCall::new(Arc::clone(&self.inner), id, reply);
        self.inner.send(kind, 0, id, &payload)?;
        Ok(pending)
    }

    /// Sends an event. Returns `false` if it was left out because the other side does not keep up: events are for
    /// information only.
    ///
    /// # Errors
    /// If the connection ended.
    pub fn event(&self, event: &Event) -> Result<bool, CallError> {
        let payload = event.encode()?;
        if !self.inner.outgoing.is_ready() {
            return Ok(false);
        }
        self.inner.send(Kind::Event, 0, 0, &payload)?;
        Ok(true)
    }

    /// Opens a stream that this side writes to; its id goes into a call.
    ///
    /// # Errors
    /// [`StreamError::TooMany`], or if the connection ended.
    pub fn open_send(&self) -> Result<SendStream, StreamError> {
        let mut table = self.inner.table_for_stream()?;
        let id = table.next_stream();
        Ok(self.add_send(&mut table, id))
    }

    /// Opens a stream that this side reads from; its id goes into a call.
    ///
    /// # Errors
    /// [`StreamError::TooMany`], or if the connection ended.
    pub fn open_recv(&self) -> Result<RecvStream, StreamError> {
        let mut table = self.inner.table_for_stream()?;
        let id = table.next_stream();
        Ok(self.add_recv(&mut table, id))
    }

    /// Takes a stream that a call of the other side named, to write to it. May be done at any time.
    ///
    /// # Errors
    /// [`StreamError::BadId`], [`StreamError::TooMany`], or if the connection ended.
    pub fn accept_send(&self, id: u32) -> Result<SendStream, StreamError> {
        let mut table = self.inner.table_for_stream()?;
        self.inner.check_peer_stream(id, table.sends.contains_key(&id))?;
        Ok(self.add_send(&mut table, id))
    }

    /// Takes a stream that a call of the other side named, to read from it. To be done before the handler method returns.
    ///
    /// # Errors
    /// [`StreamError::BadId`], [`StreamError::TooMany`], or if the connection ended.
    pub fn accept_recv(&self, id: u32) -> Result<RecvStream, StreamError> {
        let mut table = self.inner.table_for_stream()?;
        self.inner.check_peer_stream(id, table.recvs.contains_key(&id))?;
        Ok(self.add_recv(&mut table, id))
    }

    fn add_send(&self, table: &mut Table, id: u32) -> SendStream {
        let state = Arc::new(SendState::new(self.inner.limits.window));
        table.sends.insert(id, Arc::clone(&state));
        SendStream::new(Arc::clone(&self.inner), id, state)
    }

    fn add_recv(&self, table: &mut Table, id: u32) -> RecvStream {
        let state = Arc::new(RecvState::new(self.inner.limits.window));
        table.recvs.insert(id, Arc::clone(&state));
        RecvStream::new(Arc::clone(&self.inner), id, state)
    }

    /// Ends the connection: everything open ends with [`ConnectionLost::Local`]; what was sent before is still
    /// delivered.
    pub fn close(&self) {
        self.goodbye(&WireError::new("closed", "closed"));
    }

    /// Ends the connection and tells the other side why.
    pub fn goodbye(&self, reason: &WireError) {
        self.inner.end(ConnectionLost::Local, Some(reason));
    }
}

impl Inner {
    /// Sends a frame; a failure ends the connection.
    pub(super) fn send(&self, kind: Kind, flags: u8, id: u32, payload: &[u8]) -> Result<(), ConnectionLost> {
        self.outgoing.send(kind, flags, id, payload).map_err(|failed| {
            let reason = match failed {
                SendFailed::Closed => return self.lost_or_local(),
                SendFailed::Stuck { waiting } => ConnectionLost::Stuck { waiting },
                SendFailed::Io(error) => error.into(),
            };
            self.end(reason.clone(), None);
            self.table.lock().lost.clone().unwrap_or(reason)
        })
    }

    pub(super) fn lost_or_local(&self) -> ConnectionLost {
        self.table.lock().lost.clone().unwrap_or(ConnectionLost::Local)
    }

    fn table_for_stream(&self) -> Result<parking_lot::MutexGuard<'_, Table>, StreamError> {
        let table = self.table.lock();
        if let Some(lost) = &table.lost {
            return Err(lost.clone().into());
        }
        if table.streams() >= self.limits.streams {
            return Err(StreamError::TooMany { streams: self.limits.streams });
        }
        Ok(table)
    }

    fn check_peer_stream(&self, id: u32, in_use: bool) -> Result<(), StreamError> {
        let parity = match self.role.peer() {
            Role::Client => 1,
            Role::Sidecar => 0,
        };
        if in_use || id == 0 || id % 2 != parity { Err(StreamError::BadId { id }) } else { Ok(()) }
    }

    /// Ends everything, once. The first reason stays.
    pub(super) fn end(&self, reason: ConnectionLost, goodbye: Option<&WireError>) {
        let (calls, incoming, sends, recvs) = {
            let mut table = self.table.lock();
            if table.lost.is_some() {
                return;
            }
            table.lost = Some(reason.clone());
            (
                std::mem::take(&mut table.calls),
                std::mem::take(&mut table.incoming),
                std::mem::take(&mut table.sends),
                std::mem::take(&mut table.recvs),
            )
        };
        match goodbye.and_then(|g| encode(g).ok()) {
            Some(payload) if self.outgoing.send(Kind::Goodbye, 0, 0, &payload).is_ok() => {
                self.outgoing.close_when_empty();
            }
            _ => self.outgoing.close_now(),
        }
        for slot in calls.into_values() {
            // A caller that no longer waits has dropped its end.
            let _ = slot.send(Err(reason.clone()));
        }
        for state in sends.into_values() {
            wake(state.end(reason.clone().into()));
        }
        for state in recvs.into_values() {
            wake(state.end(reason.clone().into()));
        }
        for token in incoming.into_values() {
            token.cancel();
        }
        self.ended.cancel();
    }

    /// Ends the connection because of what the other side sent.
    pub(super) fn violated(&self, message: String) {
        tracing::warn!(%message, "the other side broke the protocol");
        let goodbye = WireError::new(code::PROTOCOL, message.clone());
        self.end(ConnectionLost::Protocol { message }, Some(&goodbye));
    }
}
