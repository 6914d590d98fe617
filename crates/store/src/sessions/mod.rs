//! Logs of sessions that outlive a machine: for each a directory with a head, which says what it is, and its events in the
//! order they came. What events and heads hold, it does not know.
//!
//! Appended events are with the host's kernel when the call answers, so that they outlive this process; [`SessionLog::sync`]
//! puts them on the disk. What was cut off half-way is left out when a log is opened.
//!
//! ```
//! use agentos_store::sessions::SessionLogs;
//!
//! # let scratch = tempfile::tempdir()?;
//! let logs = SessionLogs::open(&scratch.path().join("sessions"))?;
//! let mut log = logs.create("01ARZ3NDEKTSV4RRFFQ69G5FAV", b"{}")?;
//! log.append(1, b"first")?;
//! drop(log);
//!
//! let (log, head) = logs.log("01ARZ3NDEKTSV4RRFFQ69G5FAV")?;
//! assert_eq!((log.next(), head.as_slice()), (2, &b"{}"[..]));
//! let mut reader = log.reader(0)?;
//! assert_eq!(reader.next_record()?, Some((1, b"first".to_vec())));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod log;
mod reader;
mod segment;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub use log::{Limits, SessionLog};
pub use reader::Reader;

use crate::StoreError;
use crate::place::{make_directory, sync_directory};

/// Most logs in one place.
pub const MAX_LOGS: usize = 1000;
/// The longest id.
const MAX_ID: usize = 64;
/// The longest head, in bytes.
const MAX_HEAD: usize = 4 << 20;
const HEAD: &str = "head.json";

fn io_error(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Io { path: path.to_owned(), source }
}

/// The logs of one machine. Whoever has them must be alone with them; the lock of the machine's root sees to that.
#[derive(Clone, Debug)]
pub struct SessionLogs {
    dir: PathBuf,
}

impl SessionLogs {
    /// Opens the directory, which is made if it is missing, for its owner alone.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        make_directory(dir)?;
        Ok(SessionLogs { dir: dir.to_owned() })
    }

    /// The ids of the logs, in order.
    pub fn list(&self) -> Result<Vec<String>, StoreError> {
        let mut ids = Vec::new();
        let entries = fs::read_dir(&self.dir).map_err(|error| io_error(&self.dir, error))?;
        for entry in entries {
            let name = entry.map_err(|error| io_error(&self.dir, error))?.file_name();
            let id = name.to_str().filter(|name| is_id(name));
            ids.extend(id.filter(|id| self.dir.join(id).join(HEAD).is_file()).map(str::to_owned));
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// Makes a log with its head.
    pub fn create(&self, id: &str, head: &[u8]) -> Result<SessionLog, StoreError> {
        let dir = self.dir_of(id)?;
        if self.list()?.len() >= MAX_LOGS {
            let reason = format!("it has {MAX_LOGS} sessions; destroy some");
            return Err(StoreError::NotAStore { path: self.dir.clone(), reason });
        }
        fs::DirBuilder::new().mode(0o700).create(&dir).map_err(|error| io_error(&dir, error))?;
        let log = SessionLog::open(&dir, Limits::default())?;
        log.set_head(head)?;
        sync_directory(&self.dir)?;
        Ok(log)
    }

    /// Opens a log and reads its head.
    pub fn log(&self, id: &str) -> Result<(SessionLog, Vec<u8>), StoreError> {
        let dir = self.dir_of(id)?;
        let head = read_head(&dir)?;
        Ok((SessionLog::open(&dir, Limits::default())?, head))
    }

    /// Reads the head of a log.
    pub fn head(&self, id: &str) -> Result<Vec<u8>, StoreError> {
        read_head(&self.dir_of(id)?)
    }

    /// Forgets a log. Nothing if it is not there.
    pub fn remove(&self, id: &str) -> Result<(), StoreError> {
        let dir = self.dir_of(id)?;
        // Without its head it is no log any more, whatever else of it is left.
        for result in [fs::remove_file(dir.join(HEAD)), fs::remove_dir_all(&dir)] {
            match result {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io_error(&dir, error));
                }
                _ => {}
            }
        }
        sync_directory(&self.dir)
    }

    fn dir_of(&self, id: &str) -> Result<PathBuf, StoreError> {
        if !is_id(id) {
            let reason = "no id of a session: letters, digits, `-` and `_` only".to_owned();
            return Err(StoreError::NotAStore { path: self.dir.clone(), reason });
        }
        Ok(self.dir.join(id))
    }
}

fn is_id(name: &str) -> bool {
    let valid = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    !name.is_empty() && name.len() <= MAX_ID && name.bytes().all(valid)
}

fn read_head(dir: &Path) -> Result<Vec<u8>, StoreError> {
    let path = dir.join(HEAD);
    let size = fs::metadata(&path).map_err(|error| io_error(&path, error))?.len();
    if size > MAX_HEAD as u64 {
        let reason = format!("its head has {size} bytes, {MAX_HEAD} are possible");
        return Err(StoreError::Damaged { path, reason });
    }
    fs::read(&path).map_err(|error| io_error(&path, error))
}

/// Writes a head in place of the old one: afterwards the one or the other is there, whole.
fn write_head(dir: &Path, head: &[u8]) -> Result<(), StoreError> {
    let path = dir.join(HEAD);
    if head.len() > MAX_HEAD {
        let reason = format!("a head of {} bytes; {MAX_HEAD} are possible", head.len());
        return Err(StoreError::NotAStore { path, reason });
    }
    let new = dir.join("head.new");
    let write = || {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(head)?;
        file.sync_all()?;
        fs::rename(&new, &path)
    };
    write().map_err(|error| io_error(&path, error))?;
    sync_directory(dir)
}
