//! POSIX basic and extended regular expressions and Perl's, rewritten in the syntax of the regex and fancy-regex crates. It
//! compiles nothing.

use std::fmt::Write;

/// How patterns are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// Basic: `\(`, `\{`, `\|`.
    Basic,
    /// Extended: `(`, `{`, `|`.
    Extended,
    /// Fixed strings.
    Fixed,
    /// Perl-like: the regex crate's own.
    Perl,
}

/// A pattern in the regex crate's syntax.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Translated {
    pub(crate) text: String,
    /// How many groups it has.
    pub(crate) groups: usize,
    /// It needs an engine that goes back: back-references, look-around.
    pub(crate) fancy: bool,
    /// The first way to match need not be the longest one, which POSIX asks for.
    pub(crate) ambiguous: bool,
    /// What GNU's `grep` warns of.
    pub(crate) warnings: Vec<String>,
}

/// A pattern of Emacs as a basic one: there `+` and `?` are operators without a backslash.
pub(crate) fn from_emacs(pattern: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = pattern.iter().copied();
    while let Some(b) = bytes.next() {
        match b {
            b'+' | b'?' => out.extend([b'\\', b]),
            b'\\' => match bytes.next() {
                Some(next @ (b'+' | b'?' | b'{' | b'}')) => out.push(next),
                Some(next) => out.extend([b'\\', next]),
                None => out.push(b'\\'),
            },
            b'[' => {
                out.push(b);
                let start = out.len();
                for b in bytes.by_ref() {
                    out.push(b);
                    if b == b']' && !matches!(&out[start..], b"]" | b"^]") {
                        break;
                    }
                }
            }
            _ => out.push(b),
        }
    }
    out
}

/// Rewrites a pattern, or says in GNU's words what is wrong with it. `editor`: newlines are characters like others and
/// `\n`, `\t`, `\x41` are escapes, as for `sed`.
pub(crate) fn translate(pattern: &[u8], syntax: Syntax, editor: bool) -> Result<Translated, String> {
    match syntax {
        Syntax::Fixed => {
            let mut text = String::new();
            put_text(&mut text, pattern);
            Ok(Translated { text, ..Translated::default() })
        }
        Syntax::Perl => Ok(perl(pattern)),
        _ => Translator {
            bytes: pattern,
            at: 0,
            out: String::new(),
            extended: syntax == Syntax::Extended,
            editor,
            open: Vec::new(),
            closed: Vec::new(),
            fancy: false,
            ambiguous: false,
            warnings: Vec::new(),
            atom: 0,
            repeated: false,
        }
        .run(),
    }
}

/// What Perl writes and the engines read otherwise: `\h`, `\R`, `\N`, `\Q…\E`.
fn perl(pattern: &[u8]) -> Translated {
    let text = String::from_utf8_lossy(pattern);
    let mut out = Translated::default();
    let mut chars = text.chars().peekable();
    let (mut quoted, mut class) = (false, false);
    while let Some(c) = chars.next() {
        if quoted {
            if c == '\\' && chars.next_if_eq(&'E').is_some() {
                quoted = false;
            } else {
                out.text.push_str(&escape(c));
            }
            continue;
        }
        match c {
            '\\' => match chars.next() {
                Some('Q') => quoted = true,
                Some('E') => {}
                Some('h') if class => out.text.push_str(" \\t"),
                Some('h') => out.text.push_str("[ \\t]"),
                Some('H') => out.text.push_str("[^ \\t\\n]"),
                Some('d') if class => out.text.push_str("0-9"),
                Some('d') => out.text.push_str("[0-9]"),
                Some('D') if !class => out.text.push_str("[^0-9\\n]"),
                Some('N') => out.text.push_str("[^\\n]"),
                Some('R') => out.text.push_str("(?:\\r\\n|[\\n\\r\\x0b\\x0c])"),
                Some('e') => out.text.push_str("\\x1b"),
                Some(next) => {
                    // References and `\K`, `\G`, `\g{1}`, `\k<n>` are for the engine that goes back.
                    out.fancy |= !class && matches!(next, '1'..='9' | 'K' | 'G' | 'g' | 'k' | 'X' | 'Z');
                    out.text.push('\\');
                    out.text.push(next);
                }
                None => out.text.push('\\'),
            },
            '[' if class && chars.peek() == Some(&':') => {
                out.text.push('[');
                for c in chars.by_ref() {
                    out.text.push(c);
                    if c == ']' {
                        break;
                    }
                }
            }
            // A bracket in a class would begin a nested one.
            '[' if class => out.text.push_str("\\["),
            '[' => {
                class = true;
                out.text.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.text.push_str("^\\n");
                }
                if chars.next_if_eq(&']').is_some() {
                    out.text.push_str("\\]");
                }
            }
            ']' if class => {
                class = false;
                out.text.push(']');
            }
            '&' | '~' if class => out.text.push_str(&escape(c)),
            '(' if !class => {
                out.text.push('(');
                let mut ahead = chars.clone();
                if ahead.next() != Some('?') {
                    out.groups += 1;
                    // Verbs such as `(*SKIP)`.
                    out.fancy |= chars.peek() == Some(&'*');
                } else {
                    let kind: String = ahead.take(2).collect();
                    let group = kind.starts_with("P<")
                        || (kind.starts_with('<') && !matches!(kind.as_str(), "<=" | "<!"));
                    out.groups += usize::from(group);
                    out.fancy |=
                        matches!(kind.chars().next(), Some('=' | '!' | '>' | '|' | '(' | '#' | '&' | 'R'))
                            || matches!(kind.as_str(), "<=" | "<!" | "P=" | "P>");
                }
            }
            '*' | '+' | '?' | '}' if !class && chars.peek() == Some(&'+') => {
                out.fancy = true;
                out.text.push(c);
            }
            _ => out.text.push(c),
        }
    }
    out
}

struct Translator<'a> {
    bytes: &'a [u8],
    at: usize,
    out: String,
    extended: bool,
    editor: bool,
    /// The open groups: their numbers, and where in `out` they begin.
    open: Vec<(usize, usize)>,
    /// Of each group, whether it has been closed.
    closed: Vec<bool>,
    fancy: bool,
    ambiguous: bool,
    warnings: Vec<String>,
    /// Where in `out` the last atom begins, and whether it already has an operator.
    atom: usize,
    repeated: bool,
}

/// What an unescaped or escaped byte means.
enum Token {
    Literal,
    Open,
    Close,
    Or,
    Repeat(u8),
    Interval,
}

impl Translator<'_> {
    fn run(mut self) -> Result<Translated, String> {
        // Nothing to repeat yet: `*` is a letter, `^` an anchor.
        let mut start = true;
        while let Some(&b) = self.bytes.get(self.at) {
            self.at += 1;
            let was_start = std::mem::replace(&mut start, false);
            let before = self.out.len();
            let (token, literal) = match b {
                b'\\' => {
                    let Some(&next) = self.bytes.get(self.at) else {
                        return Err("Trailing backslash".to_owned());
                    };
                    self.at += 1;
                    match next {
                        b'(' if !self.extended => (Token::Open, next),
                        b')' if !self.extended => (Token::Close, next),
                        b'|' if !self.extended => (Token::Or, next),
                        b'{' if !self.extended => (Token::Interval, next),
                        b'+' | b'?' if !self.extended => (Token::Repeat(next), next),
                        b'1'..=b'9' => {
                            let number = usize::from(next - b'0');
                            if self.closed.get(number - 1) != Some(&true) {
                                return Err(if self.editor {
                                    format!("invalid reference \\{number} on `s' command's RHS")
                                } else {
                                    "Invalid back reference".to_owned()
                                });
                            }
                            self.begin_atom(before);
                            self.fancy = true;
                            // In a group of its own, so that no digit after it belongs to it.
                            let _ = write!(self.out, "(?:\\{number})");
                            continue;
                        }
                        b'w' | b'W' | b's' | b'S' | b'b' | b'B' => {
                            self.begin_atom(before);
                            self.out.push('\\');
                            self.out.push(char::from(next));
                            continue;
                        }
                        b'<' | b'>' | b'`' | b'\'' => {
                            self.begin_atom(before);
                            self.out.push_str(match next {
                                b'<' => "\\b{start}",
                                b'>' => "\\b{end}",
                                b'`' => "\\A",
                                _ => "\\z",
                            });
                            continue;
                        }
                        // A newline in a pattern is written so.
                        b'n' | b't' | b'f' | b'v' | b'a' | b'r' | b'd' | b'o' | b'x' | b'c'
                            if self.editor =>
                        {
                            let (byte, used) = escaped_byte(&self.bytes[self.at - 1..]).unwrap_or((next, 1));
                            self.at += used - 1;
                            self.begin_atom(before);
                            put_text(&mut self.out, &[byte]);
                            continue;
                        }
                        _ => (Token::Literal, next),
                    }
                }
                b'(' if self.extended => (Token::Open, b),
                b')' if self.extended => (Token::Close, b),
                b'|' if self.extended => (Token::Or, b),
                b'+' | b'?' if self.extended => (Token::Repeat(b), b),
                b'{' if self.extended => (Token::Interval, b),
                b'*' => (Token::Repeat(b), b),
                b'.' => {
                    self.begin_atom(before);
                    self.out.push('.');
                    continue;
                }
                b'[' => {
                    self.begin_atom(before);
                    self.bracket()?;
                    continue;
                }
                b'^' if self.extended || was_start => {
                    self.out.push('^');
                    start = true;
                    continue;
                }
                b'$' if self.extended || self.dollar_ends() => {
                    self.begin_atom(before);
                    self.out.push('$');
                    continue;
                }
                _ => (Token::Literal, b),
            };
            match token {
                Token::Open => {
                    self.closed.push(false);
                    self.open.push((self.closed.len(), before));
                    self.out.push('(');
                    start = true;
                }
                // Nothing is open: a letter.
                Token::Close if self.extended && !self.editor && self.open.is_empty() => self.literal(b')'),
                Token::Close => {
                    let Some((number, begin)) = self.open.pop() else {
                        return Err("Unmatched ) or \\)".to_owned());
                    };
                    self.closed[number - 1] = true;
                    // `\(^a\)` and `(|a)`: nothing may stand between the parentheses.
                    self.begin_atom(begin);
                    self.out.push(')');
                }
                Token::Or => {
                    self.ambiguous = true;
                    self.out.push('|');
                    start = true;
                }
                Token::Repeat(b'*') if was_start && !self.extended => self.literal(b'*'),
                // Nothing to repeat: GNU lets it pass, so `*a` finds `a`.
                Token::Repeat(_) if was_start && self.editor => {
                    return Err("Invalid preceding regular expression".to_owned());
                }
                Token::Repeat(op) if was_start => {
                    self.warn_of_start(&char::from(op).to_string());
                    start = true;
                }
                Token::Repeat(op) => self.repeat(&char::from(op).to_string()),
                Token::Interval => match self.interval() {
                    Some(_) if was_start && self.extended => {
                        self.warn_of_start("{...}");
                        start = true;
                    }
                    Some(text) if was_start => {
                        return Err(format!("Invalid preceding regular expression: {text}"));
                    }
                    Some(text) => self.repeat(&text),
                    None if self.extended
                        && self.editor
                        && self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) =>
                    {
                        return Err("Unmatched \\{".to_owned());
                    }
                    None if self.is_too_big() => return Err("Regular expression too big".to_owned()),
                    None if self.extended && self.is_interval() => {
                        return Err("Invalid content of \\{\\}".to_owned());
                    }
                    None if self.extended => self.literal(b'{'),
                    None if !self.bytes[self.at..].windows(2).any(|w| w == b"\\}") => {
                        return Err("Unmatched \\{".to_owned());
                    }
                    None => return Err("Invalid content of \\{\\}".to_owned()),
                },
                Token::Literal => self.literal(literal),
            }
        }
        if !self.open.is_empty() {
            return Err("Unmatched ( or \\(".to_owned());
        }
        Ok(Translated {
            text: self.out,
            groups: self.closed.len(),
            fancy: self.fancy,
            ambiguous: self.ambiguous,
            warnings: self.warnings,
        })
    }

    fn warn_of_start(&mut self, what: &str) {
        if self.extended {
            self.warnings.push(format!("{what} at start of expression"));
        }
    }

    /// Whether numbers and a closing brace follow, be they sensible or not.
    fn is_interval(&self) -> bool {
        let rest = &self.bytes[self.at..];
        let digits = rest.iter().take_while(|b| b.is_ascii_digit() || **b == b',').count();
        digits > 0 && rest.get(digits) == Some(&b'}')
    }

    fn begin_atom(&mut self, at: usize) {
        self.atom = at;
        self.repeated = false;
    }

    /// A repetition after a repetition repeats the whole: written bare it would mean laziness.
    fn repeat(&mut self, op: &str) {
        if self.repeated {
            self.out.insert_str(self.atom, "(?:");
            self.out.push(')');
        }
        // `a?(ab)?`: the first way to take `ab` stops after the `a`.
        self.ambiguous |= self.out.ends_with(')');
        self.out.push_str(op);
        self.repeated = true;
    }

    /// `$` of a basic expression is an anchor only at the end of a branch.
    fn dollar_ends(&self) -> bool {
        let rest = &self.bytes[self.at..];
        rest.is_empty() || rest.starts_with(b"\\)") || rest.starts_with(b"\\|")
    }

    fn literal(&mut self, b: u8) {
        self.begin_atom(self.out.len());
        let from = if b == self.bytes[self.at - 1] { self.at - 1 } else { self.at };
        if b < 0x80 {
            put_text(&mut self.out, &[b]);
            return;
        }
        // The whole character, so that an operator after it takes all of it.
        let rest = &self.bytes[from..];
        let len = rest.utf8_chunks().next().and_then(|c| c.valid().chars().next()).map_or(1, char::len_utf8);
        put_text(&mut self.out, &rest[..len]);
        self.at = from + len;
    }

    /// The `{m,n}` after the opening brace in the regex crate's syntax; `None`, nothing consumed, if it is not one.
    fn interval(&mut self) -> Option<String> {
        let close: &[u8] = if self.extended { b"}" } else { b"\\}" };
        let rest = &self.bytes[self.at..];
        let end = memchr::memmem::find(rest, close)?;
        let text = std::str::from_utf8(&rest[..end]).ok()?;
        let number = |s: &str| s.parse::<u32>().ok().filter(|n| *n <= 32767 && !s.starts_with('+'));
        let (low, high) = match text.split_once(',') {
            None => (number(text)?, Some(number(text)?)),
            Some((low, "")) => (number(low)?, None),
            Some(("", high)) => (0, Some(number(high)?)),
            Some((low, high)) => (number(low)?, Some(number(high)?)),
        };
        if high.is_some_and(|high| high < low) {
            return None;
        }
        self.at += end + close.len();
        Some(match high {
            Some(high) => format!("{{{low},{high}}}"),
            None => format!("{{{low},}}"),
        })
    }

    /// Whether what stands here is an interval of more than POSIX's RE_DUP_MAX.
    fn is_too_big(&self) -> bool {
        let close: &[u8] = if self.extended { b"}" } else { b"\\}" };
        let rest = &self.bytes[self.at..];
        memchr::memmem::find(rest, close).is_some_and(|end| {
            let numbers: Vec<&[u8]> = rest[..end].split(|b| *b == b',').collect();
            let digits = |n: &&[u8]| n.iter().all(u8::is_ascii_digit);
            let big = |n: &&[u8]| {
                n.iter().fold(0_u32, |sum, b| sum.saturating_mul(10).saturating_add(u32::from(b - b'0')))
                    > 32767
            };
            numbers.len() <= 2 && numbers.iter().all(digits) && numbers.iter().any(big)
        })
    }

    fn bracket(&mut self) -> Result<(), String> {
        const UNMATCHED: &str = "Unmatched [, [^, [:, [., or [=";
        let start = self.at;
        let mut class = String::from("[");
        if self.bytes.get(self.at) == Some(&b'^') {
            class.push_str(if self.editor { "^" } else { "^\\n" });
            self.at += 1;
        }
        let first = self.at;
        loop {
            let Some(&b) = self.bytes.get(self.at) else {
                // Of a pattern that ends with it, GNU's `grep` says no more.
                let bare = self.at == start && !self.editor;
                return Err(if bare { "Invalid regular expression" } else { UNMATCHED }.to_owned());
            };
            if b == b']' && self.at > first {
                self.at += 1;
                break;
            }
            if b == b'[' && self.bytes.get(self.at + 1) == Some(&b':') {
                let rest = &self.bytes[self.at + 2..];
                let Some(end) = memchr::memmem::find(rest, b":]") else { return Err(UNMATCHED.to_owned()) };
                class.push_str(posix_class(&rest[..end]).ok_or("Invalid character class name")?);
                self.at += end + 4;
                continue;
            }
            let low = self.bracket_character().ok_or(UNMATCHED)?;
            let ranged = self.bytes.get(self.at) == Some(&b'-')
                && self.bytes.get(self.at + 1).is_some_and(|b| *b != b']');
            if !ranged {
                class.push_str(&low.1);
                continue;
            }
            self.at += 1;
            let high = self.bracket_character().ok_or(UNMATCHED)?;
            if high.0 < low.0 {
                return Err("Invalid range end".to_owned());
            }
            let _ = write!(class, "{}-{}", low.1, high.1);
        }
        let inner = &self.bytes[start..self.at - 1];
        if inner.len() > 2
            && inner.starts_with(b":")
            && inner.ends_with(b":")
            && inner[1..inner.len() - 1].is_ascii()
        {
            return Err("character class syntax is [[:space:]], not [:space:]".to_owned());
        }
        class.push(']');
        self.out.push_str(&class);
        Ok(())
    }

    /// One character of a bracket expression, `[.x.]` and `[=x=]` included: its number and its written form.
    fn bracket_character(&mut self) -> Option<(u32, String)> {
        let rest = self.bytes.get(self.at..).filter(|r| !r.is_empty())?;
        if let [b'[', kind @ (b'.' | b'='), ..] = rest {
            let end = memchr::memmem::find(&rest[2..], &[*kind, b']'])?;
            let text = std::str::from_utf8(&rest[2..2 + end]).ok()?;
            let c = text.chars().next().filter(|c| c.len_utf8() == text.len())?;
            self.at += end + 4;
            return Some((c as u32, escape(c)));
        }
        if self.editor
            && rest[0] == b'\\'
            && rest.get(1).is_some_and(|b| b"nftvardoxc]".contains(b) && *b != b']')
            && let Some((byte, used)) = escaped_byte(&rest[1..])
            && byte.is_ascii()
        {
            self.at += used + 1;
            return Some((u32::from(byte), escape(char::from(byte))));
        }
        let (c, len) = match rest.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next()) {
            Some(c) => (c, c.len_utf8()),
            None => return None,
        };
        self.at += len;
        Some((c as u32, escape(c)))
    }
}

/// Whether the engines may read more into a character than the character. With a backslash, `<` and `>` are anchors.
fn is_operator(c: char) -> bool {
    c.is_ascii_punctuation() && !matches!(c, '<' | '>' | '_' | '"' | '\'' | '/' | ',' | ':' | ';' | '@' | '%')
}

fn escape(c: char) -> String {
    match c {
        '\n' => "\\n".to_owned(),
        c if is_operator(c) => format!("\\{c}"),
        c => c.to_string(),
    }
}

/// The byte that an escape of `sed` stands for, and how many bytes after the backslash it takes.
pub(crate) fn escaped_byte(text: &[u8]) -> Option<(u8, usize)> {
    let number = |from: usize, radix: u32, most: usize| {
        let digits = text[from..].iter().take(most).take_while(|b| char::from(**b).is_digit(radix)).count();
        let digits = std::str::from_utf8(&text[from..from + digits]).ok()?;
        // `\d999` is taken modulo 256.
        let value = u32::from_str_radix(digits, radix).ok()?;
        Some(((value & 0xff) as u8, from + digits.len()))
    };
    match text.first()? {
        b'n' => Some((b'\n', 1)),
        b't' => Some((b'\t', 1)),
        b'f' => Some((0x0c, 1)),
        b'v' => Some((0x0b, 1)),
        b'a' => Some((0x07, 1)),
        b'r' => Some((b'\r', 1)),
        b'd' => number(1, 10, 3),
        b'o' => number(1, 8, 3),
        b'x' => number(1, 16, 2),
        b'c' => text.get(1).map(|b| (b.to_ascii_uppercase() ^ 0x40, 2)),
        _ => None,
    }
}

fn put_text(out: &mut String, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_operator(c) {
                out.push('\\');
            }
            out.push(c);
        }
        for b in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(out, "(?-u:\\x{b:02x})");
        }
    }
}

fn posix_class(name: &[u8]) -> Option<&'static str> {
    Some(match name {
        b"alpha" => "\\p{Alphabetic}",
        b"digit" => "0-9",
        b"alnum" => "\\p{Alphabetic}0-9",
        b"upper" => "\\p{Uppercase}",
        b"lower" => "\\p{Lowercase}",
        b"space" => "\\s",
        b"blank" => " \\t",
        b"punct" => "[:punct:]\\p{P}",
        b"cntrl" => "\\p{Cc}",
        b"xdigit" => "0-9A-Fa-f",
        b"graph" => "[^\\s\\p{Cc}]",
        b"print" => "[^\\p{Cc}]",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Syntax, translate};

    fn check(syntax: Syntax, pattern: &str, want: &str) {
        let got = translate(pattern.as_bytes(), syntax, false);
        assert_eq!(got.map_or_else(|e| format!("ERROR {e}"), |t| t.text), want, "{pattern}");
    }

    #[test]
    fn basic_and_extended() {
        use Syntax::{Basic, Extended, Fixed};
        check(Basic, "a\\(b\\)*c", "a(b)*c");
        check(Basic, "a(b)+", "a\\(b\\)\\+");
        check(Basic, "*a", "\\*a");
        check(Basic, "^*a$b$", "^\\*a\\$b$");
        check(Basic, "a^b", "a\\^b");
        check(Basic, "a\\{2,3\\}", "a{2,3}");
        check(Basic, "a\\|b", "a|b");
        check(Basic, "\\<w\\>", "\\b{start}w\\b{end}");
        check(Basic, "[]a]", "[\\]a]");
        check(Basic, "[^a-z]", "[^\\na-z]");
        check(Basic, "[\\n]", "[\\\\n]");
        check(Basic, "[[:digit:]-]", "[0-9\\-]");
        check(Basic, "\\2", "ERROR Invalid back reference");
        check(Syntax::Perl, "\\d+\\h[^]a]", "[0-9]+[ \\t][^\\n\\]a]");
        check(Basic, "\\(a\\)\\1", "(a)(?:\\1)");
        check(Extended, "(a|b)+?", "(?:(a|b)+)?");
        check(Basic, "xa\\{2\\}*", "x(?:a{2,2})*");
        check(Extended, "a{,2}b{3}", "a{0,2}b{3,3}");
        check(Extended, "a{x", "a\\{x");
        check(Extended, "a\\.b", "a\\.b");
        check(Extended, "(", "ERROR Unmatched ( or \\(");
        check(Extended, "[a", "ERROR Unmatched [, [^, [:, [., or [=");
        check(Extended, "a\\", "ERROR Trailing backslash");
        check(Extended, "é+", "é+");
        check(Fixed, "a.b*<", "a\\.b\\*<");
        check(Basic, "<[^>]*>", "<[^\\n>]*>");
    }
}
