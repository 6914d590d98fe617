//! Finds where a quote or an expansion ends. It does not interpret what is inside.

use super::SyntaxError;
use super::mask::Masker;

/// How deeply expansions may nest: the guest's stack is small.
const MAX_DEPTH: u32 = 200;

pub(crate) type Skip = Result<usize, SyntaxError>;

fn missing(what: &str) -> SyntaxError {
    SyntaxError::Incomplete(format!("unexpected EOF while looking for matching `{what}'"))
}

/// Scanner over one text.
#[derive(Clone, Copy)]
pub(crate) struct Skipper<'a> {
    pub(crate) src: &'a str,
    pub(crate) b: &'a [u8],
    pub(crate) depth: u32,
}

impl<'a> Skipper<'a> {
    pub(crate) fn new(src: &'a str) -> Self {
        Skipper { src, b: src.as_bytes(), depth: 0 }
    }

    fn deeper(self) -> Result<Self, SyntaxError> {
        if self.depth >= MAX_DEPTH {
            return Err(SyntaxError::Wrong("expansions nest too deeply".into(), 0));
        }
        Ok(Skipper { depth: self.depth + 1, ..self })
    }

    pub(crate) fn at(&self, i: usize) -> u8 {
        self.b.get(i).copied().unwrap_or(0)
    }

    /// Past the character at `i`.
    pub(crate) fn char_end(&self, i: usize) -> usize {
        self.src.get(i..).and_then(|s| s.chars().next()).map_or(i + 1, |c| i + c.len_utf8())
    }

    /// Past the `'…'` at `i`.
    pub(crate) fn single(&self, i: usize) -> Skip {
        self.b[i + 1..].iter().position(|b| *b == b'\'').map(|n| i + n + 2).ok_or_else(|| missing("'"))
    }

    /// Past the `$'…'` at `i`.
    pub(crate) fn ansi(&self, i: usize) -> Skip {
        let mut i = i + 2;
        loop {
            match self.b.get(i) {
                None => return Err(missing("'")),
                Some(b'\\') => i += 2,
                Some(b'\'') => return Ok(i + 1),
                Some(_) => i += 1,
            }
        }
    }

    /// Past the `"…"` at `i`.
    pub(crate) fn double(&self, i: usize) -> Skip {
        let inner = self.deeper()?;
        let mut i = i + 1;
        loop {
            match self.b.get(i) {
                None => return Err(missing("\"")),
                Some(b'\\') => i += 2,
                Some(b'"') => return Ok(i + 1),
                Some(b'`') => i = self.backquote(i)?,
                Some(b'$') => i = inner.dollar(i, true)?,
                Some(_) => i += 1,
            }
        }
    }

    /// Past the backquoted command at `i`.
    pub(crate) fn backquote(&self, i: usize) -> Skip {
        let mut i = i + 1;
        loop {
            match self.b.get(i) {
                None => return Err(missing("`")),
                Some(b'\\') => i += 2,
                Some(b'`') => return Ok(i + 1),
                Some(_) => i += 1,
            }
        }
    }

    /// Past the expansion whose `$` is at `i`; just past the `$` if there is none.
    pub(crate) fn dollar(&self, i: usize, in_double: bool) -> Skip {
        let inner = self.deeper()?;
        match self.at(i + 1) {
            b'(' if self.at(i + 2) == b'(' => match inner.arithmetic(i + 3) {
                Ok(end) => Ok(end),
                Err(_) => inner.command(i + 2),
            },
            b'(' => inner.command(i + 2),
            b'{' => inner.brace(i + 2, in_double),
            b'[' => inner.balanced(i + 2, b'[', b']'),
            b'\'' if !in_double => self.ansi(i),
            b'"' if !in_double => inner.double(i + 1),
            b'@' | b'*' | b'#' | b'?' | b'-' | b'$' | b'!' | b'0'..=b'9' => Ok(i + 2),
            _ => Ok(i + 1 + crate::text::name_len(&self.b[i + 1..])),
        }
    }

    /// Past the `)` that ends the commands starting at `i`.
    pub(crate) fn command(&self, i: usize) -> Skip {
        Masker::nested(*self, i)?.find_close()
    }

    /// Past the `))` that ends the arithmetic starting at `i`; an error if it is not arithmetic.
    pub(crate) fn arithmetic(&self, i: usize) -> Skip {
        let close = self.balanced(i, b'(', b')')?;
        if self.at(close) == b')' { Ok(close + 1) } else { Err(missing(")")) }
    }

    /// Past the `close` that matches one `open` before `i`, minding quotes and expansions.
    pub(crate) fn balanced(&self, i: usize, open: u8, close: u8) -> Skip {
        let inner = self.deeper()?;
        let mut depth = 1u32;
        let mut i = i;
        loop {
            match self.b.get(i) {
                None => return Err(missing(std::str::from_utf8(&[close]).unwrap_or(")"))),
                Some(b'\\') => i += 2,
                Some(b'\'') => i = self.single(i)?,
                Some(b'"') => i = inner.double(i)?,
                Some(b'`') => i = self.backquote(i)?,
                Some(b'$') => i = inner.dollar(i, false)?,
                // A comment among the elements of an array.
                Some(b'#') if open == b'(' && i > 0 && matches!(self.b[i - 1], b'\n' | b' ' | b'\t') => {
                    match self.b[i..].iter().position(|b| *b == b'\n') {
                        Some(n) if self.b[i..i + n].contains(&b'\'') || self.b[i + 1] == b' ' => i += n,
                        _ => i += 1,
                    }
                }
                Some(b) if *b == open => {
                    depth += 1;
                    i += 1;
                }
                Some(b) if *b == close => {
                    depth -= 1;
                    i += 1;
                    if depth == 0 {
                        return Ok(i);
                    }
                }
                Some(_) => i += 1,
            }
        }
    }

    /// Past the `}` of the `${` before `i`. Within double quotes a single quote is an ordinary character, except in the
    /// pattern operators.
    pub(crate) fn brace(&self, i: usize, in_double: bool) -> Skip {
        let inner = self.deeper()?;
        let start = i;
        let mut i = i;
        let mut quotes = !in_double;
        loop {
            match self.b.get(i) {
                None => return Err(missing("}")),
                Some(b'\\') => i += 2,
                Some(b'\'') if quotes => i = self.single(i)?,
                Some(b'"') => i = inner.double(i)?,
                Some(b'`') => i = self.backquote(i)?,
                Some(b'$') => i = inner.dollar(i, in_double && !quotes)?,
                Some(b'}') => return Ok(i + 1),
                Some(b) => {
                    if in_double && !quotes && matches!(b, b'#' | b'%' | b'/' | b'^' | b',') && i > start {
                        let name = self.b[start..i]
                            .iter()
                            .all(|b| b.is_ascii_alphanumeric() || b"_[]@*!#?".contains(b));
                        quotes = name;
                    }
                    i += 1;
                }
            }
        }
    }
}
