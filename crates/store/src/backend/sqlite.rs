//! Rows in an SQLite file, for those who want one file that other programs can read. While it is open, the file beside it whose
//! name ends in `-lock` is locked: SQLite's own locks are gone as soon as anything in this process closes the file.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_executor::block_on;
use futures_util::TryStreamExt;
use sqlx::sqlite::{SqliteConnectOptions, SqliteLockingMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};

use super::{Backend, Changes, Each, Fill, Table};
use crate::{StoreError, place};

/// Marks a file as ours (`PRAGMA application_id`): "AgOs".
const APPLICATION: i64 = 0x4167_4f73;

/// Chunks are large, so they are kept beside the tree of their keys.
const SCHEMA: &str = "
    BEGIN IMMEDIATE;
    PRAGMA application_id = 1097289587;
    CREATE TABLE head (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE inodes (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE entries (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE chunks (key BLOB PRIMARY KEY, value BLOB NOT NULL);
    COMMIT;";

/// The statements of a table.
struct Statements {
    read: &'static str,
    put: &'static str,
    remove: &'static str,
    clear: &'static str,
}

macro_rules! statements {
    ($table:literal) => {
        Statements {
            read: concat!("SELECT key, value FROM ", $table, " ORDER BY key"),
            put: concat!("INSERT OR REPLACE INTO ", $table, " (key, value) VALUES (?, ?)"),
            remove: concat!("DELETE FROM ", $table, " WHERE key = ?"),
            clear: concat!("DELETE FROM ", $table),
        }
    };
}

fn statements(table: Table) -> Statements {
    match table {
        Table::Head => statements!("head"),
        Table::Inodes => statements!("inodes"),
        Table::Entries => statements!("entries"),
        Table::Chunks => statements!("chunks"),
    }
}

/// A store in an SQLite file.
pub(crate) struct Sqlite {
    /// `None` once it is closed.
    connection: Option<SqliteConnection>,
    path: PathBuf,
    /// Let go last.
    _lock: File,
}

impl Sqlite {
    /// The store in a file, made if it is missing, for its owner alone.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let lock = lock(path)?;
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        match made {
            Ok(_) => place::sync_directory(&place::parent(path))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(StoreError::Io { path: path.to_owned(), source }),
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .locking_mode(SqliteLockingMode::Exclusive)
            .synchronous(SqliteSynchronous::Full)
            // Another VM was told by the lock above. Another program, or a connection of ours that failed and is not closed yet,
            // gets a moment.
            .busy_timeout(Duration::from_secs(1))
            .disable_statement_logging();
        let connection = block_on(options.connect()).map_err(|error| failed(path, error))?;
        let mut store = Sqlite { connection: Some(connection), path: path.to_owned(), _lock: lock };
        store.check()?;
        Ok(store)
    }

    fn check(&mut self) -> Result<(), StoreError> {
        let objects = self.number("SELECT count(*) FROM sqlite_schema")?;
        match (self.number("PRAGMA application_id")?, objects) {
            (APPLICATION, _) => {}
            (0, 0) => self.run(SCHEMA)?,
            (application, objects) => {
                let reason =
                    format!("a database of another program ({application:#x}, {objects} tables and indices)");
                return Err(StoreError::NotAStore { path: self.path.clone(), reason });
            }
        }
        // Only now: it changes the file. The log is cut after large commits.
        self.run("PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = 67108864;")
    }

    fn number(&mut self, sql: &'static str) -> Result<i64, StoreError> {
        let (connection, path) = self.parts()?;
        block_on(sqlx::query_scalar(sql).fetch_one(connection)).map_err(|error| failed(path, error))
    }

    fn run(&mut self, sql: &'static str) -> Result<(), StoreError> {
        let (connection, path) = self.parts()?;
        block_on(sqlx::raw_sql(sql).execute(connection)).map_err(|error| failed(path, error))?;
        Ok(())
    }

    fn parts(&mut self) -> Result<(&mut SqliteConnection, &Path), StoreError> {
        let closed = || io::Error::other("the database is closed");
        match &mut self.connection {
            Some(connection) => Ok((connection, &self.path)),
            None => Err(StoreError::Io { path: self.path.clone(), source: closed() }),
        }
    }
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push("-lock");
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(name);
    let file = file.map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
    place::lock(&file, path)?;
    Ok(file)
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        // Waited for: the lock goes with it. That the log could not be put away is no loss.
        if let Some(connection) = self.connection.take()
            && let Err(error) = block_on(connection.close())
        {
            tracing::warn!(path = %self.path.display(), %error, "an SQLite file was not closed cleanly");
        }
    }
}

fn failed(path: &Path, error: sqlx::Error) -> StoreError {
    let path = path.to_owned();
    let code =
        |error: &dyn sqlx::error::DatabaseError| error.code().and_then(|code| code.parse::<u32>().ok());
    // The lowest byte is the primary code (sqlite.org/rescode.html).
    let primary = error.as_database_error().and_then(code).map(|code| code & 0xff);
    let io = |kind| io::Error::new(kind, error.to_string());
    match primary {
        Some(5 | 6) => StoreError::InUse { path },
        Some(8) => StoreError::Io { path, source: io(io::ErrorKind::ReadOnlyFilesystem) },
        Some(11) => StoreError::Damaged { path, reason: error.to_string() },
        Some(13) => StoreError::Io { path, source: io(io::ErrorKind::StorageFull) },
        Some(26) => StoreError::NotAStore { path, reason: error.to_string() },
        _ => StoreError::Io { path, source: io(io::ErrorKind::Other) },
    }
}

impl Backend for Sqlite {
    fn read(&mut self, table: Table, each: Each<'_>) -> Result<(), StoreError> {
        let (connection, path) = self.parts()?;
        block_on(async {
            let mut rows = sqlx::query(statements(table).read).fetch(connection);
            while let Some(row) = rows.try_next().await.map_err(|error| failed(path, error))? {
                let key = row.try_get::<&[u8], _>(0).map_err(|error| failed(path, error))?;
                let value = row.try_get::<&[u8], _>(1).map_err(|error| failed(path, error))?;
                each(key, value)?;
            }
            Ok(())
        })
    }

    fn write(&mut self, fill: Fill<'_>) -> Result<(), StoreError> {
        self.run("BEGIN IMMEDIATE")?;
        let result = fill(self).and_then(|()| self.run("COMMIT"));
        if result.is_err() {
            // SQLite may have done so already; the failure that counts is the first.
            let _ = self.run("ROLLBACK");
        }
        result
    }
}

impl Changes for Sqlite {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let (connection, path) = self.parts()?;
        let put = sqlx::query(statements(table).put).bind(key).bind(value).execute(connection);
        block_on(put).map(|_| ()).map_err(|error| failed(path, error))
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        let (connection, path) = self.parts()?;
        let remove = sqlx::query(statements(table).remove).bind(key).execute(connection);
        block_on(remove).map(|_| ()).map_err(|error| failed(path, error))
    }

    fn clear(&mut self) -> Result<(), StoreError> {
        Table::ALL.iter().try_for_each(|&table| self.run(statements(table).clear))
    }
}
