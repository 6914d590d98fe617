//! Aliases: the text of one takes the place of the word in what is being read.

use super::SyntaxError;
use super::lexer::{Lexeme, Reader, Token};
use super::skip::Skipper;

/// How many aliases one command may use.
const MAX: u32 = 10_000;

/// Where the text of aliases is.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The aliases whose text reaches from here to there.
    active: Vec<(usize, usize, String)>,
    /// The ends of aliases that end in a blank: the word behind may be one, too.
    next: Vec<usize>,
    /// Aliases do not count while this is not 0.
    pub(super) off: u32,
    used: u32,
}

impl State {
    /// Positions from `from` on have moved.
    pub(super) fn moved(&mut self, from: usize, to: impl Fn(usize) -> usize) {
        for (_, end, _) in self.active.iter_mut().filter(|(_, end, _)| *end >= from) {
            *end = to(*end);
        }
        for next in self.next.iter_mut().filter(|next| **next >= from) {
            *next = to(*next);
        }
    }

    /// Whether the next word may be an alias because of the one before it.
    pub(super) fn follow(&self) -> bool {
        !self.next.is_empty()
    }

    /// The text of the alias in which a position is.
    pub(super) fn around(&self, at: usize) -> Option<std::ops::Range<usize>> {
        self.active.iter().rev().find(|(start, end, _)| (*start..*end).contains(&at)).map(|a| a.0..a.1)
    }
}

impl Reader<'_> {
    /// The next token, after replacing aliases; `command`: the name of a command may stand here.
    pub(super) fn peek_alias(&mut self, command: bool) -> Result<Lexeme, SyntaxError> {
        let mut follows = false;
        loop {
            let next = self.peek()?;
            if self.dialect.aliases.is_none() || self.aliases.off > 0 {
                return Ok(next);
            }
            // An operator, or a word that POSIX mode reserves, leaves it to the word behind.
            let counts = next.token != Token::Operator
                && !(self.dialect.posix && matches!(self.str(next), "in" | "do"));
            if counts && !self.aliases.next.is_empty() {
                let before = self.aliases.next.len();
                self.aliases.next.retain(|end| *end > next.start);
                follows |= self.aliases.next.len() < before;
            }
            if follows && !counts {
                self.aliases.next.push(next.start);
                return Ok(next);
            }
            if next.token != Token::Word || !(command || follows) || !self.replace_alias(next, command) {
                return Ok(next);
            }
        }
    }

    #[inline(never)]
    fn replace_alias(&mut self, word: Lexeme, command: bool) -> bool {
        let name = self.str(word);
        let active =
            |(start, end, of): &(usize, usize, String)| (*start..*end).contains(&word.start) && of == name;
        let Some(value) = self.dialect.aliases.as_ref().and_then(|aliases| aliases.get(name)) else {
            return false;
        };
        if self.aliases.used >= MAX
            || self.aliases.active.iter().any(active)
            || self.dialect.posix
                && (command && super::list::is_reserved(name) || matches!(name, "in" | "do"))
        {
            return false;
        }
        let name = name.to_owned();
        let mut value = value.clone();
        let blank = value.ends_with([' ', '\t']);
        // So that what follows is a word of its own; it is none within a quote that the alias begins.
        if !value.ends_with([' ', '\t', '\n', ';', '&', '|', '<', '>', '(', ')']) && !opens_quote(&value) {
            value.push(' ');
        }
        self.aliases.used += 1;
        self.again();
        self.splice(word.start, word.end, &value);
        let end = word.start + value.len();
        self.aliases.active.retain(|(_, end, _)| *end > word.start);
        self.aliases.active.push((word.start, end, name));
        if blank {
            self.aliases.next.push(end);
        }
        true
    }
}

/// Whether text ends within a quote.
fn opens_quote(text: &str) -> bool {
    let s = Skipper::new(text);
    let mut i = 0;
    while i < s.b.len() {
        let end = match s.b[i] {
            b'\\' if i + 1 == s.b.len() => return true,
            b'\\' => Ok(i + 2),
            b'\'' => s.single(i),
            b'"' => s.double(i),
            _ => Ok(i + 1),
        };
        match end {
            Ok(end) => i = end,
            Err(_) => return true,
        }
    }
    false
}
