//! Standard output, and the news that nobody reads it any more.

use std::io::Result;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;
use tokio_util::sync::CancellationToken;

/// A stream that says how it came to its end.
pub(super) struct Watched<W> {
    inner: W,
    seen: Seen,
}

/// The end of a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// It failed: nobody reads it.
    pub(super) broken: CancellationToken,
    /// All was written, and it was shut down.
    pub(super) shut: CancellationToken,
}

impl<W> Watched<W> {
    pub(super) fn new(inner: W) -> (Self, Seen) {
        let seen = Seen::default();
        (Watched { inner, seen: seen.clone() }, seen)
    }

    fn note<T>(&self, result: Result<T>) -> Poll<Result<T>> {
        if result.is_err() {
            self.seen.broken.cancel();
        }
        Poll::Ready(result)
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Watched<W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, bytes));
        self.note(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let flushed = ready!(Pin::new(&mut self.inner).poll_flush(cx));
        self.note(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let shut = ready!(Pin::new(&mut self.inner).poll_shutdown(cx));
        self.seen.shut.cancel();
        Poll::Ready(shut)
    }
}
