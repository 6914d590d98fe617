//! The entries of a directory at one moment, read in pieces. It does not follow later changes, so that a number in it means
//! the same entry as long as it is kept.

use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;

use crate::tree::Entry;
use crate::{DirEntry, FileType, Ino, Name};

/// What one entry takes in memory, beside its name.
const ENTRY: usize = 48;

/// Entries in a stable order, without `.` and `..`. A clone costs nothing.
///
/// ```
/// # async fn example() -> Result<(), agentos_vfs::Errno> {
/// use agentos_vfs::{FileSystem, Tree};
/// let tree = Tree::new();
/// tree.mkdir_p("/a", 0, 0)?;
/// tree.mkdir_p("/b", 0, 0)?;
/// let listing = tree.listing(tree.root()).await?;
/// tree.mkdir_p("/c", 0, 0)?;
/// let mut names = Vec::new();
/// listing.visit(1, None, |_, _, name| {
///     names.push(name.to_vec());
///     true
/// });
/// assert_eq!(names, [b"b"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Listing(Entries);

#[derive(Clone)]
enum Entries {
    List(Arc<[DirEntry]>),
    /// The names of a directory of a tree, shared with it.
    Names(OrdMap<Arc<[u8]>, Entry>),
}

impl Listing {
    pub(crate) fn of_names(names: OrdMap<Arc<[u8]>, Entry>) -> Self {
        Listing(Entries::Names(names))
    }

    /// How many entries it has.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Entries::List(list) => list.len(),
            Entries::Names(names) => names.len(),
        }
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most bytes of memory that keeping it can cost, when nothing of it is left in the file system.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let names: usize = match &self.0 {
            Entries::List(list) => list.iter().map(|entry| entry.name.len()).sum(),
            Entries::Names(names) => names.keys().map(|name| name.len()).sum(),
        };
        (names + self.len() * ENTRY) as u64
    }

    /// Shows the entries from number `at` on until `take` wants no more. With the name of the entry before `at` the way
    /// there is short in a large directory; without, entries are counted off.
    pub fn visit(&self, at: usize, after: Option<&Name>, mut take: impl FnMut(Ino, FileType, &Name) -> bool) {
        match &self.0 {
            Entries::List(list) => {
                let rest = list.get(at..).unwrap_or(&[]);
                let _ = rest.iter().all(|entry| take(entry.ino, entry.kind, &entry.name));
            }
            Entries::Names(names) => {
                let (from, skip) = match after {
                    Some(name) if at > 0 => (Bound::Excluded(name), 0),
                    _ => (Bound::Unbounded, at),
                };
                let mut rest = names.range::<_, [u8]>((from, Bound::Unbounded)).skip(skip);
                let _ = rest.all(|(name, entry)| take(entry.ino, entry.kind, name));
            }
        }
    }
}

impl From<Vec<DirEntry>> for Listing {
    fn from(entries: Vec<DirEntry>) -> Self {
        Listing(Entries::List(entries.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FileSystem, Tree};

    fn names(listing: &Listing, at: usize, after: Option<&[u8]>, most: usize) -> Vec<String> {
        let mut names = Vec::new();
        listing.visit(at, after, |_, _, name| {
            names.push(String::from_utf8_lossy(name).into_owned());
            names.len() < most
        });
        names
    }

    #[tokio::test]
    async fn a_name_and_a_number_lead_to_the_same_place() {
        let tree = Tree::new();
        for n in 0..1000 {
            tree.put_dir(format!("/{n:03}"), 0o755, 0, 0).unwrap();
        }
        let shared = tree.listing(tree.root()).await.unwrap();
        let copied = Listing::from(tree.readdir(tree.root()).await.unwrap());
        assert_eq!(shared.bytes(), copied.bytes());
        for at in 0..=1000_usize {
            let before = at.checked_sub(1).map(|n| format!("{n:03}"));
            let by_name = names(&shared, at, before.as_deref().map(str::as_bytes), 2);
            assert_eq!(by_name, names(&shared, at, None, 2));
            assert_eq!(by_name, names(&copied, at, None, 2));
            assert_eq!(
                by_name.first().map(String::as_str),
                (at < 1000).then(|| format!("{at:03}")).as_deref()
            );
        }
        assert!(names(&copied, 1001, None, 2).is_empty());
    }
}
