//! The lines that `sed` reads: its files one after the other, with one line of foresight for `$`. It does not know what is
//! done with a line.

use crate::context::Descriptor;
use agentos_guest::fd;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};

/// How much is read at once.
const CHUNK: usize = 64 * 1024;
/// The longest line.
const MOST: usize = 256 << 20;

/// Reads lines out of a file.
pub(super) struct Lines {
    input: Box<dyn Read>,
    buf: Vec<u8>,
    at: usize,
    ended: bool,
    end: u8,
    chunk: usize,
}

impl Lines {
    /// `end` is what ends a line; without `buffered`, no more is taken from the input than is needed.
    pub(super) fn new(input: Box<dyn Read>, end: u8, buffered: bool) -> Lines {
        Lines { input, buf: Vec::new(), at: 0, ended: false, end, chunk: if buffered { CHUNK } else { 1 } }
    }

    fn fill(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        if self.at > 0 {
            self.buf.drain(..self.at);
            self.at = 0;
        }
        if self.buf.len() > MOST {
            return Err(io::Error::from(io::ErrorKind::OutOfMemory));
        }
        let old = self.buf.len();
        self.buf.resize(old + self.chunk.max(if self.chunk > 1 { old } else { 0 }), 0);
        let n = loop {
            match self.input.read(&mut self.buf[old..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buf.truncate(old + n.as_ref().map_or(0, |n| *n));
        self.ended = n.as_ref().map_or(true, |n| *n == 0);
        Ok(n? > 0)
    }

    /// Whether there is another line.
    pub(super) fn more(&mut self) -> io::Result<bool> {
        Ok(self.at < self.buf.len() || self.fill()?)
    }

    /// Appends the next line to `line`, without its end. The result: whether there was one, and whether it was ended.
    pub(super) fn read(&mut self, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
        let mut seen = 0;
        loop {
            let rest = &self.buf[self.at..];
            if let Some(n) = memchr::memchr(self.end, &rest[seen..]) {
                line.extend_from_slice(&rest[..seen + n]);
                self.at += seen + n + 1;
                return Ok(Some(true));
            }
            seen = rest.len();
            if !self.fill()? {
                if seen == 0 {
                    return Ok(None);
                }
                line.extend_from_slice(&self.buf[self.at..]);
                self.at = self.buf.len();
                return Ok(Some(false));
            }
        }
    }

    /// How much has been taken from the input and not been asked for.
    pub(super) fn unread(&self) -> usize {
        self.buf.len() - self.at
    }
}

/// What to do next.
pub(super) enum Event {
    /// Another file begins; the name as it is shown.
    Begins(OsString, Box<dyn Read>),
    /// A file cannot be read: what to say.
    Fails(String),
}

/// The files of the command line.
pub(super) struct Files {
    names: std::vec::IntoIter<OsString>,
    in_place: bool,
}

impl Files {
    pub(super) fn new(names: Vec<OsString>, in_place: bool) -> Files {
        Files { names: names.into_iter(), in_place }
    }

    /// Whether there is none any more.
    pub(super) fn is_empty(&self) -> bool {
        self.names.len() == 0
    }

    /// Opens the next file; `None` after the last.
    pub(super) fn next(&mut self) -> Option<Event> {
        let name = self.names.next()?;
        Some(match self.open(&name) {
            Ok(input) => Event::Begins(name, input),
            Err(message) => Event::Fails(message),
        })
    }

    fn open(&self, name: &OsStr) -> Result<Box<dyn Read>, String> {
        let shown = name.to_string_lossy();
        if name == "-" && !self.in_place {
            return Ok(Box::new(Descriptor(0)));
        }
        let cannot = |error: io::Error| format!("can't read {shown}: {}", agentos_guest::strerror(&error));
        let file = std::fs::File::open(name).map_err(cannot)?;
        let attributes = agentos_guest::fs::stat(name).map_err(cannot)?;
        match agentos_guest::fs::file_type(attributes.mode) {
            agentos_guest::fs::FileType::File => {}
            _ if self.in_place => return Err(format!("couldn't edit {shown}: not a regular file")),
            _ => {}
        }
        Ok(Box::new(file))
    }
}

/// Gives back what was taken from standard input and not used, where it is a file: the next reader of it goes on there.
pub(super) fn give_back(lines: &Lines) {
    if lines.unread() > 0 {
        // A pipe cannot take it back.
        let _ = fd::seek(0, io::SeekFrom::Current(-(lines.unread() as i64)));
    }
}
