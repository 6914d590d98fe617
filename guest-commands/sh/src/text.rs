//! Shell strings: any bytes, carried losslessly in a `String`. It knows no encoding but UTF-8.
//!
//! A byte that is not part of valid UTF-8 becomes a private-use character (U+10FF80 + byte - 0x80), so the shell's own
//! work stays on characters, and the exact bytes come back where text leaves the shell.

use std::borrow::Cow;
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
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let mut out = String::new();
            for chunk in error.as_bytes().utf8_chunks() {
                out.push_str(chunk.valid());
                out.extend(chunk.invalid().iter().filter_map(|b| char::from_u32(BASE + u32::from(*b))));
            }
            out
        }
    }
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
            if bytes != "é\u{10ffff}".as_bytes() {
                assert_eq!(&*to_bytes(&text), bytes);
            }
        }
    }
}
