//! Open file descriptions: what descriptors refer to, shared by dup, fork and inheritance.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use agentos_abi::fd::{O_APPEND, O_NONBLOCK, O_SYNC};
use agentos_vfs::{Access, InodePin, Listing, Location, NameBuf, Namespace, OpenFile};
use parking_lot::Mutex;

use crate::device::Device;
use crate::lock::HeldLocks;
use crate::memory::Held;
use crate::tty::{PtyMaster, PtySlave};
use crate::{Errno, HostStream, Interest, PipeReader, PipeWriter};

/// A kept listing, charged to the VM while it exists.
pub(crate) struct Kept {
    pub(crate) listing: Listing,
    pub(crate) number: u64,
    /// Number and name of the entry that was read last: where the next read most likely begins.
    pub(crate) last: Option<(usize, NameBuf)>,
    pub(crate) _held: Held,
}

/// A directory that is open: where it is, and the listing that its cookies count in.
pub struct DirectoryHandle {
    /// The directory.
    pub location: Location,
    /// The listing taken when the cookie was last 0. Later reads go on in it, so that cookies stay valid while entries come
    /// and go.
    pub(crate) kept: Mutex<Option<Kept>>,
    /// Keeps the inode while it is open.
    pub pin: InodePin,
}

/// What a description is open on.
pub enum FileKind {
    /// A regular file.
    Regular {
        /// Its content.
        file: Arc<dyn OpenFile>,
        /// Where it was found.
        location: Location,
    },
    /// A directory.
    Directory(DirectoryHandle),
    /// The read end of a pipe.
    PipeReader(PipeReader),
    /// The write end of a pipe.
    PipeWriter(PipeWriter),
    /// A pipe that was opened to read and to write, as a FIFO can be.
    PipeBoth(PipeReader, PipeWriter),
    /// A device node.
    Device(Device, Location),
    /// The master of a terminal.
    PtyMaster(PtyMaster),
    /// A terminal.
    PtySlave(PtySlave),
    /// A stream of the host.
    Host(Arc<dyn HostStream>),
}

/// An open file description (POSIX 3.258): access mode, status flags, offset.
pub struct Description {
    kind: FileKind,
    access: Access,
    flags: AtomicU32,
    /// The offset. Held during a read or write, so that processes that share it never read the same bytes.
    pub(crate) offset: tokio::sync::Mutex<u64>,
    entry: Option<(Location, NameBuf)>,
    pub(crate) locks: Mutex<HeldLocks>,
}

impl Description {
    /// A description; `flags` are the status flags `O_APPEND`, `O_NONBLOCK`, `O_DSYNC` and `O_SYNC`; `entry` is the directory and the name by
    /// which it was found, for `/proc/self/fd`.
    #[must_use]
    pub fn new(kind: FileKind, access: Access, flags: u32, entry: Option<(Location, NameBuf)>) -> Arc<Self> {
        Arc::new(Self {
            kind,
            access,
            flags: AtomicU32::new(flags & (O_APPEND | O_NONBLOCK | O_SYNC)),
            offset: tokio::sync::Mutex::new(0),
            entry,
            locks: Mutex::default(),
        })
    }

    /// A readable stream of the host.
    #[must_use]
    pub fn host_reader(stream: Arc<dyn HostStream>) -> Arc<Self> {
        Self::new(FileKind::Host(stream), Access { read: true, write: false }, 0, None)
    }

    /// A writable stream of the host.
    #[must_use]
    pub fn host_writer(stream: Arc<dyn HostStream>) -> Arc<Self> {
        Self::new(FileKind::Host(stream), Access { read: false, write: true }, 0, None)
    }

    /// What it is open on.
    #[must_use]
    pub fn kind(&self) -> &FileKind {
        &self.kind
    }

    /// Whether its file system keeps what is written until it is closed.
    pub(crate) fn writes_back(&self) -> bool {
        matches!(&self.kind, FileKind::Regular { file, .. } if file.writes_back())
    }

    /// What close(2) waits for, and its error.
    pub async fn flush(&self) -> crate::Result<()> {
        match &self.kind {
            FileKind::Regular { file, .. } if file.writes_back() => file.flush().await,
            _ => Ok(()),
        }
    }

    /// Access mode.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// Status flags: `O_APPEND`, `O_NONBLOCK`, `O_DSYNC`, `O_SYNC`.
    #[must_use]
    pub fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    /// Sets `O_APPEND` and `O_NONBLOCK`; other flags stay as they are, as fcntl(2) leaves them.
    pub fn set_flags(&self, flags: u32) {
        let fixed = self.flags() & O_SYNC;
        self.flags.store(fixed | (flags & (O_APPEND | O_NONBLOCK)), Ordering::Relaxed);
    }

    /// Whether reads and writes fail with EAGAIN instead of waiting.
    #[must_use]
    pub fn nonblocking(&self) -> bool {
        self.flags() & O_NONBLOCK != 0
    }

    /// Where a file, directory or device was found.
    #[must_use]
    pub fn location(&self) -> Option<&Location> {
        match &self.kind {
            FileKind::Regular { location, .. } | FileKind::Device(_, location) => Some(location),
            FileKind::Directory(dir) => Some(&dir.location),
            _ => None,
        }
    }

    /// The directory and the name by which it was found.
    pub(crate) fn entry(&self) -> Option<&(Location, NameBuf)> {
        self.entry.as_ref()
    }

    /// What `/proc/<pid>/fd/<n>` points to: built when somebody looks, so that opening costs nothing for it, and right
    /// after its directories were moved.
    pub async fn shown(&self, namespace: &Namespace) -> Vec<u8> {
        let path = match (&self.kind, &self.entry) {
            (FileKind::PipeReader(r) | FileKind::PipeBoth(r, _), None) => {
                Ok(format!("pipe:[{}]", r.pipe().id()).into_bytes())
            }
            (FileKind::PipeWriter(w), None) => Ok(format!("pipe:[{}]", w.pipe().id()).into_bytes()),
            (FileKind::Host(s), _) => {
                Ok(format!("pipe:[{}]", Arc::as_ptr(s).cast::<()>() as usize >> 4).into_bytes())
            }
            (FileKind::PtyMaster(_), _) => Ok(b"/dev/ptmx".to_vec()),
            (FileKind::PtySlave(slave), _) => Ok(format!("/dev/pts/{}", slave.pty().index()).into_bytes()),
            (FileKind::Directory(dir), _) => namespace.path_of(&dir.location).await,
            (_, Some((parent, name))) => namespace.path_of_entry(parent, name).await,
            (_, None) => Err(Errno::ENOENT),
        };
        path.unwrap_or_else(|_| match &self.entry {
            Some((_, name)) => [&name[..], b" (deleted)"].concat(),
            None => b"(deleted)".to_vec(),
        })
    }

    /// Ready when a read or write would not wait; then how many bytes are known to be there or to fit.
    pub fn poll_ready(&self, cx: &mut Context<'_>, interest: Interest) -> Poll<usize> {
        match (&self.kind, interest) {
            (FileKind::PipeReader(r) | FileKind::PipeBoth(r, _), Interest::Read) => r.poll_ready(cx),
            (FileKind::PipeWriter(w) | FileKind::PipeBoth(_, w), Interest::Write) => w.poll_ready(cx),
            (FileKind::PtyMaster(m), Interest::Read) => m.poll_readable(cx),
            (FileKind::PtyMaster(m), Interest::Write) => m.poll_writable(cx),
            (FileKind::PtySlave(s), Interest::Read) => s.poll_readable(cx),
            (FileKind::PtySlave(s), Interest::Write) => s.poll_writable(cx),
            (FileKind::Host(s), _) => s.poll_ready(cx, interest),
            // The wrong end of a pipe never becomes ready; poll(2) reports only a hang-up there.
            (FileKind::PipeReader(_), Interest::Write) | (FileKind::PipeWriter(_), Interest::Read) => {
                Poll::Pending
            }
            _ => Poll::Ready(0),
        }
    }

    /// Whether the other end of a pipe or terminal is gone.
    #[must_use]
    pub fn hung_up(&self) -> bool {
        match &self.kind {
            FileKind::PipeReader(r) => r.hung_up(),
            FileKind::PipeWriter(w) => w.broken(),
            FileKind::PtyMaster(m) => m.hung_up(),
            FileKind::PtySlave(s) => s.hung_up(),
            _ => false,
        }
    }

    /// Takes `waker` out of every list that [`Description::poll_ready`], a read or a write put it in.
    pub fn leave(&self, waker: &Waker) {
        match &self.kind {
            FileKind::PipeReader(r) | FileKind::PipeBoth(r, _) => r.pipe().leave(waker),
            FileKind::PipeWriter(w) => w.pipe().leave(waker),
            FileKind::PtyMaster(m) => m.pty().leave(waker),
            FileKind::PtySlave(s) => s.pty().leave(waker),
            FileKind::Host(s) => s.leave(waker),
            _ => {}
        }
    }
}

impl Drop for Description {
    fn drop(&mut self) {
        if let FileKind::Host(stream) = &self.kind {
            stream.closed();
        }
    }
}
