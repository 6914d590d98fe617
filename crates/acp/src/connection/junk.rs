//! Counts what an agent sends that is of no use, since the last message that was, and says when it is too much. It
//! judges no line itself.
//!
//! Without it a flood that breaks no rule by itself would go on for as long as the agent likes: each such line costs us
//! a parse, and the agent nothing.

use crate::{Fatal, Limits};

/// Why a line was of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Junk {
    /// Not JSON.
    NotJson,
    /// JSON, but no message of JSON-RPC.
    NotMessage,
    /// A request that had to be refused.
    RefusedRequest,
    /// An answer to no open request, such as a second one.
    StrayAnswer,
    /// A notification that means nothing to us. JSON-RPC allows those, so there may be many.
    Notification,
    /// Nothing at all.
    EmptyLine,
    /// Too long to be read, where that is skipped.
    TooLong,
}

impl Junk {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NotJson => "a line that is not JSON",
            Self::NotMessage => "a line that is no JSON-RPC message",
            Self::RefusedRequest => "a request that was refused",
            Self::StrayAnswer => "an answer to no open request",
            Self::Notification => "a notification that means nothing here",
            Self::EmptyLine => "an empty line",
            Self::TooLong => "a line that is too long",
        }
    }

    /// Whether nobody can tell what it was meant to be.
    pub(super) fn is_no_message(self) -> bool {
        matches!(self, Self::NotJson | Self::NotMessage | Self::TooLong)
    }
}

/// Counts since the last useful message.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Of them in a row, without any message between.
    garbage: u32,
    all_garbage_is_json: bool,
    refused: u32,
    lines: u32,
    bytes: usize,
}

impl Tally {
    /// A useful message came.
    pub(super) fn useful(&mut self) {
        *self = Self::default();
    }

    /// A line of `bytes` was of no use; the verdict if that was one too many.
    pub(super) fn add(&mut self, junk: Junk, bytes: usize, limits: &Limits) -> Result<(), Fatal> {
        self.lines += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        match junk {
            Junk::NotJson | Junk::NotMessage | Junk::TooLong => {
                let json = junk == Junk::NotMessage;
                self.all_garbage_is_json = json && (self.all_garbage_is_json || self.garbage == 0);
                self.garbage += 1;
                if self.garbage >= limits.garbage_lines {
                    let lines = self.garbage;
                    return Err(if self.all_garbage_is_json {
                        Fatal::NotMessages { lines }
                    } else {
                        Fatal::Garbage { lines }
                    });
                }
            }
            Junk::RefusedRequest | Junk::StrayAnswer => {
                self.garbage = 0;
                self.refused += 1;
                if self.refused >= limits.refused_messages {
                    return Err(Fatal::Useless { lines: self.refused, last: junk.name() });
                }
            }
            Junk::Notification | Junk::EmptyLine => self.garbage = 0,
        }
        if self.lines >= limits.useless_lines {
            return Err(Fatal::Useless { lines: self.lines, last: junk.name() });
        }
        if self.bytes > limits.useless_bytes {
            return Err(Fatal::UselessBytes { bytes: self.bytes, last: junk.name() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(lines: impl IntoIterator<Item = Option<Junk>>) -> Option<Fatal> {
        let limits = Limits {
            garbage_lines: 3,
            refused_messages: 5,
            useless_lines: 20,
            useless_bytes: 1000,
            ..Limits::default()
        };
        let mut tally = Tally::default();
        for line in lines {
            match line {
                None => tally.useful(),
                Some(junk) => {
                    if let Err(fatal) = tally.add(junk, 10, &limits) {
                        return Some(fatal);
                    }
                }
            }
        }
        None
    }

    #[test]
    fn each_kind_has_its_limit_and_use_forgives() {
        use Junk::{EmptyLine, NotJson, NotMessage, Notification, RefusedRequest, StrayAnswer};
        let many = |pattern: &[Option<Junk>]| verdict(pattern.iter().copied().cycle().take(1000));
        assert_eq!(many(&[Some(NotJson)]), Some(Fatal::Garbage { lines: 3 }));
        assert_eq!(many(&[Some(NotMessage)]), Some(Fatal::NotMessages { lines: 3 }));
        assert_eq!(many(&[Some(NotMessage), Some(NotJson)]), Some(Fatal::Garbage { lines: 3 }));
        assert_eq!(many(&[Some(NotJson), Some(NotMessage)]), Some(Fatal::Garbage { lines: 3 }));
        // A message that is of no use breaks the row, but does not forgive.
        assert_eq!(
            many(&[Some(NotJson), Some(NotJson), Some(Notification)]),
            Some(Fatal::Useless { lines: 20, last: NotJson.name() })
        );
        assert_eq!(
            many(&[Some(RefusedRequest), Some(StrayAnswer)]),
            Some(Fatal::Useless { lines: 5, last: RefusedRequest.name() })
        );
        assert_eq!(many(&[Some(EmptyLine)]), Some(Fatal::Useless { lines: 20, last: EmptyLine.name() }));
        for junk in [NotJson, NotMessage, RefusedRequest, StrayAnswer, Notification, EmptyLine] {
            assert_eq!(many(&[Some(junk), Some(junk), None]), None);
        }
    }

    #[test]
    fn few_lines_that_are_large_are_too_much_too() {
        let limits = Limits { useless_bytes: 1000, ..Limits::default() };
        let mut tally = Tally::default();
        assert!(tally.add(Junk::Notification, 1000, &limits).is_ok());
        let fatal = tally.add(Junk::Notification, 1, &limits).unwrap_err();
        assert!(matches!(fatal, Fatal::UselessBytes { bytes: 1001, .. }));
    }
}
