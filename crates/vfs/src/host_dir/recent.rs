//! The directory in which a walk began a moment ago, so that a program that goes through many files of it does not look at
//! it anew for each.

use std::time::{Duration, Instant};

use crate::{Attr, Ino};

/// How long what was seen of a directory counts for the permission to search in it: no longer than it takes a change by
/// the host to be told from one that came a moment later.
const MOMENT: Duration = Duration::from_micros(100);

/// The directory in which a walk began last.
#[derive(Default)]
pub(crate) struct RecentDirectory {
    seen: Option<(Instant, Attr)>,
    /// Counts what the guest changed.
    changes: u64,
}

impl RecentDirectory {
    /// Its attributes, if it was looked at just now; or the number that [`RecentDirectory::keep`] wants after a look.
    pub(crate) fn get(&self, ino: Ino) -> Result<Attr, u64> {
        match self.seen.filter(|(_, attr)| attr.ino == ino) {
            Some((since, attr)) if since.elapsed() < MOMENT => Ok(attr),
            _ => Err(self.changes),
        }
    }

    /// Keeps what a look showed that began at `since`, unless the guest changed a directory meanwhile.
    pub(crate) fn keep(&mut self, attr: Attr, since: Instant, changes: u64) {
        if self.changes == changes {
            self.seen = Some((since, attr));
        }
    }

    /// To be called once the guest has changed a directory: its own changes count at once.
    pub(crate) fn clear(&mut self) {
        self.seen = None;
        self.changes += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FileType, Timespec};

    #[test]
    fn a_directory_is_remembered_for_a_moment() {
        let time = Timespec::default();
        let attr = Attr {
            ino: 1,
            kind: FileType::Directory,
            perm: 0o755,
            nlink: 2,
            uid: 0,
            gid: 0,
            rdev: 0,
            size: 0,
            blocks: 0,
            atime: time,
            mtime: time,
            ctime: time,
            btime: time,
        };
        let mut recent = RecentDirectory::default();
        assert_eq!(recent.get(1), Err(0));
        // As if it were seen only then: the test does not depend on how fast it is.
        recent.keep(attr, Instant::now() + Duration::from_secs(60), 0);
        assert_eq!(recent.get(1), Ok(attr));
        assert_eq!(recent.get(2), Err(0), "another directory");
        recent.clear();
        assert_eq!(recent.get(1), Err(1), "kept after a change");
        recent.keep(attr, Instant::now() + Duration::from_secs(60), 0);
        assert_eq!(recent.get(1), Err(1), "a look from before the change");
        let Some(before) = Instant::now().checked_sub(MOMENT) else { panic!("the clock began just now") };
        recent.keep(attr, before, 1);
        assert_eq!(recent.get(1), Err(1), "kept too long");
    }
}
