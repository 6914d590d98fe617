//! A call that makes something on the other side, which is undone if its caller goes before it has the reply.
//! What becomes of it afterwards is the caller's affair.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use agentos_protocol::message::Call;
use agentos_protocol::mux::{CallError, PendingCall};

use super::Link;
use crate::wire;

/// From a reply to the call that takes back what was made.
type Undo<C, D> = Box<dyn FnOnce(<C as Call>::Reply) -> D + Send>;

/// The reply to such a call. Dropped before it came, the call is cancelled; if the reply was under way already, or nobody
/// looked at it, what it made is taken back.
pub(crate) struct Making<C: Call, D: Call> {
    link: Arc<Link>,
    open: Option<(PendingCall<C>, Undo<C, D>)>,
}

impl<C: Call, D: Call> Making<C, D> {
    pub(crate) fn new(
        link: &Arc<Link>,
        pending: PendingCall<C>,
        undo: impl FnOnce(C::Reply) -> D + Send + 'static,
    ) -> Self {
        Making { link: Arc::clone(link), open: Some((pending, Box::new(undo))) }
    }
}

impl<C: Call, D: Call> Future for Making<C, D> {
    type Output = Result<C::Reply, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some((pending, _)) = &mut self.open else { return Poll::Pending };
        let reply = ready!(Pin::new(pending).poll(cx));
        self.open = None;
        Poll::Ready(reply)
    }
}

impl<C: Call, D: Call> Drop for Making<C, D> {
    fn drop(&mut self) {
        let Some((pending, undo)) = self.open.take() else { return };
        pending.cancel();
        let (link, Ok(wire)) = (Arc::clone(&self.link), wire::wire()) else { return };
        wire.spawn(async move {
            let Ok(made) = pending.await else { return };
            // Fails if it is gone already, or its VM is.
            if let Ok(undone) = link.connection().start_call(&undo(made)) {
                let _ = undone.await;
            }
        });
    }
}
