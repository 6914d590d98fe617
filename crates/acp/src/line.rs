//! Lines of limited length from a byte stream, as ACP frames its messages. It does not look into them and never
//! splits on anything but `\n`.

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes asked for per read; also the buffer kept between lines.
const CHUNK: usize = 16 << 10;

/// Why no line could be read.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The line is longer than the limit. Who reads on gets the line after it.
    #[error("line longer than {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// The stream failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Reads lines, holding at most one line plus one chunk in memory.
#[derive(Debug)]
pub struct LineReader<R> {
    io: R,
    buffer: BytesMut,
    /// Bytes at the front of `buffer` known to hold no newline.
    scanned: usize,
    limit: usize,
    /// The rest of a line that is too long goes unread.
    skipping: bool,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// Lines of at most `limit` bytes, the newline not counted.
    pub fn new(io: R, limit: usize) -> Self {
        Self { io, buffer: BytesMut::new(), scanned: 0, limit, skipping: false }
    }

    /// The next line, without `\n` or `\r\n`; `None` at the end of the stream. The last line need not be terminated.
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// A line over the limit, or a failing stream.
    pub async fn next(&mut self) -> Result<Option<BytesMut>, LineError> {
        while self.skipping {
            let end = self.buffer.iter().position(|b| *b == b'\n');
            self.buffer.advance(end.map_or(self.buffer.len(), |at| at + 1));
            self.skipping = end.is_none();
            if self.skipping {
                self.buffer = BytesMut::with_capacity(CHUNK);
                if self.io.read_buf(&mut self.buffer).await? == 0 {
                    return Ok(None);
                }
            }
        }
        loop {
            if let Some(at) = self.buffer[self.scanned..].iter().position(|b| *b == b'\n') {
                let mut line = self.buffer.split_to(self.scanned + at);
                self.buffer.advance(1);
                self.scanned = 0;
                if self.buffer.is_empty() {
                    // A long line's memory goes with the line.
                    self.buffer = BytesMut::new();
                }
                if line.len() > self.limit {
                    return Err(LineError::TooLong { limit: self.limit });
                }
                if line.last() == Some(&b'\r') {
                    line.truncate(line.len() - 1);
                }
                return Ok(Some(line));
            }
            self.scanned = self.buffer.len();
            if self.scanned > self.limit {
                (self.skipping, self.scanned) = (true, 0);
                return Err(LineError::TooLong { limit: self.limit });
            }
            self.buffer.reserve(CHUNK);
            if self.io.read_buf(&mut self.buffer).await? == 0 {
                let line = std::mem::take(&mut self.buffer);
                self.scanned = 0;
                return Ok((!line.is_empty()).then_some(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(input: &[u8], limit: usize) -> (Vec<String>, bool) {
        let mut reader = LineReader::new(input, limit);
        let mut out = Vec::new();
        loop {
            match reader.next().await {
                Ok(Some(line)) => out.push(String::from_utf8_lossy(&line).into_owned()),
                Ok(None) => return (out, true),
                Err(_) => return (out, false),
            }
        }
    }

    #[tokio::test]
    async fn splits_on_newline_only() {
        for (input, want) in [
            ("a\nb\n", vec!["a", "b"]),
            ("a\r\n\r\n\nb", vec!["a", "", "", "b"]),
            ("a\u{2028}b\u{2029}c\n", vec!["a\u{2028}b\u{2029}c"]),
            ("a\rb\n", vec!["a\rb"]),
            ("", vec![]),
        ] {
            assert_eq!(
                lines(input.as_bytes(), 64).await,
                (want.iter().map(ToString::to_string).collect(), true)
            );
        }
    }

    #[tokio::test]
    async fn who_reads_on_after_a_line_that_is_too_long_gets_the_next_one() {
        let input = format!("{}\nab\n123456789\n\ncd\n{}", "x".repeat(100_000), "y".repeat(50_000));
        let mut reader = LineReader::new(input.as_bytes(), 8);
        let mut seen = Vec::new();
        loop {
            match reader.next().await {
                Ok(Some(line)) => seen.push(String::from_utf8_lossy(&line).into_owned()),
                Ok(None) => break,
                Err(LineError::TooLong { .. }) => seen.push("too long".to_owned()),
                Err(LineError::Io(error)) => panic!("{error}"),
            }
        }
        assert_eq!(seen, ["too long", "ab", "too long", "", "cd", "too long"]);
    }

    #[tokio::test]
    async fn refuses_what_is_over_the_limit_and_takes_what_is_at_it() {
        assert_eq!(lines(b"12345678\n", 8).await, (vec!["12345678".to_owned()], true));
        assert_eq!(lines(b"ok\n123456789\n", 8).await, (vec!["ok".to_owned()], false));
        let endless = vec![b'x'; 100_000];
        assert_eq!(lines(&endless, 1000).await, (vec![], false));
    }
}
