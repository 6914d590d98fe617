//! The writing end of a stream: sends what the reader has given credit for.
//! It keeps no buffer of its own: what cannot be sent is not taken.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use parking_lot::Mutex;

use super::connection::Inner;
use super::error::{StreamError, reset_code};
use super::wakers::Wakers;
use crate::frame::{FLAG_FIN, FLAG_RESET, Kind};

/// Most bytes of one frame, so that streams take turns.
const CHUNK: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct SendState {
    inner: Mutex<SendInner>,
}

#[derive(Debug)]
struct SendInner {
    credit: u32,
    ended: Option<StreamError>,
    wakers: Wakers,
}

impl SendState {
    pub(super) fn new(window: u32) -> Self {
        SendState { inner: Mutex::new(SendInner { credit: window, ended: None, wakers: Wakers::default() }) }
    }

    /// More may be sent. `None` if the reader gave more than it can have.
    pub(super) fn add_credit(&self, more: u32, window: u32) -> Option<Vec<Waker>> {
        let mut inner = self.inner.lock();
        inner.credit = inner.credit.checked_add(more).filter(|c| *c <= window)?;
        Some(inner.wakers.take())
    }

    pub(super) fn end(&self, error: StreamError) -> Vec<Waker> {
        let mut inner = self.inner.lock();
        inner.ended.get_or_insert(error);
        inner.wakers.take()
    }
}

/// The writing end of a stream. Usable from any thread, with or without a runtime; writes go straight to the socket.
/// Dropping it without [`SendStream::finish`] resets the stream, so that the reader does not take a part for the whole.
#[derive(Debug)]
pub struct SendStream {
    conn: ConnRef,
    id: u32,
    state: Arc<SendState>,
}

pub(super) struct ConnRef(pub(super) Arc<Inner>);

impl std::fmt::Debug for ConnRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

impl SendStream {
    pub(super) fn new(inner: Arc<Inner>, id: u32, state: Arc<SendState>) -> Self {
        SendStream { conn: ConnRef(inner), id, state }
    }

    /// Its number, for a call.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Writes some of `data` and tells how much; at least one byte, unless `data` is empty.
    ///
    /// # Errors
    /// [`StreamError::Closed`] if the reader wants no more; `Finished`; `Lost`.
    pub fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, StreamError>> {
        self.write_with(Some(cx), data)
    }

    /// Ready when a write would take something, or fail; pending while the reader has given no credit.
    pub fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.inner.lock();
        if state.ended.is_some() {
            return Poll::Ready(());
        }
        if state.credit == 0 {
            state.wakers.add(cx);
            return Poll::Pending;
        }
        self.conn.0.outgoing.poll_ready(cx)
    }

    /// Writes as much as is possible now; 0: the reader has given no credit, or the socket is behind.
    ///
    /// # Errors
    /// As [`SendStream::poll_write`].
    pub fn try_write(&self, data: &[u8]) -> Result<usize, StreamError> {
        match self.write_with(None, data) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(0),
        }
    }

    fn write_with(&self, cx: Option<&mut Context<'_>>, data: &[u8]) -> Poll<Result<usize, StreamError>> {
        let mut state = self.state.inner.lock();
        if let Some(error) = &state.ended {
            return Poll::Ready(Err(error.clone()));
        }
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if state.credit == 0 {
            if let Some(cx) = cx {
                state.wakers.add(cx);
            }
            return Poll::Pending;
        }
        let outgoing = &self.conn.0.outgoing;
        match cx {
            Some(cx) => ready!(outgoing.poll_ready(cx)),
            None if !outgoing.is_ready() => return Poll::Pending,
            None => {}
        }
        let n = data.len().min(state.credit as usize).min(CHUNK);
        let Some(data) = data.get(..n) else { return Poll::Ready(Ok(0)) };
        // Lossless: n is at most the credit, a u32.
        state.credit = state.credit.saturating_sub(u32::try_from(n).unwrap_or(u32::MAX));
        drop(state);
        self.conn.0.send(Kind::Data, 0, self.id, data)?;
        Poll::Ready(Ok(n))
    }

    /// Writes all of `data`.
    ///
    /// # Errors
    /// As [`SendStream::poll_write`]; a part may have been sent.
    pub async fn write_all(&self, mut data: &[u8]) -> Result<(), StreamError> {
        while !data.is_empty() {
            let n = poll_fn(|cx| self.poll_write(cx, data)).await?;
            data = data.get(n..).unwrap_or_default();
        }
        Ok(())
    }

    /// Why no more can be sent, if so.
    #[must_use]
    pub fn ended(&self) -> Option<StreamError> {
        self.state.inner.lock().ended.clone()
    }

    /// Waits until the reader wants no more, or the stream ended otherwise.
    pub async fn closed(&self) -> StreamError {
        poll_fn(|cx| {
            let mut state = self.state.inner.lock();
            match &state.ended {
                Some(error) => Poll::Ready(error.clone()),
                None => {
                    state.wakers.add(cx);
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Ends the stream well: the reader sees its end after what was written. Does nothing if it has ended.
    pub fn finish(&self) {
        self.end_with(FLAG_FIN, &[]);
    }

    /// Ends the stream badly: the reader gets [`StreamError::Reset`].
    pub fn reset(&self, code: u32) {
        self.end_with(FLAG_RESET, &code.to_le_bytes());
    }

    fn end_with(&self, flags: u8, payload: &[u8]) {
        let wakers = {
            let mut state = self.state.inner.lock();
            if state.ended.is_some() {
                return;
            }
            state.ended = Some(StreamError::Finished);
            state.wakers.take()
        };
        super::wakers::wake(wakers);
        self.conn.0.table.lock().sends.remove(&self.id);
        // If it cannot be sent the connection ended, and the reader knows.
        let _ = self.conn.0.send(Kind::Data, flags, self.id, payload);
    }
}

impl Drop for SendStream {
    fn drop(&mut self) {
        self.reset(reset_code::ABANDONED);
    }
}

impl tokio::io::AsyncWrite for SendStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<std::io::Result<usize>> {
        SendStream::poll_write(&self, cx, data).map_err(Into::into)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.finish();
        Poll::Ready(Ok(()))
    }
}
