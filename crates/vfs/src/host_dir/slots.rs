//! How many descriptors of the host the guests may hold, per mount and in the whole process. It opens nothing.
//!
//! What the process itself needs (connections, compilers, images) stays free, whatever guests open.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use rustix::process::{Resource, getrlimit};

use crate::{Errno, Result};

/// The most descriptors of one mount.
const MAX_PER_MOUNT: usize = 4096;
/// The most descriptors of any share where the process has no limit.
const MAX_UNLIMITED: usize = 1 << 19;

/// Half of what the process may open, as of the first use.
static PROCESS: LazyLock<Arc<Free>> = LazyLock::new(|| Arc::new(Free::new(share(2))));

/// A part of what the process may open: that number divided by `part`.
pub(crate) fn share(part: u64) -> usize {
    let limit = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit / part).ok());
    limit.unwrap_or(MAX_UNLIMITED).min(MAX_UNLIMITED)
}

/// How many are free. Nobody waits for one, so it is but a number.
pub(crate) struct Free(AtomicUsize);

impl Free {
    pub(crate) fn new(count: usize) -> Self {
        Free(AtomicUsize::new(count))
    }

    /// ENFILE when none is.
    pub(crate) fn take(self: &Arc<Self>) -> Result<Taken> {
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(1));
        taken.map_err(|_| Errno::ENFILE)?;
        Ok(Taken(self.clone()))
    }
}

/// One that was free, and is again once this is dropped.
pub(crate) struct Taken(Arc<Free>);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The descriptors one mount may hold.
pub(crate) struct Slots {
    mount: Arc<Free>,
    process: Arc<Free>,
}

/// The right to hold one descriptor.
pub(crate) struct Slot {
    _mount: Taken,
    _process: Taken,
}

impl Slots {
    pub(crate) fn new() -> Self {
        Slots { mount: Arc::new(Free::new(MAX_PER_MOUNT)), process: PROCESS.clone() }
    }

    /// ENFILE when the mount or the process holds too many.
    pub(crate) fn take(&self) -> Result<Slot> {
        Ok(Slot { _mount: self.mount.take()?, _process: self.process.take()? })
    }
}

/// A descriptor and the right to hold it, given back once it is closed.
pub(crate) struct Counted {
    // Fields are dropped in this order.
    fd: OwnedFd,
    _slot: Slot,
}

impl Slot {
    pub(crate) fn hold(self, fd: OwnedFd) -> Counted {
        Counted { fd, _slot: self }
    }
}

impl Counted {
    /// The descriptor alone; its slot is free again.
    pub(crate) fn into_fd(self) -> OwnedFd {
        self.fd
    }
}

impl AsFd for Counted {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
impl Slots {
    pub(crate) fn of(mount: usize, process: &Arc<Free>) -> Self {
        Slots { mount: Arc::new(Free::new(mount)), process: process.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{HostDir, HostDirOptions};
    use super::*;
    use crate::{Access, FileSystem, NewKind, NewNode};

    #[test]
    fn a_mount_and_the_process_are_bounded() {
        let process = Arc::new(Free::new(3));
        let (one, two) = (Slots::of(2, &process), Slots::of(2, &process));
        let _first = one.take().unwrap();
        let second = one.take().unwrap();
        assert_eq!(one.take().err(), Some(Errno::ENFILE), "the mount has two");
        let _third = two.take().unwrap();
        assert_eq!(two.take().err(), Some(Errno::ENFILE), "the process has three");
        drop(second);
        assert!(two.take().is_ok());
        assert!(PROCESS.0.load(Ordering::Relaxed) > 0);
    }

    #[tokio::test]
    async fn open_files_of_a_mount_are_bounded() {
        let temp = tempfile::tempdir().unwrap();
        let mut dir = HostDir::open(temp.path(), HostDirOptions::default()).unwrap();
        Arc::get_mut(&mut dir.inner).unwrap().slots = Slots::of(2, &Arc::new(Free::new(9)));
        let read = Access { read: true, write: false };
        let node = NewNode { kind: NewKind::Regular, perm: 0o644, uid: 0, gid: 0 };
        let file = dir.create(dir.root(), b"file", &node).await.unwrap();
        let first = dir.open(file.ino, read).await.unwrap();
        let second = dir.open(file.ino, read).await.unwrap();
        assert_eq!(dir.open(file.ino, read).await.err(), Some(Errno::ENFILE));
        assert_eq!(dir.create(dir.root(), b"other", &node).await.err(), Some(Errno::ENFILE));
        assert!(!temp.path().join("other").exists(), "an empty file was left");
        drop(first);
        let third = dir.open(file.ino, read).await.unwrap();
        drop((second, third));
        // A created file counts before it is opened, and until it is gone.
        for _ in 0..5 {
            dir.create(dir.root(), b"new", &node).await.unwrap();
            dir.unlink(dir.root(), b"new").await.unwrap();
        }
    }
}
