//! dup, close and fcntl; its locks are in `locks`.

use std::sync::Arc;

use agentos_abi::fd::{CLOEXEC, F_GETFD, F_GETFL, F_SETFD, F_SETFL, O_RDONLY, O_RDWR, O_WRONLY};

use crate::fd_table::FdEntry;
use crate::{Errno, Fd, Kernel, Process, Result};

impl Kernel {
    /// close(2). EBADF.
    pub fn close(&self, process: &Process, fd: Fd) -> Result<()> {
        let closed = process.fds.lock().remove(fd)?;
        self.unlock_closed(process, &closed.description);
        // Dropped here, without the lock: the last close of a pipe end wakes others.
        drop(closed);
        Ok(())
    }

    /// close(2) as a program calls it: it waits for what the file system keeps until then, and returns its error. The
    /// descriptor is free whatever comes.
    pub async fn close_and_flush(&self, process: &Process, fd: Fd) -> Result<()> {
        let closed = process.fds.lock().remove(fd)?;
        let flushed = closed.description.flush().await;
        // Not before: who locks it next is to see what was written.
        self.unlock_closed(process, &closed.description);
        flushed
    }

    /// Waits for what file systems keep of the files of a process until they are closed, before it ends. Errors are lost, as
    /// those of a file that nobody closed.
    pub async fn flush_files(&self, process: &Process) {
        let files: Vec<_> = {
            let fds = process.fds.lock();
            fds.descriptions().filter(|description| description.writes_back()).cloned().collect()
        };
        for file in files {
            let _ = file.flush().await;
        }
    }

    /// `F_DUPFD`: the lowest free number from `at_least` on. EBADF, EINVAL, EMFILE.
    pub fn dup(&self, process: &Process, fd: Fd, at_least: u32, cloexec: bool) -> Result<Fd> {
        let mut fds = process.fds.lock();
        let description = Arc::clone(fds.get(fd)?);
        fds.insert(description, at_least, cloexec)
    }

    /// dup2(2) as a program calls it: it waits for what the file system of `to` keeps until that is closed. An error of this
    /// is lost, as POSIX has it.
    pub async fn dup2_and_flush(&self, process: &Process, fd: Fd, to: Fd, cloexec: bool) -> Result<()> {
        if let Some(replaced) = self.replace(process, fd, to, cloexec)? {
            let _ = replaced.description.flush().await;
            self.unlock_closed(process, &replaced.description);
        }
        Ok(())
    }

    /// dup2(2): `to` is closed first. Nothing happens when both are the same number. EBADF.
    pub fn dup2(&self, process: &Process, fd: Fd, to: Fd, cloexec: bool) -> Result<()> {
        if let Some(closed) = self.replace(process, fd, to, cloexec)? {
            self.unlock_closed(process, &closed.description);
        }
        Ok(())
    }

    /// Moves a descriptor to another number, which is closed first. What the process locked of the file stays locked: the file is
    /// never closed. EBADF. Nothing happens when both are the same number.
    pub async fn renumber(&self, process: &Process, fd: Fd, to: Fd) -> Result<()> {
        if fd == to {
            return Ok(());
        }
        let replaced = self.replace(process, fd, to, false)?;
        let moved = process.fds.lock().remove(fd)?;
        drop(moved);
        if let Some(replaced) = replaced {
            let _ = replaced.description.flush().await;
            self.unlock_closed(process, &replaced.description);
        }
        Ok(())
    }

    /// Makes `to` the same as `fd`, and returns what it was.
    fn replace(&self, process: &Process, fd: Fd, to: Fd, cloexec: bool) -> Result<Option<FdEntry>> {
        let mut fds = process.fds.lock();
        let description = Arc::clone(fds.get(fd)?);
        if fd == to { Ok(None) } else { fds.insert_at(to, description, cloexec) }
    }

    /// fcntl(2): the commands of `agentos_abi::fd`. EBADF, EINVAL.
    pub fn fcntl(&self, process: &Process, fd: Fd, cmd: u32, arg: u32) -> Result<u32> {
        let mut fds = process.fds.lock();
        let entry = fds.entry(fd)?;
        match cmd {
            F_GETFD => Ok(if entry.cloexec { CLOEXEC } else { 0 }),
            F_SETFD => fds.set_cloexec(fd, arg & CLOEXEC != 0).map(|()| 0),
            F_GETFL => {
                let access = entry.description.access();
                let mode = match (access.read, access.write) {
                    (true, true) => O_RDWR,
                    (false, true) => O_WRONLY,
                    _ => O_RDONLY,
                };
                Ok(mode | entry.description.flags())
            }
            F_SETFL => {
                entry.description.set_flags(arg);
                Ok(0)
            }
            _ => Err(Errno::EINVAL),
        }
    }
}
