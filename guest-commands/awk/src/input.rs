//! Records out of a descriptor: by newlines, another byte, paragraphs or an expression.

use crate::regex::Regex;
use agentos_guest::fd;
use std::io;
use std::ops::Range;
use std::rc::Rc;

/// How much is read at once.
const CHUNK: usize = 64 << 10;

/// What ends a record (`RS`).
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    /// One byte.
    Byte(u8),
    /// Empty lines.
    Paragraph,
    /// What matches.
    Regex(Rc<Regex>),
}

/// A descriptor that is read in records.
#[derive(Debug)]
pub(crate) struct Reader {
    fd: u32,
    /// It is closed with the reader.
    owned: bool,
    buf: Vec<u8>,
    start: usize,
    end: usize,
    eof: bool,
}

impl Reader {
    /// Over a descriptor, closed at the end if `owned`.
    pub(crate) fn new(fd: u32, owned: bool) -> Reader {
        Reader { fd, owned, buf: Vec::new(), start: 0, end: 0, eof: false }
    }

    /// Reads more; whether anything came.
    fn fill(&mut self) -> io::Result<bool> {
        if self.eof {
            return Ok(false);
        }
        if self.start > 0 && (self.start == self.end || self.buf.len() - self.end < CHUNK) {
            self.buf.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.buf.len() - self.end < CHUNK {
            // What has no end in sight is read in larger and larger pieces.
            let more = CHUNK.max(self.end);
            self.buf.resize(self.end + more, 0);
        }
        loop {
            match fd::read(self.fd, &mut self.buf[self.end..]) {
                Ok(0) => {
                    self.eof = true;
                    return Ok(false);
                }
                Ok(n) => {
                    self.end += n;
                    return Ok(true);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// The bytes of a part.
    pub(crate) fn bytes(&self, part: &Range<usize>) -> &[u8] {
        &self.buf[part.clone()]
    }

    /// The next record and what ended it; none at the end.
    #[inline]
    pub(crate) fn next(&mut self, ending: &Ending) -> io::Result<Option<(Range<usize>, Range<usize>)>> {
        match ending {
            Ending::Byte(b) => self.next_by_byte(*b),
            Ending::Paragraph => self.next_paragraph(),
            Ending::Regex(regex) => self.next_by_regex(regex),
        }
    }

    /// Everything up to the end as a record.
    fn rest(&mut self) -> Option<(Range<usize>, Range<usize>)> {
        let (from, to) = (self.start, self.end);
        self.start = to;
        (from < to).then_some((from..to, to..to))
    }

    fn next_by_byte(&mut self, b: u8) -> io::Result<Option<(Range<usize>, Range<usize>)>> {
        let mut seen = 0;
        loop {
            let from = self.start;
            if let Some(len) = memchr::memchr(b, &self.buf[from + seen..self.end]) {
                let to = from + seen + len;
                self.start = to + 1;
                return Ok(Some((from..to, to..to + 1)));
            }
            seen = self.end - self.start;
            if !self.fill()? {
                return Ok(self.rest());
            }
        }
    }

    fn next_paragraph(&mut self) -> io::Result<Option<(Range<usize>, Range<usize>)>> {
        loop {
            while self.start < self.end && self.buf[self.start] == b'\n' {
                self.start += 1;
            }
            if self.start < self.end {
                break;
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
        let mut seen = 0;
        loop {
            let from = self.start;
            if let Some(len) = memchr::memmem::find(&self.buf[from + seen..self.end], b"\n\n") {
                let to = from + seen + len;
                let mut newlines = 2;
                loop {
                    let at = self.start + (to - from) + newlines;
                    if at < self.end {
                        if self.buf[at] != b'\n' {
                            break;
                        }
                        newlines += 1;
                    } else if !self.fill()? {
                        break;
                    }
                }
                let (from, to) = (self.start, self.start + (to - from));
                self.start = to + newlines;
                return Ok(Some((from..to, to..to + newlines)));
            }
            // The first newline of a pair may be the last byte so far.
            seen = (self.end - self.start).saturating_sub(1);
            if !self.fill()? {
                let (from, end) = (self.start, self.end);
                self.start = end;
                let to = if self.buf[end - 1] == b'\n' { end - 1 } else { end };
                return Ok(Some((from..to, to..end)));
            }
        }
    }

    fn next_by_regex(&mut self, regex: &Regex) -> io::Result<Option<(Range<usize>, Range<usize>)>> {
        loop {
            let text = &self.buf[self.start..self.end];
            let mut search = 0;
            let mut found = None;
            while search < text.len() {
                found = regex.find(text, search);
                match found {
                    Some((from, to)) if from == to => search = from + 1,
                    _ => break,
                }
            }
            // A match at the end of what was read could go on in what was not.
            if let Some((from, to)) = found.filter(|(from, to)| from < to && (*to < text.len() || self.eof)) {
                let base = self.start;
                self.start = base + to;
                return Ok(Some((base..base + from, base + from..base + to)));
            }
            if !self.fill()? {
                if found.is_some_and(|(from, to)| from < to) {
                    continue;
                }
                return Ok(self.rest());
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.owned {
            let _ = fd::close(self.fd);
        }
    }
}
