//! Finds where quotes and expansions end. It does not interpret what is inside; commands within are the parser's work.

use super::SyntaxError;
use std::cell::Cell;

pub(crate) type Skip = Result<usize, SyntaxError>;

/// How deeply expansions may nest: the guest's stack is small.
const MAX_DEPTH: u32 = 250;

thread_local! {
    static POSIX: Cell<bool> = const { Cell::new(false) };
    static BRACES: Cell<bool> = const { Cell::new(true) };
}

/// How text is read from here on: in POSIX mode, with brace expansion.
pub(super) fn set_manner(posix: bool, braces: bool) {
    POSIX.set(posix);
    BRACES.set(braces);
}

/// Whether the text that is taken apart was read while braces counted.
pub(crate) fn braces() -> bool {
    BRACES.get()
}

/// Whether the text that is taken apart was read in POSIX mode.
pub(crate) fn posix() -> bool {
    POSIX.get()
}

/// Text that can be scanned; all of it is here, or more arrives on demand.
pub(super) trait Scan {
    /// The byte at `i`; 0 past the end. Outside of single quotes: a backslash-newline does not count.
    fn byte(&mut self, i: usize) -> Result<u8, SyntaxError>;
    /// The same where a backslash-newline is text.
    fn raw_byte(&mut self, i: usize) -> Result<u8, SyntaxError>;
    /// The text, as far as it is here.
    fn text(&self) -> &str;
    /// Past the `)` that ends the commands starting at `i`.
    fn command(&mut self, i: usize) -> Skip;
    /// The nesting, which is counted here.
    fn depth(&mut self) -> &mut u32;
    /// The error that the end of the text is when `what`, opened at `from`, is missing.
    fn missing(&self, what: char, from: usize) -> SyntaxError;

    /// Past the character at `i`.
    fn char_end(&self, i: usize) -> usize {
        match self.text().as_bytes().get(i) {
            Some(0xc0..) => self.text()[i..].chars().next().map_or(i + 1, |c| i + c.len_utf8()),
            _ => i + 1,
        }
    }

    fn deeper<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T, SyntaxError>) -> Result<T, SyntaxError>
    where
        Self: Sized,
    {
        *self.depth() += 1;
        let result = if *self.depth() > MAX_DEPTH {
            Err(SyntaxError::Wrong("expansions nest too deeply".into(), 0))
        } else {
            f(self)
        };
        *self.depth() -= 1;
        result
    }

    /// Past the backslash at `i` and what it quotes.
    fn escaped(&mut self, i: usize) -> Skip {
        Ok(match self.raw_byte(i + 1)? {
            0 => i + 1,
            _ => self.char_end(i + 1),
        })
    }

    /// Past the `'…'` at `i`.
    fn single(&mut self, i: usize) -> Skip {
        let mut at = i + 1;
        loop {
            match self.raw_byte(at)? {
                0 => return Err(self.missing('\'', i)),
                _ => match self.text().as_bytes()[at..].iter().position(|b| *b == b'\'') {
                    Some(n) => return Ok(at + n + 1),
                    None => at = self.text().len(),
                },
            }
        }
    }

    /// Past the `$'…'` at `i`.
    fn ansi(&mut self, i: usize) -> Skip {
        let mut at = i + 2;
        loop {
            match self.raw_byte(at)? {
                0 => return Err(self.missing('\'', i)),
                b'\\' => at = self.escaped(at)?,
                b'\'' => return Ok(at + 1),
                _ => at += 1,
            }
        }
    }

    /// Past the `"…"` at `i`.
    #[inline(never)]
    fn double(&mut self, i: usize) -> Skip
    where
        Self: Sized,
    {
        self.deeper(|s| {
            let mut at = i + 1;
            loop {
                match s.byte(at)? {
                    0 => return Err(s.missing('"', i)),
                    b'\\' => at = s.escaped(at)?,
                    b'"' => return Ok(at + 1),
                    b'`' => at = s.backquote(at)?,
                    b'$' => at = s.dollar(at, true)?,
                    _ => at += 1,
                }
            }
        })
    }

    /// Past the backquoted command at `i`.
    fn backquote(&mut self, i: usize) -> Skip {
        let mut at = i + 1;
        loop {
            match self.raw_byte(at)? {
                0 => return Err(self.missing('`', i)),
                b'\\' => at = self.escaped(at)?,
                b'`' => return Ok(at + 1),
                _ => at += 1,
            }
        }
    }

    /// Past the expansion whose `$` is at `i`; just past the `$` if there is none.
    #[inline(never)]
    fn dollar(&mut self, i: usize, in_double: bool) -> Skip
    where
        Self: Sized,
    {
        match self.byte(i + 1)? {
            // Arithmetic, or commands that begin with a subshell; bash looks which when it expands the word.
            b'(' if self.byte(i + 2)? == b'(' => self.balanced(i + 2, '(', ')'),
            b'(' => self.deeper(|s| s.command(i + 2)),
            b'{' => self.deeper(|s| s.brace(i + 2, in_double)),
            b'[' => self.deeper(|s| s.balanced(i + 2, '[', ']')),
            b'\'' if !in_double => self.ansi(i),
            b'"' if !in_double => self.double(i + 1),
            b'@' | b'*' | b'#' | b'?' | b'-' | b'$' | b'!' | b'0'..=b'9' => Ok(i + 2),
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                let mut at = i + 2;
                while matches!(self.byte(at)?, b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9') {
                    at += 1;
                }
                Ok(at)
            }
            _ => Ok(i + 1),
        }
    }

    /// Past the `))` that ends the arithmetic starting at `i`; `None` if it is not arithmetic.
    fn arithmetic(&mut self, i: usize) -> Result<Option<usize>, SyntaxError>
    where
        Self: Sized,
    {
        let close = self.balanced(i, '(', ')')?;
        Ok((self.byte(close)? == b')').then_some(close + 1))
    }

    /// Past the `close` that matches one `open` before `i`, minding quotes and expansions.
    #[inline(never)]
    fn balanced(&mut self, i: usize, open: char, close: char) -> Skip
    where
        Self: Sized,
    {
        let start = i.saturating_sub(1);
        self.deeper(|s| {
            let mut depth = 1u32;
            let mut i = i;
            loop {
                match s.byte(i)? {
                    0 => return Err(s.missing(close, start)),
                    b'\\' => i = s.escaped(i)?,
                    b'\'' => i = s.single(i)?,
                    b'"' => i = s.double(i)?,
                    b'`' => i = s.backquote(i)?,
                    b'$' => i = s.dollar(i, false)?,
                    b if char::from(b) == open => {
                        depth += 1;
                        i += 1;
                    }
                    b if char::from(b) == close => {
                        depth -= 1;
                        i += 1;
                        if depth == 0 {
                            return Ok(i);
                        }
                    }
                    _ => i += 1,
                }
            }
        })
    }

    /// Past the `}` of the `${` before `i`. In POSIX mode a single quote within double quotes is an ordinary character,
    /// except in the pattern operators.
    #[inline(never)]
    fn brace(&mut self, i: usize, in_double: bool) -> Skip
    where
        Self: Sized,
    {
        let start = i;
        let mut i = i;
        let lenient = !in_double || !posix();
        let mut quotes = !in_double;
        loop {
            match self.byte(i)? {
                0 => return Err(self.missing('}', start.saturating_sub(2))),
                b'\\' => i = self.escaped(i)?,
                b'\'' if quotes || lenient => i = self.single(i)?,
                b'"' => i = self.double(i)?,
                b'`' => i = self.backquote(i)?,
                b'$' => i = self.dollar(i, !quotes && !lenient)?,
                b'<' | b'>' if !in_double && self.byte(i + 1)? == b'(' => {
                    i = self.deeper(|s| s.command(i + 2))?;
                }
                b'}' => return Ok(i + 1),
                b => {
                    if in_double && !quotes && matches!(b, b'#' | b'%' | b'/' | b'^' | b',') && i > start {
                        quotes = self.text().as_bytes()[start..i]
                            .iter()
                            .all(|b| b.is_ascii_alphanumeric() || b"_[]@*!#?".contains(b));
                    }
                    i += 1;
                }
            }
        }
    }
}
