//! Splits a jq program into tokens. Strings are nested programs, so their parts are tokens too; it knows no grammar.

/// A token and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Operators and brackets.
    Op(&'static str),
    Keyword(&'static str),
    Ident(String),
    /// `.name`
    Field(String),
    Number(f64),
    /// `@name`
    Format(String),
    StringStart,
    Text(String),
    InterpolationStart,
    InterpolationEnd,
    StringEnd,
    Invalid,
    End,
}

const KEYWORDS: [&str; 18] = [
    "as", "import", "include", "module", "def", "if", "then", "else", "elif", "end", "reduce", "foreach",
    "try", "catch", "label", "and", "or", "__loc__",
];

/// A longer one comes before its beginning.
const OPERATORS: [&str; 35] = [
    "?//", "//=", "|=", "+=", "-=", "*=", "/=", "%=", "==", "!=", "<=", ">=", "//", "..", "?", "=", ";", ",",
    ":", "|", "+", "-", "*", "/", "%", "<", ">", ".", "$", "(", ")", "[", "]", "{", "}",
];

/// All tokens, the last being the end.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { text, at: 0, out: Vec::new(), open: Vec::new() };
    lexer.run();
    lexer.out
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    out: Vec<Token>,
    /// Brackets that are open; `"` stands for the interpolation of a string.
    open: Vec<u8>,
}

impl Lexer<'_> {
    fn push(&mut self, kind: Kind, start: usize) {
        self.out.push(Token { kind, start });
    }

    fn word(&self, from: usize) -> usize {
        let bytes = self.text.as_bytes();
        let mut end = from;
        while end < bytes.len() && (bytes[end].is_ascii_alphanumeric() || bytes[end] == b'_') {
            end += 1;
        }
        end
    }

    fn run(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(&b) = bytes.get(self.at) {
            let start = self.at;
            let next = bytes.get(start + 1).copied().unwrap_or(0);
            match b {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                b'#' => {
                    self.at = memchr::memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |n| start + n);
                }
                b'"' => {
                    self.at += 1;
                    self.push(Kind::StringStart, start);
                    self.string();
                }
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                    let mut end = self.word(start);
                    // Names of modules: `a::b`.
                    while bytes[end..].starts_with(b"::")
                        && bytes.get(end + 2).is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
                    {
                        end = self.word(end + 2);
                    }
                    self.at = end;
                    let word = &self.text[start..end];
                    let kind = KEYWORDS
                        .iter()
                        .find(|k| **k == word)
                        .map_or_else(|| Kind::Ident(word.to_owned()), |k| Kind::Keyword(k));
                    self.push(kind, start);
                }
                b'.' if next.is_ascii_alphabetic() || next == b'_' => {
                    self.at = self.word(start + 1);
                    self.push(Kind::Field(self.text[start + 1..self.at].to_owned()), start);
                }
                b'@' if next.is_ascii_alphanumeric() || next == b'_' => {
                    self.at = self.word(start + 1);
                    self.push(Kind::Format(self.text[start + 1..self.at].to_owned()), start);
                }
                b'0'..=b'9' => self.number(start),
                b'.' if next.is_ascii_digit() => self.number(start),
                _ => self.operator(start, b),
            }
        }
        let start = self.at;
        self.push(Kind::End, start);
    }

    fn number(&mut self, start: usize) {
        let bytes = self.text.as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let mut end = digits(start);
        if bytes.get(end) == Some(&b'.') {
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            if digits(end + 1 + sign) > end + 1 + sign {
                end = digits(end + 1 + sign);
            }
        }
        self.at = end;
        let kind = self.text[start..end].parse().map_or(Kind::Invalid, Kind::Number);
        self.push(kind, start);
    }

    fn operator(&mut self, start: usize, b: u8) {
        let rest = &self.text[start..];
        let Some(op) = OPERATORS.iter().find(|op| rest.starts_with(**op)) else {
            self.at += rest.chars().next().map_or(1, char::len_utf8);
            return self.push(Kind::Invalid, start);
        };
        self.at += op.len();
        match b {
            b'(' | b'[' | b'{' => self.open.push(b),
            b')' | b']' | b'}' => {
                let fits = match self.open.last() {
                    Some(b'"') if b == b')' => {
                        self.open.pop();
                        self.push(Kind::InterpolationEnd, start);
                        return self.string();
                    }
                    Some(b'(') => b == b')',
                    Some(b'[') => b == b']',
                    Some(b'{') => b == b'}',
                    _ => false,
                };
                if !fits {
                    return self.push(Kind::Invalid, start);
                }
                self.open.pop();
            }
            _ => {}
        }
        self.push(Kind::Op(op), start);
    }

    /// The parts of a string up to its end or its next interpolation.
    fn string(&mut self) {
        let bytes = self.text.as_bytes();
        let mut start = self.at;
        let mut text = String::new();
        loop {
            let from = self.at;
            let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[from..]) else {
                text.push_str(&self.text[from..]);
                self.at = bytes.len();
                return self.push(Kind::Text(text), start);
            };
            text.push_str(&self.text[from..from + found]);
            self.at = from + found;
            let quote = bytes[self.at] == b'"';
            let interpolation = bytes[self.at..].starts_with(b"\\(");
            if quote || interpolation {
                if !text.is_empty() {
                    self.push(Kind::Text(std::mem::take(&mut text)), start);
                }
                start = self.at;
                self.at += if quote { 1 } else { 2 };
                if quote {
                    self.push(Kind::StringEnd, start);
                } else {
                    self.push(Kind::InterpolationStart, start);
                    self.open.push(b'"');
                }
                return;
            }
            self.escape(&mut text);
        }
    }

    /// An escape is read as JSON reads it.
    fn escape(&mut self, text: &mut String) {
        let bytes = self.text.as_bytes();
        let hex = |at: usize| {
            bytes[at..]
                .starts_with(b"\\u")
                .then(|| self.text.get(at + 2..at + 6))
                .flatten()
                .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        };
        let start = self.at;
        if let Some(high) = hex(start) {
            self.at += 6;
            let mut c = char::from_u32(high);
            if (0xd800..0xdc00).contains(&high)
                && let Some(low) = hex(start + 6).filter(|low| (0xdc00..0xe000).contains(low))
            {
                self.at += 6;
                c = char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
            }
            text.push(c.unwrap_or('\u{fffd}'));
            return;
        }
        let c = match bytes.get(start + 1) {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            other => {
                let length =
                    other.map_or(0, |_| self.text[start + 1..].chars().next().map_or(0, char::len_utf8));
                self.at += 1 + length;
                self.push(Kind::Invalid, start);
                return;
            }
        };
        self.at += 2;
        text.push(c);
    }
}
