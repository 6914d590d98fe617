//! Output kept of a spawned process: the last bytes, by their offset from the beginning.
//!
//! Without a reader the oldest bytes go when the ring is full. A reader that follows loses nothing: the ring then keeps
//! what it has not read, and a full ring stops the process until it does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use agentos_kernel::{Errno, HostStream, Interest, Waiters};
use parking_lot::Mutex;

struct State {
    bytes: VecDeque<u8>,
    /// Offset of the first byte.
    start: u64,
    closed: bool,
    /// Where each reader is.
    readers: BTreeMap<u64, u64>,
    next_reader: u64,
}

/// The ring of one output.
pub(crate) struct Ring {
    limit: usize,
    state: Mutex<State>,
    readable: Waiters,
    writable: Waiters,
}

/// A reader; while it exists, what it has not read stays.
pub(crate) struct RingReader {
    ring: Arc<Ring>,
    id: u64,
}

impl Ring {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: limit.max(1),
            state: Mutex::new(State {
                bytes: VecDeque::new(),
                start: 0,
                closed: false,
                readers: BTreeMap::new(),
                next_reader: 0,
            }),
            readable: Waiters::new(),
            writable: Waiters::new(),
        })
    }

    /// The process ended: readers get the rest, then the end.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.readable.wake();
        self.writable.wake();
    }

    /// A reader from `offset`, or from the oldest byte that is kept.
    pub(crate) fn reader(self: &Arc<Self>, offset: u64) -> (RingReader, u64) {
        let mut state = self.state.lock();
        let end = state.start + state.bytes.len() as u64;
        let at = offset.clamp(state.start, end);
        let id = state.next_reader;
        state.next_reader += 1;
        state.readers.insert(id, at);
        (RingReader { ring: Arc::clone(self), id }, at)
    }

    fn write(&self, data: &[u8]) -> Option<usize> {
        let mut state = self.state.lock();
        if state.closed {
            return Some(data.len());
        }
        // Bytes before the slowest reader may go; without readers all of them.
        let needed = state.readers.values().min().copied();
        let kept = needed.map_or(0, |at| {
            let end = state.start + state.bytes.len() as u64;
            usize::try_from(end - at).unwrap_or(usize::MAX)
        });
        let room = self.limit.saturating_sub(kept);
        if room == 0 {
            return None;
        }
        let n = data.len().min(room.max(1));
        // Of a write larger than the ring only its end is kept, but its offsets count.
        let tail = &data[n.saturating_sub(self.limit)..n];
        let overflow = (state.bytes.len() + tail.len()).saturating_sub(self.limit);
        state.bytes.drain(..overflow);
        state.start += (overflow + n - tail.len()) as u64;
        state.bytes.extend(tail);
        drop(state);
        self.readable.wake();
        Some(n)
    }
}

impl HostStream for Ring {
    fn poll_read(&self, _cx: &mut Context<'_>, _buf: &mut [u8]) -> Poll<Result<usize, Errno>> {
        Poll::Ready(Err(Errno::EBADF))
    }

    fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, Errno>> {
        if let Some(n) = self.write(data) {
            return Poll::Ready(Ok(n));
        }
        self.writable.register(cx.waker());
        match self.write(data) {
            Some(n) => Poll::Ready(Ok(n)),
            None => Poll::Pending,
        }
    }

    fn poll_ready(&self, cx: &mut Context<'_>, interest: Interest) -> Poll<usize> {
        if interest == Interest::Read {
            return Poll::Pending;
        }
        self.writable.register(cx.waker());
        let state = self.state.lock();
        let end = state.start + state.bytes.len() as u64;
        let full = state.readers.values().any(|at| end - at >= self.limit as u64);
        if full && !state.closed { Poll::Pending } else { Poll::Ready(0) }
    }

    fn leave(&self, waker: &Waker) {
        self.writable.unregister(waker);
    }

    fn closed(&self) {}
}

impl RingReader {
    /// The next bytes, up to `most`; `None` at the end, or when all is read and `follow` is false.
    pub(crate) async fn next(&self, most: usize, follow: bool) -> Option<Vec<u8>> {
        std::future::poll_fn(|cx| {
            self.ring.readable.register(cx.waker());
            let mut guard = self.ring.state.lock();
            let state = &mut *guard;
            let end = state.start + state.bytes.len() as u64;
            let Some(at) = state.readers.get_mut(&self.id) else { return Poll::Ready(None) };
            if *at < end {
                let from = usize::try_from(*at - state.start).unwrap_or(0);
                let n = most.min(state.bytes.len() - from);
                let chunk: Vec<u8> = state.bytes.range(from..from + n).copied().collect();
                *at += n as u64;
                drop(guard);
                self.ring.readable.unregister(cx.waker());
                self.ring.writable.wake();
                return Poll::Ready(Some(chunk));
            }
            if state.closed || !follow {
                self.ring.readable.unregister(cx.waker());
                return Poll::Ready(None);
            }
            Poll::Pending
        })
        .await
    }
}

impl Drop for RingReader {
    fn drop(&mut self) {
        self.ring.state.lock().readers.remove(&self.id);
        self.ring.writable.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_readers_the_oldest_bytes_go() {
        let ring = Ring::new(4);
        assert_eq!(ring.write(b"abc"), Some(3));
        assert_eq!(ring.write(b"def"), Some(3));
        let (reader, start) = ring.reader(0);
        assert_eq!(start, 2);
        assert_eq!(reader.next(10, false).await.as_deref(), Some(&b"cdef"[..]));
        assert_eq!(reader.next(10, false).await, None);
        drop(reader);
        assert_eq!(ring.write(b"0123456789"), Some(4), "only as much as fits is taken at once");
    }

    #[tokio::test]
    async fn a_reader_loses_nothing_and_stops_the_writer() {
        let ring = Ring::new(4);
        let (reader, _) = ring.reader(0);
        assert_eq!(ring.write(b"abcdef"), Some(4));
        assert_eq!(ring.write(b"ef"), None);
        assert_eq!(reader.next(2, true).await.as_deref(), Some(&b"ab"[..]));
        assert_eq!(ring.write(b"ef"), Some(2));
        ring.close();
        assert_eq!(reader.next(9, true).await.as_deref(), Some(&b"cdef"[..]));
        assert_eq!(reader.next(9, true).await, None);
    }
}
