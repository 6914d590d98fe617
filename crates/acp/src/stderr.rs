//! The last bytes an agent wrote to stderr, for error reports. It never parses them.

use std::collections::VecDeque;

/// A ring of the last `limit` bytes.
#[derive(Debug)]
pub struct StderrTail {
    limit: usize,
    bytes: VecDeque<u8>,
}

impl StderrTail {
    /// A ring that keeps at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, bytes: VecDeque::new() }
    }

    /// Appends, dropping the oldest bytes beyond the limit.
    pub fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(self.limit)..];
        let excess = (self.bytes.len() + bytes.len()).saturating_sub(self.limit);
        self.bytes.drain(..excess);
        self.bytes.extend(bytes);
    }

    /// The kept text: invalid UTF-8 replaced, control characters other than newline and tab removed.
    #[must_use]
    pub fn text(&self) -> String {
        let (front, back) = self.bytes.as_slices();
        let bytes = [front, back].concat();
        String::from_utf8_lossy(&bytes)
            .chars()
            .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_end() {
        let mut tail = StderrTail::new(8);
        tail.push(b"0123456789");
        assert_eq!(tail.text(), "23456789");
        tail.push(b"ab\x1bc\n");
        assert_eq!(tail.text(), "789abc\n");
    }
}
