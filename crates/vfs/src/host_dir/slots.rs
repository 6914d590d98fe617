//! How many descriptors of the host the guests may hold, per mount and in the whole process. It opens nothing.
//!
//! What the process itself needs (connections, compilers, images) stays free, whatever guests open.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, LazyLock};

use rustix::process::{Resource, getrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Errno, Result};

/// The most descriptors of one mount.
const MAX_PER_MOUNT: usize = 4096;
/// The most descriptors of all mounts where the process has no limit.
const MAX_UNLIMITED: usize = 1 << 19;

/// Half of what the process may open, as of the first use.
static PROCESS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let limit = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit / 2).ok());
    Arc::new(Semaphore::new(limit.unwrap_or(MAX_UNLIMITED).min(MAX_UNLIMITED)))
});

/// The descriptors one mount may hold.
pub(crate) struct Slots {
    mount: Arc<Semaphore>,
    process: Arc<Semaphore>,
}

/// The right to hold one descriptor.
pub(crate) struct Slot {
    _mount: OwnedSemaphorePermit,
    _process: OwnedSemaphorePermit,
}

impl Slots {
    pub(crate) fn new() -> Self {
        Slots { mount: Arc::new(Semaphore::new(MAX_PER_MOUNT)), process: PROCESS.clone() }
    }

    /// ENFILE when the mount or the process holds too many.
    pub(crate) fn take(&self) -> Result<Slot> {
        let take = |slots: &Arc<Semaphore>| slots.clone().try_acquire_owned().map_err(|_| Errno::ENFILE);
        Ok(Slot { _mount: take(&self.mount)?, _process: take(&self.process)? })
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

impl AsFd for Counted {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
impl Slots {
    pub(crate) fn of(mount: usize, process: &Arc<Semaphore>) -> Self {
        Slots { mount: Arc::new(Semaphore::new(mount)), process: process.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{HostDir, HostDirOptions};
    use super::*;
    use crate::{Access, FileSystem, NewKind, NewNode};

    #[test]
    fn a_mount_and_the_process_are_bounded() {
        let process = Arc::new(Semaphore::new(3));
        let (one, two) = (Slots::of(2, &process), Slots::of(2, &process));
        let _first = one.take().unwrap();
        let second = one.take().unwrap();
        assert_eq!(one.take().err(), Some(Errno::ENFILE), "the mount has two");
        let _third = two.take().unwrap();
        assert_eq!(two.take().err(), Some(Errno::ENFILE), "the process has three");
        drop(second);
        assert!(two.take().is_ok());
        assert!(PROCESS.available_permits() > 0);
    }

    #[tokio::test]
    async fn open_files_of_a_mount_are_bounded() {
        let temp = tempfile::tempdir().unwrap();
        let mut dir = HostDir::open(temp.path(), HostDirOptions::default()).unwrap();
        Arc::get_mut(&mut dir.inner).unwrap().slots = Slots::of(2, &Arc::new(Semaphore::new(9)));
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
