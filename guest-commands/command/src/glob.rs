//! File name patterns as fnmatch(3) without flags: `*`, `?`, `[...]`, backslash. `/` and a leading dot are not special.

/// Whether `name` as a whole matches `pattern`; `fold` ignores the case of ASCII letters.
pub fn matches(pattern: &[u8], name: &[u8], fold: bool) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where to go on when the last `*` takes one byte more: linear memory, no recursion.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = if p < pattern.len() && pattern[p] == b'*' {
            retry = Some((p + 1, n));
            p += 1;
            continue;
        } else if n == name.len() {
            if p == pattern.len() {
                return true;
            }
            None
        } else {
            one(&pattern[p..], &name[n..], fold)
        };
        match (step, &mut retry) {
            (Some((used, taken)), _) => {
                p += used;
                n += taken;
            }
            (None, Some((after, from))) if *from < name.len() => {
                *from += 1;
                (p, n) = (*after, *from);
            }
            (None, _) => return false,
        }
    }
}

fn lower(b: u8, fold: bool) -> u8 {
    if fold { b.to_ascii_lowercase() } else { b }
}

/// Matches one pattern element: bytes of pattern and of name that it takes.
fn one(pattern: &[u8], name: &[u8], fold: bool) -> Option<(usize, usize)> {
    let b = name[0];
    match pattern {
        [] => None,
        [b'?', ..] => Some((1, character(name))),
        [b'[', ..] => match bracket(pattern, b, fold) {
            Some((used, true)) => Some((used, character(name))),
            Some((_, false)) => None,
            None => (b == b'[').then_some((1, 1)),
        },
        [b'\\', next, ..] => (lower(*next, fold) == lower(b, fold)).then_some((2, 1)),
        [first, ..] => (lower(*first, fold) == lower(b, fold)).then_some((1, 1)),
    }
}

/// Bytes of the first character of a name.
fn character(name: &[u8]) -> usize {
    name.utf8_chunks().next().and_then(|c| c.valid().chars().next()).map_or(1, char::len_utf8)
}

/// A bracket expression: its length and whether `b` is in it; `None` when it is not closed.
fn bracket(pattern: &[u8], b: u8, fold: bool) -> Option<(usize, bool)> {
    let mut i = 1;
    let negated = matches!(pattern.get(i), Some(b'!' | b'^'));
    i += usize::from(negated);
    let first = i;
    let mut found = false;
    let b = lower(b, fold);
    loop {
        let c = *pattern.get(i)?;
        if c == b']' && i > first {
            return Some((i + 1, found != negated));
        }
        if c == b'['
            && pattern.get(i + 1) == Some(&b':')
            && let Some(end) = memchr::memmem::find(&pattern[i + 2..], b":]")
        {
            found |= class(&pattern[i + 2..i + 2 + end], b);
            i += end + 4;
            continue;
        }
        let (low, next) = literal(pattern, i)?;
        let ranged = pattern.get(next) == Some(&b'-') && pattern.get(next + 1).is_some_and(|c| *c != b']');
        let (high, next) = if ranged { literal(pattern, next + 1)? } else { (low, next) };
        found |= (lower(low, fold)..=lower(high, fold)).contains(&b);
        i = next;
    }
}

fn literal(pattern: &[u8], i: usize) -> Option<(u8, usize)> {
    match pattern.get(i)? {
        b'\\' => Some((*pattern.get(i + 1)?, i + 2)),
        b => Some((*b, i + 1)),
    }
}

fn class(name: &[u8], b: u8) -> bool {
    match name {
        b"alpha" => b.is_ascii_alphabetic(),
        b"digit" => b.is_ascii_digit(),
        b"alnum" => b.is_ascii_alphanumeric(),
        b"upper" => b.is_ascii_uppercase(),
        b"lower" => b.is_ascii_lowercase(),
        b"space" => b.is_ascii_whitespace() || b == 11,
        b"blank" => matches!(b, b' ' | b'\t'),
        b"punct" => b.is_ascii_punctuation(),
        b"cntrl" => b.is_ascii_control(),
        b"xdigit" => b.is_ascii_hexdigit(),
        b"graph" => b.is_ascii_graphic(),
        b"print" => b.is_ascii_graphic() || b == b' ',
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, name, want) in [
            ("*.rs", "a.rs", true),
            ("*.rs", "a.rsx", false),
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "aéc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[[:digit:]]*", "9a", true),
            ("[a", "[a", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("*a*b*c*", "xxaxxbxxcxx", true),
            ("*a*b*c*", "xxaxxcxxbxx", false),
            (".*", ".x", true),
            ("*", "a/b", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes(), false), want, "{pattern} {name}");
        }
        assert!(matches(b"*.RS", b"a.rs", true));
        assert!(!matches(&b"*a".repeat(40), &[b'b'; 4000], false));
    }
}
