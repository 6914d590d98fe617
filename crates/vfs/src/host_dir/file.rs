//! An open regular file of the host. It stays readable after its name is gone.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rustix::fs::{self, SeekFrom};
use rustix::io::{self, ReadWriteFlags};

use super::attr::{self, timestamps};
use super::errno::errno;
use super::inner::Inner;
use super::slots::Counted;
use super::table::{Identity, Stamp};
use crate::{Attr, Errno, Ino, OpenFile, Reply, Result, SetAttr};

/// The most bytes one call moves when it has to go through a buffer of another thread.
const MAX_BUFFER: usize = 1 << 20;

pub(crate) struct HostFile {
    inner: Arc<Inner>,
    ino: Ino,
    /// What it is and looked like, if its descriptor can only read: then it need not be closed at once.
    idle: Option<(Identity, Stamp)>,
    /// It lost a name while it was open: it is closed at once.
    removed: AtomicBool,
    /// `None` only while it is dropped.
    fd: Option<Arc<Opened>>,
    writable: bool,
}

/// What calls on other threads take along.
struct Opened {
    fd: Counted,
    /// One append at a time, since the new end is read from the file position.
    appending: Mutex<()>,
}

impl AsFd for Opened {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl HostFile {
    pub(crate) fn new(
        inner: Arc<Inner>,
        ino: Ino,
        idle: Option<(Identity, Stamp)>,
        fd: Counted,
        writable: bool,
    ) -> Self {
        let fd = Some(Arc::new(Opened { fd, appending: Mutex::default() }));
        HostFile { inner, ino, idle, removed: AtomicBool::new(false), fd, writable }
    }

    /// Whoever closes it, closes it at once.
    pub(crate) fn close_at_once(&self) {
        self.removed.store(true, Ordering::Relaxed);
    }

    fn fd(&self) -> Result<&Arc<Opened>> {
        self.fd.as_ref().ok_or(Errno::EBADF)
    }

    /// The file, if it may be written.
    fn writable_fd(&self) -> Result<&Arc<Opened>> {
        if !self.writable {
            return Err(Errno::EBADF);
        }
        self.inner.writable()?;
        self.fd()
    }

    pub(crate) fn stat(&self) -> Result<Attr> {
        let stat = fs::fstat(self.fd()?).map_err(errno)?;
        Ok(attr::from_stat(&stat, self.ino, &self.inner.owner))
    }

    pub(crate) fn change(&self, change: &SetAttr) -> Result<Attr> {
        set(&self.inner, self.fd()?, self.ino, self.writable, change)
    }
}

/// Changes an open file through this very descriptor, which `writable` describes.
fn set(inner: &Inner, fd: &Opened, ino: Ino, writable: bool, change: &SetAttr) -> Result<Attr> {
    inner.writable()?;
    inner.owner.check(change)?;
    if !writable {
        // Whoever opened it to write was asked then.
        inner.changeable(&fs::fstat(fd).map_err(errno)?)?;
    }
    if let Some(size) = change.size {
        if !writable {
            return Err(Errno::EINVAL);
        }
        fs::ftruncate(fd, size).map_err(errno)?;
    }
    if let Some(perm) = change.perm {
        fs::fchmod(fd, attr::file_mode(perm)).map_err(errno)?;
    }
    if let Some(times) = timestamps(change) {
        fs::futimens(fd, &times).map_err(errno)?;
    }
    let stat = fs::fstat(fd).map_err(errno)?;
    Ok(attr::from_stat(&stat, ino, &inner.owner))
}

impl Drop for HostFile {
    fn drop(&mut self) {
        self.inner.table.lock().closed(self.ino);
        // A call on another thread may have it, and closes it then.
        let Some(opened) = self.fd.take().and_then(Arc::into_inner) else { return };
        match self.idle {
            Some((identity, stamp)) if !self.removed.load(Ordering::Relaxed) => {
                self.inner.close_later(identity, stamp, opened.fd.into_fd());
            }
            _ => self.inner.gate.spawn(move || drop(opened)),
        }
    }
}

fn read(fd: impl AsFd, mut buf: &mut [u8], mut offset: u64) -> Result<usize> {
    let mut done = 0;
    while !buf.is_empty() {
        match io::pread(&fd, &mut *buf, offset) {
            Ok(0) => break,
            Ok(n) => {
                done += n;
                offset += n as u64;
                buf = &mut buf[n..];
            }
            Err(io::Errno::INTR) => {}
            Err(_) if done > 0 => break,
            Err(error) => return Err(errno(error)),
        }
    }
    Ok(done)
}

fn write(mut data: &[u8], mut put: impl FnMut(&[u8], usize) -> io::Result<usize>) -> Result<usize> {
    let mut done = 0;
    while !data.is_empty() {
        match put(data, done) {
            // A file system in another process may answer so; asking again could go on for ever.
            Ok(0) => break,
            Ok(n) => {
                done += n;
                data = &data[n..];
            }
            Err(io::Errno::INTR) => {}
            Err(_) if done > 0 => break,
            Err(error) => return Err(errno(error)),
        }
    }
    Ok(done)
}

fn append(fd: &Opened, data: &[u8]) -> Result<(usize, u64)> {
    let _turn = fd.appending.lock();
    // Offset -1 with APPEND: the write goes to the end whoever else appends, and moves the position there.
    let written =
        write(data, |data, _| io::pwritev2(fd, &[IoSlice::new(data)], u64::MAX, ReadWriteFlags::APPEND));
    match written {
        Ok(n) => Ok((n, fs::seek(fd, SeekFrom::Current(0)).map_err(errno)?)),
        // Not every file system knows the flag; then appends are atomic among guests only.
        Err(Errno::ENOTSUP | Errno::ENOSYS) => {
            let end = fs::fstat(fd).map_err(errno)?.st_size.cast_unsigned();
            let n = write(data, |data, done| io::pwrite(fd, data, end + done as u64))?;
            Ok((n, end + n as u64))
        }
        Err(error) => Err(error),
    }
}

impl OpenFile for HostFile {
    fn getattr(&self) -> Reply<'_, Attr> {
        if self.inner.gate.is_inline() {
            return Reply::Now(self.stat());
        }
        let (fd, ino, inner) = (self.fd().cloned(), self.ino, self.inner.clone());
        self.inner.gate.run(move || {
            let stat = fs::fstat(&*fd?).map_err(errno)?;
            Ok(attr::from_stat(&stat, ino, &inner.owner))
        })
    }

    fn setattr(&self, change: &SetAttr) -> Reply<'_, Attr> {
        if self.inner.gate.is_inline() {
            return Reply::Now(self.change(change));
        }
        // Not the first open file of this number: that one may be open for reading only.
        let (fd, writable) = (self.fd().cloned(), self.writable);
        let (change, ino, inner) = (*change, self.ino, self.inner.clone());
        self.inner.gate.run(move || set(&inner, &*fd?, ino, writable, &change))
    }

    fn read_at<'a>(&'a self, buf: &'a mut [u8], offset: u64) -> Reply<'a, usize> {
        let fd = match self.fd() {
            Ok(fd) => fd,
            Err(error) => return Reply::Now(Err(error)),
        };
        if self.inner.gate.is_inline() {
            return Reply::Now(read(fd, buf, offset));
        }
        Reply::later(async move {
            let mut done = 0;
            while done < buf.len() {
                let (want, at, fd) = ((buf.len() - done).min(MAX_BUFFER), offset + done as u64, fd.clone());
                let piece = self.inner.gate.run(move || {
                    let mut piece = vec![0; want];
                    let n = read(&*fd, &mut piece, at)?;
                    piece.truncate(n);
                    Ok(piece)
                });
                let piece = piece.await?;
                buf[done..done + piece.len()].copy_from_slice(&piece);
                done += piece.len();
                if piece.len() < want {
                    break;
                }
            }
            Ok(done)
        })
    }

    fn write_at<'a>(&'a self, data: &'a [u8], offset: u64) -> Reply<'a, usize> {
        let fd = match self.writable_fd() {
            Ok(fd) => fd,
            Err(error) => return Reply::Now(Err(error)),
        };
        if self.inner.gate.is_inline() {
            return Reply::Now(write(data, |data, done| io::pwrite(fd, data, offset + done as u64)));
        }
        Reply::later(async move {
            let mut done = 0;
            for piece in data.chunks(MAX_BUFFER) {
                let (piece, at, fd) = (piece.to_vec(), offset + done as u64, fd.clone());
                let want = piece.len();
                let n = self
                    .inner
                    .gate
                    .run(move || write(&piece, |data, done| io::pwrite(&*fd, data, at + done as u64)))
                    .await;
                match n {
                    Ok(n) if n == want => done += n,
                    Ok(n) => return Ok(done + n),
                    Err(_) if done > 0 => return Ok(done),
                    Err(error) => return Err(error),
                }
            }
            Ok(done)
        })
    }

    fn append<'a>(&'a self, data: &'a [u8]) -> Reply<'a, (usize, u64)> {
        let fd = match self.writable_fd() {
            Ok(fd) => fd,
            Err(error) => return Reply::Now(Err(error)),
        };
        if self.inner.gate.is_inline() {
            return Reply::Now(append(fd, data));
        }
        // One piece: an append is atomic, so a longer one ends short.
        let piece = data[..data.len().min(MAX_BUFFER)].to_vec();
        let fd = fd.clone();
        self.inner.gate.run(move || append(&fd, &piece))
    }

    fn sync(&self, data_only: bool) -> Reply<'_, ()> {
        let fd = self.fd().cloned();
        self.inner.syncs.run(move || {
            let fd = fd?;
            if data_only { fs::fdatasync(&*fd) } else { fs::fsync(&*fd) }.map_err(errno)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_takes_nothing_ends_short() {
        let mut room = 5;
        let put = |data: &[u8], _| {
            let n = data.len().min(room).min(3);
            room -= n;
            Ok(n)
        };
        assert_eq!(write(b"longer than that", put), Ok(5));
        assert_eq!(write(b"x", |_, _| Err(io::Errno::NOSPC)), Err(Errno::ENOSPC));
    }
}
