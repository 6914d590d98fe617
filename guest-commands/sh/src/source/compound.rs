//! Compound commands: groups, loops, choices, arithmetic.

use super::SyntaxError;
use super::lexer::{Assignments, Lexeme, Reader, Token};
use super::scan::Scan as _;
use super::skip::Skipper;
use crate::arith::Arith;
use crate::ir::{Arm, Command, Kind, List, Then, Word};
use crate::symbols::{Sym, sym};

type Result<T> = std::result::Result<T, SyntaxError>;

impl Reader<'_> {
    /// The compound command that begins with the next token, and its redirections; `None` if that begins none.
    #[inline(never)]
    pub(super) fn compound(&mut self) -> Result<Option<Command>> {
        let next = self.peek_alias(true)?;
        let line = self.line_at(next.start);
        let kind = match (next.token, self.str(next)) {
            (Token::Operator, "(") => self.parenthesis(next)?,
            (Token::Word, "{") => {
                self.take()?;
                Kind::Brace(self.braced()?)
            }
            (Token::Word, "if") => self.if_clause()?,
            (Token::Word, "while") => self.while_loop(false)?,
            (Token::Word, "until") => self.while_loop(true)?,
            (Token::Word, "for") => self.for_loop()?,
            (Token::Word, "select") => self.select()?,
            (Token::Word, "case") => self.case()?,
            (Token::Word, "[[") => Kind::Cond(self.condition()?),
            _ => return Ok(None),
        };
        Ok(Some(Command { kind, redirects: self.redirects()?, line }))
    }

    /// `( … )`, or `(( … ))` where that is arithmetic.
    #[inline(never)]
    fn parenthesis(&mut self, open: Lexeme) -> Result<Kind> {
        if let Some(text) = self.double_parenthesis(open)? {
            return Ok(Kind::Arith(Arith::new(&text, self.line_at(open.start))?));
        }
        self.take()?;
        let list = self.compound_list()?;
        self.close(")")?;
        Ok(Kind::Subshell(list))
    }

    /// The text between `((` and `))`, if they are what stands here.
    #[inline(never)]
    fn double_parenthesis(&mut self, open: Lexeme) -> Result<Option<String>> {
        if self.byte(open.end)? != b'(' {
            return Ok(None);
        }
        let start = open.end + 1;
        match self.arithmetic(start)? {
            Some(end) => {
                self.go_to(end);
                Ok(Some(self.text[start..end - 2].to_owned()))
            }
            None => {
                self.go_to(open.start);
                Ok(None)
            }
        }
    }

    fn close(&mut self, operator: &str) -> Result<()> {
        if self.is(operator)? {
            self.take()?;
            return Ok(());
        }
        let next = self.peek()?;
        Err(self.unexpected(next))
    }

    /// What follows `{`.
    #[inline(never)]
    fn braced(&mut self) -> Result<List> {
        let list = self.compound_list()?;
        self.expect_word("}")?;
        Ok(list)
    }

    #[inline(never)]
    fn if_clause(&mut self) -> Result<Kind> {
        self.take()?;
        let mut arms = Vec::with_capacity(1);
        let mut otherwise = None;
        loop {
            let condition = self.compound_list()?;
            self.expect_word("then")?;
            arms.push((condition, self.compound_list()?));
            if self.is_word("elif")? {
                self.take()?;
                continue;
            }
            if self.is_word("else")? {
                self.take()?;
                otherwise = Some(self.compound_list()?);
            }
            self.expect_word("fi")?;
            return Ok(Kind::If { arms, otherwise });
        }
    }

    #[inline(never)]
    fn while_loop(&mut self, until: bool) -> Result<Kind> {
        self.take()?;
        let condition = self.compound_list()?;
        self.expect_word("do")?;
        let body = self.compound_list()?;
        self.expect_word("done")?;
        Ok(Kind::While { until, condition, body })
    }

    /// The body of a `for` or `select`: `do … done`, or in braces, which is in no standard.
    #[inline(never)]
    fn loop_body(&mut self) -> Result<List> {
        self.command_start()?;
        if self.is_word("{")? {
            self.take()?;
            return self.braced();
        }
        self.expect_word("do")?;
        let body = self.compound_list()?;
        self.expect_word("done")?;
        Ok(body)
    }

    #[inline(never)]
    fn for_loop(&mut self) -> Result<Kind> {
        let keyword = self.take()?;
        if self.is("(")? {
            let open = self.peek()?;
            if let Some(text) = self.double_parenthesis(open)? {
                return self.arithmetic_loop(&text, self.line_at(keyword.start));
            }
        }
        let (var, words) = self.loop_head()?;
        Ok(Kind::For { var, words, body: self.loop_body()? })
    }

    #[inline(never)]
    fn select(&mut self) -> Result<Kind> {
        self.take()?;
        let (var, words) = self.loop_head()?;
        Ok(Kind::Select { var, words, body: self.loop_body()? })
    }

    #[inline(never)]
    fn arithmetic_loop(&mut self, text: &str, line: u32) -> Result<Kind> {
        if self.is(";")? {
            self.take()?;
        }
        let body = self.loop_body()?;
        let parts = split(text);
        let wrong = match parts.len() {
            3 => None,
            0..3 => Some("syntax error: arithmetic expression required"),
            _ => Some("syntax error: `;' unexpected"),
        };
        if let Some(wrong) = wrong {
            let shown = format!("syntax error: `(({text}))'");
            return Err(self.report(vec![wrong.into(), shown], self.line()));
        }
        let mut parts = parts
            .into_iter()
            .map(|part| (!part.trim().is_empty()).then(|| Arith::new(part, line).map(Box::new)).transpose());
        let mut part = || parts.next().unwrap_or(Ok(None));
        Ok(Kind::ForArith { init: part()?, condition: part()?, step: part()?, body })
    }

    /// The variable of a loop, and the words it takes if they are given.
    #[inline(never)]
    fn loop_head(&mut self) -> Result<(Sym, Option<Vec<Word>>)> {
        let name = self.take()?;
        if name.token != Token::Word {
            return Err(self.unexpected(name));
        }
        let var = sym(self.str(name));
        if self.is(";")? {
            self.take()?;
            return Ok((var, None));
        }
        self.newlines()?;
        let next = self.peek_alias(false)?;
        if next.token != Token::Word || self.str(next) != "in" {
            return Ok((var, None));
        }
        self.take()?;
        self.assignments = Assignments::No;
        let mut words = Vec::new();
        loop {
            let next = self.peek_alias(false)?;
            if next.token != Token::Word {
                break;
            }
            self.take()?;
            self.words_of(next, &mut words)?;
        }
        self.assignments = Assignments::Yes;
        let next = self.peek()?;
        if next.token != Token::Newline && !self.is(";")? {
            return Err(self.unexpected(next));
        }
        self.take()?;
        Ok((var, Some(words)))
    }

    #[inline(never)]
    fn case(&mut self) -> Result<Kind> {
        self.take()?;
        self.assignments = Assignments::No;
        let subject = self.peek_alias(false)?;
        if subject.token != Token::Word {
            return Err(self.unexpected(subject));
        }
        self.take()?;
        let word = self.word_of(subject)?;
        self.newlines()?;
        let next = self.peek_alias(false)?;
        if next.token != Token::Word || self.str(next) != "in" {
            return Err(self.unexpected(next));
        }
        self.take()?;
        let mut arms = Vec::new();
        loop {
            self.assignments = Assignments::No;
            self.newlines()?;
            let next = self.peek_alias(false)?;
            if next.token == Token::Word && self.str(next) == "esac" {
                break;
            }
            let (arm, last) = self.arm()?;
            arms.push(arm);
            if last {
                break;
            }
        }
        self.assignments = Assignments::Yes;
        self.expect_word("esac")?;
        Ok(Kind::Case { word, arms })
    }

    /// An item of `case`, and whether it is the last.
    #[inline(never)]
    fn arm(&mut self) -> Result<(Arm, bool)> {
        if self.is("(")? {
            self.take()?;
        }
        let mut patterns = Vec::with_capacity(1);
        loop {
            let pattern = self.peek_alias(false)?;
            if pattern.token != Token::Word {
                return Err(self.unexpected(pattern));
            }
            self.take()?;
            patterns.push(self.word_of(pattern)?);
            if !self.is("|")? {
                break;
            }
            self.take()?;
        }
        self.close(")")?;
        self.assignments = Assignments::Yes;
        self.newlines()?;
        let body = if self.list_ends()? { List::default() } else { self.compound_list()? };
        let next = self.peek()?;
        let then = match (next.token, self.str(next)) {
            (Token::Operator, ";;") => Then::Leave,
            (Token::Operator, ";&") => Then::FallThrough,
            (Token::Operator, ";;&") => Then::TestNext,
            _ => return Ok((Arm { patterns, body, then: Then::Leave }, true)),
        };
        self.take()?;
        Ok((Arm { patterns, body, then }, false))
    }
}

/// The parts of the head of an arithmetic loop.
fn split(text: &str) -> Vec<&str> {
    let s = Skipper::new(text);
    let (mut parts, mut from, mut i) = (Vec::new(), 0, 0);
    while i < s.b.len() {
        i = match s.b[i] {
            b';' => {
                parts.push(&text[from..i]);
                from = i + 1;
                i + 1
            }
            b'$' => s.dollar(i, false).unwrap_or(i + 1),
            b'"' => s.double(i).unwrap_or(i + 1),
            _ => i + 1,
        };
    }
    parts.push(text.get(from..).unwrap_or_default());
    parts
}
