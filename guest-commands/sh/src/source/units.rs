//! Takes a script apart into complete commands, one at a time, as bash reads it. It does not run them.

use super::lexer::Reader;
use super::scan::Skip;
use super::{Dialect, SyntaxError, known, scan};
use crate::ir::List;
use std::rc::Rc;

/// A script that is being read.
#[derive(Debug)]
pub(crate) struct Units {
    text: String,
    at: usize,
    line: u32,
    /// All of the script is here; what is incomplete stays so.
    pub(crate) complete: bool,
    /// What the script is called in messages, if it is not a file: `-c`, `eval`.
    pub(crate) name: &'static str,
    /// What is to be printed before the command runs.
    pub(crate) warnings: Vec<(u32, String)>,
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

impl Units {
    pub(crate) fn new(text: String, line: u32) -> Self {
        Units { text, at: 0, line, complete: true, name: "", warnings: Vec::new() }
    }

    /// The same with a name for messages.
    pub(crate) fn named(self, name: &'static str) -> Self {
        Units { name, ..self }
    }

    /// Adds text that was read.
    pub(crate) fn push(&mut self, text: &str) {
        if self.at == self.text.len() {
            self.text.clear();
            self.at = 0;
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

    /// The line of the command that was given up; as in bash, lines are counted on from there.
    pub(crate) fn goes_on_after(&mut self, line: u32) {
        self.line = self.line.min(line.saturating_add(1));
    }

    /// The next complete command.
    pub(crate) fn next(&mut self, dialect: Dialect) -> Result<Next, SyntaxError> {
        let complete = self.complete;
        self.read(dialect, &mut |begun| match (complete, begun) {
            (true, _) => Ok(None),
            (false, false) => Ok(None),
            (false, true) => Err(SyntaxError::More),
        })
    }

    /// The next complete command; lines beyond those that are here are asked for. The argument tells whether a command
    /// has begun that the line continues.
    pub(crate) fn read(
        &mut self,
        dialect: Dialect,
        source: &mut dyn FnMut(bool) -> Result<Option<String>, SyntaxError>,
    ) -> Result<Next, SyntaxError> {
        let mark = known::mark();
        scan::set_manner(dialect.posix, !dialect.no_braces);
        let text = &self.text;
        let mut at = self.at;
        let mut lines = |begun: bool| {
            let rest = &text[at..];
            if rest.is_empty() {
                return source(begun);
            }
            let line = &rest[..rest.find('\n').map_or(rest.len(), |n| n + 1)];
            at += line.len();
            Ok(Some(line.to_owned()))
        };
        let mut reader = Reader::new(dialect, self.line, &mut lines);
        let result = reader.complete_command();
        let line = reader.next_line();
        let rest = reader.rest().to_owned();
        self.warnings.append(&mut reader.warnings);
        known::forget(mark);
        match result {
            Err(SyntaxError::More) => Ok(Next::More),
            result => {
                self.at = at;
                self.line = line;
                // Commands that an alias put behind the first.
                if !rest.trim().is_empty() && result.is_ok() {
                    self.text.replace_range(..self.at, &rest);
                    self.at = 0;
                    self.line = line - rest.lines().count() as u32;
                }
                match result? {
                    Some(list) => Ok(Next::Unit(Rc::new(list))),
                    None => Ok(Next::End),
                }
            }
        }
    }
}

/// Length of the commands at the start of `text` with the `)` that ends them.
pub(super) fn command_len(text: &str, depth: u32) -> Skip {
    let mut given = false;
    let mut source = |_| Ok((!std::mem::replace(&mut given, true)).then(|| text.to_owned()));
    let dialect = Dialect { extglob: true, ..Dialect::default() };
    let mark = known::mark();
    let end = Reader::new(dialect, 1, &mut source).nested(depth).substitution_end();
    known::forget(mark);
    end
}
