//! One WebSocket as a control connection. A host that is silent for long or does not read is gone, so that another can come.

use std::time::Duration;

use agentos_driver::runner::{Carrier, STUCK, ToHost};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// How often the host is asked whether it is there: its library answers by itself.
const PING: Duration = Duration::from_secs(20);
/// How long it may be silent.
const SILENT: Duration = Duration::from_secs(60);
/// How long the other side has to say that it closes too.
const CLOSE: Duration = Duration::from_secs(1);

type Socket = WebSocketStream<TcpStream>;

/// Carries messages. It returns when the connection is gone, and closes it with 1000 at the end of a session.
pub(super) async fn carry(socket: Socket, carrier: Carrier) {
    let Carrier { from_host, mut to_host } = carrier;
    let (mut write, mut read) = socket.split();
    let closed = {
        let reads = reads(&mut read, &from_host);
        tokio::select! {
            () = reads => false,
            told = writes(&mut write, &mut to_host) => told,
        }
    };
    // What is not read before the socket goes would take the last frames with it.
    if closed {
        let _ = timeout(CLOSE, async { while let Some(Ok(_)) = read.next().await {} }).await;
    }
}

async fn reads(read: &mut SplitStream<Socket>, from_host: &tokio::sync::mpsc::Sender<String>) {
    loop {
        let message = match timeout(SILENT, read.next()).await {
            Ok(Some(Ok(message))) => message,
            // Gone, silent, or it does not keep to the protocol: a message that is too long, a frame that is none.
            Ok(None | Some(Err(_))) | Err(_) => return,
        };
        let text = match message {
            Message::Text(text) => text.as_str().to_owned(),
            Message::Binary(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            Message::Close(_) => return,
        };
        if from_host.send(text).await.is_err() {
            return;
        }
    }
}

/// Whether the end was told.
async fn writes(
    write: &mut SplitSink<Socket, Message>,
    to_host: &mut tokio::sync::mpsc::Receiver<ToHost>,
) -> bool {
    let mut pings = interval_at(Instant::now() + PING, PING);
    loop {
        let next = tokio::select! {
            next = to_host.recv() => next,
            _ = pings.tick() => Some(ToHost::Message(String::new())),
        };
        let (message, last) = match next {
            Some(ToHost::Message(text)) if text.is_empty() => (Message::Ping(Vec::new().into()), false),
            Some(ToHost::Message(text)) => (Message::Text(text.into()), false),
            Some(ToHost::Close { code, reason }) => {
                let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
                (Message::Close(Some(frame)), true)
            }
            None => return false,
        };
        if !matches!(timeout(STUCK, write.send(message)).await, Ok(Ok(()))) {
            return false;
        }
        if last {
            return true;
        }
    }
}
