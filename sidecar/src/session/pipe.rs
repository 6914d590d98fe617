//! A byte channel between a standard stream of an agent and the host: bounded, with back-pressure both ways.
//! It moves bytes and knows nothing of lines or messages.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use agentos_kernel::{Errno, HostStream, Interest, Waiters};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that wait in one channel.
pub(crate) const CAPACITY: usize = 64 << 10;

#[derive(Default)]
struct State {
    bytes: VecDeque<u8>,
    /// Nobody writes any more: the reader gets what is left, then the end.
    finished: bool,
    /// Nobody reads any more: a broken pipe for the writer.
    broken: bool,
}

/// The channel. Wakers are registered under the lock of the state, and woken after a change of it: none is missed.
#[derive(Default)]
struct Channel {
    state: Mutex<State>,
    readable: Waiters,
    writable: Waiters,
}

impl Channel {
    fn poll_read(&self, waker: &Waker, buf: &mut [u8]) -> Poll<usize> {
        let mut state = self.state.lock();
        if state.bytes.is_empty() && !state.finished && !buf.is_empty() {
            self.readable.register(waker);
            return Poll::Pending;
        }
        let n = buf.len().min(state.bytes.len());
        let (front, back) = state.bytes.as_slices();
        let cut = n.min(front.len());
        buf[..cut].copy_from_slice(&front[..cut]);
        buf[cut..n].copy_from_slice(&back[..n - cut]);
        state.bytes.drain(..n);
        drop(state);
        self.writable.wake();
        Poll::Ready(n)
    }

    /// `None`: the pipe is broken.
    fn poll_write(&self, waker: &Waker, data: &[u8]) -> Poll<Option<usize>> {
        let mut state = self.state.lock();
        if state.broken || state.finished {
            return Poll::Ready(None);
        }
        let n = data.len().min(CAPACITY - state.bytes.len());
        if n == 0 && !data.is_empty() {
            self.writable.register(waker);
            return Poll::Pending;
        }
        state.bytes.extend(&data[..n]);
        drop(state);
        self.readable.wake();
        Poll::Ready(Some(n))
    }

    fn poll_ready(&self, waker: &Waker, interest: Interest) -> Poll<usize> {
        let state = self.state.lock();
        let (ready, waiters) = match interest {
            Interest::Read => (!state.bytes.is_empty() || state.finished, &self.readable),
            Interest::Write => {
                (state.bytes.len() < CAPACITY || state.broken || state.finished, &self.writable)
            }
        };
        if ready {
            return Poll::Ready(if interest == Interest::Read { state.bytes.len() } else { 0 });
        }
        waiters.register(waker);
        Poll::Pending
    }

    fn finish(&self) {
        self.state.lock().finished = true;
        self.readable.wake();
        self.writable.wake();
    }

    fn break_off(&self) {
        {
            let mut state = self.state.lock();
            state.broken = true;
            state.bytes = VecDeque::new();
        }
        self.readable.wake();
        self.writable.wake();
    }
}

/// The guest's end: what its descriptor is open on.
struct GuestEnd {
    channel: Arc<Channel>,
    /// What the guest does with it.
    use_of: Interest,
}

impl HostStream for GuestEnd {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize, Errno>> {
        match self.use_of {
            Interest::Read => self.channel.poll_read(cx.waker(), buf).map(Ok),
            Interest::Write => Poll::Ready(Err(Errno::EBADF)),
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, Errno>> {
        match self.use_of {
            Interest::Read => Poll::Ready(Err(Errno::EBADF)),
            Interest::Write => self.channel.poll_write(cx.waker(), data).map(|n| n.ok_or(Errno::EPIPE)),
        }
    }

    fn poll_ready(&self, cx: &mut Context<'_>, interest: Interest) -> Poll<usize> {
        if interest == self.use_of { self.channel.poll_ready(cx.waker(), interest) } else { Poll::Pending }
    }

    fn leave(&self, waker: &Waker) {
        self.channel.readable.unregister(waker);
        self.channel.writable.unregister(waker);
    }

    fn closed(&self) {
        match self.use_of {
            Interest::Read => self.channel.break_off(),
            Interest::Write => self.channel.finish(),
        }
    }
}

/// Writes to the guest. Dropping it, or shutting it down, is the end of the guest's input.
pub(crate) struct HostWriter(Arc<Channel>);

/// Reads from the guest. Dropping it breaks the guest's pipe.
pub(crate) struct HostReader(Arc<Channel>);

/// A channel into the guest: its standard input.
pub(crate) fn to_guest() -> (HostWriter, Arc<dyn HostStream>) {
    let channel = Arc::<Channel>::default();
    (HostWriter(Arc::clone(&channel)), Arc::new(GuestEnd { channel, use_of: Interest::Read }))
}

/// A channel out of the guest: its standard output or error.
pub(crate) fn from_guest() -> (HostReader, Arc<dyn HostStream>) {
    let channel = Arc::<Channel>::default();
    (HostReader(Arc::clone(&channel)), Arc::new(GuestEnd { channel, use_of: Interest::Write }))
}

impl AsyncWrite for HostWriter {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx.waker(), data).map(|n| n.ok_or_else(|| io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.finish();
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for HostReader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let free = buf.initialize_unfilled();
        self.0.poll_read(cx.waker(), free).map(|n| {
            buf.advance(n);
            Ok(())
        })
    }
}

impl Drop for HostWriter {
    fn drop(&mut self) {
        self.0.finish();
    }
}

impl Drop for HostReader {
    fn drop(&mut self) {
        self.0.break_off();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    async fn guest_read(guest: &Arc<dyn HostStream>, most: usize) -> Result<Vec<u8>, Errno> {
        let mut buf = vec![0; most];
        let n = poll_fn(|cx| guest.poll_read(cx, &mut buf)).await?;
        buf.truncate(n);
        Ok(buf)
    }

    async fn guest_write(guest: &Arc<dyn HostStream>, data: &[u8]) -> Result<usize, Errno> {
        poll_fn(|cx| guest.poll_write(cx, data)).await
    }

    #[tokio::test]
    async fn bytes_arrive_in_order_and_then_the_end() {
        let (mut host, guest) = to_guest();
        host.write_all(b"abc").await.unwrap();
        assert_eq!(guest_read(&guest, 2).await.unwrap(), b"ab");
        assert_eq!(guest_read(&guest, 9).await.unwrap(), b"c");
        let reading = tokio::spawn(async move { guest_read(&guest, 1).await });
        tokio::task::yield_now().await;
        drop(host);
        assert_eq!(timeout(SHORT, reading).await.unwrap().unwrap().unwrap(), b"");

        let (mut host, guest) = from_guest();
        assert_eq!(guest_write(&guest, b"xyz").await, Ok(3));
        guest.closed();
        let mut all = Vec::new();
        host.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"xyz");
    }

    #[tokio::test]
    async fn a_full_channel_stops_its_writer_until_there_is_room() {
        let (mut host, guest) = from_guest();
        assert_eq!(guest_write(&guest, &vec![7; CAPACITY + 1]).await, Ok(CAPACITY));
        assert!(timeout(SHORT, guest_write(&guest, b"x")).await.is_err());
        let writing = tokio::spawn({
            let guest = Arc::clone(&guest);
            async move { guest_write(&guest, b"x").await }
        });
        let mut byte = [0; 10];
        host.read_exact(&mut byte).await.unwrap();
        assert_eq!(timeout(SHORT, writing).await.unwrap().unwrap(), Ok(1));

        let (mut host, guest) = to_guest();
        assert!(timeout(SHORT, host.write_all(&vec![7; CAPACITY + 1])).await.is_err());
        assert_eq!(guest_read(&guest, CAPACITY * 2).await.unwrap().len(), CAPACITY);
    }

    #[tokio::test]
    async fn a_reader_that_leaves_breaks_the_pipe() {
        let (host, guest) = from_guest();
        drop(host);
        assert_eq!(guest_write(&guest, b"x").await, Err(Errno::EPIPE));

        let (mut host, guest) = to_guest();
        guest.closed();
        assert_eq!(host.write_all(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn every_waiting_guest_is_woken() {
        let (mut host, guest) = to_guest();
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let guest = Arc::clone(&guest);
                tokio::spawn(async move { poll_fn(|cx| guest.poll_ready(cx, Interest::Read)).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(5)).await;
        host.write_all(b"ab").await.unwrap();
        for task in waiting {
            assert_eq!(timeout(SHORT, task).await.unwrap().unwrap(), 2);
        }
    }

    #[tokio::test]
    async fn the_wrong_direction_is_a_bad_descriptor() {
        let (_host, input) = to_guest();
        assert_eq!(guest_write(&input, b"x").await, Err(Errno::EBADF));
        let (_host, output) = from_guest();
        assert_eq!(guest_read(&output, 1).await, Err(Errno::EBADF));
    }
}
