//! What has been read of a snapshot, and the account of it: nothing is taken into memory beyond the limits.

use std::io::Read;

use agentos_vfs::layer::{Change, ChangeKind};
use agentos_vfs::{Errno, FileContent};
use bytes::Bytes;

use crate::{ImportError, Limits, Snapshot, names};

/// Most bytes of the paths of a snapshot together. A writer should keep to it as well.
pub const ALL_PATHS: u64 = 64 << 20;
/// Most entries of a snapshot for each inode that is allowed: further names and whiteouts cost no inode.
const ENTRIES_PER_INODE: u64 = 4;
/// What an entry of a directory is charged beside its name, as in a tree.
const ENTRY: u64 = 64;
/// Files up to here are one piece.
const PIECE: usize = 64 << 10;

/// What was used of the limits.
#[derive(Clone, Copy, Default)]
pub(crate) struct Used {
    bytes: u64,
    inodes: u64,
    entries: u64,
    paths: u64,
}

pub(crate) struct Collector<'a> {
    limits: &'a Limits,
    used: Used,
    snapshot: Snapshot,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(limits: &'a Limits, used: Used) -> Self {
        Collector { limits, used, snapshot: Snapshot::default() }
    }

    /// What was read, and what it used.
    pub(crate) fn finish(self) -> (Snapshot, Used) {
        (self.snapshot, self.used)
    }

    /// Counts an entry, even one that is passed over.
    pub(crate) fn count(&mut self) -> Result<(), ImportError> {
        let most = self.limits.inodes.saturating_mul(ENTRIES_PER_INODE);
        book("snapshotEntries", &mut self.used.entries, 1, most)
    }

    /// Takes a change in. Its content was charged before, by [`Collector::file`] and the like.
    pub(crate) fn add(&mut self, path: Vec<u8>, kind: ChangeKind) -> Result<(), ImportError> {
        names::check(&path)?;
        let length = match &kind {
            ChangeKind::Symlink { target, .. } => target.len(),
            ChangeKind::HardLink { target } => target.len(),
            _ => 0,
        };
        let (_, name) = names::split(&path);
        book("snapshotPathBytes", &mut self.used.paths, (path.len() + length) as u64, ALL_PATHS)?;
        self.charge(ENTRY + name.len() as u64)?;
        if !matches!(kind, ChangeKind::Removed | ChangeKind::HardLink { .. }) {
            book("inodes", &mut self.used.inodes, 1, self.limits.inodes)?;
        }
        self.snapshot.diff.changes.push(Change { path, kind });
        Ok(())
    }

    /// Takes in that nothing of the layers below is to be seen in a directory.
    pub(crate) fn empty(&mut self, path: Vec<u8>) -> Result<(), ImportError> {
        names::check(&path)?;
        book("snapshotPathBytes", &mut self.used.paths, path.len() as u64, ALL_PATHS)?;
        self.snapshot.emptied.push(path);
        Ok(())
    }

    fn charge(&mut self, bytes: u64) -> Result<(), ImportError> {
        book("filesystemBytes", &mut self.used.bytes, bytes, self.limits.bytes)
    }

    /// Bytes that may still come.
    pub(crate) fn left(&self) -> u64 {
        self.limits.bytes.saturating_sub(self.used.bytes)
    }

    /// Reads a file of exactly `size` bytes.
    pub(crate) fn file(
        &mut self,
        entry: &[u8],
        size: u64,
        input: &mut dyn Read,
    ) -> Result<FileContent, ImportError> {
        // Charged before it is read: what an entry says of its size costs nothing to say.
        self.charge(size.checked_next_multiple_of(512).unwrap_or(u64::MAX))?;
        let mut content = FileContent::default();
        self.run(entry, &mut content, 0, size, input)?;
        Ok(self.known(content))
    }

    /// Reads `size` bytes into a content, from `offset`. They are charged already.
    fn run(
        &self,
        entry: &[u8],
        content: &mut FileContent,
        offset: u64,
        size: u64,
        input: &mut dyn Read,
    ) -> Result<(), ImportError> {
        let mut piece = Vec::new();
        let mut done = 0;
        while done < size {
            let wanted = usize::try_from(size - done).unwrap_or(PIECE).min(PIECE);
            piece.clear();
            piece.reserve_exact(wanted);
            if input.take(wanted as u64).read_to_end(&mut piece)? < wanted {
                return Err(ImportError::entry(entry, "the archive ends in the middle of it"));
            }
            if offset == 0 && wanted as u64 == size {
                *content = FileContent::from(Bytes::from(std::mem::take(&mut piece)));
            } else {
                content.write_at(&piece, offset + done, u64::MAX).map_err(|errno| too_long(entry, errno))?;
            }
            done += wanted as u64;
        }
        Ok(())
    }

    /// Reads a file of `size` bytes of which only `runs` (offset, length) come, one after the other. The runs are in order.
    pub(crate) fn sparse(
        &mut self,
        entry: &[u8],
        size: u64,
        runs: &[(u64, u64)],
        input: &mut dyn Read,
    ) -> Result<FileContent, ImportError> {
        let mut content = FileContent::default();
        for &(offset, length) in runs {
            self.put(entry, &mut content, offset, length, input)?;
        }
        content.set_len(size).map_err(|errno| too_long(entry, errno))?;
        Ok(content)
    }

    /// Reads a run of a sparse file, and charges what the content grows by: the table of its holes has a cost.
    fn put(
        &mut self,
        entry: &[u8],
        content: &mut FileContent,
        offset: u64,
        length: u64,
        input: &mut dyn Read,
    ) -> Result<(), ImportError> {
        let mut piece = Vec::new();
        let mut done = 0;
        while done < length {
            let wanted = usize::try_from(length - done).unwrap_or(PIECE).min(PIECE);
            piece.clear();
            if input.take(wanted as u64).read_to_end(&mut piece)? < wanted {
                return Err(ImportError::entry(entry, "the archive ends in the middle of it"));
            }
            let before = content.charge();
            let most = before.saturating_add(self.left());
            match content.write_at(&piece, offset.saturating_add(done), most) {
                Ok(()) => self.charge(content.charge().saturating_sub(before))?,
                Err(Errno::ENOSPC) => return Err(self.full(wanted as u64)),
                Err(errno) => return Err(too_long(entry, errno)),
            }
            done += wanted as u64;
        }
        Ok(())
    }

    fn full(&self, requested: u64) -> ImportError {
        let (configured, used) = (self.limits.bytes, self.used.bytes);
        ImportError::Limit { name: "filesystemBytes", configured, used, requested }
    }

    /// The content itself, or the same bytes that are in memory already.
    fn known(&self, content: FileContent) -> FileContent {
        let same = |known: &&FileContent| known.len() == content.len() && **known == content;
        match self.limits.known.iter().find(same) {
            Some(known) => known.clone(),
            None => content,
        }
    }
}

fn too_long(entry: &[u8], errno: Errno) -> ImportError {
    let reason = match errno {
        Errno::EFBIG => "a file has at most 1 TiB".to_owned(),
        other => other.to_string(),
    };
    ImportError::entry(entry, reason)
}

fn book(name: &'static str, used: &mut u64, more: u64, most: u64) -> Result<(), ImportError> {
    match used.checked_add(more).filter(|sum| *sum <= most) {
        Some(sum) => {
            *used = sum;
            Ok(())
        }
        None => Err(ImportError::Limit { name, configured: most, used: *used, requested: more }),
    }
}
