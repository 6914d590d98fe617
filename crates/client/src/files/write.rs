//! Writing files: small contents in one request, any size as a stream.
//! A write that fails half way leaves what was written.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use agentos_protocol::SendStream;
use agentos_protocol::message::{INLINE_LIMIT, WriteFile, WriteSource};
use agentos_protocol::mux::{CallError, PendingCall};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::error::{Error, Result};
use crate::path::guest_path;
use crate::sidecar::Link;
use crate::vm::AgentOs;

/// Options of [`AgentOs::open_write`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenWriteOptions {
    /// Permission bits of a new file; 0644.
    pub mode: Option<u32>,
    /// Make missing parent directories.
    pub create_parents: bool,
    /// Write at the end.
    pub append: bool,
    /// EEXIST if there is something.
    pub exclusive: bool,
    /// Write from here and keep the rest, instead of replacing the content.
    pub offset: Option<u64>,
}

impl AgentOs {
    /// Writes a file; replaces its content if it exists. The parent directory must exist.
    ///
    /// # Errors
    /// [`Error::Kernel`] (ENOENT, EISDIR, ENOSPC…), [`Error::ReadOnly`], path errors.
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs) -> Result<(), agentos::Error> {
    /// os.write_file("/workspace/a.txt", "text or bytes").await?;
    /// # Ok(()) }
    /// ```
    pub async fn write_file(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Result<()> {
        self.write_with(path.as_ref(), content.as_ref(), OpenWriteOptions::default()).await
    }

    pub(super) async fn write_with(
        &self,
        path: &Path,
        content: &[u8],
        options: OpenWriteOptions,
    ) -> Result<()> {
        if content.len() <= INLINE_LIMIT {
            let source = WriteSource::Inline(content.to_vec());
            self.vm.call(&self.write_call(path, source, options)?).await?;
            return Ok(());
        }
        let mut writer = self.open_write(path, options).await?;
        let written = async {
            writer.write_all(content).await?;
            writer.shutdown().await
        };
        match written.await {
            Ok(()) => Ok(()),
            Err(error) => Err(writer.into_error(error).await),
        }
    }

    /// Opens a file for writing as a stream. The file is complete once `shutdown` of the writer has returned.
    ///
    /// # Errors
    /// Path errors; those of the file come by the first write or `shutdown`.
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs) -> Result<(), Box<dyn std::error::Error>> {
    /// use tokio::io::AsyncWriteExt;
    /// let mut file = os.open_write("/workspace/big", Default::default()).await?;
    /// tokio::io::copy(&mut tokio::io::stdin(), &mut file).await?;
    /// file.shutdown().await?;
    /// # Ok(()) }
    /// ```
    pub async fn open_write(&self, path: impl AsRef<Path>, options: OpenWriteOptions) -> Result<FileWriter> {
        let link = self.vm.open()?;
        let stream = link.open_send().await?;
        let source = WriteSource::Stream(stream.id());
        let call = link.start(&self.write_call(path.as_ref(), source, options)?).await?;
        Ok(FileWriter { stream, call: Some(call), failed: None, link: Arc::clone(self.vm.link()) })
    }

    fn write_call(&self, path: &Path, source: WriteSource, options: OpenWriteOptions) -> Result<WriteFile> {
        Ok(WriteFile {
            vm_id: self.vm.id(),
            path: guest_path(path)?,
            source,
            mode: options.mode,
            create_parents: options.create_parents,
            append: options.append,
            exclusive: options.exclusive,
            offset: options.offset,
        })
    }
}

/// A file that is written as a stream. Dropping it before `shutdown` leaves the file incomplete.
#[derive(Debug)]
pub struct FileWriter {
    stream: SendStream,
    call: Option<PendingCall<WriteFile>>,
    failed: Option<CallError>,
    link: Arc<Link>,
}

impl FileWriter {
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        if let Some(call) = &mut self.call {
            let ended = ready!(Pin::new(call).poll(cx));
            self.call = None;
            self.failed = ended.err();
        }
        Poll::Ready(match &self.failed {
            None => Ok(()),
            Some(CallError::Remote(error)) => Err(Error::from(error.clone()).into()),
            Some(error) => Err(std::io::Error::new(std::io::ErrorKind::ConnectionReset, error.clone())),
        })
    }

    /// The error behind the one of an `AsyncWrite` call.
    async fn into_error(self, error: std::io::Error) -> Error {
        match self.failed {
            Some(failed) => self.link.error(failed).await,
            None => Error::Transport { message: error.to_string() },
        }
    }
}

impl AsyncWrite for FileWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        match ready!(self.stream.poll_write(cx, data)) {
            Ok(n) => Poll::Ready(Ok(n)),
            // The sidecar stopped reading: its answer says why.
            Err(error) => match ready!(self.poll_end(cx)) {
                Ok(()) => Poll::Ready(Err(error.into())),
                Err(error) => Poll::Ready(Err(error)),
            },
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.stream.finish();
        self.poll_end(cx)
    }
}
