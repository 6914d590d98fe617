//! Waiting for descriptors on a runtime of one thread that has no reactor: when nothing else is to be done, the thread waits
//! for all of them at once. Nothing here reads or writes.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use agentos_guest::fd;

/// Who waits for which descriptor.
#[derive(Clone, Default)]
pub(crate) struct Reactor {
    waiting: Arc<Mutex<Vec<(u32, Waker)>>>,
}

impl Reactor {
    /// Runs what `begin` makes, on this thread, to its end.
    pub(crate) fn run<T, F: Future<Output = T>>(begin: impl FnOnce(Reactor) -> F) -> io::Result<T> {
        let reactor = Reactor::default();
        let parked = reactor.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            // The runtime looks again for what to do after this, so whoever is woken here runs.
            .on_thread_park(move || parked.wait())
            .build()?;
        Ok(runtime.block_on(begin(reactor)))
    }

    /// Ready when a descriptor can be read or is at its end.
    pub(crate) fn poll_readable(&self, fd: u32, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match fd::wait_readable(fd, 0) {
            Ok(true) => Poll::Ready(Ok(())),
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Poll::Ready(Err(error)),
            _ => {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                waiting.retain(|(of, waker)| *of != fd || !waker.will_wake(cx.waker()));
                waiting.push((fd, cx.waker().clone()));
                Poll::Pending
            }
        }
    }

    /// All that is in a pipe, until its end or `most` bytes.
    pub(crate) async fn read_to_end(&self, from: &fd::Owned, most: usize) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        let mut part = [0; 16 << 10];
        loop {
            std::future::poll_fn(|cx| self.poll_readable(from.raw(), cx)).await?;
            match fd::read(from.raw(), &mut part) {
                Ok(0) => return Ok(all),
                Ok(n) => all.extend_from_slice(part.get(..n).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if all.len() > most {
                return Err(io::Error::other("more than was agreed"));
            }
        }
    }

    /// Waits for all descriptors and wakes those whose turn it is.
    fn wait(&self) {
        let fds: Vec<u32> =
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(fd, _)| *fd).collect();
        if fds.is_empty() {
            return;
        }
        // A caught signal, or a descriptor that is no good: everybody looks again.
        let ready = fd::wait_any_readable(&fds, -1).unwrap_or_else(|_| vec![true; fds.len()]);
        let mut woken = Vec::new();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut at = ready.iter();
        waiting.retain(|(_, waker)| {
            let stays = !at.next().copied().unwrap_or(false);
            if !stays {
                woken.push(waker.clone());
            }
            stays
        });
        drop(waiting);
        for waker in woken {
            waker.wake();
        }
    }
}

/// Standard input. Its end is held back until `idle` says that nothing is under way: what was asked is answered first.
pub(crate) struct Input<F> {
    reactor: Reactor,
    idle: F,
    ended: u8,
}

impl<F> Input<F> {
    pub(crate) fn new(reactor: Reactor, idle: F) -> Self {
        Input { reactor, idle, ended: 0 }
    }
}

/// Turns that others get between the end of the input and the first question whether something is under way: a message that
/// came just before has to be looked at, and its work begun.
const TURNS: u8 = 4;

impl<F: Fn(&mut Context<'_>) -> bool + Unpin> tokio::io::AsyncRead for Input<F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ended == 0 {
            std::task::ready!(self.reactor.poll_readable(0, cx))?;
            let mut part = [0; 16 << 10];
            let most = part.len().min(buf.remaining());
            let n = match fd::read(0, part.get_mut(..most).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                read => read?,
            };
            if n > 0 {
                buf.put_slice(part.get(..n).unwrap_or_default());
                return Poll::Ready(Ok(()));
            }
            self.ended = 1;
        }
        if self.ended <= TURNS {
            self.ended += 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if (self.idle)(cx) { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

/// Standard output. A peer that does not read makes this program wait, and only it.
pub(crate) struct Output;

impl tokio::io::AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(fd::write_all(1, buf).map(|()| buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
