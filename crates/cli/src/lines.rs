//! Lines of input, none of which takes more memory than is allowed. What a line means is not known here.

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// A line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// All of it.
    Whole(Vec<u8>),
    /// It had more bytes than are allowed, and was skipped.
    TooLong,
}

/// Reads lines of at most `limit` bytes.
pub(crate) struct Lines<R> {
    input: R,
    limit: usize,
    /// The line that is being read: at most a byte more than the limit.
    line: Vec<u8>,
    begun: bool,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(crate) const fn new(input: R, limit: usize) -> Self {
        Self { input, limit, line: Vec::new(), begun: false }
    }

    /// The next line; `None` at the end. What follows the last end of line is a line too. Nothing is lost when the future
    /// is dropped.
    pub(crate) async fn next(&mut self) -> std::io::Result<Option<Line>> {
        loop {
            let bytes = self.input.fill_buf().await?;
            if bytes.is_empty() {
                return Ok(self.begun.then(|| self.take()));
            }
            self.begun = true;
            let end = bytes.iter().position(|b| *b == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            let room = (self.limit + 1).saturating_sub(self.line.len()).min(part.len());
            self.line.extend_from_slice(&part[..room]);
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                return Ok(Some(self.take()));
            }
        }
    }

    fn take(&mut self) -> Line {
        self.begun = false;
        let line = std::mem::take(&mut self.line);
        if line.len() > self.limit { Line::TooLong } else { Line::Whole(line) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_long_line_is_skipped_and_never_held() {
        let input = b"abcd\n\nabcde\nabcdefghijkl\nx\nlast";
        let mut lines = Lines::new(tokio::io::BufReader::with_capacity(3, &input[..]), 4);
        let whole = |text: &str| Some(Line::Whole(text.as_bytes().to_vec()));
        for line in [
            whole("abcd"),
            whole(""),
            Some(Line::TooLong),
            Some(Line::TooLong),
            whole("x"),
            whole("last"),
            None,
        ] {
            assert_eq!(lines.next().await.unwrap(), line);
            assert!(lines.line.is_empty());
        }
    }
}
