//! Reading a log while it is written: from a number on, over the ends of segments, up to what is there. What was dropped
//! meanwhile is said, and not passed over.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::io_error;
use super::log::{Outline, open_to_read};
use super::segment::{self, Records};
use crate::StoreError;

/// A place in a log, from which it is read on.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    outline: Arc<Mutex<Outline>>,
    /// The segment that is being read.
    records: Option<(u64, Records)>,
    /// The number of the record that is wanted next.
    wanted: u64,
}

impl Reader {
    pub(super) fn new(dir: PathBuf, outline: Arc<Mutex<Outline>>, after: u64) -> Self {
        Reader { dir, outline, records: None, wanted: after.saturating_add(1) }
    }

    /// The next record; nothing if there is none yet. The first one may have a greater number than the one that was asked for,
    /// if that is not kept any more.
    ///
    /// # Errors
    /// [`StoreError::Io`]; [`StoreError::Damaged`] if a record that was written cannot be read.
    pub fn next_record(&mut self) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        loop {
            let (segment, next) = {
                let outline = self.outline.lock();
                let at = outline.firsts.partition_point(|first| *first <= self.wanted);
                let segment = outline.firsts.get(at.saturating_sub(1)).copied();
                (segment, outline.next)
            };
            let Some(segment) = segment.filter(|_| self.wanted < next) else { return Ok(None) };
            self.wanted = self.wanted.max(segment);
            if self.records.as_ref().is_none_or(|(first, _)| *first != segment) {
                let path = segment::path(&self.dir, segment);
                match open_to_read(&path) {
                    Ok(file) => self.records = Some((segment, Records::new(file))),
                    // Dropped since it was looked up.
                    Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            let Some((first, records)) = &mut self.records else { return Ok(None) };
            let path = segment::path(&self.dir, *first);
            match records.next().map_err(|error| io_error(&path, error))? {
                Some((seq, _)) if seq < self.wanted => {}
                Some((seq, data)) => {
                    self.wanted = seq + 1;
                    return Ok(Some((seq, data)));
                }
                None => {
                    let reason = format!("record {} is not where it should be", self.wanted);
                    return Err(StoreError::Damaged { path, reason });
                }
            }
        }
    }

    /// The number of the record that comes next.
    #[must_use]
    pub fn wanted(&self) -> u64 {
        self.wanted
    }
}
