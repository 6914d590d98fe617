//! Reads bytes from a descriptor that programs of the script share: none is taken that was not asked for. It knows no lines.

use agentos_guest::fd;
use std::io::{self, SeekFrom};

/// How many bytes are read at once from what can be read again.
const CHUNK: usize = 512;

/// A descriptor that is read byte by byte, as its other readers see it.
///
/// A file is read in chunks, and its position put where the reading ended. Of a pipe nothing can be given back.
pub(crate) struct Input {
    fd: u32,
    seekable: bool,
    chunk: [u8; CHUNK],
    at: usize,
    end: usize,
}

impl Input {
    pub(crate) fn new(fd: u32) -> Self {
        Input { fd, seekable: fd::seek(fd, SeekFrom::Current(0)).is_ok(), chunk: [0; CHUNK], at: 0, end: 0 }
    }

    /// Whether [`Input::next`] has a byte without asking the descriptor.
    pub(crate) fn holds(&self) -> bool {
        self.at < self.end
    }

    /// The next byte; `None` at the end.
    ///
    /// # Errors
    /// Those of read(2); after `EINTR` it may be asked again.
    #[inline]
    pub(crate) fn next(&mut self) -> io::Result<Option<u8>> {
        if self.at == self.end {
            self.at = 0;
            self.end = 0;
            let want = if self.seekable { CHUNK } else { 1 };
            self.end = fd::read(self.fd, &mut self.chunk[..want])?;
            if self.end == 0 {
                return Ok(None);
            }
        }
        self.at += 1;
        Ok(Some(self.chunk[self.at - 1]))
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        let unread = self.end - self.at;
        if unread > 0 {
            // It could be read from, so it can be moved back.
            let _ = fd::seek(self.fd, SeekFrom::Current(-(unread as i64)));
        }
    }
}
