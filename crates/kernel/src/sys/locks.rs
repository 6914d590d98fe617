//! flock(2) and the record locks of fcntl(2). Which locks exclude each other is in `crate::lock`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use agentos_abi::fd::{
    F_GETLK, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_RDLCK, F_SETLK, F_SETLKW, F_UNLCK, F_WRLCK, LOCK_EX,
    LOCK_NB, LOCK_SH, LOCK_UN, SEEK_CUR, SEEK_END, SEEK_SET,
};
use agentos_abi::layout::RecordLock;

use crate::description::FileKind;
use crate::lock::{DescriptionLocks, FileId, LAST, Owner, Range, Request};
use crate::{Description, Errno, Fd, Kernel, Process, Result};

/// What a call of fcntl(2) wants of a record lock.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Ask,
    Set,
    Wait,
}

fn id(file: &Description) -> Option<FileId> {
    file.location().map(|location| (location.mount.id, location.ino))
}

impl Kernel {
    /// Files that are locked with flock(2).
    #[must_use]
    pub fn lock_count(&self) -> usize {
        self.locks.len()
    }

    /// Ranges that are locked with fcntl(2), and waits for such.
    #[must_use]
    pub fn record_lock_count(&self) -> (usize, usize) {
        self.records.len()
    }

    /// flock(2). EBADF, EINVAL, EAGAIN with `LOCK_NB`, EINTR. ENOLCK on what has no inode.
    pub async fn flock(&self, process: &Process, fd: Fd, op: u32) -> Result<()> {
        let file = self.description(process, fd)?;
        let id = id(&file).ok_or(Errno::ENOLCK)?;
        let exclusive = match op & !LOCK_NB {
            LOCK_SH => false,
            LOCK_EX => true,
            LOCK_UN => {
                let released = file.locks.lock().file.take();
                drop(released);
                return Ok(());
            }
            _ => return Err(Errno::EINVAL),
        };
        // A conversion gives the old lock up first, as Linux does.
        let released = file.locks.lock().file.take();
        drop(released);
        let pid = process.pid;
        let lock = if op & LOCK_NB != 0 {
            self.locks.try_lock(id, pid, exclusive)?
        } else {
            process
                .interruptible(
                    |cx| match self.locks.poll_lock(cx, id, pid, exclusive) {
                        Poll::Ready(done) => Poll::Ready(done),
                        Poll::Pending => Poll::Pending,
                    },
                    |waker| self.locks.leave(waker),
                )
                .await?
        };
        let replaced = file.locks.lock().file.replace(lock);
        drop(replaced);
        Ok(())
    }

    /// fcntl(2) with F_SETLK, F_SETLKW, F_GETLK and their kin for open file descriptions. What comes back is the lock in the way
    /// for the commands that ask, with the type F_UNLCK where there is none, and else what was given.
    ///
    /// EBADF, also when the file is not open for this; EINVAL, EOVERFLOW (ranges), EINVAL on what has no inode, EAGAIN, EINTR,
    /// EDEADLK, ENOLCK at [`RECORD_LOCKS`](crate::RECORD_LOCKS).
    pub async fn record_lock(
        &self,
        process: &Process,
        fd: Fd,
        cmd: u32,
        lock: RecordLock,
    ) -> Result<RecordLock> {
        let file = self.description(process, fd)?;
        let (act, of_process) = match cmd {
            F_GETLK => (Act::Ask, true),
            F_SETLK => (Act::Set, true),
            F_SETLKW => (Act::Wait, true),
            F_OFD_GETLK => (Act::Ask, false),
            F_OFD_SETLK => (Act::Set, false),
            F_OFD_SETLKW => (Act::Wait, false),
            _ => return Err(Errno::EINVAL),
        };
        if act == Act::Ask && !matches!(lock.kind, F_RDLCK | F_WRLCK) {
            return Err(Errno::EINVAL);
        }
        let id = id(&file).ok_or(Errno::EINVAL)?;
        let range = range_of(&file, &lock).await?;
        let kind = match lock.kind {
            F_RDLCK => Some(false),
            F_WRLCK => Some(true),
            F_UNLCK => None,
            _ => return Err(Errno::EINVAL),
        };
        let access = file.access();
        if act != Act::Ask && kind.is_some_and(|write| if write { !access.write } else { !access.read }) {
            return Err(Errno::EBADF);
        }
        if !of_process && lock.pid != 0 {
            return Err(Errno::EINVAL);
        }
        let owner = if of_process {
            if act != Act::Ask {
                process.locked_records.store(true, Ordering::Relaxed);
            }
            Owner::Process(process.pid)
        } else {
            self.owner_of(&file, id)
        };
        let Some(exclusive) = kind else {
            return self.records.unlock(id, owner, range).map(|()| lock);
        };
        let request = Request { file: id, owner, range, exclusive };
        match act {
            Act::Ask => return Ok(self.in_the_way(&request, lock)),
            Act::Set => self.records.try_lock(&request)?,
            Act::Wait => {
                let ticket = self.next_id();
                process
                    .interruptible(
                        |cx| self.records.poll_lock(cx, ticket, &request),
                        |waker| self.records.leave(ticket, waker),
                    )
                    .await?;
            }
        }
        Ok(lock)
    }

    fn in_the_way(&self, request: &Request, asked: RecordLock) -> RecordLock {
        let Some((owner, range, exclusive)) = self.records.conflict(request) else {
            return RecordLock { kind: F_UNLCK, ..asked };
        };
        RecordLock {
            kind: if exclusive { F_WRLCK } else { F_RDLCK },
            whence: SEEK_SET,
            start: range.start.cast_signed(),
            len: if range.end == LAST { 0 } else { (range.end - range.start + 1).cast_signed() },
            pid: match owner {
                Owner::Process(pid) => pid.0.cast_signed(),
                Owner::Description(_) => -1,
            },
        }
    }

    /// The owner that an open file description is.
    fn owner_of(&self, file: &Description, id: FileId) -> Owner {
        let mut locks = file.locks.lock();
        let records = locks.records.get_or_insert_with(|| DescriptionLocks {
            table: Arc::downgrade(&self.records),
            file: id,
            id: self.next_id(),
        });
        Owner::Description(records.id)
    }

    /// A process closed one of its descriptors: POSIX has it lose what it locked of the file, however often it has it open.
    pub(crate) fn unlock_closed(&self, process: &Process, closed: &Description) {
        if process.locked_records.load(Ordering::Relaxed)
            && let Some(id) = id(closed)
        {
            self.records.release(id, Owner::Process(process.pid));
        }
    }

    /// A process ends.
    pub(crate) fn unlock_records(&self, process: &Process) {
        if process.locked_records.load(Ordering::Relaxed) {
            self.records.release_all(Owner::Process(process.pid));
        }
    }
}

/// The bytes that a lock is about. EINVAL before the first byte, EOVERFLOW behind the last.
async fn range_of(file: &Description, lock: &RecordLock) -> Result<Range> {
    let base = match lock.whence {
        SEEK_SET => 0,
        SEEK_CUR => *file.offset.lock().await,
        SEEK_END => match file.kind() {
            FileKind::Regular { file, .. } => file.getattr().await?.size,
            _ => 0,
        },
        _ => return Err(Errno::EINVAL),
    };
    let base = i64::try_from(base).map_err(|_| Errno::EOVERFLOW)?;
    let start = base.checked_add(lock.start).ok_or(Errno::EOVERFLOW)?;
    if start < 0 {
        return Err(Errno::EINVAL);
    }
    let (start, end) = match lock.len {
        0 => (start, LAST.cast_signed()),
        len if len > 0 => (start, start.checked_add(len - 1).ok_or(Errno::EOVERFLOW)?),
        len => (start.checked_add(len).ok_or(Errno::EINVAL)?, start - 1),
    };
    let start = u64::try_from(start).map_err(|_| Errno::EINVAL)?;
    let end = u64::try_from(end).map_err(|_| Errno::EINVAL)?;
    Ok(Range { start, end })
}
