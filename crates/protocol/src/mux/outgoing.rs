//! The outgoing half of the socket: whoever sends writes straight to the socket when it is free, what it does not take
//! is left to the writer task, and frames that come while someone writes are put together.
//! It does not decide what may be sent: credits and call limits are kept elsewhere.

use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};
use parking_lot::Mutex;
use tokio::net::UnixStream;
use tokio::sync::Notify;

use super::wakers::{Wakers, wake};
use crate::frame::{self, HEADER_LEN, Header, Kind};

/// A direct writer hands over to the writer task after this many rounds, so that it does not work for others for ever.
const DIRECT_ROUNDS: usize = 8;

/// A buffer that grew beyond this is not kept.
const KEEP_CAPACITY: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct Outgoing {
    socket: Arc<UnixStream>,
    state: Mutex<State>,
    /// Work for the writer task, or the end.
    work: Notify,
    high: usize,
    max: usize,
}

#[derive(Debug, Default)]
struct State {
    /// Frames that nobody has begun to write.
    queued: BytesMut,
    /// What a direct writer left to the writer task; goes before `queued`.
    begun: BytesMut,
    /// Someone owns the socket: a direct writer, or the writer task if `handed`.
    owned: bool,
    handed: bool,
    /// Bytes accepted and not yet taken by the socket.
    waiting: usize,
    closed: bool,
    pausing: Wakers,
}

#[derive(Debug)]
pub(super) enum SendFailed {
    Closed,
    Stuck { waiting: usize },
    Io(io::Error),
}

impl Outgoing {
    pub(super) fn new(socket: Arc<UnixStream>, high: usize, max: usize) -> Self {
        Outgoing { socket, state: Mutex::default(), work: Notify::new(), high, max }
    }

    /// Sends a frame: into the socket if it is free, else into the queue. Never waits.
    pub(super) fn send(&self, kind: Kind, flags: u8, id: u32, payload: &[u8]) -> Result<(), SendFailed> {
        let header = Header::new(kind, flags, id, payload.len()).encode();
        let len = HEADER_LEN + payload.len();
        {
            let mut state = self.state.lock();
            if state.closed {
                return Err(SendFailed::Closed);
            }
            state.waiting += len;
            if state.owned {
                if state.waiting > self.max {
                    return Err(SendFailed::Stuck { waiting: state.waiting });
                }
                state.queued.extend_from_slice(&header);
                state.queued.extend_from_slice(payload);
                return Ok(());
            }
            state.owned = true;
        }
        let taken = match self.socket.try_write_vectored(&[IoSlice::new(&header), IoSlice::new(payload)]) {
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => 0,
            Err(e) => return Err(self.fail(e)),
        };
        let mut rest = BytesMut::new();
        if taken < len {
            rest.reserve(len - taken);
            rest.extend_from_slice(header.get(taken..).unwrap_or_default());
            rest.extend_from_slice(&payload[taken.saturating_sub(HEADER_LEN)..]);
        }
        self.carry_on(rest, taken)
    }

    /// Writes what others have queued meanwhile; leaves it to the writer task when the socket is full.
    fn carry_on(&self, mut begun: BytesMut, mut taken: usize) -> Result<(), SendFailed> {
        for round in 0.. {
            let wakers = {
                let mut state = self.state.lock();
                let wakers = state.written(taken, self.high);
                if begun.is_empty() {
                    if state.queued.is_empty() {
                        state.owned = false;
                        if state.closed {
                            // The writer task waits for this.
                            self.work.notify_one();
                        }
                        drop(state);
                        wake(wakers);
                        return Ok(());
                    }
                    begun = std::mem::take(&mut state.queued);
                } else if round == 0 || taken == 0 {
                    // The socket is full.
                    state.hand_over(begun);
                    drop(state);
                    wake(wakers);
                    self.work.notify_one();
                    return Ok(());
                }
                if round >= DIRECT_ROUNDS {
                    state.hand_over(begun);
                    drop(state);
                    wake(wakers);
                    self.work.notify_one();
                    return Ok(());
                }
                wakers
            };
            wake(wakers);
            taken = match self.socket.try_write(&begun) {
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => 0,
                Err(e) => return Err(self.fail(e)),
            };
            begun.advance(taken);
        }
        Ok(())
    }

    fn fail(&self, error: io::Error) -> SendFailed {
        self.state.lock().owned = false;
        self.close_now();
        SendFailed::Io(error)
    }

    /// The writer task: ends when everything is written after [`Outgoing::close_when_empty`], or with the error.
    pub(super) async fn run(&self) -> io::Result<()> {
        loop {
            self.work.notified().await;
            let mut begun = {
                let mut state = self.state.lock();
                if !state.handed {
                    if state.closed && !state.owned {
                        return Ok(());
                    }
                    continue;
                }
                std::mem::take(&mut state.begun)
            };
            loop {
                while !begun.is_empty() {
                    match self.socket.try_write(&begun) {
                        Ok(n) => {
                            begun.advance(n);
                            let wakers = self.state.lock().written(n, self.high);
                            wake(wakers);
                        }
                        Err(e) if e.kind() == ErrorKind::WouldBlock => self.socket.writable().await?,
                        Err(e) => return Err(e),
                    }
                }
                let mut state = self.state.lock();
                if state.queued.is_empty() {
                    state.owned = false;
                    state.handed = false;
                    if state.closed {
                        return Ok(());
                    }
                    begun.clear();
                    if begun.capacity() <= KEEP_CAPACITY && state.queued.capacity() < begun.capacity() {
                        state.queued = begun;
                    }
                    break;
                }
                begun = std::mem::take(&mut state.queued);
            }
        }
    }

    /// Ready while the socket keeps up; else wakes when it does again.
    pub(super) fn poll_ready(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.waiting <= self.high || state.closed {
            return Poll::Ready(());
        }
        state.pausing.add(cx);
        Poll::Pending
    }

    pub(super) fn is_ready(&self) -> bool {
        self.state.lock().waiting <= self.high
    }

    /// Takes no more frames and lets the writer task end once all are written.
    pub(super) fn close_when_empty(&self) {
        let wakers = {
            let mut state = self.state.lock();
            state.closed = true;
            state.pausing.take()
        };
        wake(wakers);
        self.work.notify_one();
    }

    /// Takes no more frames and forgets those that wait.
    pub(super) fn close_now(&self) {
        {
            let mut state = self.state.lock();
            state.queued = BytesMut::new();
            state.begun = BytesMut::new();
        }
        self.close_when_empty();
    }
}

impl State {
    fn written(&mut self, n: usize, high: usize) -> Vec<Waker> {
        self.waiting = self.waiting.saturating_sub(n);
        if self.waiting <= high / 2 { self.pausing.take() } else { Vec::new() }
    }

    fn hand_over(&mut self, begun: BytesMut) {
        self.begun = begun;
        self.handed = true;
    }
}

/// Encodes a frame for the handshake, before there is a connection.
pub(super) fn lone_frame(kind: Kind, payload: &[u8]) -> BytesMut {
    let mut buf = BytesMut::new();
    frame::encode(&mut buf, kind, 0, 0, payload);
    buf
}
