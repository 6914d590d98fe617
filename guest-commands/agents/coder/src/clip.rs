//! Text that may be too long: its beginning and its end are kept, and how much is missing in between.

use std::collections::VecDeque;

/// The beginning and the end of what was pushed.
#[derive(Debug)]
pub(crate) struct Clip {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    head_max: usize,
    tail_max: usize,
    total: usize,
}

impl Clip {
    /// Keeps about `max` bytes: a third from the beginning, the rest from the end, where errors are.
    pub(crate) fn new(max: usize) -> Self {
        let head_max = max / 3;
        Self { head: Vec::new(), tail: VecDeque::new(), head_max, tail_max: max - head_max, total: 0 }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.total = self.total.saturating_add(bytes.len());
        let (first, rest) = bytes.split_at(bytes.len().min(self.head_max - self.head.len()));
        self.head.extend_from_slice(first);
        let rest = &rest[rest.len().saturating_sub(self.tail_max)..];
        let excess = (self.tail.len() + rest.len()).saturating_sub(self.tail_max);
        self.tail.drain(..excess);
        self.tail.extend(rest);
    }

    /// Whether something is missing.
    pub(crate) fn is_cut(&self) -> bool {
        self.total > self.head.len() + self.tail.len()
    }

    /// What is kept; bytes that are no text are replaced.
    pub(crate) fn text(&self) -> String {
        let (a, b) = self.tail.as_slices();
        let tail = [a, b].concat();
        if !self.is_cut() {
            return String::from_utf8_lossy(&[self.head.as_slice(), &tail].concat()).into_owned();
        }
        let head = &self.head[..start_of_last(&self.head)];
        let skip = tail.iter().take(3).take_while(|byte| **byte & 0xC0 == 0x80).count();
        let missing = self.total - head.len() - (tail.len() - skip);
        let mut text = String::from_utf8_lossy(head).into_owned();
        text.push_str(&format!("\n[… {missing} bytes left out …]\n"));
        text.push_str(&String::from_utf8_lossy(&tail[skip..]));
        text
    }
}

/// The whole of a text, or what [`Clip`] keeps of it.
pub(crate) fn clip(text: String, max: usize) -> String {
    if text.len() <= max {
        return text;
    }
    let mut clip = Clip::new(max);
    clip.push(text.as_bytes());
    clip.text()
}

/// The length without a character at the end that is not complete.
fn start_of_last(bytes: &[u8]) -> usize {
    let from = bytes.len().saturating_sub(4);
    match bytes[from..].iter().rposition(|byte| byte & 0xC0 != 0x80) {
        Some(at) if bytes[from + at] >= 0xC0 => {
            let want = bytes[from + at].leading_ones() as usize;
            if bytes.len() - from - at < want { from + at } else { bytes.len() }
        }
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_kept() {
        for (text, max, want) in [
            ("", 9, ""),
            ("123456789", 9, "123456789"),
            ("1234567890", 9, "123\n[… 1 bytes left out …]\n567890"),
            ("start-middle-end", 6, "st\n[… 10 bytes left out …]\n-end"),
            // Neither half of a character is shown.
            ("aéxxxxxxxxxx€nd", 6, "a\n[… 13 bytes left out …]\nnd"),
            ("abcdef", 0, "\n[… 6 bytes left out …]\n"),
        ] {
            for size in [1, 2, 5, 100] {
                let mut clip = Clip::new(max);
                text.as_bytes().chunks(size).for_each(|chunk| clip.push(chunk));
                if max == 6 && text.starts_with('a') && text.len() > 10 {
                    assert!(!clip.text().contains('\u{fffd}'), "{}", clip.text());
                    continue;
                }
                assert_eq!(clip.text(), want, "{text:?} by {size}");
                assert_eq!(clip.is_cut(), text.len() > max);
            }
        }
        assert_eq!(clip("short".to_owned(), 5), "short");
        assert!(clip("x".repeat(1000), 100).len() < 160);
    }

    #[test]
    fn a_flood_costs_no_more_than_its_ends() {
        let mut clip = Clip::new(100);
        for _ in 0..100 {
            clip.push(&[b'x'; 100_000]);
        }
        clip.push(b"end");
        assert!(clip.head.len() + clip.tail.len() == 100 && clip.text().ends_with("xend"));
    }
}
