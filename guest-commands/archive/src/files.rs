//! What archives and compressors both do with files: descriptors as streams, attributes, links, and copying. It decides nothing about
//! which files.

use agentos_guest::fd::{self, Owned};
use agentos_guest::fs::{self, Stat};
use std::ffi::OsStr;
use std::io::{self, Read, Write};

/// How much is copied at once.
pub(crate) const PIECE: usize = 128 << 10;

/// A duplicate of standard input.
pub(crate) fn stdin() -> io::Result<Owned> {
    fd::dup(0, 3, true).map(Owned::from_raw)
}

/// A duplicate of standard output.
pub(crate) fn stdout() -> io::Result<Owned> {
    fd::dup(1, 3, true).map(Owned::from_raw)
}

/// Opens a file for reading.
pub(crate) fn open(path: &OsStr, flags: u32) -> io::Result<Owned> {
    fd::open(path, fd::O_RDONLY | fd::O_CLOEXEC | flags, 0).map(Owned::from_raw)
}

/// Makes a file that was not there, for writing. No symbolic link is followed.
pub(crate) fn create_new(path: &OsStr, mode: u32) -> io::Result<Owned> {
    fd::open(path, fd::O_WRONLY | fd::O_CREAT | fd::O_EXCL | fd::O_CLOEXEC, mode).map(Owned::from_raw)
}

/// Copies up to the end and says how much; the error of writing is told from that of reading.
pub(crate) fn copy(from: &mut dyn Read, to: &mut dyn Write) -> Result<u64, CopyError> {
    let mut buf = vec![0; PIECE];
    let mut done = 0;
    loop {
        let n = match from.read(&mut buf) {
            Ok(0) => return Ok(done),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(CopyError::Read(e)),
        };
        to.write_all(&buf[..n]).map_err(CopyError::Write)?;
        done += n as u64;
    }
}

/// Which side of a copy failed.
#[derive(Debug)]
pub(crate) enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

/// The mask of permission bits that new files do not get.
pub(crate) fn umask() -> u32 {
    let mask = fs::umask(0o77);
    fs::umask(mask);
    mask
}

/// Makes a symbolic link.
pub(crate) fn symlink(target: &OsStr, path: &OsStr) -> io::Result<()> {
    Ok(rustix::fs::symlink(target, path)?)
}

/// Sets the times of a file to those of another.
pub(crate) fn copy_times(path: &OsStr, of: &Stat) -> io::Result<()> {
    let at = |sec, nsec: u32| (sec, i64::from(nsec));
    fs::utimens(path, at(of.atime, of.atime_nsec), at(of.mtime, of.mtime_nsec), false)
}

/// A reader that counts what passes.
pub(crate) struct Counted<R> {
    pub(crate) inner: R,
    pub(crate) bytes: std::rc::Rc<std::cell::Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.bytes.set(self.bytes.get() + n as u64);
        Ok(n)
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.bytes.set(self.bytes.get() + n as u64);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
