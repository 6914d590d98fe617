//! Pipes: POSIX semantics of capacity, atomicity, end of file and broken pipe.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;

use crate::limits::PIPE_BUF;
use crate::{Errno, Result, Waiters};

struct State {
    buffer: VecDeque<u8>,
    readers: u32,
    writers: u32,
    /// How often each end was opened: a partner that came and went already still counts (FIFO).
    reader_opens: u64,
    writer_opens: u64,
}

/// A pipe; its ends are [`PipeReader`] and [`PipeWriter`].
pub struct Pipe {
    state: Mutex<State>,
    capacity: usize,
    readable: Waiters,
    writable: Waiters,
    on_drop: Box<dyn Fn() + Send + Sync>,
    id: u64,
}

/// The read end. The last one dropped breaks the pipe for its writers.
pub struct PipeReader(Arc<Pipe>);

/// The write end. The last one dropped is the end of file for its readers.
pub struct PipeWriter(Arc<Pipe>);

impl Pipe {
    /// A pipe that holds `capacity` bytes; `on_drop` runs when it is gone. `id` is what `/proc` shows.
    pub fn create(
        capacity: usize,
        id: u64,
        on_drop: impl Fn() + Send + Sync + 'static,
    ) -> (PipeReader, PipeWriter) {
        let pipe = Arc::new(Pipe {
            state: Mutex::new(State {
                buffer: VecDeque::new(),
                readers: 1,
                writers: 1,
                reader_opens: 1,
                writer_opens: 1,
            }),
            capacity: capacity.max(PIPE_BUF),
            readable: Waiters::new(),
            writable: Waiters::new(),
            on_drop: Box::new(on_drop),
            id,
        });
        (PipeReader(Arc::clone(&pipe)), PipeWriter(pipe))
    }

    /// A pipe without ends yet: a FIFO. Ends are made by [`Pipe::reader`] and [`Pipe::writer`].
    pub(crate) fn fifo(capacity: usize, id: u64, on_drop: impl Fn() + Send + Sync + 'static) -> Arc<Pipe> {
        Arc::new(Pipe {
            state: Mutex::new(State {
                buffer: VecDeque::new(),
                readers: 0,
                writers: 0,
                reader_opens: 0,
                writer_opens: 0,
            }),
            capacity: capacity.max(PIPE_BUF),
            readable: Waiters::new(),
            writable: Waiters::new(),
            on_drop: Box::new(on_drop),
            id,
        })
    }

    /// One more read end, and how often the write end was opened until now, `None` if it is open. That is found out in the
    /// same moment, because a writer that sees the reader may write and be gone before anybody looks again.
    pub(crate) fn reader(self: &Arc<Self>) -> (PipeReader, Option<u64>) {
        let alone = {
            let mut state = self.state.lock();
            state.readers += 1;
            state.reader_opens += 1;
            (state.writers == 0).then_some(state.writer_opens)
        };
        self.writable.wake();
        (PipeReader(Arc::clone(self)), alone)
    }

    /// One more write end, and in the same way how often the read end was opened until now, `None` if it is open.
    pub(crate) fn writer(self: &Arc<Self>) -> (PipeWriter, Option<u64>) {
        let alone = {
            let mut state = self.state.lock();
            state.writers += 1;
            state.writer_opens += 1;
            (state.readers == 0).then_some(state.reader_opens)
        };
        self.readable.wake();
        (PipeWriter(Arc::clone(self)), alone)
    }

    /// Open read ends.
    pub(crate) fn readers(&self) -> u32 {
        self.state.lock().readers
    }

    /// How often the read end and the write end were opened.
    pub(crate) fn opens(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.reader_opens, state.writer_opens)
    }

    /// Registers for a change of the ends or the content.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        self.readable.register(cx.waker());
        self.writable.register(cx.waker());
    }

    /// Takes `waker` out of both lists.
    pub(crate) fn leave(&self, waker: &std::task::Waker) {
        self.readable.unregister(waker);
        self.writable.unregister(waker);
    }

    /// What `/proc` shows.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Bytes that wait to be read.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.lock().buffer.len()
    }

    /// Whether nothing waits to be read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        (self.on_drop)();
    }
}

impl PipeReader {
    /// The pipe.
    #[must_use]
    pub fn pipe(&self) -> &Arc<Pipe> {
        &self.0
    }

    /// Reads what is there, up to the length of `buf`; 0 when the pipe is empty and has no writer.
    pub fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize>> {
        match self.try_read(buf) {
            Err(Errno::EAGAIN) => {}
            done => return Poll::Ready(done),
        }
        self.0.readable.register(cx.waker());
        match self.try_read(buf) {
            Err(Errno::EAGAIN) => Poll::Pending,
            done => Poll::Ready(done),
        }
    }

    /// The same without waiting: EAGAIN when the pipe is empty but has a writer.
    pub fn try_read(&self, buf: &mut [u8]) -> Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let mut state = self.0.state.lock();
        if state.buffer.is_empty() {
            return if state.writers == 0 { Ok(0) } else { Err(Errno::EAGAIN) };
        }
        let (a, b) = state.buffer.as_slices();
        let from_a = a.len().min(buf.len());
        buf[..from_a].copy_from_slice(&a[..from_a]);
        let from_b = b.len().min(buf.len() - from_a);
        buf[from_a..from_a + from_b].copy_from_slice(&b[..from_b]);
        let n = from_a + from_b;
        state.buffer.drain(..n);
        if state.buffer.is_empty() {
            // Start the ring anew, so that the next write is one straight copy.
            state.buffer.clear();
        }
        // Wake writers only when an atomic write can succeed, so that a full pipe does not ping-pong byte by byte.
        let wake = self.0.capacity - state.buffer.len() >= PIPE_BUF;
        drop(state);
        if wake {
            self.0.writable.wake();
        }
        Ok(n)
    }

    /// Ready when a read would not wait; then the bytes that are there.
    pub fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<usize> {
        self.0.readable.register(cx.waker());
        let state = self.0.state.lock();
        if !state.buffer.is_empty() || state.writers == 0 {
            Poll::Ready(state.buffer.len())
        } else {
            Poll::Pending
        }
    }

    /// Whether every writer is gone.
    #[must_use]
    pub fn hung_up(&self) -> bool {
        self.0.state.lock().writers == 0
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.readers -= 1;
        if state.readers == 0 {
            // While a writer holds it, it may be opened again to read what is in it.
            if state.writers == 0 {
                state.buffer = VecDeque::new();
            }
            drop(state);
            self.0.writable.wake();
        }
    }
}

impl PipeWriter {
    /// The pipe.
    #[must_use]
    pub fn pipe(&self) -> &Arc<Pipe> {
        &self.0
    }

    /// Writes some of `data`, all of it if it is at most `PIPE_BUF` long. EPIPE without readers.
    pub fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize>> {
        match self.try_write(data) {
            Err(Errno::EAGAIN) => {}
            done => return Poll::Ready(done),
        }
        self.0.writable.register(cx.waker());
        match self.try_write(data) {
            Err(Errno::EAGAIN) => Poll::Pending,
            done => Poll::Ready(done),
        }
    }

    /// The same without waiting: EAGAIN when there is no room (for all of an atomic write).
    pub fn try_write(&self, data: &[u8]) -> Result<usize> {
        let mut state = self.0.state.lock();
        if state.readers == 0 {
            return Err(Errno::EPIPE);
        }
        if data.is_empty() {
            return Ok(0);
        }
        let room = self.0.capacity - state.buffer.len();
        if room == 0 || (data.len() <= PIPE_BUF && room < data.len()) {
            return Err(Errno::EAGAIN);
        }
        let n = room.min(data.len());
        state.buffer.extend(&data[..n]);
        drop(state);
        self.0.readable.wake();
        Ok(n)
    }

    /// Ready when a write of `PIPE_BUF` bytes would not wait.
    pub fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<usize> {
        self.0.writable.register(cx.waker());
        let state = self.0.state.lock();
        let room = self.0.capacity - state.buffer.len();
        if room >= PIPE_BUF || state.readers == 0 { Poll::Ready(room) } else { Poll::Pending }
    }

    /// Whether every reader is gone.
    #[must_use]
    pub fn broken(&self) -> bool {
        self.0.state.lock().readers == 0
    }

    /// Ready when every reader is gone.
    pub fn poll_broken(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.writable.register(cx.waker());
        if self.broken() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.writers -= 1;
        if state.writers == 0 {
            drop(state);
            self.0.readable.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipe() -> (PipeReader, PipeWriter) {
        Pipe::create(64 << 10, 1, || ())
    }

    #[test]
    fn holds_64_kib_and_keeps_small_writes_whole() {
        let (r, w) = pipe();
        assert_eq!(w.try_write(&vec![1; 100_000]), Ok(64 << 10));
        assert_eq!(w.try_write(b"x"), Err(Errno::EAGAIN));
        let mut buf = vec![0; 4095];
        assert_eq!(r.try_read(&mut buf), Ok(4095));
        assert_eq!(w.try_write(&[2; 4096]), Err(Errno::EAGAIN), "an atomic write is never split");
        assert_eq!(w.try_write(&[2; 4097]), Ok(4095), "a larger one may be");
    }

    #[test]
    fn end_of_file_after_the_last_writer_and_epipe_after_the_last_reader() {
        let (r, w) = pipe();
        let mut buf = [0; 8];
        assert_eq!(r.try_read(&mut buf), Err(Errno::EAGAIN));
        assert_eq!(w.try_write(b"hi"), Ok(2));
        drop(w);
        assert_eq!(r.try_read(&mut buf), Ok(2));
        assert_eq!(r.try_read(&mut buf), Ok(0));
        let (r, w) = pipe();
        drop(r);
        assert_eq!(w.try_write(b"hi"), Err(Errno::EPIPE));
        assert_eq!(w.try_write(b""), Err(Errno::EPIPE));
    }

    #[test]
    fn a_writer_that_waits_for_the_end_of_its_readers_is_woken() {
        struct Flag(std::sync::atomic::AtomicBool);
        impl std::task::Wake for Flag {
            fn wake(self: Arc<Self>) {
                self.0.store(true, std::sync::atomic::Ordering::SeqCst);
            }
        }
        let flag = Arc::new(Flag(false.into()));
        let waker = Arc::clone(&flag).into();
        let mut cx = Context::from_waker(&waker);
        let (r, w) = pipe();
        assert_eq!(w.try_write(b"not read"), Ok(8));
        assert!(w.poll_broken(&mut cx).is_pending());
        drop(r);
        assert!(flag.0.load(std::sync::atomic::Ordering::SeqCst));
        assert!(w.poll_broken(&mut cx).is_ready());
    }

    #[test]
    fn bytes_come_out_in_order_across_the_wrap() {
        let (r, w) = pipe();
        let mut next_in = 0u32;
        let mut next_out = 0u32;
        let mut pending: VecDeque<u8> = VecDeque::new();
        for round in 0..2000 {
            let data: Vec<u8> = (0..(round * 37) % 9001)
                .map(|_| {
                    next_in += 1;
                    (next_in % 251) as u8
                })
                .collect();
            pending.extend(&data);
            let slice: Vec<u8> = pending.iter().copied().collect();
            if let Ok(n) = w.try_write(&slice) {
                pending.drain(..n);
            }
            let mut buf = vec![0; (round * 53) % 12_007];
            let n = r.try_read(&mut buf).unwrap_or(0);
            for b in &buf[..n] {
                next_out += 1;
                assert_eq!(*b, (next_out % 251) as u8);
            }
        }
        assert!(next_out > 100_000);
    }

    #[test]
    fn who_opens_a_fifo_knows_at_once_whether_the_other_end_is_open() {
        let fifo = Pipe::fifo(64 << 10, 1, || ());
        let (writer, alone) = fifo.writer();
        assert_eq!(alone, Some(0));
        let (reader, alone) = fifo.reader();
        assert_eq!(writer.try_write(b"hi"), Ok(2));
        // The writer is gone before the reader looks for it: it need not wait for another.
        drop(writer);
        assert_eq!(alone, None);
        assert_eq!(reader.try_read(&mut [0; 8]), Ok(2));
        drop(reader);
        assert_eq!(fifo.reader().1, Some(1));
    }
}
