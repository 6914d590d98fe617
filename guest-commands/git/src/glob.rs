//! Patterns with `*`, `**`, `?` and `[…]` as in ignore files and pathspecs. It reads no files.

/// Whether a pattern matches a whole text. With `path`, `*`, `?` and sets do not match a slash, and `**` matches
/// directories. With `fold` case does not matter.
pub(crate) fn matches(pattern: &[u8], text: &[u8], path: bool, fold: bool) -> bool {
    let mut budget = 100_000;
    run(pattern, text, path, fold, true, &mut budget)
}

fn lower(b: u8, fold: bool) -> u8 {
    if fold { b.to_ascii_lowercase() } else { b }
}

fn run(mut p: &[u8], mut t: &[u8], path: bool, fold: bool, mut at_start: bool, budget: &mut u32) -> bool {
    loop {
        if *budget == 0 {
            return false;
        }
        *budget -= 1;
        let Some(&c) = p.first() else { return t.is_empty() };
        match c {
            b'*' => {
                let stars = p.iter().take_while(|b| **b == b'*').count();
                let rest = &p[stars..];
                let crossing = if !path {
                    true
                } else if stars >= 2 && at_start && (rest.is_empty() || rest[0] == b'/') {
                    if rest.first() == Some(&b'/') && run(&rest[1..], t, path, fold, true, budget) {
                        return true;
                    }
                    true
                } else {
                    false
                };
                if rest.is_empty() {
                    return crossing || !t.contains(&b'/');
                }
                let mut at = 0;
                loop {
                    if run(rest, &t[at..], path, fold, false, budget) {
                        return true;
                    }
                    if at >= t.len() || (!crossing && t[at] == b'/') || *budget == 0 {
                        return false;
                    }
                    at += 1;
                }
            }
            b'?' => {
                if t.is_empty() || (path && t[0] == b'/') {
                    return false;
                }
                p = &p[1..];
                t = &t[1..];
            }
            b'[' => {
                let Some(&b) = t.first() else { return false };
                let Some((hit, len)) = set(p, b, fold) else { return false };
                if !hit || (path && b == b'/') {
                    return false;
                }
                p = &p[len..];
                t = &t[1..];
            }
            _ => {
                let (c, len) = if c == b'\\' && p.len() > 1 { (p[1], 2) } else { (c, 1) };
                if t.is_empty() || lower(t[0], fold) != lower(c, fold) {
                    return false;
                }
                p = &p[len..];
                t = &t[1..];
                at_start = c == b'/';
                continue;
            }
        }
        at_start = false;
    }
}

/// Whether the set at the start of `p` holds `b`, and the length of the set; `None` if it does not end.
fn set(p: &[u8], b: u8, fold: bool) -> Option<(bool, usize)> {
    let mut at = 1;
    let not = matches!(p.get(at), Some(b'!' | b'^'));
    if not {
        at += 1;
    }
    let mut hit = false;
    let first = at;
    let same = |low: u8, high: u8| {
        (low..=high).contains(&b)
            || (fold
                && ((low..=high).contains(&b.to_ascii_lowercase())
                    || (low..=high).contains(&b.to_ascii_uppercase())))
    };
    loop {
        let mut c = *p.get(at)?;
        if c == b']' && at > first {
            return Some((hit != not, at + 1));
        }
        if c == b'[' && p.get(at + 1) == Some(&b':') {
            let end = p[at + 2..].windows(2).position(|w| w == b":]")?;
            hit |= match &p[at + 2..at + 2 + end] {
                b"alnum" => b.is_ascii_alphanumeric(),
                b"alpha" => b.is_ascii_alphabetic(),
                b"blank" => matches!(b, b' ' | b'\t'),
                b"cntrl" => b.is_ascii_control(),
                b"digit" => b.is_ascii_digit(),
                b"graph" => b.is_ascii_graphic(),
                b"lower" => b.is_ascii_lowercase() || (fold && b.is_ascii_uppercase()),
                b"print" => b.is_ascii_graphic() || b == b' ',
                b"punct" => b.is_ascii_punctuation(),
                b"space" => b.is_ascii_whitespace() || b == 11,
                b"upper" => b.is_ascii_uppercase() || (fold && b.is_ascii_lowercase()),
                b"xdigit" => b.is_ascii_hexdigit(),
                _ => return None,
            };
            at += end + 4;
            continue;
        }
        if c == b'\\' {
            at += 1;
            c = *p.get(at)?;
        }
        if p.get(at + 1) == Some(&b'-') && p.get(at + 2).is_some_and(|e| *e != b']') {
            at += 2;
            if p[at] == b'\\' {
                at += 1;
            }
            let high = *p.get(at)?;
            hit |= same(c, high);
        } else {
            hit |= same(c, c);
        }
        at += 1;
    }
}

/// Whether a text has characters that make it a pattern.
pub(crate) fn is_pattern(text: &[u8]) -> bool {
    text.iter().any(|b| matches!(b, b'*' | b'?' | b'[' | b'\\'))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_in_ignore_files() {
        for (pattern, text, path, want) in [
            ("*.o", "a.o", true, true),
            ("*.o", "d/a.o", true, false),
            ("*.o", "d/a.o", false, true),
            ("**/foo", "foo", true, true),
            ("**/foo", "a/b/foo", true, true),
            ("a/**/b", "a/b", true, true),
            ("a/**/b", "a/x/y/b", true, true),
            ("a/**", "a/x/y", true, true),
            ("a/**", "a", true, false),
            ("[a-c]?", "bz", true, true),
            ("[!a-c]", "b", true, false),
            ("[[:digit:]]x", "7x", true, true),
            ("\\*", "*", true, true),
            ("foo**bar", "foo/bar", true, false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes(), path, false), want, "{pattern} {text}");
        }
    }
}
