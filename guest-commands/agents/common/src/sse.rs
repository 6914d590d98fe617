//! Server-sent events out of bytes as they come (WHATWG HTML, section 9.2.6). It knows nothing of what they say.

/// Longest id of an event that is kept, in bytes.
const MAX_ID: usize = 1024;

/// What goes wrong with a stream of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// An event is longer than allowed.
    TooLong,
    /// It is not UTF-8.
    NotText,
}

/// Reads events. Of each its data is given; of the stream the last id and the pause it asks for are kept.
#[derive(Debug)]
pub struct Events {
    /// Longest event, in bytes.
    max_event: usize,
    line: Vec<u8>,
    data: Vec<u8>,
    /// Whether the event has data, which may be empty.
    any: bool,
    /// The last byte was a CR, so a LF belongs to it.
    cr: bool,
    started: bool,
    /// The id that the event under way gives.
    next_id: Option<String>,
    /// The id of the last event, which `Last-Event-ID` repeats. One that is too long to be repeated is none.
    pub last_id: Option<String>,
    /// Milliseconds that the server wants between two attempts.
    pub retry_ms: Option<u64>,
}

impl Events {
    /// A reader of events of at most `max_event` bytes.
    #[must_use]
    pub fn new(max_event: usize) -> Self {
        Self {
            max_event,
            line: Vec::new(),
            data: Vec::new(),
            any: false,
            cr: false,
            started: false,
            next_id: None,
            last_id: None,
            retry_ms: None,
        }
    }

    /// Takes bytes and returns the data of the events that are complete by them.
    ///
    /// # Errors
    /// What is wrong with the stream; nothing more can be read from it.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, Wrong> {
        let mut events = Vec::new();
        for &byte in bytes {
            let after_cr = std::mem::replace(&mut self.cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => {
                    let line = std::mem::take(&mut self.line);
                    events.extend(self.take(&line)?);
                    // Its memory is used again.
                    self.line = line;
                    self.line.clear();
                }
                byte => {
                    if self.line.len() + self.data.len() >= self.max_event {
                        return Err(Wrong::TooLong);
                    }
                    self.line.push(byte);
                }
            }
        }
        Ok(events)
    }

    fn take(&mut self, mut line: &[u8]) -> Result<Option<String>, Wrong> {
        if !std::mem::replace(&mut self.started, true) {
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        if line.is_empty() {
            if let Some(id) = self.next_id.take() {
                self.last_id = Some(id).filter(|id| !id.is_empty());
            }
            if !std::mem::take(&mut self.any) {
                return Ok(None);
            }
            let data = std::mem::take(&mut self.data);
            return String::from_utf8(data).map(Some).map_err(|_| Wrong::NotText);
        }
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(at) => (&line[..at], line[at + 1..].strip_prefix(b" ").unwrap_or(&line[at + 1..])),
            None => (line, &[][..]),
        };
        // Comments have no name; the kind of an event is told in its data too.
        if name == b"data" {
            if std::mem::replace(&mut self.any, true) {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(value);
        }
        // Ids are sent back in a header, so only what one can hold counts.
        if name == b"id" && value.len() <= MAX_ID && value.iter().all(|byte| (b' '..=b'~').contains(byte)) {
            self.next_id = String::from_utf8(value.to_vec()).ok();
        }
        if name == b"retry" && value.iter().all(u8::is_ascii_digit) {
            self.retry_ms =
                std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok()).or(self.retry_ms);
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_EVENT: usize = 1 << 20;

    #[test]
    fn events_come_out_however_the_bytes_are_cut() {
        for (text, want) in [
            ("data: a\n\n", &["a"][..]),
            ("data:a\r\n\r\ndata: b\r\rdata:  c\n\n", &["a", "b", " c"]),
            ("event: x\nid: 1\nretry: 5\ndata: a\ndata: b\n\n", &["a\nb"]),
            (": comment\n\n:\n\n\n", &[]),
            ("data\n\n", &[""]),
            ("data: lost at the end", &[]),
            ("data: lost at the end\n", &[]),
            ("\u{feff}data: ä€\n\n", &["ä€"]),
            ("data: {\"a\": \"x: y\"}\n\n", &["{\"a\": \"x: y\"}"]),
            ("dat: a\nnonsense\n\n", &[]),
            ("event: only\n\ndata: a\n\n", &["a"]),
        ] {
            for size in [1, 2, 3, 1000] {
                let mut events = Events::new(MAX_EVENT);
                let mut all = Vec::new();
                for chunk in text.as_bytes().chunks(size) {
                    all.extend(events.push(chunk).unwrap());
                }
                assert_eq!(all, want, "{text:?} by {size}");
            }
        }
    }

    #[test]
    fn what_is_no_text_or_has_no_end_is_refused() {
        assert_eq!(Events::new(MAX_EVENT).push(b"data: \xff\n\n"), Err(Wrong::NotText));
        let mut events = Events::new(MAX_EVENT);
        let mut pushed = 0;
        let wrong = loop {
            match events.push(&[b'x'; 65536]) {
                Ok(none) => assert!(none.is_empty()),
                Err(wrong) => break wrong,
            }
            pushed += 65536;
            assert!(pushed <= MAX_EVENT);
        };
        assert_eq!(wrong, Wrong::TooLong);
        let mut events = Events::new(MAX_EVENT);
        let line = [b"data: ".as_slice(), &[b'x'; 65536], b"\n"].concat();
        assert!((0..MAX_EVENT / 65536 + 2).any(|_| events.push(&line).is_err()), "many lines of one event");
    }

    #[test]
    fn ids_count_once_their_event_is_complete() {
        let mut events = Events::new(MAX_EVENT);
        events.push(b"id: a\ndata: x\n").unwrap();
        assert_eq!(events.last_id, None);
        events.push(b"\nretry: 50\nid: b\n\nretry: never\nid: \x01\n\n").unwrap();
        assert_eq!((events.last_id.as_deref(), events.retry_ms), (Some("b"), Some(50)));
        events.push(format!("id: {}\n\n", "x".repeat(MAX_ID + 1)).as_bytes()).unwrap();
        assert_eq!(events.last_id.as_deref(), Some("b"));
        events.push(b"id\n\n").unwrap();
        assert_eq!(events.last_id, None);
    }
}
