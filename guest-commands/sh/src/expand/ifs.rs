//! The separators of fields, prepared for looking at every byte of a value. It splits nothing.

use std::rc::Rc;

/// What separates fields: the value of `IFS`.
#[derive(Debug, Clone)]
pub(crate) struct Ifs {
    /// What joins elements.
    first: Option<char>,
    /// One bit for each ASCII character.
    ascii: u128,
    /// The whole value, if it holds other characters.
    wide: Option<Rc<str>>,
}

impl Ifs {
    /// Blank, tab, newline: what separates when `IFS` is unset.
    pub(crate) const DEFAULT: Ifs =
        Ifs { first: Some(' '), ascii: 1 << b' ' | 1 << b'\t' | 1 << b'\n', wide: None };

    /// The separators that a value of `IFS` stands for.
    pub(crate) fn new(text: &str) -> Self {
        if text == " \t\n" {
            return Self::DEFAULT;
        }
        let ascii = text.bytes().filter(u8::is_ascii).fold(0, |bits, b| bits | 1 << b);
        Ifs { first: text.chars().next(), ascii, wide: (!text.is_ascii()).then(|| Rc::from(text)) }
    }

    /// The first separator.
    pub(crate) fn first(&self) -> Option<char> {
        self.first
    }

    /// Whether a character separates.
    #[inline]
    pub(crate) fn has(&self, c: char) -> bool {
        match u8::try_from(c) {
            Ok(b) if b < 128 => self.ascii >> b & 1 != 0,
            _ => self.wide.as_ref().is_some_and(|wide| wide.contains(c)),
        }
    }

    /// Whether some character of `text` separates.
    #[inline]
    pub(crate) fn splits(&self, text: &str) -> bool {
        if self.ascii == 0 && self.wide.is_none() {
            return false;
        }
        text.bytes().any(|b| b < 128 && self.ascii >> b & 1 != 0)
            || self.wide.as_ref().is_some_and(|wide| text.contains(|c| wide.contains(c)))
    }
}
