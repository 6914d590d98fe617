//! Registers: what was deleted, yanked or recorded. What is read only (`"%`, `":`, `".`) is the editor's.

use std::collections::HashMap;

/// Text of a register.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) lines: Vec<Vec<u8>>,
    /// Whole lines.
    pub(crate) whole: bool,
    /// A block of columns.
    pub(crate) block: bool,
}

impl Text {
    /// Its bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = self.lines.join(&b'\n');
        if self.whole {
            out.push(b'\n');
        }
        out
    }
}

/// How text came into a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    Yanked,
    /// Deleted inside of a line.
    Small,
    /// Deleted: lines, or a part that spans some, or by a large motion.
    Large,
}

/// All registers.
#[derive(Debug, Default)]
pub(crate) struct Registers {
    named: HashMap<char, Text>,
    unnamed: char,
}

/// Whether text can be put there.
pub(crate) fn writable(name: char) -> bool {
    name.is_ascii_alphanumeric() || matches!(name, '"' | '-' | '_' | '*' | '+')
}

impl Registers {
    /// The text of a register.
    pub(crate) fn get(&self, name: char) -> Option<&Text> {
        let name = match name {
            '"' | '*' | '+' | '\0' => self.unnamed,
            c => c.to_ascii_lowercase(),
        };
        self.named.get(&name)
    }

    /// Puts text there; a capital appends.
    pub(crate) fn set(&mut self, name: char, text: Text) {
        if name.is_ascii_uppercase() {
            let name = name.to_ascii_lowercase();
            self.unnamed = name;
            let old = self.named.entry(name).or_default();
            if old.lines.is_empty() {
                *old = text;
            } else if old.whole || text.whole {
                old.whole = true;
                old.lines.extend(text.lines);
            } else {
                let mut lines = text.lines.into_iter();
                if let (Some(last), Some(first)) = (old.lines.last_mut(), lines.next()) {
                    last.extend(first);
                }
                old.lines.extend(lines);
            }
        } else {
            self.unnamed = name;
            self.named.insert(name, text);
        }
    }

    /// Keeps what a command took.
    pub(crate) fn keep(&mut self, name: Option<char>, text: Text, came: Came) {
        match name.filter(|n| !matches!(n, '"' | '*' | '+')) {
            Some('_') => {}
            Some(name) => self.set(name, text),
            None => match came {
                Came::Yanked => self.set('0', text),
                Came::Small => self.set('-', text),
                Came::Large => {
                    for n in (1..9_u8).rev() {
                        if let Some(text) = self.named.remove(&char::from(b'0' + n)) {
                            self.named.insert(char::from(b'0' + n + 1), text);
                        }
                    }
                    self.set('1', text);
                }
            },
        }
    }

    /// All that hold something, by name.
    pub(crate) fn all(&self) -> Vec<(char, &Text)> {
        let mut list: Vec<(char, &Text)> = self.named.iter().map(|(n, t)| (*n, t)).collect();
        list.sort_by_key(|(n, _)| *n);
        if let Some(text) = self.get('"') {
            list.insert(0, ('"', text));
        }
        list
    }
}
