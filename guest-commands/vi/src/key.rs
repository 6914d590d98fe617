//! Keys, and how a register holds them. It reads no terminal.

use std::collections::VecDeque;

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A character, control characters as they are.
    Char(char),
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    Delete,
    Insert,
    /// A sequence that means nothing here.
    Unknown,
}

/// What special keys look like in a register: as a terminal sends them.
const SPECIAL: [(Key, &str); 10] = [
    (Key::Up, "\x1b[A"),
    (Key::Down, "\x1b[B"),
    (Key::Right, "\x1b[C"),
    (Key::Left, "\x1b[D"),
    (Key::Home, "\x1b[H"),
    (Key::End, "\x1b[F"),
    (Key::PageUp, "\x1b[5~"),
    (Key::PageDown, "\x1b[6~"),
    (Key::Delete, "\x1b[3~"),
    (Key::Insert, "\x1b[2~"),
];

/// Keys as text.
pub(crate) fn to_text(keys: &[Key]) -> String {
    let mut out = String::new();
    for key in keys {
        match key {
            Key::Char(c) => out.push(*c),
            key => out.push_str(SPECIAL.iter().find(|(k, _)| k == key).map_or("", |(_, s)| s)),
        }
    }
    out
}

/// Text as keys.
pub(crate) fn of_text(text: &str) -> VecDeque<Key> {
    let mut out = VecDeque::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '\x1b'
            && let Some((key, s)) = SPECIAL.iter().find(|(_, s)| rest.starts_with(s))
        {
            out.push_back(*key);
            rest = &rest[s.len()..];
            continue;
        }
        out.push_back(Key::Char(c));
        rest = &rest[c.len_utf8()..];
    }
    out
}
