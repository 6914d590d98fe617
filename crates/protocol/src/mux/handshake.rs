//! The begin of a connection: both sides say Hello, compare versions, and the tasks start.
//! It does not authenticate: that is done by how the socket is reached.

use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;

use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, Handler, Inner};
use super::error::{ConnectionLost, HandshakeError};
use super::outgoing::{Outgoing, lone_frame};
use super::table::Table;
use super::{Limits, reader};
use crate::frame::{self, Kind};
use crate::message::{WireError, code, decode, encode};
use crate::version::{Hello, Role};

/// Makes a connection of a socket; `hello.role` says which side this is. Its two tasks run on the current tokio runtime.
///
/// # Errors
/// [`HandshakeError`].
pub async fn connect(
    socket: StdStream,
    hello: Hello,
    handler: Arc<dyn Handler>,
    limits: Limits,
) -> Result<Connection, HandshakeError> {
    socket.set_nonblocking(true)?;
    let mut socket = UnixStream::from_std(socket)?;
    let mut buf = BytesMut::new();
    let peer = tokio::time::timeout(limits.handshake, greet(&mut socket, &hello, &mut buf))
        .await
        .map_err(|_| HandshakeError::Timeout(limits.handshake))??;
    let socket = Arc::new(socket);
    let first_stream = match hello.role {
        Role::Client => 1,
        Role::Sidecar => 2,
    };
    let inner = Arc::new(Inner {
        role: hello.role,
        peer,
        limits,
        outgoing: Outgoing::new(Arc::clone(&socket), limits.outgoing_high, limits.outgoing_max),
        table: Mutex::new(Table::new(first_stream)),
        handler,
        ended: CancellationToken::new(),
    });
    tokio::spawn(write(Arc::clone(&inner), Arc::clone(&socket)));
    tokio::spawn(reader::run(Arc::clone(&inner), socket, buf));
    Ok(Connection { inner })
}

async fn greet(socket: &mut UnixStream, hello: &Hello, buf: &mut BytesMut) -> Result<Hello, HandshakeError> {
    let payload = encode(hello).map_err(|e| ConnectionLost::Protocol { message: e.to_string() })?;
    socket.write_all(&lone_frame(Kind::Hello, &payload)).await?;
    let frame = loop {
        if let Some(frame) = frame::decode(buf).map_err(ConnectionLost::from)? {
            break frame;
        }
        socket.readable().await?;
        match socket.try_read_buf(buf) {
            Ok(0) => return Err(ConnectionLost::Closed.into()),
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e.into()),
        }
    };
    let malformed = |message: String| HandshakeError::Lost(ConnectionLost::Protocol { message });
    match frame.header.kind {
        Kind::Hello => {}
        Kind::Goodbye => {
            let reason = decode::<WireError>(&frame.payload).map_err(|e| malformed(e.to_string()))?;
            return Err(ConnectionLost::Goodbye(reason).into());
        }
        kind => return Err(malformed(format!("a {kind:?} frame before Hello"))),
    }
    let peer = decode::<Hello>(&frame.payload).map_err(|e| malformed(e.to_string()))?;
    let refused = match hello.check(&peer) {
        Err(mismatch) => mismatch.into(),
        Ok(()) if peer.role == hello.role => HandshakeError::SameRole(peer.role),
        Ok(()) => return Ok(peer),
    };
    let reason = WireError::new(code::VERSION_MISMATCH, refused.to_string());
    if let Ok(payload) = encode(&reason) {
        // The other side may be gone already; it has our Hello, which says the same.
        let _ = socket.write_all(&lone_frame(Kind::Goodbye, &payload)).await;
    }
    Err(refused)
}

/// How long the last frames of a closed connection may wait for a reader.
const LINGER: std::time::Duration = std::time::Duration::from_secs(2);

/// Writes what direct writers leave, until the connection ends; then shuts the socket down.
async fn write(inner: Arc<Inner>, socket: Arc<UnixStream>) {
    let mut run = std::pin::pin!(inner.outgoing.run());
    let early = tokio::select! {
        result = &mut run => Some(result),
        () = inner.ended.cancelled() => None,
    };
    let early_end = early.is_none();
    let reason = match early {
        Some(Err(error)) => error.into(),
        Some(Ok(())) | None => ConnectionLost::Local,
    };
    // The first reason stays.
    inner.end(reason, None);
    inner.handler.closed(&inner.lost_or_local());
    if early_end {
        // A slow peer gets a moment for what is left; a dead one ends it at once by an error.
        drop(tokio::time::timeout(LINGER, run).await);
    }
    if let Err(error) = rustix::net::shutdown(&*socket, rustix::net::Shutdown::Both) {
        tracing::trace!(%error, "the socket was shut down before");
    }
}
