//! A buffered output: standard output, a file, or the input of a command.

use agentos_guest::fd;
use agentos_guest::process::Child;
use std::io;

/// How much waits before it is written.
const BUFFER: usize = 32 << 10;

/// An output.
#[derive(Debug)]
pub(crate) struct Output {
    fd: u32,
    pub(crate) buf: Vec<u8>,
    /// Each print is written at once.
    eager: bool,
    /// The descriptor is closed with the output.
    owned: bool,
    /// The command that reads it.
    pub(crate) child: Option<Child>,
}

impl Output {
    /// Over a descriptor, closed at the end if `owned`.
    pub(crate) fn new(fd: u32, owned: bool, child: Option<Child>) -> Output {
        // Diagnostics and dialogues are seen as they come.
        let eager = fd == 2 || fd::isatty(fd);
        Output { fd, buf: Vec::new(), eager, owned, child }
    }

    /// After something was added.
    #[inline]
    pub(crate) fn added(&mut self) -> io::Result<()> {
        if self.buf.len() >= BUFFER || self.eager { self.flush() } else { Ok(()) }
    }

    /// Writes what waits.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.buf.is_empty() {
            return Ok(());
        }
        let result = fd::write_all(self.fd, &self.buf);
        self.buf.clear();
        if self.buf.capacity() > 16 * BUFFER {
            self.buf = Vec::new();
        }
        result
    }

    /// Writes what waits and closes the descriptor.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        let result = self.flush();
        if std::mem::take(&mut self.owned) {
            let _ = fd::close(self.fd);
        }
        result
    }
}
