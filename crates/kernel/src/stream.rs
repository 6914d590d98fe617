//! Byte streams to and from the host: the standard streams of a program that the host started.

use std::task::{Context, Poll, Waker};

use crate::Result;

/// What a caller waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// To read.
    Read,
    /// To write.
    Write,
}

/// A stream whose other end is on the host. The embedder implements it.
///
/// Several processes may share one stream, so an implementation keeps **every** registered waker (see
/// [`Waiters`](crate::Waiters)) and wakes them all.
pub trait HostStream: Send + Sync + 'static {
    /// Reads some bytes; 0 at the end. EBADF when it is a sink.
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize>>;

    /// Takes some bytes. EPIPE when nobody reads any more.
    fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize>>;

    /// Ready when a read or write would not wait; then how many bytes are known to be there (0 if not known).
    fn poll_ready(&self, cx: &mut Context<'_>, interest: Interest) -> Poll<usize>;

    /// Takes `waker` out again.
    fn leave(&self, waker: &Waker);

    /// The last guest descriptor was closed.
    fn closed(&self);
}
