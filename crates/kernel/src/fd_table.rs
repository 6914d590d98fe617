//! The descriptor table of a process: numbers for shared open file descriptions.

use std::sync::Arc;

use crate::warning::nearly;
use crate::{Description, Errno, LimitHit, Notice, Observer, Result};

/// A descriptor number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fd(pub u32);

/// What a number means: a description, and whether it closes on exec.
#[derive(Clone)]
pub struct FdEntry {
    /// The open file description, shared by dup and fork.
    pub description: Arc<Description>,
    /// Closes on exec.
    pub cloexec: bool,
}

/// Descriptors of one process, at most `limit`.
#[derive(Clone)]
pub struct FdTable {
    entries: Vec<Option<FdEntry>>,
    limit: u32,
    /// Who is told when it is nearly full, and whether that was done.
    observer: Option<Arc<dyn Observer>>,
    warned: bool,
}

impl FdTable {
    /// An empty table.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self { entries: Vec::new(), limit, observer: None, warned: false }
    }

    /// Tells `observer` when it is nearly full.
    #[must_use]
    pub fn warning(self, observer: Option<Arc<dyn Observer>>) -> Self {
        Self { observer, ..self }
    }

    /// An empty table with the limit and the observer of this one.
    #[must_use]
    pub fn empty(&self) -> Self {
        Self::new(self.limit).warning(self.observer.clone())
    }

    /// The description of `fd`. EBADF.
    pub fn get(&self, fd: Fd) -> Result<&Arc<Description>> {
        Ok(&self.entry(fd)?.description)
    }

    /// All descriptions; one that has several numbers comes as often.
    pub(crate) fn descriptions(&self) -> impl Iterator<Item = &Arc<Description>> {
        self.entries.iter().flatten().map(|entry| &entry.description)
    }

    /// The entry of `fd`. EBADF.
    pub fn entry(&self, fd: Fd) -> Result<&FdEntry> {
        self.entries.get(fd.0 as usize).and_then(Option::as_ref).ok_or(Errno::EBADF)
    }

    /// The lowest free number from `at_least` on. EMFILE; EINVAL beyond the limit.
    fn free(&self, at_least: u32) -> Result<usize> {
        if at_least >= self.limit {
            return Err(if at_least > self.limit { Errno::EINVAL } else { Errno::EMFILE });
        }
        let start = at_least as usize;
        let free = (start..self.entries.len()).find(|i| self.entries[*i].is_none());
        let slot = free.unwrap_or_else(|| self.entries.len().max(start));
        if slot >= self.limit as usize { Err(Errno::EMFILE) } else { Ok(slot) }
    }

    /// EMFILE when [`FdTable::insert`] would find no number: asked before an open that creates the file.
    pub fn has_room(&self, at_least: u32) -> Result<()> {
        self.free(at_least).map(|_| ())
    }

    /// Puts a description at the lowest free number from `at_least` on. EMFILE.
    pub fn insert(&mut self, description: Arc<Description>, at_least: u32, cloexec: bool) -> Result<Fd> {
        let slot = self.free(at_least)?;
        self.put(slot, FdEntry { description, cloexec });
        Ok(Fd(slot as u32))
    }

    /// Puts a description at exactly `fd` and returns what was there. EBADF beyond the limit.
    pub fn insert_at(
        &mut self,
        fd: Fd,
        description: Arc<Description>,
        cloexec: bool,
    ) -> Result<Option<FdEntry>> {
        if fd.0 >= self.limit {
            return Err(Errno::EBADF);
        }
        Ok(self.put(fd.0 as usize, FdEntry { description, cloexec }))
    }

    fn put(&mut self, slot: usize, entry: FdEntry) -> Option<FdEntry> {
        if slot >= self.entries.len() {
            self.entries.resize_with(slot + 1, || None);
        }
        let old = self.entries[slot].replace(entry);
        if self.entries.len() as u64 >= nearly(u64::from(self.limit)) && !self.warned {
            self.warn();
        }
        old
    }

    /// The highest number says that most may be in use: they are counted.
    #[cold]
    fn warn(&mut self) {
        let (used, configured) = (self.len() as u64, u64::from(self.limit));
        if let Some(observer) = &self.observer
            && used >= nearly(configured)
        {
            self.warned = true;
            let hit = LimitHit { name: "fdsPerProcess", configured, used, requested: 0 };
            observer.notice(Notice::LimitWarning(hit));
        }
    }

    /// Takes `fd` out. EBADF.
    pub fn remove(&mut self, fd: Fd) -> Result<FdEntry> {
        let entry = self.entries.get_mut(fd.0 as usize).and_then(Option::take).ok_or(Errno::EBADF)?;
        while self.entries.last().is_some_and(Option::is_none) {
            self.entries.pop();
        }
        self.warned &= self.entries.len() >= self.limit as usize / 2;
        Ok(entry)
    }

    /// Sets close-on-exec. EBADF.
    pub fn set_cloexec(&mut self, fd: Fd, cloexec: bool) -> Result<()> {
        let entry = self.entries.get_mut(fd.0 as usize).and_then(Option::as_mut).ok_or(Errno::EBADF)?;
        entry.cloexec = cloexec;
        Ok(())
    }

    /// What a new program inherits: everything that is not close-on-exec.
    #[must_use]
    pub fn for_exec(&self) -> Self {
        let mut entries: Vec<_> =
            self.entries.iter().map(|e| e.as_ref().filter(|e| !e.cloexec).cloned()).collect();
        while entries.last().is_some_and(Option::is_none) {
            entries.pop();
        }
        Self { entries, ..self.empty() }
    }

    /// The open numbers, ascending.
    pub fn numbers(&self) -> impl Iterator<Item = Fd> + '_ {
        self.entries.iter().enumerate().filter(|(_, e)| e.is_some()).map(|(i, _)| Fd(i as u32))
    }

    /// How many are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.numbers().count()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The highest number allowed, plus one.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Changes the limit; open descriptors stay.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    /// Closes all and returns them, so that the caller drops them without holding the table's lock.
    #[must_use = "dropping the entries closes them"]
    pub fn take_all(&mut self) -> Vec<Option<FdEntry>> {
        std::mem::take(&mut self.entries)
    }
}
