//! Shell patterns: `*`, `?`, brackets, extended groups. A backslash quotes the next character. It reads no directories.

use crate::regex::Regex;
use std::cell::Cell;

/// How patterns match.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rules {
    pub(crate) nocase: bool,
    /// Extended groups are known.
    pub(crate) groups: bool,
    /// Every byte is a character.
    pub(crate) bytes: bool,
}

thread_local! {
    /// How many more steps a match may take that has to try one way after the other.
    static STEPS: Cell<u32> = const { Cell::new(0) };
}

/// What one operation may take.
const MAX_STEPS: u32 = 20_000_000;

/// Whether `pattern` matches the whole of `text`.
pub(crate) fn matches(pattern: &str, text: &str, how: Rules) -> bool {
    if how.bytes && !(text.is_ascii() && pattern.is_ascii()) {
        let [pattern, text] = [pattern, text].map(crate::text::bytewise);
        return matches(&pattern, &text, Rules { bytes: false, ..how });
    }
    // One way after the other would take forever with groups.
    if how.groups
        && pattern.contains('(')
        && let Some(regex) = Regex::of_pattern(pattern, how, false)
    {
        let count = text.chars().count();
        return regex.prefix(text.chars(), true) == Some(count);
    }
    STEPS.set(MAX_STEPS);
    run_all(pattern, text, how)
}

/// A test whose calls share one allowance of steps.
fn budgeted<T>(test: impl Fn(&T) -> bool) -> impl FnMut(&T) -> bool {
    STEPS.set(MAX_STEPS);
    move |item| test(item)
}

fn run_all(pattern: &str, text: &str, how: Rules) -> bool {
    if how.nocase {
        // What stands in a class is no text.
        let folded = if pattern.contains("[:") { pattern.to_owned() } else { crate::text::lower(pattern) };
        let (folded, text) = (folded.as_bytes(), crate::text::lower(text));
        return run(folded, text.as_bytes(), how, 0)
            || pattern.contains("[:") && run(folded, crate::text::upper(&text).as_bytes(), how, 0);
    }
    run(pattern.as_bytes(), text.as_bytes(), how, 0)
}

/// Whether text could match anything but itself.
pub(crate) fn is_special(pattern: &str) -> bool {
    pattern.bytes().any(|b| matches!(b, b'*' | b'?' | b'[' | b'\\' | b'('))
}

/// Quotes what is special in text, so that it matches itself.
pub(crate) fn push_quoted(text: &str, out: &mut String) {
    for c in text.chars() {
        if is_quotable(c) {
            out.push('\\');
        }
        out.push(c);
    }
}

/// Whether a character can be special in a pattern.
pub(crate) fn is_quotable(c: char) -> bool {
    matches!(c, '*' | '?' | '[' | ']' | '\\' | '(' | ')' | '|' | '!' | '+' | '@' | '-' | '^')
}

/// Undoes the quoting of [`push_quoted`].
pub(crate) fn unquote(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            out.extend(chars.next().or(Some('\\')));
        } else {
            out.push(c);
        }
    }
    out
}

const MAX_DEPTH: u32 = 300;

fn char_len(first: u8) -> usize {
    match first {
        0..=0x7f => 1,
        0x80..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    }
}

fn is_group(p: &[u8]) -> bool {
    matches!(p, [b'@' | b'?' | b'*' | b'+' | b'!', b'(', ..]) && group_end(p).is_some()
}

/// Position after the `)` of the group at the start of `p`.
fn group_end(p: &[u8]) -> Option<usize> {
    let mut depth = 0u32;
    let mut i = 1;
    while i < p.len() {
        match p[i] {
            b'\\' => i += 1,
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    return Some(i + 1);
                }
            }
            _ => {}
        }
        i += 1;
    }
    None
}

fn alternatives(inner: &[u8]) -> Vec<&[u8]> {
    let mut out = Vec::new();
    let (mut depth, mut from, mut i) = (0u32, 0, 0);
    while i < inner.len() {
        match inner[i] {
            b'\\' => i += 1,
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'|' if depth == 0 => {
                out.push(&inner[from..i]);
                from = i + 1;
            }
            _ => {}
        }
        i += 1;
    }
    out.push(inner.get(from..).unwrap_or_default());
    out
}

fn run(mut p: &[u8], mut t: &[u8], how: Rules, depth: u32) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    // Where to go on when the text after the last star did not match.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        let left = STEPS.get();
        if left == 0 {
            return false;
        }
        STEPS.set(left - 1);
        let step = match p.first() {
            None if t.is_empty() => return true,
            None => None,
            Some(_) if how.groups && is_group(p) => {
                if group(p, t, how, depth + 1) {
                    return true;
                }
                None
            }
            Some(b'*') => {
                p = &p[1..];
                if p.is_empty() {
                    return true;
                }
                star = Some((p, t));
                continue;
            }
            Some(_) => one(p, t),
        };
        match step {
            Some((plen, tlen)) => {
                p = &p[plen..];
                t = &t[tlen..];
            }
            None => match star {
                Some((sp, st)) if !st.is_empty() => {
                    let st = &st[char_len(st[0]).min(st.len())..];
                    star = Some((sp, st));
                    p = sp;
                    t = st;
                }
                _ => return false,
            },
        }
    }
}

/// Matches one character; the lengths of pattern and text that were used.
fn one(p: &[u8], t: &[u8]) -> Option<(usize, usize)> {
    let first = *t.first()?;
    let tlen = char_len(first).min(t.len());
    match p[0] {
        b'?' => Some((1, tlen)),
        b'[' => match bracket(p, &t[..tlen]) {
            Some((matched, plen)) => matched.then_some((plen, tlen)),
            None => (first == b'[').then_some((1, 1)),
        },
        b'\\' if p.len() > 1 => (p[1] == first).then_some((2, 1)),
        c => (c == first).then_some((1, 1)),
    }
}

fn group(p: &[u8], t: &[u8], how: Rules, depth: u32) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    let Some(end) = group_end(p) else { return false };
    let (kind, inner, rest) = (p[0], &p[2..end - 1], &p[end..]);
    let choices = alternatives(inner);
    let hits = |part: &[u8]| choices.iter().any(|c| run(c, part, how, depth + 1));
    let cuts = (0..=t.len()).filter(|i| *i == t.len() || t[*i] & 0xc0 != 0x80);
    match kind {
        b'@' => cuts.clone().any(|i| hits(&t[..i]) && run(rest, &t[i..], how, depth + 1)),
        b'?' => {
            run(rest, t, how, depth + 1)
                || cuts.clone().any(|i| hits(&t[..i]) && run(rest, &t[i..], how, depth + 1))
        }
        b'!' => cuts.clone().any(|i| !hits(&t[..i]) && run(rest, &t[i..], how, depth + 1)),
        b'*' if run(rest, t, how, depth + 1) => true,
        _ => {
            cuts.clone().filter(|i| *i > 0).any(|i| {
                hits(&t[..i]) && {
                    let mut again = vec![b'*'];
                    again.extend_from_slice(&p[1..]);
                    run(&again, &t[i..], how, depth + 1)
                }
            }) || kind == b'+' && hits(b"") && run(rest, t, how, depth + 1)
        }
    }
}

/// Matches the bracket expression at the start of `p`; `None` if there is none.
fn bracket(p: &[u8], t: &[u8]) -> Option<(bool, usize)> {
    let c = std::str::from_utf8(t).ok()?.chars().next()?;
    let src = std::str::from_utf8(p).ok()?;
    let mut i = 1;
    let negate = matches!(p.get(1), Some(b'!' | b'^'));
    if negate {
        i += 1;
    }
    let mut hit = false;
    let mut first = true;
    loop {
        let rest = src.get(i..)?;
        let mut chars = rest.chars();
        let mut lo = chars.next()?;
        if lo == ']' && !first {
            return Some((hit != negate, i + 1));
        }
        first = false;
        if let Some(class) = rest.strip_prefix("[:")
            && let Some(end) = class.find(":]")
        {
            hit |= in_class(&class[..end], c);
            i += end + 4;
            continue;
        }
        match symbol(rest) {
            Some((one, len)) => {
                lo = one;
                i += len;
            }
            None => {
                i += lo.len_utf8();
                if lo == '\\' {
                    lo = chars.next()?;
                    i += lo.len_utf8();
                }
            }
        }
        let range = src.get(i..)?;
        let mut after = range.chars();
        if after.next() == Some('-')
            && let Some(hi) = after.next()
            && hi != ']'
        {
            i += 1;
            let mut hi = hi;
            match src.get(i..).and_then(symbol) {
                Some((one, len)) => {
                    hi = one;
                    i += len;
                }
                None => {
                    i += hi.len_utf8();
                    if hi == '\\' {
                        hi = after.next()?;
                        i += hi.len_utf8();
                    }
                }
            }
            hit |= lo <= c && c <= hi;
        } else {
            hit |= lo == c;
        }
    }
}

/// The character of `[=c=]` or `[.c.]` at the start of `text`, and the length of that.
fn symbol(text: &str) -> Option<(char, usize)> {
    let kind = match text.as_bytes() {
        [b'[', kind @ (b'=' | b'.'), ..] => char::from(*kind),
        _ => return None,
    };
    let c = text[2..].chars().next()?;
    let len = 2 + c.len_utf8();
    let end = text.get(len..)?;
    (end.starts_with(kind) && end[1..].starts_with(']')).then_some((c, len + 2))
}

/// The names of the classes of characters.
const CLASSES: &[&str] = &[
    "alpha", "digit", "alnum", "upper", "lower", "space", "blank", "punct", "print", "graph", "cntrl",
    "xdigit", "word", "ascii",
];

/// Whether `[:name:]` means a class.
pub(crate) fn is_class(name: &str) -> bool {
    CLASSES.contains(&name)
}

/// Whether a character is in a class.
pub(crate) fn in_class(name: &str, c: char) -> bool {
    if crate::text::is_own(c) {
        // A byte that is no character.
        return false;
    }
    match name {
        "alpha" => c.is_alphabetic(),
        "digit" => c.is_ascii_digit(),
        "alnum" => c.is_alphanumeric(),
        "upper" => c.is_uppercase(),
        "lower" => c.is_lowercase(),
        "space" => c.is_whitespace() || c == '\x0b',
        "blank" => c == ' ' || c == '\t',
        "punct" => c.is_ascii_punctuation(),
        "print" => !c.is_control(),
        "graph" => !c.is_control() && !c.is_whitespace(),
        "cntrl" => c.is_control(),
        "xdigit" => c.is_ascii_hexdigit(),
        "word" => c.is_alphanumeric() || c == '_',
        "ascii" => c.is_ascii(),
        _ => false,
    }
}

/// Length of the prefix of `text` that the pattern matches.
pub(crate) fn prefix(pattern: &str, text: &str, longest: bool, how: Rules) -> Option<usize> {
    if !is_special(pattern) && !how.nocase {
        return text.starts_with(pattern).then_some(pattern.len());
    }
    if let Some(regex) = Regex::of_pattern(pattern, how, false) {
        let count = regex.prefix(text.chars(), longest)?;
        return Some(text.char_indices().nth(count).map_or(text.len(), |(i, _)| i));
    }
    let mut cuts = text.char_indices().map(|(i, _)| i).chain([text.len()]);
    let hit = budgeted(|i: &usize| run_all(pattern, &text[..*i], how));
    if longest { cuts.collect::<Vec<_>>().into_iter().rev().find(hit) } else { cuts.find(hit) }
}

/// Start of the suffix of `text` that the pattern matches.
pub(crate) fn suffix(pattern: &str, text: &str, longest: bool, how: Rules) -> Option<usize> {
    if !is_special(pattern) && !how.nocase {
        return text.ends_with(pattern).then(|| text.len() - pattern.len());
    }
    if let Some(regex) = Regex::of_pattern(pattern, how, true) {
        let count = regex.prefix(text.chars().rev(), longest)?;
        return Some(
            count
                .checked_sub(1)
                .and_then(|n| text.char_indices().rev().nth(n))
                .map_or(text.len(), |(i, _)| i),
        );
    }
    let mut cuts = text.char_indices().map(|(i, _)| i).chain([text.len()]);
    let hit = budgeted(|i: &usize| run_all(pattern, &text[*i..], how));
    if longest { cuts.find(hit) } else { cuts.collect::<Vec<_>>().into_iter().rev().find(hit) }
}

/// The matches in `text`, one after the other, each the longest at its start; only the first unless `all`.
pub(crate) fn find_all(pattern: &str, text: &str, all: bool, how: Rules) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    if !is_special(pattern) && !how.nocase {
        let mut found = text.match_indices(pattern).map(|(i, part)| (i, i + part.len()));
        if all {
            out.extend(found)
        } else {
            out.extend(found.next())
        }
        return out;
    }
    let places: Vec<usize> = text.char_indices().map(|(i, _)| i).chain([text.len()]).collect();
    let chars: Vec<char> = text.chars().collect();
    let regex = Regex::of_pattern(pattern, how, false);
    let mut at = 0;
    // An empty match is none at the end of the text, and the next one begins a character later.
    while at < chars.len() {
        let found = match &regex {
            Some(regex) => regex.find(&chars, at),
            None => slow_find(pattern, text, &places, at, how),
        };
        let Some((start, end)) = found.filter(|(start, _)| *start < chars.len()) else { break };
        out.push((places[start], places[end]));
        if !all {
            break;
        }
        at = if end > start { end } else { end + 1 };
    }
    out
}

fn slow_find(pattern: &str, text: &str, places: &[usize], from: usize, how: Rules) -> Option<(usize, usize)> {
    let mut hit =
        budgeted(|(start, end): &(usize, usize)| run_all(pattern, &text[places[*start]..places[*end]], how));
    (from..places.len())
        .flat_map(|start| (start..places.len()).rev().map(move |end| (start, end)))
        .find(|span| hit(span))
}

#[cfg(test)]
mod tests {
    use super::{Rules, matches};

    #[test]
    fn patterns() {
        let cases = [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abb", false),
            ("?", "é", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[[:digit:]]*", "7z", true),
            ("[]]", "]", true),
            ("[", "[", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("*a*b*c", "xxaxxbxxc", true),
            ("@(a|bc)d", "bcd", true),
            ("+(ab)", "ababab", true),
            ("+(ab)", "", false),
            ("*(ab)c", "c", true),
            ("!(a|b)", "c", true),
            ("!(a|b)", "a", false),
            ("?(x)y", "y", true),
            ("*.@(c|h)", "a.h", true),
        ];
        for (pattern, text, expected) in cases {
            let how = Rules { groups: true, ..Rules::default() };
            assert_eq!(matches(pattern, text, how), expected, "{pattern} {text}");
        }
    }
}
