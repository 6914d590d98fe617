//! POSIX basic and extended regular expressions, rewritten in the syntax of the regex crate. Back-references cannot be
//! expressed there and are refused.

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

/// The pattern in the regex crate's syntax, or GNU's words for what is wrong with it.
pub(crate) fn translate(pattern: &[u8], syntax: Syntax) -> Result<String, String> {
    match syntax {
        Syntax::Fixed => {
            let mut out = String::new();
            put_text(&mut out, pattern);
            Ok(out)
        }
        Syntax::Perl => Ok(String::from_utf8_lossy(pattern).into_owned()),
        _ => Translator {
            bytes: pattern,
            at: 0,
            out: String::new(),
            extended: syntax == Syntax::Extended,
            open: Vec::new(),
            atom: 0,
            repeated: false,
        }
        .run(),
    }
}

struct Translator<'a> {
    bytes: &'a [u8],
    at: usize,
    out: String,
    extended: bool,
    /// Where in `out` the open groups begin.
    open: Vec<usize>,
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
    fn run(mut self) -> Result<String, String> {
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
                            return Err(format!("back-reference \\{} is not supported", char::from(next)));
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
                    self.open.push(before);
                    self.out.push_str("(?:");
                    start = true;
                }
                Token::Close => {
                    let Some(begin) = self.open.pop() else { return Err("Unmatched ) or \\)".to_owned()) };
                    self.begin_atom(begin);
                    self.out.push(')');
                }
                Token::Or => {
                    self.out.push('|');
                    start = true;
                }
                Token::Repeat(b'*') if was_start && !self.extended => self.literal(b'*'),
                // Nothing to repeat: GNU lets it pass, so `*a` finds `a`.
                Token::Repeat(_) if was_start => start = true,
                Token::Repeat(op) => self.repeat(&char::from(op).to_string()),
                Token::Interval => match self.interval() {
                    Some(_) if was_start && self.extended => start = true,
                    Some(text) if was_start => {
                        return Err(format!("Invalid preceding regular expression: {text}"));
                    }
                    Some(text) => self.repeat(&text),
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
        Ok(self.out)
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

    fn bracket(&mut self) -> Result<(), String> {
        const UNMATCHED: &str = "Unmatched [, [^, [:, [., or [=";
        let start = self.at;
        let mut class = String::from("[");
        if self.bytes.get(self.at) == Some(&b'^') {
            class.push_str("^\\n");
            self.at += 1;
        }
        let first = self.at;
        loop {
            let Some(&b) = self.bytes.get(self.at) else { return Err(UNMATCHED.to_owned()) };
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
        let (c, len) = match rest.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next()) {
            Some(c) => (c, c.len_utf8()),
            None => return None,
        };
        self.at += len;
        Some((c as u32, escape(c)))
    }
}

fn escape(c: char) -> String {
    if c.is_ascii_punctuation() { format!("\\{c}") } else { c.to_string() }
}

fn put_text(out: &mut String, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_ascii_punctuation() {
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
        let got = translate(pattern.as_bytes(), syntax).unwrap_or_else(|e| format!("ERROR {e}"));
        assert_eq!(got, want, "{pattern}");
    }

    #[test]
    fn basic_and_extended() {
        use Syntax::{Basic, Extended, Fixed};
        check(Basic, "a\\(b\\)*c", "a(?:b)*c");
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
        check(Basic, "\\(a\\)\\1", "ERROR back-reference \\1 is not supported");
        check(Extended, "(a|b)+?", "(?:(?:a|b)+)?");
        check(Basic, "xa\\{2\\}*", "x(?:a{2,2})*");
        check(Extended, "a{,2}b{3}", "a{0,2}b{3,3}");
        check(Extended, "a{x", "a\\{x");
        check(Extended, "a\\.b", "a\\.b");
        check(Extended, "(", "ERROR Unmatched ( or \\(");
        check(Extended, "[a", "ERROR Unmatched [, [^, [:, [., or [=");
        check(Extended, "a\\", "ERROR Trailing backslash");
        check(Extended, "é+", "é+");
        check(Fixed, "a.b*", "a\\.b\\*");
    }
}
