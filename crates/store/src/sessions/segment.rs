//! One file of a log: records one after the other, each with its number and a checksum. It knows no other file.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Bytes before what a record holds: its length, its checksum, its number.
pub(super) const HEADER: usize = 4 + 8 + 8;
/// The longest record.
pub(super) const MAX_RECORD: usize = 32 << 20;

fn sum(seq: u64, data: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seq.to_le_bytes()).update(data);
    let mut sum = [0; 8];
    sum.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    sum
}

/// Writes a record behind what is in `out`.
pub(super) fn encode(seq: u64, data: &[u8], out: &mut Vec<u8>) {
    // Longer ones are refused before.
    out.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&sum(seq, data));
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(data);
}

/// The file that begins with the record of this number.
pub(super) fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.events"))
}

/// The number that a file begins with.
pub(super) fn first_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".events")?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

/// The records of a file, from its beginning.
#[derive(Debug)]
pub(super) struct Records {
    file: BufReader<File>,
    /// Where the next one begins.
    pub(super) at: u64,
}

impl Records {
    pub(super) fn new(file: File) -> Self {
        Records { file: BufReader::with_capacity(64 << 10, file), at: 0 }
    }

    /// The next whole record; nothing at the end, or where one was cut off or damaged.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Vec<u8>)>> {
        let mut header = [0; HEADER];
        if !self.fill(&mut header)? {
            return Ok(None);
        }
        let part = |from: usize| -> [u8; 8] {
            let mut part = [0; 8];
            part.copy_from_slice(&header[from..from + 8]);
            part
        };
        let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let (check, seq) = (part(4), u64::from_le_bytes(part(12)));
        if length > MAX_RECORD {
            return Ok(None);
        }
        let mut data = vec![0; length];
        if !self.fill(&mut data)? || sum(seq, &data) != check {
            return Ok(None);
        }
        self.at += (HEADER + length) as u64;
        Ok(Some((seq, data)))
    }

    /// Reads all of a buffer; false if the file ends before.
    fn fill(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        match self.file.read_exact(buf) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }
}
