//! Output that goes to the client as it comes.

use std::task::{Context, Poll, Waker};

use agentos_kernel::{Errno, HostStream, Interest};
use agentos_protocol::mux::SendStream;
use parking_lot::RwLock;

use super::errno_of;

/// A stream to the client; a slow client stops only its own programs. After [`Live::finish`] what is still written by
/// leftover background processes goes nowhere.
pub(crate) struct Live(RwLock<Option<SendStream>>);

impl Live {
    pub(crate) fn new(stream: SendStream) -> Self {
        Self(RwLock::new(Some(stream)))
    }

    /// Ends the stream well.
    pub(crate) fn finish(&self) {
        if let Some(stream) = self.0.write().take() {
            stream.finish();
        }
    }
}

impl HostStream for Live {
    fn poll_read(&self, _cx: &mut Context<'_>, _buf: &mut [u8]) -> Poll<Result<usize, Errno>> {
        Poll::Ready(Err(Errno::EBADF))
    }

    fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, Errno>> {
        match &*self.0.read() {
            Some(stream) => stream.poll_write(cx, data).map_err(|e| errno_of(&e)),
            None => Poll::Ready(Ok(data.len())),
        }
    }

    fn poll_ready(&self, cx: &mut Context<'_>, interest: Interest) -> Poll<usize> {
        match (&*self.0.read(), interest) {
            (_, Interest::Read) => Poll::Pending,
            (Some(stream), Interest::Write) => stream.poll_ready(cx).map(|()| 0),
            (None, Interest::Write) => Poll::Ready(0),
        }
    }

    fn leave(&self, _waker: &Waker) {
        // The stream keeps a bounded number of wakers itself.
    }

    fn closed(&self) {}
}
