//! Takes a script apart into complete commands, one at a time, as bash reads it. It does not run them.

use super::SyntaxError;
use super::mask::{Masked, Masker};
use crate::compile;
use crate::ir::List;
use std::collections::HashMap;
use std::rc::Rc;

/// A script that is being read.
#[derive(Debug)]
pub(crate) struct Units {
    text: String,
    at: usize,
    line: u32,
    /// Aliases whose text is being read: up to where, and which.
    active: Vec<(usize, String)>,
    /// Where an alias ended in a blank: the next word may be one, too.
    alias_next: Option<usize>,
    /// All of the script is here; what is incomplete stays so.
    pub(crate) complete: bool,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next {
    /// A command.
    Unit(Rc<List>),
    /// Nothing.
    End,
    /// The text so far is the beginning of a command.
    More,
}

/// What influences how text is read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Dialect<'a> {
    pub(crate) extglob: bool,
    pub(crate) aliases: Option<&'a HashMap<String, String>>,
}

const MAX_ALIASES: usize = 1000;

impl Units {
    pub(crate) fn new(text: String, line: u32) -> Self {
        Units { text, at: 0, line, active: Vec::new(), alias_next: None, complete: true }
    }

    /// Adds text that was read.
    pub(crate) fn push(&mut self, text: &str) {
        if self.at == self.text.len() {
            self.text.clear();
            self.at = 0;
            self.active.clear();
            self.alias_next = None;
        }
        self.text.push_str(text);
    }

    /// Whether only blanks are left.
    pub(crate) fn at_end(&self) -> bool {
        self.complete && self.text[self.at..].bytes().all(|b| b.is_ascii_whitespace())
    }

    /// What has not been read yet, and its line.
    pub(crate) fn rest(&self) -> (&str, u32) {
        (&self.text[self.at..], self.line)
    }

    /// How much text waits that is no complete command yet.
    pub(crate) fn pending(&self) -> usize {
        self.text.len() - self.at
    }

    /// The line of what comes next.
    pub(crate) fn line(&self) -> u32 {
        self.line
    }

    /// The next complete command.
    pub(crate) fn next(&mut self, dialect: Dialect<'_>) -> Result<Next, SyntaxError> {
        let mut skip = 0;
        let mut aliases_left = MAX_ALIASES;
        let mut closed = false;
        loop {
            if self.at >= self.text.len() {
                return Ok(Next::End);
            }
            let masker = Masker::new(&self.text, self.at, self.line).extglob(dialect.extglob).aliases(
                dialect.aliases.filter(|_| aliases_left > 0),
                &self.active,
                self.alias_next,
            );
            let (masked, end, line) = match masker.unit(skip) {
                Ok(unit) => unit,
                Err(SyntaxError::Alias(range)) => {
                    aliases_left -= 1;
                    self.replace_alias(range, dialect);
                    continue;
                }
                Err(SyntaxError::Incomplete(what))
                    if self.complete && what.starts_with("here-document") && !closed =>
                {
                    // As bash: the end of the script ends a here-document. One within a substitution stays an error.
                    closed = true;
                    self.close_here_document();
                    continue;
                }
                Err(error) => return self.incomplete(error),
            };
            match parse(&masked) {
                Ok(list) => {
                    self.at = end;
                    self.line = line;
                    if list.items.is_empty() {
                        continue;
                    }
                    return Ok(Next::Unit(Rc::new(list)));
                }
                // The grammar wants more than the mask did, as after the head of a function.
                Err(SyntaxError::Incomplete(_)) if end < self.text.len() => skip += 1,
                Err(error) => return self.incomplete(error),
            }
        }
    }

    fn incomplete(&self, error: SyntaxError) -> Result<Next, SyntaxError> {
        match error {
            SyntaxError::Incomplete(_) if !self.complete => Ok(Next::More),
            error => Err(error),
        }
    }

    fn replace_alias(&mut self, range: std::ops::Range<usize>, dialect: Dialect<'_>) {
        let Some(value) = dialect.aliases.and_then(|a| a.get(&self.text[range.clone()])).cloned() else {
            return;
        };
        let name = self.text[range.clone()].to_owned();
        for (end, _) in &mut self.active {
            if *end >= range.end {
                *end = *end - range.len() + value.len();
            }
        }
        let end = range.start + value.len();
        self.active.push((end, name));
        self.alias_next = value.ends_with([' ', '\t']).then_some(end);
        self.text.replace_range(range, &value);
    }

    fn close_here_document(&mut self) {
        let masker = Masker::new(&self.text, self.at, self.line);
        let delimiters = masker.open_delimiters();
        if !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        for delimiter in delimiters {
            self.text.push_str(&delimiter);
            self.text.push('\n');
        }
    }
}

fn parse(masked: &Masked) -> Result<List, SyntaxError> {
    let options = brush_parser::ParserOptions { enable_extended_globbing: false, ..Default::default() };
    let mut parser = brush_parser::Parser::new(masked.text.as_bytes(), &options);
    let line = |n: usize| masked.lines.get(n.saturating_sub(1)).or(masked.lines.last()).copied().unwrap_or(1);
    match parser.parse_program() {
        Ok(program) => compile::program(&program, masked),
        Err(brush_parser::ParseError::ParsingNear(at)) => {
            let rest: String = masked.text.chars().skip(at.index).collect();
            let token: String = match rest.chars().next() {
                Some('\n') | None => "newline".into(),
                Some(c) if ";&|()<>".contains(c) => rest.chars().take_while(|d| *d == c).collect(),
                Some(_) => {
                    rest.chars().take_while(|c| !c.is_whitespace() && !";&|()<>".contains(*c)).collect()
                }
            };
            let token: String =
                token.chars().map(|c| if masked.segment(c).is_some() { '…' } else { c }).collect();
            Err(SyntaxError::Wrong(format!("syntax error near unexpected token `{token}'"), line(at.line)))
        }
        Err(brush_parser::ParseError::ParsingAtEndOfInput) => {
            Err(SyntaxError::Incomplete("syntax error: unexpected end of file".into()))
        }
        Err(brush_parser::ParseError::Tokenizing { inner, position }) => {
            let at = position.map_or(1, |p| p.line);
            Err(SyntaxError::Wrong(format!("syntax error: {inner}"), line(at)))
        }
    }
}
