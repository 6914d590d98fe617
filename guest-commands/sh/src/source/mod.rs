//! From script text to commands: one complete command at a time, as bash reads it. Words are found here and taken apart by
//! `compile`; nothing is expanded or run.

mod alias;
mod compound;
mod cond;
mod here;
mod known;
mod lexer;
mod list;
mod scan;
mod simple;
pub(crate) mod skip;
#[cfg(test)]
mod tests;
pub(crate) mod units;

pub(crate) use here::unquoted as delimiter;
pub(crate) use known::find as known_subst;
pub(crate) use scan::{braces, posix};

/// Why text is not a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SyntaxError {
    /// More text could complete it; what was being looked for.
    Incomplete(String),
    /// No text can.
    Wrong(String, u32),
    /// As bash reports it.
    Report(Box<Report>),
    /// The text goes on, but not yet: the rest must still be typed.
    More,
}

/// A wrong script: what is printed, and what becomes of the script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) messages: Vec<String>,
    pub(crate) line: u32,
    pub(crate) effect: Effect,
}

/// What a syntax error does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The script ends with status 2.
    Ends,
    /// The same for a quote without an end; in POSIX mode that does not end a shell whose `eval` read it.
    Unclosed,
    /// The script ends, and the status stays: a wrong `[[ ]]`.
    EndsQuietly,
    /// The line is given up with status 1: a wrong array.
    Discards,
    /// Within a command substitution.
    Substitution,
}

/// What influences how text is read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dialect {
    pub(crate) extglob: bool,
    pub(crate) posix: bool,
    /// Braces are not expanded.
    pub(crate) no_braces: bool,
    pub(crate) aliases: Option<std::rc::Rc<std::collections::HashMap<String, String>>>,
}
