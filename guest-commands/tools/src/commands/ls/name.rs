//! How `ls` writes a name: the quoting styles of GNU, question marks for what cannot be shown, and the width on a terminal.

use crate::os::OsStrExt;
use crate::quote::{is_utf8, needs_quotes, quote, quoteaf};
use std::ffi::OsStr;
use std::fmt::Write as _;
use unicode_width::UnicodeWidthChar;

/// A quoting style, under the name that `--quoting-style` has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Literal,
    Shell,
    ShellAlways,
    ShellEscape,
    ShellEscapeAlways,
    C,
    CMaybe,
    Escape,
    Locale,
    CLocale,
}

/// The styles in the order in which GNU names them.
pub(super) const STYLES: &[(&str, Style)] = &[
    ("literal", Style::Literal),
    ("shell", Style::Shell),
    ("shell-always", Style::ShellAlways),
    ("shell-escape", Style::ShellEscape),
    ("shell-escape-always", Style::ShellEscapeAlways),
    ("c", Style::C),
    ("c-maybe", Style::CMaybe),
    ("escape", Style::Escape),
    ("locale", Style::Locale),
    ("clocale", Style::CLocale),
];

/// The name in this style. `also` are bytes that are special here besides.
pub(super) fn quoted(name: &OsStr, style: Style, marks: bool, also: &[u8]) -> Vec<u8> {
    let bytes = name.as_bytes();
    let special = || bytes.iter().any(|b| also.contains(b));
    let needs = || needs_quotes(bytes) || special();
    let shown = match style {
        Style::Literal => bytes.to_vec(),
        // It escapes nothing, and so quotes nothing for the sake of what cannot be shown.
        Style::Shell if !special() && !needs_quotes(&ascii(bytes)) => bytes.to_vec(),
        Style::Shell | Style::ShellAlways => shell(bytes),
        Style::ShellEscape if !needs() => bytes.to_vec(),
        Style::ShellEscape | Style::ShellEscapeAlways => quoteaf(name).into_bytes(),
        Style::Escape => c_escape(bytes, also).into_bytes(),
        Style::Locale => locale(name, also).into_bytes(),
        Style::CLocale if is_utf8() => locale(name, also).into_bytes(),
        Style::CMaybe if is_plain_c(bytes) && !special() => bytes.to_vec(),
        // What asks for quotes is not escaped besides.
        Style::CMaybe => format!("\"{}\"", c_escape(bytes, b"\"")).into_bytes(),
        Style::C | Style::CLocale => format!("\"{}\"", c_escape(bytes, &[b"\"", also].concat())).into_bytes(),
    };
    if marks && matches!(style, Style::Literal | Style::Shell | Style::ShellAlways) {
        question_marks(&shown)
    } else {
        shown
    }
}

/// What is special in the name of a file besides.
pub(super) fn also(style: Style) -> &'static [u8] {
    if style == Style::Escape { b" " } else { b"" }
}

fn locale(name: &OsStr, also: &[u8]) -> String {
    let shown = quote(name);
    if also.contains(&b':') { shown.replace(':', "\\:") } else { shown }
}

/// The bytes with a letter for each that is no ASCII.
fn ascii(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|b| if b.is_ascii() { *b } else { b'x' }).collect()
}

/// Whether C needs no escape for the bytes; a backslash alone is no reason for quotes.
fn is_plain_c(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| !text.chars().any(|c| c.is_control() || c == '"'))
}

/// In shell quotes, with every character as it is.
fn shell(bytes: &[u8]) -> Vec<u8> {
    let doubles = bytes.contains(&b'\'') && !bytes.iter().any(|b| b"\"$`\\!".contains(b));
    let mut out = vec![if doubles { b'"' } else { b'\'' }];
    for b in bytes {
        match b {
            b'\'' if !doubles => out.extend_from_slice(b"'\\''"),
            b => out.push(*b),
        }
    }
    out.push(out[0]);
    out
}

fn c_escape(bytes: &[u8], special: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let letter = match c {
                '\n' => Some('n'),
                '\t' => Some('t'),
                '\r' => Some('r'),
                '\x07' => Some('a'),
                '\x08' => Some('b'),
                '\x0b' => Some('v'),
                '\x0c' => Some('f'),
                '\\' => Some('\\'),
                c if c.is_ascii() && special.contains(&(c as u8)) => Some(c),
                _ => None,
            };
            match letter {
                Some(letter) => out.extend(['\\', letter]),
                None if c.is_control() => octal(&mut out, c.encode_utf8(&mut [0; 4]).as_bytes()),
                None => out.push(c),
            }
        }
        octal(&mut out, chunk.invalid());
    }
    out
}

fn octal(out: &mut String, bytes: &[u8]) {
    for b in bytes {
        // Writing to a String cannot fail.
        let _ = write!(out, "\\{b:03o}");
    }
}

fn question_marks(bytes: &[u8]) -> Vec<u8> {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        out.extend(chunk.valid().chars().map(|c| if c.is_control() { '?' } else { c }));
        out.extend(chunk.invalid().iter().map(|_| '?'));
    }
    out.into_bytes()
}

/// The columns that the bytes take on a terminal.
pub(super) fn width(bytes: &[u8]) -> usize {
    let of = |c: char| if c.is_control() { 0 } else { c.width().unwrap_or(0) };
    bytes.utf8_chunks().map(|c| c.valid().chars().map(of).sum::<usize>() + c.invalid().len()).sum()
}

/// A path as part of a URL.
pub(super) fn url(path: &OsStr) -> String {
    let mut out = String::new();
    for b in path.as_bytes() {
        if b.is_ascii_alphanumeric() || b"~-._/".contains(b) {
            out.push(char::from(*b));
        } else {
            let _ = write!(out, "%{b:02x}");
        }
    }
    out
}
