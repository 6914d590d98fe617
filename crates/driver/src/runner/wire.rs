//! A control connection as the runner sees it: whole messages in both directions, through queues with few places. What carries
//! them is somebody else's: here are lines of JSON over any two streams.

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Duration, timeout};

use crate::process::{Line, Lines};

/// The longest message of a host, in bytes.
pub const MAX_MESSAGE: usize = 16 << 20;
/// Messages that wait in either direction. They may be long, so these are few.
pub const QUEUE: usize = 8;
/// How long a host may leave a message unread before it counts as gone.
pub const STUCK: Duration = Duration::from_secs(30);

/// What goes to the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToHost {
    /// A message: one JSON text.
    Message(String),
    /// The end. Nothing follows.
    Close {
        /// As WebSocket has them: 1000 is the end of a session.
        code: u16,
        /// Why, in a few words.
        reason: &'static str,
    },
}

/// A connection to a host. It is gone when either queue is closed.
#[derive(Debug)]
pub struct Wire {
    /// What the host says.
    pub from_host: mpsc::Receiver<String>,
    /// What it is told. Whoever carries it closes the queue once the end has been told, or cannot be.
    pub to_host: mpsc::Sender<ToHost>,
}

/// The other end of a [`Wire`], for what carries it.
#[derive(Debug)]
pub struct Carrier {
    /// For what the host says.
    pub from_host: mpsc::Sender<String>,
    /// What it is to be told.
    pub to_host: mpsc::Receiver<ToHost>,
}

impl Wire {
    /// A connection, and the end for what carries it.
    #[must_use]
    pub fn new() -> (Wire, Carrier) {
        let (says, from_host) = mpsc::channel(QUEUE);
        let (to_host, told) = mpsc::channel(QUEUE);
        (Wire { from_host, to_host }, Carrier { from_host: says, to_host: told })
    }
}

/// Carries messages as lines of JSON. It returns when the connection is gone.
pub async fn carry_lines<R, W>(read: R, mut write: W, carrier: Carrier)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let Carrier { from_host, mut to_host } = carrier;
    let reads = async {
        let mut lines = Lines::limited(read, MAX_MESSAGE);
        loop {
            let text = match lines.next().await {
                Ok(Some(Line::Text(bytes))) => String::from_utf8_lossy(&bytes).into_owned(),
                // Its answer says that it is no message.
                Ok(Some(Line::TooLong)) => String::new(),
                Ok(None) | Err(_) => return,
            };
            if from_host.send(text).await.is_err() {
                return;
            }
        }
    };
    let writes = async {
        while let Some(ToHost::Message(text)) = to_host.recv().await {
            let written = timeout(STUCK, async {
                write.write_all(text.as_bytes()).await?;
                write.write_all(b"\n").await?;
                write.flush().await
            });
            if !matches!(written.await, Ok(Ok(()))) {
                return;
            }
        }
        let _ = timeout(STUCK, write.shutdown()).await;
    };
    tokio::select! {
        () = reads => {}
        () = writes => {}
    }
}
