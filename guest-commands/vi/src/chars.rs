//! Characters inside the bytes of a line: where they begin and end, how wide they are and how they look. Bytes that are no UTF-8 are
//! characters of their own, so every line can be shown and walked.

use unicode_width::UnicodeWidthChar;

/// The first of 128 numbers that stand for bytes that are no UTF-8 where a `char` is needed: the end of the last private plane.
const BYTES: u32 = 0x10_ff80;

/// The character at a byte, and its length; a byte that is no UTF-8 is one of a private plane.
pub(crate) fn decode(line: &[u8], at: usize) -> Option<(char, usize)> {
    let first = *line.get(at)?;
    if first < 0x80 {
        return Some((char::from(first), 1));
    }
    let len = match first {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let found =
        line.get(at..at + len).and_then(|b| std::str::from_utf8(b).ok()).and_then(|s| s.chars().next());
    match found {
        // A real character of these numbers would be taken for a byte.
        Some(c) if u32::from(c) < BYTES => Some((c, len)),
        _ => char::from_u32(BYTES - 0x80 + u32::from(first)).map(|c| (c, 1)),
    }
}

/// The byte that this character stands for.
fn as_byte(c: char) -> Option<u8> {
    u32::from(c).checked_sub(BYTES).and_then(|b| u8::try_from(b + 0x80).ok())
}

/// Puts a character behind bytes, as it was read.
pub(crate) fn encode(c: char, out: &mut Vec<u8>) {
    match as_byte(c) {
        Some(b) => out.push(b),
        None => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Text as bytes; what stood for a byte is one again.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    text.chars().for_each(|c| encode(c, &mut out));
    out
}

/// Bytes as text; what is no UTF-8 is kept in characters of a private plane.
pub(crate) fn text(bytes: &[u8]) -> String {
    iterate(bytes).map(|(_, c)| c).collect()
}

/// The characters of a line with their places.
pub(crate) fn iterate(line: &[u8]) -> impl Iterator<Item = (usize, char)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (c, len) = decode(line, at)?;
        at += len;
        Some((at - len, c))
    })
}

/// A character that stands above the one before it.
fn combining(c: char) -> bool {
    c >= '\u{300}' && as_byte(c).is_none() && c.width() == Some(0) && shown(c).is_none()
}

/// Where the character after the one at `at` begins, with what stands above it.
pub(crate) fn next(line: &[u8], at: usize) -> usize {
    let Some((_, len)) = decode(line, at) else { return line.len() };
    let mut at = at + len;
    while let Some((c, len)) = decode(line, at) {
        if !combining(c) {
            break;
        }
        at += len;
    }
    at
}

/// Where the character before `at` begins.
pub(crate) fn previous(line: &[u8], at: usize) -> usize {
    let mut at = at.min(line.len());
    while at > 0 {
        let mut start = at - 1;
        // A character is four bytes at most.
        for back in 1..=at.min(4) {
            if decode(line, at - back).is_some_and(|(_, len)| len == back) {
                start = at - back;
            }
        }
        at = start;
        if !decode(line, at).is_some_and(|(c, _)| combining(c)) {
            break;
        }
    }
    at
}

/// The last character of a line; 0 in an empty one.
pub(crate) fn last(line: &[u8]) -> usize {
    previous(line, line.len())
}

/// The start of the character that this byte belongs to.
pub(crate) fn floor(line: &[u8], at: usize) -> usize {
    if at >= line.len() {
        return line.len();
    }
    let mut start = at;
    for back in 1..=at.min(3) {
        if decode(line, at - back).is_some_and(|(_, len)| len > back) {
            start = at - back;
        }
    }
    if decode(line, start).is_some_and(|(c, _)| combining(c)) {
        return previous(line, start);
    }
    start
}

/// What is shown for a character that does not show itself; tabs are not asked here.
pub(crate) fn shown(c: char) -> Option<String> {
    if let Some(b) = as_byte(c) {
        return Some(format!("<{b:02x}>"));
    }
    match u32::from(c) {
        n @ 0..=0x1f => Some(format!("^{}", char::from(n as u8 + 64))),
        0x7f => Some("^?".into()),
        n @ 0x80..=0x9f => Some(format!("<{n:02x}>")),
        // They would turn what stands around them.
        n @ (0x200b..=0x200f | 0x202a..=0x202e | 0x2066..=0x2069 | 0xfeff) => Some(format!("<{n:04x}>")),
        n if c.width().is_none() => Some(format!("<{n:04x}>")),
        _ => None,
    }
}

/// The columns that a character takes at this column. `tab` is 0 where tabs are shown as `^I`.
pub(crate) fn width(c: char, column: usize, tab: usize) -> usize {
    match c {
        '\t' if tab > 0 => tab - column % tab,
        ' '..='~' => 1,
        c => shown(c).map_or_else(|| c.width().unwrap_or(0), |s| s.len()),
    }
}

/// The column of a byte, from 0.
pub(crate) fn column(line: &[u8], at: usize, tab: usize) -> usize {
    let mut column = 0;
    for (i, c) in iterate(line) {
        if i >= at {
            break;
        }
        column += width(c, column, tab);
    }
    column
}

/// The character at a column, or the last one before the end.
pub(crate) fn at_column(line: &[u8], wanted: usize, tab: usize) -> usize {
    let (mut column, mut found) = (0, 0);
    for (i, c) in iterate(line) {
        if column > wanted {
            break;
        }
        if !combining(c) {
            found = i;
        }
        column += width(c, column, tab);
    }
    found
}

/// What kind of character it is, for words: blank, word or other; with `big` there are no others.
pub(crate) fn class(c: Option<char>, big: bool) -> u8 {
    match c {
        None => 0,
        Some(c) if c == ' ' || c == '\t' || c == '\u{3000}' => 0,
        Some(_) if big => 1,
        Some(c) if c == '_' || (c.is_alphanumeric() && as_byte(c).is_none()) => 1,
        Some(_) => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_come_back() {
        for line in [
            &b"plain"[..],
            b"\xff\xfe\x80",
            "é日\u{10ffff}\u{10ff91}".as_bytes(),
            b"\xf4\x8f\xbf",
            b"a\xc3",
            b"\xe6\x97",
        ] {
            assert_eq!(bytes(&text(line)), line);
            let (mut at, mut starts) = (0, vec![]);
            while at < line.len() {
                starts.push(at);
                at = next(line, at);
            }
            let mut back = line.len();
            for start in starts.into_iter().rev() {
                back = previous(line, back);
                assert_eq!(back, start, "{line:?}");
            }
        }
    }

    #[test]
    fn columns_count_what_is_shown() {
        for (line, at, wanted) in [("a\tb", 2, 8), ("日本", 3, 2), ("\x01x", 1, 2), ("e\u{301}x", 3, 1)] {
            assert_eq!(column(line.as_bytes(), at, 8), wanted, "{line}");
            assert_eq!(at_column(line.as_bytes(), wanted, 8), at, "{line}");
        }
        assert_eq!(next("e\u{301}x".as_bytes(), 0), 3);
        assert_eq!(previous("e\u{301}x".as_bytes(), 3), 0);
        assert_eq!(floor("日本".as_bytes(), 4), 3);
    }
}
