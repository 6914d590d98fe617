//! What terminals can do: a table of common ones, and the small language of its strings with parameters. It writes nothing.
//!
//! The table is text as `infocmp` shows it; only the entry that is asked for is read.

const TABLE: &str = include_str!("terminfo.txt");
/// The most that a string with parameters becomes.
const MOST: usize = 64 << 10;

/// What a terminal says of a capability.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Flag(bool),
    Number(i64),
    Text(Vec<u8>),
    /// Other terminals have it.
    Absent,
}

/// A terminal of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    names: &'static str,
    body: &'static str,
}

impl Terminal {
    /// The terminal of this name.
    pub(crate) fn find(name: &str) -> Option<Terminal> {
        let mut rest = TABLE;
        while !rest.is_empty() {
            let (head, after) = rest.split_once('\n')?;
            let names = head.trim_end_matches(',');
            let end = if after.starts_with('\t') {
                after.match_indices('\n').map(|(i, _)| i + 1).find(|i| !after[*i..].starts_with('\t'))
            } else {
                Some(0)
            };
            let (body, next) = after.split_at(end.unwrap_or(after.len()));
            let last = names.rfind('|').unwrap_or(0);
            if names[..last].split('|').any(|n| n == name) {
                return Some(Terminal { names, body });
            }
            rest = next;
        }
        // Kinds of the same terminal that differ in nothing that is asked here.
        let alike = match name {
            "xterm-kitty" | "alacritty" | "foot" | "xterm-ghostty" | "wezterm" => "xterm-256color",
            "screen.xterm-256color" => "screen-256color",
            _ => return None,
        };
        Terminal::find(alike)
    }

    /// The name in words.
    pub(crate) fn long_name(self) -> &'static str {
        self.names.rsplit('|').next().unwrap_or("")
    }

    fn own(self, name: &str) -> Option<Value> {
        capability(self.body, name)
    }

    /// The string of this name, if it has one.
    pub(crate) fn text(self, name: &str) -> Option<Vec<u8>> {
        match self.own(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// What it says of a capability; `None`: no terminal has one of that name.
    pub(crate) fn get(self, name: &str) -> Option<Value> {
        // What is of one terminal only is unknown to the others.
        let of_any = || capability(TABLE, name).filter(|_| name != "E3");
        self.own(name).or_else(|| match of_any() {
            Some(Value::Flag(_)) => Some(Value::Flag(false)),
            Some(Value::Number(_)) => Some(Value::Number(-1)),
            Some(_) => Some(Value::Absent),
            None => {
                const FLAGS: [&str; 14] = [
                    "bw", "chts", "da", "db", "eo", "eslok", "gn", "hc", "hs", "hz", "in", "nxon", "ul",
                    "xhp",
                ];
                const NUMBERS: [&str; 6] = ["xmc", "wsl", "vt", "pb", "lm", "ncv"];
                if FLAGS.contains(&name) {
                    Some(Value::Flag(false))
                } else if NUMBERS.contains(&name) {
                    Some(Value::Number(-1))
                } else {
                    None
                }
            }
        })
    }
}

fn capability(body: &str, name: &str) -> Option<Value> {
    let fields = body.lines().filter_map(|l| l.strip_prefix('\t')).map(|l| l.strip_suffix(',').unwrap_or(l));
    for field in fields {
        let Some(rest) = field.strip_prefix(name) else { continue };
        match rest.as_bytes().first() {
            None => return Some(Value::Flag(true)),
            Some(b'#') => {
                let digits = &rest[1..];
                let hex = digits.strip_prefix("0x").and_then(|h| i64::from_str_radix(h, 16).ok());
                return Some(Value::Number(hex.or_else(|| digits.parse().ok()).unwrap_or(-1)));
            }
            Some(b'=') => return Some(Value::Text(unescape(&rest[1..]))),
            Some(_) => {}
        }
    }
    None
}

/// A string without its escapes and pauses: nobody pads any more.
fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let next = bytes.get(i + 1).copied();
        match (bytes[i], next) {
            (b'\\', Some(c)) => {
                i += 1;
                match c {
                    b'E' | b'e' => out.push(0x1b),
                    b'n' | b'l' => out.push(b'\n'),
                    b'r' => out.push(b'\r'),
                    b't' => out.push(b'\t'),
                    b'b' => out.push(8),
                    b'f' => out.push(12),
                    b's' => out.push(b' '),
                    b'0'..=b'7' => {
                        let digits =
                            bytes[i..].iter().take(3).take_while(|b| matches!(b, b'0'..=b'7')).count();
                        let n = bytes[i..i + digits].iter().fold(0u32, |n, b| n * 8 + u32::from(b - b'0'));
                        // A zero byte would end the string: it is written so.
                        out.push(if n == 0 { 0x80 } else { n as u8 });
                        i += digits - 1;
                    }
                    c => out.push(c),
                }
            }
            (b'^', Some(c)) => {
                i += 1;
                out.push(if c == b'?' { 0x7f } else { c & 0x1f });
            }
            (b'$', Some(b'<')) => match text[i..].find('>') {
                Some(end) => i += end,
                None => out.push(b'$'),
            },
            (c, _) => out.push(c),
        }
        i += 1;
    }
    out
}

/// How many parameters a string takes.
pub(crate) fn parameters(text: &[u8]) -> usize {
    let numbers = text.windows(3).filter(|w| w[0] == b'%' && w[1] == b'p').map(|w| w[2]);
    numbers.filter(u8::is_ascii_digit).map(|d| usize::from(d - b'0')).max().unwrap_or(0)
}

/// Puts parameters into a string: the stack machine of terminfo(5).
pub(crate) fn expand(text: &[u8], given: &[i64]) -> Vec<u8> {
    let mut p = [0i64; 9];
    for (slot, value) in p.iter_mut().zip(given) {
        *slot = *value;
    }
    let mut variables = [0i64; 128];
    let (mut stack, mut out): (Vec<i64>, Vec<u8>) = (Vec::new(), Vec::new());
    let mut i = 0;
    while i < text.len() && out.len() < MOST && stack.len() < 1024 {
        if text[i] != b'%' || i + 1 >= text.len() {
            out.push(text[i]);
            i += 1;
            continue;
        }
        i += 1;
        let op = text[i];
        i += 1;
        match op {
            b'%' => out.push(b'%'),
            b'i' => (p[0], p[1]) = (p[0].saturating_add(1), p[1].saturating_add(1)),
            b'p' => {
                let n = text.get(i).map_or(0, |d| usize::from(d.wrapping_sub(b'1')));
                stack.push(p.get(n).copied().unwrap_or(0));
                i += 1;
            }
            b'c' => out.push(stack.pop().unwrap_or(0) as u8),
            b'\'' => {
                stack.push(text.get(i).copied().unwrap_or(0).into());
                i += 2;
            }
            b'{' => {
                let length = text[i..].iter().position(|b| *b == b'}').unwrap_or(text.len() - i);
                let digits = String::from_utf8_lossy(&text[i..i + length]).into_owned();
                stack.push(digits.parse().unwrap_or(0));
                i += length + 1;
            }
            b'P' => {
                if let Some(slot) = text.get(i).and_then(|n| variables.get_mut(usize::from(*n))) {
                    *slot = stack.pop().unwrap_or(0);
                }
                i += 1;
            }
            b'g' => {
                stack.push(text.get(i).and_then(|n| variables.get(usize::from(*n))).copied().unwrap_or(0));
                i += 1;
            }
            b'+' | b'-' | b'*' | b'/' | b'm' | b'&' | b'|' | b'^' | b'=' | b'<' | b'>' | b'A' | b'O' => {
                let (b, a) = (stack.pop().unwrap_or(0), stack.pop().unwrap_or(0));
                stack.push(binary(op, a, b));
            }
            b'!' => {
                let a = stack.pop().unwrap_or(0);
                stack.push(i64::from(a == 0));
            }
            b'~' => {
                let a = stack.pop().unwrap_or(0);
                stack.push(!a);
            }
            b'?' | b';' => {}
            // The condition does not hold: on to the other case, or behind all of them.
            b't' if stack.pop().unwrap_or(0) != 0 => {}
            b't' => i = skip(text, i, true),
            b'e' => i = skip(text, i, false),
            _ => {
                let length = text[i - 1..].iter().position(u8::is_ascii_alphabetic).unwrap_or(0);
                let form = &text[i - 1..i - 1 + length];
                i += length;
                format(form, text.get(i - 1).copied().unwrap_or(b'd'), stack.pop().unwrap_or(0), &mut out);
            }
        }
    }
    out
}

fn binary(op: u8, a: i64, b: i64) -> i64 {
    match op {
        b'+' => a.wrapping_add(b),
        b'-' => a.wrapping_sub(b),
        b'*' => a.wrapping_mul(b),
        b'/' => a.checked_div(b).unwrap_or(0),
        b'm' => a.checked_rem(b).unwrap_or(0),
        b'&' => a & b,
        b'|' => a | b,
        b'^' => a ^ b,
        b'=' => i64::from(a == b),
        b'<' => i64::from(a < b),
        b'>' => i64::from(a > b),
        b'A' => i64::from(a != 0 && b != 0),
        _ => i64::from(a != 0 || b != 0),
    }
}

/// Behind the `%e` (if it may be one) or the `%;` that ends this part of a condition.
fn skip(text: &[u8], mut i: usize, may_be_else: bool) -> usize {
    let mut depth = 0;
    while i + 1 < text.len() {
        if text[i] == b'%' {
            match text[i + 1] {
                b'?' => depth += 1,
                b';' if depth == 0 => return i + 2,
                b';' => depth -= 1,
                b'e' if depth == 0 && may_be_else => return i + 2,
                _ => {}
            }
            i += 1;
        }
        i += 1;
    }
    text.len()
}

/// A number as printf(3) would show it; flags are few: a width, zeros, a precision.
fn format(form: &[u8], letter: u8, value: i64, out: &mut Vec<u8>) {
    let form = String::from_utf8_lossy(form).into_owned();
    let (width, precision) = form.trim_start_matches([':', '-', '+', '#', ' ']).split_once('.').map_or_else(
        || (form.trim_start_matches(':').to_owned(), String::new()),
        |(w, p)| (w.to_owned(), p.to_owned()),
    );
    let digits = match letter {
        b'x' => format!("{value:x}"),
        b'X' => format!("{value:X}"),
        b'o' => format!("{value:o}"),
        _ => value.to_string(),
    };
    let precision = precision.parse().unwrap_or(0usize).min(64);
    let digits = format!("{digits:0>precision$}");
    let zeros = width.starts_with('0');
    let width = width.parse().unwrap_or(0usize).min(64);
    let text = if zeros { format!("{digits:0>width$}") } else { format!("{digits:>width$}") };
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn names() -> HashSet<&'static str> {
        TABLE.lines().filter(|l| !l.starts_with('\t')).flat_map(|l| l.split('|').rev().skip(1)).collect()
    }

    #[test]
    fn every_terminal_is_found() {
        assert!(names().len() > 12);
        for name in names() {
            assert!(Terminal::find(name).is_some(), "{name}");
        }
        assert!(Terminal::find("VT 100").is_none());
        assert!(Terminal::find("").is_none());
    }

    #[test]
    fn parameters_are_put_in() {
        let t = Terminal::find("xterm-256color").unwrap();
        for (name, given, wanted) in [
            ("setaf", &[3][..], "\x1b[33m"),
            ("setaf", &[12], "\x1b[94m"),
            ("setaf", &[200], "\x1b[38;5;200m"),
            ("cup", &[2, 5], "\x1b[3;6H"),
            ("sgr", &[0, 0, 0, 0, 0, 1, 0, 0, 0], "\x1b(B\x1b[0;1m"),
        ] {
            assert_eq!(String::from_utf8_lossy(&expand(&t.text(name).unwrap(), given)), wanted, "{name}");
        }
        assert_eq!(parameters(&t.text("cup").unwrap()), 2);
        assert_eq!(t.get("nosuch"), None);
        assert_eq!(t.get("xenl"), Some(Value::Flag(true)));
    }

    #[test]
    fn any_string_ends() {
        for text in
            ["%", "%p", "%{", "%'", "%?%t", "%e", "%9", "%P", "%g\u{ff}", "%:-", "%p9%99999999999999999999d"]
        {
            assert!(expand(text.as_bytes(), &[1]).len() < 100, "{text}");
        }
    }
}
