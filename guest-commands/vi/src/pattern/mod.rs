//! vi's patterns, with what vim added: alternatives, groups, back references, `\zs`, look-around, lines that a match spans. It
//! searches; it changes nothing.

mod compile;
mod parse;
mod run;

use crate::buffer::{Buffer, Place, place};
use std::rc::Rc;

/// What a search gave up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TooHard;

/// A match: where it begins, where it ends (not included), and its groups, the whole match first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) start: Place,
    pub(crate) end: Place,
    pub(crate) groups: [Option<(Place, Place)>; 10],
}

/// How patterns are to be read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) ignore_case: bool,
    pub(crate) smart_case: bool,
    pub(crate) magic: bool,
    /// What `~` stands for.
    pub(crate) last_substitute: String,
}

/// A pattern, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    program: Rc<compile::Program>,
}

impl Pattern {
    /// Compiles; the error is the message.
    pub(crate) fn new(text: &str, reading: &Reading) -> Result<Pattern, String> {
        let parsed = parse::parse(text, reading)?;
        Ok(Pattern { program: Rc::new(compile::compile(&parsed)?) })
    }

    /// The first match that begins in this line at this byte or after it.
    pub(crate) fn find(&self, buffer: &Buffer, line: usize, from: usize) -> Result<Option<Match>, TooHard> {
        let bytes = buffer.line(line);
        let mut at = from;
        let program = &*self.program;
        let mut machine = run::Machine::new(program, buffer);
        if program.anchored {
            // Only `\zs` could bring the start of a match of the line's beginning behind `from`.
            let found = machine.run(place(line, 0))?;
            return Ok(found.filter(|m| m.start >= place(line, from)));
        }
        if program.moves {
            at = 0;
        }
        while at <= bytes.len() {
            if let Some(first) = program.first {
                match memchr::memchr(first, &bytes[at..]) {
                    Some(skip) => at += skip,
                    None => return Ok(None),
                }
            } else if let Some(firsts) = &program.firsts {
                match bytes[at..].iter().position(|b| firsts[usize::from(*b)]) {
                    Some(skip) => at += skip,
                    None => return Ok(None),
                }
            }
            if let Some(found) = machine.run(place(line, at))?
                && found.start >= place(line, from)
            {
                return Ok(Some(found));
            }
            at = match crate::chars::decode(bytes, at) {
                Some((_, len)) => at + len,
                None => break,
            };
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading() -> Reading {
        Reading { ignore_case: false, smart_case: false, magic: true, last_substitute: String::new() }
    }

    fn search(pattern: &str, text: &str) -> Option<String> {
        let buffer = Buffer::of(format!("{text}\n").as_bytes());
        let pattern = Pattern::new(pattern, &reading()).unwrap_or_else(|e| panic!("{pattern}: {e}"));
        for line in 0..buffer.len() {
            if let Some(m) = pattern.find(&buffer, line, 0).unwrap() {
                let mut out = Vec::new();
                for l in m.start.line..=m.end.line {
                    let from = if l == m.start.line { m.start.col } else { 0 };
                    let to = if l == m.end.line { m.end.col } else { buffer.line(l).len() };
                    out.extend_from_slice(&buffer.line(l)[from..to]);
                    if l < m.end.line {
                        out.push(b'\n');
                    }
                }
                return Some(String::from_utf8(out).unwrap());
            }
        }
        None
    }

    #[test]
    fn patterns_are_those_of_vi() {
        for (pattern, text, want) in [
            ("a.c", "xabc", Some("abc")),
            ("a+", "aa+", Some("a+")),
            (r"a\+", "xaa", Some("aa")),
            (r"\<b\>", "ab b", Some("b")),
            (r"\(a\|b\)c", "bc", Some("bc")),
            ("[]x]", "a]", Some("]")),
            ("[^a]", "ab", Some("b")),
            ("*", "a*", Some("*")),
            ("a{2}", "a{2}", Some("a{2}")),
            (r"a\{2}", "aaa", Some("aa")),
            (r"a\{-1,}", "aaa", Some("a")),
            (r"a\{,2}b", "aaab", Some("aab")),
            ("x$", "axx", Some("x")),
            ("a$b", "a$b", Some("a$b")),
            ("a^b", "a^b", Some("a^b")),
            (r"\cAB", "ab", Some("ab")),
            (r"\(.\)\1", "abccd", Some("cc")),
            (r"foo\zsbar", "foobar", Some("bar")),
            (r"foo\zebar", "foobar", Some("foo")),
            (r"\(foo\)\@<=bar", "bar foobar", Some("bar")),
            (r"foo\(bar\)\@!", "foobar foox", Some("foo")),
            (r"a\nb", "a\nb", Some("a\nb")),
            (r"a\_.*c", "xa\nb\nc", Some("a\nb\nc")),
            (r"\v(a|b)+c", "xabac", Some("abac")),
            (r"\v<\w+>$", "ab cd", Some("cd")),
            (r"\Va.b", "axb a.b", Some("a.b")),
            (r"\Ma.b", "axb a.b", Some("a.b")),
            (r"\d\+", "ab12c", Some("12")),
            (r"[[:digit:]]\+", "ab12c", Some("12")),
            (r"[a-c\]]*", "ab]d", Some("ab]")),
            (r"\s\S", "a b", Some(" b")),
            (r"fu\%[nction]", "func", Some("func")),
            ("é.", "aéx", Some("éx")),
            ("[é-ü]", "ö", Some("ö")),
            (r"\%^b", "b", Some("b")),
            (r".*foo\&.*bar", "a bar foo", Some("a bar")),
            (r"\(a*\)*b", "aab", Some("aab")),
            (r"a\?b", "b", Some("b")),
            (r"\v(a{-})b", "aab", Some("aab")),
            ("no", "yes", None),
            ("", "abc", Some("")),
            (r"\(^a\|b$\)", "xb", Some("b")),
        ] {
            assert_eq!(search(pattern, text).as_deref(), want, "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_says_so() {
        for (pattern, text) in [
            (r"\(a", "E54: Unmatched \\("),
            (r"a\)", "E55: Unmatched \\)"),
            (r"\v(a", "E54: Unmatched ("),
            (r"a\{1", "E554: Syntax error in \\{...}"),
            (r"\%[a", "E69: Missing ] after \\%["),
        ] {
            assert_eq!(Pattern::new(pattern, &reading()).unwrap_err(), text, "{pattern}");
        }
    }

    #[test]
    fn hard_patterns_are_given_up() {
        let buffer = Buffer::of("a".repeat(60).as_bytes());
        let pattern = Pattern::new(r"\(\(a*\)*\)*b", &reading()).unwrap();
        let _ = pattern.find(&buffer, 0, 0);
        let deep = format!("{}a{}", r"\(".repeat(3000), r"\)".repeat(3000));
        assert!(Pattern::new(&deep, &reading()).is_err());
        assert!(Pattern::new(r"\(\(a\{1000}\)\{1000}\)\{1000}", &reading()).is_err());
    }
}
