//! The index: entries with the stat data of their files, read in versions 2 to 4, written in 2 or 3. Extensions are dropped.

use crate::bytes;
use crate::error::{Res, Stop, fatal};
use crate::lock::Lock;
use crate::oid::{MODE_EXEC, MODE_FILE, MODE_GITLINK, MODE_LINK, Oid, sha1};
use agentos_guest::fs::{FileType, Stat, file_type, lstat};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file in the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) ctime: (u32, u32),
    pub(crate) mtime: (u32, u32),
    pub(crate) dev: u32,
    pub(crate) ino: u32,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u32,
    pub(crate) oid: Oid,
    /// 0, or in a conflict 1 (base), 2 (ours), 3 (theirs).
    pub(crate) stage: u8,
    pub(crate) assume_valid: bool,
    pub(crate) skip_worktree: bool,
    pub(crate) intent_to_add: bool,
    pub(crate) path: Vec<u8>,
}

impl Entry {
    /// An entry whose file is not known to be the same.
    pub(crate) fn new(path: Vec<u8>, mode: u32, oid: Oid, stage: u8) -> Entry {
        Entry { path, mode, oid, stage, ..Entry::default() }
    }

    /// Takes over what a stat says, so that the file counts as unchanged.
    pub(crate) fn set_stat(&mut self, stat: &Stat) {
        self.ctime = (stat.ctime as u32, stat.ctime_nsec);
        self.mtime = (stat.mtime as u32, stat.mtime_nsec);
        self.dev = stat.dev as u32;
        self.ino = stat.ino as u32;
        self.uid = stat.uid;
        self.gid = stat.gid;
        self.size = stat.size as u32;
    }

    /// Whether a stat is the one that was taken over.
    pub(crate) fn same_stat(&self, stat: &Stat) -> bool {
        self.mtime == (stat.mtime as u32, stat.mtime_nsec)
            && self.ctime == (stat.ctime as u32, stat.ctime_nsec)
            && self.ino == stat.ino as u32
            && self.uid == stat.uid
            && self.gid == stat.gid
            && self.size == stat.size as u32
    }
}

/// The mode that a file has in the index; `None` for what is no file, link or directory.
pub(crate) fn index_mode(stat: &Stat) -> Option<u32> {
    match file_type(stat.mode) {
        FileType::File if stat.mode & 0o100 != 0 => Some(MODE_EXEC),
        FileType::File => Some(MODE_FILE),
        FileType::Symlink => Some(MODE_LINK),
        FileType::Dir => Some(MODE_GITLINK),
        _ => None,
    }
}

/// The index of a work tree.
#[derive(Default)]
pub(crate) struct Index {
    pub(crate) file: PathBuf,
    /// Sorted by path and stage.
    pub(crate) entries: Vec<Entry>,
    /// When the file was written that this was read from.
    pub(crate) written: (u32, u32),
    /// Whether there was a file.
    pub(crate) existed: bool,
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..at + 4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
}

impl Index {
    /// Reads a file; none is an empty index.
    pub(crate) fn read(file: &Path) -> Res<Index> {
        let mut index = Index { file: file.to_owned(), ..Index::default() };
        let data = match fs::read(file) {
            Ok(data) => data,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(index),
            Err(error) => {
                fatal!("{}: index file open failed: {}", file.display(), agentos_guest::strerror(&error))
            }
        };
        index.existed = true;
        if let Ok(stat) = lstat(file) {
            index.written = (stat.mtime as u32, stat.mtime_nsec);
        }
        if data.is_empty() {
            return Ok(index);
        }
        if data.get(..4) != Some(b"DIRC") {
            say_bad(&format!("bad signature 0x{:08x}", word(&data, 0).unwrap_or(0)));
            fatal!("index file corrupt");
        }
        index.parse(&data).ok_or_else(|| Stop::Fatal("index file corrupt".to_owned()))??;
        Ok(index)
    }

    fn parse(&mut self, data: &[u8]) -> Option<Res<()>> {
        let version = word(data, 4)?;
        if !(2..=4).contains(&version) {
            say_bad(&format!("bad index version {version}"));
            return None;
        }
        let end = data.len().checked_sub(20)?;
        // A checksum of zeros: index.skipHash.
        if data[end..] != [0; 20] && sha1(&data[..end]) != data[end..] {
            say_bad("bad index file sha1 signature");
            return None;
        }
        let mut at = 12;
        let mut last: Vec<u8> = Vec::new();
        for _ in 0..word(data, 8)? {
            let start = at;
            let w = |i: usize| word(data, start + i * 4);
            let mut entry = Entry {
                ctime: (w(0)?, w(1)?),
                mtime: (w(2)?, w(3)?),
                dev: w(4)?,
                ino: w(5)?,
                mode: w(6)?,
                uid: w(7)?,
                gid: w(8)?,
                size: w(9)?,
                oid: Oid::from_bytes(data.get(start + 40..)?)?,
                ..Entry::default()
            };
            let flags = u32::from(u16::from_be_bytes(data.get(start + 60..start + 62)?.try_into().ok()?));
            at = start + 62;
            entry.stage = (flags >> 12 & 3) as u8;
            entry.assume_valid = flags & 0x8000 != 0;
            if flags & 0x4000 != 0 {
                if version < 3 {
                    return None;
                }
                let more = u16::from_be_bytes(data.get(at..at + 2)?.try_into().ok()?);
                entry.skip_worktree = more & 0x4000 != 0;
                entry.intent_to_add = more & 0x2000 != 0;
                at += 2;
            }
            if version == 4 {
                let mut byte = *data.get(at)?;
                at += 1;
                let mut strip = usize::from(byte & 0x7f);
                while byte & 0x80 != 0 {
                    byte = *data.get(at)?;
                    at += 1;
                    strip = (strip + 1).checked_shl(7)? | usize::from(byte & 0x7f);
                }
                last.truncate(last.len().checked_sub(strip)?);
            } else {
                last.clear();
            }
            let len = data.get(at..end)?.iter().position(|b| *b == 0)?;
            last.extend_from_slice(&data[at..at + len]);
            entry.path = last.clone();
            at += len + 1;
            if version != 4 {
                at = start + (at - 1 - start + 8) / 8 * 8;
            }
            self.entries.push(entry);
        }
        while at + 8 <= end {
            let name = &data[at..at + 4];
            if !name[0].is_ascii_uppercase() {
                return Some(Err(Stop::Fatal(format!(
                    "index uses {} extension, which we do not understand",
                    bytes::text(name)
                ))));
            }
            at = at.checked_add(8 + word(data, at + 4)? as usize)?;
        }
        Some(Ok(()))
    }

    /// The bytes of the file.
    fn to_bytes(&self) -> Vec<u8> {
        let extended = self.entries.iter().any(|e| e.skip_worktree || e.intent_to_add);
        let mut data = b"DIRC".to_vec();
        data.extend(if extended { 3u32 } else { 2 }.to_be_bytes());
        data.extend((self.entries.len() as u32).to_be_bytes());
        for entry in &self.entries {
            let start = data.len();
            for w in [
                entry.ctime.0,
                entry.ctime.1,
                entry.mtime.0,
                entry.mtime.1,
                entry.dev,
                entry.ino,
                entry.mode,
                entry.uid,
                entry.gid,
                entry.size,
            ] {
                data.extend(w.to_be_bytes());
            }
            data.extend(entry.oid.0);
            let more = entry.skip_worktree || entry.intent_to_add;
            let flags = entry.path.len().min(0xfff) as u16
                | u16::from(entry.stage) << 12
                | u16::from(more) << 14
                | u16::from(entry.assume_valid) << 15;
            data.extend(flags.to_be_bytes());
            if more {
                let more = u16::from(entry.skip_worktree) << 14 | u16::from(entry.intent_to_add) << 13;
                data.extend(more.to_be_bytes());
            }
            data.extend(&entry.path);
            let len = data.len() - start;
            data.resize(start + (len + 8) / 8 * 8, 0);
        }
        let sum = sha1(&data);
        data.extend(sum);
        data
    }

    /// Takes the lock that a change is written under.
    pub(crate) fn lock(&self) -> Res<Lock> {
        Lock::new(&self.file).map_err(|error| {
            let path = agentos_guest::env::current_dir().unwrap_or_default().join(&self.file);
            let what = agentos_guest::strerror(&error);
            let hint = if error.kind() == io::ErrorKind::AlreadyExists {
                "\n\nAnother git process seems to be running in this repository, e.g.\nan editor opened by 'git commit'. Please make sure all processes\nare terminated then try again. If it still fails, a git process\nmay have crashed in this repository earlier:\nremove the file manually to continue."
            } else {
                ""
            };
            Stop::Fatal(format!("Unable to create '{}.lock': {what}.{hint}", path.display()))
        })
    }

    /// Writes under the lock. Files that may have changed after they were looked at, within the grain of time stamps, are
    /// made to look changed if they are (the "racy git" problem).
    pub(crate) fn write(&mut self, lock: Lock) -> Res<()> {
        for at in 0..self.entries.len() {
            let entry = &self.entries[at];
            if entry.size == 0 || entry.stage != 0 || !self.racy(entry) {
                continue;
            }
            let Ok(stat) = lstat(bytes::path(&entry.path)) else { continue };
            if entry.same_stat(&stat) && !crate::worktree::same_content(entry, &stat) {
                self.entries[at].size = 0;
            }
        }
        lock.commit(&self.to_bytes())?;
        Ok(())
    }

    /// Whether the file may have changed in the moment of the last write.
    pub(crate) fn racy(&self, entry: &Entry) -> bool {
        self.existed && entry.mtime >= self.written
    }

    /// Where the entries of a path are, or would be.
    pub(crate) fn range(&self, path: &[u8]) -> std::ops::Range<usize> {
        let start = self.entries.partition_point(|e| e.path.as_slice() < path);
        let len = self.entries[start..].iter().take_while(|e| e.path == path).count();
        start..start + len
    }

    /// The entry of a path that is not in conflict.
    pub(crate) fn get(&self, path: &[u8]) -> Option<&Entry> {
        let range = self.range(path);
        self.entries[range].iter().find(|e| e.stage == 0)
    }

    /// An entry of a path and stage.
    pub(crate) fn stage(&self, path: &[u8], stage: u8) -> Option<&Entry> {
        let range = self.range(path);
        self.entries[range].iter().find(|e| e.stage == stage)
    }

    /// Whether a path is there in any stage.
    pub(crate) fn has(&self, path: &[u8]) -> bool {
        !self.range(path).is_empty()
    }

    /// Whether there is a file in this directory.
    pub(crate) fn has_below(&self, dir: &[u8]) -> bool {
        let prefix = bytes::join(dir, b"");
        let prefix = if prefix.is_empty() { prefix } else { [dir, b"/"].concat() };
        let at = self.entries.partition_point(|e| e.path < prefix);
        self.entries.get(at).is_some_and(|e| e.path.starts_with(&prefix))
    }

    /// Replaces all stages of a path by one entry, and whatever is in the way of it as a file or a directory.
    pub(crate) fn put(&mut self, entry: Entry) {
        let range = self.range(&entry.path);
        let below = [&entry.path[..], b"/"].concat();
        if range.is_empty() {
            let mut dir = bytes::parent(&entry.path);
            while !dir.is_empty() {
                let above = self.range(dir);
                self.entries.drain(above);
                dir = bytes::parent(dir);
            }
            let from = self.entries.partition_point(|e| e.path < below);
            let count = self.entries[from..].iter().take_while(|e| e.path.starts_with(&below)).count();
            self.entries.drain(from..from + count);
        }
        let range = self.range(&entry.path);
        self.entries.splice(range, [entry]);
    }

    /// Takes all stages of a path away.
    pub(crate) fn remove(&mut self, path: &[u8]) {
        let range = self.range(path);
        self.entries.drain(range);
    }

    /// Adds an entry of a conflict.
    pub(crate) fn put_stage(&mut self, entry: Entry) {
        let at = self.entries.partition_point(|e| (&e.path, e.stage) < (&entry.path, entry.stage));
        self.entries.insert(at, entry);
    }

    /// Paths in conflict, each once.
    pub(crate) fn unmerged(&self) -> Vec<Vec<u8>> {
        let mut paths: Vec<Vec<u8>> =
            self.entries.iter().filter(|e| e.stage > 0).map(|e| e.path.clone()).collect();
        paths.dedup();
        paths
    }
}

fn say_bad(what: &str) {
    crate::error::complain(&format!("error: {what}"));
}
