//! From the bytes of a terminal to keys. It gives none of them a meaning.

use std::collections::VecDeque;

/// How many bytes wait to be decoded, and how much of a paste is kept.
const MAX_WAITING: usize = 64 << 10;
const MAX_PASTE: usize = 1 << 20;
/// The longest escape sequence that is waited for.
const MAX_SEQUENCE: usize = 32;

const ESC: u8 = 0x1b;
const PASTE_END: &[u8] = b"\x1b[201~";

/// A key, or text that was pasted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    /// With the control key: `Ctrl('a')`. `Ctrl('[')` is Escape by itself.
    Ctrl(char),
    /// After Escape, or with the meta key.
    Meta(char),
    MetaCtrl(char),
    Up,
    Down,
    Left,
    Right,
    /// With control or meta: by words.
    WordLeft,
    WordRight,
    Home,
    End,
    Insert,
    Delete,
    /// With control or meta: a word.
    DeleteWord,
    Backspace,
    MetaBackspace,
    PageUp,
    PageDown,
    Paste(String),
    /// A sequence that no key of ours sends.
    Unknown,
}

/// Puts bytes together.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    waiting: VecDeque<u8>,
    pasted: Option<Vec<u8>>,
}

enum Found {
    Key(Key, usize),
    /// The beginning of a paste, of this length.
    Paste(usize),
    More,
}

impl Decoder {
    /// Adds bytes that were read; what no terminal sends at once is dropped.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let room = MAX_WAITING.saturating_sub(self.waiting.len());
        self.waiting.extend(&bytes[..bytes.len().min(room)]);
    }

    /// Whether bytes wait.
    pub(crate) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether a paste is being received.
    pub(crate) fn pastes(&self) -> bool {
        self.pasted.is_some()
    }

    /// Takes a control character as it is, for quoted insert.
    pub(crate) fn control(&mut self) -> Option<u8> {
        self.waiting.pop_front_if(|byte| *byte < 0x20 || *byte == 0x7f)
    }

    /// The next key. With `whole` nothing follows what there is: an escape is the key itself.
    pub(crate) fn next(&mut self, whole: bool) -> Option<Key> {
        loop {
            if let Some(pasted) = &mut self.pasted {
                while let Some(byte) = self.waiting.pop_front() {
                    pasted.push(byte);
                    if pasted.ends_with(PASTE_END) {
                        pasted.truncate((pasted.len() - PASTE_END.len()).min(MAX_PASTE));
                        let text = crate::text::from_bytes(self.pasted.take().unwrap_or_default());
                        return Some(Key::Paste(text));
                    }
                    if pasted.len() > MAX_PASTE + PASTE_END.len() {
                        // Beyond the limit only the end is looked for.
                        pasted.remove(MAX_PASTE);
                    }
                }
                return None;
            }
            let bytes = self.waiting.make_contiguous();
            match decode(bytes) {
                Found::Key(key, len) => {
                    self.waiting.drain(..len);
                    return Some(key);
                }
                Found::Paste(len) => {
                    self.waiting.drain(..len);
                    self.pasted = Some(Vec::new());
                }
                Found::More if whole && !self.waiting.is_empty() => {
                    let first = self.waiting.pop_front()?;
                    return Some(control(first).unwrap_or(Key::Unknown));
                }
                Found::More => return None,
            }
        }
    }
}

fn control(byte: u8) -> Option<Key> {
    Some(match byte {
        0x7f => Key::Backspace,
        0 => Key::Ctrl('@'),
        1..=26 => Key::Ctrl(char::from(byte - 1 + b'a')),
        27..=31 => Key::Ctrl(char::from(byte + b'@')),
        _ => return None,
    })
}

fn decode(bytes: &[u8]) -> Found {
    let Some(first) = bytes.first() else { return Found::More };
    if *first != ESC {
        return match control(*first) {
            Some(key) => Found::Key(key, 1),
            None => character(bytes, 0).map_or(Found::More, |(c, len)| Found::Key(Key::Char(c), len)),
        };
    }
    match bytes.get(1) {
        None => Found::More,
        Some(b'[') => sequence(bytes),
        Some(b'O') => match bytes.get(2) {
            None => Found::More,
            Some(letter) => Found::Key(letter_key(*letter, false), 3),
        },
        // Escape before a sequence: the meta key with it.
        Some(&ESC) if matches!(bytes.get(2), Some(b'[' | b'O')) => match decode(&bytes[1..]) {
            Found::Key(key, len) => Found::Key(with_modifier(key), len + 1),
            other => other,
        },
        Some(&ESC) if bytes.len() == 2 => Found::More,
        Some(0x7f | 0x08) => Found::Key(Key::MetaBackspace, 2),
        Some(byte) => match control(*byte) {
            Some(Key::Ctrl(c)) => Found::Key(Key::MetaCtrl(c), 2),
            _ => character(bytes, 1).map_or(Found::More, |(c, len)| Found::Key(Key::Meta(c), 1 + len)),
        },
    }
}

/// The character at `at` and its length; a byte that begins none is one by itself.
fn character(bytes: &[u8], at: usize) -> Option<(char, usize)> {
    let rest = &bytes[at..];
    let want = match rest.first()? {
        0..0xc0 => 1,
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..=0xff => 4,
    };
    let have = rest.len().min(want);
    match std::str::from_utf8(&rest[..have]) {
        Ok(text) => text.chars().next().map(|c| (c, have)),
        Err(error) if error.error_len().is_none() && have < want => None,
        Err(_) => crate::text::from_bytes(rest[..1].to_vec()).chars().next().map(|c| (c, 1)),
    }
}

/// `ESC [ … letter`.
fn sequence(bytes: &[u8]) -> Found {
    let Some(end) = bytes[2..].iter().position(|b| (0x40..=0x7e).contains(b)).map(|at| at + 2) else {
        return if bytes.len() > MAX_SEQUENCE { Found::Key(Key::Unknown, bytes.len()) } else { Found::More };
    };
    let len = end + 1;
    let text = String::from_utf8_lossy(&bytes[2..end]);
    let mut numbers = text.split(';').map(|n| n.parse::<u32>().unwrap_or(0));
    let (first, modifier) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let modified = modifier > 1;
    if bytes[end] != b'~' {
        return Found::Key(letter_key(bytes[end], modified), len);
    }
    let key = match first {
        200 => return Found::Paste(len),
        1 | 7 => Key::Home,
        4 | 8 => Key::End,
        2 => Key::Insert,
        3 => Key::Delete,
        5 => Key::PageUp,
        6 => Key::PageDown,
        _ => Key::Unknown,
    };
    Found::Key(if modified { with_modifier(key) } else { key }, len)
}

fn letter_key(letter: u8, modified: bool) -> Key {
    let key = match letter {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        b'M' => Key::Ctrl('m'),
        _ => Key::Unknown,
    };
    if modified { with_modifier(key) } else { key }
}

fn with_modifier(key: Key) -> Key {
    match key {
        Key::Left => Key::WordLeft,
        Key::Right => Key::WordRight,
        Key::Delete => Key::DeleteWord,
        key => key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], whole: bool) -> Vec<Key> {
        let mut decoder = Decoder::default();
        decoder.feed(bytes);
        std::iter::from_fn(|| decoder.next(whole)).collect()
    }

    #[test]
    fn keys() {
        use Key::*;
        for (bytes, wanted) in [
            (&b"a\x01\x7f\r"[..], vec![Char('a'), Ctrl('a'), Backspace, Ctrl('m')]),
            (b"\x1b[A\x1bOB\x1b[C\x1b[D", vec![Up, Down, Right, Left]),
            (b"\x1b[1;5C\x1b[1;3D\x1b\x1b[C", vec![WordRight, WordLeft, WordRight]),
            (b"\x1b[H\x1b[F\x1b[1~\x1b[4~\x1b[3~", vec![Home, End, Home, End, Delete]),
            (b"\x1bf\x1b\x7f\x1b\x08\x1b\x19", vec![Meta('f'), MetaBackspace, MetaBackspace, MetaCtrl('y')]),
            ("é漢".as_bytes(), vec![Char('é'), Char('漢')]),
            (b"\x1f\x1c\x00", vec![Ctrl('_'), Ctrl('\\'), Ctrl('@')]),
            (b"\x1b[200~a\nb\x1b[201~c", vec![Paste("a\nb".into()), Char('c')]),
            (b"\x1b[99~x", vec![Unknown, Char('x')]),
            (b"\xc3", vec![]),
            (b"\x1b", vec![]),
        ] {
            assert_eq!(all(bytes, false), wanted, "{bytes:?}");
        }
        assert_eq!(all(b"\x1b", true), [Ctrl('[')]);
        assert_eq!(all(b"\xffa", false).len(), 2);
    }

    #[test]
    fn bytes_that_come_one_by_one() {
        let mut decoder = Decoder::default();
        let mut found = Vec::new();
        for byte in "\x1b[200~é\x1b[201~\x1b[1;5C漢".as_bytes() {
            decoder.feed(&[*byte]);
            found.extend(decoder.next(false));
        }
        assert_eq!(found, [Key::Paste("é".into()), Key::WordRight, Key::Char('漢')]);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut decoder = Decoder::default();
        decoder.feed(b"\x1b[200~");
        assert_eq!(decoder.next(false), None);
        for _ in 0..40 {
            decoder.feed(&[b'x'; 60_000]);
            assert_eq!(decoder.next(false), None);
        }
        decoder.feed(PASTE_END);
        let Some(Key::Paste(text)) = decoder.next(false) else { panic!("no paste") };
        assert_eq!(text.len(), MAX_PASTE);
        decoder.feed(&[b';'; 100]);
        decoder.feed(b"\x1b[");
        decoder.feed(&[b';'; 100_000]);
        while decoder.next(false).is_some() {}
        assert!(!decoder.waits());
    }
}
