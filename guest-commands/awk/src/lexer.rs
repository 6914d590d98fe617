//! Program text to tokens. Whether `/` divides or begins a regular expression is known to the parser, which asks.

use crate::builtins::{self, Builtin};
use crate::number;
use crate::posix;

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    End,
    Newline,
    Num(f64),
    Str(Vec<u8>),
    Name(String),
    /// A name with `(` right behind it.
    Function(String),
    Builtin(Builtin),
    /// A keyword.
    Word(&'static str),
    /// An operator or other mark.
    Mark(&'static str),
}

const WORDS: [&str; 26] = [
    "BEGIN",
    "BEGINFILE",
    "END",
    "ENDFILE",
    "break",
    "case",
    "continue",
    "default",
    "delete",
    "do",
    "else",
    "exit",
    "for",
    "func",
    "function",
    "getline",
    "if",
    "in",
    "next",
    "nextfile",
    "print",
    "printf",
    "return",
    "switch",
    "while",
    "@load",
];

/// Longer marks before those that they begin with.
const MARKS: [&str; 44] = [
    "**=", "**", "*=", "*", "++", "+=", "+", "--", "-=", "-", "/=", "/", "%=", "%", "^=", "^", "&&", "||",
    "|&", "|", "!~", "!=", "!", "==", "=", "<=", "<", ">>", ">=", ">", "~", "?", ":", ",", ";", "(", ")",
    "[", "]", "{", "}", "$", "@", "&",
];

/// The tokens of one source.
#[derive(Clone)]
pub(crate) struct Lexer<'a> {
    text: &'a [u8],
    /// Behind the last token.
    pub(crate) at: usize,
    /// Where the last token began.
    pub(crate) start: usize,
    /// The line, from 1.
    pub(crate) line: u32,
    /// The place and line of the last token's start.
    pub(crate) token_line: u32,
    /// Escapes that mean nothing, to be warned of: the line and the character.
    pub(crate) odd_escapes: Vec<(u32, u8)>,
}

impl<'a> Lexer<'a> {
    /// At the start of a text.
    pub(crate) fn new(text: &'a [u8]) -> Lexer<'a> {
        Lexer { text, at: 0, start: 0, line: 1, token_line: 1, odd_escapes: Vec::new() }
    }

    /// The text of the line in which the last token begins, and the column of the token in it.
    pub(crate) fn context(&self) -> (String, usize) {
        let start = self.start.min(self.text.len());
        let from = memchr::memrchr(b'\n', &self.text[..start]).map_or(0, |at| at + 1);
        let to = memchr::memchr(b'\n', &self.text[from..]).map_or(self.text.len(), |len| from + len);
        (String::from_utf8_lossy(&self.text[from..to]).into_owned(), start - from)
    }

    fn skip_blanks(&mut self) {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\t' | b'\r') => self.at += 1,
                Some(b'\\') if self.text[self.at + 1..].starts_with(b"\n") => {
                    self.at += 2;
                    self.line += 1;
                }
                Some(b'\\') if self.text[self.at + 1..].starts_with(b"\r\n") => {
                    self.at += 3;
                    self.line += 1;
                }
                Some(b'#') => {
                    let rest = &self.text[self.at..];
                    self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                }
                _ => return,
            }
        }
    }

    /// The next token.
    pub(crate) fn next(&mut self) -> Result<Token, String> {
        self.skip_blanks();
        self.start = self.at;
        self.token_line = self.line;
        let Some(&b) = self.text.get(self.at) else { return Ok(Token::End) };
        match b {
            b'\n' => {
                self.at += 1;
                self.line += 1;
                Ok(Token::Newline)
            }
            b'"' => self.string(),
            b'0'..=b'9' => Ok(self.number()),
            b'.' if matches!(self.text.get(self.at + 1), Some(b'0'..=b'9')) => Ok(self.number()),
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => Ok(self.name()),
            _ => match MARKS.iter().find(|mark| self.text[self.at..].starts_with(mark.as_bytes())) {
                Some(mark) if *mark != "&" => {
                    self.at += mark.len();
                    Ok(Token::Mark(match *mark {
                        "**" => "^",
                        "**=" => "^=",
                        mark => mark,
                    }))
                }
                _ => Err("syntax error".to_owned()),
            },
        }
    }

    fn number(&mut self) -> Token {
        let text = &self.text[self.at..];
        let run = |from: usize, ok: fn(&u8) -> bool| text[from..].iter().take_while(|b| ok(b)).count();
        let mut len;
        if text.starts_with(b"0x") || text.starts_with(b"0X") {
            let digits = run(2, u8::is_ascii_hexdigit);
            if digits > 0 {
                self.at += 2 + digits;
                return Token::Num(number::literal(&text[..2 + digits]));
            }
        }
        len = run(0, u8::is_ascii_digit);
        if text.get(len) == Some(&b'.') {
            len += 1;
            len += run(len, u8::is_ascii_digit);
        }
        if matches!(text.get(len), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(text.get(len + 1), Some(b'+' | b'-')));
            let digits = run((len + 1 + sign).min(text.len()), u8::is_ascii_digit);
            if digits > 0 {
                len += 1 + sign + digits;
            }
        }
        self.at += len;
        Token::Num(number::literal(&text[..len]))
    }

    fn name(&mut self) -> Token {
        let text = &self.text[self.at..];
        let len = text.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        let name = std::str::from_utf8(&text[..len]).unwrap_or("");
        self.at += len;
        if let Some(word) = WORDS.iter().find(|word| **word == name) {
            return Token::Word(if *word == "func" { "function" } else { word });
        }
        if let Some(builtin) = builtins::by_name(name) {
            return Token::Builtin(builtin);
        }
        if self.text.get(self.at) == Some(&b'(') {
            return Token::Function(name.to_owned());
        }
        Token::Name(name.to_owned())
    }

    fn string(&mut self) -> Result<Token, String> {
        let mut out = Vec::new();
        self.at += 1;
        loop {
            match self.text.get(self.at) {
                None | Some(b'\n') => return Err("unterminated string".to_owned()),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Token::Str(out));
                }
                Some(b'\\') => {
                    self.at += 1;
                    match self.text.get(self.at) {
                        None => return Err("unterminated string".to_owned()),
                        Some(b'\n') => {
                            self.at += 1;
                            self.line += 1;
                        }
                        Some(_) => {
                            let (len, odd) = unescape(&self.text[self.at..], &mut out);
                            let known = self.odd_escapes.iter().any(|(_, b)| *b == self.text[self.at]);
                            if odd && !known {
                                self.odd_escapes.push((self.line, self.text[self.at]));
                            }
                            self.at += len;
                        }
                    }
                }
                Some(b) => {
                    out.push(*b);
                    self.at += 1;
                }
            }
        }
    }

    /// The rest of a regular expression, its opening slash being `before` bytes back.
    pub(crate) fn regex(&mut self, before: usize) -> Result<Vec<u8>, String> {
        self.at -= before - 1;
        let mut out = Vec::new();
        let mut bracket = None;
        loop {
            let b = match self.text.get(self.at) {
                None | Some(b'\n') => return Err("unterminated regexp".to_owned()),
                Some(b) => *b,
            };
            self.at += 1;
            match b {
                b'\\' => match self.text.get(self.at) {
                    Some(b'\n') => {
                        self.at += 1;
                        self.line += 1;
                        continue;
                    }
                    Some(b'/') => {
                        out.push(b'/');
                        self.at += 1;
                        continue;
                    }
                    Some(next) => {
                        out.extend_from_slice(&[b'\\', *next]);
                        self.at += 1;
                        continue;
                    }
                    None => return Err("unterminated regexp".to_owned()),
                },
                b'/' if bracket.is_none() => return Ok(out),
                // A slash in brackets stands for itself.
                b'[' if bracket.is_none() => {
                    bracket = Some(out.len() + 1 + usize::from(self.text.get(self.at) == Some(&b'^')));
                }
                b'[' if matches!(self.text.get(self.at), Some(b':')) => {
                    if let Some(len) = memchr::memmem::find(&self.text[self.at..], b":]") {
                        out.push(b);
                        out.extend_from_slice(&self.text[self.at..self.at + len + 2]);
                        self.at += len + 2;
                        continue;
                    }
                }
                b']' if bracket.is_some_and(|from| out.len() > from) => bracket = None,
                _ => {}
            }
            out.push(b);
        }
    }
}

/// Appends what an escape sequence of a string stands for, the text behind its backslash given. Returns its length, and
/// whether it is none that awk knows.
pub(crate) fn unescape(rest: &[u8], out: &mut Vec<u8>) -> (usize, bool) {
    match posix::escaped_byte(rest) {
        (Some(byte), len) => {
            out.push(byte);
            (len, false)
        }
        (None, _) => {
            out.push(rest[0]);
            (1, !matches!(rest[0], b'"' | b'\\'))
        }
    }
}
