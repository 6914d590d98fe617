//! Collects the pieces of an expansion: splits fields, and keeps track of what was quoted. It expands nothing.

use super::Ifs;
use crate::pattern;

/// What the pieces become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Fields,
    Text,
    Pattern,
    Regex,
    Replacement,
}

/// Stands before a quoted character that would otherwise be special in a file name pattern.
const MARK: char = '\u{10ff00}';

/// A field, with what globbing needs to know.
#[derive(Debug, Default)]
pub(super) struct Field {
    text: String,
    /// Something unquoted in it is special.
    pub(super) glob: bool,
    marked: bool,
    bracket: bool,
}

impl Field {
    /// Looks for what is special in unquoted text.
    fn note(&mut self, text: &str) {
        if !text.bytes().any(|b| matches!(b, b'*' | b'?' | b'[' | b']' | b'(')) {
            return;
        }
        let mut before = 0;
        for b in text.bytes() {
            match b {
                b'*' | b'?' => self.glob = true,
                b'[' => self.bracket = true,
                b']' if self.bracket => self.glob = true,
                b'(' if matches!(before, b'@' | b'+' | b'!') => self.glob = true,
                _ => {}
            }
            before = b;
        }
    }

    /// The plain text.
    pub(super) fn into_text(self) -> String {
        if self.marked { self.text.replace(MARK, "") } else { self.text }
    }

    pub(super) fn to_text(&self) -> String {
        if self.marked { self.text.replace(MARK, "") } else { self.text.clone() }
    }

    /// The pattern: marks become backslashes.
    pub(super) fn pattern(&self) -> String {
        if self.marked { self.text.replace(MARK, "\\") } else { self.text.clone() }
    }
}

/// Whether unquoted text can be a file name pattern. A lone bracket, such as the name of `[`, is none.
pub(crate) fn has_glob(text: &str) -> bool {
    let mut field = Field::default();
    field.note(text);
    field.glob
}

/// Collects the pieces of one word.
pub(super) struct Sink {
    mode: Mode,
    current: Field,
    /// The current field exists even if it is empty.
    exists: bool,
    /// A blank ended the last field: a separator that follows belongs to it.
    blank_ended: bool,
    pub(super) fields: Vec<Field>,
}

impl Sink {
    pub(super) fn new(mode: Mode) -> Self {
        Sink { mode, current: Field::default(), exists: false, blank_ended: false, fields: Vec::new() }
    }

    /// Collects into a text that is no longer needed.
    pub(super) fn reuse(&mut self, text: String) {
        self.current.text = text;
    }

    /// The text if the pieces are one field as it is, which is then taken.
    pub(super) fn single(&mut self) -> Option<String> {
        let plain = self.fields.is_empty() && !self.current.glob && !self.current.marked;
        (plain && (self.exists || !self.current.text.is_empty()))
            .then(|| std::mem::take(&mut self.current.text))
    }

    pub(super) fn splits(&self) -> bool {
        self.mode == Mode::Fields
    }

    pub(super) fn into_text(self) -> String {
        self.current.text
    }

    /// Ends the current field if there is one.
    pub(super) fn finish(&mut self) {
        if self.exists || !self.current.text.is_empty() {
            self.end_field();
        }
    }

    fn end_field(&mut self) {
        self.fields.push(std::mem::take(&mut self.current));
        self.exists = false;
    }

    /// Makes the current field exist.
    pub(super) fn open(&mut self) {
        self.exists = true;
    }

    /// Unquoted text of the script.
    pub(super) fn literal(&mut self, text: &str) {
        self.blank_ended = false;
        if self.mode == Mode::Fields {
            self.current.note(text);
        }
        if self.mode == Mode::Replacement {
            // A backslash in a literal was quoting already; what is left is text.
            self.current.text.push_str(text);
            return;
        }
        self.current.text.push_str(text);
    }

    /// Quoted text.
    pub(super) fn quoted(&mut self, text: &str) {
        self.blank_ended = false;
        self.exists = true;
        match self.mode {
            Mode::Text => self.current.text.push_str(text),
            Mode::Fields => {
                if text.bytes().any(|b| {
                    matches!(b, b'*' | b'?' | b'[' | b']' | b'\\' | b'(' | b')' | b'|' | b'!' | b'-' | b'^')
                }) {
                    for c in text.chars() {
                        if pattern::is_quotable(c) {
                            self.current.text.push(MARK);
                            self.current.marked = true;
                        }
                        self.current.text.push(c);
                    }
                } else {
                    self.current.text.push_str(text);
                }
            }
            Mode::Pattern => pattern::push_quoted(text, &mut self.current.text),
            Mode::Regex => {
                for c in text.chars() {
                    if !c.is_alphanumeric() || c.is_ascii() {
                        self.current.text.push(crate::regex::MARK);
                    }
                    self.current.text.push(c);
                }
            }
            Mode::Replacement => {
                for c in text.chars() {
                    if c == '&' || c == '\\' {
                        self.current.text.push(crate::regex::MARK);
                    }
                    self.current.text.push(c);
                }
            }
        }
    }

    /// The value of an expansion, split at `ifs` unless quoted.
    pub(super) fn value(&mut self, text: &str, quoted: bool, ifs: &Ifs) {
        if quoted {
            return self.quoted(text);
        }
        if self.mode != Mode::Fields {
            self.current.text.push_str(text);
            return;
        }
        if !ifs.splits(text) {
            if !text.is_empty() {
                self.blank_ended = false;
                self.current.note(text);
                self.current.text.push_str(text);
            }
            return;
        }
        for c in text.chars() {
            if !ifs.has(c) {
                self.blank_ended = false;
                self.current.note(c.encode_utf8(&mut [0; 4]));
                self.current.text.push(c);
            } else if matches!(c, ' ' | '\t' | '\n') {
                if self.exists || !self.current.text.is_empty() {
                    self.end_field();
                    self.blank_ended = true;
                }
            } else if self.blank_ended {
                self.blank_ended = false;
            } else {
                self.end_field();
            }
        }
    }

    /// The elements of `$@`, `$*` or an array.
    pub(super) fn list(&mut self, items: &[String], star: bool, quoted: bool, ifs: &Ifs, joiner: &str) {
        if self.mode != Mode::Fields {
            let with = if star { joiner } else { " " };
            return self.value(&items.join(with), quoted, ifs);
        }
        if quoted && star {
            return self.quoted(&items.join(joiner));
        }
        // Elements are joined and split again: a separator that is no blank keeps empty ones.
        if !quoted
            && let Some(first) = ifs.first()
            && !matches!(first, ' ' | '\t' | '\n')
        {
            return self.value(&items.join(first.encode_utf8(&mut [0; 4])), false, ifs);
        }
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                if quoted {
                    self.end_field()
                } else {
                    self.finish()
                }
                self.blank_ended = false;
            }
            self.value(item, quoted, ifs);
        }
    }
}
