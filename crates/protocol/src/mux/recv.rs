//! The reading end of a stream: holds at most a window of bytes, and gives credit as they are taken.
//! A reader that is slow stops only the producer of its own stream.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;

use super::connection::Inner;
use super::error::StreamError;
use super::send::ConnRef;
use super::wakers::{Wakers, wake};
use crate::frame::{FLAG_STOP, Kind};

/// Smaller payloads are copied together: each piece that is kept apart holds on to a buffer of the socket.
const COPY_BELOW: usize = 8 << 10;
const COPY_INTO: usize = 32 << 10;

#[derive(Debug)]
pub(super) struct RecvState {
    inner: Mutex<RecvInner>,
    window: u32,
}

#[derive(Debug)]
struct RecvInner {
    queue: VecDeque<BytesMut>,
    /// Bytes the producer may still send.
    granted: u32,
    /// Bytes taken since credit was last given.
    taken: u32,
    end: Option<End>,
    wakers: Wakers,
}

#[derive(Clone, Debug)]
enum End {
    Fin,
    Failed(StreamError),
}

impl RecvState {
    pub(super) fn new(window: u32) -> Self {
        let inner = RecvInner {
            queue: VecDeque::new(),
            granted: window,
            taken: 0,
            end: None,
            wakers: Wakers::default(),
        };
        RecvState { inner: Mutex::new(inner), window }
    }

    /// Bytes came. `None` if there were more than the credit.
    pub(super) fn push(&self, payload: BytesMut, fin: bool) -> Option<Vec<Waker>> {
        let mut inner = self.inner.lock();
        let len = u32::try_from(payload.len()).ok()?;
        inner.granted = inner.granted.checked_sub(len)?;
        if inner.end.is_none() {
            inner.store(payload);
            if fin {
                inner.end = Some(End::Fin);
            }
        }
        Some(inner.wakers.take())
    }

    pub(super) fn end(&self, error: StreamError) -> Vec<Waker> {
        let mut inner = self.inner.lock();
        inner.end.get_or_insert(End::Failed(error));
        inner.wakers.take()
    }
}

impl RecvInner {
    fn store(&mut self, payload: BytesMut) {
        if payload.is_empty() {
            return;
        }
        if payload.len() >= COPY_BELOW {
            self.queue.push_back(payload);
            return;
        }
        match self.queue.back_mut() {
            Some(last) if last.capacity() - last.len() >= payload.len() => last.extend_from_slice(&payload),
            Some(_) => {
                let mut piece = BytesMut::with_capacity(COPY_INTO);
                piece.extend_from_slice(&payload);
                self.queue.push_back(piece);
            }
            None => self.queue.push_back(BytesMut::from(&payload[..])),
        }
    }

    /// Counts bytes as taken; the credit to give, if it is time.
    fn consumed(&mut self, n: usize, window: u32) -> Option<u32> {
        self.taken = self.taken.saturating_add(u32::try_from(n).unwrap_or(u32::MAX));
        if self.end.is_some() || self.taken < window / 2 {
            return None;
        }
        let more = std::mem::take(&mut self.taken);
        self.granted = self.granted.saturating_add(more);
        Some(more)
    }
}

/// The reading end of a stream. Usable from any thread, with or without a runtime. Dropping it tells the producer to stop.
#[derive(Debug)]
pub struct RecvStream {
    conn: ConnRef,
    id: u32,
    state: Arc<RecvState>,
}

impl RecvStream {
    pub(super) fn new(inner: Arc<Inner>, id: u32, state: Arc<RecvState>) -> Self {
        RecvStream { conn: ConnRef(inner), id, state }
    }

    /// Its number, for a call.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// The next bytes, as they came; `None` at the end.
    ///
    /// # Errors
    /// [`StreamError::Reset`] or [`StreamError::Lost`], after all bytes that came before.
    pub async fn next_chunk(&self) -> Result<Option<Bytes>, StreamError> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// As [`RecvStream::next_chunk`].
    ///
    /// # Errors
    /// As [`RecvStream::next_chunk`].
    pub fn poll_chunk(&self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamError>> {
        self.take(cx, |queue| {
            queue.pop_front().map_or((0, Bytes::new()), |piece| (piece.len(), piece.freeze()))
        })
    }

    /// Reads into `buf`; 0 at the end (or if `buf` is empty).
    ///
    /// # Errors
    /// As [`RecvStream::next_chunk`].
    pub fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize, StreamError>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let read = ready!(self.take(cx, |queue| {
            let mut done = 0;
            while let Some(piece) = queue.front_mut() {
                let n = piece.len().min(buf.len() - done);
                buf[done..done + n].copy_from_slice(&piece[..n]);
                done += n;
                piece.advance(n);
                if !piece.is_empty() {
                    break;
                }
                queue.pop_front();
            }
            (done, done)
        }));
        Poll::Ready(read.map(Option::unwrap_or_default))
    }

    fn take<T>(
        &self,
        cx: &mut Context<'_>,
        pick: impl FnOnce(&mut VecDeque<BytesMut>) -> (usize, T),
    ) -> Poll<Result<Option<T>, StreamError>> {
        let (value, credit) = {
            let mut inner = self.state.inner.lock();
            if inner.queue.is_empty() {
                return match &inner.end {
                    Some(End::Fin) => Poll::Ready(Ok(None)),
                    Some(End::Failed(error)) => Poll::Ready(Err(error.clone())),
                    None => {
                        inner.wakers.add(cx);
                        Poll::Pending
                    }
                };
            }
            let (n, value) = pick(&mut inner.queue);
            (value, inner.consumed(n, self.state.window))
        };
        if let Some(more) = credit {
            // If it cannot be sent the connection ended, and the next read tells.
            let _ = self.conn.0.send(Kind::Credit, 0, self.id, &more.to_le_bytes());
        }
        Poll::Ready(Ok(Some(value)))
    }

    /// Tells the producer to stop: its writes fail with [`StreamError::Closed`]. What has come already is dropped.
    pub fn close(&self) {
        let open = {
            let mut inner = self.state.inner.lock();
            let open = inner.end.is_none();
            inner.end = Some(End::Failed(StreamError::Closed));
            inner.queue.clear();
            let wakers = inner.wakers.take();
            drop(inner);
            wake(wakers);
            open
        };
        if open && self.conn.0.table.lock().recvs.remove(&self.id).is_some() {
            let _ = self.conn.0.send(Kind::Credit, FLAG_STOP, self.id, &0_u32.to_le_bytes());
        }
    }

    /// Forgets a stream that was named in a call and, as the reply says, not used: nothing is sent. If it was used
    /// after all this is [`RecvStream::close`].
    pub fn discard_unused(self) {
        let unused = {
            let mut inner = self.state.inner.lock();
            let unused = inner.end.is_none() && inner.granted == self.state.window && inner.taken == 0;
            if unused {
                inner.end = Some(End::Fin);
            }
            unused
        };
        if unused {
            self.conn.0.table.lock().recvs.remove(&self.id);
        }
    }

    /// Reads everything, at most `limit` bytes; `None` if there are more.
    ///
    /// # Errors
    /// As [`RecvStream::next_chunk`].
    pub async fn read_to_end(&self, limit: usize) -> Result<Option<Vec<u8>>, StreamError> {
        let mut all = Vec::new();
        while let Some(chunk) = self.next_chunk().await? {
            if all.len() + chunk.len() > limit {
                return Ok(None);
            }
            all.extend_from_slice(&chunk);
        }
        Ok(Some(all))
    }
}

impl Drop for RecvStream {
    fn drop(&mut self) {
        self.close();
    }
}

impl tokio::io::AsyncRead for RecvStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let n = ready!(RecvStream::poll_read(&self, cx, buf.initialize_unfilled()))?;
        buf.advance(n);
        Poll::Ready(Ok(()))
    }
}
