//! File contents by pieces: where their holes are, and making one out of pieces. It charges nobody.

use std::ops::Range;

use super::FileContent;
use super::content::{CHUNK, MAX_FILE};
use crate::{Errno, Result};

impl FileContent {
    /// The next run of bytes at or after `from` that are stored; what lies between such runs is a hole and reads as zeros.
    ///
    /// ```
    /// use agentos_vfs::FileContent;
    /// let mut content = FileContent::default();
    /// content.write_at(b"end", 1 << 30, u64::MAX)?;
    /// let data = content.next_data(0).unwrap();
    /// assert_eq!((data.start, data.end), (1 << 30, (1 << 30) + 3));
    /// assert_eq!(content.next_data(data.end), None);
    /// # Ok::<(), agentos_vfs::Errno>(())
    /// ```
    #[must_use]
    pub fn next_data(&self, from: u64) -> Option<Range<u64>> {
        let len = self.0.size();
        if self.0.as_shared().is_some() {
            return (from < len).then_some(from..len);
        }
        let slots = self.0.slots();
        let first = usize::try_from(from / CHUNK as u64).unwrap_or(usize::MAX);
        let start = (first..slots).find(|index| self.0.slot(*index).is_some())?;
        let end = (start..slots).find(|index| self.0.slot(*index).is_none()).unwrap_or(slots);
        let at = |index: usize| (index as u64 * CHUNK as u64).min(len);
        let (start, end) = (at(start).max(from), at(end));
        (start < end).then_some(start..end)
    }

    /// What it counts against the limit of a tree, in bytes.
    #[must_use]
    pub fn charge(&self) -> u64 {
        self.0.charge()
    }

    /// Writes all of `data` at `offset`; what lies between the old end and `offset` is a hole.
    ///
    /// # Errors
    /// EFBIG beyond the longest file (1 TiB); ENOSPC if the charge would become more than `most`.
    pub fn write_at(&mut self, data: &[u8], offset: u64, most: u64) -> Result<()> {
        offset.checked_add(data.len() as u64).filter(|end| *end <= MAX_FILE).ok_or(Errno::EFBIG)?;
        let budget = most.checked_sub(self.0.charge()).ok_or(Errno::ENOSPC)?;
        if self.0.write(data, offset, budget) < data.len() { Err(Errno::ENOSPC) } else { Ok(()) }
    }

    /// Cuts it, or extends it with a hole.
    ///
    /// # Errors
    /// EFBIG beyond the longest file (1 TiB).
    pub fn set_len(&mut self, len: u64) -> Result<()> {
        if len > MAX_FILE {
            return Err(Errno::EFBIG);
        }
        self.0.set_size(len);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(content: &FileContent) -> Vec<Range<u64>> {
        std::iter::successors(content.next_data(0), |run| content.next_data(run.end)).collect()
    }

    #[test]
    fn runs_are_what_is_stored() {
        const CHUNK: u64 = super::CHUNK as u64;
        let mut content = FileContent::default();
        assert_eq!(runs(&content), []);
        content.set_len(10 * CHUNK).unwrap();
        assert_eq!(runs(&content), []);
        content.write_at(b"x", 2 * CHUNK + 5, u64::MAX).unwrap();
        content.write_at(&vec![1; CHUNK as usize], 3 * CHUNK, u64::MAX).unwrap();
        content.write_at(b"y", 9 * CHUNK, u64::MAX).unwrap();
        assert_eq!(runs(&content), [2 * CHUNK..4 * CHUNK, 9 * CHUNK..10 * CHUNK]);
        assert_eq!(content.next_data(3 * CHUNK + 7), Some(3 * CHUNK + 7..4 * CHUNK));
        content.set_len(9 * CHUNK + 1).unwrap();
        assert_eq!(runs(&content).last(), Some(&(9 * CHUNK..9 * CHUNK + 1)));
        let shared = FileContent::from(bytes::Bytes::from_static(b"abc"));
        assert_eq!(runs(&shared), [Range { start: 0, end: 3 }]);
    }

    #[test]
    fn pieces_have_bounds() {
        let mut content = FileContent::default();
        assert_eq!(content.write_at(b"x", MAX_FILE, u64::MAX), Err(Errno::EFBIG));
        assert_eq!(content.write_at(b"xx", u64::MAX, u64::MAX), Err(Errno::EFBIG));
        assert_eq!(content.write_at(b"x", MAX_FILE - 1, 1 << 20), Err(Errno::ENOSPC));
        assert_eq!(content.set_len(MAX_FILE + 1), Err(Errno::EFBIG));
        content.write_at(&[1; 600], 0, 1024).unwrap();
        assert_eq!(content.write_at(&[1; 600], 600, 1024), Err(Errno::ENOSPC));
    }
}
