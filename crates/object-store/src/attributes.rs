//! What was seen of names a moment ago: attributes, absent names, listings. Each is forgotten after its time, and at once by a
//! change through this mount.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::remote::Listed;
use crate::version::Found;

/// Names and entries of listings that are remembered; beyond it all are forgotten.
const MOST: usize = 65_536;

#[derive(Default)]
struct Inner {
    /// Counts changes: what was asked before one is not remembered after it.
    generation: u64,
    names: HashMap<Arc<str>, (Instant, Option<Found>)>,
    listings: HashMap<Arc<str>, (Instant, Arc<[Listed]>)>,
    entries: usize,
}

pub(crate) struct Attributes {
    time: Duration,
    /// Whether listings tell attributes.
    from_listings: bool,
    inner: Mutex<Inner>,
}

pub(crate) fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    }
}

fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

impl Attributes {
    pub(crate) fn new(time: Duration, from_listings: bool) -> Self {
        Attributes { time, from_listings, inner: Mutex::default() }
    }

    /// Taken before the store is asked.
    pub(crate) fn generation(&self) -> u64 {
        self.inner.lock().generation
    }

    /// What is known of a path: `Some(None)` that there is nothing.
    pub(crate) fn get(&self, path: &str) -> Option<Option<Found>> {
        let inner = self.inner.lock();
        if let Some((at, found)) = inner.names.get(path)
            && at.elapsed() < self.time
        {
            return Some(found.clone());
        }
        let (_, listed) = inner.listings.get(parent(path)).filter(|(at, _)| at.elapsed() < self.time)?;
        let name = name(path);
        match listed.binary_search_by(|entry| entry.name.as_str().cmp(name)) {
            Err(_) => Some(None),
            Ok(at) => match &listed[at].found {
                Found::File(_) if !self.from_listings => None,
                found => Some(Some(found.clone())),
            },
        }
    }

    pub(crate) fn put(&self, generation: u64, path: &str, found: Option<Found>) {
        let inner = &mut *self.inner.lock();
        if self.time.is_zero() || inner.generation != generation {
            return;
        }
        if inner.names.len() >= MOST {
            inner.names.clear();
        }
        inner.names.insert(path.into(), (Instant::now(), found));
    }

    pub(crate) fn listing(&self, path: &str) -> Option<Arc<[Listed]>> {
        let inner = self.inner.lock();
        let (at, listed) = inner.listings.get(path)?;
        (at.elapsed() < self.time).then(|| listed.clone())
    }

    pub(crate) fn put_listing(&self, generation: u64, path: &str, listed: &Arc<[Listed]>) {
        let inner = &mut *self.inner.lock();
        if self.time.is_zero() || inner.generation != generation || listed.len() >= MOST {
            return;
        }
        if inner.entries + listed.len() >= MOST || inner.listings.len() >= MOST {
            inner.listings.clear();
            inner.entries = 0;
        }
        inner.entries += listed.len();
        if let Some((_, old)) = inner.listings.insert(path.into(), (Instant::now(), listed.clone())) {
            inner.entries -= old.len();
        }
    }

    /// A path was changed.
    pub(crate) fn forget(&self, path: &str) {
        let inner = &mut *self.inner.lock();
        inner.generation += 1;
        inner.names.remove(path);
        for directory in [path, parent(path)] {
            if let Some((_, old)) = inner.listings.remove(directory) {
                inner.entries -= old.len();
            }
        }
    }

    /// So much was changed that nothing is known any more.
    pub(crate) fn forget_all(&self) {
        let inner = &mut *self.inner.lock();
        *inner = Inner { generation: inner.generation + 1, ..Inner::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::Version;

    fn file() -> Option<Found> {
        Some(Found::File(Version::default()))
    }

    #[test]
    fn an_answer_that_crosses_a_change_is_not_kept() {
        let attributes = Attributes::new(Duration::from_secs(60), true);
        let before = attributes.generation();
        attributes.forget("/d/a");
        attributes.put(before, "/d/a", file());
        assert_eq!(attributes.get("/d/a"), None);
        attributes.put(attributes.generation(), "/d/a", file());
        assert_eq!(attributes.get("/d/a"), Some(file()));
        attributes.forget("/d/a");
        assert_eq!(attributes.get("/d/a"), None);
    }

    #[test]
    fn listings_tell_what_is_missing_until_a_change() {
        let attributes = Attributes::new(Duration::from_secs(60), false);
        let listed: Arc<[Listed]> = [("a", file()), ("d", Some(Found::Directory))]
            .map(|(name, found)| Listed { name: name.into(), found: found.unwrap() })
            .into();
        attributes.put_listing(0, "/", &listed);
        assert_eq!(attributes.get("/x"), Some(None));
        assert_eq!(attributes.get("/d"), Some(Some(Found::Directory)));
        assert_eq!(attributes.get("/a"), None, "its attributes are to be asked for");
        attributes.forget("/x");
        assert_eq!(attributes.get("/x"), None);
        assert_eq!(attributes.inner.lock().entries, 0);
    }

    #[test]
    fn memory_is_bounded_and_time_is_kept() {
        let attributes = Attributes::new(Duration::from_secs(60), true);
        for n in 0..MOST + 10 {
            attributes.put(0, &format!("/{n}"), None);
        }
        assert!(attributes.inner.lock().names.len() <= MOST);
        let none = Attributes::new(Duration::ZERO, true);
        none.put(0, "/a", file());
        assert_eq!(none.get("/a"), None);
    }
}
