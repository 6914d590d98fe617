//! Takes words apart: quotes, tildes, expansions. It expands nothing.

use super::{Result, param};
use crate::arith::Arith;
use crate::ir::{Part, Subst, Word};
use crate::source::SyntaxError;
use crate::source::skip::Skipper;
use std::cell::{Cell, OnceCell};
use std::rc::Rc;

/// Where a word stands, which decides what is special in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// An argument.
    Word,
    /// The value of an assignment: tildes also after colons.
    Assign,
    /// An argument that has the form of an assignment: the same for its value.
    NameAndValue,
    /// Within double quotes.
    Double,
    /// The word of an expansion within double quotes: a backslash quotes the brace, too.
    Braced,
    /// Quotes within the word of an expansion within double quotes: a backslash quotes everything.
    Inner,
    /// A here-document: as double quotes, but `"` is ordinary.
    HereDoc,
    /// A prompt: as double quotes, but `"` by itself is ordinary.
    Prompt,
    /// Nothing is special.
    Literal,
}

/// Collects the parts of a word.
pub(super) struct Builder {
    pub(super) parts: Vec<Part>,
    text: String,
    quoted: bool,
    /// Within a here-document.
    here: bool,
    /// The value of an assignment.
    assign: bool,
    pub(super) line: u32,
    pub(super) depth: u32,
}

impl Builder {
    fn push(&mut self, text: &str, quoted: bool) {
        if self.quoted != quoted {
            self.flush();
            self.quoted = quoted;
        }
        self.text.push_str(text);
    }

    pub(super) fn flush(&mut self) {
        if !self.text.is_empty() {
            let text = Rc::from(std::mem::take(&mut self.text));
            self.parts.push(if self.quoted { Part::Quoted(text) } else { Part::Lit(text) });
        }
    }

    pub(super) fn part(&mut self, part: Part) {
        self.flush();
        self.parts.push(part);
    }
}

/// Takes a word apart.
pub(crate) fn parse(text: &str, line: u32, mode: Mode) -> Result<Word> {
    parse_at(text, line, mode, 0)
}

pub(super) fn parse_at(text: &str, line: u32, mode: Mode, depth: u32) -> Result<Word> {
    if depth > 60 {
        return Err(SyntaxError::Wrong("expansions nest too deeply".into(), line));
    }
    if matches!(mode, Mode::Word | Mode::Assign | Mode::NameAndValue) && is_plain(text) {
        let text: Rc<str> = Rc::from(text);
        return Ok(Word { parts: vec![Part::Lit(text.clone())], raw: text });
    }
    let mut b = Builder {
        parts: Vec::new(),
        text: String::new(),
        quoted: false,
        here: mode == Mode::HereDoc,
        assign: mode == Mode::Assign,
        line,
        depth,
    };
    match mode {
        Mode::Literal => b.push(text, true),
        Mode::Double | Mode::Braced | Mode::Inner | Mode::HereDoc | Mode::Prompt => {
            double(&mut b, text, mode)?
        }
        Mode::Word | Mode::Assign | Mode::NameAndValue => unquoted(&mut b, text, mode)?,
    }
    b.flush();
    Ok(Word { parts: b.parts, raw: Rc::from(text) })
}

/// A word whose expansion fails: `text` has the beginning of an expansion and not its end.
pub(crate) fn wrong(text: &str) -> Word {
    let inner = text.find("${").map_or(text, |at| &text[at + 2..]);
    Word { parts: vec![Part::Param(Box::new(param::wrong(inner)), false)], raw: Rc::from(text) }
}

/// Whether a word is the text that it is written as: most are.
fn is_plain(text: &str) -> bool {
    let special = |b| matches!(b, b'\\' | b'\'' | b'"' | b'`' | b'$' | b'~' | b'<' | b'>');
    !text.is_empty() && !text.bytes().any(special)
}

/// The words of the text of an array literal.
pub(super) fn split(text: &str) -> Result<Vec<&str>> {
    let s = Skipper::new(text);
    let mut out = Vec::new();
    let mut i = 0;
    while i < s.b.len() {
        match s.b[i] {
            b' ' | b'\t' | b'\n' | b'\r' => i += 1,
            b'\\' if s.at(i + 1) == b'\n' => i += 2,
            b'#' => i = s.b[i..].iter().position(|c| *c == b'\n').map_or(s.b.len(), |n| i + n),
            _ => {
                let start = i;
                let mut subscript = s.b[i] == b'[';
                while i < s.b.len() && (subscript || !matches!(s.b[i], b' ' | b'\t' | b'\n' | b'\r')) {
                    i = match s.b[i] {
                        b'\\' => s.char_end(i + 1),
                        b'\'' => s.single(i)?,
                        b'"' => s.double(i)?,
                        b'`' => s.backquote(i)?,
                        b'$' => s.dollar(i, false)?,
                        b'<' | b'>' if s.at(i + 1) == b'(' => s.command(i + 2)?,
                        b'(' => s.balanced(i + 1, b'(', b')')?,
                        b']' => {
                            subscript = false;
                            i + 1
                        }
                        _ => i + 1,
                    };
                }
                out.push(text.get(start..i).unwrap_or_default());
            }
        }
    }
    Ok(out)
}

fn unquoted(b: &mut Builder, text: &str, mode: Mode) -> Result<()> {
    let s = Skipper::new(text);
    let mut i = 0;
    let mut tilde = true;
    while i < s.b.len() {
        let at_start = std::mem::take(&mut tilde);
        let c = s.b[i];
        match c {
            b'\\' => {
                let end = s.char_end(i + 1).min(s.b.len());
                match &text[i + 1..end] {
                    "\n" => {}
                    "" => b.push("\\", true),
                    escaped => b.push(escaped, true),
                }
                i = end;
            }
            b'\'' => {
                let end = s.single(i)?;
                quoted_text(b, &text[i + 1..end - 1]);
                i = end;
            }
            b'"' => {
                let end = s.double(i)?;
                double_quoted(b, &text[i + 1..end - 1])?;
                i = end;
            }
            b'`' => {
                let end = s.backquote(i)?;
                backquoted(b, &text[i + 1..end - 1], false);
                i = end;
            }
            b'$' => i = dollar(b, &s, i, false)?,
            b'<' | b'>' if s.at(i + 1) == b'(' => {
                let end = s.command(i + 2)?;
                let subst = subst(&text[i + 2..end - 1]);
                b.part(Part::Process(subst, c == b'<'));
                i = end;
            }
            b'~' if at_start => {
                let rest = &text[i + 1..];
                let stop = |c: char| c == '/' || c == ':';
                let name = rest.split(stop).next().unwrap_or(rest);
                if name.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-+.".contains(&c)) {
                    b.part(Part::Tilde(Rc::from(name)));
                    i += 1 + name.len();
                } else {
                    b.push("~", false);
                    i += 1;
                }
            }
            _ => {
                let end = s.char_end(i);
                b.push(&text[i..end], false);
                tilde = mode != Mode::Word && c == b':'
                    || mode == Mode::NameAndValue && c == b'=' && crate::text::is_name(&text[..i]);
                i = end;
            }
        }
    }
    Ok(())
}

/// Quoted text, which makes a word even if it is empty.
fn quoted_text(b: &mut Builder, text: &str) {
    if text.is_empty() {
        b.part(Part::Quoted(Rc::from("")));
    } else {
        b.push(text, true);
    }
}

fn double_quoted(b: &mut Builder, inner: &str) -> Result<()> {
    if inner.is_empty() {
        b.part(Part::Quoted(Rc::from("")));
        return Ok(());
    }
    double(b, inner, Mode::Double)
}

/// The inside of double quotes, or a here-document.
fn double(b: &mut Builder, text: &str, mode: Mode) -> Result<()> {
    let s = Skipper::new(text);
    let mut i = 0;
    while i < s.b.len() {
        match s.b[i] {
            b'\\' => {
                let next = s.at(i + 1);
                if next == b'\n' {
                    i += 2;
                } else if mode == Mode::Inner && i + 1 < s.b.len() {
                    let end = s.char_end(i + 1).min(s.b.len());
                    b.push(&text[i + 1..end], true);
                    i = end;
                } else if matches!(next, b'$' | b'`' | b'\\')
                    || next == b'"' && mode != Mode::HereDoc
                    || next == b'}' && mode == Mode::Braced
                {
                    b.push(&text[i + 1..i + 2], true);
                    i += 2;
                } else {
                    b.push("\\", true);
                    i += 1;
                }
            }
            // Quotes within the word of an expansion that is itself quoted.
            b'"' if !matches!(mode, Mode::HereDoc | Mode::Prompt) => {
                let end = s.double(i)?;
                let inner = if mode == Mode::Braced { Mode::Inner } else { mode };
                double(b, &text[i + 1..end - 1], inner)?;
                i = end;
            }
            b'`' => {
                let end = s.backquote(i)?;
                backquoted(b, &text[i + 1..end - 1], true);
                i = end;
            }
            b'$' if mode == Mode::Braced && s.at(i + 1) == b'\'' && !crate::source::posix() => {
                match s.ansi(i) {
                    Ok(end) => {
                        b.push(&ansi(&text[i + 2..end - 1]), true);
                        i = end;
                    }
                    Err(_) => {
                        b.push("$", true);
                        i += 1;
                    }
                }
            }
            b'$' if mode == Mode::Braced && s.at(i + 1) == b'"' => i += 1,
            b'$' => i = dollar(b, &s, i, true)?,
            _ => {
                let end = s.char_end(i);
                b.push(&text[i..end], true);
                i = end;
            }
        }
    }
    Ok(())
}

/// Commands that are parsed when first run.
pub(super) fn subst(text: &str) -> Rc<Subst> {
    if let Some(known) = crate::source::known_subst(text) {
        return known;
    }
    Rc::new(Subst { text: Rc::from(text), list: OnceCell::new(), in_process: Cell::new(None) })
}

fn backquoted(b: &mut Builder, raw: &str, in_double: bool) {
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some('\\' | '`' | '$') if c == '\\' => text.extend(chars.next()),
            Some('"') if c == '\\' && in_double && !b.here => text.extend(chars.next()),
            _ => text.push(c),
        }
    }
    b.part(Part::Subst(subst(&text), in_double));
}

/// The expansion at `i`; returns the position after it.
fn dollar(b: &mut Builder, s: &Skipper<'_>, i: usize, quoted: bool) -> Result<usize> {
    let end = s.dollar(i, quoted)?;
    let text = s.src;
    match s.at(i + 1) {
        b'(' if s.at(i + 2) == b'(' && s.arithmetic(i + 3) == Ok(end) => {
            let arith = Arith::new(&text[i + 3..end - 2], b.line)?;
            b.part(Part::Arith(Box::new(arith), quoted));
        }
        b'(' => b.part(Part::Subst(subst(&text[i + 2..end - 1]), quoted)),
        b'[' => {
            let arith = Arith::new(&text[i + 2..end - 1], b.line)?;
            b.part(Part::Arith(Box::new(arith), quoted));
        }
        b'{' => {
            let inner = &text[i + 2..end - 1];
            let mode = match (quoted, b.assign) {
                (true, _) => Mode::Braced,
                (_, true) => Mode::Assign,
                _ => Mode::Word,
            };
            let param =
                param::parse(inner, b.line, mode, b.depth + 1).unwrap_or_else(|_| param::wrong(inner));
            b.part(Part::Param(Box::new(param), quoted));
        }
        b'\'' if !quoted => quoted_text(b, &ansi(&text[i + 2..end - 1])),
        b'"' if !quoted => double_quoted(b, &text[i + 2..end - 1])?,
        _ if end > i + 1 => {
            let mut param = param::plain(&text[i + 1..end]);
            // A here-document joins with blanks whatever `IFS` is.
            if b.here && param.name == crate::ir::Name::Star {
                param.name = crate::ir::Name::At;
            }
            b.part(Part::Param(Box::new(param), quoted));
        }
        _ => b.push("$", quoted),
    }
    Ok(end)
}

/// The text that `$'…'` stands for.
pub(crate) fn ansi(raw: &str) -> String {
    let mut out: Vec<u8> = Vec::with_capacity(raw.len());
    let b = raw.as_bytes();
    let mut i = 0;
    while i < b.len() {
        if b[i] != b'\\' || i + 1 >= b.len() {
            out.push(b[i]);
            i += 1;
            continue;
        }
        i += escape(&b[i..], &mut out, false);
    }
    // Bash ends the string at a NUL.
    let end = out.iter().position(|c| *c == 0).unwrap_or(out.len());
    out.truncate(end);
    crate::text::from_bytes(out)
}

/// Adds a number in the form of UTF-8, be it a character or not. The `C` locale has no such characters.
pub(crate) fn push_code(n: u32, out: &mut Vec<u8>) {
    if n > 0x7f && crate::text::bytes_count() {
        let text = if n > 0xffff { format!("\\U{n:08X}") } else { format!("\\u{n:04X}") };
        return out.extend_from_slice(text.as_bytes());
    }
    if let Some(c) = char::from_u32(n) {
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        return;
    }
    let (head, more) = match n {
        0..=0xffff => (0xe0, 2),
        0x1_0000..=0x1f_ffff => (0xf0, 3),
        0x20_0000..=0x3ff_ffff => (0xf8, 4),
        0x400_0000..=0x7fff_ffff => (0xfc, 5),
        _ => return,
    };
    out.push(head | (n >> (6 * more)) as u8);
    out.extend((0..more).rev().map(|i| 0x80 | (n >> (6 * i) & 0x3f) as u8));
}

/// Decodes the backslash escape at the start of `b` (as `$'…'`, `echo -e`, `printf`) and returns its length. `zero`: octal
/// numbers need a leading 0 (`echo -e`, `%b`).
pub(crate) fn escape(b: &[u8], out: &mut Vec<u8>, zero: bool) -> usize {
    let digits = |from: usize, max: usize, radix: u32| -> (u32, usize) {
        let mut n = 0u32;
        let mut len = 0;
        while len < max
            && let Some(d) = b.get(from + len).and_then(|c| (*c as char).to_digit(radix))
        {
            n = n.wrapping_mul(radix).wrapping_add(d);
            len += 1;
        }
        (n, len)
    };
    let mut simple = |c: u8| {
        out.push(c);
        2
    };
    match b.get(1).copied().unwrap_or(b'\\') {
        b'a' => simple(7),
        b'b' => simple(8),
        b'e' | b'E' => simple(27),
        b'f' => simple(12),
        b'n' => simple(b'\n'),
        b'r' => simple(b'\r'),
        b't' => simple(b'\t'),
        b'v' => simple(11),
        b'\\' => simple(b'\\'),
        c @ (b'\'' | b'"' | b'?') if !zero => simple(c),
        b'x' if !zero && b.get(2) == Some(&b'{') => {
            // Only the last two digits count.
            let (n, len) = digits(3, usize::MAX, 16);
            if len == 0 {
                out.push(0);
            } else {
                out.push(n as u8);
            }
            3 + len + usize::from(b.get(3 + len) == Some(&b'}'))
        }
        b'x' => match digits(2, 2, 16) {
            (_, 0) => {
                out.extend_from_slice(b"\\x");
                2
            }
            (n, len) => {
                out.push(n as u8);
                2 + len
            }
        },
        c @ (b'u' | b'U') => match digits(2, if c == b'u' { 4 } else { 8 }, 16) {
            (_, 0) => {
                out.extend_from_slice(&[b'\\', c]);
                2
            }
            (n, len) => {
                push_code(n, out);
                2 + len
            }
        },
        b'c' if !zero => {
            let (c, len) = match b.get(2).copied() {
                Some(b'\\') if b.get(3) == Some(&b'\\') => (b'\\', 4),
                Some(c) => (c, 3),
                None => {
                    out.extend_from_slice(b"\\c");
                    return 2;
                }
            };
            out.push(if c == b'?' { 0x7f } else { c & 0x1f });
            len
        }
        b'0' if zero => {
            let (n, len) = digits(2, 3, 8);
            out.push(n as u8);
            2 + len
        }
        b'0'..=b'7' if !zero => {
            let (n, len) = digits(1, 3, 8);
            out.push(n as u8);
            1 + len
        }
        _ => {
            out.push(b'\\');
            1
        }
    }
}
