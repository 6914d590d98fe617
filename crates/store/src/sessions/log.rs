//! A log that is written: its segments, what of them is dropped when there are too many, and its end after a crash.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::reader::Reader;
use super::segment::{self, HEADER, MAX_RECORD, Records};
use super::{io_error, write_head};
use crate::StoreError;
use crate::place::sync_directory;

/// How large a log may become; the oldest segment goes when there is one too many.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes after which a segment is followed by the next one.
    pub segment_bytes: u64,
    /// Segments that are kept.
    pub segments: usize,
}

impl Default for Limits {
    /// 8 MiB each, 32 of them.
    fn default() -> Self {
        Limits { segment_bytes: 8 << 20, segments: 32 }
    }
}

/// Where the segments of a log begin; readers look here.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub(super) firsts: Vec<u64>,
    pub(super) next: u64,
}

/// The events of a session.
#[derive(Debug)]
pub struct SessionLog {
    dir: PathBuf,
    limits: Limits,
    outline: Arc<Mutex<Outline>>,
    /// The last segment, and its size.
    open: Option<(File, u64)>,
    /// After a failure it is not known what is on the disk: nothing is written any more.
    failed: bool,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the store is no file of a guest; mounts that show it are refused"
)]
pub(super) fn open_to_read(path: &Path) -> Result<File, StoreError> {
    File::open(path).map_err(|error| io_error(path, error))
}

impl SessionLog {
    pub(super) fn open(dir: &Path, limits: Limits) -> Result<Self, StoreError> {
        let mut firsts = Vec::new();
        for entry in fs::read_dir(dir).map_err(|error| io_error(dir, error))? {
            let name = entry.map_err(|error| io_error(dir, error))?.file_name();
            firsts.extend(name.to_str().and_then(segment::first_of));
        }
        firsts.sort_unstable();
        let mut log =
            SessionLog { dir: dir.to_owned(), limits, outline: Arc::default(), open: None, failed: false };
        let mut next = 1;
        if let Some(first) = firsts.last().copied() {
            next = log.mend(first)?;
        }
        *log.outline.lock() = Outline { firsts, next };
        Ok(log)
    }

    /// Cuts off what was half written at the end, and gives the number of the next record.
    fn mend(&mut self, first: u64) -> Result<u64, StoreError> {
        let path = segment::path(&self.dir, first);
        let mut records = Records::new(open_to_read(&path)?);
        let mut next = first;
        while let Some((seq, _)) = records.next().map_err(|error| io_error(&path, error))? {
            next = seq + 1;
        }
        let file = self.append_to(&path)?;
        file.set_len(records.at).map_err(|error| io_error(&path, error))?;
        self.open = Some((file, records.at));
        Ok(next)
    }

    fn append_to(&self, path: &Path) -> Result<File, StoreError> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600).open(path).map_err(|error| io_error(path, error))
    }

    /// The number of the oldest record that is kept; that of the next one if there is none.
    #[must_use]
    pub fn first(&self) -> u64 {
        let outline = self.outline.lock();
        outline.firsts.first().copied().unwrap_or(outline.next)
    }

    /// The number that the next record has.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.outline.lock().next
    }

    /// Appends a record, which must have the next number.
    ///
    /// # Errors
    /// [`StoreError::Io`]; then the log takes no more, and what it has stays readable.
    pub fn append(&mut self, seq: u64, data: &[u8]) -> Result<(), StoreError> {
        self.append_all([(seq, data)])
    }

    /// Appends records in one write.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_all<'a>(
        &mut self,
        records: impl IntoIterator<Item = (u64, &'a [u8])>,
    ) -> Result<(), StoreError> {
        if self.failed {
            let reason = "writing it failed before, and nothing is written after that".to_owned();
            return Err(StoreError::Damaged { path: self.dir.clone(), reason });
        }
        let written = self.write(records);
        self.failed = written.is_err();
        written
    }

    fn write<'a>(&mut self, records: impl IntoIterator<Item = (u64, &'a [u8])>) -> Result<(), StoreError> {
        let mut bytes = Vec::new();
        let mut next = self.next();
        let first = next;
        for (seq, data) in records {
            if seq != next || data.len() > MAX_RECORD {
                let reason = format!("record {seq} of {} bytes does not come after {}", data.len(), next - 1);
                return Err(StoreError::Damaged { path: self.dir.clone(), reason });
            }
            next += 1;
            segment::encode(seq, data, &mut bytes);
        }
        if bytes.is_empty() {
            return Ok(());
        }
        if self.open.as_ref().is_none_or(|(_, size)| *size >= self.limits.segment_bytes) {
            self.begin(first)?;
        }
        let Some((file, size)) = &mut self.open else { return Ok(()) };
        file.write_all(&bytes).map_err(|error| io_error(&self.dir, error))?;
        *size += bytes.len() as u64;
        self.outline.lock().next = next;
        Ok(())
    }

    /// Begins a segment, and drops the oldest if there are too many.
    fn begin(&mut self, first: u64) -> Result<(), StoreError> {
        if let Some((file, _)) = self.open.take() {
            file.sync_data().map_err(|error| io_error(&self.dir, error))?;
        }
        let file = self.append_to(&segment::path(&self.dir, first))?;
        sync_directory(&self.dir)?;
        self.open = Some((file, 0));
        let gone: Vec<u64> = {
            let mut outline = self.outline.lock();
            outline.firsts.push(first);
            let surplus = outline.firsts.len().saturating_sub(self.limits.segments.max(1));
            outline.firsts.drain(..surplus).collect()
        };
        for first in gone {
            let path = segment::path(&self.dir, first);
            fs::remove_file(&path).map_err(|error| io_error(&path, error))?;
        }
        Ok(())
    }

    /// All that was appended is on stable storage.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn sync(&mut self) -> Result<(), StoreError> {
        let Some((file, _)) = &self.open else { return Ok(()) };
        let synced = file.sync_data().map_err(|error| io_error(&self.dir, error));
        self.failed |= synced.is_err();
        synced
    }

    /// A second hold on the last segment, for whoever syncs it elsewhere.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn last_segment(&self) -> Result<Option<File>, StoreError> {
        let file = self.open.as_ref().map(|(file, _)| file.try_clone()).transpose();
        file.map_err(|error| io_error(&self.dir, error))
    }

    /// Another head in place of the one it has.
    ///
    /// # Errors
    /// [`StoreError::Io`]; the old one holds then.
    pub fn set_head(&self, head: &[u8]) -> Result<(), StoreError> {
        write_head(&self.dir, head)
    }

    /// Reads the records after number `after`; 0 means all.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn reader(&self, after: u64) -> Result<Reader, StoreError> {
        Ok(Reader::new(self.dir.clone(), Arc::clone(&self.outline), after))
    }

    /// The newest records, from the last one on backwards to the first for which `found` holds, in their order. All of them if
    /// there is none.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn back_to(&self, found: impl Fn(&[u8]) -> bool) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let firsts = self.outline.lock().firsts.clone();
        let mut later: Vec<Vec<(u64, Vec<u8>)>> = Vec::new();
        for first in firsts.into_iter().rev() {
            let path = segment::path(&self.dir, first);
            let mut records = Records::new(open_to_read(&path)?);
            let (mut all, mut at) = (Vec::new(), None);
            while let Some((seq, data)) = records.next().map_err(|error| io_error(&path, error))? {
                if found(&data) {
                    at = Some(all.len());
                }
                all.push((seq, data));
            }
            if let Some(at) = at {
                later.push(all.split_off(at));
                break;
            }
            later.push(all);
        }
        Ok(later.into_iter().rev().flatten().collect())
    }

    /// Bytes that one more record of this length takes.
    #[must_use]
    pub const fn cost(length: usize) -> usize {
        HEADER + length
    }
}
