//! dup, close, fcntl and flock.

use std::sync::Arc;
use std::task::Poll;

use agentos_abi::fd::{
    CLOEXEC, F_GETFD, F_GETFL, F_SETFD, F_SETFL, LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, O_RDONLY, O_RDWR,
    O_WRONLY,
};

use crate::description::FileKind;
use crate::{Errno, Fd, Kernel, Process, Result};

impl Kernel {
    /// close(2). EBADF.
    pub fn close(&self, process: &Process, fd: Fd) -> Result<()> {
        let closed = process.fds.lock().remove(fd)?;
        // Dropped here, without the lock: the last close of a pipe end wakes others.
        drop(closed);
        Ok(())
    }

    /// close(2) as a program calls it: it waits for what the file system keeps until then, and returns its error. The
    /// descriptor is free whatever comes.
    pub async fn close_and_flush(&self, process: &Process, fd: Fd) -> Result<()> {
        let closed = process.fds.lock().remove(fd)?;
        closed.description.flush().await
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
        let replaced = process.fds.lock().get(to).ok().filter(|file| file.writes_back()).cloned();
        self.dup2(process, fd, to, cloexec)?;
        if let Some(replaced) = replaced {
            let _ = replaced.flush().await;
        }
        Ok(())
    }

    /// dup2(2): `to` is closed first. Nothing happens when both are the same number. EBADF.
    pub fn dup2(&self, process: &Process, fd: Fd, to: Fd, cloexec: bool) -> Result<()> {
        let closed = {
            let mut fds = process.fds.lock();
            let description = Arc::clone(fds.get(fd)?);
            if fd == to { None } else { fds.insert_at(to, description, cloexec)? }
        };
        drop(closed);
        Ok(())
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

    /// Files that are locked.
    #[must_use]
    pub fn lock_count(&self) -> usize {
        self.locks.len()
    }

    /// flock(2). EBADF, EINVAL, EAGAIN with `LOCK_NB`, EINTR. ENOLCK on what has no inode.
    pub async fn flock(&self, process: &Process, fd: Fd, op: u32) -> Result<()> {
        let file = self.description(process, fd)?;
        let FileKind::Regular { location, .. } = file.kind() else {
            return match file.location() {
                Some(location) => self.flock_at(process, &file, (location.mount.id, location.ino), op).await,
                None => Err(Errno::ENOLCK),
            };
        };
        self.flock_at(process, &file, (location.mount.id, location.ino), op).await
    }

    async fn flock_at(
        &self,
        process: &Process,
        file: &crate::Description,
        id: crate::lock::FileId,
        op: u32,
    ) -> Result<()> {
        let exclusive = match op & !LOCK_NB {
            LOCK_SH => false,
            LOCK_EX => true,
            LOCK_UN => {
                let released = file.lock.lock().take();
                drop(released);
                return Ok(());
            }
            _ => return Err(Errno::EINVAL),
        };
        // A conversion gives the old lock up first, as Linux does.
        let released = file.lock.lock().take();
        drop(released);
        let lock = if op & LOCK_NB != 0 {
            self.locks.try_lock(id, exclusive)?
        } else {
            process
                .interruptible(
                    |cx| match self.locks.poll_lock(cx, id, exclusive) {
                        Poll::Ready(done) => Poll::Ready(done),
                        Poll::Pending => Poll::Pending,
                    },
                    |waker| self.locks.leave(waker),
                )
                .await?
        };
        *file.lock.lock() = Some(lock);
        Ok(())
    }
}
