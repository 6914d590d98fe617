//! The formats of `-printf`: read once, written for every file. What a directive stands for is `eval`'s business.

/// A part of a format.
#[derive(Debug)]
pub(crate) enum Piece {
    Text(Vec<u8>),
    Directive(Directive),
    /// `\c`: nothing comes after it.
    Stop,
}

/// `%-8.3f` and the like.
#[derive(Debug)]
pub(crate) struct Directive {
    pub(crate) letter: u8,
    /// The second letter of `%A`, `%B`, `%C` and `%T`.
    pub(crate) clock: Option<char>,
    left: bool,
    zero: bool,
    plus: bool,
    width: usize,
    precision: Option<usize>,
}

/// The widest field.
const MOST: usize = 4096;

/// Reads a format; what GNU warns of goes to `warnings`, the error is its words, too.
pub(crate) fn parse(format: &[u8], warnings: &mut Vec<String>) -> Result<Vec<Piece>, String> {
    let (mut pieces, mut plain) = (Vec::new(), Vec::new());
    let mut at = 0;
    while let Some(&b) = format.get(at) {
        at += 1;
        match b {
            b'\\' => {
                let next = format.get(at).copied();
                at += 1;
                match next {
                    Some(b'a') => plain.push(0x07),
                    Some(b'b') => plain.push(0x08),
                    Some(b'f') => plain.push(0x0c),
                    Some(b'n') => plain.push(b'\n'),
                    Some(b'r') => plain.push(b'\r'),
                    Some(b't') => plain.push(b'\t'),
                    Some(b'v') => plain.push(0x0b),
                    Some(b'\\') => plain.push(b'\\'),
                    Some(b'c') => {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                        pieces.push(Piece::Stop);
                        return Ok(pieces);
                    }
                    Some(b'0'..=b'7') => {
                        let digits =
                            format[at - 1..].iter().take(3).take_while(|b| (b'0'..=b'7').contains(b));
                        let value = digits.clone().fold(0u32, |n, b| n * 8 + u32::from(b - b'0'));
                        at += digits.count() - 1;
                        plain.push((value & 0xff) as u8);
                    }
                    Some(other) => {
                        warnings.push(format!("warning: unrecognized escape `\\{}'", char::from(other)));
                        plain.extend([b'\\', other]);
                    }
                    None => {
                        warnings.push("warning: escape `\\' followed by nothing at all".to_owned());
                        plain.push(b'\\');
                    }
                }
            }
            b'%' if format.get(at) == Some(&b'%') => {
                at += 1;
                plain.push(b'%');
            }
            b'%' => {
                let begin = at - 1;
                let flags = format[at..].iter().take_while(|b| b"-+ #0".contains(b)).count();
                let given = &format[at..at + flags];
                at += flags;
                let number = |at: &mut usize| {
                    let digits = format[*at..].iter().take_while(|b| b.is_ascii_digit());
                    let value = digits
                        .clone()
                        .fold(0usize, |n, b| n.saturating_mul(10).saturating_add(usize::from(b - b'0')));
                    *at += digits.count();
                    value.min(MOST)
                };
                let width = number(&mut at);
                let precision = (format.get(at) == Some(&b'.')).then(|| {
                    at += 1;
                    number(&mut at)
                });
                let Some(&letter) = format.get(at) else {
                    return Err("error: % at end of format string".to_owned());
                };
                at += 1;
                let mut clock = None;
                match letter {
                    b'a' | b'b' | b'c' | b'd' | b'D' | b'f' | b'F' | b'g' | b'G' | b'h' | b'H' | b'i'
                    | b'k' | b'l' | b'm' | b'M' | b'n' | b'p' | b'P' | b's' | b'S' | b't' | b'u' | b'U'
                    | b'y' | b'Y' | b'Z' => {}
                    b'A' | b'B' | b'C' | b'T' => {
                        let Some(&second) = format.get(at) else {
                            return Err("error: % at end of format string".to_owned());
                        };
                        at += 1;
                        clock = Some(char::from(second));
                    }
                    b'{' | b'[' | b'(' => {
                        return Err(format!(
                            "error: the format directive `%{}' is reserved for future use",
                            char::from(letter)
                        ));
                    }
                    other => {
                        let other = char::from(other);
                        warnings.push(format!("warning: unrecognized format directive `%{other}'"));
                        plain.extend_from_slice(&format[begin..at]);
                        continue;
                    }
                }
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                let has = |flag| given.contains(&flag);
                let (left, zero, plus) = (has(b'-'), has(b'0'), has(b'+'));
                pieces.push(Piece::Directive(Directive {
                    letter,
                    clock,
                    left,
                    zero,
                    plus,
                    width,
                    precision,
                }));
            }
            _ => plain.push(b),
        }
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

impl Directive {
    /// The text in its field.
    pub(crate) fn pad(&self, text: &[u8]) -> Vec<u8> {
        let numeric = matches!(self.letter, b'd' | b'm');
        let mut text = text.to_vec();
        if let Some(most) = self.precision {
            if numeric {
                let missing = most.saturating_sub(text.len());
                text.splice(0..0, std::iter::repeat_n(b'0', missing));
            } else {
                text.truncate(most);
            }
        }
        if self.plus && self.letter == b'd' {
            text.insert(0, b'+');
        }
        let missing = self.width.saturating_sub(text.len());
        if self.left {
            text.extend(std::iter::repeat_n(b' ', missing));
        } else {
            let fill = if self.zero && numeric { b'0' } else { b' ' };
            text.splice(0..0, std::iter::repeat_n(fill, missing));
        }
        text
    }
}
