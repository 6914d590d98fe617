//! A file that is written under a lock: `<file>.lock` is made, filled and renamed. Dropped without a commit it leaves no trace.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The lock of a file.
pub(crate) struct Lock {
    target: PathBuf,
    path: PathBuf,
    done: bool,
}

impl Lock {
    /// Takes the lock; directories that lack are made.
    pub(crate) fn new(target: &Path) -> io::Result<Lock> {
        let mut name = target.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let open = || OpenOptions::new().write(true).create_new(true).open(&path);
        match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(dir) = path.parent() {
                    fs::create_dir_all(dir)?;
                }
                open()?;
            }
            other => {
                other?;
            }
        }
        Ok(Lock { target: target.to_owned(), path, done: false })
    }

    /// Writes the content and puts it in place of the file.
    pub(crate) fn commit(mut self, content: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).truncate(true).open(&self.path)?;
        file.write_all(content)?;
        drop(file);
        if let Ok(old) = agentos_guest::fs::stat(&self.target) {
            let _ = agentos_guest::fs::chmod(&self.path, old.mode & 0o7777);
        }
        fs::rename(&self.path, &self.target)?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_file(&self.path);
        }
    }
}
