//! Here-documents: their text follows the line that announces them.

use super::SyntaxError;
use super::lexer::{Lexeme, Reader};
use crate::compile::word::{self, Mode};
use crate::ir::Here;
use std::cell::OnceCell;
use std::rc::Rc;

impl Reader<'_> {
    /// Notes the here-document whose delimiter is the word.
    pub(super) fn announce(&mut self, delimiter: Lexeme, strip: bool) -> Rc<Here> {
        let raw = self.str(delimiter);
        let here = Rc::new(Here { delimiter: Rc::from(raw), strip, body: OnceCell::new() });
        self.pending.push(here.clone());
        here
    }

    /// After a newline: takes the texts that were announced before it.
    pub(super) fn read_here_documents(&mut self) -> Result<(), SyntaxError> {
        for here in std::mem::take(&mut self.pending) {
            self.read_here_document(&here)?;
        }
        Ok(())
    }

    fn read_here_document(&mut self, here: &Here) -> Result<(), SyntaxError> {
        let announced = self.line_at(self.at.saturating_sub(1));
        let quoted = here.quoted();
        let delimiter = unquoted(&here.delimiter);
        let first = self.line() + u32::from(self.at >= self.text.len());
        let mut body = String::new();
        loop {
            let Some(mut end) = self.line_end()? else {
                self.warn_unfinished(announced, &delimiter);
                break;
            };
            let mut start = self.at;
            let from = start;
            if here.strip {
                while self.text.as_bytes().get(start) == Some(&b'\t') {
                    start += 1;
                }
            }
            let mut line = self.text[start..end].to_owned();
            self.at = end;
            while !quoted && continues(&line) {
                line.truncate(line.len() - 2);
                let Some(next) = self.line_end()? else { break };
                end = next;
                line.push_str(&self.text[self.at..end]);
                self.at = end;
            }
            let content = line.strip_suffix('\n').unwrap_or(&line);
            if content == delimiter {
                break;
            }
            // The end of the substitution around on the line of the delimiter.
            if self.substitutions > 0
                && let Some(rest) = content.strip_prefix(&delimiter)
                && rest.contains(')')
            {
                self.at = from.max(start) + delimiter.len();
                self.warn_unfinished(announced, &delimiter);
                break;
            }
            body.push_str(content);
            body.push('\n');
        }
        let mode = if quoted { Mode::Literal } else { Mode::HereDoc };
        // A wrong expansion is reported when the text is expanded.
        let word = word::parse(&body, first, mode).unwrap_or_else(|_| word::wrong(&body));
        let _ = here.body.set(word);
        Ok(())
    }

    fn warn_unfinished(&mut self, line: u32, delimiter: &str) {
        let text = format!("here-document at line {line} delimited by end-of-file (wanted `{delimiter}')");
        self.warnings.push((self.line(), text));
    }

    /// Past the line at the position; nothing at the end of the text.
    fn line_end(&mut self) -> Result<Option<usize>, SyntaxError> {
        if self.at >= self.text.len() && !self.pull()? {
            return Ok(None);
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        Ok(Some(self.at + rest.find('\n').map_or(rest.len(), |n| n + 1)))
    }
}

/// Whether a line ends with a backslash that quotes its newline.
fn continues(line: &str) -> bool {
    let Some(text) = line.strip_suffix('\n') else { return false };
    (text.len() - text.trim_end_matches('\\').len()) % 2 == 1
}

/// The delimiter without its quotes.
pub(crate) fn unquoted(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars().peekable();
    let mut quote = None;
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '$') if chars.peek() == Some(&'"') => {}
            (None, '$') if chars.peek() == Some(&'\'') => {
                chars.next();
                let mut text = String::new();
                while let Some(c) = chars.next().filter(|c| *c != '\'') {
                    text.push(c);
                    if c == '\\' {
                        text.extend(chars.next());
                    }
                }
                out.push_str(&word::ansi(&text));
            }
            (None, '\'' | '"') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            (None, '\\') => out.extend(chars.next()),
            (Some('"'), '\\') => match chars.peek() {
                Some('"' | '\\' | '$' | '`') => out.extend(chars.next()),
                _ => out.push(c),
            },
            (_, c) => out.push(c),
        }
    }
    out
}
