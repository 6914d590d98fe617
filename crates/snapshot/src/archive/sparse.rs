//! Files with holes, as GNU tar's format 1.0 writes them: the runs of data, told by a table in front of them. Other tars read
//! it too, and those that do not keep the bytes.

use std::io::Read;

use agentos_vfs::FileContent;

use crate::ImportError;

/// Most runs of one file.
const MOST_RUNS: u64 = 1 << 24;

/// The runs of data of a file that has holes, and their bytes; `None` for one that has none.
pub(super) struct Map {
    /// The table, padded to a whole block.
    pub(super) table: Vec<u8>,
    /// Bytes of data.
    pub(super) stored: u64,
}

/// The runs of data of a file, in order.
pub(super) fn runs(content: &FileContent) -> impl Iterator<Item = std::ops::Range<u64>> + '_ {
    std::iter::successors(content.next_data(0), |run| content.next_data(run.end))
}

pub(super) fn map(content: &FileContent) -> Option<Map> {
    let stored = runs(content).map(|run| run.end - run.start).sum::<u64>();
    if stored == content.len() {
        return None;
    }
    let end = runs(content).last().map_or(0, |run| run.end);
    // A hole at the end is told by an empty run behind it.
    let last = (end < content.len()).then(|| content.len()..content.len());
    let count = runs(content).count() + usize::from(last.is_some());
    let mut table = format!("{count}\n").into_bytes();
    for run in runs(content).chain(last) {
        table.extend_from_slice(format!("{}\n{}\n", run.start, run.end - run.start).as_bytes());
    }
    table.resize(table.len().next_multiple_of(super::BLOCK), 0);
    Some(Map { table, stored })
}

/// Reads a table; returns the runs, and how many bytes the table took.
pub(super) fn read(
    entry: &[u8],
    size: u64,
    left: u64,
    input: &mut dyn Read,
) -> Result<(Vec<(u64, u64)>, u64), ImportError> {
    let wrong = |reason: &str| ImportError::entry(entry, reason);
    let mut table = Table { input, block: [0; super::BLOCK], at: super::BLOCK, taken: 0 };
    let count = table.number(entry)?;
    // Each run takes memory here: no more than the data might.
    if count > MOST_RUNS.min(left / 16) {
        return Err(wrong("the table of a sparse file has too many runs"));
    }
    let mut runs = Vec::new();
    let mut end = 0;
    for _ in 0..count {
        let (offset, length) = (table.number(entry)?, table.number(entry)?);
        if offset < end {
            return Err(wrong("the runs of a sparse file overlap"));
        }
        end = offset
            .checked_add(length)
            .filter(|end| *end <= size)
            .ok_or_else(|| wrong("a run of a sparse file lies behind its end"))?;
        runs.push((offset, length));
    }
    Ok((runs, table.taken))
}

struct Table<'a> {
    input: &'a mut dyn Read,
    block: [u8; super::BLOCK],
    at: usize,
    taken: u64,
}

impl Table<'_> {
    fn number(&mut self, entry: &[u8]) -> Result<u64, ImportError> {
        let mut digits = String::new();
        loop {
            if self.at == self.block.len() {
                self.input.read_exact(&mut self.block).map_err(|error| super::read::ended(entry, error))?;
                (self.at, self.taken) = (0, self.taken + self.block.len() as u64);
            }
            let byte = self.block[self.at];
            self.at += 1;
            match byte {
                b'\n' => break,
                b'0'..=b'9' if digits.len() < 20 => digits.push(byte.into()),
                _ => return Err(ImportError::entry(entry, "the table of a sparse file is damaged")),
            }
        }
        digits.parse().map_err(|_| ImportError::entry(entry, "the table of a sparse file is damaged"))
    }
}
