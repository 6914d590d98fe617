//! An answer that is usually there at once: no allocation and no suspension for local file systems.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::Result;

/// The answer of a file system: there now, or coming.
///
/// Memory file systems always answer [`Reply::Now`]; a host directory or a driver in the client may answer
/// [`Reply::Later`]. It is awaited like any future.
///
/// ```
/// use agentos_vfs::Reply;
/// let reply = Reply::Now(Ok(7));
/// assert!(matches!(reply, Reply::Now(Ok(7))));
/// ```
#[must_use = "a reply does nothing until it is awaited"]
pub enum Reply<'a, T> {
    /// The answer.
    Now(Result<T>),
    /// A future of the answer.
    Later(Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>),
}

impl<'a, T> Reply<'a, T> {
    /// An answer that needs `future` to end first.
    pub fn later(future: impl Future<Output = Result<T>> + Send + 'a) -> Self {
        Reply::Later(Box::pin(future))
    }
}

impl<T> From<Result<T>> for Reply<'_, T> {
    fn from(result: Result<T>) -> Self {
        Reply::Now(result)
    }
}

/// Takes an answer that is there as it is, and awaits only one that is coming: on hot paths, where moving an answer
/// through a future costs as much as finding it. An async block or function around it is needed.
///
/// ```
/// use agentos_vfs::{Reply, reply};
/// # async fn example() -> agentos_vfs::Result<()> {
/// assert_eq!(reply!(Reply::Now(Ok(7)))?, 7);
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! reply {
    ($reply:expr) => {
        match $reply {
            $crate::Reply::Now(result) => result,
            $crate::Reply::Later(future) => future.await,
        }
    };
}

/// The future of a [`Reply`].
pub struct ReplyFuture<'a, T>(Option<Reply<'a, T>>);

impl<T> Unpin for ReplyFuture<'_, T> {}

impl<T> Future for ReplyFuture<'_, T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        match self.0.take().expect("a finished reply is not polled again") {
            Reply::Now(result) => Poll::Ready(result),
            Reply::Later(mut future) => match future.as_mut().poll(cx) {
                Poll::Ready(result) => Poll::Ready(result),
                Poll::Pending => {
                    self.0 = Some(Reply::Later(future));
                    Poll::Pending
                }
            },
        }
    }
}

impl<'a, T> IntoFuture for Reply<'a, T> {
    type Output = Result<T>;
    type IntoFuture = ReplyFuture<'a, T>;

    fn into_future(self) -> ReplyFuture<'a, T> {
        ReplyFuture(Some(self))
    }
}
