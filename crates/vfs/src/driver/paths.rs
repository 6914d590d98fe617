//! Inode numbers for paths, bounded. A number stays with its file through renames; it calls no driver.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::ops::Bound;
use std::sync::Arc;

use crate::{Errno, Ino, PATH_MAX, Result};

/// Numbers remembered per mount; unpinned ones are forgotten beyond it, oldest first.
const MAX_PATHS: usize = 65_536;
/// The number of the mount point.
pub(crate) const ROOT: Ino = 1;

struct Entry {
    /// `None` once it was removed; the number stays taken while it is pinned.
    path: Option<Arc<str>>,
    pins: u32,
    used: u64,
}

pub(crate) struct Paths {
    entries: HashMap<Ino, Entry>,
    /// Ordered, so that a directory is moved together with all below it.
    numbers: BTreeMap<Arc<str>, Ino>,
    hasher: RandomState,
    next: Ino,
    clock: u64,
}

impl Paths {
    pub(crate) fn new() -> Self {
        let root: Arc<str> = "/".into();
        Paths {
            entries: HashMap::from([(ROOT, Entry { path: Some(root.clone()), pins: 1, used: 0 })]),
            numbers: BTreeMap::from([(root, ROOT)]),
            hasher: RandomState::new(),
            next: ROOT,
            clock: 0,
        }
    }

    pub(crate) fn path(&mut self, ino: Ino) -> Result<Arc<str>> {
        self.clock += 1;
        let entry = self.entries.get_mut(&ino).ok_or(Errno::ESTALE)?;
        entry.used = self.clock;
        entry.path.clone().ok_or(Errno::ESTALE)
    }

    /// The number of a path that was just seen.
    pub(crate) fn number(&mut self, path: &str) -> Ino {
        self.clock += 1;
        if let Some(&ino) = self.numbers.get(path) {
            if let Some(entry) = self.entries.get_mut(&ino) {
                entry.used = self.clock;
            }
            return ino;
        }
        let ino = self.fresh(path);
        let path: Arc<str> = path.into();
        self.entries.insert(ino, Entry { path: Some(path.clone()), pins: 0, used: self.clock });
        self.numbers.insert(path, ino);
        if self.entries.len() > MAX_PATHS {
            self.forget_old();
        }
        ino
    }

    /// The number a path has or will get, without remembering it: for long listings.
    pub(crate) fn peek(&mut self, path: &str) -> Ino {
        if let Some(&ino) = self.numbers.get(path) {
            return ino;
        }
        let ino = self.hash(path);
        if self.entries.contains_key(&ino) { self.number(path) } else { ino }
    }

    /// A number derived from the path, so that a forgotten one comes back as it was; counted where that is taken.
    fn fresh(&mut self, path: &str) -> Ino {
        let hashed = self.hash(path);
        if !self.entries.contains_key(&hashed) {
            return hashed;
        }
        loop {
            self.next += 1;
            if !self.entries.contains_key(&self.next) {
                return self.next;
            }
        }
    }

    fn hash(&self, path: &str) -> Ino {
        // The top bit keeps hashes and counted numbers apart.
        self.hasher.hash_one(path) | 1 << 63
    }

    /// All known paths below a directory, and itself.
    fn subtree(&self, path: &str) -> Vec<(Arc<str>, Ino)> {
        let below = format!("{path}/");
        let range = (Bound::Included(below.as_str()), Bound::Unbounded);
        let own = self.numbers.get_key_value(path).into_iter();
        own.chain(self.numbers.range::<str, _>(range).take_while(|(known, _)| known.starts_with(&below)))
            .map(|(path, ino)| (path.clone(), *ino))
            .collect()
    }

    /// A path is gone, and all below it.
    pub(crate) fn removed(&mut self, path: &str) {
        for (path, ino) in self.subtree(path) {
            self.numbers.remove(&path);
            if let Some(entry) = self.entries.get_mut(&ino) {
                entry.path = None;
                if entry.pins == 0 {
                    self.entries.remove(&ino);
                }
            }
        }
    }

    /// A path was renamed over another.
    pub(crate) fn moved(&mut self, from: &str, to: &str) {
        self.removed(to);
        for (old, ino) in self.subtree(from) {
            let new: Arc<str> = format!("{to}{}", &old[from.len()..]).into();
            if new.len() > PATH_MAX {
                self.removed(&old);
                continue;
            }
            self.numbers.remove(&old);
            self.numbers.insert(new.clone(), ino);
            if let Some(entry) = self.entries.get_mut(&ino) {
                entry.path = Some(new);
            }
        }
    }

    pub(crate) fn pin(&mut self, ino: Ino) -> bool {
        self.entries.get_mut(&ino).map(|entry| entry.pins += 1).is_some()
    }

    pub(crate) fn unpin(&mut self, ino: Ino) {
        let Some(entry) = self.entries.get_mut(&ino) else { return };
        entry.pins -= 1;
        if entry.pins == 0 && entry.path.is_none() {
            self.entries.remove(&ino);
        }
    }

    fn forget_old(&mut self) {
        let mut idle: Vec<(u64, Ino)> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.pins == 0)
            .map(|(ino, entry)| (entry.used, *ino))
            .collect();
        idle.sort_unstable();
        for (_, ino) in &idle[..idle.len() / 2] {
            if let Some(Entry { path: Some(path), .. }) = self.entries.remove(ino) {
                self.numbers.remove(&path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_moves_with_what_is_below() {
        let mut paths = Paths::new();
        let (a, ab, other) = (paths.number("/a"), paths.number("/a/b"), paths.number("/a.txt"));
        let old = paths.number("/z");
        paths.moved("/a", "/z");
        assert_eq!(&*paths.path(a).unwrap(), "/z");
        assert_eq!(&*paths.path(ab).unwrap(), "/z/b");
        assert_eq!(&*paths.path(other).unwrap(), "/a.txt");
        assert_eq!(paths.path(old), Err(Errno::ESTALE));
    }

    #[test]
    fn what_moves_too_deep_is_forgotten() {
        let mut paths = Paths::new();
        let (top, deep) = (paths.number("/a"), paths.number(&format!("/a/{}", "x/".repeat(2000))));
        paths.moved("/a", &format!("/{}", "y".repeat(200)));
        assert!(paths.path(top).is_ok());
        assert_eq!(paths.path(deep), Err(Errno::ESTALE));
        assert_eq!(paths.entries.len(), paths.numbers.len());
    }

    #[test]
    fn a_removed_pinned_number_is_not_used_again() {
        let mut paths = Paths::new();
        let old = paths.number("/f");
        assert!(paths.pin(old));
        paths.removed("/f");
        let new = paths.number("/f");
        assert_ne!(old, new);
        assert_eq!(paths.path(old), Err(Errno::ESTALE));
        paths.unpin(old);
        assert!(!paths.entries.contains_key(&old));
    }

    #[test]
    fn forgotten_numbers_come_back() {
        let mut paths = Paths::new();
        let first = paths.number("/first");
        for n in 0..2 * MAX_PATHS {
            paths.number(&format!("/{n}"));
        }
        assert!(paths.entries.len() <= MAX_PATHS);
        assert_eq!(paths.entries.len(), paths.numbers.len());
        assert_eq!(paths.path(first), Err(Errno::ESTALE));
        assert_eq!(paths.number("/first"), first);
    }
}
