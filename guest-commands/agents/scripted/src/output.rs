//! The output of one command: its last bytes, and how they are shown while it runs and after. It reads nothing.

use std::collections::VecDeque;

/// Bytes kept per command; older ones are dropped.
const KEPT: usize = 1 << 20;

/// Bytes shown while the command runs. Content in ACP replaces what was there, so every update repeats it.
const SHOWN_LIVE: usize = 32 << 10;

/// Room for the text in one message, escaped as JSON: the final update holds it twice, and a line has 8 MiB.
const ESCAPED: usize = 3 << 20;

#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: VecDeque<u8>,
    pub(crate) truncated: bool,
}

impl Output {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let excess = (self.bytes.len() + bytes.len()).saturating_sub(KEPT);
        self.truncated |= excess > 0;
        let kept = self.bytes.len().min(excess);
        self.bytes.drain(..kept);
        self.bytes.extend(&bytes[excess - kept..]);
    }

    /// The end of what came so far; a character that is not complete yet is left out.
    pub(crate) fn live(&mut self) -> String {
        let text = self.tail(SHOWN_LIVE);
        text.trim_end_matches(char::REPLACEMENT_CHARACTER).to_owned()
    }

    /// Everything kept, or as much of its end as fits into a message.
    pub(crate) fn complete(&mut self) -> String {
        let mut text = self.tail(KEPT);
        while escaped_len(&text) > ESCAPED {
            self.truncated = true;
            let half = text.ceil_char_boundary(text.len() / 2);
            text.drain(..half);
        }
        text
    }

    fn tail(&mut self, max: usize) -> String {
        let bytes = self.bytes.make_contiguous();
        let mut start = bytes.len().saturating_sub(max);
        // A cut goes to the next start of a character, if there is one near.
        if start > 0 || self.truncated {
            start += bytes[start..].iter().take(3).take_while(|b| **b & 0xC0 == 0x80).count();
        }
        String::from_utf8_lossy(&bytes[start..]).into_owned()
    }
}

/// The length of `text` as a JSON string.
fn escaped_len(text: &str) -> usize {
    text.bytes()
        .map(|b| match b {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
            0..0x20 => 6,
            _ => 1,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_is_cut() {
        let mut output = Output::default();
        output.push(b"start");
        for _ in 0..40 {
            output.push(&[b'x'; 30_000]);
        }
        output.push(b"end");
        assert!(output.truncated);
        let text = output.complete();
        assert_eq!(text.len(), KEPT);
        assert!(text.ends_with("xend"));
        assert_eq!(output.live().len(), SHOWN_LIVE);
        output.push(&vec![b'y'; KEPT + 5]);
        assert!(output.complete().bytes().all(|b| b == b'y'));
    }

    #[test]
    fn cuts_respect_characters() {
        let mut output = Output::default();
        output.push("ä".repeat(KEPT / 2).as_bytes());
        output.push(b"x");
        assert!(output.complete().starts_with('ä'));
        let mut output = Output::default();
        output.push(&"aß".as_bytes()[..2]);
        assert_eq!(output.live(), "a");
        output.push(&[0x9F]);
        assert_eq!(output.live(), "aß");
    }

    #[test]
    fn control_characters_cannot_blow_up_a_message() {
        let mut output = Output::default();
        output.push(&vec![0; KEPT]);
        let text = output.complete();
        assert!(output.truncated);
        assert!(serde_json::to_string(&text).unwrap().len() <= ESCAPED + 2);
        assert_eq!(serde_json::to_string("a\"\n\x1b\x08").unwrap().len() - 2, 1 + 2 + 2 + 6 + 2);
    }
}
