//! Watching files. What happened is told by the kernel of the machine, whoever did it; nothing is polled.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use agentos_protocol::message::{Watch, WatchKind, WatchRecord, WirePath};
use agentos_protocol::mux::{RecordReader, StreamError};
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::path::guest_path;
use crate::sidecar::Link;
use crate::vm::AgentOs;

/// Options of [`AgentOs::watch`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchOptions {
    /// Watch all below a directory, not only what lies directly in it.
    pub recursive: bool,
}

/// What happened to a watched path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
#[non_exhaustive]
pub enum WatchEventKind {
    /// It came to be: made, linked, or moved here from where the watch does not reach, with all that is in it.
    Created,
    /// Its content changed. Any number of changes that were not read yet are one event.
    Modified,
    /// It is gone: removed, or moved to where the watch does not reach.
    Removed,
    /// It was moved here, in place of what was here before.
    Renamed {
        /// Where it was, which is watched too.
        from: String,
    },
    /// Mode, owner or times changed.
    Attributes,
    /// Events were left out: look at all of the watched path anew.
    Overflow,
}

/// An event of [`AgentOs::watch`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WatchEvent {
    /// Absolute guest path without symbolic links; U+FFFD stands for what is not UTF-8.
    pub path: String,
    /// What happened.
    #[serde(flatten)]
    pub kind: WatchEventKind,
    /// It is, or was, a directory.
    pub is_directory: bool,
    /// The path's bytes, if it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_path: Option<Vec<u8>>,
}

impl WatchEvent {
    fn new(record: WatchRecord) -> Self {
        let kind = match record.kind {
            WatchKind::Created => WatchEventKind::Created,
            WatchKind::Modified => WatchEventKind::Modified,
            WatchKind::Removed => WatchEventKind::Removed,
            WatchKind::Renamed => WatchEventKind::Renamed { from: record.from.unwrap_or_default().to_text() },
            WatchKind::Attributes => WatchEventKind::Attributes,
            WatchKind::Overflow => WatchEventKind::Overflow,
        };
        let WirePath(bytes) = record.path;
        let (path, raw_path) = match String::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(error.into_bytes())),
        };
        WatchEvent { path, kind, is_directory: record.is_directory, raw_path }
    }
}

type Reading = Pin<Box<dyn Stream<Item = Result<WatchEvent>> + Send>>;

/// The changes of a watched path. Dropping it ends the watch.
pub struct WatchStream {
    inner: Reading,
    path: String,
}

impl std::fmt::Debug for WatchStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatchStream").field("path", &self.path).finish_non_exhaustive()
    }
}

impl WatchStream {
    /// The path that is watched, without symbolic links: paths of events begin with it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The next event; after an error `None`.
    pub async fn next(&mut self) -> Option<Result<WatchEvent>> {
        self.inner.next().await
    }
}

impl Stream for WatchStream {
    type Item = Result<WatchEvent>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.as_mut().poll_next(cx)
    }
}

fn read(records: RecordReader<WatchRecord>, link: Arc<Link>) -> Reading {
    let start = Some((records, link));
    let all = futures_util::stream::unfold(start, |state| async move {
        let (mut records, link) = state?;
        match records.next().await {
            Ok(Some(record)) => Some((Ok(WatchEvent::new(record)), Some((records, link)))),
            Ok(None) | Err(StreamError::Reset { .. }) => Some((Err(Error::Disposed), None)),
            Err(error) => Some((Err(link.stream_error(error).await), None)),
        }
    });
    // Whoever asks on after the end is told again.
    Box::pin(all.fuse())
}

impl AgentOs {
    /// Watches a file or directory: what programs in the machine and this library change is told, from the moment that this
    /// returns. A directory is watched with what lies directly in it, or all that lies below it (`recursive`), mounts included.
    ///
    /// It is the path that is watched: it goes on when what is there is removed, and tells of what takes its place. An
    /// event says where to look, not what is there: two processes may be told of in either order. A file of several names is
    /// told by the one it was changed through. What is not read waits, up to `VmLimits::watch_queue_bytes`; then all that
    /// waits is replaced by one [`WatchEventKind::Overflow`]. So do mounts, unmounts and rollbacks there, and moves of a
    /// directory above. What others than this machine change in a mounted host directory, driver or store is not told.
    ///
    /// The stream ends with [`Error::Disposed`] when the machine does.
    ///
    /// # Errors
    /// [`Error::Kernel`] (ENOENT, ENOTDIR), path errors; [`Error::Limit`] (`watches`).
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs) -> Result<(), agentos::Error> {
    /// use agentos::{WatchEventKind, WatchOptions};
    /// let mut changes = os.watch("/workspace", WatchOptions { recursive: true }).await?;
    /// while let Some(event) = changes.next().await {
    ///     match event? {
    ///         event if event.kind == WatchEventKind::Overflow => println!("look again at all of it"),
    ///         event => println!("{:?} {}", event.kind, event.path),
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn watch(&self, path: impl AsRef<Path>, options: WatchOptions) -> Result<WatchStream> {
        let link = self.vm.open()?;
        let path = guest_path(path)?;
        let stream = link.open_recv().await?;
        let call = Watch { vm_id: self.vm.id(), path, recursive: options.recursive, stream: stream.id() };
        let path = link.call(&call).await?.path.to_text();
        let inner = read(RecordReader::new(stream), Arc::clone(self.vm.link()));
        Ok(WatchStream { inner, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_flat_json() {
        let event = WatchEvent::new(WatchRecord {
            path: "/b".into(),
            kind: WatchKind::Renamed,
            from: Some("/a".into()),
            is_directory: false,
        });
        let json = serde_json::json!({"path": "/b", "kind": "renamed", "from": "/a", "isDirectory": false});
        assert_eq!(serde_json::to_value(&event).unwrap(), json);
        assert_eq!(serde_json::from_value::<WatchEvent>(json).unwrap(), event);
        let odd = WatchEvent::new(WatchRecord { path: WirePath(b"/\xff".to_vec()), ..Default::default() });
        assert_eq!((&*odd.path, odd.raw_path), ("/\u{fffd}", Some(b"/\xff".to_vec())));
    }
}
