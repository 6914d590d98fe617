//! read, write, seek and their kin on descriptors (POSIX 2.5).

use std::sync::Arc;
use std::task::Poll;

use agentos_abi::fd::{O_APPEND, O_DSYNC, O_SYNC};
use agentos_abi::process::{RLIM_INFINITY, RLIMIT_FSIZE};
use agentos_vfs::{OpenFile, SetAttr, reply};

use super::permit::Object;
use super::walk::At;
use super::watch::note;
use crate::description::FileKind;
use crate::permissions::{Operation, Operations};
use crate::{ChangeKind, Description, Errno, Fd, Kernel, Process, Result, Signal};

/// Bytes that are moved before others get their turn: memory files take and give any number at once, and a guest may ask
/// for gigabytes.
const PIECE: usize = 1 << 20;

/// A device has no end, so a read of it may be short.
fn first_piece(buf: &mut [u8]) -> &mut [u8] {
    let len = buf.len().min(PIECE);
    &mut buf[..len]
}

async fn read_pieces(file: &Arc<dyn OpenFile>, buf: &mut [u8], offset: u64) -> Result<usize> {
    if buf.len() <= PIECE {
        return reply!(file.read_at(buf, offset));
    }
    let mut done = 0;
    for piece in buf.chunks_mut(PIECE) {
        let len = piece.len();
        match reply!(file.read_at(piece, offset.saturating_add(done as u64))) {
            Ok(n) => done += n,
            Err(_) if done > 0 => break,
            Err(errno) => return Err(errno),
        }
        if done % PIECE != 0 || len < PIECE {
            break;
        }
        tokio::task::yield_now().await;
    }
    Ok(done)
}

async fn write_pieces(file: &Arc<dyn OpenFile>, data: &[u8], offset: u64) -> Result<usize> {
    if data.len() <= PIECE {
        return reply!(file.write_at(data, offset));
    }
    let mut done = 0;
    for piece in data.chunks(PIECE) {
        match reply!(file.write_at(piece, offset.saturating_add(done as u64))) {
            Ok(n) => {
                done += n;
                if n < piece.len() {
                    break;
                }
            }
            Err(_) if done > 0 => break,
            Err(errno) => return Err(errno),
        }
        tokio::task::yield_now().await;
    }
    Ok(done)
}

async fn append_pieces(file: &Arc<dyn OpenFile>, data: &[u8]) -> Result<(usize, u64)> {
    if data.len() <= PIECE {
        return reply!(file.append(data));
    }
    let (mut done, mut end) = (0, 0);
    for piece in data.chunks(PIECE) {
        match reply!(file.append(piece)) {
            Ok((n, now)) => {
                (done, end) = (done + n, now);
                if n < piece.len() {
                    break;
                }
            }
            Err(_) if done > 0 => break,
            Err(errno) => return Err(errno),
        }
        tokio::task::yield_now().await;
    }
    Ok((done, end))
}

/// What `O_DSYNC` and `O_SYNC` ask of a write.
async fn sync_written(file: &Description, content: &Arc<dyn OpenFile>) -> Result<()> {
    match file.flags() & O_SYNC {
        0 => Ok(()),
        flags => content.sync(flags == O_DSYNC).await,
    }
}

/// What of `data` the limit of the size of files leaves; `offset` `None` is the end of the file.
async fn within_limit<'a>(
    process: &Process,
    file: &Arc<dyn OpenFile>,
    data: &'a [u8],
    offset: Option<u64>,
) -> Result<&'a [u8]> {
    if process.rlimit_now(RLIMIT_FSIZE) == RLIM_INFINITY {
        return Ok(data);
    }
    let offset = match offset {
        Some(offset) => offset,
        None => reply!(file.getattr())?.size,
    };
    process.writable_at(offset, data.len()).map(|n| &data[..n])
}

/// Where a seek counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whence {
    /// The beginning.
    Set,
    /// The current offset.
    Current,
    /// The end of the file.
    End,
}

impl Kernel {
    /// The description of `fd`. EBADF.
    pub fn description(&self, process: &Process, fd: Fd) -> Result<Arc<Description>> {
        Ok(Arc::clone(process.fds.lock().get(fd)?))
    }

    /// read(2): at the offset, which moves. 0 at the end. EBADF, EISDIR, EAGAIN, EINTR.
    pub async fn read(&self, process: &Process, file: &Description, buf: &mut [u8]) -> Result<usize> {
        if !file.access().read {
            return Err(if matches!(file.kind(), FileKind::Directory(_)) {
                Errno::EISDIR
            } else {
                Errno::EBADF
            });
        }
        match file.kind() {
            FileKind::Regular { file: content, .. } => {
                let mut offset = file.offset.lock().await;
                let n = read_pieces(content, buf, *offset).await?;
                *offset += n as u64;
                Ok(n)
            }
            FileKind::Directory(_) => Err(Errno::EISDIR),
            FileKind::Device(device, _) => Ok(device.read(first_piece(buf))),
            FileKind::PipeWriter(_) => Err(Errno::EBADF),
            FileKind::PipeReader(reader) | FileKind::PipeBoth(reader, _) if file.nonblocking() => {
                reader.try_read(buf)
            }
            FileKind::PipeReader(reader) | FileKind::PipeBoth(reader, _) => {
                process.interruptible(|cx| reader.poll_read(cx, buf), |w| file.leave(w)).await
            }
            FileKind::PtySlave(slave) => self.read_slave(process, file, slave, buf).await,
            FileKind::PtyMaster(master) if file.nonblocking() => master.try_read(buf),
            FileKind::PtyMaster(master) => {
                process.interruptible(|cx| master.poll_read(cx, buf), |w| file.leave(w)).await
            }
            FileKind::Host(stream) => {
                let nonblocking = file.nonblocking();
                process
                    .interruptible(
                        |cx| match stream.poll_read(cx, buf) {
                            Poll::Pending if nonblocking => Poll::Ready(Err(Errno::EAGAIN)),
                            poll => poll,
                        },
                        |w| file.leave(w),
                    )
                    .await
            }
        }
    }

    /// write(2). A blocking write to a pipe writes all, unless a signal comes between. A broken pipe raises SIGPIPE.
    pub async fn write(&self, process: &Process, file: &Description, data: &[u8]) -> Result<usize> {
        if !file.access().write {
            return Err(Errno::EBADF);
        }
        match file.kind() {
            FileKind::Regular { file: content, .. } => {
                let mut offset = file.offset.lock().await;
                let append = file.flags() & O_APPEND != 0;
                let data = within_limit(process, content, data, (!append).then_some(*offset)).await?;
                let n = if append {
                    let (n, end) = append_pieces(content, data).await?;
                    *offset = end;
                    n
                } else {
                    let n = write_pieces(content, data, *offset).await?;
                    *offset += n as u64;
                    n
                };
                if n > 0 {
                    note!(self, note_file(file, ChangeKind::Modified));
                }
                sync_written(file, content).await?;
                Ok(n)
            }
            FileKind::Device(device, _) => device.write(data),
            FileKind::Directory(_) | FileKind::PipeReader(_) => Err(Errno::EBADF),
            FileKind::PipeWriter(_)
            | FileKind::PipeBoth(..)
            | FileKind::PtyMaster(_)
            | FileKind::PtySlave(_)
            | FileKind::Host(_) => self.write_stream(process, file, data).await,
        }
    }

    async fn write_stream(&self, process: &Process, file: &Description, data: &[u8]) -> Result<usize> {
        let mut done = 0;
        let nonblocking = file.nonblocking();
        loop {
            if done > 0 {
                // Whoever takes all at once must not keep the thread.
                tokio::task::yield_now().await;
            }
            let rest = &data[done..data.len().min(done + PIECE)];
            let result = if let FileKind::PtySlave(slave) = file.kind() {
                self.write_slave(process, file, slave, rest).await
            } else {
                process
                    .interruptible(
                        |cx| {
                            let poll = match file.kind() {
                                FileKind::PipeWriter(w) | FileKind::PipeBoth(_, w) if nonblocking => {
                                    Poll::Ready(w.try_write(rest))
                                }
                                FileKind::PipeWriter(w) | FileKind::PipeBoth(_, w) => w.poll_write(cx, rest),
                                FileKind::PtyMaster(m) => m.poll_write(cx, rest),
                                FileKind::Host(s) => s.poll_write(cx, rest),
                                _ => Poll::Ready(Err(Errno::EBADF)),
                            };
                            match poll {
                                Poll::Pending if nonblocking => Poll::Ready(Err(Errno::EAGAIN)),
                                poll => poll,
                            }
                        },
                        |w| file.leave(w),
                    )
                    .await
            };
            match result {
                Ok(n) => {
                    done += n;
                    if done >= data.len() || nonblocking {
                        return Ok(done);
                    }
                }
                Err(Errno::EPIPE) => {
                    process.raise(Signal::SIGPIPE);
                    return if done > 0 { Ok(done) } else { Err(Errno::EPIPE) };
                }
                Err(_) if done > 0 => return Ok(done),
                Err(errno) => return Err(errno),
            }
        }
    }

    /// pread(2): at `offset`; the offset of the description stays. ESPIPE on a stream.
    pub async fn pread(&self, file: &Description, buf: &mut [u8], offset: u64) -> Result<usize> {
        match file.kind() {
            FileKind::Directory(_) => Err(Errno::EISDIR),
            _ if !file.access().read => Err(Errno::EBADF),
            FileKind::Regular { file: content, .. } => read_pieces(content, buf, offset).await,
            FileKind::Device(device, _) => Ok(device.read(first_piece(buf))),
            _ => Err(Errno::ESPIPE),
        }
    }

    /// pwrite(2). With `O_APPEND` it appends, as Linux does.
    pub async fn pwrite(
        &self,
        process: Option<&Process>,
        file: &Description,
        data: &[u8],
        offset: u64,
    ) -> Result<usize> {
        let append = file.flags() & O_APPEND != 0;
        let data = match (process, file.kind()) {
            (Some(process), FileKind::Regular { file: content, .. }) if file.access().write => {
                within_limit(process, content, data, (!append).then_some(offset)).await?
            }
            _ => data,
        };
        match file.kind() {
            _ if !file.access().write => Err(Errno::EBADF),
            FileKind::Regular { file: content, .. } => {
                let n = if append {
                    append_pieces(content, data).await?.0
                } else {
                    write_pieces(content, data, offset).await?
                };
                if n > 0 {
                    note!(self, note_file(file, ChangeKind::Modified));
                }
                sync_written(file, content).await?;
                Ok(n)
            }
            FileKind::Device(device, _) => device.write(data),
            _ => Err(Errno::ESPIPE),
        }
    }

    /// lseek(2). ESPIPE on a stream, EINVAL below 0.
    pub async fn seek(&self, file: &Description, delta: i64, whence: Whence) -> Result<u64> {
        let size = match file.kind() {
            FileKind::Regular { file: content, .. } if whence == Whence::End => {
                reply!(content.getattr())?.size
            }
            FileKind::Regular { .. } | FileKind::Directory(_) => 0,
            FileKind::Device(..) => return Ok(0),
            _ => return Err(Errno::ESPIPE),
        };
        let mut offset = file.offset.lock().await;
        let base = match whence {
            Whence::Set => 0,
            Whence::Current => *offset,
            Whence::End => size,
        };
        let to = base.checked_add_signed(delta).filter(|o| i64::try_from(*o).is_ok()).ok_or(Errno::EINVAL)?;
        *offset = to;
        Ok(to)
    }

    /// ftruncate(2). EINVAL when not open for writing or not a regular file.
    pub async fn ftruncate(&self, process: &Process, file: &Description, size: u64) -> Result<()> {
        match file.kind() {
            FileKind::Regular { file: content, .. } if file.access().write => {
                let who = self.who(process);
                if self.is_guarded(&who) {
                    self.permit(&who, At::Cwd(b""), Object::Open(file), Operations::of(Operation::Truncate))
                        .await?;
                }
                process.writable_at(size.saturating_sub(1), usize::from(size > 0))?;
                content.setattr(&SetAttr { size: Some(size), ..SetAttr::default() }).await?;
                note!(self, note_file(file, ChangeKind::Modified));
                Ok(())
            }
            FileKind::Directory(_) => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    /// fsync(2), fdatasync(2). EINVAL on what cannot be synced.
    pub async fn fsync(&self, file: &Description, data_only: bool) -> Result<()> {
        match file.kind() {
            FileKind::Regular { file: content, .. } => content.sync(data_only).await,
            FileKind::Directory(dir) => dir.location.mount.fs.sync_dir(dir.location.ino).await,
            _ => Err(Errno::EINVAL),
        }
    }

    /// sync(2): every mounted file system that can be written brings what it has to stable storage, all at the same time. As
    /// in Linux nobody is told what failed: fsync(2) and syncfs(2) tell it.
    pub async fn sync(&self) {
        // Not the mounts: while one takes its time the others can be unmounted.
        let writable = self.namespace.list().into_iter().filter(|mount| !mount.is_read_only());
        let writable: Vec<_> = writable.map(|mount| Arc::clone(&mount.fs)).collect();
        let mut syncs: Vec<_> =
            writable.iter().map(|fs| Box::pin(async { fs.sync().await.is_ok() })).collect();
        std::future::poll_fn(|cx| {
            syncs.retain_mut(|sync| sync.as_mut().poll(cx).is_pending());
            if syncs.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// syncfs(2): the file system that a file is in. What is in none has nothing to wait for.
    pub async fn syncfs(&self, file: &Description) -> Result<()> {
        match file.location() {
            Some(location) if !location.mount.is_read_only() => location.mount.fs.sync().await,
            _ => Ok(()),
        }
    }

    /// Makes sure that the file is at least `offset + len` long. EBADF, ENODEV.
    pub async fn allocate(&self, process: &Process, file: &Description, offset: u64, len: u64) -> Result<()> {
        if !file.access().write {
            return Err(Errno::EBADF);
        }
        let FileKind::Regular { file: content, .. } = file.kind() else { return Err(Errno::ENODEV) };
        if len == 0 {
            return Err(Errno::EINVAL);
        }
        let end = offset.checked_add(len).ok_or(Errno::EFBIG)?;
        if content.getattr().await?.size < end {
            process.writable_at(end - 1, 1)?;
            content.setattr(&SetAttr { size: Some(end), ..SetAttr::default() }).await?;
            note!(self, note_file(file, ChangeKind::Modified));
        }
        Ok(())
    }
}
