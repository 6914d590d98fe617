//! Input line by line out of one buffer, for commands that hold few lines at a time. It knows no files by name.

use std::io::{self, Read};

/// Lines of a reader, of which one is held.
pub(crate) struct Lines {
    input: Box<dyn Read>,
    end: u8,
    buffer: Vec<u8>,
    /// The current line in the buffer, without its end.
    line: (usize, usize),
    /// Where the next begins, and where what has been read ends.
    next: usize,
    filled: usize,
    over: bool,
}

impl Lines {
    /// Lines that end with `end`.
    pub(crate) fn new(input: Box<dyn Read>, end: u8) -> Lines {
        let buffer = vec![0; 64 * 1024];
        Lines { input, end, buffer, line: (0, 0), next: 0, filled: 0, over: false }
    }

    /// The current line without its end.
    pub(crate) fn line(&self) -> &[u8] {
        &self.buffer[self.line.0..self.line.1]
    }

    /// The current line with its end, which it gets if it has none.
    pub(crate) fn whole(&self) -> &[u8] {
        &self.buffer[self.line.0..=self.line.1]
    }

    /// Goes to the next line; whether there is one.
    pub(crate) fn advance(&mut self) -> io::Result<bool> {
        let mut searched = self.next;
        loop {
            if let Some(at) = memchr::memchr(self.end, &self.buffer[searched..self.filled]) {
                self.line = (self.next, searched + at);
                self.next = searched + at + 1;
                return Ok(true);
            }
            searched = self.filled;
            if self.over {
                self.line = (self.next, self.filled);
                let any = self.next < self.filled;
                self.buffer.truncate(self.filled);
                self.buffer.push(self.end);
                self.next = self.filled;
                return Ok(any);
            }
            if self.next > 0 {
                self.buffer.copy_within(self.next..self.filled, 0);
                searched -= self.next;
                self.filled -= self.next;
                self.next = 0;
            }
            if self.filled == self.buffer.len() {
                self.buffer.resize(self.filled * 2, 0);
            }
            match self.input.read(&mut self.buffer[self.filled..]) {
                Ok(0) => self.over = true,
                Ok(n) => self.filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
