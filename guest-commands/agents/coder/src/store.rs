//! Sessions in files, `$HOME/.coder/sessions/ID.jsonl`: a header, then one line for each thing that was said. Lines are
//! only added, and kept on stable storage at the end of each turn. A last line that was written in part is dropped.

use std::{
    io::{self, Read, SeekFrom},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use agentos_guest::{Errno, errno_of, fd};
use serde::{Deserialize, Serialize};

use crate::history::{Item, mend};

/// Bytes of one file. Beyond them it is written anew with what the model still knows.
const MAX_FILE: u64 = 32 << 20;

/// Files that are kept; with one more the oldest goes.
const MAX_SESSIONS: usize = 1000;

/// Entries of the directory that are looked at.
const MAX_ENTRIES: usize = 4 * MAX_SESSIONS;

/// Bytes of a header.
const MAX_HEADER: u64 = 16 << 10;

/// Longest id, in bytes.
const MAX_ID: usize = 64;

/// Sessions of one page of a list.
pub(crate) const PAGE: usize = 100;

/// How often a lock is tried, and the wait in between.
const LOCK_TRIES: u32 = 10;
const LOCK_AGAIN: Duration = Duration::from_millis(20);

const LOCK_EX: u32 = 2;
const LOCK_NB: u32 = 4;

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Line {
    /// The first one.
    Session(Header),
    /// Instructions of the host.
    Instructions { text: String },
    /// Something that was said.
    Item { item: Item },
    /// What the model knows from here on, in place of all before.
    Compaction { items: Vec<Item> },
    /// The model does not know the last item any more.
    Dropped,
    /// A turn ended; `used`: tokens of the context.
    Turn { stop: String, used: u64 },
}

/// What a session is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) version: u32,
    pub(crate) id: String,
    pub(crate) cwd: String,
    pub(crate) title: String,
}

/// What a file holds.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Loaded {
    pub(crate) header: Header,
    pub(crate) instructions: String,
    /// Everything that was said.
    pub(crate) said: Vec<Item>,
    /// What the model knows of it.
    pub(crate) items: Vec<Item>,
    pub(crate) used: u64,
}

/// A session in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) header: Header,
    /// Seconds since 1970.
    pub(crate) updated: u64,
}

/// The file of an open session, locked: two processes that add to one would mix.
#[derive(Debug)]
pub(crate) struct Store {
    file: fd::Owned,
    path: PathBuf,
    size: u64,
}

/// The directory of sessions.
pub(crate) fn folder(home: &Path) -> PathBuf {
    home.join(".coder/sessions")
}

/// Whether an id can be the name of a file.
pub(crate) fn is_id(id: &str) -> bool {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !id.is_empty() && id.len() <= MAX_ID && id.chars().all(valid)
}

/// Locks a file; one that is just being closed elsewhere is waited for.
fn lock(file: &fd::Owned) -> io::Result<()> {
    for _ in 0..LOCK_TRIES {
        match fd::flock(file.raw(), LOCK_EX | LOCK_NB) {
            Err(error) if errno_of(&error) == Some(Errno::EAGAIN) => std::thread::sleep(LOCK_AGAIN),
            result => return result,
        }
    }
    fd::flock(file.raw(), LOCK_EX | LOCK_NB)
}

fn path_of(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.jsonl"))
}

impl Store {
    /// Begins the file of a new session.
    pub(crate) fn create(folder: &Path, header: &Header, instructions: &str) -> io::Result<Self> {
        for directory in [folder.parent(), Some(folder)].into_iter().flatten() {
            match agentos_guest::fs::mkdir(directory, 0o700) {
                Err(error) if errno_of(&error) != Some(Errno::EEXIST) => return Err(error),
                _ => {}
            }
        }
        make_room(folder)?;
        let path = path_of(folder, &header.id);
        let flags = fd::O_RDWR | fd::O_CREAT | fd::O_EXCL | fd::O_APPEND | fd::O_CLOEXEC;
        let file = fd::Owned::from_raw(fd::open(&path, flags, 0o600)?);
        fd::flock(file.raw(), LOCK_EX | LOCK_NB)?;
        let mut store = Self { file, path, size: 0 };
        store.add(&Line::Session(header.clone()))?;
        if !instructions.is_empty() {
            store.add(&Line::Instructions { text: instructions.to_owned() })?;
        }
        Ok(store)
    }

    /// Opens the file of a session; `None` if there is none.
    ///
    /// # Errors
    /// For the user: it is open elsewhere, or cannot be read.
    pub(crate) fn open(folder: &Path, id: &str) -> Result<Option<(Self, Loaded)>, String> {
        if !is_id(id) {
            return Ok(None);
        }
        let path = path_of(folder, id);
        let failed = |error: io::Error| format!("{}: {}", path.display(), agentos_guest::strerror(&error));
        let file = match fd::open(&path, fd::O_RDWR | fd::O_APPEND | fd::O_CLOEXEC, 0) {
            Ok(file) => fd::Owned::from_raw(file),
            Err(error) if matches!(errno_of(&error), Some(Errno::ENOENT | Errno::ENOTDIR)) => {
                return Ok(None);
            }
            Err(error) => return Err(failed(error)),
        };
        if let Err(error) = lock(&file) {
            return Err(match errno_of(&error) {
                Some(Errno::EAGAIN) => format!("session {id} is open in another process"),
                _ => failed(error),
            });
        }
        let size = fd::seek(file.raw(), SeekFrom::End(0)).map_err(failed)?;
        if size > 2 * MAX_FILE {
            return Err(format!("{} has {size} bytes; at most {} are read", path.display(), 2 * MAX_FILE));
        }
        fd::seek(file.raw(), SeekFrom::Start(0)).map_err(failed)?;
        let bytes = fd::read_to_end(file.raw()).map_err(failed)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let loaded = read(&bytes[..whole]).ok_or_else(|| format!("{} is no session", path.display()))?;
        if whole < bytes.len() {
            fd::set_len(file.raw(), whole as u64).map_err(failed)?;
        }
        Ok(Some((Self { file, path, size: whole as u64 }, loaded)))
    }

    /// Adds a line.
    pub(crate) fn add(&mut self, line: &Line) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        fd::write_all(self.file.raw(), &bytes)?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Brings what was added to stable storage.
    pub(crate) fn sync(&self) -> io::Result<()> {
        fd::sync(self.file.raw(), true)
    }

    /// Whether the file is over its limit.
    pub(crate) fn is_full(&self) -> bool {
        self.size > MAX_FILE
    }

    /// Writes the file anew, with what the model knows only.
    pub(crate) fn rewrite(&mut self, header: &Header, instructions: &str, items: &[Item]) -> io::Result<()> {
        let path = self.path.with_extension("new");
        let _ = std::fs::remove_file(&path);
        let flags = fd::O_RDWR | fd::O_CREAT | fd::O_EXCL | fd::O_APPEND | fd::O_CLOEXEC;
        let file = fd::Owned::from_raw(fd::open(&path, flags, 0o600)?);
        fd::flock(file.raw(), LOCK_EX | LOCK_NB)?;
        let mut new = Self { file, path, size: 0 };
        new.add(&Line::Session(header.clone()))?;
        new.add(&Line::Instructions { text: instructions.to_owned() })?;
        for item in items {
            new.add(&Line::Item { item: item.clone() })?;
        }
        new.sync()?;
        std::fs::rename(&new.path, &self.path)?;
        (self.file, self.size) = (new.file, new.size);
        Ok(())
    }
}

/// Reads lines; those that cannot be read are left out. `None` if the first one is no header.
fn read(bytes: &[u8]) -> Option<Loaded> {
    let mut lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let Ok(Line::Session(header)) = serde_json::from_slice(lines.next()?) else { return None };
    let mut loaded = Loaded { header, ..Loaded::default() };
    for line in lines {
        match serde_json::from_slice(line) {
            Ok(Line::Instructions { text }) => loaded.instructions = text,
            Ok(Line::Item { item }) => {
                loaded.said.push(item.clone());
                loaded.items.push(item);
            }
            Ok(Line::Compaction { items }) => {
                loaded.items = items;
                loaded.used = 0;
            }
            Ok(Line::Dropped) => drop(loaded.items.pop()),
            Ok(Line::Turn { used, .. }) => loaded.used = used,
            Ok(Line::Session(_)) | Err(_) => {}
        }
    }
    mend(&mut loaded.said);
    mend(&mut loaded.items);
    Some(loaded)
}

/// The files of sessions with the time of their last change, the youngest first.
fn files(folder: &Path) -> Vec<(u64, PathBuf)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().take(MAX_ENTRIES).flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|end| end == "jsonl")
            && let Ok(about) = entry.metadata()
            && about.is_file()
        {
            let changed = about.modified().unwrap_or(UNIX_EPOCH);
            all.push((changed.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(), path));
        }
    }
    all.sort_by(|a, b| b.cmp(a));
    all
}

/// Removes the oldest sessions beyond the limit, unless they are open.
fn make_room(folder: &Path) -> io::Result<()> {
    for (_, path) in files(folder).into_iter().skip(MAX_SESSIONS - 1) {
        let file = fd::Owned::from_raw(fd::open(&path, fd::O_RDWR | fd::O_CLOEXEC, 0)?);
        if fd::flock(file.raw(), LOCK_EX | LOCK_NB).is_ok() {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// A page of the sessions, and whether there are more.
pub(crate) fn list(folder: &Path, cwd: Option<&str>, skip: usize) -> (Vec<Listed>, bool) {
    let header = |path: &Path| {
        let mut bytes = Vec::new();
        std::fs::File::open(path).ok()?.take(MAX_HEADER).read_to_end(&mut bytes).ok()?;
        match serde_json::from_slice(bytes.split(|byte| *byte == b'\n').next()?) {
            Ok(Line::Session(header)) if is_id(&header.id) => Some(header),
            _ => None,
        }
    };
    let mut page: Vec<Listed> = files(folder)
        .into_iter()
        .filter_map(|(updated, path)| Some(Listed { header: header(&path)?, updated }))
        .filter(|listed| cwd.is_none_or(|cwd| cwd == listed.header.cwd))
        .skip(skip)
        .take(PAGE + 1)
        .collect();
    let more = page.len() > PAGE;
    page.truncate(PAGE);
    (page, more)
}

/// Seconds since 1970 as ISO 8601 has them (civil from days, Gregorian).
pub(crate) fn iso(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March, so that a leap day is the last one.
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Now, in milliseconds since 1970.
pub(crate) fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Block, Piece};

    fn user(text: &str) -> Item {
        Item::User(vec![Block::Text(text.to_owned())])
    }

    fn header(id: &str) -> Header {
        Header { version: 1, id: id.into(), cwd: "/w".into(), title: "t".into() }
    }

    #[test]
    fn sessions_are_kept_and_found() {
        let home = std::env::temp_dir().join(format!("agentos-coder-store-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&home);
        std::fs::create_dir_all(&home).unwrap();
        let folder = folder(&home);
        assert_eq!(list(&folder, None, 0), (Vec::new(), false));
        let mut store = Store::create(&folder, &header("one"), "be brief").unwrap();
        let answer = Item::Assistant(vec![Piece::Text("b".into())]);
        store.add(&Line::Item { item: user("a") }).unwrap();
        store.add(&Line::Item { item: answer.clone() }).unwrap();
        store.add(&Line::Turn { stop: "end_turn".into(), used: 7 }).unwrap();
        store.sync().unwrap();
        assert!(Store::open(&folder, "one").unwrap_err().contains("open in another process"));
        drop(store);
        // A crash in the middle of a line, and a line that is no such.
        let path = folder.join("one.jsonl");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend(b"{\"type\":\"from_the_future\"}\n{\"type\":\"item\",\"item\":{\"us");
        std::fs::write(&path, bytes).unwrap();
        let (mut store, loaded) = Store::open(&folder, "one").unwrap().unwrap();
        assert_eq!(
            (&loaded.header, loaded.instructions.as_str(), loaded.used),
            (&header("one"), "be brief", 7)
        );
        assert_eq!(loaded.items, [user("a"), answer.clone()]);
        assert!(std::fs::read(&path).unwrap().ends_with(b"\"from_the_future\"}\n"));
        store.add(&Line::Compaction { items: vec![user("sum")] }).unwrap();
        store.add(&Line::Item { item: user("c") }).unwrap();
        store.add(&Line::Item { item: user("bad") }).unwrap();
        store.add(&Line::Dropped).unwrap();
        drop(store);
        let (mut store, loaded) = Store::open(&folder, "one").unwrap().unwrap();
        assert_eq!(loaded.items, [user("sum"), user("c")]);
        assert_eq!((loaded.said, loaded.used), (vec![user("a"), answer, user("c"), user("bad")], 0));
        store.rewrite(&header("one"), "be brief", &loaded.items).unwrap();
        store.add(&Line::Item { item: user("d") }).unwrap();
        assert!(Store::open(&folder, "one").is_err(), "locked again");
        drop(store);
        let (_store, loaded) = Store::open(&folder, "one").unwrap().unwrap();
        assert_eq!(loaded.said, [user("sum"), user("c"), user("d")]);
        for id in ["two", "../one", "", "a/b"] {
            assert!(Store::open(&folder, id).unwrap().is_none(), "{id}");
        }
        std::fs::write(folder.join("odd.jsonl"), "{}\n").unwrap();
        assert!(Store::open(&folder, "odd").unwrap_err().contains("is no session"));
        let (page, more) = list(&folder, Some("/w"), 0);
        assert!(page.len() == 1 && page[0].header.title == "t" && !more);
        assert!(list(&folder, Some("/x"), 0).0.is_empty() && list(&folder, None, 1).0.is_empty());
        std::fs::remove_dir_all(&home).unwrap();
    }

    #[test]
    fn the_oldest_go_where_there_are_too_many() {
        let home = std::env::temp_dir().join(format!("agentos-coder-many-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&home);
        let folder = folder(&home);
        std::fs::create_dir_all(&folder).unwrap();
        for n in 0..MAX_SESSIONS + 3 {
            let text = serde_json::to_string(&Line::Session(header(&format!("old-{n}")))).unwrap();
            std::fs::write(folder.join(format!("old-{n}.jsonl")), text + "\n").unwrap();
        }
        drop(Store::create(&folder, &header("new"), "").unwrap());
        assert_eq!(files(&folder).len(), MAX_SESSIONS);
        assert!(folder.join("new.jsonl").exists());
        let (page, more) = list(&folder, None, 0);
        assert!(page.len() == PAGE && more);
        let (page, more) = list(&folder, None, MAX_SESSIONS - 10);
        assert!(page.len() == 10 && !more);
        std::fs::remove_dir_all(&home).unwrap();
    }

    #[test]
    fn times_are_written_as_iso_8601_has_them() {
        for (seconds, want) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (4_102_444_800, "2100-01-01T00:00:00Z"),
        ] {
            assert_eq!(iso(seconds), want);
        }
    }
}
