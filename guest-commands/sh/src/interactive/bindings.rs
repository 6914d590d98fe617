//! The keys of the line editor: what each sequence of bytes does in each keymap. `bind` lists this table and the editor acts by
//! it. It reads no init file and knows no terminal.

use crate::builtins::keys::{FUNCTIONS, VARIABLES};
use std::collections::BTreeMap;
use std::ops::Bound;

/// How many bindings of the script's own are kept, and how long a sequence is.
const MAX_BINDINGS: usize = 4096;
const MAX_SEQUENCE: usize = 256;

/// What a key sequence does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// A function of the line editor.
    Function(&'static str),
    /// Keys that are read instead.
    Macro(Vec<u8>),
    /// A command of the shell.
    Command(String),
    /// Nothing: what was bound is not any more.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Keymap {
    Emacs,
    EmacsMeta,
    EmacsCtlx,
    ViInsert,
    ViCommand,
}

impl Keymap {
    pub(crate) fn new(name: &str) -> Option<Keymap> {
        Some(match name {
            "emacs" | "emacs-standard" => Keymap::Emacs,
            "emacs-meta" => Keymap::EmacsMeta,
            "emacs-ctlx" => Keymap::EmacsCtlx,
            "vi" | "vi-command" | "vi-move" => Keymap::ViCommand,
            "vi-insert" => Keymap::ViInsert,
            _ => return None,
        })
    }

    /// The keymap that holds the keys, and what goes before them.
    fn root(self) -> (Keymap, &'static [u8]) {
        match self {
            Keymap::EmacsMeta => (Keymap::Emacs, b"\x1b"),
            Keymap::EmacsCtlx => (Keymap::Emacs, b"\x18"),
            other => (other, b""),
        }
    }
}

/// What was changed about the keys of the line editor.
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    keys: BTreeMap<(Keymap, Vec<u8>), Action>,
    variables: BTreeMap<&'static str, String>,
    /// Counts the changes of keys.
    changes: u64,
}

impl Bindings {
    /// The value of a variable of the line editor.
    pub(crate) fn variable(&self, name: &str) -> &str {
        let initial = VARIABLES.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
        self.variables.get(name).map_or(initial, String::as_str)
    }

    /// Whether a variable of the line editor is on.
    pub(crate) fn on(&self, name: &str) -> bool {
        self.variable(name) == "on"
    }

    /// The number that a variable of the line editor holds.
    pub(crate) fn number(&self, name: &str) -> i64 {
        self.variable(name).parse().unwrap_or(0)
    }

    /// Gives a variable a value.
    pub(crate) fn set_variable(&mut self, name: &'static str, value: String) {
        self.variables.insert(name, value);
    }

    pub(crate) fn set(&mut self, keymap: Keymap, sequence: Vec<u8>, action: Action) {
        let (root, before) = keymap.root();
        let key = (root, [before, &sequence].concat());
        if self.keys.len() < MAX_BINDINGS || self.keys.contains_key(&key) {
            self.keys.insert(key, action);
            self.changes += 1;
        }
    }

    /// Brings a table up to date with what is bound in a keymap; false if it was.
    pub(crate) fn fill(&self, table: &mut Table, keymap: Keymap) -> bool {
        if table.made_of == Some((keymap, self.changes)) {
            return false;
        }
        table.made_of = Some((keymap, self.changes));
        table.keys = self.all(keymap);
        // A null byte at the end of a key of the start stands for any other key.
        for (_, emacs, vi_insert, vi_command) in FUNCTIONS {
            for key in emacs.iter().chain(*vi_insert).chain(*vi_command).filter(|key| key.ends_with("\\000"))
            {
                let key = decode(key);
                let Some(action) = table.keys.remove(&key) else { continue };
                let first = key[..key.len() - 1].to_vec();
                let own = self.keys.get(&(keymap, first.clone()));
                table.keys.insert(first, own.cloned().unwrap_or(action));
            }
        }
        true
    }

    /// All bound sequences of a keymap with what they do, in order.
    pub(crate) fn all(&self, keymap: Keymap) -> BTreeMap<Vec<u8>, Action> {
        let (root, before) = keymap.root();
        let mut all = BTreeMap::new();
        if root == Keymap::ViInsert {
            all.extend((1..b' ').map(|b| (vec![b], Action::Function("self-insert"))));
        }
        for (name, emacs, vi_insert, vi_command) in FUNCTIONS {
            let keys = match root {
                Keymap::ViInsert => vi_insert,
                Keymap::ViCommand => vi_command,
                _ => emacs,
            };
            all.extend(keys.iter().map(|key| (decode(key), Action::Function(name))));
        }
        if root != Keymap::ViCommand {
            let inserted = (b' '..=b'~').chain(0x80..=0xff).map(|b| vec![b]);
            all.extend(inserted.map(|key| (key, Action::Function("self-insert"))));
        }
        if root == Keymap::Emacs {
            let upper = (b'A'..=b'Z').flat_map(|b| [vec![0x18, b], vec![0x1b, b]]);
            let lowered = upper.filter(|key| key != b"\x1bO");
            all.extend(lowered.map(|key| (key, Action::Function("do-lowercase-version"))));
        }
        for ((of, key), action) in &self.keys {
            if *of == root {
                all.insert(key.clone(), action.clone());
            }
        }
        all.into_iter()
            .filter(|(_, action)| *action != Action::Nothing)
            .filter_map(|(key, action)| Some((key.strip_prefix(before)?.to_vec(), action)))
            .collect()
    }
}

/// The names of all functions of the line editor.
pub(crate) fn function_names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|(name, ..)| *name)
}

/// The bytes of a sequence that is written with escapes.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    let bytes = crate::text::to_bytes(text);
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() && out.len() < MAX_SEQUENCE {
        if bytes[at] != b'\\' || at + 1 == bytes.len() {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        at += 1;
        let (mut control, mut meta) = (false, false);
        let rest = |at: usize| bytes.get(at..at + 2).unwrap_or_default();
        let mut prefixed = false;
        let mut from = at;
        while matches!(rest(from), b"C-" | b"M-") {
            control |= bytes[from] == b'C';
            meta |= bytes[from] == b'M';
            prefixed = true;
            from += 2;
            // `\C-\M-x` and `\C-M-x` are the same.
            if bytes.get(from) == Some(&b'\\') && matches!(rest(from + 1), b"C-" | b"M-") {
                from += 1;
            }
        }
        if meta {
            out.push(0x1b);
        }
        if prefixed {
            let c = bytes.get(from).copied().unwrap_or(b'@');
            out.push(match c {
                b'?' if control => 0x7f,
                c if control => c.to_ascii_uppercase() & 0x1f,
                c => c,
            });
            at = from + 1;
            continue;
        }
        let c = bytes[at];
        at += 1;
        match c {
            b'e' => out.push(0x1b),
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'd' => out.push(0x7f),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'0'..=b'7' => {
                let mut n = u32::from(c - b'0');
                for _ in 0..2 {
                    if let Some(digit @ b'0'..=b'7') = bytes.get(at) {
                        n = n * 8 + u32::from(digit - b'0');
                        at += 1;
                    }
                }
                out.push(n as u8);
            }
            b'x' => {
                let mut n = 0;
                let start = at;
                while at < start + 2
                    && let Some(digit) = bytes.get(at).and_then(|b| char::from(*b).to_digit(16))
                {
                    n = n * 16 + digit;
                    at += 1;
                }
                out.push(if at == start { b'x' } else { n as u8 });
            }
            other => out.push(other),
        }
    }
    out
}

/// A sequence written with escapes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut out = String::new();
    for b in bytes {
        match b {
            0x1b => out.push_str("\\e"),
            0x7f => out.push_str("\\C-?"),
            b'"' | b'\\' => out.extend(['\\', char::from(*b)]),
            0 if bytes.len() > 1 => out.push_str("\\000"),
            0..=0x1f => {
                out.push_str("\\C-");
                let c = char::from(b | 0x40).to_ascii_lowercase();
                if c == '\\' {
                    out.push('\\');
                }
                out.push(c);
            }
            0x20..=0x7e => out.push(char::from(*b)),
            _ => out.push_str(&format!("\\{b:o}")),
        }
    }
    out
}

/// The keys of one keymap as the editor looks them up.
#[derive(Debug, Default)]
pub(crate) struct Table {
    keys: BTreeMap<Vec<u8>, Action>,
    made_of: Option<(Keymap, u64)>,
}

impl Table {
    /// What a whole sequence does.
    pub(crate) fn get(&self, sequence: &[u8]) -> Option<&Action> {
        self.keys.get(sequence)
    }

    /// Whether something longer begins like this.
    pub(crate) fn goes_on(&self, sequence: &[u8]) -> bool {
        let after = (Bound::Excluded(sequence), Bound::Unbounded);
        self.keys.range::<[u8], _>(after).next().is_some_and(|(key, _)| key.starts_with(sequence))
    }

    /// Binds one more key, until the table is filled anew.
    pub(crate) fn bind(&mut self, sequence: Vec<u8>, function: &'static str) {
        self.keys.insert(sequence, Action::Function(function));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_written_as_they_are_read() {
        for text in ["\\C-a", "\\e[A", "a\\\"b", "\\C-x\\C-r", "\\C-?"] {
            assert_eq!(encode(&decode(text)), text);
        }
        assert_eq!(decode("\\M-x"), b"\x1bx");
    }

    #[test]
    fn tables_follow_the_bindings() {
        let mut bindings = Bindings::default();
        let mut table = Table::default();
        bindings.fill(&mut table, Keymap::ViInsert);
        assert_eq!(table.get(b"\x1b"), Some(&Action::Function("vi-movement-mode")));
        bindings.fill(&mut table, Keymap::Emacs);
        assert!(table.get(b"\x1b").is_none() && table.goes_on(b"\x1b") && !table.goes_on(b"a"));
        bindings.set(Keymap::Emacs, b"\x18q".to_vec(), Action::Macro(b"x".to_vec()));
        bindings.fill(&mut table, Keymap::Emacs);
        assert_eq!(table.get(b"\x18q"), Some(&Action::Macro(b"x".to_vec())));
    }
}
