//! Shell strings: any bytes, carried losslessly in a `String`. It knows no encoding but UTF-8, and that of the `C` locale.
//!
//! A byte that is not part of valid UTF-8 becomes a private-use character (U+10FF80 + byte - 0x80), so the shell's own
//! work stays on characters, and the exact bytes come back where text leaves the shell. The characters of that block
//! themselves are kept byte by byte. What counts bytes, as in the `C` locale, works on text of which every byte that is not
//! ASCII has such a character: [`bytewise`].

use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::{OsStr, OsString};

#[cfg(unix)]
use std::os::unix::ffi::OsStringExt as _;
#[cfg(target_os = "wasi")]
use std::os::wasi::ffi::OsStringExt as _;

const BASE: u32 = 0x10_ff00;
/// What the UTF-8 form of every escaped byte starts with.
const PREFIX: &[u8] = &[0xf4, 0x8f, 0xbe];
const PREFIX2: &[u8] = &[0xf4, 0x8f, 0xbf];

/// The string of some bytes.
pub(crate) fn from_bytes(bytes: Vec<u8>) -> String {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) if !text.as_bytes().contains(&PREFIX[0]) || !text.chars().any(is_own) => return text,
        Ok(text) => text.into_bytes(),
        Err(error) => error.into_bytes(),
    };
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_own(c) {
                out.extend(c.encode_utf8(&mut [0; 4]).bytes().map(escaped));
            } else {
                out.push(c);
            }
        }
        out.extend(chunk.invalid().iter().copied().map(escaped));
    }
    out
}

/// Whether a character has a meaning within the shell.
pub(crate) fn is_own(c: char) -> bool {
    c as u32 >= BASE
}

/// The character that stands for a byte.
fn escaped(byte: u8) -> char {
    char::from_u32(BASE + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Text of which every byte that is not ASCII is a character.
pub(crate) fn bytewise(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() || is_own(c) {
            out.push(c);
        } else {
            out.extend(c.encode_utf8(&mut [0; 4]).bytes().map(escaped));
        }
    }
    out
}

/// What [`bytewise`] took apart, in the usual form.
pub(crate) fn whole(text: &str) -> String {
    from_bytes(to_bytes(text).into_owned())
}

thread_local! {
    /// Whether the locale is one in which every byte is a character.
    static BYTES: Cell<bool> = const { Cell::new(false) };
}

/// Notes whether every byte is a character, for what has no shell to ask.
pub(crate) fn note_bytes(on: bool) {
    BYTES.set(on);
}

/// Whether every byte was a character when that was noted last.
pub(crate) fn bytes_count() -> bool {
    BYTES.get()
}

/// The bytes of a string.
pub(crate) fn to_bytes(text: &str) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    if !bytes.contains(&PREFIX[0]) || !bytes.windows(3).any(|w| w == PREFIX || w == PREFIX2) {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    for c in text.chars() {
        match (c as u32).checked_sub(BASE) {
            Some(byte @ 0x80..=0xff) => out.push(byte as u8),
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(out)
}

/// The string of an argument, a file name or a variable of the environment.
pub(crate) fn from_os(text: OsString) -> String {
    from_bytes(text.into_vec())
}

/// A string as an argument, a file name or a variable of the environment.
pub(crate) fn to_os(text: &str) -> OsString {
    OsString::from_vec(to_bytes(text).into_owned())
}

/// As [`to_os`], without a copy when the string is plain UTF-8.
pub(crate) fn os(text: &str) -> Cow<'_, OsStr> {
    match to_bytes(text) {
        Cow::Borrowed(_) => Cow::Borrowed(OsStr::new(text)),
        Cow::Owned(bytes) => Cow::Owned(OsString::from_vec(bytes)),
    }
}

/// Whether `text` can name a variable.
pub(crate) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether `text` can be what a name reference refers to: a name, or an element of an array.
pub(crate) fn is_reference(text: &str) -> bool {
    match text.split_once('[') {
        Some((name, rest)) => is_name(name) && rest.len() > 1 && rest.ends_with(']'),
        None => is_name(text),
    }
}

/// A character in lower case, if that is one character.
pub(crate) fn lower_char(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// A character in upper case, if that is one character.
pub(crate) fn upper_char(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// Text in lower case, character by character.
pub(crate) fn lower(text: &str) -> String {
    text.chars().map(lower_char).collect()
}

/// Text in upper case, character by character.
pub(crate) fn upper(text: &str) -> String {
    text.chars().map(upper_char).collect()
}

/// Length of the name at the start of `bytes`; 0 if there is none.
pub(crate) fn name_len(bytes: &[u8]) -> usize {
    if bytes.first().is_none_or(u8::is_ascii_digit) {
        return 0;
    }
    bytes.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_bytes_survive() {
        for bytes in [&b"abc"[..], b"\xff\xfe", b"a\x80\xc3\xa9\xc3", "é\u{10ffff}".as_bytes()] {
            let text = from_bytes(bytes.to_vec());
            assert_eq!(&*to_bytes(&text), bytes);
            assert_eq!(whole(&bytewise(&text)), text);
        }
    }
}
