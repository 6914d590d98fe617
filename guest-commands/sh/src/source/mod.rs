//! From script text to syntax trees: units of complete commands, masked so that the grammar sees only structure.

pub(crate) mod mask;
pub(crate) mod skip;
pub(crate) mod units;

/// Why text is not a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SyntaxError {
    /// More text could complete it; what was being looked for.
    Incomplete(String),
    /// No text can.
    Wrong(String, u32),
    /// Not an error: the word at this range of the text is an alias to be replaced.
    Alias(std::ops::Range<usize>),
}
