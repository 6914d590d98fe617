//! Lines of a vendor: limited, and none is a reason to stop.

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// The longest line, in bytes. A longer one is skipped.
pub const MAX_LINE: usize = 32 << 20;

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A line, without its end; not empty.
    Text(Vec<u8>),
    /// One that was too long, and is gone.
    TooLong,
}

/// Splits what a vendor writes.
pub struct Lines<R> {
    from: BufReader<R>,
    limit: usize,
}

impl<R> std::fmt::Debug for Lines<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Reads lines of at most [`MAX_LINE`] bytes.
    pub fn new(from: R) -> Self {
        Lines::limited(from, MAX_LINE)
    }

    /// Reads lines of at most `limit` bytes.
    pub fn limited(from: R, limit: usize) -> Self {
        Lines { from: BufReader::with_capacity(64 << 10, from), limit }
    }

    /// The next line; nothing at the end. A last line without an end counts. To be called to its end.
    pub async fn next(&mut self) -> std::io::Result<Option<Line>> {
        let mut line = Vec::new();
        let mut too_long = false;
        loop {
            let buffer = self.from.fill_buf().await?;
            if buffer.is_empty() {
                return Ok(match (too_long, line.is_empty()) {
                    (true, _) => Some(Line::TooLong),
                    (false, true) => None,
                    (false, false) => Some(Line::Text(line)),
                });
            }
            let end = buffer.iter().position(|&byte| byte == b'\n');
            let piece = end.map_or(buffer, |end| &buffer[..end]);
            if too_long || line.len() + piece.len() > self.limit {
                too_long = true;
                line = Vec::new();
            } else {
                line.extend_from_slice(piece);
            }
            let used = end.map_or(buffer.len(), |end| end + 1);
            self.from.consume(used);
            if end.is_none() {
                continue;
            }
            if too_long {
                return Ok(Some(Line::TooLong));
            }
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            if !line.is_empty() {
                return Ok(Some(Line::Text(line)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn split(text: &[u8], limit: usize) -> Vec<Line> {
        let mut lines = Lines::limited(text, limit);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        all
    }

    fn text(text: &str) -> Line {
        Line::Text(text.as_bytes().to_vec())
    }

    #[tokio::test]
    async fn lines_end_with_a_newline_or_the_end() {
        assert_eq!(split(b"a\n\r\n\nb\r\nc", 9).await, [text("a"), text("b"), text("c")]);
        assert_eq!(split("a\u{2028}b\n".as_bytes(), 9).await, [text("a\u{2028}b")]);
        assert_eq!(split(b"", 9).await, []);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_skipped_and_the_next_is_read() {
        assert_eq!(split(b"123456789\nab\n", 4).await, [Line::TooLong, text("ab")]);
        assert_eq!(split(b"1234\nab\n12345", 4).await, [text("1234"), text("ab"), Line::TooLong]);
    }
}
