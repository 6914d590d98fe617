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
use super::table::Identity;

/// How long at least. At most twice as long.
pub(crate) const IDLE: Duration = Duration::from_millis(10);
/// The most idle files of one mount.
const MAX_PER_MOUNT: usize = 1024;
/// What part of the descriptors of the process all idle files may be.
const PART_OF_PROCESS: u64 = 16;

static PROCESS: LazyLock<Arc<Free>> = LazyLock::new(|| Arc::new(Free::new(share(PART_OF_PROCESS))));

type Files = HashMap<Identity, (OwnedFd, Taken), foldhash::fast::RandomState>;

/// The idle files of one mount.
#[derive(Default)]
pub(crate) struct Idle {
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

impl Idle {
    pub(crate) fn keep(&mut self, identity: Identity, file: OwnedFd) -> Kept {
        let full = self.young.len() + self.old.len() >= MAX_PER_MOUNT;
        // Of one file, one is enough.
        if full || self.young.contains_key(&identity) {
            return Kept::No(file);
        }
        let Ok(taken) = PROCESS.take() else { return Kept::No(file) };
        self.young.insert(identity, (file, taken));
        if std::mem::replace(&mut self.swept, true) { Kept::Yes } else { Kept::ToSweep }
    }

    /// The file, if it is there.
    pub(crate) fn take(&mut self, identity: Identity) -> Option<OwnedFd> {
        let found = self.young.remove(&identity).or_else(|| self.old.remove(&identity));
        found.map(|(file, _)| file)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.young.is_empty() && self.old.is_empty()
    }

    /// The files that nobody opened since the last sweep but one, to be closed by the caller without the lock; and
    /// whether another sweep has to come.
    pub(crate) fn sweep(&mut self) -> (Vec<OwnedFd>, bool) {
        let old = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        self.swept = !self.old.is_empty();
        (old.into_values().map(|(file, _)| file).collect(), self.swept)
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

    #[test]
    fn a_file_is_handed_out_once_and_closed_by_the_second_sweep() {
        let mut idle = Idle::default();
        assert!(matches!(idle.keep(identity(1), file()), Kept::ToSweep));
        assert!(matches!(idle.keep(identity(2), file()), Kept::Yes));
        assert!(matches!(idle.keep(identity(2), file()), Kept::No(_)), "the same file twice");
        assert!(idle.take(identity(1)).is_some());
        assert!(idle.take(identity(1)).is_none(), "handed out twice");
        let (closed, more) = idle.sweep();
        assert!(closed.is_empty() && more);
        assert!(matches!(idle.keep(identity(3), file()), Kept::Yes));
        let (closed, more) = idle.sweep();
        assert!(closed.len() == 1 && more, "2 was there for two sweeps, 3 for one");
        assert!(idle.take(identity(3)).is_some());
        let (closed, more) = idle.sweep();
        assert!(closed.is_empty() && !more && idle.is_empty());
        assert!(matches!(idle.keep(identity(4), file()), Kept::ToSweep), "nobody sweeps any more");
    }

    #[test]
    fn they_are_bounded() {
        let mut idle = Idle::default();
        let one = file();
        let kept = |n: &u64| !matches!(idle.keep(identity(*n), one.try_clone().unwrap()), Kept::No(_));
        // Of the process others may have some.
        let kept = (0..2 * MAX_PER_MOUNT as u64).take_while(kept).count();
        assert!((1..=MAX_PER_MOUNT).contains(&kept), "{kept}");
    }
}
