//! Commits as mails: headers, words that are not ASCII (RFC 2047), and reading a mailbox. It knows no commits.

use crate::bytes;

/// A mail that holds a patch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mail {
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) date: String,
    pub(crate) subject: String,
    /// Between headers and patch.
    pub(crate) body: String,
    /// From the line `---` or the first file on.
    pub(crate) patch: Vec<u8>,
}

/// A header's text if it is not ASCII, folded; `column` is where it begins.
pub(crate) fn encode(text: &str, column: usize, person: bool) -> String {
    const START: &str = "=?UTF-8?q?";
    let mut out = START.to_owned();
    let mut width = column + START.len();
    for c in text.chars() {
        let plain = c.is_ascii_graphic()
            && if person { c.is_ascii_alphanumeric() || "!*+-/".contains(c) } else { !"=?_".contains(c) };
        let mut buffer = [0; 4];
        let piece = if plain {
            c.to_string()
        } else {
            c.encode_utf8(&mut buffer).bytes().map(|b| format!("={b:02X}")).collect()
        };
        if width + piece.len() + 2 > 76 {
            out += &format!("?=\n {START}");
            width = START.len() + 1;
        }
        width += piece.len();
        out += &piece;
    }
    out + "?="
}

/// Text of a header in lines of at most 78 columns.
pub(crate) fn fold(text: &str, column: usize) -> String {
    let mut out = String::new();
    let mut width = column;
    for (at, word) in text.split(' ').enumerate() {
        let len = word.chars().count();
        if at > 0 {
            if width + 1 + len > 78 {
                out += "\n ";
                width = 1;
            } else {
                out.push(' ');
                width += 1;
            }
        }
        out += word;
        width += len;
    }
    out
}

/// The name of a person in a header.
pub(crate) fn person(name: &str, email: &str) -> String {
    if !name.is_ascii() {
        return format!("{} <{email}>", encode(name, 6, true));
    }
    if name.contains(['(', ')', '<', '>', '[', ']', ':', ';', '@', ',', '.', '"', '\\']) {
        return format!("\"{}\" <{email}>", name.replace('\\', "\\\\").replace('"', "\\\""));
    }
    format!("{name} <{email}>")
}

/// A header's text with its encoded words decoded.
fn decode(text: &str) -> String {
    let mut out: Vec<u8> = Vec::new();
    let mut rest = text;
    let mut encoded = false;
    while let Some(at) = rest.find("=?") {
        let parts: Vec<&str> = rest[at + 2..].splitn(3, '?').collect();
        let end = parts.get(2).and_then(|t| t.find("?="));
        let (Some(kind), Some(tail), Some(end)) = (parts.get(1), parts.get(2), end) else { break };
        // White space between two encoded words is none.
        if !(encoded && rest[..at].trim().is_empty()) {
            out.extend(rest[..at].bytes());
        }
        let word = &tail[..end];
        if kind.eq_ignore_ascii_case("q") {
            out.extend(quoted(word.replace('_', " ").as_bytes()));
        } else {
            out.extend(base64(word));
        }
        encoded = true;
        rest = &tail[end + 2..];
    }
    out.extend(rest.bytes());
    bytes::text(&out)
}

fn quoted(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let hex = text.get(at + 1..at + 3).and_then(|h| std::str::from_utf8(h).ok());
        match (text[at], hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'=', Some(b)) => {
                out.push(b);
                at += 3;
            }
            (b'=', None) if text[at + 1..].starts_with(b"\n") => at += 2,
            (b, _) => {
                out.push(b);
                at += 1;
            }
        }
    }
    out
}

fn base64(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for b in text.bytes() {
        let value = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

/// The mails of a mailbox. A text without the line `From ` is one mail.
pub(crate) fn split(text: &[u8]) -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = Vec::new();
    for line in bytes::lines(text) {
        let begins = line.starts_with(b"From ") && line.contains(&b':');
        if begins || out.is_empty() {
            out.push(Vec::new());
        }
        if let Some(mail) = out.last_mut() {
            mail.extend_from_slice(line);
        }
    }
    out
}

/// Whether a text begins as a mail or a mailbox does.
pub(crate) fn is_mail(text: &[u8]) -> bool {
    let first = bytes::lines(text).find(|l| !l.trim_ascii().is_empty()).unwrap_or(b"");
    let header = first.split(|b| *b == b':').next().unwrap_or(b"");
    first.starts_with(b"From ")
        || (header.len() < first.len()
            && !header.is_empty()
            && header.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-'))
}

/// Reads a mail. `keep`: the subject keeps what is in brackets.
pub(crate) fn parse(text: &[u8], keep: bool) -> Mail {
    let mut mail = Mail::default();
    let lines: Vec<&[u8]> = bytes::lines(text).collect();
    let mut at = 0;
    let mut headers: Vec<String> = Vec::new();
    while let Some(line) = lines.get(at) {
        at += 1;
        let line = bytes::text(line.strip_suffix(b"\n").unwrap_or(line));
        if line.trim().is_empty() {
            break;
        }
        match headers.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => {
                *last += " ";
                *last += line.trim_start();
            }
            _ => headers.push(line),
        }
    }
    let mut transfer = String::new();
    for header in &headers {
        let Some((key, value)) = header.split_once(':') else { continue };
        let value = value.trim();
        match key.to_ascii_lowercase().as_str() {
            "from" => (mail.name, mail.email) = sender(&decode(value)),
            "date" => mail.date = value.to_owned(),
            "subject" => mail.subject = if keep { decode(value) } else { subject(&decode(value)) },
            "content-transfer-encoding" => transfer = value.to_ascii_lowercase(),
            _ => {}
        }
    }
    let rest = lines[at.min(lines.len())..].concat();
    let rest = match transfer.as_str() {
        "quoted-printable" => quoted(&rest),
        "base64" => base64(&bytes::text(&rest)),
        _ => rest,
    };
    let mut body = Vec::new();
    let mut lines = bytes::lines(&rest).peekable();
    // Headers in the body speak for the author of the patch.
    while let Some(line) = lines.peek() {
        let line = bytes::text(line);
        match line.split_once(':') {
            Some(("From", value)) => (mail.name, mail.email) = sender(&decode(value.trim())),
            Some(("Date", value)) => mail.date = value.trim().to_owned(),
            Some(("Subject", value)) => mail.subject = value.trim().to_owned(),
            _ if line.trim().is_empty() => {}
            _ => break,
        }
        lines.next();
    }
    while let Some(line) = lines.peek() {
        let dashes = line.strip_prefix(b"---").is_some_and(|r| r.is_empty() || r[0].is_ascii_whitespace());
        if dashes || line.starts_with(b"diff -") || line.starts_with(b"Index: ") {
            break;
        }
        body.extend_from_slice(line);
        lines.next();
    }
    mail.body = bytes::text(&body);
    mail.patch = lines.collect::<Vec<_>>().concat();
    mail
}

fn sender(text: &str) -> (String, String) {
    match text.split_once('<') {
        Some((name, rest)) => {
            let name = name.trim().trim_matches('"').replace("\\\"", "\"");
            (name, rest.split('>').next().unwrap_or("").to_owned())
        }
        None => (text.to_owned(), text.to_owned()),
    }
}

/// The subject without `Re:` and what is in brackets before it.
fn subject(text: &str) -> String {
    let mut rest = text.trim_start();
    loop {
        if let Some(after) = rest.strip_prefix("Re:").or_else(|| rest.strip_prefix("re:")) {
            rest = after.trim_start();
        } else if let Some(end) = rest.strip_prefix('[').and_then(|r| r.find(']')) {
            rest = rest[end + 2..].trim_start();
        } else {
            return rest.to_owned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_not_ascii_come_back() {
        let text = encode("Gr\u{fc}\u{df}e", 17, false);
        assert_eq!(text, "=?UTF-8?q?Gr=C3=BC=C3=9Fe?=");
        assert_eq!(decode(&text), "Gr\u{fc}\u{df}e");
        assert_eq!(subject("Re: [PATCH 1/2] [x] a b"), "a b");
    }
}
