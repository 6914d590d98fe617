//! Agent text made fit for logs and bounded fields: shortened on a character boundary, control characters escaped.
//! It does not interpret the text.

/// The first `max` bytes of `text`, cut on a character boundary.
pub(crate) fn shorten(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// For a log line: at most 120 bytes, control characters (terminal escapes) written as `\u{..}`.
pub(crate) fn loggable(text: &str) -> String {
    printable(text, 120)
}

/// The same with another limit, for messages that end up before people.
pub(crate) fn printable(text: &str, max: usize) -> String {
    let mut out = String::new();
    for c in shorten(text, max).chars() {
        if c.is_control() { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_terminal_escape_reaches_a_log() {
        assert_eq!(loggable("a\x1b[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(loggable(&"ü".repeat(100)).len(), 120);
    }
}
