//! Output that travels inside the reply while it is small, and on a stream once it is not.

use std::task::{Context, Poll, Waker, ready};

use agentos_kernel::{Errno, HostStream, Interest};
use agentos_protocol::Connection;
use agentos_protocol::message::Captured;
use agentos_protocol::mux::SendStream;
use parking_lot::Mutex;

use super::errno_of;

enum State {
    /// Everything so far.
    Inline(Vec<u8>),
    /// The first bytes that were not sent yet, and the stream.
    Streaming(Vec<u8>, SendStream),
    /// The reply was given: what leftover background processes write goes nowhere.
    Done,
}

/// Captured output of one program.
pub(crate) struct Capture {
    connection: Connection,
    stream: u32,
    limit: usize,
    state: Mutex<State>,
}

impl Capture {
    pub(crate) fn new(connection: Connection, stream: u32, limit: usize) -> Self {
        Self { connection, stream, limit, state: Mutex::new(State::Inline(Vec::new())) }
    }

    /// Whether everything is inline or sent; pending while the client is slow.
    fn poll_flush(state: &mut State, cx: &mut Context<'_>) -> Poll<Result<(), Errno>> {
        if let State::Streaming(pending, stream) = state {
            while !pending.is_empty() {
                let n = ready!(stream.poll_write(cx, pending)).map_err(|e| errno_of(&e))?;
                pending.drain(..n);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Ends it: what goes into the reply. What waits for the stream is sent first, however slow the client is.
    pub(crate) async fn finish(&self) -> Captured {
        std::future::poll_fn(|cx| Self::poll_flush(&mut self.state.lock(), cx).map(|_| ())).await;
        self.take()
    }

    /// The same if nothing has to be waited for.
    pub(crate) fn finish_now(&self) -> Option<Captured> {
        let mut state = self.state.lock();
        match std::mem::replace(&mut *state, State::Done) {
            State::Inline(data) => Some(Captured { data, streamed: false }),
            State::Done => Some(Captured::default()),
            streaming @ State::Streaming(..) => {
                *state = streaming;
                None
            }
        }
    }

    fn take(&self) -> Captured {
        match std::mem::replace(&mut *self.state.lock(), State::Done) {
            State::Inline(data) => Captured { data, streamed: false },
            State::Streaming(_, stream) => {
                stream.finish();
                Captured { data: Vec::new(), streamed: true }
            }
            State::Done => Captured::default(),
        }
    }
}

impl HostStream for Capture {
    fn poll_read(&self, _cx: &mut Context<'_>, _buf: &mut [u8]) -> Poll<Result<usize, Errno>> {
        Poll::Ready(Err(Errno::EBADF))
    }

    fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, Errno>> {
        let mut state = self.state.lock();
        if let State::Inline(buffer) = &mut *state {
            if buffer.len() + data.len() <= self.limit {
                buffer.extend_from_slice(data);
                return Poll::Ready(Ok(data.len()));
            }
            let stream = match self.connection.accept_send(self.stream) {
                Ok(stream) => stream,
                Err(error) => return Poll::Ready(Err(errno_of(&error))),
            };
            let buffer = std::mem::take(buffer);
            *state = State::Streaming(buffer, stream);
        }
        ready!(Self::poll_flush(&mut state, cx))?;
        match &*state {
            State::Streaming(_, stream) => stream.poll_write(cx, data).map_err(|e| errno_of(&e)),
            State::Inline(_) | State::Done => Poll::Ready(Ok(data.len())),
        }
    }

    fn poll_ready(&self, cx: &mut Context<'_>, interest: Interest) -> Poll<usize> {
        if interest == Interest::Read {
            return Poll::Pending;
        }
        let mut state = self.state.lock();
        ready!(Self::poll_flush(&mut state, cx)).ok();
        match &*state {
            State::Streaming(_, stream) => stream.poll_ready(cx).map(|()| 0),
            State::Inline(_) | State::Done => Poll::Ready(0),
        }
    }

    fn leave(&self, _waker: &Waker) {}

    fn closed(&self) {}
}
