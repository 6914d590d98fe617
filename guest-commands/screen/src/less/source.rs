//! The text that the pager shows: a file read where it is needed, or a pipe kept as far as it was read. Lines are found by their
//! offsets; nothing of a file is kept but one block and a few line numbers.

use agentos_guest::fd;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

const BLOCK: u64 = 64 << 10;
/// A longer line is taken as several.
const LONGEST: usize = 1 << 20;
/// The most that is kept of a pipe.
const MOST: usize = 256 << 20;
/// How far apart the offsets are whose line numbers are kept.
const APART: u64 = 1 << 20;

pub(super) struct Source {
    file: Option<File>,
    /// A pipe: what was read, and whether that is all.
    kept: Vec<u8>,
    ended: bool,
    /// ^C ended the wait for a pipe: nothing is read until it is asked for again.
    stopped: bool,
    block: (u64, Vec<u8>),
    /// Offsets of lines and the numbers of newlines before them.
    numbers: Vec<(u64, u64)>,
}

impl Source {
    pub(super) fn file(file: File) -> Source {
        Source {
            file: Some(file),
            kept: Vec::new(),
            ended: false,
            stopped: false,
            block: (0, Vec::new()),
            numbers: vec![(0, 0)],
        }
    }

    /// What comes from standard input.
    pub(super) fn pipe() -> Source {
        Source {
            file: None,
            kept: Vec::new(),
            ended: false,
            stopped: false,
            block: (0, Vec::new()),
            numbers: vec![(0, 0)],
        }
    }

    /// A text of our own.
    pub(super) fn text(text: &str) -> Source {
        Source {
            file: None,
            kept: text.as_bytes().to_vec(),
            ended: true,
            stopped: false,
            block: (0, Vec::new()),
            numbers: vec![(0, 0)],
        }
    }

    /// Reads more of a pipe; `false`: there is no more.
    fn more(&mut self) -> bool {
        if self.ended || self.stopped || self.file.is_some() {
            return false;
        }
        let mut buffer = vec![0; 64 << 10];
        match fd::read(0, &mut buffer) {
            Ok(n) if n > 0 && self.kept.len() < MOST => {
                self.kept.extend_from_slice(&buffer[..n]);
                true
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {
                self.stopped = fd_interrupted();
                !self.stopped
            }
            _ => {
                self.ended = true;
                false
            }
        }
    }

    /// How long the text is, as far as that is known without reading a pipe.
    pub(super) fn known(&mut self) -> u64 {
        match &self.file {
            Some(file) => file.metadata().map_or(0, |m| m.len()),
            None => self.kept.len() as u64,
        }
    }

    /// Reads a pipe to its end.
    pub(super) fn read_all(&mut self) -> u64 {
        while self.more() {}
        self.known()
    }

    /// Lets a pipe be read again after ^C.
    pub(super) fn go_on(&mut self) {
        self.stopped = false;
    }

    /// Whether the beginning looks like no text.
    pub(super) fn binary(&mut self) -> bool {
        let bytes = self.bytes(0);
        let bytes = &bytes[..bytes.len().min(256)];
        let odd = |b: &u8| matches!(b, 0..=7 | 14..=26 | 28..=31 | 127);
        let invalid: usize = bytes.utf8_chunks().map(|c| c.invalid().len()).sum();
        bytes.iter().filter(|b| odd(b)).count() + invalid.saturating_sub(3) > 5
    }

    /// Forgets the block that was read, so that what a file has grown by is seen.
    pub(super) fn forget(&mut self) {
        self.block.1.clear();
    }

    /// The bytes from here to the end of the block.
    fn bytes(&mut self, at: u64) -> &[u8] {
        if self.file.is_none() {
            while (self.kept.len() as u64) <= at && self.more() {}
            let from = usize::try_from(at).unwrap_or(usize::MAX).min(self.kept.len());
            return &self.kept[from..];
        }
        let (start, block) = (self.block.0, self.block.1.len() as u64);
        if at < start || at >= start + block {
            let start = at - at % BLOCK;
            let mut bytes = Vec::new();
            if let Some(file) = &mut self.file
                && file.seek(SeekFrom::Start(start)).is_ok()
            {
                // What was read before an error is shown.
                let _ = file.take(BLOCK).read_to_end(&mut bytes);
            }
            self.block = (start, bytes);
        }
        let from = usize::try_from(at - self.block.0).unwrap_or(usize::MAX).min(self.block.1.len());
        &self.block.1[from..]
    }

    /// The line that begins here, without its newline, and where the next begins; `None` at the end.
    pub(super) fn line(&mut self, at: u64) -> Option<(Vec<u8>, u64)> {
        let mut line = Vec::new();
        let mut place = at;
        loop {
            let bytes = self.bytes(place);
            if bytes.is_empty() {
                return (!line.is_empty()).then_some((line, place));
            }
            let room = LONGEST - line.len();
            let (used, ended) = match bytes.iter().take(room).position(|b| *b == b'\n') {
                Some(i) => (i, true),
                None => (bytes.len().min(room), false),
            };
            line.extend_from_slice(&bytes[..used]);
            place += used as u64 + u64::from(ended);
            if ended || line.len() >= LONGEST {
                return Some((line, place));
            }
            // A pipe has given all that it had: its next bytes are asked for.
            if self.file.is_none() && place >= self.kept.len() as u64 && !self.more() && self.ended {
                return Some((line, place));
            }
        }
    }

    /// Where the line before the one that begins here begins.
    pub(super) fn before(&mut self, at: u64) -> Option<u64> {
        if at == 0 {
            return None;
        }
        // The byte before is the newline of that line.
        let mut end = at - 1;
        let limit = at.saturating_sub(LONGEST as u64);
        while end > limit {
            let start = (end - 1) - (end - 1) % BLOCK;
            let start = start.max(limit);
            let length = usize::try_from(end - start).unwrap_or(0);
            let bytes = self.bytes(start);
            let bytes = &bytes[..length.min(bytes.len())];
            if let Some(i) = bytes.iter().rposition(|b| *b == b'\n') {
                return Some(start + i as u64 + 1);
            }
            end = start;
        }
        Some(limit)
    }

    /// The number of the line that begins here, from 1.
    pub(super) fn number(&mut self, at: u64) -> u64 {
        let i = self.numbers.partition_point(|(offset, _)| *offset <= at) - 1;
        let (mut place, mut count) = self.numbers[i];
        while place < at {
            let left = usize::try_from(at - place).unwrap_or(usize::MAX);
            let bytes = self.bytes(place);
            let used = bytes.len().min(left);
            if used == 0 {
                break;
            }
            count += bytes[..used].iter().filter(|b| **b == b'\n').count() as u64;
            place += used as u64;
            if self.numbers.last().is_some_and(|(last, _)| place >= last + APART) {
                self.numbers.push((place, count));
            }
        }
        count + 1
    }

    /// Where the line of this number begins, or the last line.
    pub(super) fn find_number(&mut self, number: u64) -> u64 {
        let wanted = number.saturating_sub(1);
        let i = self.numbers.partition_point(|(_, count)| *count < wanted).saturating_sub(1);
        let (mut place, mut count) = self.numbers[i];
        let mut last = place;
        while count < wanted {
            let bytes = self.bytes(place);
            if bytes.is_empty() {
                return if last >= place { self.before(place).unwrap_or(0) } else { last };
            }
            let mut used = bytes.len();
            for (k, b) in bytes.iter().enumerate() {
                if *b == b'\n' {
                    count += 1;
                    if count == wanted {
                        used = k + 1;
                        break;
                    }
                    last = place + k as u64 + 1;
                }
            }
            place += used as u64;
        }
        if i == 0 && wanted == 0 { 0 } else { place }
    }
}

/// Whether ^C ended the wait. The signal stays for the terminal to take.
fn fd_interrupted() -> bool {
    agentos_guest::signal::take_pending() == Some(agentos_guest::Signal::SIGINT)
}
