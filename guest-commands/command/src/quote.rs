//! File names and other words in messages, quoted as GNU does. It never changes a name that needs no quotes.

use crate::os::OsStrExt;
use std::ffi::OsStr;
use std::fmt::Write;

/// The name as it is when a shell would take it as one word, else in shell quotes (GNU `quotef`).
pub fn quotef(name: &OsStr) -> String {
    let bytes = name.as_bytes();
    if needs_quotes(bytes) { quoteaf(name) } else { String::from_utf8_lossy(bytes).into_owned() }
}

/// The name in shell quotes, always (GNU `quoteaf`).
pub fn quoteaf(name: &OsStr) -> String {
    let bytes = name.as_bytes();
    let text = String::from_utf8_lossy(bytes);
    let plain = !text.contains('\u{fffd}') && !text.chars().any(char::is_control);
    if plain && !text.contains('\'') {
        return format!("'{text}'");
    }
    if plain && !text.contains(['"', '$', '`', '\\', '!']) {
        return format!("\"{text}\"");
    }
    shell_escape(bytes)
}

fn shell_escape(bytes: &[u8]) -> String {
    let mut out = String::from("'");
    let mut escaped = false;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\'' {
                if escaped {
                    out.push('\'');
                    escaped = false;
                }
                out.push_str("'\\''");
            } else if c.is_control() {
                open_escape(&mut out, &mut escaped);
                push_escape(&mut out, c);
            } else {
                close_escape(&mut out, &mut escaped);
                out.push(c);
            }
        }
        for b in chunk.invalid() {
            open_escape(&mut out, &mut escaped);
            // Writing to a String cannot fail.
            let _ = write!(out, "\\{b:03o}");
        }
    }
    out.push('\'');
    out
}

fn open_escape(out: &mut String, escaped: &mut bool) {
    if !*escaped {
        out.push_str("'$'");
        *escaped = true;
    }
}

fn close_escape(out: &mut String, escaped: &mut bool) {
    if *escaped {
        out.push_str("''");
        *escaped = false;
    }
}

fn push_escape(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\r' => out.push_str("\\r"),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0b' => out.push_str("\\v"),
        '\x0c' => out.push_str("\\f"),
        c => {
            let mut buf = [0; 4];
            for b in c.encode_utf8(&mut buf).bytes() {
                let _ = write!(out, "\\{b:03o}");
            }
        }
    }
}

/// A word of a message that no shell is to take, in the quotes of the locale: ‘x’, in the C locale 'x' (GNU `quote`).
pub fn quote(word: &OsStr) -> String {
    quote_in(word, is_utf8())
}

/// The same in the quotes of the C locale, whatever the locale is: for programs that have no others.
pub fn quote_plain(word: &OsStr) -> String {
    quote_in(word, false)
}

fn quote_in(word: &OsStr, utf8: bool) -> String {
    let (open, close) = if utf8 { ('‘', '’') } else { ('\'', '\'') };
    let mut out = String::from(open);
    for chunk in word.as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                c if c == close => out.extend(['\\', c]),
                '\\' => out.push_str("\\\\"),
                c if c.is_control() => push_escape(&mut out, c),
                c if c.is_ascii() || utf8 => out.push(c),
                c => {
                    for b in c.encode_utf8(&mut [0; 4]).bytes() {
                        let _ = write!(out, "\\{b:03o}");
                    }
                }
            }
        }
        for b in chunk.invalid() {
            let _ = write!(out, "\\{b:03o}");
        }
    }
    out.push(close);
    out
}

/// Whether the environment names a locale whose characters are UTF-8.
pub fn is_utf8() -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(std::env::var_os)
        .find(|value| !value.is_empty())
        .is_some_and(|value| {
            let value = value.to_string_lossy().to_ascii_lowercase();
            value.contains("utf-8") || value.contains("utf8")
        })
}

/// Whether a shell would not take these bytes as one word that means itself, or a terminal not show them.
pub fn needs_quotes(name: &[u8]) -> bool {
    let special = |b: &u8| *b < 0x20 || *b == 0x7f || b" !\"$&'()*;<=>?[\\^`|".contains(b);
    matches!(name, [] | [b'#' | b'~', ..] | b"{" | b"}")
        || name.iter().any(special)
        || std::str::from_utf8(name).map_or(true, |text| text.chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::{quote_in, quoteaf, quotef};
    use crate::os::os;

    #[test]
    fn names_are_quoted_as_gnu_does() {
        for (name, want) in [
            ("a", "a"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", "\"it's\""),
            ("~x", "'~x'"),
            ("a~", "a~"),
            ("a\nb", "'a'$'\\n''b'"),
            ("{", "'{'"),
            ("é", "é"),
        ] {
            assert_eq!(quotef(os(name.as_bytes())), want, "{name:?}");
        }
        assert_eq!(quote_in(os(b"it's \xff\xc3\xa9\\\t"), true), "‘it's \\377é\\\\\\t’");
        assert_eq!(quote_in(os(b"it's \xc3\xa9"), false), "'it\\'s \\303\\251'");
        assert_eq!(quoteaf(os(b"a")), "'a'");
        assert_eq!(quoteaf(os(b"a\xffb")), "'a'$'\\377''b'");
    }
}
