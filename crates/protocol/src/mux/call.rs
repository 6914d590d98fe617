//! A call under way: the future of its reply.
//! It does not time out by itself; dropping it cancels the call.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;

use super::connection::Inner;
use super::error::{CallError, ConnectionLost};
use super::table::RawReply;
use crate::frame::Kind;
use crate::message::{Call, WireError, decode};

/// The reply to a call that was sent. Dropping it before the reply came tells the other side that nobody waits.
#[must_use = "the reply comes by awaiting it, and dropping it cancels the call"]
pub struct PendingCall<C: Call> {
    inner: Arc<Inner>,
    id: u32,
    reply: oneshot::Receiver<Result<RawReply, ConnectionLost>>,
    open: bool,
    call: PhantomData<fn() -> C>,
}

impl<C: Call> PendingCall<C> {
    pub(super) fn new(
        inner: Arc<Inner>,
        id: u32,
        reply: oneshot::Receiver<Result<RawReply, ConnectionLost>>,
    ) -> Self {
        PendingCall { inner, id, reply, open: true, call: PhantomData }
    }
}

impl<C: Call> PendingCall<C> {
    /// Tells the other side that nobody waits, but goes on waiting: for a caller that has to undo what the call made if
    /// its reply was under way already.
    pub fn cancel(&self) {
        if self.open && self.inner.table.lock().calls.contains_key(&self.id) {
            // If it cannot be sent the connection ended, and the call with it.
            let _ = self.inner.send(Kind::Cancel, 0, self.id, &[]);
        }
    }
}

impl<C: Call> std::fmt::Debug for PendingCall<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PendingCall")
            .field("method", &C::METHOD)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl<C: Call> Future for PendingCall<C> {
    type Output = Result<C::Reply, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let raw = ready!(Pin::new(&mut self.reply).poll(cx));
        self.open = false;
        Poll::Ready(match raw {
            Err(_) => Err(self.inner.lost_or_local().into()),
            Ok(Err(lost)) => Err(lost.into()),
            Ok(Ok(RawReply { payload, is_error: true })) => match decode::<WireError>(&payload) {
                Ok(error) => Err(CallError::Remote(error)),
                Err(malformed) => Err(malformed.into()),
            },
            Ok(Ok(RawReply { payload, is_error: false })) => Ok(decode::<C::Reply>(&payload)?),
        })
    }
}

impl<C: Call> Drop for PendingCall<C> {
    fn drop(&mut self) {
        if self.open && self.inner.table.lock().calls.remove(&self.id).is_some() {
            // If it cannot be sent the connection ended, and the call with it.
            let _ = self.inner.send(Kind::Cancel, 0, self.id, &[]);
        }
    }
}
