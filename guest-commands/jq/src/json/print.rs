//! Prints values as jq does: compact or indented, in colours, with sorted keys, in ASCII. It reads nothing.

use super::number;
use crate::value::{Map, Value, sorted_keys};

/// Deeper values are not printed, as jq says itself at its own limit.
const MAX_DEPTH: usize = 2000;

/// The way that values are printed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Style {
    /// What one level is indented by; none for one line.
    pub(crate) indent: Option<Vec<u8>>,
    pub(crate) sort: bool,
    pub(crate) ascii: bool,
    pub(crate) colors: Option<Box<Colors>>,
}

/// The escape sequences of null, false, true, numbers, strings, arrays, objects and keys.
#[derive(Clone, Debug)]
pub(crate) struct Colors(pub(crate) [Vec<u8>; 8]);

impl Default for Colors {
    fn default() -> Self {
        Colors(["1;30", "0;39", "0;39", "0;39", "0;32", "1;39", "1;39", "34;1"].map(escape))
    }
}

fn escape(code: &str) -> Vec<u8> {
    format!("\x1b[{code}m").into_bytes()
}

impl Colors {
    /// The colours that `JQ_COLORS` asks for; none if it is not well formed.
    pub(crate) fn set(&mut self, text: &str) -> bool {
        if !text.bytes().all(|b| b.is_ascii_digit() || b == b';' || b == b':') {
            return false;
        }
        for (slot, code) in self.0.iter_mut().zip(text.split(':')) {
            *slot = escape(code);
        }
        true
    }

    fn of(&self, value: &Value) -> &[u8] {
        &self.0[match value {
            Value::Null => 0,
            Value::Bool(false) => 1,
            Value::Bool(true) => 2,
            Value::Num(_) => 3,
            Value::Str(_) => 4,
            Value::Arr(_) => 5,
            Value::Obj(_) => 6,
        }]
    }
}

const RESET: &[u8] = b"\x1b[0m";

/// Appends `value` to `out`.
pub(crate) fn print(out: &mut Vec<u8>, value: &Value, style: &Style) {
    match &style.colors {
        None => plain(out, value, style, 0),
        Some(colors) => colored(out, value, style, colors, 0),
    }
}

/// The value on one line, as `tojson` gives it.
pub(crate) fn compact(value: &Value) -> String {
    let mut out = Vec::new();
    plain(&mut out, value, &Style::default(), 0);
    String::from_utf8(out).unwrap_or_default()
}

fn newline(out: &mut Vec<u8>, style: &Style, depth: usize) {
    if let Some(indent) = &style.indent {
        out.push(b'\n');
        for _ in 0..depth {
            out.extend_from_slice(indent);
        }
    }
}

fn scalar(out: &mut Vec<u8>, value: &Value, style: &Style) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Num(n) => number::print(out, *n),
        Value::Str(s) => string(out, s, style.ascii),
        Value::Arr(_) => out.extend_from_slice(b"[]"),
        Value::Obj(_) => out.extend_from_slice(b"{}"),
    }
}

fn members<'a>(map: &'a Map, style: &Style, mut each: impl FnMut(usize, &'a str, &'a Value)) {
    if style.sort {
        for (i, key) in sorted_keys(map).into_iter().enumerate() {
            if let Some(value) = map.get(key) {
                each(i, key, value);
            }
        }
    } else {
        for (i, (key, value)) in map.iter().enumerate() {
            each(i, key, value);
        }
    }
}

fn plain(out: &mut Vec<u8>, value: &Value, style: &Style, depth: usize) {
    if depth > MAX_DEPTH {
        out.extend_from_slice(b"<skipped: too deep>");
        return;
    }
    match value {
        Value::Arr(list) if !list.is_empty() => {
            out.push(b'[');
            for (i, item) in list.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                newline(out, style, depth + 1);
                plain(out, item, style, depth + 1);
            }
            newline(out, style, depth);
            out.push(b']');
        }
        Value::Obj(map) if !map.is_empty() => {
            out.push(b'{');
            members(map, style, |i, key, item| {
                if i > 0 {
                    out.push(b',');
                }
                newline(out, style, depth + 1);
                string(out, key, style.ascii);
                out.push(b':');
                if style.indent.is_some() {
                    out.push(b' ');
                }
                plain(out, item, style, depth + 1);
            });
            newline(out, style, depth);
            out.push(b'}');
        }
        _ => scalar(out, value, style),
    }
}

/// jq 1.6 repeats and resets colours in its own way; a byte for byte equal output keeps recorded results comparable.
fn colored(out: &mut Vec<u8>, value: &Value, style: &Style, colors: &Colors, depth: usize) {
    let color = colors.of(value);
    out.extend_from_slice(color);
    if depth > MAX_DEPTH {
        out.extend_from_slice(b"<skipped: too deep>");
        out.extend_from_slice(RESET);
        return;
    }
    match value {
        Value::Arr(list) if !list.is_empty() => {
            out.push(b'[');
            for (i, item) in list.iter().enumerate() {
                if i > 0 {
                    out.extend_from_slice(color);
                    out.push(b',');
                }
                newline(out, style, depth + 1);
                colored(out, item, style, colors, depth + 1);
            }
            out.extend_from_slice(color);
            newline(out, style, depth);
            out.extend_from_slice(color);
            out.push(b']');
        }
        Value::Obj(map) if !map.is_empty() => {
            out.push(b'{');
            members(map, style, |i, key, item| {
                if i > 0 {
                    out.extend_from_slice(color);
                    out.push(b',');
                }
                newline(out, style, depth + 1);
                out.extend_from_slice(RESET);
                out.extend_from_slice(&colors.0[7]);
                string(out, key, style.ascii);
                out.extend_from_slice(RESET);
                out.extend_from_slice(color);
                out.push(b':');
                if style.indent.is_some() {
                    out.push(b' ');
                }
                out.extend_from_slice(RESET);
                colored(out, item, style, colors, depth + 1);
            });
            out.extend_from_slice(color);
            newline(out, style, depth);
            out.extend_from_slice(color);
            out.push(b'}');
        }
        _ => scalar(out, value, style),
    }
    out.extend_from_slice(RESET);
}

/// Appends a string with its quotes.
fn string(out: &mut Vec<u8>, text: &str, ascii: bool) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let unicode = |out: &mut Vec<u8>, unit: u16| {
        out.extend_from_slice(b"\\u");
        for shift in [12, 8, 4, 0] {
            out.push(HEX[usize::from((unit >> shift) & 15)]);
        }
    };
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut done = 0;
    for (i, &b) in bytes.iter().enumerate() {
        if (b >= 0x20 && b != b'"' && b != b'\\' && b < 0x7f) || (b > 0x7f && !ascii) {
            continue;
        }
        if i < done {
            continue;
        }
        out.extend_from_slice(&bytes[done..i]);
        done = i + 1;
        match b {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\r' => out.extend_from_slice(b"\\r"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            0x80.. => {
                if let Some(c) = text[i..].chars().next() {
                    let mut units = [0; 2];
                    for unit in c.encode_utf16(&mut units) {
                        unicode(out, *unit);
                    }
                    done = i + c.len_utf8();
                }
            }
            _ => unicode(out, u16::from(b)),
        }
    }
    out.extend_from_slice(&bytes[done..]);
    out.push(b'"');
}
