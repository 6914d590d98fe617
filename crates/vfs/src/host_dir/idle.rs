//! Files that a program has closed and that stay open for some milliseconds, since programs often open the same ones again:
//! then that costs one look at the name, and no opening and closing. It opens nothing.
//!
//! Only files that were open to be read, and never more than a share of its own of what the process may hold. Whoever opens
//! one has looked at its name before: the identity is that of this moment, and an open file keeps its inode.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::slots::{Free, Taken, share};
use super::table::{Identity, Stamp};

/// How long at least. At most twice as long.
pub(crate) const IDLE: Duration = Duration::from_millis(10);
/// The most idle files of one mount.
const MAX_PER_MOUNT: usize = 1024;
/// What part of the descriptors of the process all idle files may be.
const PART_OF_PROCESS: u64 = 16;

static PROCESS: LazyLock<Arc<Free>> = LazyLock::new(|| Arc::new(Free::new(share(PART_OF_PROCESS))));

/// A file that nobody has open. Dropped, its descriptor is closed before its place is free.
pub(crate) struct IdleFile {
    fd: OwnedFd,
    stamp: Stamp,
    _taken: Taken,
}

type Files = HashMap<Identity, IdleFile, foldhash::fast::RandomState>;

/// The idle files of one mount.
pub(crate) struct Idle {
    process: Arc<Free>,
    /// Closed since the last sweep, and between the last two.
    young: Files,
    old: Files,
    /// A sweep is to come.
    swept: bool,
}

/// What became of a file that was closed.
pub(crate) enum Kept {
    /// It is kept, and a sweep is to come.
    Yes,
    /// It is kept, and the caller has to see to it that [`Idle::sweep`] is called in [`IDLE`].
    ToSweep,
    /// There is no room: the caller closes it.
    No(OwnedFd),
}

impl Default for Idle {
    fn default() -> Self {
        Idle::within(Arc::clone(&PROCESS))
    }
}

impl Idle {
    /// None yet, and never more than `process` has.
    fn within(process: Arc<Free>) -> Self {
        Idle { process, young: Files::default(), old: Files::default(), swept: false }
    }

    /// Keeps a file that was opened when it looked like `stamp`.
    pub(crate) fn keep(&mut self, identity: Identity, stamp: Stamp, fd: OwnedFd) -> Kept {
        let full = self.young.len() + self.old.len() >= MAX_PER_MOUNT;
        // Of one file, one is enough.
        if full || self.young.contains_key(&identity) || self.old.contains_key(&identity) {
            return Kept::No(fd);
        }
        let Ok(taken) = self.process.take() else { return Kept::No(fd) };
        self.young.insert(identity, IdleFile { fd, stamp, _taken: taken });
        if std::mem::replace(&mut self.swept, true) { Kept::Yes } else { Kept::ToSweep }
    }

    /// The file, if it is there and looks as it did when it was opened. Otherwise the host may not let us open it any
    /// more, and the caller asks it.
    pub(crate) fn take(&mut self, identity: Identity, stamp: Stamp) -> Option<OwnedFd> {
        let same =
            [&self.young, &self.old].iter().any(|of| of.get(&identity).is_some_and(|f| f.stamp == stamp));
        if same { self.remove(identity).map(|file| file.fd) } else { None }
    }

    /// The file, whatever it looks like, to be closed by the caller.
    pub(crate) fn remove(&mut self, identity: Identity) -> Option<IdleFile> {
        self.young.remove(&identity).or_else(|| self.old.remove(&identity))
    }

    /// All of them, to be closed by the caller; nobody sweeps any more.
    pub(crate) fn give_up(&mut self) -> Vec<IdleFile> {
        self.swept = false;
        let young = std::mem::take(&mut self.young).into_values();
        young.chain(std::mem::take(&mut self.old).into_values()).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.young.is_empty() && self.old.is_empty()
    }

    /// The files that nobody opened since the last sweep but one, to be closed by the caller without the lock; and
    /// whether another sweep has to come.
    pub(crate) fn sweep(&mut self) -> (Vec<IdleFile>, bool) {
        let old = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        self.swept = !self.old.is_empty();
        (old.into_values().collect(), self.swept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> OwnedFd {
        tempfile::tempfile().unwrap().into()
    }

    fn identity(ino: u64) -> Identity {
        Identity { dev: 1, ino }
    }

    const STAMP: Stamp = Stamp { mode: 0o644, ctime: (1, 2) };

    fn idle(most: usize) -> Idle {
        Idle::within(Arc::new(Free::new(most)))
    }

    #[test]
    fn a_file_is_handed_out_once_and_closed_by_the_second_sweep() {
        let mut idle = idle(9);
        assert!(matches!(idle.keep(identity(1), STAMP, file()), Kept::ToSweep));
        assert!(matches!(idle.keep(identity(2), STAMP, file()), Kept::Yes));
        assert!(matches!(idle.keep(identity(2), STAMP, file()), Kept::No(_)), "the same file twice");
        assert!(idle.take(identity(1), STAMP).is_some());
        assert!(idle.take(identity(1), STAMP).is_none(), "handed out twice");
        let (closed, more) = idle.sweep();
        assert!(closed.is_empty() && more);
        assert!(matches!(idle.keep(identity(2), STAMP, file()), Kept::No(_)), "the same file twice");
        assert!(matches!(idle.keep(identity(3), STAMP, file()), Kept::Yes));
        let (closed, more) = idle.sweep();
        assert!(closed.len() == 1 && more, "2 was there for two sweeps, 3 for one");
        assert!(idle.take(identity(3), STAMP).is_some());
        let (closed, more) = idle.sweep();
        assert!(closed.is_empty() && !more && idle.is_empty());
        assert!(matches!(idle.keep(identity(4), STAMP, file()), Kept::ToSweep), "nobody sweeps any more");
        assert_eq!(idle.give_up().len(), 1);
        assert!(matches!(idle.keep(identity(4), STAMP, file()), Kept::ToSweep), "nobody sweeps any more");
    }

    #[test]
    fn one_that_looks_otherwise_is_not_handed_out() {
        let mut idle = idle(9);
        idle.keep(identity(1), STAMP, file());
        for other in [Stamp { mode: 0o600, ..STAMP }, Stamp { ctime: (1, 3), ..STAMP }] {
            assert!(idle.take(identity(1), other).is_none());
        }
        assert!(idle.take(identity(1), STAMP).is_some());
    }

    #[test]
    fn they_are_bounded() {
        let one = file();
        for (process, most) in [(0, 0), (5, 5), (3 * MAX_PER_MOUNT, MAX_PER_MOUNT)] {
            let mut idle = idle(process);
            let kept =
                |n: &u64| !matches!(idle.keep(identity(*n), STAMP, one.try_clone().unwrap()), Kept::No(_));
            assert_eq!((0..2 * MAX_PER_MOUNT as u64).filter(kept).count(), most);
            // What is to be closed counts until it is.
            idle.sweep();
            let (closed, _) = idle.sweep();
            assert_eq!(closed.len(), most);
            let again = idle.keep(identity(1), STAMP, one.try_clone().unwrap());
            assert_eq!(matches!(again, Kept::No(_)), process <= most);
        }
    }
}
