//! `--transform`: the `s` command of sed over names of members. Patterns are POSIX basic regular expressions, extended with flag `x`.

use regex::bytes::{Captures, Regex, RegexBuilder};

/// One `s/pattern/replacement/flags`.
#[derive(Debug)]
pub(super) struct Rule {
    pattern: Regex,
    pieces: Vec<Piece>,
    global: bool,
    /// The first occurrence that is replaced.
    from: usize,
    names: bool,
    symlinks: bool,
    links: bool,
}

#[derive(Debug)]
enum Piece {
    Text(Vec<u8>),
    Group(usize),
    Case(Case),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Upper,
    Lower,
    End,
    UpperOne,
    LowerOne,
}

/// What a name is that a rule may change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Name,
    Symlink,
    HardLink,
}

/// Reads rules, separated by semicolons.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Rule>, String> {
    let mut rules = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (rule, after) = one(rest)?;
        rules.push(rule);
        rest = after.strip_prefix(b";").unwrap_or(after);
    }
    if rules.is_empty() { Err("Invalid transform expression".to_owned()) } else { Ok(rules) }
}

fn section(text: &[u8], delimiter: u8) -> Option<(&[u8], &[u8])> {
    let mut i = 0;
    while i < text.len() {
        match text[i] {
            b'\\' => i += 2,
            b if b == delimiter => return Some((&text[..i], &text[i + 1..])),
            _ => i += 1,
        }
    }
    None
}

fn one(text: &[u8]) -> Result<(Rule, &[u8]), String> {
    let bad = || "Invalid transform expression".to_owned();
    let [b's', delimiter, rest @ ..] = text else { return Err(bad()) };
    let (pattern, rest) = section(rest, *delimiter).ok_or_else(bad)?;
    let (replacement, rest) = section(rest, *delimiter).ok_or_else(bad)?;
    let (mut global, mut fold, mut extended, mut from) = (false, false, false, 0_usize);
    let (mut names, mut symlinks, mut links) = (true, true, true);
    let mut used = 0;
    for flag in rest {
        match flag {
            b';' => break,
            b'g' => global = true,
            b'i' | b'I' => fold = true,
            b'x' => extended = true,
            b'r' => names = true,
            b'R' => names = false,
            b's' => symlinks = true,
            b'S' => symlinks = false,
            b'h' => links = true,
            b'H' => links = false,
            b'0'..=b'9' => from = from.saturating_mul(10).saturating_add(usize::from(flag - b'0')),
            other => return Err(format!("Unknown flag in transform expression: {}", char::from(*other))),
        }
        used += 1;
    }
    let source = expression(pattern, *delimiter, extended);
    // Tables of Unicode are not there: classes and cases are those of ASCII.
    let ascii = ["\\w", "\\W", "\\s", "\\S", "\\b", "\\B"].iter().any(|class| source.contains(class));
    let pattern = RegexBuilder::new(&source)
        .case_insensitive(fold)
        .unicode(!fold && !ascii)
        .size_limit(1 << 20)
        .build()
        .map_err(|_| bad())?;
    let rule =
        Rule { pattern, pieces: pieces(replacement), global, from: from.max(1), names, symlinks, links };
    Ok((rule, &rest[used..]))
}

/// The pattern in the syntax of the regex crate: in basic expressions it is the backslash that makes operators.
fn expression(pattern: &[u8], delimiter: u8, extended: bool) -> String {
    let text = String::from_utf8_lossy(pattern);
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    let mut start = true;
    while let Some(c) = chars.next() {
        let begins = std::mem::take(&mut start);
        match c {
            '\\' => match chars.next() {
                Some(c) if u32::from(c) == u32::from(delimiter) => {
                    out.push_str(&regex::escape(&c.to_string()))
                }
                Some(c @ ('(' | ')' | '{' | '}' | '|' | '+' | '?')) => {
                    if extended {
                        out.push('\\');
                    }
                    out.push(c);
                    start = c == '(' || c == '|';
                }
                Some('n') => out.push_str("\\n"),
                Some(c @ ('w' | 'W' | 's' | 'S' | 'b' | 'B')) => {
                    out.push('\\');
                    out.push(c);
                }
                Some(c) => out.push_str(&regex::escape(&c.to_string())),
                None => out.push_str("\\\\"),
            },
            '(' | ')' | '{' | '}' | '|' | '+' | '?' if !extended => {
                out.push('\\');
                out.push(c);
            }
            '*' if begins => out.push_str("\\*"),
            '^' if !begins && !extended => out.push_str("\\^"),
            '^' => {
                out.push('^');
                start = true;
            }
            '$' if !extended && chars.peek().is_some_and(|c| *c != '\\') => out.push_str("\\$"),
            '[' => {
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                if chars.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
                while let Some(c) = chars.next() {
                    match c {
                        ']' => {
                            out.push(']');
                            break;
                        }
                        '[' if chars.peek() == Some(&':') => {
                            out.push('[');
                            for c in chars.by_ref() {
                                out.push(c);
                                if c == ']' {
                                    break;
                                }
                            }
                        }
                        '\\' | '[' | '&' | '~' => {
                            out.push('\\');
                            out.push(c);
                        }
                        c => out.push(c),
                    }
                }
            }
            c => out.push(c),
        }
    }
    out
}

fn pieces(replacement: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = Vec::new();
    let mut bytes = replacement.iter().copied();
    let mut special = |text: &mut Vec<u8>, piece: Piece| {
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(text)));
        }
        pieces.push(piece);
    };
    while let Some(b) = bytes.next() {
        match b {
            b'&' => special(&mut text, Piece::Group(0)),
            b'\\' => match bytes.next() {
                Some(digit @ b'0'..=b'9') => special(&mut text, Piece::Group(usize::from(digit - b'0'))),
                Some(b'U') => special(&mut text, Piece::Case(Case::Upper)),
                Some(b'L') => special(&mut text, Piece::Case(Case::Lower)),
                Some(b'E') => special(&mut text, Piece::Case(Case::End)),
                Some(b'u') => special(&mut text, Piece::Case(Case::UpperOne)),
                Some(b'l') => special(&mut text, Piece::Case(Case::LowerOne)),
                Some(b'n') => text.push(b'\n'),
                Some(b't') => text.push(b'\t'),
                Some(other) => text.push(other),
                None => text.push(b'\\'),
            },
            b => text.push(b),
        }
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    pieces
}

impl Rule {
    fn replacement(&self, found: &Captures<'_>) -> Vec<u8> {
        let mut out: Vec<u8> = Vec::new();
        let (mut case, mut next) = (Case::End, None);
        for piece in &self.pieces {
            let text = match piece {
                Piece::Text(text) => &text[..],
                Piece::Group(n) => found.get(*n).map_or(&b""[..], |m| m.as_bytes()),
                Piece::Case(new @ (Case::UpperOne | Case::LowerOne)) => {
                    next = Some(*new);
                    continue;
                }
                Piece::Case(new) => {
                    case = *new;
                    continue;
                }
            };
            let from = out.len();
            out.extend_from_slice(text);
            match case {
                Case::Upper => out[from..].make_ascii_uppercase(),
                Case::Lower => out[from..].make_ascii_lowercase(),
                _ => {}
            }
            if let (Some(one), false) = (next, text.is_empty()) {
                let first = &mut out[from..=from];
                if one == Case::UpperOne {
                    first.make_ascii_uppercase()
                } else {
                    first.make_ascii_lowercase()
                }
                next = None;
            }
        }
        out
    }

    fn apply(&self, name: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut last = 0;
        for (i, found) in self.pattern.captures_iter(name).enumerate() {
            if i + 1 < self.from {
                continue;
            }
            let Some(whole) = found.get(0) else { break };
            out.extend_from_slice(&name[last..whole.start()]);
            out.extend(self.replacement(&found));
            last = whole.end();
            if !self.global {
                break;
            }
        }
        out.extend_from_slice(&name[last..]);
        out
    }
}

/// The name after all rules.
pub(super) fn apply(rules: &[Rule], name: &[u8], target: Target) -> Vec<u8> {
    let mut name = name.to_vec();
    for rule in rules {
        let meant = match target {
            Target::Name => rule.names,
            Target::Symlink => rule.symlinks,
            Target::HardLink => rule.links,
        };
        if meant {
            name = rule.apply(&name);
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_transformed_as_sed_does() {
        for (rules, name, want) in [
            ("s,^s,zz,", "s/a", "zz/a"),
            ("s/a/b/g", "aXa", "bXb"),
            ("s/a/b/2", "aaa", "aba"),
            ("s/\\(.*\\)\\.txt/\\1.md/", "a.txt", "a.md"),
            ("s/(.*)\\.txt/\\1.md/x", "a.txt", "a.md"),
            ("s/a+/b/", "a+", "b"),
            ("s,^,pre/,;s,$,.x,", "a", "pre/a.x"),
            ("s/.*/\\U&/", "ab", "AB"),
            ("s/A/x/i", "ba", "bx"),
            ("s,^\\./,,", "./a/b", "a/b"),
            ("s,[^/]*$,x,", "a/b", "a/x"),
        ] {
            let rules = parse(rules.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(apply(&rules, name.as_bytes(), Target::Name)).unwrap(), want);
        }
        for bad in ["", "x", "s/a", "s/a/b", "s/\\(/b/", "s/a/b/q"] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
