//! Output of spawned processes and of terminals: what is kept, then what comes, with offsets so that a reader can go on where it stopped.
//! A chunk that the ring no longer has shows as a jump of the offset.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use agentos_protocol::RecvStream;
use agentos_protocol::message::{OutputKind, ReadOutput};
use bytes::Bytes;
use futures_util::Stream;

use crate::error::{Error, Result};
use crate::sidecar::{Link, quick_stream_error};
use crate::vm::AgentOs;

/// A piece of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputChunk {
    /// Offset of its first byte, counted from the start of the process or the opening of the terminal.
    pub offset: u64,
    /// The bytes.
    pub data: Bytes,
}

/// Output of a process or a terminal, until it is closed. A reader that is slow slows only itself and, at a full ring, the
/// process.
#[derive(Debug)]
pub struct ProcessOutput {
    stream: RecvStream,
    offset: u64,
    ended: bool,
    _link: Arc<Link>,
}

impl ProcessOutput {
    pub(crate) fn new(stream: RecvStream, offset: u64, link: &Arc<Link>) -> Self {
        ProcessOutput { stream, offset, ended: false, _link: Arc::clone(link) }
    }

    /// Where the next chunk begins; pass it to [`AgentOs::on_process_stdout_from`] or
    /// [`AgentOs::on_shell_data_from`] to go on later.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<OutputChunk>> {
        futures_util::StreamExt::next(self).await
    }
}

impl Stream for ProcessOutput {
    type Item = Result<OutputChunk>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<OutputChunk>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(self.stream.poll_chunk(cx)) {
            Ok(Some(data)) => {
                let offset = self.offset;
                self.offset += data.len() as u64;
                Some(Ok(OutputChunk { offset, data }))
            }
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                Some(Err(quick_stream_error(error)))
            }
        })
    }
}

impl AgentOs {
    /// Output of a spawned process, from the first byte that is still kept.
    ///
    /// # Errors
    /// [`Error::ProcessNotFound`].
    pub async fn on_process_stdout(&self, pid: u32) -> Result<ProcessOutput> {
        self.output(pid, OutputKind::Stdout, 0).await
    }

    /// Error output of a spawned process, from the first byte that is still kept.
    ///
    /// # Errors
    /// [`Error::ProcessNotFound`].
    pub async fn on_process_stderr(&self, pid: u32) -> Result<ProcessOutput> {
        self.output(pid, OutputKind::Stderr, 0).await
    }

    /// Output of a spawned process from an offset; later if the ring no longer has it.
    ///
    /// # Errors
    /// [`Error::ProcessNotFound`].
    pub async fn on_process_stdout_from(&self, pid: u32, offset: u64) -> Result<ProcessOutput> {
        self.output(pid, OutputKind::Stdout, offset).await
    }

    /// Error output of a spawned process from an offset; later if the ring no longer has it.
    ///
    /// # Errors
    /// [`Error::ProcessNotFound`].
    pub async fn on_process_stderr_from(&self, pid: u32, offset: u64) -> Result<ProcessOutput> {
        self.output(pid, OutputKind::Stderr, offset).await
    }

    async fn output(&self, pid: u32, output: OutputKind, from_offset: u64) -> Result<ProcessOutput, Error> {
        let link = self.vm.open()?;
        let stream = link.open_recv().await?;
        let vm_id = self.vm.id();
        let call = ReadOutput { vm_id, pid, output, from_offset, follow: true, stream: stream.id() };
        let offset = link.call(&call).await?.start_offset;
        Ok(ProcessOutput::new(stream, offset, self.vm.link()))
    }
}
