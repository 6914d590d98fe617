//! The words of bc: reads its files line by line, so that what is piped in is answered at once. It knows no grammar.

use crate::context::{Cx, Descriptor, End};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};

/// A word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    End,
    Newline,
    Number(Vec<u8>),
    Text(Vec<u8>),
    Name(String),
    /// An operator, a bracket, or a keyword.
    Sign(&'static str),
    /// What is no word of bc.
    Bad,
}

const KEYWORDS: &[&str] = &[
    "auto", "break", "continue", "define", "else", "for", "halt", "history", "ibase", "if", "last", "length",
    "limits", "obase", "print", "quit", "random", "read", "return", "scale", "sqrt", "void", "warranty",
    "while",
];
/// The longest first.
const SIGNS: &[&str] = &[
    "&&", "||", "==", "!=", "<=", ">=", "++", "--", "+=", "-=", "*=", "/=", "%=", "^=", "+", "-", "*", "/",
    "%", "^", "(", ")", "[", "]", "{", "}", ",", ";", "=", "<", ">", "!",
];

/// The input: files one after the other, then standard input.
pub(super) struct Lexer {
    files: VecDeque<OsString>,
    input: Option<BufReader<Box<dyn Read>>>,
    /// How messages call the input.
    pub(super) name: String,
    pub(super) line_number: usize,
    line: Vec<u8>,
    at: usize,
    standard_input: bool,
    pub(super) standard: bool,
    /// A message of the lexer itself.
    pub(super) complaint: Option<String>,
}

impl Lexer {
    pub(super) fn new(files: Vec<OsString>, standard: bool) -> Lexer {
        Lexer {
            files: files.into(),
            input: None,
            name: "(standard_in)".to_owned(),
            line_number: 1,
            line: Vec::new(),
            at: 0,
            standard_input: true,
            standard,
            complaint: None,
        }
    }

    /// The next line into `line`; false at the end of everything.
    fn fill(&mut self, cx: &mut Cx) -> Result<bool, End> {
        loop {
            if self.input.is_none() {
                if let Some(file) = self.files.pop_front() {
                    let Ok(open) = File::open(&file) else {
                        cx.flush()?;
                        eprintln!("File {} is unavailable.", file.to_string_lossy());
                        return Err(End::Status(1));
                    };
                    (self.name, self.line_number) = (file.to_string_lossy().into_owned(), 1);
                    self.input = Some(BufReader::new(Box::new(open)));
                } else if self.standard_input {
                    self.standard_input = false;
                    (self.name, self.line_number) = ("(standard_in)".to_owned(), 1);
                    self.input = Some(BufReader::new(Box::new(Descriptor(0))));
                } else {
                    return Ok(false);
                }
            }
            // Whoever waits for an answer gets it before more is asked for.
            cx.flush()?;
            self.line.clear();
            self.at = 0;
            let got = match &mut self.input {
                Some(input) => input.read_until(b'\n', &mut self.line).unwrap_or(0),
                None => 0,
            };
            if got > 0 {
                if !self.line.ends_with(b"\n") {
                    self.line.push(b'\n');
                }
                return Ok(true);
            }
            self.input = None;
        }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.line.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Skips to the end of the line, after an error.
    pub(super) fn skip_line(&mut self) {
        if self.at < self.line.len() {
            self.at = self.line.len();
            self.line_number += 1;
        }
    }

    /// A number for `read()`.
    pub(super) fn read_number(&mut self, cx: &mut Cx) -> Result<Vec<u8>, End> {
        loop {
            while self.at < self.line.len() {
                let byte = self.line[self.at];
                if byte.is_ascii_digit() || byte.is_ascii_uppercase() || matches!(byte, b'.' | b'-') {
                    let start = self.at;
                    self.at += 1;
                    while self.peek(0).is_ascii_digit()
                        || self.peek(0).is_ascii_uppercase()
                        || self.peek(0) == b'.'
                    {
                        self.at += 1;
                    }
                    return Ok(self.line[start..self.at].to_vec());
                }
                self.at += 1;
                self.line_number += usize::from(byte == b'\n');
            }
            if !self.fill(cx)? {
                return Ok(b"0".to_vec());
            }
        }
    }

    /// The next word.
    pub(super) fn next(&mut self, cx: &mut Cx) -> Result<Token, End> {
        loop {
            if self.at >= self.line.len() && !self.fill(cx)? {
                return Ok(Token::End);
            }
            let byte = self.peek(0);
            match byte {
                b' ' | b'\t' | b'\r' | 0 => self.at += 1,
                b'\\' if self.peek(1) == b'\n' => {
                    self.at += 2;
                    self.line_number += 1;
                }
                b'\n' => {
                    self.at += 1;
                    self.line_number += 1;
                    return Ok(Token::Newline);
                }
                b'#' if !self.standard => self.at = self.line.len() - 1,
                b'/' if self.peek(1) == b'*' => self.comment(cx)?,
                b'"' => return self.text(cx),
                b'0'..=b'9' | b'A'..=b'F' | b'.' => return self.number(cx),
                b'a'..=b'z' => {
                    let start = self.at;
                    while matches!(self.peek(0), b'a'..=b'z' | b'0'..=b'9' | b'_') {
                        self.at += 1;
                    }
                    let word = String::from_utf8_lossy(&self.line[start..self.at]).into_owned();
                    return Ok(match KEYWORDS.iter().find(|k| **k == word) {
                        Some(keyword) => Token::Sign(keyword),
                        None => Token::Name(word),
                    });
                }
                _ => {
                    let rest = &self.line[self.at..];
                    if let Some(sign) = SIGNS.iter().find(|s| rest.starts_with(s.as_bytes())) {
                        self.at += sign.len();
                        return Ok(Token::Sign(sign));
                    }
                    self.at += 1;
                    self.complaint = Some(match byte {
                        b' '..=b'~' => format!("illegal character: {}", char::from(byte)),
                        _ => format!("illegal character: \\{byte:03o}"),
                    });
                    return Ok(Token::Bad);
                }
            }
        }
    }

    fn comment(&mut self, cx: &mut Cx) -> Result<(), End> {
        self.at += 2;
        loop {
            if self.at >= self.line.len() {
                if !self.fill(cx)? {
                    return Ok(());
                }
            } else if self.peek(0) == b'*' && self.peek(1) == b'/' {
                self.at += 2;
                return Ok(());
            } else {
                self.line_number += usize::from(self.peek(0) == b'\n');
                self.at += 1;
            }
        }
    }

    fn text(&mut self, cx: &mut Cx) -> Result<Token, End> {
        self.at += 1;
        let mut out = Vec::new();
        loop {
            if self.at >= self.line.len() && !self.fill(cx)? {
                return Ok(Token::Bad);
            }
            let byte = self.peek(0);
            self.at += 1;
            match byte {
                b'"' => return Ok(Token::Text(out)),
                b'\n' => self.line_number += 1,
                _ => {}
            }
            out.push(byte);
        }
    }

    fn number(&mut self, cx: &mut Cx) -> Result<Token, End> {
        let mut out = Vec::new();
        let mut points = 0;
        loop {
            match self.peek(0) {
                b'\\' if self.peek(1) == b'\n' => {
                    self.line_number += 1;
                    if !self.fill(cx)? {
                        break;
                    }
                    continue;
                }
                b'.' if points == 1 => break,
                b'.' => points = 1,
                b'0'..=b'9' | b'A'..=b'F' => {}
                _ => break,
            }
            out.push(self.peek(0));
            self.at += 1;
        }
        Ok(if out == b"." { Token::Sign("last") } else { Token::Number(out) })
    }
}
