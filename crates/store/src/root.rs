//! The root of a VM in a store: loading it, and committing one moment after the other. It decides not when.

use std::path::{Path, PathBuf};

use agentos_vfs::Layer;
use agentos_vfs::layer::{Restore, RowChange, changed_rows};

use crate::backend::file::FileStore;
use crate::backend::sqlite::Sqlite;
use crate::backend::{Backend, Changes, Table};
use crate::outline::Outline;
use crate::{Place, StoreError, rebase, row};

/// The format that is written, and the newest that is read.
const FORMAT: u32 = 1;
/// What stands before the format.
const MAGIC: &[u8] = b"root\0";

/// Keys of the head. By its name the format is the first that is read: it says how all else is to be.
const FORMAT_KEY: &[u8] = b"agentos";
const STATE_KEY: &[u8] = b"state";
const BASE_KEY: &[u8] = b"base";
const NOTE_KEY: &[u8] = b"note";

/// The root of a VM in its store. While it lives, nobody else can open the store.
pub struct Root {
    backend: Box<dyn Backend>,
    path: PathBuf,
    base: Layer,
    committed: Layer,
    /// How many commits there were.
    sequence: u64,
    note: Option<Vec<u8>>,
    note_changed: bool,
    is_new: bool,
    lost: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Root")
            .field("path", &self.path)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

impl Root {
    /// The root that is kept at `place`: `base` with all that was committed. A new store begins as `base`.
    ///
    /// Files of the base that never changed are not kept: they are those of `base` at every opening. If that is another one than
    /// last time, all changes are made to it anew, path by path.
    pub fn open(place: &Place, base: &Layer) -> Result<Self, StoreError> {
        Self::open_over(place, base, &|_| true)
    }

    /// As [`Root::open`], where a base that lacks files of the last one is an error, [`StoreError::Lost`], unless `may_lose` agrees,
    /// which sees the note of the owner.
    pub fn open_over(
        place: &Place,
        base: &Layer,
        may_lose: &dyn Fn(Option<&[u8]>) -> bool,
    ) -> Result<Self, StoreError> {
        match place {
            Place::Directory(path) => {
                Self::load(Box::new(FileStore::in_directory(path)?), path, base, may_lose)
            }
            Place::Sqlite(path) => Self::load(Box::new(Sqlite::open(path)?), path, base, may_lose),
        }
    }

    /// As [`Root::open`], on a block device of the caller; `path` is for errors.
    pub fn on(store: FileStore, path: &Path, base: &Layer) -> Result<Self, StoreError> {
        Self::load(Box::new(store), path, base, &|_| true)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was committed last.
    #[must_use]
    pub fn layer(&self) -> &Layer {
        &self.committed
    }

    /// How many commits there were in the life of the store.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Whether there was nothing before.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Files of an earlier base that the VM had moved or given other attributes, and that this base does not have any more.
    #[must_use]
    pub fn lost(&self) -> &[Vec<u8>] {
        &self.lost
    }

    /// What the owner noted with [`Root::set_note`].
    #[must_use]
    pub fn note(&self) -> Option<&[u8]> {
        self.note.as_deref()
    }

    /// Keeps a few bytes of the owner with the next commit.
    pub fn set_note(&mut self, note: Vec<u8>) {
        self.note_changed = self.note.as_ref() != Some(&note);
        self.note = Some(note);
    }

    /// Makes `layer`, a later moment of the tree that began as [`Root::layer`], the one that is kept. When it answers, it is on
    /// stable storage. Costs what changed; without a change it writes nothing.
    pub fn commit(&mut self, layer: &Layer) -> Result<(), StoreError> {
        if layer.is_same_moment(&self.committed) && !self.note_changed {
            return Ok(());
        }
        let sequence = self.sequence + 1;
        let (base, committed, note) = (&self.base, &self.committed, self.note.as_ref());
        let note = note.filter(|_| self.note_changed);
        self.backend.write(&mut |changes| {
            put_head(changes, STATE_KEY, row::packed(&(sequence, layer.next_ino())))?;
            if let Some(note) = note {
                put_head(changes, NOTE_KEY, note.clone())?;
            }
            put_rows(changes, base, committed, layer)
        })?;
        self.sequence = sequence;
        self.committed = layer.clone();
        self.note_changed = false;
        Ok(())
    }

    fn load(
        backend: Box<dyn Backend>,
        path: &Path,
        base: &Layer,
        may_lose: &dyn Fn(Option<&[u8]>) -> bool,
    ) -> Result<Self, StoreError> {
        let mut root = Root {
            backend,
            path: path.to_owned(),
            base: base.clone(),
            committed: base.clone(),
            sequence: 0,
            note: None,
            note_changed: false,
            is_new: false,
            lost: Vec::new(),
        };
        let head = root.head()?;
        root.note = head.note;
        let outline = Outline::of(base);
        match (head.format, head.state, head.base) {
            (Some(()), Some((sequence, next)), Some(known)) => {
                root.sequence = sequence;
                if known.fingerprint == outline.fingerprint {
                    root.committed = root.restore(base, next)?;
                } else {
                    let may_lose = may_lose(root.note());
                    root.carry(known, next, &outline, may_lose)?;
                }
            }
            (None, None, None) if root.is_empty()? => {
                root.is_new = true;
                root.write_whole(&outline, base)?;
            }
            _ => return Err(root.damaged("its head is not complete")),
        }
        Ok(root)
    }

    fn damaged(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), reason: reason.into() }
    }

    fn is_empty(&mut self) -> Result<bool, StoreError> {
        let mut empty = true;
        for table in Table::ALL {
            self.backend.read(table, &mut |_, _| {
                empty = false;
                Ok(())
            })?;
        }
        Ok(empty)
    }

    fn head(&mut self) -> Result<Head, StoreError> {
        let path = self.path.clone();
        let mut head = Head::default();
        self.backend.read(Table::Head, &mut |key, value| head.row(&path, key, value))?;
        Ok(head)
    }

    fn restore(&mut self, base: &Layer, next: u64) -> Result<Layer, StoreError> {
        let path = self.path.clone();
        let damaged = |reason| StoreError::Damaged { path: path.clone(), reason };
        let mut restore = Restore::new(base);
        for table in [Table::Inodes, Table::Entries, Table::Chunks] {
            self.backend.read(table, &mut |key, value| {
                let row = row::decode(table, key, value).map_err(damaged)?;
                restore.row(row).map_err(|error| damaged(error.0))
            })?;
        }
        restore.finish(next).map_err(|error| damaged(error.0))
    }

    /// The base is another one than last time.
    fn carry(
        &mut self,
        known: Outline,
        next: u64,
        outline: &Outline,
        may_lose: bool,
    ) -> Result<(), StoreError> {
        let shape = known.layer().map_err(|error| self.damaged(error.0))?;
        let old = self.restore(&shape, next)?;
        let base = self.base.clone();
        let (layer, lost) = rebase::rebase(&shape, &old, &base)
            .map_err(|reason| StoreError::Base { path: self.path.clone(), reason })?;
        if let [first, more @ ..] = &lost[..]
            && !may_lose
        {
            let first = String::from_utf8_lossy(first);
            let files =
                if more.is_empty() { first.into() } else { format!("{first} and {} more", more.len()) };
            return Err(StoreError::Lost { path: self.path.clone(), files });
        }
        self.lost = lost;
        self.sequence += 1;
        self.write_whole(outline, &layer)
    }

    /// Writes all there is in one transaction.
    fn write_whole(&mut self, outline: &Outline, layer: &Layer) -> Result<(), StoreError> {
        let (base, sequence, note) = (&self.base, self.sequence, self.note.as_ref());
        self.backend.write(&mut |changes| {
            changes.clear()?;
            let format = [MAGIC, &FORMAT.to_be_bytes()].concat();
            changes.put(Table::Head, FORMAT_KEY, &format)?;
            put_head(changes, BASE_KEY, row::packed(outline))?;
            put_head(changes, STATE_KEY, row::packed(&(sequence, layer.next_ino())))?;
            if let Some(note) = note {
                put_head(changes, NOTE_KEY, note.clone())?;
            }
            put_rows(changes, base, base, layer)
        })?;
        self.committed = layer.clone();
        Ok(())
    }
}

fn put_head(changes: &mut dyn Changes, key: &[u8], value: Vec<u8>) -> Result<(), StoreError> {
    changes.put(Table::Head, key, &row::sealed(Table::Head, key, value))
}

fn put_rows(changes: &mut dyn Changes, base: &Layer, old: &Layer, new: &Layer) -> Result<(), StoreError> {
    changed_rows(base, old, new, &mut |change| match change {
        RowChange::Put(row) => {
            let (table, key, value) = row::encode(row);
            changes.put(table, &key, &value)
        }
        RowChange::Remove(key) => {
            let (table, key) = row::key(&key);
            changes.remove(table, &key)
        }
    })
}

/// What holds of the whole.
#[derive(Default)]
struct Head {
    format: Option<()>,
    /// Number of commits, next inode.
    state: Option<(u64, u64)>,
    base: Option<Outline>,
    note: Option<Vec<u8>>,
}

impl Head {
    fn row(&mut self, path: &Path, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let damaged = |reason| StoreError::Damaged { path: path.to_owned(), reason };
        // It has no checksum: how they are made is a matter of the format.
        if key == FORMAT_KEY {
            let format = value.strip_prefix(MAGIC).and_then(|rest| <[u8; 4]>::try_from(rest).ok());
            let found = format.map(u32::from_be_bytes).ok_or_else(|| damaged("its format is none".into()))?;
            if found > FORMAT {
                return Err(StoreError::Newer { path: path.to_owned(), found, known: FORMAT });
            }
            self.format = Some(());
            return Ok(());
        }
        let open = || row::opened(Table::Head, key, value).map_err(damaged);
        match key {
            STATE_KEY => self.state = Some(row::unpacked(Table::Head, open()?).map_err(damaged)?),
            BASE_KEY => self.base = Some(row::unpacked(Table::Head, open()?).map_err(damaged)?),
            NOTE_KEY => self.note = Some(open()?.to_vec()),
            _ => {}
        }
        Ok(())
    }
}
