//! Files that were just created, still open, until the open that follows takes them. It opens and creates nothing.
//!
//! `open(O_CREAT | O_WRONLY, 0444)` gives a writable descriptor of a file that nobody may open for writing afterwards
//! (POSIX, open): so the descriptor that created the file is kept for the caller.

use std::collections::VecDeque;

use super::slots::Counted;
use super::table::Identity;

/// The most files kept; beyond it the oldest is closed, and opened by its mode like any other.
const MAX_FRESH: usize = 16;

/// The files that one mount created and nobody opened yet.
#[derive(Default)]
pub(crate) struct Fresh {
    files: VecDeque<(Identity, Counted)>,
}

impl Fresh {
    /// Keeps a file, open for reading and writing. An open file keeps its inode, so the identity stays its own.
    pub(crate) fn keep(&mut self, identity: Identity, fd: Counted) {
        if self.files.len() >= MAX_FRESH {
            self.files.pop_front();
        }
        self.files.push_back((identity, fd));
    }

    /// Hands the file out, once.
    pub(crate) fn take(&mut self, identity: Identity) -> Option<Counted> {
        let at = self.files.iter().position(|(kept, _)| *kept == identity)?;
        self.files.remove(at).map(|(_, fd)| fd)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::slots::Slots;
    use super::*;

    #[test]
    fn each_file_is_handed_out_once_and_the_oldest_goes() {
        let mut fresh = Fresh::default();
        let slots = Slots::new();
        let identity = |ino| Identity { dev: 1, ino };
        for ino in 0..=MAX_FRESH as u64 {
            fresh.keep(identity(ino), slots.take().unwrap().hold(tempfile::tempfile().unwrap().into()));
        }
        assert!(fresh.take(identity(0)).is_none(), "more than the most is kept");
        assert!(fresh.take(identity(1)).is_some());
        assert!(fresh.take(identity(1)).is_none(), "handed out twice");
        assert_eq!(fresh.files.len(), MAX_FRESH - 1);
    }
}
