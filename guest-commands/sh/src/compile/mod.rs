//! Takes words apart, once, into what the shell executes. Nothing is expanded.

mod braces;
mod param;
pub(crate) mod word;

use crate::arith::Arith;
use crate::ir::{Assign, AssignValue, Element, Index, Word};
use crate::source::SyntaxError;
use crate::symbols::sym;
use std::rc::Rc;

type Result<T> = std::result::Result<T, SyntaxError>;

/// The elements of an array literal, from the text between its parentheses.
pub(crate) fn elements(text: &str, line: u32) -> Result<Vec<Element>> {
    let mut out = Vec::new();
    for raw in word::split(text)? {
        if raw.starts_with('[') {
            let skip = crate::source::skip::Skipper::new(raw);
            if let Ok(end) = skip.balanced(1, b'[', b']') {
                let rest = &raw[end..];
                let (append, value) = match rest.strip_prefix("+=") {
                    Some(value) => (true, Some(value)),
                    None => (false, rest.strip_prefix('=')),
                };
                if let Some(value) = value {
                    let key = Some(index(&raw[1..end - 1], line)?);
                    out.push(Element { key, append, word: word::parse(value, line, word::Mode::Assign)? });
                    continue;
                }
            }
        }
        let words = braced(raw, line)?.into_iter();
        out.extend(words.map(|word| Element { key: None, append: false, word }));
    }
    Ok(out)
}

/// The words that one written word stands for after brace expansion. The first one has the text, the others have none.
pub(crate) fn braced(raw: &str, line: u32) -> Result<Vec<Word>> {
    if !crate::source::braces() || !raw.contains('{') {
        return Ok(vec![word::parse(raw, line, word::Mode::Word)?]);
    }
    let mut out: Vec<Word> = Vec::new();
    for one in braces::expand(raw) {
        let word = word::parse(&one, line, word::Mode::Word)?;
        let text = if out.is_empty() { raw } else { "" };
        out.push(if *word.raw == *text { word } else { Word { raw: Rc::from(text), ..word } });
    }
    Ok(out)
}

/// A subscript.
pub(crate) fn index(text: &str, line: u32) -> Result<Index> {
    Ok(Index { arith: Arith::new(text, line)?, word: word::parse(text, line, word::Mode::Assign)? })
}

/// An assignment to an element that is text, as the arguments of `declare` are at run time: its value stands for itself.
pub(crate) fn literal_assignment(text: &str, line: u32) -> Result<Option<Assign>> {
    assignment_as(text, line, word::Mode::Literal)
}

/// The assignment of a script that a word is, if it is one; not of an array.
pub(crate) fn assignment(text: &str, line: u32) -> Result<Option<Assign>> {
    assignment_as(text, line, word::Mode::Assign)
}

fn assignment_as(text: &str, line: u32, mode: word::Mode) -> Result<Option<Assign>> {
    let name_len = crate::text::name_len(text.as_bytes());
    if name_len == 0 {
        return Ok(None);
    }
    let mut rest = &text[name_len..];
    let mut subscript = None;
    if rest.starts_with('[') {
        match crate::source::skip::Skipper::new(rest).balanced(1, b'[', b']') {
            Ok(end) => {
                subscript = Some(&rest[1..end - 1]);
                rest = &rest[end..];
            }
            Err(_) => return Ok(None),
        }
    }
    let (append, value) = match (rest.strip_prefix("+="), rest.strip_prefix('=')) {
        (Some(value), _) => (true, value),
        (_, Some(value)) => (false, value),
        _ => return Ok(None),
    };
    Ok(Some(Assign {
        name: sym(&text[..name_len]),
        index: subscript.map(|s| index(s, line)).transpose()?,
        append,
        value: AssignValue::Scalar(word::parse(value, line, mode)?),
    }))
}
