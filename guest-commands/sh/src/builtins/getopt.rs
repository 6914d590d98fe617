//! The options of builtins, taken one by one as bash's builtins take them. What an option means is the builtin's business.

use crate::shell::Shell;

/// The words of a builtin whose options are being taken.
pub(crate) struct Options<'a> {
    words: &'a [String],
    at: usize,
    /// Where in its word the next letter is; 0 between words.
    offset: usize,
}

impl<'a> Options<'a> {
    /// Of a builtin's name and arguments.
    pub(crate) fn new(words: &'a [String]) -> Self {
        Options { words, at: 1, offset: 0 }
    }

    /// The next option with its argument, or `None` after the last. In `spec`, `:` follows a letter that takes an argument
    /// and `;` one whose argument may be missing. A wrong option is reported; the error is the builtin's status.
    pub(crate) fn next(
        &mut self,
        sh: &mut Shell,
        spec: &str,
    ) -> Result<Option<(char, Option<&'a str>)>, i32> {
        let Some(word) = self.words.get(self.at) else { return Ok(None) };
        if self.offset == 0 {
            if word.len() < 2 || !word.starts_with('-') {
                return Ok(None);
            }
            if word == "--" {
                self.at += 1;
                return Ok(None);
            }
            self.offset = 1;
        }
        let Some(letter) = word[self.offset..].chars().next() else { return Ok(None) };
        self.offset += letter.len_utf8();
        let name = &self.words[0];
        let known = if matches!(letter, ':' | ';') { None } else { spec.find(letter) };
        let Some(known) = known else { return Err(sh.invalid_option(name, &format!("-{letter}"))) };
        let kind = spec[known + letter.len_utf8()..].chars().next().filter(|c| matches!(c, ':' | ';'));
        let rest = &word[self.offset..];
        if kind.is_none() {
            if rest.is_empty() {
                self.skip();
            }
            return Ok(Some((letter, None)));
        }
        self.skip();
        if !rest.is_empty() {
            return Ok(Some((letter, Some(rest))));
        }
        match self.words.get(self.at) {
            Some(next) if kind == Some(':') || !next.starts_with('-') => {
                self.at += 1;
                Ok(Some((letter, Some(next))))
            }
            _ if kind == Some(';') => Ok(Some((letter, None))),
            _ => Err(sh.option_needs_argument(name, &format!("-{letter}"))),
        }
    }

    fn skip(&mut self) {
        self.at += 1;
        self.offset = 0;
    }

    /// The words after the options.
    pub(crate) fn rest(&self) -> &'a [String] {
        self.words.get(self.at..).unwrap_or_default()
    }
}

/// Takes letters without arguments; returns those that were there, in order, and the other words.
pub(super) fn flags<'a>(
    sh: &mut Shell,
    words: &'a [String],
    spec: &str,
) -> Result<(String, &'a [String]), i32> {
    let mut options = Options::new(words);
    let mut found = String::new();
    while let Some((letter, _)) = options.next(sh, spec)? {
        found.push(letter);
    }
    Ok((found, options.rest()))
}

/// A number as bash's builtins read it: decimal with an optional sign, blanks around it.
pub(super) fn number(text: &str) -> Option<i64> {
    let text = text.trim_start_matches(|c: char| c == ' ' || ('\t'..='\r').contains(&c));
    let text = text.trim_end_matches([' ', '\t']);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.strip_prefix('+').unwrap_or(text).parse().ok()
}
