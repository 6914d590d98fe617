//! Standard input: bytes that came with the request, or a stream of the client.

use std::task::{Context, Poll, Waker};

use agentos_kernel::{Errno, HostStream, Interest, Waiters};
use agentos_protocol::mux::{RecvStream, StreamError};
use parking_lot::Mutex;

use super::errno_of;

/// Bytes that came with the request, then the end.
pub(crate) struct InlineInput(Mutex<(Vec<u8>, usize)>);

impl InlineInput {
    pub(crate) fn new(data: Vec<u8>) -> Self {
        Self(Mutex::new((data, 0)))
    }
}

impl HostStream for InlineInput {
    fn poll_read(&self, _cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize, Errno>> {
        let mut state = self.0.lock();
        let (data, at) = &mut *state;
        let n = buf.len().min(data.len() - *at);
        buf[..n].copy_from_slice(&data[*at..*at + n]);
        *at += n;
        Poll::Ready(Ok(n))
    }

    fn poll_write(&self, _cx: &mut Context<'_>, _data: &[u8]) -> Poll<Result<usize, Errno>> {
        Poll::Ready(Err(Errno::EBADF))
    }

    fn poll_ready(&self, _cx: &mut Context<'_>, _interest: Interest) -> Poll<usize> {
        let state = self.0.lock();
        Poll::Ready(state.0.len() - state.1)
    }

    fn leave(&self, _waker: &Waker) {}

    fn closed(&self) {
        *self.0.lock() = (Vec::new(), 0);
    }
}

/// A stream of the client. One chunk is held back, so that readiness can be told before a read.
pub(crate) struct StreamInput {
    stream: RecvStream,
    state: Mutex<Held>,
    readers: Waiters,
}

#[derive(Default)]
struct Held {
    chunk: Vec<u8>,
    at: usize,
    end: Option<Result<(), Errno>>,
}

impl StreamInput {
    pub(crate) fn new(stream: RecvStream) -> Self {
        Self { stream, state: Mutex::default(), readers: Waiters::new() }
    }

    /// Fills the held chunk; pending while nothing came.
    fn fill(&self, cx: &mut Context<'_>, held: &mut Held) -> Poll<()> {
        if held.at < held.chunk.len() || held.end.is_some() {
            return Poll::Ready(());
        }
        self.readers.register(cx.waker());
        match self.stream.poll_chunk(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(Some(chunk))) => (held.chunk, held.at) = (chunk.to_vec(), 0),
            Poll::Ready(Ok(None)) => held.end = Some(Ok(())),
            // A client that resets its input or is gone ends it.
            Poll::Ready(Err(StreamError::Closed | StreamError::Reset { .. })) => held.end = Some(Ok(())),
            Poll::Ready(Err(error)) => held.end = Some(Err(errno_of(&error))),
        }
        // Others that wait look again: the stream knows only the last few of its waiters.
        self.readers.wake();
        Poll::Ready(())
    }
}

impl HostStream for StreamInput {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize, Errno>> {
        let mut held = self.state.lock();
        if self.fill(cx, &mut held).is_pending() {
            return Poll::Pending;
        }
        let rest = held.chunk.len() - held.at;
        if rest == 0 {
            return Poll::Ready(held.end.unwrap_or(Ok(())).map(|()| 0));
        }
        let n = buf.len().min(rest);
        buf[..n].copy_from_slice(&held.chunk[held.at..held.at + n]);
        held.at += n;
        Poll::Ready(Ok(n))
    }

    fn poll_write(&self, _cx: &mut Context<'_>, _data: &[u8]) -> Poll<Result<usize, Errno>> {
        Poll::Ready(Err(Errno::EBADF))
    }

    fn poll_ready(&self, cx: &mut Context<'_>, interest: Interest) -> Poll<usize> {
        if interest == Interest::Write {
            return Poll::Pending;
        }
        let mut held = self.state.lock();
        if self.fill(cx, &mut held).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(held.chunk.len() - held.at)
    }

    fn leave(&self, waker: &Waker) {
        self.readers.unregister(waker);
    }

    fn closed(&self) {
        // The client's writes fail from now on, instead of filling a window that nobody empties.
        self.stream.close();
    }
}
