//! Where a store is on the host: making the place, and finding out what is there. It opens no store.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::StoreError;

/// Where the files of a VM are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A directory of its own; made if it is missing, for its owner alone.
    Directory(PathBuf),
    /// An SQLite file, made if it is missing; its directory must be there. Beside it lie its log, `-wal`, and its lock,
    /// `-lock`.
    Sqlite(PathBuf),
}

impl Place {
    /// The directory or file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Place::Directory(path) | Place::Sqlite(path) => path,
        }
    }

    /// The directory with the logs of sessions: in the directory, or beside the file.
    #[must_use]
    pub fn sessions(&self) -> PathBuf {
        match self {
            Place::Directory(path) => path.join("sessions"),
            Place::Sqlite(path) => {
                let mut beside = path.clone().into_os_string();
                beside.push("-sessions");
                beside.into()
            }
        }
    }

    /// The directory that no VM may see: whoever writes there rewrites the store.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        match self {
            Place::Directory(path) => path.clone(),
            Place::Sqlite(path) => parent(path),
        }
    }
}

fn io_error(path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { path: path.to_owned(), source }
}

/// The directory in which a path is.
pub(crate) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Makes a directory with its parents so that they survive a loss of power; others must not be able to write in it.
pub(crate) fn make_directory(path: &Path) -> Result<(), StoreError> {
    let missing: Vec<&Path> = path.ancestors().take_while(|path| !path.exists()).collect();
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| io_error(path, error))?;
    for made in missing {
        sync_directory(&parent(made))?;
    }
    let meta = fs::metadata(path).map_err(|error| io_error(path, error))?;
    if meta.mode() & 0o022 != 0 {
        let reason = format!("others may write in it (mode {:03o})", meta.mode() & 0o777);
        return Err(StoreError::NotAStore { path: path.to_owned(), reason });
    }
    Ok(())
}

/// A directory of the host, to lock or to sync.
#[expect(
    clippy::disallowed_methods,
    reason = "the store is no file of a guest; mounts that show it are refused"
)]
pub(crate) fn open_directory(path: &Path) -> Result<File, StoreError> {
    File::open(path).map_err(|error| io_error(path, error))
}

/// The names in a directory are on stable storage.
pub(crate) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    open_directory(path)?.sync_all().map_err(|error| io_error(path, error))
}

/// Locks a store for as long as `file` is open; it is an error at once if somebody else has it.
pub(crate) fn lock(file: &File, path: &Path) -> Result<(), StoreError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => StoreError::InUse { path: path.to_owned() },
        TryLockError::Error(source) => io_error(path, source),
    })
}
