//! pipe(2).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use agentos_abi::fd::{CLOEXEC, NONBLOCK, O_NONBLOCK};
use agentos_vfs::Access;

use crate::description::FileKind;
use crate::{Description, Errno, Fd, Kernel, Pipe, Process, Result};

impl Kernel {
    /// Counts one more pipe or FIFO; the result counts it out again. ENFILE at the limit.
    pub(crate) fn count_pipe(&self) -> Result<impl Fn() + Send + Sync + 'static> {
        let limit = self.limits.pipes;
        self.pipes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < limit).then_some(n + 1))
            .inspect(|before| self.pipe_warning.uses(u64::from(*before) + 1))
            .map_err(|_| Errno::ENFILE)?;
        let (count, warning) = (Arc::clone(&self.pipes), self.pipe_warning.clone());
        Ok(move || {
            let before = count.fetch_sub(1, Ordering::Relaxed);
            warning.uses(u64::from(before.saturating_sub(1)));
        })
    }

    /// A pipe, counted against the limit of the VM. ENFILE at the limit.
    pub fn new_pipe(&self, flags: u32) -> Result<(Arc<Description>, Arc<Description>)> {
        let held = self.count_pipe()?;
        let (reader, writer) = Pipe::create(self.limits.pipe_bytes, self.next_id(), held);
        let status = if flags & NONBLOCK != 0 { O_NONBLOCK } else { 0 };
        Ok((
            Description::new(FileKind::PipeReader(reader), Access { read: true, write: false }, status, None),
            Description::new(FileKind::PipeWriter(writer), Access { read: false, write: true }, status, None),
        ))
    }

    /// pipe2(2): the read end and the write end. EMFILE, ENFILE.
    pub fn pipe(&self, process: &Process, flags: u32) -> Result<(Fd, Fd)> {
        if flags & !(CLOEXEC | NONBLOCK) != 0 {
            return Err(Errno::EINVAL);
        }
        let (reader, writer) = self.new_pipe(flags)?;
        let cloexec = flags & CLOEXEC != 0;
        let mut fds = process.fds.lock();
        let read_fd = fds.insert(reader, 0, cloexec)?;
        match fds.insert(writer, 0, cloexec) {
            Ok(write_fd) => Ok((read_fd, write_fd)),
            Err(errno) => {
                let undone = fds.remove(read_fd);
                drop(fds);
                drop(undone);
                Err(errno)
            }
        }
    }

    /// Pipes that exist.
    #[must_use]
    pub fn pipe_count(&self) -> u32 {
        self.pipes.load(Ordering::Relaxed)
    }
}
