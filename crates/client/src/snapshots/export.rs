//! Taking a snapshot of a machine's root file system.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use agentos_protocol::RecvStream;
use agentos_protocol::message::ExportSnapshot;
pub use agentos_protocol::message::SnapshotFormat;
use agentos_protocol::mux::PendingCall;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::config::RootLowerInput;
use crate::error::{Error, Result, SNAPSHOT};
use crate::sidecar::{Link, quick_stream_error};
use crate::vm::AgentOs;

/// Most bytes of a snapshot that are taken into memory.
const MOST: u64 = 1 << 30;

/// A snapshot of a root file system, `{"kind": "snapshot-export", "source": {"version": 1, "entries": [...]}}`. It is a lower
/// layer for other machines as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename = "snapshot-export")]
pub struct RootSnapshotExport {
    /// The entries.
    pub source: Value,
}

impl From<RootSnapshotExport> for RootLowerInput {
    fn from(snapshot: RootSnapshotExport) -> Self {
        RootLowerInput::SnapshotExport { source: snapshot.source }
    }
}

/// Options of [`AgentOs::export_root_filesystem`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotOptions {
    /// As what: a tar archive.
    pub format: SnapshotFormat,
    /// All of the root. By default it is what differs from the bundled base: what was added and changed, and whiteouts for
    /// what was removed.
    pub flatten: bool,
}

impl AgentOs {
    /// A snapshot of the root file system as JSON: what differs from the bundled base. Mounts are not in it. It is the root as
    /// it is when the call comes; of a file that is being written, what was written before.
    ///
    /// # Errors
    /// [`Error::Limit`] for more than 1 GiB of JSON: [`AgentOs::export_root_filesystem`] has no such limit;
    /// [`Error::Disposed`]; [`Error::Busy`].
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs) -> Result<(), agentos::Error> {
    /// use agentos::{AgentOs, AgentOsConfig, RootFilesystemConfig};
    /// let snapshot = os.snapshot_root_filesystem().await?;
    /// let root = RootFilesystemConfig { lowers: vec![snapshot.into()], ..Default::default() };
    /// let again = AgentOs::create(AgentOsConfig::builder().root_filesystem(root).build()).await?;
    /// # Ok(()) }
    /// ```
    pub async fn snapshot_root_filesystem(&self) -> Result<RootSnapshotExport> {
        let options = SnapshotOptions { format: SnapshotFormat::Json, flatten: false };
        let mut reader = self.export_root_filesystem(options).await?;
        let mut json = Vec::new();
        match (&mut reader).take(MOST + 1).read_to_end(&mut json).await {
            Ok(_) if json.len() as u64 > MOST => {
                let (used, requested) = (MOST, 1);
                Err(Error::Limit { name: SNAPSHOT.to_owned(), configured: MOST, used, requested })
            }
            Ok(_) => serde_json::from_slice(&json)
                .map_err(|error| Error::Transport { message: format!("snapshot: {error}") }),
            Err(error) => Err(reader.into_error(error)),
        }
    }

    /// A snapshot of the root file system as a stream. Mounts are not in it.
    ///
    /// # Errors
    /// [`Error::Disposed`]; those of the snapshot come by reading, as the source of the `std::io::Error`.
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut tar = os.export_root_filesystem(Default::default()).await?;
    /// tokio::io::copy(&mut tar, &mut tokio::fs::File::create("work.tar").await?).await?;
    /// # Ok(()) }
    /// ```
    pub async fn export_root_filesystem(&self, options: SnapshotOptions) -> Result<SnapshotReader> {
        let link = self.vm.open()?;
        let stream = link.open_recv().await?;
        let call = ExportSnapshot {
            vm_id: self.vm.id(),
            format: options.format,
            flatten: options.flatten,
            stream: stream.id(),
        };
        let call = link.start(&call).await?;
        let link = Arc::clone(self.vm.link());
        Ok(SnapshotReader { stream, call: Some(call), failed: None, _link: link })
    }
}

/// A snapshot that is read as a stream. Dropping it ends the writing.
#[derive(Debug)]
pub struct SnapshotReader {
    stream: RecvStream,
    call: Option<PendingCall<ExportSnapshot>>,
    failed: Option<Error>,
    _link: Arc<Link>,
}

impl SnapshotReader {
    /// The error behind one of reading.
    fn into_error(self, error: std::io::Error) -> Error {
        self.failed.unwrap_or_else(|| Error::Transport { message: error.to_string() })
    }

    /// How the call ended: only then is the snapshot whole.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if let Some(call) = &mut self.call {
            let ended = ready!(Pin::new(call).poll(cx));
            self.call = None;
            self.failed = ended.err().map(|error| match error {
                agentos_protocol::mux::CallError::Remote(error) => error.into(),
                other => Error::Transport { message: other.to_string() },
            });
        }
        Poll::Ready(self.failed.clone().map_or(Ok(()), Err))
    }
}

impl AsyncRead for SnapshotReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        // Nothing fits: that nothing comes is then not the end.
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        match self.stream.poll_read(cx, buf.initialize_unfilled()) {
            Poll::Ready(Ok(n)) if n > 0 => {
                buf.advance(n);
                Poll::Ready(Ok(()))
            }
            // The end, which the call must confirm; it also knows better why a stream broke.
            Poll::Ready(Ok(_)) => self.poll_end(cx).map_err(Into::into),
            Poll::Ready(Err(error)) => match ready!(self.poll_end(cx)) {
                Ok(()) => Poll::Ready(Err(quick_stream_error(error).into())),
                Err(error) => Poll::Ready(Err(error.into())),
            },
            // A call that was refused never begins to write.
            Poll::Pending => match self.poll_end(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
                _ => Poll::Pending,
            },
        }
    }
}
