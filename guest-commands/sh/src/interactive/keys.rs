//! From the bytes of a terminal to what they are bound to. It does nothing of that.

use super::bindings::{Action, Table};
use std::collections::VecDeque;

/// How many bytes wait to be decoded, and how much of a paste is kept.
const MAX_WAITING: usize = 64 << 10;
const MAX_PASTE: usize = 1 << 20;
/// The longest escape sequence that is waited for.
const MAX_SEQUENCE: usize = 32;
/// How many macros follow one another without a key that was typed.
const MAX_MACROS: u32 = 256;

const ESC: u8 = 0x1b;
const PASTE_END: &[u8] = b"\x1b[201~";

/// What was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// A function of the editor, with the last character of the sequence that it is bound to.
    Function(&'static str, char),
    /// A command of the shell.
    Command(String),
    /// Text that was pasted.
    Paste(String),
    /// The last character of a sequence that is bound to nothing.
    Unbound(char),
}

impl Key {
    /// The character that ended the sequence.
    pub(crate) fn char(&self) -> Option<char> {
        match self {
            Key::Function(_, c) | Key::Unbound(c) => Some(*c),
            Key::Command(_) | Key::Paste(_) => None,
        }
    }

    /// The function, if it is one.
    pub(crate) fn function(&self) -> &'static str {
        match self {
            Key::Function(name, _) => name,
            _ => "",
        }
    }
}

/// What there is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Key(Key),
    /// Bytes are missing; with `timed` what there is has a meaning, too, if none come for a while.
    More {
        timed: bool,
    },
}

/// Puts bytes together.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    waiting: VecDeque<u8>,
    pasted: Option<Vec<u8>>,
    macros: u32,
    /// The keys of the macro that is being recorded, and of the last one that was.
    recording: Option<Vec<u8>>,
    pub(crate) recorded: Vec<u8>,
}

enum Found {
    Action(Action, usize),
    Unbound(char, usize),
    More { timed: bool },
}

impl Decoder {
    /// Adds bytes that were read; what no terminal sends at once is dropped.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.macros = 0;
        let room = MAX_WAITING.saturating_sub(self.waiting.len());
        self.waiting.extend(&bytes[..bytes.len().min(room)]);
    }

    /// Puts the keys of a macro before all that waits; false if there are too many.
    pub(crate) fn insert(&mut self, keys: &[u8]) -> bool {
        self.macros += 1;
        if self.macros > MAX_MACROS || self.waiting.len() + keys.len() > MAX_WAITING {
            self.waiting.clear();
            return false;
        }
        keys.iter().rev().for_each(|byte| self.waiting.push_front(*byte));
        true
    }

    /// Begins or ends the recording of keys; false if that is already so.
    pub(crate) fn record(&mut self, on: bool) -> bool {
        match (on, self.recording.take()) {
            (true, None) => self.recording = Some(Vec::new()),
            (false, Some(keys)) => self.recorded = keys,
            (_, former) => {
                self.recording = former;
                return false;
            }
        }
        true
    }

    /// Whether bytes wait.
    pub(crate) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether a paste is being received.
    pub(crate) fn pastes(&self) -> bool {
        self.pasted.is_some()
    }

    /// The next character whatever it is bound to.
    pub(crate) fn character(&mut self) -> Option<char> {
        let (c, len) = character(self.waiting.make_contiguous(), 0)?;
        self.waiting.drain(..len);
        Some(c)
    }

    fn take(&mut self, len: usize, function: &str) {
        let taken: Vec<u8> = self.waiting.drain(..len).collect();
        // What ends a recording is no part of it.
        if let Some(keys) = &mut self.recording
            && function != "end-kbd-macro"
            && keys.len() + len <= MAX_WAITING
        {
            keys.extend(taken);
        }
    }

    /// The next key. With `whole` nothing follows what there is.
    pub(crate) fn next(&mut self, table: &Table, whole: bool) -> Next {
        loop {
            if let Some(pasted) = &mut self.pasted {
                while let Some(byte) = self.waiting.pop_front() {
                    pasted.push(byte);
                    if pasted.ends_with(PASTE_END) {
                        pasted.truncate((pasted.len() - PASTE_END.len()).min(MAX_PASTE));
                        let text = crate::text::from_bytes(self.pasted.take().unwrap_or_default());
                        return Next::Key(Key::Paste(text));
                    }
                    if pasted.len() > MAX_PASTE + PASTE_END.len() {
                        // Beyond the limit only the end is looked for.
                        pasted.remove(MAX_PASTE);
                    }
                }
                return Next::More { timed: false };
            }
            let bytes = self.waiting.make_contiguous();
            match find(bytes, table, whole) {
                Found::More { timed } => return Next::More { timed },
                Found::Unbound(c, len) => {
                    self.take(len, "");
                    return Next::Key(Key::Unbound(c));
                }
                Found::Action(action, len) => {
                    let c = last_char(&bytes[..len]);
                    match action {
                        Action::Function("bracketed-paste-begin") => {
                            self.waiting.drain(..len);
                            self.pasted = Some(Vec::new());
                        }
                        Action::Function(name) => {
                            self.take(len, name);
                            return Next::Key(Key::Function(name, c));
                        }
                        Action::Command(command) => {
                            self.take(len, "");
                            return Next::Key(Key::Command(command));
                        }
                        Action::Macro(keys) => {
                            self.waiting.drain(..len);
                            if !self.insert(&keys) {
                                return Next::Key(Key::Unbound(c));
                            }
                        }
                        Action::Nothing => {
                            self.waiting.drain(..len);
                        }
                    }
                }
            }
        }
    }
}

fn last_char(bytes: &[u8]) -> char {
    let start = bytes.iter().rposition(|b| b & 0xc0 != 0x80).unwrap_or(0);
    character(bytes, start).map_or('\0', |(c, _)| c)
}

/// The longest bound sequence that some bytes begin with.
fn find(bytes: &[u8], table: &Table, whole: bool) -> Found {
    let mut best = None;
    let mut len = 0;
    loop {
        len += 1;
        if len > bytes.len() {
            if !whole || bytes.is_empty() {
                return Found::More { timed: best.is_some() };
            }
            len -= 1;
            break;
        }
        if let Some(action) = table.get(&bytes[..len]) {
            best = Some((action, len));
        }
        if !table.goes_on(&bytes[..len]) {
            break;
        }
    }
    match best {
        Some((Action::Function("self-insert"), 1)) if bytes[0] >= 0xc0 => match character(bytes, 0) {
            Some((_, len)) => Found::Action(Action::Function("self-insert"), len),
            None if whole => Found::Action(Action::Function("self-insert"), 1),
            None => Found::More { timed: false },
        },
        Some((Action::Function("do-lowercase-version"), len)) => {
            let mut lower = bytes[..len].to_vec();
            lower[len - 1] = lower[len - 1].to_ascii_lowercase();
            match table.get(&lower) {
                Some(action) => Found::Action(action.clone(), len),
                None => Found::Unbound(last_char(&bytes[..len]), len),
            }
        }
        Some((action, len)) => Found::Action(action.clone(), len),
        None if bytes.starts_with(b"\x1b[") => {
            // A key of the terminal that is bound to nothing is dropped as a whole.
            match bytes[2..].iter().position(|b| (0x40..=0x7e).contains(b)) {
                Some(at) => Found::Unbound('\x1b', at + 3),
                None if whole || bytes.len() > MAX_SEQUENCE => Found::Unbound('\x1b', bytes.len()),
                None => Found::More { timed: false },
            }
        }
        None => match character(bytes, len - 1) {
            Some((c, more)) => Found::Unbound(c, len - 1 + more),
            None if whole => Found::Unbound(char::from(ESC), bytes.len()),
            None => Found::More { timed: false },
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

#[cfg(test)]
mod tests {
    use super::super::bindings::{Bindings, Keymap};
    use super::*;

    fn table(keymap: Keymap) -> Table {
        let mut table = Table::default();
        Bindings::default().fill(&mut table, keymap);
        table
    }

    fn all(bytes: &[u8], keymap: Keymap) -> Vec<&'static str> {
        let table = table(keymap);
        let mut decoder = Decoder::default();
        decoder.feed(bytes);
        let mut out = Vec::new();
        while let Next::Key(key) = decoder.next(&table, false) {
            out.push(match key {
                Key::Paste(_) => "paste",
                key => key.function(),
            });
        }
        out
    }

    #[test]
    fn keys() {
        for (bytes, wanted) in [
            (
                &b"a\x01\x7f\r"[..],
                vec!["self-insert", "beginning-of-line", "backward-delete-char", "accept-line"],
            ),
            (b"\x1b[A\x1bOB\x1b[C", vec!["previous-history", "next-history", "forward-char"]),
            (b"\x1b[1;5C\x1b[3~", vec!["forward-word", "delete-char"]),
            (b"\x1bf\x1bF\x18\x15", vec!["forward-word", "forward-word", "undo"]),
            ("é漢".as_bytes(), vec!["self-insert", "self-insert"]),
            (b"\x1b[200~a\nb\x1b[201~c", vec!["paste", "self-insert"]),
            (b"\x1b[99~x", vec!["", "self-insert"]),
            (b"\xc3", vec![]),
            (b"\x1b", vec![]),
        ] {
            assert_eq!(all(bytes, Keymap::Emacs), wanted, "{bytes:?}");
        }
        assert_eq!(all(b"\x1bb", Keymap::ViInsert), ["vi-movement-mode", "self-insert"]);
        assert_eq!(all(b"dw", Keymap::ViCommand), ["vi-delete-to", "vi-next-word"]);
    }

    #[test]
    fn bytes_that_come_one_by_one() {
        let table = table(Keymap::Emacs);
        let mut decoder = Decoder::default();
        let mut found = Vec::new();
        for byte in "\x1b[200~é\x1b[201~\x1b[1;5C漢".as_bytes() {
            decoder.feed(&[*byte]);
            if let Next::Key(key) = decoder.next(&table, false) {
                found.push(key);
            }
        }
        let wanted =
            [Key::Paste("é".into()), Key::Function("forward-word", 'C'), Key::Function("self-insert", '漢')];
        assert_eq!(found, wanted);
    }

    #[test]
    fn macros_end() {
        let mut bindings = Bindings::default();
        bindings.set(Keymap::Emacs, b"a".to_vec(), Action::Macro(b"xa".to_vec()));
        let mut table = Table::default();
        bindings.fill(&mut table, Keymap::Emacs);
        let mut decoder = Decoder::default();
        decoder.feed(b"a");
        let mut count = 0;
        while let Next::Key(_) = decoder.next(&table, false) {
            count += 1;
        }
        assert!(count <= MAX_MACROS + 1);
    }

    #[test]
    fn what_waits_is_bounded() {
        let table = table(Keymap::Emacs);
        let mut decoder = Decoder::default();
        decoder.feed(b"\x1b[200~");
        assert_eq!(decoder.next(&table, false), Next::More { timed: false });
        for _ in 0..40 {
            decoder.feed(&[b'x'; 60_000]);
            assert_eq!(decoder.next(&table, false), Next::More { timed: false });
        }
        decoder.feed(PASTE_END);
        let Next::Key(Key::Paste(text)) = decoder.next(&table, false) else { panic!("no paste") };
        assert_eq!(text.len(), MAX_PASTE);
        decoder.feed(b"\x1b[");
        decoder.feed(&[b';'; 100_000]);
        while let Next::Key(_) = decoder.next(&table, false) {}
        assert!(decoder.waiting.is_empty());
    }
}
