//! Finds where a quote or an expansion ends in text that is complete, as a word is that was read before.

use super::SyntaxError;
use super::scan::{Scan, Skip};

/// Scanner over one text.
#[derive(Clone, Copy)]
pub(crate) struct Skipper<'a> {
    pub(crate) src: &'a str,
    pub(crate) b: &'a [u8],
    depth: u32,
}

impl<'a> Skipper<'a> {
    pub(crate) fn new(src: &'a str) -> Self {
        Skipper { src, b: src.as_bytes(), depth: 0 }
    }

    pub(crate) fn at(&self, i: usize) -> u8 {
        self.b.get(i).copied().unwrap_or(0)
    }

    /// Past the character at `i`.
    pub(crate) fn char_end(&self, i: usize) -> usize {
        Scan::char_end(self, i)
    }

    /// Past the `'…'` at `i`.
    pub(crate) fn single(mut self, i: usize) -> Skip {
        Scan::single(&mut self, i)
    }

    /// Past the `$'…'` at `i`.
    pub(crate) fn ansi(mut self, i: usize) -> Skip {
        Scan::ansi(&mut self, i)
    }

    /// Past the `"…"` at `i`.
    pub(crate) fn double(mut self, i: usize) -> Skip {
        Scan::double(&mut self, i)
    }

    /// Past the backquoted command at `i`.
    pub(crate) fn backquote(mut self, i: usize) -> Skip {
        Scan::backquote(&mut self, i)
    }

    /// Past the expansion whose `$` is at `i`; just past the `$` if there is none.
    pub(crate) fn dollar(mut self, i: usize, in_double: bool) -> Skip {
        Scan::dollar(&mut self, i, in_double)
    }

    /// Past the `)` that ends the commands starting at `i`.
    pub(crate) fn command(mut self, i: usize) -> Skip {
        Scan::command(&mut self, i)
    }

    /// Past the `))` that ends the arithmetic starting at `i`; an error if it is not arithmetic.
    pub(crate) fn arithmetic(mut self, i: usize) -> Skip {
        Scan::arithmetic(&mut self, i)?.ok_or_else(|| self.missing(')', i))
    }

    /// Past the `close` that matches one `open` before `i`, minding quotes and expansions.
    pub(crate) fn balanced(mut self, i: usize, open: u8, close: u8) -> Skip {
        Scan::balanced(&mut self, i, char::from(open), char::from(close))
    }
}

impl Scan for Skipper<'_> {
    fn byte(&mut self, i: usize) -> Result<u8, SyntaxError> {
        Ok(self.at(i))
    }

    fn raw_byte(&mut self, i: usize) -> Result<u8, SyntaxError> {
        Ok(self.at(i))
    }

    fn text(&self) -> &str {
        self.src
    }

    fn command(&mut self, i: usize) -> Skip {
        let rest = self.src.get(i..).unwrap_or_default();
        if let Some(len) = super::known::len_at(rest) {
            return Ok(i + len + 1);
        }
        super::units::command_len(rest, self.depth).map(|len| i + len)
    }

    fn depth(&mut self) -> &mut u32 {
        &mut self.depth
    }

    fn missing(&self, what: char, _: usize) -> SyntaxError {
        SyntaxError::Incomplete(format!("unexpected EOF while looking for matching `{what}'"))
    }
}
