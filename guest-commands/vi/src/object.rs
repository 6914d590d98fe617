//! Text objects: the part of the text around a place. They change nothing.

use crate::buffer::{Buffer, Place, place};
use crate::chars::{self, class};
use crate::motion::{char_at, closing, enclosing};

/// A text object: from its first place to its end, which is not inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) start: Place,
    pub(crate) end: Place,
    pub(crate) lines: bool,
}

fn within(line: usize, from: usize, to: usize) -> Option<Object> {
    Some(Object { start: place(line, from), end: place(line, to), lines: false })
}

/// The object `kind` at a place, `count` times as large.
pub(crate) fn object(b: &Buffer, at: Place, around: bool, kind: char, count: usize) -> Option<Object> {
    match kind {
        'w' | 'W' => words(b, at, around, kind == 'W', count),
        '"' | '\'' | '`' => quoted(b, at, around, kind as u8),
        '(' | ')' | 'b' => bracketed(b, at, around, b'(', b')', count),
        '[' | ']' => bracketed(b, at, around, b'[', b']', count),
        '{' | '}' | 'B' => bracketed(b, at, around, b'{', b'}', count),
        '<' | '>' => bracketed(b, at, around, b'<', b'>', count),
        'p' => paragraphs(b, at, around, count),
        's' => sentence(b, at, around, count),
        _ => None,
    }
}

fn words(b: &Buffer, at: Place, around: bool, big: bool, count: usize) -> Option<Object> {
    let line = b.line(at.line);
    if line.is_empty() {
        return within(at.line, 0, 0);
    }
    let kind = |col: usize| class(char_at(b, place(at.line, col)), big);
    let run = |mut to: usize| {
        let here = kind(to);
        while to < line.len() && kind(to) == here {
            to = chars::next(line, to);
        }
        to
    };
    let (mut from, mut to) = (at.col, at.col);
    while from > 0 && kind(chars::previous(line, from)) == kind(at.col) {
        from = chars::previous(line, from);
    }
    for turn in 0..count.min(line.len()) {
        if turn > 0 && to >= line.len() {
            break;
        }
        let blank = kind(to) == 0;
        to = run(to);
        if !around {
            continue;
        }
        if blank {
            if to < line.len() {
                to = run(to);
            }
        } else if to < line.len() && kind(to) == 0 {
            to = run(to);
        } else if turn == 0 {
            // Without blanks behind, those before it.
            let mut start = from;
            while start > 0 && kind(chars::previous(line, start)) == 0 {
                start = chars::previous(line, start);
            }
            // The indent of a line is not taken.
            if start > 0 {
                from = start;
            }
        }
    }
    within(at.line, from, to)
}

fn quoted(b: &Buffer, at: Place, around: bool, quote: u8) -> Option<Object> {
    let line = b.line(at.line);
    let mut marks = Vec::new();
    let mut i = 0;
    while i < line.len() {
        match line[i] {
            b'\\' => i += 1,
            c if c == quote => marks.push(i),
            _ => {}
        }
        i += 1;
    }
    let pair = marks.chunks_exact(2).find(|p| p[1] >= at.col)?;
    let (mut from, mut to) = (pair[0] + 1, pair[1]);
    if around {
        (from, to) = (pair[0], pair[1] + 1);
        let blank = |i: usize| line.get(i).is_some_and(|c| matches!(c, b' ' | b'\t'));
        if blank(to) {
            while blank(to) {
                to += 1;
            }
        } else {
            while from > 0 && blank(from - 1) {
                from -= 1;
            }
        }
    }
    within(at.line, from, to)
}

fn bracketed(b: &Buffer, at: Place, around: bool, open: u8, close: u8, count: usize) -> Option<Object> {
    let here = b.line(at.line).get(at.col) == Some(&open);
    // Outside of all the next one is meant.
    let next = || {
        (at.line..b.len()).find_map(|line| {
            let from = if line == at.line { at.col } else { 0 };
            let bytes = b.line(line);
            (from..bytes.len()).find(|i| bytes[*i] == open).map(|col| place(line, col))
        })
    };
    let mut start = if here { at } else { enclosing(b, at, open, close).or_else(next)? };
    for _ in 1..count.min(1000) {
        start = enclosing(b, start, open, close)?;
    }
    let stop = closing(b, start, open, close)?;
    if around {
        return Some(Object { start, end: place(stop.line, stop.col + 1), lines: false });
    }
    let mut from = place(start.line, start.col + 1);
    let mut end = stop;
    let mut lines = false;
    // Brackets at the ends of their lines hold whole lines between them.
    if start.line < stop.line && from.col >= b.line(start.line).len() {
        from = place(start.line + 1, 0);
        let before = &b.line(stop.line)[..stop.col];
        if before.iter().all(|c| matches!(c, b' ' | b'\t')) && stop.line > start.line {
            if stop.line == start.line + 1 {
                return Some(Object { start: from, end: from, lines: false });
            }
            lines = true;
            end = place(stop.line - 1, b.line(stop.line - 1).len());
        }
    }
    Some(Object { start: from, end, lines })
}

fn paragraphs(b: &Buffer, at: Place, around: bool, count: usize) -> Option<Object> {
    let blank = |l: usize| b.line(l).iter().all(|c| matches!(c, b' ' | b'\t'));
    let (mut from, mut to) = (at.line, at.line);
    while from > 0 && blank(from - 1) == blank(at.line) {
        from -= 1;
    }
    let extend = |mut to: usize| {
        let kind = blank(to);
        while to < b.last() && blank(to + 1) == kind {
            to += 1;
        }
        to
    };
    for turn in 0..count {
        if turn > 0 {
            if to >= b.last() {
                return None;
            }
            to += 1;
        }
        to = extend(to);
        if around {
            if to < b.last() {
                to = extend(to + 1);
            } else if !blank(to) {
                while turn == 0 && from > 0 && blank(from - 1) {
                    from -= 1;
                }
            } else {
                return None;
            }
        }
    }
    Some(Object { start: place(from, 0), end: place(to, b.line(to).len()), lines: true })
}

/// A sentence; with a count, the blanks between sentences count as `is` sees them.
fn sentence(b: &Buffer, at: Place, around: bool, count: usize) -> Option<Object> {
    let after = place(at.line, chars::next(b.line(at.line), at.col));
    let start = crate::motion::sentence(b, after, false).unwrap_or_default();
    let many = if around { count } else { count.div_ceil(2) };
    let mut end = start;
    for _ in 0..many {
        end = crate::motion::sentence(b, end, true)?;
    }
    let line = b.line(end.line);
    if end.line > start.line && end.col == 0 {
        let lines = b.line(start.line)[..start.col].iter().all(|c| matches!(c, b' ' | b'\t'));
        return Some(Object { start, end: place(end.line - 1, b.line(end.line - 1).len()), lines });
    }
    if end.line == b.last() && chars::next(line, end.col) >= line.len() {
        end.col = line.len();
    }
    if !around && count % 2 == 1 && end.line == start.line {
        let text = &b.line(end.line)[start.col..end.col];
        end.col = start.col + text.trim_ascii_end().len();
    }
    Some(Object { start, end, lines: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_what_stands_around() {
        // The cursor is at `|`.
        for (text, what, want) in [
            ("foo b|ar baz", "iw", "bar"),
            ("foo b|ar baz", "aw", "bar "),
            ("foo b|ar", "aw", " bar"),
            ("foo b|ar.baz x", "aW", "bar.baz "),
            ("foo|   bar", "iw", "   "),
            ("say \"he|llo\" x", "i\"", "hello"),
            ("say \"he|llo\" x", "a\"", "\"hello\" "),
            ("|say 'hello'", "i'", "hello"),
            ("f(a, (b|), c)", "i(", "b"),
            ("f(a|, (b), c)", "ib", "a, (b), c"),
            ("f(a|, (b), c)", "a)", "(a, (b), c)"),
            ("x{\n a|b\n}", "iB", " ab"),
            ("x[|]", "i[", ""),
            ("a\nb|\n\nc", "ip", "a\nb"),
            ("a\nb|\n\nc", "ap", "a\nb\n"),
            ("<a|>", "i<", "a"),
            ("One. Tw|o. Three.", "is", "Two."),
            ("One. Tw|o. Three.", "as", "Two. "),
        ] {
            let before = &text[..text.find('|').unwrap()];
            let at =
                place(before.matches('\n').count(), before.len() - before.rfind('\n').map_or(0, |i| i + 1));
            let b = Buffer::of(text.replace('|', "").as_bytes());
            let mut keys = what.chars();
            let around = keys.next() == Some('a');
            let found =
                object(&b, at, around, keys.next().unwrap(), 1).unwrap_or_else(|| panic!("{text} {what}"));
            let mut out = Vec::new();
            for l in found.start.line..=found.end.line {
                let from = if l == found.start.line { found.start.col } else { 0 };
                let to = if l == found.end.line { found.end.col } else { b.line(l).len() };
                out.extend_from_slice(&b.line(l)[from..to]);
                if l < found.end.line {
                    out.push(b'\n');
                }
            }
            assert_eq!(String::from_utf8(out).unwrap(), want, "{text} {what}");
        }
    }
}
