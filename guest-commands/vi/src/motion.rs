//! Where motions over the text lead: words, sentences, paragraphs, brackets, characters of a line. They change nothing.

use crate::buffer::{Buffer, Place, place};
use crate::chars::{self, class};

pub(crate) fn char_at(b: &Buffer, at: Place) -> Option<char> {
    chars::decode(b.line(at.line), at.col).map(|(c, _)| c)
}

fn kind(b: &Buffer, line: usize, col: usize, big: bool) -> u8 {
    class(char_at(b, place(line, col)), big)
}

/// The start of the next word; none at the end of the text.
pub(crate) fn word(b: &Buffer, from: Place, big: bool) -> Option<Place> {
    let Place { mut line, mut col } = from;
    let here = kind(b, line, col, big);
    let mut bytes = b.line(line);
    if here != 0 {
        while col < bytes.len() && kind(b, line, col, big) == here {
            col = chars::next(bytes, col);
        }
    }
    loop {
        while col < bytes.len() && kind(b, line, col, big) == 0 {
            col = chars::next(bytes, col);
        }
        if col < bytes.len() {
            return Some(place(line, col));
        }
        if line >= b.last() {
            return None;
        }
        line += 1;
        col = 0;
        bytes = b.line(line);
        // An empty line is a word.
        if bytes.is_empty() {
            return Some(place(line, 0));
        }
    }
}

/// The start of this word, or of the one before; none at the start of the text.
pub(crate) fn back(b: &Buffer, from: Place, big: bool) -> Option<Place> {
    let Place { mut line, mut col } = from;
    if line == 0 && col == 0 {
        return None;
    }
    loop {
        let bytes = b.line(line);
        let before = |col: usize| chars::previous(bytes, col);
        while col > 0 && kind(b, line, before(col), big) == 0 {
            col = before(col);
        }
        if col > 0 {
            let here = kind(b, line, before(col), big);
            while col > 0 && kind(b, line, before(col), big) == here {
                col = before(col);
            }
            return Some(place(line, col));
        }
        if line == 0 {
            return Some(Place::default());
        }
        line -= 1;
        col = b.line(line).len();
        if col == 0 {
            return Some(place(line, 0));
        }
    }
}

/// The end of this word, or of the next. `stay`: an end that the cursor is on counts, as for `cw`.
pub(crate) fn end(b: &Buffer, from: Place, big: bool, stay: bool) -> Option<Place> {
    let Place { mut line, mut col } = from;
    let mut bytes = b.line(line);
    if !stay {
        col = chars::next(bytes, col);
    }
    loop {
        while col < bytes.len() && kind(b, line, col, big) == 0 {
            col = chars::next(bytes, col);
        }
        if col < bytes.len() {
            let here = kind(b, line, col, big);
            loop {
                let next = chars::next(bytes, col);
                if next >= bytes.len() || kind(b, line, next, big) != here {
                    return Some(place(line, col));
                }
                col = next;
            }
        }
        if line >= b.last() {
            return None;
        }
        line += 1;
        col = 0;
        bytes = b.line(line);
    }
}

/// The end of the word before.
pub(crate) fn back_end(b: &Buffer, from: Place, big: bool) -> Option<Place> {
    let Place { mut line, mut col } = from;
    if line == 0 && col == 0 {
        return None;
    }
    let mut bytes = b.line(line);
    let here = kind(b, line, col, big);
    if here != 0 {
        while col > 0 && kind(b, line, chars::previous(bytes, col), big) == here {
            col = chars::previous(bytes, col);
        }
    }
    loop {
        while col > 0 {
            col = chars::previous(bytes, col);
            if kind(b, line, col, big) != 0 {
                return Some(place(line, col));
            }
        }
        if line == 0 {
            return Some(Place::default());
        }
        line -= 1;
        bytes = b.line(line);
        col = bytes.len();
        if col == 0 {
            return Some(place(line, 0));
        }
    }
}

/// A character of the line: `f`, `F`, `t`, `T`. `again`: a repeated `t` does not stick.
pub(crate) fn find(
    b: &Buffer,
    from: Place,
    kind: char,
    wanted: char,
    count: usize,
    again: bool,
) -> Option<Place> {
    let bytes = b.line(from.line);
    let forward = kind.is_ascii_lowercase();
    let step = |col: usize| -> Option<usize> {
        if forward {
            Some(chars::next(bytes, col)).filter(|c| *c < bytes.len())
        } else {
            (col > 0).then(|| chars::previous(bytes, col))
        }
    };
    let mut col = from.col;
    if again
        && count == 1
        && matches!(kind, 't' | 'T')
        && char_at(b, place(from.line, step(col)?)) == Some(wanted)
    {
        col = step(col)?;
    }
    for _ in 0..count {
        loop {
            col = step(col)?;
            if char_at(b, place(from.line, col)) == Some(wanted) {
                break;
            }
        }
    }
    let col = match kind {
        't' => chars::previous(bytes, col),
        'T' => chars::next(bytes, col),
        _ => col,
    };
    Some(place(from.line, col))
}

/// The first character of a line that is no blank.
pub(crate) fn first(b: &Buffer, line: usize) -> usize {
    let bytes = b.line(line);
    let found = bytes.iter().position(|c| !matches!(c, b' ' | b'\t'));
    found.unwrap_or_else(|| chars::last(bytes))
}

/// The empty line that a paragraph ends or begins with.
pub(crate) fn paragraph(b: &Buffer, from: Place, forward: bool) -> Option<Place> {
    let mut line = from.line;
    let mut seen = false;
    loop {
        if !b.line(line).is_empty() {
            seen = true;
        } else if seen {
            return Some(place(line, 0));
        }
        if forward {
            if line >= b.last() {
                let end = place(line, chars::last(b.line(line)));
                return (end > from).then_some(end);
            }
            line += 1;
        } else {
            if line == 0 {
                return (from > Place::default()).then(Place::default);
            }
            line -= 1;
        }
    }
}

/// A section: the next line that begins with `{` (or `}`).
pub(crate) fn section(b: &Buffer, from: Place, forward: bool, brace: u8) -> Place {
    let is = |l: &usize| b.line(*l).first() == Some(&brace) || b.line(*l).first() == Some(&b'\x0c');
    let found = if forward { (from.line + 1..b.len()).find(is) } else { (0..from.line).rev().find(is) };
    place(found.unwrap_or(if forward { b.last() } else { 0 }), 0)
}

/// Where sentences begin in a line.
fn sentences(b: &Buffer, line: usize) -> Vec<usize> {
    let bytes = b.line(line);
    let mut list = Vec::new();
    if bytes.is_empty() {
        // A run of empty lines is one sentence.
        if line == 0 || !b.line(line - 1).is_empty() {
            list.push(0);
        }
        return list;
    }
    let ends = |text: &[u8]| {
        let text = text.trim_ascii_end();
        let close = text.iter().rev().take_while(|c| matches!(c, b')' | b']' | b'"' | b'\'')).count();
        matches!(text[..text.len() - close].last(), Some(b'.' | b'!' | b'?'))
    };
    let indent = bytes.iter().take_while(|c| matches!(c, b' ' | b'\t')).count();
    if indent < bytes.len() && (line == 0 || b.line(line - 1).is_empty() || ends(b.line(line - 1))) {
        list.push(indent);
    }
    for i in indent + 1..bytes.len() {
        let blank = |c: u8| matches!(c, b' ' | b'\t');
        if blank(bytes[i - 1]) && !blank(bytes[i]) && ends(&bytes[..i]) {
            list.push(i);
        }
    }
    list
}

/// The start of the next or the former sentence.
pub(crate) fn sentence(b: &Buffer, from: Place, forward: bool) -> Option<Place> {
    let mut line = from.line;
    loop {
        let list = sentences(b, line);
        let found = if forward {
            list.into_iter().find(|c| line > from.line || *c > from.col)
        } else {
            list.into_iter().rfind(|c| line < from.line || *c < from.col)
        };
        if let Some(col) = found {
            return Some(place(line, col));
        }
        if forward {
            if line >= b.last() {
                let end = place(line, chars::last(b.line(line)));
                return (end > from).then_some(end);
            }
            line += 1;
        } else {
            if line == 0 {
                return (from > Place::default()).then(Place::default);
            }
            line -= 1;
        }
    }
}

const PAIRS: [(u8, u8); 3] = [(b'(', b')'), (b'[', b']'), (b'{', b'}')];

/// The bracket that belongs to the one here, or to the next of the line.
pub(crate) fn matching(b: &Buffer, from: Place) -> Option<Place> {
    let bytes = b.line(from.line);
    let is = |c: u8| PAIRS.iter().find(|(o, e)| *o == c || *e == c);
    let col = (from.col..bytes.len()).find(|i| is(bytes[*i]).is_some())?;
    let (open, close) = *is(bytes[col])?;
    let start = place(from.line, col);
    if bytes[col] == open { closing(b, start, open, close) } else { enclosing(b, start, open, close) }
}

/// The bracket that closes the one here; the first one without a partner if none is here.
pub(crate) fn closing(b: &Buffer, from: Place, open: u8, close: u8) -> Option<Place> {
    let mut depth = 0_usize;
    let mut col = from.col + 1;
    for line in from.line..b.len() {
        let bytes = b.line(line);
        for (i, c) in bytes.iter().enumerate().skip(col) {
            if *c == open {
                depth += 1;
            } else if *c == close {
                if depth == 0 {
                    return Some(place(line, i));
                }
                depth -= 1;
            }
        }
        col = 0;
    }
    None
}

/// The bracket that opens the text around a place.
pub(crate) fn enclosing(b: &Buffer, at: Place, open: u8, close: u8) -> Option<Place> {
    let mut depth = 0_usize;
    for line in (0..=at.line).rev() {
        let bytes = b.line(line);
        let end = if line == at.line { at.col.min(bytes.len()) } else { bytes.len() };
        for i in (0..end).rev() {
            if bytes[i] == close {
                depth += 1;
            } else if bytes[i] == open {
                if depth == 0 {
                    return Some(place(line, i));
                }
                depth -= 1;
            }
        }
    }
    None
}
