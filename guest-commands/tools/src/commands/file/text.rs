//! Kinds of text: encodings, line ends, and what language it looks like.

use super::Found;

/// How a text is encoded.
pub(super) struct Encoding {
    /// In words: `ASCII`.
    words: &'static str,
    pub(super) charset: &'static str,
    /// The text as characters, where it is not bytes.
    decoded: Option<String>,
}

/// What is text at all: bytes that terminals are sent.
fn plain(b: u8) -> bool {
    matches!(b, 7..=13 | 27 | 0x20..=0x7e)
}

/// The encoding of the bytes; `None`: they are no text. `whole`: nothing follows them.
pub(super) fn encoding(bytes: &[u8], whole: bool) -> Option<Encoding> {
    let e = |words, charset, decoded| Some(Encoding { words, charset, decoded });
    if bytes.iter().all(|b| plain(*b)) {
        return e("ASCII", "us-ascii", None);
    }
    let body = bytes.strip_prefix(b"\xef\xbb\xbf");
    let text = body.unwrap_or(bytes);
    let valid = match std::str::from_utf8(text) {
        Ok(_) => true,
        // Cut in the middle of a character.
        Err(error) => !whole && error.error_len().is_none(),
    };
    let controls = text.iter().any(|b| *b < 0x80 && !plain(*b));
    if valid && !controls {
        return match body {
            Some(_) => e("Unicode text, UTF-8 (with BOM)", "utf-8", None),
            None => e("Unicode text, UTF-8", "utf-8", None),
        };
    }
    for (mark, big) in [(b"\xff\xfe", false), (b"\xfe\xff", true)] {
        if let Some(body) = bytes.strip_prefix(mark.as_slice()) {
            let units = body.chunks_exact(2).map(|c| {
                if big { u16::from_be_bytes([c[0], c[1]]) } else { u16::from_le_bytes([c[0], c[1]]) }
            });
            let decoded: String = char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect();
            if decoded.chars().all(|c| u32::from(c) > 127 || plain(c as u8)) {
                return if big {
                    e("Unicode text, UTF-16, big-endian", "utf-16be", Some(decoded))
                } else {
                    e("Unicode text, UTF-16, little-endian", "utf-16le", Some(decoded))
                };
            }
        }
    }
    if bytes.iter().all(|b| plain(*b) || *b >= 0xa0) {
        return e("ISO-8859", "iso-8859-1", None);
    }
    if bytes.iter().all(|b| plain(*b) || *b >= 0x80) {
        return e("Non-ISO extended-ASCII", "unknown-8bit", None);
    }
    None
}

/// What is said of the text beyond its encoding.
fn ends(bytes: &[u8]) -> String {
    let (mut lf, mut crlf, mut cr, mut nel) = (0_u64, 0_u64, 0_u64, 0_u64);
    let (mut longest, mut length) = (0, 0);
    let (mut escape, mut back) = (false, false);
    for (i, b) in bytes.iter().enumerate() {
        match b {
            b'\n' if i > 0 && bytes[i - 1] == b'\r' => {
                crlf += 1;
                cr -= 1;
            }
            b'\n' => lf += 1,
            b'\r' => cr += 1,
            0x85 if i > 0 && bytes[i - 1] == 0xc2 => nel += 1,
            _ => {}
        }
        if matches!(b, b'\n' | b'\r') {
            length = 0;
        } else {
            length += 1;
            longest = longest.max(length);
        }
        escape |= *b == 27;
        back |= *b == 8;
    }
    let mut out = String::new();
    // Longer lines than people write.
    if longest > 300 {
        out += &format!(", with very long lines ({longest})");
    }
    if lf + crlf + cr + nel == 0 {
        out += ", with no line terminators";
    } else if crlf + cr + nel > 0 {
        let mut kinds = Vec::new();
        for (n, word) in [(crlf, "CRLF"), (cr, "CR"), (lf, "LF"), (nel, "NEL")] {
            if n > 0 {
                kinds.push(word);
            }
        }
        out += &format!(", with {} line terminators", kinds.join(", "));
    }
    if escape {
        out += ", with escape sequences";
    }
    if back {
        out += ", with overstriking";
    }
    out
}

/// The language that a text looks like: words before its encoding, MIME type, and whether it is called executable.
struct Language(&'static str, &'static str, bool);

/// Words that begin a line of a source, in the order that they are asked.
const STARTS: &[(&str, Language)] = &[
    ("<?php", Language("PHP script", "text/x-php", false)),
    ("diff ", Language("unified diff output", "text/x-diff", false)),
    ("\\documentclass", Language("LaTeX 2e document", "text/x-tex", false)),
    ("\\input texinfo", Language("Texinfo source", "text/x-texinfo", false)),
    ("%!PS-Adobe", Language("PostScript document text", "application/postscript", false)),
    ("BEGIN:VCALENDAR", Language("vCalendar calendar file", "text/calendar", false)),
    ("BEGIN:VCARD", Language("vCard visiting card", "text/vcard", false)),
];

fn interpreter(line: &str) -> Option<(String, String, bool)> {
    let command = line.strip_prefix("#!")?.trim();
    let mut words = command.split_whitespace();
    let first = words.next()?;
    let mut name = first.rsplit('/').next().unwrap_or(first);
    if name == "env" {
        name = words.find(|w| !w.starts_with('-') && !w.contains('='))?;
        name = name.rsplit('/').next().unwrap_or(name);
    }
    let base = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let (words, mime) = match base {
        "sh" => ("POSIX shell script", "text/x-shellscript"),
        "dash" => ("a /usr/bin/dash script", "text/plain"),
        "bash" => ("Bourne-Again shell script", "text/x-shellscript"),
        "ksh" => ("Korn shell script", "text/x-shellscript"),
        "zsh" => ("Paul Falstad's zsh script", "text/x-shellscript"),
        "csh" => ("C shell script", "text/x-shellscript"),
        "tcsh" => ("Tenex C shell script", "text/x-shellscript"),
        "fish" => ("fish shell script", "text/x-shellscript"),
        "python" => ("Python script", "text/x-script.python"),
        "ruby" => ("Ruby script", "text/x-ruby"),
        "awk" => ("awk script", "text/x-awk"),
        "gawk" => ("GNU awk script", "text/x-gawk"),
        "mawk" => ("mawk script", "text/x-nawk"),
        "php" => ("PHP script", "text/x-php"),
        "lua" => ("Lua script", "text/x-lua"),
        "tclsh" | "wish" => ("Tcl script", "text/x-tcl"),
        "node" | "nodejs" => {
            return Some(("Node.js script executable".into(), "application/javascript".into(), false));
        }
        "perl" => return Some(("Perl script text executable".into(), "text/x-perl".into(), false)),
        _ => return Some((format!("a {command} script"), "text/plain".into(), true)),
    };
    Some((words.into(), mime.into(), true))
}

fn language(text: &str) -> Option<(String, String, bool)> {
    let own = |words: &str, mime: &str, exec: bool| Some((words.to_owned(), mime.to_owned(), exec));
    let first = text.lines().next().unwrap_or("");
    if first.starts_with("#!") {
        return interpreter(first);
    }
    let trimmed = text.trim_start();
    let lower = trimmed.get(..trimmed.len().min(4096)).unwrap_or(trimmed).to_ascii_lowercase();
    if lower.starts_with("<?xml") {
        if lower.contains("<svg") {
            return own("SVG Scalable Vector Graphics image", "image/svg+xml", false);
        }
        let version = trimmed.split(['"', '\'']).nth(1).unwrap_or("1.0");
        return own(&format!("XML {version} document"), "text/xml", false);
    }
    if lower.starts_with("<svg") {
        return own("SVG Scalable Vector Graphics image", "image/svg+xml", false);
    }
    for tag in ["<!doctype html", "<html", "<head", "<title", "<body", "<h1", "<script", "<style"] {
        if lower.starts_with(tag) {
            return own("HTML document", "text/html", false);
        }
    }
    for (start, Language(words, mime, exec)) in STARTS {
        if text.starts_with(start) {
            return own(words, mime, *exec);
        }
    }
    let lines = || text.lines().take(400);
    if text.starts_with("--- ") && lines().nth(1).is_some_and(|l| l.starts_with("+++ ")) {
        return own("unified diff output", "text/x-diff", false);
    }
    if text.starts_with("*** ") && lines().nth(1).is_some_and(|l| l.starts_with("--- ")) {
        return own("context diff output", "text/x-diff", false);
    }
    let begins = |words: &[&str]| lines().any(|l| words.iter().any(|w| l.starts_with(w)));
    let inner =
        |l: &str, start: &str, tail: &str| l.trim_start().starts_with(start) && l.trim_end().ends_with(tail);
    if begins(&["package "]) && begins(&["import java", "public class "])
        || lines().any(|l| l.starts_with("public class ") || l.starts_with("import java"))
    {
        return own("Java source", "text/x-java", false);
    }
    if begins(&["#include", "# include", "#define ", "#ifndef ", "#ifdef ", "int main(", "void main("])
        || lines().any(|l| l.contains(" main(") || l.starts_with("extern \"C\""))
    {
        let class = begins(&["class ", "namespace ", "template <", "template<", "using namespace"]);
        return if class || text.contains("\nusing namespace ") {
            own("C++ source", "text/x-c++", false)
        } else {
            own("C source", "text/x-c", false)
        };
    }
    let def = lines().any(|l| inner(l, "def ", ":") && l.contains('('));
    let python = (begins(&["import ", "from "]) || lines().any(|l| inner(l, "class ", ":"))) && def;
    if python || (lines().any(|l| l.starts_with("from ") && l.contains(" import "))) || def {
        return own("Python script", "text/x-script.python", true);
    }
    if lines().any(|l| l.starts_with("const ") && l.contains("require(")) || text.starts_with("'use strict'")
    {
        return own("JavaScript source", "application/javascript", false);
    }
    if begins(&["all:", ".PHONY", "CFLAGS", "SHELL ="]) {
        return own("makefile script", "text/x-makefile", false);
    }
    if ["From: ", "Return-Path:", "Received:", "Message-ID:"].iter().any(|w| text.starts_with(w)) {
        return own("news or mail", "message/rfc822", false);
    }
    if text.starts_with("-----BEGIN CERTIFICATE") {
        return own("PEM certificate", "text/plain", false);
    }
    for (kind, words) in [
        ("RSA PRIVATE KEY", "PEM RSA private key"),
        ("DSA PRIVATE KEY", "PEM DSA private key"),
        ("EC PRIVATE KEY", "PEM EC private key"),
        ("OPENSSH PRIVATE KEY", "OpenSSH private key"),
    ] {
        if text.strip_prefix("-----BEGIN ").is_some_and(|t| t.starts_with(kind)) {
            return own(words, "text/plain", false);
        }
    }
    None
}

/// What stands alone in the answer, without the words for the encoding.
fn alone(words: &str) -> bool {
    ["SVG", "PEM ", "OpenSSH", "JSON", "New Line", "CSV", "Perl script text"]
        .iter()
        .any(|w| words.starts_with(w))
}

pub(super) fn describe(bytes: &[u8], encoding: &Encoding) -> Found {
    let lossy;
    let text = match &encoding.decoded {
        Some(text) => text.as_str(),
        None => {
            lossy = String::from_utf8_lossy(bytes);
            &*lossy
        }
    };
    let found = |words: String, mime: &str| Found::new(words, mime, encoding.charset);
    if let Some(lines) = json(text) {
        return if lines > 1 {
            found("New Line Delimited JSON text data".into(), "application/x-ndjson")
        } else {
            found("JSON text data".into(), "application/json")
        };
    }
    let tail = ends(encoding.decoded.as_ref().map_or(bytes, String::as_bytes));
    match language(text) {
        Some((words, mime, _)) if alone(&words) => found(words, &mime),
        Some((words, mime, exec)) => {
            let exec = if exec { " executable" } else { "" };
            found(format!("{words}, {}{exec}{tail}", encoding_words(encoding)), &mime)
        }
        None if csv(text) => found("CSV text".into(), "text/csv"),
        None => found(format!("{}{tail}", encoding_words(encoding)), "text/plain"),
    }
}

fn encoding_words(encoding: &Encoding) -> String {
    format!("{} text", encoding.words)
}

/// Whether the text is JSON: how many values, one per line, it has.
fn json(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut values = 0;
    loop {
        while at < bytes.len() && bytes[at].is_ascii_whitespace() {
            at += 1;
        }
        if at == bytes.len() {
            return (values > 0).then_some(values);
        }
        if !matches!(bytes[at], b'{' | b'[') {
            return None;
        }
        at = value(bytes, at)?;
        values += 1;
        if at < bytes.len() && bytes[at] != b'\n' && !bytes[at..].trim_ascii().is_empty() {
            return None;
        }
    }
}

/// The end of the JSON value that begins here.
fn value(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut open: Vec<u8> = Vec::new();
    // Whether a value may come, and whether a key of an object must.
    let (mut want, mut key) = (true, false);
    loop {
        let c = *bytes.get(at)?;
        match c {
            b' ' | b'\t' | b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            b'{' | b'[' if want && !key => {
                open.push(c);
                key = c == b'{';
                at += 1;
                if open.len() > 500 {
                    return None;
                }
                continue;
            }
            b'}' | b']' => {
                if open.pop()? != if c == b'}' { b'{' } else { b'[' } {
                    return None;
                }
                at += 1;
            }
            b'"' if want => {
                at += 1;
                loop {
                    match *bytes.get(at)? {
                        b'\\' => at += 2,
                        b'"' => break,
                        _ => at += 1,
                    }
                }
                at += 1;
                if key {
                    while bytes.get(at)?.is_ascii_whitespace() {
                        at += 1;
                    }
                    if *bytes.get(at)? != b':' {
                        return None;
                    }
                    at += 1;
                    key = false;
                    continue;
                }
            }
            b',' if !want => {
                at += 1;
                want = true;
                key = open.last() == Some(&b'{');
                continue;
            }
            b't' | b'f' | b'n' if want && !key => {
                let word =
                    [&b"true"[..], b"false", b"null"].into_iter().find(|w| bytes[at..].starts_with(w))?;
                at += word.len();
            }
            b'-' | b'0'..=b'9' if want && !key => {
                while bytes
                    .get(at)
                    .is_some_and(|b| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
                {
                    at += 1;
                }
            }
            _ => return None,
        }
        want = false;
        key = false;
        if open.is_empty() {
            return Some(at);
        }
    }
}

/// Whether all of the first lines have as many commas.
fn csv(text: &str) -> bool {
    let fields = |line: &str| {
        let mut quoted = false;
        line.chars()
            .filter(|c| {
                quoted ^= *c == '"';
                *c == ',' && !quoted
            })
            .count()
    };
    let lines: Vec<&str> = text.lines().take(10).collect();
    let first = lines.first().map_or(0, |l| fields(l));
    first > 0 && lines.len() > 2 && lines.iter().all(|l| fields(l) == first)
}
