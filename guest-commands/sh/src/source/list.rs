//! The grammar from complete commands down to single ones: lists, pipelines, functions.

use super::SyntaxError;
use super::lexer::{Lexeme, Reader, Token};
use super::scan::Scan as _;
use crate::ir::{
    Command, Item, Kind, List, Pipeline, Redirect, RedirectFd, RedirectKind, Simple, Timed, Word,
};
use std::rc::Rc;

type Result<T> = std::result::Result<T, SyntaxError>;

const RESERVED: &[&str] = &[
    "!", "[[", "]]", "case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if",
    "in", "select", "then", "time", "until", "while", "{", "}",
];

/// Whether a word means something to the grammar.
pub(super) fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&word)
}

/// Whether a word ends or continues a compound command and cannot begin one.
fn closes(word: &str) -> bool {
    matches!(word, "then" | "do" | "done" | "fi" | "elif" | "else" | "esac" | "}")
}

impl Reader<'_> {
    /// The next complete command: the lists of one line. Nothing at the end.
    pub(super) fn complete_command(&mut self) -> Result<Option<List>> {
        self.command_start()?;
        if self.peek()?.token == Token::End {
            return Ok(None);
        }
        let mut items = Vec::with_capacity(1);
        loop {
            let (item, separated) = self.item()?;
            items.push(item);
            let next = self.peek_alias(separated)?;
            match next.token {
                Token::Newline => {
                    self.take()?;
                    return Ok(Some(List { items }));
                }
                Token::End => return Ok(Some(List { items })),
                _ if separated => {}
                _ => return Err(self.unexpected(next)),
            }
        }
    }

    /// An and-or list and whether `;` or `&` follows it.
    #[inline(never)]
    fn item(&mut self) -> Result<(Item, bool)> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            let and = self.is("&&")?;
            if !and && !self.is("||")? {
                break;
            }
            self.take()?;
            self.command_start()?;
            rest.push((and, self.pipeline()?));
        }
        let background = self.is("&")?;
        let separated = background || self.is(";")?;
        if separated {
            self.take()?;
        }
        Ok((Item { first, rest, background }, separated))
    }

    /// The commands within a compound command, up to the word or operator that ends them.
    #[inline(never)]
    pub(super) fn compound_list(&mut self) -> Result<List> {
        self.command_start()?;
        let mut items = Vec::new();
        loop {
            let (item, separated) = self.item()?;
            items.push(item);
            let more = separated || self.peek_alias(false)?.token == Token::Newline;
            if more {
                self.command_start()?;
            }
            if !more || self.list_ends()? {
                return Ok(List { items });
            }
        }
    }

    /// Past newlines, also those that aliases have.
    pub(super) fn command_start(&mut self) -> Result<()> {
        while self.peek_alias(true)?.token == Token::Newline {
            self.take()?;
        }
        Ok(())
    }

    /// Whether what comes next cannot begin a command and may end a list.
    #[inline(never)]
    pub(super) fn list_ends(&mut self) -> Result<bool> {
        let next = self.peek_alias(true)?;
        Ok(match next.token {
            Token::Word => closes(self.str(next)),
            Token::Operator => matches!(self.str(next), ")" | ";;" | ";&" | ";;&"),
            Token::End => true,
            _ => false,
        })
    }

    /// The commands of a substitution, which may be none.
    pub(super) fn substitution_list(&mut self) -> Result<List> {
        self.command_start()?;
        if self.is(")")? {
            return Ok(List::default());
        }
        self.compound_list()
    }

    /// Whether the next token is this reserved word.
    pub(super) fn is_word(&mut self, word: &str) -> Result<bool> {
        let next = self.peek_alias(true)?;
        Ok(next.token == Token::Word && self.str(next) == word)
    }

    /// Uses up the reserved word, which must be there.
    pub(super) fn expect_word(&mut self, word: &str) -> Result<()> {
        if self.is_word(word)? {
            self.take()?;
            return Ok(());
        }
        let next = self.peek()?;
        Err(self.unexpected(next))
    }

    #[inline(never)]
    fn pipeline(&mut self) -> Result<Pipeline> {
        let (mut negate, mut timed, mut prefixed) = (false, None, false);
        loop {
            if self.is_word("!")? {
                self.take()?;
                negate = !negate;
            } else if self.is_word("time")? && self.time_counts()? {
                timed = Some(timed.unwrap_or(Timed::Bash));
                if self.is_word("-p")? {
                    self.take()?;
                    timed = Some(Timed::Posix);
                }
                if self.is_word("--")? {
                    self.take()?;
                }
            } else {
                break;
            }
            prefixed = true;
        }
        if prefixed {
            let next = self.peek()?;
            if matches!(next.token, Token::Newline | Token::End) || self.is(";")? {
                let line = self.line_at(next.start);
                let nothing = Command { kind: Kind::Simple(Simple::default()), redirects: Vec::new(), line };
                return Ok(Pipeline { negate, timed, stages: vec![Rc::new(nothing)] });
            }
        }
        let mut stages = Vec::with_capacity(1);
        loop {
            let mut command = self.single_command()?;
            let both = self.is("|&")?;
            if both {
                command.redirects.push(error_to_output()?);
            }
            stages.push(Rc::new(command));
            if !both && !self.is("|")? {
                return Ok(Pipeline { negate, timed, stages });
            }
            self.take()?;
            self.command_start()?;
            if self.is_word("!")? {
                let next = self.peek()?;
                return Err(self.unexpected(next));
            }
        }
    }

    /// Uses up `time`; in POSIX mode it is the name of a command if an option follows.
    #[inline(never)]
    fn time_counts(&mut self) -> Result<bool> {
        let word = self.take()?;
        if !self.dialect.posix {
            return Ok(true);
        }
        let next = self.peek()?;
        let option = next.token == Token::Word && self.str(next).starts_with('-');
        if option {
            self.go_to(word.start);
        }
        Ok(!option)
    }

    /// One command with its redirections.
    #[inline(never)]
    pub(super) fn single_command(&mut self) -> Result<Command> {
        self.enter()?;
        let next = self.peek_alias(true)?;
        let command = match next.token {
            Token::Number | Token::Named => self.simple(None)?,
            Token::Word => match self.str(next) {
                "function" => self.function_keyword()?,
                "coproc" => self.coprocess()?,
                // `time` counts only where it can time something.
                word if is_reserved(word) && !matches!(word, "time" | "]]") => match self.compound()? {
                    Some(command) => command,
                    None => return Err(self.unexpected(next)),
                },
                _ => self.simple_or_function()?,
            },
            Token::Operator => match self.compound()? {
                Some(command) => command,
                None if self.begins_redirect(next) => self.simple(None)?,
                None => return Err(self.unexpected(next)),
            },
            Token::Newline | Token::End => return Err(self.unexpected(next)),
        };
        self.nesting -= 1;
        Ok(command)
    }

    /// Whether an operator begins a redirection.
    pub(super) fn begins_redirect(&self, lexeme: Lexeme) -> bool {
        lexeme.token == Token::Operator
            && (self.str(lexeme).starts_with(['<', '>']) || self.str(lexeme).starts_with("&>"))
    }

    #[inline(never)]
    fn simple_or_function(&mut self) -> Result<Command> {
        let word = self.take()?;
        self.blanks()?;
        if super::simple::is_assignment(self.str(word)) || !self.opens_parenthesis()? {
            return self.simple(Some(word));
        }
        let name = self.str(word).to_owned();
        self.take()?;
        let close = self.peek_alias(false)?;
        if !self.is(")")? {
            return Err(self.unexpected(close));
        }
        self.take()?;
        self.function_body(&name, word)
    }

    /// Whether a parenthesis comes next. The word that comes instead is left to be read as an argument.
    fn opens_parenthesis(&mut self) -> Result<bool> {
        if self.byte(self.at)? == b'(' {
            return Ok(true);
        }
        if !self.aliases.follow() {
            return Ok(false);
        }
        let next = self.peek_alias(false)?;
        let opens = next.token == Token::Operator && self.str(next) == "(";
        if !opens {
            self.again();
        }
        Ok(opens)
    }

    /// `function name [()] body`.
    #[inline(never)]
    fn function_keyword(&mut self) -> Result<Command> {
        self.take()?;
        let word = self.take()?;
        if word.token != Token::Word {
            return Err(self.unexpected(word));
        }
        let name = self.str(word).to_owned();
        if self.is("(")? {
            let open = self.take()?;
            if self.is(")")? {
                self.take()?;
            } else {
                self.go_to(open.start);
            }
        }
        self.function_body(&name, word)
    }

    #[inline(never)]
    fn function_body(&mut self, name: &str, word: Lexeme) -> Result<Command> {
        let line = self.line_at(word.start);
        self.command_start()?;
        let next = self.peek()?;
        match self.compound()? {
            Some(body) => {
                let kind = Kind::Function { name: Rc::from(name), body: Rc::new(body) };
                Ok(Command { kind, redirects: Vec::new(), line })
            }
            None => Err(self.unexpected(next)),
        }
    }

    /// `coproc [NAME] command`.
    #[inline(never)]
    fn coprocess(&mut self) -> Result<Command> {
        let word = self.take()?;
        let line = self.line_at(word.start);
        let mut name = None;
        let next = self.peek_alias(true)?;
        let body = if next.token == Token::Word && !is_reserved(self.str(next)) {
            let first = self.take()?;
            let text = self.str(first).to_owned();
            match self.compound()? {
                Some(body) => {
                    name = Some(Rc::from(text));
                    body
                }
                None => self.simple(Some(first))?,
            }
        } else {
            self.single_command()?
        };
        let kind = Kind::Coproc { name, body: Rc::new(body) };
        Ok(Command { kind, redirects: Vec::new(), line })
    }
}

/// `2>&1`, which `|&` means.
fn error_to_output() -> Result<Redirect> {
    let target: Word = crate::compile::word::parse("1", 0, crate::compile::word::Mode::Word)?;
    Ok(Redirect {
        fd: RedirectFd::Number(2),
        kind: RedirectKind::Dup { output: true },
        target,
        several: false,
        here: None,
    })
}
