//! How characters look on a screen: widths, control characters, and bytes that are no text. It breaks no lines.

use unicode_width::UnicodeWidthChar;

/// The first of 128 characters that stand for bytes that are no UTF-8: the last of the private plane.
const BYTES: u32 = 0x10_ff00;

/// Bytes as text: what is no UTF-8 becomes characters of its own.
pub(crate) fn decode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    let byte = |out: &mut String, b: u8| out.extend(char::from_u32(BYTES + u32::from(b)));
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if u32::from(c) >= BYTES {
                // Else it would be taken for one byte.
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|b| byte(&mut out, b));
            } else {
                out.push(c);
            }
        }
        chunk.invalid().iter().for_each(|b| byte(&mut out, *b));
    }
    out
}

fn as_byte(c: char) -> Option<u8> {
    u32::from(c).checked_sub(BYTES).map(|b| b as u8)
}

/// What is shown for a character that does not show itself; tabs are not asked here.
pub(crate) fn shown(c: char) -> Option<String> {
    if let Some(b) = as_byte(c) {
        return Some(format!("<{b:02X}>"));
    }
    match u32::from(c) {
        n @ 0..=0x1f => Some(format!("^{}", char::from(n as u8 + 64))),
        0x7f => Some("^?".into()),
        n @ 0x80..=0x9f => Some(format!("<U+{n:04X}>")),
        n if c.width().is_none() => Some(format!("<U+{n:04X}>")),
        // They would turn what stands around them.
        n @ (0x200b..=0x200f | 0x202a..=0x202e | 0x2066..=0x2069 | 0xfeff) => Some(format!("<U+{n:04X}>")),
        _ => None,
    }
}

/// The columns that a character takes at this column.
pub(crate) fn width(c: char, column: usize, tab: usize) -> usize {
    match c {
        '\t' => tab - column % tab,
        ' '..='~' => 1,
        c => shown(c).map_or_else(|| c.width().unwrap_or(0), |s| s.chars().count()),
    }
}

/// Puts a character as it is seen.
pub(crate) fn push(out: &mut String, c: char, column: usize, tab: usize) {
    match c {
        '\t' => out.extend(std::iter::repeat_n(' ', tab - column % tab)),
        ' '..='~' => out.push(c),
        c => match shown(c) {
            Some(s) => out.push_str(&s),
            None => out.push(c),
        },
    }
}

/// As much of a text as fits into so many columns.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    let (mut out, mut used) = (String::new(), 0);
    for c in text.chars() {
        let w = width(c, used, 8);
        if used + w > columns {
            break;
        }
        push(&mut out, c, used, 8);
        used += w;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_show_themselves() {
        assert_eq!(cut(&decode(b"a\xff\x01"), 80), "a<FF>^A");
        assert_eq!(cut(&decode("日本".as_bytes()), 3), "日");
        assert_eq!(width('\t', 3, 8), 5);
    }
}
