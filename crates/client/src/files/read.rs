//! Reading files: small ones in one reply, any size as a stream.
//! It keeps no cache.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use agentos_protocol::RecvStream;
use agentos_protocol::message::{INLINE_LIMIT, ReadFile};
use tokio::io::{AsyncRead, ReadBuf};

use crate::error::{Error, READ_FILE, Result};
use crate::path::guest_path;
use crate::sidecar::Link;
use crate::vm::AgentOs;

/// Options of [`AgentOs::open_read`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenReadOptions {
    /// First byte.
    pub offset: u64,
    /// Most bytes; all.
    pub length: Option<u64>,
}

/// Most bytes that `read_file` takes into memory.
const MOST: u64 = 1 << 30;
/// Bytes that a file may have beyond its size: it may have grown, and those of `/proc` and `/dev` claim none.
const BEYOND: u64 = 64 << 20;

impl AgentOs {
    /// The content of a file of any size. Use [`AgentOs::open_read`] for one that should not be in memory as a whole, or
    /// that has no end.
    ///
    /// # Errors
    /// [`Error::Kernel`] (ENOENT, EISDIR, EACCES, ELOOP…), path errors; [`Error::Limit`] for more than 1 GiB, and
    /// after 64 MiB more than the size that the file said to have: devices such as `/dev/zero` have no end.
    /// [`AgentOs::open_read`] has no limit.
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs) -> Result<(), agentos::Error> {
    /// let passwd = String::from_utf8_lossy(&os.read_file("/etc/passwd").await?).into_owned();
    /// # Ok(()) }
    /// ```
    pub async fn read_file(&self, path: impl AsRef<Path>) -> Result<Vec<u8>> {
        let link = self.vm.open()?;
        let stream = link.open_recv().await?;
        let inline_limit = u32::try_from(INLINE_LIMIT).unwrap_or(u32::MAX);
        let reply =
            link.call(&self.read_call(path, OpenReadOptions::default(), inline_limit, &stream)?).await;
        let reply = match reply {
            Ok(reply) if reply.streamed => reply,
            other => {
                stream.discard_unused();
                return other.map(|reply| reply.data);
            }
        };
        // A guest can make a file of any size at no cost.
        let most = reply.size.saturating_add(BEYOND).min(MOST);
        if reply.size > MOST {
            return Err(Error::Limit {
                name: READ_FILE.to_owned(),
                configured: MOST,
                used: 0,
                requested: reply.size,
            });
        }
        // The size is a hint of the other side: a big one is not believed before the bytes come.
        let mut all = Vec::with_capacity(usize::try_from(reply.size).unwrap_or(0).min(64 << 20));
        loop {
            match stream.next_chunk().await {
                Ok(Some(chunk)) if all.len() as u64 + chunk.len() as u64 > most => {
                    // Dropping the stream ends the reading on the other side.
                    return Err(Error::Limit {
                        name: READ_FILE.to_owned(),
                        configured: most,
                        used: all.len() as u64,
                        requested: chunk.len() as u64,
                    });
                }
                Ok(Some(chunk)) => all.extend_from_slice(&chunk),
                Ok(None) => return Ok(all),
                Err(error) => return Err(link.stream_error(error).await),
            }
        }
    }

    /// Opens a file for reading as a stream.
    ///
    /// # Errors
    /// As [`AgentOs::read_file`].
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut log = os.open_read("/var/log/big.log", Default::default()).await?;
    /// tokio::io::copy(&mut log, &mut tokio::io::stdout()).await?;
    /// # Ok(()) }
    /// ```
    pub async fn open_read(&self, path: impl AsRef<Path>, options: OpenReadOptions) -> Result<FileReader> {
        let link = self.vm.open()?;
        let stream = link.open_recv().await?;
        let reply = link.call(&self.read_call(path, options, 0, &stream)?).await?;
        let first = if reply.streamed { Vec::new() } else { reply.data };
        let stream = if reply.streamed { Some(stream) } else { None };
        Ok(FileReader { size: reply.size, first, at: 0, stream, _link: Arc::clone(self.vm.link()) })
    }

    fn read_call(
        &self,
        path: impl AsRef<Path>,
        options: OpenReadOptions,
        inline_limit: u32,
        stream: &RecvStream,
    ) -> Result<ReadFile> {
        Ok(ReadFile {
            vm_id: self.vm.id(),
            path: guest_path(path)?,
            offset: options.offset,
            length: options.length,
            inline_limit,
            stream: Some(stream.id()),
        })
    }
}

/// A file that is read as a stream. Dropping it closes the file.
#[derive(Debug)]
pub struct FileReader {
    size: u64,
    first: Vec<u8>,
    at: usize,
    stream: Option<RecvStream>,
    _link: Arc<Link>,
}

impl FileReader {
    /// Bytes of the whole file when it was opened.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }
}

impl AsyncRead for FileReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let Some(stream) = &self.stream else {
            let rest = self.first.get(self.at..).unwrap_or_default();
            let n = rest.len().min(buf.remaining());
            buf.put_slice(rest.get(..n).unwrap_or_default());
            self.at += n;
            return Poll::Ready(Ok(()));
        };
        match ready!(stream.poll_read(cx, buf.initialize_unfilled())) {
            Ok(n) => {
                buf.advance(n);
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(crate::sidecar::quick_stream_error(error).into())),
        }
    }
}
