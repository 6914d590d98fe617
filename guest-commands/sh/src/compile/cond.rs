//! Parses the inside of `[[ ]]`. It evaluates nothing.

use super::Result;
use super::word::{self, Mode};
use crate::ir::{Cond, CondOp, Word};
use crate::source::SyntaxError;
use crate::source::skip::Skipper;

struct Tokens<'a> {
    s: Skipper<'a>,
    i: usize,
    line: u32,
    depth: u32,
}

/// The condition that `text` writes.
pub(super) fn parse(text: &str, line: u32) -> Result<Cond> {
    let mut tokens = Tokens { s: Skipper::new(text), i: 0, line, depth: 0 };
    let cond = tokens.or()?;
    tokens.blanks();
    if tokens.i < tokens.s.b.len() {
        return Err(tokens.error());
    }
    Ok(cond)
}

impl<'a> Tokens<'a> {
    fn error(&self) -> SyntaxError {
        let near = self.s.src.get(self.i..).unwrap_or_default().split_whitespace().next().unwrap_or("]]");
        SyntaxError::Wrong(
            format!("syntax error in conditional expression: unexpected token `{near}'"),
            self.line,
        )
    }

    fn blanks(&mut self) {
        loop {
            match self.s.at(self.i) {
                b' ' | b'\t' | b'\n' | b'\r' => self.i += 1,
                b'\\' if self.s.at(self.i + 1) == b'\n' => self.i += 2,
                _ => return,
            }
        }
    }

    fn take(&mut self, text: &str) -> bool {
        self.blanks();
        let found = self.s.src.get(self.i..).is_some_and(|rest| rest.starts_with(text));
        if found {
            self.i += text.len();
        }
        found
    }

    fn or(&mut self) -> Result<Cond> {
        self.depth += 1;
        if self.depth > 100 {
            return Err(self.error());
        }
        let mut left = self.and()?;
        while self.take("||") {
            left = Cond::Or(Box::new(left), Box::new(self.and()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn and(&mut self) -> Result<Cond> {
        let mut left = self.not()?;
        while self.take("&&") {
            left = Cond::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Cond> {
        let mut negate = false;
        loop {
            self.blanks();
            if self.s.at(self.i) == b'!' && matches!(self.s.at(self.i + 1), b' ' | b'\t' | b'\n' | b'(') {
                self.i += 1;
                negate = !negate;
                continue;
            }
            break;
        }
        let cond = self.primary()?;
        Ok(if negate { Cond::Not(Box::new(cond)) } else { cond })
    }

    fn primary(&mut self) -> Result<Cond> {
        if self.take("(") {
            let inner = self.or()?;
            return if self.take(")") { Ok(inner) } else { Err(self.error()) };
        }
        let left = self.raw(false)?;
        if let [b'-', op] = left.as_bytes()
            && b"abcdefghknoprstuvwxzGLNORS".contains(op)
        {
            let before = self.i;
            self.blanks();
            if let Ok(operand) = self.raw(false)
                && !is_binary(operand)
            {
                return Ok(Cond::Unary(*op, self.word(operand)?));
            }
            self.i = before;
        }
        let left = self.word(left)?;
        self.blanks();
        let before = self.i;
        let op = if self.take("<") {
            CondOp::Before
        } else if self.take(">") {
            CondOp::After
        } else {
            match self.raw(false) {
                Ok(raw) => match operator(raw) {
                    Some(op) => op,
                    None => return Err(self.error()),
                },
                Err(_) => {
                    self.i = before;
                    return Ok(Cond::NonEmpty(left));
                }
            }
        };
        self.blanks();
        let right = self.raw(op == CondOp::Regex)?;
        Ok(Cond::Binary(op, left, self.word(right)?))
    }

    fn word(&self, raw: &str) -> Result<Word> {
        word::parse(raw, self.line, Mode::Word)
    }

    /// The next word as written. In a regular expression `(`, `)`, `|`, `<`, `>` belong to the word.
    fn raw(&mut self, regex: bool) -> Result<&'a str> {
        self.blanks();
        let start = self.i;
        let mut parens = 0u32;
        while self.i < self.s.b.len() {
            let i = self.i;
            self.i = match self.s.b[i] {
                b' ' | b'\t' | b'\n' if parens == 0 => break,
                b'\\' => self.s.char_end(i + 1).min(self.s.b.len()),
                b'\'' => self.s.single(i)?,
                b'"' => self.s.double(i)?,
                b'`' => self.s.backquote(i)?,
                b'$' => self.s.dollar(i, false)?,
                b'[' if regex => self.bracket(i),
                b'(' if regex || i > start && b"@?*+!".contains(&self.s.b[i - 1]) => {
                    parens += 1;
                    i + 1
                }
                b')' if parens > 0 => {
                    parens -= 1;
                    i + 1
                }
                b'(' | b')' => break,
                b'|' if parens > 0 || regex && self.s.at(i + 1) != b'|' => i + 1,
                b'&' | b'|' | b'<' | b'>' if parens == 0 => break,
                _ => i + 1,
            };
        }
        if self.i == start { Err(self.error()) } else { Ok(&self.s.src[start..self.i]) }
    }

    /// Past a bracket expression, or past the bracket if it has no end.
    fn bracket(&self, i: usize) -> usize {
        let mut j = i + 1;
        if self.s.at(j) == b'^' {
            j += 1;
        }
        if self.s.at(j) == b']' {
            j += 1;
        }
        loop {
            match self.s.at(j) {
                0 | b'\n' | b'\'' | b'"' | b'$' | b' ' => return i + 1,
                b'[' if self.s.at(j + 1) == b':' => match self.s.src[j..].find(":]") {
                    Some(n) => j += n + 2,
                    None => return i + 1,
                },
                b']' => return j + 1,
                _ => j += 1,
            }
        }
    }
}

fn is_binary(raw: &str) -> bool {
    operator(raw).is_some()
}

fn operator(raw: &str) -> Option<CondOp> {
    Some(match raw {
        "=" | "==" => CondOp::Match,
        "!=" => CondOp::NoMatch,
        "=~" => CondOp::Regex,
        "-eq" => CondOp::Eq,
        "-ne" => CondOp::Ne,
        "-lt" => CondOp::Lt,
        "-le" => CondOp::Le,
        "-gt" => CondOp::Gt,
        "-ge" => CondOp::Ge,
        "-nt" => CondOp::Newer,
        "-ot" => CondOp::Older,
        "-ef" => CondOp::SameFile,
        _ => return None,
    })
}
