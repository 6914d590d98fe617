//! The inside of `[[ ]]`. It evaluates nothing.

use super::lexer::{Assignments, Lexeme, Reader, Token};
use super::scan::Scan as _;
use super::{Effect, Report, SyntaxError};
use crate::ir::{Cond, CondOp, Word};

type Result<T> = std::result::Result<T, SyntaxError>;

/// The letters of tests with one operand.
const UNARY: &[u8] = b"abcdefghknoprstuvwxzGLNORS";

impl Reader<'_> {
    /// `[[ … ]]`, with the opening word still to come.
    #[inline(never)]
    pub(super) fn condition(&mut self) -> Result<Cond> {
        let open = self.take()?;
        let line = self.line_at(open.start);
        let before = std::mem::replace(&mut self.assignments, Assignments::No);
        let cond = self.cond_or()?;
        let close = self.take()?;
        self.assignments = before;
        if close.token != Token::Word || self.str(close) != "]]" {
            return Err(match (close.token, self.cond_token(close)) {
                (Token::End, _) => self.cond_error("unexpected EOF while looking for `]]'".into(), line),
                (_, Some(token)) => self.cond_error(
                    format!("syntax error in conditional expression: unexpected token `{token}'"),
                    line,
                ),
                _ => self.cond_error("syntax error in conditional expression".into(), line),
            });
        }
        Ok(cond)
    }

    #[inline(never)]
    fn cond_error(&mut self, message: String, line: u32) -> SyntaxError {
        let messages = if message.is_empty() { Vec::new() } else { vec![message] };
        let ended = self.rest().is_empty() && !self.pull().unwrap_or(true);
        let effect = if ended { Effect::Ends } else { Effect::EndsQuietly };
        SyntaxError::Report(Box::new(Report { messages, line, effect }))
    }

    /// What a token is called in messages about conditions; words are not named.
    fn cond_token(&self, lexeme: Lexeme) -> Option<String> {
        match lexeme.token {
            Token::End => None,
            Token::Word if self.str(lexeme) != "]]" => None,
            _ => Some(self.token_name(lexeme)),
        }
    }

    #[inline(never)]
    fn cond_or(&mut self) -> Result<Cond> {
        self.enter()?;
        let first = self.cond_and()?;
        let mut more = Vec::new();
        while self.is("||")? {
            self.take()?;
            more.push(self.cond_and()?);
        }
        self.nesting -= 1;
        Ok(chain(first, more, Cond::Or))
    }

    #[inline(never)]
    fn cond_and(&mut self) -> Result<Cond> {
        let first = self.cond_term()?;
        let mut more = Vec::new();
        while self.is("&&")? {
            self.take()?;
            more.push(self.cond_term()?);
        }
        Ok(chain(first, more, Cond::And))
    }

    fn cond_term(&mut self) -> Result<Cond> {
        let mut negate = false;
        loop {
            self.newlines()?;
            let next = self.peek()?;
            if next.token != Token::Word || self.str(next) != "!" {
                break;
            }
            self.take()?;
            negate = !negate;
        }
        let cond = self.cond_primary()?;
        Ok(if negate { Cond::Not(Box::new(cond)) } else { cond })
    }

    #[inline(never)]
    fn cond_primary(&mut self) -> Result<Cond> {
        if self.is("(")? {
            let open = self.take()?;
            let inner = self.cond_or()?;
            let close = self.take()?;
            if close.token != Token::Operator || self.str(close) != ")" {
                let line = self.line_at(open.start);
                return Err(match self.cond_token(close) {
                    Some(token) => self.cond_error(format!("unexpected token `{token}', expected `)'"), line),
                    None => self.cond_error("expected `)'".into(), line),
                });
            }
            self.newlines()?;
            return Ok(Cond::Group(Box::new(inner)));
        }
        let first = self.take()?;
        let line = self.line_at(first.start);
        let text = self.str(first);
        match first.token {
            Token::Word if text == "]]" => return Err(self.cond_error(String::new(), line)),
            Token::Word => {}
            _ => {
                let message = format!("unexpected token `{}' in conditional command", self.token_name(first));
                return Err(self.cond_error(message, line));
            }
        }
        if let [b'-', op] = text.as_bytes()
            && UNARY.contains(op)
        {
            let op = *op;
            let operand = self.operand("unary", false)?;
            self.newlines()?;
            return Ok(Cond::Unary(op, operand));
        }
        let left = self.word_of(first)?;
        self.cond_binary(left)
    }

    #[inline(never)]
    fn cond_binary(&mut self, left: Word) -> Result<Cond> {
        let next = self.peek()?;
        let op = match (next.token, self.str(next)) {
            (Token::Word, "]]") | (Token::Operator, "&&" | "||" | ")") => {
                return Ok(Cond::NonEmpty(left));
            }
            (Token::Word, text) => operator(text),
            (Token::Operator, "<") => Some(CondOp::Before),
            (Token::Operator, ">") => Some(CondOp::After),
            _ => None,
        };
        self.take()?;
        let Some(op) = op else {
            let message = match self.cond_token(next) {
                Some(token) => {
                    format!("unexpected token `{token}', conditional binary operator expected")
                }
                None => "conditional binary operator expected".into(),
            };
            return Err(self.cond_error(message, self.line_at(next.start)));
        };
        let before = self.extglob;
        self.extglob |= matches!(op, CondOp::Match | CondOp::NoMatch);
        let right = self.operand("binary", op == CondOp::Regex)?;
        self.extglob = before;
        self.newlines()?;
        Ok(Cond::Binary(op, left, right))
    }

    /// The operand of an operator.
    #[inline(never)]
    fn operand(&mut self, kind: &str, regex: bool) -> Result<Word> {
        let next = if regex { self.regex()? } else { self.take()? };
        if matches!(next.token, Token::Word | Token::Number | Token::Named) && self.str(next) != "]]" {
            return self.word_of(next);
        }
        let message = match self.cond_token(next) {
            Some(token) => format!("unexpected argument `{token}' to conditional {kind} operator"),
            None => format!("unexpected argument to conditional {kind} operator"),
        };
        Err(self.cond_error(message, self.line_at(next.start)))
    }

    /// A regular expression, in which `(…)` and `|` belong to the word.
    fn regex(&mut self) -> Result<Lexeme> {
        self.blanks()?;
        let start = self.at;
        let mut i = start;
        loop {
            i = match self.byte(i)? {
                0 | b' ' | b'\t' | b'\n' | b';' | b'&' | b'<' | b'>' | b')' => break,
                b'(' => self.balanced(i + 1, '(', ')')?,
                b => self.step(i, b)?,
            };
        }
        if i == start {
            return self.take();
        }
        self.at = i;
        Ok(Lexeme { token: Token::Word, start, end: i })
    }
}

/// The terms between operators of one kind.
fn chain(first: Cond, mut more: Vec<Cond>, kind: fn(Vec<Cond>) -> Cond) -> Cond {
    if more.is_empty() {
        return first;
    }
    more.insert(0, first);
    kind(more)
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
