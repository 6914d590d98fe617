//! Characters in text: UTF-8, where a byte that belongs to no character counts as one, or bytes in the C locale.

/// The length in bytes of the character at the start of text that is not empty.
#[inline]
pub(crate) fn step(bytes: &[u8]) -> usize {
    let wanted = match bytes[0] {
        0..=0x7f => return 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return 1,
    };
    match bytes.get(..wanted) {
        Some(char) if std::str::from_utf8(char).is_ok() => wanted,
        _ => 1,
    }
}

/// How many characters there are.
pub(crate) fn length(bytes: &[u8], utf8: bool) -> usize {
    if !utf8 || bytes.is_ascii() {
        return bytes.len();
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.chars().count();
    }
    let (mut at, mut count) = (0, 0);
    while at < bytes.len() {
        at += step(&bytes[at..]);
        count += 1;
    }
    count
}

/// Where the character number `index` begins, or the end.
pub(crate) fn offset(bytes: &[u8], index: usize, utf8: bool) -> usize {
    if !utf8 {
        return index.min(bytes.len());
    }
    // As many characters need at least as many bytes: if those are ASCII, that is it.
    let head = &bytes[..index.min(bytes.len())];
    if head.is_ascii() {
        return head.len();
    }
    let (mut at, mut left) = (0, index);
    while left > 0 && at < bytes.len() {
        at += step(&bytes[at..]);
        left -= 1;
    }
    at
}

/// Text with every character mapped by `f`; bytes that are no characters stay.
fn map(bytes: &[u8], f: impl Fn(char) -> char) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            out.extend_from_slice(f(c).encode_utf8(&mut [0; 4]).as_bytes());
        }
        out.extend_from_slice(chunk.invalid());
    }
    out
}

/// The single character that another becomes, or itself, as towupper(3) and towlower(3).
fn single(c: char, mut to: impl Iterator<Item = char>) -> char {
    match (to.next(), to.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// A character in upper case.
pub(crate) fn upper_char(c: char) -> char {
    single(c, c.to_uppercase())
}

/// A character in lower case.
pub(crate) fn lower_char(c: char) -> char {
    single(c, c.to_lowercase())
}

/// Text in upper case.
pub(crate) fn upper(bytes: &[u8], utf8: bool) -> Vec<u8> {
    if utf8 && !bytes.is_ascii() { map(bytes, upper_char) } else { bytes.to_ascii_uppercase() }
}

/// Text in lower case.
pub(crate) fn lower(bytes: &[u8], utf8: bool) -> Vec<u8> {
    if utf8 && !bytes.is_ascii() { map(bytes, lower_char) } else { bytes.to_ascii_lowercase() }
}
