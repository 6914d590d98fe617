//! Directories of the host that no mount may show, by whatever name it reaches them: a link, a second place that the
//! operator has bound them to, a move while it is mounted, a further name of a file in them. They are known by (device,
//! inode). A file that the operator binds to a second place by itself is not recognised. `/proc` of the host is private always.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::PROC_SUPER_MAGIC;

use super::errno::errno;
use super::table::Identity;
use crate::{Errno, Result};

/// Directories that are known; a tree with more cannot be kept private.
const MAX_DIRECTORIES: usize = 4096;

/// EACCES for the process files of the kernel: those of the process that we are hold all of its memory, as regular files.
pub(super) fn no_process_files(directory: impl AsFd) -> Result<()> {
    let f_type = rustix::fs::fstatfs(directory).map_err(errno)?.f_type;
    if f_type == PROC_SUPER_MAGIC { Err(Errno::EACCES) } else { Ok(()) }
}

/// A set of directories, with all below them.
///
/// ```
/// use agentos_vfs::host_dir::{HostDir, HostDirOptions, Private};
/// let (secret, shown) = (tempfile::tempdir()?, tempfile::tempdir()?);
/// let private = std::sync::Arc::new(Private::of([secret.path()])?);
/// let options = || HostDirOptions { private: Some(private.clone()), ..Default::default() };
/// assert!(HostDir::open(shown.path(), options()).is_ok());
/// assert!(HostDir::open(secret.path(), options()).is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Private {
    directories: Vec<(Identity, PathBuf)>,
}

impl Private {
    /// These directories and all below them, as they are now. Those that do not exist are left out. Errors of looking at them.
    pub fn of(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> io::Result<Self> {
        let mut directories = Vec::new();
        let mut todo: Vec<PathBuf> = paths.into_iter().map(|path| path.as_ref().to_owned()).collect();
        while let Some(path) = todo.pop() {
            let stat = match fs::metadata(&path) {
                Ok(stat) => stat,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if directories.len() >= MAX_DIRECTORIES {
                let text = format!("{}: more than {MAX_DIRECTORIES} directories", path.display());
                return Err(io::Error::other(text));
            }
            directories.push((Identity { dev: stat.dev(), ino: stat.ino() }, path.clone()));
            for entry in fs::read_dir(&path)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    todo.push(entry.path());
                }
            }
        }
        Ok(Private { directories })
    }

    /// Whether `path` leads to one of the directories, or to the process files of the kernel.
    #[must_use]
    pub fn refuses(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|stat| self.has_directory(Identity { dev: stat.dev(), ino: stat.ino() }))
            || rustix::fs::statfs(path).is_ok_and(|stat| stat.f_type == PROC_SUPER_MAGIC)
    }

    /// Whether it is one of the directories.
    pub(crate) fn has_directory(&self, identity: Identity) -> bool {
        self.directories.iter().any(|(private, _)| *private == identity)
    }

    /// Whether a file has a name in one of them. To be asked for files with several names only: it lists. What cannot be
    /// listed counts as having it.
    pub(crate) fn has_file(&self, identity: Identity) -> bool {
        let lists = |path: &Path| -> io::Result<bool> {
            for entry in fs::read_dir(path)? {
                // One that went meanwhile is not the one that is open.
                let Ok(stat) = entry?.metadata() else { continue };
                if (Identity { dev: stat.dev(), ino: stat.ino() }) == identity {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        let same_device = self.directories.iter().filter(|(private, _)| private.dev == identity.dev);
        same_device.map(|(_, path)| path).any(|path| match lists(path) {
            Ok(found) => found,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        })
    }
}
