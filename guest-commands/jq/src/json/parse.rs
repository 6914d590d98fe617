//! Reads JSON texts one after another from any source, in pieces: as whole values, or as the events of `--stream`.
//!
//! It accepts what jq accepts and says what jq says, with line and column; it never holds more than one value.

use super::number;
use crate::value::{Map, Value};

/// Containers inside one another, as in jq 1.6.
const MAX_DEPTH: usize = 256;
const PIECE: usize = 64 * 1024;

/// Where bytes come from: fills the buffer, 0 at the end.
pub(crate) trait Source {
    /// Reads some bytes.
    fn fill(&mut self, buffer: &mut [u8]) -> usize;

    /// Whether the last bytes were the first of another file.
    fn switched(&self) -> bool {
        false
    }
}

impl Source for &[u8] {
    fn fill(&mut self, buffer: &mut [u8]) -> usize {
        std::io::Read::read(self, buffer).unwrap_or(0)
    }
}

enum Token {
    Open(u8),
    Close(u8),
    Colon,
    Comma,
    Value(Value),
    /// The separator of `--seq`.
    Record,
    End,
}

enum Level {
    Array(Vec<Value>),
    /// With the key whose value is awaited.
    Object(Map, Option<std::rc::Rc<str>>),
}

/// What is to come of the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Values,
    /// `[path, leaf]` and closing `[path]` events.
    Events,
}

/// A reader of JSON texts.
pub(crate) struct Reader<S> {
    pub(crate) source: S,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
    /// Newlines before the buffer, and bytes since the last one of them.
    lines: usize,
    column: usize,
    /// Newlines before the file that is being read.
    before: usize,
    finished: bool,
    mode: Mode,
    seq: bool,
    levels: Vec<Level>,
    next: Option<Value>,
    events: Events,
}

#[derive(Default)]
struct Events {
    /// Keys down to where we are; for an array its next index.
    path: Vec<Value>,
    /// Whether each level has had a member.
    filled: Vec<bool>,
    queue: std::collections::VecDeque<Value>,
    /// The colon after a key has come.
    keyed: bool,
    /// The member that the path names has been read.
    complete: bool,
}

impl<S: Source> Reader<S> {
    pub(crate) fn new(source: S, mode: Mode, seq: bool) -> Self {
        Reader {
            source,
            buffer: Vec::new(),
            at: 0,
            end: 0,
            lines: 0,
            column: 0,
            before: 0,
            finished: false,
            mode,
            seq,
            levels: Vec::new(),
            next: None,
            events: Events::default(),
        }
    }

    fn refill(&mut self) -> bool {
        if self.finished {
            return false;
        }
        let (lines, column) = self.place();
        (self.lines, self.column) = (lines, column);
        self.buffer.resize(PIECE, 0);
        self.at = 0;
        self.end = self.source.fill(&mut self.buffer).min(PIECE);
        if self.source.switched() {
            self.before = self.lines;
        }
        if self.lines == 0 && self.column == 0 && self.buffer[..self.end].starts_with(b"\xef\xbb\xbf") {
            self.at = 3;
        }
        self.finished = self.end == 0;
        !self.finished
    }

    /// Newlines read so far, and bytes since the last one.
    fn place(&self) -> (usize, usize) {
        let read = &self.buffer[..self.at];
        let newlines = memchr::memchr_iter(b'\n', read).count();
        match memchr::memrchr(b'\n', read) {
            Some(last) => (self.lines + newlines, read.len() - last - 1),
            None => (self.lines, self.column + read.len()),
        }
    }

    /// The number of lines read, the one that we are in included if its end is known: jq reads line by line.
    pub(crate) fn lines_read(&self) -> usize {
        let rest = memchr::memchr(b'\n', &self.buffer[self.at..self.end]).is_some();
        let inside = self.at == 0 || self.buffer.get(self.at - 1) != Some(&b'\n');
        (self.place().0 + usize::from(rest && inside)).saturating_sub(self.before)
    }

    /// The next line as it stands, without its newline.
    pub(crate) fn line(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        let mut found = false;
        while self.at < self.end || self.refill() {
            found = true;
            let piece = &self.buffer[self.at..self.end];
            if let Some(length) = memchr::memchr(b'\n', piece) {
                line.extend_from_slice(&piece[..length]);
                self.at += length + 1;
                return Some(line);
            }
            line.extend_from_slice(piece);
            self.at = self.end;
        }
        found.then_some(line)
    }

    /// Everything that is left, as it stands.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while self.at < self.end || self.refill() {
            all.extend_from_slice(&self.buffer[self.at..self.end]);
            self.at = self.end;
        }
        all
    }

    fn peek(&mut self) -> Option<u8> {
        if self.at < self.end || self.refill() { Some(self.buffer[self.at]) } else { None }
    }

    fn wrong<T>(&self, what: &str) -> Result<T, String> {
        let (line, column) = self.place();
        Err(format!("{what} at line {}, column {column}", line + 1))
    }

    fn wrong_end<T>(&self, what: &str) -> Result<T, String> {
        let (line, column) = self.place();
        Err(format!("{what} at EOF at line {}, column {column}", line + 1))
    }

    fn token(&mut self) -> Result<Token, String> {
        loop {
            let Some(b) = self.peek() else { return Ok(Token::End) };
            match b {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                b'[' | b'{' => {
                    self.at += 1;
                    return Ok(Token::Open(b));
                }
                b']' | b'}' => {
                    self.at += 1;
                    return Ok(Token::Close(b));
                }
                b':' => {
                    self.at += 1;
                    return Ok(Token::Colon);
                }
                b',' => {
                    self.at += 1;
                    return Ok(Token::Comma);
                }
                0x1e if self.seq => {
                    self.at += 1;
                    return Ok(Token::Record);
                }
                b'"' => {
                    self.at += 1;
                    return self.string().map(Token::Value);
                }
                _ => return self.literal().map(Token::Value),
            }
        }
    }

    fn literal(&mut self) -> Result<Value, String> {
        let mut word = Vec::new();
        // Most literals lie in the buffer as a whole; the vector is for those that do not.
        let ends = |b: u8| {
            matches!(b, b' ' | b'\t' | b'\n' | b'\r' | b'[' | b']' | b'{' | b'}' | b':' | b',' | b'"' | 0x1e)
        };
        loop {
            let piece = &self.buffer[self.at..self.end];
            let length = piece.iter().position(|b| ends(*b));
            let whole = length.filter(|_| word.is_empty());
            if let Some(length) = whole {
                let value = literal_value(&piece[..length]);
                self.at += length;
                return value.or_else(|what| {
                    self.at += 1;
                    self.wrong(what)
                });
            }
            let length_here = length.unwrap_or(piece.len());
            if word.len() + length_here > 1 << 20 {
                return self.wrong("Invalid numeric literal");
            }
            word.extend_from_slice(&piece[..length_here]);
            self.at += length_here;
            if length.is_some() || self.peek().is_none() {
                let at_end = length.is_none();
                return literal_value(&word).or_else(|what| {
                    if at_end {
                        self.wrong_end(what)
                    } else {
                        self.at += 1;
                        self.wrong(what)
                    }
                });
            }
        }
    }

    fn string(&mut self) -> Result<Value, String> {
        let mut text: Vec<u8> = Vec::new();
        // Escapes are judged when the string has ended.
        let mut broken = None;
        loop {
            if self.at >= self.end && !self.refill() {
                return self.wrong_end("Unfinished string");
            }
            let piece = &self.buffer[self.at..self.end];
            match memchr::memchr2(b'"', b'\\', piece) {
                None => {
                    text.extend_from_slice(piece);
                    self.at = self.end;
                }
                Some(found) => {
                    let quote = piece[found] == b'"';
                    if quote && text.is_empty() && broken.is_none() {
                        let value = Value::from(&*String::from_utf8_lossy(&piece[..found]));
                        self.at += found + 1;
                        return Ok(value);
                    }
                    text.extend_from_slice(&piece[..found]);
                    self.at += found + 1;
                    if quote {
                        return match broken {
                            Some(what) => self.wrong(what),
                            None => Ok(Value::from(&*String::from_utf8_lossy(&text))),
                        };
                    }
                    match self.escape(&mut text) {
                        Ok(()) => {}
                        Err(Some(what)) => broken = broken.or(Some(what)),
                        Err(None) => return self.wrong_end("Unfinished string"),
                    }
                }
            }
        }
    }

    /// The error is what is wrong, or none for the end of the text.
    fn escape(&mut self, text: &mut Vec<u8>) -> Result<(), Option<&'static str>> {
        let Some(b) = self.peek() else { return Err(None) };
        self.at += 1;
        text.push(match b {
            b'"' | b'\\' | b'/' => b,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.unicode(text),
            _ => return Err(Some("Invalid escape")),
        });
        Ok(())
    }

    fn hex(&mut self) -> Result<u32, Option<&'static str>> {
        let mut n = 0;
        for _ in 0..4 {
            let digit = (self.peek().ok_or(None)? as char).to_digit(16);
            n = n * 16 + digit.ok_or(Some("Invalid characters in \\uXXXX escape"))?;
            self.at += 1;
        }
        Ok(n)
    }

    fn unicode(&mut self, text: &mut Vec<u8>) -> Result<(), Option<&'static str>> {
        let mut unit = self.hex()?;
        let push = |text: &mut Vec<u8>, c: u32| {
            let c = char::from_u32(c).unwrap_or('\u{fffd}');
            text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        };
        // A high surrogate that no low one follows is replaced, and what follows it stands for itself.
        while (0xd800..0xdc00).contains(&unit) && self.peek() == Some(b'\\') {
            self.at += 1;
            if self.peek() != Some(b'u') {
                push(text, unit);
                return self.escape(text);
            }
            self.at += 1;
            let low = self.hex()?;
            if (0xdc00..0xe000).contains(&low) {
                push(text, 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
                return Ok(());
            }
            push(text, unit);
            unit = low;
        }
        push(text, unit);
        Ok(())
    }

    /// The next value or event; none at the end.
    pub(crate) fn read(&mut self) -> Result<Option<Value>, String> {
        let result = match self.mode {
            Mode::Values => self.value(),
            Mode::Events => self.event(),
        };
        if result.is_err() {
            self.levels.clear();
            self.next = None;
            self.events = Events::default();
        }
        result
    }

    fn value(&mut self) -> Result<Option<Value>, String> {
        loop {
            if self.levels.is_empty()
                && let Some(done) = self.next.take()
            {
                return Ok(Some(done));
            }
            match self.token()? {
                Token::End if self.levels.is_empty() => return Ok(None),
                Token::End => return self.wrong_end("Unfinished JSON term"),
                Token::Record if self.levels.is_empty() => {}
                Token::Record => return self.wrong("Unfinished abandoned text"),
                Token::Value(value) => {
                    if self.next.is_some() {
                        // A literal is known to be whole by what follows it, which counts as read.
                        self.at += usize::from(!matches!(value, Value::Str(_)) && self.at < self.end);
                        return self.wrong("Expected separator between values");
                    }
                    self.next = Some(value);
                }
                Token::Open(b) => {
                    if self.levels.len() >= MAX_DEPTH {
                        return self.wrong("Exceeds depth limit for parsing");
                    }
                    if self.next.is_some() {
                        return self.wrong("Expected separator between values");
                    }
                    self.levels.push(if b == b'[' {
                        Level::Array(Vec::new())
                    } else {
                        Level::Object(Map::default(), None)
                    });
                }
                Token::Colon => self.colon()?,
                Token::Comma => self.comma()?,
                Token::Close(b) => self.close(b)?,
            }
        }
    }

    fn colon(&mut self) -> Result<(), String> {
        let wrong = match (self.levels.last_mut(), self.next.take()) {
            (_, None) => "Expected string key before ':'",
            (Some(Level::Object(_, key @ None)), Some(Value::Str(next))) => {
                *key = Some(next);
                return Ok(());
            }
            (Some(Level::Object(_, None)), _) => "Object keys must be strings",
            (Some(Level::Object(..)), _) => "':' should follow a key",
            _ => "':' not as part of an object",
        };
        self.wrong(wrong)
    }

    fn comma(&mut self) -> Result<(), String> {
        let wrong = match (self.levels.last_mut(), self.next.take()) {
            (_, None) => "Expected value before ','",
            (Some(Level::Array(list)), Some(next)) => {
                list.push(next);
                return Ok(());
            }
            (Some(Level::Object(map, key)), Some(next)) => match key.take() {
                Some(key) => {
                    map.insert(key, next);
                    return Ok(());
                }
                None => "Objects must consist of key:value pairs",
            },
            (None, _) => "',' not as part of an object or array",
        };
        self.wrong(wrong)
    }

    fn close(&mut self, b: u8) -> Result<(), String> {
        let wrong = match (b, self.levels.pop(), self.next.take()) {
            (b']', Some(Level::Array(mut list)), next) => match next {
                None if !list.is_empty() => "Expected another array element",
                next => {
                    list.extend(next);
                    self.next = Some(list.into());
                    return Ok(());
                }
            },
            (b'}', Some(Level::Object(mut map, key)), next) => match (key, next) {
                (Some(key), Some(next)) => {
                    map.insert(key, next);
                    self.next = Some(map.into());
                    return Ok(());
                }
                (None, None) if map.is_empty() => {
                    self.next = Some(map.into());
                    return Ok(());
                }
                (None, None) => "Expected another key-value pair",
                (Some(_), None) => "Unmatched '}'",
                _ => "Objects must consist of key:value pairs",
            },
            (b']', ..) => "Unmatched ']'",
            (_, Some(_), Some(_)) => "Objects must consist of key:value pairs",
            _ => "Unmatched '}'",
        };
        self.wrong(wrong)
    }

    fn event(&mut self) -> Result<Option<Value>, String> {
        loop {
            if let Some(event) = self.events.queue.pop_front() {
                return Ok(Some(event));
            }
            match self.token()? {
                Token::End if self.events.path.is_empty() => return Ok(None),
                Token::End => return self.wrong_end("Unfinished JSON term"),
                Token::Record if self.events.path.is_empty() => {}
                Token::Record => return self.wrong("Unfinished abandoned text"),
                token => {
                    if let Err(what) = self.events.take(token) {
                        return self.wrong(what);
                    }
                }
            }
        }
    }
}

impl Events {
    fn take(&mut self, token: Token) -> Result<(), &'static str> {
        let in_object = matches!(self.path.last(), Some(Value::Str(_) | Value::Null));
        let inside = !self.path.is_empty();
        match token {
            Token::Value(_) | Token::Open(_) if inside && self.complete => {
                Err("Expected separator between values")
            }
            Token::Value(Value::Str(key)) if in_object && !self.keyed => match self.path.last_mut() {
                Some(slot @ Value::Null) => {
                    *slot = Value::Str(key);
                    Ok(())
                }
                _ => Err("Objects must consist of key:value pairs"),
            },
            Token::Value(_) | Token::Open(_) if in_object && !self.keyed => {
                Err("Object keys must be strings")
            }
            Token::Value(value) => {
                self.leaf(value);
                Ok(())
            }
            Token::Open(_) if self.path.len() >= MAX_DEPTH => Err("Exceeds depth limit for parsing"),
            Token::Open(b) => {
                if let Some(filled) = self.filled.last_mut() {
                    *filled = true;
                }
                self.path.push(if b == b'[' { Value::Num(0.0) } else { Value::Null });
                self.filled.push(false);
                (self.keyed, self.complete) = (false, false);
                Ok(())
            }
            Token::Colon => match self.path.last() {
                Some(Value::Str(_)) if !self.keyed => {
                    self.keyed = true;
                    Ok(())
                }
                Some(Value::Num(_)) | None => Err("':' not as part of an object"),
                _ => Err("Expected string key before ':'"),
            },
            Token::Comma => {
                if !self.complete || !inside {
                    return Err("Expected value before ','");
                }
                match self.path.last_mut() {
                    Some(Value::Num(n)) => *n += 1.0,
                    Some(slot) => *slot = Value::Null,
                    None => {}
                }
                (self.keyed, self.complete) = (false, false);
                Ok(())
            }
            Token::Close(b) => self.close(b == b']'),
            Token::Record | Token::End => Ok(()),
        }
    }

    fn close(&mut self, array: bool) -> Result<(), &'static str> {
        let fits = match self.path.last() {
            Some(Value::Num(_)) => array,
            Some(_) => !array,
            None => false,
        };
        if !fits {
            return Err(if array { "Unmatched ']'" } else { "Unmatched '}'" });
        }
        let filled = self.filled.pop().unwrap_or(false);
        if !self.complete && (filled || !matches!(self.path.last(), Some(Value::Num(_) | Value::Null))) {
            return Err(if array {
                "Expected another array element"
            } else {
                "Objects must consist of key:value pairs"
            });
        }
        let path = Value::from(self.path.clone());
        self.path.pop();
        if filled {
            self.queue.push_back(vec![path].into());
        } else {
            let empty = if array { Value::from(Vec::new()) } else { Map::default().into() };
            self.queue.push_back(vec![Value::from(self.path.clone()), empty].into());
        }
        (self.keyed, self.complete) = (true, true);
        Ok(())
    }

    fn leaf(&mut self, value: Value) {
        if let Some(filled) = self.filled.last_mut() {
            *filled = true;
        }
        self.queue.push_back(vec![Value::from(self.path.clone()), value].into());
        self.complete = true;
    }
}

fn literal_value(word: &[u8]) -> Result<Value, &'static str> {
    match word {
        b"true" => Ok(Value::Bool(true)),
        b"false" => Ok(Value::Bool(false)),
        b"null" => Ok(Value::Null),
        b"nan" => Ok(Value::Num(f64::NAN)),
        [b't' | b'f' | b'n', ..] => Err("Invalid literal"),
        _ => number::parse(word).map(Value::Num).ok_or("Invalid numeric literal"),
    }
}

/// Reads exactly one value from a whole text, as `fromjson` does. The error is jq's, without what was being parsed.
pub(crate) fn one(text: &str) -> Result<Value, String> {
    let mut reader = Reader::new(text.as_bytes(), Mode::Values, false);
    let Some(value) = reader.read()? else { return Ok(Value::Null) };
    match reader.read() {
        Ok(None) => Ok(value),
        Ok(Some(_)) => Err("Unexpected extra JSON values".to_owned()),
        Err(error) => Err(error),
    }
}

/// All values of a text.
pub(crate) fn all(text: &[u8]) -> Result<Vec<Value>, String> {
    let mut reader = Reader::new(text, Mode::Values, false);
    let mut values = Vec::new();
    while let Some(value) = reader.read()? {
        values.push(value);
    }
    Ok(values)
}
