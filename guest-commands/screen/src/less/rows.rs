//! A line of text as rows of the screen: wrapped or cut, with colours, matches in reverse, and its number.

use super::options::Options;
use crate::text;
use regex::Regex;

/// The most rows that one line takes.
const MOST: usize = 1 << 16;

/// A piece of a line: a sequence that takes no room, or a character and how it is set off.
enum Piece {
    Sequence(String),
    Char(char, Style),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Bold,
    Underlined,
}

fn pieces(line: &str, raw: bool) -> Vec<Piece> {
    let chars: Vec<char> = line.chars().collect();
    let mut out = Vec::with_capacity(chars.len());
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        if raw && c == '\x1b' && chars.get(i + 1) == Some(&'[') {
            let end =
                chars[i + 2..].iter().take(64).position(|c| !c.is_ascii_digit() && !matches!(c, ';' | ':'));
            if let Some(end) = end.map(|e| i + 2 + e)
                && matches!(chars[end], 'm' | 'K')
            {
                if chars[end] == 'm' {
                    out.push(Piece::Sequence(chars[i..=end].iter().collect()));
                }
                i = end + 1;
                continue;
            }
        }
        // Overstriking, as manual pages use it.
        if chars.get(i + 1) == Some(&'\x08') && i + 2 < chars.len() && c != '\x08' {
            let over = chars[i + 2];
            let (c, style) = match (c, over) {
                ('_', o) if o != '_' => (o, Style::Underlined),
                (c, '_') => (c, Style::Underlined),
                (_, o) => (o, Style::Bold),
            };
            out.push(Piece::Char(c, style));
            i += 3;
            continue;
        }
        out.push(Piece::Char(c, Style::Plain));
        i += 1;
    }
    out
}

fn decoded(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    text::decode(line)
}

/// The text of a line as it is searched: no colours, no overstriking.
pub(super) fn plain(line: &[u8]) -> String {
    let text = decoded(line);
    if !text.contains(['\x1b', '\x08']) {
        return text;
    }
    let only = |p| if let Piece::Char(c, _) = p { Some(c) } else { None };
    pieces(&text, true).into_iter().filter_map(only).collect()
}

/// How wide a row with sequences is.
pub(super) fn width(row: &str) -> usize {
    pieces(row, true).iter().map(|p| if let Piece::Char(c, _) = p { text::width(*c, 0, 8) } else { 0 }).sum()
}

/// The rows of a line, at least one.
pub(super) fn of(
    line: &[u8],
    o: &Options,
    cols: usize,
    shift: usize,
    number: Option<u64>,
    pattern: Option<&Regex>,
) -> Vec<String> {
    let text = decoded(line);
    let pieces = pieces(&text, o.raw);
    let matches: Vec<(usize, usize)> = pattern.map_or_else(Vec::new, |p| {
        let plain = plain(line);
        let spans = p.find_iter(&plain).filter(|m| !m.is_empty()).take(10_000);
        let (mut byte, mut count) = (0, 0);
        let mut place = |at: usize| {
            count += plain[byte..at].chars().count();
            byte = at;
            count
        };
        spans.map(|m| (place(m.start()), place(m.end()))).collect()
    });
    let prefix = number.map_or(String::new(), |n| format!("\x1b[1m{n:>7}\x1b[0m "));
    let indent = if number.is_some() { 8 } else { 0 };
    let room = cols.saturating_sub(indent).max(1);
    let mut rows = vec![prefix];
    let (mut column, mut used) = (0, 0);
    let (mut index, mut ahead) = (0, 0);
    let mut colours = String::new();
    let mut reversed = false;
    for piece in pieces {
        let (c, style) = match piece {
            Piece::Sequence(s) => {
                if let Some(row) = rows.last_mut() {
                    row.push_str(&s);
                }
                colours = if matches!(&*s, "\x1b[m" | "\x1b[0m") { String::new() } else { colours + &s };
                colours.truncate(256);
                continue;
            }
            Piece::Char(c, style) => (c, style),
        };
        let width = text::width(c, column, o.tab);
        while matches.get(ahead).is_some_and(|(_, to)| *to <= index) {
            ahead += 1;
        }
        let inside = matches.get(ahead).is_some_and(|(from, _)| *from <= index);
        index += 1;
        if o.chop || shift > 0 {
            if column < shift {
                column += width;
                continue;
            }
            if used + width > room {
                break;
            }
        } else if used + width > room && used > 0 {
            if reversed && let Some(row) = rows.last_mut() {
                row.push_str("\x1b[27m");
            }
            reversed = false;
            if rows.len() >= MOST {
                break;
            }
            rows.push(format!("{}{colours}", " ".repeat(indent)));
            used = 0;
        }
        let Some(row) = rows.last_mut() else { break };
        if inside != reversed {
            row.push_str(if inside { "\x1b[7m" } else { "\x1b[27m" });
            reversed = inside;
        }
        match style {
            Style::Plain if text::shown(c).is_some() && c != '\t' && !inside => {
                row.push_str("\x1b[7m");
                text::push(row, c, column, o.tab);
                row.push_str("\x1b[27m");
            }
            Style::Plain => text::push(row, c, column, o.tab),
            Style::Bold => {
                row.push_str("\x1b[1m");
                text::push(row, c, column, o.tab);
                row.push_str("\x1b[22m");
            }
            Style::Underlined => {
                row.push_str("\x1b[4m");
                text::push(row, c, column, o.tab);
                row.push_str("\x1b[24m");
            }
        }
        column += width;
        used += width;
    }
    if let Some(row) = rows.last_mut() {
        if reversed {
            row.push_str("\x1b[27m");
        }
        if row.contains('\x1b') {
            row.push_str("\x1b[0m");
        }
    }
    rows
}
