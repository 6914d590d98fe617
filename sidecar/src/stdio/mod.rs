//! The standard streams of programs that the host started. They move bytes and decide nothing.

mod capture;
mod input;
mod live;
mod ring;

pub(crate) use capture::Capture;
pub(crate) use input::{InlineInput, StreamInput};
pub(crate) use live::Live;
pub(crate) use ring::Ring;

use std::task::{Context, Poll, Waker};

use agentos_kernel::{Errno, HostStream, Interest};
use agentos_protocol::mux::StreamError;

/// What a guest sees of a stream error: a reader that went away is a broken pipe, a lost connection an I/O error.
fn errno_of(error: &StreamError) -> Errno {
    match error {
        StreamError::Closed | StreamError::Finished => Errno::EPIPE,
        _ => Errno::EIO,
    }
}

/// A stream without bytes: input that is at its end, output that goes nowhere.
pub(crate) struct Nothing;

impl HostStream for Nothing {
    fn poll_read(&self, _cx: &mut Context<'_>, _buf: &mut [u8]) -> Poll<Result<usize, Errno>> {
        Poll::Ready(Ok(0))
    }

    fn poll_write(&self, _cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, Errno>> {
        Poll::Ready(Ok(data.len()))
    }

    fn poll_ready(&self, _cx: &mut Context<'_>, _interest: Interest) -> Poll<usize> {
        Poll::Ready(0)
    }

    fn leave(&self, _waker: &Waker) {}

    fn closed(&self) {}
}
