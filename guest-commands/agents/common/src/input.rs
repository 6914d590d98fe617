//! Lines of limited length from the client or a tool server, taken as they come. It parses nothing.

use std::{collections::VecDeque, io};

use agentos_guest::fd;

/// Complete lines kept before reading stops.
const MAX_PENDING: usize = 64;

/// One line, or a gap where one was too long.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Without its end.
    Text(Vec<u8>),
    /// It was longer than allowed.
    TooLong,
}

/// The reading end of the connection.
#[derive(Debug)]
pub struct Input {
    fd: u32,
    /// Longest line accepted, in bytes.
    max_line: usize,
    partial: Vec<u8>,
    /// The current line is over the limit; its rest is dropped.
    skipping: bool,
    lines: VecDeque<Line>,
    /// Whether the end was read.
    pub ended: bool,
}

impl Input {
    /// Lines of `fd`, of at most `max_line` bytes each. The descriptor is not closed.
    #[must_use]
    pub fn new(fd: u32, max_line: usize) -> Self {
        Self { fd, max_line, partial: Vec::new(), skipping: false, lines: VecDeque::new(), ended: false }
    }

    /// The descriptor to wait for; `None` if nothing more is to be read now.
    pub fn wants(&self) -> Option<u32> {
        (!self.ended && self.lines.len() < MAX_PENDING).then_some(self.fd)
    }

    /// Whether lines are there that were not taken.
    pub fn has_lines(&self) -> bool {
        !self.lines.is_empty()
    }

    /// The oldest line that was not taken yet.
    pub fn pop(&mut self) -> Option<Line> {
        self.lines.pop_front()
    }

    /// Reads once; called when the descriptor can be read.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn fill(&mut self) -> io::Result<()> {
        let mut chunk = [0; 16 << 10];
        match fd::read(self.fd, &mut chunk) {
            Ok(0) => self.ended = true,
            Ok(n) => self.take(&chunk[..n]),
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while let Some(at) = bytes.iter().position(|b| *b == b'\n') {
            self.append(&bytes[..at]);
            bytes = &bytes[at + 1..];
            let line = std::mem::take(&mut self.partial);
            if std::mem::take(&mut self.skipping) {
                self.lines.push_back(Line::TooLong);
            } else if !line.iter().all(u8::is_ascii_whitespace) {
                self.lines.push_back(Line::Text(line));
            }
        }
        self.append(bytes);
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.skipping || self.partial.len() + bytes.len() > self.max_line {
            self.skipping = true;
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_and_long_ones_are_gaps() {
        const MAX_LINE: usize = 1 << 20;
        let mut input = Input::new(0, MAX_LINE);
        input.take(b"one\r\n\n  \ntw");
        input.take(b"o\n");
        for _ in 0..MAX_LINE / 1024 + 2 {
            input.take(&[b'x'; 1024]);
            assert!(input.partial.len() <= MAX_LINE);
        }
        input.take(b"\nthree\n");
        let lines: Vec<_> = std::iter::from_fn(|| input.pop()).collect();
        let text = |t: &str| Line::Text(t.as_bytes().to_vec());
        assert_eq!(lines, [text("one\r"), text("two"), Line::TooLong, text("three")]);
    }
}
