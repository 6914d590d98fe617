//! Standard output, and the news that nobody reads it any more.

use std::io::Result;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;
use tokio_util::sync::CancellationToken;

/// A stream that says when it has failed or was shut down.
pub(super) struct Watched<W> {
    inner: W,
    over: CancellationToken,
}

impl<W> Watched<W> {
    pub(super) fn new(inner: W) -> (Self, CancellationToken) {
        let over = CancellationToken::new();
        (Watched { inner, over: over.clone() }, over)
    }

    fn note<T>(&self, result: Result<T>) -> Poll<Result<T>> {
        if result.is_err() {
            self.over.cancel();
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
        self.over.cancel();
        Poll::Ready(shut)
    }
}
