//! Whether two paths name one file: what walkdir and ignore take the crate of this name for, which knows no wasip1, so that
//! no walk there could follow a link. It has the part of that crate's interface which those two use.

#![forbid(unsafe_code)]

use agentos_guest::fs::{FileType, Stat, file_type, fstat, stat};
use std::fs::File;
use std::io;
use std::path::Path;

/// A file that is kept open, so that its device and inode stay its own.
#[derive(Debug)]
pub struct Handle {
    file: File,
    dev: u64,
    ino: u64,
}

impl PartialEq for Handle {
    fn eq(&self, other: &Handle) -> bool {
        (self.dev, self.ino) == (other.dev, other.ino)
    }
}

impl Eq for Handle {}

impl Handle {
    fn new(path: &Path, found: &Stat) -> io::Result<Handle> {
        Ok(Handle { file: File::open(path)?, dev: found.dev, ino: found.ino })
    }

    /// The file that a path leads to, through links.
    ///
    /// # Errors
    /// Those of open(2) and stat(2).
    ///
    /// ```
    /// use same_file::Handle;
    /// assert_eq!(Handle::from_path("/")?, Handle::from_path("/..")?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_path(path: impl AsRef<Path>) -> io::Result<Handle> {
        let path = path.as_ref();
        Handle::new(path, &stat(path)?)
    }

    /// The regular file that is standard output.
    ///
    /// # Errors
    /// Those of fstat(2) and open(2), and `Unsupported` for everything else that standard output may be: to open the pipe
    /// that it is would make this program a reader of it.
    pub fn stdout() -> io::Result<Handle> {
        let found = fstat(1)?;
        if file_type(found.mode) != FileType::File {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Handle::new(Path::new("/dev/stdout"), &found)
    }

    /// The open file.
    #[must_use]
    pub fn as_file(&self) -> &File {
        &self.file
    }

    /// The device.
    #[must_use]
    pub fn dev(&self) -> u64 {
        self.dev
    }

    /// The inode.
    #[must_use]
    pub fn ino(&self) -> u64 {
        self.ino
    }
}

/// Whether both paths lead to one file.
///
/// # Errors
/// Those of [`Handle::from_path`].
///
/// ```
/// assert!(same_file::is_same_file("/", "/.")?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn is_same_file(one: impl AsRef<Path>, other: impl AsRef<Path>) -> io::Result<bool> {
    Ok(Handle::from_path(one)? == Handle::from_path(other)?)
}
