//! JSON as text: reading (`parse`), printing (`print`), and their numbers.

pub(crate) mod number;
pub(crate) mod parse;
pub(crate) mod print;
