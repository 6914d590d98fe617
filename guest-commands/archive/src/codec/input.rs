//! A buffered reader that can look ahead: what a format begins with decides who reads it. It does not seek.

use std::io::{self, BufRead, Read};

/// The input of a decoder.
pub(crate) struct Input {
    inner: Box<dyn Read>,
    buf: Vec<u8>,
    from: usize,
    to: usize,
    /// Bytes read from the inner reader.
    taken: u64,
}

const SIZE: usize = 64 << 10;

impl Input {
    /// Reads from `inner`, nothing yet.
    pub(crate) fn new(inner: Box<dyn Read>) -> Input {
        Input { inner, buf: vec![0; SIZE], from: 0, to: 0, taken: 0 }
    }

    /// How many bytes have been consumed.
    pub(crate) fn position(&self) -> u64 {
        self.taken - (self.to - self.from) as u64
    }

    /// The next `n` bytes (fewer at the end) without consuming them; `n` is at most a few hundred.
    pub(crate) fn peek(&mut self, n: usize) -> io::Result<&[u8]> {
        while self.to - self.from < n {
            if self.from > 0 {
                self.buf.copy_within(self.from..self.to, 0);
                (self.from, self.to) = (0, self.to - self.from);
            }
            if self.more()? == 0 {
                break;
            }
        }
        Ok(&self.buf[self.from..self.to.min(self.from + n)])
    }

    fn more(&mut self) -> io::Result<usize> {
        loop {
            match self.inner.read(&mut self.buf[self.to..]) {
                Ok(n) => {
                    self.to += n;
                    self.taken += n as u64;
                    return Ok(n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
            self.more()?;
        }
        Ok(&self.buf[self.from..self.to])
    }

    fn consume(&mut self, n: usize) {
        self.from = (self.from + n).min(self.to);
    }
}

impl Read for Input {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let there = self.fill_buf()?;
        let n = there.len().min(buf.len());
        buf[..n].copy_from_slice(&there[..n]);
        self.consume(n);
        Ok(n)
    }
}
