//! Why a program ends: an error with its text, or the end of output that nobody reads. Where an error is said is up to
//! the command line.

/// An error that ends the program.
#[derive(Debug)]
pub(crate) enum Error {
    /// Wrong program text: the whole message, place included.
    Syntax(String),
    /// `fatal:` and a text, said with the place where it happened.
    Fatal(String),
    /// `fatal:` and a text, said without a place.
    Open(String),
    /// Nobody reads standard output any more.
    Pipe,
}

/// A result whose error ends the program.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// A fatal error of this text.
pub(crate) fn fatal<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::Fatal(text.into()))
}
