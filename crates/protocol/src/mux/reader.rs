//! The reading half of the socket: one task that takes frames off it and hands each to whom it belongs.
//! It never waits for anything but the socket, so no stream and no handler can hold up another.

use std::sync::Arc;

use bytes::BytesMut;
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use super::connection::Inner;
use super::error::{ConnectionLost, StreamError};
use super::responder::Responder;
use super::table::RawReply;
use super::wakers::wake;
use crate::frame::{self, FLAG_ERROR, FLAG_FIN, FLAG_RESET, FLAG_STOP, Frame, Kind};
use crate::message::{Callback, DecodeError, Event, Request, WireError, code, decode};
use crate::version::Role;

const READ_AHEAD: usize = 64 << 10;

/// Reads until the connection ends.
pub(super) async fn run(inner: Arc<Inner>, socket: Arc<UnixStream>, mut buf: BytesMut) {
    loop {
        match frame::decode(&mut buf) {
            Ok(Some(frame)) => {
                if let Err(message) = dispatch(&inner, frame) {
                    inner.violated(message);
                }
                if inner.ended.is_cancelled() {
                    return;
                }
            }
            Ok(None) => {
                let want = frame::missing(&buf).max(READ_AHEAD);
                if buf.capacity() - buf.len() < want.min(READ_AHEAD / 4) || frame::missing(&buf) > READ_AHEAD
                {
                    buf.reserve(want);
                }
                if let Err(reason) = fill(&inner, &socket, &mut buf).await {
                    inner.end(reason, None);
                    return;
                }
            }
            Err(error) => {
                inner.violated(error.to_string());
                return;
            }
        }
    }
}

async fn fill(inner: &Inner, socket: &UnixStream, buf: &mut BytesMut) -> Result<(), ConnectionLost> {
    loop {
        match socket.try_read_buf(buf) {
            Ok(0) => return Err(ConnectionLost::Closed),
            Ok(_) => return Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e.into()),
        }
        tokio::select! {
            ready = socket.readable() => ready?,
            () = inner.ended.cancelled() => return Err(ConnectionLost::Local),
        }
    }
}

/// Handles a frame; an error is a violation of the protocol.
fn dispatch(inner: &Arc<Inner>, frame: Frame) -> Result<(), String> {
    let Frame { header, payload } = frame;
    let (id, flags) = (header.id, header.flags);
    match (header.kind, inner.role) {
        (Kind::Request, Role::Sidecar) | (Kind::Callback, Role::Client) => call(inner, id, &payload),
        (Kind::Response, Role::Client) | (Kind::CallbackReply, Role::Sidecar) => {
            let slot = inner.table.lock().calls.remove(&id);
            if let Some(slot) = slot {
                // A caller that no longer waits has dropped its end.
                let _ = slot.send(Ok(RawReply { payload, is_error: flags & FLAG_ERROR != 0 }));
            }
        }
        (Kind::Data, _) => return data(inner, id, flags, payload),
        (Kind::Credit, _) => return credit(inner, id, flags, &payload),
        (Kind::Event, _) => match Event::decode(&payload) {
            Ok(event) => inner.handler.event(event),
            Err(DecodeError::Unknown(name)) => {
                tracing::debug!(%name, "an event of a later version is skipped")
            }
            Err(DecodeError::Malformed(message)) => return Err(message),
        },
        (Kind::Cancel, _) => {
            let token = inner.table.lock().incoming.get(&id).cloned();
            if let Some(token) = token {
                token.cancel();
            }
        }
        (Kind::Goodbye, _) => {
            let reason = decode::<WireError>(&payload).map_or(ConnectionLost::Closed, |error| {
                if error.code == "closed" { ConnectionLost::Closed } else { ConnectionLost::Goodbye(error) }
            });
            inner.end(reason, None);
        }
        (kind, role) => return Err(format!("a {kind:?} frame to the {role}")),
    }
    Ok(())
}

fn call(inner: &Arc<Inner>, id: u32, payload: &[u8]) {
    let token = CancellationToken::new();
    let busy = {
        let mut table = inner.table.lock();
        let busy = table.incoming.len() >= inner.limits.calls || table.incoming.contains_key(&id);
        if !busy {
            table.incoming.insert(id, token.clone());
        }
        busy
    };
    let responder = Responder::new(Arc::clone(inner), id, token);
    if busy {
        let message = format!("{} calls are under way already", inner.limits.calls);
        return responder.refuse(&WireError::new(code::BUSY, message));
    }
    let failed = match inner.role {
        Role::Sidecar => match Request::decode(payload) {
            Ok(request) => return inner.handler.request(request, responder),
            Err(error) => error,
        },
        Role::Client => match Callback::decode(payload) {
            Ok(callback) => return inner.handler.callback(callback, responder),
            Err(error) => error,
        },
    };
    match failed {
        DecodeError::Unknown(method) => responder.unsupported(&method),
        DecodeError::Malformed(message) => responder.error(&WireError::new(code::INVALID_REQUEST, message)),
    }
}

fn data(inner: &Inner, id: u32, flags: u8, payload: BytesMut) -> Result<(), String> {
    let ends = flags & (FLAG_FIN | FLAG_RESET) != 0;
    let state = {
        let mut table = inner.table.lock();
        if ends { table.recvs.remove(&id) } else { table.recvs.get(&id).cloned() }
    };
    let Some(state) = state else {
        if !ends {
            // Closed on this side, or never accepted: the producer need not go on.
            let _ = inner.send(Kind::Credit, FLAG_STOP, id, &0_u32.to_le_bytes());
        }
        return Ok(());
    };
    if flags & FLAG_RESET != 0 {
        let code = payload.first_chunk::<4>().map_or(0, |raw| u32::from_le_bytes(*raw));
        wake(state.end(StreamError::Reset { code }));
        return Ok(());
    }
    match state.push(payload, ends) {
        Some(wakers) => wake(wakers),
        None => return Err(format!("more data on stream {id} than its credit")),
    }
    Ok(())
}

fn credit(inner: &Inner, id: u32, flags: u8, payload: &[u8]) -> Result<(), String> {
    if flags & FLAG_STOP != 0 {
        let state = inner.table.lock().sends.remove(&id);
        if let Some(state) = state {
            wake(state.end(StreamError::Closed));
        }
        return Ok(());
    }
    let more = payload.first_chunk::<4>().map(|raw| u32::from_le_bytes(*raw));
    let more = more.ok_or_else(|| "a Credit frame without a number".to_owned())?;
    let state = inner.table.lock().sends.get(&id).cloned();
    if let Some(state) = state {
        let wakers = state.add_credit(more, inner.limits.window);
        wake(wakers.ok_or_else(|| format!("more credit on stream {id} than its window"))?);
    }
    Ok(())
}
