//! What can go wrong with a store, told so that its owner can act.

use std::io;
use std::path::PathBuf;

use agentos_vfs::Errno;

/// A store that cannot be opened, read or written. Nothing of it was overwritten, unless a write failed half-way: then it holds
/// the last moment that was committed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another VM, of this process or another one, has it.
    #[error("{path}: another VM uses it; dispose that one first")]
    InUse {
        /// The store.
        path: PathBuf,
    },
    /// A later version of this program wrote it.
    #[error(
        "{path}: written in format {found}, this version knows up to {known}; use the version that wrote it"
    )]
    Newer {
        /// The store.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that is known here.
        known: u32,
    },
    /// It is something else, so it was left alone.
    #[error("{path}: {reason}; name another place")]
    NotAStore {
        /// What was found.
        path: PathBuf,
        /// What is in the way.
        reason: String,
    },
    /// It was changed by something else than this program, or the disk lost some of it.
    #[error("{path}: the store is damaged ({reason}); restore it from a copy")]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// It began on another base, and its changes do not fit on this one.
    #[error("{path}: cannot be carried to the base of this version: {reason}; use the version that wrote it")]
    Base {
        /// The store.
        path: PathBuf,
        /// The first change that does not fit.
        reason: String,
    },
    /// It began on another base, which had files that this one does not have, and of which it keeps only that they were moved or
    /// given other attributes. Nothing is changed in the store.
    #[error(
        "{path}: {files} would be lost, since the layers of this machine do not have what they were made of; bring the layers that it had"
    )]
    Lost {
        /// The store.
        path: PathBuf,
        /// The first of the files, and how many more there are.
        files: String,
    },
    /// The host failed.
    #[error("{path}: {source}")]
    Io {
        /// The store.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
}

impl StoreError {
    /// What a guest is told whose fsync(2) failed of it.
    #[must_use]
    pub fn errno(&self) -> Errno {
        match self {
            StoreError::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull => Errno::ENOSPC,
                io::ErrorKind::QuotaExceeded => Errno::EDQUOT,
                io::ErrorKind::ReadOnlyFilesystem => Errno::EROFS,
                _ => Errno::EIO,
            },
            _ => Errno::EIO,
        }
    }
}
