//! Rows in one file of redb, a copy-on-write B-tree whose commit is one write of its header. What it trusts of a disk is told
//! at [`FileStore`].

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageBackend, StorageError,
    TableDefinition, TableError, TableHandle,
};

use super::{Backend, Changes, Each, Fill, Table};
use crate::{StoreError, place};

/// The name of the file in its directory.
const NAME: &str = "root.redb";
/// Its name while it is made.
const UNFINISHED: &str = "root.new";
/// Bytes of pages that are kept in memory: rows are read once, so more would only be held twice.
const CACHE: usize = 8 << 20;

type Rows = TableDefinition<'static, &'static [u8], &'static [u8]>;

fn rows(table: Table) -> Rows {
    TableDefinition::new(table.name())
}

/// A store in one file, over any block device.
///
/// It trusts that what was written before a sync is there after it. Of what was written since, any part may be there or not:
/// a commit that was not finished is found by its checksums, and the one before it holds.
pub struct FileStore {
    database: Database,
    path: PathBuf,
    /// Nobody else opens the directory meanwhile. Let go last, when the file is closed.
    lock: Option<File>,
}

impl FileStore {
    /// The store in a directory, made if it is missing.
    pub(crate) fn in_directory(directory: &Path) -> Result<Self, StoreError> {
        place::make_directory(directory)?;
        let failed = |source| StoreError::Io { path: directory.to_owned(), source };
        let lock = place::open_directory(directory)?;
        place::lock(&lock, directory)?;
        let path = directory.join(NAME);
        let new = !path.try_exists().map_err(failed)?;
        // A file that is not finished has another name, so that a loss of power leaves none that is none.
        let opened = if new { directory.join(UNFINISHED) } else { path.clone() };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(new).truncate(new).mode(0o600);
        let io = |source| StoreError::Io { path: path.clone(), source };
        let file = options.open(&opened).map_err(io)?;
        let synced = file.try_clone().map_err(io)?;
        let backend = FileBackend::new(file).map_err(|error| opening(&path, error))?;
        let mut store = Self::on(backend, &path)?;
        store.lock = Some(lock);
        if new {
            synced.sync_all().and_then(|()| std::fs::rename(&opened, &path)).map_err(io)?;
            place::sync_directory(directory)?;
        }
        Ok(store)
    }

    /// The store on a block device, made if that is empty; `path` is for errors.
    pub fn on(device: impl StorageBackend, path: &Path) -> Result<Self, StoreError> {
        let database = Builder::new()
            .set_cache_size(CACHE)
            // All is read anyway; without it a file that something else changed is trusted.
            .set_check_integrity_on_open(true)
            .create_with_backend(device)
            .map_err(|error| opening(path, error))?;
        let store = FileStore { database, path: path.to_owned(), lock: None };
        store.check()?;
        Ok(store)
    }

    /// A file of redb that another program made has other tables.
    fn check(&self) -> Result<(), StoreError> {
        let transaction = self.database.begin_read().map_err(|e| self.failed(e))?;
        for table in transaction.list_tables().map_err(|e| self.failed(e))? {
            if !Table::ALL.iter().any(|ours| ours.name() == table.name()) {
                let reason = format!("it has the table {:?} of another program", table.name());
                return Err(StoreError::NotAStore { path: self.path.clone(), reason });
            }
        }
        Ok(())
    }

    fn failed(&self, error: impl Into<redb::Error>) -> StoreError {
        failed(&self.path, error.into())
    }
}

impl std::fmt::Debug for FileStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FileStore").field(&self.path).finish()
    }
}

fn opening(path: &Path, error: DatabaseError) -> StoreError {
    let path_of = || path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path: path_of() },
        DatabaseError::Storage(StorageError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
            StoreError::NotAStore { path: path_of(), reason: error.to_string() }
        }
        DatabaseError::UpgradeRequired(version) => StoreError::NotAStore {
            path: path_of(),
            reason: format!("a file of redb in its old format {version}"),
        },
        error => failed(path, error.into()),
    }
}

fn failed(path: &Path, error: redb::Error) -> StoreError {
    let path = path.to_owned();
    match error {
        redb::Error::Io(source) => StoreError::Io { path, source },
        redb::Error::Corrupted(reason) => StoreError::Damaged { path, reason },
        error => StoreError::Io { path, source: io::Error::other(error.to_string()) },
    }
}

impl Backend for FileStore {
    fn read(&mut self, table: Table, each: Each<'_>) -> Result<(), StoreError> {
        let transaction = self.database.begin_read().map_err(|e| self.failed(e))?;
        let rows = match transaction.open_table(rows(table)) {
            Ok(rows) => rows,
            Err(TableError::TableDoesNotExist(_)) => return Ok(()),
            Err(error) => return Err(self.failed(error)),
        };
        for row in rows.iter().map_err(|e| self.failed(e))? {
            let (key, value) = row.map_err(|e| self.failed(e))?;
            each(key.value(), value.value())?;
        }
        Ok(())
    }

    fn write(&mut self, fill: Fill<'_>) -> Result<(), StoreError> {
        let transaction = self.database.begin_write().map_err(|e| self.failed(e))?;
        {
            let mut tables = Vec::new();
            for table in Table::ALL {
                tables.push(transaction.open_table(rows(table)).map_err(|e| self.failed(e))?);
            }
            // A failure drops the transaction, which undoes it.
            fill(&mut Transaction { tables, path: &self.path })?;
        }
        transaction.commit().map_err(|e| self.failed(e))
    }
}

struct Transaction<'t> {
    /// In the order of [`Table::ALL`].
    tables: Vec<redb::Table<'t, &'static [u8], &'static [u8]>>,
    path: &'t Path,
}

impl Changes for Transaction<'_> {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let result = self.tables[table as usize].insert(key, value);
        result.map(|_| ()).map_err(|e| failed(self.path, e.into()))
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        let result = self.tables[table as usize].remove(key);
        result.map(|_| ()).map_err(|e| failed(self.path, e.into()))
    }

    fn clear(&mut self) -> Result<(), StoreError> {
        for table in &mut self.tables {
            table.retain(|_, _| false).map_err(|e| failed(self.path, e.into()))?;
        }
        Ok(())
    }
}
