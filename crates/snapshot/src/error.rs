//! Why a snapshot cannot be written or read. It names the entry, so that whoever made the archive can mend it.

use std::io;

/// A snapshot cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// An entry is wrong, or leads out of the tree.
    #[error("entry {entry:?}: {reason}")]
    Entry {
        /// Its name, cut to 256 bytes.
        entry: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It is no archive of a known kind, or a damaged one.
    #[error("{reason}")]
    Archive {
        /// What is wrong.
        reason: String,
    },
    /// It holds more than it may.
    #[error("limit {name}: {used} of {configured} in use, {requested} more asked for")]
    Limit {
        /// `filesystemBytes`, `inodes`, or a limit of archives: `snapshotEntries`, `snapshotPathBytes`.
        name: &'static str,
        /// The limit.
        configured: u64,
        /// What had been read.
        used: u64,
        /// What came on top.
        requested: u64,
    },
    /// Its bytes cannot be had.
    #[error("{0}")]
    Read(#[from] io::Error),
}

impl ImportError {
    pub(crate) fn entry(name: &[u8], reason: impl Into<String>) -> Self {
        let cut = name.get(..256).unwrap_or(name);
        ImportError::Entry { entry: String::from_utf8_lossy(cut).into_owned(), reason: reason.into() }
    }

    pub(crate) fn archive(reason: impl Into<String>) -> Self {
        ImportError::Archive { reason: reason.into() }
    }
}

/// A snapshot cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A path that no reader of archives would take.
    #[error("{path:?}: {reason}")]
    Path {
        /// The path, cut to 256 bytes.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Its bytes cannot be written.
    #[error("{0}")]
    Write(#[from] io::Error),
}
