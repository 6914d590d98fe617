//! The names of files in patches: quotes as git and diff write them, leading components, and which names are safe. It does
//! not look whether a file exists.

/// Where a name in double quotes ends, its quotes included.
pub(super) fn end_of_quoted(text: &[u8]) -> usize {
    let mut i = 1;
    while i < text.len() {
        match text[i] {
            b'\\' => i += 1,
            b'"' => return i + 1,
            _ => {}
        }
        i += 1;
    }
    text.len()
}

/// The name without its quotes and escapes, if it is in quotes.
pub(super) fn unquoted(text: &[u8]) -> Vec<u8> {
    let Some(inner) = text.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\"")) else {
        return text.to_vec();
    };
    let mut out = Vec::with_capacity(inner.len());
    let mut i = 0;
    while i < inner.len() {
        let byte = inner[i];
        i += 1;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some(letter) = inner.get(i).copied() else { break };
        i += 1;
        out.push(match letter {
            b'a' => 7,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'v' => 11,
            b'f' => 12,
            b'r' => b'\r',
            b'0'..=b'7' => {
                let mut value = u32::from(letter - b'0');
                for _ in 0..2 {
                    if let Some(digit) = inner.get(i).filter(|d| (b'0'..=b'7').contains(d)) {
                        value = value * 8 + u32::from(digit - b'0');
                        i += 1;
                    }
                }
                value as u8
            }
            other => other,
        });
    }
    out
}

/// The two names of a `diff --git` line. Without quotes they are only told apart when they are alike.
pub(super) fn pair(text: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    if text.starts_with(b"\"") {
        let end = end_of_quoted(text);
        let rest = text.get(end + 1..)?;
        return Some((unquoted(&text[..end]), unquoted(rest)));
    }
    let tail = |name: &'_ [u8]| name.iter().position(|b| *b == b'/').map_or(0, |i| i + 1);
    let blanks = (0..text.len()).filter(|i| text[*i] == b' ');
    let splits: Vec<(&[u8], &[u8])> = blanks.map(|i| (&text[..i], &text[i + 1..])).collect();
    let alike = splits.iter().find(|(a, b)| a[tail(a)..] == b[tail(b)..]);
    let (a, b) = alike.or(splits.first())?;
    Some((a.to_vec(), unquoted(b)))
}

/// The name without its first `count` components; the last component without a count.
pub(super) fn stripped(name: &[u8], count: Option<usize>) -> Option<Vec<u8>> {
    let mut rest = name;
    match count {
        None => rest = &name[name.iter().rposition(|b| *b == b'/').map_or(0, |i| i + 1)..],
        Some(count) => {
            for _ in 0..count {
                let slash = rest.iter().position(|b| *b == b'/')?;
                let more = rest[slash..].iter().position(|b| *b != b'/')?;
                rest = &rest[slash + more..];
            }
        }
    }
    (!rest.is_empty()).then(|| rest.to_vec())
}

/// Whether a name out of a patch stays below the working directory, symbolic links aside.
pub(super) fn is_safe(name: &[u8]) -> bool {
    !name.starts_with(b"/") && name.split(|b| *b == b'/').all(|part| part != b"..")
}

#[cfg(test)]
mod tests {
    use super::{is_safe, pair, stripped, unquoted};

    #[test]
    fn names_are_read() {
        assert_eq!(unquoted(br#""a\303\274 \"\t""#), "aü \"\t".as_bytes());
        assert_eq!(pair(b"a/x y b/x y"), Some((b"a/x y".to_vec(), b"b/x y".to_vec())));
        assert_eq!(stripped(b"a//b/c", Some(1)).as_deref(), Some(&b"b/c"[..]));
        assert_eq!(stripped(b"a/b/c", None).as_deref(), Some(&b"c"[..]));
        assert_eq!(stripped(b"a/b", Some(2)), None);
        assert!(is_safe(b"a/..b") && !is_safe(b"a/../b") && !is_safe(b"/a"));
    }
}
